//! What is wrong with these Ingresses? What the API server refuses, and what will not do what its author meant.

use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::{
    HttpIngressPath, Ingress, IngressBackend, IngressClass, IngressServiceBackend, IntOrString, Service,
};
use svc_model::check::{Finding, names};
use svc_model::{Cluster, ObjectRef, Resource};

use super::class::{CLASS_ANNOTATION, DEFAULT_CLASS_ANNOTATION, Dialect, annotation, is_default, served};
use super::flags::{controllers, parse_bool};
use super::nginx::{self, DropCause, Format, Values, annotations, dropped, takes, uses_regex};
use super::read::{self, path_fault};
use super::settings::ControllerSettings;
use super::stream::{SkippedEntry, skipped};
use crate::host_pattern::HostPattern;
use crate::regex::{Anchor, Regex};

/// What the API server would refuse in one Ingress, by itself. `api_version` is the one its manifest has: only
/// `networking.k8s.io/v1` demands a `pathType`.
///
/// Field paths are those of the manifest. O(size of the object).
pub fn ingress(ingress: &Ingress, api_version: &str) -> Vec<Finding> {
    let mut report = Report { object: ingress.reference(), findings: Vec::new() };
    let spec = &ingress.spec;
    if let Some(class) = &spec.ingress_class_name {
        report.name("spec.ingressClassName", names::dns_1123_subdomain(class));
        if let Some(other) = annotation(ingress).filter(|other| other != class) {
            let field = format!("annotations.{CLASS_ANNOTATION}");
            report.error(field, format!("{other:?} is not the class of spec.ingressClassName, {class:?}"));
        }
    }
    for (field, backend) in [("spec.defaultBackend", &spec.default_backend), ("spec.backend", &spec.backend)] {
        if let Some(backend) = backend {
            report.backend(field, backend);
        }
    }
    if spec.rules.is_empty() && spec.default_backend.is_none() && spec.backend.is_none() {
        report.error("spec", "needs rules or a default backend");
    }
    for (i, rule) in spec.rules.iter().enumerate() {
        if let Err(fault) = read::rule_host(rule) {
            report.error(format!("spec.rules[{i}].host"), fault);
        }
        let Some(http) = &rule.http else { continue };
        if http.paths.is_empty() {
            report.error(format!("spec.rules[{i}].http.paths"), "needs at least one path");
        }
        for (j, path) in http.paths.iter().enumerate() {
            report.path(&format!("spec.rules[{i}].http.paths[{j}]"), path, api_version);
        }
    }
    for (i, tls) in spec.tls.iter().enumerate() {
        for (j, host) in tls.hosts.iter().enumerate() {
            let name = host.strip_prefix("*.").unwrap_or(host);
            report.name(format!("spec.tls[{i}].hosts[{j}]"), names::dns_1123_subdomain(name));
        }
        if !tls.secret_name.is_empty() {
            report.name(format!("spec.tls[{i}].secretName"), names::dns_1123_subdomain(&tls.secret_name));
        }
    }
    report.findings
}

/// What the API server would refuse in one IngressClass. O(size of the object).
pub fn ingress_class(class: &IngressClass) -> Vec<Finding> {
    let mut report = Report { object: class.reference(), findings: Vec::new() };
    let controller = &class.spec.controller;
    let domain_and_path = controller.split_once('/').filter(|(domain, path)| {
        let path_byte = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
        names::dns_1123_subdomain(domain).is_ok() && !path.is_empty() && path.bytes().all(path_byte)
    });
    if domain_and_path.is_none() || controller.len() > 250 {
        report.error("spec.controller", format!("{controller:?} is not of the form DOMAIN/PATH"));
    }
    if let Some(parameters) = &class.spec.parameters {
        for (field, value) in [("kind", &parameters.kind), ("name", &parameters.name)] {
            if value.is_empty() {
                report.error(format!("spec.parameters.{field}"), "is required");
            }
        }
        let namespace = parameters.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        match (parameters.scope.as_deref().unwrap_or("Cluster"), namespace) {
            ("Namespace", None) => report.error("spec.parameters.namespace", "is required with scope Namespace"),
            ("Namespace", Some(namespace)) => {
                report.name("spec.parameters.namespace", names::dns_1123_label(namespace));
            }
            ("Cluster", Some(_)) => report.error("spec.parameters.namespace", "is not allowed with scope Cluster"),
            ("Cluster", None) => {}
            (scope, _) => report.error("spec.parameters.scope", format!("{scope:?} is not one of Cluster, Namespace")),
        }
    }
    report.findings
}

