//! With which certificates does TLS end?

use svc_model::ObjectRef;
use svc_model::check::names::dns_1123_subdomain;
use tls_sni::secret::{TLS_CRT, TLS_KEY};

use crate::Settings;
use crate::config::{CommonTlsContext, DataSource, TlsCertificate, TransportSocket};
use crate::remarks::Remarks;

/// TLS that ends here, with the pairs of these Secrets; `None` without any. `place` is whose they are, for people.
pub(crate) fn termination<'s>(
    secrets: impl Iterator<Item = &'s ObjectRef>,
    protocols: &[&'static str],
    place: &str,
    settings: &Settings,
    remarks: &mut Remarks,
) -> Option<TransportSocket> {
    let mut certificates = Vec::new();
    for secret in secrets {
        match pair(secret, settings) {
            Some(pair) => certificates.push(pair),
            None => remarks.add(place, format!("{secret} has a name that no file can be called by")),
        }
    }
    (!certificates.is_empty()).then(|| {
        TransportSocket::downstream(CommonTlsContext {
            tls_certificates: certificates,
            alpn_protocols: protocols.to_vec(),
            ..CommonTlsContext::default()
        })
    })
}

/// The pair of a Secret; `None` for one whose name is no name, since the parts of a path may be nothing else.
fn pair(secret: &ObjectRef, settings: &Settings) -> Option<TlsCertificate> {
    let (namespace, name) = (&*secret.namespace, &*secret.name);
    if [namespace, name].into_iter().any(|name| dns_1123_subdomain(name).is_err()) {
        return None;
    }
    let file = |key| DataSource::Filename(format!("{}/{namespace}/{name}/{key}", settings.certificates));
    Some(TlsCertificate { certificate_chain: file(TLS_CRT), private_key: file(TLS_KEY) })
}
