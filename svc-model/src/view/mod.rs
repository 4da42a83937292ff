//! Where may a packet go, as one node sees it?

mod candidates;
mod claims;
mod decide;
mod delta;
mod detector;
mod flows;
mod host_ports;
mod node_ports;
mod pick;
mod reason;
mod rows;
mod service_port;
mod settings;
mod update;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub use candidates::{Candidate, Candidates, Choice};
pub use claims::Destination;
pub use decide::{Decision, Endpoints, Frontend, FrontendKind, Packet, UnknownFrontendKind, Verdict};
pub use delta::{Aspects, Delta, HostPortChange, PortChange, Work};
pub use detector::PodDevice;
pub use flows::{Flow, StaleFlow};
pub use host_ports::HostPort;
pub use pick::{AffinityTable, Client, Picked};
pub use reason::{Explanation, Reason};
pub use service_port::{ServicePort, ServicePortId, ServicePortKey, TrafficPolicy};
pub use settings::{AmbiguousNode, Mode, NodeSettings, UnknownMode};

use crate::cluster::Cluster;
use crate::kind::NamespacedName;
use claims::{Claim, Claims};
use host_ports::HostPorts;
use rows::Rows;

/// The Services of a cluster as one node serves them: a table that [`NodeView::decide`]s packets and
/// [`NodeView::update`]s itself.
///
/// Building costs O(Service ports + endpoints), where the endpoints of a Service count once for each distinct target port, and
/// a Pod once for each Service that selects it: 1,000 Services that select the same 1,000 Pods have a million
/// endpoints, each some 48 bytes of the view. A decision costs a few look-ups, whatever the number of Services and endpoints
/// (see the crate page); it allocates nothing. An update costs what it touches.
///
/// Several views, of several nodes, can be fed from one [`Cluster`]. A clone shares the Service ports, but has a table
/// of its own.
///
/// Where two Services claim one address, protocol and port, a cluster IP goes before an external IP and that before a load
/// balancer's address; among equals the first by (namespace, name, port name) has it. The losers are
/// [`NodeView::conflicts`].
#[derive(Clone, Debug)]
pub struct NodeView {
    settings: NodeSettings,
    rows: Rows,
    /// The rows of each Service, by namespace and name, in the order of its ports.
    services: BTreeMap<Box<str>, RowsByService>,
    addresses: Claims<Destination>,
    /// At the unspecified address of the family.
    node_ports: Claims<Destination>,
    /// The addresses that Services own, by the first port of each in the family. The node's own may be among them.
    owners: Claims<IpAddr>,
    health_check_ports: Claims<u16>,
    host_ports: HostPorts,
}

/// The rows of each Service of one namespace, by name.
type RowsByService = BTreeMap<Box<str>, Box<[u32]>>;

/// A frontend that two Service ports claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// What is claimed; the unspecified address stands for the node's own in the case of a node port.
    pub destination: Destination,
    /// The Service that has it.
    pub owner: Arc<NamespacedName>,
    /// The Service that does not.
    pub loser: Arc<NamespacedName>,
    /// As what the loser claims it.
    pub kind: FrontendKind,
}

impl NodeView {
    /// The view of a node.
    pub fn new(cluster: &Cluster, settings: NodeSettings) -> NodeView {
        let mut view = NodeView {
            settings,
            rows: Rows::default(),
            services: BTreeMap::new(),
            addresses: Claims::default(),
            node_ports: Claims::default(),
            owners: Claims::default(),
            health_check_ports: Claims::default(),
            host_ports: HostPorts::default(),
        };
        view.fill(cluster);
        view
    }

    /// The settings it was made with, or was updated to.
    pub fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// The Service ports, by (namespace, name, port name).
    pub fn service_ports(&self) -> impl Iterator<Item = &Arc<ServicePort>> {
        self.services.values().flat_map(BTreeMap::values).flatten().map(|row| &self.rows[*row].port)
    }

    /// How many Service ports there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no Service port.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ports of one Service, by name.
    pub fn ports_of(&self, service: &NamespacedName) -> impl Iterator<Item = &Arc<ServicePort>> {
        self.rows_of(service).iter().map(|row| &self.rows[*row].port)
    }

    fn rows_of(&self, service: &NamespacedName) -> &[u32] {
        let rows = self.services.get(&service.namespace).and_then(|names| names.get(&service.name));
        rows.map(|rows| &**rows).unwrap_or_default()
    }

    /// The Service port that has a destination; the unspecified address stands for the node's own, to ask for a node port.
    pub fn owner_of(&self, destination: &Destination) -> Option<&Arc<ServicePort>> {
        let claims = if destination.addr.is_unspecified() { &self.node_ports } else { &self.addresses };
        claims.owner(destination).map(|claim| &self.rows[claim.row].port)
    }

    /// The ports that Pods open on the node, by Pod.
    pub fn host_ports(&self) -> impl Iterator<Item = &Arc<HostPort>> {
        self.host_ports.iter()
    }

    /// What more than one Service claims, in order.
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        let contested = self.addresses.contested().chain(self.node_ports.contested());
        contested.flat_map(move |(destination, owner, losers)| {
            let mut losers: Vec<Claim> = losers.iter().copied().collect();
            losers.sort_by(|a, b| self.rows.rank(*a).cmp(&self.rows.rank(*b)));
            losers.into_iter().filter_map(move |claim| {
                let service = |claim: Claim| &self.rows[claim.row].port.service;
                let (owner, loser) = (service(owner).clone(), service(claim).clone());
                (owner != loser).then_some(Conflict { destination, owner, loser, kind: claim.kind })
            })
        })
    }
}

/// Two views are equal that answer alike; how they came by it does not matter. O(n).
impl PartialEq for NodeView {
    fn eq(&self, other: &NodeView) -> bool {
        fn alike<K: Copy + Ord + std::hash::Hash>(
            (view, claims): (&NodeView, &Claims<K>),
            (other, theirs): (&NodeView, &Claims<K>),
        ) -> bool {
            claims.len() == theirs.len()
                && claims.iter().all(|(key, claim)| {
                    theirs.owner(&key).is_some_and(|their| view.rows.rank(claim) == other.rows.rank(their))
                })
        }
        self.settings == other.settings
            && self.host_ports == other.host_ports
            && self.service_ports().eq(other.service_ports())
            && alike((self, &self.addresses), (other, &other.addresses))
            && alike((self, &self.node_ports), (other, &other.node_ports))
            && alike((self, &self.owners), (other, &other.owners))
            && alike((self, &self.health_check_ports), (other, &other.health_check_ports))
            && self.conflicts().eq(other.conflicts())
    }
}

impl Eq for NodeView {}
