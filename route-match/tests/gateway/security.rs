//! Public defects of peers, each as a test of its number.

use route_match::gateway::{GatewayTable, HttpQuestion, Outcome, Scheme};
use serde_json::{Value, json};
use svc_model::{Kind, ObjectRef, Touched};

use crate::world::{ask, cluster, edge, gateway, object, plain_listener, route, service, table, winner};

fn grant() -> Value {
    json!({
        "kind": "ReferenceGrant", "metadata": {"name": "g", "namespace": "other"},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "infra"}],
            "to": [{"group": "", "kind": "Service"}],
        },
    })
}

#[test]
fn cve_2024_42487_the_method_weighs_more_than_headers() {
    let table = table([
        gateway(plain_listener()),
        route(
            "r",
            json!([
                {"matches": [{"headers": [{"name": "x", "value": "1"}]}]},
                {"matches": [{"method": "POST"}]},
            ]),
        ),
    ]);
    assert_eq!(winner(&ask(&table, "POST", "/", &[("x", "1")])), "r 1");
}

#[test]
fn cve_2024_42486_a_revoked_grant_is_honoured_no_more_whatever_the_order() {
    let mut objects = vec![
        gateway(plain_listener()),
        route("r", json!([{"backendRefs": [{"name": "far", "namespace": "other", "port": 80}]}])),
        grant(),
    ];
    objects.extend(service("other", "far", true));
    let far = |table: &GatewayTable| matches!(ask(table, "GET", "/", &[]).outcome, Outcome::Forward { .. });
    for first in 0..objects.len() {
        // The objects come in every rotation; then the grant goes.
        let mut cluster = cluster([gateway(plain_listener())]);
        let mut table = GatewayTable::compile(&cluster, &edge()).unwrap();
        let mut touched = Touched::default();
        for value in objects[first..].iter().chain(&objects[..first]) {
            touched.extend(cluster.apply(object(value.clone())).touched);
        }
        table.update(&cluster, &touched).unwrap();
        assert!(far(&table), "granted");
        let gone = cluster.remove(&ObjectRef::new(Kind::ReferenceGrant, "other", "g")).touched;
        table.update(&cluster, &gone).unwrap();
        assert!(!far(&table), "revoked");
    }
}

#[test]
fn cve_2021_34824_a_secret_of_another_namespace_needs_a_grant() {
    let https = json!([{"name": "s", "port": 443, "protocol": "HTTPS",
        "tls": {"certificateRefs": [{"name": "c", "namespace": "other"}]}}]);
    let secret = json!({"kind": "Secret", "metadata": {"name": "c", "namespace": "other"}});
    let mut to_secret = grant();
    to_secret["spec"]["from"][0]["kind"] = json!("Gateway");
    to_secret["spec"]["to"][0]["kind"] = json!("Secret");
    let secrets = |objects: Vec<Value>| table(objects).listeners()[0].secrets().count();
    assert_eq!(secrets(vec![gateway(https.clone()), secret.clone()]), 0);
    assert_eq!(
        secrets(vec![gateway(https.clone()), secret.clone(), grant()]),
        0,
        "a grant for Services is none for Secrets"
    );
    assert_eq!(secrets(vec![gateway(https), secret, to_secret]), 1);
}

#[test]
fn cve_2019_9901_dot_segments_are_resolved_before_matching_and_other_escapes_are_not() {
    let table = table([
        gateway(plain_listener()),
        route("r", json!([{"matches": [{"path": {"value": "/admin"}}]}, {"matches": [{"path": {"value": "/pub"}}]}])),
    ]);
    for (path, expected) in [
        ("/pub/../admin", "r 0"),
        ("/pub/%2e%2E/admin", "r 0"),
        ("/pub%2F..%2Fadmin", "404"),
        ("//admin", "404"),
        ("/Admin", "404"),
    ] {
        assert_eq!(winner(&ask(&table, "GET", path, &[])), expected, "{path}");
    }
    assert!(matches!(ask(&table, "GET", "/admin%00", &[]).outcome, Outcome::Respond { status: 400, .. }));
}

#[test]
fn hosts_that_are_none_are_refused() {
    let table = table([gateway(plain_listener()), route("r", json!([{}]))]);
    for text in ["", "a@b", "a:80:90", "[::1", "a..b"] {
        let decision = table.decide(&HttpQuestion::new(Scheme::Http, text, "/"), None);
        assert!(matches!(decision.outcome, Outcome::Respond { status: 400, .. }), "{text:?}: {decision}");
    }
}
