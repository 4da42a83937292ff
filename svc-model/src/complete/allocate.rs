//! Which cluster IPs and node ports would the API server give?
//!
//! Explicit ones of the world are taken first; then Services by (namespace, name) get the lowest free value of the upper
//! band of the range, then of the lower band, which the API server keeps for explicit ones (KEP-3070 for addresses,
//! KEP-3668 for node ports).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::addresses::{Range, nth, size};
use crate::addr::{IpFamily, parse_ip};
use crate::api::Service;
use crate::check::Finding;
use crate::cluster::Cluster;
use crate::families::{service_families, service_ranges};
use crate::kind::Resource;
use crate::protocol::port_number;

/// The range of cluster IPs when no ServiceCIDR object names one: 10.96.0.0/12.
fn default_range() -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 96, 0, 0), 12))
}

/// Node ports: the lower band 30000-30085, the upper band 30086-32767.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
const FIRST_UPPER_NODE_PORT: u16 = 30086;

pub(super) fn complete(cluster: &mut Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut addresses = ClusterIps::new(cluster);
    let mut node_ports = NodePorts::new(cluster);
    let services: Vec<Service> = cluster.list::<Service>().cloned().collect();
    for mut service in services {
        let key = service.key();
        let with_address = addresses.complete(cluster, &mut service, &mut findings);
        let with_port = node_ports.complete(&mut service, &mut findings);
        if with_address || with_port {
            cluster.apply(service);
        }
        if with_address {
            cluster.assumed_mut().cluster_ips.insert(key.clone());
        }
        if with_port {
            cluster.assumed_mut().node_ports.insert(key);
        }
    }
    findings
}

struct ClusterIps {
    /// Where to look, in this order: the upper bands of all ranges, then the lower ones.
    bands: Vec<Range>,
    taken: HashSet<IpAddr>,
    /// The address that `default/kubernetes` has in each family: the second of the first range.
    kubernetes: HashMap<IpFamily, IpAddr>,
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
            kubernetes
                .entry(IpFamily::of_net(range))
                .or_insert_with(|| nth(range, 1));
        }
        taken.extend(kubernetes.values());
        let upper = ranges.iter().map(|net| Range::band(*net, lower_band(net), u128::MAX));
        let lower = ranges.iter().map(|net| Range::band(*net, 0, lower_band(net)));
        let default_family = IpFamily::of_net(&ranges[0]); // one range at least was put there above
        ClusterIps {
            bands: upper.chain(lower).collect(),
            taken,
            kubernetes,
            default_family,
        }
    }

    /// Gives a Service the addresses it has not; whether it got one.
    fn complete(&mut self, cluster: &Cluster, service: &mut Service, findings: &mut Vec<Finding>) -> bool {
        if service.spec.is_external_name() || service.spec.is_headless() {
            return false;
        }
        let written: Vec<String> = service.spec.written_cluster_ips().map(str::to_owned).collect();
        let written_families: Vec<IpFamily> = written
            .iter()
            .filter_map(|ip| parse_ip(ip).ok())
            .map(IpFamily::of)
            .collect();
        // An address that cannot be read was meant to be one: nothing is given in its place.
        if written_families.len() < written.len() {
            return false;
        }
        let mut families = service_families(cluster, service);
        if families.is_empty() {
            families.push(self.default_family);
        }
        if service.spec.ip_family_policy.as_deref() == Some("RequireDualStack") && families.len() < 2 {
            let message = "RequireDualStack, but the cluster has ranges of one family only";
            findings.push(Finding::error(service.reference(), "spec.ipFamilyPolicy", message));
        }
        let mut ips = written;
        let before = ips.len();
        for family in families.into_iter().filter(|family| !written_families.contains(family)) {
            match self.take(service, family) {
                Some(ip) => ips.push(ip.to_string()),
                None if self.bands.iter().any(|band| band.family() == family) => {
                    let message = format!("no free {family} address is left in the Service ranges");
                    findings.push(Finding::error(service.reference(), "spec.clusterIPs", message));
                }
                None => {
                    let message = format!("the cluster has no Service range of {family}");
                    findings.push(Finding::error(service.reference(), "spec.ipFamilies", message));
                }
            }
        }
        if ips.len() == before {
            return false;
        }
        service.spec.cluster_ip = ips[0].clone(); // it grew, so it is not empty
        service.spec.cluster_ips = ips;
        true
    }

    fn take(&mut self, service: &Service, family: IpFamily) -> Option<IpAddr> {
        if service.namespace() == "default" && service.name() == "kubernetes" {
            return self.kubernetes.get(&family).copied();
        }
        let taken = &mut self.taken;
        self.bands
            .iter_mut()
            .filter(|band| band.family() == family)
            .find_map(|band| band.take(taken))
    }
}

/// How many addresses the lower band of a range has (KEP-3070).
fn lower_band(net: &IpNet) -> u128 {
    (size(net) / 16).clamp(16, 256)
}

struct NodePorts {
    taken: HashSet<u16>,
    next_upper: u16,
}

impl NodePorts {
    fn new(cluster: &Cluster) -> NodePorts {
        let services = cluster.list::<Service>();
        let written = services.flat_map(|service| {
            let ports = service.spec.ports.iter().map(|port| port.node_port);
            ports.chain([service.spec.health_check_node_port])
        });
        NodePorts {
            taken: written.filter_map(port_number).collect(),
            next_upper: FIRST_UPPER_NODE_PORT,
        }
    }

    /// Gives a Service the node ports it has not; whether it got one.
    fn complete(&mut self, service: &mut Service, findings: &mut Vec<Finding>) -> bool {
        let load_balancer = service.spec.type_ == "LoadBalancer";
        let wants = service.spec.type_ == "NodePort"
            || (load_balancer && service.spec.allocate_load_balancer_node_ports != Some(false));
        let reference = service.reference();
        let mut given = false;
        if wants {
            // The same port under two protocols shares its node port.
            let mut by_port: HashMap<i64, i64> = HashMap::new();
            for port in service.spec.ports.iter().filter(|port| port.node_port != 0) {
                by_port.entry(port.port).or_insert(port.node_port);
            }
            for (i, port) in service
                .spec
                .ports
                .iter_mut()
                .enumerate()
                .filter(|(_, port)| port.node_port == 0)
            {
                let shared = by_port.get(&port.port).copied();
                match shared.or_else(|| self.take().map(i64::from)) {
                    Some(number) => {
                        port.node_port = number;
                        by_port.insert(port.port, number);
                        given = true;
                    }
                    None => {
                        let field = format!("spec.ports[{i}].nodePort");
                        findings.push(Finding::error(
                            &reference,
                            field,
                            "no free node port is left in 30000-32767",
                        ));
                    }
                }
            }
        }
        if load_balancer && service.spec.external_traffic_policy == "Local" && service.spec.health_check_node_port == 0
        {
            match self.take() {
                Some(number) => {
                    service.spec.health_check_node_port = i64::from(number);
                    given = true;
                }
                None => {
                    let message = "no free node port is left in 30000-32767";
                    findings.push(Finding::error(&reference, "spec.healthCheckNodePort", message));
                }
            }
        }
        given
    }

    fn take(&mut self) -> Option<u16> {
        let upper = (self.next_upper..=*NODE_PORTS.end()).find(|port| !self.taken.contains(port));
        let lower = || (*NODE_PORTS.start()..FIRST_UPPER_NODE_PORT).find(|port| !self.taken.contains(port));
        let port = upper.or_else(lower)?;
        if port >= FIRST_UPPER_NODE_PORT {
            self.next_upper = port + 1;
        }
        self.taken.insert(port);
        Some(port)
    }
}
