//! Which certificates of a Gateway's listeners cannot be used, and which are good for another listener too?

use crate::cert_name::CertName;
use crate::facts::{CertificateFacts, CommonName};
use crate::secret::{self, SecretError};
use crate::server_name::ServerName;
use route_match::gateway::{GatewayTable, Listener, ListenerProtocol};
use route_match::{Host, HostPattern};
use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;
use svc_model::api::{Gateway, Secret};
use svc_model::check::Finding;
use svc_model::{Cluster, NamespacedName, Resource};

/// Adds what there is to say of listeners, and answers which Secrets they use.
pub(super) fn check(cluster: &Cluster, findings: &mut Vec<Finding>) -> BTreeSet<NamespacedName> {
    let mut used = BTreeSet::new();
    for gateway in cluster.list::<Gateway>() {
        let Ok(table) = GatewayTable::compile(cluster, &gateway.key()) else { continue };
        for listener in table.listeners() {
            let certificates = certificates(cluster, listener, findings);
            used.extend(listener.secrets().map(|secret| NamespacedName::new(&*secret.namespace, &*secret.name)));
            if listener.protocol == ListenerProtocol::Https {
                overlaps(&table, listener, &certificates, findings);
            }
        }
    }
    used
}

/// The facts of a listener's certificates that can be used.
fn certificates(cluster: &Cluster, listener: &Listener, findings: &mut Vec<Finding>) -> Vec<(usize, CertificateFacts)> {
    let references = listener.tls.iter().flat_map(|tls| &tls.certificates);
    let mut usable = Vec::new();
    let mut faults: Vec<(usize, String)> = Vec::new();
    for certificate in references {
        let Ok(reference) = &certificate.secret else { continue };
        let Some(found) = cluster.get::<Secret>(&reference.namespace, &reference.name) else { continue };
        match secret::load(found) {
            Ok(pair) => usable.push((certificate.index, pair.facts)),
            // A placeholder to be filled later is told of where it lies.
            Err(SecretError::Empty { .. }) => {}
            Err(error) => faults.push((certificate.index, format!("{reference} cannot be used: {error}"))),
        }
    }
    let instead = match usable.len() {
        0 => "every connection of the listener is refused",
        _ => "the listener's other certificates are served",
    };
    for (k, fault) in faults {
        let field = format!("spec.listeners[{}].tls.certificateRefs[{k}]", listener.index);
        findings.push(Finding::error(&listener.owner, field, format!("{fault}; {instead}")));
    }
    usable
}

/// Warns where a certificate covers a host of another listener on the port: a client may send that host's requests over
/// a connection of this one (RFC 9113 9.1.1), which are answered 421.
fn overlaps(table: &GatewayTable, listener: &Listener, own: &[(usize, CertificateFacts)], findings: &mut Vec<Finding>) {
    let others = table.listeners().iter().filter(|other| other.port == listener.port);
    let hosts_of_others: Vec<String> = others.filter_map(|other| example_of(&other.hosts)).collect();
    let mut told = BTreeSet::new();
    for (k, facts) in own {
        let names = facts.names.iter().filter_map(example_of_name).chain(hosts_of_others.iter().cloned());
        for name in names {
            let covered = |name: &ServerName| facts.covers(name, CommonName::Never).is_some();
            let (Ok(server_name), Ok(host)) = (name.parse::<ServerName>(), name.parse::<Host>()) else { continue };
            if !covered(&server_name) {
                continue;
            }
            let chosen = table.decide_tls(listener.port, Some(&host)).listener;
            let other = chosen.filter(|other| other.protocol == ListenerProtocol::Https && *other != listener);
            if let Some(other) = other
                && told.insert((*k, &*other.name))
            {
                let field = format!("spec.listeners[{}].tls.certificateRefs[{k}]", listener.index);
                let message = format!(
                    "overlapping-tls: the certificate also covers {name}, which is for {other}; a client that reuses a \
                     connection for it is answered 421"
                );
                findings.push(Finding::warning(&listener.owner, field, message));
            }
        }
    }
}

/// A host that a pattern stands for.
fn example_of(hosts: &HostPattern) -> Option<String> {
    match hosts {
        HostPattern::Exact(host) => Some(host.as_str().into()),
        HostPattern::Wildcard(wildcard) => Some(format!("any.{}", wildcard.suffix())),
        _ => None,
    }
}

fn example_of_name(name: &CertName) -> Option<String> {
    name.exact().map(Into::into).or_else(|| Some(format!("any.{}", name.wildcard_zone()?)))
}
