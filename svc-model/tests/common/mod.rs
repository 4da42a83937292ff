//! Objects from JSON, as tests write them.
#![allow(dead_code)] // each test binary uses a part

use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::{Cluster, Decision, Kind, NodeSettings, NodeView, Object, Packet, Protocol, complete};

/// An object of the kind that its `kind` names.
pub(crate) fn object(value: Value) -> Object {
    let kind: Kind = value["kind"].as_str().expect("a kind").parse().expect("a known kind");
    kind.deserialize(value).expect("an object that can be read")
}

/// A cluster of these objects, as they are.
pub(crate) fn cluster(objects: impl IntoIterator<Item = Value>) -> Cluster {
    objects.into_iter().map(object).collect()
}

/// The same, completed.
pub(crate) fn completed(objects: impl IntoIterator<Item = Value>) -> Cluster {
    let mut cluster = cluster(objects);
    let findings = complete(&mut cluster);
    assert_eq!(findings, []);
    cluster
}

pub(crate) fn node(name: &str, ip: &str) -> Value {
    json!({"kind": "Node", "metadata": {"name": name}, "status": {"addresses": [{"type": "InternalIP", "address": ip}]}})
}

pub(crate) fn proxy(extra: Value) -> Value {
    let mut config = json!({"kind": "KubeProxyConfiguration", "clusterCIDR": "10.0.0.0/8"});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    config
}

/// A Service `default/NAME` with one port 80, changed by `spec`.
pub(crate) fn service(name: &str, spec: Value) -> Value {
    let mut full = json!({"clusterIP": "172.30.0.41", "ports": [{"name": "http", "port": 80}]});
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"kind": "Service", "metadata": {"name": name}, "spec": full})
}

/// A slice of `default/SERVICE` for the port `http`; an endpoint is an address, a node, and conditions.
pub(crate) fn slice(service: &str, endpoints: &[(&str, &str, Value)]) -> Value {
    let endpoint = |(addr, node, conditions): &(&str, &str, Value)| json!({"addresses": [addr], "nodeName": node, "conditions": conditions});
    json!({
        "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

pub(crate) fn view(cluster: &Cluster, node: &str) -> NodeView {
    NodeView::new(cluster, NodeSettings::of(cluster, Some(node)).expect("a node is named"))
}

/// The decision about a TCP packet.
pub(crate) fn decide<'v>(view: &'v NodeView, src: &str, dst: &str) -> Decision<'v> {
    view.decide(&Packet::new(src.parse().unwrap(), dst.parse().unwrap(), Protocol::Tcp))
}

/// Verdict and candidates in short: `dnat 10.0.0.1:80 10.0.0.2:80 masq`.
pub(crate) fn short(view: &NodeView, src: &str, dst: &str) -> String {
    let decision = decide(view, src, dst);
    let mut words = vec![decision.verdict.to_string()];
    words.extend(decision.endpoints.candidates().iter().map(|backend| backend.addr.to_string()));
    if decision.endpoints.masquerades_any() {
        words.push("masq".into());
    }
    words.join(" ")
}
