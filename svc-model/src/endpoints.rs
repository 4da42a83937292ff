//! Which endpoints does a Service have? EndpointSlices, else Endpoints, else Pods, in one form.
//!
//! The rules are those of the endpoint slice controller and of kube-proxy's reading of slices. Whoever asks (the data
//! plane, DNS, an ingress controller) gets the same sets and narrows them by its own rules.
//!
//! ```
//! use svc_model::api::{Pod, PodIp, Condition, Service, ServicePort};
//! use svc_model::{Cluster, endpoints};
//!
//! let mut service = Service::default();
//! service.metadata.name = "web".into();
//! service.spec.selector.insert("app".into(), "web".into());
//! service.spec.ports.push(ServicePort { port: 80, ..Default::default() });
//! let mut pod = Pod::default();
//! pod.metadata.name = "web-0".into();
//! pod.metadata.labels.insert("app".into(), "web".into());
//! pod.status.phase = "Running".into();
//! pod.status.pod_ips.push(PodIp { ip: "10.244.1.5".into() });
//! pod.status.conditions.push(Condition { type_: "Ready".into(), status: "True".into() });
//!
//! let mut cluster = Cluster::new();
//! cluster.apply(service.clone());
//! cluster.apply(pod);
//! let found = endpoints::of(&cluster, &service);
//! assert_eq!(found.source, endpoints::Source::Pods);
//! assert_eq!(found.sets[0].endpoints[0].addr.to_string(), "10.244.1.5");
//! assert!(found.sets[0].endpoints[0].ready);
//! ```

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::addr::{IpFamily, parse_ip, special};
use crate::api::{self, IntOrString, Node, Pod, Service, ServicePort};
use crate::cluster::Cluster;
use crate::families::{cluster_families, service_families};
use crate::kind::{NamespacedName, ObjectRef, Resource};
use crate::protocol::{Protocol, port_number};

/// The endpoints of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceEndpoints {
    /// Where they come from.
    pub source: Source,
    /// Every endpoint of a set has every port of the set.
    pub sets: Vec<EndpointSet>,
}

/// Where a Service's endpoints come from; the first that exists decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// EndpointSlices with the label `kubernetes.io/service-name`.
    Slices,
    /// The Endpoints object of the same name.
    Endpoints,
    /// The Pods that the selector selects.
    Pods,
    /// Nothing: no slice, no Endpoints, no selector.
    Nothing,
}

/// Endpoints that share their ports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointSet {
    /// The object that supplied the addresses: a slice, an Endpoints object, or the Service for its Pods.
    pub object: ObjectRef,
    /// The ports; may be empty for a headless Service.
    pub ports: Vec<EndpointPort>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// A port of an [`EndpointSet`]; pairs with the Service port of the same name and protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointPort {
    /// The Service port's name; empty for the unnamed one.
    pub name: Box<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The number on the endpoint.
    pub port: u16,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The address; never one that [`special`] names.
    pub addr: IpAddr,
    /// Its name under a headless Service, if it has one of its own.
    pub hostname: Option<Arc<str>>,
    /// The node it is on.
    pub node: Option<Arc<str>>,
    /// The zone it is in.
    pub zone: Option<Arc<str>>,
    /// The Pod behind it; a name that copies share.
    pub pod: Option<Arc<NamespacedName>>,
    /// Takes new connections.
    pub ready: bool,
    /// Answers, though it may be terminating.
    pub serving: bool,
    /// On its way out.
    pub terminating: bool,
    /// Zones that should use it; empty for no hint.
    pub zone_hints: Vec<Arc<str>>,
    /// Nodes that should use it; empty for no hint.
    pub node_hints: Vec<Arc<str>>,
    /// Whether it stands for a Pod that had to be assumed.
    pub assumed: bool,
    /// Its place in the object it was read from, counted over all subsets of an Endpoints object.
    pub(crate) place: u32,
}

