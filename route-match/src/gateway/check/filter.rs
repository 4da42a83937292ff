//! The filters of a rule or backend.

use svc_model::api::{
    HttpCorsFilter, HttpExternalAuthFilter, HttpHeader, HttpHeaderFilter, HttpPathModifier, HttpRequestMirrorFilter,
    HttpRouteFilter,
};
use svc_model::check::names;

use super::object_reference;
use super::route::{at_fault, backend};
use crate::gateway::read::{PathChange, filter_members, header_name, header_value, is_path};
use crate::report::Report;

pub(super) fn filters(report: &mut Report, at: &str, filters: &[HttpRouteFilter], is_grpc: bool) {
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
        external_auth(report, &format!("{at}.externalAuth"), auth);
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
    let at = format!("{at}.remove");
    report.at_most(&at, modifier.remove.len(), 16);
    report.distinct(&at, modifier.remove.iter().map(String::as_str));
    for (i, name) in modifier.remove.iter().enumerate() {
        report.check(format_args!("{at}[{i}]"), header_name(name));
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
    let Some(path) = path else { return };
    if let Err(fault) = PathChange::read(path) {
        at_fault(report, &format!("{at}.path"), fault);
    }
    for (member, text) in
        [("replaceFullPath", &path.replace_full_path), ("replacePrefixMatch", &path.replace_prefix_match)]
    {
        report.no_longer(format_args!("{at}.path.{member}"), text.as_deref().unwrap_or_default(), 1024);
    }
}

fn external_auth(report: &mut Report, at: &str, auth: &HttpExternalAuthFilter) {
    report.one_of(format_args!("{at}.protocol"), &auth.protocol, &["HTTP", "GRPC"]);
    backend(report, &format!("{at}.backendRef"), &auth.backend_ref);
    for (protocol, member, is_there) in [("HTTP", "http", auth.http.is_some()), ("GRPC", "grpc", auth.grpc.is_some())] {
        if is_there != (auth.protocol == protocol) && ["HTTP", "GRPC"].contains(&&*auth.protocol) {
            let has = if is_there { "has" } else { "lacks" };
            report.error(at, format_args!("an external authorization over {} {has} {member}", auth.protocol));
        }
    }
    let mut header_names = |list: &str, names: &[String]| {
        let at = format!("{at}.{list}");
        report.at_most(&at, names.len(), 64);
        report.distinct(&at, names.iter().map(String::as_str));
    };
    if let Some(grpc) = &auth.grpc {
        header_names("grpc.allowedHeaders", &grpc.allowed_headers);
    }
    if let Some(http) = &auth.http {
        header_names("http.allowedHeaders", &http.allowed_headers);
        header_names("http.allowedResponseHeaders", &http.allowed_response_headers);
        if let Some(path) = http.path.as_deref() {
            report.no_longer(format_args!("{at}.http.path"), path, 1024);
            if !is_path(path) {
                let message = format_args!("{path:?} may only hold letters, digits, escapes and -/._~!$&'()*+,;=:@");
                report.error(format_args!("{at}.http.path"), message);
            }
        }
    }
    if let Some(body) = &auth.forward_body {
        report.within(format_args!("{at}.forwardBody.maxSize"), body.max_size, 0, i64::from(i32::MAX));
    }
}

fn cors(report: &mut Report, at: &str, cors: &HttpCorsFilter) {
    const METHODS_OR_ALL: [&str; 10] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"];
    let lists = [
        ("allowOrigins", &cors.allow_origins, 64),
        ("allowMethods", &cors.allow_methods, 9),
        ("allowHeaders", &cors.allow_headers, 64),
        ("exposeHeaders", &cors.expose_headers, 64),
    ];
    for (list, values, most) in lists {
        let at = format!("{at}.{list}");
        report.at_most(&at, values.len(), most);
        report.distinct(&at, values.iter().map(String::as_str));
        // Of headers exposed, `*` is a name like any other here.
        if values.len() > 1 && values.iter().any(|value| value == "*") && list != "exposeHeaders" {
            report.error(&at, "has '*' among others");
        }
    }
    for (i, origin) in cors.allow_origins.iter().enumerate() {
        report.no_longer(format_args!("{at}.allowOrigins[{i}]"), origin, 253);
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
