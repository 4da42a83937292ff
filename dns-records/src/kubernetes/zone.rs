//! Which names are there? The objects of a cluster compiled into tables, of which copies share what did not change.

use std::net::IpAddr;
use std::sync::Arc;

use svc_model::Cluster;
use svc_model::check::Finding;

use super::pods::LivePods;
use super::pointers::{ByAddress, Pointer, winners};
use super::reverse;
use super::service::{Addresses, Service};
use super::settings::ZoneSettings;
use super::table::Table;
use crate::name::{Name, NameRef};

/// The DNS of a cluster at one moment.
///
/// Building costs the number of Services and endpoints (and of Pods, where the settings need them); a question costs one or
/// two hash look-ups whatever the size of the cluster, and a name that does not exist costs no more.
///
/// A clone costs nothing worth mentioning and shares everything: readers keep one while the writer
/// [`update`](Zone::update)s its own, which copies what changes and leaves their answers as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub(super) settings: Arc<ZoneSettings>,
    /// Whether the settings are the cluster's and follow it.
    pub(super) follows_settings: bool,
    /// Whether the world has been read; before that nothing is known not to exist.
    pub(super) is_loaded: bool,
    /// Longest first, so that the first that fits is the one.
    pub(super) origins: Arc<[Origin]>,
    /// Names in one zone that are only there because another zone is below.
    pub(super) above_zones: Arc<[Name]>,
    /// Where PTR records lead.
    pub(super) forward: Arc<Name>,
    /// Octets of the shortest forward zone: a name that does not fit there fits nowhere.
    pub(super) shortest_zone: usize,
    pub(super) namespaces: Table<Arc<str>>,
    pub(super) services: Table<Arc<Service>>,
    /// Where PTR records lead, by address.
    pub(super) pointers: ByAddress<Pointer>,
    /// Pods by address, where the settings need them.
    pub(super) pods: LivePods,
    pub(super) name_servers: NameServers,
    pub(super) findings: Arc<Vec<Finding>>,
}

/// A zone answered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// In lower case.
    pub(super) name: Name,
    pub(super) labels: usize,
    pub(super) kind: OriginKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OriginKind {
    Forward,
    /// Within `in-addr.arpa.` or `ip6.arpa.`
    Reverse,
    /// Above them: the root, or `arpa.`
    Both,
}

/// Who answers for the zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NameServers {
    /// The Services that own addresses of the DNS service.
    pub(super) owners: Arc<[Arc<Service>]>,
    /// Addresses of the DNS service that no Service owns.
    pub(super) bare: Arc<Addresses>,
    /// The addresses of both.
    pub(super) all: Arc<Addresses>,
}

impl Zone {
    /// Compiles the names of a cluster. The settings stay as they are, whatever becomes of the cluster's own.
    pub fn new(cluster: &Cluster, settings: ZoneSettings) -> Self {
        let mut zone = Self::loading(settings);
        zone.load(cluster);
        zone
    }

    /// With the settings that the cluster holds itself ([`ZoneSettings::of`]), which [`update`](Zone::update) follows.
    pub fn of(cluster: &Cluster) -> Self {
        Self::seeded(cluster, ZoneSettings::default().hash_seed)
    }

    /// As [`Zone::of`], with a seed for the hash tables ([`ZoneSettings::hash_seed`]).
    pub fn seeded(cluster: &Cluster, hash_seed: u64) -> Self {
        let zone = Self::new(cluster, ZoneSettings { hash_seed, ..ZoneSettings::of(cluster) });
        Self { follows_settings: true, ..zone }
    }

