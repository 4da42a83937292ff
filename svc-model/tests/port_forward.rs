//! Which Pod and port does `kubectl port-forward` mean?

mod common;

use common::{cluster, service};
use serde_json::{Value, json};
use svc_model::{Cluster, ForwardError, ForwardPort, ForwardTarget, NamespacedName, port_forward};

fn pod(name: &str, ports: Value, status: Value) -> Value {
    let mut full = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    full.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    let spec = json!({"containers": [{"name": "c", "image": "i", "ports": ports}]});
    json!({"kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec, "status": full})
}

fn web(spec: Value) -> Value {
    let mut selecting = json!({"selector": {"app": "web"}});
    selecting.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    service("web", selecting)
}

/// `POD PORT`, or the kind of error.
fn forward(cluster: &Cluster, target: &str, port: &str) -> String {
    let name = NamespacedName::new("default", &target[4..]);
    let target = if target.starts_with("svc/") { ForwardTarget::Service(name) } else { ForwardTarget::Pod(name) };
    let port = port.parse().map_or(ForwardPort::Name(port.to_owned()), ForwardPort::Number);
    match port_forward(cluster, &target, &port) {
        Ok(forward) => format!("{} {}", forward.pod, forward.port),
        Err(ForwardError::NotFound(_)) => "not found".to_owned(),
        Err(ForwardError::NoSelector(_)) => "no selector".to_owned(),
        Err(ForwardError::NoPod(_)) => "no pod".to_owned(),
        Err(ForwardError::NotRunning { .. }) => "not running".to_owned(),
        Err(ForwardError::NoPort { .. }) => "no port".to_owned(),
        Err(ForwardError::NotTcp { .. }) => "not tcp".to_owned(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_service_leads_to_its_target_port_in_one_pod() {
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": "web"},
        {"name": "admin", "port": 81, "targetPort": 9000},
        {"name": "same", "port": 82},
        {"name": "lost", "port": 83, "targetPort": "nowhere"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "both-udp", "port": 54, "protocol": "UDP", "targetPort": 1},
        {"name": "both", "port": 54, "targetPort": 2},
        {"name": "sctp", "port": 84, "protocol": "SCTP"},
    ]);
    let container =
        json!([{"name": "web", "containerPort": 8080}, {"name": "web", "containerPort": 1, "protocol": "UDP"}]);
    let world = cluster([
        web(json!({ "ports": ports })),
        pod("b", container.clone(), json!({})),
        pod("a", container, json!({})),
    ]);
    for (port, expected) in [
        ("80", "default/a 8080"),
        ("http", "default/a 8080"),
        ("81", "default/a 9000"),
        ("same", "default/a 82"),
        ("83", "no port"),
        ("8080", "no port"),
        ("53", "not tcp"),
        ("dns", "not tcp"),
        ("84", "not tcp"),
        ("54", "default/a 2"),
        ("other", "no port"),
    ] {
        assert_eq!(forward(&world, "svc/web", port), expected, "{port}");
    }
}

#[test]
fn a_running_pod_goes_before_a_ready_one_and_that_before_the_first() {
    let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
    for (pods, expected) in [
        (vec![pod("a", json!([]), ready("False")), pod("b", json!([]), ready("True"))], "default/b 80"),
        (vec![pod("a", json!([]), json!({"phase": "Pending"})), pod("b", json!([]), ready("False"))], "default/b 80"),
        (vec![pod("a", json!([]), json!({"phase": "Succeeded"}))], "not running"),
        (vec![], "no pod"),
    ] {
        assert_eq!(forward(&cluster(pods.into_iter().chain([web(json!({}))])), "svc/web", "80"), expected);
    }
}

#[test]
fn what_stands_for_no_pod_cannot_be_forwarded() {
    let slice = common::slice("web", &[("10.1.0.1", "n1", json!({}))]);
    let world = cluster([service("web", json!({})), slice, pod("a", json!([]), json!({}))]);
    assert_eq!(forward(&world, "svc/web", "80"), "no selector");
    assert_eq!(forward(&world, "svc/other", "80"), "not found");
    assert_eq!(forward(&world, "pod/other", "80"), "not found");
}

#[test]
fn a_headless_service_takes_numbers_as_they_are() {
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
    let world = cluster([web(json!({"clusterIP": "None", "ports": ports})), pod("a", json!([]), json!({}))]);
    for (port, expected) in [("80", "default/a 80"), ("7", "default/a 7"), ("http", "default/a 80"), ("x", "no port")] {
        assert_eq!(forward(&world, "svc/web", port), expected, "{port}");
    }
}

#[test]
fn a_pod_takes_numbers_as_they_are_and_the_names_of_its_containers() {
    let ports = json!([{"name": "web", "containerPort": 8080}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 90}]);
    let world = cluster([pod("a", ports, json!({})), pod("b", json!([]), json!({"phase": "Failed"}))]);
    for (port, expected) in [
        ("8080", "default/a 8080"),
        ("7", "default/a 7"),
        ("web", "default/a 8080"),
        ("53", "not tcp"),
        ("x", "no port"),
    ] {
        assert_eq!(forward(&world, "pod/a", port), expected, "{port}");
    }
    assert_eq!(forward(&world, "pod/b", "80"), "not running");
}

#[test]
fn an_empty_name_is_no_unnamed_port() {
    let unnamed = json!([{"port": 80}]);
    let world = cluster([web(json!({ "ports": unnamed })), pod("a", json!([{"containerPort": 90}]), json!({}))]);
    assert_eq!(forward(&world, "svc/web", ""), "no port");
    assert_eq!(forward(&world, "pod/a", ""), "no port");
}
