//! Public defects of the peers, each by its smallest input.

mod common;

use common::{cluster, decide, node, proxy, service, short, slice, view};
use serde_json::json;
use svc_model::check::{self, Level};
use svc_model::{Frontend, FrontendKind, NodeSettings, NodeView, ServicePort, Verdict, endpoints};

const OUTSIDE: &str = "203.0.113.9";

/// Owner and loser of what two Services claim.
fn conflicts(view: &NodeView) -> Vec<(String, String)> {
    let mut conflicts = Vec::new();
    for conflict in view.conflicts() {
        conflicts.push((conflict.owner.to_string(), conflict.loser.to_string()));
    }
    conflicts
}

fn ports(view: &NodeView) -> Vec<ServicePort> {
    let mut ports = Vec::new();
    for port in view.service_ports() {
        ports.push(ServicePort::clone(port));
    }
    ports
}

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

#[test]
fn cve_2020_8554_every_external_address_is_warned_of() {
    let fields = |spec: serde_json::Value, status: serde_json::Value| -> Vec<String> {
        let mut taker = service("a-taker", spec);
        taker["status"] = json!({"loadBalancer": {"ingress": status}});
        let pod =
            json!({"kind": "Pod", "metadata": {"name": "p"}, "status": {"podIP": "10.1.0.1", "phase": "Running"}});
        let api = json!({"kind": "Endpoints", "metadata": {"name": "kubernetes"},
            "subsets": [{"addresses": [{"ip": "192.168.0.9"}], "ports": [{"port": 80}]}]});
        let victim = service("victim", json!({"clusterIP": "172.30.0.42"}));
        let world = cluster([node("n1", "192.168.0.1"), pod, api, victim, taker.clone()]);
        let alone = check::object(&common::object(taker), "v1");
        let found = alone.into_iter().chain(check::cluster(&world));
        let found = found.filter(|finding| finding.object == "Service/default/a-taker");
        let about = |field: &str| field.contains("externalIPs") || field.contains("ingress");
        found.filter(|f| about(&f.field)).map(|f| format!("{} {}", f.level, f.field)).collect()
    };
    const WARNED: &str = "warning spec.externalIPs[0]";
    for (ip, expected) in [
        ("203.0.113.7", &[WARNED][..]),
        ("172.30.0.42", &[WARNED, WARNED]),
        ("192.168.0.1", &[WARNED, WARNED]),
        ("192.168.0.9", &[WARNED, WARNED]),
        ("10.1.0.1", &[WARNED, WARNED]),
        ("127.0.0.1", &["error spec.externalIPs[0]"]),
    ] {
        assert_eq!(fields(json!({ "externalIPs": [ip] }), json!([])), expected, "{ip}");
    }
    let balancer = json!({"type": "LoadBalancer"});
    for ip in ["172.30.0.42", "192.168.0.9", "10.1.0.1", "127.0.0.1"] {
        let found = fields(balancer.clone(), json!([{ "ip": ip }]));
        assert_eq!(found, ["warning status.loadBalancer.ingress[0].ip"], "{ip}");
    }
}

#[test]
fn cve_2020_8554_of_two_claims_the_first_by_name_has_it_and_the_other_is_reported() {
    let claim = |name: &str, ip: &str| service(name, json!({"clusterIP": ip, "externalIPs": ["203.0.113.7"]}));
    let objects = [
        proxy(json!({})),
        node("n1", "192.168.0.1"),
        claim("b", "172.30.0.2"),
        claim("a", "172.30.0.1"),
        slice("a", &[("10.1.0.1", "n1", json!({}))]),
        slice("b", &[("10.1.0.2", "n1", json!({}))]),
    ];
    let mut backwards = objects.clone();
    backwards.reverse();
    for objects in [objects, backwards] {
        let cluster = cluster(objects);
        let view = view(&cluster, "n1");
        assert_eq!(short(&view, OUTSIDE, "203.0.113.7:80"), "dnat 10.1.0.1:8080 masq");
        assert_eq!(conflicts(&view), [("default/a".to_owned(), "default/b".to_owned())]);
        let found = check::cluster(&cluster);
        let of = |name: &str| found.iter().any(|f| f.object.ends_with(name) && f.field == "spec.externalIPs[0]");
        assert!(of("/b") && !of("/a"), "{found:#?}");
    }
}

