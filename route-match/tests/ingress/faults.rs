//! Faults of Ingresses and IngressClasses are found, at the field where the API server reports them.

use svc_model::api::{Ingress, IngressClass};
use svc_model::check::{Finding, Level};
use svc_model::{Cluster, Object};

use route_match::ingress::check;

use crate::harness::{cases, world};

fn findings(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = check::cluster(cluster);
    for object in cluster.objects() {
        match object {
            Object::Ingress(ingress) => findings.extend(check::ingress(ingress, "networking.k8s.io/v1")),
            Object::IngressClass(class) => findings.extend(check::ingress_class(class)),
            _ => {}
        }
    }
    findings
}

#[test]
fn every_fault_is_an_error_at_its_field_and_alone() {
    for case in cases(include_str!("cases/bad-input.json")) {
        let found = findings(&world(&case));
        let errors: Vec<_> = found.iter().filter(|finding| finding.level == Level::Error).collect();
        let expected = case["check"].as_array().unwrap();
        assert_eq!(errors.len(), expected.len(), "{}: {errors:?}", case["name"]);
        for expected in expected {
            let at = |finding: &&Finding| {
                finding.object == expected["object"].as_str().unwrap()
                    && finding.field == expected["field"].as_str().unwrap()
            };
            assert!(errors.iter().copied().any(|finding| at(&finding)), "{}: {errors:?}", case["name"]);
        }
    }
}

#[test]
fn good_manifests_have_no_errors() {
    for file in [
        include_str!("cases/conformance.json"),
        include_str!("cases/nginx-paths.json"),
        include_str!("cases/nginx-annotations.json"),
    ] {
        for case in cases(file) {
            let found = findings(&world(&case));
            let errors: Vec<_> = found.iter().filter(|finding| finding.level == Level::Error).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", case["name"]);
        }
    }
}

fn ingress(name: &str, manifest: serde_json::Value) -> Ingress {
    let mut ingress: Ingress = serde_json::from_value(serde_json::json!({ "spec": manifest })).unwrap();
    ingress.metadata.name = name.into();
    ingress
}

fn warnings(cluster: &Cluster) -> Vec<String> {
    let found = check::cluster(cluster).into_iter().filter(|finding| finding.level == Level::Warning);
    found.map(|finding| format!("{} {}", finding.object, finding.field)).collect()
}

#[test]
fn references_that_lead_nowhere_are_warned_of() {
    let mut cluster = Cluster::new();
    cluster.apply(ingress(
        "a",
        serde_json::json!({
            "ingressClassName": "none",
            "defaultBackend": {"service": {"name": "none", "port": {"number": 80}}},
        }),
    ));
    assert_eq!(
        warnings(&cluster),
        ["Ingress/default/a spec.defaultBackend.service.name", "Ingress/default/a spec.ingressClassName",]
    );
}

