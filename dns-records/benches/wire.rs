//! What does a message cost, beside the floors of the machine and the encoders that a Rust program takes otherwise?
//!
//! Each group has its floor (the octets copied, what no answer can do without), `domain` and `hickory-proto` as their
//! documentation says to use them, and ours, on one workload: a question for type A about one of 10,000 Services, 100 a namespace.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, criterion_group, criterion_main};
use dns_records::kubernetes::Zone;
use dns_records::wire::{Query, Response, Settings, Transport, reply};
use dns_records::{Name, NameRef, Question, Rcode, Record, RecordData, RecordType, Section, Sink, Verdict};
use foldhash::fast::FixedState;
use svc_model::Cluster;
use svc_model::api::{EndpointSlice, SERVICE_NAME_LABEL, Service, ServicePort, SliceEndpoint, SlicePort};

const SERVICES: usize = 10_000;
const QUERIES: usize = 4096;
const TTL: u32 = 5;

/// SplitMix64, so that every machine asks the same.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * n as u128) >> 64) as usize
    }
}

fn service_name(i: usize) -> String {
    format!("svc{i}.ns{}.svc.cluster.local.", i / 100)
}

fn addresses(count: u32) -> Vec<Ipv4Addr> {
    (1..=count).map(|i| Ipv4Addr::from(0x0af0_0000 + i)).collect()
}

/// A query of class IN with RD, without EDNS.
fn query(id: u16, name: &str, record_type: RecordType) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    let header = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    [&header, name.as_ref().as_wire(), &record_type.0.to_be_bytes(), &[0, 1]].concat()
}

fn with_edns(query: &[u8]) -> Vec<u8> {
    let mut octets = [query, &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat();
    octets[11] = 1;
    octets
}

/// The answer to a query, ready to be sent but for the id.
fn prebuilt(name: &str, addrs: &[Ipv4Addr]) -> Vec<u8> {
    let mut octets = query(0, name, RecordType::A);
    octets[2] = 0x85;
    octets[6..8].copy_from_slice(&(addrs.len() as u16).to_be_bytes());
    for addr in addrs {
        octets.extend([0xc0, 12, 0, 1, 0, 1]);
        octets.extend(TTL.to_be_bytes());
        octets.extend([0, 4]);
        octets.extend(addr.octets());
    }
    octets
}

fn by_domain(name: &domain::base::Name<Vec<u8>>, addrs: &[Ipv4Addr]) -> Vec<u8> {
    use domain::base::{MessageBuilder, Rtype, StaticCompressor};
    let mut builder = MessageBuilder::from_target(StaticCompressor::new(Vec::with_capacity(512))).unwrap();
    builder.header_mut().set_id(77);
    builder.header_mut().set_qr(true);
    builder.header_mut().set_aa(true);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((name, Rtype::A)).unwrap();
    let mut builder = builder.answer();
    for addr in addrs {
        builder.push((name, TTL, domain::rdata::A::new(*addr))).unwrap();
    }
    builder.finish().into_target()
}

fn by_hickory(name: &hickory_proto::rr::Name, addrs: &[Ipv4Addr]) -> Vec<u8> {
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{RData, Record, RecordType, rdata::A};
    let mut message = Message::new(77, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), RecordType::A));
    for addr in addrs {
        message.add_answer(Record::from_rdata(name.clone(), TTL, RData::A(A(*addr))));
    }
    message.to_vec().unwrap()
}

/// Answers with these addresses, whatever is asked.
fn with_addresses(addrs: &[Ipv4Addr], question: Question<'_>, sink: &mut dyn Sink) -> Verdict<()> {
    for addr in addrs {
        sink.record(Section::Answer, &Record { owner: question.name.into(), ttl: TTL, data: RecordData::A(*addr) });
    }
    Verdict { rcode: Rcode::NoError, authoritative: true, reason: () }
}

fn read(c: &mut Criterion) {
    let octets = query(77, &service_name(1234), RecordType::A);
    let edns = with_edns(&octets);
    let mut group = c.benchmark_group("read");
    group.bench_function("floor: walk the labels", |b| {
        b.iter(|| {
            let octets = black_box(&octets);
            let mut at = 12;
            while let Some(length) = octets.get(at).filter(|length| **length != 0) {
                at += 1 + usize::from(*length);
            }
            at + 5
        });
    });
    group.bench_function("domain", |b| {
        b.iter(|| {
            let message = domain::base::Message::from_octets(black_box(octets.as_slice())).unwrap();
            black_box(message.sole_question().unwrap());
        });
    });
    group.bench_function("hickory", |b| {
        b.iter(|| hickory_proto::op::Message::from_vec(black_box(&octets)).unwrap());
    });
    group.bench_function("ours", |b| b.iter(|| black_box(Query::read(black_box(&octets), Transport::Udp).is_ok())));
    group.bench_function("ours, EDNS", |b| b.iter(|| black_box(Query::read(black_box(&edns), Transport::Udp).is_ok())));
    group.finish();
}

