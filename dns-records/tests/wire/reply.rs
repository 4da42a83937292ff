//! What a reply looks like: header, names, limits, and what does not fit.

use dns_records::wire::{BufferTooSmall, Query, Settings, Transport, reply};
use dns_records::{Rcode, Record, RecordData, RecordType, Section, Sink, Verdict};

use super::decode::{AA, CD, Edns, QR, RA, RD, TC, decode, type_of};
use super::encode::{Message, OURS, a, answer, answer_with, name, put, query};

fn udp(message: &Message, records: &[(Section, Record)]) -> Vec<u8> {
    answer(message, Transport::Udp, records).0
}

fn soa(zone: &str) -> Record {
    let data = RecordData::Soa {
        primary: name(&format!("ns.dns.{zone}")),
        mailbox: name(&format!("hostmaster.{zone}")),
        serial: 1,
        refresh: 7200,
        retry: 1800,
        expire: 86400,
        minimum: 5,
    };
    Record { owner: name(zone), ttl: 5, data }
}

fn srv(owner: &str, target: &str) -> Record {
    Record {
        owner: name(owner),
        ttl: 5,
        data: RecordData::Srv { priority: 0, weight: 50, port: 80, target: name(target) },
    }
}

fn alias(owner: &str, target: &str) -> Record {
    Record { owner: name(owner), ttl: 5, data: RecordData::Cname(name(target)) }
}

/// Addresses as answers to a question for `owner`.
fn addresses(owner: &str, count: u32) -> Vec<(Section, Record)> {
    let record = |i: u32| Record { owner: name(owner), ttl: 5, data: RecordData::A((0x0a00_0000 + i).into()) };
    (0..count).map(|i| (Section::Answer, record(i))).collect()
}

#[test]
fn the_octets_of_an_answer() {
    let message = query("Db.example", RecordType::A).edns(1232, false);
    let records = [(Section::Answer, alias("db.example", "x.example")), (Section::Answer, a("x.example", 1))];
    let expected = [
        b"\x12\x34\x85\x00\x00\x01\x00\x02\x00\x00\x00\x01".as_slice(),
        b"\x02Db\x07example\0\0\x01\0\x01",
        b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x04\x01x\xc0\x0f",
        b"\xc0\x28\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01",
        b"\0\0\x29\x04\xd0\0\0\0\0\0\0",
    ]
    .concat();
    assert_eq!(udp(&message, &records), expected);
}

#[test]
fn id_opcode_rd_and_cd_come_back_and_ad_and_z_do_not() {
    // RD, RA, Z, AD and CD as sent.
    for (sent, back) in [(0, 0), (RD, RD), (CD, CD), (RD | CD, RD | CD), (RA | 0x40 | 0x20, 0), (AA | TC, 0)] {
        let reply = decode(&udp(&query("a.example", RecordType::A).flags(sent), &[]));
        assert_eq!((reply.id, reply.flags), (0x1234, QR | AA | back), "{sent:#06x}");
    }
}

#[test]
fn ra_is_set_only_if_the_program_forwards_and_aa_as_the_verdict_says() {
    let message = query("a.example", RecordType::A);
    let settings = Settings { recursion_available: true, ..Settings::default() };
    let refused = Verdict { rcode: Rcode::Refused, authoritative: false, reason: () };
    let with = |verdict| decode(&answer_with(&message, Transport::Udp, &settings, verdict, &[]).0);
    assert_eq!(with(OURS).flags, QR | AA | RA | RD);
    assert_eq!((with(refused).flags, with(refused).rcode), (QR | RA | RD, 5));
    let failed = Verdict { rcode: Rcode::ServFail, authoritative: false, reason: () };
    assert_eq!((with(failed).flags, with(failed).rcode), (QR | RA | RD, 2));
}

/// glibc takes NOERROR without an answer, with neither AA nor RA, for a lame server and leaves its search list.
#[test]
fn no_data_is_authoritative_even_though_nothing_is_answered() {
    let records = [(Section::Authority, soa("example"))];
    for message in [query("a.example", RecordType::AAAA), query("a.example", RecordType::AAAA).edns(1232, false)] {
        let reply = decode(&udp(&message, &records));
        assert_eq!((reply.flags, reply.rcode), (QR | AA | RD, 0));
        assert_eq!(reply.sections[1], ["example. 5 IN SOA ns.dns.example. hostmaster.example. 1 7200 1800 86400 5"]);
    }
}

