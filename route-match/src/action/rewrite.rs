//! Which path does the backend see?

use std::borrow::Cow;

use crate::regex::Regex;

/// A new path for the backend. Paths are bytes without query, in the form in which they were matched.
///
/// ```
/// use route_match::action::PathRewrite;
///
/// let strip = PathRewrite::prefix("/foo/", "/");
/// assert_eq!(&*strip.apply(b"/foo"), b"/");
/// assert_eq!(&*strip.apply(b"/foo/bar"), b"/bar");
/// // The textual reading of Istio doubles the slash.
/// assert_eq!(&*PathRewrite::text("/foo", "/").apply(b"/foo/bar"), b"//bar");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathRewrite {
    /// This path.
    Full(Box<str>),
    /// The matched prefix, compared by element, makes room for another: Gateway API's `ReplacePrefixMatch`. Both without
    /// their trailing slash.
    #[non_exhaustive]
    Prefix {
        /// The prefix that the rule matched.
        prefix: Box<str>,
        /// What takes its place.
        replacement: Box<str>,
    },
    /// The matched beginning makes room for another, letter by letter: Istio.
    #[non_exhaustive]
    Text {
        /// The beginning that the rule matched; case is ignored.
        prefix: Box<str>,
        /// What takes its place.
        replacement: Box<str>,
    },
    /// An expression is searched in the path; what [`Regex::expand`] makes of the first match takes the place of the whole
    /// path: ingress-nginx.
    Search(Regex, Box<str>),
    /// Every match of an expression makes room for what [`Regex::replace_all`] makes of it: Istio.
    ReplaceAll(Regex, Box<str>),
}

impl PathRewrite {
    /// This path.
    pub fn full(path: &str) -> Self {
        Self::Full(path.into())
    }

    /// Replaces a prefix by element. One trailing slash of either is ignored.
    pub fn prefix(prefix: &str, replacement: &str) -> Self {
        let bare = |text: &str| text.strip_suffix('/').unwrap_or(text).into();
        Self::Prefix { prefix: bare(prefix), replacement: bare(replacement) }
    }

    /// Replaces a beginning letter by letter.
    pub fn text(prefix: &str, replacement: &str) -> Self {
        Self::Text { prefix: prefix.into(), replacement: replacement.into() }
    }

    /// The path that the backend sees, never empty. A path that the rewrite is not made for stays as it is. Allocates only if the
    /// result is made of parts.
    pub fn apply<'a>(&'a self, path: &'a [u8]) -> Cow<'a, [u8]> {
        let rewritten = match self {
            Self::Full(full) => Cow::Borrowed(full.as_bytes()),
            Self::Prefix { prefix, replacement } => match path.get(..prefix.len()) {
                Some(start) if start == prefix.as_bytes() && matches!(path.get(prefix.len()), None | Some(b'/')) => {
                    joined(replacement, &path[prefix.len()..])
                }
                _ => Cow::Borrowed(path),
            },
            Self::Text { prefix, replacement } => match path.get(..prefix.len()) {
                Some(start) if start.eq_ignore_ascii_case(prefix.as_bytes()) => {
                    joined(replacement, &path[prefix.len()..])
                }
                _ => Cow::Borrowed(path),
            },
            Self::Search(regex, template) => match regex.expand(path, template) {
                Some(path) => Cow::Owned(path),
                None => Cow::Borrowed(path),
            },
            Self::ReplaceAll(regex, template) => regex.replace_all(path, template),
        };
        if rewritten.is_empty() { Cow::Borrowed(b"/") } else { rewritten }
    }
}

fn joined<'a>(start: &'a str, rest: &'a [u8]) -> Cow<'a, [u8]> {
    match (start, rest) {
        ("", rest) => Cow::Borrowed(rest),
        (start, []) => Cow::Borrowed(start.as_bytes()),
        (start, rest) => Cow::Owned([start.as_bytes(), rest].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::Anchor;

    fn apply(rewrite: &PathRewrite, path: &str) -> String {
        String::from_utf8(rewrite.apply(path.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn a_prefix_is_replaced_by_element_as_the_gateway_api_tabulates() {
        for (path, prefix, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo", "/", "/xyz", "/xyz/foo"),
            ("/foobar", "/foo", "/xyz", "/foobar"),
        ] {
            assert_eq!(
                apply(&PathRewrite::prefix(prefix, replacement), path),
                expected,
                "{path} {prefix} {replacement}"
            );
        }
    }

    #[test]
    fn istio_replaces_letter_by_letter() {
        for (path, prefix, replacement, expected) in
            [("/a", "/a", "/", "/"), ("/a/b", "/a", "/", "//b"), ("/ab", "/a", "/", "/b"), ("/y", "/", "/x", "/xy")]
        {
            assert_eq!(apply(&PathRewrite::text(prefix, replacement), path), expected, "{path}");
        }
    }

    #[test]
    fn expressions_replace_the_whole_path_or_every_match() {
        let digits = Regex::new("/([a-z]+)([0-9])", Anchor::None).unwrap();
        let whole = PathRewrite::Search(digits.clone(), "/$2".into());
        assert_eq!(apply(&whole, "/q/ab1/cd2"), "/1");
        assert_eq!(apply(&whole, "/q"), "/q");
        let all = PathRewrite::ReplaceAll(digits, r"/\2\1".into());
        assert_eq!(apply(&all, "/q/ab1/cd2"), "/q/1ab/2cd");
        assert_eq!(apply(&all, "/q"), "/q");
    }
}
