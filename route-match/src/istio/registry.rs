//! Which services does the mesh know? Kubernetes Services and the hosts of ServiceEntries, in one form.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use svc_model::addr::{parse_cidr, parse_ip};
use svc_model::api::{MeshConfig, Service, ServiceEntry};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource, Touched, endpoints};

use super::destination::{Hosts, KnownHost};
use super::export::ExportTo;
use super::names::{covers, service_host};
use super::order::Age;
use super::protocol::PortProtocol;

/// The annotation that is a Service's `exportTo`; names are separated by commas.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// A service of the mesh: a Kubernetes Service, or one host of a ServiceEntry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MeshService {
    /// Its name: that of the cluster's zone, or as the ServiceEntry has it, perhaps a wildcard.
    pub host: Box<str>,
    /// The Service or ServiceEntry.
    pub source: ObjectRef,
    /// The ports that a proxy can take; those of datagrams are left out.
    pub ports: Box<[MeshPort]>,
    /// The addresses and ranges that stand for it; none for a headless Service.
    pub addresses: Box<[IpNet]>,
    /// Where its endpoints come from.
    pub resolution: Resolution,
    /// Whether it lies outside the mesh (`MESH_EXTERNAL`).
    pub external: bool,
    export: ExportTo,
    age: Age,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MeshPort {
    /// Its number.
    pub number: u16,
    /// Its name; may be empty.
    pub name: Box<str>,
    /// What is spoken on it.
    pub protocol: PortProtocol,
}

/// Where the endpoints of a service come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// From Kubernetes, behind the addresses of the Service.
    Kubernetes,
    /// From Kubernetes: a headless Service, whose clients know these addresses.
    Headless(Box<[IpAddr]>),
    /// From the client: connections go to the address that it used (`NONE`).
    Original,
    /// From the ServiceEntry, or the workloads that it selects (`STATIC`).
    Static,
    /// From DNS, by the names of the endpoints or the host itself (`DNS`, `DNS_ROUND_ROBIN`).
    Dns,
    /// From DNS, by the name that each client asks for below a wildcard (`DYNAMIC_DNS`).
    DynamicDns,
}

impl MeshService {
    /// The namespace of the Service or ServiceEntry.
    pub fn namespace(&self) -> &str {
        &self.source.namespace
    }

    /// The port of this number.
    pub fn port(&self, number: u16) -> Option<&MeshPort> {
        self.ports.iter().find(|port| port.number == number)
    }

    /// Its port, if it has exactly one.
    pub fn only_port(&self) -> Option<u16> {
        match &*self.ports {
            [port] => Some(port.number),
            _ => None,
        }
    }

    /// Whether callers of this namespace see it.
    pub fn is_seen_from(&self, namespace: &str) -> bool {
        self.export.reaches(namespace)
    }

    /// Whether it is a Service whose clients are told the addresses of its endpoints.
    pub fn is_headless(&self) -> bool {
        matches!(self.resolution, Resolution::Headless(_))
    }

    /// The single addresses that stand for it.
    pub fn single_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let single = |net: &&IpNet| net.prefix_len() == net.max_prefix_len();
        self.addresses.iter().filter(single).map(IpNet::addr)
    }

    /// The order among services of one host: Services first, since no ServiceEntry may take the name of one; then the older.
    fn precedence(&self) -> (bool, &Age) {
        (self.source.kind != Kind::Service, &self.age)
    }

    /// The order among services that want the same address: the older first.
    pub(crate) fn seniority(&self) -> (&Age, &str) {
        (&self.age, &self.host)
    }
}

/// The services of a mesh, by host.
///
/// Follows a cluster by [`update`](Self::update), at the cost of what a change touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Those of one host in their order.
    by_host: BTreeMap<Box<str>, Vec<Arc<MeshService>>>,
    /// The hosts spelt backwards, so that those below a suffix lie together.
    backwards: BTreeSet<Box<str>>,
    /// The hosts of the services that have a port of this number.
    by_port: BTreeMap<u16, BTreeSet<Box<str>>>,
    /// The hosts of each Service and ServiceEntry.
    hosts_of: BTreeMap<ObjectRef, Box<[Box<str>]>>,
    /// From the host of an ExternalName Service to the host that it stands for.
    aliases: BTreeMap<Box<str>, Box<str>>,
    /// The other way.
    aliases_of: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    default_export: Vec<String>,
}

