//! How do objects become names? Every exposed Service, its endpoints and its ports, one node for each name.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use svc_model::addr::parse_ip;
use svc_model::api::{Pod, Service};
use svc_model::check::Finding;
use svc_model::{Cluster, Protocol, Resource, endpoints};

use super::reason::ServiceKind;
use super::reverse;
use super::settings::{PodMode, ZoneSettings};
use super::zone::{Addresses, Content, Node, NodeId, Origin, OriginKind, ServiceEntry, ServiceId, Srv, Withheld, Zone};
use crate::name::{MAX_WIRE, Name, NameRef, push_label};

pub(super) struct Builder<'a> {
    cluster: &'a Cluster,
    zone: Zone,
    /// Octets of the shortest forward zone: a name that does not fit there fits nowhere.
    shortest_zone: usize,
    /// Endpoints with each address, perhaps several times; a Service's own address goes before them.
    endpoint_names: HashMap<IpAddr, Vec<NodeId>>,
    service_names: HashMap<IpAddr, NodeId>,
}

/// Why a name is not in the table.
#[derive(Clone, Copy, Debug)]
enum Unserved {
    Label,
    TooLong,
    Taken,
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "a label is empty or longer than 63 octets",
            Self::TooLong => "it is too long for DNS, with the zone more than 253 characters",
            Self::Taken => "another name differs from it in case only",
        })
    }
}

/// A ready endpoint with its name and the ports of its set.
struct Ready<'a> {
    addr: IpAddr,
    name: String,
    ports: &'a [endpoints::EndpointPort],
}

