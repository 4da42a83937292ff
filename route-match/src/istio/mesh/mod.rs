//! What does the proxy beside a workload do with what the workload sends? The mesh as one caller sees it, compiled and kept up to date.

mod decide;
mod domains;
mod plan;
mod streams;

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
use super::names::{GatewayName, full_host, overlaps};
use super::order::Age;
use super::registry::MeshService;
use super::route_table::RouteTable;
use super::rule::{CompiledMatch, HttpRules};
use super::sidecar::{OutboundPolicy, SidecarScope};
use super::stream::StreamRule;
use crate::host_pattern::HostPattern;
use crate::question::Scheme;
use plan::{Listed, Listing, Port, VirtualHost};
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
    /// Its hosts in full, in lower case.
    hosts: Box<[Box<str>]>,
    delegates: BTreeSet<NamespacedName>,
    /// What the hosts of its destinations stand for.
    destinations: BTreeMap<Box<str>, Option<KnownHost>>,
    /// Its `http` rules on the ports where they count.
    compiled: BTreeMap<u16, Arc<[CompiledMatch]>>,
}

/// What happens on a port.
#[derive(Clone, Debug)]
struct PortTable {
    /// Where anybody on the port takes requests.
    http: Option<HttpPort>,
    streams: Streams,
    /// The hosts of the services on it.
    hosts: BTreeSet<Box<str>>,
}

