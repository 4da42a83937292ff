//! Where do requests go?

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::{Address, Seconds, TransportSocket};

/// `envoy.config.cluster.v3.Cluster`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cluster {
    /// Its name, which routes refer to.
    pub name: String,
    /// How its endpoints are found.
    #[serde(rename = "type")]
    pub type_: DiscoveryType,
    /// How long a connection may take.
    pub connect_timeout: Seconds,
    /// How an endpoint is chosen; by turns if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lb_policy: Option<&'static str>,
    /// Its endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_assignment: Option<ClusterLoadAssignment>,
    /// How connections are secured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport_socket: Option<TransportSocket>,
    /// What is spoken; HTTP/1.1 if nothing is said.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub typed_extension_protocol_options: BTreeMap<&'static str, ProtocolOptions>,
}

/// How the endpoints of a cluster are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DiscoveryType {
    /// They are written down.
    Static,
    /// All addresses of their names.
    StrictDns,
    /// Of each name the address that is needed next.
    LogicalDns,
    /// Where the client was going.
    OriginalDst,
}

/// `envoy.config.endpoint.v3.ClusterLoadAssignment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterLoadAssignment {
    /// The cluster's name.
    pub cluster_name: String,
    /// The endpoints.
    pub endpoints: Vec<LocalityLbEndpoints>,
}

impl ClusterLoadAssignment {
    /// Endpoints without locality.
    pub fn of(cluster_name: String, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        let lb_endpoints: Vec<_> = addrs
            .into_iter()
            .map(|addr| LbEndpoint { endpoint: Endpoint { address: addr.into() }, load_balancing_weight: None })
            .collect();
        let endpoints = if lb_endpoints.is_empty() { Vec::new() } else { vec![LocalityLbEndpoints { lb_endpoints }] };
        Self { cluster_name, endpoints }
    }
}

/// `envoy.config.endpoint.v3.LocalityLbEndpoints`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalityLbEndpoints {
    /// The endpoints.
    pub lb_endpoints: Vec<LbEndpoint>,
}

/// `envoy.config.endpoint.v3.LbEndpoint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LbEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its weight; 1 if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancing_weight: Option<u32>,
}

/// `envoy.config.endpoint.v3.Endpoint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Its address.
    pub address: Address,
}

/// What is spoken to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "@type")]
pub enum ProtocolOptions {
    /// `envoy.extensions.upstreams.http.v3.HttpProtocolOptions`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions")]
    Http {
        /// The version.
        explicit_http_config: ExplicitHttpConfig,
    },
}

/// A version of HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplicitHttpConfig {
    /// HTTP/2, without asking.
    Http2ProtocolOptions(Http2ProtocolOptions),
}

/// `envoy.config.core.v3.Http2ProtocolOptions`, with its defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Http2ProtocolOptions {}
