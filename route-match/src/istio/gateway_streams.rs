//! What does a gateway proxy do with connections that it does not read as requests, and who answers a handshake?

use std::collections::BTreeMap;
use std::sync::Arc;

use svc_model::api::{MeshConfig, VirtualService};
use svc_model::{Cluster, Kind, Resource, Touched};

use super::destination::Destination;
use super::destination_rule::{Caller, DestinationRules};
use super::export::{ExportTo, Precedence};
use super::gateway::IstioGatewayTable;
use super::matching::Listener;
use super::names::{GatewayName, NameSet, covers, full_host};
use super::order::Age;
use super::registry::{Registry, SeenFrom};
use super::server::{GatewayProxy, Server, ServerKind, Servers};
use super::stream::{StreamRule, TcpChains, TlsChain, pattern};
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::host_table::HostTable;
use crate::question::Scheme;

/// The protocols of which a client must offer one to reach a server of mode `AUTO_PASSTHROUGH`: those that sidecars speak among themselves.
pub const ISTIO_PROTOCOLS: [&str; 5] = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

/// What the proxy of one Gateway does with connections: the TCP and TLS side of an [`IstioGatewayTable`].
///
/// Immutable; it is made anew when [`is_touched`](Self::is_touched) says so.
#[derive(Clone, Debug)]
pub struct GatewayStreams {
    servers: Servers,
    /// For each port of bytes: the server, and the rule if any VirtualService has one.
    tcp: BTreeMap<u16, (usize, Option<Arc<StreamRule>>)>,
    /// For each port of TLS: who answers to a server name.
    tls: BTreeMap<u16, HostTable<Arc<GatewayChain>>>,
}

/// Who answers to a server name, and where the bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayChain {
    /// The index of the server in [`GatewayStreams::servers`].
    pub server: usize,
    /// Where the bytes go; `None` for HTTPS, whose requests are asked about one by one.
    pub rule: Option<Arc<StreamRule>>,
}

/// A connection to a gateway, and who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayConnection<'t> {
    /// The server.
    pub server: &'t Server,
    /// Its index in [`GatewayStreams::servers`].
    pub index: usize,
    /// Where the bytes go; `None` where they are read as requests, or no rule is.
    pub rule: Option<&'t StreamRule>,
}

/// What VirtualServices are bound by.
struct Binder<'c> {
    proxy: &'c GatewayProxy,
    seen: SeenFrom<'c>,
    /// Those that the proxy sees, in order.
    virtual_services: Vec<&'c VirtualService>,
}

impl GatewayStreams {
    /// Compiles the connections of a gateway's proxy. O(servers × VirtualServices that name the Gateway), and for `AUTO_PASSTHROUGH` the ports
    /// and subsets of all services.
    pub fn compile(cluster: &Cluster, mesh: &MeshConfig, table: &IstioGatewayTable) -> Self {
        Self::compile_with_seed(cluster, mesh, table, 0)
    }

    /// The same with the seed of the hash functions; no answer depends on it.
    pub fn compile_with_seed(cluster: &Cluster, mesh: &MeshConfig, table: &IstioGatewayTable, seed: u64) -> Self {
        let (proxy, servers) = (table.proxy(), table.servers());
        let registry = Registry::new(cluster, mesh);
        let binder = Binder::new(cluster, mesh, proxy, SeenFrom { registry: &registry, namespace: &proxy.namespace });
        let mut tcp = BTreeMap::new();
        let mut names: BTreeMap<u16, Vec<(HostPattern, Arc<GatewayChain>)>> = BTreeMap::new();
        for (at, server) in servers.accepted.iter().enumerate() {
            let hosts = || server.hosts.iter().filter_map(|host| pattern(&host.host.to_ascii_lowercase()));
            let chain = |rule| Arc::new(GatewayChain { server: at, rule });
            let on_port = match server.kind {
                ServerKind::Http => continue,
                ServerKind::Tcp => {
                    tcp.entry(server.port).or_insert_with(|| (at, binder.tcp(server)));
                    continue;
                }
                _ => names.entry(server.port).or_default(),
            };
            match server.kind {
                ServerKind::Https => {
                    let chain = chain(None);
                    on_port.extend(hosts().map(|host| (host, chain.clone())));
                }
                ServerKind::Tls => {
                    // Without a rule there is nothing to hand the bytes to, and no chain.
                    if let Some(rule) = binder.tcp(server) {
                        let chain = chain(Some(rule));
                        on_port.extend(hosts().map(|host| (host, chain.clone())));
                    }
                }
                ServerKind::Passthrough => {
                    for found in binder.tls(server) {
                        let chain = chain(Some(found.rule));
                        on_port.extend(found.names.into_iter().map(|name| (name, chain.clone())));
                    }
                }
                ServerKind::AutoPassthrough => {
                    let rules = DestinationRules::new(cluster, mesh);
                    on_port.extend(binder.clusters(server, &rules).map(|(name, rule)| (name, chain(Some(rule)))));
                }
                ServerKind::Http | ServerKind::Tcp => {}
            }
        }
        let tls = names.into_iter().map(|(port, names)| (port, HostTable::with_seed(seed, names))).collect();
        Self { servers: servers.clone(), tcp, tls }
    }

