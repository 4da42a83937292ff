//! What must be known about a certificate to choose it?

use crate::cert_name::{CertName, NameMatch};
use crate::server_name::ServerName;
use alloc::vec::Vec;

/// What a choice looks at: the names, the validity and the key of a certificate, never its bytes.
///
/// With the feature `x509`, `CertificateFacts::from_der` reads them; else fill them from whatever parsed the
/// certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The dNSName entries of subjectAltName, in their order; inert ones too.
    pub names: Vec<CertName>,
    /// The common name of the subject, which counts as a name only if [`CommonName`] says so.
    pub common_name: Option<CertName>,
    /// First second of validity, in seconds since 1970-01-01T00:00:00Z.
    pub not_before: i64,
    /// Last second of validity, in seconds since 1970-01-01T00:00:00Z.
    pub not_after: i64,
    /// The kind of the public key.
    pub key: KeyKind,
}

impl CertificateFacts {
    /// Facts of a certificate for these names that is valid at all times and has an ECDSA key on P-256: the start for
    /// certificates whose details do not matter.
    pub fn for_names<'a>(names: impl IntoIterator<Item = &'a str>) -> CertificateFacts {
        CertificateFacts {
            names: names.into_iter().map(|name| CertName::new(name.as_bytes())).collect(),
            common_name: None,
            not_before: i64::MIN,
            not_after: i64::MAX,
            key: KeyKind::EcdsaP256,
        }
    }

    /// The names that count under this policy, in order.
    pub fn effective_names(&self, common_name: CommonName) -> impl Iterator<Item = &CertName> {
        let counts = match common_name {
            CommonName::Never => false,
            CommonName::WithoutSan => self.names.is_empty(),
            CommonName::Always => true,
        };
        self.names.iter().chain(self.common_name.iter().filter(move |_| counts))
    }

    /// How the certificate covers `name`, at its best.
    pub fn covers(&self, name: &ServerName, common_name: CommonName) -> Option<NameMatch> {
        self.effective_names(common_name).filter_map(|own| own.covers(name)).min()
    }

    /// Whether the certificate is valid at `now`, in seconds since 1970-01-01T00:00:00Z; both ends count.
    pub fn valid_at(&self, now: i64) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// Whether the subject's common name is a name of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CommonName {
    /// Never: RFC 9525, Go, rustls, browsers.
    #[default]
    Never,
    /// When the certificate has no dNSName at all, not even an inert one: ingress-nginx.
    WithoutSan,
    /// Beside the others: Traefik, sozu.
    Always,
}

/// The kind of a certificate's public key. The better kind is the lesser one: ECDSA, then EdDSA, then RSA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// ECDSA on another curve.
    EcdsaOther,
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// RSA for any padding (rsaEncryption).
    Rsa,
    /// RSA restricted to PSS (id-RSASSA-PSS).
    RsaPss,
    /// Anything else.
    #[default]
    Other,
}

impl KeyKind {
    /// The family that ranks: kinds of one family are equally good.
    pub fn family(self) -> KeyFamily {
        match self {
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 | KeyKind::EcdsaOther => KeyFamily::Ecdsa,
            KeyKind::Ed25519 | KeyKind::Ed448 => KeyFamily::EdDsa,
            KeyKind::Rsa | KeyKind::RsaPss => KeyFamily::Rsa,
            KeyKind::Other => KeyFamily::Other,
        }
    }
}

/// The families of keys, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyFamily {
    /// ECDSA.
    Ecdsa,
    /// Ed25519, Ed448.
    EdDsa,
    /// RSA.
    Rsa,
    /// Anything else.
    Other,
}
