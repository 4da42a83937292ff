//! What holds for every cluster and every input.

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;

use dns_records::kubernetes::{Corefile, Missing, Reason, Zone, ZoneSettings, check};
use dns_records::resolv::ResolvConf;
use dns_records::search::{Heard, ResolverKind, Search};
use dns_records::{Answer, JoinedName, Name, NameRef, NoUpstream, Question, Rcode, RecordData, RecordType};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use svc_model::Cluster;

const SERVICES: [&str; 3] = ["s", "t", "com"];
const NAMESPACES: [&str; 2] = ["a", "b"];

/// Services of every kind with endpoints that share addresses and names.
fn object() -> impl Strategy<Value = Value> {
    let key = || {
        (select(&NAMESPACES[..]), select(&SERVICES[..]))
            .prop_map(|(namespace, service)| format!("{namespace}/{service}"))
    };
    let port = || {
        select(vec![
            json!([]),
            json!([{"name": "p", "port": 1}]),
            json!([{"name": "p", "port": 1}, {"name": "Q", "port": 2, "protocol": "UDP"}, {"port": 3}]),
        ])
    };
    let endpoint = (1..5u8, select(vec![None, Some("h"), Some("H"), Some("i")]), any::<bool>()).prop_map(
        |(i, hostname, ready)| {
            json!({"addresses": [format!("10.1.0.{i}")], "hostname": hostname, "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": format!("pod-{i}")}})
        },
    );
    prop_oneof![
        (key(), subsequence(vec!["10.0.0.1", "10.0.0.2", "fd00::1", "10.1.0.1"], 0..3), port())
            .prop_map(|(key, ips, ports)| world::service(&key, &ips, ports)),
        (key(), port()).prop_map(|(key, ports)| world::service(&key, &["None"], ports)),
        (key(), port(), prop::collection::vec(endpoint, 0..4)).prop_map(|(key, ports, endpoints)| world::slice(
            &key,
            "IPv4",
            ports,
            json!(endpoints)
        )),
        (
            key(),
            select(vec![
                "s.a.svc.cluster.local",
                "t.b.svc.CLUSTER.local.",
                "x.example",
                "10.0.0.1",
                "a..b",
                "5.0.0.10.in-addr.arpa"
            ])
        )
            .prop_map(|(key, target)| world::alias(&key, target)),
        (1..5u8).prop_map(|i| world::pod(&format!("a/pod-{i}"), &format!("10.1.0.{i}"), json!({}))),
    ]
}

fn words() -> impl Strategy<Value = String> {
    let words = [
        "pods insecure",
        "pods verified",
        "ttl 30",
        "endpoint_pod_names",
        "noendpoints",
        "namespaces a",
        "ignore empty_service",
    ];
    subsequence(words.to_vec(), 0..4).prop_map(|words| words.join("\n"))
}

fn cluster() -> impl Strategy<Value = Cluster> {
    (prop::collection::vec(object(), 0..12), words())
        .prop_map(|(objects, words)| world::cluster(objects.into_iter().chain([world::kubernetes(&words)])))
}

/// Names that are likely to be near something.
fn question() -> impl Strategy<Value = String> {
    let label = select(vec![
        "s",
        "T",
        "com",
        "a",
        "B",
        "svc",
        "POD",
        "h",
        "i",
        "_p",
        "_q",
        "_tcp",
        "_udp",
        "10-1-0-1",
        "10-1-0-3",
        "pod-2",
        "dns",
        "ns",
        "dns-version",
        "*",
        "x",
    ]);
    let forward = (prop::collection::vec(label, 0..6), select(vec!["svc.", "pod.", ""])).prop_map(|(labels, tree)| {
        format!("{}{tree}Cluster.local", labels.iter().map(|l| format!("{l}.")).collect::<String>())
    });
    let reverse = prop::collection::vec(select(vec!["0", "1", "2", "10", "x"]), 0..6)
        .prop_map(|labels| format!("{}in-addr.ARPA", labels.iter().map(|l| format!("{l}.")).collect::<String>()));
    prop_oneof![3 => forward, 1 => reverse]
}

