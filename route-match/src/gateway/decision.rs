//! What does a Gateway do with this request or connection, and why?

use std::fmt;
use std::sync::Arc;

use super::backend::Backend;
use super::listener::{Listener, ListenerProtocol};
use super::route::RouteRule;
use super::table::GatewayTable;
use crate::action::{Disposition, RequestUri};
use crate::authority::{Authority, AuthorityError};
use crate::host::Host;
use crate::normalise::{PathError, PathNormalisation};
use crate::outcome::{HttpOutcome, cross_origin};
use crate::question::{HttpQuestion, Scheme};
use crate::request::Request;
use crate::router::Match;

use ListenerProtocol::{Http, Https, Tcp, Tls, Udp};

/// What a Gateway does with a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'t> {
    /// What happens.
    pub outcome: Outcome<'t>,
    /// The listener that took the connection, if any did.
    pub listener: Option<&'t Listener>,
    /// The rule that decided, if any did.
    pub rule: Option<&'t RouteRule>,
    /// Why.
    pub reason: Reason<'t>,
}

/// What happens to a request.
pub type Outcome<'t> = HttpOutcome<'t, Backend>;

/// Why a Gateway decides as it does; [`Display`](fmt::Display) tells it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'t> {
    /// The Host header is none.
    BadHost(AuthorityError),
    /// The path cannot be normalised.
    BadPath(PathError),
    /// No listener of this port speaks the protocol.
    NoListener(u16, Scheme),
    /// None of those that do is for this host.
    NoListenerHost(u16),
    /// No listener is for the server name of the handshake.
    NoServerName(u16),
    /// The connection belongs to another listener than the host.
    Misdirected(&'t Listener),
    /// The listener does not end in HTTP.
    NotHttp(&'t Listener),
    /// No match of a route attached to the listener takes the request.
    NoRule,
    /// The best match takes it.
    Rule(Match<'t, Arc<RouteRule>>),
    /// The same, and CORS answers the preflight.
    Preflight(Match<'t, Arc<RouteRule>>),
    /// The same, but a filter cannot be applied.
    Fault(Match<'t, Arc<RouteRule>>, &'t str),
    /// The same, but no backend can take the request.
    NoBackend(Match<'t, Arc<RouteRule>>),
}

/// What a Gateway does with a TLS, TCP or UDP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamDecision<'t> {
    /// The listener that took it, if any did.
    pub listener: Option<&'t Listener>,
    /// The rule of the route that it goes by; `None` for HTTPS, whose requests are asked about one by one, and where no route is.
    pub rule: Option<&'t RouteRule>,
}

impl<'t> StreamDecision<'t> {
    /// The backends that can be served, with their parts. What is missing to 1 is refused.
    pub fn backends(&self) -> impl Iterator<Item = (&'t Backend, f64)> {
        let backends = self.rule.and_then(|rule| rule.action.backends());
        let shares = backends.into_iter().flat_map(|backends| backends.shares());
        shares.filter(|(entry, _)| is_valid(&entry.backend)).map(|(entry, p)| (&entry.backend, p))
    }
}

/// Whether a connection could be given to a backend. Whether endpoints are ready is only seen when one is dialled.
fn is_valid(backend: &Backend) -> bool {
    match backend {
        Backend::Service(_) | Backend::Import(..) => true,
        Backend::Unavailable(why) => !why.is_invalid_reference(),
    }
}

impl GatewayTable {
    /// What happens to this request. Over HTTPS, `server_name` is that of the connection's handshake; it is not looked at over HTTP.
    ///
    /// Costs a look-up of the listener and one in its router; allocates for a Host of more than 40 bytes, for paths that are not normal,
    /// and for what the answer is made of.
    pub fn decide(&self, question: &HttpQuestion<'_>, server_name: Option<&Host>) -> Decision<'_> {
        let answer =
            |status, listener, reason| Decision { outcome: Outcome::status(status), listener, rule: None, reason };
        let port = question.port;
        let connection = match self.connection(question, server_name) {
            Ok(connection) => connection,
            Err(reason) => {
                return Decision { outcome: Outcome::NoHttp, listener: None, rule: None, reason };
            }
        };
        let listener = connection.map(|(_, listener)| listener);
        let authority = match Authority::parse(question.host) {
            Ok(authority) => authority,
            Err(error) => return answer(400, listener, Reason::BadHost(error)),
        };
        let protocol = protocol_of(question.scheme);
        let Some((at, own)) = self.choose(port, &[protocol], Some(authority.host())) else {
            let reason = match self.listens(port, &[protocol]) {
                true => Reason::NoListenerHost(port),
                false => Reason::NoListener(port, question.scheme),
            };
            return answer(404, listener, reason);
        };
        if connection.is_some_and(|(connected, _)| connected != at) {
            return answer(421, listener, Reason::Misdirected(own));
        }
        let path = match NORMALISATION.apply(question.path) {
            Ok(path) => path,
            Err(error) => return answer(400, Some(own), Reason::BadPath(error)),
        };
        let request = request(question, &authority, &path);
        match self.router(at).find(&request) {
            None => answer(404, Some(own), Reason::NoRule),
            Some(found) => {
                let (outcome, reason) = follow(found, question, authority.host(), own.port, &path);
                Decision { outcome, listener: Some(own), rule: Some(found.value()), reason }
            }
        }
    }

    /// Everything that takes this request, the best first: what [`decide`](Self::decide) chose, then what it was preferred to. Empty for a
    /// request that reaches no listener. Linear in the rules of the hosts concerned.
    pub fn candidates(&self, question: &HttpQuestion<'_>) -> Vec<Match<'_, Arc<RouteRule>>> {
        let (Ok(authority), Ok(path)) = (Authority::parse(question.host), NORMALISATION.apply(question.path)) else {
            return Vec::new();
        };
        let own = self.choose(question.port, &[protocol_of(question.scheme)], Some(authority.host()));
        let request = request(question, &authority, &path);
        own.map(|(at, _)| self.router(at).candidates(&request).collect()).unwrap_or_default()
    }

    /// What happens to a TLS connection with this server name (`None`: without a usable one). An HTTPS listener has no rule here:
    /// its requests are asked about one by one.
    pub fn decide_tls(&self, port: u16, server_name: Option<&Host>) -> StreamDecision<'_> {
        match self.choose(port, &[Https, Tls], server_name) {
            Some((at, listener)) if listener.protocol == Tls => {
                let found = self.router(at).find(&Request::new(server_name, "/"));
                StreamDecision { listener: Some(listener), rule: found.map(|found| &**found.value()) }
            }
            other => StreamDecision { listener: other.map(|(_, listener)| listener), rule: None },
        }
    }

    /// Where a TCP connection to this port goes.
    pub fn decide_tcp(&self, port: u16) -> StreamDecision<'_> {
        self.decide_stream(port, Tcp)
    }

    /// Where UDP packets to this port go.
    pub fn decide_udp(&self, port: u16) -> StreamDecision<'_> {
        self.decide_stream(port, Udp)
    }

    /// The status of a request for `authority` on a TLS connection that was made with `server_name`: 404 if no HTTPS listener is for it, 421
    /// if another one is than the connection's own, `None` if routing decides. On other ports, and for listeners that do not end in HTTP,
    /// there is nothing to say.
    pub fn misdirected(&self, port: u16, server_name: Option<&Host>, authority: &Host) -> Option<u16> {
        let (connected, listener) = self.choose(port, &[Https, Tls], server_name)?;
        if listener.protocol != Https {
            return None;
        }
        match self.choose(port, &[Https], Some(authority)) {
            None => Some(404),
            Some((own, _)) => (own != connected).then_some(421),
        }
    }

    fn decide_stream(&self, port: u16, protocol: ListenerProtocol) -> StreamDecision<'_> {
        let Some((at, listener)) = self.choose(port, &[protocol], None) else {
            return StreamDecision { listener: None, rule: None };
        };
        let found = self.router(at).find(&Request::new(None, "/"));
        StreamDecision { listener: Some(listener), rule: found.map(|found| &**found.value()) }
    }

    /// The listener that the handshake chose; `None` over plain HTTP.
    fn connection(
        &self,
        question: &HttpQuestion<'_>,
        server_name: Option<&Host>,
    ) -> Result<Option<(usize, &Listener)>, Reason<'_>> {
        if question.scheme == Scheme::Http {
            return Ok(None);
        }
        match self.choose(question.port, &[Https, Tls], server_name) {
            None if self.listens(question.port, &[Https, Tls]) => Err(Reason::NoServerName(question.port)),
            None => Err(Reason::NoListener(question.port, question.scheme)),
            Some((_, listener)) if listener.protocol != Https => Err(Reason::NotHttp(listener)),
            chosen => Ok(chosen),
        }
    }
}

