//! To which Service port does a backend lead, and can it be served?

use svc_model::api::{Ingress, IngressBackend, IntOrString, Service, ServicePort};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, endpoints};

use super::class::Dialect;
use super::decision::{ServiceBackend, Unavailable};

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
                if service.name.is_empty() {
                    Self::Invalid
                } else {
                    Self::Service(&service.name, port)
                }
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

/// Finds the Service and port of a backend, as the dialect does.
///
/// The plain dialect asks that Service and port exist. ingress-nginx also takes a port by its `targetPort`, and serves
/// it only with a ready endpoint (an ExternalName Service, and one that goes by its cluster IP, need none).
pub(super) fn resolve(
    cluster: &Cluster,
    dialect: Dialect,
    namespace: &str,
    name: &str,
    port: PortRef<'_>,
    by_cluster_ip: bool,
) -> Result<ServiceBackend, Unavailable> {
    let key = || NamespacedName::new(namespace, name);
    let service: &Service = cluster
        .get(namespace, name)
        .ok_or_else(|| Unavailable::NoService(key()))?;
    let no_port = || {
        let port = match port {
            PortRef::Number(number) => number.to_string(),
            PortRef::Name(name) => name.to_owned(),
        };
        Unavailable::NoPort(key(), port.into())
    };
    let found = service
        .spec
        .ports
        .iter()
        .find(|candidate| names(candidate, port, dialect));
    let number = match (found, port) {
        (Some(found), _) => found.port,
        // The name may be all that an ExternalName Service has.
        (None, PortRef::Number(number)) if service.spec.is_external_name() && service.spec.ports.is_empty() => number,
        (None, _) => return Err(no_port()),
    };
    let number = u16::try_from(number)
        .ok()
        .filter(|number| *number != 0)
        .ok_or_else(no_port)?;
    let backend = ServiceBackend {
        service: ObjectRef::new(Kind::Service, namespace, name),
        port: number,
    };
    if dialect == Dialect::Nginx {
        if service.spec.is_external_name() {
            if is_loopback(&service.spec.external_name) {
                return Err(Unavailable::Loopback(key()));
            }
        } else if !reachable(cluster, service, found, by_cluster_ip) {
            return Err(Unavailable::NoEndpoints(backend));
        }
    }
    Ok(backend)
}

/// The first port of a Service: what ingress-nginx takes of a default backend.
pub(super) fn first_port(cluster: &Cluster, key: &NamespacedName) -> Result<ServiceBackend, Unavailable> {
    let service: &Service = cluster
        .get(&key.namespace, &key.name)
        .ok_or_else(|| Unavailable::NoService(key.clone()))?;
    let port = service.spec.ports.first().map_or(0, |port| port.port);
    resolve(
        cluster,
        Dialect::Nginx,
        &key.namespace,
        &key.name,
        PortRef::Number(port),
        false,
    )
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

/// Whether ingress-nginx has an address to send to.
fn reachable(cluster: &Cluster, service: &Service, port: Option<&ServicePort>, by_cluster_ip: bool) -> bool {
    if by_cluster_ip && service.spec.written_cluster_ips().next().is_some() {
        return true;
    }
    let found = endpoints::of(cluster, service);
    port.is_some_and(|port| found.for_port(port).any(|(endpoint, _)| endpoint.ready))
}

/// Names under which a proxy would reach itself (CVE-2021-32783).
fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let loopback_addr = name
        .parse::<std::net::IpAddr>()
        .is_ok_and(|addr| addr.to_canonical().is_loopback());
    loopback_addr || name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}