impl ServiceEndpoints {
    /// Every endpoint with the number that a Service port has there.
    pub fn for_port<'a>(&'a self, port: &'a ServicePort) -> impl Iterator<Item = (&'a Endpoint, u16)> + 'a {
        self.sets_of(port).flat_map(|(i, number)| self.sets[i].endpoints.iter().map(move |endpoint| (endpoint, number)))
    }

    /// The sets that serve each port, by name and protocol, with the numbers there: what [`sets_of`](Self::sets_of) finds one by
    /// one, for those who ask about all ports of a Service.
    pub(crate) fn by_port(&self) -> BTreeMap<(&str, Protocol), Vec<(usize, u16)>> {
        let mut by_port: BTreeMap<(&str, Protocol), Vec<(usize, u16)>> = BTreeMap::new();
        for (i, set) in self.sets.iter().enumerate() {
            for port in &set.ports {
                by_port.entry((&port.name, port.protocol)).or_default().push((i, port.port));
            }
        }
        by_port
    }

    /// The sets that serve a Service port, with its number there. Ports that agree in these have the same endpoints.
    fn sets_of<'a>(&'a self, port: &'a ServicePort) -> impl Iterator<Item = (usize, u16)> + 'a {
        let protocol = Protocol::of_field(&port.protocol).ok();
        self.sets.iter().enumerate().flat_map(move |(i, set)| {
            let numbers = set.ports.iter().filter(move |p| Some(p.protocol) == protocol && *p.name == *port.name);
            numbers.map(move |p| (i, p.port))
        })
    }

    /// Whether any endpoint of any port is ready.
    pub fn any_ready(&self) -> bool {
        self.sets.iter().flat_map(|set| &set.endpoints).any(|endpoint| endpoint.ready)
    }
}

/// The endpoints of a Service of this cluster. Costs the number of its slices' endpoints, or of the Pods that carry the
/// rarest label of its selector.
///
/// ExternalName Services have none. Addresses that cannot be read, or that no endpoint may have, are left out.
pub fn of(cluster: &Cluster, service: &Service) -> ServiceEndpoints {
    let source = source(cluster, service);
    let (namespace, name) = (service.namespace(), service.name());
    let sets = match source {
        Source::Slices => cluster.slices_of(namespace, name).map(from_slice).collect(),
        Source::Endpoints => {
            let endpoints = cluster.get::<api::Endpoints>(namespace, name);
            endpoints.map(|endpoints| from_endpoints(cluster, endpoints)).unwrap_or_default()
        }
        Source::Pods => from_pods(cluster, service),
        Source::Nothing => Vec::new(),
    };
    ServiceEndpoints { source, sets }
}

/// Where the endpoints of a Service come from, without looking at them. ExternalName Services have none.
pub fn source(cluster: &Cluster, service: &Service) -> Source {
    let (namespace, name) = (service.namespace(), service.name());
    if service.spec.is_external_name() {
        Source::Nothing
    } else if cluster.slices_of(namespace, name).next().is_some() {
        Source::Slices
    } else if cluster.get::<api::Endpoints>(namespace, name).is_some() {
        Source::Endpoints
    } else if service.spec.selector.is_empty() {
        Source::Nothing
    } else {
        Source::Pods
    }
}

fn from_slice(slice: &api::EndpointSlice) -> EndpointSet {
    let family: Option<IpFamily> = slice.address_type.parse().ok();
    let ports = slice.ports.iter().filter_map(|port| {
        Some(EndpointPort {
            name: port.name.as_deref()?.into(),
            protocol: Protocol::of_field(&port.protocol).ok()?,
            port: port_number(port.port?)?,
        })
    });
    let endpoints = (0..).zip(&slice.endpoints).filter_map(|(place, endpoint)| {
        let addr = usable(endpoint.addresses.first()?)?;
        if Some(IpFamily::of(addr)) != family {
            return None;
        }
        let conditions = &endpoint.conditions;
        let hints = endpoint.hints.as_ref();
        let names = |names: &[api::ForName]| names.iter().map(|hint| hint.name.as_str().into()).collect();
        Some(Endpoint {
            addr,
            hostname: text(endpoint.hostname.as_deref()),
            node: text(slice_node(endpoint)),
            zone: text(endpoint.zone.as_deref()),
            pod: endpoint.target_ref.as_ref().and_then(|target| pod_of(target, slice.namespace())).map(shared_name),
            ready: conditions.ready.unwrap_or(true),
            serving: conditions.serving.unwrap_or(true),
            terminating: conditions.terminating.unwrap_or(false),
            zone_hints: hints.map(|hints| names(&hints.for_zones)).unwrap_or_default(),
            node_hints: hints.map(|hints| names(&hints.for_nodes)).unwrap_or_default(),
            assumed: false,
            place,
        })
    });
    EndpointSet { object: slice.reference(), ports: ports.collect(), endpoints: endpoints.collect() }
}

