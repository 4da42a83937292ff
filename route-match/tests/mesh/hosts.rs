//! Which virtual host takes a request.

use serde_json::json;

use crate::world::{cluster, http, manifest, mesh, service};
use route_match::istio::{Caller, MeshTable, OutboundPolicy};
use svc_model::api::{MeshConfig, StringMap};

fn rules(namespace: &str, name: &str, hosts: &[&str], http: serde_json::Value) -> serde_json::Value {
    manifest("VirtualService", namespace, name, json!({"hosts": hosts, "http": http}))
}

fn to(host: &str) -> serde_json::Value {
    json!([{"route": [{"destination": {"host": host}}]}])
}

#[test]
fn a_service_is_called_by_every_name_that_a_resolver_would_complete() {
    let world = [service("shop", "cart", "10.0.0.1", &[(80, "http")])];
    for (caller, known) in [("shop", 6), ("web", 5)] {
        let table = mesh(&world, caller);
        let names = ["cart.shop.svc.cluster.local", "cart.shop.svc", "cart.shop", "10.0.0.1", "Cart.Shop.", "cart"];
        let found =
            names.iter().filter(|name| http(&table, &format!("http://{name}/")).starts_with("no VirtualService"));
        assert_eq!(found.count(), known, "{caller}");
    }
}

#[test]
fn a_headless_service_has_what_lies_below_its_names() {
    let table = mesh(&[service("shop", "db", "None", &[(80, "http")])], "shop");
    for name in ["db-0.db.shop.svc.cluster.local", "db-0.db.shop", "db-0.db", "db"] {
        assert_eq!(http(&table, &format!("http://{name}/")), "no VirtualService: 1 Service/shop/db port 80");
    }
}

#[test]
fn a_wildcard_stands_only_where_it_covers_no_service_of_the_port() {
    let world = [
        service("shop", "cart", "10.0.0.1", &[(80, "http")]),
        rules("shop", "wide", &["*.shop.svc.cluster.local"], to("elsewhere.example")),
        rules("shop", "own", &["cart"], to("cart")),
        rules("shop", "strange", &["*.strange.example"], to("cart")),
    ];
    let table = mesh(&world, "web");
    assert!(http(&table, "http://cart.shop/").starts_with("VirtualService/shop/own rule 0"));
    assert!(http(&table, "http://missing.shop.svc.cluster.local/").starts_with("allow_any"));
    assert!(http(&table, "http://a.strange.example/").starts_with("VirtualService/shop/strange rule 0"));
}

#[test]
fn the_longest_wildcard_speaks_for_a_service_whatever_its_age() {
    let world = [
        service("shop", "cart", "10.0.0.1", &[(80, "http")]),
        rules("shop", "a", &["*.local"], to("cart")),
        rules("shop", "b", &["*.shop.svc.cluster.local"], to("cart")),
    ];
    assert!(http(&mesh(&world, "web"), "http://cart.shop/").starts_with("VirtualService/shop/b"));
}

#[test]
fn rules_for_another_caller_leave_the_next_ones_or_the_service() {
    let others = json!([{"match": [{"sourceNamespace": "other"}], "route": [{"destination": {"host": "a.example"}}]}]);
    let world = [
        service("shop", "cart", "10.0.0.1", &[(80, "http")]),
        rules("shop", "a", &["cart"], others.clone()),
        rules("shop", "b", &["cart"], to("b.example")),
        service("shop", "search", "10.0.0.2", &[(80, "http")]),
        rules("shop", "c", &["search"], others),
    ];
    let table = mesh(&world, "web");
    assert_eq!(http(&table, "http://cart.shop/"), "VirtualService/shop/b rule 0: 1 Host/b.example port 80");
    assert_eq!(http(&table, "http://search.shop/"), "no VirtualService: 1 Service/shop/search port 80");
}

#[test]
fn hosts_that_are_no_service_stand_on_port_80_or_beside_a_service() {
    let world = [
        service("shop", "cart", "10.0.0.1", &[(80, "http"), (8080, "http-alt")]),
        service("shop", "search", "10.0.0.2", &[(9090, "http")]),
        rules("shop", "alone", &["alone.example"], to("cart")),
        rules("shop", "beside", &["beside.example", "cart"], to("cart")),
    ];
    let table = mesh(&world, "web");
    let says = |url: &str| http(&table, url).split(':').next().unwrap().to_owned();
    assert_eq!(says("http://alone.example/"), "VirtualService/shop/alone rule 0");
    assert_eq!(says("http://alone.example:8080/"), "allow_any");
    assert_eq!(says("http://beside.example:8080/"), "VirtualService/shop/beside rule 0");
    assert_eq!(says("http://beside.example:9090/"), "allow_any");
}

