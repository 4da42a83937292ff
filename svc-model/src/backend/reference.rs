//! How is a backend written? One in memory, as plain as can be, that answers packets from what plans have told it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::plan::{Generation, Plan, PlanMode};
use super::{ApplyError, Backend, Capabilities, Observed, Report};
use crate::client_table::ClientTable;
use crate::protocol::Protocol;
use crate::view::{
    AffinityTable, Candidate, Client, Destination, Flow, FrontendKind, HostPort, Mode, NodeSettings, Packet,
    ServicePort, ServicePortKey, TrafficPolicy, Verdict,
};

/// A backend in memory. It holds the Service ports of its plans and goes through them one by one for each packet, by the
/// words of the decision table; so it is slow, and tells whether the view's index, its deltas and their application are right.
///
/// What it holds is in two parts, as for every driver: what is installed, which outlives the process (a kernel's tables), and what
/// the process remembers.
///
/// ```
/// use svc_model::backend::{Backend, Capabilities, Generation, Plan, ReferenceBackend};
/// use svc_model::{Cluster, Delta, NodeSettings, NodeView, Packet, Protocol, Verdict};
///
/// let service = serde_json::from_str::<svc_model::api::Service>(
///     r#"{"metadata": {"name": "cart"}, "spec": {"clusterIP": "10.96.0.41", "ports": [{"port": 80}]}}"#,
/// )?;
/// let cluster = Cluster::from_iter([service]);
/// let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None)?);
/// let mut backend = ReferenceBackend::default();
/// backend.apply(&Plan::full(Generation(1), &view, &Delta::default(), &Capabilities::default()))?;
///
/// let packet = Packet::new("10.1.0.9".parse()?, "10.96.0.41:80".parse()?, Protocol::Tcp);
/// assert_eq!(backend.ask(&packet).verdict, Verdict::Reject); // it has no endpoint
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReferenceBackend {
    installed: Installed,
    /// What the process believes to be installed; a restarted one does not know.
    generation: Option<Generation>,
    interruption: Option<u64>,
    loses_reply: bool,
    capabilities: Capabilities,
}

/// What a [`ReferenceBackend`] has installed, and what came of it.
#[derive(Clone, Debug)]
struct Installed {
    generation: Option<Generation>,
    settings: Option<NodeSettings>,
    ports: BTreeMap<ServicePortKey, Arc<ServicePort>>,
    host_ports: Vec<Arc<HostPort>>,
    clients: ClientTable,
    /// Flows of datagrams, by their source.
    flows: Vec<(IpAddr, Flow)>,
}

impl Default for Installed {
    fn default() -> Self {
        Installed {
            generation: None,
            settings: None,
            ports: BTreeMap::new(),
            host_ports: Vec::new(),
            clients: ClientTable::new(65_536),
            flows: Vec::new(),
        }
    }
}

/// What a [`ReferenceBackend`] owns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferenceArtifact {
    /// The node's settings, once a plan was applied.
    pub settings: Option<NodeSettings>,
    /// The Service ports, in order.
    pub ports: Vec<Arc<ServicePort>>,
    /// The host ports, by Pod.
    pub host_ports: Vec<Arc<HostPort>>,
}

/// What a packet meets.
#[derive(Clone, Debug, PartialEq)]
pub struct Met<'a> {
    /// What happens.
    pub verdict: Verdict,
    /// The endpoints it may go to, each as likely as the other, and whether its source is replaced on the way.
    pub endpoints: Vec<(&'a Candidate, bool)>,
    /// The port of the Service that has its destination.
    port: Option<&'a ServicePort>,
}

/// What can go wrong with a [`ReferenceBackend`]: nothing but what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// See [`ReferenceBackend::interrupt_after`].
    #[error("interrupted")]
    Interrupted,
    /// See [`ReferenceBackend::lose_reply`].
    #[error("the reply was lost")]
    ReplyLost,
}

