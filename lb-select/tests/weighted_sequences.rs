//! Are turns as frequent as weights say, as evenly spread as promised, and in the order of the namesake?

mod common;

use common::{no_words, pool, splitmix};
use lb_select::{
    BlockWeighted, Candidates, Choice, EdfQueue, IpvsWrr, Pick, Pool, Rotation, Sequence, Share, SmoothWeighted,
    Unavailable, WeightedEdf,
};
use proptest::prelude::*;
use std::time::Duration;

fn next(sequence: &mut dyn Sequence) -> Result<Choice, Unavailable> {
    sequence.next(&mut Pick::new(Duration::ZERO, &mut no_words))
}

fn next_without(sequence: &mut dyn Sequence, excluded: &[usize]) -> Option<usize> {
    sequence.next(&mut Pick::new(Duration::ZERO, &mut no_words).excluding(excluded)).ok().map(|choice| choice.index)
}

fn picks(sequence: &mut dyn Sequence, count: usize) -> Vec<usize> {
    (0..count).map(|_| next(sequence).unwrap().index).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn period(weights: &[u32]) -> usize {
    (weights.iter().sum::<u32>() / weights.iter().copied().fold(0, gcd).max(1)) as usize
}

/// nginx's loop, written down once more in the plainest way.
struct Nginx {
    weights: Vec<i128>,
    current: Vec<i128>,
}

impl Nginx {
    fn new(weights: &[u32]) -> Self {
        Self { weights: weights.iter().map(|&weight| weight.into()).collect(), current: vec![0; weights.len()] }
    }

    fn next_without(&mut self, excluded: &[usize]) -> Option<usize> {
        let eligible = |i: &usize| self.weights[*i] > 0 && !excluded.contains(i);
        let eligible: Vec<usize> = (0..self.weights.len()).filter(eligible).collect();
        for &i in &eligible {
            self.current[i] += self.weights[i];
        }
        let best = eligible.iter().copied().reduce(|a, b| if self.current[b] > self.current[a] { b } else { a })?;
        self.current[best] -= eligible.iter().map(|&i| self.weights[i]).sum::<i128>();
        Some(best)
    }
}

#[test]
fn smooth_weighting_is_nginxs_at_a_size_where_a_tournament_decides() {
    let mut words = splitmix(1);
    for n in [1, 8, 63, 100, 128, 129, 1000] {
        let weights: Vec<u32> = (0..n).map(|_| 1 + (words() % 100) as u32).collect();
        let (mut smooth, mut nginx) = (SmoothWeighted::new(&pool(&weights)), Nginx::new(&weights));
        for _ in 0..20_000 {
            assert_eq!(next_without(&mut smooth, &[]), nginx.next_without(&[]));
        }
    }
}

#[test]
fn smooth_weighting_is_nginxs_for_extreme_weights() {
    let mut words = splitmix(2);
    let weights: Vec<u32> = (0..70).map(|_| u32::MAX - (words() % 3) as u32).chain([1, 1, 2, 3]).collect();
    let (mut smooth, mut nginx) = (SmoothWeighted::new(&pool(&weights)), Nginx::new(&weights));
    for pick in 0..50_000 {
        assert_eq!(next_without(&mut smooth, &[]), nginx.next_without(&[]), "{pick}");
    }
}

#[test]
fn in_any_window_smooth_turns_are_off_by_two_at_most_and_deadlines_by_three() {
    let mut words = splitmix(3);
    for _ in 0..150 {
        let n = 1 + words() % 16;
        let weights: Vec<u32> = (0..n).map(|_| 1 + (words() % 12) as u32).collect();
        let sum: f64 = weights.iter().copied().map(f64::from).sum();
        let pool = pool(&weights);
        let sequences: [(&mut dyn Sequence, f64); 2] =
            [(&mut SmoothWeighted::new(&pool), 2.0), (&mut WeightedEdf::new(&pool), 3.0)];
        for (sequence, bound) in sequences {
            // Over all windows the deviation is the range of the running one.
            let mut count = vec![0.0_f64; weights.len()];
            let mut range = vec![(0.0_f64, 0.0_f64); weights.len()];
            for picked in 1..=2 * period(&weights) {
                count[next(sequence).unwrap().index] += 1.0;
                for (i, (low, high)) in range.iter_mut().enumerate() {
                    let off = count[i] - picked as f64 * f64::from(weights[i]) / sum;
                    (*low, *high) = (low.min(off), high.max(off));
                }
            }
            assert!(range.iter().all(|(low, high)| high - low <= bound + 1e-9), "{weights:?} {range:?}");
        }
    }
}

#[test]
fn a_failed_endpoint_gets_less_until_it_has_recovered() {
    let mut smooth = SmoothWeighted::new(&pool(&[4, 4]));
    smooth.lower(0, 2);
    smooth.lower(0, 2);
    smooth.lower(9, 2); // nobody
    // The first grows by 0, 1, 2, 3, and then 4 again, so currents before the choice are 0:4, 1:4, 3:3, 0:7, 4:4, 0:8, ...
    assert_eq!(picks(&mut smooth, 8), [1, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn sequences_go_on_when_weights_change() {
    let a = Pool::builder().weighted("a", 5, ()).weighted("b", 1, ()).weighted("c", 1, ()).build().unwrap();
    let mut smooth = SmoothWeighted::new(&a);
    assert_eq!(picks(&mut smooth, 2), [0, 0]);
    let b = Pool::builder().carry_over(&a).weighted("c", 1, ()).weighted("a", 5, ()).build().unwrap();
    // Currents are a: -4, c: 2. a: 1, c: 3; a: 6 - 6, c: -2; ...
    assert_eq!(picks(&mut smooth.over(&b), 3), [0, 1, 1]);

    let mut edf = WeightedEdf::new(&a);
    assert_eq!(picks(&mut edf, 4), [0, 0, 0, 0]);
    // All are due at 1: c has waited longest, then a; b is due a turn later.
    let c = Pool::builder().weighted("a", 5, ()).weighted("c", 1, ()).weighted("new", 10, ()).build().unwrap();
    assert_eq!(picks(&mut edf.over(&c), 3), [2, 1, 0]);
}

#[test]
fn a_rotation_goes_on_after_the_endpoint_chosen_last() {
    let weights = |a, b, c| {
        let pool = Pool::builder().weighted("a", a, ()).weighted("b", b, ()).weighted("c", c, ());
        pool.build().unwrap()
    };
    let mut rotation = Rotation::new(&weights(1, 0, 1));
    assert_eq!(picks(&mut rotation, 1), [0]);
    assert_eq!(picks(&mut rotation.over(&weights(1, 1, 1)), 3), [1, 2, 0], "b has come back");
    assert_eq!(picks(&mut rotation.over(&weights(0, 0, 1)), 2), [2, 2], "a has gone");
    assert_eq!(picks(&mut Rotation::new(&weights(1, 0, 1)).over(&weights(1, 1, 1)), 1), [0], "nothing was chosen yet");
    let reordered = Pool::builder().endpoint("c", ()).endpoint("a", ()).endpoint("d", ()).build().unwrap();
    assert_eq!(picks(&mut rotation.over(&reordered), 2), [2, 0]);
    let others = Pool::builder().endpoint("x", ()).endpoint("y", ()).build().unwrap();
    assert_eq!(picks(&mut rotation.over(&others), 2), [0, 1]);
}

#[test]
fn a_threshold_beyond_everyone_admitted_is_skipped_at_once() {
    // Without skipping, four billion rounds would have to be gone through.
    let mut ipvs = IpvsWrr::new(&pool(&[u32::MAX, 1]));
    assert_eq!(next_without(&mut ipvs, &[0]), Some(1));
    assert_eq!(next_without(&mut ipvs, &[0, 1]), None);
    let mut edf = WeightedEdf::new(&pool(&[u32::MAX, 1]));
    assert_eq!(next_without(&mut edf, &[0]), Some(1));
    let mut block = BlockWeighted::new(&pool(&[u32::MAX, 1]));
    assert_eq!(next_without(&mut block, &[0]), Some(1));
}

#[test]
fn fractional_shares_get_fractional_turns() {
    let shares = [Share::nearest(0.4), Share::new(1, 1), None, Share::new(1, 10)];
    let mut queue = EdfQueue::new(shares);
    let mut counts = [0; 4];
    for _ in 0..1500 {
        counts[queue.next(|lane| shares[lane]).unwrap()] += 1;
    }
    assert_eq!(counts, [400, 1000, 0, 100]);
    // A lane that loses its share leaves.
    assert_eq!((0..3).filter_map(|_| queue.next(|_| None)).collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(queue.next(|_| None), None);
}

#[test]
fn new_endpoints_ramp_up_under_slow_start() {
    #[cfg(feature = "std")]
    {
        use lb_select::SlowStart;
        let pool = pool(&[10, 10]);
        pool.load(1).came_up(Duration::from_secs(100));
        let ramp = SlowStart::new(Duration::from_secs(60));
        let mut edf = WeightedEdf::new(&pool).with_slow_start(ramp, Duration::from_secs(100));
        let mut shares = |seconds| {
            let mut pick = || edf.next(&mut Pick::new(Duration::from_secs(seconds), &mut no_words)).unwrap().index;
            (0..1100).filter(|_| pick() == 1).count()
        };
        assert_eq!(shares(100), 100); // a tenth of the weight at first
        let half = shares(130);
        assert!((360..=370).contains(&half), "{half}");
        let whole = shares(160);
        assert!((549..=551).contains(&whole), "{whole}");
    }
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(prop_oneof![1 => Just(0), 4 => 1..12_u32], 1..20)
}

proptest! {
    #[test]
    fn every_period_has_exactly_the_turns_of_each_weight(weights in weights(), skip in 0..50_u64) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let pool = pool(&weights);
        let divisor = weights.iter().copied().fold(0, gcd);
        let sequences: [&mut dyn Sequence; 5] = [
            &mut SmoothWeighted::new(&pool),
            &mut WeightedEdf::new(&pool),
            &mut WeightedEdf::skipping(&pool, skip),
            &mut IpvsWrr::new(&pool),
            &mut BlockWeighted::new(&pool),
        ];
        for (number, sequence) in sequences.into_iter().enumerate() {
            // The blocks are the weights themselves, whatever divides them.
            let (length, divisor) = if number == 4 { (weights.iter().sum::<u32>() as usize, 1) } else { (period(&weights), divisor) };
            for _ in 0..2 {
                let mut counts = vec![0; weights.len()];
                for index in picks(sequence, length) {
                    counts[index] += 1;
                }
                prop_assert_eq!(&counts, &weights.iter().map(|w| w / divisor).collect::<Vec<_>>(), "{}", number);
            }
        }
    }

    #[test]
    fn equal_weights_by_deadline_are_a_round_robin(n in 1..30_usize, weight in 1..u32::MAX) {
        let weights = vec![weight; n];
        let mut edf = WeightedEdf::new(&pool(&weights));
        prop_assert_eq!(picks(&mut edf, 3 * n), (0..3 * n).map(|i| i % n).collect::<Vec<_>>());
    }

    #[test]
    fn smooth_weighting_is_nginxs_whoever_is_excluded_and_whatever_changes(
        first in proptest::collection::vec(prop_oneof![Just(0), 1..9_u32, any::<u32>()], 50..90),
        steps in proptest::collection::vec((0..80_usize, 0..3_usize, any::<[u32; 2]>()), 1..60),
    ) {
        let mut weights = first;
        let (mut smooth, mut nginx) = (SmoothWeighted::new(&pool(&weights)), Nginx::new(&weights));
        for (i, kind, [a, b]) in steps {
            let excluded = if kind == 1 { vec![a as usize % weights.len(), b as usize % weights.len()] } else { vec![] };
            if kind == 2 && i < weights.len() {
                weights[i] = a;
                nginx.weights[i] = a.into();
                smooth = smooth.over(&pool(&weights));
            }
            for _ in 0..5 {
                prop_assert_eq!(next_without(&mut smooth, &excluded), nginx.next_without(&excluded));
            }
        }
    }

    #[test]
    fn ipvs_thresholds_are_those_of_the_kernels_loop(weights in weights(), seed in any::<u64>()) {
        let mut ipvs = IpvsWrr::new(&Candidates::of(&pool(&weights)));
        let step = weights.iter().copied().fold(0, gcd);
        let top = i64::from(weights.iter().copied().max().unwrap_or(0)) - (i64::from(step) - 1);
        let (mut at, mut threshold) = (usize::MAX, top);
        let mut words = splitmix(seed);
        for _ in 0..60 {
            let excluded: Vec<usize> = (0..weights.len()).filter(|_| words().is_multiple_of(4)).collect();
            // The loop of ip_vs_wrr.c: on to the next; at the end the threshold falls; two whole cycles find nobody.
            let mut expected = None;
            for _ in 0..weights.len() * 30 {
                at = at.wrapping_add(1);
                if at == weights.len() {
                    at = usize::MAX;
                    threshold -= i64::from(step);
                    if threshold <= 0 {
                        threshold = top;
                    }
                    continue;
                }
                if weights[at] > 0 && i64::from(weights[at]) >= threshold && !excluded.contains(&at) {
                    expected = Some(at);
                    break;
                }
            }
            prop_assert_eq!(next_without(&mut ipvs, &excluded), expected);
            if expected.is_none() {
                break; // where a vain search stops is up to the implementation
            }
        }
    }
}
