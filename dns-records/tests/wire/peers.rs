//! Whatever records are written, `domain` and `hickory-proto` read them, and the same ones.

use dns_records::wire::{Query, Settings, Transport, reply};
use dns_records::{Name, Rcode, Record, RecordData, RecordType, Section, Verdict};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::decode::{AA, QR, RD, TC, decode};
use super::encode::{Message, as_read, put};

/// Few labels, so that names share their ends and differ by case.
fn name() -> impl Strategy<Value = Name> {
    let label = prop_oneof![
        8 => select(vec![&b"a"[..], b"b", b"B", b"svc", b"Cluster", b"local", b"\x01b", b"\0", b"."]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..=63),
    ];
    vec(label, 0..5).prop_filter_map("too long", |labels| Name::from_labels(labels.iter().map(Vec::as_slice)).ok())
}

fn data() -> impl Strategy<Value = RecordData> {
    let numbers = any::<[u32; 5]>();
    prop_oneof![
        4 => any::<[u8; 4]>().prop_map(|addr| RecordData::A(addr.into())),
        2 => any::<[u8; 16]>().prop_map(|addr| RecordData::Aaaa(addr.into())),
        4 => (any::<[u16; 3]>(), name()).prop_map(|([priority, weight, port], target)| RecordData::Srv { priority, weight, port, target }),
        1 => name().prop_map(RecordData::Cname),
        1 => name().prop_map(RecordData::Ptr),
        1 => name().prop_map(RecordData::Ns),
        1 => (name(), name(), numbers).prop_map(|(primary, mailbox, [serial, refresh, retry, expire, minimum])| {
            RecordData::Soa { primary, mailbox, serial, refresh, retry, expire, minimum }
        }),
        1 => vec(any::<u8>(), 0..600).prop_map(|text| RecordData::Txt(text.into())),
    ]
}

/// Records in the order of the sections; a third are owned by the name asked for.
fn records(asked: Name) -> impl Strategy<Value = Vec<(Section, Record)>> {
    let section =
        select(vec![Section::Answer, Section::Answer, Section::Authority, Section::Additional, Section::Additional]);
    let owner = prop_oneof![1 => Just(asked), 2 => name()];
    let record = (section, owner, any::<u32>(), data());
    // Sets: the same owner and type a few times over.
    let set = (record, vec(data(), 0..4)).prop_map(|((section, owner, ttl, data), more)| {
        let same = more.into_iter().filter(|more| more.record_type() == data.record_type()).collect::<Vec<_>>();
        let all = [data].into_iter().chain(same);
        all.map(|data| (section, Record { owner: owner.clone(), ttl, data })).collect::<Vec<_>>()
    });
    vec(set, 0..24).prop_map(|sets| {
        let mut records: Vec<_> = sets.into_iter().flatten().collect();
        records.sort_by_key(|(section, _)| *section);
        records
    })
}

fn asked_and_answered() -> impl Strategy<Value = (Name, Vec<(Section, Record)>)> {
    name().prop_flat_map(|asked| (Just(asked.clone()), records(asked)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn both_read_what_was_written(
        (asked, records) in asked_and_answered(),
        record_type in any::<u16>().prop_filter("OPT and transfers", |number| ![41, 251, 252].contains(number)),
        edns in option::of((any::<u16>(), any::<bool>())),
        transport in select(vec![Transport::Udp, Transport::Tcp]),
        id: u16,
        authoritative: bool,
        rcode in select(vec![Rcode::NoError, Rcode::NxDomain, Rcode::ServFail, Rcode::Refused]),
    ) {
        let message = Message { id, flags: RD, counts: [1, 0, 0, 0], body: Vec::new() };
        let message = message.put(asked.as_ref().as_wire()).put(&RecordType(record_type).0.to_be_bytes()).put(&[0, 1]);
        let message = edns.map_or(message.clone(), |(size, dnssec_ok)| message.clone().edns(size, dnssec_ok));
        let octets = message.octets();
        let query = Query::read(&octets, transport).unwrap();
        let settings = Settings::default();
        let mut out = vec![0xaa; 65_535];
        let written = reply(&query, &settings, &mut out, |question, writer| {
            assert_eq!(question.name.as_wire(), asked.as_ref().as_wire());
            put(writer, &records);
            Verdict { rcode, authoritative, reason: () }
        }).unwrap();
        prop_assert!(written.length <= query.limit(&settings));
        prop_assert!(out[written.length..].len() < 60_000 || out[written.length + 2000..].iter().all(|octet| *octet == 0xaa));
        let read = decode(&out[..written.length]);

        let bit = |on: bool, bit: u16| if on { bit } else { 0 };
        prop_assert_eq!(read.flags, QR | RD | bit(authoritative, AA) | bit(written.truncated, TC));
        prop_assert_eq!((read.id, read.rcode), (id, rcode as u16));
        prop_assert!(message.body.starts_with(&read.question));
        prop_assert_eq!(read.edns.map(|edns| (edns.size, edns.dnssec_ok)), edns.map(|(_, dnssec_ok)| (1232, dnssec_ok)));

        let of = |section: Section| -> Vec<String> {
            records.iter().filter(|(of, _)| *of == section).map(|(_, record)| as_read(&asked, record)).collect()
        };
        let expected = [Section::Answer, Section::Authority, Section::Additional].map(of);
        for (read, expected) in read.sections.iter().zip(&expected) {
            prop_assert!(expected.starts_with(read), "{:?} of {:?}", read, expected);
        }
        let whole = read.sections.iter().zip(&expected).map(|(read, expected)| read.len() == expected.len()).collect::<Vec<_>>();
        prop_assert_eq!(written.truncated, !whole[0] || !whole[1]);
        // Nothing follows what was cut.
        prop_assert!(whole[0] || read.sections[1].is_empty() && read.sections[2].is_empty());
        prop_assert!(whole[1] || read.sections[2].is_empty());
        // Additional records end with a set.
        let set = |line: &String| line.split(' ').enumerate().filter(|(i, _)| [0, 3].contains(i)).map(|(_, word)| word.to_owned()).collect::<Vec<_>>();
        let count = read.sections[2].len();
        if let (Some(last), Some(next)) = (count.checked_sub(1).map(|i| &expected[2][i]), expected[2].get(count)) {
            prop_assert_ne!(set(last), set(next));
        }
    }
}
