//! Which nodes see the packet, and which Pod gets it?

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use lb_select::{Pick, Policy, Pool, Random};
use route_match::ingress::{ControllerFlags, Scheme};
use svc_model::addr::{IpFamily, parse_ip};
use svc_model::api::{Node, Pod, Service};
use svc_model::{
    Decision, Frontend, FrontendKind, Kind, NodeView, ObjectRef, Packet, Protocol, Reason, Resource, Verdict, endpoints,
};

use super::client::Client;
use super::istio::Hop;
use super::{Destination, End, Walk};
use crate::ask::{self, percent};
use crate::world::{Unusable, unusable};

impl<'w> Walk<'w, '_> {
    /// From an address to whoever takes the connection: the node of the sender decides, then, if the packet leaves for
    /// another node unchanged, that node.
    pub(super) fn connect(
        &mut self,
        client: &Client<'w>,
        addr: IpAddr,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        let dst = SocketAddr::new(addr, destination.port);
        let Some(src) = client.source(addr) else {
            let family = IpFamily::of(addr);
            return Ok(End::Stopped(format!("{client} has no {family} address to send from")));
        };
        let packet = Packet::new(src, dst, Protocol::Tcp);
        let mut view = self.first_view(client, &packet)?;
        let mut decision = view.decide(&packet);
        self.packet_step(&view, &packet, &decision);
        let other = self.world.node_with_ip(addr).filter(|node| node.name() != view.settings().node());
        let next;
        if let (Verdict::Accept, Some(other)) = (decision.verdict, other) {
            self.step("node", &format!("arrives at Node/{}", other.name()), "the address is its own");
            next = self.world.view(Some(other.name()))?;
            decision = next.decide(&packet);
            self.packet_step(&next, &packet, &decision);
            view = next.clone();
        }
        match decision.verdict {
            Verdict::Reject => Ok(End::Stopped("connection refused".to_owned())),
            Verdict::Drop => {
                Ok(End::Stopped("the packet is dropped, so the client waits until it gives up".to_owned()))
            }
            Verdict::Accept => {
                self.sender = Some(src);
                self.arrive_directly(&decision, dst, &view, destination)
            }
            Verdict::Dnat => {
                let candidates = decision.endpoints.candidates();
                let addrs: Vec<SocketAddr> = candidates.iter().map(|candidate| candidate.addr).collect();
                let chosen = &candidates[choose(&Random::new, &addrs)?];
                let why = match candidates.len() {
                    1 => "the only one".to_owned(),
                    n => {
                        let share = percent(decision.endpoints.share());
                        format!("each of {n} gets {share} of new connections; this one for example")
                    }
                };
                self.step("endpoint", &chosen.addr.to_string(), &why);
                self.sender = match decision.endpoints.masquerades(chosen) {
                    false => Some(src),
                    // The node gives its own address.
                    true => {
                        let mut addrs = view.settings().primary_addresses().iter();
                        addrs.find(|addr| IpFamily::of(**addr) == IpFamily::of(src)).copied()
                    }
                };
                let pod = chosen.pod().and_then(|pod| self.world.cluster.get::<Pod>(&pod.namespace, &pod.name));
                self.arrive(chosen.addr, pod.or_else(|| self.world.pod_with_ip(chosen.addr.ip())), destination)
            }
        }
    }

    fn packet_step(&mut self, view: &NodeView, packet: &Packet, decision: &Decision<'_>) {
        let summary = ask::packet_answer(self.world, view, packet, decision);
        let node = view.settings().node();
        let at = if node.is_empty() { String::new() } else { format!(" (seen from node {node})") };
        self.step("packet", &format!("{}{at}", summary.headline), summary.steps.first().map_or("", String::as_str));
    }

    /// The node that decides first: the sender's own, the one that has the address, or one of those that may get it.
    fn first_view(&mut self, client: &Client<'w>, packet: &Packet) -> Result<Rc<NodeView>, Unusable> {
        if let Some(chosen) = self.world.chosen_node() {
            return self.world.view(Some(chosen));
        }
        let home = match client {
            Client::Pod { pod, .. } => Some(pod.spec.node_name.as_str()).filter(|node| !node.is_empty()),
            Client::Address(addr) => self.world.node_with_ip(*addr).map(Resource::name),
            Client::Outside => None,
        };
        if let Some(home) = home.or(self.world.node_with_ip(packet.dst).map(Resource::name)) {
            return self.world.view(Some(home));
        }
        let nodes: Vec<&str> = self.world.cluster.list::<Node>().map(Resource::name).collect();
        let [first, _, ..] = nodes.as_slice() else { return self.world.view(None) };
        let view = self.world.view(Some(first))?;
        let decision = view.decide(packet);
        // The balancer's health check fails on nodes without an endpoint, so it never sends there.
        if let (Reason::NoLocalEndpoints, Some(Frontend::Service(FrontendKind::LoadBalancer, port))) =
            (decision.reason, decision.frontend)
        {
            let serving = port.cluster.endpoints.iter().filter_map(|candidate| candidate.node());
            if let Some(node) = serving.filter(|node| nodes.contains(node)).min() {
                let why = "externalTrafficPolicy is Local, so the balancer sends to nodes with an endpoint only; --node chooses another";
                self.step("node", node, why);
                return self.world.view(Some(node));
            }
        }
        self.step("node", first, "any node may get the packet; this one for example, --node chooses another");
        Ok(view)
    }

    /// A packet that goes on unchanged: to a Pod's own address, to a node, or out of the manifests' reach.
    fn arrive_directly(
        &mut self,
        decision: &Decision<'_>,
        dst: SocketAddr,
        view: &NodeView,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        if let Reason::UnknownPort(port) = decision.reason
            && !view.settings().is_local(dst.ip())
        {
            let name = &port.service;
            let service = self.world.cluster.get::<Service>(&name.namespace, &name.name);
            let ports = service.map(ask::port_list).unwrap_or_default();
            return Ok(End::Stopped(format!("Service/{name} has no port {}; it has {ports}", dst.port())));
        }
        if let Some(pod) = self.world.pod_with_ip(dst.ip()).or_else(|| self.listening_on_host(dst)) {
            return self.arrive(dst, Some(pod), destination);
        }
        if let Some(node) = self.world.node_with_ip(dst.ip()) {
            return Ok(End::Stopped(format!(
                "{dst} is an address of Node/{}, where nothing known listens",
                node.name()
            )));
        }
        if let Some(gateway) = self.gateway_at(dst.ip()) {
            let object = ObjectRef::new(Kind::Gateway, gateway.namespace.clone(), gateway.name.clone());
            self.step_by("proxy", &object.to_string(), "the address is its own", &object, "status.addresses");
            return self.through_gateway(&gateway, destination);
        }
        if let Some(service) = self.proxying_balancer(dst.ip()) {
            return Ok(End::Reached(format!(
                "{dst}, the load balancer of {service}; by its ipMode it proxies, and what it does the manifests do not say"
            )));
        }
        Ok(End::Reached(format!("{dst}, which the manifests do not describe")))
    }

    /// The Service whose load balancer has this address without the nodes answering for it (`ipMode: Proxy`).
    fn proxying_balancer(&self, addr: IpAddr) -> Option<ObjectRef> {
        let has = |service: &&Service| {
            service.status.load_balancer.ingress.iter().any(|ingress| parse_ip(&ingress.ip) == Ok(addr))
        };
        self.world.cluster.list::<Service>().find(has).map(Resource::reference)
    }

    /// A Pod on a node's network that declares the port.
    fn listening_on_host(&self, dst: SocketAddr) -> Option<&'w Pod> {
        self.world.cluster.list::<Pod>().find(|pod| {
            pod.spec.host_network
                && pod.spec.container_ports().any(|port| port.container_port == i64::from(dst.port()))
                && endpoints::pod_addrs(&self.world.cluster, pod).contains(&dst.ip())
        })
    }

    /// A connection that reaches a Pod: an ingress controller, which goes on, or the one that was meant.
    fn arrive(&mut self, addr: SocketAddr, pod: Option<&Pod>, destination: &Destination<'_>) -> Result<End, Unusable> {
        let Some(pod) = pod else {
            return Ok(End::Reached(format!("{addr}, an endpoint that is no Pod of the manifests")));
        };
        let reached = reached(pod, addr.port());
        if let Some(gateway) = self.gateway_of(pod) {
            let result = format!("{reached} is a proxy of Gateway/{gateway}");
            self.step_by("proxy", &result, "its label says so", &pod.reference(), "metadata.labels");
            return self.through_gateway(&gateway, destination);
        }
        if let Some(gateway) = self.istio_gateway_of(pod) {
            return self.through_istio_gateway(&gateway, pod, addr, Hop::first(destination.port), destination);
        }
        let Some(request) = &destination.request else { return Ok(End::Reached(reached)) };
        let flags = ControllerFlags::of_pod(pod).filter(|f| addr.port() == f.http_port || addr.port() == f.https_port);
        if let Some(flags) = flags {
            let class = self.class_of(&flags);
            let why = "its container's arguments";
            let result = format!("{reached} runs ingress-nginx for IngressClass/{class}");
            self.step_by("proxy", &result, why, &pod.reference(), "spec.containers");
            return match (request.scheme, addr.port() == flags.https_port) {
                (Scheme::Http, true) => {
                    Ok(End::Stopped("the controller's TLS port answers plain HTTP with 400".to_owned()))
                }
                (Scheme::Https, false) => Ok(End::Stopped("the controller's plain port cannot do TLS".to_owned())),
                _ => self.proxy(&class, request),
            };
        }
        if request.scheme == Scheme::Https {
            self.step("TLS", "between the client and the Pod", "nothing on the way terminates it");
        }
        Ok(End::Reached(reached))
    }
}

/// A Pod and port, with a remark where no container says it listens there though some say where they do.
pub(super) fn reached(pod: &Pod, port: u16) -> String {
    let mut declared = pod.spec.container_ports().map(|declared| declared.container_port).peekable();
    let undeclared = declared.peek().is_some() && declared.all(|number| number != i64::from(port));
    let remark = if undeclared { ", which none of its containers declares" } else { "" };
    format!("{} port {port}{remark}", ObjectRef::new(Kind::Pod, pod.namespace(), pod.name()))
}

/// The index of the endpoint that a policy picks first.
pub(super) fn choose<P: Policy>(
    policy: &dyn Fn(&Pool<SocketAddr>) -> P,
    addrs: &[SocketAddr],
) -> Result<usize, Unusable> {
    let pool = Pool::of(addrs.iter().copied()).map_err(unusable)?;
    let mut words = || 0;
    let choice = policy(&pool).pick(&mut Pick::new(Duration::ZERO, &mut words)).map_err(unusable)?;
    Ok(choice.index)
}
