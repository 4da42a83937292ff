//! Do layers send traffic where health, place and labels say, and say so?
#![cfg(feature = "std")]

mod common;

use common::{FixedHasher, no_words, pool, splitmix};
use lb_select::{
    Balancer, BalancerError, BalancerSettings, ByLocality, ByPriority, ByPrioritySettings, BySubset, ByZone,
    ByZoneSettings, Candidates, ClientIpSettings, Health, LoadReport, LocalityWeights, Member, Pick, Policy,
    PolicySettings, Pool, Probe, Random, Reason, ReportedWeights, ReportedWeightsSettings, RoundRobin, Sequence,
    SubsetFallback, SubsetSelector, SubsetSettings, TierState, Unavailable,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Endpoints of each priority: healthy, degraded, unhealthy.
fn levels(levels: &[(usize, usize, usize)]) -> Pool<()> {
    let mut builder = Pool::builder();
    for (priority, &(healthy, degraded, unhealthy)) in levels.iter().enumerate() {
        let states = [(Health::Healthy, healthy), (Health::Degraded, degraded), (Health::Unhealthy, unhealthy)];
        for (health, count) in states {
            for i in 0..count {
                let member = Member::new(format!("{priority} {health} {i}"), ()).priority(priority as u32);
                builder = builder.member(member.health(health));
            }
        }
    }
    builder.build().unwrap()
}

fn by_priority(pool: &Pool<()>, settings: ByPrioritySettings) -> ByPriority<Random> {
    ByPriority::new(pool, settings, |part, _| Random::new(part))
}

/// What priorities and states the hashes 0 to 9999 go to, in hundredths of a percent.
fn divided(pool: &Pool<()>, settings: ByPrioritySettings) -> BTreeMap<(u32, TierState), u32> {
    let policy = by_priority(pool, settings.by_hash(true));
    let mut words = splitmix(1);
    let mut counts = BTreeMap::new();
    for hash in 0..10_000 {
        let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words).for_hash(hash)).unwrap();
        let priority = choice.tier.priority.unwrap();
        assert_eq!(pool.get(choice.index).unwrap().priority, priority);
        *counts.entry((priority, choice.tier.state)).or_default() += 1;
    }
    counts
}

#[test]
fn priorities_get_exactly_the_loads_of_the_arithmetic() {
    use TierState::{Degraded, Healthy, Panic};
    let settings = ByPrioritySettings::default;
    let expect = |levels_: &[(usize, usize, usize)], expected: &[((u32, TierState), u32)]| {
        assert_eq!(divided(&levels(levels_), settings()), BTreeMap::from_iter(expected.iter().copied()), "{levels_:?}");
    };
    expect(&[(72, 0, 28), (72, 0, 28)], &[((0, Healthy), 10_000)]);
    expect(&[(71, 0, 29), (71, 0, 29)], &[((0, Healthy), 9_900), ((1, Healthy), 100)]);
    expect(&[(25, 0, 75), (100, 0, 0)], &[((0, Healthy), 3_500), ((1, Healthy), 6_500)]);
    expect(&[(50, 50, 0)], &[((0, Healthy), 7_000), ((0, Degraded), 3_000)]);
    expect(&[(1, 0, 3), (1, 0, 3)], &[((0, Panic), 5_000), ((1, Panic), 5_000)]);
}

#[test]
fn a_word_is_drawn_for_the_priority_only_where_there_is_a_choice() {
    let one = by_priority(&levels(&[(1, 0, 0)]), ByPrioritySettings::default());
    assert_eq!(common::ask(&one, no_words).unwrap().tier.priority, Some(0));
    let two = by_priority(&levels(&[(1, 0, 1), (1, 0, 1)]), ByPrioritySettings::default());
    let mut words = [69, 70].into_iter();
    let mut ask = || common::ask(&two, || words.next().unwrap()).unwrap().tier.priority;
    assert_eq!((ask(), ask()), (Some(0), Some(1)));
}

