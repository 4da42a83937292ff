//! The ClientHello vectors: captured from real clients and made by hand, each with what every prefix must answer.

use serde_json::Value;
use tls_sni::{Alpn, ClientHello, Ech, HelloReader, MAX_HELLO, PeekError, Sni, peek, peek_within};

struct Vector {
    name: String,
    bytes: Vec<u8>,
    expect: Value,
}

fn vectors() -> Vec<Vector> {
    let files = hex_files();
    let index: Vec<Value> = serde_json::from_str(include_str!("clienthello/index.json")).unwrap();
    index
        .into_iter()
        .map(|entry| {
            let name = entry["name"].as_str().unwrap().to_owned();
            let (_, text) = files.iter().find(|(file, _)| *file == entry["file"]).unwrap();
            let bytes = unhex(text);
            assert_eq!(bytes.len() as u64, entry["bytes"].as_u64().unwrap(), "{name}");
            Vector { name, bytes, expect: entry["expect"].clone() }
        })
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn code(code: u16) -> Value {
    format!("0x{code:04x}").into()
}

/// What the index says of a hello, computed from the hello.
fn describe(hello: &ClientHello<'_>, expect: &Value) -> Value {
    let (kind, sni) = match hello.sni() {
        Sni::Absent => ("none", None),
        Sni::Ip(_) => ("ip", None),
        Sni::Invalid(_) => ("invalid", None),
        Sni::Name(name) => ("dns", Some(name.to_string())),
    };
    let mut found = serde_json::json!({
        "result": "hello",
        "hello_end": hello.end(),
        "sni": sni,
        "sni_kind": kind,
        "alpn": hello.alpn().into_iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>(),
        "legacy_version": code(hello.legacy_version().0),
        "versions": hello.versions().map(|version| code(version.0)).collect::<Vec<_>>(),
        "signature_algorithms":
            hello.signature_schemes().map(|schemes| schemes.map(|scheme| code(scheme.0)).collect::<Vec<_>>()),
        "cipher_suites": hello.cipher_suites().len(),
        "extensions": hello.extensions().count(),
        "ech": hello.ech().map(|ech| match ech { Ech::Outer => "outer", Ech::Inner => "inner" }),
    });
    #[cfg(feature = "fingerprint")]
    {
        use tls_sni::fingerprint::{Transport, ja3, ja4};
        found["ja3"] = ja3(hello).into();
        found["ja4"] = ja4(hello, Transport::Tcp).into();
    }
    if expect.get("sni_raw_hex").is_some() {
        found["sni_raw_hex"] = hello.server_name_bytes().map(hex).into();
    }
    if expect.get("alpn_hex").is_some() {
        found["alpn"] = Value::Null;
        found["alpn_hex"] = hello.alpn().into_iter().map(hex).collect::<Vec<_>>().into();
    }
    found
}

#[test]
fn every_vector_reads_as_its_index_says() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 81);
    for Vector { name, bytes, expect } in vectors {
        let found = match peek(&bytes) {
            Ok(hello) => describe(&hello, &expect),
            Err(PeekError::NeedMore(_)) => serde_json::json!({"result": "incomplete"}),
            Err(PeekError::NotTls(kind)) => serde_json::json!({"result": "not-tls", "kind": kind.code()}),
            Err(PeekError::Malformed { kind, offset }) => {
                assert!(offset <= bytes.len(), "{name}");
                serde_json::json!({"result": "malformed", "kind": kind.code()})
            }
            Err(error) => panic!("{name}: {error}"),
        };
        for (key, value) in expect.as_object().unwrap() {
            let fingerprint = matches!(key.as_str(), "ja3" | "ja4") && cfg!(not(feature = "fingerprint"));
            let absent = value.is_null() && found.get(key).is_none();
            assert!(fingerprint || absent || found[key] == *value, "{name}: {key} is {}, not {value}", found[key]);
        }
    }
}

#[test]
fn a_prefix_of_a_hello_asks_for_no_more_than_is_missing() {
    for Vector { name, bytes, expect } in vectors() {
        let Some(end) = expect["hello_end"].as_u64() else {
            continue;
        };
        for have in 0..end as usize {
            match peek(&bytes[..have]) {
                Err(PeekError::NeedMore(n)) => assert!((1..=end as usize - have).contains(&n), "{name} at {have}: {n}"),
                other => panic!("{name} at {have}: {other:?}"),
            }
        }
        let whole = peek(&bytes).unwrap();
        for have in end as usize..bytes.len() {
            assert_eq!(peek(&bytes[..have]).as_ref(), Ok(&whole), "{name}: what follows the hello is left alone");
        }
    }
}

