//! Which request goes where, and what is done with it?

use std::collections::BTreeMap;

use serde::Serialize;

use super::{HeaderMatcher, QueryParameterMatcher, RegexMatcher, Seconds, StringMatcher, is_off};

/// `envoy.config.route.v3.RouteConfiguration`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteConfiguration {
    /// Its name.
    pub name: String,
    /// The hosts, of which the most specific one is the only one asked.
    pub virtual_hosts: Vec<VirtualHost>,
    /// Whether the port of the Host counts for nothing when one is chosen.
    pub ignore_port_in_host_matching: bool,
    /// Whether clusters that routes name must be there.
    pub validate_clusters: bool,
    /// The most that a response of Envoy's own may hold.
    pub max_direct_response_body_size_bytes: u32,
    /// Edits of headers for all requests.
    #[serde(flatten)]
    pub headers: HeaderEditList,
}

/// `envoy.config.route.v3.VirtualHost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VirtualHost {
    /// Its name.
    pub name: String,
    /// Names, `*.` before a suffix, or `*`.
    pub domains: Vec<String>,
    /// The routes, of which the first that matches counts.
    pub routes: Vec<Route>,
    /// Which requests over plain HTTP are sent to HTTPS, before any route is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<RequireTls>,
}

/// `envoy.config.route.v3.VirtualHost.TlsRequirementType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RequireTls {
    /// All.
    All,
}

/// `envoy.config.route.v3.Route`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Which requests it takes.
    #[serde(rename = "match")]
    pub matches: RouteMatch,
    /// What becomes of them.
    #[serde(flatten)]
    pub action: RouteKind,
    /// Edits of headers.
    #[serde(flatten)]
    pub headers: HeaderEditList,
    /// Settings of filters, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub typed_per_filter_config: BTreeMap<&'static str, PerRoute>,
}

/// `envoy.config.route.v3.RouteMatch`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteMatch {
    /// The path.
    #[serde(flatten)]
    pub path: PathSpecifier,
    /// `false` where upper and lower case of the path are the same; not for expressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_sensitive: Option<bool>,
    /// Headers, all of which must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatcher>,
    /// Query parameters, all of which must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_parameters: Vec<QueryParameterMatcher>,
}

/// The path of a [`RouteMatch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathSpecifier {
    /// Paths that begin with this text.
    Prefix(String),
    /// This path.
    Path(String),
    /// This path, and those that begin with it and a slash.
    PathSeparatedPrefix(String),
    /// Paths that match.
    SafeRegex(RegexMatcher),
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    /// It goes to a cluster.
    Route(Box<RouteAction>),
    /// The client is sent elsewhere.
    Redirect(RedirectAction),
    /// Envoy answers.
    DirectResponse(DirectResponseAction),
}

/// `envoy.config.route.v3.RouteAction`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteAction {
    /// Where it goes.
    #[serde(flatten)]
    pub to: ClusterSpecifier,
    /// The answer where there is no such cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_not_found_response_code: Option<ClusterNotFoundResponseCode>,
    /// The new path.
    #[serde(flatten)]
    pub path: Option<PathChange>,
    /// The new Host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_rewrite_literal: Option<String>,
    /// How long it may take in all; zero for any time.
    pub timeout: Seconds,
    /// When it is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Who gets copies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_mirror_policies: Vec<RequestMirrorPolicy>,
}

/// One cluster, or several by weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterSpecifier {
    /// This one.
    Cluster(String),
    /// These.
    WeightedClusters(WeightedCluster),
}

impl ClusterSpecifier {
    /// These clusters with their weights.
    pub(crate) fn by_weight(clusters: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut clusters: Vec<ClusterWeight> = clusters
            .into_iter()
            .map(|(name, weight)| ClusterWeight {
                name,
                weight,
                headers: HeaderEditList::default(),
                host_rewrite_literal: None,
            })
            .collect();
        match clusters.len() {
            1 => Self::Cluster(clusters.remove(0).name),
            _ => Self::WeightedClusters(WeightedCluster { clusters }),
        }
    }
}

/// `envoy.config.route.v3.WeightedCluster`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightedCluster {
    /// The clusters; their weights may have any sum.
    pub clusters: Vec<ClusterWeight>,
}

/// `envoy.config.route.v3.WeightedCluster.ClusterWeight`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterWeight {
    /// The cluster.
    pub name: String,
    /// Its weight.
    pub weight: u32,
    /// Edits of headers.
    #[serde(flatten)]
    pub headers: HeaderEditList,
    /// The new Host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_rewrite_literal: Option<String>,
}

/// The answer where there is no cluster of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClusterNotFoundResponseCode {
    /// 503.
    ServiceUnavailable,
    /// 404.
    NotFound,
    /// 500.
    InternalServerError,
}

/// How a path is changed before it goes to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathChange {
    /// The text that was matched makes room for this.
    PrefixRewrite(String),
    /// Every match of an expression makes room for a text.
    RegexRewrite(RegexMatchAndSubstitute),
}

/// `envoy.type.matcher.v3.RegexMatchAndSubstitute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegexMatchAndSubstitute {
    /// The expression, which is searched.
    pub pattern: RegexMatcher,
    /// What takes its place; `\1` stands for a group.
    pub substitution: String,
}

