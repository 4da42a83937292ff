//! Does a client come back to its endpoint for as long as it must, and no longer?
#![cfg(feature = "std")]

mod common;

use common::{FixedHasher, pool, splitmix};
use lb_select::{Choice, ClientIpAffinity, ClientIpSettings, Key, Pick, Policy, Pool, Random, Reason, Unavailable};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Random chooses endpoint `word mod n`, so that a test can say where a new client would go.
type Affinity = ClientIpAffinity<Random, FixedHasher>;

fn affinity(pool: &Pool<usize>, settings: ClientIpSettings) -> Affinity {
    ClientIpAffinity::new(pool, Random::new(pool), settings, FixedHasher::new()).unwrap()
}

fn timeout(timeout_seconds: u32) -> ClientIpSettings {
    ClientIpSettings::default().timeout_seconds(timeout_seconds)
}

fn client(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

fn connect(policy: &Affinity, seconds: u64, from: IpAddr, word: u64) -> Result<Choice, Unavailable> {
    policy.pick(&mut Pick::new(Duration::from_secs(seconds), &mut || word).for_client(from))
}

fn sticky(index: usize) -> Result<Choice, Unavailable> {
    Ok(Choice::new(index, Reason::Sticky))
}

fn random(index: usize) -> Result<Choice, Unavailable> {
    Ok(Choice::new(index, Reason::Random))
}

#[test]
fn every_connection_renews_and_the_timeout_itself_is_too_late() {
    let policy = affinity(&pool(&[1, 1, 1]), timeout(100));
    assert_eq!(connect(&policy, 0, client(1), 0), random(0));
    assert_eq!(connect(&policy, 99, client(1), 1), sticky(0));
    assert_eq!(connect(&policy, 198, client(1), 2), sticky(0));
    assert_eq!(connect(&policy, 298, client(1), 2), random(2));
    assert_eq!(connect(&policy, 300, client(2), 1), random(1));
}

#[test]
fn the_last_nanosecond_before_the_timeout_still_counts() {
    let policy = affinity(&pool(&[1, 1]), timeout(1));
    let at = |nanos, word| policy.pick(&mut Pick::new(Duration::from_nanos(nanos), &mut || word).for_client(client(1)));
    assert_eq!(at(0, 1), random(1));
    assert_eq!(at(999_999_999, 0), sticky(1));
    assert_eq!(at(1_999_999_999, 0), random(0));
}

#[test]
fn a_clock_that_goes_back_is_taken_to_stand_still() {
    let policy = affinity(&pool(&[1, 1]), timeout(100));
    assert_eq!(connect(&policy, 50, client(1), 0), random(0));
    assert_eq!(connect(&policy, 10, client(1), 1), sticky(0));
    assert_eq!(connect(&policy, 149, client(1), 1), sticky(0)); // seen at 50, not at 10
}

#[test]
fn an_ipv4_client_is_the_same_through_a_dual_stack_socket() {
    let policy = affinity(&pool(&[1, 1]), timeout(100));
    assert_eq!(connect(&policy, 0, "192.0.2.1".parse().unwrap(), 1), random(1));
    assert_eq!(connect(&policy, 0, "::ffff:192.0.2.1".parse().unwrap(), 0), sticky(1));
    assert_eq!(connect(&policy, 0, "::192.0.2.1".parse().unwrap(), 0), random(0));
}

#[test]
fn a_pick_without_a_client_is_for_the_inner_policy_and_remembered_by_nobody() {
    let policy = affinity(&pool(&[1, 1]), timeout(100));
    for word in [0, 1, 0] {
        assert_eq!(common::ask(&policy, || word), random(word as usize));
    }
}

#[test]
fn a_timeout_of_zero_and_a_capacity_of_zero_send_nobody_back() {
    for settings in [timeout(0), timeout(100).capacity(0)] {
        let policy = affinity(&pool(&[1, 1]), settings);
        assert_eq!(connect(&policy, 0, client(1), 0), random(0));
        assert_eq!(connect(&policy, 0, client(1), 1), random(1));
    }
}

#[test]
fn an_endpoint_without_weight_keeps_its_clients_only_if_told_so() {
    for (keep_sessions, expected) in [(false, random(1)), (true, sticky(0))] {
        let policy = affinity(&pool(&[1, 1]), timeout(100).keep_sessions(keep_sessions));
        assert_eq!(connect(&policy, 0, client(1), 0), random(0));
        let drained = pool(&[0, 1]);
        let policy = policy.over(&drained, Random::new(&drained));
        assert_eq!(connect(&policy, 1, client(1), 0), expected);
    }
}

#[test]
fn without_any_candidate_the_answer_is_the_inner_policys_and_nothing_is_bound() {
    let policy = affinity(&pool(&[1, 1]), timeout(100));
    assert_eq!(connect(&policy, 0, client(1), 1), random(1));
    let empty = pool(&[]);
    assert_eq!(connect(&policy.over(&empty, Random::new(&empty)), 1, client(1), 0), Err(Unavailable::Empty));
    assert_eq!(connect(&policy, 2, client(1), 0), sticky(1));
}

#[test]
fn a_binding_follows_its_endpoint_to_another_place_in_the_pool() {
    let old = Pool::of([Key::from("a"), Key::from("b")]).unwrap();
    let new = Pool::of([Key::from("c"), Key::from("b"), Key::from("a")]).unwrap();
    let policy = ClientIpAffinity::new(&old, Random::new(&old), timeout(100), FixedHasher::new()).unwrap();
    assert_eq!(connect(&policy, 0, client(1), 0), random(0));
    assert_eq!(connect(&policy.over(&new, Random::new(&new)), 1, client(1), 0), sticky(2));
    assert_eq!(connect(&policy, 2, client(1), 1), sticky(0)); // the old layer shares the memory
}

#[test]
fn affinity_is_dropped_with_its_endpoint_and_does_not_come_back() {
    let (both, b) = (Pool::of(["a", "b"]).unwrap(), Pool::of(["b"]).unwrap());
    let policy = ClientIpAffinity::new(&both, Random::new(&both), timeout(600), FixedHasher::new()).unwrap();
    for number in [1, 2] {
        assert_eq!(connect(&policy, 0, client(number), 0), random(0));
    }
    assert_eq!(connect(&policy, 0, client(3), 1), random(1));

    let policy = policy.over(&b, Random::new(&b));
    policy.retain(|key| b.position(key).is_some());
    assert_eq!(connect(&policy, 6, client(1), 0), random(0));

    let policy = policy.over(&both, Random::new(&both));
    assert_eq!(connect(&policy, 8, client(1), 0), sticky(1), "bound to b at second 6");
    assert_eq!(
        connect(&policy, 8, client(2), 1),
        random(1),
        "forgotten with a, although it never came while a was away"
    );
    assert_eq!(connect(&policy, 8, client(3), 0), sticky(1), "never lost");
}

#[test]
fn a_full_memory_forgets_the_client_whose_last_connection_is_longest_ago() {
    let policy = affinity(&pool(&[1, 1]), timeout(100).capacity(2));
    assert_eq!(connect(&policy, 0, client(1), 1), random(1));
    assert_eq!(connect(&policy, 1, client(2), 1), random(1));
    assert_eq!(connect(&policy, 2, client(1), 0), sticky(1));
    assert_eq!(connect(&policy, 3, client(3), 1), random(1));
    assert_eq!(connect(&policy, 4, client(1), 0), sticky(1));
    assert_eq!(connect(&policy, 5, client(2), 0), random(0));
}

/// Hash flooding and its relative, flooding with sources: addresses are free, in IPv6 above all.
#[test]
fn ocert_2011_003_a_flood_of_sources_is_bounded_and_costs_only_the_longest_absent_their_binding() {
    let policy = affinity(&pool(&[1, 1]), timeout(100).capacity(1000));
    let regular = client(0);
    assert_eq!(connect(&policy, 0, regular, 1), random(1));
    for number in 1..50_000 {
        assert_eq!(connect(&policy, 0, client(number), 0), random(0));
        if number % 999 == 0 {
            assert_eq!(connect(&policy, 0, regular, 0), sticky(1));
        }
    }
}

#[test]
fn a_capacity_beyond_the_limit_is_refused_by_number() {
    let settings = timeout(100).capacity(u32::MAX);
    let pool = pool(&[1]);
    let error = ClientIpAffinity::new(&pool, Random::new(&pool), settings, FixedHasher::new()).unwrap_err();
    assert_eq!(error.capacity(), u32::MAX);
    assert_eq!(error.to_string(), "a capacity of 4294967295 clients is above the limit of 16777216");
}

#[test]
fn a_boxed_policy_can_be_the_inner_one_and_the_whole_can_be_shared_by_threads() {
    fn shared<P: Policy + Send + Sync + 'static>(policy: P) -> Arc<dyn Policy + Send + Sync> {
        Arc::new(policy)
    }
    let pool = pool(&[1, 1]);
    let inner: Box<dyn Policy + Send + Sync> = Box::new(Random::new(&pool));
    let policy = shared(ClientIpAffinity::new(&pool, inner, timeout(100), FixedHasher::new()).unwrap());
    let ask = |word| policy.pick(&mut Pick::new(Duration::ZERO, &mut || word).for_client(client(1)));
    assert_eq!((ask(1), ask(0)), (random(1), sticky(1)));
}

