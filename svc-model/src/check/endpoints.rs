//! Are these endpoints in order? EndpointSlice and Endpoints, by the same rules for the same things.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::IpAddr;

use super::names::{self, NameError};
use super::report::{Report, Shown};
use crate::addr::{IpFamily, parse_ip};
use crate::api::{EndpointAddress, EndpointSlice, Endpoints, ForName, SERVICE_NAME_LABEL, SliceEndpoint, SlicePort};

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_HINTS: usize = 8;

pub(super) fn endpoints(report: &mut Report, endpoints: &Endpoints) {
    for (i, subset) in endpoints.subsets.iter().enumerate() {
        let at = &format!("subsets[{i}]");
        if subset.addresses.is_empty() && subset.not_ready_addresses.is_empty() {
            report.error(at, "neither `addresses` nor `notReadyAddresses`");
        }
        for (list, addresses) in [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)]
        {
            for (j, address) in addresses.iter().enumerate() {
                endpoint_address(report, &format!("{at}.{list}[{j}]"), address);
            }
        }
        for (j, port) in subset.ports.iter().enumerate() {
            let at = &format!("{at}.ports[{j}]");
            if port.name.is_empty() && subset.ports.len() > 1 {
                report.error(format_args!("{at}.name"), "missing: each of several ports needs a name");
            }
            report.optional_name(format_args!("{at}.name"), &port.name, names::dns_1123_label);
            report.port(format_args!("{at}.port"), port.port);
            protocols(report, at, &port.protocol, port.app_protocol.as_deref());
        }
    }
}

fn endpoint_address(report: &mut Report, at: &str, address: &EndpointAddress) {
    destination(report, format_args!("{at}.ip"), &address.ip);
    report.optional_name(format_args!("{at}.hostname"), &address.hostname, names::dns_1123_label);
    if let Some(node) = &address.node_name {
        report.check(format_args!("{at}.nodeName"), names::dns_1123_subdomain(node));
    }
}

pub(super) fn slice(report: &mut Report, slice: &EndpointSlice) {
    if !slice.metadata.labels.contains_key(SERVICE_NAME_LABEL) {
        let message = format_args!("no label {SERVICE_NAME_LABEL}: the slice belongs to no Service, whatever its name");
        report.warning("metadata.labels", message);
    }
    let addresses = match slice.address_type.as_str() {
        "IPv4" => Addresses::Ip(IpFamily::V4),
        "IPv6" => Addresses::Ip(IpFamily::V6),
        "FQDN" => Addresses::Fqdn,
        "" => {
            report.error("addressType", "missing: IPv4, IPv6 or FQDN");
            Addresses::Unknown
        }
        other => {
            report.one_of("addressType", other, &["IPv4", "IPv6", "FQDN"]);
            Addresses::Unknown
        }
    };
    if slice.endpoints.len() > MAX_ENDPOINTS {
        report.error(
            "endpoints",
            format_args!("{} endpoints, at most {MAX_ENDPOINTS} in a slice", slice.endpoints.len()),
        );
    }
    for (i, endpoint) in slice.endpoints.iter().enumerate() {
        slice_endpoint(report, &format!("endpoints[{i}]"), endpoint, addresses);
    }
    let mut seen = HashSet::new();
    for (i, port) in slice.ports.iter().enumerate() {
        slice_port(report, &format!("ports[{i}]"), port, &mut seen);
    }
}

/// What the addresses of a slice should be.
#[derive(Clone, Copy)]
enum Addresses {
    Ip(IpFamily),
    Fqdn,
    /// Nobody knows, so they are not judged.
    Unknown,
}

