//! To which Service port does a reference of a route lead, and can it be served?

use std::fmt;

use svc_model::api::{BackendTlsPolicy, ConfigMap, EndpointSlice, Endpoints, Pod, RouteBackendRef, Service};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource};

use super::grant::may_refer;
use crate::service_backend::{ReadyPorts, ServiceBackend};

/// The group of ServiceImports (multi-cluster Services API).
const IMPORT_GROUP: &str = "multicluster.x-k8s.io";

/// What a reference of a route leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// A port of a Service with a ready endpoint, or of any in a cluster that knows of no endpoints at all.
    Service(ServiceBackend),
    /// A port of a ServiceImport, whose endpoints lie in other clusters and are not known here.
    Import(NamespacedName, u16),
    /// Something that cannot be served.
    Unavailable(Unavailable),
}

/// Why a reference cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unavailable {
    /// The kind is not one that backends may have.
    Kind(Box<str>),
    /// There is no such Service.
    NoService(NamespacedName),
    /// The reference has no port.
    PortMissing(NamespacedName),
    /// The Service has no such port.
    NoPort(NamespacedName, i64),
    /// The Service is of another namespace, which does not allow it.
    NotGranted(NamespacedName),
    /// The Service is but a DNS name, which the Gateway API advises not to follow (CVE-2021-25740).
    ExternalName(NamespacedName),
    /// No endpoint of the port is ready.
    NoEndpoints(ServiceBackend),
    /// The policy that says how the Service is dialled names no usable certificate authority.
    TlsPolicy(ServiceBackend, ObjectRef),
    /// A filter of the reference cannot be applied.
    Filter(Box<str>),
}

impl Backend {
    /// The Service, wherever it is known which one is meant.
    pub fn service(&self) -> Option<&ServiceBackend> {
        match self {
            Self::Service(backend)
            | Self::Unavailable(Unavailable::NoEndpoints(backend) | Unavailable::TlsPolicy(backend, _)) => {
                Some(backend)
            }
            _ => None,
        }
    }
}

impl Unavailable {
    /// Whether the reference itself is at fault, which the route's status tells; not so if only nobody answers at its end.
    pub fn is_invalid_reference(&self) -> bool {
        !matches!(self, Self::NoEndpoints(_) | Self::TlsPolicy(..))
    }

    /// The reason that a route's condition `ResolvedRefs` gives.
    pub fn condition_reason(&self) -> &'static str {
        match self {
            Self::Kind(_) => "InvalidKind",
            Self::NotGranted(_) => "RefNotPermitted",
            Self::ExternalName(_) | Self::Filter(_) => "UnsupportedValue",
            _ => "BackendNotFound",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(backend) => backend.fmt(f),
            Self::Import(name, port) => write!(f, "ServiceImport/{name} port {port}"),
            Self::Unavailable(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "{kind} is no kind of backend"),
            Self::NoService(service) => write!(f, "Service/{service} does not exist"),
            Self::PortMissing(service) => write!(f, "the reference to Service/{service} has no port"),
            Self::NoPort(service, port) => write!(f, "Service/{service} has no port {port}"),
            Self::NotGranted(service) => {
                write!(f, "no ReferenceGrant in namespace {} allows Service/{service}", service.namespace)
            }
            Self::ExternalName(service) => write!(f, "Service/{service} is an external name"),
            Self::NoEndpoints(backend) => write!(f, "{backend} has no ready endpoint"),
            Self::TlsPolicy(backend, policy) => {
                write!(f, "{policy} names no usable certificate authority for {backend}")
            }
            Self::Filter(why) => write!(f, "a filter of the backend cannot be applied: {why}"),
        }
    }
}

/// Resolves references in a cluster; what it learns of endpoints it keeps.
#[derive(Debug)]
pub(super) struct Resolver<'c> {
    cluster: &'c Cluster,
    ready: ReadyPorts<'c>,
    knows_endpoints: bool,
}

/// Whether a cluster holds anything that endpoints are made of. Manifests of Services and routes alone say nothing of them, and are
/// asked where requests go, not whether somebody is there.
pub(super) fn knows_endpoints(cluster: &Cluster) -> bool {
    cluster.list::<Pod>().next().is_some()
        || cluster.list::<EndpointSlice>().next().is_some()
        || cluster.list::<Endpoints>().next().is_some()
}

impl<'c> Resolver<'c> {
    pub(super) fn new(cluster: &'c Cluster) -> Self {
        Self { cluster, ready: ReadyPorts::new(cluster), knows_endpoints: knows_endpoints(cluster) }
    }

