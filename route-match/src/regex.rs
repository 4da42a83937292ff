//! Does a text match the operator's regular expression? In linear time, within bounded memory.

use std::borrow::Cow;
use std::fmt;

use regex::bytes::RegexBuilder;

use crate::excerpt::Excerpt;

/// Longest pattern in bytes.
const MAX_PATTERN: usize = 4096;
/// Bytes a compiled pattern may take, and its lazily built automaton again.
const MAX_COMPILED: usize = 1 << 20;
/// How deep groups may be nested.
const MAX_NESTING: u32 = 100;

/// A compiled regular expression with its anchoring.
///
/// The syntax is Perl's without look-around and back-references, over bytes: `\w`, `\d` and case folding are ASCII, as
/// they are in nginx. Matching is linear in pattern times text; a pattern of more than 4096 bytes, of more than 1 MiB
/// once compiled or of more than 100 nested groups is refused.
#[derive(Clone)]
pub struct Regex {
    pattern: Box<str>,
    anchor: Anchor,
    fold_case: bool,
    compiled: regex::bytes::Regex,
}

/// What part of a text a [`Regex`] must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Anchor {
    /// Any part.
    None,
    /// A part at the start.
    Start,
    /// What the pattern with `^` written before it matches: of alternatives that no group holds together, `^` belongs to
    /// the first alone, so that `/a|/b` matches `/q/b` too. This is how ingress-nginx writes paths into its locations.
    Caret,
    /// The whole text.
    Whole,
}

impl Regex {
    /// Compiles a case-sensitive pattern.
    pub fn new(pattern: &str, anchor: Anchor) -> Result<Self, RegexError> {
        Self::compile(pattern, anchor, false)
    }

    /// Compiles a pattern that takes ASCII upper and lower case for the same.
    pub fn ignoring_case(pattern: &str, anchor: Anchor) -> Result<Self, RegexError> {
        Self::compile(pattern, anchor, true)
    }

    fn compile(pattern: &str, anchor: Anchor, fold_case: bool) -> Result<Self, RegexError> {
        let error = |reason: String| RegexError { pattern: Excerpt::of(pattern), reason: Excerpt::of(&reason) };
        if pattern.len() > MAX_PATTERN {
            return Err(error(format!("longer than {MAX_PATTERN} bytes")));
        }
        let build = |text: &str| {
            RegexBuilder::new(text)
                .unicode(false)
                .case_insensitive(fold_case)
                .size_limit(MAX_COMPILED)
                .dfa_size_limit(MAX_COMPILED)
                .nest_limit(MAX_NESTING)
                .build()
                .map_err(|e| error(last_line(&e.to_string()).to_owned()))
        };
        let compiled = match anchor {
            Anchor::None => build(pattern)?,
            Anchor::Caret => build(&format!("^{pattern}"))?,
            Anchor::Start | Anchor::Whole => {
                // By itself first: `a)|(b` must not close the group that anchors it.
                build(pattern)?;
                let end = if anchor == Anchor::Whole { r"\z" } else { "" };
                build(&format!(r"\A(?:{pattern}){end}"))?
            }
        };
        Ok(Self { pattern: pattern.into(), anchor, fold_case, compiled })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// What part of a text must match.
    pub fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// Whether ASCII upper and lower case are the same.
    pub fn ignores_case(&self) -> bool {
        self.fold_case
    }

    /// Whether the text matches.
    #[inline]
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.compiled.is_match(text)
    }

    /// Fills `$0` to `$9` of a template from the first match in `text`; `None` if there is none. A group that took no
    /// part, or that the pattern does not have, is empty; every other `$` stands for itself.
    pub fn expand(&self, text: &[u8], template: &str) -> Option<Vec<u8>> {
        let captures = self.compiled.captures(text)?;
        let mut out = Vec::with_capacity(template.len());
        let mut rest = template.as_bytes();
        while let Some((byte, tail)) = rest.split_first() {
            match (byte, tail.first()) {
                (b'$', Some(digit)) if digit.is_ascii_digit() => {
                    if let Some(group) = captures.get(usize::from(digit - b'0')) {
                        out.extend_from_slice(group.as_bytes());
                    }
                    rest = &tail[1..];
                }
                _ => {
                    out.push(*byte);
                    rest = tail;
                }
            }
        }
        Some(out)
    }

