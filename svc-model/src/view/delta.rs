//! What did an update change? A difference per Service port, with what was and what is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::claims::Destination;
use super::flows::{FlowChange, StaleFlow};
use super::host_ports::HostPort;
use super::service_port::{ServicePort, ServicePortId};
use crate::kind::NamespacedName;

/// The difference that [`NodeView::update`](crate::NodeView::update) made: per Service port what was and what is, both
/// whole, and the connections that must be forgotten.
///
/// Deltas that have not been applied yet are joined by [`extend`](Self::extend): what came and went in between is in
/// neither. An empty delta allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delta {
    /// The Service ports that differ, in order.
    pub ports: Vec<PortChange>,
    /// The Pods whose host ports differ, in order.
    pub host_ports: Vec<HostPortChange>,
    /// Whether the node's settings differ.
    pub settings: bool,
    /// What it took to find out.
    pub work: Work,
    /// Datagram frontends whose owner, or whose owner's serving endpoints, differ.
    pub(super) flows: BTreeMap<Destination, FlowChange>,
}

/// A Service port that differs: it is new, gone, or was otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChange {
    // The two differ, so one of them is there; if both are, they have one identity.
    before: Option<Arc<ServicePort>>,
    after: Option<Arc<ServicePort>>,
}

/// A Pod whose host ports on the node differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostPortChange {
    /// The Pod.
    pub pod: NamespacedName,
    /// What it opened.
    pub before: Vec<Arc<HostPort>>,
    /// What it opens.
    pub after: Vec<Arc<HostPort>>,
}

/// What of a Service port differs; of one that is new or gone, all does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Aspects {
    /// What leads to it: its addresses, port, node port.
    pub frontends: bool,
    /// The endpoints anywhere that the node uses, or whether anybody serves at all.
    pub cluster_endpoints: bool,
    /// The endpoints on the node.
    pub local_endpoints: bool,
    /// The traffic policies.
    pub policy: bool,
    /// The session affinity.
    pub affinity: bool,
    /// The source ranges of the load balancer.
    pub firewall: bool,
    /// The node port of the health check.
    pub health_check: bool,
}

/// How many things were looked at; what an update costs, told in numbers that no machine changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Work {
    /// Services worked out anew.
    pub services: u64,
    /// Endpoints read.
    pub endpoints: u64,
    /// Frontends claimed or given up.
    pub frontends: u64,
    /// Pods looked at for their host ports.
    pub pods: u64,
}

impl Delta {
    /// No difference.
    pub const EMPTY: &'static Delta = &Delta {
        ports: Vec::new(),
        host_ports: Vec::new(),
        settings: false,
        work: Work { services: 0, endpoints: 0, frontends: 0, pods: 0 },
        flows: BTreeMap::new(),
    };

    /// Whether nothing differs; work may have been done to find out.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.host_ports.is_empty() && !self.settings && self.flows.is_empty()
    }

    /// Joins a later delta of the same view to this one: from before this one to after the other. O(log n) for each change of the
    /// later one, and the moving of 16 bytes for each of this one behind it.
    pub fn extend(&mut self, later: Delta) {
        if self.ports.is_empty() {
            self.ports = later.ports;
        } else {
            later.ports.into_iter().for_each(|change| self.join_port(change));
        }
        later.host_ports.into_iter().for_each(|change| self.join_host_port(change));
        self.settings |= later.settings;
        self.work += later.work;
        for (destination, mut change) in later.flows {
            if let Some(earlier) = self.flows.remove(&destination) {
                change.before = earlier.before;
            }
            if change.matters() {
                self.flows.insert(destination, change);
            }
        }
    }

    fn join_port(&mut self, later: PortChange) {
        match self.ports.binary_search_by(|earlier| earlier.id().cmp(&later.id())) {
            Ok(at) => match PortChange::between(self.ports[at].before.take(), later.after) {
                Some(change) => self.ports[at] = change,
                None => drop(self.ports.remove(at)),
            },
            Err(at) => self.ports.insert(at, later),
        }
    }

    fn join_host_port(&mut self, later: HostPortChange) {
        match self.host_ports.binary_search_by(|earlier| earlier.pod.cmp(&later.pod)) {
            Ok(at) => {
                self.host_ports[at].after = later.after;
                if self.host_ports[at].before == self.host_ports[at].after {
                    self.host_ports.remove(at);
                }
            }
            Err(at) => self.host_ports.insert(at, later),
        }
    }

    /// The connections that outlive the rules and would go on to an endpoint that does not serve any more, or nowhere. A
    /// driver forgets them *after* the new rules are in place.
    pub fn stale_flows(&self) -> impl Iterator<Item = StaleFlow> + '_ {
        self.flows.iter().flat_map(|(destination, change)| change.stale_flows(*destination))
    }

    /// Adds what differs between two lists of ports of one Service, each in order; whether anything does.
    pub(super) fn record(&mut self, before: &[Arc<ServicePort>], after: &[Arc<ServicePort>]) -> bool {
        let known = self.ports.len();
        let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return self.ports.len() > known,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(before), Some(after)) => before.id().cmp(&after.id()),
            };
            let before = before.next_if(|_| order.is_le()).cloned();
            let after = after.next_if(|_| order.is_ge()).cloned();
            self.ports.extend(PortChange::between(before, after));
        }
    }
}

