//! Istio's VirtualService: rules for what is sent to hosts.

use std::collections::BTreeMap;

use super::{Number, ObjectMeta, StringMap, mirrors};

mirrors! {
    /// Rules for what is sent to hosts, at gateways or within the mesh.
    pub struct VirtualService {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The rules.
        pub spec: VirtualServiceSpec,
    }

    /// Hosts and rules.
    pub struct VirtualServiceSpec {
        /// Exact, `*.` and a suffix of any depth, `*`, or a short name of the namespace; none in a delegate.
        pub hosts: Vec<String>,
        /// `NAME`, `NAMESPACE/NAME` or `mesh`; empty means `mesh`.
        pub gateways: Vec<String>,
        /// Rules for requests; the first that matches counts.
        pub http: Vec<IstioHttpRoute>,
        /// Rules for TLS that is passed through.
        pub tls: Vec<IstioTlsRoute>,
        /// Rules for other connections.
        pub tcp: Vec<IstioTcpRoute>,
        /// Namespaces that see it: names, `.` for its own, `*` for all (also when empty), `~` for none.
        pub export_to: Vec<String>,
    }

    /// What is matched, and what then happens.
    pub struct IstioHttpRoute {
        /// A name for people.
        pub name: String,
        /// Any of these; empty means every request.
        #[serde(rename = "match")]
        pub match_: Vec<IstioHttpMatch>,
        /// Where requests go.
        pub route: Vec<IstioHttpDestination>,
        /// Where the client is sent instead.
        pub redirect: Option<IstioHttpRedirect>,
        /// What is answered instead.
        pub direct_response: Option<IstioDirectResponse>,
        /// The VirtualService whose rules stand here instead.
        pub delegate: Option<IstioDelegate>,
        /// What the destination sees in place of path and authority.
        pub rewrite: Option<IstioHttpRewrite>,
        /// How long it may take, as a duration; absent means for ever.
        pub timeout: Option<String>,
        /// When it is tried again; absent means as the mesh does.
        pub retries: Option<IstioHttpRetry>,
        /// What goes wrong on purpose.
        pub fault: Option<IstioHttpFault>,
        /// Who gets a copy.
        pub mirror: Option<IstioDestination>,
        /// Of so many percent, where `mirror_percentage` is absent; the older form.
        pub mirror_percent: Option<i64>,
        /// Of so many percent; absent means `mirror_percent`, and all without that either.
        pub mirror_percentage: Option<IstioPercent>,
        /// Several who get copies, in place of `mirror`.
        pub mirrors: Vec<IstioMirror>,
        /// Who may read the response in a browser.
        pub cors_policy: Option<IstioCorsPolicy>,
        /// Edits of headers.
        pub headers: Option<IstioHeaders>,
    }

    /// Conditions that must all hold.
    pub struct IstioHttpMatch {
        /// A name for people.
        pub name: String,
        /// On the path, without the query.
        pub uri: Option<IstioStringMatch>,
        /// Whether `exact` and `prefix` of `uri` ignore the case.
        pub ignore_uri_case: bool,
        /// On the scheme.
        pub scheme: Option<IstioStringMatch>,
        /// On the method.
        pub method: Option<IstioStringMatch>,
        /// On the Host as sent, with its port.
        pub authority: Option<IstioStringMatch>,
        /// On headers, which must be there.
        pub headers: BTreeMap<String, IstioStringMatch>,
        /// On headers, which must not be so.
        pub without_headers: BTreeMap<String, IstioStringMatch>,
        /// On query parameters.
        pub query_params: BTreeMap<String, IstioStringMatch>,
        /// The port of the listener; 0 means any.
        pub port: i64,
        /// Labels of the caller.
        pub source_labels: StringMap,
        /// Namespace of the caller.
        pub source_namespace: String,
        /// At these gateways (of those of the VirtualService); empty means all.
        pub gateways: Vec<String>,
        /// Prefix of names of statistics.
        pub stat_prefix: String,
    }

    /// A condition on a text: one of the three, or none, which means that it is there.
    pub struct IstioStringMatch {
        /// The whole text.
        pub exact: Option<String>,
        /// Its beginning.
        pub prefix: Option<String>,
        /// RE2, over the whole text.
        pub regex: Option<String>,
    }

    /// A destination of requests.
    pub struct IstioHttpDestination {
        /// Where.
        pub destination: Option<IstioDestination>,
        /// Its share; a single destination takes all.
        pub weight: i64,
        /// Edits of headers for this destination.
        pub headers: Option<IstioHeaders>,
    }

    /// A service, and a part of it.
    pub struct IstioDestination {
        /// Its host, a short one in the namespace of the rule.
        pub host: String,
        /// The subset that a DestinationRule defines; empty means all.
        pub subset: String,
        /// Its port.
        pub port: Option<IstioPortSelector>,
    }

    /// A port by number.
    pub struct IstioPortSelector {
        /// The number.
        pub number: i64,
    }

    /// Where a client is sent.
    pub struct IstioHttpRedirect {
        /// The new path; the request's when empty.
        pub uri: String,
        /// What takes the place of the matched prefix.
        pub prefix_rewrite: String,
        /// The new host and port; the request's when empty.
        pub authority: String,
        /// The new port.
        pub port: Option<i64>,
        /// `FROM_PROTOCOL_DEFAULT` or `FROM_REQUEST_PORT`, in place of `port`.
        pub derive_port: Option<String>,
        /// The new scheme; the request's when empty.
        pub scheme: String,
        /// The status; 0 means 301.
        pub redirect_code: i64,
    }

    /// An answer of the proxy itself.
    pub struct IstioDirectResponse {
        /// Its status.
        pub status: i64,
        /// Its body.
        pub body: Option<IstioBody>,
    }

    /// A body: one of the two.
    pub struct IstioBody {
        /// As text.
        pub string: Option<String>,
        /// As base64.
        pub bytes: Option<String>,
    }

    /// The VirtualService, without hosts, that a rule hands over to.
    pub struct IstioDelegate {
        /// Its name.
        pub name: String,
        /// Its namespace; empty means that of the one that hands over.
        pub namespace: String,
    }

    /// What the destination sees.
    pub struct IstioHttpRewrite {
        /// What takes the place of the matched path, or of its matched prefix.
        pub uri: String,
        /// The new Host.
        pub authority: String,
        /// A replacement within the path, in place of `uri`.
        pub uri_regex_rewrite: Option<IstioRegexRewrite>,
    }

    /// What takes the place of what matches.
    pub struct IstioRegexRewrite {
        /// RE2.
        #[serde(rename = "match")]
        pub match_: String,
        /// The replacement, with `\1` for groups.
        pub rewrite: String,
    }

    /// When and how often a request is tried again.
    pub struct IstioHttpRetry {
        /// How often; 0 means never.
        pub attempts: i64,
        /// How long each may take, as a duration.
        pub per_try_timeout: Option<String>,
        /// Conditions and status codes, comma-separated.
        pub retry_on: String,
        /// Whether other localities are tried.
        pub retry_remote_localities: Option<bool>,
        /// Whether endpoints that failed are left out; yes unless `false`.
        pub retry_ignore_previous_hosts: Option<bool>,
        /// Shortest pause between attempts, as a duration.
        pub backoff: Option<String>,
    }

    /// What goes wrong on purpose.
    pub struct IstioHttpFault {
        /// Requests that wait.
        pub delay: Option<IstioFaultDelay>,
        /// Requests that fail.
        pub abort: Option<IstioFaultAbort>,
    }

    /// A part of the requests that waits.
    pub struct IstioFaultDelay {
        /// How long, as a duration.
        pub fixed_delay: Option<String>,
        /// Not implemented by Istio.
        pub exponential_delay: Option<String>,
        /// So many percent, where `percentage` is absent; the older form.
        pub percent: i64,
        /// So many percent; absent means `percent`, and none without that either.
        pub percentage: Option<IstioPercent>,
    }

    /// A part of the requests that fails, in one of three ways.
    pub struct IstioFaultAbort {
        /// With this status.
        pub http_status: Option<i64>,
        /// With this gRPC status, by name or number.
        pub grpc_status: Option<String>,
        /// Not implemented by Istio.
        #[serde(rename = "http2Error")]
        pub http2_error: Option<String>,
        /// So many percent; absent means none.
        pub percentage: Option<IstioPercent>,
    }

    /// A part in percent.
    pub struct IstioPercent {
        /// 0 to 100.
        pub value: Number,
    }

    /// Who gets a copy.
    pub struct IstioMirror {
        /// Who.
        pub destination: Option<IstioDestination>,
        /// Of so many percent; absent means all.
        pub percentage: Option<IstioPercent>,
    }

    /// Who may read a response in a browser.
    pub struct IstioCorsPolicy {
        /// Exact origins, or `*`; the older form.
        pub allow_origin: Vec<String>,
        /// Origins.
        pub allow_origins: Vec<IstioStringMatch>,
        /// Methods.
        pub allow_methods: Vec<String>,
        /// Headers of requests.
        pub allow_headers: Vec<String>,
        /// Headers of responses that scripts may see.
        pub expose_headers: Vec<String>,
        /// How long an answer to a preflight holds, as a duration.
        pub max_age: Option<String>,
        /// Whether credentials are allowed.
        pub allow_credentials: Option<bool>,
        /// `FORWARD` (also when empty or `UNSPECIFIED`) or `IGNORE`: what becomes of preflights from other origins.
        pub unmatched_preflights: String,
    }

    /// Edits of headers on both ways.
    pub struct IstioHeaders {
        /// Of the request.
        pub request: Option<IstioHeaderEdits>,
        /// Of the response.
        pub response: Option<IstioHeaderEdits>,
    }

    /// Edits of headers.
    pub struct IstioHeaderEdits {
        /// Headers that get this value.
        pub set: StringMap,
        /// Headers that get one more value.
        pub add: StringMap,
        /// Headers that are taken away.
        pub remove: Vec<String>,
    }

    /// What TLS connections are matched, and where they go.
    pub struct IstioTlsRoute {
        /// Any of these.
        #[serde(rename = "match")]
        pub match_: Vec<IstioTlsMatch>,
        /// Where they go.
        pub route: Vec<IstioRouteDestination>,
    }

    /// Conditions on a TLS connection that must all hold.
    pub struct IstioTlsMatch {
        /// Server names, within the hosts of the VirtualService; exact, or `*.` and a suffix.
        pub sni_hosts: Vec<String>,
        /// Addresses and ranges it was sent to.
        pub destination_subnets: Vec<String>,
        /// The port of the listener; 0 means any.
        pub port: i64,
        /// Labels of the caller.
        pub source_labels: StringMap,
        /// Namespace of the caller.
        pub source_namespace: String,
        /// At these gateways (of those of the VirtualService); empty means all.
        pub gateways: Vec<String>,
    }

    /// What connections are matched, and where they go.
    pub struct IstioTcpRoute {
        /// Any of these; empty means every connection.
        #[serde(rename = "match")]
        pub match_: Vec<IstioTcpMatch>,
        /// Where they go.
        pub route: Vec<IstioRouteDestination>,
    }

    /// Conditions on a connection that must all hold.
    pub struct IstioTcpMatch {
        /// Addresses and ranges it was sent to.
        pub destination_subnets: Vec<String>,
        /// The port of the listener; 0 means any.
        pub port: i64,
        /// Addresses of the caller; not implemented by Istio.
        pub source_subnet: String,
        /// Labels of the caller.
        pub source_labels: StringMap,
        /// Namespace of the caller.
        pub source_namespace: String,
        /// At these gateways (of those of the VirtualService); empty means all.
        pub gateways: Vec<String>,
    }

    /// A destination of connections.
    pub struct IstioRouteDestination {
        /// Where.
        pub destination: Option<IstioDestination>,
        /// Its share; a single destination takes all.
        pub weight: i64,
    }
}
