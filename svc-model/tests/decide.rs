//! The lines of the decision table, each with its reason.

mod common;

use std::sync::Arc;

use common::{cluster, completed, decide, node, proxy, service, short, slice, view};
use serde_json::{Value, json};
use svc_model::{Frontend, FrontendKind, NodeSettings, Packet, Protocol, Reason, Verdict};

const POD: &str = "10.1.0.5";
const NODE: &str = "192.168.0.1";
const OUTSIDE: &str = "203.0.113.9";

/// Two nodes, and a Service with an endpoint on each.
fn world(spec: Value, config: Value) -> svc_model::Cluster {
    cluster([
        proxy(config),
        node("n1", NODE),
        node("n2", "192.168.0.2"),
        service("web", spec),
        slice("web", &[("10.1.0.1", "n1", json!({})), ("10.2.0.1", "n2", json!({}))]),
    ])
}

#[test]
fn a_cluster_ip_leads_to_all_endpoints_masqueraded_for_strangers() {
    let cluster = world(json!({}), json!({}));
    let view = view(&cluster, "n1");
    assert_eq!(short(&view, POD, "172.30.0.41:80"), "dnat 10.1.0.1:8080 10.2.0.1:8080");
    assert_eq!(short(&view, OUTSIDE, "172.30.0.41:80"), "dnat 10.1.0.1:8080 10.2.0.1:8080 masq");
    assert_eq!(short(&view, NODE, "172.30.0.41:80"), "dnat 10.1.0.1:8080 10.2.0.1:8080 masq");
    assert_eq!(decide(&view, POD, "172.30.0.41:80").reason, Reason::ClusterIp);
    assert_eq!(short(&view, POD, "172.30.0.41:81"), "accept");
    assert!(matches!(decide(&view, POD, "172.30.0.41:81").reason, Reason::UnknownPort(_)));
}

#[test]
fn an_endpoint_that_calls_itself_is_masqueraded_towards_itself_only() {
    let cluster = world(json!({}), json!({}));
    let view = view(&cluster, "n1");
    let decision = decide(&view, "10.1.0.1", "172.30.0.41:80");
    let masquerades: Vec<bool> =
        decision.endpoints.candidates().iter().map(|b| decision.endpoints.masquerades(b)).collect();
    assert_eq!(masquerades, [true, false]);
}

#[test]
fn a_node_port_answers_on_the_nodes_own_addresses_only() {
    let cluster =
        world(json!({"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]}), json!({}));
    let view = view(&cluster, "n1");
    assert_eq!(short(&view, OUTSIDE, "192.168.0.1:30080"), "dnat 10.1.0.1:8080 10.2.0.1:8080 masq");
    assert_eq!(short(&view, NODE, "127.0.0.1:30080"), "dnat 10.1.0.1:8080 10.2.0.1:8080 masq");
    assert_eq!(short(&view, OUTSIDE, "192.168.0.2:30080"), "accept");
    let Some(Frontend::Service(kind, port)) = decide(&view, OUTSIDE, "192.168.0.1:30080").frontend else {
        panic!("a frontend")
    };
    assert_eq!((kind, &*port.name), (FrontendKind::NodePort, "http"));
}

#[test]
fn external_local_keeps_the_source_and_short_circuits_for_insiders() {
    let spec = json!({"type": "NodePort", "externalTrafficPolicy": "Local", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]});
    let cluster = world(spec, json!({}));
    let here = view(&cluster, "n1");
    assert_eq!(short(&here, OUTSIDE, "192.168.0.1:30080"), "dnat 10.1.0.1:8080");
    assert_eq!(short(&here, POD, "192.168.0.1:30080"), "dnat 10.1.0.1:8080 10.2.0.1:8080");
    assert_eq!(short(&here, NODE, "192.168.0.1:30080"), "dnat 10.1.0.1:8080 10.2.0.1:8080 masq");
    assert_eq!(decide(&here, POD, "192.168.0.1:30080").reason, Reason::ShortCircuitPod);
}

#[test]
fn local_without_a_local_endpoint_drops() {
    let spec = json!({"internalTrafficPolicy": "Local"});
    let mut cluster = world(spec, json!({}));
    cluster.apply(common::object(node("n3", "192.168.0.3")));
    let elsewhere = view(&cluster, "n3");
    assert_eq!(short(&elsewhere, POD, "172.30.0.41:80"), "drop");
    assert_eq!(decide(&elsewhere, POD, "172.30.0.41:80").reason, Reason::NoLocalEndpoints);
}

#[test]
fn without_endpoints_every_frontend_rejects_and_says_so() {
    let cluster = cluster([node("n1", NODE), service("web", json!({}))]);
    let view = view(&cluster, "n1");
    let decision = decide(&view, POD, "172.30.0.41:80");
    assert_eq!((decision.verdict, decision.reason), (Verdict::Reject, Reason::NoEndpoints));
    let words = view.explain(&decision).to_string();
    assert_eq!(
        words,
        "cluster IP of Service/default/web port http: the Service has no ready endpoint, so the packet is rejected"
    );
}

#[test]
fn a_headless_service_has_no_frontend_and_its_pods_are_reached_directly() {
    let cluster = world(json!({"clusterIP": "None"}), json!({}));
    let view = view(&cluster, "n1");
    assert!(view.service_ports().next().is_none());
    assert_eq!(short(&view, POD, "10.1.0.1:8080"), "accept");
}

#[test]
fn affinity_is_told_with_its_effective_timeout() {
    let with = |config: Value| {
        let cluster = world(json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}), json!({}));
        decide(&view(&cluster, "n1"), POD, "172.30.0.41:80").affinity_seconds()
    };
    assert_eq!(with(Value::Null), Some(10_800));
    assert_eq!(with(json!({"clientIP": {"timeoutSeconds": 60}})), Some(60));
    assert_eq!(with(json!({"clientIP": {"timeoutSeconds": 86_401}})), Some(10_800));
    let cluster = world(json!({}), json!({}));
    assert_eq!(decide(&view(&cluster, "n1"), POD, "172.30.0.41:80").affinity_seconds(), None);
}

