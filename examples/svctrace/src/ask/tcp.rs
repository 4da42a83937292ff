//! Where does a TCP or UDP connection to a proxy go?

use route_match::ingress::stream;
use serde::Deserialize;
use serde_json::json;
use svc_model::Protocol;

use super::target::Target;
use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

/// A connection to a port of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Tcp {
    /// The host or address that the client meant; an ingress controller does not see it.
    #[serde(default)]
    pub dst: Option<String>,
    /// The port connected to.
    pub port: u16,
    /// `TCP` when absent, or `UDP`.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Who is asked.
    pub to: String,
    /// The Pod that asks, `NAMESPACE/NAME`: whose sidecar is asked, for the mesh.
    #[serde(default)]
    pub from: Option<String>,
}

impl Tcp {
    /// Decides it. Where nothing listens the answer has neither route nor backends.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let target = Target::parse(&self.to)?;
        let protocol = match self.protocol.as_deref() {
            None | Some("TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some(other) => return Err(unusable(format!("protocol: {other:?} is neither TCP nor UDP"))),
        };
        let asked = format!("port {} {protocol} of {}", self.port, self.to);
        let class = match target {
            Target::IngressClass(class) => class,
            Target::Gateway(gateway) => return super::gateway::stream(world, &asked, protocol, self.port, &gateway),
            Target::IstioGateway(gateway) => return super::istio::tcp(world, &asked, self.port, protocol, &gateway),
            Target::Mesh => {
                return super::istio::mesh_tcp(world, self.dst.as_deref(), self.port, protocol, self.from.as_deref());
            }
        };
        let controller = world.controller(class)?;
        Ok(match stream(&world.cluster, controller.routes.flags(), protocol, self.port) {
            Ok(found) => {
                let mut answer = Answer::new(format!("{asked} -> {}", found.backend));
                answer.set("route", found.route.to_string());
                let backend = json!({ "ref": found.backend.service.to_string(), "port": found.backend.port, "p": 1.0 });
                answer.set("backends", vec![backend]);
                answer.because(format!("{} has the port as a key", found.route));
                answer
            }
            Err(nothing) => {
                let mut answer = Answer::new(format!("{asked}: nothing listens"));
                answer.because(nothing.to_string());
                answer
            }
        })
    }
}
