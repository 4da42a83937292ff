//! A Secret's value.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of a Secret: base64 on the wire, bytes in memory, never printed.
///
/// Text that is no base64 is kept as such ([`SecretBytes::bytes`] is `None`), so that one bad value does not cost the
/// whole Secret and a check can name it.
///
/// ```
/// use svc_model::api::SecretBytes;
/// let value = SecretBytes::from_base64("aGVs\nbG8=");
/// assert_eq!(value.bytes(), Some(&b"hello"[..]));
/// assert_eq!(format!("{value:?}"), "SecretBytes(5 bytes)");
/// assert_eq!(SecretBytes::from_base64("base64 encoded cert").bytes(), None);
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretBytes(Content);

#[derive(Clone, PartialEq, Eq)]
enum Content {
    Bytes(Vec<u8>),
    NotBase64(String),
}

impl Default for Content {
    fn default() -> Self {
        Content::Bytes(Vec::new())
    }
}

impl SecretBytes {
    /// Reads base64 with line breaks allowed, as the API does.
    pub fn from_base64(text: &str) -> SecretBytes {
        let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        SecretBytes(match STANDARD.decode(&compact) {
            Ok(bytes) => Content::Bytes(bytes),
            Err(_) => Content::NotBase64(text.to_owned()),
        })
    }

    /// The bytes, or `None` if the text was no base64.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Content::Bytes(bytes) => Some(bytes),
            Content::NotBase64(_) => None,
        }
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        SecretBytes(Content::Bytes(bytes))
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Bytes(bytes) => write!(f, "SecretBytes({} bytes)", bytes.len()),
            Content::NotBase64(_) => f.write_str("SecretBytes(not base64)"),
        }
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Content::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Content::NotBase64(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(SecretBytes::from_base64(&std::borrow::Cow::<'de, str>::deserialize(deserializer)?))
    }
}
