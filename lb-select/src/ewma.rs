//! How slow is this endpoint lately? A moving average that forgets with time.

use core::time::Duration;

/// How fast an [`Ewma`] forgets, and whether it believes a peak at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct EwmaSettings {
    /// The time in which a value falls to 1/e of itself. The default is 10 s, as in linkerd and ingress-nginx. 0
    /// forgets at once.
    pub decay: Duration,
    /// Whether a sample above the average replaces it. The default is true (linkerd, Finagle).
    pub peak: bool,
}

impl EwmaSettings {
    /// The same settings with this [`decay`](Self#structfield.decay).
    #[must_use]
    pub fn decay(self, decay: Duration) -> Self {
        Self { decay, ..self }
    }

    /// The same settings with this [`peak`](Self#structfield.peak).
    #[must_use]
    pub fn peak(self, peak: bool) -> Self {
        Self { peak, ..self }
    }

    /// What an average of `value` is worth this long after its last sample.
    pub fn decayed(&self, value: f64, elapsed: Duration) -> f64 {
        value * self.keep(elapsed)
    }

    /// The average after a sample that comes this long after the last one. A sample that is not a number is none.
    pub fn next(&self, value: f64, sample: f64, elapsed: Duration) -> f64 {
        let keep = self.keep(elapsed);
        let decayed = value * keep;
        if sample.is_nan() {
            value
        } else if self.peak && sample > decayed {
            sample
        } else {
            decayed + sample * (1.0 - keep)
        }
    }

    /// What is left of 1 after `elapsed`.
    fn keep(&self, elapsed: Duration) -> f64 {
        if self.decay.is_zero() {
            return if elapsed.is_zero() { 1.0 } else { 0.0 };
        }
        libm::exp(-elapsed.as_secs_f64() / self.decay.as_secs_f64())
    }
}

impl Default for EwmaSettings {
    fn default() -> Self {
        Self { decay: Duration::from_secs(10), peak: true }
    }
}

/// An exponentially weighted moving average of samples at irregular times, as linkerd keeps of latencies.
///
/// The unit is the caller's, seconds as a rule. A failed request must give a sample as well, or an endpoint that fails
/// fast looks fast.
///
/// ```
/// use lb_select::{Ewma, EwmaSettings};
/// use std::time::Duration;
///
/// let settings = EwmaSettings::default();
/// let mut latency = Ewma::new(0.03, Duration::ZERO);
/// latency.record(0.5, Duration::from_secs(1), &settings); // a peak is believed at once
/// assert_eq!(latency.read(Duration::from_secs(1), &settings), 0.5);
/// assert!(latency.read(Duration::from_secs(11), &settings) < 0.2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ewma {
    value: f64,
    at: Duration,
}

impl Ewma {
    /// An average that starts with this value at this time.
    pub fn new(initial: f64, at: Duration) -> Self {
        Self { value: initial, at }
    }

    /// Takes a sample. A time before the last sample counts as that of the last sample; a sample that is not a number
    /// is ignored.
    pub fn record(&mut self, sample: f64, now: Duration, settings: &EwmaSettings) {
        if sample.is_nan() {
            return;
        }
        self.value = settings.next(self.value, sample, now.saturating_sub(self.at));
        self.at = now.max(self.at);
    }

    /// The average as of now, without a change to it.
    pub fn read(&self, now: Duration, settings: &EwmaSettings) -> f64 {
        settings.decayed(self.value, now.saturating_sub(self.at))
    }

    /// The average of the last sample, not decayed.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The time of the last sample.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// The cost that policies compare: the average as of now for everyone who waits and the newcomer.
    pub fn cost(&self, now: Duration, pending: u32, settings: &EwmaSettings) -> f64 {
        self.read(now, settings) * (f64::from(pending) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The numbers of linkerd's own test.
    #[test]
    fn reading_decays_and_changes_nothing() {
        let (settings, start) = (EwmaSettings::default(), Duration::from_secs(1));
        let ewma = Ewma::new(1.0, start);
        assert!((ewma.read(start + Duration::from_secs(5), &settings) - 0.60653).abs() < 1e-5);
        assert!((ewma.read(start + Duration::from_secs(10), &settings) - 0.36788).abs() < 1e-5);
        assert_eq!(ewma, Ewma::new(1.0, start));
    }

    #[test]
    fn without_peaks_a_sample_moves_the_average_by_the_share_of_time_passed() {
        let settings = EwmaSettings::default().peak(false).decay(Duration::from_secs(1));
        let mut ewma = Ewma::new(0.0, Duration::ZERO);
        ewma.record(1.0, Duration::from_secs(1), &settings);
        assert!((ewma.value() - (1.0 - (-1.0_f64).exp())).abs() < 1e-12);
    }

    #[test]
    fn without_decay_only_the_last_sample_counts() {
        let settings = EwmaSettings::default().decay(Duration::ZERO);
        let mut ewma = Ewma::new(9.0, Duration::ZERO);
        ewma.record(2.0, Duration::from_millis(1), &settings);
        assert_eq!(ewma.value(), 2.0);
    }

    proptest! {
        #[test]
        fn the_average_stays_between_what_it_was_and_what_it_saw_and_time_never_goes_back(
            steps in proptest::collection::vec((0.0..1e6_f64, any::<u32>()), 1..30),
            peak in any::<bool>(),
        ) {
            let settings = EwmaSettings::default().peak(peak);
            let mut ewma = Ewma::new(1.0, Duration::ZERO);
            let (mut highest, mut latest) = (1.0_f64, Duration::ZERO);
            for (sample, millis) in steps {
                let now = Duration::from_millis(millis.into());
                highest = highest.max(sample);
                ewma.record(sample, now, &settings);
                latest = latest.max(now);
                prop_assert!(ewma.value() >= 0.0 && ewma.value() <= highest * (1.0 + 1e-12));
                prop_assert_eq!(ewma.at(), latest);
            }
        }
    }
}
