//! What does the node do with one port of one Service in one family? The policy facts, resolved.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use super::settings::NodeSettings;
use crate::addr::{IpFamily, parse_cidr, parse_ip};
use crate::api::{self, Service};
use crate::cluster::Cluster;
use crate::endpoints::{Endpoint, ServiceEndpoints};
use crate::kind::{NamespacedName, Resource};
use crate::protocol::{Protocol, port_number};

/// One port of a Service, in one family, as one node serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServicePort {
    /// The Service.
    pub service: NamespacedName,
    /// The port's name; empty for the unnamed one.
    pub name: Box<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port of the Service's addresses.
    pub port: u16,
    /// The family; the two families of a Service are served apart.
    pub family: IpFamily,
    /// The cluster IP.
    pub cluster_ip: IpAddr,
    /// External IPs, in the order of the Service.
    pub external_ips: Vec<IpAddr>,
    /// Addresses of the load balancer that the node answers for (`ipMode: VIP`).
    pub load_balancer_ips: Vec<IpAddr>,
    /// The node port.
    pub node_port: Option<u16>,
    /// The node port of the health check.
    pub health_check_node_port: Option<u16>,
    /// Who may serve traffic to the cluster IP.
    pub internal_policy: TrafficPolicy,
    /// Who may serve traffic to the other addresses.
    pub external_policy: TrafficPolicy,
    /// Seconds after which a client is forgotten; `None` without session affinity.
    pub affinity_seconds: Option<u32>,
    /// Sources that may use the load balancer's addresses; empty for all.
    pub source_ranges: Vec<IpNet>,
    /// Endpoints anywhere that this node uses.
    pub cluster: Candidates,
    /// Endpoints on this node that it uses.
    pub local: Candidates,
    /// Whether anybody at all could serve; where it is false packets are rejected.
    pub has_any_endpoints: bool,
    /// Whether [`cluster_ip`](Self::cluster_ip) was allocated here rather than written.
    pub assumed_cluster_ip: bool,
    /// Whether [`node_port`](Self::node_port) was allocated here rather than written.
    pub assumed_node_port: bool,
    /// Whether [`health_check_node_port`](Self::health_check_node_port) was allocated here rather than written.
    pub assumed_health_check_node_port: bool,
}

/// Who may serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrafficPolicy {
    /// Endpoints anywhere.
    #[default]
    Cluster,
    /// Endpoints of the node only.
    Local,
}

/// Endpoints that a node uses, sorted by the text of their addresses, and how they were chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidates {
    /// The endpoints; ports of one Service that lead to the same ones share them.
    pub backends: Arc<[Backend]>,
    /// How they were chosen among all.
    pub choice: Choice,
}

/// How candidates were chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Choice {
    /// This list is not used by the Service's policies.
    #[default]
    Unused,
    /// All ready endpoints.
    Ready,
    /// The ready endpoints whose hints name this node.
    NodeHints,
    /// The ready endpoints whose hints name this node's zone.
    ZoneHints,
    /// No endpoint is ready; these are terminating and still serve.
    Terminating,
}

/// An endpoint as a packet's new destination.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backend {
    /// Address and target port.
    pub addr: SocketAddr,
    /// The node it is on.
    pub node: Option<Arc<str>>,
    /// The Pod behind it; a name that copies share.
    pub pod: Option<Arc<NamespacedName>>,
    /// Whether its Pod had to be assumed.
    pub assumed: bool,
}

impl ServicePort {
    /// Whether anything but the cluster IP leads here.
    pub fn is_externally_accessible(&self) -> bool {
        self.node_port.is_some() || !self.external_ips.is_empty() || !self.load_balancer_ips.is_empty()
    }

