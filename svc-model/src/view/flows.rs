//! Which connections must be forgotten? Translation is decided on a flow's first packet; of UDP the later ones never ask again.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::NodeView;
use super::claims::Destination;
use super::service_port::ServicePort;
use crate::addr::IpFamily;
use crate::protocol::Protocol;

/// Flows to forget: those to `destination` that were sent on to `endpoint`.
///
/// TCP has none: its connections to a removed endpoint end by themselves. UDP has them, and SCTP, which kube-proxy leaves
/// alone: filter by protocol to do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct StaleFlow {
    /// Their original destination; the unspecified address stands for every address of the node, where a node port is meant.
    pub destination: Destination,
    /// Where they went. `None` for those that were not translated, because nobody served when they began.
    pub endpoint: Option<SocketAddr>,
}

impl StaleFlow {
    /// Whether this is one of the flows that are meant. Where a node port is, any destination address fits: ask only about
    /// flows to the node.
    pub fn is(&self, flow: &Flow) -> bool {
        let to = flow.destination;
        (to.protocol, to.port) == (self.destination.protocol, self.destination.port)
            && (to.addr == self.destination.addr
                || (self.destination.addr.is_unspecified() && to.addr.is_ipv4() == self.destination.addr.is_ipv4()))
            && flow.reply_source == self.endpoint.unwrap_or(to.socket_addr())
    }
}

/// A flow as connection tracking shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The original destination.
    pub destination: Destination,
    /// The source of the replies: the endpoint, or the original destination if that was not translated.
    pub reply_source: SocketAddr,
}

/// The owner of a datagram frontend before and after an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FlowChange {
    pub(super) before: Option<Arc<ServicePort>>,
    pub(super) after: Option<Arc<ServicePort>>,
}

fn serving(port: &Option<Arc<ServicePort>>) -> &[SocketAddr] {
    port.as_deref().map_or(&[], |port| &port.serving)
}

impl FlowChange {
    /// Whether any flow may be stale because of it, or of it and what follows.
    pub(super) fn matters(&self) -> bool {
        serving(&self.before) != serving(&self.after) || self.before.is_some() != self.after.is_some()
    }

    pub(super) fn stale_flows(&self, destination: Destination) -> impl Iterator<Item = StaleFlow> + '_ {
        let (before, after) = (serving(&self.before), serving(&self.after));
        let left = before.iter().filter(|endpoint| after.binary_search(endpoint).is_err());
        // Entries made while nobody served lead nowhere for as long as their client goes on.
        let nowhere = (before.is_empty() && self.after.is_some()).then_some(None);
        left.map(|endpoint| Some(*endpoint)).chain(nowhere).map(move |endpoint| StaleFlow { destination, endpoint })
    }
}

impl NodeView {
    /// Whether a flow that is there must be forgotten: its destination is a datagram frontend, and whoever answers it is no
    /// serving endpoint of that. What a full sync asks about every flow; after an update, [`Delta::stale_flows`] lists the
    /// same without asking, except for flows that a host port has taken to a Pod.
    ///
    /// [`Delta::stale_flows`]: crate::Delta::stale_flows
    pub fn is_stale(&self, flow: &Flow) -> bool {
        let owner = self.server_of(&flow.destination);
        flow.destination.protocol != Protocol::Tcp
            && owner.is_some_and(|port| port.serving.binary_search(&flow.reply_source).is_err())
    }

    /// The Service port that a packet to this destination meets: who has it, else who has its number as a node port there.
    pub(super) fn server_of(&self, destination: &Destination) -> Option<&Arc<ServicePort>> {
        let at_node = || {
            let anywhere = Destination { addr: IpFamily::of(destination.addr).unspecified(), ..*destination };
            self.owner_of(&anywhere).filter(|_| self.settings.node_port_addresses.accepts(destination.addr))
        };
        self.owner_of(destination).or_else(at_node)
    }
}

/// `10.96.0.10:53 UDP to 10.244.1.9:53`, `*:30053 UDP untranslated`
impl fmt::Display for StaleFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination { addr, protocol, port } = self.destination;
        if addr.is_unspecified() {
            write!(f, "*:{port} {protocol}")?;
        } else {
            write!(f, "{}", self.destination)?;
        }
        match self.endpoint {
            Some(endpoint) => write!(f, " to {endpoint}"),
            None => f.write_str(" untranslated"),
        }
    }
}
