//! What is wrong with these Ingresses? What the API server refuses, and what will not do what its author meant.

mod hosts;
mod object;

use std::collections::BTreeSet;

use svc_model::api::{Ingress, IngressClass, IngressServiceBackend, IntOrString, Service};
use svc_model::check::Finding;
use svc_model::{Cluster, Resource};

use super::class::{DEFAULT_CLASS_ANNOTATION, Dialect, annotation, is_default, served};
use super::flags::controllers;
use super::nginx::{self, DropCause, Format, Values, annotations, dropped, takes, uses_regex};
use super::read::path_fault;
use super::settings::ControllerSettings;
use super::stream::{SkippedEntry, skipped};
use crate::regex::{Anchor, Regex};

pub use object::{ingress, ingress_class};

/// What Ingresses say of other objects, and what the controllers that serve them make of it: references that lead nowhere,
/// hosts and paths claimed twice, rules that no request can reach, hosts without their TLS, several default classes; for
/// ingress-nginx also paths that are or become expressions, annotations and the entries of its `tcp-services` and `udp-services`
/// that it skips. The Secrets of `spec.tls` are checked by `tls_sni::check`, which reads them.
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
        hosts::check(&served, &mut findings);
        if served.dialect == Dialect::Nginx {
            for ingress in &served.ingresses {
                nginx(ingress, &served.flags.annotations_prefix, &mut findings);
            }
            let settings = ControllerSettings::of(cluster, &served.flags);
            for ingress in &served.dropped {
                let prefix = &served.flags.annotations_prefix;
                if let Some(nginx::Drop { annotation, why }) = dropped(ingress, prefix, &settings) {
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
    for (_, flags) in controllers(cluster) {
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
        if known.format == Format::Snippet {
            warn("is not modelled".to_owned());
        } else if !takes(known, value) {
            let denies = known.format == Format::SourceRanges || known.key == "custom-headers";
            let so = if denies { "every request is answered 503" } else { "it is ignored" };
            warn(format!("the controller does not take the value {value:?}: {so}"));
        } else if known.key == "mirror-target" {
            warn("is not modelled".to_owned());
        } else if known.key.starts_with("canary-") && !is_canary {
            warn("has no effect without the annotation canary".to_owned());
        }
    }
}
