//! What a sidecar's view of a mesh costs: a request, a connection, one change, and all of it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use foldhash::fast::FixedState;
use route_match::Host;
use route_match::istio::{Caller, HttpQuestion, MeshTable, Scheme, StreamTarget};
use std::hash::BuildHasher;
use svc_model::api::{MeshConfig, Service, ServicePort, StringMap, VirtualService};
use svc_model::{Cluster, Touched};

const NAMESPACES: usize = 50;

fn service(n: usize) -> Service {
    let mut service = Service::default();
    service.metadata.name = format!("s{n}");
    service.metadata.namespace = format!("team{}", n % NAMESPACES);
    service.spec.cluster_ip = format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
    let port = |port, name: &str| ServicePort { port, name: name.into(), ..Default::default() };
    service.spec.ports = vec![port(80, "http"), port(5432, "tcp")];
    service
}

/// Five rules for a service; `prefix` tells versions of them apart.
fn rules(n: usize, prefix: &str) -> VirtualService {
    let rule = |v: usize| {
        serde_json::json!({"match": [{"uri": {"prefix": format!("/{prefix}/v{v}/")}}],
            "route": [{"destination": {"host": format!("s{n}"), "subset": format!("v{v}")}}]})
    };
    let spec = serde_json::json!({"hosts": [format!("s{n}")], "http": (0..5).map(rule).collect::<Vec<_>>()});
    let mut object = VirtualService { spec: serde_json::from_value(spec).expect("a spec"), ..Default::default() };
    object.metadata.name = format!("s{n}");
    object.metadata.namespace = format!("team{}", n % NAMESPACES);
    object
}

fn mesh(c: &mut Criterion) {
    for services in [100, 1_000, 10_000] {
        let mut group = c.benchmark_group(format!("mesh/{services}"));
        let mut cluster: Cluster = (0..services).map(service).collect();
        cluster.extend((0..services).step_by(10).map(|n| rules(n, "api")));
        let (config, caller) = (MeshConfig::default(), Caller::new("team0", StringMap::new()));
        let compiled = MeshTable::compile(&cluster, &config, &caller);

        let names: Vec<String> =
            (0..1024).map(|n| format!("s{0}.team{1}", n % services, n % services % NAMESPACES)).collect();
        let hosts: Vec<Host> = names.iter().map(|name| name.parse().expect("a name")).collect();
        let mut at = 0;
        let mut next = move || {
            at = (at + 1) % 1024;
            at
        };
        let hash = FixedState::with_seed(0);
        group.bench_function("floor: host and path hashed", |b| {
            b.iter(|| hash.hash_one((black_box(&names[next()]), "/api/v3/items")));
        });
        group.bench_function("request", |b| {
            b.iter(|| {
                let question = HttpQuestion::new(Scheme::Http, &names[next()], "/api/v3/items");
                black_box(compiled.decide(&question)).origin().is_some()
            });
        });
        group.bench_function("connection by name", |b| {
            b.iter(|| compiled.decide_tcp(5432, StreamTarget::Name(black_box(&hosts[next()]))).rule.is_some());
        });
        // To and fro between the cluster as it was and as it is then.
        let mut changed = cluster.clone();
        let touched: Touched = changed.apply(rules(0, "new")).touched;
        let mut table = compiled.clone();
        let mut turn = false;
        group.bench_function("one VirtualService changes", |b| {
            b.iter(|| {
                turn = !turn;
                table.update(black_box(if turn { &changed } else { &cluster }), &touched);
            });
        });
        group.sample_size(10);
        group.bench_function("compile", |b| {
            b.iter(|| MeshTable::compile(black_box(&cluster), &config, &caller));
        });
        group.finish();
    }
}

criterion_group!(benches, mesh);
criterion_main!(benches);
