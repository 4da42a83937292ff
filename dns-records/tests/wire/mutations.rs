//! Every truncation and every flipped bit of fifty queries: answered or ignored as the table of refusals says.

use dns_records::wire::{Query, Settings, Transport, reply};
use dns_records::{RecordType, Section};

use super::decode::{AA, CD, QR, RD, decode};
use super::encode::{Message, OURS, a, opt, put, query};

/// What is to become of a message, by a reader that takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Nothing,
    Error { rcode: u16, question: bool, opt: bool },
    Answer { opt: bool },
}

/// The labels at an offset and the offset behind them; a pointer leads before the labels that it ends.
fn labels(octets: &[u8], at: usize, pointers: usize) -> Option<(Vec<Vec<u8>>, usize)> {
    let (mut found, mut here) = (Vec::new(), at);
    loop {
        let length = usize::from(*octets.get(here)?);
        match length {
            0 => return Some((found, here + 1)),
            1..=63 => found.push(octets.get(here + 1..here + 1 + length)?.to_vec()),
            0xc0.. => {
                let target = (length & 0x3f) << 8 | usize::from(*octets.get(here + 1)?);
                if target >= at || target < 12 || pointers == 126 {
                    return None;
                }
                found.extend(labels(octets, target, pointers + 1)?.0);
                return Some((found, here + 2));
            }
            _ => return None,
        }
        here += 1 + length;
    }
}

fn name(octets: &[u8], at: usize) -> Option<(Vec<Vec<u8>>, usize)> {
    labels(octets, at, 0).filter(|(labels, _)| labels.iter().map(|label| label.len() + 1).sum::<usize>() < 255)
}

fn number(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]))
}

fn expected(octets: &[u8], transport: Transport) -> Expected {
    if octets.len() < 12 || octets[2] >= 0x80 {
        return Expected::Nothing;
    }
    let count = |at| number(octets, at).unwrap();
    let end = name(octets, 12).filter(|(labels, end)| {
        // Without a pointer, the octets are those of the labels.
        octets.len() >= end + 4 && labels.iter().map(|label| label.len() + 1).sum::<usize>() + 13 == *end
    });
    let end = end.filter(|_| count(4) == 1).map(|(_, end)| end + 4);
    let error = |rcode, opt| Expected::Error { rcode, question: end.is_some(), opt };
    if octets[2] & 0x78 != 0 {
        return error(4, false);
    }
    let Some(end) = end else { return error(1, false) };
    if count(6) > 1 || count(8) > 1 || count(10) > 2 {
        return error(1, false);
    }
    let (mut at, mut version) = (end, None);
    for (section, records) in [count(6), count(8), count(10)].into_iter().enumerate() {
        for _ in 0..records {
            let Some((owner, fixed)) = name(octets, at) else { return error(1, version.is_some()) };
            let Some(length) = number(octets, fixed + 8) else { return error(1, version.is_some()) };
            if octets.len() < fixed + 10 + usize::from(length) {
                return error(1, version.is_some());
            }
            if number(octets, fixed) == Some(41) {
                if version.is_some() || section < 2 || !owner.is_empty() || octets[at] != 0 {
                    return error(1, version.is_some());
                }
                version = Some(octets[fixed + 5]);
            }
            at = fixed + 10 + usize::from(length);
        }
    }
    let opt = version.is_some();
    let record_type = number(octets, end - 4).unwrap();
    match version {
        Some(1..) => error(16, opt),
        _ if record_type == 41 => error(1, opt),
        _ if number(octets, end - 2) != Some(1) => error(5, opt),
        _ if [251, 252].contains(&record_type) && transport == Transport::Udp => error(5, opt),
        _ => Expected::Answer { opt },
    }
}

