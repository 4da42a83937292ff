//! Istio's Gateways: servers, their hosts, and how they handle TLS.

use std::collections::BTreeSet;
use std::net::IpAddr;

use svc_model::api::{IstioGateway, IstioPort, IstioServer, IstioServerTls};

use super::value;
use crate::report::Report;

/// Protocols whose requests are read.
pub(super) const HTTP: [&str; 4] = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"];

/// Before the path of a socket.
pub(super) const UNIX: &str = "unix://";

pub(super) fn check(report: &mut Report, gateway: &IstioGateway) {
    let servers = &gateway.spec.servers;
    if servers.is_empty() {
        report.error("spec.servers", "missing");
    }
    report.labels("spec.selector", &gateway.spec.selector);
    let mut names = BTreeSet::new();
    for (i, server) in servers.iter().enumerate() {
        let at = format!("spec.servers[{i}]");
        one(report, &at, server);
        if let Some(port) = &server.port
            && !port.name.is_empty()
            && !names.insert(port.name.as_str())
        {
            let message = format_args!("another server has the name {:?} already", port.name);
            report.error(format_args!("{at}.port.name"), message);
        }
    }
}

fn one(report: &mut Report, at: &str, server: &IstioServer) {
    if server.hosts.is_empty() {
        report.error(format_args!("{at}.hosts"), "missing");
    }
    for (i, host) in server.hosts.iter().enumerate() {
        server_host(report, &format!("{at}.hosts[{i}]"), host);
    }
    let Some(port) = &server.port else {
        report.error(format_args!("{at}.port"), "missing");
        return;
    };
    let number = format!("{at}.port.number");
    match server.bind.strip_prefix(UNIX) {
        Some(path) => {
            report.check(format_args!("{at}.bind"), socket(path));
            if port.number != 0 {
                report.error(number, "a socket has no port: 0");
            }
        }
        None => {
            report.port(number, port.number);
            if !server.bind.is_empty() && server.bind.parse::<IpAddr>().is_err() {
                report.error(format_args!("{at}.bind"), format_args!("{:?} is no address", server.bind));
            }
        }
    }
    report.protocol(format_args!("{at}.port.protocol"), &port.protocol);
    report.required(format_args!("{at}.port.name"), &port.name);
    if port.target_port != 0 {
        report.error(format_args!("{at}.port.targetPort"), "has no effect in a Gateway");
    }
    server_tls(report, &format!("{at}.tls"), port, server.tls.as_ref());
}

/// `HOST`, or `NAMESPACE/HOST`.
fn server_host(report: &mut Report, field: &str, text: &str) {
    let host = match text.split_once('/') {
        None => text,
        Some((namespace, host)) => {
            if namespace != "*" && namespace != "." {
                report.check(field, value::label(namespace).map_err(|error| format!("namespace: {error}")));
            }
            host
        }
    };
    if report.check(field, value::host_or_address(host)) {
        whole_host(report, field, host);
    }
}

/// A host that is full, and whose star stands for whole labels.
pub(super) fn whole_host(report: &mut Report, field: &str, host: &str) {
    if host != "*" && !host.contains('.') && host.parse::<IpAddr>().is_err() {
        report.error(field, format_args!("{host:?} is no full name"));
    } else if !value::is_whole_wildcard(host) {
        report.error(field, format_args!("{host:?} has a star for a part of a label"));
    }
}

pub(super) fn socket(path: &str) -> Result<(), String> {
    if path.starts_with('@') || path.starts_with('/') && !path.ends_with('/') {
        Ok(())
    } else {
        Err(format!("{path:?} is no path of a socket"))
    }
}

/// Whether a protocol is in TLS, or plain HTTP.
pub(super) fn is_one_of(protocol: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(protocol))
}

fn server_tls(report: &mut Report, at: &str, port: &IstioPort, tls: Option<&IstioServerTls>) {
    let is_tls = is_one_of(&port.protocol, &["HTTPS", "TLS"]);
    let is_http = is_one_of(&port.protocol, &HTTP);
    let Some(tls) = tls else {
        if is_tls {
            report.error(at, format_args!("missing: a server of protocol {} handles TLS", port.protocol));
        }
        return;
    };
    if is_http {
        let passthrough = matches!(tls.mode.as_str(), "" | "PASSTHROUGH" | "AUTO_PASSTHROUGH");
        if !passthrough || names_material(tls) {
            report.error(at, "plain HTTP has no TLS; httpsRedirect is all it can say");
        }
        return;
    }
    if !is_tls {
        if is_one_of(&port.protocol, &["TCP", "MONGO", "REDIS", "MYSQL", "UDP"]) {
            report.error(at, format_args!("a server of protocol {} has no TLS; TLS and HTTPS do", port.protocol));
        }
        return;
    }
    if tls.https_redirect {
        report.warning(format_args!("{at}.httpsRedirect"), "only plain HTTP is redirected");
    }
    server_tls_options(report, at, tls);
}

