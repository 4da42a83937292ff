//! How does lb-select fare beside other crates? The same endpoints and keys for all, in turns, in one run:
//!
//! `cargo run --release --manifest-path examples/lb-peers/Cargo.toml [--features pingora]`
//!
//! Prints nanoseconds a call, the median of rounds in which all candidates take turns, and the ratio to lb-select's
//! line of the group.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros, reason = "a program")]

#[path = "../../../lb-select/benches/hash/workloads.rs"]
mod workloads;

use lb_select::hash::{Ketama, Maglev, RingHash, RingSettings, crc32};
use lb_select::{P2c, Pick, Policy, Pool, Random, RoundRobin, WeightedRandom};
use std::hash::BuildHasher;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use workloads::{KEYS, MAGLEV_M, Rng, backends, flow_keys, weights};

fn main() {
    for n in [10, 100, 10_000] {
        println!("{n} endpoints, ns a call");
        tables(n);
        rings(n);
        sequences(n);
        builds(n);
    }
}

/// Candidates that do the same; the first is ours.
struct Group<'a> {
    name: &'static str,
    /// Calls in one run.
    calls: usize,
    candidates: Vec<(&'static str, Box<dyn FnMut() + 'a>)>,
}

impl<'a> Group<'a> {
    fn new(name: &'static str, calls: usize) -> Self {
        Self { name, calls, candidates: Vec::new() }
    }

    fn add(&mut self, name: &'static str, run: impl FnMut() + 'a) {
        self.candidates.push((name, Box::new(run)));
    }

    /// Nine rounds in turns, so that a slow spell of the machine falls on all.
    fn print(mut self) {
        const ROUNDS: usize = 9;
        let mut times: Vec<Vec<f64>> = self.candidates.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for ((_, run), times) in self.candidates.iter_mut().zip(&mut times) {
                let (start, mut runs) = (Instant::now(), 0);
                while runs == 0 || start.elapsed() < Duration::from_millis(15) {
                    run();
                    runs += 1;
                }
                times.push(start.elapsed().as_nanos() as f64 / (runs * self.calls) as f64);
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        };
        let times: Vec<f64> = times.iter_mut().map(median).collect();
        for ((name, _), time) in self.candidates.iter().zip(&times) {
            println!("  {:10} {name:42} {time:12.1} {:8.1}x", self.name, time / times[0]);
        }
    }
}

fn pool(n: u32) -> Pool<SocketAddr> {
    Pool::of(backends(n)).expect("addresses are distinct")
}

fn tables(n: u32) {
    let (keys, pool) = (flow_keys(), pool(n));
    let hasher = foldhash::fast::FixedState::with_seed(1);
    let ours = Maglev::new(&pool, MAGLEV_M).expect("a prime").scaled();
    let exact = Maglev::new(&pool, MAGLEV_M).expect("a prime");
    // That crate keeps the whole permutation of every node while it builds.
    let theirs = (n <= 100).then(|| maglev::Maglev::with_capacity(backends(n), MAGLEV_M as usize));
    let mut group = Group::new("table", KEYS);
    group.add("lb-select Maglev scaled, foldhash", || {
        keys.iter().for_each(|key| _ = black_box(ours.lookup(hasher.hash_one(u128::from_le_bytes(*key)))));
    });
    group.add("lb-select Maglev exact, xxHash64", || {
        keys.iter().for_each(|key| _ = black_box(exact.lookup(lb_select::hash::xxh64(key, 0))));
    });
    if let Some(theirs) = &theirs {
        use maglev::ConsistentHasher as _;
        group.add("maglev", || keys.iter().for_each(|key| _ = black_box(theirs.get(key))));
    }
    group.print();
}

