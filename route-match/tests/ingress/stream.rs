//! TCP and UDP ports of ingress-nginx that lead to Services.

use route_match::ingress::{ControllerFlags, NoStream, SkippedEntry, check, served, stream};
use svc_model::api::{ConfigMap, Deployment, Endpoints, Service};
use svc_model::{Cluster, Protocol};

/// A controller with both flags, a Service `default/app` with a ready endpoint, and one `default/idle` without.
fn world(tcp: serde_json::Value, udp: serde_json::Value) -> (Cluster, ControllerFlags) {
    let read = |value| serde_json::from_value::<Service>(value).unwrap();
    let mut cluster = Cluster::new();
    let controller: Deployment = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "controller", "namespace": "edge"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "args": [
            "/nginx-ingress-controller", "--tcp-services-configmap=edge/tcp", "--udp-services-configmap=edge/udp", "--http-port=8080",
        ]}]}}},
    }))
    .unwrap();
    cluster.apply(controller);
    for name in ["app", "idle"] {
        cluster.apply(read(serde_json::json!({
            "metadata": {"name": name},
            "spec": {"ports": [{"name": "main", "port": 5000}, {"name": "dns", "port": 53, "protocol": "UDP"}]},
        })));
    }
    let endpoints: Endpoints = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "app"},
        "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "main", "port": 1}, {"name": "dns", "port": 2, "protocol": "UDP"}]}],
    }))
    .unwrap();
    cluster.apply(endpoints);
    for (name, data) in [("tcp", tcp), ("udp", udp)] {
        let map = serde_json::json!({"metadata": {"name": name, "namespace": "edge"}, "data": data});
        cluster.apply(serde_json::from_value::<ConfigMap>(map).unwrap());
    }
    let flags = served(&cluster, "nginx").unwrap().flags;
    (cluster, flags)
}

fn tcp(value: &str, port: u16) -> Result<String, NoStream> {
    let (cluster, flags) = world(serde_json::json!({ port.to_string(): value }), serde_json::json!({}));
    stream(&cluster, &flags, Protocol::Tcp, port).map(|found| format!("{} {}", found.route, found.backend))
}

#[test]
fn a_port_leads_to_the_service_that_its_entry_names_by_number_or_name() {
    let expected = Ok("ConfigMap/edge/tcp Service/default/app port 5000".to_owned());
    for value in ["default/app:5000", "default/app:main", "default/app:5000:PROXY", "default/app:5000:PROXY:PROXY"] {
        assert_eq!(tcp(value, 9000), expected, "{value}");
    }
}

#[test]
fn the_protocol_of_the_map_must_be_that_of_the_port() {
    let (cluster, flags) =
        world(serde_json::json!({"53": "default/app:53"}), serde_json::json!({"53": "default/app:dns"}));
    assert!(matches!(
        stream(&cluster, &flags, Protocol::Tcp, 53),
        Err(NoStream::Skipped(_, SkippedEntry::NoPort(_, Protocol::Tcp)))
    ));
    assert_eq!(stream(&cluster, &flags, Protocol::Udp, 53).unwrap().backend.port, 53);
    assert_eq!(stream(&cluster, &flags, Protocol::Sctp, 53), Err(NoStream::NoFlag(Protocol::Sctp)));
}

#[test]
fn an_entry_that_cannot_be_served_is_skipped_and_says_why() {
    let why = |value, port| match tcp(value, port) {
        Err(NoStream::Skipped(_, why)) => why.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why("default/app:5000", 443), "the controller listens on that port itself");
    assert_eq!(why("default/app:5000", 8080), "the controller listens on that port itself");
    assert_eq!(why("default/app", 9000), "the value is not of the form NAMESPACE/SERVICE:PORT");
    assert_eq!(why("app:5000", 9000), "the value is not of the form NAMESPACE/SERVICE:PORT");
    assert_eq!(why("default/gone:5000", 9000), "Service/default/gone does not exist");
    assert_eq!(why("default/app:5001", 9000), "Service/default/app has no such TCP port");
    assert_eq!(why("default/idle:5000", 9000), "no endpoint of that port of Service/default/idle is ready");
}

#[test]
fn without_entry_map_or_flag_nothing_listens() {
    let (mut cluster, flags) = world(serde_json::json!({}), serde_json::json!({}));
    let words = |cluster: &Cluster, flags: &ControllerFlags| {
        stream(cluster, flags, Protocol::Tcp, 9000).unwrap_err().to_string()
    };
    assert_eq!(words(&cluster, &flags), "ConfigMap/edge/tcp has no entry for the port");
    cluster.remove(&"ConfigMap/edge/tcp".parse().unwrap());
    assert_eq!(words(&cluster, &flags), "ConfigMap/edge/tcp does not exist");
    let without = ControllerFlags::default();
    assert_eq!(words(&cluster, &without), "the controller runs without --tcp-services-configmap");
}

#[test]
fn check_warns_of_entries_that_are_skipped_but_not_of_endpoints_that_may_come() {
    let data = serde_json::json!({"9000": "default/gone:1", "9001": "default/idle:5000", "x": "default/app:5000"});
    let (cluster, _) = world(data, serde_json::json!({}));
    let fields: Vec<String> = check::cluster(&cluster).into_iter().map(|finding| finding.field).collect();
    assert_eq!(fields, ["data[9000]", "data[x]"]);
}
