//! What does a proxy of Istio listen for? The servers of a gateway, and the ports of the mesh as a sidecar sees them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use route_match::HostPattern;
use route_match::istio::{
    Destination, Destinations, GatewayChain, ISTIO_PROTOCOLS, IstioGatewayTable, MeshTable, Origin, RouteTable, Server,
    ServerKind, StreamRule,
};
use svc_model::Cluster;
use tls_sni::istio::IstioTls;

use crate::certificates::{self, Clients};
use crate::config::{
    self, Bootstrap, ClusterSpecifier, Extension, FilterChain, FilterChainMatch, HttpFilter, ListenerFilter,
    NetworkFilter, RequireTls, TransportSocket, VirtualHost,
};
use crate::destinations::DestinationClusters;
use crate::http::{HTTP_PROTOCOLS, connection_manager, server_names, virtual_host};
use crate::remarks::Remarks;
use crate::rewrite::Place;
use crate::routes::Rule;
use crate::{Rendered, Settings};

/// In this order Istio's proxies ask them.
const FILTERS: [HttpFilter; 2] = [HttpFilter::Fault {}, HttpFilter::Cors {}];

/// Renders the proxy of an Istio Gateway. `cluster` is the one that all was compiled from; `destinations` are as the proxy finds them.
/// O(n log n) in its rules and the endpoints of their destinations.
pub fn render_istio_gateway(
    cluster: &Cluster,
    table: &IstioGatewayTable,
    tls: &IstioTls,
    destinations: &Destinations,
    settings: &Settings,
) -> Rendered {
    let mut ports: BTreeMap<(u16, &str), Vec<usize>> = BTreeMap::new();
    for (at, server) in table.servers().accepted.iter().enumerate() {
        ports.entry((server.port, &server.bind)).or_default().push(at);
    }
    let mut proxy =
        Proxy { settings, clusters: DestinationClusters::new(cluster, destinations), remarks: Remarks::default() };
    let mut listeners = Vec::new();
    for ((port, bind), servers) in ports {
        let Some(address) = proxy.address(&table.servers().accepted[servers[0]], bind) else { continue };
        let chains = proxy.chains(table, tls, &servers);
        // A port without anything to do is not opened.
        if !chains.is_empty() {
            let address = SocketAddr::new(address, port);
            listeners.push(listener(format!("port {port} on {}", address.ip()), address, chains));
        }
    }
    proxy.rendered(listeners)
}

/// Renders the HTTP ports of the mesh, as the sidecar of a caller sees them: what listens on each port takes requests for every
/// service there.
pub fn render_mesh(cluster: &Cluster, table: &MeshTable, settings: &Settings) -> Rendered {
    let mut proxy = Proxy {
        settings,
        clusters: DestinationClusters::new(cluster, table.destinations()),
        remarks: Remarks::default(),
    };
    let mut listeners = Vec::new();
    for port in table.ports() {
        let Some(hosts) = table.virtual_hosts(port) else { continue };
        let hosts = proxy.virtual_hosts(hosts, "http", port);
        let name = format!("port {port}");
        let chain = FilterChain {
            name: name.clone(),
            filter_chain_match: FilterChainMatch::default(),
            filters: vec![connection_manager(name.clone(), hosts, FILTERS)],
            transport_socket: None,
        };
        listeners.push(listener(name, SocketAddr::new(settings.address, port), vec![chain]));
    }
    proxy.rendered(listeners)
}

struct Proxy<'g> {
    settings: &'g Settings,
    clusters: DestinationClusters<'g>,
    remarks: Remarks,
}

