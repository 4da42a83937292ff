//! ingress-nginx beyond the shared cases: dropped Ingresses, certificates, reasons, flags.

use serde_json::{Value, json};

use route_match::ingress::{Dialect, HttpQuestion, IngressController, Scheme, served, service_backend};

use crate::harness::answer;
use crate::harness::nginx::{ask, cluster, ingress};

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
fn tls_is_passed_on_by_its_server_name_whatever_host_the_request_asks_for() {
    let passed = ingress("passed", json!({"ssl-passthrough": "true"}), "p.example", &[("Prefix", "/")]);
    let ended = ingress("ended", json!({}), "e.example", &[("Prefix", "/")]);
    let flag = json!({"containers": [{"args": ["/nginx-ingress-controller", "--enable-ssl-passthrough"]}]});
    let pod = json!({"kind": "Pod", "metadata": {"name": "c", "namespace": "default"}, "spec": flag});
    let cluster = cluster([passed, ended, pod]);
    let controller = IngressController::compile(&cluster, "nginx").unwrap();
    let route = |name: Option<&str>, host: &str, scheme: Scheme| {
        let name = name.map(|name| name.parse().unwrap());
        let decision = controller.decide_over(&HttpQuestion::new(scheme, host, "/x"), name.as_ref());
        (decision.route.map(|route| route.name.to_string()), decision.to_string().contains("undecrypted"))
    };
    let is = |name: &str, passed: bool| (Some(name.to_owned()), passed);
    assert_eq!(route(Some("p.example"), "e.example", Scheme::Https), is("passed", true));
    assert_eq!(route(Some("p.example"), "a..b", Scheme::Https), is("passed", true));
    assert_eq!(route(Some("e.example"), "p.example", Scheme::Https), is("passed", false));
    assert_eq!(route(None, "p.example", Scheme::Https), is("passed", false));
    assert_eq!(route(Some("p.example"), "e.example", Scheme::Http), is("ended", false));
    let same = controller.decide(&HttpQuestion::new(Scheme::Https, "P.example.", "/x"));
    assert!(same.to_string().contains("undecrypted"), "{same}");
}

#[test]
fn the_scheme_of_a_redirect_has_no_case_and_is_one_of_http() {
    for (url, redirects) in [("HTTPS://b.example/x", true), ("ftp://b.example/x", false), ("http", false)] {
        let redirect = json!({"permanent-redirect": url});
        let cluster = cluster([ingress("i", redirect, "a.example", &[("Prefix", "/")])]);
        assert_eq!(ask(&cluster, "http://a.example/")["redirect"]["location"] == url, redirects, "{url}");
    }
}

#[test]
fn cve_2021_25745_a_path_that_is_configuration_is_left_out() {
    let paths = [("Prefix", "/x/ { alias /var/run/secrets/; } #"), ("Exact", "/a\nb"), ("Prefix", "/ok")];
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
    assert_eq!(ask(&cluster, "http://a.tls.example/x")["redirect"]["location"], "https://a.tls.example/x");
    assert_eq!(ask(&cluster, "http://bare.example/x")["route"], "Ingress/default/bare");
}

#[test]
fn a_host_or_alias_has_a_certificate_when_any_tls_section_lists_it_or_a_wildcard_for_it() {
    let aliases = json!({"server-alias": "two.example,three.example"});
    let mut site = ingress("site", aliases, "x.a.example", &[("Prefix", "/")]);
    let http = site["spec"]["rules"][0]["http"].clone();
    site["spec"]["rules"].as_array_mut().unwrap().extend([
        json!({"host": "y.x.a.example", "http": http}),
        json!({"host": "*.wild.example", "http": http}),
        json!({"http": http}),
    ]);
    // Another Ingress of the same controller, in another namespace and without rules for these hosts.
    let mut lists = ingress("lists", json!({}), "other.example", &[("Prefix", "/")]);
    lists["metadata"]["namespace"] = json!("elsewhere");
    lists["spec"]["tls"] = json!([{"hosts": ["*.a.example", "Two.example"]}, {"hosts": ["one.wild.example", "nobody.example"]}, {"secretName": "s"}]);
    let cluster = cluster([site, lists]);
    for (host, redirected) in [
        ("x.a.example", true),
        ("y.x.a.example", false),
        ("two.example", true),
        ("three.example", false),
        ("one.wild.example", true),
        ("two.wild.example", false),
        ("nobody.example", false),
        ("other.example", false),
    ] {
        let answer = ask(&cluster, &format!("http://{host}/p"));
        assert_eq!(answer["redirect"]["code"] == 308, redirected, "{host}: {answer}");
        assert!(ask(&cluster, &format!("https://{host}/p"))["redirect"].is_null(), "{host}");
    }
}

