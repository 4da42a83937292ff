//! How does a configured balancer answer, and how does it go on when the pool or the moment changes?

use crate::settings::{BalancerError, BalancerSettings, LocalityWeights, PolicySettings};
use crate::{
    BlockWeighted, ByDestination, ByLocality, ByPriority, BySubset, ByZone, Candidates, Choice, ChoiceOfSome,
    ClientIpAffinity, IpvsTwos, IpvsWrr, LatencyCost, LeastLoad, LeastRequestEdf, LeastTime, LoadReport, Locality, P2c,
    PeakEwma, Pick, Policy, Pool, Prequal, Probe, Random, ReportedWeights, RoundRobin, SlowStart, SmoothWeighted, Tier,
    TierState, ToCandidates, Unavailable, WeightedEdf, WeightedP2c, WeightedRandom,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;
use core::hash::BuildHasher;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A balancer made from [`BalancerSettings`] at run time: one value for whatever policy and layers they ask for.
///
/// ```
/// use lb_select::{Balancer, BalancerSettings, Pick, Policy, PolicySettings, Pool};
/// use std::{hash::RandomState, time::Duration};
///
/// let pool = Pool::builder().weighted("a", 5, ()).weighted("b", 1, ()).build()?;
/// let settings = BalancerSettings::new(PolicySettings::SmoothWeighted).priority(Default::default());
/// let balancer = Balancer::new(&pool, settings, RandomState::new(), 0)?;
///
/// let mut words = || 0;
/// let mut pick = Pick::new(Duration::ZERO, &mut words);
/// let first: Vec<_> = (0..3).map(|_| balancer.pick(&mut pick).unwrap().index).collect();
/// assert_eq!(first, [0, 0, 0]);
///
/// // The pool changes; the sequence goes on where it was.
/// let larger = Pool::builder().carry_over(&pool).weighted("a", 5, ()).weighted("b", 1, ()).weighted("c", 1, ()).build()?;
/// let balancer = balancer.over(&larger, Duration::ZERO)?;
/// assert_eq!(balancer.pick(&mut pick)?.index, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The layers are boxed here, which costs a call through a pointer each; composed as types, they cost none.
pub struct Balancer<S> {
    settings: BalancerSettings,
    hasher: S,
    start: u64,
    root: Root<S>,
    leaves: Leaves<S>,
}

enum Root<S> {
    Plain(Inner),
    Sticky(ClientIpAffinity<Inner, S>),
}

type Inner = Box<dyn Policy + Send + Sync>;
type Leaves<S> = BTreeMap<Place, Arc<Leaf<S>>>;

/// Where a policy stands among the layers, by which its next version finds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Place {
    /// The number of the subset.
    subset: usize,
    priority: Option<u32>,
    degraded: bool,
    /// The zone or locality.
    locality: Option<String>,
}

impl<S: BuildHasher + Clone + Send + Sync + 'static> Balancer<S> {
    /// Compiles settings over a pool.
    ///
    /// The hasher is for tables that remember clients or destinations; it must be keyed, and no answer depends on it. Sequences
    /// start at turn `start`; a random word there keeps many proxies from starting alike.
    ///
    /// # Errors
    /// Fails if the settings cannot be meant.
    pub fn new<E>(pool: &Pool<E>, settings: BalancerSettings, hasher: S, start: u64) -> Result<Self, BalancerError> {
        settings.check()?;
        let (inner, leaves) = Builder::new(&settings, &hasher, start, &BTreeMap::new(), Duration::ZERO).build(pool)?;
        let root = match &settings.client_ip {
            Some(client_ip) => Root::Sticky(ClientIpAffinity::new(pool, inner, client_ip.clone(), hasher.clone())?),
            None => Root::Plain(inner),
        };
        Ok(Self { settings, hasher, start, root, leaves })
    }

    /// The same balancer over the next version of the pool, at the time `now`: sequences, counters, known clients and destinations go on.
    ///
    /// # Errors
    /// None that [`new`](Self::new) did not have with the same settings.
    pub fn over<E>(&self, pool: &Pool<E>, now: Duration) -> Result<Self, BalancerError> {
        let (inner, leaves) = Builder::new(&self.settings, &self.hasher, self.start, &self.leaves, now).build(pool)?;
        let root = match &self.root {
            Root::Sticky(layer) => Root::Sticky(layer.over(pool, inner)),
            Root::Plain(_) => Root::Plain(inner),
        };
        let (settings, hasher) = (self.settings.clone(), self.hasher.clone());
        Ok(Self { settings, hasher, start: self.start, root, leaves })
    }
}

