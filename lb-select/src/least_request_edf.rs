//! Whose turn comes next, if the busy have fewer turns? Envoy's weighted least request.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::edf::{EdfQueue, next_admitted, ramp};
use crate::share::Share;
use crate::{Choice, Load, Pick, Reason, Sequence, SlowStart, Unavailable};
use alloc::boxed::Box;
use core::time::Duration;

/// Weighted round robin by earliest deadline whose weights shrink with load: `weight / (in flight + 1)^bias`, evaluated when
/// an endpoint is put back into the queue. This is Envoy's LEAST_REQUEST for unequal weights.
///
/// Shares follow the weights while endpoints are mostly idle. The busier they are, the more load counts: with long queues
/// everywhere and equal service times, shares settle at `weight^(1/(1 + bias))`, the square root for a bias of 1.
/// [`WeightedP2c`](crate::WeightedP2c) is the other way round.
///
/// A bias of 1 is Envoy's default; 0 is [`WeightedEdf`](crate::WeightedEdf); a larger one moves faster away from busy endpoints.
/// Envoy uses it only while weights differ, and [`ChoiceOfSome`](crate::ChoiceOfSome) otherwise; here the caller decides. Takes
/// no random word. O(log n).
///
/// ```
/// use lb_select::{Bias, LeastRequestEdf, Pool};
///
/// let pool = Pool::builder().weighted("a", 2, ()).build()?;
/// let _busy: Vec<_> = (0..4).map(|_| pool.start(0)).collect();
/// assert_eq!(Bias::default().weight(2, pool.load(0).active()), 0.4);
/// let sequence = LeastRequestEdf::new(&pool, Bias::default());
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LeastRequestEdf {
    admission: Admission,
    members: Box<[Candidate]>,
    queue: EdfQueue,
    bias: Bias,
    slow_start: SlowStart,
}

/// How fast a weight shrinks with requests in flight: the exponent of [`LeastRequestEdf`], a real number from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "f64", into = "f64"))]
pub struct Bias(f64);

impl Bias {
    /// This exponent, or `None` if it is negative or no finite number.
    pub fn new(exponent: f64) -> Option<Self> {
        (exponent >= 0.0 && exponent.is_finite()).then_some(Self(exponent))
    }

    /// The exponent.
    pub fn exponent(self) -> f64 {
        self.0
    }

    /// `weight / (active + 1)^bias`.
    pub fn weight(self, weight: u32, active: u32) -> f64 {
        f64::from(weight) / libm::pow(f64::from(active) + 1.0, self.0)
    }

    /// The same as a share: exact for the exponents 0 and 1.
    #[inline]
    fn share(self, weight: u32, active: u32) -> Option<Share> {
        if self.0 == 1.0 {
            Share::new(weight.into(), u64::from(active) + 1)
        } else if self.0 == 0.0 {
            Share::from(weight)
        } else {
            Share::nearest(self.weight(weight, active))
        }
    }
}

impl Default for Bias {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f64> for Bias {
    type Error = &'static str;

    fn try_from(exponent: f64) -> Result<Self, Self::Error> {
        Self::new(exponent).ok_or("the bias must be a finite number from 0")
    }
}

impl From<Bias> for f64 {
    fn from(bias: Bias) -> Self {
        bias.0
    }
}

impl LeastRequestEdf {
    /// Starts with the loads of now.
    pub fn new(candidates: &impl ToCandidates, bias: Bias) -> Self {
        Self::with_slow_start(candidates, bias, SlowStart::default(), Duration::ZERO)
    }

    /// Starts with the loads of now, at the time `now`, and gives less to endpoints that [came up](Load::came_up) a short while
    /// ago.
    pub fn with_slow_start(candidates: &impl ToCandidates, bias: Bias, slow_start: SlowStart, now: Duration) -> Self {
        let candidates = candidates.to_candidates();
        let (admission, members) = (candidates.admission().clone(), candidates.eligible().collect::<Box<[_]>>());
        let share = |member: &Candidate| share(&admission, *member, bias, &slow_start, now);
        let queue = EdfQueue::new(members.iter().map(share));
        Self { admission, members, queue, bias, slow_start }
    }

    /// The same over the next version of the pool, from the beginning of its rotation: what counts is load, and that belongs
    /// to the endpoints.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates, now: Duration) -> Self {
        Self::with_slow_start(candidates, self.bias, self.slow_start, now)
    }
}

#[inline]
fn share(admission: &Admission, member: Candidate, bias: Bias, slow_start: &SlowStart, now: Duration) -> Option<Share> {
    let active = Load::active(admission.load(member.index as usize));
    match ramp(admission, member, slow_start, now) {
        Some(factor) => Share::nearest(bias.weight(member.weight, active) * factor),
        None => bias.share(member.weight, active),
    }
}

impl Sequence for LeastRequestEdf {
    #[inline]
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let Self { admission, members, queue, bias, slow_start } = self;
        let now = pick.now();
        let index = next_admitted(admission, members, queue, pick, |m| share(admission, m, *bias, slow_start, now))?;
        Ok(Choice::new(index, Reason::LeastLoad))
    }
}
