//! Sidecars: what workloads take in, and what they can reach.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use svc_model::Resource;
use svc_model::api::{IstioPort, Sidecar, SidecarEgress, SidecarIngress};

use super::destination_rule::connection_pool;
use super::gateway::{HTTP, UNIX, is_one_of, server_tls_options, socket, whole_host};
use super::service_entry::workload_selector;
use super::value;
use crate::report::Report;

pub(super) fn check(report: &mut Report, sidecar: &Sidecar) {
    let spec = &sidecar.spec;
    if let Some(selector) = &spec.workload_selector {
        workload_selector(report, "spec.workloadSelector", selector);
    }
    let says_more = spec.outbound_traffic_policy.is_some() || spec.inbound_connection_pool.is_some();
    if spec.egress.is_empty() && spec.ingress.is_empty() && !says_more {
        report.error("spec", "says nothing");
    }
    let mut ports = BTreeSet::new();
    for (i, entry) in spec.ingress.iter().enumerate() {
        ingress(report, &format!("spec.ingress[{i}]"), entry, &mut ports);
    }
    if let Some(pool) = &spec.inbound_connection_pool {
        connection_pool(report, "spec.inboundConnectionPool", pool);
    }
    egress_ports(report, &spec.egress);
    for (i, entry) in spec.egress.iter().enumerate() {
        egress_hosts(report, &format!("spec.egress[{i}].hosts"), entry, sidecar.namespace());
    }
    if let Some(policy) = &spec.outbound_traffic_policy {
        let at = "spec.outboundTrafficPolicy";
        report.one_of(format_args!("{at}.mode"), &policy.mode, &["", "REGISTRY_ONLY", "ALLOW_ANY"]);
        if let Some(proxy) = &policy.egress_proxy {
            let at = format!("{at}.egressProxy");
            if policy.mode != "ALLOW_ANY" {
                report.error(&at, "is for mode ALLOW_ANY");
            }
            report.destination(&at, proxy);
            if proxy.port.is_none() {
                report.error(format_args!("{at}.port"), "missing");
            }
        }
    }
}

fn ingress(report: &mut Report, at: &str, entry: &SidecarIngress, ports: &mut BTreeSet<i64>) {
    match &entry.port {
        Some(port) => {
            listener(report, at, port, &entry.bind);
            if report.port(format_args!("{at}.port.number"), port.number) && !ports.insert(port.number) {
                report.error(format_args!("{at}.port.number"), format_args!("{} is there already", port.number));
            }
        }
        None => report.error(format_args!("{at}.port"), "missing"),
    }
    if !entry.default_endpoint.is_empty() {
        report.check(format_args!("{at}.defaultEndpoint"), default_endpoint(&entry.default_endpoint));
    }
    if let Some(tls) = &entry.tls {
        let at = format!("{at}.tls");
        for (field, there) in [
            ("subjectAltNames", !tls.subject_alt_names.is_empty()),
            ("httpsRedirect", tls.https_redirect),
            ("credentialName", !tls.credential_name.is_empty()),
            ("credentialNames", !tls.credential_names.is_empty()),
            ("tlsCertificates", !tls.tls_certificates.is_empty()),
        ] {
            if there {
                report.error(format_args!("{at}.{field}"), "is for gateways, not for sidecars");
            }
        }
        if matches!(tls.mode.as_str(), "ISTIO_MUTUAL" | "AUTO_PASSTHROUGH") {
            report.error(format_args!("{at}.mode"), format_args!("{} is for gateways, not for sidecars", tls.mode));
        } else {
            server_tls_options(report, &at, tls);
        }
        if entry.port.as_ref().is_some_and(|port| !is_one_of(&port.protocol, &["HTTPS", "TLS"])) {
            report.error(&at, "is for ports of protocol HTTPS or TLS");
        }
    }
    if let Some(pool) = &entry.connection_pool {
        connection_pool(report, &format!("{at}.connectionPool"), pool);
        let opaque = entry.port.as_ref().filter(|port| !is_one_of(&port.protocol, &HTTP));
        if let Some(port) = opaque.filter(|_| pool.http.is_some()) {
            let message = format_args!("has no effect: requests are not read in protocol {:?}", port.protocol);
            report.warning(format_args!("{at}.connectionPool.http"), message);
        }
    }
}