fn from_endpoints(cluster: &Cluster, endpoints: &api::Endpoints) -> Vec<EndpointSet> {
    let mut places = 0..;
    let subset = |subset: &api::EndpointSubset| {
        let ports = subset.ports.iter().filter_map(|port| {
            Some(EndpointPort {
                name: port.name.as_str().into(),
                protocol: Protocol::of_field(&port.protocol).ok()?,
                port: port_number(port.port)?,
            })
        });
        let addresses = subset_addresses(subset).zip(places.by_ref()).filter_map(|((address, ready), place)| {
            Some(Endpoint {
                addr: usable(&address.ip)?,
                hostname: text(Some(&address.hostname)),
                node: text(address.node_name.as_deref()),
                zone: zone_of(cluster, address.node_name.as_deref().unwrap_or_default()),
                pod: address.target_ref.as_ref().and_then(|t| pod_of(t, endpoints.namespace())).map(shared_name),
                ready,
                serving: ready,
                terminating: false,
                zone_hints: Vec::new(),
                node_hints: Vec::new(),
                assumed: false,
                place,
            })
        });
        EndpointSet { object: endpoints.reference(), endpoints: addresses.collect(), ports: ports.collect() }
    };
    endpoints.subsets.iter().map(subset).collect()
}

/// The addresses of a subset, the ready ones first, and whether each is.
pub(crate) fn subset_addresses(subset: &api::EndpointSubset) -> impl Iterator<Item = (&api::EndpointAddress, bool)> {
    let not_ready = subset.not_ready_addresses.iter().map(|address| (address, false));
    subset.addresses.iter().map(|address| (address, true)).chain(not_ready)
}

/// The node that an endpoint of a slice names. The `v1beta1` slices had it among the topology labels.
pub(crate) fn slice_node(endpoint: &api::SliceEndpoint) -> Option<&str> {
    let node = endpoint.node_name.as_deref();
    node.or(endpoint.topology.get("kubernetes.io/hostname").map(String::as_str)).filter(|node| !node.is_empty())
}

/// The endpoints that the endpoint slice controller would make of the selected Pods. Pods may number a named target port
/// differently, so there is a set for each combination of numbers.
fn from_pods(cluster: &Cluster, service: &Service) -> Vec<EndpointSet> {
    let families = service_families(&cluster_families(cluster), service);
    let mut sets: Vec<EndpointSet> = Vec::new();
    let mut set_of: HashMap<Vec<EndpointPort>, usize> = HashMap::new();
    // Pods of one workload declare the same ports, so the last one's numbers often hold for the next.
    let mut last: Option<(&Pod, Option<usize>)> = None;
    for pod in cluster.pods_selected_by(service.namespace(), &service.spec.selector) {
        if pod.is_finished() {
            continue;
        }
        let set = match last {
            Some((twin, set)) if twin.spec.container_ports().eq(pod.spec.container_ports()) => set,
            _ => {
                let ports: Vec<EndpointPort> = service.spec.ports.iter().filter_map(|port| target(port, pod)).collect();
                let serves = !ports.is_empty() || service.spec.ports.is_empty();
                serves.then(|| {
                    *set_of.entry(ports).or_insert_with_key(|ports| {
                        sets.push(EndpointSet {
                            object: service.reference(),
                            ports: ports.clone(),
                            endpoints: Vec::new(),
                        });
                        sets.len() - 1
                    })
                })
            }
        };
        last = Some((pod, set));
        if let Some(set) = set {
            sets[set].endpoints.extend(pod_endpoints(cluster, service, &families, pod));
        }
    }
    sets
}

