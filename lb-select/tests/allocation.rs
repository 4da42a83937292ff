//! Does a pick allocate? Never.

mod common;

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
