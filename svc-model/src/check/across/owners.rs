//! Whose address is this? What the objects of a world say of it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::allocation::{self, Ranges};
use super::{frontends, workloads};
use crate::addr::{parse_cidr, parse_ip};
use crate::api::{Endpoints, KubeProxyConfiguration, Node, Pod, Service};
use crate::cluster::Cluster;
use crate::endpoints::pod_addrs;
use crate::kind::Resource;
use crate::protocol::port_number;

/// The Service through which Pods reach the API server; it makes the endpoints itself.
pub(super) const API_SERVER: (&str, &str) = ("default", "kubernetes");

/// The owners of addresses.
#[derive(Default)]
pub(super) struct Owners<'a> {
    cluster_ips: HashMap<IpAddr, &'a Service>,
    /// External IPs and load balancer addresses.
    external: HashMap<IpAddr, &'a Service>,
    /// Some Pod that has the address, but none on the host's network: those have the node's.
    pods: HashMap<IpAddr, &'a Pod>,
    /// The namespaces with a Pod that has the address, on the host's network or not.
    namespaces: HashSet<(IpAddr, &'a str)>,
    /// The namespaces with a workload whose Pods are on the host's network, of which node nobody knows.
    on_some_host: HashSet<&'a str>,
    nodes: HashMap<IpAddr, &'a Node>,
    api_server: HashSet<SocketAddr>,
    pod_ranges: Ranges,
}

impl<'a> Owners<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Owners<'a> {
        let mut owners =
            Owners { api_server: api_server(cluster), pod_ranges: pod_ranges(cluster), ..Owners::default() };
        for service in cluster.list::<Service>() {
            for addr in allocation::written_addrs(service) {
                owners.cluster_ips.entry(addr).or_insert(service);
            }
            for addr in frontends::external_addrs(service) {
                owners.external.entry(addr).or_insert(service);
            }
        }
        for pod in cluster.list::<Pod>().filter(|pod| !pod.is_finished()) {
            for addr in pod_addrs(cluster, pod) {
                owners.namespaces.insert((addr, pod.namespace()));
                if !pod.spec.host_network {
                    owners.pods.entry(addr).or_insert(pod);
                }
            }
        }
        let on_host = workloads(cluster).filter(|workload| workload.spec.template.spec.host_network);
        owners.on_some_host.extend(on_host.map(|workload| workload.namespace));
        for node in cluster.list::<Node>() {
            let is_ip = |type_: &str| matches!(type_, "InternalIP" | "ExternalIP");
            let addresses = node.status.addresses.iter().filter(|address| is_ip(&address.type_));
            for addr in addresses.filter_map(|address| parse_ip(&address.address).ok()) {
                owners.nodes.entry(addr).or_insert(node);
            }
        }
        owners
    }

    pub(super) fn cluster_ip(&self, addr: IpAddr) -> Option<&'a Service> {
        self.cluster_ips.get(&addr).copied()
    }

    /// The Service that is reached at the address from outside.
    pub(super) fn external(&self, addr: IpAddr) -> Option<&'a Service> {
        self.external.get(&addr).copied()
    }

    /// A Pod with an address of its own.
    pub(super) fn pod(&self, addr: IpAddr) -> Option<&'a Pod> {
        self.pods.get(&addr).copied()
    }

    /// Whether a Pod of the namespace has the address, or may have it.
    pub(super) fn is_in_namespace(&self, addr: IpAddr, namespace: &'a str) -> bool {
        let may_be_there = self.nodes.contains_key(&addr) && self.on_some_host.contains(namespace);
        may_be_there || self.namespaces.contains(&(addr, namespace))
    }

    pub(super) fn node(&self, addr: IpAddr) -> Option<&'a Node> {
        self.nodes.get(&addr).copied()
    }

    pub(super) fn is_api_server(&self, addr: SocketAddr) -> bool {
        self.api_server.contains(&addr)
    }

    /// The ranges that Pods get their addresses from, as far as they are known.
    pub(super) fn pod_ranges(&self) -> &Ranges {
        &self.pod_ranges
    }
}

fn api_server(cluster: &Cluster) -> HashSet<SocketAddr> {
    let (namespace, name) = API_SERVER;
    let mut found = HashSet::new();
    let mut add = |ip: &str, port: Option<i64>| {
        let addr = parse_ip(ip).ok().zip(port.and_then(port_number));
        found.extend(addr.map(SocketAddr::from));
    };
    for slice in cluster.slices_of(namespace, name) {
        for ip in slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses) {
            slice.ports.iter().for_each(|port| add(ip, port.port));
        }
    }
    for subset in cluster.get::<Endpoints>(namespace, name).into_iter().flat_map(|endpoints| &endpoints.subsets) {
        for address in &subset.addresses {
            subset.ports.iter().for_each(|port| add(&address.ip, Some(port.port)));
        }
    }
    found
}

/// Those of the nodes and of the whole cluster.
fn pod_ranges(cluster: &Cluster) -> Ranges {
    let of_nodes = cluster.list::<Node>().flat_map(Node::written_pod_cidrs);
    let configs = cluster.list::<KubeProxyConfiguration>();
    let of_cluster = configs.flat_map(|config| config.cluster_cidr.split(','));
    Ranges::new(of_nodes.chain(of_cluster).filter_map(|cidr| parse_cidr(cidr).ok()).collect())
}
