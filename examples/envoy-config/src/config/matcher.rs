//! How are strings, headers and query parameters matched?

use serde::Serialize;

use super::is_off;

/// `envoy.type.matcher.v3.StringMatcher`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StringMatcher {
    /// What the string must be.
    #[serde(flatten)]
    pub pattern: StringPattern,
    /// Whether upper and lower case are the same; not for expressions.
    #[serde(skip_serializing_if = "is_off")]
    pub ignore_case: bool,
}

/// The pattern of a [`StringMatcher`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StringPattern {
    /// This string.
    Exact(String),
    /// Strings that begin so.
    Prefix(String),
    /// Strings that match as a whole.
    SafeRegex(RegexMatcher),
}

impl From<StringPattern> for StringMatcher {
    fn from(pattern: StringPattern) -> Self {
        Self { pattern, ignore_case: false }
    }
}

/// `envoy.type.matcher.v3.RegexMatcher`: the whole of a text must match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegexMatcher {
    /// The expression, in RE2's syntax.
    pub regex: String,
}

/// What is asked of a header or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueMatch {
    /// Its value matches.
    StringMatch(StringMatcher),
    /// It is there, or it is not.
    PresentMatch(bool),
}

/// `envoy.config.route.v3.HeaderMatcher`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderMatcher {
    /// The header's name, or that of a pseudo-header.
    pub name: String,
    /// What is asked of it.
    #[serde(flatten)]
    pub matches: ValueMatch,
    /// Whether the opposite is asked.
    #[serde(skip_serializing_if = "is_off")]
    pub invert_match: bool,
    /// Whether a header that is not there has an empty value.
    #[serde(skip_serializing_if = "is_off")]
    pub treat_missing_header_as_empty: bool,
}

/// `envoy.config.route.v3.QueryParameterMatcher`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryParameterMatcher {
    /// The parameter's name.
    pub name: String,
    /// What is asked of it.
    #[serde(flatten)]
    pub matches: ValueMatch,
}
