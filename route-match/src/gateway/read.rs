//! What do the fields of a route or listener say? Readers that the compiler and [`check`](super::check) share, so that what is
//! reported is what is left out.

use std::time::Duration;

use svc_model::api::{
    GrpcMethodMatch, HttpHeaderFilter, HttpNamedMatch, HttpPathMatch, HttpPathModifier, HttpRouteFilter, Listener,
};
use svc_model::check::names;

use crate::action::{HeaderEdits, HeaderError};
use crate::condition::ValuePattern;
use crate::host_pattern::{HostPattern, WildcardDepth};
use crate::path_pattern::PathPattern;
use crate::regex::{Anchor, Regex};

/// The group of the Gateway API's kinds.
pub(super) const GROUP: &str = "gateway.networking.k8s.io";

/// What is wrong with a value: the field below it, empty for the value itself, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn of(message: impl ToString) -> Self {
        Self { field: "", message: message.to_string() }
    }

    pub(super) fn at(field: &'static str, message: impl ToString) -> Self {
        Self { field, message: message.to_string() }
    }
}

/// Reads a hostname of a listener or route: a DNS-1123 subdomain, or `*.` before one, which stands for any number of labels.
pub(super) fn hostname(text: &str) -> Result<HostPattern, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    names::dns_1123_subdomain(name).map_err(|error| error.to_string())?;
    HostPattern::parse(text, WildcardDepth::Any).map_err(|error| error.to_string())
}

/// The hosts of a listener.
pub(super) fn listener_hostname(listener: &Listener) -> Result<HostPattern, String> {
    match listener.hostname.as_deref() {
        None | Some("") => Ok(HostPattern::Any),
        Some(text) => hostname(text),
    }
}

/// A condition on the path, read.
#[derive(Clone, Debug)]
pub(super) enum PathMatch<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Regex(Regex),
}

impl<'a> PathMatch<'a> {
    pub(super) fn read(path: Option<&'a HttpPathMatch>) -> Result<Self, Fault> {
        let value = path.and_then(|path| path.value.as_deref()).unwrap_or("/");
        if value.len() > 1024 {
            return Err(Fault::at("value", "is longer than 1024 bytes"));
        }
        let exact = match path.and_then(|path| path.type_.as_deref()).unwrap_or("PathPrefix") {
            "Exact" => true,
            "PathPrefix" => false,
            "RegularExpression" => {
                let regex = Regex::new(value, Anchor::Whole).map_err(|error| Fault::at("value", error))?;
                return Ok(Self::Regex(regex));
            }
            other => return Err(not_one_of("type", other, &["Exact", "PathPrefix", "RegularExpression"])),
        };
        match path_fault(value) {
            Some(fault) => Err(Fault::of(format!("{value:?} {fault}"))),
            None if exact => Ok(Self::Exact(value)),
            None => Ok(Self::Prefix(value)),
        }
    }

    pub(super) fn pattern(&self) -> PathPattern {
        match self {
            Self::Exact(text) => PathPattern::exact(text),
            Self::Prefix(text) => PathPattern::prefix(text),
            Self::Regex(regex) => PathPattern::regex(regex.clone()),
        }
    }
}

/// What is wrong with the value of an Exact or PathPrefix match.
fn path_fault(value: &str) -> Option<&'static str> {
    const PARTS: [&str; 6] = ["//", "/./", "/../", "%2f", "%2F", "#"];
    if !value.starts_with('/') {
        Some("must start with '/'")
    } else if PARTS.iter().any(|part| value.contains(part)) {
        Some("must not hold '//', '/./', '/../', '%2f', '%2F' or '#'")
    } else if value.ends_with("/.") || value.ends_with("/..") {
        Some("must not end in '/.' or '/..'")
    } else if !is_path(value) {
        Some("may only hold letters, digits, escapes and -/._~!$&'()*+,;=:@")
    } else {
        None
    }
}

/// Whether a text holds nothing but what may stand in a path.
pub(super) fn is_path(value: &str) -> bool {
    let mut rest = value.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            (b'%', _) => return false,
            (byte, tail) if byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@".contains(byte) => tail,
            _ => return false,
        };
    }
    true
}

/// The methods that a match may name.
pub(super) const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Reads the method of a match.
pub(super) fn method(method: &str) -> Result<&str, Fault> {
    if METHODS.contains(&method) { Ok(method) } else { Err(not_one_of("", method, &METHODS)) }
}

/// Whether a condition is on a header or on a query parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Header,
    Query,
}