/// What Ingresses say of other objects, and what the controllers that serve them make of it: references that lead nowhere,
/// hosts and paths claimed twice, several default classes; for ingress-nginx also paths, annotations and the entries of its
/// `tcp-services` and `udp-services` that it skips. The Secrets of `spec.tls` are checked by `tls_sni::check`, which reads them.
///
/// Sorted by object and field. O(n log n) in the number of paths.
pub fn cluster(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ingress in cluster.list::<Ingress>() {
        references(cluster, ingress, &mut findings);
    }
    let mut defaults: Vec<&IngressClass> =
        cluster.list().filter(|class: &&IngressClass| is_default(&class.metadata)).collect();
    defaults.sort_by_key(|class| class.metadata.creation_timestamp);
    for older in defaults.iter().rev().skip(1) {
        let field = format!("metadata.annotations[{DEFAULT_CLASS_ANNOTATION}]");
        findings.push(Finding::warning(older.reference(), field, "another class is the default too"));
    }
    for class in asked_classes(cluster) {
        let Ok(served) = served(cluster, &class) else { continue };
        claims(&served.ingresses, served.dialect, &served.flags.annotations_prefix, &mut findings);
        if served.dialect == Dialect::Nginx {
            for ingress in &served.ingresses {
                nginx(ingress, &served.flags.annotations_prefix, &mut findings);
            }
            let settings = ControllerSettings::of(cluster, &served.flags);
            for ingress in &served.dropped {
                if let Some(nginx::Drop { annotation, why }) =
                    dropped(ingress, &served.flags.annotations_prefix, &settings)
                {
                    let message = match why {
                        DropCause::MalformedUrl => "holds a character that no URL here may".to_owned(),
                        DropCause::TooRisky(risk) => {
                            format!("its risk is {}, above the controller's annotations-risk-level", risk.as_str())
                        }
                    };
                    let field = format!("metadata.annotations[{annotation}]");
                    findings.push(Finding::error(
                        ingress.reference(),
                        field,
                        message + ": the whole Ingress is dropped",
                    ));
                }
            }
        }
    }
    for flags in controllers(cluster) {
        for (map, key, why) in skipped(cluster, &flags) {
            // The world is as it was written, so what endpoints there will be is not known.
            if !matches!(why, SkippedEntry::NoEndpoints(_)) {
                findings.push(Finding::warning(map, format!("data[{key}]"), format!("the controller skips it: {why}")));
            }
        }
    }
    // Classes of one controller show the same Ingresses.
    findings.sort_by(|a, b| (&a.object, &a.field, &a.message).cmp(&(&b.object, &b.field, &b.message)));
    findings.dedup();
    findings
}

/// Every class that a controller might be asked for.
fn asked_classes(cluster: &Cluster) -> BTreeSet<String> {
    let mut classes: BTreeSet<String> =
        cluster.list::<IngressClass>().map(|class| class.metadata.name.clone()).collect();
    let legacy = classes.is_empty();
    for ingress in cluster.list::<Ingress>() {
        let field = ingress.spec.ingress_class_name.as_deref().filter(|_| legacy);
        classes.extend(field.or(annotation(ingress)).map(str::to_owned));
    }
    if legacy {
        classes.insert("nginx".to_owned());
    }
    classes
}

