//! Which priority? A layer that spills over to the next when too few endpoints of the first are healthy.

use crate::candidates::ToCandidates;
use crate::{
    Availability, Candidates, Choice, Health, Level, LevelHealth, Pick, Policy, PriorityLoads, PrioritySettings, Tier,
    TierState, Unavailable,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::convert::Infallible;

/// A layer that chooses the priority by health, with Envoy's integer arithmetic ([`PriorityLoads`]), and then asks the policy of
/// that priority: one for its healthy endpoints, one for its degraded ones, one for all in panic.
///
/// Endpoints without weight do not count. Takes one random word, unless all traffic goes to one place or the request's hash
/// decides. Where the policy of the chosen priority knows nobody (all closed, at their limit or excluded), the other priorities
/// that have a share are asked in order. O(priorities), beside the policy.
///
/// ```
/// use lb_select::{ByPriority, ByPrioritySettings, Member, Health, Pick, Policy, Pool, RoundRobin, Tier};
/// use std::time::Duration;
///
/// let pool = Pool::builder()
///     .member(Member::new("near, failed", ()).health(Health::Unhealthy))
///     .member(Member::new("far", ()).priority(1))
///     .build()?;
/// let policy = ByPriority::new(&pool, ByPrioritySettings::default(), |candidates, _| RoundRobin::new(candidates));
/// let mut words = || 0;
/// let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words))?;
/// assert_eq!((choice.index, choice.tier.priority), (1, Some(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ByPriority<P> {
    levels: Box<[LevelPolicies<P>]>,
    health: Box<[Level]>,
    loads: PriorityLoads,
    /// The only place where traffic goes, if it is one.
    only: Option<(usize, Availability)>,
    settings: ByPrioritySettings,
    /// Why there is nobody if there are no levels.
    empty: Unavailable,
}

/// The settings of [`ByPriority`], made from their [`Default`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct ByPrioritySettings {
    /// How much is needed, and when there is panic.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub loads: PrioritySettings,
    /// Whether health is counted in weights instead of endpoints. Panic always counts endpoints.
    pub weighted_health: bool,
    /// Whether there is nobody in panic, instead of everybody.
    pub fail_on_panic: bool,
    /// Whether the hash of a request that has one decides, as it should where the policy goes by that.
    pub by_hash: bool,
}

impl ByPrioritySettings {
    /// The same settings with these [`loads`](Self#structfield.loads).
    #[must_use]
    pub fn loads(self, loads: PrioritySettings) -> Self {
        Self { loads, ..self }
    }

    /// The same settings with this [`weighted_health`](Self#structfield.weighted_health).
    #[must_use]
    pub fn weighted_health(self, weighted_health: bool) -> Self {
        Self { weighted_health, ..self }
    }

    /// The same settings with this [`fail_on_panic`](Self#structfield.fail_on_panic).
    #[must_use]
    pub fn fail_on_panic(self, fail_on_panic: bool) -> Self {
        Self { fail_on_panic, ..self }
    }

    /// The same settings with this [`by_hash`](Self#structfield.by_hash).
    #[must_use]
    pub fn by_hash(self, by_hash: bool) -> Self {
        Self { by_hash, ..self }
    }
}

#[derive(Debug, Clone)]
struct LevelPolicies<P> {
    priority: u32,
    /// In panic: all endpoints.
    healthy: Option<P>,
    degraded: Option<P>,
}

impl<P> ByPriority<P> {
    /// Divides endpoints by priority; `build` makes the policy for each part. O(n · priorities).
    pub fn new(
        candidates: &impl ToCandidates,
        settings: ByPrioritySettings,
        mut build: impl FnMut(&Candidates, Tier) -> P,
    ) -> Self {
        let built = Self::try_new(candidates, settings, |part, tier| Ok::<_, Infallible>(build(part, tier)));
        built.unwrap_or_else(|never| match never {})
    }

    /// The same with a `build` that may fail.
    ///
    /// # Errors
    /// The first error of `build`.
    pub fn try_new<E>(
        candidates: &impl ToCandidates,
        settings: ByPrioritySettings,
        mut build: impl FnMut(&Candidates, Tier) -> Result<P, E>,
    ) -> Result<Self, E> {
        let candidates = candidates.to_candidates();
        let mut counts: BTreeMap<u32, (LevelHealth, LevelHealth)> = BTreeMap::new();
        for (_, endpoint) in candidates.iter_in_any_health().filter(|(_, endpoint)| endpoint.weight > 0) {
            let (numbers, weights) = counts.entry(endpoint.priority).or_default();
            for (counts, by) in [(numbers, 1), (weights, u64::from(endpoint.weight))] {
                counts.total += by;
                match endpoint.health {
                    Health::Healthy => counts.healthy += by,
                    Health::Degraded => counts.degraded += by,
                    Health::Excluded => counts.excluded += by,
                    Health::Unhealthy | Health::Draining => {}
                }
            }
        }
        let level = |&(numbers, weights): &(LevelHealth, LevelHealth)| {
            let level = Level::new(numbers);
            if settings.weighted_health { level.weights(weights) } else { level }
        };
        let health: Box<[Level]> = counts.values().map(level).collect();
        let loads = PriorityLoads::new(&health, &settings.loads);
        let mut levels = Vec::with_capacity(counts.len());
        for (level, (&priority, (numbers, _))) in counts.iter().enumerate() {
            let part = || candidates.clone().filter(|endpoint| endpoint.priority == priority);
            let mut build = |part: Candidates, state| {
                build(&part, Tier { priority: Some(priority), state, ..Tier::default() }).map(Some)
            };
            let healthy = if loads.panics()[level] {
                if settings.fail_on_panic { None } else { build(part().in_any_health(), TierState::Panic)? }
            } else if numbers.healthy > 0 {
                build(part().of_health(Health::Healthy), TierState::Healthy)?
            } else {
                None
            };
            let degraded = match numbers.degraded {
                0 => None,
                _ => build(part().of_health(Health::Degraded), TierState::Degraded)?,
            };
            levels.push(LevelPolicies { priority, healthy, degraded });
        }
        let empty = candidates.refusal();
        let only = only(&loads);
        Ok(Self { levels: levels.into(), health, loads, only, settings, empty })
    }

