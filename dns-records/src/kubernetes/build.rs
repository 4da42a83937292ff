//! How does a Service become names? It, its ports and its endpoints, with what each of them answers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use svc_model::addr::parse_ip;
use svc_model::api;
use svc_model::check::Finding;
use svc_model::endpoints::{self, EndpointPort};
use svc_model::{Cluster, ObjectRef, Protocol, Resource};

use super::hosts::{Found, hosts};
use super::reason::ServiceKind;
use super::service::{
    Addresses, Content, Endpoints, Head, Numbers, Part, Port, PortId, Records, Service, Withheld, bit, protocol_label,
    weight,
};
use super::settings::ZoneSettings;
use crate::name::{MAX_LABEL, MAX_WIRE, Name};

/// A Service, compiled.
#[derive(Default)]
pub(super) struct Compiled {
    /// `None` if its name cannot be served.
    pub(super) service: Option<Service>,
    /// What of it is not served.
    pub(super) findings: Vec<Finding>,
}

/// Compiles one Service. Names must fit below a zone of so many octets. Costs the number of endpoints and ports, and sorting
/// them.
pub(super) fn compile(
    cluster: &Cluster,
    service: &api::Service,
    settings: &ZoneSettings,
    shortest_zone: usize,
) -> Compiled {
    let object = service.reference();
    let mut findings = Vec::new();
    let service = match Unserved::of(&object, shortest_zone) {
        None => {
            let head = Head::of(&object);
            let room = MAX_WIRE - shortest_zone - head.as_wire().len();
            let complain = |message| findings.push(not_served(&object, message));
            let (kind, content) = Compiler { cluster, service, settings, room, complain }.content();
            Some(Service { object: Arc::new(object.clone()), head, kind, content })
        }
        Some(unserved) => {
            findings.push(not_served(&object, format!("its name is not served: {unserved}")));
            None
        }
    };
    Compiled { service, findings }
}

/// The complaint about a Service whose name another one has.
pub(super) fn taken(object: &ObjectRef) -> Finding {
    not_served(object, "its name is not served: another name differs from it in case only".into())
}

fn not_served(object: &ObjectRef, message: String) -> Finding {
    Finding::warning(object, "metadata.name", message)
}

/// Why a name is not there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unserved {
    Label,
    TooLong,
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "a label is empty or longer than 63 octets",
            Self::TooLong => "it is too long for DNS, with the zone more than 253 characters",
        })
    }
}

impl Unserved {
    /// Why the name of a Service cannot be served, if it cannot.
    pub(super) fn of(service: &ObjectRef, shortest_zone: usize) -> Option<Self> {
        let labels = [service.name.len(), service.namespace.len(), "svc".len()];
        Self::check(labels, MAX_WIRE - shortest_zone).err()
    }

    /// Whether labels of these lengths fit where there is so much room.
    pub(super) fn check<const N: usize>(labels: [usize; N], room: usize) -> Result<(), Self> {
        match () {
            () if labels.iter().any(|length| !(1..=MAX_LABEL).contains(length)) => Err(Self::Label),
            () if labels.iter().sum::<usize>() + N > room => Err(Self::TooLong),
            () => Ok(()),
        }
    }
}

struct Compiler<'a, F> {
    cluster: &'a Cluster,
    service: &'a api::Service,
    settings: &'a ZoneSettings,
    /// Octets that labels left of the Service may have.
    room: usize,
    complain: F,
}