/// The same bytes, in records cut as `cuts` says.
fn framed(message: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut rest = message;
    for len in cuts.iter().copied().cycle() {
        let (part, later) = rest.split_at(len.clamp(1, rest.len()));
        stream.extend([&[22, 3, 1], &(part.len() as u16).to_be_bytes()[..], part].concat());
        rest = later;
        if rest.is_empty() {
            return stream;
        }
    }
    unreachable!("records of one byte at least come to an end")
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    /// However a message is cut into records, and the stream into reads, the answer is one.
    #[test]
    fn cuts_change_no_answer(
        at in proptest::prelude::any::<proptest::sample::Index>(),
        records in proptest::collection::vec(1usize..400, 1..6),
        reads in proptest::collection::vec(1usize..300, 1..6),
    ) {
        let vectors: Vec<Vector> = vectors().into_iter().filter(|v| v.expect["result"] == "hello" && v.bytes.len() < 4_000).collect();
        let Vector { name, bytes, .. } = &vectors[at.index(vectors.len())];
        let whole = peek(bytes).unwrap();
        let stream = framed(&unframed(bytes), &records);
        let cut = peek(&stream).unwrap();
        proptest::prop_assert_eq!(cut.sni(), whole.sni(), "{}", name);
        proptest::prop_assert!(cut.extensions().eq(whole.extensions()) && cut.cipher_suites().eq(whole.cipher_suites()));
        proptest::prop_assert_eq!(cut.random(), whole.random());

        for stream in [&stream, bytes] {
            let mut reader = HelloReader::new();
            let mut have = 0;
            for step in reads.iter().cycle() {
                let answer = reader.read(&stream[..have]);
                proptest::prop_assert_eq!(&answer, &peek(&stream[..have]), "{} at {}", name, have);
                if have == stream.len() {
                    break;
                }
                have = stream.len().min(have + step);
            }
        }
    }
}

#[test]
fn a_reader_answers_for_every_prefix_as_a_look_at_all_of_it_does() {
    for Vector { name, bytes, .. } in vectors() {
        let mut reader = HelloReader::new();
        for have in 0..=bytes.len() {
            assert_eq!(reader.read(&bytes[..have]), peek(&bytes[..have]), "{name} at {have}");
        }
        assert_eq!(
            reader.read(&bytes[..1.min(bytes.len())]),
            peek(&bytes[..1.min(bytes.len())]),
            "{name}: a shorter stream"
        );
    }
}

#[test]
fn errors_are_monotonic_over_the_prefixes() {
    for Vector { name, bytes, expect } in vectors() {
        if expect["result"] == "hello" || expect["result"] == "incomplete" {
            continue;
        }
        let last = peek(&bytes).unwrap_err();
        let mut failed = false;
        for have in 0..=bytes.len() {
            match peek(&bytes[..have]) {
                Err(PeekError::NeedMore(n)) => {
                    assert!(n > 0 && !failed, "{name} at {have}: an error turned into NeedMore");
                }
                other => {
                    assert_eq!(other, Err(last), "{name} at {have}");
                    failed = true;
                }
            }
        }
        assert!(failed, "{name}");
    }
}

#[test]
fn not_tls_is_decided_on_the_first_byte_when_it_can_be() {
    for first in (0..=255u8).filter(|byte| *byte != 22 && *byte & 0x80 == 0) {
        assert!(matches!(peek(&[first]), Err(PeekError::NotTls(_))), "{first}");
    }
    assert_eq!(peek(&[0x80]), Err(PeekError::NeedMore(2)));
    assert!(matches!(peek(&[0x80, 0x2e, 2]), Err(PeekError::NotTls(tls_sni::NotTlsKind::ContentType))));
}

#[test]
fn the_message_alone_reads_as_it_does_in_records() {
    for Vector { name, bytes, expect } in vectors() {
        if expect["result"] != "hello" {
            continue;
        }
        let message = unframed(&bytes);
        let hello = ClientHello::from_handshake(&message, MAX_HELLO).unwrap();
        assert_eq!(hello.end(), message.len(), "{name}");
        let framed = peek(&bytes).unwrap();
        assert_eq!(hello.sni(), framed.sni(), "{name}");
        assert_eq!(hello.alpn(), framed.alpn(), "{name}");
        assert!(hello.extensions().eq(framed.extensions()), "{name}");
        for have in 0..message.len() {
            let Err(PeekError::NeedMore(n)) = ClientHello::from_handshake(&message[..have], MAX_HELLO) else {
                panic!("{name} at {have}")
            };
            assert!((1..=message.len() - have).contains(&n), "{name} at {have}: {n}");
        }
    }
}

