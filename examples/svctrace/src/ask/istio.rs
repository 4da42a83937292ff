//! What does Istio do with a request? The gateways of its proxies.

use std::rc::Rc;

use route_match::action::{Action, HeaderEdit, HeaderEdits};
use route_match::istio::{Destination, HttpDecision, HttpRule, IstioGatewayTable, Outcome, Scheme};
use serde_json::{Map, Value, json};
use svc_model::NamespacedName;
use svc_model::api::VirtualService;

use super::connect::percent;
use super::gateway::server_name;
use super::http::ParsedRequest;
use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

impl World {
    /// What the proxy of an Istio Gateway decides, compiled when first asked for.
    pub(crate) fn istio_gateway(&self, name: &NamespacedName) -> Result<Rc<IstioGatewayTable>, Unusable> {
        if let Some(known) = self.istio_gateways.borrow().get(name) {
            return Ok(known.clone());
        }
        let table =
            IstioGatewayTable::compile(&self.cluster, name).map_err(|error| unusable(format!("to: {error}")))?;
        let compiled = Rc::new(table);
        self.istio_gateways.borrow_mut().insert(name.clone(), compiled.clone());
        Ok(compiled)
    }
}

/// Answers an `http` question to a gateway.
pub(super) fn http(
    world: &World,
    url: &str,
    request: &ParsedRequest<'_>,
    gateway: &NamespacedName,
) -> Result<Answer, Unusable> {
    let table = world.istio_gateway(gateway)?;
    let question = request.question();
    let name = Some(request).filter(|request| request.scheme == Scheme::Https).and_then(server_name);
    let decision = table.decide(&question, name);
    let mut answer = http_answer(world, url, &decision)?;
    for loser in table.candidates(&question, name).iter().skip(1) {
        answer.details.push(format!("goes before {} ({loser})", loser.value().origin));
    }
    Ok(answer)
}

