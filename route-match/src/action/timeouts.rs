//! How long may it take, and when is it tried again?

use std::time::Duration;

/// How long a request may take; `None` and zero are without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From the first byte of the request to the last of the response, retries included.
    pub request: Option<Duration>,
    /// The same for each attempt.
    pub backend_request: Option<Duration>,
}

/// When a request is sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How many times at most, the first attempt not counted; `None` leaves it to the proxy.
    pub attempts: Option<u32>,
    /// How long to wait at least between two attempts.
    pub backoff: Option<Duration>,
    /// Statuses after which to try again.
    pub statuses: Vec<u16>,
    /// Conditions by their names in the dialect (`connect-failure`).
    pub conditions: Vec<Box<str>>,
}
