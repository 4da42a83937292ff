//! Which texts must a path contain for an expression to match? What an index can look for beforehand.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::filed::Extent;

/// Most texts of which one must occur; more of them would tell too little.
const MOST_ALTERNATIVES: usize = 16;
/// A shorter text occurs in too many paths.
const SHORTEST: usize = 3;

/// Texts that an expression needs, in ASCII lower case: they are to be looked for without regard to case, which finds at
/// least what the expression does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literals {
    /// Every match begins the text with this, ...
    pub(crate) prefix: Box<[u8]>,
    /// ... which is this much of the text, ...
    pub(crate) extent: Extent,
    /// ... and in whatever case that is all that is asked, as of `^/shop(/|$)(.*)`.
    pub(crate) only_prefix: bool,
    /// One of each of these sets occurs in every text that matches, anywhere.
    pub(crate) required: Box<[Alternatives]>,
}

/// Texts of which one must occur, and how what precedes its end covers the whole; sorted.
pub(crate) type Alternatives = Vec<(Box<[u8]>, Extent)>;

/// An expression as the `regex` crate reads it when it matches bytes without Unicode; `None` if its syntax is wrong.
pub(crate) fn parse(expression: &str, fold_case: bool, nest_limit: u32) -> Option<Hir> {
    let mut parser = ParserBuilder::new();
    parser.unicode(false).utf8(false).case_insensitive(fold_case).nest_limit(nest_limit).build().parse(expression).ok()
}

/// Whether all matches are at the start of the text.
pub(crate) fn is_anchored(hir: &Hir) -> bool {
    hir.properties().look_set_prefix().contains(Look::Start)
}

/// What an expression asks for one after the other, without what it asks for at the end and also takes if it is not there:
/// that tells what groups take, not whether there is a match.
pub(crate) fn asked_parts(hir: &Hir) -> Vec<&Hir> {
    let mut parts = Vec::new();
    push_parts(hir, &mut parts);
    let asks_nothing =
        |part: &Hir| part.properties().minimum_len() == Some(0) && part.properties().look_set().is_empty();
    while parts.pop_if(|part| asks_nothing(part)).is_some() {}
    parts
}

fn push_parts<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(of) => of.iter().for_each(|part| push_parts(part, parts)),
        HirKind::Capture(capture) => push_parts(&capture.sub, parts),
        _ => parts.push(hir),
    }
}

impl Literals {
    /// The literals of an expression.
    pub(crate) fn of(hir: &Hir) -> Self {
        let mut prefix = Vec::new();
        let (mut extent, mut only_prefix) = (Extent::Text, false);
        if is_anchored(hir) {
            push_prefix(hir, &mut prefix);
            if !prefix.is_empty() {
                (extent, only_prefix) = extent_of(&asked_parts(hir));
            }
        }
        let mut required = Vec::new();
        collect_required(hir, &mut required);
        required.sort();
        required.dedup();
        Self { prefix: prefix.into(), extent, only_prefix, required: required.into() }
    }
}

/// How much of a text the literal beginning must be that these parts have, and whether that is all they ask for.
fn extent_of(parts: &[&Hir]) -> (Extent, bool) {
    // Where case is folded, letters are classes.
    let has_letter = |part: &Hir| match part.kind() {
        HirKind::Literal(literal) => literal.0.iter().any(u8::is_ascii_alphabetic),
        _ => false,
    };
    let (_, parts) = parts.split_at(parts.iter().take_while(|part| is_look(part, Look::Start)).count());
    let is_literal = |part: &Hir| matches!(part.kind(), HirKind::Literal(_)) || letter(part).is_some();
    let (texts, rest) = parts.split_at(parts.iter().take_while(|part| is_literal(part)).count());
    let folds = !texts.iter().any(|part| has_letter(part));
    match rest {
        [] => (Extent::Text, folds),
        [end] if is_look(end, Look::End) => (Extent::Whole, folds),
        [end, after @ ..] if ends_element(end) => (Extent::Elements, folds && after.is_empty()),
        _ => (Extent::Text, false),
    }
}

fn is_look(hir: &Hir, look: Look) -> bool {
    matches!(hir.kind(), HirKind::Look(found) if *found == look)
}

/// Whether this is `(/|$)`.
fn ends_element(hir: &Hir) -> bool {
    let is_slash = |hir: &Hir| matches!(hir.kind(), HirKind::Literal(literal) if *literal.0 == *b"/");
    let HirKind::Alternation(branches) = hir.kind() else { return false };
    matches!(&branches[..], [one, other]
        if is_slash(one) && is_look(other, Look::End) || is_look(one, Look::End) && is_slash(other))
}

