//! Does a Secret hold a usable certificate and key?

use crate::x509::{KeyPair, KeyPairError};
use core::fmt;
use std::string::String;
use svc_model::api::Secret;

/// The key of a TLS Secret that holds the certificate bundle.
pub const TLS_CRT: &str = "tls.crt";
/// The key of a TLS Secret that holds the private key.
pub const TLS_KEY: &str = "tls.key";
const CA_CRT: &str = "ca.crt";
/// The keys of Istio's older credentials, which go first.
const CERT: &str = "cert";
const KEY: &str = "key";
const CA_CERT: &str = "cacert";

/// Reads the pair under [`TLS_CRT`] and [`TLS_KEY`], whatever the type of the Secret.
///
/// # Errors
/// [`SecretError`] for the first fault.
pub fn load(secret: &Secret) -> Result<KeyPair, SecretError> {
    if holds(secret, CA_CRT) && !holds(secret, TLS_CRT) && !holds(secret, TLS_KEY) {
        return Err(SecretError::OnlyCa);
    }
    let bundle = value(secret, TLS_CRT)?;
    let key = value(secret, TLS_KEY)?;
    KeyPair::from_pem(bundle, key).map_err(SecretError::Pair)
}

/// Reads the pair of a credential of Istio: under `cert` and `key`, else as [`load`]. An empty value counts as absent.
///
/// # Errors
/// [`SecretError`] for the first fault.
pub fn load_credential(secret: &Secret) -> Result<KeyPair, SecretError> {
    match (value(secret, CERT), value(secret, KEY)) {
        (Ok(bundle), Ok(key)) => KeyPair::from_pem(bundle, key).map_err(SecretError::Pair),
        _ => load(secret),
    }
}

/// Whether a Secret says whose certificates clients may have, as Istio reads it.
pub(crate) fn has_authority(secret: &Secret) -> bool {
    [CA_CERT, CA_CRT].iter().any(|key| value(secret, key).is_ok())
}

pub(crate) fn value<'a>(secret: &'a Secret, key: &'static str) -> Result<&'a [u8], SecretError> {
    match secret.value(key) {
        Some([]) => Err(SecretError::Empty { key }),
        Some(value) => Ok(value),
        None if holds(secret, key) => Err(SecretError::NotBase64 { key }),
        None => Err(SecretError::Absent { key }),
    }
}

fn holds(secret: &Secret, key: &str) -> bool {
    secret.data.contains_key(key) || secret.string_data.0.contains_key(key)
}

/// Why a Secret cannot be used. Never holds a value of the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// A key is absent.
    Absent {
        /// The key.
        key: &'static str,
    },
    /// A value is empty.
    Empty {
        /// The key.
        key: &'static str,
    },
    /// A value of `data` is not base64.
    NotBase64 {
        /// The key.
        key: &'static str,
    },
    /// There is but a CA certificate.
    OnlyCa,
    /// The certificate and the key cannot be used.
    Pair(KeyPairError),
}

impl SecretError {
    /// The field at fault, as the manifest spells it: `data[tls.crt]`, or `stringData[tls.crt]` if the value stands
    /// there.
    pub fn field(&self, secret: &Secret) -> String {
        let key = match self {
            SecretError::Absent { key } | SecretError::Empty { key } | SecretError::NotBase64 { key } => key,
            SecretError::OnlyCa => TLS_CRT,
            SecretError::Pair(error) if error.is_in_key() => TLS_KEY,
            SecretError::Pair(_) => TLS_CRT,
        };
        field(secret, key)
    }
}

/// The path of a value of a Secret.
pub(crate) fn field(secret: &Secret, key: &str) -> String {
    let map = if secret.string_data.0.contains_key(key) { "stringData" } else { "data" };
    std::format!("{map}[{key}]")
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretError::Absent { key } => write!(f, "{key} is absent"),
            SecretError::Empty { key } => write!(f, "{key} is empty"),
            SecretError::NotBase64 { key } => write!(f, "{key} is not base64"),
            SecretError::OnlyCa => write!(f, "it holds a CA certificate only"),
            SecretError::Pair(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SecretError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            SecretError::Pair(error) => Some(error),
            _ => None,
        }
    }
}
