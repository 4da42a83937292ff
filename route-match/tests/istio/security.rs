//! Attacks of the past, and input made to hurt.

use route_match::istio::{HttpQuestion, Outcome, Scheme};
use serde_json::{Value, json};

use crate::world::{ask, gateway, server, table, table_of, to, told, virtual_service};

#[test]
fn cve_2019_9901_and_2021_29492_paths_are_matched_in_the_form_that_is_forwarded() {
    let table = table_of(json!([
        {"match": [{"uri": {"prefix": "/admin"}}], "directResponse": {"status": 403}},
        {"route": to("s")},
    ]));
    for path in ["/public/../admin", "/public/%2e%2E/admin", "/%61dmin", "/\\..\\admin"] {
        assert_eq!(told(&ask(&table, &format!("a.example{path}"), &[])), "v 0: 403", "{path}");
    }
    // Slashes stay as they are, escaped or not: the default of the mesh.
    for path in ["//admin", "/%2Fadmin", "/a%2f..%2fadmin"] {
        assert!(told(&ask(&table, &format!("a.example{path}"), &[])).starts_with("v 1"), "{path}");
    }
    assert_eq!(told(&ask(&table, "a.example/admin%00", &[])), "400");
}

#[test]
fn cve_2020_8595_the_query_is_no_part_of_the_path() {
    let table = table_of(json!([{"match": [{"uri": {"exact": "/login"}}], "route": to("s")}]));
    assert!(told(&ask(&table, "a.example/login?x", &[])).starts_with("v 0"));
}

#[test]
fn cve_2021_39155_hosts_are_compared_without_case() {
    let mut object = virtual_service("v", json!([{"route": to("s")}]));
    object["spec"]["hosts"] = json!(["HTTPbin.Foo"]);
    let table = table([gateway(json!([server(80, "HTTP", json!(["*"]))])), object]);
    for host in ["httpbin.foo", "Httpbin.Foo", "HTTPBIN.FOO.", "httpbin.foo:8000"] {
        let host = host.replace(":8000", "");
        assert!(told(&ask(&table, &format!("{host}/"), &[])).starts_with("v 0"), "{host}");
    }
    for host in ["user@httpbin.foo", "httpbin..foo", ""] {
        assert_eq!(told(&ask(&table, &format!("{host}/"), &[])), "400", "{host}");
    }
}

#[test]
fn claims_come_from_the_token_and_not_from_headers() {
    let table = table_of(json!([
        {"match": [{"headers": {"@request.auth.claims[group]": {"exact": "admin"}}}], "route": to("admin")},
        {"match": [{"withoutHeaders": {"@request.auth.claims.group": {}}}], "route": to("anybody")},
    ]));
    let forged = [("@request.auth.claims[group]", "admin"), ("@request.auth.claims.group", "admin")];
    assert!(told(&ask(&table, "a.example/", &forged)).starts_with("v 1"));
    for (group, expected) in [("admin", "v 0"), ("user", "404")] {
        let claims = |path: &[Box<str>], visit: &mut dyn FnMut(&str)| {
            if matches!(path, [name] if **name == *"group") {
                visit(group);
            }
        };
        let question = HttpQuestion::new(Scheme::Http, "a.example", "/").claims(&claims);
        assert!(told(&table.decide(&question, None)).starts_with(expected), "{group}");
    }
}

#[test]
fn two_delegates_do_not_multiply_without_bound() {
    let matches: Vec<Value> = (0..1_000).map(|i| json!({"headers": {format!("h{i}"): {}}})).collect();
    let root = virtual_service(
        "root",
        json!([
            {"match": matches, "delegate": {"name": "d", "namespace": "team"}},
            {"route": to("rest")},
        ]),
    );
    let delegate = json!({"kind": "VirtualService", "metadata": {"name": "d", "namespace": "team"}, "spec": {"http": [
        {"match": matches, "route": to("s")}]}});
    let table = table([gateway(json!([server(80, "HTTP", json!(["*"]))])), root, delegate]);
    assert!(told(&ask(&table, "a.example/", &[("h1", "")])).starts_with("root 1"));
}

#[test]
fn many_hosts_with_many_rules_share_them() {
    let hosts: Vec<String> = (0..2_000).map(|i| format!("h{i}.example")).collect();
    let rules: Vec<Value> =
        (0..500).map(|i| json!({"match": [{"uri": {"exact": format!("/{i}")}}], "route": to("s")})).collect();
    let mut object = virtual_service("v", json!(rules));
    object["spec"]["hosts"] = json!(hosts);
    let table = table([gateway(json!([server(80, "HTTP", json!(hosts))])), object]);
    assert!(told(&ask(&table, "h1999.example/499", &[])).starts_with("v 499"));
}

#[test]
fn a_decision_does_not_allocate() {
    let table = table_of(json!([
        {"match": [{"uri": {"prefix": "/cart"}, "headers": {"x": {"exact": "1"}}}], "route": to("s")},
    ]));
    let headers = [("x", "1")];
    let question = HttpQuestion::new(Scheme::Http, "shop.example", "/cart/7").headers(&headers);
    let decide = || assert!(matches!(table.decide(&question, None).outcome, Outcome::Forward { .. }));
    decide();
    assert_eq!(allocation_counter::measure(decide).count_total, 0);
}
