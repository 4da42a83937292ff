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
