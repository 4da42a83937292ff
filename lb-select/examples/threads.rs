//! What does sharing cost? Picks of 1 and 2 threads, for policies that share nothing, a counter, or a lock.
//!
//! `cargo run --release -p lb-select --example threads` prints nanoseconds of processor time a pick, with one thread and with two
//! at once: what shares nothing costs the same. (Elapsed time would also count whoever else uses the machine; it is taken
//! where there is no `/proc`.) The tests let threads at everything that is shared and then count.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types, reason = "a program")]

use lb_select::{P2c, Pick, Policy, Pool, Random, Rotation, RoundRobin, SmoothWeighted};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::{Barrier, LazyLock, Mutex};
use std::time::{Duration, Instant};

const PICKS: u64 = 3_000_000;

fn main() {
    let pool = Pool::of((0..1000).map(|i| i.to_string())).expect("the keys are different");
    let (round_robin, random, p2c) = (RoundRobin::new(&pool), Random::new(&pool), P2c::new(&pool));
    let smooth = Mutex::new(SmoothWeighted::new(&pool));
    report("a rotation for each worker", || RefCell::new(Rotation::new(&pool)));
    report("smooth weights for each worker", || RefCell::new(SmoothWeighted::new(&pool)));
    report("random, shared", || &random);
    report("two choices, shared", || &p2c);
    report("round robin, one counter shared", || &round_robin);
    report("smooth weights, one lock shared", || &smooth);
}

fn report<P: Policy>(name: &str, policy: impl Fn() -> P + Sync) {
    let best = |threads| (0..5).map(|_| seconds(threads, &policy)).fold(f64::INFINITY, f64::min);
    let [one, two] = [1, 2].map(|threads| best(threads) * 1e9 / PICKS as f64);
    println!("{name:<34} {one:6.1} ns alone, {two:6.1} ns beside another thread");
}

/// The processor time of this thread in seconds, from any start.
fn time() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| START.elapsed().as_secs_f64(), |nanos: f64| nanos / 1e9)
}

/// The time that each of so many threads takes for its picks, at most.
fn seconds<P: Policy>(threads: usize, policy: &(impl Fn() -> P + Sync)) -> f64 {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let picker = |seed: u64| {
            let (barrier, policy) = (&barrier, &policy);
            move || {
                let policy = policy();
                let mut words = splitmix(seed);
                barrier.wait();
                let start = time();
                for _ in 0..PICKS {
                    black_box(policy.pick(&mut Pick::new(Duration::ZERO, &mut words))).ok();
                }
                time() - start
            }
        };
        let threads: Vec<_> = (0..threads).map(|i| scope.spawn(picker(i as u64))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
    })
}

/// SplitMix64 (Steele, Lea and Flood 2014).
fn splitmix(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_select::{Bias, ClientIpAffinity, EwmaSettings, LeastRequestEdf};
    use std::hash::RandomState;
    use std::net::Ipv4Addr;

    fn pool() -> Pool<String> {
        Pool::of((0..3).map(|i| i.to_string())).unwrap()
    }

    fn concurrently(work: impl Fn(u64) + Sync) {
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let work = &work;
                scope.spawn(move || work(worker));
            }
        });
    }

    #[test]
    fn counts_do_not_drift_while_threads_start_close_finish_and_update() {
        let pool = pool();
        let p2c = P2c::new(&pool);
        let edf = Mutex::new(LeastRequestEdf::new(&pool, Bias::default()));
        let sticky = ClientIpAffinity::new(&pool, &p2c, Default::default(), RandomState::new()).unwrap();
        concurrently(|worker| {
            let mut words = splitmix(worker);
            let mut held = Vec::new();
            for round in 0..20_000_u32 {
                let mut pick = Pick::new(Duration::ZERO, &mut words).for_client(Ipv4Addr::from_bits(round % 7).into());
                let choice = match round % 3 {
                    0 => p2c.pick(&mut pick),
                    1 => edf.pick(&mut pick),
                    _ => sticky.pick(&mut pick),
                };
                let mut guard = pool.start(choice.unwrap().index);
                if round % 5 == 0 {
                    guard.close();
                }
                held.push(guard);
                if held.len() > 16 {
                    drop(held.swap_remove(round as usize % 16));
                }
                if round % 1000 == 0 {
                    let keys = ["0", "2", "new"].map(String::from);
                    let next = keys.into_iter().fold(Pool::builder(), |b, key| b.endpoint(key.clone(), key));
                    held.push(next.carry_over(&pool).build().unwrap().start(1));
                }
            }
        });
        for index in 0..3 {
            assert_eq!((pool.load(index).active(), pool.load(index).inactive()), (0, 0));
        }
    }

    #[test]
    fn endpoints_opened_as_often_as_closed_are_open() {
        let pool = pool();
        concurrently(|worker| {
            for round in 0..20_000 {
                let load = pool.load((worker as usize + round) % 3);
                load.close();
                load.open();
            }
        });
        // All are open, and the mark that none is closed is right: the usual pick draws no second word.
        let words = std::cell::Cell::new(0);
        let mut count = || {
            words.set(words.get() + 1);
            0
        };
        Random::new(&pool).pick(&mut Pick::new(Duration::ZERO, &mut count)).unwrap();
        assert_eq!(words.get(), 1);
    }

    #[test]
    fn a_latency_is_never_read_half_written() {
        // Samples are whole seconds at the time of as many seconds. Without decay an average is its last sample, so value and
        // time of any read must be equal.
        let pool = pool();
        let settings = EwmaSettings::default().decay(Duration::ZERO);
        concurrently(|worker| {
            for round in 1..20_000 {
                let second = Duration::from_secs(4 * round + worker);
                if worker < 2 {
                    pool.load(0).record(second, second, &settings);
                } else if let Some(average) = pool.load(0).latency() {
                    assert_eq!(average.value() as u64, average.at().as_secs());
                }
            }
        });
    }

    #[test]
    fn over_all_threads_a_round_robin_gives_everyone_as_many_turns() {
        let pool = pool();
        let (round_robin, smooth) = (RoundRobin::new(&pool), Mutex::new(SmoothWeighted::new(&pool)));
        let counts = Mutex::new([0; 3]);
        concurrently(|worker| {
            let mut mine = [0; 3];
            let mut words = splitmix(worker);
            for round in 0..6000 {
                let policy: &dyn Policy = if round % 2 == 0 { &round_robin } else { &smooth };
                mine[policy.pick(&mut Pick::new(Duration::ZERO, &mut words)).unwrap().index] += 1;
            }
            counts.lock().unwrap().iter_mut().zip(mine).for_each(|(all, mine)| *all += mine);
        });
        assert_eq!(*counts.lock().unwrap(), [8000; 3]);
    }
}
