//! To which Service port does a backend lead, and can it be served?

use svc_model::api::{Ingress, IngressBackend, IntOrString, Service, ServicePort};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef};

use super::class::Dialect;
use super::decision::Unavailable;
use crate::service_backend::{ReadyPorts, ServiceBackend};

/// A backend of either API version, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BackendRef<'c> {
    /// A port of a Service in the Ingress's namespace.
    Service(&'c str, PortRef<'c>),
    /// Something else, which no dialect here serves.
    Resource,
    /// Neither of the two, or both; the API server refuses it.
    Invalid,
}

/// How a backend names a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortRef<'c> {
    Number(i64),
    Name(&'c str),
}

impl<'c> BackendRef<'c> {
    pub(super) fn of(backend: &'c IngressBackend) -> Self {
        match (&backend.service, &backend.resource) {
            (Some(_), Some(_)) => Self::Invalid,
            (None, Some(_)) => Self::Resource,
            (Some(service), None) => {
                let port = match (service.port.number, service.port.name.as_str()) {
                    (number, "") if number != 0 => PortRef::Number(number),
                    (0, name) if !name.is_empty() => PortRef::Name(name),
                    _ => return Self::Invalid,
                };
                if service.name.is_empty() { Self::Invalid } else { Self::Service(&service.name, port) }
            }
            (None, None) => match &backend.service_port {
                Some(_) if backend.service_name.is_empty() => Self::Invalid,
                Some(IntOrString::Int(number)) => Self::Service(&backend.service_name, PortRef::Number(*number)),
                Some(IntOrString::String(name)) => Self::Service(&backend.service_name, PortRef::Name(name)),
                None => Self::Invalid,
            },
        }
    }

    /// The default backend of an Ingress, under its name in either version.
    pub(super) fn default_of(ingress: &'c Ingress) -> Option<Self> {
        let spec = &ingress.spec;
        spec.default_backend.as_ref().or(spec.backend.as_ref()).map(Self::of)
    }
}

/// The Service port that a backend of an Ingress in `namespace` names, as the dialect finds it, whether or not an endpoint
/// of it is ready; `None` for a backend that is no Service.
///
/// The plain dialect takes a port by its number or its name, ingress-nginx also by its `targetPort`.
pub fn service_backend(
    cluster: &Cluster,
    dialect: Dialect,
    namespace: &str,
    backend: &IngressBackend,
) -> Option<Result<ServiceBackend, Unavailable>> {
    let BackendRef::Service(name, port) = BackendRef::of(backend) else {
        return None;
    };
    Some(find(cluster, dialect, namespace, name, port).map(|found| found.backend))
}

/// The Services of a cluster as the backends of one dialect, with what is known of their endpoints.
#[derive(Debug)]
pub(super) struct Services<'c> {
    cluster: &'c Cluster,
    dialect: Dialect,
    ready: ReadyPorts<'c>,
}

impl<'c> Services<'c> {
    pub(super) fn new(cluster: &'c Cluster, dialect: Dialect) -> Self {
        Self { cluster, dialect, ready: ReadyPorts::new(cluster) }
    }

    /// Finds the Service port of a backend, if it can be served.
    ///
    /// The plain dialect asks that Service and port exist. ingress-nginx asks for a ready endpoint too (an ExternalName
    /// Service, and one that goes by its cluster IP, need none).
    pub(super) fn resolve(
        &self,
        namespace: &str,
        name: &str,
        port: PortRef<'_>,
        by_cluster_ip: bool,
    ) -> Result<ServiceBackend, Unavailable> {
        let Found { service, port, backend } = find(self.cluster, self.dialect, namespace, name, port)?;
        let needs_none = self.dialect == Dialect::Plain
            || service.spec.is_external_name()
            // One that is not written yet is given when the Service is created.
            || (by_cluster_ip && !service.spec.is_headless());
        if needs_none || port.is_some_and(|port| self.ready.is_ready(service, port)) {
            Ok(backend)
        } else {
            Err(Unavailable::NoEndpoints(backend))
        }
    }

    /// The first port of a Service: what ingress-nginx takes of a default backend.
    pub(super) fn first_port(&self, key: &NamespacedName) -> Result<ServiceBackend, Unavailable> {
        let service: &Service =
            self.cluster.get(&key.namespace, &key.name).ok_or_else(|| Unavailable::NoService(key.clone()))?;
        let port = service.spec.ports.first().map_or(0, |port| port.port);
        self.resolve(&key.namespace, &key.name, PortRef::Number(port), false)
    }
}

/// A Service port that a backend names.
struct Found<'c> {
    service: &'c Service,
    /// The index in the Service's ports; `None` for an ExternalName Service without any.
    port: Option<usize>,
    backend: ServiceBackend,
}

fn find<'c>(
    cluster: &'c Cluster,
    dialect: Dialect,
    namespace: &str,
    name: &str,
    port: PortRef<'_>,
) -> Result<Found<'c>, Unavailable> {
    let key = || NamespacedName::new(namespace, name);
    let service: &Service = cluster.get(namespace, name).ok_or_else(|| Unavailable::NoService(key()))?;
    let no_port = || {
        let port = match port {
            PortRef::Number(number) => number.to_string(),
            PortRef::Name(name) => name.to_owned(),
        };
        Unavailable::NoPort(key(), port.into())
    };
    let ports = &service.spec.ports;
    let found = ports.iter().position(|candidate| names(candidate, port, dialect));
    let number = match (found, port) {
        (Some(found), _) => ports[found].port,
        // The name may be all that an ExternalName Service has; ingress-nginx goes by the number whatever ports it lists.
        (None, PortRef::Number(number))
            if service.spec.is_external_name() && (ports.is_empty() || dialect == Dialect::Nginx) =>
        {
            number
        }
        (None, _) => return Err(no_port()),
    };
    let number = u16::try_from(number).ok().filter(|number| *number != 0).ok_or_else(no_port)?;
    if dialect == Dialect::Nginx && service.spec.is_external_name() && is_loopback(&service.spec.external_name) {
        return Err(Unavailable::Loopback(key()));
    }
    let backend = ServiceBackend { service: ObjectRef::new(Kind::Service, namespace, name), port: number };
    Ok(Found { service, port: found, backend })
}

fn names(candidate: &ServicePort, port: PortRef<'_>, dialect: Dialect) -> bool {
    let target = candidate.target_port.as_ref().filter(|_| dialect == Dialect::Nginx);
    match port {
        PortRef::Number(number) => candidate.port == number || target == Some(&IntOrString::Int(number)),
        PortRef::Name(name) => {
            // ingress-nginx compares texts, so a quoted number finds the number.
            let number = name.parse().ok().filter(|_| dialect == Dialect::Nginx);
            candidate.name == name
                || number == Some(candidate.port)
                || target.is_some_and(|target| target.to_string() == name)
        }
    }
}

/// Names under which a proxy would reach itself (CVE-2021-32783).
fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let loopback_addr = name.parse::<std::net::IpAddr>().is_ok_and(|addr| addr.to_canonical().is_loopback());
    loopback_addr || name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}
