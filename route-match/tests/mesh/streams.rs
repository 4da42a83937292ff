//! Where connections go that are not read as requests.

use serde_json::{Value, json};

use crate::world::{http, manifest, mesh, service, tcp, tls};

fn entry(name: &str, spec: Value) -> Value {
    manifest("ServiceEntry", "data", name, spec)
}

#[test]
fn a_service_without_address_takes_what_nobody_else_has_on_its_port() {
    let bytes = |number: u16| json!([{"number": number, "name": "tcp", "protocol": "TCP"}]);
    let world = [
        service("data", "db", "10.0.0.1", &[(3306, "mysql")]),
        entry("remote", json!({"hosts": ["db.example"], "resolution": "DNS", "ports": bytes(3306)})),
        entry("other", json!({"hosts": ["other.example"], "resolution": "DNS", "ports": bytes(3306)})),
    ];
    let table = mesh(&world, "data");
    assert_eq!(tcp(&table, "10.0.0.1", 3306), "no VirtualService: 1 Service/data/db port 3306");
    assert_eq!(tcp(&table, "db", 3306), "no VirtualService: 1 Service/data/db port 3306");
    // Of those without address the older by name has what comes to unknown addresses, though each is known by its name.
    assert_eq!(tcp(&table, "192.0.2.1", 3306), "no VirtualService: 1 ServiceEntry/data/other port 3306");
    assert_eq!(tcp(&table, "db.example", 3306), "no VirtualService: 1 ServiceEntry/data/remote port 3306");
    assert_eq!(tcp(&table, "192.0.2.1", 3307), "let through");
}

#[test]
fn the_narrowest_range_takes_a_connection() {
    let world = [
        entry(
            "wide",
            json!({"hosts": ["wide.example"], "addresses": ["10.0.0.0/8"], "resolution": "NONE",
            "ports": [{"number": 5432, "name": "tcp", "protocol": "TCP"}]}),
        ),
        entry(
            "narrow",
            json!({"hosts": ["narrow.example"], "addresses": ["10.1.0.0/16", "10.2.2.2"], "resolution": "NONE",
            "ports": [{"number": 5432, "name": "tcp", "protocol": "TCP"}]}),
        ),
    ];
    let table = mesh(&world, "data");
    for (addr, name) in [("10.9.9.9", "wide"), ("10.1.2.3", "narrow"), ("10.2.2.2", "narrow"), ("10.2.2.3", "wide")] {
        assert_eq!(
            tcp(&table, addr, 5432),
            format!("no VirtualService: 1 ServiceEntry/data/{name} port 5432"),
            "{addr}"
        );
    }
}

#[test]
fn the_pods_of_a_headless_service_are_its_addresses() {
    let mut headless = service("data", "db", "None", &[(5432, "tcp")]);
    headless["spec"]["selector"] = json!({"app": "db"});
    let pod = json!({"kind": "Pod", "metadata": {"namespace": "data", "name": "db-0", "labels": {"app": "db"}},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.244.0.7"}], "conditions": [{"type": "Ready", "status": "True"}]}});
    let table = mesh(&[headless, pod], "data");
    assert_eq!(tcp(&table, "10.244.0.7", 5432), "no VirtualService: 1 Service/data/db port 5432");
    assert_eq!(tcp(&table, "10.244.0.8", 5432), "let through");
}

#[test]
fn a_tcp_rule_without_range_ends_the_search() {
    let rules = |name: &str, tcp: Value| manifest("VirtualService", "data", name, json!({"hosts": ["db"], "tcp": tcp}));
    let to = |host: &str| json!([{"destination": {"host": host}}]);
    let world = [
        service("data", "db", "10.0.0.1", &[(3306, "mysql")]),
        rules(
            "a",
            json!([
            {"match": [{"port": 1}], "route": to("never.example")},
            {"match": [{"destinationSubnets": ["10.0.0.0/24"]}], "route": to("near.example")}]),
        ),
        rules("b", json!([{"route": to("rest.example")}, {"route": to("never.example")}])),
        rules("c", json!([{"route": to("never.example")}])),
    ];
    let table = mesh(&world, "data");
    assert_eq!(tcp(&table, "10.0.0.1", 3306), "VirtualService/data/a rule 1: 1 Host/near.example port 3306");
    let rest = table.streams(3306).into_iter().map(|row| row.rule.origin.to_string()).collect::<Vec<_>>();
    assert_eq!(rest, ["VirtualService/data/a rule 1", "VirtualService/data/b rule 0"]);
}

#[test]
fn several_destinations_share_by_weight_and_those_of_weight_0_get_nothing() {
    let world = [
        service("data", "db", "10.0.0.1", &[(3306, "mysql")]),
        manifest(
            "VirtualService",
            "data",
            "db",
            json!({"hosts": ["db"], "tcp": [{"route": [
            {"destination": {"host": "db", "subset": "v1"}, "weight": 1},
            {"destination": {"host": "db", "subset": "v2"}, "weight": 3},
            {"destination": {"host": "db", "subset": "v3"}, "weight": 0}]}]}),
        ),
    ];
    assert_eq!(
        tcp(&mesh(&world, "data"), "db", 3306),
        "VirtualService/data/db rule 0: 0.25 Service/data/db subset v1 port 3306, 0.75 Service/data/db subset v2 port 3306"
    );
}

#[test]
fn tls_goes_by_the_most_specific_server_name() {
    let tls_entry = |name: &str, host: &str| {
        entry(
            name,
            json!({"hosts": [host], "resolution": "DNS", "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}),
        )
    };
    let world = [
        tls_entry("wild", "*.example"),
        tls_entry("one", "one.example"),
        service("data", "own", "10.0.0.1", &[(443, "https")]),
        manifest(
            "VirtualService",
            "data",
            "wild",
            json!({"hosts": ["*.example"], "tls": [
            {"match": [{"sniHosts": ["*.example"]}], "route": [{"destination": {"host": "exit.example"}}]},
            {"match": [{"sniHosts": ["two.example"]}], "route": [{"destination": {"host": "two.example"}}]},
            {"match": [{"sniHosts": ["outside.test"]}], "route": [{"destination": {"host": "never.example"}}]}]}),
        ),
    ];
    let table = mesh(&world, "data");
    let says = |name: &str| tls(&table, name, 443).split(':').next().unwrap().to_owned();
    assert_eq!(says("two.example"), "VirtualService/data/wild rule 1");
    assert_eq!(says("three.example"), "VirtualService/data/wild rule 0");
    assert_eq!(says("one.example"), "VirtualService/data/wild rule 0");
    assert_eq!(says("outside.test"), "let through");
    assert_eq!(tls(&table, "own.data.svc.cluster.local", 443), "no VirtualService: 1 Service/data/own port 443");
}

#[test]
fn a_service_of_bytes_beside_services_of_requests_keeps_its_own_rules() {
    let world =
        [service("data", "web", "10.0.0.1", &[(80, "http")]), service("data", "raw", "10.0.0.2", &[(80, "tcp-raw")])];
    let table = mesh(&world, "data");
    assert_eq!(http(&table, "http://raw/"), "no VirtualService: 1 Service/data/raw port 80");
    assert_eq!(tcp(&table, "10.0.0.2", 80), "no VirtualService: 1 Service/data/raw port 80");
    assert_eq!(tcp(&table, "web", 80), "requests to the destination are read on this port, so that http rules decide");
}
