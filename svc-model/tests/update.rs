//! A view that follows its cluster is the view it would be if it were made anew, and its deltas tell the whole difference.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::{cluster, node, object, proxy, service, slice};
use proptest::prelude::*;
use serde_json::{Value, json};
use svc_model::addr::IpFamily;
use svc_model::testkit::{Edit, NODE, edits, objects};
use svc_model::{
    ClientTable, Cluster, Delta, Destination, Flow, NodeSettings, NodeView, Packet, Protocol, ServicePort, Touched,
    Verdict, Work,
};

/// More with the environment variable `PROPTEST_CASES`, which proptest reads.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(512), ..default }
}

fn view_of(cluster: &Cluster, node: &str) -> NodeView {
    NodeView::new(cluster, NodeSettings::of(cluster, Some(node)).unwrap())
}

fn touch(cluster: &mut Cluster, edit: &Edit) -> Touched {
    match edit {
        Edit::Apply(object) => cluster.apply((**object).clone()).touched,
        Edit::Remove(object) => cluster.remove(object).touched,
        _ => Touched::default(),
    }
}

type Ports = BTreeMap<String, Arc<ServicePort>>;

/// By everything that tells one from another.
fn ports(view: &NodeView) -> Ports {
    view.service_ports().map(|port| (format!("{:?}", port.id()), port.clone())).collect()
}

