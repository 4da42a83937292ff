//! Does a text match the operator's regular expression? In linear time, within bounded memory.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use regex::bytes::RegexBuilder;
use regex_syntax::hir::Hir;

use crate::excerpt::Excerpt;
use crate::filed::Extent;
use crate::literals::{self, Alternatives, Literals};

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
/// once compiled or of more than 100 nested groups is refused. Clones share what was compiled.
#[derive(Clone)]
pub struct Regex(Arc<Compiled>);

struct Compiled {
    pattern: Box<str>,
    anchor: Anchor,
    fold_case: bool,
    regex: regex::bytes::Regex,
    literals: Literals,
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
        let whole = match anchor {
            Anchor::None => pattern.to_owned(),
            Anchor::Caret => format!("^{pattern}"),
            Anchor::Start | Anchor::Whole => {
                // By itself first: `a)|(b` must not close the group that anchors it.
                build(pattern)?;
                let end = if anchor == Anchor::Whole { r"\z" } else { "" };
                format!(r"\A(?:{pattern}){end}")
            }
        };
        let regex = build(&whole)?;
        // What compiled is parsed again, by the same parser with the same settings.
        let parsed = literals::parse(&whole, fold_case, MAX_NESTING);
        let literals = Literals::of(&parsed.ok_or_else(|| error("its syntax is read in two ways".to_owned()))?);
        Ok(Self(Arc::new(Compiled { pattern: pattern.into(), anchor, fold_case, regex, literals })))
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    /// What part of a text must match.
    pub fn anchor(&self) -> Anchor {
        self.0.anchor
    }

    /// Whether ASCII upper and lower case are the same.
    pub fn ignores_case(&self) -> bool {
        self.0.fold_case
    }

    /// Whether the text matches.
    #[inline]
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.regex.is_match(text)
    }

    /// The groups of the first match in `text`; `None` if there is none. Allocates, so it is for the rule that was chosen.
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Captures<'t>> {
        self.0.regex.captures(text).map(Captures)
    }

    /// Fills `$0` to `$9` of a template from the first match in `text`; `None` if there is none. A group that took no
    /// part, or that the pattern does not have, is empty; every other `$` stands for itself.
    pub fn expand(&self, text: &[u8], template: &str) -> Option<Vec<u8>> {
        let captures = self.captures(text)?;
        let mut out = Vec::with_capacity(template.len());
        let mut rest = template.as_bytes();
        while let Some((byte, tail)) = rest.split_first() {
            match (byte, tail.first()) {
                (b'$', Some(digit)) if digit.is_ascii_digit() => {
                    out.extend_from_slice(captures.group(usize::from(digit - b'0')).unwrap_or_default());
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
    /// there is none. A group that took no part is empty; a template with a group that the pattern does not have replaces nothing. How RE2, and
    /// so Envoy, rewrites.
    pub fn replace_all<'t>(&self, text: &'t [u8], template: &str) -> Cow<'t, [u8]> {
        if highest_group(template) >= self.0.regex.captures_len() {
            return Cow::Borrowed(text);
        }
        self.0.regex.replace_all(text, |captures: &regex::bytes::Captures<'_>| {
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

    /// What every match begins with, in lower case.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.0.literals.prefix
    }

    /// How much of every match's text the prefix is, and whether in whatever case that is all that is asked.
    pub(crate) fn extent(&self) -> (Extent, bool) {
        (self.0.literals.extent, self.0.literals.only_prefix)
    }

    /// The expression as it was compiled, anchors included.
    pub(crate) fn parsed(&self) -> Option<Hir> {
        literals::parse(self.0.regex.as_str(), self.0.fold_case, MAX_NESTING)
    }

    /// Texts in lower case, of each set of which one is in every text that matches, and what is before its end covers so much of it.
    pub(crate) fn required(&self) -> &[Alternatives] {
        &self.0.literals.required
    }
}

/// What the groups of a [`Regex`] took of a text.
#[derive(Debug)]
pub struct Captures<'t>(regex::bytes::Captures<'t>);

impl<'t> Captures<'t> {
    /// What group `number` took, `None` if it took no part or does not exist. Group 0 is the whole match.
    pub fn group(&self, number: usize) -> Option<&'t [u8]> {
        self.0.get(number).map(|found| found.as_bytes())
    }

    /// What the group `(?<name>...)` took.
    pub fn named(&self, name: &str) -> Option<&'t [u8]> {
        self.0.name(name).map(|found| found.as_bytes())
    }
}

