//! How do the checks say what they found? A list of findings about one object, and the judgements of single values that
//! all checks share.

use std::fmt::{self, Display};
use std::net::IpAddr;

use ipnet::IpNet;

use super::Finding;
use super::names::{self, NameError};
use crate::Protocol;
use crate::addr::{parse_cidr, parse_ip, special};
use crate::api::StringMap;

/// The findings about one object. Paths and messages are only written out when something is found.
pub(super) struct Report {
    object: String,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(object: String) -> Report {
        Report { object, findings: Vec::new() }
    }

    pub(super) fn error(&mut self, field: impl Display, message: impl Display) {
        self.findings.push(Finding::error(&self.object, field.to_string(), message.to_string()));
    }

    pub(super) fn warning(&mut self, field: impl Display, message: impl Display) {
        self.findings.push(Finding::warning(&self.object, field.to_string(), message.to_string()));
    }

    /// Whether a value is in order; an error if it is not.
    pub(super) fn check<E: Display>(&mut self, field: impl Display, result: Result<(), E>) -> bool {
        result.map_err(|error| self.error(field, error)).is_ok()
    }

    /// Whether a value is one of a few.
    pub(super) fn one_of(&mut self, field: impl Display, value: &str, allowed: &[&str]) -> bool {
        let known = allowed.contains(&value);
        if !known {
            self.error(field, NotOneOf { value, allowed });
        }
        known
    }

    /// Whether a number is a port.
    pub(super) fn port(&mut self, field: impl Display, number: i64) -> bool {
        let port = is_port(number);
        match number {
            0 => self.error(field, "missing or 0: a port is 1 to 65535"),
            _ if !port => self.error(field, format_args!("{number} is no port: 1 to 65535")),
            _ => {}
        }
        port
    }

    /// The protocol; absence means TCP.
    pub(super) fn protocol(&mut self, field: impl Display, value: &str) -> Option<Protocol> {
        let protocol = Protocol::of_field(value).ok();
        if protocol.is_none() {
            self.error(field, NotOneOf { value, allowed: &["TCP", "UDP", "SCTP"] });
        }
        protocol
    }

    /// The address; an error if it is none, a warning if it is not written canonically.
    pub(super) fn address(&mut self, field: impl Display, text: &str) -> Option<IpAddr> {
        let Ok(addr) = parse_ip(text) else {
            self.error(field, format_args!("{} is no IP address", Shown(text)));
            return None;
        };
        self.canonical(field, text, addr);
        Some(addr)
    }

    /// An address that traffic is sent to: also an error if it is one that [`special`] names.
    pub(super) fn destination(&mut self, field: impl Display, text: &str) -> Option<IpAddr> {
        match parse_ip(text).map(|addr| (addr, special(addr))) {
            Ok((addr, Some(kind))) => {
                self.error(field, format_args!("{addr} is {kind}; it is left out"));
                None
            }
            _ => self.address(field, text),
        }
    }

    /// The range. An error if it is none, a warning if it is not written canonically.
    pub(super) fn cidr(&mut self, field: impl Display, text: &str) -> Option<IpNet> {
        if text.trim() != text && parse_cidr(text).is_ok() {
            self.error(field, format_args!("{} is no CIDR: take away the blanks around it", Shown(text)));
            return None;
        }
        self.padded_cidr(field, text)
    }

    /// The range, where blanks around it are allowed: source ranges once stood in an annotation with commas between them.
    pub(super) fn padded_cidr(&mut self, field: impl Display, text: &str) -> Option<IpNet> {
        let Ok(net) = parse_cidr(text) else {
            let bare = parse_ip(text.trim()).map(|addr| match addr {
                IpAddr::V4(_) => format!(": an address alone is {addr}/32"),
                IpAddr::V6(_) => format!(": an address alone is {addr}/128"),
            });
            self.error(field, format_args!("{} is no CIDR{}", Shown(text), bare.unwrap_or_default()));
            return None;
        };
        self.canonical(field, text.trim(), net);
        Some(net)
    }

    /// A warning if a text that is an address is not written canonically; one that is none is not judged.
    pub(super) fn canonical_if_address(&mut self, field: impl Display, text: &str) {
        if let Ok(addr) = parse_ip(text) {
            self.canonical(field, text, addr);
        }
    }

    fn canonical(&mut self, field: impl Display, text: &str, canonical: impl Display) {
        if !same_text(text, &canonical) {
            let message = format_args!("{} is read as {canonical}; other programs may read or refuse it", Shown(text));
            self.warning(field, message);
        }
    }

    /// Keys and values of labels or of an equality selector; each fault is reported at the map.
    pub(super) fn labels(&mut self, field: impl Display + Copy, labels: &StringMap) -> bool {
        let before = self.findings.len();
        for (key, value) in labels {
            self.check(field, names::qualified_name(key).map_err(|error| format!("key {error}")));
            self.check(field, names::label_value(value).map_err(|error| format!("key {}: {error}", Shown(key))));
        }
        self.findings.len() == before
    }

