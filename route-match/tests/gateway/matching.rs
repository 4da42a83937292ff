//! Which match wins, and over which listener.

use route_match::gateway::{HttpQuestion, Outcome, Reason, Scheme};
use serde_json::{Value, json};

use crate::world::{ask, gateway, host, plain_listener, route, table, winner};

fn rule(matches: Value) -> Value {
    json!({"matches": [matches], "backendRefs": [{"name": "none", "port": 80}]})
}

#[test]
fn criteria_decide_in_the_order_of_the_api() {
    let header = |name: &str| json!({"name": name, "value": "1"});
    let objects = [
        gateway(plain_listener()),
        route(
            "r",
            json!([
                rule(json!({"path": {"value": "/a"}})),
                rule(json!({"path": {"value": "/a/b"}})),
                rule(json!({"path": {"value": "/a"}, "method": "POST"})),
                rule(json!({"path": {"value": "/a"}, "headers": [header("x"), header("y")]})),
                rule(json!({"path": {"value": "/a"}, "headers": [header("x")], "queryParams": [header("q")]})),
                rule(json!({"path": {"type": "RegularExpression", "value": "/a/.*"}})),
                rule(json!({"path": {"type": "Exact", "value": "/a/b"}})),
            ]),
        ),
    ];
    let table = table(objects);
    let both = [("x", "1"), ("y", "1")];
    for (method, path, headers, expected) in [
        ("GET", "/a", &[][..], "r 0"),
        ("POST", "/a", &both, "r 2"),
        ("GET", "/a?q=1", &both, "r 3"),
        ("GET", "/a?q=1", &both[..1], "r 4"),
        ("GET", "/a/b", &both, "r 6"),
        ("POST", "/a/b/c", &both, "r 5"),
        ("GET", "/b", &both, "404"),
    ] {
        let decision = ask(&table, method, path, headers);
        assert_eq!(winner(&decision), expected, "{method} {path} {headers:?}: {decision}");
    }
}

#[test]
fn a_less_specific_hostname_is_asked_when_nothing_of_the_best_matches() {
    let with_hosts = |name: &str, hostnames: Value, path: &str| {
        let mut route = route(name, json!([rule(json!({"path": {"value": path}}))]));
        route["spec"]["hostnames"] = hostnames;
        route
    };
    let table = table([
        gateway(plain_listener()),
        with_hosts("exact", json!(["shop.example"]), "/exact"),
        with_hosts("wild", json!(["*.example"]), "/"),
        with_hosts("none", Value::Null, "/very/long/path"),
    ]);
    assert_eq!(winner(&ask(&table, "GET", "/exact", &[])), "exact 0");
    assert_eq!(winner(&ask(&table, "GET", "/very/long/path", &[])), "wild 0");
    let question = HttpQuestion::new(Scheme::Http, "other.test", "/very/long/path");
    assert_eq!(winner(&table.decide(&question, None)), "none 0");
    assert_eq!(table.candidates(&HttpQuestion::new(Scheme::Http, "shop.example", "/very/long/path")).len(), 2);
}

#[test]
fn grpc_requests_go_by_grpc_routes_before_http_routes_of_the_hostname() {
    let grpc = json!({
        "kind": "GRPCRoute", "metadata": {"name": "g", "namespace": "infra"},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [
            {"matches": [{"method": {"service": "a.B"}}]},
            {"matches": [{"method": {"service": "a.B", "method": "C"}}]},
        ]},
    });
    let table = table([
        gateway(plain_listener()),
        grpc,
        route("h", json!([rule(json!({"path": {"type": "Exact", "value": "/a.B/C"}}))])),
    ]);
    let grpc = [("content-type", "application/grpc+proto")];
    let call = ask(&table, "POST", "/a.B/C", &grpc);
    assert_eq!(winner(&call), "g 1");
    assert!(matches!(call.outcome, Outcome::Respond { status: 503, .. }), "no backend is UNAVAILABLE: {call}");
    assert_eq!(winner(&ask(&table, "POST", "/a.B/D", &grpc)), "g 0");
    assert_eq!(winner(&ask(&table, "POST", "/a.B/C", &[])), "h 0");
}

