//! Is a single value in order? Hosts, durations, expressions and the like, as Istio's admission reads them
//! (`pkg/config/validation` in its source).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use svc_model::addr::{parse_cidr, parse_ip};
use svc_model::api::{IstioDestination, IstioPercent, IstioStringMatch, StringMap};
use svc_model::check::{duration, names};

use crate::regex::{Anchor, Regex};
use crate::report::Report;

/// Longest expression that admission lets pass.
const MAX_REGEX: usize = 1024;

const MILLISECOND: i64 = 1_000_000;

/// A full name: labels of letters of either case, digits and inner dashes; one final dot is allowed, a last label of digits is not.
pub(super) fn name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("missing".to_owned());
    }
    if text.len() > 255 {
        return Err("is longer than 255 bytes".to_owned());
    }
    let bad = |label: &str| format!("{text:?} is no host: the label {label:?} is none");
    let labels = text.strip_suffix('.').unwrap_or(text);
    let last = labels.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad(last));
    }
    labels.split('.').find(|label| !is_label(label)).map_or(Ok(()), |label| Err(bad(label)))
}

/// A label of a name: what Istio asks of namespaces, subsets and names of ports.
pub(super) fn label(text: &str) -> Result<(), String> {
    match text {
        "" => Err("missing".to_owned()),
        text if is_label(text) => Ok(()),
        _ => Err(format!("{text:?} is no label: letters, digits and inner dashes, 63 at most")),
    }
}

/// Istio lets upper case pass where Kubernetes does not.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A full name, `*` or `*.` before one. (Istio also lets `*a.b` pass, and takes it for any name that ends so.)
pub(super) fn host(text: &str) -> Result<(), String> {
    match text.strip_prefix('*') {
        Some("") => Ok(()),
        Some(rest) => match rest.strip_prefix(['.', '-']) {
            Some(below) => name(below),
            None => name(rest),
        }
        .map_err(|_| format!("{text:?} is no host")),
        None => name(text),
    }
}

/// The same, or an address.
pub(super) fn host_or_address(text: &str) -> Result<(), String> {
    if text.parse::<IpAddr>().is_ok() { Ok(()) } else { host(text) }
}

/// A wildcard of whole labels. What stands otherwise is warned of or refused, by place.
pub(super) fn is_whole_wildcard(text: &str) -> bool {
    !text.contains('*') || text == "*" || text.starts_with("*.")
}

/// An address or a range.
pub(super) fn subnet(text: &str) -> Result<(), String> {
    if parse_ip(text).is_ok() || parse_cidr(text).is_ok() {
        Ok(())
    } else {
        Err(format!("{text:?} is neither an address nor a range"))
    }
}

/// A duration as Go writes it, of whole milliseconds and at least one.
pub(super) fn duration(text: &str) -> Result<(), String> {
    match duration::nanoseconds(text) {
        None => Err(format!("{text:?} is no duration such as 1h30m or 500ms")),
        Some(length) if length < MILLISECOND => Err(format!("{text:?} is shorter than 1ms")),
        Some(length) if length % MILLISECOND != 0 => Err(format!("{text:?} is no whole number of milliseconds")),
        Some(_) => Ok(()),
    }
}

impl Report {
    /// A duration, if it is there.
    pub(super) fn duration(&mut self, field: impl Display, text: Option<&str>) {
        if let Some(text) = text {
            self.check(field, duration(text));
        }
    }

    pub(super) fn port(&mut self, field: impl Display, number: i64) -> bool {
        if number == 0 {
            self.error(field, "missing or 0: a port is 1 to 65535");
            return false;
        }
        let is_port = (1..=65535).contains(&number);
        if !is_port {
            self.error(field, format_args!("{number} is no port: 1 to 65535"));
        }
        is_port
    }

    /// A port that may be left out.
    pub(super) fn optional_port(&mut self, field: impl Display, number: i64) {
        if number != 0 {
            self.port(field, number);
        }
    }

    /// Keys and values of labels; each fault is reported at the map.
    pub(super) fn labels(&mut self, field: impl Display, labels: &StringMap) {
        for (key, value) in labels {
            self.check(&field, names::qualified_name(key).map_err(|error| format!("key {error}")));
            self.check(&field, names::label_value(value).map_err(|error| format!("key {key:?}: {error}")));
        }
    }

