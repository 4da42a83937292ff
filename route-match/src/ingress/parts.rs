//! Which Ingresses have a part in which host, and which objects in which Ingress?

use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::Ingress;
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource};

use crate::host_pattern::{HostPattern, WildcardDepth};

use super::backend::BackendRef;
use super::class::{Dialect, Place, Selection};
use super::{nginx, read};

/// What follows from which object, so that a change is followed where it leads and nowhere else.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    ingresses: BTreeMap<NamespacedName, Part>,
    /// The Ingresses of each host, in their order.
    hosts: BTreeMap<HostPattern, BTreeMap<Place, NamespacedName>>,
    /// The Ingresses that name a Service or ConfigMap.
    named: BTreeMap<ObjectRef, BTreeSet<NamespacedName>>,
    /// How many entries of `spec.tls` list a host.
    certified: BTreeMap<HostPattern, usize>,
    /// The hosts that are listed and were not, or the other way round.
    certified_changed: BTreeSet<HostPattern>,
}

/// What one Ingress has a part in.
#[derive(Clone, Debug)]
struct Part {
    place: Place,
    hosts: BTreeSet<HostPattern>,
    named: BTreeSet<ObjectRef>,
    certified: Vec<HostPattern>,
}

impl Parts {
    /// Takes an Ingress in.
    pub(super) fn put(&mut self, selection: &Selection, ingress: &Ingress) {
        let key = ingress.key();
        let part = Part::of(selection, ingress);
        for host in &part.hosts {
            self.hosts.entry(host.clone()).or_default().insert(part.place.clone(), key.clone());
        }
        for object in &part.named {
            self.named.entry(object.clone()).or_default().insert(key.clone());
        }
        for host in &part.certified {
            let count = self.certified.entry(host.clone()).or_default();
            *count += 1;
            if *count == 1 {
                toggle(&mut self.certified_changed, host);
            }
        }
        self.ingresses.insert(key, part);
    }

    /// Takes an Ingress out.
    pub(super) fn take(&mut self, ingress: &NamespacedName) {
        let Some(part) = self.ingresses.remove(ingress) else { return };
        for host in &part.hosts {
            if let Some(ingresses) = self.hosts.get_mut(host) {
                ingresses.remove(&part.place);
                if ingresses.is_empty() {
                    self.hosts.remove(host);
                }
            }
        }
        for object in &part.named {
            if let Some(ingresses) = self.named.get_mut(object) {
                ingresses.remove(ingress);
                if ingresses.is_empty() {
                    self.named.remove(object);
                }
            }
        }
        for host in &part.certified {
            if let Some(count) = self.certified.get_mut(host) {
                *count -= 1;
                if *count == 0 {
                    self.certified.remove(host);
                    toggle(&mut self.certified_changed, host);
                }
            }
        }
    }

    /// The hosts that some Ingress names.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.hosts.keys()
    }

    /// The hosts that an Ingress has a part in.
    pub(super) fn hosts_of(&self, ingress: &NamespacedName) -> impl Iterator<Item = &HostPattern> {
        self.ingresses.get(ingress).into_iter().flat_map(|part| &part.hosts)
    }

    /// The Ingresses that name a Service or ConfigMap.
    pub(super) fn naming(&self, object: &ObjectRef) -> impl Iterator<Item = &NamespacedName> {
        self.named.get(object).into_iter().flatten()
    }

    /// The Ingresses with a part in a host, in their order.
    pub(super) fn of_host<'c>(&self, cluster: &'c Cluster, host: &HostPattern) -> impl Iterator<Item = &'c Ingress> {
        let names = self.hosts.get(host).into_iter().flat_map(BTreeMap::values);
        names.filter_map(|name| cluster.get(&name.namespace, &name.name))
    }

    /// Whether the hosts that some `spec.tls` lists are others than when this was last asked.
    pub(super) fn take_certified_changed(&mut self) -> bool {
        !std::mem::take(&mut self.certified_changed).is_empty()
    }

    /// The hosts that some `spec.tls` lists.
    pub(super) fn certified(&self) -> impl ExactSizeIterator<Item = &HostPattern> {
        self.certified.keys()
    }
}

fn toggle(hosts: &mut BTreeSet<HostPattern>, host: &HostPattern) {
    if !hosts.remove(host) {
        hosts.insert(host.clone());
    }
}

impl Part {
    fn of(selection: &Selection, ingress: &Ingress) -> Self {
        let spec = &ingress.spec;
        let rules = spec.rules.iter().flat_map(|rule| &rule.http).flat_map(|http| &http.paths);
        let backends = rules.map(|path| BackendRef::of(&path.backend)).chain(BackendRef::default_of(ingress));
        let service = |name: &str| ObjectRef::new(Kind::Service, ingress.namespace(), name);
        let mut named: BTreeSet<ObjectRef> = backends
            .filter_map(|backend| match backend {
                BackendRef::Service(name, _) => Some(service(name)),
                BackendRef::Resource | BackendRef::Invalid => None,
            })
            .collect();
        if selection.dialect == Dialect::Nginx {
            let annotation = |key| nginx::annotation(ingress, &selection.flags.annotations_prefix, key).map(str::trim);
            named.extend(annotation("default-backend").map(service));
            let map = annotation("custom-headers").and_then(|name| name.split_once('/'));
            named.extend(map.map(|(namespace, name)| ObjectRef::new(Kind::ConfigMap, namespace, name)));
        }
        let mut hosts: BTreeSet<HostPattern> =
            spec.rules.iter().filter_map(|rule| read::rule_host(rule).ok()).collect();
        if BackendRef::default_of(ingress).is_some() {
            // Without rules it is that of all hosts or the catch-all; as a canary it joins the catch-all.
            hosts.insert(HostPattern::Any);
        }
        // A missing or unusable Secret means the default certificate. An entry without hosts lists none.
        let listed = spec.tls.iter().flat_map(|tls| &tls.hosts);
        let certified = listed.filter_map(|host| HostPattern::parse(host, WildcardDepth::One).ok());
        let certified = certified.filter(|host| *host != HostPattern::Any).collect();
        Self { place: selection.place(ingress), hosts, named, certified }
    }
}