fn references(cluster: &Cluster, ingress: &Ingress, findings: &mut Vec<Finding>) {
    let spec = &ingress.spec;
    let mut warn = |field: String, message: String| {
        findings.push(Finding::warning(ingress.reference(), field, message));
    };
    if let Some(class) = &spec.ingress_class_name
        && cluster.get::<IngressClass>("", class).is_none()
    {
        warn("spec.ingressClassName".to_owned(), format!("there is no IngressClass {class:?}"));
    }
    let defaults = [("spec.defaultBackend", &spec.default_backend), ("spec.backend", &spec.backend)];
    let defaults = defaults.into_iter().filter_map(|(field, backend)| Some((field.to_owned(), backend.as_ref()?)));
    let paths = spec.rules.iter().enumerate().flat_map(|(i, rule)| {
        let paths = rule.http.iter().flat_map(|http| &http.paths).enumerate();
        paths.map(move |(j, path)| (format!("spec.rules[{i}].http.paths[{j}].backend"), &path.backend))
    });
    for (field, backend) in defaults.chain(paths) {
        let (name_field, port_field, name) = match &backend.service {
            Some(service) => ("service.name", "service.port", &service.name),
            None => ("serviceName", "servicePort", &backend.service_name),
        };
        if name.is_empty() {
            continue;
        }
        let Some(service) = cluster.get::<Service>(ingress.namespace(), name) else {
            let message = format!("there is no Service {name:?} in namespace {:?}", ingress.namespace());
            warn(format!("{field}.{name_field}"), message);
            continue;
        };
        let has_port = service.spec.ports.iter().any(|port| match (&backend.service, &backend.service_port) {
            (Some(IngressServiceBackend { port: wanted, .. }), _) if wanted.name.is_empty() => {
                port.port == wanted.number
            }
            (Some(IngressServiceBackend { port: wanted, .. }), _) => port.name == wanted.name,
            (None, Some(IntOrString::Int(number))) => port.port == *number,
            (None, Some(IntOrString::String(name))) => port.name == *name,
            (None, None) => true,
        });
        if !has_port && !service.spec.is_external_name() {
            warn(format!("{field}.{port_field}"), format!("Service {name:?} has no such port"));
        }
    }
}

/// Warns of what the controller leaves to the Ingress that goes before.
fn claims(ingresses: &[&Ingress], dialect: Dialect, prefix: &str, findings: &mut Vec<Finding>) {
    let mut owners: BTreeMap<(HostPattern, read::PathType, &str), &Ingress> = BTreeMap::new();
    let canary = format!("{prefix}/canary");
    let is_canary = |ingress: &Ingress| {
        dialect == Dialect::Nginx && ingress.metadata.annotations.get(&canary).and_then(|v| parse_bool(v)) == Some(true)
    };
    for ingress in ingresses.iter().filter(|ingress| !is_canary(ingress)) {
        for (i, rule) in ingress.spec.rules.iter().enumerate() {
            let Ok(host) = read::rule_host(rule) else { continue };
            for path in read::paths(rule, dialect) {
                let owner = *owners.entry((host.clone(), path.path_type, path.text)).or_insert(ingress);
                if !std::ptr::eq(owner, *ingress) {
                    let message = format!("{} has host {host} and path {:?} already", owner.reference(), path.text);
                    let field = format!("spec.rules[{i}].http.paths[{}].path", path.index);
                    findings.push(Finding::warning(ingress.reference(), field, message));
                }
            }
        }
    }
}

