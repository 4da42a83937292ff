//! Where does a packet go?

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_json::{Value, json};
use svc_model::addr::parse_ip;
use svc_model::api::{Node, Service};
use svc_model::{
    Candidate, Decision, Frontend, Kind, NodeView, ObjectRef, Packet, Protocol, Reason, Resource, Verdict, endpoints,
};

use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

/// A packet, as the node in question receives or sends it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Connect {
    /// Address of the sender, or the name of a Pod.
    pub src: String,
    /// Address and port of the receiver; no port with ICMP.
    pub dst: String,
    /// `TCP` when absent, `UDP`, `SCTP` or `ICMP`.
    #[serde(default)]
    pub protocol: Option<String>,
    /// The node; see [`World::view`].
    #[serde(default)]
    pub node: Option<String>,
}

impl Connect {
    /// Decides it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let to_ipv6 = self.dst.starts_with('[') || self.dst.matches(':').count() > 1;
        let (src, home) = source(world, &self.src, to_ipv6)?;
        let packet = match self.protocol.as_deref().unwrap_or("TCP") {
            "ICMP" => Packet::ping(src, address(&self.dst)?),
            protocol => {
                let protocol: Protocol = protocol
                    .parse()
                    .map_err(|_| unusable(format!("unknown protocol {protocol:?}: TCP, UDP, SCTP or ICMP")))?;
                Packet::new(src, socket_address(&self.dst)?, protocol)
            }
        };
        if packet.src.is_ipv6() != packet.dst.is_ipv6() {
            return Err(unusable(format!("src {} and dst {} are of different IP families", packet.src, packet.dst)));
        }
        // A Pod's packet is seen by the Pod's own node and no other.
        let view = world.view(self.node.as_deref().or(world.chosen_node()).or(home.as_deref()))?;
        let mut answer = packet_answer(world, &view, &packet, &view.decide(&packet));
        if let Some(home) = home.filter(|_| self.node.is_none() && world.chosen_node().is_none()) {
            answer.headline.push_str(&format!(" (seen from node {home})"));
        }
        Ok(answer)
    }
}

/// The sender's address; if it is given as a Pod, one of the wanted family where it has any, and the Pod's node.
pub(crate) fn source(world: &World, src: &str, ipv6: bool) -> Result<(IpAddr, Option<String>), Unusable> {
    if let Ok(addr) = parse_ip(src) {
        return Ok((addr, None));
    }
    if src.contains(':') || src.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(unusable(format!("src: {src:?} is no IP address")));
    }
    let pod = world.pod(src, "default").map_err(|error| {
        // What a node sends has the node's address.
        let node = world.cluster.get::<Node>("", src.rsplit('/').next().unwrap_or(src));
        let addr = node.and_then(|node| node.status.addresses.first());
        let hint = addr.map(|addr| format!("; the Node of this name is {}", addr.address)).unwrap_or_default();
        unusable(format!("src: {error}{hint}"))
    })?;
    let addrs = endpoints::pod_addrs(&world.cluster, pod);
    let addr = addrs.iter().find(|addr| addr.is_ipv6() == ipv6).or(addrs.first());
    let addr = addr.ok_or_else(|| unusable(format!("src: {} has no address", pod.reference())))?;
    Ok((*addr, Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty())))
}

