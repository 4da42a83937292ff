//! What `domain` and `hickory-proto` read in a message; they have to agree.

use dns_records::{Name, Record, RecordData, RecordType};
use domain::base::Message;
use domain::base::name::ParsedName;
use domain::rdata::AllRecordData;
use hickory_proto::rr::RData;

/// A message as others read it. Names keep their spelling in the text of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) id: u16,
    /// The third and fourth octet without the rcode.
    pub(crate) flags: u16,
    /// With the upper bits from the OPT record.
    pub(crate) rcode: u16,
    /// The octets of the question section.
    pub(crate) question: Vec<u8>,
    /// Answer, authority and additional, each record as text, OPT left out.
    pub(crate) sections: [Vec<String>; 3],
    pub(crate) edns: Option<Edns>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) size: u16,
    pub(crate) dnssec_ok: bool,
}

pub(crate) const QR: u16 = 0x8000;
pub(crate) const AA: u16 = 0x0400;
pub(crate) const TC: u16 = 0x0200;
pub(crate) const RD: u16 = 0x0100;
pub(crate) const RA: u16 = 0x0080;
pub(crate) const CD: u16 = 0x0010;

/// Reads a message that both peers must be able to read.
#[track_caller]
pub(crate) fn decode(message: &[u8]) -> Decoded {
    let (one, other) = (by_domain(message), by_hickory(message));
    assert_eq!(one, other, "domain and hickory read {message:02x?} differently");
    one
}

fn name<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Name {
    Name::from_labels(labels.into_iter().filter(|label| !label.is_empty())).expect("a name")
}

fn text(owner: Name, class: u16, ttl: u32, data: RecordData) -> String {
    assert_eq!(class, 1);
    Record { owner, ttl, data }.to_string()
}

/// The question's octets, as the peer understood them.
fn question(name: &Name, record_type: u16, class: u16) -> Vec<u8> {
    [name.as_ref().as_wire(), &record_type.to_be_bytes(), &class.to_be_bytes()].concat()
}

fn by_domain(octets: &[u8]) -> Decoded {
    let of = |parsed: &ParsedName<&[u8]>| name(parsed.iter().map(|label| label.as_slice()));
    let message = Message::from_octets(octets).expect("a message");
    let questions: Vec<_> = message.question().map(|question| question.expect("a question")).collect();
    let (_, answer, authority, additional) = message.sections().expect("sections");
    let sections = [answer, authority, additional].map(|section| {
        let records = section.into_records::<AllRecordData<&[u8], ParsedName<&[u8]>>>();
        let lines = records.filter_map(|record| {
            let record = record.expect("a record");
            let data = match record.data() {
                AllRecordData::A(a) => RecordData::A(a.addr()),
                AllRecordData::Aaaa(aaaa) => RecordData::Aaaa(aaaa.addr()),
                AllRecordData::Cname(target) => RecordData::Cname(of(target.cname())),
                AllRecordData::Ptr(target) => RecordData::Ptr(of(target.ptrdname())),
                AllRecordData::Ns(target) => RecordData::Ns(of(target.nsdname())),
                AllRecordData::Srv(srv) => {
                    let (priority, weight, port) = (srv.priority(), srv.weight(), srv.port());
                    RecordData::Srv { priority, weight, port, target: of(srv.target()) }
                }
                AllRecordData::Soa(soa) => RecordData::Soa {
                    primary: of(soa.mname()),
                    mailbox: of(soa.rname()),
                    serial: soa.serial().into_int(),
                    refresh: soa.refresh().as_secs(),
                    retry: soa.retry().as_secs(),
                    expire: soa.expire().as_secs(),
                    minimum: soa.minimum().as_secs(),
                },
                AllRecordData::Txt(txt) => RecordData::Txt(txt.iter().flatten().copied().collect::<Vec<u8>>().into()),
                AllRecordData::Opt(_) => return None,
                other => panic!("{other:?}"),
            };
            Some(text(of(record.owner()), record.class().to_int(), record.ttl().as_secs(), data))
        });
        lines.collect::<Vec<_>>()
    });
    let opt = message.opt();
    let flags = u16::from_be_bytes([octets[2], octets[3]]);
    assert_eq!(questions.len(), usize::from(message.header_counts().qdcount()));
    Decoded {
        id: message.header().id(),
        flags: flags & !0x0f,
        rcode: message.opt_rcode().to_int(),
        question: questions
            .first()
            .map_or(Vec::new(), |asked| question(&of(asked.qname()), asked.qtype().to_int(), asked.qclass().to_int())),
        sections,
        edns: opt.map(|opt| Edns { size: opt.udp_payload_size(), dnssec_ok: opt.dnssec_ok() }),
    }
}

fn by_hickory(octets: &[u8]) -> Decoded {
    let of = |parsed: &hickory_proto::rr::Name| name(parsed.iter());
    let message = hickory_proto::op::Message::from_vec(octets).expect("a message");
    let sections = [&message.answers, &message.authorities, &message.additionals].map(|records| {
        let lines = records.iter().map(|record| {
            let data = match &record.data {
                RData::A(a) => RecordData::A(a.0),
                RData::AAAA(aaaa) => RecordData::Aaaa(aaaa.0),
                RData::CNAME(target) => RecordData::Cname(of(target)),
                RData::PTR(target) => RecordData::Ptr(of(target)),
                RData::NS(target) => RecordData::Ns(of(target)),
                RData::SRV(srv) => {
                    let (priority, weight, port) = (srv.priority, srv.weight, srv.port);
                    RecordData::Srv { priority, weight, port, target: of(&srv.target) }
                }
                RData::SOA(soa) => RecordData::Soa {
                    primary: of(&soa.mname),
                    mailbox: of(&soa.rname),
                    serial: soa.serial,
                    refresh: soa.refresh as u32,
                    retry: soa.retry as u32,
                    expire: soa.expire as u32,
                    minimum: soa.minimum,
                },
                RData::TXT(txt) => RecordData::Txt(txt.txt_data.concat().into()),
                other => panic!("{other:?}"),
            };
            text(of(&record.name), record.dns_class.into(), record.ttl, data)
        });
        lines.collect::<Vec<_>>()
    });
    let metadata = &message.metadata;
    let bit = |on: bool, bit: u16| if on { bit } else { 0 };
    let flags = bit(metadata.message_type == hickory_proto::op::MessageType::Response, QR)
        | u16::from(u8::from(metadata.op_code)) << 11
        | bit(metadata.authoritative, AA)
        | bit(metadata.truncation, TC)
        | bit(metadata.recursion_desired, RD)
        | bit(metadata.recursion_available, RA)
        | bit(metadata.authentic_data, 0x20)
        | bit(metadata.checking_disabled, CD);
    Decoded {
        id: metadata.id,
        flags,
        rcode: metadata.response_code.into(),
        question: message
            .queries
            .first()
            .map_or(Vec::new(), |asked| question(&of(&asked.name), asked.query_type.into(), asked.query_class.into())),
        sections,
        edns: message.edns.as_ref().map(|edns| Edns { size: edns.max_payload(), dnssec_ok: edns.flags().dnssec_ok }),
    }
}

/// The type of a record as text.
pub(crate) fn type_of(line: &str) -> RecordType {
    line.split(' ').nth(3).expect("a type").parse().expect("a type")
}
