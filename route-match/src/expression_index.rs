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
