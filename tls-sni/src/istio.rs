//! Which certificate does a gateway of Istio serve, or where does it pass the connection on?
//!
//! Servers, the VirtualServices bound to them and their rules are those of [`route_match::istio`]; here the certificates are added.
//!
//! 1. Of the names that servers and `tls` rules of the port have, the most specific that fits the server name decides alone: exact, then
//!    the longest suffix, then `*`, which a connection without a usable name reaches as well. No name: the connection is closed, there is no
//!    default certificate.
//! 2. A server that ends TLS serves the pairs of its `credentialName` or `credentialNames`: Secrets of the namespace that the gateway's Pod
//!    is in, chosen among as by [`Rank`](crate::Rank). A pair need neither cover the name nor be valid by date. `MUTUAL` needs an authority for clients
//!    too. Whatever is missing: refused, since the server still claims its names.
//! 3. `PASSTHROUGH` hands the bytes on as the `tls` rules say, `AUTO_PASSTHROUGH` to the service and subset that the name spells, if the
//!    client offers a protocol of sidecars.
//!
//! ```
//! use std::sync::Arc;
//!
//! use route_match::istio::{GatewayStreams, IstioGatewayTable};
//! use svc_model::api::{IstioGateway, MeshConfig};
//! use svc_model::{Cluster, NamespacedName};
//! use tls_sni::istio::IstioTls;
//! use tls_sni::{Mode, Sni, TlsQuestion};
//!
//! let gateway: IstioGateway = serde_json::from_str(r#"{
//!     "metadata": {"name": "edge", "namespace": "infra"},
//!     "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{
//!         "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*.shop.example"],
//!         "tls": {"mode": "ISTIO_MUTUAL"}}]}
//! }"#)?;
//! let mut cluster = Cluster::new();
//! cluster.apply(gateway);
//!
//! let table = IstioGatewayTable::compile(&cluster, &NamespacedName::new("infra", "edge"))?;
//! let streams = Arc::new(GatewayStreams::compile(&cluster, &MeshConfig::default(), &table));
//! let gateway = IstioTls::new(&cluster, &table, streams);
//! let question = TlsQuestion::new(Sni::new(Some(b"eu.shop.example")));
//! let decision = gateway.decide(&question, 0);
//! assert_eq!((decision.mode, decision.listener), (Mode::Terminate, Some("https")));
//! assert_eq!(decision.reason.code(), "mesh-certificate");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::choice::Alert;
use crate::decision::{CertificateRef, Mode, TlsDecision, TlsQuestion, TlsReason};
use crate::facts::CertificateFacts;
use crate::secret::{self, SecretError};
use crate::served::Served;
use core::fmt;
use route_match::Host;
use route_match::istio::{GatewayStreams, ISTIO_PROTOCOLS, IstioGatewayTable, Server, ServerKind};
use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;
use svc_model::api::{IstioServerTls, Secret};
use svc_model::{Cluster, Kind, ObjectRef};

/// What a gateway picks from a client's protocols where it ends HTTPS, the best first.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// The certificates of one gateway's proxy, beside its compiled connections.
#[derive(Clone, Debug)]
pub struct IstioTls {
    streams: Arc<GatewayStreams>,
    /// For each server, what it serves.
    servers: Vec<Credentials>,
}

/// What a server ends TLS with.
#[derive(Clone, Debug)]
enum Credentials {
    /// It does not.
    None,
    /// The certificate that the mesh gives each proxy (`ISTIO_MUTUAL`).
    Mesh,
    /// Files in the proxy, which nobody here can read.
    Files,
    /// Secrets.
    Secrets(Vec<Credential>),
}

/// A Secret that a server names.
#[derive(Clone, Debug)]
struct Credential {
    reference: ObjectRef,
    pair: Result<CertificateFacts, CredentialFault>,
    /// The Secret with the authorities that clients' certificates must be of, where they need one.
    authority: Option<ObjectRef>,
}

/// Why a Secret that a server of Istio names cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialFault {
    /// There is no such Secret.
    Missing,
    /// It holds no usable pair.
    Pair(SecretError),
    /// Clients must have certificates, and nothing says whose: neither the Secret of this name nor its own `cacert` and `ca.crt`.
    NoAuthority(String),
}

impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist"),
            Self::Pair(error) => write!(f, "cannot be used: {error}"),
            Self::NoAuthority(name) => {
                write!(f, "has no authority for clients: there is neither a Secret {name} nor a key cacert or ca.crt")
            }
        }
    }
}

impl core::error::Error for CredentialFault {}