/// Appends the text with which every match of `hir` begins; whether the match is that text and nothing else.
///
/// The recursion is bounded by the parser's limit on nesting.
fn push_prefix(hir: &Hir, prefix: &mut Vec<u8>) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            prefix.extend(literal.0.iter().map(u8::to_ascii_lowercase));
            true
        }
        HirKind::Class(_) => match letter(hir) {
            Some(letter) => {
                prefix.push(letter);
                true
            }
            None => false,
        },
        HirKind::Capture(capture) => push_prefix(&capture.sub, prefix),
        HirKind::Concat(parts) => parts.iter().all(|part| push_prefix(part, prefix)),
        HirKind::Repetition(repetition) => {
            if repetition.min > 0 {
                push_prefix(&repetition.sub, prefix);
            }
            repetition.min == 1 && repetition.max == Some(1)
        }
        HirKind::Alternation(branches) => {
            let mut common: Option<Vec<u8>> = None;
            for branch in branches {
                let mut text = Vec::new();
                push_prefix(branch, &mut text);
                common = Some(match common {
                    None => text,
                    Some(mut common) => {
                        common.truncate(common.iter().zip(&text).take_while(|(a, b)| a == b).count());
                        common
                    }
                });
            }
            prefix.extend(common.unwrap_or_default());
            false
        }
    }
}

/// Collects sets of texts of which one occurs in every match.
fn collect_required(hir: &Hir, sets: &mut Vec<Alternatives>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) | HirKind::Literal(_) => {
            push_run(&[hir], Extent::Text, sets)
        }
        HirKind::Capture(capture) => collect_required(&capture.sub, sets),
        HirKind::Repetition(repetition) if repetition.min > 0 => collect_required(&repetition.sub, sets),
        HirKind::Repetition(_) => {}
        HirKind::Concat(parts) => {
            // Neighbours that are one text each are one text together.
            let mut runs = parts.chunk_by(|a, b| is_text(a) && is_text(b)).peekable();
            while let Some(run) = runs.next() {
                match run {
                    [part] if !is_text(part) => collect_required(part, sets),
                    run => {
                        let next = runs.peek().and_then(|next| next.first()).map(uncaptured);
                        let extent = if next.is_some_and(ends_element) { Extent::Elements } else { Extent::Text };
                        push_run(&run.iter().collect::<Vec<_>>(), extent, sets);
                    }
                }
            }
        }
        HirKind::Alternation(branches) => {
            let mut alternatives = Alternatives::new();
            for branch in branches {
                let mut of_branch = Vec::new();
                collect_required(branch, &mut of_branch);
                // The set whose shortest text is longest tells most.
                let shortest = |set: &Alternatives| set.iter().map(|(text, _)| text.len()).min();
                let Some(best) = of_branch.into_iter().max_by_key(shortest) else { return };
                alternatives.extend(best);
            }
            alternatives.sort();
            alternatives.dedup();
            if alternatives.len() <= MOST_ALTERNATIVES {
                sets.push(alternatives);
            }
        }
    }
}

/// Collects the one text that these make together; `extent` is what follows them.
fn push_run(run: &[&Hir], extent: Extent, sets: &mut Vec<Alternatives>) {
    let mut text = Vec::new();
    run.iter().for_each(|part| _ = push_prefix(part, &mut text));
    if text.len() >= SHORTEST {
        let ends = run.last().is_some_and(|last| is_look(last, Look::End));
        sets.push(vec![(text.into(), if ends { Extent::Whole } else { extent })]);
    }
}

/// What a group is around.
fn uncaptured(hir: &Hir) -> &Hir {
    match hir.kind() {
        HirKind::Capture(capture) => &capture.sub,
        _ => hir,
    }
}

/// Whether a part matches one text alone, but for case.
fn is_text(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Class(_) => letter(hir).is_some(),
        _ => false,
    }
}

