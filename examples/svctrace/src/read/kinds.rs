//! Which kind is a document of? `kind` and `apiVersion` to a kind we read, with slips of the pen forgiven or named.

use strsim::osa_distance;
use svc_model::{ApiVersion, Kind, Retired};

/// What `kind` and `apiVersion` say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolved {
    /// A kind we read, in a version that exists.
    Known { kind: Kind, version: &'static str, retired: Option<Retired> },
    /// A kind we read under a group that has it, in a version that does not exist.
    NoSuchVersion { kind: Kind, nearest: &'static str },
    /// A kind we read, under a group we know that has no such kind.
    WrongGroup { kind: Kind },
    /// Most likely a slip in `kind`.
    MisspeltKind { nearest: Kind },
    /// Most likely a slip in the group.
    MisspeltGroup { kind: Kind, nearest: &'static str },
    /// None of ours.
    Unknown,
}

/// Most single-letter slips that a name may be off.
pub(super) const MAX_EDITS: usize = 2;

/// Longest name that could be a slip in a kind's.
const MAX_KIND_NAME: usize = 64;

pub(super) fn resolve(api_version: &str, kind: &str) -> Resolved {
    let group = group_of(api_version);
    // Kinds of different groups may share a name.
    let namesakes = || Kind::ALL.iter().copied().filter(|known| known.in_manifest() == kind);
    let Some(first) = namesakes().next() else {
        return resolve_unknown(api_version, kind);
    };
    let versions = || namesakes().flat_map(|kind| kind.versions().iter().map(move |version| (kind, version)));
    if let Some((kind, version)) = versions().find(|(_, version)| version.name == api_version) {
        return Resolved::Known { kind, version: version.name, retired: version.retired };
    }
    // Never a version of another group, however near.
    let same_group = versions().filter(|(_, version)| version.group() == group);
    if let Some((kind, version)) = same_group.min_by_key(|(_, version)| osa_distance(version.name, api_version)) {
        Resolved::NoSuchVersion { kind, nearest: version.name }
    } else if is_known_group(group) {
        Resolved::WrongGroup { kind: first }
    } else {
        let distance = |(_, version): &(Kind, &ApiVersion)| osa_distance(version.group(), group);
        match versions().filter(|(_, version)| !version.group().is_empty()).min_by_key(distance) {
            Some(near) if distance(&near) <= MAX_EDITS => {
                Resolved::MisspeltGroup { kind: near.0, nearest: near.1.name }
            }
            _ => Resolved::Unknown,
        }
    }
}

fn resolve_unknown(api_version: &str, kind: &str) -> Resolved {
    if kind.len() > MAX_KIND_NAME {
        return Resolved::Unknown;
    }
    let is_known = Kind::ALL.iter().any(|kind| kind.versions().iter().any(|version| version.name == api_version));
    let distance = |known: &Kind| osa_distance(&known.in_manifest().to_lowercase(), &kind.to_lowercase());
    match Kind::ALL.iter().copied().min_by_key(distance) {
        Some(nearest) if is_known && distance(&nearest) <= MAX_EDITS => Resolved::MisspeltKind { nearest },
        _ => Resolved::Unknown,
    }
}

fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn is_known_group(group: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.versions().iter().any(|version| version.group() == group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_resolve() {
        assert!(matches!(resolve("v1", "Service"), Resolved::Known { kind: Kind::Service, retired: None, .. }));
        assert!(matches!(
            resolve("extensions/v1beta1", "Ingress"),
            Resolved::Known { retired: Some(Retired::Removed("1.22")), .. }
        ));
        let nearest = |version, kind| match resolve(version, kind) {
            Resolved::NoSuchVersion { nearest, .. } => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(nearest("extensions/v1beat1", "Ingress"), "extensions/v1beta1");
        assert_eq!(nearest("v2", "Service"), "v1");
        assert_eq!(nearest("apps/v1beta3", "Deployment"), "apps/v1beta2");
    }

    #[test]
    fn groups_resolve() {
        assert_eq!(resolve("apps/v1", "Service"), Resolved::WrongGroup { kind: Kind::Service });
        assert_eq!(resolve("v1", "Deployment"), Resolved::WrongGroup { kind: Kind::Deployment });
        assert_eq!(
            resolve("app/v1", "Deployment"),
            Resolved::MisspeltGroup { kind: Kind::Deployment, nearest: "apps/v1" }
        );
        assert_eq!(resolve("serving.knative.dev/v1", "Service"), Resolved::Unknown);
        assert_eq!(resolve("ab/v1", "Service"), Resolved::Unknown);
    }

    #[test]
    fn the_group_tells_namesakes_apart() {
        let kind_of = |version| match resolve(version, "Gateway") {
            Resolved::Known { kind, .. } | Resolved::NoSuchVersion { kind, .. } => Some(kind),
            Resolved::MisspeltGroup { kind, .. } => Some(kind),
            _ => None,
        };
        assert_eq!(kind_of("gateway.networking.k8s.io/v1"), Some(Kind::Gateway));
        assert_eq!(kind_of("networking.istio.io/v1alpha3"), Some(Kind::IstioGateway));
        assert_eq!(kind_of("networking.istio.io/v2"), Some(Kind::IstioGateway));
        assert_eq!(kind_of("networking.istio.oi/v1"), Some(Kind::IstioGateway));
        assert_eq!(kind_of("gateway.network.k8s.io/v1"), None);
        assert_eq!(resolve("networking.istio.io/v1", "IstioGateway"), Resolved::Unknown);
    }

    #[test]
    fn kinds_resolve() {
        assert_eq!(resolve("v1", "Sevice"), Resolved::MisspeltKind { nearest: Kind::Service });
        assert_eq!(resolve("v1", "service"), Resolved::MisspeltKind { nearest: Kind::Service });
        assert_eq!(resolve("apps/v1", "Deplyoment"), Resolved::MisspeltKind { nearest: Kind::Deployment });
        assert_eq!(resolve("v1", "ServiceAccount"), Resolved::Unknown);
        assert_eq!(resolve("example.org/v1", "Sevice"), Resolved::Unknown);
        assert_eq!(resolve("networking.k8s.io/v1", "NetworkPolicy"), Resolved::Unknown);
    }
}
