//! What an ingress controller answers and what a check finds, over worlds of objects with questions and answers.
#![cfg(feature = "kubernetes")]

use serde::de::DeserializeSeed;
use serde_json::Value;
use std::slice::from_ref;
use svc_model::check::Level;
use svc_model::{Cluster, Kind};
use tls_sni::ingress::IngressTls;
use tls_sni::{AcceptedKeys, Mode, ProtocolVersion, SignatureScheme, Sni, TlsQuestion};

/// 2026-01-01T00:00:00Z
const NOW: i64 = 1_767_225_600;

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn world(case: &Value) -> Cluster {
    let mut cluster = Cluster::new();
    for object in case["world"].as_array().unwrap() {
        let kind: Kind = object["kind"].as_str().unwrap().parse().unwrap();
        cluster.apply(kind.deserialize(object).unwrap());
    }
    cluster
}

fn question<'a>(ask: &Value, alpn: &'a [&'a [u8]]) -> TlsQuestion<'a> {
    let mut question = TlsQuestion::new(Sni::new(ask["sni"].as_str().map(str::as_bytes)));
    question.alpn = tls_sni::Alpn::new(alpn);
    question
}

#[test]
fn every_question_is_answered_as_the_controller_answers_it() {
    let (mut asked, mut passed) = (0, 0);
    for case in cases(include_str!("ingress/decide.json")) {
        let cluster = world(&case);
        for query in case["queries"].as_array().unwrap() {
            let (ask, expect) = (&query["ask"], &query["expect"]);
            let class = ask["to"].as_str().unwrap().strip_prefix("IngressClass/").unwrap();
            let table = IngressTls::of_class(&cluster, class).unwrap();
            let alpn: Vec<&[u8]> =
                ask["alpn"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().as_bytes()).collect();
            let question = question(ask, &alpn);
            let decision = table.decide(&question, NOW);
            let backends: Vec<Value> = decision
                .backends
                .iter()
                .map(|b| serde_json::json!({"ref": b.service.to_string(), "port": b.port, "p": b.p}))
                .collect();
            let found = serde_json::json!({
                "mode": decision.mode.to_string(),
                "certificate": decision.certificate.map(|certificate| certificate.to_string()),
                "backends": backends,
                "alpn": decision.alpn,
            });
            for (key, value) in expect.as_object().unwrap() {
                assert_eq!(found[key], *value, "{}: {ask}: {key}; {}", case["name"], decision.reason);
            }
            assert!(!decision.reason.to_string().is_empty());
            asked += 1;
            passed += usize::from(decision.mode == Mode::Passthrough);
        }
    }
    assert_eq!((asked, passed), (92, 1));
}

#[test]
fn every_fault_is_found_at_its_field() {
    for case in cases(include_str!("ingress/check.json")) {
        let findings = tls_sni::check::check(&world(&case), NOW);
        for expected in case["check"].as_array().unwrap() {
            let level = if expected["level"] == "warning" { Level::Warning } else { Level::Error };
            let found = findings.iter().any(|finding| {
                finding.level == level && *finding.object == expected["object"] && *finding.field == expected["field"]
            });
            assert!(found, "{}: {expected} is not among {findings:#?}", case["name"]);
        }
    }
}

/// The reason for a server name in the world of a case.
fn reason(case: &str, sni: Option<&str>) -> (String, String) {
    let cases = cases(include_str!("ingress/decide.json"));
    let case = cases.iter().find(|candidate| candidate["name"] == case).unwrap();
    let table = IngressTls::of_class(&world(case), "nginx").unwrap();
    let question = TlsQuestion::new(Sni::new(sni.map(str::as_bytes)));
    let reason = table.decide(&question, NOW).reason;
    (reason.code().to_owned(), reason.to_string())
}

#[test]
fn the_reason_says_in_words_what_happened() {
    for (case, sni, code, words) in [
        (
            "ingress-seed-terminates",
            Some("sslexample.foo.com"),
            "secret",
            "rule host sslexample.foo.com of Ingress/default/tls-example-ingress, whose tls entry for it names \
             Secret/default/testsecret-tls",
        ),
        (
            "ingress-host-without-tls-falls-to-wildcard",
            Some("plain.apps.example.com"),
            "secret",
            "rule host plain.apps.example.com has no tls section; wildcard *.apps.example.com used: rule host \
             *.apps.example.com of Ingress/default/w, whose tls entry for it names Secret/default/wild-cert",
        ),
        (
            "ingress-tls-host-without-rule",
            Some("two.example.net"),
            "tls-host-without-rule",
            "spec.tls of Ingress/default/partial lists two.example.net, or a wildcard for it, but no rule does; default \
             certificate",
        ),
        (
            "ingress-older-broken-secret-keeps-host",
            Some("dup.example.com"),
            "secret-missing",
            "rule host dup.example.com of Ingress/default/older, whose tls entry for it names Secret/default/gone, \
             which does not exist; default certificate",
        ),
        (
            "ingress-default-certificate-flag",
            Some("foo.example.net"),
            "not-covered",
            "rule host foo.example.net of Ingress/default/mismatch, whose tls entry for it names \
             Secret/default/wrong-cert, whose certificate does not cover it (names: other.example.com); default \
             certificate of the controller, Secret/ingress-nginx/house-cert",
        ),
        (
            "ingress-bad-secrets-get-default",
            Some("cb.example.com"),
            "secret-unusable",
            "rule host cb.example.com of Ingress/default/i4, whose tls entry for it names \
             Secret/default/chain-backwards, which cannot be used: the key belongs to certificate 2 of the bundle, \
             not to the first; default certificate",
        ),
        (
            "ingress-secret-found-by-san",
            Some("blog.apps.example.com"),
            "secret-by-san",
            "rule host blog.apps.example.com of Ingress/default/nohosts, no tls entry of which lists it, so that the \
             first certificate that covers it is served: Secret/default/wild-cert",
        ),
        (
            "ingress-default-certificate-flag-broken",
            None,
            "no-name",
            "no server name was sent; default certificate made by the controller, since Secret ingress-nginx/absent \
             of --default-ssl-certificate does not exist",
        ),
        (
            "ingress-passthrough-needs-flag",
            Some("one.example.net"),
            "secret",
            "rule host one.example.net of Ingress/default/p, whose tls entry for it names Secret/default/two-cert; \
             ssl-passthrough has no effect without --enable-ssl-passthrough",
        ),
        (
            "ingress-passthrough",
            Some("one.example.net"),
            "passthrough",
            "rule host one.example.net is passed through undecrypted by Ingress/default/p to Service/default/db port \
             8443",
        ),
        (
            "ingress-server-alias",
            Some("copy.example.net"),
            "alias-not-covered",
            "alias copy.example.net of rule host site.example.net is not covered by a certificate of that host, and \
             no wildcard serves it; default certificate",
        ),
        (
            "ingress-odd-server-names",
            Some("192.0.2.10"),
            "ip-literal",
            "the server name is the IP literal 192.0.2.10; default certificate",
        ),
        (
            "ingress-seed-terminates",
            Some("foo.com"),
            "unknown-host",
            "there is no rule host foo.com, and no wildcard serves it; default certificate",
        ),
    ] {
        assert_eq!(reason(case, sni), (code.to_owned(), words.to_owned()), "{case}");
    }
}

#[test]
fn a_client_that_cannot_verify_the_key_is_refused() {
    let cases = cases(include_str!("ingress/decide.json"));
    let table = IngressTls::of_class(&world(&cases[0]), "nginx").unwrap();
    let mut question = TlsQuestion::new(Sni::new(Some(b"sslexample.foo.com")));
    let rsa_only: SignatureScheme = "rsa_pss_rsae_sha256".parse().unwrap();
    question.accepted_keys = AcceptedKeys::new([rsa_only], [ProtocolVersion::TLS13]);
    let decision = table.decide(&question, NOW);
    assert_eq!((decision.mode, decision.alert), (Mode::Reject, Some(tls_sni::Alert::HandshakeFailure)));
    assert_eq!(decision.reason.code(), "unverifiable");
}

#[test]
fn the_plain_dialect_knows_neither_aliases_nor_passthrough_nor_flags() {
    for (name, sni, expected) in [
        ("ingress-server-alias", "mirror.example.net", "default"),
        ("ingress-server-alias", "site.example.net", "Secret/default/al"),
        ("ingress-passthrough", "one.example.net", "default"),
        ("ingress-default-certificate-flag", "foo.example.net", "default"),
        ("ingress-default-certificate-flag", "other.example.com", "Secret/default/wrong-cert"),
    ] {
        let cases = cases(include_str!("ingress/decide.json"));
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let plain: Value =
            serde_json::from_str(&case.to_string().replace("k8s.io/ingress-nginx", "example.com/other")).unwrap();
        let cluster = {
            let mut cluster = world(&plain);
            // The controller's workload is another program now.
            cluster.remove(&"Pod/ingress-nginx/ingress-nginx-controller-7d4f".parse().unwrap());
            cluster
        };
        let table = IngressTls::of_class(&cluster, "nginx").unwrap();
        let question = TlsQuestion::new(Sni::new(Some(sni.as_bytes())));
        let decision = table.decide(&question, NOW);
        assert_eq!(
            decision.certificate.map(|c| c.to_string()).as_deref(),
            Some(expected),
            "{name}: {}",
            decision.reason
        );
    }
}

#[test]
fn a_store_by_certificate_names_ignores_the_hosts_of_tls_entries() {
    let cases = cases(include_str!("ingress/decide.json"));
    let case = cases.iter().find(|case| case["name"] == "ingress-tls-host-without-rule").unwrap();
    let store = tls_sni::ingress::certificates_by_their_names(&world(case), "nginx").unwrap();
    let sni = Sni::new(Some(b"two.example.net"));
    let choice = store.choose(&tls_sni::Query::new(&sni), NOW);
    assert_eq!(choice.outcome.unwrap().certificate().to_string(), "Secret/default/two-cert");
}

#[test]
fn a_decision_allocates_nothing() {
    let cases = cases(include_str!("ingress/decide.json"));
    let case = cases.iter().find(|case| case["name"] == "ingress-host-without-tls-falls-to-wildcard").unwrap();
    let table = IngressTls::of_class(&world(case), "nginx").unwrap();
    for sni in ["plain.apps.example.com", "BROKEN.apps.example.com.", "x.y", "1.2.3.4", ""] {
        let count = allocation_counter::measure(|| {
            let question = TlsQuestion::new(Sni::new(Some(sni.as_bytes())));
            std::hint::black_box(table.decide(&question, NOW).mode);
        });
        assert_eq!(count.count_total, 0, "{sni}");
    }
}

/// An Ingress of class nginx with one rule, whose `/` leads to the port `tls` of Service `web`.
fn ingress(name: &str, host: &str, annotations: Value, tls: Value) -> Value {
    serde_json::json!({
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "ingressClassName": "nginx",
            "tls": tls,
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "backend": {"service": {"name": "web", "port": {"name": "tls"}}}}]}}],
        },
    })
}