impl<S> Balancer<S> {
    /// The settings given at construction.
    pub fn settings(&self) -> &BalancerSettings {
        &self.settings
    }

    /// Takes the answer of the endpoint at `index` to a probe, for [`PolicySettings::Prequal`].
    pub fn probed(&self, index: usize, probe: Probe, now: Duration) {
        for leaf in self.leaves.values() {
            if let Leaf::Prequal(prequal) = &**leaf {
                lock(prequal).probed(index, probe, now);
            }
        }
    }

    /// Takes a report of the endpoint at `index`, for [`PolicySettings::ReportedWeights`].
    pub fn report(&self, index: usize, report: &LoadReport, now: Duration) {
        for leaf in self.leaves.values() {
            if let Leaf::ReportedWeights(weights) = &**leaf {
                lock(weights).report(index, report, now);
            }
        }
    }

    /// Makes reported weights the ones in use, for [`PolicySettings::ReportedWeights`].
    pub fn update_weights(&self, now: Duration) {
        for leaf in self.leaves.values() {
            if let Leaf::ReportedWeights(weights) = &**leaf {
                lock(weights).update(now);
            }
        }
    }
}

impl<S: BuildHasher> Policy for Balancer<S> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        match &self.root {
            Root::Plain(policy) => policy.pick(pick),
            Root::Sticky(policy) => policy.pick(pick),
        }
    }
}

impl<S> fmt::Debug for Balancer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Builds layers from the outside in, and policies with what those before them knew.
struct Builder<'a, S> {
    settings: &'a BalancerSettings,
    hasher: &'a S,
    start: u64,
    before: &'a Leaves<S>,
    now: Duration,
    leaves: Leaves<S>,
}

impl<'a, S: BuildHasher + Clone + Send + Sync + 'static> Builder<'a, S> {
    fn new(settings: &'a BalancerSettings, hasher: &'a S, start: u64, before: &'a Leaves<S>, now: Duration) -> Self {
        Self { settings, hasher, start, before, now, leaves: BTreeMap::new() }
    }

    fn build<E>(mut self, pool: &Pool<E>) -> Result<(Inner, Leaves<S>), BalancerError> {
        let mut candidates = pool.to_candidates();
        if self.settings.fallback_to_draining {
            candidates = candidates.or_draining();
        }
        let policy = self.subsets(&candidates)?;
        Ok((policy, self.leaves))
    }

    fn subsets(&mut self, candidates: &Candidates) -> Result<Inner, BalancerError> {
        let Some(settings) = &self.settings.subsets else { return self.priorities(candidates, Place::default()) };
        let mut parts = 0..;
        let layer = BySubset::try_new(candidates, settings.clone(), |part| {
            let subset = parts.next().unwrap_or(0);
            self.priorities(part, Place { subset, ..Place::default() })
        })?;
        Ok(Box::new(layer))
    }

    fn priorities(&mut self, candidates: &Candidates, place: Place) -> Result<Inner, BalancerError> {
        let Some(settings) = &self.settings.priority else { return self.localities(candidates, place, true) };
        let mut first = None;
        let settings = settings.clone().by_hash(settings.by_hash || self.settings.policy.goes_by_hash());
        let layer = ByPriority::try_new(candidates, settings, |part, tier: Tier| {
            // Priorities are built in order.
            let is_first = *first.get_or_insert(tier.priority) == tier.priority;
            let degraded = tier.state == TierState::Degraded;
            self.localities(part, Place { priority: tier.priority, degraded, ..place.clone() }, is_first)
        })?;
        Ok(Box::new(layer))
    }

    fn localities(&mut self, part: &Candidates, place: Place, is_first: bool) -> Result<Inner, BalancerError> {
        match (&self.settings.zone, &self.settings.locality) {
            (Some(settings), _) if is_first => {
                let layer = ByZone::try_new(part, settings, |part, zone| {
                    self.leaf(part, Place { locality: zone.map(String::from), ..place.clone() })
                })?;
                Ok(Box::new(layer))
            }
            (_, Some(LocalityWeights { weights, overprovisioning })) if !self.settings.policy.goes_by_hash() => {
                let weight = |locality: &Locality| weights.get(locality.as_str()).copied().unwrap_or(0);
                let layer = ByLocality::try_new(part, weight, *overprovisioning, |part, locality| {
                    self.leaf(part, Place { locality: Some(locality.as_str().into()), ..place.clone() })
                })?;
                Ok(Box::new(Mutex::new(layer)))
            }
            _ => Ok(Box::new(self.leaf(part, place)?)),
        }
    }

    fn leaf(&mut self, part: &Candidates, place: Place) -> Result<Arc<Leaf<S>>, BalancerError> {
        let leaf = match self.before.get(&place).and_then(|before| before.over(part)) {
            Some(next) => next,
            None => Leaf::new(part, self.settings, self.hasher, self.start, self.now)?,
        };
        let leaf = Arc::new(leaf);
        self.leaves.insert(place, Arc::clone(&leaf));
        Ok(leaf)
    }
}