#[test]
fn terminating_endpoints_serve_when_none_is_ready() {
    let cluster = cluster([
        node("n1", NODE),
        service("web", json!({})),
        slice(
            "web",
            &[
                ("10.1.0.1", "n1", json!({"ready": false, "serving": true, "terminating": true})),
                ("10.2.0.1", "n2", json!({"ready": false, "serving": false, "terminating": true})),
            ],
        ),
    ]);
    assert_eq!(short(&view(&cluster, "n1"), POD, "172.30.0.41:80"), "dnat 10.1.0.1:8080");
}

#[test]
fn a_ping_proves_nothing_and_the_words_say_so() {
    let cluster = world(json!({}), json!({}));
    let view = view(&cluster, "n1");
    let decision = view.decide(&Packet::ping(POD.parse().unwrap(), "172.30.0.41".parse().unwrap()));
    assert_eq!(decision.verdict, Verdict::Accept);
    assert!(view.explain(&decision).to_string().contains("a ping proves nothing"));
}

#[test]
fn several_nodes_and_no_choice_is_an_error_that_names_them() {
    let cluster = cluster([node("n1", NODE), node("n2", "192.168.0.2")]);
    let error = NodeSettings::of(&cluster, None).unwrap_err();
    assert_eq!(error.to_string(), "the cluster has several nodes, so one must be chosen: n1, n2");
    assert_eq!(NodeSettings::of(&cluster, Some("n2")).unwrap().node(), "n2");
}

#[test]
fn two_services_with_one_address_have_one_owner_whatever_the_order() {
    let twin = |name: &str| service(name, json!({"selector": {"app": name}}));
    for order in [["a", "b"], ["b", "a"]] {
        let cluster = cluster(order.map(twin));
        let view = view(&cluster, "");
        let Some(Frontend::Service(_, port)) = decide(&view, POD, "172.30.0.41:80").frontend else {
            panic!("a frontend")
        };
        assert_eq!(port.service.to_string(), "default/a");
        let conflicts: Vec<_> = view.conflicts().map(|c| (c.owner.to_string(), c.loser.to_string())).collect();
        assert_eq!(conflicts, [("default/a".to_owned(), "default/b".to_owned())]);
    }
}

