//! Can the Secrets that the servers of Istio's Gateways name be used, in the namespace of the proxy?

use crate::istio::{CredentialFault, credential, credential_names};
use route_match::istio::GatewayProxy;
use std::format;
use std::vec::Vec;
use svc_model::api::IstioGateway;
use svc_model::check::Finding;
use svc_model::{Cluster, Resource};

/// Adds what there is to say of the credentials of servers. A reference to a Secret that does not exist is a warning: it may come later.
pub(super) fn check(cluster: &Cluster, findings: &mut Vec<Finding>) {
    for gateway in cluster.list::<IstioGateway>() {
        credentials(cluster, gateway, findings);
    }
}

fn credentials(cluster: &Cluster, gateway: &IstioGateway, findings: &mut Vec<Finding>) {
    let object = gateway.reference().in_manifest();
    let namespace = GatewayProxy::of(cluster, gateway).namespace;
    for (i, server) in gateway.spec.servers.iter().enumerate() {
        let Some(tls) = &server.tls else { continue };
        if !matches!(tls.mode.as_str(), "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL") {
            continue; // no credential, or one that is a fault of form
        }
        for (k, name) in credential_names(tls).iter().enumerate() {
            let field = match tls.credential_name.as_str() {
                "" => format!("spec.servers[{i}].tls.credentialNames[{k}]"),
                _ => format!("spec.servers[{i}].tls.credentialName"),
            };
            match credential(cluster, &namespace, name, tls) {
                Ok(_) => {}
                Err(CredentialFault::Missing) => {
                    let message =
                        format!("there is no Secret {name:?} in namespace {namespace:?}, that of the gateway's Pods");
                    findings.push(Finding::warning(&object, field, message));
                }
                Err(fault) => findings.push(Finding::error(&object, field, format!("Secret {name:?} {fault}"))),
            }
        }
    }
}
