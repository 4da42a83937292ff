//! Policies that look at load, next to two loads at random.

use crate::run;
use crate::workloads::{KEYS, Rng, backends, weights};
use criterion::{BenchmarkId, Criterion, Throughput};
use lb_select::{
    Bias, ChoiceOfSome, IpvsTwos, LatencyCost, LeastLoad, LeastRequestEdf, LoadRule, P2c, PeakEwma, Policy, Pool,
    WeightedP2c,
};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) fn picks(c: &mut Criterion) {
    let mut group = c.benchmark_group("load");
    group.throughput(Throughput::Elements(KEYS as u64));
    for n in [10, 100, 10_000] {
        let members = backends(n).into_iter().zip(weights(n as usize));
        let pool = members.fold(Pool::builder(), |pool, (addr, weight)| pool.weighted(addr, weight, addr));
        let pool = pool.build().unwrap();
        let mut rng = Rng::new();
        let loads: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(rng.below(8) as u32)).collect();
        for (index, load) in loads.iter().enumerate() {
            pool.load(index).report(load.load(Ordering::Relaxed), 0);
            pool.load(index).record(
                Duration::from_millis(1 + rng.below(9) as u64),
                Duration::ZERO,
                &Default::default(),
            );
        }
        group.bench_function(BenchmarkId::new("floor/two-loads", n), |b| {
            b.iter(|| {
                for _ in 0..KEYS {
                    let (a, b) = (rng.below(loads.len()), rng.below(loads.len()));
                    let (load_a, load_b) = (loads[a].load(Ordering::Relaxed), loads[b].load(Ordering::Relaxed));
                    black_box(if load_b < load_a { b } else { a });
                }
            });
        });
        let mut policy = |name: &str, policy: &dyn Policy| {
            let mut rng = Rng::new();
            group.bench_function(BenchmarkId::new(name, n), |b| b.iter(|| run(policy, &pool, &mut rng)));
        };
        policy("p2c-dyn", &P2c::new(&pool));
        policy("p2c-with-replacement-dyn", &ChoiceOfSome::new(&pool));
        policy("p2c-weighted-dyn", &WeightedP2c::new(&pool));
        policy("ipvs-twos-dyn", &IpvsTwos::new(&pool));
        policy("peak-ewma-dyn", &PeakEwma::by(&pool, LatencyCost::default()));
        policy("least-request-edf-dyn", &RefCell::new(LeastRequestEdf::new(&pool, Bias::default())));
        if n <= 100 {
            policy("ipvs-wlc-dyn", &LeastLoad::new(&pool, LoadRule::WeightedLeastConnection));
            policy("least-request-scan-dyn", &LeastLoad::new(&pool, LoadRule::LeastRequest));
        }
        let p2c = P2c::new(&pool);
        let mut rng = Rng::new();
        group.bench_function(BenchmarkId::new("p2c", n), |b| b.iter(|| run(&p2c, &pool, &mut rng)));
        group.bench_function(BenchmarkId::new("in-flight-guard", n), |b| {
            b.iter(|| {
                for _ in 0..KEYS {
                    drop(black_box(pool.start(rng.below(loads.len()))));
                }
            });
        });
    }
    group.finish();
}
