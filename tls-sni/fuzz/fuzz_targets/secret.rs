//! Any values of a Secret: loaded or refused with the field at fault, and never printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svc_model::Cluster;
use svc_model::api::Secret;
use tls_sni::secret::load;

fuzz_target!(|values: (Option<&str>, Option<&str>, Option<&str>, bool)| {
    let (certificate, key, authority, typed) = values;
    let mut secret = Secret::default();
    secret.metadata.name = "fuzzed".into();
    secret.metadata.namespace = "default".into();
    if typed {
        secret.type_ = "kubernetes.io/tls".into();
    }
    for (name, value) in [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority)] {
        if let Some(value) = value {
            secret.string_data.0.insert(name.into(), value.into());
        }
    }
    if let Err(error) = load(&secret) {
        assert!(error.field(&secret).contains("tls."));
    }
    let mut cluster = Cluster::new();
    cluster.apply(secret);
    let _ = tls_sni::check::check(&cluster, 0);
});
