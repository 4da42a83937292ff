//! Which servers a proxy opens, and which VirtualServices join them.

use route_match::istio::{HttpQuestion, Scheme, ServerFault};
use serde_json::{Value, json};

use crate::world::{ask, gateway, host, named_gateway, server, table, to, told, virtual_service};

fn with_tls(mut server: Value, tls: Value) -> Value {
    server["tls"] = tls;
    server
}

fn https(name: &str, hosts: Value) -> Value {
    let mut server = with_tls(server(443, "HTTPS", hosts), json!({"mode": "SIMPLE", "credentialName": "c"}));
    server["port"]["name"] = name.into();
    server
}

#[test]
fn the_first_server_of_a_port_decides_what_is_spoken_there() {
    let any = || json!(["*"]);
    let table = table([gateway(json!([
        server(80, "HTTP", any()),
        server(80, "TCP", any()),
        server(80, "GRPC", any()),
        https("a", json!(["a.example"])),
        server(443, "HTTP", any()),
        with_tls(server(443, "TLS", json!(["b.example"])), json!({"mode": "PASSTHROUGH"})),
        server(9000, "TCP", any()),
        server(9000, "MONGO", any()),
        server(1, "HTTPS", any()),
        server(0, "HTTP", any()),
        server(2, "QUIC", any()),
        with_tls(server(3, "TLS", any()), json!({"mode": "MAYBE"})),
    ]))]);
    let open: Vec<usize> = table.servers().accepted.iter().map(|server| server.index).collect();
    assert_eq!(open, [0, 2, 3, 5, 6]);
    let refused = |index: usize| &table.servers().refused.iter().find(|server| server.index == index).unwrap().fault;
    for index in [1, 4, 7] {
        assert!(matches!(refused(index), ServerFault::Conflict(..)), "{index}");
    }
    assert!(matches!(refused(8), ServerFault::NoTls(_)) && matches!(refused(9), ServerFault::NoPort));
    assert!(matches!(refused(10), ServerFault::Protocol(_)) && matches!(refused(11), ServerFault::Mode(_)));
}

#[test]
fn a_tls_server_that_repeats_a_host_is_dropped_whole() {
    let table = table([
        gateway(json!([
            https("a", json!(["a.example", "b.example"])),
            https("b", json!(["c.example", "b.example"])),
            https("c", json!(["ns/b.example"])),
            https("c", json!(["d.example"])),
        ])),
        virtual_service("v", json!([{"route": to("s")}])),
    ]);
    let faults: Vec<String> = table.servers().refused.iter().map(|server| server.fault.to_string()).collect();
    assert_eq!(
        faults,
        [
            "host b.example is taken by an earlier server of the port",
            "the name of the port is taken by an earlier server"
        ]
    );
    let asked = |name: &str, authority: &str| {
        told(&table.decide(&HttpQuestion::new(Scheme::Https, authority, "/"), Some(&host(name))))
    };
    assert_eq!(asked("a.example", "a.example"), "v 0: 1 Host/s.infra.svc.cluster.local port 80");
    assert_eq!(asked("c.example", "c.example"), "no HTTP");
    // The Host is looked up in the table of the server that the handshake chose.
    assert_eq!(asked("a.example", "z.example"), "404");
}

#[test]
fn cve_2020_11767_a_request_does_not_leave_the_server_of_its_handshake() {
    let only = |name: &str, host: &str| {
        let mut object = virtual_service(name, json!([{"route": to("s")}]));
        object["spec"]["hosts"] = json!([host]);
        object
    };
    let table = table([
        gateway(json!([https("wide", json!(["*.example"])), https("narrow", json!(["a.example"]))])),
        only("wide", "*.example"),
        only("narrow", "a.example"),
    ]);
    let asked =
        |name: &str| told(&table.decide(&HttpQuestion::new(Scheme::Https, "a.example", "/"), Some(&host(name))));
    assert!(asked("a.example").starts_with("narrow 0"));
    // The wide server's own narrower virtual host: `a.example` is what its `*.example` and the VirtualService share.
    assert!(asked("x.example").starts_with("narrow 0"));
    let plain = table.decide(&HttpQuestion::new(Scheme::Https, "b.example", "/"), Some(&host("a.example")));
    assert_eq!(told(&plain), "404");
}

