//! What is wrong with these objects? What an API server would say of them, and what it would let pass to no effect.
//!
//! * [`object`] judges one object by itself, after the server's defaults: formats, ranges, fields that exclude or need
//!   each other, and the warnings that need no other object.
//! * [`cluster`] judges what objects say of each other: addresses and node ports given twice, references that lead
//!   nowhere, ports that no Pod has.
//! * [`names`] has the formats of names, for whoever checks other kinds.
//!
//! An [error](Level::Error) is what a Kubernetes API server (1.32 to 1.36) refuses to create, or what a program refuses
//! to start with; a [warning](Level::Warning) is what it warns of, or accepts although it cannot work. All faults are
//! reported, where the server stops at the first stage that fails; but each one once: a value refused for its form is
//! not judged further. Other kinds than those of Services, their endpoints, Pods and nodes get the rules of metadata only.
//!
//! ```
//! use svc_model::api::{Service, ServicePort};
//! use svc_model::{Cluster, Object, check};
//!
//! let mut web = Service::default();
//! web.metadata.name = "web".into();
//! web.spec.type_ = "Nodeport".into();
//! web.spec.selector.insert("app".into(), "web".into());
//! web.spec.ports.push(ServicePort { port: 80, ..Default::default() });
//!
//! let findings = check::object(&Object::Service(web.clone()), "v1");
//! assert_eq!(
//!     findings[0].to_string(),
//!     "error: Service/default/web spec.type: \"Nodeport\" is not one of \
//!      ClusterIP, NodePort, LoadBalancer, ExternalName; did you mean NodePort?",
//! );
//!
//! web.spec.type_ = "NodePort".into();
//! assert_eq!(check::object(&Object::Service(web.clone()), "v1"), []);
//!
//! let world = Cluster::from_iter([web]);
//! let fields: Vec<String> = check::cluster(&world).into_iter().map(|finding| finding.field).collect();
//! assert_eq!(fields, ["spec.clusterIP", "spec.selector"]);
//! ```

mod across;
mod configuration;
pub mod duration;
mod endpoints;
mod metadata;
pub mod names;
mod node;
mod pod;
mod report;
mod service;
mod service_addresses;
mod service_ports;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod workload;

use std::fmt;

use crate::api::ObjectMeta;
use crate::cluster::Cluster;
use crate::kind::{Object, ObjectRef, Scope};
use report::Report;

/// What is wrong with one object, judged by itself. `api_version` is the one its manifest has: groups before `apps/v1`
/// let a workload leave its selector out.
///
/// In the order of the fields as the rules go through them. Costs O(size of the object).
pub fn object(object: &Object, api_version: &str) -> Vec<Finding> {
    let mut report = Report::new(subject(object));
    let kind = object.kind();
    metadata::check(&mut report, kind, object.metadata());
    let report_workload = |report: &mut Report, spec| workload::check(report, kind, api_version, "spec", spec);
    match object {
        Object::ConfigMap(object) => node::config_map(&mut report, object),
        Object::CronJob(object) => {
            let spec = &object.spec.job_template.spec;
            workload::check(&mut report, kind, api_version, "spec.jobTemplate.spec", spec);
        }
        Object::DaemonSet(object) => report_workload(&mut report, &object.spec),
        Object::Deployment(object) => report_workload(&mut report, &object.spec),
        Object::EndpointSlice(object) => endpoints::slice(&mut report, object),
        Object::Endpoints(object) => endpoints::endpoints(&mut report, object),
        Object::Job(object) => report_workload(&mut report, &object.spec),
        Object::KubeProxyConfiguration(object) => configuration::kube_proxy(&mut report, object),
        Object::KubeletConfiguration(object) => configuration::kubelet(&mut report, object),
        Object::Node(object) => node::node(&mut report, object),
        Object::Pod(object) => {
            pod::check(&mut report, "spec", &object.spec, pod::Stands::Alone);
            pod::status(&mut report, &object.status);
        }
        Object::ReplicaSet(object) => report_workload(&mut report, &object.spec),
        Object::Service(object) => service::check(&mut report, object),
        Object::ServiceCidr(object) => node::service_cidr(&mut report, object),
        Object::StatefulSet(object) => report_workload(&mut report, &object.spec),
        // Whoever routes by these judges them: `route_match`, `tls_sni`.
        _ => {}
    }
    report.findings
}

/// What the objects of a cluster say of each other. Give it the world as it was written, before
/// [`complete`](crate::complete()) fills it in: a workload's template counts as its Pods here, and addresses that will be
/// assumed are warned of.
///
/// By object and field, as texts. Costs O(n log n) for objects and the addresses, ports and labels in them; for each
/// Service besides, the Pods that carry the rarest label of its selector.
pub fn cluster(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = across::check(cluster);
    findings.sort_by(|a, b| (&a.object, &a.field).cmp(&(&b.object, &b.field)));
    findings
}

/// How a finding names an object: as its reference, with the kind as in the manifest and `generateName` where it has no name.
pub fn subject(object: &Object) -> String {
    named(object.reference(), object.metadata()).in_manifest()
}

fn named(mut reference: ObjectRef, metadata: &ObjectMeta) -> ObjectRef {
    if reference.name.is_empty() && reference.kind.scope() != Scope::Configuration {
        reference.name = metadata.generate_name.as_str().into();
    }
    reference
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The API server, or the program that reads the object, refuses it.
    Error,
    /// It is accepted, and then does not do what its author most likely meant.
    Warning,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error => "error",
            Level::Warning => "warning",
        })
    }
}

/// One fault of one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The object, as [`ObjectRef::in_manifest`] prints it, or `document N`.
    pub object: String,
    /// The path of the field as the manifest spells it: `spec.ports[0].port`, `metadata.labels[a.b/c]`; empty for the
    /// whole document.
    pub field: String,
    /// What is wrong, with the value.
    pub message: String,
}

impl Finding {
    /// An error.
    pub fn error(object: impl fmt::Display, field: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding { level: Level::Error, object: object.to_string(), field: field.into(), message: message.into() }
    }

    /// A warning.
    pub fn warning(object: impl fmt::Display, field: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding { level: Level::Warning, ..Finding::error(object, field, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level, self.object)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}
