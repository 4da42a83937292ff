//! Istio: what its proxies do with requests, by VirtualServices at gateways and in the mesh.
//!
//! ```
//! use route_match::istio::{HttpQuestion, IstioGatewayTable, Outcome, Scheme};
//! use svc_model::api::{IstioGateway, VirtualService};
//! use svc_model::{Cluster, NamespacedName};
//!
//! let gateway: IstioGateway = serde_json::from_str(r#"{
//!     "metadata": {"name": "edge", "namespace": "infra"},
//!     "spec": {"selector": {"istio": "ingressgateway"}, "servers": [
//!         {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*.shop.example"]}]}
//! }"#)?;
//! let routes: VirtualService = serde_json::from_str(r#"{
//!     "metadata": {"name": "cart", "namespace": "shop"},
//!     "spec": {"hosts": ["eu.shop.example"], "gateways": ["infra/edge"], "http": [
//!         {"match": [{"uri": {"prefix": "/basket"}}], "redirect": {"prefixRewrite": "/cart"}},
//!         {"route": [{"destination": {"host": "cart", "subset": "v1"}, "weight": 90},
//!                    {"destination": {"host": "cart", "subset": "v2"}, "weight": 10}]}]}
//! }"#)?;
//! let mut cluster = Cluster::new();
//! cluster.apply(gateway);
//! cluster.apply(routes);
//!
//! let table = IstioGatewayTable::compile(&cluster, &NamespacedName::new("infra", "edge"))?;
//! let decision = table.decide(&HttpQuestion::new(Scheme::Http, "eu.shop.example", "/basket/7"), None);
//! let location = "http://eu.shop.example/cart/7".to_owned();
//! assert_eq!(decision.outcome, Outcome::Redirect { code: 301, location });
//! assert_eq!(
//!     decision.to_string(),
//!     "VirtualService/shop/cart rule 0 (host eu.shop.example, text prefix /basket), the first that takes the request",
//! );
//! let decision = table.decide(&HttpQuestion::new(Scheme::Http, "eu.shop.example", "/"), None);
//! let backends = decision.rule.and_then(|rule| rule.action.backends()).unwrap();
//! let (backend, share) = backends.shares().next().unwrap();
//! assert_eq!((&*backend.backend.host, share), ("cart.shop.svc.cluster.local", 0.9));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In which order
//!
//! 1. **Proxy.** A Gateway's servers are opened by the Pods that it selects, together with those of every other Gateway that selects
//!    them ([`GatewayProxy`]). What `exportTo` lets through is judged from the Pod's namespace.
//! 2. **Server.** Plain HTTP servers of a port share one table of virtual hosts; each HTTPS server has its own, and the server name
//!    of the handshake chooses it. A server that an earlier one of its port keeps out says why ([`ServerFault`]).
//! 3. **Virtual host.** A VirtualService that lists the Gateway joins a server with the narrower of each two names, its own and the
//!    server's. The most specific domain that fits a request is the only one asked: 404 if none of its rules takes it.
//! 4. **Rule.** The first that matches, in the order in which they are written. VirtualServices of one virtual host follow one another:
//!    private ones, those lent to the proxy's namespace, public ones, each from old to new ([`Precedence`]); catch-alls go last.
//! 5. **Action.** Fault, CORS, then redirect, direct response, or destinations by weight with rewrites, mirrors, retries.
//!
//! What a match asks of the port, the gateway or the caller is decided while a table is compiled. Paths are matched and forwarded in
//! one form, `pathNormalization: BASE`. Rules of delegates stand in the places of the rules that hand over to them, 65,536 matches of a
//! VirtualService at most.
//!
//! # Connections, and the mesh
//!
//! [`GatewayStreams`] is the other side of a gateway: servers of bytes, and who answers to which server name. [`MeshTable`] is what the proxy
//! beside a workload does, by the caller's namespace and labels ([`Caller`]):
//!
//! 1. **Service.** Services and the hosts of ServiceEntries are one [`Registry`]; what `exportTo` and the Sidecar that applies let through
//!    is seen. Of several with one host that of the caller's namespace is meant, then Services, then the older.
//! 2. **Domain.** On each port where anybody takes requests, a service is called by its name, its shorter forms and its addresses. Its rules
//!    are those of the first VirtualService with its very host, else with the longest wildcard above it, which has any left for this
//!    port and caller; without one it is the destination itself. Hosts that are no service have rules on port 80, or beside a service.
//! 3. **Connection.** What is not read as requests goes by destination address and `tcp` rules, or by server name and `tls` rules.
//! 4. **Unknown.** `outboundTrafficPolicy` lets it through or refuses it.
//!
//! At the end of a route, [`Destinations`] knows the service, the DestinationRule that holds for the caller ([`DestinationRules`]), its
//! [`TrafficPolicy`] in the words of `lb-select`, and the endpoints of the subset.
//!
//! # Following a cluster
//!
//! [`IstioGatewayTable::update`] takes the [`Touched`](svc_model::Touched) of any number of changes and rebuilds the virtual hosts that
//! these bear on; the outcome is that of compiling anew. [`MeshTable::update`] does the same for the mesh.
//!
//! # For other proxies
//!
//! Tables are data: [`IstioGatewayTable::servers`] and [`virtual_hosts`](IstioGatewayTable::virtual_hosts), then
//! [`RouteTable::domains`] and [`rules`](RouteTable::rules), in the order in which they are asked, each with its path, its conditions
//! and its [`Action`](crate::action::Action).
//!
//! # Bad input
//!
//! What admission refuses is left out: a match whose expression cannot be read, a rule whose action cannot be applied
//! ([`HttpRules::faults`] says why), a name that is none; the rest of its object stands.