fn slice_endpoint(report: &mut Report, at: &str, endpoint: &SliceEndpoint, addresses: Addresses) {
    match endpoint.addresses.len() {
        0 => report.error(format_args!("{at}.addresses"), "missing: an endpoint needs an address"),
        1..=MAX_ADDRESSES => {}
        n => report.error(format_args!("{at}.addresses"), format_args!("{n} addresses, at most {MAX_ADDRESSES}")),
    }
    for (j, text) in endpoint.addresses.iter().enumerate() {
        let field = format_args!("{at}.addresses[{j}]");
        match addresses {
            Addresses::Unknown => {}
            Addresses::Fqdn => _ = report.check(field, names::full_domain_name(text)),
            Addresses::Ip(family) => match parse_ip(text) {
                Ok(addr) if IpFamily::of(addr) != family => {
                    report.error(field, format_args!("{} is not {family}, the slice's addressType", Shown(text)));
                }
                _ => destination(report, field, text),
            },
        }
    }
    if let Some(hostname) = &endpoint.hostname {
        report.check(format_args!("{at}.hostname"), names::dns_1123_label(hostname));
    }
    if let Some(node) = &endpoint.node_name {
        report.check(format_args!("{at}.nodeName"), names::dns_1123_subdomain(node));
    }
    if let Some(given) = &endpoint.hints {
        hints(report, format_args!("{at}.hints.forZones"), &given.for_zones, names::label_value);
        hints(report, format_args!("{at}.hints.forNodes"), &given.for_nodes, names::dns_1123_subdomain);
    }
}

/// May an endpoint have this address? That slices once escaped the question was CVE-2021-25737.
fn destination(report: &mut Report, field: impl Display + Copy, text: &str) {
    if let Some(addr) = report.destination(field, text).filter(IpAddr::is_multicast) {
        report.warning(field, format_args!("{addr} is multicast: no connection can be made to it"));
    }
}

fn hints(report: &mut Report, at: impl Display, hints: &[ForName], rule: fn(&str) -> Result<(), NameError>) {
    if hints.len() > MAX_HINTS {
        report.error(&at, format_args!("{} hints, at most {MAX_HINTS}", hints.len()));
    }
    let mut seen = HashSet::new();
    for (j, hint) in hints.iter().enumerate() {
        let field = format_args!("{at}[{j}].name");
        if report.check(field, rule(&hint.name)) && !seen.insert(&hint.name) {
            report.error(format_args!("{at}[{j}].name"), format_args!("{} a second time", Shown(&hint.name)));
        }
    }
}

fn slice_port<'a>(report: &mut Report, at: &str, port: &'a SlicePort, seen: &mut HashSet<&'a str>) {
    // The server turns an absent name into the empty one before it looks for repeats.
    let name = port.name.as_deref().unwrap_or_default();
    if report.optional_name(format_args!("{at}.name"), name, names::dns_1123_label) && !seen.insert(name) {
        let message =
            if name.is_empty() { "a second port without a name".into() } else { format!("{name:?} a second time") };
        report.error(format_args!("{at}.name"), message);
    }
    if let Some(number) = port.port.filter(|number| !super::report::is_port(*number)) {
        report.warning(format_args!("{at}.port"), format_args!("{number} is no port: 1 to 65535; it is left out"));
    }
    protocols(report, at, &port.protocol, port.app_protocol.as_deref());
}

