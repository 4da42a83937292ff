//! Which servers does a gateway proxy open, and which do others keep out?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use svc_model::api::{IstioGateway, IstioServer, IstioServerTls, Pod, StringMap, selects};
use svc_model::{Cluster, NamespacedName, Resource};

use super::names::ServerHost;
use super::order::Age;

/// The proxy that opens the servers of a Gateway, and those of every other Gateway that selects it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayProxy {
    /// Its Pod: the first that the Gateway selects. `None` if there is none, or the Gateway selects by no label; then it is as if there
    /// were one in the Gateway's namespace that has just the labels of the selector.
    pub pod: Option<NamespacedName>,
    /// Its namespace: `exportTo` and the names of Secrets are judged from here.
    pub namespace: Box<str>,
    /// Its labels.
    pub labels: StringMap,
    /// The Gateways whose servers it opens, in their order.
    pub gateways: Vec<NamespacedName>,
}

impl GatewayProxy {
    /// The proxy of a Gateway. Costs the Gateways of the cluster, and its namespaces.
    pub fn of(cluster: &Cluster, gateway: &IstioGateway) -> Self {
        let selector = &gateway.spec.selector;
        let pod: Option<&Pod> =
            cluster.namespaces().into_iter().find_map(|namespace| cluster.pods_selected_by(namespace, selector).next());
        let labels = pod.map_or(selector, |pod| &pod.metadata.labels).clone();
        let mut gateways: Vec<Age> = cluster
            .list::<IstioGateway>()
            .filter(|other| selects(&other.spec.selector, &labels))
            .map(Age::of)
            .collect();
        gateways.sort();
        Self {
            pod: pod.map(Resource::key),
            namespace: pod.map_or(gateway.namespace(), |pod| pod.namespace()).into(),
            labels,
            gateways: gateways.iter().map(Age::key).collect(),
        }
    }
}

/// A port of a gateway proxy, and the hosts served there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// The Gateway.
    pub gateway: NamespacedName,
    /// The index in its `spec.servers`.
    pub index: usize,
    /// Its name, else that of its port.
    pub name: Box<str>,
    /// The port.
    pub port: u16,
    /// The address; empty for all.
    pub bind: Box<str>,
    /// What it does with connections.
    pub kind: ServerKind,
    /// The hosts.
    pub hosts: Vec<ServerHost>,
    /// How it handles TLS.
    pub tls: Option<IstioServerTls>,
}

/// What a server does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ServerKind {
    /// It speaks HTTP.
    Http,
    /// It ends TLS and speaks HTTP.
    Https,
    /// It ends TLS and hands the bytes on.
    Tls,
    /// It hands TLS on by the server name, as `tls` rules say.
    Passthrough,
    /// It hands TLS on to the service and subset that the server name spells.
    AutoPassthrough,
    /// It hands the bytes on.
    Tcp,
}

/// Why a server is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerFault {
    /// It has no port, or none that is one.
    #[error("has no port from 1 to 65535")]
    NoPort,
    /// The protocol is none.
    #[error("protocol {0:?} is none that a gateway speaks")]
    Protocol(String),
    /// The protocol needs settings of TLS.
    #[error("protocol {0} needs tls")]
    NoTls(String),
    /// The mode is none.
    #[error("tls mode {0:?} is none")]
    Mode(String),
    /// An earlier server of the port does something else with connections.
    #[error("port {0} is taken by a server of another kind, of Gateway {1}")]
    Conflict(u16, NamespacedName),
    /// An earlier server that speaks TLS has a host of this one.
    #[error("host {0} is taken by an earlier server of the port")]
    Host(ServerHost),
    /// An earlier HTTPS server of the Gateway has the same port and name of the port.
    #[error("the name of the port is taken by an earlier server")]
    PortName,
}

impl ServerFault {
    /// Whether another server is in the way; otherwise it is wrong by itself.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(..) | Self::Host(_) | Self::PortName)
    }
}

/// A server that is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedServer {
    /// The Gateway.
    pub gateway: NamespacedName,
    /// The index in its `spec.servers`.
    pub index: usize,
    /// Why.
    pub fault: ServerFault,
}

/// The servers of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Servers {
    /// Those that it opens, in order.
    pub accepted: Vec<Server>,
    /// Those that it does not.
    pub refused: Vec<RefusedServer>,
}

impl ServerKind {
    /// Whether connections begin with a handshake.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls | Self::Passthrough | Self::AutoPassthrough)
    }
}

impl Server {
    /// Whether plain requests are sent to HTTPS. It means nothing on a server that is not plain.
    pub fn redirects_to_https(&self) -> bool {
        self.kind == ServerKind::Http && self.tls.as_ref().is_some_and(|tls| tls.https_redirect)
    }

