//! Laws that hold in every mesh: following a cluster is compiling it anew, and the index finds what a scan finds.

use proptest::prelude::*;
use proptest::sample::select;
use route_match::Host;
use route_match::istio::{Caller, HttpQuestion, MeshDecision, MeshTable, Scheme, StreamTarget};
use serde_json::{Value, json};
use svc_model::api::{MeshConfig, StringMap};
use svc_model::{Cluster, Touched};

use crate::world::{manifest, object};

const HOSTS: [&str; 8] =
    ["a", "b", "a.x.svc.cluster.local", "*.x.svc.cluster.local", "*.local", "out.example", "*.example", "a.example"];

fn host() -> impl Strategy<Value = &'static str> {
    select(HOSTS.as_slice())
}

fn namespace() -> impl Strategy<Value = &'static str> {
    select(["x", "y", "istio-system"].as_slice())
}

fn export() -> impl Strategy<Value = Vec<&'static str>> {
    select(vec![vec![], vec!["*"], vec!["."], vec!["y"], vec!["~"]])
}

fn ports() -> impl Strategy<Value = Vec<(u16, &'static str)>> {
    let port = (select([80u16, 443, 3306].as_slice()), select(["http", "tcp", "tls", "odd"].as_slice()));
    proptest::collection::vec(port, 1..3)
}

fn service() -> impl Strategy<Value = Value> {
    (namespace(), select(["a", "b"].as_slice()), ports(), 0u8..4).prop_map(|(namespace, name, ports, address)| {
        let ports: Vec<Value> =
            ports.iter().map(|(port, protocol)| json!({"port": port, "name": format!("{protocol}-{port}")})).collect();
        let spec = match address {
            0 => json!({"clusterIP": "None", "ports": ports}),
            1 => json!({"type": "ExternalName", "externalName": "b.x.svc.cluster.local"}),
            n => json!({"clusterIP": format!("10.0.0.{n}"), "ports": ports}),
        };
        manifest("Service", namespace, name, spec)
    })
}

fn entry() -> impl Strategy<Value = Value> {
    let hosts = select(["a.example", "*.example", "db.example", "a.x.svc.cluster.local"].as_slice());
    let addresses = select(vec![vec![], vec!["10.0.0.2"], vec!["10.0.0.0/24"]]);
    (namespace(), select(["e", "f"].as_slice()), hosts, addresses, ports(), export()).prop_map(
        |(namespace, name, host, addresses, ports, export_to)| {
            let ports: Vec<Value> = ports
                .iter()
                .map(|(port, protocol)| json!({"number": port, "name": protocol, "protocol": protocol.to_uppercase()}))
                .collect();
            let spec = json!({"hosts": [host], "addresses": addresses, "ports": ports, "resolution": "DNS",
                "exportTo": export_to});
            manifest("ServiceEntry", namespace, name, spec)
        },
    )
}

fn rules() -> impl Strategy<Value = Value> {
    let port = select([0u16, 80, 443, 3306].as_slice());
    let source = select(["", "x", "y"].as_slice());
    let path = select(["/", "/a", "/b"].as_slice());
    let names = (namespace(), select(["v", "w"].as_slice()), 0u8..3);
    let what = (proptest::collection::vec(host(), 1..3), host(), export(), port, source, path);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (names, what, flags).prop_map(
        |((namespace, name, age), (hosts, to, export_to, port, source, path), (mesh, subnet, delegates))| {
            let route = json!([{"destination": {"host": to}}]);
            let scope = |mut found: Value| {
                found["port"] = json!(port);
                found["sourceNamespace"] = json!(source);
                found
            };
            let subnets = if subnet { json!(["10.0.0.0/25"]) } else { json!([]) };
            let mut http = json!([
                {"match": [scope(json!({"uri": {"prefix": path}}))], "route": route},
                {"match": [{"uri": {"prefix": "/b"}}], "redirect": {"uri": "/c"}}]);
            if delegates {
                http[1] = json!({"delegate": {"name": "d", "namespace": "y"}});
            }
            let spec = json!({
                "hosts": hosts,
                "gateways": if mesh { json!(["mesh", "y/gw"]) } else { json!([]) },
                "exportTo": export_to,
                "http": http,
                "tcp": [{"match": [scope(json!({"destinationSubnets": subnets}))], "route": route}],
                "tls": [{"match": [scope(json!({"sniHosts": [hosts[0], to]}))], "route": route}]});
            let mut made = manifest("VirtualService", namespace, name, spec);
            if age > 0 {
                made["metadata"]["creationTimestamp"] = json!(format!("2024-01-0{age}T00:00:00Z"));
            }
            made
        },
    )
}

fn delegate() -> impl Strategy<Value = Value> {
    (host(), export()).prop_map(|(to, export_to)| {
        let http = json!([{"match": [{"uri": {"prefix": "/d"}}], "route": [{"destination": {"host": to}}]}]);
        manifest("VirtualService", "y", "d", json!({"http": http, "exportTo": export_to}))
    })
}

