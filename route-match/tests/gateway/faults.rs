//! Faults of the Gateway API's objects are found, at the field where the definitions have their rule.

use route_match::gateway::check;
use serde_json::{Value, json};
use svc_model::check::Level;

use crate::world::{object, route};

/// The fields of the errors.
fn faults(value: Value) -> Vec<String> {
    let findings = check::object(&object(value), "gateway.networking.k8s.io/v1");
    findings.into_iter().filter(|finding| finding.level == Level::Error).map(|finding| finding.field).collect()
}

fn of_kind(kind: &str, spec: Value) -> Value {
    json!({"kind": kind, "metadata": {"name": "x", "namespace": "infra"}, "spec": spec})
}

#[test]
fn lists_that_are_sets_name_the_repetition() {
    let cors = json!({"allowOrigins": ["*"], "allowMethods": ["GET", "PUT", "GET"], "exposeHeaders": ["x", "x"]});
    let rules = json!([{
        "filters": [
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["a", "b", "a"]}},
            {"type": "CORS", "cors": cors},
        ],
        "retry": {"codes": [500, 500]},
    }]);
    let at = "spec.rules[0]";
    let expected = [
        format!("{at}.filters[0].responseHeaderModifier.remove[2]"),
        format!("{at}.filters[1].cors.allowMethods[2]"),
        format!("{at}.filters[1].cors.exposeHeaders[1]"),
        format!("{at}.retry.codes[1]"),
    ];
    assert_eq!(faults(route("r", rules)), expected);
}

#[test]
fn lengths_are_counted_in_characters() {
    let rule = |name: String, path: String| {
        let rewrite = json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": path}});
        let filters = json!([{"type": "URLRewrite", "urlRewrite": rewrite}]);
        json!([{"filters": filters, "backendRefs": [{"name": name, "port": 80}]}])
    };
    assert_eq!(faults(route("r", rule("a".repeat(253), "\u{e9}".repeat(1024)))), [] as [&str; 0]);
    let at = "spec.rules[0]";
    let expected = [format!("{at}.filters[0].urlRewrite.path.replaceFullPath"), format!("{at}.backendRefs[0].name")];
    assert_eq!(faults(route("r", rule("a".repeat(254), "\u{e9}".repeat(1025)))), expected);
}

#[test]
fn paths_of_every_type_have_their_length() {
    for type_ in ["Exact", "PathPrefix", "RegularExpression"] {
        let rule = |length: usize| {
            let path = json!({"type": type_, "value": format!("/{}", "a".repeat(length - 1))});
            route("r", json!([{"matches": [{"path": path}]}]))
        };
        assert_eq!(faults(rule(1024)), [] as [&str; 0], "{type_}");
        assert_eq!(faults(rule(1025)), ["spec.rules[0].matches[0].path.value"], "{type_}");
    }
}

#[test]
fn what_keeps_a_session_is_of_its_type() {
    let rule = |session: Value| route("r", json!([{"sessionPersistence": session}]));
    let at = "spec.rules[0].sessionPersistence";
    for good in [
        json!({"sessionName": "s"}),
        json!({"type": "Header", "sessionName": "s"}),
        json!({"cookie": {"name": "s", "lifetimeType": "Permanent"}, "absoluteTimeout": "1h"}),
    ] {
        assert_eq!(faults(rule(good.clone())), [] as [&str; 0], "{good}");
    }
    for (bad, field) in [
        (json!({"type": "Header"}), at.to_owned()),
        (json!({"type": "Header", "header": {"name": "x"}, "cookie": {}}), at.to_owned()),
        (json!({"header": {"name": "x"}}), at.to_owned()),
        (json!({"cookie": {"lifetimeType": "Permanent"}}), at.to_owned()),
        (json!({"cookieConfig": {"lifetimeType": "Long"}}), format!("{at}.cookieConfig.lifetimeType")),
        (json!({"cookie": {"name": "a b"}}), format!("{at}.cookie.name")),
    ] {
        assert_eq!(faults(rule(bad.clone())), [field], "{bad}");
    }
}

#[test]
fn a_gateway_is_judged_beyond_its_listeners() {
    let gateway = of_kind(
        "Gateway",
        json!({
            "gatewayClassName": "any",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP", "hostname": ""}],
            "addresses": [{"value": "192.0.2.1"}, {"type": "Hostname", "value": "A"}, {"value": "192.0.2.1"}],
            "infrastructure": {"labels": {"a/b/c": "x", "ok": "no value"}},
            "tls": {"frontend": {
                "default": {"validation": {"mode": "Sometimes"}},
                "perPort": [{"port": 1, "tls": {}}, {"port": 1, "tls": {}}],
            }},
        }),
    );
    let client = "spec.tls.frontend";
    let expected = [
        "spec.listeners[0].hostname".to_owned(),
        "spec.addresses[1]".to_owned(),
        "spec.addresses".to_owned(),
        "spec.infrastructure.labels".to_owned(),
        "spec.infrastructure.labels[ok]".to_owned(),
        format!("{client}.default.validation.caCertificateRefs"),
        format!("{client}.default.validation.mode"),
        format!("{client}.perPort"),
    ];
    assert_eq!(faults(gateway), expected);
}

#[test]
fn several_policies_for_a_service_are_for_parts_of_it() {
    let policy = |sections: [Option<&str>; 2]| {
        let target =
            |section: Option<&str>| json!({"group": "", "kind": "Service", "name": "a", "sectionName": section});
        let validation = json!({"hostname": "a.example", "wellKnownCACertificates": "System"});
        of_kind("BackendTLSPolicy", json!({"targetRefs": sections.map(target), "validation": validation}))
    };
    assert_eq!(faults(policy([Some("http"), Some("https")])), [] as [&str; 0]);
    for sections in [[None, None], [None, Some("http")], [Some("http"), None], [Some("http"), Some("http")]] {
        assert_eq!(faults(policy(sections)), ["spec.targetRefs"], "{sections:?}");
    }
}
