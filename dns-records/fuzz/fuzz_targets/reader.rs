//! Any octets as a message: what is read is there, what is refused says so, and the reply repeats the question.
#![no_main]

use dns_records::wire::{Query, Settings, Transport, reply};
use dns_records::{Rcode, Record, RecordData, Section, Sink, Verdict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let settings = Settings::default();
    let mut out = [0; 1232];
    for transport in [Transport::Udp, Transport::Tcp] {
        let length = match Query::read(message, transport) {
            Ok(query) => {
                let name = query.question().name.as_wire();
                assert_eq!(&message[12..12 + name.len()], name);
                assert!(dns_records::NameRef::from_wire(name).is_ok());
                let written = reply(&query, &settings, &mut out, |question, writer| {
                    for i in 0..100u32 {
                        let data = RecordData::A(i.into());
                        writer.record(Section::Answer, &Record { owner: question.name.into(), ttl: 5, data });
                    }
                    Verdict { rcode: Rcode::NoError, authoritative: true, reason: () }
                });
                let written = written.expect("room");
                assert!(written.length <= query.limit(&settings));
                assert_eq!(&out[12..12 + name.len() + 4], &message[12..12 + name.len() + 4]);
                Some(written.length)
            }
            Err(refusal) => {
                assert!(!refusal.to_string().is_empty());
                refusal.reply(&settings, &mut out).expect("room")
            }
        };
        let Some(length) = length else { continue };
        let read = domain::base::Message::from_octets(&out[..length]).expect("a message");
        assert_eq!(&out[..2], &message[..2]);
        assert!(read.header().qr());
        assert!(read.iter().all(|record| record.is_ok()));
    }
});
