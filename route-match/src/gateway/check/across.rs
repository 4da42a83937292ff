//! Routes, Gateways and what they refer to, beside each other.

use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::{self, BackendTlsPolicy, GatewayClass, ListenerSet, Service};
use svc_model::check::Finding;
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource};

use crate::condition::Condition;
use crate::gateway::attach::parent;
use crate::gateway::route::AnyRoute;
use crate::gateway::{GatewayTable, RefusedListener, RouteRule, gateways_of};
use crate::path_pattern::PathPattern;

pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut tables = BTreeMap::new();
    for gateway in cluster.list::<api::Gateway>() {
        let class = &gateway.spec.gateway_class_name;
        if !class.is_empty() && cluster.get::<GatewayClass>("", class).is_none() {
            let message = format!("there is no GatewayClass/{class}, so that no controller answers");
            findings.push(Finding::warning(gateway.reference(), "spec.gatewayClassName", message));
        }
        // Listed, so it is there.
        if let Ok(table) = GatewayTable::compile(cluster, &gateway.key()) {
            listeners(&table, &mut findings);
            tables.insert(gateway.key(), table);
        }
    }
    for set in cluster.list::<ListenerSet>() {
        listener_set(&tables, set, &mut findings);
    }
    for route in AnyRoute::all(cluster) {
        route_references(cluster, &tables, route, &mut findings);
    }
    shadows(&tables, &mut findings);
    for policy in cluster.list::<BackendTlsPolicy>() {
        for (i, target) in policy.spec.target_refs.iter().enumerate() {
            let is_service = target.group.is_empty() && target.kind == "Service";
            if is_service && cluster.get::<Service>(policy.namespace(), &target.name).is_none() {
                let message = format!("there is no Service/{}/{}", policy.namespace(), target.name);
                findings.push(Finding::warning(policy.reference(), format!("spec.targetRefs[{i}].name"), message));
            }
        }
    }
    findings
}

/// Listeners: what another owner's is in the way of, kinds that cannot be carried, certificates that cannot be had.
fn listeners(table: &GatewayTable, findings: &mut Vec<Finding>) {
    for RefusedListener { owner, index, fault, .. } in table.refused_listeners() {
        // What an object does to itself is an error of its own.
        if owner.kind == Kind::ListenerSet && fault.conflict_reason().is_some() {
            findings.push(Finding::warning(owner, format!("spec.listeners[{index}]"), fault.to_string()));
        }
    }
    for listener in table.listeners() {
        let at = format!("spec.listeners[{}]", listener.index);
        if listener.has_invalid_kinds {
            let message = format!("a listener for {} cannot carry all of these", listener.protocol);
            findings.push(Finding::warning(&listener.owner, format!("{at}.allowedRoutes.kinds"), message));
        }
        for certificate in listener.tls.iter().flat_map(|tls| &tls.certificates) {
            if let Err(fault) = &certificate.secret
                && fault.namespace().is_some()
            {
                let field = format!("{at}.tls.certificateRefs[{}]", certificate.index);
                findings.push(Finding::warning(&listener.owner, field, fault.to_string()));
            }
        }
    }
}

fn listener_set(tables: &BTreeMap<NamespacedName, GatewayTable>, set: &ListenerSet, findings: &mut Vec<Finding>) {
    let Some(owner) = parent(&set.spec.parent_ref, set.namespace()).filter(|owner| owner.kind == Kind::Gateway) else {
        return;
    };
    let mut warn = |message: String| findings.push(Finding::warning(set.reference(), "spec.parentRef", message));
    match tables.get(&owner.key()) {
        None => warn(format!("there is no {owner}")),
        Some(table) => {
            if table.listeners.sets.iter().any(|(other, admitted)| *other == set.reference() && !admitted) {
                warn(format!("spec.allowedListeners of {owner} does not admit this namespace"));
            }
        }
    }
}

