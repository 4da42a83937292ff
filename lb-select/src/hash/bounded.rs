//! Bounded loads as HAProxy computes them: no endpoint holds more than a factor of its fair share.

use super::Ketama;
use super::function::crc32;
use super::ketama::TooManyPoints;
use crate::candidates::Eligible;
use crate::{Choice, Pick, Policy, Reason, ToCandidates, Unavailable};
use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

/// The requests that all endpoints together may hold once one more is in flight: `factor_percent` of them, rounded up.
pub fn total_slots(in_flight: u64, factor_percent: u32) -> u64 {
    let slots = ((u128::from(in_flight) + 1) * u128::from(factor_percent)).div_ceil(100);
    u64::try_from(slots).unwrap_or(u64::MAX)
}

/// The requests an endpoint may hold of `slots` in all (HAProxy, `chash_server_is_eligible`): its part by weight, where
/// `before` is the sum of the weights in front of it and `sum` that of all. Parts add up to `slots`, and none is below 1.
/// 0 for a weight of 0.
pub fn capacity(weight: u32, before: u64, sum: u64, slots: u64) -> u64 {
    if weight == 0 || sum == 0 {
        return 0;
    }
    let [weight, before, sum, slots] = [weight.into(), before.into(), sum.into(), slots.into()].map(|n: u128| n);
    // The rest that does not divide evenly lies along the line of all weights.
    let (even, rest) = (slots / sum, slots % sum);
    let part = weight * even + (before + weight) * rest / sum - before * rest / sum;
    u64::try_from(part.max(1)).unwrap_or(u64::MAX)
}

/// Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016) on a [`Ketama`] ring, by HAProxy's
/// `hash-balance-factor`: a key whose endpoint is full goes on clockwise to the first that is not.
///
/// As a policy it takes loads from the pool's [`Load`](crate::Load)s and adds them up for every pick whose endpoint is not
/// idle, which is O(n); a caller who counts can ask [`BoundedRing::lookup`]. After endpoints have lost weight or finished
/// requests, one may stand above its bound until its own requests end; nothing is moved.
#[derive(Debug, Clone)]
pub struct BoundedRing {
    ring: Ketama,
    factor_percent: u32,
    /// For each endpoint of the pool its weight, and the sum of those in front of it.
    weights: Box<[(u32, u64)]>,
    sum: u64,
    eligible: Eligible,
}

impl BoundedRing {
    /// The ring of a pool with a bound of so many percent of the fair share, 100 or more; 0 is no bound.
    ///
    /// # Errors
    /// Fails if the factor is between 1 and 99, or if the weights ask for too many points of a ring.
    pub fn new(candidates: &impl ToCandidates, factor_percent: u32) -> Result<Self, FactorError> {
        if (1..100).contains(&factor_percent) {
            return Err(FactorError::Below100 { factor_percent });
        }
        let candidates = candidates.to_candidates();
        let ring = Ketama::new(&candidates).map_err(FactorError::Ring)?;
        let mut weights = vec![(0, 0); candidates.iter().last().map_or(0, |(index, _)| index + 1)];
        let mut sum = 0;
        for c in candidates.eligible() {
            weights[c.index as usize] = (c.weight, sum);
            sum += u64::from(c.weight);
        }
        Ok(Self { ring, factor_percent, weights: weights.into(), sum, eligible: Eligible::of(candidates) })
    }

    /// The index of the endpoint for the CRC-32 of a key, while `in_flight` requests are under way in all and `active` of
    /// them at an endpoint. `None` if no endpoint has a weight, or if all are full, which they cannot be while `active`
    /// adds up to `in_flight`. O(1) expected plus the points of full endpoints; no allocation.
    pub fn lookup(&self, hash: u32, in_flight: u64, active: impl Fn(usize) -> u32) -> Option<usize> {
        let slots = total_slots(in_flight, self.factor_percent);
        let has_room =
            |&index: &usize| self.factor_percent == 0 || u64::from(active(index)) < self.capacity(index, slots);
        self.ring.walk(hash).find(has_room)
    }

