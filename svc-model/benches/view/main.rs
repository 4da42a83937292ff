//! What does a decision cost, what does it take to build the table and to follow changes? Next to the floors of the same run.

mod workload;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::net::IpAddr;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use svc_model::{Cluster, Packet, Protocol, Touched};
use workload::{churn, cluster_ip, objects, packets, view};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// One look-up of (address, protocol, port).
fn floor<S: BuildHasher + Default>(n: usize) -> HashMap<(IpAddr, Protocol, u16), usize, S> {
    (0..n).map(|i| ((cluster_ip(i).into(), Protocol::Tcp, 80), i)).collect()
}

fn found<S: BuildHasher>(floor: &HashMap<(IpAddr, Protocol, u16), usize, S>, packets: &[Packet]) -> usize {
    let find = |packet: &Packet| packet.port.and_then(|(protocol, port)| floor.get(&(packet.dst, protocol, port)));
    packets.iter().filter(|packet| find(black_box(packet)).is_some()).count()
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(16_384));
    for n in SIZES {
        let view = view(&objects(n, 2).into_iter().collect());
        let keyed = floor::<std::hash::RandomState>(n);
        let fast = floor::<foldhash::fast::FixedState>(n);
        for (name, port) in [("hit", 80), ("miss", 81)] {
            let packets = packets(n, port);
            let keyed_id = BenchmarkId::new(format!("{name}, floor: one keyed look-up"), n);
            group.bench_with_input(keyed_id, &packets, |b, packets| b.iter(|| found(&keyed, packets)));
            let fast_id = BenchmarkId::new(format!("{name}, floor: one look-up, fast hash"), n);
            group.bench_with_input(fast_id, &packets, |b, packets| b.iter(|| found(&fast, packets)));
            group.bench_with_input(BenchmarkId::new(name, n), &packets, |b, packets| {
                let candidates = |packet| view.decide(black_box(packet)).endpoints.candidates().len();
                b.iter(|| packets.iter().map(candidates).sum::<usize>());
            });
        }
    }
    // Flat in the number of endpoints.
    for per in [2, 20, 200] {
        let view = view(&objects(1_000, per).into_iter().collect());
        let packets = packets(1_000, 80);
        group.bench_with_input(BenchmarkId::new("hit, 1000 Services, endpoints each", per), &packets, |b, packets| {
            let candidates = |packet| view.decide(black_box(packet)).endpoints.candidates().len();
            b.iter(|| packets.iter().map(candidates).sum::<usize>());
        });
    }
    group.finish();
}

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for n in [1_000, 10_000] {
        let objects = objects(n, 10);
        group.bench_with_input(BenchmarkId::new("floor: clone the objects", n), &objects, |b, objects| {
            b.iter(|| objects.clone());
        });
        group.bench_with_input(BenchmarkId::new("Cluster", n), &objects, |b, objects| {
            b.iter_batched(
                || objects.clone(),
                |objects| objects.into_iter().collect::<Cluster>(),
                BatchSize::LargeInput,
            );
        });
        let cluster: Cluster = objects.iter().cloned().collect();
        group.bench_with_input(BenchmarkId::new("NodeView", n), &cluster, |b, cluster| b.iter(|| view(cluster)));
    }
    group.finish();
}

/// Ten slices change, and the view follows.
fn follow(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("follow");
    group.sample_size(20);
    for n in SIZES {
        let mut cluster: Cluster = objects(n, 2).into_iter().collect();
        let mut view = view(&cluster);
        let mut step = 0;
        group.bench_function(BenchmarkId::new("10 changed Services: apply, view and delta", n), |b| {
            b.iter_batched(
                || {
                    step += 1;
                    churn(n, 2, 10, step)
                },
                |slices| {
                    let mut touched = Touched::default();
                    slices.into_iter().for_each(|slice| touched.extend(cluster.apply(slice).touched));
                    view.update(&cluster, &touched)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decide, load, follow);
criterion_main!(benches);
