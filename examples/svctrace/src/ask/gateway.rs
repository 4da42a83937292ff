//! What does a Gateway do with a request or connection, and what would its controller report?

use std::rc::Rc;
use std::sync::Arc;

use route_match::Host;
use route_match::gateway::{Backend, Decision, GatewayTable, Outcome, RouteRule, Scheme};
use serde_json::{Value, json};
use svc_model::api::{HttpRoute, Service};
use svc_model::{Kind, NamespacedName, Protocol};
use tls_sni::gateway::GatewayTls;
use tls_sni::{Mode, Sni, TlsQuestion};

use super::connect::percent;
use super::http::ParsedRequest;
use super::outcome::{self, headers, rewrite};
use super::target::no_gateway;
use super::tls::now;
use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

impl World {
    /// What a Gateway decides, compiled when first asked for.
    pub(crate) fn gateway(&self, name: &NamespacedName) -> Result<Rc<GatewayTls>, Unusable> {
        if let Some(known) = self.gateways.borrow().get(name) {
            return Ok(known.clone());
        }
        let table =
            GatewayTable::compile(&self.cluster, name).map_err(|error| no_gateway(self, Kind::Gateway, &error.name))?;
        let compiled = Rc::new(GatewayTls::new(&self.cluster, Arc::new(table)));
        self.gateways.borrow_mut().insert(name.clone(), compiled.clone());
        Ok(compiled)
    }
}

/// The server name that a client of this URL sends: its host, unless that is an address.
pub(crate) fn server_name<'r>(request: &'r ParsedRequest<'_>) -> Option<&'r Host> {
    Some(request.authority.host()).filter(|host| host.is_name())
}

