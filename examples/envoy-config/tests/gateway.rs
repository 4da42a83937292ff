//! A real Envoy, configured by what is rendered of a Gateway, answers as the library decides. On loopback; skipped where there is no Envoy.

mod daemon;
mod hostile;
mod numbers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use daemon::{
    Asked, Daemon, End, Expected, Fleet, Greeting, NOW, Ports, Request, Tally, edited, envoy, greet, question,
    server_name, set, world,
};
use envoy_config::{Settings, render_gateway};
use hostile::{TEXTS, filled_with};
use numbers::Numbers;
use route_match::action::WeightedBackend;
use route_match::gateway::{Backend, Decision, GatewayTable, HttpQuestion, Outcome, RouteRule, Scheme};
use route_match::{Authority, PathNormalisation};
use serde_json::{Value, json};
use svc_model::api::Secret;
use svc_model::{Cluster, Kind, NamespacedName};
use svctrace::cases;
use tls_sni::gateway::GatewayTls;
use tls_sni::secret::{self, TLS_CRT, TLS_KEY};
use tls_sni::{CertificateRef, Mode, Sni, TlsQuestion};

/// A Gateway, here and in an Envoy.
struct Proved {
    gateway: GatewayTls,
    prefix: String,
    ports: Ports,
}

impl Proved {
    /// Adds a Gateway to a fleet; `None` if there is none of the name.
    fn new(fleet: &mut Fleet, cluster: &Cluster, name: &NamespacedName, prefix: &str) -> Option<Self> {
        let table = Arc::new(GatewayTable::compile(cluster, name).ok()?);
        let gateway = GatewayTls::new(cluster, table);
        let directory = fleet.directory.join(format!("certificates{}", prefix.trim()));
        for at in 0..gateway.table().listeners().len() {
            for found in gateway.usable_secrets(at) {
                let secret = cluster.get::<Secret>(&found.namespace, &found.name)?;
                let files = directory.join(&*found.namespace).join(&*found.name);
                [TLS_CRT, TLS_KEY].iter().for_each(|key| {
                    daemon::write(&files.join(key), secret.value(key).expect("a usable Secret has both"));
                });
            }
        }
        let mut settings = Settings::default();
        settings.certificates = directory.display().to_string();
        let rendered = render_gateway(cluster, &gateway, &settings);
        let ports = fleet.add(prefix, &rendered.bootstrap);
        Some(Self { gateway, prefix: prefix.to_owned(), ports })
    }

    /// What Envoy must answer.
    fn expected(&self, decision: &Decision<'_>, request: &Request<'_>, question: &HttpQuestion<'_>) -> Expected {
        let route = decision.rule.map(|rule| format!("{} rule {}", rule.route, rule.rule));
        match (&decision.outcome, decision.rule) {
            (Outcome::Forward { path, host, only, .. }, Some(rule)) => {
                let shares = rule.action.backends().into_iter().flat_map(|backends| backends.shares());
                let normal = PathNormalisation::DotSegments.apply(question.path).expect("it was decided on");
                let query = request.uri.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
                let uri = path.clone().unwrap_or_else(|| String::from_utf8_lossy(&normal).into_owned()) + &query;
                let end = |entry: &WeightedBackend<Backend>| {
                    if let Some(status) = entry.failure {
                        return End::Failure(status);
                    }
                    let mut headers = request.headers.to_vec();
                    let filters = rule.action.filters_for(Some(entry));
                    let host = host.or(filters.filter_map(|filters| filters.host.as_deref()).last());
                    // A dot at its end is no part of the name, and does not go on.
                    let host = host.map_or_else(|| undotted(request.host), ToOwned::to_owned);
                    headers.push(("host".to_owned(), host.clone()));
                    let (mut request, mut response) = edited(&rule.action, entry, headers);
                    request.entry("host".to_owned()).or_insert(host);
                    if let Outcome::Forward { cors, .. } = &decision.outcome {
                        response.extend(set(cors));
                    }
                    let name = self.cluster(rule, &entry.backend).expect("what does not fail is a Service");
                    End::Backend { name, uri: uri.clone(), request, response }
                };
                let mirrors = rule.action.filters_for(*only).flat_map(|filters| &filters.mirrors);
                let whole = mirrors.filter(|mirror| mirror.share.as_f64() >= 1.0);
                let copies = whole.filter_map(|mirror| self.cluster(rule, &mirror.backend)).collect();
                Expected::Forward {
                    route: route.unwrap_or_default(),
                    ends: shares.map(|(entry, _)| end(entry)).collect(),
                    copies,
                }
            }
            (Outcome::Redirect { code, location }, _) => {
                // Envoy resolves dot segments even where it keeps the path.
                let normal = PathNormalisation::DotSegments.apply(question.path).expect("it was decided on");
                let location = match location.find("://").and_then(|at| Some(at + 3 + location[at + 3..].find('/')?)) {
                    Some(at) if location[at..].starts_with(question.path) => {
                        let rest = &location[at + question.path.len()..];
                        format!("{}{}{rest}", &location[..at], String::from_utf8_lossy(&normal))
                    }
                    _ => location.clone(),
                };
                Expected::Redirect { route: route.unwrap_or_default(), code: *code, location }
            }
            (Outcome::Respond { status, cors, .. }, _) => {
                // A preflight is answered before a route is followed, and does not tell its name.
                Expected::Status { route: route.filter(|_| *status != 204), status: *status, headers: set(cors) }
            }
            _ => Expected::Silence,
        }
    }

