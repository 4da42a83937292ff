//! How does a whole zone go over a stream? In as many messages as it takes (RFC 5936 section 2.2).

use super::query::Query;
use super::writer::Writer;
use super::{BufferTooSmall, Settings};
use crate::answer::{Question, Rcode, Section, Sink, Verdict};
use crate::record::RecordRef;

/// A transfer that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer<R> {
    /// How many messages it took.
    pub messages: usize,
    /// How many records are in no message, since they are longer than one may be.
    pub left_out: usize,
    /// What the closure gave.
    pub verdict: Verdict<R>,
}

/// Writes the reply to an AXFR or IXFR query: each time a message in `out` is full, and at the end, `send` gets it.
///
/// An IXFR query may be answered with a whole zone (RFC 1995 section 4). Every message has the question and, if the query had one, an OPT record; none is longer than 65535 octets or `out`. Where
/// the closure refuses, that is the one message. Allocates nothing.
///
/// ```
/// use dns_records::wire::{Query, Settings, Transport, transfer};
/// use dns_records::{Name, Rcode, Record, RecordData, Section, Sink, Verdict};
/// let query = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x07example\0\0\xfc\0\x01"; // AXFR
/// let query = Query::read(query, Transport::Tcp).unwrap();
/// let mut stream = Vec::new();
/// let done = transfer(&query, &Settings::default(), &mut [0; 4096], |question, sink| {
///     for i in 0..1000u32 { // SOA first and last, in earnest
///         let data = RecordData::A(i.into());
///         sink.record(Section::Answer, &Record { owner: question.name.into(), ttl: 5, data });
///     }
///     Verdict { rcode: Rcode::NoError, authoritative: true, reason: () }
/// }, |message| {
///     stream.extend_from_slice(&(message.len() as u16).to_be_bytes());
///     stream.extend_from_slice(message);
/// })?;
/// assert_eq!((done.messages, stream.len()), (4, 1000 * 16 + 4 * (2 + 12 + 13)));
/// # Ok::<(), dns_records::wire::BufferTooSmall>(())
/// ```
///
/// # Errors
/// `out` is shorter than [`MIN_MESSAGE`](super::MIN_MESSAGE).
pub fn transfer<'q, R>(
    query: &Query<'q>,
    settings: &Settings,
    out: &mut [u8],
    answer: impl FnOnce(Question<'q>, &mut dyn Sink) -> Verdict<R>,
    mut send: impl FnMut(&[u8]),
) -> Result<Transfer<R>, BufferTooSmall> {
    let writer = Writer::open(query, settings, out)?;
    let mut stream = Stream { query, settings, writer, send: &mut send, messages: 0, left_out: 0 };
    let verdict = answer(query.question(), &mut stream);
    stream.flush(verdict.rcode, verdict.authoritative);
    Ok(Transfer { messages: stream.messages, left_out: stream.left_out, verdict })
}

/// Takes records, and sends a message whenever one is full.
struct Stream<'a, 'q, 's> {
    query: &'a Query<'q>,
    settings: &'a Settings,
    writer: Writer<'a>,
    send: &'s mut dyn FnMut(&[u8]),
    messages: usize,
    left_out: usize,
}

impl Stream<'_, '_, '_> {
    fn flush(&mut self, rcode: Rcode, authoritative: bool) {
        let length = self.writer.close(self.query, self.settings, rcode, authoritative);
        (self.send)(self.writer.written(length));
        self.messages += 1;
        self.writer.start_over(self.query);
    }
}

impl Sink for Stream<'_, '_, '_> {
    fn record(&mut self, section: Section, record: &RecordRef<'_>) {
        if self.writer.push(section, record).is_some() {
            return;
        }
        // Whoever hands out a zone has authority over it.
        if self.writer.is_empty() {
            self.writer.start_over(self.query);
        } else {
            self.flush(Rcode::NoError, true);
        }
        if self.writer.push(section, record).is_none() {
            self.writer.start_over(self.query);
            self.left_out += 1;
        }
    }
}
