//! Public defects of the peers, each by its smallest input.

mod common;

use common::{cluster, decide, node, proxy, service, short, slice, view};
use serde_json::json;
use svc_model::{Frontend, FrontendKind, Verdict};

const OUTSIDE: &str = "203.0.113.9";

#[test]
fn cve_2020_8554_an_external_ip_never_shadows_a_cluster_ip() {
    let thief = json!({"clusterIP": "172.30.0.99", "externalIPs": ["172.30.0.41"]});
    let cluster = cluster([
        proxy(json!({})),
        node("n1", "192.168.0.1"),
        service("a-thief", thief),
        service("victim", json!({})),
        slice("victim", &[("10.1.0.1", "n1", json!({}))]),
        slice("a-thief", &[("10.6.6.6", "n1", json!({}))]),
    ]);
    let view = view(&cluster, "n1");
    assert_eq!(short(&view, "10.1.0.9", "172.30.0.41:80"), "dnat 10.1.0.1:8080");
    let conflict = view.conflicts().next().expect("a conflict");
    assert_eq!((&*conflict.loser.name, conflict.kind), ("a-thief", FrontendKind::ExternalIp));
}

#[test]
fn cve_2021_25737_no_endpoint_is_the_node_itself_or_its_neighbours() {
    let forbidden = ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"];
    let endpoints: Vec<_> = forbidden.iter().chain(&["10.1.0.1"]).map(|addr| (*addr, "n1", json!({}))).collect();
    let mut hand_made = json!({"kind": "Endpoints", "metadata": {"name": "old"}, "subsets": [{"ports": [{"name": "http", "port": 8080}]}]});
    hand_made["subsets"][0]["addresses"] =
        forbidden.iter().chain(&["10.1.0.2"]).map(|addr| json!({"ip": addr})).collect();
    let cluster = cluster([
        node("n1", "192.168.0.1"),
        service("web", json!({})),
        slice("web", &endpoints),
        service("old", json!({"clusterIP": "172.30.0.42"})),
        hand_made,
    ]);
    let view = view(&cluster, "n1");
    assert_eq!(short(&view, "10.1.0.9", "172.30.0.41:80"), "dnat 10.1.0.1:8080");
    assert_eq!(short(&view, "10.1.0.9", "172.30.0.42:80"), "dnat 10.1.0.2:8080");
}

#[test]
fn cve_2021_25736_a_load_balancer_without_address_has_no_frontend() {
    for ingress in [json!([]), json!([{"hostname": "lb.example"}]), json!([{"ip": ""}])] {
        let mut balancer = service("web", json!({"type": "LoadBalancer"}));
        balancer["status"] = json!({"loadBalancer": {"ingress": ingress}});
        let cluster = cluster([node("n1", "192.168.0.1"), balancer, slice("web", &[("10.1.0.1", "n1", json!({}))])]);
        let view = view(&cluster, "n1");
        assert!(view.service_ports().all(|port| port.load_balancer_ips.is_empty()));
        assert_eq!(short(&view, OUTSIDE, "0.0.0.0:80"), "accept");
        assert_eq!(short(&view, OUTSIDE, "192.168.0.1:80"), "accept");
    }
}

#[test]
fn cve_2019_9946_a_host_port_takes_local_destinations_only_and_after_services() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "edge"}, "spec": {"nodeName": "n1", "containers": [
        {"name": "c", "ports": [{"containerPort": 8000, "hostPort": 80}]}]},
        "status": {"phase": "Running", "podIP": "10.1.0.80"}});
    let cluster = cluster([
        node("n1", "192.168.0.1"),
        pod,
        service("web", json!({})),
        slice("web", &[("10.1.0.1", "n1", json!({}))]),
    ]);
    let view = view(&cluster, "n1");
    assert_eq!(short(&view, OUTSIDE, "172.30.0.41:80"), "dnat 10.1.0.1:8080");
    assert_eq!(short(&view, OUTSIDE, "203.0.113.50:80"), "accept");
    let decision = decide(&view, OUTSIDE, "192.168.0.1:80");
    assert_eq!(decision.verdict, Verdict::Dnat);
    assert!(matches!(decision.frontend, Some(Frontend::HostPort(port)) if &*port.pod.name == "edge"));
}

#[test]
fn cve_2020_8558_node_ports_answer_on_loopback_only_where_iptables_may() {
    let spec = json!({"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]});
    let at = |config| {
        let cluster = cluster([
            proxy(config),
            node("n1", "192.168.0.1"),
            service("web", spec.clone()),
            slice("web", &[("10.1.0.1", "n1", json!({}))]),
        ]);
        decide(&view(&cluster, "n1"), "127.0.0.1", "127.0.0.1:30080").verdict
    };
    assert_eq!(at(json!({})), Verdict::Dnat);
    assert_eq!(at(json!({"iptables": {"localhostNodePorts": false}})), Verdict::Accept);
    assert_eq!(at(json!({"mode": "nftables"})), Verdict::Accept);
    assert_eq!(at(json!({"mode": "ipvs"})), Verdict::Accept);
}
