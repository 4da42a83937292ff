//! ingress-nginx beyond the shared cases: dropped Ingresses, certificates, reasons, flags.

use serde_json::{Value, json};
use svc_model::Cluster;

use route_match::ingress::{HttpQuestion, IngressController, Scheme, served};

use crate::harness::{answer, world};

fn service(name: &str) -> [Value; 2] {
    [
        json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}}}),
        json!({"kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "status": {
            "phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}],
        }}),
    ]
}

fn ingress(name: &str, annotations: Value, host: &str, paths: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<String, Value> = annotations
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), value.clone()))
        .collect();
    let paths: Vec<Value> = paths
        .iter()
        .map(|(path_type, path)| {
            json!({"path": path, "pathType": path_type, "backend": {"service": {"name": "web", "port": {"number": 80}}}})
        })
        .collect();
    json!({"kind": "Ingress", "metadata": {"name": name, "annotations": annotations},
        "spec": {"rules": [{"host": host, "http": {"paths": paths}}]}})
}

fn cluster(objects: impl IntoIterator<Item = Value>) -> Cluster {
    let objects: Vec<Value> = service("web").into_iter().chain(objects).collect();
    world(&json!({ "world": objects }))
}

fn ask(cluster: &Cluster, url: &str) -> Value {
    answer(cluster, &json!({"url": url, "to": "IngressClass/nginx"}))
}

#[test]
fn cve_2023_5044_a_redirect_that_is_no_url_drops_the_whole_ingress() {
    let bad = json!({"permanent-redirect": "https://a.example/; } location /x {"});
    let cluster = cluster([
        ingress("bad", bad, "bad.example", &[("Prefix", "/")]),
        ingress("good", json!({}), "good.example", &[("Prefix", "/")]),
    ]);
    assert_eq!(ask(&cluster, "http://bad.example/")["status"], 404);
    assert_eq!(ask(&cluster, "http://good.example/")["route"], "Ingress/default/good");
    let served = served(&cluster, "nginx").unwrap();
    assert_eq!((served.ingresses.len(), served.dropped.len()), (1, 1));
}

#[test]
fn cve_2021_25745_a_path_that_is_configuration_is_left_out() {
    let paths = [
        ("Prefix", "/x/ { alias /var/run/secrets/; } #"),
        ("Exact", "/a\nb"),
        ("Prefix", "/ok"),
    ];
    let cluster = cluster([ingress("i", json!({}), "a.example", &paths)]);
    assert_eq!(ask(&cluster, "http://a.example/x/")["status"], 404);
    assert_eq!(ask(&cluster, "http://a.example/ok")["route"], "Ingress/default/i");
}

#[test]
fn a_wildcards_certificate_redirects_its_hosts_and_a_nameless_entry_none() {
    let mut wild = ingress("wild", json!({}), "*.tls.example", &[("Prefix", "/")]);
    wild["spec"]["tls"] = json!([{"hosts": ["*.tls.example"]}]);
    let mut bare = ingress("bare", json!({}), "bare.example", &[("Prefix", "/")]);
    bare["spec"]["tls"] = json!([{"hosts": [""]}]);
    let cluster = cluster([wild, bare]);
    assert_eq!(
        ask(&cluster, "http://a.tls.example/x")["redirect"]["location"],
        "https://a.tls.example/x"
    );
    assert_eq!(ask(&cluster, "http://bare.example/x")["route"], "Ingress/default/bare");
}

#[test]
fn a_trailing_slash_redirect_gives_way_to_whoever_claims_the_path() {
    let paths = [("Prefix", "/a"), ("Prefix", "/a/"), ("Exact", "/b/"), ("Exact", "/b")];
    let cluster = cluster([ingress("i", json!({}), "a.example", &paths)]);
    for url in ["http://a.example/a", "http://a.example/b", "http://a.example/a/x"] {
        assert_eq!(ask(&cluster, url)["route"], "Ingress/default/i", "{url}");
        assert!(ask(&cluster, url)["redirect"].is_null(), "{url}");
    }
    let other = self::cluster([ingress("i", json!({}), "a.example", &[("Prefix", "/c/")])]);
    assert_eq!(
        ask(&other, "https://A.Example.:8443/c?x=1")["redirect"]["location"],
        "https://a.example/c/?x=1"
    );
}

