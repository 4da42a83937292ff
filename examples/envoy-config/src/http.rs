//! How is HTTP spoken on a listener? What all dialects have in common.

use route_match::{HostPattern, WildcardDepth};

use crate::config::{
    Extension, HeaderEditList, HttpConnectionManager, HttpFilter, NetworkFilter, Route, RouteConfiguration,
    UpgradeConfig, VirtualHost,
};

/// The most that a response of Envoy's own may hold, in bytes: what Istio allows.
const LONGEST_RESPONSE: u32 = 1 << 20;

/// What is spoken inside TLS, the best first.
pub(crate) const HTTP_PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// A pattern in Envoy's words, in which `*.` stands for any number of labels; `None` for one label, which it has no word for.
pub(crate) fn domain(host: &HostPattern) -> Option<String> {
    match host {
        HostPattern::Exact(host) => Some(host.to_string()),
        HostPattern::Wildcard(wildcard) => {
            (wildcard.depth() == WildcardDepth::Any).then(|| format!("*.{}", wildcard.suffix()))
        }
        HostPattern::Any => Some("*".to_owned()),
    }
}

/// The same as server names, of which none stands for all, and for clients that send none.
pub(crate) fn server_names(host: &HostPattern) -> Vec<String> {
    domain(host).filter(|name| name != "*").into_iter().collect()
}

pub(crate) fn virtual_host(host: &HostPattern, routes: Vec<Route>) -> VirtualHost {
    VirtualHost { name: host.to_string(), domains: domain(host).into_iter().collect(), routes, require_tls: None }
}

/// HTTP with these virtual hosts and filters, to which the router is added.
pub(crate) fn connection_manager(
    name: String,
    virtual_hosts: Vec<VirtualHost>,
    filters: impl IntoIterator<Item = HttpFilter>,
) -> Extension<NetworkFilter> {
    let manager = HttpConnectionManager {
        stat_prefix: name.clone(),
        route_config: RouteConfiguration {
            name,
            virtual_hosts,
            ignore_port_in_host_matching: true,
            validate_clusters: false,
            max_direct_response_body_size_bytes: LONGEST_RESPONSE,
            headers: HeaderEditList::default(),
        },
        http_filters: filters.into_iter().chain([HttpFilter::Router {}]).map(HttpFilter::named).collect(),
        use_remote_address: true,
        normalize_path: true,
        strip_trailing_host_dot: true,
        server_header_transformation: "PASS_THROUGH",
        upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket" }],
    };
    NetworkFilter::HttpConnectionManager(Box::new(manager)).named()
}
