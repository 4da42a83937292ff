//! The server as the programs of others see it: dig, kdig, and the resolvers of glibc and musl.
//!
//! A test whose program is not there says `skipped:` and why; `.ci/run` installs the programs, and fails where a test says so.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use common::*;
use dns_records::kubernetes::{Resolver, Server, hosts_file, resolv_conf};
use dns_records::search::{Outcome, ResolverKind};
use dns_records::{Question, RecordType};
use svc_model::Cluster;
use svc_model::api::Pod;
use svctrace::read::{Purpose, Reader};

fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        println!("skipped: there is no {program}");
    }
    found
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The world that is asked about. Its resolvers ask 127.0.0.1.
fn world() -> String {
    let kubelet = "{apiVersion: kubelet.config.k8s.io/v1beta1, kind: KubeletConfiguration, clusterDNS: [127.0.0.1], \
                   clusterDomain: cluster.local}\n";
    let two = "---\n{apiVersion: v1, kind: Service, metadata: {name: two, namespace: shop}, spec: {clusterIP: 10.96.1.2, \
               clusterIPs: [10.96.1.2, 'fd00::2'], ipFamilies: [IPv4, IPv6], ports: [{name: http, port: 80}]}}\n";
    let named = "---\n{apiVersion: v1, kind: Service, metadata: {name: db, namespace: data}, spec: {clusterIP: None}}\n\
                 ---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: db-1, namespace: data, \
                 labels: {kubernetes.io/service-name: db}}, addressType: IPv4, ports: [], endpoints: [\
                 {addresses: [10.2.0.1], hostname: db-0}, {addresses: [10.2.0.2], hostname: db-1}]}\n";
    let tool = "---\n{apiVersion: v1, kind: Pod, metadata: {name: tool, namespace: shop}, spec: {hostname: tool, containers: \
                [{name: tool, image: tool}], dnsConfig: {searches: [data.svc.cluster.local]}, hostAliases: [{ip: 10.1.2.3, \
                hostnames: [redis]}]}, status: {phase: Running, podIP: 10.244.1.9}}\n";
    [
        kubelet,
        &corefile("pods insecure", TRANSFER),
        &service("shop", "cart", "10.96.1.3"),
        &service("shop", "six", "fd00::6"),
        &service("shop", "redis", "10.96.1.4"),
        &service("data", "data", "10.96.1.5"),
        &headless("data", "many", 100),
        &external("shop", "alias", "cart.shop.svc.cluster.local"),
        &external("shop", "out", "www.example.org"),
        two,
        named,
        tool,
    ]
    .concat()
}

