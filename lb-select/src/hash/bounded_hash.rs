//! Bounded loads as Envoy computes them, around any table.

use super::HashTable;
use super::bounded::{FactorError, total_slots};
use super::mersenne::Mersenne;
use super::shares::Shares;
use crate::candidates::Eligible;
use crate::{Choice, Pick, Policy, Reason, ToCandidates, Unavailable};
use alloc::vec::Vec;

/// Steps of the shuffle that are remembered without allocating.
const STEPS: usize = 256;

/// Which of `n` endpoints takes a key whose own endpoint, `first`, is over its bound (an overload factor above 1): the
/// others are looked at in an order that only depends on the hash (a shuffle by MT19937, Envoy's
/// `BoundedLoadHashingLoadBalancer`), and the first that is not over its bound wins. If all are over, the least; `first`
/// itself counts. Returns `first` at once if it is not over.
///
/// O(k²) for k looked at, O(n) from the 256th on; allocates only then.
///
/// ```
/// use lb_select::hash::least_overloaded;
///
/// let overload = [0.5, 0.5, 1.02, 0.5, 0.5];
/// assert_eq!(least_overloaded(2, 2, 5, |index| overload[index]), 1);
/// assert_eq!(least_overloaded(3, 3, 5, |index| overload[index]), 3);
/// ```
pub fn least_overloaded(hash: u64, first: usize, n: u32, overload: impl Fn(usize) -> f64) -> usize {
    let mut least = (overload(first), first);
    if least.0 <= 1.0 {
        return first;
    }
    for next in Shuffle::new(hash, n) {
        if next != first {
            match overload(next) {
                factor if factor <= 1.0 => return next,
                factor if factor < least.0 => least = (factor, next),
                _ => {}
            }
        }
    }
    least.1
}

/// Numbers below `n` in an order given by a hash: the shuffle of Fisher and Yates, drawn step by step.
struct Shuffle {
    words: Mersenne,
    n: u32,
    step: u32,
    /// With which place each step so far exchanged its own.
    targets: [u32; STEPS],
    /// The numbers in their places, once there are more steps than that.
    places: Vec<u32>,
}

impl Shuffle {
    fn new(hash: u64, n: u32) -> Self {
        // The seed of the namesake has 32 bits.
        Self { words: Mersenne::new(hash as u32), n, step: 0, targets: [0; STEPS], places: Vec::new() }
    }

    /// What stands at this place, found by following the exchanges back to when every number stood at its own.
    fn at(&self, place: u32) -> u32 {
        let steps = self.targets[..self.step as usize].iter().enumerate().rev();
        steps.fold(place, |place, (step, &target)| if target == place { step as u32 } else { place })
    }

    fn spread_out(&mut self) {
        self.places = (0..self.n).collect();
        for (step, &target) in self.targets.iter().enumerate() {
            self.places.swap(step, target as usize);
        }
    }
}

impl Iterator for Shuffle {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let left = self.n.checked_sub(self.step).filter(|&left| left > 0)?;
        let (step, target) = (self.step as usize, self.step + self.words.below(left));
        if step == STEPS {
            self.spread_out();
        }
        let number = if step < STEPS {
            let number = self.at(target);
            self.targets[step] = target;
            number
        } else {
            self.places.swap(step, target as usize);
            self.places[step]
        };
        self.step += 1;
        Some(number as usize)
    }
}

/// A table whose endpoints hold at most a factor of their share, by Envoy's `hash_balance_factor`.
///
/// An endpoint may hold `max(1, ceil(slots · share))` and is full when it holds *more*. A key whose endpoint is full goes
/// to the first other one of an order that the hash shuffles. Loads are those of the pool's [`Load`](crate::Load)s, which
/// are added up for every pick whose endpoint is not idle: O(n).
///
/// ```
/// use lb_select::{Pool, hash::{BoundedHash, Maglev}};
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).build()?;
/// let bounded = BoundedHash::new(&pool, Maglev::new(&pool, 251)?, 150)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BoundedHash<T> {
    inner: T,
    factor_percent: u32,
    shares: Shares,
    eligible: Eligible,
}

impl<T: HashTable> BoundedHash<T> {
    /// A bound of so many percent of the fair share, 100 or more, on a table of the same endpoints.
    ///
    /// # Errors
    /// Fails if the factor is below 100.
    pub fn new(candidates: &impl ToCandidates, inner: T, factor_percent: u32) -> Result<Self, FactorError> {
        if factor_percent < 100 {
            return Err(FactorError::Below100 { factor_percent });
        }
        let candidates = candidates.to_candidates();
        let shares = Shares::of(&candidates);
        Ok(Self { inner, factor_percent, shares, eligible: Eligible::of(candidates) })
    }

    /// The requests that the endpoint at this index may hold while `in_flight` are under way in all. 0 for an endpoint
    /// without weight. O(1).
    pub fn capacity(&self, index: usize, in_flight: u64) -> u64 {
        bound(total_slots(in_flight, self.factor_percent), self.shares.part(index))
    }
}

/// The bound of a share of all slots.
fn bound(slots: u64, share: f64) -> u64 {
    if share > 0.0 { (libm::ceil(slots as f64 * share) as u64).max(1) } else { 0 }
}

/// One random word for a pick without hash, else none.
impl<T: HashTable> Policy for BoundedHash<T> {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let hash = pick.hash_or_word();
        let own = super::choose(&self.eligible, pick, hash, &self.inner)?;
        let admission = &self.eligible.admission;
        let active = |index: usize| admission.load(index).active();
        if active(own.index) <= 1 {
            return Ok(own); // nobody's bound is below 1
        }
        let in_flight = self.eligible.iter().map(|index| u64::from(active(index))).sum();
        let slots = total_slots(in_flight, self.factor_percent);
        let overload = |rank: usize| {
            let index = self.eligible.at(rank);
            match admission.admits(pick, index) {
                true => f64::from(active(index)) / bound(slots, self.shares.part(index)) as f64,
                false => f64::INFINITY,
            }
        };
        let Some(first) = self.eligible.rank(own.index) else {
            return Ok(own); // a table of other endpoints has no bounds here
        };
        // A pool has fewer than 2^32 endpoints.
        let chosen = least_overloaded(hash, first, self.eligible.len() as u32, overload);
        let reason = if chosen == first { own.reason } else { Reason::HashSpilled };
        Ok(Choice::new(self.eligible.at(chosen), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The shuffle with all numbers laid out from the start.
    fn plain(hash: u64, n: u32) -> Vec<usize> {
        let mut words = Mersenne::new(hash as u32);
        let mut numbers: Vec<usize> = (0..n as usize).collect();
        for step in 0..n {
            let target = step + words.below(n - step);
            numbers.swap(step as usize, target as usize);
        }
        numbers
    }

    proptest! {
        #[test]
        fn the_shuffle_is_that_of_numbers_laid_out(hash in any::<u64>(), n in prop_oneof![0..40_u32, 250..400_u32]) {
            prop_assert_eq!(Shuffle::new(hash, n).collect::<Vec<_>>(), plain(hash, n));
        }
    }
}
