//! What is a host? One canonical type, so that no two stages can disagree about a name.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::excerpt::Excerpt;

/// Longest name in bytes, without a trailing dot (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;
/// Longest label in bytes.
const MAX_LABEL: usize = 63;

/// A host name or address literal in canonical form: ASCII lower case, without trailing dot; an IPv6 address in
/// brackets and in the spelling of RFC 5952.
///
/// Two hosts are the same exactly when they are equal as values of this type. A name has labels of 1..=63 bytes out of
/// letters, digits, `-` and `_` (service meshes depend on the underscore), none starting or ending with `-`, 253 bytes
/// in all, and its last label is not all digits (that would be a malformed IPv4 address). A-labels (`xn--`) are plain
/// ASCII here; no IDNA conversion is done.
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    text: Box<str>,
    kind: HostKind,
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
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Name or address.
    pub fn kind(&self) -> HostKind {
        self.kind
    }

    /// Whether this is a DNS name, not an address.
    pub fn is_name(&self) -> bool {
        self.kind == HostKind::Name
    }

    /// The name without its first label: the part a one-label wildcard over this host would name. `None` for an address
    /// and for a name of a single label.
    pub fn parent(&self) -> Option<&str> {
        if !self.is_name() {
            return None;
        }
        self.text.split_once('.').map(|(_, parent)| parent)
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
            return Ok(Self { text: name.to_ascii_lowercase().into_boxed_str(), kind: HostKind::Name });
        }
        match (name_fault(name), text.parse::<Ipv4Addr>()) {
            // The one way to end in a number.
            (HostFault::NumericEnd, Ok(address)) => Ok(Self::from(address)),
            (fault, _) => Err(refuse(fault)),
        }
    }
}

/// Whether this is a name, in one pass for most.
fn is_name(name: &[u8]) -> bool {
    // A name begins as after a dot.
    let (mut met, mut unfit) = (0, UNFIT_NEXT[usize::from(b'.')]);
    for b in name {
        met |= CLASSES[usize::from(*b)] & (OTHER | unfit);
        unfit = UNFIT_NEXT[usize::from(*b)];
    }
    let last_label = || name.rsplit(|b| *b == b'.').next().unwrap_or_default();
    met == 0
        && unfit == 0
        && (name.len() <= MAX_LABEL
            || name.len() <= MAX_NAME && name.split(|b| *b == b'.').all(|label| label.len() <= MAX_LABEL))
        && !(name.last().is_some_and(u8::is_ascii_digit) && last_label().iter().all(u8::is_ascii_digit))
}

const DOT: u8 = 1;
const HYPHEN: u8 = 2;
/// A byte that no label holds.
const OTHER: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut b = 0u8;
    while b < 128 {
        if b.is_ascii_alphanumeric() || b == b'_' {
            classes[b as usize] = 0;
        }
        b += 1;
    }
    classes[b'.' as usize] = DOT;
    classes[b'-' as usize] = HYPHEN;
    classes
};

/// The classes that may not follow a byte, and after which a name may not end.
const UNFIT_NEXT: [u8; 256] = {
    let mut unfit = [0; 256];
    unfit[b'.' as usize] = DOT | HYPHEN;
    unfit[b'-' as usize] = DOT;
    unfit
};

/// What keeps a text from being a name.
fn name_fault(name: &str) -> HostFault {
    if name.is_empty() {
        return HostFault::Empty;
    }
    if name.len() > MAX_NAME {
        return HostFault::TooLong;
    }
    for label in name.split('.') {
        if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_') {
            return HostFault::Character(bad);
        }
        match label.as_bytes() {
            [] => return HostFault::EmptyLabel,
            [b'-', ..] | [.., b'-'] => return HostFault::Hyphen,
            bytes if bytes.len() > MAX_LABEL => return HostFault::LabelTooLong,
            _ => {}
        }
    }
    HostFault::NumericEnd
}

impl From<Ipv4Addr> for Host {
    fn from(address: Ipv4Addr) -> Self {
        Self { text: address.to_string().into_boxed_str(), kind: HostKind::Ipv4(address) }
    }
}

impl From<Ipv6Addr> for Host {
    fn from(address: Ipv6Addr) -> Self {
        Self { text: format!("[{address}]").into_boxed_str(), kind: HostKind::Ipv6(address) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Host {
    fn as_ref(&self) -> &str {
        &self.text
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn one_pass_takes_what_has_no_fault(text in "[aZ09_.-]{0,8}|[a-z]{62,65}(\\.[a-z0-9]{62,65}){0,4}|\\PC{0,6}") {
            let by_labels = !text.is_empty()
                && text.len() <= MAX_NAME
                && text.split('.').all(|label| {
                    (1..=MAX_LABEL).contains(&label.len())
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                })
                && !text.rsplit('.').next().unwrap().bytes().all(|b| b.is_ascii_digit());
            prop_assert_eq!(is_name(text.as_bytes()), by_labels);
            // What is refused has a fault other than ending in a number, unless it does.
            let ends_in_number = text.rsplit('.').next().unwrap().bytes().all(|b| b.is_ascii_digit());
            prop_assert!(by_labels || name_fault(&text) != HostFault::NumericEnd || ends_in_number);
        }
    }

    #[test]
    fn errors_show_the_value_but_not_all_of_a_huge_one() {
        assert_eq!("a b".parse::<Host>().unwrap_err().to_string(), "host \"a b\" holds the character ' '");
        assert!("x".repeat(100_000).parse::<Host>().unwrap_err().to_string().len() < 300);
    }
}