impl Registry {
    /// The services of a cluster. O(n log n), and the endpoints of headless Services.
    pub fn new(cluster: &Cluster, mesh: &MeshConfig) -> Self {
        let mut registry = Self { default_export: mesh.default_service_export_to.clone(), ..Self::default() };
        for service in cluster.list::<Service>() {
            registry.insert(service.reference(), registry.of_service(cluster, service));
        }
        for entry in cluster.list::<ServiceEntry>() {
            registry.insert(entry.reference(), registry.of_entry(entry));
        }
        registry
    }

    /// Follows the changes that `touched` tells of, and says which hosts they concern.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> BTreeSet<Box<str>> {
        let of_service = |key: &NamespacedName| ObjectRef::new(Kind::Service, &*key.namespace, &*key.name);
        let entries = touched.objects.iter().filter(|object| object.kind == Kind::ServiceEntry).cloned();
        let mut stale: BTreeSet<ObjectRef> = touched.services.iter().map(of_service).chain(entries).collect();
        if touched.all_services {
            stale.extend(cluster.list::<Service>().map(Resource::reference));
            stale.extend(self.hosts_of.keys().filter(|object| object.kind == Kind::Service).cloned());
        }
        let mut changed = BTreeSet::new();
        for object in stale {
            let read = match object.kind {
                Kind::Service => {
                    let service = cluster.get::<Service>(&object.namespace, &object.name);
                    service.map(|service| self.of_service(cluster, service))
                }
                _ => {
                    let entry = cluster.get::<ServiceEntry>(&object.namespace, &object.name);
                    entry.map(|entry| self.of_entry(entry))
                }
            };
            if self.read(&object) == read {
                continue;
            }
            changed.extend(self.remove(&object));
            if let Some(read) = read {
                changed.extend(self.insert(object, read));
            }
        }
        changed
    }

    /// The services of a host, those that go first before others.
    pub fn services(&self, host: &str) -> &[Arc<MeshService>] {
        self.by_host.get(host).map(Vec::as_slice).unwrap_or_default()
    }

    /// The hosts, in order.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.by_host.keys().map(|host| &**host)
    }

    /// The hosts that are wildcards, in order.
    pub fn wildcards(&self) -> impl Iterator<Item = &str> {
        // The next letter after the star is a plus.
        self.by_host.range(Box::from("*")..Box::from("+")).map(|(host, _)| &**host)
    }

    /// The hosts of the services that have a port of this number, in order.
    pub fn hosts_on(&self, port: u16) -> impl Iterator<Item = &str> {
        self.by_port.get(&port).into_iter().flatten().map(|host| &**host)
    }

    /// The numbers of all ports, in order.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.by_port.keys().copied()
    }

    /// The hosts that a name, perhaps a wildcard, covers. Costs as much as there are, and a logarithm.
    pub fn covered_by<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r str> {
        let (from, to) = match name.strip_prefix('*') {
            // Every host that ends so begins so backwards.
            Some(suffix) => (backwards(suffix), None),
            None => (String::new(), self.by_host.get_key_value(name).map(|(host, _)| &**host)),
        };
        let is_wildcard = name.starts_with('*');
        let scan = is_wildcard.then(|| {
            let start = from.clone().into_boxed_str();
            let found = self.backwards.range(start..).take_while(move |host| host.starts_with(&from));
            found.filter_map(|host| self.by_host.get_key_value(&*backwards(host)).map(|(host, _)| &**host))
        });
        let own = name.to_owned();
        scan.into_iter().flatten().filter(move |host| covers(&own, host)).chain(to)
    }

    /// The hosts that overlap a name: those that it covers, and the wildcards that cover it. Costs as much as there are wildcards beside.
    pub fn overlapping<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r str> {
        self.covered_by(name).chain(self.wildcards().filter(move |wildcard| covers(wildcard, name)))
    }

    /// The service of exactly this host that callers of a namespace see and that `is` one: of their own namespace, else the first.
    pub fn seen(&self, host: &str, namespace: &str, is: impl Fn(&MeshService) -> bool) -> Option<&Arc<MeshService>> {
        let mut seen = self.services(host).iter().filter(|service| service.is_seen_from(namespace) && is(service));
        let first = seen.clone().next()?;
        Some(seen.find(|service| service.namespace() == namespace).unwrap_or(first))
    }

    /// The names of the ExternalName Services that lead to this host, directly or through one another.
    pub fn aliases_of(&self, host: &str) -> BTreeSet<&str> {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![host];
        while let Some(host) = open.pop() {
            for alias in self.aliases_of.get(host).into_iter().flatten() {
                if found.insert(alias) {
                    open.push(alias);
                }
            }
        }
        found
    }

    /// The host that an ExternalName Service stands for in the end; the host itself if it is none.
    pub fn resolved<'r>(&'r self, host: &'r str) -> &'r str {
        let mut at = host;
        // A circle ends when every alias has been met.
        for _ in 0..self.aliases.len() {
            match self.aliases.get(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }

    fn insert(&mut self, object: ObjectRef, read: Read) -> BTreeSet<Box<str>> {
        let mut changed = BTreeSet::new();
        match read {
            Read::Services(services) => {
                let hosts: BTreeSet<Box<str>> = services.iter().map(|service| service.host.clone()).collect();
                for service in services {
                    self.backwards.insert(backwards(&service.host).into());
                    for port in &service.ports {
                        self.by_port.entry(port.number).or_default().insert(service.host.clone());
                    }
                    let there = self.by_host.entry(service.host.clone()).or_default();
                    let at = there.partition_point(|other| other.precedence() < service.precedence());
                    there.insert(at, Arc::new(service));
                }
                self.hosts_of.insert(object, hosts.iter().cloned().collect());
                changed.extend(hosts);
            }
            Read::Alias { host, target } => {
                self.aliases_of.entry(target.clone()).or_default().insert(host.clone());
                self.aliases.insert(host.clone(), target);
                changed.insert(self.resolved(&host).into());
                changed.insert(host);
            }
        }
        changed
    }

    fn remove(&mut self, object: &ObjectRef) -> BTreeSet<Box<str>> {
        let mut changed = BTreeSet::new();
        for host in self.hosts_of.remove(object).unwrap_or_default() {
            if let Some(there) = self.by_host.get_mut(&host) {
                let own = there.iter().filter(|service| service.source == *object);
                let ports: Vec<u16> = own.flat_map(|service| &service.ports).map(|port| port.number).collect();
                there.retain(|service| service.source != *object);
                for port in ports.into_iter().filter(|port| there.iter().all(|other| other.port(*port).is_none())) {
                    if let Some(hosts) = self.by_port.get_mut(&port) {
                        hosts.remove(&host);
                        if hosts.is_empty() {
                            self.by_port.remove(&port);
                        }
                    }
                }
                if there.is_empty() {
                    self.by_host.remove(&host);
                    self.backwards.remove(&*backwards(&host));
                }
            }
            changed.insert(host);
        }
        let host = alias_host(object);
        if object.kind == Kind::Service
            && let Some(target) = self.aliases.get(&host).cloned()
        {
            changed.insert(self.resolved(&host).into());
            self.aliases.remove(&host);
            if let Some(aliases) = self.aliases_of.get_mut(&target) {
                aliases.remove(&host);
                if aliases.is_empty() {
                    self.aliases_of.remove(&target);
                }
            }
            changed.insert(host);
        }
        changed
    }

    /// What is known of an object.
    fn read(&self, object: &ObjectRef) -> Option<Read> {
        if let Some(hosts) = self.hosts_of.get(object) {
            let services = hosts.iter().flat_map(|host| self.services(host));
            let own = services.filter(|service| service.source == *object);
            return Some(Read::Services(own.map(|service| MeshService::clone(service)).collect()));
        }
        let host = alias_host(object);
        let target = self.aliases.get(&host).filter(|_| object.kind == Kind::Service)?.clone();
        Some(Read::Alias { host, target })
    }

    fn of_service(&self, cluster: &Cluster, service: &Service) -> Read {
        let host: Box<str> = service_host(service.namespace(), service.name()).into();
        if service.spec.is_external_name() {
            let target = service.spec.external_name.trim_end_matches('.').to_ascii_lowercase();
            return Read::Alias { host, target: target.into() };
        }
        let resolution = if service.spec.is_headless() {
            let found = endpoints::of(cluster, service);
            let addrs = found.sets.iter().flat_map(|set| &set.endpoints).map(|endpoint| endpoint.addr);
            Resolution::Headless(addrs.collect::<BTreeSet<IpAddr>>().into_iter().collect())
        } else {
            Resolution::Kubernetes
        };
        let port = |port: &svc_model::api::ServicePort| {
            Some(MeshPort {
                number: number(port.port)?,
                name: port.name.as_str().into(),
                protocol: PortProtocol::of_service_port(port)?,
            })
        };
        let written = service.metadata.annotations.get(EXPORT_TO);
        let names = written.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect());
        Read::Services(vec![MeshService {
            host,
            source: service.reference(),
            ports: of_streams(service.spec.ports.iter().filter_map(port)),
            addresses: service
                .spec
                .written_cluster_ips()
                .filter_map(|text| parse_ip(text).ok())
                .map(IpNet::from)
                .collect(),
            resolution,
            external: false,
            export: self.export(names.unwrap_or_default(), service.namespace()),
            age: Age::of(service),
        }])
    }

    fn of_entry(&self, entry: &ServiceEntry) -> Read {
        let spec = &entry.spec;
        let port = |port: &svc_model::api::IstioPort| {
            let protocol = port.protocol.parse().unwrap_or(PortProtocol::Detected);
            Some(MeshPort { number: number(port.number)?, name: port.name.as_str().into(), protocol })
        };
        let net = |text: &String| parse_cidr(text).or_else(|_| parse_ip(text).map(IpNet::from)).ok();
        let resolution = match spec.resolution.as_str() {
            "STATIC" => Resolution::Static,
            "DNS" | "DNS_ROUND_ROBIN" => Resolution::Dns,
            "DYNAMIC_DNS" => Resolution::DynamicDns,
            _ => Resolution::Original,
        };
        let of_host = |host: &str| MeshService {
            host: host.into(),
            source: entry.reference(),
            ports: of_streams(spec.ports.iter().filter_map(port)),
            addresses: spec.addresses.iter().filter_map(net).map(|net| net.trunc()).collect(),
            resolution: resolution.clone(),
            external: spec.location != "MESH_INTERNAL",
            export: self.export(spec.export_to.clone(), entry.namespace()),
            age: Age::of(entry),
        };
        let hosts: BTreeSet<String> = spec.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Read::Services(hosts.iter().filter(|host| !host.is_empty() && *host != "*").map(|host| of_host(host)).collect())
    }

    fn export(&self, written: Vec<String>, namespace: &str) -> ExportTo {
        let list = if written.is_empty() { &self.default_export } else { &written };
        ExportTo::read(list, namespace)
    }
}

