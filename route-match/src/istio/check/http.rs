//! A rule for requests: its matches, its one action, and what goes with it.

use svc_model::api::{
    IstioCorsPolicy, IstioHeaders, IstioHttpDestination, IstioHttpFault, IstioHttpMatch, IstioHttpRedirect,
    IstioHttpRetry, IstioHttpRewrite, IstioHttpRoute,
};

use super::{value, virtual_service};
use crate::action::HeaderEdits;
use crate::report::Report;

/// Names that stand for claims of a token, which gateways alone read.
const CLAIMS: &str = "@request.auth.claims";

/// Longest body that a rule may answer with.
const MAX_BODY: usize = 1 << 20;

/// Checks a rule. `in_delegate`: of a VirtualService without hosts; `at_sidecars`: it holds in the mesh.
pub(super) fn rule(report: &mut Report, at: &str, rule: &IstioHttpRoute, in_delegate: bool, at_sidecars: bool) {
    actions(report, at, rule, in_delegate);
    for (i, found) in rule.match_.iter().enumerate() {
        condition(report, &format!("{at}.match[{i}]"), found, at_sidecars);
    }
    destinations(report, &format!("{at}.route"), &rule.route);
    if let Some(to) = &rule.redirect {
        redirect(report, &format!("{at}.redirect"), to, &rule.match_);
    }
    if let Some(response) = &rule.direct_response {
        // 600 is let pass by Istio, and by no proxy.
        report.within(format_args!("{at}.directResponse.status"), response.status, 200, 599);
        let body = response.body.iter().flat_map(|body| [&body.string, &body.bytes]).flatten();
        if body.map(String::len).sum::<usize>() > MAX_BODY {
            report.error(format_args!("{at}.directResponse.body"), "is longer than 1 MiB");
        }
    }
    if let Some(change) = &rule.rewrite {
        rewrite(report, &format!("{at}.rewrite"), change);
    }
    if let Some(edits) = &rule.headers {
        headers(report, &format!("{at}.headers"), edits);
    }
    authority(report, at, rule);
    if let Some(wrong) = &rule.fault {
        fault(report, &format!("{at}.fault"), wrong);
    }
    mirrors(report, at, rule);
    if let Some(policy) = &rule.cors_policy {
        cors(report, &format!("{at}.corsPolicy"), policy);
    }
    if let Some(policy) = &rule.retries {
        retries(report, &format!("{at}.retries"), policy);
    }
    report.duration(format_args!("{at}.timeout"), rule.timeout.as_deref());
}

/// One action, and nothing beside it that it cannot carry.
fn actions(report: &mut Report, at: &str, rule: &IstioHttpRoute, in_delegate: bool) {
    let all = [
        ("route", !rule.route.is_empty()),
        ("redirect", rule.redirect.is_some()),
        ("directResponse", rule.direct_response.is_some()),
        ("delegate", rule.delegate.is_some()),
    ];
    let there: Vec<&str> = all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    match there[..] {
        [] => report.error(at, "needs one of route, redirect, directResponse and delegate"),
        ["delegate"] if in_delegate => report.error(format_args!("{at}.delegate"), "delegates do not nest"),
        [_] => {}
        // The root's direct response goes to delegates that have none.
        ["directResponse", "delegate"] if !in_delegate => {}
        _ => report.error(at, format_args!("has {}, of which a rule has one", there.join(" and "))),
    }
    let answers = there.iter().find(|name| matches!(**name, "redirect" | "directResponse"));
    if let Some(answer) = answers.filter(|_| rule.delegate.is_none()) {
        for (name, there) in [("rewrite", rule.rewrite.is_some()), ("fault", rule.fault.is_some())] {
            if there {
                report.error(format_args!("{at}.{name}"), format_args!("has no effect beside {answer}"));
            }
        }
    }
    if let Some(delegate) = &rule.delegate
        && delegate.name.is_empty()
    {
        report.error(format_args!("{at}.delegate.name"), "missing");
    }
}

