//! What holds for every Corefile, every rule and every hosts file.

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;

use dns_records::hosts::{HostsFile, HostsRecords, HostsSettings, Told};
use dns_records::kubernetes::{Corefile, Plugin, Resolver, Server, check};
use dns_records::resolv::ResolvConf;
use dns_records::rewrite::Rule;
use dns_records::search::ResolverKind;
use dns_records::{Answer, JoinedName, Name, Question, Rcode, RecordData, RecordRef, RecordType, Section};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use svc_model::Cluster;

fn cluster(config: &str) -> Cluster {
    world::cluster([
        world::corefile(config),
        world::service("a/s", &["10.0.0.1"], json!([{"name": "p", "port": 1}])),
        world::service("b/t", &["None"], json!([])),
        world::slice(
            "b/t",
            "IPv4",
            json!([{"name": "p", "port": 2}]),
            json!([{"addresses": ["10.1.0.1"], "hostname": "h"}]),
        ),
        world::alias("a/away", "x.example"),
        world::pod("a/p", "10.1.0.9", json!({})),
    ])
}

/// Texts that are near a Corefile.
fn corefile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "(s) {",
            "(t) {",
            "import s",
            "import t",
            "import file",
            "kubernetes",
            "rewrite name a.b c.d",
            "hosts",
            "autopath",
            "@kubernetes",
            "transfer",
            "to *",
            "pods verified",
            "ttl 30",
            "fallthrough",
            "10.0.0.1 x.y",
            "a.example:53,",
            ".",
            "rewrite name regex ^(.*)$ {1}.x",
            "cluster.local",
            "{$X}",
            "answer auto",
            "\"",
            "\\",
            "#",
            "{",
            "}",
            "\r",
            "\u{feff}",
        ])
        .prop_map(str::to_owned),
        "[a-z{}\"\\\\#,. \u{85}é]{0,6}",
    ];
    let end = select(vec![" ", "\n", " {\n", "\n}\n", ""]);
    prop::collection::vec((piece, end), 0..24)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, end)| piece + end).collect())
}

fn without_lines(corefile: &mut Corefile) {
    fn forget(plugin: &mut Plugin) {
        plugin.line = 0;
        plugin.block.iter_mut().for_each(forget);
    }
    corefile.imports.iter_mut().for_each(forget);
    for server in &mut corefile.servers {
        server.line = 0;
        server.plugins.iter_mut().for_each(forget);
    }
}

const NAMES: [&str; 8] = [
    "s.a.svc.cluster.local",
    "t.b.svc.cluster.local",
    "h.t.b.svc.cluster.local",
    "_p._tcp.s.a.svc.cluster.local",
    "away.a.svc.cluster.local",
    "nobody.a.svc.cluster.local",
    "x.example",
    "1.0.0.10.in-addr.arpa",
];

fn record_type() -> impl Strategy<Value = RecordType> {
    use RecordType as T;
    select(vec![T::A, T::AAAA, T::SRV, T::CNAME, T::PTR, T::NS, T::SOA, T::TXT, T::ANY])
}

fn show<R>(answer: &Answer<R>) -> (Rcode, Vec<String>) {
    let records = [&answer.answer, &answer.authority, &answer.additional];
    (answer.rcode, records.into_iter().flatten().map(|record| record.to_string().to_lowercase()).collect())
}

