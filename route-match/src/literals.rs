//! Which texts must a path contain for an expression to match? What an index can look for beforehand.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};

/// Most texts of which one must occur; more of them would tell too little.
const MOST_ALTERNATIVES: usize = 16;
/// A shorter text occurs in too many paths.
const SHORTEST: usize = 3;

/// Texts that an expression needs, in ASCII lower case: they are to be looked for without regard to case, which finds at
/// least what the expression does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Literals {
    /// Every match begins the text with this.
    pub(crate) prefix: Box<[u8]>,
    /// One of each of these sets occurs in every text that matches, anywhere.
    pub(crate) required: Box<[Alternatives]>,
}

/// Texts of which one must occur, sorted.
pub(crate) type Alternatives = Vec<Box<[u8]>>;

impl Literals {
    /// The literals of an expression as it is compiled: its syntax is checked already.
    pub(crate) fn of(expression: &str, fold_case: bool, nest_limit: u32) -> Self {
        let mut parser =
            ParserBuilder::new().unicode(false).utf8(false).case_insensitive(fold_case).nest_limit(nest_limit).build();
        let Ok(hir) = parser.parse(expression) else { return Self::default() };
        let anchored = hir.properties().look_set_prefix().contains(Look::Start);
        let mut prefix = Vec::new();
        if anchored {
            push_prefix(&hir, &mut prefix);
        }
        let mut required = Vec::new();
        collect_required(&hir, &mut required);
        required.sort();
        required.dedup();
        Self { prefix: prefix.into(), required: required.into() }
    }
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
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) | HirKind::Literal(_) => push_run(&[hir], sets),
        HirKind::Capture(capture) => collect_required(&capture.sub, sets),
        HirKind::Repetition(repetition) if repetition.min > 0 => collect_required(&repetition.sub, sets),
        HirKind::Repetition(_) => {}
        HirKind::Concat(parts) => {
            // Neighbours that are one text each are one text together.
            for run in parts.chunk_by(|a, b| is_text(a) && is_text(b)) {
                match run {
                    [part] if !is_text(part) => collect_required(part, sets),
                    run => push_run(&run.iter().collect::<Vec<_>>(), sets),
                }
            }
        }
        HirKind::Alternation(branches) => {
            let mut alternatives = Alternatives::new();
            for branch in branches {
                let mut of_branch = Vec::new();
                collect_required(branch, &mut of_branch);
                // The set whose shortest text is longest tells most.
                let shortest = |set: &Alternatives| set.iter().map(|text| text.len()).min();
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

/// Collects the one text that these make together.
fn push_run(run: &[&Hir], sets: &mut Vec<Alternatives>) {
    let mut text = Vec::new();
    run.iter().for_each(|part| _ = push_prefix(part, &mut text));
    if text.len() >= SHORTEST {
        sets.push(vec![text.into()]);
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

    fn prefix(expression: &str, fold_case: bool) -> String {
        String::from_utf8(Literals::of(expression, fold_case, 100).prefix.into()).unwrap()
    }

    fn required(expression: &str) -> Vec<Vec<String>> {
        let text = |text: &[u8]| String::from_utf8(text.into()).unwrap();
        let sets = Literals::of(expression, true, 100).required;
        sets.iter().map(|set| set.iter().map(|literal| text(literal)).collect()).collect()
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
        assert_eq!(required("^/api/v[0-9]+/Orders(/|$)"), [["/api/v"], ["/orders"]]);
        assert_eq!(required(".*\\.php$"), [[".php"]]);
        assert_eq!(required("^/a|/b"), [[""; 0]; 0], "too short");
        assert_eq!(required("/(alpha|beta)/x"), [["alpha", "beta"]]);
        assert_eq!(required("(alpha)?/[a-z]+"), [[""; 0]; 0]);
        assert_eq!(required("(alpha|[0-9])"), [[""; 0]; 0]);
    }
}
