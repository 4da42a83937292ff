//! A real Envoy, configured by what is rendered of Istio's gateways and sidecars, answers as the library decides. On loopback; skipped where
//! there is no Envoy.

mod daemon;
mod numbers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use daemon::{
    Asked, Daemon, End, Expected, Fleet, Greeting, NOW, Ports, Request, Tally, edited, envoy, greet, question,
    server_name, set, world,
};
use envoy_config::{Settings, render_istio_gateway, render_mesh};
use numbers::Numbers;
use route_match::action::WeightedBackend;
use route_match::istio::{
    Caller, Destination, Destinations, GatewayStreams, HttpDecision, HttpQuestion, IstioGatewayTable, MeshDecision,
    MeshTable, Outcome, Reason, Scheme, Server,
};
use route_match::{Authority, PathNormalisation};
use serde_json::{Value, json};
use svc_model::api::{Pod, Secret};
use svc_model::{Cluster, NamespacedName};
use svctrace::cases;
use svctrace::mesh;
use svctrace::world::World;
use tls_sni::istio::IstioTls;
use tls_sni::secret::{self, TLS_CRT, TLS_KEY};
use tls_sni::{Alpn, CertificateRef, Mode, Sni, TlsQuestion};

/// A proxy, here and in an Envoy.
struct Proved {
    proxy: Proxy,
    prefix: String,
    ports: Ports,
}

enum Proxy {
    Gateway { table: Box<IstioGatewayTable>, tls: IstioTls },
    Sidecar(Box<MeshTable>),
}

impl Proved {
    /// Adds the proxy of a Gateway to a fleet; `None` if there is no Gateway of the name.
    fn gateway(fleet: &mut Fleet, cluster: &Cluster, name: &NamespacedName, prefix: &str) -> Option<Self> {
        let table = IstioGatewayTable::compile(cluster, name).ok()?;
        let settings_of_mesh = mesh::config(cluster).ok()?;
        let streams = Arc::new(GatewayStreams::compile(cluster, &settings_of_mesh, &table));
        let tls = IstioTls::new(cluster, &table, streams);
        let caller = Caller::new(table.proxy().namespace.clone(), table.proxy().labels.clone());
        let destinations = Destinations::new(cluster, &settings_of_mesh, &caller);
        let directory = fleet.directory.join(format!("certificates{}", prefix.trim()));
        for at in 0..table.servers().accepted.len() {
            if let Some(found) = tls.client_authority(at) {
                let secret = cluster.get::<Secret>(&found.namespace, &found.name)?;
                let value = secret.value("cacert").or_else(|| secret.value("ca.crt"));
                let files = directory.join(&*found.namespace).join(&*found.name);
                daemon::write(&files.join("ca.crt"), value.expect("an authority"));
            }
            for found in tls.usable_secrets(at) {
                let secret = cluster.get::<Secret>(&found.namespace, &found.name)?;
                let files = directory.join(&*found.namespace).join(&*found.name);
                for (key, other) in [(TLS_CRT, "cert"), (TLS_KEY, "key")] {
                    let value = secret.value(key).or_else(|| secret.value(other));
                    daemon::write(&files.join(key), value.expect("a usable Secret has both"));
                }
            }
        }
        let mut settings = Settings::default();
        settings.certificates = directory.display().to_string();
        let rendered = render_istio_gateway(cluster, &table, &tls, &destinations, &settings);
        let ports = fleet.add(prefix, &rendered.bootstrap);
        Some(Self { proxy: Proxy::Gateway { table: Box::new(table), tls }, prefix: prefix.to_owned(), ports })
    }

    /// Adds the sidecar of a caller.
    fn sidecar(fleet: &mut Fleet, cluster: &Cluster, caller: &Caller, prefix: &str) -> Self {
        let table = MeshTable::compile(cluster, &mesh::config(cluster).unwrap(), caller);
        let rendered = render_mesh(cluster, &table, &Settings::default());
        let ports = fleet.add(prefix, &rendered.bootstrap);
        Self { proxy: Proxy::Sidecar(Box::new(table)), prefix: prefix.to_owned(), ports }
    }