/// What dig says, fields parted by one space.
fn dig(server: &Running, arguments: &str) -> String {
    let port = server.address.port().to_string();
    let mut command = Command::new("dig");
    command.args(["@127.0.0.1", "-p", &port, "+tries=1", "+time=10"]).args(arguments.split(' '));
    let output = text(command.output().unwrap());
    output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn dig_reads_every_kind_of_record() {
    if !is_there("dig") {
        return;
    }
    let server = Running::start(&Folder::with(&world()), &[]);
    for transport in ["+notcp", "+tcp", "+noedns", "+bufsize=512", "+bufsize=4096", "+norec", "+dnssec"] {
        for (question, expected) in [
            ("cart.shop.svc.cluster.local", "cart.shop.svc.cluster.local. 30 IN A 10.96.1.3"),
            ("two.shop.svc.cluster.local AAAA", "two.shop.svc.cluster.local. 30 IN AAAA fd00::2"),
            (
                "_http._tcp.cart.shop.svc.cluster.local SRV",
                "_http._tcp.cart.shop.svc.cluster.local. 30 IN SRV 0 100 80 cart.shop.svc.cluster.local.",
            ),
            ("-x 10.96.1.3", "3.1.96.10.in-addr.arpa. 30 IN PTR cart.shop.svc.cluster.local."),
            (
                "-x fd00::2",
                "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 30 IN PTR \
                 two.shop.svc.cluster.local.",
            ),
            ("out.shop.svc.cluster.local CNAME", "out.shop.svc.cluster.local. 30 IN CNAME www.example.org."),
            (
                "alias.shop.svc.cluster.local",
                "alias.shop.svc.cluster.local. 30 IN CNAME cart.shop.svc.cluster.local.\n\
                 cart.shop.svc.cluster.local. 30 IN A 10.96.1.3",
            ),
            ("dns-version.cluster.local TXT", "dns-version.cluster.local. 28800 IN TXT \"1.1.0\""),
            ("cluster.local NS", "cluster.local. 30 IN NS ns.dns.cluster.local."),
            ("10-2-3-4.shop.pod.cluster.local", "10-2-3-4.shop.pod.cluster.local. 30 IN A 10.2.3.4"),
        ] {
            assert_eq!(dig(&server, &format!("+noall +answer {transport} {question}")), expected, "{transport}");
        }
    }
}

#[test]
fn dig_sees_authority_and_the_two_kinds_of_no() {
    if !is_there("dig") {
        return;
    }
    let server = Running::start(&Folder::with(&world()), &[]);
    for (question, status, flags, authority) in [
        ("cart.shop.svc.cluster.local A", "NOERROR", "qr aa rd", 0),
        ("cart.shop.svc.cluster.local AAAA", "NOERROR", "qr aa rd", 1),
        ("nobody.shop.svc.cluster.local A", "NXDOMAIN", "qr aa rd", 1),
        ("www.example.org A", "REFUSED", "qr rd", 0),
        ("version.bind CH TXT", "REFUSED", "qr rd", 0),
        ("cart.shop.svc.cluster.local +norec A", "NOERROR", "qr aa", 0),
        ("cart.shop.svc.cluster.local +opcode=NOTIFY A", "NOTIMP", "qr rd", 0),
        ("cart.shop.svc.cluster.local +edns=1 +noednsneg A", "BADVERS", "qr rd", 0),
    ] {
        let seen = dig(&server, &format!("+noall +comments {question}"));
        assert!(seen.contains(&format!("status: {status},")), "{question}: {seen}");
        assert!(seen.contains(&format!("flags: {flags}; ")), "{question}: {seen}");
        assert!(seen.contains(&format!("AUTHORITY: {authority},")), "{question}: {seen}");
    }
    let seen = dig(&server, "+noall +authority nobody.shop.svc.cluster.local");
    assert!(seen.starts_with("cluster.local. 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. "), "{seen}");
}

#[test]
fn dig_gets_its_letters_back() {
    if !is_there("dig") {
        return;
    }
    let server = Running::start(&Folder::with(&world()), &[]);
    let seen = dig(&server, "+noall +question +answer cArT.shOp.SVC.cluster.LOCAL");
    assert_eq!(seen, ";cArT.shOp.SVC.cluster.LOCAL. IN A\ncArT.shOp.SVC.cluster.LOCAL. 30 IN A 10.96.1.3");
}

#[test]
fn dig_comes_back_over_tcp_for_what_was_cut() {
    if !is_there("dig") {
        return;
    }
    let server = Running::start(&Folder::with(&world()), &[]);
    let lines = |options: &str| {
        let seen = dig(&server, &format!("+noall +answer +comments {options} many.data.svc.cluster.local"));
        (
            seen.lines().filter(|line| line.contains(" IN A ")).count(),
            seen.contains(" tc "),
            seen.contains("OPT PSEUDO"),
        )
    };
    assert_eq!(lines("+ignore +noedns"), (29, true, false));
    assert_eq!(lines("+ignore +bufsize=512"), (28, true, true));
    assert_eq!(lines("+ignore +bufsize=4096"), (73, true, true));
    assert_eq!(lines("+noedns"), (100, false, false));
    assert_eq!(lines("+bufsize=4096"), (100, false, true));
    assert_eq!(lines("+tcp"), (100, false, true));
}

#[test]
fn dig_takes_a_whole_zone() {
    if !is_there("dig") {
        return;
    }
    let many: String =
        (0..3000).map(|i| service("many", &format!("s{i}"), &format!("10.100.{}.{}", i / 256, i % 256))).collect();
    let server = Running::start(&Folder::with(&(world() + &many)), &[]);
    let seen = dig(&server, "cluster.local AXFR");
    let records: Vec<&str> = seen.lines().filter(|line| !line.is_empty() && !line.starts_with(';')).collect();
    assert!(records[0].contains(" IN SOA ") && records[0] == records[records.len() - 1]);
    assert!(
        seen.contains(&format!(";; XFR size: {} records (messages ", records.len())),
        "{}",
        &seen[seen.len() - 300..]
    );
    assert!(!seen.contains("(messages 1,"), "several messages");
    // What is in the zone is what its own question answers.
    for record in records.iter().step_by(500).skip(1) {
        let [owner, _, _, rtype, ..] = record.split(' ').collect::<Vec<_>>()[..] else { panic!("{record}") };
        assert!(
            dig(&server, &format!("+noall +answer {owner} {rtype}")).lines().any(|line| line == *record),
            "{record}"
        );
    }
    let reverse = dig(&server, "+noall +answer in-addr.arpa AXFR");
    assert!(reverse.starts_with("in-addr.arpa. 30 IN SOA "), "{reverse}");
}

#[test]
fn kdig_asks_many_questions_on_one_connection() {
    if !is_there("kdig") {
        return;
    }
    let server = Running::start(&Folder::with(&world()), &["--log"]);
    let names: Vec<String> = (0..20).map(|i| format!("10-1-0-{i}.shop.pod.cluster.local")).collect();
    let mut command = Command::new("kdig");
    let port = server.address.port().to_string();
    command.args(["@127.0.0.1", "-p", &port, "+tcp", "+keepopen", "+short"]).args(&names);
    let seen = text(command.output().unwrap());
    let expected: Vec<String> = (0..20).map(|i| format!("10.1.0.{i}")).collect();
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), expected);
    let clients: BTreeSet<String> =
        server.log.all().iter().map(|line| line.split(" tcp ").next().unwrap().to_owned()).collect();
    assert_eq!((clients.len(), server.log.all().len()), (1, 20), "{clients:?}");
}

