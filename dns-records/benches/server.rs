//! What do the plugins before a zone cost? 10 000 Services, the zone alone as the floor.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use dns_records::kubernetes::Server;
use dns_records::{Name, NoUpstream, Question, RecordRef, RecordType, Section};
use svc_model::Cluster;
use svc_model::api::{ConfigMap, Pod, Service};

const SERVICES: usize = 10_000;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 9));

/// 100 Services a namespace, one Pod, and these plugins before `kubernetes`.
fn server(plugins: &str) -> Server {
    let mut cluster = Cluster::new();
    for i in 0..SERVICES {
        let mut service = Service::default();
        (service.metadata.name, service.metadata.namespace) = (format!("svc{i}"), format!("ns{}", i / 100));
        service.spec.cluster_ips.push(Ipv4Addr::from(0xac1e_000a + i as u32).to_string());
        cluster.apply(service);
    }
    let mut pod = Pod::default();
    (pod.metadata.name, pod.metadata.namespace) = ("p".into(), "ns12".into());
    pod.status.pod_ip = CLIENT.to_string();
    cluster.apply(pod);
    let mut config = ConfigMap::default();
    (config.metadata.name, config.metadata.namespace) = ("coredns".into(), "kube-system".into());
    let corefile = format!(".:53 {{\n{plugins}\n kubernetes cluster.local in-addr.arpa {{\n  pods verified\n }}\n}}\n");
    config.data.insert("Corefile".into(), corefile);
    cluster.apply(config);
    Server::of(&cluster)
}

fn bench(c: &mut Criterion) {
    let exact: String = (0..10).map(|i| format!(" rewrite name a{i}.example svc{i}.ns0.svc.cluster.local\n")).collect();
    let regex = " rewrite name regex ^(.*)\\.old\\.example\\.$ {1}.svc.cluster.local answer auto";
    let hosts: String = (0..1000).map(|i| format!("  192.0.2.{} host{i}.example\n", i % 250)).collect();
    let hosts = format!(" hosts {{\n{hosts}  fallthrough\n }}\n");
    let mut group = c.benchmark_group("server");
    let hit = "svc1234.ns12.svc.cluster.local";
    for (what, plugins, name) in [
        ("no plugin", "", hit),
        ("ten exact rules, none takes it", exact.as_str(), hit),
        ("an exact rule", exact.as_str(), "a9.example"),
        ("a regular expression that does not take it", regex, hit),
        ("a regular expression", regex, "svc1234.ns12.old.example"),
        ("1,000 hosts, none has it", hosts.as_str(), hit),
        ("1,000 hosts", hosts.as_str(), "host500.example"),
        ("autopath, nothing to do", " autopath @kubernetes", hit),
        ("autopath, the second path", " autopath @kubernetes", "svc99.ns0.ns12.svc.cluster.local"),
    ] {
        let (server, name): (Server, Name) = (server(plugins), name.parse().unwrap());
        let mut records = 0u32;
        let mut sink = |_: Section, record: &RecordRef<'_>| {
            black_box(record);
            records += 1;
        };
        if what == "no plugin" {
            group.bench_function("floor: the zone alone", |b| {
                b.iter(|| {
                    let question = Question::new(black_box(&name), RecordType::A);
                    server.zone().answer_into(question, &mut NoUpstream, &mut sink).rcode
                });
            });
        }
        group.bench_function(what, |b| {
            b.iter(|| {
                let question = Question::new(black_box(&name), RecordType::A);
                server.answer_into(question, Some(CLIENT), &mut NoUpstream, &mut sink).rcode
            });
        });
        assert!(records > 0, "{what}");
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
