//! Which certificate does a client get, or where is it passed through?

use std::rc::Rc;

use route_match::Authority;
use route_match::istio::MeshTable;
use serde::Deserialize;
use serde_json::{Value, json};
use svc_model::api::Time;
use tls_sni::gateway::GatewayTls;
use tls_sni::ingress::IngressTls;
use tls_sni::{AcceptedKeys, Alpn, ClientHello, ProtocolVersion, SignatureScheme, Sni};
use tls_sni::{TlsDecision, TlsQuestion};

use super::connect::percent;
use super::istio::IstioProxy;
use super::target::Target;
use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

/// A TLS connection to a proxy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Tls {
    /// The server name; absent, null and empty mean none.
    #[serde(default)]
    pub sni: Option<String>,
    /// The port connected to; 443 when absent.
    #[serde(default)]
    pub port: Option<u16>,
    /// Protocols the client offers, in order.
    #[serde(default)]
    pub alpn: Vec<String>,
    /// Signature schemes the client verifies, by name or `0x0403`; any when absent.
    #[serde(default)]
    pub sigalgs: Option<Vec<String>>,
    /// TLS versions the client offers; 1.2 and 1.3 when absent.
    #[serde(default)]
    pub versions: Option<Vec<String>>,
    /// The instant for the dates of certificates; the system's clock when absent.
    #[serde(default)]
    pub now: Option<String>,
    /// A whole ClientHello in hex, in place of the above.
    #[serde(default)]
    pub hello: Option<String>,
    /// Host of a request that is sent later on the connection.
    #[serde(default)]
    pub authority: Option<String>,
    /// Who is asked.
    pub to: String,
    /// The Pod that asks, `NAMESPACE/NAME`: whose sidecar is asked, for the mesh.
    #[serde(default)]
    pub from: Option<String>,
}

impl Tls {
    /// Decides it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let certificates = match Target::parse(&self.to)? {
            Target::IngressClass(class) => Certificates::Ingress(world.controller(class)?.certificates),
            Target::Gateway(gateway) => Certificates::Gateway(world.gateway(&gateway)?),
            Target::IstioGateway(gateway) => Certificates::Istio(world.istio_gateway(&gateway)?),
            Target::Mesh => {
                let caller = super::istio::caller(world, self.from.as_deref());
                Certificates::Mesh(world.mesh_table(&caller)?)
            }
        };
        let now = match &self.now {
            Some(now) => now.parse::<Time>().map_err(|error| unusable(format!("now: {error}")))?.unix_seconds(),
            None => self::now(),
        };
        let port = self.port.unwrap_or(443);
        let answer = match &self.hello {
            Some(hex) => {
                let bytes = from_hex(hex)?;
                let hello = tls_sni::peek(&bytes).map_err(|error| unusable(format!("hello: {error}")))?;
                self.decided(world, &certificates, &TlsQuestion::of(&hello, port), now, &described(&hello))?
            }
            None => {
                let protocols: Vec<&[u8]> = self.alpn.iter().map(|protocol| protocol.as_bytes()).collect();
                let name = self.sni.as_deref().unwrap_or_default();
                let mut question = TlsQuestion::new(Sni::new(Some(name.as_bytes()).filter(|name| !name.is_empty())));
                question.port = port;
                question.alpn = Alpn::new(&protocols);
                question.accepted_keys = self.accepted_keys()?;
                let asked = if name.is_empty() { "a client without server name" } else { name };
                self.decided(world, &certificates, &question, now, asked)?
            }
        };
        Ok(answer)
    }

    fn decided(
        &self,
        world: &World,
        certificates: &Certificates,
        question: &TlsQuestion<'_>,
        now: i64,
        asked: &str,
    ) -> Result<Answer, Unusable> {
        let mut answer = match certificates {
            Certificates::Ingress(table) => answer_of(&table.decide(question, now), asked),
            Certificates::Gateway(table) => answer_of(&table.decide(question, now), asked),
            Certificates::Istio(gateway) => {
                let decision = gateway.tls.decide(question, now);
                let mut answer = answer_of(&decision, asked);
                if let Some(rule) = decision.rule {
                    super::istio::route_of(&mut answer, &rule.origin);
                    super::istio::stream_backends(&mut answer, world, &gateway.destinations, rule);
                }
                answer
            }
            Certificates::Mesh(table) => super::istio::mesh_tls(world, table, question, asked),
        };
        if let Some(authority) = &self.authority {
            let authority = Authority::parse(authority).map_err(|error| unusable(format!("authority: {error}")))?;
            let status = match certificates {
                // The routes of an Ingress do not look at the connection's server name, nor do those of Istio beyond the server
                // that it chose.
                Certificates::Ingress(_) | Certificates::Istio(_) | Certificates::Mesh(_) => None,
                Certificates::Gateway(gateway) => gateway.misdirected(question, authority.host()),
            };
            answer.set("authorityStatus", status);
            let host = authority.host();
            answer.step(match status {
                Some(421) => format!("a request for {host} on this connection: 421, another listener is for that host"),
                Some(status) => {
                    format!("a request for {host} on this connection: {status}, no listener is for that host")
                }
                None => format!("a request for {host} on this connection goes by the routes"),
            });
        }
        Ok(answer)
    }

    fn accepted_keys(&self) -> Result<AcceptedKeys, Unusable> {
        let Some(schemes) = &self.sigalgs else {
            return Ok(AcceptedKeys::ANY);
        };
        let schemes: Result<Vec<SignatureScheme>, Unusable> = schemes
            .iter()
            .map(|name| name.parse().map_err(|_| unusable(format!("sigalgs: unknown signature scheme {name:?}"))))
            .collect();
        let versions: Result<Vec<ProtocolVersion>, Unusable> = match &self.versions {
            None => Ok(vec![ProtocolVersion::TLS13, ProtocolVersion::TLS12]),
            Some(names) => names
                .iter()
                .map(|name| name.parse().map_err(|_| unusable(format!("versions: unknown TLS version {name:?}"))))
                .collect(),
        };
        Ok(AcceptedKeys::new(schemes?, versions?))
    }
}

