//! What does a certificate say about itself, and does a private key belong to it? Read from DER, without cryptography.

use crate::cert_name::CertName;
use crate::facts::{CertificateFacts, KeyKind};
use crate::pem::{self, KeyEncoding, PemError, PrivateKey};
use alloc::vec::Vec;
use core::fmt;
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");

impl CertificateFacts {
    /// Reads the facts of a certificate.
    ///
    /// Only dNSName entries become names: neither addresses nor mail addresses do. A name is taken by its length, so
    /// that a NUL in it makes it inert and does not end it.
    ///
    /// # Errors
    /// [`X509Error`] if the certificate or its subjectAltName is no DER.
    pub fn from_der(der: &[u8]) -> Result<CertificateFacts, X509Error> {
        read(der).map(|(facts, _)| facts)
    }
}

/// A certificate that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum X509Error {
    /// The certificate is no well-formed DER.
    Certificate {
        /// Where the reading stopped, in bytes, if that is known.
        offset: Option<usize>,
    },
    /// The certificate has two subjectAltName extensions, or one that is not well-formed.
    SubjectAltName,
}

impl fmt::Display for X509Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            X509Error::Certificate { offset: Some(at) } => write!(f, "the certificate does not parse at byte {at}"),
            X509Error::Certificate { offset: None } => write!(f, "the certificate does not parse"),
            X509Error::SubjectAltName => write!(f, "the subjectAltName of the certificate does not parse"),
        }
    }
}

impl core::error::Error for X509Error {}

fn read(der: &[u8]) -> Result<(CertificateFacts, SubjectPublicKeyInfoOwned), X509Error> {
    let certificate = Certificate::from_der(der).map_err(|error| X509Error::Certificate {
        offset: error.position().and_then(|at| u32::from(at).try_into().ok()),
    })?;
    let tbs = certificate.tbs_certificate;
    let mut names = None;
    for extension in tbs.extensions.iter().flatten().filter(|extension| extension.extn_id == SUBJECT_ALT_NAME) {
        let found = dns_names(extension.extn_value.as_bytes()).ok_or(X509Error::SubjectAltName)?;
        if names.replace(found).is_some() {
            return Err(X509Error::SubjectAltName);
        }
    }
    // Of several common names the last one counts, as in Go.
    let mut attributes = tbs.subject.0.iter().flat_map(|rdn| rdn.0.iter());
    let common_name = attributes.rfind(|attribute| attribute.oid == COMMON_NAME);
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs().try_into().unwrap_or(i64::MAX);
    let facts = CertificateFacts {
        names: names.unwrap_or_default(),
        common_name: common_name.map(|attribute| CertName::new(attribute.value.value())),
        not_before: seconds(tbs.validity.not_before),
        not_after: seconds(tbs.validity.not_after),
        key: key_kind(&tbs.subject_public_key_info),
    };
    Ok((facts, tbs.subject_public_key_info))
}

/// The dNSName entries of a GeneralNames (RFC 5280 4.2.1.6).
fn dns_names(der: &[u8]) -> Option<Vec<CertName>> {
    let dns_name = Tag::ContextSpecific { constructed: false, number: TagNumber::N2 };
    let names = sequence(der)?.into_iter().filter(|name| name.tag() == dns_name);
    Some(names.map(|name| CertName::new(name.value())).collect())
}

fn key_kind(key: &SubjectPublicKeyInfoOwned) -> KeyKind {
    let curve = || key.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
    match key.algorithm.oid {
        RSA => KeyKind::Rsa,
        RSA_PSS => KeyKind::RsaPss,
        ED25519 => KeyKind::Ed25519,
        ED448 => KeyKind::Ed448,
        EC => match curve() {
            Some(P256) => KeyKind::EcdsaP256,
            Some(P384) => KeyKind::EcdsaP384,
            Some(P521) => KeyKind::EcdsaP521,
            _ => KeyKind::EcdsaOther,
        },
        _ => KeyKind::Other,
    }
}

/// A certificate chain with its private key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyPair {
    /// The DER of the certificates, the server's own first.
    pub chain: Vec<Vec<u8>>,
    /// The private key.
    pub key: PrivateKey,
    /// The facts of the first certificate.
    pub facts: CertificateFacts,
    /// Whether the key is known to belong to the first certificate. False when the key does not hold its public half,
    /// as Ed25519 keys and some EC keys do not: then only cryptography can tell.
    pub key_verified: bool,
    /// The bits of an RSA key's modulus; `None` for other keys.
    pub rsa_bits: Option<usize>,
}

