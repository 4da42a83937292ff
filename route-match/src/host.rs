//! What is a host? One canonical type, so that no two stages can disagree about a name.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use arrayvec::ArrayString;

use crate::excerpt::Excerpt;
use crate::hash::equal;
use crate::name::{ends_in_number, is_name, name_fault};

/// A host name or address literal in canonical form: ASCII lower case, without trailing dot; an IPv6 address in
/// brackets and in the spelling of RFC 5952.
///
/// Two hosts are the same exactly when they are equal as values of this type. A name has labels of 1..=63 bytes out of
/// letters, digits, `-` and `_` (service meshes depend on the underscore), none starting or ending with `-`, 253 bytes
/// in all, and its last label is not all digits (that would be a malformed IPv4 address). A-labels (`xn--`) are plain
/// ASCII here; no IDNA conversion is done. One of up to 40 bytes lies in the value itself, so that reading it allocates nothing.
///
/// ```
/// use route_match::Host;
///
/// let host: Host = "Shop.Example.".parse()?;
/// assert_eq!(host.as_str(), "shop.example");
/// assert_eq!("[2001:DB8::0:1]".parse::<Host>()?.to_string(), "[2001:db8::1]");
/// assert!("shop..example".parse::<Host>().is_err());
/// # Ok::<(), route_match::HostError>(())
/// ```
#[derive(Clone)]
pub struct Host(Text);

/// The bytes of a [`Host`] that need no memory of their own.
const SHORT: usize = 40;

#[derive(Clone)]
enum Text {
    Short(ArrayString<SHORT>),
    Long(Box<str>),
}

/// Whether a [`Host`] is a name or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostKind {
    /// A DNS name.
    Name,
    /// An IPv4 literal.
    Ipv4(Ipv4Addr),
    /// An IPv6 literal.
    Ipv6(Ipv6Addr),
}

impl Host {
    /// The canonical text; an IPv6 address is in brackets.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short(text) => text,
            Text::Long(text) => text,
        }
    }

    /// Name or address. The text tells: a name has no brackets, and does not end in a number.
    pub fn kind(&self) -> HostKind {
        let text = self.as_str();
        if let Some(Ok(address)) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::parse) {
            return HostKind::Ipv6(address);
        }
        match text.parse() {
            Ok(address) if !self.is_name() => HostKind::Ipv4(address),
            _ => HostKind::Name,
        }
    }

    /// Whether this is a DNS name, not an address.
    #[inline]
    pub fn is_name(&self) -> bool {
        let text = self.as_str().as_bytes();
        let may_end_in_number = text.last().is_some_and(u8::is_ascii_digit);
        text.first() != Some(&b'[') && !(may_end_in_number && ends_in_number(text))
    }

    /// The name without its first label: the part a one-label wildcard over this host would name. `None` for an address
    /// and for a name of a single label.
    pub fn parent(&self) -> Option<&str> {
        if !self.is_name() {
            return None;
        }
        self.as_str().split_once('.').map(|(_, parent)| parent)
    }

    /// The host of a text that is one, in any case.
    #[inline]
    fn folded(text: &str) -> Self {
        Self(match ArrayString::from(text) {
            Ok(mut text) => {
                text.make_ascii_lowercase();
                Text::Short(text)
            }
            Err(_) => Text::Long(text.to_ascii_lowercase().into()),
        })
    }
}

impl FromStr for Host {
    type Err = HostError;

    /// Reads a host as it stands in a Host header, a URL or a manifest: any case, with or without one trailing dot, an
    /// IPv6 address in brackets. Linear in the input, which is refused when longer than a name may be.
    fn from_str(text: &str) -> Result<Self, HostError> {
        let refuse = |fault| HostError { host: Excerpt::of(text), fault };
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(refuse(HostFault::Bracket))?;
            if inner.contains('%') {
                return Err(refuse(HostFault::Zone));
            }
            let address: Ipv6Addr = inner.parse().map_err(|_| refuse(HostFault::Ipv6))?;
            return Ok(Self::from(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if is_name(name.as_bytes()) {
            return Ok(Self::folded(name));
        }
        match (name_fault(name), text.parse::<Ipv4Addr>()) {
            // The one way to end in a number.
            (HostFault::NumericEnd, Ok(address)) => Ok(Self::from(address)),
            (fault, _) => Err(refuse(fault)),
        }
    }
}

impl From<Ipv4Addr> for Host {
    fn from(address: Ipv4Addr) -> Self {
        Self::folded(&address.to_string())
    }
}

impl From<Ipv6Addr> for Host {
    fn from(address: Ipv6Addr) -> Self {
        Self::folded(&format!("[{address}]"))
    }
}

impl PartialEq for Host {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        equal(self.as_str().as_bytes(), other.as_str().as_bytes())
    }
}

impl Eq for Host {}

impl Hash for Host {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Ord for Host {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Host {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Host {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Why a text is no [`Host`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("host {host} {fault}")]
pub struct HostError {
    host: Excerpt,
    fault: HostFault,
}

impl HostError {
    pub(crate) fn wildcard_address(pattern: &str) -> Self {
        Self { host: Excerpt::of(pattern), fault: HostFault::NumericEnd }
    }

