//! The layout of controllers before 0.10: what the founding documents print of their nginx.conf.

use route_match::ingress::IngressController;
use route_match::ingress::location::{Location, Target};
use route_match::{HostPattern, PathKind};
use svc_model::Cluster;

use crate::servers::{listen, server_name};
use crate::token::Token;
use crate::tree::Directive;
use crate::upstreams::Upstreams;
use crate::{Rendered, Settings, Unexpressed};

/// The upstream of what no Ingress takes.
const DEFAULT: &str = "upstream-default-backend";

pub(crate) fn render(cluster: &Cluster, controller: &IngressController, settings: &Settings) -> Rendered {
    let mut upstreams = Upstreams::new(cluster, true);
    let mut unexpressed = Vec::new();
    let mut servers = Vec::new();
    for host in controller.hosts() {
        let mut block = listen(settings, *host == HostPattern::Any);
        let Ok(name) = server_name(host) else { continue };
        block.push(name);
        for (pattern, location) in controller.locations(host) {
            let path = match pattern.kind() {
                PathKind::Exact(_) if location.detour.is_some() => continue,
                PathKind::Prefix("") => "/",
                PathKind::Exact(path) | PathKind::Prefix(path) | PathKind::TextPrefix(path) => path,
                PathKind::Regex(regex) => regex.as_str(),
                _ => continue,
            };
            match locate(path, location, &mut upstreams) {
                Ok(directive) => block.push(directive),
                Err(what) => {
                    unexpressed.push(Unexpressed {
                        host: host.to_string(),
                        path: pattern.to_string(),
                        what: what.to_owned(),
                    });
                }
            }
        }
        servers.push(Directive::block("server", [], block));
    }
    Rendered { http: upstreams.into_directives().chain(servers).collect(), unexpressed }
}

fn locate(path: &str, location: &Location, upstreams: &mut Upstreams<'_>) -> Result<Directive, &'static str> {
    let block = match &location.target {
        Target::Service(backends, _) => {
            let entry = backends.entries().first().ok_or("it has no backend")?;
            let name = upstreams.name(&entry.backend, location.route.is_none().then_some(DEFAULT))?;
            let token = |text: &str| Token::literal(text).map_err(|_| "the name of its Service cannot be written");
            vec![
                Directive::new("set", [Token::word("$proxy_upstream_name"), token(&name)?]),
                Directive::new("proxy_pass", [token(&format!("http://{name}"))?]),
            ]
        }
        Target::NotFound => vec![Directive::new("return", [Token::word("404")])],
        _ => vec![Directive::new("return", [Token::word("503")])],
    };
    let path = Token::script(path).map_err(|_| "its path cannot be written")?;
    Ok(Directive::block("location", [path], block))
}
