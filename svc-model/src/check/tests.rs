//! Does nothing make a check panic, and do all of them answer the same every time?

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use super::testing::world;
use super::{Finding, names};
use crate::schema::{self, Shape};
use crate::{Cluster, Kind};

#[test]
fn findings_across_objects_come_by_object_and_field() {
    let services: Vec<String> = (0..20)
        .map(|i| {
            format!(r#"{{"metadata":{{"name":"s{i}"}},"spec":{{"selector":{{"a":"b"}},"ports":[{{"port":80}}]}}}}"#)
        })
        .collect();
    let forward: Vec<(&str, &str)> = services.iter().map(|json| ("Service", json.as_str())).collect();
    let backward: Vec<(&str, &str)> = forward.iter().rev().copied().collect();
    let found = super::cluster(&world(&forward));
    assert_eq!(found, super::cluster(&world(&backward)));
    assert!(found.is_sorted_by_key(|finding| (&finding.object, &finding.field)));
    assert_eq!(found.len(), 40);
}

/// Words that the rules know, and words they do not.
fn text() -> impl Strategy<Value = String> {
    const KNOWN: &str = "a b a-service other None ClusterIP NodePort LoadBalancer ExternalName ClientIP Local IPv4 IPv6 FQDN \
        RequireDualStack PreferClose 10.0.0.1 10.0.0.1/8 010.0.0.1 127.0.0.1 ::1 fd00::1/64 ::ffff:10.0.0.1 TCP UDP ipvs \
        nftables primary 1h -1s [::1]:80 - ..";
    let known: Vec<&str> = KNOWN.split_whitespace().chain([""]).collect();
    prop_oneof![
        4 => proptest::sample::select(known).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
    ]
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![0..3i64, Just(80), 29999..30003i64, Just(65536), any::<i64>()]
}

/// A value of a JSON type that fits a schema, so that most of the documents are read.
fn value(shape: &'static Shape, depth: u32) -> BoxedStrategy<Value> {
    match shape {
        Shape::String | Shape::Base64 => text().prop_map(Value::from).boxed(),
        Shape::Int => number().prop_map(Value::from).boxed(),
        Shape::Number => {
            prop_oneof![number().prop_map(Value::from), any::<i16>().prop_map(|n| Value::from(f64::from(n) / 100.0))]
                .boxed()
        }
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::IntOrString => prop_oneof![text().prop_map(Value::from), number().prop_map(Value::from)].boxed(),
        Shape::List(inner) if depth > 0 => vec(value(inner, depth - 1), 0..3).prop_map(Value::from).boxed(),
        Shape::Map(inner) if depth > 0 => vec((text(), value(inner, depth - 1)), 0..3)
            .prop_map(|entries| Value::from(Map::from_iter(entries)))
            .boxed(),
        Shape::Struct(inner) if depth > 0 => fields(inner, depth - 1),
        Shape::Struct(_) => Just(Value::from(Map::new())).boxed(),
        _ => Just(Value::Null).boxed(),
    }
}

/// Some of the fields of a mapping.
fn fields(of: &'static schema::Struct, depth: u32) -> BoxedStrategy<Value> {
    // An instant must be one to be read at all.
    let readable = of.fields.iter().filter(|field| !field.name.ends_with("Timestamp"));
    let fields: Vec<_> = readable
        .map(|field| proptest::option::weighted(0.7, value(field.shape, depth)).prop_map(|value| (field.name, value)))
        .collect();
    fields
        .prop_map(|fields| {
            let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::from(Map::from_iter(given))
        })
        .boxed()
}

fn document() -> impl Strategy<Value = (Kind, Value)> {
    proptest::sample::select(Kind::ALL).prop_flat_map(|kind| (Just(kind), fields(schema::of(kind, ""), 8)))
}

fn is_well_formed(finding: &Finding) -> bool {
    !finding.object.is_empty() && !finding.field.is_empty() && !finding.message.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_document_makes_a_check_panic(documents in vec(document(), 1..8)) {
        let mut cluster = Cluster::new();
        for (kind, document) in documents {
            let object = kind.deserialize(document).unwrap();
            let version = kind.versions()[0].name;
            let found = super::object(&object, version);
            prop_assert!(found.iter().all(is_well_formed), "{found:?}");
            prop_assert_eq!(&found, &super::object(&object, version));
            cluster.apply(object);
        }
        let found = super::cluster(&cluster);
        prop_assert!(found.iter().all(is_well_formed), "{found:?}");
        prop_assert_eq!(found, super::cluster(&cluster));
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,40}|[0-9.:/%a-f\\[\\]-]{0,40}|[0-9.hmnsu\u{b5}+-]{0,40}") {
        let json = serde_json::json!({
            "clusterCIDR": text, "healthzBindAddress": text, "iptables": {"syncPeriod": text, "minSyncPeriod": text},
        });
        let object = Kind::KubeProxyConfiguration.deserialize(json).unwrap();
        super::object(&object, "kubeproxy.config.k8s.io/v1alpha1");
        let rules = [
            names::dns_1035_label, names::dns_1123_label, names::dns_1123_subdomain,
            names::full_domain_name, names::iana_service_name, names::qualified_name,
            names::annotation_key, names::label_value, names::config_key,
        ];
        for rule in rules {
            if let Err(error) = rule(&text) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
