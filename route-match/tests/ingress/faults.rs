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
    assert_eq!(warnings(&cluster), ["Ingress/default/a spec.rules[0].http.paths[0].path"]);
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