#[test]
fn in_panic_everyone_is_used_or_nobody() {
    let pool = levels(&[(1, 0, 9)]);
    let everyone: std::collections::BTreeSet<usize> = {
        let policy = by_priority(&pool, ByPrioritySettings::default());
        (0..100).map(|word| common::ask(&policy, || word).unwrap().index).collect()
    };
    assert_eq!(everyone.len(), 10);
    let nobody = by_priority(&pool, ByPrioritySettings::default().fail_on_panic(true));
    assert_eq!(common::ask(&nobody, splitmix(1)), Err(Unavailable::Panic));
    // Panic ignores marks too: they say who is not well, and that does not count now.
    let policy = by_priority(&pool, ByPrioritySettings::default());
    (0..10).for_each(|index| pool.load(index).close());
    assert!(common::ask(&policy, splitmix(1)).is_ok());
}

#[test]
fn where_the_chosen_priority_knows_nobody_the_next_is_asked() {
    let pool = levels(&[(2, 0, 0), (1, 1, 0)]);
    let policy = by_priority(&pool, ByPrioritySettings::default());
    pool.load(0).close();
    let ask = |excluded: &[usize]| policy.pick(&mut Pick::new(Duration::ZERO, &mut splitmix(1)).excluding(excluded));
    assert_eq!(ask(&[]).map(|choice| choice.index), Ok(1));
    assert_eq!(ask(&[1]).map(|choice| (choice.index, choice.tier.priority)), Ok((2, Some(1))));
    assert_eq!(ask(&[1, 2]).map(|choice| choice.tier.state), Ok(TierState::Degraded));
    assert_eq!(ask(&[1, 2, 3]), Err(Unavailable::NoneHealthy));
    assert_eq!(
        common::ask(&by_priority(&levels(&[]), ByPrioritySettings::default()), no_words),
        Err(Unavailable::Empty)
    );
    assert_eq!(
        common::ask(
            &by_priority(
                &levels(&[(0, 0, 0), (0, 0, 2)]),
                ByPrioritySettings::default().loads({
                    let mut loads = ByPrioritySettings::default().loads;
                    loads.panic_threshold = 0;
                    loads
                })
            ),
            splitmix(1)
        ),
        Err(Unavailable::NoneHealthy)
    );
}

#[test]
fn a_retry_goes_to_priorities_not_tried() {
    let policy = by_priority(&levels(&[(1, 0, 0), (1, 0, 0), (1, 0, 0)]), ByPrioritySettings::default());
    let ask = |tried: &[u32]| {
        policy.pick_untried(&mut Pick::new(Duration::ZERO, &mut splitmix(1)), tried).unwrap().tier.priority
    };
    assert_eq!((ask(&[]), ask(&[0]), ask(&[0, 1]), ask(&[0, 1, 2])), (Some(0), Some(1), Some(2), Some(0)));
}

fn located(endpoints: &[(&str, Health)]) -> Pool<()> {
    let members = endpoints.iter().enumerate();
    let builder = members.fold(Pool::builder(), |builder, (i, &(locality, health))| {
        builder.member(Member::new(i.to_string(), ()).locality(locality).health(health))
    });
    builder.build().unwrap()
}

#[test]
fn localities_get_turns_by_weight_and_health() {
    use Health::{Healthy, Unhealthy};
    // 50 % of the first are healthy: 1 × 0.7 against 2, as in Envoy's documentation.
    let pool = located(&[("a", Healthy), ("a", Unhealthy), ("b", Healthy), ("c", Healthy)]);
    let weight = |locality: &lb_select::Locality| match locality.region() {
        "a" => 1,
        "b" => 2,
        _ => 0,
    };
    let mut layer = ByLocality::new(&pool, weight, 140, |part, _| RoundRobin::new(part));
    let mut counts = [0; 3];
    for _ in 0..2700 {
        let choice = layer.next(&mut Pick::new(Duration::ZERO, &mut no_words)).unwrap();
        counts[choice.tier.locality.unwrap() as usize] += 1;
    }
    assert_eq!(counts, [700, 2000, 0]);
    pool.load(2).close();
    let choice = layer.next(&mut Pick::new(Duration::ZERO, &mut no_words)).unwrap();
    assert_eq!(choice.index, 0, "the other locality has its turn");
}

