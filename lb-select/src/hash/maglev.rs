//! Google's table: a key belongs to the owner of its slot.

use super::function::{Modulo, scale, xxh64};
use super::shares::Shares;
use super::slots::{MAX_TABLE_SIZE, PrimeSize, Slots, Stride};
use super::{HashTable, policy_by_hash};
use crate::candidates::{Candidates, Eligible};
use crate::{Locality, ToCandidates};
use alloc::collections::BinaryHeap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

/// Envoy's `MAGLEV` (paper: Eisenbud et al., NSDI 2016), slot for slot.
///
/// Endpoints take turns, by weight, to take the next free slot of their own order of preference. Each gets its share to
/// within a slot or two; when one leaves, few keys of others move (about 1 % of a table with a hundred slots an endpoint).
/// The order of endpoints does not matter. Built in O(M log M) for M slots, O(M log n) more if weights differ; 2 bytes a
/// slot up to 65,535 endpoints, else 4. A look-up is one division and one load.
///
/// ```
/// use lb_select::{Pool, hash::{Maglev, xxh64}};
/// use std::net::SocketAddr;
///
/// let pool: Pool<SocketAddr> = Pool::of(["10.0.0.1:80".parse()?, "10.0.0.2:80".parse()?])?;
/// let table = Maglev::new(&pool, Maglev::TABLE_SIZE)?;
/// assert!(table.lookup(xxh64(b"session 17", 0)).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Maglev {
    slots: Slots,
    modulo: Modulo,
    eligible: Eligible,
}

policy_by_hash!(Maglev, ScaledMaglev);

impl HashTable for Maglev {
    #[inline]
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        Maglev::attempt(self, hash, attempt)
    }
}

impl Maglev {
    /// The usual number of slots: 65,537. A hundred times the number of endpoints keeps shares within 1 %.
    pub const TABLE_SIZE: u32 = 65_537;

    /// The table of a pool. Endpoints of weight 0 get no slot.
    ///
    /// # Errors
    /// Fails if the size is not a prime number, or above [`MAX_TABLE_SIZE`].
    pub fn new(candidates: &impl ToCandidates, table_size: u32) -> Result<Self, TableSizeError> {
        let (candidates, size) = (candidates.to_candidates(), PrimeSize::new(table_size)?);
        let shares = Shares::of(&candidates);
        Ok(Self::build(candidates, shares, size))
    }

    /// The table of a pool, in which localities share the slots by the weights that `weight` says, and the endpoints of a
    /// locality its part. A locality of weight 0 gets nothing.
    ///
    /// # Errors
    /// As [`Maglev::new`].
    pub fn with_locality_weights(
        candidates: &impl ToCandidates,
        weight: impl FnMut(&Locality) -> u32,
        table_size: u32,
    ) -> Result<Self, TableSizeError> {
        let (candidates, size) = (candidates.to_candidates(), PrimeSize::new(table_size)?);
        let shares = Shares::by_locality(&candidates, weight);
        Ok(Self::build(candidates, shares, size))
    }

    fn build(candidates: Candidates, shares: Shares, size: PrimeSize) -> Self {
        let eligible = Eligible::of(candidates);
        let (members, m) = (Arc::clone(eligible.admission.members()), size.get());
        let (n, max) = (shares.len(), shares.max);
        // In the order of keys, so that the order of endpoints does not matter.
        let order = shares.among(members.by_key());
        let mut strides = Vec::with_capacity(n);
        strides.extend(order.clone().map(|owner| {
            let key = members.key(owner as usize).map_or(&[][..], |key| key.as_bytes());
            Stride::new(owner, xxh64(key, 0), xxh64(key, 1), m)
        }));
        let weights = || order.map(|owner| shares.part(owner as usize)).collect();
        let owners = members.by_key().len();
        let slots = if shares.min == max {
            Slots::fill(&mut strides, owners, m, (0..n).cycle())
        } else if max * (n as f64) < DENSE {
            Slots::fill(&mut strides, owners, m, Rounds::new(weights(), max))
        } else {
            Slots::fill(&mut strides, owners, m, Queue::new(weights(), max))
        };
        Self { modulo: Modulo::new(slots.len() as u32), slots, eligible }
    }

    /// The same table entered by multiplying instead of dividing.
    pub fn scaled(self) -> ScaledMaglev {
        let Self { slots, eligible, .. } = self;
        ScaledMaglev { slots, eligible }
    }

    /// The index of the endpoint for this hash: that of the slot `hash mod M`, as in Envoy. `None` if no endpoint has a
    /// weight. O(1), no allocation.
    #[inline]
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        self.slots.get(self.modulo.of(hash))
    }

    /// The endpoint for a further attempt, after the choice of attempt 0 was refused: the look-up of
    /// `hash xor (2⁶⁴ − attempt)`, as in Envoy. It may be the same endpoint again.
    #[inline]
    pub fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        self.lookup(if attempt == 0 { hash } else { hash ^ u64::from(attempt).wrapping_neg() })
    }

    /// The number of slots; 0 if no endpoint has a weight.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no slots, because no endpoint has a weight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the endpoint of each slot.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = usize> {
        self.slots.iter()
    }
}

