//! Which headers does `custom-headers` set on responses?

use svc_model::Cluster;
use svc_model::api::ConfigMap;

use crate::action::HeaderEdits;

/// The headers of the ConfigMap `NAMESPACE/NAME`; `None` where the controller denies the location instead: no such map, a name
/// that is not on its list, or a name or value with characters that it does not allow.
pub(super) fn custom_headers(cluster: &Cluster, name: &str, allowed: &[Box<str>]) -> Option<HeaderEdits> {
    let (namespace, name) = name.split_once('/')?;
    let map = cluster.get::<ConfigMap>(namespace, name)?;
    map.data.iter().try_fold(HeaderEdits::new(), |edits, (name, value)| {
        let fits = is_header_name(name) && is_header_value(value) && allowed.iter().any(|allowed| **allowed == **name);
        if fits { edits.set(name, value).ok() } else { None }
    })
}

/// Letters, digits, `-` and `_`.
pub(in crate::ingress) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn is_header_value(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| (b' '..=b'~').contains(&b))
}
