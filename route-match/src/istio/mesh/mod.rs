//! What does the proxy beside a workload do with what the workload sends? The mesh as one caller sees it, compiled and kept up to date.

mod claims;
mod decide;
mod domains;
mod http_port;
mod listing;
mod port;
mod streams;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use svc_model::api::{MeshConfig, VirtualService};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource, Touched};

use super::delegate::delegates;
use super::destination::{Hosts, KnownHost};
use super::destination_rule::{Caller, DestinationRules};
use super::destinations::Destinations;
use super::export::{ExportTo, Precedence};
use super::gateway::forget;
use super::matching::Listener;
use super::names::{GatewayName, full_host};
use super::order::Age;
use super::registry::MeshService;
use super::route_table::RouteTable;
use super::rule::{CompiledMatch, HttpRules};
use super::sidecar::{OutboundPolicy, SidecarScope};
use super::stream::StreamRule;
use crate::host_pattern::HostPattern;
use crate::question::Scheme;
use http_port::HttpPort;
use listing::Listing;
use port::{Port, View, serves_http};
use streams::Streams;

pub use decide::{MeshDecision, StreamDecision, StreamReason, StreamTarget};

/// What Istio calls the cluster of what is let through.
pub(crate) const PASSTHROUGH: &str = "PassthroughCluster";

/// The decisions of the proxy beside one workload, or of all workloads of a namespace with equal labels.
///
/// Questions are answered by `&self`; [`update`](Self::update) follows the changes of the cluster. A clone shares the rules, so that
/// readers can keep one while the next is made.
///
/// ```
/// use route_match::istio::{Caller, HttpQuestion, MeshTable, Origin, Scheme};
/// use svc_model::Cluster;
/// use svc_model::api::{MeshConfig, Service, VirtualService};
///
/// let service: Service = serde_json::from_str(
///     r#"{"metadata": {"name": "cart", "namespace": "shop"}, "spec": {"ports": [{"name": "http", "port": 80}]}}"#,
/// )?;
/// let rules: VirtualService = serde_json::from_str(
///     r#"{"metadata": {"name": "cart", "namespace": "shop"}, "spec": {"hosts": ["cart"], "http": [
///         {"match": [{"uri": {"prefix": "/v2"}}], "route": [{"destination": {"host": "cart", "subset": "v2"}}]},
///         {"route": [{"destination": {"host": "cart"}}]}]}}"#,
/// )?;
/// let mut cluster = Cluster::new();
/// cluster.apply(service);
/// cluster.apply(rules);
///
/// let caller = Caller::new("shop", Default::default());
/// let table = MeshTable::compile(&cluster, &MeshConfig::default(), &caller);
/// let decision = table.decide(&HttpQuestion::new(Scheme::Http, "cart", "/v2/items"));
/// let backends = decision.backends().unwrap();
/// assert_eq!(backends.only().unwrap().backend.subset.as_deref(), Some("v2"));
/// assert_eq!(decision.origin().unwrap().to_string(), "VirtualService/shop/cart rule 0");
/// assert_eq!(table.decide(&HttpQuestion::new(Scheme::Http, "example.org", "/")).origin(), Some(&Origin::AllowAny));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MeshTable {
    destinations: Destinations,
    sidecar: Option<ObjectRef>,
    outbound: OutboundPolicy,
    /// The VirtualServices bound to the mesh that the caller's namespace sees.
    bound: BTreeMap<NamespacedName, Bound>,
    listing: Listing,
    /// From a VirtualService without hosts, there or not, to those whose rules hand over to it.
    by_delegate: BTreeMap<NamespacedName, BTreeSet<NamespacedName>>,
    /// From the host of a destination to the VirtualServices that name it.
    by_destination: BTreeMap<Box<str>, BTreeSet<NamespacedName>>,
    ports: BTreeMap<u16, PortTable>,
    seed: u64,
}

/// A VirtualService of the mesh.
#[derive(Clone, Debug, PartialEq)]
struct Bound {
    precedence: Precedence,
    /// Its hosts in full, in lower case, each once.
    hosts: Box<[Box<str>]>,
    /// Which entries of the caller's Sidecar import it.
    imported: Box<[bool]>,
    delegates: BTreeSet<NamespacedName>,
    /// What the hosts of its destinations stand for.
    destinations: BTreeMap<Box<str>, Option<KnownHost>>,
    /// Its `http` rules on the ports where they count.
    compiled: BTreeMap<u16, Arc<[CompiledMatch]>>,
}

