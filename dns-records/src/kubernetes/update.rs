//! How does a zone follow its cluster? By compiling anew what was touched, and nothing else.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use svc_model::api::{Pod, Service as ServiceObject};
use svc_model::check::Finding;
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource, Touched};

use super::build::{Compiled, Unserved, compile, taken};
use super::pointers::{ByAddress, Pointer};
use super::service::{Addresses, Content, Head, Service};
use super::settings::{PodMode, ZoneSettings};
use super::trie::Ranked;
use super::zone::{NameServers, Zone};

impl Zone {
    /// Brings the zone up to date with its cluster, of which these were touched since, and says whether an answer can
    /// differ: then the serial has to move ([`set_serial`](Zone::set_serial)). A change of a Pod that alters no record moves
    /// nothing.
    ///
    /// Costs O(touched Services, their endpoints and ports) and O(log n) to find each, whatever else is in the zone; clones
    /// made before keep their answers. A changed Corefile, kubelet configuration or ServiceCIDR costs what building does. A
    /// zone made by [`Zone::new`] keeps the settings it was given, other zones follow those of the cluster.
    ///
    /// ```
    /// use dns_records::kubernetes::Zone;
    /// use dns_records::{Name, Question, Rcode, RecordType};
    /// use svc_model::{Cluster, api::Service};
    ///
    /// let mut cluster = Cluster::new();
    /// let mut zone = Zone::of(&cluster);
    /// let reader = zone.clone();
    ///
    /// let mut cart = Service::default();
    /// cart.metadata.name = "cart".into();
    /// cart.spec.cluster_ips.push("10.0.0.1".into());
    /// let change = cluster.apply(cart);
    /// assert!(zone.update(&cluster, &change.touched));
    /// zone.set_serial(2);
    ///
    /// let name: Name = "cart.default.svc.cluster.local".parse()?;
    /// let rcode = |zone: &Zone| zone.answer(Question::new(&name, RecordType::A)).rcode;
    /// assert_eq!((rcode(&zone), rcode(&reader)), (Rcode::NoError, Rcode::NxDomain));
    /// # Ok::<(), dns_records::NameError>(())
    /// ```
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> bool {
        let settings = self.settings_now(cluster, touched);
        if touched.all_services || !self.is_loaded || settings.as_ref().is_some_and(|now| !self.names_alike(now)) {
            let settings = settings.unwrap_or_else(|| ZoneSettings::clone(&self.settings));
            let next = Self { follows_settings: self.follows_settings, ..Self::new(cluster, settings) };
            let differs = next != *self;
            *self = next;
            return differs;
        }
        if let Some(settings) = settings {
            self.settings = Arc::new(settings);
        }
        let mut differs = false;
        for namespace in &touched.namespaces {
            differs |= self.update_namespace(namespace, cluster.has_namespace(namespace));
        }
        for name in &touched.services {
            differs |= self.update_service(cluster, name);
        }
        if self.settings.pods == PodMode::Verified {
            for name in &touched.pods {
                let object = ObjectRef::new(Kind::Pod, name.namespace.clone(), name.name.clone());
                let pod = cluster.get::<Pod>(&name.namespace, &name.name);
                differs |= self.is_exposed(&name.namespace) && self.pods.update(&object, pod);
            }
        }
        differs | self.update_name_servers()
    }

    /// Fills a zone that is empty.
    pub(super) fn load(&mut self, cluster: &Cluster) {
        let namespaces = cluster.namespaces().into_iter().filter(|name| self.is_exposed(name));
        let namespaces: Vec<Arc<str>> = namespaces.map(Into::into).collect();
        self.namespaces.fill(namespaces);
        let objects = cluster.list::<ServiceObject>().filter(|service| self.is_exposed(service.namespace()));
        let mut findings = Vec::new();
        let compiled = objects.filter_map(|object| {
            let mut compiled = compile(cluster, object, &self.settings, self.shortest_zone);
            findings.append(&mut compiled.findings);
            compiled.service.map(Arc::new)
        });
        let services: Vec<Arc<Service>> = compiled.collect();
        findings.sort_by(|a, b| a.object.cmp(&b.object));
        self.findings = Arc::new(findings);
        self.pointers = ByAddress::build(services.iter().flat_map(|service| service.pointers()));
        self.services.fill(services.iter().cloned());
        // Whoever comes second to a name gets nothing.
        for service in services {
            let is_second = self.services.get(service.head.key()).is_some_and(|first| first.object != service.object);
            if is_second {
                self.update_service(cluster, &service.object.key());
            }
        }
        if self.settings.pods == PodMode::Verified {
            let settings = self.settings.clone();
            self.pods.fill(cluster.list::<Pod>().filter(|pod| settings.exposes(pod.namespace())));
        }
        self.is_loaded = true;
        self.update_name_servers();
    }

    /// The settings as the cluster has them now, if something that they are read from was touched and they differ.
    fn settings_now(&self, cluster: &Cluster, touched: &Touched) -> Option<ZoneSettings> {
        let may_differ = touched.configuration
            || touched.objects.contains(&ObjectRef::new(Kind::ConfigMap, "kube-system", "coredns"))
            || touched.services.contains(&NamespacedName::new("kube-system", "kube-dns"));
        if !self.follows_settings || !may_differ {
            return None;
        }
        let ZoneSettings { serial, hash_seed, .. } = *self.settings;
        Some(ZoneSettings { serial, hash_seed, ..ZoneSettings::of(cluster) }).filter(|now| *now != *self.settings)
    }