/// `envoy.config.route.v3.RetryPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RetryPolicy {
    /// Conditions, joined by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub retry_on: String,
    /// How often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_retries: Option<u32>,
    /// How long one attempt may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Seconds>,
    /// Statuses after which it is sent again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retriable_status_codes: Vec<u16>,
    /// How long to wait in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_back_off: Option<RetryBackOff>,
}

/// `envoy.config.route.v3.RetryPolicy.RetryBackOff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetryBackOff {
    /// The first wait, which grows.
    pub base_interval: Seconds,
}

/// `envoy.config.route.v3.RouteAction.RequestMirrorPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestMirrorPolicy {
    /// Where copies go.
    pub cluster: String,
    /// Of how many requests.
    pub runtime_fraction: RuntimeFractionalPercent,
}

/// `envoy.config.core.v3.RuntimeFractionalPercent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeFractionalPercent {
    /// The part.
    pub default_value: FractionalPercent,
}

/// `envoy.type.v3.FractionalPercent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FractionalPercent {
    /// So many ...
    pub numerator: u32,
    /// ... of so many.
    pub denominator: Denominator,
}

/// The denominators that Envoy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Denominator {
    /// 100.
    Hundred,
    /// 10,000.
    TenThousand,
    /// 1,000,000.
    Million,
}

/// `envoy.config.route.v3.RedirectAction`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedirectAction {
    /// The new scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme_redirect: Option<String>,
    /// The new host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_redirect: Option<String>,
    /// The new port, which is always written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_redirect: Option<u16>,
    /// The new path.
    #[serde(flatten)]
    pub path: Option<PathRedirect>,
    /// The status.
    pub response_code: RedirectResponseCode,
    /// Whether the query is dropped.
    #[serde(skip_serializing_if = "is_off")]
    pub strip_query: bool,
}

/// How a path is changed for a redirect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathRedirect {
    /// It is this one; with a query of its own, that of the request is dropped.
    PathRedirect(String),
    /// The text that was matched makes room for this.
    PrefixRewrite(String),
    /// Every match of an expression makes room for a text.
    RegexRewrite(RegexMatchAndSubstitute),
}

/// The statuses of redirects that Envoy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RedirectResponseCode {
    /// 301.
    MovedPermanently,
    /// 302.
    Found,
    /// 303.
    SeeOther,
    /// 307.
    TemporaryRedirect,
    /// 308.
    PermanentRedirect,
}

/// `envoy.config.route.v3.DirectResponseAction`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectResponseAction {
    /// The status, 200 to 599.
    pub status: u16,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<DataSource>,
}

/// `envoy.config.core.v3.DataSource`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// A file of the machine that Envoy runs on.
    Filename(String),
    /// This text.
    InlineString(String),
}

/// Edits of headers: what is removed is removed first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeaderEditList {
    /// Headers that requests get.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers_to_add: Vec<HeaderValueOption>,
    /// Headers that requests lose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers_to_remove: Vec<String>,
    /// Headers that responses get.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers_to_add: Vec<HeaderValueOption>,
    /// Headers that responses lose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers_to_remove: Vec<String>,
}

/// `envoy.config.core.v3.HeaderValueOption`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderValueOption {
    /// The header.
    pub header: HeaderValue,
    /// What becomes of values that are there.
    pub append_action: HeaderAppendAction,
    /// Whether a header without value is kept.
    pub keep_empty_value: bool,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderValue {
    /// Its name.
    pub key: String,
    /// Its value, in which `%` begins a variable unless it is doubled.
    pub value: String,
}

/// What becomes of values that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HeaderAppendAction {
    /// They stay, and the new one is added.
    AppendIfExistsOrAdd,
    /// The new one takes their place.
    OverwriteIfExistsOrAdd,
}

/// Settings of a filter for one route.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "@type")]
pub enum PerRoute {
    /// CORS.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy")]
    Cors(CorsPolicy),
    /// Faults.
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault")]
    Fault(HttpFault),
}

/// `envoy.extensions.filters.http.fault.v3.HTTPFault`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HttpFault {
    /// Who waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<FaultDelay>,
    /// Who is answered at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<FaultAbort>,
}

impl HttpFault {
    /// The filter's name.
    pub const FILTER: &'static str = "envoy.filters.http.fault";
}

/// `envoy.extensions.filters.common.fault.v3.FaultDelay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultDelay {
    /// For how long.
    pub fixed_delay: Seconds,
    /// Of how many requests.
    pub percentage: FractionalPercent,
}

/// `envoy.extensions.filters.http.fault.v3.FaultAbort`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultAbort {
    /// With what.
    #[serde(flatten)]
    pub status: FaultStatus,
    /// How many requests.
    pub percentage: FractionalPercent,
}

/// The answer of a [`FaultAbort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultStatus {
    /// A status of HTTP.
    HttpStatus(u16),
    /// A status of gRPC.
    GrpcStatus(u8),
}

/// `envoy.extensions.filters.http.cors.v3.CorsPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorsPolicy {
    /// Whose scripts may read.
    pub allow_origin_string_match: Vec<StringMatcher>,
    /// The value of that header.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub allow_methods: String,
    /// The value of that header.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub allow_headers: String,
    /// The value of that header.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expose_headers: String,
    /// The value of that header.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub max_age: String,
    /// Whether cookies may be sent along.
    pub allow_credentials: bool,
    /// Whether preflights of other origins go to the backend.
    pub forward_not_matching_preflights: bool,
}

impl CorsPolicy {
    /// The filter's name.
    pub const FILTER: &'static str = "envoy.filters.http.cors";
}
