//! May an object refer to another of a different namespace? ReferenceGrants.

use svc_model::api::ReferenceGrant;
use svc_model::{Cluster, Kind, ObjectRef};

use super::read::GROUP;

/// Whether an object of this kind and namespace may refer to `target`, whose kind is of `group`: they share a namespace, or a
/// ReferenceGrant in that of the target says so (Gateway API, `ReferenceGrant`). O(grants of that namespace).
///
/// ```
/// use route_match::gateway::may_refer;
/// use svc_model::{Cluster, Kind, ObjectRef};
///
/// let secret = ObjectRef::new(Kind::Secret, "certificates", "shop");
/// assert!(may_refer(&Cluster::new(), Kind::Gateway, "certificates", "", &secret));
/// assert!(!may_refer(&Cluster::new(), Kind::Gateway, "infra", "", &secret));
/// ```
pub fn may_refer(cluster: &Cluster, from: Kind, namespace: &str, group: &str, target: &ObjectRef) -> bool {
    if *target.namespace == *namespace {
        return true;
    }
    cluster.list_in::<ReferenceGrant>(&target.namespace).any(|grant| {
        let from_fits = |entry: &svc_model::api::ReferenceGrantFrom| {
            entry.group == GROUP && entry.kind == from.as_str() && entry.namespace == namespace
        };
        let to_fits = |entry: &svc_model::api::ReferenceGrantTo| {
            let name = entry.name.as_deref().is_none_or(|name| name.is_empty() || name == &*target.name);
            entry.group == group && entry.kind == target.kind.as_str() && name
        };
        grant.spec.from.iter().any(from_fits) && grant.spec.to.iter().any(to_fits)
    })
}