    /// The name of a backend's cluster, where it has one.
    fn cluster(&self, rule: &RouteRule, backend: &Backend) -> Option<String> {
        let service = backend.service()?;
        let kind = if rule.route.kind == Kind::GrpcRoute { " h2" } else { "" };
        Some(format!("{}{}/{}:{}{kind}", self.prefix, service.service.namespace, service.service.name, service.port))
    }

    /// Asks both and compares; `None` if they agree.
    fn differ(&self, daemon: &mut Daemon, request: &Request<'_>, question: &HttpQuestion<'_>) -> Option<String> {
        let name = server_name(request);
        let decision = self.gateway.table().decide(question, name.as_ref());
        let mut handshake = TlsQuestion::new(Sni::new(name.as_ref().map(|name| name.as_str().as_bytes())));
        handshake.port = question.port;
        let is_refused =
            question.scheme == Scheme::Https && self.gateway.decide(&handshake, NOW).mode != Mode::Terminate;
        // Where nothing listens, the library's 404 stands for no answer.
        let port = self.ports.get(&question.port);
        let mut expected = match is_refused || port.is_none() {
            true => Expected::Silence,
            false => self.expected(&decision, request, question),
        };
        if let Expected::Forward { copies, .. } = &mut expected {
            copies.retain(|copy| daemon.serves(copy));
        }
        let answered = match port {
            None => Err("nothing listens".to_owned()),
            Some(port) => daemon.ask(*port, request),
        };
        let wrong = expected.compare(&answered, request, daemon);
        (!wrong.is_empty()).then(|| format!("{request:?} port {}\n  {decision}\n  {wrong}", question.port))
    }
}

fn undotted(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => format!("{}:{port}", name.strip_suffix('.').unwrap_or(name)),
        _ => host.strip_suffix('.').unwrap_or(host).to_owned(),
    }
}

