//! Which rule of which virtual host takes a request, and what becomes of it? One route configuration of a proxy.

use std::fmt;
use std::sync::Arc;

use super::destination::Destination;
use super::rule::{CompiledMatch, HttpRule};
use super::server::Server;
use crate::action::{Disposition, RequestUri};
use crate::authority::{Authority, AuthorityError};
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::normalise::{PathError, PathNormalisation};
use crate::outcome::{HttpOutcome, cross_origin};
use crate::question::{HttpQuestion, Scheme};
use crate::request::Request;
use crate::router::{HostChange, Match, Router, RouterBuilder};

/// How Istio's proxies bring a path into the form that is matched and forwarded (`pathNormalization: BASE`, the default).
const NORMALISATION: PathNormalisation = PathNormalisation::Base;

/// The virtual hosts of one listener. The most specific domain that fits a request is the only one asked: if none of its rules takes
/// the request, that is 404.
///
/// A clone shares the rules.
#[derive(Clone, Debug)]
pub struct RouteTable {
    router: Router<Arc<HttpRule>>,
}

/// What a proxy does with a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpDecision<'t> {
    /// What happens.
    pub outcome: Outcome<'t>,
    /// The rule that decided, if any did.
    pub rule: Option<&'t HttpRule>,
    /// Why.
    pub reason: Reason<'t>,
}

/// What happens to a request.
pub type Outcome<'t> = HttpOutcome<'t, Destination>;

