//! What is accepted, and what is sent to what is not: each row of the table of refusals.

use dns_records::RecordType;
use dns_records::wire::{Fault, NameFault, Query, Settings, Transport};

use super::decode::{CD, Decoded, Edns, QR, RD, decode};
use super::encode::{Message, opt, query};

/// The fault of a message and the reply to it.
#[track_caller]
fn refused(octets: &[u8], transport: Transport) -> (Fault, Option<Decoded>) {
    let refusal = Query::read(octets, transport).expect_err("a refusal");
    let mut out = [0xaa; 512];
    let length = refusal.reply(&Settings::default(), &mut out).unwrap();
    assert_eq!(length.is_some(), refusal.fault().rcode().is_some());
    assert_eq!(refusal.to_string(), refusal.fault().to_string());
    let reply = length.map(|length| decode(&out[..length]));
    if let Some(reply) = &reply {
        assert_eq!(reply.sections, [(); 3].map(|()| Vec::<String>::new()));
        assert_eq!(reply.rcode, refusal.fault().rcode().unwrap() as u16);
    }
    (refusal.fault(), reply)
}

/// Refused over UDP with a reply; the flags of it, and whether it has the question and an OPT record.
#[track_caller]
fn error(message: &Message) -> (Fault, u16, bool, bool) {
    let (fault, reply) = refused(&message.octets(), Transport::Udp);
    let reply = reply.expect("a reply");
    assert_eq!(reply.id, message.id);
    assert!(reply.question.is_empty() || message.body.starts_with(&reply.question));
    (fault, reply.flags, !reply.question.is_empty(), reply.edns.is_some())
}

fn plain() -> Message {
    query("wWw.example", RecordType::A)
}

#[test]
fn a_query_is_read() {
    let message = plain().flags(RD | CD).edns(4096, true).octets();
    let query = Query::read(&message, Transport::Udp).unwrap();
    assert_eq!(query.id(), 0x1234);
    assert_eq!(query.question().name.as_wire(), b"\x03wWw\x07example\0");
    assert_eq!(query.question().record_type, RecordType::A);
    assert_eq!(query.edns(), Some(dns_records::wire::Edns { size: 4096, dnssec_ok: true }));
    assert!(query.recursion_desired() && query.checking_disabled());
    assert_eq!((query.transport(), query.limit(&Settings::default())), (Transport::Udp, 1232));
    let bare = plain().flags(0).octets();
    let bare = Query::read(&bare, Transport::Udp).unwrap();
    assert_eq!((bare.edns(), bare.recursion_desired(), bare.checking_disabled()), (None, false, false));
}

#[test]
fn less_than_a_header_gets_no_reply() {
    let octets = plain().octets();
    for length in 0..12 {
        assert_eq!(refused(&octets[..length], Transport::Udp), (Fault::TooShort { length }, None));
    }
    assert!(matches!(refused(&octets[..12], Transport::Udp), (Fault::Question(NameFault::CutShort), Some(_))));
}

#[test]
fn a_reply_is_never_answered() {
    for flags in [QR, QR | RD, 0xffff] {
        assert_eq!(refused(&plain().flags(flags).octets(), Transport::Udp), (Fault::IsReply, None));
    }
}

#[test]
fn an_opcode_other_than_query_gets_notimp_with_header_and_question_only() {
    // IQUERY, STATUS, NOTIFY, UPDATE, DSO and one that nobody has.
    for opcode in [1u8, 2, 4, 5, 6, 15] {
        let message = plain().flags(u16::from(opcode) << 11 | RD).edns(1232, false);
        let (fault, flags, question, edns) = error(&message);
        assert_eq!((fault, flags), (Fault::Opcode(opcode), QR | u16::from(opcode) << 11 | RD));
        assert!(question && !edns);
    }
    // An UPDATE has no question section: what stands there is not repeated.
    let update = plain().flags(5 << 11).counts([2, 1, 1, 0]);
    assert_eq!(error(&update), (Fault::Opcode(5), QR | 5 << 11, false, false));
}