/// What ingress-nginx's admission refuses, and what is not modelled of its annotations.
fn nginx(ingress: &Ingress, prefix: &str, findings: &mut Vec<Finding>) {
    let object = ingress.reference();
    let regex = uses_regex(ingress, prefix);
    for (i, rule) in ingress.spec.rules.iter().enumerate() {
        for (j, path) in rule.http.iter().flat_map(|http| &http.paths).enumerate() {
            let field = || format!("spec.rules[{i}].http.paths[{j}].path");
            if path_fault(path, Dialect::Plain).is_none()
                && let Some(fault) = path_fault(path, Dialect::Nginx)
            {
                findings.push(Finding::error(&object, field(), format!("{:?} {fault}", path.path)));
            } else if regex && let Err(error) = Regex::ignoring_case(&path.path, Anchor::Caret) {
                findings.push(Finding::error(&object, field(), error.to_string()));
            }
        }
    }
    let is_canary = Values::of(ingress, prefix).boolean("canary") == Some(true);
    for (known, annotation, value) in annotations(ingress, prefix) {
        let mut warn = |message: String| {
            findings.push(Finding::warning(&object, format!("metadata.annotations[{annotation}]"), message));
        };
        if known.format == Format::Snippet || known.key == "mirror-target" {
            warn("is not modelled".to_owned());
        } else if !takes(known, value) {
            let denies = known.format == Format::SourceRanges || known.key == "custom-headers";
            let so = if denies { "every request is answered 503" } else { "it is ignored" };
            warn(format!("the controller does not take the value {value:?}: {so}"));
        } else if known.key.starts_with("canary-") && !is_canary {
            warn("has no effect without the annotation canary".to_owned());
        }
    }
}

/// The findings of one object.
struct Report {
    object: ObjectRef,
    findings: Vec<Finding>,
}

impl Report {
    fn error(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding::error(&self.object, field, message));
    }

    fn name(&mut self, field: impl Into<String>, judged: Result<(), names::NameError>) {
        if let Err(error) = judged {
            self.error(field, error.to_string());
        }
    }

    fn path(&mut self, field: &str, path: &HttpIngressPath, api_version: &str) {
        match path.path_type.as_deref() {
            Some("Exact" | "Prefix" | "ImplementationSpecific") => {}
            None if api_version != "networking.k8s.io/v1" => {}
            None => self.error(format!("{field}.pathType"), "is required"),
            Some(other) => {
                let message = format!("{other:?} is not one of Exact, Prefix, ImplementationSpecific");
                self.error(format!("{field}.pathType"), message);
            }
        }
        if let Some(fault) = path_fault(path, Dialect::Plain) {
            self.error(format!("{field}.path"), format!("{:?} {fault}", path.path));
        }
        self.backend(&format!("{field}.backend"), &path.backend);
    }

    fn backend(&mut self, field: &str, backend: &IngressBackend) {
        let old = !backend.service_name.is_empty() || backend.service_port.is_some();
        match (&backend.service, &backend.resource) {
            (Some(_), Some(_)) => self.error(field, "must not have both a service and a resource"),
            (None, Some(_)) if old => self.error(field, "must not have both a service and a resource"),
            (None, Some(resource)) => {
                for (key, value) in [("kind", &resource.kind), ("name", &resource.name)] {
                    if value.is_empty() {
                        self.error(format!("{field}.resource.{key}"), "is required");
                    }
                }
            }
            (Some(service), None) => {
                self.name(format!("{field}.service.name"), names::dns_1035_label(&service.name));
                match (service.port.number, service.port.name.as_str()) {
                    (0, "") => self.error(field, "needs a port name or number"),
                    (0, name) => self.name(format!("{field}.service.port.name"), names::iana_service_name(name)),
                    (number, "") => self.port_number(format!("{field}.service.port.number"), number),
                    (_, _) => self.error(field, "must not have both a port name and a number"),
                }
            }
            (None, None) if old => {
                self.name(format!("{field}.serviceName"), names::dns_1035_label(&backend.service_name));
                match &backend.service_port {
                    None => self.error(field, "needs a port name or number"),
                    Some(IntOrString::Int(number)) => self.port_number(format!("{field}.servicePort"), *number),
                    Some(IntOrString::String(name)) => {
                        self.name(format!("{field}.servicePort"), names::iana_service_name(name));
                    }
                }
            }
            (None, None) => self.error(field, "needs a service or a resource"),
        }
    }

    fn port_number(&mut self, field: String, number: i64) {
        if !(1..=65535).contains(&number) {
            self.error(field, format!("{number} is not in 1..=65535"));
        }
    }
}