#[derive(Clone, Debug)]
struct HttpPort {
    table: RouteTable,
    /// The rules of each domain.
    claims: BTreeMap<HostPattern, Arc<[CompiledMatch]>>,
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

/// What is read of a cluster before ports are made.
struct View<'c> {
    cluster: &'c Cluster,
    scope: SidecarScope<'c>,
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
            by_delegate: BTreeMap::new(),
            by_destination: BTreeMap::new(),
            ports: BTreeMap::new(),
            seed,
        };
        for object in cluster.list::<VirtualService>() {
            table.rebind(cluster, &object.key());
        }
        let ports = table.destinations.registry.ports().collect();
        table.rebuild(cluster, ports);
        table
    }

    /// Follows the changes that `touched` tells of; `cluster` is as it is after them. Afterwards the table is what
    /// [`compile`](Self::compile) would make of the cluster, with the same settings of the mesh.
    ///
    /// Costs the ports that are touched: of a service its own, of a VirtualService those of the services that it speaks for, and 80. On them the
    /// domains are gone through, and the rules of those that differ made anew. A change of a Sidecar makes every port anew; of a
    /// DestinationRule, none.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) {
        let of = |kind| touched.objects.iter().filter(move |object| object.kind == kind);
        if of(Kind::Sidecar).next().is_some() {
            *self = Self::compile_with_seed(cluster, &self.destinations.mesh, &self.destinations.caller, self.seed);
            return;
        }
        if of(Kind::DestinationRule).next().is_some() {
            self.destinations.rules = DestinationRules::new(cluster, &self.destinations.mesh);
        }
        let hosts = self.destinations.registry.update(cluster, touched);
        let mut stale: BTreeSet<NamespacedName> = BTreeSet::new();
        for object in of(Kind::VirtualService) {
            let key = object.key();
            stale.extend(self.by_delegate.get(&key).into_iter().flatten().cloned());
            stale.insert(key);
        }
        stale.extend(self.led_elsewhere(&hosts));
        // The ports of what was and of what is.
        let mut ports: BTreeSet<u16> = self.ports_of(&hosts).collect();
        for key in stale {
            ports.extend(self.ports_spoken_for(&key));
            self.rebind(cluster, &key);
            ports.extend(self.ports_spoken_for(&key));
        }
        self.rebuild(cluster, ports);
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
        let were = self.ports.iter().filter(|(_, port)| hosts.iter().any(|host| port.hosts.contains(host)));
        let are =
            hosts.iter().flat_map(|host| self.destinations.registry.services(host)).flat_map(|service| &service.ports);
        were.map(|(number, _)| *number).chain(are.map(|port| port.number))
    }

    /// The ports on which a VirtualService may count: those of the services that its hosts overlap, and 80.
    fn ports_spoken_for(&self, key: &NamespacedName) -> BTreeSet<u16> {
        let Some(bound) = self.bound.get(key) else { return BTreeSet::new() };
        let overlap = |host: &&str| bound.hosts.iter().any(|own| overlaps(own, host));
        let exact = bound.hosts.iter().all(|host| !host.starts_with('*'));
        let mut ports: BTreeSet<u16> = BTreeSet::from([80]);
        let mut add = |host: &str| {
            ports.extend(
                self.destinations
                    .registry
                    .services(host)
                    .iter()
                    .flat_map(|service| &service.ports)
                    .map(|port| port.number),
            );
        };
        if exact {
            bound.hosts.iter().for_each(|host| add(host));
            self.destinations.registry.wildcards().filter(overlap).for_each(&mut add);
        } else {
            self.destinations.registry.hosts().filter(overlap).for_each(&mut add);
        }
        ports
    }

    /// Reads a VirtualService anew.
    fn rebind(&mut self, cluster: &Cluster, key: &NamespacedName) {
        if let Some(old) = self.bound.remove(key) {
            forget(&mut self.by_delegate, old.delegates.iter(), key);
            forget(&mut self.by_destination, old.destinations.keys(), key);
        }
        let object = cluster.get::<VirtualService>(&key.namespace, &key.name);
        if let Some(new) = object.and_then(|object| self.bind(cluster, object)) {
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
    fn bind(&self, cluster: &Cluster, object: &VirtualService) -> Option<Bound> {
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
            hosts: full.collect(),
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

    /// Makes these ports anew, where something of them differs.
    fn rebuild(&mut self, cluster: &Cluster, ports: BTreeSet<u16>) {
        if ports.is_empty() {
            return;
        }
        let (mesh, caller) = (self.destinations.mesh.clone(), self.destinations.caller.clone());
        let scope = SidecarScope::of(cluster, &mesh, &caller);
        self.outbound = scope.outbound;
        self.sidecar = scope.sidecar.map(Resource::reference);
        let view = View { cluster, scope };
        let mut made = Vec::new();
        let mut compiled: BTreeMap<(NamespacedName, u16), Arc<[CompiledMatch]>> = BTreeMap::new();
        // What is seen is the same on all ports, unless the Sidecar says otherwise.
        let listing = (!view.scope.differs_by_port()).then(|| self.listing(&view, 0));
        for number in ports {
            let own = listing.is_none().then(|| self.listing(&view, number));
            let Some(listing) = listing.as_ref().or(own.as_ref()) else { continue };
            made.push((number, self.make(&view, number, listing, &mut compiled)));
        }
        drop(listing);
        for (number, port) in made {
            match port {
                Some(port) => drop(self.ports.insert(number, port)),
                None => drop(self.ports.remove(&number)),
            }
        }
        for ((key, number), matches) in compiled {
            if let Some(bound) = self.bound.get_mut(&key) {
                bound.compiled.insert(number, matches);
            }
        }
    }

    /// The VirtualServices that count on a port.
    fn listing<'c>(&'c self, view: &View<'c>, number: u16) -> Listing<'c> {
        let imports = view.scope.on_port(number);
        let listed = self.bound.iter().filter_map(|(key, bound)| {
            let object = view.cluster.get::<VirtualService>(&key.namespace, &key.name)?;
            let listed = Listed { object, key, precedence: &bound.precedence, hosts: &bound.hosts };
            imports.rules(object).then_some(listed)
        });
        Listing::new(listed.collect())
    }

    /// Makes a port; `None` if no service is on it.
    fn make<'c>(
        &'c self,
        view: &View<'c>,
        number: u16,
        listing: &Listing<'c>,
        compiled: &mut BTreeMap<(NamespacedName, u16), Arc<[CompiledMatch]>>,
    ) -> Option<PortTable> {
        let imports = view.scope.on_port(number);
        let namespace = &*self.destinations.caller.namespace;
        let is_here = |service: &MeshService| service.port(number).is_some() && imports.service(service);
        let services: BTreeMap<&str, &Arc<MeshService>> = self
            .destinations
            .registry
            .hosts_on(number)
            .filter_map(|host| Some((host, self.destinations.registry.seen(host, namespace, is_here)?)))
            .collect();
        if services.is_empty() {
            return None;
        }
        let port = Port {
            number,
            services: &services,
            listing,
            registry: &self.destinations.registry,
            namespace,
            outbound: self.outbound,
        };
        let gateway = GatewayName::Mesh;
        let listener = Listener {
            gateway: &gateway,
            port: number,
            scheme: Scheme::Http,
            namespace,
            labels: &self.destinations.caller.labels,
        };
        let seen = self.destinations.seen();
        let before = self.ports.get(&number);
        let http = port.takes_http().then(|| {
            let virtual_hosts = port.virtual_hosts(|listed| {
                let known = self.bound.get(listed.key).and_then(|bound| bound.compiled.get(&number));
                let matches = known
                    .cloned()
                    .unwrap_or_else(|| HttpRules::of(view.cluster, listed.object).compile(listener, &seen).into());
                compiled.insert((listed.key.clone(), number), matches.clone());
                matches
            });
            HttpPort::new(virtual_hosts, before.and_then(|port| port.http.as_ref()), self.seed)
        });
        let streams = Streams::of(&port, listener, &seen, self.seed);
        Some(PortTable { http, streams, hosts: services.keys().map(|host| Box::from(*host)).collect() })
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
        self.ports.get(&port)?.http.as_ref().map(|http| &http.table)
    }

    /// The rules for connections of a port that are not read as requests, in a fixed order.
    pub fn streams(&self, port: u16) -> Vec<StreamRow<'_>> {
        self.ports.get(&port).map(|port| port.streams.rows()).unwrap_or_default()
    }
}

