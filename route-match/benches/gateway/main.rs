//! What a Gateway's routes cost: a request, and following a cluster when one route, one EndpointSlice or the Gateway changes.
//!
//! Floor of requests: host and path hashed, nothing compared.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use foldhash::fast::FixedState;
use route_match::gateway::{Decision, GatewayTable, HttpQuestion, Outcome, Scheme};
use serde_json::json;
use svc_model::api::{EndpointSlice, Gateway, HttpRoute, Service};
use svc_model::{Cluster, NamespacedName, Touched};

/// How many HTTPRoutes there are, or matches of one.
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Matches of a rule, the most that the API admits.
const MATCHES: usize = 64;
/// How many requests are asked.
const REQUESTS: usize = 4096;

/// A listener for any host; `port` tells versions of it apart.
fn gateway(port: u16) -> Gateway {
    let listener = json!({"name": "http", "port": port, "protocol": "HTTP"});
    let spec = json!({"gatewayClassName": "any", "listeners": [listener]});
    let mut gateway = Gateway { spec: serde_json::from_value(spec).expect("a spec"), ..Gateway::default() };
    gateway.metadata.name = "edge".into();
    gateway
}

/// The route of one host: ten prefixes, which lead to the Service of its number; `prefix` tells versions of it apart.
fn route(n: usize, prefix: &str) -> HttpRoute {
    let rule = |v: usize| {
        json!({"matches": [{"path": {"type": "PathPrefix", "value": format!("/{prefix}/v{v}")}}],
            "backendRefs": [{"name": format!("s{n}"), "port": 80}]})
    };
    let rules: Vec<_> = (0..10).map(rule).collect();
    let spec = json!({"parentRefs": [{"name": "edge"}], "hostnames": [host(n)], "rules": rules});
    let mut route = HttpRoute { spec: serde_json::from_value(spec).expect("a spec"), ..HttpRoute::default() };
    route.metadata.name = format!("r{n}");
    route
}

fn host(n: usize) -> String {
    format!("h{n}.team{}.example.com", n % 50)
}

fn service(n: usize) -> Service {
    let spec = json!({"ports": [{"port": 80}]});
    let mut service = Service { spec: serde_json::from_value(spec).expect("a spec"), ..Service::default() };
    service.metadata.name = format!("s{n}");
    service
}

/// The endpoints of a Service; as many as are ready.
fn slice(n: usize, ready: usize) -> EndpointSlice {
    let endpoints: Vec<_> = (0..3)
        .map(|e| json!({"addresses": [format!("10.{}.{}.{e}", n >> 8, n & 255)], "conditions": {"ready": e < ready}}))
        .collect();
    let slice = json!({
        "metadata": {"name": format!("s{n}"), "labels": {"kubernetes.io/service-name": format!("s{n}")}},
        "addressType": "IPv4", "ports": [{"name": "", "port": 80}], "endpoints": endpoints,
    });
    serde_json::from_value(slice).expect("a slice")
}

fn cluster(routes: usize) -> Cluster {
    let mut cluster: Cluster = (0..routes).map(|n| route(n, "api")).collect();
    cluster.extend((0..routes).map(service));
    cluster.extend((0..routes).map(|n| slice(n, 3)));
    cluster.apply(gateway(80));
    cluster
}

fn edge() -> NamespacedName {
    NamespacedName::new("default", "edge")
}

fn compile(cluster: &Cluster) -> GatewayTable {
    GatewayTable::compile(cluster, &edge()).expect("the Gateway is there")
}

/// Requests to hosts and paths, of which each has an answer.
fn requests(
    c: &mut Criterion,
    name: &str,
    size: usize,
    table: &GatewayTable,
    requests: &[(String, String)],
    hit: bool,
) {
    let decide = |host: &str, path: &str| {
        let decision: Decision<'_> = table.decide(&HttpQuestion::new(Scheme::Http, host, path), None);
        matches!(decision.outcome, Outcome::Forward { .. })
    };
    for (host, path) in requests {
        assert_eq!(decide(host, path), hit, "{host}{path}");
    }
    let mut group = c.benchmark_group(format!("gateway/{name}"));
    group.throughput(Throughput::Elements(requests.len() as u64));
    let hash = FixedState::with_seed(0);
    group.bench_function(BenchmarkId::new("floor/host and path hashed", size), |b| {
        b.iter(|| {
            for (host, path) in requests {
                let mut hasher = hash.build_hasher();
                hasher.write(black_box(host).as_bytes());
                hasher.write(path.as_bytes());
                black_box(hasher.finish());
            }
        });
    });
    group.bench_function(BenchmarkId::new("decide", size), |b| {
        b.iter(|| {
            for (host, path) in requests {
                black_box(decide(black_box(host), path));
            }
        });
    });
    group.finish();
}

