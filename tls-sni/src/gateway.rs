//! Which certificate does a Gateway serve, or where does it pass the connection on?
//!
//! Listeners, attachment and grants are those of [`route_match::gateway`]; here the certificates are added.
//!
//! 1. The listener of that port, HTTPS or TLS, with the most specific hostname that fits the server name is the only one asked; a
//!    connection without a usable name reaches only a listener without hostname.
//! 2. Its certificates are the pairs of the Secrets it may use and that can be read, chosen among as by [`Rank`](crate::Rank). One of them
//!    is enough, and need not cover the name. With none, every connection of the listener is refused: to fall through to a less
//!    specific one would serve the wrong site.
//! 3. On a TLS listener the TLSRoute of the most specific hostname decides the backends, then the older. No route, or only invalid
//!    backends: refused.
//!
//! ```
//! use std::sync::Arc;
//!
//! use route_match::gateway::GatewayTable;
//! use svc_model::api::{Gateway, Listener};
//! use svc_model::{Cluster, NamespacedName};
//! use tls_sni::gateway::GatewayTls;
//! use tls_sni::{Mode, Sni, TlsQuestion};
//!
//! let mut gateway = Gateway::default();
//! gateway.metadata.name = "edge".into();
//! gateway.spec.listeners = vec![Listener { name: "web".into(), port: 443, protocol: "HTTPS".into(), ..Default::default() }];
//! let mut cluster = Cluster::new();
//! cluster.apply(gateway);
//!
//! let table = Arc::new(GatewayTable::compile(&cluster, &NamespacedName::new("default", "edge"))?);
//! let certificates = GatewayTls::new(&cluster, table);
//! let question = TlsQuestion::new(Sni::new(Some(b"shop.example")));
//! let decision = certificates.decide(&question, 0);
//! assert_eq!(decision.mode, Mode::Reject);
//! assert_eq!(decision.reason.code(), "no-certificate");
//! # Ok::<(), route_match::gateway::UnknownGateway>(())
//! ```

use crate::choice::Alert;
use crate::decision::{Backend, CertificateRef, TlsDecision, TlsQuestion, TlsReason};
use crate::facts::CertificateFacts;
use crate::secret::{self, SecretError};
use crate::served::Served;
use core::fmt;
use route_match::Host;
use route_match::gateway::{self, GatewayTable, Listener, ListenerProtocol};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::Vec;
use svc_model::api::Secret;
use svc_model::{Cluster, ObjectRef};

/// What a Gateway picks from a client's protocols where it ends HTTPS, the best first.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// The certificates of one Gateway, beside its compiled table.
#[derive(Clone, Debug)]
pub struct GatewayTls {
    table: Arc<GatewayTable>,
    /// For each listener of the table, what its Secrets hold.
    listeners: Vec<Vec<ListenerSecret>>,
    /// The backends of each TLSRoute that can be served, with their parts.
    routes: BTreeMap<ObjectRef, Box<[Backend]>>,
}

/// A Secret of a listener.
#[derive(Clone, Debug)]
struct ListenerSecret {
    reference: ObjectRef,
    pair: Result<CertificateFacts, SecretError>,
}

impl GatewayTls {
    /// Reads the Secrets of a Gateway's listeners; each as often as listeners name it.
    pub fn new(cluster: &Cluster, table: Arc<GatewayTable>) -> GatewayTls {
        let load = |reference: &ObjectRef| {
            let secret = cluster.get::<Secret>(&reference.namespace, &reference.name)?;
            let pair = secret::load(secret).map(|pair| pair.facts);
            Some(ListenerSecret { reference: reference.clone(), pair })
        };
        let listeners =
            table.listeners().iter().map(|listener| listener.secrets().filter_map(load).collect()).collect();
        let tls = table.listeners().iter().enumerate().filter(|(_, l)| l.protocol == ListenerProtocol::Tls);
        let hosts = tls.flat_map(|(at, _)| table.hosts(at).map(move |host| (at, host)));
        let rules = hosts.flat_map(|(at, host)| table.rules(at, host)).map(|found| &**found.value());
        let routes = rules.map(|rule| (rule.route.clone(), backends(rule))).collect();
        GatewayTls { listeners, routes, table }
    }

    /// The Gateway's table.
    pub fn table(&self) -> &Arc<GatewayTable> {
        &self.table
    }

    /// The Secrets that a listener's certificates can be taken from, in its order; `listener` is an index into
    /// [`GatewayTable::listeners`]. With none, a listener that ends TLS refuses every connection.
    pub fn usable_secrets(&self, listener: usize) -> impl Iterator<Item = &ObjectRef> {
        let secrets = self.listeners.get(listener).into_iter().flatten();
        secrets.filter(|secret| secret.pair.is_ok()).map(|secret| &secret.reference)
    }

