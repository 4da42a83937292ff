//! Who is next?

use crate::eligible::Eligible;
use crate::{Choice, Pick, Policy, Pool, Reason, Unavailable};
use core::sync::atomic::{AtomicU64, Ordering};

/// Each endpoint in turn, in the order of the pool, weights ignored except 0.
///
/// Lock-free: threads share one counter, and over all of them every endpoint has its turn once in every cycle. An
/// endpoint the caller refuses has had its turn; the next pick starts after it. Takes no random word. O(1).
#[derive(Debug)]
pub struct RoundRobin {
    eligible: Eligible,
    turn: AtomicU64,
}

impl RoundRobin {
    /// Starts with the first endpoint.
    pub fn new<E>(pool: &Pool<E>) -> Self {
        Self::starting_at(pool, 0)
    }

    /// Starts with the eligible endpoint number `turn mod n`, counted from 0. With a random word here, many proxies that
    /// start together do not all begin with the same endpoint.
    pub fn starting_at<E>(pool: &Pool<E>, turn: u64) -> Self {
        let eligible = Eligible::new(pool);
        // Reduced here, so that the counter does not wrap within a cycle before 2^64 − n picks.
        let turn = turn.checked_rem(eligible.len()).unwrap_or(0);
        Self { eligible, turn: AtomicU64::new(turn) }
    }

    /// The index of the next endpoint: what [`Policy::pick`] does, for callers with no other policy.
    ///
    /// # Errors
    /// Fails if the pool has no endpoint with a weight above 0.
    #[inline]
    pub fn next_index(&self) -> Result<usize, Unavailable> {
        // Relaxed: nothing is published by the counter, only the turns themselves are counted.
        self.eligible.nth(self.turn.fetch_add(1, Ordering::Relaxed))
    }
}

impl Policy for RoundRobin {
    #[inline]
    fn pick(&self, _: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        Ok(Choice::new(self.next_index()?, Reason::RoundRobin))
    }
}
