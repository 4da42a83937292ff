//! What is wrong with the TLS settings of these objects?

use crate::cert_name::CertName;
use crate::facts::{CertificateFacts, CommonName};
use crate::ingress::covers;
use crate::istio::{CredentialFault, credential, credential_names};
use crate::secret::{self, SecretError, TLS_CRT, TLS_KEY};
use route_match::istio::GatewayProxy;
use std::collections::BTreeSet;
use std::format;
use std::vec::Vec;
use svc_model::api::{Ingress, IstioGateway, Secret};
use svc_model::check::{Finding, names};
use svc_model::{Cluster, NamespacedName, Resource};

/// The type of a Secret that must hold a certificate and a key.
const TLS_TYPE: &str = "kubernetes.io/tls";

/// The faults of the Ingresses' tls sections, of the servers of Istio's Gateways and of the Secrets they name, by object.
///
/// Every value of a Secret must be base64, and one of type `kubernetes.io/tls` must have both keys. The contents are
/// judged of Secrets of that type and of those that an Ingress names; empty values are a fault only in the latter. A
/// reference to a Secret that does not exist is a warning, a Secret that exists and cannot be used is an error. `now`,
/// in seconds since 1970-01-01T00:00:00Z, tells expired certificates.
///
/// The form of an Ingress (malformed hosts and names) is checked by [`route_match::ingress::check`], that of a Gateway of Istio by `route_match::istio::check`.
pub fn check(cluster: &Cluster, now: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut referenced = BTreeSet::new();
    for ingress in cluster.list::<Ingress>() {
        for entry in ingress.spec.tls.iter().filter(|entry| !entry.secret_name.is_empty()) {
            referenced.insert(NamespacedName::new(ingress.namespace(), entry.secret_name.as_str()));
        }
        check_ingress(cluster, ingress, &mut findings);
    }
    for gateway in cluster.list::<IstioGateway>() {
        check_gateway(cluster, gateway, &mut findings);
    }
    for secret in cluster.list::<Secret>() {
        check_secret(secret, referenced.contains(&secret.key()), now, &mut findings);
    }
    findings
}

fn check_ingress(cluster: &Cluster, ingress: &Ingress, findings: &mut Vec<Finding>) {
    let object = ingress.reference();
    let rules: BTreeSet<CertName> = ingress.spec.rules.iter().map(|rule| CertName::new(rule.host.as_bytes())).collect();
    for (i, entry) in ingress.spec.tls.iter().enumerate() {
        let secret =
            (!entry.secret_name.is_empty()).then(|| cluster.get::<Secret>(ingress.namespace(), &entry.secret_name));
        if secret == Some(None) {
            let message = format!("there is no Secret {:?} in namespace {:?}", entry.secret_name, ingress.namespace());
            findings.push(Finding::warning(&object, format!("spec.tls[{i}].secretName"), message));
        }
        let facts = secret.flatten().and_then(|secret| secret::load(secret).ok()).map(|pair| pair.facts);
        for (j, text) in entry.hosts.iter().enumerate() {
            let field = || format!("spec.tls[{i}].hosts[{j}]");
            if names::dns_1123_subdomain(text.strip_prefix("*.").unwrap_or(text)).is_err() {
                continue; // one fault is told once, where the form of an Ingress is checked
            }
            let host = CertName::new(text.as_bytes());
            if let Some(facts) = &facts
                && !covers(facts, &host, CommonName::WithoutSan)
            {
                let message = format!("the certificate of Secret {} does not cover {text:?}", entry.secret_name);
                findings.push(Finding::warning(&object, field(), message));
            }
            if !rules.contains(&host) {
                let message = format!("{text:?} is the host of no rule, so that nothing is served under it");
                findings.push(Finding::warning(&object, field(), message));
            }
        }
    }
}

/// Whether the Secrets that the servers of a Gateway of Istio name can be used, in the namespace of the proxy. A reference to a Secret that
/// does not exist is a warning: it may come later.
fn check_gateway(cluster: &Cluster, gateway: &IstioGateway, findings: &mut Vec<Finding>) {
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

fn check_secret(secret: &Secret, referenced: bool, now: i64, findings: &mut Vec<Finding>) {
    let object = secret.reference();
    let before = findings.len();
    let tls = secret.type_ == TLS_TYPE;
    for (key, value) in &secret.data {
        if value.bytes().is_none() && !secret.string_data.0.contains_key(key) {
            findings.push(Finding::error(&object, secret::field(secret, key), "not base64"));
        }
    }
    for key in [TLS_CRT, TLS_KEY] {
        let fault = match secret::value(secret, key) {
            Err(error @ SecretError::Absent { .. }) if tls => error,
            Err(error @ (SecretError::Absent { .. } | SecretError::Empty { .. })) if referenced => error,
            _ => continue,
        };
        findings.push(Finding::error(&object, fault.field(secret), format!("{fault}")));
    }
    if findings.len() > before || !(tls || referenced) {
        return;
    }
    match secret::load(secret) {
        // Here it can only be one that nobody uses, a placeholder to be filled later.
        Err(SecretError::Empty { .. }) => {}
        Err(error) => findings.push(Finding::error(&object, error.field(secret), format!("{error}"))),
        Ok(pair) => {
            for message in doubts(&pair.facts, now) {
                findings.push(Finding::warning(&object, secret::field(secret, TLS_CRT), message));
            }
        }
    }
}

fn doubts(facts: &CertificateFacts, now: i64) -> impl Iterator<Item = &'static str> {
    let dates = match () {
        () if now < facts.not_before => Some("the certificate is not yet valid"),
        () if now > facts.not_after => Some("the certificate has expired"),
        () => None,
    };
    let names = facts.names.is_empty().then_some("the certificate has no dNSName; most clients ignore its common name");
    dates.into_iter().chain(names)
}
