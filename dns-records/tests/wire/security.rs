//! Failures of others, by their numbers.

use dns_records::wire::{Fault, NameFault, Query, Transport};
use dns_records::{Record, RecordData, RecordType, Section};

use super::decode::decode;
use super::encode::{Message, answer, name, query};

fn fault(message: &Message) -> Fault {
    Query::read(&message.octets(), Transport::Udp).expect_err("a refusal").fault()
}

/// A query with a record in its additional section that is owned by these octets, and where they begin.
fn owned_by(owner: &[u8]) -> (Message, usize) {
    let message = query("www.example", RecordType::A);
    let at = message.octets().len();
    (message.record(3, &[owner, b"\0\x01\0\x01\0\0\0\0\0\0"].concat()), at)
}

fn pointer(to: usize) -> [u8; 2] {
    (0xc000 | to as u16).to_be_bytes()
}

/// trust-dns-proto followed compression pointers in circles until the stack was gone.
#[test]
fn rustsec_2018_0007_cve_2018_20994_pointer_loops() {
    let at = owned_by(b"").1;
    let refused = Fault::Record { at };
    let to_itself = owned_by(&pointer(at)).0;
    let to_a_later_octet = owned_by(&pointer(at + 2)).0;
    let round = owned_by(&[b"\x01a", &pointer(at)[..]].concat()).0;
    let past_the_end = owned_by(&pointer(0x3fff)).0;
    let into_the_header = owned_by(&pointer(4)).0;
    for message in [to_itself, to_a_later_octet, round, past_the_end, into_the_header] {
        assert_eq!(fault(&message), refused);
    }
    // In the question there is nothing yet to point to.
    for to in [0, 4, 11, 12, 13, 0x3fff] {
        let message = Message { body: [&pointer(to), &b"\0\x01\0\x01"[..]].concat(), ..query("a", RecordType::A) };
        assert_eq!(fault(&message), Fault::Question(NameFault::Pointer));
    }
    let good = owned_by(&[b"\x01a", &pointer(12)[..]].concat()).0;
    assert!(Query::read(&good.octets(), Transport::Udp).is_ok());
}

/// A pointer to a pointer to a pointer: strictly backwards, and still more than a name can need.
#[test]
fn rustsec_2018_0007_chains_of_pointers() {
    let chain = |length: usize| {
        let message = query("www.example", RecordType::A);
        // The data of the first record is the chain, its first link to the question; the owner of the second its end.
        let data_at = message.octets().len() + 11;
        let links: Vec<u8> =
            (0..length - 1).flat_map(|i| pointer(if i == 0 { 12 } else { data_at + 2 * (i - 1) })).collect();
        let record = [b"\0\0\x10\0\x01\0\0\0\0", &(links.len() as u16).to_be_bytes()[..], &links].concat();
        let last = pointer(if length == 1 { 12 } else { data_at + 2 * (length - 2) });
        message.record(1, &record).record(3, &[&last, &b"\0\x10\0\x01\0\0\0\0\0\0"[..]].concat())
    };
    for length in [1, 2, 126] {
        assert!(Query::read(&chain(length).octets(), Transport::Tcp).is_ok(), "{length}");
    }
    for length in [127, 8000] {
        assert!(matches!(fault(&chain(length)), Fault::Record { .. }), "{length}");
    }
}

/// trust-dns-server looked for the addresses of `.`, the target of SRV that says "no such service", without end.
#[test]
fn rustsec_2020_0001_an_srv_target_that_is_the_root() {
    let data = RecordData::Srv { priority: 0, weight: 0, port: 0, target: name(".") };
    let record = Record { owner: name("_a._tcp.example"), ttl: 5, data };
    let octets = answer(&query("_a._tcp.example", RecordType::SRV), Transport::Udp, &[(Section::Answer, record)]).0;
    assert_eq!(decode(&octets).sections[0], ["_a._tcp.example. 5 IN SRV 0 0 0 ."]);
}

