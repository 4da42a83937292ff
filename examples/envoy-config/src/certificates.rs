//! Which files hold the certificates of a listener?

use svc_model::ObjectRef;
use svc_model::check::names::dns_1123_subdomain;
use tls_sni::secret::{TLS_CRT, TLS_KEY};

use crate::Settings;
use crate::config::{DataSource, TlsCertificate};

/// The pair of a Secret; `None` for one whose name is no name, since the parts of a path may be nothing else.
pub(crate) fn pair(secret: &ObjectRef, settings: &Settings) -> Option<TlsCertificate> {
    let file = |key| file(secret, key, settings);
    Some(TlsCertificate { certificate_chain: file(TLS_CRT)?, private_key: file(TLS_KEY)? })
}

/// A key of a Secret.
pub(crate) fn file(secret: &ObjectRef, key: &str, settings: &Settings) -> Option<DataSource> {
    let (namespace, name) = (&*secret.namespace, &*secret.name);
    if [namespace, name].into_iter().any(|name| dns_1123_subdomain(name).is_err()) {
        return None;
    }
    Some(DataSource::Filename(format!("{}/{namespace}/{name}/{key}", settings.certificates)))
}
