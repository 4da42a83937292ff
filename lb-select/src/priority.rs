//! Which priority level gets how much of the traffic, and which of them panic?

use alloc::boxed::Box;

/// How the health of priority levels becomes shares of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct PrioritySettings {
    /// Percent. With 140, a level counts as able to carry everything while 100/140 = 72 % of it is healthy. The default
    /// is 140.
    pub overprovisioning: u32,
    /// Percent of available endpoints below which a level panics, at most 100 (more counts as 100). 0 switches panic
    /// off. The default is 50.
    pub panic_threshold: u32,
}

impl PrioritySettings {
    /// The same settings with this [`overprovisioning`](Self#structfield.overprovisioning).
    #[must_use]
    pub fn overprovisioning(self, overprovisioning: u32) -> Self {
        Self { overprovisioning, ..self }
    }

    /// The same settings with this [`panic_threshold`](Self#structfield.panic_threshold).
    #[must_use]
    pub fn panic_threshold(self, panic_threshold: u32) -> Self {
        Self { panic_threshold, ..self }
    }
}

impl Default for PrioritySettings {
    fn default() -> Self {
        Self { overprovisioning: 140, panic_threshold: 50 }
    }
}

/// Endpoints of one priority level by health: counts, or sums of weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LevelHealth {
    /// All of them, excluded ones too.
    pub total: u64,
    /// Those that work.
    pub healthy: u64,
    /// Those that work and are to be used last.
    pub degraded: u64,
    /// Those whose health is not known yet. They count in no denominator.
    pub excluded: u64,
}

impl LevelHealth {
    /// Those whose health is known.
    fn known(&self) -> u64 {
        self.total.saturating_sub(self.excluded)
    }

    /// `overprovisioning` percent of the share that `part` has, in percent and at most 100.
    fn availability(&self, part: u64, overprovisioning: u32) -> u32 {
        let scaled = u128::from(part) * u128::from(overprovisioning);
        // At most 100, so that the cast keeps it.
        scaled.checked_div(self.known().into()).map_or(0, |percent| percent.min(100) as u32)
    }

    fn panics(&self, threshold: u32) -> bool {
        let available = (u128::from(self.healthy) + u128::from(self.degraded)) * 100;
        let needed = u128::from(self.known()) * u128::from(threshold.min(100));
        available < needed || (self.known() == 0 && threshold > 0)
    }
}

/// One priority level; the first is the most wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Level {
    /// Its endpoints, counted.
    pub counts: LevelHealth,
    /// Its endpoints by weight, if weights and not counts are to decide shares (Envoy's `weighted_priority_health`).
    /// Panic always looks at counts.
    pub weights: Option<LevelHealth>,
    /// Its own overprovisioning factor in percent, in place of that of the settings.
    pub overprovisioning: Option<u32>,
}

impl Level {
    /// A level whose endpoints count alike.
    pub fn new(counts: LevelHealth) -> Self {
        Self { counts, weights: None, overprovisioning: None }
    }

    /// The same level with shares by weight.
    #[must_use]
    pub fn weights(self, weights: LevelHealth) -> Self {
        Self { weights: Some(weights), ..self }
    }

    /// The same level with its own overprovisioning factor, in percent.
    #[must_use]
    pub fn overprovisioning(self, percent: u32) -> Self {
        Self { overprovisioning: Some(percent), ..self }
    }

    /// Percent of the level's traffic that its healthy, and that its degraded endpoints can take.
    fn availability(&self, settings: &PrioritySettings) -> (u32, u32) {
        let health = self.weights.as_ref().unwrap_or(&self.counts);
        let factor = self.overprovisioning.unwrap_or(settings.overprovisioning);
        (health.availability(health.healthy, factor), health.availability(health.degraded, factor))
    }
}

/// Which endpoints of a priority level are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Availability {
    /// The healthy ones.
    Healthy,
    /// The degraded ones.
    Degraded,
}

/// The shares of priority levels in the traffic, by Envoy's integer arithmetic (`load_balancer_impl.cc`).
///
/// A level takes what its health allows, what is left spills to the next; degraded endpoints come after the healthy ones
/// of all levels. When less than everything can be carried, levels below the panic threshold panic: all their endpoints
/// are then used. When all levels panic, shares follow the number of endpoints alone.
///
/// ```
/// use lb_select::{Availability, Level, LevelHealth, PriorityLoads, PrioritySettings};
///
/// let half = Level::new(LevelHealth { total: 100, healthy: 50, ..LevelHealth::default() });
/// let loads = PriorityLoads::new(&[half.clone(), half], &PrioritySettings::default());
/// assert_eq!(loads.healthy(), [70, 30]);
/// assert_eq!(loads.choose(69), Some((0, Availability::Healthy)));
/// assert_eq!(loads.choose(70), Some((1, Availability::Healthy)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityLoads {
    total: u32,
    healthy: Box<[u32]>,
    degraded: Box<[u32]>,
    panic: Box<[bool]>,
}

