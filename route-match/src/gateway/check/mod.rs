//! What is wrong with these objects? What the API server refuses by the schema and rules of the Gateway API's definitions, and what it
//! accepts to no effect.
//!
//! [`object`] judges one object by itself; a rule of the API that spans fields is reported where the definition has it. [`cluster`] finds
//! what objects say of each other: routes that attach to nothing, references that lead nowhere or are not granted, matches that
//! nothing reaches.
//!
//! ```
//! use route_match::gateway::check;
//! use svc_model::{Object, api::HttpRoute};
//!
//! let route: HttpRoute = serde_json::from_str(r#"{
//!     "metadata": {"name": "cart"},
//!     "spec": {"rules": [{"matches": [{"path": {"value": "cart"}}], "backendRefs": [{"name": "cart"}]}]}
//! }"#)?;
//! let findings = check::object(&Object::HttpRoute(route), "gateway.networking.k8s.io/v1");
//! let fields: Vec<&str> = findings.iter().map(|finding| &*finding.field).collect();
//! assert_eq!(fields, ["spec.rules[0].matches[0].path", "spec.rules[0].backendRefs[0]"]);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod across;
mod filter;
mod listener;
mod route;

use std::collections::BTreeMap;
use std::fmt::Display;

use svc_model::api::{BackendTlsPolicy, GatewayClass, ParametersReference, PolicyTargetReference, ReferenceGrant};
use svc_model::check::{Finding, names};
use svc_model::{Cluster, Object};

use crate::gateway::read;
use crate::report::Report;

/// What is wrong with one object of the Gateway API; nothing for any other. `api_version` is the one its manifest has.
pub fn object(object: &Object, api_version: &str) -> Vec<Finding> {
    let mut report = Report::new(object);
    match object {
        Object::GatewayClass(class) => gateway_class(&mut report, class),
        Object::Gateway(gateway) => listener::gateway(&mut report, gateway),
        Object::ListenerSet(set) => listener::listener_set(&mut report, set),
        Object::HttpRoute(route) => route::http(&mut report, route),
        Object::GrpcRoute(route) => route::grpc(&mut report, route),
        Object::TlsRoute(route) => route::tls(&mut report, route, api_version),
        Object::TcpRoute(route) => route::stream(&mut report, &route.spec, api_version),
        Object::UdpRoute(route) => route::stream(&mut report, &route.spec, api_version),
        Object::ReferenceGrant(grant) => reference_grant(&mut report, grant),
        Object::BackendTlsPolicy(policy) => backend_tls_policy(&mut report, policy),
        _ => {}
    }
    report.findings
}

/// What the objects of a cluster say of each other; all of it warnings. Compiles every Gateway: O(n log n) in routes.
pub fn cluster(cluster: &Cluster) -> Vec<Finding> {
    across::check(cluster)
}

/// Group, kind, name and namespace of a reference, as far as they are written.
fn object_reference(
    report: &mut Report,
    at: &str,
    group: Option<&str>,
    kind: Option<&str>,
    name: &str,
    namespace: Option<&str>,
) {
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        report.check(format_args!("{at}.group"), names::dns_1123_subdomain(group));
    }
    if let Some(kind) = kind
        && !is_kind(kind)
    {
        report.error(format_args!("{at}.kind"), format_args!("{kind:?} is no kind"));
    }
    if report.required(format_args!("{at}.name"), name) {
        report.no_longer(format_args!("{at}.name"), name, 253);
    }
    if let Some(namespace) = namespace {
        report.check(format_args!("{at}.namespace"), names::dns_1123_label(namespace));
    }
}

/// An object of which group, kind and name are always written.
fn typed_reference(report: &mut Report, at: &str, reference: &ParametersReference) {
    let ParametersReference { group, kind, name, namespace } = reference;
    object_reference(report, at, Some(group), Some(kind), name, namespace.as_deref());
}

/// The name of a listener, rule or port, where one is written.
fn section_name(report: &mut Report, field: impl Display, name: Option<&str>) {
    if let Some(name) = name {
        report.check(field, names::dns_1123_subdomain(name));
    }
}

fn is_kind(kind: &str) -> bool {
    let mut bytes = kind.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !kind.ends_with('-')
        && kind.len() <= 63
}

fn gateway_class(report: &mut Report, class: &GatewayClass) {
    let name = &class.spec.controller_name;
    let at = "spec.controllerName";
    if report.required(at, name) {
        match name.split_once('/') {
            Some((domain, path)) if !path.is_empty() => {
                report.check(at, names::dns_1123_subdomain(domain));
            }
            _ => report.error(at, format_args!("{name:?} is not of the form domain/path")),
        }
    }
    report.no_longer("spec.description", class.spec.description.as_deref().unwrap_or_default(), 64);
    if let Some(parameters) = &class.spec.parameters_ref {
        typed_reference(report, "spec.parametersRef", parameters);
    }
}

