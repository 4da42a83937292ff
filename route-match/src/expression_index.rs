//! Which of a host's expressions is this path's?

use std::collections::BTreeMap;

use foldhash::fast::FixedState;

use crate::filed::{Filed, Rank};
use crate::path_index::PathIndex;
use crate::regex::Regex;
use crate::regex_filter::RegexFilter;
use crate::regex_union::RegexUnion;
use crate::request::Request;

/// Expressions that have to be asked.
///
/// One automaton over all of them tells the first that matches. Where there is none, since they are too many or too large,
/// where it gives up, and where the first asks for more than the path has, they are found by what they need: those that few
/// share a literal beginning with by that, the others by a text that they need elsewhere.
#[derive(Debug)]
pub(crate) struct ExpressionIndex {
    union: Option<RegexUnion>,
    by_beginning: PathIndex<true>,
    by_text: Option<RegexFilter>,
    /// All of them, ascending; never empty.
    all: Box<[Rank]>,
}

/// So few expressions are not asked together, nor is more than its beginning looked for of one that shares it with so few.
const FEW: usize = 4;

impl ExpressionIndex {
    /// Files expressions, given by ascending rank; `None` when there are none.
    pub(crate) fn new(hash: &FixedState, expressions: Vec<(Filed<'_>, &Regex)>) -> Option<Self> {
        if expressions.is_empty() {
            return None;
        }
        let all = expressions.iter().map(|(filed, _)| filed.rank).collect();
        let together = expressions.len() > FEW;
        let union = if together { RegexUnion::new(expressions.iter().map(|(_, regex)| *regex)) } else { None };
        let mut sharers: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (filed, _) in &expressions {
            *sharers.entry(filed.text).or_default() += 1;
        }
        let is_crowded = |filed: &Filed<'_>, regex: &Regex| !regex.required().is_empty() && sharers[filed.text] > FEW;
        let (crowded, lone): (Vec<_>, Vec<_>) =
            expressions.into_iter().partition(|(filed, regex)| is_crowded(filed, regex));
        let by_text =
            RegexFilter::new(&crowded.iter().map(|(filed, regex)| (filed.rank, regex.required())).collect::<Vec<_>>());
        let mut by_beginning: Vec<_> = lone.iter().map(|(filed, _)| *filed).collect();
        if by_text.is_none() {
            by_beginning.extend(crowded.iter().map(|(filed, _)| *filed));
        }
        Some(Self { union, by_beginning: PathIndex::new(hash, by_beginning), by_text, all })
    }

    /// The lowest rank of all.
    pub(crate) fn least(&self) -> u32 {
        self.all[0].rank()
    }

    /// The smallest rank below `best` that is accepted, or `best`.
    pub(crate) fn best(
        &self,
        hash: &FixedState,
        request: &Request<'_>,
        best: u32,
        accepts: &mut impl FnMut(Rank) -> bool,
    ) -> u32 {
        match self.union.as_ref().map(|union| union.first(request.path)) {
            Some(Ok(None)) => return best,
            Some(Ok(Some(first))) => {
                let rank = self.all[first].with_pattern_asked();
                if rank.rank() >= best {
                    return best;
                }
                if rank.is_settled() || accepts(rank) {
                    return rank.rank();
                }
            }
            Some(Err(_)) | None => {}
        }
        let best = self.by_beginning.best(hash, request, best, accepts);
        match &self.by_text {
            Some(filter) => filter.best(request.path, best, accepts),
            None => best,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filed::{Extent, NO_RANK};
    use crate::regex::Anchor;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn all_at_once_and_by_what_they_need_a_scan_finds_the_same(
            patterns in proptest::collection::vec("(/|/a|\\.\\*)?([ab]{1,3}|[ab]{3,5}|\\[a-z\\]\\+|/[0-9]|\\|)(b|\\$)?", 1..40),
            accepted in any::<u64>(),
            anchors in any::<u64>(),
            paths in proptest::collection::vec("(/[abB]{0,5}){1,3}", 1..12),
        ) {
            let hash = FixedState::with_seed(0);
            let anchor = |i: usize| [Anchor::Caret, Anchor::None, Anchor::Start, Anchor::Whole][(anchors >> i) as usize % 4];
            let compiled: Vec<_> =
                patterns.iter().enumerate().map(|(i, text)| Regex::ignoring_case(text, anchor(i)).unwrap()).collect();
            let expressions: Vec<_> = (0u32..)
                .zip(&compiled)
                .map(|(rank, regex)| {
                    let rank = Rank::new(rank, true, true);
                    (Filed { text: regex.prefix(), extent: Extent::Text, rank, conditions: &[] }, regex)
                })
                .collect();
            let mut index = ExpressionIndex::new(&hash, expressions).unwrap();
            prop_assert_eq!(index.union.is_some(), patterns.len() > FEW);
            let takes_at_all = |rank: Rank| accepted >> rank.rank() & 1 == 1;
            for union in [true, false] {
                if !union {
                    index.union = None;
                }
                for path in &paths {
                    let takes = |rank: Rank| compiled[rank.rank() as usize].is_match(path.as_bytes());
                    let mut accepts = |rank: Rank| takes_at_all(rank) && (!rank.asks_pattern() || takes(rank));
                    let request = Request::new(None, path);
                    let found = index.best(&hash, &request, NO_RANK, &mut accepts);
                    let scan = (0..).take(compiled.len()).map(|rank| Rank::new(rank, true, true)).find(|rank| accepts(*rank));
                    prop_assert_eq!(found, scan.map_or(NO_RANK, Rank::rank), "{}", path);
                }
            }
        }
    }
}