fn condition(report: &mut Report, at: &str, found: &IstioHttpMatch, at_sidecars: bool) {
    for (field, text, empty_prefix) in [
        ("uri", &found.uri, true),
        ("scheme", &found.scheme, false),
        ("method", &found.method, false),
        ("authority", &found.authority, false),
    ] {
        if let Some(text) = text {
            report.string_match(&format!("{at}.{field}"), text, empty_prefix);
        }
    }
    for (field, headers) in [("headers", &found.headers), ("withoutHeaders", &found.without_headers)] {
        for (name, text) in headers {
            let at = format!("{at}.{field}[{name}]");
            if name.starts_with(CLAIMS) {
                if at_sidecars {
                    report.error(&at, "claims are read by gateways, and this holds in the mesh");
                }
            } else if !PSEUDO_HEADERS.contains(&name.as_str()) {
                report.check(&at, HeaderEdits::new().remove(name));
            }
            // `*` is no expression, but stands for any value.
            let any = text.regex.as_deref() == Some("*");
            if any && field == "headers" {
                report.error(format_args!("{at}.regex"), "\"*\" is no expression; {} means that the header is there");
            } else if !any {
                report.string_match(&at, text, false);
            }
        }
    }
    report.string_matches(&format!("{at}.queryParams"), &found.query_params);
    report.optional_port(format_args!("{at}.port"), found.port);
    report.labels(format_args!("{at}.sourceLabels"), &found.source_labels);
    if !found.source_namespace.is_empty() {
        report.check(format_args!("{at}.sourceNamespace"), value::label(&found.source_namespace));
    }
    virtual_service::gateway_names(report, &format!("{at}.gateways"), &found.gateways);
}

/// Parts of the first line of a request that pass for headers (RFC 9113, 8.3).
const PSEUDO_HEADERS: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":status"];

fn destinations(report: &mut Report, at: &str, list: &[IstioHttpDestination]) {
    for (i, entry) in list.iter().enumerate() {
        match &entry.destination {
            Some(destination) => report.destination(&format!("{at}[{i}].destination"), destination),
            None => report.error(format_args!("{at}[{i}].destination"), "missing"),
        }
        if let Some(edits) = &entry.headers {
            headers(report, &format!("{at}[{i}].headers"), edits);
        }
    }
    weights(report, at, list.iter().map(|entry| entry.weight));
}

/// Shares of destinations, of which one is not 0.
pub(super) fn weights(report: &mut Report, at: &str, weights: impl ExactSizeIterator<Item = i64>) {
    let several = weights.len() > 1;
    let mut nothing = true;
    for (i, weight) in weights.enumerate() {
        if !(0..=i64::from(i32::MAX)).contains(&weight) {
            report.error(format_args!("{at}[{i}].weight"), format_args!("{weight} is no weight: 0 to 2147483647"));
        }
        nothing &= weight == 0;
    }
    if several && nothing {
        report.error(at, "several destinations, and none of them has a weight");
    }
}