/// Fifty queries: ten names and types, in five forms.
fn queries() -> Vec<Message> {
    let names = [
        ("svc1234.ns12.svc.cluster.local", RecordType::A),
        ("_http._tcp.CaRt.shop.svc.cluster.local", RecordType::SRV),
        ("1.0.0.10.in-addr.arpa", RecordType::PTR),
        (".", RecordType::NS),
        ("cluster.local", RecordType::SOA),
        ("a.b.c.d.e.f.g.h.i.j.k", RecordType::ANY),
        (r"\000\255\.b.example", RecordType::TXT),
        ("www.example.com", RecordType::HTTPS),
        ("dns-version.cluster.local", RecordType::AAAA),
        ("x", RecordType(65_280)),
    ];
    // A cookie; a TSIG record that is not looked into; an SOA record as IXFR sends it, its owner a pointer.
    let cookie = opt(1232, 0, true, b"\0\x0a\0\x08abcdefgh");
    let tsig = b"\x03key\x07example\0\0\xfa\0\xff\0\0\0\0\0\x03abc";
    let soa = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let forms = |message: Message| {
        [
            message.clone(),
            message.clone().edns(4096, false),
            message.clone().record(3, &cookie),
            message.clone().flags(RD | CD).edns(512, true).record(3, tsig),
            message.flags(0).record(2, soa),
        ]
    };
    names.into_iter().flat_map(|(name, record_type)| forms(query(name, record_type))).collect()
}

/// Whether the outcome is the expected one, and says what it has to.
#[track_caller]
fn check(octets: &[u8], transport: Transport) -> Expected {
    let expected = expected(octets, transport);
    let settings = Settings::default();
    let mut out = [0xaa; 2048];
    let (length, found) = match Query::read(octets, transport) {
        Ok(query) => {
            let answer = [(Section::Answer, a("www.example", 1)), (Section::Additional, a("x.example", 2))];
            let written = reply(&query, &settings, &mut out, |_, writer| {
                put(writer, &answer);
                OURS
            });
            (written.unwrap().length, Expected::Answer { opt: query.edns().is_some() })
        }
        Err(refusal) => match refusal.reply(&settings, &mut out).unwrap() {
            None => {
                assert_eq!(Expected::Nothing, expected, "{octets:02x?}");
                return expected;
            }
            Some(length) => {
                let rcode = refusal.fault().rcode().unwrap() as u16;
                let question = out[5] == 1;
                (length, Expected::Error { rcode, question, opt: out[11] == 1 })
            }
        },
    };
    assert_eq!(found, expected, "{octets:02x?}");
    let reply = decode(&out[..length]);
    let sent = u16::from_be_bytes([octets[2], octets[3]]);
    let authoritative = if matches!(expected, Expected::Answer { .. }) { AA } else { 0 };
    assert_eq!(reply.flags, QR | authoritative | sent & (0x7800 | RD | CD));
    assert_eq!(out[..2], octets[..2]);
    assert!(octets[12..].starts_with(&reply.question));
    let (rcode, question, opt, records) = match expected {
        Expected::Error { rcode, question, opt } => (rcode, question, opt, 0),
        Expected::Answer { opt } => (0, true, opt, 1),
        Expected::Nothing => unreachable!(),
    };
    assert_eq!((reply.rcode, !reply.question.is_empty(), reply.edns.is_some()), (rcode, question, opt));
    assert_eq!((reply.sections[0].len(), reply.sections[2].len()), (records, records));
    expected
}

#[test]
fn fifty_queries_are_answered() {
    let queries = queries();
    assert_eq!(queries.len(), 50);
    for query in queries {
        assert!(matches!(check(&query.octets(), Transport::Udp), Expected::Answer { .. }));
    }
}

#[test]
fn every_truncation_is_answered_or_ignored_as_specified() {
    for query in queries() {
        let octets = query.octets();
        for length in 0..octets.len() {
            let expected = check(&octets[..length], Transport::Udp);
            assert!(!matches!(expected, Expected::Answer { .. }), "{length} of {octets:02x?}");
        }
    }
}

#[test]
fn every_flipped_bit_is_answered_or_ignored_as_specified() {
    let mut seen = std::collections::BTreeMap::new();
    for query in queries() {
        let octets = query.octets();
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            for transport in [Transport::Udp, Transport::Tcp] {
                *seen.entry(format!("{:?}", check(&flipped, transport))).or_insert(0) += 1;
            }
        }
    }
    // Silence, answers with and without OPT, and of each error more than one form.
    assert!(seen.len() >= 9, "{seen:?}");
}