/// A policy that a configuration names.
enum Leaf<S> {
    RoundRobin(RoundRobin),
    SmoothWeighted(Mutex<SmoothWeighted>),
    WeightedEdf(Mutex<WeightedEdf>),
    IpvsWrr(Mutex<IpvsWrr>),
    BlockWeighted(Mutex<BlockWeighted>),
    LeastRequestEdf(Mutex<LeastRequestEdf>),
    Prequal(Mutex<Prequal>),
    ReportedWeights(Mutex<ReportedWeights>),
    ByDestination(ByDestination<S>),
    /// One that remembers nothing but what belongs to the endpoints, so that the next version is simply built.
    Stateless(Inner),
}

impl<S: BuildHasher + Clone> Leaf<S> {
    fn new(
        part: &Candidates,
        settings: &BalancerSettings,
        hasher: &S,
        start: u64,
        now: Duration,
    ) -> Result<Self, BalancerError> {
        Ok(match settings.policy {
            PolicySettings::RoundRobin => Self::RoundRobin(RoundRobin::starting_at(part, start)),
            PolicySettings::SmoothWeighted => Self::SmoothWeighted(SmoothWeighted::new(part).into()),
            PolicySettings::WeightedEdf => Self::WeightedEdf(WeightedEdf::skipping(part, start).into()),
            PolicySettings::RampedEdf { slow_start } => {
                Self::WeightedEdf(WeightedEdf::new(part).with_slow_start(slow_start, now).into())
            }
            PolicySettings::IpvsWrr => Self::IpvsWrr(IpvsWrr::new(part).into()),
            PolicySettings::BlockWeighted => Self::BlockWeighted(BlockWeighted::new(part).into()),
            PolicySettings::LeastRequest { choices, bias, slow_start } => {
                let mut weights = part.eligible().map(|member| member.weight);
                let first = weights.next();
                if slow_start == SlowStart::default() && weights.all(|weight| Some(weight) == first) {
                    Self::Stateless(Box::new(ChoiceOfSome::among(part, choices)))
                } else {
                    Self::LeastRequestEdf(LeastRequestEdf::with_slow_start(part, bias, slow_start, now).into())
                }
            }
            PolicySettings::Prequal(settings) => Self::Prequal(Prequal::new(part, settings).into()),
            PolicySettings::ReportedWeights(settings) => {
                Self::ReportedWeights(ReportedWeights::new(part, settings).into())
            }
            PolicySettings::ByDestination { replicated: false } => {
                Self::ByDestination(ByDestination::new(part, hasher.clone()))
            }
            PolicySettings::ByDestination { replicated: true } => {
                Self::ByDestination(ByDestination::replicated(part, hasher.clone()))
            }
            PolicySettings::Random => Self::Stateless(Box::new(Random::new(part))),
            PolicySettings::WeightedRandom => Self::Stateless(Box::new(WeightedRandom::new(part))),
            PolicySettings::LeastLoad { rule } => Self::Stateless(Box::new(LeastLoad::new(part, rule))),
            PolicySettings::P2c => Self::Stateless(Box::new(P2c::new(part))),
            PolicySettings::WeightedP2c => Self::Stateless(Box::new(WeightedP2c::new(part))),
            PolicySettings::IpvsTwos => Self::Stateless(Box::new(IpvsTwos::new(part))),
            PolicySettings::PeakEwma { ewma, unknown } => {
                Self::Stateless(Box::new(PeakEwma::by(part, LatencyCost::new(ewma, unknown))))
            }
            PolicySettings::LeastTime { ewma } => Self::Stateless(Box::new(LeastTime::new(part, ewma))),
            #[cfg(feature = "hash")]
            _ => Self::Stateless(by_hash(part, settings)?),
        })
    }

