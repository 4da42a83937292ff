//! Is chance fair, and does looking at load even it out? Fixed seeds, so that no run differs from another.
#![cfg(feature = "std")]

mod common;

use common::{pool, splitmix};
use lb_select::{
    Bias, ChoiceOfSome, EwmaSettings, IpvsTwos, LatencyCost, LeastLoad, LeastRequestEdf, LoadRule, P2c, PeakEwma, Pick,
    Policy, Pool, Prequal, PrequalSettings, Probe, Random, WeightedP2c, WeightedRandom,
};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

/// Critical values of the chi-square distribution with 9 degrees of freedom.
const AT_0_001: f64 = 27.877;
const AT_0_05: f64 = 16.919;

/// 100 000 picks among 10 endpoints for each of 20 seeds: none is improbable (p > 0.001), few are unlikely (p > 0.05).
fn is_fair(policy: &dyn Policy, shares: &[f64; 10]) {
    let sum: f64 = shares.iter().sum();
    let chi_square = |seed| {
        let mut words = splitmix(seed);
        let mut counts = [0.0; 10];
        for _ in 0..100_000 {
            counts[common::ask(policy, &mut words).unwrap().index] += 1.0;
        }
        let term = |(count, share): (&f64, &f64)| (count - 1e5 * share / sum).powi(2) / (1e5 * share / sum);
        counts.iter().zip(shares).map(term).sum::<f64>()
    };
    let results: Vec<f64> = (1..=20).map(chi_square).collect();
    assert!(results.iter().all(|&chi| chi < AT_0_001), "{results:?}");
    assert!(results.iter().filter(|&&chi| chi < AT_0_05).count() >= 15, "{results:?}");
}

#[test]
fn policies_by_chance_are_fair_among_equals() {
    let pool = pool(&[1; 10]);
    let policies: [(&str, Box<dyn Policy>); 5] = [
        ("random", Box::new(Random::new(&pool))),
        ("weighted random", Box::new(WeightedRandom::new(&pool))),
        ("p2c", Box::new(P2c::new(&pool))),
        ("choice of two", Box::new(ChoiceOfSome::new(&pool))),
        ("least request", Box::new(LeastLoad::new(&pool, LoadRule::LeastRequest))),
    ];
    for (_, policy) in &policies {
        is_fair(policy.as_ref(), &[1.0; 10]);
    }
}

#[test]
fn weighted_chance_follows_the_weights() {
    let weights = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1000];
    is_fair(&WeightedRandom::new(&pool(&weights)), &weights.map(f64::from));
    // Its first endpoint has one chance more.
    let twos = [2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1000.0];
    is_fair(&IpvsTwos::new(&pool(&weights)), &twos);
}

#[test]
fn chance_is_fair_among_those_that_are_left() {
    let pool = pool(&[3; 12]);
    let policies: [Box<dyn Policy>; 3] =
        [Box::new(Random::new(&pool)), Box::new(WeightedRandom::new(&pool)), Box::new(P2c::new(&pool))];
    pool.load(10).close();
    pool.load(11).close();
    for policy in &policies {
        is_fair(policy.as_ref(), &[1.0; 10]);
    }
}

/// The average, over 50 runs, of what the fullest of n endpoints has when n requests were placed and none has ended.
fn fullest(n: usize, policy: impl Fn(&Pool<usize>) -> Box<dyn Policy>) -> f64 {
    let run = |seed| {
        let pool = pool(&vec![1; n]);
        let policy = policy(&pool);
        let mut words = splitmix(seed);
        let placed: Vec<_> =
            (0..n).map(|_| pool.start(common::ask(policy.as_ref(), &mut words).unwrap().index)).collect();
        let fullest = (0..n).map(|index| pool.load(index).active()).max().unwrap();
        drop(placed);
        f64::from(fullest)
    };
    (1..=50).map(run).sum::<f64>() / 50.0
}

#[test]
fn two_choices_even_out_what_one_does_not() {
    for (n, bound, one) in [(100, 3.2, 4.0), (1000, 3.6, 5.2)] {
        assert!(fullest(n, |pool| Box::new(P2c::new(pool))) <= bound, "{n}");
        assert!(fullest(n, |pool| Box::new(ChoiceOfSome::new(pool))) <= bound, "{n}");
        assert!(fullest(n, |pool| Box::new(WeightedP2c::new(pool))) <= bound, "{n}");
        assert!(fullest(n, |pool| Box::new(Random::new(pool))) > one, "{n}");
    }
}

/// Shares of picks while so many requests are in flight and the oldest always ends first: equal service times.
fn shares(pool: &Pool<usize>, policy: &dyn Policy, in_flight: usize) -> Vec<f64> {
    let mut words = splitmix(7);
    let mut running = VecDeque::new();
    let mut counts = vec![0.0; pool.len()];
    let picks = 200_000;
    for pick in 0..in_flight + picks {
        let index = common::ask(policy, &mut words).unwrap().index;
        running.push_back(pool.start(index));
        if pick >= in_flight {
            counts[index] += 1.0 / picks as f64;
            running.pop_front();
        }
    }
    counts
}

