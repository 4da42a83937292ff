//! Any bytes as a server name and as a name in a certificate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_sni::{CertName, NameMap, ServerName, Sni};

fuzz_target!(|raw: &[u8]| {
    let sni = Sni::new(Some(raw));
    let cert = CertName::new(raw);
    if !cert.is_inert() {
        assert_eq!(cert.to_string().parse(), Ok(cert.clone()));
    }
    if let Ok(name) = ServerName::from_bytes(raw) {
        assert_eq!(ServerName::from_bytes(name.as_bytes()), Ok(name.clone()));
        assert_eq!(sni, Sni::Name(name.clone()));
        assert!(cert.covers(&name).is_some());
        assert_eq!(NameMap::new(raw.len() as u64, [(cert, ())]).len(), 1);
    }
});