/// The names of the Secrets that a server serves.
pub(crate) fn credential_names(tls: &IstioServerTls) -> &[String] {
    match tls.credential_name.as_str() {
        "" => &tls.credential_names,
        _ => core::slice::from_ref(&tls.credential_name),
    }
}

/// Reads a Secret that a server names, in the namespace of its proxy.
pub(crate) fn credential(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    tls: &IstioServerTls,
) -> Result<CertificateFacts, CredentialFault> {
    let get = |name: &str| cluster.get::<Secret>(namespace, name);
    let secret = get(name).ok_or(CredentialFault::Missing)?;
    let pair = secret::load_credential(secret).map_err(CredentialFault::Pair)?;
    match client_authority(cluster, namespace, name, tls) {
        Some(Err(named)) => Err(CredentialFault::NoAuthority(named)),
        _ => Ok(pair.facts),
    }
}

/// The Secret that says whose certificates clients must have; an error names the one that was looked for. `None` where clients need none.
fn client_authority(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    tls: &IstioServerTls,
) -> Option<Result<ObjectRef, String>> {
    if !matches!(tls.mode.as_str(), "MUTUAL" | "OPTIONAL_MUTUAL") {
        return None;
    }
    let named = match tls.ca_cert_credential_name.as_str() {
        "" => format!("{name}-cacert"),
        own => own.to_owned(),
    };
    let get = |name: &str| cluster.get::<Secret>(namespace, name);
    let found = get(&named).map(|secret| (&*named, secret)).or_else(|| Some((name, get(name)?)));
    let found = found.filter(|(_, secret)| secret::has_authority(secret));
    let found = found.map(|(name, _)| ObjectRef::new(Kind::Secret, namespace, name));
    Some(found.ok_or(named))
}

impl Credentials {
    fn of(cluster: &Cluster, namespace: &str, server: &Server) -> Self {
        let Some(tls) = server.tls.as_ref().filter(|_| matches!(server.kind, ServerKind::Https | ServerKind::Tls))
        else {
            return Self::None;
        };
        let names = credential_names(tls);
        match tls.mode.as_str() {
            "ISTIO_MUTUAL" => Self::Mesh,
            _ if names.is_empty() && (!tls.server_certificate.is_empty() || !tls.tls_certificates.is_empty()) => {
                Self::Files
            }
            _ => Self::Secrets(
                names
                    .iter()
                    .map(|name| Credential {
                        reference: ObjectRef::new(Kind::Secret, namespace, name.as_str()),
                        pair: credential(cluster, namespace, name, tls),
                        authority: client_authority(cluster, namespace, name, tls).and_then(Result::ok),
                    })
                    .collect(),
            ),
        }
    }
}

impl IstioTls {
    /// Reads the Secrets of a gateway's servers; each as often as servers name it. `streams` are those of `table`.
    pub fn new(cluster: &Cluster, table: &IstioGatewayTable, streams: Arc<GatewayStreams>) -> IstioTls {
        let namespace = &*table.proxy().namespace;
        let servers = streams.servers().iter().map(|server| Credentials::of(cluster, namespace, server)).collect();
        IstioTls { streams, servers }
    }

    /// The Secrets that a server's certificates can be taken from, in its order; `server` is an index into
    /// [`Servers::accepted`](route_match::istio::Servers::accepted).
    pub fn usable_secrets(&self, server: usize) -> impl Iterator<Item = &ObjectRef> {
        let secrets = match self.servers.get(server) {
            Some(Credentials::Secrets(secrets)) => secrets.as_slice(),
            _ => &[],
        };
        secrets.iter().filter(|secret| secret.pair.is_ok()).map(|secret| &secret.reference)
    }

    /// The Secret that says whose certificates clients must have (`MUTUAL`) or may have (`OPTIONAL_MUTUAL`), under `ca.crt` or `cacert`: that
    /// of the first pair that can be used.
    pub fn client_authority(&self, server: usize) -> Option<&ObjectRef> {
        match self.servers.get(server) {
            Some(Credentials::Secrets(secrets)) => {
                secrets.iter().find(|secret| secret.pair.is_ok())?.authority.as_ref()
            }
            _ => None,
        }
    }

    /// The connections of the gateway's proxy.
    pub fn streams(&self) -> &Arc<GatewayStreams> {
        &self.streams
    }

