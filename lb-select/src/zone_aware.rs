//! Stay in the own zone, or go to which other one?

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A whole in the unit of this rule: hundredths of a percent.
const WHOLE: u64 = 10_000;

/// What [`ZoneAware`] found out about all zones together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ZoneState {
    /// The rule does not apply: zones do not matter.
    Off,
    /// The own zone has its share of endpoints, so everything stays in it.
    Direct,
    /// The own zone has less than its share: so much stays (in hundredths of a percent), the rest goes to zones that have
    /// more than theirs.
    Residual {
        /// Hundredths of a percent, below 10,000.
        local_percent: u64,
    },
}

/// Where one pick goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ZoneChoice {
    /// To any endpoint of any zone.
    Any,
    /// To an endpoint of the zone with this index in [`ZoneAware::zones`].
    Zone(usize),
}

/// Envoy's zone-aware routing: requests stay in the caller's zone as far as its endpoints can take the share of the
/// callers there; the rest goes where endpoints are left over.
///
/// Shares are integers in hundredths of a percent, as in Envoy. It knows zones by name and counts only; whether a
/// panic switches it off is the caller's decision.
///
/// ```
/// use lb_select::{ZoneAware, ZoneChoice, ZoneState};
///
/// // Callers and healthy endpoints in each zone.
/// let zones = ZoneAware::new("a", [("a", 2), ("b", 2)], [("a", 1), ("b", 5)], 6);
/// assert_eq!(zones.state(), ZoneState::Residual { local_percent: 3332 });
/// assert_eq!(zones.choose(|| 0), ZoneChoice::Zone(0)); // stays in a
/// let mut words = [9999, 0].into_iter();
/// assert_eq!(zones.choose(|| words.next().unwrap()), ZoneChoice::Zone(1)); // goes to b
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneAware {
    state: ZoneState,
    /// The index of the own zone; meant only while something stays in it.
    here: usize,
    zones: Box<[Box<str>]>,
    /// For each zone the capacity left over there and in the zones before it.
    residual: Box<[u64]>,
}

impl ZoneAware {
    /// The fewest healthy endpoints for which Envoy applies the rule, if nothing else is said.
    pub const MIN_CLUSTER_SIZE: u64 = 6;

    /// The rule for callers in the zone `here`, given the number of callers and of healthy endpoints in each zone. A zone
    /// that is named twice has the sum. The own zone comes first, others follow by name. O(zones log zones).
    ///
    /// The rule is off if fewer than two zones have endpoints or callers, if `here` has no callers, or if there are
    /// fewer than `min_cluster_size` healthy endpoints.
    pub fn new<'a>(
        here: &str,
        local: impl IntoIterator<Item = (&'a str, u32)>,
        upstream: impl IntoIterator<Item = (&'a str, u32)>,
        min_cluster_size: u64,
    ) -> Self {
        let (local, mut upstream) = (collect(local), collect(upstream));
        upstream.sort_by_key(|&(zone, _)| (zone != here, zone));
        Self::ordered(here, &local, &upstream, min_cluster_size)
    }

    /// The same rule with the zones of the endpoints in the caller's order.
    pub fn in_order<'a>(
        here: &str,
        local: impl IntoIterator<Item = (&'a str, u32)>,
        upstream: impl IntoIterator<Item = (&'a str, u32)>,
        min_cluster_size: u64,
    ) -> Self {
        Self::ordered(here, &collect(local), &collect(upstream), min_cluster_size)
    }

    fn ordered(here: &str, local: &[(&str, u64)], upstream: &[(&str, u64)], min_cluster_size: u64) -> Self {
        let (locals, hosts) = (sum(local), sum(upstream));
        // Sums are at most 2^32 zones of 2^32, and shares of them fit once the product has its own width.
        let share = |part: u64, of: u64| (u128::from(part) * u128::from(WHOLE) / u128::from(of)) as u64;
        let local_here = part(local, here);
        let zones = upstream.iter().map(|(zone, _)| Box::from(*zone)).collect();
        let at = upstream.iter().position(|(zone, _)| *zone == here).unwrap_or(0);
        let rule = |state, residual| Self { state, here: at, zones, residual };
        if upstream.len() < 2 || local.len() < 2 || local_here == 0 || hosts < min_cluster_size.max(1) {
            return rule(ZoneState::Off, Box::default());
        }
        let (u_here, l_here) = (share(part(upstream, here), hosts), share(local_here, locals));
        if u_here >= l_here {
            return rule(ZoneState::Direct, Box::default());
        }
        let mut left = 0;
        let residual = upstream.iter().map(|(zone, count)| {
            left += share(*count, hosts).saturating_sub(share(part(local, zone), locals));
            left
        });
        rule(ZoneState::Residual { local_percent: u_here * WHOLE / l_here }, residual.collect())
    }

    /// What the rule is for all picks.
    pub fn state(&self) -> ZoneState {
        self.state
    }

    /// The zones that have endpoints: the own one first, if it has, then by name (or in the caller's order).
    pub fn zones(&self) -> &[Box<str>] {
        &self.zones
    }

    /// For each zone the capacity left over in it and in those before it, in hundredths of a percent. Empty unless the
    /// state is [`ZoneState::Residual`].
    pub fn residual(&self) -> &[u64] {
        &self.residual
    }

    /// Where a pick goes: no word unless the state is [`ZoneState::Residual`], then one, and a second if the pick leaves
    /// the zone. O(log zones).
    pub fn choose(&self, mut word: impl FnMut() -> u64) -> ZoneChoice {
        match self.state {
            ZoneState::Off => ZoneChoice::Any,
            ZoneState::Direct => ZoneChoice::Zone(self.here),
            ZoneState::Residual { local_percent } if word() % WHOLE < local_percent => ZoneChoice::Zone(self.here),
            ZoneState::Residual { .. } => ZoneChoice::Zone(match self.residual.last() {
                Some(&all) if all > 0 => {
                    let wanted = word() % all;
                    self.residual.partition_point(|&up_to_here| up_to_here <= wanted)
                }
                // Only rounding leaves nothing over anywhere; at least two zones are there.
                _ => (word() % self.zones.len() as u64) as usize,
            }),
        }
    }
}

/// The zones that have any, each once.
fn collect<'a>(zones: impl IntoIterator<Item = (&'a str, u32)>) -> Vec<(&'a str, u64)> {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for (zone, count) in zones.into_iter().filter(|&(_, count)| count > 0) {
        match counts.iter_mut().find(|(known, _)| *known == zone) {
            Some((_, sum)) => *sum += u64::from(count),
            None => counts.push((zone, count.into())),
        }
    }
    counts
}

