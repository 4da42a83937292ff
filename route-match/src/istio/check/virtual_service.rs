//! VirtualServices: hosts, gateways, and which rules there are.

use std::collections::BTreeMap;
use std::net::IpAddr;

use svc_model::Resource;
use svc_model::api::VirtualService;

use super::{http, reach, stream, value};
use crate::istio::covers;
use crate::report::Report;

/// The word for all sidecars.
const MESH: &str = "mesh";

pub(super) fn check(report: &mut Report, object: &VirtualService) {
    let spec = &object.spec;
    let is_delegate = spec.hosts.is_empty();
    if is_delegate {
        for (field, count) in [("gateways", spec.gateways.len()), ("tls", spec.tls.len()), ("tcp", spec.tcp.len())] {
            if count > 0 {
                let message = "a VirtualService without hosts is a delegate, which has http rules alone";
                report.error(format_args!("spec.{field}"), message);
            }
        }
    }
    gateway_names(report, "spec.gateways", &spec.gateways);
    hosts(report, object);
    if spec.http.is_empty() && spec.tcp.is_empty() && spec.tls.is_empty() {
        report.error("spec", "needs http, tcp or tls rules");
    }
    let at_sidecars = on_mesh(object);
    for (i, rule) in spec.http.iter().enumerate() {
        http::rule(report, &format!("spec.http[{i}]"), rule, is_delegate, at_sidecars && !is_delegate);
    }
    for (i, rule) in spec.tls.iter().enumerate() {
        stream::tls(report, &format!("spec.tls[{i}]"), rule, object);
    }
    for (i, rule) in spec.tcp.iter().enumerate() {
        stream::tcp(report, &format!("spec.tcp[{i}]"), rule);
    }
    report.export_to(&spec.export_to, object.namespace(), false);
    reach::check(report, spec);
}

/// Whether its rules hold in sidecars.
pub(super) fn on_mesh(object: &VirtualService) -> bool {
    object.spec.gateways.is_empty() || object.spec.gateways.iter().any(|name| name == MESH)
}

fn hosts(report: &mut Report, object: &VirtualService) {
    let hosts = &object.spec.hosts;
    let mut in_order = true;
    for (i, host) in hosts.iter().enumerate() {
        let field = format!("spec.hosts[{i}]");
        if is_generated_server_name(object, host) {
            continue;
        }
        if host == "*" && on_mesh(object) {
            report.error(field, "all hosts cannot be taken over in the mesh; name a Gateway, or the hosts");
            in_order = false;
        } else {
            in_order &= report.check(field, value::host_or_address(host));
        }
    }
    if !in_order {
        return;
    }
    let mut earlier = Names::default();
    for (i, host) in hosts.iter().enumerate() {
        if let Some(other) = earlier.overlapping(host) {
            let message = format_args!("{host:?} and {other:?} stand for the same hosts in part");
            report.error(format_args!("spec.hosts[{i}]"), message);
        }
        earlier.insert(host);
    }
}

/// Hosts by their ends, so that those which overlap another are found without comparing them all.
#[derive(Default)]
struct Names<'n>(BTreeMap<String, &'n str>);

impl<'n> Names<'n> {
    /// What follows the star, if there is one, from its end.
    fn key(name: &str) -> String {
        name.strip_prefix('*').unwrap_or(name).chars().rev().collect()
    }

    fn insert(&mut self, name: &'n str) {
        self.0.insert(Self::key(name), name);
    }

    /// A name that covers this one, or that this one covers.
    fn overlapping(&self, name: &str) -> Option<&'n str> {
        let key = Self::key(name);
        let starts = key.char_indices().map(|(at, _)| at).chain([key.len()]);
        let above = starts.filter_map(|at| self.0.get(&key[..at])).find(|other| covers(other, name));
        let first_below = || self.0.range(key.clone()..).next().map(|(_, other)| other);
        above.or_else(|| first_below().filter(|other| covers(name, other))).copied()
    }
}

/// Whether a host is one that gateways in mode AUTO_PASSTHROUGH make up, which have underscores.
pub(super) fn is_generated_server_name(object: &VirtualService, host: &str) -> bool {
    let spec = &object.spec;
    let mut matches = spec.tls.iter().flat_map(|rule| &rule.match_);
    !on_mesh(object) && host.starts_with("outbound_") && matches.any(|found| !found.sni_hosts.is_empty())
}

/// Names of Gateways: `NAME`, `NAMESPACE/NAME`, or a full name of the older form.
pub(super) fn gateway_names(report: &mut Report, at: &str, list: &[String]) {
    for (i, text) in list.iter().enumerate() {
        let field = format!("{at}[{i}]");
        match text.split_once('/') {
            Some((namespace, name)) => {
                if namespace != "." {
                    report.check(&field, value::label(namespace).map_err(|error| format!("namespace: {error}")));
                }
                report.check(&field, value::label(name).map_err(|error| format!("name: {error}")));
            }
            None if text.parse::<IpAddr>().is_ok() => {
                report.error(field, format_args!("{text:?} is no name of a Gateway"));
            }
            None => {
                if report.check(&field, value::name(text))
                    && let Some((name, rest)) = text.split_once('.')
                {
                    let namespace = rest.split_once('.').map_or(rest, |(namespace, _)| namespace);
                    report.warning(field, format_args!("the older form of {namespace}/{name}"));
                }
            }
        }
    }
}
