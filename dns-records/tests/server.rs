//! What a server block answers as a whole: `rewrite`, `autopath`, `transfer`, `hosts`, `kubernetes`.

mod world;

use dns_records::kubernetes::{PluginReason, Server, ServerOptions, check};
use dns_records::{
    Name, NoUpstream, Question, Rcode, Record, RecordData, RecordRef, RecordType, Section, Sink, Upstream,
};
use serde_json::{Value, json};
use svc_model::{Cluster, Touched};
use world::{alias, cluster, corefile, pod, serve, service, slice};

const SOA: &str = "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5";
const CLIENT: Option<&str> = Some("10.1.0.9");

fn shop(config: &str) -> Cluster {
    cluster([
        corefile(config),
        service("shop/web", &["10.0.0.1"], json!([{"name": "http", "port": 80}])),
        service("shop/fleet", &["None"], json!([{"name": "http", "port": 80}])),
        slice(
            "shop/fleet",
            "IPv4",
            json!([{"name": "http", "port": 8080}]),
            json!([{"addresses": ["10.1.0.1"], "hostname": "one"}]),
        ),
        service("data/db", &["10.0.0.2"], json!([])),
        alias("shop/partner", "www.example.com"),
        pod("shop/p", "10.1.0.9", json!({})),
    ])
}

/// A server block with these plugins before `kubernetes`.
fn server(plugins: &str) -> Server {
    Server::of(&shop(&block(plugins, "")))
}

fn block(plugins: &str, words: &str) -> String {
    format!(".:53 {{\n{plugins}\n kubernetes cluster.local in-addr.arpa {{\n  pods verified\n{words}\n }}\n}}\n")
}

#[test]
fn an_exact_rewrite_shows_the_asker_its_own_names() {
    let server = server(" rewrite name Web.Example.com web.shop.svc.cluster.local");
    assert_eq!(
        serve(&server, "wEB.example.com", "A", None),
        "NOERROR: wEB.example.com. 5 IN A 10.0.0.1 | | ; \
         rewritten to web.shop.svc.cluster.local. (Corefile line 2); Service/shop/web has a cluster IP"
    );
    assert_eq!(
        serve(&server, "web.example.com", "SRV", None),
        "NOERROR: web.example.com. 5 IN SRV 0 100 80 web.example.com. | | web.example.com. 5 IN A 10.0.0.1 ; \
         rewritten to web.shop.svc.cluster.local. (Corefile line 2); Service/shop/web has a cluster IP"
    );
    // No data and no name are those of the name that is answered, and so is the SOA.
    assert_eq!(
        serve(&server, "web.example.com", "AAAA", None),
        format!(
            "NOERROR: | {SOA} | ; rewritten to web.shop.svc.cluster.local. (Corefile line 2); \
             Service/shop/web has a cluster IP; no AAAA record there"
        )
    );
    assert_eq!(
        serve(&server, "web.shop.svc.cluster.local", "A", None),
        "NOERROR: web.shop.svc.cluster.local. 5 IN A 10.0.0.1 | | ; Service/shop/web has a cluster IP"
    );
    assert!(serve(&server, "x.example.com", "A", None).starts_with("REFUSED:"));
}

#[test]
fn other_rewrites_put_owners_back_where_they_are_asked_to() {
    let answer = |options: &str| {
        let server = server(&format!(" rewrite name suffix .corp .svc.cluster.local{options}"));
        serve(&server, "Fleet.shop.corp", "SRV", None).split(" ; ").next().unwrap().to_owned()
    };
    assert_eq!(
        answer(""),
        "NOERROR: fleet.shop.svc.cluster.local. 5 IN SRV 0 100 8080 one.fleet.shop.svc.cluster.local. | | \
         one.fleet.shop.svc.cluster.local. 5 IN A 10.1.0.1"
    );
    assert_eq!(
        answer(" answer auto"),
        "NOERROR: Fleet.shop.corp. 5 IN SRV 0 100 8080 one.fleet.shop.corp. | | one.fleet.shop.corp. 5 IN A 10.1.0.1"
    );
    assert_eq!(
        answer(r" answer name (.*)\.svc\.cluster\.local\. {1}.corp."),
        "NOERROR: Fleet.shop.corp. 5 IN SRV 0 100 8080 one.fleet.shop.svc.cluster.local. | | \
         one.fleet.shop.corp. 5 IN A 10.1.0.1"
    );
}

