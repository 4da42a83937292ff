//! Where does this packet go? The one decision function, with its reason.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::NodeView;
use super::candidates::Candidate;
use super::claims::{Claim, Destination};
use super::host_ports::HostPort;
use super::reason::Reason;
use super::rows::Row;
use super::service_port::{ServicePort, TrafficPolicy};
use super::settings::Mode;
use crate::addr::IpFamily;
use crate::protocol::Protocol;

/// The first packet of a connection, as the node receives or sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Where it comes from, before any translation.
    pub src: IpAddr,
    /// Where it is sent to.
    pub dst: IpAddr,
    /// Protocol and destination port; `None` for ICMP, which has none.
    pub port: Option<(Protocol, u16)>,
}

impl Packet {
    /// A packet to a port.
    pub fn new(src: IpAddr, dst: SocketAddr, protocol: Protocol) -> Packet {
        Packet { src, dst: dst.ip(), port: Some((protocol, dst.port())) }
    }

    /// What `ping` sends.
    pub fn ping(src: IpAddr, dst: IpAddr) -> Packet {
        Packet { src, dst, port: None }
    }
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is sent to one of the endpoints, each as likely as the other.
    Dnat,
    /// Nobody owns its destination; it goes on unchanged.
    Accept,
    /// It is refused, and its sender told.
    Reject,
    /// It is lost without a word.
    Drop,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Dnat => "dnat",
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Drop => "drop",
        })
    }
}

/// As what an address and port belong to a Service or Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FrontendKind {
    /// The cluster IP.
    ClusterIp,
    /// An external IP.
    ExternalIp,
    /// An address of the load balancer.
    LoadBalancer,
    /// A node port.
    NodePort,
    /// A port that a Pod opens on its node.
    HostPort,
}

impl FrontendKind {
    /// The name, as the API spells it where it has one.
    pub fn as_str(self) -> &'static str {
        match self {
            FrontendKind::ClusterIp => "ClusterIP",
            FrontendKind::ExternalIp => "ExternalIP",
            FrontendKind::LoadBalancer => "LoadBalancer",
            FrontendKind::NodePort => "NodePort",
            FrontendKind::HostPort => "HostPort",
        }
    }
}

impl fmt::Display for FrontendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no kind of frontend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of frontend {0:?}")]
pub struct UnknownFrontendKind(pub String);

impl FromStr for FrontendKind {
    type Err = UnknownFrontendKind;

    fn from_str(text: &str) -> Result<FrontendKind, UnknownFrontendKind> {
        use FrontendKind::*;
        let all = [ClusterIp, ExternalIp, LoadBalancer, NodePort, HostPort];
        let found = all.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownFrontendKind(text.chars().take(32).collect()))
    }
}

/// Who owns the destination of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frontend<'v> {
    /// A Service port, reached as this.
    Service(FrontendKind, &'v ServicePort),
    /// A Pod's host port.
    HostPort(&'v HostPort),
}

/// The answer to a packet. Borrows from the view; making one allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'v> {
    /// What happens.
    pub verdict: Verdict,
    /// Who owns the destination, if anybody does.
    pub frontend: Option<Frontend<'v>>,
    /// The candidates of a [`Verdict::Dnat`], each as likely as the other; empty for the other verdicts.
    pub endpoints: Endpoints<'v>,
    /// Why.
    pub reason: Reason<'v>,
}

/// Candidates of a decision, with what depends on the one that is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints<'v> {
    candidates: &'v [Candidate],
    src: IpAddr,
    /// The rule for all of them.
    pub(super) masquerade: bool,
}

impl<'v> Endpoints<'v> {
    /// The endpoints, in kube-proxy's order.
    pub fn candidates(&self) -> &'v [Candidate] {
        self.candidates
    }

    /// The share of new connections that each gets; 0 when there is none.
    pub fn share(&self) -> f64 {
        if self.candidates.is_empty() { 0.0 } else { 1.0 / self.candidates.len() as f64 }
    }

    /// Whether the packet's source is replaced when this endpoint is chosen: by the rule for all, or because the endpoint
    /// would answer itself (hairpin).
    pub fn masquerades(&self, candidate: &Candidate) -> bool {
        self.masquerade || candidate.addr.ip() == self.src
    }

    /// Whether the source is replaced towards at least one endpoint.
    pub fn masquerades_any(&self) -> bool {
        self.candidates.iter().any(|candidate| self.masquerades(candidate))
    }
}