/// draft-vixie-dnsext-dns0x20: the letters' case is a secret that the reply has to know.
#[test]
fn the_question_comes_back_octet_for_octet() {
    for text in ["wWw.ExAmPlE", "WWW.EXAMPLE", r"\000\255\.A.exAmple", "."] {
        let message = query(text, RecordType::A);
        let record = (Section::Answer, Record { owner: name(&text.to_lowercase()), ..a("a", 1) });
        let octets = udp(&message, &[record]);
        assert_eq!(octets[12..12 + message.body.len()], message.body);
        // The owner is spelled as the question, whatever the table says.
        assert!(decode(&octets).sections[0][0].starts_with(&format!("{} 5 IN A", name(text))));
        assert_eq!(octets.len(), 12 + message.body.len() + 16);
    }
}

#[test]
fn the_target_of_srv_is_never_compressed_and_may_be_pointed_at() {
    let message = query("_a._tcp.db.example", RecordType::SRV);
    let records = [
        (Section::Answer, srv("_a._tcp.db.example", "db-0.db.example")),
        (Section::Answer, srv("_a._tcp.db.example", "db-1.db.example")),
        (Section::Additional, a("db-0.db.example", 1)),
        (Section::Additional, a("db-1.db.example", 2)),
        (Section::Additional, a("db-1.db.example", 3)),
    ];
    let octets = udp(&message, &records);
    let question = 12 + message.body.len();
    let target = |at: usize| &octets[at + 2 + 8 + 2 + 6..at + 2 + 8 + 2 + 6 + 17];
    assert_eq!(target(question), b"\x04db-0\x02db\x07example\0");
    assert_eq!(target(question + 35), b"\x04db-1\x02db\x07example\0");
    assert_eq!(octets.len(), question + 2 * 35 + 3 * 16);
    let reply = decode(&octets);
    assert_eq!(reply.sections[2][2], "db-1.db.example. 5 IN A 10.0.0.3");
}

#[test]
fn names_in_ns_cname_ptr_and_soa_are_compressed() {
    let zone = "cluster.local";
    let ns = |target: &str| Record { owner: name(zone), ttl: 5, data: RecordData::Ns(name(target)) };
    let message = query(zone, RecordType::NS);
    let records = [
        (Section::Answer, ns("a.svc.cluster.local")),
        (Section::Authority, soa(zone)),
        (Section::Additional, a("a.svc.cluster.local", 1)),
    ];
    let octets = udp(&message, &records);
    let question = 12 + message.body.len();
    // a.svc and a pointer; three pointers, ns.dns, hostmaster and the numbers; a pointer and an address.
    assert_eq!(octets.len(), question + (12 + 6 + 2) + (12 + 9 + 13 + 20) + 16);
    decode(&octets);

    // Targets outside the zone of the question share the end of the one before.
    let ptr =
        |target: &str| Record { owner: name("1.0.0.10.in-addr.arpa"), ttl: 5, data: RecordData::Ptr(name(target)) };
    let message = query("1.0.0.10.in-addr.arpa", RecordType::PTR);
    let octets = udp(&message, &[(Section::Answer, ptr("a.example")), (Section::Answer, ptr("a.example"))]);
    assert_eq!(octets.len(), 12 + message.body.len() + (12 + 11) + (12 + 2));
    decode(&octets);
}

#[test]
fn a_name_that_only_looks_like_the_end_of_the_question_is_written_out() {
    // The octets `\x01b\x00` end the question, but within a label.
    let message = query(r"a\001b", RecordType::CNAME);
    let records = [(Section::Answer, alias(r"a\001b", "b"))];
    let reply = decode(&udp(&message, &records));
    assert_eq!(reply.sections[0], [r"a\001b. 5 IN CNAME b."]);
}

#[test]
fn a_pointer_never_leads_beyond_its_reach() {
    // 300 targets of more than 60 octets pass 16384; their addresses have to be right all the same.
    let owner = "_a._tcp.db.example";
    let target = |i: u32| format!("endpoint-{i}.{}.db.example", "x".repeat(40));
    let mut records: Vec<_> = (0..300).map(|i| (Section::Answer, srv(owner, &target(i)))).collect();
    let addresses = |i| [a(&target(i), 1), a(&target(i), 2)].map(|record| (Section::Additional, record));
    records.extend((0..300).flat_map(addresses));
    let (octets, written) = answer(&query(owner, RecordType::SRV), Transport::Tcp, &records);
    let reply = decode(&octets);
    let lines = |section: Section| {
        records.iter().filter(|(of, _)| *of == section).map(|(_, record)| record.to_string()).collect::<Vec<_>>()
    };
    assert!(!written.truncated && octets.len() > 0x4000);
    assert_eq!(reply.sections[0], lines(Section::Answer));
    assert_eq!(reply.sections[2], lines(Section::Additional));
}

