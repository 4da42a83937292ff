//! Where may a packet go, as one node sees it?

mod decide;
mod detector;
mod node_ports;
mod reason;
mod service_port;
mod settings;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use decide::{Decision, Endpoints, Frontend, FrontendKind, Packet, UnknownFrontendKind, Verdict};
pub use reason::{Explanation, Reason};
pub use service_port::{Backend, Candidates, Choice, ServicePort, TrafficPolicy};
pub use settings::{AmbiguousNode, Mode, NodeSettings, UnknownMode};

use crate::addr::{IpFamily, parse_ip};
use crate::api::{Pod, Service};
use crate::cluster::Cluster;
use crate::endpoints::{self, pod_addrs};
use crate::kind::{NamespacedName, ObjectRef, Resource};
use crate::protocol::{Protocol, port_number};

/// The Services of a cluster as one node serves them: an immutable table, built once, that [`NodeView::decide`]s packets.
///
/// Building costs O(Service ports + endpoints), where the endpoints of a Service count once for each distinct target port, and
/// a Pod once for each Service that selects it: 1,000 Services that select the same 1,000 Pods have a million
/// endpoints, each some 64 bytes of the view. A decision costs a few look-ups, whatever the number of Services and endpoints
/// (see the crate page); it allocates nothing.
///
/// Where two Services claim one address, protocol and port, a cluster IP goes before an external IP and that before a load
/// balancer's address; among equals the first by (namespace, name, port name) has it. The losers are
/// [`NodeView::conflicts`].
#[derive(Clone, Debug)]
pub struct NodeView {
    settings: NodeSettings,
    ports: Vec<ServicePort>,
    addresses: HashMap<(IpAddr, Protocol, u16), (FrontendKind, usize)>,
    node_ports: HashMap<(IpFamily, Protocol, u16), usize>,
    host_ports: HashMap<(IpFamily, Protocol, u16), Vec<HostPort>>,
    health_check_ports: HashMap<u16, NamespacedName>,
    /// The addresses that Services own, with one of their ports; cluster IPs before the others. The node's own may be among
    /// them.
    owners: HashMap<IpAddr, (FrontendKind, usize)>,
    conflicts: Vec<Conflict>,
}

/// A frontend that two Service ports claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// What is claimed; the unspecified address stands for the node's own in the case of a node port.
    pub addr: SocketAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The Service that has it.
    pub owner: NamespacedName,
    /// The Service that does not.
    pub loser: NamespacedName,
    /// As what the loser claims it.
    pub kind: FrontendKind,
}

/// A container port that a Pod opens on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPort {
    pod: ObjectRef,
    host_ip: Option<IpAddr>,
    backend: [Backend; 1],
}

impl NodeView {
    /// The view of a node.
    pub fn new(cluster: &Cluster, settings: NodeSettings) -> NodeView {
        let mut view = NodeView {
            ports: Vec::new(),
            addresses: HashMap::new(),
            node_ports: HashMap::new(),
            host_ports: HashMap::new(),
            health_check_ports: HashMap::new(),
            owners: HashMap::new(),
            conflicts: Vec::new(),
            settings,
        };
        for service in cluster.list::<Service>() {
            let endpoints = endpoints::of(cluster, service);
            view.ports.extend(ServicePort::of(cluster, service, &endpoints, &view.settings));
        }
        // By (namespace, name) already; ports of one Service by name, for the same owner whatever their order is.
        view.ports.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
        for kind in [FrontendKind::ClusterIp, FrontendKind::ExternalIp, FrontendKind::LoadBalancer] {
            for index in 0..view.ports.len() {
                view.claim_addresses(kind, index);
            }
        }
        for index in 0..view.ports.len() {
            view.claim_node_port(index);
        }
        for pod in cluster.list::<Pod>() {
            view.claim_host_ports(cluster, pod);
        }
        view
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// The Service ports, by (namespace, name, port name).
    pub fn service_ports(&self) -> &[ServicePort] {
        &self.ports
    }

    /// What more than one Service claims.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// The ports of one Service.
    fn ports_of(&self, service: &NamespacedName) -> impl Iterator<Item = &ServicePort> {
        let first = self.ports.partition_point(|port| port.service < *service);
        self.ports[first..].iter().take_while(move |port| port.service == *service)
    }

    fn claim_addresses(&mut self, kind: FrontendKind, index: usize) {
        let port = &self.ports[index];
        let addrs = match kind {
            FrontendKind::ClusterIp => std::slice::from_ref(&port.cluster_ip),
            FrontendKind::ExternalIp => &port.external_ips,
            _ => &port.load_balancer_ips,
        };
        for addr in addrs {
            self.owners.entry(*addr).or_insert((kind, index));
            let &mut (_, owner) = self.addresses.entry((*addr, port.protocol, port.port)).or_insert((kind, index));
            if self.ports[owner].service != port.service {
                self.conflicts.push(Conflict {
                    addr: SocketAddr::new(*addr, port.port),
                    protocol: port.protocol,
                    owner: self.ports[owner].service.clone(),
                    loser: port.service.clone(),
                    kind,
                });
            }
        }
    }

    fn claim_node_port(&mut self, index: usize) {
        let port = &self.ports[index];
        if let Some(number) = port.health_check_node_port {
            self.health_check_ports.entry(number).or_insert_with(|| port.service.clone());
        }
        let Some(number) = port.node_port else { return };
        let owner = *self.node_ports.entry((port.family, port.protocol, number)).or_insert(index);
        if self.ports[owner].service != port.service {
            let any: IpAddr = match port.family {
                IpFamily::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
                IpFamily::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            };
            self.conflicts.push(Conflict {
                addr: SocketAddr::new(any, number),
                protocol: port.protocol,
                owner: self.ports[owner].service.clone(),
                loser: port.service.clone(),
                kind: FrontendKind::NodePort,
            });
        }
    }

    fn claim_host_ports(&mut self, cluster: &Cluster, pod: &Pod) {
        if pod.spec.host_network || pod.is_finished() || *pod.spec.node_name != *self.settings.node {
            return;
        }
        let node: Arc<str> = pod.spec.node_name.as_str().into();
        let key = Arc::new(pod.key());
        for port in pod.spec.container_ports() {
            let (Some(host_port), Some(container_port), Ok(protocol)) =
                (port_number(port.host_port), port_number(port.container_port), Protocol::of_field(&port.protocol))
            else {
                continue;
            };
            let host_ip = parse_ip(&port.host_ip).ok().filter(|ip| !ip.is_unspecified());
            for addr in pod_addrs(cluster, pod) {
                let backend = Backend {
                    addr: SocketAddr::new(addr, container_port),
                    node: Some(node.clone()),
                    pod: Some(key.clone()),
                    assumed: cluster.is_assumed_pod(&key),
                };
                self.host_ports.entry((IpFamily::of(addr), protocol, host_port)).or_default().push(HostPort {
                    pod: pod.reference(),
                    host_ip,
                    backend: [backend],
                });
            }
        }
    }
}