fn pod_endpoints<'a>(
    cluster: &'a Cluster,
    service: &'a Service,
    families: &'a [IpFamily],
    pod: &'a Pod,
) -> impl Iterator<Item = Endpoint> + 'a {
    let addrs: Vec<IpAddr> = pod_addrs(cluster, pod);
    // A headless Service that names no family, in a cluster that shows none, follows the Pods' first address.
    let first = addrs.first().filter(|_| families.is_empty()).map(|addr| IpFamily::of(*addr));
    let key = Arc::new(pod.key());
    let assumed = cluster.is_assumed_pod(&key);
    let serving = pod.is_ready();
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
    let zone = zone_of(cluster, &pod.spec.node_name);
    let node = text(Some(&pod.spec.node_name));
    let hostname = (pod.spec.subdomain == service.name()).then_some(pod.spec.hostname.as_str());
    let distribution = service.spec.traffic_distribution.as_deref().filter(|_| ready);
    let (by_zone, by_node) = match distribution {
        Some("PreferClose" | "PreferSameZone") => (true, false),
        Some("PreferSameNode") => (true, true),
        _ => (false, false),
    };
    addrs
        .into_iter()
        .filter(move |addr| families.contains(&IpFamily::of(*addr)) || first == Some(IpFamily::of(*addr)))
        .map(move |addr| Endpoint {
            addr,
            hostname: text(hostname),
            node: node.clone(),
            zone: zone.clone(),
            pod: Some(key.clone()),
            ready,
            serving,
            terminating,
            zone_hints: zone.iter().filter(|_| by_zone).cloned().collect(),
            node_hints: node.iter().filter(|_| by_node).cloned().collect(),
            assumed,
            place: 0,
        })
}

/// The addresses of a Pod, at most one of each family; a Pod on the host's network has the node's.
pub fn pod_addrs(cluster: &Cluster, pod: &Pod) -> Vec<IpAddr> {
    let mut addrs: Vec<IpAddr> = Vec::with_capacity(2);
    let mut add = |addr: IpAddr| {
        if addrs.iter().all(|known| IpFamily::of(*known) != IpFamily::of(addr)) {
            addrs.push(addr);
        }
    };
    pod.written_ips().filter_map(usable).for_each(&mut add);
    if pod.spec.host_network
        && let Some(node) = cluster.get::<Node>("", &pod.spec.node_name)
    {
        internal_ips(node).for_each(add);
    }
    addrs
}

/// The addresses of type InternalIP of a node.
pub(crate) fn internal_ips(node: &Node) -> impl Iterator<Item = IpAddr> {
    node.status
        .addresses
        .iter()
        .filter(|address| address.type_ == "InternalIP")
        .filter_map(|a| parse_ip(&a.address).ok())
}

/// The number that a Service port leads to on a Pod; `None` if it names a container port that the Pod has not.
///
/// ```
/// use svc_model::api::{Pod, ServicePort};
/// let port = ServicePort { port: 80, ..Default::default() };
/// assert_eq!(svc_model::endpoints::target_port(&port, &Pod::default()), Some(80));
/// ```
pub fn target_port(port: &ServicePort, pod: &Pod) -> Option<u16> {
    match &port.target_port {
        Some(IntOrString::String(name)) if !name.is_empty() => {
            let protocol = Protocol::of_field(&port.protocol).ok()?;
            let declared = pod
                .spec
                .container_ports()
                .find(|declared| declared.name == *name && Protocol::of_field(&declared.protocol) == Ok(protocol))?;
            port_number(declared.container_port)
        }
        Some(IntOrString::Int(number)) if *number != 0 => port_number(*number),
        _ => port_number(port.port),
    }
}

fn target(port: &ServicePort, pod: &Pod) -> Option<EndpointPort> {
    Some(EndpointPort {
        name: port.name.as_str().into(),
        protocol: Protocol::of_field(&port.protocol).ok()?,
        port: target_port(port, pod)?,
    })
}

/// An address that an endpoint may have (CVE-2021-25737).
fn usable(text: &str) -> Option<IpAddr> {
    parse_ip(text).ok().filter(|addr| special(*addr).is_none())
}

/// Namespace and name of the Pod that an endpoint of an object in this namespace refers to.
pub(crate) fn pod_of<'a>(target: &'a api::ObjectReference, namespace: &'a str) -> Option<(&'a str, &'a str)> {
    let namespace = if target.namespace.is_empty() { namespace } else { &target.namespace };
    (target.kind == "Pod").then_some((namespace, target.name.as_str()))
}

fn shared_name((namespace, name): (&str, &str)) -> Arc<NamespacedName> {
    Arc::new(NamespacedName::new(namespace, name))
}

fn zone_of(cluster: &Cluster, node: &str) -> Option<Arc<str>> {
    text(cluster.get::<Node>("", node)?.zone())
}

fn text(text: Option<&str>) -> Option<Arc<str>> {
    text.filter(|text| !text.is_empty()).map(Into::into)
}
