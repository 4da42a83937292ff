//! Whose turn comes next, if the heaviest have theirs first? IPVS's weighted round robin.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::share::gcd;
use crate::{Choice, Pick, Reason, Sequence, Unavailable};
use alloc::boxed::Box;

/// Weighted round robin as Linux IPVS does it (`wrr`): round after round, those take part whose weight reaches the current
/// threshold, which falls by the common divisor of the weights each round and then starts again at the top.
///
/// Weights {4, 3, 2} give a a b a b c a b c. Each period has exactly `weight / gcd` turns of each, less evenly spread than
/// [`SmoothWeighted`](crate::SmoothWeighted). Takes no random word. O(n) at worst, O(1) on average over a period of weights
/// that are near each other.
#[derive(Debug, Clone)]
pub struct IpvsWrr {
    admission: Admission,
    members: Box<[Candidate]>,
    /// The common divisor of the weights, by which the threshold falls; 0 without members.
    step: u64,
    /// Where the threshold starts: the greatest weight, less what it falls short of in the last round.
    top: u64,
    threshold: u64,
    /// The rank after the last one chosen.
    next: usize,
}

impl IpvsWrr {
    /// Starts at the beginning of the period.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        let members: Box<[Candidate]> = candidates.eligible().collect();
        let step = members.iter().fold(0, |step, member| gcd(step, member.weight.into()));
        let top = members.iter().map(|member| u64::from(member.weight) + 1 - step).max().unwrap_or(0);
        Self { admission: candidates.admission().clone(), members, step, top, threshold: top, next: 0 }
    }

    /// The same sequence over the next version of the pool: from its first endpoint, with the threshold kept if the new weights
    /// allow it. This is what IPVS does.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        let mut new = Self::new(candidates);
        if self.threshold > 0 && self.threshold <= new.top {
            let kept = self.threshold;
            new.threshold = if new.step > 1 { kept / new.step * new.step + 1 } else { kept };
        }
        new
    }

    /// The greatest weight of an admitted member.
    fn reach(&self, pick: &Pick<'_>) -> Option<u64> {
        let admitted = self.members.iter().filter(|member| self.admission.admits(pick, member.index as usize));
        admitted.map(|member| member.weight.into()).max()
    }
}

impl Sequence for IpvsWrr {
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let admits_all = self.admission.admits_all(pick);
        // The threshold of every round is reached by the heaviest, so two rounds suffice unless that one is not admitted.
        let mut reach = None;
        for round in 0..3 {
            while let Some(member) = self.members.get(self.next) {
                self.next += 1;
                let index = member.index as usize;
                if u64::from(member.weight) >= self.threshold && (admits_all || self.admission.admits(pick, index)) {
                    return Ok(Choice::new(index, Reason::WeightedRoundRobin));
                }
            }
            self.next = 0;
            self.threshold = self.threshold.checked_sub(self.step).filter(|&t| t > 0).unwrap_or(self.top);
            if round > 0 || !admits_all {
                reach = reach.or_else(|| self.reach(pick));
                let Some(reach) = reach else { break };
                // Rounds in which nobody can take part, however many, are gone through at once.
                let barren = self.threshold.saturating_sub(reach).div_ceil(self.step);
                // Thresholds are one above a multiple of the step and `reach` is a multiple, so this stays above 0.
                self.threshold -= barren * self.step;
            }
        }
        Err(self.admission.refusal(pick, self.members.iter().map(|member| member.index as usize)))
    }
}