/// The letter of a class of its two cases, as folding case makes them.
fn letter(hir: &Hir) -> Option<u8> {
    let HirKind::Class(class) = hir.kind() else { return None };
    let mut bytes = Vec::with_capacity(2);
    match class {
        regex_syntax::hir::Class::Bytes(class) => {
            let ranges = class.ranges().iter().map(|range| (range.start(), range.end()));
            for (start, end) in ranges {
                if start != end || bytes.len() == 2 {
                    return None;
                }
                bytes.push(start);
            }
        }
        regex_syntax::hir::Class::Unicode(_) => return None,
    }
    match *bytes {
        [one] => Some(one.to_ascii_lowercase()),
        [upper, lower] if upper.is_ascii_uppercase() && upper.to_ascii_lowercase() == lower => Some(lower),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(expression: &str, fold_case: bool) -> Literals {
        Literals::of(&parse(expression, fold_case, 100).unwrap())
    }

    fn prefix(expression: &str, fold_case: bool) -> String {
        String::from_utf8(literals(expression, fold_case).prefix.into()).unwrap()
    }

    fn required(expression: &str) -> Vec<Vec<String>> {
        let text = |text: &[u8]| String::from_utf8(text.into()).unwrap();
        let sets = literals(expression, true).required;
        sets.iter()
            .map(|set| set.iter().map(|(literal, extent)| format!("{}{}", text(literal), mark(*extent))).collect())
            .collect()
    }

    fn mark(extent: Extent) -> &'static str {
        match extent {
            Extent::Text => "",
            Extent::Elements => "(/|$)",
            Extent::Whole => "$",
        }
    }

    #[test]
    fn prefixes_are_as_long_as_is_safe() {
        for (expression, expected) in [
            (r"\A(?:/foo/bar)", "/foo/bar"),
            ("^/Foo", "/foo"),
            ("^/something(/|$)(.*)", "/something"),
            ("^/a|/b", ""),
            ("^(?:/ab|/ac)", "/a"),
            ("^/ab?c", "/a"),
            ("^/ab+c", "/ab"),
            ("^/v[0-9]+/x", "/v"),
            ("^/a[|]b", "/a|b"),
            (r"^/a\.b", "/a.b"),
            ("(?m)^/a", ""),
            ("/a", ""),
            ("^(/a)?/b", ""),
            ("^(/a){2}/b", "/a"),
        ] {
            assert_eq!(prefix(expression, false), expected, "{expression}");
            assert_eq!(prefix(expression, true), expected, "{expression}");
        }
    }

    #[test]
    fn required_texts_are_whole_runs() {
        assert_eq!(required("^/api/v[0-9]+/Orders(/|$)"), [["/api/v"], ["/orders(/|$)"]]);
        assert_eq!(required("^/api/v[0-9]+/Orders(/|$|x)"), [["/api/v"], ["/orders"]]);
        assert_eq!(required(".*\\.php$"), [[".php$"]]);
        assert_eq!(required(".*/Orders$x?"), [["/orders$"]]);
        assert_eq!(required("^/a|/b"), [[""; 0]; 0], "too short");
        assert_eq!(required("/(alpha|beta)/x"), [["alpha", "beta"]]);
        assert_eq!(required("(alpha)?/[a-z]+"), [[""; 0]; 0]);
        assert_eq!(required("(alpha|[0-9])"), [[""; 0]; 0]);
    }

    #[test]
    fn what_follows_the_prefix_is_told() {
        for (expression, expected) in [
            ("^/a", (Extent::Text, true)),
            ("^/a.*", (Extent::Text, true)),
            (r"\A(?:/a)\z", (Extent::Whole, true)),
            ("^/a(/|$)(.*)", (Extent::Elements, true)),
            ("^(/a)($|/)(x?(.*))", (Extent::Elements, true)),
            ("^/a(/|$)(.*)$", (Extent::Elements, false)),
            ("^/a(/|$)x", (Extent::Elements, false)),
            ("^/a(/|$)b*$", (Extent::Elements, false)),
            ("^/a(/|$|x)", (Extent::Text, false)),
            ("^/a(/|^)", (Extent::Text, false)),
            ("^/a(/|(?m:$))", (Extent::Text, false)),
            (r"^/a\b", (Extent::Text, false)),
            ("^/a$b", (Extent::Text, false)),
            ("^/a^b", (Extent::Text, false)),
            ("^(/|$)(.*)", (Extent::Text, false)),
            ("^/a+", (Extent::Text, false)),
            ("/a", (Extent::Text, false)),
            ("^/a|/b", (Extent::Text, false)),
        ] {
            for fold_case in [false, true] {
                let literals = literals(expression, fold_case);
                let expected = (expected.0, expected.1 && fold_case);
                assert_eq!((literals.extent, literals.only_prefix), expected, "{expression}");
            }
        }
        assert!(literals("^/1/", false).only_prefix && !literals("^/(?-i:a)", true).only_prefix);
    }
}
