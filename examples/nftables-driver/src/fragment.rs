//! Which objects are there for one Service port? Its own, and its share in those that several use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use svc_model::{Protocol, ServicePort, TrafficPolicy};

use crate::names::{Name, protocol_word};
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
    /// An address in a range of Services that one has as something else than its cluster IP.
    Taken(IpAddr),
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

    pub(crate) fn name(self) -> Name {
        let local = if self.local { "local-" } else { "" };
        let at_node = if self.at_node { "nodeport-" } else { "" };
        Name::generated(format!("{}-{local}{at_node}endpoints", protocol_word(self.protocol)))
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

    /// Puts its own objects into a table that has the maps.
    pub(crate) fn include(&self, table: &mut Table) {
        table.chains.extend(self.chains.iter().map(|(name, chain)| (name.clone(), chain.clone())));
        table.sets.extend(self.sets.iter().map(|(name, set)| (name.clone(), set.clone())));
        for (name, key, element) in &self.elements {
            if let Some(map) = table.maps.get_mut(*name) {
                map.elements.insert(*key, element.clone());
            }
        }
        for (map, slot, endpoint) in &self.slots {
            if let Some(slots) = table.slots.get_mut(&map.name()) {
                slots.elements.insert(*slot, *endpoint);
            }
        }
    }
}
