//! Who is expected to answer soonest? Costs and policies that go by latency.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::{Choice, Cost, EwmaSettings, Load, P2c, Pick, Policy, Reason, Unavailable};
use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

/// Latency times the requests that would share it: the average of latencies as of now × (in flight + 1).
///
/// With [`P2c`] this is [`PeakEwma`], how linkerd and Finagle balance, and with other settings Envoy's peak EWMA or
/// ingress-nginx's `ewma`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyCost {
    settings: EwmaSettings,
    unknown: UnknownLatency,
}

/// What an endpoint without any sample is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub enum UnknownLatency {
    /// As fast as this. linkerd takes 30 ms.
    Assumed(Duration),
    /// Free while it is idle, and slower than anything while a first request is out: Envoy.
    TriedOnce,
}

/// The cost of an endpoint that is being tried, by Envoy. Its unit is no matter, since nothing comes near it.
const BEING_TRIED: f64 = 1e6;

impl LatencyCost {
    /// The cost by these settings.
    pub fn new(settings: EwmaSettings, unknown: UnknownLatency) -> Self {
        Self { settings, unknown }
    }

    /// How the average of latencies is taken.
    pub fn settings(&self) -> &EwmaSettings {
        &self.settings
    }
}

/// linkerd's settings: a peak EWMA with a decay of 10 s, and 30 ms for endpoints not seen yet.
impl Default for LatencyCost {
    fn default() -> Self {
        Self::new(EwmaSettings::default(), UnknownLatency::Assumed(Duration::from_millis(30)))
    }
}

impl Cost for LatencyCost {
    type Value = f64;

    #[inline]
    fn cost(&self, _: usize, load: &Load, now: Duration) -> f64 {
        let active = load.active();
        match (load.latency(), self.unknown) {
            (Some(latency), _) => latency.cost(now, active, &self.settings),
            (None, UnknownLatency::Assumed(latency)) => latency.as_secs_f64() * (f64::from(active) + 1.0),
            (None, UnknownLatency::TriedOnce) => {
                if active > 0 {
                    BEING_TRIED
                } else {
                    0.0
                }
            }
        }
    }

    fn reason(&self) -> Reason {
        Reason::LeastLatency
    }
}

/// The cheaper of two endpoints by [`LatencyCost`].
///
/// ```
/// use lb_select::{LatencyCost, PeakEwma, Pick, Policy, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::of(["slow", "fast"])?;
/// let policy = PeakEwma::by(&pool, LatencyCost::default());
/// let now = Duration::from_secs(1);
/// policy.record(0, Duration::from_millis(100), now);
/// policy.record(1, Duration::from_millis(5), now);
///
/// let mut words = || 0;
/// assert_eq!(policy.pick(&mut Pick::new(now, &mut words))?.index, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type PeakEwma = P2c<LatencyCost>;

impl PeakEwma {
    /// Takes a sample for the endpoint at `index`: [`Load::record`] with the settings of the cost. An index that is not in
    /// the pool is ignored.
    pub fn record(&self, index: usize, latency: Duration, now: Duration) {
        if let Some(load) = self.eligible().admission.known_load(index) {
            load.record(latency, now, self.cost().settings());
        }
    }

    /// Starts endpoints that have no sample yet at the mean of those that have, as ingress-nginx does with new ones.
    /// O(n), for after an update of the pool.
    pub fn assume_mean(&self, now: Duration) {
        let loads = || self.eligible().iter().map(|index| self.eligible().admission.load(index));
        let known = loads().filter_map(Load::latency).map(|latency| latency.read(now, self.cost().settings()));
        let (count, sum) = known.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
        if count > 0 {
            for load in loads() {
                load.assume(sum / f64::from(count), now);
            }
        }
    }
}

/// The least *average latency × (in flight + 1) / weight* of all: Traefik's least-time. Those equal take turns.
///
/// An endpoint without a sample has an average of 0, so it is tried first. Averages are taken by
/// [`record`](Self::record) and do not decay between samples. Takes no random word. O(n).
#[derive(Debug)]
pub struct LeastTime {
    admission: Admission,
    members: Box<[Candidate]>,
    settings: EwmaSettings,
    /// The index after the one chosen last.
    turn: AtomicUsize,
}

impl LeastTime {
    /// Chooses among the endpoints of the pool; latencies are averaged by these settings, usually without
    /// [`peak`](EwmaSettings::peak).
    pub fn new(candidates: &impl ToCandidates, settings: EwmaSettings) -> Self {
        let candidates = candidates.to_candidates();
        let (admission, members) = (candidates.admission().clone(), candidates.eligible().collect());
        Self { admission, members, settings, turn: AtomicUsize::new(0) }
    }

    /// Takes a sample for the endpoint at `index`. An index that is not in the pool is ignored.
    pub fn record(&self, index: usize, latency: Duration, now: Duration) {
        if let Some(load) = self.admission.known_load(index) {
            load.record(latency, now, &self.settings);
        }
    }

    /// The score of an endpoint of this load and weight, in seconds; less is better.
    pub fn score(load: &Load, weight: u32) -> f64 {
        let average = load.latency().map_or(0.0, |latency| latency.value());
        average * (1.0 + f64::from(load.active())) / f64::from(weight)
    }
}

impl Policy for LeastTime {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let admits_all = self.admission.admits_all(pick);
        let turn = self.turn.load(Ordering::Relaxed);
        // The least score; of equal ones the first from the turn on, else the first.
        let mut best: Option<(f64, bool, usize)> = None;
        for &Candidate { index, weight } in &self.members {
            let index = index as usize;
            if !admits_all && !self.admission.admits(pick, index) {
                continue;
            }
            let (score, had_turn) = (Self::score(self.admission.load(index), weight), index < turn);
            if best
                .is_none_or(|(least, best_had_turn, _)| score < least || (score == least && best_had_turn && !had_turn))
            {
                best = Some((score, had_turn, index));
            }
        }
        let Some((_, _, index)) = best else {
            return Err(self.admission.refusal(pick, self.members.iter().map(|member| member.index as usize)));
        };
        self.turn.store(index + 1, Ordering::Relaxed);
        Ok(Choice::new(index, Reason::LeastLatency))
    }
}
