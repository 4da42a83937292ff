//! What does a question cost, and what does it cost to follow a cluster? Each beside floors of the same run.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dns_records::kubernetes::Zone;
use dns_records::{Name, NameRef, NoUpstream, Question, RecordRef, RecordType, Section};
use foldhash::fast::FixedState;
use svc_model::api::{EndpointSlice, SERVICE_NAME_LABEL, Service, ServicePort, SliceEndpoint, SlicePort};
use svc_model::{Cluster, Object};

const SERVICES: usize = 10_000;
/// How many questions are drawn: more than fit the first-level cache.
const QUESTIONS: usize = 4096;

/// SplitMix64, so that every machine asks the same.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) as u128 * n as u128) >> 64) as usize
    }
}

/// Service `i`: 100 a namespace, with a cluster IP or headless, one named port.
fn service(i: usize, headless: bool) -> Service {
    let mut service = Service::default();
    service.metadata.name = format!("svc{i}");
    service.metadata.namespace = format!("ns{}", i / 100);
    service.spec.ports.push(ServicePort { name: "http".into(), port: 80, ..Default::default() });
    let cluster_ip = Ipv4Addr::from(0xac1e_000a + i as u32).to_string();
    service.spec.cluster_ips.push(if headless { "None".into() } else { cluster_ip });
    service
}

/// The slice of Service `i`, with addresses from `first` on.
fn slice(i: usize, first: u32, count: usize) -> EndpointSlice {
    let mut slice = EndpointSlice { address_type: "IPv4".into(), ..Default::default() };
    slice.metadata.name = format!("svc{i}-x7k2p");
    slice.metadata.namespace = format!("ns{}", i / 100);
    slice.metadata.labels.insert(SERVICE_NAME_LABEL.into(), format!("svc{i}"));
    slice.ports.push(SlicePort { name: Some("http".into()), port: Some(8080), ..Default::default() });
    let addresses = (first..).take(count).map(|addr| vec![Ipv4Addr::from(addr).to_string()]);
    slice.endpoints = addresses.map(|addresses| SliceEndpoint { addresses, ..Default::default() }).collect();
    slice
}

/// `n` Services; every tenth headless with 100 endpoints, if asked for.
fn cluster(n: usize, with_headless: bool) -> Cluster {
    let objects = (0..n).flat_map(|i| {
        let headless = with_headless && i % 10 == 0;
        let slice = headless.then(|| slice(i, 0x0a80_0000 + 10 * i as u32, 100));
        [Some(Object::from(service(i, headless))), slice.map(Object::from)]
    });
    objects.flatten().collect()
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// What a question costs with its answer, into a sink that looks at each record.
fn ask(zone: &Zone, name: NameRef<'_>, record_type: RecordType) -> u32 {
    let mut records = 0;
    let mut sink = |_: Section, record: &RecordRef<'_>| {
        black_box(record);
        records += 1;
    };
    black_box(zone.answer_into(Question { name, record_type }, &mut NoUpstream, &mut sink).rcode);
    records
}

