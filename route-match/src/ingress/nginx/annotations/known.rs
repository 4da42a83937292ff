//! Which annotations does ingress-nginx know, which values may they have, and how risky does it hold them to be?
//!
//! Names, risks and the characters allowed are those of the controller's documentation (annotations-risk.md) and of what its
//! admission refuses. Allowed are lists of what is harmless; lists of what is not failed repeatedly (CVE-2021-25745, -25748,
//! CVE-2022-4886, CVE-2024-7646).

use std::net::IpAddr;

use ipnet::IpNet;
use svc_model::check::names;

use crate::ingress::flags::parse_bool;
use crate::regex::{Anchor, Regex};

/// An annotation of ingress-nginx.
#[derive(Debug)]
pub(in crate::ingress) struct Known {
    /// Without prefix.
    pub(in crate::ingress) key: &'static str,
    pub(in crate::ingress) risk: Risk,
    pub(in crate::ingress) format: Format,
}

/// What harm an annotation may do in the hands of those who may write Ingresses: the levels of the setting
/// `annotations-risk-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ingress) enum Risk {
    Low,
    Medium,
    High,
    Critical,
}

impl Risk {
    /// The level of this name, whatever its case; an unknown one is the strictest, as in the controller.
    pub(in crate::ingress) fn of_setting(text: &str) -> Self {
        let named = [("critical", Self::Critical), ("high", Self::High), ("medium", Self::Medium)];
        named.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map_or(Self::Low, |(_, risk)| risk)
    }

    /// As the setting names it.
    pub(in crate::ingress) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// Which values an annotation may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum Format {
    Bool,
    Int,
    /// One of these; blanks around it do not count.
    OneOf(&'static [&'static str]),
    /// The same in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// Letters, digits and `-._~/:`; blanks do not count.
    Basic,
    /// These and what expressions are written with.
    Expression,
    /// These, in a list of server names.
    ServerNames,
    /// A path that may name groups and nginx variables.
    PathWithGroups,
    /// The same; blanks do not count.
    PathWithGroupsAndBlanks,
    /// A URL without `%`, `#` and all that nginx could take for its own.
    Url,
    /// A URL that may name nginx variables.
    UrlWithVariables,
    /// `CN=` and an expression.
    CommonName,
    /// A text with nginx variables.
    Variables,
    /// Addresses and CIDRs, separated by commas.
    SourceRanges,
    ServiceName,
    Origins,
    Methods,
    HeaderNames,
    /// The same, or `*`.
    ExposedHeaders,
    /// A number of seconds.
    Seconds,
    /// Raw nginx configuration (CVE-2021-25742).
    Snippet,
    /// It has no part in where a request goes; its value is not looked at.
    Elsewhere,
}

impl Format {
    /// Whether the controller takes this value.
    pub(in crate::ingress) fn takes(self, text: &str) -> bool {
        let chars = |text: &str, more: &[u8]| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/:".contains(&b) || more.contains(&b))
        };
        let list = |of: &dyn Fn(&str) -> bool| text.split(',').all(|part| of(part.trim()));
        match self {
            Self::Bool => parse_bool(text).is_some(),
            Self::Int => text.parse::<i64>().is_ok(),
            Self::OneOf(options) => options.contains(&text.trim()),
            Self::OneOfAnyCase(options) => options.iter().any(|option| option.eq_ignore_ascii_case(text.trim())),
            Self::Basic => chars(text, b" "),
            Self::Expression => chars(text, EXPRESSION),
            Self::ServerNames => list(&|name| chars(name, EXPRESSION)),
            Self::PathWithGroups => chars(text, b"$"),
            Self::PathWithGroupsAndBlanks => chars(text, b"$ "),
            Self::Url => chars(text, b",?&="),
            Self::UrlWithVariables => chars(text, b" ,?&=$"),
            Self::CommonName => text.strip_prefix("CN=").is_some_and(|name| Regex::new(name, Anchor::None).is_ok()),
            Self::Variables => text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_${} ".contains(&b)),
            Self::SourceRanges => list(&|range| source_range(range).is_some()),
            Self::ServiceName => names::dns_1035_label(text).is_ok(),
            Self::Origins => text == "*" || list(&|origin| origin.is_empty() || origin == "null" || is_origin(origin)),
            Self::Methods => words(text, |b| b.is_ascii_alphabetic()),
            Self::HeaderNames => text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_, ".contains(&b)),
            Self::ExposedHeaders => words(text, |b| b.is_ascii_alphanumeric() || b"-_*".contains(&b)),
            Self::Seconds => text.trim().parse::<i64>().is_ok(),
            Self::Snippet | Self::Elsewhere => true,
        }
    }
}