fn record_type() -> impl Strategy<Value = RecordType> {
    use RecordType as T;
    select(vec![T::A, T::AAAA, T::SRV, T::CNAME, T::PTR, T::NS, T::SOA, T::TXT, T::MX, T::ANY, T::AXFR])
}

fn addresses(zone: &Zone, name: &Name) -> BTreeSet<IpAddr> {
    let both =
        [RecordType::A, RecordType::AAAA].map(|record_type| zone.answer(Question::new(name, record_type)).answer);
    let addr = |data: &RecordData| match data {
        RecordData::A(addr) => Some(IpAddr::V4(*addr)),
        RecordData::Aaaa(addr) => Some(IpAddr::V6(*addr)),
        _ => None,
    };
    both.iter().flatten().filter_map(|record| addr(&record.data)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn below_a_name_that_does_not_exist_nothing_does(cluster in cluster(), name in question(), label in "[a-z0-9_*-]{1,3}", kind in record_type()) {
        let zone = Zone::of(&cluster);
        let (above, below): (Name, Name) = (name.parse().unwrap(), format!("{label}.{name}").parse().unwrap());
        if zone.answer(Question::new(&above, kind)).answer.is_empty()
            && zone.answer(Question::new(&above, kind)).rcode == Rcode::NxDomain
        {
            let answer = zone.answer(Question::new(&below, kind));
            prop_assert_eq!(answer.rcode, Rcode::NxDomain, "{} below {}: {}", below, above, answer.reason);
        }
    }

    #[test]
    fn whether_a_name_exists_does_not_depend_on_the_type(cluster in cluster(), name in question(), one in record_type(), other in record_type()) {
        let zone = Zone::of(&cluster);
        let name: Name = name.parse().unwrap();
        let ask = |kind: RecordType| zone.answer(Question::new(&name, kind));
        let (one, other) = (ask(one), ask(other));
        // An alias hands on the outcome of its target, and a transfer is no question for a name.
        let plain = |answer: &dns_records::Answer<_>| !answer.answer.iter().any(|record| record.data.record_type() == RecordType::CNAME);
        if plain(&one) && plain(&other) && one.rcode != Rcode::Refused && other.rcode != Rcode::Refused {
            prop_assert_eq!(one.rcode, other.rcode);
        }
    }

    #[test]
    fn a_negative_answer_has_the_soa_and_no_other_has(cluster in cluster(), name in question(), kind in record_type()) {
        let zone = Zone::of(&cluster);
        let name: Name = name.parse().unwrap();
        let answer = zone.answer(Question::new(&name, kind));
        let alias_end = answer.answer.last().is_some_and(|record| record.data.record_type() == RecordType::CNAME);
        let negative = answer.rcode != Rcode::Refused && answer.answer.is_empty();
        prop_assert!(negative != answer.authority.is_empty() || alias_end);
        prop_assert!(!answer.reason.to_string().is_empty());
        for record in &answer.authority {
            prop_assert_eq!(record.data.record_type(), RecordType::SOA);
            prop_assert!(record.owner.as_ref().is_within(NameRef::ROOT) && name.to_string().ends_with(&record.owner.to_string()) || alias_end);
        }
    }

    #[test]
    fn ptr_of_an_address_names_what_leads_back_to_it(cluster in cluster()) {
        let zone = Zone::of(&cluster);
        for addr in ["10.0.0.1", "10.0.0.2", "10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"] {
            let addr: std::net::Ipv4Addr = addr.parse().unwrap();
            let [a, b, c, d] = addr.octets();
            let name: Name = format!("{d}.{c}.{b}.{a}.in-addr.arpa").parse().unwrap();
            for record in zone.answer(Question::new(&name, RecordType::PTR)).answer {
                let RecordData::Ptr(target) = record.data else { panic!("{record}") };
                // The settings may hide the name of a Service without endpoints, not its address.
                let why = zone.answer(Question::new(&target, RecordType::A)).reason;
                let is_hidden = matches!(
                    why,
                    Reason::Missing(Missing::EmptyService { .. }) | Reason::FallsThrough(Missing::EmptyService { .. })
                );
                prop_assert!(is_hidden || addresses(&zone, &target).contains(&IpAddr::V4(addr)), "{} does not lead back", target);
            }
        }
    }

    #[test]
    fn every_address_of_a_headless_service_has_a_ptr_and_srv_targets_have_addresses(cluster in cluster()) {
        let zone = Zone::of(&cluster);
        for service in SERVICES {
            for namespace in NAMESPACES {
                let name: Name = format!("{service}.{namespace}.svc.cluster.local").parse().unwrap();
                let object = cluster.get::<svc_model::api::Service>(namespace, service);
                for addr in object.filter(|object| object.spec.is_headless()).into_iter().flat_map(|_| addresses(&zone, &name)) {
                    let IpAddr::V4(addr) = addr else { continue };
                    let [a, b, c, d] = addr.octets();
                    let reverse: Name = format!("{d}.{c}.{b}.{a}.in-addr.arpa").parse().unwrap();
                    let pointers = zone.answer(Question::new(&reverse, RecordType::PTR)).answer;
                    prop_assert!(!pointers.is_empty(), "{} has no name", addr);
                }
                let answer = zone.answer(Question::new(&name, RecordType::SRV));
                for record in answer.answer {
                    let RecordData::Srv { target, .. } = record.data else { panic!("{record}") };
                    let found = addresses(&zone, &target);
                    prop_assert!(!found.is_empty());
                    let glue = answer.additional.iter().filter(|record| record.owner == target).count();
                    prop_assert_eq!(glue, found.len());
                }
            }
        }
    }

    #[test]
    fn every_record_of_a_transfer_answers_its_own_question(cluster in cluster()) {
        let mut settings = ZoneSettings::of(&cluster);
        settings.transfer = true;
        let zone = Zone::new(&cluster, settings);
        let apex: Name = "cluster.local".parse().unwrap();
        let transfer = zone.answer(Question::new(&apex, RecordType::AXFR)).answer;
        prop_assert_eq!(transfer.first(), transfer.last());
        for (i, record) in transfer.iter().enumerate() {
            let answer = zone.answer(Question::new(&record.owner, record.data.record_type())).answer;
            prop_assert!(answer.contains(record), "{} is not in {:?}", record, answer);
            prop_assert!(i + 1 == transfer.len() || !transfer[..i].contains(record), "{} twice", record);
        }
    }

    #[test]
    fn a_rotation_moves_addresses_of_one_name_and_nothing_else(cluster in cluster(), name in question(), kind in record_type(), rotation in any::<u32>()) {
        let mut settings = ZoneSettings::of(&cluster);
        settings.transfer = true;
        let zone = Zone::new(&cluster, settings);
        let name: Name = name.parse().unwrap();
        let question = Question::new(&name, kind);
        let plain = zone.answer(question);
        let rotated = Answer::collect(|sink| zone.answer_rotated(question, rotation, &mut NoUpstream, sink));
        prop_assert_eq!((plain.rcode, plain.reason, &plain.authority), (rotated.rcode, rotated.reason, &rotated.authority));
        if !matches!(kind, RecordType::A | RecordType::AAAA) {
            prop_assert_eq!(&plain.answer, &rotated.answer);
        }
        let aliases = plain.answer.iter().take_while(|record| record.data.record_type() == RecordType::CNAME).count();
        let (mut addresses, count) = (plain.answer[aliases..].to_vec(), plain.answer.len() - aliases);
        if kind == RecordType::A || kind == RecordType::AAAA {
            addresses.rotate_left((rotation as usize).checked_rem(count).unwrap_or(0));
            prop_assert_eq!(&plain.answer[..aliases], &rotated.answer[..aliases]);
            prop_assert_eq!(addresses, &rotated.answer[aliases..]);
        }
        let glue = |answer: &Answer<_>| answer.additional.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        prop_assert_eq!(plain.additional.len(), rotated.additional.len());
        prop_assert_eq!(glue(&plain), glue(&rotated));
    }

    #[test]
    fn names_read_what_they_write(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..12)) {
        let name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        let again: Name = name.to_string().parse().unwrap();
        prop_assert_eq!(again.as_ref().as_wire(), name.as_ref().as_wire());
        let wire = NameRef::from_wire(name.as_ref().as_wire()).unwrap();
        prop_assert_eq!(wire.to_name(), name.clone());
        let half = labels.len() / 2;
        let (head, tail) = labels.split_at(half);
        let part = |labels: &[Vec<u8>]| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        let (head, tail) = (part(head), part(tail));
        prop_assert_eq!(Name::from(JoinedName::new(head.as_ref(), tail.as_ref()).unwrap()), name);
    }

    #[test]
    fn any_text_is_a_name_or_an_error(text in any::<String>(), short in r"[a-z.\\0-9]{0,12}", octets in prop::collection::vec(any::<u8>(), 0..300)) {
        for text in [text, short] {
            if let Ok(name) = text.parse::<Name>() {
                let again: Name = name.to_string().parse().unwrap();
                prop_assert_eq!(again.as_ref().as_wire(), name.as_ref().as_wire());
            }
        }
        if let Ok(name) = NameRef::from_wire(&octets) {
            let again: Name = name.to_string().parse().unwrap();
            prop_assert_eq!(again.as_ref().as_wire(), &*octets);
        }
    }

    #[test]
    fn any_text_is_a_resolv_conf_or_an_error(text in r"((nameserver|search|options|#| |\t|\n|ndots:|a\.|\.|[0-9]|.){0,40})", name in "[a-z.]{0,20}") {
        if let Ok(conf) = text.parse::<ResolvConf>() {
            let again: ResolvConf = conf.to_string().parse().unwrap();
            prop_assert_eq!(&again.nameservers, &conf.nameservers);
            prop_assert!(conf.ndots() <= 15);
            let mut limited = conf.clone();
            limited.limit();
            prop_assert!(limited.searches.join(" ").len() <= 2048 && limited.nameservers.len() <= 3);
            for kind in [ResolverKind::Glibc, ResolverKind::Musl, ResolverKind::Go] {
                if let Ok(search) = Search::new(&name, &conf, kind) {
                    let tries = search.walk(|_| Heard::NoName);
                    prop_assert!(tries.names.len() <= conf.searches.len() + 1);
                    prop_assert!(tries.names.iter().collect::<BTreeSet<_>>().len() <= tries.names.len());
                }
            }
        }
    }

    #[test]
    fn any_text_is_a_corefile_or_an_error(text in r#"((kubernetes|pods|insecure|ttl|[{}"\\#, \n]|fallthrough|namespaces|10\.0\.0\.0/8|.){0,60})"#) {
        let _ = text.parse::<Corefile>();
        let cluster = world::cluster([world::corefile(&text), world::service("a/s", &["10.0.0.1"], json!([]))]);
        let _ = check(&cluster);
        let name: Name = "s.a.svc.cluster.local".parse().unwrap();
        let _ = Zone::of(&cluster).answer(Question::new(&name, RecordType::A));
    }

    #[test]
    fn any_octets_can_be_asked(cluster in cluster(), labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 0..6), number in any::<u16>()) {
        let zone = Zone::of(&cluster);
        let name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        for zone_name in ["cluster.local", "pod.cluster.local", "a.svc.cluster.local", "ip6.arpa", "."] {
            let zone_name: Name = zone_name.parse().unwrap();
            let Ok(name) = name.below(zone_name.as_ref()) else { continue };
            let _ = zone.answer(Question::new(&name, RecordType(number))).reason.to_string();
        }
    }
}