fn questions(c: &mut Criterion) {
    let zone = Zone::of(&cluster(SERVICES, true));
    let mut group = c.benchmark_group("question");
    group.throughput(Throughput::Elements(QUESTIONS as u64));
    let mut rng = Rng(0x5eed_0001);
    let mut draw = |form: &dyn Fn(usize, usize) -> String| -> Vec<Name> {
        let i = |rng: &mut Rng| rng.below(SERVICES / 10) * 10 + 1 + rng.below(9);
        (0..QUESTIONS).map(|_| i(&mut rng)).map(|i| name(&form(i, i / 100))).collect()
    };
    let hits = draw(&|i, ns| format!("svc{i}.ns{ns}.svc.cluster.local"));

    let wire = |name: &Name| name.as_ref().as_wire().to_vec();
    let all = (0..SERVICES).map(|i| name(&format!("svc{i}.ns{}.svc.cluster.local", i / 100)));
    // Of an answer with one address: 12 octets of header, the name with type and class, 16 octets of record.
    let prebuilt: HashMap<Vec<u8>, Vec<u8>, FixedState> =
        all.map(|name| (wire(&name), vec![1; 12 + wire(&name).len() + 4 + 16])).collect();
    group.bench_function("floor: hash map from the whole name", |b| {
        let look_up = |name: &Name| prebuilt.contains_key(black_box(name).as_ref().as_wire());
        b.iter(|| hits.iter().filter(|name| look_up(name)).count());
    });
    let mut out = [0; 512];
    group.bench_function("floor: answers made before, copied", |b| {
        b.iter(|| {
            for name in &hits {
                let answer = &prebuilt[black_box(name).as_ref().as_wire()];
                out[..answer.len()].copy_from_slice(answer);
                out[..2].copy_from_slice(&[1, 2]);
                black_box(&out);
            }
        });
    });
    let reverse = |i: usize, _| {
        let [a, b, c, d] = Ipv4Addr::from(0xac1e_000a + i as u32).octets();
        format!("{d}.{c}.{b}.{a}.in-addr.arpa")
    };
    for (what, record_type, names) in [
        ("A", RecordType::A, hits.clone()),
        ("A, in capitals", RecordType::A, draw(&|i, ns| format!("SVC{i}.NS{ns}.SVC.CLUSTER.LOCAL"))),
        ("AAAA that is not there", RecordType::AAAA, hits.clone()),
        (
            "NXDOMAIN, no Service",
            RecordType::A,
            draw(&|i, ns| format!("svc{i}.ns{}.svc.cluster.local", (ns + 1) % 100)),
        ),
        ("NXDOMAIN, no namespace", RecordType::A, draw(&|i, _| format!("svc{i}.example.svc.cluster.local"))),
        ("NXDOMAIN, search list", RecordType::A, draw(&|i, ns| format!("www{i}.example.com.ns{ns}.svc.cluster.local"))),
        (
            "NXDOMAIN, an endpoint",
            RecordType::A,
            draw(&|i, ns| format!("x.svc{}.ns{ns}.svc.cluster.local", i / 10 * 10)),
        ),
        ("SRV with its address", RecordType::SRV, draw(&|i, ns| format!("_http._tcp.svc{i}.ns{ns}.svc.cluster.local"))),
        ("PTR", RecordType::PTR, draw(&reverse)),
        (
            "PTR that is not there",
            RecordType::PTR,
            draw(&|i, _| format!("{}.{}.16.172.in-addr.arpa", i % 250, i / 250)),
        ),
        ("not ours", RecordType::A, draw(&|i, _| format!("www{i}.example.com"))),
    ] {
        group.bench_function(what, |b| {
            b.iter(|| names.iter().map(|name| ask(&zone, black_box(name).as_ref(), record_type)).sum::<u32>());
        });
    }
    group.throughput(Throughput::Elements(1));
    for (what, name_text, record_type) in [
        ("A of 100 endpoints", "svc1230.ns12.svc.cluster.local", RecordType::A),
        ("A of one of 100 endpoints", "10-128-48-50.svc1230.ns12.svc.cluster.local", RecordType::A),
        ("SRV of 100 endpoints with their addresses", "_http._tcp.svc1230.ns12.svc.cluster.local", RecordType::SRV),
    ] {
        let name = name(name_text);
        assert!(ask(&zone, name.as_ref(), record_type) > 0, "{name_text}");
        group.bench_function(what, |b| b.iter(|| ask(&zone, black_box(&name).as_ref(), record_type)));
    }
    group.finish();
}

fn builds(c: &mut Criterion) {
    let mut group = c.benchmark_group("build");
    group.sample_size(10);
    for (what, cluster) in [
        ("10,000 Services", cluster(SERVICES, false)),
        ("10,000 Services and 100,000 endpoints", cluster(SERVICES, true)),
    ] {
        let objects: Vec<Object> = cluster.objects().cloned().collect();
        group.bench_function(format!("floor: clone the objects of {what}"), |b| b.iter(|| black_box(&objects).clone()));
        group.bench_function(format!("zone of {what}"), |b| b.iter(|| Zone::of(black_box(&cluster))));
    }
    group.finish();
}

/// One Service more or less, or one endpoint of ten exchanged, with a reader who keeps the zone before.
fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("update");
    for n in [1_000, 10_000, 30_000] {
        let mut cluster = cluster(n, false);
        let i = n / 2;
        cluster.apply(slice(i, 0x0a00_0000, 10));
        let zone = Zone::of(&cluster);
        // The zone leads one way and back, so that every round changes something.
        let states = [11u32, 12].map(|last| {
            let mut slice = slice(i, 0x0a00_0000, 10);
            slice.endpoints[9].addresses = vec![Ipv4Addr::from(0x0a00_0000 + last).to_string()];
            let change = cluster.apply(slice);
            (cluster.clone(), change.touched)
        });
        group.bench_function(format!("one of ten endpoints, {n} Services"), |b| {
            b.iter_batched(
                || zone.clone(),
                |mut zone| states.each_ref().map(|(cluster, touched)| zone.update(cluster, touched)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, questions, builds, updates);
criterion_main!(benches);