impl Proxy<'_> {
    fn rendered(self, listeners: Vec<config::Listener>) -> Rendered {
        let bootstrap = Bootstrap::new(listeners, self.clusters.into_vec());
        Rendered { bootstrap, unexpressed: self.remarks.into_vec() }
    }

    /// Where a server listens.
    fn address(&mut self, server: &Server, bind: &str) -> Option<IpAddr> {
        if bind.is_empty() {
            return Some(self.settings.address);
        }
        let address = bind.parse().ok();
        if address.is_none() {
            self.remarks.add(&server.to_string(), "it is bound to something that is no address; nothing listens");
        }
        address
    }

    /// The chains of the servers of one port.
    fn chains(&mut self, table: &IstioGatewayTable, tls: &IstioTls, servers: &[usize]) -> Vec<FilterChain> {
        let first = &table.servers().accepted[servers[0]];
        let port = first.port;
        let plain = |name: String, filter| FilterChain {
            name,
            filter_chain_match: FilterChainMatch::default(),
            filters: vec![filter],
            transport_socket: None,
        };
        match first.kind {
            ServerKind::Http => {
                let hosts = table.virtual_hosts(servers[0]).map(|hosts| self.virtual_hosts(hosts, "http", port));
                let name = format!("port {port} HTTP");
                vec![plain(name.clone(), connection_manager(name, hosts.unwrap_or_default(), FILTERS))]
            }
            ServerKind::Tcp => {
                let streams = tls.streams().clone();
                let rule = streams.tcp_rules().find(|(own, server, _)| *own == port && *server == first);
                rule.map(|(.., rule)| plain(first.to_string(), self.stream(port, rule))).into_iter().collect()
            }
            _ => {
                let streams = tls.streams().clone();
                let chains = streams.chains(port).filter(|(_, chain)| servers.contains(&chain.server));
                chains.map(|(name, chain)| self.by_server_name(table, tls, name, chain)).collect()
            }
        }
    }

    /// The chain of a server name.
    fn by_server_name(
        &mut self,
        table: &IstioGatewayTable,
        tls: &IstioTls,
        name: &HostPattern,
        chain: &GatewayChain,
    ) -> FilterChain {
        let server = &table.servers().accepted[chain.server];
        let filter = match &chain.rule {
            Some(rule) => self.stream(server.port, rule),
            None => {
                let hosts = table.virtual_hosts(chain.server);
                let hosts = hosts.map(|hosts| self.virtual_hosts(hosts, "https", server.port)).unwrap_or_default();
                connection_manager(format!("port {} HTTPS {name}", server.port), hosts, FILTERS)
            }
        };
        let is_ended = matches!(server.kind, ServerKind::Https | ServerKind::Tls);
        let socket = if is_ended { self.termination(tls, chain.server, server).map(Some) } else { Some(None) };
        let (filter, transport_socket) = match socket {
            Some(socket) => (filter, socket),
            // Refused: the server claims its names all the same.
            None => (NetworkFilter::close().named(), None),
        };
        let protocols = if server.kind == ServerKind::AutoPassthrough { &ISTIO_PROTOCOLS[..] } else { &[] };
        FilterChain {
            name: format!("{server} {name}"),
            filter_chain_match: FilterChainMatch {
                server_names: server_names(name),
                transport_protocol: Some("tls"),
                application_protocols: protocols.to_vec(),
            },
            filters: vec![filter],
            transport_socket,
        }
    }

    /// How a server ends TLS; `None` without anything to end it with.
    fn termination(&mut self, tls: &IstioTls, at: usize, server: &Server) -> Option<TransportSocket> {
        let place = server.to_string();
        let settings = server.tls.as_ref()?;
        let clients = match (&*settings.mode, tls.client_authority(at)) {
            ("SIMPLE", _) => Clients::Anonymous,
            ("MUTUAL", Some(authority)) => Clients::MustShow(authority),
            ("OPTIONAL_MUTUAL", Some(authority)) => Clients::MayShow(authority),
            // Without anything to judge clients by it waits for ever.
            ("MUTUAL" | "OPTIONAL_MUTUAL", None) => return None,
            (mode, _) => {
                self.remarks.add(&place, format!("mode {mode} needs certificates of the mesh; it refuses connections"));
                return None;
            }
        };
        let names = [&settings.subject_alt_names, &settings.verify_certificate_spki, &settings.verify_certificate_hash];
        if names.iter().any(|names| !names.is_empty()) {
            self.remarks.add(&place, "which clients of an authority may come is not written; it refuses connections");
            return None;
        }
        let protocols = if server.kind == ServerKind::Https { &HTTP_PROTOCOLS[..] } else { &[] };
        let secrets = tls.usable_secrets(at);
        certificates::termination(secrets, clients, protocols, &place, self.settings, &mut self.remarks)
    }

    fn virtual_hosts(&mut self, table: &RouteTable, scheme: &'static str, port: u16) -> Vec<VirtualHost> {
        table.domains().map(|domain| self.virtual_host(table, scheme, port, domain)).collect()
    }

    fn virtual_host(&mut self, table: &RouteTable, scheme: &'static str, port: u16, host: &HostPattern) -> VirtualHost {
        let place = Place { scheme, port, host };
        let mut found = virtual_host(host, Vec::new());
        for rule in table.rules(host) {
            let value = rule.value();
            if matches!(value.origin, Origin::HttpsRedirect(_)) {
                // A redirect of Envoy would drop the port 80 that a Host may name.
                found.require_tls = Some(RequireTls::All);
                continue;
            }
            let written = Rule {
                name: value.origin.to_string(),
                path: rule.path(),
                conditions: rule.conditions(),
                action: &value.action,
                failure: None,
                answers_preflights: false,
            };
            let clusters = &mut self.clusters;
            let mut name_of = |to: &Destination, remarks: &mut Remarks| clusters.of(to, remarks);
            found.routes.extend(written.routes(place, &mut name_of, &mut self.remarks));
        }
        found
    }

    fn stream(&mut self, port: u16, rule: &StreamRule) -> Extension<NetworkFilter> {
        let named = rule.backends.shares().map(|(entry, _)| {
            let name = self.clusters.of(&entry.backend, &mut self.remarks);
            (name, entry.weight)
        });
        let to = ClusterSpecifier::by_weight(named);
        NetworkFilter::TcpProxy { stat_prefix: format!("port {port}"), to }.named()
    }
}

fn listener(name: String, address: SocketAddr, filter_chains: Vec<FilterChain>) -> config::Listener {
    let has_tls = filter_chains.iter().any(|chain| chain.filter_chain_match.transport_protocol.is_some());
    config::Listener {
        name,
        address: address.into(),
        listener_filters: if has_tls { vec![ListenerFilter::TlsInspector {}.named()] } else { Vec::new() },
        filter_chains,
        udp_listener_config: None,
    }
}
