//! What do Istio's proxies do with the request? The sidecar beside the client, and gateways on the way, one hop after the other.

use std::net::{IpAddr, SocketAddr};

use lb_select::RoundRobin;
use route_match::istio::{
    Age, Caller, Destination as Target, Destinations, EndpointAddress, HttpDecision, HttpQuestion, MeshDecision,
    MeshEndpoint, Origin, Outcome, Resolution, Scheme, StreamDecision, StreamTarget,
};
use svc_model::api::{Container, IstioGateway, Namespace, Pod, selects};
use svc_model::{NamespacedName, ObjectRef, Resource};
use tls_sni::{CertificateRef, Mode};

use super::client::Client;
use super::packet::{choose, reached};
use super::{Destination, End, Walk};
use crate::ask::{self, ParsedRequest, percent};
use crate::world::{Unusable, unusable};

/// Most proxies on one way; more go round in circles.
const MAX_HOPS: usize = 8;

/// The label, or annotation, by which a Pod asks for a sidecar or does without.
const INJECT: &str = "sidecar.istio.io/inject";
/// The container that a sidecar runs in.
const CONTAINER: &str = "istio-proxy";

/// A request on its way from proxy to proxy: what the last one made of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Hop {
    /// The Host, if it was rewritten.
    host: Option<String>,
    /// The path, if it was rewritten.
    path: Option<String>,
    /// The port that it is sent to: that of the Service.
    port: u16,
    /// The proxies so far.
    count: usize,
}

impl Hop {
    /// One that no proxy has seen yet.
    pub(super) fn first(port: u16) -> Hop {
        Hop { port, ..Hop::default() }
    }

    fn question<'q>(&'q self, request: &'q ParsedRequest<'_>) -> HttpQuestion<'q> {
        let mut question = request.question();
        question.host = self.host.as_deref().unwrap_or(question.host);
        question.path = self.path.as_deref().unwrap_or(question.path);
        question.port = self.port;
        question
    }
}