    /// What is decided; `None` where no requests are read.
    fn decide<'p>(&'p self, request: &Request<'_>, question: &HttpQuestion<'_>) -> Option<HttpDecision<'p>> {
        match &self.proxy {
            Proxy::Gateway { table, .. } => Some(table.decide(question, server_name(request).as_ref())),
            Proxy::Sidecar(table) => match table.decide(question) {
                MeshDecision::Http(decision) => Some(decision),
                MeshDecision::Stream(_) => None,
            },
        }
    }

    /// What Envoy must answer.
    fn expected(
        &self,
        decision: &HttpDecision<'_>,
        request: &Request<'_>,
        question: &HttpQuestion<'_>,
        daemon: &Daemon,
    ) -> Expected {
        let route = decision.rule.map(|rule| rule.origin.to_string()).unwrap_or_default();
        match (&decision.outcome, decision.rule) {
            (Outcome::Forward { path, host, only, cors, .. }, Some(rule)) => {
                let shares = rule.action.backends().into_iter().flat_map(|backends| backends.shares());
                let normal = PathNormalisation::Base.apply(question.path).expect("it was decided on");
                let query = request.uri.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
                let uri = path.clone().unwrap_or_else(|| String::from_utf8_lossy(&normal).into_owned()) + &query;
                let end = |entry: &WeightedBackend<Destination>| {
                    let name = self.cluster(&entry.backend);
                    if !daemon.serves(&name) {
                        return End::Failure(503);
                    }
                    let filters = rule.action.filters_for(Some(entry));
                    let host = host.or(filters.filter_map(|filters| filters.host.as_deref()).last());
                    let host = host.unwrap_or(request.host).to_owned();
                    let mut headers = request.headers.to_vec();
                    headers.push(("host".to_owned(), host.clone()));
                    let (mut request, mut response) = edited(&rule.action, entry, headers);
                    request.insert("host".to_owned(), host);
                    response.extend(set(cors));
                    End::Backend { name, uri: uri.clone(), request, response }
                };
                let aborts = rule.action.fault.and_then(|fault| fault.abort);
                let mirrors = rule.action.filters_for(*only).flat_map(|filters| &filters.mirrors);
                let copies = mirrors.filter(|mirror| mirror.share.is_all()).map(|mirror| self.cluster(&mirror.backend));
                Expected::Forward {
                    route,
                    ends: shares
                        .map(|(entry, _)| end(entry))
                        .chain(aborts.map(|(_, status)| End::Failure(status.http())))
                        .collect(),
                    copies: copies.filter(|copy| daemon.serves(copy)).collect(),
                }
            }
            (Outcome::Redirect { code, location }, Some(rule)) => {
                // That of a server's `httpsRedirect` is no route.
                let named = rule.origin.virtual_service().is_some();
                Expected::Redirect {
                    route: if named { route } else { String::new() },
                    code: *code,
                    location: location.clone(),
                }
            }
            (Outcome::Respond { status, cors, .. }, rule) => {
                let named = rule.is_some() && matches!(decision.reason, Reason::Rule(_));
                Expected::Status { route: named.then_some(route), status: *status, headers: set(cors) }
            }
            _ => Expected::Silence,
        }
    }

    fn cluster(&self, to: &Destination) -> String {
        if *to.host == *"PassthroughCluster" {
            return format!("{}{}", self.prefix, to.host);
        }
        let subset = to.subset.as_deref().unwrap_or_default();
        format!("{}outbound|{}|{subset}|{}", self.prefix, to.port, to.host)
    }

    /// Asks both and compares; `None` if they agree.
    fn differ(&self, daemon: &mut Daemon, request: &Request<'_>, question: &HttpQuestion<'_>) -> Option<String> {
        let decision = self.decide(request, question)?;
        let port = self.ports.get(&question.port);
        let is_refused = question.scheme == Scheme::Https
            && match &self.proxy {
                Proxy::Gateway { tls, .. } => {
                    let name = server_name(request);
                    let mut handshake = TlsQuestion::new(Sni::new(name.as_ref().map(|name| name.as_str().as_bytes())));
                    handshake.port = question.port;
                    tls.decide(&handshake, NOW).mode != Mode::Terminate
                }
                Proxy::Sidecar(_) => false,
            };
        let expected = match is_refused || port.is_none() {
            true => Expected::Silence,
            false => self.expected(&decision, request, question, daemon),
        };
        let answered = match port {
            None => Err("nothing listens".to_owned()),
            Some(port) => daemon.ask(*port, request),
        };
        let wrong = expected.compare(&answered, request, daemon);
        (!wrong.is_empty()).then(|| format!("{request:?} port {}\n  {decision}\n  {wrong}", question.port))
    }
}