/// The world of a case, which brings a Secret, with other Ingresses and flags of the controller.
fn world_with(ingresses: &[Value], flags: &[&str]) -> Cluster {
    let cases = cases(include_str!("ingress/decide.json"));
    let case = cases.iter().find(|case| case["name"] == "ingress-server-alias").unwrap();
    let mut case = case.clone();
    let objects = case["world"].as_array_mut().unwrap();
    objects.retain(|object| object["kind"] != "Ingress");
    objects.extend_from_slice(ingresses);
    let args: Vec<&str> = ["/nginx-ingress-controller"].iter().chain(flags).copied().collect();
    objects.push(serde_json::json!({
        "kind": "Pod",
        "metadata": {"name": "controller", "namespace": "ingress-nginx"},
        "spec": {"containers": [{"name": "controller", "args": args}]},
    }));
    objects.push(serde_json::json!({
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"name": "http", "port": 80}, {"name": "tls", "port": 8443}]},
    }));
    world(&case)
}

/// Mode, certificate or backend, and the code of the reason.
fn answer(cluster: &Cluster, sni: &str) -> (String, &'static str) {
    let table = IngressTls::of_class(cluster, "nginx").unwrap();
    let question = TlsQuestion::new(Sni::new(Some(sni.as_bytes())));
    let decision = table.decide(&question, NOW);
    let what = match (decision.certificate, decision.backends) {
        (Some(certificate), []) => certificate.to_string(),
        (None, [backend]) => format!("{}:{}", backend.service, backend.port),
        _ => panic!("{decision:?}"),
    };
    (what, decision.reason.code())
}