#[test]
fn rfc_9267_section_2_compression_pointer_and_offset_validation() {
    let at = owned_by(b"").1;
    // Half a pointer at the very end.
    let half = query("www.example", RecordType::A).record(3, b"\xc0");
    assert_eq!(fault(&half), Fault::Record { at });
    // The upper two bits alone tell a pointer: 01 and 10 are nothing.
    for octet in [0x40, 0x7f, 0x80, 0xbf] {
        assert_eq!(fault(&owned_by(&[octet, 12]).0), Fault::Record { at });
    }
}

#[test]
fn rfc_9267_section_3_label_and_name_length_validation() {
    let at = owned_by(b"").1;
    assert_eq!(fault(&owned_by(b"\x3fshort").0), Fault::Record { at });
    // 255 octets are a name, 256 are not, whether written out or put together by a pointer.
    let labels = |count: usize| b"\x01a".repeat(count);
    let written = |count| owned_by(&[labels(count), vec![0]].concat()).0;
    assert!(Query::read(&written(127).octets(), Transport::Udp).is_ok());
    assert_eq!(fault(&written(128)), Fault::Record { at });
    // `www.example.` has 13 octets with its end.
    let joined = |count| owned_by(&[labels(count), pointer(12).to_vec()].concat()).0;
    assert!(Query::read(&joined(121).octets(), Transport::Udp).is_ok());
    assert_eq!(fault(&joined(122)), Fault::Record { at });
}

#[test]
fn rfc_9267_section_4_a_name_that_does_not_end() {
    let mut message = query("www.example", RecordType::A);
    for length in 0..b"\x03www\x07example".len() {
        message.body.truncate(length);
        let octets = message.octets();
        let fault = Query::read(&octets, Transport::Udp).unwrap_err().fault();
        assert_eq!(fault, Fault::Question(NameFault::CutShort));
    }
    let at = owned_by(b"").1;
    for owner in [&b""[..], b"\x01a", b"\x01a\x01b"] {
        let message = query("www.example", RecordType::A).record(3, owner);
        assert_eq!(fault(&message), Fault::Record { at });
    }
}

#[test]
fn rfc_9267_section_5_data_length_validation() {
    let at = owned_by(b"").1;
    for (length, there) in [(1u16, 0), (4, 3), (65_535, 4), (65_535, 0)] {
        let record = [b"\0\0\x01\0\x01\0\0\0\0", &length.to_be_bytes()[..], &vec![0; there]].concat();
        assert_eq!(fault(&query("www.example", RecordType::A).record(3, &record)), Fault::Record { at });
    }
}

#[test]
fn rfc_9267_section_6_record_count_validation() {
    let plain = query("www.example", RecordType::A);
    let at = plain.octets().len();
    for counts in [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 1, 2]] {
        assert_eq!(fault(&plain.clone().counts(counts)), Fault::Record { at });
    }
    for counts in [[1, 65_535, 0, 0], [1, 0, 65_535, 0], [1, 0, 0, 65_535], [1, 65_535, 65_535, 65_535]] {
        assert!(matches!(fault(&plain.clone().counts(counts)), Fault::RecordCounts { .. }));
    }
    assert_eq!(fault(&plain.clone().counts([65_535; 4])), Fault::QuestionCount(65_535));
    assert_eq!(fault(&plain.counts([0; 4])), Fault::QuestionCount(0));
}

#[cfg(feature = "kubernetes")]
mod zone {
    use super::super::decode::{RA, TC};
    use super::super::world;
    use super::*;
    use dns_records::kubernetes::Zone;
    use dns_records::wire::{Response, Settings, reply};
    use dns_records::{NoUpstream, RecordRef, Sink};
    use serde_json::json;

    /// A headless Service with this many endpoints.
    fn headless(count: u32) -> Zone {
        let addr = |i: u32| std::net::Ipv4Addr::from(0x0a00_0000 + i).to_string();
        let endpoints: Vec<_> = (0..count).map(|i| json!({"addresses": [addr(i)]})).collect();
        let ports = json!([{"name": "p", "port": 80}]);
        Zone::of(&world::cluster([
            world::service("a/db", &["None"], ports.clone()),
            world::slice("a/db", "IPv4", ports, json!(endpoints)),
        ]))
    }