#[test]
fn rewrites_in_blocks_and_chains_are_read() {
    let server = server(
        " rewrite continue {\n  name regex (.*)\\.old\\.example {1}.new.example\n  answer name (.*)\\.new\\.example {1}.old.example\n }\n rewrite name suffix .new.example .shop.svc.cluster.local answer auto",
    );
    assert_eq!(
        serve(&server, "web.old.example", "A", None),
        "NOERROR: web.old.example. 5 IN A 10.0.0.1 | | ; rewritten to web.shop.svc.cluster.local. \
         (Corefile lines 2, 6); Service/shop/web has a cluster IP"
    );
}

#[test]
fn a_rewrite_to_what_is_no_name_fails() {
    let server = server(&format!(" rewrite name suffix .bad .{}.cluster.local", "x".repeat(64)));
    assert_eq!(
        serve(&server, "a.bad", "A", None),
        "SERVFAIL: | | ; a rewrite makes of it what is no name (Corefile line 2)"
    );
}

/// Gives every name one address.
struct Elsewhere;

impl Upstream for Elsewhere {
    fn resolve(&mut self, question: Question<'_>, sink: &mut dyn Sink) {
        let data = RecordData::A([192, 0, 2, 80].into());
        sink.record(Section::Answer, &Record { owner: question.name.into(), ttl: 60, data });
    }
}

fn serve_with_upstream(server: &Server, name: &str, client: Option<&str>) -> String {
    let name: Name = name.parse().unwrap();
    let client = client.map(|client| client.parse().unwrap());
    let question = Question::new(&name, RecordType::A);
    let answer = dns_records::Answer::collect(|sink| server.answer_into(question, client, &mut Elsewhere, sink));
    world::show(&answer)
}

#[test]
fn a_question_renamed_to_elsewhere_is_asked_upstream_under_its_new_name() {
    let server = server(" rewrite name old.example new.example");
    assert_eq!(
        serve_with_upstream(&server, "Old.example", None),
        "NOERROR: Old.example. 60 IN A 192.0.2.80 | | ; rewritten to new.example. (Corefile line 2); left to servers elsewhere"
    );
    let name: Name = "old.example".parse().unwrap();
    let answer = server.answer(Question::new(&name, RecordType::A), None);
    assert_eq!((answer.rcode, answer.reason.name().unwrap().to_string()), (Rcode::Refused, "new.example.".into()));
    assert!(answer.reason.rewritten().is_some());
}

/// An access list was bypassed because it looked at the name before a rewrite. Everything that permits or forbids here looks at
/// the name that is answered, whichever way a question came to it.
#[test]
fn cve_2026_26017_policy_is_judged_by_the_name_that_is_answered() {
    let rules = " rewrite name open.example db.data.svc.cluster.local\n rewrite name db.data.svc.cluster.local web.shop.svc.cluster.local\n rewrite name zone.example cluster.local\n transfer cluster.local {\n  to 192.0.2.1\n }";
    let server = Server::of(&shop(&block(rules, "  namespaces shop")));
    let rcode = |name: &str, record_type: &str, client: &str| {
        serve(&server, name, record_type, Some(client)).split(':').next().unwrap().to_owned()
    };
    // Namespace `data` is not exposed: a rewrite into it leads nowhere, one out of it is judged by where it leads.
    assert_eq!(rcode("open.example", "A", "10.0.0.9"), "NXDOMAIN");
    assert_eq!(rcode("db.data.svc.cluster.local", "A", "10.0.0.9"), "NOERROR");
    // Another name for the zone does not hand it out to those who may not have it.
    assert_eq!(rcode("zone.example", "AXFR", "10.0.0.9"), "REFUSED");
    assert_eq!(rcode("cluster.local", "AXFR", "10.0.0.9"), "REFUSED");
    assert_eq!(rcode("zone.example", "AXFR", "192.0.2.1"), "NOERROR");
    // What an embedder judges by.
    let name: Name = "open.example".parse().unwrap();
    let answer = server.answer(Question::new(&name, RecordType::A), None);
    assert_eq!(answer.reason.name().unwrap().to_string(), "db.data.svc.cluster.local.");
}