/// What expressions are written with, beside the basic characters.
const EXPRESSION: &[u8] = br"^$[](){}*+?|&=\";

/// Words separated by a comma, a blank, or both.
fn words(text: &str, of: impl Fn(u8) -> bool) -> bool {
    !text.starts_with([',', ' ']) && text.bytes().all(|b| of(b) || matches!(b, b',' | b' '))
}

/// `scheme://host` or `scheme://host:port`, the host perhaps with `*.` before it; the scheme may be missing.
fn is_origin(text: &str) -> bool {
    let host = match text.split_once("://") {
        Some((scheme, host)) if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_lowercase()) => host,
        Some(_) => return false,
        None => text,
    };
    let host = host.strip_prefix("*.").unwrap_or(host);
    let (host, port) = host.split_once(':').unwrap_or((host, "0"));
    host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
}

/// An address or CIDR of an access list.
pub(in crate::ingress) fn source_range(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let net = text.parse::<IpNet>().ok();
    net.map(|net| net.trunc()).or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?.to_canonical())))
}

/// The annotation of this key.
pub(in crate::ingress) fn known(key: &str) -> Option<&'static Known> {
    KNOWN.binary_search_by(|known| known.key.cmp(key)).ok().map(|at| &KNOWN[at])
}

use Format::*;
use Risk::*;

const fn a(key: &'static str, risk: Risk, format: Format) -> Known {
    Known { key, risk, format }
}

