//! What does a controller report of a Gateway and its routes? Conditions, as the Gateway API words them.

use std::fmt;

use svc_model::api::{self, GatewayClass};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef};

use super::attach::parent;
use super::listener::{Listener, ListenerFault};
use super::route::AnyRoute;
use super::table::{GatewayTable, RouteState};

/// A condition of an object, of one of its listeners, or of a route at one of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condition {
    /// What it is about: `Accepted`, `Programmed`, `ResolvedRefs`, `Conflicted`, `PartiallyInvalid`.
    pub kind: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The API's word for why.
    pub reason: &'static str,
    /// Words for people.
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody says.
    Unknown,
}

/// What is reported of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayStatus {
    /// The Gateway.
    pub gateway: ObjectRef,
    /// `Accepted` and `Programmed`.
    pub conditions: Vec<Condition>,
    /// Its listeners, and those of its ListenerSets, in the order of their owners.
    pub listeners: Vec<ListenerStatus>,
    /// The ListenerSets that name it, and whether it lets them in.
    pub listener_sets: Vec<(ObjectRef, bool)>,
}

/// What is reported of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStatus {
    /// Whose it is.
    pub owner: ObjectRef,
    /// Its name.
    pub name: Box<str>,
    /// The kinds of route it takes.
    pub supported_kinds: Vec<Kind>,
    /// How many routes are attached.
    pub attached_routes: usize,
    /// `Accepted`, `ResolvedRefs`, `Programmed` and `Conflicted`.
    pub conditions: Vec<Condition>,
}

/// What is reported of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteStatus {
    /// The route.
    pub route: ObjectRef,
    /// For each parent reference that a Gateway answers for.
    pub parents: Vec<ParentStatus>,
    /// The parent references that nothing answers for: the index in `spec.parentRefs`, and the object, where it is of a known kind.
    pub orphans: Vec<(usize, Option<ObjectRef>)>,
}

/// What is reported of a route at one of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentStatus {
    /// The index in `spec.parentRefs`.
    pub index: usize,
    /// The Gateway or ListenerSet.
    pub parent: ObjectRef,
    /// The listener that is named, if one is.
    pub section: Option<Box<str>>,
    /// The port that is named, if one is.
    pub port: Option<i64>,
    /// The listeners it is attached to, by name, all references to the Gateway together.
    pub attached: Vec<Box<str>>,
    /// `Accepted`, `ResolvedRefs`, and `PartiallyInvalid` where some rules work and others do not.
    pub conditions: Vec<Condition>,
}