impl<F: FnMut(String)> Compiler<'_, F> {
    fn content(&mut self) -> (ServiceKind, Content) {
        let spec = &self.service.spec;
        if spec.is_external_name() {
            let content = alias_target(&spec.external_name).map_or_else(Content::Withheld, Content::Alias);
            return (ServiceKind::ExternalName, content);
        }
        let sets = if self.settings.endpoints { endpoints::of(self.cluster, self.service).sets } else { Vec::new() };
        let found = Found::new(&sets, self.settings.endpoint_pod_names);
        let ready = found.ready.len();
        if spec.is_headless() {
            let content = match ready {
                0 => Content::Withheld(Withheld::NoEndpoints),
                _ => Content::Records(self.headless(&found)),
            };
            return (ServiceKind::Headless { ready }, content);
        }
        let cluster_ips = Addresses::of(spec.written_cluster_ips().filter_map(|ip| parse_ip(ip).ok()));
        let kind = if cluster_ips.is_empty() { ServiceKind::NoClusterIp } else { ServiceKind::ClusterIp };
        let content = match ready {
            0 if self.settings.ignore_empty_services => Content::Empty(cluster_ips),
            _ => Content::Records(self.at_cluster_ips(cluster_ips, &found)),
        };
        (kind, content)
    }

    /// The ports are those of the Service, at each of its addresses.
    fn at_cluster_ips(&mut self, addresses: Addresses, found: &Found<'_>) -> Records {
        let service = self.service;
        let ports = service.spec.ports.iter().filter_map(|port| {
            let number = u16::try_from(port.port).ok().filter(|number| *number != 0)?;
            Some((port.name.as_str(), Protocol::of_field(&port.protocol).ok()?, number))
        });
        let names = self.name_ports(ports.clone().map(|(name, protocol, _)| (name, protocol)));
        let numbers: Vec<_> = ports.map(|(name, protocol, number)| (number, names.id(name, protocol))).collect();
        let count = addresses.iter().count();
        let with_port = |id| numbers.iter().filter(|(_, of)| *of == Some(id)).count();
        let ports = names.finish(|id| (count * with_port(id), None));
        // Endpoints are there by name as well; their ports have no names there.
        let at_endpoints = |ports: &&[EndpointPort]| ports.iter().map(|port| (port.port, None)).collect();
        let endpoints = self.endpoints(found, &found.sets.iter().map(at_endpoints).collect::<Vec<_>>());
        Records {
            weight: weight(count * numbers.len()),
            numbers: if count > 0 { Numbers::of(numbers) } else { Numbers::default() },
            protocols: protocols(&ports),
            addresses,
            ports,
            endpoints,
        }
    }

    /// Everything is at the endpoints.
    fn headless(&mut self, found: &Found<'_>) -> Records {
        let ports = found.sets.iter().flat_map(|ports| ports.iter().map(|port| (&*port.name, port.protocol)));
        let names = self.name_ports(ports);
        let numbers = |ports: &&[EndpointPort]| {
            ports.iter().map(|port| (port.port, names.id(&port.name, port.protocol))).collect()
        };
        let by_set: Vec<Vec<(u16, Option<PortId>)>> = found.sets.iter().map(numbers).collect();
        let endpoints = self.endpoints(found, &by_set);
        let ports = names.finish(|id| {
            let with_port = |set: usize| by_set[set].iter().filter(|(_, of)| *of == Some(id)).count();
            let pairs = found.ready.iter().map(|endpoint| with_port(endpoint.set)).sum();
            let everywhere = (0..by_set.len()).all(|set| with_port(set) > 0);
            let part = (!everywhere).then(|| {
                let there = found.ready.iter().filter(|endpoint| with_port(endpoint.set) > 0);
                let hosts = endpoints.as_ref().map(|endpoints| endpoints.with_port(id).collect());
                let addresses = Addresses::of(there.map(|endpoint| endpoint.addr));
                Box::new(Part { addresses, hosts: hosts.unwrap_or_default() })
            });
            (pairs, part)
        });
        Records {
            addresses: Addresses::of(found.ready.iter().map(|endpoint| endpoint.addr)),
            numbers: Numbers::default(),
            weight: weight(found.ready.iter().map(|endpoint| by_set[endpoint.set].len()).sum()),
            protocols: protocols(&ports),
            ports,
            endpoints,
        }
    }

    fn endpoints(&mut self, found: &Found<'_>, numbers: &[Vec<(u16, Option<PortId>)>]) -> Option<Box<Endpoints>> {
        let endpoints = hosts(found, numbers, self.room, |label, unserved| {
            let label = String::from_utf8_lossy(label);
            (self.complain)(format!("endpoint name `{label}` is not served: {unserved}"));
        });
        (!endpoints.hosts.is_empty()).then(|| Box::new(endpoints))
    }

    /// Gives the ports that have names, and names that can be served, their numbers.
    fn name_ports<'p>(&mut self, ports: impl Iterator<Item = (&'p str, Protocol)>) -> PortNames<'p> {
        let mut names = BTreeMap::new();
        for (name, protocol) in ports.filter(|(name, _)| !name.is_empty()) {
            names.entry((name.to_ascii_lowercase(), protocol)).or_insert(name);
        }
        names.retain(|(_, protocol), name| {
            let unserved = Unserved::check([1 + name.len(), protocol_label(*protocol).len() - 1], self.room).err();
            unserved.map(|why| (self.complain)(format!("port name `{name}` is not served: {why}"))).is_none()
        });
        PortNames(names.into_iter().map(|((lower, protocol), name)| (lower, protocol, name)).collect())
    }
}

/// Names of ports in lower case with their protocols, in order, and the spelling met first.
struct PortNames<'p>(Vec<(String, Protocol, &'p str)>);

impl PortNames<'_> {
    fn id(&self, name: &str, protocol: Protocol) -> Option<PortId> {
        let lower = name.to_ascii_lowercase();
        let at = self.0.binary_search_by(|(other, of, _)| other.as_str().cmp(&lower).then(of.cmp(&protocol)));
        at.ok().map(|at| at as PortId)
    }

    /// The ports; `of` counts the pairs of address and port and says where a port is if not everywhere.
    fn finish(&self, mut of: impl FnMut(PortId) -> (usize, Option<Box<Part>>)) -> Box<[Port]> {
        let port = |(id, (_, protocol, name)): (PortId, &(String, Protocol, &str))| {
            let (pairs, part) = of(id);
            let label = [&[1 + name.len() as u8, b'_'], name.as_bytes()].concat().into();
            Port { label, protocol: *protocol, weight: weight(pairs), part }
        };
        (0..).zip(&self.0).map(port).collect()
    }
}

fn protocols(ports: &[Port]) -> u8 {
    ports.iter().fold(0, |set, port| set | bit(port.protocol))
}

/// The target of an ExternalName Service.
fn alias_target(text: &str) -> Result<Name, Withheld> {
    if text.trim_end_matches('.').parse::<IpAddr>().is_ok() {
        return Err(Withheld::AliasOfAddress);
    }
    text.parse::<Name>().ok().filter(|target| !target.as_ref().is_root()).ok_or(Withheld::AliasOfNothing)
}
