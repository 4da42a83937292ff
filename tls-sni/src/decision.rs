//! What happens to a TLS connection, and why? The question and the answer that all Kubernetes readings share.

use crate::alpn::Alpn;
use crate::choice::Alert;
use crate::client_hello::ClientHello;
use crate::gateway;
use crate::ingress;
use crate::istio;
use crate::offer::AcceptedKeys;
use crate::server_name::Sni;
use core::fmt;
use route_match::istio::StreamRule;
use svc_model::ObjectRef;

/// A TLS connection as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsQuestion<'a> {
    /// The server name.
    pub sni: Sni,
    /// The port the client connected to.
    pub port: u16,
    /// The application protocols the client offers.
    pub alpn: Alpn<'a>,
    /// The keys whose signatures the client verifies.
    pub accepted_keys: AcceptedKeys,
}

impl<'a> TlsQuestion<'a> {
    /// A client of port 443 that offers no protocol and verifies every key.
    pub fn new(sni: Sni) -> TlsQuestion<'a> {
        TlsQuestion { sni, port: 443, alpn: Alpn::NONE, accepted_keys: AcceptedKeys::ANY }
    }

    /// The client behind a hello.
    pub fn of(hello: &'a ClientHello<'_>, port: u16) -> TlsQuestion<'a> {
        TlsQuestion { sni: hello.sni(), port, alpn: hello.alpn(), accepted_keys: hello.accepted_keys() }
    }
}

/// What happens to a TLS connection. Borrows from the table that decided; nothing allocates.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TlsDecision<'a> {
    /// What happens.
    pub mode: Mode,
    /// The certificate that is served, when the connection is terminated.
    pub certificate: Option<CertificateRef<'a>>,
    /// The listener or server that was chosen, where these have names.
    pub listener: Option<&'a str>,
    /// The route that the connection goes by, where it goes by one.
    pub route: Option<&'a ObjectRef>,
    /// Where the bytes go, when the connection is passed through, or terminated and goes on as a stream.
    pub backends: &'a [Backend],
    /// The same at a gateway of Istio, whose rules lead to subsets, and to hosts that are no Service.
    pub rule: Option<&'a StreamRule>,
    /// The application protocol the server picks, when the connection is terminated.
    pub alpn: Option<&'static str>,
    /// The alert of a refused connection.
    pub alert: Option<Alert>,
    /// Why.
    pub reason: TlsReason<'a>,
}

impl<'a> TlsDecision<'a> {
    pub(crate) fn terminate(
        certificate: CertificateRef<'a>,
        alpn: Option<&'static str>,
        reason: TlsReason<'a>,
    ) -> Self {
        TlsDecision { certificate: Some(certificate), alpn, ..TlsDecision::of(Mode::Terminate, reason) }
    }

    pub(crate) fn pass_through(backends: &'a [Backend], reason: TlsReason<'a>) -> Self {
        TlsDecision { backends, ..TlsDecision::of(Mode::Passthrough, reason) }
    }

    pub(crate) fn reject(alert: Alert, reason: TlsReason<'a>) -> Self {
        TlsDecision { alert: Some(alert), ..TlsDecision::of(Mode::Reject, reason) }
    }

    pub(crate) fn of(mode: Mode, reason: TlsReason<'a>) -> Self {
        TlsDecision {
            mode,
            certificate: None,
            listener: None,
            route: None,
            backends: &[],
            rule: None,
            alpn: None,
            alert: None,
            reason,
        }
    }
}

/// What happens to a connection. There is no fourth: whoever answers does one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The handshake is completed here.
    Terminate,
    /// The bytes go on undecrypted.
    Passthrough,
    /// The connection is closed before any application data.
    Reject,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Terminate => "terminate",
            Mode::Passthrough => "passthrough",
            Mode::Reject => "reject",
        })
    }
}

/// The certificate that is served. Prints as `Secret/NAMESPACE/NAME` or `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateRef<'a> {
    /// The pair of a Secret.
    Secret(&'a ObjectRef),
    /// The self-signed certificate that the controller makes for itself.
    ControllerDefault,
}

impl fmt::Display for CertificateRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateRef::Secret(secret) => secret.fmt(f),
            CertificateRef::ControllerDefault => f.pad("default"),
        }
    }
}

/// A share of the traffic and where it goes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backend {
    /// The Service.
    pub service: ObjectRef,
    /// The port of the Service.
    pub port: u16,
    /// The share, 0 to 1.
    pub p: f64,
}

/// Why a connection fares as it does: a stable [`code`](Self::code) for programs, words for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsReason<'a> {
    /// By the Ingresses of a class.
    Ingress(ingress::Reason<'a>),
    /// By the listeners of a Gateway.
    Gateway(gateway::Reason<'a>),
    /// By the servers of a gateway of Istio.
    Istio(istio::Reason<'a>),
}

impl TlsReason<'_> {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            TlsReason::Ingress(reason) => reason.code(),
            TlsReason::Gateway(reason) => reason.code(),
            TlsReason::Istio(reason) => reason.code(),
        }
    }
}

impl fmt::Display for TlsReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsReason::Ingress(reason) => reason.fmt(f),
            TlsReason::Gateway(reason) => reason.fmt(f),
            TlsReason::Istio(reason) => reason.fmt(f),
        }
    }
}
