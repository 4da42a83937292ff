//! The plain dialect: how the words of the Ingress API become a router.

use std::cmp::Reverse;

use svc_model::api::Ingress;
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource};

use crate::host_pattern::HostPattern;
use crate::path_pattern::PathPattern;
use crate::rule::Rule;

use super::backend::{BackendRef, Services};
use super::class::Dialect;
use super::controller::Built;
use super::decision::Upstream;
use super::location::{Location, Target};
use super::names::Wanted;
use super::nginx::Balancing;
use super::read::{PathType, paths, rule_host};

/// What goes first among the rules of a host: exact paths, then longer prefixes, then the default backend; of equal
/// ones the older Ingress. The age and name of the Ingress are the order of insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    Exact,
    Prefix(Reverse<usize>),
    Default,
}

/// The default backend of the oldest Ingress that has one and no rules, from those with a part in any host: that of every host that has
/// none of its own.
pub(super) fn common<'c>(
    cluster: &'c Cluster,
    mut ingresses: impl Iterator<Item = &'c Ingress>,
) -> Option<(NamespacedName, Target)> {
    let services = Services::new(cluster, Dialect::Plain);
    ingresses.find_map(|ingress| {
        let default = BackendRef::default_of(ingress).filter(|_| ingress.spec.rules.is_empty())?;
        Some((ingress.key(), target(&services, ingress, default)?))
    })
}

/// What builds the hosts of a controller of the plain dialect.
pub(super) struct Hosts<'c> {
    services: Services<'c>,
    common: Option<&'c (NamespacedName, Target)>,
}

impl<'c> Hosts<'c> {
    pub(super) fn new(cluster: &'c Cluster, common: Option<&'c (NamespacedName, Target)>) -> Self {
        Self { services: Services::new(cluster, Dialect::Plain), common }
    }

    /// The rules of a host, from the Ingresses with a part in it, in their order; `None` if none of their rules names it. Requests
    /// for hosts that none names have a host to go to in any case.
    pub(super) fn build(
        &self,
        host: &HostPattern,
        ingresses: impl Iterator<Item = &'c Ingress>,
    ) -> Option<Built<Precedence>> {
        let mut rules = Vec::new();
        // The Ingress that owns a host is the first that mentions it.
        let mut owner = None;
        for ingress in ingresses {
            for (index, rule) in ingress.spec.rules.iter().enumerate() {
                if !rule_host(rule).is_ok_and(|named| named == *host) {
                    continue;
                }
                owner.get_or_insert(ingress);
                for path in paths(rule, Dialect::Plain) {
                    let Some(target) = target(&self.services, ingress, BackendRef::of(path.backend)) else {
                        continue;
                    };
                    let (key, pattern) = match path.path_type {
                        PathType::Exact => (Precedence::Exact, PathPattern::exact(path.text)),
                        PathType::Prefix => {
                            let elements = path.text.strip_suffix('/').unwrap_or(path.text);
                            (Precedence::Prefix(Reverse(elements.len())), PathPattern::prefix(elements))
                        }
                    };
                    let location = Location::plain(Some(ingress.reference()), Some(index), target);
                    rules.push(Rule::new(key, pattern, location));
                }
            }
        }
        if owner.is_none() && *host != HostPattern::Any {
            return None;
        }
        let own = owner.and_then(|owner| {
            let target = target(&self.services, owner, BackendRef::default_of(owner)?)?;
            Some(Location::plain(Some(owner.reference()), None, target))
        });
        let common = || {
            let (ingress, target) = self.common?;
            let route = ObjectRef::new(Kind::Ingress, ingress.namespace.clone(), ingress.name.clone());
            Some(Location::plain(Some(route), None, target.clone()))
        };
        // Every host is final, hence has the last resort among its own rules.
        rules.extend(own.or_else(common).map(|last| Rule::new(Precedence::Default, PathPattern::any(), last)));
        Some(Built { rules, wanted: Wanted::default() })
    }
}

/// A rule that leads nowhere.
pub(super) fn nowhere(_: &HostPattern) -> Rule<Precedence, Location> {
    Rule::new(Precedence::Default, PathPattern::any(), Location::plain(None, None, Target::NotFound))
}

/// Where a backend leads; `None` for one that counts as absent.
fn target(services: &Services<'_>, ingress: &Ingress, backend: BackendRef<'_>) -> Option<Target> {
    let BackendRef::Service(name, port) = backend else {
        return None;
    };
    let found = services.resolve(ingress.namespace(), name, port, false);
    Some(found.map(|backend| Upstream { backend, balancing: Balancing::default() }).into())
}