fn sum(zones: &[(&str, u64)]) -> u64 {
    zones.iter().map(|(_, count)| count).sum()
}

fn part(zones: &[(&str, u64)], wanted: &str) -> u64 {
    zones.iter().find(|(zone, _)| *zone == wanted).map_or(0, |(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    #[test]
    fn a_zone_without_endpoints_keeps_nothing() {
        let zones = ZoneAware::new("a", [("a", 1), ("b", 1)], [("b", 3), ("c", 3)], 6);
        assert_eq!(zones.state(), ZoneState::Residual { local_percent: 0 });
        assert_eq!((zones.zones()[0].as_ref(), zones.residual()), ("b", &[0, 5000][..]));
        assert_eq!(zones.choose(|| 0), ZoneChoice::Zone(1));
    }

    #[test]
    fn nothing_is_decided_without_a_choice_of_zones() {
        for (local, upstream) in [
            (vec![("a", 1), ("b", 1)], vec![("a", 9)]),
            (vec![("a", 1)], vec![("a", 9), ("b", 9)]),
            (vec![("b", 1), ("c", 1)], vec![("a", 9), ("b", 9)]),
            (vec![("a", 1), ("b", 1)], vec![("a", 2), ("b", 3)]),
        ] {
            let zones = ZoneAware::new("a", local, upstream, 6);
            assert_eq!((zones.state(), zones.choose(|| 0)), (ZoneState::Off, ZoneChoice::Any));
        }
    }

    proptest! {
        #[test]
        fn a_chosen_zone_always_has_endpoints(
            local in [0..3_u32, 0..9, 0..99, 0..u32::MAX],
            upstream in [0..3_u32, 0..9, 0..99, 0..u32::MAX],
            min in 0..8_u64,
            words in any::<[u64; 2]>(),
        ) {
            let zones = ZoneAware::new("b", NAMES.into_iter().zip(local), NAMES.into_iter().zip(upstream), min);
            let mut words = words.into_iter();
            if let ZoneChoice::Zone(index) = zones.choose(|| words.next().unwrap()) {
                let at = NAMES.iter().position(|name| **name == *zones.zones()[index]).unwrap();
                prop_assert!(upstream[at] > 0);
            }
        }
    }
}