#[test]
fn zones_keep_what_they_can_serve() {
    use Health::Healthy;
    let pool = located(&["r/a", "r/b", "r/b", "r/b"].map(|zone| (zone, Healthy)));
    let callers = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]);
    let settings = ByZoneSettings::new("a", callers).min_cluster_size(1);
    let layer = ByZone::new(&pool, &settings, |part, _| Random::new(part));
    // A quarter of the endpoints for half of the callers: half stays.
    let ask = |words: &[u64]| {
        let mut words = words.iter().copied();
        let index = common::ask(&layer, || words.next().unwrap()).unwrap().index;
        assert_eq!(words.next(), None);
        index
    };
    assert_eq!(ask(&[4999]), 0);
    assert_eq!(ask(&[5000, 0, 1]), 2);
    let panicking = ByZone::new(&Candidates::of(&pool).in_any_health(), &settings, |part, _| Random::new(part));
    assert_eq!(common::ask(&panicking, || 3).unwrap().index, 3);
    let never = ByZone::new(&pool, &settings.routing_enabled(0), |part, _| Random::new(part));
    assert_eq!(common::ask(&never, || 3).unwrap().index, 3);
}

#[test]
fn layers_nest_and_endpoints_keep_their_numbers() {
    let member = |key: &str, version: &str, priority| Member::new(key, ()).label("version", version).priority(priority);
    let pool = Pool::builder()
        .member(member("a", "v1", 0).health(Health::Unhealthy))
        .member(member("b", "v2", 0))
        .member(member("c", "v1", 1))
        .build()
        .unwrap();
    let settings = SubsetSettings::default().selector(SubsetSelector::new(["version"])).fallback(SubsetFallback::Any);
    let policy = BySubset::new(&pool, settings, |part| {
        ByPriority::new(part, ByPrioritySettings::default(), |part, _| RoundRobin::new(part))
    });
    let policy = policy.unwrap();
    let ask = |criteria: &[(&str, &str)]| {
        policy.pick(&mut Pick::new(Duration::ZERO, &mut splitmix(1)).for_subset(criteria)).map(|choice| choice.index)
    };
    assert_eq!(ask(&[("version", "v1")]), Ok(2), "the one in the first priority is not healthy");
    assert_eq!(ask(&[("version", "v2")]), Ok(1));
    assert_eq!(ask(&[]), Ok(1));
    // The pool was told that a is well again: a new table over the same loads.
    let pool = pool.with_health(|_| Health::Healthy);
    let again = ByPriority::new(&pool, ByPrioritySettings::default(), |part, _| RoundRobin::new(part));
    assert_eq!(common::ask(&again, no_words).unwrap().index, 0);
}

#[test]
fn reported_weights_count_after_the_blackout_until_they_expire() {
    let pool = pool(&[1; 3]);
    let mut policy = ReportedWeights::new(&pool, ReportedWeightsSettings::default());
    let at = Duration::from_secs;
    let counts = |policy: &mut ReportedWeights| {
        let mut counts = [0; 3];
        for _ in 0..600 {
            counts[policy.next(&mut Pick::new(Duration::ZERO, &mut no_words)).unwrap().index] += 1;
        }
        counts
    };
    policy.report(0, &LoadReport::new(100.0).cpu(1.0), at(0));
    policy.report(1, &LoadReport::new(300.0).cpu(1.0), at(0));
    policy.report(2, &LoadReport::new(0.0), at(0)); // says nothing
    policy.report(9, &LoadReport::new(1.0).cpu(1.0), at(0)); // nobody
    policy.update(at(9));
    assert_eq!(counts(&mut policy), [200, 200, 200], "the blackout");
    policy.update(at(10));
    let near = |counts: [i32; 3], expected: [i32; 3]| {
        let off = counts.iter().zip(expected).map(|(a, b)| (a - b).abs()).max();
        assert!(off <= Some(2), "{counts:?}");
    };
    near(counts(&mut policy), [100, 300, 200]); // the third has the median, 200
    let mut next = policy.over(&Pool::of(["2", "1"]).unwrap());
    near(counts(&mut next), [240, 360, 0]);
    policy.report(0, &LoadReport::new(100.0).cpu(1.0), at(100));
    policy.update(at(181));
    near(counts(&mut policy), [200, 200, 200]); // the median of the only valid one
    policy.update(at(400));
    near(counts(&mut policy), [200, 200, 200]);
}

