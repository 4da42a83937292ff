//! How much of its weight may an endpoint have that has only just come up?

use core::time::Duration;

/// The ramp of a new endpoint's weight, as Envoy defines it for round robin and least request.
///
/// ```
/// use lb_select::SlowStart;
/// use std::time::Duration;
///
/// let ramp = SlowStart::new(Duration::from_secs(60));
/// assert_eq!(ramp.factor(Duration::from_secs(30)), 0.5);
/// assert_eq!(ramp.factor(Duration::from_secs(60)), 1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct SlowStart {
    /// How long the ramp takes from the moment an endpoint is added or becomes healthy. The default, 0, is no ramp.
    pub window: Duration,
    /// The least share of its weight an endpoint has in the ramp, in percent. The default is 10; above 100 is 100.
    pub min_weight_percent: u32,
    /// The shape: 1 (the default) is a line, below 1 starts slower, above 1 starts faster. Anything that is not above 0
    /// counts as 1.
    pub aggression: f64,
}

impl SlowStart {
    /// A straight ramp over this time from 10 % on.
    pub fn new(window: Duration) -> Self {
        Self { window, min_weight_percent: 10, aggression: 1.0 }
    }

    /// The same ramp with this [`min_weight_percent`](Self#structfield.min_weight_percent).
    #[must_use]
    pub fn min_weight_percent(self, min_weight_percent: u32) -> Self {
        Self { min_weight_percent, ..self }
    }

    /// The same ramp with this [`aggression`](Self#structfield.aggression).
    #[must_use]
    pub fn aggression(self, aggression: f64) -> Self {
        Self { aggression, ..self }
    }

    /// The share of its weight an endpoint has this long after it came up: between 0 and 1, and 1 from the end of the
    /// window on. Time counts as at least one millisecond (Envoy's code; its documentation says a second).
    pub fn factor(&self, since: Duration) -> f64 {
        if since >= self.window {
            return 1.0;
        }
        let time = since.max(Duration::from_millis(1)).as_secs_f64() / self.window.as_secs_f64();
        // The exact 1 keeps the usual straight ramp free of rounding by the power.
        let share =
            if self.aggression > 0.0 && self.aggression != 1.0 { libm::pow(time, 1.0 / self.aggression) } else { time };
        share.max(f64::from(self.min_weight_percent) / 100.0).min(1.0)
    }
}

impl Default for SlowStart {
    fn default() -> Self {
        Self::new(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_window_is_no_ramp() {
        assert_eq!(SlowStart::default().factor(Duration::ZERO), 1.0);
    }

    proptest! {
        #[test]
        fn the_ramp_never_falls_and_ends_at_the_whole_weight(
            window in 1..100_000_u64,
            percent in any::<u32>(),
            aggression in prop_oneof![0.01..10.0_f64, Just(0.0), Just(f64::NAN), Just(-1.0), Just(f64::INFINITY)],
            times in proptest::collection::vec(0..120_000_u64, 2..20),
        ) {
            let ramp = SlowStart::new(Duration::from_millis(window)).min_weight_percent(percent).aggression(aggression);
            let mut times = times;
            times.sort_unstable();
            let mut last = 0.0;
            for millis in times {
                let factor = ramp.factor(Duration::from_millis(millis));
                prop_assert!(factor >= last && factor <= 1.0, "{last} {factor}");
                prop_assert!(millis < window || factor == 1.0);
                last = factor;
            }
        }
    }
}