#[test]
fn the_reason_of_a_redirect_to_https_names_an_annotation_only_where_one_is_written() {
    let reason = |annotations: Value| {
        let mut one = ingress("i", annotations, "a.example", &[("Prefix", "/")]);
        one["spec"]["tls"] = json!([{"hosts": ["a.example"]}]);
        let controller = IngressController::compile(&cluster([one]), "nginx").unwrap();
        let question = HttpQuestion::new(Scheme::Http, "a.example", "/x");
        controller.decide(&question).reason.to_string()
    };
    assert_eq!(
        reason(json!({})),
        "host a.example, path prefix /, the host has a certificate, so plain HTTP is redirected \
         (ssl-redirect is on unless an annotation turns it off)"
    );
    assert_eq!(
        reason(json!({"force-ssl-redirect": "true"})),
        "host a.example, path prefix /, annotation force-ssl-redirect"
    );
    assert_eq!(
        reason(json!({"ssl-redirect": "false"})),
        "host a.example, path prefix /, the most specific rule that matches"
    );
}

#[test]
fn of_alternatives_without_a_group_only_the_first_is_held_to_the_start() {
    let regex = |name: &str, path: &str| {
        ingress(name, json!({"use-regex": "true"}), "a.example", &[("ImplementationSpecific", path)])
    };
    let cluster = cluster([regex("s", "/a|/b"), regex("t", "/x")]);
    for (path, route) in [
        ("/a/1", "Ingress/default/s"),
        ("/q/b", "Ingress/default/s"),
        ("/x/b", "Ingress/default/s"),
        ("/x/c", "Ingress/default/t"),
    ] {
        assert_eq!(ask(&cluster, &format!("http://a.example{path}"))["route"], route, "{path}");
    }
    assert_eq!(ask(&cluster, "http://a.example/q/a")["status"], 404);
}

#[test]
fn ssl_passthrough_is_asked_of_the_ingress_that_creates_the_server_and_holds_for_its_very_host() {
    let passthrough = json!({"ssl-passthrough": "true", "server-alias": "alias.example"});
    // Of equal age the greater name goes first.
    let first = |name: &str, annotations: &Value| ingress(name, annotations.clone(), "a.example", &[("Prefix", "/")]);
    let controller = json!({"kind": "Pod", "metadata": {"name": "c", "namespace": "edge"}, "spec": {
        "containers": [{"args": ["/nginx-ingress-controller", "--enable-ssl-passthrough"]}],
    }});
    let wild = ingress("w", passthrough.clone(), "*.w.example", &[("Prefix", "/")]);
    let nowhere = ingress("n", passthrough.clone(), "nowhere.example", &[("Prefix", "/x")]);
    let unasked = cluster([controller.clone(), first("a", &passthrough), first("b", &json!({}))]);
    assert_eq!(ask(&unasked, "https://a.example/")["route"], "Ingress/default/b");
    let asked = cluster([controller, first("b", &passthrough), first("a", &json!({})), wild, nowhere]);
    let passed = ask(&asked, "https://a.example/any/path");
    assert_eq!(
        (&passed["route"], &passed["backends"][0]["ref"]),
        (&json!("Ingress/default/b"), &json!("Service/default/web"))
    );
    assert!(passed["reason"].as_str().unwrap().ends_with("(ssl-passthrough)"), "{passed}");
    assert_eq!(ask(&asked, "http://a.example/")["route"], "Ingress/default/b");
    assert_eq!(ask(&asked, "https://alias.example/")["route"], "Ingress/default/b");
    assert_eq!(ask(&asked, "https://x.w.example/")["route"], "Ingress/default/w");
    assert_eq!(ask(&asked, "https://nowhere.example/x")["route"], "Ingress/default/n");
}

