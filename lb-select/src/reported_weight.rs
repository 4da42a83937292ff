//! Which weight follows from what an endpoint reports of its own load?

use alloc::vec::Vec;

/// What an endpoint reports of itself, as in an ORCA load report. Anything not reported is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct LoadReport {
    /// Requests a second.
    pub qps: f64,
    /// Errors a second.
    pub eps: f64,
    /// The greatest of the metrics the caller has named for this purpose. Used before the others if above 0.
    pub named: f64,
    /// What the application calls its utilization; 1 is full. Used if above 0.
    pub application: f64,
    /// The utilization of the processor, used if nothing else is known.
    pub cpu: f64,
}

impl LoadReport {
    /// A report of so many requests a second and nothing else.
    pub fn new(qps: f64) -> Self {
        Self { qps, ..Self::default() }
    }

    /// The same report with this [`eps`](Self#structfield.eps).
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The same report with this [`named`](Self#structfield.named).
    #[must_use]
    pub fn named(self, named: f64) -> Self {
        Self { named, ..self }
    }

    /// The same report with this [`application`](Self#structfield.application).
    #[must_use]
    pub fn application(self, application: f64) -> Self {
        Self { application, ..self }
    }

    /// The same report with this [`cpu`](Self#structfield.cpu).
    #[must_use]
    pub fn cpu(self, cpu: f64) -> Self {
        Self { cpu, ..self }
    }

    /// The weight of Envoy's client-side weighted round robin: `qps / (utilization + penalty · eps / qps)`, without the
    /// fraction and at most `u32::MAX`. `None` without requests or utilization.
    ///
    /// ```
    /// use lb_select::LoadReport;
    ///
    /// assert_eq!(LoadReport::new(1000.0).application(0.5).weight(2.0), Some(2000));
    /// assert_eq!(LoadReport::new(1000.0).application(0.5).eps(100.0).weight(2.0), Some(1428));
    /// assert_eq!(LoadReport::new(1000.0).weight(2.0), None);
    /// ```
    pub fn weight(&self, error_penalty: f64) -> Option<u32> {
        let utilization = [self.named, self.application, self.cpu].into_iter().find(|&metric| metric > 0.0)?;
        let penalised = utilization + error_penalty * self.eps / self.qps;
        // A cast keeps within the bounds of u32. What is not a number fails the comparisons.
        (self.qps > 0.0 && penalised > 0.0).then(|| (self.qps / penalised) as u32)
    }
}

/// The weight for endpoints without a valid one: the median of the valid ones, for an even number the mean of the two in
/// the middle without its fraction, and 1 if there are none. O(n).
///
/// ```
/// assert_eq!(lb_select::default_weight([2000, 1428]), 1714);
/// ```
pub fn default_weight(valid: impl IntoIterator<Item = u32>) -> u32 {
    let mut weights: Vec<u32> = valid.into_iter().collect();
    let middle = weights.len() / 2;
    if weights.is_empty() {
        return 1;
    }
    let odd = weights.len() % 2 == 1;
    let (below, upper, _) = weights.select_nth_unstable(middle);
    match below.iter().max() {
        Some(lower) if !odd => lower.midpoint(*upper),
        _ => *upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_metric_goes_before_the_applications_and_that_before_the_processor() {
        let report = LoadReport::new(100.0).cpu(1.0);
        assert_eq!(report.weight(1.0), Some(100));
        assert_eq!(report.application(0.5).weight(1.0), Some(200));
        assert_eq!(report.application(0.5).named(0.25).weight(1.0), Some(400));
    }

    #[test]
    fn a_report_that_says_nothing_sensible_gives_no_weight() {
        for report in [
            LoadReport::new(0.0).cpu(1.0),
            LoadReport::new(-1.0).cpu(1.0),
            LoadReport::new(f64::NAN).cpu(1.0),
            LoadReport::new(1.0).cpu(f64::NAN),
            LoadReport::new(1.0).cpu(1.0).eps(f64::NAN),
        ] {
            assert_eq!(report.weight(1.0), None, "{report:?}");
        }
        assert_eq!(LoadReport::new(f64::INFINITY).cpu(1.0).weight(1.0), Some(u32::MAX));
    }

    #[test]
    fn the_default_is_the_median() {
        assert_eq!(default_weight([]), 1);
        assert_eq!(default_weight([7]), 7);
        assert_eq!(default_weight([9, 1, 5]), 5);
        assert_eq!(default_weight([u32::MAX, u32::MAX]), u32::MAX);
        assert_eq!(default_weight([1, 8, 2, 9]), 5);
    }
}
