//! What do the Ingresses of one controller do to each other? Looked at a host at a time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use svc_model::Resource;
use svc_model::api::{Ingress, IngressRule};
use svc_model::check::Finding;

use crate::host_pattern::HostPattern;
use crate::ingress::class::{Dialect, ServedIngresses};
use crate::ingress::nginx::Values;
use crate::ingress::read::{self, PathType};
use crate::regex::{Anchor, Regex};

/// Warns of what the author of an Ingress hardly meant: a host or path that another Ingress has already, a rule that no request
/// reaches, paths that become expressions, a host left out of the Ingress's own TLS.
///
/// For each host O(paths × paths that are expressions).
pub(super) fn check(served: &ServedIngresses<'_>, findings: &mut Vec<Finding>) {
    let nginx = served.dialect == Dialect::Nginx;
    let mut hosts: BTreeMap<HostPattern, Host<'_>> = BTreeMap::new();
    for ingress in &served.ingresses {
        let values = nginx.then(|| Values::of(ingress, &served.flags.annotations_prefix));
        if values.as_ref().is_some_and(|values| values.boolean("canary") == Some(true)) {
            continue;
        }
        for (i, rule) in ingress.spec.rules.iter().enumerate() {
            let Ok(pattern) = read::rule_host(rule) else { continue };
            without_tls(ingress, i, rule, findings);
            let host = hosts.entry(pattern.clone()).or_insert_with(|| Host { owner: ingress, paths: Vec::new() });
            if pattern != HostPattern::Any && !std::ptr::eq(host.owner, *ingress) {
                let owner = host.owner.reference();
                let whose = if nginx {
                    "its annotations and default backend count for other paths"
                } else {
                    "its default backend counts for other paths"
                };
                let message = format!("{owner} names this host too, and before: {whose}");
                findings.push(Finding::warning(ingress.reference(), format!("spec.rules[{i}].host"), message));
            }
            host.paths.extend(read::paths(rule, served.dialect).map(|path| {
                let regex = values.as_ref().and_then(|values| expression_by(values, path.text));
                Path { ingress, rule: i, index: path.index, path_type: path.path_type, text: path.text, regex }
            }));
        }
    }
    for (pattern, host) in &hosts {
        host.claims(pattern, findings);
        match host.paths.iter().find(|path| path.regex.is_some()) {
            Some(first) => host.expressions(pattern, first, findings),
            None => host.literals(nginx, findings),
        }
    }
}

/// One host: the Ingress that names it first, and all paths in the order of their Ingresses.
struct Host<'c> {
    owner: &'c Ingress,
    paths: Vec<Path<'c>>,
}

struct Path<'c> {
    ingress: &'c Ingress,
    rule: usize,
    index: usize,
    path_type: PathType,
    text: &'c str,
    /// The annotation by which its Ingress makes expressions of all paths of the host.
    regex: Option<&'static str>,
}

