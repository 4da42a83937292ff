//! Any bytes as PEM of a certificate bundle and of a private key, and as DER of a certificate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_sni::{CertificateFacts, KeyPair};

fuzz_target!(|files: (&[u8], &[u8])| {
    let (bundle, key) = files;
    let _ = KeyPair::from_pem(bundle, key);
    let _ = CertificateFacts::from_der(bundle);
});