    /// The next version of this policy, if it has anything to pass on.
    fn over(&self, part: &Candidates) -> Option<Self> {
        Some(match self {
            Self::RoundRobin(policy) => Self::RoundRobin(policy.over(part)),
            Self::SmoothWeighted(policy) => Self::SmoothWeighted(lock(policy).over(part).into()),
            Self::WeightedEdf(policy) => Self::WeightedEdf(lock(policy).over(part).into()),
            Self::IpvsWrr(policy) => Self::IpvsWrr(lock(policy).over(part).into()),
            Self::Prequal(policy) => Self::Prequal(lock(policy).over(part).into()),
            Self::ReportedWeights(policy) => Self::ReportedWeights(lock(policy).over(part).into()),
            Self::ByDestination(policy) => Self::ByDestination(policy.over(part)),
            // Whether least request goes by turns depends on the weights there are now.
            Self::LeastRequestEdf(_) | Self::BlockWeighted(_) | Self::Stateless(_) => return None,
        })
    }
}

impl<S: BuildHasher> Policy for Leaf<S> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        match self {
            Self::RoundRobin(policy) => policy.pick(pick),
            Self::SmoothWeighted(policy) => policy.pick(pick),
            Self::WeightedEdf(policy) => policy.pick(pick),
            Self::IpvsWrr(policy) => policy.pick(pick),
            Self::BlockWeighted(policy) => policy.pick(pick),
            Self::LeastRequestEdf(policy) => policy.pick(pick),
            Self::Prequal(policy) => policy.pick(pick),
            Self::ReportedWeights(policy) => policy.pick(pick),
            Self::ByDestination(policy) => policy.pick(pick),
            Self::Stateless(policy) => policy.pick(pick),
        }
    }
}

/// The policies that go by hash.
#[cfg(feature = "hash")]
fn by_hash(part: &Candidates, settings: &BalancerSettings) -> Result<Inner, BalancerError> {
    use crate::hash::{
        BoundedHash, BoundedRing, IpHash, Jump, Ketama, Maglev, NginxHash, Rendezvous, RestyChash, RingHash, TraefikHrw,
    };
    let localities = settings.locality.as_ref().map(|locality| &locality.weights);
    let weight =
        |locality: &Locality| localities.and_then(|weights| weights.get(locality.as_str())).copied().unwrap_or(0);
    Ok(match &settings.policy {
        PolicySettings::RingHash { ring, bound: None } if localities.is_some() => {
            Box::new(RingHash::with_locality_weights(part, weight, ring)?)
        }
        PolicySettings::RingHash { ring, bound: None } => Box::new(RingHash::new(part, ring)?),
        PolicySettings::RingHash { ring, bound: Some(percent) } => {
            Box::new(BoundedHash::new(part, RingHash::new(part, ring)?, *percent)?)
        }
        PolicySettings::Maglev { table_size, bound: None } if localities.is_some() => {
            Box::new(Maglev::with_locality_weights(part, weight, *table_size)?)
        }
        PolicySettings::Maglev { table_size, bound: None } => Box::new(Maglev::new(part, *table_size)?),
        PolicySettings::Maglev { table_size, bound: Some(percent) } => {
            Box::new(BoundedHash::new(part, Maglev::new(part, *table_size)?, *percent)?)
        }
        PolicySettings::BoundedRing { factor_percent } => Box::new(BoundedRing::new(part, *factor_percent)?),
        PolicySettings::Ketama => Box::new(Ketama::new(part)?),
        PolicySettings::RestyChash => Box::new(RestyChash::new(part)?),
        PolicySettings::NginxHash => Box::new(NginxHash::new(part)),
        PolicySettings::IpHash => Box::new(IpHash::new(part)),
        PolicySettings::Jump => Box::new(Jump::new(part)),
        PolicySettings::TraefikHrw => Box::new(TraefikHrw::new(part)),
        // All others are built without a hash.
        _ => Box::new(Rendezvous::new(part)),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever panicked under the lock, such as a source of words, has left the policy whole: no step is torn.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