/// Why a question is not asked: Envoy answers it differently by nature, or it cannot be sent.
fn left_out(proved: &Proved, request: &Request<'_>, question: &HttpQuestion<'_>) -> Option<&'static str> {
    if request.host.contains(['\0', '\r', '\n']) || request.uri.contains(['\0', ' ', '\r', '\n']) {
        return Some("cannot be sent as HTTP/1.1");
    }
    if request.server_name.is_some() && !daemon::runs("curl") {
        return Some("TLS: there is no curl here");
    }
    match Authority::parse(request.host) {
        Err(_) => return Some("a Host that is none: Envoy has its own judgement of these"),
        // A rule of this project: one canonical form of every name.
        Ok(_) if request.host.split(':').next().is_some_and(|name| name.ends_with('.')) => {
            return Some("a dot at the end of the Host, which Istio's Envoy keeps");
        }
        Ok(_) => {}
    }
    if PathNormalisation::Base.apply(question.path).is_err() {
        return Some("a path that is none: Envoy has its own judgement of these");
    }
    proved.decide(request, question).is_none().then_some("bytes that no sidecar reads as requests")
}

/// The questions of the cases, by the proxy that is asked.
fn asks(kind: &str) -> Vec<(String, World, String, Vec<Value>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svctrace/tests/cases");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if !["istio-", "envoy-oracle", "tls-istio"].iter().any(|start| file.starts_with(start)) {
            continue;
        }
        for case in cases::load(&directory.join(&file)).unwrap() {
            let mut by_proxy: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for query in case["queries"].as_array().into_iter().flatten() {
                let ask = &query["ask"];
                let to = ask["to"].as_str().unwrap_or_default();
                if ask["kind"] == kind && (to == "mesh" || to.starts_with("IstioGateway/")) {
                    let proxy = format!("{to} {}", ask["from"].as_str().unwrap_or_default());
                    by_proxy.entry(proxy).or_default().push(ask.clone());
                }
            }
            for (proxy, asks) in by_proxy {
                let name = format!("{file}: {}", case["name"].as_str().unwrap());
                found.push((name, world(case["world"].as_str().unwrap_or_default()), proxy, asks));
            }
        }
    }
    found
}

/// Who asks, of the form `NAMESPACE/POD`; of a Pod that is not there its namespace is known.
fn caller(cluster: &Cluster, from: &str) -> Caller {
    let (namespace, pod) = from.split_once('/').unwrap_or(("default", from));
    let pod = cluster.get::<Pod>(namespace, pod);
    Caller::new(namespace, pod.map(|pod| pod.metadata.labels.clone()).unwrap_or_default())
}

