//! Why was a packet decided so? The rule, and the words for it.

use std::fmt;

use super::NodeView;
use super::candidates::{Candidate, Candidates, Choice};
use super::decide::{Decision, Frontend, FrontendKind, Verdict};
use super::service_port::ServicePort;
use crate::kind::NamespacedName;

/// The rule that decided a packet. Where it holds a port of a Service though no port was matched, it stands for the Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'v> {
    /// The Service port has no endpoint, ready or serving, anywhere.
    NoEndpoints,
    /// The policy is `Local` and this node has no endpoint.
    NoLocalEndpoints,
    /// The source is in none of the `loadBalancerSourceRanges`.
    SourceRange,
    /// A cluster IP leads to endpoints anywhere.
    ClusterIp,
    /// A cluster IP under `internalTrafficPolicy: Local` leads to endpoints of the node.
    InternalLocal,
    /// An external address leads to endpoints anywhere, and the source is replaced so that replies come back.
    ExternalCluster,
    /// An external address under `externalTrafficPolicy: Local` leads to endpoints of the node.
    ExternalLocal,
    /// The same, but a Pod asks: as if it had gone out to the balancer and come back at any node.
    ShortCircuitPod,
    /// The same, but the node itself asks.
    ShortCircuitNode,
    /// IPVS mode sends to all endpoints where the policy is `Local` and the node has none.
    IpvsFallback,
    /// A Pod opens this port on the node.
    HostPort,
    /// The node answers the load balancer's health check here.
    HealthCheck(&'v ServicePort),
    /// The address is this Service's, the port is not.
    UnknownPort(&'v ServicePort),
    /// The address is this Service's and the node's own (an external IP, say); the port is not the Service's, so the node itself
    /// takes the packet, a `ping` too.
    NodeAddress(&'v ServicePort),
    /// The address lies in a Service range and is no Service's cluster IP.
    UnallocatedServiceAddress,
    /// `ping` of an address of this Service: it proves nothing.
    Ping(&'v ServicePort),
    /// No Service, node port or host port has this destination.
    NotAService,
}

impl NodeView {
    /// The words for a decision of this view, for logs and people.
    pub fn explain<'v>(&'v self, decision: &'v Decision<'v>) -> Explanation<'v> {
        Explanation { view: self, decision }
    }
}

/// A decision in words; made by [`NodeView::explain`], formatted by `Display`.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'v> {
    view: &'v NodeView,
    decision: &'v Decision<'v>,
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decision.frontend {
            Some(Frontend::Service(kind, port)) => {
                write!(f, "{} of Service/{}", Named(kind, port), port.service)?;
                if !port.name.is_empty() {
                    write!(f, " port {}", port.name)?;
                }
                f.write_str(": ")?;
                self.service_rule(f, kind, port)?;
                self.assumptions(f, kind, port)
            }
            Some(Frontend::HostPort(host_port)) => {
                write!(f, "host port of {}: the Pod opens it on this node", host_port.pod)?;
                self.assumed_pods(f)
            }
            None => self.unowned(f),
        }
    }
}

/// A frontend's kind in words.
struct Named<'v>(FrontendKind, &'v ServicePort);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FrontendKind::ClusterIp => f.write_str("cluster IP"),
            FrontendKind::ExternalIp => f.write_str("external IP"),
            FrontendKind::LoadBalancer => f.write_str("load balancer address"),
            FrontendKind::NodePort => write!(f, "node port {}", self.1.node_port.unwrap_or_default()),
            FrontendKind::HostPort => f.write_str("host port"),
        }
    }
}

