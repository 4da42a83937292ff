//! Which policy and which layers does a configuration ask for?

#[cfg(feature = "hash")]
use crate::hash::{FactorError, RingError, RingSettings, TableSizeError, TooManyPoints};
use crate::{
    Bias, ByPrioritySettings, ByZoneSettings, CapacityError, ClientIpSettings, EwmaSettings, LoadRule, PrequalSettings,
    ReportedWeightsSettings, SlowStart, SubsetError, SubsetSettings, UnknownLatency,
};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// A balancer as a configuration describes it: a policy, and the layers around it. [`Balancer::new`](crate::Balancer::new) makes
/// it answer.
///
/// Layers, from the outside: client affinity, subsets, priorities, then either zones or locality weights. What is left out is
/// not there. Settings that cannot work together are refused, never ignored.
///
/// With the feature `serde` this is read from names in camelCase, a policy from its name or from a map of its name to its
/// settings: `policy: peakEwma`, `policy: {leastRequest: {choices: 3}}`.
///
/// ```
/// use lb_select::{BalancerSettings, PolicySettings};
///
/// let settings = BalancerSettings::new(PolicySettings::SmoothWeighted).priority(Default::default());
/// assert_eq!(settings.policy, PolicySettings::SmoothWeighted);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "camelCase", default, deny_unknown_fields)
)]
pub struct BalancerSettings {
    /// Who is chosen of those that the layers leave.
    pub policy: PolicySettings,
    /// Sends clients back where they were.
    pub client_ip: Option<ClientIpSettings>,
    /// Narrows endpoints to those with the labels a request asks for.
    pub subsets: Option<SubsetSettings>,
    /// Spills over from priority to priority, and panics. Without it, healthy endpoints of all priorities are alike.
    pub priority: Option<ByPrioritySettings>,
    /// Keeps traffic in the caller's zone, in the first priority.
    pub zone: Option<ByZoneSettings>,
    /// Divides traffic among localities, by turns or, for rings and Maglev tables without a bound, as part of the table.
    pub locality: Option<LocalityWeights>,
    /// Whether draining endpoints are used where there is neither a healthy nor a degraded one. Only without
    /// [`priority`](Self#structfield.priority), which has panic for that.
    pub fallback_to_draining: bool,
}

/// How much each locality gets. Those not named get 0.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct LocalityWeights {
    /// The weights by locality, written `region/zone/sub-zone`.
    pub weights: BTreeMap<String, u32>,
    /// How much healthier than needed a locality may be before its weight shrinks, in percent: 140.
    pub overprovisioning: u32,
}

impl LocalityWeights {
    /// These weights, with the usual overprovisioning.
    pub fn new(weights: BTreeMap<String, u32>) -> Self {
        Self { weights, overprovisioning: 140 }
    }
}

