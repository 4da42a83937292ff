//! What a gateway of Istio does with a handshake.
#![cfg(feature = "kubernetes")]

use std::sync::Arc;

use route_match::istio::{GatewayStreams, IstioGatewayTable};
use serde_json::{Value, json};
use svc_model::api::{DestinationRule, IstioGateway, MeshConfig, Secret, Service, VirtualService};
use svc_model::{Cluster, NamespacedName, Object};
use tls_sni::istio::IstioTls;
use tls_sni::{Alpn, Mode, Sni, TlsQuestion};

fn object(manifest: &Value) -> Object {
    fn read<T: serde::de::DeserializeOwned + Into<Object>>(manifest: &Value) -> Object {
        serde_json::from_value::<T>(manifest.clone()).unwrap().into()
    }
    match manifest["kind"].as_str().unwrap() {
        "Gateway" => read::<IstioGateway>(manifest),
        "VirtualService" => read::<VirtualService>(manifest),
        "DestinationRule" => read::<DestinationRule>(manifest),
        "Service" => read::<Service>(manifest),
        "Secret" => read::<Secret>(manifest),
        other => panic!("{other} is no kind of these tests"),
    }
}

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"kind": kind, "metadata": {"namespace": "infra", "name": name}, "spec": spec})
}

fn gateway(servers: Value) -> Value {
    manifest("Gateway", "edge", json!({"selector": {"istio": "edge"}, "servers": servers}))
}

fn server(name: &str, protocol: &str, hosts: &[&str], tls: Value) -> Value {
    json!({"port": {"number": 443, "name": name, "protocol": protocol}, "hosts": hosts, "tls": tls})
}

fn compile(world: &[Value]) -> IstioTls {
    let cluster: Cluster = world.iter().map(object).collect();
    let table = IstioGatewayTable::compile(&cluster, &NamespacedName::new("infra", "edge")).unwrap();
    let streams = Arc::new(GatewayStreams::compile(&cluster, &MeshConfig::default(), &table));
    IstioTls::new(&cluster, &table, streams)
}

/// The mode, the server, and where the bytes go, for a client of this server name and these protocols.
fn says(gateway: &IstioTls, name: Option<&[u8]>, protocols: &[&[u8]]) -> String {
    let mut question = TlsQuestion::new(Sni::new(name));
    question.alpn = Alpn::new(protocols);
    let decision = gateway.decide(&question, 0);
    let to = decision.rule.map(|rule| rule.backends.shares().map(|(to, p)| format!(" {p} {}", to.backend)).collect());
    let to: Vec<String> = to.unwrap_or_default();
    format!("{} {} {}{}", decision.mode, decision.listener.unwrap_or("-"), decision.reason.code(), to.join(","))
}

#[test]
fn only_a_server_for_all_hosts_takes_what_has_no_usable_name() {
    let mutual = || json!({"mode": "ISTIO_MUTUAL"});
    let some = compile(&[gateway(json!([server("some", "HTTPS", &["*.example"], mutual())]))]);
    let all = compile(&[gateway(json!([
        server("some", "HTTPS", &["*.example"], mutual()),
        server("all", "HTTPS", &["*"], mutual()),
    ]))]);
    for name in [None, Some(&b"10.0.0.1"[..]), Some(b"*.example"), Some(b"a..example"), Some(b"other.test")] {
        assert_eq!(says(&some, name, &[]), "reject - no-server-name", "{name:?}");
        assert_eq!(says(&all, name, &[]), "terminate all mesh-certificate", "{name:?}");
    }
    assert_eq!(says(&all, Some(b"A.B.Example."), &[]), "terminate some mesh-certificate");
}

#[test]
fn cve_2021_31921_a_sidecars_name_leads_on_only_for_sidecars() {
    let port = |port: u16| json!({"port": port, "name": format!("tcp-{port}")});
    let world = [
        gateway(json!([server("cross", "TLS", &["*.local"], json!({"mode": "AUTO_PASSTHROUGH"}))])),
        manifest("Service", "db", json!({"clusterIP": "10.0.0.1", "ports": [port(5432), port(5433)]})),
        manifest("DestinationRule", "db", json!({"host": "db", "subsets": [{"name": "v1"}]})),
    ];
    let gateway = compile(&world);
    let ask = |name: &str, protocols: &[&[u8]]| says(&gateway, Some(name.as_bytes()), protocols);
    let istio: &[&[u8]] = &[b"h2", b"istio-peer-exchange"];
    let whole = "outbound_.5432_._.db.infra.svc.cluster.local";
    assert_eq!(ask(whole, istio), "passthrough cross passthrough 1 Service/infra/db port 5432");
    assert_eq!(ask(whole, &[b"h2"]), "reject cross no-istio-protocol");
    assert_eq!(ask(whole, &[]), "reject cross no-istio-protocol");
    let part = "outbound_.5433_.v1_.db.infra.svc.cluster.local";
    assert_eq!(ask(part, istio), "passthrough cross passthrough 1 Service/infra/db subset v1 port 5433");
    for unknown in [
        "db.infra.svc.cluster.local",
        "outbound_.1_._.db.infra.svc.cluster.local",
        "outbound_.5432_.v2_.db.infra.svc.cluster.local",
    ] {
        assert_eq!(ask(unknown, istio), "reject - no-server-name", "{unknown}");
    }
}

