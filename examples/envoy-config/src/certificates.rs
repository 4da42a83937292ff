//! With which certificates does TLS end?

use svc_model::ObjectRef;
use svc_model::check::names::dns_1123_subdomain;
use tls_sni::secret::{TLS_CRT, TLS_KEY};

use crate::Settings;
use crate::config::{CertificateValidationContext, CommonTlsContext, DataSource, TlsCertificate, TransportSocket};
use crate::remarks::Remarks;

/// The key of a Secret's file with authorities.
const CA_CRT: &str = "ca.crt";

/// The certificates that clients show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients<'s> {
    /// They show none.
    Anonymous,
    /// One of these authorities, if they show any.
    MayShow(&'s ObjectRef),
    /// One of these authorities.
    MustShow(&'s ObjectRef),
}

/// TLS that ends here, with the pairs of these Secrets; `None` without any. `place` is whose they are, for people.
pub(crate) fn termination<'s>(
    secrets: impl Iterator<Item = &'s ObjectRef>,
    clients: Clients<'_>,
    protocols: &[&'static str],
    place: &str,
    settings: &Settings,
    remarks: &mut Remarks,
) -> Option<TransportSocket> {
    // The parts of a path may be nothing but names.
    let mut file = |secret: &ObjectRef, key: &str| {
        let (namespace, name) = (&*secret.namespace, &*secret.name);
        if [namespace, name].into_iter().any(|name| dns_1123_subdomain(name).is_err()) {
            remarks.add(place, format!("{secret} has a name that no file can be called by"));
            return None;
        }
        Some(DataSource::Filename(format!("{}/{namespace}/{name}/{key}", settings.certificates)))
    };
    let validation_context = match clients {
        Clients::Anonymous => None,
        Clients::MayShow(authority) | Clients::MustShow(authority) => Some(CertificateValidationContext {
            trusted_ca: file(authority, CA_CRT)?,
            match_typed_subject_alt_names: Vec::new(),
        }),
    };
    let pairs = secrets.filter_map(|secret| {
        Some(TlsCertificate { certificate_chain: file(secret, TLS_CRT)?, private_key: file(secret, TLS_KEY)? })
    });
    let tls_certificates: Vec<TlsCertificate> = pairs.collect();
    if tls_certificates.is_empty() {
        return None;
    }
    let context = CommonTlsContext { tls_certificates, validation_context, alpn_protocols: protocols.to_vec() };
    Some(TransportSocket::downstream(context, matches!(clients, Clients::MustShow(_))))
}