#[derive(Debug, Clone)]
struct Connection {
    client: u32,
    wait: u64,
    word: u64,
    /// One bit an endpoint: who is in the pool.
    candidates: u8,
}

fn connections() -> impl Strategy<Value = Vec<Connection>> {
    let connection = (0..6_u32, 0..60_u64, any::<u64>(), prop_oneof![Just(0xff), any::<u8>()]);
    let connection =
        connection.prop_map(|(client, wait, word, candidates)| Connection { client, wait, word, candidates });
    proptest::collection::vec(connection, 0..60)
}

fn candidates(bits: u8) -> Pool<usize> {
    let present = (0..8).filter(|i| bits & (1 << i) != 0);
    present.fold(Pool::builder(), |pool, i| pool.endpoint(i.to_string(), i)).build().unwrap()
}

proptest! {
    /// The rule, said in the plainest way: a map without bound, by key.
    #[test]
    fn a_plain_map_of_last_endpoints_agrees(connections in connections()) {
        let mut last: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
        let first = candidates(0xff);
        let mut policy = affinity(&first, timeout(100));
        let mut now = 0;
        for Connection { client: number, wait, word, candidates: bits } in connections {
            now += wait;
            let pool = candidates(bits);
            policy = policy.over(&pool, Random::new(&pool));
            let bound = last.get(&number).filter(|(endpoint, seen)| bits & (1 << endpoint) != 0 && now - seen < 100);
            let answer = connect(&policy, now, client(number), word);
            match (bound, answer) {
                (Some((endpoint, _)), Ok(choice)) => {
                    prop_assert_eq!(choice.reason, Reason::Sticky);
                    prop_assert_eq!(&pool[choice.index], endpoint);
                }
                (None, Ok(choice)) => prop_assert_eq!(choice, Choice::new((word % pool.len() as u64) as usize, Reason::Random)),
                (_, Err(why)) => prop_assert!(why == Unavailable::Empty && bits == 0),
            }
            if let Ok(choice) = answer {
                last.insert(number, (pool[choice.index], now));
            }
        }
    }

    #[test]
    fn a_small_memory_never_sends_anyone_to_an_endpoint_that_is_no_candidate(
        connections in connections(),
        capacity in 0..4_u32,
        keep_sessions in any::<bool>(),
        drained in any::<u8>(),
    ) {
        let all = candidates(0xff);
        let mut policy = affinity(&all, timeout(100).capacity(capacity).keep_sessions(keep_sessions));
        let mut now = 0;
        for Connection { client: number, wait, word, candidates: bits } in connections {
            now += wait;
            let weight = |i: usize| u32::from(drained & (1 << i) == 0);
            let present = (0..8).filter(|i| bits & (1 << i) != 0);
            let pool = present.fold(Pool::builder(), |pool, i| pool.weighted(i.to_string(), weight(i), i)).build().unwrap();
            policy = policy.over(&pool, Random::new(&pool));
            match connect(&policy, now, client(number), word) {
                Ok(choice) => prop_assert!(pool.get(choice.index).is_some_and(|e| e.weight > 0 || keep_sessions)),
                Err(_) => prop_assert!(pool.iter().all(|endpoint| endpoint.weight == 0)),
            }
        }
    }
}