#[test]
fn the_limit_is_512_or_what_both_sides_take() {
    let records = addresses("a.example", 5000);
    let mut settings = Settings::default();
    let mut length = |message: &Message, transport, max_udp| {
        settings.max_udp = max_udp;
        let (octets, written) = answer_with(message, transport, &settings, OURS, &records);
        assert_eq!((written.length, written.truncated), (octets.len(), true));
        let reply = decode(&octets);
        assert_eq!(reply.flags & TC, TC);
        assert_eq!(reply.edns.is_some(), message.counts[3] == 1);
        octets.len()
    };
    let plain = query("a.example", RecordType::A);
    let edns = |size| plain.clone().edns(size, false);
    // The question ends at octet 27; records of 16 octets, an OPT record of 11.
    let filled = |limit: usize, opt: usize| 27 + (limit - 27 - opt) / 16 * 16 + opt;
    assert_eq!(length(&plain, Transport::Udp, 1232), filled(512, 0));
    for (client, ours, limit) in [
        (0, 1232, 512),
        (511, 1232, 512),
        (512, 1232, 512),
        (513, 1232, 513),
        (1000, 1232, 1000),
        (1232, 1232, 1232),
        (4096, 1232, 1232),
        (65_535, 4096, 4096),
        (65_535, 65_535, 65_535),
        (1232, 0, 512),
    ] {
        assert_eq!(length(&edns(client), Transport::Udp, ours), filled(limit, 11), "{client} {ours}");
    }
    assert_eq!(length(&plain, Transport::Tcp, 1232), filled(65_535, 0));
    assert_eq!(length(&edns(512), Transport::Tcp, 1232), filled(65_535, 11));
}

#[test]
fn a_name_of_32_octets_leaves_room_for_28_addresses_in_512_and_73_in_1232() {
    let owner = "svc1234.ns12.svc.cluster.local";
    assert_eq!(name(owner).as_ref().as_wire().len(), 32);
    let message = query(owner, RecordType::A);
    let count = |message: &Message| decode(&udp(message, &addresses(owner, 100))).sections[0].len();
    assert_eq!([512, 1232].map(|size| count(&message.clone().edns(size, false))), [28, 73]);
    assert_eq!(count(&message), 29);
}

#[test]
fn opt_is_there_exactly_if_the_query_had_one_with_our_size_and_its_do_bit() {
    let message = query("a.example", RecordType::A);
    let records = [(Section::Answer, a("a.example", 1))];
    assert_eq!(decode(&udp(&message, &records)).edns, None);
    for dnssec_ok in [false, true] {
        let reply = decode(&udp(&message.clone().edns(4096, dnssec_ok), &records));
        assert_eq!(reply.edns, Some(Edns { size: 1232, dnssec_ok }));
        assert!(!reply.sections[0].iter().any(|line| type_of(line) == RecordType::RRSIG));
    }
}

#[test]
fn what_does_not_fit_is_cut_at_its_end_and_aliases_stay_before_their_targets() {
    let mut records =
        vec![(Section::Answer, alias("a.example", "b.example")), (Section::Answer, alias("b.example", "c.example"))];
    records.extend(addresses("c.example", 100));
    records.push((Section::Authority, soa("example")));
    let reply = decode(&udp(&query("a.example", RecordType::A), &records));
    let lines: Vec<_> = records.iter().map(|(_, record)| record.to_string()).collect();
    assert!(reply.sections[0].len() > 2 && reply.sections[0] == lines[..reply.sections[0].len()]);
    assert_eq!((reply.flags & TC, &reply.sections[1..]), (TC, &[vec![], vec![]][..]));
}

#[test]
fn additional_records_that_do_not_fit_go_in_whole_sets_and_without_tc() {
    let owner = "_a._tcp.db.example";
    let aaaa = |i: u16| {
        let data = RecordData::Aaaa([0xfd00, 0, 0, 0, 0, 0, 0, i].into());
        (Section::Additional, Record { owner: name("db.example"), ttl: 5, data })
    };
    let (answers, soa) = ((Section::Answer, srv(owner, "db.example")), (Section::Authority, soa("example")));
    let mut records = vec![answers.clone(), soa.clone()];
    records.extend((0..5).map(|i| (Section::Additional, a("db.example", i))));
    records.extend((0..100).map(aaaa));
    records.push((Section::Additional, a("other.example", 9)));
    let reply = decode(&udp(&query(owner, RecordType::SRV), &records));
    assert_eq!(reply.flags & TC, 0);
    assert_eq!(reply.sections.each_ref().map(Vec::len), [1, 1, 5]);
    assert!(reply.sections[2].iter().all(|line| type_of(line) == RecordType::A));
    // A set that is too long from its first record on.
    let records: Vec<_> = [answers, soa].into_iter().chain((0..100).map(aaaa)).collect();
    let reply = decode(&udp(&query(owner, RecordType::SRV), &records));
    assert_eq!((reply.flags & TC, reply.sections[2].len()), (0, 0));
}