/// What a route refers to: parents that are not there or do not take it, backends and filters that cannot be had.
fn route_references(
    cluster: &Cluster,
    tables: &BTreeMap<NamespacedName, GatewayTable>,
    route: AnyRoute<'_>,
    findings: &mut Vec<Finding>,
) {
    let reference = route.reference();
    let mut warn = |field: String, message: String| findings.push(Finding::warning(&reference, field, message));
    if route.parents().is_empty() {
        warn("spec.parentRefs".to_owned(), "is attached to nothing".to_owned());
    }
    let gateways = gateways_of(cluster, &reference);
    let answered: Vec<_> = gateways.iter().filter_map(|gateway| tables.get(gateway)).collect();
    let parents: Vec<_> = answered.iter().flat_map(|table| table.parents_of(cluster, &reference)).collect();
    for (i, wanted) in route.parents().iter().enumerate() {
        let field = format!("spec.parentRefs[{i}]");
        match parents.iter().find(|parent| parent.index == i) {
            Some(parent) => {
                let accepted = parent.conditions.iter().find(|condition| condition.kind == "Accepted");
                if let Some(why) = accepted.filter(|condition| !condition.is_true()) {
                    warn(field, format!("{} does not take the route: {}", parent.parent, why.message));
                }
            }
            None => {
                // What is of another kind (a mesh's Service) is none of a Gateway's.
                if let Some(owner) = parent(wanted, route.namespace()) {
                    warn(field, format!("there is no {owner}, or it belongs to no Gateway"));
                }
            }
        }
    }
    let states = answered.iter().filter_map(|table| table.routes.get(&reference));
    let mut said = BTreeSet::new();
    for state in states {
        let unresolved = state.compiled.unresolved.iter().map(|(field, why)| (field, why.to_string()));
        let faults = state.compiled.faults.iter().map(|(field, why)| (field, format!("requests fail with 500: {why}")));
        for (field, message) in unresolved.chain(faults) {
            if said.insert(field.clone()) {
                warn(field.clone(), message);
            }
        }
    }
}

/// Matches that never win: wherever they are filed, an earlier one takes the same requests.
fn shadows(tables: &BTreeMap<NamespacedName, GatewayTable>, findings: &mut Vec<Finding>) {
    // For each rule: how many of its entries there are, how many are shadowed, and by whom first.
    let mut rules: BTreeMap<(&ObjectRef, usize), (usize, usize, Option<&RouteRule>)> = BTreeMap::new();
    for table in tables.values() {
        for at in 0..table.listeners().len() {
            for host in table.hosts(at) {
                let mut first: BTreeMap<String, &RouteRule> = BTreeMap::new();
                for found in table.rules(at, host) {
                    let rule: &RouteRule = found.value();
                    let entry = rules.entry((&rule.route, rule.rule)).or_insert((0, 0, None));
                    entry.0 += 1;
                    match first.get(&what_it_takes(found.path(), found.conditions())) {
                        Some(winner) => {
                            entry.1 += 1;
                            entry.2.get_or_insert(winner);
                        }
                        None => drop(first.insert(what_it_takes(found.path(), found.conditions()), rule)),
                    }
                }
            }
        }
    }
    for ((route, rule), (entries, shadowed, winner)) in rules {
        if let Some(winner) = winner.filter(|_| shadowed == entries) {
            let field = format!("spec.rules[{rule}]");
            let message = if winner.route == *route {
                format!("is never reached: rule {} takes the same requests and goes before", winner.rule)
            } else {
                format!(
                    "is never reached: {} rule {} takes the same requests and goes before",
                    winner.route, winner.rule
                )
            };
            findings.push(Finding::warning(route, field, message));
        }
    }
}

/// The requests a match takes, as a text that is equal for equal ones. Conditions hold in any order.
fn what_it_takes(path: &PathPattern, conditions: &[Condition]) -> String {
    let mut texts: Vec<String> = conditions.iter().map(|condition| format!("{condition:?}")).collect();
    texts.sort_unstable();
    format!("{path:?} {texts:?}")
}