#[test]
fn a_chain_that_repeats_a_name_is_dropped_whole() {
    let rules = |name: &str, sni: &[&str], to: &str| {
        manifest(
            "VirtualService",
            name,
            json!({"hosts": ["*.example"], "gateways": ["edge"], "tls": [
            {"match": [{"sniHosts": sni}], "route": [{"destination": {"host": to}}]}]}),
        )
    };
    let gateway = compile(&[
        gateway(json!([server("pass", "TLS", &["*.example"], json!({"mode": "PASSTHROUGH"}))])),
        rules("a", &["a.example"], "one.test"),
        rules("b", &["b.example", "a.example"], "two.test"),
    ]);
    assert_eq!(says(&gateway, Some(b"a.example"), &[]), "passthrough pass passthrough 1 Host/one.test port 443");
    assert_eq!(says(&gateway, Some(b"b.example"), &[]), "reject - no-server-name");
}

#[test]
fn what_ends_tls_and_hands_bytes_on_needs_a_tcp_rule() {
    let servers = || gateway(json!([server("bytes", "TLS", &["mq.example"], json!({"mode": "ISTIO_MUTUAL"}))]));
    let rules = manifest(
        "VirtualService",
        "mq",
        json!({"hosts": ["mq.example"], "gateways": ["edge"], "tcp": [
        {"match": [{"port": 444}], "route": [{"destination": {"host": "never.test"}}]},
        {"match": [{"port": 443, "sourceLabels": {"any": "thing"}}], "route": [{"destination": {"host": "mq.test"}}]}]}),
    );
    let without = compile(&[servers()]);
    assert_eq!(says(&without, Some(b"mq.example"), &[]), "reject - no-server-name");
    let with = compile(&[servers(), rules]);
    assert_eq!(says(&with, Some(b"mq.example"), &[]), "terminate bytes mesh-certificate 1 Host/mq.test port 443");
}

#[test]
fn a_credential_that_cannot_be_used_still_claims_its_names() {
    let simple = |name: &str| json!({"mode": "SIMPLE", "credentialName": name});
    let gateway = compile(&[
        gateway(json!([
            server("narrow", "HTTPS", &["a.example"], simple("none")),
            server("wide", "HTTPS", &["*"], json!({"mode": "ISTIO_MUTUAL"})),
            server("empty", "HTTPS", &["b.example"], simple("empty")),
            server(
                "files",
                "HTTPS",
                &["c.example"],
                json!({"mode": "SIMPLE", "serverCertificate": "/c", "privateKey": "/k"})
            ),
        ])),
        json!({"kind": "Secret", "metadata": {"namespace": "infra", "name": "empty"}, "data": {"cert": "", "key": ""}}),
    ]);
    assert_eq!(says(&gateway, Some(b"a.example"), &[]), "reject narrow no-certificate");
    assert_eq!(says(&gateway, Some(b"b.example"), &[]), "reject empty no-certificate");
    assert_eq!(says(&gateway, Some(b"c.example"), &[]), "terminate files certificate-files");
    assert_eq!(says(&gateway, Some(b"d.example"), &[]), "terminate wide mesh-certificate");
    let question = TlsQuestion::new(Sni::new(Some(b"a.example")));
    let decision = gateway.decide(&question, 0);
    assert_eq!(decision.mode, Mode::Reject);
    assert_eq!(
        decision.reason.to_string(),
        "server 0 of Gateway infra/edge (narrow) has no certificate that can be used; Secret/infra/none does not exist"
    );
}

#[test]
fn a_decision_does_not_allocate() {
    let gateway = compile(&[gateway(json!([server("all", "HTTPS", &["*"], json!({"mode": "ISTIO_MUTUAL"}))]))]);
    let question = TlsQuestion::new(Sni::new(Some(b"a.example")));
    let used = allocation_counter::measure(|| assert_eq!(gateway.decide(&question, 0).mode, Mode::Terminate));
    assert_eq!(used.count_total, 0);
}