impl PriorityLoads {
    /// The shares of these levels. O(levels).
    pub fn new(levels: &[Level], settings: &PrioritySettings) -> Self {
        Self::with_tried(levels, &[], settings)
    }

    /// The shares of these levels for a retry: levels whose index is in `tried` count as without available endpoints.
    /// If that leaves nobody, or all were tried, the original shares return (Envoy's `previous_priorities`).
    /// O(levels × tried).
    pub fn with_tried(levels: &[Level], tried: &[usize], settings: &PrioritySettings) -> Self {
        let available = |index: usize, level: &Level| match tried.contains(&index) {
            true => (0, 0),
            false => level.availability(settings),
        };
        let parts: Box<[(u32, u32)]> = levels.iter().enumerate().map(|(i, level)| available(i, level)).collect();
        let total = parts.iter().fold(0_u32, |sum, (h, d)| sum.saturating_add(h + d)).min(100);
        if total == 0 && !tried.is_empty() {
            return Self::with_tried(levels, &[], settings);
        }
        let mut loads = Self {
            total,
            healthy: parts.iter().map(|_| 0).collect(),
            degraded: parts.iter().map(|_| 0).collect(),
            panic: parts.iter().map(|_| false).collect(),
        };
        loads.spill(&parts);
        if tried.is_empty() {
            loads.panic(levels, settings.panic_threshold);
        }
        loads
    }

    /// Gives every level what it can take of what is left.
    fn spill(&mut self, parts: &[(u32, u32)]) {
        let total = self.total;
        if total == 0 {
            return;
        }
        let mut left = 100;
        let mut take = |availability: u32| {
            let load = (availability * 100 / total).min(left);
            left -= load;
            load
        };
        for (load, (health, _)) in self.healthy.iter_mut().zip(parts) {
            *load = take(*health);
        }
        for (load, (_, degraded)) in self.degraded.iter_mut().zip(parts) {
            *load = take(*degraded);
        }
        // What rounding down has left over.
        if let Some(first) = parts.iter().position(|(health, _)| *health > 0) {
            self.healthy[first] += left;
        } else if let Some(first) = parts.iter().position(|(_, degraded)| *degraded > 0) {
            self.degraded[first] += left;
        }
    }

    fn panic(&mut self, levels: &[Level], threshold: u32) {
        if self.total == 0 && threshold == 0 {
            // Nothing is alive and nothing may panic: the traffic still belongs somewhere, and finds no endpoint there.
            if let Some(first) = self.healthy.first_mut() {
                *first = 100;
            }
        } else if self.total < 100 {
            for (panic, level) in self.panic.iter_mut().zip(levels) {
                *panic = level.counts.panics(threshold);
            }
            if self.total_panic() {
                self.share_by_count(levels);
            }
        }
    }

    fn share_by_count(&mut self, levels: &[Level]) {
        let hosts = |level: &Level| u128::from(level.counts.total);
        let all: u128 = levels.iter().map(hosts).sum();
        let mut left = 100;
        for ((healthy, degraded), level) in self.healthy.iter_mut().zip(&mut self.degraded).zip(levels) {
            // At most 100, because a part is at most the sum.
            *healthy = (hosts(level) * 100).checked_div(all).unwrap_or(0) as u32;
            *degraded = 0;
            left -= *healthy;
        }
        let first = levels.iter().position(|level| level.counts.total > 0).unwrap_or(0);
        if let Some(load) = self.healthy.get_mut(first) {
            *load += left;
        }
    }

    /// Percent of each level that its healthy endpoints get (in panic: all its endpoints).
    pub fn healthy(&self) -> &[u32] {
        &self.healthy
    }

    /// Percent of each level that its degraded endpoints get.
    pub fn degraded(&self) -> &[u32] {
        &self.degraded
    }

    /// For each level whether it panics: all its endpoints are to be used, or none if the caller rather fails.
    pub fn panics(&self) -> &[bool] {
        &self.panic
    }

    /// Whether every level panics. False without levels.
    pub fn total_panic(&self) -> bool {
        !self.panic.is_empty() && self.panic.iter().all(|&panic| panic)
    }

    /// What all levels together can carry, in percent, at most 100.
    pub fn normalized_total(&self) -> u32 {
        self.total
    }