fn rings(n: u32) {
    let (keys, pool) = (flow_keys(), pool(n));
    let hasher = foldhash::fast::FixedState::with_seed(1);
    let ours = RingHash::new(&pool, &RingSettings::default().min_ring_size(160 * n)).expect("a size");
    let ketama = Ketama::new(&pool).expect("few points");
    let buckets: Vec<_> = backends(n).into_iter().map(|addr| pingora_ketama::Bucket::new(addr, 1)).collect();
    let theirs = pingora_ketama::Continuum::new(&buckets);
    for key in &keys {
        let same = ketama.lookup(crc32(key)).map(|index| pool[index]) == theirs.node(key);
        assert!(same, "pingora-ketama and Ketama disagree");
    }
    let mut ring = hashring::HashRing::new();
    ring.batch_add((0..n).flat_map(|i| (0..160_u16).map(move |replica| (i, replica))).collect());
    let mut group = Group::new("ring", KEYS);
    group.add("lb-select RingHash 160, foldhash", || {
        keys.iter().for_each(|key| _ = black_box(ours.lookup(hasher.hash_one(u128::from_le_bytes(*key)))));
    });
    group.add("lb-select Ketama 160, CRC-32", || {
        keys.iter().for_each(|key| _ = black_box(ketama.lookup(crc32(key))));
    });
    group.add("pingora-ketama Continuum::node", || keys.iter().for_each(|key| _ = black_box(theirs.node(key))));
    group.add("hashring 160", || keys.iter().for_each(|key| _ = black_box(ring.get(key))));
    group.print();
}

fn sequences(n: u32) {
    let pool = pool(n);
    let mut group = Group::new("pick", KEYS);
    run(&mut group, "lb-select RoundRobin", RoundRobin::new(&pool));
    run(&mut group, "lb-select Random", Random::new(&pool));
    run(&mut group, "lb-select P2c", P2c::new(&pool));
    let members = backends(n).into_iter().zip(weights(n));
    let weighted = members.fold(Pool::builder(), |pool, (addr, weight)| pool.weighted(addr, weight, addr));
    run(&mut group, "lb-select WeightedRandom", WeightedRandom::new(&weighted.build().expect("distinct")));
    {
        use rand::distr::Distribution as _;
        let mut rng: rand::rngs::SmallRng = rand::make_rng();
        let index = rand::distr::weighted::WeightedIndex::new(weights(n)).expect("weights");
        group.add("rand WeightedIndex", move || (0..KEYS).for_each(|_| _ = black_box(index.sample(&mut rng))));
        let mut rng: rand::rngs::SmallRng = rand::make_rng();
        let alias = rand_distr::weighted::WeightedAliasIndex::new(weights(n)).expect("weights");
        group.add("rand_distr WeightedAliasIndex", move || {
            (0..KEYS).for_each(|_| _ = black_box(alias.sample(&mut rng)))
        });
    }
    #[cfg(feature = "pingora")]
    {
        use pingora_load_balancing::LoadBalancer;
        use pingora_load_balancing::selection::{Consistent, Random, RoundRobin};
        let keys = flow_keys();
        macro_rules! select {
            ($policy:ty, $name:literal) => {{
                let (balancer, keys) =
                    (LoadBalancer::<$policy>::try_from_iter(backends(n)).expect("addresses"), keys.clone());
                group.add($name, move || keys.iter().for_each(|key| _ = black_box(balancer.select(key, 256))));
            }};
        }
        select!(RoundRobin, "pingora RoundRobin select");
        select!(Random, "pingora Random select");
        select!(Consistent, "pingora Consistent select");
    }
    group.print();
}

fn run<'a>(group: &mut Group<'a>, name: &'static str, policy: impl Policy + 'a) {
    let mut rng = Rng::new(0);
    group.add(name, move || {
        let mut words = || rng.next();
        for _ in 0..KEYS {
            _ = black_box(policy.pick(&mut Pick::new(Duration::ZERO, &mut words)));
        }
    });
}

fn builds(n: u32) {
    let pool = pool(n);
    let mut group = Group::new("build", 1);
    group.add("lb-select Maglev 65537", || _ = black_box(Maglev::new(&pool, MAGLEV_M)));
    if n <= 100 {
        group.add("maglev 65537", move || _ = black_box(maglev::Maglev::with_capacity(backends(n), MAGLEV_M as usize)));
    }
    group.add("lb-select Ketama 160", || _ = black_box(Ketama::new(&pool)));
    let buckets: Vec<_> = backends(n).into_iter().map(|addr| pingora_ketama::Bucket::new(addr, 1)).collect();
    group.add("pingora-ketama 160", move || _ = black_box(pingora_ketama::Continuum::new(&buckets)));
    group.add("hashring 160", move || {
        let mut ring = hashring::HashRing::new();
        ring.batch_add((0..n).flat_map(|i| (0..160_u16).map(move |replica| (i, replica))).collect());
        _ = black_box(ring);
    });
    group.print();
}
