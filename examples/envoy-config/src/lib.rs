//! What Gateways and Istio decide, written down as configuration of Envoy.
//!
//! ```
//! use std::sync::Arc;
//!
//! use envoy_config::{Settings, render_gateway};
//! use route_match::gateway::GatewayTable;
//! use svc_model::api::{Gateway, Listener};
//! use svc_model::{Cluster, NamespacedName};
//! use tls_sni::gateway::GatewayTls;
//!
//! let mut gateway = Gateway::default();
//! gateway.metadata.name = "edge".into();
//! gateway.spec.listeners = vec![Listener { name: "web".into(), port: 80, protocol: "HTTP".into(), ..Default::default() }];
//! let mut cluster = Cluster::new();
//! cluster.apply(gateway);
//!
//! let table = GatewayTable::compile(&cluster, &NamespacedName::new("default", "edge"))?;
//! let gateway = GatewayTls::new(&cluster, Arc::new(table));
//! let rendered = render_gateway(&cluster, &gateway, &Settings::default());
//! assert_eq!(rendered.bootstrap.static_resources.listeners[0].name, "port 80");
//! assert!(rendered.to_string().contains(r#""port_value": 80"#));
//! # Ok::<(), route_match::gateway::UnknownGateway>(())
//! ```
//!
//! The routes are those that [`GatewayTable`](route_match::gateway::GatewayTable) answers from, in its order. Nothing is pasted: the
//! configuration is a tree of typed messages ([`config`]), and serde writes it as JSON.
//!
//! # How a table becomes a configuration
//!
//! * A port is an Envoy listener; TLS is told apart from plain bytes by what the connection begins with, and server names choose
//!   the filter chain. A listener that would refuse the handshake has a chain that closes the connection, so that
//!   nobody falls through to a wider one.
//! * Envoy asks one virtual host and no wider one, a Gateway goes on to wider hostnames: each virtual host has the routes of
//!   its own hostname, then those of every wider one, up to the first that takes everything.
//! * Over HTTPS a Host of another listener is answered with 421.
//! * A backend is a cluster with the ready endpoints of its Service port. The part of the requests that a reference in error must fail
//!   goes to a cluster that does not exist, which Envoy answers with 500.
//! * Expressions are written anew in RE2's syntax, from what they mean here.
//!
//! [`render_istio_gateway`] and [`render_mesh`] write down what a gateway's proxy and a sidecar of Istio do. Their virtual hosts stand as they
//! are, since Istio decides as Envoy does; clusters have Istio's names, and the endpoints of their subsets. A sidecar's ports are
//! listened on one by one and for requests alone: its TLS and TCP go by addresses that only a redirected connection shows.
//!
//! # What Envoy cannot do
//!
//! What a manifest asks for and Envoy cannot be told is listed in [`Rendered::unexpressed`]. Beyond that it always differs in these:
//!
//! * It resolves dot segments only together with the rest of RFC 3986's normalisation: `%61` is `a`, and `\` is `/`.
//! * A CORS preflight is answered with 200, not with 204.
//! * A redirect that keeps the path has it normalised, and the host as the client wrote it.
//! * Statuses of gRPC requests are told as gRPC's.
//!
//! Of DestinationRules the subsets and the connect timeout count; balancing, limits, outlier detection and TLS to endpoints are not written, nor
//! are certificates of the mesh (`ISTIO_MUTUAL`), whose servers refuse connections.
#![forbid(unsafe_code)]

pub mod config;

mod certificates;
mod clusters;
mod destinations;
mod gateway;
mod headers;
mod http;
mod istio;
mod matches;
mod re2;
mod remarks;
mod rewrite;
mod routes;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

pub use gateway::render_gateway;
pub use istio::{render_istio_gateway, render_mesh};
pub use remarks::Unexpressed;

use config::Bootstrap;

/// How to render.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The address that is listened on.
    pub address: IpAddr,
    /// The directory on Envoy's machine in which the pairs of Secrets lie, as `NAMESPACE/NAME/tls.crt` and `tls.key`. Keys are
    /// never written into the configuration.
    pub certificates: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED.into(), certificates: "/etc/envoy/certificates".to_owned() }
    }
}

/// A configuration.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rendered {
    /// All of it.
    pub bootstrap: Bootstrap,
    /// What it does not say, sorted.
    pub unexpressed: Vec<Unexpressed>,
}

impl fmt::Display for Rendered {
    /// The whole file, as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Maps have strings for keys, so that nothing in it cannot be written.
        let text = serde_json::to_string_pretty(&self.bootstrap).map_err(|_| fmt::Error)?;
        writeln!(f, "{text}")
    }
}