impl<'v> Decision<'v> {
    /// The session affinity of the Service: the seconds after which a client is forgotten.
    pub fn affinity_seconds(&self) -> Option<u32> {
        match self.frontend {
            Some(Frontend::Service(_, port)) if self.verdict == Verdict::Dnat => port.affinity_seconds,
            _ => None,
        }
    }
}

impl NodeView {
    /// Where a packet goes.
    ///
    /// The order is kube-proxy's: the addresses of Services, then node ports, then host ports; what nobody owns is accepted.
    /// A few look-ups, no allocation; the endpoints are not looked at one by one (see the crate page for what is).
    pub fn decide(&self, packet: &Packet) -> Decision<'_> {
        let Some((protocol, number)) = packet.port else {
            return self.decide_ping(packet);
        };
        let destination = Destination { addr: packet.dst, protocol, port: number };
        if let Some(Claim { row, kind }) = self.addresses.owner(&destination) {
            return self.decide_service(packet, kind, &self.rows[row]);
        }
        if self.settings.node_port_addresses.accepts(packet.dst) {
            let anywhere = Destination { addr: IpFamily::of(packet.dst).unspecified(), ..destination };
            if let Some(Claim { row, kind }) = self.node_ports.owner(&anywhere) {
                return self.decide_service(packet, kind, &self.rows[row]);
            }
        }
        if self.settings.is_local(packet.dst) {
            if let Some(host_port) = self.host_ports.at(packet.dst, protocol, number) {
                return self.decide_host_port(packet, host_port);
            }
            if protocol == Protocol::Tcp
                && let Some(Claim { row, .. }) = self.health_check_ports.owner(&number)
            {
                return self.unowned(packet, Verdict::Accept, Reason::HealthCheck(&self.rows[row].port));
            }
        }
        self.decide_unowned(packet)
    }

    fn decide_service<'v>(&'v self, packet: &Packet, kind: FrontendKind, row: &'v Row) -> Decision<'v> {
        let decision = |verdict, candidates: &'v [Candidate], masquerade, reason| Decision {
            verdict,
            frontend: Some(Frontend::Service(kind, &row.port)),
            endpoints: Endpoints { candidates, src: packet.src, masquerade },
            reason,
        };
        let refuse = |verdict, reason| decision(verdict, &[], false, reason);
        let mode = self.settings.mode;

        let blocked = kind == FrontendKind::LoadBalancer
            && row.has_source_ranges
            && !self.passes_source_ranges(packet.src, &row.port);
        if blocked && mode == Mode::Nftables {
            return refuse(Verdict::Drop, Reason::SourceRange);
        }
        if !row.has_any_endpoints {
            return refuse(Verdict::Reject, Reason::NoEndpoints);
        }
        if blocked {
            return refuse(Verdict::Drop, Reason::SourceRange);
        }

        let policy = match kind {
            FrontendKind::ClusterIp => row.internal_policy,
            _ => row.external_policy,
        };
        let is_pod = self.settings.detector.is_pod(packet.src);
        let masquerade_cluster_ip =
            self.settings.masquerade_all || (self.settings.detector.works_for(row.family) && !is_pod);
        let (candidates, masquerade, reason) = match (kind, policy) {
            (FrontendKind::ClusterIp, TrafficPolicy::Cluster) => {
                (&row.cluster, masquerade_cluster_ip, Reason::ClusterIp)
            }
            (FrontendKind::ClusterIp, TrafficPolicy::Local) => {
                (&row.local, masquerade_cluster_ip, Reason::InternalLocal)
            }
            (_, TrafficPolicy::Cluster) => (&row.cluster, true, Reason::ExternalCluster),
            // IPVS has no short circuit.
            (_, TrafficPolicy::Local) if mode == Mode::Ipvs => (&row.local, false, Reason::ExternalLocal),
            (_, TrafficPolicy::Local) if is_pod => (&row.cluster, false, Reason::ShortCircuitPod),
            (_, TrafficPolicy::Local) if self.settings.is_local(packet.src) => {
                (&row.cluster, true, Reason::ShortCircuitNode)
            }
            (_, TrafficPolicy::Local) => (&row.local, false, Reason::ExternalLocal),
        };
        if !candidates.is_empty() {
            return decision(Verdict::Dnat, candidates, masquerade, reason);
        }
        match mode {
            // The virtual server falls back to all endpoints; one that knows local endpoints only stays empty.
            Mode::Ipvs if row.cluster.is_empty() => refuse(Verdict::Reject, Reason::NoLocalEndpoints),
            Mode::Ipvs => decision(Verdict::Dnat, &row.cluster, masquerade, Reason::IpvsFallback),
            Mode::Iptables | Mode::Nftables => refuse(Verdict::Drop, Reason::NoLocalEndpoints),
        }
    }

    /// A node that talks to a load balancer address bound to itself has that address as its source, so the address is
    /// allowed wherever the node is.
    fn passes_source_ranges(&self, src: IpAddr, port: &ServicePort) -> bool {
        let inside = |addr: &IpAddr| port.source_ranges.iter().any(|range| range.contains(addr));
        inside(&src) || (port.load_balancer_ips.contains(&src) && self.settings.primary.iter().any(inside))
    }

    fn decide_host_port<'v>(&'v self, packet: &Packet, host_port: &'v HostPort) -> Decision<'v> {
        Decision {
            verdict: Verdict::Dnat,
            frontend: Some(Frontend::HostPort(host_port)),
            endpoints: Endpoints {
                candidates: &host_port.candidate,
                src: packet.src,
                masquerade: packet.src.is_loopback(),
            },
            reason: Reason::HostPort,
        }
    }

    /// A destination that no Service port owns. Modes differ over the other ports of a Service's address; one that is also the
    /// node's own is an address like any other (IPVS mode, too, puts only such on its device as no other device has).
    fn decide_unowned<'v>(&'v self, packet: &Packet) -> Decision<'v> {
        let owner = self.owner(packet.dst);
        match (self.settings.mode, owner) {
            (_, Some((_, port))) if self.settings.is_local(packet.dst) => {
                self.unowned(packet, Verdict::Accept, Reason::NodeAddress(port))
            }
            (Mode::Nftables, Some((FrontendKind::ClusterIp, port))) | (Mode::Ipvs, Some((_, port))) => {
                self.unowned(packet, Verdict::Reject, Reason::UnknownPort(port))
            }
            // No cluster IP: an external address of a Service is no exception here.
            (Mode::Nftables, _) if self.is_in_service_range(packet.dst) => {
                self.unowned(packet, Verdict::Drop, Reason::UnallocatedServiceAddress)
            }
            (_, Some((_, port))) => self.unowned(packet, Verdict::Accept, Reason::UnknownPort(port)),
            (_, None) => self.unowned(packet, Verdict::Accept, Reason::NotAService),
        }
    }

    fn decide_ping<'v>(&'v self, packet: &Packet) -> Decision<'v> {
        let owner = self.owner(packet.dst).filter(|_| !self.settings.is_local(packet.dst));
        match (self.settings.mode, owner) {
            (Mode::Nftables, Some((FrontendKind::ClusterIp, port))) | (Mode::Ipvs, Some((_, port))) => {
                self.unowned(packet, Verdict::Reject, Reason::Ping(port))
            }
            (Mode::Nftables, Some(_)) if self.is_in_service_range(packet.dst) => self.decide_unowned(packet),
            (_, Some((_, port))) => self.unowned(packet, Verdict::Accept, Reason::Ping(port)),
            (_, None) => self.decide_unowned(packet),
        }
    }

    fn is_in_service_range(&self, addr: IpAddr) -> bool {
        self.settings.service_ranges.iter().any(|range| range.contains(&addr))
    }

    /// As what an address belongs to a Service, and one of the ports of that.
    fn owner(&self, dst: IpAddr) -> Option<(FrontendKind, &ServicePort)> {
        let Claim { row, kind } = self.owners.owner(&dst)?;
        Some((kind, &self.rows[row].port))
    }

    fn unowned<'v>(&'v self, packet: &Packet, verdict: Verdict, reason: Reason<'v>) -> Decision<'v> {
        let endpoints = Endpoints { candidates: &[], src: packet.src, masquerade: false };
        Decision { verdict, frontend: None, endpoints, reason }
    }
}