/// Why a question is not asked: Envoy answers it differently by nature, or it cannot be sent.
fn left_out(request: &Request<'_>, path: &str) -> Option<&'static str> {
    if request.host.contains(['\0', '\r', '\n']) || request.uri.contains(['\0', ' ', '\r', '\n']) {
        return Some("cannot be sent as HTTP/1.1");
    }
    if request.server_name.is_some() && !daemon::runs("curl") {
        return Some("TLS: there is no curl here");
    }
    if Authority::parse(request.host).is_err() {
        return Some("a Host that is none: Envoy has its own judgement of these");
    }
    if request.method == "CONNECT" {
        return Some("CONNECT asks for a tunnel");
    }
    if PathNormalisation::DotSegments.apply(path) != PathNormalisation::Base.apply(path) {
        return Some("Envoy resolves dot segments only together with escapes and backslashes");
    }
    None
}

#[test]
fn envoy_answers_every_question_of_the_cases_as_the_library_does() {
    if envoy().is_none() {
        println!("skipped: there is no envoy here");
        return;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svctrace/tests/cases");
    let mut fleet = Fleet::new();
    let mut asks: Vec<(Proved, Vec<Value>, String)> = Vec::new();
    for file in ["backends", "filters", "listeners", "matching", "tls-grpc-tcp"] {
        for case in cases::load(&directory.join(format!("gateway-{file}.yaml"))).unwrap() {
            let world = world(case["world"].as_str().unwrap());
            let mut by_gateway: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
            for query in case["queries"].as_array().into_iter().flatten() {
                let gateway = query["ask"]["to"].as_str().and_then(|to| to.strip_prefix("Gateway/"));
                if let Some(gateway) = gateway.filter(|_| query["ask"]["kind"] == "http") {
                    by_gateway.entry(gateway).or_default().push(query["ask"].clone());
                }
            }
            for (gateway, questions) in by_gateway {
                let prefix = format!("{} ", asks.len());
                let name = gateway.parse().unwrap();
                let name_of_case = case["name"].as_str().unwrap().to_owned();
                if let Some(proved) = Proved::new(&mut fleet, &world.cluster, &name, &prefix) {
                    asks.push((proved, questions, name_of_case));
                }
            }
        }
    }
    let mut daemon = fleet.start().unwrap();
    let mut tally = Tally::default();
    for (proved, questions, case) in &asks {
        for ask in questions {
            let read = Asked::read(ask);
            let (request, question) = (read.request(), read.question());
            if tally.leaves_out(left_out(&request, question.path)) {
                continue;
            }
            tally.asked(proved.differ(&mut daemon, &request, &question).map(|lines| format!("{case}: {lines}")));
        }
    }
    tally.end(150, 0);
}

#[test]
fn envoy_begins_tls_as_the_library_does() {
    if envoy().is_none() {
        println!("skipped: there is no envoy here");
        return;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svctrace/tests/cases");
    let mut tally = Tally::default();
    for file in ["gateway-listeners", "gateway-tls-grpc-tcp", "tls-gateway"] {
        for case in cases::load(&directory.join(format!("{file}.yaml"))).unwrap() {
            let world = world(case["world"].as_str().unwrap_or_default());
            let asks = case["queries"].as_array().into_iter().flatten().map(|query| &query["ask"]);
            let mut by_gateway: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
            for ask in asks.filter(|ask| ask["kind"] == "tls") {
                if let Some(gateway) = ask["to"].as_str().and_then(|to| to.strip_prefix("Gateway/")) {
                    by_gateway.entry(gateway).or_default().push(ask);
                }
            }
            for (gateway, asks) in by_gateway {
                let mut fleet = Fleet::new();
                let Some(proved) = Proved::new(&mut fleet, &world.cluster, &gateway.parse().unwrap(), "") else {
                    continue;
                };
                let daemon = fleet.start().unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
                for ask in asks {
                    let name = ask["sni"].as_str().filter(|name| !name.is_empty());
                    let sni = Sni::new(name.map(str::as_bytes));
                    let own = ["sigalgs", "versions", "hello", "now"];
                    let why = match (own.iter().any(|key| !ask[key].is_null()), name, sni.name()) {
                        (true, ..) => Some("a client or a time of its own"),
                        (_, Some(_), None) => Some("a server name that is none: Envoy has its own judgement of these"),
                        _ => None,
                    };
                    if tally.leaves_out(why) {
                        continue;
                    }
                    let mut question = TlsQuestion::new(sni);
                    question.port = ask["port"].as_u64().map_or(443, |port| u16::try_from(port).unwrap());
                    let decision = proved.gateway.decide(&question, NOW);
                    let greeting = match proved.ports.get(&question.port) {
                        None => Greeting::Closed,
                        Some(port) => greet(*port, name, &[]).unwrap(),
                    };
                    let backends: Vec<String> = decision
                        .backends
                        .iter()
                        .map(|to| format!("{}/{}:{} bytes", to.service.namespace, to.service.name, to.port))
                        .collect();
                    let agrees = match (decision.mode, &greeting) {
                        (Mode::Reject, greeting) => *greeting == Greeting::Closed,
                        (Mode::Passthrough, Greeting::Backend(backend)) => backends.contains(backend),
                        // Where nobody serves the bytes Envoy closes even before it ends TLS.
                        (Mode::Passthrough | Mode::Terminate, Greeting::Closed) if decision.route.is_some() => {
                            let share: f64 = decision.backends.iter().map(|to| to.p).sum();
                            share < 1.0 || backends.iter().any(|backend| !daemon.serves(backend))
                        }
                        (Mode::Terminate, Greeting::Certificate(der)) => {
                            let Some(CertificateRef::Secret(found)) = decision.certificate else {
                                panic!("{decision:?}")
                            };
                            let object = world.cluster.get::<Secret>(&found.namespace, &found.name).unwrap();
                            secret::load(object).unwrap().chain[0] == *der
                        }
                        _ => false,
                    };
                    let (name, mode, reason) = (&case["name"], decision.mode, decision.reason);
                    tally.asked((!agrees).then(|| format!("{name}: {ask}\n  {mode}, {reason}\n  Envoy {greeting:?}")));
                }
            }
        }
    }
    tally.end(50, 0);
}

#[test]
fn envoy_starts_whatever_the_manifests_say() {
    if envoy().is_none() {
        println!("skipped: there is no envoy here");
        return;
    }
    let mut fleet = Fleet::new();
    for (n, text) in TEXTS.into_iter().enumerate() {
        let objects: Vec<String> = filled_with(text).iter().map(Value::to_string).collect();
        let world = world(&objects.join("\n---\n"));
        let proved = Proved::new(&mut fleet, &world.cluster, &"default/edge".parse().unwrap(), &format!("{n} "));
        assert!(proved.is_some());
    }
    fleet.start().unwrap();
}

/// The worlds that are generated, and how many of them an Envoy gets.
const WORLDS: usize = 2000;
const TOGETHER: usize = 250;
/// The requests that each world is asked.
const REQUESTS: usize = 10;

const HOSTNAMES: [&str; 7] =
    ["a.example", "b.a.example", "*.example", "*.a.example", "x.org", "*.org", "c.b.a.example"];
const PATHS: [(&str, &str); 16] = [
    ("PathPrefix", "/"),
    ("PathPrefix", "/"),
    ("PathPrefix", "/a"),
    ("PathPrefix", "/a/"),
    ("PathPrefix", "/a/b"),
    ("PathPrefix", "/a.b"),
    ("PathPrefix", "/a%20b"),
    ("Exact", "/"),
    ("Exact", "/a"),
    ("Exact", "/a/"),
    ("Exact", "/a/b"),
    ("RegularExpression", "/a/[0-9]+"),
    ("RegularExpression", "/(a|b)(/.*)?"),
    ("RegularExpression", r"/[[:alpha:]&&[^z]]\b.*"),
    ("RegularExpression", "(?i)/A.B"),
    ("RegularExpression", r"/\w+/\d{1,2}"),
];
const URIS: [&str; 26] = [
    "/",
    "/a",
    "/a/",
    "/a?q=1",
    "/a/b",
    "/a/b/",
    "/ab",
    "/A",
    "/A/B",
    "/a/7",
    "/a/7/x",
    "/b",
    "/b/x",
    "/a//b",
    "/a/./b/../b",
    "/a.b",
    "/aXb",
    "/a%20b/c",
    "/a%2Fb",
    "/z?q=2&q=1",
    "/zz/12?p&q=1",
    "/?q=",
    "/../a",
    "/a/..",
    "/a/b?x=/&q=1x",
    "/a%3Fb",
];
const HOSTS: [&str; 14] = [
    "a.example",
    "A.Example",
    "a.example:80",
    "a.example.",
    "b.a.example",
    "c.b.a.example",
    "d.c.b.a.example",
    "x.example",
    "example",
    "x.org",
    "y.x.org",
    "10.0.0.1",
    "[::1]:80",
    "y.b.a.example.:80",
];
const VALUES: [&str; 5] = ["one", "two", "One", "one,two", "%d \"q\" {}\\"];

/// One of a route's matches.
fn found(numbers: &mut Numbers) -> Value {
    let mut found = json!({});
    if numbers.below(4) > 0 {
        let (path_type, path) = numbers.one(&PATHS);
        found["path"] = json!({"type": path_type, "value": path});
    }
    if numbers.below(4) == 0 {
        found["method"] = numbers.one(&["GET", "POST", "OPTIONS"]).into();
    }
    let conditions = |numbers: &mut Numbers, names: &[&str], chance: usize| -> Value {
        let count = if numbers.below(chance) == 0 { 1 + numbers.below(2) } else { 0 };
        let one = |_| {
            let is_regex = numbers.below(3) == 0;
            let value = if is_regex {
                numbers.one(&["one|two", "[a-z]+", "o.*", "1?"])
            } else {
                numbers.one(&["one", "two", "1"])
            };
            json!({"type": if is_regex { "RegularExpression" } else { "Exact" }, "name": numbers.one(names), "value": value})
        };
        (0..count).map(one).collect::<Vec<_>>().into()
    };
    found["headers"] = conditions(numbers, &["x-env", "X-Env", "x-other"], 4);
    found["queryParams"] = conditions(numbers, &["q", "p"], 5);
    found
}

fn header_edits(numbers: &mut Numbers) -> Value {
    let mut header = |name| json!({"name": name, "value": numbers.one(&VALUES)});
    let all = [header("x-a"), header("X-B"), header("x-env")];
    let mut some = || all.iter().filter(|_| numbers.below(3) == 0).cloned().collect::<Vec<_>>();
    let (set, add) = (some(), some());
    json!({"set": set, "add": add, "remove": if numbers.below(3) == 0 { vec![numbers.one(&["x-a", "x-c", "x-env"])] } else { Vec::new() }})
}

fn filters(numbers: &mut Numbers, has_one_prefix: bool) -> Vec<Value> {
    let mut filters = Vec::new();
    let path = |numbers: &mut Numbers| match (has_one_prefix, numbers.below(2)) {
        (true, 0) => {
            json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": numbers.one(&["/", "", "/r", "/r/", r"/r\1"])})
        }
        _ => json!({"type": "ReplaceFullPath", "replaceFullPath": numbers.one(&["/full", "/full/", r"/f\1"])}),
    };
    if numbers.below(4) == 0 {
        filters.push(json!({"type": "RequestHeaderModifier", "requestHeaderModifier": header_edits(numbers)}));
    }
    if numbers.below(4) == 0 {
        filters.push(json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": header_edits(numbers)}));
    }
    if numbers.below(8) == 0 {
        filters.push(json!({"type": "CORS", "cors": {
            "allowOrigins": [numbers.one(&["*", "https://a.example", "https://*.b.example"])],
            "allowMethods": ["GET", "PUT"], "exposeHeaders": ["x-a", "x-b"], "maxAge": 7,
            "allowCredentials": numbers.below(2) == 0}}));
    }
    if numbers.below(40) == 0 {
        filters.push(json!({"type": "ExtensionRef", "extensionRef": {"group": "g.example", "kind": "K", "name": "n"}}));
    }
    match numbers.below(8) {
        0 => {
            let mut redirect = json!({});
            if numbers.below(2) == 0 {
                redirect["scheme"] = numbers.one(&["http", "https"]).into();
            }
            if numbers.below(2) == 0 {
                redirect["hostname"] = "r.example".into();
            }
            if numbers.below(3) == 0 {
                redirect["port"] = numbers.one(&[80, 443, 8080]).into();
            }
            if numbers.below(2) == 0 {
                redirect["path"] = path(numbers);
            }
            if numbers.below(2) == 0 {
                redirect["statusCode"] = numbers.one(&[301, 302, 303, 307, 308]).into();
            }
            filters.push(json!({"type": "RequestRedirect", "requestRedirect": redirect}));
        }
        1 | 2 => {
            let mut rewrite = json!({});
            if numbers.below(2) == 0 {
                rewrite["hostname"] = "h.example".into();
            }
            if numbers.below(4) > 0 {
                rewrite["path"] = path(numbers);
            }
            filters.push(json!({"type": "URLRewrite", "urlRewrite": rewrite}));
        }
        3 => {
            let mut mirror = json!({"backendRef": {"name": numbers.one(&["mirror", "down"]), "port": 80}});
            if numbers.below(2) == 0 {
                mirror["percent"] = numbers.one(&[0, 100]).into();
            }
            filters.push(json!({"type": "RequestMirror", "requestMirror": mirror}));
        }
        _ => {}
    }
    filters
}

/// The manifests of some worlds: a Gateway each, with the routes that name it.
fn worlds(numbers: &mut Numbers, range: std::ops::Range<usize>) -> String {
    let mut manifests = String::new();
    let mut push = |object: Value| manifests += &format!("---\n{object}\n");
    push(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "c"},
        "spec": {"controllerName": "e.example/c"}}));
    for (i, name) in ["web", "api", "mirror", "down"].into_iter().enumerate() {
        push(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}),
        );
        push(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": [format!("10.0.0.{}", i + 1)], "conditions": {"ready": name != "down"}}],
            "ports": [{"name": "", "port": 80, "protocol": "TCP"}]}));
    }
    for n in range {
        let mut hosts = BTreeSet::new();
        let listeners: Vec<Value> = (0..=numbers.below(3))
            .filter_map(|i| {
                let host = if numbers.below(2) == 0 { None } else { Some(numbers.one(&HOSTNAMES)) };
                let port = numbers.one(&[80, 80, 8080]);
                let protocol_and_port =
                    json!({"name": format!("l{i}"), "port": port, "protocol": "HTTP", "hostname": host});
                hosts.insert((port, host)).then_some(protocol_and_port)
            })
            .collect();
        push(
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": format!("w{n}")},
            "spec": {"gatewayClassName": "c", "listeners": listeners}}),
        );
        for i in 0..=numbers.below(4) {
            let hostnames: BTreeSet<&str> = (0..numbers.below(3)).map(|_| numbers.one(&HOSTNAMES)).collect();
            let rules: Vec<Value> = (0..=numbers.below(3))
                .map(|_| {
                    let matches: Vec<Value> = (0..numbers.below(3)).map(|_| found(numbers)).collect();
                    let is_prefix = |found: &Value| found["path"].is_null() || found["path"]["type"] == "PathPrefix";
                    let has_one_prefix = matches.is_empty() || (matches.len() == 1 && is_prefix(&matches[0]));
                    let filters = filters(numbers, has_one_prefix);
                    let redirects = filters.iter().any(|filter| filter["type"] == "RequestRedirect");
                    let backends: Vec<Value> = (0..numbers.one(&[0, 1, 1, 1, 2, 3]))
                        .filter(|_| !redirects)
                        .map(|_| {
                            let name = numbers.one(&["web", "web", "web", "api", "api", "down", "gone"]);
                            let mut reference = json!({"name": name, "port": 80, "weight": numbers.one(&[0, 1, 1, 9])});
                            if numbers.below(6) == 0 {
                                reference["filters"] = json!([{"type": "RequestHeaderModifier",
                                    "requestHeaderModifier": header_edits(numbers)}, {"type": "ResponseHeaderModifier",
                                    "responseHeaderModifier": header_edits(numbers)}]);
                            }
                            reference
                        })
                        .collect();
                    json!({"matches": matches, "filters": filters, "backendRefs": backends})
                })
                .collect();
            let mut metadata = json!({"name": format!("w{n}-{i}")});
            if numbers.below(3) > 0 {
                metadata["creationTimestamp"] =
                    numbers.one(&["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]).into();
            }
            push(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata,
                "spec": {"parentRefs": [{"name": format!("w{n}")}], "hostnames": hostnames, "rules": rules}}));
        }
    }
    manifests
}

