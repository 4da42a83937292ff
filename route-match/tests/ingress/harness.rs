//! Reading the case files of `tests/cases`: a world of manifests with questions and the answers they must get.

use serde::de::DeserializeSeed;
use serde_json::{Map, Value, json};
use svc_model::{Cluster, Kind};

use route_match::RequestTarget;
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
    as_json(&controller.decide(&question))
}

fn as_json(decision: &Decision<'_>) -> Value {
    let mut answer = Map::new();
    if let Some(route) = decision.route {
        answer.insert("route".into(), json!(route.to_string()));
    }
    if let Some(rule) = decision.rule {
        answer.insert("rule".into(), json!(rule));
    }
    match &decision.outcome {
        Outcome::Forward { backends, rewrite, .. } => {
            let total: u32 = backends.iter().map(|share| share.weight).sum();
            let backends: Vec<_> = backends
                .iter()
                .map(|share| {
                    let p = f64::from(share.weight) / f64::from(total);
                    json!({"ref": share.backend.service.to_string(), "port": share.backend.port, "p": p})
                })
                .collect();
            answer.insert("backends".into(), json!(backends));
            if let Some(path) = rewrite {
                answer.insert("rewrite".into(), json!({"path": path}));
            }
        }
        Outcome::Redirect { code, location } => {
            answer.insert("redirect".into(), json!({"code": code, "location": location}));
        }
        Outcome::Respond { status } => {
            answer.insert("status".into(), json!(status));
        }
        Outcome::Unmodelled { annotation } => {
            answer.insert("unmodelled".into(), json!(annotation));
        }
        other => panic!("no form for {other:?}"),
    }
    Value::Object(answer)
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
