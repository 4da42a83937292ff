//! Real requests through a running pingora: do they go where the policy says?

mod common;

use common::{Running, Upstream, upstreams, wait_for};
use lb_select::hash::Ketama;
use lb_select::{Balancer, BalancerSettings, P2c, Pool, RoundRobin, SmoothWeighted};
use lb_select_pingora::Algorithm;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::RandomState;
use std::sync::Mutex;

fn paths(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("/session/{number}"))
}

fn counts(names: &str) -> BTreeMap<char, usize> {
    names.chars().fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

#[test]
fn round_robin_goes_in_turns() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let proxy = Running::<RoundRobin>::start((), [a.backend(1), b.backend(7), c.backend(1)]);
    assert_eq!(proxy.names(7), "abcabca");
}

#[test]
fn smooth_weighting_has_nginx_s_order() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let proxy = Running::<Mutex<SmoothWeighted>>::start((), [a.backend(5), b.backend(1), c.backend(1)]);
    assert_eq!(proxy.names(14), "aabacaaaabacaa");
}

#[test]
fn chance_goes_by_weight() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let settings = BalancerSettings::new(Algorithm::WeightedRandom.policy());
    let proxy = Running::<Balancer<RandomState>>::start(settings, [a.backend(1), b.backend(1), c.backend(8)]);
    let counts = counts(&proxy.names(300));
    // The words are really random, so the bounds are seven standard deviations away, and still far from 100 each,
    // which is what chance without weights gives.
    for (name, expected) in [('a', 30), ('b', 30), ('c', 240)] {
        let count = counts.get(&name).copied().unwrap_or(0);
        assert!(count.abs_diff(expected) < 50, "{name}: {count}");
    }
}

#[test]
fn every_policy_serves_every_request() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    for &algorithm in <Algorithm as clap::ValueEnum>::value_variants() {
        let proxy = Running::<Balancer<RandomState>>::start(
            BalancerSettings::new(algorithm.policy()),
            [a.backend(2), b.backend(1), c.backend(0)],
        );
        let names = proxy.names(24);
        assert!(!names.contains('c'), "{algorithm:?} used weight 0: {names}");
        assert_eq!(names.len(), 24);
    }
}

#[test]
fn requests_in_flight_count_until_they_are_answered() {
    let [a, b] = upstreams(["a", "b"]);
    let settings = BalancerSettings::new(Algorithm::LeastConnection.policy());
    let proxy = Running::<Balancer<RandomState>>::start(settings, [a.backend(1), b.backend(1)]);
    let held = proxy.send("/hold");
    wait_for("the request to arrive", || a.held() == 1);
    assert_eq!(proxy.names(4), "bbbb");
    a.release();
    assert_eq!(held.answer(), (200, "a".into()));
    wait_for("the request to be over", || proxy.name("/") == "a");
}

#[test]
fn a_client_that_goes_away_no_longer_counts() {
    let [a, b] = upstreams(["a", "b"]);
    let proxy = Running::<P2c>::start((), [a.backend(1), b.backend(1)]);
    let held = proxy.send("/hold");
    wait_for("the request to arrive", || a.held() + b.held() == 1);
    let (busy, idle) = if a.held() == 1 { (&a, "b") } else { (&b, "a") };
    assert_eq!(proxy.active(busy), 1);
    assert_eq!(proxy.names(3), idle.repeat(3));
    drop(held);
    wait_for("the request to be given up", || proxy.active(busy) == 0);
}

#[test]
fn a_key_stays_with_its_upstream_and_only_those_of_a_new_one_move() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let proxy = Running::<Ketama>::start((), [a.backend(1), b.backend(1)]);
    let before: Vec<String> = paths(60).map(|path| proxy.name(&path)).collect();
    let again: Vec<String> = paths(60).map(|path| proxy.name(&path)).collect();
    assert_eq!(before, again);
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 2);

    // As the table by itself.
    let pool = Pool::builder().endpoint(a.address, "a").endpoint(b.address, "b").build().unwrap();
    let table = Ketama::new(&pool).unwrap();
    for (path, name) in paths(60).zip(&before) {
        assert_eq!(pool[table.lookup_key(path.as_bytes()).unwrap()], name);
    }

    proxy.update([a.backend(1), b.backend(1), c.backend(1)]);
    let after: Vec<String> = paths(60).map(|path| proxy.name(&path)).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || after == "c"));
    assert!(after.iter().any(|name| name == "c"));
}