    /// Whether changes may bear on what this is made of: a Gateway, a VirtualService, a service, a DestinationRule, or a Pod, which may be the
    /// proxy's.
    pub fn is_touched(touched: &Touched) -> bool {
        let of_ours = |kind: Kind| {
            matches!(kind, Kind::IstioGateway | Kind::VirtualService | Kind::ServiceEntry | Kind::DestinationRule)
        };
        touched.all_services
            || !touched.services.is_empty()
            || !touched.pods.is_empty()
            || touched.objects.iter().any(|object| of_ours(object.kind))
    }

    /// The servers of the proxy.
    pub fn servers(&self) -> &[Server] {
        &self.servers.accepted
    }

    /// What becomes of a connection to a port of bytes; `None` where nothing listens: without a rule the port is not opened. Allocates
    /// nothing.
    pub fn decide_tcp(&self, port: u16) -> Option<GatewayConnection<'_>> {
        let (at, rule) = self.tcp.get(&port)?;
        Some(GatewayConnection { server: &self.servers.accepted[*at], index: *at, rule: Some(rule.as_deref()?) })
    }

    /// Who takes a TLS connection with this server name (`None`: without a usable one): the chain of the most specific name that fits, and
    /// no other. `None` for nobody, where the connection is closed. Whether a handshake succeeds, and what a client must offer, is for
    /// whoever speaks TLS to say (see [`ISTIO_PROTOCOLS`]). Allocates nothing.
    pub fn decide_tls(&self, port: u16, server_name: Option<&Host>) -> Option<GatewayConnection<'_>> {
        let (_, chain) = self.tls.get(&port)?.matches(server_name).next()?;
        let server = &self.servers.accepted[chain.server];
        Some(GatewayConnection { server, index: chain.server, rule: chain.rule.as_deref() })
    }

    /// The server of bytes on a port, whether or not it has a rule.
    pub fn tcp_server(&self, port: u16) -> Option<&Server> {
        self.tcp.get(&port).map(|(at, _)| &self.servers.accepted[*at])
    }

    /// Whether TLS is spoken on a port.
    pub fn speaks_tls(&self, port: u16) -> bool {
        self.tls.contains_key(&port)
    }

    /// The rules of the ports of bytes, in order: what a driver renders.
    pub fn tcp_rules(&self) -> impl Iterator<Item = (u16, &Server, &StreamRule)> {
        let rules = self.tcp.iter().filter_map(|(port, (at, rule))| Some((port, at, rule.as_deref()?)));
        rules.map(|(port, at, rule)| (*port, &self.servers.accepted[*at], rule))
    }

    /// The server names of a port with their chains, from most to least specific: what a driver renders.
    pub fn chains(&self, port: u16) -> impl Iterator<Item = (&HostPattern, &GatewayChain)> {
        self.tls.get(&port).into_iter().flat_map(|names| names.iter()).map(|(name, chain)| (name, &**chain))
    }

    /// The ports on which TLS is spoken, in order.
    pub fn tls_ports(&self) -> impl Iterator<Item = u16> {
        self.tls.keys().copied()
    }
}

/// Equal when they do the same with every connection.
impl PartialEq for GatewayStreams {
    fn eq(&self, other: &Self) -> bool {
        let chains = |streams: &Self| -> Vec<(u16, HostPattern, GatewayChain)> {
            let of = |port| streams.chains(port).map(move |(name, chain)| (port, name.clone(), chain.clone()));
            streams.tls_ports().flat_map(of).collect()
        };
        self.servers == other.servers && self.tcp == other.tcp && chains(self) == chains(other)
    }
}