/// The question about the handshake before a request over HTTPS.
pub(crate) fn handshake(request: &ParsedRequest<'_>) -> TlsQuestion<'static> {
    let name = server_name(request).map(|host| host.as_str().as_bytes());
    let mut question = TlsQuestion::new(Sni::new(name));
    question.port = request.port;
    question
}

/// Answers an `http` question.
pub(super) fn http(
    world: &World,
    url: &str,
    request: &ParsedRequest<'_>,
    gateway: &NamespacedName,
) -> Result<Answer, Unusable> {
    let gateway = world.gateway(gateway)?;
    if request.scheme == Scheme::Https {
        let question = handshake(request);
        let decision = gateway.decide(&question, now());
        if decision.mode != Mode::Terminate {
            let mut answer = Answer::new(format!("{url}: the handshake ends in {}", decision.mode));
            answer.because(decision.reason.to_string());
            return Ok(answer);
        }
    }
    let question = request.question();
    let decision = gateway.table().decide(&question, server_name(request));
    let mut answer = Answer::new(headline(url, &decision));
    if let Some(listener) = decision.listener {
        answer.set("listener", &*listener.name);
    }
    if let Some(rule) = decision.rule {
        answer.set("route", rule.route.to_string());
        answer.set("rule", rule.rule);
    }
    let mut assumed = "";
    match &decision.outcome {
        Outcome::Forward { only, path, host, cors, .. } => {
            let rule = decision.rule.ok_or_else(|| unusable("a request is forwarded by a rule"))?;
            backends(&mut answer, rule);
            rewrite(&mut answer, "backend", path.as_deref(), *host);
            let filters = || rule.action.filters_for(*only);
            headers(&mut answer, "requestHeaders", filters().map(|filters| &filters.request_headers));
            let response = std::iter::once(cors).chain(filters().map(|filters| &filters.response_headers));
            headers(&mut answer, "responseHeaders", response);
            let mirrors: Vec<Value> = filters()
                .flat_map(|filters| &filters.mirrors)
                .map(|mirror| entry(&mirror.backend, mirror.share.as_f64()))
                .collect();
            if !mirrors.is_empty() {
                answer.set("mirror", mirrors);
            }
            if rule.action.timeouts.request.is_some()
                && let Some(written) = written_timeout(world, rule)
            {
                answer.set("timeout", written);
            }
            let service = only.and_then(|only| only.backend.service());
            let service = service.and_then(|s| world.cluster.get::<Service>(&s.service.namespace, &s.service.name));
            assumed = service.map_or("", |service| world.assumed_words(service, false));
        }
        Outcome::Redirect { code, location } => {
            answer.set("redirect", json!({ "code": code, "location": location }));
        }
        Outcome::Respond { status, cors, .. } => {
            answer.set("status", *status);
            headers(&mut answer, "responseHeaders", std::iter::once(cors));
        }
        Outcome::NoHttp => {}
        _ => return Err(unusable("the answer is of a kind that is not modelled yet")),
    }
    answer.because(format!("{decision}{assumed}"));
    for loser in gateway.table().candidates(&question).iter().skip(1) {
        let rule = loser.value();
        answer.details.push(format!("goes before {} rule {} ({loser})", rule.route, rule.rule));
    }
    Ok(answer)
}

/// Answers a `tcp` question.
pub(super) fn stream(
    world: &World,
    asked: &str,
    protocol: Protocol,
    port: u16,
    gateway: &NamespacedName,
) -> Result<Answer, Unusable> {
    let gateway = world.gateway(gateway)?;
    let decision = match protocol {
        Protocol::Udp => gateway.table().decide_udp(port),
        _ => gateway.table().decide_tcp(port),
    };
    let shares: Vec<(&Backend, f64)> = decision.backends().collect();
    let names: Vec<String> = shares.iter().map(|(backend, _)| backend.to_string()).collect();
    let mut answer = Answer::new(match (decision.listener, names.as_slice()) {
        (None, _) => format!("{asked}: nothing listens"),
        (Some(_), []) => format!("{asked}: refused"),
        (Some(_), names) => format!("{asked} -> {}", names.join(" or ")),
    });
    if let Some(listener) = decision.listener {
        answer.set("listener", &*listener.name);
    }
    if let Some(rule) = decision.rule {
        answer.set("route", rule.route.to_string());
        let entries: Vec<Value> = shares.iter().map(|(backend, p)| entry(backend, *p)).collect();
        if !entries.is_empty() {
            answer.set("backends", entries);
        }
    }
    answer.because(decision.to_string());
    Ok(answer)
}

/// What happens to a request, in a line; backends that fail are not told.
pub(crate) fn headline(url: &str, decision: &Decision<'_>) -> String {
    let backends = decision.rule.and_then(|rule| rule.action.backends());
    let shares = backends.into_iter().flat_map(|backends| backends.shares());
    let served = shares.filter(|(entry, _)| entry.failure.is_none()).map(|(entry, _)| entry.backend.to_string());
    outcome::headline(url, &decision.outcome, served)
}

/// The backends and their parts; those that fail, with their status alone.
fn backends(answer: &mut Answer, rule: &RouteRule) {
    let mut entries = Vec::new();
    let shares: Vec<_> = rule.action.backends().into_iter().flat_map(|backends| backends.shares()).collect();
    for (weighted, p) in &shares {
        match weighted.failure {
            Some(status) => {
                answer.step(format!("{} fails with {status}: {}", percent(*p), weighted.backend));
                entries.push(json!({ "p": p, "status": status }));
            }
            None => {
                if shares.len() > 1 {
                    answer.step(format!("{} to {}", percent(*p), weighted.backend));
                }
                entries.push(entry(&weighted.backend, *p));
            }
        }
    }
    answer.set("backends", entries);
}

fn entry(backend: &Backend, p: f64) -> Value {
    match backend {
        Backend::Import(name, port) => json!({ "ref": format!("ServiceImport/{name}"), "port": port, "p": p }),
        backend => match backend.service() {
            Some(service) => json!({ "ref": service.service.to_string(), "port": service.port, "p": p }),
            None => json!({ "p": p }),
        },
    }
}

/// The timeout as the route writes it.
fn written_timeout(world: &World, rule: &RouteRule) -> Option<String> {
    if rule.route.kind != Kind::HttpRoute {
        return None;
    }
    let route = world.cluster.get::<HttpRoute>(&rule.route.namespace, &rule.route.name)?;
    route.spec.rules.get(rule.rule)?.timeouts.as_ref()?.request.clone()
}
