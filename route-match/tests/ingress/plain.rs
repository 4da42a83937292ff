//! The plain dialect: default backends, ties, and backends that cannot be served.

use proptest::prelude::*;
use serde_json::{Value, json};
use svc_model::Cluster;

use route_match::ingress::{HttpQuestion, IngressController, Scheme};

use crate::harness::{answer, world};

const SERVICES: [&str; 4] = ["a", "b", "c", "d"];

fn cluster(ingresses: impl IntoIterator<Item = Value>) -> Cluster {
    let services = SERVICES.map(
        |name| json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"name": "web", "port": 80}]}}),
    );
    let objects: Vec<Value> = services.into_iter().chain(ingresses).collect();
    world(&json!({ "world": objects }))
}

fn ingress(name: &str, created: &str, spec: Value) -> Value {
    json!({"kind": "Ingress", "metadata": {"name": name, "creationTimestamp": created}, "spec": spec})
}

fn to(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}

fn rule(host: &str, path: &str, path_type: &str, backend: Value) -> Value {
    json!({"host": host, "http": {"paths": [{"path": path, "pathType": path_type, "backend": backend}]}})
}

/// The Service, or the status, that a request for this URL gets.
#[track_caller]
fn ask(cluster: &Cluster, url: &str) -> String {
    let answer = answer(cluster, &json!({"url": url, "to": "IngressClass/edge"}));
    match &answer["status"] {
        Value::Null => answer["backends"][0]["ref"].as_str().unwrap().to_owned(),
        status => status.to_string(),
    }
}

#[test]
fn the_default_backend_is_the_owners_then_the_common_one() {
    let cluster = cluster([
        ingress(
            "owner",
            "2024-01-01T00:00:00Z",
            json!({"defaultBackend": to("a"), "rules": [rule("own.example", "/x", "Exact", to("b"))]}),
        ),
        ingress("plain", "2024-01-02T00:00:00Z", json!({"rules": [rule("plain.example", "/x", "Exact", to("b"))]})),
        ingress("late", "2024-01-04T00:00:00Z", json!({"defaultBackend": to("d")})),
        ingress("common", "2024-01-03T00:00:00Z", json!({"defaultBackend": to("c")})),
    ]);
    assert_eq!(ask(&cluster, "http://own.example/x"), "Service/default/b");
    assert_eq!(ask(&cluster, "http://own.example/y"), "Service/default/a");
    assert_eq!(ask(&cluster, "http://plain.example/y"), "Service/default/c");
    assert_eq!(ask(&cluster, "http://nobody.example/x"), "Service/default/c");
}

#[test]
fn a_default_backend_beside_rules_is_not_common() {
    let spec = json!({"defaultBackend": to("a"), "rules": [rule("own.example", "/x", "Exact", to("b"))]});
    let cluster = cluster([ingress("owner", "2024-01-01T00:00:00Z", spec)]);
    assert_eq!(ask(&cluster, "http://nobody.example/x"), "404");
}

#[test]
fn the_older_ingress_then_the_smaller_name_has_a_path() {
    let spec = |service: &str| json!({"rules": [rule("h.example", "/x", "Prefix", to(service))]});
    let by_age = [ingress("a", "2024-01-02T00:00:00Z", spec("a")), ingress("b", "2024-01-01T00:00:00Z", spec("b"))];
    assert_eq!(ask(&cluster(by_age), "http://h.example/x"), "Service/default/b");
    let by_name = [ingress("b", "2024-01-01T00:00:00Z", spec("b")), ingress("a", "2024-01-01T00:00:00Z", spec("a"))];
    assert_eq!(ask(&cluster(by_name), "http://h.example/x"), "Service/default/a");
}

#[test]
fn an_exact_path_beats_a_longer_prefix_of_an_older_ingress() {
    let cluster = cluster([
        ingress("old", "2024-01-01T00:00:00Z", json!({"rules": [rule("h.example", "/x/", "Prefix", to("a"))]})),
        ingress("new", "2024-01-02T00:00:00Z", json!({"rules": [rule("h.example", "/x", "Exact", to("b"))]})),
    ]);
    assert_eq!(ask(&cluster, "http://h.example/x"), "Service/default/b");
    assert_eq!(ask(&cluster, "http://h.example/x/y"), "Service/default/a");
    assert_eq!(ask(&cluster, "http://h.example/X"), "404");
}

#[test]
fn a_missing_service_or_port_is_503_and_a_resource_is_as_if_absent() {
    let resource = json!({"resource": {"apiGroup": "k8s.example.com", "kind": "Bucket", "name": "b"}});
    let no_port = json!({"service": {"name": "a", "port": {"name": "grpc"}}});
    let cluster = cluster([ingress(
        "i",
        "2024-01-01T00:00:00Z",
        json!({"rules": [
            rule("h.example", "/none", "Prefix", to("none")),
            rule("h.example", "/port", "Prefix", no_port),
            rule("h.example", "/bucket", "Prefix", resource.clone()),
            rule("h.example", "/", "Prefix", to("a")),
            rule("only.example", "/", "Prefix", resource),
        ]}),
    )]);
    assert_eq!(ask(&cluster, "http://h.example/none/x"), "503");
    assert_eq!(ask(&cluster, "http://h.example/port"), "503");
    assert_eq!(ask(&cluster, "http://h.example/bucket"), "Service/default/a");
    assert_eq!(ask(&cluster, "http://only.example/"), "404");
}