/// Modes of servers.
const MODES: [&str; 6] = ["PASSTHROUGH", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL", "AUTO_PASSTHROUGH"];

/// Which certificate, from one source and only where the mode has a use for it.
pub(super) fn server_tls_options(report: &mut Report, at: &str, tls: &IstioServerTls) {
    let files = !tls.server_certificate.is_empty() && !tls.private_key.is_empty();
    let sources = [
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
        ("serverCertificate and privateKey", files),
        ("tlsCertificates", !tls.tls_certificates.is_empty()),
    ];
    let there: Vec<&str> = sources.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    let any = names_material(tls);
    let mode = if tls.mode.is_empty() { "PASSTHROUGH" } else { &tls.mode };
    match mode {
        "ISTIO_MUTUAL" if any => report.error(at, "ISTIO_MUTUAL uses the certificate of the mesh, and no other"),
        "ISTIO_MUTUAL" => {}
        "PASSTHROUGH" | "AUTO_PASSTHROUGH" if any || !tls.ca_crl.is_empty() => {
            report.warning(at, format_args!("{mode} does not terminate TLS, so that the certificates have no effect"));
        }
        "PASSTHROUGH" | "AUTO_PASSTHROUGH" => {}
        "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL" => material(report, at, mode, tls),
        mode => report.one_of(format_args!("{at}.mode"), mode, &MODES),
    }
    if mode != "ISTIO_MUTUAL" && there.len() > 1 {
        report.error(at, format_args!("has {}, of which a server has one", there.join(" and ")));
    }
    cipher_suites(report, at, tls);
    for (field, version) in
        [("minProtocolVersion", &tls.min_protocol_version), ("maxProtocolVersion", &tls.max_protocol_version)]
    {
        const VERSIONS: [&str; 6] = ["", "TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"];
        report.one_of(format_args!("{at}.{field}"), version, &VERSIONS);
    }
}

/// Suites that Envoy knows, from 1.2 downwards (those of 1.3 are not chosen); what begins with a sign is an operator.
const CIPHER_SUITES: [&str; 17] = [
    "",
    "ALL",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
];

/// Suites that are passed over, and versions that no suite is left for.
fn cipher_suites(report: &mut Report, at: &str, tls: &IstioServerTls) {
    let mut seen = BTreeSet::new();
    for (i, suite) in tls.cipher_suites.iter().enumerate() {
        let field = format!("{at}.cipherSuites[{i}]");
        let is_operator = !suite.starts_with(|first: char| first.is_alphanumeric());
        if !is_operator && !CIPHER_SUITES.contains(&suite.as_str()) {
            report.warning(field, format_args!("{suite:?} is no suite that the proxy knows, and is passed over"));
        } else if !seen.insert(suite.as_str()) {
            report.warning(field, format_args!("{suite:?} is there already"));
        }
    }
    let minimum = tls.min_protocol_version.as_str();
    if matches!(minimum, "TLSV1_0" | "TLSV1_1") && tls.cipher_suites.is_empty() {
        let message = format_args!("no suite that is on by default is for {minimum}; name some in cipherSuites");
        report.warning(format_args!("{at}.minProtocolVersion"), message);
    }
}

/// Whether certificates, keys or authorities are named, in any way.
fn names_material(tls: &IstioServerTls) -> bool {
    let texts = [&tls.credential_name, &tls.server_certificate, &tls.private_key, &tls.ca_certificates];
    texts.iter().any(|text| !text.is_empty()) || !tls.credential_names.is_empty() || !tls.tls_certificates.is_empty()
}

/// What a server that terminates TLS must have.
fn material(report: &mut Report, at: &str, mode: &str, tls: &IstioServerTls) {
    let by_name = !tls.credential_name.is_empty() || !tls.credential_names.is_empty();
    let crl = format!("{at}.caCrl");
    if by_name {
        if !tls.ca_crl.is_empty() {
            report.warning(crl, "has no effect: it stands in the Secret where one is named");
        }
        return;
    }
    if !tls.ca_crl.is_empty() && mode == "SIMPLE" {
        report.error(crl, "SIMPLE asks clients for no certificate");
    }
    if tls.tls_certificates.len() > 2 {
        report.warning(format_args!("{at}.tlsCertificates"), "a server has two at most, one for each kind of key");
    }
    let certificates = tls.tls_certificates.iter().map(|one| (&one.server_certificate, &one.private_key));
    let own = tls.tls_certificates.is_empty().then_some((&tls.server_certificate, &tls.private_key));
    if certificates.chain(own).any(|(certificate, key)| certificate.is_empty() || key.is_empty()) {
        report
            .error(at, format_args!("{mode} needs a certificate: credentialName, or serverCertificate and privateKey"));
    }
    if mode != "SIMPLE" && tls.ca_certificates.is_empty() {
        report.error(at, format_args!("{mode} needs the authorities of clients: caCertificates"));
    }
}