    /// Every match in `text` replaced by a template in which `\0` to `\9` stand for groups (`\\` for a backslash); borrows the text if
    /// there is none. A group that took no part, or that the pattern does not have, is empty. How RE2, and so Envoy, rewrites.
    pub fn replace_all<'t>(&self, text: &'t [u8], template: &str) -> Cow<'t, [u8]> {
        self.compiled.replace_all(text, |captures: &regex::bytes::Captures<'_>| {
            let mut out = Vec::with_capacity(template.len());
            let mut rest = template.as_bytes();
            while let Some((byte, tail)) = rest.split_first() {
                match (byte, tail.first()) {
                    (b'\\', Some(digit)) if digit.is_ascii_digit() => {
                        if let Some(group) = captures.get(usize::from(digit - b'0')) {
                            out.extend_from_slice(group.as_bytes());
                        }
                        rest = &tail[1..];
                    }
                    (b'\\', Some(b'\\')) => {
                        out.push(b'\\');
                        rest = &tail[1..];
                    }
                    _ => {
                        out.push(*byte);
                        rest = tail;
                    }
                }
            }
            out
        })
    }

    /// The groups of the first match in `text`.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn captures<'t>(&self, text: &'t [u8]) -> Option<regex::bytes::Captures<'t>> {
        self.compiled.captures(text)
    }

    /// A text that every match begins with, found without parsing the pattern in full: possibly shorter than it could
    /// be, never wrong. Empty unless the pattern is anchored.
    pub(crate) fn literal_prefix(&self) -> &str {
        if self.anchor == Anchor::None { "" } else { literal_prefix(&self.pattern) }
    }
}

/// The literal beginning of a pattern that is anchored at the start.
fn literal_prefix(pattern: &str) -> &str {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    if alternates(pattern) {
        return "";
    }
    let is_literal = |c: char| c.is_ascii_alphanumeric() || "/_-~%=:@!,;&'\"<> ".contains(c);
    let end = pattern.find(|c| !is_literal(c)).unwrap_or(pattern.len());
    match pattern[end..].chars().next() {
        // The last character may be missing.
        Some('?' | '*' | '{') => &pattern[..end.saturating_sub(1)],
        _ => &pattern[..end],
    }
}

/// Whether `|` may stand outside of all groups.
fn alternates(pattern: &str) -> bool {
    if !pattern.contains('|') {
        return false;
    }
    // Brackets would need a parser of character classes, and verbose mode one of comments.
    if pattern.contains('[') || pattern.contains("(?") {
        return true;
    }
    let mut depth = 0usize;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// The `regex` crate draws the pattern over several lines; its last one says what is wrong.
fn last_line(message: &str) -> &str {
    let line = message.trim_end().lines().next_back().unwrap_or_default();
    line.trim_start_matches("error:").trim()
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Regex")
            .field("pattern", &self.pattern)
            .field("anchor", &self.anchor)
            .field("fold_case", &self.fold_case)
            .finish()
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern, self.anchor, self.fold_case) == (&other.pattern, other.anchor, other.fold_case)
    }
}

impl Eq for Regex {}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("regular expression {pattern} is refused: {reason}")]
pub struct RegexError {
    pattern: Excerpt,
    reason: Excerpt,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cve_2022_24713_costly_patterns_are_refused() {
        for pattern in ["((a{100}){100}){100}", "(((((a{20}){20}){20}){20}){20})", "\\w{100000}"] {
            assert!(Regex::new(pattern, Anchor::Whole).is_err(), "{pattern}");
        }
        // Empty repetitions are either refused or free.
        let _ = Regex::new("(?:){4294967295}", Anchor::Whole);
        assert!(Regex::new(&"a".repeat(MAX_PATTERN + 1), Anchor::None).is_err());
        assert!(Regex::new(&"(".repeat(200), Anchor::None).is_err());
    }

