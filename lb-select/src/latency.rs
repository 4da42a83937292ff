//! What was last known about an endpoint's latency, and as of when? Two numbers that change together.

use crate::Ewma;
use core::fmt;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

/// A moving average under a sequence lock: readers write nothing, so picks on many threads share the line, and a writer
/// excludes others only for the arithmetic of one sample.
pub(crate) struct LatencyCell {
    /// Odd while a writer is at work.
    version: AtomicU64,
    /// Bits of an `f64`; NaN before the first sample.
    value: AtomicU64,
    /// Nanoseconds from the caller's start.
    at: AtomicU64,
}

impl LatencyCell {
    /// The latest average, or `None` before the first sample.
    #[inline]
    pub(crate) fn read(&self) -> Option<Ewma> {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let average = self.load();
            // Both loads are acquiring, so the second look at the version comes after them.
            if before & 1 == 0 && self.version.load(Ordering::Relaxed) == before {
                return average;
            }
            spin_loop();
        }
    }

    /// Replaces the average by what `next` makes of it. `next` must not panic, and is called once.
    pub(crate) fn update(&self, next: impl FnOnce(Option<Ewma>) -> Ewma) {
        let mut before = self.version.load(Ordering::Relaxed);
        loop {
            let even = before & !1;
            match self.version.compare_exchange_weak(even, even + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => before = now,
            }
            spin_loop();
        }
        let average = next(self.load());
        // Five centuries are enough.
        let at = u64::try_from(average.at().as_nanos()).unwrap_or(u64::MAX);
        // Releasing, so that who sees either store also sees that the version is odd.
        self.value.store(average.value().to_bits(), Ordering::Release);
        self.at.store(at, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }

    #[inline]
    fn load(&self) -> Option<Ewma> {
        let value = f64::from_bits(self.value.load(Ordering::Acquire));
        let at = self.at.load(Ordering::Acquire);
        (!value.is_nan()).then(|| Ewma::new(value, Duration::from_nanos(at)))
    }
}

impl Default for LatencyCell {
    fn default() -> Self {
        Self { version: AtomicU64::new(0), value: AtomicU64::new(f64::NAN.to_bits()), at: AtomicU64::new(0) }
    }
}

impl fmt::Debug for LatencyCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}