impl KeyPair {
    /// Reads a certificate bundle and its private key from PEM.
    ///
    /// # Errors
    /// [`KeyPairError`], which tells the file at fault.
    pub fn from_pem(bundle: &[u8], key: &[u8]) -> Result<KeyPair, KeyPairError> {
        let chain = pem::certificates(bundle).map_err(KeyPairError::Bundle)?;
        // certificates() never answers an empty chain.
        let (facts, public) = read(chain.first().map_or(&[], Vec::as_slice)).map_err(KeyPairError::Certificate)?;
        let key = pem::private_key(key).map_err(KeyPairError::Key)?;
        let own = public_half(&key).ok_or(KeyPairError::MalformedKey)?;
        let key_verified = match own.belongs_to(&public) {
            Some(false) => {
                let fits = |der: &Vec<u8>| matches!(read(der), Ok((_, later)) if own.belongs_to(&later) == Some(true));
                return Err(match chain.iter().position(fits) {
                    Some(position) => KeyPairError::Order { position },
                    None => KeyPairError::Mismatch,
                });
            }
            verdict => verdict == Some(true),
        };
        let rsa_bits = rsa_bits(&public);
        Ok(KeyPair { chain, key, facts, key_verified, rsa_bits })
    }

    /// The place of the first certificate of the chain, from 0, that did not issue the one before it (RFC 5246 7.4.2), by
    /// the names of subject and issuer. TLS 1.3 lets clients sort; many do not.
    pub fn misplaced(&self) -> Option<usize> {
        let names: Vec<_> = self.chain.iter().map(|der| Certificate::from_der(der).ok()).collect();
        let issued = |pair: &[Option<Certificate>]| match pair {
            [Some(one), Some(issuer)] => one.tbs_certificate.issuer == issuer.tbs_certificate.subject,
            _ => true, // what cannot be read has other faults
        };
        names.windows(2).position(|pair| !issued(pair)).map(|at| at + 1)
    }
}

fn rsa_bits(public: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    if !matches!(public.algorithm.oid, RSA | RSA_PSS) {
        return None;
    }
    let numbers = sequence(public.subject_public_key.raw_bytes())?;
    let modulus = unsigned(numbers.first()?.value());
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// Why a certificate and a key cannot be used together. Never holds bytes of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPairError {
    /// The certificate file is no PEM of a certificate.
    Bundle(PemError),
    /// The first certificate cannot be read.
    Certificate(X509Error),
    /// The key belongs to a later certificate of the bundle: the server's own must come first.
    Order {
        /// The place of the certificate that the key belongs to, from 0.
        position: usize,
    },
    /// The key file is no PEM of a private key.
    Key(PemError),
    /// The private key is no well-formed DER.
    MalformedKey,
    /// The key belongs to no certificate of the bundle.
    Mismatch,
}

impl KeyPairError {
    /// Whether the key file is at fault, not the certificate file.
    pub fn is_in_key(&self) -> bool {
        matches!(self, KeyPairError::Key(_) | KeyPairError::MalformedKey | KeyPairError::Mismatch)
    }
}

impl fmt::Display for KeyPairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyPairError::Bundle(error) | KeyPairError::Key(error) => error.fmt(f),
            KeyPairError::Certificate(error) => error.fmt(f),
            KeyPairError::Order { position } => {
                write!(f, "the key belongs to certificate {} of the bundle, not to the first", position + 1)
            }
            KeyPairError::MalformedKey => write!(f, "the private key does not parse"),
            KeyPairError::Mismatch => write!(f, "the private key does not belong to the certificate"),
        }
    }
}

impl core::error::Error for KeyPairError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            KeyPairError::Bundle(error) | KeyPairError::Key(error) => Some(error),
            KeyPairError::Certificate(error) => Some(error),
            _ => None,
        }
    }
}

