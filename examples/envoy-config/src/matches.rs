//! Which requests does a rule take?

use route_match::{Condition, PathKind, PathPattern, ValuePattern};

use crate::config::{
    HeaderMatcher, PathSpecifier, QueryParameterMatcher, RegexMatcher, RouteMatch, StringMatcher, StringPattern,
    ValueMatch,
};
use crate::re2;

/// The match of a rule; an error says why it cannot be written.
pub(crate) fn route_match(path: &PathPattern, conditions: &[Condition]) -> Result<RouteMatch, String> {
    let mut found = RouteMatch {
        path: path_specifier(path)?,
        case_sensitive: (path.ignores_case() && path.as_regex().is_none()).then_some(false),
        headers: Vec::new(),
        query_parameters: Vec::new(),
    };
    for condition in conditions {
        match condition {
            Condition::Method(method) => {
                found.headers.push(header(":method", &ValuePattern::Exact(method.clone()))?);
            }
            Condition::MethodLike(value) => found.headers.push(header(":method", value)?),
            Condition::Scheme(value) => found.headers.push(header(":scheme", value)?),
            Condition::Authority(value) => found.headers.push(header(":authority", value)?),
            Condition::Header { name, value } => found.headers.push(header(name, value)?),
            Condition::Query { name, value } => {
                found
                    .query_parameters
                    .push(QueryParameterMatcher { name: name.to_string(), matches: value_match(value)? });
            }
            other => return Err(format!("there is no word for the condition {other}")),
        }
    }
    Ok(found)
}

fn path_specifier(path: &PathPattern) -> Result<PathSpecifier, String> {
    Ok(match path.kind() {
        PathKind::Exact(path) => PathSpecifier::Path(path.to_owned()),
        PathKind::Prefix("") => PathSpecifier::Prefix("/".to_owned()),
        PathKind::Prefix(path) if is_separated(path) => PathSpecifier::PathSeparatedPrefix(path.to_owned()),
        PathKind::Prefix(path) => {
            PathSpecifier::SafeRegex(RegexMatcher { regex: format!("{}(?s:/.*)?", re2::quoted(path)) })
        }
        PathKind::TextPrefix(path) => PathSpecifier::Prefix(path.to_owned()),
        PathKind::Regex(regex) => PathSpecifier::SafeRegex(RegexMatcher { regex: re2::whole(regex)? }),
        _ => return Err("there is no word for the pattern of its path".to_owned()),
    })
}

/// What Envoy accepts as a prefix of elements.
fn is_separated(path: &str) -> bool {
    path.len() > 1 && !path.ends_with('/') && !path.contains(['?', '#'])
}

fn header(name: &str, value: &ValuePattern) -> Result<HeaderMatcher, String> {
    // What is not there is compared as if it were empty.
    let (value, is_exception) = match value {
        ValuePattern::Except(pattern) => (&**pattern, true),
        value => (value, false),
    };
    Ok(HeaderMatcher {
        name: name.to_owned(),
        matches: value_match(value)?,
        invert_match: is_exception,
        treat_missing_header_as_empty: is_exception,
    })
}

fn value_match(value: &ValuePattern) -> Result<ValueMatch, String> {
    let pattern = match value {
        ValuePattern::Present => return Ok(ValueMatch::PresentMatch(true)),
        ValuePattern::Absent => return Ok(ValueMatch::PresentMatch(false)),
        ValuePattern::Exact(text) => StringPattern::Exact(text.to_string()),
        ValuePattern::Prefix(text) => StringPattern::Prefix(text.to_string()),
        ValuePattern::Regex(regex) => StringPattern::SafeRegex(RegexMatcher { regex: re2::whole(regex)? }),
        other => return Err(format!("there is no word for the value {other}")),
    };
    Ok(ValueMatch::StringMatch(StringMatcher::from(pattern)))
}
