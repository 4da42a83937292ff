//! Small clusters for the tests, from JSON.

#![allow(dead_code, reason = "each test file uses its part")]

use dns_records::kubernetes::{Server, Zone};
use dns_records::{Answer, Name, Question};
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::{Cluster, Kind};

/// A cluster of these objects, as they are.
pub(crate) fn cluster(objects: impl IntoIterator<Item = Value>) -> Cluster {
    let mut cluster = Cluster::new();
    objects.into_iter().for_each(|object| apply(&mut cluster, object));
    cluster
}

pub(crate) fn apply(cluster: &mut Cluster, object: Value) {
    let kind: Kind = object["kind"].as_str().unwrap().parse().unwrap();
    cluster.apply(kind.deserialize(object).unwrap());
}

pub(crate) fn corefile(text: &str) -> Value {
    json!({"kind": "ConfigMap", "metadata": {"name": "coredns", "namespace": "kube-system"}, "data": {"Corefile": text}})
}

/// A Corefile with one `kubernetes` block of these words.
pub(crate) fn kubernetes(words: &str) -> Value {
    corefile(&format!(".:53 {{\n errors\n kubernetes cluster.local in-addr.arpa ip6.arpa {{\n{words}\n}}\n}}\n"))
}

pub(crate) fn service(key: &str, cluster_ips: &[&str], ports: Value) -> Value {
    let (namespace, name) = key.split_once('/').unwrap();
    json!({"kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": cluster_ips.first(), "clusterIPs": cluster_ips, "ports": ports}})
}

pub(crate) fn alias(key: &str, target: &str) -> Value {
    let (namespace, name) = key.split_once('/').unwrap();
    json!({"kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": target}})
}

pub(crate) fn slice(key: &str, family: &str, ports: Value, endpoints: Value) -> Value {
    let (namespace, service) = key.split_once('/').unwrap();
    json!({"kind": "EndpointSlice", "addressType": family, "ports": ports, "endpoints": endpoints,
        "metadata": {"name": format!("{service}-{family}"), "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service}}})
}

pub(crate) fn pod(key: &str, ip: &str, spec: Value) -> Value {
    let (namespace, name) = key.split_once('/').unwrap();
    json!({"kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec,
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}})
}

/// What the whole server answers a client, as [`show`] writes it.
pub(crate) fn serve(server: &Server, name: &str, record_type: &str, client: Option<&str>) -> String {
    let name: Name = name.parse().unwrap();
    let question = Question::new(&name, record_type.parse().unwrap());
    show(&server.answer(question, client.map(|client| client.parse().unwrap())))
}

/// `RCODE: answer | authority | additional`, records in order, and `; reason`.
pub(crate) fn ask(zone: &Zone, name: &str, record_type: &str) -> String {
    let name: Name = name.parse().unwrap();
    show(&zone.answer(Question::new(&name, record_type.parse().unwrap())))
}

pub(crate) fn show<R: std::fmt::Display>(answer: &Answer<R>) -> String {
    let section =
        |records: &[dns_records::Record]| records.iter().map(|r| format!(" {r}")).collect::<Vec<_>>().join(",");
    format!(
        "{}:{} |{} |{} ; {}",
        answer.rcode,
        section(&answer.answer),
        section(&answer.authority),
        section(&answer.additional),
        answer.reason
    )
}

/// The rcode and the answer section alone.
pub(crate) fn short(zone: &Zone, name: &str, record_type: &str) -> String {
    let whole = ask(zone, name, record_type);
    whole.split(" |").next().unwrap().to_owned()
}
