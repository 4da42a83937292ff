//! Whom does chance name, if weights load the dice?

use crate::candidates::{Admission, Candidate, ToCandidates, redraws};
use crate::{Choice, Pick, Policy, Reason, Unavailable};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Any endpoint, with a chance in proportion to its weight.
///
/// Takes one random word, `word mod sum`, and goes through the endpoints in order, subtracting weights; or none if there is
/// only one. The walk is cut short by an index, so it is O(1) on average and O(log n) at worst, in 12 to 20 bytes an
/// endpoint. Where the endpoint a word falls on may not be used, up to seven more words are taken, and one more for each 64
/// endpoints; after that one for all that may, which is O(n).
#[derive(Debug, Clone)]
pub struct WeightedRandom {
    pub(crate) draw: WeightedDraw,
}

impl WeightedRandom {
    /// Chooses among the endpoints of the pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self { draw: WeightedDraw::new(candidates) }
    }
}

impl Policy for WeightedRandom {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let index =
            if self.draw.admission.admits_all(pick) { self.draw.any(pick)? } else { self.draw.admitted(pick)? };
        Ok(Choice::new(index, Reason::Random))
    }
}

/// Candidates with a weight, and the sums of weights up to each.
#[derive(Debug, Clone)]
pub(crate) struct WeightedDraw {
    pub(crate) admission: Admission,
    members: Box<[Candidate]>,
    /// Entry `i`: the sum of the weights of members 0 to `i`.
    sums: Box<[u64]>,
    sum: u64,
    /// Entry `i`: the member to which the value `i << shift` falls. One more entry ends the last stretch.
    starts: Box<[u32]>,
    shift: u32,
}

impl WeightedDraw {
    pub(crate) fn new(candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        let members: Box<[Candidate]> = candidates.eligible().collect();
        let sums: Box<[u64]> = members
            .iter()
            .scan(0, |sum, member| {
                *sum += u64::from(member.weight);
                Some(*sum)
            })
            .collect();
        let sum = sums.last().copied().unwrap_or(0);
        // About as many stretches as members, each a power of two wide.
        let shift = (sum / (members.len() as u64).max(1)).checked_ilog2().unwrap_or(0);
        let mut starts = Vec::with_capacity((sum >> shift) as usize + 2);
        let mut rank = 0;
        for stretch in 0..=sum >> shift {
            while rank < members.len() && sums[rank] <= stretch << shift {
                rank += 1;
            }
            starts.push(rank as u32);
        }
        starts.push(members.len() as u32);
        Self { admission: candidates.admission().clone(), members, sums, sum, starts: starts.into(), shift }
    }

    /// The rank of the member to which a value falls; `None` for a value that is not below the sum.
    #[inline]
    fn rank_of(&self, value: u64) -> Option<usize> {
        (value < self.sum).then(|| self.rank(value))
    }

    /// The rank of the member to which a value below the sum falls.
    #[inline]
    fn rank(&self, value: u64) -> usize {
        let stretch = (value >> self.shift) as usize;
        let (start, end) = (self.starts[stretch] as usize, self.starts[stretch + 1] as usize);
        // The last of a stretch may reach into the next one.
        let sums = &self.sums[start..(end + 1).min(self.sums.len())];
        if sums.len() <= 8 {
            start + sums.iter().take_while(|&&sum| sum <= value).count()
        } else {
            start + sums.partition_point(|&sum| sum <= value)
        }
    }

    /// One of all members by one word, or without a word the only one.
    #[inline]
    pub(crate) fn any(&self, pick: &mut Pick<'_>) -> Result<usize, Unavailable> {
        let word = if self.members.len() > 1 { pick.word() } else { 0 };
        let value = word.checked_rem(self.sum).ok_or_else(|| self.refusal(pick))?;
        Ok(self.members[self.rank(value)].index as usize)
    }

    /// One of the admitted members, where not all are.
    pub(crate) fn admitted(&self, pick: &mut Pick<'_>) -> Result<usize, Unavailable> {
        for _ in 0..=redraws(self.members.len()) {
            let index = self.any(pick)?;
            if self.admission.admits(pick, index) {
                return Ok(index);
            }
        }
        let word = pick.word();
        let admitted = || self.members.iter().filter(|member| self.admission.admits(pick, member.index as usize));
        let sum = admitted().map(|member| u64::from(member.weight)).sum();
        let mut value = word.checked_rem(sum).ok_or_else(|| self.refusal(pick))?;
        let chosen = admitted().find(|member| match value.checked_sub(member.weight.into()) {
            Some(rest) => {
                value = rest;
                false
            }
            None => true,
        });
        // Nobody only if another thread has closed an endpoint since the sum was made.
        chosen.or_else(|| admitted().next()).map(|member| member.index as usize).ok_or_else(|| self.refusal(pick))
    }

    /// Two members, each by a word modulo one more than the sum of the admitted weights; the value 0, as 1, falls to the first.
    pub(crate) fn two_inclusive(&self, pick: &mut Pick<'_>) -> Result<(usize, usize), Unavailable> {
        if self.admission.admits_all(pick) {
            let modulus = self.sum.saturating_add(1);
            let (a, b) = (pick.word() % modulus, pick.word() % modulus);
            let at = |value: u64| Some(self.members.get(self.rank_of(value.saturating_sub(1))?)?.index as usize);
            return at(a).zip(at(b)).ok_or_else(|| self.refusal(pick));
        }
        let admits = |index: u32| self.admission.admits(pick, index as usize);
        let sum: u64 = self.members.iter().filter(|m| admits(m.index)).map(|m| u64::from(m.weight)).sum();
        if sum == 0 {
            return Err(self.refusal(pick));
        }
        let modulus = sum.saturating_add(1);
        let (a, b) = (pick.word() % modulus, pick.word() % modulus);
        let mut chosen = (None, None);
        let mut so_far = 0;
        for member in self.members.iter().filter(|member| self.admission.admits(pick, member.index as usize)) {
            so_far += u64::from(member.weight);
            chosen.0 = chosen.0.or((so_far >= a).then_some(member.index as usize));
            chosen.1 = chosen.1.or((so_far >= b).then_some(member.index as usize));
        }
        // Somebody, unless another thread has closed an endpoint since the sum was made.
        chosen.0.zip(chosen.1).ok_or_else(|| self.refusal(pick))
    }

    /// The weight of the member at this index of the pool; 0 for no member.
    #[inline]
    pub(crate) fn weight(&self, index: usize) -> u32 {
        // Members are the whole pool as a rule, and in its order always.
        match self.members.get(index) {
            Some(member) if member.index as usize == index => member.weight,
            _ => self
                .members
                .binary_search_by_key(&index, |m| m.index as usize)
                .map_or(0, |rank| self.members[rank].weight),
        }
    }

    #[cold]
    pub(crate) fn refusal(&self, pick: &Pick<'_>) -> Unavailable {
        self.admission.refusal(pick, self.members.iter().map(|member| member.index as usize))
    }
}
