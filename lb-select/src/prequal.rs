//! Who answered a probe best? Prequal's pool of probes.

use crate::candidates::ToCandidates;
use crate::{Choice, P2c, Pick, Policy, Probe, Reason, Sequence, Unavailable, hot_cold, in_flight_quantile};
use alloc::vec::Vec;
use core::time::Duration;

/// Chooses by probes answered lately (Prequal, NSDI 2024): of those whose endpoints are not *hot* the one with the least
/// latency, else the one with the fewest requests in flight ([`hot_cold`]).
///
/// The caller sends the probes, about [`PrequalSettings::PROBES_A_REQUEST`] for each request to endpoints chosen at random, and
/// gives the answers to [`probed`](Self::probed). Probes are dropped when they are old or used up, and one with each request,
/// the worst and the oldest by turns, so that the pool does not fill with bad ones. With fewer than two probes the
/// choice is that of [`P2c`], with its words. O(probes).
///
/// ```
/// use lb_select::{Pick, Pool, Prequal, PrequalSettings, Probe, Sequence};
/// use std::time::Duration;
///
/// let pool = Pool::of(["a", "b", "c"])?;
/// let mut policy = Prequal::new(&pool, PrequalSettings::default());
/// let now = Duration::from_secs(1);
/// policy.probed(0, Probe { in_flight: 1, latency: Duration::from_millis(9) }, now);
/// policy.probed(2, Probe { in_flight: 1, latency: Duration::from_millis(5) }, now);
/// let mut words = || 0;
/// assert_eq!(policy.next(&mut Pick::new(now, &mut words))?.index, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Prequal {
    fallback: P2c,
    settings: PrequalSettings,
    probes: Vec<Answered>,
    /// Requests in flight seen lately, a ring; and the same in order.
    recent: Vec<u32>,
    sorted: Vec<u32>,
    seen: usize,
    threshold: u32,
    drop_oldest: bool,
}

/// The settings of [`Prequal`], made from their [`Default`], which are those of the paper where it gives them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct PrequalSettings {
    /// How many probes are kept: 16.
    pub probes: u16,
    /// Endpoints with more in flight than this share of answers have are hot: 2^−0.25, about 0.84.
    pub quantile: f64,
    /// After which age a probe is dropped: 1 s.
    pub max_age: Duration,
    /// How often a probe is used: 3 times.
    pub max_uses: u16,
    /// From how many answers the quantile is taken: 128.
    pub recent: u16,
}

impl PrequalSettings {
    /// How many probes the paper sends for each request.
    pub const PROBES_A_REQUEST: u32 = 3;
}

impl Default for PrequalSettings {
    fn default() -> Self {
        let max_age = Duration::from_secs(1);
        Self { probes: 16, quantile: 0.840_896_415_253_714_5, max_age, max_uses: 3, recent: 128 }
    }
}

#[derive(Debug, Clone, Copy)]
struct Answered {
    index: usize,
    probe: Probe,
    at: Duration,
    uses: u16,
}

impl Prequal {
    /// A pool without probes.
    pub fn new(candidates: &impl ToCandidates, settings: PrequalSettings) -> Self {
        let capacity = usize::from(settings.probes);
        let recent = usize::from(settings.recent);
        Self {
            fallback: P2c::new(candidates),
            settings,
            probes: Vec::with_capacity(capacity),
            recent: Vec::with_capacity(recent),
            sorted: Vec::with_capacity(recent),
            seen: 0,
            threshold: 0,
            drop_oldest: false,
        }
    }

    /// Takes the answer of the endpoint at `index` to a probe; the oldest probe makes room. O(recent · log recent).
    pub fn probed(&mut self, index: usize, probe: Probe, now: Duration) {
        let recent = usize::from(self.settings.recent);
        if self.recent.len() < recent {
            self.recent.push(probe.in_flight);
        } else if let Some(slot) = self.seen.checked_rem(recent) {
            self.recent[slot] = probe.in_flight;
        }
        self.seen = self.seen.wrapping_add(1);
        self.sorted.clear();
        self.sorted.extend(&self.recent);
        self.threshold = in_flight_quantile(&mut self.sorted, self.settings.quantile).unwrap_or(0);
        if self.probes.len() >= usize::from(self.settings.probes) {
            if self.probes.is_empty() {
                return; // no probe is to be kept
            }
            self.probes.remove(0);
        }
        self.probes.push(Answered { index, probe, at: now, uses: 0 });
    }

    /// The same over the next version of the pool, with the probes of endpoints that stay.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        let mut new = Self::new(candidates, self.settings);
        let (before, after) =
            (self.fallback.eligible().admission.members(), new.fallback.eligible().admission.members());
        let moved = |answered: &Answered| {
            let index = after.position(before.key(answered.index)?)?;
            Some(Answered { index, ..*answered })
        };
        new.probes.extend(self.probes.iter().filter_map(moved));
        new.recent.extend(&self.recent);
        (new.seen, new.threshold, new.drop_oldest) = (self.seen, self.threshold, self.drop_oldest);
        new
    }

    /// In flight above this is hot.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Drops the probe that tells least: the oldest, or by turns the worst.
    fn drop_one(&mut self) {
        self.drop_oldest = !self.drop_oldest;
        let worst = |answered: &Answered| {
            let hot = answered.probe.in_flight > self.threshold;
            (hot, if hot { answered.probe.in_flight } else { 0 }, answered.probe.latency)
        };
        let worst = self.probes.iter().enumerate().max_by_key(|(_, answered)| worst(answered)).map(|(at, _)| at);
        if let Some(at) = if self.drop_oldest { (!self.probes.is_empty()).then_some(0) } else { worst } {
            self.probes.remove(at);
        }
    }
}

impl Sequence for Prequal {
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let now = pick.now();
        let max_age = self.settings.max_age;
        self.probes.retain(|answered| now.saturating_sub(answered.at) <= max_age);
        let eligible = self.fallback.eligible();
        let usable =
            |answered: &Answered| eligible.contains(answered.index) && eligible.admission.admits(pick, answered.index);
        self.probes.retain(usable);
        if self.probes.len() < 2 {
            return self.fallback.pick(pick);
        }
        let best = hot_cold(self.probes.iter().map(|answered| answered.probe), self.threshold);
        let Some(best) = best else { return self.fallback.pick(pick) };
        let answered = &mut self.probes[best.index];
        let index = answered.index;
        answered.uses += 1;
        // The request that is about to be sent there.
        answered.probe.in_flight = answered.probe.in_flight.saturating_add(1);
        if answered.uses >= self.settings.max_uses {
            self.probes.remove(best.index);
        } else {
            self.drop_one();
        }
        Ok(Choice::new(index, if best.cold { Reason::LeastLatency } else { Reason::LeastLoad }))
    }
}
