//! What does one pick cost, next to the least that any pick of its kind must do?
//!
//! The `floor/...` lines balance nothing: a private counter and an index, a random word and an index, a counter shared by
//! threads with a modulo, two random loads. The `reference/...` lines are the plain good form of an algorithm. Times are for [`KEYS`] picks; criterion also prints them as elements per second.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

mod loads;
mod weighted;
mod workloads;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lb_select::{
    Balancer, BalancerSettings, ByPriority, ByPrioritySettings, ClientIpAffinity, ClientIpSettings, P2c, Pick, Policy,
    PolicySettings, Pool, Random, Rotation, RoundRobin,
};
use std::cell::RefCell;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use workloads::{KEYS, Rng, backends, clients};

fn picks(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    group.throughput(Throughput::Elements(KEYS as u64));
    for n in [10, 100, 10_000] {
        let addrs = backends(n);
        let pool = Pool::of(addrs.clone()).unwrap();
        let clients = clients(KEYS);

        group.bench_function(BenchmarkId::new("floor/counter-index", n), |b| {
            let mut i = 0;
            b.iter(|| {
                for _ in 0..KEYS {
                    i += 1;
                    if i == addrs.len() {
                        i = 0;
                    }
                    black_box(&addrs[i]);
                }
            });
        });
        group.bench_function(BenchmarkId::new("floor/random-index", n), |b| {
            let mut rng = Rng::new();
            b.iter(|| {
                for _ in 0..KEYS {
                    black_box(&addrs[rng.below(addrs.len())]);
                }
            });
        });
        group.bench_function(BenchmarkId::new("floor/shared-counter-modulo", n), |b| {
            let turn = AtomicUsize::new(0);
            b.iter(|| {
                for _ in 0..KEYS {
                    black_box(&addrs[turn.fetch_add(1, Ordering::Relaxed) % addrs.len()]);
                }
            });
        });

        let mut policy = |name: &str, policy: &dyn Fn(&mut Rng)| {
            let mut rng = Rng::new();
            group.bench_function(BenchmarkId::new(name, n), |b| b.iter(|| policy(&mut rng)));
        };
        let round_robin = RoundRobin::new(&pool);
        let random = Random::new(&pool);
        policy("round-robin", &|rng| run(&round_robin, &pool, rng));
        policy("round-robin-dyn", &|rng| run(black_box(&round_robin as &dyn Policy), &pool, rng));
        policy("random", &|rng| run(&random, &pool, rng));
        let worker = RefCell::new(Rotation::new(&pool));
        policy("rotation-of-a-worker", &|rng| run(&worker, &pool, rng));
        let layered = ByPriority::new(&pool, ByPrioritySettings::default(), |part, _| Random::new(part));
        policy("priority-then-random", &|rng| run(&layered, &pool, rng));
        let settings = BalancerSettings::new(PolicySettings::Random).priority(ByPrioritySettings::default());
        let configured = Balancer::new(&pool, settings, Hasher::new(), 0).unwrap();
        policy("configured-priority-then-random", &|rng| run(&configured, &pool, rng));
        policy("random-dyn", &|rng| run(black_box(&random as &dyn Policy), &pool, rng));

        // One endpoint in ten fails its check, so that each pick has to look.
        let ailing = Pool::of(addrs.clone()).unwrap();
        let (checked_round_robin, checked_random) = (RoundRobin::new(&ailing), Random::new(&ailing));
        let checked_p2c = P2c::new(&ailing);
        (0..addrs.len()).step_by(10).for_each(|index| ailing.load(index).close());
        policy("round-robin-tenth-closed", &|rng| run(&checked_round_robin, &ailing, rng));
        policy("random-tenth-closed", &|rng| run(&checked_random, &ailing, rng));
        policy("p2c-tenth-closed", &|rng| run(&checked_p2c, &ailing, rng));

        let layer = |settings| ClientIpAffinity::new(&pool, &random, settings, Hasher::new()).unwrap();
        let known = layer(ClientIpSettings::default());
        let evicting = layer(ClientIpSettings::default().capacity(KEYS as u32 / 2));
        policy("client-ip-known", &|rng| run_clients(&known, &pool, &clients, rng));
        policy("client-ip-new-evicting", &|rng| run_clients(&evicting, &pool, &clients, rng));
    }
    group.finish();
}

/// The keyed hash of the standard library with a key that is the same in every run.
type Hasher = BuildHasherDefault<DefaultHasher>;

#[inline]
pub(crate) fn run<E>(policy: &(impl Policy + ?Sized), pool: &Pool<E>, rng: &mut Rng) {
    let mut words = || rng.next();
    for _ in 0..KEYS {
        let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words)).unwrap();
        black_box(&pool[choice.index]);
    }
}

fn run_clients<E>(policy: &impl Policy, pool: &Pool<E>, clients: &[IpAddr], rng: &mut Rng) {
    let mut words = || rng.next();
    for &client in clients {
        let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words).for_client(client)).unwrap();
        black_box(&pool[choice.index]);
    }
}

criterion_group!(benches, picks, weighted::picks, weighted::builds, loads::picks);
criterion_main!(benches);