#[test]
fn https_goes_by_server_name_and_tells_misdirected_hosts() {
    let https = |name: &str, hostname: Value| json!({"name": name, "port": 443, "protocol": "HTTPS", "hostname": hostname, "tls": {"certificateRefs": [{"name": "c"}]}});
    let table = table([
        gateway(json!([https("any", Value::Null), https("shop", json!("shop.example"))])),
        route("r", json!([rule(json!({}))])),
    ]);
    let decide = |sni: &str, authority: &str| {
        let question = HttpQuestion::new(Scheme::Https, authority, "/");
        match table.decide(&question, Some(&host(sni))).outcome {
            Outcome::Respond { status, .. } => status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(decide("shop.example", "shop.example"), 500, "reaches the rule, whose backend is none");
    assert_eq!(decide("shop.example", "other.example"), 421);
    assert_eq!(decide("other.example", "shop.example"), 421);
    assert_eq!(decide("other.example", "third.example"), 500);
    assert_eq!(table.misdirected(443, Some(&host("shop.example")), &host("x.example")), Some(421));
    assert_eq!(table.misdirected(443, Some(&host("a.example")), &host("x.example")), None);
    assert_eq!(table.misdirected(80, None, &host("x.example")), None);
    let elsewhere = HttpQuestion::new(Scheme::Https, "shop.example", "/").port(8443);
    assert_eq!(table.decide(&elsewhere, None).reason, Reason::NoListener(8443, Scheme::Https));
}

#[test]
fn streams_go_by_the_oldest_route() {
    let tcp = |name: &str, age: Value| {
        json!({
            "kind": "TCPRoute", "metadata": {"name": name, "namespace": "infra", "creationTimestamp": age},
            "spec": {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": name, "port": 80}]}]},
        })
    };
    let table = table([
        gateway(json!([
            {"name": "tcp", "port": 9000, "protocol": "TCP"},
            {"name": "udp", "port": 9000, "protocol": "UDP"},
        ])),
        tcp("young", json!("2026-01-02T00:00:00Z")),
        tcp("old", json!("2026-01-01T00:00:00Z")),
    ]);
    assert_eq!(&*table.decide_tcp(9000).rule.unwrap().route.name, "old");
    let udp = table.decide_udp(9000);
    assert!(udp.listener.is_some() && udp.rule.is_none());
    assert_eq!(table.decide_tcp(9001).listener, None);
}

#[test]
fn an_element_in_error_is_left_out_and_the_rest_stands() {
    let table = table([
        gateway(json!([
            {"name": "bad", "port": 80, "protocol": "HTTP", "hostname": "*.*.example"},
            {"name": "http", "port": 80, "protocol": "HTTP"},
            {"name": "http", "port": 81, "protocol": "HTTP"},
        ])),
        route(
            "r",
            json!([
                {"matches": [{"path": {"value": "relative"}}, {"method": "get"}, {"path": {"value": "/ok"}}]},
                {"matches": [{"path": {"type": "RegularExpression", "value": "("}}]},
            ]),
        ),
    ]);
    assert_eq!(table.listeners().len(), 1);
    assert_eq!(table.refused_listeners().len(), 2);
    assert_eq!(winner(&ask(&table, "GET", "/ok", &[])), "r 0");
    assert_eq!(winner(&ask(&table, "GET", "/else", &[])), "404");
}

#[test]
fn a_decision_does_not_allocate() {
    let mut objects =
        vec![gateway(plain_listener()), route("r", json!([{"backendRefs": [{"name": "s", "port": 80}]}]))];
    objects.extend(crate::world::service("infra", "s", true));
    let table = table(objects);
    let headers = [("x", "1")];
    let question = HttpQuestion::new(Scheme::Http, "shop.example", "/cart").headers(&headers);
    let decide = || assert!(matches!(table.decide(&question, None).outcome, Outcome::Forward { .. }));
    decide();
    let allocations = allocation_counter::measure(decide);
    assert_eq!(allocations.count_total, 0);
}
