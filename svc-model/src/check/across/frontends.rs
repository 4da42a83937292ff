//! Who owns an address and port that more than one claims? External addresses of Services, and host ports of Pods.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::ptr;

use super::owners::Owners;
use super::{Findings, allocation};
use crate::Protocol;
use crate::addr::{parse_ip, special};
use crate::api::{Pod, Service};
use crate::check::pod::{Stands, host_port};
use crate::check::report::is_port;
use crate::check::service::Type;
use crate::cluster::Cluster;
use crate::kind::Resource;
use crate::protocol::port_number;

pub(super) fn check(cluster: &Cluster, owners: &Owners<'_>, findings: &mut Findings) {
    service_addresses(cluster, findings);
    captured_addresses(cluster, owners, findings);
    host_ports(cluster, findings);
}

/// A Service claims an address, for all of its ports. In the order in which the claims win: the data plane looks at
/// cluster IPs first, then external IPs, then load balancer addresses; within one kind the first Service has it.
#[derive(Clone, Copy)]
enum Claim {
    ClusterIp,
    /// `spec.externalIPs[i]`
    External(usize),
    /// `status.loadBalancer.ingress[i].ip`
    Ingress(usize),
}

impl Claim {
    fn rank(self) -> u8 {
        match self {
            Claim::ClusterIp => 0,
            Claim::External(_) => 1,
            Claim::Ingress(_) => 2,
        }
    }

    /// Reports that the address is another's.
    fn lost(self, service: &Service, message: &str, findings: &mut Findings) {
        match self {
            // Two Services with one cluster IP are an error, reported elsewhere.
            Claim::ClusterIp => {}
            Claim::External(i) => findings.warning(service, format_args!("spec.externalIPs[{i}]"), message),
            Claim::Ingress(i) => {
                findings.warning(service, format_args!("status.loadBalancer.ingress[{i}].ip"), message)
            }
        }
    }
}

fn claims(service: &Service) -> Vec<(IpAddr, Claim)> {
    if service.spec.is_headless() || service.spec.is_external_name() {
        return Vec::new();
    }
    let mut claims: Vec<(IpAddr, Claim)> =
        allocation::written_addrs(service).map(|addr| (addr, Claim::ClusterIp)).collect();
    for (i, ip) in service.spec.external_ips.iter().enumerate() {
        let addr = parse_ip(ip).ok().filter(|addr| special(*addr).is_none());
        claims.extend(addr.map(|addr| (addr, Claim::External(i))));
    }
    if Type::of(&service.spec) == Type::LoadBalancer {
        for (i, ingress) in service.status.load_balancer.ingress.iter().enumerate() {
            // A load balancer that is a proxy captures nothing on the nodes.
            let captures = ingress.ip_mode.as_deref().is_none_or(|mode| mode == "VIP");
            let addr = parse_ip(&ingress.ip).ok().filter(|_| captures);
            claims.extend(addr.map(|addr| (addr, Claim::Ingress(i))));
        }
    }
    claims
}

/// The addresses at which a Service is reached from outside.
pub(super) fn external_addrs(service: &Service) -> impl Iterator<Item = IpAddr> {
    let claims = claims(service).into_iter();
    claims.filter(|(_, claim)| !matches!(claim, Claim::ClusterIp)).map(|(addr, _)| addr)
}

/// External addresses that belong to somebody, who is cut off by them (CVE-2020-8554).
fn captured_addresses(cluster: &Cluster, owners: &Owners<'_>, findings: &mut Findings) {
    for service in cluster.list::<Service>() {
        for (addr, claim) in claims(service) {
            // Some load balancers do have the addresses of nodes.
            let node = owners.node(addr).filter(|_| matches!(claim, Claim::External(_)));
            let ports = service.spec.ports.iter().filter_map(|port| port_number(port.port));
            let is_api_server = ports.map(|port| SocketAddr::new(addr, port)).any(|addr| owners.is_api_server(addr));
            let whose = if matches!(claim, Claim::ClusterIp) || owners.cluster_ip(addr).is_some() {
                continue;
            } else if is_api_server {
                "the API server".to_owned()
            } else if let Some(pod) = owners.pod(addr) {
                pod.reference().to_string()
            } else if let Some(node) = node {
                node.reference().to_string()
            } else if owners.pod_ranges().hold(addr) {
                "in a range of the Pods".to_owned()
            } else {
                continue;
            };
            claim.lost(service, &format!("{addr} is {whose}: this Service takes what is sent there"), findings);
        }
    }
}