fn follow(ports: &mut Ports, delta: &Delta) {
    for change in &delta.ports {
        let name = format!("{:?}", change.id());
        assert_eq!(ports.get(&name), change.before(), "what was, of {name}");
        match change.after() {
            Some(port) => drop(ports.insert(name, port.clone())),
            None => drop(ports.remove(&name)),
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_view_of_any_node_that_follows_is_the_view_made_anew(objects in objects(), edits in edits()) {
        let mut cluster: Cluster = objects.into_iter().collect();
        let mut views = [NODE, "n2", ""].map(|node| view_of(&cluster, node));
        for edit in &edits {
            let touched = touch(&mut cluster, edit);
            for view in &mut views {
                let before = ports(view);
                let delta = view.update(&cluster, &touched);
                let mut followed = before.clone();
                follow(&mut followed, &delta);
                prop_assert_eq!(&followed, &ports(view));
                prop_assert_eq!(&*view, &view_of(&cluster, view.settings().node()));
                if delta.is_empty() {
                    prop_assert_eq!(followed, before);
                }
            }
        }
    }

    #[test]
    fn joined_deltas_tell_what_one_would(objects in objects(), edits in edits()) {
        let mut cluster: Cluster = objects.into_iter().collect();
        let (mut step_by_step, mut at_once) = (view_of(&cluster, NODE), view_of(&cluster, NODE));
        let (mut joined, mut touched) = (Delta::default(), Touched::default());
        for edit in &edits {
            let change = touch(&mut cluster, edit);
            joined.extend(step_by_step.update(&cluster, &change));
            touched.extend(change);
        }
        let one = at_once.update(&cluster, &touched);
        prop_assert_eq!(&joined.ports, &one.ports);
        prop_assert_eq!(&joined.host_ports, &one.host_ports);
        prop_assert_eq!(joined.stale_flows().collect::<Vec<_>>(), one.stale_flows().collect::<Vec<_>>());
        prop_assert_eq!(step_by_step, at_once);
    }

    #[test]
    fn the_flows_listed_are_those_that_a_look_at_each_would_find(objects in objects(), edits in edits()) {
        let mut cluster: Cluster = objects.into_iter().collect();
        let mut view = view_of(&cluster, NODE);
        for edit in &edits {
            let before = view.clone();
            let touched = touch(&mut cluster, edit);
            let delta = view.update(&cluster, &touched);
            if delta.settings {
                continue; // a full plan looks at each
            }
            let stale: Vec<_> = delta.stale_flows().collect();
            // Every flow that may be there: to what was a datagram frontend, to each endpoint that served, or untranslated.
            for port in before.service_ports().chain(view.service_ports()).filter(|port| port.protocol != Protocol::Tcp) {
                for (_, destination) in port.frontends() {
                    let at = match destination.addr {
                        addr if !addr.is_unspecified() => destination,
                        addr => {
                            let taken = |own: &std::net::IpAddr| IpFamily::of(*own) == IpFamily::of(addr) && view.settings().takes_node_ports_at(*own);
                            let Some(own) = view.settings().addresses().find(taken) else { continue };
                            Destination { addr: own, ..destination }
                        }
                    };
                    let owner = |view: &NodeView| view.owner_of(&at).or_else(|| view.owner_of(&destination)).cloned();
                    let flows = match owner(&before) {
                        Some(port) => port.serving.to_vec(),
                        None => vec![at.socket_addr()],
                    };
                    for reply_source in flows {
                        let flow = Flow { destination: at, reply_source };
                        let listed = stale.iter().any(|stale| stale.is(&flow));
                        // A destination that nobody has any more is found by the list alone.
                        prop_assert_eq!(listed, view.is_stale(&flow) || owner(&view).is_none() && owner(&before).is_some(), "{:?}", flow);
                    }
                }
            }
        }
    }
}

/// `n` Services with two endpoints each.
fn many(n: usize) -> Cluster {
    let services = (0..n).flat_map(|i| {
        let [b, c] = [(i / 250) as u8, (i % 250) as u8 + 1];
        let name = format!("s{i}");
        let mut slice =
            slice(&name, &[(&format!("10.{b}.{c}.1"), "n1", json!({})), (&format!("10.{b}.{c}.2"), "n2", json!({}))]);
        slice["metadata"]["namespace"] = format!("ns{}", i % 7).into();
        let mut service = service(&name, json!({"clusterIP": format!("172.{}.{b}.{c}", 16 + i / 62_500)}));
        service["metadata"]["namespace"] = format!("ns{}", i % 7).into();
        [service, slice]
    });
    cluster(services.chain([node("n1", "192.168.0.1"), node("n2", "192.168.0.2")]))
}

#[test]
fn ten_changed_services_cost_the_same_looks_whatever_the_number_of_others() {
    let work = |n: usize| {
        let mut cluster = many(n);
        let mut view = view_of(&cluster, "n1");
        let mut touched = Touched::default();
        for i in 0..10 {
            let mut changed = slice(&format!("s{}", i * 97), &[("10.77.0.1", "n1", json!({}))]);
            changed["metadata"]["namespace"] = format!("ns{}", i * 97 % 7).into();
            touched.extend(cluster.apply(object(changed)).touched);
        }
        let delta = view.update(&cluster, &touched);
        assert_eq!(delta.ports.len(), 10);
        delta.work
    };
    let mut expected = Work::default();
    (expected.services, expected.endpoints) = (10, 10);
    assert_eq!(work(1_000), expected);
    assert_eq!(work(20_000), expected);
}

#[test]
fn nothing_touched_costs_nothing_and_allocates_nothing() {
    let cluster = many(100);
    let mut view = view_of(&cluster, "n1");
    let mut backend = svc_model::backend::ReferenceBackend::default();
    let mut reconciler = svc_model::backend::Reconciler::new(Default::default());
    reconciler.lists_complete();
    while !reconciler.is_settled() {
        reconciler.run(Duration::ZERO, &view, &mut backend);
    }
    let touched = Touched::default();
    let counted = allocation_counter::measure(|| {
        let delta = view.update(&cluster, &touched);
        assert!(delta.is_empty());
        reconciler.changed(delta);
        reconciler.run(Duration::from_secs(2), &view, &mut backend);
    });
    assert_eq!(counted.count_total, 0);
}

/// 250 bytes an endpoint beside the objects, which the cluster keeps.
#[test]
fn a_cluster_and_its_view_take_little_beside_the_objects() {
    const SERVICES: usize = 1_000;
    const ENDPOINTS: usize = 10;
    let objects: Vec<svc_model::Object> = (0..SERVICES)
        .flat_map(|i| {
            let [b, c] = [(i / 250) as u8, (i % 250) as u8 + 1];
            let endpoints: Vec<(String, String)> =
                (0..ENDPOINTS).map(|e| (format!("10.{b}.{c}.{}", e + 1), format!("node-{}", (i + e) % 50))).collect();
            let endpoints: Vec<(&str, &str, Value)> = endpoints.iter().map(|(a, n)| (&**a, &**n, json!({}))).collect();
            let mut slice = slice(&format!("service-{i}"), &endpoints);
            for (e, endpoint) in slice["endpoints"].as_array_mut().unwrap().iter_mut().enumerate() {
                endpoint["targetRef"] = json!({"kind": "Pod", "name": format!("service-{i}-5d8f9c7b64-{e:05}")});
            }
            [service(&format!("service-{i}"), json!({"clusterIP": format!("172.30.{b}.{c}")})), slice].map(object)
        })
        .collect();
    let mut built = None;
    let counted = allocation_counter::measure(|| {
        let cluster: Cluster = objects.into_iter().collect();
        let view = view_of(&cluster, "node-1");
        built = Some((cluster, view));
    });

    // The objects move out of their vector into boxes of their own of the same size, which is freed; it was not counted.
    let beside = counted.bytes_current;
    let bytes = beside as f64 / (SERVICES * ENDPOINTS) as f64;
    assert!(bytes <= 250.0, "{bytes} bytes an endpoint");
    drop(built);
}

#[test]
fn a_change_says_which_aspects_it_has() {
    let base = || json!({"type": "LoadBalancer", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]});
    let aspects = |change: Value| {
        let mut cluster = cluster([
            proxy(json!({})),
            node("n1", "192.168.0.1"),
            service("web", base()),
            slice("web", &[("10.1.0.1", "n1", json!({})), ("10.2.0.1", "n2", json!({}))]),
        ]);
        let mut view = view_of(&cluster, "n1");
        let mut spec = base();
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let touched = cluster.apply(object(service("web", spec))).touched;
        let delta = view.update(&cluster, &touched);
        delta.ports.iter().map(|change| change.aspects().to_string()).collect::<Vec<_>>().join(" | ")
    };
    assert_eq!(aspects(json!({"externalIPs": ["203.0.113.7"]})), "frontends");
    assert_eq!(aspects(json!({"externalTrafficPolicy": "Local"})), "local endpoints, policy");
    assert_eq!(aspects(json!({"sessionAffinity": "ClientIP"})), "affinity");
    assert_eq!(aspects(json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]})), "firewall");
    assert_eq!(aspects(json!({"ports": [{"name": "http", "port": 81, "nodePort": 30080}]})), "frontends");
    assert_eq!(
        aspects(json!({"ports": [{"name": "web", "port": 80}]})),
        ["frontends, cluster endpoints, local endpoints, policy, affinity, firewall, health check"; 2].join(" | ")
    );
    assert_eq!(aspects(json!({"selector": {"app": "other"}})), "");
}

