//! Routes of all kinds: parents, hostnames, matches, filters, backends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use svc_model::api::{
    GrpcRoute, HttpNamedMatch, HttpRoute, HttpRouteFilter, HttpRouteMatch, HttpRouteRule, ParentReference,
    RouteBackendRef, RouteSessionPersistence, StreamRouteRule, StreamRouteSpec, TlsRoute,
};

use super::filter::filters;
use super::{object_reference, section_name};
use crate::gateway::read::{self, Fault, METHODS, MethodMatch, Named, PathMatch, header_name, hostname};
use crate::report::Report;

pub(super) fn http(report: &mut Report, route: &HttpRoute) {
    parents(report, &route.spec.parent_refs);
    hostnames(report, &route.spec.hostnames, 16);
    let rules = &route.spec.rules;
    let matches = rules.iter().map(|rule| rule.matches.len().max(1));
    rule_list(report, rules.len(), matches, rules.iter().map(|rule| rule.name.as_deref()));
    for (i, rule) in rules.iter().enumerate() {
        http_rule(report, &format!("spec.rules[{i}]"), rule);
    }
}

pub(super) fn grpc(report: &mut Report, route: &GrpcRoute) {
    parents(report, &route.spec.parent_refs);
    hostnames(report, &route.spec.hostnames, 16);
    let rules = &route.spec.rules;
    let matches = rules.iter().map(|rule| rule.matches.len());
    rule_list(report, rules.len(), matches, rules.iter().map(|rule| rule.name.as_deref()));
    for (i, rule) in rules.iter().enumerate() {
        let at = format!("spec.rules[{i}]");
        report.at_most(format_args!("{at}.matches"), rule.matches.len(), 64);
        for (j, found) in rule.matches.iter().enumerate() {
            let at = format!("{at}.matches[{j}]");
            if let Some(method) = &found.method
                && let Err(fault) = MethodMatch::read(method)
            {
                at_fault(report, &format!("{at}.method"), fault);
            }
            named_matches(report, &format!("{at}.headers"), &found.headers, Named::Header);
        }
        filters(report, &format!("{at}.filters"), &rule.filters, true);
        backends(report, &at, &rule.backend_refs, Some(true));
        session(report, &at, rule.session_persistence.as_ref());
    }
}

pub(super) fn tls(report: &mut Report, route: &TlsRoute, api_version: &str) {
    parents(report, &route.spec.parent_refs);
    let texts = &route.spec.hostnames;
    if texts.is_empty() && !api_version.ends_with("/v1alpha2") {
        report.error("spec.hostnames", "missing: a TLSRoute is for the server names it lists");
    }
    if let Some(ip) = texts.iter().find(|text| text.parse::<IpAddr>().is_ok()) {
        report.error("spec.hostnames", format_args!("{ip} is an address, which no server name is"));
    }
    hostnames(report, texts, 1024);
    stream_rules(report, &route.spec.rules, api_version);
}

pub(super) fn stream(report: &mut Report, spec: &StreamRouteSpec, api_version: &str) {
    parents(report, &spec.parent_refs);
    stream_rules(report, &spec.rules, api_version);
}

fn stream_rules(report: &mut Report, rules: &[StreamRouteRule], api_version: &str) {
    if rules.is_empty() {
        report.error("spec.rules", "missing");
    }
    let most = if api_version.ends_with("/v1alpha2") { 16 } else { 1 };
    report.at_most("spec.rules", rules.len(), most);
    names_of_rules(report, rules.iter().map(|rule| rule.name.as_deref()));
    for (i, rule) in rules.iter().enumerate() {
        let at = format!("spec.rules[{i}]");
        if rule.backend_refs.is_empty() {
            report.error(format_args!("{at}.backendRefs"), "missing");
        }
        backends(report, &at, &rule.backend_refs, None);
    }
}

/// Each parent once, unless by name or port of a listener.
fn parents(report: &mut Report, parents: &[ParentReference]) {
    const LIST: &str = "spec.parentRefs";
    report.at_most(LIST, parents.len(), 32);
    let mut seen: BTreeMap<_, Vec<(&str, i64)>> = BTreeMap::new();
    for (i, parent) in parents.iter().enumerate() {
        let at = format!("{LIST}[{i}]");
        let (group, kind, namespace) = (parent.group.as_deref(), parent.kind.as_deref(), parent.namespace.as_deref());
        object_reference(report, &at, group, kind, &parent.name, namespace);
        section_name(report, format_args!("{at}.sectionName"), parent.section_name.as_deref());
        if let Some(port) = parent.port {
            report.within(format_args!("{at}.port"), port, 1, 65535);
        }
        let key =
            (group.unwrap_or(read::GROUP), kind.unwrap_or("Gateway"), namespace.unwrap_or_default(), &parent.name);
        let part = (parent.section_name.as_deref().unwrap_or_default(), parent.port.unwrap_or(0));
        let parts = seen.entry(key).or_default();
        if parts.contains(&part) {
            report.error(LIST, format_args!("{} is there twice without a sectionName or port of its own", parent.name));
        } else if !parts.is_empty() && (part == ("", 0) || parts.contains(&("", 0))) {
            report.error(LIST, format_args!("{} is there twice, so each needs a sectionName or port", parent.name));
        }
        parts.push(part);
    }
}