fn write(c: &mut Criterion) {
    let name = service_name(1234);
    let (by_domain_name, by_hickory_name) =
        (name.parse().unwrap(), hickory_proto::rr::Name::from_ascii(&name).unwrap());
    let octets = query(77, &name, RecordType::A);
    let query = Query::read(&octets, Transport::Tcp).unwrap();
    let settings = Settings::default();
    for count in [1, 10, 100] {
        let addrs = addresses(count);
        let answer = prebuilt(&name, &addrs);
        let mut out = [0; 4096];
        let written = reply(&query, &settings, &mut out, |question, writer| with_addresses(&addrs, question, writer));
        // All write the same, the id apart.
        assert_eq!(out[2..written.unwrap().length], answer[2..]);
        assert_eq!(by_domain(&by_domain_name, &addrs)[2..], answer[2..]);
        assert_eq!(by_hickory(&by_hickory_name, &addrs)[2..], answer[2..]);

        let mut group = c.benchmark_group(format!("write {count}"));
        let mut id = 0u16;
        group.bench_function("floor: copy and patch the id", |b| {
            b.iter(|| {
                id = id.wrapping_add(1);
                let answer = black_box(&answer);
                out[..answer.len()].copy_from_slice(answer);
                out[..2].copy_from_slice(&id.to_be_bytes());
                black_box(&out);
            });
        });
        group.bench_function("domain", |b| b.iter(|| by_domain(black_box(&by_domain_name), &addrs)));
        group.bench_function("hickory", |b| b.iter(|| by_hickory(black_box(&by_hickory_name), &addrs)));
        group.bench_function("ours", |b| {
            b.iter(|| {
                let written = reply(black_box(&query), &settings, &mut out, |question, writer| {
                    with_addresses(black_box(&addrs), question, writer)
                });
                black_box(written.unwrap().length);
                black_box(&out);
            });
        });
        group.finish();
    }
}

/// One address a Service; every hundredth is headless with 100 endpoints.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    for i in 0..SERVICES {
        let mut service = Service::default();
        service.metadata.name = format!("svc{i}");
        service.metadata.namespace = format!("ns{}", i / 100);
        service.spec.ports.push(ServicePort { name: "http".into(), port: 80, ..Default::default() });
        if i % 100 == 99 {
            service.spec.cluster_ips.push("None".into());
            let mut slice = EndpointSlice { address_type: "IPv4".into(), ..Default::default() };
            slice.metadata.name.clone_from(&service.metadata.name);
            slice.metadata.namespace.clone_from(&service.metadata.namespace);
            slice.metadata.labels.insert(SERVICE_NAME_LABEL.into(), service.metadata.name.clone());
            slice.ports.push(SlicePort { name: Some("http".into()), port: Some(8080), ..Default::default() });
            let endpoint = |j: usize| Ipv4Addr::from(0x0a80_0000 + (i * 100 + j) as u32).to_string();
            slice.endpoints =
                (0..100).map(|j| SliceEndpoint { addresses: vec![endpoint(j)], ..Default::default() }).collect();
            cluster.apply(slice);
        } else {
            service.spec.cluster_ips.push(Ipv4Addr::from(0xac1e_000a + i as u32).to_string());
        }
        cluster.apply(service);
    }
    cluster
}

