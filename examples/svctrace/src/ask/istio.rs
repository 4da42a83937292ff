//! What does Istio do with a request or connection? Its gateways, and the sidecars of the mesh.

use std::net::Ipv6Addr;
use std::rc::Rc;
use std::sync::Arc;

use route_match::action::{Action, Backends, HeaderEdits};
use route_match::istio::{
    Caller, Destination, Destinations, GatewayStreams, HttpDecision, HttpRule, IstioGatewayTable, MeshDecision,
    MeshEndpoint, MeshTable, Origin, Outcome, Scheme, StreamDecision, StreamRule, StreamTarget,
};
use route_match::{Authority, Host};
use serde_json::{Value, json};
use svc_model::api::{StringMap, VirtualService};
use svc_model::{Kind, NamespacedName, Protocol, Resource};
use tls_sni::istio::IstioTls;
use tls_sni::{Mode, TlsQuestion};

use super::connect::percent;
use super::gateway::{handshake, server_name};
use super::http::ParsedRequest;
use super::outcome::{self, edits_value, headers, rewrite};
use super::target::no_gateway;
use super::tls::now;
use crate::answer::Answer;
use crate::suggest::shorten;
use crate::world::{Unusable, World, kind_word, unusable};

/// What Istio calls the cluster of what is let through.
const PASSTHROUGH: &str = "PassthroughCluster";

/// The proxies that tables are kept for, one for each kind of caller.
const MAX_CALLERS: usize = 32;

/// What the proxy of a Gateway of Istio decides.
#[derive(Debug)]
pub(crate) struct IstioProxy {
    pub(crate) table: IstioGatewayTable,
    pub(crate) tls: IstioTls,
    pub(crate) destinations: Destinations,
}

impl World {
    /// What the proxy of an Istio Gateway decides, compiled when first asked for.
    pub(crate) fn istio_gateway(&self, name: &NamespacedName) -> Result<Rc<IstioProxy>, Unusable> {
        if let Some(known) = self.istio_gateways.borrow().get(name) {
            return Ok(known.clone());
        }
        let table = IstioGatewayTable::compile(&self.cluster, name)
            .map_err(|error| no_gateway(self, Kind::IstioGateway, &error.name))?;
        let mesh = crate::mesh::config(&self.cluster)?;
        let streams = Arc::new(GatewayStreams::compile(&self.cluster, &mesh, &table));
        let tls = IstioTls::new(&self.cluster, &table, streams);
        let caller = Caller::new(table.proxy().namespace.clone(), table.proxy().labels.clone());
        let destinations = Destinations::new(&self.cluster, &mesh, &caller);
        let compiled = Rc::new(IstioProxy { table, tls, destinations });
        self.istio_gateways.borrow_mut().insert(name.clone(), compiled.clone());
        Ok(compiled)
    }

    /// What the sidecar of a caller decides, compiled when first asked for.
    pub(crate) fn mesh_table(&self, caller: &Caller) -> Result<Rc<MeshTable>, Unusable> {
        let key = (caller.namespace.clone(), caller.labels.clone());
        if let Some(known) = self.mesh_tables.borrow().get(&key) {
            return Ok(known.clone());
        }
        let mesh = crate::mesh::config(&self.cluster)?;
        let compiled = Rc::new(MeshTable::compile(&self.cluster, &mesh, caller));
        let mut tables = self.mesh_tables.borrow_mut();
        // Questions may come from anybody, so what is kept is bounded.
        if tables.len() >= MAX_CALLERS {
            tables.clear();
        }
        tables.insert(key, compiled.clone());
        Ok(compiled)
    }
}

/// The workload that asks: its namespace and labels. Of one that is not in the world only the namespace is known; without any it is one of
/// namespace `default`.
pub(crate) fn caller(world: &World, from: Option<&str>) -> Caller {
    let Some(from) = from else { return Caller::new("default", StringMap::new()) };
    if let Ok(pod) = world.pod(from, "default") {
        return Caller::new(pod.namespace(), pod.metadata.labels.clone());
    }
    let namespace = match from.split('/').collect::<Vec<_>>().as_slice() {
        [_, namespace, _] => *namespace,
        [first, _] if kind_word(first).is_none() => *first,
        _ => "default",
    };
    Caller::new(namespace, StringMap::new())
}