fn hostnames(report: &mut Report, texts: &[String], most: usize) {
    report.at_most("spec.hostnames", texts.len(), most);
    for (i, text) in texts.iter().enumerate() {
        if let Err(error) = hostname(text) {
            report.error(format_args!("spec.hostnames[{i}]"), error);
        }
    }
}

fn rule_list<'a>(
    report: &mut Report,
    count: usize,
    matches: impl Iterator<Item = usize>,
    rule_names: impl Iterator<Item = Option<&'a str>>,
) {
    report.at_most("spec.rules", count, 16);
    let total: usize = matches.sum();
    if total > 128 {
        report.error("spec.rules", format_args!("has {total} matches in all, at most 128 are allowed"));
    }
    names_of_rules(report, rule_names);
}

fn names_of_rules<'a>(report: &mut Report, rule_names: impl Iterator<Item = Option<&'a str>>) {
    let mut seen = BTreeSet::new();
    for (i, name) in rule_names.enumerate() {
        section_name(report, format_args!("spec.rules[{i}].name"), name);
        if let Some(name) = name
            && !seen.insert(name)
        {
            report.error("spec.rules", format_args!("two rules have the name {name:?}"));
        }
    }
}

fn http_rule(report: &mut Report, at: &str, rule: &HttpRouteRule) {
    report.at_most(format_args!("{at}.matches"), rule.matches.len(), 64);
    for (j, found) in rule.matches.iter().enumerate() {
        http_match(report, &format!("{at}.matches[{j}]"), found);
    }
    let redirects = |filters: &[HttpRouteFilter]| filters.iter().any(|filter| filter.request_redirect.is_some());
    if redirects(&rule.filters) && !rule.backend_refs.is_empty() {
        report.error(at, "has a RequestRedirect filter and backendRefs: a redirected request has no backend");
    }
    let of_backends = rule.backend_refs.iter().flat_map(|backend| &backend.filters);
    if rule.filters.iter().chain(of_backends).any(replaces_prefix) && !matches_one_prefix(&rule.matches) {
        report.error(at, "ReplacePrefixMatch needs exactly one match, of type PathPrefix");
    }
    filters(report, &format!("{at}.filters"), &rule.filters, false);
    backends(report, at, &rule.backend_refs, Some(false));
    if let Some(timeouts) = &rule.timeouts {
        let mut read = |field: &str, text: &Option<String>| {
            let duration = read::duration(text.as_deref()?);
            duration.map_err(|error| report.error(format_args!("{at}.timeouts.{field}"), error)).ok()
        };
        let request = read("request", &timeouts.request);
        let backend = read("backendRequest", &timeouts.backend_request);
        if let (Some(request), Some(backend)) = (request, backend)
            && !request.is_zero()
            && backend > request
        {
            report.error(format_args!("{at}.timeouts"), "backendRequest is longer than request");
        }
    }
    if let Some(retry) = &rule.retry {
        let mut codes = BTreeSet::new();
        for (i, code) in retry.codes.iter().enumerate() {
            let at = format!("{at}.retry.codes[{i}]");
            report.within(&at, *code, 400, 599);
            if !codes.insert(code) {
                report.error(&at, format_args!("{code} is there already"));
            }
        }
        if let Some(attempts) = retry.attempts {
            report.within(format_args!("{at}.retry.attempts"), attempts, 1, i64::from(i32::MAX));
        }
        if let Some(Err(error)) = retry.backoff.as_deref().map(read::duration) {
            report.error(format_args!("{at}.retry.backoff"), error);
        }
    }
    session(report, at, rule.session_persistence.as_ref());
}

fn replaces_prefix(filter: &HttpRouteFilter) -> bool {
    let redirect = filter.request_redirect.as_ref().and_then(|redirect| redirect.path.as_ref());
    let rewrite = filter.url_rewrite.as_ref().and_then(|rewrite| rewrite.path.as_ref());
    redirect
        .into_iter()
        .chain(rewrite)
        .any(|path| path.type_ == "ReplacePrefixMatch" && path.replace_prefix_match.is_some())
}

