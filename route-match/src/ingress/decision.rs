//! What does a controller answer, and why?

use std::borrow::Cow;
use std::fmt;

use svc_model::{NamespacedName, ObjectRef};

use crate::action::{Backends, HeaderEdits};
use crate::authority::AuthorityError;
use crate::host_pattern::HostPattern;
use crate::normalise::PathError;
use crate::path_pattern::PathPattern;

use super::nginx::{Balancing, CanaryCause};
use crate::service_backend::ServiceBackend;

/// Where a controller sends requests: a Service port, and how an endpoint of it is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Upstream {
    /// The Service port.
    pub backend: ServiceBackend,
    /// How its endpoint is chosen; the plain dialect leaves that to the proxy.
    pub balancing: Balancing,
}

/// What a controller does with a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'t> {
    /// What happens.
    pub outcome: Outcome<'t>,
    /// The Ingress whose rule or default backend decided; `None` when no Ingress had a part in it.
    pub route: Option<&'t ObjectRef>,
    /// The index of the rule in its `spec.rules`; `None` for a default backend.
    pub rule: Option<usize>,
    /// What is done to the headers of the response, whoever gives it.
    pub response_headers: Cow<'t, HeaderEdits>,
    /// Why.
    pub reason: Reason<'t>,
}

impl<'t> Decision<'t> {
    pub(super) fn new(
        outcome: Outcome<'t>,
        route: Option<&'t ObjectRef>,
        rule: Option<usize>,
        reason: Reason<'t>,
    ) -> Self {
        Self { outcome, route, rule, response_headers: Cow::Owned(HeaderEdits::new()), reason }
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<'t> {
    /// It goes to a Service.
    #[non_exhaustive]
    Forward {
        /// The Services that share such requests; one, save where a canary takes a part. Their weights are not all 0.
        backends: &'t Backends<Upstream>,
        /// What is done to it on its way.
        request: ForwardedRequest,
    },
    /// The controller redirects it.
    Redirect {
        /// The status, 300..=308.
        code: u16,
        /// The whole value of the Location header.
        location: String,
    },
    /// The controller answers itself.
    Respond {
        /// 204 (a CORS preflight), 400, 403, 404 or 503.
        status: u16,
    },
    /// An access list decides, and the question does not say who the client is.
    NeedsClient {
        /// The annotation's key without prefix.
        annotation: &'static str,
    },
    /// An annotation changes the answer in a way that is not modelled. Nothing is known.
    Unmodelled {
        /// The annotation's key without prefix.
        annotation: &'static str,
    },
}

/// What is done to a request before a backend sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardedRequest {
    /// Another path, as it is sent; the query is kept.
    pub path: Option<String>,
    /// Another Host header.
    pub host: Option<String>,
    /// Edits of other headers.
    pub headers: HeaderEdits,
}

/// Why a controller decides as it does; [`Display`](fmt::Display) tells it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason<'t> {
    /// The host pattern whose rules were asked, if any.
    pub host: Option<&'t HostPattern>,
    /// The path pattern that won, if any.
    pub path: Option<&'t PathPattern>,
    /// What settled the matter.
    pub cause: Cause<'t>,
    /// The canary that might have taken the request, if there is one.
    pub canary: Option<CanaryReason<'t>>,
}

/// What a canary had to do with a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CanaryReason<'t> {
    /// The canary's Ingress.
    pub route: &'t ObjectRef,
    /// What decided between main backend and canary.
    pub cause: CanaryCause,
    /// The canary's weight, and of how much.
    pub weight: (u32, u32),
    /// Why the canary cannot take its requests, so that all stay with the main backend.
    pub unavailable: Option<&'t Unavailable>,
}