    /// The level for a request with this hash (a random word, if the policy inside does not hash), and which of its
    /// endpoints: the first cumulative share that reaches `hash mod 100 + 1`. `None` without levels. O(levels).
    pub fn choose(&self, hash: u64) -> Option<(usize, Availability)> {
        let wanted = (hash % 100) as u32 + 1; // below 101, so that the cast keeps it
        let healthy = self.healthy.iter().enumerate().map(|(i, load)| ((i, Availability::Healthy), load));
        let degraded = self.degraded.iter().enumerate().map(|(i, load)| ((i, Availability::Degraded), load));
        let mut sum = 0;
        healthy.chain(degraded).find_map(|(choice, load)| {
            sum += load;
            (sum >= wanted).then_some(choice)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn levels(healthy_of_100: &[u64]) -> Vec<Level> {
        let level = |&healthy| Level::new(LevelHealth { total: 100, healthy, ..LevelHealth::default() });
        healthy_of_100.iter().map(level).collect()
    }

    fn loads(healthy_of_100: &[u64]) -> Vec<u32> {
        let settings = PrioritySettings::default().panic_threshold(0);
        PriorityLoads::new(&levels(healthy_of_100), &settings).healthy().to_vec()
    }

    /// The table of Envoy's priority documentation, with the code's answer where its text differs.
    #[test]
    fn shares_spill_over_as_envoy_computes_them() {
        for (healthy, expected) in [
            (&[72, 72][..], &[100, 0][..]),
            (&[71, 71], &[99, 1]),
            (&[50, 50], &[70, 30]),
            (&[25, 100], &[35, 65]),
            (&[25, 25], &[50, 50]),
            (&[5, 65], &[8, 92]),
            (&[25, 25, 20], &[37, 35, 28]),
        ] {
            assert_eq!(loads(healthy), expected, "{healthy:?}");
        }
    }

    #[test]
    fn exactly_the_threshold_is_no_panic() {
        let panics = |healthy| PriorityLoads::new(&levels(healthy), &PrioritySettings::default()).panics().to_vec();
        assert_eq!(panics(&[50]), [false]);
        assert_eq!(panics(&[49]), [true]);
        assert_eq!(panics(&[20, 100]), [false, false], "there is enough elsewhere");
    }

    #[test]
    fn with_panic_off_and_nobody_alive_the_first_level_is_asked_in_vain() {
        let loads = PriorityLoads::new(&levels(&[0, 0]), &PrioritySettings::default().panic_threshold(0));
        assert_eq!((loads.healthy(), loads.panics()), (&[100, 0][..], &[false, false][..]));
    }

    #[test]
    fn a_retry_goes_to_levels_not_tried_and_starts_again_after_the_last() {
        let levels = levels(&[100, 100, 100]);
        let settings = PrioritySettings::default();
        let with = |tried: &[usize]| PriorityLoads::with_tried(&levels, tried, &settings).healthy().to_vec();
        assert_eq!(with(&[0]), [0, 100, 0]);
        assert_eq!(with(&[1, 0]), [0, 0, 100]);
        assert_eq!(with(&[0, 1, 2]), [100, 0, 0]);
    }

    #[test]
    fn without_levels_there_is_nothing_to_choose() {
        let loads = PriorityLoads::new(&[], &PrioritySettings::default());
        assert_eq!((loads.choose(7), loads.total_panic()), (None, false));
    }

    fn health() -> impl Strategy<Value = LevelHealth> {
        let number = || prop_oneof![0..20_u64, Just(u64::MAX)];
        [number(), number(), number(), number()].prop_map(|[total, healthy, degraded, excluded]| LevelHealth {
            total,
            healthy,
            degraded,
            excluded,
        })
    }

    proptest! {
        /// Also for numbers that fit no cluster: the shares are a hundred hundredths.
        #[test]
        fn shares_always_add_up_to_a_hundred_and_every_hash_finds_a_level(
            levels in proptest::collection::vec((health(), proptest::option::of(health())), 1..5),
            overprovisioning in prop_oneof![100..200_u32, Just(u32::MAX)],
            panic_threshold in prop_oneof![0..120_u32, Just(u32::MAX)],
            hash in any::<u64>(),
        ) {
            let levels: Vec<Level> = levels
                .into_iter()
                .map(|(counts, weights)| Level { counts, weights, overprovisioning: None })
                .collect();
            let settings = PrioritySettings { overprovisioning, panic_threshold };
            let loads = PriorityLoads::new(&levels, &settings);
            let sum: u32 = loads.healthy().iter().chain(loads.degraded()).sum();
            // Weights of 0 beside healthy counts leave a level without share and without panic.
            if loads.normalized_total() > 0 || loads.total_panic() || panic_threshold == 0 {
                prop_assert_eq!(sum, 100);
                prop_assert!(loads.choose(hash).is_some());
            }
        }
    }
}