impl<'w> Walk<'w, '_> {
    /// The Pod beside which a sidecar takes what the client sends, and why there is one.
    pub(super) fn sidecar_of(&self, client: &Client<'w>) -> Option<(&'w Pod, &'static str)> {
        let Client::Pod { pod, .. } = client else { return None };
        let pod: &'w Pod = pod;
        if pod.spec.host_network {
            return None; // Nothing is captured on the node's own network.
        }
        let is_proxy = |container: &Container| container.name == CONTAINER;
        if pod.spec.containers.iter().chain(&pod.spec.init_containers).any(is_proxy) {
            return Some((pod, "the Pod has the container istio-proxy"));
        }
        let wish = pod.metadata.labels.get(INJECT).or_else(|| pod.metadata.annotations.get(INJECT));
        match wish.map(String::as_str) {
            Some("true") => return Some((pod, "its sidecar.istio.io/inject says so")),
            Some(_) => return None,
            None => {}
        }
        let labels = &self.world.cluster.get::<Namespace>("", pod.namespace())?.metadata.labels;
        match labels.get("istio-injection").map(String::as_str) {
            Some("enabled") => Some((pod, "the label istio-injection of its namespace says so")),
            Some(_) => None,
            None => {
                labels.contains_key("istio.io/rev").then_some((pod, "the label istio.io/rev of its namespace says so"))
            }
        }
    }

    /// What the client sends, through the sidecar beside it. `addr`: where it meant to connect to, if it knows.
    pub(super) fn through_sidecar(
        &mut self,
        (pod, why): (&Pod, &str),
        client: &Client<'w>,
        addr: Option<IpAddr>,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        let caller = Caller::new(pod.namespace(), pod.metadata.labels.clone());
        let table = self.world.mesh_table(&caller)?;
        self.step_by("sidecar", &format!("takes what {} sends", pod.reference()), why, &pod.reference(), "metadata");
        let hop = Hop::first(destination.port);
        let decision = match &destination.request {
            Some(request) => table.decide(&hop.question(request)),
            None => {
                MeshDecision::Stream(table.decide_tcp(destination.port, StreamTarget::of(destination.authority.host())))
            }
        };
        let passes = match &decision {
            MeshDecision::Http(decision) => decision.rule.is_some_and(|rule| rule.origin == Origin::AllowAny),
            MeshDecision::Stream(decision) => decision.is_passthrough(),
        };
        if passes {
            self.step("route", "PassthroughCluster", &decision.to_string());
            return match addr {
                Some(addr) => self.connect(client, addr, destination),
                None => {
                    Ok(End::Stopped("the sidecar lets it through, to an address that nobody here knows".to_owned()))
                }
            };
        }
        match decision {
            MeshDecision::Http(decision) => self.http_hop(&decision, table.destinations(), &hop, destination),
            MeshDecision::Stream(decision) => self.stream_hop(&decision, table.destinations(), &hop, destination),
        }
    }

    /// The Gateway of Istio whose proxy a Pod is: the oldest that selects it.
    pub(super) fn istio_gateway_of(&self, pod: &Pod) -> Option<NamespacedName> {
        let selects_pod = |gateway: &&IstioGateway| {
            !gateway.spec.selector.is_empty() && selects(&gateway.spec.selector, &pod.metadata.labels)
        };
        let gateways = self.world.cluster.list::<IstioGateway>().filter(selects_pod);
        gateways.min_by_key(|gateway| Age::of(*gateway)).map(Resource::key)
    }

    /// Through the proxy of a Gateway of Istio, which `pod` is.
    pub(super) fn through_istio_gateway(
        &mut self,
        name: &NamespacedName,
        pod: &Pod,
        endpoint: SocketAddr,
        mut hop: Hop,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        let proxy = self.world.istio_gateway(name)?;
        let gateway = proxy.table.gateway().clone();
        let what = format!("{} is a gateway of Istio's, {gateway}", reached(pod, endpoint.port()));
        self.step_by("proxy", &what, "the selector of the Gateway fits its labels", &gateway, "spec.selector");
        hop.count += 1;
        if hop.count > MAX_HOPS {
            return Ok(End::Stopped("the request goes round in circles from gateway to gateway".to_owned()));
        }
        // Servers name the port of the Service in front, or that of the Pod where nothing is translated.
        let opened = |port: u16| proxy.table.servers().accepted.iter().any(|server| server.port == port);
        if !opened(hop.port) && opened(endpoint.port()) {
            hop.port = endpoint.port();
        }
        let Some(request) = &destination.request else {
            let Some(found) = proxy.tls.streams().decide_tcp(hop.port) else {
                return Ok(End::Stopped(format!("no server of {gateway} takes bytes on port {}", hop.port)));
            };
            let Some(rule) = found.rule else {
                return Ok(End::Stopped(format!("{} leads nowhere", found.server)));
            };
            return match rule.backends.shares().next() {
                Some((to, _)) => {
                    let result = to.backend.to_string();
                    self.origin_step(&rule.origin, &result, &format!("{}, by {}", found.server, rule.origin));
                    self.destination(&to.backend, &proxy.destinations, hop, destination)
                }
                None => Ok(End::Stopped("no destination has a share of the connections".to_owned())),
            };
        };
        if request.scheme == Scheme::Https {
            let mut question = ask::gateway::handshake(request);
            question.port = hop.port;
            let decision = proxy.tls.decide(&question, ask::now());
            let result = format!("server name {}: {}", request.authority.host(), ask::outcome(&decision));
            let why = decision.reason.to_string();
            match decision.certificate {
                Some(CertificateRef::Secret(secret)) => self.step_by("TLS", &result, &why, secret, "data"),
                _ => self.step("TLS", &result, &why),
            }
            match (decision.mode, decision.rule) {
                (Mode::Reject, _) => return Ok(End::Stopped("the handshake is refused".to_owned())),
                (_, Some(rule)) => {
                    let Some((to, _)) = rule.backends.shares().next() else {
                        return Ok(End::Stopped("no destination has a share of the connections".to_owned()));
                    };
                    self.origin_step(&rule.origin, &to.backend.to_string(), &rule.origin.to_string());
                    return self.destination(&to.backend, &proxy.destinations, hop, destination);
                }
                (Mode::Passthrough, None) => {
                    return Ok(End::Stopped("the connection is passed on, but to no destination".to_owned()));
                }
                (Mode::Terminate, None) => {}
            }
        }
        let name = Some(request).filter(|request| request.scheme == Scheme::Https).and_then(ask::gateway::server_name);
        let question = hop.question(request);
        let decision = proxy.table.decide(&question, name);
        self.http_hop(&decision, &proxy.destinations, &hop, destination)
    }

    /// What a proxy does with a request, and where it goes from there.
    fn http_hop(
        &mut self,
        decision: &HttpDecision<'_>,
        known: &Destinations,
        hop: &Hop,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        let why = decision.to_string();
        let origin = decision.rule.map(|rule| &rule.origin);
        match &decision.outcome {
            Outcome::Forward { path, host, .. } => {
                let shares = decision.rule.and_then(|rule| rule.action.backends());
                let shares: Vec<_> = shares.into_iter().flat_map(|backends| backends.shares()).collect();
                let Some((to, part)) = shares.first() else {
                    return Ok(End::Stopped("no destination has a share of the requests".to_owned()));
                };
                let mut result = to.backend.to_string();
                if shares.len() > 1 {
                    result.push_str(&format!(" ({} of the requests)", percent(*part)));
                }
                // Of several destinations, each may set a Host of its own.
                let own = to.filters.as_deref().and_then(|filters| filters.host.as_deref());
                let mut next = Hop { port: to.backend.port, ..hop.clone() };
                if let Some(path) = path {
                    result.push_str(&format!(", path rewritten to {path}"));
                    next.path = Some(path.clone());
                }
                if let Some(host) = host.or(own) {
                    result.push_str(&format!(", host rewritten to {host}"));
                    next.host = Some(host.to_owned());
                }
                self.origin_steps(origin, &result, &why);
                self.destination(&to.backend, known, next, destination)
            }
            Outcome::Redirect { code, location } => {
                self.origin_steps(origin, &format!("redirect {code} to {location}"), &why);
                Ok(End::Stopped(format!("redirected ({code}) to {location}")))
            }
            Outcome::Respond { status, .. } => {
                self.origin_steps(origin, &format!("status {status}"), &why);
                Ok(End::Stopped(format!("the proxy answers {status}")))
            }
            Outcome::NoHttp => Ok(End::Stopped(why)),
            _ => Err(unusable("the answer is of a kind that is not modelled yet")),
        }
    }

    /// Where a connection goes that the sidecar does not read as requests.
    fn stream_hop(
        &mut self,
        decision: &StreamDecision<'_>,
        known: &Destinations,
        hop: &Hop,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        let why = decision.to_string();
        let first = decision.rule.and_then(|rule| Some((rule, rule.backends.shares().next()?)));
        let Some((rule, (to, part))) = first else {
            return Ok(End::Stopped(format!("the sidecar closes the connection: {why}")));
        };
        let mut result = to.backend.to_string();
        if rule.backends.only().is_none() {
            result.push_str(&format!(" ({} of the connections)", percent(part)));
        }
        self.origin_step(&rule.origin, &result, &why);
        let next = Hop { port: to.backend.port, ..hop.clone() };
        self.destination(&to.backend, known, next, destination)
    }

    fn origin_steps(&mut self, origin: Option<&Origin>, result: &str, why: &str) {
        match origin {
            Some(origin) => self.origin_step(origin, result, why),
            None => self.step("route", result, why),
        }
    }

    fn origin_step(&mut self, origin: &Origin, result: &str, why: &str) {
        match origin.virtual_service() {
            Some((route, _)) => self.step_by("route", result, why, route, "spec"),
            None => self.step("route", result, why),
        }
    }

    /// From a destination to its endpoint, and on if that is a gateway.
    fn destination(
        &mut self,
        to: &Target,
        known: &Destinations,
        hop: Hop,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        let Some(service) = known.service(to) else {
            return Ok(End::Stopped(format!("nobody knows the host {}, so the proxy answers 503", to.host)));
        };
        if service.resolution == Resolution::Original {
            return Ok(End::Reached(format!("the address that the client meant, on port {}", to.port)));
        }
        let endpoints = known.endpoints(&self.world.cluster, to);
        let Some(endpoint) = self.pick(&endpoints)? else {
            return Ok(End::Stopped(format!("{to} has no endpoint, so the proxy answers 503")));
        };
        let why = match endpoints.len() {
            1 => "the only one".to_owned(),
            n => format!("{n} endpoints; this one for example"),
        };
        let source = service.source.clone();
        self.step_by("endpoint", &format!("{source} -> {endpoint}"), &why, &source, "spec");
        let addr = match &endpoint.address {
            EndpointAddress::Ip(addr) => SocketAddr::new(*addr, endpoint.port),
            _ => return Ok(End::Reached(format!("{endpoint}, which the manifests do not describe"))),
        };
        let pod = endpoint.workload.as_ref().and_then(|workload| self.pod_of(workload));
        let Some(pod) = pod.or_else(|| self.world.pod_with_ip(addr.ip())) else {
            return Ok(End::Reached(match &endpoint.workload {
                Some(workload) => format!("{addr}, {workload}"),
                None => format!("{addr}, an endpoint that is no Pod of the manifests"),
            }));
        };
        match self.istio_gateway_of(pod) {
            Some(gateway) => self.through_istio_gateway(&gateway, pod, addr, hop, destination),
            None => Ok(End::Reached(reached(pod, addr.port()))),
        }
    }

    fn pod_of(&self, workload: &ObjectRef) -> Option<&'w Pod> {
        (workload.kind == Pod::KIND).then(|| self.world.cluster.get(&workload.namespace, &workload.name))?
    }

    /// The endpoint that is shown.
    fn pick<'e>(&self, endpoints: &'e [MeshEndpoint]) -> Result<Option<&'e MeshEndpoint>, Unusable> {
        let addrs: Vec<SocketAddr> = endpoints
            .iter()
            .filter_map(|endpoint| match endpoint.address {
                EndpointAddress::Ip(addr) => Some(SocketAddr::new(addr, endpoint.port)),
                _ => None,
            })
            .collect();
        // Two subsets of one workload have the same address.
        if addrs.len() < endpoints.len() || addrs.len() < 2 {
            return Ok(endpoints.first());
        }
        let mut distinct = addrs.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let chosen = distinct[choose(&RoundRobin::new, &distinct)?];
        Ok(addrs.iter().position(|addr| *addr == chosen).map(|at| &endpoints[at]))
    }
}
