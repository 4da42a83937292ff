//! Whose turn comes next, if everyone has turns in proportion to its weight? The earliest deadline first.

#[cfg(feature = "std")]
use crate::SlowStart;
use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::share::{Deadline, Share, gcd};
use crate::{Choice, Pick, Reason, Sequence, Unavailable};
use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Ordering;
#[cfg(feature = "std")]
use core::time::Duration;

/// Weighted round robin by earliest deadline, as Envoy does it: a turn is due every `1/weight`, the first one after
/// `1/weight`, and of those due at the same time the one that has waited longest comes first.
///
/// Deadlines are exact fractions, so that ties are ties; in floating point, which Envoy uses, ten tenths are not one. Weights
/// {1, 2} give 1 0 1 1 0 1, equal weights exactly a round robin. Each period has exactly `weight / gcd` turns of each. Takes
/// no random word. O(log n); where many endpoints are closed or excluded, O(n).
///
/// ```
/// use lb_select::{Pick, Pool, Sequence, WeightedEdf};
/// use std::time::Duration;
///
/// let pool = Pool::builder().weighted("a", 1, ()).weighted("b", 2, ()).build()?;
/// let mut sequence = WeightedEdf::new(&pool);
/// let mut words = || 0;
/// let mut pick = Pick::new(Duration::ZERO, &mut words);
/// let picks: Result<Vec<_>, _> = (0..6).map(|_| sequence.next(&mut pick).map(|choice| choice.index)).collect();
/// assert_eq!(picks?, [1, 0, 1, 1, 0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct WeightedEdf {
    admission: Admission,
    members: Box<[Candidate]>,
    queue: EdfQueue,
    #[cfg(feature = "std")]
    slow_start: Option<SlowStart>,
}

impl WeightedEdf {
    /// Starts at the beginning of the period.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self::skipping(candidates, 0)
    }

    /// Starts after `picks` picks. With a random word here, many proxies that start together do not all begin with the same
    /// endpoint. O(n log n) whatever the number.
    pub fn skipping(candidates: &impl ToCandidates, picks: u64) -> Self {
        let candidates = candidates.to_candidates();
        let members: Box<[_]> = candidates.eligible().collect();
        let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
        let queue = EdfQueue::skipping(&weights, picks);
        Self {
            admission: candidates.admission().clone(),
            members,
            queue,
            #[cfg(feature = "std")]
            slow_start: None,
        }
    }

    /// The same sequence with less for endpoints that [came up](crate::Load::came_up) a short while ago. Starts at the beginning
    /// of the period, at the time `now`.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn with_slow_start(self, slow_start: SlowStart, now: Duration) -> Self {
        let Self { admission, members, .. } = self;
        let share = |member: &Candidate| ramped(&admission, *member, &slow_start, now);
        let queue = EdfQueue::new(members.iter().map(share));
        Self { queue, admission, members, slow_start: Some(slow_start) }
    }

    /// The same sequence over the next version of the pool. Endpoints that stay keep their deadline, and count from it with their
    /// new weight; those that join are due one turn from now.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        let members: Box<[_]> = candidates.eligible().collect();
        let (old, new) = (self.admission.members(), candidates.admission().members());
        let rank_before = |index: u32| {
            let before = old.position(new.key(index as usize)?)?;
            self.members.binary_search_by_key(&before, |member| member.index as usize).ok()
        };
        let mut queue = EdfQueue { now: self.queue.now, ..EdfQueue::default() };
        let mut before: Vec<Option<Entry>> = self.members.iter().map(|_| None).collect();
        for &entry in &self.queue.heap {
            before[entry.lane as usize] = Some(entry);
        }
        queue.inserted = self.queue.inserted;
        for (lane, member) in members.iter().enumerate() {
            match rank_before(member.index).and_then(|rank| before[rank]) {
                Some(entry) => queue.heap.push(Entry { lane: lane as u32, ..entry }),
                None => queue.join(lane as u32, Share::from(member.weight)),
            }
        }
        Self {
            admission: candidates.admission().clone(),
            members,
            queue,
            #[cfg(feature = "std")]
            slow_start: self.slow_start,
        }
    }
}

/// The part of its weight that a member has now, if it is still ramping up.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn ramp(admission: &Admission, member: Candidate, slow_start: &SlowStart, now: Duration) -> Option<f64> {
    let up_for = admission.load(member.index as usize).up_for(now)?;
    (up_for < slow_start.window).then(|| slow_start.factor(up_for))
}

