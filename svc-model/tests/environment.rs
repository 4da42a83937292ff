//! Which variables does a container get? The corners of the kubelet's rules.

mod common;

use common::{cluster, service};
use serde_json::{Value, json};
use svc_model::api::Pod;
use svc_model::{Cluster, service_environment};

fn pod(namespace: &str, links: Option<bool>) -> Pod {
    let spec = json!({ "enableServiceLinks": links });
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": namespace}, "spec": spec})).unwrap()
}

fn in_namespace(namespace: &str, mut object: Value) -> Value {
    object["metadata"]["namespace"] = namespace.into();
    object
}

fn value(cluster: &Cluster, namespace: &str, links: Option<bool>, name: &str) -> Option<String> {
    service_environment(cluster, &pod(namespace, links)).remove(name)
}

#[test]
fn the_api_server_is_in_every_pod_unless_its_namespace_says_otherwise() {
    let of = |ip: &str| service("kubernetes", json!({ "clusterIP": ip }));
    let world = cluster([of("10.96.0.1"), in_namespace("shop", of("10.96.0.99")), in_namespace("data", of("None"))]);
    for (namespace, links, ip) in [
        ("default", None, "10.96.0.1"),
        ("default", Some(false), "10.96.0.1"),
        ("shop", None, "10.96.0.99"),
        ("shop", Some(true), "10.96.0.99"),
        ("shop", Some(false), "10.96.0.1"),
        // A headless one replaces nothing.
        ("data", None, "10.96.0.1"),
        ("elsewhere", None, "10.96.0.1"),
    ] {
        let found = value(&world, namespace, links, "KUBERNETES_SERVICE_HOST");
        assert_eq!(found.as_deref(), Some(ip), "{namespace} {links:?}");
    }
}

#[test]
fn services_without_an_address_have_no_variables() {
    for spec in [
        json!({"clusterIP": "None"}),
        json!({"clusterIP": "", "clusterIPs": ["None"]}),
        json!({"clusterIP": ""}),
        json!({"clusterIP": "10.96.0"}),
        json!({"type": "ExternalName", "externalName": "db.example.com"}),
    ] {
        let world = cluster([service("db", spec.clone())]);
        assert!(service_environment(&world, &pod("default", None)).is_empty(), "{spec}");
    }
}

#[test]
fn every_protocol_and_name_of_a_dual_stack_service() {
    let ports = json!([
        {"name": "dns-udp", "port": 53, "protocol": "UDP", "targetPort": 1053},
        {"name": "dns", "port": 53},
        {"name": "m3ua", "port": 2905, "protocol": "SCTP"},
        {"name": "bad", "port": 0},
    ]);
    let spec = json!({"clusterIP": "fd00::a", "clusterIPs": ["fd00::a", "10.96.0.10"], "ports": ports});
    let world = cluster([service("kube-dns", spec)]);
    let env = service_environment(&world, &pod("default", None));
    let expected = [
        ("KUBE_DNS_PORT", "udp://[fd00::a]:53"),
        ("KUBE_DNS_PORT_2905_SCTP", "sctp://[fd00::a]:2905"),
        ("KUBE_DNS_PORT_2905_SCTP_ADDR", "fd00::a"),
        ("KUBE_DNS_PORT_2905_SCTP_PORT", "2905"),
        ("KUBE_DNS_PORT_2905_SCTP_PROTO", "sctp"),
        ("KUBE_DNS_PORT_53_TCP", "tcp://[fd00::a]:53"),
        ("KUBE_DNS_PORT_53_TCP_ADDR", "fd00::a"),
        ("KUBE_DNS_PORT_53_TCP_PORT", "53"),
        ("KUBE_DNS_PORT_53_TCP_PROTO", "tcp"),
        ("KUBE_DNS_PORT_53_UDP", "udp://[fd00::a]:53"),
        ("KUBE_DNS_PORT_53_UDP_ADDR", "fd00::a"),
        ("KUBE_DNS_PORT_53_UDP_PORT", "53"),
        ("KUBE_DNS_PORT_53_UDP_PROTO", "udp"),
        ("KUBE_DNS_SERVICE_HOST", "fd00::a"),
        ("KUBE_DNS_SERVICE_PORT", "53"),
        ("KUBE_DNS_SERVICE_PORT_DNS", "53"),
        ("KUBE_DNS_SERVICE_PORT_DNS_UDP", "53"),
        ("KUBE_DNS_SERVICE_PORT_M3UA", "2905"),
    ];
    assert!(env.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{env:#?}");
}

#[test]
fn the_address_is_as_it_is_written() {
    let world = cluster([service("db", json!({"clusterIP": "010.96.0.7"}))]);
    assert_eq!(value(&world, "default", None, "DB_SERVICE_HOST").as_deref(), Some("010.96.0.7"));
}

#[test]
fn of_colliding_names_the_later_service_has_it() {
    let of = |name: &str, ip: &str| service(name, json!({ "clusterIP": ip, "ports": [{"port": 80}] }));
    for order in [[("a", "10.0.0.1"), ("a-service", "10.0.0.2")], [("a-service", "10.0.0.2"), ("a", "10.0.0.1")]] {
        let world = cluster(order.map(|(name, ip)| of(name, ip)));
        // The number of the one, the address and number of the other.
        assert_eq!(value(&world, "default", None, "A_SERVICE_PORT").as_deref(), Some("tcp://10.0.0.2:80"));
    }
}