/// Answers an `http` question to a gateway.
pub(super) fn http(
    world: &World,
    url: &str,
    request: &ParsedRequest<'_>,
    gateway: &NamespacedName,
) -> Result<Answer, Unusable> {
    let proxy = world.istio_gateway(gateway)?;
    if request.scheme == Scheme::Https {
        let question = handshake(request);
        let decision = proxy.tls.decide(&question, now());
        if decision.mode == Mode::Reject {
            let mut answer = Answer::new(format!("{url}: the handshake is refused"));
            answer.because(decision.reason.to_string());
            return Ok(answer);
        }
    }
    let question = request.question();
    let name = Some(request).filter(|request| request.scheme == Scheme::Https).and_then(server_name);
    let decision = proxy.table.decide(&question, name);
    let mut answer = http_answer(world, url, &decision)?;
    add_endpoints(&mut answer, world, &proxy.destinations, decision.rule.and_then(|rule| rule.action.backends()));
    for loser in proxy.table.candidates(&question, name).iter().skip(1) {
        answer.details.push(format!("goes before {} ({loser})", loser.value().origin));
    }
    Ok(answer)
}

/// Answers an `http` question to a sidecar.
pub(super) fn mesh_http(
    world: &World,
    url: &str,
    request: &ParsedRequest<'_>,
    from: Option<&str>,
) -> Result<Answer, Unusable> {
    let table = world.mesh_table(&caller(world, from))?;
    let question = request.question();
    let decision = table.decide(&question);
    let mut answer = match &decision {
        MeshDecision::Http(decision) => {
            let mut answer = http_answer(world, url, decision)?;
            match decision.rule.map(|rule| &rule.origin) {
                Some(Origin::AllowAny) => pass_through(&mut answer, url),
                Some(origin @ Origin::BlockAll) => answer.set("route", origin.to_string()),
                _ => {}
            }
            answer
        }
        MeshDecision::Stream(decision) => {
            let mut answer = stream_answer(url, decision);
            if decision.is_passthrough() {
                pass_through(&mut answer, url);
            }
            answer.because(decision.to_string());
            answer
        }
    };
    if decision.origin().is_some_and(|origin| !matches!(origin, Origin::AllowAny | Origin::BlockAll)) {
        let backends = decision.backends();
        if let MeshDecision::Stream(stream) = &decision
            && let Some(rule) = stream.rule
        {
            stream_backends(&mut answer, world, table.destinations(), rule);
        } else {
            add_endpoints(&mut answer, world, table.destinations(), backends);
        }
    }
    note_caller(&mut answer, world, from);
    for loser in table.candidates(&question).iter().skip(1) {
        answer.details.push(format!("goes before {} ({loser})", loser.value().origin));
    }
    Ok(answer)
}

/// What is sent where the client meant.
fn pass_through(answer: &mut Answer, asked: &str) {
    answer.headline = format!("{asked} -> {PASSTHROUGH}");
    answer.set("route", Origin::AllowAny.to_string());
    answer.set("backends", json!([{ "ref": PASSTHROUGH, "p": 1.0 }]));
}

