//! Which requests are made to fail on purpose?

use std::time::Duration;

use super::Fraction;

/// Faults for tests: a delay, an abort, each for a part of the requests and independent of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// This part waits for so long first.
    pub delay: Option<(Fraction, Duration)>,
    /// This part is answered with a status, 200 to 599.
    pub abort: Option<(Fraction, u16)>,
}