    pub(super) fn regex(&mut self, field: impl Display, pattern: &str) {
        if pattern.is_empty() {
            self.error(field, "an empty expression matches the empty text alone");
        } else if pattern.len() > MAX_REGEX {
            self.error(field, format_args!("is longer than {MAX_REGEX} bytes"));
        } else {
            self.check(field, Regex::new(pattern, Anchor::Whole));
        }
    }

    /// A condition on a text. An empty prefix, which everything has, is allowed of paths only.
    pub(super) fn string_match(&mut self, at: &str, text: &IstioStringMatch, empty_prefix: bool) {
        let IstioStringMatch { exact, prefix, regex } = text;
        if [exact, prefix, regex].into_iter().flatten().count() > 1 {
            self.error(at, "has more than one of exact, prefix and regex");
        }
        if let Some(pattern) = regex {
            self.regex(format_args!("{at}.regex"), pattern);
        }
        if !empty_prefix && prefix.as_deref() == Some("") {
            self.error(format_args!("{at}.prefix"), "an empty prefix is no condition");
        }
    }

    /// Conditions on named values.
    pub(super) fn string_matches(&mut self, at: &str, matches: &BTreeMap<String, IstioStringMatch>) {
        for (name, found) in matches {
            self.string_match(&format!("{at}[{name}]"), found, false);
        }
    }

    pub(super) fn percentage(&mut self, field: impl Display, percentage: Option<&IstioPercent>) {
        if let Some(percentage) = percentage {
            let value = percentage.value.as_f64();
            if !(0.0..=100.0).contains(&value) {
                self.error(format_args!("{field}.value"), format_args!("{value} is not within 0 and 100"));
            }
        }
    }

    pub(super) fn destination(&mut self, at: &str, destination: &IstioDestination) {
        let field = format!("{at}.host");
        if destination.host == "*" {
            self.error(field, "a destination is one host, not all");
        } else {
            self.check(field, host(&destination.host));
        }
        self.subset_name(format_args!("{at}.subset"), &destination.subset);
        if let Some(port) = &destination.port {
            self.port(format_args!("{at}.port.number"), port.number);
        }
    }

    pub(super) fn subset_name(&mut self, field: impl Display, subset: &str) {
        if !subset.is_empty() {
            self.check(field, label(subset));
        }
    }

    /// Namespaces that an object is exported to.
    pub(super) fn export_to(&mut self, list: &[String], namespace: &str, may_hide: bool) {
        let mut seen = BTreeSet::new();
        for (i, entry) in list.iter().enumerate() {
            let field = format!("spec.exportTo[{i}]");
            let named = if entry == "." { namespace } else { entry };
            if !seen.insert(named) {
                self.error(field, format_args!("the namespace {named:?} is there already"));
                continue;
            }
            match named {
                "*" => {}
                "~" if may_hide => {}
                "~" => self.error(field, "only a ServiceEntry can be hidden from everyone"),
                named => drop(self.check(field, label(named))),
            }
        }
        for (word, meaning) in [("*", "all namespaces"), ("~", "none")] {
            if list.len() > 1 && seen.contains(word) {
                self.error("spec.exportTo", format_args!("{word} is {meaning}, so nothing can stand beside it"));
            }
        }
    }

    /// A protocol of a port.
    pub(super) fn protocol(&mut self, field: impl Display, text: &str) {
        const KNOWN: [&str; 11] =
            ["HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "REDIS", "MYSQL", "TCP", "TLS", "UDP"];
        if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(text)) {
            self.error(field, crate::report::not_one_of(text, &KNOWN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_with_a_star_in_front_at_most() {
        for text in ["a", "a.b", "A.b", "a.b.", "*", "*.a", "*-a.b", "x.1a"] {
            assert_eq!(host(text), Ok(()), "{text}");
        }
        for text in ["", "a..b", "a.*", "-a", "a-.b", "a_b.c", "a b", "*.", "10.0.0.1", "*.10", "é.b", ".."] {
            assert!(host(text).is_err(), "{text}");
        }
        assert!(host(&"a".repeat(64)).is_err() && host(&"a.".repeat(200)).is_err());
        assert_eq!(host_or_address("10.0.0.1"), Ok(()));
        assert_eq!(host_or_address("::1"), Ok(()));
    }

    #[test]
    fn durations_are_whole_milliseconds() {
        for text in ["1ms", "0.5s", "1h30m", "5s"] {
            assert_eq!(duration(text), Ok(()), "{text}");
        }
        for text in ["", "0s", "5", "-1s", "1.5ms", "999us", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
