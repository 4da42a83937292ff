//! The servers: one for each name under which requests are told apart, with its locations.

use std::collections::BTreeSet;

use route_match::ingress::IngressController;
use route_match::{HostPattern, PathKind, PathPattern, WildcardDepth};
use svc_model::Cluster;

use crate::locations::Locations;
use crate::token::{Token, Unquotable};
use crate::tree::Directive;
use crate::upstreams::Upstreams;
use crate::{Rendered, Settings, Unexpressed};

pub(crate) fn render(cluster: &Cluster, controller: &IngressController, settings: &Settings) -> Rendered {
    let mut locations = Locations::new(controller, Upstreams::new(cluster, false));
    let mut servers = Vec::new();
    for host in controller.hosts() {
        let Ok(name) = server_name(host) else { continue };
        let mut block = listen(settings, *host == HostPattern::Any);
        block.push(name);
        block.extend(locations.app_root(host));
        // nginx refuses the same location twice; of two, the one that goes first is the one that answers.
        let mut written = BTreeSet::new();
        for (pattern, location) in controller.locations(host) {
            let body = locations.body(host, pattern, location);
            for args in places(pattern) {
                match args {
                    Ok(args) if written.insert(args.clone()) => {
                        block.push(Directive::block("location", args, body.clone()));
                    }
                    Ok(_) => {}
                    Err(_) => locations.unexpressed.push(Unexpressed {
                        host: host.to_string(),
                        path: pattern.to_string(),
                        what: "the path cannot be written".to_owned(),
                    }),
                }
            }
        }
        servers.push(Directive::block("server", [], block));
    }
    let Locations { upstreams, maps, unexpressed, .. } = locations;
    Rendered { http: upstreams.into_directives().chain(maps).chain(servers).collect(), unexpressed }
}

/// `listen`, and what belongs to it.
pub(crate) fn listen(settings: &Settings, default: bool) -> Vec<Directive> {
    let addr = |addr: &std::net::SocketAddr| Token::literal(&addr.to_string()).ok();
    let default = || default.then(|| Token::word("default_server"));
    let mut listen = vec![Directive::new("listen", addr(&settings.http).into_iter().chain(default()))];
    if let Some(https) = &settings.https {
        let args = addr(&https.addr).into_iter().chain([Token::word("ssl")]).chain(default());
        listen.push(Directive::new("listen", args));
        listen.push(Directive::new("ssl_certificate", [https.certificate.clone()]));
        listen.push(Directive::new("ssl_certificate_key", [https.key.clone()]));
    }
    listen
}

/// The name of a server: nginx's own `*.` is for any number of labels, so that one label is an expression.
pub(crate) fn server_name(host: &HostPattern) -> Result<Directive, Unquotable> {
    let name = match host {
        HostPattern::Any => Token::word("_"),
        HostPattern::Exact(host) => Token::literal(host.as_str())?,
        HostPattern::Wildcard(wildcard) => {
            let suffix = wildcard.suffix().as_str();
            match wildcard.depth() {
                WildcardDepth::One => Token::script(&format!(r"~^[\w-]+\.{}$", suffix.replace('.', r"\.")))?,
                _ => Token::literal(&format!("*.{suffix}"))?,
            }
        }
    };
    Ok(Directive::new("server_name", [name]))
}

/// The arguments of the locations that a pattern is written as.
fn places(pattern: &PathPattern) -> Vec<Result<Vec<Token>, Unquotable>> {
    let exact = |path: &str| Ok(vec![Token::word("="), Token::script(path)?]);
    let prefix = |path: &str| Ok(vec![Token::script(path)?]);
    match pattern.kind() {
        PathKind::Exact(path) => vec![exact(path)],
        PathKind::Prefix("") => vec![prefix("/")],
        PathKind::Prefix(path) => vec![exact(path), prefix(&format!("{path}/"))],
        PathKind::TextPrefix(path) => vec![prefix(path)],
        PathKind::Regex(regex) => {
            vec![Token::script(&format!("^{}", regex.as_str())).map(|text| vec![Token::word("~*"), text])]
        }
        _ => Vec::new(),
    }
}
