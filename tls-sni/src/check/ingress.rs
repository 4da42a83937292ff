//! What is wrong with the tls sections of Ingresses?

use crate::cert_name::CertName;
use crate::decision::TlsQuestion;
use crate::facts::CommonName;
use crate::ingress::{IngressTls, covers};
use crate::secret;
use crate::server_name::Sni;
use route_match::ingress::served;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use svc_model::api::{Ingress, IngressClass, Secret};
use svc_model::check::{Finding, names};
use svc_model::{Cluster, NamespacedName, ObjectRef, Resource};

pub(super) fn check(cluster: &Cluster, findings: &mut Vec<Finding>) {
    let controllers = Controllers::of(cluster);
    for ingress in cluster.list::<Ingress>() {
        check_ingress(cluster, &controllers, ingress, findings);
    }
}

fn check_ingress(cluster: &Cluster, controllers: &Controllers, ingress: &Ingress, findings: &mut Vec<Finding>) {
    let object = ingress.reference();
    let rules: BTreeSet<CertName> = ingress.spec.rules.iter().map(|rule| CertName::new(rule.host.as_bytes())).collect();
    for (i, entry) in ingress.spec.tls.iter().enumerate() {
        let name = (!entry.secret_name.is_empty()).then_some(&*entry.secret_name);
        let secret = name.map(|name| cluster.get::<Secret>(ingress.namespace(), name));
        let pair = secret.flatten().map(secret::load);
        let fault = match (&secret, &pair) {
            (Some(None), _) => {
                Some(format!("there is no Secret {:?} in namespace {:?}", entry.secret_name, ingress.namespace()))
            }
            (_, Some(Err(error))) => Some(format!("Secret {:?} cannot be used: {error}", entry.secret_name)),
            _ => None,
        };
        if let Some(fault) = fault {
            let host = entry.hosts.iter().map(|host| CertName::new(host.as_bytes())).find(|host| rules.contains(host));
            let instead = host.and_then(|host| controllers.served(&object, &host)).unwrap_or_default();
            findings.push(Finding::warning(&object, format!("spec.tls[{i}].secretName"), fault + &instead));
        }
        for (j, text) in entry.hosts.iter().enumerate() {
            let field = || format!("spec.tls[{i}].hosts[{j}]");
            if names::dns_1123_subdomain(text.strip_prefix("*.").unwrap_or(text)).is_err() {
                continue; // one fault is told once, where the form of an Ingress is checked
            }
            let host = CertName::new(text.as_bytes());
            if let Some(Ok(pair)) = &pair
                && !covers(&pair.facts, &host, CommonName::WithoutSan)
            {
                let instead = controllers.served(&object, &host).filter(|_| rules.contains(&host)).unwrap_or_default();
                let message =
                    format!("the certificate of Secret {} does not cover {text:?}{instead}", entry.secret_name);
                findings.push(Finding::warning(&object, field(), message));
            }
            if !rules.contains(&host) {
                let message = format!("{text:?} is the host of no rule, so that nothing is served under it");
                findings.push(Finding::warning(&object, field(), message));
            }
        }
    }
}

/// The controllers of a cluster, each with the Ingresses it serves.
struct Controllers(Vec<(BTreeSet<NamespacedName>, IngressTls)>);

impl Controllers {
    fn of(cluster: &Cluster) -> Controllers {
        // Without a single tls section there is nothing to say.
        if cluster.list::<Ingress>().all(|ingress| ingress.spec.tls.is_empty()) {
            return Controllers(Vec::new());
        }
        let named = cluster.list::<Ingress>().filter_map(|ingress| ingress.spec.ingress_class_name.as_deref());
        let annotated = cluster
            .list::<Ingress>()
            .filter_map(|ingress| ingress.metadata.annotations.get("kubernetes.io/ingress.class").map(String::as_str));
        let classes: BTreeSet<&str> =
            cluster.list::<IngressClass>().map(|class| class.name()).chain(named).chain(annotated).collect();
        let tables = classes.into_iter().filter_map(|class| {
            let served = served(cluster, class).ok()?;
            let keys = served.ingresses.iter().map(|ingress| ingress.key()).collect();
            Some((keys, IngressTls::new(cluster, &served, 0)))
        });
        Controllers(tables.collect())
    }

    /// What the controller of an Ingress serves a client of this host, as the end of a sentence.
    fn served(&self, ingress: &ObjectRef, host: &CertName) -> Option<String> {
        let key = NamespacedName::new(&*ingress.namespace, &*ingress.name);
        let (_, table) = self.0.iter().find(|(served, _)| served.contains(&key))?;
        // Any name will do for a wildcard that is not taken by a rule of its own.
        let name = host.exact().map(ToString::to_string).or_else(|| Some(format!("any.{}", host.wildcard_zone()?)))?;
        let question = TlsQuestion::new(Sni::new(Some(name.as_bytes())));
        let certificate = table.decide(&question, 0).certificate?;
        Some(format!("; clients of {host} are served {certificate}"))
    }
}