#[test]
fn a_host_and_path_claimed_twice_is_warned_of_at_the_younger() {
    let rules = serde_json::json!({"ingressClassName": "edge", "rules": [{"host": "a.example", "http": {"paths": [
        {"path": "/x", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket", "name": "b"}}},
    ]}}]});
    let mut cluster = Cluster::new();
    let mut class = IngressClass::default();
    class.metadata.name = "edge".into();
    class.spec.controller = "example.com/edge".into();
    cluster.apply(class);
    let mut young = ingress("a", rules.clone());
    young.metadata.creation_timestamp = Some("2024-02-01T00:00:00Z".parse().unwrap());
    let mut old = ingress("b", rules);
    old.metadata.creation_timestamp = Some("2024-01-01T00:00:00Z".parse().unwrap());
    cluster.apply(young);
    cluster.apply(old);
    let expected = ["Ingress/default/a spec.rules[0].host", "Ingress/default/a spec.rules[0].http.paths[0].path"];
    assert_eq!(warnings(&cluster), expected);
}

#[test]
fn cve_2021_25742_snippets_are_reported_as_not_modelled() {
    let mut cluster = Cluster::new();
    let mut with_snippet = ingress("a", serde_json::json!({"rules": [{"host": "a.example"}]}));
    let key = "nginx.ingress.kubernetes.io/configuration-snippet";
    with_snippet.metadata.annotations.insert(key.into(), "location /x {}".into());
    cluster.apply(with_snippet);
    assert_eq!(warnings(&cluster), [format!("Ingress/default/a metadata.annotations[{key}]")]);
}

#[test]
fn cve_2021_25748_and_2024_7646_line_breaks_are_errors_whatever_else_holds() {
    for (path_type, path) in [("Prefix", "/a\nb"), ("Exact", "/a\rb"), ("ImplementationSpecific", "/a\r\nb")] {
        let backend = serde_json::json!({"service": {"name": "web", "port": {"number": 80}}});
        let paths = serde_json::json!([{"path": path, "pathType": path_type, "backend": backend}]);
        let bad = ingress("a", serde_json::json!({"rules": [{"host": "a.example", "http": {"paths": paths}}]}));
        let fields: Vec<_> = check::ingress(&bad, "networking.k8s.io/v1").into_iter().map(|f| f.field).collect();
        assert_eq!(fields, ["spec.rules[0].http.paths[0].path"], "{path_type}");
    }
}

#[test]
fn cve_2023_5044_a_redirect_that_is_no_url_is_an_error() {
    let mut bad = ingress("a", serde_json::json!({"rules": [{"host": "a.example"}]}));
    let key = "nginx.ingress.kubernetes.io/permanent-redirect";
    bad.metadata.annotations.insert(key.into(), "https://a.example/; } location /x {".into());
    let found = findings(&Cluster::from_iter([bad]));
    assert!(
        found.iter().any(|f| f.level == Level::Error && f.field == format!("metadata.annotations[{key}]")),
        "{found:?}"
    );
}

#[test]
fn an_old_version_needs_no_path_type() {
    let backend = serde_json::json!({"serviceName": "web", "servicePort": 80});
    let paths = serde_json::json!([{"path": "/", "backend": backend}]);
    let old = ingress("a", serde_json::json!({"rules": [{"http": {"paths": paths}}]}));
    assert_eq!(check::ingress(&old, "networking.k8s.io/v1beta1"), []);
    assert_eq!(check::ingress(&old, "networking.k8s.io/v1").len(), 1);
}

/// The warnings of ingress-nginx about these Ingresses, without those about missing objects.
fn lints(ingresses: impl IntoIterator<Item = serde_json::Value>) -> Vec<String> {
    let found = check::cluster(&crate::harness::nginx::cluster(ingresses));
    let told = found.into_iter().filter(|f| f.level == Level::Warning && !f.message.starts_with("there is no"));
    told.map(|f| format!("{} {}: {}", f.object, f.field, f.message)).collect()
}

#[test]
fn an_expression_that_shadows_a_path_is_named_at_the_path_that_no_request_reaches() {
    let regex = serde_json::json!({"use-regex": "true"});
    let of = |paths: &[(&str, &str)]| {
        let one = crate::harness::nginx::ingress("i", regex.clone(), "a.example", paths);
        lints([one]).into_iter().filter(|lint| lint.contains("no request")).collect::<Vec<_>>()
    };
    let shadowed =
        of(&[("ImplementationSpecific", "/foo/bar/[A-Z0-9]{3}"), ("Prefix", "/foo/bar/bar"), ("Prefix", "/foo")]);
    assert_eq!(
        shadowed,
        [
            "Ingress/default/i spec.rules[0].http.paths[1].path: no request reaches it: path \"/foo/bar/[A-Z0-9]{3}\" of \
          Ingress/default/i is tried first and takes them all"
        ]
    );
    // A look at the end leaves longer paths, an expression tried later takes nothing away.
    assert_eq!(of(&[("ImplementationSpecific", "/foo/bar/[A-Z0-9]{3}$"), ("Prefix", "/foo/bar/bar")]), [""; 0]);
    assert_eq!(of(&[("ImplementationSpecific", "/.*"), ("Prefix", "/foo")]), [""; 0]);
}

#[test]
fn a_rule_that_the_lint_calls_unreachable_is_never_the_answer() {
    use route_match::ingress::{HttpQuestion, IngressController, Scheme};
    let regex = serde_json::json!({"use-regex": "true"});
    let paths = [
        "/a",
        "/ab",
        "/a/b",
        "/a/bc",
        "/[a-b]{2}",
        "/a(/.*)?",
        "/(a|b)/b.*",
        "/.*a",
        "/a/b/c",
        "/(a/b)?",
        "/b|/a/bcc",
        "/a.c/",
    ];
    let declared: Vec<_> = paths.iter().map(|path| ("ImplementationSpecific", *path)).collect();
    let one = crate::harness::nginx::ingress("i", regex, "a.example", &declared);
    let cluster = crate::harness::nginx::cluster([one]);
    let unreached: Vec<String> = check::cluster(&cluster)
        .into_iter()
        .filter(|finding| finding.message.starts_with("no request"))
        .map(|finding| {
            let index =
                finding.field.rsplit_once("paths[").unwrap().1.trim_end_matches("].path").parse::<usize>().unwrap();
            format!("regex {}", paths[index])
        })
        .collect();
    assert!(unreached.len() >= 3, "{unreached:?}");
    let controller = IngressController::compile(&cluster, "nginx").unwrap();
    for code in 0..4usize.pow(7) {
        let path: String = (0..7).map(|i| ['/', 'a', 'b', 'c'][code / 4usize.pow(i) % 4]).collect();
        let path = format!("/{path}");
        let decision = controller.decide(&HttpQuestion::new(Scheme::Http, "a.example", &path));
        let winner = decision.reason.path.map(ToString::to_string).unwrap_or_default();
        assert!(!unreached.contains(&winner), "{path} is answered by {winner}");
    }
}

#[test]
fn contagion_of_expressions_names_who_brought_it() {
    let rewrite = serde_json::json!({"rewrite-target": "/"});
    let ingress = crate::harness::nginx::ingress;
    let told = lints([
        ingress("b", serde_json::json!({}), "a.example", &[("Exact", "/x")]),
        ingress("a", rewrite, "a.example", &[("Prefix", "/y"), ("ImplementationSpecific", "/z")]),
    ]);
    assert_eq!(
        told,
        [
            "Ingress/default/a spec.rules[0].host: Ingress/default/b names this host too, and before: its annotations and \
             default backend count for other paths",
            "Ingress/default/a spec.rules[0].http.paths[0].path: rewrite-target makes an expression of it, which takes paths \
             that go on within an element, and in any case",
            "Ingress/default/b spec.rules[0].http.paths[0].path: Ingress/default/a makes expressions of all paths of host \
             a.example (rewrite-target): this one takes paths that are longer, and in any case",
        ]
    );
}

#[test]
fn prefixes_that_say_the_same_and_expressions_that_are_none_are_told() {
    let ingress = crate::harness::nginx::ingress;
    let paths = [("Prefix", "/x"), ("Prefix", "/x/"), ("ImplementationSpecific", "/y/(.*)"), ("Exact", "/x/")];
    let told = lints([ingress("i", serde_json::json!({}), "a.example", &paths)]);
    assert_eq!(
        told,
        [
            "Ingress/default/i spec.rules[0].http.paths[1].path: no request reaches it: path \"/x\" of Ingress/default/i takes \
             the same paths",
            "Ingress/default/i spec.rules[0].http.paths[2].path: it is compared letter by letter: an expression needs the \
             annotation use-regex",
        ]
    );
}

#[test]
fn a_host_that_the_tls_of_its_ingress_leaves_out_is_told() {
    let mut one = crate::harness::nginx::ingress("i", serde_json::json!({}), "a.example", &[("Prefix", "/")]);
    for (listed, told) in [("a.example", 0), ("*.example", 0), ("b.example", 1), ("*.a.example", 1)] {
        one["spec"]["tls"] = serde_json::json!([{"hosts": [listed]}]);
        let lints = lints([one.clone()]);
        assert_eq!(lints.iter().filter(|lint| lint.contains("spec.tls lists other hosts")).count(), told, "{listed}");
    }
}

#[test]
fn values_that_the_controller_does_not_take_are_told_with_what_becomes_of_them() {
    let told = |annotations: serde_json::Value| {
        lints([crate::harness::nginx::ingress("i", annotations, "a.example", &[("Prefix", "/")])])
    };
    let field = "Ingress/default/i metadata.annotations[nginx.ingress.kubernetes.io";
    assert_eq!(
        told(serde_json::json!({"canary-weight": "many", "denylist-source-range": "x", "canary-by-cookie": "c"})),
        [
            format!("{field}/canary-by-cookie]: has no effect without the annotation canary"),
            format!("{field}/canary-weight]: the controller does not take the value \"many\": it is ignored"),
            format!(
                "{field}/denylist-source-range]: the controller does not take the value \"x\": every request is answered 503"
            ),
        ]
    );
}

#[test]
fn cve_2025_24514_1097_and_1098_what_would_end_a_directive_is_not_taken() {
    for (key, value) in [
        ("auth-url", "http://a.example/#;\";}} location /x { alias /; }"),
        ("auth-signin", "https://a.example/;return 200"),
        ("auth-tls-match-cn", "CN=a #(\n){}\n}}\nlocation /x {}"),
        ("mirror-target", "https://a.example/;#\n}"),
        ("mirror-host", "a.example;#"),
    ] {
        let annotations = serde_json::json!({key: value});
        let told = lints([crate::harness::nginx::ingress("i", annotations, "a.example", &[("Prefix", "/")])]);
        assert!(told.iter().any(|lint| lint.contains(key) && lint.contains("does not take")), "{key}: {told:?}");
    }
}

#[test]
fn cve_2021_25746_and_2024_7646_no_annotation_with_a_line_break_is_taken() {
    for key in [
        "rewrite-target",
        "upstream-vhost",
        "server-alias",
        "canary-by-header",
        "cors-allow-headers",
        "session-cookie-path",
        "proxy-cookie-domain",
    ] {
        for value in ["a\nb", "a\rb", "a\";}\nlocation /x {"] {
            let annotations = serde_json::json!({key: value, "canary": "true"});
            let told = lints([crate::harness::nginx::ingress("i", annotations, "a.example", &[("Prefix", "/")])]);
            assert!(told.iter().any(|lint| lint.contains(key) && lint.contains("does not take")), "{key}: {told:?}");
        }
    }
}