#[test]
fn envoy_answers_every_question_of_the_cases_as_the_library_does() {
    if envoy().is_none() {
        println!("skipped: there is no envoy here");
        return;
    }
    let mut fleet = Fleet::new();
    let mut proxies: Vec<(String, Proved, Vec<Value>)> = Vec::new();
    for (case, world, proxy, asks) in asks("http") {
        let prefix = format!("{} ", proxies.len());
        let (to, from) = proxy.split_once(' ').unwrap();
        let proved = match to.strip_prefix("IstioGateway/") {
            Some(name) => Proved::gateway(&mut fleet, &world.cluster, &name.parse().unwrap(), &prefix),
            None => Some(Proved::sidecar(&mut fleet, &world.cluster, &caller(&world.cluster, from), &prefix)),
        };
        proxies.extend(proved.map(|proved| (case, proved, asks)));
    }
    let mut daemon = fleet.start().unwrap();
    let mut tally = Tally::default();
    for (case, proved, asks) in &proxies {
        for ask in asks {
            let read = Asked::read(ask);
            let (request, question) = (read.request(), read.question());
            if tally.leaves_out(left_out(proved, &request, &question)) {
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
    let mut tally = Tally::default();
    for (case, world, proxy, asks) in asks("tls") {
        let Some(name) = proxy.trim().strip_prefix("IstioGateway/") else { continue };
        let mut fleet = Fleet::new();
        let Some(proved) = Proved::gateway(&mut fleet, &world.cluster, &name.parse().unwrap(), "") else { continue };
        let Proxy::Gateway { tls, table } = &proved.proxy else { continue };
        let daemon = fleet.start().unwrap_or_else(|error| panic!("{case}: {error}"));
        for ask in asks {
            let name = ask["sni"].as_str().filter(|name| !name.is_empty());
            let sni = Sni::new(name.map(str::as_bytes));
            let own = ["sigalgs", "versions", "hello", "now"];
            let offered: Vec<&str> = ask["alpn"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let names: Vec<&[u8]> = offered.iter().map(|name| name.as_bytes()).collect();
            let mut question = TlsQuestion::new(sni);
            question.alpn = Alpn::new(&names);
            question.port = ask["port"].as_u64().map_or(443, |port| u16::try_from(port).unwrap());
            let of_mesh = |server: &Server| {
                server.port == question.port && server.tls.as_ref().is_some_and(|tls| tls.mode == "ISTIO_MUTUAL")
            };
            let why = if own.iter().any(|key| !ask[*key].is_null()) {
                Some("a client or a time of its own")
            } else if name.is_some() && question.sni.name().is_none() {
                Some("a server name that is none: Envoy has its own judgement of these")
            } else if table.servers().accepted.iter().any(of_mesh) {
                Some("certificates of the mesh are not written")
            } else {
                None
            };
            if tally.leaves_out(why) {
                continue;
            }
            let decision = tls.decide(&question, NOW);
            let greeting = match proved.ports.get(&question.port) {
                None => Greeting::Closed,
                Some(port) => greet(*port, name, &offered).unwrap(),
            };
            let backends: Vec<String> = decision
                .rule
                .into_iter()
                .flat_map(|rule| rule.backends.shares())
                .map(|(entry, _)| proved.cluster(&entry.backend))
                .collect();
            let agrees = match (decision.mode, &greeting) {
                (Mode::Reject, greeting) => *greeting == Greeting::Closed,
                (Mode::Passthrough, Greeting::Backend(backend)) => backends.contains(backend),
                // Where nobody serves the bytes Envoy closes even before it ends TLS.
                (Mode::Passthrough | Mode::Terminate, Greeting::Closed) if !backends.is_empty() => {
                    backends.iter().any(|backend| !daemon.serves(backend))
                }
                (Mode::Terminate, Greeting::Certificate(der)) => {
                    let Some(CertificateRef::Secret(found)) = decision.certificate else { panic!("{decision:?}") };
                    let object = world.cluster.get::<Secret>(&found.namespace, &found.name).unwrap();
                    secret::load_credential(object).unwrap().chain[0] == *der
                }
                _ => false,
            };
            let (mode, reason) = (decision.mode, decision.reason);
            tally.asked((!agrees).then(|| format!("{case}: {ask}\n  {mode}, {reason}\n  Envoy {greeting:?}")));
        }
    }
    tally.end(20, 0);
}

/// The worlds that are generated, and how many of them an Envoy gets.
const WORLDS: usize = 2000;
const TOGETHER: usize = 250;
/// The requests that each world is asked.
const REQUESTS: usize = 10;

const HOSTS_OF_SERVERS: [&str; 5] = ["*", "*.example", "a.example", "*/b.a.example", "*.a.example"];
const HOSTS_OF_RULES: [&str; 6] = ["*", "*.example", "a.example", "b.a.example", "*.a.example", "x.org"];
const URIS: [&str; 24] = [
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
    "/a//b",
    "/a/./b/../b",
    "/a.b",
    "/%61/b",
    "/a%2Fb",
    "/z?q=2&q=1",
    "/zz/12?p&q=1",
    "/?q=",
    "/../a",
    r"/a\b",
    "/a/b?x=/&q=1x",
    "/%7ea",
];
const HOSTS: [&str; 10] = [
    "a.example",
    "A.Example",
    "a.example:80",
    "b.a.example",
    "c.b.a.example",
    "x.example",
    "example",
    "x.org:8080",
    "10.0.0.1",
    "[::1]:80",
];

fn text_match(numbers: &mut Numbers, texts: &[&str], regexes: &[&str]) -> Value {
    match numbers.below(3) {
        0 => json!({"exact": numbers.one(texts)}),
        1 => json!({"prefix": numbers.one(texts)}),
        _ => json!({"regex": numbers.one(regexes)}),
    }
}

fn found(numbers: &mut Numbers) -> Value {
    let mut found = json!({});
    if numbers.below(4) > 0 {
        let texts = ["/", "/a", "/a/", "/a/b", "/A", "/a.b", "/a//b"];
        found["uri"] = text_match(numbers, &texts, &[".*", "/a/[0-9]+", "/(a|b)(/.*)?", "(?i)/A.B", r"/\w+/\d{1,2}"]);
        found["ignoreUriCase"] = (numbers.below(4) == 0).into();
    }
    let values = ["one", "two", "1"];
    let regexes = ["one|two", "[a-z]+", "o.*", ".*", "1?"];
    if numbers.below(5) == 0 {
        found["method"] = text_match(numbers, &["GET", "POST", "OPTIONS"], &["GET|POST"]);
    }
    if numbers.below(8) == 0 {
        found["authority"] = text_match(numbers, &["a.example", "a.example:80"], &[".*example", "[a-z.]+"]);
    }
    if numbers.below(8) == 0 {
        found["scheme"] = text_match(numbers, &["http", "https"], &["https?"]);
    }
    if numbers.below(4) == 0 {
        let one = if numbers.below(4) == 0 { json!({}) } else { text_match(numbers, &values, &regexes) };
        found["headers"] = json!({numbers.one(&["x-env", "X-Other"]): one});
    }
    if numbers.below(5) == 0 {
        let one = if numbers.below(4) == 0 { json!({}) } else { text_match(numbers, &values, &regexes) };
        found["withoutHeaders"] = json!({numbers.one(&["x-env", "x-other"]): one});
    }
    if numbers.below(5) == 0 {
        found["queryParams"] = json!({numbers.one(&["q", "p"]): text_match(numbers, &values, &regexes)});
    }
    found
}

fn header_edits(numbers: &mut Numbers) -> Value {
    let value = numbers.one(&["one", "%d \"q\" {}\\", "two"]);
    match numbers.below(4) {
        0 => json!({"request": {"set": {"x-env": value}, "add": {"x-b": value}}}),
        1 => json!({"request": {"remove": ["x-env"], "set": {"Host": "set.example"}}}),
        2 => json!({"response": {"set": {"x-b": value}, "remove": ["x-a"]}}),
        _ => json!({"response": {"add": {"x-a": value}}, "request": {"add": {"x-env": value}}}),
    }
}

fn rule(numbers: &mut Numbers) -> Value {
    let matches: Vec<Value> = (0..numbers.below(3)).map(|_| found(numbers)).collect();
    let mut rule = json!({"match": matches});
    if numbers.below(4) == 0 {
        rule["headers"] = header_edits(numbers);
    }
    if numbers.below(8) == 0 {
        rule["corsPolicy"] = json!({"allowOrigins": [text_match(numbers, &["https://a.example", "https://x.b.example"], &["https://.*"])],
            "allowMethods": ["GET", "PUT"], "exposeHeaders": ["x-b"], "maxAge": "7s",
            "unmatchedPreflights": numbers.one(&["FORWARD", "IGNORE"])});
    }
    match numbers.below(8) {
        0 => {
            let mut redirect = json!({});
            for (key, value) in [("uri", "/to"), ("authority", "r.example"), ("scheme", "https")] {
                if numbers.below(2) == 0 {
                    redirect[key] = value.into();
                }
            }
            if numbers.below(3) == 0 {
                redirect["port"] = numbers.one(&[80, 443, 8080]).into();
            }
            if redirect == json!({}) {
                redirect["uri"] = "/to?own=1".into();
            }
            redirect["redirectCode"] = numbers.one(&[301, 302, 303, 307, 308]).into();
            rule["redirect"] = redirect;
        }
        1 => {
            rule["directResponse"] =
                json!({"status": numbers.one(&[200, 404, 503]), "body": {"string": "{\"b\": \"%s\"}"}})
        }
        _ => {
            let mut route: Vec<Value> = (0..=numbers.below(2))
                .map(|_| {
                    let host = numbers.one(&["web", "web", "api", "down", "gone.example"]);
                    let mut entry = json!({"destination": {"host": host, "port": {"number": 80}}, "weight": numbers.one(&[1, 9, 0])});
                    if numbers.below(3) == 0 {
                        entry["destination"]["subset"] = numbers.one(&["v1", "v1", "none"]).into();
                    }
                    if numbers.below(6) == 0 {
                        entry["headers"] = header_edits(numbers);
                    }
                    entry
                })
                .collect();
            if route.iter().all(|entry| entry["weight"] == 0) {
                route[0]["weight"] = 1.into();
            }
            rule["route"] = route.into();
            match numbers.below(6) {
                0 => rule["rewrite"] = json!({"uri": numbers.one(&["/", "/r", "/r/", r"/r\1"])}),
                1 => rule["rewrite"] = json!({"uri": "/r", "authority": "w.example"}),
                2 => {
                    rule["rewrite"] =
                        json!({"uriRegexRewrite": {"match": numbers.one(&["/([a-z])", "a"]), "rewrite": r"/\1z"}})
                }
                _ => {}
            }
            if numbers.below(8) == 0 {
                let value = numbers.one(&[100, 100, 50]);
                rule["fault"] =
                    json!({"abort": {"httpStatus": numbers.one(&[418, 503]), "percentage": {"value": value}}});
            }
            if numbers.below(8) == 0 {
                rule["mirror"] = json!({"host": numbers.one(&["mirror", "down"]), "port": {"number": 80}});
            }
        }
    }
    rule
}

/// The manifests of some worlds: one or two Gateways of one proxy each, with the VirtualServices bound to them.
fn worlds(numbers: &mut Numbers, range: std::ops::Range<usize>) -> String {
    let mut manifests = String::new();
    let mut push = |object: Value| manifests += &format!("---\n{object}\n");
    for (i, name) in ["web", "api", "mirror", "down"].into_iter().enumerate() {
        push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": name}}}));
        if name != "down" {
            push(
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name, "version": "v1"}},
                "status": {"phase": "Running", "podIP": format!("10.0.0.{}", i + 1), "conditions": [{"type": "Ready", "status": "True"}]}}),
            );
        }
        push(json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": name},
            "spec": {"host": name, "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}}));
    }
    for n in range {
        let gateways: Vec<String> = (0..=numbers.below(2)).map(|i| format!("g{n}-{i}")).collect();
        for name in &gateways {
            let servers: Vec<Value> = (0..=numbers.below(2))
                .map(|i| {
                    let mut server = json!({"port": {"number": numbers.one(&[80, 80, 8080]), "name": format!("http-{i}"), "protocol": "HTTP"},
                        "hosts": [numbers.one(&HOSTS_OF_SERVERS)]});
                    if numbers.below(8) == 0 {
                        server["tls"] = json!({"httpsRedirect": true});
                    }
                    server
                })
                .collect();
            push(json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": name},
                "spec": {"selector": {"proxy": format!("p{n}")}, "servers": servers}}));
        }
        for i in 0..=numbers.below(4) {
            let hosts: std::collections::BTreeSet<&str> =
                (0..=numbers.below(2)).map(|_| numbers.one(&HOSTS_OF_RULES)).collect();
            let rules: Vec<Value> = (0..=numbers.below(3)).map(|_| rule(numbers)).collect();
            let mut metadata = json!({"name": format!("v{n}-{i}")});
            if numbers.below(3) > 0 {
                metadata["creationTimestamp"] = numbers.one(&["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]).into();
            }
            let bound: Vec<&String> = gateways.iter().filter(|_| numbers.below(4) > 0).collect();
            push(json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata,
                "spec": {"hosts": hosts, "gateways": if bound.is_empty() { gateways.iter().collect() } else { bound }, "http": rules}}));
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
    let mut numbers = Numbers(20_261_128);
    let mut tally = Tally::default();
    for start in (0..WORLDS).step_by(TOGETHER) {
        let range = start..start + TOGETHER;
        let world = world(&worlds(&mut numbers, range.clone()));
        let mut fleet = Fleet::new();
        let proved: Vec<Proved> = range
            .map(|n| {
                Proved::gateway(&mut fleet, &world.cluster, &NamespacedName::new("default", format!("g{n}-0")), "")
            })
            .map(|proved| proved.expect("the Gateway is there"))
            .collect();
        let mut daemon = fleet.start().unwrap();
        for proved in &proved {
            for _ in 0..REQUESTS {
                let headers = numbers.headers(&["https://a.example", "https://x.b.example", "http://b.example"]);
                let request = Request {
                    method: numbers.one(&["GET", "GET", "GET", "POST", "OPTIONS"]),
                    host: numbers.one(&HOSTS),
                    uri: numbers.one(&URIS),
                    headers: &headers,
                    server_name: None,
                };
                let port = numbers.one(&[80, 80, 8080]);
                let question = question(Scheme::Http, Some(port), request.host, request.uri, request.method, &headers);
                if tally.leaves_out(left_out(proved, &request, &question)) {
                    continue;
                }
                let kind = match proved.decide(&request, &question).map(|decision| decision.outcome) {
                    Some(Outcome::Forward { .. }) => "forward",
                    Some(Outcome::Redirect { .. }) => "redirect",
                    Some(Outcome::Respond { status: 404, .. }) => "not found",
                    _ => "respond",
                };
                tally.decided(kind);
                tally.asked(proved.differ(&mut daemon, &request, &question));
            }
        }
    }
    tally.end(WORLDS * 5, 400);
}