fn reference_grant(report: &mut Report, grant: &ReferenceGrant) {
    for (at, count) in [("spec.from", grant.spec.from.len()), ("spec.to", grant.spec.to.len())] {
        if count == 0 {
            report.error(at, "missing");
        }
        report.at_most(at, count, 16);
    }
    for (i, from) in grant.spec.from.iter().enumerate() {
        let at = format!("spec.from[{i}]");
        if report.required(format_args!("{at}.kind"), &from.kind)
            && report.required(format_args!("{at}.namespace"), &from.namespace)
        {
            object_reference(report, &at, Some(&from.group), Some(&from.kind), "any", Some(&from.namespace));
        }
    }
    for (i, to) in grant.spec.to.iter().enumerate() {
        let at = format!("spec.to[{i}]");
        if report.required(format_args!("{at}.kind"), &to.kind) {
            object_reference(report, &at, Some(&to.group), Some(&to.kind), to.name.as_deref().unwrap_or("any"), None);
        }
    }
}

fn backend_tls_policy(report: &mut Report, policy: &BackendTlsPolicy) {
    let spec = &policy.spec;
    if spec.target_refs.is_empty() {
        report.error("spec.targetRefs", "missing");
    }
    report.at_most("spec.targetRefs", spec.target_refs.len(), 16);
    let mut targets: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (i, target) in spec.target_refs.iter().enumerate() {
        let PolicyTargetReference { group, kind, name, section_name: section } = target;
        let at = format!("spec.targetRefs[{i}]");
        object_reference(report, &at, Some(group), Some(kind), name, None);
        section_name(report, format_args!("{at}.sectionName"), section.as_deref());
        let section = section.as_deref().unwrap_or_default();
        let sections = targets.entry((group, kind, name)).or_default();
        if sections.contains(&section) || (!sections.is_empty() && (section.is_empty() || sections.contains(&""))) {
            report.error(
                "spec.targetRefs",
                format_args!("{name} is there twice, so each needs a sectionName of its own"),
            );
        }
        sections.push(section);
    }
    let validation = &spec.validation;
    let at = "spec.validation.hostname";
    if report.required(at, &validation.hostname) {
        report.check(at, names::dns_1123_subdomain(&validation.hostname));
    }
    let known = validation.well_known_ca_certificates.as_deref().is_some_and(|known| !known.is_empty());
    match (known, validation.ca_certificate_refs.is_empty()) {
        (true, false) => report.error("spec.validation", "has both caCertificateRefs and wellKnownCACertificates"),
        (false, true) => report.error("spec.validation", "needs caCertificateRefs or wellKnownCACertificates"),
        _ => {}
    }
    if known {
        const AT: &str = "spec.validation.wellKnownCACertificates";
        let name = validation.well_known_ca_certificates.as_deref().unwrap_or_default();
        let of_implementation = name.split_once('/').is_some_and(|(domain, set)| {
            names::dns_1123_subdomain(domain).is_ok() && !set.is_empty() && names::label_value(set).is_ok()
        });
        if name != "System" && !of_implementation {
            report.error(AT, format_args!("{name:?} is neither System nor of the form domain/name"));
        }
        report.no_longer(AT, name, 253);
    }
    report.at_most("spec.validation.caCertificateRefs", validation.ca_certificate_refs.len(), 8);
    for (i, reference) in validation.ca_certificate_refs.iter().enumerate() {
        typed_reference(report, &format!("spec.validation.caCertificateRefs[{i}]"), reference);
    }
    report.at_most("spec.validation.subjectAltNames", validation.subject_alt_names.len(), 5);
    for (i, name) in validation.subject_alt_names.iter().enumerate() {
        let at = format!("spec.validation.subjectAltNames[{i}]");
        let (hostname, uri) = (name.hostname.as_deref(), name.uri.as_deref());
        match (name.type_.as_str(), hostname.unwrap_or_default(), uri.unwrap_or_default()) {
            ("Hostname", "", _) | ("URI", _, "") => report.error(&at, "lacks the member that its type names"),
            ("Hostname", _, "") | ("URI", "", _) => {}
            ("Hostname" | "URI", ..) => report.error(&at, "has a member that its type does not name"),
            (other, ..) => report.one_of(format_args!("{at}.type"), other, &["Hostname", "URI"]),
        }
        if let Some(hostname) = hostname {
            report.check(format_args!("{at}.hostname"), read::hostname(hostname));
        }
        if let Some(uri) = uri {
            report.no_longer(format_args!("{at}.uri"), uri, 253);
            let scheme = uri.split_once("://").map(|(scheme, _)| scheme);
            if !scheme.is_some_and(|scheme| !scheme.is_empty() && !scheme.contains([':', '/', '?', '#'])) {
                report.error(format_args!("{at}.uri"), format_args!("{uri:?} is no absolute URI"));
            }
        }
    }
}