/// The certificates of whoever is asked.
enum Certificates {
    Ingress(Rc<IngressTls>),
    Gateway(Rc<GatewayTls>),
    Istio(Rc<IstioProxy>),
    Mesh(Rc<MeshTable>),
}

fn answer_of(decision: &TlsDecision<'_>, asked: &str) -> Answer {
    let mut answer = Answer::new(format!("{asked}: {}", outcome(decision)));
    answer.set("mode", decision.mode.to_string());
    if let Some(certificate) = decision.certificate {
        answer.set("certificate", certificate.to_string());
    }
    if let Some(listener) = decision.listener {
        answer.set("listener", listener);
    }
    if let Some(route) = decision.route {
        answer.set("route", route.to_string());
    }
    answer.set("alpn", decision.alpn);
    if let Some(alert) = decision.alert {
        answer.set("alert", alert.to_string());
    }
    if !decision.backends.is_empty() {
        let entry = |b: &tls_sni::Backend| json!({ "ref": b.service.to_string(), "port": b.port, "p": b.p });
        answer.set("backends", decision.backends.iter().map(entry).collect::<Vec<Value>>());
        for backend in decision.backends {
            answer.step(format!("{} to {} port {}", percent(backend.p), backend.service, backend.port));
        }
    }
    answer.set("code", decision.reason.code());
    answer.because(decision.reason.to_string());
    if let Some(protocol) = decision.alpn {
        answer.step(format!("agrees on the protocol {protocol}"));
    }
    answer
}

/// What happens to a connection, in a few words.
pub(crate) fn outcome(decision: &TlsDecision<'_>) -> String {
    match (decision.mode, decision.certificate) {
        (tls_sni::Mode::Terminate, Some(certificate)) => format!("terminate with certificate {certificate}"),
        (mode, _) => mode.to_string(),
    }
}

fn described(hello: &ClientHello<'_>) -> String {
    match hello.sni().name() {
        Some(name) => name.to_string(),
        None => "a client without usable server name".to_owned(),
    }
}

/// The system's clock in Unix seconds, by which certificates are judged when a question names no instant.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn from_hex(text: &str) -> Result<Vec<u8>, Unusable> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pairs = digits.chunks(2).map(|pair| match *pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    });
    pairs.collect::<Option<_>>().ok_or_else(|| unusable("hello: not hexadecimal"))
}
