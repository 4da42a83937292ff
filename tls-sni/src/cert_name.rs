//! Which server names does a name in a certificate cover?

use crate::server_name::ServerName;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;

/// A dNSName of a certificate's subjectAltName: an exact name, a wildcard for exactly one label, or an inert text
/// that covers nothing.
///
/// A wildcard is `*.` as the whole first label before at least one label (RFC 9525 6.3). `f*.a`, `*-x.a`, `a.*.b`,
/// `*.*.a`, `*` and everything with bytes that no host name has are inert.
///
/// ```
/// use tls_sni::{CertName, NameMatch, ServerName};
///
/// let wildcard = CertName::new(b"*.Example.com");
/// let covers = |name: &str| wildcard.covers(&name.parse().unwrap());
/// assert_eq!(covers("a.example.com"), Some(NameMatch::Wildcard));
/// assert_eq!(covers("example.com"), None);
/// assert_eq!(covers("b.a.example.com"), None);
/// assert!(CertName::new(b"f*.example.com").is_inert());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertName {
    kind: Kind,
    /// The canonical text; without `*.` for a wildcard, escaped for an inert name.
    text: Box<str>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Exact,
    Wildcard,
    Inert,
}

/// How a certificate's name covers a server name. The better one is the lesser one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameMatch {
    /// The very name.
    Exact,
    /// A wildcard in place of the first label.
    Wildcard,
}

impl CertName {
    /// Classifies the bytes of a dNSName. Never fails: what cannot match is inert.
    pub fn new(dns_name: &[u8]) -> CertName {
        let (kind, name) = match dns_name.strip_prefix(b"*.") {
            Some(suffix) => (Kind::Wildcard, suffix),
            None => (Kind::Exact, dns_name),
        };
        match ServerName::from_bytes(name) {
            Ok(name) => CertName { kind, text: name.as_str().into() },
            Err(_) => CertName { kind: Kind::Inert, text: dns_name.escape_ascii().to_string().into() },
        }
    }

    /// Whether and how this name covers `name`. Nothing allocates.
    pub fn covers(&self, name: &ServerName) -> Option<NameMatch> {
        match self.kind {
            Kind::Exact if *self.text == *name.as_str() => Some(NameMatch::Exact),
            Kind::Wildcard if Some(&*self.text) == name.parent() => Some(NameMatch::Wildcard),
            _ => None,
        }
    }

    /// The one name this covers, unless it is a wildcard or inert.
    pub fn exact(&self) -> Option<&str> {
        (self.kind == Kind::Exact).then_some(&*self.text)
    }

    /// The zone `x` of a wildcard `*.x`.
    pub fn wildcard_zone(&self) -> Option<&str> {
        (self.kind == Kind::Wildcard).then_some(&*self.text)
    }

    /// Whether this covers no name at all.
    pub fn is_inert(&self) -> bool {
        self.kind == Kind::Inert
    }
}

impl From<&ServerName> for CertName {
    fn from(name: &ServerName) -> CertName {
        CertName { kind: Kind::Exact, text: name.as_str().into() }
    }
}

impl FromStr for CertName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<CertName, Infallible> {
        Ok(CertName::new(text.as_bytes()))
    }
}

impl From<&CertName> for String {
    fn from(name: &CertName) -> String {
        name.to_string()
    }
}

/// The canonical text, which parses to an equal name; of an inert name its bytes, escaped.
impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == Kind::Wildcard {
            f.write_str("*.")?;
        }
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{self}", if self.is_inert() { "inert " } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_leftmost_star_is_a_wildcard() {
        assert_eq!(CertName::new(b"*.A.b.").wildcard_zone(), Some("a.b"));
        assert_eq!(CertName::new(b"*.com").wildcard_zone(), Some("com"));
        assert_eq!(CertName::new(b"A.b.").exact(), Some("a.b"));
        let inert: [&[u8]; 12] = [
            b"*",
            b"*.",
            b"",
            b"f*.a",
            b"*-x.a",
            b"a.*.b",
            b"*.*.a",
            b"xn--*-1.a",
            b"**.a",
            b"10.0.0.1",
            b"*.0.0.1",
            b"a b.c",
        ];
        for raw in inert {
            assert!(CertName::new(raw).is_inert(), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn display_and_parse_agree() {
        for text in ["a.b", "*.a.b", "f*.a"] {
            assert_eq!(text.parse::<CertName>().unwrap().to_string(), text);
        }
    }
}