#[test]
fn a_count_of_questions_other_than_one_gets_formerr() {
    for count in [0, 2, 65_535] {
        let message = plain().counts([count, 0, 0, 0]);
        assert_eq!(error(&message), (Fault::QuestionCount(count), QR | RD, false, false));
    }
}

#[test]
fn a_question_that_cannot_be_read_gets_formerr_and_is_not_repeated() {
    let long = [&b"\x3f"[..], &[b'a'; 63]].concat();
    let limit = [&long[..], &long, &long, b"\x3d", &[b'a'; 61], b"\0\0\x01\0\x01"].concat();
    let over = [&long[..], &long, &long, b"\x3e", &[b'a'; 62], b"\0\0\x01\0\x01"].concat();
    let broken = [
        (&b"\x40aaaa\0\0\x01\0\x01"[..], NameFault::LabelType(0x40)),
        (b"\x01a\xbfa\0\0\x01\0\x01", NameFault::LabelType(0xbf)),
        (b"\xc0\x0c\0\x01\0\x01", NameFault::Pointer),
        (b"\x01a\xc0\x04\0\x01\0\x01", NameFault::Pointer),
        (b"\x01a\xff", NameFault::Pointer),
        (&over, NameFault::TooLong),
        (b"", NameFault::CutShort),
        (b"\x03aa", NameFault::CutShort),
        (b"\x01a\0", NameFault::CutShort),
        (b"\x01a\0\0\x01\0", NameFault::CutShort),
    ];
    for (body, fault) in broken {
        let message = Message { body: body.to_vec(), ..plain() };
        assert_eq!(error(&message), (Fault::Question(fault), QR | RD, false, false), "{body:02x?}");
    }
    let longest = Message { body: limit, ..plain() };
    assert_eq!(Query::read(&longest.octets(), Transport::Udp).unwrap().question().name.as_wire().len(), 255);
    let root = Message { body: b"\0\0\x01\0\x01".to_vec(), ..plain() };
    assert!(Query::read(&root.octets(), Transport::Udp).unwrap().question().name.is_root());
}

/// `example. 0 IN A 0.0.0.0`, with its name written out.
const RECORD: &[u8] = b"\x07example\0\0\x01\0\x01\0\0\0\0\0\x04\0\0\0\0";

#[test]
fn more_records_than_a_query_can_have_get_formerr() {
    for (section, most) in [(1, 1), (2, 1), (3, 2)] {
        let mut message = plain();
        for _ in 0..most {
            message = message.record(section, RECORD);
        }
        assert!(Query::read(&message.octets(), Transport::Udp).is_ok(), "section {section}");
        let message = message.record(section, RECORD);
        let [_, answer, authority, additional] = message.counts;
        let fault = Fault::RecordCounts { answer, authority, additional };
        assert_eq!(error(&message), (fault, QR | RD, true, false));
        // The count alone, whatever follows.
        let [mut counts, bare] = [message.counts, plain().counts];
        counts[section] = 65_535;
        assert!(bare != counts && matches!(error(&plain().counts(counts)).0, Fault::RecordCounts { .. }));
    }
}

#[test]
fn a_record_that_is_not_there_or_cut_short_gets_formerr() {
    let at = plain().octets().len();
    let fault = Fault::Record { at };
    assert_eq!(error(&plain().counts([1, 0, 0, 1])), (fault, QR | RD, true, false));
    for length in 0..RECORD.len() {
        let message = plain().record(3, &RECORD[..length]);
        assert_eq!(error(&message), (fault, QR | RD, true, false), "{length}");
    }
    let opt = opt(1232, 0, false, b"\0\x0a\0\x08abcdefgh");
    for length in 0..opt.len() {
        assert_eq!(error(&plain().record(3, &opt[..length])).0, fault);
    }
}

#[test]
fn junk_behind_the_last_record_is_ignored() {
    for message in [plain(), plain().edns(1232, false), plain().record(2, RECORD)] {
        assert!(Query::read(&message.put(&[0xff; 100]).octets(), Transport::Udp).is_ok());
    }
}

