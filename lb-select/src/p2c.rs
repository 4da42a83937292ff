//! Who has less to do of two that chance names? The power of two choices.

use crate::candidates::{Eligible, ToCandidates};
use crate::least_load::overhead;
use crate::weighted_random::WeightedDraw;
use crate::{Choice, Load, Pick, Policy, Reason, Unavailable};
use core::time::Duration;

/// What it would cost to send one more request to an endpoint, for policies that compare.
///
/// Closures of the same form are costs.
pub trait Cost {
    /// A cost; less is better.
    type Value: PartialOrd;

    /// The cost of the endpoint at `index` of the pool, with what is known about it, at the time `now`.
    fn cost(&self, index: usize, load: &Load, now: Duration) -> Self::Value;

    /// Why an endpoint of less cost is chosen.
    fn reason(&self) -> Reason {
        Reason::LeastLoad
    }
}

impl<V: PartialOrd, F: Fn(usize, &Load, Duration) -> V> Cost for F {
    type Value = V;

    #[inline]
    fn cost(&self, index: usize, load: &Load, now: Duration) -> V {
        self(index, load, now)
    }
}

/// Requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ActiveRequests;

impl Cost for ActiveRequests {
    type Value = u32;

    #[inline]
    fn cost(&self, _: usize, load: &Load, _: Duration) -> u32 {
        load.active()
    }
}

/// The cheaper of two different endpoints drawn at random, weights ignored except 0; the first drawn of equal ones. This is
/// how linkerd and tower balance.
///
/// With n endpoints and n requests in flight the fullest has about log log n of them, where one random choice gives it
/// log n / log log n. Takes two random words: `a = word mod n`, and `b = word mod (n − 1)`, one more if that reaches `a`; none
/// if there is only one endpoint. O(1). Where endpoints are closed or excluded, both are drawn as [`Random`](crate::Random)
/// does then, and may be the same.
///
/// ```
/// use lb_select::{P2c, Pick, Policy, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::of(["a", "b", "c"])?;
/// let policy = P2c::new(&pool);
/// let mut words = [0, 1].into_iter().cycle(); // a and c
/// let mut word = || words.next().unwrap();
/// let mut pick = Pick::new(Duration::ZERO, &mut word);
/// let _in_flight = pool.start(policy.pick(&mut pick)?.index);
/// assert_eq!(policy.pick(&mut pick)?.index, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct P2c<C = ActiveRequests> {
    eligible: Eligible,
    cost: C,
}

impl P2c {
    /// Compares requests in flight.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self::by(candidates, ActiveRequests)
    }
}

impl<C: Cost> P2c<C> {
    /// Compares by this cost.
    pub fn by(candidates: &impl ToCandidates, cost: C) -> Self {
        Self { eligible: Eligible::new(candidates), cost }
    }

    #[cfg(feature = "std")]
    pub(crate) fn eligible(&self) -> &Eligible {
        &self.eligible
    }

    /// What it compares by.
    pub fn cost(&self) -> &C {
        &self.cost
    }

    /// Two endpoints, different ones if all are admitted and there are two.
    #[inline]
    fn pair(&self, pick: &mut Pick<'_>) -> Result<(usize, usize), Unavailable> {
        let eligible = &self.eligible;
        if !eligible.admission.admits_all(pick) {
            return Ok((eligible.draw(pick)?, eligible.draw(pick)?));
        }
        let n = eligible.len() as u64;
        match n {
            0 => return Err(eligible.empty()),
            1 => return Ok((eligible.at(0), eligible.at(0))),
            _ => {}
        }
        let (a, b) = (pick.word() % n, pick.word() % (n - 1));
        Ok((eligible.at(a as usize), eligible.at((b + u64::from(b >= a)) as usize)))
    }
}

impl<C: Cost> Policy for P2c<C> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let (a, b) = self.pair(pick)?;
        let now = pick.now();
        let cost = |index| self.cost.cost(index, self.eligible.admission.load(index), now);
        // A cost that compares with nothing, such as NaN, loses.
        let index = if a == b || cost(a) <= cost(b) { a } else { b };
        Ok(Choice::new(index, self.cost.reason()))
    }
}