/// The handshake message in a stream of records, by a walk of its own.
fn unframed(mut stream: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    loop {
        let len = usize::from(u16::from_be_bytes([stream[3], stream[4]]));
        message.extend_from_slice(&stream[5..5 + len]);
        stream = &stream[5 + len..];
        if message.len() >= 4 {
            let whole = 4 + u32::from_be_bytes([0, message[1], message[2], message[3]]) as usize;
            if message.len() >= whole {
                message.truncate(whole);
                return message;
            }
        }
    }
}

#[test]
fn the_caller_may_lower_the_limit() {
    let vectors = vectors();
    let long = &vectors.iter().find(|vector| vector.name == "twenty-kilobytes-two-records").unwrap().bytes;
    assert!(peek(long).is_ok());
    let refused = peek_within(long, 16_384);
    assert!(matches!(refused, Err(PeekError::Malformed { kind: tls_sni::MalformedKind::TooLarge, offset: 5 })));
    assert_eq!(peek_within(&long[..9], 16_384), refused, "known from the header");
}

#[test]
fn offsets_point_into_the_stream_across_records() {
    // The same faulty message in one record and in records of ten bytes.
    let vectors = vectors();
    let whole = &vectors.iter().find(|vector| vector.name == "err-duplicate-server-name-extension").unwrap().bytes;
    let Err(PeekError::Malformed { kind, offset }) = peek(whole) else { panic!() };
    let message = unframed(whole);
    let cut: Vec<u8> = message.chunks(10).flat_map(|part| [&[22, 3, 1, 0, part.len() as u8], part].concat()).collect();
    let at = offset - 5;
    assert_eq!(peek(&cut), Err(PeekError::Malformed { kind, offset: at + 5 * (at / 10 + 1) }));
    assert_eq!(&cut[at + 5 * (at / 10 + 1)..][..2], [0, 0], "the second server_name extension");
}

#[test]
fn a_client_that_sends_records_of_one_byte_is_read_in_few_steps() {
    let message = {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        let padding = 60_000u16;
        body.extend((padding + 4).to_be_bytes());
        body.extend(21u16.to_be_bytes());
        body.extend(padding.to_be_bytes());
        body.resize(body.len() + usize::from(padding), 0);
        let mut message = vec![1];
        message.extend(&(body.len() as u32).to_be_bytes()[1..]);
        message.extend(body);
        message
    };
    let stream: Vec<u8> = message.iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    let (mut have, mut steps) = (0, 0);
    loop {
        steps += 1;
        match peek(&stream[..have]) {
            Err(PeekError::NeedMore(n)) => have += n,
            other => break assert!(other.is_ok()),
        }
    }
    assert!(steps < 100, "{steps} steps");
}

#[test]
fn sixteen_thousand_extensions_are_checked_for_duplicates_in_one_pass() {
    let block = |types: &[u16]| -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend((types.len() as u16 * 4).to_be_bytes());
        body.extend(types.iter().flat_map(|kind| [kind.to_be_bytes(), [0, 0]]).flatten());
        let mut message = vec![1];
        message.extend(&(body.len() as u32).to_be_bytes()[1..]);
        message.extend(body);
        message
    };
    let mut types: Vec<u16> = (1000..17_000).collect();
    assert_eq!(ClientHello::from_handshake(&block(&types), MAX_HELLO).unwrap().extensions().count(), 16_000);
    types.push(1000);
    let Err(PeekError::Malformed { kind, offset }) = ClientHello::from_handshake(&block(&types), MAX_HELLO) else {
        panic!("a duplicate passed")
    };
    assert_eq!(kind, tls_sni::MalformedKind::DuplicateExtension);
    assert_eq!(offset, 4 + 41 + 2 + 16_000 * 4);
}

#[test]
fn nothing_allocates_unless_the_hello_is_cut() {
    for Vector { name, bytes, expect } in vectors() {
        let mut cut = false;
        let count = allocation_counter::measure(|| {
            if let Ok(hello) = peek(&bytes) {
                cut = hello.end() != 5 + 4 + usize::from(u16::from_be_bytes([bytes[7], bytes[8]]));
                std::hint::black_box((hello.sni(), hello.accepted_keys(), hello.alpn() == Alpn::NONE));
            }
        });
        let joined = expect["result"] == "hello" && cut
            // A fault in a cut message is found only when it is joined.
            || expect["result"] == "malformed" && unframed_records(&bytes) > 1;
        assert!(count.count_total <= u64::from(joined), "{name}: {}", count.count_total);
    }
}

