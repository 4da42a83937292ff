//! Documents of any content: judged without a panic, each fault with its place, the same every time.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use svc_model::schema::{self, Shape, Struct};
use svc_model::{Cluster, Kind};

const KINDS: [Kind; 8] = [
    Kind::VirtualService,
    Kind::IstioGateway,
    Kind::DestinationRule,
    Kind::ServiceEntry,
    Kind::WorkloadEntry,
    Kind::WorkloadGroup,
    Kind::Sidecar,
    Kind::Service,
];

/// Words that the rules know, and words they do not.
fn text() -> impl Strategy<Value = String> {
    const KNOWN: &str = "a b a.b *.a.b * *.b a.default.svc.cluster.local mesh default/a ./a ~ . ~/* */* HTTP HTTPS TLS TCP SIMPLE \
        ISTIO_MUTUAL STATIC DNS NONE DYNAMIC_DNS 10.0.0.1 10.0.0.0/8 1s 0s 500ms unix:///a (a .* / /a Host :path ALLOW_ANY 5xx,503";
    let known: Vec<&str> = KNOWN.split_whitespace().chain([""]).collect();
    prop_oneof![4 => proptest::sample::select(known).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

fn value(shape: &'static Shape, depth: u32) -> BoxedStrategy<Value> {
    let number = || prop_oneof![0..3i64, Just(80), Just(100), Just(65537), any::<i64>()];
    match shape {
        Shape::String => text().prop_map(Value::from).boxed(),
        Shape::Int => number().prop_map(Value::from).boxed(),
        Shape::Number => prop_oneof![Just(0.5), Just(-1.0), Just(1e300)].prop_map(Value::from).boxed(),
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::List(inner) if depth > 0 => vec(value(inner, depth - 1), 0..3).prop_map(Value::from).boxed(),
        Shape::Map(inner) if depth > 0 => vec((text(), value(inner, depth - 1)), 0..3)
            .prop_map(|entries| Value::from(Map::from_iter(entries)))
            .boxed(),
        Shape::Struct(inner) => fields(inner, depth.saturating_sub(1)),
        _ => Just(Value::Null).boxed(),
    }
}

fn fields(of: &'static Struct, depth: u32) -> BoxedStrategy<Value> {
    // An instant must be one to be read at all.
    let readable = of.fields.iter().filter(|field| depth > 0 && !field.name.ends_with("Timestamp"));
    let fields: Vec<_> = readable
        .map(|field| proptest::option::weighted(0.6, value(field.shape, depth)).prop_map(|value| (field.name, value)))
        .collect();
    fields
        .prop_map(|fields| {
            let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::from(Map::from_iter(given))
        })
        .boxed()
}

fn document() -> impl Strategy<Value = (Kind, Value)> {
    proptest::sample::select(&KINDS[..]).prop_flat_map(|kind| (Just(kind), fields(schema::of(kind, ""), 8)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_document_makes_a_check_panic(documents in vec(document(), 1..6)) {
        let mut cluster = Cluster::new();
        for (kind, document) in documents {
            // Some are not of a form that a Service can have.
            let Ok(object) = kind.deserialize(document) else { continue };
            let found = super::object(&object);
            prop_assert!(found.iter().all(|finding| !finding.field.is_empty() && !finding.message.is_empty()));
            prop_assert_eq!(&found, &super::object(&object));
            cluster.apply(object);
        }
        prop_assert_eq!(super::cluster(&cluster), super::cluster(&cluster));
    }
}

/// A match over a few paths, methods and headers.
fn found() -> impl Strategy<Value = Value> {
    let uri = prop_oneof![
        proptest::sample::select(vec!["/", "/a", "/a/b", "/A", ""])
            .prop_map(|text| serde_json::json!({"prefix": text})),
        proptest::sample::select(vec!["/a", "/a/b", "/A/b"]).prop_map(|text| serde_json::json!({"exact": text})),
        proptest::sample::select(vec![".*", "/a.*"]).prop_map(|text| serde_json::json!({"regex": text})),
    ];
    let method = proptest::sample::select(vec!["GET", "POST"]).prop_map(|text| serde_json::json!({"exact": text}));
    let header = proptest::sample::select(vec!["1", "2"]).prop_map(|text| serde_json::json!({"x": {"exact": text}}));
    let port = proptest::sample::select(vec![80, 81]);
    let some = proptest::option::of::<BoxedStrategy<Value>>;
    let weighted = |strategy: BoxedStrategy<Value>| proptest::option::weighted(0.25, strategy);
    let parts = (
        some(uri.boxed()),
        weighted(method.boxed()),
        weighted(header.boxed()),
        weighted(port.prop_map(Value::from).boxed()),
        any::<bool>(),
    );
    parts.prop_map(|(uri, method, headers, port, fold)| {
        let parts = [("uri", uri), ("method", method), ("headers", headers), ("port", port)];
        let mut map: Map<String, Value> = parts.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
        map.insert("ignoreUriCase".to_owned(), fold.into());
        Value::from(map)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_rule_that_is_called_dead_takes_no_request(rules in vec(vec(found(), 0..3), 1..6)) {
        use crate::istio::{HttpQuestion, IstioGatewayTable, Scheme};
        let http: Vec<Value> = rules
            .iter()
            .map(|found| serde_json::json!({"match": found, "route": [{"destination": {"host": "a.x"}}]}))
            .collect();
        let gateway = serde_json::json!({"metadata": {"name": "g"}, "spec": {"servers": [
            {"hosts": ["*"], "port": {"number": 80, "name": "http", "protocol": "HTTP"}}]}});
        let object = serde_json::json!({"metadata": {"name": "v"}, "spec": {"hosts": ["a.x"], "gateways": ["g"], "http": http}});
        let object = Kind::VirtualService.deserialize(object).unwrap();
        let dead: Vec<String> = super::object(&object).into_iter().map(|finding| finding.field).collect();
        let cluster: Cluster = [Kind::IstioGateway.deserialize(gateway).unwrap(), object].into_iter().collect();
        let table = IstioGatewayTable::compile(&cluster, &svc_model::NamespacedName::new("default", "g")).unwrap();
        for path in ["/", "/a", "/A", "/ab", "/a/b", "/A/b", "/a/b/c", "/q"] {
            for (method, header) in [("GET", "1"), ("POST", "1"), ("GET", "2"), ("POST", "3")] {
                let headers = [("x", header)];
                let question = HttpQuestion::new(Scheme::Http, "a.x", path).method(method).headers(&headers);
                let decision = table.decide(&question, None);
                if let Some((_, rule)) = decision.rule.and_then(|rule| rule.origin.virtual_service()) {
                    prop_assert!(!dead.contains(&format!("spec.http[{rule}]")), "{path} {method} {header}: rule {rule}");
                }
            }
        }
    }
}
