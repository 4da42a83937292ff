//! Any manifests of Istio, read as people give them: answered or refused, the same every time.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use svc_model::Kind;
use svc_model::schema::{self, Shape, Struct};
use svctrace::ask;
use svctrace::curl::Curl;
use svctrace::read::{Purpose, Reader};
use svctrace::world::World;

const KINDS: [Kind; 9] = [
    Kind::VirtualService,
    Kind::VirtualService,
    Kind::IstioGateway,
    Kind::DestinationRule,
    Kind::ServiceEntry,
    Kind::WorkloadEntry,
    Kind::Sidecar,
    Kind::Service,
    Kind::Pod,
];

/// Words by which objects find one another, so that some do.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    "a b a.x *.x * a.default.svc.cluster.local mesh default/a . ~ */* HTTP HTTPS TLS TCP SIMPLE PASSTHROUGH ISTIO_MUTUAL STATIC DNS NONE \
     10.0.0.1 10.0.0.0/8 1s / /a .* GET LEAST_REQUEST ALLOW_ANY REGISTRY_ONLY http tcp v1"
        .split_whitespace()
        .collect()
});

fn value(shape: &'static Shape, depth: u32) -> BoxedStrategy<Value> {
    match shape {
        Shape::String => {
            prop_oneof![9 => prop::sample::select(&**WORDS).prop_map(Value::from), 1 => "\\PC{0,6}".prop_map(Value::from)]
                .boxed()
        }
        Shape::Int => prop::sample::select(vec![0i64, 1, 80, 80, 443, 70_000, -1]).prop_map(Value::from).boxed(),
        Shape::Number => prop::sample::select(vec![0.5, 100.0, -1.0]).prop_map(Value::from).boxed(),
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::List(inner) if depth > 0 => vec(value(inner, depth - 1), 1..3).prop_map(Value::from).boxed(),
        Shape::Map(inner) if depth > 0 => {
            let key = prop::sample::select(&**WORDS);
            vec((key, value(inner, depth - 1)), 0..2)
                .prop_map(|entries| Value::from(Map::from_iter(entries.into_iter().map(|(k, v)| (k.to_owned(), v)))))
                .boxed()
        }
        Shape::Struct(inner) if depth > 0 => fields(inner, depth - 1),
        _ => Just(Value::Null).boxed(),
    }
}

fn fields(of: &'static Struct, depth: u32) -> BoxedStrategy<Value> {
    let fields: Vec<_> = of
        .fields
        .iter()
        .filter(|field| !matches!(field.name, "apiVersion" | "kind" | "metadata" | "status"))
        .map(|field| prop::option::weighted(0.6, value(field.shape, depth)).prop_map(|value| (field.name, value)))
        .collect();
    fields
        .prop_map(|fields| {
            let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::from(Map::from_iter(given))
        })
        .boxed()
}

fn document() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(&KINDS[..]);
    let named = (kind, prop::sample::select(vec!["a", "b"]), prop::sample::select(vec!["default", "istio-system"]));
    named.prop_flat_map(|(kind, name, namespace)| {
        let version = kind.versions()[0].name;
        fields(schema::of(kind, version), 8).prop_map(move |mut document| {
            document["apiVersion"] = version.into();
            document["kind"] = kind.in_manifest().into();
            document["metadata"] = json!({"name": name, "namespace": namespace, "labels": {"a": "b"}});
            document
        })
    })
}

fn world(documents: &[Value]) -> World {
    let mut reader = Reader::new(Purpose::Answer);
    for document in documents {
        reader.text("generated.json", &document.to_string());
    }
    World::new(reader.finish(), None)
}

fn answers(world: &World) -> Vec<Value> {
    let to = ["mesh", "IstioGateway/default/a", "IstioGateway/istio-system/b"];
    let questions = to.into_iter().flat_map(|to| {
        let http = ["http://a/", "http://a.x/a?q=1", "https://a.x/", "http://10.0.0.1/a"];
        let http = http.into_iter().map(move |url| json!({"kind": "http", "url": url, "to": to, "from": "default/a"}));
        let tls = json!({"kind": "tls", "sni": "a.x", "to": to, "now": "2026-01-01T00:00:00Z"});
        http.chain([tls, json!({"kind": "tcp", "port": 80, "dst": "a.x", "to": to})])
    });
    let mut answers: Vec<Value> = questions.map(|question| ask::answer_value(&question, world)).collect();
    for url in ["http://a/a", "tcp://a:80"] {
        let curl = Curl { url: url.into(), from: Some("a".into()), namespace: "default".into(), ..Curl::default() };
        answers.push(match curl.answer(world) {
            Ok(answer) => Value::Object(answer.json),
            Err(unusable) => json!({ "error": unusable.0 }),
        });
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn manifests_of_any_content_are_answered_for(documents in vec(document(), 1..8)) {
        let first = answers(&world(&documents));
        for answer in &first {
            let said = answer["reason"].as_str().or(answer["error"].as_str());
            prop_assert!(said.is_some_and(|words| !words.is_empty()), "{answer:#}");
        }
        prop_assert_eq!(first, answers(&world(&documents)));
    }
}
