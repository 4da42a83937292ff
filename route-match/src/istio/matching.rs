//! What does a match ask for? Conditions of a VirtualService in the router's words.

use svc_model::api::{IstioHttpMatch, IstioStringMatch, StringMap, selects};

use super::names::GatewayName;
use crate::condition::{Condition, ValuePattern};
use crate::path_pattern::PathPattern;
use crate::question::Scheme;
use crate::regex::{Anchor, Regex, RegexError};

/// What the names of headers begin with that stand for claims of a request's token.
const CLAIMS: &str = "@request.auth.claims";

/// The proxy and the listener that rules are compiled for: what a match asks of these is decided once and is no condition.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'a> {
    /// The Gateway whose servers it is made of, or the mesh.
    pub gateway: &'a GatewayName,
    /// Its port: of a gateway the server's, of a sidecar the one that is called.
    pub port: u16,
    /// What is spoken there.
    pub scheme: Scheme,
    /// The namespace of the proxy: of a gateway its Pod's, of a sidecar the caller's.
    pub namespace: &'a str,
    /// The labels of the proxy.
    pub labels: &'a StringMap,
}

/// What a match of any kind of rule asks of the proxy and its listener.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The port; 0 for any.
    pub port: i64,
    /// The gateways; empty for all.
    pub gateways: &'a [String],
    /// Labels of the caller.
    pub source_labels: &'a StringMap,
    /// The caller's namespace; empty for any.
    pub source_namespace: &'a str,
}

impl Listener<'_> {
    /// Whether a match of a VirtualService of `namespace` can hold here. Where it names gateways, what it asks of the caller is not
    /// looked at.
    pub fn admits(&self, scope: Scope<'_>, namespace: &str) -> bool {
        let port = scope.port == 0 || scope.port == i64::from(self.port);
        let source = || {
            selects(scope.source_labels, self.labels)
                && (scope.source_namespace.is_empty() || scope.source_namespace == self.namespace)
        };
        port && if scope.gateways.is_empty() { source() } else { self.gateway.is_in(scope.gateways, namespace) }
    }
}

/// The scope of a match of an `http` rule.
pub(crate) fn scope(found: &IstioHttpMatch) -> Scope<'_> {
    Scope {
        port: found.port,
        gateways: &found.gateways,
        source_labels: &found.source_labels,
        source_namespace: &found.source_namespace,
    }
}

/// What of a path a match took, so that a rewrite can replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matched<'a> {
    /// This beginning.
    Prefix(&'a str),
    /// All of it.
    Whole,
}

/// A match, read.
#[derive(Debug)]
pub(crate) struct HttpMatch<'a> {
    pub(crate) path: PathPattern,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) matched: Matched<'a>,
    /// Whether it takes every request and is written so plainly that Istio sees it: prefix `/` or expression `.*`, and nothing else.
    pub(crate) catch_all: bool,
}

impl<'a> HttpMatch<'a> {
    /// The match of a rule without any.
    pub(crate) fn everything() -> Self {
        let path = PathPattern::text_prefix("/");
        Self { path, conditions: Vec::new(), matched: Matched::Prefix("/"), catch_all: true }
    }

    /// Reads a match.
    ///
    /// # Errors
    /// An expression that cannot be read.
    pub(crate) fn read(found: &'a IstioHttpMatch) -> Result<Self, RegexError> {
        let mut read = Self::everything();
        if let Some(uri) = &found.uri {
            (read.path, read.matched, read.catch_all) = path(uri)?;
        }
        if found.ignore_uri_case {
            read.path = read.path.ignoring_case();
        }
        let whole = [
            (&found.method, Condition::method_like as fn(ValuePattern) -> Condition),
            (&found.authority, Condition::authority),
            (&found.scheme, Condition::scheme),
        ];
        for (text, condition) in whole {
            if let Some(text) = text {
                read.conditions.push(condition(value(text)?));
            }
        }
        for (name, text) in &found.headers {
            read.conditions.push(header(name, value(text)?));
        }
        for (name, text) in &found.without_headers {
            let pattern = match value(text)? {
                ValuePattern::Present => ValuePattern::Absent,
                pattern => ValuePattern::except(pattern),
            };
            read.conditions.push(header(name, pattern));
        }
        for (name, text) in &found.query_params {
            read.conditions.push(Condition::query(name, value(text)?));
        }
        read.catch_all &= read.conditions.is_empty();
        Ok(read)
    }
}

