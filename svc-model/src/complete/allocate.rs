//! Which cluster IPs and node ports would the API server give?
//!
//! Explicit ones of the world are taken first; then Services by (namespace, name) get the lowest free value of the upper
//! band of the range, then of the lower band, which the API server keeps for explicit ones (KEP-3070 for addresses,
//! KEP-3668 for node ports).

use std::array;
use std::collections::{HashMap, HashSet, VecDeque};
use std::iter::Flatten;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};

use super::addresses::{Range, nth, size};
use crate::addr::{IpFamily, parse_ip};
use crate::api::Service;
use crate::check::Finding;
use crate::cluster::Cluster;
use crate::families::{cluster_families, service_families, service_ranges};
use crate::kind::Resource;
use crate::protocol::port_number;

/// The range of cluster IPs when no ServiceCIDR object names one: 10.96.0.0/12.
fn default_range() -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 96, 0, 0), 12))
}

/// Node ports in the order they are given: the upper band, then the lower one.
const NODE_PORTS: [RangeInclusive<u16>; 2] = [30086..=32767, 30000..=30085];

pub(super) fn complete(cluster: &mut Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut addresses = ClusterIps::new(cluster);
    let mut node_ports = NodePorts::new(cluster);
    let services: Vec<Service> = cluster.list::<Service>().cloned().collect();
    for mut service in services {
        let ips = addresses.complete(&mut service, &mut findings);
        let numbers = node_ports.complete(&mut service, &mut findings);
        cluster.insert_completed_service(service, ips, numbers);
    }
    findings
}

struct ClusterIps {
    /// Where to look in each family, in this order: the upper bands of all ranges, then the lower ones. A band without a free
    /// address is left for good.
    bands: HashMap<IpFamily, VecDeque<Range>>,
    taken: HashSet<IpAddr>,
    /// The address that `default/kubernetes` has in each family: the second of the first range.
    kubernetes: HashMap<IpFamily, IpAddr>,
    /// The families of the cluster's own ranges.
    families: Vec<IpFamily>,
    default_family: IpFamily,
}

impl ClusterIps {
    fn new(cluster: &Cluster) -> ClusterIps {
        let mut ranges = service_ranges(cluster);
        if ranges.is_empty() {
            ranges.push(default_range());
        }
        let services = cluster.list::<Service>();
        let mut taken: HashSet<IpAddr> = services
            .flat_map(|service| service.spec.written_cluster_ips())
            .filter_map(|ip| parse_ip(ip).ok())
            .collect();
        let mut kubernetes = HashMap::new();
        for range in ranges.iter().filter(|range| size(range) > 2) {
            kubernetes.entry(IpFamily::of_net(range)).or_insert_with(|| nth(range, 1));
        }
        taken.extend(kubernetes.values());
        let default_family = IpFamily::of_net(&ranges[0]); // one range at least was put there above
        let mut known = HashSet::new();
        ranges.retain(|range| known.insert(range.trunc()));
        let upper = ranges.iter().map(|net| Range::band(*net, lower_band(net), u128::MAX));
        let lower = ranges.iter().map(|net| Range::band(*net, 0, lower_band(net)));
        let mut bands: HashMap<IpFamily, VecDeque<Range>> = HashMap::new();
        for band in upper.chain(lower) {
            bands.entry(band.family()).or_default().push_back(band);
        }
        ClusterIps { bands, taken, kubernetes, families: cluster_families(cluster), default_family }
    }

