//! What does a rule lead to? The value that both dialects select with their routers.

use svc_model::ObjectRef;

use crate::host::Host;
use crate::regex::Regex;

use super::decision::{ServiceBackend, Unavailable, WeightedBackend};

/// What a matching rule of the router stands for.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The Ingress it comes from; `None` for the controller's own.
    pub(super) route: Option<ObjectRef>,
    /// The index in `spec.rules`; `None` for a default backend.
    pub(super) rule: Option<usize>,
    /// Where requests go.
    pub(super) target: Target,
    /// What ingress-nginx does before they go there.
    pub(super) policy: Policy,
}

/// Where requests of a location go.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// To a Service.
    Service([WeightedBackend; 1]),
    /// To a backend that cannot be served: 503.
    Unavailable(Unavailable),
    /// Nowhere: 404.
    NotFound,
}

impl From<Result<ServiceBackend, Unavailable>> for Target {
    fn from(resolved: Result<ServiceBackend, Unavailable>) -> Self {
        match resolved {
            Ok(backend) => Self::Service([WeightedBackend { backend, weight: 1 }]),
            Err(why) => Self::Unavailable(why),
        }
    }
}

/// A redirect that nginx makes by itself, before any annotation is looked at.
#[derive(Clone, Debug)]
pub(super) enum Detour {
    /// To the same path with a trailing slash.
    TrailingSlash(Box<str>),
    /// To the same path on this host.
    Www(Box<str>),
}

/// What ingress-nginx does in a location before a request goes to its target; the default does nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    /// An annotation that changes the answer in a way that is not modelled.
    pub(super) unmodelled: Option<&'static str>,
    /// The host whose TLS connections never reach the controller's HTTP.
    pub(super) ssl_passthrough: Option<Host>,
    /// Where `app-root` sends requests for `/` of the host.
    pub(super) app_root: Option<Box<str>>,
    /// A redirect instead of all that follows.
    pub(super) detour: Option<Detour>,
    /// An unconditional redirect.
    pub(super) redirect: Option<Redirect>,
    /// When plain HTTP is redirected to HTTPS.
    pub(super) https: HttpsRedirect,
    /// Whether that redirect keeps a trailing slash.
    pub(super) preserve_trailing_slash: bool,
    /// A new path for the backend.
    pub(super) rewrite: Option<Rewrite>,
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
    pub(super) target: Box<str>,
}
