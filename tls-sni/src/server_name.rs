//! What name does a client ask for? The one canonical form of a host name, and what else an SNI may hold.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::str::FromStr;

/// The longest host name in its text form without a trailing dot (RFC 1035 2.3.4).
pub const MAX_NAME: usize = 253;
/// The longest label of a host name (RFC 1035 2.3.4).
pub const MAX_LABEL: usize = 63;

/// A host name in canonical form: ASCII lower case, no trailing dot, 1 to 253 bytes in labels of 1 to 63 bytes of
/// `[a-z0-9_-]` that neither start nor end with `-`; the last label is not all digits.
///
/// Names are A-labels: nothing is converted to or from Unicode, and `ü` is as invalid as a space. Underscores are
/// valid, since service meshes route by names such as `outbound_.80_._.a.b`. Two spellings of one name are equal, so
/// comparing values of this type is the only comparison of names there is.
///
/// The bytes lie inline: parsing, cloning and comparing never allocate.
///
/// ```
/// use tls_sni::ServerName;
///
/// let name: ServerName = "Foo.Example.COM.".parse()?;
/// assert_eq!(name.as_str(), "foo.example.com");
/// assert_eq!(name.parent(), Some("example.com"));
/// assert!("10.0.0.1".parse::<ServerName>().is_err());
/// # Ok::<(), tls_sni::ServerNameError>(())
/// ```
#[derive(Clone)]
pub struct ServerName {
    len: u8,
    /// Where the second label starts; 0 if there is none.
    parent: u8,
    bytes: [u8; MAX_NAME],
}

impl ServerName {
    /// Reads a name as it stands on the wire or in a manifest, in time linear in at most 254 bytes.
    pub fn from_bytes(raw: &[u8]) -> Result<ServerName, ServerNameError> {
        let raw = raw.strip_suffix(b".").unwrap_or(raw);
        if raw.is_empty() {
            return Err(ServerNameError::Empty);
        }
        if raw.len() > MAX_NAME {
            return Err(ServerNameError::TooLong { len: raw.len() });
        }
        let mut bytes = [0; MAX_NAME];
        let mut label = 0; // where the current label starts
        let mut parent = 0;
        let mut all_digits = true;
        for (at, (&byte, slot)) in raw.iter().zip(&mut bytes).enumerate() {
            let class = CLASS[byte as usize];
            if class == DOT {
                check_label(raw, label, at)?;
                label = at + 1;
                if parent == 0 {
                    parent = label;
                }
                all_digits = true;
            } else if class == BAD {
                return Err(ServerNameError::BadByte { byte, at });
            } else {
                all_digits &= class == DIGIT;
            }
            *slot = byte.to_ascii_lowercase();
        }
        check_label(raw, label, raw.len())?;
        if all_digits {
            return Err(ServerNameError::NumericLastLabel);
        }
        // A name has at most 253 bytes.
        Ok(ServerName { len: raw.len() as u8, parent: parent as u8, bytes })
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        // Every byte was found to be ASCII.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The canonical text as bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// What follows the first label: the zone whose wildcard `*.parent` covers this name. `None` for a single label.
    pub fn parent(&self) -> Option<&str> {
        (self.parent > 0).then(|| &self.as_str()[usize::from(self.parent)..])
    }

    /// The dot after the first label and what follows it.
    #[inline]
    pub(crate) fn suffix_bytes(&self) -> Option<&[u8]> {
        (self.parent > 0).then(|| &self.as_bytes()[usize::from(self.parent) - 1..])
    }
}

fn check_label(name: &[u8], start: usize, end: usize) -> Result<(), ServerNameError> {
    match &name[start..end] {
        [] => Err(ServerNameError::EmptyLabel { at: start }),
        label if label.len() > MAX_LABEL => Err(ServerNameError::LabelTooLong { at: start, len: label.len() }),
        [b'-', ..] | [.., b'-'] => Err(ServerNameError::HyphenAtEdge { at: start }),
        _ => Ok(()),
    }
}

const BAD: u8 = 0;
const DOT: u8 = 1;
const DIGIT: u8 = 2;
const OTHER: u8 = 3;

static CLASS: [u8; 256] = {
    let mut table = [BAD; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'.' => DOT,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => OTHER,
            _ => BAD,
        };
        byte += 1;
    }
    table
};

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<ServerName, ServerNameError> {
        ServerName::from_bytes(text.as_bytes())
    }
}