/// What happens on a port.
#[derive(Clone, Debug, PartialEq)]
struct PortTable {
    /// The services that the caller sees on it, by host.
    services: BTreeMap<Box<str>, Arc<MeshService>>,
    /// How many of them take requests.
    http_services: usize,
    /// Where anybody on the port takes requests.
    http: Option<HttpPort>,
    streams: Streams,
}

/// A rule for connections, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StreamRow<'t> {
    /// The connections.
    pub to: StreamFor<'t>,
    /// The rule.
    pub rule: &'t StreamRule,
}

/// Connections that one rule takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFor<'t> {
    /// To this address.
    Address(IpAddr),
    /// To this address, with this server name.
    AddressWithName(IpAddr, &'t HostPattern),
    /// To this address, where it lies in the range.
    Range(IpAddr, IpNet),
    /// To an address of this range that no service has to itself.
    Net(IpNet),
    /// With this server name, to such an address.
    Name(&'t HostPattern),
    /// To any other address.
    Rest,
}

impl MeshTable {
    /// Compiles the mesh as a caller sees it. O(n log n) in the services and VirtualServices of the cluster, and for each port the rules
    /// that count on it.
    pub fn compile(cluster: &Cluster, mesh: &MeshConfig, caller: &Caller) -> Self {
        Self::compile_with_seed(cluster, mesh, caller, 0)
    }

    /// The same with the seed of the hash functions: a random number where hosts and paths come from people who might choose them to
    /// collide. No answer depends on it.
    pub fn compile_with_seed(cluster: &Cluster, mesh: &MeshConfig, caller: &Caller, seed: u64) -> Self {
        let mut table = Self {
            destinations: Destinations::new(cluster, mesh, caller),
            sidecar: None,
            outbound: OutboundPolicy::AllowAny,
            bound: BTreeMap::new(),
            listing: Listing::default(),
            by_delegate: BTreeMap::new(),
            by_destination: BTreeMap::new(),
            ports: BTreeMap::new(),
            seed,
        };
        let scope = SidecarScope::of(cluster, mesh, caller);
        table.outbound = scope.outbound;
        table.sidecar = scope.sidecar.map(Resource::reference);
        for object in cluster.list::<VirtualService>() {
            table.rebind(cluster, &scope, &object.key());
        }
        let registry = &table.destinations.registry;
        let (hosts, ports) = (registry.hosts().map(Box::from).collect(), registry.ports().collect());
        let users = table.bound.keys().cloned().collect();
        table.refresh(cluster, &scope, &hosts, &users, ports);
        table
    }

    /// Follows the changes that `touched` tells of; `cluster` is as it is after them. Afterwards the table is what
    /// [`compile`](Self::compile) would make of the cluster, with the same settings of the mesh.
    ///
    /// Costs what is touched: a VirtualService, the services that its hosts stand for or cover, and their domains; a service, its domains, and
    /// the VirtualServices that speak for it or lead to it. Only rules that differ are compiled. Where connections of a port are concerned
    /// that are not read as requests, the listeners of that port are put together anew; a change of a DestinationRule merges all of them
    /// anew, one of a Sidecar compiles everything.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) {
        let of = |kind| touched.objects.iter().filter(move |object| object.kind == kind);
        if of(Kind::Sidecar).next().is_some() {
            *self = Self::compile_with_seed(cluster, &self.destinations.mesh, &self.destinations.caller, self.seed);
            return;
        }
        if of(Kind::DestinationRule).next().is_some() {
            self.destinations.rules = DestinationRules::new(cluster, &self.destinations.mesh);
        }
        let (mesh, caller) = (self.destinations.mesh.clone(), self.destinations.caller.clone());
        let scope = SidecarScope::of(cluster, &mesh, &caller);
        let mut hosts = self.destinations.registry.update(cluster, touched);
        let mut stale: BTreeSet<NamespacedName> = BTreeSet::new();
        for object in of(Kind::VirtualService) {
            let key = object.key();
            stale.extend(self.by_delegate.get(&key).into_iter().flatten().cloned());
            stale.insert(key);
        }
        stale.extend(self.led_elsewhere(&hosts));
        // The services that they spoke for, and those that they speak for now.
        for key in &stale {
            hosts.extend(self.services_of(key));
            self.rebind(cluster, &scope, key);
            hosts.extend(self.services_of(key));
        }
        let mut ports: BTreeSet<u16> = self.ports_of(&hosts).collect();
        if !stale.is_empty() {
            ports.insert(80);
        }
        let overlapping = hosts.iter().flat_map(|host| self.listing.overlapping(host)).cloned();
        let users: BTreeSet<NamespacedName> = overlapping.chain(stale.iter().cloned()).collect();
        self.refresh(cluster, &scope, &hosts, &users, ports);
    }

    /// The VirtualServices for which a destination has become something else, now that these hosts have changed.
    fn led_elsewhere(&self, hosts: &BTreeSet<Box<str>>) -> Vec<NamespacedName> {
        let seen = self.destinations.seen();
        let differs = |key: &&NamespacedName| {
            self.bound.get(*key).is_some_and(|bound| {
                bound.destinations.iter().any(|(host, known)| *known != seen.find(host, &key.namespace))
            })
        };
        let users: BTreeSet<&NamespacedName> = if hosts.iter().any(|host| host.starts_with('*')) {
            self.bound.keys().collect()
        } else {
            let names =
                hosts.iter().flat_map(|host| [&**host].into_iter().chain(self.destinations.registry.aliases_of(host)));
            names.filter_map(|name| self.by_destination.get(name)).flatten().collect()
        };
        users.into_iter().filter(differs).cloned().collect()
    }

    /// The ports on which these hosts are or were served.
    fn ports_of<'t>(&'t self, hosts: &'t BTreeSet<Box<str>>) -> impl Iterator<Item = u16> + 't {
        let were = self.ports.iter().filter(|(_, port)| hosts.iter().any(|host| port.services.contains_key(host)));
        let are = hosts.iter().flat_map(|host| self.destinations.registry.services(host));
        were.map(|(number, _)| *number).chain(are.flat_map(|service| &service.ports).map(|port| port.number))
    }

    /// The hosts of services that those of a VirtualService overlap.
    fn services_of(&self, key: &NamespacedName) -> BTreeSet<Box<str>> {
        let registry = &self.destinations.registry;
        let own = self.bound.get(key).into_iter().flat_map(|bound| &bound.hosts);
        own.flat_map(|host| registry.overlapping(host)).map(Box::from).collect()
    }

    /// Reads a VirtualService anew.
    fn rebind(&mut self, cluster: &Cluster, scope: &SidecarScope<'_>, key: &NamespacedName) {
        if let Some(old) = self.bound.remove(key) {
            self.listing.remove(&old.hosts, &old.precedence);
            forget(&mut self.by_delegate, old.delegates.iter(), key);
            forget(&mut self.by_destination, old.destinations.keys(), key);
        }
        let object = cluster.get::<VirtualService>(&key.namespace, &key.name);
        if let Some(new) = object.and_then(|object| self.bind(cluster, scope, object)) {
            self.listing.insert(&new.hosts, &new.precedence, key);
            for delegate in &new.delegates {
                self.by_delegate.entry(delegate.clone()).or_default().insert(key.clone());
            }
            for host in new.destinations.keys() {
                self.by_destination.entry(host.clone()).or_default().insert(key.clone());
            }
            self.bound.insert(key.clone(), new);
        }
    }

    /// A VirtualService as the caller sees it; `None` for one that is not bound to the mesh, or not exported to the caller.
    fn bind(&self, cluster: &Cluster, scope: &SidecarScope<'_>, object: &VirtualService) -> Option<Bound> {
        let (namespace, spec) = (object.namespace(), &object.spec);
        if spec.hosts.is_empty() || !GatewayName::Mesh.is_in(&spec.gateways, namespace) {
            return None;
        }
        let default = &self.destinations.mesh.default_virtual_service_export_to;
        let list = if spec.export_to.is_empty() { default } else { &spec.export_to };
        let exposure = ExportTo::read(list, namespace).exposure(namespace, &self.destinations.caller.namespace)?;
        let full = spec.hosts.iter().map(|host| full_host(host, namespace).to_ascii_lowercase().into_boxed_str());
        let seen = self.destinations.seen();
        let streams = spec.tcp.iter().map(|rule| &rule.route).chain(spec.tls.iter().map(|rule| &rule.route));
        let streams = streams.flatten().filter_map(|entry| entry.destination.as_ref());
        let streams = streams.map(|destination| full_host(&destination.host, namespace).into());
        let lower = |host: Box<str>| host.to_ascii_lowercase().into_boxed_str();
        let destinations = HttpRules::of(cluster, object).destination_hosts().into_iter().chain(streams);
        Some(Bound {
            precedence: Precedence { exposure, age: Age::of(object) },
            hosts: full.collect::<BTreeSet<Box<str>>>().into_iter().collect(),
            imported: scope.importing(object),
            delegates: delegates(object).collect(),
            destinations: destinations
                .map(lower)
                .map(|host| {
                    let known = seen.find(&host, namespace);
                    (host, known)
                })
                .collect(),
            compiled: BTreeMap::new(),
        })
    }

    /// Makes anew what these services and VirtualServices do on these ports.
    fn refresh(
        &mut self,
        cluster: &Cluster,
        scope: &SidecarScope<'_>,
        hosts: &BTreeSet<Box<str>>,
        users: &BTreeSet<NamespacedName>,
        ports: BTreeSet<u16>,
    ) {
        let view = View { cluster, scope, compiled: RefCell::default(), server_names: RefCell::default() };
        for number in ports {
            let port = self.ports.remove(&number);
            if let Some(port) = self.refreshed(&view, number, port, hosts, users) {
                self.ports.insert(number, port);
            }
        }
        for ((key, number), matches) in view.compiled.into_inner() {
            if let Some(bound) = self.bound.get_mut(&key) {
                bound.compiled.insert(number, matches);
            }
        }
    }

    /// A port, with these services and VirtualServices made anew; `None` if no service is on it any more.
    fn refreshed(
        &self,
        view: &View<'_>,
        number: u16,
        before: Option<PortTable>,
        hosts: &BTreeSet<Box<str>>,
        users: &BTreeSet<NamespacedName>,
    ) -> Option<PortTable> {
        let caller = &self.destinations.caller;
        let empty = || PortTable { services: BTreeMap::new(), http_services: 0, http: None, streams: Streams::new() };
        let PortTable { mut services, mut http_services, http, mut streams } = before.unwrap_or_else(empty);
        let imports = view.scope.on_port(number);
        let is_here = |service: &MeshService| service.port(number).is_some() && imports.service(service);
        let mut concerned: Vec<&Box<str>> = Vec::new();
        for host in hosts {
            let new = self.destinations.registry.seen(host, &caller.namespace, is_here).cloned();
            let takes_http = |service: &Arc<MeshService>| usize::from(serves_http(service, number));
            http_services += new.as_ref().map_or(0, takes_http);
            let is_known = new.is_some();
            let old = match new {
                Some(service) => services.insert(host.clone(), service),
                None => services.remove(host),
            };
            http_services -= old.as_ref().map_or(0, takes_http);
            if is_known || old.is_some() {
                concerned.push(host);
            }
        }
        if services.is_empty() {
            return None;
        }
        let gateway = GatewayName::Mesh;
        let listener = Listener {
            gateway: &gateway,
            port: number,
            scheme: Scheme::Http,
            namespace: &caller.namespace,
            labels: &caller.labels,
        };
        let port = Port { number, services: &services, table: self, view, listener };
        let http = (http_services > 0).then(|| match http {
            Some(mut http) => {
                http.refresh(&port, concerned.iter().copied(), users);
                http
            }
            // The first that takes requests makes all rules count.
            None => {
                let mut http = HttpPort::new(number, self.outbound, self.seed);
                http.refresh(&port, services.keys(), self.bound.keys());
                http
            }
        });
        streams.refresh(&port, concerned, self.seed);
        Some(PortTable { services, http_services, http, streams })
    }

    /// The services and DestinationRules, as the caller finds them.
    pub fn destinations(&self) -> &Destinations {
        &self.destinations
    }

    /// The Sidecar that says what the caller sees, if one applies.
    pub fn sidecar(&self) -> Option<&ObjectRef> {
        self.sidecar.as_ref()
    }

    /// What becomes of destinations that nobody knows.
    pub fn outbound_policy(&self) -> OutboundPolicy {
        self.outbound
    }

    /// The ports that anybody serves, in order.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().copied()
    }

    /// The virtual hosts of a port, if requests are read on it.
    pub fn virtual_hosts(&self, port: u16) -> Option<&RouteTable> {
        self.ports.get(&port)?.http.as_ref().map(HttpPort::table)
    }

    /// The rules for connections of a port that are not read as requests, in a fixed order.
    pub fn streams(&self, port: u16) -> Vec<StreamRow<'_>> {
        self.ports.get(&port).map(|port| port.streams.rows()).unwrap_or_default()
    }
}

/// Equal when they answer every question alike, for the same reasons.
impl PartialEq for MeshTable {
    fn eq(&self, other: &Self) -> bool {
        (&self.destinations, &self.sidecar, self.outbound) == (&other.destinations, &other.sidecar, other.outbound)
            && self.ports == other.ports
    }
}
