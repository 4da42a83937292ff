//! Any bytes as the start of a TCP stream: no panic, and what is promised over prefixes holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_sni::{ClientHello, MAX_HELLO, PeekError, peek};

fuzz_target!(|input: &[u8]| {
    let whole = peek(input);
    if let Ok(hello) = &whole {
        assert!(hello.end() <= input.len());
        assert_eq!(peek(&input[..hello.end()]).as_ref(), Ok(hello));
        let _ = (hello.sni(), hello.accepted_keys(), hello.versions().count(), hello.extensions().count());
        assert!(hello.alpn().into_iter().all(|name| !name.is_empty()));
    }
    for have in (0..input.len()).step_by(1 + input.len() / 32) {
        match (peek(&input[..have]), &whole) {
            (Err(PeekError::NeedMore(n)), Ok(hello)) => assert!((1..=hello.end() - have).contains(&n)),
            (Err(PeekError::NeedMore(n)), Err(_)) => assert!(n > 0),
            (early, _) => assert_eq!(&early, &whole),
        }
    }
    if let Err(PeekError::NeedMore(n)) = ClientHello::from_handshake(input, MAX_HELLO) {
        assert!(n > 0);
    }
});
