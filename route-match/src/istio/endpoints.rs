//! Where is a service of the mesh served? Its endpoints, those of a subset, and what a policy looks at.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use lb_select::Locality;
use svc_model::addr::parse_ip;
use svc_model::api::{
    IntOrString, IstioPort, Node, Pod, Service, ServiceEntry, ServicePort, StringMap, WorkloadEntry, WorkloadEntrySpec,
    selects,
};
use svc_model::{Cluster, ObjectRef, Resource, endpoints};

use super::registry::{MeshService, Resolution};
use super::traffic_policy::PolicyEndpoint;

/// The label of a Pod that is its locality, written with dots.
const LOCALITY: &str = "istio-locality";
/// The labels of a Node that make the locality of its Pods.
const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

/// An endpoint of a service on one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MeshEndpoint {
    /// Where it is.
    pub address: EndpointAddress,
    /// The port there.
    pub port: u16,
    /// Its labels.
    pub labels: StringMap,
    /// Its place, if it is known.
    pub locality: Locality,
    /// Its weight, at least 1.
    pub weight: u32,
    /// The Pod or WorkloadEntry, if it is one.
    pub workload: Option<ObjectRef>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointAddress {
    /// At an address.
    Ip(IpAddr),
    /// At the addresses of a name, as DNS has them.
    Name(Box<str>),
    /// At a socket of the proxy's machine.
    Unix(Box<str>),
}

impl fmt::Display for MeshEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            EndpointAddress::Ip(addr) => SocketAddr::new(*addr, self.port).fmt(f),
            EndpointAddress::Name(name) => write!(f, "{name}:{}", self.port),
            EndpointAddress::Unix(path) => f.write_str(path),
        }
    }
}

impl PolicyEndpoint for MeshEndpoint {
    fn locality(&self) -> Locality {
        self.locality.clone()
    }

