//! All policies over one pool, by name, for tests of what holds for each of them.

use crate::common::FixedHasher;
use lb_select::{
    Balancer, BalancerSettings, Bias, BlockWeighted, ByDestination, ByLocality, ByPriority, ByPrioritySettings, ByZone,
    ByZoneSettings, ChoiceOfSome, EwmaSettings, IpvsTwos, IpvsWrr, LatencyCost, LeastLoad, LeastRequestEdf, LeastTime,
    LoadRule, P2c, PeakEwma, Policy, PolicySettings, Pool, Prequal, PrequalSettings, Random, ReportedWeights,
    ReportedWeightsSettings, Rotation, RoundRobin, SmoothWeighted, WeightedEdf, WeightedP2c, WeightedRandom,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

pub(crate) type Named = (&'static str, Box<dyn Policy>);

/// Every policy and layer of the crate that needs nothing but a pool.
pub(crate) fn policies<E>(pool: &Pool<E>) -> Vec<Named> {
    let mut policies: Vec<Named> = vec![
        ("round robin", Box::new(RoundRobin::new(pool))),
        ("rotation", Box::new(RefCell::new(Rotation::new(pool)))),
        ("smooth", Box::new(Mutex::new(SmoothWeighted::new(pool)))),
        ("edf", Box::new(Mutex::new(WeightedEdf::new(pool)))),
        ("edf skipping", Box::new(Mutex::new(WeightedEdf::skipping(pool, u64::MAX)))),
        ("ipvs wrr", Box::new(Mutex::new(IpvsWrr::new(pool)))),
        ("block", Box::new(Mutex::new(BlockWeighted::new(pool)))),
        ("random", Box::new(Random::new(pool))),
        ("weighted random", Box::new(WeightedRandom::new(pool))),
        ("choice of two", Box::new(ChoiceOfSome::new(pool))),
        ("choice of five", Box::new(ChoiceOfSome::among(pool, 5))),
        ("p2c", Box::new(P2c::new(pool))),
        ("weighted p2c", Box::new(WeightedP2c::new(pool))),
        ("twos", Box::new(IpvsTwos::new(pool))),
        ("least request edf", Box::new(Mutex::new(LeastRequestEdf::new(pool, Bias::default())))),
        ("least request edf, bias 2.5", Box::new(Mutex::new(LeastRequestEdf::new(pool, Bias::new(2.5).unwrap())))),
        ("peak ewma", Box::new(PeakEwma::by(pool, LatencyCost::default()))),
        ("least time", Box::new(LeastTime::new(pool, EwmaSettings::default()))),
        ("prequal", Box::new(Mutex::new(Prequal::new(pool, PrequalSettings::default())))),
        ("reported", Box::new(Mutex::new(ReportedWeights::new(pool, ReportedWeightsSettings::default())))),
        ("lblc", Box::new(ByDestination::new(pool, FixedHasher::new()))),
        ("lblcr", Box::new(ByDestination::replicated(pool, FixedHasher::new()))),
        ("priority", Box::new(ByPriority::new(pool, ByPrioritySettings::default(), |part, _| Random::new(part)))),
        ("locality", Box::new(Mutex::new(ByLocality::new(pool, |_| 1, 140, |part, _| RoundRobin::new(part))))),
        (
            "zone",
            Box::new(ByZone::new(
                pool,
                &ByZoneSettings::new("a", BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 1)]))
                    .min_cluster_size(1),
                |part, _| P2c::new(part),
            )),
        ),
    ];
    for (name, rule) in RULES {
        policies.push((name, Box::new(LeastLoad::new(pool, rule))));
    }
    let settings = BalancerSettings::new(PolicySettings::SmoothWeighted).priority(ByPrioritySettings::default());
    policies.push(("balancer", Box::new(Balancer::new(pool, settings, FixedHasher::new(), 3).unwrap())));
    policies
}

pub(crate) const RULES: [(&str, LoadRule); 8] = [
    ("least request", LoadRule::LeastRequest),
    ("lc", LoadRule::LeastConnection),
    ("wlc", LoadRule::WeightedLeastConnection),
    ("sed", LoadRule::ShortestExpectedDelay),
    ("nq", LoadRule::NeverQueue),
    ("fo", LoadRule::Failover),
    ("ovf", LoadRule::Overflow),
    ("first", LoadRule::First),
];
