//! Istio: gateways and their servers, services beside those of Kubernetes, sidecars, the mesh. Rules are in
//! [`virtual_service`](super::VirtualService), policies in [`destination_rule`](super::DestinationRule).
//!
//! Enumerations are texts here; protobuf's zero (an empty text, the number 0) is the same as absence.

use std::collections::BTreeMap;

use super::{
    ConnectionPoolSettings, IstioDestination, IstioHttpRetry, LocalityLbSetting, ObjectMeta, StringMap, mirrors,
};

mirrors! {
    /// Istio's `Gateway`: servers of the proxies that it selects. Not the Gateway API's, which has the same kind in another group.
    pub struct IstioGateway {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The servers.
        pub spec: IstioGatewaySpec,
    }

    /// Servers, and the proxies that open them.
    pub struct IstioGatewaySpec {
        /// Labels of the proxies' Pods, of any namespace; empty means every gateway proxy.
        pub selector: StringMap,
        /// The servers.
        pub servers: Vec<IstioServer>,
    }

    /// A port of a gateway, and the hosts served there.
    pub struct IstioServer {
        /// Its name; an empty one means that of the port.
        pub name: String,
        /// The port.
        pub port: Option<IstioPort>,
        /// `HOST`, `NAMESPACE/HOST`, `./HOST` or `*/HOST`; a host is exact, `*.` and a suffix of any depth, or `*`.
        pub hosts: Vec<String>,
        /// The address to listen on; an empty one means all.
        pub bind: String,
        /// Not implemented by Istio.
        pub default_endpoint: String,
        /// Required for `HTTPS` and `TLS`; of plain `HTTP` only `httpsRedirect` counts.
        pub tls: Option<IstioServerTls>,
    }

    /// A port with its protocol.
    pub struct IstioPort {
        /// The number.
        pub number: i64,
        /// `HTTP`, `HTTPS`, `GRPC`, `GRPC-WEB`, `HTTP2`, `MONGO`, `MYSQL`, `REDIS`, `TCP` or `TLS`, in letters of any case.
        pub protocol: String,
        /// Its name.
        pub name: String,
        /// The port of the endpoints of a ServiceEntry; 0 means the same number.
        pub target_port: i64,
    }

    /// How a server handles TLS.
    pub struct IstioServerTls {
        /// Whether plain requests are answered 301 to `https`.
        pub https_redirect: bool,
        /// `PASSTHROUGH` (also when empty), `SIMPLE`, `MUTUAL`, `OPTIONAL_MUTUAL`, `ISTIO_MUTUAL` or `AUTO_PASSTHROUGH`.
        pub mode: String,
        /// File with the certificate chain, in the proxy.
        pub server_certificate: String,
        /// File with its key.
        pub private_key: String,
        /// File with the authorities that clients' certificates must be of.
        pub ca_certificates: String,
        /// File with what those authorities revoked.
        pub ca_crl: String,
        /// Name of a Secret in the namespace of the proxy, in place of the files.
        pub credential_name: String,
        /// Several of them, one for each kind of key.
        pub credential_names: Vec<String>,
        /// Name of a Secret or ConfigMap with the authorities alone.
        pub ca_cert_credential_name: String,
        /// Several certificates in files.
        pub tls_certificates: Vec<IstioTlsCertificate>,
        /// Names of which a client's certificate must have one.
        pub subject_alt_names: Vec<String>,
        /// Hashes of public keys of clients.
        pub verify_certificate_spki: Vec<String>,
        /// Hashes of certificates of clients.
        pub verify_certificate_hash: Vec<String>,
        /// `TLS_AUTO` (also when empty), `TLSV1_0` to `TLSV1_3`.
        pub min_protocol_version: String,
        /// The same.
        pub max_protocol_version: String,
        /// Names of cipher suites.
        pub cipher_suites: Vec<String>,
    }

    /// A certificate in files of the proxy.
    pub struct IstioTlsCertificate {
        /// The chain.
        pub server_certificate: String,
        /// The key.
        pub private_key: String,
        /// The authorities of clients.
        pub ca_certificates: String,
    }

    /// Hosts beside the Services that workloads of the mesh can reach.
    pub struct ServiceEntry {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The hosts, and where they are.
        pub spec: ServiceEntrySpec,
    }

    /// Hosts, and where they are.
    pub struct ServiceEntrySpec {
        /// Full names, or `*.` and a suffix; never extended by a namespace.
        pub hosts: Vec<String>,
        /// Addresses and ranges that stand for the hosts.
        pub addresses: Vec<String>,
        /// The ports.
        pub ports: Vec<IstioPort>,
        /// `MESH_EXTERNAL` (also when empty) or `MESH_INTERNAL`.
        pub location: String,
        /// `NONE` (also when empty), `STATIC`, `DNS`, `DNS_ROUND_ROBIN` or `DYNAMIC_DNS`.
        pub resolution: String,
        /// Where it is served.
        pub endpoints: Vec<WorkloadEntrySpec>,
        /// The WorkloadEntries and Pods of the namespace that serve it, in place of endpoints.
        pub workload_selector: Option<WorkloadSelector>,
        /// Namespaces that see it: names, `.` for its own, `*` for all (also when empty), `~` for none.
        pub export_to: Vec<String>,
        /// Names of which the server's certificate must have one.
        pub subject_alt_names: Vec<String>,
    }

    /// Workloads by their labels, in the namespace of the object that selects.
    pub struct WorkloadSelector {
        /// All of these.
        pub labels: StringMap,
    }

    /// A workload that is no Pod, such as a virtual machine.
    pub struct WorkloadEntry {
        /// Name, namespace, labels (which count beside those of the spec).
        pub metadata: ObjectMeta,
        /// Where it is.
        pub spec: WorkloadEntrySpec,
    }

    /// A workload: a WorkloadEntry, an endpoint of a ServiceEntry, the template of a WorkloadGroup.
    pub struct WorkloadEntrySpec {
        /// An IP address, a name for `DNS`, or `unix:///` and a path.
        pub address: String,
        /// Port numbers by the names of the ports of the service.
        pub ports: BTreeMap<String, i64>,
        /// Its labels.
        pub labels: StringMap,
        /// The network it is in.
        pub network: String,
        /// `REGION/ZONE/SUBZONE`, shorter where less is known.
        pub locality: String,
        /// Its share of the traffic; 0 means 1.
        pub weight: i64,
        /// The account it runs as.
        pub service_account: String,
    }

    /// What the WorkloadEntries of one deployment have in common.
    pub struct WorkloadGroup {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// What they have in common.
        pub spec: WorkloadGroupSpec,
    }

    /// What WorkloadEntries have in common.
    pub struct WorkloadGroupSpec {
        /// Their labels and annotations.
        pub metadata: ObjectMeta,
        /// Their spec, without an address.
        pub template: Option<WorkloadEntrySpec>,
        /// How it is found out whether one of them is ready.
        pub probe: Option<ReadinessProbe>,
    }

    /// How it is found out whether a workload is ready, in one of four ways.
    pub struct ReadinessProbe {
        /// Before the first time, in seconds.
        pub initial_delay_seconds: i64,
        /// How long an answer may take, in seconds; 0 means 1.
        pub timeout_seconds: i64,
        /// Between two times, in seconds; 0 means 10.
        pub period_seconds: i64,
        /// After so many successes in a row it is ready; 0 means 1.
        pub success_threshold: i64,
        /// After so many failures in a row it is not; 0 means 3.
        pub failure_threshold: i64,
        /// By a request.
        pub http_get: Option<HttpHealthCheck>,
        /// By a connection.
        pub tcp_socket: Option<TcpHealthCheck>,
        /// By a program.
        pub exec: Option<ExecHealthCheck>,
        /// By gRPC's own health service.
        pub grpc: Option<GrpcHealthCheck>,
    }

    /// A request that a ready workload answers.
    pub struct HttpHealthCheck {
        /// The path; an empty one means `/`.
        pub path: String,
        /// The port.
        pub port: i64,
        /// The host, where it is not the workload's address.
        pub host: String,
        /// `HTTP` (also when empty) or `HTTPS`.
        pub scheme: String,
        /// Headers of the request.
        pub http_headers: Vec<HealthCheckHeader>,
    }

    /// A header of such a request.
    pub struct HealthCheckHeader {
        /// Its name.
        pub name: String,
        /// Its value.
        pub value: String,
    }

    /// A port that a ready workload opens.
    pub struct TcpHealthCheck {
        /// The host, where it is not the workload itself.
        pub host: String,
        /// The port.
        pub port: i64,
    }

    /// A program that succeeds on a ready workload.
    pub struct ExecHealthCheck {
        /// The program and its arguments.
        pub command: Vec<String>,
    }

    /// A service that answers on a ready workload.
    pub struct GrpcHealthCheck {
        /// The port.
        pub port: i64,
        /// The name that is asked about.
        pub service: String,
    }

    /// What the proxies beside workloads see of the mesh.
    pub struct Sidecar {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// What they see.
        pub spec: SidecarSpec,
    }

    /// What proxies see.
    pub struct SidecarSpec {
        /// The workloads; absent means all of the namespace.
        pub workload_selector: Option<WorkloadSelector>,
        /// What they take in.
        pub ingress: Vec<SidecarIngress>,
        /// What they can reach; empty means what the namespace's default, or the mesh, says.
        pub egress: Vec<SidecarEgress>,
        /// Settings of connections to the workload.
        pub inbound_connection_pool: Option<ConnectionPoolSettings>,
        /// What becomes of unknown destinations; absent means what the mesh says.
        pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
    }

    /// A port that a sidecar takes in.
    pub struct SidecarIngress {
        /// The port.
        pub port: Option<IstioPort>,
        /// The address to listen on.
        pub bind: String,
        /// `DEFAULT` (also when empty), `IPTABLES` or `NONE`.
        pub capture_mode: String,
        /// Where the workload listens: `127.0.0.1:PORT` or `unix:///` and a path.
        pub default_endpoint: String,
        /// How it handles TLS.
        pub tls: Option<IstioServerTls>,
        /// Settings of its connections.
        pub connection_pool: Option<ConnectionPoolSettings>,
    }

    /// Services that a sidecar can reach.
    pub struct SidecarEgress {
        /// On this port; absent means all ports that no other entry names.
        pub port: Option<IstioPort>,
        /// The address to listen on.
        pub bind: String,
        /// `DEFAULT` (also when empty), `IPTABLES` or `NONE`.
        pub capture_mode: String,
        /// `NAMESPACE/HOST`; the namespace may be `.`, `*` or `~`, the host a wildcard.
        pub hosts: Vec<String>,
    }

    /// What becomes of destinations that nobody knows.
    pub struct OutboundTrafficPolicy {
        /// `ALLOW_ANY`, or `REGISTRY_ONLY` (also when empty).
        pub mode: String,
        /// Where they are sent, in place of where the client meant.
        pub egress_proxy: Option<IstioDestination>,
    }

    /// Settings of the whole mesh: the YAML document in key `mesh` of ConfigMap `istio`, in the root namespace.
    pub struct MeshConfig {
        /// The namespace whose objects hold for all; empty means that of the ConfigMap.
        pub root_namespace: String,
        /// What becomes of unknown destinations; absent means `ALLOW_ANY`.
        pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
        /// `exportTo` of Services and ServiceEntries that have none.
        pub default_service_export_to: Vec<String>,
        /// `exportTo` of VirtualServices that have none.
        pub default_virtual_service_export_to: Vec<String>,
        /// `exportTo` of DestinationRules that have none.
        pub default_destination_rule_export_to: Vec<String>,
        /// Where traffic goes by locality, for services without a setting of their own.
        pub locality_lb_setting: Option<LocalityLbSetting>,
        /// Retries of rules that have none.
        pub default_http_retry_policy: Option<IstioHttpRetry>,
    }
}