impl<'c> Binder<'c> {
    fn new(cluster: &'c Cluster, mesh: &MeshConfig, proxy: &'c GatewayProxy, seen: SeenFrom<'c>) -> Self {
        let precedence = |object: &VirtualService| {
            let default = &mesh.default_virtual_service_export_to;
            let list = if object.spec.export_to.is_empty() { default } else { &object.spec.export_to };
            let exposure = ExportTo::read(list, object.namespace()).exposure(object.namespace(), &proxy.namespace)?;
            Some(Precedence { exposure, age: Age::of(object) })
        };
        let seen_ones = cluster.list::<VirtualService>().filter_map(|object| Some((precedence(object)?, object)));
        let mut sorted: Vec<(Precedence, &VirtualService)> = seen_ones.collect();
        sorted.sort_by(|(one, _), (two, _)| one.cmp(two));
        Self { proxy, seen, virtual_services: sorted.into_iter().map(|(_, object)| object).collect() }
    }

    /// Does something with each VirtualService that joins a server: it names the Gateway, and its hosts meet the server's.
    fn joined<'b, R>(
        &'b self,
        server: &'b Server,
        with: impl Fn(&'c VirtualService, Listener<'_>) -> R + 'b,
    ) -> impl Iterator<Item = R> + 'b {
        let gateway = GatewayName::Named(server.gateway.clone());
        let joins = {
            let gateway = gateway.clone();
            move |object: &&&'c VirtualService| {
                let namespace = object.namespace();
                let hosts = server.hosts.iter().filter(|host| host.admits(namespace));
                let hosts: NameSet<'_> = hosts.map(|host| &*host.host).collect();
                let full: Vec<_> = object.spec.hosts.iter().map(|host| full_host(host, namespace)).collect();
                let own: NameSet<'_> = full.iter().map(AsRef::as_ref).collect();
                !object.spec.gateways.is_empty()
                    && gateway.is_in(&object.spec.gateways, namespace)
                    && !hosts.intersection(&own).is_empty()
            }
        };
        self.virtual_services.iter().filter(joins).map(move |object| {
            let listener = Listener {
                gateway: &gateway,
                port: server.port,
                scheme: Scheme::Http,
                namespace: &self.proxy.namespace,
                labels: &self.proxy.labels,
            };
            with(object, listener)
        })
    }

    /// The rule for the bytes of a server: the first of the first VirtualService that has one.
    fn tcp(&self, server: &Server) -> Option<Arc<StreamRule>> {
        self.joined(server, |object, listener| TcpChains::at_gateway(object, listener, &self.seen)).flatten().next()
    }

    /// The chains of a server that passes TLS on.
    fn tls(&self, server: &Server) -> Vec<TlsChain> {
        let chains = self.joined(server, |object, listener| TlsChain::of(object, listener, true, &self.seen));
        super::stream::without_repetitions(chains.flatten())
    }

    /// The names by which sidecars of other networks call the services of the mesh, each with where it leads.
    fn clusters<'b>(
        &'b self,
        server: &'b Server,
        rules: &'b DestinationRules,
    ) -> impl Iterator<Item = (HostPattern, Arc<StreamRule>)> + 'b {
        let caller = Caller::new(self.proxy.namespace.clone(), self.proxy.labels.clone());
        let registry = self.seen.registry;
        let is_internal = |service: &super::registry::MeshService| !service.external;
        let services = registry.hosts().filter_map(move |host| registry.seen(host, self.seen.namespace, is_internal));
        let below = services.filter(|service| server.hosts.iter().any(|host| covers(&host.host, &service.host)));
        below.flat_map(move |service| {
            let rule = rules.find(&caller, &service.host, service.namespace());
            let subsets = rule.into_iter().flat_map(|rule| &rule.subsets).map(|subset| Some(&*subset.name));
            let subsets: Vec<Option<&str>> = [None].into_iter().chain(subsets).collect();
            let ports = service.ports.iter().map(|port| port.number);
            let each = ports.flat_map(move |port| subsets.clone().into_iter().map(move |subset| (port, subset)));
            each.filter_map(move |(port, subset)| {
                let name = format!("outbound_.{port}_.{}_.{}", subset.unwrap_or_default(), service.host);
                let to = Destination::new(&service.host, Some(service.source.clone()), subset, port);
                Some((pattern(&name.to_ascii_lowercase())?, Arc::new(StreamRule::to_service(to))))
            })
        })
    }
}
