//! What does sharing cost? Picks of one and of two threads at once, for policies that share nothing, a counter, or a lock.
//!
//! `cargo run --release -p lb-select --example threads` prints nanoseconds a pick and the scaling: how many picks two threads make
//! in the time in which one makes one. How far that can be above 1 is up to the machine (two threads of one core, or a neighbour,
//! take from each other what no program can give), so each line has a control in the same run: the same policy, but each thread
//! with a pool and a policy of its own. Sharing costs what the scaling is below the control's.
//!
//! A neighbour also makes threads wait. So picks are timed in short slices, and only those count in which the other thread
//! moved on as well; how many that were is printed. The tests let threads at everything that is shared and then count.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types, reason = "a program")]

use lb_select::hash::Maglev;
use lb_select::{P2c, Pick, Policy, Pool, Random, Rotation, RoundRobin, SmoothWeighted, WeightedRandom};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

/// Picks of a slice, some tens of microseconds: far less than the time for which the kernel lets a thread run.
const PICKS: u32 = 4096;
/// Slices that count, of each measurement.
const SLICES: usize = 300;
/// How long is waited for them: on a busy machine it takes the kernel a while to let both threads run.
const PATIENCE: Duration = Duration::from_secs(1);
/// Measurements of each kind, in turns, so that a neighbour's load falls on all of them. Odd, for the sake of the median.
const ROUNDS: usize = 9;

fn main() {
    let pool = &pool_of(1000);
    let own = || pool_of(1000);
    println!("{:<32} ns alone  ns of two  scaling  control  share of it  slices", "");
    report("rotation for each worker", || RefCell::new(Rotation::new(pool)), || RefCell::new(Rotation::new(&own())));
    report(
        "smooth weights for each worker",
        || RefCell::new(SmoothWeighted::new(pool)),
        || RefCell::new(SmoothWeighted::new(&own())),
    );
    let random = Random::new(pool);
    report("random, shared", || &random, || Random::new(&own()));
    let weighted = WeightedRandom::new(pool);
    report("weighted random, shared", || &weighted, || WeightedRandom::new(&own()));
    let p2c = P2c::new(pool);
    report("two choices, shared", || &p2c, || P2c::new(&own()));
    let maglev = |pool: &Pool<String>| Maglev::new(pool, Maglev::TABLE_SIZE).expect("the size is a prime number");
    let table = maglev(pool);
    report("Maglev, shared", || &table, || maglev(&own()));
    println!("What is written by all:");
    let round_robin = RoundRobin::new(pool);
    report("round robin, one counter", || &round_robin, || RoundRobin::new(&own()));
    let smooth = Mutex::new(SmoothWeighted::new(pool));
    report("smooth weights, one lock", || &smooth, || Mutex::new(SmoothWeighted::new(&own())));
}

fn pool_of(n: usize) -> Pool<String> {
    Pool::of((0..n).map(|i| i.to_string())).expect("the keys are different")
}

/// Measures a policy next to its control, both as each thread gets them.
fn report<S: Policy, P: Policy>(name: &str, shared: impl Fn() -> S + Sync, private: impl Fn() -> P + Sync) {
    let rounds: Vec<[Measured; 4]> = (0..ROUNDS)
        .map(|_| [measure(1, &shared), measure(1, &private), measure(2, &shared), measure(2, &private)])
        .collect();
    let median = |of: fn(&[Measured; 4]) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    let scaling = median(|[one, _, two, _]| 2.0 * one.nanos / two.nanos);
    let control = median(|[_, one, _, two]| 2.0 * one.nanos / two.nanos);
    println!(
        "{name:<32} {:8.1}  {:9.1}  {scaling:6.2}x  {control:6.2}x  {:11.2}  {:6.0}",
        median(|[one, ..]| one.nanos),
        median(|[_, _, two, _]| two.nanos),
        scaling / control,
        median(|[_, _, two, _]| two.slices),
    );
}

struct Measured {
    /// Time of a pick: the median of slices.
    nanos: f64,
    /// How many slices there are that count.
    slices: f64,
}

/// How many slices a thread has done, in a place of its own that is written once a slice.
#[derive(Default)]
#[repr(align(128))]
struct Progress(AtomicU32);

/// Picks of one thread, or of two.
fn measure<P: Policy>(threads: usize, policy: &(impl Fn() -> P + Sync)) -> Measured {
    let (barrier, done) = (Barrier::new(threads), AtomicBool::new(false));
    let progress = [Progress::default(), Progress::default()];
    let mut slices: Vec<f64> = std::thread::scope(|scope| {
        let picker = |thread: usize| {
            let (barrier, done, policy) = (&barrier, &done, &policy);
            let [mine, other] = [&progress[thread], &progress[1 - thread]];
            move || {
                let policy = policy();
                let mut words = splitmix(thread as u64);
                barrier.wait();
                let (mut slices, begin) = (Vec::with_capacity(SLICES), Instant::now());
                while !done.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE {
                    let (before, start) = (other.0.load(Ordering::Relaxed), Instant::now());
                    for _ in 0..PICKS {
                        let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words));
                        _ = black_box(choice.map(|choice| choice.index));
                    }
                    let nanos = start.elapsed().as_nanos() as f64 / f64::from(PICKS);
                    mine.0.fetch_add(1, Ordering::Relaxed);
                    // Far more than one slice of the other's means that this one waited meanwhile.
                    let moved_on = (1..=4).contains(&(other.0.load(Ordering::Relaxed) - before));
                    if threads == 1 || moved_on {
                        slices.push(nanos);
                    }
                    if slices.len() == SLICES {
                        done.store(true, Ordering::Relaxed);
                    }
                }
                slices
            }
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(picker(thread))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    slices.sort_by(f64::total_cmp);
    Measured { nanos: slices.get(slices.len() / 2).copied().unwrap_or(f64::NAN), slices: slices.len() as f64 }
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
