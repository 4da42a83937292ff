//! Which of many expressions can match this path? One pass for texts that they need.

use std::collections::BTreeMap;

use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, Input, MatchKind};

use crate::filed::{Extent, Rank};
use crate::literals::Alternatives;

/// Expressions filed by texts of which one occurs in every path that they match.
///
/// A look-up passes over the path once, whatever the number of expressions, and asks those of which it met a text.
#[derive(Debug)]
pub(crate) struct RegexFilter {
    automaton: AhoCorasick,
    /// For each text, the expressions that need it.
    needs: Box<[Box<[Need]>]>,
    /// All of them, ascending; never empty.
    all: Box<[Rank]>,
}

/// An expression that needs a text, which with what lies before it is so much of the path.
#[derive(Clone, Copy, Debug)]
struct Need {
    rank: Rank,
    extent: Extent,
}

/// So many expressions are kept in mind during the pass; a path that holds the texts of more has all expressions asked.
const CANDIDATES: usize = 32;

impl RegexFilter {
    /// Files expressions, given by ascending rank with the sets of texts they need, each of one at least. `None` when there are none, or
    /// texts too many for an automaton.
    pub(crate) fn new(expressions: &[(Rank, &[Alternatives])]) -> Option<Self> {
        if expressions.is_empty() {
            return None;
        }
        let mut sharers: BTreeMap<&Alternatives, usize> = BTreeMap::new();
        for set in expressions.iter().flat_map(|(_, sets)| *sets) {
            *sharers.entry(set).or_default() += 1;
        }
        let mut by_text: BTreeMap<&[u8], Vec<Need>> = BTreeMap::new();
        for (rank, sets) in expressions {
            // The set that it shares with the fewest; of those, the one that says most.
            let shortest = |set: &&Alternatives| set.iter().map(|(text, _)| text.len()).min();
            let set = sets.iter().min_by_key(|set| (sharers[set], std::cmp::Reverse(shortest(set))))?;
            for (text, extent) in set {
                by_text.entry(text).or_default().push(Need { rank: *rank, extent: *extent });
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(by_text.keys())
            .ok()?;
        let needs = by_text.into_values().map(Into::into).collect();
        Some(Self { automaton, needs, all: expressions.iter().map(|(rank, _)| *rank).collect() })
    }

    /// The smallest rank below `best` that is accepted, of those of which the path holds a text, or `best`.
    pub(crate) fn best(&self, path: &[u8], best: u32, accepts: &mut impl FnMut(Rank) -> bool) -> u32 {
        // Each expression is asked once at most, and in order of rank, since asking is what costs.
        let mut found = [Rank(0); CANDIDATES];
        let mut count = 0;
        let input = Input::new(path);
        let mut state = OverlappingState::start();
        loop {
            self.automaton.find_overlapping(input.clone(), &mut state);
            let Some(text) = state.get_match() else { break };
            let needs = self.needs[text.pattern().as_usize()].iter().take_while(|need| need.rank.rank() < best);
            for Need { rank, .. } in needs.filter(|need| need.extent.covers(&path[..text.end()], path)) {
                if let Err(at) = found[..count].binary_search(rank) {
                    if count == CANDIDATES {
                        return Rank::first(self.all.iter().copied(), best, accepts);
                    }
                    found.copy_within(at..count, at + 1);
                    found[at] = *rank;
                    count += 1;
                }
            }
        }
        Rank::first(found[..count].iter().copied(), best, accepts)
    }
}
