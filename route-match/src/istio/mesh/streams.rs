//! Where do connections on one port of the mesh go that are not read as requests?

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use svc_model::NamespacedName;

use super::domains::domains;
use super::port::{Port, ServerNames};
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::host_table::HostTable;
use crate::istio::destination::{Destination, Hosts};
use crate::istio::net_table::NetTable;
use crate::istio::protocol::PortProtocol;
use crate::istio::registry::{MeshService, Resolution};
use crate::istio::stream::{StreamRule, TcpChains, TlsChain, pattern};

/// The listeners of a port for connections that are not read as requests: one for each address that stands for a service, and one for all
/// other addresses. Services whose requests are read have no part in it.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// The services, by host.
    services: BTreeMap<Box<str>, Arc<ServiceStreams>>,
    by_addr: BTreeMap<IpAddr, Arc<ServiceStreams>>,
    /// From the domains of services to what becomes of their connections.
    by_name: HostTable<Arc<ServiceStreams>>,
    /// For other addresses: ranges of services and of rules.
    ranges: NetTable<Arc<StreamRule>>,
    /// For those in no range: the first service that has no address of its own.
    rest: Option<Arc<StreamRule>>,
    /// For TLS to other addresses.
    server_names: HostTable<Arc<StreamRule>>,
}

/// What becomes of the connections to one service on one port.
#[derive(Clone, Debug)]
pub(super) struct ServiceStreams {
    pub(super) service: Arc<MeshService>,
    pub(super) protocol: PortProtocol,
    domains: Vec<HostPattern>,
    /// Ranges of destinations with a rule of their own.
    subnets: NetTable<Arc<StreamRule>>,
    /// By server name, where `tls` rules hold.
    names: ServerNames,
    /// All others; `None` where only server names lead on.
    rest: Option<Arc<StreamRule>>,
}

impl ServiceStreams {
    /// `None` for a service whose requests are read.
    fn of(port: &Port<'_>, service: &Arc<MeshService>, seed: u64) -> Option<Self> {
        let (listener, seen) = (port.listener, port.table.destinations.seen());
        let hosts: &dyn Hosts = &seen;
        let protocol = service.port(port.number)?.protocol;
        let own = || {
            let destination = Destination::new(&service.host, Some(service.source.clone()), None, port.number);
            Arc::new(StreamRule::to_service(destination))
        };
        let mut names = ServerNames::new(HostTable::new([]));
        let (mut subnets, mut rest) = (NetTable::default(), None);
        if protocol.takes_tls() {
            names = server_names(port, service, hosts, seed);
            if names.is_empty() {
                rest = Some(own());
            }
        } else if protocol.takes_http() && protocol != PortProtocol::Detected {
            return None;
        } else {
            let rules = port.overlapping(&service.host).into_iter().filter_map(|key| port.object(key));
            let chains = TcpChains::of(rules, listener, hosts);
            chains.subnets.into_iter().for_each(|(net, rule)| subnets.insert(net, rule));
            rest = Some(chains.rest.unwrap_or_else(own));
        }
        let domains = domains(service, port.registry(), port.namespace());
        Some(Self { service: service.clone(), protocol, domains, subnets, names, rest })
    }

    /// The rule for a connection to this address (`None`: not known).
    pub(super) fn tcp(&self, addr: Option<IpAddr>) -> Option<&Arc<StreamRule>> {
        let by_range = addr.and_then(|addr| self.subnets.find(addr)).map(|(_, rule)| rule);
        by_range.or(self.rest.as_ref())
    }

    /// The rule for a TLS connection with this server name: the most specific that fits, of equal ones the first.
    pub(super) fn tls(&self, name: Option<&Host>) -> Option<&Arc<StreamRule>> {
        self.names.matches(name).next().map(|(_, rule)| rule).or(self.rest.as_ref())
    }

    /// Whether connections to the service are told by their address.
    pub(super) fn is_addressed(&self) -> bool {
        self.service.single_addresses().next().is_some() || self.service.is_headless()
    }
}