mod action;
pub mod check;
mod delegate;
mod destination;
mod destination_rule;
mod destinations;
mod endpoints;
mod export;
mod gateway;
mod gateway_streams;
mod matching;
mod mesh;
mod names;
mod net_table;
mod order;
mod protocol;
mod registry;
mod route_table;
mod rule;
mod server;
mod sidecar;
mod stream;
mod traffic_policy;

pub use action::RuleFault;
pub use destination::{Destination, Hosts, ImpliedPort, KnownHost};
pub use destination_rule::{Caller, DestinationRules, MergedRule};
pub use destinations::Destinations;
pub use endpoints::{EndpointAddress, MeshEndpoint, mesh_endpoints};
pub use export::{ExportTo, Exposure, Precedence};
pub use gateway::{IstioGatewayTable, UnknownIstioGateway};
pub use gateway_streams::{GatewayChain, GatewayConnection, GatewayStreams, ISTIO_PROTOCOLS};
pub use matching::{Listener, Scope};
pub use mesh::{MeshDecision, MeshTable, StreamDecision, StreamFor, StreamReason, StreamRow, StreamTarget};
pub use names::{GatewayName, ServerHost, covers, full_host, overlaps};
pub use order::Age;
pub use protocol::{PortProtocol, UnknownPortProtocol};
pub use registry::{MeshPort, MeshService, Registry, Resolution, SeenFrom};
pub use route_table::{HttpDecision, Outcome, Reason, RouteTable};
pub use rule::{CompiledMatch, HttpRule, HttpRules, Origin};
pub use server::{GatewayProxy, RefusedServer, Server, ServerFault, ServerKind, Servers};
pub use sidecar::OutboundPolicy;
pub use stream::StreamRule;
pub use traffic_policy::{ClientTls, LocalityPolicy, PolicyEndpoint, PolicyFault, TrafficPolicy};

pub use crate::outcome::HttpOutcome;
pub use crate::question::{HttpQuestion, Scheme};

/// The namespace whose objects hold for all.
pub(crate) fn root_namespace(mesh: &svc_model::api::MeshConfig) -> &str {
    if mesh.root_namespace.is_empty() { "istio-system" } else { &mesh.root_namespace }
}
