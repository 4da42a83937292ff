//! Small worlds: objects from JSON, a Gateway, and questions about it.

use route_match::Host;
use route_match::gateway::{Decision, GatewayTable, HttpQuestion, Outcome, Scheme};
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::{Cluster, Kind, NamespacedName, Object};

/// An object from what its manifest says.
pub(crate) fn object(value: Value) -> Object {
    let kind: Kind = value["kind"].as_str().expect("a kind").parse().expect("a known kind");
    kind.deserialize(value).expect("an object")
}

pub(crate) fn cluster(objects: impl IntoIterator<Item = Value>) -> Cluster {
    objects.into_iter().map(object).collect()
}

/// Gateway `infra/edge` with these listeners.
pub(crate) fn gateway(listeners: Value) -> Value {
    json!({
        "kind": "Gateway", "metadata": {"name": "edge", "namespace": "infra"},
        "spec": {"gatewayClassName": "any", "listeners": listeners},
    })
}

/// The one listener of most tests.
pub(crate) fn plain_listener() -> Value {
    json!([{"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}])
}

/// A Service with port 80, and a ready endpoint if it is to have one.
pub(crate) fn service(namespace: &str, name: &str, ready: bool) -> [Value; 2] {
    let endpoints = if ready { json!([{"addresses": ["10.0.0.1"]}]) } else { json!([]) };
    [
        json!({"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {"ports": [{"port": 80}]}}),
        json!({
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "ports": [{"name": "", "port": 80}], "endpoints": endpoints,
        }),
    ]
}

/// An HTTPRoute of namespace `infra`, attached to the Gateway, with these rules.
pub(crate) fn route(name: &str, rules: Value) -> Value {
    json!({
        "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "infra"},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": rules},
    })
}

pub(crate) fn edge() -> NamespacedName {
    NamespacedName::new("infra", "edge")
}

pub(crate) fn table(objects: impl IntoIterator<Item = Value>) -> GatewayTable {
    GatewayTable::compile(&cluster(objects), &edge()).expect("the Gateway is there")
}

/// A request over plain HTTP to port 80.
pub(crate) fn ask<'t>(table: &'t GatewayTable, method: &str, path: &str, headers: &[(&str, &str)]) -> Decision<'t> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut question = HttpQuestion::new(Scheme::Http, "shop.example", path).method(method).headers(&headers);
    question.query = query;
    table.decide(&question, None)
}

/// The route and rule that took the request, or the status.
pub(crate) fn winner(decision: &Decision<'_>) -> String {
    match (decision.rule, &decision.outcome) {
        (Some(rule), _) => format!("{} {}", rule.route.name, rule.rule),
        (None, Outcome::Respond { status, .. }) => status.to_string(),
        (None, outcome) => format!("{outcome:?}"),
    }
}

pub(crate) fn host(text: &str) -> Host {
    text.parse().expect("a host")
}