#[test]
fn an_upstream_that_goes_away_is_avoided_until_it_is_back() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let settings = BalancerSettings::new(Algorithm::Maglev.policy());
    let proxy = Running::<Balancer<RandomState>>::start(settings, [a.backend(1), b.backend(1), c.backend(1)]);
    let before: Vec<String> = paths(40).map(|path| proxy.name(&path)).collect();
    assert!(before.iter().any(|name| name == "b"));

    // Nobody has noticed yet: the connection fails, and another upstream answers.
    let address = b.address;
    drop(b);
    let without: Vec<String> = paths(40).map(|path| proxy.name(&path)).collect();
    for (before, without) in before.iter().zip(&without) {
        assert!(if before == "b" { without != "b" } else { without == before });
    }

    // The check has noticed: it is not even offered.
    proxy.check_health();
    let offered = |path: String| proxy.balancer.select_with(path.as_bytes(), 1, |_, _| true).unwrap();
    assert!(paths(40).map(offered).all(|backend| backend.addr.to_string() != address.to_string()));
    assert_eq!(paths(40).map(|path| proxy.name(&path)).collect::<Vec<_>>(), without);

    let _b = Upstream::start_at("b", address);
    proxy.check_health();
    assert_eq!(paths(40).map(|path| proxy.name(&path)).collect::<Vec<_>>(), before);
}

#[test]
fn an_upstream_that_is_away_leaves_shares_by_weight_to_the_others() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let proxy = Running::<Mutex<SmoothWeighted>>::start((), [a.backend(2), b.backend(1), c.backend(3)]);
    drop(c);
    proxy.check_health();
    assert_eq!(counts(&proxy.names(12)), BTreeMap::from([('a', 8), ('b', 4)]));
}

#[test]
fn a_sequence_goes_on_when_the_set_changes() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let proxy = Running::<Mutex<SmoothWeighted>>::start((), [a.backend(5), b.backend(1)]);
    assert_eq!(proxy.names(3), "aaa");
    proxy.update([a.backend(5), b.backend(1), c.backend(1)]);
    // A new sequence would begin with a.
    assert_eq!(proxy.names(1), "b");

    let proxy = Running::<RoundRobin>::start((), [a.backend(1), b.backend(1)]);
    assert_eq!(proxy.names(1), "a");
    proxy.update([a.backend(1), b.backend(1), c.backend(1)]);
    assert_eq!(proxy.names(5), "bcabc");
}

#[test]
fn requests_in_flight_still_count_when_the_set_changes() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let settings = BalancerSettings::new(Algorithm::LeastConnection.policy());
    let proxy = Running::<Balancer<RandomState>>::start(settings, [a.backend(1), b.backend(1)]);
    let held = [proxy.send("/hold"), proxy.send("/hold")];
    wait_for("the requests to arrive", || a.held() == 1 && b.held() == 1);

    // b leaves, c joins, and a has another weight, which to pingora is another backend.
    proxy.update([a.backend(2), c.backend(1)]);
    assert_eq!(proxy.names(3), "ccc");
    a.release();
    b.release();
    for pending in held {
        assert_eq!(pending.answer().0, 200);
    }
    wait_for("the requests to be over", || proxy.name("/") == "a");
}

#[test]
fn a_known_client_returns_to_its_upstream() {
    let [a, b, c] = upstreams(["a", "b", "c"]);
    let settings =
        BalancerSettings::new(Algorithm::RoundRobin.policy()).client_ip(lb_select::ClientIpSettings::default());
    let proxy = Running::<Balancer<RandomState>>::start(settings, [a.backend(1), b.backend(1)]);
    let balancer = &proxy.balancer;
    let of = |client: &[u8]| balancer.select(client, usize::MAX).unwrap();
    let (first, second) = (of(b"192.0.2.1"), of(b"192.0.2.2"));
    assert_ne!(first, second);
    proxy.update([a.backend(1), b.backend(1), c.backend(1)]);
    // Not in the order in which they came, which turns that begin anew would answer as well.
    assert_eq!((of(b"192.0.2.2"), of(b"192.0.2.1")), (second, first));
}

#[test]
fn without_an_upstream_the_answer_is_503() {
    let [a] = upstreams(["a"]);
    let proxy = Running::<RoundRobin>::start((), []);
    assert_eq!(proxy.get("/").0, 503);
    proxy.update([a.backend(0)]);
    assert_eq!(proxy.get("/").0, 503);
    proxy.update([a.backend(1)]);
    assert_eq!(proxy.get("/"), (200, "a".into()));
    drop(a);
    assert_eq!(proxy.get("/").0, 503);
}