/// The highest number of a group that a template of [`Regex::replace_all`] names; 0 for none.
fn highest_group(template: &str) -> usize {
    let mut highest = 0;
    let mut bytes = template.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\'
            && let Some(digit) = bytes.next().filter(u8::is_ascii_digit)
        {
            highest = highest.max(usize::from(digit - b'0'));
        }
    }
    highest
}

/// The `regex` crate draws the pattern over several lines; its last one says what is wrong.
fn last_line(message: &str) -> &str {
    let line = message.trim_end().lines().next_back().unwrap_or_default();
    line.trim_start_matches("error:").trim()
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Regex")
            .field("pattern", &self.0.pattern)
            .field("anchor", &self.0.anchor)
            .field("fold_case", &self.0.fold_case)
            .finish()
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        let facts = |regex: &Self| (regex.anchor(), regex.ignores_case());
        self.as_str() == other.as_str() && facts(self) == facts(other)
    }
}

impl Eq for Regex {}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    fn a_template_with_a_group_that_is_not_there_replaces_nothing() {
        let regex = Regex::new("(a)(b)?", Anchor::None).unwrap();
        let replaced = |template: &str| String::from_utf8(regex.replace_all(b"xaab", template).into_owned()).unwrap();
        assert_eq!(replaced(r"<\1\2>"), "x<a><ab>");
        assert_eq!(replaced(r"<\3>"), "xaab");
        assert_eq!(replaced(r"<\\3>"), r"x<\3><\3>");
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
    fn groups_are_told_by_number_and_name() {
        let regex = Regex::new("/(?<version>v[0-9])(/x)?/(.*)", Anchor::Start).unwrap();
        let captures = regex.captures(b"/v1/orders").unwrap();
        assert_eq!(captures.group(0), Some(&b"/v1/orders"[..]));
        assert_eq!((captures.named("version"), captures.group(2)), (Some(&b"v1"[..]), None));
        assert_eq!((captures.group(3), captures.group(4)), (Some(&b"orders"[..]), None));
        assert!(regex.captures(b"/w").is_none());
    }

    proptest! {
        #[test]
        fn every_match_has_the_literals(
            pattern in "(\\^?/)?([ab/|()\\[\\]?*+{}1,.\\\\$^]|abc|aBc|\\(/\\|\\$\\)){0,8}",
            text in "([abB/|(]|abc|aBc){0,6}",
            fold in any::<bool>(),
        ) {
            for anchor in [Anchor::None, Anchor::Start, Anchor::Caret, Anchor::Whole] {
                let Ok(regex) = Regex::compile(&pattern, anchor, fold) else { continue };
                let matched = regex.is_match(text.as_bytes());
                let lower = text.to_ascii_lowercase().into_bytes();
                let (extent, only_prefix) = regex.extent();
                let covered = lower.starts_with(regex.prefix()) && extent.covers(regex.prefix(), &lower);
                prop_assert!(!matched || covered, "{:?} {} {}", anchor, pattern, text);
                prop_assert!(!only_prefix || matched == covered, "{:?} {} {}", anchor, pattern, text);
                if matched {
                    let holds = |literal: &[u8], extent: Extent| {
                        (0..=lower.len()).any(|end| lower[..end].ends_with(literal) && extent.covers(&lower[..end], &lower))
                    };
                    for set in regex.required() {
                        let found = set.iter().any(|(literal, extent)| holds(literal, *extent));
                        prop_assert!(found, "{:?} {} {}", anchor, pattern, text);
                    }
                }
            }
        }
    }
}