#[test]
fn assumptions_are_in_the_words() {
    let cluster = completed([
        json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"metadata": {"labels": {"app": "web"}}}}}),
        json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
    ]);
    let view = view(&cluster, "");
    let decision = decide(&view, POD, "10.96.1.0:80");
    let words = view.explain(&decision).to_string();
    assert_eq!(words, "cluster IP of Service/default/web: 1 ready endpoint (assumed cluster IP) (assumed Pods)");
}

#[test]
fn udp_and_tcp_of_one_port_are_apart() {
    let cluster = world(json!({"ports": [{"name": "http", "port": 80, "protocol": "UDP"}]}), json!({}));
    let view = view(&cluster, "n1");
    assert_eq!(short(&view, POD, "172.30.0.41:80"), "accept");
    let packet = Packet::new(POD.parse().unwrap(), "172.30.0.41:80".parse().unwrap(), Protocol::Udp);
    assert_eq!(view.decide(&packet).verdict, Verdict::Reject);
}

/// What happens at other ports of an external IP, and to a ping of it: verdict and words.
fn at_external_ip(addr: &str, mode: &str) -> [(Verdict, String); 2] {
    let cluster = world(json!({"externalIPs": [addr]}), json!({"mode": mode}));
    let view = view(&cluster, "n1");
    let (src, dst) = (OUTSIDE.parse().unwrap(), addr.parse().unwrap());
    let other_port = Packet::new(src, std::net::SocketAddr::new(dst, 22), Protocol::Tcp);
    [other_port, Packet::ping(src, dst)].map(|packet| {
        let decision = view.decide(&packet);
        (decision.verdict, view.explain(&decision).to_string())
    })
}

#[test]
fn an_external_ip_of_the_node_itself_leaves_other_ports_and_pings_to_the_node() {
    for mode in ["iptables", "ipvs", "nftables"] {
        for (verdict, words) in at_external_ip(NODE, mode) {
            assert_eq!(verdict, Verdict::Accept, "{mode}");
            assert_eq!(
                words,
                "the address is also the node's own; Service/default/web has no such port and protocol there, \
                 so the node itself takes the packet"
            );
        }
        let cluster = world(json!({"externalIPs": [NODE]}), json!({"mode": mode}));
        let view = view(&cluster, "n1");
        assert_eq!(short(&view, OUTSIDE, "192.168.0.1:80"), "dnat 10.1.0.1:8080 10.2.0.1:8080 masq");
    }
}

#[test]
fn an_external_ip_elsewhere_is_refused_by_ipvs_only_and_may_be_somebodys() {
    const ELSEWHERE: &str = "198.51.100.7";
    for mode in ["iptables", "nftables"] {
        let [(port, port_words), (ping, ping_words)] = at_external_ip(ELSEWHERE, mode);
        assert_eq!((port, ping), (Verdict::Accept, Verdict::Accept));
        assert_eq!(
            port_words,
            "the address belongs to Service/default/web, which has no such port and protocol; \
             no rule matches, so the packet goes on unchanged"
        );
        assert!(ping_words.contains("to whoever else has it") && ping_words.contains("a ping proves nothing"));
    }
    let [(port, port_words), (ping, ping_words)] = at_external_ip(ELSEWHERE, "ipvs");
    assert_eq!((port, ping), (Verdict::Reject, Verdict::Reject));
    assert!(port_words.ends_with("ipvs mode rejects that") && ping_words.starts_with("ipvs mode rejects a ping"));
}

