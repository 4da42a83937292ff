//! Pod and Node.

use super::{ObjectMeta, StringMap, mirrors};

mirrors! {
    /// Containers that share a network namespace, and so an address.
    pub struct Pod {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// What is asked for.
        pub spec: PodSpec,
        /// What became of it.
        pub status: PodStatus,
    }

    /// What a Pod asks for, as far as the network goes.
    pub struct PodSpec {
        /// The node it runs on, empty while unscheduled.
        pub node_name: String,
        /// Whether it uses the node's network and addresses.
        pub host_network: bool,
        /// The containers.
        pub containers: Vec<Container>,
        /// Containers that run first.
        pub init_containers: Vec<Container>,
        /// Its host name; the Pod's name when absent.
        pub hostname: String,
        /// The headless Service its name stands under.
        pub subdomain: String,
        /// `ClusterFirst` (also when empty), `ClusterFirstWithHostNet`, `Default` or `None`.
        pub dns_policy: String,
        /// Additions to its resolv.conf.
        pub dns_config: Option<PodDnsConfig>,
        /// Additions to its hosts file.
        pub host_aliases: Vec<HostAlias>,
        /// Whether it is told of Services by environment variables; yes unless `false`.
        pub enable_service_links: Option<bool>,
        /// `Always` (also when empty), `OnFailure` or `Never`.
        pub restart_policy: String,
    }

    /// One container.
    pub struct Container {
        /// Its name in the Pod.
        pub name: String,
        /// What it runs.
        pub image: String,
        /// The program; the image's when empty.
        pub command: Vec<String>,
        /// The program's arguments.
        pub args: Vec<String>,
        /// Its variables.
        pub env: Vec<EnvVar>,
        /// Ports it says it listens on.
        pub ports: Vec<ContainerPort>,
    }

    /// One variable of a container.
    pub struct EnvVar {
        /// Its name.
        pub name: String,
        /// Its value.
        pub value: String,
        /// Where its value comes from instead.
        pub value_from: Option<EnvVarSource>,
    }

    /// Where a variable's value comes from.
    pub struct EnvVarSource {
        /// A field of the Pod.
        pub field_ref: Option<ObjectFieldSelector>,
    }

    /// A field of the Pod.
    pub struct ObjectFieldSelector {
        /// Its path, such as `metadata.namespace`.
        pub field_path: String,
    }

    /// A port a container says it listens on.
    pub struct ContainerPort {
        /// Its name, which a `targetPort` may use.
        pub name: String,
        /// The number.
        pub container_port: i64,
        /// The node's port that leads to it, or 0.
        pub host_port: i64,
        /// The node's address that leads to it; all of them when empty.
        #[serde(rename = "hostIP")]
        pub host_ip: String,
        /// `TCP` (also when empty), `UDP` or `SCTP`.
        pub protocol: String,
    }

    /// Additions to a Pod's resolv.conf.
    pub struct PodDnsConfig {
        /// Servers.
        pub nameservers: Vec<String>,
        /// Search paths.
        pub searches: Vec<String>,
        /// Options.
        pub options: Vec<PodDnsConfigOption>,
    }

    /// One option of resolv.conf.
    pub struct PodDnsConfigOption {
        /// Its name.
        pub name: String,
        /// Its value, if it takes one.
        pub value: Option<String>,
    }

    /// One line of a hosts file.
    pub struct HostAlias {
        /// The address.
        pub ip: String,
        /// The names it has.
        pub hostnames: Vec<String>,
    }

    /// What became of a Pod.
    pub struct PodStatus {
        /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        pub phase: String,
        /// Its states.
        pub conditions: Vec<Condition>,
        /// Its first address.
        #[serde(rename = "podIP")]
        pub pod_ip: String,
        /// Its addresses, one of each family.
        #[serde(rename = "podIPs")]
        pub pod_ips: Vec<PodIp>,
        /// The node's address.
        #[serde(rename = "hostIP")]
        pub host_ip: String,
    }

    /// One address of a Pod.
    pub struct PodIp {
        /// The address.
        pub ip: String,
    }

    /// One state of an object.
    pub struct Condition {
        /// Its name, such as `Ready`.
        #[serde(rename = "type")]
        pub type_: String,
        /// `True`, `False` or `Unknown`.
        pub status: String,
    }

    /// A machine of the cluster.
    pub struct Node {
        /// Name and labels.
        pub metadata: ObjectMeta,
        /// What is given to it.
        pub spec: NodeSpec,
        /// What it says of itself.
        pub status: NodeStatus,
    }

    /// What is given to a node.
    pub struct NodeSpec {
        /// The first range of its Pods' addresses.
        #[serde(rename = "podCIDR")]
        pub pod_cidr: String,
        /// All ranges of its Pods' addresses, one of each family.
        #[serde(rename = "podCIDRs")]
        pub pod_cidrs: Vec<String>,
    }

    /// What a node says of itself.
    pub struct NodeStatus {
        /// Its addresses.
        pub addresses: Vec<NodeAddress>,
    }

    /// One address of a node.
    pub struct NodeAddress {
        /// `InternalIP`, `ExternalIP`, `Hostname`, `InternalDNS` or `ExternalDNS`.
        #[serde(rename = "type")]
        pub type_: String,
        /// The address or name.
        pub address: String,
    }
}

/// The label of a node that names its zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

impl PodSpec {
    /// The ports that the containers declare.
    pub fn container_ports(&self) -> impl Iterator<Item = &ContainerPort> {
        self.containers.iter().flat_map(|container| &container.ports)
    }
}

impl Pod {
    /// The addresses as written: `podIPs`, else `podIP`; no empty ones.
    pub fn written_ips(&self) -> impl Iterator<Item = &str> {
        let first = self.status.pod_ips.is_empty().then_some(self.status.pod_ip.as_str());
        first.into_iter().chain(self.status.pod_ips.iter().map(|ip| ip.ip.as_str())).filter(|ip| !ip.is_empty())
    }

    /// Whether the condition `Ready` is `True`.
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }

    /// Whether it has run to its end, well or not.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl Node {
    /// The Pod ranges as written: `podCIDRs`, else `podCIDR`; no empty ones.
    pub fn written_pod_cidrs(&self) -> impl Iterator<Item = &str> {
        let first = self.spec.pod_cidrs.is_empty().then_some(self.spec.pod_cidr.as_str());
        first.into_iter().chain(self.spec.pod_cidrs.iter().map(String::as_str)).filter(|cidr| !cidr.is_empty())
    }

    /// The zone by the label [`ZONE_LABEL`]; `None` when absent or empty.
    pub fn zone(&self) -> Option<&str> {
        zone(&self.metadata.labels)
    }
}

fn zone(labels: &StringMap) -> Option<&str> {
    labels.get(ZONE_LABEL).map(String::as_str).filter(|zone| !zone.is_empty())
}