    /// What happens to a connection; `now` counts seconds since 1970-01-01T00:00:00Z. Allocates once for a server name.
    pub fn decide<'a>(&'a self, question: &'a TlsQuestion<'_>, now: i64) -> TlsDecision<'a> {
        let host = host_of(question);
        let chosen = self.table.decide_tls(question.port, host.as_ref());
        let reason = |outcome| TlsReason::Gateway(Reason { port: question.port, listener: chosen.listener, outcome });
        let refuse = |alert, outcome| {
            let listener = chosen.listener.map(|listener| &*listener.name);
            TlsDecision { listener, ..TlsDecision::reject(alert, reason(outcome)) }
        };
        let Some(listener) = chosen.listener else {
            return refuse(Alert::UnrecognizedName, Outcome::NoListener);
        };
        let route = chosen.rule.map(|rule| &rule.route);
        let backends = match (listener.protocol, route) {
            (ListenerProtocol::Tls, None) => return refuse(Alert::UnrecognizedName, Outcome::NoRoute),
            (ListenerProtocol::Tls, Some(route)) => match self.routes.get(route) {
                Some(backends) if !backends.is_empty() => &**backends,
                _ => return refuse(Alert::UnrecognizedName, Outcome::NoBackend(route)),
            },
            _ => &[],
        };
        let of_listener =
            |decision: TlsDecision<'a>| TlsDecision { listener: Some(&listener.name), route, backends, ..decision };
        if listener.is_passthrough() {
            return of_listener(TlsDecision::pass_through(backends, reason(Outcome::Passthrough)));
        }
        let at = self.table.listeners().iter().position(|other| core::ptr::eq(other, listener));
        let secrets = at.and_then(|at| self.listeners.get(at)).map(Vec::as_slice).unwrap_or_default();
        let pairs = secrets.iter().map(|secret| secret.pair.as_ref().ok());
        let (served, at) = Served::choose(pairs, question, now);
        let outcome = Outcome::Served(served, secrets);
        match at {
            Some(at) => {
                let certificate = CertificateRef::Secret(&secrets[at].reference);
                let alpn = match listener.protocol {
                    ListenerProtocol::Https => question.alpn.pick(&PROTOCOLS),
                    _ => None,
                };
                of_listener(TlsDecision::terminate(certificate, alpn, reason(outcome)))
            }
            None => refuse(Alert::HandshakeFailure, outcome),
        }
    }

    /// The status of a request for `authority` on a connection that was made so: 404 if no HTTPS listener is for it, 421 if another one
    /// is than the connection's own, `None` if routing decides (RFC 9113, 9.1.1).
    pub fn misdirected(&self, question: &TlsQuestion<'_>, authority: &Host) -> Option<u16> {
        self.table.misdirected(question.port, host_of(question).as_ref(), authority)
    }
}

/// The server name in the form in which routes know hosts; both readings follow one rule.
fn host_of(question: &TlsQuestion<'_>) -> Option<Host> {
    question.sni.name()?.as_str().parse().ok()
}

/// The backends of a rule that can be served, with their parts.
fn backends(rule: &gateway::RouteRule) -> Box<[Backend]> {
    let shares = rule.action.backends().into_iter().flat_map(|backends| backends.shares());
    let served = shares.filter_map(|(entry, p)| match &entry.backend {
        gateway::Backend::Unavailable(why) if why.is_invalid_reference() => None,
        backend => {
            let service = backend.service()?;
            Some(Backend { service: service.service.clone(), port: service.port, p })
        }
    });
    served.collect()
}

/// Why a Gateway answers a handshake as it does.
#[derive(Clone, Copy)]
pub struct Reason<'a> {
    port: u16,
    listener: Option<&'a Listener>,
    outcome: Outcome<'a>,
}

#[derive(Clone, Copy)]
enum Outcome<'a> {
    NoListener,
    NoRoute,
    NoBackend(&'a ObjectRef),
    Passthrough,
    Served(Served, &'a [ListenerSecret]),
}

impl Reason<'_> {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self.outcome {
            Outcome::NoListener => "no-listener",
            Outcome::NoRoute => "no-route",
            Outcome::NoBackend(_) => "no-backend",
            Outcome::Passthrough => "passthrough",
            Outcome::Served(served, _) => served.code(),
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.listener {
            None => return write!(f, "no listener of port {} is for this server name", self.port),
            Some(listener) => write!(f, "{listener} ({}) ", listener.hosts)?,
        }
        match self.outcome {
            Outcome::NoListener => Ok(()),
            Outcome::NoRoute => f.write_str("has no TLSRoute for this server name"),
            Outcome::NoBackend(route) => write!(f, "goes by {route}, none of whose backends is valid"),
            Outcome::Passthrough => f.write_str("passes the bytes on undecrypted"),
            Outcome::Served(served, secrets) => {
                served.fmt(f)?;
                if served != Served::NoCertificate {
                    return Ok(());
                }
                let faults = self.listener.and_then(|listener| listener.tls.as_ref());
                let faults = faults.into_iter().flat_map(|tls| &tls.certificates);
                for fault in faults.filter_map(|certificate| certificate.secret.as_ref().err()) {
                    write!(f, "; {fault}")?;
                }
                for secret in secrets {
                    if let Err(error) = &secret.pair {
                        write!(f, "; {} cannot be used: {error}", secret.reference)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// As its words.
impl fmt::Debug for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.code())
    }
}

/// Equal when the same code came by way of the same listener.
impl PartialEq for Reason<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code() && self.listener == other.listener
    }
}

impl Eq for Reason<'_> {}