    /// A name that must be there.
    pub(super) fn required_name(
        &mut self,
        field: impl Display,
        value: &str,
        rule: fn(&str) -> Result<(), NameError>,
    ) -> bool {
        if value.is_empty() {
            self.error(field, "missing");
            return false;
        }
        self.check(field, rule(value))
    }

    /// A name that may be absent.
    pub(super) fn optional_name(
        &mut self,
        field: impl Display,
        value: &str,
        rule: fn(&str) -> Result<(), NameError>,
    ) -> bool {
        value.is_empty() || self.check(field, rule(value))
    }
}

pub(super) fn is_port(number: i64) -> bool {
    crate::protocol::port_number(number).is_some()
}

/// Compares without writing the value out.
fn same_text(text: &str, value: &impl Display) -> bool {
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(piece).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    fmt::write(&mut rest, format_args!("{value}")).is_ok() && rest.0.is_empty()
}

/// A value from a manifest, quoted, cut to 64 characters, without control characters.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(64) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
        }
    }
}

/// A value outside a short list.
struct NotOneOf<'a> {
    value: &'a str,
    allowed: &'a [&'a str],
}

impl Display for NotOneOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not one of {}", Shown(self.value), self.allowed.join(", "))?;
        match nearest(self.value, self.allowed) {
            Some(near) => write!(f, "; did you mean {near}?"),
            None => Ok(()),
        }
    }
}

/// The value that was most likely meant: within 3 edits, case ignored, and nearer than writing it anew; else one that
/// the text is a part of.
fn nearest<'a>(value: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let part = |known: &&&str| value.len() > 3 && known.to_ascii_lowercase().contains(&value.to_ascii_lowercase());
    within_three_edits(value, allowed).or_else(|| allowed.iter().find(part).copied())
}

fn within_three_edits<'a>(value: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let value: Vec<char> = value.chars().take(65).map(|c| c.to_ascii_lowercase()).collect();
    let distances = allowed.iter().map(|known| {
        let known_chars: Vec<char> = known.chars().map(|c| c.to_ascii_lowercase()).collect();
        (edits(&value, &known_chars), known_chars.len(), *known)
    });
    let (_, _, near) =
        distances.filter(|(edits, length, _)| *edits <= 3 && edits < length).min_by_key(|(edits, ..)| *edits)?;
    Some(near)
}

/// Levenshtein's distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_is_named() {
        const TYPES: &[&str] = &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
        for (value, near) in [
            ("Loadbalancer", Some("LoadBalancer")),
            ("Nodeport", Some("NodePort")),
            ("ClusterIp", Some("ClusterIP")),
            ("External", Some("ExternalName")),
            ("Internal", None),
            ("", None),
        ] {
            assert_eq!(nearest(value, TYPES), near, "{value}");
        }
    }

    #[test]
    fn long_and_hostile_values_are_cut_and_escaped() {
        assert_eq!(Shown("a\n").to_string(), "\"a\\n\"");
        assert_eq!(Shown(&"é".repeat(100)).to_string(), format!("\"{}\"...", "é".repeat(64)));
    }

    #[test]
    fn addresses_that_are_not_canonical_are_read_and_reported() {
        let mut report = Report::new("x".to_owned());
        assert_eq!(report.address("f", "010.0.0.1"), "10.0.0.1".parse().ok());
        assert_eq!(report.address("f", "::ffff:10.0.0.1"), "10.0.0.1".parse().ok());
        assert_eq!(report.address("f", "fd00:0:0::1"), "fd00::1".parse().ok());
        assert_eq!(report.cidr("f", "10.0.0.1/8"), "10.0.0.0/8".parse().ok());
        assert_eq!(report.findings.len(), 4);
        assert!(report.findings.iter().all(|finding| finding.level == super::super::Level::Warning));
        assert!(report.address("f", "fd00::1").is_some() && report.cidr("f", "10.0.0.0/8").is_some());
        assert_eq!(report.findings.len(), 4);
    }

    #[test]
    fn blanks_around_a_range_are_allowed_for_source_ranges_only() {
        let mut report = Report::new("x".to_owned());
        assert_eq!(report.padded_cidr("f", " 10.0.0.0/8\t"), "10.0.0.0/8".parse().ok());
        assert_eq!(report.findings.len(), 0);
        assert_eq!(report.cidr("f", " 10.0.0.0/8"), None);
        assert_eq!(report.findings[0].level, super::super::Level::Error);
    }

    #[test]
    fn a_bare_address_is_told_its_mask() {
        let mut report = Report::new("x".to_owned());
        assert_eq!(report.cidr("f", "192.0.2.1"), None);
        assert_eq!(report.findings[0].message, "\"192.0.2.1\" is no CIDR: an address alone is 192.0.2.1/32");
    }
}
