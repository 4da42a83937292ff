//! Which rule of one host is this request's? The lowest rank that three indices can offer.

use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::condition::Condition;
use crate::expression_index::ExpressionIndex;
use crate::filed::{Extent, Filed, NO_RANK, Rank};
use crate::path_index::PathIndex;
use crate::path_pattern::{Filing, PathPattern};
use crate::request::Request;

/// The ranks of a host's rules: those of literal paths by their text, those that fold case by theirs in lower case, and those
/// of expressions that ask for more than a literal beginning.
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
    expressions: Option<ExpressionIndex>,
}

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
                Some(regex) if ask => expressions.push((filed, regex)),
                _ if fold_case => folded.push(filed),
                _ => literal.push(filed),
            }
        }
        let expressions = ExpressionIndex::new(hash, expressions);
        let rest = (!folded.is_empty() || expressions.is_some())
            .then(|| Arc::new(Rest { folded: PathIndex::new(hash, folded), expressions }));
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
        match &self.expressions {
            Some(expressions) if expressions.least() < best => expressions.best(hash, request, best, accepts),
            _ => best,
        }
    }
}
