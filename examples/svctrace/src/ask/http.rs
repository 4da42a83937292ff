//! Which rule takes a request, and where does it send it?

use std::net::IpAddr;
use std::rc::Rc;

use route_match::action::{HeaderEdits, WeightedBackend};
use route_match::ingress::{Balancing, Decision, HttpQuestion, IngressController, Outcome, Scheme, Upstream};
use route_match::{Authority, RequestTarget};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use svc_model::api::Service;
use tls_sni::ingress::IngressTls;

use super::connect::percent;
use super::outcome::{headers, rewrite};
use super::target::Target;
use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

/// What the controller of one class decides: routes and certificates.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    pub(crate) routes: Rc<IngressController>,
    pub(crate) certificates: Rc<IngressTls>,
}

impl World {
    /// The controller that implements an ingress class, compiled when first asked for.
    pub(crate) fn controller(&self, class: &str) -> Result<Controller, Unusable> {
        if let Some(known) = self.controllers.borrow().get(class) {
            return Ok(known.clone());
        }
        let routes =
            IngressController::compile(&self.cluster, class).map_err(|error| unusable(format!("to: {error}")))?;
        let certificates =
            IngressTls::of_class(&self.cluster, class).map_err(|error| unusable(format!("to: {error}")))?;
        let compiled = Controller { routes: Rc::new(routes), certificates: Rc::new(certificates) };
        self.controllers.borrow_mut().insert(class.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

/// A request to a proxy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Http {
    /// Scheme, authority, path and query; the authority is the Host header unless `headers` has one.
    pub url: String,
    /// The method; `GET` when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Headers; the value is a text, or a list of texts for a header that is repeated.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Who is asked.
    pub to: String,
    /// The client's address.
    #[serde(default)]
    pub src: Option<String>,
    /// The Pod that asks, `NAMESPACE/NAME`: whose sidecar is asked, for the mesh.
    #[serde(default)]
    pub from: Option<String>,
}

impl Http {
    /// Decides it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let target = Target::parse(&self.to)?;
        let request = ParsedRequest::new(&self.url, self.method.as_deref(), &self.headers, self.src.as_deref())?;
        let class = match target {
            Target::IngressClass(class) => class,
            Target::Gateway(gateway) => return super::gateway::http(world, &self.url, &request, &gateway),
            Target::IstioGateway(gateway) => return super::istio::http(world, &self.url, &request, &gateway),
            Target::Mesh => return super::istio::mesh_http(world, &self.url, &request, self.from.as_deref()),
        };
        let controller = world.controller(class)?;
        let server_name = super::gateway::server_name(&request);
        let decision = controller.routes.decide_over(&request.question(), server_name);
        let mut answer = Answer::new(headline(&self.url, &decision));
        if let Some(route) = decision.route {
            answer.set("route", route.to_string());
        }
        if let Some(rule) = decision.rule {
            answer.set("rule", rule);
        }
        match &decision.outcome {
            Outcome::Forward { backends, request, .. } => {
                let several = backends.only().is_none();
                for (share, p) in backends.shares().filter(|_| several) {
                    answer.step(format!("{} to {}", percent(p), share.backend.backend));
                }
                let entry = |(share, p): (&WeightedBackend<Upstream>, f64)| {
                    let to = &share.backend.backend;
                    json!({ "ref": to.service.to_string(), "port": to.port, "p": p })
                };
                answer.set("backends", backends.shares().map(entry).collect::<Vec<Value>>());
                for (share, _) in backends.shares() {
                    if let Some(how) = balancing(&share.backend.balancing) {
                        answer.step(format!("an endpoint of {} is chosen {how}", share.backend.backend.service));
                    }
                }
                rewrite(&mut answer, "backend", request.path.as_deref(), request.host.as_deref());
                header_edits(&mut answer, "requestHeaders", "request", &request.headers);
            }
            Outcome::Redirect { code, location } => {
                answer.set("redirect", json!({ "code": code, "location": location }))
            }
            Outcome::Respond { status } => answer.set("status", *status),
            other => return Err(unknown(other)),
        }
        header_edits(&mut answer, "responseHeaders", "response", &decision.response_headers);
        let assumed = match &decision.outcome {
            Outcome::Forward { backends, .. } => backends.entries().first().and_then(|share| {
                let name = &share.backend.backend.service;
                world.cluster.get::<Service>(&name.namespace, &name.name)
            }),
            _ => None,
        };
        let assumed = assumed.map_or("", |service| world.assumed_words(service, false));
        answer.because(format!("{decision}{assumed}"));
        for loser in controller.routes.candidates(&request.question()).iter().skip(1) {
            answer.details.push(format!("goes before {loser}"));
        }
        Ok(answer)
    }
}

/// What happens to a request, in a line.
pub(crate) fn headline(url: &str, decision: &Decision<'_>) -> String {
    match &decision.outcome {
        Outcome::Forward { backends, .. } => {
            let names: Vec<String> = backends.shares().map(|(share, _)| share.backend.backend.to_string()).collect();
            format!("{url} -> {}", names.join(" or "))
        }
        Outcome::Redirect { code, location } => format!("{url} -> {code} to {location}"),
        Outcome::Respond { status } => format!("{url} -> {status}"),
        _ => format!("{url} -> unknown"),
    }
}

/// Why there is no answer.
pub(crate) fn unknown(outcome: &Outcome<'_>) -> Unusable {
    match outcome {
        Outcome::NeedsClient { annotation } => unusable(format!(
            "src: the annotation {annotation} lets in some addresses only, and the question names no client (\"src\", --src)"
        )),
        Outcome::Unmodelled { annotation } => {
            unusable(format!("the answer depends on the annotation {annotation}, whose value is not modelled"))
        }
        _ => unusable("the answer is of a kind that is not modelled"),
    }
}

/// How an endpoint is chosen, unless it is by turns.
fn balancing(balancing: &Balancing) -> Option<String> {
    match balancing {
        Balancing::Ewma => Some("by latency, the better of two (load-balance: ewma)".to_owned()),
        Balancing::HashBy(by) => {
            let groups = by.subset_size.map(|size| format!(", then by chance among {size}")).unwrap_or_default();
            Some(format!("by the hash of {}{groups} (upstream-hash-by)", by.key))
        }
        Balancing::Cookie(cookie) => Some(format!("by the cookie {} (affinity: cookie)", cookie.name)),
        _ => None,
    }
}

/// Edits of headers, as the contract has them, and a step for each.
fn header_edits(answer: &mut Answer, key: &str, of: &str, edits: &HeaderEdits) {
    edits.iter().for_each(|edit| answer.step(format!("{of} header: {edit}")));
    headers(answer, key, std::iter::once(edits));
}

/// A URL and headers, taken apart.
#[derive(Debug)]
pub(crate) struct ParsedRequest<'a> {
    pub(crate) scheme: Scheme,
    /// The URL's own authority: where the connection goes, and the server name of its handshake.
    pub(crate) authority: Authority,
    pub(crate) port: u16,
    host: String,
    path: &'a str,
    query: Option<&'a str>,
    method: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    client: Option<IpAddr>,
}

