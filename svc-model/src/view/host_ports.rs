//! Which Pods open ports on the node? `hostPort`, with which kube-proxy has nothing to do.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::candidates::Candidate;
use super::claims::Destination;
use super::delta::{Delta, HostPortChange};
use crate::addr::{IpFamily, parse_ip};
use crate::api::Pod;
use crate::cluster::Cluster;
use crate::endpoints::pod_addrs;
use crate::kind::{Kind, NamespacedName, ObjectRef, Resource};
use crate::protocol::{Protocol, port_number};

/// A container port that a Pod opens on its node, in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostPort {
    /// The Pod.
    pub pod: ObjectRef,
    /// The protocol.
    pub protocol: Protocol,
    /// The port on the node.
    pub port: u16,
    /// The one address of the node where it is open; `None` for all.
    pub host_ip: Option<IpAddr>,
    pub(super) candidate: [Candidate; 1],
}

impl HostPort {
    /// The Pod's address and container port.
    pub fn endpoint(&self) -> &Candidate {
        &self.candidate[0]
    }

    /// The node port table's way of naming it: at the unspecified address of its family.
    fn key(&self) -> Destination {
        let addr = IpFamily::of(self.endpoint().addr.ip()).unspecified();
        Destination { addr, protocol: self.protocol, port: self.port }
    }
}

/// The host ports of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostPorts {
    by_pod: BTreeMap<NamespacedName, Vec<Arc<HostPort>>>,
    /// Each list by Pod.
    by_port: HashMap<Destination, Vec<Arc<HostPort>>>,
}

impl HostPorts {
    /// The first Pod by (namespace, name) that has this port open at this address of the node.
    pub(super) fn at(&self, dst: IpAddr, protocol: Protocol, port: u16) -> Option<&HostPort> {
        let key = Destination { addr: IpFamily::of(dst).unspecified(), protocol, port };
        let mut open = self.by_port.get(&key)?.iter();
        open.find(|host_port| host_port.host_ip.is_none_or(|ip| ip == dst)).map(Arc::as_ref)
    }

    /// All of them, by Pod.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<HostPort>> {
        self.by_pod.values().flatten()
    }

    /// Brings one Pod up to date.
    pub(super) fn update(&mut self, cluster: &Cluster, node: &str, pod: &NamespacedName, delta: &mut Delta) {
        delta.work.pods += 1;
        let after = cluster.get::<Pod>(&pod.namespace, &pod.name).map(|pod| of_pod(cluster, node, pod));
        let after = after.unwrap_or_default();
        let before = self.by_pod.get(pod).map(Vec::as_slice).unwrap_or_default();
        if *before == *after {
            return;
        }
        let before = self.by_pod.remove(pod).unwrap_or_default();
        for port in &before {
            if let Some(open) = self.by_port.get_mut(&port.key()) {
                open.retain(|other| !Arc::ptr_eq(other, port));
                if open.is_empty() {
                    self.by_port.remove(&port.key());
                }
            }
        }
        for port in &after {
            let open = self.by_port.entry(port.key()).or_default();
            let place = open.partition_point(|other| other.pod <= port.pod);
            open.insert(place, port.clone());
        }
        if !after.is_empty() {
            self.by_pod.insert(pod.clone(), after.clone());
        }
        delta.host_ports.push(HostPortChange { pod: pod.clone(), before, after });
    }
}

fn of_pod(cluster: &Cluster, node: &str, pod: &Pod) -> Vec<Arc<HostPort>> {
    let mut ports = Vec::new();
    if pod.spec.host_network || pod.is_finished() || pod.spec.node_name != node {
        return ports;
    }
    let Some(origin) = cluster.shared(Kind::Pod, pod.namespace(), pod.name()) else { return ports };
    let assumed = cluster.is_assumed_pod(&pod.key());
    for port in pod.spec.container_ports() {
        let (Some(number), Some(container_port), Ok(protocol)) =
            (port_number(port.host_port), port_number(port.container_port), Protocol::of_field(&port.protocol))
        else {
            continue;
        };
        let host_ip = parse_ip(&port.host_ip).ok().filter(|ip| !ip.is_unspecified());
        for addr in pod_addrs(cluster, pod) {
            let candidate = Candidate::of_pod(SocketAddr::new(addr, container_port), origin.clone(), assumed);
            ports.push(Arc::new(HostPort {
                pod: pod.reference(),
                protocol,
                port: number,
                host_ip,
                candidate: [candidate],
            }));
        }
    }
    ports
}
