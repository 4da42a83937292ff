//! What does a rule lead to? The value that both dialects select with their routers.

use std::sync::Arc;

use svc_model::ObjectRef;

use crate::action::{Backends, Cors, HeaderEdits, WeightedBackend};
use crate::host::Host;
use crate::regex::Regex;

use super::decision::{Unavailable, Upstream};
use super::nginx::{Access, CanaryRule, Template};

/// What a matching rule of the router stands for.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The Ingress it comes from; `None` for the controller's own.
    pub(super) route: Option<ObjectRef>,
    /// The index in `spec.rules`; `None` for a default backend.
    pub(super) rule: Option<usize>,
    /// Where requests go.
    pub(super) target: Target,
    /// What ingress-nginx does for the whole host.
    pub(super) server: Arc<ServerPolicy>,
    /// What it does before requests go there.
    pub(super) policy: Arc<Policy>,
    /// A redirect that nginx makes by itself, before any annotation of the location is looked at.
    pub(super) detour: Option<Detour>,
    /// A new path for the backend.
    pub(super) rewrite: Option<Box<Rewrite>>,
    /// Certificates are proved below this path, which plain HTTP must reach.
    pub(super) is_challenge: bool,
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
pub(super) enum Target {
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
pub(super) struct Canary {
    /// Its Ingress.
    pub(super) route: ObjectRef,
    pub(super) rule: CanaryRule,
    pub(super) backends: Result<CanaryBackends, Unavailable>,
}

/// Who takes requests, prepared for each way in which a canary decides.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CanaryBackends {
    /// The canary alone.
    pub(super) canary: Backends<Upstream>,
    /// Main backend and canary, by weight.
    pub(super) both: Backends<Upstream>,
}

/// What ingress-nginx does for all locations of a host; the default does nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerPolicy {
    /// Where `app-root` sends requests for `/`.
    pub(super) app_root: Option<Template>,
    /// Who gets the TLS connections that never reach the controller's HTTP.
    pub(super) passthrough: Option<Passthrough>,
}

/// The Service that gets the bytes of TLS connections for a host.
#[derive(Clone, Debug)]
pub(super) struct Passthrough {
    pub(super) host: Host,
    pub(super) route: Option<ObjectRef>,
    pub(super) rule: Option<usize>,
    pub(super) backends: Backends<Upstream>,
}

/// A redirect that nginx makes by itself.
#[derive(Clone, Debug)]
pub(super) enum Detour {
    /// To the same path with a trailing slash.
    TrailingSlash(Box<str>),
    /// To the same path on this host.
    Www(Box<str>),
}

/// What the annotations of an Ingress make of the requests of its locations; the default does nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    /// The annotation for which every request is answered 503.
    pub(super) denied: Option<&'static str>,
    /// An annotation that changes the answer in a way that is not modelled.
    pub(super) unmodelled: Option<&'static str>,
    pub(super) cors: Option<Cors>,
    /// What every response gets.
    pub(super) response_headers: HeaderEdits,
    /// An unconditional redirect.
    pub(super) redirect: Option<Redirect>,
    /// When plain HTTP is redirected to HTTPS.
    pub(super) https: HttpsRedirect,
    /// Whether that redirect keeps a trailing slash.
    pub(super) preserve_trailing_slash: bool,
    /// Who may send requests.
    pub(super) access: Access,
    /// The Host header for the backend.
    pub(super) upstream_vhost: Option<Template>,
    /// The header x-forwarded-prefix for the backend, where the path is rewritten.
    pub(super) forwarded_prefix: Option<Template>,
}

impl Policy {
    /// The same, without those redirects and rewrites that the controller takes from no Ingress for its catch-all.
    pub(super) fn without_redirects(&self) -> Self {
        Self { redirect: None, https: HttpsRedirect::Never, preserve_trailing_slash: false, ..self.clone() }
    }
}

/// An unconditional redirect by annotation.
#[derive(Clone, Debug)]
pub(super) struct Redirect {
    pub(super) annotation: &'static str,
    pub(super) code: u16,
    pub(super) location: Box<str>,
}

/// When a location redirects plain HTTP to HTTPS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HttpsRedirect {
    #[default]
    Never,
    /// When the host has a certificate.
    WithCertificate,
    Always,
}

/// `rewrite-target`: the expression is searched in the path, the target takes the place of the whole path.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    pub(super) search: Regex,
    pub(super) target: Template,
}
