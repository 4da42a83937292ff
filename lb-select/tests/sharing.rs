//! Which policies write nothing when they pick, so that threads that share one do not wait for each other's cache lines?
//!
//! Shown twice. A constant may refer to a value only if no part of the value itself can be written through a shared reference,
//! so the compiler refuses this file if one of these policies got a counter, a cell or a lock. And what a policy points to is
//! written out before and after picks: counters and locks show their content in `Debug`.
#![cfg(feature = "hash")]

mod common;

use common::{pool, splitmix};
use lb_select::hash::{
    IpHash, Jump, Katran, Ketama, Maglev, NginxHash, Rendezvous, RestyChash, RingHash, RingSettings, ScaledMaglev,
};
use lb_select::{
    ByPriority, ByPrioritySettings, ChoiceOfSome, IpvsTwos, LeastLoad, LoadRule, P2c, Pick, Policy, Random, RoundRobin,
    WeightedP2c, WeightedRandom,
};
use std::fmt::Debug;
use std::time::Duration;

const fn none<P>() -> Option<P> {
    None
}

/// Does not compile for a policy that holds an atomic, a cell or a lock: "interior mutable data".
macro_rules! hold_nothing_to_write {
    ($($policy:ty),* $(,)?) => {$(const _: &Option<$policy> = &none();)*};
}
hold_nothing_to_write!(
    Random,
    WeightedRandom,
    P2c,
    WeightedP2c,
    ChoiceOfSome,
    IpvsTwos,
    ByPriority<Random>,
    Maglev,
    ScaledMaglev,
    Katran,
    RingHash,
    Ketama,
    RestyChash,
    NginxHash,
    IpHash,
    Jump,
    Rendezvous,
);

/// Whether anything that `Debug` shows of a policy and its pool is different after picks.
fn writes(policy: &(impl Policy + Debug), shown: impl Fn() -> String) -> bool {
    let before = (format!("{policy:?}"), shown());
    let mut words = splitmix(1);
    for number in 0..200 {
        let excluded = [number % 7];
        let pick = Pick::new(Duration::from_secs(number as u64), &mut words).for_client([192, 0, 2, 1].into());
        policy.pick(&mut if number % 3 == 0 { pick.excluding(&excluded) } else { pick }).unwrap();
    }
    before != (format!("{policy:?}"), shown())
}

#[test]
fn picks_leave_a_shared_policy_and_its_pool_as_they_were() {
    let pool = pool(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let loads = || format!("{:?}", (0..pool.len()).map(|index| pool.load(index)).collect::<Vec<_>>());
    for closed in [false, true] {
        if closed {
            pool.load(3).close();
        }
        assert!(!writes(&Random::new(&pool), loads));
        assert!(!writes(&WeightedRandom::new(&pool), loads));
        assert!(!writes(&P2c::new(&pool), loads));
        assert!(!writes(&WeightedP2c::new(&pool), loads));
        assert!(!writes(&ChoiceOfSome::new(&pool), loads));
        assert!(!writes(&IpvsTwos::new(&pool), loads));
        assert!(!writes(&LeastLoad::new(&pool, LoadRule::WeightedLeastConnection), loads));
        assert!(!writes(&ByPriority::new(&pool, ByPrioritySettings::default(), |part, _| Random::new(part)), loads));
        assert!(!writes(&Maglev::new(&pool, 251).unwrap(), loads));
        assert!(!writes(&Maglev::new(&pool, 251).unwrap().scaled(), loads));
        assert!(!writes(&RingHash::new(&pool, &RingSettings::default()).unwrap(), loads));
        assert!(!writes(&Ketama::new(&pool).unwrap(), loads));
        assert!(!writes(&Rendezvous::new(&pool), loads));
        // What the comparison sees, if there is something to see: the counter of a round robin.
        assert!(writes(&RoundRobin::new(&pool), loads));
    }
}