fn unframed_records(mut stream: &[u8]) -> usize {
    let mut records = 0;
    while stream.len() >= 5 {
        let len = usize::from(u16::from_be_bytes([stream[3], stream[4]]));
        stream = stream.get(5 + len..).unwrap_or(&[]);
        records += 1;
    }
    records
}

macro_rules! hex_files {
    ($($file:literal)*) => {
        fn hex_files() -> Vec<(&'static str, &'static str)> {
            vec![$(($file, include_str!(concat!("clienthello/", $file))),)*]
        }
    };
}

hex_files! {
    "alpn-binary-and-grease.hex"
    "curl-default.hex"
    "curl-ip.hex"
    "curl-no-alpn.hex"
    "curl-tlsmax12.hex"
    "ech-outer-public-name.hex"
    "err-alert-between-records.hex"
    "err-alert-record.hex"
    "err-alpn-empty-list.hex"
    "err-alpn-overrun.hex"
    "err-duplicate-server-name-extension.hex"
    "err-empty-record.hex"
    "err-extension-overrun.hex"
    "err-handshake-length-too-small.hex"
    "err-handshake-too-large.hex"
    "err-http-request.hex"
    "err-no-compression.hex"
    "err-odd-cipher-suites.hex"
    "err-postgres-sslrequest.hex"
    "err-proxy-protocol-v1.hex"
    "err-psk-not-last.hex"
    "err-record-major-2.hex"
    "err-record-too-long.hex"
    "err-server-hello-first.hex"
    "err-server-name-empty-list.hex"
    "err-server-name-zero-length.hex"
    "err-session-id-33.hex"
    "err-signature-algorithms-odd.hex"
    "err-sslv2-hello.hex"
    "err-supported-versions-odd.hex"
    "err-trailing-byte.hex"
    "err-two-host-names.hex"
    "grease-chrome-like.hex"
    "minimal-no-extensions.hex"
    "node-12-sigalgs.hex"
    "node-default.hex"
    "node-no-sni.hex"
    "odd-record-minor-version.hex"
    "one-byte-per-record.hex"
    "openssl-alabel.hex"
    "openssl-alpn-h2-http11.hex"
    "openssl-default.hex"
    "openssl-early-data.hex"
    "openssl-fallback-scsv.hex"
    "openssl-ip-sni.hex"
    "openssl-label-64.hex"
    "openssl-long-253.hex"
    "openssl-many-alpn.hex"
    "openssl-noservername.hex"
    "openssl-resume-psk.hex"
    "openssl-rsa-only.hex"
    "openssl-tls11.hex"
    "openssl-tls12-ecdsa-only.hex"
    "openssl-tls12.hex"
    "openssl-trailing-dot.hex"
    "openssl-underscore.hex"
    "openssl-upper-sni.hex"
    "openssl-utf8.hex"
    "part-empty.hex"
    "part-first-record-only.hex"
    "part-half.hex"
    "part-header-only.hex"
    "part-record-header-3.hex"
    "python-alpn.hex"
    "python-default.hex"
    "python-no-sni.hex"
    "rustls-alpn-two.hex"
    "rustls-ech-grease.hex"
    "rustls-frag-32.hex"
    "rustls-frag-64.hex"
    "rustls-no-sni.hex"
    "rustls-pq-default.hex"
    "sni-embedded-nul.hex"
    "sni-empty-label.hex"
    "sni-numeric-tld.hex"
    "sni-unknown-name-type-first.hex"
    "sni-wildcard-literal.hex"
    "split-in-handshake-header.hex"
    "trailing-records.hex"
    "twenty-kilobytes-two-records.hex"
    "versions-only-grease-and-12.hex"
}

#[test]
fn what_follows_a_cut_message_does_not_move_its_fault() {
    // An empty body in three records, then something else; found by fuzzing.
    let cut = [22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 2, 0, 0, 22, 3, 1, 0, 1, 0];
    let alone = peek(&cut);
    assert!(matches!(alone, Err(PeekError::Malformed { offset: 19, .. })), "{alone:?}");
    let followed: Vec<u8> = cut.iter().chain(b"and more of the stream").copied().collect();
    assert_eq!(peek(&followed), alone);
}
