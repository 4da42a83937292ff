//! Which locality? Layers that divide traffic by locality weights, or keep it in the caller's zone.

use crate::candidates::ToCandidates;
use crate::edf::EdfQueue;
use crate::share::Share;
use crate::{
    Candidates, Choice, Locality, LocalityHealth, Pick, Policy, Sequence, Tier, Unavailable, ZoneAware, ZoneChoice,
    ZoneState,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;

/// A layer that gives localities turns by weight and health, as Envoy's locality weighted balancing does, and then asks the
/// policy of that locality.
///
/// A locality's weight counts in full as long as enough of its endpoints are healthy ([`LocalityHealth`]); one of
/// weight 0 gets nothing. Turns are those of [`EdfQueue`]; a locality whose policy knows nobody loses its turn. In
/// panic all endpoints count as healthy. O(log localities), beside the policy.
///
/// A [`Sequence`], because turns are counted: put it in a `Mutex` or a `RefCell`.
#[derive(Debug, Clone)]
pub struct ByLocality<P> {
    localities: Box<[(u32, P)]>,
    shares: Box<[Option<Share>]>,
    queue: EdfQueue,
    empty: Unavailable,
}

impl<P> ByLocality<P> {
    /// Divides endpoints by locality; `weight` says what each is to get, and `build` makes its policy. The overprovisioning factor
    /// is in percent, 140 by default in Envoy. O(n · localities).
    pub fn new(
        candidates: &impl ToCandidates,
        weight: impl FnMut(&Locality) -> u32,
        overprovisioning: u32,
        mut build: impl FnMut(&Candidates, &Locality) -> P,
    ) -> Self {
        let built = |part: &Candidates, locality: &Locality| Ok::<_, Infallible>(build(part, locality));
        let built = Self::try_new(candidates, weight, overprovisioning, built);
        built.unwrap_or_else(|never| match never {})
    }

    /// The same with a `build` that may fail.
    ///
    /// # Errors
    /// The first error of `build`.
    pub fn try_new<E>(
        candidates: &impl ToCandidates,
        mut weight: impl FnMut(&Locality) -> u32,
        overprovisioning: u32,
        mut build: impl FnMut(&Candidates, &Locality) -> Result<P, E>,
    ) -> Result<Self, E> {
        let candidates = candidates.to_candidates();
        let empty = candidates.refusal();
        let (mut localities, mut shares) = (Vec::new(), Vec::new());
        for (number, locality) in (0..).zip(candidates.localities_of_pool()) {
            let part = candidates.clone().filter(|endpoint| *endpoint.locality == locality);
            let healthy = part.eligible().count();
            if healthy == 0 {
                continue;
            }
            let all = part.iter_in_any_health().filter(|(_, endpoint)| endpoint.weight > 0);
            let excluded = |endpoint: crate::Endpoint<'_, ()>| endpoint.health == crate::Health::Excluded;
            let excluded = if part.are_in_any_health() { 0 } else { all.clone().filter(|(_, e)| excluded(*e)).count() };
            // A pool has fewer than 2^32 endpoints.
            let health = LocalityHealth {
                weight: weight(&locality),
                total: all.count() as u32,
                healthy: healthy as u32,
                excluded: excluded as u32,
            };
            shares.push(health.share(overprovisioning));
            localities.push((number, build(&part, &locality)?));
        }
        let queue = EdfQueue::new(shares.iter().copied());
        Ok(Self { localities: localities.into(), shares: shares.into(), queue, empty })
    }
}

impl<P: Policy> Sequence for ByLocality<P> {
    #[inline]
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let mut why = self.empty;
        // A lane that knows nobody loses its turn. How often that happens before each other lane had one is up to their
        // weights, so after some turns all are asked in order.
        for _ in 0..8 {
            let Some(lane) = self.queue.next(|lane| self.shares[lane]) else { return Err(why) };
            match self.ask(lane, pick) {
                Err(error) => why = error,
                choice => return choice,
            }
        }
        let lanes = (0..self.localities.len()).filter(|&lane| self.shares[lane].is_some());
        lanes.map(|lane| self.ask(lane, pick)).find(Result::is_ok).unwrap_or(Err(why))
    }
}

impl<P: Policy> ByLocality<P> {
    #[inline]
    fn ask(&self, lane: usize, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let (number, policy) = &self.localities[lane];
        in_locality(policy.pick(pick)?, *number)
    }
}

fn in_locality(choice: Choice, number: u32) -> Result<Choice, Unavailable> {
    Ok(Choice { tier: Tier { locality: Some(number), ..choice.tier }, ..choice })
}

