//! What does one Gateway do? Its listeners, each with a router of the routes attached there, compiled and kept up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_model::api;
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource, Touched};

use super::attach::{Attachments, parent};
use super::backend::{Resolver, knows_endpoints};
use super::listener::{Listener, ListenerProtocol, Listeners, RefusedListener};
use super::route::{AnyRoute, CompiledRoute, Precedence, ROUTE_KINDS, RouteRule};
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::host_table::HostTable;
use crate::report::listed;
use crate::router::{HostSearch, Match, Router, RouterBuilder};
use crate::rule::Rule;

/// The decisions of one Gateway, compiled from a cluster.
///
/// Questions are answered by `&self`; [`update`](Self::update) follows the changes of the cluster at the cost of what they touch.
/// A clone shares the rules, so that readers can keep one while the next is made.
#[derive(Clone, Debug)]
pub struct GatewayTable {
    pub(super) gateway: ObjectRef,
    pub(super) listeners: Listeners,
    /// For each accepted listener, its routes.
    attached: Vec<Attached>,
    /// For each port and protocol, the listeners by host.
    ports: BTreeMap<(u16, ListenerProtocol), HostTable<usize>>,
    /// Every route that names the Gateway or one of its ListenerSets.
    pub(super) routes: BTreeMap<ObjectRef, RouteState>,
    /// From a Service, there or not, to the routes that refer to it.
    by_service: BTreeMap<NamespacedName, BTreeSet<ObjectRef>>,
    /// Whether endpoints are looked at.
    knows_endpoints: bool,
    seed: u64,
}

/// The routes of one listener.
#[derive(Clone, Debug)]
struct Attached {
    router: Router<Arc<RouteRule>>,
    /// From a host to the routes that have rules for it.
    routes: BTreeMap<HostPattern, BTreeSet<ObjectRef>>,
}

/// A route that names the Gateway.
#[derive(Clone, Debug)]
pub(super) struct RouteState {
    pub(super) attachments: Attachments,
    pub(super) compiled: Arc<CompiledRoute>,
}

/// The cluster has no Gateway of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Gateway {name}; there is {}", listed(.known))]
pub struct UnknownGateway {
    /// The name that was asked for.
    pub name: NamespacedName,
    /// The Gateways there are; the first 16.
    pub known: Vec<NamespacedName>,
}

impl GatewayTable {
    /// Compiles a Gateway. O(n log n) in the routes of the cluster, and the endpoints of the Services that attached ones refer to.
    ///
    /// # Errors
    /// [`UnknownGateway`] when there is none of this name.
    pub fn compile(cluster: &Cluster, gateway: &NamespacedName) -> Result<Self, UnknownGateway> {
        Self::compile_with_seed(cluster, gateway, 0)
    }

    /// The same with the seed of the hash functions: a random number where hosts and paths come from people who might choose them to
    /// collide. No answer depends on it.
    ///
    /// # Errors
    /// [`UnknownGateway`] when there is none of this name.
    pub fn compile_with_seed(cluster: &Cluster, gateway: &NamespacedName, seed: u64) -> Result<Self, UnknownGateway> {
        let Some(object) = cluster.get::<api::Gateway>(&gateway.namespace, &gateway.name) else {
            let known = cluster.list::<api::Gateway>().take(16).map(Resource::key).collect();
            return Err(UnknownGateway { name: gateway.clone(), known });
        };
        let listeners = Listeners::of(cluster, object);
        let mut ports: BTreeMap<(u16, ListenerProtocol), Vec<(HostPattern, usize)>> = BTreeMap::new();
        for (at, listener) in listeners.accepted.iter().enumerate() {
            ports.entry((listener.port, listener.protocol)).or_default().push((listener.hosts.clone(), at));
        }
        let mut table = Self {
            gateway: object.reference(),
            attached: Vec::new(),
            ports: ports.into_iter().map(|(port, hosts)| (port, HostTable::with_seed(seed, hosts))).collect(),
            listeners,
            routes: BTreeMap::new(),
            by_service: BTreeMap::new(),
            knows_endpoints: knows_endpoints(cluster),
            seed,
        };
        let resolver = Resolver::new(cluster);
        let mut routes = vec![BTreeMap::<HostPattern, BTreeSet<ObjectRef>>::new(); table.listeners.accepted.len()];
        for route in AnyRoute::all(cluster) {
            if let Some(state) = table.state(cluster, &resolver, route) {
                let reference = route.reference();
                for (at, host) in filed(&state) {
                    routes[at].entry(host.clone()).or_default().insert(reference.clone());
                }
                table.insert(reference, state);
            }
        }
        table.attached = routes
            .into_iter()
            .map(|routes| {
                let mut builder = RouterBuilder::new();
                builder.host_search(HostSearch::Widen).hash_seed(seed);
                for (host, references) in &routes {
                    for rule in table.rules_of(references) {
                        builder.rule(host.clone(), rule);
                    }
                }
                Attached { router: builder.build(), routes }
            })
            .collect();
        Ok(table)
    }