fn protocols(report: &mut Report, at: &str, protocol: &str, app_protocol: Option<&str>) {
    report.protocol(format_args!("{at}.protocol"), protocol);
    if let Some(protocol) = app_protocol {
        report.check(format_args!("{at}.appProtocol"), names::qualified_name(protocol));
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{E, W, expect};

    #[track_caller]
    fn subset(json: &str, expected: &[(Level, &str)]) {
        expect("Endpoints", &format!(r#"{{"metadata":{{"name":"a"}},"subsets":[{json}]}}"#), expected);
    }

    #[track_caller]
    fn slice(json: &str, expected: &[(Level, &str)]) {
        let labels = r#"{"kubernetes.io/service-name":"a"}"#;
        expect("EndpointSlice", &format!(r#"{{"metadata":{{"name":"a-1","labels":{labels}}},{json}}}"#), expected);
    }

    /// A slice of IPv4 endpoints.
    #[track_caller]
    fn v4(endpoints: &str, expected: &[(Level, &str)]) {
        slice(&format!(r#""addressType":"IPv4","endpoints":{endpoints}"#), expected);
    }

    #[test]
    fn subsets() {
        subset(r#"{"ports":[{"port":80}]}"#, &[(E, "subsets[0]")]);
        subset(r#"{"notReadyAddresses":[{"ip":"10.1.0.1"}]}"#, &[]);
        subset(r#"{"addresses":[{"ip":"db.example.com"}]}"#, &[(E, "subsets[0].addresses[0].ip")]);
        subset(r#"{"addresses":[{}]}"#, &[(E, "subsets[0].addresses[0].ip")]);
        subset(r#"{"notReadyAddresses":[{"ip":"127.0.0.1"}]}"#, &[(E, "subsets[0].notReadyAddresses[0].ip")]);
        subset(r#"{"addresses":[{"ip":"239.1.1.1"}]}"#, &[(W, "subsets[0].addresses[0].ip")]);
        subset(r#"{"addresses":[{"ip":"10.01.0.1"}]}"#, &[(W, "subsets[0].addresses[0].ip")]);
        subset(r#"{"addresses":[{"ip":"10.1.0.1","hostname":"db.0"}]}"#, &[(E, "subsets[0].addresses[0].hostname")]);
        subset(r#"{"addresses":[{"ip":"10.1.0.1","nodeName":"n 1"}]}"#, &[(E, "subsets[0].addresses[0].nodeName")]);
        subset(r#"{"addresses":[{"ip":"10.1.0.1","nodeName":"n1.example","hostname":"db-0"}]}"#, &[]);
    }

    #[test]
    fn subset_ports() {
        #[track_caller]
        fn ports(ports: &str, expected: &[(Level, &str)]) {
            subset(&format!(r#"{{"addresses":[{{"ip":"10.1.0.1"}}],"ports":[{ports}]}}"#), expected);
        }
        ports(r#"{"port":80}"#, &[]);
        ports(r#"{"name":"x","port":80},{"port":81}"#, &[(E, "subsets[0].ports[1].name")]);
        ports(r#"{"name":"a_b","port":80}"#, &[(E, "subsets[0].ports[0].name")]);
        // A repeated name is not refused.
        ports(r#"{"name":"x","port":80},{"name":"x","port":81}"#, &[]);
        ports(r#"{"port":0}"#, &[(E, "subsets[0].ports[0].port")]);
        ports(r#"{"port":80,"protocol":"tcp"}"#, &[(E, "subsets[0].ports[0].protocol")]);
        ports(r#"{"port":80,"appProtocol":"http 2"}"#, &[(E, "subsets[0].ports[0].appProtocol")]);
    }

    #[test]
    fn a_slice_needs_its_label_and_type() {
        let none = r#"{"metadata":{"name":"a"},"addressType":"IPv4"}"#;
        expect("EndpointSlice", none, &[(W, "metadata.labels")]);
        slice(r#""endpoints":[{"addresses":["10.1.0.1"]}]"#, &[(E, "addressType")]);
        slice(r#""addressType":"ipv4","endpoints":[{"addresses":["nonsense"]}]"#, &[(E, "addressType")]);
        slice(r#""addressType":"IPv6","endpoints":[{"addresses":["fd00::1"]}]"#, &[]);
    }

    #[test]
    fn slice_addresses_are_of_its_type() {
        v4(r#"[{"addresses":["10.1.0.1"]},{"addresses":["2001:db8::1"]}]"#, &[(E, "endpoints[1].addresses[0]")]);
        v4(r#"[{"addresses":["db.example.com"]}]"#, &[(E, "endpoints[0].addresses[0]")]);
        v4(r#"[{"addresses":["::ffff:10.1.0.1"]}]"#, &[(W, "endpoints[0].addresses[0]")]);
        v4(r#"[{"addresses":["239.1.1.1"]}]"#, &[(W, "endpoints[0].addresses[0]")]);
        v4(r#"[{}]"#, &[(E, "endpoints[0].addresses")]);
        let many = |n: usize| format!(r#"[{{"addresses":{:?}}}]"#, vec!["10.1.0.1"; n]);
        v4(&many(100), &[]);
        v4(&many(101), &[(E, "endpoints[0].addresses")]);
        let fqdn = |name: &str| format!(r#""addressType":"FQDN","endpoints":[{{"addresses":["{name}"]}}]"#);
        slice(&fqdn("db.example.com"), &[]);
        slice(&fqdn("my_db.example.com"), &[(E, "endpoints[0].addresses[0]")]);
        slice(&fqdn("db"), &[(E, "endpoints[0].addresses[0]")]);
    }

    #[test]
    fn a_slice_has_at_most_a_thousand_endpoints() {
        let many = |n: usize| format!("[{}]", vec![r#"{"addresses":["10.1.0.1"]}"#; n].join(","));
        v4(&many(1000), &[]);
        v4(&many(1001), &[(E, "endpoints")]);
    }

    #[test]
    fn cve_2021_25737_slices_and_endpoints_refuse_the_same_addresses() {
        for (family, addr) in [
            ("IPv4", "127.0.0.1"),
            ("IPv4", "169.254.169.254"),
            ("IPv4", "224.0.0.1"),
            ("IPv4", "0.0.0.0"),
            ("IPv6", "fe80::1"),
            ("IPv6", "::"),
            ("IPv6", "::1"),
            ("IPv6", "ff02::1"),
        ] {
            subset(&format!(r#"{{"addresses":[{{"ip":"{addr}"}}]}}"#), &[(E, "subsets[0].addresses[0].ip")]);
            let endpoints = format!(r#""addressType":"{family}","endpoints":[{{"addresses":["{addr}"]}}]"#);
            slice(&endpoints, &[(E, "endpoints[0].addresses[0]")]);
        }
        // Seen through the mapping.
        v4(r#"[{"addresses":["::ffff:127.0.0.1"]}]"#, &[(E, "endpoints[0].addresses[0]")]);
    }

    #[test]
    fn names_and_hints_of_slice_endpoints() {
        #[track_caller]
        fn with(field: &str, expected: &[(Level, &str)]) {
            v4(&format!(r#"[{{"addresses":["10.1.0.1"],{field}}}]"#), expected);
        }
        with(r#""hostname":"Db-0""#, &[(E, "endpoints[0].hostname")]);
        with(r#""nodeName":"n 1""#, &[(E, "endpoints[0].nodeName")]);
        with(r#""hints":{"forZones":[{"name":"z1"},{"name":"z1"}]}"#, &[(E, "endpoints[0].hints.forZones[1].name")]);
        with(r#""hints":{"forZones":[{"name":"z 1"}]}"#, &[(E, "endpoints[0].hints.forZones[0].name")]);
        with(r#""hints":{"forNodes":[{"name":"N1"}]}"#, &[(E, "endpoints[0].hints.forNodes[0].name")]);
        let zones: Vec<String> = (0..9).map(|i| format!(r#"{{"name":"z{i}"}}"#)).collect();
        with(&format!(r#""hints":{{"forZones":[{}]}}"#, zones[..8].join(",")), &[]);
        with(&format!(r#""hints":{{"forZones":[{}]}}"#, zones.join(",")), &[(E, "endpoints[0].hints.forZones")]);
        with(&format!(r#""hints":{{"forNodes":[{}]}}"#, zones.join(",")), &[(E, "endpoints[0].hints.forNodes")]);
    }

    #[test]
    fn slice_ports() {
        #[track_caller]
        fn ports(ports: &str, expected: &[(Level, &str)]) {
            slice(&format!(r#""addressType":"IPv4","ports":[{ports}]"#), expected);
        }
        ports(r#"{"port":80},{"name":"x","port":81}"#, &[]);
        ports(r#"{"port":80},{"port":81}"#, &[(E, "ports[1].name")]);
        ports(r#"{"name":"","port":80},{"port":81}"#, &[(E, "ports[1].name")]);
        ports(r#"{"name":"x","port":80},{"name":"x","port":81}"#, &[(E, "ports[1].name")]);
        ports(r#"{"name":"X","port":80}"#, &[(E, "ports[0].name")]);
        ports(r#"{"protocol":"tcp","port":80}"#, &[(E, "ports[0].protocol")]);
        ports(r#"{"appProtocol":"","port":80}"#, &[(E, "ports[0].appProtocol")]);
        ports(r#"{"port":70000}"#, &[(W, "ports[0].port")]);
        ports(r#"{"name":"x"}"#, &[]);
    }
}
