//! Generated worlds: an updated table is one compiled anew, and the index finds what the scan does.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use route_match::gateway::{GatewayTable, HttpQuestion, Outcome, Scheme};
use svc_model::{Cluster, ObjectRef, Touched};

use crate::world::{edge, host, object, service};

const HOSTS: [&str; 5] = ["a.example", "*.example", "*.a.example", "b.a.example", "other.test"];
const NAMESPACES: [&str; 2] = ["infra", "apps"];
const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/b", "relative"];

fn maybe<T: Clone + std::fmt::Debug + Into<Value> + 'static>(values: &'static [T]) -> impl Strategy<Value = Value> {
    proptest::option::of(select(values)).prop_map(|value| value.map_or(Value::Null, |value| value.clone().into()))
}

fn listener(index: usize) -> impl Strategy<Value = Value> {
    let protocol = select(vec![
        ("HTTP", 80),
        ("HTTP", 80),
        ("HTTP", 8080),
        ("HTTPS", 443),
        ("TLS", 443),
        ("TCP", 9000),
        ("UDP", 9000),
    ]);
    let from = select(vec!["All", "All", "Same", "Selector"]);
    let kinds =
        select(vec![json!([]), json!([]), json!([]), json!([{"kind": "HTTPRoute"}]), json!([{"kind": "TCPRoute"}])]);
    let certificate = select(vec![json!({"name": "c"}), json!({"name": "c", "namespace": "apps"})]);
    (protocol, prop_oneof![Just(Value::Null), maybe(&HOSTS)], from, kinds, certificate, any::<bool>()).prop_map(
        move |((protocol, port), hostname, from, kinds, certificate, passthrough)| {
            let hostname = if matches!(protocol, "TCP" | "UDP") { Value::Null } else { hostname };
            let tls = match protocol {
                "HTTPS" => json!({"certificateRefs": [certificate]}),
                "TLS" if passthrough => json!({"mode": "Passthrough"}),
                "TLS" => json!({"mode": "Terminate", "certificateRefs": [certificate]}),
                _ => Value::Null,
            };
            json!({
                "name": format!("l{index}"), "port": port, "protocol": protocol, "hostname": hostname, "tls": tls,
                "allowedRoutes": {"kinds": kinds, "namespaces": {
                    "from": from, "selector": {"matchLabels": {"team": "web"}}}},
            })
        },
    )
}

/// Mostly with one that takes much, so that worlds are alive.
fn listeners() -> impl Strategy<Value = Value> {
    let plain =
        json!({"name": "plain", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}});
    let others = (0usize..4).prop_flat_map(|n| (0..n).map(|i| listener(i).boxed()).collect::<Vec<_>>());
    (others, 0..4).prop_map(move |(mut others, i)| {
        if i > 0 || others.is_empty() {
            others.insert(0, plain.clone());
        }
        others.into()
    })
}

fn gateway() -> impl Strategy<Value = Value> {
    (listeners(), select(vec!["All", "Same", "Selector", "None"])).prop_map(|(listeners, from)| {
        json!({
            "kind": "Gateway", "metadata": {"name": "edge", "namespace": "infra"},
            "spec": {"gatewayClassName": "any", "listeners": listeners, "allowedListeners": {"namespaces": {
                "from": from, "selector": {"matchLabels": {"team": "web"}}}}},
        })
    })
}

fn reference() -> impl Strategy<Value = Value> {
    let service = select(vec!["s0", "s1", "s1", "gone"]);
    (service, maybe(&NAMESPACES), select(vec![0, 1, 1, 3]), select(vec![80, 80, 80, 81])).prop_map(
        |(name, namespace, weight, port)| json!({"name": name, "namespace": namespace, "port": port, "weight": weight}),
    )
}

fn parents() -> impl Strategy<Value = Value> {
    let parent = select(vec![
        json!({"name": "edge", "namespace": "infra"}),
        json!({"name": "edge", "namespace": "infra"}),
        json!({"name": "edge", "namespace": "infra", "sectionName": "l0"}),
        json!({"name": "edge", "namespace": "infra", "port": 80}),
        json!({"name": "set", "kind": "ListenerSet", "namespace": "apps"}),
        json!({"name": "stranger", "namespace": "infra"}),
    ]);
    proptest::collection::vec(parent, 1..3).prop_map(Value::from)
}