impl Backend for ReferenceBackend {
    type Artifact = ReferenceArtifact;
    type Error = ReferenceError;

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    /// The generation is stored beside the rules.
    fn read_back(&mut self) -> Result<Observed<ReferenceArtifact>, ReferenceError> {
        let Installed { generation, settings, ports, host_ports, .. } = &self.installed;
        let ports = ports.values().cloned().collect();
        let artifact = ReferenceArtifact { settings: settings.clone(), ports, host_ports: host_ports.clone() };
        self.generation = *generation;
        Ok(Observed::new(artifact).generation(*generation).intact(settings.is_some()))
    }

    fn is_intact(&mut self) -> Result<bool, ReferenceError> {
        Ok(self.installed.settings.is_some())
    }

    /// A batch is one Service port, replaced as a whole; the settings come first and the generation last. One that is gone goes
    /// before any that comes, so that an address which moves leads nowhere for a moment and never to both.
    fn apply(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<ReferenceError>> {
        let wanted: BTreeMap<ServicePortKey, Option<Arc<ServicePort>>> = match plan.mode {
            PlanMode::Delta { base } if [self.generation, self.installed.generation] != [Some(base); 2] => {
                return Err(ApplyError::NeedFull);
            }
            PlanMode::Delta { .. } => {
                plan.changes().map(|change| (change.id().into(), change.after().cloned())).collect()
            }
            // What is there and not in the plan goes; what is in it comes.
            _ => {
                let gone = self.installed.ports.keys().map(|key| (key.clone(), None));
                gone.chain(plan.ports().map(|port| (port.id().into(), Some(port.clone())))).collect()
            }
        };
        let mut report = Report::default();
        if self.installed.settings.as_ref() != Some(plan.view.settings()) {
            self.batch(&mut report)?;
            self.installed.settings = Some(plan.view.settings().clone());
        }
        let (coming, going): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, port)| port.is_some());
        for (key, port) in going.into_iter().chain(coming) {
            if self.installed.ports.get(&key) != port.as_ref() {
                self.batch(&mut report)?;
                let before = match port.clone() {
                    Some(port) => self.installed.ports.insert(key, port),
                    None => self.installed.ports.remove(&key),
                };
                // An endpoint that is gone takes its clients with it.
                self.installed.clients.follow_port(before.as_deref(), port.as_deref());
            }
        }
        let host_ports: Vec<Arc<HostPort>> = plan.host_ports().cloned().collect();
        if self.installed.host_ports != host_ports {
            self.batch(&mut report)?;
            self.installed.host_ports = host_ports;
        }
        // Flows last, so that no packet makes one by the old rules meanwhile.
        for stale in plan.stale_flows() {
            self.installed.flows.retain(|(_, flow)| !stale.is(flow));
        }
        if plan.mode == PlanMode::Full {
            self.installed.flows.retain(|(_, flow)| !plan.view.is_stale(flow));
        }
        self.installed.generation = Some(plan.generation);
        self.generation = Some(plan.generation);
        self.interruption = None;
        if std::mem::take(&mut self.loses_reply) {
            return Err(ApplyError::Unknown { cause: ReferenceError::ReplyLost });
        }
        Ok(report)
    }
}

impl ReferenceBackend {
    /// One that can do less than everything, to see what becomes of the rest.
    pub fn new(capabilities: Capabilities) -> ReferenceBackend {
        ReferenceBackend { capabilities, ..ReferenceBackend::default() }
    }

    /// Makes the next plan stop after this many batches, if it has more.
    pub fn interrupt_after(&mut self, batches: u64) {
        self.interruption = Some(batches);
    }

    /// Makes the next plan that succeeds look as if nobody knew.
    pub fn lose_reply(&mut self) {
        self.loses_reply = true;
    }

    /// Forgets what a process forgets when it ends; what is installed stays.
    pub fn restart(&mut self) {
        let installed = std::mem::take(&mut self.installed);
        *self = ReferenceBackend { installed, ..ReferenceBackend::new(self.capabilities.clone()) };
    }

    /// Removes what is installed, as somebody else might; flows go on.
    pub fn flush(&mut self) {
        self.installed = Installed { flows: std::mem::take(&mut self.installed.flows), ..Installed::default() };
    }