fn balancer<E>(pool: &Pool<E>, settings: BalancerSettings) -> Result<Balancer<FixedHasher>, BalancerError> {
    Balancer::new(pool, settings, FixedHasher::new(), 0)
}

#[test]
fn settings_that_cannot_work_together_are_refused() {
    let pool = pool(&[1]);
    let zone = ByZoneSettings::new("a", BTreeMap::new());
    let both = BalancerSettings::default().zone(zone).locality(LocalityWeights::default());
    assert_eq!(balancer(&pool, both).unwrap_err().to_string(), "zone and locality cannot be set together");
    let draining = BalancerSettings::default().priority(Default::default()).fallback_to_draining(true);
    assert_eq!(balancer(&pool, draining).unwrap_err(), BalancerError::Conflict("fallbackToDraining", "priority"));
    let subsets =
        BalancerSettings::default().subsets(SubsetSettings::default().selector(SubsetSelector::new::<&str>([])));
    assert_eq!(balancer(&pool, subsets).unwrap_err().to_string(), "subsets: a subset selector has no keys");
    let client_ip = BalancerSettings::default().client_ip(ClientIpSettings::default().capacity(u32::MAX));
    assert!(matches!(balancer(&pool, client_ip), Err(BalancerError::ClientIp(_))));
}

#[test]
fn a_configured_balancer_goes_on_with_everything_when_the_pool_changes() {
    let old = located(&["r/a", "r/a", "r/b"].map(|zone| (zone, Health::Healthy)));
    let new = old.with_weights(|endpoint| endpoint.weight);
    let weights = BTreeMap::from([("r/a".to_owned(), 1), ("r/b".to_owned(), 1)]);
    let settings = BalancerSettings::new(PolicySettings::RoundRobin)
        .client_ip(ClientIpSettings::default())
        .priority(Default::default())
        .locality(LocalityWeights::new(weights));
    let balancer = balancer(&old, settings).unwrap();
    let ask = |balancer: &Balancer<FixedHasher>, client: u8| {
        let mut words = splitmix(1);
        let mut pick = Pick::new(Duration::ZERO, &mut words);
        if client > 0 {
            pick = pick.for_client([192, 0, 2, client].into());
        }
        balancer.pick(&mut pick).unwrap()
    };
    assert_eq!(ask(&balancer, 1).index, 0);
    let balancer = balancer.over(&new, Duration::ZERO).unwrap();
    assert_eq!((ask(&balancer, 1).index, ask(&balancer, 1).reason), (0, Reason::Sticky));
    let next = ask(&balancer, 0);
    assert_eq!((next.index, next.tier.locality, next.tier.priority), (1, Some(0), Some(0)), "the turn after the first");
}

#[test]
fn every_configured_policy_answers_and_is_told_what_it_needs() {
    let pool = pool(&[1, 2, 3]);
    let policies = [
        PolicySettings::RoundRobin,
        PolicySettings::SmoothWeighted,
        PolicySettings::WeightedEdf,
        PolicySettings::RampedEdf { slow_start: lb_select::SlowStart::new(Duration::from_secs(1)) },
        PolicySettings::IpvsWrr,
        PolicySettings::BlockWeighted,
        PolicySettings::Random,
        PolicySettings::WeightedRandom,
        PolicySettings::LeastLoad { rule: lb_select::LoadRule::NeverQueue },
        PolicySettings::LeastRequest { choices: 2, bias: Default::default(), slow_start: Default::default() },
        PolicySettings::P2c,
        PolicySettings::WeightedP2c,
        PolicySettings::IpvsTwos,
        PolicySettings::PeakEwma { ewma: Default::default(), unknown: lb_select::UnknownLatency::TriedOnce },
        PolicySettings::LeastTime { ewma: Default::default() },
        PolicySettings::Prequal(Default::default()),
        PolicySettings::ReportedWeights(Default::default()),
        PolicySettings::ByDestination { replicated: false },
        PolicySettings::ByDestination { replicated: true },
    ];
    let mut policies = Vec::from(policies);
    #[cfg(feature = "hash")]
    policies.extend([
        PolicySettings::RingHash { ring: Default::default(), bound: None },
        PolicySettings::RingHash { ring: Default::default(), bound: Some(125) },
        PolicySettings::Maglev { table_size: 101, bound: None },
        PolicySettings::Maglev { table_size: 101, bound: Some(125) },
        PolicySettings::Ketama,
        PolicySettings::BoundedRing { factor_percent: 125 },
        PolicySettings::RestyChash,
        PolicySettings::NginxHash,
        PolicySettings::IpHash,
        PolicySettings::Jump,
        PolicySettings::Rendezvous,
        PolicySettings::TraefikHrw,
    ]);
    for policy in policies {
        let balancer = balancer(&pool, BalancerSettings::new(policy.clone())).unwrap();
        for round in 0..3 {
            let now = Duration::from_secs(round);
            balancer.probed(1, Probe { in_flight: 1, latency: now }, now);
            balancer.report(1, &LoadReport::new(1.0).cpu(0.5), now);
            balancer.update_weights(now);
            let balancer = balancer.over(&pool, now).unwrap();
            let choice = balancer.pick(&mut Pick::new(now, &mut splitmix(round)));
            assert!(choice.is_ok(), "{policy:?}");
        }
    }
}