/// What an object is to the registry.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Services(Vec<MeshService>),
    /// An ExternalName Service is but another name of what it leads to.
    Alias {
        host: Box<str>,
        target: Box<str>,
    },
}

/// The registry as callers of one namespace see it.
#[derive(Clone, Copy, Debug)]
pub struct SeenFrom<'r> {
    /// The services.
    pub registry: &'r Registry,
    /// The namespace of the caller.
    pub namespace: &'r str,
}

impl<'r> SeenFrom<'r> {
    /// The service that a destination in an object of `rule_namespace` means: that of the host, else of the longest wildcard above it; of several
    /// that of the object's namespace, else of the caller's, else the first.
    pub fn service(&self, host: &str, rule_namespace: &str) -> Option<&'r Arc<MeshService>> {
        let host = host.to_ascii_lowercase();
        let host = self.registry.resolved(&host);
        let find = |name: &str| {
            let own = self.registry.services(name).iter().filter(|service| service.is_seen_from(self.namespace));
            let own = own.clone().find(|service| service.namespace() == rule_namespace);
            own.or_else(|| self.registry.seen(name, self.namespace, |_| true))
        };
        let dots = host.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at);
        find(host).or_else(|| dots.into_iter().find_map(|at| find(&format!("*{}", &host[at..]))))
    }
}

impl Hosts for SeenFrom<'_> {
    fn find(&self, host: &str, namespace: &str) -> Option<KnownHost> {
        let service = self.service(host, namespace)?;
        Some(KnownHost { service: service.source.clone(), only_port: service.only_port() })
    }
}

/// The ports, without those of datagrams; of a number given twice the first.
fn of_streams(ports: impl Iterator<Item = MeshPort>) -> Box<[MeshPort]> {
    let mut numbers = BTreeSet::new();
    ports.filter(|port| port.protocol != PortProtocol::Udp && numbers.insert(port.number)).collect()
}

fn number(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number != 0)
}

fn backwards(host: &str) -> String {
    host.chars().rev().collect()
}

/// The host that an object would have as an ExternalName Service.
fn alias_host(object: &ObjectRef) -> Box<str> {
    service_host(&object.namespace, &object.name).into()
}