/// The answer to an `http` question, at a gateway or in a sidecar.
pub(super) fn http_answer(world: &World, url: &str, decision: &HttpDecision<'_>) -> Result<Answer, Unusable> {
    let mut answer = Answer::new(headline(url, decision));
    if let Some((route, rule)) = decision.rule.and_then(|rule| rule.origin.virtual_service()) {
        answer.set("route", route.to_string());
        answer.set("rule", rule);
    }
    match &decision.outcome {
        Outcome::Forward { only, path, host, cors, .. } => {
            let rule = decision.rule.ok_or_else(|| unusable("a request is forwarded by a rule"))?;
            let action = &rule.action;
            backends(&mut answer, action);
            if path.is_some() || host.is_some() {
                answer.set("rewrite", json!({ "path": path, "host": host }));
            }
            if let Some(path) = path {
                answer.step(format!("the destination sees the path {path}"));
            }
            if let Some(host) = host {
                answer.step(format!("the destination sees the host {host}"));
            }
            let filters = || action.filters_for(*only);
            headers(&mut answer, "requestHeaders", filters().map(|filters| &filters.request_headers));
            let response = std::iter::once(cors).chain(filters().map(|filters| &filters.response_headers));
            headers(&mut answer, "responseHeaders", response);
            let mirrors = action.filters.mirrors.iter();
            let mirrors: Vec<Value> =
                mirrors.map(|mirror| entry(&mirror.backend, mirror.share.as_f64(), &HeaderEdits::new())).collect();
            if !mirrors.is_empty() {
                answer.set("mirror", mirrors);
            }
            if action.timeouts.request.is_some()
                && let Some(written) = written_timeout(world, rule)
            {
                answer.set("timeout", written);
            }
            if let Some((share, time)) = action.fault.and_then(|fault| fault.delay) {
                answer.step(format!("{} wait for {time:?} on purpose", percent(share.as_f64())));
            }
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
    answer.because(decision.to_string());
    Ok(answer)
}

/// What happens to a request, in a line.
fn headline(url: &str, decision: &HttpDecision<'_>) -> String {
    match &decision.outcome {
        Outcome::Forward { .. } => {
            let backends = decision.rule.and_then(|rule| rule.action.backends());
            let shares = backends.into_iter().flat_map(|backends| backends.shares());
            let names: Vec<String> = shares.map(|(entry, _)| entry.backend.to_string()).collect();
            format!("{url} -> {}", names.join(" or "))
        }
        Outcome::Redirect { code, location } => format!("{url} -> {code} to {location}"),
        Outcome::Respond { status, .. } => format!("{url} -> {status}"),
        _ => format!("{url}: no HTTP answer"),
    }
}

/// The destinations and their parts of what no fault aborts, and the part that one does.
fn backends(answer: &mut Answer, action: &Action<Destination>) {
    let abort = action.fault.and_then(|fault| fault.abort);
    let rest = 1.0 - abort.map_or(0.0, |(share, _)| share.as_f64());
    let shares: Vec<_> = action.backends().into_iter().flat_map(|backends| backends.shares()).collect();
    let mut entries = Vec::new();
    for (weighted, p) in &shares {
        if shares.len() > 1 || rest < 1.0 {
            answer.step(format!("{} to {}", percent(p * rest), weighted.backend));
        }
        let edits = weighted.filters.as_deref().filter(|_| shares.len() > 1);
        let mut value =
            entry(&weighted.backend, p * rest, edits.map_or(&HeaderEdits::new(), |filters| &filters.request_headers));
        if let Some(filters) = edits {
            if !filters.response_headers.is_empty() {
                value["responseHeaders"] = edits_value(std::iter::once(&filters.response_headers));
            }
            if let Some(host) = &filters.host {
                value["rewrite"] = json!({ "host": host });
            }
        }
        entries.push(value);
    }
    if let Some((share, status)) = abort {
        answer.step(format!("{} fail with {} on purpose", percent(share.as_f64()), status.http()));
        entries.push(json!({ "p": share.as_f64(), "status": status.http() }));
    }
    answer.set("backends", entries);
}

/// A destination, its part, and the edits of request headers that are its own.
fn entry(to: &Destination, p: f64, request_headers: &HeaderEdits) -> Value {
    let reference = match &to.service {
        Some(service) => service.to_string(),
        None => format!("Host/{}", to.host),
    };
    let mut value = json!({ "ref": reference, "port": to.port, "p": p });
    if let Some(subset) = &to.subset {
        value["subset"] = json!(subset);
    }
    if !request_headers.is_empty() {
        value["requestHeaders"] = edits_value(std::iter::once(request_headers));
    }
    value
}

/// Edits of headers under their key; the last of one name counts.
fn headers<'a>(answer: &mut Answer, key: &str, edits: impl Iterator<Item = &'a HeaderEdits>) {
    let value = edits_value(edits);
    if value.as_object().is_some_and(|value| !value.is_empty()) {
        answer.set(key, value);
    }
}

fn edits_value<'a>(edits: impl Iterator<Item = &'a HeaderEdits>) -> Value {
    let (mut set, mut add, mut remove) = (Map::new(), Map::new(), Vec::new());
    for edit in edits.flat_map(HeaderEdits::iter) {
        match edit {
            HeaderEdit::Set(name, value) => drop(set.insert(name.to_string(), json!(value))),
            HeaderEdit::Add(name, value) => drop(add.insert(name.to_string(), json!(value))),
            HeaderEdit::Remove(name) => remove.push(json!(name)),
            _ => {}
        }
    }
    match set.is_empty() && add.is_empty() && remove.is_empty() {
        true => json!({}),
        false => json!({ "set": set, "add": add, "remove": remove }),
    }
}

/// The timeout as it is written: in the delegate's rule, else in that of the VirtualService.
fn written_timeout(world: &World, rule: &HttpRule) -> Option<String> {
    let places = [rule.origin.written(), rule.origin.virtual_service()];
    places.into_iter().flatten().find_map(|(route, rule)| {
        let object = world.cluster.get::<VirtualService>(&route.namespace, &route.name)?;
        object.spec.http.get(rule)?.timeout.clone()
    })
}