impl TryFrom<&[u8]> for ServerName {
    type Error = ServerNameError;

    fn try_from(raw: &[u8]) -> Result<ServerName, ServerNameError> {
        ServerName::from_bytes(raw)
    }
}

impl From<&ServerName> for String {
    fn from(name: &ServerName) -> String {
        name.as_str().to_owned()
    }
}

impl AsRef<str> for ServerName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for ServerName {
    fn eq(&self, other: &ServerName) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ServerName {}

impl PartialOrd for ServerName {
    fn partial_cmp(&self, other: &ServerName) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By the bytes of the text.
impl Ord for ServerName {
    fn cmp(&self, other: &ServerName) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for ServerName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// Why a text is no host name. Positions count bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerNameError {
    /// Nothing, or a single dot.
    Empty,
    /// More than 253 bytes.
    TooLong {
        /// Bytes without the trailing dot.
        len: usize,
    },
    /// Two dots in a row, or a leading dot.
    EmptyLabel {
        /// Where the label should start.
        at: usize,
    },
    /// A label of more than 63 bytes.
    LabelTooLong {
        /// Where the label starts.
        at: usize,
        /// Its bytes.
        len: usize,
    },
    /// A label that starts or ends with `-`.
    HyphenAtEdge {
        /// Where the label starts.
        at: usize,
    },
    /// A byte outside `[A-Za-z0-9_.-]`, as `*`, `:`, NUL, or any of a non-ASCII letter.
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it stands.
        at: usize,
    },
    /// The last label is a number, as in an IPv4 address.
    NumericLastLabel,
}

impl fmt::Display for ServerNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ServerNameError::Empty => write!(f, "empty name"),
            ServerNameError::TooLong { len } => write!(f, "name of {len} bytes, at most {MAX_NAME} are allowed"),
            ServerNameError::EmptyLabel { at } => write!(f, "empty label at byte {at}"),
            ServerNameError::LabelTooLong { at, len } => {
                write!(f, "label of {len} bytes at byte {at}, at most {MAX_LABEL} are allowed")
            }
            ServerNameError::HyphenAtEdge { at } => write!(f, "label at byte {at} starts or ends with a hyphen"),
            ServerNameError::BadByte { byte, at } => {
                write!(f, "byte '{}' at {at} is not allowed in a host name", byte.escape_ascii())
            }
            ServerNameError::NumericLastLabel => write!(f, "the last label is a number"),
        }
    }
}

impl core::error::Error for ServerNameError {}

/// What the server_name extension of a ClientHello holds.
///
/// Only [`Sni::Name`] can select a certificate by name. The other three behave alike in a selection: they reach a
/// default certificate or a catch-all, or are refused ([`UnusableNames`](crate::UnusableNames) can be stricter).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
// The name lies inline so that reading it allocates nothing; a value of this type lives for one decision.
#[allow(clippy::large_enum_variant)]
pub enum Sni {
    /// No extension, or no entry of type host_name in it.
    Absent,
    /// An IP literal. RFC 6066 3 forbids it, clients send it all the same.
    Ip(IpAddr),
    /// Bytes that are no host name.
    Invalid(ServerNameError),
    /// A host name.
    Name(ServerName),
}

