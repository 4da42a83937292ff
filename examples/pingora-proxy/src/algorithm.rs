//! Which policy does a command line name?

use lb_select::hash::{Maglev, RingSettings};
use lb_select::{Bias, EwmaSettings, LoadRule, PolicySettings, SlowStart, UnknownLatency};
use std::time::Duration;

/// The name of a policy of [`Balancer`](lb_select::Balancer), with the settings that its namesake has by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum Algorithm {
    /// Each in turn, weights ignored
    #[default]
    RoundRobin,
    /// By weight, spread as evenly as can be: nginx's order
    SmoothWeighted,
    /// By weight, the earliest deadline first: Envoy's round robin
    WeightedEdf,
    /// By chance, weights ignored
    Random,
    /// By chance and weight
    WeightedRandom,
    /// The less busy of two that chance names
    P2c,
    /// The less busy of two by weight; with unequal weights, turns that shrink with load: Envoy's least request
    LeastRequest,
    /// The least busy of all by weight: IPVS's wlc
    LeastConnection,
    /// The one of two that is expected to answer sooner: linkerd's peak EWMA
    PeakEwma,
    /// By the hash of the key, on nginx's and pingora's ring
    Ketama,
    /// By the hash of the key, on Envoy's ring
    RingHash,
    /// By the hash of the key, in Google's table
    Maglev,
    /// By the hash of the key, the highest score of all
    Rendezvous,
    /// As ketama, but nobody gets more than 1.25 times its share of what is in flight: HAProxy's bounded loads
    BoundedKetama,
}

impl Algorithm {
    /// The settings it stands for.
    pub fn policy(self) -> PolicySettings {
        match self {
            Self::RoundRobin => PolicySettings::RoundRobin,
            Self::SmoothWeighted => PolicySettings::SmoothWeighted,
            Self::WeightedEdf => PolicySettings::WeightedEdf,
            Self::Random => PolicySettings::Random,
            Self::WeightedRandom => PolicySettings::WeightedRandom,
            Self::P2c => PolicySettings::P2c,
            Self::LeastRequest => {
                PolicySettings::LeastRequest { choices: 2, bias: Bias::default(), slow_start: SlowStart::default() }
            }
            Self::LeastConnection => PolicySettings::LeastLoad { rule: LoadRule::WeightedLeastConnection },
            Self::PeakEwma => {
                let unknown = UnknownLatency::Assumed(Duration::from_millis(30)); // linkerd's
                PolicySettings::PeakEwma { ewma: EwmaSettings::default(), unknown }
            }
            Self::Ketama => PolicySettings::Ketama,
            Self::RingHash => PolicySettings::RingHash { ring: RingSettings::default(), bound: None },
            Self::Maglev => PolicySettings::Maglev { table_size: Maglev::TABLE_SIZE, bound: None },
            Self::Rendezvous => PolicySettings::Rendezvous,
            Self::BoundedKetama => PolicySettings::BoundedRing { factor_percent: 125 },
        }
    }
}
