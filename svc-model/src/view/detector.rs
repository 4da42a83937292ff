//! Does this packet come from a Pod? The local-traffic detector of kube-proxy.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::settings::cidr_list;
use crate::addr::{IpFamily, parse_cidr};
use crate::api::{KubeProxyConfiguration, Node};
use crate::cluster::Cluster;
use crate::endpoints::pod_addrs;

/// Which sources count as Pods, each family for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Detector {
    ranges: Vec<IpNet>,
    /// Addresses of Pods on the node, for the modes that look at the device a packet comes in by.
    pods: BTreeSet<IpAddr>,
    /// The device that the mode tells Pods by, and so for both families.
    device: Option<PodDevice>,
}

/// The device by which packets of Pods come in, where the proxy tells them so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PodDevice {
    /// The bridge of this name.
    Bridge(Box<str>),
    /// Any device whose name begins so.
    Prefix(Box<str>),
}

impl Detector {
    pub(super) fn new(cluster: &Cluster, config: &KubeProxyConfiguration, name: &str, node: Option<&Node>) -> Detector {
        let node_ranges =
            || node.into_iter().flat_map(Node::written_pod_cidrs).filter_map(|cidr| parse_cidr(cidr).ok());
        let device = match config.detect_local_mode.as_str() {
            "BridgeInterface" => PodDevice::Bridge(config.detect_local.bridge_interface.as_str().into()),
            _ => PodDevice::Prefix(config.detect_local.interface_name_prefix.as_str().into()),
        };
        match config.detect_local_mode.as_str() {
            "" | "ClusterCIDR" => Detector { ranges: cidr_list(&config.cluster_cidr).collect(), ..Detector::default() },
            "NodeCIDR" => Detector { ranges: node_ranges().collect(), ..Detector::default() },
            "BridgeInterface" if config.detect_local.bridge_interface.is_empty() => Detector::default(),
            "InterfaceNamePrefix" if config.detect_local.interface_name_prefix.is_empty() => Detector::default(),
            "BridgeInterface" | "InterfaceNamePrefix" => Detector {
                ranges: node_ranges().collect(),
                pods: cluster
                    .pods_on(name)
                    .filter(|pod| !pod.spec.host_network && !name.is_empty())
                    .flat_map(|pod| pod_addrs(cluster, pod))
                    .collect(),
                device: Some(device),
            },
            _ => Detector::default(),
        }
    }

    /// Whether it knows the Pods of the node by their addresses, which come and go.
    pub(super) fn knows_pods(&self) -> bool {
        self.device.is_some()
    }

    pub(super) fn ranges(&self) -> &[IpNet] {
        &self.ranges
    }

    pub(super) fn device(&self) -> Option<&PodDevice> {
        self.device.as_ref()
    }

    /// Whether it can tell Pods of this family from others at all.
    pub(super) fn works_for(&self, family: IpFamily) -> bool {
        self.device.is_some() || self.ranges.iter().any(|range| IpFamily::of_net(range) == family)
    }

    /// Whether a source counts as a Pod.
    pub(super) fn is_pod(&self, src: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(&src)) || self.pods.contains(&src)
    }
}
