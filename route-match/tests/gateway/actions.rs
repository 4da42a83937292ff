//! What a rule does, and what happens where it cannot.

use route_match::action::HeaderEdit;
use route_match::gateway::{Backend, Outcome, Unavailable};
use serde_json::{Value, json};

use crate::world::{ask, gateway, plain_listener, route, service, table};

fn with_rules(rules: Value) -> Vec<Value> {
    let mut objects = vec![gateway(plain_listener()), route("r", rules)];
    objects.extend(service("infra", "ready", true));
    objects.extend(service("infra", "idle", false));
    objects.extend(service("other", "far", true));
    objects
}

fn status(table: &route_match::gateway::GatewayTable, path: &str) -> Option<u16> {
    match ask(table, "GET", path, &[]).outcome {
        Outcome::Respond { status, .. } => Some(status),
        _ => None,
    }
}

#[test]
fn invalid_references_fail_with_their_share_and_are_never_shared_out() {
    let at = |path: &str, references: Value| json!({"matches": [{"path": {"value": path}}], "backendRefs": references});
    let table = table(with_rules(json!([
        at("/part", json!([{"name": "ready", "port": 80, "weight": 3}, {"name": "gone", "port": 80}])),
        at("/idle", json!([{"name": "idle", "port": 80}])),
        at("/far", json!([{"name": "far", "namespace": "other", "port": 80}])),
        at("/port", json!([{"name": "ready", "port": 81}])),
        at("/zero", json!([{"name": "ready", "port": 80, "weight": 0}])),
        at("/none", json!([])),
    ])));
    let part = ask(&table, "GET", "/part", &[]);
    let backends = part.rule.unwrap().action.backends().unwrap();
    let shares: Vec<_> = backends.shares().map(|(entry, p)| (entry.failure, p)).collect();
    assert_eq!(shares, [(None, 0.75), (Some(500), 0.25)]);
    for (path, expected) in [("/idle", 503), ("/far", 500), ("/port", 500), ("/zero", 500), ("/none", 500)] {
        assert_eq!(status(&table, path), Some(expected), "{path}");
    }
}

#[test]
fn filters_of_the_rule_come_before_those_of_the_backend() {
    let set = |value: &str| json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-A", "value": value}]}});
    let full = |path: &str| json!({"type": "URLRewrite", "urlRewrite": {"hostname": "b.example", "path": {"type": "ReplaceFullPath", "replaceFullPath": path}}});
    let table = table(with_rules(json!([{
        "filters": [set("rule")],
        "backendRefs": [{"name": "ready", "port": 80, "filters": [set("backend"), full("/new")]}],
    }])));
    let decision = ask(&table, "GET", "/old", &[]);
    let Outcome::Forward { only, path, host, .. } = &decision.outcome else { panic!("{decision}") };
    assert_eq!((path.as_deref(), *host), (Some("/new"), Some("b.example")));
    let filters = decision.rule.unwrap().action.filters_for(*only);
    let edits: Vec<HeaderEdit> = filters.flat_map(|filters| filters.request_headers.iter().cloned()).collect();
    let set = |value: &str| HeaderEdit::Set("x-a".into(), value.into());
    assert_eq!(edits, [set("rule"), set("backend")]);
}

