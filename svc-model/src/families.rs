//! IPv4, IPv6 or both? The families a Service has, as the API server defaults them.

use ipnet::IpNet;

use crate::addr::{IpFamily, parse_cidr, parse_ip};
use crate::api::{Service, ServiceCidr};
use crate::cluster::Cluster;

/// The ranges of the ServiceCIDR objects, by name of the object; what is no CIDR is left out.
pub(crate) fn service_ranges(cluster: &Cluster) -> Vec<IpNet> {
    cluster
        .list::<ServiceCidr>()
        .flat_map(|object| &object.spec.cidrs)
        .filter_map(|cidr| parse_cidr(cidr).ok())
        .collect()
}

/// The families of the cluster as its ServiceCIDR objects show them, the first range's first; none without such objects.
pub(crate) fn cluster_families(cluster: &Cluster) -> Vec<IpFamily> {
    let mut families = Vec::new();
    for range in service_ranges(cluster) {
        let family = IpFamily::of_net(&range);
        if !families.contains(&family) {
            families.push(family);
        }
    }
    families
}

/// The families of a Service: those it asks for, else those of its addresses, else what the cluster gives it. Empty if
/// nothing tells.
pub(crate) fn service_families(cluster: &Cluster, service: &Service) -> Vec<IpFamily> {
    let asked: Vec<IpFamily> = service
        .spec
        .ip_families
        .iter()
        .filter_map(|family| family.parse().ok())
        .collect();
    let wants_both = matches!(
        service.spec.ip_family_policy.as_deref(),
        Some("PreferDualStack" | "RequireDualStack")
    );
    let mut families = asked;
    for ip in service.spec.written_cluster_ips().filter_map(|ip| parse_ip(ip).ok()) {
        if !families.contains(&IpFamily::of(ip)) {
            families.push(IpFamily::of(ip));
        }
    }
    let offered = cluster_families(cluster);
    if families.is_empty() {
        families.extend(offered.first());
    }
    if wants_both {
        for family in offered {
            if !families.contains(&family) {
                families.push(family);
            }
        }
    }
    families
}
