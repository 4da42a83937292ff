//! What does a name in an Istio object mean? Short hosts, names of gateways, and which names cover which.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use svc_model::NamespacedName;

/// What follows the namespace in the name of a Service.
const SERVICE_SUFFIX: &str = "svc.cluster.local";

/// The gateway name that stands for all sidecars.
const MESH: &str = "mesh";

/// A host in full: one without a dot is the name of a Service in the namespace of the object that holds it. Names with a dot, the
/// wildcard `*` and addresses are complete.
///
/// ```
/// use route_match::istio::full_host;
///
/// assert_eq!(full_host("reviews", "shop"), "reviews.shop.svc.cluster.local");
/// assert_eq!(full_host("reviews.shop", "web"), "reviews.shop");
/// ```
pub fn full_host<'h>(host: &'h str, namespace: &str) -> Cow<'h, str> {
    if host.is_empty() || host.starts_with('*') || host.contains('.') || host.parse::<IpAddr>().is_ok() {
        Cow::Borrowed(host)
    } else {
        Cow::Owned(service_host(namespace, host))
    }
}

/// The name of a Service in full.
pub(crate) fn service_host(namespace: &str, name: &str) -> String {
    format!("{name}.{namespace}.{SERVICE_SUFFIX}")
}

/// The namespace and name of the Service that a full name could be that of.
pub(crate) fn service_of(host: &str) -> Option<(&str, &str)> {
    let (name, rest) = host.split_once('.')?;
    let (namespace, suffix) = rest.split_once('.')?;
    (suffix == SERVICE_SUFFIX).then_some((namespace, name))
}

/// Where a rule holds: at a gateway, or in the sidecars.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GatewayName {
    /// In the sidecars.
    Mesh,
    /// At the gateways of this Gateway.
    Named(NamespacedName),
}

impl GatewayName {
    /// Reads a name as it stands in an object of `namespace`: `NAME`, `./NAME` and `NAMESPACE/NAME`; the older
    /// `NAME.NAMESPACE` and `NAME.NAMESPACE.svc.cluster.local`; or `mesh`.
    ///
    /// ```
    /// use route_match::istio::GatewayName;
    ///
    /// for text in ["edge", "./edge", "infra/edge", "edge.infra", "edge.infra.svc.cluster.local"] {
    ///     assert_eq!(GatewayName::read(text, "infra").to_string(), "infra/edge");
    /// }
    /// assert_eq!(GatewayName::read("mesh", "infra"), GatewayName::Mesh);
    /// ```
    pub fn read(text: &str, namespace: &str) -> Self {
        let (namespace, name) = match (text.split_once('/'), text.split_once('.')) {
            (Some((".", name)), _) => (namespace, name),
            (Some((other, name)), _) => (other, name),
            (None, Some((name, rest))) => (rest.split_once('.').map_or(rest, |(other, _)| other), name),
            (None, None) if text == MESH => return Self::Mesh,
            (None, None) => (namespace, text),
        };
        Self::Named(NamespacedName::new(namespace, name))
    }

    /// The Gateway, if it is one.
    pub fn gateway(&self) -> Option<&NamespacedName> {
        match self {
            Self::Mesh => None,
            Self::Named(name) => Some(name),
        }
    }

    /// Whether a list of an object of `namespace` holds this name. The empty list of a VirtualService means the sidecars.
    pub fn is_in(&self, list: &[String], namespace: &str) -> bool {
        match list {
            [] => *self == Self::Mesh,
            list => list.iter().any(|text| Self::read(text, namespace) == *self),
        }
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str(MESH),
            Self::Named(name) => name.fmt(f),
        }
    }
}

/// Whether a name, perhaps a wildcard, stands for all that another does. `*.a` covers names of any depth below `a`, not `a`
/// itself. Letters are compared exactly, as Istio does while it pairs names.
///
/// ```
/// use route_match::istio::covers;
///
/// assert!(covers("*.shop.example", "eu.shop.example") && covers("*.example", "*.shop.example") && covers("*", "*.example"));
/// assert!(!covers("*.shop.example", "shop.example") && !covers("eu.shop.example", "*.shop.example"));
/// ```
pub fn covers(wide: &str, narrow: &str) -> bool {
    match (wide.strip_prefix('*'), narrow.strip_prefix('*')) {
        (Some(wide), Some(narrow)) => narrow.ends_with(wide),
        (Some(wide), None) => narrow.ends_with(wide),
        (None, _) => wide == narrow,
    }
}

/// Whether there are hosts that both names stand for: one of them covers the other.
pub fn overlaps(a: &str, b: &str) -> bool {
    covers(a, b) || covers(b, a)
}

/// Names and wildcards, such that whether one of them covers a name costs the number of its labels and not theirs.
#[derive(Clone, Debug)]
pub(crate) struct Names<N> {
    exact: BTreeSet<N>,
    /// What follows the star; empty for `*`.
    suffixes: BTreeSet<N>,
}

/// The same, borrowed.
pub(crate) type NameSet<'n> = Names<&'n str>;

