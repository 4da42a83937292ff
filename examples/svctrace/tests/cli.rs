//! The manners of the program: streams, exit statuses, forms of output.

mod common;

use common::{MANIFESTS, on_shop, run, text};
use serde_json::{Value, json};

const BAD: &str = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 0}]}}";
const GOOD: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}}";

#[test]
fn check_exits_with_1_for_errors_whatever_the_output_is() {
    for output in ["text", "json", "yaml", "github", "sarif"] {
        assert_eq!(run(&["check", "-f", "-", "-o", output], BAD).status.code(), Some(1), "{output}");
        assert_eq!(run(&["check", "-f", "-", "-o", output], GOOD).status.code(), Some(0), "{output}");
    }
}

#[test]
fn check_fails_from_the_level_that_is_asked_for() {
    let status = |fail_on: &str, manifest| run(&["check", "--fail-on", fail_on], manifest).status.code();
    assert_eq!(status("never", BAD), Some(0));
    assert_eq!(status("warning", GOOD), Some(1), "a Service without endpoints is a warning");
    assert_eq!(status("error", GOOD), Some(0));
}

#[test]
fn unreadable_input_exits_with_2_and_the_rest_is_answered() {
    let broken = format!("{GOOD}\n---\na: [\n");
    let output = run(&["-f", "-", "connect", "10.1.2.3", "10.96.0.9:80"], &broken);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).starts_with("10.1.2.3 -> 10.96.0.9:80 TCP: reject"));
    assert!(text(&output.stderr).contains("-:3:"), "file and line: {}", text(&output.stderr));
    assert!(text(&output.stderr).contains("document 2"));
    assert_eq!(run(&["-f", "/nowhere", "check"], "").status.code(), Some(2));
}

#[test]
fn usage_errors_exit_with_2_and_suggest() {
    let output = run(&["lokup", "a", "--from", "b"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'lookup'"), "{}", text(&output.stderr));
    let shop = format!("{MANIFESTS}/shop");
    for (words, expected) in [
        ("env shop/wbe", "did you mean shop/web?"),
        ("env debug", "did you mean shop/debug?"),
        ("connect shop/debug svc/cart.shop:htpp", "did you mean http?"),
        ("connect shop/debug cart.shop:80", "svc/NAME[.NAMESPACE]:PORT"),
        ("connect shop/debug svc/cart.shop", "Service/shop/cart has 80 TCP (http)"),
        ("connect worker-a 10.96.0.10:53", "the Node of this name is 192.0.2."),
        ("--node worker-z connect 10.1.2.3 10.96.0.10:53", "did you mean worker-a or worker-b?"),
        ("http http://a/ --to Gateway/shop/public", "did you mean Gateway/edge/public?"),
        ("status gateway/edge/publik", "did you mean Gateway/edge/public?"),
        ("status public", "not of the form KIND/NAMESPACE/NAME, KIND one of Gateway, HTTPRoute"),
        ("port-forward cart 80", "did you mean svc/shop/cart?"),
        ("port-forward shop/cart 80", "\"shop/cart\" is not of the form svc/NAMESPACE/NAME"),
    ] {
        let output = run(&["-f", &shop].into_iter().chain(words.split(' ')).collect::<Vec<_>>(), "");
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(text(&output.stderr).contains(expected), "{words}: {}", text(&output.stderr));
    }
    let output = run(&["-f", &shop, "curl", "http://cart/a b"], "");
    assert!(text(&output.stderr).contains("a blank or a control character"), "{}", text(&output.stderr));
    let output = run(&["test", &format!("{shop}/05-shop.yaml")], "");
    assert!(text(&output.stdout).contains("several documents stand there"), "{output:?}");
}

#[test]
fn a_pipe_is_read_without_being_named() {
    // As `kubectl get svc -o yaml` writes it.
    let list = format!("apiVersion: v1\nkind: List\nmetadata:\n  resourceVersion: ''\nitems:\n- {GOOD}\n");
    let output = run(&["connect", "10.1.2.3", "10.96.0.9:80"], &list);
    assert!(text(&output.stdout).contains("Service/default/a"));
    let json = r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","managedFields":[{"manager":"x"}]},"spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]},"status":{"loadBalancer":{}}}]}"#;
    let output = run(&["connect", "10.1.2.3", "10.96.0.9:80"], json);
    assert!(text(&output.stdout).contains("Service/default/a"));
}

