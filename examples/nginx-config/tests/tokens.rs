//! What is written is read back as the tree that was meant, whatever the manifests say.

mod tokenizer;

use nginx_config::{Profile, Settings, Token, render};
use proptest::prelude::*;
use serde_json::{Value, json};
use svctrace::read::{Purpose, Reader};
use svctrace::world::World;
use tokenizer::{Node, parse};

fn world(text: &str) -> World {
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world", text);
    World::new(reader.finish(), None)
}

fn meant(directive: &nginx_config::Directive) -> Node {
    let args = directive.args.iter().map(|arg| arg.as_str().to_owned());
    let words = Some(directive.name.to_owned()).filter(|name| !name.is_empty()).into_iter().chain(args).collect();
    Node { words, block: directive.block.as_ref().map(|block| block.iter().map(meant).collect()) }
}

#[test]
fn the_founding_documents_print_this_tree() {
    let world = world(include_str!("data/nginx-documents.yaml"));
    let mut settings = Settings::default();
    settings.profile = Profile::Classic;
    let rendered = render(&world.cluster, "nginx", &settings).unwrap();
    assert_eq!(rendered.unexpressed, []);
    let tree = parse(&rendered.to_string()).unwrap();
    let expected: Value = serde_json::from_str(include_str!("data/nginx-documents.conf-tree.json")).unwrap();
    contains(&tree, expected.as_array().unwrap(), &[], "");
}

/// Each expected directive is there once with exactly these arguments, its block as a subset; `only` names directives of which there
/// are no others.
fn contains(tree: &[Node], expected: &[Value], only: &[Value], at: &str) {
    let words = |directive: &Value| -> Vec<String> {
        let args = directive["args"].as_array().unwrap().iter();
        std::iter::once(&directive["directive"]).chain(args).map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    for directive in expected {
        let words = words(directive);
        let found: Vec<&Node> = tree.iter().filter(|node| node.words == words).collect();
        assert_eq!(found.len(), 1, "{at}: {words:?} in {tree:#?}");
        if let Some(block) = directive["block"].as_array() {
            let only = directive["only"].as_array().cloned().unwrap_or_default();
            contains(found[0].block.as_deref().unwrap(), block, &only, &format!("{at}/{words:?}"));
        }
    }
    for name in only {
        let count = |nodes: usize| nodes;
        let listed = expected.iter().filter(|directive| directive["directive"] == *name).count();
        let there = tree.iter().filter(|node| node.words[0] == name.as_str().unwrap()).count();
        assert_eq!(count(there), listed, "{at}: no other {name}");
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[/a-z{};#\"'\\\\$ \n\r\t\u{0}\u{7f}é]{0,12}",
        Just("/x/ { alias /var/run/secrets/; } #".to_owned()),
        Just("value\";}\nlocation /x {".to_owned()),
        Just("https://a.example/; } location /x {".to_owned()),
        Just("a\\".to_owned()),
        Just("\\\"".to_owned()),
        Just("${x}".to_owned()),
    ]
}

const KEYS: [&str; 13] = [
    "rewrite-target",
    "permanent-redirect",
    "upstream-vhost",
    "server-alias",
    "app-root",
    "cors-allow-origin",
    "cors-allow-methods",
    "x-forwarded-prefix",
    "upstream-hash-by",
    "whitelist-source-range",
    "mirror-target",
    "auth-url",
    "use-regex",
];

#[test]
fn a_path_with_everything_nginx_could_read_is_one_argument() {
    let hostile = "/x\";}{#'\\ y";
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
    "spec": {"rules": [{"host": "a.example", "http": {"paths": [
        {"path": hostile, "pathType": "ImplementationSpecific", "backend": backend},
    ]}}]}});
    let rendered = render(&world(&ingress.to_string()).cluster, "nginx", &Settings::default()).unwrap();
    let tree = parse(&rendered.to_string()).unwrap();
    let servers = tree[1].block.as_ref().unwrap().iter().filter(|node| node.words == ["server"]);
    let locations: Vec<&Vec<String>> =
        servers.flat_map(|server| server.block.as_ref().unwrap()).map(|node| &node.words).collect();
    assert!(locations.iter().any(|words| **words == ["location", "=", hostile]), "{locations:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_token_is_read_back_as_its_text_or_is_none(text in prop_oneof![hostile(), any::<String>()]) {
        for token in [Token::literal(&text), Token::script(&text)].into_iter().flatten() {
            let tree = parse(&format!("a {token} b;\nc;")).unwrap();
            prop_assert_eq!(&tree[0].words, &["a", text.as_str(), "b"]);
            prop_assert_eq!(tree.len(), 2);
        }
        let refused = text.chars().any(char::is_control) || text.len() > 4000;
        prop_assert_eq!(Token::script(&text).is_err(), refused);
        prop_assert_eq!(Token::literal(&text).is_err(), refused || text.contains('$'));
    }

    #[test]
    fn cve_2021_25745_25746_25748_2022_4886_2023_5044_2024_7646_nothing_in_a_manifest_adds_a_directive(
        // One thing at a time: a host or URL that is refused takes its whole Ingress along.
        path in prop_oneof![3 => hostile().prop_map(|text| format!("/{text}")), 1 => Just("/x".to_owned())],
        host in prop_oneof![5 => Just("a.example".to_owned()), 1 => hostile()],
        service in prop_oneof![5 => Just("web".to_owned()), 1 => hostile()],
        uid in hostile(),
        values in proptest::collection::btree_map(proptest::sample::select(&KEYS[..]), hostile(), 0..4),
        path_type in proptest::sample::select(&["Exact", "Prefix", "ImplementationSpecific", "ImplementationSpecific"][..]),
        classic: bool,
    ) {
        let mut annotations: serde_json::Map<String, Value> = values
            .into_iter()
            .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(value)))
            .collect();
        annotations.insert("nginx.ingress.kubernetes.io/enable-cors".into(), json!("true"));
        let backend = json!({"service": {"name": service, "port": {"number": 80}}});
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "i", "uid": uid, "annotations": annotations},
            "spec": {"rules": [{"host": host, "http": {"paths": [{"path": path, "pathType": path_type, "backend": backend}]}}]}});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "x"}, "clusterIP": "10.0.0.9"}});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {"app": "x"}},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}});
        let world = world(&format!("{ingress}\n---\n{service}\n---\n{pod}\n"));
        let mut settings = Settings::default();
        settings.profile = if classic { Profile::Classic } else { Profile::Modern };
        let rendered = render(&world.cluster, "nginx", &settings).unwrap();
        let tree = parse(&rendered.to_string()).unwrap();
        let http: Vec<Node> = rendered.http.iter().map(meant).collect();
        prop_assert_eq!(tree[1].block.as_ref(), Some(&http));
    }
}
