//! Rules of delegates in the places of those that hand over to them.

use serde_json::{Value, json};

use crate::world::{ask, gateway, server, table, to, told, virtual_service};

fn delegate(name: &str, http: Value) -> Value {
    json!({"kind": "VirtualService", "metadata": {"name": name, "namespace": "team"}, "spec": {"http": http}})
}

fn plain() -> Value {
    gateway(json!([server(80, "HTTP", json!(["*"]))]))
}

#[test]
fn a_delegates_hosts_are_of_its_own_namespace_and_inherited_ones_of_the_roots() {
    let root = virtual_service(
        "root",
        json!([{"delegate": {"name": "d", "namespace": "team"}, "mirror": {"host": "m"}, "rewrite": {"authority": "r"}}]),
    );
    let table = table([plain(), root, delegate("d", json!([{"route": to("s")}]))]);
    let decision = ask(&table, "a.example/", &[]);
    assert_eq!(told(&decision), "root 0: 1 Host/s.team.svc.cluster.local port 80, host r");
    let rule = decision.rule.unwrap();
    assert_eq!(&*rule.action.filters.mirrors[0].backend.host, "m.infra.svc.cluster.local");
    assert_eq!(rule.origin.to_string(), "VirtualService/infra/root rule 0, by VirtualService/team/d rule 0");
}

#[test]
fn gateways_in_a_delegates_match_are_read_in_its_namespace() {
    let root = virtual_service("root", json!([{"delegate": {"name": "d", "namespace": "team"}}]));
    let rules = json!([
        {"match": [{"gateways": ["edge"]}], "route": to("wrong")},
        {"match": [{"gateways": ["infra/edge"]}], "route": to("right")},
    ]);
    let table = table([plain(), root, delegate("d", rules)]);
    assert!(told(&ask(&table, "a.example/", &[])).contains("right.team"));
}

#[test]
fn a_delegate_does_not_delegate_and_one_with_hosts_is_none() {
    let root = virtual_service(
        "root",
        json!([
            {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "nested", "namespace": "team"}},
            {"match": [{"uri": {"prefix": "/b"}}], "delegate": {"name": "hosted", "namespace": "team"}},
            {"match": [{"uri": {"prefix": "/c"}}], "delegate": {"name": "root", "namespace": "infra"}},
            {"route": to("rest")},
        ]),
    );
    let nested = delegate("nested", json!([{"delegate": {"name": "nested"}}, {"delegate": {"name": "hosted"}}]));
    let mut hosted = delegate("hosted", json!([{"route": to("s")}]));
    hosted["spec"]["hosts"] = json!(["x.example"]);
    let table = table([plain(), root, nested, hosted]);
    for path in ["/a", "/b", "/c"] {
        assert!(told(&ask(&table, &format!("a.example{path}"), &[])).starts_with("root 3"), "{path}");
    }
}

#[test]
fn a_rule_is_dropped_when_one_of_its_matches_fits_none() {
    let root = virtual_service(
        "root",
        json!([{"match": [{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}], "delegate": {"name": "d", "namespace": "team"}}]),
    );
    let rules = json!([
        {"match": [{"uri": {"prefix": "/a/x"}}, {"uri": {"prefix": "/c"}}], "route": to("one")},
        {"match": [{"uri": {"prefix": "/b/x"}}], "route": to("two")},
        {"match": [{"headers": {"h": {}}}], "route": to("three")},
    ]);
    let table = table([plain(), root, delegate("d", rules)]);
    assert_eq!(told(&ask(&table, "a.example/a/x", &[])), "404");
    assert!(told(&ask(&table, "a.example/b/x", &[])).contains("two.team"));
    for path in ["/a", "/b"] {
        assert!(told(&ask(&table, &format!("a.example{path}"), &[("h", "")])).contains("three.team"), "{path}");
    }
}
