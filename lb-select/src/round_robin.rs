//! Who is next?

use crate::candidates::{Eligible, ToCandidates};
use crate::{Choice, Pick, Policy, Reason, Sequence, Unavailable};
use core::sync::atomic::{AtomicU64, Ordering};

/// Each endpoint in turn, in the order of the pool, weights ignored except 0.
///
/// Lock-free: threads share one counter, and over all of them every endpoint has its turn once in every cycle. An
/// endpoint the caller refuses has had its turn; the next pick starts after it. Takes no random word. O(1); where
/// endpoints are closed or excluded, one step for each that is passed over.
///
/// One counter is one cache line that all threads write. A worker that keeps a [`Rotation`] to itself does not pay for that.
#[derive(Debug)]
pub struct RoundRobin {
    eligible: Eligible,
    turn: AtomicU64,
}

impl RoundRobin {
    /// Starts with the first endpoint.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self::starting_at(candidates, 0)
    }

    /// Starts with the eligible endpoint number `turn mod n`, counted from 0. With a random word here, many proxies that
    /// start together do not all begin with the same endpoint.
    pub fn starting_at(candidates: &impl ToCandidates, turn: u64) -> Self {
        let eligible = Eligible::new(candidates);
        // Reduced here, so that the counter does not wrap within a cycle before 2^64 − n picks.
        let turn = turn.checked_rem(eligible.len() as u64).unwrap_or(0);
        Self { eligible, turn: AtomicU64::new(turn) }
    }

    /// The same rotation over the next version of the pool: it goes on after the endpoint chosen last or, if that has left,
    /// after the nearest before it that has not.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        let eligible = Eligible::new(candidates);
        let turn = self.turn.load(Ordering::Relaxed);
        let turn = self.eligible.follow(&eligible, turn);
        Self { eligible, turn: AtomicU64::new(turn) }
    }

    /// The index of the next endpoint, closed or not: the bare rotation, for callers with no other policy.
    ///
    /// # Errors
    /// Fails if there is no endpoint with a weight above 0.
    #[inline]
    pub fn next_index(&self) -> Result<usize, Unavailable> {
        // Relaxed: nothing is published by the counter, only the turns themselves are counted.
        self.eligible.number(self.turn.fetch_add(1, Ordering::Relaxed))
    }
}

impl Policy for RoundRobin {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let mut index = self.next_index()?;
        if !self.eligible.admission.admits_all(pick) {
            let mut passed_over = 0;
            while !self.eligible.admission.admits(pick, index) {
                passed_over += 1;
                if passed_over == self.eligible.len() {
                    return Err(self.eligible.refusal(pick));
                }
                index = self.next_index()?;
            }
        }
        Ok(Choice::new(index, Reason::RoundRobin))
    }
}

/// Each endpoint in turn, as [`RoundRobin`], for one worker: nothing is shared, so it is as fast on many threads as on one.
///
/// Workers that all start with the first endpoint send their first requests to it; start worker `i` of `k` at
/// `i · n / k`, or at a random word.
///
/// ```
/// use lb_select::{Pick, Policy, Pool, Rotation};
/// use std::{cell::RefCell, time::Duration};
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).build()?;
/// let workers = [0, 1].map(|worker| RefCell::new(Rotation::starting_at(&pool, worker)));
/// let mut words = || 0;
/// let mut pick = Pick::new(Duration::ZERO, &mut words);
/// assert_eq!(workers[0].pick(&mut pick)?.index, 0);
/// assert_eq!(workers[1].pick(&mut pick)?.index, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rotation {
    eligible: Eligible,
    /// The number of the endpoint whose turn it is; that of all endpoints at the end of a cycle.
    next: usize,
}

impl Rotation {
    /// Starts with the first endpoint.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self::starting_at(candidates, 0)
    }

    /// Starts with the eligible endpoint number `turn mod n`, counted from 0.
    pub fn starting_at(candidates: &impl ToCandidates, turn: u64) -> Self {
        let eligible = Eligible::new(candidates);
        let next = turn.checked_rem(eligible.len() as u64).unwrap_or(0) as usize;
        Self { eligible, next }
    }

    /// The same rotation over the next version of the pool, as [`RoundRobin::over`].
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        let eligible = Eligible::new(candidates);
        let next = self.eligible.follow(&eligible, self.next as u64) as usize;
        Self { eligible, next }
    }
}

impl Sequence for Rotation {
    #[inline]
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let Self { eligible, next } = self;
        let admits_all = eligible.admission.admits_all(pick);
        for _ in 0..eligible.len() {
            if *next >= eligible.len() {
                *next = 0;
            }
            let index = eligible.at(*next);
            *next += 1;
            if admits_all || eligible.admission.admits(pick, index) {
                return Ok(Choice::new(index, Reason::RoundRobin));
            }
        }
        Err(eligible.refusal(pick))
    }
}
