//! What does the node do with one port of one Service in one family? The policy facts, resolved.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use super::candidates::{Candidates, Chosen, Demand};
use super::claims::Destination;
use super::decide::FrontendKind;
use super::delta::Work;
use super::settings::NodeSettings;
use crate::addr::{IpFamily, parse_cidr, parse_ip};
use crate::api::{self, Service};
use crate::cluster::Cluster;
use crate::endpoints;
use crate::kind::{NamespacedName, Resource};
use crate::protocol::{Protocol, port_number};

/// One port of a Service, in one family, as one node serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServicePort {
    /// The Service; its ports share the name.
    pub service: Arc<NamespacedName>,
    /// The port's name; empty for the unnamed one.
    pub name: Box<str>,
    /// See [`ServicePortId::duplicate`].
    pub duplicate: u16,
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
    /// For UDP and SCTP, whose flows outlive the rules: every endpoint anywhere that serves or is ready, whatever the node
    /// uses, in order of address. Empty for TCP.
    pub serving: Arc<[SocketAddr]>,
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

/// Which Service port, in which family. Ordered as Services are: by namespace, name, then port name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ServicePortId<'a> {
    /// The Service.
    pub service: &'a NamespacedName,
    /// The port's name; empty for the unnamed one.
    pub name: &'a str,
    /// The protocol.
    pub protocol: Protocol,
    /// The family.
    pub family: IpFamily,
    /// 0, and more for further ports of the Service with the same name and protocol, which no API server lets pass.
    pub duplicate: u16,
}

/// `namespace/name:port TCP IPv4`; the port's name is left out where it is empty.
impl fmt::Display for ServicePortId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.service)?;
        if !self.name.is_empty() {
            write!(f, ":{}", self.name)?;
        }
        write!(f, " {} {}", self.protocol, self.family)
    }
}

/// A [`ServicePortId`] to keep, such as the key of a map. Ordered alike.
///
/// ```
/// use std::collections::BTreeMap;
/// use svc_model::{Cluster, NodeSettings, NodeView, ServicePortKey};
///
/// let service = serde_json::from_str::<svc_model::api::Service>(
///     r#"{"metadata": {"name": "cart"}, "spec": {"clusterIP": "10.96.0.41", "ports": [{"port": 80}]}}"#,
/// )?;
/// let cluster = Cluster::from_iter([service]);
/// let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None)?);
/// let counters: BTreeMap<ServicePortKey, u64> = view.service_ports().map(|port| (port.id().into(), 0)).collect();
/// let key = counters.keys().next().ok_or("one port")?;
/// assert_eq!(key.to_string(), "default/cart TCP IPv4");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePortKey {
    service: NamespacedName,
    name: Box<str>,
    protocol: Protocol,
    family: IpFamily,
    duplicate: u16,
}

impl ServicePortKey {
    /// The same, borrowed.
    pub fn id(&self) -> ServicePortId<'_> {
        let ServicePortKey { ref service, ref name, protocol, family, duplicate } = *self;
        ServicePortId { service, name, protocol, family, duplicate }
    }
}

impl From<ServicePortId<'_>> for ServicePortKey {
    fn from(id: ServicePortId<'_>) -> ServicePortKey {
        let ServicePortId { service, name, protocol, family, duplicate } = id;
        ServicePortKey { service: service.clone(), name: name.into(), protocol, family, duplicate }
    }
}

/// As the [`ServicePortId`].
impl fmt::Display for ServicePortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

impl ServicePort {
    /// Whether anything but the cluster IP leads here.
    pub fn is_externally_accessible(&self) -> bool {
        self.node_port.is_some() || !self.external_ips.is_empty() || !self.load_balancer_ips.is_empty()
    }