/// Reads a condition on a header or query parameter.
pub(super) fn named_match(condition: &HttpNamedMatch, named: Named) -> Result<ValuePattern, Fault> {
    let HttpNamedMatch { type_, name, value } = condition;
    header_name(name).map_err(|error| Fault::at("name", error))?;
    let is_regex = match type_.as_deref().unwrap_or("Exact") {
        "Exact" => false,
        "RegularExpression" => true,
        other => return Err(not_one_of("type", other, &["Exact", "RegularExpression"])),
    };
    let longest = if named == Named::Header { 4096 } else { 1024 };
    if value.is_empty() || value.len() > longest {
        return Err(Fault::at("value", format!("must have 1 to {longest} bytes")));
    }
    if named == Named::Header {
        header_value(value).map_err(|error| Fault::at("value", error))?;
    }
    if is_regex {
        let regex = Regex::new(value, Anchor::Whole).map_err(|error| Fault::at("value", error))?;
        return Ok(ValuePattern::Regex(regex));
    }
    Ok(ValuePattern::exact(value))
}

/// Reads the name of a header.
pub(super) fn header_name(name: &str) -> Result<(), String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > 256 || !name.bytes().all(token) {
        return Err(format!("{name:?} is no header name: 1 to 256 letters, digits and !#$%&'*+-.^_`|~"));
    }
    Ok(())
}

/// Reads the value of a header: printable ASCII, single blanks between words.
pub(super) fn header_value(value: &str) -> Result<(), String> {
    let printable = value.bytes().all(|b| (b'!'..=b'~').contains(&b) || matches!(b, b' ' | b'\t'));
    let blank = |b: Option<u8>| matches!(b, None | Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    let edges = blank(bytes.first().copied()) || blank(bytes.last().copied());
    let doubled = bytes.windows(2).any(|pair| blank(Some(pair[0])) && blank(Some(pair[1])));
    if !printable || edges || doubled || value.len() > 4096 {
        return Err(format!("{value:?} is no header value: printable ASCII, one blank at most between words"));
    }
    Ok(())
}

/// A condition on service and method, read; `None` for everything.
#[derive(Clone, Debug)]
pub(super) struct MethodMatch<'a> {
    pub(super) service: &'a str,
    pub(super) method: &'a str,
    pub(super) regex: bool,
}

impl<'a> MethodMatch<'a> {
    pub(super) fn read(condition: &'a GrpcMethodMatch) -> Result<Self, Fault> {
        let service = condition.service.as_deref().unwrap_or_default();
        let method = condition.method.as_deref().unwrap_or_default();
        let regex = match condition.type_.as_deref().unwrap_or("Exact") {
            "Exact" => false,
            "RegularExpression" => true,
            other => return Err(not_one_of("type", other, &["Exact", "RegularExpression"])),
        };
        if service.is_empty() && method.is_empty() {
            return Err(Fault::of("needs a service or a method"));
        }
        for (field, text) in [("service", service), ("method", method)] {
            if text.len() > 1024 {
                return Err(Fault::at(field, "is longer than 1024 bytes"));
            }
        }
        if !regex {
            let word = |text: &str| {
                let mut bytes = text.bytes();
                bytes.next().is_none_or(|b| b.is_ascii_alphabetic() || b == b'_')
                    && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            // A fully qualified name may begin with a dot.
            let parts = service.strip_prefix('.').unwrap_or(service);
            let package = service.is_empty() || parts.split('.').all(|part| !part.is_empty() && word(part));
            if !package || !word(method) {
                return Err(Fault::of(format!("{service:?} and {method:?} are no gRPC service and method")));
            }
        }
        let found = Self { service, method, regex };
        found.pattern().map_err(Fault::of)?;
        Ok(found)
    }

    /// The paths `/SERVICE/METHOD` that match.
    pub(super) fn pattern(&self) -> Result<PathPattern, crate::regex::RegexError> {
        let Self { service, method, regex } = *self;
        if !regex && !service.is_empty() {
            return Ok(match method {
                "" => PathPattern::text_prefix(&format!("/{service}/")),
                method => PathPattern::exact(&format!("/{service}/{method}")),
            });
        }
        // Names of services and methods have no character with a meaning in expressions but the dot, and an exact one here has
        // no service.
        let part = |text: &str| if text.is_empty() { "[^/]+".to_owned() } else { format!("(?:{text})") };
        Regex::new(&format!("/{}/{}", part(service), part(method)), Anchor::Whole).map(PathPattern::regex)
    }
}

/// Reads edits of headers.
pub(super) fn header_edits(filter: &HttpHeaderFilter) -> Result<HeaderEdits, HeaderError> {
    let mut edits = HeaderEdits::new();
    for header in &filter.set {
        edits = edits.set(&header.name, &header.value)?;
    }
    for header in &filter.add {
        edits = edits.add(&header.name, &header.value)?;
    }
    for name in &filter.remove {
        edits = edits.remove(name)?;
    }
    Ok(edits)
}

/// The types of filter, and whether the member for each is there.
pub(super) fn filter_members(filter: &HttpRouteFilter) -> [(&'static str, &'static str, bool); 8] {
    [
        ("RequestHeaderModifier", "requestHeaderModifier", filter.request_header_modifier.is_some()),
        ("ResponseHeaderModifier", "responseHeaderModifier", filter.response_header_modifier.is_some()),
        ("RequestMirror", "requestMirror", filter.request_mirror.is_some()),
        ("RequestRedirect", "requestRedirect", filter.request_redirect.is_some()),
        ("URLRewrite", "urlRewrite", filter.url_rewrite.is_some()),
        ("CORS", "cors", filter.cors.is_some()),
        ("ExternalAuth", "externalAuth", filter.external_auth.is_some()),
        ("ExtensionRef", "extensionRef", filter.extension_ref.is_some()),
    ]
}

/// A new path, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathChange<'a> {
    Full(&'a str),
    Prefix(&'a str),
}

impl<'a> PathChange<'a> {
    pub(super) fn read(path: &'a HttpPathModifier) -> Result<Self, Fault> {
        let (full, prefix) = (path.replace_full_path.as_deref(), path.replace_prefix_match.as_deref());
        match (path.type_.as_str(), full, prefix) {
            ("ReplaceFullPath", Some(full), None) => Ok(Self::Full(full)),
            ("ReplacePrefixMatch", None, Some(prefix)) => Ok(Self::Prefix(prefix)),
            ("ReplaceFullPath", ..) => Err(Fault::of("type ReplaceFullPath needs replaceFullPath, and only that")),
            ("ReplacePrefixMatch", ..) => {
                Err(Fault::of("type ReplacePrefixMatch needs replacePrefixMatch, and only that"))
            }
            (other, ..) => Err(not_one_of("type", other, &["ReplaceFullPath", "ReplacePrefixMatch"])),
        }
    }
}

/// Reads a duration (GEP-2257): up to four numbers of up to five digits, each with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("{text:?} is no duration such as 1h30m or 500ms");
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).map_or(tail, |end| &tail[..end]);
        parts += 1;
        let millis: u64 = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return Err(fault()),
        };
        if digits == 0 || digits > 5 || parts > 4 {
            return Err(fault());
        }
        // At most five digits.
        total += Duration::from_millis(millis * number.parse::<u64>().map_err(|_| fault())?);
        rest = &tail[unit.len()..];
    }
    if parts == 0 { Err(fault()) } else { Ok(total) }
}