/// The one with the fewest in flight of some endpoints drawn at random with replacement, weights ignored except 0: Envoy's
/// LEAST_REQUEST. A later one wins only if it has strictly fewer.
///
/// Takes one random word a choice, `word mod n`, even with one endpoint. O(choices).
#[derive(Debug, Clone)]
pub struct ChoiceOfSome {
    eligible: Eligible,
    choices: u32,
}

impl ChoiceOfSome {
    /// Envoy's default of two choices.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self::among(candidates, 2)
    }

    /// So many choices, at least one.
    pub fn among(candidates: &impl ToCandidates, choices: u32) -> Self {
        Self { eligible: Eligible::new(candidates), choices: choices.max(1) }
    }
}

impl Policy for ChoiceOfSome {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let admits_all = self.eligible.admission.admits_all(pick);
        let draw = |pick: &mut Pick<'_>| {
            if admits_all { self.eligible.number(pick.word()) } else { self.eligible.draw(pick) }
        };
        let active = |index| self.eligible.admission.load(index).active();
        let mut best = draw(pick)?;
        for _ in 1..self.choices {
            let other = draw(pick)?;
            if active(other) < active(best) {
                best = other;
            }
        }
        Ok(Choice::new(best, Reason::LeastLoad))
    }
}

/// The less loaded by weight of two endpoints drawn by weight: the lesser `(in flight + 1) / weight`, the first drawn of
/// equal ones.
///
/// Envoy has no P2C for unequal weights (it turns to [`LeastRequestEdf`](crate::LeastRequestEdf)). With work in flight
/// everywhere, shares follow the weights; with next to none the greater weight of two always wins, so small ones get less.
/// Takes two random words as [`WeightedRandom`](crate::WeightedRandom) does, and may draw one endpoint twice; none if there
/// is only one. O(1) on average.
#[derive(Debug, Clone)]
pub struct WeightedP2c {
    draw: WeightedDraw,
}

impl WeightedP2c {
    /// Chooses among the endpoints of the pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self { draw: WeightedDraw::new(candidates) }
    }
}

impl Policy for WeightedP2c {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let draw = &self.draw;
        let (a, b) = if draw.admission.admits_all(pick) {
            (draw.any(pick)?, draw.any(pick)?)
        } else {
            (draw.admitted(pick)?, draw.admitted(pick)?)
        };
        // (in flight + 1) · the other's weight; both factors are at most 2^32.
        let cost = |a: usize, b: usize| {
            u128::from(draw.admission.load(a).active()) * u128::from(draw.weight(b)) + u128::from(draw.weight(b))
        };
        let index = if a == b || cost(a, b) <= cost(b, a) { a } else { b };
        Ok(Choice::new(index, Reason::LeastLoad))
    }
}

/// IPVS's `twos`: two endpoints drawn by weight; the second wins only if it has strictly less overhead by weight, as
/// [`WeightedLeastConnection`](crate::LoadRule::WeightedLeastConnection) counts it.
///
/// Takes two random words, each `mod (sum + 1)`: one value too many, which falls to the first endpoint. That is how IPVS does
/// it. O(1) on average; O(n) where endpoints are closed or excluded.
#[derive(Debug, Clone)]
pub struct IpvsTwos {
    draw: WeightedDraw,
}

impl IpvsTwos {
    /// Chooses among the endpoints of the pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self { draw: WeightedDraw::new(candidates) }
    }
}

impl Policy for IpvsTwos {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let draw = &self.draw;
        let (a, b) = draw.two_inclusive(pick)?;
        let cost = |a: usize, b: usize| u128::from(overhead(draw.admission.load(a))) * u128::from(draw.weight(b));
        let index = if cost(b, a) < cost(a, b) { b } else { a };
        Ok(Choice::new(index, Reason::LeastLoad))
    }
}
