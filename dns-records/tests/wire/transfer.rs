//! A whole zone over a stream.

use dns_records::wire::{BufferTooSmall, Query, Settings, Transfer, Transport, transfer};
use dns_records::{Rcode, Record, RecordData, RecordType, Section, Verdict};

use super::decode::{AA, Decoded, QR, RD, decode};
use super::encode::{Message, OURS, a, name, put, query};

/// The messages of a transfer, each at most `buffer` octets.
fn messages(
    message: &Message,
    buffer: usize,
    verdict: Verdict<()>,
    records: &[(Section, Record)],
) -> (Vec<Vec<u8>>, Transfer<()>) {
    let octets = message.octets();
    let query = Query::read(&octets, Transport::Tcp).unwrap();
    let mut sent = Vec::new();
    let answer = |_: dns_records::Question<'_>, sink: &mut dyn dns_records::Sink| {
        put(sink, records);
        verdict
    };
    let done =
        transfer(&query, &Settings::default(), &mut vec![0; buffer], answer, |octets| sent.push(octets.to_vec()));
    let done = done.unwrap();
    assert_eq!(done.messages, sent.len());
    (sent, done)
}

fn zone(count: u32) -> Vec<(Section, Record)> {
    let record = |i: u32| Record { owner: name(&format!("svc{i}.ns.Example")), ..a("x", (i % 256) as u8) };
    (0..count).map(|i| (Section::Answer, record(i))).collect()
}

fn joined(messages: &[Vec<u8>]) -> (Vec<Decoded>, Vec<String>) {
    let read: Vec<_> = messages.iter().map(|message| decode(message)).collect();
    let lines = read.iter().flat_map(|message| message.sections[0].clone()).collect();
    (read, lines)
}

#[test]
fn the_messages_of_a_transfer_are_full_and_hold_every_record_once() {
    let records = zone(10_000);
    for (buffer, edns) in [(512, false), (16_384, true), (65_535, true), (100_000, false)] {
        let axfr = query("example", RecordType::AXFR);
        let message = if edns { axfr.edns(1232, false) } else { axfr };
        let (sent, done) = messages(&message, buffer, OURS, &records);
        let (read, lines) = joined(&sent);
        let expected: Vec<_> = records.iter().map(|(_, record)| record.to_string()).collect();
        assert!(lines == expected && done.left_out == 0);
        for (i, (octets, message)) in sent.iter().zip(&read).enumerate() {
            let limit = buffer.min(65_535);
            assert!(octets.len() <= limit && (i + 1 == sent.len() || octets.len() + 60 > limit), "{}", octets.len());
            assert_eq!((message.id, message.flags, message.rcode), (0x1234, QR | AA | RD, 0));
            assert_eq!((message.question.len(), message.edns.is_some()), (13, edns));
        }
    }
}

#[test]
fn a_transfer_that_is_refused_is_one_message() {
    let refused = Verdict { rcode: Rcode::Refused, authoritative: false, reason: () };
    let (sent, done) = messages(&query("example", RecordType::AXFR), 65_535, refused, &[]);
    let (read, _) = joined(&sent);
    assert_eq!((sent.len(), done.verdict.rcode), (1, Rcode::Refused));
    assert_eq!((read[0].flags, read[0].rcode, read[0].question.len()), (QR | RD, 5, 13));
}

#[test]
fn a_record_longer_than_a_message_is_counted_and_the_others_are_sent() {
    let text = |length| {
        let data = RecordData::Txt(vec![b'x'; length].into());
        (Section::Answer, Record { owner: name("example"), ttl: 5, data })
    };
    let records = [text(70_000), text(10), text(70_000), text(65_000), text(65_000), text(66_000)];
    let (sent, done) = messages(&query("example", RecordType::AXFR), 65_535, OURS, &records);
    let (_, lines) = joined(&sent);
    assert_eq!((done.left_out, lines.len()), (3, 3));
    // What is empty is not sent, save the last.
    assert!(sent.iter().rev().skip(1).all(|octets| octets.len() > 25));
}

#[test]
fn a_transfer_needs_a_buffer_too() {
    let octets = query("example", RecordType::AXFR).octets();
    let query = Query::read(&octets, Transport::Tcp).unwrap();
    let done = transfer(&query, &Settings::default(), &mut [0; 100], |_, _| OURS, |_| unreachable!());
    assert_eq!(done.unwrap_err(), BufferTooSmall { length: 100 });
}