impl<N: Ord + Borrow<str>> Names<N> {
    /// Whether one of the names covers this one.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let (own, covered) = match name.strip_prefix('*') {
            Some(suffix) => (self.suffixes.contains(suffix), suffix),
            None => (self.exact.contains(name), name),
        };
        let dots = covered.char_indices().filter(|(_, c)| *c == '.');
        own || self.suffixes.contains("") || dots.map(|(at, _)| &covered[at..]).any(|end| self.suffixes.contains(end))
    }

    /// The names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let wildcard = |suffix: &N| {
            let suffix: &str = suffix.borrow();
            Cow::Owned(format!("*{suffix}"))
        };
        self.exact.iter().map(|name| Cow::Borrowed(name.borrow())).chain(self.suffixes.iter().map(wildcard))
    }

    /// Of each pair of a name of one set and one of the other, the narrower where one covers the other; in lower case. Costs the
    /// names of `other`, and those of this set only if `other` has a wildcard.
    pub(crate) fn intersection<M: Ord + Borrow<str>>(&self, other: &Names<M>) -> BTreeSet<String> {
        let below = other.iter().filter(|name| self.covers(name)).map(|name| name.to_ascii_lowercase());
        let mut out: BTreeSet<String> = below.collect();
        if !other.suffixes.is_empty() {
            out.extend(self.iter().filter(|name| other.covers(name)).map(|name| name.to_ascii_lowercase()));
        }
        out
    }
}

impl<N> Default for Names<N> {
    fn default() -> Self {
        Self { exact: BTreeSet::new(), suffixes: BTreeSet::new() }
    }
}

impl<'n, N: Ord + From<&'n str>> Extend<&'n str> for Names<N> {
    fn extend<I: IntoIterator<Item = &'n str>>(&mut self, names: I) {
        for name in names {
            match name.strip_prefix('*') {
                Some(suffix) => self.suffixes.insert(suffix.into()),
                None => self.exact.insert(name.into()),
            };
        }
    }
}

impl<'n, N: Ord + From<&'n str>> FromIterator<&'n str> for Names<N> {
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        let mut set = Self::default();
        set.extend(names);
        set
    }
}

/// The `hosts` of a server, taken apart: the namespace that the VirtualServices must be of, if one is named, and the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerHost {
    /// The namespace; `None` for any.
    pub namespace: Option<Box<str>>,
    /// The host as written: exact, `*.` and a suffix, or `*`.
    pub host: Box<str>,
}

impl ServerHost {
    /// Reads a list of a Gateway of `namespace`: `HOST` and `*/HOST` for all namespaces, `./HOST`, `NAMESPACE/HOST`. One `*/*` makes the
    /// whole list `*`.
    pub fn read(hosts: &[String], namespace: &str) -> Vec<Self> {
        if hosts.iter().any(|host| host == "*/*") {
            return vec![Self { namespace: None, host: "*".into() }];
        }
        let read = |text: &String| match text.split_once('/') {
            None => Self { namespace: None, host: text.as_str().into() },
            Some(("*", host)) => Self { namespace: None, host: host.into() },
            Some((".", host)) => Self { namespace: Some(namespace.into()), host: host.into() },
            Some((other, host)) => Self { namespace: Some(other.into()), host: host.into() },
        };
        hosts.iter().map(read).collect()
    }

    /// Whether VirtualServices of this namespace count.
    pub fn admits(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl fmt::Display for ServerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_host_without_a_dot_is_short() {
        for complete in ["", "*", "*.a", "a.b", "10.0.0.1", "::1"] {
            assert_eq!(full_host(complete, "ns"), complete);
        }
        assert_eq!(service_of("a.ns.svc.cluster.local"), Some(("ns", "a")));
        assert_eq!(service_of("a.ns.svc"), None);
        assert_eq!(service_of("b.a.ns.svc.cluster.local"), None);
    }

    #[test]
    fn a_list_with_one_everything_is_everything() {
        let read = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            ServerHost::read(&hosts, "own").iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(read(&["a.x", "*/b.x", "./c.x", "ns/*.x", "*/*.y"]), ["a.x", "b.x", "own/c.x", "ns/*.x", "*.y"]);
        assert_eq!(read(&["a.x", "*/*"]), ["*"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_set_is_the_pairs_of_its_names(
            names in proptest::collection::vec("(\\*|\\*\\.)?[ab](\\.[ab]){0,2}|\\*", 0..5),
            others in proptest::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,2}|\\*", 0..5),
        ) {
            let set: NameSet<'_> = names.iter().filter(|name| well_formed(name)).map(String::as_str).collect();
            let other: Names<Box<str>> = others.iter().map(String::as_str).collect();
            let mut expected = BTreeSet::new();
            for a in names.iter().filter(|name| well_formed(name)) {
                for b in &others {
                    if covers(a, b) {
                        expected.insert(b.clone());
                    } else if covers(b, a) {
                        expected.insert(a.clone());
                    }
                }
            }
            prop_assert_eq!(set.intersection(&other), expected);
        }
    }

    /// A star stands alone or before a dot; admission takes no other.
    fn well_formed(name: &str) -> bool {
        name.strip_prefix('*').is_none_or(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}