fn redirect(report: &mut Report, at: &str, redirect: &IstioHttpRedirect, matches: &[IstioHttpMatch]) {
    let port = redirect.port.is_some() || redirect.derive_port.is_some();
    let texts = [&redirect.uri, &redirect.prefix_rewrite, &redirect.authority, &redirect.scheme];
    if !port && texts.iter().all(|text| text.is_empty()) {
        report.error(at, "leads to where it came from: name a uri, prefixRewrite, authority, scheme or port");
    }
    if !redirect.prefix_rewrite.is_empty() {
        let field = format!("{at}.prefixRewrite");
        if !redirect.uri.is_empty() {
            report.error(field, "uri replaces the whole path already");
        } else if matches.iter().filter_map(|found| found.uri.as_ref()).any(|uri| uri.prefix.is_none()) {
            report.error(field, "every uri must be matched by prefix, so that there is one to replace");
        }
    }
    if redirect.redirect_code != 0 && !(300..=399).contains(&redirect.redirect_code) {
        let message = format_args!("{} is no redirect: 300 to 399", redirect.redirect_code);
        report.error(format_args!("{at}.redirectCode"), message);
    }
    if !redirect.scheme.is_empty() {
        report.one_of(format_args!("{at}.scheme"), &redirect.scheme, &["http", "https"]);
    }
    if let Some(port) = redirect.port {
        report.optional_port(format_args!("{at}.port"), port);
    }
    if let Some(derived) = &redirect.derive_port {
        report.one_of(format_args!("{at}.derivePort"), derived, &["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]);
        if redirect.port.is_some() {
            report.error(format_args!("{at}.derivePort"), "port says it already");
        }
    }
}

fn rewrite(report: &mut Report, at: &str, rewrite: &IstioHttpRewrite) {
    let regex = rewrite.uri_regex_rewrite.as_ref();
    if rewrite.uri.is_empty() && rewrite.authority.is_empty() && regex.is_none() {
        report.error(at, "rewrites nothing: name a uri, uriRegexRewrite or authority");
    }
    if let Some(regex) = regex {
        let at = format!("{at}.uriRegexRewrite");
        if !rewrite.uri.is_empty() {
            report.error(&at, "uri rewrites the path already");
        }
        if report.required(format_args!("{at}.match"), &regex.match_) {
            report.regex(format_args!("{at}.match"), &regex.match_);
        }
        report.required(format_args!("{at}.rewrite"), &regex.rewrite);
    }
}

/// The authority, which three fields can set, in one of them.
fn authority(report: &mut Report, at: &str, rule: &IstioHttpRoute) {
    let request = rule.headers.as_ref().and_then(|headers| headers.request.as_ref());
    let edits = request.iter().flat_map(|edits| [("set", &edits.set), ("add", &edits.add)]);
    let headers = edits.flat_map(|(how, edits)| edits.keys().map(move |name| (how, name)));
    let mut first = rule.rewrite.as_ref().filter(|rewrite| !rewrite.authority.is_empty()).map(|_| "rewrite.authority");
    for (how, name) in headers.filter(|(_, name)| is_authority(name)) {
        if let Some(first) = first {
            let field = format!("{at}.headers.request.{how}[{name}]");
            report.error(field, format_args!("{first} sets the authority already"));
        }
        first.get_or_insert("another header");
    }
}

fn is_authority(header: &str) -> bool {
    header.eq_ignore_ascii_case("host") || header.eq_ignore_ascii_case(":authority")
}

fn headers(report: &mut Report, at: &str, headers: &IstioHeaders) {
    for (way, edits) in [("request", &headers.request), ("response", &headers.response)] {
        let Some(edits) = edits else { continue };
        for (how, values) in [("set", &edits.set), ("add", &edits.add)] {
            for (name, value) in values {
                let field = format!("{at}.{way}.{how}[{name}]");
                let name = match way {
                    "request" if is_authority(name) => "host",
                    "response" if name.eq_ignore_ascii_case("host") => {
                        report.error(field, "the Host is no header of a response");
                        continue;
                    }
                    _ => name.as_str(),
                };
                if report.check(&field, HeaderEdits::new().set(name, value)) {
                    report.check(field, substitutions(value));
                }
            }
        }
        for (i, name) in edits.remove.iter().enumerate() {
            let field = format!("{at}.{way}.remove[{i}]");
            if name.eq_ignore_ascii_case("host") {
                report.error(field, "the Host cannot be removed");
            } else {
                report.check(field, HeaderEdits::new().remove(name));
            }
        }
    }
}

/// `%NAME%` or `%NAME(ARGUMENTS)%` in the value of a header, which the proxy replaces; `%%` is a percent sign.
fn substitutions(value: &str) -> Result<(), String> {
    let mut rest = value;
    while let Some((_, command)) = rest.split_once('%') {
        if let Some(after) = command.strip_prefix('%') {
            rest = after;
            continue;
        }
        let end = command.find(['%', '(']).and_then(|end| match command.as_bytes()[end] {
            b'(' => closing(&command[end..]).map(|length| &command[end + length..]),
            _ => Some(&command[end..]),
        });
        rest = end.and_then(|end| end.trim_start_matches(' ').strip_prefix('%')).ok_or_else(|| {
            format!("{value:?}: a % begins a command such as %HOSTNAME%, and has no end; %% is the sign itself")
        })?;
    }
    Ok(())
}

/// The length of what is in parentheses, which are not counted behind a backslash.
fn closing(arguments: &str) -> Option<usize> {
    let mut chars = arguments.char_indices();
    while let Some((at, found)) = chars.next() {
        match found {
            '\\' => drop(chars.next()),
            ')' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn fault(report: &mut Report, at: &str, fault: &IstioHttpFault) {
    if fault.delay.is_none() && fault.abort.is_none() {
        report.error(at, "needs a delay or an abort");
    }
    if let Some(delay) = &fault.delay {
        let at = format!("{at}.delay");
        report.percentage(format_args!("{at}.percentage"), delay.percentage.as_ref());
        report.duration(format_args!("{at}.fixedDelay"), delay.fixed_delay.as_deref());
        if delay.exponential_delay.is_some() {
            report.error(format_args!("{at}.exponentialDelay"), "is not implemented by Istio; use fixedDelay");
        }
    }
    if let Some(abort) = &fault.abort {
        let at = format!("{at}.abort");
        report.percentage(format_args!("{at}.percentage"), abort.percentage.as_ref());
        if let Some(status) = abort.http_status {
            report.within(format_args!("{at}.httpStatus"), status, 200, 599);
        }
        if let Some(status) = &abort.grpc_status {
            report.one_of(format_args!("{at}.grpcStatus"), status, &GRPC_STATUSES);
        }
        if abort.http2_error.is_some() {
            report.error(format_args!("{at}.http2Error"), "is not implemented by Istio; use httpStatus or grpcStatus");
        }
        if abort.http_status.is_none() && abort.grpc_status.is_none() && abort.http2_error.is_none() {
            report.warning(at, "names no status, so that nothing fails");
        }
    }
}

/// Names of gRPC statuses.
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn mirrors(report: &mut Report, at: &str, rule: &IstioHttpRoute) {
    if rule.mirror.is_some() && !rule.mirrors.is_empty() {
        report.error(format_args!("{at}.mirrors"), "mirror is there too; a rule has one of them");
    }
    if let Some(mirror) = &rule.mirror {
        report.destination(&format!("{at}.mirror"), mirror);
    }
    report.percentage(format_args!("{at}.mirrorPercentage"), rule.mirror_percentage.as_ref());
    if let Some(percent) = rule.mirror_percent {
        let field = format!("{at}.mirrorPercent");
        report.within(&field, percent, 0, 100);
        report.warning(field, "the older form of mirrorPercentage");
    }
    for (i, mirror) in rule.mirrors.iter().enumerate() {
        let at = format!("{at}.mirrors[{i}]");
        match &mirror.destination {
            Some(destination) => report.destination(&format!("{at}.destination"), destination),
            None => report.error(format_args!("{at}.destination"), "missing"),
        }
        report.percentage(format_args!("{at}.percentage"), mirror.percentage.as_ref());
    }
}

fn cors(report: &mut Report, at: &str, policy: &IstioCorsPolicy) {
    for (i, origin) in policy.allow_origins.iter().enumerate() {
        let at = format!("{at}.allowOrigins[{i}]");
        let texts = [&origin.exact, &origin.prefix, &origin.regex];
        if texts.into_iter().flatten().all(|text| text.is_empty()) {
            report.error(at, "needs an exact, prefix or regex that is not empty");
        } else {
            report.string_match(&at, origin, false);
        }
    }
    for (i, method) in policy.allow_methods.iter().enumerate() {
        const METHODS: [&str; 10] =
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];
        report.one_of(format_args!("{at}.allowMethods[{i}]"), method, &METHODS);
    }
    for (field, names) in [("allowHeaders", &policy.allow_headers), ("exposeHeaders", &policy.expose_headers)] {
        for (i, name) in names.iter().enumerate().filter(|(_, name)| *name != "*") {
            report.check(format_args!("{at}.{field}[{i}]"), HeaderEdits::new().remove(name));
        }
    }
    if let Some(age) = &policy.max_age {
        let field = format!("{at}.maxAge");
        let whole = svc_model::check::duration::nanoseconds(age).is_none_or(|age| age % 1_000_000_000 == 0);
        if report.check(&field, value::duration(age)) && !whole {
            report.error(field, format_args!("{age:?} is no whole number of seconds"));
        }
    }
    if !policy.unmatched_preflights.is_empty() {
        let allowed = ["UNSPECIFIED", "FORWARD", "IGNORE"];
        report.one_of(format_args!("{at}.unmatchedPreflights"), &policy.unmatched_preflights, &allowed);
    }
}

/// Conditions to try again on (Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`).
const RETRY_ON: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

fn retries(report: &mut Report, at: &str, retries: &IstioHttpRetry) {
    if retries.attempts < 0 {
        report.error(format_args!("{at}.attempts"), format_args!("{} is negative", retries.attempts));
    }
    let says_more =
        retries.per_try_timeout.is_some() || !retries.retry_on.is_empty() || retries.retry_remote_localities.is_some();
    if retries.attempts == 0 && says_more {
        report.error(format_args!("{at}.attempts"), "0 switches retries off, and the rest says how to retry");
    }
    report.duration(format_args!("{at}.perTryTimeout"), retries.per_try_timeout.as_deref());
    report.duration(format_args!("{at}.backoff"), retries.backoff.as_deref());
    for policy in retries.retry_on.split(',').filter(|_| !retries.retry_on.is_empty()) {
        let status = policy.parse().is_ok_and(|status: u16| (100..=599).contains(&status));
        if !status && !RETRY_ON.contains(&policy) {
            let message = format_args!("{policy:?} is neither a condition of Envoy's nor a status");
            report.error(format_args!("{at}.retryOn"), message);
        }
    }
}
