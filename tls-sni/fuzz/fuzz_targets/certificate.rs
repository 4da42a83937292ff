//! Any bytes as DER of a certificate: its facts are read, or it is refused, and every name of it is classified.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_sni::{CertStore, CertificateFacts, CommonName, Policy};

fuzz_target!(|der: &[u8]| {
    if let Ok(facts) = CertificateFacts::from_der(der) {
        let effective = facts.effective_names(CommonName::Always).filter(|name| !name.is_inert()).count();
        let mut policy = Policy::default();
        policy.common_name = CommonName::Always;
        let mut builder = CertStore::builder();
        builder.policy(policy);
        let mut store = builder.build();
        let id = store.add(facts.clone(), 0);
        assert!(effective == 0 || !format!("{store:?}").contains("names: 0"));
        assert_eq!(store.replace(id, facts, 1), Some(0));
        assert_eq!(store.remove(id), Some(1));
        assert!(format!("{store:?}").contains("names: 0"));
    }
});