/// The public half that a private key carries along.
enum PublicHalf<'a> {
    Rsa {
        modulus: &'a [u8],
        exponent: &'a [u8],
    },
    /// The point, if it is there.
    Ec(Option<&'a [u8]>),
    /// A key of another algorithm, and its public key if it is there.
    Other(ObjectIdentifier, Option<&'a [u8]>),
}

impl PublicHalf<'_> {
    /// Whether this is the key of a certificate; `None` if it cannot be told.
    fn belongs_to(&self, public: &SubjectPublicKeyInfoOwned) -> Option<bool> {
        let algorithm = public.algorithm.oid;
        let bytes = public.subject_public_key.raw_bytes();
        match *self {
            PublicHalf::Rsa { modulus, exponent } => Some(
                matches!(algorithm, RSA | RSA_PSS)
                    && matches!(&sequence(bytes).as_deref(), Some([n, e])
                        if unsigned(n.value()) == modulus && unsigned(e.value()) == exponent),
            ),
            PublicHalf::Ec(_) if algorithm != EC => Some(false),
            PublicHalf::Ec(point) => point.map(|point| same_point(point, bytes)),
            PublicHalf::Other(own, _) if algorithm != own => Some(false),
            PublicHalf::Other(_, key) => key.map(|key| key == bytes),
        }
    }
}

/// The public half of a key; `None` if the key is malformed.
fn public_half(key: &PrivateKey) -> Option<PublicHalf<'_>> {
    match key.encoding() {
        KeyEncoding::Pkcs1 => rsa_half(key.secret_der()),
        KeyEncoding::Sec1 => ec_half(key.secret_der()),
        KeyEncoding::Pkcs8 => {
            // RFC 5958 2: version, algorithm, key, [0] attributes, [1] public key
            let parts = sequence(key.secret_der())?;
            let [_, algorithm, inner, rest @ ..] = parts.as_slice() else {
                return None;
            };
            let algorithm = elements(algorithm.value())?.first()?.decode_as::<ObjectIdentifier>().ok()?;
            match algorithm {
                RSA | RSA_PSS => rsa_half(inner.value()),
                EC => ec_half(inner.value()),
                // The tag stands for BIT STRING: its first byte counts the unused bits.
                other => Some(PublicHalf::Other(other, tagged(rest, 1).and_then(|key| key.value().get(1..)))),
            }
        }
    }
}

/// RFC 8017 A.1.2: version, modulus, public exponent, and the secret numbers.
fn rsa_half(der: &[u8]) -> Option<PublicHalf<'_>> {
    let parts = sequence(der)?;
    let [_, modulus, exponent, _, ..] = parts.as_slice() else {
        return None;
    };
    Some(PublicHalf::Rsa { modulus: unsigned(modulus.value()), exponent: unsigned(exponent.value()) })
}

/// RFC 5915 3: version, key, [0] curve, [1] public key.
fn ec_half(der: &[u8]) -> Option<PublicHalf<'_>> {
    let parts = sequence(der)?;
    let [_, _, rest @ ..] = parts.as_slice() else {
        return None;
    };
    let Some(public) = tagged(rest, 1) else {
        return Some(PublicHalf::Ec(None));
    };
    let bits = elements(public.value())?;
    // The first byte of a BIT STRING counts the unused bits.
    Some(PublicHalf::Ec(Some(bits.first()?.value().get(1..)?)))
}

/// Whether two encodings of a point (SEC 1 2.3.3), compressed or not, mean the same one.
fn same_point(a: &[u8], b: &[u8]) -> bool {
    /// The x coordinate and whether y is odd.
    fn parts(point: &[u8]) -> Option<(&[u8], bool)> {
        match point.split_first()? {
            (4, xy) => Some((&xy[..xy.len() / 2], xy.last()? & 1 == 1)),
            (2, x) => Some((x, false)),
            (3, x) => Some((x, true)),
            _ => None,
        }
    }
    a == b || (a.first() != b.first() && parts(a).is_some_and(|a| Some(a) == parts(b)))
}

fn unsigned(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    &integer[zeros..]
}

fn tagged<'a>(elements: &[AnyRef<'a>], number: u8) -> Option<AnyRef<'a>> {
    let has = |element: &&AnyRef<'a>| match element.tag() {
        Tag::ContextSpecific { number: own, .. } => own.value() == number,
        _ => false,
    };
    elements.iter().find(has).copied()
}

/// The elements of a SEQUENCE that is all of `der`.
fn sequence(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let outer = AnyRef::from_der(der).ok()?;
    (outer.tag() == Tag::Sequence).then(|| elements(outer.value()))?
}

/// The elements that `der` is made of.
fn elements(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(der).ok()?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(elements)
}