impl Sni {
    /// Classifies the bytes of a host_name entry; `None` and nothing at all are [`Sni::Absent`].
    ///
    /// ```
    /// use tls_sni::Sni;
    ///
    /// assert!(matches!(Sni::new(Some(b"a.example")), Sni::Name(_)));
    /// assert!(matches!(Sni::new(Some(b"[2001:db8::1]")), Sni::Ip(_)));
    /// assert!(matches!(Sni::new(Some(b"a.example:443")), Sni::Invalid(_)));
    /// assert_eq!(Sni::new(None), Sni::Absent);
    /// ```
    pub fn new(raw: Option<&[u8]>) -> Sni {
        let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
            return Sni::Absent;
        };
        match ServerName::from_bytes(raw) {
            Ok(name) => Sni::Name(name),
            // No IP literal is a host name: its last label is a number, or it holds a colon.
            Err(error) => ip_literal(raw).map_or(Sni::Invalid(error), Sni::Ip),
        }
    }

    /// The name, if there is a usable one.
    #[inline]
    pub fn name(&self) -> Option<&ServerName> {
        match self {
            Sni::Name(name) => Some(name),
            _ => None,
        }
    }
}

fn ip_literal(raw: &[u8]) -> Option<IpAddr> {
    let inner = raw.strip_prefix(b"[").and_then(|raw| raw.strip_suffix(b"]")).unwrap_or(raw);
    core::str::from_utf8(inner).ok()?.parse().ok()
}

impl From<ServerName> for Sni {
    fn from(name: ServerName) -> Sni {
        Sni::Name(name)
    }
}

/// As people read it: the name, the address, or what is wrong.
impl fmt::Display for Sni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sni::Absent => write!(f, "no server name"),
            Sni::Ip(ip) => write!(f, "the IP address {ip} as server name"),
            Sni::Invalid(error) => write!(f, "an invalid server name ({error})"),
            Sni::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_bad_name_is_told_apart() {
        use ServerNameError::*;
        let long_label = [b'x'; 64];
        let long_name = [b'x'; 254];
        let cases: [(&[u8], ServerNameError); 13] = [
            (b"", Empty),
            (b".", Empty),
            (b"a..", EmptyLabel { at: 2 }),
            (b"a..b", EmptyLabel { at: 2 }),
            (b".a", EmptyLabel { at: 0 }),
            (&long_label, LabelTooLong { at: 0, len: 64 }),
            (&long_name, TooLong { len: 254 }),
            (b"-a.b", HyphenAtEdge { at: 0 }),
            (b"a.b-", HyphenAtEdge { at: 2 }),
            (b"*.a", BadByte { byte: b'*', at: 0 }),
            (b"a\0b", BadByte { byte: 0, at: 1 }),
            (b"a.b:443", BadByte { byte: b':', at: 3 }),
            (b"a.7", NumericLastLabel),
        ];
        for (raw, error) in cases {
            assert_eq!(ServerName::from_bytes(raw), Err(error), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn names_at_the_limits_are_valid() {
        let label = "y".repeat(63);
        let longest = [&label[..], &label, &label, &"z".repeat(61)].join(".");
        assert_eq!(longest.len(), 253);
        assert_eq!(ServerName::from_str(&longest).unwrap().as_str(), longest);
        assert!(ServerName::from_str(&(longest + ".")).is_ok());
        for name in ["a", "_acme.b", "1.a", "a.1b", "xn--bcher-kva.example"] {
            assert_eq!(ServerName::from_str(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn address_literals_are_told_from_names() {
        for raw in ["192.0.2.10", "[192.0.2.10]", "2001:db8::1", "[2001:db8::1]", "::"] {
            assert!(matches!(Sni::new(Some(raw.as_bytes())), Sni::Ip(_)), "{raw}");
        }
        for raw in ["192.0.2", "192.0.2.10.", "192.0.2.256", "[2001:db8::1", "fe80::1%eth0", "[]"] {
            assert!(matches!(Sni::new(Some(raw.as_bytes())), Sni::Invalid(_)), "{raw}");
        }
    }
}
