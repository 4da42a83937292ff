//! May another connection, request or retry be started? Limits of what is in use at once.

use core::fmt;

/// What is about to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Demand {
    /// A connection to an endpoint.
    Connection,
    /// A request that has to wait for a connection.
    Pending,
    /// A request.
    Request,
    /// A retry of a request.
    Retry,
}

/// What is in use at the moment of asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct InUse {
    /// Connections.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests in flight, retries included.
    pub requests: u32,
    /// Retries in flight.
    pub retries: u32,
}

/// Retries as a part of what is under way, in place of a fixed number.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct RetryBudget {
    /// Percent of active and pending requests that may be retries. The default is 20.
    pub percent: f64,
    /// Retries that are allowed in any case. The default is 3.
    pub min_concurrency: u32,
}

impl RetryBudget {
    /// The same budget with this [`percent`](Self#structfield.percent).
    #[must_use]
    pub fn percent(self, percent: f64) -> Self {
        Self { percent, ..self }
    }

    /// The same budget with this [`min_concurrency`](Self#structfield.min_concurrency).
    #[must_use]
    pub fn min_concurrency(self, min_concurrency: u32) -> Self {
        Self { min_concurrency, ..self }
    }

    /// The retries allowed while so much is in use: the part without its fraction, or the minimum if that is more.
    pub fn limit(&self, in_use: &InUse) -> u32 {
        let under_way = f64::from(in_use.requests) + f64::from(in_use.pending);
        // A cast drops the fraction, takes what is not a number for 0 and keeps within u32.
        ((under_way * self.percent / 100.0) as u32).max(self.min_concurrency)
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20.0, min_concurrency: 3 }
    }
}

/// Envoy's circuit breaker thresholds of one priority: something is refused when as much as the limit is in use.
///
/// ```
/// use lb_select::{CircuitLimits, Demand, InUse};
///
/// let limits = CircuitLimits::default();
/// let in_use = InUse { retries: 3, ..InUse::default() };
/// assert!(limits.admit(Demand::Request, &in_use).is_ok());
/// assert!(limits.admit(Demand::Retry, &in_use).is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct CircuitLimits {
    /// Connections; 1024 by default.
    pub max_connections: u32,
    /// Requests that wait for a connection; 1024 by default.
    pub max_pending_requests: u32,
    /// Requests; 1024 by default.
    pub max_requests: u32,
    /// Retries, if there is no budget; 3 by default.
    pub max_retries: u32,
    /// A budget that decides about retries instead.
    pub retry_budget: Option<RetryBudget>,
}

impl CircuitLimits {
    /// The same limits with this [`max_connections`](Self#structfield.max_connections).
    #[must_use]
    pub fn max_connections(self, max_connections: u32) -> Self {
        Self { max_connections, ..self }
    }

    /// The same limits with this [`max_pending_requests`](Self#structfield.max_pending_requests).
    #[must_use]
    pub fn max_pending_requests(self, max_pending_requests: u32) -> Self {
        Self { max_pending_requests, ..self }
    }

    /// The same limits with this [`max_requests`](Self#structfield.max_requests).
    #[must_use]
    pub fn max_requests(self, max_requests: u32) -> Self {
        Self { max_requests, ..self }
    }

    /// The same limits with this [`max_retries`](Self#structfield.max_retries).
    #[must_use]
    pub fn max_retries(self, max_retries: u32) -> Self {
        Self { max_retries, ..self }
    }

    /// The same limits with this [`retry_budget`](Self#structfield.retry_budget).
    #[must_use]
    pub fn retry_budget(self, retry_budget: RetryBudget) -> Self {
        Self { retry_budget: Some(retry_budget), ..self }
    }

    /// Whether it may be started while so much is in use. O(1).
    ///
    /// # Errors
    /// Says which limit is reached.
    pub fn admit(&self, demand: Demand, in_use: &InUse) -> Result<(), CircuitOpen> {
        let (used, limit, open) = match demand {
            Demand::Connection => (in_use.connections, self.max_connections, CircuitOpen::Connections),
            Demand::Pending => (in_use.pending, self.max_pending_requests, CircuitOpen::PendingRequests),
            Demand::Request => (in_use.requests, self.max_requests, CircuitOpen::Requests),
            Demand::Retry => {
                let limit = self.retry_budget.map_or(self.max_retries, |budget| budget.limit(in_use));
                (in_use.retries, limit, CircuitOpen::Retries)
            }
        };
        if used < limit { Ok(()) } else { Err(open) }
    }
}

impl Default for CircuitLimits {
    fn default() -> Self {
        let (all, max_retries) = (1024, 3);
        Self { max_connections: all, max_pending_requests: all, max_requests: all, max_retries, retry_budget: None }
    }
}

/// Which limit of [`CircuitLimits`] is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitOpen {
    /// That of connections.
    Connections,
    /// That of requests that wait.
    PendingRequests,
    /// That of requests.
    Requests,
    /// That of retries: the number, or the budget.
    Retries,
}

impl CircuitOpen {
    /// The name of the limit in Envoy's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "max_connections",
            Self::PendingRequests => "max_pending_requests",
            Self::Requests => "max_requests",
            Self::Retries => "max_retries",
        }
    }
}

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the limit {} is reached", self.name())
    }
}

impl core::error::Error for CircuitOpen {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_allows_its_part_and_never_less_than_the_minimum() {
        let budget = RetryBudget::default();
        let limit = |requests, pending| budget.limit(&InUse { requests, pending, ..InUse::default() });
        assert_eq!(limit(0, 0), 3);
        assert_eq!(limit(20, 4), 4);
        assert_eq!(limit(20, 5), 5);
        assert_eq!(budget.percent(f64::MAX).limit(&InUse { requests: 9, ..InUse::default() }), u32::MAX);
        assert_eq!(budget.percent(f64::NAN).limit(&InUse { requests: 9, ..InUse::default() }), 3);
    }

    #[test]
    fn each_demand_has_its_own_limit() {
        let limits = CircuitLimits::default().max_connections(1).max_pending_requests(2).max_requests(3).max_retries(4);
        let in_use = InUse { connections: 1, pending: 2, requests: 3, retries: 4 };
        let less = InUse { connections: 0, pending: 1, requests: 2, retries: 3 };
        for (demand, open) in [
            (Demand::Connection, CircuitOpen::Connections),
            (Demand::Pending, CircuitOpen::PendingRequests),
            (Demand::Request, CircuitOpen::Requests),
            (Demand::Retry, CircuitOpen::Retries),
        ] {
            assert_eq!(limits.admit(demand, &in_use), Err(open));
            assert_eq!(limits.admit(demand, &less), Ok(()));
        }
    }
}
