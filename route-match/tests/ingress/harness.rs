//! Reading the case files of `tests/cases`: a world of manifests with questions and the answers they must get.

use serde::de::DeserializeSeed;
use serde_json::{Map, Value, json};
use svc_model::{Cluster, Kind};

use route_match::RequestTarget;
use route_match::action::{HeaderEdit, HeaderEdits};
use route_match::ingress::{Decision, HttpQuestion, IngressController, Outcome, Scheme};

/// The cases of a file.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    serde_json::from_str(file).expect("a case file is JSON")
}

/// The objects of a case.
pub(crate) fn world(case: &Value) -> Cluster {
    let mut cluster = Cluster::new();
    for manifest in case["world"].as_array().expect("a world is a list") {
        let kind: Kind = manifest["kind"].as_str().unwrap().parse().unwrap();
        cluster.apply(kind.deserialize(manifest.clone()).expect("a manifest of a case is readable"));
    }
    cluster
}

/// Answers a question in the form that the cases expect.
pub(crate) fn answer(cluster: &Cluster, ask: &Value) -> Value {
    let class = ask["to"].as_str().and_then(|to| to.strip_prefix("IngressClass/")).unwrap();
    let controller = IngressController::compile(cluster, class).unwrap();
    let target = RequestTarget::parse(ask["url"].as_str().unwrap());
    let headers: Vec<(String, String)> = ask["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let scheme = if target.scheme == Some("https") { Scheme::Https } else { Scheme::Http };
    let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.as_str());
    let mut question = HttpQuestion::new(scheme, host.or(target.authority).unwrap(), target.path);
    question.query = target.query;
    question.headers = &headers;
    question.method = ask["method"].as_str().unwrap_or("GET");
    question.client = ask["src"].as_str().map(|src| src.parse().unwrap());
    as_json(&controller.decide(&question))
}

fn as_json(decision: &Decision<'_>) -> Value {
    let mut answer = Map::from_iter([("reason".to_owned(), json!(decision.to_string()))]);
    if let Some(route) = decision.route {
        answer.insert("route".into(), json!(route.to_string()));
    }
    if let Some(rule) = decision.rule {
        answer.insert("rule".into(), json!(rule));
    }
    answer.insert("responseHeaders".into(), edits(&decision.response_headers));
    match &decision.outcome {
        Outcome::Forward { backends, request, .. } => {
            let backends: Vec<_> = backends
                .shares()
                .map(|(share, p)| {
                    let to = &share.backend.backend;
                    json!({"ref": to.service.to_string(), "port": to.port, "p": p})
                })
                .collect();
            answer.insert("backends".into(), json!(backends));
            let rewrite = json!({"path": request.path, "host": request.host});
            answer.insert("rewrite".into(), rewrite);
            answer.insert("requestHeaders".into(), edits(&request.headers));
        }
        Outcome::Redirect { code, location } => {
            answer.insert("redirect".into(), json!({"code": code, "location": location}));
        }
        Outcome::Respond { status } => {
            answer.insert("status".into(), json!(status));
        }
        Outcome::NeedsClient { annotation } => {
            answer.insert("needsClient".into(), json!(annotation));
        }
        Outcome::Unmodelled { annotation } => {
            answer.insert("unmodelled".into(), json!(annotation));
        }
        other => panic!("no form for {other:?}"),
    }
    Value::Object(answer)
}

fn edits(edits: &HeaderEdits) -> Value {
    let mut set = Map::new();
    for edit in edits.iter() {
        match edit {
            HeaderEdit::Set(name, value) => set.insert(name.to_string(), json!(value)),
            other => panic!("no form for {other}"),
        };
    }
    json!({ "set": set })
}

/// Whether an answer has everything that is expected; other keys are free, and an expected nothing may be absent.
pub(crate) fn meets(expected: &Value, answer: &Value) -> bool {
    match (expected, answer) {
        (Value::Object(expected), Value::Object(answer)) => expected.iter().all(|(key, value)| match answer.get(key) {
            Some(found) => meets(value, found),
            None => value.is_null(),
        }),
        (Value::Array(expected), Value::Array(answer)) => {
            expected.len() == answer.len() && expected.iter().zip(answer).all(|(e, a)| meets(e, a))
        }
        _ => expected == answer,
    }
}

/// Worlds of ingress-nginx: the Service `web` with a ready endpoint, and what a test adds.
pub(crate) mod nginx {
    use serde_json::{Value, json};
    use svc_model::Cluster;

    use super::{answer, world};

    pub(crate) fn service(name: &str) -> [Value; 2] {
        [
            json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}}}),
            json!({"kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "status": {
                "phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}],
            }}),
        ]
    }

    pub(crate) fn ingress(name: &str, annotations: Value, host: &str, paths: &[(&str, &str)]) -> Value {
        let annotations: serde_json::Map<String, Value> = annotations
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), value.clone()))
            .collect();
        let paths: Vec<Value> = paths
            .iter()
            .map(|(path_type, path)| {
                json!({"path": path, "pathType": path_type, "backend": {"service": {"name": "web", "port": {"number": 80}}}})
            })
            .collect();
        json!({"kind": "Ingress", "metadata": {"name": name, "annotations": annotations},
            "spec": {"rules": [{"host": host, "http": {"paths": paths}}]}})
    }

    pub(crate) fn cluster(objects: impl IntoIterator<Item = Value>) -> Cluster {
        let objects: Vec<Value> = service("web").into_iter().chain(objects).collect();
        world(&json!({ "world": objects }))
    }

    pub(crate) fn ask(cluster: &Cluster, url: &str) -> Value {
        answer(cluster, &json!({"url": url, "to": "IngressClass/nginx"}))
    }

    /// The answer to a question with more than a URL.
    pub(crate) fn ask_with(cluster: &Cluster, url: &str, more: Value) -> Value {
        let mut question = json!({"url": url, "to": "IngressClass/nginx"});
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer(cluster, &question)
    }

    /// A controller with these arguments, and the settings of its ConfigMap.
    pub(crate) fn controller(args: &[&str], settings: Value) -> [Value; 2] {
        let args: Vec<&str> =
            ["/nginx-ingress-controller", "--configmap=edge/conf"].iter().chain(args).copied().collect();
        [
            json!({"kind": "Pod", "metadata": {"name": "c", "namespace": "edge"}, "spec": {"containers": [{"args": args}]}}),
            json!({"kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "edge"}, "data": settings}),
        ]
    }
}