    /// Where a reference of a route leads; `from` is the kind of the route.
    pub(super) fn resolve(&self, from: Kind, namespace: &str, reference: &RouteBackendRef) -> Backend {
        self.find(from, namespace, reference).unwrap_or_else(Backend::Unavailable)
    }

    fn find(&self, from: Kind, namespace: &str, reference: &RouteBackendRef) -> Result<Backend, Unavailable> {
        let group = reference.group.as_deref().unwrap_or_default();
        let kind = reference.kind.as_deref().unwrap_or("Service");
        let key = NamespacedName::new(reference.namespace.as_deref().unwrap_or(namespace), reference.name.as_str());
        match (group, kind) {
            ("", "Service") => {}
            (IMPORT_GROUP, "ServiceImport") => {
                let number = reference.port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
                return match number {
                    // No grant can be read for a kind that is not among ours, so only the route's own namespace will do.
                    Some(port) if *key.namespace == *namespace => Ok(Backend::Import(key, port)),
                    Some(_) => Err(Unavailable::NotGranted(key)),
                    None => Err(Unavailable::PortMissing(key)),
                };
            }
            ("", kind) => return Err(Unavailable::Kind(kind.into())),
            (group, kind) => return Err(Unavailable::Kind(format!("{kind}.{group}").into())),
        }
        let target = ObjectRef::new(Kind::Service, key.namespace.clone(), key.name.clone());
        // First of all, so that nobody learns which Services of a foreign namespace exist.
        if !may_refer(self.cluster, from, namespace, "", &target) {
            return Err(Unavailable::NotGranted(key));
        }
        let Some(service) = self.cluster.get::<Service>(&key.namespace, &key.name) else {
            return Err(Unavailable::NoService(key));
        };
        let number = reference.port.ok_or_else(|| Unavailable::PortMissing(key.clone()))?;
        if service.spec.is_external_name() {
            return Err(Unavailable::ExternalName(key));
        }
        let no_port = || Unavailable::NoPort(key.clone(), number);
        let at = service.spec.ports.iter().position(|port| port.port == number).ok_or_else(no_port)?;
        let port = u16::try_from(number).ok().filter(|port| *port != 0).ok_or_else(no_port)?;
        let backend = ServiceBackend { service: target, port };
        if let Some(policy) = self.unusable_policy(service, &service.spec.ports[at].name) {
            return Err(Unavailable::TlsPolicy(backend, policy));
        }
        if !self.knows_endpoints || self.ready.is_ready(service, at) {
            Ok(Backend::Service(backend))
        } else {
            Err(Unavailable::NoEndpoints(backend))
        }
    }

    /// The policy of a Service port, if it names no usable certificate authority.
    fn unusable_policy(&self, service: &Service, port: &str) -> Option<ObjectRef> {
        let policy = backend_tls_policy(self.cluster, service, port)?;
        (!self.has_authority(policy)).then(|| policy.reference())
    }

    fn has_authority(&self, policy: &BackendTlsPolicy) -> bool {
        let validation = &policy.spec.validation;
        if validation.well_known_ca_certificates.as_deref() == Some("System") {
            return true;
        }
        validation.ca_certificate_refs.iter().any(|reference| {
            let map = self.cluster.get::<ConfigMap>(policy.namespace(), &reference.name);
            let bundle = map.and_then(|map| map.data.get("ca.crt"));
            reference.group.is_empty()
                && reference.kind == "ConfigMap"
                && bundle.is_some_and(|pem| pem.contains("-----BEGIN CERTIFICATE-----"))
        })
    }
}

/// The policy that says how a port of a Service is dialled: one that names the port goes before one for all ports; then the oldest counts,
/// then the first by name. Linear in the policies of the namespace.
pub fn backend_tls_policy<'c>(cluster: &'c Cluster, service: &Service, port: &str) -> Option<&'c BackendTlsPolicy> {
    let rank = |policy: &BackendTlsPolicy| {
        let targets = policy
            .spec
            .target_refs
            .iter()
            .filter(|target| target.group.is_empty() && target.kind == "Service" && target.name == service.name());
        let sections = targets.map(|target| target.section_name.as_deref().unwrap_or_default());
        sections.filter(|section| section.is_empty() || *section == port).map(str::is_empty).min()
    };
    let policies = cluster.list_in::<BackendTlsPolicy>(service.namespace());
    let ranked = policies.filter_map(|policy| Some((rank(policy)?, policy.metadata.creation_timestamp, policy)));
    ranked.min_by_key(|(for_all, age, _)| (*for_all, *age)).map(|(.., policy)| policy)
}
