//! What does a rule lead to? The value that both dialects select with their routers, open to those who write it down for another
//! proxy ([`IngressController::locations`](super::IngressController::locations)).

use std::sync::Arc;

use svc_model::ObjectRef;

use crate::action::{Backends, Cors, HeaderEdits, WeightedBackend};
use crate::host::Host;
use crate::regex::Regex;

use super::decision::{Unavailable, Upstream};
use super::nginx::{Access, CanaryRule, Template};

/// What a matching rule of the router stands for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Location {
    /// The Ingress it comes from; `None` for the controller's own.
    pub route: Option<ObjectRef>,
    /// The index in `spec.rules`; `None` for a default backend.
    pub rule: Option<usize>,
    /// Where requests go.
    pub target: Target,
    /// What ingress-nginx does for the whole host.
    pub server: Arc<ServerPolicy>,
    /// What it does before requests go there.
    pub policy: Arc<Policy>,
    /// A redirect that nginx makes by itself, before any annotation of the location is looked at.
    pub detour: Option<Detour>,
    /// A new path for the backend.
    pub rewrite: Option<Box<Rewrite>>,
    /// Certificates are proved below this path, which plain HTTP must reach.
    pub is_challenge: bool,
}

impl Location {
    /// One without policies.
    pub(super) fn plain(route: Option<ObjectRef>, rule: Option<usize>, target: Target) -> Self {
        Self {
            route,
            rule,
            target,
            server: Arc::default(),
            policy: Arc::default(),
            detour: None,
            rewrite: None,
            is_challenge: false,
        }
    }
}

/// Where requests of a location go.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// To a Service, or a part of them to a canary.
    Service(Backends<Upstream>, Option<Box<Canary>>),
    /// To a backend that cannot be served: 503.
    Unavailable(Unavailable),
    /// Nowhere: 404.
    NotFound,
}

impl From<Result<Upstream, Unavailable>> for Target {
    fn from(resolved: Result<Upstream, Unavailable>) -> Self {
        match resolved {
            Ok(upstream) => Self::Service(Backends::new([WeightedBackend::new(1, upstream)]), None),
            Err(why) => Self::Unavailable(why),
        }
    }
}

/// The canary of a location.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Canary {
    /// Its Ingress.
    pub route: ObjectRef,
    /// Which requests are its.
    pub rule: CanaryRule,
    /// Who takes requests then, or why it can take none.
    pub backends: Result<CanaryBackends, Unavailable>,
}

/// Who takes requests, prepared for each way in which a canary decides.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CanaryBackends {
    /// The canary alone.
    pub canary: Backends<Upstream>,
    /// Main backend and canary, by weight.
    pub both: Backends<Upstream>,
}

/// What ingress-nginx does for all locations of a host; the default does nothing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServerPolicy {
    /// Where `app-root` sends requests for `/`.
    pub app_root: Option<Template>,
    /// Who gets the TLS connections that never reach the controller's HTTP.
    pub passthrough: Option<Passthrough>,
}

/// The Service that gets the bytes of TLS connections for a host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Passthrough {
    /// The very host.
    pub host: Host,
    /// The Ingress that names the Service.
    pub route: Option<ObjectRef>,
    /// The index of the rule in its `spec.rules`.
    pub rule: Option<usize>,
    /// The Service.
    pub backends: Backends<Upstream>,
}

/// A redirect that nginx makes by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Detour {
    /// To the same path with a trailing slash.
    TrailingSlash(Box<str>),
    /// To the same path on this host.
    Www(Box<str>),
}

/// What the annotations of an Ingress make of the requests of its locations; the default does nothing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Policy {
    /// The annotation for which every request is answered 503.
    pub denied: Option<&'static str>,
    /// An annotation that changes the answer in a way that is not modelled.
    pub unmodelled: Option<&'static str>,
    /// Who may read responses in a browser.
    pub cors: Option<Cors>,
    /// What every response gets.
    pub response_headers: HeaderEdits,
    /// An unconditional redirect.
    pub redirect: Option<Redirect>,
    /// When plain HTTP is redirected to HTTPS.
    pub https: HttpsRedirect,
    /// Whether that redirect keeps a trailing slash.
    pub preserve_trailing_slash: bool,
    /// Who may send requests.
    pub access: Access,
    /// The Host header for the backend.
    pub upstream_vhost: Option<Template>,
    /// The header x-forwarded-prefix for the backend, where the path is rewritten.
    pub forwarded_prefix: Option<Template>,
}

impl Policy {
    /// The same, without those redirects and rewrites that the controller takes from no Ingress for its catch-all.
    pub(super) fn without_redirects(&self) -> Self {
        Self { redirect: None, https: HttpsRedirect::Never, preserve_trailing_slash: false, ..self.clone() }
    }
}

/// An unconditional redirect by annotation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redirect {
    /// The annotation, without prefix.
    pub annotation: &'static str,
    /// The status, 300..=308.
    pub code: u16,
    /// The whole value of the Location header.
    pub location: Box<str>,
}

/// When a location redirects plain HTTP to HTTPS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpsRedirect {
    /// Never.
    #[default]
    Never,
    /// When the host has a certificate.
    WithCertificate,
    /// Always.
    Always,
}

/// `rewrite-target`: the expression is searched in the path, the target takes the place of the whole path.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rewrite {
    /// What is searched.
    pub search: Regex,
    /// What takes the place of the whole path; with a scheme, a redirect.
    pub target: Template,
}
