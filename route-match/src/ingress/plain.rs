//! The plain dialect: how the words of the Ingress API become a router.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use svc_model::api::Ingress;
use svc_model::{Cluster, Resource};

use crate::host_pattern::HostPattern;
use crate::path_pattern::PathPattern;
use crate::router::{Router, RouterBuilder};
use crate::rule::Rule;

use super::backend::{BackendRef, Services};
use super::class::{Dialect, ServedIngresses};
use super::decision::Upstream;
use super::location::{Location, Target};
use super::nginx::Balancing;
use super::read::{PathType, paths, rule_host};

/// What goes first among the rules of a host: exact paths, then longer prefixes, then the default backend; of equal
/// ones the older Ingress. The age and name of the Ingress are the order of insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    Exact,
    Prefix(Reverse<usize>),
    Default,
}

pub(super) fn compile(cluster: &Cluster, served: &ServedIngresses<'_>) -> Router<Location> {
    let services = Services::new(cluster, Dialect::Plain);
    let mut builder = RouterBuilder::new();
    // The Ingress that owns a host is the first that mentions it.
    let mut owners: BTreeMap<HostPattern, &Ingress> = BTreeMap::new();
    for ingress in &served.ingresses {
        for (index, rule) in ingress.spec.rules.iter().enumerate() {
            let Ok(host) = rule_host(rule) else { continue };
            owners.entry(host.clone()).or_insert(ingress);
            for path in paths(rule, Dialect::Plain) {
                let Some(target) = target(&services, ingress, BackendRef::of(path.backend)) else {
                    continue;
                };
                let (key, pattern) = match path.path_type {
                    PathType::Exact => (Precedence::Exact, PathPattern::exact(path.text)),
                    PathType::Prefix => {
                        let elements = path.text.strip_suffix('/').unwrap_or(path.text);
                        (Precedence::Prefix(Reverse(elements.len())), PathPattern::prefix(elements))
                    }
                };
                builder.rule(host.clone(), Rule::new(key, pattern, location(ingress, Some(index), target)));
            }
        }
    }
    let default_of = |ingress: &Ingress| {
        let target = target(&services, ingress, BackendRef::default_of(ingress)?)?;
        Some(location(ingress, None, target))
    };
    let common = served.ingresses.iter().filter(|ingress| ingress.spec.rules.is_empty()).find_map(|i| default_of(i));
    // Every host is final, hence has the last resort among its own rules.
    let mut hosts: BTreeMap<HostPattern, Option<&Ingress>> = BTreeMap::from([(HostPattern::Any, None)]);
    hosts.extend(owners.into_iter().map(|(host, owner)| (host, Some(owner))));
    for (host, owner) in hosts {
        builder.host(host.clone());
        if let Some(location) = owner.and_then(default_of).or_else(|| common.clone()) {
            builder.rule(host, Rule::new(Precedence::Default, PathPattern::any(), location));
        }
    }
    builder.build()
}

/// Where a backend leads; `None` for one that counts as absent.
fn target(services: &Services<'_>, ingress: &Ingress, backend: BackendRef<'_>) -> Option<Target> {
    let BackendRef::Service(name, port) = backend else {
        return None;
    };
    let found = services.resolve(ingress.namespace(), name, port, false);
    Some(found.map(|backend| Upstream { backend, balancing: Balancing::default() }).into())
}

fn location(ingress: &Ingress, rule: Option<usize>, target: Target) -> Location {
    Location::plain(Some(ingress.reference()), rule, target)
}
