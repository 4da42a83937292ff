//! Any message to the zone of a small cluster: the reply is within its limit, and `domain` can read it.
//!
//! The first octet chooses the settings. With its top bit set, those behind it choose labels of a question that is near
//! something; otherwise they are the message.
#![no_main]

use std::sync::OnceLock;

use dns_records::NoUpstream;
use dns_records::kubernetes::{Zone, ZoneSettings};
use dns_records::wire::{Response, Settings, Transport, transfer};
use domain::base::Message;
use domain::base::name::ParsedName;
use domain::rdata::AllRecordData;
use libfuzzer_sys::fuzz_target;
use svc_model::Cluster;
use svc_model::api::{EndpointSlice, SERVICE_NAME_LABEL, Service, ServicePort, SliceEndpoint, SlicePort};

const LABELS: [&[u8]; 16] = [
    b"local", b"Cluster", b"svc", b"SVC", b"a", b"B", b"one", b"Many", b"alias", b"_http", b"_tcp", b"pod", b"arpa",
    b"in-addr", b"10", b"dns",
];

fn service(name: &str, ip: &str) -> Service {
    let mut service = Service::default();
    service.metadata.name = name.into();
    service.metadata.namespace = "a".into();
    service.spec.cluster_ips.push(ip.into());
    service.spec.ports.push(ServicePort { name: "http".into(), port: 80, ..Default::default() });
    service
}

/// A Service with an address, a headless one with 300 endpoints, aliases inward, outward and round.
fn zone() -> Zone {
    let mut cluster = Cluster::new();
    cluster.apply(service("one", "10.10.10.10"));
    cluster.apply(service("many", "None"));
    let mut slice = EndpointSlice { address_type: "IPv4".into(), ..Default::default() };
    slice.metadata.name = "many".into();
    slice.metadata.namespace = "a".into();
    slice.metadata.labels.insert(SERVICE_NAME_LABEL.into(), "many".into());
    slice.ports.push(SlicePort { name: Some("http".into()), port: Some(8080), ..Default::default() });
    let endpoint = |i: u32| SliceEndpoint {
        addresses: vec![std::net::Ipv4Addr::from(0x0a0a_0000 + i).to_string()],
        hostname: (i % 3 == 0).then(|| format!("h{}", i / 9)),
        ..Default::default()
    };
    slice.endpoints = (0..300).map(endpoint).collect();
    cluster.apply(slice);
    for (name, target) in
        [("alias", "many.a.svc.cluster.local"), ("b", "10.in-addr.arpa"), ("svc", "svc.a.svc.cluster.local")]
    {
        let mut alias = service(name, "");
        alias.spec.cluster_ips.clear();
        alias.spec.type_ = "ExternalName".into();
        alias.spec.external_name = target.into();
        cluster.apply(alias);
    }
    let mut settings = ZoneSettings::of(&cluster);
    settings.transfer = true;
    settings.pods = dns_records::kubernetes::PodMode::Insecure;
    Zone::new(&cluster, settings)
}

/// A query for some of the labels, with or without EDNS.
fn near(choices: &[u8]) -> Option<Vec<u8>> {
    let (&[record_type, edns, size], labels) = choices.split_first_chunk()?;
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns & 1];
    for choice in labels.iter().take(8) {
        let label = LABELS[usize::from(choice & 15)];
        message.push(label.len() as u8);
        message.extend_from_slice(label);
    }
    // The end that most questions have, unless they are not to be ours.
    message.extend_from_slice(if edns & 2 == 0 { b"\x01a\x03svc\x07cluster\x05local\0" } else { b"\0" });
    let types = [1, 28, 33, 5, 12, 2, 6, 16, 255, 252, 65];
    message.extend_from_slice(&[0, types[usize::from(record_type) % types.len()], 0, 1]);
    if edns & 1 == 1 {
        message.extend_from_slice(&[0, 0, 41, size, 0, 0, 0, edns & 0x80, 0, 0, 0]);
    }
    Some(message)
}

fn read(message: &[u8]) {
    let message = Message::from_octets(message).expect("a message");
    let (questions, answer, authority, additional) = message.sections().expect("sections");
    assert!(questions.count() <= 1);
    for section in [answer, authority, additional] {
        for record in section.into_records::<AllRecordData<&[u8], ParsedName<&[u8]>>>() {
            record.expect("a record");
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    static ZONE: OnceLock<Zone> = OnceLock::new();
    let zone = ZONE.get_or_init(zone);
    let Some((&choice, octets)) = octets.split_first() else { return };
    let made = if choice & 0x80 != 0 { near(octets) } else { None };
    let message = made.as_deref().unwrap_or(octets);
    let settings = Settings { max_udp: u16::from(choice & 0x0f) << 8, recursion_available: choice & 0x10 != 0 };
    let transport = if choice & 0x20 != 0 { Transport::Tcp } else { Transport::Udp };
    let mut out = vec![0; 65_535];
    match zone.respond(message, transport, u32::from(choice), &settings, &mut out).expect("room") {
        Response::Reply(query, reply) => {
            assert!(reply.length <= query.limit(&settings) && !reply.verdict.reason.to_string().is_empty());
            read(&out[..reply.length]);
        }
        Response::Error { length, .. } => {
            assert!(length <= 512);
            read(&out[..length]);
        }
        Response::Transfer(query) => {
            let answer = |question, sink: &mut dyn dns_records::Sink| zone.answer_into(question, &mut NoUpstream, sink);
            let done = transfer(&query, &settings, &mut out[..4096], answer, read).expect("room");
            assert_eq!(done.left_out, 0);
        }
        Response::Forward(_) | Response::Nothing(_) => {}
    }
});
