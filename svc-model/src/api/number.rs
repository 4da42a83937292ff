//! What is a number that may have a fraction, where values must be comparable?

use serde::{Deserialize, Serialize};

/// A finite number that may have a fraction, such as a percentage.
///
/// JSON has no other numbers, so any two compare and equality is total, which `f64` alone does not promise.
///
/// ```
/// use svc_model::api::Number;
/// assert_eq!(Number::new(0.5).unwrap().as_f64(), 0.5);
/// assert_eq!(Number::new(f64::NAN), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Number(f64);

impl Eq for Number {}

impl Number {
    /// The number; `None` for an infinite one and for what is none.
    pub fn new(value: f64) -> Option<Number> {
        value.is_finite().then_some(Number(value))
    }

    /// As a floating point number, always finite.
    pub fn as_f64(self) -> f64 {
        self.0
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> f64 {
        number.0
    }
}

impl TryFrom<f64> for Number {
    type Error = NotFinite;

    fn try_from(value: f64) -> Result<Number, NotFinite> {
        Number::new(value).ok_or(NotFinite)
    }
}

/// A floating point value that is no finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a finite number")]
pub struct NotFinite;
