//! What else must hold of a request, beside its host and path?

use std::fmt;

use foldhash::fast::FixedState;

use crate::hash::hash_bytes;
use crate::regex::Regex;
use crate::request::Request;

/// A condition on the method, scheme, authority, a header or a query parameter. All conditions of a rule must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The method equals this one; methods are case-sensitive (RFC 9110, 9.1).
    Method(Box<str>),
    /// The method matches.
    MethodLike(ValuePattern),
    /// The scheme, in lower case, matches.
    Scheme(ValuePattern),
    /// The authority matches as it was sent, port included: not the canonical host, which is the rule's host pattern's
    /// to judge.
    Authority(ValuePattern),
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
    /// A claim of the request's token has a value that matches. Of a list one text must; an exception holds where none does.
    Claim {
        /// The names of the claim, from the outermost on.
        path: Box<[Box<str>]>,
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
    /// Not like this; a value that is not there is compared as if it were empty.
    Except(Box<ValuePattern>),
}

impl Condition {
    /// The method equals `method`.
    pub fn method(method: &str) -> Self {
        Self::Method(method.into())
    }

    /// The method is like this.
    pub fn method_like(value: ValuePattern) -> Self {
        Self::MethodLike(value)
    }

    /// The scheme, in lower case, is like this.
    pub fn scheme(value: ValuePattern) -> Self {
        Self::Scheme(value)
    }

    /// The authority, as sent, is like this.
    pub fn authority(value: ValuePattern) -> Self {
        Self::Authority(value)
    }

    /// The header `name` has a value like this.
    pub fn header(name: &str, value: ValuePattern) -> Self {
        Self::Header { name: name.into(), value }
    }

    /// The query parameter `name` has a value like this.
    pub fn query(name: &str, value: ValuePattern) -> Self {
        Self::Query { name: name.into(), value }
    }

    /// The claim at `path` has a value like this.
    pub fn claim<'p>(path: impl IntoIterator<Item = &'p str>, value: ValuePattern) -> Self {
        Self::Claim { path: path.into_iter().map(Into::into).collect(), value }
    }

    /// Whether the request meets the condition. Allocates only to join a repeated header for an expression.
    pub fn holds(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Method(method) => **method == *request.method,
            Self::MethodLike(value) => value.takes(Some(request.method.as_bytes())),
            Self::Scheme(value) => value.takes_scheme(request.scheme),
            Self::Authority(value) => value.takes(request.authority.map(str::as_bytes)),
            Self::Header { name, value } => value.takes_header(name, request),
            Self::Query { name, value } => value.takes(request.query_value(name).map(str::as_bytes)),
            Self::Claim { path, value } => value.takes_claim(path, request),
        }
    }

    /// What is asked for an exact value, and the value.
    pub(crate) fn exact(&self) -> Option<(Subject<&str>, ExactValue<'_>)> {
        let (subject, value) = match self {
            Self::Method(method) => return Some((Subject::Method, ExactValue(method.as_bytes()))),
            Self::MethodLike(value) => (Subject::Method, value),
            // Of two or three values, one is as good as none.
            Self::Scheme(_) => return None,
            // It may have several.
            Self::Claim { .. } => return None,
            Self::Authority(value) => (Subject::Authority, value),
            Self::Header { name, value } => (Subject::Header(&**name), value),
            Self::Query { name, value } => (Subject::Query(&**name), value),
        };
        match value {
            ValuePattern::Exact(text) => Some((subject, ExactValue(text.as_bytes()))),
            _ => None,
        }
    }
}

/// A part of a request by whose value rules can be filed; `N` is the text of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject<N> {
    Method,
    Authority,
    Header(N),
    Query(N),
}

/// A value that a condition asks for, or that a request has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExactValue<'v>(&'v [u8]);

impl ExactValue<'_> {
    /// The hash of what comes before the first comma: a header that is repeated need not be joined to be filed.
    pub(crate) fn hash(self, state: &FixedState) -> u64 {
        let end = self.0.iter().position(|b| *b == b',').unwrap_or(self.0.len());
        hash_bytes(state, &self.0[..end])
    }
}

impl Subject<&str> {
    pub(crate) fn into_owned(self) -> Subject<Box<str>> {
        match self {
            Self::Method => Subject::Method,
            Self::Authority => Subject::Authority,
            Self::Header(name) => Subject::Header(name.into()),
            Self::Query(name) => Subject::Query(name.into()),
        }
    }
}

impl Subject<Box<str>> {
    /// The hash of the value that the request has: equal to that of every [`ExactValue`] that equals it.
    pub(crate) fn value_hash(&self, state: &FixedState, request: &Request<'_>) -> Option<u64> {
        let hash = |value: &[u8]| ExactValue(value).hash(state);
        match self {
            Self::Method => Some(hash(request.method.as_bytes())),
            Self::Authority => request.authority.map(|authority| hash(authority.as_bytes())),
            Self::Query(name) => request.query_value(name).map(|value| hash(value.as_bytes())),
            Self::Header(name) => {
                let mut first = None;
                request.headers.each(name, &mut |value| first = first.or_else(|| Some(hash(trim(value)))));
                first
            }
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

    /// Not like `pattern`; a value that is not there is compared as if it were empty.
    pub fn except(pattern: Self) -> Self {
        Self::Except(Box::new(pattern))
    }

    fn takes(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Absent, value) => value.is_none(),
            (Self::Except(pattern), value) => !pattern.takes(Some(value.unwrap_or_default())),
            (_, None) => false,
            (Self::Present, Some(_)) => true,
            (Self::Exact(text), Some(value)) => text.as_bytes() == value,
            (Self::Prefix(text), Some(value)) => value.starts_with(text.as_bytes()),
            (Self::Regex(regex), Some(value)) => regex.is_match(value),
        }
    }

