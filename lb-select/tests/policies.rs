//! What holds for every policy: nobody ineligible while anybody is eligible, no panic, the same answers every time, counts that
//! come back to 0.
#![cfg(feature = "std")]

mod common;
#[path = "common/policies.rs"]
mod policies;

use common::{pool, splitmix};
use lb_select::{Health, Member, Pick, Policy, Pool, Unavailable};
use policies::policies;
use proptest::prelude::*;
use std::time::Duration;

/// What one endpoint is like, and what happens to it after the policies were built.
#[derive(Debug, Clone, Copy)]
struct Plan {
    weight: u32,
    zone: u8,
    closed: bool,
    full: bool,
    excluded: bool,
    active: u32,
}

fn plan() -> impl Strategy<Value = Plan> {
    let weight = prop_oneof![2 => Just(0), 4 => 1..6_u32, 2 => any::<u32>(), 1 => Just(u32::MAX)];
    let rarely = || proptest::bool::weighted(0.2);
    let active = prop_oneof![3 => 0..5_u32, 1 => any::<u32>()];
    (weight, 0..3_u8, rarely(), rarely(), rarely(), active).prop_map(
        |(weight, zone, closed, full, excluded, active)| Plan { weight, zone, closed, full, excluded, active },
    )
}

fn planned(plans: &[Plan]) -> Pool<()> {
    let builder = plans.iter().enumerate().fold(Pool::builder(), |builder, (i, plan)| {
        let member = Member::new(format!("10.0.0.{i}:80"), ()).weight(plan.weight);
        let member = member.locality(["r/a", "r/b", "r/c"][usize::from(plan.zone)]).priority((i % 2) as u32);
        builder.member(if plan.full { member.max_active(plan.active) } else { member })
    });
    builder.build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nobody_ineligible_is_chosen_and_somebody_eligible_is(
        plans in proptest::collection::vec(plan(), 0..45),
        seed in any::<u64>(),
    ) {
        let pool = planned(&plans);
        let policies = policies(&pool);
        for (index, plan) in plans.iter().enumerate() {
            pool.load(index).report(plan.active, plan.active / 2);
            if plan.closed {
                pool.load(index).close();
            }
        }
        let excluded: Vec<usize> = (0..plans.len()).filter(|&i| plans[i].excluded).collect();
        let eligible = |i: usize| plans[i].weight > 0 && !plans[i].closed && !plans[i].full && !plans[i].excluded;
        let overflow = |i: usize| eligible(i) && plans[i].active <= plans[i].weight;
        let mut words = splitmix(seed);
        for (name, policy) in &policies {
            for time in [0, 3, 1, 500] {
                let now = Duration::from_secs(time);
                let mut pick = Pick::new(now, &mut words).excluding(&excluded);
                if time == 3 {
                    pick = pick.for_destination([192, 0, 2, 1].into());
                }
                match policy.pick(&mut pick) {
                    Ok(choice) => prop_assert!(eligible(choice.index), "{} chose {}", name, choice.index),
                    Err(why) => {
                        let anybody = if *name == "ovf" { (0..plans.len()).any(overflow) } else { (0..plans.len()).any(eligible) };
                        prop_assert!(!anybody, "{} says {:?}", name, why);
                        prop_assert_eq!(why == Unavailable::Empty, plans.is_empty(), "{}", name);
                    }
                }
            }
        }
    }

    #[test]
    fn equal_questions_get_equal_answers(plans in proptest::collection::vec(plan(), 1..40), seed in any::<u64>()) {
        let runs = [(); 2].map(|()| {
            let pool = planned(&plans);
            let mut words = splitmix(seed);
            let mut answers = Vec::new();
            for (_, policy) in policies(&pool) {
                let mut in_flight = Vec::new();
                for second in 0..6 {
                    let answer = policy.pick(&mut Pick::new(Duration::from_secs(second), &mut words));
                    in_flight.extend(answer.map(|choice| pool.start(choice.index)));
                    answers.push(answer);
                }
            }
            answers
        });
        prop_assert_eq!(&runs[0], &runs[1]);
    }

    #[test]
    fn counts_follow_the_guards_and_come_back_to_nothing(
        steps in proptest::collection::vec((0..4_usize, any::<u8>()), 0..80),
    ) {
        let mut pool = pool(&[1; 4]);
        let first = pool.clone();
        let mut guards = Vec::new();
        for (i, step) in steps {
            match step % 5 {
                0 | 1 => guards.push(pool.start(i % pool.len())),
                2 if !guards.is_empty() => drop(guards.swap_remove(usize::from(step) % guards.len())),
                3 => if let Some(guard) = guards.last_mut() { guard.close() },
                _ => pool = {
                    // An update: endpoint 0 leaves or comes back.
                    let from = usize::from(pool.len() == 4);
                    let members = (from..4).fold(Pool::builder(), |b, i| b.endpoint(i.to_string(), i));
                    members.carry_over(&first).build().unwrap()
                },
            }
        }
        let counted: u32 = (0..4).map(|i| first.load(i).active() + first.load(i).inactive()).sum();
        prop_assert!(counted as usize <= guards.len());
        drop(guards);
        for load in (0..4).map(|i| first.load(i)).chain((0..pool.len()).map(|i| pool.load(i))) {
            prop_assert_eq!((load.active(), load.inactive()), (0, 0));
        }
    }
}