#[test]
fn a_destination_goes_to_the_next_claimant_when_its_owner_leaves() {
    let mut cluster = cluster([
        service("a", json!({"clusterIP": "172.30.0.99", "externalIPs": ["203.0.113.7"]})),
        service("b", json!({"clusterIP": "172.30.0.98", "externalIPs": ["203.0.113.7"]})),
    ]);
    let mut view = view_of(&cluster, "");
    let at = Destination::new("203.0.113.7:80".parse().unwrap(), Protocol::Tcp);
    let owner = |view: &NodeView| view.owner_of(&at).map(|port| port.service.name.to_string());
    assert_eq!(owner(&view).as_deref(), Some("a"));
    let change = cluster.remove(&"Service/default/a".parse().unwrap());
    view.update(&cluster, &change.touched);
    assert_eq!((owner(&view).as_deref(), view.conflicts().count()), (Some("b"), 0));
    // A cluster IP goes before, whenever it comes.
    let change = cluster.apply(object(service("z", json!({"clusterIP": "203.0.113.7"}))));
    view.update(&cluster, &change.touched);
    assert_eq!((owner(&view).as_deref(), view.conflicts().count()), (Some("z"), 1));
}

#[test]
fn datagrams_to_an_endpoint_that_left_are_to_be_forgotten() {
    let dns = json!({"clusterIP": "172.30.0.10", "type": "NodePort",
        "ports": [{"name": "http", "port": 53, "protocol": "UDP", "nodePort": 30053}]});
    let with = |endpoints: &[(&str, &str, Value)]| {
        let mut slice = slice("dns", endpoints);
        slice["ports"][0]["protocol"] = "UDP".into();
        object(slice)
    };
    let [one, two] = ["10.1.0.1", "10.2.0.1"].map(|addr| (addr, "n1", json!({})));
    let mut cluster = cluster([node("n1", "192.168.0.1"), service("dns", dns)]);
    let mut view = view_of(&cluster, "n1");
    let mut step = |change: svc_model::Change, cluster: &Cluster| -> Vec<String> {
        view.update(cluster, &change.touched).stale_flows().map(|flow| flow.to_string()).collect()
    };
    // Entries made while there was no endpoint are black holes.
    let change = cluster.apply(with(&[one.clone(), two.clone()]));
    assert_eq!(step(change, &cluster), ["*:30053 UDP untranslated", "172.30.0.10:53 UDP untranslated"]);
    let change = cluster.apply(with(std::slice::from_ref(&two)));
    assert_eq!(step(change, &cluster), ["*:30053 UDP to 10.1.0.1:8080", "172.30.0.10:53 UDP to 10.1.0.1:8080"]);
    // Not ready, but serving still: its flows go on.
    let change =
        cluster.apply(with(&[("10.2.0.1", "n1", json!({"ready": false, "serving": true, "terminating": true}))]));
    assert_eq!(step(change, &cluster), [""; 0]);
    let change = cluster.apply(with(&[("10.2.0.1", "n1", json!({"ready": false, "serving": false}))]));
    assert_eq!(step(change, &cluster).len(), 2);
    // What is gone as a whole is no different (releases 1.32 to mid-2026 forgot it).
    let change = cluster.apply(with(&[one]));
    assert_eq!(step(change, &cluster).len(), 2);
    let change = cluster.remove(&"Service/default/dns".parse().unwrap());
    assert_eq!(step(change, &cluster), ["*:30053 UDP to 10.1.0.1:8080", "172.30.0.10:53 UDP to 10.1.0.1:8080"]);
}

