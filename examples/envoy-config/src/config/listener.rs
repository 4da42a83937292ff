//! Where is listened, and what is done with a connection?

use std::net::SocketAddr;

use serde::Serialize;

use super::{ClusterSpecifier, CorsPolicy, DataSource, HttpFault, RouteConfiguration, TransportSocket};

/// `envoy.config.listener.v3.Listener`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What looks at connections first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listener_filters: Vec<Extension<ListenerFilter>>,
    /// What is done with them, by what they show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter_chains: Vec<FilterChain>,
    /// For UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_listener_config: Option<UdpListenerConfig>,
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// An address and port.
    SocketAddress(SocketAddress),
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SocketAddress {
    /// TCP or UDP.
    pub protocol: SocketProtocol,
    /// The address, or a name where one may stand.
    pub address: String,
    /// The port.
    pub port_value: u16,
}

/// A protocol of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SocketProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::SocketAddress(SocketAddress {
            protocol: SocketProtocol::Tcp,
            address: addr.ip().to_string(),
            port_value: addr.port(),
        })
    }
}

/// A filter by name, with its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extension<C> {
    /// Its name.
    pub name: &'static str,
    /// Its settings.
    pub typed_config: C,
}

/// `envoy.config.listener.v3.UdpListenerConfig`, with its defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UdpListenerConfig {}

/// A filter of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "@type")]
pub enum ListenerFilter {
    /// `envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector`: reads the server name.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector")]
    TlsInspector {},
    /// `envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig")]
    UdpProxy {
        /// A word for statistics.
        stat_prefix: String,
        /// Where packets go.
        matcher: UdpMatcher,
    },
}

impl ListenerFilter {
    /// The filter under its name.
    pub fn named(self) -> Extension<Self> {
        let name = match self {
            Self::TlsInspector {} => "envoy.filters.listener.tls_inspector",
            Self::UdpProxy { .. } => "envoy.filters.udp_listener.udp_proxy",
        };
        Extension { name, typed_config: self }
    }
}

/// `xds.type.matcher.v3.Matcher` that matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UdpMatcher {
    /// What is done.
    pub on_no_match: UdpOnNoMatch,
}

/// `xds.type.matcher.v3.Matcher.OnMatch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UdpOnNoMatch {
    /// The action.
    pub action: Extension<UdpAction>,
}

/// Where UDP packets go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "@type")]
pub enum UdpAction {
    /// `envoy.extensions.filters.udp.udp_proxy.v3.Route`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.Route")]
    Route {
        /// The cluster.
        cluster: String,
    },
}

/// `envoy.config.listener.v3.FilterChain`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterChain {
    /// Its name.
    pub name: String,
    /// Which connections it is for; the most specific server name wins.
    pub filter_chain_match: FilterChainMatch,
    /// What is done with them.
    pub filters: Vec<Extension<NetworkFilter>>,
    /// How they are secured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport_socket: Option<TransportSocket>,
}

/// `envoy.config.listener.v3.FilterChainMatch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FilterChainMatch {
    /// Server names; empty for any, and none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server_names: Vec<String>,
    /// `tls` or `raw_buffer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport_protocol: Option<&'static str>,
    /// Protocols of which the client offers one; empty for any, and none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub application_protocols: Vec<&'static str>,
}

/// A filter of a connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "@type")]
pub enum NetworkFilter {
    /// HTTP.
    #[serde(
        rename = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    )]
    HttpConnectionManager(Box<HttpConnectionManager>),
    /// `envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy")]
    TcpProxy {
        /// A word for statistics.
        stat_prefix: String,
        /// Where the bytes go.
        #[serde(flatten)]
        to: ClusterSpecifier,
    },
    /// `envoy.extensions.filters.network.direct_response.v3.Config`: says this, and closes.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config")]
    DirectResponse {
        /// What is said.
        response: DataSource,
    },
}

impl NetworkFilter {
    /// The filter under its name.
    pub fn named(self) -> Extension<Self> {
        let name = match self {
            Self::HttpConnectionManager(_) => "envoy.filters.network.http_connection_manager",
            Self::TcpProxy { .. } => "envoy.filters.network.tcp_proxy",
            Self::DirectResponse { .. } => "envoy.filters.network.direct_response",
        };
        Extension { name, typed_config: self }
    }

    /// Closes the connection.
    pub fn close() -> Self {
        Self::DirectResponse { response: DataSource::InlineString(String::new()) }
    }
}

/// `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpConnectionManager {
    /// A word for statistics.
    pub stat_prefix: String,
    /// Which request goes where.
    pub route_config: RouteConfiguration,
    /// What requests pass through.
    pub http_filters: Vec<Extension<HttpFilter>>,
    /// Whether the other end of the connection is the client, whose word on where it comes from is not taken.
    pub use_remote_address: bool,
    /// Whether paths are normalised as RFC 3986 says.
    pub normalize_path: bool,
    /// Whether one dot at the end of the Host is taken off.
    pub strip_trailing_host_dot: bool,
    /// `PASS_THROUGH` leaves the header `server` to backends.
    pub server_header_transformation: &'static str,
    /// Protocols that a client may go over to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upgrade_configs: Vec<UpgradeConfig>,
}

/// `HttpConnectionManager.UpgradeConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpgradeConfig {
    /// The protocol.
    pub upgrade_type: &'static str,
}

/// A filter of requests; what it does stands at the routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "@type")]
pub enum HttpFilter {
    /// `envoy.extensions.filters.http.cors.v3.Cors`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors")]
    Cors {},
    /// `envoy.extensions.filters.http.fault.v3.HTTPFault`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault")]
    Fault {},
    /// `envoy.extensions.filters.http.router.v3.Router`, which is the last.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router")]
    Router {},
}

impl HttpFilter {
    /// The filter under its name.
    pub fn named(self) -> Extension<Self> {
        let name = match self {
            Self::Cors {} => CorsPolicy::FILTER,
            Self::Fault {} => HttpFault::FILTER,
            Self::Router {} => "envoy.filters.http.router",
        };
        Extension { name, typed_config: self }
    }
}
