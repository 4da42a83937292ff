//! What would the API server refuse in one object?

use svc_model::api::{
    HttpIngressPath, Ingress, IngressBackend, IngressClass, IngressClassParameters, IntOrString,
    TypedLocalObjectReference,
};
use svc_model::check::{Finding, names};
use svc_model::{ObjectRef, Resource};

use crate::ingress::class::{CLASS_ANNOTATION, Dialect, annotation};
use crate::ingress::read::{self, path_fault};

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
        let IngressClassParameters { api_group, kind, name, .. } = parameters;
        report.typed_reference("spec.parameters", api_group.as_deref(), kind, name);
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
                let TypedLocalObjectReference { api_group, kind, name } = resource;
                self.typed_reference(&format!("{field}.resource"), api_group.as_deref(), kind, name);
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

    /// A reference to an object of any kind; kind and name are segments of a path.
    fn typed_reference(&mut self, field: &str, group: Option<&str>, kind: &str, name: &str) {
        if let Some(group) = group {
            self.name(format!("{field}.apiGroup"), names::dns_1123_subdomain(group));
        }
        for (key, value) in [("kind", kind), ("name", name)] {
            if value.is_empty() {
                self.error(format!("{field}.{key}"), "is required");
            } else if matches!(value, "." | "..") || value.contains(['/', '%']) {
                self.error(format!("{field}.{key}"), format!("{value:?} must not be '.' or '..', nor hold '/' or '%'"));
            }
        }
    }

    fn port_number(&mut self, field: String, number: i64) {
        if !(1..=65535).contains(&number) {
            self.error(field, format!("{number} is not in 1..=65535"));
        }
    }
}