#[test]
fn datagrams_to_a_node_port_are_forgotten_when_an_external_ip_takes_it() {
    let udp = |name: &str, spec: Value, addr: &str| {
        let mut slice = slice(name, &[(addr, "n1", json!({}))]);
        slice["ports"][0]["protocol"] = "UDP".into();
        [service(name, spec), slice]
    };
    let at_node = json!({"clusterIP": "172.30.0.1", "type": "NodePort",
        "ports": [{"name": "http", "port": 53, "protocol": "UDP", "nodePort": 30053}]});
    let external = json!({"clusterIP": "172.30.0.2", "externalIPs": ["192.168.0.1"],
        "ports": [{"name": "http", "port": 30053, "protocol": "UDP"}]});
    let mut cluster = cluster(udp("a", at_node, "10.1.0.1").into_iter().chain([node("n1", "192.168.0.1")]));
    let mut view = view_of(&cluster, "n1");
    let destination = Destination::new("192.168.0.1:30053".parse().unwrap(), Protocol::Udp);
    let flow = Flow { destination, reply_source: "10.1.0.1:8080".parse().unwrap() };
    assert!(!view.is_stale(&flow));
    let mut touched = Touched::default();
    for value in udp("b", external, "10.1.0.2") {
        touched.extend(cluster.apply(object(value)).touched);
    }
    let delta = view.update(&cluster, &touched);
    assert!(view.is_stale(&flow));
    assert!(delta.stale_flows().any(|stale| stale.is(&flow)));
}

