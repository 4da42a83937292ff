//! Gateways and ListenerSets: their listeners one by one, and beside each other.

use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::{
    AllowedNamespaces, ClientTls, Gateway, GatewayAddress, GatewayInfrastructure, GatewayTls, Listener, ListenerSet,
    SecretObjectReference,
};
use svc_model::check::names;

use super::{object_reference, typed_reference};
use crate::gateway::ListenerProtocol;
use crate::gateway::read::{hostname, listener_hostname};
use crate::report::Report;

pub(super) fn gateway(report: &mut Report, gateway: &Gateway) {
    let spec = &gateway.spec;
    report.required("spec.gatewayClassName", &spec.gateway_class_name);
    report.no_longer("spec.gatewayClassName", &spec.gateway_class_name, 253);
    listeners(report, &spec.listeners);
    addresses(report, &spec.addresses);
    if let Some(infrastructure) = &spec.infrastructure {
        infrastructure_settings(report, infrastructure);
    }
    if let Some(tls) = &spec.tls {
        tls_settings(report, tls);
    }
    let allowed = spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    namespaces(report, "spec.allowedListeners.namespaces", allowed);
}

fn addresses(report: &mut Report, addresses: &[GatewayAddress]) {
    report.at_most("spec.addresses", addresses.len(), 16);
    let mut seen = BTreeSet::new();
    for (i, GatewayAddress { type_, value }) in addresses.iter().enumerate() {
        let at = format!("spec.addresses[{i}]");
        let type_ = type_.as_deref().unwrap_or("IPAddress");
        match type_ {
            "IPAddress" if !value.is_empty() && value.parse::<std::net::IpAddr>().is_err() => {
                report.error(format_args!("{at}.value"), format_args!("{value:?} is no address"));
            }
            "Hostname" if !value.is_empty() => {
                report.check(&at, hostname(value));
            }
            "IPAddress" | "Hostname" | "NamedAddress" => {}
            other if other.split_once('/').is_some_and(|(_, path)| !path.is_empty()) => {}
            other => report.error(
                format_args!("{at}.type"),
                format_args!("{other:?} is none of IPAddress, Hostname, NamedAddress, nor of the form domain/path"),
            ),
        }
        report.no_longer(format_args!("{at}.value"), value, 253);
        if matches!(type_, "IPAddress" | "Hostname") && !value.is_empty() && !seen.insert((type_, value)) {
            report.error("spec.addresses", format_args!("has {type_} {value} twice"));
        }
    }
}

/// Labels, annotations and settings of what a controller makes for the Gateway.
fn infrastructure_settings(report: &mut Report, infrastructure: &GatewayInfrastructure) {
    const AT: &str = "spec.infrastructure";
    let GatewayInfrastructure { labels, annotations, parameters_ref } = infrastructure;
    for (map, entries, most) in [("labels", labels, 8), ("annotations", annotations, 16)] {
        let at = format!("{AT}.{map}");
        report.at_most(&at, entries.len(), most);
        for key in entries.keys() {
            // The rule on keys is written on the map.
            report.check(&at, if map == "labels" { names::qualified_name(key) } else { names::annotation_key(key) });
        }
    }
    for (key, value) in labels {
        report.check(format_args!("{AT}.labels[{key}]"), names::label_value(value));
    }
    if let Some(parameters) = parameters_ref {
        typed_reference(report, &format!("{AT}.parametersRef"), parameters);
    }
}

/// Which clients are let in, and what backends are shown.
fn tls_settings(report: &mut Report, tls: &GatewayTls) {
    if let Some(reference) = tls.backend.as_ref().and_then(|backend| backend.client_certificate_ref.as_ref()) {
        secret_reference(report, "spec.tls.backend.clientCertificateRef", reference);
    }
    let Some(frontend) = &tls.frontend else { return };
    client_tls(report, "spec.tls.frontend.default", &frontend.default);
    const PORTS: &str = "spec.tls.frontend.perPort";
    report.at_most(PORTS, frontend.per_port.len(), 64);
    let mut seen = BTreeSet::new();
    for (i, port) in frontend.per_port.iter().enumerate() {
        report.within(format_args!("{PORTS}[{i}].port"), port.port, 1, 65535);
        if !seen.insert(port.port) {
            report.error(PORTS, format_args!("has port {} twice", port.port));
        }
        client_tls(report, &format!("{PORTS}[{i}].tls"), &port.tls);
    }
}

