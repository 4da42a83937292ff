//! Which objects are there for one Service port? Its own, and its share in those that several use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use svc_model::{ServicePort, TrafficPolicy};

use crate::names::Name;
use crate::table::{Chain, Comment, Element, Key, MapKind, Set, Table, Verdict};

/// The objects of one Service port. No other port has one of the same name or key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) chains: BTreeMap<Name, Chain>,
    pub(crate) sets: BTreeMap<Name, Set>,
    elements: Vec<(&'static str, Key, Element)>,
    slots: Vec<(SlotMap, (Key, u32), SocketAddr)>,
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
    Internal(u32),
    /// Other addresses, or node ports, under policy `Cluster`.
    External(bool, u32),
    /// The same under policy `Local`: so many anywhere, and on the node.
    ShortCircuit(bool, u32, u32),
}

impl SharedChain {
    pub(crate) fn name(self) -> Name {
        let node = |at_node| if at_node { "node-" } else { "" };
        Name::generated(match self {
            SharedChain::Pick(slots, n) => format!("pick-{}-{n}", slots.name()),
            SharedChain::Internal(n) => format!("internal-{n}"),
            SharedChain::External(at_node, n) => format!("{}external-{n}", node(at_node)),
            SharedChain::ShortCircuit(at_node, n, local) => format!("{}short-circuit-{n}-{local}", node(at_node)),
        })
    }
}

/// The maps to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SlotMap {
    /// Of addresses.
    Addresses,
    /// Of addresses, those on the node.
    LocalAddresses,
    /// Of node ports.
    NodePorts,
    /// Of node ports, those on the node.
    LocalNodePorts,
}

impl SlotMap {
    pub(crate) const ALL: [SlotMap; 4] =
        [SlotMap::Addresses, SlotMap::LocalAddresses, SlotMap::NodePorts, SlotMap::LocalNodePorts];

    pub(crate) fn of(at_node: bool, local: bool) -> SlotMap {
        match (at_node, local) {
            (false, false) => SlotMap::Addresses,
            (false, true) => SlotMap::LocalAddresses,
            (true, false) => SlotMap::NodePorts,
            (true, true) => SlotMap::LocalNodePorts,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            SlotMap::Addresses => "endpoints",
            SlotMap::LocalAddresses => "local-endpoints",
            SlotMap::NodePorts => "nodeport-endpoints",
            SlotMap::LocalNodePorts => "local-nodeport-endpoints",
        }
    }

    pub(crate) fn kind(self) -> MapKind {
        match self {
            SlotMap::Addresses | SlotMap::LocalAddresses => MapKind::Address,
            SlotMap::NodePorts | SlotMap::LocalNodePorts => MapKind::Port,
        }
    }
}

impl Fragment {
    pub(crate) fn add(&mut self, map: &'static str, key: Key, verdict: Verdict, comment: Option<Comment>) {
        self.elements.push((map, key, Element { verdict, comment }));
    }

    /// The slots of a frontend, and the chain that chooses among them.
    pub(crate) fn slots_of(&mut self, port: &ServicePort, key: Key, is_internal: bool) -> Name {
        let at_node = key.addr.is_none();
        let chain = match (is_internal, port.external_policy) {
            (true, _) => {
                let is_local = port.internal_policy == TrafficPolicy::Local;
                SharedChain::Internal(self.fill(port, key, SlotMap::Addresses, is_local))
            }
            (false, TrafficPolicy::Cluster) => {
                SharedChain::External(at_node, self.fill(port, key, SlotMap::of(at_node, false), false))
            }
            (false, TrafficPolicy::Local) => {
                let cluster = self.fill(port, key, SlotMap::of(at_node, false), false);
                SharedChain::ShortCircuit(at_node, cluster, self.fill(port, key, SlotMap::of(at_node, true), true))
            }
        };
        self.shared.insert(Shared::Chain(chain));
        chain.name()
    }

    /// Fills slots with one of the two lists; how many.
    fn fill(&mut self, port: &ServicePort, key: Key, map: SlotMap, is_local: bool) -> u32 {
        let list = if is_local { &port.local.endpoints } else { &port.cluster.endpoints };
        for (i, candidate) in (0..).zip(list.iter()) {
            self.slots.push((map, (key, i), candidate.addr));
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
            if let Some(slots) = table.slots.get_mut(map.name()) {
                slots.elements.insert(*slot, *endpoint);
            }
        }
    }
}