#[test]
fn hosts_answers_before_kubernetes() {
    let hosts = "hosts {\n 192.0.2.1 web.shop.svc.cluster.local Printer.corp\n 2001:db8::1%eth0 printer.corp\n";
    let closed = server(&format!("{hosts} ttl 60\n}}"));
    assert_eq!(
        serve(&closed, "printer.CORP", "A", None),
        "NOERROR: printer.CORP. 60 IN A 192.0.2.1 | | ; an entry of hosts (Corefile line 2)"
    );
    assert!(serve(&closed, "printer.corp", "AAAA", None).contains("60 IN AAAA 2001:db8::1"));
    assert_eq!(
        serve(&closed, "printer.corp", "TXT", None),
        "NOERROR: | | ; an entry of hosts, which has no such records (Corefile line 2)"
    );
    assert_eq!(
        serve(&closed, "fleet.shop.svc.cluster.local", "A", None),
        "SERVFAIL: | | ; no entry of hosts, which leaves the name to nobody else (Corefile line 2)"
    );
    assert_eq!(
        serve(&closed, "1.2.0.192.in-addr.arpa", "PTR", None).split(" | ").next().unwrap(),
        "NOERROR: 1.2.0.192.in-addr.arpa. 60 IN PTR web.shop.svc.cluster.local., \
         1.2.0.192.in-addr.arpa. 60 IN PTR Printer.corp."
    );
    // An address that hosts does not have goes on to kubernetes.
    assert!(serve(&closed, "1.0.0.10.in-addr.arpa", "PTR", None).contains("PTR web.shop.svc.cluster.local."));
    let open = server(&format!("{hosts} no_reverse\n fallthrough\n}}"));
    assert!(serve(&open, "fleet.shop.svc.cluster.local", "A", None).contains("A 10.1.0.1"));
    assert!(serve(&open, "web.shop.svc.cluster.local", "A", None).contains("A 192.0.2.1"));
    assert!(serve(&open, "1.2.0.192.in-addr.arpa", "PTR", None).starts_with("NXDOMAIN"));
    let own_zone = server("hosts inline.hosts corp {\n 192.0.2.1 printer.corp outside.example\n}");
    assert!(serve(&own_zone, "fleet.shop.svc.cluster.local", "A", None).contains("A 10.1.0.1"));
    assert!(serve(&own_zone, "outside.example", "A", None).starts_with("REFUSED"));
}

#[test]
fn plugins_act_in_the_order_of_coredns_and_not_of_the_file() {
    let config = ".:53 {\n kubernetes cluster.local\n hosts {\n 192.0.2.1 printer.corp\n fallthrough\n }\n rewrite name p printer.corp\n}";
    let server = Server::of(&shop(config));
    assert_eq!(
        serve(&server, "P", "A", None),
        "NOERROR: P. 3600 IN A 192.0.2.1 | | ; rewritten to printer.corp. (Corefile line 7); an entry of hosts (Corefile line 3)"
    );
}

#[test]
fn autopath_answers_the_first_question_with_an_alias() {
    let server = server(" autopath @kubernetes");
    let path = "shop.svc.cluster.local";
    assert_eq!(
        serve(&server, &format!("DB.data.{path}"), "A", CLIENT),
        format!(
            "NOERROR: DB.data.{path}. 5 IN CNAME DB.data.svc.cluster.local., DB.data.svc.cluster.local. 5 IN A 10.0.0.2 | | ; \
             completed to DB.data.svc.cluster.local. on the server (autopath, Corefile line 2); Service/data/db has a cluster IP"
        )
    );
    // No data ends the walk as well.
    assert!(serve(&server, &format!("db.data.{path}"), "AAAA", CLIENT).starts_with(&format!("NOERROR: | {SOA}")));
    // What exists below the first path needs no help, and others than live Pods get none.
    assert!(serve(&server, &format!("web.{path}"), "A", CLIENT).starts_with(&format!("NOERROR: web.{path}. 5 IN A")));
    for client in [None, Some("192.0.2.1")] {
        assert!(serve(&server, &format!("db.data.{path}"), "A", client).starts_with("NXDOMAIN: |"), "{client:?}");
    }
    // Not below the first path, and below none at all.
    assert!(serve(&server, "db.data.default.svc.cluster.local", "A", CLIENT).starts_with("NXDOMAIN: |"));
    assert!(serve(&server, path, "A", CLIENT).starts_with("NOERROR: |"));
    // Nothing has the name: the first reply, unchanged.
    let nobody = format!("nobody.data.svc.cluster.local.{path}");
    assert_eq!(
        serve(&server, &nobody, "A", CLIENT),
        format!("NXDOMAIN: | {SOA} | ; no name of a cluster has this form")
    );
}

#[test]
fn autopath_asks_upstream_for_the_bare_name() {
    let server = server(" autopath @kubernetes");
    let name = "www.example.com.shop.svc.cluster.local";
    assert_eq!(
        serve_with_upstream(&server, name, CLIENT),
        format!(
            "NOERROR: {name}. 60 IN CNAME www.example.com., www.example.com. 60 IN A 192.0.2.80 | | ; \
             completed to www.example.com. on the server (autopath, Corefile line 2); left to servers elsewhere"
        )
    );
    assert_eq!(
        serve(&server, name, "A", CLIENT).split(" | ").next().unwrap(),
        format!("NOERROR: {name}. 5 IN CNAME www.example.com.")
    );
}

