//! Istio: what a gateway proxy does with requests.
mod action;
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
pub use export::{ExportTo, Exposure, Precedence};
pub use gateway::{IstioGatewayTable, UnknownIstioGateway};
pub use gateway_streams::{GatewayChain, GatewayConnection, GatewayStreams, ISTIO_PROTOCOLS};
pub use matching::{Listener, Scope};
pub use names::{GatewayName, ServerHost, covers, full_host, overlaps};
pub use order::Age;
pub use route_table::{HttpDecision, Outcome, Reason, RouteTable};
pub use rule::{CompiledMatch, HttpRule, HttpRules, Origin};
pub use server::{GatewayProxy, RefusedServer, Server, ServerFault, ServerKind, Servers};

pub use crate::question::{HttpQuestion, Scheme};
pub use destination_rule::{Caller, DestinationRules, MergedRule};
pub use destinations::Destinations;
pub use endpoints::{EndpointAddress, MeshEndpoint, mesh_endpoints};
pub use mesh::{MeshDecision, MeshTable, StreamDecision, StreamFor, StreamReason, StreamRow, StreamTarget};
pub use protocol::{PortProtocol, UnknownPortProtocol};
pub use registry::{MeshPort, MeshService, Registry, Resolution, SeenFrom};
pub use sidecar::OutboundPolicy;
pub use stream::StreamRule;
pub use traffic_policy::{ClientTls, LocalityPolicy, PolicyEndpoint, PolicyFault, TrafficPolicy};

/// The namespace whose objects hold for all.
pub(crate) fn root_namespace(mesh: &svc_model::api::MeshConfig) -> &str {
    if mesh.root_namespace.is_empty() { "istio-system" } else { &mesh.root_namespace }
}