    /// Which port this is; two views of one cluster agree on it.
    pub fn id(&self) -> ServicePortId<'_> {
        ServicePortId {
            service: &self.service,
            name: &self.name,
            protocol: self.protocol,
            family: self.family,
            duplicate: self.duplicate,
        }
    }

    /// Everything that leads here, whoever may have it in the end. A node port stands at the unspecified address, since it
    /// is at many.
    pub fn frontends(&self) -> impl Iterator<Item = (FrontendKind, Destination)> + '_ {
        let addresses = self.addresses().map(|(kind, addr)| (kind, self.at(addr, self.port)));
        let node_port =
            self.node_port.map(|number| (FrontendKind::NodePort, self.at(self.family.unspecified(), number)));
        addresses.chain(node_port)
    }

    /// The addresses of the Service in this family.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (FrontendKind, IpAddr)> + '_ {
        let external = self.external_ips.iter().map(|addr| (FrontendKind::ExternalIp, *addr));
        let balancer = self.load_balancer_ips.iter().map(|addr| (FrontendKind::LoadBalancer, *addr));
        [(FrontendKind::ClusterIp, self.cluster_ip)].into_iter().chain(external).chain(balancer)
    }

    fn at(&self, addr: IpAddr, port: u16) -> Destination {
        Destination { addr, protocol: self.protocol, port }
    }

    /// The ports of a Service for a node, in order: one entry a Service port and family. Headless and ExternalName Services,
    /// and those without an address, have none.
    pub(super) fn of(cluster: &Cluster, service: &Service, node: &NodeSettings, work: &mut Work) -> Vec<ServicePort> {
        let spec = &service.spec;
        if spec.is_external_name() || spec.is_headless() {
            return Vec::new();
        }
        let endpoints = endpoints::of(cluster, service);
        work.endpoints += endpoints.sets.iter().map(|set| set.endpoints.len() as u64).sum::<u64>();
        let by_port = endpoints.by_port();
        let name = Arc::new(service.key());
        let mut ports = Vec::new();
        let mut chosen: BTreeMap<Demand, Chosen> = BTreeMap::new();
        let cluster_ips = spec.written_cluster_ips().filter_map(|ip| parse_ip(ip).ok());
        for cluster_ip in cluster_ips.filter(|ip| !ip.is_unspecified()) {
            let family = IpFamily::of(cluster_ip);
            for port in &spec.ports {
                let (Some(number), Ok(protocol)) = (port_number(port.port), Protocol::of_field(&port.protocol)) else {
                    continue;
                };
                let mut served =
                    ServicePort::without_endpoints(service, &name, port, (cluster_ip, number, protocol), node);
                let is_assumed = |number| cluster.is_assumed_node_port(&name, number);
                served.assumed_node_port = served.node_port.is_some_and(is_assumed);
                served.assumed_health_check_node_port = served.health_check_node_port.is_some_and(is_assumed);
                served.assumed_cluster_ip = cluster.is_assumed_cluster_ip(&name, cluster_ip);
                let demand = Demand {
                    family,
                    sets: by_port.get(&(port.name.as_str(), protocol)).cloned().unwrap_or_default(),
                    uses_cluster: served.uses_cluster(),
                    uses_local: served.uses_local(),
                    has_flows: protocol != Protocol::Tcp,
                };
                let chosen = chosen
                    .entry(demand)
                    .or_insert_with_key(|demand| Chosen::new(cluster, demand, &endpoints, node))
                    .clone();
                served.cluster = chosen.cluster;
                served.local = chosen.local;
                served.has_any_endpoints = chosen.has_any;
                served.serving = chosen.serving;
                ports.push(served);
            }
        }
        ports.sort_by(|a, b| a.id().cmp(&b.id()));
        for i in 1..ports.len() {
            let (before, after) = ports.split_at_mut(i);
            let (last, port) = (&before[i - 1], &mut after[0]);
            if (&last.name, last.protocol, last.family) == (&port.name, port.protocol, port.family) {
                port.duplicate = last.duplicate.saturating_add(1);
            }
        }
        ports
    }

    fn without_endpoints(
        service: &Service,
        name: &Arc<NamespacedName>,
        port: &api::ServicePort,
        (cluster_ip, number, protocol): (IpAddr, u16, Protocol),
        node: &NodeSettings,
    ) -> ServicePort {
        let spec = &service.spec;
        let family = IpFamily::of(cluster_ip);
        // Nobody may take the node's own loopback, nor every address at once; of external IPs, what the owner allows.
        let usable = |addr: &IpAddr| IpFamily::of(*addr) == family && !addr.is_unspecified() && !addr.is_loopback();
        let external_ips = spec.external_ips.iter().filter_map(|ip| parse_ip(ip).ok()).filter(usable);
        let external_ips = external_ips.filter(|addr| node.external_ips.allows(*addr));
        let vips = service.status.load_balancer.ingress.iter().filter(|ingress| !is_proxy(ingress));
        let ranges = spec.load_balancer_source_ranges.iter().filter_map(|cidr| parse_cidr(cidr).ok());
        let mut served = ServicePort {
            service: name.clone(),
            duplicate: 0,
            name: port.name.as_str().into(),
            protocol,
            port: number,
            family,
            cluster_ip,
            external_ips: external_ips.collect(),
            load_balancer_ips: vips.filter_map(|ingress| parse_ip(&ingress.ip).ok()).filter(usable).collect(),
            node_port: port_number(port.node_port),
            health_check_node_port: None,
            internal_policy: policy(spec.internal_traffic_policy.as_deref().unwrap_or_default()),
            external_policy: TrafficPolicy::Cluster,
            affinity_seconds: affinity_seconds(service),
            source_ranges: ranges.filter(|range| IpFamily::of_net(range) == family).collect(),
            cluster: Candidates::default(),
            local: Candidates::default(),
            has_any_endpoints: false,
            serving: Arc::default(),
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
