//! Which clients are let in? `allowlist-source-range` and `denylist-source-range`.

use std::net::IpAddr;

use ipnet::IpNet;

/// Who may send requests, by address: those on the first list never, then, if there is a second list, only those on it. This is
/// how nginx reads the `deny`s and `allow`s that ingress-nginx writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    deny: AddrSet,
    allow: Option<AddrSet>,
}

/// The annotation by which a client is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum Refusal {
    Denied,
    NotAllowed,
}

impl Access {
    /// An empty list of those allowed allows all.
    pub(super) fn new(deny: Vec<IpNet>, allow: Vec<IpNet>) -> Self {
        let allow = (!allow.is_empty()).then(|| AddrSet::new(allow));
        Self { deny: AddrSet::new(deny), allow }
    }

    /// The networks that are kept out; none overlaps another.
    pub fn denied(&self) -> &[IpNet] {
        &self.deny.0
    }

    /// The networks that alone are let in, if not all are; none overlaps another.
    pub fn allowed(&self) -> Option<&[IpNet]> {
        self.allow.as_ref().map(|allow| &*allow.0)
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.deny.0.is_empty() && self.allow.is_none()
    }

    /// Why a client is kept out; `None` for one that is let in. O(log n).
    pub(in crate::ingress) fn refusal(&self, client: IpAddr) -> Option<Refusal> {
        // nginx judges an IPv4 client of an IPv6 socket by its IPv4 address.
        let client = client.to_canonical();
        if self.deny.contains(client) {
            Some(Refusal::Denied)
        } else if self.allow.as_ref().is_some_and(|allow| !allow.contains(client)) {
            Some(Refusal::NotAllowed)
        } else {
            None
        }
    }

    /// The annotation that makes it depend on the client who is let in.
    pub(in crate::ingress) fn annotation(&self) -> &'static str {
        if self.allow.is_some() { Refusal::NotAllowed.annotation() } else { Refusal::Denied.annotation() }
    }
}

impl Refusal {
    pub(in crate::ingress) fn annotation(self) -> &'static str {
        match self {
            Self::Denied => "denylist-source-range",
            Self::NotAllowed => "allowlist-source-range",
        }
    }
}

/// A set of addresses: networks that do not overlap, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AddrSet(Box<[IpNet]>);

impl AddrSet {
    fn new(nets: Vec<IpNet>) -> Self {
        let mut nets = IpNet::aggregate(&nets);
        nets.sort_unstable_by_key(IpNet::network);
        Self(nets.into())
    }

    fn contains(&self, addr: IpAddr) -> bool {
        let after = self.0.partition_point(|net| net.network() <= addr);
        after.checked_sub(1).is_some_and(|at| self.0[at].contains(&addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net() -> impl Strategy<Value = IpNet> {
        prop_oneof![
            (0u32..64, 26u8..=32).prop_map(|(low, len)| IpNet::new((0x0a00_0000 + low).to_be_bytes().into(), len)),
            (0u128..64, 122u8..=128)
                .prop_map(|(low, len)| IpNet::new(IpAddr::V6(((0xfd00u128 << 112) + low).into()), len)),
        ]
        .prop_map(|net| net.unwrap().trunc())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn lists_are_read_as_nginx_reads_its_rules_in_order(
            deny in proptest::collection::vec(net(), 0..6),
            allow in proptest::collection::vec(net(), 0..6),
            low in 0u8..80,
            mapped: bool,
            v6: bool,
        ) {
            let client: IpAddr = match (v6, mapped) {
                (true, _) => format!("fd00::{low:x}").parse().unwrap(),
                (false, true) => format!("::ffff:10.0.0.{low}").parse().unwrap(),
                (false, false) => format!("10.0.0.{low}").parse().unwrap(),
            };
            let on = |list: &[IpNet]| list.iter().any(|net| net.contains(&client.to_canonical()));
            let expected = match (on(&deny), allow.is_empty() || on(&allow)) {
                (true, _) => Some(Refusal::Denied),
                (false, true) => None,
                (false, false) => Some(Refusal::NotAllowed),
            };
            prop_assert_eq!(Access::new(deny, allow).refusal(client), expected);
        }
    }
}