fn path(uri: &IstioStringMatch) -> Result<(PathPattern, Matched<'_>, bool), RegexError> {
    Ok(match (&uri.exact, &uri.prefix, &uri.regex) {
        (Some(exact), ..) => (PathPattern::exact(exact), Matched::Whole, false),
        (None, Some(prefix), _) => (PathPattern::text_prefix(prefix), Matched::Prefix(prefix), prefix == "/"),
        (None, None, Some(regex)) => {
            (PathPattern::regex(Regex::new(regex, Anchor::Whole)?), Matched::Whole, regex == ".*")
        }
        (None, None, None) => (PathPattern::text_prefix("/"), Matched::Prefix("/"), true),
    })
}

/// A condition on a text. None of the three forms, and the expression `*`, which is none, ask only that it is there.
pub(crate) fn value(text: &IstioStringMatch) -> Result<ValuePattern, RegexError> {
    Ok(match (&text.exact, &text.prefix, &text.regex) {
        (Some(exact), ..) => ValuePattern::exact(exact),
        (None, Some(prefix), _) => ValuePattern::prefix(prefix),
        (None, None, Some(regex)) if regex != "*" => ValuePattern::Regex(Regex::new(regex, Anchor::Whole)?),
        (None, None, _) => ValuePattern::Present,
    })
}

/// A condition on a header. Envoy keeps the parts of the request line, and Host, as headers of these names.
fn header(name: &str, value: ValuePattern) -> Condition {
    if let Some(path) = claim(name) {
        return Condition::claim(path, value);
    }
    match name.to_ascii_lowercase().as_str() {
        ":authority" | "host" => Condition::authority(value),
        ":method" => Condition::method_like(value),
        ":scheme" => Condition::scheme(value),
        _ => Condition::header(name, value),
    }
}

/// The claim that a header stands for: `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`, where names may hold dots.
fn claim(name: &str) -> Option<Vec<&str>> {
    let (start, rest) = name.split_at_checked(CLAIMS.len())?;
    if !start.eq_ignore_ascii_case(CLAIMS) {
        return None;
    }
    let bracketed = || rest.strip_prefix('[')?.strip_suffix(']').map(|names| names.split("][").collect());
    rest.strip_prefix('.').map(|names| names.split('.').collect()).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (String, bool) {
        let found: IstioHttpMatch = serde_json::from_str(json).unwrap();
        let read = HttpMatch::read(&found).unwrap();
        let conditions: Vec<String> = read.conditions.iter().map(ToString::to_string).collect();
        (format!("{} [{}]", read.path, conditions.join(", ")), read.catch_all)
    }

    #[test]
    fn only_a_plain_match_of_everything_is_a_catch_all() {
        for (json, catch_all) in [
            ("{}", true),
            (r#"{"port": 80}"#, true),
            (r#"{"uri": {}}"#, true),
            (r#"{"uri": {"prefix": "/"}, "ignoreUriCase": true}"#, true),
            (r#"{"uri": {"regex": ".*"}}"#, true),
            (r#"{"uri": {"prefix": ""}}"#, false),
            (r#"{"uri": {"exact": "/"}}"#, false),
            (r#"{"uri": {"regex": "/.*"}}"#, false),
            (r#"{"uri": {"prefix": "/"}, "scheme": {"exact": "http"}}"#, false),
            (r#"{"withoutHeaders": {"@request.auth.claims.sub": {}}}"#, false),
        ] {
            assert_eq!(read(json).1, catch_all, "{json}");
        }
    }

    #[test]
    fn claims_are_named_with_dots_or_brackets() {
        assert_eq!(claim("@request.auth.claims.group.id"), Some(vec!["group", "id"]));
        assert_eq!(
            claim("@Request.Auth.Claims[https://a.example/role][id]"),
            Some(vec!["https://a.example/role", "id"])
        );
        for other in ["@request.auth.claims", "@request.auth.claimsx", "@request.auth.claims[a", "x"] {
            assert_eq!(claim(other), None, "{other}");
        }
    }

    #[test]
    fn texts_become_conditions() {
        for (json, expected) in [
            (
                r#"{"headers": {"x": {"regex": "*"}}, "withoutHeaders": {"y": {"regex": "*"}}}"#,
                "text prefix / [header x present, header y absent]",
            ),
            (r#"{"uri": {"exact": "/a"}, "withoutHeaders": {"y": {"exact": "1"}}}"#, "exact /a [header y not = 1]"),
            (r#"{"headers": {"Host": {"exact": "a"}}}"#, "text prefix / [authority = a]"),
            (
                r#"{"method": {}, "queryParams": {"q": {"prefix": "1"}}}"#,
                "text prefix / [method present, query parameter q = 1...]",
            ),
        ] {
            assert_eq!(read(json).0, expected, "{json}");
        }
        let bad: IstioHttpMatch = serde_json::from_str(r#"{"uri": {"regex": "("}}"#).unwrap();
        assert!(HttpMatch::read(&bad).is_err());
    }
}
