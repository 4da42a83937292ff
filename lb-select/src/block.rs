//! Whose turn comes next, if turns are taken in blocks? Each endpoint as often in a row as its weight says.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::{Choice, Pick, Reason, Sequence, Unavailable};
use alloc::boxed::Box;

/// Weighted round robin in blocks: weights {8, 1, 1} give eight times the first in a row. This is pingora's order, here for
/// those who need it; [`SmoothWeighted`](crate::SmoothWeighted) and [`WeightedEdf`](crate::WeightedEdf) spread turns.
///
/// The list is not written out, so memory does not grow with weights. Takes no random word. O(1); where endpoints are
/// closed or excluded, one step for each that is passed over with its whole block.
#[derive(Debug, Clone)]
pub struct BlockWeighted {
    admission: Admission,
    members: Box<[Candidate]>,
    rank: usize,
    /// Turns the member at `rank` has had in this block; at most its weight.
    had: u32,
}

impl BlockWeighted {
    /// Starts with the first endpoint. A new version of the pool starts anew, as in pingora.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        Self { admission: candidates.admission().clone(), members: candidates.eligible().collect(), rank: 0, had: 0 }
    }
}

impl Sequence for BlockWeighted {
    #[inline]
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let admits_all = self.admission.admits_all(pick);
        // One more than there are members: the first may only have the rest of its block.
        for _ in 0..=self.members.len() {
            let Some(&Candidate { index, weight }) = self.members.get(self.rank) else { break };
            let index = index as usize;
            if self.had < weight && (admits_all || self.admission.admits(pick, index)) {
                self.had += 1;
                return Ok(Choice::new(index, Reason::WeightedRoundRobin));
            }
            self.had = 0;
            self.rank = if self.rank + 1 < self.members.len() { self.rank + 1 } else { 0 };
        }
        Err(self.admission.refusal(pick, self.members.iter().map(|member| member.index as usize)))
    }
}