    /// Gives a Service the addresses it has not; those it got.
    fn complete(&mut self, service: &mut Service, findings: &mut Vec<Finding>) -> Vec<IpAddr> {
        let mut given = Vec::new();
        if service.spec.is_external_name() || service.spec.is_headless() {
            return given;
        }
        let written: Vec<String> = service.spec.written_cluster_ips().map(str::to_owned).collect();
        let written_families: Vec<IpFamily> =
            written.iter().filter_map(|ip| parse_ip(ip).ok()).map(IpFamily::of).collect();
        // An address that cannot be read was meant to be one: nothing is given in its place.
        if written_families.len() < written.len() {
            return given;
        }
        let mut families = service_families(&self.families, service);
        if families.is_empty() {
            families.push(self.default_family);
        }
        if service.spec.ip_family_policy.as_deref() == Some("RequireDualStack") && families.len() < 2 {
            let message = "RequireDualStack, but the cluster has ranges of one family only";
            findings.push(Finding::error(service.reference(), "spec.ipFamilyPolicy", message));
        }
        for family in families.into_iter().filter(|family| !written_families.contains(family)) {
            match self.take(service, family) {
                Some(ip) => given.push(ip),
                None if self.bands.contains_key(&family) => {
                    let message = format!("no free {family} address is left in the Service ranges");
                    findings.push(Finding::error(service.reference(), "spec.clusterIPs", message));
                }
                None => {
                    let message = format!("the cluster has no Service range of {family}");
                    findings.push(Finding::error(service.reference(), "spec.ipFamilies", message));
                }
            }
        }
        if !given.is_empty() {
            let mut ips = written;
            ips.extend(given.iter().map(ToString::to_string));
            service.spec.cluster_ip = ips[0].clone(); // one at least was given
            service.spec.cluster_ips = ips;
        }
        given
    }

    fn take(&mut self, service: &Service, family: IpFamily) -> Option<IpAddr> {
        if service.namespace() == "default" && service.name() == "kubernetes" {
            return self.kubernetes.get(&family).copied();
        }
        let bands = self.bands.get_mut(&family)?;
        while let Some(band) = bands.front_mut() {
            if let Some(ip) = band.take(&mut self.taken) {
                return Some(ip);
            }
            bands.pop_front();
        }
        None
    }
}

/// How many addresses the lower band of a range has (KEP-3070).
fn lower_band(net: &IpNet) -> u128 {
    (size(net) / 16).clamp(16, 256)
}

struct NodePorts {
    taken: HashSet<u16>,
    /// Those that nobody has looked at yet.
    rest: Flatten<array::IntoIter<RangeInclusive<u16>, 2>>,
}

impl NodePorts {
    fn new(cluster: &Cluster) -> NodePorts {
        let services = cluster.list::<Service>();
        let written = services.flat_map(|service| {
            let ports = service.spec.ports.iter().map(|port| port.node_port);
            ports.chain([service.spec.health_check_node_port])
        });
        NodePorts { taken: written.filter_map(port_number).collect(), rest: NODE_PORTS.into_iter().flatten() }
    }

    /// Gives a Service the node ports it has not; those that were free until then.
    fn complete(&mut self, service: &mut Service, findings: &mut Vec<Finding>) -> Vec<u16> {
        let load_balancer = service.spec.type_ == "LoadBalancer";
        let wants = service.spec.type_ == "NodePort"
            || (load_balancer && service.spec.allocate_load_balancer_node_ports != Some(false));
        let reference = service.reference();
        let mut given = Vec::new();
        let mut exhausted = |field: String| {
            findings.push(Finding::error(&reference, field, "no free node port is left in 30000-32767"));
        };
        if wants {
            // The same port under two protocols shares its node port.
            let mut by_port: HashMap<i64, i64> = HashMap::new();
            for port in service.spec.ports.iter().filter(|port| port.node_port != 0) {
                by_port.entry(port.port).or_insert(port.node_port);
            }
            let ports = service.spec.ports.iter_mut().enumerate();
            for (i, port) in ports.filter(|(_, port)| port.node_port == 0) {
                if let Some(shared) = by_port.get(&port.port) {
                    port.node_port = *shared;
                } else if let Some(number) = self.take() {
                    port.node_port = i64::from(number);
                    by_port.insert(port.port, port.node_port);
                    given.push(number);
                } else {
                    exhausted(format!("spec.ports[{i}].nodePort"));
                }
            }
        }
        if load_balancer && service.spec.external_traffic_policy == "Local" && service.spec.health_check_node_port == 0
        {
            match self.take() {
                Some(number) => {
                    service.spec.health_check_node_port = i64::from(number);
                    given.push(number);
                }
                None => exhausted("spec.healthCheckNodePort".to_owned()),
            }
        }
        given
    }

    fn take(&mut self) -> Option<u16> {
        let taken = &mut self.taken;
        self.rest.find(|number| taken.insert(*number))
    }
}
