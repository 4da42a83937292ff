//! Generated worlds: an updated table is one compiled anew, and the index finds what the scan does.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use route_match::istio::{HttpQuestion, IstioGatewayTable, Origin, Outcome, Scheme};
use svc_model::{Cluster, Object, Touched};

use crate::oracle::{self, Answer};
use crate::world::{edge, host, object};

const NAMESPACES: [&str; 2] = ["infra", "apps"];
const HOSTS: [&str; 6] = ["a.example", "*.example", "*.a.example", "b.a.example", "*", "A.Example"];
const SERVER_HOSTS: [&str; 8] =
    ["*", "*.example", "a.example", "apps/*.example", "./*.a.example", "*/b.a.example", "*/*", "other.test"];
const TIMES: [&str; 2] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];

fn some<T: Clone + std::fmt::Debug + 'static>(
    values: &'static [T],
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(select(values), size)
}

fn maybe(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::option::of(select(values)).prop_map(|value| value.map_or(Value::Null, Value::from))
}

fn server(index: usize) -> impl Strategy<Value = Value> {
    let kind = select(vec![
        (80, "HTTP", json!(null)),
        (80, "HTTP", json!(null)),
        (80, "HTTP", json!({"httpsRedirect": true})),
        (8080, "HTTP2", json!(null)),
        (443, "HTTPS", json!({"mode": "SIMPLE", "credentialName": "c"})),
        (443, "HTTPS", json!({"mode": "SIMPLE", "credentialName": "c"})),
        (443, "TLS", json!({"mode": "SIMPLE", "credentialName": "c"})),
        (443, "TLS", json!({})),
        (8080, "TCP", json!(null)),
    ]);
    let bind = select(vec!["", "", "", "10.0.0.1"]);
    (kind, some(&SERVER_HOSTS, 1..3), bind).prop_map(move |((number, protocol, tls), hosts, bind)| {
        json!({"port": {"number": number, "name": format!("p{index}"), "protocol": protocol},
            "hosts": hosts, "tls": tls, "bind": bind})
    })
}

fn gateway() -> impl Strategy<Value = Value> {
    let servers = (1usize..4).prop_flat_map(|n| (0..n).map(|i| server(i).boxed()).collect::<Vec<_>>());
    let selector = select(vec![json!({"app": "edge"}), json!({"app": "edge"}), json!({"tier": "front"}), json!({})]);
    (select(vec!["edge", "edge", "other"]), select(&NAMESPACES[..]), selector, servers, maybe(&TIMES)).prop_map(
        |(name, namespace, selector, servers, time)| {
            json!({"kind": "Gateway", "metadata": {"name": name, "namespace": namespace, "creationTimestamp": time},
                "spec": {"selector": selector, "servers": servers}})
        },
    )
}

fn text() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"exact": "1"}),
        json!({"prefix": "1"}),
        json!({"regex": "[0-9]"}),
        json!({}),
        json!({"regex": "*"}),
    ])
}

fn one_match() -> impl Strategy<Value = Value> {
    let uri = select(vec![
        Value::Null,
        json!({"prefix": "/"}),
        json!({"prefix": "/a"}),
        json!({"exact": "/a/b"}),
        json!({"regex": "/a/.*"}),
        json!({"regex": ".*"}),
        json!({"prefix": ""}),
        json!({"regex": "("}),
    ]);
    let one = |name: &'static str| {
        proptest::option::weighted(0.3, text())
            .prop_map(move |value| value.map_or(json!({}), |value| json!({name: value})))
    };
    let port = select(vec![0, 0, 0, 80, 8080]);
    let gateways =
        select(vec![json!([]), json!([]), json!([]), json!(["edge"]), json!(["infra/edge"]), json!(["mesh"])]);
    let source = select(vec![json!({}), json!({}), json!({}), json!({"app": "edge"}), json!({"app": "x"})]);
    let method = select(vec![Value::Null, Value::Null, Value::Null, json!({"exact": "POST"})]);
    (uri, one("x"), one("x"), one("q"), port, gateways, source, method, any::<bool>()).prop_map(
        |(uri, headers, without, query, port, gateways, source, method, ignore_case)| {
            json!({"uri": uri, "headers": headers, "withoutHeaders": without, "queryParams": query, "port": port,
                "gateways": gateways, "sourceLabels": source, "method": method, "ignoreUriCase": ignore_case})
        },
    )
}

fn rule() -> impl Strategy<Value = Value> {
    let action = select(vec![
        json!({"route": [{"destination": {"host": "s0"}}]}),
        json!({"route": [{"destination": {"host": "s0.apps.svc.cluster.local"}}, {"destination": {"host": "e.test"}, "weight": 1}]}),
        json!({"route": [{"destination": {"host": "x.e.test"}}], "rewrite": {"uri": "/n"}}),
        json!({"redirect": {"prefixRewrite": "/n", "scheme": "https"}}),
        json!({"directResponse": {"status": 418}}),
        json!({"delegate": {"name": "d0", "namespace": "apps"}}),
        json!({"delegate": {"name": "d0"}, "timeout": "1s"}),
        json!({}),
    ]);
    (proptest::collection::vec(one_match(), 0..3), action).prop_map(|(matches, mut action)| {
        action["match"] = matches.into();
        action
    })
}