#[test]
fn many_clients_keep_their_endpoints_through_the_growth_of_the_pool() {
    let (small, large) = (pool(&[1; 10]), pool(&[1; 40]));
    let policy = affinity(&small, timeout(100));
    let mut words = splitmix(3);
    let before: Vec<_> = (0..1000).map(|n| connect(&policy, 0, client(n), words()).unwrap().index).collect();
    let policy = policy.over(&large, Random::new(&large));
    for (number, index) in before.into_iter().enumerate() {
        assert_eq!(connect(&policy, 1, client(number as u32), words()), sticky(index));
    }
}

#[test]
fn clients_beyond_a_fair_share_are_named_longest_silent_first_and_can_be_forgotten() {
    let (one, three) = (pool(&[1]), pool(&[1, 1, 0]));
    let policy = affinity(&one, timeout(100));
    for number in 0..10 {
        assert_eq!(connect(&policy, number.into(), client(number), 0), random(0));
    }
    assert_eq!(connect(&policy, 10, client(0), 0), sticky(0));
    let policy = policy.over(&three, Random::new(&three));
    let named = |now, excess| {
        let candidates = policy.rebalance_candidates(Duration::from_secs(now), excess);
        candidates.into_iter().map(|c| (c.client, c.endpoint)).collect::<Vec<_>>()
    };
    // Half of ten each: five are too many, and of those client 0 has been heard of last.
    assert_eq!(named(10, 0), (1..6).map(|n| (client(n), 0)).collect::<Vec<_>>());
    assert_eq!(named(10, 60), (1..3).map(|n| (client(n), 0)).collect::<Vec<_>>());
    assert_eq!(named(10, 100), []);
    assert_eq!(named(103, 0), [(client(4), 0), (client(5), 0), (client(6), 0)], "seven are left");
    assert!(policy.forget(client(4)) && !policy.forget(client(4)) && !policy.forget(client(99)));
    assert_eq!(connect(&policy, 104, client(4), 1), random(1));
}

#[test]
fn a_network_is_one_client_under_a_prefix() {
    let policy = affinity(&pool(&[1, 1]), timeout(100).prefixes(24, 64));
    assert_eq!(connect(&policy, 0, "192.0.2.1".parse().unwrap(), 1), random(1));
    assert_eq!(connect(&policy, 0, "192.0.2.254".parse().unwrap(), 0), sticky(1));
    assert_eq!(connect(&policy, 0, "192.0.3.1".parse().unwrap(), 0), random(0));
    assert_eq!(connect(&policy, 0, "2001:db8::1".parse().unwrap(), 1), random(1));
    assert_eq!(connect(&policy, 0, "2001:db8::ffff".parse().unwrap(), 0), sticky(1));
}
