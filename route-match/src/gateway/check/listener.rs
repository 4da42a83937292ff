//! Gateways and ListenerSets: their listeners one by one, and beside each other.

use std::collections::BTreeMap;

use svc_model::api::{AllowedNamespaces, Gateway, Listener, ListenerSet};
use svc_model::check::names;

use super::object_reference;
use crate::gateway::ListenerProtocol;
use crate::gateway::read::listener_hostname;
use crate::report::Report;

pub(super) fn gateway(report: &mut Report, gateway: &Gateway) {
    let spec = &gateway.spec;
    report.required("spec.gatewayClassName", &spec.gateway_class_name);
    listeners(report, &spec.listeners);
    report.at_most("spec.addresses", spec.addresses.len(), 16);
    for (i, address) in spec.addresses.iter().enumerate() {
        let is_address = address.value.parse::<std::net::IpAddr>().is_ok();
        if address.type_.as_deref().unwrap_or("IPAddress") == "IPAddress" && !address.value.is_empty() && !is_address {
            report.error(format_args!("spec.addresses[{i}].value"), format_args!("{:?} is no address", address.value));
        }
    }
    let allowed = spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    namespaces(report, "spec.allowedListeners.namespaces", allowed);
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
    if let Err(error) = listener_hostname(listener) {
        report.error(format_args!("{at}.hostname"), error);
    }
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
            let (group, kind) = (reference.group.as_deref(), reference.kind.as_deref());
            object_reference(report, &at, group, kind, &reference.name, reference.namespace.as_deref());
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
