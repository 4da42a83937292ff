//! Queries as octets, right ones and wrong ones.

use dns_records::wire::{Query, Reply, Settings, Transport, reply};
use dns_records::{Name, Rcode, Record, RecordData, RecordType, Section, Sink, Verdict};

/// Builds a message piece by piece; counts are as told, whether or not they are true.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    pub(crate) counts: [u16; 4],
    pub(crate) body: Vec<u8>,
}

/// A query for a name of a type, RD set.
pub(crate) fn query(name: &str, record_type: RecordType) -> Message {
    let name: Name = name.parse().unwrap();
    let message = Message { id: 0x1234, flags: super::decode::RD, counts: [1, 0, 0, 0], body: Vec::new() };
    message.put(name.as_ref().as_wire()).put(&record_type.0.to_be_bytes()).put(&[0, 1])
}

impl Message {
    pub(crate) fn put(mut self, octets: &[u8]) -> Self {
        self.body.extend_from_slice(octets);
        self
    }

    pub(crate) fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    pub(crate) fn counts(self, counts: [u16; 4]) -> Self {
        Self { counts, ..self }
    }

    /// Adds an OPT record to the additional section.
    pub(crate) fn edns(self, size: u16, dnssec_ok: bool) -> Self {
        self.record(3, &opt(size, 0, dnssec_ok, &[]))
    }

    /// Adds a record to a section (1 answer, 2 authority, 3 additional).
    pub(crate) fn record(mut self, section: usize, octets: &[u8]) -> Self {
        self.counts[section] += 1;
        self.put(octets)
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let header = [self.id, self.flags].into_iter().chain(self.counts).flat_map(u16::to_be_bytes);
        header.chain(self.body.iter().copied()).collect()
    }
}

pub(crate) fn opt(size: u16, version: u8, dnssec_ok: bool, options: &[u8]) -> Vec<u8> {
    let flags = if dnssec_ok { 0x80 } else { 0 };
    let [high, low] = size.to_be_bytes();
    [&[0, 0, 41, high, low, 0, version, flags, 0], &(options.len() as u16).to_be_bytes()[..], options].concat()
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn a(owner: &str, last: u8) -> Record {
    Record { owner: name(owner), ttl: 5, data: RecordData::A([10, 0, 0, last].into()) }
}

/// Puts owned records into a sink.
pub(crate) fn put<'a>(sink: &mut dyn Sink, records: impl IntoIterator<Item = &'a (Section, Record)>) {
    for (section, record) in records {
        let owner = (&record.owner).into();
        let data = match &record.data {
            RecordData::A(addr) => RecordData::A(*addr),
            RecordData::Aaaa(addr) => RecordData::Aaaa(*addr),
            RecordData::Srv { priority, weight, port, target } => {
                RecordData::Srv { priority: *priority, weight: *weight, port: *port, target: target.into() }
            }
            RecordData::Cname(target) => RecordData::Cname(target.into()),
            RecordData::Ptr(target) => RecordData::Ptr(target.into()),
            RecordData::Ns(target) => RecordData::Ns(target.into()),
            RecordData::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => RecordData::Soa {
                primary: primary.into(),
                mailbox: mailbox.into(),
                serial: *serial,
                refresh: *refresh,
                retry: *retry,
                expire: *expire,
                minimum: *minimum,
            },
            RecordData::Txt(text) => RecordData::Txt(text.clone()),
            other => panic!("{other:?}"),
        };
        sink.record(*section, &Record { owner, ttl: record.ttl, data });
    }
}

/// A record as it comes back: owners equal to the question have its spelling, and a TTL has 31 bits.
pub(crate) fn as_read(asked: &Name, record: &Record) -> String {
    let owner = if record.owner == *asked { asked.clone() } else { record.owner.clone() };
    Record { owner, ttl: record.ttl.min(i32::MAX as u32), data: record.data.clone() }.to_string()
}

pub(crate) const OURS: Verdict<()> = Verdict { rcode: Rcode::NoError, authoritative: true, reason: () };

/// The reply to a query that is answered with these records.
#[track_caller]
pub(crate) fn answer(message: &Message, transport: Transport, records: &[(Section, Record)]) -> (Vec<u8>, Reply<()>) {
    answer_with(message, transport, &Settings::default(), OURS, records)
}

#[track_caller]
pub(crate) fn answer_with(
    message: &Message,
    transport: Transport,
    settings: &Settings,
    verdict: Verdict<()>,
    records: &[(Section, Record)],
) -> (Vec<u8>, Reply<()>) {
    let octets = message.octets();
    let query = Query::read(&octets, transport).expect("a query");
    let mut out = vec![0xaa; 65_535];
    let written = reply(&query, settings, &mut out, |_, writer| {
        put(writer, records);
        verdict
    });
    let written = written.expect("room");
    out.truncate(written.length);
    (out, written)
}