    /// The ports of a Service for a node: one entry a Service port and family. Headless and ExternalName Services, and
    /// those without an address, have none.
    pub(super) fn of(
        cluster: &Cluster,
        service: &Service,
        endpoints: &ServiceEndpoints,
        node: &NodeSettings,
    ) -> Vec<ServicePort> {
        let spec = &service.spec;
        if spec.is_external_name() || spec.is_headless() {
            return Vec::new();
        }
        let mut ports = Vec::new();
        let mut chosen: HashMap<Served, Chosen> = HashMap::new();
        for cluster_ip in spec.written_cluster_ips().filter_map(|ip| parse_ip(ip).ok()) {
            let family = IpFamily::of(cluster_ip);
            for port in &spec.ports {
                let (Some(number), Ok(protocol)) = (port_number(port.port), Protocol::of_field(&port.protocol)) else {
                    continue;
                };
                let mut served = ServicePort::without_endpoints(service, port, cluster_ip, number, protocol);
                let is_assumed = |number| cluster.is_assumed_node_port(&served.service, number);
                served.assumed_node_port = served.node_port.is_some_and(is_assumed);
                served.assumed_health_check_node_port = served.health_check_node_port.is_some_and(is_assumed);
                served.assumed_cluster_ip = cluster.is_assumed_cluster_ip(&served.service, cluster_ip);
                let key = Served {
                    family,
                    sets: endpoints.sets_of(port).collect(),
                    uses_cluster: served.uses_cluster(),
                    uses_local: served.uses_local(),
                };
                let Chosen { cluster, local, has_any } =
                    chosen.entry(key).or_insert_with_key(|key| Chosen::new(key, endpoints, node)).clone();
                served.cluster = cluster;
                served.local = local;
                served.has_any_endpoints = has_any;
                ports.push(served);
            }
        }
        ports
    }

    fn without_endpoints(
        service: &Service,
        port: &api::ServicePort,
        cluster_ip: IpAddr,
        number: u16,
        protocol: Protocol,
    ) -> ServicePort {
        let spec = &service.spec;
        let family = IpFamily::of(cluster_ip);
        let of_family = |addr: &IpAddr| IpFamily::of(*addr) == family;
        let external_ips = spec.external_ips.iter().filter_map(|ip| parse_ip(ip).ok()).filter(of_family);
        let vips = service.status.load_balancer.ingress.iter().filter(|ingress| !is_proxy(ingress));
        let ranges = spec.load_balancer_source_ranges.iter().filter_map(|cidr| parse_cidr(cidr).ok());
        let mut served = ServicePort {
            service: service.key(),
            name: port.name.as_str().into(),
            protocol,
            port: number,
            family,
            cluster_ip,
            external_ips: external_ips.collect(),
            load_balancer_ips: vips.filter_map(|ingress| parse_ip(&ingress.ip).ok()).filter(of_family).collect(),
            node_port: port_number(port.node_port),
            health_check_node_port: None,
            internal_policy: policy(spec.internal_traffic_policy.as_deref().unwrap_or_default()),
            external_policy: TrafficPolicy::Cluster,
            affinity_seconds: affinity_seconds(service),
            source_ranges: ranges.filter(|range| IpFamily::of_net(range) == family).collect(),
            cluster: Candidates::default(),
            local: Candidates::default(),
            has_any_endpoints: false,
            assumed_cluster_ip: false,
            assumed_node_port: false,
            assumed_health_check_node_port: false,
        };
        // The external policy counts only for Services that have something external.
        if matches!(spec.type_.as_str(), "NodePort" | "LoadBalancer") || !spec.external_ips.is_empty() {
            served.external_policy = policy(&spec.external_traffic_policy);
        }
        if spec.type_ == "LoadBalancer" && served.external_policy == TrafficPolicy::Local {
            served.health_check_node_port = port_number(spec.health_check_node_port);
        }
        served
    }

    fn uses_cluster(&self) -> bool {
        self.internal_policy == TrafficPolicy::Cluster || self.is_externally_accessible()
    }

    fn uses_local(&self) -> bool {
        self.internal_policy == TrafficPolicy::Local
            || (self.external_policy == TrafficPolicy::Local && self.is_externally_accessible())
    }
}

/// What of a Service port decides its endpoints on a node; ports that agree in it share them.
#[derive(PartialEq, Eq, Hash)]
struct Served {
    family: IpFamily,
    /// Sets of endpoints, with the port's number there.
    sets: Vec<(usize, u16)>,
    uses_cluster: bool,
    uses_local: bool,
}

/// The endpoints that a node uses for it.
#[derive(Clone)]
struct Chosen {
    cluster: Candidates,
    local: Candidates,
    has_any: bool,
}