fn virtual_service() -> impl Strategy<Value = Value> {
    let rules = || proptest::collection::vec(rule(), 1..4);
    let export = || select(vec![json!([]), json!([]), json!(["."]), json!(["infra"]), json!(["*"]), json!(["~"])]);
    let gateways = select(vec![
        json!(["infra/edge"]),
        json!(["infra/edge"]),
        json!(["infra/edge", "apps/other", "mesh"]),
        json!(["edge"]),
        json!(["apps/other"]),
        json!([]),
    ]);
    let bound = (
        select(vec!["v0", "v1", "v2"]),
        select(&NAMESPACES[..]),
        maybe(&TIMES),
        some(&HOSTS, 1..3),
        gateways,
        export(),
        rules(),
    )
        .prop_map(|(name, namespace, time, hosts, gateways, export, rules)| {
            json!({"kind": "VirtualService",
                "metadata": {"name": name, "namespace": namespace, "creationTimestamp": time},
                "spec": {"hosts": hosts, "gateways": gateways, "exportTo": export, "http": rules}})
        });
    let delegate = (select(&NAMESPACES[..]), export(), rules()).prop_map(|(namespace, export, rules)| {
        json!({"kind": "VirtualService", "metadata": {"name": "d0", "namespace": namespace},
            "spec": {"exportTo": export, "http": rules}})
    });
    prop_oneof![3 => bound, 1 => delegate]
}

fn any_object() -> impl Strategy<Value = Value> {
    let ports = || select(vec![json!([{"port": 80}]), json!([{"port": 80, "name": "a"}, {"port": 81, "name": "b"}])]);
    let service = (select(&NAMESPACES[..]), ports()).prop_map(|(namespace, ports)| {
        json!({"kind": "Service", "metadata": {"name": "s0", "namespace": namespace}, "spec": {"ports": ports}})
    });
    let hosts = ["e.test", "*.e.test", "*.test", "s0.apps.svc.cluster.local", "*.svc.cluster.local"];
    let entry = (select(vec!["e0", "e1"]), select(&NAMESPACES[..]), select(hosts.to_vec()), maybe(&TIMES)).prop_map(
        |(name, namespace, host, time)| {
            json!({"kind": "ServiceEntry",
                "metadata": {"name": name, "namespace": namespace, "creationTimestamp": time},
                "spec": {"hosts": [host], "ports": [{"number": 90, "name": "http"}]}})
        },
    );
    let pod = (select(&NAMESPACES[..]), select(vec![json!({"app": "edge"}), json!({"app": "edge", "tier": "front"}), json!({})]))
        .prop_map(|(namespace, labels)| {
            json!({"kind": "Pod", "metadata": {"name": "edge-0", "namespace": namespace, "labels": labels}})
        });
    prop_oneof![6 => virtual_service(), 2 => service, 2 => entry, 1 => pod, 1 => gateway()]
}