    fn read(gateway: &IstioGateway, index: usize, server: &IstioServer) -> Result<Self, ServerFault> {
        let port = server.port.as_ref().ok_or(ServerFault::NoPort)?;
        let number = u16::try_from(port.number).ok().filter(|number| *number != 0).ok_or(ServerFault::NoPort)?;
        let name = if server.name.is_empty() { &port.name } else { &server.name };
        Ok(Self {
            gateway: gateway.key(),
            index,
            name: name.as_str().into(),
            port: number,
            bind: server.bind.as_str().into(),
            kind: kind(&port.protocol, server.tls.as_ref())?,
            hosts: ServerHost::read(&server.hosts, gateway.namespace()),
            tls: server.tls.clone(),
        })
    }
}

fn kind(protocol: &str, tls: Option<&IstioServerTls>) -> Result<ServerKind, ServerFault> {
    let upper = protocol.to_ascii_uppercase();
    match (&*upper, tls) {
        ("HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB", _) => return Ok(ServerKind::Http),
        ("TCP" | "MONGO" | "MYSQL" | "REDIS", None) => return Ok(ServerKind::Tcp),
        ("HTTPS" | "TLS", None) => return Err(ServerFault::NoTls(upper)),
        ("HTTPS" | "TLS" | "TCP" | "MONGO" | "MYSQL" | "REDIS", Some(_)) => {}
        _ => return Err(ServerFault::Protocol(protocol.chars().take(32).collect())),
    }
    let mode = tls.map_or("", |tls| &tls.mode);
    match mode {
        "" | "PASSTHROUGH" => Ok(ServerKind::Passthrough),
        "AUTO_PASSTHROUGH" => Ok(ServerKind::AutoPassthrough),
        "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL" | "ISTIO_MUTUAL" if upper == "HTTPS" => Ok(ServerKind::Https),
        "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL" | "ISTIO_MUTUAL" => Ok(ServerKind::Tls),
        other => Err(ServerFault::Mode(other.chars().take(32).collect())),
    }
}

/// What is open on a port so far.
struct Opened<'s> {
    /// The first server.
    kind: ServerKind,
    gateway: NamespacedName,
    /// The hosts of servers that speak TLS.
    hosts: BTreeSet<ServerHost>,
    /// Gateway and name of the port of the HTTPS servers.
    names: BTreeSet<(NamespacedName, &'s str)>,
}

impl Servers {
    /// The servers of a proxy: those of its Gateways, in their order, that no earlier one keeps out. O(n log n) in their hosts.
    pub fn of(cluster: &Cluster, proxy: &GatewayProxy) -> Self {
        let mut servers = Self::default();
        let mut ports: BTreeMap<(u16, &str), Opened<'_>> = BTreeMap::new();
        let gateways = proxy.gateways.iter().filter_map(|key| cluster.get::<IstioGateway>(&key.namespace, &key.name));
        for gateway in gateways {
            for (index, written) in gateway.spec.servers.iter().enumerate() {
                let taken = Server::read(gateway, index, written)
                    .and_then(|server| open(&mut ports, written, &server).map(|()| server));
                match taken {
                    Ok(server) => servers.accepted.push(server),
                    Err(fault) => servers.refused.push(RefusedServer { gateway: gateway.key(), index, fault }),
                }
            }
        }
        servers
    }
}

/// Opens a server on its port, if what is open there lets it.
fn open<'s>(
    ports: &mut BTreeMap<(u16, &'s str), Opened<'s>>,
    written: &'s IstioServer,
    server: &Server,
) -> Result<(), ServerFault> {
    let opened = ports.entry((server.port, &written.bind));
    let is_first = matches!(opened, std::collections::btree_map::Entry::Vacant(_));
    let opened = opened.or_insert_with(|| Opened {
        kind: server.kind,
        gateway: server.gateway.clone(),
        hosts: BTreeSet::new(),
        names: BTreeSet::new(),
    });
    if !is_first {
        // Plain HTTP shares a port with plain HTTP, and TLS with TLS; nothing tells two servers of bytes apart.
        let share = match opened.kind {
            ServerKind::Http => server.kind == ServerKind::Http,
            ServerKind::Tcp => false,
            _ => server.kind.is_tls(),
        };
        if !share {
            return Err(ServerFault::Conflict(server.port, opened.gateway.clone()));
        }
    }
    if server.kind.is_tls() {
        if let Some(host) = server.hosts.iter().find(|host| opened.hosts.contains(*host)) {
            return Err(ServerFault::Host(host.clone()));
        }
        let name = written.port.as_ref().map_or("", |port| &port.name);
        if server.kind == ServerKind::Https && !opened.names.insert((server.gateway.clone(), name)) {
            return Err(ServerFault::PortName);
        }
        opened.hosts.extend(server.hosts.iter().cloned());
    }
    Ok(())
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} of Gateway {}", self.index, self.gateway)?;
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        Ok(())
    }
}
