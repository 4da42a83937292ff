//! Does a pick allocate? Never.

mod common;
#[cfg(feature = "std")]
#[path = "common/policies.rs"]
mod policies;

use allocation_counter::measure;
use common::{pool, splitmix};
use lb_select::{Pick, Policy, Random, RoundRobin};
use std::time::Duration;

/// Allocations of 1000 picks at times 0 to 999 s.
fn allocations(policy: &dyn Policy, client: impl Fn(u32) -> Option<std::net::IpAddr>) -> u64 {
    let mut words = splitmix(1);
    measure(|| {
        for number in 0..1000 {
            let pick = Pick::new(Duration::from_secs(number.into()), &mut words);
            let mut pick = match client(number) {
                Some(client) => pick.for_client(client),
                None => pick,
            };
            policy.pick(&mut pick).unwrap();
        }
    })
    .count_total
}

#[test]
fn sequences_do_not_allocate() {
    for weights in [&[1; 100][..], &[0, 1, 2]] {
        assert_eq!(allocations(&RoundRobin::new(&pool(weights)), |_| None), 0);
        assert_eq!(allocations(&Random::new(&pool(weights)), |_| None), 0);
    }
}

#[cfg(feature = "std")]
#[test]
fn affinity_allocates_for_no_client_whether_known_new_expired_or_in_place_of_another() {
    use lb_select::{ClientIpAffinity, ClientIpSettings};
    use std::net::Ipv4Addr;

    let pool = pool(&[1; 100]);
    let settings = ClientIpSettings::default().timeout_seconds(60).capacity(100);
    for distinct in [1, 50, 90, 1000] {
        let policy =
            ClientIpAffinity::new(&pool, Random::new(&pool), settings.clone(), common::FixedHasher::new()).unwrap();
        assert_eq!(allocations(&policy, |n| Some(Ipv4Addr::from_bits(n % distinct).into())), 0, "{distinct} clients");
    }
}

/// As they are, with one endpoint closed and two excluded, and for a known destination: no pick of any policy allocates.
#[cfg(feature = "std")]
#[test]
fn no_policy_allocates() {
    use lb_select::Health;

    let weights: Vec<u32> = (0..100).map(|i| i % 7).collect();
    let pool = pool(&weights)
        .with_health(|endpoint| if *endpoint.value % 3 == 0 { Health::Unhealthy } else { Health::Healthy });
    for closed in [None, Some(4)] {
        for (name, policy) in policies::policies(&pool) {
            if let Some(index) = closed {
                pool.load(index).close();
            }
            let mut words = splitmix(1);
            let mut ask = |time, excluded| {
                let pick = Pick::new(Duration::from_secs(time), &mut words).excluding(excluded);
                policy.pick(&mut pick.for_destination([192, 0, 2, 1].into())).unwrap();
            };
            ask(0, &[]); // the destination becomes known
            let allocated = measure(|| {
                for time in 0..1000 {
                    ask(time, if time % 10 == 0 { &[1, 2] } else { &[] });
                }
            });
            // The set of a destination grows while others are excluded, up to its bound.
            let allowed = if name == "lblcr" { 3 } else { 0 };
            assert!(allocated.count_total <= allowed, "{name} allocates");
        }
        (0..100).for_each(|index| pool.load(index).open());
    }
}

/// The sum of weights is beyond any memory; the tables are as large as the pool.
#[test]
fn memory_does_not_grow_with_the_sum_of_weights() {
    use lb_select::{BlockWeighted, IpvsWrr, Sequence, SmoothWeighted, WeightedEdf, WeightedRandom};

    let pool = pool(&[u32::MAX; 1000]);
    let bytes = |build: &dyn Fn() -> u64| measure(|| assert!(build() < 1000)).bytes_max;
    let first = |mut sequence: Box<dyn Sequence>| {
        let mut words = splitmix(1);
        sequence.next(&mut Pick::new(Duration::ZERO, &mut words)).unwrap().index as u64
    };
    let builds: [&dyn Fn() -> u64; 5] = [
        &|| first(Box::new(SmoothWeighted::new(&pool))),
        &|| first(Box::new(WeightedEdf::skipping(&pool, u64::MAX))),
        &|| first(Box::new(IpvsWrr::new(&pool))),
        &|| first(Box::new(BlockWeighted::new(&pool))),
        &|| common::ask(&WeightedRandom::new(&pool), splitmix(1)).unwrap().index as u64,
    ];
    for build in builds {
        assert!(bytes(build) < 200_000, "{}", bytes(build));
    }
}