impl Default for LocalityWeights {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

/// A policy by name, with its settings.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)
)]
pub enum PolicySettings {
    /// [`RoundRobin`](crate::RoundRobin).
    #[default]
    RoundRobin,
    /// [`SmoothWeighted`](crate::SmoothWeighted).
    SmoothWeighted,
    /// [`WeightedEdf`](crate::WeightedEdf).
    WeightedEdf,
    /// [`WeightedEdf`](crate::WeightedEdf) with a slow start.
    RampedEdf {
        /// How new endpoints ramp up.
        slow_start: SlowStart,
    },
    /// [`IpvsWrr`](crate::IpvsWrr).
    IpvsWrr,
    /// [`BlockWeighted`](crate::BlockWeighted).
    BlockWeighted,
    /// [`Random`](crate::Random).
    Random,
    /// [`WeightedRandom`](crate::WeightedRandom).
    WeightedRandom,
    /// [`LeastLoad`](crate::LeastLoad).
    LeastLoad {
        /// What the least load is.
        rule: LoadRule,
    },
    /// Envoy's LEAST_REQUEST: [`ChoiceOfSome`](crate::ChoiceOfSome) while all weights are equal and nobody can be ramping up, else
    /// [`LeastRequestEdf`](crate::LeastRequestEdf).
    LeastRequest {
        /// How many are compared while weights are equal: 2.
        #[cfg_attr(feature = "serde", serde(default = "two"))]
        choices: u32,
        /// How fast weights shrink with load while they are not.
        #[cfg_attr(feature = "serde", serde(default))]
        bias: Bias,
        /// How new endpoints ramp up; by default they do not.
        #[cfg_attr(feature = "serde", serde(default))]
        slow_start: SlowStart,
    },
    /// [`P2c`](crate::P2c) by requests in flight.
    P2c,
    /// [`WeightedP2c`](crate::WeightedP2c).
    WeightedP2c,
    /// [`IpvsTwos`](crate::IpvsTwos).
    IpvsTwos,
    /// [`PeakEwma`](crate::PeakEwma). Samples are taken by [`Load::record`](crate::Load::record) with the same `ewma`.
    PeakEwma {
        /// How latencies are averaged.
        #[cfg_attr(feature = "serde", serde(default))]
        ewma: EwmaSettings,
        /// What an endpoint without a sample is taken for.
        #[cfg_attr(feature = "serde", serde(default = "thirty_milliseconds"))]
        unknown: UnknownLatency,
    },
    /// [`LeastTime`](crate::LeastTime). Samples are taken by [`Load::record`](crate::Load::record) with the same `ewma`.
    LeastTime {
        /// How latencies are averaged.
        #[cfg_attr(feature = "serde", serde(default))]
        ewma: EwmaSettings,
    },
    /// [`Prequal`](crate::Prequal). Probes are answered to [`Balancer::probed`](crate::Balancer::probed).
    Prequal(PrequalSettings),
    /// [`ReportedWeights`](crate::ReportedWeights). Reports go to [`Balancer::report`](crate::Balancer::report), and every second
    /// is [`Balancer::update_weights`](crate::Balancer::update_weights).
    ReportedWeights(ReportedWeightsSettings),
    /// [`RingHash`](crate::hash::RingHash), Envoy's ring. With locality weights, they are part of the ring.
    #[cfg(feature = "hash")]
    RingHash {
        /// The size of the ring and its hash function.
        #[cfg_attr(feature = "serde", serde(default))]
        ring: RingSettings,
        /// Bounds loads to this percentage of a fair share, as Envoy does; without it, they are not bounded.
        #[cfg_attr(feature = "serde", serde(default))]
        bound: Option<u32>,
    },
    /// [`Maglev`](crate::hash::Maglev), Envoy's table. With locality weights, they are part of the table.
    #[cfg(feature = "hash")]
    Maglev {
        /// The number of slots, a prime: 65537.
        #[cfg_attr(feature = "serde", serde(default = "maglev_size"))]
        table_size: u32,
        /// Bounds loads to this percentage of a fair share, as Envoy does; without it, they are not bounded.
        #[cfg_attr(feature = "serde", serde(default))]
        bound: Option<u32>,
    },
    /// [`Ketama`](crate::hash::Ketama), nginx's and pingora's ring.
    #[cfg(feature = "hash")]
    Ketama,
    /// [`BoundedRing`](crate::hash::BoundedRing): nginx's ring with HAProxy's bound.
    #[cfg(feature = "hash")]
    BoundedRing {
        /// The bound as a percentage of a fair share, at least 100.
        factor_percent: u32,
    },
    /// [`RestyChash`](crate::hash::RestyChash), ingress-nginx's ring.
    #[cfg(feature = "hash")]
    RestyChash,
    /// [`NginxHash`](crate::hash::NginxHash).
    #[cfg(feature = "hash")]
    NginxHash,
    /// [`IpHash`](crate::hash::IpHash).
    #[cfg(feature = "hash")]
    IpHash,
    /// [`Jump`](crate::hash::Jump).
    #[cfg(feature = "hash")]
    Jump,
    /// [`Rendezvous`](crate::hash::Rendezvous).
    #[cfg(feature = "hash")]
    Rendezvous,
    /// [`TraefikHrw`](crate::hash::TraefikHrw).
    #[cfg(feature = "hash")]
    TraefikHrw,
    /// [`ByDestination`](crate::ByDestination): `lblc`, or `lblcr` if replicated.
    ByDestination {
        /// Whether a destination may have a set of endpoints.
        #[cfg_attr(feature = "serde", serde(default))]
        replicated: bool,
    },
}

#[cfg(feature = "serde")]
fn two() -> u32 {
    2
}

#[cfg(all(feature = "serde", feature = "hash"))]
fn maglev_size() -> u32 {
    65_537
}

impl PolicySettings {
    /// Whether the request's hash, or the client's address as one, decides.
    pub(crate) fn goes_by_hash(&self) -> bool {
        #[cfg(feature = "hash")]
        {
            matches!(
                self,
                Self::RingHash { .. }
                    | Self::Maglev { .. }
                    | Self::Ketama
                    | Self::BoundedRing { .. }
                    | Self::RestyChash
                    | Self::NginxHash
                    | Self::IpHash
                    | Self::Jump
                    | Self::Rendezvous
                    | Self::TraefikHrw
            )
        }
        #[cfg(not(feature = "hash"))]
        false
    }