/// `127.0.0.1:PORT`, `[::1]:PORT`, the same for all addresses, `:PORT`, or a socket.
fn default_endpoint(text: &str) -> Result<(), String> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return socket(path);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let local = matches!(host, "" | "127.0.0.1" | "0.0.0.0" | "[::1]" | "[::]");
    if local && port.parse().is_ok_and(|port: u16| port > 0) {
        Ok(())
    } else {
        Err(format!("{text:?} is none of 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT and {UNIX}PATH"))
    }
}

/// Ports in an order that leaves none unreached.
fn egress_ports(report: &mut Report, list: &[SidecarEgress]) {
    let (mut numbers, mut sockets) = (BTreeSet::new(), BTreeSet::new());
    for (i, entry) in list.iter().enumerate() {
        let at = format!("spec.egress[{i}]");
        let Some(port) = &entry.port else {
            if i + 1 < list.len() {
                report.error(format_args!("{at}.port"), "missing: an entry for all ports stands last");
            }
            continue;
        };
        if port.number == 0 {
            match entry.bind.strip_prefix(UNIX) {
                Some(path) => {
                    report.check(format_args!("{at}.bind"), socket(path));
                    if !sockets.insert(path) {
                        report.error(format_args!("{at}.bind"), format_args!("{path:?} is there already"));
                    }
                }
                None => report.error(format_args!("{at}.port.number"), "missing or 0, which is for sockets"),
            }
            if entry.capture_mode == "IPTABLES" {
                report.error(format_args!("{at}.captureMode"), "a socket is not captured");
            }
            continue;
        }
        listener(report, &at, port, &entry.bind);
        if report.port(format_args!("{at}.port.number"), port.number) && !numbers.insert(port.number) {
            report.error(format_args!("{at}.port.number"), format_args!("{} is there already", port.number));
        }
    }
}

/// What ports that are taken in and reached have in common.
fn listener(report: &mut Report, at: &str, port: &IstioPort, bind: &str) {
    if !port.name.is_empty() {
        report.check(format_args!("{at}.port.name"), value::label(&port.name));
    }
    if !port.protocol.is_empty() {
        report.protocol(format_args!("{at}.port.protocol"), &port.protocol);
    }
    if port.target_port != 0 {
        report.error(format_args!("{at}.port.targetPort"), "has no effect in a Sidecar");
    }
    if !bind.is_empty() && bind.parse::<IpAddr>().is_err() {
        report.error(format_args!("{at}.bind"), format_args!("{bind:?} is no address"));
    }
}

fn egress_hosts(report: &mut Report, at: &str, entry: &SidecarEgress, own: &str) {
    if entry.hosts.is_empty() {
        report.error(at, "missing");
    }
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (i, text) in entry.hosts.iter().enumerate() {
        let field = format!("{at}[{i}]");
        let Some((namespace, host)) = text.split_once('/') else {
            report.error(field, format_args!("{text:?} is not of the form NAMESPACE/HOST"));
            continue;
        };
        let hides = namespace.starts_with('~');
        let name = namespace.strip_prefix('~').unwrap_or(namespace);
        let is_word = matches!(name, "*" | ".") || hides && name.is_empty();
        if !is_word {
            report.check(&field, value::label(name).map_err(|error| format!("namespace: {error}")));
        }
        if report.check(&field, value::host(host)) {
            whole_host(report, &field, host);
        }
        if !hides {
            let hosts = seen.entry(if namespace == "." { own } else { namespace }).or_default();
            if hosts.contains("*") || !hosts.insert(host) || host == "*" && hosts.len() > 1 {
                report.warning(field, format_args!("{text:?} and another stand for the same services in part"));
            }
        }
    }
    if seen.len() > 1 && seen.get("*").is_some_and(|hosts| hosts.contains("*")) {
        report.warning(at, "*/* is all there is, so that the others have no effect");
    }
}
