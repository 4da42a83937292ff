//! A VirtualService with many matches on one host, and what following a cluster costs a gateway.
//!
//! Floor: the host is read and the pattern that matches is asked alone, known beforehand. Scan: patterns are asked one after the
//! other until one matches, which is what Envoy does.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use route_match::istio::{HttpQuestion, HttpRule, IstioGatewayTable, Scheme};
use route_match::{Authority, HostPattern, Match};
use svc_model::api::{
    IstioDestination, IstioGateway, IstioHttpDestination, IstioHttpMatch, IstioHttpRoute, IstioPort, IstioServer,
    IstioStringMatch, VirtualService,
};
use svc_model::{Cluster, NamespacedName, Touched};

const HOST: &str = "shop.example";
/// How many paths are asked.
const PATHS: usize = 4096;

fn gateway() -> IstioGateway {
    let mut gateway = IstioGateway::default();
    gateway.metadata.name = "edge".into();
    let port = IstioPort { number: 80, protocol: "HTTP".into(), name: "http".into(), ..IstioPort::default() };
    gateway.spec.servers = vec![IstioServer { port: Some(port), hosts: vec!["*".into()], ..IstioServer::default() }];
    gateway
}

fn virtual_service(name: &str, host: &str, http: Vec<IstioHttpRoute>) -> VirtualService {
    let mut object = VirtualService::default();
    object.metadata.name = name.into();
    object.spec.hosts = vec![host.into()];
    object.spec.gateways = vec!["edge".into()];
    object.spec.http = http;
    object
}

/// A rule of one match; where it leads tells which it is.
fn rule(uri: IstioStringMatch, i: usize) -> IstioHttpRoute {
    let destination = IstioDestination { host: format!("s{i}"), ..IstioDestination::default() };
    IstioHttpRoute {
        match_: vec![IstioHttpMatch { uri: Some(uri), ..IstioHttpMatch::default() }],
        route: vec![IstioHttpDestination { destination: Some(destination), ..IstioHttpDestination::default() }],
        ..IstioHttpRoute::default()
    }
}

fn prefix(text: String) -> IstioStringMatch {
    IstioStringMatch { prefix: Some(text), ..IstioStringMatch::default() }
}

fn regex(text: String) -> IstioStringMatch {
    IstioStringMatch { regex: Some(text), ..IstioStringMatch::default() }
}

/// What the matches of a host are.
#[derive(Clone, Copy)]
enum Matches {
    Prefixes,
    Expressions,
}

impl Matches {
    fn name(self) -> &'static str {
        match self {
            Self::Prefixes => "prefix-heavy",
            Self::Expressions => "regex-heavy",
        }
    }

    fn uri(self, i: usize) -> IstioStringMatch {
        match self {
            Self::Prefixes => prefix(format!("/team{}/svc{i}/", i % 7)),
            Self::Expressions => regex(format!("/team[0-9]+/svc{i}/[a-z]+")),
        }
    }

    /// Paths, and the match that takes each.
    fn paths(self, n: usize) -> Vec<(String, usize)> {
        let path = |k: usize| {
            let i = k.wrapping_mul(2_654_435_761) % n;
            (format!("/team{}/svc{i}/items", i % 7), i)
        };
        (0..PATHS).map(path).collect()
    }
}

fn edge() -> NamespacedName {
    NamespacedName::new("default", "edge")
}

fn requests(c: &mut Criterion) {
    for matches in [Matches::Prefixes, Matches::Expressions] {
        let mut group = c.benchmark_group(format!("istio/{}", matches.name()));
        group.throughput(Throughput::Elements(PATHS as u64));
        for n in [10, 100, 1_000, 10_000] {
            let rules = (0..n).map(|i| rule(matches.uri(i), i)).collect();
            let mut cluster = Cluster::new();
            cluster.apply(gateway());
            cluster.apply(virtual_service("v", HOST, rules));
            let table = IstioGatewayTable::compile(&cluster, &edge()).expect("the Gateway is there");
            let hosts = table.virtual_hosts(0).expect("a server that speaks HTTP");
            let domain: HostPattern = HOST.parse().expect("a host");
            let rules: Vec<Match<'_, Arc<HttpRule>>> = hosts.rules(&domain).collect();
            let paths = matches.paths(n);
            for (path, i) in &paths {
                let decision = table.decide(&HttpQuestion::new(Scheme::Http, HOST, path), None);
                let origin = decision.rule.and_then(|rule| rule.origin.virtual_service());
                assert_eq!(origin.map(|(_, rule)| rule), Some(*i), "{path}");
            }
            group.bench_function(BenchmarkId::new("limit-known-match", n), |b| {
                b.iter(|| {
                    for (path, i) in &paths {
                        let host = Authority::parse(black_box(HOST));
                        black_box((host.is_ok(), rules[*i].path().matches(path.as_bytes())));
                    }
                });
            });
            group.bench_function(BenchmarkId::new("decide", n), |b| {
                b.iter(|| {
                    for (path, _) in &paths {
                        black_box(table.decide(&HttpQuestion::new(Scheme::Http, black_box(HOST), path), None));
                    }
                });
            });
            if n > 1_000 {
                continue;
            }
            group.bench_function(BenchmarkId::new("scan", n), |b| {
                b.iter(|| {
                    for (path, _) in &paths {
                        let host = Authority::parse(black_box(HOST));
                        let found = rules.iter().position(|rule| rule.path().matches(path.as_bytes()));
                        black_box((host.is_ok(), found));
                    }
                });
            });
        }
        group.finish();
    }
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("istio/updates");
    group.sample_size(10);
    for n in [100, 1_000, 10_000] {
        let object = |i: usize, path: &str| {
            let rules = (0..10).map(|k| rule(prefix(format!("/{path}{k}")), k)).collect();
            virtual_service(&format!("v{i}"), &format!("h{i}.example"), rules)
        };
        let mut cluster: Cluster = (0..n).map(|i| object(i, "a")).collect();
        cluster.apply(gateway());
        let compiled = IstioGatewayTable::compile(&cluster, &edge()).expect("the Gateway is there");
        // To and fro between the cluster as it was and as it is then.
        let mut changed = cluster.clone();
        let touched: Touched = changed.apply(object(7, "b")).touched;
        let mut table = compiled.clone();
        let mut turn = false;
        group.bench_function(BenchmarkId::new("one VirtualService changes", n), |b| {
            b.iter(|| {
                turn = !turn;
                table.update(black_box(if turn { &changed } else { &cluster }), &touched)
            });
        });
        group.bench_function(BenchmarkId::new("compile", n), |b| {
            b.iter(|| IstioGatewayTable::compile(black_box(&cluster), &edge()));
        });
    }
    group.finish();
}

criterion_group!(benches, requests, updates);
criterion_main!(benches);
