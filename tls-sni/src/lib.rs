//! Which certificate? Reading ClientHellos, canonical server names, and choosing among certificates, without
//! cryptography and without I/O.
//!
//! ```
//! use tls_sni::{CertStore, CertificateFacts, PeekError, Query, peek};
//!
//! let mut builder = CertStore::builder();
//! builder.add(CertificateFacts::for_names(["shop.example", "*.shop.example"]), "shop.pem");
//! let store = builder.build();
//!
//! # let stream = {
//! #     let name = b"Cart.Shop.example.";
//! #     let len = name.len() as u8;
//! #     let sni = [&[0, 0, 0, 5 + len, 0, 3 + len, 0, 0, len], &name[..]].concat();
//! #     let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, sni.len() as u8], &sni].concat();
//! #     let message = [&[1, 0, 0, body.len() as u8], &body[..]].concat();
//! #     [&[22, 3, 1, 0, message.len() as u8], &message[..]].concat()
//! # };
//! // The first bytes of a TCP stream; `NeedMore(n)` says how many more to wait for.
//! let hello = peek(&stream)?;
//! let sni = hello.sni();
//! assert_eq!(sni.name().unwrap().as_str(), "cart.shop.example");
//!
//! let now = 1_767_225_600; // seconds since 1970, from the embedder's clock
//! let choice = store.choose(&Query::of(&hello, &sni), now);
//! assert_eq!(*choice.outcome.unwrap().certificate(), "shop.pem");
//! assert_eq!(choice.reason.to_string(), "a wildcard of a certificate covers the server name");
//! # Ok::<(), PeekError>(())
//! ```
//!
//! # Concepts
//!
//! * [`peek`] reads the ClientHello at the start of a stream, [`HelloReader`] one whose bytes arrive in many pieces,
//!   [`ClientHello::from_handshake`] the same message without record framing (QUIC, library callbacks). A hello that is read is well-formed; every way in which it may not be
//!   has a name ([`MalformedKind`], [`NotTlsKind`]).
//! * [`ServerName`] is the one canonical form of a host name, [`Sni`] what else clients send in its place.
//!   [`CertName`] is a name in a certificate: exact, a wildcard for exactly one label, or inert.
//! * [`CertificateFacts`] is all that a choice looks at. Certificates themselves never enter the core: a
//!   [`CertStore<C>`] holds whatever `C` the embedder serves.
//! * A clone of a store is a snapshot. [`CertStore::replace`] renews a certificate in the embedder's own copy; whoever
//!   answers handshakes is handed a clone (with the feature `rustls`, `resolver::Resolver` does that).
//! * [`NameMap<T>`] is the table below it, for other things that belong to names: passthrough targets, say.
//! * Every answer carries its reason, which costs nothing unless it is printed.
//! * Time is an argument: seconds since 1970-01-01T00:00:00Z as `i64`.
//!
//! # Who is chosen
//!
//! A server name meets its very name, then the wildcard in place of its first label, then the default. Among several
//! certificates of one step ([`Rank`] is this order as data):
//!
//! 1. only those whose key the client can verify ([`AcceptedKeys`]);
//! 2. a certificate that names the server name before one with a wildcard for it;
//! 3. valid at the time before not valid;
//! 4. ECDSA before EdDSA before RSA;
//! 5. the later end of validity, then the later start, then the one listed first.
//!
//! No server name, an IP literal and an invalid name all reach the default alone; [`Policy`] can be stricter. A
//! certificate that is not valid by date serves when nothing better exists: clients decide.
//!
//! # Costs
//!
//! | | time | allocations |
//! | --- | --- | --- |
//! | [`peek`] | linear in the hello; key shares and tickets are stepped over | none; one if the hello is cut across records |
//! | [`ServerName::from_bytes`] | linear in at most 254 bytes | none |
//! | [`NameMap::get`], [`CertStore::choose`] | two hash look-ups at most | none |
//! | [`CertStoreBuilder::build`], [`NameMap::new`] | n log n in all names | |
//! | [`CertStore::add`], [`replace`](CertStore::replace), [`remove`](CertStore::remove) | the names of the one certificate, times those that share them | some kB a name, at any size |
//! | clone of a [`CertStore`] | a few reference counts | none |
//!
//! A name takes less than a hundred bytes beside the embedder's value, its certificate's dates and key included.
//!
//! # Features
//!
//! Without features the crate depends on nothing, and is `no_std` with `alloc`.
//!
//! | feature | what it adds | default |
//! | --- | --- | --- |
//! | `fingerprint` | `fingerprint`: JA3 and JA4 of a hello | |
//! | `pem` | `pem`: certificates and private keys from PEM | |
//! | `x509` | `CertificateFacts::from_der`; `KeyPair`: does this key belong to this certificate? | |
//! | `rustls` | `resolver`: a certificate resolver for rustls servers, with any cryptography provider | |
//! | `kubernetes` | `ingress`, `gateway`, `istio`, `secret`, `check`: Ingress TLS sections, Gateway listeners, servers of Istio and Secrets, from a `svc-model` cluster | yes |
//!
//! # Not here
//!
//! Handshakes, signatures, chain validation and revocation (a TLS library's), reading files or watching Secrets (the
//! embedder's), conversion of Unicode names (they travel as A-labels), public-suffix rules.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "kubernetes", feature = "rustls"))]
extern crate std;

mod alpn;
mod cert_name;
#[cfg(feature = "kubernetes")]
pub mod check;
mod choice;
mod client_hello;
#[cfg(feature = "kubernetes")]
mod decision;
mod facts;
#[cfg(feature = "fingerprint")]
pub mod fingerprint;
#[cfg(feature = "kubernetes")]
pub mod gateway;
#[cfg(feature = "kubernetes")]
pub mod ingress;
#[cfg(feature = "kubernetes")]
pub mod istio;
mod name_map;
mod offer;
#[cfg(feature = "pem")]
pub mod pem;
mod query;
mod rank;
#[cfg(feature = "rustls")]
pub mod resolver;
#[cfg(feature = "kubernetes")]
pub mod secret;
#[cfg(feature = "kubernetes")]
mod served;
mod server_name;
mod store;
mod table;
#[cfg(feature = "x509")]
mod x509;

pub use alpn::{ACME_TLS_1, Alpn, AlpnNames};
pub use cert_name::{CertName, NameMatch};
pub use choice::{Alert, Choice, Chosen, Reason, Unmatched};
pub use client_hello::{
    ClientHello, Ech, HelloReader, MAX_HELLO, MalformedKind, NotTlsKind, PeekError, peek, peek_within,
};
#[cfg(feature = "kubernetes")]
pub use decision::{Backend, CertificateRef, Mode, TlsDecision, TlsQuestion, TlsReason};
pub use facts::{CertificateFacts, CommonName, KeyFamily, KeyKind};
pub use name_map::NameMap;
pub use offer::{AcceptedKeys, ProtocolVersion, SignatureScheme, UnknownCode, is_grease};
pub use query::Query;
pub use rank::Rank;
pub use server_name::{MAX_LABEL, MAX_NAME, ServerName, ServerNameError, Sni};
pub use store::{CertId, CertStore, CertStoreBuilder, Policy, UnusableNames};
#[cfg(feature = "x509")]
pub use x509::{KeyPair, KeyPairError, X509Error};