#[test]
fn two_opt_records_a_named_one_and_a_misplaced_one_get_formerr() {
    let at = plain().octets().len();
    let good = opt(1232, 0, false, &[]);
    let named = [b"\x01a", &good[..]].concat();
    // A pointer to a zero octet is another way to write the root, and not the one that RFC 6891 asks for.
    let pointed = [&(0xc000 | (at as u16 - 5)).to_be_bytes(), &good[1..]].concat();
    let second = Fault::Opt { at: at + good.len() };
    assert_eq!(error(&plain().record(3, &good).record(3, &good)), (second, QR | RD, true, true));
    for (section, octets) in [(3, &named), (3, &pointed), (1, &good), (2, &good)] {
        assert_eq!(error(&plain().record(section, octets)), (Fault::Opt { at }, QR | RD, true, false));
    }
}

#[test]
fn an_edns_version_above_zero_gets_badvers_with_an_opt_record() {
    for version in [1, 255] {
        let message = plain().record(3, &opt(4096, version, true, &[]));
        let (fault, reply) = refused(&message.octets(), Transport::Udp);
        let reply = reply.unwrap();
        assert_eq!((fault, reply.rcode), (Fault::EdnsVersion(version), 16));
        assert_eq!(reply.edns, Some(Edns { size: 1232, dnssec_ok: true }));
        assert!(!reply.question.is_empty());
    }
}

#[test]
fn unknown_options_and_flags_are_ignored_and_not_repeated() {
    let options = b"\0\x0a\0\x08abcdefgh\xff\xff\0\x01x\0\x0c\0\x03\0\0";
    let mut octets = opt(1232, 0, false, options);
    (octets[7], octets[8]) = (0x7f, 0xff);
    let message = plain().record(3, &octets).octets();
    let query = Query::read(&message, Transport::Udp).unwrap();
    assert_eq!(query.edns(), Some(dns_records::wire::Edns { size: 1232, dnssec_ok: false }));
}

#[test]
fn a_class_other_than_in_gets_refused() {
    for class in [0u16, 3, 4, 254, 255] {
        let mut message = plain().edns(512, false);
        let end = plain().body.len();
        message.body[end - 2..end].copy_from_slice(&class.to_be_bytes());
        assert_eq!(error(&message), (Fault::Class(class), QR | RD, true, true));
    }
}

#[test]
fn a_transfer_is_refused_over_udp_and_read_over_tcp() {
    for record_type in [RecordType::AXFR, RecordType::IXFR] {
        let message = query("example", record_type);
        assert_eq!(error(&message), (Fault::TransferOverUdp, QR | RD, true, false));
        assert!(Query::read(&message.octets(), Transport::Tcp).is_ok());
    }
    // IXFR tells the serial it has in the authority section (RFC 1995 section 3).
    let soa = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let message = query("example", RecordType::IXFR).record(2, soa);
    assert!(Query::read(&message.octets(), Transport::Tcp).is_ok());
}

#[test]
fn a_question_for_type_opt_gets_formerr_and_every_other_type_is_read() {
    assert_eq!(error(&query("example", RecordType(41))), (Fault::OptQuestion, QR | RD, true, false));
    // SIG, TKEY, TSIG, MAILB, ANY, and numbers that nobody has: a type that no name has.
    for number in [0, 24, 99, 128, 200, 249, 250, 253, 255, 4711, 65_535] {
        let message = query("example", RecordType(number)).octets();
        assert_eq!(Query::read(&message, Transport::Udp).unwrap().question().record_type, RecordType(number));
    }
}

#[test]
fn what_is_wrong_first_decides() {
    let everything = plain().flags(4 << 11).counts([0, 9, 9, 9]);
    assert_eq!(error(&everything).0, Fault::Opcode(4));
    assert_eq!(error(&everything.clone().flags(0)).0, Fault::QuestionCount(0));
    assert!(matches!(error(&everything.flags(0).counts([1, 9, 9, 9])).0, Fault::RecordCounts { .. }));
    // The version of EDNS says how the rest is to be understood.
    let mut chaos = plain().record(3, &opt(1232, 7, false, &[]));
    let end = plain().body.len();
    chaos.body[end - 1] = 3;
    assert_eq!(error(&chaos).0, Fault::EdnsVersion(7));
}
