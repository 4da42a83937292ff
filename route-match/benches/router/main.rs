//! How long does choosing a rule take, next to a floor that compares no text and to a map of hosts with a scan?
//!
//! Each figure is for the whole set of requests; criterion's throughput is requests a second. Before anything is measured,
//! every candidate must give every answer that the workload expects.

mod floors;
mod workloads;

use std::cmp::Reverse;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use route_match::{Host, HostPattern, PathPattern, Request, Router, RouterBuilder, Rule};

use floors::{Fingerprints, MapAndScan};
use workloads::{PathKind, REQUESTS, ROUTE_SIZES, Route, hits, misses, routes};

fn router(table: &[Route]) -> Router<u32> {
    let mut builder = RouterBuilder::new();
    for route in table {
        let host: HostPattern = route.host.parse().unwrap();
        let (kind, path) = match route.kind {
            PathKind::Exact => (0, PathPattern::exact(&route.path)),
            PathKind::Prefix => (1, PathPattern::prefix(&route.path)),
        };
        builder.rule(host, Rule::new((kind, Reverse(route.path.len())), path, route.id));
    }
    builder.build()
}

fn look_up(c: &mut Criterion) {
    for (size, hosts, paths) in ROUTE_SIZES {
        let table = routes(hosts, paths);
        let (router, scan, floor) = (router(&table), MapAndScan::new(&table), Fingerprints::new(&table));
        for (kind, requests) in [("hit", hits(&table, REQUESTS)), ("miss", misses(&table, REQUESTS))] {
            let names: Vec<Host> = requests.iter().map(|request| request.host.parse().unwrap()).collect();
            let views: Vec<Request<'_>> =
                names.iter().zip(&requests).map(|(host, request)| Request::new(Some(host), &request.path)).collect();
            for (request, view) in requests.iter().zip(&views) {
                assert_eq!(router.find(view).map(|found| *found.value()), request.expect);
                assert_eq!(scan.find(&request.host, &request.path), request.expect);
            }
            let mut group = c.benchmark_group(format!("route/{kind}"));
            group.throughput(Throughput::Elements(REQUESTS as u64));
            if kind == "hit" {
                group.bench_with_input(BenchmarkId::new("floor/fingerprints", size), &requests, |b, requests| {
                    b.iter(|| {
                        for request in requests {
                            black_box(floor.find(request));
                        }
                    });
                });
            }
            group.bench_with_input(BenchmarkId::new("reference/map-and-scan", size), &requests, |b, requests| {
                b.iter(|| {
                    for request in requests {
                        black_box(scan.find(&request.host, &request.path));
                    }
                });
            });
            group.bench_with_input(BenchmarkId::new("router", size), &views, |b, views| {
                b.iter(|| {
                    for view in views {
                        black_box(router.find(view));
                    }
                });
            });
            group.finish();
        }
    }
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("route/build");
    for (size, hosts, paths) in ROUTE_SIZES {
        let table = routes(hosts, paths);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::new("reference/map-and-scan", size), &table, |b, table| {
            b.iter(|| MapAndScan::new(table));
        });
        group.bench_with_input(BenchmarkId::new("router", size), &table, |b, table| b.iter(|| router(table)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = look_up, build
}
criterion_main!(benches);