#[test]
fn cve_2021_25740_endpoints_say_who_supplied_them_and_are_warned_of() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "secret", "namespace": "other"},
        "status": {"podIP": "10.1.0.1", "phase": "Running"}});
    let forged = slice(
        "web",
        &[("10.1.0.1", "n1", json!({})), ("192.168.0.1", "n1", json!({})), ("172.30.0.42", "n1", json!({}))],
    );
    let victim = service("victim", json!({"clusterIP": "172.30.0.42"}));
    let cluster = cluster([node("n1", "192.168.0.1"), pod, victim, service("web", json!({})), forged]);
    let found = check::cluster(&cluster);
    for (i, whose) in ["Pod/other/secret", "Node/n1", "Service/default/victim"].iter().enumerate() {
        let field = format!("endpoints[{i}].addresses[0]");
        let warned = found.iter().find(|f| f.object == "EndpointSlice/default/web-1" && f.field == field);
        assert!(warned.is_some_and(|f| f.message.contains(whose)), "{field}: {found:#?}");
    }
    let sets = endpoints::of(&cluster, cluster.get("default", "web").unwrap()).sets;
    assert_eq!(sets[0].object.to_string(), "EndpointSlice/default/web-1");
}

#[test]
fn cve_2021_25737_slices_of_ipv6_and_mapped_addresses_are_judged_alike() {
    let of_type = |address_type: &str, addrs: &[&str]| {
        let mut slice = slice("web", &addrs.iter().map(|addr| (*addr, "n1", json!({}))).collect::<Vec<_>>());
        slice["addressType"] = address_type.into();
        let ip = if address_type == "IPv6" { "fd00::41" } else { "172.30.0.41" };
        let cluster = cluster([node("n1", "192.168.0.1"), service("web", json!({ "clusterIP": ip })), slice]);
        short(&view(&cluster, "n1"), "fd00::9", &std::net::SocketAddr::new(ip.parse().unwrap(), 80).to_string())
    };
    let v6 = ["fe80::1", "::", "::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.1.0.1", "fd00::1"];
    assert_eq!(of_type("IPv6", &v6), "dnat [fd00::1]:8080");
    assert_eq!(of_type("IPv4", &["::ffff:127.0.0.1", "::ffff:169.254.169.254", "10.1.0.1"]), "dnat 10.1.0.1:8080");
    assert_eq!(of_type("FQDN", &["localhost.localdomain", "127.0.0.1", "10.1.0.1"]), "reject");
}

#[test]
fn cve_2020_8562_no_name_is_resolved() {
    // An address that is checked is the address that is used: whoever has names resolves them once, before.
    let names = ["db.example.com", "localhost", "metadata.google.internal"];
    let named: Vec<_> = names.iter().map(|name| (*name, "n1", json!({}))).collect();
    let mut balancer = service("web", json!({"type": "LoadBalancer", "externalIPs": names}));
    balancer["status"] = json!({"loadBalancer": {"ingress": names.map(|name| json!({"ip": name, "hostname": name}))}});
    let cluster = cluster([node("n1", "localhost"), balancer, slice("web", &named)]);
    let port = ports(&view(&cluster, "n1")).remove(0);
    assert!(port.external_ips.is_empty() && port.load_balancer_ips.is_empty() && !port.has_any_endpoints);
}

#[test]
fn cve_2021_32783_a_name_that_leads_back_is_flagged_and_has_no_frontend() {
    for name in ["localhost", "127.0.0.1", "169.254.169.254"] {
        let spec = json!({"type": "ExternalName", "externalName": name, "externalIPs": ["203.0.113.7"]});
        let alias = service("web", spec);
        let found = check::object(&common::object(alias.clone()), "v1");
        assert!(
            found.iter().any(|f| f.level == Level::Warning && f.field == "spec.externalName"),
            "{name}: {found:#?}"
        );
        let cluster = cluster([node("n1", "192.168.0.1"), alias, slice("web", &[("10.1.0.1", "n1", json!({}))])]);
        let view = view(&cluster, "n1");
        assert_eq!(ports(&view), []);
        assert_eq!(short(&view, OUTSIDE, "203.0.113.7:80"), "accept");
    }
}

