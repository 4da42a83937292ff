//! Small worlds: objects from JSON, a Gateway, and questions about it.

use route_match::Host;
use route_match::istio::{HttpDecision, HttpQuestion, IstioGatewayTable, Outcome, Scheme};
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::{Cluster, Kind, NamespacedName, Object};

/// An object from what its manifest says; `Gateway` is Istio's.
pub(crate) fn object(value: Value) -> Object {
    let kind: Kind = match value["kind"].as_str().expect("a kind") {
        "Gateway" => Kind::IstioGateway,
        other => other.parse().expect("a known kind"),
    };
    kind.deserialize(value).expect("an object")
}

pub(crate) fn cluster(objects: impl IntoIterator<Item = Value>) -> Cluster {
    objects.into_iter().map(object).collect()
}

/// Gateway `infra/edge` with these servers.
pub(crate) fn gateway(servers: Value) -> Value {
    named_gateway("edge", servers)
}

pub(crate) fn named_gateway(name: &str, servers: Value) -> Value {
    json!({
        "kind": "Gateway", "metadata": {"name": name, "namespace": "infra"},
        "spec": {"selector": {"app": "edge"}, "servers": servers},
    })
}

pub(crate) fn server(port: u16, protocol: &str, hosts: Value) -> Value {
    json!({"port": {"number": port, "name": format!("{protocol}-{port}"), "protocol": protocol}, "hosts": hosts})
}

/// A VirtualService of namespace `infra` for `*` at the Gateway, with these rules.
pub(crate) fn virtual_service(name: &str, http: Value) -> Value {
    json!({
        "kind": "VirtualService", "metadata": {"name": name, "namespace": "infra"},
        "spec": {"hosts": ["*"], "gateways": ["edge"], "http": http},
    })
}

pub(crate) fn to(host: &str) -> Value {
    json!([{"destination": {"host": host, "port": {"number": 80}}}])
}

pub(crate) fn edge() -> NamespacedName {
    NamespacedName::new("infra", "edge")
}

pub(crate) fn table(objects: impl IntoIterator<Item = Value>) -> IstioGatewayTable {
    IstioGatewayTable::compile(&cluster(objects), &edge()).expect("the Gateway is there")
}

/// The table of one VirtualService with these rules behind one plain server for everything.
pub(crate) fn table_of(http: Value) -> IstioGatewayTable {
    table([gateway(json!([server(80, "HTTP", json!(["*"]))])), virtual_service("v", http)])
}

/// A request over plain HTTP.
pub(crate) fn ask<'t>(table: &'t IstioGatewayTable, url: &str, headers: &[(&str, &str)]) -> HttpDecision<'t> {
    let (authority, target) = url.split_once('/').expect("a path");
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = format!("/{path}");
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80);
    let mut question = HttpQuestion::new(Scheme::Http, authority, &path).port(port).headers(&headers);
    question.query = query;
    table.decide(&question, None)
}

/// The VirtualService and rule that took the request, and what came of it; or the status alone.
pub(crate) fn told(decision: &HttpDecision<'_>) -> String {
    let route = decision.rule.and_then(|rule| rule.origin.virtual_service());
    let who = route.map_or(String::new(), |(route, rule)| format!("{} {rule}: ", route.name));
    match &decision.outcome {
        Outcome::Forward { path, host, .. } => {
            let backends = decision.rule.and_then(|rule| rule.action.backends()).expect("backends");
            let names: Vec<String> = backends.shares().map(|(entry, p)| format!("{p} {}", entry.backend)).collect();
            let path = path.as_ref().map_or(String::new(), |path| format!(", path {path}"));
            let host = host.map_or(String::new(), |host| format!(", host {host}"));
            format!("{who}{}{path}{host}", names.join(" | "))
        }
        Outcome::Redirect { code, location } => format!("{who}{code} {location}"),
        Outcome::Respond { status, .. } => format!("{who}{status}"),
        _ => format!("{who}no HTTP"),
    }
}

pub(crate) fn host(text: &str) -> Host {
    text.parse().expect("a host")
}
