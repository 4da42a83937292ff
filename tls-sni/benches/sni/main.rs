//! How long do reading a name and choosing a certificate take, next to the least that any program must do?
//!
//! `floor/...` does less than the job needs: one look-up of the very key that wins; a copy of the hello; a walk over
//! its lengths that validates nothing.
#![allow(missing_docs)]

mod walk;
#[allow(unreachable_pub, missing_docs, clippy::should_implement_trait)]
mod workloads;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::HashMap;
use std::hint::black_box;
use tls_sni::{CertStore, CertificateFacts, NameMap, Query, ServerName, Sni, peek};
use walk::walk;
use workloads::{Hello, REQUESTS, client_hello, sni_names, sni_queries};

const KINDS: [&str; 3] = ["exact", "wildcard", "miss"];

fn look_ups(c: &mut Criterion) {
    for n in [1_000, 100_000] {
        let names = sni_names(n);
        let map = NameMap::new(1, names.iter().zip(0u32..).map(|(name, i)| (name.parse().unwrap(), i)));
        let mut builder = CertStore::builder();
        for (i, name) in names.iter().enumerate() {
            builder.add(CertificateFacts::for_names([name.as_str()]), i as u32);
        }
        let store = builder.build();
        let key = |name: &str| name.strip_prefix('*').unwrap_or(name).to_owned().into_bytes();
        let floor: HashMap<Vec<u8>, u32, foldhash::fast::FixedState> =
            names.iter().zip(0u32..).map(|(name, i)| (key(name), i)).collect();
        for (kind, label) in KINDS.iter().enumerate() {
            let queries = sni_queries(&names, REQUESTS, kind as u8);
            let canonical: Vec<ServerName> = queries.iter().map(|(name, _)| name.parse().unwrap()).collect();
            let snis: Vec<Sni> = canonical.iter().cloned().map(Sni::Name).collect();
            for ((_, expected), (name, sni)) in queries.iter().zip(canonical.iter().zip(&snis)) {
                assert_eq!(map.get(name).map(|(_, i)| *i), *expected);
                assert_eq!(store.choose(&Query::new(sni), 0).outcome.ok().map(|c| *c.certificate()), *expected);
            }
            let mut group = c.benchmark_group(format!("look-up/{label}"));
            group.throughput(Throughput::Elements(REQUESTS as u64));
            group.bench_with_input(BenchmarkId::new("floor/one-hash-look-up", n), &canonical, |b, names| {
                b.iter(|| {
                    for name in names {
                        black_box(floor.get(winning_key(name, kind)));
                    }
                });
            });
            group.bench_with_input(BenchmarkId::new("name-map", n), &canonical, |b, names| {
                b.iter(|| {
                    for name in names {
                        black_box(map.get(name));
                    }
                });
            });
            group.bench_with_input(BenchmarkId::new("cert-store", n), &snis, |b, snis| {
                b.iter(|| {
                    for sni in snis {
                        black_box(store.choose(&Query::new(sni), 0).outcome.ok());
                    }
                });
            });
            group.finish();
        }
    }
}

/// The name itself, or what follows its first label, dot included.
fn winning_key(name: &ServerName, kind: usize) -> &[u8] {
    let bytes = name.as_bytes();
    let start = if kind == 1 { bytes.iter().position(|byte| *byte == b'.').unwrap_or(0) } else { 0 };
    &bytes[start..]
}

fn canonical_names(c: &mut Criterion) {
    let names: Vec<String> = sni_queries(&sni_names(1_000), REQUESTS, 0).into_iter().map(|(name, _)| name).collect();
    let mut group = c.benchmark_group("canonical-name");
    group.throughput(Throughput::Elements(REQUESTS as u64));
    group.bench_function("server-name", |b| {
        b.iter(|| {
            for name in &names {
                black_box(ServerName::from_bytes(name.as_bytes()).is_ok());
            }
        });
    });
    group.finish();
}

fn build(c: &mut Criterion) {
    let names = sni_names(100_000);
    c.bench_function("build/cert-store/100000", |b| {
        b.iter(|| {
            let mut builder = CertStore::builder();
            for (i, name) in names.iter().enumerate() {
                builder.add(CertificateFacts::for_names([name.as_str()]), i);
            }
            black_box(builder.build().len())
        });
    });
}

fn hellos(c: &mut Criterion) {
    for (label, shape) in [("small", Hello::Small), ("browser", Hello::Browser)] {
        let hello = client_hello("h123.z26.example.com", shape);
        assert_eq!(peek(&hello).unwrap().server_name_bytes(), walk(&hello));
        let mut group = c.benchmark_group(format!("hello/{label}"));
        let mut copy = vec![0; hello.len()];
        group.bench_function("floor/memcpy", |b| {
            b.iter(|| {
                copy.copy_from_slice(black_box(&hello));
                black_box(&copy);
            });
        });
        group.bench_function("floor/walk-lengths", |b| b.iter(|| black_box(walk(black_box(&hello)))));
        group.bench_function("peek", |b| {
            b.iter(|| black_box(peek(black_box(&hello)).map(|hello| hello.server_name_bytes().map(<[u8]>::len))));
        });
        group.bench_function("peek-and-name", |b| {
            b.iter(|| black_box(peek(black_box(&hello)).map(|hello| hello.sni().name().is_some())));
        });
        group.finish();
    }
}

criterion_group!(benches, hellos, canonical_names, look_ups, build);
criterion_main!(benches);
