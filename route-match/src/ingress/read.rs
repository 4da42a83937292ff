//! What does an Ingress say, in whichever API version? Elements in error are left out.

use std::net::IpAddr;

use svc_model::api::{HttpIngressPath, IngressBackend, IngressRule};
use svc_model::check::names;

use crate::host_pattern::{HostPattern, WildcardDepth};

use super::class::Dialect;

/// How a path is compared. `ImplementationSpecific` is a prefix in both dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathType {
    Exact,
    Prefix,
}

/// A path of a rule that the API server would have accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct RulePath<'c> {
    pub(super) path_type: PathType,
    /// The index in the rule's `paths`.
    pub(super) index: usize,
    /// Never empty.
    pub(super) text: &'c str,
    pub(super) backend: &'c IngressBackend,
}

/// The hosts of a rule, or what is wrong with its `host`.
pub(super) fn rule_host(rule: &IngressRule) -> Result<HostPattern, String> {
    if rule.host.is_empty() { Ok(HostPattern::Any) } else { host(&rule.host) }
}

/// The hosts of a rule, [`HostPattern::Any`] for one without `host`; `None` for a host that the API server refuses
/// ([`check::ingress`](super::check::ingress) says why), which is left out.
pub fn rule_hosts(rule: &IngressRule) -> Option<HostPattern> {
    rule_host(rule).ok()
}

/// Reads a host as the API server takes it: a DNS-1123 subdomain, or `*.` before one; no address.
pub(super) fn host(text: &str) -> Result<HostPattern, String> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(format!("{text:?} is an IP address, not a DNS name"));
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    names::dns_1123_subdomain(name).map_err(|error| error.to_string())?;
    HostPattern::parse(text, WildcardDepth::One).map_err(|error| error.to_string())
}

/// The paths of a rule.
pub(super) fn paths(rule: &IngressRule, dialect: Dialect) -> impl Iterator<Item = RulePath<'_>> {
    let paths = rule.http.iter().flat_map(|http| &http.paths).enumerate();
    paths.filter_map(move |(index, path)| {
        if !path.path.is_empty() && path_fault(path, dialect).is_some() {
            return None;
        }
        let path_type = match path.path_type.as_deref() {
            Some("Exact") => PathType::Exact,
            // Missing: `v1beta1`, which has it mean ImplementationSpecific.
            Some("Prefix" | "ImplementationSpecific") | None => PathType::Prefix,
            Some(_) => return None,
        };
        let text = if path.path.is_empty() { "/" } else { &path.path };
        Some(RulePath { index, path_type, text, backend: &path.backend })
    })
}

/// What is wrong with the text of a path.
pub(super) fn path_fault(path: &HttpIngressPath, dialect: Dialect) -> Option<&'static str> {
    let text = path.path.as_str();
    if text.contains(['\r', '\n']) {
        return Some("must not hold a line break");
    }
    match path.path_type.as_deref() {
        Some("Exact" | "Prefix") => {
            let forbidden = ["//", "/./", "/../", "%2f", "%2F"];
            if !text.starts_with('/') {
                Some("must start with '/'")
            } else if forbidden.iter().any(|part| text.contains(part)) {
                Some("must not hold '//', '/./', '/../', '%2f' or '%2F'")
            } else if text.ends_with("/.") || text.ends_with("/..") {
                Some("must not end in '/.' or '/..'")
            } else if dialect == Dialect::Nginx
                && !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
            {
                // CVE-2021-25745 and its successors: ingress-nginx's strict path types.
                Some("may, for ingress-nginx, only hold letters, digits and '._-/'")
            } else {
                None
            }
        }
        _ if !text.is_empty() && !text.starts_with('/') => Some("must start with '/'"),
        _ => None,
    }
}
