//! Which paths is a rule for?

use std::fmt;

use crate::regex::Regex;

/// The paths a rule is for. Paths are compared as bytes and without query, in the form that the router's owner
/// normalised them to (see [`PathNormalisation`](crate::PathNormalisation)).
///
/// ```
/// use route_match::PathPattern;
///
/// let prefix = PathPattern::prefix("/api/");
/// assert!(prefix.matches(b"/api") && prefix.matches(b"/api/v1") && !prefix.matches(b"/apis"));
/// assert!(PathPattern::text_prefix("/api").matches(b"/apis"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Literal { text: Box<str>, extent: Extent, fold_case: bool },
    Regex(Regex),
}

/// How much of a path a literal must cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    /// The text has no trailing slash: `/` is the empty text.
    Elements,
    Text,
}

/// Where an index finds a pattern: see [`PathPattern::filing`].
pub(crate) enum Filing<'p> {
    /// Only this path matches.
    Exact(&'p str),
    /// All paths match of which this is a prefix by element.
    Elements(&'p str),
    /// All matching paths begin with this text, but not all that do match.
    Within(&'p str),
}

impl PathPattern {
    /// The path that equals `text`, trailing slash included.
    pub fn exact(text: &str) -> Self {
        Self::literal(text, Extent::Whole)
    }

    /// The paths below `text`, compared by elements: `/a` takes `/a`, `/a/` and `/a/b`, not `/ab`. One trailing slash of
    /// `text` is ignored; `/` and the empty text take every path.
    pub fn prefix(text: &str) -> Self {
        Self::literal(text.strip_suffix('/').unwrap_or(text), Extent::Elements)
    }

    /// The paths that begin with `text`, compared as text: `/a` takes `/ab`.
    pub fn text_prefix(text: &str) -> Self {
        Self::literal(text, Extent::Text)
    }

    /// The paths that match a regular expression.
    pub fn regex(regex: Regex) -> Self {
        Self(Kind::Regex(regex))
    }

    /// Every path.
    pub fn any() -> Self {
        Self::prefix("/")
    }

    fn literal(text: &str, extent: Extent) -> Self {
        Self(Kind::Literal { text: text.into(), extent, fold_case: false })
    }

    /// The same pattern, taking ASCII upper and lower case for the same. A regular expression has its own flag
    /// ([`Regex::ignoring_case`]) and is returned unchanged.
    pub fn ignoring_case(self) -> Self {
        Self(match self.0 {
            Kind::Literal { text, extent, .. } => Kind::Literal { text, extent, fold_case: true },
            regex => regex,
        })
    }

    /// Whether the pattern takes this path.
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.0 {
            Kind::Regex(regex) => may_begin(path, regex.literal_prefix(), regex.ignores_case()) && regex.is_match(path),
            Kind::Literal { text, extent, fold_case } => {
                may_begin(path, text, *fold_case)
                    && match (extent, path.get(text.len())) {
                        (Extent::Text, _) | (_, None) | (Extent::Elements, Some(b'/')) => true,
                        (Extent::Elements, Some(_)) => text.is_empty(),
                        (Extent::Whole, Some(_)) => false,
                    }
            }
        }
    }

    /// The expression, if the pattern is one.
    pub fn as_regex(&self) -> Option<&Regex> {
        match &self.0 {
            Kind::Regex(regex) => Some(regex),
            Kind::Literal { .. } => None,
        }
    }

    pub(crate) fn filing(&self) -> Filing<'_> {
        match &self.0 {
            Kind::Literal { fold_case: true, .. } => Filing::Within(""),
            Kind::Literal { text, extent: Extent::Whole, .. } => Filing::Exact(text),
            Kind::Literal { text, extent: Extent::Elements, .. } => Filing::Elements(text),
            Kind::Literal { text, extent: Extent::Text, .. } => Filing::Within(text),
            Kind::Regex(regex) if regex.ignores_case() => Filing::Within(""),
            Kind::Regex(regex) => Filing::Within(regex.literal_prefix()),
        }
    }
}

/// Whether the path begins with the text.
fn may_begin(path: &[u8], text: &str, fold_case: bool) -> bool {
    path.get(..text.len()).is_some_and(|start| match fold_case {
        true => start.eq_ignore_ascii_case(text.as_bytes()),
        false => start == text.as_bytes(),
    })
}

impl fmt::Display for PathPattern {
    /// For people: the kind, then the text as matched.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Regex(regex) => write!(f, "regex {regex}"),
            Kind::Literal { text, extent: Extent::Whole, .. } => write!(f, "exact {text}"),
            Kind::Literal { text, extent: Extent::Elements, .. } if text.is_empty() => f.write_str("prefix /"),
            Kind::Literal { text, extent: Extent::Elements, .. } => write!(f, "prefix {text}"),
            Kind::Literal { text, extent: Extent::Text, .. } => write!(f, "text prefix {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::Anchor;

    #[track_caller]
    fn check(pattern: &PathPattern, takes: &[&str], leaves: &[&str]) {
        for path in takes {
            assert!(pattern.matches(path.as_bytes()), "{pattern} takes {path:?}");
        }
        for path in leaves {
            assert!(!pattern.matches(path.as_bytes()), "{pattern} leaves {path:?}");
        }
    }

    #[test]
    fn exact_keeps_its_trailing_slash() {
        check(&PathPattern::exact("/foo"), &["/foo"], &["/foo/", "/FOO", "/fo", "/"]);
        check(&PathPattern::exact("/foo/"), &["/foo/"], &["/foo", "/foo//"]);
    }

    #[test]
    fn prefix_compares_elements() {
        check(&PathPattern::prefix("/aaa/bb"), &["/aaa/bb", "/aaa/bb/", "/aaa/bb/c"], &["/aaa/bbb", "/aaa", "/"]);
        check(&PathPattern::prefix("/aaa/"), &["/aaa", "/aaa/", "/aaa/b"], &["/aaab"]);
        check(&PathPattern::any(), &["/", "", "/x", "*", "//"], &[]);
    }

    #[test]
    fn text_prefix_and_regex_cut_through_elements() {
        check(&PathPattern::text_prefix("/a/b"), &["/a/b", "/a/bc", "/a/b/c"], &["/a/", "/a"]);
        let regex = PathPattern::regex(Regex::new("/a/[0-9]+", Anchor::Start).unwrap());
        check(&regex, &["/a/1", "/a/1x"], &["/a/x", "/b/a/1"]);
    }

    #[test]
    fn case_is_folded_on_request() {
        check(&PathPattern::prefix("/Foo").ignoring_case(), &["/foo/x", "/FOO"], &["/foox"]);
        check(&PathPattern::exact("/Foo").ignoring_case(), &["/fOO"], &["/foo/"]);
    }
}
