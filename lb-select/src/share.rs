//! How large is a share of turns, and when is the next one due? Exact fractions.

use core::cmp::Ordering;

/// A weight that may be a fraction: `numerator / denominator` turns in the time in which a weight of 1 has one.
///
/// ```
/// use lb_select::Share;
///
/// let (seven_tenths, three) = (Share::new(7, 10), Share::from(3));
/// assert!(seven_tenths.is_some() && three.is_some());
/// assert_eq!(Share::new(0, 1), None); // no share, no turns
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    numerator: u64,
    denominator: u64,
}

impl Share {
    /// The share `numerator / denominator`, or `None` if either is 0. Exact if both, reduced, are below 2^53; beyond, the
    /// lowest bits of both are dropped.
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        if numerator == 0 || denominator == 0 {
            return None;
        }
        let common = gcd(numerator, denominator);
        let (numerator, denominator) = (numerator / common, denominator / common);
        let excess = (u64::BITS - (numerator | denominator).leading_zeros()).saturating_sub(53);
        Some(Self { numerator: (numerator >> excess).max(1), denominator: (denominator >> excess).max(1) })
    }

    /// The share of this integer weight, or `None` for 0.
    #[inline]
    pub fn from(weight: u32) -> Option<Self> {
        (weight > 0).then_some(Self { numerator: weight.into(), denominator: 1 })
    }

    /// The share nearest to `weight` in steps of 2^−20 and at least one step, or `None` unless the weight is above 0.
    /// Weights above 2^32 count as that.
    pub fn nearest(weight: f64) -> Option<Self> {
        const STEPS: u64 = 1 << 20;
        if weight.is_nan() || weight <= 0.0 {
            return None;
        }
        // A conversion to an integer saturates, and rounds down what is half a step above.
        let steps = (weight * STEPS as f64 + 0.5) as u64;
        Self::new(steps.clamp(1, STEPS << 32), STEPS)
    }
}

/// A time in turns of a weight of 1: `whole + part / parts`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    whole: u64,
    /// Below `parts`.
    part: u64,
    /// Never 0, and below 2^63.
    parts: u64,
}

impl Deadline {
    pub(crate) const START: Self = Self { whole: 0, part: 0, parts: 1 };

    /// The time after `turns` turns of `weight`, in lowest whole parts of it.
    pub(crate) fn after(turns: u64, weight: u32) -> Self {
        let parts = u64::from(weight.max(1));
        Self { whole: turns / parts, part: turns % parts, parts }
    }

    /// The time of the next turn of `share`: one of its turns later.
    #[inline]
    pub(crate) fn next_turn(self, share: Share) -> Self {
        let Share { numerator: parts, denominator: step } = share;
        let Self { whole, part, .. } =
            if self.parts == parts { self } else { return self.next_turn_in_other_parts(share) };
        // Both below 2^63, as `parts` is an integer weight or a share's numerator below 2^53.
        let (step_whole, step) = if step < parts { (0, step) } else { (step / parts, step % parts) };
        let part = part + step;
        let (carry, part) = if part < parts { (0, part) } else { (1, part - parts) };
        Self { whole: whole.saturating_add(step_whole).saturating_add(carry), part, parts }
    }

    /// As [`next_turn`](Self::next_turn) where the share has changed, so that this time may lie between its parts.
    /// Exact as long as the common parts of all shares so far are below 2^62; rounded to far less than a turn beyond.
    fn next_turn_in_other_parts(self, share: Share) -> Self {
        let wanted = share.numerator;
        let common = (self.parts / gcd(self.parts, wanted)).checked_mul(wanted).filter(|&common| common < 1 << 62);
        let parts = common.unwrap_or_else(|| wanted << (wanted.leading_zeros().saturating_sub(2)));
        let scaled = |part: u64, of: u64| (u128::from(part) * u128::from(parts)) / u128::from(of);
        let part = scaled(self.part, self.parts) as u64; // below `parts`
        let step = scaled(share.denominator, wanted);
        let sum = u128::from(part) + step;
        let whole = self.whole.saturating_add(u64::try_from(sum / u128::from(parts)).unwrap_or(u64::MAX));
        let part = (sum % u128::from(parts)) as u64;
        let common = gcd(part, parts);
        // In parts of the weight if it fits, which is what the next turn will want.
        let (part, parts) = (part / common, parts / common);
        match wanted.checked_rem(parts) {
            Some(0) => Self { whole, part: part * (wanted / parts), parts: wanted },
            _ => Self { whole, part, parts },
        }
    }

    /// The same time with whole turns counted from `start`.
    pub(crate) fn since(self, start: u64) -> Self {
        Self { whole: self.whole.saturating_sub(start), ..self }
    }

    pub(crate) fn whole(self) -> u64 {
        self.whole
    }
}

impl Ord for Deadline {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.whole.cmp(&other.whole).then_with(|| {
            if self.parts == other.parts {
                return self.part.cmp(&other.part);
            }
            let (a, b) =
                (u128::from(self.part) * u128::from(other.parts), u128::from(other.part) * u128::from(self.parts));
            a.cmp(&b)
        })
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Deadline {}

/// The greatest common divisor; of 0 and something it is that.
pub(crate) fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(numerator: u64, denominator: u64) -> Share {
        Share::new(numerator, denominator).unwrap()
    }

    #[test]
    fn ten_tenths_are_one() {
        let ten = (0..10).fold(Deadline::START, |at, _| at.next_turn(share(10, 1)));
        assert_eq!(ten, Deadline::START.next_turn(share(1, 1)));
    }

    #[test]
    fn turns_of_different_weights_add_up_exactly() {
        let mixed = [2, 3, 6].iter().fold(Deadline::START, |at, &w| at.next_turn(share(w, 1)));
        assert_eq!(mixed, Deadline::after(1, 1));
        let mixed = Deadline::START.next_turn(share(7, 10)).next_turn(share(7, 11));
        assert_eq!(mixed, Deadline::after(3, 1));
    }

    #[test]
    fn weights_without_a_common_multiple_in_range_still_move_on() {
        let mut at = Deadline::START;
        for weight in [u32::MAX, u32::MAX - 2, u32::MAX - 4, 65_537, 3, u32::MAX] {
            let next = at.next_turn(Share::from(weight).unwrap());
            assert!(next > at, "{weight}");
            at = next;
        }
        assert!(at < Deadline::after(4, 10) && at > Deadline::after(3, 10));
    }

    #[test]
    fn real_weights_become_near_shares_and_nothing_else_becomes_one() {
        assert_eq!(Share::nearest(0.75), Share::new(3, 4));
        assert_eq!(Share::nearest(1e-30), Share::new(1, 1 << 20));
        assert_eq!(Share::nearest(f64::INFINITY), Share::new(1 << 32, 1));
        assert_eq!([0.0, -1.0, f64::NAN].map(Share::nearest), [None; 3]);
    }
}