/// A value outside a short list.
pub(super) fn not_one_of(field: &'static str, value: &str, allowed: &[&str]) -> Fault {
    Fault::at(field, crate::report::not_one_of(value, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_gep_2257() {
        for (text, millis) in [("0s", 0), ("500ms", 500), ("1h30m", 5_400_000), ("1m1s1ms", 61_001), ("10s10s", 20_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "1", "s", "-1s", "1.5s", "100000s", "1s1s1s1s1s", "1d", "1 s", "1ns"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hostnames_are_lower_case_names_or_wildcards_of_any_depth() {
        assert_eq!(hostname("*.a.example").unwrap().to_string(), "**.a.example");
        for text in ["", "*", "*.*.a", "A.example", "a..b", "a.example.", "a:80", "*a.example", "a.*.b"] {
            assert!(hostname(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn grpc_methods_are_paths() {
        let read = |service: &str, method: &str, type_: Option<&str>| {
            let condition = GrpcMethodMatch {
                type_: type_.map(Into::into),
                service: Some(service.into()).filter(|s: &String| !s.is_empty()),
                method: Some(method.into()).filter(|s: &String| !s.is_empty()),
            };
            MethodMatch::read(&condition).map(|found| found.pattern().unwrap())
        };
        let takes = |pattern: &PathPattern, path: &str| pattern.matches(path.as_bytes());
        let both = read("a.B", "C", None).unwrap();
        assert!(takes(&both, "/a.B/C") && !takes(&both, "/a.B/c") && !takes(&both, "/aXB/C"));
        let service = read("a.B", "", None).unwrap();
        assert!(takes(&service, "/a.B/Any") && !takes(&service, "/a.Bx/Any"));
        let method = read("", "C", None).unwrap();
        assert!(takes(&method, "/x.Y/C") && !takes(&method, "/x/y/C") && !takes(&method, "/C"));
        let regex = read("a[.]B|b", "C.*", Some("RegularExpression")).unwrap();
        assert!(takes(&regex, "/b/Cat") && !takes(&regex, "/c/Cat"));
        let qualified = read(".a.B", "C", None).unwrap();
        assert!(takes(&qualified, "/.a.B/C") && !takes(&qualified, "/a.B/C"));
        assert!(read(".", "", None).is_err() && read("..a", "", None).is_err());
        assert!(read("", "", None).is_err() && read("a/b", "", None).is_err() && read("a.", "", None).is_err());
        assert!(read("(", "", Some("RegularExpression")).is_err());
    }
}