impl Chosen {
    /// Chooses the endpoints of both lists.
    fn new(port: &Served, endpoints: &ServiceEndpoints, node: &NodeSettings) -> Chosen {
        let numbered = port.sets.iter().flat_map(|&(i, number)| {
            let of_set = endpoints.sets[i].endpoints.iter();
            of_set.map(move |endpoint| (endpoint, number))
        });
        let mut endpoints: Vec<(&Endpoint, u16)> =
            numbered.filter(|(endpoint, _)| IpFamily::of(endpoint.addr) == port.family).collect();
        let is_local = |endpoint: &Endpoint| !node.node.is_empty() && endpoint.node.as_deref() == Some(&*node.node);
        // The same address and port in several slices is one endpoint; a local copy wins.
        endpoints.sort_by_key(|(endpoint, number)| (SocketAddr::new(endpoint.addr, *number), !is_local(endpoint)));
        endpoints.dedup_by_key(|(endpoint, number)| SocketAddr::new(endpoint.addr, *number));

        let is_ready = |(endpoint, _): &(&Endpoint, u16)| endpoint.ready;
        let is_terminating = |(endpoint, _): &(&Endpoint, u16)| endpoint.serving && endpoint.terminating;
        let mut cluster = Candidates::default();
        if port.uses_cluster {
            let ready: Vec<_> = endpoints.iter().copied().filter(is_ready).collect();
            cluster = match narrow(ready, node) {
                (chosen, choice) if !chosen.is_empty() => Candidates::new(&chosen, choice),
                _ => {
                    let chosen: Vec<_> = endpoints.iter().copied().filter(is_terminating).collect();
                    Candidates::new(&chosen, Choice::Terminating)
                }
            };
        }
        let mut local = Candidates::default();
        if port.uses_local {
            let here = || endpoints.iter().copied().filter(|(endpoint, _)| is_local(endpoint));
            let ready: Vec<_> = here().filter(is_ready).collect();
            local = if ready.is_empty() {
                let chosen: Vec<_> = here().filter(is_terminating).collect();
                Candidates::new(&chosen, Choice::Terminating)
            } else {
                Candidates::new(&ready, Choice::Ready)
            };
        }
        let any_serves = || endpoints.iter().any(|e| is_ready(e) || is_terminating(e));
        let has_any = !cluster.backends.is_empty() || (port.uses_local && any_serves());
        Chosen { cluster, local, has_any }
    }
}

/// Narrows ready endpoints by their hints. One endpoint without a hint disables that kind of hint.
fn narrow<'a>(ready: Vec<(&'a Endpoint, u16)>, node: &NodeSettings) -> (Vec<(&'a Endpoint, u16)>, Choice) {
    let hinted_for = |hints: fn(&Endpoint) -> &[Arc<str>], name: &str| -> Option<Vec<(&'a Endpoint, u16)>> {
        if name.is_empty() || ready.iter().any(|(endpoint, _)| hints(endpoint).is_empty()) {
            return None;
        }
        let names = |endpoint: &Endpoint| hints(endpoint).iter().any(|hint| **hint == *name);
        let chosen: Vec<_> = ready.iter().copied().filter(|(endpoint, _)| names(endpoint)).collect();
        (!chosen.is_empty()).then_some(chosen)
    };
    if let Some(chosen) = hinted_for(|endpoint| &endpoint.node_hints, &node.node) {
        return (chosen, Choice::NodeHints);
    }
    if let Some(chosen) = hinted_for(|endpoint| &endpoint.zone_hints, node.zone.as_deref().unwrap_or_default()) {
        return (chosen, Choice::ZoneHints);
    }
    (ready, Choice::Ready)
}

impl Candidates {
    fn new(chosen: &[(&Endpoint, u16)], choice: Choice) -> Candidates {
        let backend = |(endpoint, port): &(&Endpoint, u16)| Backend {
            addr: SocketAddr::new(endpoint.addr, *port),
            node: endpoint.node.clone(),
            pod: endpoint.pod.clone(),
            assumed: endpoint.assumed,
        };
        let mut backends: Vec<Backend> = chosen.iter().map(backend).collect();
        // kube-proxy's order, by the text: `10.1.1.11:11` comes before `10.1.1.1:11`.
        backends.sort_by_cached_key(|backend| backend.addr.to_string());
        Candidates { backends: backends.into(), choice }
    }
}

fn policy(text: &str) -> TrafficPolicy {
    if text == "Local" { TrafficPolicy::Local } else { TrafficPolicy::Cluster }
}

fn is_proxy(ingress: &api::LoadBalancerIngress) -> bool {
    ingress.ip_mode.as_deref().is_some_and(|mode| mode != "VIP")
}

/// The effective timeout of `sessionAffinity: ClientIP`; one out of range counts as the default.
fn affinity_seconds(service: &Service) -> Option<u32> {
    const DEFAULT: u32 = 10_800;
    const LONGEST: u32 = 86_400;
    if service.spec.session_affinity != "ClientIP" {
        return None;
    }
    let config = service.spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds).and_then(|seconds| u32::try_from(seconds).ok());
    Some(seconds.filter(|seconds| (1..=LONGEST).contains(seconds)).unwrap_or(DEFAULT))
}
