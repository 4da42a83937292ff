//! What would a program be told, so that it does what the manifests say?

use std::fmt::Write;

use iptables_driver::Options;
use svc_model::addr::IpFamily;
use svc_model::backend::{Capabilities, Generation, Plan};
use svc_model::{Delta, ServicePort};

use super::args::{Profile, Program, RenderArgs};
use crate::world::{Unusable, World, unusable};

/// A text, and what it does not say.
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) complaints: Vec<String>,
}

pub(super) fn render(world: &World, args: &RenderArgs) -> Result<Rendered, Unusable> {
    match args.program {
        Program::Nginx => nginx(world, args),
        Program::Iptables | Program::Nftables => rules(world, args),
    }
}

fn nginx(world: &World, args: &RenderArgs) -> Result<Rendered, Unusable> {
    let class =
        args.to.strip_prefix("IngressClass/").ok_or_else(|| unusable("--to: not of the form IngressClass/NAME"))?;
    let mut settings = nginx_config::Settings::default();
    settings.profile = match args.profile {
        Profile::Modern => nginx_config::Profile::Modern,
        Profile::Classic => nginx_config::Profile::Classic,
        Profile::Fast => return Err(unusable("nginx has no fast layout")),
    };
    let rendered = nginx_config::render(&world.cluster, class, &settings).map_err(unusable)?;
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
                let rules = iptables_driver::render(&view, &ports, family, &options);
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
