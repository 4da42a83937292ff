//! What is wrong with the TLS settings of these objects, and what is served instead?

mod gateway;
mod ingress;
mod istio;
mod secret;

use std::collections::BTreeSet;
use std::vec::Vec;
use svc_model::api::{Ingress, Secret};
use svc_model::check::Finding;
use svc_model::{Cluster, NamespacedName, Resource};

/// The faults of the Ingresses' tls sections, of the servers of Istio's Gateways, of the Secrets that Ingresses and listeners name,
/// and of certificates that listeners share, by object.
///
/// Every value of a Secret must be base64, and one of type `kubernetes.io/tls` must have both keys. The contents are
/// judged of Secrets of that type and of those that are referred to; empty values are a fault only in the latter. A
/// reference to a Secret that does not exist is a warning, a Secret that exists and cannot be used is an error. `now`,
/// in seconds since 1970-01-01T00:00:00Z, tells expired certificates.
///
/// The form of an Ingress (malformed hosts and names) is checked by [`route_match::ingress::check`], that of a Gateway and
/// what its references must be by [`route_match::gateway::check`], that of a Gateway of Istio by `route_match::istio::check`.
pub fn check(cluster: &Cluster, now: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut referenced: BTreeSet<NamespacedName> = BTreeSet::new();
    for ingress in cluster.list::<Ingress>() {
        for entry in ingress.spec.tls.iter().filter(|entry| !entry.secret_name.is_empty()) {
            referenced.insert(NamespacedName::new(ingress.namespace(), entry.secret_name.as_str()));
        }
    }
    ingress::check(cluster, &mut findings);
    referenced.extend(gateway::check(cluster, &mut findings));
    istio::check(cluster, &mut findings);
    for secret in cluster.list::<Secret>() {
        secret::check(secret, referenced.contains(&secret.key()), now, &mut findings);
    }
    findings
}