impl PortChange {
    /// What differs between the two; `None` if nothing does, or if they are not the same port of the same Service.
    pub fn between(before: Option<Arc<ServicePort>>, after: Option<Arc<ServicePort>>) -> Option<PortChange> {
        let one = match (&before, &after) {
            (Some(before), Some(after)) => before.id() == after.id(),
            _ => true,
        };
        (one && before != after).then_some(PortChange { before, after })
    }

    /// What it was; `None` if it is new.
    pub fn before(&self) -> Option<&Arc<ServicePort>> {
        self.before.as_ref()
    }

    /// What it is; `None` if it is gone.
    pub fn after(&self) -> Option<&Arc<ServicePort>> {
        self.after.as_ref()
    }

    /// Which port.
    pub fn id(&self) -> ServicePortId<'_> {
        self.before.as_ref().or(self.after.as_ref()).expect("one of the two, since they differ").id()
    }

    /// Whether it is new.
    pub fn is_added(&self) -> bool {
        self.before.is_none()
    }

    /// Whether it is gone.
    pub fn is_removed(&self) -> bool {
        self.after.is_none()
    }

    /// What differs.
    pub fn aspects(&self) -> Aspects {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return Aspects::ALL };
        Aspects {
            frontends: before.port != after.port || before.frontends().ne(after.frontends()),
            cluster_endpoints: before.cluster.endpoints != after.cluster.endpoints
                || before.has_any_endpoints != after.has_any_endpoints,
            local_endpoints: before.local.endpoints != after.local.endpoints,
            policy: before.internal_policy != after.internal_policy || before.external_policy != after.external_policy,
            affinity: before.affinity_seconds != after.affinity_seconds,
            firewall: before.source_ranges != after.source_ranges,
            health_check: before.health_check_node_port != after.health_check_node_port,
        }
    }
}

impl Aspects {
    const ALL: Aspects = Aspects {
        frontends: true,
        cluster_endpoints: true,
        local_endpoints: true,
        policy: true,
        affinity: true,
        firewall: true,
        health_check: true,
    };

    fn named(self) -> [(bool, &'static str); 7] {
        let Aspects { frontends, cluster_endpoints, local_endpoints, policy, affinity, firewall, health_check } = self;
        [
            (frontends, "frontends"),
            (cluster_endpoints, "cluster endpoints"),
            (local_endpoints, "local endpoints"),
            (policy, "policy"),
            (affinity, "affinity"),
            (firewall, "firewall"),
            (health_check, "health check"),
        ]
    }
}

/// The aspects that differ, joined by commas; `nothing a packet meets` if none does.
impl fmt::Display for Aspects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.named().iter().filter(|(differs, _)| *differs).map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "nothing a packet meets" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

/// `added NAMESPACE/NAME:PORT TCP IPv4`, `removed ...`, `changed ...: ASPECTS`.
impl fmt::Display for PortChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_added(), self.is_removed()) {
            (true, _) => write!(f, "added {}", self.id()),
            (_, true) => write!(f, "removed {}", self.id()),
            _ => write!(f, "changed {}: {}", self.id(), self.aspects()),
        }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        self.services += other.services;
        self.endpoints += other.endpoints;
        self.frontends += other.frontends;
        self.pods += other.pods;
    }
}