#[test]
fn rewritten_paths_are_escaped_as_nginx_sends_them() {
    let rewrite = json!({"use-regex": "true", "rewrite-target": "/$1"});
    let cluster = cluster([ingress(
        "i",
        rewrite,
        "a.example",
        &[("ImplementationSpecific", "/app/(.*)")],
    )]);
    assert_eq!(
        ask(&cluster, "http://a.example/app/a%20b%3Fc%2525%ff")["rewrite"]["path"],
        "/a%20b%3Fc%2525%FF"
    );
}

#[test]
fn paths_that_nginx_refuses_are_400() {
    let cluster = cluster([ingress("i", json!({}), "a.example", &[("Prefix", "/")])]);
    for path in ["/%00", "/%zz", "/../x"] {
        assert_eq!(
            ask(&cluster, &format!("http://a.example{path}"))["status"],
            400,
            "{path}"
        );
    }
}

#[test]
fn cve_2021_32783_an_external_name_may_not_lead_back_to_the_controller() {
    for (external, status) in [
        ("origin.example", Value::Null),
        ("localhost", json!(503)),
        ("127.0.0.1", json!(503)),
    ] {
        let external = json!({"kind": "Service", "metadata": {"name": "web"},
            "spec": {"type": "ExternalName", "externalName": external}});
        let cluster = cluster([external, ingress("i", json!({}), "a.example", &[("Prefix", "/")])]);
        assert_eq!(ask(&cluster, "http://a.example/")["status"], status);
    }
}

#[test]
fn forwarded_schemes_count_only_when_the_controllers_settings_say_so() {
    let force = json!({"force-ssl-redirect": "true"});
    let objects = |setting: &str| {
        cluster([
            json!({"kind": "Deployment", "metadata": {"name": "c", "namespace": "edge"}, "spec": {"template": {"spec": {
                "containers": [{"args": ["/nginx-ingress-controller", "--configmap=edge/conf"]}],
            }}}}),
            json!({"kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "edge"},
                "data": {"use-forwarded-headers": setting}}),
            ingress("i", force.clone(), "a.example", &[("Prefix", "/")]),
        ])
    };
    let ask =
        json!({"url": "http://a.example/", "headers": {"X-Forwarded-Proto": "https"}, "to": "IngressClass/nginx"});
    assert_eq!(answer(&objects("false"), &ask)["redirect"]["code"], 308);
    assert_eq!(answer(&objects("true"), &ask)["route"], "Ingress/default/i");
}

#[test]
fn a_decision_tells_why_and_what_it_was_preferred_to() {
    let cluster = cluster([ingress(
        "i",
        json!({}),
        "a.example",
        &[("Prefix", "/"), ("Prefix", "/x"), ("Exact", "/x")],
    )]);
    let controller = IngressController::compile(&cluster, "nginx").unwrap();
    let question = HttpQuestion::new(Scheme::Http, "a.example", "/x");
    let decision = controller.decide(&question);
    assert_eq!(
        decision.to_string(),
        "Ingress/default/i rule 0: host a.example, path exact /x, the most specific rule that matches"
    );
    let candidates: Vec<_> = controller
        .candidates(&question)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        candidates,
        [
            "Ingress/default/i rule 0 (host a.example, path exact /x)",
            "Ingress/default/i rule 0 (host a.example, path prefix /x)",
            "Ingress/default/i rule 0 (host a.example, path prefix /)",
        ]
    );
}

#[test]
fn an_unknown_class_is_an_error_that_names_the_known_ones() {
    let class =
        json!({"kind": "IngressClass", "metadata": {"name": "edge"}, "spec": {"controller": "example.com/edge"}});
    let error = IngressController::compile(&cluster([class]), "egde").unwrap_err();
    assert_eq!(error.to_string(), "no ingress class \"egde\"; there is edge");
}