#[test]
fn health_decides_who_is_a_candidate_and_draining_is_the_callers_choice() {
    use Health::{Degraded, Draining, Excluded, Healthy, Unhealthy};
    use lb_select::{Candidates, Random};
    let chosen = |states: &[Health], draining: bool| {
        let members = states.iter().enumerate();
        let pool = members.fold(Pool::builder(), |b, (i, &h)| b.member(Member::new(i.to_string(), ()).health(h)));
        let pool = pool.build().unwrap();
        let candidates = Candidates::of(&pool);
        let candidates = if draining { candidates.or_draining() } else { candidates };
        common::ask(&Random::new(&candidates), || 0).map(|choice| choice.index)
    };
    assert_eq!(chosen(&[Unhealthy, Degraded, Healthy], false), Ok(2));
    assert_eq!(chosen(&[Unhealthy, Draining, Degraded], false), Ok(2));
    assert_eq!(chosen(&[Unhealthy, Draining, Excluded], false), Err(Unavailable::NoneHealthy));
    assert_eq!(chosen(&[Unhealthy, Draining, Excluded], true), Ok(1));
    assert_eq!(chosen(&[], true), Err(Unavailable::Empty));
}

#[test]
fn the_cause_nearest_to_being_lifted_is_told() {
    let pool = Pool::builder()
        .member(Member::new("closed", ()))
        .member(Member::new("full", ()).max_active(1))
        .member(Member::new("tried", ()))
        .build()
        .unwrap();
    let excluded = [2];
    let answers = |policies: &[policies::Named]| -> Vec<_> {
        let mut words = splitmix(1);
        let mut ask =
            |policy: &dyn Policy| policy.pick(&mut Pick::new(Duration::ZERO, &mut words).excluding(&excluded));
        policies.iter().map(|(name, policy)| (*name, ask(policy.as_ref()))).collect()
    };
    let policies = policies(&pool);
    pool.load(0).close();
    let in_flight = pool.start(1);
    for (name, answer) in answers(&policies) {
        assert_eq!(answer, Err(Unavailable::Overloaded), "{name}");
    }
    drop(in_flight);
    for (name, answer) in answers(&policies) {
        assert_eq!(answer.map(|choice| choice.index), Ok(1), "{name}");
    }
}

#[test]
fn an_endpoint_closed_in_one_version_of_the_pool_is_closed_in_all() {
    let old = pool(&[1, 1]);
    let new = Pool::builder().carry_over(&old).endpoint("1", 1).endpoint("2", 2).build().unwrap();
    let policies = policies(&new);
    old.load(1).close();
    for (name, policy) in &policies {
        assert_eq!(common::ask(policy, splitmix(1)).map(|choice| choice.index), Ok(1), "{name}");
    }
    old.load(1).open();
    // Endpoint 0 is gone for good, and with it its mark.
    old.load(0).close();
    drop(old);
    let round_robin = lb_select::RoundRobin::new(&new);
    assert_eq!(common::ask(&round_robin, common::no_words).unwrap().index, 0);
}
