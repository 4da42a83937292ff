//! Which range holds this address? The narrowest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

/// A map from address ranges to values, asked with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetTable<V> {
    nets: BTreeMap<IpNet, V>,
    /// The lengths of the prefixes there are, which bounds the probes of a look-up.
    lengths: BTreeSet<u8>,
}

impl<V> Default for NetTable<V> {
    fn default() -> Self {
        Self { nets: BTreeMap::new(), lengths: BTreeSet::new() }
    }
}

impl<V> NetTable<V> {
    /// Gives a range a value, unless it has one.
    pub(crate) fn insert(&mut self, net: IpNet, value: V) {
        self.lengths.insert(net.prefix_len());
        self.nets.entry(net.trunc()).or_insert(value);
    }

    /// The value of the narrowest range that holds the address.
    pub(crate) fn find(&self, addr: IpAddr) -> Option<(&IpNet, &V)> {
        let of = |length: &u8| self.nets.get_key_value(&IpNet::new(addr, *length).ok()?.trunc());
        self.lengths.iter().rev().find_map(of)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&IpNet, &V)> {
        self.nets.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_narrowest_is_what_a_scan_finds(
            nets in proptest::collection::vec((0u32..64, 24u8..=32), 0..12),
            addr in 0u32..64,
        ) {
            let mut table = NetTable::default();
            let nets: Vec<IpNet> = nets
                .into_iter()
                .map(|(bits, length)| IpNet::new(IpAddr::from((bits << 2).to_be_bytes()), length).unwrap().trunc())
                .collect();
            for (at, net) in nets.iter().enumerate() {
                table.insert(*net, at);
            }
            let addr = IpAddr::from((addr << 2).to_be_bytes());
            let holding = nets.iter().enumerate().filter(|(_, net)| net.contains(&addr));
            let scan = holding.min_by_key(|(at, net)| (std::cmp::Reverse(net.prefix_len()), *at)).map(|(at, _)| at);
            prop_assert_eq!(table.find(addr).map(|(_, at)| *at), scan);
        }
    }
}