    fn weight(&self) -> u32 {
        self.weight
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    fn key(&self) -> String {
        self.to_string()
    }
}

/// The endpoints of a port of a service that have these labels; empty ones are those of all. None where connections go to the address that
/// the client used, and for a port that the service has not.
///
/// Costs what the endpoints of the Service cost, or the workloads of the ServiceEntry's namespace.
pub fn mesh_endpoints(cluster: &Cluster, service: &MeshService, port: u16, labels: &StringMap) -> Vec<MeshEndpoint> {
    let source = &service.source;
    let mut found = match service.resolution {
        Resolution::Kubernetes | Resolution::Headless(_) => {
            let service = cluster.get::<Service>(&source.namespace, &source.name);
            service.map(|service| of_service(cluster, service, port)).unwrap_or_default()
        }
        Resolution::Original | Resolution::DynamicDns => Vec::new(),
        Resolution::Static | Resolution::Dns => {
            let entry = cluster.get::<ServiceEntry>(&source.namespace, &source.name);
            entry.map(|entry| of_entry(cluster, entry, &service.host, port)).unwrap_or_default()
        }
    };
    found.retain(|endpoint| selects(labels, &endpoint.labels));
    found
}

fn of_service(cluster: &Cluster, service: &Service, number: u16) -> Vec<MeshEndpoint> {
    let Some(port) = service.spec.ports.iter().find(|port| port.port == i64::from(number)) else { return Vec::new() };
    let known = endpoints::of(cluster, service);
    let ready = known.for_port(port).filter(|(endpoint, _)| endpoint.ready);
    let mut found: Vec<MeshEndpoint> = ready
        .map(|(endpoint, number)| {
            let pod = endpoint.pod.as_ref().and_then(|key| cluster.get::<Pod>(&key.namespace, &key.name));
            let node = endpoint.node.as_deref();
            MeshEndpoint {
                address: EndpointAddress::Ip(endpoint.addr),
                port: number,
                labels: pod.map(|pod| pod.metadata.labels.clone()).unwrap_or_default(),
                locality: pod.map_or_else(Locality::default, |pod| locality_of(cluster, pod, node)),
                weight: 1,
                workload: pod.map(Resource::reference),
            }
        })
        .collect();
    // A selector takes machines beside Pods, unless somebody else has made the endpoints.
    if known.source == endpoints::Source::Pods {
        let selected = workload_entries(cluster, service.namespace(), &service.spec.selector);
        found.extend(selected.filter_map(|(entry, labels)| {
            let number = entry.spec.ports.get(&port.name).copied().or_else(|| written_target(port));
            of_workload(&entry.spec, labels, number.unwrap_or(port.port), Some(entry.reference()))
        }));
    }
    found
}

/// The target port of a Service, if it is a number.
fn written_target(port: &ServicePort) -> Option<i64> {
    match port.target_port {
        Some(IntOrString::Int(number)) if number != 0 => Some(number),
        _ => None,
    }
}

fn of_entry(cluster: &Cluster, entry: &ServiceEntry, host: &str, number: u16) -> Vec<MeshEndpoint> {
    let spec = &entry.spec;
    let Some(port) = spec.ports.iter().find(|port| port.number == i64::from(number)) else { return Vec::new() };
    let there = |workload: &WorkloadEntrySpec| workload.ports.get(&port.name).copied().unwrap_or_else(|| target(port));
    if let Some(selector) = &spec.workload_selector {
        let selected = workload_entries(cluster, entry.namespace(), &selector.labels);
        let machines = selected.filter_map(|(found, labels)| {
            of_workload(&found.spec, labels, there(&found.spec), Some(found.reference()))
        });
        let pods = cluster.pods_selected_by(entry.namespace(), &selector.labels);
        let pods = pods.filter(|pod| pod.is_ready() && !pod.is_finished() && pod.metadata.deletion_timestamp.is_none());
        let pods = pods.filter_map(|pod| {
            Some(MeshEndpoint {
                address: EndpointAddress::Ip(endpoints::pod_addrs(cluster, pod).into_iter().next()?),
                port: u16::try_from(target(port)).ok()?,
                labels: pod.metadata.labels.clone(),
                locality: locality_of(cluster, pod, Some(&pod.spec.node_name)),
                weight: 1,
                workload: Some(pod.reference()),
            })
        });
        return machines.chain(pods).collect();
    }
    if spec.endpoints.is_empty() && spec.resolution != "STATIC" {
        // The host is its own endpoint, on the port that clients call or the one it is mapped to.
        let own = WorkloadEntrySpec { address: host.to_owned(), ..WorkloadEntrySpec::default() };
        return of_workload(&own, StringMap::new(), target(port), None).into_iter().collect();
    }
    let written = spec.endpoints.iter();
    written.filter_map(|workload| of_workload(workload, workload.labels.clone(), there(workload), None)).collect()
}

/// The port of the endpoints of a ServiceEntry.
fn target(port: &IstioPort) -> i64 {
    if port.target_port == 0 { port.number } else { port.target_port }
}

/// The WorkloadEntries of a namespace with these labels, and their labels; the empty selector selects none.
fn workload_entries<'c>(
    cluster: &'c Cluster,
    namespace: &'c str,
    selector: &'c StringMap,
) -> impl Iterator<Item = (&'c WorkloadEntry, StringMap)> {
    cluster.list_in::<WorkloadEntry>(namespace).filter_map(move |entry| {
        let mut labels = entry.metadata.labels.clone();
        labels.extend(entry.spec.labels.clone());
        (!selector.is_empty() && selects(selector, &labels)).then_some((entry, labels))
    })
}

fn of_workload(
    workload: &WorkloadEntrySpec,
    labels: StringMap,
    port: i64,
    reference: Option<ObjectRef>,
) -> Option<MeshEndpoint> {
    let text = workload.address.as_str();
    let address = match (text.strip_prefix("unix://"), parse_ip(text)) {
        (Some(path), _) => EndpointAddress::Unix(path.into()),
        (None, Ok(addr)) => EndpointAddress::Ip(addr),
        (None, Err(_)) if text.is_empty() => return None,
        (None, Err(_)) => EndpointAddress::Name(text.into()),
    };
    Some(MeshEndpoint {
        address,
        port: u16::try_from(port).ok().filter(|port| *port != 0)?,
        labels,
        locality: workload.locality.as_str().into(),
        weight: u32::try_from(workload.weight).unwrap_or(1).max(1),
        workload: reference,
    })
}

/// The place of a Pod: what its label says, else its Node.
fn locality_of(cluster: &Cluster, pod: &Pod, node: Option<&str>) -> Locality {
    if let Some(written) = pod.metadata.labels.get(LOCALITY) {
        return written.replace('.', "/").as_str().into();
    }
    let node = node.and_then(|name| cluster.get::<Node>("", name));
    let parts = TOPOLOGY.map(|label| node.and_then(|node| node.metadata.labels.get(label)).map_or("", String::as_str));
    parts.join("/").as_str().into()
}
