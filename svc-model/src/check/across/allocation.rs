//! Is an address or a node port given twice, or one that the cluster cannot give? The object that comes later by
//! namespace and name is the one at fault.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ptr;

use ipnet::IpNet;

use super::Findings;
use crate::addr::{IpFamily, parse_ip};
use crate::api::Service;
use crate::check::service::{NODE_PORTS, SourceRanges, Type, written_families};
use crate::cluster::Cluster;
use crate::families::{cluster_families, service_families, service_ranges};
use crate::kind::Resource;

pub(super) fn check(cluster: &Cluster, findings: &mut Findings) {
    let ranges = Ranges::new(service_ranges(cluster));
    cluster_ips(cluster, &ranges, findings);
    families(cluster, &ranges, findings);
    source_ranges(cluster, findings);
    node_ports(cluster, findings);
}

/// The addresses that Services are written to have; not those of headless and ExternalName Services, which have none.
pub(super) fn written_addrs(service: &Service) -> impl Iterator<Item = IpAddr> {
    let has_none = service.spec.is_headless() || service.spec.is_external_name();
    service.spec.written_cluster_ips().filter(move |_| !has_none).filter_map(|ip| parse_ip(ip).ok())
}

fn cluster_ips(cluster: &Cluster, ranges: &Ranges, findings: &mut Findings) {
    let mut owners: HashMap<IpAddr, &Service> = HashMap::new();
    for service in cluster.list::<Service>() {
        let spec = &service.spec;
        if spec.cluster_ip.is_empty() && spec.cluster_ips.is_empty() && !spec.is_external_name() {
            findings.warning(service, "spec.clusterIP", "absent: answers rest on an assumed address");
        }
        for addr in written_addrs(service) {
            match owners.entry(addr) {
                Entry::Occupied(owner) if !ptr::eq(*owner.get(), service) => {
                    let message = format_args!("{addr} is the cluster IP of {}", owner.get().reference());
                    findings.error(service, "spec.clusterIPs", message);
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(vacant) => {
                    vacant.insert(service);
                    if ranges.exclude(addr) {
                        findings.error(service, "spec.clusterIPs", format_args!("{addr} is outside every ServiceCIDR"));
                    }
                }
            }
        }
    }
}

fn families(cluster: &Cluster, ranges: &Ranges, findings: &mut Findings) {
    // Without ServiceCIDR objects it is the default range's family, and those that addresses were written in.
    let mut offered: BTreeSet<IpFamily> = ranges.families().collect();
    let known = !offered.is_empty();
    if !known {
        offered.insert(IpFamily::V4);
        offered.extend(cluster.list::<Service>().flat_map(written_addrs).map(IpFamily::of));
    }
    for service in cluster.list::<Service>() {
        let spec = &service.spec;
        // Nobody allocates for these, so they may ask for anything.
        if spec.is_external_name() || (spec.is_headless() && spec.selector.is_empty()) {
            continue;
        }
        for (i, family) in spec.ip_families.iter().enumerate() {
            if family.parse().is_ok_and(|family| !offered.contains(&family)) {
                let message = format_args!("no ServiceCIDR object gives the cluster a range of {family}");
                findings.error(service, format_args!("spec.ipFamilies[{i}]"), message);
            }
        }
        // Where no family is written the server takes that of the address, and names the address.
        for (i, ip) in spec.written_cluster_ips().enumerate().skip(spec.ip_families.len()).filter(|_| known) {
            let Ok(addr) = parse_ip(ip) else { continue };
            let family = IpFamily::of(addr);
            if !offered.contains(&family) {
                let message = format_args!("{addr}, but no ServiceCIDR object gives the cluster a range of {family}");
                findings.error(service, format_args!("spec.clusterIPs[{i}]"), message);
            }
        }
        if spec.ip_family_policy.as_deref() == Some("RequireDualStack") {
            let written: BTreeSet<IpFamily> = written_addrs(service).map(IpFamily::of).collect();
            let families = if known { &offered } else { &written };
            if families.len() < 2 {
                let message = if known {
                    "RequireDualStack, but the ServiceCIDR objects have one family only"
                } else {
                    "RequireDualStack needs two cluster IPs, or ServiceCIDR objects of both families"
                };
                findings.error(service, "spec.ipFamilyPolicy", message);
            }
        }
    }
}

/// A load balancer that the cluster gives a second family, though its source ranges are of one; where the Service itself says
/// that it has both, it is told so for itself.
fn source_ranges(cluster: &Cluster, findings: &mut Findings) {
    let offered = cluster_families(cluster);
    for service in cluster.list::<Service>() {
        let type_ = Type::of(&service.spec);
        let Some(ranges) = SourceRanges::of(service) else { continue };
        if ranges.open_family(type_, written_families(service)).is_none()
            && let Some(message) = ranges.open_family(type_, service_families(&offered, service))
        {
            findings.warning(service, ranges.field, message);
        }
    }
}

fn node_ports(cluster: &Cluster, findings: &mut Findings) {
    let mut owners: HashMap<i64, &Service> = HashMap::new();
    for service in cluster.list::<Service>() {
        let spec = &service.spec;
        let type_ = Type::of(spec);
        if !type_.has_node_ports() {
            continue;
        }
        let local = type_ == Type::LoadBalancer && spec.external_traffic_policy == "Local";
        let health_check = local.then_some((None, spec.health_check_node_port));
        let ports = spec.ports.iter().enumerate().map(|(i, port)| (Some(i), port.node_port));
        for (port, number) in ports.chain(health_check).filter(|(_, number)| NODE_PORTS.contains(number)) {
            let owner = *owners.entry(number).or_insert(service);
            if ptr::eq(owner, service) {
                continue;
            }
            let message = format_args!("node port {number} is given to {}", owner.reference());
            match port {
                Some(i) => findings.error(service, format_args!("spec.ports[{i}].nodePort"), message),
                None => findings.error(service, "spec.healthCheckNodePort", message),
            }
        }
    }
}

/// Ranges, merged and in order, so that a look-up costs O(log n).
#[derive(Default)]
pub(super) struct Ranges(Vec<IpNet>);

impl Ranges {
    pub(super) fn new(mut ranges: Vec<IpNet>) -> Ranges {
        ranges = IpNet::aggregate(&ranges);
        ranges.sort_unstable_by_key(IpNet::network);
        Ranges(ranges)
    }

    fn families(&self) -> impl Iterator<Item = IpFamily> {
        self.0.iter().map(IpFamily::of_net)
    }

    pub(super) fn hold(&self, addr: IpAddr) -> bool {
        let below = self.0.partition_point(|range| range.network() <= addr);
        below > 0 && self.0[below - 1].contains(&addr)
    }

    /// Whether there are ranges of the address's family and none holds it.
    pub(super) fn exclude(&self, addr: IpAddr) -> bool {
        // Those of IPv4 come first.
        let ends = [self.0.first(), self.0.last()];
        let of_family = |range: &IpNet| IpFamily::of_net(range) == IpFamily::of(addr);
        !self.hold(addr) && ends.into_iter().flatten().any(of_family)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{E, W, expect_across};

    const A: &str = "Service/default/a";
    const B: &str = "Service/default/b";

    fn service(name: &str, spec: &str) -> String {
        format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{{spec},"ports":[{{"port":80}}]}}}}"#)
    }

    fn cidrs(cidrs: &str) -> String {
        format!(r#"{{"metadata":{{"name":"kubernetes"}},"spec":{{"cidrs":[{cidrs}]}}}}"#)
    }

    #[test]
    fn a_cluster_ip_has_one_owner() {
        let (a, b) = (service("a", r#""clusterIP":"10.96.0.11""#), service("b", r#""clusterIP":"10.96.0.11""#));
        // Whatever the order they are given in.
        for world in [[("Service", &*a), ("Service", &*b)], [("Service", &*b), ("Service", &*a)]] {
            expect_across(&world, &["clusterIP"], &[(E, B, "spec.clusterIPs")]);
        }
        let other = service("b", r#""clusterIP":"010.096.0.11""#);
        expect_across(&[("Service", &a), ("Service", &other)], &["clusterIP"], &[(E, B, "spec.clusterIPs")]);
        let headless = service("b", r#""clusterIP":"None""#);
        expect_across(&[("Service", &headless), ("Service", &headless)], &["clusterIP"], &[]);
    }

    #[test]
    fn a_cluster_ip_lies_in_a_range_of_its_family() {
        let ranges = cidrs(r#""10.96.0.0/16""#);
        for (ip, expected) in [
            ("10.96.0.1", &[][..]),
            ("10.97.0.1", &[(E, A, "spec.clusterIPs")]),
            ("10.95.255.255", &[(E, A, "spec.clusterIPs")]),
            ("fd00::1", &[(E, A, "spec.clusterIPs[0]")]),
        ] {
            let a = service("a", &format!(r#""clusterIP":"{ip}""#));
            expect_across(&[("ServiceCIDR", &ranges), ("Service", &a)], &["clusterIP"], expected);
            expect_across(&[("Service", &a)], &["clusterIP"], &[]);
        }
    }

    #[test]
    fn an_absent_cluster_ip_is_assumed() {
        expect_across(
            &[("Service", &service("a", r#""type":"NodePort""#))],
            &["clusterIP"],
            &[(W, A, "spec.clusterIP")],
        );
        for spec in [r#""clusterIP":"None""#, r#""type":"ExternalName""#, r#""clusterIPs":["10.96.0.1"]"#] {
            expect_across(&[("Service", &service("a", spec))], &["clusterIP"], &[]);
        }
    }

    #[test]
    fn families_are_those_of_the_cluster() {
        const ABOUT: &[&str] = &["ipFamil"];
        let one = cidrs(r#""10.96.0.0/16""#);
        let both = cidrs(r#""10.96.0.0/16","fd00::/112""#);
        let require = service("a", r#""ipFamilyPolicy":"RequireDualStack""#);
        let policy = &[(E, A, "spec.ipFamilyPolicy")];
        expect_across(&[("ServiceCIDR", &one), ("Service", &require)], ABOUT, policy);
        expect_across(&[("ServiceCIDR", &both), ("Service", &require)], ABOUT, &[]);
        expect_across(&[("Service", &require)], ABOUT, policy);
        let prefer = service("a", r#""ipFamilyPolicy":"PreferDualStack""#);
        expect_across(&[("ServiceCIDR", &one), ("Service", &prefer)], ABOUT, &[]);

        let v6 = service("a", r#""ipFamilies":["IPv6"]"#);
        let family = &[(E, A, "spec.ipFamilies[0]")];
        expect_across(&[("ServiceCIDR", &one), ("Service", &v6)], ABOUT, family);
        expect_across(&[("ServiceCIDR", &both), ("Service", &v6)], ABOUT, &[]);
        expect_across(&[("Service", &v6)], ABOUT, family);
        // An address that was written shows that the cluster has its family.
        let written = service("a", r#""clusterIP":"fd00::1","ipFamilies":["IPv6"]"#);
        expect_across(&[("Service", &written)], ABOUT, &[]);
        // Where a family is written, that is what the cluster lacks; else it is the address.
        expect_across(&[("ServiceCIDR", &one), ("Service", &written)], &["ipFamil", "clusterIP"], family);
        let dual =
            r#""clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00::1"],"ipFamilyPolicy":"RequireDualStack""#;
        expect_across(&[("Service", &service("a", dual))], ABOUT, &[]);
    }

    #[test]
    fn a_headless_service_without_selector_may_ask_for_any_family() {
        let spec = r#""clusterIP":"None","ipFamilies":["IPv6"],"ipFamilyPolicy":"RequireDualStack""#;
        expect_across(&[("Service", &service("a", spec))], &["ipFamil"], &[]);
    }

    #[test]
    fn source_ranges_of_one_family_leave_the_other_open() {
        const FIELD: &str = "spec.loadBalancerSourceRanges";
        let balancer = |policy: &str, range: &str| {
            let ranges = format!(r#""loadBalancerSourceRanges":["{range}"]"#);
            service("a", &format!(r#""type":"LoadBalancer","ipFamilyPolicy":"{policy}",{ranges}"#))
        };
        let both = cidrs(r#""10.96.0.0/16","fd00::/112""#);
        let one = cidrs(r#""10.96.0.0/16""#);
        for (range, cidrs, policy, expected) in [
            ("10.0.0.0/8", &both, "PreferDualStack", &[(W, A, FIELD)][..]),
            ("fd00::/8", &both, "PreferDualStack", &[(W, A, FIELD)]),
            ("10.0.0.0/8", &both, "SingleStack", &[]),
            ("10.0.0.0/8", &one, "PreferDualStack", &[]),
            // Told by itself.
            ("10.0.0.0/8", &both, "RequireDualStack", &[]),
        ] {
            let world = [("ServiceCIDR", cidrs.as_str()), ("Service", &balancer(policy, range))];
            expect_across(&world, &["SourceRanges"], expected);
        }
    }

    #[test]
    fn a_node_port_has_one_owner_whatever_the_protocol() {
        const ABOUT: &[&str] = &["odePort"];
        let node_port = |name: &str, protocol: &str, number: u16| {
            let port = format!(r#"{{"port":80,"protocol":"{protocol}","nodePort":{number}}}"#);
            format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{"type":"NodePort","ports":[{port}]}}}}"#)
        };
        let conflict = &[(E, B, "spec.ports[0].nodePort")];
        for protocol in ["TCP", "UDP"] {
            let world = [node_port("a", "TCP", 30080), node_port("b", protocol, 30080)];
            expect_across(&[("Service", &world[0]), ("Service", &world[1])], ABOUT, conflict);
        }
        let apart = [node_port("a", "TCP", 30080), node_port("b", "TCP", 30081)];
        expect_across(&[("Service", &apart[0]), ("Service", &apart[1])], ABOUT, &[]);
        // One that is refused for its range is not judged further.
        let low = [node_port("a", "TCP", 80), node_port("b", "TCP", 80)];
        expect_across(&[("Service", &low[0]), ("Service", &low[1])], ABOUT, &[]);
    }

    #[test]
    fn health_check_ports_and_node_ports_share_their_range() {
        const ABOUT: &[&str] = &["odePort"];
        let check = |name: &str| {
            service(name, r#""type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30900"#)
        };
        let of = |name: &str| {
            let spec = r#"{"type":"NodePort","ports":[{"port":80,"nodePort":30900}]}"#;
            format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{spec}}}"#)
        };
        let later = &[(E, B, "spec.healthCheckNodePort")];
        expect_across(&[("Service", &check("a")), ("Service", &check("b"))], ABOUT, later);
        expect_across(&[("Service", &of("a")), ("Service", &check("b"))], ABOUT, later);
        expect_across(&[("Service", &check("a")), ("Service", &of("b"))], ABOUT, &[(E, B, "spec.ports[0].nodePort")]);
    }
}
