//! What would a program be told, so that it does what the manifests say?

use std::fmt::Write;

use iptables_driver::Options;
use svc_model::addr::IpFamily;
use svc_model::api::Gateway;
use svc_model::backend::{Capabilities, Generation, Plan};
use svc_model::{Delta, NamespacedName, Resource, ServicePort};

use super::args::{Profile, Program, RenderArgs};
use crate::ask::{self, Target};
use crate::world::{Unusable, World, unusable};

/// A text, and what it does not say.
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) complaints: Vec<String>,
}

pub(super) fn render(world: &World, args: &RenderArgs) -> Result<Rendered, Unusable> {
    let target = args.to.as_deref().map(Target::parse).transpose()?;
    match args.program {
        Program::Nginx => nginx(world, target, args.profile),
        Program::Envoy => envoy(world, target, args.from.as_deref()),
        Program::Iptables | Program::Nftables => rules(world, args),
    }
}

fn nginx(world: &World, target: Option<Target<'_>>, profile: Profile) -> Result<Rendered, Unusable> {
    let class = match target {
        None => "nginx",
        Some(Target::IngressClass(class)) => class,
        Some(_) => return Err(unusable("--to: nginx is configured for an IngressClass")),
    };
    let mut settings = nginx_config::Settings::default();
    settings.profile = match profile {
        Profile::Modern => nginx_config::Profile::Modern,
        Profile::Classic => nginx_config::Profile::Classic,
        Profile::Fast => return Err(unusable("nginx has no fast layout")),
    };
    let rendered = nginx_config::render(&world.cluster, class, &settings).map_err(unusable)?;
    let complaints = rendered.unexpressed.iter().map(ToString::to_string).collect();
    Ok(Rendered { text: rendered.to_string(), complaints })
}

fn envoy(world: &World, target: Option<Target<'_>>, from: Option<&str>) -> Result<Rendered, Unusable> {
    let settings = envoy_config::Settings::default();
    let of_gateway = |name: &NamespacedName| {
        let table = world.gateway(name)?;
        Ok::<_, Unusable>(envoy_config::render_gateway(&world.cluster, &table, &settings))
    };
    let rendered = match target {
        Some(Target::Gateway(name)) => of_gateway(&name)?,
        Some(Target::IstioGateway(name)) => {
            let proxy = world.istio_gateway(&name)?;
            let (table, tls, destinations) = (&proxy.table, &proxy.tls, &proxy.destinations);
            envoy_config::render_istio_gateway(&world.cluster, table, tls, destinations, &settings)
        }
        Some(Target::Mesh) => {
            let table = world.mesh_table(&ask::caller(world, from))?;
            envoy_config::render_mesh(&world.cluster, &table, &settings)
        }
        Some(Target::IngressClass(_)) => return Err(unusable("--to: Envoy is configured for a Gateway or the mesh")),
        None => {
            let mut gateways = world.cluster.list::<Gateway>();
            match (gateways.next(), gateways.next()) {
                (Some(only), None) => of_gateway(&only.key())?,
                _ => return Err(unusable("--to: there is not one Gateway, so it must be named")),
            }
        }
    };
    let complaints = rendered.unexpressed.iter().map(ToString::to_string).collect();
    Ok(Rendered { text: rendered.to_string(), complaints })
}

/// The rules of a node: of IPv4, and of IPv6 where anything is served by that.
fn rules(world: &World, args: &RenderArgs) -> Result<Rendered, Unusable> {
    let view = world.view(None)?;
    let capabilities = Capabilities::default().without_host_ports();
    let plan = Plan::full(Generation::default(), &view, Delta::EMPTY, &capabilities);
    // A cluster would draw another node port than the one assumed here, and nothing needs it to be rendered.
    let written = |port: &ServicePort| {
        let mut port = port.clone();
        port.node_port = port.node_port.filter(|_| !port.assumed_node_port);
        port
    };
    let ports: Vec<ServicePort> = plan.ports().map(|port| written(port)).collect();
    let ports: Vec<&ServicePort> = ports.iter().collect();
    let complaints = plan.unsupported().map(|(port, why)| format!("{}: {why}", port.id())).collect();
    let mut text = String::new();
    for family in [IpFamily::V4, IpFamily::V6] {
        if family == IpFamily::V6 && !ports.iter().any(|port| port.family == family) {
            continue;
        }
        // Text in memory takes everything.
        let _ = match (args.program, args.profile) {
            (Program::Iptables, profile) => {
                let mut options = Options::default();
                options.profile = match profile {
                    Profile::Modern => iptables_driver::Profile::Modern,
                    Profile::Classic => iptables_driver::Profile::Classic,
                    Profile::Fast => return Err(unusable("iptables has no fast layout")),
                };
                let program = if family == IpFamily::V4 { "iptables-restore" } else { "ip6tables-restore" };
                let rules = iptables_driver::render(&view, &ports, family, &options).without_canary();
                write!(text, "# {program}\n{rules}")
            }
            (_, profile) => {
                let layout = match profile {
                    Profile::Modern => nftables_driver::Layout::Modern,
                    Profile::Fast => nftables_driver::Layout::Fast,
                    Profile::Classic => return Err(unusable("nftables has no classic layout")),
                };
                write!(text, "{}", nftables_driver::render(&view, &ports, family, layout))
            }
        };
    }
    Ok(Rendered { text, complaints })
}