/// By key.
static KNOWN: &[Known] = &[
    a("affinity", Low, OneOf(&["cookie"])),
    a("affinity-canary-behavior", Low, OneOf(&["sticky", "legacy"])),
    a("affinity-mode", Medium, OneOf(&["balanced", "persistent"])),
    a("allowlist-source-range", Medium, SourceRanges),
    a("app-root", Medium, PathWithGroups),
    a("auth-always-set-cookie", Low, Elsewhere),
    a("auth-cache-duration", Medium, Elsewhere),
    a("auth-cache-key", Medium, Elsewhere),
    a("auth-keepalive", Low, Elsewhere),
    a("auth-keepalive-requests", Low, Elsewhere),
    a("auth-keepalive-share-vars", Low, Elsewhere),
    a("auth-keepalive-timeout", Low, Elsewhere),
    a("auth-method", Low, Elsewhere),
    a("auth-proxy-set-headers", Medium, Elsewhere),
    a("auth-realm", Medium, Elsewhere),
    a("auth-request-redirect", Medium, Elsewhere),
    a("auth-response-headers", Medium, Elsewhere),
    a("auth-secret", Medium, Elsewhere),
    a("auth-secret-type", Low, Elsewhere),
    a("auth-signin", High, UrlWithVariables),
    a("auth-signin-redirect-param", Medium, Elsewhere),
    a("auth-snippet", Critical, Snippet),
    a("auth-tls-error-page", High, Elsewhere),
    a("auth-tls-match-cn", High, CommonName),
    a("auth-tls-pass-certificate-to-upstream", Low, Elsewhere),
    a("auth-tls-secret", Medium, Elsewhere),
    a("auth-tls-verify-client", Medium, Elsewhere),
    a("auth-tls-verify-depth", Low, Elsewhere),
    a("auth-type", Low, Elsewhere),
    a("auth-url", High, UrlWithVariables),
    a("backend-protocol", Low, OneOfAnyCase(&["HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS", "FCGI"])),
    a("canary", Low, Bool),
    a("canary-by-cookie", Medium, Basic),
    a("canary-by-header", Medium, Basic),
    a("canary-by-header-pattern", Medium, Expression),
    a("canary-by-header-value", Medium, Basic),
    a("canary-weight", Low, Int),
    a("canary-weight-total", Low, Int),
    a("client-body-buffer-size", Low, Elsewhere),
    a("configuration-snippet", Critical, Snippet),
    a("connection-proxy-header", Low, Elsewhere),
    a("cors-allow-credentials", Low, Bool),
    a("cors-allow-headers", Medium, HeaderNames),
    a("cors-allow-methods", Medium, Methods),
    a("cors-allow-origin", Medium, Origins),
    a("cors-expose-headers", Medium, ExposedHeaders),
    a("cors-max-age", Low, Int),
    a("custom-headers", Medium, Basic),
    a("custom-http-errors", Low, Elsewhere),
    a("default-backend", Low, ServiceName),
    a("denylist-source-range", Medium, SourceRanges),
    a("disable-proxy-intercept-errors", Low, Elsewhere),
    a("enable-access-log", Low, Elsewhere),
    a("enable-cors", Low, Bool),
    a("enable-global-auth", Low, Elsewhere),
    a("enable-modsecurity", Low, Elsewhere),
    a("enable-opentelemetry", Low, Elsewhere),
    a("enable-owasp-core-rules", Low, Elsewhere),
    a("enable-rewrite-log", Low, Elsewhere),
    a("fastcgi-index", Medium, Elsewhere),
    a("fastcgi-params-configmap", Medium, Elsewhere),
    a("force-ssl-redirect", Medium, Bool),
    a("from-to-www-redirect", Low, Bool),
    a("http2-push-preload", Low, Elsewhere),
    a("limit-allowlist", Low, Elsewhere),
    a("limit-burst-multiplier", Low, Elsewhere),
    a("limit-connections", Low, Elsewhere),
    a("limit-rate", Low, Elsewhere),
    a("limit-rate-after", Low, Elsewhere),
    a("limit-rpm", Low, Elsewhere),
    a("limit-rps", Low, Elsewhere),
    a("load-balance", Low, OneOf(&["round_robin", "ewma"])),
    a("mirror-host", High, Expression),
    a("mirror-request-body", Low, Elsewhere),
    a("mirror-target", High, Expression),
    a("modsecurity-snippet", Critical, Snippet),
    a("modsecurity-transaction-id", High, Elsewhere),
    a("opentelemetry-operation-name", Medium, Elsewhere),
    a("opentelemetry-trust-incoming-span", Low, Elsewhere),
    a("permanent-redirect", Medium, Url),
    a("permanent-redirect-code", Low, Int),
    a("preserve-trailing-slash", Medium, Bool),
    a("proxy-body-size", Medium, Elsewhere),
    a("proxy-buffer-size", Low, Elsewhere),
    a("proxy-buffering", Low, Elsewhere),
    a("proxy-buffers-number", Low, Elsewhere),
    a("proxy-busy-buffers-size", Low, Elsewhere),
    a("proxy-connect-timeout", Low, Elsewhere),
    a("proxy-cookie-domain", Medium, Elsewhere),
    a("proxy-cookie-path", Medium, Elsewhere),
    a("proxy-http-version", Low, Elsewhere),
    a("proxy-max-temp-file-size", Low, Elsewhere),
    a("proxy-next-upstream", Medium, Elsewhere),
    a("proxy-next-upstream-timeout", Low, Elsewhere),
    a("proxy-next-upstream-tries", Low, Elsewhere),
    a("proxy-read-timeout", Low, Elsewhere),
    a("proxy-redirect-from", Medium, Elsewhere),
    a("proxy-redirect-to", Medium, Elsewhere),
    a("proxy-request-buffering", Low, Elsewhere),
    a("proxy-send-timeout", Low, Elsewhere),
    a("proxy-ssl-ciphers", Medium, Elsewhere),
    a("proxy-ssl-name", High, Expression),
    a("proxy-ssl-protocols", Low, Elsewhere),
    a("proxy-ssl-secret", Medium, Elsewhere),
    a("proxy-ssl-server-name", Low, Elsewhere),
    a("proxy-ssl-verify", Low, Elsewhere),
    a("proxy-ssl-verify-depth", Low, Elsewhere),
    a("relative-redirects", Low, Bool),
    a("rewrite-target", Medium, PathWithGroups),
    a("satisfy", Low, OneOf(&["any", "all"])),
    a("server-alias", High, ServerNames),
    a("server-snippet", Critical, Snippet),
    a("service-upstream", Low, Bool),
    a("session-cookie-change-on-failure", Low, Bool),
    a("session-cookie-conditional-samesite-none", Low, Bool),
    a("session-cookie-domain", Medium, Basic),
    a("session-cookie-expires", Medium, Seconds),
    a("session-cookie-max-age", Medium, Seconds),
    a("session-cookie-name", Medium, Basic),
    a("session-cookie-path", Medium, Url),
    a("session-cookie-samesite", Low, OneOfAnyCase(&["None", "Lax", "Strict"])),
    a("session-cookie-secure", Low, Bool),
    a("ssl-ciphers", Low, Elsewhere),
    a("ssl-passthrough", Low, Bool),
    a("ssl-prefer-server-ciphers", Low, Elsewhere),
    a("ssl-redirect", Low, Bool),
    a("stream-snippet", Critical, Snippet),
    a("temporal-redirect", Medium, Url),
    a("temporal-redirect-code", Low, Int),
    a("upstream-hash-by", High, Variables),
    a("upstream-hash-by-subset", Low, Bool),
    a("upstream-hash-by-subset-size", Low, Int),
    a("upstream-vhost", Low, Expression),
    a("use-port-in-redirects", Low, Bool),
    a("use-regex", Low, Bool),
    a("whitelist-source-range", Medium, SourceRanges),
    a("x-forwarded-prefix", Medium, PathWithGroupsAndBlanks),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_of_keys() {
        assert!(KNOWN.is_sorted_by(|a, b| a.key < b.key));
        assert!(known("canary").is_some() && known("canary-by").is_none());
    }

    #[test]
    fn values_are_taken_by_what_is_allowed_not_by_what_is_forbidden() {
        for (key, good, bad) in [
            ("permanent-redirect", "https://a.example:8443/x?y=1&z=2,3", "https://a.example/; } location /x {"),
            ("permanent-redirect", "", "https://a.example/\r"),
            ("rewrite-target", "/$1/$host", "/x;"),
            ("canary-by-header-pattern", "^a|b(c){2}$", "a\"b"),
            ("server-alias", "a.example, *.b.example", "a.example;"),
            ("upstream-hash-by", "${request_uri}-$host", "$a;"),
            ("cors-allow-origin", "https://*.a.example, null,http://b.example:80", "https://a.example/$pid"),
            ("cors-allow-origin", "*", "https://a.example:x"),
            ("cors-allow-methods", "GET, PUT", "GET;"),
            ("cors-allow-methods", "GET PUT", ", GET"),
            ("cors-expose-headers", "*, X-A", "$pid"),
            ("whitelist-source-range", "10.0.0.0/8, 192.0.2.7,2001:db8::/32", "10.0.0.0/8,nowhere"),
            ("custom-headers", "default/map", "default/map;"),
            ("upstream-vhost", "$host", "a b"),
            ("affinity-mode", " persistent", "Persistent"),
            ("backend-protocol", "grpc", "QUIC"),
            ("canary-weight", "-3", " 3"),
            ("default-backend", "web", "Web"),
            ("auth-url", "https://auth.example/x?u=$host", "http://a.example/#;} location /x {"),
            ("auth-tls-match-cn", "CN=(a|b)\\.example", "CN=a)"),
            ("mirror-host", "$host", "a.example;"),
        ] {
            let format = known(key).unwrap().format;
            assert!(format.takes(good), "{key}: {good:?}");
            assert!(!format.takes(bad), "{key}: {bad:?}");
        }
    }

    #[test]
    fn levels_of_risk_are_read_in_any_case_and_the_unknown_is_the_strictest() {
        assert_eq!(Risk::of_setting("critical"), Risk::Critical);
        assert_eq!(Risk::of_setting("HIGH"), Risk::High);
        assert_eq!(Risk::of_setting("whatever"), Risk::Low);
        assert!(Risk::High < Risk::Critical);
    }
}
