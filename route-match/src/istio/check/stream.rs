//! Rules for connections: by server name, or by address and port alone.

use std::net::IpAddr;

use svc_model::api::{IstioRouteDestination, IstioTcpRoute, IstioTlsRoute, StringMap, VirtualService};

use super::{http, value, virtual_service};
use crate::istio::covers;
use crate::report::Report;

pub(super) fn tls(report: &mut Report, at: &str, rule: &IstioTlsRoute, object: &VirtualService) {
    if rule.match_.is_empty() {
        report.error(format_args!("{at}.match"), "missing: which server names?");
    }
    for (i, found) in rule.match_.iter().enumerate() {
        let at = format!("{at}.match[{i}]");
        if found.sni_hosts.is_empty() {
            report.error(format_args!("{at}.sniHosts"), "missing");
        }
        for (j, host) in found.sni_hosts.iter().enumerate() {
            server_name(report, &format!("{at}.sniHosts[{j}]"), host, object);
        }
        let found = Conditions {
            subnets: &found.destination_subnets,
            port: found.port,
            source_labels: &found.source_labels,
            source_namespace: &found.source_namespace,
            gateways: &found.gateways,
        };
        conditions(report, &at, &found);
    }
    destinations(report, at, &rule.route);
}

pub(super) fn tcp(report: &mut Report, at: &str, rule: &IstioTcpRoute) {
    for (i, found) in rule.match_.iter().enumerate() {
        let at = format!("{at}.match[{i}]");
        if !found.source_subnet.is_empty() {
            report.warning(format_args!("{at}.sourceSubnet"), "is not implemented by Istio: it holds for all sources");
        }
        let found = Conditions {
            subnets: &found.destination_subnets,
            port: found.port,
            source_labels: &found.source_labels,
            source_namespace: &found.source_namespace,
            gateways: &found.gateways,
        };
        conditions(report, &at, &found);
    }
    destinations(report, at, &rule.route);
}

fn server_name(report: &mut Report, field: &str, host: &str, object: &VirtualService) {
    if host.parse::<IpAddr>().is_ok() {
        report.warning(field, format_args!("{host} is an address, which no client sends as a server name"));
        return;
    }
    let well_formed = virtual_service::is_generated_server_name(object, host) || report.check(field, value::host(host));
    if well_formed && !object.spec.hosts.iter().any(|wide| covers(wide, host)) {
        let message = format_args!("{host:?} is not within the hosts of the VirtualService");
        report.error(field, message);
    }
}

/// What the matches of both kinds have in common.
struct Conditions<'a> {
    subnets: &'a [String],
    port: i64,
    source_labels: &'a StringMap,
    source_namespace: &'a str,
    gateways: &'a [String],
}

fn conditions(report: &mut Report, at: &str, found: &Conditions<'_>) {
    for (i, subnet) in found.subnets.iter().enumerate() {
        report.check(format_args!("{at}.destinationSubnets[{i}]"), value::subnet(subnet));
    }
    report.optional_port(format_args!("{at}.port"), found.port);
    report.labels(format_args!("{at}.sourceLabels"), found.source_labels);
    if !found.source_namespace.is_empty() {
        report.check(format_args!("{at}.sourceNamespace"), value::label(found.source_namespace));
    }
    virtual_service::gateway_names(report, &format!("{at}.gateways"), found.gateways);
}

fn destinations(report: &mut Report, at: &str, list: &[IstioRouteDestination]) {
    let at = format!("{at}.route");
    if list.is_empty() {
        report.error(&at, "missing: where does it lead?");
    }
    for (i, entry) in list.iter().enumerate() {
        match &entry.destination {
            Some(destination) => report.destination(&format!("{at}[{i}].destination"), destination),
            None => report.error(format_args!("{at}[{i}].destination"), "missing"),
        }
    }
    http::weights(report, &at, list.iter().map(|entry| entry.weight));
}