impl<'a> Builder<'a> {
    pub(super) fn new(cluster: &'a Cluster, settings: ZoneSettings) -> Self {
        let hasher = || FixedState::with_seed(settings.hash_seed);
        let mut origins: Vec<Origin> = settings.zones.iter().map(Origin::new).collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.labels));
        let forward = settings.zones.iter().find(|zone| !reverse::is_reverse(zone.as_ref()));
        let forward_zones = origins.iter().filter(|origin| origin.kind != OriginKind::Reverse);
        Self {
            cluster,
            shortest_zone: forward_zones.map(|origin| origin.name.as_ref().as_wire().len()).min().unwrap_or(1),
            endpoint_names: HashMap::new(),
            service_names: HashMap::new(),
            zone: Zone {
                above_zones: above_zones(&origins),
                forward: forward.cloned().unwrap_or_else(Name::root),
                origins,
                names: HashMap::with_hasher(hasher()),
                nodes: Vec::new(),
                services: Vec::new(),
                reverse: HashMap::with_hasher(hasher()),
                addresses: Vec::new(),
                name_servers: Box::default(),
                bare_name_servers: Addresses::default(),
                live_pods: HashMap::with_hasher(hasher()),
                findings: Vec::new(),
                settings,
            },
        }
    }

    pub(super) fn build(mut self) -> Zone {
        for (labels, content) in [
            (&["svc"][..], Content::Inner),
            (&["pod"], Content::Inner),
            (&["dns"], Content::Inner),
            (&["dns-version"], Content::Version),
        ] {
            self.add_if_served(labels, content);
        }
        self.add_namespaces();
        let cluster = self.cluster;
        for service in cluster.list::<Service>() {
            if self.is_exposed(service.namespace()) {
                self.add_service(service);
            }
        }
        if self.zone.settings.pods == PodMode::Verified {
            self.add_pods();
        }
        self.add_name_servers();
        self.add_reverse_names();
        self.zone
    }

    fn is_exposed(&self, namespace: &str) -> bool {
        self.zone.settings.namespaces.as_ref().is_none_or(|exposed| exposed.contains(namespace))
    }

    /// Adds a node without records; the labels are spelled as in the objects.
    fn add(&mut self, labels: &[&str], content: Content) -> Result<NodeId, Unserved> {
        let mut head = Vec::with_capacity(64);
        labels.iter().try_for_each(|label| push_label(&mut head, label.as_bytes())).map_err(|_| Unserved::Label)?;
        if head.len() + self.shortest_zone > MAX_WIRE {
            return Err(Unserved::TooLong);
        }
        let id = self.zone.nodes.len() as NodeId;
        let key = head.to_ascii_lowercase().into_boxed_slice();
        match self.zone.names.entry(key) {
            Entry::Occupied(_) => return Err(Unserved::Taken),
            Entry::Vacant(vacant) => vacant.insert(id),
        };
        let (addresses, srv) = (Addresses::default(), Srv::default());
        self.zone.nodes.push(Node { head: head.into_boxed_slice(), addresses, srv, content });
        Ok(id)
    }

    /// As [`Builder::add`], for names that nobody misses where they are too long, or that several Services or ports share.
    fn add_if_served(&mut self, labels: &[&str], content: Content) -> Option<NodeId> {
        self.add(labels, content).ok()
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.zone.nodes[id as usize]
    }

    fn add_namespaces(&mut self) {
        let cluster = self.cluster;
        for namespace in cluster.namespaces() {
            if self.is_exposed(namespace) {
                self.add_if_served(&[namespace, "svc"], Content::Namespace);
                if self.zone.settings.pods != PodMode::Disabled {
                    self.add_if_served(&[namespace, "pod"], Content::Namespace);
                }
            }
        }
    }

    fn add_service(&mut self, service: &Service) {
        let settings = &self.zone.settings;
        let found = if settings.endpoints { endpoints::of(self.cluster, service).sets } else { Vec::new() };
        let ready = ready(&found, settings.endpoint_pod_names);
        let cluster_ips = Addresses::of(service.spec.written_cluster_ips().filter_map(|ip| parse_ip(ip).ok()));
        let id = self.zone.services.len() as ServiceId;
        let kind = if service.spec.is_external_name() {
            ServiceKind::ExternalName
        } else if service.spec.is_headless() {
            ServiceKind::Headless { ready: ready.len() }
        } else if cluster_ips == Addresses::default() {
            ServiceKind::NoClusterIp
        } else {
            ServiceKind::ClusterIp
        };
        let content = match kind {
            ServiceKind::ExternalName => match alias_target(&service.spec.external_name) {
                Ok(target) => Content::Alias(id, target),
                Err(withheld) => Content::Withheld(id, withheld),
            },
            ServiceKind::Headless { ready: 0 } => Content::Withheld(id, Withheld::NoEndpoints),
            ServiceKind::ClusterIp | ServiceKind::NoClusterIp if settings.ignore_empty_services && ready.is_empty() => {
                Content::Withheld(id, Withheld::Empty)
            }
            _ => Content::Service(id),
        };
        let served = matches!(content, Content::Service(_));
        self.zone.services.push(ServiceEntry { object: service.reference(), kind });
        let labels = [service.name(), service.namespace(), "svc"];
        let node = match self.add(&labels, content) {
            Ok(node) => node,
            Err(unserved) => return self.complain(id, format!("its name is not served: {unserved}")),
        };
        if !served {
            return;
        }
        let named = self.add_endpoints(id, &labels, &ready);
        if kind.is_headless() {
            self.add_headless_records(node, id, &labels, &ready, &named);
        } else {
            for addr in cluster_ips.iter() {
                self.service_names.entry(addr).or_insert(node);
            }
            self.add_cluster_ip_records(node, id, &labels, service, cluster_ips);
        }
    }

    /// One node for each endpoint name, and for each ready endpoint the node of its name.
    fn add_endpoints(&mut self, id: ServiceId, labels: &[&str], ready: &[Ready<'_>]) -> Vec<Option<NodeId>> {
        let mut by_name: HashMap<String, Option<NodeId>> = HashMap::new();
        let mut members: Vec<(NodeId, Vec<&Ready<'_>>)> = Vec::new();
        let mut member_of: HashMap<NodeId, usize> = HashMap::new();
        let mut named = Vec::with_capacity(ready.len());
        for endpoint in ready {
            let node = *by_name.entry(endpoint.name.to_ascii_lowercase()).or_insert_with(|| {
                let node = self.add(&[&[endpoint.name.as_str()], labels].concat(), Content::Endpoint(id));
                let complaint = |unserved| format!("endpoint name `{}` is not served: {unserved}", endpoint.name);
                node.map_err(|unserved| self.complain(id, complaint(unserved))).ok()
            });
            named.push(node);
            if let Some(node) = node {
                let at = *member_of.entry(node).or_insert_with(|| {
                    members.push((node, Vec::new()));
                    members.len() - 1
                });
                members[at].1.push(endpoint);
                self.endpoint_names.entry(endpoint.addr).or_default().push(node);
            }
        }
        for (node, members) in members {
            self.node(node).addresses = Addresses::of(members.iter().map(|endpoint| endpoint.addr));
            let pairs = members.iter().flat_map(|endpoint| endpoint.ports.iter().map(|port| (Some(node), port.port)));
            self.node(node).srv = Srv::of(pairs);
        }
        named
    }

    fn add_headless_records(
        &mut self,
        node: NodeId,
        id: ServiceId,
        labels: &[&str],
        ready: &[Ready<'_>],
        named: &[Option<NodeId>],
    ) {
        let endpoints = || ready.iter().zip(named.iter().copied());
        self.node(node).addresses = Addresses::of(ready.iter().map(|endpoint| endpoint.addr));
        self.node(node).srv =
            Srv::of(endpoints().flat_map(|(endpoint, name)| endpoint.ports.iter().map(move |port| (name, port.port))));
        let mut ports = NamedPorts::default();
        for (endpoint, name) in endpoints() {
            for port in endpoint.ports.iter().filter(|port| !port.name.is_empty()) {
                let records = ports.of(&port.name, port.protocol);
                records.addrs.push(endpoint.addr);
                records.pairs.push((name, port.port));
            }
        }
        ports.list.into_iter().for_each(|port| self.add_port(id, labels, port));
    }

    fn add_cluster_ip_records(
        &mut self,
        node: NodeId,
        id: ServiceId,
        labels: &[&str],
        service: &Service,
        cluster_ips: Addresses,
    ) {
        let numbered = service.spec.ports.iter().filter_map(|port| {
            let number = u16::try_from(port.port).ok().filter(|number| *number != 0)?;
            Some((port.name.as_str(), Protocol::of_field(&port.protocol).ok()?, number))
        });
        let mut all = Vec::new();
        let mut ports = NamedPorts::default();
        for (name, protocol, number) in numbered {
            let pairs = cluster_ips.iter().map(|_| (Some(node), number));
            all.extend(pairs.clone());
            if !name.is_empty() {
                let records = ports.of(name, protocol);
                records.addrs = cluster_ips.iter().collect();
                records.pairs.extend(pairs);
            }
        }
        self.node(node).srv = Srv::of(all);
        self.node(node).addresses = cluster_ips;
        ports.list.into_iter().for_each(|port| self.add_port(id, labels, port));
    }

    fn add_port(&mut self, id: ServiceId, labels: &[&str], port: PortRecords) {
        let protocol = format!("_{}", port.protocol.as_str().to_ascii_lowercase());
        let below = [&[protocol.as_str()], labels].concat();
        self.add_if_served(&below, Content::Protocol(id));
        let label = format!("_{}", port.name);
        match self.add(&[&[label.as_str()], &below[..]].concat(), Content::Port(id)) {
            Ok(node) => {
                self.node(node).addresses = Addresses::of(port.addrs);
                self.node(node).srv = Srv::of(port.pairs);
            }
            Err(unserved) => self.complain(id, format!("port name `{}` is not served: {unserved}", port.name)),
        }
    }

    fn add_pods(&mut self) {
        let cluster = self.cluster;
        for pod in cluster.list::<Pod>().filter(|pod| is_live(pod)) {
            if !self.is_exposed(pod.namespace()) {
                continue;
            }
            let text = pod.status.pod_ip.as_str();
            // Compared as text with what the name is rewritten to: hence the plain parser.
            let Ok(addr) = text.parse::<IpAddr>() else { continue };
            if self.zone.settings.autopath {
                self.zone.live_pods.entry(addr).or_insert_with(|| pod.namespace().into());
            }
            let label = text.replace(['.', ':'], "-");
            if let Some(node) =
                self.add_if_served(&[label.as_str(), pod.namespace(), "pod"], Content::Pod(pod.reference()))
            {
                self.node(node).addresses = Addresses::of([addr]);
            }
        }
    }

    /// The Services that own an address of the DNS service are its name servers, with all their addresses; an address that
    /// none owns is that of `ns.dns` alone.
    fn add_name_servers(&mut self) {
        let (mut owners, mut bare) = (Vec::new(), Vec::new());
        for addr in self.zone.settings.addresses.clone() {
            match self.service_names.get(&addr) {
                Some(owner) if owners.contains(owner) => {}
                Some(owner) => owners.push(*owner),
                None => bare.push(addr),
            }
        }
        let owned = owners.iter().flat_map(|owner| self.zone.nodes[*owner as usize].addresses.iter());
        let all = Addresses::of(owned.chain(bare.iter().copied()));
        if let Some(node) = self.add_if_served(&["ns", "dns"], Content::NameServer) {
            self.node(node).addresses = all;
        }
        self.zone.name_servers = owners.into();
        self.zone.bare_name_servers = Addresses::of(bare);
    }

    fn add_reverse_names(&mut self) {
        for (addr, mut names) in std::mem::take(&mut self.endpoint_names) {
            // Nodes are numbered in the order of the objects.
            names.sort_unstable();
            names.dedup();
            self.zone.reverse.insert(addr, names.into());
        }
        for (addr, node) in std::mem::take(&mut self.service_names) {
            self.zone.reverse.insert(addr, Box::new([node]));
        }
        self.zone.addresses = self.zone.reverse.keys().copied().collect();
        self.zone.addresses.sort_unstable();
    }

    fn complain(&mut self, id: ServiceId, message: String) {
        let object = &self.zone.services[id as usize].object;
        self.zone.findings.push(Finding::warning(object, "metadata.name", message));
    }
}

/// What is gathered for one named port before its node is made.
struct PortRecords {
    name: String,
    protocol: Protocol,
    addrs: Vec<IpAddr>,
    pairs: Vec<(Option<NodeId>, u16)>,
}

/// The named ports of a Service, in the order of the objects.
#[derive(Default)]
struct NamedPorts {
    list: Vec<PortRecords>,
    at: HashMap<(String, Protocol), usize>,
}

impl NamedPorts {
    fn of(&mut self, name: &str, protocol: Protocol) -> &mut PortRecords {
        let at = *self.at.entry((name.to_ascii_lowercase(), protocol)).or_insert_with(|| {
            self.list.push(PortRecords { name: name.into(), protocol, addrs: Vec::new(), pairs: Vec::new() });
            self.list.len() - 1
        });
        &mut self.list[at]
    }
}

impl Srv {
    /// From every pair of address and port: all count for the weight, those that differ become records. A target without a
    /// name (too long to be served) has no record.
    fn of(pairs: impl IntoIterator<Item = (Option<NodeId>, u16)>) -> Self {
        let mut count = 0u64;
        let counted = pairs.into_iter().inspect(|_| count += 1);
        let targets: BTreeSet<(NodeId, u16)> = counted.filter_map(|(target, port)| Some((target?, port))).collect();
        let weight = 100 / count.max(1);
        Self { weight: weight.max(1) as u16, targets: targets.into_iter().collect() }
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

/// The ready endpoints and their names, in the order of the objects.
fn ready(sets: &[endpoints::EndpointSet], by_pod: bool) -> Vec<Ready<'_>> {
    let endpoints = sets.iter().flat_map(|set| set.endpoints.iter().map(|endpoint| (endpoint, set.ports.as_slice())));
    endpoints
        .filter(|(endpoint, _)| endpoint.ready)
        .map(|(endpoint, ports)| Ready { addr: endpoint.addr, name: endpoint_name(endpoint, by_pod), ports })
        .collect()
}

/// The hostname, else (if asked for) the Pod's name where it fits a label, else the address with dashes.
fn endpoint_name(endpoint: &endpoints::Endpoint, by_pod: bool) -> String {
    let pod = || endpoint.pod.as_ref().filter(|pod| by_pod && pod.name.len() < 64).map(|pod| &*pod.name);
    if let Some(name) = endpoint.hostname.as_deref().or_else(pod) {
        return name.to_owned();
    }
    let mut name = endpoint.addr.to_string().replace(['.', ':'], "-");
    if name.ends_with('-') {
        name.push('0');
    }
    name
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

/// The target of an ExternalName Service.
fn alias_target(text: &str) -> Result<Name, Withheld> {
    if text.trim_end_matches('.').parse::<IpAddr>().is_ok() {
        return Err(Withheld::AliasOfAddress);
    }
    text.parse::<Name>().ok().filter(|target| !target.as_ref().is_root()).ok_or(Withheld::AliasOfNothing)
}

/// Whether a Pod has a name of its own where Pods are verified; its readiness does not matter.
fn is_live(pod: &Pod) -> bool {
    !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed" | "Unknown")
        && pod.metadata.deletion_timestamp.is_none()
}
