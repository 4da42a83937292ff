//! Ingress by example: manifests, questions and the answers they must get.

use crate::harness::{answer, cases, meets, world};

#[track_caller]
fn check(file: &str) {
    let mut wrong = Vec::new();
    let mut asked = 0;
    for case in cases(file) {
        let cluster = world(&case);
        for query in case["queries"].as_array().expect("a case has queries") {
            let answer = answer(&cluster, &query["ask"]);
            asked += 1;
            if !meets(&query["expect"], &answer) {
                wrong.push(format!(
                    "{}: {}\n  expected {}\n  answered {answer}",
                    case["name"], query["ask"], query["expect"]
                ));
            }
        }
    }
    assert!(asked > 0, "no question asked");
    assert!(wrong.is_empty(), "{} of {asked} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn conformance_of_hosts_paths_and_default_backends() {
    check(include_str!("cases/conformance.json"));
}

#[test]
fn classes_decide_who_serves_an_ingress() {
    check(include_str!("cases/classes.json"));
}

#[test]
fn manifests_as_found_in_tutorials() {
    check(include_str!("cases/documents.json"));
}

#[test]
fn nginx_servers_and_locations() {
    check(include_str!("cases/nginx-paths.json"));
}

#[test]
fn nginx_annotations() {
    check(include_str!("cases/nginx-annotations.json"));
}

#[test]
fn what_is_not_modelled_is_said_and_not_guessed() {
    let world = |annotation: &str, value: &str| {
        let case = serde_json::json!({"world": [
            {"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}},
            {"kind": "Pod", "metadata": {"name": "web-0", "labels": {"app": "web"}}, "status": {
                "phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}],
            }},
            {"kind": "Ingress", "metadata": {
                "name": "web", "annotations": {format!("nginx.ingress.kubernetes.io/{annotation}"): value},
            }, "spec": {"rules": [{"host": "a.example", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
            ]}}]}},
        ]});
        crate::harness::world(&case)
    };
    let ask = serde_json::json!({"url": "http://a.example/x", "to": "IngressClass/nginx"});
    for (annotation, value) in [
        ("whitelist-source-range", "10.0.0.0/8"),
        ("denylist-source-range", "10.0.0.0/8"),
        ("custom-headers", "default/map"),
        ("upstream-vhost", "b.example"),
        ("enable-cors", "true"),
        ("rewrite-target", "/$host/x"),
    ] {
        let answer = answer(&world(annotation, value), &ask);
        assert_eq!(answer["unmodelled"], annotation, "{answer}");
    }
    for (annotation, value) in [("enable-cors", "false"), ("backend-protocol", "GRPC"), ("load-balance", "ewma")] {
        assert_eq!(answer(&world(annotation, value), &ask)["backends"][0]["port"], 80, "{annotation}");
    }
}