#[test]
fn autopath_tries_the_servers_own_search_list_before_the_bare_name() {
    let mut options = ServerOptions::default();
    options.search = vec!["svc.cluster.local".parse().unwrap(), "data.svc.cluster.local".parse().unwrap()];
    let server = Server::new(&shop(&block(" autopath @kubernetes", "")), options);
    assert!(serve(&server, "db.shop.svc.cluster.local", "A", CLIENT).contains("CNAME db.data.svc.cluster.local."));
}

#[test]
fn a_rewrite_goes_before_autopath() {
    let server = server(" autopath @kubernetes\n rewrite name suffix .short .shop.svc.cluster.local answer auto");
    assert_eq!(
        serve(&server, "db.data.short", "A", CLIENT),
        "NOERROR: db.data.short. 5 IN CNAME db.data.svc.cluster.local., db.data.svc.cluster.local. 5 IN A 10.0.0.2 | | ; \
         rewritten to db.data.shop.svc.cluster.local. (Corefile line 3); \
         completed to db.data.svc.cluster.local. on the server (autopath, Corefile line 2); Service/data/db has a cluster IP"
    );
}

#[test]
fn the_server_block_with_the_longest_zone_gets_a_question() {
    let others = ".:53 {\n rewrite name a.example web.shop.svc.cluster.local\n kubernetes cluster.local\n}\nexample:53 data.svc.cluster.local {\n forward . 192.0.2.1\n}\nweb.shop.svc.cluster.local:5353 {\n whoami\n}\n";
    let server = Server::of(&shop(others));
    let elsewhere = "REFUSED: | | ; another server block gets the question (Corefile line 5)";
    assert_eq!(serve(&server, "a.example", "A", None), elsewhere);
    assert_eq!(serve(&server, "db.data.svc.cluster.local", "A", None), elsewhere);
    assert!(serve(&server, "web.shop.svc.cluster.local", "A", None).starts_with("NOERROR"), "another port");
}

#[test]
fn transfers_are_for_those_named() {
    let server = server(" transfer {\n  to 192.0.2.1 [2001:db8::1]:5300\n }");
    let rcode = |client| serve(&server, "cluster.local", "AXFR", client).split(':').next().unwrap().to_owned();
    assert_eq!([Some("192.0.2.1"), Some("2001:db8::1"), None].map(rcode), ["NOERROR"; 3]);
    assert_eq!(rcode(Some("192.0.2.2")), "REFUSED");
}

#[test]
fn a_server_follows_its_cluster_and_its_corefile() {
    let mut cluster = shop(&block("", ""));
    let mut server = Server::of(&cluster);
    let before = server.clone();
    let apply = |cluster: &mut Cluster, value: Value| {
        let kind: svc_model::Kind = value["kind"].as_str().unwrap().parse().unwrap();
        cluster.apply(serde::de::DeserializeSeed::deserialize(kind, value).unwrap()).touched
    };
    assert!(!server.update(&cluster, &Touched::default()));
    let touched = apply(&mut cluster, service("shop/new", &["10.0.0.3"], json!([])));
    assert!(server.update(&cluster, &touched));
    assert!(serve(&server, "new.shop.svc.cluster.local", "A", None).contains("A 10.0.0.3"));
    server.set_serial(7);
    let touched =
        apply(&mut cluster, corefile(&block(" rewrite name n.example new.shop.svc.cluster.local", "  ttl 9")));
    assert!(server.update(&cluster, &touched));
    assert!(serve(&server, "n.example", "A", None).starts_with("NOERROR: n.example. 9 IN A 10.0.0.3"));
    assert!(serve(&server, "cluster.local", "SOA", None).contains("cluster.local. 7 7200"));
    assert!(serve(&before, "new.shop.svc.cluster.local", "A", None).starts_with("NXDOMAIN"), "a clone stays as it was");
}