#[test]
fn passthrough_goes_to_the_service_of_the_root_path() {
    let annotated = serde_json::json!({"nginx.ingress.kubernetes.io/ssl-passthrough": "true"});
    let flag = ["--enable-ssl-passthrough"];
    let by_name = ingress("p", "a.example", annotated.clone(), Value::Null);
    assert_eq!(
        answer(&world_with(from_ref(&by_name), &flag), "a.example"),
        ("Service/default/web:8443".into(), "passthrough")
    );

    let mut by_default = by_name.clone();
    by_default["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/other".into();
    assert_eq!(answer(&world_with(&[by_default.clone()], &flag), "a.example").0, "default", "/ leads nowhere");
    by_default["spec"]["defaultBackend"] = serde_json::json!({"service": {"name": "web", "port": {"number": 80}}});
    assert_eq!(answer(&world_with(&[by_default], &flag), "a.example").0, "Service/default/web:80");

    let mut old_api = by_name.clone();
    old_api["spec"]["rules"][0]["http"]["paths"][0]["backend"] =
        serde_json::json!({"serviceName": "web", "servicePort": "tls"});
    assert_eq!(answer(&world_with(&[old_api], &flag), "a.example").0, "Service/default/web:8443");

    let mut dangling = by_name.clone();
    dangling["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = "gone".into();
    assert_eq!(answer(&world_with(&[dangling], &flag), "a.example").0, "default");

    // Of an Ingress that comes later for the host the annotation counts as well: of equal age the greater name is first.
    let first = ingress("z", "a.example", Value::Null, Value::Null);
    assert_eq!(answer(&world_with(&[first, by_name], &flag), "a.example").0, "Service/default/web:8443");
}

#[test]
fn passthrough_finds_service_ports_as_the_router_does() {
    let annotated = serde_json::json!({"nginx.ingress.kubernetes.io/ssl-passthrough": "true"});
    let service = serde_json::json!({"kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [
        {"name": "http", "port": 80, "targetPort": 8080}, {"name": "alt", "port": 81, "targetPort": "web"},
    ]}});
    for (port, expected) in [
        (serde_json::json!({"number": 8080}), "Service/default/s:80"),
        (serde_json::json!({"name": "web"}), "Service/default/s:81"),
        (serde_json::json!({"name": "alt"}), "Service/default/s:81"),
        (serde_json::json!({"number": 7777}), "default"),
        (serde_json::json!({"name": "gone"}), "default"),
    ] {
        let mut one = ingress("p", "a.example", annotated.clone(), Value::Null);
        one["spec"]["rules"][0]["http"]["paths"][0]["backend"] =
            serde_json::json!({"service": {"name": "s", "port": port}});
        let cluster = world_with(&[one, service.clone()], &["--enable-ssl-passthrough"]);
        assert_eq!(answer(&cluster, "a.example").0, expected, "{port}");
    }
    let mut one = ingress("p", "a.example", annotated, Value::Null);
    one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = serde_json::json!({"number": 7777});
    one["spec"]["tls"] = serde_json::json!([{"hosts": ["a.example"]}]);
    let cluster = world_with(&[one], &["--enable-ssl-passthrough"]);
    let table = IngressTls::of_class(&cluster, "nginx").unwrap();
    let question = TlsQuestion::new(Sni::new(Some(b"a.example")));
    let reason = table.decide(&question, NOW).reason.to_string();
    assert!(
        reason.ends_with("; ssl-passthrough has no effect, since Service/default/web has no port 7777"),
        "{reason}"
    );
}

