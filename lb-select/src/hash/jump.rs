//! Jump hash: a bucket for a key without a table.

use super::{HashTable, policy_by_hash};
use crate::ToCandidates;
use crate::candidates::Eligible;
use alloc::boxed::Box;

/// The bucket of a key among `buckets` (Lamping and Veach, 2014). `None` if there are none.
///
/// With one bucket more, 1 in `buckets + 1` keys moves, all to the new one. Only the last bucket can go without moving
/// keys of others. Expected O(log buckets).
///
/// ```
/// assert_eq!(lb_select::hash::jump(1, 100), Some(55));
/// ```
pub fn jump(mut key: u64, buckets: u64) -> Option<u64> {
    let (mut bucket, mut next) = (None, 0.0);
    while next < buckets as f64 {
        // Below `buckets`, so that the cast keeps it.
        let current = next as u64;
        bucket = Some(current);
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = (current + 1) as f64 * ((1_u64 << 31) as f64 / ((key >> 33) + 1) as f64);
    }
    bucket
}

/// [`jump`] over the endpoints of a pool in order, each with as many buckets as its weight.
///
/// Meant for endpoints that are numbered and only grow or shrink at the end (shards): there no key moves needlessly.
/// For endpoints that come and go by name take [`Rendezvous`](super::Rendezvous) or [`Maglev`](super::Maglev). O(log of the sum
/// of weights), and 8 bytes an endpoint.
#[derive(Debug, Clone)]
pub struct Jump {
    /// The first bucket after those of each eligible endpoint.
    ends: Box<[u64]>,
    eligible: Eligible,
}

policy_by_hash!(Jump);

impl Jump {
    /// The buckets of a pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        let mut end = 0;
        let ends = candidates.eligible().map(|c| {
            end += u64::from(c.weight);
            end
        });
        Self { ends: ends.collect(), eligible: Eligible::of(candidates) }
    }

    /// The index of the endpoint for this hash. `None` if no endpoint has a weight.
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        let bucket = jump(hash, *self.ends.last()?)?;
        Some(self.eligible.at(self.ends.partition_point(|&end| end <= bucket)))
    }
}

/// A further attempt jumps with the hash multiplied by an odd number, once for each attempt.
impl HashTable for Jump {
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        self.lookup(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.wrapping_pow(attempt)))
    }
}
