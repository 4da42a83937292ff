//! Do round robin and random choose whom they must, and as often as they must?

mod common;

use common::{ask, no_words, pool, splitmix};
use lb_select::{Choice, Policy, Random, Reason, RoundRobin, Unavailable};
use proptest::prelude::*;

#[test]
fn round_robin_goes_through_the_endpoints_in_order_and_around() {
    let policy = RoundRobin::new(&pool(&[1, 9, 2]));
    let picks: Vec<_> = (0..7).map(|_| ask(&policy, no_words).unwrap()).collect();
    assert_eq!(picks, [0, 1, 2, 0, 1, 2, 0].map(|index| Choice::new(index, Reason::RoundRobin)));
}

#[test]
fn round_robin_can_start_anywhere_and_counts_eligible_endpoints_only() {
    let policy = RoundRobin::starting_at(&pool(&[1, 0, 1, 1]), u64::MAX); // 2^64 − 1 is a multiple of 3
    let picks: Vec<_> = (0..4).map(|_| policy.next_index().unwrap()).collect();
    assert_eq!(picks, [0, 2, 3, 0]);
}

#[test]
fn random_takes_the_endpoint_of_word_modulo_count() {
    let policy = Random::new(&pool(&[1, 0, 7, 1]));
    let picks = [0, 1, 2, 3, u64::MAX].map(|word| ask(&policy, || word).unwrap());
    assert_eq!(picks, [0, 2, 3, 0, 0].map(|index| Choice::new(index, Reason::Random)));
}

#[test]
fn random_draws_no_word_for_a_single_eligible_endpoint() {
    assert_eq!(ask(&Random::new(&pool(&[0, 1])), no_words), Ok(Choice::new(1, Reason::Random)));
}

#[test]
fn a_pool_with_nobody_to_choose_says_why() {
    for (weights, why) in [(&[][..], Unavailable::Empty), (&[0, 0], Unavailable::AllDrained)] {
        let pool = pool(weights);
        let policies: [&dyn Policy; 2] = [&RoundRobin::new(&pool), &Random::new(&pool)];
        for policy in policies {
            assert_eq!(ask(policy, no_words), Err(why));
        }
    }
}

/// 100 000 picks among 10 endpoints, 20 seeds: no seed is improbable (p > 0.001), and few are unlikely (p > 0.05).
#[test]
fn random_is_uniform_by_chi_square() {
    let policy = Random::new(&pool(&[1; 10]));
    let chi_square = |seed| {
        let mut words = splitmix(seed);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[ask(&policy, &mut words).unwrap().index] += 1;
        }
        counts.iter().map(|&count| (f64::from(count) - 1e4).powi(2) / 1e4).sum::<f64>()
    };
    // Critical values of the chi-square distribution with 9 degrees of freedom.
    let (at_0_001, at_0_05) = (27.877, 16.919);
    let results: Vec<f64> = (1..=20).map(chi_square).collect();
    assert!(results.iter().all(|&chi| chi < at_0_001), "{results:?}");
    assert!(results.iter().filter(|&&chi| chi < at_0_05).count() >= 15, "{results:?}");
}

/// The digest was computed apart from this crate, from the rules alone.
#[test]
fn ten_thousand_mixed_picks_have_the_same_digest_everywhere() {
    let pools = [pool(&[1; 7]), pool(&[3, 0, 1, 0, 5]), pool(&[1])];
    let policies: Vec<Box<dyn Policy>> = pools
        .iter()
        .flat_map(|pool| [Box::new(RoundRobin::starting_at(pool, 5)) as Box<dyn Policy>, Box::new(Random::new(pool))])
        .collect();
    let mut words = splitmix(1);
    let digest = (0..10_000).fold(0xcbf2_9ce4_8422_2325_u64, |digest, _| {
        let policy = (words() % policies.len() as u64) as usize;
        let index = ask(&policies[policy], &mut words).unwrap().index as u64;
        (digest ^ index).wrapping_mul(0x0100_0000_01b3) // FNV-1a
    });
    assert_eq!(digest, 0x304b_311c_d819_9b63);
}

proptest! {
    #[test]
    fn round_robin_visits_every_eligible_endpoint_once_a_cycle(
        weights in proptest::collection::vec(0..3_u32, 0..40),
        start in any::<u64>(),
        cycles in 1..4_usize,
    ) {
        let eligible: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0).collect();
        let policy = RoundRobin::starting_at(&pool(&weights), start);
        for _ in 0..cycles {
            let mut cycle: Vec<usize> = eligible.iter().map(|_| policy.next_index().unwrap()).collect();
            cycle.sort_unstable();
            prop_assert_eq!(&cycle, &eligible);
        }
    }

    #[test]
    fn what_is_picked_is_in_the_pool_and_has_weight(
        weights in proptest::collection::vec(prop_oneof![Just(0), any::<u32>()], 0..40),
        seed in any::<u64>(),
    ) {
        let pool = pool(&weights);
        let policies: [&dyn Policy; 2] = [&RoundRobin::starting_at(&pool, seed), &Random::new(&pool)];
        for policy in policies {
            let mut words = splitmix(seed);
            for _ in 0..50 {
                match ask(policy, &mut words) {
                    Ok(choice) => prop_assert!(weights[choice.index] > 0),
                    Err(Unavailable::Empty) => prop_assert!(weights.is_empty()),
                    Err(_) => prop_assert!(!weights.is_empty() && weights.iter().all(|&weight| weight == 0)),
                }
            }
        }
    }
}