impl Explanation<'_> {
    fn service_rule(&self, f: &mut fmt::Formatter<'_>, kind: FrontendKind, port: &ServicePort) -> fmt::Result {
        let policy = if kind == FrontendKind::ClusterIp { "internalTrafficPolicy" } else { "externalTrafficPolicy" };
        let candidates = match self.decision.reason {
            Reason::NoEndpoints => {
                return f.write_str("the Service has no ready endpoint, so the packet is rejected");
            }
            Reason::NoLocalEndpoints => {
                let node = self.node();
                return write!(f, "{policy} is Local and {node} has no endpoint of it");
            }
            Reason::SourceRange => return f.write_str("the source is outside spec.loadBalancerSourceRanges"),
            Reason::ClusterIp => &port.cluster,
            Reason::ExternalCluster => {
                f.write_str("externalTrafficPolicy is Cluster; ")?;
                &port.cluster
            }
            Reason::InternalLocal | Reason::ExternalLocal => {
                write!(f, "{policy} is Local; ")?;
                &port.local
            }
            Reason::ShortCircuitPod => {
                f.write_str("externalTrafficPolicy is Local, but a Pod of the cluster may use any endpoint; ")?;
                &port.cluster
            }
            Reason::ShortCircuitNode => {
                f.write_str("externalTrafficPolicy is Local, but the node itself may use any endpoint; ")?;
                &port.cluster
            }
            Reason::IpvsFallback => {
                write!(f, "{policy} is Local, {} has no endpoint, and IPVS falls back to all; ", self.node())?;
                &port.cluster
            }
            // The remaining rules have no Service port.
            _ => return Ok(()),
        };
        self.choice(f, candidates)?;
        if self.decision.endpoints.masquerade {
            f.write_str(", source address replaced (masquerade)")?;
        } else if self.decision.endpoints.masquerades_any() {
            f.write_str(", source address replaced (masquerade) only towards itself")?;
        }
        if let Some(seconds) = port.affinity_seconds {
            write!(f, ", the same client keeps its endpoint for {seconds} s (ClientIP)")?;
        }
        Ok(())
    }

    fn choice(&self, f: &mut fmt::Formatter<'_>, candidates: &Candidates) -> fmt::Result {
        let n = candidates.endpoints.len();
        let s = if n == 1 { "" } else { "s" };
        match candidates.choice {
            Choice::Ready | Choice::Unused => write!(f, "{n} ready endpoint{s}")?,
            Choice::NodeHints => write!(f, "{n} ready endpoint{s} hinted for {}", self.node())?,
            Choice::ZoneHints => {
                let zone = self.view.settings.zone.as_deref().unwrap_or_default();
                write!(f, "{n} ready endpoint{s} hinted for zone {zone}")?;
            }
            Choice::Terminating => write!(f, "no endpoint is ready, {n} terminating one{s} still serve")?,
        }
        if matches!(self.decision.reason, Reason::InternalLocal | Reason::ExternalLocal) {
            write!(f, " on {}", self.node())?;
        }
        Ok(())
    }

    fn assumptions(&self, f: &mut fmt::Formatter<'_>, kind: FrontendKind, port: &ServicePort) -> fmt::Result {
        if kind == FrontendKind::ClusterIp && port.assumed_cluster_ip {
            f.write_str(" (assumed cluster IP)")?;
        }
        if kind == FrontendKind::NodePort && port.assumed_node_port {
            f.write_str(" (assumed node port)")?;
        }
        self.assumed_pods(f)
    }

    fn assumed_pods(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decision.endpoints.candidates().iter().any(Candidate::is_assumed) {
            f.write_str(" (assumed Pods)")?;
        }
        Ok(())
    }

    fn unowned(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decision.reason {
            Reason::HealthCheck(ServicePort { service, .. }) => {
                write!(f, "health check node port of Service/{service}: the node's proxy answers it")?;
                if self.view.ports_of(service).any(|port| port.assumed_health_check_node_port) {
                    f.write_str(" (assumed node port)")?;
                }
                Ok(())
            }
            Reason::UnknownPort(ServicePort { service, .. }) => {
                write!(f, "the address belongs to Service/{service}, which has no such port and protocol")?;
                match self.decision.verdict {
                    Verdict::Accept if self.has_virtual_addresses_only(service) => {
                        f.write_str("; no rule matches, so the packet goes on to an address nobody has")
                    }
                    Verdict::Accept => f.write_str("; no rule matches, so the packet goes on unchanged"),
                    _ => write!(f, "; {} mode rejects that", self.view.settings.mode),
                }
            }
            Reason::NodeAddress(ServicePort { service, .. }) => {
                write!(
                    f,
                    "the address is also the node's own; Service/{service} has no such port and protocol there, "
                )?;
                f.write_str("so the node itself takes the packet")
            }
            Reason::UnallocatedServiceAddress => f.write_str(
                "the address lies in a Service range, but is no Service's cluster IP; nftables mode drops that",
            ),
            Reason::Ping(ServicePort { service, .. }) => {
                match self.decision.verdict {
                    Verdict::Accept if self.has_virtual_addresses_only(service) => {
                        write!(f, "a virtual address of Service/{service} has no device that could answer a ping; ")?;
                    }
                    Verdict::Accept => write!(
                        f,
                        "a ping of an address of Service/{service} goes on unchanged, to whoever else has it; "
                    )?,
                    _ => write!(
                        f,
                        "{} mode rejects a ping of an address of Service/{service}; ",
                        self.view.settings.mode
                    )?,
                }
                f.write_str("only its ports lead anywhere, so a ping proves nothing")
            }
            _ => f.write_str("no Service owns this address and port; the packet goes on unchanged"),
        }
    }

    /// Whether a Service has its cluster IPs only, which are on no device; the other addresses may be somebody's.
    fn has_virtual_addresses_only(&self, service: &NamespacedName) -> bool {
        let mut ports = self.view.ports_of(service);
        ports.all(|port| port.external_ips.is_empty() && port.load_balancer_ips.is_empty())
    }

    fn node(&self) -> impl fmt::Display + '_ {
        let name = self.view.settings.node();
        struct Node<'a>(&'a str);
        impl fmt::Display for Node<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.0.is_empty() { f.write_str("this node") } else { write!(f, "node {}", self.0) }
            }
        }
        Node(name)
    }
}