    #[test]
    fn amplification_5000_endpoints_fill_a_datagram_and_no_more() {
        let zone = headless(5000);
        let mut out = [0; 65_535];
        for (name, record_type) in [
            ("db.a.svc.cluster.local", RecordType::A),
            ("db.a.svc.cluster.local", RecordType::SRV),
            ("_p._tcp.db.a.svc.cluster.local", RecordType::SRV),
            ("db.a.svc.cluster.local", RecordType::ANY),
            ("db.a.svc.cluster.local", RecordType::TXT),
        ] {
            let plain = query(name, record_type);
            for (message, limit) in [
                (plain.clone(), 512),
                (plain.clone().edns(0, false), 512),
                (plain.clone().edns(1232, false), 1232),
                (plain.edns(65_535, true), 1232),
            ] {
                let octets = message.octets();
                let response = zone.respond(&octets, Transport::Udp, 0, &Settings::default(), &mut out).unwrap();
                let Response::Reply(_, reply) = response else { panic!("{response:?}") };
                let read = decode(&out[..reply.length]);
                let many = [RecordType::A, RecordType::SRV].contains(&record_type);
                assert!(reply.length <= limit && (!many || reply.length + 64 > limit), "{} of {limit}", reply.length);
                assert_eq!((reply.truncated, read.flags & TC != 0, !read.sections[0].is_empty()), (many, many, many));
            }
        }
    }

    /// KeyTrap and its kin: what is asked must not decide over the work. Once a reply is full, nothing is offered to it.
    #[test]
    fn keytrap_cve_2023_50387_work_is_bounded_by_the_message() {
        struct Counted<'a, S>(&'a mut S, usize);
        impl<S: Sink> Sink for Counted<'_, S> {
            fn record(&mut self, section: Section, record: &RecordRef<'_>) {
                self.1 += 1;
                self.0.record(section, record);
            }

            fn is_full(&self) -> bool {
                self.0.is_full()
            }
        }
        for record_type in [RecordType::A, RecordType::SRV] {
            let offered = [1000, 5000].map(|count| {
                let zone = headless(count);
                let octets = query("db.a.svc.cluster.local", record_type).edns(1232, false).octets();
                let query = Query::read(&octets, Transport::Udp).unwrap();
                let mut out = [0; 1232];
                let mut offered = 0;
                let answer = |question, writer: &mut dns_records::wire::Writer<'_>| {
                    let mut counted = Counted(writer, 0);
                    let verdict = zone.answer_into(question, &mut NoUpstream, &mut counted);
                    offered = counted.1;
                    verdict
                };
                let written = reply(&query, &Settings::default(), &mut out, answer).unwrap();
                let records = decode(&out[..written.length]).sections[0].len();
                assert!(offered <= records + 1, "{offered} records were offered, {records} fit");
                offered
            });
            assert_eq!(offered[0], offered[1]);
        }
    }

    #[test]
    fn cache_poisoning_names_outside_the_zones_are_refused_or_forwarded_and_never_looked_up() {
        let zone = headless(1);
        let mut out = [0; 512];
        for name in ["www.example.com", "local", "cluster.local.example", "notcluster.local", "."] {
            let octets = query(name, RecordType::A).octets();
            let mut settings = Settings::default();
            let response = zone.respond(&octets, Transport::Udp, 0, &settings, &mut out).unwrap();
            let Response::Reply(_, reply) = response else { panic!("{response:?}") };
            let read = decode(&out[..reply.length]);
            assert_eq!((read.rcode, read.flags & RA), (5, 0));
            assert_eq!(read.sections, [(); 3].map(|()| Vec::<String>::new()));
            settings.recursion_available = true;
            let response = zone.respond(&octets, Transport::Udp, 0, &settings, &mut out).unwrap();
            let Response::Forward(query) = response else { panic!("{response:?}") };
            assert_eq!(query.question().record_type, RecordType::A);
        }
    }
}