/// A layer that keeps traffic in the caller's zone as far as the zone has its share of endpoints: Envoy's zone-aware routing
/// ([`ZoneAware`]), for priority 0.
///
/// Where the rule does not apply, in panic, or where the zone's policy knows nobody, the policy of all zones decides. Takes up
/// to two random words beside the policy's, and one before them where only a part of traffic is routed so. O(log zones).
#[derive(Debug, Clone)]
pub struct ByZone<P> {
    zones: ZoneAware,
    policies: Box<[P]>,
    all: P,
    routing_enabled: u32,
}

/// The settings of [`ByZone`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub struct ByZoneSettings {
    /// The caller's own zone, as in the [zone](Locality::zone) of a locality.
    pub here: String,
    /// How many callers each zone has, the own one included.
    pub callers: BTreeMap<String, u32>,
    /// With fewer healthy endpoints the rule does not apply. The default is 6.
    #[cfg_attr(feature = "serde", serde(default = "min_cluster_size"))]
    pub min_cluster_size: u64,
    /// The percentage of picks that the rule applies to. The default, 100, is all.
    #[cfg_attr(feature = "serde", serde(default = "all_of_them"))]
    pub routing_enabled: u32,
}

fn min_cluster_size() -> u64 {
    ZoneAware::MIN_CLUSTER_SIZE
}

fn all_of_them() -> u32 {
    100
}

impl ByZoneSettings {
    /// The usual settings for a caller in zone `here`.
    pub fn new(here: impl Into<String>, callers: BTreeMap<String, u32>) -> Self {
        let (min_cluster_size, routing_enabled) = (min_cluster_size(), all_of_them());
        Self { here: here.into(), callers, min_cluster_size, routing_enabled }
    }

    /// The same settings with this [`min_cluster_size`](Self#structfield.min_cluster_size).
    #[must_use]
    pub fn min_cluster_size(self, min_cluster_size: u64) -> Self {
        Self { min_cluster_size, ..self }
    }

    /// The same settings with this [`routing_enabled`](Self#structfield.routing_enabled).
    #[must_use]
    pub fn routing_enabled(self, routing_enabled: u32) -> Self {
        Self { routing_enabled, ..self }
    }
}

impl<P> ByZone<P> {
    /// Divides endpoints by zone; `build` makes the policy of each, and without a name
    /// that of all. O(n · zones).
    pub fn new(
        candidates: &impl ToCandidates,
        settings: &ByZoneSettings,
        mut build: impl FnMut(&Candidates, Option<&str>) -> P,
    ) -> Self {
        let built = Self::try_new(candidates, settings, |part, zone| Ok::<_, Infallible>(build(part, zone)));
        built.unwrap_or_else(|never| match never {})
    }

    /// The same with a `build` that may fail.
    ///
    /// # Errors
    /// The first error of `build`.
    pub fn try_new<E>(
        candidates: &impl ToCandidates,
        settings: &ByZoneSettings,
        mut build: impl FnMut(&Candidates, Option<&str>) -> Result<P, E>,
    ) -> Result<Self, E> {
        let candidates = candidates.to_candidates();
        let upstream = candidates.iter().filter(|(_, endpoint)| endpoint.weight > 0 && !candidates.are_in_any_health());
        let upstream: Vec<(&str, u32)> = upstream.map(|(_, endpoint)| (endpoint.locality.zone(), 1)).collect();
        let callers = settings.callers.iter().map(|(zone, &count)| (&**zone, count));
        let zones = ZoneAware::new(&settings.here, callers, upstream, settings.min_cluster_size);
        let mut policies = Vec::new();
        if zones.state() != ZoneState::Off {
            for zone in zones.zones() {
                let part = candidates.clone().filter(|endpoint| endpoint.locality.zone() == &**zone);
                policies.push(build(&part, Some(zone))?);
            }
        }
        let all = build(&candidates, None)?;
        Ok(Self { zones, policies: policies.into(), all, routing_enabled: settings.routing_enabled })
    }

    /// How traffic is divided.
    pub fn zones(&self) -> &ZoneAware {
        &self.zones
    }
}

impl<P: Policy> Policy for ByZone<P> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let routed = self.zones.state() != ZoneState::Off
            && (self.routing_enabled >= 100 || pick.word() % 100 < u64::from(self.routing_enabled));
        let zone = if routed { self.zones.choose(|| pick.word()) } else { ZoneChoice::Any };
        if let ZoneChoice::Zone(zone) = zone
            && let Some(policy) = self.policies.get(zone)
            && let Ok(choice) = policy.pick(pick)
        {
            return Ok(choice);
        }
        self.all.pick(pick)
    }
}
