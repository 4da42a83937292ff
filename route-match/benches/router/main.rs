//! How long does choosing a rule take, next to a floor that compares no text and to a map of hosts with a scan?
//!
//! Each figure is for the whole set of requests; criterion's throughput is requests a second. Before anything is measured,
//! every candidate must give every answer that the workload expects. `examples/route-peers` compares with other crates.

mod expressions;
mod floors;
mod tables;
mod workloads;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use route_match::{
    Authority, Condition, Host, HostPattern, PathNormalisation, PathPattern, Request, RouterBuilder, Rule, ValuePattern,
};

use expressions::{EXPRESSION_SIZES, Expressions, router_of};
use floors::{Fingerprints, MapAndScan};
use tables::{router, rule};
use workloads::{REQUESTS, ROUTE_SIZES, hits, misses, routes};

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
                        black_box(router.find(view).map(|found| *found.value()));
                    }
                });
            });
            group.finish();
        }
    }
}

/// What comes before a look-up: 20 bytes of host, 20 of path.
fn canonical(c: &mut Criterion) {
    let mut group = c.benchmark_group("route/canonical");
    for name in ["svc12.t.example.com.", "Svc12.t.Example.com."] {
        group.bench_with_input(BenchmarkId::new("host", name), name, |b, name| {
            b.iter(|| black_box(name).parse::<Host>().unwrap());
        });
        group.bench_with_input(BenchmarkId::new("authority", name), name, |b, name| {
            b.iter(|| Authority::parse(black_box(name)).unwrap());
        });
    }
    group.bench_function("floor/copy of the name", |b| b.iter(|| Box::<str>::from(black_box("svc12.t.example.com"))));
    for path in ["/api/v1/orders/12345", "/api/./v1/orders/12%"] {
        for mode in [PathNormalisation::Base, PathNormalisation::DecodeAndMergeSlashes] {
            group.bench_with_input(BenchmarkId::new(format!("path/{mode:?}"), path), path, |b, path| {
                b.iter(|| mode.apply(black_box(path)).unwrap());
            });
        }
    }
    group.finish();
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

/// One host of 100 paths among others changes: a router is cloned, the host replaced, the old router dropped.
fn rebuild(c: &mut Criterion) {
    let mut group = c.benchmark_group("route/rebuild");
    for (hosts, paths) in [(1_000, 100), (100_000, 1)] {
        let router = router(&routes(hosts, paths));
        let changed = routes(1, 100);
        for (kind, host) in [("replaced", "svc0.team0.example.com"), ("new", "new.example.com")] {
            let host: HostPattern = host.parse().unwrap();
            group.bench_function(BenchmarkId::new(kind, format!("{hosts} hosts")), |b| {
                b.iter_batched(
                    || (host.clone(), changed.iter().map(rule).collect()),
                    |(host, rules)| {
                        let mut next = router.clone();
                        next.replace_host(host, rules);
                        next
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

/// Many expressions on one host.
fn expressions(c: &mut Criterion) {
    for kind in Expressions::ALL {
        let mut group = c.benchmark_group(format!("route/expressions/{}", kind.name()));
        for size in EXPRESSION_SIZES {
            let (router, paths) = (kind.router(size), kind.paths(size));
            let views: Vec<_> = paths.iter().map(|path| Request::new(None, path)).collect();
            for (k, view) in views.iter().enumerate() {
                assert_eq!(router.find(view).map(|found| *found.value()), Some(kind.winner(k, size)));
            }
            group.throughput(Throughput::Elements(views.len() as u64));
            group.bench_with_input(BenchmarkId::new("router", size), &views, |b, views| {
                b.iter(|| {
                    for view in views {
                        black_box(router.find(view).map(|found| *found.value()));
                    }
                });
            });
        }
        group.finish();
    }
}

/// What 1,000 expressions cost a host before it is in use: compiled, filed when they are, and asked for the first time.
fn expression_tables(c: &mut Criterion) {
    const SIZE: usize = 1_000;
    for kind in Expressions::ALL {
        let mut group = c.benchmark_group(format!("route/expressions/{}", kind.name()));
        group.sample_size(10);
        let expressions: Vec<_> = kind.compiled(SIZE).collect();
        group.bench_function("floor/compiled", |b| b.iter(|| kind.compiled(SIZE).collect::<Vec<_>>()));
        group.bench_function("filed", |b| b.iter(|| router_of(expressions.iter().cloned())));
        let paths = kind.paths(SIZE);
        group.bench_function("first 4096 requests", |b| {
            b.iter_batched_ref(
                || router_of(expressions.iter().cloned()),
                |router| {
                    for path in &paths {
                        black_box(router.find(&Request::new(None, path)).map(|found| *found.value()));
                    }
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

/// Many rules of one path that differ in a header.
fn shared_path(c: &mut Criterion) {
    let mut group = c.benchmark_group("route/shared path");
    for size in [10, 100, 1_000, 10_000] {
        let mut builder = RouterBuilder::new();
        for i in 0..size {
            let user = ValuePattern::exact(&format!("user{i}"));
            let rule = Rule::new((), PathPattern::prefix("/api"), i);
            builder.rule(HostPattern::Any, rule.when(Condition::header("x-user", user)).when(Condition::method("GET")));
        }
        let router = builder.build();
        let users: Vec<String> = (0..1024).map(|k| format!("user{}", k * 7919 % size)).collect();
        let headers: Vec<_> = users.iter().map(|user| [("accept", "*/*"), ("x-user", user)]).collect();
        let views: Vec<_> = headers.iter().map(|headers| Request::new(None, "/api/a").headers(headers)).collect();
        for (k, view) in views.iter().enumerate() {
            assert_eq!(router.find(view).map(|found| *found.value()), Some(k * 7919 % size));
        }
        group.throughput(Throughput::Elements(views.len() as u64));
        group.bench_with_input(BenchmarkId::new("router", size), &views, |b, views| {
            b.iter(|| {
                for view in views {
                    black_box(router.find(view).map(|found| *found.value()));
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = look_up, canonical, build, rebuild, expressions, expression_tables, shared_path
}
criterion_main!(benches);