#[test]
fn gateways_that_select_the_same_pod_share_a_port() {
    let mut other = named_gateway("other", json!([server(80, "HTTP", json!(["b.example"]))]));
    other["metadata"]["namespace"] = "apps".into();
    other["spec"]["selector"] = json!({"tier": "front"});
    let mut bound = virtual_service("bound", json!([{"route": to("s")}]));
    bound["spec"]["gateways"] = json!(["apps/other"]);
    let pod = json!({"kind": "Pod", "metadata": {
        "name": "edge-0", "namespace": "proxies", "labels": {"app": "edge", "tier": "front"}}});
    let objects = || vec![gateway(json!([server(80, "HTTP", json!(["a.example"]))])), other.clone(), bound.clone()];
    assert_eq!(told(&ask(&table(objects()), "b.example/", &[])), "404");
    let together = table(objects().into_iter().chain([pod]));
    assert_eq!(together.proxy().namespace.as_ref(), "proxies");
    assert!(told(&ask(&together, "b.example/", &[])).starts_with("bound 0"));
}

#[test]
fn what_is_exported_counts_from_the_proxys_namespace() {
    let mut own = virtual_service("own", json!([{"route": to("s")}]));
    own["spec"]["exportTo"] = json!(["."]);
    let plain = || gateway(json!([server(80, "HTTP", json!(["*"]))]));
    let pod = json!({"kind": "Pod", "metadata": {"name": "edge-0", "namespace": "proxies", "labels": {"app": "edge"}}});
    assert!(told(&ask(&table([plain(), own.clone()]), "a.example/", &[])).starts_with("own 0"));
    assert_eq!(told(&ask(&table([plain(), own, pod]), "a.example/", &[])), "404");
}

#[test]
fn own_go_before_lent_and_these_before_public_ones() {
    let named = |namespace: &str, name: &str, export: Value| {
        let mut object = virtual_service(name, json!([{"match": [{"uri": {"prefix": "/x"}}], "route": to("s")}]));
        object["metadata"]["namespace"] = namespace.into();
        object["spec"]["exportTo"] = export;
        object["spec"]["gateways"] = json!(["infra/edge"]);
        object
    };
    let mut all = vec![
        named("apps", "a-public", json!(["*"])),
        named("apps", "b-lent", json!(["infra"])),
        named("infra", "c-own", json!(["."])),
    ];
    for winner in ["c-own", "b-lent", "a-public"] {
        let objects = all.clone().into_iter().chain([gateway(json!([server(80, "HTTP", json!(["*"]))]))]);
        assert!(told(&ask(&table(objects), "a.example/x", &[])).starts_with(winner), "{winner}");
        all.pop();
    }
}

#[test]
fn a_host_without_rules_for_the_port_leaves_its_requests_to_a_wider_one() {
    let mut narrow = virtual_service("narrow", json!([{"match": [{"port": 8080}], "route": to("s")}]));
    narrow["spec"]["hosts"] = json!(["a.example"]);
    let table = table([
        gateway(json!([server(80, "HTTP", json!(["*"])), server(8080, "HTTP", json!(["*"]))])),
        narrow,
        virtual_service("wide", json!([{"route": to("s")}])),
    ]);
    assert!(told(&ask(&table, "a.example/", &[])).starts_with("wide 0"));
    assert!(told(&ask(&table, "a.example:8080/", &[])).starts_with("narrow 0"));
}

#[test]
fn a_redirecting_server_keeps_the_host_as_it_was_sent() {
    let redirecting =
        with_tls(server(80, "HTTP", json!(["ns/a.example", "*.b.example"])), json!({"httpsRedirect": true}));
    let table = table([
        gateway(json!([redirecting, server(80, "HTTP", json!(["*"]))])),
        virtual_service("v", json!([{"route": to("s")}])),
    ]);
    assert_eq!(told(&ask(&table, "A.example:80/x/../y?q=1", &[])), "301 https://A.example:80/y?q=1");
    assert_eq!(told(&ask(&table, "x.y.b.example/", &[])), "301 https://x.y.b.example/");
    assert!(told(&ask(&table, "b.example/", &[])).starts_with("v 0"));
}

#[test]
fn what_nobody_listens_to_is_said() {
    let table = table([gateway(json!([server(80, "HTTP", json!(["*"]))]))]);
    let decision = ask(&table, "a.example:81/", &[]);
    assert_eq!((told(&decision), decision.to_string()), ("404".into(), "no server speaks http on port 81".into()));
    let decision = table.decide(&HttpQuestion::new(Scheme::Https, "a.example", "/"), None);
    assert_eq!(told(&decision), "no HTTP");
}

#[test]
fn a_short_host_is_that_of_a_service_of_its_namespace() {
    let mut object = virtual_service("v", json!([{"route": to("s")}]));
    object["spec"]["hosts"] = json!(["shop"]);
    let table = table([gateway(json!([server(80, "HTTP", json!(["*"]))])), object]);
    let asked = |authority: &str| told(&table.decide(&HttpQuestion::new(Scheme::Http, authority, "/"), None));
    assert_eq!(asked("shop.infra.svc.cluster.local"), "v 0: 1 Host/s.infra.svc.cluster.local port 80");
    assert_eq!(asked("shop"), "404");
}