#[test]
fn a_backend_port_is_found_by_number_name_and_target_port_with_or_without_endpoints() {
    let service = json!({"kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [
        {"name": "http", "port": 80, "targetPort": 8080}, {"name": "alt", "port": 81, "targetPort": "web"},
    ]}});
    let cluster = cluster([service]);
    let port = |dialect, port: Value| {
        let backend = serde_json::from_value(json!({"service": {"name": "s", "port": port}})).unwrap();
        let found = service_backend(&cluster, dialect, "default", &backend).expect("a Service");
        found.map(|found| found.port).map_err(|why| why.to_string())
    };
    for (wanted, nginx, plain) in [
        (json!({"number": 80}), Some(80), Some(80)),
        (json!({"number": 8080}), Some(80), None),
        (json!({"name": "alt"}), Some(81), Some(81)),
        (json!({"name": "web"}), Some(81), None),
        (json!({"number": 7777}), None, None),
    ] {
        assert_eq!(port(Dialect::Nginx, wanted.clone()).ok(), nginx, "{wanted}");
        assert_eq!(port(Dialect::Plain, wanted.clone()).ok(), plain, "{wanted}");
    }
    assert_eq!(port(Dialect::Nginx, json!({"number": 7777})).unwrap_err(), "Service/default/s has no port 7777");
}

#[test]
fn the_endpoints_of_a_service_are_read_once_however_many_paths_lead_to_it() {
    let endpoints: Vec<Value> =
        (0..250).map(|i| json!({"addresses": [format!("10.1.0.{i}")], "conditions": {"ready": false}})).collect();
    let slice = json!({"kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": endpoints,
        "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": "web"}}});
    let bytes = |count: usize| {
        let texts: Vec<String> = (0..count).map(|i| format!("/p{i}")).collect();
        let paths: Vec<(&str, &str)> = texts.iter().map(|path| ("Prefix", path.as_str())).collect();
        let cluster = cluster([slice.clone(), ingress("i", json!({}), "a.example", &paths)]);
        allocation_counter::measure(|| drop(IngressController::compile(&cluster, "nginx"))).bytes_total
    };
    let (few, many) = (bytes(10), bytes(110));
    // Read for every path, 250 endpoints would take more than 20 kB each time.
    assert!((many - few) / 100 < 4_000, "{few} bytes for 10 paths, {many} for 110");
}

#[test]
fn a_trailing_slash_redirect_gives_way_to_whoever_claims_the_path() {
    let paths = [("Prefix", "/a"), ("Prefix", "/a/"), ("Exact", "/b/"), ("Exact", "/b")];
    let cluster = cluster([ingress("i", json!({}), "a.example", &paths)]);
    for url in ["http://a.example/a", "http://a.example/b", "http://a.example/a/x"] {
        assert_eq!(ask(&cluster, url)["route"], "Ingress/default/i", "{url}");
        assert!(ask(&cluster, url)["redirect"].is_null(), "{url}");
    }
    let other = crate::harness::nginx::cluster([ingress("i", json!({}), "a.example", &[("Prefix", "/c/")])]);
    assert_eq!(ask(&other, "https://A.Example.:8443/c?x=1")["redirect"]["location"], "https://a.example/c/?x=1");
}

#[test]
fn rewritten_paths_are_escaped_as_nginx_sends_them() {
    let rewrite = json!({"use-regex": "true", "rewrite-target": "/$1"});
    let cluster = cluster([ingress("i", rewrite, "a.example", &[("ImplementationSpecific", "/app/(.*)")])]);
    assert_eq!(ask(&cluster, "http://a.example/app/a%20b%3Fc%2525%ff")["rewrite"]["path"], "/a%20b%3Fc%2525%FF");
}

#[test]
fn paths_that_nginx_refuses_are_400() {
    let cluster = cluster([ingress("i", json!({}), "a.example", &[("Prefix", "/")])]);
    for path in ["/%00", "/%zz", "/../x"] {
        assert_eq!(ask(&cluster, &format!("http://a.example{path}"))["status"], 400, "{path}");
    }
}

#[test]
fn cve_2021_32783_an_external_name_may_not_lead_back_to_the_controller() {
    for (external, status) in [("origin.example", Value::Null), ("localhost", json!(503)), ("127.0.0.1", json!(503))] {
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
    let cluster =
        cluster([ingress("i", json!({}), "a.example", &[("Prefix", "/"), ("Prefix", "/x"), ("Exact", "/x")])]);
    let controller = IngressController::compile(&cluster, "nginx").unwrap();
    let question = HttpQuestion::new(Scheme::Http, "a.example", "/x");
    let decision = controller.decide(&question);
    assert_eq!(
        decision.to_string(),
        "Ingress/default/i rule 0: host a.example, path exact /x, the most specific rule that matches"
    );
    let candidates: Vec<_> = controller.candidates(&question).iter().map(ToString::to_string).collect();
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
