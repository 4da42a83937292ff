//! What the rules of a VirtualService do.

use std::time::Duration;

use route_match::action::{AbortStatus, Fraction, UnmatchedPreflights};
use route_match::istio::{HttpQuestion, HttpRules, Outcome, Scheme};
use serde_json::{Value, json};

use crate::world::{ask, table_of, to, told};

/// The one rule's action on any request.
fn action_of(rule: Value) -> route_match::action::Action<route_match::istio::Destination> {
    let table = table_of(json!([rule]));
    ask(&table, "a.example/", &[]).rule.expect("a rule").action.clone()
}

#[test]
fn an_authority_of_the_rule_goes_before_that_of_a_destination() {
    let rule = |rewrite: Value, set: Value| {
        json!({
            "rewrite": rewrite,
            "headers": {"request": {"set": set, "add": {":authority": "added"}}},
            "route": [{"destination": {"host": "s"}, "headers": {"request": {"set": {"Host": "own", "x-a": "1"}}}}],
        })
    };
    for (rewrite, set, host) in [
        (json!({"authority": "rewritten"}), json!({"host": "set"}), "rewritten"),
        (Value::Null, json!({"host": "set"}), "set"),
        (Value::Null, json!({}), "added"),
    ] {
        let table = table_of(json!([rule(rewrite, set)]));
        let decision = ask(&table, "a.example/", &[]);
        assert!(told(&decision).ends_with(&format!("host {host}")), "{}", told(&decision));
    }
    let table = table_of(
        json!([{"route": [{"destination": {"host": "s"}, "headers": {"request": {"set": {"Host": "own"}}}}]}]),
    );
    let decision = ask(&table, "a.example/", &[]);
    assert!(told(&decision).ends_with("host own"), "{}", told(&decision));
    assert!(decision.rule.unwrap().action.filters.request_headers.is_empty(), "Host is no header here");
}

#[test]
fn a_redirect_keeps_what_it_does_not_name() {
    for (redirect, url, location) in [
        (json!({"scheme": "https"}), "a.example:80/x", "301 https://a.example/x"),
        (json!({"scheme": "https"}), "A.example:8080/x", "301 https://A.example:8080/x"),
        (json!({"uri": "/y"}), "a.example:80/x?q=1", "301 http://a.example:80/y?q=1"),
        (json!({"uri": "/y?z=2"}), "a.example/x?q=1", "301 http://a.example/y?z=2"),
        (json!({"authority": "b.example:99"}), "a.example:80/x", "301 http://b.example:99/x"),
        (json!({"port": 8443, "scheme": "https"}), "a.example:80/x", "301 https://a.example:8443/x"),
        (json!({"port": 443, "scheme": "https"}), "a.example:8080/x", "301 https://a.example:8080/x"),
        (json!({"redirectCode": 308, "uri": "/y"}), "a.example/x/../z", "308 http://a.example/y"),
        (json!({"scheme": "https"}), "a.example/x/../%7Ez", "301 https://a.example/~z"),
    ] {
        let servers = json!([
            {"port": {"number": 80, "name": "a", "protocol": "HTTP"}, "hosts": ["*"]},
            {"port": {"number": 8080, "name": "b", "protocol": "HTTP"}, "hosts": ["*"]},
        ]);
        let rules = json!([{"redirect": redirect}]);
        let table =
            crate::world::table([crate::world::gateway(servers), crate::world::virtual_service("v", rules.clone())]);
        assert_eq!(told(&ask(&table, url, &[])), format!("v 0: {location}"), "{rules}");
    }
    let rules = json!([{"match": [{"uri": {"prefix": "/old/"}}], "redirect": {"prefixRewrite": "/new/"}}]);
    assert_eq!(told(&ask(&table_of(rules), "a.example/old/x?q", &[])), "v 0: 301 http://a.example/new/x?q");
}

#[test]
fn each_match_of_a_rule_replaces_what_it_took() {
    let table = table_of(json!([{
        "match": [{"uri": {"prefix": "/a/"}}, {"uri": {"exact": "/b"}}, {"headers": {"x": {}}}, {"uri": {"prefix": ""}}],
        "rewrite": {"uri": "/n"}, "route": to("s"),
    }]));
    for (path, headers, seen) in
        [("/a/x", &[][..], "/nx"), ("/b", &[], "/n"), ("/c", &[("x", "")], "/nc"), ("/c", &[], "/n/c")]
    {
        let decision = ask(&table, &format!("a.example{path}"), headers);
        assert!(told(&decision).ends_with(&format!("path {seen}")), "{path} {}", told(&decision));
    }
}

#[test]
fn retries_and_timeouts_have_istios_defaults() {
    let default = action_of(json!({"route": to("s")}));
    let retry = default.retry.unwrap();
    assert_eq!((retry.attempts, retry.conditions.len(), default.timeouts.request), (Some(2), 5, None));
    let written = action_of(json!({
        "route": to("s"), "timeout": "1m30s",
        "retries": {"attempts": 3, "perTryTimeout": "500ms", "retryOn": "gateway-error, 503 ,x-own", "backoff": "25ms"},
    }));
    let retry = written.retry.unwrap();
    assert_eq!((retry.attempts, retry.statuses.as_slice()), (Some(3), &[503][..]));
    assert_eq!(retry.conditions.iter().map(|word| &**word).collect::<Vec<_>>(), ["gateway-error", "x-own"]);
    assert_eq!(retry.backoff, Some(Duration::from_millis(25)));
    assert_eq!(written.timeouts.request, Some(Duration::from_secs(90)));
    assert_eq!(written.timeouts.backend_request, Some(Duration::from_millis(500)));
    let none = action_of(json!({"route": to("s"), "timeout": "0s", "retries": {"attempts": 0}}));
    assert_eq!((none.retry, none.timeouts.request), (None, None));
}

