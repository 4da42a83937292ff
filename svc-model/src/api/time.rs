//! An instant, as manifests write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in RFC 3339 form (`2026-11-20T10:00:00Z`), to the second as the Kubernetes API keeps it.
///
/// Ordered by time. Parsed and printed without a clock or a time zone database.
///
/// ```
/// use svc_model::api::Time;
/// let a: Time = "2026-11-20T10:00:00+02:00".parse()?;
/// assert_eq!(a.to_string(), "2026-11-20T08:00:00Z");
/// assert_eq!(a.unix_seconds(), 1_795_161_600);
/// # Ok::<(), svc_model::api::TimeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// An instant from seconds since 1970-01-01T00:00:00Z; `None` outside the years -9999 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Option<Time> {
        jiff::Timestamp::from_second(seconds).ok().map(|_| Time(seconds))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> i64 {
        self.0
    }
}

/// A text that is no RFC 3339 instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no RFC 3339 instant such as 2026-11-20T10:00:00Z")]
pub struct TimeError {
    value: String,
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Time, TimeError> {
        let instant: jiff::Timestamp =
            text.parse().map_err(|_| TimeError { value: text.chars().take(64).collect() })?;
        Ok(Time(instant.as_second()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every constructor goes through `jiff`, so the seconds are in its range.
        let instant = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        write!(f, "{instant}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