#[test]
fn envoy_answers_in_generated_worlds_as_the_library_does() {
    if envoy().is_none() {
        println!("skipped: there is no envoy here");
        return;
    }
    let mut numbers = Numbers(20_260_711);
    let mut tally = Tally::default();
    for start in (0..WORLDS).step_by(TOGETHER) {
        let range = start..start + TOGETHER;
        let world = world(&worlds(&mut numbers, range.clone()));
        let mut fleet = Fleet::new();
        let proved: Vec<Proved> = range
            .map(|n| Proved::new(&mut fleet, &world.cluster, &NamespacedName::new("default", format!("w{n}")), ""))
            .map(|proved| proved.expect("the Gateway is there"))
            .collect();
        let mut daemon = fleet.start().unwrap();
        for proved in &proved {
            for _ in 0..REQUESTS {
                let uri = numbers.one(&URIS);
                let headers =
                    numbers.headers(&["https://a.example", "https://x.b.example", "https://b.example", "null"]);
                let request = Request {
                    method: numbers.one(&["GET", "GET", "GET", "POST", "OPTIONS"]),
                    host: numbers.one(&HOSTS),
                    uri,
                    headers: &headers,
                    server_name: None,
                };
                let port = numbers.one(&[80, 80, 8080]);
                let question = question(Scheme::Http, Some(port), request.host, uri, request.method, &headers);
                if tally.leaves_out(left_out(&request, question.path)) {
                    continue;
                }
                let kind = match proved.gateway.table().decide(&question, None).outcome {
                    Outcome::Forward { .. } => "forward",
                    Outcome::Redirect { .. } => "redirect",
                    Outcome::Respond { status: 404, .. } => "not found",
                    _ => "respond",
                };
                tally.decided(kind);
                tally.asked(proved.differ(&mut daemon, &request, &question));
            }
        }
    }
    tally.end(WORLDS * 5, 500);
}
