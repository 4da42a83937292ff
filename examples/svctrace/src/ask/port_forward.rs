//! Where would `kubectl port-forward` connect to?

use serde::Deserialize;
use svc_model::api::{Pod, Service};
use svc_model::{ForwardError, ForwardPort, ForwardTarget, NamespacedName, Resource, port_forward};

use super::connect::port_list;
use crate::answer::Answer;
use crate::suggest::did_you_mean;
use crate::world::{Unusable, World, kind_word, unusable};

/// What is to be forwarded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PortForward {
    /// `svc/NAMESPACE/NAME` or `pod/NAMESPACE/NAME`.
    pub to: String,
    /// A number, or as for kubectl: `[LOCAL:]PORT`.
    pub port: Port,
}

/// The port to forward to, and maybe the one to listen on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "port: neither a number from 1 to 65535 nor a name")]
pub enum Port {
    /// A number.
    Number(u16),
    /// `[LOCAL:]PORT`; LOCAL is a number or nothing for any that is free, PORT a number or a name.
    Text(String),
}

/// Where kubectl is asked to listen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Local {
    /// Not said: the number of the port itself.
    Same,
    /// Any free port.
    Free,
    Port(u16),
}

impl Port {
    fn parse(&self) -> Result<(Local, ForwardPort), Unusable> {
        let text = match self {
            Port::Number(0) => return Err(unusable("port 0 cannot be forwarded")),
            Port::Number(number) => return Ok((Local::Same, ForwardPort::Number(*number))),
            Port::Text(text) => text,
        };
        let (local, port) = match text.split_once(':') {
            None => (Local::Same, text.as_str()),
            Some(("" | "0", port)) => (Local::Free, port),
            Some((local, port)) => match local.parse() {
                Ok(local) => (Local::Port(local), port),
                Err(_) => return Err(unusable(format!("{local:?} is no port to listen on: a number from 0 to 65535"))),
            },
        };
        if port.is_empty() || port.contains(':') {
            return Err(unusable(format!("port: {text:?} is not of the form [LOCAL:]PORT")));
        }
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Ok((local, ForwardPort::Name(port.to_owned())));
        }
        match port.parse() {
            Ok(0) => Err(unusable("port 0 cannot be forwarded")),
            Ok(number) => Ok((local, ForwardPort::Number(number))),
            Err(_) => Err(unusable(format!("{port} is no port: 1 to 65535"))),
        }
    }
}

impl PortForward {
    /// Finds the Pod and port.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let target = parse_target(world, &self.to)?;
        let (local, port) = self.port.parse()?;
        let forward = port_forward(&world.cluster, &target, &port)
            .map_err(|error| unusable(format!("{error}{}", suggestion(world, &error))))?;
        let mut answer = Answer::new(format!("{target} {port} -> Pod/{} port {}", forward.pod, forward.port));
        answer.set("pod", forward.pod.to_string());
        answer.set("port", forward.port);
        match local {
            Local::Same => {}
            Local::Free => answer.step("kubectl listens on a free port of this machine"),
            Local::Port(local) => {
                answer.set("local", local);
                answer.step(format!("kubectl listens on port {local} of this machine"));
            }
        }
        let assumed = if forward.assumed { " (assumed Pod)" } else { "" };
        answer.because(format!(
            "the connection passes the API server and the kubelet to the Pod's loopback address: no Service address, policy or \
             balancing is involved{assumed}"
        ));
        Ok(answer)
    }
}

/// kubectl's words for Services.
fn is_service(word: &str) -> bool {
    matches!(word, "svc" | "service" | "services" | "Service")
}

/// Whether this is a word for something that can be forwarded to.
pub(crate) fn is_forwarded(word: &str) -> bool {
    is_service(word) || kind_word(word).is_some()
}

/// A workload stands for its first Pod.
fn parse_target(world: &World, text: &str) -> Result<ForwardTarget, Unusable> {
    let form = || unusable(format!("to: {text:?} is not of the form svc/NAMESPACE/NAME or pod/NAMESPACE/NAME"));
    let parts: Vec<&str> = text.split('/').collect();
    let (kind, namespace, name) = match *parts.as_slice() {
        [kind, namespace, name] => (kind, namespace, name),
        [kind, name] if is_forwarded(kind) => (kind, "default", name),
        [name] => ("pod", "default", name),
        _ => return Err(form()),
    };
    if namespace.is_empty() || name.is_empty() {
        return Err(form());
    }
    let name = NamespacedName::new(namespace, name);
    match kind {
        word if is_service(word) => Ok(ForwardTarget::Service(name)),
        "po" | "pod" | "pods" | "Pod" => Ok(ForwardTarget::Pod(name)),
        _ if kind_word(kind).is_some() => {
            let pod = world.pod(&format!("{kind}/{name}"), "default")?;
            Ok(ForwardTarget::Pod(pod.key()))
        }
        _ => Err(form()),
    }
}

/// What was meant, perhaps: a Service or Pod of a similar name, or a port that there is.
fn suggestion(world: &World, error: &ForwardError) -> String {
    match error {
        ForwardError::NotFound(ForwardTarget::Service(name)) => {
            let known: Vec<String> = world.cluster.list::<Service>().map(|service| service.key().to_string()).collect();
            did_you_mean(&name.to_string(), known.iter().map(String::as_str))
        }
        ForwardError::NotFound(ForwardTarget::Pod(name)) => {
            // A Service's name without a word before it is taken for a Pod's.
            let services = world.cluster.list::<Service>().map(|service| format!("svc/{}", service.key()));
            let pods = world.cluster.list::<Pod>().map(|pod| pod.key().to_string());
            let known: Vec<String> = pods.chain(services).collect();
            did_you_mean(&name.to_string(), known.iter().map(String::as_str))
        }
        ForwardError::NoPort { target: ForwardTarget::Service(name), .. } => {
            let service = world.cluster.get::<Service>(&name.namespace, &name.name);
            service.map(|service| format!("; it has {}", port_list(service))).unwrap_or_default()
        }
        ForwardError::NoPort { target: ForwardTarget::Pod(name), port } => {
            let pod = world.cluster.get::<Pod>(&name.namespace, &name.name);
            let ports = pod.into_iter().flat_map(|pod| pod.spec.container_ports());
            let names: Vec<&str> = ports.map(|port| port.name.as_str()).filter(|name| !name.is_empty()).collect();
            did_you_mean(&port.to_string(), names.iter().copied())
        }
        _ => String::new(),
    }
}
