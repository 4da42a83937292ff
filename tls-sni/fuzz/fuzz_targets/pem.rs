//! Any bytes as PEM of a certificate bundle and of a private key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_sni::{KeyPair, pem};

fuzz_target!(|files: (&[u8], &[u8])| {
    let (bundle, key) = files;
    if let Ok(chain) = pem::certificates(bundle) {
        assert!(!chain.is_empty());
    }
    if let Ok(key) = pem::private_key(key) {
        assert!(!format!("{key:?}").contains(", "), "nothing but the encoding is printed");
    }
    match KeyPair::from_pem(bundle, key) {
        Ok(pair) => assert!(pair.misplaced().is_none_or(|at| at < pair.chain.len())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
