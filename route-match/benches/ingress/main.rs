//! What following a cluster costs an ingress controller: 100,000 routes, and one host that changes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use route_match::ingress::IngressController;
use svc_model::api::{
    HttpIngressPath, HttpIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, Service,
};
use svc_model::{Cluster, Touched};

const HOSTS: usize = 1000;
const PATHS: usize = 100;

/// The Ingress of one host, whose paths lead to the Services of its number; `prefix` tells versions of it apart.
fn ingress(host: usize, prefix: &str) -> Ingress {
    let path = |n: usize| {
        let mut service = IngressServiceBackend { name: format!("s{}", (host + n) % HOSTS), ..Default::default() };
        service.port.number = 80;
        HttpIngressPath {
            path: format!("/{prefix}/v{n}/items"),
            path_type: Some("Prefix".to_owned()),
            backend: IngressBackend { service: Some(service), ..Default::default() },
        }
    };
    let mut ingress = Ingress::default();
    ingress.metadata.name = format!("h{host}");
    let paths = (0..PATHS).map(path).collect();
    ingress.spec.rules.push(IngressRule {
        host: format!("h{host}.team{}.example.com", host % 50),
        http: Some(HttpIngressRuleValue { paths }),
    });
    ingress
}

fn service(n: usize) -> Service {
    let mut service = Service::default();
    service.metadata.name = format!("s{n}");
    service.spec.type_ = "ExternalName".to_owned();
    service.spec.external_name = format!("s{n}.example");
    service
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingress/100000");
    let mut cluster: Cluster = (0..HOSTS).map(|n| ingress(n, "api")).collect();
    cluster.extend((0..HOSTS).map(service));
    let compiled = IngressController::compile(&cluster, "nginx").expect("no class is known, so any is");
    for (name, change) in [("one host changes", ingress(7, "new")), ("a host comes or goes", ingress(HOSTS, "api"))] {
        // To and fro between the cluster as it was and as it is then.
        let mut changed = cluster.clone();
        let touched: Touched = changed.apply(change).touched;
        let mut controller = compiled.clone();
        let mut turn = false;
        group.bench_function(name, |b| {
            b.iter(|| {
                turn = !turn;
                controller.update(black_box(if turn { &changed } else { &cluster }), &touched)
            });
        });
    }
    group.sample_size(10);
    group.bench_function("compile", |b| {
        b.iter(|| IngressController::compile(black_box(&cluster), "nginx"));
    });
    group.finish();
}

criterion_group!(benches, updates);
criterion_main!(benches);
