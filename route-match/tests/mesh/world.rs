//! Worlds of the mesh, spelt as manifests are.

use route_match::Host;
use route_match::istio::{Caller, HttpQuestion, MeshTable, Scheme, StreamTarget};
use serde_json::{Value, json};
use svc_model::api::{
    DestinationRule, MeshConfig, Pod, Service, ServiceEntry, Sidecar, StringMap, VirtualService, WorkloadEntry,
};
use svc_model::{Cluster, Object};

/// An object of the kinds that a mesh is made of.
pub(crate) fn object(manifest: &Value) -> Object {
    fn read<T: serde::de::DeserializeOwned + Into<Object>>(manifest: &Value) -> Object {
        serde_json::from_value::<T>(manifest.clone()).unwrap().into()
    }
    match manifest["kind"].as_str().unwrap() {
        "Service" => read::<Service>(manifest),
        "Pod" => read::<Pod>(manifest),
        "VirtualService" => read::<VirtualService>(manifest),
        "ServiceEntry" => read::<ServiceEntry>(manifest),
        "WorkloadEntry" => read::<WorkloadEntry>(manifest),
        "DestinationRule" => read::<DestinationRule>(manifest),
        "Sidecar" => read::<Sidecar>(manifest),
        other => panic!("{other} is no kind of these tests"),
    }
}

pub(crate) fn manifest(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({"kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

pub(crate) fn service(namespace: &str, name: &str, address: &str, ports: &[(u16, &str)]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|(port, name)| json!({"port": port, "name": name})).collect();
    manifest("Service", namespace, name, json!({"clusterIP": address, "ports": ports}))
}

pub(crate) fn cluster(manifests: &[Value]) -> Cluster {
    manifests.iter().map(object).collect()
}

pub(crate) fn mesh(manifests: &[Value], namespace: &str) -> MeshTable {
    MeshTable::compile(&cluster(manifests), &MeshConfig::default(), &Caller::new(namespace, StringMap::new()))
}

/// Where requests of this URL go: who says so, and the destinations with their parts.
pub(crate) fn http(table: &MeshTable, url: &str) -> String {
    let (scheme, rest) = match url.strip_prefix("https://") {
        Some(rest) => (Scheme::Https, rest),
        None => (Scheme::Http, url.strip_prefix("http://").unwrap()),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut question = HttpQuestion::new(scheme, authority, path);
    if let Some((_, port)) = authority.rsplit_once(':') {
        question.port = port.parse().unwrap();
    }
    let decision = table.decide(&question);
    let backends = decision.backends();
    let backends: Vec<String> =
        backends.into_iter().flat_map(|b| b.shares()).map(|(to, p)| format!("{p} {}", to.backend)).collect();
    match decision.origin() {
        Some(origin) => format!("{origin}: {}", backends.join(", ")),
        None => decision.to_string(),
    }
}

pub(crate) fn tcp(table: &MeshTable, host: &str, port: u16) -> String {
    let host: Host = host.parse().unwrap();
    stream(&table.decide_tcp(port, StreamTarget::of(&host)))
}

pub(crate) fn tls(table: &MeshTable, name: &str, port: u16) -> String {
    stream(&table.decide_tls(port, name.parse().ok().as_ref()))
}

fn stream(decision: &route_match::istio::StreamDecision<'_>) -> String {
    match decision.rule {
        Some(rule) => {
            let shares: Vec<String> = rule.backends.shares().map(|(to, p)| format!("{p} {}", to.backend)).collect();
            format!("{}: {}", rule.origin, shares.join(", "))
        }
        None if decision.is_passthrough() => "let through".to_owned(),
        None => decision.to_string(),
    }
}