/// The answer to a packet that has been decided; its first step is the reason.
pub(crate) fn packet_answer(world: &World, view: &NodeView, packet: &Packet, decision: &Decision<'_>) -> Answer {
    let mut answer = Answer::new(headline(packet, decision));
    answer.set("verdict", decision.verdict.to_string());
    if decision.verdict == Verdict::Dnat {
        answer.set("endpoints", endpoints_json(decision));
        answer.set("masquerade", decision.endpoints.masquerades_any());
    }
    let mut owner = None;
    match decision.frontend {
        Some(Frontend::Service(kind, port)) => {
            let mut frontend = json!({ "service": port.service.to_string(), "kind": kind.as_str() });
            if !port.name.is_empty() {
                frontend["port"] = (*port.name).into();
            }
            answer.set("frontend", frontend);
            owner = Some(ObjectRef::new(Kind::Service, port.service.namespace.clone(), port.service.name.clone()));
        }
        Some(Frontend::HostPort(host_port)) => {
            answer.set("frontend", json!({ "pod": host_port.pod.key().to_string(), "kind": "HostPort" }));
            owner = Some(host_port.pod.clone());
        }
        _ => {}
    }
    if let Some(seconds) = decision.affinity_seconds() {
        answer.set("affinity", json!({ "type": "ClientIP", "timeoutSeconds": seconds }));
    }
    let mut reason = view.explain(decision).to_string();
    if let Reason::UnknownPort(port) = decision.reason
        && let Some(service) = world.cluster.get::<Service>(&port.service.namespace, &port.service.name)
    {
        reason.push_str(&format!("; it has {}", port_list(service)));
        owner = Some(service.reference());
    }
    if decision.frontend.is_none()
        && let Some(pod) = world.pod_with_ip(packet.dst)
    {
        let assumed = if world.cluster.is_assumed_pod(&pod.key()) { " (assumed)" } else { "" };
        reason.push_str(&format!("; it is the address of {}{assumed}", pod.reference()));
    }
    answer.set("reason", reason.clone());
    let place = owner.map(|owner| world.place_words(&owner, "spec")).unwrap_or_default();
    answer.step(format!("{reason}{place}"));
    for candidate in decision.endpoints.candidates() {
        let pod = candidate.pod().map(|pod| format!(" Pod/{pod}")).unwrap_or_default();
        let node = candidate.node().map(|node| format!(" on {node}")).unwrap_or_default();
        let masquerade = if decision.endpoints.masquerades(candidate) { ", masqueraded" } else { "" };
        let share = percent(decision.endpoints.share());
        let origin = match candidate.supplied_by() {
            origin if origin.kind == Kind::Pod => String::new(),
            origin => format!(" (from {origin})"),
        };
        answer.step(format!("{share} to {}{pod}{node}{masquerade}{origin}", candidate.addr));
    }
    answer
}

fn headline(packet: &Packet, decision: &Decision<'_>) -> String {
    let dst = match packet.port {
        Some((protocol, port)) => format!("{} {protocol}", SocketAddr::new(packet.dst, port)),
        None => format!("{} ICMP", packet.dst),
    };
    let n = decision.endpoints.candidates().len();
    let verdict = match decision.verdict {
        Verdict::Dnat => format!("dnat to {n} endpoint{}", if n == 1 { "" } else { "s" }),
        verdict => verdict.to_string(),
    };
    format!("{} -> {dst}: {verdict}", packet.src)
}

fn endpoints_json(decision: &Decision<'_>) -> Vec<Value> {
    let endpoints = &decision.endpoints;
    let all_alike = endpoints.candidates().iter().all(|c| endpoints.masquerades(c) == endpoints.masquerades_any());
    let entry = |candidate: &Candidate| {
        let from = candidate.supplied_by().to_string();
        let mut entry = json!({ "addr": candidate.addr.to_string(), "p": endpoints.share(), "from": from });
        if !all_alike {
            entry["masquerade"] = endpoints.masquerades(candidate).into();
        }
        entry
    };
    endpoints.candidates().iter().map(entry).collect()
}

/// The ports of a Service, for people: `80 TCP (http), 53 UDP`.
pub(crate) fn port_list(service: &Service) -> String {
    let port = |port: &svc_model::api::ServicePort| {
        let protocol = if port.protocol.is_empty() { "TCP" } else { &port.protocol };
        let name = if port.name.is_empty() { String::new() } else { format!(" ({})", port.name) };
        format!("{} {protocol}{name}", port.port)
    };
    let ports: Vec<String> = service.spec.ports.iter().map(port).collect();
    if ports.is_empty() { "no port".to_owned() } else { ports.join(", ") }
}

/// A share in per cent, with a decimal where one is needed.
pub(crate) fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round() / 10.0;
    if tenths.fract() == 0.0 { format!("{tenths:.0}%") } else { format!("{tenths:.1}%") }
}

/// An address without a port, brackets allowed.
fn address(text: &str) -> Result<IpAddr, Unusable> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    parse_ip(bare).map_err(|error| unusable(format!("dst: {error}")))
}

/// `ADDR:PORT`, `[ADDR]:PORT`.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, Unusable> {
    let form = || unusable(format!("dst: {text:?} is not of the form ADDRESS:PORT (IPv6: [ADDRESS]:PORT)"));
    let (addr, port) = text.rsplit_once(':').ok_or_else(form)?;
    let bracketed = addr.strip_prefix('[').and_then(|addr| addr.strip_suffix(']'));
    if bracketed.is_none() && addr.contains(':') {
        return Err(form());
    }
    let addr = parse_ip(bracketed.unwrap_or(addr)).map_err(|_| form())?;
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|port| digits && *port != 0).ok_or_else(form)?;
    Ok(SocketAddr::new(addr, port))
}
