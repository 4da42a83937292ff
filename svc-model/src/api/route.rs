//! The routes of the Gateway API.

use super::{ObjectMeta, ParentReference, mirrors};

mirrors! {
    /// Rules for HTTP requests.
    pub struct HttpRoute {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The rules.
        pub spec: HttpRouteSpec,
    }

    /// Rules for HTTP requests.
    pub struct HttpRouteSpec {
        /// What it attaches to.
        pub parent_refs: Vec<ParentReference>,
        /// The hosts it is for: exact, or `*.` and a suffix of any depth; empty means all of the listener.
        pub hostnames: Vec<String>,
        /// The rules.
        pub rules: Vec<HttpRouteRule>,
    }

    /// What is matched, and what then happens.
    pub struct HttpRouteRule {
        /// A name for others to refer to.
        pub name: Option<String>,
        /// Any of these; empty means every request.
        pub matches: Vec<HttpRouteMatch>,
        /// What happens on the way.
        pub filters: Vec<HttpRouteFilter>,
        /// Where requests go.
        pub backend_refs: Vec<RouteBackendRef>,
        /// How long it may take.
        pub timeouts: Option<HttpRouteTimeouts>,
        /// When it is tried again.
        pub retry: Option<HttpRouteRetry>,
        /// What keeps a client with its backend.
        pub session_persistence: Option<RouteSessionPersistence>,
    }

    /// Conditions that must all hold.
    pub struct HttpRouteMatch {
        /// On the path; absent means all.
        pub path: Option<HttpPathMatch>,
        /// On headers.
        pub headers: Vec<HttpNamedMatch>,
        /// On query parameters.
        pub query_params: Vec<HttpNamedMatch>,
        /// The method.
        pub method: Option<String>,
    }

    /// A condition on the path.
    pub struct HttpPathMatch {
        /// `PathPrefix` (also when absent), `Exact` or `RegularExpression`.
        #[serde(rename = "type")]
        pub type_: Option<String>,
        /// The path; absent means `/`.
        pub value: Option<String>,
    }

    /// A condition on a header or query parameter.
    pub struct HttpNamedMatch {
        /// `Exact` (also when absent) or `RegularExpression`.
        #[serde(rename = "type")]
        pub type_: Option<String>,
        /// Its name.
        pub name: String,
        /// Its value.
        pub value: String,
    }

    /// What happens to a request on its way; the member that `type` names is there.
    pub struct HttpRouteFilter {
        /// `RequestHeaderModifier`, `ResponseHeaderModifier`, `RequestMirror`, `RequestRedirect`, `URLRewrite`, `CORS`,
        /// `ExternalAuth` or `ExtensionRef`.
        #[serde(rename = "type")]
        pub type_: String,
        /// Edits of the request's headers.
        pub request_header_modifier: Option<HttpHeaderFilter>,
        /// Edits of the response's headers.
        pub response_header_modifier: Option<HttpHeaderFilter>,
        /// Who gets a copy.
        pub request_mirror: Option<HttpRequestMirrorFilter>,
        /// Where the client is sent.
        pub request_redirect: Option<HttpRequestRedirectFilter>,
        /// What the backend sees.
        pub url_rewrite: Option<HttpUrlRewriteFilter>,
        /// Who may read the response in a browser.
        pub cors: Option<HttpCorsFilter>,
        /// Who is asked for leave.
        pub external_auth: Option<HttpExternalAuthFilter>,
        /// A filter of the implementation.
        pub extension_ref: Option<LocalObjectReference>,
    }

    /// Edits of headers.
    pub struct HttpHeaderFilter {
        /// Headers that get this value.
        pub set: Vec<HttpHeader>,
        /// Headers that get one more value.
        pub add: Vec<HttpHeader>,
        /// Headers that are taken away.
        pub remove: Vec<String>,
    }

    /// A header.
    pub struct HttpHeader {
        /// Its name.
        pub name: String,
        /// Its value.
        pub value: String,
    }

    /// Who gets a copy of which part of the requests; absent numbers mean all.
    pub struct HttpRequestMirrorFilter {
        /// Who.
        pub backend_ref: RouteBackendRef,
        /// Of so many percent.
        pub percent: Option<i64>,
        /// Of this part.
        pub fraction: Option<MirrorFraction>,
    }

    /// A part of the requests.
    pub struct MirrorFraction {
        /// So many,
        pub numerator: i64,
        /// of so many; absent means 100.
        pub denominator: Option<i64>,
    }

    /// Where a client is sent; what is absent stays.
    pub struct HttpRequestRedirectFilter {
        /// `http` or `https`.
        pub scheme: Option<String>,
        /// The host.
        pub hostname: Option<String>,
        /// The path.
        pub path: Option<HttpPathModifier>,
        /// The port.
        pub port: Option<i64>,
        /// 301, 302 (also when absent), 303, 307 or 308.
        pub status_code: Option<i64>,
    }

    /// What a backend sees; what is absent stays.
    pub struct HttpUrlRewriteFilter {
        /// The Host header.
        pub hostname: Option<String>,
        /// The path.
        pub path: Option<HttpPathModifier>,
    }

    /// Another path; the member that `type` names is there.
    pub struct HttpPathModifier {
        /// `ReplaceFullPath` or `ReplacePrefixMatch`.
        #[serde(rename = "type")]
        pub type_: String,
        /// The whole path.
        pub replace_full_path: Option<String>,
        /// What takes the place of the matched prefix.
        pub replace_prefix_match: Option<String>,
    }

    /// Who may read the response in a browser.
    pub struct HttpCorsFilter {
        /// Whose scripts: `*`, or origins of which the host may begin with `*.` for any depth.
        pub allow_origins: Vec<String>,
        /// Whether with cookies.
        pub allow_credentials: bool,
        /// With which methods; `*` for all.
        pub allow_methods: Vec<String>,
        /// With which request headers; `*` for all.
        pub allow_headers: Vec<String>,
        /// Which response headers they see.
        pub expose_headers: Vec<String>,
        /// For how many seconds that may be remembered; absent means 5.
        pub max_age: Option<i64>,
    }

    /// Who is asked for leave.
    pub struct HttpExternalAuthFilter {
        /// `HTTP` or `GRPC`.
        pub protocol: String,
        /// Who.
        pub backend_ref: RouteBackendRef,
        /// How, over HTTP.
        pub http: Option<HttpAuthConfig>,
        /// How, over gRPC.
        pub grpc: Option<GrpcAuthConfig>,
        /// How much of the body goes along; absent means nothing.
        pub forward_body: Option<ForwardBodyConfig>,
    }

    /// How a service is asked for leave over HTTP.
    pub struct HttpAuthConfig {
        /// What stands before the path of the request.
        pub path: Option<String>,
        /// Headers of the request that go along, beside those that always do.
        pub allowed_headers: Vec<String>,
        /// Headers of its answer that the backend gets; empty means all.
        pub allowed_response_headers: Vec<String>,
    }

    /// How a service is asked for leave over gRPC (Envoy's `ext_authz`).
    pub struct GrpcAuthConfig {
        /// Headers of the request that go along; empty means all.
        pub allowed_headers: Vec<String>,
    }

    /// How much of a body goes along.
    pub struct ForwardBodyConfig {
        /// So many bytes at most; 0 means nothing.
        pub max_size: i64,
    }

    /// An object in the same namespace.
    pub struct LocalObjectReference {
        /// Its group; empty for the core group.
        pub group: String,
        /// Its kind.
        pub kind: String,
        /// Its name.
        pub name: String,
    }

    /// A backend of a route. Mirrors have no weight, and only backends of HTTP and gRPC have filters.
    pub struct RouteBackendRef {
        /// Its group; absent means the core group.
        pub group: Option<String>,
        /// Its kind; absent means `Service`.
        pub kind: Option<String>,
        /// Its name.
        pub name: String,
        /// Its namespace; absent means that of the route.
        pub namespace: Option<String>,
        /// Its port, which a Service must have.
        pub port: Option<i64>,
        /// Its part of the requests is this over the sum of all; absent means 1.
        pub weight: Option<i64>,
        /// What happens to requests on the way to it.
        pub filters: Vec<HttpRouteFilter>,
    }

    /// How long it may take: durations such as `1h30m`, `500ms`; `0s` means for ever.
    pub struct HttpRouteTimeouts {
        /// The whole.
        pub request: Option<String>,
        /// Each attempt.
        pub backend_request: Option<String>,
    }

    /// When it is tried again.
    pub struct HttpRouteRetry {
        /// After which statuses.
        pub codes: Vec<i64>,
        /// How many times.
        pub attempts: Option<i64>,
        /// How long to wait at least.
        pub backoff: Option<String>,
    }

    /// What keeps a client with its backend.
    pub struct RouteSessionPersistence {
        /// The name of the cookie or header, before `cookie` and `header` had it.
        pub session_name: Option<String>,
        /// `Cookie` (also when absent) or `Header`.
        #[serde(rename = "type")]
        pub type_: Option<String>,
        /// How long a session lives.
        pub absolute_timeout: Option<String>,
        /// How long it lives without requests.
        pub idle_timeout: Option<String>,
        /// The cookie, before `cookie` had it.
        pub cookie_config: Option<SessionCookie>,
        /// The cookie.
        pub cookie: Option<SessionCookie>,
        /// The header.
        pub header: Option<SessionHeader>,
    }

    /// The cookie of a session.
    pub struct SessionCookie {
        /// Its name.
        pub name: Option<String>,
        /// Its path; absent means `/`.
        pub path: Option<String>,
        /// `Session` (also when absent) or `Permanent`.
        pub lifetime_type: Option<String>,
    }

    /// The header of a session.
    pub struct SessionHeader {
        /// Its name.
        pub name: String,
    }

    /// Rules for gRPC requests.
    pub struct GrpcRoute {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The rules.
        pub spec: GrpcRouteSpec,
    }

    /// Rules for gRPC requests.
    pub struct GrpcRouteSpec {
        /// What it attaches to.
        pub parent_refs: Vec<ParentReference>,
        /// The hosts it is for, as of an [`HttpRoute`].
        pub hostnames: Vec<String>,
        /// The rules.
        pub rules: Vec<GrpcRouteRule>,
    }

    /// What is matched, and what then happens.
    pub struct GrpcRouteRule {
        /// A name for others to refer to.
        pub name: Option<String>,
        /// Any of these; empty means every request.
        pub matches: Vec<GrpcRouteMatch>,
        /// What happens on the way: header modifiers, mirrors and extensions.
        pub filters: Vec<HttpRouteFilter>,
        /// Where requests go.
        pub backend_refs: Vec<RouteBackendRef>,
        /// What keeps a client with its backend.
        pub session_persistence: Option<RouteSessionPersistence>,
    }

    /// Conditions that must all hold.
    pub struct GrpcRouteMatch {
        /// On service and method; absent means all.
        pub method: Option<GrpcMethodMatch>,
        /// On headers.
        pub headers: Vec<HttpNamedMatch>,
    }

    /// A condition on service and method.
    pub struct GrpcMethodMatch {
        /// `Exact` (also when absent) or `RegularExpression`.
        #[serde(rename = "type")]
        pub type_: Option<String>,
        /// The service; absent means all.
        pub service: Option<String>,
        /// The method; absent means all.
        pub method: Option<String>,
    }

    /// Where TLS connections go, by their server name.
    pub struct TlsRoute {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The rules.
        pub spec: TlsRouteSpec,
    }

    /// Where TLS connections go.
    pub struct TlsRouteSpec {
        /// What it attaches to.
        pub parent_refs: Vec<ParentReference>,
        /// The server names it is for, as of an [`HttpRoute`].
        pub hostnames: Vec<String>,
        /// The rules; only the first counts.
        pub rules: Vec<StreamRouteRule>,
    }

    /// Where TCP connections go.
    pub struct TcpRoute {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The rules.
        pub spec: StreamRouteSpec,
    }

    /// Where UDP packets go.
    pub struct UdpRoute {
        /// Name, namespace, age.
        pub metadata: ObjectMeta,
        /// The rules.
        pub spec: StreamRouteSpec,
    }

    /// Where connections or packets go.
    pub struct StreamRouteSpec {
        /// What it attaches to.
        pub parent_refs: Vec<ParentReference>,
        /// The rules; only the first counts.
        pub rules: Vec<StreamRouteRule>,
    }

    /// Where connections go, nothing being matched.
    pub struct StreamRouteRule {
        /// A name for others to refer to.
        pub name: Option<String>,
        /// Where they go.
        pub backend_refs: Vec<RouteBackendRef>,
    }
}