#[test]
fn old_api_versions_are_read() {
    let old = json!({
        "backend": {"serviceName": "b", "servicePort": "web"},
        "rules": [{"host": "h.example", "http": {"paths": [{"backend": {"serviceName": "a", "servicePort": 80}}]}}],
    });
    let cluster = cluster([ingress("i", "2024-01-01T00:00:00Z", old)]);
    assert_eq!(ask(&cluster, "http://h.example/any/path"), "Service/default/a");
    let answer = answer(&cluster, &json!({"url": "http://h.example/", "to": "IngressClass/edge"}));
    assert_eq!((&answer["route"], &answer["rule"]), (&json!("Ingress/default/i"), &json!(0)));
}

#[test]
fn elements_in_error_are_left_out_and_the_rest_stands() {
    let cluster = cluster([ingress(
        "i",
        "2024-01-01T00:00:00Z",
        json!({"rules": [
            rule("10.0.0.1", "/", "Prefix", to("a")),
            rule("Upper.example", "/", "Prefix", to("a")),
            rule("h.example", "relative", "Prefix", to("a")),
            rule("h.example", "/odd", "Regex", to("a")),
            rule("h.example", "/good", "Prefix", to("b")),
        ]}),
    )]);
    for url in ["http://10.0.0.1/", "http://upper.example/", "http://h.example/relative", "http://h.example/odd"] {
        assert_eq!(ask(&cluster, url), "404", "{url}");
    }
    assert_eq!(ask(&cluster, "http://h.example/good"), "Service/default/b");
}

#[test]
fn a_host_that_is_none_is_400() {
    let cluster = cluster([ingress("i", "2024-01-01T00:00:00Z", json!({"defaultBackend": to("a")}))]);
    assert_eq!(ask(&cluster, "http://[2001:db8::1]:80/"), "Service/default/a");
    for host in ["a@b", "a:80:90", "a..b", "[::1"] {
        let ask = json!({"url": "http://x/", "headers": {"host": host}, "to": "IngressClass/edge"});
        assert_eq!(answer(&cluster, &ask)["status"], 400, "{host}");
    }
}

/// One path of one rule of one Ingress, as data.
#[derive(Clone, Debug)]
struct Draft {
    host: String,
    path: String,
    exact: bool,
    service: usize,
    age: u8,
}

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let draft = ("(\\*\\.)?[ab]\\.[ab]|", "(/[ab]{1,2}){0,3}/?", any::<bool>(), 0..SERVICES.len(), 0..3u8);
    let draft = draft.prop_map(|(host, path, exact, service, age)| {
        let path = if path.is_empty() { "/".to_owned() } else { path };
        Draft { host, path, exact, service, age }
    });
    proptest::collection::vec(draft, 0..10)
}

/// The Ingress API's words, read literally: the most specific host, then exact, then the longest prefix by element, then
/// age, then name (the index, here).
fn by_the_words(drafts: &[Draft], host: &str, path: &str) -> Option<usize> {
    let wildcard = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let host = [Some(host.to_owned()), wildcard, Some(String::new())]
        .into_iter()
        .flatten()
        .find(|host| drafts.iter().any(|draft| draft.host == *host))?;
    let elements = |path: &str| -> Vec<String> {
        path.strip_suffix('/').unwrap_or(path).split('/').skip(1).map(str::to_owned).collect()
    };
    let takes = |draft: &&(usize, &Draft)| match draft.1.exact {
        true => draft.1.path == path,
        false => elements(path).starts_with(&elements(&draft.1.path)),
    };
    let candidates: Vec<_> = drafts.iter().enumerate().filter(|(_, draft)| draft.host == host).collect();
    let best = candidates.iter().filter(takes).min_by_key(|(i, draft)| {
        let length = if draft.exact { 0 } else { elements(&draft.path).len() };
        (!draft.exact, std::cmp::Reverse(length), draft.age, *i)
    });
    best.map(|(_, draft)| draft.service)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_router_answers_as_the_words_of_the_api_do(
        drafts in drafts(),
        host in "[ab]\\.[ab]|[ab]\\.[ab]\\.[ab]",
        path in "(/[ab]{1,2}){1,4}/?|/",
    ) {
        let ingresses = drafts.iter().enumerate().map(|(i, draft)| {
            let path_type = if draft.exact { "Exact" } else { "Prefix" };
            let created = format!("2024-01-0{}T00:00:00Z", draft.age + 1);
            let rules = [rule(&draft.host, &draft.path, path_type, to(SERVICES[draft.service]))];
            ingress(&format!("i{i}"), &created, json!({ "rules": rules }))
        });
        let expected = match by_the_words(&drafts, &host, &path) {
            Some(service) => format!("Service/default/{}", SERVICES[service]),
            None => "404".to_owned(),
        };
        prop_assert_eq!(ask(&cluster(ingresses), &format!("http://{host}{path}")), expected);
    }

    #[test]
    fn no_question_makes_a_controller_panic(host in "\\PC{0,16}", path in "/?\\PC{0,24}", query in proptest::option::of("\\PC{0,8}")) {
        let spec = json!({"rules": [rule("h.example", "/x/", "Prefix", to("a"))]});
        let cluster = cluster([ingress("i", "2024-01-01T00:00:00Z", spec)]);
        for class in ["nginx", "edge"] {
            let controller = IngressController::compile(&cluster, class).unwrap();
            let mut question = HttpQuestion::new(Scheme::Http, &host, &path);
            question.query = query.as_deref();
            let decision = controller.decide(&question);
            prop_assert!(!decision.to_string().is_empty());
            controller.candidates(&question);
        }
    }
}
