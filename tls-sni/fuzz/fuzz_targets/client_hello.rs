//! Any bytes as the start of a TCP stream, arriving in any pieces: no panic, and what is promised over prefixes holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_sni::fingerprint::{Transport, ja3, ja4};
use tls_sni::{ClientHello, HelloReader, MAX_HELLO, PeekError, peek};

fuzz_target!(|parts: (&[u8], &[u8])| {
    let (splits, input) = parts;
    let whole = peek(input);
    if let Ok(hello) = &whole {
        assert!(hello.end() <= input.len());
        assert_eq!(peek(&input[..hello.end()]).as_ref(), Ok(hello));
        let _ = (hello.sni(), hello.accepted_keys(), hello.versions().count(), hello.extensions().count());
        assert!(hello.alpn().into_iter().all(|name| !name.is_empty()));
        assert_eq!((ja3(hello).len(), ja4(hello, Transport::Tcp).len()), (32, 36));
    }

    let mut reader = HelloReader::new();
    let (mut have, mut pieces) = (0, splits.iter().copied().map(usize::from));
    while have < input.len() {
        have = input.len().min(have + pieces.next().unwrap_or(usize::MAX).saturating_add(1).min(input.len()));
        let early = reader.read(&input[..have]);
        match (&early, &whole) {
            (Err(PeekError::NeedMore(n)), Ok(hello)) => assert!((1..=hello.end() - have).contains(n)),
            (Err(PeekError::NeedMore(n)), Err(_)) => assert!(*n > 0),
            _ => assert_eq!(early, whole),
        }
        assert_eq!(early, peek(&input[..have]));
    }

    if let Err(PeekError::NeedMore(n)) = ClientHello::from_handshake(input, MAX_HELLO) {
        assert!(n > 0);
    }
});