fn service_addresses(cluster: &Cluster, findings: &mut Findings) {
    let mut by_addr: BTreeMap<IpAddr, Vec<(Claim, &Service)>> = BTreeMap::new();
    for service in cluster.list::<Service>() {
        for (addr, claim) in claims(service) {
            by_addr.entry(addr).or_default().push((claim, service));
        }
    }
    for (addr, mut claims) in by_addr.into_iter().filter(|(_, claims)| claims.len() > 1) {
        // Stable, so that Services stay in their order within a kind. One that repeats itself claims no more by that.
        claims.sort_by_key(|(claim, _)| claim.rank());
        claims.dedup_by(|a, b| a.0.rank() == b.0.rank() && ptr::eq(a.1, b.1));
        if let Some((Claim::ClusterIp, owner)) = claims.first() {
            let message = format!("{addr} is the cluster IP of {}", owner.reference());
            claims.iter().for_each(|(claim, service)| claim.lost(service, &message, findings));
            continue;
        }
        let mut owners = HashMap::new();
        for (claim, service) in claims {
            if let Some((protocol, port, owner)) = take_ports(&mut owners, service) {
                let message = format!("{addr} {protocol} port {port} is {}'s", owner.reference());
                claim.lost(service, &message, findings);
            }
        }
    }
}

/// Takes the ports of a Service; the first of them that another has already, and who.
fn take_ports<'a>(
    owners: &mut HashMap<(Protocol, i64), &'a Service>,
    service: &'a Service,
) -> Option<(Protocol, i64, &'a Service)> {
    let mut taken = None;
    for port in service.spec.ports.iter().filter(|port| is_port(port.port)) {
        let Ok(protocol) = Protocol::of_field(&port.protocol) else {
            continue;
        };
        let owner = *owners.entry((protocol, port.port)).or_insert(service);
        if !ptr::eq(owner, service) {
            taken.get_or_insert((protocol, port.port, owner));
        }
    }
    taken
}

/// Who has a host port on a node: a Pod on all addresses, Pods on single ones.
#[derive(Default)]
struct HostPort<'a> {
    first: Option<&'a Pod>,
    everywhere: Option<&'a Pod>,
    at: HashMap<&'a str, &'a Pod>,
}

impl<'a> HostPort<'a> {
    fn conflict(&self, host_ip: &str) -> Option<&'a Pod> {
        if host_ip.is_empty() { self.first } else { self.everywhere.or_else(|| self.at.get(host_ip).copied()) }
    }

    fn take(&mut self, host_ip: &'a str, pod: &'a Pod) {
        self.first.get_or_insert(pod);
        if host_ip.is_empty() {
            self.everywhere.get_or_insert(pod);
        } else {
            self.at.entry(host_ip).or_insert(pod);
        }
    }
}