/// A host a route.
fn many_routes(c: &mut Criterion) {
    for size in SIZES {
        let table = compile(&cluster(size));
        let spread = |k: usize| k.wrapping_mul(2_654_435_761) % size;
        let hits: Vec<_> = (0..REQUESTS).map(|k| (host(spread(k)), format!("/api/v{}/items/{k}", k % 10))).collect();
        requests(c, "hit", size, &table, &hits, true);
        let misses: Vec<_> = (0..REQUESTS)
            .map(|k| match k % 2 {
                0 => (format!("no{}.example.com", spread(k)), format!("/api/v{}/items", k % 10)),
                _ => (host(spread(k)), format!("/apis/v{}", k % 10)),
            })
            .collect();
        requests(c, "miss", size, &table, &misses, false);
    }
}

/// One host whose routes have so many matches, which ask for a prefix, a method and a header.
fn many_matches(c: &mut Criterion) {
    for size in SIZES {
        let found = |i: usize| {
            json!({"path": {"type": "PathPrefix", "value": format!("/team{}/svc{i}", i % 7)}, "method": "GET",
                "headers": [{"name": "x-version", "value": "1"}]})
        };
        let rule = |from: usize| {
            let matches: Vec<_> = (from..size.min(from + MATCHES)).map(found).collect();
            json!({"matches": matches, "backendRefs": [{"name": "s0", "port": 80}]})
        };
        // A route has at most 16 rules.
        let rules: Vec<_> = (0..size).step_by(MATCHES).map(rule).collect();
        let mut cluster = cluster(1);
        for (n, rules) in rules.chunks(16).enumerate() {
            let spec = json!({"parentRefs": [{"name": "edge"}], "hostnames": ["shop.example"], "rules": rules});
            let mut route = HttpRoute { spec: serde_json::from_value(spec).expect("a spec"), ..HttpRoute::default() };
            route.metadata.name = format!("shop{n}");
            cluster.apply(route);
        }
        let table = compile(&cluster);
        let headers = [("x-version", "1")];
        let paths: Vec<_> = (0..REQUESTS)
            .map(|k| k.wrapping_mul(2_654_435_761) % size)
            .map(|i| format!("/team{}/svc{i}/items", i % 7))
            .collect();
        let decide = |path: &str| {
            let question = HttpQuestion::new(Scheme::Http, "shop.example", path).headers(&headers);
            matches!(table.decide(&question, None).outcome, Outcome::Forward { .. })
        };
        assert!(paths.iter().all(|path| decide(path)));
        let mut group = c.benchmark_group("gateway/matches of one host");
        group.throughput(Throughput::Elements(paths.len() as u64));
        group.bench_function(BenchmarkId::new("decide", size), |b| {
            b.iter(|| {
                for path in &paths {
                    black_box(decide(black_box(path)));
                }
            });
        });
        group.finish();
    }
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("gateway/updates");
    group.sample_size(10);
    for size in SIZES {
        let cluster = cluster(size);
        let compiled = compile(&cluster);
        let mut follow = |name: &str, apply: &dyn Fn(&mut Cluster) -> Touched| {
            // To and fro between the cluster as it was and as it is then.
            let mut changed = cluster.clone();
            let touched = apply(&mut changed);
            let mut table = compiled.clone();
            let mut turn = false;
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    turn = !turn;
                    table.update(black_box(if turn { &changed } else { &cluster }), &touched)
                });
            });
        };
        follow("one HTTPRoute changes", &|cluster| cluster.apply(route(7, "new")).touched);
        follow("one EndpointSlice changes", &|cluster| cluster.apply(slice(7, 1)).touched);
        // Its listeners are what they were, so nothing is compiled anew.
        follow("a label of the Gateway changes", &|cluster| {
            let mut labelled = gateway(80);
            labelled.metadata.labels.insert("owner".into(), "edge-team".into());
            cluster.apply(labelled).touched
        });
        follow("the Gateway's port changes", &|cluster| cluster.apply(gateway(8080)).touched);
        group.bench_function(BenchmarkId::new("compile", size), |b| b.iter(|| compile(black_box(&cluster))));
    }
    group.finish();
}

criterion_group!(benches, many_routes, many_matches, updates);
criterion_main!(benches);