#[test]
fn hosts_that_the_api_server_refuses_make_no_server() {
    let tls = serde_json::json!([{"secretName": "al"}]);
    for host in ["Site.example.net", "site_.example.net", "*.Site.example.net", "site.example.net."] {
        let cluster = world_with(&[ingress("i", host, Value::Null, tls.clone())], &[]);
        assert!(IngressTls::of_class(&cluster, "nginx").unwrap().is_empty(), "{host}");
    }
    let cluster = world_with(&[ingress("i", "site.example.net", Value::Null, tls)], &[]);
    assert_eq!(IngressTls::of_class(&cluster, "nginx").unwrap().len(), 1);
}

#[test]
fn canary_ingresses_make_no_server() {
    let tls = serde_json::json!([{"hosts": ["site.example.net"], "secretName": "al"}]);
    let canary = serde_json::json!({"nginx.ingress.kubernetes.io/canary": "true"});
    let cluster = world_with(&[ingress("c", "site.example.net", canary, tls.clone())], &[]);
    assert_eq!(answer(&cluster, "site.example.net").0, "default");
    let cluster = world_with(&[ingress("c", "site.example.net", Value::Null, tls)], &[]);
    assert_eq!(answer(&cluster, "site.example.net"), ("Secret/default/al".into(), "secret"));
}

