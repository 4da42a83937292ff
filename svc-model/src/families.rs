//! IPv4, IPv6 or both? The families a Service has, as the API server defaults them.

use ipnet::IpNet;

use crate::addr::{IpFamily, parse_cidr, parse_ip};
use crate::api::{Service, ServiceCidr};
use crate::cluster::Cluster;
use crate::kind::Resource;

/// The object that holds the ranges the API server was started with, and so the cluster's first family (KEP-1880).
const PRIMARY: &str = "kubernetes";

/// The ranges of the ServiceCIDR objects, the primary one's first and then by name of the object; what is no CIDR is left
/// out.
pub(crate) fn service_ranges(cluster: &Cluster) -> Vec<IpNet> {
    let primary = cluster.get::<ServiceCidr>("", PRIMARY);
    let others = cluster.list::<ServiceCidr>().filter(|object| object.name() != PRIMARY);
    primary
        .into_iter()
        .chain(others)
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

/// The families of a Service: those it asks for, else those of its addresses, else what the cluster gives it, which offers
/// its [`cluster_families`]. Empty if nothing tells.
pub(crate) fn service_families(offered: &[IpFamily], service: &Service) -> Vec<IpFamily> {
    let asked: Vec<IpFamily> = service.spec.ip_families.iter().filter_map(|family| family.parse().ok()).collect();
    let wants_both = matches!(service.spec.ip_family_policy.as_deref(), Some("PreferDualStack" | "RequireDualStack"));
    let mut families = asked;
    for ip in service.spec.written_cluster_ips().filter_map(|ip| parse_ip(ip).ok()) {
        if !families.contains(&IpFamily::of(ip)) {
            families.push(IpFamily::of(ip));
        }
    }
    if families.is_empty() {
        families.extend(offered.first());
    }
    if wants_both {
        // Nothing allocates for a headless Service: where no range shows the cluster's families, its Pods may have both.
        let offered =
            if offered.is_empty() && service.spec.is_headless() { &[IpFamily::V4, IpFamily::V6] } else { offered };
        for family in offered {
            if !families.contains(family) {
                families.push(*family);
            }
        }
    }
    families
}