proptest! {
    #[test]
    fn a_corefile_is_read_back_as_it_is_written(text in corefile()) {
        if let Ok(mut corefile) = text.parse::<Corefile>() {
            let written = corefile.to_string();
            let mut again = written.parse::<Corefile>().map_err(|error| TestCaseError::fail(format!("{error} in\n{written}")))?;
            prop_assert_eq!(again.to_string(), written);
            without_lines(&mut corefile);
            without_lines(&mut again);
            prop_assert_eq!(again, corefile);
        }
    }

    #[test]
    fn any_corefile_makes_a_server_that_answers(text in corefile(), at in 0..NAMES.len(), record_type in record_type()) {
        let cluster = cluster(&text);
        let _ = check(&cluster);
        let server = Server::of(&cluster);
        let name: Name = NAMES[at].parse().unwrap();
        for client in [None, Some(IpAddr::from([10, 1, 0, 9]))] {
            let answer = server.answer(Question::new(&name, record_type), client);
            prop_assert!(!answer.reason.to_string().is_empty());
            // A name that does not exist has no records, but for the aliases that led to it.
            let only_aliases = answer.answer.iter().all(|record| matches!(record.data, RecordData::Cname(_)));
            prop_assert!(answer.rcode == Rcode::NoError || only_aliases);
        }
    }

    #[test]
    fn without_plugins_the_server_is_the_zone(at in 0..NAMES.len(), record_type in record_type()) {
        let server = Server::of(&cluster(".:53 {\n kubernetes cluster.local in-addr.arpa {\n  pods insecure\n }\n forward . 1.1.1.1\n}"));
        let name: Name = NAMES[at].parse().unwrap();
        let question = Question::new(&name, record_type);
        prop_assert_eq!(show(&server.answer(question, None)), show(&server.zone().answer(question)));
    }

    /// Whatever the rule, a question is answered as its other name is, and what comes back names the one that was asked.
    #[test]
    fn a_renamed_question_is_answered_as_its_other_name_is(at in 0..NAMES.len(), record_type in record_type(), kind in 0..5usize) {
        let target = NAMES[at];
        let (rule, asked) = match kind {
            0 => (format!("name exact alias.test {target}"), "Alias.Test".to_owned()),
            1 => (format!("name suffix .test .{} answer auto", target.split_once('.').unwrap().1), format!("{}.Test", target.split('.').next().unwrap())),
            2 => (format!("name prefix alias {} answer auto", target.split('.').next().unwrap()), format!("Alias.{}", target.split_once('.').unwrap().1)),
            3 => (format!("name substring alias.test {target} answer auto"), "Alias.Test".to_owned()),
            _ => (format!("name regex ^alias\\.test\\.$ {target} answer auto"), "Alias.Test".to_owned()),
        };
        let server = Server::of(&cluster(&format!(".:53 {{\n rewrite {rule}\n kubernetes cluster.local in-addr.arpa\n}}")));
        let (asked, target): (Name, Name) = (asked.parse().unwrap(), target.parse().unwrap());
        let renamed = server.answer(Question::new(&asked, record_type), None);
        let plain = server.zone().answer(Question::new(&target, record_type));
        prop_assert_eq!(renamed.rcode, plain.rcode);
        prop_assert_eq!(renamed.reason.name(), Some(target.as_ref()));
        prop_assert_eq!((renamed.answer.len(), renamed.additional.len()), (plain.answer.len(), plain.additional.len()));
        for (renamed, plain) in renamed.answer.iter().zip(&plain.answer) {
            prop_assert_eq!((renamed.ttl, renamed.data.record_type()), (plain.ttl, plain.data.record_type()));
            if plain.owner == target {
                prop_assert_eq!(renamed.owner.to_string(), asked.to_string());
            }
        }
    }

    #[test]
    fn any_words_are_a_rule_or_an_error(words in prop::collection::vec(select(vec![
        "continue", "stop", "name", "exact", "prefix", "suffix", "substring", "regex", "answer", "auto", "value", "ttl", "a.b", ".", "",
        "(.*)", "{1}", "{0}.x", "x..y", "(", "a{0,9}",
    ]), 0..9), asked in "[a-z.]{1,12}") {
        if let (Ok(rule), Ok(asked)) = (Rule::from_words(&words), asked.parse::<Name>()) {
            let rules = [rule].into_iter().collect::<dns_records::rewrite::Rules>();
            if let Ok(Some(rewritten)) = rules.apply(asked.as_ref()) {
                let joined = JoinedName::from(rewritten.name());
                let _ = (rewritten.put_back_owner(joined), rewritten.put_back_value(joined));
                prop_assert_eq!(rewritten.asked(), asked.as_ref());
            }
        }
    }

    /// The compiled table tells what a scan of the lines does.
    #[test]
    fn hosts_records_are_those_of_the_lines(lines in prop::collection::vec((
        select(vec!["10.0.0.1", "10.0.0.2", "fd00::1"]),
        prop::collection::vec(select(vec!["a.x", "A.X", "b.x", "a.y", "*.x", "*.a.x"]), 1..3),
    ), 0..6), asked in select(vec!["a.x", "b.X", "c.x", "b.a.x", "c.b.x", "a.y", "x"])) {
        let mut file = HostsFile::default();
        lines.iter().for_each(|(addr, names)| file.push(addr.parse().unwrap(), names.iter().copied()));
        let zones = vec!["x".parse().unwrap()];
        let mut settings = HostsSettings::default();
        settings.zones = zones;
        let hosts = HostsRecords::new(&file, settings);
        let name: Name = asked.parse().unwrap();
        let wildcard = format!("*.{}", asked.split_once('.').map_or("", |(_, rest)| rest));
        let own: BTreeSet<IpAddr> = file.addresses(asked).collect();
        let scanned = if own.is_empty() { file.addresses(&wildcard).collect() } else { own };
        let mut found = BTreeSet::new();
        let mut told = Vec::new();
        for record_type in [RecordType::A, RecordType::AAAA] {
            let mut sink = |_: Section, record: &RecordRef<'_>| match record.data {
                RecordData::A(addr) => assert!(found.insert(IpAddr::V4(addr)), "each once"),
                RecordData::Aaaa(addr) => assert!(found.insert(IpAddr::V6(addr)), "each once"),
                _ => panic!("{record}"),
            };
            told.push(hosts.answer_into(Question::new(&name, record_type), &mut sink));
        }
        if asked.to_lowercase().ends_with('x') {
            prop_assert_eq!(&found, &scanned);
            prop_assert_eq!(told.contains(&Told::Missing), scanned.is_empty());
        } else {
            prop_assert_eq!((found.len(), told), (0, vec![Told::Nothing; 2]));
        }
    }

    /// A cheaper name leads where the dearer one did, for every list and every resolver.
    #[test]
    fn what_is_cheaper_leads_to_the_same(
        name in select(vec!["s", "s.a", "t.b", "h.t.b", "s.a.svc", "s.a.svc.cluster.local", "x.example", "nobody"]),
        searches in prop::collection::vec(select(vec!["a.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example", "b.svc.cluster.local"]), 0..5),
        ndots in 0..7u8, kind in 0..3usize,
    ) {
        let server = Server::of(&cluster(".:53 {\n kubernetes cluster.local\n}"));
        let mut conf = ResolvConf { searches: searches.into_iter().map(str::to_owned).collect(), ..ResolvConf::default() };
        conf.set_ndots(ndots);
        let kind = [ResolverKind::Glibc, ResolverKind::Musl, ResolverKind::Go][kind];
        let resolver = Resolver::new(&server, &conf).with_kind(kind);
        let before = resolver.lookup(name).unwrap();
        if let Some(cheaper) = resolver.cheaper(name).unwrap() {
            let after = resolver.lookup(&cheaper.name).unwrap();
            prop_assert_eq!((after.tries.last(), after.queries()), (before.tries.last(), cheaper.queries));
            prop_assert!(cheaper.queries < before.queries());
            if let Some(ndots) = cheaper.ndots {
                conf.set_ndots(ndots);
                let after = Resolver::new(&server, &conf).with_kind(kind).lookup(name).unwrap();
                prop_assert_eq!(after.tries.last(), before.tries.last());
                prop_assert!(after.queries() <= cheaper.queries);
            }
        }
    }
}