#[test]
fn batch_answers_line_by_line_and_goes_on_after_an_unusable_one() {
    let shop = format!("{MANIFESTS}/shop");
    let questions = concat!(
        "{\"kind\":\"connect\",\"src\":\"10.1.2.3\",\"dst\":\"10.96.0.10:53\",\"protocol\":\"UDP\"}\n",
        "not json\n",
        "{\"kind\":\"nonsense\"}\n",
        "{\"kind\":\"connect\",\"src\":\"x:y\",\"dst\":\"10.96.0.10:53\"}\n",
        "{\"kind\":\"connect\",\"src\":\"10.1.2.3\",\"dst\":\"10.96.0.10\"}\n",
        "{\"kind\":\"resolv\",\"pod\":\"shop/nobody\"}\n",
        "{\"kind\":\"dns\",\"name\":\"a..b\",\"type\":\"A\"}\n",
        "{\"kind\":\"http\",\"url\":\"http://a/\",\"to\":\"Gateway/edge/nobody\"}\n",
        "{\"kind\":\"dns\",\"name\":\"web.shop.svc.cluster.local\",\"type\":\"AAAA\"}\n",
    );
    let output = run(&["-f", &shop, "batch"], questions);
    assert_eq!(output.status.code(), Some(0));
    let answers: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 9);
    assert_eq!(answers[0]["verdict"], "dnat");
    for answer in &answers[1..8] {
        assert!(answer["error"].is_string() && answer.as_object().unwrap().len() == 1, "{answer}");
    }
    assert_eq!(answers[8]["rcode"], "NOERROR");
}

#[test]
fn a_line_that_is_no_text_or_too_long_is_answered_by_an_error() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let shop = format!("{MANIFESTS}/shop");
    let mut child = Command::new(env!("CARGO_BIN_EXE_svctrace"))
        .args(["-f", &shop, "batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = b"\xff\xfe\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', 3 << 20));
    input.extend(b"\n{\"kind\":\"dns\",\"name\":\"web.shop.svc.cluster.local\"}");
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let answers: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 3);
    assert!(answers[0]["error"].is_string() && answers[1]["error"].is_string());
    assert_eq!(answers[2]["rcode"], "NOERROR");
}

#[test]
fn assumptions_that_could_not_be_made_are_said_before_the_answer() {
    let manifests = "{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podCIDR: 10.9.9.0/30}}\n---\n\
                     {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 5, template: {metadata: {labels: {a: b}}}}}\n";
    let output = run(&["connect", "10.1.2.3", "10.9.9.1:80"], manifests);
    assert!(text(&output.stderr).contains("exhausted"), "{}", text(&output.stderr));
}

#[test]
fn every_answer_carries_its_reason() {
    let shop = format!("{MANIFESTS}/shop");
    let questions = [
        json!({"kind": "connect", "src": "10.1.2.3", "dst": "10.96.0.10:53"}),
        json!({"kind": "connect", "src": "10.1.2.3", "dst": "8.8.8.8:53"}),
        json!({"kind": "dns", "name": "web.shop.svc.cluster.local", "type": "A"}),
        json!({"kind": "resolv", "pod": "shop/web"}),
        json!({"kind": "lookup", "pod": "shop/web", "name": "cart"}),
        json!({"kind": "env", "pod": "shop/web"}),
        json!({"kind": "port-forward", "to": "svc/shop/web", "port": 80}),
        json!({"kind": "http", "url": "https://shop.example.com/", "to": "IngressClass/nginx"}),
        json!({"kind": "tls", "sni": "shop.example.com", "to": "IngressClass/nginx"}),
        json!({"kind": "http", "url": "http://shop.example.com/", "to": "Gateway/edge/public"}),
        json!({"kind": "tls", "sni": "shop.example.com", "to": "Gateway/edge/public"}),
        json!({"kind": "tcp", "port": 5432, "to": "IngressClass/nginx"}),
        json!({"kind": "status"}),
    ];
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let output = text(&run(&["-f", &shop, "batch"], &lines).stdout);
    let answers: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len());
    for answer in answers {
        assert!(answer["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{answer}");
    }
}

#[test]
fn json_output_is_the_object_of_batch() {
    let shop = format!("{MANIFESTS}/shop");
    let human = run(&["-f", &shop, "--output", "json", "dns", "web.shop.svc.cluster.local"], "");
    let batch =
        run(&["-f", &shop, "batch"], "{\"kind\":\"dns\",\"name\":\"web.shop.svc.cluster.local\",\"type\":\"A\"}\n");
    let parse = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
    assert_eq!(parse(&human.stdout), parse(&batch.stdout));
}