#[test]
fn kdig_reads_what_dig_reads() {
    if !is_there("kdig") {
        return;
    }
    let server = Running::start(&Folder::with(&world()), &[]);
    let port = server.address.port().to_string();
    let kdig = |arguments: &str| {
        let mut command = Command::new("kdig");
        command.args(["@127.0.0.1", "-p", &port, "+short"]).args(arguments.split(' '));
        let output = text(command.output().unwrap());
        output.lines().filter(|line| !line.is_empty() && !line.starts_with(';')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(kdig("cart.shop.svc.cluster.local"), ["10.96.1.3"]);
    assert_eq!(kdig("_http._tcp.cart.shop.svc.cluster.local SRV"), ["0 100 80 cart.shop.svc.cluster.local."]);
    assert_eq!(kdig("-x 10.96.1.3"), ["cart.shop.svc.cluster.local."]);
    assert_eq!(kdig("many.data.svc.cluster.local").len(), 100, "over TCP in the end");
    assert_eq!(kdig("+ignore +noedns many.data.svc.cluster.local").len(), 29);
}

/// Sets up a machine of its own: loopback with an address of each family (glibc asks only for families it has), the files
/// of the Pod, and the server at port 53. Then looks up each name of the list `names` with both resolvers, and shows what the
/// server was asked.
const INSIDE: &str = r#"
set -eu
ip link set lo up
ip address add 10.244.1.9/32 dev lo
ip address add fd00:1::9/128 dev lo
for file in resolv.conf hosts nsswitch.conf; do mount --bind "$FOLDER/$file" "/etc/$file"; done
"$SERVER" -f "$FOLDER/world.yaml" --listen 127.0.0.1:53 --log >"$FOLDER/log" 2>"$FOLDER/notes" &
server=$!
trap 'kill $server; wait $server || true' EXIT
for i in $(seq 400); do grep -q serial "$FOLDER/notes" && break; sleep 0.05; done
ask() {
    before=$(wc -l <"$FOLDER/log")
    echo "@ $1 $2"
    shift 2
    "$@" || true
    sed "1,${before}d; s/^/# /" "$FOLDER/log"
}
while read -r name; do
    ask glibc "$name" getent ahosts "$name"
    if [ -x "$FOLDER/resolve" ]; then ask musl "$name" "$FOLDER/resolve" "$name"; fi
done <"$FOLDER/names"
"#;

/// A look-up as it went.
#[derive(Debug)]
struct Seen {
    kind: ResolverKind,
    name: String,
    addresses: BTreeSet<String>,
    /// The names asked for, in order; a name asked for twice running stands once.
    asked: Vec<String>,
    log: Vec<String>,
}

fn seen(output: &str) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    for line in output.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["@", kind, name] => {
                let kind = if kind == "musl" { ResolverKind::Musl } else { ResolverKind::Glibc };
                let (addresses, asked, log) = Default::default();
                all.push(Seen { kind, name: name.to_owned(), addresses, asked, log });
            }
            ["#", _, _, name, ..] => {
                let last = all.last_mut().unwrap();
                if last.asked.last().map(String::as_str) != Some(name) {
                    last.asked.push(name.to_owned());
                }
                last.log.push(line.to_owned());
            }
            [address, ..] => drop(all.last_mut().unwrap().addresses.insert(address.to_owned())),
            [] => {}
        }
    }
    all
}