    /// The flows of datagrams that are being kept.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.installed.flows.iter().map(|(_, flow)| flow)
    }

    /// Counts one more batch, or stops there.
    fn batch(&mut self, report: &mut Report) -> Result<(), ApplyError<ReferenceError>> {
        if self.interruption == Some(report.batches) {
            self.interruption = None;
            // Until it has read back, it does not know what is there.
            self.generation = None;
            return Err(match report.batches {
                0 => ApplyError::Rejected { object: None, cause: ReferenceError::Interrupted },
                applied => ApplyError::Partial { applied, cause: ReferenceError::Interrupted },
            });
        }
        report.batches += 1;
        report.operations += 1;
        Ok(())
    }

    /// What a packet meets. O(Service ports).
    pub fn ask(&self, packet: &Packet) -> Met<'_> {
        let unowned = |verdict| Met { verdict, endpoints: Vec::new(), port: None };
        let Some(settings) = &self.installed.settings else { return unowned(Verdict::Accept) };
        let owned = |kind: FrontendKind, at: Destination| {
            self.ports().find(|port| port.frontends().any(|frontend| frontend == (kind, at)))
        };
        if let Some((protocol, port)) = packet.port {
            let at = Destination { addr: packet.dst, protocol, port };
            for kind in [FrontendKind::ClusterIp, FrontendKind::ExternalIp, FrontendKind::LoadBalancer] {
                if let Some(port) = owned(kind, at) {
                    return serve(settings, packet, kind, port);
                }
            }
            let anywhere: IpAddr = match packet.dst {
                IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
            };
            let at_node = owned(FrontendKind::NodePort, Destination { addr: anywhere, protocol, port });
            if let Some(port) = at_node.filter(|_| settings.takes_node_ports_at(packet.dst)) {
                return serve(settings, packet, FrontendKind::NodePort, port);
            }
            let is_open = |open: &&Arc<HostPort>| {
                let endpoint = open.endpoint().addr;
                (open.protocol, open.port) == (protocol, port)
                    && endpoint.is_ipv4() == packet.dst.is_ipv4()
                    && open.host_ip.is_none_or(|ip| ip == packet.dst)
            };
            if let Some(open) = self.installed.host_ports.iter().find(is_open).filter(|_| settings.is_local(packet.dst))
            {
                let endpoint = open.endpoint();
                let masquerade = packet.src.is_loopback() || packet.src == endpoint.addr.ip();
                return Met { verdict: Verdict::Dnat, endpoints: vec![(endpoint, masquerade)], port: None };
            }
        }
        // Nobody has it. What is on the node itself is the node's affair; the modes differ over the rest.
        if settings.is_local(packet.dst) {
            return unowned(Verdict::Accept);
        }
        let is_cluster_ip = self.ports().any(|port| port.cluster_ip == packet.dst);
        let is_service_ip = self.ports().any(|port| {
            port.cluster_ip == packet.dst
                || port.external_ips.contains(&packet.dst)
                || port.load_balancer_ips.contains(&packet.dst)
        });
        unowned(match settings.mode() {
            Mode::Nftables if is_cluster_ip => Verdict::Reject,
            Mode::Nftables if settings.service_ranges().iter().any(|range| range.contains(&packet.dst)) => {
                Verdict::Drop
            }
            Mode::Ipvs if is_service_ip => Verdict::Reject,
            _ => Verdict::Accept,
        })
    }

    /// Makes a connection: the endpoint it goes to, by a word that chooses among those where it may. With session affinity that
    /// is where its client went before; datagrams go on to where the first of their flow went.
    pub fn connect(&mut self, packet: &Packet, now: Duration, word: u64) -> Option<SocketAddr> {
        let met = self.ask(packet);
        let at = (word % (met.endpoints.len().max(1) as u64)) as usize;
        let any = met.endpoints.get(at).map(|(candidate, _)| candidate.addr);
        let chosen = self.remembered(&met, packet, now).or(any);
        let goes_on = met.verdict == Verdict::Accept;
        let port = met.port.filter(|port| port.affinity_seconds.is_some()).map(|port| ServicePortKey::from(port.id()));
        if let (Some(key), Some(chosen)) = (port, chosen) {
            let frontend = self.frontend(packet);
            if let Some(port) = self.installed.ports.get(&key) {
                let client = Client { port: port.id(), frontend, addr: packet.src };
                self.installed.clients.remember(&client, chosen, now);
            }
        }
        if let Some((protocol, number)) = packet.port
            && protocol != Protocol::Tcp
        {
            let destination = Destination { addr: packet.dst, protocol, port: number };
            let reply_source = chosen.or(goes_on.then_some(destination.socket_addr()));
            let flow = reply_source.map(|reply_source| (packet.src, Flow { destination, reply_source }));
            self.installed.flows.extend(flow);
        }
        chosen
    }

    /// Where the client of a packet must go, because it went there before.
    pub fn remembered(&self, met: &Met<'_>, packet: &Packet, now: Duration) -> Option<SocketAddr> {
        let port = met.port?;
        let timeout = Duration::from_secs(port.affinity_seconds?.into());
        let client = Client { port: port.id(), frontend: self.frontend(packet), addr: packet.src };
        let mut seen = Vec::new();
        self.installed.clients.recall(&client, &mut |addr, at| {
            if now.saturating_sub(at) < timeout {
                seen.push(addr);
            }
        });
        met.endpoints.iter().map(|(candidate, _)| candidate.addr).find(|addr| seen.contains(addr))
    }

    /// In IPVS mode each address of a Service has clients of its own.
    fn frontend(&self, packet: &Packet) -> Option<Destination> {
        let is_ipvs = self.installed.settings.as_ref().is_some_and(|settings| settings.mode() == Mode::Ipvs);
        let (protocol, port) = packet.port.filter(|_| is_ipvs)?;
        Some(Destination { addr: packet.dst, protocol, port })
    }

    /// In the order that decides between two that claim one destination.
    fn ports(&self) -> impl Iterator<Item = &ServicePort> {
        self.installed.ports.values().map(Arc::as_ref)
    }
}