#[test]
fn dns_takes_its_words_as_dig_does_and_says_what_is_wrong_with_them() {
    let shop = format!("{MANIFESTS}/shop");
    let dns = |words: &[&str]| run(&[&["-f", &shop, "dns"], words].concat(), "");
    let name = "web.shop.svc.cluster.local";
    let lower = |words: &[&str]| text(&dns(words).stdout).to_lowercase();
    let plain = lower(&[name]);
    for words in [&[name, "A"][..], &["a", name], &["WEB.shop.svc.cluster.local.", "a"]] {
        assert_eq!(lower(words), plain);
    }
    // What is a type and nothing else beside a name that reads like one: the name comes first.
    assert!(text(&dns(&["mx", "a"]).stdout).contains(";mx. IN A"));
    for (words, error) in [
        (&[name, "SVR"][..], "svctrace: type: unknown record type `SVR`; did you mean SRV?"),
        (&["-x", "10.96.0"], "svctrace: -x: \"10.96.0\" is no IP address"),
        (&[name, "@10.96.0.10"], "svctrace: @10.96.0.10: no server is asked, the manifests answer"),
        (&["a..b"], "svctrace: name: empty label at octet 2 of `a..b`"),
        (&[name, "--from", "shop/crat"], "svctrace: no Pod or workload shop/crat; did you mean shop/cart"),
    ] {
        let output = dns(words);
        let said = text(&output.stderr).lines().any(|line| line.starts_with(error));
        assert!(said && output.status.code() == Some(2), "{}", text(&output.stderr));
    }
}

#[test]
fn a_lookup_follows_the_resolver_asked_for() {
    let shop = format!("{MANIFESTS}/shop");
    let question = |resolver: &str| {
        format!("{{\"kind\":\"lookup\",\"pod\":\"shop/debug\",\"name\":\"x.onion\",\"resolver\":\"{resolver}\"}}\n")
    };
    let lines = ["glibc", "musl", "go", "bind"].map(question).concat();
    let output = run(&["-f", &shop, "batch"], &lines);
    let answers: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let queries: Vec<_> = answers.iter().map(|answer| answer["queries"].clone()).collect();
    assert_eq!(queries[..3], [json!(8), json!(8), json!(6)]);
    assert_eq!(answers[3], json!({"error": "resolver: `bind` is none of glibc, musl, go"}));
}

#[test]
fn what_was_passed_over_is_told_to_those_who_ask() {
    let shop = format!("{MANIFESTS}/shop");
    let http = |flag: &[&str]| {
        let args = ["-f", &shop, "http", "https://shop.example.com/cart", "--to", "IngressClass/nginx"];
        text(&run(&[&args[..], flag].concat(), "").stdout)
    };
    assert!(http(&["-v"]).contains("goes before Ingress/shop/shop rule 0"));
    assert!(!http(&[]).contains("goes before"));
    for output in ["github", "sarif"] {
        assert_eq!(run(&["-f", &shop, "-o", output, "env", "shop/web"], "").status.code(), Some(2), "{output}");
    }
}

#[test]
fn manifests_are_read_wherever_they_are_named() {
    let shop = format!("{MANIFESTS}/shop");
    let both = run(&["-f", &shop, "check", "-f", "-"], BAD);
    assert_eq!(both.status.code(), Some(1), "the error of standard input, beside the shop");
    assert!(text(&both.stdout).contains("Service/shop/web"), "and the shop too");
    let cases = run(&["test", "x.yaml", "-f", &shop], "");
    assert_eq!(cases.status.code(), Some(2));
}

#[test]
fn nothing_to_check_is_no_success() {
    let output = run(&["check"], "\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no object"));
}

#[test]
fn github_and_sarif_name_file_line_and_column() {
    let github = text(&run(&["check", "-o", "github"], BAD).stdout);
    assert!(github.starts_with("::error file=-,line=1,col="), "{github}");
    let sarif: Value = serde_json::from_slice(&run(&["check", "-o", "sarif"], BAD).stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results[0]["ruleId"], "Service.spec.ports.port");
    for result in results {
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].is_u64());
    }
}