fn http_match() -> impl Strategy<Value = Value> {
    let condition = |name: &'static str| {
        proptest::option::of(select(vec!["1", "2"]))
            .prop_map(move |value| value.map_or(json!([]), |value| json!([{"name": name, "value": value}])))
    };
    (
        select(vec!["Exact", "PathPrefix", "PathPrefix", "RegularExpression"]),
        select(&PATHS[..]),
        maybe(&["GET", "POST"]),
        condition("x"),
        condition("q"),
    )
        .prop_map(|(kind, path, method, headers, query)| {
            let path = if kind == "RegularExpression" { format!("{path}.*") } else { path.to_owned() };
            json!({"path": {"type": kind, "value": path}, "method": method, "headers": headers, "queryParams": query})
        })
}

fn filters() -> impl Strategy<Value = Value> {
    select(vec![
        json!([]),
        json!([]),
        json!([]),
        json!([]),
        json!([{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]),
        json!([{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/n"}}}]),
        json!([{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "s1", "port": 80}, "percent": 10}}]),
        json!([{"type": "ExtensionRef"}]),
    ])
}

fn route() -> impl Strategy<Value = Value> {
    let rule = (proptest::collection::vec(http_match(), 0..3), proptest::collection::vec(reference(), 0..3), filters());
    let rules = proptest::collection::vec(rule, 1..3);
    let kind = select(vec!["HTTPRoute", "HTTPRoute", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"]);
    let name = (
        kind,
        select(vec!["r0", "r1", "r2"]),
        select(&NAMESPACES[..]),
        maybe(&["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
    );
    let hostnames = prop_oneof![Just(Vec::new()), proptest::collection::vec(select(&HOSTS[..]), 1..3)];
    (name, parents(), hostnames, rules).prop_map(|((kind, name, namespace, age), parents, hostnames, rules)| {
        let rules: Vec<Value> = rules
            .into_iter()
            .map(|(matches, references, filters)| match kind {
                "HTTPRoute" => json!({"matches": matches, "filters": filters, "backendRefs": references}),
                "GRPCRoute" => {
                    let methods: Vec<Value> = matches
                        .iter()
                        .map(|found| json!({"method": {"service": "a.B", "method": "C"}, "headers": found["headers"]}))
                        .collect();
                    json!({"matches": methods, "backendRefs": references})
                }
                _ => json!({"backendRefs": references}),
            })
            .collect();
        let mut route = json!({
            "kind": kind, "metadata": {"name": name, "namespace": namespace, "creationTimestamp": age},
            "spec": {"parentRefs": parents, "rules": rules},
        });
        if !matches!(kind, "TCPRoute" | "UDPRoute") {
            route["spec"]["hostnames"] = hostnames.into();
        }
        route
    })
}

/// Any object that bears on a Gateway.
fn any_object() -> impl Strategy<Value = Value> {
    let namespace = || select(&NAMESPACES[..]);
    let a_service = (select(vec!["s0", "s1"]), namespace()).prop_map(|(name, namespace)| {
        json!({"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {"ports": [{"port": 80}]}})
    });
    let slice = (select(vec!["s0", "s1"]), namespace(), any::<bool>()).prop_map(|(name, namespace, ready)| {
        json!({
            "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"name": "", "port": 80}],
            "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        })
    });
    let grant = (
        namespace(),
        select(vec!["HTTPRoute", "GRPCRoute", "Gateway"]),
        namespace(),
        select(vec!["Service", "Secret"]),
    )
        .prop_map(|(namespace, kind, from, to)| {
            json!({
                "kind": "ReferenceGrant", "metadata": {"name": "g", "namespace": namespace},
                "spec": {"from": [{"group": "gateway.networking.k8s.io", "kind": kind, "namespace": from}],
                    "to": [{"group": "", "kind": to}]},
            })
        });
    let labels = (namespace(), any::<bool>()).prop_map(|(name, web)| {
        let labels = if web { json!({"team": "web"}) } else { json!({}) };
        json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    });
    let secret =
        namespace().prop_map(|namespace| json!({"kind": "Secret", "metadata": {"name": "c", "namespace": namespace}}));
    let set = listeners().prop_map(|listeners| {
        json!({
            "kind": "ListenerSet", "metadata": {"name": "set", "namespace": "apps"},
            "spec": {"parentRef": {"name": "edge", "namespace": "infra"}, "listeners": listeners},
        })
    });
    let policy = (namespace(), maybe(&["System"])).prop_map(|(namespace, authority)| {
        json!({
            "kind": "BackendTLSPolicy", "metadata": {"name": "p", "namespace": namespace},
            "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "s0"}],
                "validation": {"hostname": "a.example", "wellKnownCACertificates": authority}},
        })
    });
    prop_oneof![
        10 => route(), 2 => a_service, 3 => slice, 2 => grant, 3 => labels, 1 => secret, 1 => set, 1 => gateway(), 1 => policy,
    ]
}

/// A world to start from: a Gateway, Services with endpoints, and what comes to it.
fn start() -> impl Strategy<Value = Vec<Value>> {
    let services = NAMESPACES.into_iter().flat_map(|namespace| ["s0", "s1"].map(|name| service(namespace, name, true)));
    let services: Vec<Value> = services.flatten().collect();
    (gateway(), proptest::collection::vec(route(), 2..8), proptest::collection::vec(any_object(), 0..8)).prop_map(
        move |(gateway, routes, others)| {
            services.clone().into_iter().chain([gateway]).chain(routes).chain(others).collect()
        },
    )
}

#[derive(Clone, Debug)]
enum Change {
    Apply(Value),
    Remove(Value),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![4 => any_object().prop_map(Change::Apply), 1 => any_object().prop_map(Change::Remove)]
}

/// Everything that can be asked of a table, as far as it is a value.
fn essence(table: &GatewayTable, cluster: &Cluster) -> Vec<String> {
    let mut out = vec![format!("{:?}", table.status(cluster)), format!("{:?}", table.listeners())];
    for at in 0..table.listeners().len() {
        for host in table.hosts(at) {
            out.push(format!("{at} {host}"));
            out.extend(table.rules(at, host).map(|found| format!("{found} {:?}", found.value())));
        }
    }
    for object in cluster.objects() {
        out.push(format!("{:?}", table.parents_of(cluster, &object.reference())));
    }
    out
}

fn questions()
-> impl Iterator<Item = (Scheme, u16, &'static str, &'static str, &'static str, Vec<(&'static str, &'static str)>)> {
    let schemes = [(Scheme::Http, 80), (Scheme::Http, 8080), (Scheme::Https, 443)];
    let hosts = ["a.example", "b.a.example", "x.example", "other.test", "else.test"];
    let requests = [
        ("GET", "/a/b", vec![("x", "1")]),
        ("POST", "/a", vec![]),
        ("POST", "/a.B/C", vec![("content-type", "application/grpc"), ("x", "2")]),
    ];
    schemes.into_iter().flat_map(move |(scheme, port)| {
        let requests = requests.clone();
        hosts.into_iter().flat_map(move |host| {
            requests.clone().into_iter().map(move |(method, path, headers)| (scheme, port, host, method, path, headers))
        })
    })
}

/// The routed answer is the first of the scan's candidates.
fn index_is_scan(table: &GatewayTable) -> Result<(), TestCaseError> {
    for (scheme, port, name, method, path, headers) in questions() {
        let question = HttpQuestion::new(scheme, name, path).port(port).method(method).query("q=1").headers(&headers);
        let decision = table.decide(&question, Some(&host(name)));
        if matches!(decision.outcome, Outcome::NoHttp) {
            continue;
        }
        let first = table.candidates(&question).first().map(|found| &**found.value());
        prop_assert_eq!(decision.rule, first, "{} {}", question.host, question.path);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_updated_table_is_one_compiled_anew(
        objects in start(),
        changes in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 1..6),
    ) {
        let mut cluster: Cluster = objects.into_iter().map(object).collect();
        let mut table = GatewayTable::compile(&cluster, &edge()).unwrap();
        index_is_scan(&table)?;
        for batch in changes {
            let mut touched = Touched::default();
            for change in batch {
                touched.extend(match change {
                    Change::Apply(value) => cluster.apply(object(value)).touched,
                    Change::Remove(value) => cluster.remove(&object(value).reference()).touched,
                });
            }
            let anew = GatewayTable::compile(&cluster, &edge());
            match (table.update(&cluster, &touched), anew) {
                (Ok(()), Ok(anew)) => {
                    prop_assert_eq!(essence(&table, &cluster), essence(&anew, &cluster));
                    index_is_scan(&table)?;
                }
                (updated, anew) => {
                    prop_assert_eq!(updated.is_err(), anew.is_err());
                    break;
                }
            }
        }
    }
}

/// The laws above would hold of empty worlds too; these are not.
#[test]
fn generated_worlds_have_attached_routes_and_requests_that_they_take() {
    let mut runner = TestRunner::deterministic();
    let worlds = start();
    let (mut attached, mut taken, mut forwarded) = (0, 0, 0);
    for _ in 0..256 {
        let cluster: Cluster = worlds.new_tree(&mut runner).unwrap().current().into_iter().map(object).collect();
        let table = GatewayTable::compile(&cluster, &edge()).unwrap();
        let listeners = table.status(&cluster).listeners;
        attached += usize::from(listeners.iter().any(|listener| listener.attached_routes > 0));
        let decisions = questions().map(|(scheme, port, name, method, path, headers)| {
            let question =
                HttpQuestion::new(scheme, name, path).port(port).method(method).query("q=1").headers(&headers);
            let decision = table.decide(&question, Some(&host(name)));
            (decision.rule.is_some(), matches!(decision.outcome, Outcome::Forward { .. }))
        });
        let decisions: Vec<(bool, bool)> = decisions.collect();
        taken += usize::from(decisions.iter().any(|(taken, _)| *taken));
        forwarded += usize::from(decisions.iter().any(|(_, forwarded)| *forwarded));
    }
    assert!(attached > 150 && taken > 100 && forwarded > 30, "{attached} {taken} {forwarded}");
}

#[test]
fn labels_of_a_namespace_let_its_routes_in_and_out() {
    let mut cluster: Cluster = [
        json!({
            "kind": "Gateway", "metadata": {"name": "edge", "namespace": "infra"},
            "spec": {"gatewayClassName": "any", "listeners": [{"name": "a", "port": 80, "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "web"}}}}}]},
        }),
        json!({
            "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "apps"},
            "spec": {"parentRefs": [{"name": "edge", "namespace": "infra"}], "rules": [{}]},
        }),
    ]
    .into_iter()
    .map(object)
    .collect();
    let mut table = GatewayTable::compile(&cluster, &edge()).unwrap();
    for (labels, attached) in [(json!({}), 0), (json!({"team": "web"}), 1), (json!({"team": "data"}), 0)] {
        let namespace = json!({"kind": "Namespace", "metadata": {"name": "apps", "labels": labels}});
        let touched = cluster.apply(object(namespace)).touched;
        table.update(&cluster, &touched).unwrap();
        assert_eq!(table.status(&cluster).listeners[0].attached_routes, attached, "{labels}");
    }
}

#[test]
fn a_table_that_its_gateway_leaves_says_so() {
    let mut cluster: Cluster = [object(json!({
        "kind": "Gateway", "metadata": {"name": "edge", "namespace": "infra"},
        "spec": {"gatewayClassName": "any", "listeners": [{"name": "a", "port": 80, "protocol": "HTTP"}]},
    }))]
    .into_iter()
    .collect();
    let mut table = GatewayTable::compile(&cluster, &edge()).unwrap();
    let gone: ObjectRef = table.gateway().clone();
    let touched = cluster.remove(&gone).touched;
    assert_eq!(table.update(&cluster, &touched).unwrap_err().name, edge());
}
