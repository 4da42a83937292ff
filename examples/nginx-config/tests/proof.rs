//! A real nginx, configured by what is rendered, answers as the library decides. On loopback; skipped where there is no nginx.

mod daemon;

use std::collections::BTreeMap;
use std::path::Path;

use daemon::{Daemon, Request, nginx};
use route_match::RequestTarget;
use route_match::action::HeaderEdit;
use route_match::ingress::{Cause, Decision, Dialect, HttpQuestion, IngressController, Outcome, Scheme};
use serde_json::Value;
use svctrace::cases;
use svctrace::read::{Purpose, Reader};
use svctrace::world::World;

fn world(text: &str) -> World {
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world", text);
    World::new(reader.finish(), None)
}

/// What nginx must answer, in the form in which [`Daemon::ask`] tells it.
fn expected(decision: &Decision<'_>, request: &Request<'_>) -> BTreeMap<String, String> {
    let mut expected = BTreeMap::new();
    let mut say = |key: &str, value: String| drop(expected.insert(key.to_owned(), value));
    match &decision.outcome {
        Outcome::Forward { backends, request: forwarded, .. } => {
            let to = &backends.entries()[0].backend.backend;
            say("status", "200".to_owned());
            say("upstream", format!("{}-{}-{}", to.service.namespace, to.service.name, to.port));
            // Behind a new path nginx writes no `?` without anything after it.
            let query = request.uri.split_once('?').map_or("", |(_, query)| query);
            let mark = if query.is_empty() { "" } else { "?" };
            let path = forwarded.path.as_ref().map(|path| format!("{path}{mark}{query}"));
            say("uri", path.unwrap_or_else(|| request.uri.to_owned()));
            say("host", forwarded.host.clone().unwrap_or_else(|| request.host.to_owned()));
            say(
                "origin",
                match (decision.route, decision.rule) {
                    (Some(route), Some(rule)) => format!("{route} rule {rule}"),
                    (Some(route), None) => format!("{route} default backend"),
                    (None, _) => "the controller".to_owned(),
                },
            );
            for edit in forwarded.headers.iter() {
                if let HeaderEdit::Set(_, value) = edit {
                    say("prefix", value.to_string());
                }
            }
        }
        Outcome::Redirect { code, location } => {
            say("status", code.to_string());
            say("location", location.clone());
        }
        Outcome::Respond { status } => say("status", status.to_string()),
        other => panic!("{other:?}"),
    }
    for edit in decision.response_headers.iter() {
        match edit {
            // Of a preflight these are nginx's own.
            HeaderEdit::Set(name, _) if matches!(&**name, "content-type" | "content-length") => {}
            HeaderEdit::Set(name, value) => say(&format!("header {name}"), value.to_string()),
            other => panic!("{other}"),
        }
    }
    expected
}

/// Asks both and compares; `None` if they agree.
fn differ(daemon: &mut Daemon, controller: &IngressController, request: &Request<'_>) -> Option<String> {
    let target = RequestTarget::parse(request.uri);
    let mut question = HttpQuestion::new(request.scheme, request.host, target.path).method(request.method);
    question.port = daemon.port(request.scheme);
    question.query = target.query;
    question.headers = &request.headers;
    question.client = Some(request.client);
    let decision = controller.decide(&question);
    let expected = expected(&decision, request);
    let answered = match daemon.ask(request) {
        Ok(answered) => answered,
        Err(error) => return Some(format!("{request:?}: {error}")),
    };
    let wrong: Vec<String> = expected
        .iter()
        .filter(|(key, value)| answered.get(*key) != Some(value))
        .map(|(key, value)| format!("{key}: decided {value:?}, nginx {:?}", answered.get(key)))
        .collect();
    (!wrong.is_empty()).then(|| format!("{request:?}\n  {decision}\n  {}", wrong.join("\n  ")))
}

