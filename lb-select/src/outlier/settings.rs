//! When is an endpoint ejected, and for how long?

use core::time::Duration;

/// The settings of an [`OutlierDetector`](super::OutlierDetector), with Envoy's meaning and defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct OutlierSettings {
    /// How often the caller sweeps; 10 s by default. Here it is the time after which an endpoint that has come back and
    /// stays well is forgiven one ejection.
    pub interval: Duration,
    /// The length of a first ejection; 30 s by default. The k-th takes k times as long.
    pub base_ejection: Duration,
    /// The greatest length; 300 s by default, at least the base.
    pub max_ejection: Duration,
    /// The greatest addition to a length by a random word, so that not all come back at once; 0 by default.
    pub max_ejection_jitter: Duration,
    /// Percent of endpoints that may be ejected at a time, counted after the ejection; 10 by default, so that fewer than
    /// ten endpoints never lose one.
    pub max_ejection_percent: u32,
    /// Whether one endpoint may be ejected whatever the percentage. The default is no.
    pub always_eject_one: bool,
    /// Server errors in a row that count as an outlier; 5 by default, 0 for never.
    pub consecutive_5xx: u32,
    /// Answers 502, 503 or 504 in a row that count as an outlier; 5 by default, 0 for never.
    pub consecutive_gateway: u32,
    /// Failures of the proxy's own making in a row (connection refused, timeout) that count as an outlier, if they are
    /// [split](Self#structfield.split_local_errors) from answers; 5 by default, 0 for never.
    pub consecutive_local: u32,
    /// Whether failures without an answer count apart. By default they count as answers: 503 for a failed connection, 504
    /// for a timeout.
    pub split_local_errors: bool,
    /// Percent of detections by server errors that are enforced; 100 by default.
    pub enforce_5xx: u32,
    /// Percent of detections by gateway errors that are enforced; 0 by default.
    pub enforce_gateway: u32,
    /// Percent of detections by local failures that are enforced; 100 by default.
    pub enforce_local: u32,
    /// Percent of detections by success rate that are enforced; 100 by default.
    pub enforce_success_rate: u32,
    /// Percent of detections by failure percentage that are enforced; 0 by default.
    pub enforce_failure_percentage: u32,
    /// The fewest endpoints with enough requests for success rates to be compared; 5 by default.
    pub success_rate_min_hosts: u32,
    /// The fewest requests in an interval for an endpoint's success rate to count; 100 by default.
    pub success_rate_volume: u32,
    /// How many standard deviations below the mean a success rate is an outlier, in thousandths; 1900 by default.
    pub success_rate_stdev_factor: u32,
    /// The percentage of failures from which on an endpoint is an outlier; 85 by default.
    pub failure_percentage_threshold: u32,
    /// The fewest endpoints with enough requests for failure percentages to count; 5 by default.
    pub failure_percentage_min_hosts: u32,
    /// The fewest requests in an interval for an endpoint's failure percentage to count; 50 by default.
    pub failure_percentage_volume: u32,
    /// Whether a successful health check ends an ejection at once. The default is yes.
    pub uneject_on_healthy_check: bool,
}

impl OutlierSettings {
    /// The greatest length there is, whatever the settings say.
    pub(crate) fn longest(&self) -> Duration {
        self.max_ejection.max(self.base_ejection)
    }
}

impl Default for OutlierSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejection_jitter: Duration::ZERO,
            max_ejection_percent: 10,
            always_eject_one: false,
            consecutive_5xx: 5,
            consecutive_gateway: 5,
            consecutive_local: 5,
            split_local_errors: false,
            enforce_5xx: 100,
            enforce_gateway: 0,
            enforce_local: 100,
            enforce_success_rate: 100,
            enforce_failure_percentage: 0,
            success_rate_min_hosts: 5,
            success_rate_volume: 100,
            success_rate_stdev_factor: 1900,
            failure_percentage_threshold: 85,
            failure_percentage_min_hosts: 5,
            failure_percentage_volume: 50,
            uneject_on_healthy_check: true,
        }
    }
}

macro_rules! setters {
    ($($name:ident: $type:ty),* $(,)?) => {
        impl OutlierSettings {$(
            #[doc = concat!("The same settings with this [`", stringify!($name), "`](Self#structfield.", stringify!($name), ").")]
            #[must_use]
            pub fn $name(self, $name: $type) -> Self {
                Self { $name, ..self }
            }
        )*}
    };
}
setters! {
    interval: Duration,
    base_ejection: Duration,
    max_ejection: Duration,
    max_ejection_jitter: Duration,
    max_ejection_percent: u32,
    always_eject_one: bool,
    consecutive_5xx: u32,
    consecutive_gateway: u32,
    consecutive_local: u32,
    split_local_errors: bool,
    enforce_5xx: u32,
    enforce_gateway: u32,
    enforce_local: u32,
    enforce_success_rate: u32,
    enforce_failure_percentage: u32,
    success_rate_min_hosts: u32,
    success_rate_volume: u32,
    success_rate_stdev_factor: u32,
    failure_percentage_threshold: u32,
    failure_percentage_min_hosts: u32,
    failure_percentage_volume: u32,
    uneject_on_healthy_check: bool,
}
