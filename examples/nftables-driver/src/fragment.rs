//! Which objects are there for one Service port? Its own, and its share in those that several use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use svc_model::{Protocol, ServicePort, TrafficPolicy};

use crate::names::Name;
use crate::table::{Chain, Comment, Element, Key, MapKind, Set, Slot, Table, Verdict};

/// The objects of one Service port. No other port has one of the same name or key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) chains: BTreeMap<Name, Chain>,
    pub(crate) sets: BTreeMap<Name, Set>,
    elements: Vec<(&'static str, Key, Element)>,
    slots: Vec<(SlotMap, Slot, SocketAddr)>,
    pub(crate) shared: BTreeSet<Shared>,
}

/// What several Service ports may use. It goes with the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shared {
    /// A cluster IP.
    ClusterIp(IpAddr),
    /// An endpoint that may send to itself by way of a Service.
    Hairpin(IpAddr),
    /// A chain of the fast layout.
    Chain(SharedChain),
}

/// A chain of the fast layout: one for each number of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SharedChain {
    /// One of so many slots.
    Pick(SlotMap, u32),
    /// Cluster IPs.
    Internal(SlotMap, u32),
    /// Other addresses, or node ports, under policy `Cluster`.
    External(SlotMap, u32),
    /// The same under policy `Local`: so many anywhere, and on the node.
    ShortCircuit(SlotMap, u32, u32),
}

impl SharedChain {
    pub(crate) fn name(self) -> Name {
        Name::generated(match self {
            SharedChain::Pick(slots, n) => format!("pick-{}-{n}", slots.name()),
            SharedChain::Internal(slots, n) => format!("internal-{}-{n}", slots.name()),
            SharedChain::External(slots, n) => format!("external-{}-{n}", slots.name()),
            SharedChain::ShortCircuit(slots, n, local) => format!("short-circuit-{}-{n}-{local}", slots.name()),
        })
    }
}

/// A map to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotMap {
    pub(crate) protocol: Protocol,
    /// Of node ports instead of addresses.
    pub(crate) at_node: bool,
    /// With the endpoints on the node only.
    pub(crate) local: bool,
}

impl SlotMap {
    pub(crate) fn all() -> impl Iterator<Item = SlotMap> {
        let of = |protocol| {
            [(false, false), (false, true), (true, false), (true, true)].map(|(at_node, local)| SlotMap {
                protocol,
                at_node,
                local,
            })
        };
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().flat_map(of)
    }

    pub(crate) fn name(self) -> &'static str {
        let names = match self.protocol {
            Protocol::Tcp => {
                ["tcp-endpoints", "tcp-local-endpoints", "tcp-nodeport-endpoints", "tcp-local-nodeport-endpoints"]
            }
            Protocol::Udp => {
                ["udp-endpoints", "udp-local-endpoints", "udp-nodeport-endpoints", "udp-local-nodeport-endpoints"]
            }
            Protocol::Sctp => {
                ["sctp-endpoints", "sctp-local-endpoints", "sctp-nodeport-endpoints", "sctp-local-nodeport-endpoints"]
            }
        };
        names[2 * usize::from(self.at_node) + usize::from(self.local)]
    }

    pub(crate) fn kind(self) -> MapKind {
        if self.at_node { MapKind::Port } else { MapKind::Address }
    }
}

impl Fragment {
    pub(crate) fn add(&mut self, map: &'static str, key: Key, verdict: Verdict, comment: Option<Comment>) {
        self.elements.push((map, key, Element { verdict, comment }));
    }

    /// The slots of a frontend, and the chain that chooses among them.
    pub(crate) fn slots_of(&mut self, port: &ServicePort, key: Key, is_internal: bool) -> Name {
        let slots = SlotMap { protocol: key.protocol, at_node: key.addr.is_none(), local: false };
        let chain = match (is_internal, port.external_policy) {
            (true, _) => {
                let is_local = port.internal_policy == TrafficPolicy::Local;
                SharedChain::Internal(slots, self.fill(port, key, slots, is_local))
            }
            (false, TrafficPolicy::Cluster) => SharedChain::External(slots, self.fill(port, key, slots, false)),
            (false, TrafficPolicy::Local) => {
                let cluster = self.fill(port, key, slots, false);
                let local = self.fill(port, key, SlotMap { local: true, ..slots }, true);
                SharedChain::ShortCircuit(slots, cluster, local)
            }
        };
        self.shared.insert(Shared::Chain(chain));
        chain.name()
    }

    /// Fills slots with one of the two lists; how many.
    fn fill(&mut self, port: &ServicePort, key: Key, map: SlotMap, is_local: bool) -> u32 {
        let list = if is_local { &port.local.endpoints } else { &port.cluster.endpoints };
        for (number, candidate) in (0..).zip(list.iter()) {
            self.slots.push((map, Slot { addr: key.addr, port: key.port, number }, candidate.addr));
            self.shared.insert(Shared::Hairpin(candidate.addr.ip()));
        }
        let n = u32::try_from(list.len()).unwrap_or(u32::MAX);
        if n > 0 {
            self.shared.insert(Shared::Chain(SharedChain::Pick(map, n)));
        }
        n
    }
}

/// Puts the own objects of fragments into a table that has the maps. All at once, since a map that is filled in order is filled faster.
pub(crate) fn include<'f>(table: &mut Table, fragments: impl IntoIterator<Item = &'f Fragment>) {
    let (mut chains, mut sets) = (Vec::new(), Vec::new());
    let mut elements: BTreeMap<&'static str, Vec<(Key, Element)>> = BTreeMap::new();
    let mut slots: BTreeMap<SlotMap, Vec<(Slot, SocketAddr)>> = BTreeMap::new();
    for fragment in fragments {
        chains.extend(fragment.chains.iter().map(|(name, chain)| (name.clone(), chain.clone())));
        sets.extend(fragment.sets.iter().map(|(name, set)| (name.clone(), set.clone())));
        for (map, key, element) in &fragment.elements {
            elements.entry(*map).or_default().push((*key, element.clone()));
        }
        for (map, slot, endpoint) in &fragment.slots {
            slots.entry(*map).or_default().push((*slot, *endpoint));
        }
    }
    table.chains.append(&mut chains.into_iter().collect());
    table.sets.append(&mut sets.into_iter().collect());
    for (name, elements) in elements {
        if let Some(map) = table.maps.get_mut(name) {
            map.elements.append(&mut elements.into_iter().collect());
        }
    }
    for (map, slots) in slots {
        if let Some(map) = table.slots.get_mut(map.name()) {
            map.elements.append(&mut slots.into_iter().collect());
        }
    }
}
