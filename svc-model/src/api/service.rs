//! Service, Namespace, ConfigMap, Secret.

use std::collections::BTreeMap;

use super::{IntOrString, ObjectMeta, SecretBytes, StringMap, mirrors};

mirrors! {
    /// A stable name, and usually address, for a set of Pods.
    pub struct Service {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// What is asked for.
        pub spec: ServiceSpec,
        /// What the cluster made of it.
        pub status: ServiceStatus,
    }

    /// What a Service asks for.
    pub struct ServiceSpec {
        /// `ClusterIP` (also when empty), `NodePort`, `LoadBalancer` or `ExternalName`.
        #[serde(rename = "type")]
        pub type_: String,
        /// Pods with all these labels are the endpoints; empty means somebody else makes them.
        pub selector: StringMap,
        /// The ports.
        pub ports: Vec<ServicePort>,
        /// The first cluster IP, `None` for a headless Service, or empty.
        #[serde(rename = "clusterIP")]
        pub cluster_ip: String,
        /// All cluster IPs, at most one of each family.
        #[serde(rename = "clusterIPs")]
        pub cluster_ips: Vec<String>,
        /// Addresses that nodes accept for this Service though Kubernetes does not manage them.
        #[serde(rename = "externalIPs")]
        pub external_ips: Vec<String>,
        /// `None` (also when empty) or `ClientIP`.
        pub session_affinity: String,
        /// Settings of the affinity.
        pub session_affinity_config: Option<SessionAffinityConfig>,
        /// Asked-for load balancer address; ignored by the data plane.
        #[serde(rename = "loadBalancerIP")]
        pub load_balancer_ip: String,
        /// CIDRs that may use the load balancer's address; empty means all.
        pub load_balancer_source_ranges: Vec<String>,
        /// Who implements the load balancer.
        pub load_balancer_class: Option<String>,
        /// The name an ExternalName Service stands for.
        pub external_name: String,
        /// `Cluster` (also when empty) or `Local`: who may serve traffic from outside.
        pub external_traffic_policy: String,
        /// `Cluster` (also when empty) or `Local`: who may serve traffic from Pods.
        pub internal_traffic_policy: Option<String>,
        /// Node port of the health check of a LoadBalancer with `externalTrafficPolicy: Local`.
        pub health_check_node_port: i64,
        /// Whether endpoints count that are not ready.
        pub publish_not_ready_addresses: bool,
        /// `IPv4`, `IPv6`, in order of preference.
        pub ip_families: Vec<String>,
        /// `SingleStack`, `PreferDualStack` or `RequireDualStack`.
        pub ip_family_policy: Option<String>,
        /// Whether a LoadBalancer gets node ports; yes unless `false`.
        pub allocate_load_balancer_node_ports: Option<bool>,
        /// A wish about topology that the endpoint slice controller turns into hints.
        pub traffic_distribution: Option<String>,
    }

    /// One port of a Service.
    pub struct ServicePort {
        /// Name; needed when there are several ports.
        pub name: String,
        /// `TCP` (also when empty), `UDP` or `SCTP`.
        pub protocol: String,
        /// What is spoken on it, for those who look.
        pub app_protocol: Option<String>,
        /// The port of the Service's addresses.
        pub port: i64,
        /// The port of the endpoints, by number or container port name; the same as `port` when absent.
        pub target_port: Option<IntOrString>,
        /// The port of every node, or 0.
        pub node_port: i64,
    }

    /// Settings of `sessionAffinity`.
    pub struct SessionAffinityConfig {
        /// Settings of `ClientIP`.
        #[serde(rename = "clientIP")]
        pub client_ip: Option<ClientIpConfig>,
    }

    /// Settings of `sessionAffinity: ClientIP`.
    pub struct ClientIpConfig {
        /// Seconds without a new connection after which a client is forgotten.
        pub timeout_seconds: Option<i64>,
    }

    /// What the cluster made of a Service.
    pub struct ServiceStatus {
        /// Addresses of its load balancer.
        pub load_balancer: LoadBalancerStatus,
    }

    /// Addresses of a load balancer.
    pub struct LoadBalancerStatus {
        /// One entry an address.
        pub ingress: Vec<LoadBalancerIngress>,
    }

    /// One address of a load balancer.
    pub struct LoadBalancerIngress {
        /// The address, if it has one.
        pub ip: String,
        /// The host name, if it has one.
        pub hostname: String,
        /// `VIP` (also when absent) or `Proxy`.
        pub ip_mode: Option<String>,
    }

    /// A namespace.
    pub struct Namespace {
        /// Name and labels.
        pub metadata: ObjectMeta,
    }

    /// Settings of a program.
    pub struct ConfigMap {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// Text values.
        pub data: StringMap,
    }

    /// Values to be kept from view.
    pub struct Secret {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// `kubernetes.io/tls`, `Opaque`, ...
        #[serde(rename = "type")]
        pub type_: String,
        /// The values.
        pub data: BTreeMap<String, SecretBytes>,
        /// Further values, written as text; they win over `data`.
        pub string_data: SecretStrings,
    }
}

/// The `stringData` of a Secret: text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SecretStrings(pub StringMap);

impl std::fmt::Debug for SecretStrings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secret {
    /// The value of a key, `stringData` before `data` as the API server merges them; `None` if the key is absent or
    /// its value is no base64.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        match self.string_data.0.get(key) {
            Some(text) => Some(text.as_bytes()),
            None => self.data.get(key)?.bytes(),
        }
    }
}

impl ServiceSpec {
    /// Whether this is an ExternalName Service.
    pub fn is_external_name(&self) -> bool {
        self.type_ == "ExternalName"
    }

    /// Whether this Service has no address by choice (`clusterIP: None`).
    pub fn is_headless(&self) -> bool {
        !self.is_external_name()
            && (self.cluster_ip == "None" || self.cluster_ips.first().is_some_and(|ip| ip == "None"))
    }

    /// The cluster IPs as written: `clusterIPs`, else `clusterIP`; neither `None` nor empty ones.
    pub fn written_cluster_ips(&self) -> impl Iterator<Item = &str> {
        let list = if self.cluster_ips.is_empty() { std::slice::from_ref(&self.cluster_ip) } else { &self.cluster_ips };
        list.iter().map(String::as_str).filter(|ip| !ip.is_empty() && *ip != "None")
    }
}
