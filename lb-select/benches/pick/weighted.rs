//! Sequences and chance by weight, next to the plain forms of the two that are smooth.

use crate::run;
use crate::workloads::{KEYS, Rng, backends, weights};
use criterion::{BenchmarkId, Criterion, Throughput};
use lb_select::{BlockWeighted, IpvsWrr, Policy, Pool, SmoothWeighted, WeightedEdf, WeightedRandom};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::net::SocketAddr;

const SIZES: [u32; 4] = [10, 100, 1000, 10_000];

fn weighted_pool(n: u32) -> Pool<SocketAddr> {
    let members = backends(n).into_iter().zip(weights(n as usize));
    members.fold(Pool::builder(), |pool, (addr, weight)| pool.weighted(addr, weight, addr)).build().unwrap()
}

pub(crate) fn picks(c: &mut Criterion) {
    let mut group = c.benchmark_group("weighted");
    for n in SIZES {
        let (pool, weights) = (weighted_pool(n), weights(n as usize));
        // The scan takes milliseconds for as many picks as the others make.
        let few = 64;
        group.throughput(Throughput::Elements(few));
        let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut currents = vec![0_i64; weights.len()];
        group.bench_function(BenchmarkId::new("reference/smooth-scan", n), |b| {
            b.iter(|| {
                for _ in 0..few {
                    let mut best = (0, i64::MIN);
                    for (i, (current, weight)) in currents.iter_mut().zip(&weights).enumerate() {
                        *current += i64::from(*weight);
                        if *current > best.1 {
                            best = (i, *current);
                        }
                    }
                    currents[best.0] -= total;
                    black_box(best.0);
                }
            });
        });
        group.throughput(Throughput::Elements(KEYS as u64));
        let one = 1_u64 << 40;
        let mut heap: BinaryHeap<Reverse<(u64, u32)>> =
            (0..).zip(&weights).map(|(i, &weight)| Reverse((one / u64::from(weight), i))).collect();
        group.bench_function(BenchmarkId::new("reference/edf-heap-rounded", n), |b| {
            b.iter(|| {
                for _ in 0..KEYS {
                    if let Some(mut top) = heap.peek_mut() {
                        let (deadline, i) = top.0;
                        top.0 = (deadline + one / u64::from(weights[i as usize]), i);
                        black_box(i);
                    }
                }
            });
        });
        let mut policy = |name: &str, policy: &dyn Policy| {
            let mut rng = Rng::new();
            group.bench_function(BenchmarkId::new(name, n), |b| b.iter(|| run(policy, &pool, &mut rng)));
        };
        policy("smooth", &RefCell::new(SmoothWeighted::new(&pool)));
        policy("edf", &RefCell::new(WeightedEdf::new(&pool)));
        policy("ipvs-wrr", &RefCell::new(IpvsWrr::new(&pool)));
        policy("block", &RefCell::new(BlockWeighted::new(&pool)));
        policy("random", &WeightedRandom::new(&pool));
        // Every endpoint a weight of its own: the most that a tournament can have to do.
        let mut number = 0;
        let distinct = pool.with_weights(|_| {
            number += 1;
            number
        });
        policy("smooth-distinct-weights", &RefCell::new(SmoothWeighted::new(&distinct)));
    }
    group.finish();
}

pub(crate) fn builds(c: &mut Criterion) {
    let mut group = c.benchmark_group("build");
    for n in SIZES {
        let addrs = backends(n);
        let pool = weighted_pool(n);
        group.bench_function(BenchmarkId::new("floor/copy-weights", n), |b| b.iter(|| black_box(weights(n as usize))));
        group.bench_function(BenchmarkId::new("pool", n), |b| b.iter(|| Pool::of(addrs.iter().copied()).unwrap()));
        let keyed: Vec<_> = pool.iter().map(|endpoint| (endpoint.key.clone(), endpoint.weight)).collect();
        group.bench_function(BenchmarkId::new("pool-carried-over", n), |b| {
            b.iter(|| {
                let members = keyed.iter().cloned();
                let builder = members.fold(Pool::builder(), |pool, (key, weight)| pool.weighted(key, weight, ()));
                builder.carry_over(&pool).build().unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("pool-with-health", n), |b| b.iter(|| pool.with_health(|e| e.health)));
        group.bench_function(BenchmarkId::new("smooth", n), |b| b.iter(|| SmoothWeighted::new(&pool)));
        group.bench_function(BenchmarkId::new("edf-skipping", n), |b| b.iter(|| WeightedEdf::skipping(&pool, 12_345)));
        group.bench_function(BenchmarkId::new("random", n), |b| b.iter(|| WeightedRandom::new(&pool)));
    }
    group.finish();
}