    /// A zone before the first load of the world: nothing is known to be missing, so that every question within its zones
    /// is answered with `SERVFAIL`. Put [`Zone::new`] in its place when the objects are there.
    ///
    /// ```
    /// use dns_records::kubernetes::{Zone, ZoneSettings};
    /// use dns_records::{Name, Question, Rcode, RecordType};
    /// let zone = Zone::loading(ZoneSettings::default());
    /// let name: Name = "cart.shop.svc.cluster.local".parse()?;
    /// assert_eq!(zone.answer(Question::new(&name, RecordType::A)).rcode, Rcode::ServFail);
    /// # Ok::<(), dns_records::NameError>(())
    /// ```
    pub fn loading(settings: ZoneSettings) -> Self {
        let mut origins: Vec<Origin> = settings.zones.iter().map(Origin::new).collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.labels));
        let forward = settings.zones.iter().find(|zone| !reverse::is_reverse(zone.as_ref()));
        let forward_zones = origins.iter().filter(|origin| origin.kind != OriginKind::Reverse);
        Self {
            above_zones: above_zones(&origins).into(),
            shortest_zone: forward_zones.map(|origin| origin.name.as_ref().as_wire().len()).min().unwrap_or(1),
            forward: Arc::new(forward.cloned().unwrap_or_else(Name::root)),
            origins: origins.into(),
            namespaces: Table::new(settings.hash_seed),
            services: Table::new(settings.hash_seed),
            pointers: ByAddress::new(),
            pods: LivePods::new(settings.hash_seed),
            name_servers: NameServers::default(),
            findings: Arc::default(),
            settings: Arc::new(settings),
            follows_settings: false,
            is_loaded: false,
        }
    }

    /// The settings it was made with, or that it follows.
    pub fn settings(&self) -> &ZoneSettings {
        &self.settings
    }

    /// Sets the serial of the SOA records: secondaries and caches look whether it moved. Move it when
    /// [`update`](Zone::update) says that an answer can differ; CoreDNS takes the Unix time of that moment.
    pub fn set_serial(&mut self, serial: u32) {
        if self.settings.serial != serial {
            Arc::make_mut(&mut self.settings).serial = serial;
        }
    }

    /// Names that are not served, and why: most are too long. By Service.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether the settings expose a namespace.
    pub(super) fn is_exposed(&self, namespace: &str) -> bool {
        self.settings.exposes(namespace)
    }

    /// The names of an address that count.
    pub(super) fn pointers(&self, addr: IpAddr) -> &[Pointer] {
        winners(self.pointers.get(addr))
    }

    /// The namespace of the live Pod with an address, where the settings need to know.
    pub(super) fn live_pod_namespace(&self, addr: IpAddr) -> Option<&str> {
        let pod = self.pods.at(addr).first().filter(|_| self.settings.autopath)?;
        Some(&pod.object.namespace)
    }
}

impl ZoneSettings {
    pub(super) fn exposes(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|exposed| exposed.contains(namespace))
    }
}

impl Origin {
    fn new(zone: &Name) -> Self {
        let lower = zone.as_ref().as_wire().to_ascii_lowercase();
        // Lower case changes no length, so that the copy is a name as well.
        let name = NameRef::from_wire(&lower).map_or_else(|_| zone.clone(), NameRef::to_name);
        let labels = name.as_ref().labels().count();
        let kind = if reverse::is_reverse(name.as_ref()) {
            OriginKind::Reverse
        } else if labels == 0 || (labels == 1 && name.as_ref().labels().all(|label| label.is("arpa"))) {
            OriginKind::Both
        } else {
            OriginKind::Forward
        };
        Self { name, labels, kind }
    }
}

/// The names between a zone and another above it, which RFC 8020 lets nobody call missing.
fn above_zones(origins: &[Origin]) -> Vec<Name> {
    let above = |origin: &Origin| {
        let others = origins
            .iter()
            .filter(|other| other.labels < origin.labels && origin.name.as_ref().is_within(other.name.as_ref()));
        let top = others.map(|other| other.labels).min().unwrap_or(origin.labels);
        let name = origin.name.clone();
        (1..origin.labels.saturating_sub(top)).map(move |skipped| name.as_ref().skip(skipped).to_name())
    };
    origins.iter().flat_map(above).collect()
}