#[test]
fn without_anybody_who_takes_requests_no_rule_is_asked() {
    let world = [rules("shop", "alone", &["alone.example"], to("cart"))];
    let says = http(&mesh(&world, "web"), "http://alone.example/");
    assert_eq!(says, "nobody in the mesh has this destination, and outboundTrafficPolicy lets it through");
}

#[test]
fn the_full_name_of_a_service_goes_before_the_short_one_of_another() {
    let entry = json!({"hosts": ["cart.shop"], "resolution": "DNS", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]});
    let world = [service("shop", "cart", "10.0.0.1", &[(80, "http")]), manifest("ServiceEntry", "web", "taken", entry)];
    let table = mesh(&world, "web");
    assert_eq!(http(&table, "http://cart.shop/"), "no VirtualService: 1 ServiceEntry/web/taken port 80");
    assert_eq!(http(&table, "http://cart.shop.svc/"), "no VirtualService: 1 Service/shop/cart port 80");
}

#[test]
fn an_entry_for_a_port_of_a_sidecar_goes_before_that_for_all() {
    let world = [
        service("shop", "cart", "10.0.0.1", &[(80, "http"), (8080, "http-alt")]),
        service("shop", "search", "10.0.0.2", &[(80, "http"), (8080, "http-alt")]),
        manifest(
            "Sidecar",
            "web",
            "default",
            json!({
            "egress": [
                {"port": {"number": 8080, "protocol": "HTTP", "name": "http"}, "hosts": ["shop/search.shop.svc.cluster.local"]},
                {"hosts": ["shop/cart.shop.svc.cluster.local"]}],
            "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}),
        ),
    ];
    let table = mesh(&world, "web");
    assert_eq!(table.outbound_policy(), OutboundPolicy::RegistryOnly);
    assert_eq!(table.sidecar().map(ToString::to_string).as_deref(), Some("Sidecar/web/default"));
    let says = |url: &str| http(&table, url).split(':').next().unwrap().to_owned();
    assert_eq!(says("http://cart.shop/"), "no VirtualService");
    assert_eq!(says("http://search.shop/"), "block_all");
    assert_eq!(says("http://cart.shop:8080/"), "block_all");
    assert_eq!(says("http://search.shop:8080/"), "no VirtualService");
    // Other namespaces have their own view.
    assert_eq!(http(&mesh(&world, "shop"), "http://search/").split(':').next(), Some("no VirtualService"));
}

#[test]
fn the_sidecar_that_selects_the_workload_goes_before_the_one_for_all() {
    let world = cluster(&[
        service("shop", "cart", "10.0.0.1", &[(80, "http")]),
        manifest("Sidecar", "web", "all", json!({"egress": [{"hosts": ["~/*"]}]})),
        manifest(
            "Sidecar",
            "web",
            "own",
            json!({
            "workloadSelector": {"labels": {"app": "front"}}, "egress": [{"hosts": ["shop/*"]}]}),
        ),
        manifest("Sidecar", "istio-system", "root", json!({"egress": [{"hosts": ["./*"]}]})),
    ]);
    let says = |namespace: &str, labels: StringMap| {
        let table = MeshTable::compile(&world, &MeshConfig::default(), &Caller::new(namespace, labels));
        (table.sidecar().unwrap().name.to_string(), http(&table, "http://cart.shop/").starts_with("no VirtualService"))
    };
    let front = StringMap::from([("app".to_owned(), "front".to_owned())]);
    assert_eq!(says("web", front), ("own".to_owned(), true));
    assert_eq!(says("web", StringMap::new()), ("all".to_owned(), false));
    assert_eq!(says("shop", StringMap::new()), ("root".to_owned(), true));
    assert_eq!(says("third", StringMap::new()), ("root".to_owned(), false));
}

#[test]
fn the_annotation_of_a_service_says_who_sees_it() {
    let mut private = service("shop", "cart", "10.0.0.1", &[(80, "http")]);
    private["metadata"]["annotations"] = json!({"networking.istio.io/exportTo": "., web"});
    let world = [private, service("shop", "search", "10.0.0.2", &[(80, "http")])];
    for (caller, seen) in [("shop", true), ("web", true), ("other", false)] {
        assert_eq!(http(&mesh(&world, caller), "http://cart.shop/").starts_with("no VirtualService"), seen, "{caller}");
    }
}

#[test]
fn what_clients_hide_in_tls_goes_by_the_server_name() {
    let world = [
        service("shop", "cart", "10.0.0.1", &[(443, "https")]),
        service("shop", "plain", "10.0.0.2", &[(8443, "http")]),
    ];
    let table = mesh(&world, "web");
    assert_eq!(http(&table, "https://cart.shop/"), "no VirtualService: 1 Service/shop/cart port 443");
    assert_eq!(
        http(&table, "https://plain.shop:8443/"),
        "requests to the destination are read on this port, so that http rules decide"
    );
}
