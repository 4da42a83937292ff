//! What does a Gateway listen for? Its ports, with a chain for each kind of connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use route_match::gateway::{Backend, GatewayTable, Listener, ListenerProtocol, RouteRule};
use route_match::{Host, HostPattern, WildcardDepth};
use svc_model::{Cluster, Kind};
use tls_sni::gateway::GatewayTls;

use crate::certificates::{self, Clients};
use crate::clusters::{Clusters, Speech};
use crate::config::{
    self, Address, Bootstrap, ClusterSpecifier, Extension, FilterChain, FilterChainMatch, HttpFilter, ListenerFilter,
    NetworkFilter, SocketProtocol, TransportSocket, UdpAction, UdpListenerConfig, UdpMatcher, UdpOnNoMatch,
    VirtualHost,
};
use crate::http::{HTTP_PROTOCOLS, connection_manager, server_names, virtual_host};
use crate::remarks::Remarks;
use crate::rewrite::Place;
use crate::routes::{self, Rule};
use crate::{Rendered, Settings};

use ListenerProtocol::{Http, Https, Tcp, Tls, Udp};

/// Renders a Gateway. `cluster` is the one that it was compiled from. O(n log n) in its rules, each counted once for every hostname
/// of its listener that its own hostname covers.
pub fn render_gateway(cluster: &Cluster, gateway: &GatewayTls, settings: &Settings) -> Rendered {
    let mut ports: BTreeMap<(u16, bool), Vec<usize>> = BTreeMap::new();
    for (at, listener) in gateway.table().listeners().iter().enumerate() {
        ports.entry((listener.port, listener.protocol == Udp)).or_default().push(at);
    }
    let mut open = Ports {
        gateway,
        table: gateway.table(),
        settings,
        clusters: Clusters::new(cluster),
        remarks: Remarks::default(),
    };
    let listeners = ports
        .into_iter()
        .filter_map(|((port, is_udp), at)| if is_udp { open.udp(port, &at) } else { Some(open.tcp(port, &at)) })
        .collect();
    let Ports { clusters, remarks, .. } = open;
    Rendered { bootstrap: Bootstrap::new(listeners, clusters.into_vec()), unexpressed: remarks.into_vec() }
}

struct Ports<'g> {
    gateway: &'g GatewayTls,
    table: &'g GatewayTable,
    settings: &'g Settings,
    clusters: Clusters<'g>,
    remarks: Remarks,
}

/// The hosts that requests of a port are told apart by, each with the listener that it belongs to.
struct Domains<'g>(BTreeMap<HostPattern, (usize, &'g Listener)>);

impl<'g> Domains<'g> {
    /// Of these listeners: their own hosts, and within these the hosts of rules. Patterns are nested or apart, so that every request whose
    /// most specific one is the same has the same listener and the same rules.
    fn of(table: &'g GatewayTable, at: &[usize]) -> Self {
        let listeners: Vec<(usize, &Listener)> = at.iter().map(|at| (*at, &table.listeners()[*at])).collect();
        let mut hosts = BTreeSet::new();
        for (at, listener) in &listeners {
            hosts.insert(&listener.hosts);
            hosts.extend(table.hosts(*at).filter_map(|host| listener.hosts.intersection(host)));
        }
        let owner = |host: &HostPattern| {
            let covering = listeners.iter().filter(|(_, listener)| listener.hosts.covers(host));
            covering.min_by_key(|(at, listener)| (&listener.hosts, *at)).copied()
        };
        Self(hosts.into_iter().filter_map(|host| Some((host.clone(), owner(host)?))).collect())
    }
}