/// Paths are matched as received, save dot segments: where a Gateway leads must not depend on who resolves them (CVE-2019-9901).
const NORMALISATION: PathNormalisation = PathNormalisation::DotSegments;

fn protocol_of(scheme: Scheme) -> ListenerProtocol {
    match scheme {
        Scheme::Http => Http,
        Scheme::Https => Https,
    }
}

fn request<'a>(question: &HttpQuestion<'a>, authority: &'a Authority, path: &'a [u8]) -> Request<'a> {
    Request::new(Some(authority.host()), path)
        .method(question.method)
        .query(question.query.unwrap_or_default())
        .headers(question.headers)
}

/// What the rule does to the request.
fn follow<'t>(
    found: Match<'t, Arc<RouteRule>>,
    question: &HttpQuestion<'_>,
    host: &Host,
    port: u16,
    path: &[u8],
) -> (Outcome<'t>, Reason<'t>) {
    let rule = found.value();
    let action = &rule.action;
    if let Some(fault) = &rule.fault {
        return (Outcome::status(500), Reason::Fault(found, fault));
    }
    let (cors, is_answer) = cross_origin(action.cors.as_ref(), question);
    if is_answer {
        return (Outcome::Respond { status: 204, cors }, Reason::Preflight(found));
    }
    match &action.disposition {
        Disposition::Redirect(redirect) => {
            let normal = String::from_utf8_lossy(path);
            let path = if redirect.rewrites_path() { &*normal } else { question.path };
            let path = if path.is_empty() { "/" } else { path };
            let uri = RequestUri {
                scheme: question.scheme.as_str(),
                host: host.as_str(),
                host_port: None,
                port,
                path,
                query: question.query,
            };
            (Outcome::Redirect { code: redirect.code, location: redirect.location(&uri) }, Reason::Rule(found))
        }
        Disposition::Respond(response) => (Outcome::Respond { status: response.status, cors }, Reason::Rule(found)),
        Disposition::Forward(backends) => {
            if let Some(status) = rule.failure() {
                return (Outcome::Respond { status, cors }, Reason::NoBackend(found));
            }
            let only = backends.only();
            let (path, host) = action.rewritten(only, path);
            let path =
                path.map(|path| String::from_utf8_lossy(&path).into_owned()).filter(|path| *path != question.path);
            (Outcome::Forward { only, path, host, cors }, Reason::Rule(found))
        }
    }
}