#[test]
fn nftables_drops_what_lies_in_a_service_range_and_is_no_cluster_ip() {
    let in_range = |addr: &str, mode: &str| {
        let mut cluster = world(json!({"externalIPs": ["172.30.0.99"]}), json!({"mode": mode}));
        cluster.apply(common::object(
            json!({"kind": "ServiceCIDR", "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["172.30.0.0/16"]}}),
        ));
        let view = view(&cluster, "n1");
        let dst = addr.parse().unwrap();
        let other_port = Packet::new(OUTSIDE.parse().unwrap(), std::net::SocketAddr::new(dst, 22), Protocol::Tcp);
        [other_port, Packet::ping(OUTSIDE.parse().unwrap(), dst)].map(|packet| view.decide(&packet).verdict)
    };
    assert_eq!(in_range("172.30.0.41", "nftables"), [Verdict::Reject; 2]);
    assert_eq!(in_range("172.30.0.42", "nftables"), [Verdict::Drop; 2]);
    // An external IP, too, which is in no set of cluster IPs.
    assert_eq!(in_range("172.30.0.99", "nftables"), [Verdict::Drop; 2]);
    assert_eq!(in_range("172.30.0.99", "iptables"), [Verdict::Accept; 2]);
}

#[test]
fn the_words_tell_a_hairpin_from_a_masquerade_of_all() {
    let cluster = world(json!({}), json!({}));
    let view = view(&cluster, "n1");
    let words = |src| view.explain(&decide(&view, src, "172.30.0.41:80")).to_string();
    assert!(words("10.1.0.1").ends_with("2 ready endpoints, source address replaced (masquerade) only towards itself"));
    assert!(words(OUTSIDE).ends_with("2 ready endpoints, source address replaced (masquerade)"));
    assert!(words(POD).ends_with("2 ready endpoints"));
}

#[test]
fn ports_that_lead_to_one_target_share_their_endpoints() {
    let port = |name: &str, port: u16, target: u16| json!({"name": name, "port": port, "targetPort": target});
    let cluster = completed([
        json!({"kind": "Deployment", "metadata": {"name": "web"},
               "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": "web"}}}}}),
        json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"},
            "ports": [port("a", 80, 8080), port("b", 81, 8080), port("c", 82, 8082)]}}),
    ]);
    let view = view(&cluster, "");
    let ports: Vec<_> = view.service_ports().collect();
    let [a, b, c] = ports[..] else { panic!("three ports") };
    assert_eq!(a.cluster.endpoints.len(), 3);
    assert!(Arc::ptr_eq(&a.cluster.endpoints, &b.cluster.endpoints));
    assert_ne!(a.cluster.endpoints, c.cluster.endpoints);
    let pod = |port: &svc_model::ServicePort| port.cluster.endpoints[0].pod().expect("a Pod").to_string();
    assert_eq!([pod(a), pod(c)], ["default/web-deployment-0"; 2]);
}

#[test]
fn endpoints_are_in_the_order_of_their_text() {
    let cluster = cluster([
        node("n1", NODE),
        service("web", json!({})),
        slice("web", &["10.1.1.1", "10.1.1.11", "10.1.1.2"].map(|addr| (addr, "n1", json!({})))),
    ]);
    assert_eq!(short(&view(&cluster, "n1"), POD, "172.30.0.41:80"), "dnat 10.1.1.11:8080 10.1.1.1:8080 10.1.1.2:8080");
}

#[test]
fn only_allocated_values_are_called_assumed() {
    let mut node = node("n1", NODE);
    node["spec"] = json!({"podCIDR": "10.1.0.0/16"});
    let ranges = json!({"kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
                        "spec": {"cidrs": ["172.30.0.0/16", "fd00:30::/112"]}});
    let balancer = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ipFamilyPolicy": "RequireDualStack",
        "ports": [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "tls", "port": 443}]});
    let cluster = completed([node, ranges, service("web", balancer), slice("web", &[("10.1.0.1", "n1", json!({}))])]);
    let key = svc_model::NamespacedName::new("default", "web");
    assert!(cluster.has_assumed_cluster_ips(&key) && cluster.has_assumed_node_ports(&key));
    assert!(!cluster.is_assumed_cluster_ip(&key, "172.30.0.41".parse().unwrap()));
    assert!(cluster.is_assumed_cluster_ip(&key, "fd00:30::100".parse().unwrap()));
    assert_eq!([30080, 30086, 30087].map(|number| cluster.is_assumed_node_port(&key, number)), [false, true, true]);
    let view = view(&cluster, "n1");
    let words = |dst: &str| view.explain(&decide(&view, OUTSIDE, dst)).to_string();
    assert!(words("172.30.0.41:80").ends_with("1 ready endpoint"));
    assert!(words("192.168.0.1:30080").ends_with("1 ready endpoint on node n1"));
    assert!(words("192.168.0.1:30086").ends_with("(assumed node port)"));
    assert!(words("192.168.0.1:30087").ends_with("the node's proxy answers it (assumed node port)"));
    assert!(words("[fd00:30::100]:80").ends_with("(assumed cluster IP)"));
}
