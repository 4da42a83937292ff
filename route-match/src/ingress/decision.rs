//! What is asked of a controller, what does it answer, and why?

use std::fmt;
use std::net::IpAddr;

use svc_model::{NamespacedName, ObjectRef};

use crate::authority::AuthorityError;
use crate::host_pattern::HostPattern;
use crate::normalise::PathError;
use crate::path_pattern::PathPattern;
use crate::request::Headers;

/// The scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP in TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request as it reached a controller, nothing in it normalised yet.
///
/// ```
/// use route_match::ingress::{HttpQuestion, Scheme};
///
/// let headers = [("x-canary", "always")];
/// let question = HttpQuestion::new(Scheme::Https, "shop.example", "/cart").method("POST").query("step=2").headers(&headers);
/// assert_eq!((question.port, question.query), (443, Some("step=2")));
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct HttpQuestion<'a> {
    /// The scheme of the connection.
    pub scheme: Scheme,
    /// The port the client connected to.
    pub port: u16,
    /// The Host header, as sent.
    pub host: &'a str,
    /// The path, as sent, without query and fragment ([`RequestTarget`](crate::RequestTarget)).
    pub path: &'a str,
    /// The query without `?`, as sent; `None` when there is no `?`.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The headers.
    pub headers: &'a dyn Headers,
    /// The client's address.
    pub client: Option<IpAddr>,
}

impl<'a> HttpQuestion<'a> {
    /// A GET over a connection to the scheme's usual port, without query and headers.
    pub fn new(scheme: Scheme, host: &'a str, path: &'a str) -> Self {
        const NONE: [(&str, &str); 0] = [];
        let port = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        Self { scheme, port, host, path, query: None, method: "GET", headers: &NONE, client: None }
    }

    /// The same request over a connection to this port.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same request with this query (without `?`).
    pub fn query(self, query: &'a str) -> Self {
        let query = Some(query);
        Self { query, ..self }
    }

    /// The same request with this method.
    pub fn method(self, method: &'a str) -> Self {
        Self { method, ..self }
    }

    /// The same request with these headers.
    pub fn headers(self, headers: &'a dyn Headers) -> Self {
        Self { headers, ..self }
    }

    /// The same request from this address.
    pub fn client(self, client: IpAddr) -> Self {
        let client = Some(client);
        Self { client, ..self }
    }
}

impl fmt::Debug for HttpQuestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpQuestion")
            .field("scheme", &self.scheme)
            .field("port", &self.port)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("method", &self.method)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// A port of a Service. ingress-nginx sends to the ready ones of its endpoints, not to the cluster IP: they are
/// [`svc_model::endpoints::of`] the Service, [`for_port`](svc_model::endpoints::ServiceEndpoints::for_port) that port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceBackend {
    /// The Service.
    pub service: ObjectRef,
    /// The number of its port (not the target port).
    pub port: u16,
}

/// A backend and its part of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WeightedBackend {
    /// The backend.
    pub backend: ServiceBackend,
    /// Its weight; its part is this over the sum of the weights, which is never 0.
    pub weight: u32,
}

impl fmt::Display for ServiceBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.service, self.port)
    }
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
    /// Why.
    pub reason: Reason<'t>,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<'t> {
    /// It goes to a Service.
    #[non_exhaustive]
    Forward {
        /// The Services that share such requests; one, save where a canary takes a part. Never empty.
        backends: &'t [WeightedBackend],
        /// The path that the backend sees, if it is another one.
        rewrite: Option<String>,
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
        /// 400, 404 or 503.
        status: u16,
    },
    /// An annotation that is not modelled yet changes the answer. Nothing is known.
    Unmodelled {
        /// The annotation's key without prefix.
        annotation: &'static str,
    },
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
        if let (Some(path), Cause::Rule | Cause::Unavailable(_) | Cause::Annotation(_) | Cause::Certified) =
            (self.path, &self.cause)
        {
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
        }
    }
}