/// The share of a member that may be ramping up.
#[cfg(feature = "std")]
#[inline]
fn ramped(admission: &Admission, member: Candidate, slow_start: &SlowStart, now: Duration) -> Option<Share> {
    match ramp(admission, member, slow_start, now) {
        Some(factor) => Share::nearest(f64::from(member.weight) * factor),
        None => Share::from(member.weight),
    }
}

impl Sequence for WeightedEdf {
    #[inline]
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        #[cfg(feature = "std")]
        if let Self { admission, members, queue, slow_start: Some(slow_start) } = self {
            let now = pick.now();
            let share = |member| ramped(admission, member, slow_start, now);
            let index = next_admitted(admission, members, queue, pick, share)?;
            return Ok(Choice::new(index, Reason::WeightedRoundRobin));
        }
        let Self { admission, members, queue, .. } = self;
        let index = next_admitted(admission, members, queue, pick, |member| Share::from(member.weight))?;
        Ok(Choice::new(index, Reason::WeightedRoundRobin))
    }
}

/// The next turn of an admitted member, whose share from then on is what `share` says.
#[inline]
pub(crate) fn next_admitted(
    admission: &Admission,
    members: &[Candidate],
    queue: &mut EdfQueue,
    pick: &Pick<'_>,
    mut share: impl FnMut(Candidate) -> Option<Share>,
) -> Result<usize, Unavailable> {
    let index = |lane: usize| members[lane].index as usize;
    let mut share = |lane: usize| share(members[lane]);
    let lane = if admission.admits_all(pick) {
        queue.next(&mut share)
    } else {
        queue.next_where(|lane| admission.admits(pick, index(lane)), &mut share)
    };
    lane.map(index).ok_or_else(|| admission.refusal(pick, (0..members.len()).map(index)))
}

/// Turns for numbered lanes by earliest deadline, first in first out among equal ones: the queue inside [`WeightedEdf`], for
/// callers whose lanes are not endpoints (localities) or whose shares are fractions that change.
///
/// ```
/// use lb_select::{EdfQueue, Share};
///
/// let shares = [Share::new(1, 1), Share::new(1, 2)];
/// let mut queue = EdfQueue::new(shares);
/// let turns: Vec<_> = (0..6).filter_map(|_| queue.next(|lane| shares[lane])).collect();
/// assert_eq!(turns, [0, 1, 0, 0, 1, 0]);
/// ```
#[derive(Debug, Clone)]
pub struct EdfQueue {
    heap: BinaryHeap<Entry>,
    now: Deadline,
    /// Entries inserted so far, which number the next one.
    inserted: u64,
}

/// A lane waiting for its turn.
#[derive(Debug, Clone, Copy)]
struct Entry {
    deadline: Deadline,
    number: u64,
    lane: u32,
}

impl EdfQueue {
    /// A queue of lanes 0, 1, ... with these shares, each due after its first turn. Lanes without a share wait for nothing.
    pub fn new(shares: impl IntoIterator<Item = Option<Share>>) -> Self {
        let mut queue = Self::default();
        for (lane, share) in (0..).zip(shares) {
            queue.join(lane, share);
        }
        queue
    }

    /// The lane whose turn it is, which is put back with the share it has now; without one, it leaves the queue.
    #[inline]
    pub fn next(&mut self, mut share: impl FnMut(usize) -> Option<Share>) -> Option<usize> {
        let number = self.number();
        let mut first = self.heap.peek_mut()?;
        let lane = first.lane as usize;
        self.now = first.deadline;
        match share(lane) {
            Some(share) => {
                first.deadline = first.deadline.next_turn(share);
                first.number = number;
            }
            None => _ = alloc::collections::binary_heap::PeekMut::pop(first),
        }
        Some(lane)
    }

    /// The lane with the earliest deadline of those that `admits` accepts. Others that are due lose their turn.
    pub fn next_where(
        &mut self,
        mut admits: impl FnMut(usize) -> bool,
        mut share: impl FnMut(usize) -> Option<Share>,
    ) -> Option<usize> {
        // Usually few are not admitted. But if those have the weight, they could have any number of turns in a row.
        for _ in 0..8 {
            let lane = self.next(&mut share)?;
            if admits(lane) {
                return Some(lane);
            }
        }
        let entries = self.heap.iter().filter(|entry| admits(entry.lane as usize));
        let Entry { deadline, lane: chosen, .. } = *entries.max()?;
        let mut entries = core::mem::take(&mut self.heap).into_vec();
        self.now = deadline;
        entries.retain_mut(|entry| {
            if entry.deadline > deadline || (entry.lane != chosen && admits(entry.lane as usize)) {
                return true;
            }
            let Some(share) = share(entry.lane as usize) else { return false };
            entry.deadline = deadline.next_turn(share);
            self.inserted += 1;
            entry.number = self.inserted;
            true
        });
        self.heap = entries.into();
        Some(chosen as usize)
    }