/// A world to start from: a Gateway for everything, and what comes to it.
fn start() -> impl Strategy<Value = Vec<Value>> {
    let first = json!({"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]});
    let edge = gateway().prop_map(move |mut gateway| {
        gateway["metadata"]["name"] = "edge".into();
        gateway["metadata"]["namespace"] = "infra".into();
        gateway["spec"]["servers"].as_array_mut().unwrap().insert(0, first.clone());
        gateway
    });
    (proptest::collection::vec(any_object(), 0..6), proptest::collection::vec(virtual_service(), 3..8), edge)
        .prop_map(|(others, services, edge)| others.into_iter().chain(services).chain([edge]).collect())
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
fn essence(table: &IstioGatewayTable) -> Vec<String> {
    let mut out = vec![format!("{:?} {:?}", table.proxy(), table.servers())];
    for at in 0..table.servers().accepted.len() {
        let Some(hosts) = table.virtual_hosts(at) else { continue };
        for domain in hosts.domains() {
            out.push(format!("{at} {domain}"));
            out.extend(hosts.rules(domain).map(|found| format!("{found} {:?}", found.value())));
        }
    }
    out
}

type Asked = (Scheme, u16, &'static str, &'static str, &'static str, Vec<(&'static str, &'static str)>);

fn questions() -> impl Iterator<Item = Asked> {
    let schemes = [(Scheme::Http, 80), (Scheme::Http, 8080), (Scheme::Https, 443)];
    let hosts = ["a.example", "b.a.example", "x.example", "other.test"];
    let requests = [("GET", "/a/b", vec![("x", "1")]), ("POST", "/A", vec![]), ("GET", "/z", vec![("x", "")])];
    schemes.into_iter().flat_map(move |(scheme, port)| {
        let requests = requests.clone();
        hosts.into_iter().flat_map(move |host| {
            requests.clone().into_iter().map(move |(method, path, headers)| (scheme, port, host, method, path, headers))
        })
    })
}

/// The rule that is decided on is the first of the scan's candidates.
fn index_is_scan(table: &IstioGatewayTable) -> Result<(), TestCaseError> {
    for (scheme, port, name, method, path, headers) in questions() {
        let question = HttpQuestion::new(scheme, name, path).port(port).method(method).query("q=1").headers(&headers);
        let name = host(name);
        let decision = table.decide(&question, Some(&name));
        let candidates = table.candidates(&question, Some(&name));
        prop_assert_eq!(decision.rule, candidates.first().map(|found| &**found.value()), "{} {}", name, path);
    }
    Ok(())
}

/// The world without rules that hand over to delegates.
fn without_delegates(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        if let Some(rules) = object["spec"]["http"].as_array_mut() {
            rules.retain(|rule| rule["delegate"].is_null());
        }
    }
    objects
}

/// What is decided is what a plain reading of the objects says.
fn table_is_oracle(cluster: &Cluster) -> Result<usize, TestCaseError> {
    let table = IstioGatewayTable::compile(cluster, &edge()).unwrap();
    let mut taken = 0;
    for (scheme, port, name, method, path, headers) in questions().filter(|question| question.0 == Scheme::Http) {
        let question = HttpQuestion::new(scheme, name, path).port(port).method(method).query("q=1").headers(&headers);
        let decision = table.decide(&question, None);
        let expected = oracle::answer(
            cluster,
            &oracle::Request { port, host: name, method, path, query: "q=1", headers: &headers },
        );
        let answer = match decision.rule.map(|rule| &rule.origin) {
            None => Answer::NotFound,
            Some(Origin::HttpsRedirect(_)) => Answer::ToHttps,
            Some(origin) => {
                let (route, rule) = origin.virtual_service().expect("a gateway has no other rules");
                Answer::Rule(route.namespace.to_string(), route.name.to_string(), rule)
            }
        };
        prop_assert_eq!(&answer, &expected, "{} {} {}: {}", port, name, path, decision);
        taken += usize::from(answer != Answer::NotFound);
    }
    Ok(taken)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_table_says_what_a_plain_reading_says(objects in start()) {
        let cluster: Cluster = without_delegates(objects).into_iter().map(object).collect();
        table_is_oracle(&cluster)?;
    }

    #[test]
    fn an_updated_table_is_one_compiled_anew(
        objects in start(),
        changes in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 1..6),
    ) {
        let mut cluster: Cluster = objects.into_iter().map(object).collect();
        let mut table = IstioGatewayTable::compile(&cluster, &edge()).unwrap();
        index_is_scan(&table)?;
        for batch in changes {
            let mut touched = Touched::default();
            for change in batch {
                touched.extend(match change {
                    Change::Apply(value) => cluster.apply(object(value)).touched,
                    Change::Remove(value) => cluster.remove(&Object::reference(&object(value))).touched,
                });
            }
            match (table.update(&cluster, &touched), IstioGatewayTable::compile(&cluster, &edge())) {
                (Ok(()), Ok(anew)) => {
                    prop_assert_eq!(essence(&table), essence(&anew));
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
fn generated_worlds_have_virtual_hosts_and_requests_that_they_take() {
    let mut runner = TestRunner::deterministic();
    let worlds = start();
    let (mut several, mut taken, mut redirected, mut delegated, mut plainly) = (0, 0, 0, 0, 0);
    for _ in 0..256 {
        let objects = worlds.new_tree(&mut runner).unwrap().current();
        let without: Cluster = without_delegates(objects.clone()).into_iter().map(object).collect();
        plainly += table_is_oracle(&without).unwrap();
        let cluster: Cluster = objects.into_iter().map(object).collect();
        let table = IstioGatewayTable::compile(&cluster, &edge()).unwrap();
        several += usize::from(table.virtual_hosts(0).is_some_and(|hosts| hosts.domains().len() > 1));
        let (mut any, mut redirect, mut delegate) = (false, false, false);
        for (scheme, port, name, method, path, headers) in questions() {
            let question =
                HttpQuestion::new(scheme, name, path).port(port).method(method).query("q=1").headers(&headers);
            let name = host(name);
            let decision = table.decide(&question, Some(&name));
            any |= decision.rule.is_some();
            redirect |= matches!(decision.outcome, Outcome::Redirect { .. });
            let origin = decision.rule.map(|rule| &rule.origin);
            delegate |= origin.is_some_and(|origin| origin.written() != origin.virtual_service());
        }
        taken += usize::from(any);
        redirected += usize::from(redirect);
        delegated += usize::from(delegate);
    }
    assert!(
        several > 100 && taken > 120 && redirected > 30 && delegated > 10 && plainly > 1_000,
        "{several} {taken} {redirected} {delegated} {plainly}"
    );
}