    /// The rule that was broken.
    pub fn fault(&self) -> HostFault {
        self.fault
    }
}

/// The rule of [`Host`] that a text breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostFault {
    /// Nothing, or only a dot.
    #[error("is empty")]
    Empty,
    /// More than 253 bytes.
    #[error("is longer than 253 bytes")]
    TooLong,
    /// Two dots in a row, or a leading dot.
    #[error("has an empty label")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("has a label longer than 63 bytes")]
    LabelTooLong,
    /// A label that starts or ends with `-`.
    #[error("has a label that starts or ends with '-'")]
    Hyphen,
    /// A character that no label may hold.
    #[error("holds the character {0:?}")]
    Character(char),
    /// The last label is a number, yet the whole is no IPv4 address.
    #[error("ends in a number but is no IPv4 address")]
    NumericEnd,
    /// `[` without `]` at the end.
    #[error("has an unclosed bracket")]
    Bracket,
    /// No IPv6 address between the brackets.
    #[error("is no IPv6 address")]
    Ipv6,
    /// An IPv6 zone (`%eth0`), which has no meaning beyond one machine.
    #[error("has an IPv6 zone")]
    Zone,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> HostFault {
        text.parse::<Host>().unwrap_err().fault()
    }

    #[test]
    fn cve_2021_39155_case_is_folded() {
        assert_eq!("Httpbin.Foo".parse::<Host>(), "httpbin.foo".parse());
    }

    #[test]
    fn cve_2022_23632_one_trailing_dot_is_removed() {
        assert_eq!("secure.example.".parse::<Host>(), "secure.example".parse());
        assert_eq!(fault("secure.example.."), HostFault::EmptyLabel);
    }

    #[test]
    fn underscores_and_a_labels_are_plain_labels() {
        for name in ["outbound_.80_._.svc", "xn--bcher-kva.example", "a", "r3---sn.example", "1.a"] {
            assert_eq!(name.parse::<Host>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn addresses_have_one_spelling() {
        let v6: Host = "[2001:DB8:0:0::1]".parse().unwrap();
        assert_eq!(v6.as_str(), "[2001:db8::1]");
        assert_eq!(v6.kind(), HostKind::Ipv6("2001:db8::1".parse().unwrap()));
        assert_eq!("192.0.2.1".parse::<Host>().unwrap().kind(), HostKind::Ipv4(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!("192.0.2.1".parse::<Host>().unwrap().parent(), None);
    }

    #[test]
    fn every_fault_is_named() {
        assert_eq!(fault(""), HostFault::Empty);
        assert_eq!(fault("."), HostFault::Empty);
        assert_eq!(fault("a..b"), HostFault::EmptyLabel);
        assert_eq!(fault(".a"), HostFault::EmptyLabel);
        assert!("a.".repeat(127).parse::<Host>().is_ok(), "253 bytes and a dot");
        assert_eq!(fault(&"a.".repeat(128)), HostFault::TooLong);
        assert_eq!(fault(&format!("{}.b", "a".repeat(64))), HostFault::LabelTooLong);
        assert_eq!(fault("-a.b"), HostFault::Hyphen);
        assert_eq!(fault("a-.b"), HostFault::Hyphen);
        for (text, bad) in [("a/b", '/'), ("a\0b", '\0'), ("*.a", '*'), ("a@b", '@'), ("bücher", 'ü'), ("a b", ' ')] {
            assert_eq!(fault(text), HostFault::Character(bad));
        }
        assert_eq!(fault("10.0.0.256"), HostFault::NumericEnd);
        assert_eq!(fault("[::1"), HostFault::Bracket);
        assert_eq!(fault("[::g]"), HostFault::Ipv6);
        assert_eq!(fault("[fe80::1%eth0]"), HostFault::Zone);
    }

    #[test]
    fn errors_show_the_value_but_not_all_of_a_huge_one() {
        assert_eq!("a b".parse::<Host>().unwrap_err().to_string(), "host \"a b\" holds the character ' '");
        assert!("x".repeat(100_000).parse::<Host>().unwrap_err().to_string().len() < 300);
    }
}