    /// Follows the changes that `touched` tells of; `cluster` is as it is after them. Afterwards the table is what
    /// [`compile`](Self::compile) would make of the cluster.
    ///
    /// Costs the routes and hosts that are touched: a route, its own hosts; a Service, the routes that refer to it. A change of the Gateway,
    /// of one of its ListenerSets or of what these refer to compiles it anew.
    ///
    /// # Errors
    /// [`UnknownGateway`] when the Gateway is gone; the table then is as it was.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> Result<(), UnknownGateway> {
        let key = self.gateway.key();
        let object = cluster.get::<api::Gateway>(&key.namespace, &key.name);
        if knows_endpoints(cluster) != self.knows_endpoints
            || self.concerns_listeners(touched)
                && object.is_none_or(|object| Listeners::of(cluster, object) != self.listeners)
        {
            *self = Self::compile_with_seed(cluster, &key, self.seed)?;
            return Ok(());
        }
        let mut stale: BTreeSet<ObjectRef> = BTreeSet::new();
        for object in &touched.objects {
            match object.kind {
                kind if ROUTE_KINDS.contains(&kind) => drop(stale.insert(object.clone())),
                // Labels of a namespace decide which of its routes may attach.
                Kind::Namespace => {
                    stale.extend(self.routes.keys().filter(|route| *route.namespace == *object.name).cloned());
                }
                // What may be referred to in a namespace, and how it is dialled.
                Kind::ReferenceGrant | Kind::BackendTlsPolicy | Kind::ConfigMap => {
                    let from = NamespacedName::new(object.namespace.clone(), "");
                    let here = self.by_service.range(from..).take_while(|(key, _)| key.namespace == object.namespace);
                    stale.extend(here.flat_map(|(_, routes)| routes).cloned());
                }
                _ => {}
            }
        }
        if touched.all_services {
            stale.extend(self.routes.keys().cloned());
        } else {
            stale.extend(touched.services.iter().filter_map(|service| self.by_service.get(service)).flatten().cloned());
        }
        self.refresh(cluster, stale);
        Ok(())
    }

    /// Whether a change may bear on the listeners themselves.
    fn concerns_listeners(&self, touched: &Touched) -> bool {
        let owns_certificate = |namespace: &str| {
            let tls = self.listeners.accepted.iter().filter_map(|listener| listener.tls.as_ref());
            tls.flat_map(|tls| &tls.certificates).any(|certificate| match &certificate.secret {
                Ok(secret) => *secret.namespace == *namespace,
                Err(fault) => fault.namespace().is_some_and(|other| *other == *namespace),
            })
        };
        touched.objects.iter().any(|object| match object.kind {
            Kind::Gateway => *object == self.gateway,
            Kind::ListenerSet => true,
            Kind::Secret | Kind::ReferenceGrant => owns_certificate(&object.namespace),
            Kind::Namespace => self.listeners.sets_by_label,
            _ => false,
        })
    }

    /// Makes routes anew, and the rules of the hosts that they are or were filed under.
    fn refresh(&mut self, cluster: &Cluster, stale: BTreeSet<ObjectRef>) {
        let resolver = Resolver::new(cluster);
        let mut hosts: BTreeSet<(usize, HostPattern)> = BTreeSet::new();
        for reference in stale {
            if let Some(old) = self.routes.remove(&reference) {
                for service in &old.compiled.services {
                    if let Some(routes) = self.by_service.get_mut(service) {
                        routes.remove(&reference);
                        if routes.is_empty() {
                            self.by_service.remove(service);
                        }
                    }
                }
                for (at, host) in filed(&old) {
                    if let Some(routes) = self.attached[at].routes.get_mut(host) {
                        routes.remove(&reference);
                    }
                    hosts.insert((at, host.clone()));
                }
            }
            let route = AnyRoute::of(cluster, &reference);
            if let Some(state) = route.and_then(|route| self.state(cluster, &resolver, route)) {
                for (at, host) in filed(&state) {
                    self.attached[at].routes.entry(host.clone()).or_default().insert(reference.clone());
                    hosts.insert((at, host.clone()));
                }
                self.insert(reference, state);
            }
        }
        for (at, host) in hosts {
            let references = self.attached[at].routes.get(&host).filter(|routes| !routes.is_empty());
            match references.map(|references| self.rules_of(references).collect::<Vec<_>>()) {
                Some(rules) if !rules.is_empty() => self.attached[at].router.replace_host(host, rules),
                rules => {
                    if rules.is_none() {
                        self.attached[at].routes.remove(&host);
                    }
                    self.attached[at].router.remove_host(&host);
                }
            }
        }
    }

    /// How a route stands to this Gateway; `None` if it does not name it.
    fn state(&self, cluster: &Cluster, resolver: &Resolver<'_>, route: AnyRoute<'_>) -> Option<RouteState> {
        // Most routes of a cluster may be of other Gateways.
        let mut parents = route.parents().iter().filter_map(|reference| parent(reference, route.namespace()));
        if !parents.any(|parent| self.listeners.owners.contains_key(&parent)) {
            return None;
        }
        let attachments = Attachments::of(cluster, &self.listeners, route);
        Some(RouteState { attachments, compiled: Arc::new(route.compile(resolver)) })
    }

    fn insert(&mut self, reference: ObjectRef, state: RouteState) {
        for service in &state.compiled.services {
            self.by_service.entry(service.clone()).or_default().insert(reference.clone());
        }
        self.routes.insert(reference, state);
    }

    /// The rules of these routes.
    fn rules_of<'t>(
        &'t self,
        references: &'t BTreeSet<ObjectRef>,
    ) -> impl Iterator<Item = Rule<Precedence, Arc<RouteRule>>> + 't {
        let states = references.iter().filter_map(|reference| self.routes.get(reference));
        states.flat_map(|state| state.compiled.matches.iter().map(|found| found.rule()))
    }

    /// The Gateway.
    pub fn gateway(&self) -> &ObjectRef {
        &self.gateway
    }

    /// The listeners that take part: the Gateway's own in their order, then those of its ListenerSets.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners.accepted
    }

    /// The listeners that do not, and why.
    pub fn refused_listeners(&self) -> &[RefusedListener] {
        &self.listeners.refused
    }

    /// The hosts that the rules of a listener are filed under, from most to least specific. `listener` is an index into
    /// [`listeners`](Self::listeners); beyond it there are none.
    pub fn hosts(&self, listener: usize) -> impl Iterator<Item = &HostPattern> {
        self.attached.get(listener).into_iter().flat_map(|attached| attached.router.hosts())
    }

    /// The rules of a listener for exactly this host pattern, the one that goes first first: what a driver renders.
    pub fn rules<'t>(&'t self, listener: usize, host: &HostPattern) -> impl Iterator<Item = Match<'t, Arc<RouteRule>>> {
        self.attached.get(listener).into_iter().flat_map(move |attached| attached.router.rules(host))
    }

    /// The router of the listener of this index.
    pub(super) fn router(&self, at: usize) -> &Router<Arc<RouteRule>> {
        &self.attached[at].router
    }

    /// The listener of these protocols that takes connections to this host: that of the most specific hostname, which is the only one
    /// asked; of equal ones the first. With its index.
    pub(super) fn choose(
        &self,
        port: u16,
        protocols: &[ListenerProtocol],
        host: Option<&Host>,
    ) -> Option<(usize, &Listener)> {
        let tables = protocols.iter().filter_map(|protocol| self.ports.get(&(port, *protocol)));
        let (_, at) = tables.filter_map(|hosts| hosts.matches(host).next()).min()?;
        Some((*at, &self.listeners.accepted[*at]))
    }

    /// Whether any listener of this port speaks one of these.
    pub(super) fn listens(&self, port: u16, protocols: &[ListenerProtocol]) -> bool {
        protocols.iter().any(|protocol| self.ports.contains_key(&(port, *protocol)))
    }

    /// How many routes are attached to each accepted listener.
    pub(super) fn attached_routes(&self) -> Vec<usize> {
        let mut counts = vec![0; self.listeners.accepted.len()];
        for at in self.routes.values().flat_map(|state| state.attachments.hosts.keys()) {
            counts[*at] += 1;
        }
        counts
    }
}

/// The listeners and hosts that the rules of a route are filed under.
fn filed(state: &RouteState) -> impl Iterator<Item = (usize, &HostPattern)> {
    let hosts = state.attachments.hosts.iter();
    // A route without any rule that can match has nothing to file.
    let hosts = hosts.filter(|_| !state.compiled.matches.is_empty());
    hosts.flat_map(|(at, hosts)| hosts.iter().map(|host| (*at, host)))
}
