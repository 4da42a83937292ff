//! Which of many expressions is the first that matches? One automaton over all of them.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{Compiler, Config, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Dot, Hir, Repetition};

use crate::literals::{asked_parts, is_anchored};
use crate::regex::Regex;

/// Expressions, all asked in one pass over the text.
///
/// Every expression is made to begin at the start of the text, an unanchored one with whatever lies before its match. The
/// automaton prefers as Perl does among alternatives, and where all begin at the same place that is order alone: it ends at
/// the first expression that matches. Its states are made as texts need them, and kept for the next text.
pub(crate) struct RegexUnion {
    automaton: DFA,
    /// One for each thread that asks at the same time.
    caches: Pool<Cache, Box<MakeCache>>,
}

type MakeCache = dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe;

/// The states are too many for the memory they are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GaveUp;

/// Most expressions. A new state costs time by their number; with more, requests could buy too much of it.
const MOST: usize = 1024;
/// Bytes that all patterns may have. More would hardly fit when compiled, and cost many times as much when parsed.
const LONGEST: usize = 256 << 10;
/// Bytes that all expressions may take, and the states of each thread again.
const MAX_COMPILED: usize = 4 << 20;
/// States are thrown away for others only if so many bytes were read for each; making one costs about as much as filters do
/// for so many.
const WORTH: usize = 100;

impl RegexUnion {
    /// Compiles expressions, given by falling preference; `None` when they are too many or too large.
    pub(crate) fn new<'r>(expressions: impl ExactSizeIterator<Item = &'r Regex> + Clone) -> Option<Self> {
        let length = expressions.clone().map(|regex| regex.as_str().len()).sum::<usize>();
        if expressions.len() > MOST || length > LONGEST {
            return None;
        }
        let parsed: Vec<Hir> =
            expressions.map(|regex| regex.parsed().map(|hir| anchored(&hir))).collect::<Option<_>>()?;
        let limits = Config::new().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(MAX_COMPILED));
        let nfa = Compiler::new().configure(limits).build_many_from_hir(&parsed).ok()?;
        let config = DFA::config()
            .match_kind(MatchKind::LeftmostFirst)
            .cache_capacity(MAX_COMPILED)
            .minimum_cache_clear_count(Some(0))
            .minimum_bytes_per_state(Some(WORTH));
        let automaton = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        let maker = automaton.clone();
        Some(Self { automaton, caches: Pool::new(Box::new(move || maker.create_cache())) })
    }

    /// The first expression that matches, by its place among those given.
    ///
    /// # Errors
    /// [`GaveUp`] when the text needs states that there is no room for; it says nothing about matches.
    pub(crate) fn first(&self, text: &[u8]) -> Result<Option<usize>, GaveUp> {
        let found = self.automaton.try_search_fwd(&mut self.caches.get(), &Input::new(text).anchored(Anchored::Yes));
        found.map(|found| found.map(|found| found.pattern().as_usize())).map_err(|_| GaveUp)
    }
}

/// An expression that matches the beginning of a text if the other matches any part of it.
fn anchored(hir: &Hir) -> Hir {
    let mut parts: Vec<Hir> = asked_parts(hir).into_iter().cloned().collect();
    if !is_anchored(hir) {
        let before = Repetition { min: 0, max: None, greedy: false, sub: Box::new(Hir::dot(Dot::AnyByte)) };
        parts.insert(0, Hir::repetition(before));
    }
    Hir::concat(parts)
}

impl fmt::Debug for RegexUnion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegexUnion").field("expressions", &self.automaton.pattern_len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::Anchor;

    fn union(expressions: &[&str]) -> RegexUnion {
        let compiled: Vec<_> = expressions.iter().map(|text| Regex::new(text, Anchor::None).unwrap()).collect();
        RegexUnion::new(compiled.iter()).unwrap()
    }

    #[test]
    fn the_first_is_the_first_given_not_the_first_to_match() {
        let union = union(&["/c$", "/a/b", "^/a", "/a/b/c", ""]);
        for (text, first) in [("/a/b/c", 0), ("/a/b/d", 1), ("/a/d", 2), ("/d/a", 4), ("", 4)] {
            assert_eq!(union.first(text.as_bytes()), Ok(Some(first)), "{text}");
        }
    }

    #[test]
    fn too_many_expressions_or_too_large_ones_are_refused() {
        let one = Regex::new("/a", Anchor::Start).unwrap();
        let large = Regex::new("[ab]{4000}x?", Anchor::Start).unwrap();
        assert!(RegexUnion::new(vec![&one; MOST].into_iter()).is_some());
        assert!(RegexUnion::new(vec![&one; MOST + 1].into_iter()).is_none());
        assert!(RegexUnion::new(vec![&large; MOST].into_iter()).is_none());
        let long = Regex::new(&format!("(?x)a{}", " ".repeat(3995)), Anchor::Start).unwrap();
        assert!(RegexUnion::new(vec![&long; 65].into_iter()).is_some());
        assert!(RegexUnion::new(vec![&long; 66].into_iter()).is_none());
    }

    #[test]
    fn states_without_end_are_given_up_and_those_at_hand_still_serve() {
        // Each text of so many letters is a state of its own.
        let union = union(&["/x$", "a[ab]{18}$"]);
        assert_eq!(union.first(b"/x"), Ok(Some(0)));
        let mut bits = 1u64;
        let mut gave_up = 0;
        for _ in 0..2000 {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let text: Vec<u8> = (0..64).map(|bit| if bits >> bit & 1 == 0 { b'a' } else { b'b' }).collect();
            match union.first(&text) {
                Ok(found) => assert_eq!(found, (text[64 - 19] == b'a').then_some(1)),
                Err(GaveUp) => gave_up += 1,
            }
        }
        assert!(gave_up > 1000, "{gave_up}");
        assert_eq!(union.first(b"/x"), Ok(Some(0)));
    }
}
