//! Which paths is a rule for?

use std::fmt;

use crate::filed::Extent;
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
#[derive(Clone, PartialEq, Eq)]
pub struct PathPattern(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// A mark for how the text is compared, then the text: routers hold many patterns, so that one takes two words.
    Literal(Box<str>),
    Regex(Regex),
}

/// What a [`PathPattern`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathKind<'p> {
    /// The path that equals this text.
    Exact(&'p str),
    /// The paths below this text, compared by elements; it has no trailing slash, so that `/` is the empty text.
    Prefix(&'p str),
    /// The paths that begin with this text.
    TextPrefix(&'p str),
    /// The paths that match this expression.
    Regex(&'p Regex),
}

/// How a literal is compared with a path.
#[derive(Clone, Copy)]
struct Comparison {
    /// How much of the path the text must be. The text of elements has no trailing slash: that of `/` is empty.
    extent: Extent,
    /// Whether the path is compared in lower case, as the text is.
    fold_case: bool,
}

/// Where an index finds a pattern: see [`PathPattern::filing`].
pub(crate) struct Filing<'p> {
    /// The paths that match begin with this text, ...
    pub(crate) text: &'p [u8],
    /// ... which covers this much of them, ...
    pub(crate) extent: Extent,
    /// ... in lower case, as the text is, ...
    pub(crate) fold_case: bool,
    /// ... and the pattern has to be asked whether such a path matches.
    pub(crate) ask: bool,
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
        Self(Kind::marked(Comparison { extent, fold_case: false }, text))
    }

    /// The same pattern, taking ASCII upper and lower case for the same. A regular expression has its own flag
    /// ([`Regex::ignoring_case`]) and is returned unchanged.
    pub fn ignoring_case(self) -> Self {
        Self(match self.0 {
            Kind::Literal(marked) => {
                let (comparison, text) = parts(&marked);
                Kind::marked(Comparison { fold_case: true, ..comparison }, &text.to_ascii_lowercase())
            }
            regex => regex,
        })
    }

    /// Whether the pattern takes this path.
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.0 {
            Kind::Regex(regex) => begins(path, regex.prefix(), true) && regex.is_match(path),
            Kind::Literal(marked) => {
                let (Comparison { extent, fold_case }, text) = parts(marked);
                begins(path, text.as_bytes(), fold_case) && extent.covers(text.as_bytes(), path)
            }
        }
    }

    /// What kind of pattern it is, and its text as it is compared.
    pub fn kind(&self) -> PathKind<'_> {
        match &self.0 {
            Kind::Literal(marked) => match parts(marked) {
                (Comparison { extent: Extent::Whole, .. }, text) => PathKind::Exact(text),
                (Comparison { extent: Extent::Elements, .. }, text) => PathKind::Prefix(text),
                (Comparison { extent: Extent::Text, .. }, text) => PathKind::TextPrefix(text),
            },
            Kind::Regex(regex) => PathKind::Regex(regex),
        }
    }

    /// Whether ASCII upper and lower case are the same.
    pub fn ignores_case(&self) -> bool {
        match &self.0 {
            Kind::Literal(marked) => parts(marked).0.fold_case,
            Kind::Regex(regex) => regex.ignores_case(),
        }
    }

    /// The expression, if the pattern is one.
    pub fn as_regex(&self) -> Option<&Regex> {
        match &self.0 {
            Kind::Regex(regex) => Some(regex),
            Kind::Literal(_) => None,
        }
    }

    pub(crate) fn filing(&self) -> Filing<'_> {
        match &self.0 {
            Kind::Literal(marked) => {
                let (Comparison { extent, fold_case }, text) = parts(marked);
                Filing { text: text.as_bytes(), extent, fold_case, ask: false }
            }
            Kind::Regex(regex) => {
                let (extent, only_prefix) = regex.extent();
                Filing { text: regex.prefix(), extent, fold_case: true, ask: !only_prefix }
            }
        }
    }
}

impl Kind {
    fn marked(Comparison { extent, fold_case }: Comparison, text: &str) -> Self {
        let mark = match (extent, fold_case) {
            (Extent::Whole, false) => "=",
            (Extent::Whole, true) => "W",
            (Extent::Elements, false) => "/",
            (Extent::Elements, true) => "E",
            (Extent::Text, false) => "^",
            (Extent::Text, true) => "T",
        };
        let mut marked = String::with_capacity(mark.len() + text.len());
        marked.push_str(mark);
        marked.push_str(text);
        Self::Literal(marked.into())
    }
}

/// A marked literal, taken apart.
fn parts(marked: &str) -> (Comparison, &str) {
    let (mark, text) = marked.split_at(1);
    let (extent, fold_case) = match mark {
        "=" => (Extent::Whole, false),
        "W" => (Extent::Whole, true),
        "/" => (Extent::Elements, false),
        "E" => (Extent::Elements, true),
        "^" => (Extent::Text, false),
        _ => (Extent::Text, true),
    };
    (Comparison { extent, fold_case }, text)
}

/// Whether the path begins with the text.
fn begins(path: &[u8], text: &[u8], fold_case: bool) -> bool {
    path.get(..text.len()).is_some_and(|start| match fold_case {
        true => start.eq_ignore_ascii_case(text),
        false => start == text,
    })
}

impl fmt::Display for PathPattern {
    /// For people: the kind, then the text as matched.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Regex(regex) => write!(f, "regex {regex}"),
            Kind::Literal(marked) => match parts(marked) {
                (Comparison { extent: Extent::Whole, .. }, text) => write!(f, "exact {text}"),
                (Comparison { extent: Extent::Elements, .. }, "") => f.write_str("prefix /"),
                (Comparison { extent: Extent::Elements, .. }, text) => write!(f, "prefix {text}"),
                (Comparison { extent: Extent::Text, .. }, text) => write!(f, "text prefix {text}"),
            },
        }
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathPattern({self})")
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
        let regex = PathPattern::regex(Regex::ignoring_case("/foo", Anchor::Whole).unwrap());
        assert!(regex.ignores_case() && PathPattern::any().ignoring_case().ignores_case());
        assert!(!PathPattern::exact("/foo").ignores_case());
    }
}