/// The scheduler puts only one Pod with a host port on a node.
fn host_ports(cluster: &Cluster, findings: &mut Findings) {
    let mut taken: HashMap<(&str, Protocol, i64), HostPort<'_>> = HashMap::new();
    for pod in cluster.list::<Pod>().filter(|pod| !pod.spec.node_name.is_empty() && !pod.is_finished()) {
        let mut own = Vec::new();
        for (i, container) in pod.spec.containers.iter().enumerate() {
            for (j, port) in container.ports.iter().enumerate() {
                let number = host_port(&pod.spec, port, Stands::Alone);
                let Ok(protocol) = Protocol::of_field(&port.protocol) else {
                    continue;
                };
                if !is_port(number) {
                    continue;
                }
                let host_ip = if matches!(&*port.host_ip, "0.0.0.0" | "::") { "" } else { port.host_ip.as_str() };
                let key = (pod.spec.node_name.as_str(), protocol, number);
                if let Some(other) = taken.get(&key).and_then(|taken| taken.conflict(host_ip)) {
                    let message = format_args!(
                        "{} has {protocol} host port {number} on node {}: only one of them is scheduled",
                        other.reference(),
                        pod.spec.node_name,
                    );
                    findings.warning(pod, format_args!("spec.containers[{i}].ports[{j}].hostPort"), message);
                }
                own.push((key, host_ip));
            }
        }
        // What the Pod itself has twice is an error of its own.
        for (key, host_ip) in own {
            taken.entry(key).or_default().take(host_ip, pod);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{W, expect_across};

    const A: &str = "Service/default/a";
    const B: &str = "Service/default/b";
    const ABOUT: &[&str] = &["externalIPs", "ingress"];
    const EXTERNAL: &str = "spec.externalIPs[0]";
    const INGRESS: &str = "status.loadBalancer.ingress[0].ip";

    fn external(name: &str, ip: &str, port: &str) -> String {
        let spec = format!(r#"{{"externalIPs":["{ip}"],"ports":[{{{port}}}]}}"#);
        format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{spec}}}"#)
    }

    fn balanced(name: &str, ingress: &str) -> String {
        let status = format!(r#"{{"loadBalancer":{{"ingress":[{ingress}]}}}}"#);
        let spec = r#"{"type":"LoadBalancer","ports":[{"port":80}]}"#;
        format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{spec},"status":{status}}}"#)
    }

    #[track_caller]
    fn services(a: &str, b: &str, expected: &[(Level, &str, &str)]) {
        expect_across(&[("Service", a), ("Service", b)], ABOUT, expected);
        expect_across(&[("Service", b), ("Service", a)], ABOUT, expected);
    }

    #[test]
    fn cve_2020_8554_an_external_ip_has_one_owner_a_port() {
        let a = external("a", "203.0.113.7", r#""port":80"#);
        services(&a, &external("b", "203.0.113.7", r#""port":80"#), &[(W, B, EXTERNAL)]);
        services(&a, &external("b", "203.0.113.007", r#""port":80"#), &[(W, B, EXTERNAL)]);
        services(&a, &external("b", "203.0.113.7", r#""port":81"#), &[]);
        services(&a, &external("b", "203.0.113.7", r#""port":80,"protocol":"UDP""#), &[]);
        services(&a, &external("b", "203.0.113.8", r#""port":80"#), &[]);
    }

    #[test]
    fn cve_2020_8554_no_external_address_is_a_cluster_ip() {
        let cluster_ip = r#"{"metadata":{"name":"z"},"spec":{"clusterIP":"10.96.0.9","ports":[{"port":443}]}}"#;
        services(&external("a", "10.96.0.9", r#""port":80"#), cluster_ip, &[(W, A, EXTERNAL)]);
        services(&balanced("a", r#"{"ip":"10.96.0.9"}"#), cluster_ip, &[(W, A, INGRESS)]);
    }

    #[test]
    fn cve_2020_8554_an_external_address_that_is_somebodys() {
        let node = r#"{"metadata":{"name":"n1"},"spec":{"podCIDR":"10.244.0.0/16"},"status":{"addresses":[{"type":"InternalIP","address":"192.168.0.1"}]}}"#;
        let pod = r#"{"metadata":{"name":"p"},"status":{"podIP":"10.9.0.1","phase":"Running"}}"#;
        let api = r#"{"metadata":{"name":"kubernetes"},"subsets":[{"addresses":[{"ip":"192.168.0.2"}],"ports":[{"port":6443}]}]}"#;
        let world = |service: &str, expected: &[(Level, &str, &str)]| {
            expect_across(&[("Node", node), ("Pod", pod), ("Endpoints", api), ("Service", service)], ABOUT, expected);
        };
        for (ip, port, found) in [
            ("192.168.0.1", 80, true),
            ("10.9.0.1", 80, true),
            ("10.244.7.7", 80, true),
            ("192.168.0.2", 6443, true),
            ("192.168.0.2", 443, false),
            ("203.0.113.7", 80, false),
        ] {
            world(&external("a", ip, &format!(r#""port":{port}"#)), if found { &[(W, A, EXTERNAL)] } else { &[] });
        }
        // As some load balancers have it.
        world(&balanced("a", r#"{"ip":"192.168.0.1"}"#), &[]);
        world(&balanced("a", r#"{"ip":"10.9.0.1"}"#), &[(W, A, INGRESS)]);
    }

    #[test]
    fn external_ips_win_over_load_balancer_addresses() {
        let a = balanced("a", r#"{"ip":"203.0.113.7"}"#);
        services(&a, &external("b", "203.0.113.7", r#""port":80"#), &[(W, A, INGRESS)]);
        services(&a, &balanced("b", r#"{"ip":"203.0.113.7"}"#), &[(W, B, INGRESS)]);
        services(&a, &balanced("b", r#"{"ip":"203.0.113.7","ipMode":"Proxy"}"#), &[]);
        services(&a, &balanced("b", r#"{"hostname":"lb.example.com"}"#), &[]);
    }

    #[test]
    fn ignored_addresses_claim_nothing() {
        let a = external("a", "203.0.113.7", r#""port":80"#);
        let headless = r#"{"metadata":{"name":"b"},"spec":{"clusterIP":"None","externalIPs":["203.0.113.7"],"ports":[{"port":80}]}}"#;
        services(&a, headless, &[]);
    }

    #[test]
    fn a_host_port_is_free_once_a_node() {
        let pod = |name: &str, node: &str, port: &str| {
            let spec = format!(
                r#"{{"nodeName":"{node}","containers":[{{"name":"c","image":"i","ports":[{{"containerPort":80,{port}}}]}}]}}"#
            );
            format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{spec}}}"#)
        };
        let found = &[(W, "Pod/default/q", "spec.containers[0].ports[0].hostPort")];
        for (node, p, q, conflict) in [
            ("n1", r#""hostPort":8080"#, r#""hostPort":8080"#, true),
            ("n2", r#""hostPort":8080"#, r#""hostPort":8080"#, false),
            ("n1", r#""hostPort":8080"#, r#""hostPort":8081"#, false),
            ("n1", r#""hostPort":8080"#, r#""hostPort":8080,"protocol":"UDP""#, false),
            ("n1", r#""hostPort":8080"#, r#""hostPort":8080,"hostIP":"10.0.0.1""#, true),
            ("n1", r#""hostPort":8080,"hostIP":"10.0.0.1""#, r#""hostPort":8080"#, true),
            ("n1", r#""hostPort":8080,"hostIP":"10.0.0.1""#, r#""hostPort":8080,"hostIP":"10.0.0.1""#, true),
            ("n1", r#""hostPort":8080,"hostIP":"10.0.0.1""#, r#""hostPort":8080,"hostIP":"10.0.0.2""#, false),
            ("n1", r#""hostPort":8080,"hostIP":"0.0.0.0""#, r#""hostPort":8080,"hostIP":"10.0.0.2""#, true),
            ("n1", r#""hostPort":8080,"hostIP":"::""#, r#""hostPort":8080,"hostIP":"10.0.0.2""#, true),
            ("n1", r#""hostPort":0"#, r#""hostPort":0"#, false),
        ] {
            let world = [("Pod", &*pod("p", "n1", p)), ("Pod", &*pod("q", node, q))];
            expect_across(&world, &["hostPort"], if conflict { found } else { &[] });
        }
        let unscheduled = [("Pod", &*pod("p", "", r#""hostPort":80"#)), ("Pod", &*pod("q", "", r#""hostPort":80"#))];
        expect_across(&unscheduled, &["hostPort"], &[]);
    }
}
