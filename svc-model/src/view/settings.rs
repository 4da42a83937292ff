//! Which node, and how is its proxy set up?

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::detector::{Detector, PodDevice};
use super::node_ports::NodePortAddresses;
use crate::addr::{IpFamily, parse_cidr, parse_ip};
use crate::api::{KubeProxyConfiguration, Node};
use crate::cluster::Cluster;
use crate::endpoints::internal_ips;
use crate::external_ips::ExternalIpPolicy;
use crate::families::service_ranges;
use crate::kind::Resource;

/// The back end of kube-proxy whose behaviour a view has where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// `iptables`, which an absent mode means.
    #[default]
    Iptables,
    /// `ipvs`
    Ipvs,
    /// `nftables`
    Nftables,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Iptables => "iptables",
            Mode::Ipvs => "ipvs",
            Mode::Nftables => "nftables",
        })
    }
}

/// A text that is no mode of kube-proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown proxy mode {0:?}: iptables, ipvs or nftables")]
pub struct UnknownMode(pub String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Mode, UnknownMode> {
        match text {
            "iptables" => Ok(Mode::Iptables),
            "ipvs" => Ok(Mode::Ipvs),
            "nftables" => Ok(Mode::Nftables),
            _ => Err(UnknownMode(text.chars().take(32).collect())),
        }
    }
}

/// No node was named, and the cluster has several.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cluster has several nodes, so one must be chosen: {}", names.join(", "))]
pub struct AmbiguousNode {
    names: Vec<String>,
}

impl AmbiguousNode {
    /// The nodes to choose from, by name.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// Everything about a node, its proxy and its cluster that decides a packet, besides Services and endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSettings {
    pub(super) node: Box<str>,
    pub(super) mode: Mode,
    pub(super) zone: Option<Box<str>>,
    /// Addresses of type InternalIP and ExternalIP; loopback is not among them.
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) primary: Vec<IpAddr>,
    pub(super) detector: Detector,
    pub(super) masquerade_all: bool,
    /// `None` for the usual one.
    pub(super) masquerade_bit: Option<u8>,
    pub(super) node_port_addresses: NodePortAddresses,
    pub(super) service_ranges: Vec<IpNet>,
    pub(super) external_ips: ExternalIpPolicy,
}

/// The bit of a packet's mark that asks for masquerading, if not said.
const MASQUERADE_BIT: u8 = 14;

impl NodeSettings {
    /// Reads the settings of a node from the cluster's Node and KubeProxyConfiguration. Without a name it is the
    /// configuration's `hostnameOverride`, else the only Node, else a node without name and addresses. A name that no
    /// Node has stands for a node without addresses.
    ///
    /// The name is settled here: a view that follows its cluster stays with this node, so give the name where Nodes come later.
    ///
    /// Values that cannot be read count as absent; [`crate::check`] reports them.
    pub fn of(cluster: &Cluster, node: Option<&str>) -> Result<NodeSettings, AmbiguousNode> {
        let unconfigured = KubeProxyConfiguration::default();
        let config = cluster.get::<KubeProxyConfiguration>("", "").unwrap_or(&unconfigured);
        let name = match node.or(Some(config.hostname_override.as_str()).filter(|name| !name.is_empty())) {
            Some(name) => name,
            None => {
                let names: Vec<&str> = cluster.list::<Node>().map(|node| node.name()).collect();
                match names.as_slice() {
                    [] => "",
                    [only] => only,
                    _ => {
                        return Err(AmbiguousNode { names: names.into_iter().map(str::to_owned).collect() });
                    }
                }
            }
        };
        let node = cluster.get::<Node>("", name);
        let mode = config.mode.parse().unwrap_or_default();
        let mut primary: Vec<IpAddr> = Vec::with_capacity(2);
        for addr in node.into_iter().flat_map(internal_ips) {
            if primary.iter().all(|known| IpFamily::of(*known) != IpFamily::of(addr)) {
                primary.push(addr);
            }
        }
        let is_ip = |type_: &str| matches!(type_, "InternalIP" | "ExternalIP");
        let addresses: BTreeSet<IpAddr> = node
            .into_iter()
            .flat_map(|node| &node.status.addresses)
            .filter(|address| is_ip(&address.type_))
            .filter_map(|address| parse_ip(&address.address).ok())
            .collect();
        let node_port_addresses = NodePortAddresses::new(
            mode,
            &config.node_port_addresses,
            config.iptables.localhost_node_ports.unwrap_or(true),
            &addresses,
            &primary,
        );
        Ok(NodeSettings {
            node: name.into(),
            mode,
            zone: node.and_then(Node::zone).map(Into::into),
            detector: Detector::new(cluster, config, name, node),
            masquerade_all: match mode {
                Mode::Nftables => config.nftables.masquerade_all,
                Mode::Iptables | Mode::Ipvs => config.iptables.masquerade_all,
            },
            masquerade_bit: {
                let bit = match mode {
                    Mode::Nftables => config.nftables.masquerade_bit,
                    Mode::Iptables | Mode::Ipvs => config.iptables.masquerade_bit,
                };
                bit.and_then(|bit| u8::try_from(bit).ok()).filter(|bit| u32::from(*bit) < u32::BITS)
            },
            addresses,
            primary,
            node_port_addresses,
            service_ranges: service_ranges(cluster),
            external_ips: ExternalIpPolicy::ALLOW_ALL,
        })
    }