/// The rules by server name for connections to a service.
fn server_names(port: &Port<'_>, service: &MeshService, hosts: &dyn Hosts, seed: u64) -> ServerNames {
    let keys: Vec<NamespacedName> = port.overlapping(&service.host).into_iter().cloned().collect();
    let key = (port.number, keys);
    if let Some(known) = port.view.server_names.borrow().get(&key) {
        return known.clone();
    }
    let objects = key.1.iter().filter_map(|key| port.object(key));
    let chains: Vec<TlsChain> = objects.flat_map(|object| TlsChain::of(object, port.listener, false, hosts)).collect();
    let is_alike = chains.iter().all(|chain| chain.subnets.is_empty());
    // What asks for ranges holds where the service has an address in one; the client's own address is not known here.
    let holds = |net: &IpNet| service.addresses.iter().any(|own| net.contains(own));
    let here = chains.into_iter().filter(|chain| chain.subnets.is_empty() || chain.subnets.iter().any(holds));
    let names = here.flat_map(|TlsChain { names, rule, .. }| names.into_iter().map(move |name| (name, rule.clone())));
    let table = ServerNames::new(HostTable::with_seed(seed, names));
    if is_alike {
        port.view.server_names.borrow_mut().insert(key, table.clone());
    }
    table
}

impl Streams {
    /// A port without services.
    pub(super) fn new() -> Self {
        Self {
            services: BTreeMap::new(),
            by_addr: BTreeMap::new(),
            by_name: HostTable::new([]),
            ranges: NetTable::default(),
            rest: None,
            server_names: HostTable::new([]),
        }
    }