    /// Puts a lane that is not in the queue into it, due one turn from now.
    fn join(&mut self, lane: u32, share: Option<Share>) {
        let Some(share) = share else { return };
        let number = self.number();
        self.heap.push(Entry { deadline: self.now.next_turn(share), number, lane });
    }

    #[inline]
    fn number(&mut self) -> u64 {
        self.inserted += 1;
        if self.now.whole() > 1 << 62 {
            self.rebase();
        }
        self.inserted
    }

    /// Counts time from now, before it runs out.
    #[cold]
    fn rebase(&mut self) {
        let start = self.now.whole();
        self.now = self.now.since(start);
        let entries = core::mem::take(&mut self.heap).into_vec();
        let entries = entries.into_iter().map(|entry| Entry { deadline: entry.deadline.since(start), ..entry });
        self.heap = entries.collect();
    }

    /// The queue of integer weights above 0 after so many turns.
    ///
    /// Turns of static weights fall where arithmetic says: by time `t` lane `i` had `floor(t·w)` of them. So all but about
    /// `n` turns are jumped over at once. Of lanes with one deadline the one of least weight waits longest, because it was
    /// put back earliest; of equal weights, the first.
    fn skipping(weights: &[u32], turns: u64) -> Self {
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let common = weights.iter().fold(0, |common, &weight| gcd(common, weight.into()));
        let Some(turns) = turns.checked_rem(sum.checked_div(common).unwrap_or(0)) else { return Self::default() };
        // At time turns/sum there were at most `turns` turns, and at least that less one for each lane.
        let had = |weight: u32| (u128::from(turns) * u128::from(weight) / u128::from(sum)) as u64;
        let mut last: Vec<(Deadline, u32, u32)> =
            (0..).zip(weights).map(|(lane, &weight)| (Deadline::after(had(weight), weight), weight, lane)).collect();
        // Those that had no turn yet were put in first, in order.
        last.sort_unstable_by_key(|&(at, weight, lane)| (at, if at == Deadline::START { 0 } else { weight }, lane));
        let mut queue = Self { now: last.last().map_or(Deadline::START, |last| last.0), ..Self::default() };
        for &(_, weight, lane) in &last {
            let number = queue.number();
            queue.heap.push(Entry { deadline: Deadline::after(had(weight) + 1, weight), number, lane });
        }
        for _ in weights.iter().map(|&weight| had(weight)).sum()..turns {
            queue.next(|lane| Share::from(weights[lane]));
        }
        queue
    }
}

impl Default for EdfQueue {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), now: Deadline::START, inserted: 0 }
    }
}

/// The entry whose turn comes first is the greatest, because that is what a [`BinaryHeap`] gives.
impl Ord for Entry {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        other.deadline.cmp(&self.deadline).then_with(|| other.number.cmp(&self.number))
    }
}

impl PartialOrd for Entry {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_is_picking_and_throwing_away() {
        for weights in [&[1, 2][..], &[5, 1, 1], &[1, 1, 1, 1], &[2, 4, 6, 12], &[7], &[12, 1, 7, 7, 3, 9, 12, 1]] {
            let mut queue = EdfQueue::new(weights.iter().map(|&weight| Share::from(weight)));
            for skipped in 0..200 {
                let mut skipping = EdfQueue::skipping(weights, skipped);
                let mut walking = queue.clone();
                for pick in 0..60 {
                    let share = |lane: usize| Share::from(weights[lane]);
                    assert_eq!(skipping.next(share), walking.next(share), "{weights:?} {skipped} {pick}");
                }
                queue.next(|lane| Share::from(weights[lane]));
            }
        }
    }

    #[test]
    fn an_enormous_number_of_picks_is_skipped_at_once() {
        let weights = [u32::MAX, 1, u32::MAX - 1];
        let mut queue = EdfQueue::skipping(&weights, u64::MAX);
        assert!(queue.next(|lane| Share::from(weights[lane])).is_some());
    }
}