#[test]
fn a_record_of_an_earlier_section_is_left_out_as_if_it_did_not_fit() {
    let records = [(Section::Authority, soa("example")), (Section::Answer, a("a.example", 1))];
    let (octets, written) = answer(&query("a.example", RecordType::A), Transport::Udp, &records);
    let reply = decode(&octets);
    assert_eq!(
        (written.truncated, reply.flags & TC, reply.sections[0].len(), reply.sections[1].len()),
        (true, TC, 0, 1)
    );
}

#[test]
fn a_ttl_is_at_most_31_bits() {
    for (ttl, written) in [(0, 0), (u32::MAX >> 1, 2_147_483_647), (1 << 31, 2_147_483_647), (u32::MAX, 2_147_483_647)]
    {
        let record = Record { ttl, ..a("a.example", 1) };
        let reply = decode(&udp(&query("a.example", RecordType::A), &[(Section::Answer, record)]));
        assert_eq!(reply.sections[0], [format!("a.example. {written} IN A 10.0.0.1")]);
    }
}

#[test]
fn text_lies_in_strings_of_255_octets() {
    let text = |text: &[u8]| Record { owner: name("a.example"), ttl: 5, data: RecordData::Txt(text.to_vec().into()) };
    let message = query("a.example", RecordType::TXT);
    let data = |length: usize| {
        let octets = answer(&message, Transport::Tcp, &[(Section::Answer, text(&vec![b'x'; length]))]).0;
        octets[12 + message.body.len() + 10..].to_vec()
    };
    assert_eq!(data(0), b"\0\x01\0");
    assert_eq!(data(5), b"\0\x06\x05xxxxx");
    assert_eq!(data(256)[..3], [1, 2, 255]);
    assert_eq!(data(256)[258..], *b"\x01x");
    // More than a record, or a message, can hold.
    for length in [65_535, 100_000] {
        let record = (Section::Answer, text(&vec![b'x'; length]));
        let (octets, written) = answer(&message, Transport::Tcp, &[record]);
        assert!(written.truncated && decode(&octets).sections[0].is_empty());
    }
}

#[test]
fn a_buffer_is_never_too_short_unseen() {
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
    let message = query(&long, RecordType::A).edns(4096, false);
    let octets = message.octets();
    let query = Query::read(&octets, Transport::Udp).unwrap();
    let records = addresses(&long, 100);
    let ask = |out: &mut [u8]| {
        reply(&query, &Settings::default(), out, |_, writer| {
            put(writer, &records);
            OURS
        })
    };
    for length in [0, 11, 12, 300, 511] {
        assert_eq!(ask(&mut vec![0; length]), Err(BufferTooSmall { length }));
    }
    for length in [512, 600, 1231] {
        let mut out = vec![0; length];
        let written = ask(&mut out).unwrap();
        assert!(written.truncated && written.length <= length && written.length + 16 > length);
        decode(&out[..written.length]);
    }
    let refusal = Query::read(&octets[..20], Transport::Udp).unwrap_err();
    assert_eq!(refusal.reply(&Settings::default(), &mut [0; 511]), Err(BufferTooSmall { length: 511 }));
}

#[test]
fn a_writer_is_a_sink_like_any_other() {
    fn ask(sink: &mut dyn Sink) -> Verdict<&'static str> {
        put(sink, &[(Section::Answer, a("a.example", 1))]);
        Verdict { rcode: Rcode::NoError, authoritative: true, reason: "because" }
    }
    let octets = query("a.example", RecordType::A).octets();
    let query = Query::read(&octets, Transport::Udp).unwrap();
    let mut out = [0; 512];
    let written = reply(&query, &Settings::default(), &mut out, |_, writer| ask(writer)).unwrap();
    assert_eq!(written.verdict.reason, "because");
    assert_eq!(decode(&out[..written.length]).sections[0], ["a.example. 5 IN A 10.0.0.1"]);
}