    /// Whether locality weights can be made part of the table.
    pub(crate) fn takes_locality_weights(&self) -> bool {
        #[cfg(feature = "hash")]
        {
            matches!(self, Self::RingHash { bound: None, .. } | Self::Maglev { bound: None, .. })
        }
        #[cfg(not(feature = "hash"))]
        false
    }
}

#[cfg(feature = "serde")]
fn thirty_milliseconds() -> UnknownLatency {
    UnknownLatency::Assumed(core::time::Duration::from_millis(30))
}

impl BalancerSettings {
    /// This policy without layers.
    pub fn new(policy: PolicySettings) -> Self {
        Self { policy, ..Self::default() }
    }

    /// The same settings with client affinity.
    #[must_use]
    pub fn client_ip(self, client_ip: ClientIpSettings) -> Self {
        Self { client_ip: Some(client_ip), ..self }
    }

    /// The same settings with subsets.
    #[must_use]
    pub fn subsets(self, subsets: SubsetSettings) -> Self {
        Self { subsets: Some(subsets), ..self }
    }

    /// The same settings with priorities.
    #[must_use]
    pub fn priority(self, priority: ByPrioritySettings) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// The same settings with zone-aware routing.
    #[must_use]
    pub fn zone(self, zone: ByZoneSettings) -> Self {
        Self { zone: Some(zone), ..self }
    }

    /// The same settings with locality weights.
    #[must_use]
    pub fn locality(self, locality: LocalityWeights) -> Self {
        Self { locality: Some(locality), ..self }
    }

    /// The same settings with this [`fallback_to_draining`](Self#structfield.fallback_to_draining).
    #[must_use]
    pub fn fallback_to_draining(self, fallback_to_draining: bool) -> Self {
        Self { fallback_to_draining, ..self }
    }

    /// Whether the settings can work together.
    pub(crate) fn check(&self) -> Result<(), BalancerError> {
        if self.zone.is_some() && self.locality.is_some() {
            return Err(BalancerError::Conflict("zone", "locality"));
        }
        if self.fallback_to_draining && self.priority.is_some() {
            return Err(BalancerError::Conflict("fallbackToDraining", "priority"));
        }
        if self.policy.goes_by_hash() {
            // Going to another zone now and then, or taking turns, would undo what a hash is for.
            if self.zone.is_some() {
                return Err(BalancerError::Conflict("zone", "a policy by hash"));
            }
            if self.locality.is_some() && !self.policy.takes_locality_weights() {
                return Err(BalancerError::Conflict("locality", "this policy by hash"));
            }
        }
        Ok(())
    }
}

/// Why [`BalancerSettings`] are refused.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BalancerError {
    /// These two settings cannot both be there.
    Conflict(&'static str, &'static str),
    /// Client affinity is to remember too many clients.
    ClientIp(CapacityError),
    /// The subsets cannot be meant.
    Subsets(SubsetError),
    /// The ring cannot be built.
    #[cfg(feature = "hash")]
    Ring(RingError),
    /// The ring has too many points.
    #[cfg(feature = "hash")]
    Points(TooManyPoints),
    /// The table cannot have this size.
    #[cfg(feature = "hash")]
    Table(TableSizeError),
    /// The bound is none.
    #[cfg(feature = "hash")]
    Bound(FactorError),
}

impl fmt::Display for BalancerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(a, b) => write!(f, "{a} and {b} cannot be set together"),
            Self::ClientIp(error) => write!(f, "clientIp: {error}"),
            Self::Subsets(error) => write!(f, "subsets: {error}"),
            #[cfg(feature = "hash")]
            Self::Ring(error) => write!(f, "policy: {error}"),
            #[cfg(feature = "hash")]
            Self::Points(error) => write!(f, "policy: {error}"),
            #[cfg(feature = "hash")]
            Self::Table(error) => write!(f, "policy: {error}"),
            #[cfg(feature = "hash")]
            Self::Bound(error) => write!(f, "policy: {error}"),
        }
    }
}

impl core::error::Error for BalancerError {}

macro_rules! from {
    ($($(#[$when:meta])? $error:ty => $variant:ident),* $(,)?) => {$(
        $(#[$when])?
        impl From<$error> for BalancerError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from! {
    CapacityError => ClientIp,
    SubsetError => Subsets,
    #[cfg(feature = "hash")] RingError => Ring,
    #[cfg(feature = "hash")] TooManyPoints => Points,
    #[cfg(feature = "hash")] TableSizeError => Table,
    #[cfg(feature = "hash")] FactorError => Bound,
}