impl Condition {
    fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        let status = if holds { ConditionStatus::True } else { ConditionStatus::False };
        Self { kind, status, reason, message: message.into() }
    }

    /// Whether it holds.
    pub fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.kind, self.status, self.reason)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl GatewayTable {
    /// What a controller reports of the Gateway and its listeners. O(routes + listeners).
    pub fn status(&self, cluster: &Cluster) -> GatewayStatus {
        let counts = self.attached_routes();
        let accepted = self.listeners().iter().zip(counts);
        let mut listeners: Vec<(usize, ListenerStatus)> =
            accepted.map(|(l, count)| (l.index, sound(l, count))).collect();
        listeners.extend(self.refused_listeners().iter().map(|refused| {
            let conditions = refused_conditions(&refused.fault);
            let status = ListenerStatus {
                owner: refused.owner.clone(),
                name: refused.name.clone(),
                supported_kinds: Vec::new(),
                attached_routes: 0,
                conditions,
            };
            (refused.index, status)
        }));
        listeners.sort_by(|(i, a), (j, b)| (a.owner.kind, &a.owner, i).cmp(&(b.owner.kind, &b.owner, j)));
        GatewayStatus {
            gateway: self.gateway().clone(),
            conditions: self.conditions(cluster),
            listeners: listeners.into_iter().map(|(_, status)| status).collect(),
            listener_sets: self.listeners.sets.clone(),
        }
    }

    fn conditions(&self, cluster: &Cluster) -> Vec<Condition> {
        let gateway = self.gateway();
        let object = cluster.get::<api::Gateway>(&gateway.namespace, &gateway.name);
        let class = object.map(|object| object.spec.gateway_class_name.as_str()).unwrap_or_default();
        if cluster.get::<GatewayClass>("", class).is_none() {
            let unknown = |kind| Condition {
                kind,
                status: ConditionStatus::Unknown,
                reason: "Pending",
                message: format!("there is no GatewayClass/{class}, so that no controller answers"),
            };
            return vec![unknown("Accepted"), unknown("Programmed")];
        }
        let own_refused = self.refused_listeners().iter().any(|refused| refused.owner == *gateway);
        let any = self.listeners().iter().any(is_programmed);
        let accepted = match (own_refused, self.listeners().is_empty()) {
            (_, true) => Condition::new("Accepted", false, "ListenersNotValid", "no listener is valid"),
            (true, _) => Condition::new("Accepted", true, "ListenersNotValid", "some listeners are not valid"),
            _ => Condition::new("Accepted", true, "Accepted", ""),
        };
        let programmed = match any {
            true => Condition::new("Programmed", true, "Programmed", ""),
            false => Condition::new("Programmed", false, "Invalid", "no listener can take connections"),
        };
        vec![accepted, programmed]
    }

    /// What a controller reports of a route that names this Gateway or one of its ListenerSets; empty for any other.
    pub fn parents_of(&self, cluster: &Cluster, route: &ObjectRef) -> Vec<ParentStatus> {
        let (Some(state), Some(object)) = (self.routes.get(route), AnyRoute::of(cluster, route)) else {
            return Vec::new();
        };
        let names = |at: &usize| self.listeners()[*at].name.clone();
        let attached: Vec<Box<str>> = state.attachments.hosts.keys().map(names).collect();
        let parents = state.attachments.parents.iter().filter_map(|outcome| {
            let reference = object.parents().get(outcome.index)?;
            let accepted = match outcome.attached {
                Err(why) => Condition::new("Accepted", false, why.condition_reason(), why.to_string()),
                Ok(()) => accepted(state),
            };
            let mut conditions = vec![accepted, resolved(state)];
            if let Some((field, why)) = state.compiled.faults.first()
                && state.compiled.sound_rules > 0
            {
                let message = format!("{field}: {why}");
                conditions.push(Condition::new("PartiallyInvalid", true, "UnsupportedValue", message));
            }
            Some(ParentStatus {
                index: outcome.index,
                parent: parent(reference, object.namespace())?,
                section: reference.section_name.as_deref().map(Into::into),
                port: reference.port,
                attached: attached.clone(),
                conditions,
            })
        });
        parents.collect()
    }
}

fn accepted(state: &RouteState) -> Condition {
    match state.compiled.faults.first() {
        Some((field, why)) if state.compiled.sound_rules == 0 => {
            Condition::new("Accepted", false, "UnsupportedValue", format!("{field}: {why}"))
        }
        _ => Condition::new("Accepted", true, "Accepted", ""),
    }
}

fn resolved(state: &RouteState) -> Condition {
    match state.compiled.unresolved.first() {
        Some((field, why)) => Condition::new("ResolvedRefs", false, why.condition_reason(), format!("{field}: {why}")),
        None => Condition::new("ResolvedRefs", true, "ResolvedRefs", ""),
    }
}

/// Whether a listener can take connections: one that ends TLS needs a certificate.
fn is_programmed(listener: &Listener) -> bool {
    use super::ListenerProtocol::{Https, Tls};
    let ends_tls = matches!(listener.protocol, Https | Tls) && !listener.is_passthrough();
    !ends_tls || listener.secrets().next().is_some()
}