fn expression_by(values: &Values<'_>, path: &str) -> Option<&'static str> {
    if values.boolean("use-regex") == Some(true) {
        Some("use-regex")
    } else {
        values.text("rewrite-target").filter(|target| *target != path).map(|_| "rewrite-target")
    }
}

/// A host of an Ingress with TLS for others only.
fn without_tls(ingress: &Ingress, i: usize, rule: &IngressRule, findings: &mut Vec<Finding>) {
    let mut listed = ingress.spec.tls.iter().flat_map(|tls| &tls.hosts).peekable();
    if listed.peek().is_none() || rule.host.is_empty() {
        return;
    }
    let host = rule.host.as_str();
    let covers = |listed: &String| {
        let wildcard = listed.strip_prefix("*.").zip(host.split_once('.'));
        listed.eq_ignore_ascii_case(host)
            || wildcard.is_some_and(|(suffix, (_, rest))| suffix.eq_ignore_ascii_case(rest))
    };
    if !listed.any(covers) {
        let message =
            format!("spec.tls lists other hosts, but not {host:?}: it is served with another certificate, or none");
        findings.push(Finding::warning(ingress.reference(), format!("spec.rules[{i}].host"), message));
    }
}

impl Host<'_> {
    /// The same path twice: the first stays.
    fn claims(&self, pattern: &HostPattern, findings: &mut Vec<Finding>) {
        let mut owners = BTreeMap::new();
        for path in &self.paths {
            let owner = *owners.entry((path.path_type, path.text)).or_insert(path);
            if !std::ptr::eq(owner.ingress, path.ingress) {
                let message =
                    format!("{} has host {pattern} and path {:?} already", owner.ingress.reference(), path.text);
                findings.push(path.warning(message));
            }
        }
    }

    /// Where no path is an expression: prefixes that say the same, and what looks like an expression but is none.
    fn literals(&self, nginx: bool, findings: &mut Vec<Finding>) {
        let mut prefixes: BTreeMap<&str, &Path<'_>> = BTreeMap::new();
        for path in self.paths.iter().filter(|path| path.path_type == PathType::Prefix) {
            let elements = path.text.strip_suffix('/').unwrap_or(path.text);
            let first = *prefixes.entry(elements).or_insert(path);
            // ingress-nginx leaves the path without its slash to a later rule.
            let reached = nginx && first.text.ends_with('/');
            if first.text != path.text && !reached {
                findings.push(path.warning(format!("no request reaches it: {first} takes the same paths")));
            }
            if nginx && path.text.contains(['(', ')', '[', ']', '*', '|', '^', '$', '\\', '+', '?', '{', '}']) {
                let message = "it is compared letter by letter: an expression needs the annotation use-regex";
                findings.push(path.warning(message.to_owned()));
            }
        }
    }

    /// Where all paths are expressions: who made them so, and which of them no request reaches.
    fn expressions(&self, pattern: &HostPattern, by: &Path<'_>, findings: &mut Vec<Finding>) {
        let annotation = by.regex.unwrap_or_default();
        for path in &self.paths {
            let taken = match path.path_type {
                PathType::Exact => "paths that are longer, and in any case",
                PathType::Prefix => "paths that go on within an element, and in any case",
            };
            if path.regex.is_none() {
                let whose = by.ingress.reference();
                let message = format!(
                    "{whose} makes expressions of all paths of host {pattern} ({annotation}): this one takes {taken}"
                );
                findings.push(path.warning(message));
            } else if path.regex == Some("rewrite-target") && path.is_declared_literal() && path.text != "/" {
                findings.push(path.warning(format!("rewrite-target makes an expression of it, which takes {taken}")));
            }
        }
        // The order in which nginx tries them.
        let mut ordered: Vec<&Path<'_>> = self.paths.iter().collect();
        ordered.sort_by_key(|path| (Reverse(path.text.len()), Reverse(path.text)));
        let mut expressions: Vec<(&Path<'_>, Regex)> = Vec::new();
        for path in ordered {
            let same = |earlier: &Path<'_>| (earlier.text, earlier.path_type) == (path.text, path.path_type);
            if is_literal(path.text) {
                // Without a look at the end, what an expression finds in a text it finds in every longer one.
                let shadow =
                    expressions.iter().find(|(earlier, regex)| !same(earlier) && regex.is_match(path.text.as_bytes()));
                if let Some((shadow, _)) = shadow {
                    findings.push(
                        path.warning(format!("no request reaches it: {shadow} is tried first and takes them all")),
                    );
                }
            } else if !looks_at_ends(path.text)
                && let Ok(regex) = Regex::ignoring_case(path.text, Anchor::Caret)
            {
                expressions.push((path, regex));
            }
        }
    }
}

/// Whether, as an expression, the text stands for itself alone.
fn is_literal(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_~".contains(&b))
}

/// Whether the expression may depend on what follows a match.
fn looks_at_ends(text: &str) -> bool {
    text.contains(['$', '\\']) || text.contains("(?")
}

impl Path<'_> {
    fn warning(&self, message: String) -> Finding {
        let field = format!("spec.rules[{}].http.paths[{}].path", self.rule, self.index);
        Finding::warning(self.ingress.reference(), field, message)
    }

    /// Whether its author wrote a type that knows no expressions.
    fn is_declared_literal(&self) -> bool {
        let path = self.ingress.spec.rules[self.rule].http.as_ref().and_then(|http| http.paths.get(self.index));
        path.is_some_and(|path| matches!(path.path_type.as_deref(), Some("Exact" | "Prefix")))
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "path {:?} of {}", self.text, self.ingress.reference())
    }
}