impl<'g> Ports<'g> {
    /// What listens on a port for TCP.
    fn tcp(&mut self, port: u16, at: &[usize]) -> config::Listener {
        let of = |protocol: ListenerProtocol| -> Vec<usize> {
            at.iter().copied().filter(|at| self.table.listeners()[*at].protocol == protocol).collect()
        };
        let (http, https, tls, tcp) = (of(Http), of(Https), of(Tls), of(Tcp));
        let has_tls = !https.is_empty() || !tls.is_empty();
        let mut filter_chains = Vec::new();
        if !http.is_empty() {
            let hosts = Domains::of(self.table, &http);
            let virtual_hosts = hosts.0.iter().map(|(host, (at, _))| self.virtual_host("http", port, *at, host));
            let virtual_hosts = virtual_hosts.collect();
            let transport_protocol = has_tls.then_some("raw_buffer");
            filter_chains.push(FilterChain {
                name: format!("port {port} HTTP"),
                filter_chain_match: FilterChainMatch { transport_protocol, ..FilterChainMatch::default() },
                filters: vec![connection_manager(format!("port {port} HTTP"), virtual_hosts, [HttpFilter::Cors {}])],
                transport_socket: None,
            });
        }
        for at in tcp {
            let rule = self.table.hosts(at).flat_map(|host| self.table.rules(at, host)).next();
            filter_chains.push(FilterChain {
                name: self.table.listeners()[at].to_string(),
                filter_chain_match: FilterChainMatch::default(),
                filters: vec![self.stream(port, rule.map(|rule| &**rule.value()))],
                transport_socket: None,
            });
        }
        self.by_server_name(port, &https, &tls, &mut filter_chains);
        config::Listener {
            name: format!("port {port}"),
            address: self.address(port),
            listener_filters: if has_tls { vec![ListenerFilter::TlsInspector {}.named()] } else { Vec::new() },
            filter_chains,
            udp_listener_config: None,
        }
    }

    /// The chains of HTTPS and TLS listeners: the most specific server name decides between all of them.
    fn by_server_name(&mut self, port: u16, https: &[usize], tls: &[usize], chains: &mut Vec<FilterChain>) {
        let names = Domains::of(self.table, &[https, tls].concat());
        let hosts = Domains::of(self.table, https);
        for (name, (at, listener)) in &names.0 {
            // An HTTPS listener has one chain for all of its names.
            let filters = match listener.protocol {
                Https if *name == listener.hosts => {
                    let virtual_hosts = hosts.0.iter().map(|(host, (own, _))| match own == at {
                        true => self.virtual_host("https", port, *at, host),
                        false => misdirected(host),
                    });
                    let virtual_hosts = virtual_hosts.collect();
                    let name = format!("port {port} HTTPS {name}");
                    vec![connection_manager(name, virtual_hosts, [HttpFilter::Cors {}])]
                }
                Tls => {
                    let rule = Self::wider(name).find_map(|host| self.table.rules(*at, &host).next());
                    vec![self.stream(port, rule.map(|rule| &**rule.value()))]
                }
                _ => continue,
            };
            let socket = match listener.is_passthrough() {
                true => Some(None),
                false => self.certificates(*at, listener).map(Some),
            };
            let (filters, transport_socket) = match socket {
                Some(socket) => (filters, socket),
                // Refused, lest the name fall to a wider chain.
                None => (vec![NetworkFilter::close().named()], None),
            };
            chains.push(FilterChain {
                name: format!("{listener} {name}"),
                filter_chain_match: FilterChainMatch {
                    server_names: server_names(name),
                    transport_protocol: Some("tls"),
                    ..FilterChainMatch::default()
                },
                filters,
                transport_socket,
            });
        }
    }

    /// TLS that ends here; `None` without a certificate that can be used.
    fn certificates(&mut self, at: usize, listener: &Listener) -> Option<TransportSocket> {
        let protocols = if listener.protocol == Https { &HTTP_PROTOCOLS[..] } else { &[] };
        let (secrets, place) = (self.gateway.usable_secrets(at), listener.to_string());
        certificates::termination(secrets, Clients::Anonymous, protocols, &place, self.settings, &mut self.remarks)
    }