/// Why a proxy decides as it does; [`Display`](fmt::Display) tells it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'t> {
    /// The Host header is none.
    BadHost(AuthorityError),
    /// The path cannot be normalised.
    BadPath(PathError),
    /// No server of this port speaks the protocol.
    NoServer(u16, Scheme),
    /// No server of this port is for the server name of the handshake.
    NoServerName(u16),
    /// The server does not end in HTTP.
    NotHttp(&'t Server),
    /// No virtual host is for this host.
    NoVirtualHost,
    /// None of the rules of the virtual host takes the request, and no other is asked.
    NoRule(&'t HostPattern),
    /// The first rule that takes it.
    Rule(Match<'t, Arc<HttpRule>>),
    /// The same, and CORS answers the preflight.
    Preflight(Match<'t, Arc<HttpRule>>),
    /// The same, and its fault aborts every request.
    Aborted(Match<'t, Arc<HttpRule>>),
}

impl<'t> HttpDecision<'t> {
    pub(crate) fn without_rule(outcome: Outcome<'t>, reason: Reason<'t>) -> Self {
        Self { outcome, rule: None, reason }
    }

    pub(crate) fn status(status: u16, reason: Reason<'t>) -> Self {
        Self::without_rule(Outcome::status(status), reason)
    }
}

impl RouteTable {
    /// Virtual hosts: domains, and the rules that they share, in order. A domain that an earlier virtual host has stays that one's.
    /// `seed` is that of the hash functions; no answer depends on it.
    pub fn new(seed: u64, virtual_hosts: impl IntoIterator<Item = (Vec<HostPattern>, Vec<CompiledMatch>)>) -> Self {
        let mut builder = RouterBuilder::new();
        builder.hash_seed(seed);
        for (domains, matches) in virtual_hosts {
            let mut domains =
                domains.into_iter().filter(|domain| !builder.contains(domain)).collect::<Vec<_>>().into_iter();
            let Some(first) = domains.next() else { continue };
            builder.rules(first.clone(), matches.iter().map(CompiledMatch::to_rule));
            for domain in domains {
                builder.alias(domain, first.clone());
            }
        }
        Self { router: builder.build() }
    }

    /// Gives virtual hosts their rules anew; a domain without is removed. Costs those rules, and the square root of the number of domains
    /// for each.
    pub fn update(&mut self, virtual_hosts: impl IntoIterator<Item = (Vec<HostPattern>, Option<Vec<CompiledMatch>>)>) {
        let changes = virtual_hosts.into_iter().flat_map(|(domains, matches)| {
            let mut domains = domains.into_iter();
            let first = domains.next();
            let rules = matches.map(|matches| matches.iter().map(CompiledMatch::to_rule).collect::<Vec<_>>());
            let shared = rules.is_some().then(|| first.clone()).flatten();
            let change = match rules {
                Some(rules) => HostChange::Rules(rules),
                None => HostChange::Gone,
            };
            let others =
                domains.map(move |domain| (domain, shared.clone().map_or(HostChange::Gone, HostChange::SameAs)));
            first.map(|first| (first, change)).into_iter().chain(others).collect::<Vec<_>>()
        });
        self.router.update(changes.collect::<Vec<_>>());
    }

    /// The domains of all virtual hosts, from most to least specific.
    pub fn domains(&self) -> impl ExactSizeIterator<Item = &HostPattern> {
        self.router.hosts()
    }

    /// The domain whose rules are asked for this host, whether or not one of them matches.
    pub fn domain(&self, host: &Host) -> Option<&HostPattern> {
        self.router.host(Some(host))
    }

    /// The rules of exactly this domain, in the order in which they are asked: what a driver renders.
    pub fn rules(&self, domain: &HostPattern) -> impl Iterator<Item = Match<'_, Arc<HttpRule>>> {
        self.router.rules(domain)
    }

    /// The rule for a request. Allocates nothing.
    pub fn find(&self, request: &Request<'_>) -> Option<Match<'_, Arc<HttpRule>>> {
        self.router.find(request)
    }

    /// What happens to this request. Costs a look-up in the router; allocates for a Host of more than 40 bytes, for paths that are not normal,
    /// and for what the answer is made of.
    pub fn decide(&self, question: &HttpQuestion<'_>) -> HttpDecision<'_> {
        let authority = match Authority::parse(question.host) {
            Ok(authority) => authority,
            Err(error) => return HttpDecision::status(400, Reason::BadHost(error)),
        };
        let path = match NORMALISATION.apply(question.path) {
            Ok(path) => path,
            Err(error) => return HttpDecision::status(400, Reason::BadPath(error)),
        };
        match self.find(&request(question, &authority, &path)) {
            Some(found) => follow(found, question, &authority, &path),
            None => match self.router.host(Some(authority.host())) {
                Some(domain) => HttpDecision::status(404, Reason::NoRule(domain)),
                None => HttpDecision::status(404, Reason::NoVirtualHost),
            },
        }
    }

    /// Everything of the virtual host that takes this request, by a plain scan: what [`decide`](Self::decide) chose, then what it was
    /// preferred to. Linear in the rules of the virtual host.
    pub fn candidates(&self, question: &HttpQuestion<'_>) -> Vec<Match<'_, Arc<HttpRule>>> {
        match (Authority::parse(question.host), NORMALISATION.apply(question.path)) {
            (Ok(authority), Ok(path)) => self.router.candidates(&request(question, &authority, &path)).collect(),
            _ => Vec::new(),
        }
    }
}

fn request<'a>(question: &HttpQuestion<'a>, authority: &'a Authority, path: &'a [u8]) -> Request<'a> {
    let mut request = Request::new(Some(authority.host()), path)
        .method(question.method)
        .scheme(question.scheme.as_str())
        .authority(question.host)
        .query(question.query.unwrap_or_default())
        .headers(question.headers);
    request.claims = question.claims;
    request
}

/// What the rule does to the request.
fn follow<'t>(
    found: Match<'t, Arc<HttpRule>>,
    question: &HttpQuestion<'_>,
    authority: &Authority,
    path: &[u8],
) -> HttpDecision<'t> {
    let rule: &'t HttpRule = found.value();
    let decide = |outcome, reason| HttpDecision { outcome, rule: Some(rule), reason };
    let action = &rule.action;
    if let Some((part, status)) = action.fault.and_then(|fault| fault.abort)
        && part.is_all()
    {
        return decide(Outcome::status(status.http()), Reason::Aborted(found));
    }
    // Envoy's filter leaves alone what leads to no cluster: a redirect and a direct response answer preflights as all else.
    let settings = action.cors.as_ref().filter(|_| matches!(action.disposition, Disposition::Forward(_)));
    let (cors, is_answer) = cross_origin(settings, question);
    if is_answer {
        return decide(Outcome::Respond { status: 200, cors }, Reason::Preflight(found));
    }
    let outcome = match &action.disposition {
        Disposition::Redirect(redirect) => {
            let uri = RequestUri {
                scheme: question.scheme.as_str(),
                host: sent_host(question.host),
                host_port: authority.port(),
                port: question.port,
                path: &String::from_utf8_lossy(path),
                query: question.query,
            };
            Outcome::Redirect { code: redirect.code, location: redirect.location(&uri) }
        }
        Disposition::Respond(response) => Outcome::Respond { status: response.status, cors },
        Disposition::Forward(backends) => {
            let only = backends.only();
            let (path, host) = action.rewritten(only, path);
            let path = path.map(|path| String::from_utf8_lossy(&path).into_owned());
            Outcome::Forward { only, path, host, cors }
        }
    };
    decide(outcome, Reason::Rule(found))
}

/// The host of a Host header that could be read, as it was sent: Envoy writes it so into a Location.
fn sent_host(host: &str) -> &str {
    let host = host.trim_matches([' ', '\t']);
    match host.rsplit_once(':') {
        Some((before, after)) if !after.contains(']') => before,
        _ => host,
    }
}

impl fmt::Display for HttpDecision<'_> {
    /// One line: the rule, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = |f: &mut fmt::Formatter<'_>, found: &Match<'_, Arc<HttpRule>>| {
            write!(f, "{} ({found})", found.value().origin)
        };
        match self {
            Self::BadHost(error) => error.fmt(f),
            Self::BadPath(error) => error.fmt(f),
            Self::NoServer(port, scheme) => write!(f, "no server speaks {scheme} on port {port}"),
            Self::NoServerName(port) => {
                write!(f, "no server of port {port} is for this server name, so the handshake is refused")
            }
            Self::NotHttp(server) => write!(f, "{server} hands bytes on, so they go by tcp and tls rules, not by http"),
            Self::NoVirtualHost => f.write_str("no virtual host is for this host"),
            Self::NoRule(domain) => {
                write!(f, "virtual host {domain} has no rule that takes the request, and no other is asked")
            }
            Self::Rule(found) => {
                rule(f, found)?;
                f.write_str(", the first that takes the request")
            }
            Self::Preflight(found) => {
                rule(f, found)?;
                f.write_str(" answers the CORS preflight")
            }
            Self::Aborted(found) => {
                rule(f, found)?;
                f.write_str(" aborts every request on purpose")
            }
        }
    }
}
