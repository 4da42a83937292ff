//! Which of the probed endpoints? Prequal's rule of hot and cold.

use core::time::Duration;

/// What an endpoint answered to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probe {
    /// Its requests in flight.
    pub in_flight: u32,
    /// The latency it estimates for a request that comes now.
    pub latency: Duration,
}

/// The answer of [`hot_cold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HotCold {
    /// The index of the chosen probe.
    pub index: usize,
    /// Whether it is cold: not above the threshold.
    pub cold: bool,
}

/// Chooses among probes (Prequal, NSDI 2024): if any is cold, that is, its requests in flight are not above the
/// threshold, then the cold one with the least latency; else the one with the fewest requests in flight. Then latency,
/// then order decide. `None` without probes. O(n).
pub fn hot_cold(probes: impl IntoIterator<Item = Probe>, threshold: u32) -> Option<HotCold> {
    // As a key to compare: cold ones first and by latency alone, hot ones by requests in flight and then latency.
    let key = |probe: Probe| {
        let hot = probe.in_flight > threshold;
        (hot, if hot { probe.in_flight } else { 0 }, probe.latency)
    };
    let (index, probe) = probes.into_iter().enumerate().min_by_key(|&(_, probe)| key(probe))?;
    Some(HotCold { index, cold: probe.in_flight <= threshold })
}

/// The threshold between cold and hot: the `quantile` (from 0 to 1) of recently seen requests in flight, by nearest
/// rank. Sorts `recent`. `None` if there are none. O(n log n).
///
/// ```
/// assert_eq!(lb_select::in_flight_quantile(&mut [9, 1, 3, 2], 0.75), Some(3));
/// ```
pub fn in_flight_quantile(recent: &mut [u32], quantile: f64) -> Option<u32> {
    recent.sort_unstable();
    let wanted = quantile.clamp(0.0, 1.0) * recent.len() as f64;
    let whole = wanted as usize;
    let rank = whole + usize::from((whole as f64) < wanted); // rounded up
    recent.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn probe(in_flight: u32, millis: u64) -> Probe {
        Probe { in_flight, latency: Duration::from_millis(millis) }
    }

    #[test]
    fn a_cold_endpoint_goes_before_a_faster_hot_one() {
        let probes = [probe(9, 1), probe(2, 12), probe(1, 30), probe(0, 12)];
        assert_eq!(hot_cold(probes, 3), Some(HotCold { index: 1, cold: true }));
    }

    #[test]
    fn among_hot_endpoints_the_emptiest_wins_then_the_fastest_then_the_first() {
        let probes = [probe(9, 1), probe(8, 5), probe(8, 4), probe(8, 4)];
        assert_eq!(hot_cold(probes, 3), Some(HotCold { index: 2, cold: false }));
        assert_eq!(hot_cold([], 3), None);
    }

    proptest! {
        #[test]
        fn the_quantile_is_the_least_value_with_enough_at_or_below_it(
            recent in proptest::collection::vec(0..50_u32, 1..40),
            quantile in 0.0..=1.0_f64,
        ) {
            let mut sorted = recent.clone();
            let threshold = in_flight_quantile(&mut sorted, quantile).unwrap();
            let at_most = |limit: u32| recent.iter().filter(|&&value| value <= limit).count() as f64;
            prop_assert!(at_most(threshold) >= quantile * recent.len() as f64);
            prop_assert!(threshold == sorted[0] || at_most(threshold - 1) < quantile * recent.len() as f64);
        }

        #[test]
        fn no_quantile_panics(recent in proptest::collection::vec(any::<u32>(), 0..5), quantile in any::<f64>()) {
            let mut copy = recent.clone();
            prop_assert_eq!(in_flight_quantile(&mut copy, quantile).is_some(), !recent.is_empty());
        }
    }
}