    /// Whether a zone with these settings has the same names, but for those of the name servers.
    fn names_alike(&self, now: &ZoneSettings) -> bool {
        ZoneSettings { addresses: now.addresses.clone(), ..ZoneSettings::clone(&self.settings) } == *now
    }

    fn update_namespace(&mut self, name: &str, exists: bool) -> bool {
        let name: Arc<str> = name.into();
        let is_there = self.namespaces.all(name.as_bytes()).any(|known| *known == name);
        if is_there == exists || !self.is_exposed(&name) {
            return false;
        }
        if exists {
            self.namespaces.insert(name)
        } else {
            self.namespaces.remove(&name)
        }
        true
    }

    /// Compiles one Service anew; whether an answer can differ.
    fn update_service(&mut self, cluster: &Cluster, name: &NamespacedName) -> bool {
        if !self.is_exposed(&name.namespace) {
            return false;
        }
        let object = ObjectRef::new(Kind::Service, name.namespace.clone(), name.name.clone());
        let now = cluster.get::<ServiceObject>(&name.namespace, &name.name);
        let compiled = now.map(|service| compile(cluster, service, &self.settings, self.shortest_zone));
        let Compiled { service: mut after, mut findings } = compiled.unwrap_or_default();
        if Unserved::of(&object, self.shortest_zone).is_some() {
            self.replace_findings(&object, findings);
            return false;
        }
        let head = Head::of(&object);
        let key = head.key();
        let twins: Vec<ObjectRef> = self.services.all(key).map(|twin| ObjectRef::clone(&twin.object)).collect();
        let before = self.service(&object).cloned();
        if let Some(after) = &mut after {
            if twins.iter().any(|twin| *twin < object) {
                after.content = Content::Shadowed;
                findings = vec![taken(&object)];
            }
            if let Some(before) = before.as_ref().filter(|before| before.object == after.object) {
                after.object = before.object.clone();
            }
        }
        self.replace_findings(&object, findings);
        let mut differs = self.replace_service(before, after.map(Arc::new));
        // Those that come after it in the same name lose that, or the first of them gains it.
        for twin in twins.iter().filter(|twin| **twin > object) {
            let first = self.services.get(key).map(|first| &*first.object);
            let is_shadowed = |known: &Arc<Service>| known.content == Content::Shadowed;
            if self.service(twin).is_some_and(|known| is_shadowed(known) == (first == Some(twin))) {
                differs |= self.update_service(cluster, &twin.key());
            }
        }
        differs
    }

    fn service(&self, object: &ObjectRef) -> Option<&Arc<Service>> {
        self.services.all(Head::of(object).key()).find(|service| *service.object == *object)
    }

    fn replace_service(&mut self, before: Option<Arc<Service>>, after: Option<Arc<Service>>) -> bool {
        if before == after {
            return false;
        }
        let differs = before.as_ref().map(|before| &before.content) != after.as_ref().map(|after| &after.content);
        let pointers = |service: &Option<Arc<Service>>| {
            let mut pointers = service.as_ref().map(|service| service.pointers()).unwrap_or_default();
            pointers.sort_by(by_address);
            pointers
        };
        let (old, new) = (pointers(&before), pointers(&after));
        let is_in = |all: &[(IpAddr, Pointer)], one| all.binary_search_by(|other| by_address(other, one)).is_ok();
        for (addr, pointer) in old.iter().filter(|one| !is_in(&new, one)) {
            self.pointers.remove(*addr, pointer);
        }
        for (addr, pointer) in new.iter().filter(|one| !is_in(&old, one)) {
            self.pointers.insert(*addr, pointer.clone());
        }
        match (before, after) {
            (_, Some(after)) => self.services.insert(after),
            (Some(before), None) => self.services.remove(&before),
            (None, None) => {}
        }
        differs
    }

    /// Findings are no answers.
    fn replace_findings(&mut self, object: &ObjectRef, findings: Vec<Finding>) {
        let object = object.to_string();
        let start = self.findings.partition_point(|finding| finding.object < object);
        let count = self.findings[start..].iter().take_while(|finding| finding.object == object).count();
        if self.findings[start..start + count] != *findings {
            Arc::make_mut(&mut self.findings).splice(start..start + count, findings);
        }
    }

    /// The Services that own an address of the DNS service are its name servers, with all their addresses; an address that
    /// none owns is that of `ns.dns` alone.
    fn update_name_servers(&mut self) -> bool {
        let (mut owners, mut bare) = (Vec::<Arc<Service>>::new(), Vec::new());
        for addr in &self.settings.addresses {
            let owner = match self.pointers(*addr) {
                // One whose name is hidden is no name server.
                [Pointer::Service(object)] => {
                    self.service(object).filter(|owner| matches!(owner.content, Content::Records(_)))
                }
                _ => None,
            };
            match owner {
                Some(owner) if owners.iter().any(|known| known.object == owner.object) => {}
                Some(owner) => owners.push(owner.clone()),
                None => bare.push(*addr),
            }
        }
        let owned = owners.iter().flat_map(|owner| owner.own_addresses());
        let all = Addresses::of(owned.chain(bare.iter().copied())).into();
        let now = NameServers { owners: owners.into(), bare: Addresses::of(bare).into(), all };
        let differs = now != self.name_servers;
        if differs {
            self.name_servers = now;
        }
        differs
    }
}

fn by_address(one: &(IpAddr, Pointer), other: &(IpAddr, Pointer)) -> Ordering {
    one.0.cmp(&other.0).then_with(|| one.1.rank().cmp(&other.1.rank()))
}