impl fmt::Display for Decision<'_> {
    /// One line: the listener, the rule, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(listener) = self.listener {
            write!(f, "{listener}, ")?;
        }
        self.reason.fmt(f)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = |f: &mut fmt::Formatter<'_>, found: &Match<'_, Arc<RouteRule>>| {
            write!(f, "{} rule {} ({found})", found.value().route, found.value().rule)
        };
        match self {
            Self::BadHost(error) => error.fmt(f),
            Self::BadPath(error) => error.fmt(f),
            Self::NoListener(port, scheme) => write!(f, "no listener speaks {scheme} on port {port}"),
            Self::NoListenerHost(port) => write!(f, "no listener of port {port} is for this host"),
            Self::NoServerName(port) => {
                write!(f, "no listener of port {port} is for this server name, so the handshake is refused")
            }
            Self::Misdirected(own) => {
                write!(f, "the handshake chose this listener, but the host belongs to {own} ({})", own.hosts)
            }
            Self::NotHttp(listener) => {
                write!(f, "{listener} speaks {}, so its bytes go by a TLSRoute and not by HTTP", listener.protocol)
            }
            Self::NoRule => f.write_str("no match of an attached route takes the request"),
            Self::Rule(found) => {
                rule(f, found)?;
                f.write_str(", the most specific match")
            }
            Self::Preflight(found) => {
                rule(f, found)?;
                f.write_str(" answers the CORS preflight")
            }
            Self::Fault(found, why) => {
                rule(f, found)?;
                write!(f, " cannot be applied: {why}")
            }
            Self::NoBackend(found) => {
                rule(f, found)?;
                let backends = found.value().action.backends();
                let shares = backends.into_iter().flat_map(|backends| backends.shares());
                let mut whys = shares.map(|(entry, _)| &entry.backend).peekable();
                if whys.peek().is_none() {
                    return f.write_str(" has no backend");
                }
                whys.enumerate().try_for_each(|(i, why)| write!(f, "{}{why}", if i == 0 { ": " } else { "; " }))
            }
        }
    }
}

impl fmt::Display for StreamDecision<'_> {
    /// One line: the listener and the route.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.listener, self.rule) {
            (None, _) => f.write_str("no listener takes the connection"),
            (Some(listener), Some(rule)) => write!(f, "{listener}, {}", rule.route),
            (Some(listener), None) => write!(f, "{listener}, no route is attached for it"),
        }
    }
}