impl HttpPort {
    /// The table of these virtual hosts; what is as it was `before` is taken over.
    fn new(virtual_hosts: Vec<VirtualHost>, before: Option<&Self>, seed: u64) -> Self {
        let mut claims: BTreeMap<HostPattern, Arc<[CompiledMatch]>> = BTreeMap::new();
        for VirtualHost { domains, matches } in &virtual_hosts {
            for domain in domains {
                claims.entry(domain.clone()).or_insert_with(|| matches.clone());
            }
        }
        let Some(before) = before else {
            let hosts = virtual_hosts.into_iter().map(|host| (host.domains, host.matches.to_vec()));
            return Self { table: RouteTable::new(seed, hosts), claims };
        };
        let mut table = before.table.clone();
        let gone = before.claims.keys().filter(|domain| !claims.contains_key(domain)).cloned();
        let mut changes: Vec<(Vec<HostPattern>, Option<Vec<CompiledMatch>>)> = Vec::new();
        changes.extend(gone.map(|domain| (vec![domain], None)));
        for VirtualHost { domains, matches } in virtual_hosts {
            let differs = |domain: &HostPattern| {
                let is_own = claims.get(domain).is_some_and(|claimed| Arc::ptr_eq(claimed, &matches));
                is_own && before.claims.get(domain) != Some(&matches)
            };
            let changed: Vec<HostPattern> = domains.into_iter().filter(differs).collect();
            if !changed.is_empty() {
                changes.push((changed, Some(matches.to_vec())));
            }
        }
        table.update(changes);
        Self { table, claims }
    }
}

/// Equal when they answer every question alike, for the same reasons.
impl PartialEq for MeshTable {
    fn eq(&self, other: &Self) -> bool {
        let ports = |table: &Self| table.ports.keys().copied().collect::<Vec<_>>();
        let alike = |number: &u16| {
            let (one, two) = (&self.ports[number], &other.ports[number]);
            let claims = |port: &PortTable| port.http.as_ref().map(|http| http.claims.clone());
            claims(one) == claims(two) && one.streams == two.streams
        };
        (&self.destinations, &self.sidecar, self.outbound) == (&other.destinations, &other.sidecar, other.outbound)
            && ports(self) == ports(other)
            && self.ports.keys().all(alike)
    }
}
