//! What does a question cost at 10 000 Services, beside the look-up that no answer can do without?

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, criterion_group, criterion_main};
use dns_records::kubernetes::Zone;
use dns_records::{Name, NoUpstream, Question, RecordRef, RecordType, Section};
use foldhash::fast::FixedState;
use svc_model::Cluster;
use svc_model::api::{EndpointSlice, SERVICE_NAME_LABEL, Service, ServicePort, SliceEndpoint, SlicePort};

const SERVICES: usize = 10_000;

/// 100 Services a namespace, every tenth headless with 100 endpoints.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    for i in 0..SERVICES {
        let mut service = Service::default();
        service.metadata.name = format!("svc{i}");
        service.metadata.namespace = format!("ns{}", i / 100);
        service.spec.ports.push(ServicePort { name: "http".into(), port: 80, ..Default::default() });
        if i % 10 == 0 {
            service.spec.cluster_ips.push("None".into());
            let mut slice = EndpointSlice { address_type: "IPv4".into(), ..Default::default() };
            slice.metadata.name.clone_from(&service.metadata.name);
            slice.metadata.namespace.clone_from(&service.metadata.namespace);
            slice.metadata.labels.insert(SERVICE_NAME_LABEL.into(), service.metadata.name.clone());
            slice.ports.push(SlicePort { name: Some("http".into()), port: Some(8080), ..Default::default() });
            slice.endpoints = (0..100u32)
                .map(|j| SliceEndpoint {
                    addresses: vec![Ipv4Addr::from(0x0a80_0000 + i as u32 * 100 + j).to_string()],
                    ..Default::default()
                })
                .collect();
            cluster.apply(slice);
        } else {
            service.spec.cluster_ips.push(Ipv4Addr::from(0xac1e_000a + i as u32).to_string());
        }
        cluster.apply(service);
    }
    cluster
}

fn bench(c: &mut Criterion) {
    let cluster = cluster();
    let zone = Zone::of(&cluster);
    let mut group = c.benchmark_group("zone");

    let wire: HashMap<Vec<u8>, Ipv4Addr, FixedState> = (0..SERVICES)
        .map(|i| {
            let name: Name = format!("svc{i}.ns{}.svc.cluster.local", i / 100).parse().unwrap();
            (name.as_ref().as_wire().to_vec(), Ipv4Addr::from(i as u32))
        })
        .collect();
    let hit: Name = "svc1234.ns12.svc.cluster.local".parse().unwrap();
    group.bench_function("floor: hash map from the whole name", |b| {
        b.iter(|| black_box(wire.get(black_box(hit.as_ref().as_wire()))));
    });

    for (what, name, record_type) in [
        ("A hit", "svc1234.ns12.svc.cluster.local", RecordType::A),
        ("AAAA no data", "svc1234.ns12.svc.cluster.local", RecordType::AAAA),
        ("NXDOMAIN Service", "svc1234.ns13.svc.cluster.local", RecordType::A),
        ("NXDOMAIN search list", "www.example.com.ns12.svc.cluster.local", RecordType::A),
        ("SRV hit", "_http._tcp.svc1234.ns12.svc.cluster.local", RecordType::SRV),
        ("A headless, 100 endpoints", "svc1230.ns12.svc.cluster.local", RecordType::A),
        ("SRV headless, 100 endpoints", "_http._tcp.svc1230.ns12.svc.cluster.local", RecordType::SRV),
        ("PTR hit", "220.4.30.172.in-addr.arpa", RecordType::PTR),
        ("not ours", "www.example.com", RecordType::A),
    ] {
        let name: Name = name.parse().unwrap();
        group.bench_function(what, |b| {
            b.iter(|| {
                let mut records = 0u32;
                let mut sink = |_: Section, record: &RecordRef<'_>| {
                    black_box(record);
                    records += 1;
                };
                let question = Question::new(black_box(&name), record_type);
                (zone.answer_into(question, &mut NoUpstream, &mut sink).rcode, records)
            });
        });
    }
    group.sample_size(10);
    group.bench_function("build", |b| b.iter(|| Zone::of(black_box(&cluster))));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