    /// A host of a listener, with the rules that are asked about its requests.
    fn virtual_host(&mut self, scheme: &'static str, port: u16, at: usize, host: &HostPattern) -> VirtualHost {
        let mut found = Vec::new();
        let place = Place { scheme, port, host };
        for pattern in Self::wider(host) {
            for rule in self.table.rules(at, &pattern) {
                let value: &RouteRule = rule.value();
                let speech = if value.route.kind == Kind::GrpcRoute { Speech::Grpc } else { Speech::Http };
                let written = Rule {
                    name: format!("{} rule {}", value.route, value.rule),
                    path: rule.path(),
                    conditions: rule.conditions(),
                    action: &value.action,
                    failure: value.failure(),
                    answers_preflights: true,
                };
                let clusters = &mut self.clusters;
                let mut name_of = |backend: &Backend, remarks: &mut Remarks| clusters.of(backend, speech, remarks);
                found.extend(written.routes(place, &mut name_of, &mut self.remarks));
                if written.takes_everything() {
                    return virtual_host(host, found);
                }
            }
        }
        virtual_host(host, found)
    }

    /// The patterns that cover a host, from most to least specific.
    fn wider(host: &HostPattern) -> impl Iterator<Item = HostPattern> + use<> {
        let mut wider = vec![host.clone()];
        let name = match host {
            HostPattern::Exact(host) => Some(host),
            HostPattern::Wildcard(wildcard) => Some(wildcard.suffix()),
            HostPattern::Any => None,
        };
        let mut rest = name.filter(|name| name.is_name()).map_or("", Host::as_str);
        while let Some((_, suffix)) = rest.split_once('.') {
            wider.extend(HostPattern::parse(&format!("*.{suffix}"), WildcardDepth::Any).ok());
            rest = suffix;
        }
        wider.push(HostPattern::Any);
        wider.dedup();
        wider.into_iter()
    }

    /// What becomes of the bytes of a connection.
    fn stream(&mut self, port: u16, rule: Option<&RouteRule>) -> Extension<NetworkFilter> {
        let to = rule.and_then(|rule| self.destination(rule));
        let filter = match to {
            None => NetworkFilter::close(),
            Some(to) => NetworkFilter::TcpProxy { stat_prefix: format!("port {port}"), to },
        };
        filter.named()
    }

    /// Where a rule of a stream leads; `None` if nowhere.
    fn destination(&mut self, rule: &RouteRule) -> Option<ClusterSpecifier> {
        let shares: Vec<_> = rule.action.backends()?.shares().map(|(entry, _)| entry).collect();
        let is_invalid = |backend: &Backend| matches!(backend, Backend::Unavailable(why) if why.is_invalid_reference());
        if shares.iter().all(|entry| is_invalid(&entry.backend)) {
            return None;
        }
        let named = shares.iter().map(|entry| {
            let name = self.clusters.of(&entry.backend, Speech::Stream, &mut self.remarks);
            (name, entry.weight)
        });
        Some(ClusterSpecifier::by_weight(named))
    }

    /// What listens on a port for UDP.
    fn udp(&mut self, port: u16, at: &[usize]) -> Option<config::Listener> {
        let at = *at.first()?;
        let rule = self.table.hosts(at).flat_map(|host| self.table.rules(at, host)).next()?;
        let listener = self.table.listeners()[at].to_string();
        let cluster = match self.destination(rule.value()) {
            None => return None,
            Some(ClusterSpecifier::Cluster(cluster)) => cluster,
            Some(ClusterSpecifier::WeightedClusters(_)) => {
                self.remarks.add(&listener, "packets cannot be shared by weight; nothing listens");
                return None;
            }
        };
        let Address::SocketAddress(mut address) = self.address(port);
        address.protocol = SocketProtocol::Udp;
        let action = Extension { name: "route", typed_config: UdpAction::Route { cluster } };
        let matcher = UdpMatcher { on_no_match: UdpOnNoMatch { action } };
        let proxy = ListenerFilter::UdpProxy { stat_prefix: format!("port {port} UDP"), matcher };
        Some(config::Listener {
            name: format!("port {port} UDP"),
            address: Address::SocketAddress(address),
            listener_filters: vec![proxy.named()],
            filter_chains: Vec::new(),
            udp_listener_config: Some(UdpListenerConfig {}),
        })
    }

    fn address(&self, port: u16) -> Address {
        SocketAddr::new(self.settings.address, port).into()
    }
}

/// The host of another listener (RFC 9110, 15.5.20).
fn misdirected(host: &HostPattern) -> VirtualHost {
    virtual_host(host, vec![routes::answer(format!("{host} is another listener's"), 421)])
}
