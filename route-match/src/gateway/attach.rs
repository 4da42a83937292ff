//! To which listeners does a route attach, and for which hosts?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use svc_model::api::ParentReference;
use svc_model::{Cluster, Kind, ObjectRef};

use super::listener::{Listener, Listeners};
use super::read::{GROUP, hostname};
use super::route::AnyRoute;
use crate::host_pattern::HostPattern;

/// What came of a parent reference to a Gateway, or to one of its ListenerSets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParentOutcome {
    /// The index in `spec.parentRefs`.
    pub(super) index: usize,
    pub(super) attached: Result<(), Detached>,
}

/// Why a route does not attach by a parent reference; of several listeners the one that came nearest to taking it says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Detached {
    /// No listener has the name and port that the reference asks for.
    NoMatchingParent,
    /// No such listener allows routes of this kind and namespace.
    NotAllowedByListeners,
    /// No such listener is for any of the route's hostnames.
    NoMatchingListenerHostname,
}

impl Detached {
    /// The reason that the route's condition `Accepted` gives.
    pub fn condition_reason(self) -> &'static str {
        match self {
            Self::NoMatchingParent => "NoMatchingParent",
            Self::NotAllowedByListeners => "NotAllowedByListeners",
            Self::NoMatchingListenerHostname => "NoMatchingListenerHostname",
        }
    }
}

impl fmt::Display for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMatchingParent => "no listener has the name and port that the reference asks for",
            Self::NotAllowedByListeners => "no such listener allows routes of this kind and namespace",
            Self::NoMatchingListenerHostname => "no such listener is for any of the route's hostnames",
        })
    }
}

/// How a route stands to a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attachments {
    /// The references to it.
    pub(super) parents: Vec<ParentOutcome>,
    /// By the index of the listener: the hosts under which its rules are filed there.
    pub(super) hosts: BTreeMap<usize, BTreeSet<HostPattern>>,
}

/// The object that a parent reference of a route names, if it is a Gateway or ListenerSet.
pub(super) fn parent(reference: &ParentReference, namespace: &str) -> Option<ObjectRef> {
    let kind = match reference.kind.as_deref().unwrap_or("Gateway") {
        "Gateway" => Kind::Gateway,
        "ListenerSet" => Kind::ListenerSet,
        _ => return None,
    };
    let of_ours = reference.group.as_deref().unwrap_or(GROUP) == GROUP;
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    of_ours.then(|| ObjectRef::new(kind, namespace, reference.name.as_str()))
}

impl Attachments {
    /// How a route stands to the Gateway with these listeners. O(its parent references, and the listeners of their owners).
    pub(super) fn of(cluster: &Cluster, listeners: &Listeners, route: AnyRoute<'_>) -> Self {
        let mut attachments = Self::default();
        let mut hostnames = None;
        for (index, reference) in route.parents().iter().enumerate() {
            let owner = parent(reference, route.namespace());
            let Some(range) = owner.and_then(|owner| listeners.owners.get(&owner)) else { continue };
            let hostnames = hostnames.get_or_insert_with(|| Hostnames::of(route));
            let own = range.clone().zip(&listeners.accepted[range.clone()]);
            let named = own.filter(|(_, listener)| names(reference, listener));
            let attached = attachments.attach(cluster, named, route, hostnames);
            attachments.parents.push(ParentOutcome { index, attached });
        }
        attachments
    }

    /// Attaches a route to those of these listeners that take it.
    fn attach<'l>(
        &mut self,
        cluster: &Cluster,
        listeners: impl Iterator<Item = (usize, &'l Listener)>,
        route: AnyRoute<'_>,
        hostnames: &Hostnames,
    ) -> Result<(), Detached> {
        let mut outcome = Err(Detached::NoMatchingParent);
        for (at, listener) in listeners {
            if !listener.admits(cluster, route.kind(), route.namespace()) {
                outcome = outcome.map_err(|why| why.max(Detached::NotAllowedByListeners));
                continue;
            }
            let hosts: BTreeSet<HostPattern> = hostnames.at(listener).collect();
            if hosts.is_empty() {
                outcome = outcome.map_err(|why| why.max(Detached::NoMatchingListenerHostname));
                continue;
            }
            self.hosts.entry(at).or_default().extend(hosts);
            outcome = Ok(());
        }
        outcome
    }
}

/// Whether a parent reference means a listener of the object that it names.
fn names(reference: &ParentReference, listener: &Listener) -> bool {
    let section = reference.section_name.as_deref().is_none_or(|name| name.is_empty() || *name == *listener.name);
    section && reference.port.is_none_or(|port| port == i64::from(listener.port))
}

/// The hostnames of a route.
struct Hostnames {
    /// Empty with `all` for a route without hostnames; those in error are left out.
    patterns: Vec<HostPattern>,
    all: bool,
    /// Whether matches are filed under what a hostname shares with the listener's, rather than under the hostname itself.
    narrowed: bool,
}

impl Hostnames {
    fn of(route: AnyRoute<'_>) -> Self {
        let texts = route.hostnames();
        Self {
            patterns: texts.iter().filter_map(|text| hostname(text).ok()).collect(),
            all: texts.is_empty(),
            // Of HTTPRoutes the longer own hostname wins, of TLSRoutes the longer one of those shared with the listener.
            narrowed: route.kind() == Kind::TlsRoute,
        }
    }

    fn at<'a>(&'a self, listener: &'a Listener) -> impl Iterator<Item = HostPattern> + 'a {
        let any = self.all.then_some(&HostPattern::Any);
        any.into_iter().chain(&self.patterns).filter_map(move |own| {
            let shared = listener.hosts.intersection(own)?;
            Some(if self.narrowed { shared } else { own }.clone())
        })
    }
}