#[test]
fn a_fault_without_percentage_is_none() {
    let fault = |fault: Value| action_of(json!({"route": to("s"), "fault": fault})).fault;
    assert_eq!(fault(json!({"abort": {"httpStatus": 500}, "delay": {"fixedDelay": "1s"}})), None);
    let both = fault(json!({
        "abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 0.1}},
        "delay": {"fixedDelay": "1s", "percent": 10},
    }))
    .unwrap();
    assert_eq!(both.abort, Some((Fraction::new(1_000, 1_000_000).unwrap(), AbortStatus::Grpc(14))));
    assert_eq!(both.delay, Some((Fraction::new(100_000, 1_000_000).unwrap(), Duration::from_secs(1))));
    let rule = json!({"route": to("s"), "fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}});
    assert_eq!(told(&ask(&table_of(json!([rule])), "a.example/", &[])), "v 0: 418");
}

#[test]
fn mirrors_have_a_part_each() {
    let mirrors = |rule: Value| {
        let filters = action_of(rule).filters;
        filters
            .mirrors
            .iter()
            .map(|mirror| (mirror.backend.host.to_string(), mirror.share.as_f64()))
            .collect::<Vec<_>>()
    };
    let host = |name: &str| format!("{name}.infra.svc.cluster.local");
    let rule = |percent: Value| {
        let mut rule = json!({"route": to("s"), "mirror": {"host": "m"}});
        rule["mirrorPercentage"] = percent;
        rule
    };
    assert_eq!(mirrors(rule(Value::Null)), [(host("m"), 1.0)]);
    assert_eq!(mirrors(rule(json!({"value": 0}))), []);
    assert_eq!(mirrors(rule(json!({"value": 12.5}))), [(host("m"), 0.125)]);
    let several = json!({"route": to("s"), "mirrors": [
        {"destination": {"host": "a"}}, {"destination": {"host": "b"}, "percentage": {"value": 50}},
        {"destination": {"host": "c"}, "percentage": {"value": 0}}]});
    assert_eq!(mirrors(several), [(host("a"), 1.0), (host("b"), 0.5)]);
}

#[test]
fn preflights_of_other_origins_go_on_unless_they_are_ignored() {
    let rule = |unmatched: Value| {
        let mut policy = json!({"allowOrigins": [{"prefix": "https://a."}], "allowMethods": ["GET"], "maxAge": "24h"});
        policy["unmatchedPreflights"] = unmatched;
        json!([{"corsPolicy": policy, "route": to("s")}])
    };
    let status = |rules: Value, origin: &str| {
        let table = table_of(rules);
        let headers = [("origin", origin), ("access-control-request-method", "GET")];
        let question = HttpQuestion::new(Scheme::Http, "h.example", "/").method("OPTIONS").headers(&headers);
        match table.decide(&question, None).outcome {
            Outcome::Respond { status, .. } => Some(status),
            _ => None,
        }
    };
    assert_eq!(status(rule(Value::Null), "https://a.example"), Some(200));
    assert_eq!(status(rule(Value::Null), "https://b.example"), None);
    assert_eq!(status(rule(json!("IGNORE")), "https://b.example"), Some(200));
    let cors = action_of(rule(Value::Null)[0].clone()).cors.unwrap();
    assert_eq!((cors.max_age, cors.unmatched_preflights), (Some(86_400), UnmatchedPreflights::Forward));
}

#[test]
fn a_rule_that_cannot_be_applied_is_left_out_alone() {
    for fault in [
        json!({}),
        json!({"route": []}),
        json!({"route": [{"destination": {"host": "*"}}]}),
        json!({"route": [{"destination": {"host": "a"}, "weight": 0}, {"destination": {"host": "b"}, "weight": -1}]}),
        json!({"route": [{"destination": {"host": "a", "port": {"number": 65536}}}]}),
        json!({"redirect": {"redirectCode": 200, "uri": "/"}}),
        json!({"redirect": {"port": 0, "uri": "/"}}),
        json!({"directResponse": {"status": 199}}),
        json!({"route": to("s"), "rewrite": {"uriRegexRewrite": {"match": "(", "rewrite": ""}}}),
        json!({"route": to("s"), "headers": {"request": {"set": {"a b": "c"}}}}),
        json!({"route": to("s"), "match": [{"uri": {"regex": "("}}]}),
        json!({"route": to("s"), "match": [{"headers": {"x": {"regex": "("}}}]}),
    ] {
        let object = crate::world::object(crate::world::virtual_service("v", json!([fault])));
        let cluster = svc_model::Cluster::new();
        let svc_model::Object::VirtualService(object) = object else { panic!("a VirtualService") };
        assert_eq!(HttpRules::of(&cluster, &object).faults().map(|(rule, _)| rule).collect::<Vec<_>>(), [0], "{fault}");
        let table = table_of(json!([fault, {"route": to("last")}]));
        let decision = ask(&table, "a.example/", &[]);
        assert_eq!(told(&decision), "v 1: 1 Host/last.infra.svc.cluster.local port 80", "{fault}");
    }
}

#[test]
fn bodies_of_direct_responses_are_text_or_base64() {
    for (body, bytes) in [
        (json!({"string": "sorry"}), &b"sorry"[..]),
        (json!({"bytes": "c29ycnk="}), b"sorry"),
        (json!({"bytes": "?"}), b""),
        (Value::Null, b""),
    ] {
        let action = action_of(json!({"directResponse": {"status": 503, "body": body}}));
        let route_match::action::Disposition::Respond(response) = action.disposition else { panic!() };
        assert_eq!((response.status, &*response.body), (503, bytes));
    }
}
