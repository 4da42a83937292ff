//! Which rule of one host is this request's? The lowest rank that three indices can offer.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::condition::Condition;
use crate::filed::{Extent, Filed, NO_RANK, Rank};
use crate::literals::Alternatives;
use crate::path_index::PathIndex;
use crate::path_pattern::{Filing, PathPattern};
use crate::regex_filter::RegexFilter;
use crate::request::Request;

/// The ranks of a host's rules: those of literal paths by their text, those that fold case or are expressions
/// by their literal beginning in lower case, and expressions that share theirs with others by texts that they need elsewhere.
///
/// Each index is asked for what beats the answer of those before it. Clones share what they hold.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct RuleIndex {
    literal: PathIndex<false>,
    rest: Option<Arc<Rest>>,
}

/// What hosts rarely have.
#[derive(Debug)]
struct Rest {
    folded: PathIndex<true>,
    filter: Option<RegexFilter>,
}

/// So many expressions may share a literal beginning before they are filed by what else they need.
const FEW: usize = 4;

impl RuleIndex {
    /// Files the rules of a host, given in rank order. At most 2^30 of them, and 4 GiB of paths.
    pub(crate) fn new<'p>(
        hash: &FixedState,
        rules: impl ExactSizeIterator<Item = (&'p PathPattern, &'p [Condition])>,
    ) -> Self {
        let (mut literal, mut folded) = (Vec::with_capacity(rules.len()), Vec::new());
        let mut expressions = Vec::new();
        for (rank, (path, conditions)) in (0u32..).zip(rules) {
            let Filing { text, extent, fold_case, ask } = path.filing();
            let (text, extent, ask) = match text.get(..PathIndex::<false>::LONGEST) {
                None => (text, extent, ask),
                Some(beginning) => (beginning, Extent::Text, true),
            };
            let filed = Filed { text, extent, rank: Rank::new(rank, ask, !conditions.is_empty()), conditions };
            match path.as_regex() {
                Some(regex) => expressions.push((filed, regex.required())),
                None if fold_case => folded.push(filed),
                None => literal.push(filed),
            }
        }
        let filter = file_expressions(expressions, &mut folded);
        let rest = (!folded.is_empty() || filter.is_some())
            .then(|| Arc::new(Rest { folded: PathIndex::new(hash, folded), filter }));
        Self { literal: PathIndex::new(hash, literal), rest }
    }

    /// The smallest rank whose rule takes the request; `accepts` asks a rule for what its rank leaves open.
    #[inline]
    pub(crate) fn best(
        &self,
        hash: &FixedState,
        request: &Request<'_>,
        mut accepts: impl FnMut(Rank) -> bool,
    ) -> Option<u32> {
        let mut best = self.literal.best(hash, request, NO_RANK, &mut accepts);
        if let Some(rest) = &self.rest {
            best = rest.best(hash, request, best, &mut accepts);
        }
        (best != NO_RANK).then_some(best)
    }
}

/// Parts expressions into those that few others share a beginning with, which are added to the `folded` ones, and those that
/// a filter is made for.
fn file_expressions<'p>(
    expressions: Vec<(Filed<'p>, &'p [Alternatives])>,
    folded: &mut Vec<Filed<'p>>,
) -> Option<RegexFilter> {
    let mut sharers: BTreeMap<&[u8], usize> = BTreeMap::new();
    for (filed, _) in &expressions {
        *sharers.entry(filed.text).or_default() += 1;
    }
    let (crowded, lone): (Vec<_>, Vec<_>) =
        expressions.into_iter().partition(|(filed, required)| !required.is_empty() && sharers[filed.text] > FEW);
    folded.extend(lone.iter().map(|(filed, _)| *filed));
    if crowded.is_empty() {
        return None;
    }
    let filter = RegexFilter::new(&crowded.iter().map(|(filed, required)| (filed.rank, *required)).collect::<Vec<_>>());
    if filter.is_none() {
        folded.extend(crowded.iter().map(|(filed, _)| *filed));
    }
    filter
}

impl Rest {
    fn best(
        &self,
        hash: &FixedState,
        request: &Request<'_>,
        mut best: u32,
        accepts: &mut impl FnMut(Rank) -> bool,
    ) -> u32 {
        if self.folded.least() < best {
            best = self.folded.best(hash, request, best, accepts);
        }
        match &self.filter {
            Some(filter) if filter.least() < best => filter.best(request.path, best, accepts),
            _ => best,
        }
    }
}