fn others() -> impl Strategy<Value = Value> {
    let rule = (namespace(), host(), export()).prop_map(|(namespace, host, export_to)| {
        manifest(
            "DestinationRule",
            namespace,
            "d",
            json!({"host": host, "exportTo": export_to, "subsets": [{"name": "s"}]}),
        )
    });
    let sidecar =
        (namespace(), select(["x/*", "*/*", "./*", "*/a.x.svc.cluster.local", "~/*"].as_slice()), any::<bool>());
    let sidecar = sidecar.prop_map(|(namespace, hosts, only)| {
        let mode = if only { "REGISTRY_ONLY" } else { "ALLOW_ANY" };
        manifest(
            "Sidecar",
            namespace,
            "s",
            json!({"egress": [{"hosts": [hosts]}], "outboundTrafficPolicy": {"mode": mode}}),
        )
    });
    let pod = (namespace(), 1u8..4).prop_map(|(namespace, address)| {
        json!({"kind": "Pod", "metadata": {"namespace": namespace, "name": "p", "labels": {"app": "a"}},
            "status": {"phase": "Running", "podIPs": [{"ip": format!("10.1.0.{address}")}],
                "conditions": [{"type": "Ready", "status": "True"}]}})
    });
    prop_oneof![rule, sidecar, pod]
}

fn thing() -> impl Strategy<Value = Value> {
    prop_oneof![3 => service(), 2 => entry(), 5 => rules(), 1 => delegate(), 2 => others()]
}

/// Every answer of a table to a set of questions that objects of these worlds meet.
fn answers(table: &MeshTable) -> Vec<String> {
    let mut answers = Vec::new();
    let names =
        ["a", "a.x", "b.x.svc.cluster.local", "a.x.svc.cluster.local", "out.example", "a.example", "p.a.x", "10.0.0.2"];
    for port in [80, 443, 3306] {
        for name in names {
            for path in ["/", "/a", "/b/c", "/d"] {
                let mut question = HttpQuestion::new(Scheme::Http, name, path);
                question.port = port;
                let decision = table.decide(&question);
                if let MeshDecision::Http(found) = &decision {
                    let first = table.candidates(&question).first().map(|found| found.value().origin.clone());
                    assert_eq!(found.rule.map(|rule| &rule.origin), first.as_ref(), "{name}:{port}{path}");
                }
                answers.push(format!("{decision:?}"));
            }
            let host: Host = name.parse().unwrap();
            answers.push(format!("{:?}", table.decide_tcp(port, StreamTarget::of(&host))));
            answers.push(format!("{:?}", table.decide_tls(port, Some(&host))));
        }
        for address in ["10.0.0.3", "10.0.0.200", "10.1.0.1"] {
            answers.push(format!("{:?}", table.decide_tcp(port, StreamTarget::Address(address.parse().unwrap()))));
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_table_that_follows_is_one_made_anew(
        start in proptest::collection::vec(thing(), 0..8),
        changes in proptest::collection::vec((thing(), any::<bool>(), any::<bool>()), 1..8),
        namespace in namespace(),
    ) {
        let mesh = MeshConfig::default();
        let caller = Caller::new(namespace, StringMap::from([("app".to_owned(), "a".to_owned())]));
        let mut cluster: Cluster = start.iter().map(object).collect();
        let mut table = MeshTable::compile(&cluster, &mesh, &caller);
        let mut touched = Touched::default();
        for (change, removes, follows) in changes {
            let object = object(&change);
            let change = if removes { cluster.remove(&object.reference()) } else { cluster.apply(object) };
            touched.extend(change.touched);
            if follows {
                table.update(&cluster, &std::mem::take(&mut touched));
                let anew = MeshTable::compile(&cluster, &mesh, &caller);
                prop_assert!(table == anew, "{table:#?}\n{anew:#?}");
                prop_assert_eq!(answers(&table), answers(&anew));
            }
        }
    }

    #[test]
    fn the_order_of_objects_decides_nothing(world in proptest::collection::vec(thing(), 0..10), namespace in namespace()) {
        let caller = Caller::new(namespace, StringMap::new());
        let mut seen = std::collections::BTreeSet::new();
        let name = |manifest: &Value| manifest["kind"].to_string() + &manifest["metadata"]["namespace"].to_string() + &manifest["metadata"]["name"].to_string();
        let world: Vec<Value> = world.into_iter().filter(|manifest| seen.insert(name(manifest))).collect();
        let forwards: Cluster = world.iter().map(object).collect();
        let backwards: Cluster = world.iter().rev().map(object).collect();
        let mesh = MeshConfig::default();
        let (one, two) = (MeshTable::compile(&forwards, &mesh, &caller), MeshTable::compile_with_seed(&backwards, &mesh, &caller, 7));
        prop_assert!(one == two);
        prop_assert_eq!(answers(&one), answers(&two));
    }
}

#[test]
fn deciding_about_connections_allocates_nothing() {
    let world = [
        crate::world::service("x", "a", "10.0.0.2", &[(3306, "tcp"), (443, "tls"), (80, "http")]),
        manifest(
            "VirtualService",
            "x",
            "v",
            json!({"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}],
            "tls": [{"match": [{"sniHosts": ["a.x.svc.cluster.local"]}], "route": [{"destination": {"host": "a"}}]}]}),
        ),
    ];
    let table = crate::world::mesh(&world, "x");
    let host: Host = "a.x.svc.cluster.local".parse().unwrap();
    let request = route_match::Request::new(Some(&host), "/a");
    let used = allocation_counter::measure(|| {
        let address = StreamTarget::Address([10, 0, 0, 2].into());
        assert!(table.decide_tcp(3306, StreamTarget::Name(&host)).rule.is_some());
        assert!(table.decide_tcp(3306, address).rule.is_some());
        assert!(table.decide_tcp(80, StreamTarget::Name(&host)).rule.is_none());
        assert!(table.decide_tls(443, Some(&host)).rule.is_some());
        assert!(table.decide_tls(3306, Some(&host)).rule.is_some());
        assert!(table.virtual_hosts(80).is_some_and(|hosts| hosts.find(&request).is_some()));
    });
    assert_eq!(used.count_total, 0);
}
