//! Istio: what a gateway proxy does with requests.
mod action;
pub mod check;
mod delegate;
mod destination;
mod export;
mod gateway;
mod matching;
mod names;
mod order;
mod route_table;
mod rule;
mod server;

pub use action::RuleFault;
pub use destination::{Destination, Hosts, ImpliedPort, KnownHost};
pub use export::{ExportTo, Exposure, Precedence};
pub use gateway::{IstioGatewayTable, UnknownIstioGateway};
pub use matching::{Listener, Scope};
pub use names::{GatewayName, ServerHost, covers, full_host, overlaps};
pub use order::Age;
pub use route_table::{HttpDecision, Outcome, Reason, RouteTable};
pub use rule::{CompiledMatch, HttpRule, HttpRules, Origin};
pub use server::{GatewayProxy, RefusedServer, Server, ServerFault, ServerKind, Servers};

pub use crate::question::{HttpQuestion, Scheme};