#[test]
fn colour_is_for_terminals_or_for_those_who_ask() {
    let plain = run(&["check"], BAD);
    assert!(!plain.stdout.contains(&0x1b));
    let coloured = run(&["check", "--color", "always"], BAD);
    assert!(coloured.stdout.contains(&0x1b));
}

#[test]
fn unknown_kinds_are_counted_once_and_listed_when_asked() {
    let manifests = "{apiVersion: a.example/v1, kind: Thing, metadata: {name: x}}\n---\n{apiVersion: a.example/v1, kind: Thing, metadata: {name: y}}\n";
    let output = run(&["connect", "10.1.2.3", "10.96.0.9:80"], manifests);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("ignored: 2 Thing"), "{}", text(&output.stderr));
    assert!(text(&run(&["check", "--strict"], manifests).stdout).contains("Thing/y"));
    let check = run(&["check"], manifests);
    assert!(!text(&check.stdout).contains("Thing"));
    assert!(text(&check.stderr).contains("ignored: 2 Thing"), "{}", text(&check.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::io::Read;
    use std::process::{Command, Stdio};
    let shop = format!("{MANIFESTS}/shop");
    let mut child = Command::new(env!("CARGO_BIN_EXE_svctrace"))
        .args(["-f", &shop, "check", "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn port_forward_reads_ports_as_kubectl_does() {
    let shop = format!("{MANIFESTS}/shop");
    let forward = |target: &str, port: &str| {
        run(&["-f", &shop, "-n", "shop", "--output", "json", "port-forward", target, port], "")
    };
    for (target, port, expected) in [
        ("svc/web", "80", json!({"pod": "shop/web-deployment-0", "port": 8080})),
        ("service/web", "http", json!({"pod": "shop/web-deployment-0", "port": 8080})),
        ("svc/web", "9999:80", json!({"pod": "shop/web-deployment-0", "port": 8080, "local": 9999})),
        ("svc/web", ":80", json!({"pod": "shop/web-deployment-0", "port": 8080})),
        ("pod/web-deployment-0", "5000:1234", json!({"pod": "shop/web-deployment-0", "port": 1234, "local": 5000})),
        ("pods/web-deployment-0", "1234", json!({"pod": "shop/web-deployment-0", "port": 1234})),
        ("deploy/web", "1234", json!({"pod": "shop/web-deployment-0", "port": 1234})),
    ] {
        let output = forward(target, port);
        let mut answer: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{target} {port}: {output:?}"));
        answer.as_object_mut().unwrap().remove("reason");
        assert_eq!(answer, expected, "{target} {port}");
    }
    for (target, port, words) in [
        ("svc/web", "http:80", "\"http\" is no port to listen on"),
        ("svc/web", "65536:80", "no port to listen on"),
        ("svc/web", "1:2:80", "not of the form [LOCAL:]PORT"),
        ("svc/web", "8080:", "not of the form [LOCAL:]PORT"),
        ("svc/web", "", "not of the form [LOCAL:]PORT"),
        ("svc/web", "0", "port 0 cannot be forwarded"),
        ("svc/web", "65536", "65536 is no port"),
        ("svc/web", "81", "has no port 81; it has"),
        ("svc/wbe", "80", "did you mean shop/web?"),
        ("ingress/web", "80", "not of the form"),
    ] {
        let output = forward(target, port);
        assert!(!output.status.success() && text(&output.stderr).contains(words), "{target} {port}: {output:?}");
    }
}

#[test]
fn completions_and_help_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&run(&["completion", shell], "").stdout).contains("svctrace"));
    }
    assert!(text(&run(&["batch", "--help"], "").stdout).contains("port-forward"));
    assert!(text(&run(&["test", "--help"], "").stdout).contains("checkClean"));
    let help = text(&run(&["--help"], "").stdout);
    for word in ["Examples:", "Exit status:", "curl", "batch", "kubectl get"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn case_files_of_users_are_run_and_counted() {
    let directory = std::env::temp_dir().join(format!("svctrace-cases-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("cases.yaml");
    let case = |verdict: &str| {
        format!(
            "- name: the-cart\n  world: |\n    {GOOD}\n  queries:\n  - ask: {{kind: connect, src: 10.1.2.3, dst: '10.96.0.9:80'}}\n    expect: {{verdict: {verdict}}}\n"
        )
    };
    let run_cases = |verdict| {
        std::fs::write(&file, case(verdict)).unwrap();
        let output = run(&["test", file.to_str().unwrap()], "");
        (output.status.code(), text(&output.stdout))
    };
    assert_eq!(run_cases("reject"), (Some(0), "1 passed, 0 failed\n".to_owned()));
    let (status, printed) = run_cases("dnat");
    assert_eq!(status, Some(1));
    assert!(printed.contains("the-cart") && printed.ends_with("0 passed, 1 failed\n"), "{printed}");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn kubectl_finds_the_program_as_a_plugin() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-svctrace")).arg("--version").output().unwrap();
    assert!(text(&output.stdout).starts_with("svctrace "));
}

#[test]
fn a_controller_is_rendered_for_nginx() {
    let modern = on_shop(&["render", "nginx"]);
    assert!(modern.contains("server_name shop.example.com;"), "{modern}");
    let classic = on_shop(&["render", "nginx", "--profile", "classic"]);
    assert!(classic.contains("least_conn;") && !modern.contains("least_conn;"), "{classic}");
}

#[test]
fn a_gateway_is_rendered_for_envoy() {
    let only = on_shop(&["render", "envoy"]);
    let tree: Value = serde_json::from_str(&only).unwrap();
    let listeners = tree["static_resources"]["listeners"].as_array().unwrap();
    assert!(!listeners.is_empty(), "{only}");
    assert_eq!(on_shop(&["render", "envoy", "--to", "Gateway/edge/public"]), only);
}

#[test]
fn a_node_is_rendered_for_its_kernel() {
    let modern = on_shop(&["render", "iptables"]);
    assert!(modern.starts_with("# iptables-restore\n*filter\n"), "{modern}");
    assert!(modern.contains("\n-A KUBE-SERVICES -m comment --comment \"shop/cart"), "{modern}");
    let classic = on_shop(&["render", "iptables", "--profile", "classic"]);
    assert!(classic.contains(" -p tcp -m comment --comment \"shop/cart"), "{classic}");
    let nftables = on_shop(&["render", "nftables"]);
    assert!(nftables.starts_with("add table ip kube-proxy "), "{nftables}");
}

#[test]
fn what_is_rendered_is_what_kube_proxy_and_the_books_have() {
    let golden = [
        ("iptables-driver/tests/golden/iptables-modern-six-services", &["iptables"][..]),
        ("iptables-driver/tests/golden/iptables-classic-clusterip", &["iptables", "--profile", "classic"][..]),
        ("iptables-driver/tests/golden/iptables-classic-affinity", &["iptables", "--profile", "classic"][..]),
        ("iptables-driver/tests/golden/iptables-classic-portals", &["iptables", "--profile", "classic"][..]),
        ("nftables-driver/tests/golden/nftables-modern-six-services", &["nftables"][..]),
    ];
    for (name, args) in golden {
        let path = std::path::Path::new(MANIFESTS).join("..").join(name);
        let world = path.with_extension("yaml").display().to_string();
        let rendered = run(&[&["-f", world.as_str(), "render"][..], args].concat(), "");
        assert!(rendered.status.success(), "{}", text(&rendered.stderr));
        let rendered = text(&rendered.stdout);
        let wanted = std::fs::read_to_string(path.with_extension("rules")).unwrap();
        let is_rule = |line: &&str| line.starts_with("-A ") || line.starts_with("add ");
        assert!(wanted.lines().filter(is_rule).count() > 2);
        for line in wanted.lines().filter(is_rule) {
            assert!(rendered.lines().any(|other| other == line), "{name}: {line}\n{rendered}");
        }
    }
}

#[test]
fn the_only_proxy_need_not_be_named() {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\n\
        spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n";
    let class = "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\n\
        spec: {controller: k8s.io/ingress-nginx}\n";
    let gateway = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\n\
        spec: {gatewayClassName: x, listeners: [{name: http, port: 80, protocol: HTTP}]}\n";
    let ask = |world: &str| run(&["http", "http://a.example/", "--output", "json"], world);
    for world in [ingress.to_owned(), format!("{ingress}{class}"), gateway.to_owned()] {
        let output = ask(&world);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let output = ask(&format!("{class}{gateway}"));
    assert_eq!(output.status.code(), Some(2));
    let words = text(&output.stderr);
    assert!(words.contains("name it with --to; there is Gateway/default/edge, IngressClass/nginx"), "{words}");
    assert!(text(&ask("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").stderr).contains("--to"));
}