fn client_tls(report: &mut Report, at: &str, tls: &ClientTls) {
    let Some(validation) = &tls.validation else { return };
    let authorities = format!("{at}.validation.caCertificateRefs");
    if validation.ca_certificate_refs.is_empty() {
        report.error(&authorities, "missing");
    }
    report.at_most(&authorities, validation.ca_certificate_refs.len(), 16);
    for (i, reference) in validation.ca_certificate_refs.iter().enumerate() {
        let at = format!("{authorities}[{i}]");
        report.required(format_args!("{at}.kind"), reference.kind.as_deref().unwrap_or_default());
        secret_reference(report, &at, reference);
    }
    let mode = validation.mode.as_deref().unwrap_or("AllowValidOnly");
    report.one_of(format_args!("{at}.validation.mode"), mode, &["AllowValidOnly", "AllowInsecureFallback"]);
}

fn secret_reference(report: &mut Report, at: &str, reference: &SecretObjectReference) {
    let SecretObjectReference { group, kind, name, namespace } = reference;
    object_reference(report, at, group.as_deref(), kind.as_deref(), name, namespace.as_deref());
}

pub(super) fn listener_set(report: &mut Report, set: &ListenerSet) {
    let parent = &set.spec.parent_ref;
    let (group, kind, namespace) = (parent.group.as_deref(), parent.kind.as_deref(), parent.namespace.as_deref());
    object_reference(report, "spec.parentRef", group, kind, &parent.name, namespace);
    listeners(report, &set.spec.listeners);
}

fn namespaces(report: &mut Report, at: &str, namespaces: Option<&AllowedNamespaces>) {
    if let Some(from) = namespaces.and_then(|namespaces| namespaces.from.as_deref()) {
        report.one_of(format_args!("{at}.from"), from, &["All", "Selector", "Same", "None"]);
    }
    let selector = namespaces.and_then(|namespaces| namespaces.selector.as_ref());
    for (i, expression) in selector.into_iter().flat_map(|selector| &selector.match_expressions).enumerate() {
        let at = format!("{at}.selector.matchExpressions[{i}]");
        report.required(format_args!("{at}.key"), &expression.key);
        report.required(format_args!("{at}.operator"), &expression.operator);
    }
}

fn listeners(report: &mut Report, listeners: &[Listener]) {
    const LIST: &str = "spec.listeners";
    if listeners.is_empty() {
        report.error(LIST, "missing: a Gateway has at least one listener");
    }
    report.at_most(LIST, listeners.len(), 64);
    let mut names_seen = BTreeMap::new();
    let mut places = BTreeMap::new();
    let mut streams: BTreeMap<i64, (&str, &str)> = BTreeMap::new();
    for (i, listener) in listeners.iter().enumerate() {
        one(report, &format!("{LIST}[{i}]"), listener);
        let name = &listener.name;
        if let Some(other) = names_seen.insert(name, i) {
            report.error(LIST, format_args!("listeners {other} and {i} have the name {name:?}"));
        }
        let place = (listener.port, listener.protocol.as_str(), listener.hostname.as_deref().unwrap_or_default());
        if let Some(other) = places.insert(place, name) {
            let (port, protocol, hostname) = place;
            let host = if hostname.is_empty() { "no hostname".to_owned() } else { format!("hostname {hostname}") };
            report.error(LIST, format_args!("{other} and {name} have port {port}, protocol {protocol} and {host}"));
        }
        // TCP cannot be told from what comes with a hostname.
        let protocol = listener.protocol.as_str();
        if matches!(protocol, "HTTP" | "HTTPS" | "TLS" | "TCP") {
            let (other, spoken) = *streams.entry(listener.port).or_insert((name, protocol));
            if (spoken == "TCP") != (protocol == "TCP") {
                report.error(
                    LIST,
                    format_args!("{other} ({spoken}) and {name} ({protocol}) have port {}", listener.port),
                );
            }
        }
    }
}