fn sound(listener: &Listener, attached_routes: usize) -> ListenerStatus {
    let mut faults = listener.tls.iter().flat_map(|tls| &tls.certificates).filter_map(|c| c.secret.as_ref().err());
    let resolved = match faults.next() {
        Some(fault) => Condition::new("ResolvedRefs", false, fault.condition_reason(), fault.to_string()),
        None if listener.has_invalid_kinds => {
            let message = format!("allowedRoutes.kinds names what {} cannot carry", listener.protocol);
            Condition::new("ResolvedRefs", false, "InvalidRouteKinds", message)
        }
        None => Condition::new("ResolvedRefs", true, "ResolvedRefs", ""),
    };
    let programmed = match is_programmed(listener) {
        true => Condition::new("Programmed", true, "Programmed", ""),
        false => Condition::new("Programmed", false, "Invalid", "no certificate can be used"),
    };
    ListenerStatus {
        owner: listener.owner.clone(),
        name: listener.name.clone(),
        supported_kinds: listener.kinds.clone(),
        attached_routes,
        conditions: vec![
            Condition::new("Accepted", true, "Accepted", ""),
            resolved,
            programmed,
            Condition::new("Conflicted", false, "NoConflicts", ""),
        ],
    }
}

fn refused_conditions(fault: &ListenerFault) -> Vec<Condition> {
    let message = fault.to_string();
    let conflicted = match fault.conflict_reason() {
        Some(reason) => Condition::new("Conflicted", true, reason, message.clone()),
        None => Condition::new("Conflicted", false, "NoConflicts", ""),
    };
    let reason = match fault {
        ListenerFault::Protocol(_) => "UnsupportedProtocol",
        ListenerFault::Port(_) => "PortUnavailable",
        _ => fault.conflict_reason().unwrap_or("Invalid"),
    };
    vec![
        Condition::new("Accepted", false, reason, message.clone()),
        Condition::new("Programmed", false, "Invalid", message),
        conflicted,
    ]
}

/// The Gateways that a route's parent references lead to, directly or by a ListenerSet, each once.
pub fn gateways_of(cluster: &Cluster, route: &ObjectRef) -> Vec<NamespacedName> {
    let mut gateways: Vec<NamespacedName> = Vec::new();
    for reference in AnyRoute::of(cluster, route).into_iter().flat_map(AnyRoute::parents) {
        let gateway = parent(reference, &route.namespace).and_then(|owner| gateway_behind(cluster, &owner));
        gateways.extend(gateway.filter(|gateway| !gateways.contains(gateway)));
    }
    gateways
}

/// The Gateway that an owner of listeners is, or belongs to; `None` if there is none.
fn gateway_behind(cluster: &Cluster, owner: &ObjectRef) -> Option<NamespacedName> {
    let gateway = if owner.kind == Kind::ListenerSet {
        let set = cluster.get::<api::ListenerSet>(&owner.namespace, &owner.name)?;
        let parent = parent(&set.spec.parent_ref, &owner.namespace)?;
        (parent.kind == Kind::Gateway).then(|| parent.key())?
    } else {
        owner.key()
    };
    cluster.get::<api::Gateway>(&gateway.namespace, &gateway.name).map(|_| gateway)
}

/// What controllers report of a route, over all Gateways it names; `tables` has each of [`gateways_of`]. `None` for an object that is no
/// route, or is not there.
pub fn route_status<'t>(
    cluster: &Cluster,
    route: &ObjectRef,
    tables: impl IntoIterator<Item = &'t GatewayTable>,
) -> Option<RouteStatus> {
    let object = AnyRoute::of(cluster, route)?;
    let mut parents: Vec<ParentStatus> =
        tables.into_iter().flat_map(|table| table.parents_of(cluster, route)).collect();
    parents.sort_by_key(|parent| parent.index);
    let answered = |index: &usize| parents.iter().any(|parent| parent.index == *index);
    let orphans = object.parents().iter().enumerate().filter(|(index, _)| !answered(index));
    let orphans = orphans.map(|(index, reference)| (index, parent(reference, object.namespace()))).collect();
    Some(RouteStatus { route: route.clone(), parents, orphans })
}