    #[test]
    fn look_around_and_back_references_are_refused_with_the_reason() {
        let error = Regex::new("/a(?!b)", Anchor::Start).unwrap_err().to_string();
        assert!(error.contains("look-around"), "{error}");
        assert!(Regex::new(r"(a)\1", Anchor::Start).is_err());
    }

    #[test]
    fn a_pattern_cannot_leave_its_anchor() {
        assert!(Regex::new("a)|(b", Anchor::Whole).is_err());
        let either = Regex::new("a|b", Anchor::Whole).unwrap();
        assert!(either.is_match(b"b") && !either.is_match(b"ab"));
        let start = Regex::new("/id/[0-9]+", Anchor::Start).unwrap();
        assert!(start.is_match(b"/id/1x") && !start.is_match(b"/x/id/1"));
    }

    #[test]
    fn a_caret_belongs_to_the_first_alternative_alone() {
        let caret = Regex::ignoring_case("/a|/b", Anchor::Caret).unwrap();
        assert!(caret.is_match(b"/a/x") && caret.is_match(b"/q/b") && !caret.is_match(b"/q/a"));
        let start = Regex::ignoring_case("/a|/b", Anchor::Start).unwrap();
        assert!(start.is_match(b"/b/x") && !start.is_match(b"/q/b"));
        let group = Regex::ignoring_case("/(a|b)", Anchor::Caret).unwrap();
        assert!(group.is_match(b"/b") && !group.is_match(b"/q/b"));
        assert!(Regex::ignoring_case("/a)|(/b", Anchor::Caret).is_err());
    }

    #[test]
    fn case_folding_is_ascii() {
        let regex = Regex::ignoring_case("/k", Anchor::Start).unwrap();
        assert!(regex.is_match(b"/K"));
        assert!(!regex.is_match("/\u{212a}".as_bytes()), "the Kelvin sign is no K here");
    }

    #[test]
    fn templates_take_groups() {
        let regex = Regex::ignoring_case(r"/something(/|$)(.*)", Anchor::None).unwrap();
        assert_eq!(regex.expand(b"/x/SOMETHING/new", "/$2").unwrap(), b"/new");
        assert_eq!(regex.expand(b"/something", "/$2$7$").unwrap(), b"/$");
        assert_eq!(regex.expand(b"/else", "/$2"), None);
    }

    #[test]
    fn literal_prefixes_are_as_long_as_is_safe() {
        for (pattern, literal) in [
            ("/foo/bar", "/foo/bar"),
            ("^/foo", "/foo"),
            ("/something(/|$)(.*)", "/something"),
            ("/a|/b", ""),
            ("/ab?c", "/a"),
            ("/ab+c", "/ab"),
            ("/v[0-9]+/x", "/v"),
            ("/a[|]b", ""),
            ("(?i)/a", ""),
            ("/a.b", "/a"),
            (r"/a\.b", "/a"),
        ] {
            assert_eq!(literal_prefix(pattern), literal, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn every_match_begins_with_the_literal_prefix(
            pattern in "(\\^?/)?[ab/|()\\[\\]?*+{}1,.\\\\$^]{0,10}", text in "[ab/|(]{0,8}",
        ) {
            for anchor in [Anchor::Start, Anchor::Caret] {
                if let Ok(regex) = Regex::new(&pattern, anchor) && regex.is_match(text.as_bytes()) {
                    prop_assert!(text.starts_with(regex.literal_prefix()), "{:?} {} {}", anchor, pattern, text);
                }
            }
        }
    }
}
