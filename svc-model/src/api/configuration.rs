//! KubeProxyConfiguration and KubeletConfiguration: settings of the programs on a node.

use super::{ObjectMeta, mirrors};

mirrors! {
    /// Settings of kube-proxy.
    pub struct KubeProxyConfiguration {
        /// Usually absent: the kind has no name.
        pub metadata: ObjectMeta,
        /// `iptables` (also when empty), `ipvs` or `nftables`.
        pub mode: String,
        /// The node's name, if not its host name.
        pub hostname_override: String,
        /// Ranges of the Pods' addresses, comma-separated.
        #[serde(rename = "clusterCIDR")]
        pub cluster_cidr: String,
        /// Which sources count as Pods: `ClusterCIDR` (also when empty), `NodeCIDR`, `BridgeInterface`, `InterfaceNamePrefix`.
        pub detect_local_mode: String,
        /// Settings of that.
        pub detect_local: DetectLocalConfiguration,
        /// Ranges of the node addresses that take node ports, or `primary`; all when empty.
        pub node_port_addresses: Vec<String>,
        /// The address it binds to.
        pub bind_address: String,
        /// Address of the health check.
        pub healthz_bind_address: String,
        /// Address of the metrics.
        pub metrics_bind_address: String,
        /// Settings of iptables mode.
        pub iptables: ProxyIptables,
        /// Settings of IPVS mode.
        pub ipvs: ProxyIpvs,
        /// Settings of nftables mode.
        pub nftables: ProxyNftables,
        /// Settings of connection tracking.
        pub conntrack: ProxyConntrack,
        /// Time after which the objects are read again, as a Go duration.
        pub config_sync_period: String,
        /// How willingly the kernel ends it for memory, -1000 to 1000.
        pub oom_score_adj: Option<i64>,
    }

    /// Settings of the modes that look at a device.
    pub struct DetectLocalConfiguration {
        /// The bridge.
        pub bridge_interface: String,
        /// The prefix of the devices.
        pub interface_name_prefix: String,
    }

    /// Settings of iptables mode.
    pub struct ProxyIptables {
        /// The bit of the packet mark that asks for masquerading; 14 when absent.
        pub masquerade_bit: Option<i64>,
        /// Whether all cluster IP traffic is masqueraded.
        pub masquerade_all: bool,
        /// Whether node ports answer on 127.0.0.0/8; yes unless `false`.
        pub localhost_node_ports: Option<bool>,
        /// Longest time between full syncs, as a Go duration.
        pub sync_period: String,
        /// Shortest time between syncs, as a Go duration.
        pub min_sync_period: String,
    }

    /// Settings of IPVS mode.
    pub struct ProxyIpvs {
        /// Ranges whose virtual servers are left alone.
        #[serde(rename = "excludeCIDRs")]
        pub exclude_cidrs: Vec<String>,
        /// The scheduler; `rr` when empty.
        pub scheduler: String,
        /// Whether ARP for the virtual addresses is answered strictly.
        #[serde(rename = "strictARP")]
        pub strict_arp: bool,
        /// Life of an idle TCP connection, as a Go duration.
        pub tcp_timeout: String,
        /// Life of a TCP connection after its FIN, as a Go duration.
        pub tcp_fin_timeout: String,
        /// Life of an idle UDP flow, as a Go duration.
        pub udp_timeout: String,
        /// Longest time between full syncs, as a Go duration.
        pub sync_period: String,
        /// Shortest time between syncs, as a Go duration.
        pub min_sync_period: String,
    }

    /// Settings of nftables mode.
    pub struct ProxyNftables {
        /// The bit of the packet mark that asks for masquerading; 14 when absent.
        pub masquerade_bit: Option<i64>,
        /// Whether all cluster IP traffic is masqueraded.
        pub masquerade_all: bool,
        /// Longest time between full syncs, as a Go duration.
        pub sync_period: String,
        /// Shortest time between syncs, as a Go duration.
        pub min_sync_period: String,
    }

    /// Settings of connection tracking.
    pub struct ProxyConntrack {
        /// Most connections a core.
        pub max_per_core: Option<i64>,
        /// Fewest connections to make room for.
        pub min: Option<i64>,
        /// Life of an idle TCP connection, as a Go duration.
        pub tcp_established_timeout: String,
        /// Life of a TCP connection that one side closed, as a Go duration.
        pub tcp_close_wait_timeout: String,
        /// Life of a UDP flow without an answer, as a Go duration.
        pub udp_timeout: String,
        /// Life of an idle UDP flow with answers, as a Go duration.
        pub udp_stream_timeout: String,
    }

    /// Settings of the kubelet, as far as names go.
    pub struct KubeletConfiguration {
        /// Usually absent: the kind has no name.
        pub metadata: ObjectMeta,
        /// Addresses of the cluster's DNS servers.
        #[serde(rename = "clusterDNS")]
        pub cluster_dns: Vec<String>,
        /// The cluster's domain.
        pub cluster_domain: String,
        /// The node's resolv.conf; empty differs from absent.
        pub resolv_conf: Option<String>,
    }
}
