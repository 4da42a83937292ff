//! Whom does chance name?

use crate::candidates::{Eligible, ToCandidates};
use crate::{Choice, Pick, Policy, Reason, Unavailable};

/// Any endpoint with equal chance, weights ignored except 0.
///
/// Takes one random word, or none if there is only one eligible endpoint. O(1). Where the endpoint a word falls on may not
/// be used, up to seven more words are taken, and one more for each 64 endpoints; after that one for all that may, which is
/// O(n).
#[derive(Debug, Clone)]
pub struct Random {
    eligible: Eligible,
}

impl Random {
    /// Chooses among the endpoints of the pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self { eligible: Eligible::new(candidates) }
    }

    /// The index of the eligible endpoint number `word mod n`, closed or not: the bare choice, for callers with no other
    /// policy.
    ///
    /// # Errors
    /// Fails if there is no endpoint with a weight above 0.
    #[inline]
    pub fn index(&self, word: u64) -> Result<usize, Unavailable> {
        self.eligible.number(word)
    }
}

impl Policy for Random {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        if self.eligible.admission.admits_all(pick) {
            let word = if self.eligible.len() > 1 { pick.word() } else { 0 };
            return Ok(Choice::new(self.index(word)?, Reason::Random));
        }
        self.eligible.draw(pick).map(|index| Choice::new(index, Reason::Random))
    }
}

/// The words of a random generator, for [`Pick::new`].
///
/// ```
/// # struct Constant;
/// # impl rand_core::TryRng for Constant {
/// #     type Error = core::convert::Infallible;
/// #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(3) }
/// #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { Ok(3) }
/// #     fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # let mut rng = Constant;
/// // `rng` is any generator of rand_core 0.10, such as `rand::rng()`.
/// let mut words = lb_select::words(&mut rng);
/// let mut pick = lb_select::Pick::new(std::time::Duration::ZERO, &mut words);
/// assert_eq!(pick.word(), 3);
/// ```
#[cfg(feature = "rand")]
pub fn words(rng: &mut impl rand_core::Rng) -> impl FnMut() -> u64 {
    || rng.next_u64()
}
