//! The annotations of ingress-nginx beyond the shared cases, each where its rule has a corner.

use serde_json::{Value, json};
use svc_model::Cluster;

use route_match::ingress::{AffinityMode, Balancing, HttpQuestion, IngressController, Outcome, Scheme};

use crate::harness::nginx::{ask, ask_with, cluster, controller, ingress, service};

/// One Ingress with these annotations for `/` of a.example.
fn one(annotations: Value) -> Cluster {
    cluster([ingress("i", annotations, "a.example", &[("Prefix", "/")])])
}

/// The main Ingress of a.example, and canaries of it by name: their annotations, and the Service they lead to.
fn canaries(main: Value, canaries: &[(&str, Value, &str)]) -> Cluster {
    let main = ingress("zz-main", main, "a.example", &[("Prefix", "/"), ("Exact", "/x")]);
    let canaries = canaries.iter().flat_map(|(name, annotations, to)| {
        let mut annotations = annotations.clone();
        annotations["canary"] = json!("true");
        let mut canary = ingress(name, annotations, "a.example", &[("Prefix", "/")]);
        canary["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!(to);
        let services = if *to == "web" || *to == "gone" { vec![] } else { service(to).to_vec() };
        services.into_iter().chain([canary])
    });
    cluster([main].into_iter().chain(canaries))
}

/// The Services that share requests, with their parts.
fn shares(answer: &Value) -> Vec<(String, f64)> {
    let backends = answer["backends"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let name = |backend: &Value| backend["ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    backends.iter().map(|backend| (name(backend), backend["p"].as_f64().unwrap())).collect()
}

#[track_caller]
fn is_shared(cluster: &Cluster, more: Value, expected: &[(&str, f64)]) {
    let expected: Vec<_> = expected.iter().map(|(name, p)| ((*name).to_owned(), *p)).collect();
    assert_eq!(shares(&ask_with(cluster, "http://a.example/y", more)), expected);
}

#[test]
fn a_header_of_the_canary_goes_before_its_cookie_and_both_before_its_weight() {
    let by_all = json!({"canary-by-header": "X-C", "canary-by-cookie": "c", "canary-weight": "30"});
    let cluster = canaries(json!({}), &[("c", by_all, "beta")]);
    let (beta, main) = (&[("beta", 1.0)][..], &[("web", 1.0)][..]);
    is_shared(&cluster, json!({"headers": {"x-c": "always", "cookie": "c=never"}}), beta);
    is_shared(&cluster, json!({"headers": {"x-c": "never", "cookie": "c=always"}}), main);
    is_shared(&cluster, json!({"headers": {"x-c": "Always", "cookie": "c=always"}}), beta);
    is_shared(&cluster, json!({"headers": {"cookie": "C=never"}}), main);
    is_shared(&cluster, json!({"headers": {"cookie": "c=maybe"}}), &[("web", 0.7), ("beta", 0.3)]);
    let answer = ask(&cluster, "http://a.example/y");
    assert!(
        answer["reason"].as_str().unwrap().ends_with("; canary Ingress/default/c: its weight decides, 30 of 100"),
        "{answer}"
    );
    // The other path of the main Ingress has no canary.
    assert_eq!(shares(&ask(&cluster, "http://a.example/x")), [("web".to_owned(), 1.0)]);
}

#[test]
fn a_value_or_pattern_of_the_canary_takes_the_words_always_and_never_their_meaning() {
    let by = |more: Value| {
        let mut annotations = json!({"canary-by-header": "x_c"});
        annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        canaries(json!({}), &[("c", annotations, "beta")])
    };
    let header = |value: &str| json!({"headers": {"x-c": value}});
    let (beta, main) = (&[("beta", 1.0)][..], &[("web", 1.0)][..]);
    // nginx knows headers as variables, so that `_` names the header with `-`.
    is_shared(&by(json!({})), header("always"), beta);
    let pattern = by(json!({"canary-by-header-pattern": "v[0-9]", "canary-weight": "100"}));
    is_shared(&pattern, header("a-v2-b"), beta);
    is_shared(&pattern, header("never"), beta);
    // While the header is there, an unreadable pattern means the main backend.
    let unreadable = by(json!({"canary-by-header-pattern": "(?=a)", "canary-weight": "100"}));
    is_shared(&unreadable, header("a"), main);
    is_shared(&unreadable, json!({}), beta);
    let value = by(json!({"canary-by-header-value": "go", "canary-by-header-pattern": "v[0-9]"}));
    is_shared(&value, header("go"), beta);
    is_shared(&value, header("v2"), main);
    is_shared(&value, header("always"), main);
}

#[test]
fn the_weight_of_a_canary_is_bounded_by_its_total_which_is_at_least_a_hundred() {
    for (annotations, part) in [
        (json!({"canary-weight": "20", "canary-weight-total": "50"}), 0.2),
        (json!({"canary-weight": "50", "canary-weight-total": "200"}), 0.25),
        (json!({"canary-weight": "1000"}), 1.0),
        (json!({"canary-weight": "-1"}), 0.0),
        (json!({"canary-weight": "half"}), 0.0),
        (json!({"canary-weight": "10", "canary-weight-total": "-5"}), 0.1),
        (json!({"canary-weight": "99999999999", "canary-weight-total": "99999999999"}), 1.0),
    ] {
        let expected: Vec<_> = [("web", 1.0 - part), ("beta", part)].into_iter().filter(|(_, p)| *p > 0.0).collect();
        is_shared(&canaries(json!({}), &[("c", annotations, "beta")]), json!({}), &expected);
    }
}

#[test]
fn only_the_first_canary_that_is_another_service_counts() {
    let all = || json!({"canary-weight": "100"});
    // Of equal age the greater name goes first.
    let two = canaries(json!({}), &[("b", all(), "beta"), ("a", all(), "gamma")]);
    is_shared(&two, json!({}), &[("beta", 1.0)]);
    let void_first = canaries(json!({}), &[("b", all(), "web"), ("a", all(), "gamma")]);
    is_shared(&void_first, json!({}), &[("gamma", 1.0)]);
    let dead_first = canaries(json!({}), &[("b", all(), "gone"), ("a", all(), "gamma")]);
    is_shared(&dead_first, json!({}), &[("web", 1.0)]);
    let reason = ask(&dead_first, "http://a.example/y")["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("Service/default/gone does not exist, so all stay with the main backend"), "{reason}");
}

#[test]
fn a_canary_joins_the_default_backend_of_its_host_but_not_that_of_the_controller() {
    let mut main = ingress("main", json!({}), "a.example", &[("Prefix", "/x")]);
    let mut canary = ingress("c", json!({"canary": "true", "canary-weight": "100"}), "a.example", &[("Prefix", "/")]);
    canary["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("beta");
    let objects = |main: &Value| service("beta").into_iter().chain([main.clone(), canary.clone()]).collect::<Vec<_>>();
    assert_eq!(ask(&cluster(objects(&main)), "http://a.example/y")["status"], 404);
    main["spec"]["defaultBackend"] = json!({"service": {"name": "web", "port": {"number": 80}}});
    is_shared(&cluster(objects(&main)), json!({}), &[("beta", 1.0)]);

    // The default backend of a canary joins the catch-all.
    let catch_all = json!({"kind": "Ingress", "metadata": {"name": "all"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    let key = |key: &str| format!("nginx.ingress.kubernetes.io/{key}");
    let canary = json!({"kind": "Ingress",
        "metadata": {"name": "c", "annotations": {key("canary"): "true", key("canary-by-header"): "x-c"}},
        "spec": {"defaultBackend": {"service": {"name": "beta", "port": {"number": 80}}}}});
    let world = cluster(service("beta").into_iter().chain([catch_all, canary]));
    let always = json!({"headers": {"x-c": "always"}});
    assert_eq!(shares(&ask_with(&world, "http://nobody.example/", always)), [("beta".to_owned(), 1.0)]);
    assert_eq!(shares(&ask(&world, "http://nobody.example/")), [("web".to_owned(), 1.0)]);
}

#[test]
fn cors_headers_stand_on_every_response_of_a_location_and_any_options_is_a_preflight() {
    let cors = json!({"enable-cors": "true", "cors-allow-origin": "https://a.example, https://*.b.example,null",
        "cors-allow-credentials": "false", "cors-expose-headers": "X-A", "permanent-redirect": "https://c.example"});
    let world = one(cors);
    for (origin, allowed) in [
        ("https://a.example", true),
        ("HTTPS://A.example", true),
        ("https://x.b.example", true),
        ("https://x.y.b.example", false),
        ("https://b.example", false),
        ("https://aXexample", false),
        ("https://a.example:8443", false),
        ("null", true),
    ] {
        let answer = ask_with(&world, "http://a.example/", json!({"headers": {"origin": origin}}));
        assert_eq!(answer["redirect"]["code"], 301);
        let set = &answer["responseHeaders"]["set"];
        let expected = if allowed { json!(origin) } else { Value::Null };
        assert_eq!(set["access-control-allow-origin"], expected, "{origin}");
        assert_eq!(set["access-control-expose-headers"] == "X-A", allowed);
        assert!(set["access-control-allow-credentials"].is_null());
        let options =
            ask_with(&world, "http://a.example/", json!({"method": "OPTIONS", "headers": {"origin": origin}}));
        assert_eq!(options["status"] == 204, allowed, "{origin}");
        assert_eq!(options["responseHeaders"]["set"]["content-length"] == "0", allowed);
    }
    // Where any origin is allowed, a request needs none.
    let any = one(json!({"enable-cors": "true", "cors-allow-origin": "https://a.example,*"}));
    assert_eq!(ask_with(&any, "http://a.example/", json!({"method": "OPTIONS"}))["status"], 204);
    assert_eq!(ask(&any, "http://a.example/")["responseHeaders"]["set"]["access-control-allow-origin"], "*");
    // What cannot be read falls back to the defaults, an origin without scheme is skipped.
    let bad = one(json!({"enable-cors": "true", "cors-allow-methods": "GET;", "cors-allow-origin": "https://$pid"}));
    let set = ask(&bad, "http://a.example/")["responseHeaders"]["set"].clone();
    assert_eq!(set["access-control-allow-methods"], "GET, PUT, POST, DELETE, PATCH, OPTIONS");
    let none = one(json!({"enable-cors": "true", "cors-allow-origin": "a.example"}));
    let origin = json!({"headers": {"origin": "https://a.example"}});
    assert_eq!(ask_with(&none, "http://a.example/", origin)["responseHeaders"]["set"], json!({}));
}

#[test]
fn access_lists_are_asked_after_redirects_and_endpoints_and_before_all_else() {
    let lists = json!({"denylist-source-range": "10.0.0.1", "allowlist-source-range": " 10.0.0.0/24,2001:db8::/32"});
    let world = one(lists.clone());
    for (src, status) in [
        ("10.0.0.1", json!(403)),
        ("::ffff:10.0.0.1", json!(403)),
        ("10.0.0.2", Value::Null),
        ("10.0.1.2", json!(403)),
        ("2001:db8::5", Value::Null),
    ] {
        assert_eq!(ask_with(&world, "http://a.example/", json!({"src": src}))["status"], status, "{src}");
    }
    assert_eq!(ask(&world, "http://a.example/")["needsClient"], "allowlist-source-range");
    let outside = json!({"src": "192.0.2.1"});
    let mut forced = lists.clone();
    forced["force-ssl-redirect"] = json!("true");
    assert_eq!(ask_with(&one(forced), "http://a.example/", outside.clone())["redirect"]["code"], 308);
    // The implicit `/` is the same Ingress's.
    let implicit = cluster([ingress("i", lists, "a.example", &[("Prefix", "/x")])]);
    assert_eq!(ask_with(&implicit, "http://a.example/y", outside.clone())["status"], 403);
    assert_eq!(ask_with(&implicit, "http://a.example/y", json!({"src": "10.0.0.2"}))["status"], 404);
    for bad in ["whitelist-source-range", "denylist-source-range"] {
        let denied = one(json!({bad: "10.0.0.0/8,nowhere", "permanent-redirect": "https://b.example"}));
        assert_eq!(ask_with(&denied, "http://a.example/", json!({"src": "10.0.0.2"}))["status"], 503, "{bad}");
    }
    // The newer name goes before the older.
    let both = one(json!({"whitelist-source-range": "192.0.2.0/24", "allowlist-source-range": "10.0.0.0/8"}));
    assert_eq!(ask_with(&both, "http://a.example/", outside)["status"], 403);
}

#[test]
fn custom_headers_are_what_the_controller_allows_or_deny_the_location() {
    let map = |name: &str, data: Value| json!({"kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    let maps = || {
        [
            map("good", json!({"X-Team": "blue; \"1\""})),
            map("other-case", json!({"x-team": "blue"})),
            map("break", json!({"X-Team": "a\r\nb: c"})),
            map("name", json!({"X Team": "a"})),
        ]
    };
    let settings = || controller(&[], json!({"global-allowed-response-headers": "X-Team, X Team"}));
    for (name, works) in [
        ("default/good", true),
        ("default/other-case", false),
        ("default/break", false),
        ("default/name", false),
        ("default/none", false),
        ("good", false),
        ("default/good;", false),
    ] {
        let ingress = ingress("i", json!({"custom-headers": name}), "a.example", &[("Prefix", "/")]);
        let answer = ask(&cluster(settings().into_iter().chain(maps()).chain([ingress])), "http://a.example/");
        if works {
            assert_eq!(answer["responseHeaders"]["set"], json!({"x-team": "blue; \"1\""}), "{name}");
        } else {
            assert_eq!(answer["status"], 503, "{name}");
            assert_eq!(answer["responseHeaders"]["set"], json!({}), "{name}");
        }
    }
}

#[test]
fn the_backend_sees_the_host_and_prefix_that_annotations_give() {
    let vhost = one(json!({"upstream-vhost": "api.$host"}));
    assert_eq!(ask(&vhost, "http://A.example:8080/x")["rewrite"]["host"], "api.a.example");
    let rewrite = json!({"rewrite-target": "/$2", "use-regex": "true", "x-forwarded-prefix": "/$1"});
    let regex =
        |annotations| cluster([ingress("i", annotations, "a.example", &[("ImplementationSpecific", "/(app)/(.*)")])]);
    let answer = ask(&regex(rewrite), "http://a.example/app/b%0Dc");
    assert_eq!(answer["rewrite"]["path"], "/b%0Dc");
    assert_eq!(answer["requestHeaders"]["set"], json!({"x-forwarded-prefix": "/app"}));
    // Without a rewrite there is no prefix.
    let none = one(json!({"x-forwarded-prefix": "/app"}));
    assert_eq!(ask(&none, "http://a.example/x")["requestHeaders"]["set"], json!({}));
    // A group of the path that no header can hold leaves the header out.
    let hostile = json!({"rewrite-target": "/", "use-regex": "true", "x-forwarded-prefix": "/$2"});
    assert_eq!(ask(&regex(hostile), "http://a.example/app/b%0Dc")["requestHeaders"]["set"], json!({}));
}

#[test]
fn a_rewrite_to_an_absolute_url_is_a_redirect_before_that_to_https() {
    let rewrite = |target: &str| {
        let annotations = json!({"rewrite-target": target, "use-regex": "true", "force-ssl-redirect": "true"});
        cluster([ingress("i", annotations, "a.example", &[("ImplementationSpecific", "/app/(.*)")])])
    };
    for (target, location) in [
        ("https://b.example/$1", "https://b.example/x%20y/%25?q=1"),
        ("$scheme://$host:8443/$1", "http://a.example:8443/x%20y/%25?q=1"),
    ] {
        let answer = ask(&rewrite(target), "http://a.example/app/x%20y/%25?q=1");
        assert_eq!(answer["redirect"], json!({"code": 302, "location": location}), "{target}");
    }
    assert_eq!(ask(&rewrite("/$1"), "http://a.example/app/x")["redirect"]["code"], 308);
}

#[test]
fn an_unknown_variable_makes_the_answer_unknown_and_not_a_guess() {
    for annotation in ["rewrite-target", "upstream-vhost", "app-root"] {
        let answer = ask(&one(json!({annotation: "/$request_id"})), "http://a.example/x");
        assert_eq!(answer["unmodelled"], annotation, "{answer}");
    }
}

#[test]
fn settings_of_the_controller_hold_where_annotations_say_nothing() {
    let world = |settings: Value, annotations: Value| {
        let mut ingress = ingress("i", annotations, "a.example", &[("Prefix", "/")]);
        ingress["spec"]["tls"] = json!([{"hosts": ["a.example"]}]);
        cluster(controller(&[], settings).into_iter().chain([ingress]))
    };
    let redirected =
        |settings, annotations| ask(&world(settings, annotations), "http://a.example/x/")["redirect"].clone();
    assert_eq!(redirected(json!({}), json!({}))["code"], 308);
    assert_eq!(redirected(json!({"ssl-redirect": "false"}), json!({})), Value::Null);
    assert_eq!(redirected(json!({"ssl-redirect": "false"}), json!({"ssl-redirect": "true"}))["code"], 308);
    let settings = json!({"http-redirect-code": "301", "preserve-trailing-slash": "true"});
    assert_eq!(redirected(settings, json!({})), json!({"code": 301, "location": "https://a.example/x/"}));
    assert_eq!(redirected(json!({"http-redirect-code": "200"}), json!({}))["code"], 308);
    let listed = world(json!({"whitelist-source-range": "10.0.0.0/8"}), json!({}));
    let outside = json!({"src": "192.0.2.1"});
    assert_eq!(ask_with(&listed, "https://a.example/", outside.clone())["status"], 403);
    let own = world(json!({"whitelist-source-range": "10.0.0.0/8"}), json!({"allowlist-source-range": "192.0.2.0/24"}));
    assert_eq!(ask_with(&own, "https://a.example/", outside)["status"], Value::Null);
}

#[test]
fn annotations_riskier_than_the_controller_allows_drop_the_ingress() {
    let world = |settings: Value| {
        let ingress = ingress("i", json!({"server-alias": "b.example"}), "a.example", &[("Prefix", "/")]);
        cluster(controller(&[], settings).into_iter().chain([ingress]))
    };
    assert_eq!(ask(&world(json!({})), "http://b.example/")["route"], "Ingress/default/i");
    assert_eq!(
        ask(&world(json!({"annotations-risk-level": "High"})), "http://b.example/")["route"],
        "Ingress/default/i"
    );
    assert_eq!(ask(&world(json!({"annotations-risk-level": "Medium"})), "http://a.example/")["status"], 404);
}

#[test]
fn a_wildcard_alias_is_nginxs_own_and_stands_for_any_number_of_labels() {
    let world = one(json!({"server-alias": "*.b.example"}));
    for (host, status) in [("x.b.example", Value::Null), ("y.x.b.example", Value::Null), ("b.example", json!(404))] {
        assert_eq!(ask(&world, &format!("http://{host}/"))["status"], status, "{host}");
    }
}

#[test]
fn the_catch_all_takes_the_policies_of_its_ingress_but_no_redirects() {
    let key = |key: &str| format!("nginx.ingress.kubernetes.io/{key}");
    let annotations = json!({key("allowlist-source-range"): "10.0.0.0/8", key("force-ssl-redirect"): "true",
        key("permanent-redirect"): "https://b.example", key("app-root"): "/x"});
    let all = json!({"kind": "Ingress", "metadata": {"name": "all", "annotations": annotations},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    let world = cluster([all]);
    let from = |src: &str| ask_with(&world, "http://nobody.example/", json!({"src": src}));
    assert_eq!(from("192.0.2.1")["status"], 403);
    assert_eq!(from("10.0.0.1")["route"], "Ingress/default/all");
}

#[test]
fn balancing_is_the_ingresss_own_cookie_before_hash_before_load_balance() {
    let of = |annotations: Value| {
        let controller = IngressController::compile(&one(annotations), "nginx").unwrap();
        let decision = controller.decide(&HttpQuestion::new(Scheme::Http, "a.example", "/x"));
        let Outcome::Forward { backends, .. } = decision.outcome else { panic!("{decision}") };
        backends.entries()[0].backend.balancing.clone()
    };
    assert_eq!(of(json!({})), Balancing::RoundRobin);
    assert_eq!(of(json!({"load-balance": "ewma"})), Balancing::Ewma);
    assert_eq!(of(json!({"load-balance": "least_conn"})), Balancing::RoundRobin);
    let all = json!({"affinity": "cookie", "upstream-hash-by": "$host", "load-balance": "ewma",
        "session-cookie-name": "SID", "affinity-mode": "persistent", "session-cookie-max-age": "60"});
    let Balancing::Cookie(cookie) = of(all) else { panic!("a cookie goes first") };
    assert_eq!((&*cookie.name, cookie.mode, cookie.max_age), ("SID", AffinityMode::Persistent, Some(60)));
    assert_eq!(cookie.set_cookie("v", true, "/x").to_string(), "SID=v; Max-Age=60; Path=/x; HttpOnly; Secure");
    let Balancing::Cookie(cookie) = of(json!({"affinity": "cookie"})) else { panic!() };
    assert_eq!((&*cookie.name, cookie.mode), ("INGRESSCOOKIE", AffinityMode::Balanced));
    let Balancing::HashBy(by) = of(json!({"upstream-hash-by": "$http_x_user", "upstream-hash-by-subset": "true",
        "load-balance": "ewma"}))
    else {
        panic!("a hash goes before load-balance")
    };
    assert_eq!(by.subset_size, Some(3));
    let headers = [("X-User", "amy")];
    let question = HttpQuestion::new(Scheme::Http, "a.example", "/x").headers(&headers);
    assert_eq!(by.key.key(&question, &"a.example".parse().unwrap(), b"/x"), b"amy");
}

#[test]
fn every_balancing_is_settings_that_a_balancer_takes() {
    use lb_select::{Balancer, Pool};
    for annotations in [
        json!({}),
        json!({"load-balance": "ewma"}),
        json!({"upstream-hash-by": "$host"}),
        json!({"affinity": "cookie"}),
        json!({"affinity": "cookie", "affinity-mode": "persistent"}),
    ] {
        let controller = IngressController::compile(&one(annotations), "nginx").unwrap();
        let decision = controller.decide(&HttpQuestion::new(Scheme::Http, "a.example", "/x"));
        let Outcome::Forward { backends, .. } = decision.outcome else { panic!("{decision}") };
        let settings = backends.entries()[0].backend.balancing.settings();
        let pool = Pool::builder().endpoint("10.0.0.1:80", ()).endpoint("10.0.0.2:80", ()).build().unwrap();
        Balancer::new(&pool, settings, std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default(), 0)
            .unwrap();
    }
}
