//! What a selection offers pingora, and what it remembers when the set of backends changes.

use clap::ValueEnum;
use lb_select::hash::{Ketama, MAX_POINTS, POINTS_PER_WEIGHT};
use lb_select::{Balancer, BalancerSettings, PolicySettings, RoundRobin};
use lb_select_pingora::{Algorithm, Rebuild, Selection, Upstreams, load};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthObserve;
use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use proptest::collection::btree_map;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::hash::RandomState;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

fn backend(number: u32, weight: usize) -> Backend {
    let address = SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 80));
    Backend::new_with_weight(&address.to_string(), weight).unwrap()
}

fn set<const N: usize>(backends: [Backend; N]) -> BTreeSet<Backend> {
    backends.into()
}

fn over<P: Rebuild>(backends: &BTreeSet<Backend>, upstreams: &Upstreams<P>) -> Arc<Selection<P>> {
    Arc::new(Selection::build_with_config(backends, upstreams))
}

/// All that is offered for a key, in order.
fn offers<P: Rebuild>(selection: &Arc<Selection<P>>, key: &[u8]) -> Vec<Backend> {
    let mut attempts = selection.iter(key);
    std::iter::from_fn(|| attempts.next().cloned()).take(1000).collect()
}

fn observe<P: Rebuild>(upstreams: &Upstreams<P>, target: &Backend, healthy: bool) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(upstreams.observe(target, healthy));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_backend_with_weight_is_offered_once(
        weights in btree_map(0..50_u32, prop_oneof![Just(0), 1..5_usize], 0..12),
        next in btree_map(0..50_u32, 0..5_usize, 0..12),
        down in 0..50_u32,
        key in any::<[u8; 4]>(),
    ) {
        for &algorithm in Algorithm::value_variants() {
            let upstreams = Upstreams::<Balancer<RandomState>>::new(BalancerSettings::new(algorithm.policy())).unwrap();
            for weights in [&weights, &next] {
                let backends: BTreeSet<Backend> = weights.iter().map(|(&n, &weight)| backend(n, weight)).collect();
                let selection = over(&backends, &upstreams);
                let down = weights.get(&down).map(|&weight| backend(down, weight));
                if let Some(down) = &down {
                    observe(&upstreams, down, false);
                }
                let offered = offers(&selection, &key);
                let expected: BTreeSet<Backend> =
                    backends.into_iter().filter(|b| b.weight > 0 && Some(b) != down.as_ref()).collect();
                prop_assert_eq!(offered.len(), expected.len(), "{:?}", algorithm);
                prop_assert_eq!(offered.into_iter().collect::<BTreeSet<_>>(), expected, "{:?}", algorithm);
            }
        }
    }

    #[test]
    fn ketama_offers_what_pingora_s_own_does(
        weights in btree_map(0..50_u32, 1..4_usize, 1..8),
        key in any::<[u8; 4]>(),
    ) {
        use pingora_load_balancing::selection::consistent::KetamaHashing;

        let backends: BTreeSet<Backend> = weights.iter().map(|(&n, &weight)| backend(n, weight)).collect();
        let ours = Arc::new(Selection::<Ketama>::build(&backends));
        let theirs = Arc::new(KetamaHashing::build(&backends));
        let (mut ours, mut theirs) = (ours.iter(&key), theirs.iter(&key));
        prop_assert_eq!(ours.next(), theirs.next());
    }
}

#[test]
fn of_one_address_the_heaviest_backend_stands() {
    let backends = set([backend(1, 3), backend(1, 1), backend(2, 1), backend(1, 2)]);
    let offered = offers(&over(&backends, &Upstreams::<RoundRobin>::default()), b"");
    assert_eq!(offered, [backend(1, 3), backend(2, 1)]);
}

#[test]
fn a_backend_that_fails_its_check_is_not_offered() {
    let upstreams = Upstreams::<RoundRobin>::default();
    let selection = over(&set([backend(1, 1), backend(2, 1)]), &upstreams);
    observe(&upstreams, &backend(2, 1), false);
    assert_eq!(offers(&selection, b""), [backend(1, 1)]);
    // It goes on to be away when others come and go.
    let selection = over(&set([backend(2, 1), backend(3, 1)]), &upstreams);
    assert_eq!(offers(&selection, b""), [backend(3, 1)]);
    observe(&upstreams, &backend(2, 1), true);
    assert_eq!(offers(&selection, b"").len(), 2);
}

#[test]
fn with_another_weight_it_is_another_backend_and_healthy_as_pingora_has_it() {
    let upstreams = Upstreams::<RoundRobin>::default();
    let selection = over(&set([backend(1, 1)]), &upstreams);
    let in_flight = load(&offers(&selection, b"")[0]).map(|load| load.start());
    observe(&upstreams, &backend(1, 1), false);
    let selection = over(&set([backend(1, 2)]), &upstreams);
    let offered = offers(&selection, b"");
    assert_eq!(offered, [backend(1, 2)]);
    // What is in flight belongs to the address.
    assert_eq!(load(&offered[0]).map(|load| load.active()), Some(1));
    drop(in_flight);
    assert_eq!(load(&offered[0]).map(|load| load.active()), Some(0));
    // A late word about the one before does not count.
    observe(&upstreams, &backend(1, 1), false);
    assert_eq!(offers(&selection, b"").len(), 1);
}

#[test]
fn backends_that_are_too_heavy_for_a_ring_leave_the_set_before_in_use() {
    let upstreams = Upstreams::<Ketama>::default();
    let light = set([backend(1, 1), backend(2, 1)]);
    let selection = over(&light, &upstreams);
    let heavy = backend(3, (MAX_POINTS / u64::from(POINTS_PER_WEIGHT)) as usize + 1);
    let after = over(&set([heavy.clone()]), &upstreams);
    assert_eq!(offers(&after, b"key"), offers(&selection, b"key"));
    // There is nothing before the first.
    assert_eq!(offers(&over(&set([heavy]), &Upstreams::<Ketama>::default()), b"key"), []);
}

#[test]
fn settings_that_cannot_be_used_are_refused_before_there_are_backends() {
    let settings = BalancerSettings::new(PolicySettings::Maglev { table_size: 1000, bound: None });
    let error = Upstreams::<Balancer<RandomState>>::new(settings).unwrap_err();
    assert!(error.to_string().contains("1000"), "{error}");
}
