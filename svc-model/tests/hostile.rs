//! No object, however odd, brings anything down; texts that print are read back.

mod common;

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use svc_model::addr::{parse_cidr, parse_ip};
use svc_model::api::{Pod, Service, Time};
use svc_model::schema::{self, Shape, Struct};
use svc_model::{
    Cluster, FrontendKind, Kind, Mode, NamespacedName, NodeSettings, NodeView, ObjectRef, Packet, Protocol, Scope,
    complete,
};

/// Values that mean something somewhere, and some that mean nothing anywhere.
fn scalar() -> BoxedStrategy<Value> {
    let texts = [
        "",
        "None",
        "a",
        "b",
        "default",
        "ClientIP",
        "Local",
        "Cluster",
        "NodePort",
        "LoadBalancer",
        "ExternalName",
        "10.0.0.1",
        "10.0.0.0/8",
        "::1",
        "fd00::/64",
        "010.1.2.3",
        "127.0.0.1",
        "IPv4",
        "IPv6",
        "TCP",
        "UDP",
        "http",
        "PreferDualStack",
        "RequireDualStack",
        "InternalIP",
        "True",
        "Ready",
        "Running",
        "True",
        "n1",
        "\u{0}",
        "ä",
        "primary",
        "2026-11-20T10:00:00Z",
        "kubernetes.io/service-name",
        "ipvs",
        "nftables",
    ];
    prop_oneof![
        8 => prop::sample::select(texts.to_vec()).prop_map(Value::from),
        3 => prop::sample::select(vec![0i64, 1, 80, 443, 30080, 65535, 65536, -1, i64::MAX, i64::MIN]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => ".{0,12}".prop_map(Value::from),
    ]
    .boxed()
}

/// A value of the fields that a table names, each with some value of its own shape.
fn of_struct(table: &'static Struct, depth: u32) -> BoxedStrategy<Value> {
    let fields: Vec<BoxedStrategy<Option<(String, Value)>>> = table
        .fields
        .iter()
        .map(|field| {
            let name = field.name;
            prop::option::weighted(0.6, of_shape(field.shape, depth))
                .prop_map(move |v| v.map(|v| (name.to_owned(), v)))
                .boxed()
        })
        .collect();
    fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

fn of_shape(shape: &'static Shape, depth: u32) -> BoxedStrategy<Value> {
    match shape {
        _ if depth == 0 => scalar(),
        Shape::Struct(table) => of_struct(table, depth - 1),
        Shape::List(item) => prop::collection::vec(of_shape(item, depth - 1), 0..3).prop_map(Value::from).boxed(),
        Shape::Int => prop_oneof![3 => prop::sample::select(vec![0i64, 53, 80, 30080, 65536, -1]).prop_map(Value::from), 1 => scalar()].boxed(),
        Shape::Number => prop_oneof![3 => any::<i16>().prop_map(|n| Value::from(f64::from(n) / 100.0)), 1 => scalar()].boxed(),
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::String => prop_oneof![9 => scalar().prop_filter("text", Value::is_string), 1 => scalar()].boxed(),
        _ => prop::collection::btree_map("[ab]", scalar().prop_filter("text", Value::is_string), 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed(),
    }
}

fn any_object() -> impl Strategy<Value = (Kind, Value)> {
    let kinds: Vec<BoxedStrategy<(Kind, Value)>> = Kind::ALL
        .iter()
        .map(|kind| of_struct(schema::of(*kind, ""), 6).prop_map(|value| (*kind, value)).boxed())
        .collect();
    prop::strategy::Union::new(kinds)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn objects_of_any_content_are_read_or_refused_and_answered_for(objects in prop::collection::vec(any_object(), 0..8)) {
        let read = objects.into_iter().filter_map(|(kind, value)| kind.deserialize(value).ok());
        let mut cluster: Cluster = read.collect();
        complete(&mut cluster);
        let nodes: Vec<String> = cluster.list::<svc_model::api::Node>().map(|node| node.metadata.name.clone()).collect();
        for node in nodes.iter().map(String::as_str).chain([""]) {
            let settings = NodeSettings::of(&cluster, Some(node)).expect("a node is named");
            let view = NodeView::new(&cluster, settings);
            for dst in ["10.0.0.1:80", "127.0.0.1:30080", "[::1]:53"] {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    let packet = Packet::new(IpAddr::from([10, 0, 0, 1]), dst.parse::<SocketAddr>().unwrap(), protocol);
                    let decision = view.decide(&packet);
                    prop_assert!(!view.explain(&decision).to_string().is_empty());
                }
            }
        }
        for pod in cluster.list::<Pod>() {
            svc_model::service_environment(&cluster, pod);
        }
        for service in cluster.list::<Service>() {
            svc_model::endpoints::of(&cluster, service);
        }
    }

    #[test]
    fn what_is_written_is_read_back((kind, value) in any_object()) {
        if let Ok(object) = kind.deserialize(value) {
            let written = serde_json::to_value(&object).expect("objects can be written");
            prop_assert_eq!(kind.deserialize(written).expect("what was written can be read"), object);
        }
    }

    #[test]
    fn references_print_as_they_are_read(kind in prop::sample::select(Kind::ALL.to_vec()), namespace in "[a-z]{1,8}", name in "[a-z.-]{1,8}") {
        let reference = match kind.scope() {
            Scope::Namespaced => ObjectRef::new(kind, namespace.as_str(), name.as_str()),
            Scope::Cluster => ObjectRef::new(kind, "", name.as_str()),
            Scope::Configuration => ObjectRef::new(kind, "", ""),
        };
        prop_assert_eq!(reference.to_string().parse::<ObjectRef>(), Ok(reference));
        let name = NamespacedName::new(namespace, name);
        prop_assert_eq!(name.to_string().parse::<NamespacedName>(), Ok(name));
    }

    #[test]
    fn references_are_read_from_any_text_without_panic(text in ".{0,40}") {
        let _ = text.parse::<ObjectRef>();
        let _ = text.parse::<NamespacedName>();
        let _ = text.parse::<Time>();
    }

    #[test]
    fn instants_print_as_they_are_read(seconds in -62_000_000_000i64..250_000_000_000) {
        let time = Time::from_unix_seconds(seconds).expect("a year of four digits");
        prop_assert_eq!(time.to_string().parse::<Time>(), Ok(time));
    }

    #[test]
    fn addresses_are_read_from_any_text_and_canonical_ones_stay(text in "[0-9a-f.:/ ]{0,24}", addr in any::<IpAddr>()) {
        if let Ok(addr) = parse_ip(&text) {
            prop_assert_eq!(parse_ip(&addr.to_string()), Ok(addr));
        }
        if let Ok(net) = parse_cidr(&text) {
            prop_assert_eq!(parse_cidr(&net.to_string()), Ok(net));
        }
        prop_assert_eq!(parse_ip(&addr.to_string()), Ok(addr.to_canonical()));
    }
}

#[test]
fn words_print_as_they_are_read() {
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        assert_eq!(protocol.to_string().parse(), Ok(protocol));
    }
    for mode in [Mode::Iptables, Mode::Ipvs, Mode::Nftables] {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    use FrontendKind::*;
    for kind in [ClusterIp, ExternalIp, LoadBalancer, NodePort, HostPort] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(*kind));
    }
}

#[test]
fn secrets_are_never_printed() {
    let secret = common::object(serde_json::json!({
        "kind": "Secret", "metadata": {"name": "s"}, "data": {"tls.key": "c2VjcmV0LXZhbHVl"}, "stringData": {"password": "hunter2"},
    }));
    let printed = format!("{secret:?}");
    for value in ["c2VjcmV0LXZhbHVl", "secret-value", "hunter2"] {
        assert!(!printed.contains(value), "{printed}");
    }
}
