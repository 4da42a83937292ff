//! Which certificate does a rustls server present? A [`CertStore`] as its resolver, which can change while it serves.
//!
//! rustls' own resolver knows exact names only and no default. This one chooses as [`CertStore`] does: wildcards, a
//! default or strictness, several certificates a name by what the client verifies and by date, ACME challenges.
//!
//! ```
//! use std::sync::Arc;
//!
//! use tls_sni::KeyPair;
//! use tls_sni::resolver::{Resolver, load};
//!
//! # fn serve(pem: &[(Vec<u8>, Vec<u8>)], clock: fn() -> i64) -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Arc::new(rustls::crypto::ring::default_provider()); // or any other
//! let mut certificates = tls_sni::CertStore::builder();
//! for (bundle, key) in pem {
//!     let pair = KeyPair::from_pem(bundle, key)?;
//!     certificates.add(pair.facts.clone(), load(&pair, &provider)?);
//! }
//! let resolver = Arc::new(Resolver::new(certificates.build(), clock));
//! let config = rustls::ServerConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_no_client_auth()
//!     .with_cert_resolver(resolver.clone());
//! // Later, while connections are made: resolver.replace(renewed);
//! # let _ = config;
//! # Ok(())
//! # }
//! # serve(&[], || 0).unwrap();
//! ```
//!
//! # What rustls has done before
//!
//! A name reaches the resolver in lower case and checked. An IP literal counts as no name. Other invalid names are refused
//! before the resolver is asked, and so are hellos without signature_algorithms. The client's schemes are reduced to
//! those of the version and the cipher suites that both sides have. So [`Policy::unusable_names`](crate::Policy) has no
//! effect here, and what is refused is less than [`peek`](crate::peek) reads. To pass a connection through undecrypted,
//! peek before rustls sees it.

use crate::alpn::{ACME_TLS_1, Alpn};
use crate::offer::{AcceptedKeys, ProtocolVersion, SignatureScheme};
use crate::query::Query;
use crate::server_name::Sni;
use crate::store::{CertStore, CertStoreBuilder};
use crate::x509::KeyPair;
use core::fmt;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};
use std::vec::Vec;

/// Certificates and keys as rustls signs with them.
pub type CertifiedKeys = CertStore<Arc<CertifiedKey>>;

/// A rustls certificate resolver over a [`CertStore`].
///
/// A handshake reads one snapshot under a lock that is held for a look-up. When nothing is chosen, rustls ends the
/// handshake with an alert: that is what [`Policy::strict`](crate::Policy) and a client that verifies no key come to.
pub struct Resolver {
    store: RwLock<CertifiedKeys>,
    clock: fn() -> i64,
}

impl Resolver {
    /// A resolver that judges dates by `clock`: seconds since 1970-01-01T00:00:00Z.
    pub fn new(store: CertifiedKeys, clock: fn() -> i64) -> Resolver {
        Resolver { store: RwLock::new(store), clock }
    }

    /// The certificates as they are now. The copy shares all memory with them; change it and [`replace`](Self::replace).
    pub fn snapshot(&self) -> CertifiedKeys {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves these certificates from the next handshake on. Handshakes under way keep theirs.
    pub fn replace(&self, store: CertifiedKeys) {
        let mut current = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let old = core::mem::replace(&mut *current, store);
        drop(current);
        drop(old); // what only the old store held is freed while handshakes go on
    }

    /// Changes the certificates in place, for instance to renew one, while no other change is made. Handshakes see all
    /// of the change or nothing of it; they wait as long as it takes.
    pub fn update(&self, change: impl FnOnce(&mut CertifiedKeys)) {
        let mut current = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = current.clone();
        change(&mut changed);
        *current = changed;
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let sni = Sni::new(hello.server_name().map(str::as_bytes));
        // rustls signs with the scheme of the key's own curve under TLS 1.2 too, and has dropped PKCS#1 under TLS 1.3.
        let schemes = hello.signature_schemes().iter().map(|scheme| SignatureScheme(u16::from(*scheme)));
        let accepted_keys = AcceptedKeys::new(schemes, [ProtocolVersion::TLS13, ProtocolVersion::TLS12]);
        let challenge = hello.alpn().is_some_and(|alpn| alpn.eq([ACME_TLS_1]));
        let alpn = if challenge { Alpn::new(&[ACME_TLS_1]) } else { Alpn::NONE };
        let query = Query { sni: &sni, accepted_keys, alpn };
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let chosen = store.choose(&query, (self.clock)()).outcome.ok()?;
        Some(Arc::clone(chosen.certificate()))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Resolver").field("store", &*store).finish_non_exhaustive()
    }
}

/// Loads a pair for signing, and checks that its key belongs to its certificate.
///
/// The check is the provider's, so it also covers keys of which [`KeyPair::key_verified`] is false. A pair that fails is
/// best left out, and said to be, while the rest serves.
///
/// # Errors
/// rustls' own: a key that the provider does not take, or [`rustls::Error::InconsistentKeys`].
pub fn load(pair: &KeyPair, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let chain: Vec<CertificateDer<'static>> = pair.chain.iter().cloned().map(CertificateDer::from).collect();
    CertifiedKey::from_der(chain, pair.key.to_der(), provider).map(Arc::new)
}

/// Loads pairs into a store under construction. One that fails is left out and told by its place, and the rest serves.
pub fn load_all(
    pairs: impl IntoIterator<Item = KeyPair>,
    provider: &CryptoProvider,
) -> (CertStoreBuilder<Arc<CertifiedKey>>, Vec<(usize, rustls::Error)>) {
    let (mut builder, mut failed) = (CertStore::builder(), Vec::new());
    for (i, pair) in pairs.into_iter().enumerate() {
        match load(&pair, provider) {
            Ok(key) => {
                builder.add(pair.facts, key);
            }
            Err(error) => failed.push((i, error)),
        }
    }
    (builder, failed)
}
