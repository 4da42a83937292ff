//! How large a part of the requests? An exact fraction.

use std::fmt;

/// A part of all requests, 0 to 1, exact.
///
/// ```
/// use route_match::action::Fraction;
///
/// let fifth = Fraction::new(1, 5).unwrap();
/// assert!(fifth.takes(0) && !fifth.takes(u64::MAX));
/// assert_eq!(Fraction::new(20, 100).unwrap().as_f64(), 0.2);
/// assert_eq!(Fraction::new(3, 2), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fraction {
    numerator: u32,
    denominator: u32,
}

impl Fraction {
    /// Nothing.
    pub const NONE: Self = Self { numerator: 0, denominator: 1 };
    /// Everything.
    pub const ALL: Self = Self { numerator: 1, denominator: 1 };

    /// `numerator / denominator`; `None` above 1 and for a denominator of 0.
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        (denominator > 0 && numerator <= denominator).then_some(Self { numerator, denominator })
    }

    /// So many percent; `None` above 100.
    pub fn percent(percent: u32) -> Option<Self> {
        Self::new(percent, 100)
    }

    /// Whether a request with this random word is one of them.
    pub fn takes(self, word: u64) -> bool {
        // The word as a part of the denominator, without division.
        let at = (u128::from(word) * u128::from(self.denominator)) >> 64;
        at < u128::from(self.numerator)
    }

    /// Whether it is nothing.
    pub fn is_none(self) -> bool {
        self.numerator == 0
    }

    /// Whether it is everything.
    pub fn is_all(self) -> bool {
        self.numerator == self.denominator
    }

    /// The fraction as a number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_proportion() {
        let third = Fraction::new(1, 3).unwrap();
        let words = (0..300u64).map(|i| i * (u64::MAX / 300));
        assert_eq!(words.filter(|word| third.takes(*word)).count(), 101, "0 and every third of the rest");
        assert!(Fraction::ALL.takes(u64::MAX) && !Fraction::NONE.takes(0));
        assert_eq!(Fraction::new(0, 0), None);
        assert_eq!(Fraction::percent(101), None);
        assert!(Fraction::new(7, 7).unwrap().is_all() && !third.is_all());
    }
}