/// No match at all is one of the prefix `/`.
fn matches_one_prefix(matches: &[HttpRouteMatch]) -> bool {
    let is_prefix = |found: &HttpRouteMatch| {
        found.path.as_ref().and_then(|path| path.type_.as_deref()).unwrap_or("PathPrefix") == "PathPrefix"
    };
    match matches {
        [] => true,
        [only] => is_prefix(only),
        _ => false,
    }
}

fn http_match(report: &mut Report, at: &str, found: &HttpRouteMatch) {
    if let Err(fault) = PathMatch::read(found.path.as_ref()) {
        at_fault(report, &format!("{at}.path"), fault);
    }
    if let Some(method) = found.method.as_deref() {
        report.one_of(format_args!("{at}.method"), method, &METHODS);
    }
    named_matches(report, &format!("{at}.headers"), &found.headers, Named::Header);
    named_matches(report, &format!("{at}.queryParams"), &found.query_params, Named::Query);
}

fn named_matches(report: &mut Report, at: &str, conditions: &[HttpNamedMatch], named: Named) {
    report.at_most(at, conditions.len(), 16);
    report.distinct(at, conditions.iter().map(|condition| condition.name.as_str()));
    for (k, condition) in conditions.iter().enumerate() {
        if let Err(fault) = read::named_match(condition, named) {
            at_fault(report, &format!("{at}[{k}]"), fault);
        }
    }
}

pub(super) fn at_fault(report: &mut Report, at: &str, fault: Fault) {
    let dot = if fault.field.is_empty() { "" } else { "." };
    report.error(format_args!("{at}{dot}{}", fault.field), fault.message);
}

/// The backends of a rule; `is_grpc` is `None` where they have no filters.
fn backends(report: &mut Report, at: &str, references: &[RouteBackendRef], is_grpc: Option<bool>) {
    let at = format!("{at}.backendRefs");
    report.at_most(&at, references.len(), 16);
    for (k, reference) in references.iter().enumerate() {
        let at = format!("{at}[{k}]");
        backend(report, &at, reference);
        if let Some(weight) = reference.weight {
            report.within(format_args!("{at}.weight"), weight, 0, 1_000_000);
        }
        if let Some(is_grpc) = is_grpc {
            filters(report, &format!("{at}.filters"), &reference.filters, is_grpc);
        }
    }
}

pub(super) fn backend(report: &mut Report, at: &str, reference: &RouteBackendRef) {
    let (group, kind) = (reference.group.as_deref(), reference.kind.as_deref());
    object_reference(report, at, group, kind, &reference.name, reference.namespace.as_deref());
    match reference.port {
        Some(port) => report.within(format_args!("{at}.port"), port, 1, 65535),
        None if group.unwrap_or_default().is_empty() && kind.unwrap_or("Service") == "Service" => {
            report.error(at, "a reference to a Service needs a port");
        }
        None => {}
    }
}

fn session(report: &mut Report, at: &str, session: Option<&RouteSessionPersistence>) {
    let Some(session) = session else { return };
    let at = format!("{at}.sessionPersistence");
    let type_ = session.type_.as_deref().unwrap_or("Cookie");
    report.one_of(format_args!("{at}.type"), type_, &["Cookie", "Header"]);
    let cookies = [("cookie", &session.cookie), ("cookieConfig", &session.cookie_config)];
    for (member, cookie) in cookies.into_iter().filter_map(|(member, cookie)| Some((member, cookie.as_ref()?))) {
        let of_cookie = format!("{at}.{member}");
        if let Some(name) = &cookie.name {
            report.check(format_args!("{of_cookie}.name"), header_name(name));
        }
        report.no_longer(format_args!("{of_cookie}.path"), cookie.path.as_deref().unwrap_or_default(), 1024);
        let lifetime = cookie.lifetime_type.as_deref().unwrap_or("Session");
        report.one_of(format_args!("{of_cookie}.lifetimeType"), lifetime, &["Permanent", "Session"]);
        if lifetime == "Permanent" && session.absolute_timeout.is_none() {
            report.error(&at, "a cookie of lifetimeType Permanent needs absoluteTimeout");
        }
    }
    if let Some(header) = &session.header {
        report.check(format_args!("{at}.header.name"), header_name(&header.name));
    }
    let has_header = session.header.is_some();
    match type_ {
        "Header" if !has_header && session.session_name.is_none() => report.error(&at, "type Header needs header"),
        "Header" if session.cookie.is_some() => report.error(&at, "type Header has cookie"),
        "Cookie" if has_header => report.error(&at, "type Cookie has header"),
        _ => {}
    }
    for (field, text) in [("absoluteTimeout", &session.absolute_timeout), ("idleTimeout", &session.idle_timeout)] {
        if let Some(Err(error)) = text.as_deref().map(read::duration) {
            report.error(format_args!("{at}.{field}"), error);
        }
    }
}
