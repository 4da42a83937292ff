//! How busy is an endpoint, and may it be used right now? What is known about it from moment to moment.

use crate::gate::Gate;
#[cfg(feature = "std")]
use crate::{Ewma, EwmaSettings, latency::LatencyCell};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "std")]
use core::time::Duration;

/// The running state of one endpoint: requests in flight, recent latency, open or closed.
///
/// It belongs to the endpoint's *key*: a pool built with [`carry_over`](crate::PoolBuilder::carry_over) goes on with the
/// state of the pool before, so that both versions, and every guard still out, count in one place.
///
/// Counts are exact; but two threads that pick at the same moment may see the same numbers.
pub struct Load {
    /// What guards count: in flight in the lower half, closing in the upper.
    counted: AtomicU64,
    /// What the caller reports, in the same form.
    reported: AtomicU64,
    /// When it came up, in nanoseconds; 0 for before all times.
    #[cfg(feature = "std")]
    since: AtomicU64,
    #[cfg(feature = "std")]
    latency: LatencyCell,
    gate: Gate,
}

/// One request in flight, and one connection that closes. 2^32 guards cannot be alive at once on a machine that has to
/// hold them, so the halves do not run into each other.
const ACTIVE: u64 = 1;
const INACTIVE: u64 = 1 << 32;

impl Load {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            counted: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            #[cfg(feature = "std")]
            since: AtomicU64::new(0),
            #[cfg(feature = "std")]
            latency: LatencyCell::default(),
            gate,
        }
    }

    /// Requests or connections in flight: those that [guards](InFlight) count, and those [reported](Self::report).
    #[inline]
    pub fn active(&self) -> u32 {
        let (counted, reported) = (self.counted.load(Ordering::Relaxed), self.reported.load(Ordering::Relaxed));
        (counted as u32).saturating_add(reported as u32)
    }

    /// Connections that are closing: those that guards [count so](InFlight::close), and those [reported](Self::report).
    #[inline]
    pub fn inactive(&self) -> u32 {
        let (counted, reported) = (self.counted.load(Ordering::Relaxed), self.reported.load(Ordering::Relaxed));
        ((counted >> 32) as u32).saturating_add((reported >> 32) as u32)
    }

    /// Says how many requests are in flight and how many connections closing that no guard here counts, instead of
    /// what was reported before: for a caller with counters of its own, or an endpoint that tells its load.
    pub fn report(&self, active: u32, inactive: u32) {
        self.reported.store(u64::from(active) * ACTIVE + u64::from(inactive) * INACTIVE, Ordering::Relaxed);
    }

    /// Takes the endpoint out of new picks from this moment, for all pools that share this state: it failed its check,
    /// was ejected, or is to be left alone. Only a layer in panic ignores it.
    ///
    /// A pool can also be rebuilt with another [`Health`](crate::Health), which layers need for their shares; this is
    /// what takes effect at once.
    pub fn close(&self) {
        self.gate.close();
    }

    /// Lets a [closed](Self::close) endpoint be picked again.
    pub fn open(&self) {
        self.gate.open();
    }

    /// Whether the endpoint is [closed](Self::close).
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Counts one request as in flight until the guard is dropped. [`Pool::start`](crate::Pool::start) does this by index.
    pub fn start(self: &Arc<Self>) -> InFlight {
        self.counted.fetch_add(ACTIVE, Ordering::Relaxed);
        InFlight { load: Arc::clone(self), counts: ACTIVE }
    }
}

#[cfg(feature = "std")]
impl Load {
    /// Takes how long a request took into the average of latencies, which is in seconds.
    ///
    /// A request that failed must count as well, at the least with the time it ran, or an endpoint that fails fast looks
    /// fast. One that was cancelled, such as the slower copy of a hedged request, counts with the time it ran or not at all.
    pub fn record(&self, latency: Duration, now: Duration, settings: &EwmaSettings) {
        let sample = latency.as_secs_f64();
        self.latency.update(|average| match average {
            Some(mut average) => {
                average.record(sample, now, settings);
                average
            }
            None => Ewma::new(sample, now),
        });
    }

    /// Starts the average of an endpoint that has none yet with a value in seconds, such as the mean of its siblings.
    pub fn assume(&self, seconds: f64, now: Duration) {
        if !seconds.is_nan() {
            self.latency.update(|average| average.unwrap_or(Ewma::new(seconds, now)));
        }
    }

    /// The average of latencies, in seconds; `None` before the first one.
    #[inline]
    pub fn latency(&self) -> Option<Ewma> {
        self.latency.read()
    }

    /// Says when the endpoint was added or became healthy, from which [`SlowStart`](crate::SlowStart) counts. Without this,
    /// it has been there for ever.
    pub fn came_up(&self, now: Duration) {
        let since = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.since.store(since.max(1), Ordering::Relaxed);
    }

    /// How long ago the endpoint came up; `None` for ever.
    pub fn up_for(&self, now: Duration) -> Option<Duration> {
        let since = self.since.load(Ordering::Relaxed);
        (since > 0).then(|| now.saturating_sub(Duration::from_nanos(since)))
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("active", &self.active())
            .field("inactive", &self.inactive())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// One request in flight. Dropping it takes it off the count, exactly once, even if the endpoint has left its pool.
#[derive(Debug)]
#[must_use = "the request counts only as long as the guard is kept"]
pub struct InFlight {
    load: Arc<Load>,
    counts: u64,
}

impl InFlight {
    /// The state of the endpoint.
    pub fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Counts the connection as [closing](Load::inactive) from now on instead of in flight.
    pub fn close(&mut self) {
        if self.counts == ACTIVE {
            self.load.counted.fetch_add(INACTIVE - ACTIVE, Ordering::Relaxed);
            self.counts = INACTIVE;
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.load.counted.fetch_sub(self.counts, Ordering::Relaxed);
    }
}