/// Queries about Services with one address each.
fn queries(mut ask: impl FnMut(u16, usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut rng = Rng(0x5eed_0001 ^ 9);
    (0..QUERIES as u16)
        .map(|id| {
            let i = rng.below(SERVICES);
            ask(id, if i % 100 == 99 { i - 1 } else { i })
        })
        .collect()
}

fn serve(c: &mut Criterion) {
    let a = queries(|id, i| query(id, &service_name(i), RecordType::A));
    let mut group = c.benchmark_group("serve A");
    let mut out = [0; 4096];
    let mut turn = a.iter().cycle();
    let one = addresses(1);

    let table: HashMap<Vec<u8>, Vec<u8>, FixedState> = (0..SERVICES)
        .map(|i| (query(0, &service_name(i), RecordType::A)[12..].to_vec(), prebuilt(&service_name(i), &one)))
        .collect();
    group.bench_function("floor: prebuilt answers by question", |b| {
        b.iter(|| {
            let query = turn.next().unwrap();
            let answer = &table[&query[12..]];
            out[..answer.len()].copy_from_slice(answer);
            out[..2].copy_from_slice(&query[..2]);
            black_box(&out);
        });
    });

    let zone = Zone::of(&cluster());
    let settings = Settings::default();
    let mut respond = |query: &[u8]| {
        let response = zone.respond(query, Transport::Tcp, 0, &settings, &mut out);
        let Ok(Response::Reply(_, reply)) = response else { unreachable!() };
        black_box(&out);
        reply.length
    };
    group.bench_function("ours", |b| b.iter(|| respond(turn.next().unwrap())));
    for (what, queries) in [
        ("ours, EDNS", queries(|id, i| with_edns(&query(id, &service_name(i), RecordType::A)))),
        ("ours, no data", queries(|id, i| query(id, &service_name(i), RecordType::AAAA))),
        ("ours, NXDOMAIN", queries(|id, i| query(id, &format!("no{}", service_name(i)), RecordType::A))),
        (
            "ours, NXDOMAIN of a search list",
            queries(|id, i| query(id, &format!("www.example.com.{}", service_name(i)), RecordType::A)),
        ),
        ("ours, 100 addresses", queries(|id, i| query(id, &service_name(i / 100 * 100 + 99), RecordType::A))),
        ("ours, 100 SRV and addresses", queries(|id, i| query(id, &service_name(i / 100 * 100 + 99), RecordType::SRV))),
    ] {
        let mut turn = queries.iter().cycle();
        group.bench_function(what, |b| b.iter(|| respond(turn.next().unwrap())));
    }

    // The wire alone, with the best table that such names can have.
    let names: Vec<Name> = (0..SERVICES).map(|i| service_name(i).parse().unwrap()).collect();
    let table: HashMap<NameRef<'_>, Ipv4Addr, FixedState> = names.iter().map(|name| (name.as_ref(), one[0])).collect();
    group.bench_function("ours + HashMap", |b| {
        b.iter(|| {
            let query = Query::read(turn.next().unwrap(), Transport::Udp).unwrap();
            let written = reply(&query, &settings, &mut out, |question, writer| {
                with_addresses(&[table[&question.name]], question, writer)
            });
            black_box(written.unwrap().length);
            black_box(&out);
        });
    });

    {
        use domain::base::{Message, MessageBuilder, Name, StaticCompressor, ToName, iana::Rcode};
        let table: HashMap<Name<Vec<u8>>, Vec<Ipv4Addr>> =
            (0..SERVICES).map(|i| (service_name(i).parse().unwrap(), one.clone())).collect();
        group.bench_function("domain + HashMap", |b| {
            b.iter(|| {
                let query = Message::from_octets(turn.next().unwrap().as_slice()).unwrap();
                let question = query.sole_question().unwrap();
                let name: Name<Vec<u8>> = question.qname().to_name();
                let builder = MessageBuilder::from_target(StaticCompressor::new(Vec::with_capacity(512))).unwrap();
                let mut builder = builder.start_answer(&query, Rcode::NOERROR).unwrap();
                builder.header_mut().set_aa(true);
                for addr in &table[&name] {
                    builder.push((&name, TTL, domain::rdata::A::new(*addr))).unwrap();
                }
                builder.finish().into_target()
            });
        });
    }
    {
        use hickory_proto::op::{Message, MessageType, OpCode};
        use hickory_proto::rr::{LowerName, Name, RData, Record, rdata::A};
        let table: HashMap<LowerName, Vec<Ipv4Addr>> =
            (0..SERVICES).map(|i| (LowerName::new(&Name::from_ascii(service_name(i)).unwrap()), one.clone())).collect();
        group.bench_function("hickory + HashMap", |b| {
            b.iter(|| {
                let query = Message::from_vec(turn.next().unwrap()).unwrap();
                let mut message = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
                message.metadata.authoritative = true;
                message.metadata.recursion_desired = query.metadata.recursion_desired;
                let question = query.queries[0].clone();
                for addr in &table[&LowerName::new(question.name())] {
                    message.add_answer(Record::from_rdata(question.name().clone(), TTL, RData::A(A(*addr))));
                }
                message.add_query(question);
                message.to_vec().unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, read, write, serve);
criterion_main!(benches);
