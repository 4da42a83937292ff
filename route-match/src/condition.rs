//! What else must hold of a request, beside its host and path?

use std::fmt;

use crate::regex::Regex;
use crate::request::Request;

/// A condition on the method, a header or a query parameter. All conditions of a rule must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The method equals this one; methods are case-sensitive (RFC 9110, 9.1).
    Method(Box<str>),
    /// A header's value matches. The name ignores case. A header that is repeated has one value, all of them joined by
    /// commas in order of appearance (RFC 9110, 5.3); blanks around each are no part of it.
    Header {
        /// The header's name.
        name: Box<str>,
        /// What its value must be.
        value: ValuePattern,
    },
    /// A query parameter's value matches. Name and value are compared as sent, without decoding; of a repeated
    /// parameter the first counts.
    Query {
        /// The parameter's name.
        name: Box<str>,
        /// What its value must be.
        value: ValuePattern,
    },
}

/// What the value of a header or query parameter must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValuePattern {
    /// Anything, as long as it is there.
    Present,
    /// Not there at all.
    Absent,
    /// Equal, case included.
    Exact(Box<str>),
    /// Beginning with this text.
    Prefix(Box<str>),
    /// Matching an expression.
    Regex(Regex),
}

impl Condition {
    /// The method equals `method`.
    pub fn method(method: &str) -> Self {
        Self::Method(method.into())
    }

    /// The header `name` has a value like this.
    pub fn header(name: &str, value: ValuePattern) -> Self {
        Self::Header { name: name.into(), value }
    }

    /// The query parameter `name` has a value like this.
    pub fn query(name: &str, value: ValuePattern) -> Self {
        Self::Query { name: name.into(), value }
    }

    /// Whether the request meets the condition. Allocates only to join a repeated header for an expression.
    pub fn holds(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Method(method) => **method == *request.method,
            Self::Header { name, value } => value.takes_header(name, request),
            Self::Query { name, value } => value.takes(request.query_value(name).map(str::as_bytes)),
        }
    }
}

impl ValuePattern {
    /// Equal to `text`.
    pub fn exact(text: &str) -> Self {
        Self::Exact(text.into())
    }

    /// Beginning with `text`.
    pub fn prefix(text: &str) -> Self {
        Self::Prefix(text.into())
    }

    fn takes(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Absent, value) => value.is_none(),
            (_, None) => false,
            (Self::Present, Some(_)) => true,
            (Self::Exact(text), Some(value)) => text.as_bytes() == value,
            (Self::Prefix(text), Some(value)) => value.starts_with(text.as_bytes()),
            (Self::Regex(regex), Some(value)) => regex.is_match(value),
        }
    }

    fn takes_header(&self, name: &str, request: &Request<'_>) -> bool {
        let mut count = 0usize;
        match self {
            Self::Present | Self::Absent => {
                request.headers.each(name, &mut |_| count += 1);
                (count > 0) == (*self == Self::Present)
            }
            Self::Exact(text) | Self::Prefix(text) => {
                // Compares value by value with what is left of the expected text; `None` once they differ.
                let whole = matches!(self, Self::Exact(_));
                let mut left = Some(text.as_bytes());
                request.headers.each(name, &mut |value| {
                    let comma: &[u8] = if count == 0 { b"" } else { b"," };
                    count += 1;
                    for part in [comma, trim(value)] {
                        left = left.and_then(|left| match left.strip_prefix(part) {
                            None if !whole && part.starts_with(left) => Some(&left[left.len()..]),
                            rest => rest,
                        });
                    }
                });
                count > 0 && left == Some(b"")
            }
            Self::Regex(regex) => {
                let mut one = false;
                let mut joined = Vec::new();
                let mut first = true;
                request.headers.each(name, &mut |_| count += 1);
                request.headers.each(name, &mut |value| {
                    if count == 1 {
                        one = regex.is_match(trim(value));
                    } else {
                        if !std::mem::take(&mut first) {
                            joined.push(b',');
                        }
                        joined.extend_from_slice(trim(value));
                    }
                });
                one || (count > 1 && regex.is_match(&joined))
            }
        }
    }
}

/// Without the blanks around it (RFC 9110, 5.5).
fn trim(value: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    &value[start..end]
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => write!(f, "method {method}"),
            Self::Header { name, value } => write!(f, "header {name} {value}"),
            Self::Query { name, value } => write!(f, "query parameter {name} {value}"),
        }
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("present"),
            Self::Absent => f.write_str("absent"),
            Self::Exact(text) => write!(f, "= {text}"),
            Self::Prefix(text) => write!(f, "= {text}..."),
            Self::Regex(regex) => write!(f, "~ {regex}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::Anchor;
    use proptest::prelude::*;

    fn holds(condition: &Condition, headers: &[(&str, &str)], query: &str) -> bool {
        condition.holds(&Request::new(None, "/").headers(&headers).query(query))
    }

    #[test]
    fn cve_2020_25017_a_repeated_header_is_all_its_values() {
        let headers = [("X-A", "1"), ("x-b", "0"), ("x-a", " 2\t")];
        assert!(holds(&Condition::header("x-a", ValuePattern::exact("1,2")), &headers, ""));
        assert!(!holds(&Condition::header("x-a", ValuePattern::exact("1")), &headers, ""));
        assert!(holds(&Condition::header("x-a", ValuePattern::prefix("1,")), &headers, ""));
        let regex = Regex::new("[0-9],2", Anchor::Whole).unwrap();
        assert!(holds(&Condition::header("x-a", ValuePattern::Regex(regex)), &headers, ""));
    }

    #[test]
    fn present_and_absent_look_at_the_name_alone() {
        let headers = [("x-a", "")];
        for (name, present) in [("X-A", true), ("x-b", false)] {
            assert_eq!(holds(&Condition::header(name, ValuePattern::Present), &headers, ""), present);
            assert_eq!(holds(&Condition::header(name, ValuePattern::Absent), &headers, ""), !present);
        }
    }

    #[test]
    fn the_first_of_repeated_query_parameters_counts() {
        let one = Condition::query("a", ValuePattern::exact("1"));
        assert!(holds(&one, &[], "b=0&a=1&a=2"));
        assert!(!holds(&one, &[], "a=2&a=1"));
        assert!(!holds(&one, &[], "A=1"));
        assert!(holds(&Condition::query("a", ValuePattern::exact("")), &[], "a"));
        assert!(holds(&Condition::query("a", ValuePattern::Absent), &[], ""));
    }

    proptest! {
        #[test]
        fn matching_value_by_value_is_matching_the_joined_value(
            values in proptest::collection::vec("[ab,]{0,3}", 0..4), text in "[ab,]{0,8}",
        ) {
            let headers: Vec<_> = values.iter().map(|value| ("x", value.as_str())).collect();
            let joined = values.join(",");
            let there = !values.is_empty();
            let ask = |value| holds(&Condition::header("x", value), &headers, "");
            prop_assert_eq!(ask(ValuePattern::exact(&text)), there && joined == text);
            prop_assert_eq!(ask(ValuePattern::prefix(&text)), there && joined.starts_with(&text));
        }
    }
}