fn one(report: &mut Report, at: &str, listener: &Listener) {
    const LIST: &str = "spec.listeners";
    let Listener { name, protocol, port, .. } = listener;
    let name_field = format!("{at}.name");
    if report.required(&name_field, name) {
        report.check(&name_field, names::dns_1123_subdomain(name));
    }
    report.within(format_args!("{at}.port"), *port, 1, 65535);
    match listener.hostname.as_deref() {
        Some("") => report.error(format_args!("{at}.hostname"), "is empty: to be for every host, leave it out"),
        _ => drop(report.check(format_args!("{at}.hostname"), listener_hostname(listener))),
    }
    report.no_longer(format_args!("{at}.protocol"), protocol, 255);
    let known = protocol.parse::<ListenerProtocol>();
    match (&known, protocol.as_str()) {
        (Ok(_), _) => {}
        (Err(_), "") => report.error(format_args!("{at}.protocol"), "missing"),
        (Err(error), text) if is_protocol(text) => report.warning(format_args!("{at}.protocol"), error),
        (Err(error), _) => report.error(format_args!("{at}.protocol"), error),
    }
    let mode = listener.tls.as_ref().map(|tls| tls.mode.as_deref().unwrap_or_default());
    if let Some(mode) = mode.filter(|mode| !mode.is_empty()) {
        report.one_of(format_args!("{at}.tls.mode"), mode, &["Terminate", "Passthrough"]);
    }
    match (known.ok(), mode) {
        (Some(ListenerProtocol::Http | ListenerProtocol::Tcp | ListenerProtocol::Udp), Some(_)) => {
            report.error(LIST, format_args!("{name}: a listener for {protocol} has no tls"));
        }
        (Some(ListenerProtocol::Https), Some("Passthrough")) => {
            report.error(LIST, format_args!("{name}: HTTPS ends TLS, so its mode is Terminate"));
        }
        (Some(ListenerProtocol::Https), None) => {
            report.error(format_args!("{at}.tls"), "missing: HTTPS needs a certificate")
        }
        (Some(ListenerProtocol::Tls), None | Some("")) => {
            report
                .error(LIST, format_args!("{name}: a TLS listener says whether tls.mode is Terminate or Passthrough"));
        }
        _ => {}
    }
    if let Some(tls) = &listener.tls {
        if tls.mode.as_deref() != Some("Passthrough") && tls.certificate_refs.is_empty() && tls.options.is_empty() {
            report.error(format_args!("{at}.tls"), "Terminate needs certificateRefs or options");
        }
        report.at_most(format_args!("{at}.tls.certificateRefs"), tls.certificate_refs.len(), 64);
        for (k, reference) in tls.certificate_refs.iter().enumerate() {
            let at = format!("{at}.tls.certificateRefs[{k}]");
            secret_reference(report, &at, reference);
            let (group, kind) = (reference.group.as_deref(), reference.kind.as_deref());
            if !matches!((group.unwrap_or_default(), kind.unwrap_or("Secret")), ("", "Secret")) {
                report.error(&at, "only Secrets of the core group hold certificates");
            }
        }
    }
    let has_hostname = listener.hostname.as_deref().is_some_and(|hostname| !hostname.is_empty());
    if matches!(protocol.as_str(), "TCP" | "UDP") && has_hostname {
        report.error(LIST, format_args!("{name}: a listener for {protocol} hears no hostname"));
    }
    let allowed = listener.allowed_routes.as_ref();
    let from = allowed.and_then(|allowed| allowed.namespaces.as_ref());
    namespaces(report, &format!("{at}.allowedRoutes.namespaces"), from);
    report.at_most(format_args!("{at}.allowedRoutes.kinds"), allowed.map_or(0, |allowed| allowed.kinds.len()), 8);
    for (k, kind) in allowed.into_iter().flat_map(|allowed| &allowed.kinds).enumerate() {
        let at = format!("{at}.allowedRoutes.kinds[{k}]");
        if report.required(format_args!("{at}.kind"), &kind.kind) {
            object_reference(report, &at, kind.group.as_deref(), Some(&kind.kind), "any", None);
        }
    }
}

/// Whether a controller of its own might speak it: a word, or a word with a domain before it.
fn is_protocol(text: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !text.starts_with('-')
    };
    match text.split_once('/') {
        Some((domain, name)) => names::dns_1123_subdomain(domain).is_ok() && word(name),
        None => word(text),
    }
}
