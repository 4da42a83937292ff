//! What is written is read back as the tree that was meant, whatever the manifests say. Read back by a parser of YAML, of which JSON
//! is a part and which shares no code with the writer.

mod hostile;

use std::sync::Arc;

use envoy_config::{Rendered, Settings, render_gateway};
use hostile::{TEXTS, filled_with, gateway, route};
use proptest::prelude::*;
use route_match::gateway::GatewayTable;
use serde_json::{Value, json};
use svc_model::NamespacedName;
use svctrace::read::{Purpose, Reader};
use svctrace::world::World;
use tls_sni::gateway::GatewayTls;

fn rendered(objects: &[Value]) -> Rendered {
    let mut reader = Reader::new(Purpose::Answer);
    for object in objects {
        reader.text("world", &object.to_string());
    }
    let world = World::new(reader.finish(), None);
    let table = GatewayTable::compile(&world.cluster, &NamespacedName::new("default", "edge")).unwrap();
    render_gateway(&world.cluster, &GatewayTls::new(&world.cluster, Arc::new(table)), &Settings::default())
}

/// The tree that another parser sees.
fn read_back(rendered: &Rendered) -> Value {
    serde_saphyr::from_str(&rendered.to_string()).unwrap()
}

/// The tree with every text left out.
fn shape(tree: &Value) -> Value {
    match tree {
        Value::String(_) => Value::Null,
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        other => other.clone(),
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[!-~]{1,12}",
        "[/a-z{}\\[\\]:,\"'\\\\%$#*&]{1,12}",
        proptest::sample::select(&TEXTS[..]).prop_map(ToOwned::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn cve_2021_25746_nothing_in_a_manifest_adds_a_message(text in hostile()) {
        let found = rendered(&filled_with(&text));
        let tree = read_back(&found);
        prop_assert_eq!(&tree, &serde_json::to_value(&found.bootstrap).unwrap());
        prop_assert_eq!(shape(&tree), shape(&read_back(&rendered(&filled_with("word")))));

        let manager = &tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
        let hosts = manager["route_config"]["virtual_hosts"].as_array().unwrap();
        let host = hosts.iter().find(|host| host["domains"] == json!(["a.example"])).unwrap();
        let routes = &host["routes"];
        let plain = Value::from(text.as_str());
        prop_assert_eq!(&routes[0]["match"]["headers"][0]["string_match"]["exact"], &plain);
        prop_assert_eq!(&routes[0]["match"]["query_parameters"][0]["string_match"]["exact"], &plain);
        let cluster = &routes[0]["route"]["weighted_clusters"]["clusters"][0];
        // A single percent sign would begin a variable, a single backslash the number of a group.
        let value = Value::from(text.replace('%', "%%"));
        prop_assert_eq!(&cluster["request_headers_to_add"][0]["header"]["value"], &value);
        prop_assert_eq!(&cluster["response_headers_to_add"][0]["header"]["value"], &value);
        prop_assert_eq!(&cluster["host_rewrite_literal"], &plain);
        let substitution = &routes[0]["route"]["regex_rewrite"]["substitution"];
        prop_assert_eq!(substitution, &Value::from(text.replace('\\', "\\\\")));
        prop_assert_eq!(&routes[1]["redirect"]["host_redirect"], &plain);
        prop_assert_eq!(&routes[1]["redirect"]["path_redirect"], &plain);
        let clusters = tree["static_resources"]["clusters"].as_array().unwrap();
        let name = format!("default/{text}:80");
        prop_assert_eq!(clusters.iter().map(|cluster| cluster["name"].as_str().unwrap()).collect::<Vec<_>>(), [&name]);
        prop_assert_eq!(&cluster["name"], &Value::from(name));
    }

    #[test]
    fn any_text_anywhere_leaves_a_tree_that_can_be_read(
        host in prop_oneof![2 => Just("a.example".to_owned()), 1 => any::<String>()],
        path in prop_oneof![1 => any::<String>(), 1 => hostile()],
        kind in proptest::sample::select(&["Exact", "PathPrefix", "RegularExpression"][..]),
        values in proptest::collection::vec(any::<String>(), 3),
    ) {
        let printable = |text: &String| text.chars().all(|c| !c.is_control() && !('\u{fffe}'..='\u{ffff}').contains(&c));
        prop_assume!([&host, &path].into_iter().chain(&values).all(printable));
        let edits = json!({"set": [{"name": "x", "value": values[0]}], "add": [{"name": values[1], "value": values[2]}]});
        let found = rendered(&[
            gateway(json!([{"name": "l", "port": 80, "protocol": "HTTP", "hostname": host}, {"name": "m", "port": 81, "protocol": "HTTP"}])),
            route("r", json!([host]), json!([{"matches": [{"path": {"type": kind, "value": path}}], "filters": [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": edits}]}])),
        ]);
        prop_assert_eq!(read_back(&found), serde_json::to_value(&found.bootstrap).unwrap());
    }
}

#[test]
fn keys_are_never_written() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "../pair"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": include_str!("data/pair.crt"), "tls.key": include_str!("data/pair.key")}});
    let mut named = secret.clone();
    named["metadata"]["name"] = "pair".into();
    let listener = |secret: &str| {
        gateway(
            json!([{"name": "l", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": secret}]}}]),
        )
    };
    let found = rendered(&[listener("pair"), named]);
    let text = found.to_string();
    assert!(text.contains("/etc/envoy/certificates/default/pair/tls.key") && !text.contains("PRIVATE"));
    // CVE-2021-25745 and its kin: a name is no way out of the directory.
    let found = rendered(&[listener("../pair"), secret]);
    assert!(!found.to_string().contains("tls.key"));
    assert_eq!(found.unexpressed.len(), 1);
    assert!(found.to_string().contains("direct_response"), "the connection is closed");
}