    /// Schemes are case-insensitive (RFC 3986, 3.1); patterns see them in lower case.
    fn takes_scheme(&self, scheme: Option<&str>) -> bool {
        // Longer than any registered scheme; allocating for it would let clients decide what a look-up costs.
        let mut lower = [0; 32];
        let lower = scheme.and_then(|scheme| {
            let lower = lower.get_mut(..scheme.len())?;
            lower.copy_from_slice(scheme.as_bytes());
            lower.make_ascii_lowercase();
            Some(&*lower)
        });
        self.takes(lower)
    }

    fn takes_claim(&self, path: &[Box<str>], request: &Request<'_>) -> bool {
        if let Self::Except(pattern) = self {
            return !pattern.takes_claim(path, request);
        }
        let (mut any, mut taken) = (false, false);
        if let Some(claims) = request.claims {
            claims.each(path, &mut |value| {
                any = true;
                taken |= self.takes(Some(value.as_bytes()));
            });
        }
        if *self == Self::Absent { !any } else { taken }
    }

    fn takes_header(&self, name: &str, request: &Request<'_>) -> bool {
        let mut count = 0usize;
        match self {
            Self::Present | Self::Absent => {
                request.headers.each(name, &mut |_| count += 1);
                (count > 0) == (*self == Self::Present)
            }
            Self::Except(pattern) => {
                request.headers.each(name, &mut |_| count += 1);
                if count == 0 { !pattern.takes(Some(b"")) } else { !pattern.takes_header(name, request) }
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
            Self::MethodLike(value) => write!(f, "method {value}"),
            Self::Scheme(value) => write!(f, "scheme {value}"),
            Self::Authority(value) => write!(f, "authority {value}"),
            Self::Header { name, value } => write!(f, "header {name} {value}"),
            Self::Query { name, value } => write!(f, "query parameter {name} {value}"),
            Self::Claim { path, value } => write!(f, "claim {} {value}", path.join(".")),
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
            Self::Except(pattern) => write!(f, "not {pattern}"),
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
    fn one_text_of_a_claim_is_enough() {
        let claims = |path: &[Box<str>], visit: &mut dyn FnMut(&str)| {
            if path.iter().map(|name| &**name).eq(["groups", "own"]) {
                ["a", "b"].into_iter().for_each(visit);
            }
        };
        let with = Request::new(None, "/").claims(&claims);
        let without = Request::new(None, "/");
        for (path, value, expected) in [
            (["groups", "own"], ValuePattern::exact("b"), (true, false)),
            (["groups", "own"], ValuePattern::exact("c"), (false, false)),
            (["groups", "own"], ValuePattern::Present, (true, false)),
            (["groups", "own"], ValuePattern::Absent, (false, true)),
            (["groups", "own"], ValuePattern::except(ValuePattern::exact("b")), (false, true)),
            (["groups", "all"], ValuePattern::except(ValuePattern::exact("")), (true, true)),
        ] {
            let condition = Condition::claim(path, value);
            assert_eq!((condition.holds(&with), condition.holds(&without)), expected, "{condition}");
        }
    }

    #[test]
    fn what_is_missing_is_empty_to_an_exception() {
        let any = Regex::new(".*", Anchor::Whole).unwrap();
        let headers = [("x-a", "1"), ("x-a", "2")];
        for (name, pattern, expected) in [
            ("x-a", ValuePattern::exact("1"), true),
            ("x-a", ValuePattern::exact("1,2"), false),
            ("x-b", ValuePattern::exact("1"), true),
            ("x-b", ValuePattern::exact(""), false),
            ("x-b", ValuePattern::Regex(any), false),
        ] {
            let condition = Condition::header(name, ValuePattern::except(pattern));
            assert_eq!(holds(&condition, &headers, ""), expected, "{condition}");
        }
        assert!(holds(&Condition::query("q", ValuePattern::except(ValuePattern::exact("1"))), &[], "q=2"));
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

    #[test]
    fn the_authority_is_seen_as_sent_and_the_scheme_in_lower_case() {
        let request = Request::new(None, "/").authority("A.example:8080").scheme("HtTpS");
        assert!(Condition::authority(ValuePattern::exact("A.example:8080")).holds(&request));
        assert!(!Condition::authority(ValuePattern::exact("a.example")).holds(&request));
        assert!(Condition::authority(ValuePattern::prefix("A.")).holds(&request));
        assert!(Condition::scheme(ValuePattern::exact("https")).holds(&request), "CVE-2023-35944");
        assert!(Condition::method_like(ValuePattern::prefix("G")).holds(&request));
        let bare = Request::new(None, "/");
        assert!(Condition::authority(ValuePattern::Absent).holds(&bare));
        assert!(Condition::scheme(ValuePattern::Absent).holds(&bare));
    }

    proptest! {
        #[test]
        fn an_exact_value_that_holds_has_the_hash_of_the_requests(
            values in proptest::collection::vec(" ?[ab,]{0,3} ?", 1..4), seed in any::<u64>(),
        ) {
            let state = FixedState::with_seed(seed);
            let headers: Vec<_> = values.iter().map(|value| ("x", value.as_str())).collect();
            let joined = values.iter().map(|value| value.trim()).collect::<Vec<_>>().join(",");
            let condition = Condition::header("x", ValuePattern::exact(&joined));
            let request = Request::new(None, "/").headers(&headers);
            prop_assert!(condition.holds(&request));
            let (subject, value) = condition.exact().unwrap();
            prop_assert_eq!(subject.into_owned().value_hash(&state, &request), Some(value.hash(&state)));
        }

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