#[test]
fn a_client_is_one_whichever_address_it_uses_except_in_ipvs_mode() {
    let spec = json!({"type": "NodePort", "sessionAffinity": "ClientIP",
        "ports": [{"name": "http", "port": 80, "nodePort": 30080}]});
    let sticky = |mode: &str| {
        let cluster = cluster([
            proxy(json!({"mode": mode})),
            node("n1", "192.168.0.1"),
            service("web", spec.clone()),
            slice("web", &[("10.1.0.1", "n1", json!({})), ("10.2.0.1", "n2", json!({}))]),
        ]);
        let view = view_of(&cluster, "n1");
        let mut table = ClientTable::new(10);
        let mut word = 0;
        let mut pick = |dst: &str| {
            word += 1;
            let packet = Packet::new("203.0.113.9".parse().unwrap(), dst.parse().unwrap(), Protocol::Tcp);
            let (decision, picked) = view.pick(&packet, Duration::ZERO, &mut || word, &mut table);
            assert_eq!(decision.verdict, Verdict::Dnat);
            picked.expect("an endpoint").sticky
        };
        [pick("172.30.0.41:80"), pick("192.168.0.1:30080"), pick("192.168.0.1:30080")]
    };
    assert_eq!(sticky("iptables"), [false, true, true]);
    assert_eq!(sticky("ipvs"), [false, false, true]);
}

#[test]
fn a_table_of_clients_is_bounded_and_forgets_who_came_longest_ago_and_what_is_gone() {
    let mut cluster = cluster([
        service(
            "web",
            json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}),
        ),
        slice("web", &[("10.1.0.1", "n1", json!({})), ("10.2.0.1", "n2", json!({}))]),
    ]);
    let mut view = view_of(&cluster, "n1");
    let mut table = ClientTable::new(2);
    let pick = |view: &NodeView, table: &mut ClientTable, client: u8, seconds: u64, word: u64| {
        let packet = Packet::new([203, 0, 113, client].into(), "172.30.0.41:80".parse().unwrap(), Protocol::Tcp);
        let picked = view.pick(&packet, Duration::from_secs(seconds), &mut || word, table).1.expect("an endpoint");
        (picked.endpoint.addr.to_string(), picked.sticky)
    };
    assert!(!pick(&view, &mut table, 1, 0, 1).1);
    assert!(!pick(&view, &mut table, 2, 1, 0).1);
    assert!(pick(&view, &mut table, 1, 59, 0).1);
    assert!(!pick(&view, &mut table, 3, 60, 0).1); // pushes out 2
    assert_eq!(table.len(), 2);
    assert!(!pick(&view, &mut table, 2, 61, 0).1); // pushes out 1
    // A timeout after the last connection, not before.
    assert!(pick(&view, &mut table, 3, 119, 0).1);
    assert!(!pick(&view, &mut table, 3, 179, 0).1);
    // An endpoint that leaves and comes back has no clients.
    for endpoints in
        [&[("10.2.0.1", "n2", json!({}))][..], &[("10.1.0.1", "n1", json!({})), ("10.2.0.1", "n2", json!({}))]]
    {
        let change = cluster.apply(object(slice("web", endpoints)));
        table.follow(&view.update(&cluster, &change.touched));
    }
    assert!(!pick(&view, &mut table, 3, 180, 1).1);
}