#[test]
fn with_equal_service_times_shares_follow_weights_within_two_percent() {
    let weights = [1, 2, 3, 4, 10];
    type Build = fn(&Pool<usize>) -> Box<dyn Policy>;
    let build: [(&str, Build); 2] = [
        ("weighted p2c", |pool| Box::new(WeightedP2c::new(pool))),
        ("sed", |pool| Box::new(LeastLoad::new(pool, LoadRule::ShortestExpectedDelay))),
    ];
    for (name, build) in build {
        let pool = pool(&weights);
        for (share, weight) in shares(&pool, build(&pool).as_ref(), 2000).into_iter().zip(weights) {
            let wanted = f64::from(weight) / 20.0;
            assert!((share / wanted - 1.0).abs() <= 0.02, "{name}: weight {weight} has {share}");
        }
    }
}

#[test]
fn biased_deadlines_follow_weights_when_idle_and_their_roots_when_busy() {
    let weights = [1, 2, 3, 4, 10];
    let edf = |pool: &Pool<usize>| Mutex::new(LeastRequestEdf::new(pool, Bias::default()));
    let follow = |in_flight, wanted: [f64; 5]| {
        let pool = pool(&weights);
        let sum: f64 = wanted.iter().sum();
        for (share, wanted) in shares(&pool, &edf(&pool), in_flight).into_iter().zip(wanted) {
            assert!((share * sum / wanted - 1.0).abs() <= 0.02, "{in_flight}: {share} instead of {wanted}");
        }
    };
    follow(0, weights.map(f64::from));
    // A share makes load, and load makes it shrink: w / a with a in proportion to the share is the root.
    follow(2000, weights.map(|weight| f64::from(weight).sqrt()));
}

/// One endpoint in four is five times as slow; every request takes its endpoint's time.
fn slow_share(policy: impl Fn(&Pool<usize>) -> (Box<dyn Policy>, Option<EwmaSettings>)) -> f64 {
    let pool = pool(&[1; 20]);
    let (policy, ewma) = policy(&pool);
    let latency = |index: usize| Duration::from_millis(if index.is_multiple_of(4) { 50 } else { 10 });
    let mut words = splitmix(11);
    let mut running: Vec<(Duration, usize, lb_select::InFlight)> = Vec::new();
    let mut slow = 0.0;
    for millis in 0..20_000 {
        let now = Duration::from_millis(millis);
        running.retain(|(end, index, guard)| {
            if let Some(ewma) = ewma.as_ref().filter(|_| *end <= now) {
                guard.load().record(latency(*index), now, ewma);
            }
            *end > now
        });
        let index = policy.pick(&mut Pick::new(now, &mut words)).unwrap().index;
        running.push((now + latency(index), index, pool.start(index)));
        slow += f64::from(u8::from(index.is_multiple_of(4))) / 20_000.0;
    }
    slow
}

#[test]
fn latency_keeps_traffic_from_slow_endpoints() {
    let random = slow_share(|pool| (Box::new(Random::new(pool)), None));
    assert!((random - 0.25).abs() < 0.02);
    let ewma = EwmaSettings::default();
    let peak_ewma = slow_share(|pool| (Box::new(PeakEwma::by(pool, LatencyCost::default())), Some(ewma)));
    // Two choices send a request to a slow one only if both are slow, which is 4/19 of a quarter.
    assert!(peak_ewma < 0.08, "{peak_ewma}");
    let least_time = slow_share(|pool| (Box::new(lb_select::LeastTime::new(pool, ewma.peak(false))), Some(ewma)));
    assert!(least_time < 0.05, "{least_time}");
}

#[test]
fn peak_ewma_prefers_known_fast_endpoints_and_assumes_the_mean_of_others() {
    let pool = pool(&[1, 1, 1]);
    let policy = PeakEwma::by(&pool, LatencyCost::default());
    let at = Duration::from_secs;
    policy.record(0, Duration::from_millis(10), at(1));
    policy.record(1, Duration::from_millis(30), at(1));
    policy.record(7, Duration::from_millis(30), at(1)); // nobody
    policy.assume_mean(at(1));
    assert!((pool.load(2).latency().unwrap().value() - 0.020).abs() < 1e-12);
    // A peak is believed at once, and time going back is no time.
    policy.record(0, Duration::from_secs(1), at(0));
    assert_eq!(pool.load(0).latency().unwrap().value(), 1.0);
}

#[test]
fn prequal_avoids_hot_endpoints_and_uses_a_probe_so_often_and_so_long() {
    let pool = pool(&[1; 4]);
    let mut prequal = Prequal::new(&pool, PrequalSettings::default());
    let probe = |in_flight, millis| Probe { in_flight, latency: Duration::from_millis(millis) };
    let at = Duration::from_millis;
    for (index, in_flight, millis) in [(0, 1, 30), (1, 2, 12), (2, 3, 20), (3, 90, 1)] {
        prequal.probed(index, probe(in_flight, millis), at(0));
    }
    assert_eq!(prequal.threshold(), 90, "the 84th percentile of four is the last");
    for _ in 0..12 {
        prequal.probed(2, probe(3, 20), at(0));
    }
    assert_eq!(prequal.threshold(), 3);
    let ask = |prequal: &mut Prequal, now| {
        let mut words = splitmix(1);
        lb_select::Sequence::next(prequal, &mut Pick::new(at(now), &mut words)).unwrap()
    };
    assert_eq!(ask(&mut prequal, 10).index, 1);
    assert_ne!(ask(&mut prequal, 10).index, 3);
    // A second later no probe is left and two random endpoints are compared.
    assert_eq!(ask(&mut prequal, 1500).reason, lb_select::Reason::LeastLoad);
}