#[test]
fn the_only_backend_may_redirect_and_one_beside_others_may_not() {
    let to_https = json!([{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]);
    let redirecting = |name: &str| json!({"name": name, "port": 80, "filters": to_https});
    let at = |path: &str, references: Value| json!({"matches": [{"path": {"value": path}}], "backendRefs": references});
    let table = table(with_rules(json!([
        at("/only", json!([redirecting("ready"), {"name": "ready", "port": 80, "weight": 0}])),
        at("/idle", json!([redirecting("idle")])),
        at("/gone", json!([redirecting("gone")])),
        at("/two", json!([redirecting("ready"), {"name": "idle", "port": 80}])),
    ])));
    for path in ["/only", "/idle"] {
        let Outcome::Redirect { code, location } = ask(&table, "GET", path, &[]).outcome else { panic!("{path}") };
        assert_eq!((code, location), (302, format!("https://shop.example{path}")));
    }
    assert_eq!((status(&table, "/gone"), status(&table, "/two")), (Some(500), Some(500)));
}

#[test]
fn a_filter_that_cannot_be_applied_fails_its_rule_and_no_other() {
    let with = |path: &str, filter: Value| json!({"matches": [{"path": {"value": path}}], "filters": [filter], "backendRefs": [{"name": "ready", "port": 80}]});
    let extension =
        json!({"type": "ExtensionRef", "extensionRef": {"group": "x.example", "kind": "Wall", "name": "w"}});
    let injection = json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "a", "value": "1\r\nb: 2"}]}});
    let table = table(with_rules(json!([
        with("/extension", extension),
        with("/unknown", json!({"type": "Teleport"})),
        with("/missing", json!({"type": "URLRewrite"})),
        with("/injection", injection),
        with("/fine", json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "gone", "port": 80}}})),
    ])));
    for path in ["/extension", "/unknown", "/missing", "/injection"] {
        assert_eq!(status(&table, path), Some(500), "{path}");
        assert!(ask(&table, "GET", path, &[]).rule.unwrap().fault.is_some(), "{path}");
    }
    assert_eq!(status(&table, "/fine"), None, "a mirror that cannot be had harms nobody");
}

#[test]
fn services_without_address_or_with_an_unusable_policy_are_told_apart() {
    let mut objects = with_rules(json!([
        {"matches": [{"path": {"value": "/name"}}], "backendRefs": [{"name": "alias", "port": 80}]},
        {"matches": [{"path": {"value": "/tls"}}], "backendRefs": [{"name": "ready", "port": 80}]},
    ]));
    objects.push(json!({
        "kind": "Service", "metadata": {"name": "alias", "namespace": "infra"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": 80}]},
    }));
    let policy = |authority: Value| {
        json!({
            "kind": "BackendTLSPolicy", "metadata": {"name": "p", "namespace": "infra"},
            "spec": {
                "targetRefs": [{"group": "", "kind": "Service", "name": "ready"}],
                "validation": {"hostname": "x.example", "wellKnownCACertificates": authority,
                    "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "gone"}]},
            },
        })
    };
    let backend = |objects: Vec<Value>, path: &str| {
        let table = table(objects);
        let decision = ask(&table, "GET", path, &[]);
        decision.rule.unwrap().action.backends().unwrap().entries()[0].backend.clone()
    };
    let is = |backend: Backend, why: fn(&Unavailable) -> bool| matches!(&backend, Backend::Unavailable(w) if why(w));
    assert!(is(backend(objects.clone(), "/name"), |why| matches!(why, Unavailable::ExternalName(_))));
    assert!(matches!(backend(objects.clone(), "/tls"), Backend::Service(_)));
    objects.push(policy(Value::Null));
    assert!(is(backend(objects.clone(), "/tls"), |why| matches!(why, Unavailable::TlsPolicy(..))));
    objects.pop();
    objects.push(policy(json!("System")));
    assert!(matches!(backend(objects, "/tls"), Backend::Service(_)));
}

#[test]
fn preflights_are_answered_and_strangers_get_no_headers() {
    let cors = json!({"type": "CORS", "cors": {
        "allowOrigins": ["https://*.shop.example"], "allowMethods": ["GET"], "allowCredentials": true}});
    let table = table(with_rules(json!([{"filters": [cors], "backendRefs": [{"name": "ready", "port": 80}]}])));
    let preflight = |origin| [("origin", origin), ("access-control-request-method", "GET")];
    let answer = |method: &str, headers: &[(&str, &str)]| match ask(&table, method, "/", headers).outcome {
        Outcome::Respond { status, cors, .. } => (Some(status), cors.iter().count()),
        Outcome::Forward { cors, .. } => (None, cors.iter().count()),
        other => panic!("{other:?}"),
    };
    assert_eq!(answer("OPTIONS", &preflight("https://eu.shop.example")), (Some(204), 4));
    assert_eq!(answer("OPTIONS", &preflight("https://evil.example")), (Some(204), 0));
    assert_eq!(answer("GET", &[("origin", "https://eu.shop.example")]), (None, 2));
    assert_eq!(answer("GET", &[("origin", "https://evil.example")]), (None, 0));
}