    /// What happens to a connection; `now` counts seconds since 1970-01-01T00:00:00Z. Where the bytes go on, the decision's
    /// [`rule`](TlsDecision::rule) says where to. Allocates once for a server name.
    pub fn decide<'a>(&'a self, question: &'a TlsQuestion<'_>, now: i64) -> TlsDecision<'a> {
        let port = question.port;
        let host: Option<Host> = question.sni.name().and_then(|name| name.as_str().parse().ok());
        let Some(found) = self.streams.decide_tls(port, host.as_ref()) else {
            let outcome = if self.streams.speaks_tls(port) { Outcome::NoServerName } else { Outcome::NoServer };
            let reason = TlsReason::Istio(Reason { port, server: None, outcome });
            return TlsDecision::reject(Alert::UnrecognizedName, reason);
        };
        let server = found.server;
        let reason = |outcome| TlsReason::Istio(Reason { port, server: Some(server), outcome });
        let of_server = |decision: TlsDecision<'a>| {
            let route = found.rule.and_then(|rule| rule.origin.virtual_service()).map(|(route, _)| route);
            TlsDecision { listener: Some(&server.name), route, rule: found.rule, ..decision }
        };
        let refuse = |alert, outcome| TlsDecision {
            listener: Some(&server.name),
            ..TlsDecision::reject(alert, reason(outcome))
        };
        let offered = || ISTIO_PROTOCOLS.iter().any(|protocol| question.alpn.offers(protocol.as_bytes()));
        match server.kind {
            ServerKind::AutoPassthrough if !offered() => return refuse(Alert::UnrecognizedName, Outcome::NotOffered),
            ServerKind::Passthrough | ServerKind::AutoPassthrough => {
                return of_server(TlsDecision::pass_through(&[], reason(Outcome::Passthrough)));
            }
            _ => {}
        }
        let alpn = match server.kind {
            ServerKind::Https => question.alpn.pick(&PROTOCOLS),
            _ => None,
        };
        let terminate = |certificate, outcome| {
            let decision = TlsDecision::of(Mode::Terminate, reason(outcome));
            of_server(TlsDecision { certificate, alpn, ..decision })
        };
        let secrets = match self.servers.get(found.index) {
            Some(Credentials::Mesh) => return terminate(None, Outcome::MeshCertificate),
            Some(Credentials::Files) => return terminate(None, Outcome::Files),
            Some(Credentials::Secrets(secrets)) => secrets.as_slice(),
            Some(Credentials::None) | None => &[],
        };
        let pairs = secrets.iter().map(|secret| secret.pair.as_ref().ok());
        let (served, at) = Served::choose(pairs, question, now);
        let outcome = Outcome::Served(served, secrets);
        match at {
            Some(at) => terminate(Some(CertificateRef::Secret(&secrets[at].reference)), outcome),
            None => refuse(Alert::HandshakeFailure, outcome),
        }
    }
}

/// Why a gateway of Istio answers a handshake as it does.
#[derive(Clone, Copy)]
pub struct Reason<'a> {
    port: u16,
    server: Option<&'a Server>,
    outcome: Outcome<'a>,
}

#[derive(Clone, Copy)]
enum Outcome<'a> {
    NoServer,
    NoServerName,
    NotOffered,
    Passthrough,
    MeshCertificate,
    Files,
    Served(Served, &'a [Credential]),
}

impl Reason<'_> {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self.outcome {
            Outcome::NoServer => "no-server",
            Outcome::NoServerName => "no-server-name",
            Outcome::NotOffered => "no-istio-protocol",
            Outcome::Passthrough => "passthrough",
            Outcome::MeshCertificate => "mesh-certificate",
            Outcome::Files => "certificate-files",
            Outcome::Served(served, _) => served.code(),
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = self.server {
            write!(f, "{server} ")?;
        }
        match self.outcome {
            Outcome::NoServer => write!(f, "no server of port {} hears TLS", self.port),
            Outcome::NoServerName => {
                write!(f, "no server and no tls rule of port {} is for this server name", self.port)
            }
            Outcome::NotOffered => f.write_str("is for sidecars, and the client offers none of their protocols"),
            Outcome::Passthrough => f.write_str("passes the bytes on undecrypted"),
            Outcome::MeshCertificate => f.write_str("has the certificate that the mesh gives the proxy"),
            Outcome::Files => f.write_str("has a certificate in files of the proxy"),
            Outcome::Served(served, secrets) => {
                served.fmt(f)?;
                if served != Served::NoCertificate {
                    return Ok(());
                }
                for secret in secrets {
                    if let Err(fault) = &secret.pair {
                        write!(f, "; {} {fault}", secret.reference)?;
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

/// Equal when the same code came by way of the same server.
impl PartialEq for Reason<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code() && self.server == other.server
    }
}

impl Eq for Reason<'_> {}
