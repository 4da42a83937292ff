//! Istio's DestinationRule: how a service is called, and which parts it has.

use std::collections::BTreeMap;

use super::{IstioPortSelector, Number, ObjectMeta, StringMap, mirrors};

mirrors! {
    /// How a service is called, and which parts it has.
    pub struct DestinationRule {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The rule.
        pub spec: DestinationRuleSpec,
    }

    /// How a service is called, and which parts it has.
    pub struct DestinationRuleSpec {
        /// The service: exact, `*.` and a suffix, or a short name of the namespace.
        pub host: String,
        /// How it is called.
        pub traffic_policy: Option<TrafficPolicy>,
        /// Its parts.
        pub subsets: Vec<DestinationSubset>,
        /// Namespaces that see it: names, `.` for its own, `*` for all (also when empty), `~` for none.
        pub export_to: Vec<String>,
        /// The callers of its namespace that it is for; absent means all.
        pub workload_selector: Option<PolicyWorkloadSelector>,
    }

    /// Workloads by their labels, in the namespace of the object that selects.
    pub struct PolicyWorkloadSelector {
        /// All of these.
        pub match_labels: StringMap,
    }

    /// A part of a service: the endpoints with these labels.
    pub struct DestinationSubset {
        /// Its name.
        pub name: String,
        /// Labels that an endpoint must have.
        pub labels: StringMap,
        /// How it is called, where that differs.
        pub traffic_policy: Option<TrafficPolicy>,
    }

    /// How a service, or a part of it, is called.
    pub struct TrafficPolicy {
        /// Which endpoint is chosen.
        pub load_balancer: Option<Box<LoadBalancerSettings>>,
        /// Limits of connections.
        pub connection_pool: Option<ConnectionPoolSettings>,
        /// Which endpoints are left out for a while.
        pub outlier_detection: Option<OutlierDetection>,
        /// TLS to the endpoints.
        pub tls: Option<ClientTlsSettings>,
        /// What holds on single ports instead of all the above.
        pub port_level_settings: Vec<PortTrafficPolicy>,
        /// A tunnel that connections go through.
        pub tunnel: Option<TunnelSettings>,
        /// The PROXY protocol, spoken to the endpoints.
        pub proxy_protocol: Option<ProxyProtocolSettings>,
        /// How many requests may be retries.
        pub retry_budget: Option<RetryBudget>,
    }

    /// How a service is called on one port.
    pub struct PortTrafficPolicy {
        /// The port.
        pub port: Option<IstioPortSelector>,
        /// Which endpoint is chosen.
        pub load_balancer: Option<Box<LoadBalancerSettings>>,
        /// Limits of connections.
        pub connection_pool: Option<ConnectionPoolSettings>,
        /// Which endpoints are left out for a while.
        pub outlier_detection: Option<OutlierDetection>,
        /// TLS to the endpoints.
        pub tls: Option<ClientTlsSettings>,
    }

    /// Which endpoint is chosen: `simple` or `consistent_hash`.
    pub struct LoadBalancerSettings {
        /// `LEAST_REQUEST` (also `UNSPECIFIED`, `LEAST_CONN` and when both are absent), `RANDOM`, `ROUND_ROBIN` or `PASSTHROUGH`.
        pub simple: Option<String>,
        /// By a property of the request.
        pub consistent_hash: Option<ConsistentHashLb>,
        /// Where traffic goes by locality.
        pub locality_lb_setting: Option<LocalityLbSetting>,
        /// The same by zone, in place of the last.
        pub zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
        /// How long a new endpoint is spared, as a duration; the older form.
        pub warmup_duration_secs: Option<String>,
        /// How a new endpoint is spared.
        pub warmup: Option<WarmupSettings>,
    }

    /// The property that is hashed, one of four, and the table it is looked up in.
    pub struct ConsistentHashLb {
        /// The value of this header.
        pub http_header_name: Option<String>,
        /// A cookie.
        pub http_cookie: Option<HashedCookie>,
        /// The address of the client.
        pub use_source_ip: Option<bool>,
        /// The value of this query parameter.
        pub http_query_parameter_name: Option<String>,
        /// A ring (also when both are absent).
        pub ring_hash: Option<RingHashSettings>,
        /// A Maglev table.
        pub maglev: Option<MaglevSettings>,
        /// Fewest points of the ring; the older form.
        pub minimum_ring_size: i64,
    }

    /// A cookie that is hashed, and made where a client has none.
    pub struct HashedCookie {
        /// Its name.
        pub name: String,
        /// Its path.
        pub path: String,
        /// How long it lives, as a duration; absent means that it is not made.
        pub ttl: Option<String>,
        /// Further attributes.
        pub attributes: Vec<CookieAttribute>,
    }

    /// An attribute of a cookie.
    pub struct CookieAttribute {
        /// Its name.
        pub name: String,
        /// Its value.
        pub value: String,
    }

    /// Settings of a ring.
    pub struct RingHashSettings {
        /// Fewest points; 0 means 1024.
        pub minimum_ring_size: i64,
    }

    /// Settings of a Maglev table.
    pub struct MaglevSettings {
        /// Its size, a prime; 0 means 65537.
        pub table_size: i64,
    }

    /// How a new endpoint is spared.
    pub struct WarmupSettings {
        /// How long, as a duration.
        pub duration: Option<String>,
        /// Its share at the beginning, in percent; absent means 10.
        pub minimum_percent: Option<Number>,
        /// How its share grows: 1 (also when absent) in proportion to time.
        pub aggression: Option<Number>,
    }

    /// Where traffic goes by locality. Localities are `REGION/ZONE/SUBZONE`, `*` for any last part.
    pub struct LocalityLbSetting {
        /// Fixed shares.
        pub distribute: Vec<LocalityDistribute>,
        /// The region that stands in for another.
        pub failover: Vec<LocalityFailover>,
        /// Labels, `KEY` or `KEY=VALUE`; endpoints that share more of the first with the caller go first.
        pub failover_priority: Vec<String>,
        /// Whether it holds; absent means what the mesh says.
        pub enabled: Option<bool>,
    }

    /// Traffic stays in the zone of the caller as far as its endpoints can take it.
    pub struct ZoneAwareLbSetting {
        /// Whether it holds; absent means what the mesh says.
        pub enabled: Option<bool>,
        /// The region that stands in for another.
        pub failover: Vec<LocalityFailover>,
        /// Labels, `KEY` or `KEY=VALUE`; endpoints that share more of the first with the caller go first.
        pub failover_priority: Vec<String>,
    }

    /// Shares of the traffic from a locality.
    pub struct LocalityDistribute {
        /// The locality of the caller.
        pub from: String,
        /// Percent by locality, 100 in all.
        pub to: BTreeMap<String, i64>,
    }

    /// The region that stands in for another.
    pub struct LocalityFailover {
        /// That one.
        pub from: String,
        /// The one that stands in.
        pub to: String,
    }

    /// Limits of connections.
    pub struct ConnectionPoolSettings {
        /// Of all.
        pub tcp: Option<ConnectionPoolTcp>,
        /// Of those that carry requests.
        pub http: Option<ConnectionPoolHttp>,
    }

    /// Limits of all connections.
    pub struct ConnectionPoolTcp {
        /// Most connections; 0 means 2^32 - 1.
        pub max_connections: i64,
        /// How long connecting may take, as a duration; absent means 10 s.
        pub connect_timeout: Option<String>,
        /// Probes of idle connections.
        pub tcp_keepalive: Option<TcpKeepalive>,
        /// Longest life of a connection, as a duration.
        pub max_connection_duration: Option<String>,
        /// How long it may be idle, as a duration; absent means 1 h.
        pub idle_timeout: Option<String>,
    }

    /// Probes of idle connections.
    pub struct TcpKeepalive {
        /// Most probes without an answer.
        pub probes: i64,
        /// Idle before the first, as a duration.
        pub time: Option<String>,
        /// Between two, as a duration.
        pub interval: Option<String>,
    }

    /// Limits of connections that carry requests.
    pub struct ConnectionPoolHttp {
        /// Most requests that wait; 0 means 2^32 - 1.
        #[serde(rename = "http1MaxPendingRequests")]
        pub http1_max_pending_requests: i64,
        /// Most requests under way; 0 means 2^32 - 1.
        #[serde(rename = "http2MaxRequests")]
        pub http2_max_requests: i64,
        /// Most requests of one connection; 0 means no limit.
        pub max_requests_per_connection: i64,
        /// Most retries under way; 0 means 2^32 - 1.
        pub max_retries: i64,
        /// How long a connection may be idle, as a duration; absent means 1 h.
        pub idle_timeout: Option<String>,
        /// `DEFAULT` (also when empty), `DO_NOT_UPGRADE` or `UPGRADE`.
        #[serde(rename = "h2UpgradePolicy")]
        pub h2_upgrade_policy: String,
        /// Whether the client's protocol is kept.
        pub use_client_protocol: bool,
        /// Most streams of one connection; 0 means 2^31 - 1.
        pub max_concurrent_streams: i64,
        /// Probes of HTTP/2 connections.
        #[serde(rename = "http2KeepAlive")]
        pub http2_keep_alive: Option<Http2KeepAlive>,
    }

    /// Probes of HTTP/2 connections.
    pub struct Http2KeepAlive {
        /// Between two, as a duration.
        pub interval: Option<String>,
        /// How long an answer may take, as a duration.
        pub timeout: Option<String>,
    }

    /// Which endpoints are left out for a while.
    pub struct OutlierDetection {
        /// After so many answers of 5xx in a row; absent means 5, 0 never.
        #[serde(rename = "consecutive5xxErrors")]
        pub consecutive_5xx_errors: Option<i64>,
        /// After so many answers of 502, 503 or 504 in a row; absent or 0 means never.
        pub consecutive_gateway_errors: Option<i64>,
        /// The older form of the last.
        pub consecutive_errors: i64,
        /// Whether failures of this side are counted by themselves.
        pub split_external_local_origin_errors: bool,
        /// After so many of those in a row; absent means 5.
        pub consecutive_local_origin_failures: Option<i64>,
        /// Time between sweeps, as a duration; absent means 10 s.
        pub interval: Option<String>,
        /// Shortest time out, as a duration; absent means 30 s.
        pub base_ejection_time: Option<String>,
        /// Most endpoints out at once, in percent; 0 means 10.
        pub max_ejection_percent: i64,
        /// Nobody is left out any more when fewer than so many percent are healthy.
        pub min_health_percent: i64,
    }

    /// TLS to endpoints.
    pub struct ClientTlsSettings {
        /// `DISABLE` (also when empty), `SIMPLE`, `MUTUAL` or `ISTIO_MUTUAL`.
        pub mode: String,
        /// File with the client's certificate.
        pub client_certificate: String,
        /// File with its key.
        pub private_key: String,
        /// File with the authorities of the server.
        pub ca_certificates: String,
        /// File with what those revoked.
        pub ca_crl: String,
        /// Name of a Secret in place of the files.
        pub credential_name: String,
        /// Names of which the server's certificate must have one.
        pub subject_alt_names: Vec<String>,
        /// The server name that is sent.
        pub sni: String,
        /// Whether the server's certificate is not verified.
        pub insecure_skip_verify: Option<bool>,
    }

    /// A tunnel that connections go through.
    pub struct TunnelSettings {
        /// `CONNECT` (also when empty) or `POST`.
        pub protocol: String,
        /// The host at its end.
        pub target_host: String,
        /// The port at its end.
        pub target_port: i64,
    }

    /// The PROXY protocol.
    pub struct ProxyProtocolSettings {
        /// `V1` (also when empty) or `V2`.
        pub version: String,
    }

    /// How many requests may be retries.
    pub struct RetryBudget {
        /// Percent of the requests; absent means 20.
        pub percent: Option<Number>,
        /// Of the requests of so long a time, as a duration.
        pub budget_interval: Option<String>,
        /// So many are always allowed.
        pub min_retry_concurrency: i64,
    }
}
