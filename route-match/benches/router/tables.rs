//! The router of a route table.

use std::cmp::Reverse;

use route_match::{HostPattern, PathPattern, Router, RouterBuilder, Rule};

use crate::workloads::{PathKind, Route};

/// Exact paths first, then longer prefixes; the hosts are read from their text.
pub(crate) fn router(table: &[Route]) -> Router<u32> {
    let mut builder = RouterBuilder::new();
    for routes in table.chunk_by(|a, b| a.host == b.host) {
        let host: HostPattern = routes[0].host.parse().expect("a host pattern");
        builder.rules(host, routes.iter().map(rule));
    }
    builder.build()
}

/// The rule of a route.
pub(crate) fn rule(route: &Route) -> Rule<(PathKind, Reverse<usize>), u32> {
    let path = match route.kind {
        PathKind::Exact => PathPattern::exact(&route.path),
        PathKind::Prefix => PathPattern::prefix(&route.path),
    };
    Rule::new((route.kind, Reverse(route.path.len())), path, route.id)
}
