//! Which Pod and port would `kubectl port-forward` connect to?
//!
//! A forwarded connection meets no frontend: it goes through the API server and the kubelet into the Pod's network
//! namespace, to its loopback address. No policy, affinity or balancing applies.

use std::cmp::Reverse;
use std::fmt;

use crate::api::{Pod, Service};
use crate::cluster::Cluster;
use crate::endpoints::target_port;
use crate::kind::{NamespacedName, Resource};
use crate::protocol::{Protocol, port_number};

/// What `kubectl port-forward` is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardTarget {
    /// `svc/NAME`: stands for one of its Pods.
    Service(NamespacedName),
    /// `pod/NAME`
    Pod(NamespacedName),
}

impl fmt::Display for ForwardTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardTarget::Service(name) => write!(f, "Service/{name}"),
            ForwardTarget::Pod(name) => write!(f, "Pod/{name}"),
        }
    }
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPort {
    /// Of the Service, or of the Pod when a Pod is given.
    Number(u16),
    /// Of a Service port, or of a container port.
    Name(String),
}

impl fmt::Display for ForwardPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPort::Number(number) => number.fmt(f),
            ForwardPort::Name(name) => name.fmt(f),
        }
    }
}

/// Where a forwarded connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forward {
    /// The Pod.
    pub pod: NamespacedName,
    /// The port on its loopback address.
    pub port: u16,
    /// Whether the Pod had to be assumed.
    pub assumed: bool,
}

/// Why nothing can be forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The Service or Pod does not exist.
    #[error("no such object: {0}")]
    NotFound(ForwardTarget),
    /// A Service without selector stands for no Pod, whatever endpoints it has.
    #[error("Service/{0} has no selector, so it stands for no Pod")]
    NoSelector(NamespacedName),
    /// The selector selects nothing.
    #[error("the selector of Service/{0} selects no Pod")]
    NoPod(NamespacedName),
    /// The Pod is not running.
    #[error("Pod/{pod} is not running (phase {phase:?})")]
    NotRunning {
        /// The Pod.
        pod: NamespacedName,
        /// Its phase.
        phase: String,
    },
    /// The Service or Pod has no such port.
    #[error("{target} has no port {port}")]
    NoPort {
        /// The Service or Pod.
        target: ForwardTarget,
        /// The port asked for.
        port: ForwardPort,
    },
    /// Only TCP can be forwarded.
    #[error("port {port} of {target} is {protocol}, and only TCP can be forwarded")]
    NotTcp {
        /// The Service or Pod.
        target: ForwardTarget,
        /// The port asked for.
        port: ForwardPort,
        /// Its protocol.
        protocol: Protocol,
    },
}

/// Where `kubectl port-forward` would connect to.
///
/// Of the Pods that a Service selects a running one goes before others, then a ready one before others, then the first
/// by name (kubectl itself prefers the one that has been ready longest, which manifests do not tell). A number given for a Pod
/// or a headless Service is used as it is.
pub fn port_forward(cluster: &Cluster, target: &ForwardTarget, port: &ForwardPort) -> Result<Forward, ForwardError> {
    let not_found = || ForwardError::NotFound(target.clone());
    let (pod, service) = match target {
        ForwardTarget::Pod(name) => (cluster.get::<Pod>(&name.namespace, &name.name).ok_or_else(not_found)?, None),
        ForwardTarget::Service(name) => {
            let service = cluster.get::<Service>(&name.namespace, &name.name).ok_or_else(not_found)?;
            (pod_of(cluster, service)?, Some(service))
        }
    };
    if pod.status.phase != "Running" {
        return Err(ForwardError::NotRunning { pod: pod.key(), phase: pod.status.phase.clone() });
    }
    let number = match service {
        Some(service) => port_of_service(service, pod, target, port)?,
        None => port_of_pod(pod, target, port)?,
    };
    Ok(Forward { pod: pod.key(), port: number, assumed: cluster.is_assumed_pod(&pod.key()) })
}

fn pod_of<'a>(cluster: &'a Cluster, service: &Service) -> Result<&'a Pod, ForwardError> {
    if service.spec.selector.is_empty() {
        return Err(ForwardError::NoSelector(service.key()));
    }
    let pods = cluster.pods_selected_by(service.namespace(), &service.spec.selector);
    pods.min_by_key(|pod| (Reverse(pod.status.phase == "Running"), Reverse(pod.is_ready()), pod.name()))
        .ok_or_else(|| ForwardError::NoPod(service.key()))
}

fn port_of_service(
    service: &Service,
    pod: &Pod,
    target: &ForwardTarget,
    port: &ForwardPort,
) -> Result<u16, ForwardError> {
    let headless = service.spec.is_headless();
    if let (true, ForwardPort::Number(number)) = (headless, port) {
        return Ok(*number);
    }
    let no_port = || ForwardError::NoPort { target: target.clone(), port: port.clone() };
    let named: Vec<_> = service
        .spec
        .ports
        .iter()
        .filter(|candidate| match port {
            ForwardPort::Number(number) => candidate.port == i64::from(*number),
            // An unnamed port has no name to be asked for.
            ForwardPort::Name(name) => !name.is_empty() && candidate.name == *name,
        })
        .filter_map(|candidate| Some((candidate, Protocol::of_field(&candidate.protocol).ok()?)))
        .collect();
    // A number may be there under several protocols.
    match named.iter().find(|(_, protocol)| *protocol == Protocol::Tcp).or(named.first()) {
        Some((found, Protocol::Tcp)) if headless => port_number(found.port).ok_or_else(no_port),
        Some((found, Protocol::Tcp)) => target_port(found, pod).ok_or_else(no_port),
        Some((_, protocol)) => {
            Err(ForwardError::NotTcp { target: target.clone(), port: port.clone(), protocol: *protocol })
        }
        None => Err(no_port()),
    }
}

fn port_of_pod(pod: &Pod, target: &ForwardTarget, port: &ForwardPort) -> Result<u16, ForwardError> {
    let declared: Vec<_> = pod
        .spec
        .container_ports()
        .filter(|declared| match port {
            ForwardPort::Number(number) => declared.container_port == i64::from(*number),
            ForwardPort::Name(name) => !name.is_empty() && declared.name == *name,
        })
        .filter_map(|declared| {
            Some((port_number(declared.container_port)?, Protocol::of_field(&declared.protocol).ok()?))
        })
        .collect();
    match (declared.iter().find(|(_, protocol)| *protocol == Protocol::Tcp).or(declared.first()), port) {
        (Some((number, Protocol::Tcp)), _) => Ok(*number),
        (Some((_, protocol)), _) => {
            Err(ForwardError::NotTcp { target: target.clone(), port: port.clone(), protocol: *protocol })
        }
        (None, ForwardPort::Number(number)) => Ok(*number),
        (None, ForwardPort::Name(_)) => Err(ForwardError::NoPort { target: target.clone(), port: port.clone() }),
    }
}