#[test]
fn a_question_that_no_plugin_takes_costs_no_allocation() {
    let rules = " rewrite name a.example b.example\n rewrite name regex ^x(.*)$ y{1}\n hosts {\n 192.0.2.1 printer.corp\n fallthrough\n }\n autopath @kubernetes";
    let (plain, plugged) = (server(""), server(rules));
    for server in [&plain, &plugged] {
        for text in ["web.shop.svc.cluster.local", "fleet.shop.svc.cluster.local", "nobody.data.svc.cluster.local"] {
            let name: Name = text.parse().unwrap();
            let ask = || {
                let mut sink = |_: Section, _: &RecordRef<'_>| {};
                let client = CLIENT.map(|client| client.parse().unwrap());
                server.answer_into(Question::new(&name, RecordType::A), client, &mut NoUpstream, &mut sink).rcode
            };
            // The pattern's scratch space is made once.
            ask();
            let cost = allocation_counter::measure(|| {
                std::hint::black_box(ask());
            });
            assert_eq!(cost.count_total, 0, "{text}");
        }
    }
}

#[test]
fn check_reads_the_plugins() {
    let at = "ConfigMap/kube-system/coredns data[Corefile]: ";
    let findings = |plugins: &str| -> Vec<String> {
        let found = check(&cluster([corefile(&block(plugins, ""))]));
        found.iter().map(|finding| finding.to_string().replace(at, "")).collect()
    };
    let fine = " rewrite name a b\n hosts {\n 192.0.2.1 a\n ttl 30\n reload 0s\n fallthrough\n }\n autopath @kubernetes\n transfer {\n to *\n }\n acl {\n allow net 10.0.0.0/8\n }\n template IN A x\n view v {\n expr true\n }";
    assert_eq!(findings(fine), [""; 0]);
    for (plugins, expected) in [
        (
            " rewrite ttl a 30",
            "warning: line 2: a rule of `rewrite` is left out: rules of the field `ttl` are not followed here",
        ),
        (
            " rewrite nam a b",
            "error: line 2: a rule of `rewrite` is left out: rules of the field `nam` are not followed here",
        ),
        (
            " rewrite name regex (a b",
            "error: line 2: a rule of `rewrite` is left out: regular expression: unclosed group",
        ),
        (
            " rewrite name suffix .x .{$DOMAIN}",
            "warning: line 2: a rule of `rewrite` is left out: the environment of CoreDNS, and so `.{$DOMAIN}`, is not known here",
        ),
        (
            " hosts /etc/hosts",
            "warning: line 2: `hosts` names a file, which is not read here; its inline entries count",
        ),
        (" hosts {\n x a\n}", "warning: line 3: an entry of `hosts` is left out: \"x\" is no IP address"),
        (" hosts {\n 1.1.1.1 a..b\n}", "warning: line 3: `a..b` is no name"),
        (" hosts {\n ttl 0\n}", "error: line 3: `ttl 0` is nothing `hosts` takes"),
        (
            " hosts {\n fallthrough\n 1.1.1.1 a\n}",
            "error: line 4: `1.1.1.1` is no property of `hosts`, and entries stand before `fallthrough`",
        ),
        (" hosts {\n fallthrough_unsupported\n}", "error: line 2: `fallthrough_unsupported` needs `fallthrough`"),
        (" hosts\n hosts", "error: line 3: `hosts` once more in its server block"),
        (" autopath", "error: line 2: `autopath` needs a search list"),
        (
            " autopath my-resolv.conf",
            "warning: line 2: `autopath` is followed with `@kubernetes` only, other search lists are not known here",
        ),
        (" transfer", "error: line 2: `transfer` needs `to`"),
        (" transfer {\n to nobody *\n}", "error: line 3: `nobody` is no address"),
        (" import plugins.conf", "warning: line 2: `import` names what cannot be read here"),
    ] {
        assert_eq!(findings(plugins), [expected], "{plugins}");
    }
    let config = ". {\n autopath @kubernetes\n kubernetes {$DOMAIN} in-addr.arpa\n}";
    let found: Vec<String> = check(&cluster([corefile(config)])).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            format!("warning: {at}line 3: zone `{{$DOMAIN}}`: the environment of CoreDNS is not known here"),
            format!("warning: {at}line 2: `autopath` has no effect without `pods verified`"),
        ]
    );
    let server = Server::of(&shop(config));
    assert!(
        serve(&server, "web.shop.svc.cluster.local", "A", None).starts_with("NOERROR"),
        "the cluster domain is guessed"
    );
}

#[test]
fn what_a_plugin_said_can_be_asked_for() {
    let server = server(" hosts {\n 192.0.2.1 printer.corp\n fallthrough\n }");
    let name: Name = "printer.corp".parse().unwrap();
    let reason = server.answer(Question::new(&name, RecordType::A), None).reason;
    assert!(matches!(reason.plugin(), Some(PluginReason::Hosts { line: 2, .. })));
    assert!(reason.zone().is_none() && reason.object().is_none() && reason.name().is_none());
}