#[test]
fn nginx_answers_every_question_of_the_cases_as_the_library_does() {
    if nginx().is_none() {
        println!("skipped: there is no nginx here");
        return;
    }
    let with_tls = daemon::has_tls();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svctrace/tests/cases");
    let (mut asked, mut wrong, mut left_out) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    for file in ["class", "conformance", "nginx-paths", "nginx-annotations", "seeds"] {
        for case in cases::load(&directory.join(format!("ingress-{file}.yaml"))).unwrap() {
            let world = world(case["world"].as_str().unwrap());
            let mut by_class: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
            for query in case["queries"].as_array().into_iter().flatten() {
                let class = query["ask"]["to"].as_str().and_then(|to| to.strip_prefix("IngressClass/"));
                if let Some(class) = class.filter(|_| query["ask"]["kind"] == "http") {
                    by_class.entry(class).or_default().push(&query["ask"]);
                }
            }
            for (class, asks) in by_class {
                let Ok(controller) = IngressController::compile(&world.cluster, class) else { continue };
                if controller.dialect() != Dialect::Nginx {
                    continue;
                }
                let mut daemon = Daemon::start(&world.cluster, class, with_tls).unwrap();
                for ask in asks {
                    let mut leave_out = |why: &str| *left_out.entry(why.to_owned()).or_default() += 1;
                    let url = ask["url"].as_str().unwrap();
                    let target = RequestTarget::parse(url);
                    let scheme = if target.scheme == Some("https") { Scheme::Https } else { Scheme::Http };
                    let headers: Vec<(String, String)> = ask["headers"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                        .collect();
                    let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone());
                    let host = host.unwrap_or_else(|| target.authority.unwrap().to_owned());
                    let (_, rest) = url.split_once("://").unwrap();
                    let uri = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
                    let uri = uri.split_once('#').map_or(uri, |(before, _)| before);
                    let request = Request {
                        scheme,
                        method: ask["method"].as_str().unwrap_or("GET"),
                        host: &host,
                        uri: &if uri.starts_with('/') { uri.to_owned() } else { format!("/{uri}") },
                        headers: headers.iter().filter(|(name, _)| name != "host").cloned().collect(),
                        client: ask["src"].as_str().unwrap_or("127.0.0.1").parse().unwrap(),
                    };
                    if scheme == Scheme::Https && !with_tls {
                        leave_out("TLS: there is no curl or openssl here");
                        continue;
                    }
                    if host.contains(['\0', '\r', '\n']) || request.uri.contains(['\0', ' ', '\r', '\n']) {
                        leave_out("cannot be sent as HTTP/1.1");
                        continue;
                    }
                    let question = HttpQuestion::new(scheme, &host, target.path).headers(&request.headers);
                    let decision = controller.decide(&question);
                    if decision.reason.canary.is_some() {
                        leave_out("a canary needs code");
                        continue;
                    }
                    if decision.reason.cause == Cause::Passthrough {
                        leave_out("TLS that is passed on never reaches the http block");
                        continue;
                    }
                    if let Outcome::Forward { backends, .. } = &decision.outcome {
                        let name = &backends.entries()[0].backend.backend.service;
                        let service = world.cluster.get::<svc_model::api::Service>(&name.namespace, &name.name);
                        if service.is_some_and(|service| service.spec.is_external_name()) {
                            leave_out("an external name is resolved once, when nginx starts");
                            continue;
                        }
                    }
                    asked += 1;
                    wrong.extend(
                        differ(&mut daemon, &controller, &request).map(|lines| format!("{}: {lines}", case["name"])),
                    );
                }
            }
        }
    }
    println!("{asked} questions asked; left out: {left_out:#?}");
    assert!(wrong.is_empty(), "{} of {asked} differ\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked >= 200, "only {asked} questions could be asked");
}

/// A generator of its own: a failure is the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// The number of worlds that are generated. Hosts of different worlds have nothing to do with each other, so that one nginx has all.
const WORLDS: usize = 2000;

const PATHS: [(&str, &str); 12] = [
    ("Prefix", "/"),
    ("Prefix", "/a"),
    ("Prefix", "/a/"),
    ("Prefix", "/a/b"),
    ("Exact", "/a"),
    ("Exact", "/a/"),
    ("Exact", "/a/b"),
    ("Exact", "/"),
    ("ImplementationSpecific", "/a/[0-9]+"),
    ("ImplementationSpecific", "/(a|b)(/.*)?"),
    ("Prefix", "/A.b"),
    ("ImplementationSpecific", "/b"),
];
const ANNOTATIONS: [(&str, &str); 16] = [
    ("use-regex", "true"),
    ("rewrite-target", "/r/$1"),
    ("rewrite-target", "/$2"),
    ("rewrite-target", "https://$host:8443/x/$2"),
    ("app-root", "/a"),
    ("force-ssl-redirect", "true"),
    ("preserve-trailing-slash", "true"),
    ("permanent-redirect", "https://p.example/x"),
    ("temporal-redirect", "https://t.example"),
    ("temporal-redirect-code", "307"),
    ("allowlist-source-range", "10.0.0.0/8"),
    ("denylist-source-range", "10.1.0.0/16,192.0.2.1"),
    ("enable-cors", "true"),
    ("upstream-vhost", "v.$host"),
    ("x-forwarded-prefix", "/p/$1"),
    ("from-to-www-redirect", "true"),
];
const URIS: [&str; 18] = [
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
    "/b/x%20y",
    "/a//b",
    "/a/./b/../b",
    "/Axb",
    "/%61/b?x=/",
    "/zz/?",
];

#[test]
fn nginx_answers_in_generated_worlds_as_the_library_does() {
    if nginx().is_none() {
        println!("skipped: there is no nginx here");
        return;
    }
    let mut numbers = Numbers(20_260_328);
    let mut manifests = String::new();
    for name in ["web", "api", "down"] {
        manifests += &format!(
            "---\n{{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"{name}\"}}, \"spec\": \
             {{\"ports\": [{{\"port\": 80}}], \"selector\": {{\"app\": \"{name}\"}}}}}}\n"
        );
        if name != "down" {
            manifests += &format!(
                "---\n{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"{name}\", \"labels\": {{\"app\": \"{name}\"}}}}, \
                 \"status\": {{\"phase\": \"Running\", \"podIP\": \"10.0.0.1\", \"conditions\": [{{\"type\": \"Ready\", \"status\": \"True\"}}]}}}}\n"
            );
        }
    }
    for n in 0..WORLDS {
        for i in 0..=numbers.below(3) {
            let annotations: serde_json::Map<String, Value> = (0..numbers.below(4))
                .map(|_| numbers.one(&ANNOTATIONS))
                .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), Value::from(value)))
                .collect();
            let host = numbers.one(&["h", "h", "h", "*", "www.h"]).to_string() + &format!(".w{n}.example");
            let paths: Vec<Value> = (0..=numbers.below(4))
                .map(|_| {
                    let (path_type, path) = numbers.one(&PATHS);
                    let service = numbers.one(&["web", "web", "api", "down"]);
                    serde_json::json!({"path": path, "pathType": path_type, "backend": {"service": {"name": service, "port": {"number": 80}}}})
                })
                .collect();
            let ingress = serde_json::json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
                "metadata": {"name": format!("w{n}-{i}"), "annotations": annotations},
                "spec": {"rules": [{"host": host, "http": {"paths": paths}}]}});
            manifests += &format!("---\n{ingress}\n");
        }
    }
    let world = world(&manifests);
    let controller = IngressController::compile(&world.cluster, "nginx").unwrap();
    let mut daemon = Daemon::start(&world.cluster, "nginx", false).unwrap();
    let (mut asked, mut wrong) = (0, Vec::new());
    for n in 0..WORLDS {
        for _ in 0..10 {
            let host = numbers.one(&["h", "H", "x", "www.h", "www.www.h", "y.x", "h.w0.example:80.x"]).to_string()
                + &format!(".w{n}.example");
            let host = if host.contains(':') { format!("h.w{n}.example:8080") } else { host };
            let mut headers = Vec::new();
            if numbers.below(3) == 0 {
                headers.push(("origin".to_owned(), "https://o.example".to_owned()));
            }
            let request = Request {
                scheme: Scheme::Http,
                method: numbers.one(&["GET", "GET", "POST", "OPTIONS"]),
                host: &host,
                uri: numbers.one(&URIS),
                headers,
                client: numbers.one(&["10.0.0.7", "10.1.0.7", "192.0.2.1", "192.0.2.2"]).parse().unwrap(),
            };
            asked += 1;
            wrong.extend(differ(&mut daemon, &controller, &request));
        }
    }
    println!("{WORLDS} worlds, {asked} requests");
    assert!(wrong.is_empty(), "{} of {asked} differ\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}
