//! What is wrong with these objects? What Istio's admission refuses, and what it accepts to no effect.
//!
//! [`object`] judges one object by itself. [`cluster`] finds what objects say of each other, as `istioctl analyze` does: gateways,
//! destinations and subsets that are not there, hosts that two objects claim, rules that nothing reaches.
//!
//! ```
//! use route_match::istio::check;
//! use svc_model::{Object, api::VirtualService};
//!
//! let rules: VirtualService = serde_json::from_str(r#"{
//!     "metadata": {"name": "cart"},
//!     "spec": {"hosts": ["*"], "http": [{"redirect": {"uri": "/new", "redirectCode": 200}}]}
//! }"#)?;
//! let findings = check::object(&Object::VirtualService(rules));
//! let fields: Vec<&str> = findings.iter().map(|finding| &*finding.field).collect();
//! assert_eq!(fields, ["spec.hosts[0]", "spec.http[0].redirect.redirectCode"]);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod across;
mod destination_rule;
mod gateway;
#[cfg(test)]
mod hostile;
mod http;
mod reach;
mod service_entry;
mod sidecar;
mod stream;
#[cfg(test)]
mod tests;
mod value;
mod virtual_service;

use svc_model::check::Finding;
use svc_model::{Cluster, Object};

use crate::report::Report;

/// What is wrong with one object of Istio's; nothing for any other. In the order of the fields as the rules go through them.
///
/// What a rule says of a whole (an `http` rule with two actions) is reported at that whole. O(size of the object), and for the rules
/// of a VirtualService O(n log n).
pub fn object(object: &Object) -> Vec<Finding> {
    let mut report = Report::new(object);
    match object {
        Object::VirtualService(object) => virtual_service::check(&mut report, object),
        Object::IstioGateway(object) => gateway::check(&mut report, object),
        Object::DestinationRule(object) => destination_rule::check(&mut report, object),
        Object::ServiceEntry(object) => service_entry::check(&mut report, object),
        Object::WorkloadEntry(object) => service_entry::workload_entry(&mut report, object),
        Object::WorkloadGroup(object) => service_entry::workload_group(&mut report, object),
        Object::Sidecar(object) => sidecar::check(&mut report, object),
        _ => {}
    }
    report.findings
}

/// What the objects of a cluster say of each other; all of it warnings. O(n log n) in objects, their hosts and their rules.
pub fn cluster(cluster: &Cluster) -> Vec<Finding> {
    across::check(cluster)
}