/// Answers a `tcp` question to a gateway.
pub(super) fn tcp(
    world: &World,
    asked: &str,
    port: u16,
    protocol: Protocol,
    gateway: &NamespacedName,
) -> Result<Answer, Unusable> {
    let proxy = world.istio_gateway(gateway)?;
    let streams = proxy.tls.streams();
    let found = Some(()).filter(|()| protocol == Protocol::Tcp).and_then(|()| streams.decide_tcp(port));
    let Some(found) = found else {
        let mut answer = Answer::new(format!("{asked}: nothing listens"));
        answer.because(match streams.tcp_server(port) {
            Some(server) => {
                format!("{server} has no VirtualService with a tcp rule for it, so that its port is not opened")
            }
            None => format!("no server of {gateway} takes bytes on port {port}"),
        });
        return Ok(answer);
    };
    let mut answer = Answer::new(asked);
    answer.set("listener", &*found.server.name);
    let Some(rule) = found.rule else { return Ok(answer) };
    route_of(&mut answer, &rule.origin);
    stream_backends(&mut answer, world, &proxy.destinations, rule);
    answer.headline = format!("{asked} -> {}", destinations(rule));
    answer.because(format!("{}, by {}", found.server, rule.origin));
    Ok(answer)
}

/// Answers a `tcp` question to a sidecar.
pub(super) fn mesh_tcp(
    world: &World,
    dst: Option<&str>,
    port: u16,
    protocol: Protocol,
    from: Option<&str>,
) -> Result<Answer, Unusable> {
    let dst = dst.ok_or_else(|| unusable("dst: the mesh needs the host or address that the client meant"))?;
    let asked = format!("{dst}:{port}");
    // An address needs no brackets where no port stands beside it.
    let host = match dst.parse::<Ipv6Addr>() {
        Ok(addr) => Host::from(addr),
        Err(_) => Authority::parse(dst).map_err(|error| unusable(format!("dst: {error}")))?.into_host(),
    };
    let table = world.mesh_table(&caller(world, from))?;
    if protocol != Protocol::Tcp {
        let mut answer = Answer::new(format!("{asked} -> {PASSTHROUGH}"));
        answer.set("backends", json!([{ "ref": PASSTHROUGH, "p": 1.0 }]));
        answer.because("sidecars take TCP connections only");
        return Ok(answer);
    }
    let decision = table.decide_tcp(port, StreamTarget::of(&host));
    let mut answer = stream_answer(&asked, &decision);
    if let Some(rule) = decision.rule {
        stream_backends(&mut answer, world, table.destinations(), rule);
    } else if !decision.is_passthrough() {
        answer.set("mode", "reject");
    }
    note_caller(&mut answer, world, from);
    answer.because(decision.to_string());
    Ok(answer)
}

/// Answers a `tls` question to a sidecar.
pub(super) fn mesh_tls(world: &World, table: &MeshTable, question: &TlsQuestion<'_>, asked: &str) -> Answer {
    let name: Option<Host> = question.sni.name().and_then(|name| name.as_str().parse().ok());
    let decision = table.decide_tls(question.port, name.as_ref());
    let mut answer = stream_answer(asked, &decision);
    let passes = decision.rule.is_some() || decision.is_passthrough();
    answer.set("mode", if passes { "passthrough" } else { "reject" });
    if let Some(rule) = decision.rule {
        stream_backends(&mut answer, world, table.destinations(), rule);
    }
    answer.because(decision.to_string());
    answer
}

/// What becomes of a connection, but for its endpoints and the reason.
fn stream_answer(asked: &str, decision: &StreamDecision<'_>) -> Answer {
    let mut answer = Answer::new(match decision.rule {
        Some(rule) => format!("{asked} -> {}", destinations(rule)),
        None if decision.is_passthrough() => format!("{asked} -> {PASSTHROUGH}"),
        None => format!("{asked}: refused"),
    });
    if let Some(rule) = decision.rule {
        route_of(&mut answer, &rule.origin);
    } else if decision.is_passthrough() {
        answer.set("backends", json!([{ "ref": PASSTHROUGH, "p": 1.0 }]));
    }
    answer
}

fn destinations(rule: &StreamRule) -> String {
    let names: Vec<String> = rule.backends.shares().map(|(entry, _)| entry.backend.to_string()).collect();
    names.join(" or ")
}

pub(super) fn route_of(answer: &mut Answer, origin: &Origin) {
    if let Some((route, rule)) = origin.virtual_service() {
        answer.set("route", route.to_string());
        answer.set("rule", rule);
    }
}