    /// With this policy about external IPs; one that is not allowed leads nowhere. Everything is allowed if not said, as in
    /// Kubernetes.
    #[must_use]
    pub fn external_ips(self, external_ips: ExternalIpPolicy) -> NodeSettings {
        NodeSettings { external_ips, ..self }
    }

    /// The same node's settings as the cluster has them now.
    pub(super) fn read_again(&self, cluster: &Cluster) -> NodeSettings {
        // A node that is named cannot be ambiguous.
        let read = NodeSettings::of(cluster, Some(&self.node)).unwrap_or_else(|_| self.clone());
        read.external_ips(self.external_ips.clone())
    }

    /// The node's name; empty for the node of a cluster without Nodes.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The mode of its proxy.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The node's addresses of type InternalIP and ExternalIP, in order; loopback is not among them.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied()
    }

    /// The node's first InternalIP of each family.
    pub fn primary_addresses(&self) -> &[IpAddr] {
        &self.primary
    }

    /// The node's zone.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Whether all traffic to cluster IPs is masqueraded.
    pub fn masquerade_all(&self) -> bool {
        self.masquerade_all
    }

    /// The one bit of a packet's mark that asks for masquerading.
    pub fn masquerade_mark(&self) -> u32 {
        1 << self.masquerade_bit.unwrap_or(MASQUERADE_BIT)
    }

    /// The ranges whose addresses count as Pods, for those who write rules; [`pod_device`](Self::pod_device) goes before them.
    pub fn pod_ranges(&self) -> &[IpNet] {
        self.detector.ranges()
    }

    /// The device that tells Pods, where that is how the proxy does it.
    pub fn pod_device(&self) -> Option<&PodDevice> {
        self.detector.device()
    }

    /// Whether the proxy can tell Pods of this family from other sources at all.
    pub fn detects_pods(&self, family: IpFamily) -> bool {
        self.detector.works_for(family)
    }

    /// Whether a source counts as a Pod.
    pub fn is_pod_source(&self, src: IpAddr) -> bool {
        self.detector.is_pod(src)
    }

    /// Whether node ports answer at an address of the node.
    pub fn takes_node_ports_at(&self, addr: IpAddr) -> bool {
        self.node_port_addresses.accepts(addr)
    }

    /// Whether node ports answer at every address of the node in this family, whichever it has; loopback
    /// [apart](Self::takes_node_ports_at).
    pub fn takes_node_ports_everywhere(&self, family: IpFamily) -> bool {
        self.node_port_addresses.is_everywhere(family)
    }

    /// The ranges of cluster IPs that ServiceCIDR objects name, the primary first.
    pub fn service_ranges(&self) -> &[IpNet] {
        &self.service_ranges
    }

    /// Whether an address is the node's own: of type InternalIP or ExternalIP, or loopback.
    pub fn is_local(&self, addr: IpAddr) -> bool {
        addr.is_loopback() || self.addresses.contains(&addr)
    }
}

/// The ranges of a comma-separated list; what is no CIDR is left out.
pub(super) fn cidr_list(text: &str) -> impl Iterator<Item = IpNet> {
    text.split(',').filter_map(|cidr| parse_cidr(cidr).ok())
}