#[cfg(feature = "hash")]
#[test]
fn a_configured_hash_decides_priority_and_takes_locality_weights_or_refuses_them() {
    let pool = located(&["r/a", "r/a", "r/b"].map(|zone| (zone, Health::Healthy)));
    let weights = || LocalityWeights::new(BTreeMap::from([("r/b".to_owned(), 1)]));
    let maglev = |bound| BalancerSettings::new(PolicySettings::Maglev { table_size: 101, bound });
    let layered = balancer(&pool, maglev(None).priority(Default::default()).locality(weights())).unwrap();
    for hash in 0..20 {
        let choice = layered.pick(&mut Pick::new(Duration::ZERO, &mut no_words).for_hash(hash)).unwrap();
        assert_eq!((choice.index, choice.reason), (2, Reason::Hash), "the only locality with weight");
    }
    let refused = |settings| matches!(balancer(&pool, settings), Err(BalancerError::Conflict(..)));
    assert!(refused(maglev(Some(125)).locality(weights())));
    assert!(refused(BalancerSettings::new(PolicySettings::Ketama).locality(weights())));
    assert!(refused(maglev(None).zone(ByZoneSettings::new("a", BTreeMap::new()))));
    let size = BalancerSettings::new(PolicySettings::Maglev { table_size: 100, bound: None });
    assert!(matches!(balancer(&pool, size), Err(BalancerError::Table(_))));
    let low = BalancerSettings::new(PolicySettings::BoundedRing { factor_percent: 99 });
    assert!(matches!(balancer(&pool, low), Err(BalancerError::Bound(_))));
}

#[cfg(feature = "serde")]
#[test]
fn settings_are_read_by_their_names_and_unknown_ones_are_refused() {
    let read = |text: &str| serde_saphyr::from_str::<BalancerSettings>(text).map_err(|error| error.to_string());
    assert_eq!(read("{}"), Ok(BalancerSettings::default()));
    let settings = read(
        "policy: {leastRequest: {choices: 3}}\npriority: {panicThreshold: 30, failOnPanic: true}\nclientIp: {timeoutSeconds: 60}",
    );
    let settings = settings.unwrap();
    let expected =
        PolicySettings::LeastRequest { choices: 3, bias: Default::default(), slow_start: Default::default() };
    assert_eq!(settings.policy, expected);
    let priority = settings.priority.unwrap();
    assert_eq!((priority.loads.panic_threshold, priority.fail_on_panic), (30, true));
    assert_eq!(settings.client_ip, Some(ClientIpSettings::default().timeout_seconds(60)));
    assert_eq!(read("policy: smoothWeighted").unwrap().policy, PolicySettings::SmoothWeighted);
    assert!(read("policy: best").is_err());
    assert!(read("polcy: random").is_err());
    assert!(read("policy: {leastRequest: {bias: -1}}").is_err());
    let text = serde_saphyr::to_string(&BalancerSettings::new(PolicySettings::IpvsTwos)).unwrap();
    assert_eq!(read(&text).unwrap().policy, PolicySettings::IpvsTwos);
}