#[test]
fn the_resolvers_of_glibc_and_musl_ask_what_the_search_foretells() {
    if !["unshare", "ip", "getent"].iter().all(|program| is_there(program)) {
        return;
    }
    let world = world();
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world.yaml", &world);
    let mut cluster: Cluster = reader.finish().objects.into_iter().map(|(object, _)| object).collect();
    svc_model::complete(&mut cluster);
    let tool: &Pod = cluster.get("shop", "tool").unwrap();
    let (conf, hosts) = (resolv_conf(&cluster, tool, &Default::default()), hosts_file(&cluster, tool));
    let server = Server::of(&cluster);

    let names = [
        "cart",
        "cart.shop",
        "cart.shop.svc",
        "cart.shop.svc.cluster.local",
        "cart.shop.svc.cluster.local.",
        "two",
        "six",
        "alias",
        "db.data",
        "db-1.db.data",
        "10-2-3-4.shop.pod",
        // From the hosts file, and no question is sent; the Service of that name is there all the same, under another name.
        "redis",
        "redis.shop",
        "tool",
        // No data at the second search path, where musl stops. glibc goes on to the fourth, if no data carries the AA bit.
        "data",
        "nobody",
        "nobody.shop.svc.cluster.local.",
        "www.example.org",
        "www.example.org.",
    ];
    let folder = Folder::with(&world);
    folder.write("resolv.conf", &conf.to_string());
    folder.write("hosts", &hosts.to_string());
    folder.write("nsswitch.conf", "hosts: files dns\n");
    folder.write("names", &(names.join("\n") + "\nmany.data\n"));
    if is_there("musl-gcc") {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/resolve.c");
        let built =
            Command::new("musl-gcc").args(["-static", "-O", "-o"]).arg(folder.0.join("resolve")).arg(source).output();
        text(built.unwrap());
    }

    let is_root = text(Command::new("id").arg("-u").output().unwrap()).trim() == "0";
    let mut command = Command::new("unshare");
    // Who is not root becomes it in a namespace of users, if the system lets them.
    command.args(if is_root { &["--net", "--mount"][..] } else { &["--user", "--map-root-user", "--net", "--mount"] });
    command.args(["sh", "-c", INSIDE]).env("FOLDER", &folder.0).env("SERVER", env!("CARGO_BIN_EXE_dns-server"));
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.output().unwrap();
    if !output.status.success() && output.stdout.is_empty() {
        println!("skipped: no machine of its own: {}", String::from_utf8_lossy(&output.stderr).trim());
        return;
    }
    let output = text(output);
    let seen = seen(&output);
    let kinds = if folder.0.join("resolve").exists() { 2 } else { 1 };
    assert_eq!(seen.len(), kinds * (names.len() + 1), "{output}");

    for look_up in &seen {
        let mut resolver = Resolver::new(&server, &conf);
        resolver.hosts = Some(&hosts);
        resolver.kind = look_up.kind;
        let foretold = resolver.lookup(&look_up.name).unwrap();
        let tries: Vec<String> = foretold.tries.iter().map(ToString::to_string).collect();
        if look_up.name == "many.data" && look_up.kind == ResolverKind::Glibc {
            // With so many addresses it walks the list again, with more room for what comes back.
            assert!(look_up.asked.chunks(tries.len()).all(|walk| walk == tries), "{look_up:#?}");
        } else {
            assert_eq!(look_up.asked, tries, "{look_up:#?}");
        }

        let mut addresses: BTreeSet<String> = foretold.hosts.iter().map(ToString::to_string).collect();
        if let Some(last) = foretold.tries.last().filter(|_| foretold.outcome == Outcome::Found) {
            for record_type in [RecordType::A, RecordType::AAAA] {
                let answer = server.answer(Question::new(last, record_type), None).answer;
                let of_type = answer.into_iter().filter(|record| record.data.record_type() == record_type);
                addresses.extend(of_type.map(|record| record.data.to_string()));
            }
        }
        if look_up.name == "many.data" && look_up.kind == ResolverKind::Musl {
            // Before 1.2.4 musl never uses TCP, and lives on what fits into 512 octets.
            assert!(!look_up.addresses.is_empty() && look_up.addresses.is_subset(&addresses), "{look_up:#?}");
        } else {
            assert_eq!(look_up.addresses, addresses, "{look_up:#?}");
        }
    }
    let of = |name: &str, kind| seen.iter().find(|seen| seen.name == name && seen.kind == kind).unwrap();
    assert!(of("many.data", ResolverKind::Glibc).log.iter().any(|line| line.contains(" tcp ")), "fetched over TCP");
    assert_eq!(of("data", ResolverKind::Glibc).addresses, BTreeSet::from(["10.96.1.5".to_owned()]));
    if kinds == 2 {
        assert_eq!(of("data", ResolverKind::Musl).asked.len(), 2);
    }
    fs::remove_dir_all(&folder.0).unwrap();
}
