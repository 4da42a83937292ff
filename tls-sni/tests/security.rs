//! Public defects of other programs as inputs here, and the one property of every reader: no input panics.

use proptest::prelude::*;
use tls_sni::{CertName, CertStore, CertificateFacts, ClientHello, MAX_HELLO, PeekError, Query, ServerName, Sni, peek};

fn store(names: &[&str]) -> CertStore<()> {
    let mut builder = CertStore::builder();
    builder.add(CertificateFacts::for_names(names.iter().copied()), ());
    builder.build()
}

fn served(store: &CertStore<()>, sni: &[u8]) -> bool {
    store.choose(&Query::new(&Sni::new(Some(sni))), 0).outcome.is_ok()
}

#[test]
fn cve_2020_15104_wildcard_covers_one_label() {
    let store = store(&["*.a.example", "f*.b.example", "*", "*.", "*.*.c.example", "*.0.0.1"]);
    assert!(served(&store, b"x.a.example"));
    for name in ["x.y.a.example", "a.example", ".a.example", "foo.b.example", "x.y.c.example", "example", "127.0.0.1"] {
        assert!(!served(&store, name.as_bytes()), "{name}");
    }
}

#[test]
fn cve_2022_23632_a_trailing_dot_changes_nothing() {
    for (stored, asked) in [("secure.example", "secure.example."), ("secure.example.", "secure.example")] {
        assert!(served(&store(&[stored]), asked.as_bytes()), "{stored} {asked}");
        assert!(!served(&store(&[stored]), b"secure.example.."));
    }
}

#[test]
fn cve_2021_39155_names_compare_without_regard_to_case() {
    assert!(served(&store(&["HttpBin.Foo"]), b"httpbin.foo"));
    assert!(served(&store(&["*.httpbin.foo"]), b"A.HTTPBIN.Foo"));
    let kelvin = "\u{212a}.example"; // lower-cases to k in Unicode
    assert!(!served(&store(&["k.example"]), kelvin.as_bytes()));
}

#[test]
fn sni_edges_are_no_usable_names() {
    let store = store(&["a.example", "*.example"]);
    let long = [b'a'; 256];
    let edges: [&[u8]; 10] = [
        b"192.0.2.1",
        b"[2001:db8::1]",
        b"",
        &long,
        b"a.example:443",
        b"a.example\0",
        b"\0.example",
        b"b\xfc.example",
        b"*.example",
        b"a .example",
    ];
    for raw in edges {
        assert!(Sni::new(Some(raw)).name().is_none() && !served(&store, raw), "{}", raw.escape_ascii());
    }
    assert!(served(&store, b"A.EXAMPLE") && served(&store, b"a.example."));
}

/// A whole hello in one record: what the mutations start from.
fn seeds() -> Vec<Vec<u8>> {
    let unhex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    vec![
        unhex(include_str!("clienthello/openssl-alpn-h2-http11.hex")),
        unhex(include_str!("clienthello/grease-chrome-like.hex")),
        unhex(include_str!("clienthello/one-byte-per-record.hex")),
        unhex(include_str!("clienthello/split-in-handshake-header.hex")),
        unhex(include_str!("clienthello/openssl-resume-psk.hex")),
    ]
}

/// Reads all there is to read, and holds the answers against what is promised.
fn exercise(input: &[u8]) -> Result<(), TestCaseError> {
    match peek(input) {
        Err(PeekError::NeedMore(n)) => prop_assert!(n > 0),
        Err(PeekError::Malformed { offset, .. }) => prop_assert!(offset <= input.len()),
        Err(_) => {}
        Ok(hello) => {
            prop_assert!(hello.end() <= input.len());
            let again = peek(&input[..hello.end()]);
            prop_assert_eq!(again.as_ref(), Ok(&hello), "nothing past the end is read");
            if let Sni::Name(name) = hello.sni() {
                prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
            }
            let _ = (hello.accepted_keys(), hello.extensions().count(), hello.cipher_suites().count(), hello.ech());
            let _ = (hello.supported_groups().count(), hello.session_id(), hello.random(), format!("{hello:?}"));
            prop_assert!(hello.alpn().into_iter().all(|name| !name.is_empty()));
        }
    }
    // Every prefix either waits or says the same.
    let whole = peek(input);
    for have in (0..input.len()).step_by(1 + input.len() / 64) {
        match peek(&input[..have]) {
            Err(PeekError::NeedMore(n)) => {
                if let Ok(hello) = &whole {
                    prop_assert!(n <= hello.end() - have);
                }
            }
            early => prop_assert_eq!(&early, &whole),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn arbitrary_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..200), tls: bool) {
        let mut input = input;
        if tls && input.len() > 9 {
            input[..3].copy_from_slice(&[22, 3, 1]);
            input[3] = 0;
            input[5] = 1;
        }
        exercise(&input)?;
        if let Err(PeekError::NeedMore(n)) = ClientHello::from_handshake(&input, MAX_HELLO) {
            prop_assert!(n > 0);
        }
    }

    #[test]
    fn mutated_hellos_never_panic(
        seed in prop::sample::select(seeds()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        keep: bool,
    ) {
        let mut input = seed;
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        if !keep {
            input.truncate(cut.index(input.len()));
        }
        exercise(&input)?;
    }

    #[test]
    fn a_canonical_name_is_its_own_canonical_form(raw in prop::collection::vec(prop::sample::select(b"aZ9-_.*\0\xc3".to_vec()), 0..70)) {
        if let Ok(name) = ServerName::from_bytes(&raw) {
            prop_assert_eq!(ServerName::from_bytes(name.as_bytes()), Ok(name.clone()));
            prop_assert!(name.as_str().len() <= 253 && !name.as_str().ends_with('.'));
            prop_assert!(name.as_bytes().iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(b)));
            prop_assert_eq!(Sni::new(Some(&raw)), Sni::Name(name));
        }
        let cert = CertName::new(&raw);
        prop_assert_eq!(CertName::new(cert.to_string().as_bytes()).is_inert(), cert.is_inert());
    }
}