#[test]
fn an_alias_that_is_a_rule_host_is_ignored_and_the_prefix_of_annotations_counts() {
    let tls = serde_json::json!([{"hosts": ["site.example.net"], "secretName": "al"}]);
    let aliases = serde_json::json!({"edge.example/server-alias": " mirror.example.net , site.example.net,,"});
    let own = ingress("b", "site.example.net", aliases, tls);
    let other = ingress("a", "mirror.example.net", Value::Null, Value::Null);
    let prefix = ["--annotations-prefix=edge.example"];
    assert_eq!(answer(&world_with(from_ref(&own), &[]), "mirror.example.net"), ("default".into(), "unknown-host"));
    assert_eq!(
        answer(&world_with(from_ref(&own), &prefix), "mirror.example.net"),
        ("Secret/default/al".into(), "secret")
    );
    assert_eq!(answer(&world_with(&[own, other], &prefix), "mirror.example.net"), ("default".into(), "no-tls-section"));
}

#[test]
fn an_entry_without_secret_name_ends_the_search_for_a_certificate() {
    let tls = serde_json::json!([{"hosts": ["SITE.example.net"]}, {"hosts": ["site.example.net"], "secretName": "al"}]);
    let cluster = world_with(&[ingress("a", "site.example.net", Value::Null, tls)], &[]);
    assert_eq!(answer(&cluster, "site.example.net"), ("default".into(), "no-secret-name"));
}

#[test]
fn hosts_that_no_server_name_can_equal_make_no_server() {
    let tls = serde_json::json!([{"secretName": "al"}]);
    let hosts = ["", "*", "*.*.example.net", "a_b..c", "b\u{fc}cher.example", "10.0.0.1"];
    let ingresses: Vec<Value> =
        hosts.iter().enumerate().map(|(i, host)| ingress(&format!("i{i}"), host, Value::Null, tls.clone())).collect();
    let cluster = world_with(&ingresses, &[]);
    assert!(IngressTls::of_class(&cluster, "nginx").unwrap().is_empty());
    for sni in ["site.example.net", "10.0.0.1", "*"] {
        assert_eq!(answer(&cluster, sni).0, "default", "{sni}");
    }
}

#[test]
fn the_findings_of_a_sound_world_are_none() {
    let tls = serde_json::json!([{"hosts": ["site.example.net"], "secretName": "al"}]);
    let cluster = world_with(&[ingress("a", "site.example.net", Value::Null, tls)], &[]);
    assert_eq!(tls_sni::check::check(&cluster, NOW), []);
    let late = tls_sni::check::check(&cluster, i64::MAX);
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!((&*late[0].field, late[0].level), ("data[tls.crt]", Level::Warning));
}

/// The fields of the errors about a Secret of this type and values, which an Ingress names or does not.
fn secret_errors(kind: &str, values: &Value, named: bool) -> Vec<String> {
    let name = if named { "s" } else { "another" };
    let tls = serde_json::json!([{"hosts": ["site.example.net"], "secretName": name}]);
    let mut cluster = world_with(&[ingress("a", "site.example.net", Value::Null, tls)], &[]);
    let secret = serde_json::json!({"metadata": {"name": "s"}, "type": kind, "stringData": values});
    cluster.apply(Kind::Secret.deserialize(&secret).unwrap());
    let findings = tls_sni::check::check(&cluster, NOW);
    let errors = findings.into_iter().filter(|finding| finding.level == Level::Error);
    errors.map(|finding| finding.field).collect()
}

#[test]
fn contents_are_judged_of_tls_secrets_and_of_named_ones() {
    let words = serde_json::json!({"tls.crt": "words", "tls.key": "words"});
    for (kind, named, errors) in [
        ("kubernetes.io/tls", false, &["stringData[tls.crt]"][..]),
        ("Opaque", true, &["stringData[tls.crt]"]),
        ("Opaque", false, &[]),
    ] {
        assert_eq!(secret_errors(kind, &words, named), errors, "{kind} {named}");
    }
    let empty = serde_json::json!({"tls.crt": "", "tls.key": ""});
    assert_eq!(secret_errors("kubernetes.io/tls", &empty, true), ["stringData[tls.crt]", "stringData[tls.key]"]);
    assert_eq!(secret_errors("kubernetes.io/tls", &empty, false), [""; 0]);
    let none = serde_json::json!({});
    assert_eq!(secret_errors("kubernetes.io/tls", &none, false), ["data[tls.crt]", "data[tls.key]"]);
    assert_eq!(secret_errors("Opaque", &none, true), ["data[tls.crt]", "data[tls.key]"]);
    assert_eq!(secret_errors("Opaque", &none, false), [""; 0]);
}