impl<'a> ParsedRequest<'a> {
    pub(crate) fn new(
        url: &'a str,
        method: Option<&'a str>,
        headers: &'a Map<String, Value>,
        src: Option<&str>,
    ) -> Result<ParsedRequest<'a>, Unusable> {
        let bad = |why: &str| unusable(format!("url: {url:?} {why}"));
        let target = RequestTarget::parse(url);
        let scheme = match target.scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(bad("does not begin with http:// or https://")),
        };
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(bad("has a blank or a control character, which is written %20 or the like"));
        }
        let written = target.authority.unwrap_or_default();
        let authority = Authority::parse(written).map_err(|error| bad(&format!("has no usable host: {error}")))?;
        let port = authority.port().unwrap_or(match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        });
        let mut fields = Vec::new();
        for (name, value) in headers {
            match value {
                Value::String(value) => fields.push((name.as_str(), value.as_str())),
                Value::Array(values) if values.iter().all(Value::is_string) => {
                    fields.extend(values.iter().filter_map(Value::as_str).map(|value| (name.as_str(), value)));
                }
                _ => {
                    return Err(unusable(format!(
                        "headers: the value of {name:?} is neither a text nor a list of texts"
                    )));
                }
            }
        }
        let host = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let client = match src {
            Some(src) => Some(svc_model::addr::parse_ip(src).map_err(|error| unusable(format!("src: {error}")))?),
            None => None,
        };
        Ok(ParsedRequest {
            scheme,
            authority,
            port,
            host: host.map_or(written, |(_, value)| value).to_owned(),
            path: if target.path.is_empty() { "/" } else { target.path },
            query: target.query,
            method: method.unwrap_or("GET"),
            headers: fields,
            client,
        })
    }

    pub(crate) fn question(&self) -> HttpQuestion<'_> {
        let mut question = HttpQuestion::new(self.scheme, &self.host, self.path)
            .port(self.port)
            .method(self.method)
            .headers(&self.headers);
        question.query = self.query;
        question.client = self.client;
        question
    }
}