/// Where a rule for connections leads, by weight, with the endpoints that are known.
pub(super) fn stream_backends(answer: &mut Answer, world: &World, known: &Destinations, rule: &StreamRule) {
    let shares: Vec<_> = rule.backends.shares().collect();
    let entries: Vec<Value> = shares.iter().map(|(to, p)| entry(&to.backend, *p, &HeaderEdits::new())).collect();
    if shares.len() > 1 {
        for (to, p) in &shares {
            answer.step(format!("{} to {}", percent(*p), to.backend));
        }
    }
    answer.set("backends", entries);
    add_endpoints(answer, world, known, Some(&rule.backends));
}

/// Adds the endpoints of destinations to their entries, and what is set for them to the steps.
fn add_endpoints(answer: &mut Answer, world: &World, known: &Destinations, backends: Option<&Backends<Destination>>) {
    let mut steps = Vec::new();
    let entries = answer.json.get_mut("backends").and_then(Value::as_array_mut);
    let shares = backends.into_iter().flat_map(Backends::shares);
    for (value, (weighted, _)) in entries.into_iter().flatten().zip(shares) {
        let to = &weighted.backend;
        let found = known.endpoints(&world.cluster, to);
        if !found.is_empty() {
            let entries: Vec<Value> = found.iter().map(|endpoint| json!({ "addr": endpoint.to_string() })).collect();
            value["endpoints"] = Value::Array(entries);
            steps.push(endpoints_words(to, &found));
        }
        if let Some(rule) = known.rule(to) {
            let names: Vec<String> = rule.rules.iter().map(ToString::to_string).collect();
            let missing = to.subset.as_deref().filter(|name| rule.subset(name).is_none());
            steps.push(match missing {
                Some(name) => {
                    format!("{} defines no subset {name}, so that this part is answered with 503", names.join(" and "))
                }
                None => format!("{} is called as {} says", to, names.join(" and ")),
            });
        } else if let Some(subset) = &to.subset {
            steps.push(format!(
                "no DestinationRule defines subset {subset} of {}, so that this part is answered with 503",
                to.host
            ));
        }
    }
    steps.into_iter().for_each(|step| answer.step(step));
}

/// Most endpoints that are named to people; programs get all.
const MAX_SHOWN: usize = 8;

fn endpoints_words(to: &Destination, found: &[MeshEndpoint]) -> String {
    let names: Vec<String> = found.iter().take(MAX_SHOWN).map(ToString::to_string).collect();
    let more = match found.len().saturating_sub(MAX_SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{to} is at {}{more}", names.join(", "))
}

/// What is said where nobody knows the workload that asks.
fn note_caller(answer: &mut Answer, world: &World, from: Option<&str>) {
    if let Some(from) = from.filter(|from| world.pod(from, "default").is_err()) {
        answer.step(format!("{} is not in the manifests, so that only its namespace counts", shorten(from)));
    }
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
            rewrite(&mut answer, "destination", path.as_deref(), *host);
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
    let backends = decision.rule.and_then(|rule| rule.action.backends());
    let shares = backends.into_iter().flat_map(|backends| backends.shares());
    outcome::headline(url, &decision.outcome, shares.map(|(entry, _)| entry.backend.to_string()))
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
            if let Some(edits) = edits_value(std::iter::once(&filters.response_headers)) {
                value["responseHeaders"] = edits;
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
    if let Some(edits) = edits_value(std::iter::once(request_headers)) {
        value["requestHeaders"] = edits;
    }
    value
}

/// The timeout as it is written: in the delegate's rule, else in that of the VirtualService.
fn written_timeout(world: &World, rule: &HttpRule) -> Option<String> {
    let places = [rule.origin.written(), rule.origin.virtual_service()];
    places.into_iter().flatten().find_map(|(route, rule)| {
        let object = world.cluster.get::<VirtualService>(&route.namespace, &route.name)?;
        object.spec.http.get(rule)?.timeout.clone()
    })
}
