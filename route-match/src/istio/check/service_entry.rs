//! ServiceEntries, and the workloads behind them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use svc_model::Resource;
use svc_model::api::{ReadinessProbe, ServiceEntry, WorkloadEntry, WorkloadEntrySpec, WorkloadGroup, WorkloadSelector};

use super::gateway::{UNIX, is_one_of, socket};
use super::value;
use crate::action::HeaderEdits;
use crate::report::Report;

pub(super) fn check(report: &mut Report, entry: &ServiceEntry) {
    let spec = &entry.spec;
    let resolution = if spec.resolution.is_empty() { "NONE" } else { &spec.resolution };
    report.one_of("spec.resolution", resolution, &["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]);
    if !spec.location.is_empty() {
        report.one_of("spec.location", &spec.location, &["MESH_EXTERNAL", "MESH_INTERNAL"]);
    }
    hosts(report, entry, resolution);
    addresses(report, entry, resolution);
    ports(report, entry, resolution);
    if let Some(selector) = &spec.workload_selector {
        workload_selector(report, "spec.workloadSelector", selector);
        if !spec.endpoints.is_empty() {
            report.error("spec.workloadSelector", "endpoints are there too; an entry has one of them");
        } else if resolution == "NONE" {
            report.warning("spec.workloadSelector", "has no effect with resolution NONE");
        }
    }
    endpoints(report, entry, resolution);
    report.export_to(&spec.export_to, entry.namespace(), true);
}

fn hosts(report: &mut Report, entry: &ServiceEntry, resolution: &str) {
    let spec = &entry.spec;
    if spec.hosts.is_empty() {
        report.error("spec.hosts", "missing");
    }
    for (i, host) in spec.hosts.iter().enumerate() {
        let field = format!("spec.hosts[{i}]");
        if host == "*" {
            report.error(field, "an entry is not for all hosts");
            continue;
        }
        if !report.check(&field, value::host(host)) {
            continue;
        }
        match resolution {
            "DYNAMIC_DNS" if !host.starts_with('*') => report.error(field, "DYNAMIC_DNS is for wildcards"),
            "DYNAMIC_DNS" => {}
            _ if !value::is_whole_wildcard(host) => {
                report.warning(field, format_args!("{host:?} has a star for a part of a label"));
            }
            "DNS" | "DNS_ROUND_ROBIN" if host.starts_with('*') && spec.endpoints.is_empty() => {
                let message = format_args!("a wildcard has no address; {resolution} without endpoints needs names");
                report.error(field, message);
            }
            _ => {}
        }
    }
}

fn addresses(report: &mut Report, entry: &ServiceEntry, resolution: &str) {
    for (i, address) in entry.spec.addresses.iter().enumerate() {
        let field = format!("spec.addresses[{i}]");
        if report.check(&field, value::subnet(address))
            && address.contains('/')
            && matches!(resolution, "DNS" | "DNS_ROUND_ROBIN")
        {
            report.error(field, format_args!("{resolution} resolves a name; a range is for NONE and STATIC"));
        }
    }
    if resolution == "DYNAMIC_DNS" && !entry.spec.addresses.is_empty() {
        report.error("spec.addresses", "DYNAMIC_DNS is known by its hosts alone");
    }
    let protocols = || entry.spec.ports.iter().map(|port| port.protocol.as_str());
    let label = |key: &str| entry.metadata.labels.get(key).map_or("", String::as_str);
    let is_allocated = resolution != "NONE" && !label(AUTO_ALLOCATION).eq_ignore_ascii_case("false");
    if entry.spec.addresses.is_empty() {
        if !is_allocated && protocols().any(|protocol| matches!(protocol, "" | "TCP")) {
            let message =
                "missing: connections in plain TCP are told by address, and none is allocated for these hosts";
            report.warning("spec.addresses", message);
        }
    } else if entry.spec.hosts.len() > 1
        && matches!(resolution, "DNS" | "DNS_ROUND_ROBIN")
        && protocols().any(|protocol| is_one_of(protocol, &["TCP", "HTTPS", "TLS", "MONGO", "REDIS", "MYSQL"]))
    {
        report.warning("spec.addresses", "several hosts share them, and cannot be told apart by address");
    }
    let waypoint = label(WAYPOINT);
    let has_waypoint = !waypoint.is_empty() && !waypoint.eq_ignore_ascii_case("none");
    if resolution == "DYNAMIC_DNS" && entry.spec.location == "MESH_INTERNAL" && has_waypoint {
        report.error("spec.location", "a waypoint resolves hosts outside of the mesh only");
    }
}

/// The label that keeps a ServiceEntry from being given addresses.
const AUTO_ALLOCATION: &str = "networking.istio.io/enable-autoallocate-ip";

/// The label that names the waypoint of a ServiceEntry.
const WAYPOINT: &str = "istio.io/use-waypoint";

fn ports(report: &mut Report, entry: &ServiceEntry, resolution: &str) {
    let spec = &entry.spec;
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    let several_hosts = spec.hosts.len() > 1 && resolution != "NONE";
    for (i, port) in spec.ports.iter().enumerate() {
        let at = format!("spec.ports[{i}]");
        if report.check(format_args!("{at}.name"), value::label(&port.name)) && !names.insert(port.name.as_str()) {
            report.error(format_args!("{at}.name"), format_args!("another port has the name {:?}", port.name));
        }
        if report.port(format_args!("{at}.number"), port.number) && !numbers.insert(port.number) {
            report.error(format_args!("{at}.number"), format_args!("{} is there already", port.number));
        }
        report.optional_port(format_args!("{at}.targetPort"), port.target_port);
        if !port.protocol.is_empty() {
            report.protocol(format_args!("{at}.protocol"), &port.protocol);
        }
        let by_name = is_one_of(&port.protocol, &["HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS"]);
        if several_hosts && !by_name {
            report.error(format_args!("{at}.protocol"), "several hosts cannot be told apart without HTTP or TLS");
        }
        if resolution == "DYNAMIC_DNS" && !is_one_of(&port.protocol, &["HTTP", "HTTP2", "GRPC", "TLS"]) {
            report.error(format_args!("{at}.protocol"), "DYNAMIC_DNS is for HTTP, HTTP2, GRPC and TLS");
        }
    }
}

fn endpoints(report: &mut Report, entry: &ServiceEntry, resolution: &str) {
    let spec = &entry.spec;
    let count = spec.endpoints.len();
    match resolution {
        "NONE" if count > 0 => {
            report
                .error("spec.endpoints", "resolution NONE goes where the client meant to, so endpoints have no effect");
        }
        "DYNAMIC_DNS" if count > 0 => {
            report.error("spec.endpoints", "DYNAMIC_DNS resolves the host that was asked for")
        }
        "DNS_ROUND_ROBIN" if count > 1 => report.error("spec.endpoints", "DNS_ROUND_ROBIN has one endpoint at most"),
        _ => {}
    }
    let ports: BTreeSet<&str> = spec.ports.iter().map(|port| port.name.as_str()).collect();
    for (i, endpoint) in spec.endpoints.iter().enumerate() {
        let at = format!("spec.endpoints[{i}]");
        let is_socket = endpoint.address.starts_with(UNIX);
        if is_socket && matches!(resolution, "DNS" | "DNS_ROUND_ROBIN") {
            report.error(format_args!("{at}.address"), "a socket is for STATIC; DNS has names and addresses");
            continue;
        }
        workload(report, &at, endpoint, resolution != "STATIC");
        if is_socket && ports.len() != 1 {
            let message = format_args!("a socket serves one port, and the entry has {}", ports.len());
            report.error(format_args!("{at}.address"), message);
        }
        for name in endpoint.ports.keys().filter(|name| !ports.contains(name.as_str())) {
            report.error(format_args!("{at}.ports[{name}]"), "the entry has no port of this name");
        }
    }
}

pub(super) fn workload_entry(report: &mut Report, entry: &WorkloadEntry) {
    workload(report, "spec", &entry.spec, true);
}

pub(super) fn workload_group(report: &mut Report, group: &WorkloadGroup) {
    report.labels("spec.metadata.labels", &group.spec.metadata.labels);
    match &group.spec.template {
        // It has no address: that is its workloads'.
        Some(template) => workload_ports(report, "spec.template", template),
        None => report.error("spec.template", "missing"),
    }
    if let Some(probe) = &group.spec.probe {
        readiness_probe(report, "spec.probe", probe);
    }
}

fn readiness_probe(report: &mut Report, at: &str, probe: &ReadinessProbe) {
    for (field, number) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        report.within(format_args!("{at}.{field}"), number, 0, i64::from(i32::MAX));
    }
    let ReadinessProbe { http_get, tcp_socket, exec, grpc, .. } = probe;
    let ways = [http_get.is_some(), tcp_socket.is_some(), exec.is_some(), grpc.is_some()];
    if ways.into_iter().filter(|there| *there).count() != 1 {
        report.error(at, "needs one of httpGet, tcpSocket, exec and grpc");
    }
    if let Some(get) = http_get {
        report.port(format_args!("{at}.httpGet.port"), get.port);
        report.one_of(format_args!("{at}.httpGet.scheme"), &get.scheme, &["", "HTTP", "HTTPS"]);
        for (i, header) in get.http_headers.iter().enumerate() {
            report.check(format_args!("{at}.httpGet.httpHeaders[{i}].name"), HeaderEdits::new().remove(&header.name));
        }
    }
    if let Some(socket) = tcp_socket {
        report.port(format_args!("{at}.tcpSocket.port"), socket.port);
    }
    if let Some(exec) = exec
        && exec.command.is_empty()
    {
        report.error(format_args!("{at}.exec.command"), "missing");
    }
    if let Some(grpc) = grpc {
        report.port(format_args!("{at}.grpc.port"), grpc.port);
    }
}

fn workload(report: &mut Report, at: &str, workload: &WorkloadEntrySpec, may_be_name: bool) {
    let field = format!("{at}.address");
    let address = workload.address.as_str();
    if let Some(path) = address.strip_prefix(UNIX) {
        report.check(field, socket(path));
        if !workload.ports.is_empty() {
            report.error(format_args!("{at}.ports"), "a socket has no ports");
        }
    } else if address.is_empty() {
        if workload.network.is_empty() {
            report.error(field, "missing");
        } else {
            report.warning(field, format_args!("missing: traffic goes through the gateway of {:?}", workload.network));
        }
    } else if address.parse::<IpAddr>().is_err() {
        if !may_be_name {
            report.error(field, format_args!("{address:?} is no IP address, which STATIC asks for"));
        } else {
            report.check(field, value::name(address));
        }
    }
    workload_ports(report, at, workload);
}

fn workload_ports(report: &mut Report, at: &str, workload: &WorkloadEntrySpec) {
    for (name, number) in &workload.ports {
        let field = format!("{at}.ports[{name}]");
        report.check(&field, value::label(name));
        report.port(field, *number);
    }
    report.labels(format_args!("{at}.labels"), &workload.labels);
}

/// A selector of workloads, which needs labels to be one.
pub(super) fn workload_selector(report: &mut Report, at: &str, selector: &WorkloadSelector) {
    if selector.labels.is_empty() {
        report.warning(format_args!("{at}.labels"), "missing: all workloads of the namespace are selected");
    }
    for (key, value) in &selector.labels {
        if key.is_empty() {
            report.error(format_args!("{at}.labels"), "a label has no key");
        } else if key.contains('*') || value.contains('*') {
            report.error(format_args!("{at}.labels"), format_args!("{key:?}: a star stands for nothing in a selector"));
        }
    }
}