#[test]
fn cve_2024_42486_what_was_taken_back_counts_no_more() {
    let objects = || {
        [
            node("n1", "192.168.0.1"),
            service("web", json!({"externalIPs": ["203.0.113.7"]})),
            slice("web", &[("10.1.0.1", "n1", json!({}))]),
            service("other", json!({"clusterIP": "172.30.0.42", "externalIPs": ["203.0.113.7"]})),
        ]
    };
    // However each came, went and came again, only what is there now decides.
    for gone in 0..objects().len() {
        let left = objects().into_iter().enumerate().filter(|(i, _)| *i != gone).map(|(_, object)| object);
        let fresh = cluster(left);
        for first in 0..objects().len() {
            let mut order: Vec<_> = objects().to_vec();
            order.rotate_left(first);
            let mut changed = cluster(order);
            let reference = common::object(objects()[gone].clone()).reference();
            changed.remove(&reference);
            changed.apply(common::object(objects()[gone].clone()));
            changed.remove(&reference);
            let (changed, fresh) = (view(&changed, "n1"), view(&fresh, "n1"));
            assert_eq!(ports(&changed), ports(&fresh), "without {reference}");
            assert_eq!(conflicts(&changed), conflicts(&fresh), "without {reference}");
        }
    }
}

#[test]
fn cve_2023_30851_overlapping_source_ranges_are_what_each_of_them_is() {
    let ranges = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "192.0.2.0/24", "192.0.2.128/25"];
    let verdict = |ranges: &[&str], src: &str| {
        let mut balancer = service("web", json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ranges}));
        balancer["status"] = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}});
        let cluster = cluster([node("n1", "192.168.0.1"), balancer, slice("web", &[("10.1.0.1", "n1", json!({}))])]);
        decide(&view(&cluster, "n1"), src, "203.0.113.7:80").verdict
    };
    for src in ["10.1.2.3", "10.1.2.4", "10.2.0.1", "11.0.0.1", "192.0.2.1", "192.0.2.200", "192.0.3.1"] {
        for a in ranges {
            for b in ranges {
                let alone = [verdict(&[a], src), verdict(&[b], src)];
                let expected = if alone.contains(&Verdict::Dnat) { Verdict::Dnat } else { Verdict::Drop };
                assert_eq!(verdict(&[a, b], src), expected, "{src} with {a} and {b}");
            }
        }
    }
}

#[test]
fn one_node_port_of_two_services_is_the_first_ones_and_an_error_of_the_other() {
    let claim = |name: &str, ip: &str| {
        let port = json!([{"name": "http", "port": 80, "nodePort": 30080}]);
        service(name, json!({"type": "NodePort", "clusterIP": ip, "ports": port}))
    };
    let cluster = cluster([
        node("n1", "192.168.0.1"),
        claim("b", "172.30.0.2"),
        claim("a", "172.30.0.1"),
        slice("a", &[("10.1.0.1", "n1", json!({}))]),
        slice("b", &[("10.1.0.2", "n1", json!({}))]),
    ]);
    let view = view(&cluster, "n1");
    assert_eq!(short(&view, OUTSIDE, "192.168.0.1:30080"), "dnat 10.1.0.1:8080 masq");
    assert_eq!(conflicts(&view)[0].1, "default/b");
    let found = check::cluster(&cluster);
    let refused: Vec<_> = found.iter().filter(|f| f.level == Level::Error).map(|f| (&*f.object, &*f.field)).collect();
    assert_eq!(refused, [("Service/default/b", "spec.ports[0].nodePort")]);
}

#[test]
fn cve_2020_8554_no_external_ip_is_loopback_or_link_local() {
    let special = ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"];
    let cluster = cluster([
        node("n1", "192.168.0.1"),
        service("web", json!({"externalIPs": special})),
        slice("web", &[("10.1.0.1", "n1", json!({}))]),
    ]);
    for addr in special {
        assert_eq!(short(&view(&cluster, "n1"), OUTSIDE, &format!("{addr}:80")), "accept");
    }
}

#[test]
fn cve_2020_8554_an_external_ip_that_the_owner_does_not_allow_leads_nowhere() {
    let cluster = cluster([
        node("n1", "192.168.0.1"),
        service("web", json!({"externalIPs": ["203.0.113.7", "198.51.100.7"]})),
        slice("web", &[("10.1.0.1", "n1", json!({}))]),
    ]);
    let settings = NodeSettings::of(&cluster, Some("n1")).unwrap();
    let answers = |policy: &str| {
        let view = NodeView::new(&cluster, settings.clone().external_ips(policy.parse().unwrap()));
        ["203.0.113.7:80", "198.51.100.7:80", "172.30.0.41:80"].map(|dst| decide(&view, OUTSIDE, dst).verdict)
    };
    assert_eq!(answers("all"), [Verdict::Dnat; 3]);
    assert_eq!(answers("203.0.113.0/24"), [Verdict::Dnat, Verdict::Accept, Verdict::Dnat]);
    assert_eq!(answers("none"), [Verdict::Accept, Verdict::Accept, Verdict::Dnat]);
}
