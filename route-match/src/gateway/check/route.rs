//! Routes of all kinds: parents, hostnames, matches, filters, backends.

use std::collections::BTreeMap;
use std::net::IpAddr;

use svc_model::api::{
    GrpcRoute, HttpCorsFilter, HttpHeader, HttpHeaderFilter, HttpNamedMatch, HttpPathModifier, HttpRequestMirrorFilter,
    HttpRoute, HttpRouteFilter, HttpRouteMatch, HttpRouteRule, ParentReference, RouteBackendRef,
    RouteSessionPersistence, StreamRouteRule, StreamRouteSpec, TlsRoute,
};
use svc_model::check::names;

use super::object_reference;
use crate::gateway::read::{
    self, Fault, METHODS, MethodMatch, Named, PathChange, PathMatch, filter_members, header_name, header_value,
    hostname,
};
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
        if let Some(section) = parent.section_name.as_deref().filter(|section| !section.is_empty()) {
            report.check(format_args!("{at}.sectionName"), names::dns_1123_subdomain(section));
        }
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
    let mut seen = std::collections::BTreeSet::new();
    for name in rule_names.flatten() {
        if !seen.insert(name) {
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
        for (i, code) in retry.codes.iter().enumerate() {
            report.within(format_args!("{at}.retry.codes[{i}]"), *code, 400, 599);
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

fn at_fault(report: &mut Report, at: &str, fault: Fault) {
    let dot = if fault.field.is_empty() { "" } else { "." };
    report.error(format_args!("{at}{dot}{}", fault.field), fault.message);
}

fn filters(report: &mut Report, at: &str, filters: &[HttpRouteFilter], is_grpc: bool) {
    report.at_most(at, filters.len(), 16);
    let count = |type_: &str| filters.iter().filter(|filter| filter.type_ == type_).count();
    if count("RequestRedirect") > 0 && count("URLRewrite") > 0 {
        report.error(at, "RequestRedirect and URLRewrite exclude each other");
    }
    for type_ in ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS"] {
        if count(type_) > 1 {
            report.error(at, format_args!("{type_} is there {} times, once is allowed", count(type_)));
        }
    }
    for (k, filter) in filters.iter().enumerate() {
        one_filter(report, &format!("{at}[{k}]"), filter, is_grpc);
    }
}

fn one_filter(report: &mut Report, at: &str, filter: &HttpRouteFilter, is_grpc: bool) {
    let members = filter_members(filter);
    let types: Vec<&str> = members.iter().map(|(type_, ..)| *type_).collect();
    let of_grpc = ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"];
    let allowed = if is_grpc { &of_grpc[..] } else { &types };
    if !allowed.contains(&filter.type_.as_str()) {
        report.one_of(format_args!("{at}.type"), &filter.type_, allowed);
        return;
    }
    for (type_, member, is_there) in members {
        if is_there != (type_ == filter.type_) {
            let has = if is_there { "has" } else { "lacks" };
            report.error(at, format_args!("a {} filter {has} {member}", filter.type_));
        }
    }
    header_modifier(report, &format!("{at}.requestHeaderModifier"), filter.request_header_modifier.as_ref());
    header_modifier(report, &format!("{at}.responseHeaderModifier"), filter.response_header_modifier.as_ref());
    if let Some(mirror) = &filter.request_mirror {
        request_mirror(report, &format!("{at}.requestMirror"), mirror);
    }
    if let Some(redirect) = &filter.request_redirect {
        let at = format!("{at}.requestRedirect");
        if let Some(scheme) = redirect.scheme.as_deref() {
            report.one_of(format_args!("{at}.scheme"), scheme, &["http", "https"]);
        }
        precise_hostname(report, &at, redirect.hostname.as_deref());
        path_modifier(report, &at, redirect.path.as_ref());
        if let Some(port) = redirect.port {
            report.within(format_args!("{at}.port"), port, 1, 65535);
        }
        if let Some(code) = redirect.status_code {
            let text = code.to_string();
            report.one_of(format_args!("{at}.statusCode"), &text, &["301", "302", "303", "307", "308"]);
        }
    }
    if let Some(rewrite) = &filter.url_rewrite {
        let at = format!("{at}.urlRewrite");
        precise_hostname(report, &at, rewrite.hostname.as_deref());
        path_modifier(report, &at, rewrite.path.as_ref());
    }
    if let Some(settings) = &filter.cors {
        cors(report, &format!("{at}.cors"), settings);
    }
    if let Some(auth) = &filter.external_auth {
        report.one_of(format_args!("{at}.externalAuth.protocol"), &auth.protocol, &["HTTP", "GRPC"]);
        backend(report, &format!("{at}.externalAuth.backendRef"), &auth.backend_ref);
    }
    if let Some(extension) = &filter.extension_ref {
        let at = format!("{at}.extensionRef");
        object_reference(report, &at, Some(&extension.group), Some(&extension.kind), &extension.name, None);
    }
}

fn header_modifier(report: &mut Report, at: &str, modifier: Option<&HttpHeaderFilter>) {
    let Some(modifier) = modifier else { return };
    for (list, headers) in [("set", &modifier.set), ("add", &modifier.add)] {
        let at = format!("{at}.{list}");
        report.at_most(&at, headers.len(), 16);
        report.distinct(&at, headers.iter().map(|header| header.name.as_str()));
        for (i, HttpHeader { name, value }) in headers.iter().enumerate() {
            report.check(format_args!("{at}[{i}].name"), header_name(name));
            report.check(format_args!("{at}[{i}].value"), header_value(value));
        }
    }
    report.at_most(format_args!("{at}.remove"), modifier.remove.len(), 16);
    for (i, name) in modifier.remove.iter().enumerate() {
        report.check(format_args!("{at}.remove[{i}]"), header_name(name));
    }
}

fn request_mirror(report: &mut Report, at: &str, mirror: &HttpRequestMirrorFilter) {
    backend(report, &format!("{at}.backendRef"), &mirror.backend_ref);
    if mirror.percent.is_some() && mirror.fraction.is_some() {
        report.error(at, "has both percent and fraction");
    }
    if let Some(percent) = mirror.percent {
        report.within(format_args!("{at}.percent"), percent, 0, 100);
    }
    if let Some(fraction) = &mirror.fraction {
        let (numerator, denominator) = (fraction.numerator, fraction.denominator.unwrap_or(100));
        report.within(format_args!("{at}.fraction.numerator"), numerator, 0, i64::from(i32::MAX));
        report.within(format_args!("{at}.fraction.denominator"), denominator, 1, i64::from(i32::MAX));
        if numerator > denominator {
            report.error(format_args!("{at}.fraction"), format_args!("{numerator}/{denominator} is more than all"));
        }
    }
}

fn precise_hostname(report: &mut Report, at: &str, hostname: Option<&str>) {
    if let Some(hostname) = hostname {
        report.check(format_args!("{at}.hostname"), names::dns_1123_subdomain(hostname));
    }
}

fn path_modifier(report: &mut Report, at: &str, path: Option<&HttpPathModifier>) {
    if let Some(Err(fault)) = path.map(PathChange::read) {
        at_fault(report, &format!("{at}.path"), fault);
    }
}

fn cors(report: &mut Report, at: &str, cors: &HttpCorsFilter) {
    const METHODS_OR_ALL: [&str; 10] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"];
    let lists = [
        ("allowOrigins", &cors.allow_origins, 64),
        ("allowMethods", &cors.allow_methods, 9),
        ("allowHeaders", &cors.allow_headers, 64),
    ];
    for (list, values, most) in lists {
        report.at_most(format_args!("{at}.{list}"), values.len(), most);
        if values.len() > 1 && values.iter().any(|value| value == "*") {
            report.error(format_args!("{at}.{list}"), "has '*' among others");
        }
    }
    for (i, origin) in cors.allow_origins.iter().enumerate() {
        if !is_origin(origin) {
            let message =
                format_args!("{origin:?} is no origin: '*', or scheme://host[:port], the host perhaps with *.");
            report.error(format_args!("{at}.allowOrigins[{i}]"), message);
        }
    }
    for (i, method) in cors.allow_methods.iter().enumerate() {
        report.one_of(format_args!("{at}.allowMethods[{i}]"), method, &METHODS_OR_ALL);
    }
    for (list, names) in [("allowHeaders", &cors.allow_headers), ("exposeHeaders", &cors.expose_headers)] {
        for (i, name) in names.iter().enumerate() {
            report.check(format_args!("{at}.{list}[{i}]"), header_name(name));
        }
    }
    if let Some(max_age) = cors.max_age {
        report.within(format_args!("{at}.maxAge"), max_age, 1, i64::from(i32::MAX));
    }
}

fn is_origin(origin: &str) -> bool {
    if origin == "*" {
        return true;
    }
    let Some(rest) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let host_fits = host == "*" || host.strip_prefix("*.").unwrap_or(host).split('.').all(label);
    host_fits && port.is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()))
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

fn backend(report: &mut Report, at: &str, reference: &RouteBackendRef) {
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
    let cookie = session.cookie.as_ref().or(session.cookie_config.as_ref());
    if cookie.and_then(|cookie| cookie.lifetime_type.as_deref()) == Some("Permanent")
        && session.absolute_timeout.is_none()
    {
        report.error(&at, "a cookie of lifetimeType Permanent needs absoluteTimeout");
    }
    if type_ == "Header" && session.header.is_none() && session.session_name.is_none() {
        report.error(&at, "type Header needs header");
    }
    for (field, text) in [("absoluteTimeout", &session.absolute_timeout), ("idleTimeout", &session.idle_timeout)] {
        if let Some(Err(error)) = text.as_deref().map(read::duration) {
            report.error(format_args!("{at}.{field}"), error);
        }
    }
}