/// The decision table, line by line.
fn serve<'a>(settings: &NodeSettings, packet: &Packet, kind: FrontendKind, port: &'a ServicePort) -> Met<'a> {
    let met = |verdict, candidates: &'a [Candidate], masquerade: bool| Met {
        verdict,
        endpoints: candidates.iter().map(|c| (c, masquerade || c.addr.ip() == packet.src)).collect(),
        port: Some(port),
    };
    let is_ipvs = settings.mode() == Mode::Ipvs;
    let in_ranges = |addr: &IpAddr| port.source_ranges.iter().any(|range| range.contains(addr));
    let from_own_address =
        port.load_balancer_ips.contains(&packet.src) && settings.primary_addresses().iter().any(in_ranges);
    let is_blocked = kind == FrontendKind::LoadBalancer
        && !port.source_ranges.is_empty()
        && !in_ranges(&packet.src)
        && !from_own_address;
    if is_blocked && (settings.mode() == Mode::Nftables || port.has_any_endpoints) {
        return met(Verdict::Drop, &[], false);
    }
    if !port.has_any_endpoints {
        return met(Verdict::Reject, &[], false);
    }
    let (list, masquerade) = if kind == FrontendKind::ClusterIp {
        let stranger = settings.detects_pods(port.family) && !settings.is_pod_source(packet.src);
        let list = match port.internal_policy {
            TrafficPolicy::Cluster => &port.cluster,
            TrafficPolicy::Local => &port.local,
        };
        (list, settings.masquerade_all() || stranger)
    } else if port.external_policy == TrafficPolicy::Cluster {
        (&port.cluster, true)
    } else if is_ipvs {
        (&port.local, false)
    } else if settings.is_pod_source(packet.src) {
        (&port.cluster, false)
    } else if settings.is_local(packet.src) {
        (&port.cluster, true)
    } else {
        (&port.local, false)
    };
    if !list.endpoints.is_empty() {
        met(Verdict::Dnat, &list.endpoints, masquerade)
    } else if !is_ipvs {
        met(Verdict::Drop, &[], false)
    } else if port.cluster.endpoints.is_empty() {
        met(Verdict::Reject, &[], false)
    } else {
        met(Verdict::Dnat, &port.cluster.endpoints, masquerade)
    }
}