/// A [`Maglev`] table that is entered by [`scale`] instead of `mod`: as even and as steady, and faster, but a key is not
/// where Envoy would put it. Needs a hash that is good in its top bits. Made by [`Maglev::scaled`].
#[derive(Debug, Clone)]
pub struct ScaledMaglev {
    slots: Slots,
    eligible: Eligible,
}

impl ScaledMaglev {
    /// The index of the endpoint for this hash. `None` if no endpoint has a weight. O(1), no allocation, no division.
    #[inline]
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        self.slots.get(scale(hash, self.slots.len()))
    }
}

/// Attempts go on by the golden section of all hashes, so that each lands far from those before.
impl HashTable for ScaledMaglev {
    #[inline]
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        self.lookup(hash.wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// Whose turn is it, if weights differ? In round `r` an entry of weight `w` takes a turn if `r · w ≥ target`, where its
/// target grows by the greatest weight each time (Envoy's way to deal with weights, float for float). Everyone is asked in
/// every round.
struct Rounds {
    /// Weight and target.
    entries: Vec<(f64, f64)>,
    max: f64,
    round: f64,
    next: usize,
}

/// The greatest weight as a multiple of the mean from which on so few take a turn in a round that a queue is better.
const DENSE: f64 = 8.0;

impl Rounds {
    fn new(weights: Vec<f64>, max: f64) -> Self {
        Self { entries: weights.into_iter().map(|weight| (weight, 0.0)).collect(), max, round: 1.0, next: 0 }
    }
}

impl Iterator for Rounds {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        loop {
            if self.next == self.entries.len() {
                (self.next, self.round) = (0, self.round + 1.0);
            }
            let entry = self.next;
            self.next += 1;
            let (weight, target) = &mut self.entries[entry];
            if self.round * *weight >= *target {
                *target += self.max;
                return Some(entry);
            }
        }
    }
}

/// The same turns from a queue of the round in which each entry is next: O(log n) a turn however weights differ.
struct Queue {
    queue: BinaryHeap<Reverse<(u64, u32)>>,
    /// Weight and target.
    entries: Vec<(f64, f64)>,
    max: f64,
}

impl Queue {
    fn new(weights: Vec<f64>, max: f64) -> Self {
        let queue = (0..weights.len() as u32).map(|entry| Reverse((1, entry))).collect();
        Self { queue, entries: weights.into_iter().map(|weight| (weight, 0.0)).collect(), max }
    }
}

impl Iterator for Queue {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let mut next = self.queue.peek_mut()?;
        let Reverse((round, entry)) = *next;
        let (weight, target) = &mut self.entries[entry as usize];
        *target += self.max;
        *next = Reverse((round_of(*weight, *target, round + 1), entry));
        Some(entry as usize)
    }
}

/// The first round from `from` on in which `round · weight ≥ target`, by the rounded product and not the exact one.
fn round_of(weight: f64, target: f64, from: u64) -> u64 {
    let mut round = from.max((target / weight) as u64);
    while round > from && (round - 1) as f64 * weight >= target {
        round -= 1;
    }
    while (round as f64) * weight < target && round < u64::MAX {
        round += 1;
    }
    round
}

/// A table cannot have this many slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSizeError {
    pub(crate) size: u32,
}

impl TableSizeError {
    /// The number of slots asked for.
    pub fn size(&self) -> u32 {
        self.size
    }
}

impl fmt::Display for TableSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size } = self;
        if *size > MAX_TABLE_SIZE {
            write!(f, "a table size of {size} is above the limit of {MAX_TABLE_SIZE}")
        } else {
            write!(f, "the table size {size} is not a prime number")
        }
    }
}

impl core::error::Error for TableSizeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;
    use proptest::prelude::*;

    #[test]
    fn only_primes_up_to_the_limit_are_sizes() {
        let pool = Pool::of(["a"]).unwrap();
        for size in [2, 3, 7, 251, 65_537, 5_000_011] {
            assert_eq!(Maglev::new(&pool, size).unwrap().len(), size as usize);
        }
        for size in [0, 1, 4, 9, 65_536, 5_000_010, 5_000_023, u32::MAX] {
            assert_eq!(Maglev::new(&pool, size).unwrap_err(), TableSizeError { size });
        }
    }

    proptest! {
        #[test]
        fn the_queue_has_the_turns_that_asking_everyone_in_every_round_gives(
            weights in proptest::collection::vec(prop_oneof![1..20_u32, any::<u32>().prop_map(|w| w.max(1))], 1..8),
        ) {
            let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            let parts: Vec<f64> = weights.iter().map(|&weight| f64::from(weight) / sum).collect();
            let max = parts.iter().fold(0.0, |max: f64, &part| max.max(part));
            let queue: Vec<usize> = Queue::new(parts.clone(), max).take(400).collect();
            prop_assert_eq!(queue, Rounds::new(parts, max).take(400).collect::<Vec<_>>());
        }
    }
}