    /// Makes what becomes of connections to these services anew, and the listeners where any of it differs.
    pub(super) fn refresh<'h>(&mut self, port: &Port<'_>, hosts: impl IntoIterator<Item = &'h Box<str>>, seed: u64) {
        let mut differs = false;
        for host in hosts {
            let service = port.services.get(host);
            let new = service.and_then(|service| ServiceStreams::of(port, service, seed));
            if self.services.get(host).map(Arc::as_ref) != new.as_ref() {
                differs = true;
                match new {
                    Some(new) => drop(self.services.insert(host.clone(), Arc::new(new))),
                    None => drop(self.services.remove(host)),
                }
            }
        }
        if differs {
            *self = Self::listen(std::mem::take(&mut self.services), seed);
        }
    }

    /// The listeners of these services.
    fn listen(services: BTreeMap<Box<str>, Arc<ServiceStreams>>, seed: u64) -> Self {
        let mut by_addr: BTreeMap<IpAddr, Arc<ServiceStreams>> = BTreeMap::new();
        let (mut full, mut shorter) = (Vec::new(), Vec::new());
        let (mut server_names, mut known) = (Vec::new(), BTreeSet::new());
        let (mut ranges, mut rest) = (NetTable::default(), None);
        // Of two services with one address, or without any, the one that goes first has it.
        let mut sorted: Vec<&Arc<ServiceStreams>> = services.values().collect();
        sorted.sort_by(|one, two| one.service.seniority().cmp(&two.service.seniority()));
        for streams in sorted {
            let service = &streams.service;
            let name = pattern(&service.host);
            for domain in &streams.domains {
                let list = if name.as_ref() == Some(domain) { &mut full } else { &mut shorter };
                list.push((domain.clone(), streams.clone()));
            }
            let pods: &[IpAddr] = match &service.resolution {
                Resolution::Headless(pods) => pods,
                _ => &[],
            };
            for addr in service.single_addresses().chain(pods.iter().copied()) {
                by_addr.entry(addr).or_insert_with(|| streams.clone());
            }
            let wide = service.addresses.iter().filter(|net| net.prefix_len() < net.max_prefix_len());
            let is_addressed = streams.is_addressed();
            if streams.protocol.takes_tls() && !is_addressed {
                let own = streams.rest.iter().filter_map(|rule| Some((pattern(&service.host)?, rule.clone())));
                server_names.extend(own);
                // The same table many times over has nothing new to say; where it lies decides nothing else.
                if known.insert(Arc::as_ptr(&streams.names)) {
                    server_names.extend(streams.names.iter().map(|(name, rule)| (name.clone(), rule.clone())));
                }
            } else if let Some(rule) = &streams.rest {
                if !is_addressed {
                    streams.subnets.iter().for_each(|(net, rule)| ranges.insert(*net, rule.clone()));
                }
                let mut is_ranged = false;
                for net in wide {
                    is_ranged = true;
                    ranges.insert(*net, rule.clone());
                }
                if !is_addressed && !is_ranged && streams.protocol.is_opaque() {
                    rest.get_or_insert_with(|| rule.clone());
                }
            }
        }
        // The full name of a service goes before the shorter one of another.
        let by_name = HostTable::with_seed(seed, full.into_iter().chain(shorter));
        let server_names = HostTable::with_seed(seed, server_names);
        Self { by_addr, by_name, ranges, rest, server_names, services }
    }

    /// The service that has this address to itself.
    pub(super) fn at(&self, addr: IpAddr) -> Option<&ServiceStreams> {
        self.by_addr.get(&addr).map(Arc::as_ref)
    }

    /// The service that is called by this name.
    pub(super) fn named(&self, name: &Host) -> Option<&ServiceStreams> {
        self.by_name.matches(Some(name)).next().map(|(_, streams)| &**streams)
    }

    /// The rule for connections to an address that no service has to itself.
    pub(super) fn elsewhere(&self, addr: IpAddr) -> Option<&Arc<StreamRule>> {
        self.ranges.find(addr).map(|(_, rule)| rule).or(self.rest.as_ref())
    }

    /// The rule for TLS connections with this server name to such an address.
    pub(super) fn server_name(&self, name: Option<&Host>) -> Option<&Arc<StreamRule>> {
        self.server_names.matches(name).next().map(|(_, rule)| rule)
    }

    /// Every rule with what it is for, in a fixed order: what a driver renders.
    pub(super) fn rows(&self) -> Vec<super::StreamRow<'_>> {
        use super::StreamFor;
        let mut rows = Vec::new();
        let mut add = |to, rule| rows.push(super::StreamRow { to, rule });
        for (addr, streams) in &self.by_addr {
            for (net, rule) in streams.subnets.iter() {
                add(StreamFor::Range(*addr, *net), rule);
            }
            for (name, rule) in streams.names.iter() {
                add(StreamFor::AddressWithName(*addr, name), rule);
            }
            if let Some(rule) = &streams.rest {
                add(StreamFor::Address(*addr), rule);
            }
        }
        for (net, rule) in self.ranges.iter() {
            add(StreamFor::Net(*net), rule);
        }
        for (name, rule) in self.server_names.iter() {
            add(StreamFor::Name(name), rule);
        }
        if let Some(rule) = &self.rest {
            add(StreamFor::Rest, rule);
        }
        rows
    }
}

impl PartialEq for ServiceStreams {
    fn eq(&self, other: &Self) -> bool {
        let parts = |streams: &Self| (streams.protocol, streams.domains.clone(), streams.rest.clone());
        self.service == other.service
            && parts(self) == parts(other)
            && self.subnets == other.subnets
            && (Arc::ptr_eq(&self.names, &other.names) || self.names.iter().eq(other.names.iter()))
    }
}

/// Equal when they lead every connection to equal rules.
impl PartialEq for Streams {
    fn eq(&self, other: &Self) -> bool {
        self.services == other.services
            && self.by_addr == other.by_addr
            && self.by_name.iter().eq(other.by_name.iter())
            && self.ranges == other.ranges
            && self.rest == other.rest
            && self.server_names.iter().eq(other.server_names.iter())
    }
}
