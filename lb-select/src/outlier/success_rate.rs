//! Who succeeds much less often than the others?

/// The mean of success rates, how far they scatter, and the rate below which one is an outlier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessRates {
    /// The mean, in percent.
    pub mean: f64,
    /// The standard deviation of all of them (not of a sample), in percentage points.
    pub stdev: f64,
    /// `mean − factor · stdev`: below it lies an outlier.
    pub threshold: f64,
}

/// The statistics of success rates in percent (Envoy's `successRateEjectionThreshold`), with a factor in thousandths.
/// `None` without rates. O(n).
///
/// ```
/// let rates = lb_select::success_rates(&[50.0, 100.0, 100.0, 100.0, 100.0], 1900).unwrap();
/// assert_eq!((rates.mean, rates.stdev, rates.threshold), (90.0, 20.0, 52.0));
/// ```
pub fn success_rates(rates: &[f64], stdev_factor: u32) -> Option<SuccessRates> {
    if rates.is_empty() {
        return None;
    }
    let n = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / n;
    let variance = rates.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / n;
    let stdev = libm::sqrt(variance);
    Some(SuccessRates { mean, stdev, threshold: mean - f64::from(stdev_factor) / 1000.0 * stdev })
}