    /// [`BoundedRing::lookup`] for a key.
    pub fn lookup_key(&self, key: &[u8], in_flight: u64, active: impl Fn(usize) -> u32) -> Option<usize> {
        self.lookup(crc32(key), in_flight, active)
    }

    /// The requests that the endpoint at this index may hold of `slots` in all.
    pub fn capacity(&self, index: usize, slots: u64) -> u64 {
        let (weight, before) = self.weights.get(index).copied().unwrap_or_default();
        capacity(weight, before, self.sum, slots)
    }
}

/// One random word for a pick without hash, else none. Goes to the hash's own endpoint if no other has room.
impl Policy for BoundedRing {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let hash = pick.hash_or_word() as u32;
        let admission = &self.eligible.admission;
        let Some(own) = self.ring.attempt(hash, pick.attempt()) else { return Err(self.eligible.refusal(pick)) };
        let active = |index: usize| admission.load(index).active();
        // Nobody's bound is below 1, so an idle endpoint has room whatever the others hold.
        if (self.factor_percent == 0 || active(own) == 0) && admission.admits(pick, own) {
            return Ok(Choice::new(own, Reason::Hash));
        }
        let in_flight = self.eligible.iter().map(|index| u64::from(active(index))).sum();
        let slots = total_slots(in_flight, self.factor_percent);
        let has_room =
            |index: usize| self.factor_percent == 0 || u64::from(active(index)) < self.capacity(index, slots);
        let mut admitted = self.ring.walk(hash).skip(pick.attempt() as usize).chain(self.ring.walk(hash));
        let mut admitted = admitted.by_ref().filter(|&index| admission.admits(pick, index));
        let first = admitted.next().ok_or_else(|| self.eligible.refusal(pick))?;
        let chosen = if has_room(first) { first } else { admitted.find(|&index| has_room(index)).unwrap_or(first) };
        let reason = match chosen {
            _ if chosen == own => Reason::Hash,
            _ if admission.admits(pick, own) => Reason::HashSpilled,
            _ => Reason::HashFallback,
        };
        Ok(Choice::new(chosen, reason))
    }
}

/// Why a bound is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactorError {
    /// All endpoints together could not hold what is in flight.
    Below100 {
        /// The factor asked for, in percent.
        factor_percent: u32,
    },
    /// The ring cannot be built.
    Ring(TooManyPoints),
}

impl fmt::Display for FactorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below100 { factor_percent } => {
                write!(f, "a bound of {factor_percent} percent of the fair share is below 100")
            }
            Self::Ring(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for FactorError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Ring(error) => Some(error),
            Self::Below100 { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_factor_below_100_is_refused_and_0_is_no_bound() {
        let pool = crate::Pool::of(["a", "b"]).unwrap();
        assert_eq!(BoundedRing::new(&pool, 99).unwrap_err(), FactorError::Below100 { factor_percent: 99 });
        let unbound = BoundedRing::new(&pool, 0).unwrap();
        assert_eq!(unbound.lookup(7, 100, |_| u32::MAX), unbound.lookup(7, 0, |_| 0));
    }

    proptest! {
        #[test]
        fn capacities_hold_what_they_must(
            weights in proptest::collection::vec(prop_oneof![0..20_u32, any::<u32>()], 1..20),
            in_flight in any::<u32>(),
            factor in 100..1000_u32,
        ) {
            let slots = total_slots(in_flight.into(), factor);
            let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let mut before = 0;
            let mut total = 0;
            for &weight in &weights {
                let part = capacity(weight, before, sum, slots);
                let fair = (u128::from(slots) * u128::from(weight)).div_ceil(u128::from(sum).max(1));
                prop_assert!(u128::from(part) <= fair.max(u128::from(weight > 0)) && (part > 0) == (weight > 0));
                total += part;
                before += u64::from(weight);
            }
            prop_assert!(sum == 0 || total >= slots);
        }
    }
}
