//! Are Node, ServiceCIDR and ConfigMap in order?

use std::collections::HashSet;
use std::slice::from_ref;

use ipnet::IpNet;

use super::names;
use super::report::{Report, Shown};
use crate::addr::{IpFamily, parse_ip};
use crate::api::{ConfigMap, Node, ServiceCidr};

pub(super) fn node(report: &mut Report, node: &Node) {
    let spec = &node.spec;
    // The server copies `podCIDR` when it stands alone.
    let copied = (!spec.pod_cidr.is_empty()).then_some(&spec.pod_cidr);
    let written = if spec.pod_cidrs.is_empty() { copied.map(from_ref).unwrap_or_default() } else { &spec.pod_cidrs };
    let mut seen = HashSet::new();
    let mut nets = Vec::new();
    for (i, text) in written.iter().enumerate() {
        let Some(net) = report.cidr(format_args!("spec.podCIDRs[{i}]"), text) else {
            continue;
        };
        if seen.insert(net) {
            nets.push(net);
        } else {
            report.error(format_args!("spec.podCIDRs[{i}]"), format_args!("{net} a second time"));
        }
    }
    if share_a_family(&nets) {
        report.error("spec.podCIDRs", "more than one range of a family");
    }
    let mut seen = HashSet::new();
    for (i, address) in node.status.addresses.iter().enumerate() {
        if !seen.insert((&address.type_, &address.address)) {
            let message = format_args!("{} {} a second time", address.type_, Shown(&address.address));
            report.error(format_args!("status.addresses[{i}]"), message);
        }
        if matches!(address.type_.as_str(), "InternalIP" | "ExternalIP") {
            let field = format_args!("status.addresses[{i}].address");
            if parse_ip(&address.address).is_err() {
                report.warning(field, format_args!("{} is no IP address; it is left out", Shown(&address.address)));
            }
            report.canonical_if_address(field, &address.address);
        }
    }
}

pub(super) fn service_cidr(report: &mut Report, object: &ServiceCidr) {
    let cidrs = &object.spec.cidrs;
    let nets: Vec<IpNet> =
        cidrs.iter().enumerate().filter_map(|(i, text)| report.cidr(format_args!("spec.cidrs[{i}]"), text)).collect();
    match cidrs.len() {
        0 => report.error("spec.cidrs", "missing: a range, or one of each family"),
        1 | 2 if share_a_family(&nets) => report.error("spec.cidrs", "two ranges of one family"),
        1 | 2 => {}
        n => report.error("spec.cidrs", format_args!("{n} ranges, at most one of each family")),
    }
}

pub(super) fn config_map(report: &mut Report, object: &ConfigMap) {
    for key in object.data.keys() {
        report.check(format_args!("data[{key}]"), names::config_key(key));
    }
}

/// Whether some family has more than one range.
pub(super) fn share_a_family(nets: &[IpNet]) -> bool {
    [IpFamily::V4, IpFamily::V6]
        .iter()
        .any(|family| nets.iter().filter(|net| IpFamily::of_net(net) == *family).count() > 1)
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{E, W, expect};

    #[track_caller]
    fn node(rest: &str, expected: &[(Level, &str)]) {
        expect("Node", &format!(r#"{{"metadata":{{"name":"n1"}},{rest}}}"#), expected);
    }

    #[test]
    fn pod_ranges_of_a_node() {
        node(r#""spec":{"podCIDRs":["10.244.0.0/24","fd00::/64"]}"#, &[]);
        node(r#""spec":{"podCIDRs":["10.244.0.0"]}"#, &[(E, "spec.podCIDRs[0]")]);
        node(r#""spec":{"podCIDR":"10.244.0.0"}"#, &[(E, "spec.podCIDRs[0]")]);
        node(r#""spec":{"podCIDRs":["10.244.0.0/24","10.244.0.0/24"]}"#, &[(E, "spec.podCIDRs[1]")]);
        node(r#""spec":{"podCIDRs":["10.244.0.0/24","10.244.1.0/24"]}"#, &[(E, "spec.podCIDRs")]);
        node(r#""spec":{"podCIDRs":["10.244.0.1/24"]}"#, &[(W, "spec.podCIDRs[0]")]);
        node(r#""spec":{"podCIDRs":[" 10.244.0.0/24"]}"#, &[(E, "spec.podCIDRs[0]")]);
    }

    #[test]
    fn addresses_of_a_node() {
        let two = |a: &str, b: &str| format!(r#""status":{{"addresses":[{a},{b}]}}"#);
        let ip = |type_: &str, addr: &str| format!(r#"{{"type":"{type_}","address":"{addr}"}}"#);
        let internal = ip("InternalIP", "192.0.2.1");
        node(&two(&internal, &internal), &[(E, "status.addresses[1]")]);
        node(&two(&internal, &ip("ExternalIP", "192.0.2.1")), &[]);
        node(&two(&internal, &ip("InternalIP", "n1.example")), &[(W, "status.addresses[1].address")]);
        node(&two(&internal, &ip("ExternalIP", "192.0.02.1")), &[(W, "status.addresses[1].address")]);
        node(&two(&internal, &ip("Hostname", "n1.example")), &[]);
    }

    #[test]
    fn ranges_of_a_service_cidr() {
        for (cidrs, expected) in [
            (r#"[]"#, &[(E, "spec.cidrs")][..]),
            (r#"["10.96.0.0/16"]"#, &[]),
            (r#"["10.96.0.0/16","fd00::/112"]"#, &[]),
            (r#"["10.96.0.0/16","10.97.0.0/16"]"#, &[(E, "spec.cidrs")]),
            (r#"["10.96.0.0/16","fd00::/112","10.97.0.0/16"]"#, &[(E, "spec.cidrs")]),
            (r#"["10.96.0.0"]"#, &[(E, "spec.cidrs[0]")]),
        ] {
            expect("ServiceCIDR", &format!(r#"{{"metadata":{{"name":"x"}},"spec":{{"cidrs":{cidrs}}}}}"#), expected);
        }
    }

    #[test]
    fn keys_of_a_config_map() {
        expect("ConfigMap", r#"{"metadata":{"name":"c"},"data":{"a b":"x"}}"#, &[(E, "data[a b]")]);
        expect("ConfigMap", r#"{"metadata":{"name":"c"},"data":{"..":"x"}}"#, &[(E, "data[..]")]);
        expect("ConfigMap", r#"{"metadata":{"name":"c"},"data":{"9000":"x","a.b_c-D":"y"}}"#, &[]);
    }
}
