//! The Kubernetes Gateway API: what a Gateway does with requests and connections, what its controller reports, and what is wrong.
//!
//! ```
//! use route_match::gateway::{GatewayTable, HttpQuestion, Outcome, Scheme};
//! use svc_model::api::{Gateway, HttpRoute};
//! use svc_model::{Cluster, NamespacedName};
//!
//! let gateway: Gateway = serde_json::from_str(r#"{
//!     "metadata": {"name": "edge", "namespace": "infra"},
//!     "spec": {"gatewayClassName": "any", "listeners": [
//!         {"name": "http", "port": 80, "protocol": "HTTP", "hostname": "*.shop.example"}]}
//! }"#)?;
//! let route: HttpRoute = serde_json::from_str(r#"{
//!     "metadata": {"name": "old-cart", "namespace": "infra"},
//!     "spec": {"parentRefs": [{"name": "edge"}], "rules": [{
//!         "matches": [{"path": {"value": "/basket"}}],
//!         "filters": [{"type": "RequestRedirect", "requestRedirect": {
//!             "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/cart"}}}]}]}
//! }"#)?;
//! let mut cluster = Cluster::new();
//! cluster.apply(gateway);
//! cluster.apply(route);
//!
//! let table = GatewayTable::compile(&cluster, &NamespacedName::new("infra", "edge"))?;
//! let decision = table.decide(&HttpQuestion::new(Scheme::Http, "eu.shop.example", "/basket/7"), None);
//! let location = "http://eu.shop.example/cart/7".to_owned();
//! assert_eq!(decision.outcome, Outcome::Redirect { code: 302, location });
//! assert_eq!(
//!     decision.to_string(),
//!     "listener http, HTTPRoute/infra/old-cart rule 0 (host *, prefix /basket), the most specific match",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In which order
//!
//! 1. **Listener.** Of those with the connection's port and protocol, the one with the most specific hostname that fits is
//!    the only one asked. Plain HTTP goes by the Host, TLS by the server name; a request over HTTPS whose Host belongs to another
//!    listener is 421.
//! 2. **Attachment.** A route is attached where a `parentRef` names the listener, `allowedRoutes` admits its kind and namespace, and the
//!    hostnames intersect.
//! 3. **Match.** Over all attached routes: the longer own hostname, then the path (exact, expression, longer prefix), a method, more headers,
//!    more query parameters, the older route, the smaller `namespace/name`, the earlier rule and match. A GRPCRoute's order is
//!    service, method, headers; it takes requests of content type `application/grpc` alone, and goes before HTTPRoutes of the same
//!    hostname. If nothing of a hostname matches, less specific ones are tried.
//! 4. **Action.** Filters, then backends by weight. A reference that is invalid fails with its part of the requests, 500 or, where
//!    no endpoint is ready, 503; the others never get it. A filter that cannot be applied fails its whole rule with 500.
//!
//! Paths are matched as received, save that dot segments are resolved. Expressions must match the whole value.
//!
//! # Following a cluster
//!
//! [`GatewayTable::update`] takes the [`Touched`](svc_model::Touched) of any number of changes and rebuilds the routes and hosts that these
//! bear on; the outcome is that of compiling anew.
//!
//! # Beside the decisions
//!
//! [`GatewayTable::status`] and [`route_status`] give the conditions that a controller reports. [`check`] says what the
//! API server refuses, and finds rules that nothing reaches. Listeners with their certificate references are there for
//! whoever ends TLS ([`GatewayTable::decide_tls`], [`Listener::secrets`]).
//!
//! What is in error is left out: a listener, a hostname, a match; the rest of its object stands. In a cluster without any Pod, slice or
//! Endpoints, as manifests of routes alone are, no Service is unavailable for want of endpoints.

mod attach;
mod backend;
pub mod check;
mod decision;
mod filter;
mod grant;
mod listener;
mod read;
mod route;
mod status;
mod table;

pub use attach::Detached;
pub use backend::{Backend, Unavailable, backend_tls_policy};
pub use decision::{Decision, Outcome, Reason, StreamDecision};
pub use grant::may_refer;
pub use listener::{
    CertificateFault, Listener, ListenerCertificate, ListenerFault, ListenerProtocol, ListenerTls, RefusedListener,
    UnknownListenerProtocol,
};
pub use route::RouteRule;
pub use status::{
    Condition, ConditionStatus, GatewayStatus, ListenerStatus, ParentStatus, RouteStatus, gateways_of, route_status,
};
pub use table::{GatewayTable, UnknownGateway};

pub use crate::outcome::HttpOutcome;
pub use crate::question::{HttpQuestion, Scheme};
pub use crate::service_backend::ServiceBackend;
