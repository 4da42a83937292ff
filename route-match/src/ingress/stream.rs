//! Where does a TCP or UDP port of ingress-nginx lead? Its `tcp-services` and `udp-services` ConfigMaps.
//!
//! Each key is a port of the controller, each value `NAMESPACE/SERVICE:PORT[:PROXY[:PROXY]]`, the port of the Service by number
//! or name. An entry that cannot be served is skipped: nothing listens then.

use std::fmt;

use svc_model::api::{ConfigMap, Service};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Protocol, endpoints};

use super::flags::ControllerFlags;
use crate::service_backend::ServiceBackend;

/// Ports that the controller listens on itself, whatever its flags say.
const OWN_PORTS: [u16; 8] = [80, 443, 442, 8181, 10245, 10246, 10247, 10254];

/// A port of the controller and the Service behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRoute {
    /// The ConfigMap whose entry decided.
    pub route: ObjectRef,
    /// Where connections go.
    pub backend: ServiceBackend,
}

/// Why nothing listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoStream {
    /// The controller runs without the flag that names the ConfigMap.
    NoFlag(Protocol),
    /// The ConfigMap that the flag names does not exist.
    NoConfigMap(NamespacedName),
    /// The ConfigMap has no entry for the port.
    NoEntry(ObjectRef),
    /// It has one, which the controller skips.
    Skipped(ObjectRef, SkippedEntry),
}

/// Why the controller skips an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkippedEntry {
    /// The key is no port number.
    NotAPort,
    /// The controller listens on that port itself.
    OwnPort,
    /// The value is not of the form `NAMESPACE/SERVICE:PORT`.
    Malformed,
    /// There is no such Service.
    NoService(NamespacedName),
    /// The Service has no such port of that protocol.
    NoPort(NamespacedName, Protocol),
    /// No endpoint of the port is ready.
    NoEndpoints(NamespacedName),
}

impl fmt::Display for NoStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFlag(protocol) => {
                let flag = protocol.as_str().to_ascii_lowercase();
                write!(f, "the controller runs without --{flag}-services-configmap")
            }
            Self::NoConfigMap(name) => write!(f, "ConfigMap/{name} does not exist"),
            Self::NoEntry(map) => write!(f, "{map} has no entry for the port"),
            Self::Skipped(map, why) => write!(f, "{map} has an entry for the port that the controller skips: {why}"),
        }
    }
}

impl fmt::Display for SkippedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPort => f.write_str("the key is no port number"),
            Self::OwnPort => f.write_str("the controller listens on that port itself"),
            Self::Malformed => f.write_str("the value is not of the form NAMESPACE/SERVICE:PORT"),
            Self::NoService(name) => write!(f, "Service/{name} does not exist"),
            Self::NoPort(name, protocol) => write!(f, "Service/{name} has no such {protocol} port"),
            Self::NoEndpoints(name) => write!(f, "no endpoint of that port of Service/{name} is ready"),
        }
    }
}

/// Where the controller with these flags sends connections to one of its ports. Costs a look-up of the entry and the
/// endpoints of its Service.
pub fn stream(
    cluster: &Cluster,
    flags: &ControllerFlags,
    protocol: Protocol,
    port: u16,
) -> Result<StreamRoute, NoStream> {
    let name = config_map(flags, protocol).ok_or(NoStream::NoFlag(protocol))?;
    let map: &ConfigMap =
        cluster.get(&name.namespace, &name.name).ok_or_else(|| NoStream::NoConfigMap(name.clone()))?;
    let route = ObjectRef::new(Kind::ConfigMap, name.namespace.clone(), name.name.clone());
    // Keys are compared as numbers, so that `080` is 80.
    let entry = map.data.iter().find(|(key, _)| key.parse() == Ok(port));
    let Some((key, value)) = entry else {
        return Err(NoStream::NoEntry(route));
    };
    match read(cluster, flags, protocol, key, value) {
        Ok(backend) => Ok(StreamRoute { route, backend }),
        Err(why) => Err(NoStream::Skipped(route, why)),
    }
}

/// The entries that the controller with these flags skips: the ConfigMap, the key, and why.
pub(super) fn skipped<'c>(
    cluster: &'c Cluster,
    flags: &'c ControllerFlags,
) -> impl Iterator<Item = (ObjectRef, &'c str, SkippedEntry)> {
    [Protocol::Tcp, Protocol::Udp].into_iter().flat_map(move |protocol| {
        let name = config_map(flags, protocol);
        let map = name.and_then(|name| Some((name, cluster.get::<ConfigMap>(&name.namespace, &name.name)?)));
        map.into_iter().flat_map(move |(name, map)| {
            map.data.iter().filter_map(move |(key, value)| {
                let why = read(cluster, flags, protocol, key, value).err()?;
                let map = ObjectRef::new(Kind::ConfigMap, name.namespace.clone(), name.name.clone());
                Some((map, key.as_str(), why))
            })
        })
    })
}

fn config_map(flags: &ControllerFlags, protocol: Protocol) -> Option<&NamespacedName> {
    match protocol {
        Protocol::Tcp => flags.tcp_services_configmap.as_ref(),
        Protocol::Udp => flags.udp_services_configmap.as_ref(),
        Protocol::Sctp => None,
    }
}

fn read(
    cluster: &Cluster,
    flags: &ControllerFlags,
    protocol: Protocol,
    key: &str,
    value: &str,
) -> Result<ServiceBackend, SkippedEntry> {
    let port: u16 = key.parse().ok().filter(|port| *port != 0).ok_or(SkippedEntry::NotAPort)?;
    if OWN_PORTS.contains(&port) || port == flags.http_port || port == flags.https_port {
        return Err(SkippedEntry::OwnPort);
    }
    let mut parts = value.split(':');
    let (Some(service), Some(wanted)) = (parts.next(), parts.next()) else {
        return Err(SkippedEntry::Malformed);
    };
    let name = match service.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => NamespacedName::new(namespace, name),
        _ => return Err(SkippedEntry::Malformed),
    };
    let service: &Service =
        cluster.get(&name.namespace, &name.name).ok_or_else(|| SkippedEntry::NoService(name.clone()))?;
    let found = service.spec.ports.iter().find(|candidate| {
        let named = match wanted.parse::<i64>() {
            Ok(number) => candidate.port == number,
            Err(_) => candidate.name == wanted,
        };
        named && Protocol::of_field(&candidate.protocol) == Ok(protocol)
    });
    let number = found.and_then(|found| Some((found, u16::try_from(found.port).ok().filter(|port| *port != 0)?)));
    let Some((found, number)) = number else {
        return Err(SkippedEntry::NoPort(name, protocol));
    };
    if !endpoints::of(cluster, service).for_port(found).any(|(endpoint, _)| endpoint.ready) {
        return Err(SkippedEntry::NoEndpoints(name));
    }
    Ok(ServiceBackend { service: ObjectRef::new(Kind::Service, name.namespace, name.name), port: number })
}
