//! What does a decision cost, and what does it take to build the table? Next to the floors of the same run.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use svc_model::api::{EndpointSlice, Service, ServicePort, SliceEndpoint, SlicePort};
use svc_model::{Cluster, NodeSettings, NodeView, Object, Packet, Protocol};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const ENDPOINTS: u32 = 2;

fn cluster_ip(i: usize) -> Ipv4Addr {
    Ipv4Addr::from(0xac1e_000a + i as u32)
}

/// `n` Services of one port, each with a slice of two endpoints, a hundred to a namespace.
fn objects(n: usize) -> Vec<Object> {
    (0..n)
        .flat_map(|i| {
            let mut service = Service::default();
            service.metadata.namespace = format!("ns{}", i / 100);
            service.metadata.name = format!("svc{i}");
            service.spec.cluster_ip = cluster_ip(i).to_string();
            service.spec.ports = vec![ServicePort { name: "http".into(), port: 80, ..Default::default() }];
            let mut slice = EndpointSlice::default();
            slice.metadata.namespace = service.metadata.namespace.clone();
            slice.metadata.name = format!("svc{i}-x");
            slice.metadata.labels.insert("kubernetes.io/service-name".into(), service.metadata.name.clone());
            slice.address_type = "IPv4".into();
            slice.ports = vec![SlicePort { name: Some("http".into()), port: Some(8080), ..Default::default() }];
            slice.endpoints = (0..ENDPOINTS)
                .map(|e| {
                    let addr = Ipv4Addr::from(0x0a80_0001 + i as u32 * ENDPOINTS + e).to_string();
                    SliceEndpoint { addresses: vec![addr], node_name: Some("n1".into()), ..Default::default() }
                })
                .collect();
            [Object::from(service), Object::from(slice)]
        })
        .collect()
}

fn view(cluster: &Cluster) -> NodeView {
    NodeView::new(cluster, NodeSettings::of(cluster, Some("n1")).expect("a node is named"))
}

/// Packets to every seventh Service, in an order that caches do not guess.
fn packets(n: usize, port: u16) -> Vec<Packet> {
    let src = IpAddr::from([10, 1, 2, 3]);
    let place = |k: usize| (k * 7919) % n;
    let packet = |k| Packet::new(src, SocketAddr::new(cluster_ip(place(k)).into(), port), Protocol::Tcp);
    (0..16_384).map(packet).collect()
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(16_384));
    for n in SIZES {
        let cluster: Cluster = objects(n).into_iter().collect();
        let view = view(&cluster);
        let floor: HashMap<(IpAddr, Protocol, u16), usize> =
            (0..n).map(|i| ((cluster_ip(i).into(), Protocol::Tcp, 80), i)).collect();
        for (name, port) in [("hit", 80), ("miss", 81)] {
            let packets = packets(n, port);
            group.bench_with_input(
                BenchmarkId::new(format!("{name}, floor: one keyed look-up"), n),
                &packets,
                |b, packets| {
                    let find = |packet: &Packet| {
                        packet.port.and_then(|(protocol, port)| floor.get(&(packet.dst, protocol, port)))
                    };
                    b.iter(|| packets.iter().filter(|packet| find(black_box(packet)).is_some()).count());
                },
            );
            group.bench_with_input(BenchmarkId::new(name, n), &packets, |b, packets| {
                b.iter(|| {
                    packets
                        .iter()
                        .map(|packet| view.decide(black_box(packet)).endpoints.backends().len())
                        .sum::<usize>()
                });
            });
        }
    }
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10);
    for n in &SIZES[..2] {
        let objects = objects(*n);
        group.bench_with_input(BenchmarkId::new("floor: clone the objects", n), &objects, |b, objects| {
            b.iter(|| objects.clone())
        });
        group.bench_with_input(BenchmarkId::new("cluster", n), &objects, |b, objects| {
            b.iter(|| objects.iter().cloned().collect::<Cluster>());
        });
        let cluster: Cluster = objects.iter().cloned().collect();
        group.bench_with_input(BenchmarkId::new("view", n), &cluster, |b, cluster| b.iter(|| view(cluster)));
    }
    group.finish();
}

criterion_group!(benches, decide, build);
criterion_main!(benches);