/// What settled the matter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause<'t> {
    /// The Host header is none.
    BadHost(AuthorityError),
    /// The path cannot be normalised.
    BadPath(PathError),
    /// No rule takes the request, and there is no default backend.
    NoRule,
    /// A path of a rule takes it.
    Rule,
    /// No path takes it, a default backend of an Ingress does.
    DefaultBackend,
    /// No path takes it, the controller's own default backend does.
    ControllerDefault,
    /// A rule or default backend takes it, but has nowhere to send it.
    Unavailable(&'t Unavailable),
    /// An annotation of the Ingress answers it.
    Annotation(&'static str),
    /// An annotation of the Ingress is malformed or forbidden, for which nginx answers 503 to every request.
    Denied(&'static str),
    /// It asks, as CORS has it, whether a request from another origin would be taken.
    Preflight,
    /// The client's address is kept out by an access list.
    Refused(&'static str),
    /// TLS connections for the host are passed on undecrypted.
    Passthrough,
    /// The host has a certificate, so that plain HTTP is redirected; no annotation asks for it.
    Certified,
    /// The path lacks the trailing slash of a location (nginx redirects it).
    TrailingSlash,
    /// The host is a www twin, made by `from-to-www-redirect`.
    WwwTwin,
}

/// Why a backend cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// There is no such Service.
    NoService(NamespacedName),
    /// The Service has no such port.
    NoPort(NamespacedName, Box<str>),
    /// No endpoint of the port is ready.
    NoEndpoints(ServiceBackend),
    /// The external name of the Service would lead the controller back to itself.
    Loopback(NamespacedName),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService(service) => write!(f, "Service/{service} does not exist"),
            Self::NoPort(service, port) => write!(f, "Service/{service} has no port {port}"),
            Self::Loopback(service) => write!(f, "the external name of Service/{service} is a loopback name"),
            Self::NoEndpoints(backend) => write!(f, "{backend} has no ready endpoint"),
        }
    }
}

impl fmt::Display for Decision<'_> {
    /// One line: who decided, by which pattern, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(route) = self.route {
            write!(f, "{route}")?;
            if let Some(rule) = self.rule {
                write!(f, " rule {rule}")?;
            }
            f.write_str(": ")?;
        }
        self.reason.fmt(f)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            None => {}
            // Those of the catch-all do not name a host of the rules.
            Some(HostPattern::Any) if matches!(self.cause, Cause::NoRule | Cause::ControllerDefault) => {
                f.write_str("no rule names this host, ")?;
            }
            Some(host) => write!(f, "host {host}, ")?,
        }
        let of_path = matches!(
            self.cause,
            Cause::Rule
                | Cause::Unavailable(_)
                | Cause::Annotation(_)
                | Cause::Certified
                | Cause::Denied(_)
                | Cause::Preflight
                | Cause::Refused(_)
        );
        if let Some(path) = self.path.filter(|_| of_path) {
            write!(f, "path {path}, ")?;
        }
        match &self.cause {
            Cause::BadHost(error) => error.fmt(f),
            Cause::BadPath(error) => error.fmt(f),
            Cause::NoRule => f.write_str("no path of this host matches, and there is no default backend"),
            Cause::Rule => f.write_str("the most specific rule that matches"),
            Cause::DefaultBackend => f.write_str("no path matches, so the default backend takes it"),
            Cause::ControllerDefault => f.write_str("no path matches, so the controller's default backend takes it"),
            Cause::Unavailable(why) => why.fmt(f),
            Cause::Annotation(key) => write!(f, "annotation {key}"),
            Cause::Certified => f.write_str(
                "the host has a certificate, so plain HTTP is redirected (ssl-redirect is on unless an annotation turns it off)",
            ),
            Cause::TrailingSlash => f.write_str("a location has this path with a trailing slash"),
            Cause::WwwTwin => f.write_str("annotation from-to-www-redirect of the other host"),
            Cause::Denied(key) => {
                write!(f, "annotation {key} is malformed or names what it may not, so every request is refused")
            }
            Cause::Preflight => f.write_str("a CORS preflight, which the controller answers itself (enable-cors)"),
            Cause::Refused(key) => write!(f, "annotation {key} keeps the client's address out"),
            Cause::Passthrough => {
                f.write_str("TLS is passed on undecrypted to the Service of its path / (ssl-passthrough)")
            }
        }?;
        match &self.canary {
            Some(canary) => write!(f, "; {canary}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for CanaryReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "canary {}: ", self.route)?;
        match (self.unavailable, self.cause) {
            (Some(why), _) => write!(f, "{why}, so all stay with the main backend"),
            (None, CanaryCause::Header) => f.write_str("its header decides"),
            (None, CanaryCause::Cookie) => f.write_str("its cookie decides"),
            (None, CanaryCause::Weight) => write!(f, "its weight decides, {} of {}", self.weight.0, self.weight.1),
        }
    }
}
