//! Which hosts does a name in a manifest stand for, and which of two patterns is more specific?

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::str::FromStr;

use crate::host::{Host, HostError};

/// The hosts a rule is for.
///
/// Ordered from most to least specific: exact hosts, wildcards by falling length of their suffix (of one suffix, the
/// one-label wildcard first), any host. A wildcard stands for names only, never for addresses.
///
/// As text: `shop.example`, `*.example` (exactly one more label: Kubernetes Ingress), `**.example` (one or more labels:
/// Gateway API, Istio), `*` (any host, and requests without one).
///
/// ```
/// use route_match::{Host, HostPattern};
///
/// let one: HostPattern = "*.shop.example".parse()?;
/// assert!(one.matches(&"a.shop.example".parse()?));
/// assert!(!one.matches(&"b.a.shop.example".parse()?));
/// assert!(!one.matches(&"shop.example".parse()?));
/// # Ok::<(), route_match::HostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// The names below a suffix.
    Wildcard(Wildcard),
    /// Every host, and requests without one.
    Any,
}

/// The names below a suffix, never the suffix itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wildcard {
    suffix: Host,
    depth: WildcardDepth,
}

/// How many labels the `*` of a [`Wildcard`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WildcardDepth {
    /// Exactly one: Kubernetes Ingress, certificates.
    One,
    /// One or more: Gateway API, Istio.
    Any,
}

impl Wildcard {
    /// The wildcard over the names below `suffix`. `None` when that is an address.
    pub fn new(suffix: Host, depth: WildcardDepth) -> Option<Self> {
        suffix.is_name().then_some(Self { suffix, depth })
    }

    /// What every matching name ends in, after a dot.
    pub fn suffix(&self) -> &Host {
        &self.suffix
    }

    /// How many labels may stand before the suffix.
    pub fn depth(&self) -> WildcardDepth {
        self.depth
    }

    fn matches(&self, host: &Host) -> bool {
        if !host.is_name() {
            return false;
        }
        let Some(labels) = host.as_str().strip_suffix(self.suffix.as_str()).and_then(|rest| rest.strip_suffix('.'))
        else {
            return false;
        };
        self.depth == WildcardDepth::Any || !labels.contains('.')
    }
}

impl HostPattern {
    /// Reads a pattern in which `*.` stands for `depth` labels, whatever the number of stars; the empty text and `*`
    /// are any host.
    pub fn parse(text: &str, depth: WildcardDepth) -> Result<Self, HostError> {
        if text.is_empty() || text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_prefix("*.") {
            None => text.parse().map(Self::Exact),
            Some(suffix) => {
                let host: Host = suffix.parse()?;
                // `*.10.0.0.1`: judged as the name it is not.
                Wildcard::new(host, depth).map(Self::Wildcard).ok_or_else(|| HostError::wildcard_address(text))
            }
        }
    }

    /// Whether the pattern stands for this host.
    pub fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Wildcard(wildcard) => wildcard.matches(host),
            Self::Any => true,
        }
    }

    /// Whether the pattern stands for every host that the other stands for.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (_, Self::Exact(host)) => self.matches(host),
            (Self::Exact(_), Self::Wildcard(_)) => false,
            (Self::Wildcard(wide), Self::Wildcard(narrow)) => match wide.depth {
                WildcardDepth::Any => wide.suffix == narrow.suffix || wide.matches(&narrow.suffix),
                WildcardDepth::One => wide == narrow,
            },
        }
    }

    /// The hosts that both stand for: the narrower of the two, or nothing.
    ///
    /// ```
    /// use route_match::HostPattern;
    ///
    /// let listener: HostPattern = "**.example".parse()?;
    /// let route: HostPattern = "**.shop.example".parse()?;
    /// assert_eq!(listener.intersection(&route), Some(&route));
    /// assert_eq!(listener.intersection(&"example".parse()?), None);
    /// # Ok::<(), route_match::HostError>(())
    /// ```
    pub fn intersection<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        if self.covers(other) { Some(other) } else { other.covers(self).then_some(self) }
    }

    fn specificity(&self) -> impl Ord + '_ {
        match self {
            Self::Exact(host) => (0, Reverse(0), host.as_str(), WildcardDepth::One),
            Self::Wildcard(Wildcard { suffix, depth }) => (1, Reverse(suffix.as_str().len()), suffix.as_str(), *depth),
            Self::Any => (2, Reverse(0), "", WildcardDepth::Any),
        }
    }
}

impl Ord for HostPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.specificity().cmp(&other.specificity())
    }
}

impl PartialOrd for HostPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Host> for HostPattern {
    fn from(host: Host) -> Self {
        Self::Exact(host)
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match text.strip_prefix('*') {
            Some(rest) if rest.starts_with("*.") => Self::parse(rest, WildcardDepth::Any),
            _ => Self::parse(text, WildcardDepth::One),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::Wildcard(Wildcard { suffix, depth: WildcardDepth::One }) => write!(f, "*.{suffix}"),
            Self::Wildcard(Wildcard { suffix, depth: WildcardDepth::Any }) => write!(f, "**.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn cve_2020_15104_wildcard_covers_one_label() {
        let one = pattern("*.a.example");
        assert!(one.matches(&"x.a.example".parse().unwrap()));
        assert!(!one.matches(&"x.y.a.example".parse().unwrap()));
        assert!(!one.matches(&"a.example".parse().unwrap()));
        assert!(!one.matches(&"xa.example".parse().unwrap()));
        for inert in ["f*.example", "*.", "a.*.example", "*.*.example", "**"] {
            assert!(inert.parse::<HostPattern>().is_err(), "{inert}");
        }
    }

    #[test]
    fn a_deep_wildcard_covers_any_number_of_labels_but_not_the_suffix() {
        let deep = pattern("**.a.example");
        assert!(deep.matches(&"x.a.example".parse().unwrap()));
        assert!(deep.matches(&"x.y.a.example".parse().unwrap()));
        assert!(!deep.matches(&"a.example".parse().unwrap()));
    }

    #[test]
    fn wildcards_never_cover_addresses() {
        assert!("*.0.0.1".parse::<HostPattern>().is_err());
        assert!("*.10.0.0.1".parse::<HostPattern>().is_err());
        assert!(pattern("*").matches(&"10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_order_is_from_most_to_least_specific() {
        let mut patterns: Vec<_> =
            ["*", "**.example", "*.example", "*.a.example", "z.example", "b.example"].map(pattern).into();
        patterns.sort();
        let text: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["b.example", "z.example", "*.a.example", "*.example", "**.example", "*"]);
    }

    #[test]
    fn patterns_are_nested_or_apart() {
        let all: Vec<_> =
            ["*", "**.example", "*.example", "**.a.example", "*.a.example", "b.a.example", "a.example", "10.0.0.1"]
                .map(pattern)
                .into();
        let hosts: Vec<Host> = ["example", "a.example", "b.a.example", "c.b.a.example", "x.example", "10.0.0.1"]
            .map(|host| host.parse().unwrap())
            .into();
        for one in &all {
            for other in &all {
                let both = |host: &&Host| one.matches(host) && other.matches(host);
                let expected: Vec<&Host> = hosts.iter().filter(both).collect();
                let found = one.intersection(other);
                let matched: Vec<&Host> = hosts.iter().filter(|host| found.is_some_and(|p| p.matches(host))).collect();
                assert_eq!(matched, expected, "{one} and {other}");
            }
        }
    }

    #[test]
    fn display_reads_back() {
        for text in ["a.example", "*.a.example", "**.a.example", "*", "[::1]"] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }
}
