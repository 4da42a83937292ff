//! The conditions that a controller reports.

use route_match::gateway::{Condition, GatewayTable, gateways_of, route_status};
use serde_json::{Value, json};
use svc_model::{Kind, ObjectRef};

use crate::world::{cluster, edge, gateway, plain_listener, route, service};

fn words(conditions: &[Condition]) -> Vec<String> {
    conditions.iter().map(|c| format!("{} {} {}", c.kind, c.status, c.reason)).collect()
}

#[test]
fn listeners_tell_conflicts_missing_certificates_and_attached_routes() {
    let class = json!({"kind": "GatewayClass", "metadata": {"name": "any"}, "spec": {"controllerName": "a.example/b"}});
    let listeners = json!([
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "again", "port": 80, "protocol": "HTTP"},
        {"name": "tcp", "port": 80, "protocol": "TCP"},
        {"name": "tls", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "gone"}]}},
        {"name": "odd", "port": 81, "protocol": "SCTP"},
        {"name": "kinds", "port": 82, "protocol": "HTTP", "allowedRoutes": {"kinds": [{"kind": "TCPRoute"}]}},
    ]);
    let cluster = cluster([class, gateway(listeners), route("r", json!([{}]))]);
    let table = GatewayTable::compile(&cluster, &edge()).unwrap();
    let status = table.status(&cluster);
    assert_eq!(words(&status.conditions), ["Accepted True ListenersNotValid", "Programmed True Programmed"]);
    let of = |name: &str| status.listeners.iter().find(|listener| &*listener.name == name).unwrap();
    assert_eq!(of("http").attached_routes, 1);
    assert_eq!(of("http").supported_kinds, [Kind::HttpRoute, Kind::GrpcRoute]);
    assert!(of("http").conditions.iter().all(|c| c.is_true() != (c.kind == "Conflicted")));
    assert!(words(&of("again").conditions).contains(&"Conflicted True HostnameConflict".to_owned()));
    assert!(words(&of("tcp").conditions).contains(&"Conflicted True ProtocolConflict".to_owned()));
    assert!(words(&of("tls").conditions).contains(&"ResolvedRefs False InvalidCertificateRef".to_owned()));
    assert!(words(&of("tls").conditions).contains(&"Programmed False Invalid".to_owned()));
    assert!(words(&of("odd").conditions).contains(&"Accepted False UnsupportedProtocol".to_owned()));
    assert!(words(&of("kinds").conditions).contains(&"ResolvedRefs False InvalidRouteKinds".to_owned()));
    assert_eq!(of("kinds").supported_kinds, []);
    let order: Vec<&str> = status.listeners.iter().map(|listener| &*listener.name).collect();
    assert_eq!(order, ["http", "again", "tcp", "tls", "odd", "kinds"]);
}

#[test]
fn routes_tell_why_they_are_not_attached_and_what_does_not_resolve() {
    let with_parents = |name: &str, parents: Value, reference: Value| {
        let mut route = route(name, json!([{"backendRefs": [reference]}]));
        route["spec"]["parentRefs"] = parents;
        route
    };
    let ready = json!({"name": "ready", "port": 80});
    let mut objects = vec![
        gateway(json!([
            {"name": "a", "port": 80, "protocol": "HTTP", "hostname": "a.example"},
            {"name": "b", "port": 81, "protocol": "HTTP", "allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}},
        ])),
        with_parents("fine", json!([{"name": "edge", "sectionName": "a"}]), ready.clone()),
        with_parents("section", json!([{"name": "edge", "sectionName": "z"}]), ready.clone()),
        with_parents("kind", json!([{"name": "edge", "port": 81}]), ready.clone()),
        with_parents("gone", json!([{"name": "edge"}]), json!({"name": "gone", "port": 80})),
        with_parents("granted", json!([{"name": "edge"}]), json!({"name": "x", "namespace": "y", "port": 80})),
        with_parents(
            "odd",
            json!([{"name": "edge"}, {"name": "none"}]),
            json!({"kind": "Pod", "name": "x", "port": 80}),
        ),
    ];
    let mut elsewhere = with_parents("host", json!([{"name": "edge", "sectionName": "a"}]), ready);
    elsewhere["spec"]["hostnames"] = json!(["b.example"]);
    objects.push(elsewhere);
    objects.extend(service("infra", "ready", true));
    let cluster = cluster(objects);
    let table = GatewayTable::compile(&cluster, &edge()).unwrap();
    for (name, accepted, resolved) in [
        ("fine", "Accepted True Accepted", "ResolvedRefs True ResolvedRefs"),
        ("section", "Accepted False NoMatchingParent", "ResolvedRefs True ResolvedRefs"),
        ("kind", "Accepted False NotAllowedByListeners", "ResolvedRefs True ResolvedRefs"),
        ("host", "Accepted False NoMatchingListenerHostname", "ResolvedRefs True ResolvedRefs"),
        ("gone", "Accepted True Accepted", "ResolvedRefs False BackendNotFound"),
        ("granted", "Accepted True Accepted", "ResolvedRefs False RefNotPermitted"),
        ("odd", "Accepted True Accepted", "ResolvedRefs False InvalidKind"),
    ] {
        let reference = ObjectRef::new(Kind::HttpRoute, "infra", name);
        assert_eq!(gateways_of(&cluster, &reference), [edge()]);
        let status = route_status(&cluster, &reference, [&table]).unwrap();
        assert_eq!(words(&status.parents[0].conditions), [accepted, resolved], "{name}");
        assert_eq!(status.orphans.len(), usize::from(name == "odd"), "{name}");
    }
}

#[test]
fn listener_sets_add_listeners_where_they_are_let_in() {
    let mut owner = gateway(plain_listener());
    owner["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    let set = |name: &str, namespace: &str, port: u16| {
        json!({
            "kind": "ListenerSet", "metadata": {"name": name, "namespace": namespace},
            "spec": {"parentRef": {"name": "edge", "namespace": "infra"},
                "listeners": [{"name": "extra", "port": port, "protocol": "HTTP"}]},
        })
    };
    let cluster = cluster([owner, set("in", "infra", 8080), set("out", "other", 8081), set("same", "infra", 80)]);
    let table = GatewayTable::compile(&cluster, &edge()).unwrap();
    let ports: Vec<u16> = table.listeners().iter().map(|listener| listener.port).collect();
    assert_eq!(ports, [80, 8080]);
    let status = table.status(&cluster);
    let admitted: Vec<(&str, bool)> = status.listener_sets.iter().map(|(set, ok)| (&*set.name, *ok)).collect();
    assert_eq!(admitted, [("in", true), ("same", true), ("out", false)]);
}