    /// The shares of the priorities, in the order of their numbers.
    pub fn loads(&self) -> &PriorityLoads {
        &self.loads
    }

    /// The policy of one place, what to say if it has none, and where that is.
    fn place(&self, (level, availability): (usize, Availability)) -> (Option<&P>, Unavailable, Tier) {
        let LevelPolicies { priority, healthy, degraded } = &self.levels[level];
        let panics = self.loads.panics()[level];
        let (policy, state) = match availability {
            Availability::Healthy if panics => (healthy, TierState::Panic),
            Availability::Healthy => (healthy, TierState::Healthy),
            Availability::Degraded => (degraded, TierState::Degraded),
        };
        let why = if panics && self.settings.fail_on_panic { Unavailable::Panic } else { Unavailable::NoneHealthy };
        (policy.as_ref(), why, Tier { priority: Some(*priority), state, ..Tier::default() })
    }
}

impl<P: Policy> ByPriority<P> {
    /// A pick for a retry that goes to other priorities than those tried before, if any of them has healthy endpoints; once all
    /// were tried, to the usual ones. This is the *previous priorities* predicate of Envoy's retry policy. Allocates.
    ///
    /// # Errors
    /// As [`Policy::pick`].
    pub fn pick_untried(&self, pick: &mut Pick<'_>, tried: &[u32]) -> Result<Choice, Unavailable> {
        let numbers = self.levels.iter().enumerate().filter(|(_, level)| tried.contains(&level.priority));
        let tried: Vec<usize> = numbers.map(|(number, _)| number).collect();
        let loads = PriorityLoads::with_tried(&self.health, &tried, &self.settings.loads);
        self.pick_by(pick, &loads, only(&loads))
    }

    #[inline]
    fn pick_by(
        &self,
        pick: &mut Pick<'_>,
        loads: &PriorityLoads,
        only: Option<(usize, Availability)>,
    ) -> Result<Choice, Unavailable> {
        let place = match (only, pick.hash()) {
            (Some(only), _) => Some(only),
            (None, Some(hash)) if self.settings.by_hash => loads.choose(hash),
            (None, _) if self.levels.is_empty() => None,
            (None, _) => loads.choose(pick.word()),
        };
        let Some(place) = place else { return Err(self.empty) };
        match self.ask(pick, place) {
            Err(why) => self.elsewhere(pick, loads, place).ok_or(why),
            choice => choice,
        }
    }

    #[inline]
    fn ask(&self, pick: &mut Pick<'_>, place: (usize, Availability)) -> Result<Choice, Unavailable> {
        let (policy, why, tier) = self.place(place);
        let choice = policy.ok_or(why)?.pick(pick)?;
        Ok(Choice { tier: Tier { locality: choice.tier.locality, ..tier }, ..choice })
    }

    /// The first choice of the other places with anyone, in the order in which traffic spills.
    #[cold]
    fn elsewhere(&self, pick: &mut Pick<'_>, loads: &PriorityLoads, not: (usize, Availability)) -> Option<Choice> {
        if loads.panics().get(not.0).is_some_and(|&panics| panics && self.settings.fail_on_panic) {
            return None;
        }
        let levels = || 0..self.levels.len();
        let places = levels().map(|level| (level, Availability::Healthy));
        let mut places = places.chain(levels().map(|level| (level, Availability::Degraded)));
        places.find_map(|place| if place == not { None } else { self.ask(pick, place).ok() })
    }
}

/// The place that has all of the traffic.
fn only(loads: &PriorityLoads) -> Option<(usize, Availability)> {
    let whole = |loads: &[u32]| loads.iter().position(|&load| load == 100);
    let healthy = whole(loads.healthy()).map(|level| (level, Availability::Healthy));
    healthy.or_else(|| whole(loads.degraded()).map(|level| (level, Availability::Degraded)))
}

impl<P: Policy> Policy for ByPriority<P> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        self.pick_by(pick, &self.loads, self.only)
    }
}
