//! Where does a route lead? A host, what it stands for, and a port.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use svc_model::api::{IstioDestination, Service, ServiceEntry};
use svc_model::{Cluster, NamespacedName, ObjectRef, Resource};

use super::names::{full_host, service_of};
use super::order::Age;

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Destination {
    /// The host, in full.
    pub host: Box<str>,
    /// The Service or ServiceEntry that it stands for; `None` if nobody knows it, which is 503 for this share of the requests.
    pub service: Option<ObjectRef>,
    /// The subset of its endpoints; whether a DestinationRule defines it is not judged here.
    pub subset: Option<Box<str>>,
    /// The port.
    pub port: u16,
}

impl Destination {
    /// A host that nobody need know.
    pub fn new(host: &str, service: Option<ObjectRef>, subset: Option<&str>, port: u16) -> Self {
        Self { host: host.into(), service, subset: subset.map(Into::into), port }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => service.fmt(f)?,
            None => write!(f, "Host/{}", self.host)?,
        }
        if let Some(subset) = &self.subset {
            write!(f, " subset {subset}")?;
        }
        write!(f, " port {}", self.port)
    }
}

/// What is known under a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHost {
    /// The Service or ServiceEntry.
    pub service: ObjectRef,
    /// Its port, if it has exactly one.
    pub only_port: Option<u16>,
}

/// Those who know what hosts of destinations stand for.
pub trait Hosts {
    /// What a full host stands for in a rule of an object of `namespace`, where a service of that namespace goes first.
    fn find(&self, host: &str, namespace: &str) -> Option<KnownHost>;
}

/// Which port a destination means that names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImpliedPort {
    /// The only one of its service, else that of the listener: at gateways, and for `tcp` and `tls` rules.
    OfService(u16),
    /// That of the listener: `http` rules in sidecars.
    OfListener(u16),
}

/// Reads a destination of an object of `namespace`; `None` for one that admission refuses.
pub(crate) fn read(
    destination: &IstioDestination,
    namespace: &str,
    hosts: &dyn Hosts,
    implied: ImpliedPort,
) -> Option<Destination> {
    let host = full_host(&destination.host, namespace);
    if host.is_empty() || host == "*" {
        return None;
    }
    let known = hosts.find(&host, namespace);
    let only_port = known.as_ref().and_then(|known| known.only_port);
    let port = match (&destination.port, implied) {
        (Some(port), _) => u16::try_from(port.number).ok().filter(|number| *number != 0)?,
        (None, ImpliedPort::OfService(own)) => only_port.unwrap_or(own),
        (None, ImpliedPort::OfListener(own)) => own,
    };
    let subset = Some(&*destination.subset).filter(|subset| !subset.is_empty());
    Some(Destination::new(&host, known.map(|known| known.service), subset, port))
}

/// The hosts of ServiceEntries.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntryHosts {
    /// From a host, exact or a wildcard, to the entries that have it, the oldest first.
    by_host: BTreeMap<Box<str>, BTreeSet<Age>>,
    /// What each entry was filed under.
    filed: BTreeMap<NamespacedName, Filed>,
}

/// The age of an entry, and its hosts.
type Filed = (Age, Box<[Box<str>]>);

impl EntryHosts {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let mut hosts = Self::default();
        for entry in cluster.list::<ServiceEntry>() {
            hosts.file(entry);
        }
        hosts
    }

    fn file(&mut self, entry: &ServiceEntry) {
        let age = Age::of(entry);
        let hosts: Box<[Box<str>]> = entry.spec.hosts.iter().map(|host| host.as_str().into()).collect();
        for host in &hosts {
            self.by_host.entry(host.clone()).or_default().insert(age.clone());
        }
        self.filed.insert(entry.key(), (age, hosts));
    }

    /// Follows a change of this entry; `changed` learns its hosts, those it had and those it has.
    pub(crate) fn update(&mut self, cluster: &Cluster, entry: &NamespacedName, changed: &mut BTreeSet<Box<str>>) {
        if let Some((age, hosts)) = self.filed.remove(entry) {
            for host in hosts {
                if let Some(ages) = self.by_host.get_mut(&host) {
                    ages.remove(&age);
                    if ages.is_empty() {
                        self.by_host.remove(&host);
                    }
                }
                changed.insert(host);
            }
        }
        if let Some(entry) = cluster.get::<ServiceEntry>(&entry.namespace, &entry.name) {
            self.file(entry);
            changed.extend(entry.spec.hosts.iter().map(|host| host.as_str().into()));
        }
    }

    /// The entry for a host: of the same name, else of the longest wildcard above it; of several that of this namespace, else the
    /// oldest.
    fn find(&self, host: &str, namespace: &str) -> Option<&Age> {
        let above = host.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| format!("*{}", &host[at..]));
        let ages = self.by_host.get(host).or_else(|| above.into_iter().find_map(|name| self.by_host.get(&*name)))?;
        ages.iter().find(|age| age.namespace() == namespace).or_else(|| ages.first())
    }

    /// Whether an entry of this namespace has exactly this host.
    fn has_own(&self, host: &str, namespace: &str) -> bool {
        self.by_host.get(host).is_some_and(|ages| ages.iter().any(|age| age.namespace() == namespace))
    }
}

/// The Services and ServiceEntries of a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterHosts<'c> {
    pub(crate) cluster: &'c Cluster,
    pub(crate) entries: &'c EntryHosts,
}

impl Hosts for ClusterHosts<'_> {
    fn find(&self, host: &str, namespace: &str) -> Option<KnownHost> {
        let service = service_of(host).and_then(|(namespace, name)| self.cluster.get::<Service>(namespace, name));
        if let Some(service) = service
            && (service.namespace() == namespace || !self.entries.has_own(host, namespace))
        {
            let only_port = only(service.spec.ports.iter().map(|port| port.port));
            return Some(KnownHost { service: service.reference(), only_port });
        }
        let entry = self.entries.find(host, namespace)?.key();
        let entry = self.cluster.get::<ServiceEntry>(&entry.namespace, &entry.name)?;
        Some(KnownHost { service: entry.reference(), only_port: only(entry.spec.ports.iter().map(|port| port.number)) })
    }
}

/// The only one of these ports.
fn only(mut ports: impl Iterator<Item = i64>) -> Option<u16> {
    let first = ports.next()?;
    if ports.next().is_some() {
        return None;
    }
    u16::try_from(first).ok().filter(|port| *port != 0)
}
