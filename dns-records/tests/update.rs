//! A zone that follows its cluster is the zone it would be if it were made anew, and clones keep what they had.

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;

use dns_records::kubernetes::{Reason, Zone, ZoneSettings};
use dns_records::{Answer, Name, Question, Rcode, RecordData, RecordType};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use svc_model::testkit::{Edit, edits, objects};
use svc_model::{Cluster, Kind, Object, ObjectRef, Touched};
use world::{alias, ask, cluster, kubernetes, pod, service, short, slice};

const TYPES: [RecordType; 9] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::SRV,
    RecordType::CNAME,
    RecordType::PTR,
    RecordType::NS,
    RecordType::SOA,
    RecordType::TXT,
    RecordType::AXFR,
];

/// Every name of the transfer, of the PTR records of its addresses, and some that are likely to be near something.
fn names(zones: [&Zone; 2]) -> BTreeSet<Name> {
    let mut names: BTreeSet<Name> = BTreeSet::new();
    for zone in zones {
        for apex in ["cluster.local", "in-addr.arpa"] {
            let apex: Name = apex.parse().unwrap();
            for record in zone.answer(Question::new(&apex, RecordType::AXFR)).answer {
                names.insert(record.owner);
                match record.data {
                    RecordData::A(addr) => drop(names.insert(reverse(addr.into()))),
                    RecordData::Aaaa(addr) => drop(names.insert(reverse(addr.into()))),
                    _ => {}
                }
            }
        }
    }
    for namespace in ["default", "a", "new"] {
        let below = ["svc", "pod", "10-1-0-1.pod", "10-1-0-2.pod"].map(str::to_owned).into_iter();
        let parts = ["", "_tcp.", "_p._tcp.", "10-1-0-1.", "h.", "x."];
        let services = ["a", "s"].iter().flat_map(|service| parts.map(|part| format!("{part}{service}.svc")));
        for name in below.chain(services) {
            let (labels, tree) =
                name.rsplit_once('.').map_or((String::new(), &*name), |(labels, tree)| (format!("{labels}."), tree));
            names.insert(format!("{labels}{namespace}.{tree}.cluster.local").parse().unwrap());
        }
    }
    for octets in ["10.1.0.1", "172.30.0.1", "10.0.0.1"] {
        let addr: IpAddr = octets.parse().unwrap();
        names.extend([
            reverse(addr),
            reverse(addr).as_ref().skip(1).to_name(),
            reverse(addr).as_ref().skip(3).to_name(),
        ]);
    }
    names.extend(
        ["ns.dns.cluster.local", "cluster.local", "ip6.arpa", "x.example"].map(|name| name.parse::<Name>().unwrap()),
    );
    names
}

fn reverse(addr: IpAddr) -> Name {
    let text = match addr {
        IpAddr::V4(addr) => {
            let [a, b, c, d] = addr.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(addr) => {
            let nibbles = (0..32).map(|i| format!("{:x}.", (addr.to_bits() >> (4 * i)) & 15));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    };
    text.parse().unwrap()
}

fn questions(names: &BTreeSet<Name>) -> impl Iterator<Item = Question<'_>> {
    names.iter().flat_map(|name| TYPES.map(|record_type| Question::new(name, record_type)))
}

/// The first of these questions that two zones answer differently, or for other reasons, and their answers.
fn difference(zone: &Zone, other: &Zone, names: &BTreeSet<Name>) -> Option<String> {
    questions(names).find_map(|question| {
        let (one, two) = (zone.answer(question), other.answer(question));
        (one != two).then(|| format!("{question}: {}, not {}", world::show(&one), world::show(&two)))
    })
}

/// Whether two zones give the same records everywhere, for whatever reasons.
fn have_the_same_records(zone: &Zone, other: &Zone, names: &BTreeSet<Name>) -> bool {
    let records = |Answer { rcode, answer, authority, additional, .. }: Answer<Reason<'_>>| {
        (rcode, answer, authority, additional)
    };
    questions(names).all(|question| records(zone.answer(question)) == records(other.answer(question)))
}

fn touch(cluster: &mut Cluster, edit: &Edit) -> Touched {
    match edit {
        Edit::Apply(object) => cluster.apply((**object).clone()).touched,
        Edit::Remove(object) => cluster.remove(object).touched,
        _ => Touched::default(),
    }
}

fn config() -> impl Strategy<Value = Object> {
    let words = [
        "pods insecure",
        "pods verified",
        "ttl 30",
        "endpoint_pod_names",
        "noendpoints",
        "namespaces default a",
        "ignore empty_service",
    ];
    subsequence(words.to_vec(), 0..4).prop_map(|words| object(corefile(&words.join("\n"))))
}

/// With `transfer`, so that whole zones can be compared, and `autopath`, which needs Pods.
fn corefile(words: &str) -> Value {
    world::corefile(&format!(
        ". {{\n transfer {{\n to *\n }}\n autopath @kubernetes\n kubernetes cluster.local in-addr.arpa ip6.arpa {{\n{words}\n}}\n}}"
    ))
}

fn object(value: Value) -> Object {
    cluster([value]).objects().next().unwrap().clone()
}

/// What the strategies of svc-model have not: host names, aliases, Pods with addresses of their own, spelling.
fn dns_object() -> impl Strategy<Value = Object> {
    let key = || {
        (select(vec!["default", "a", "A", "kube-system"]), select(vec!["s", "S", "t", "kube-dns"]))
            .prop_map(|(namespace, name)| format!("{namespace}/{name}"))
    };
    let port = || {
        select(vec![
            json!([]),
            json!([{"name": "p", "port": 1}]),
            json!([{"name": "P", "port": 2, "protocol": "UDP"}, {"port": 3}]),
        ])
    };
    let endpoint = (1..5u8, select(vec![None, Some("h"), Some("H"), Some("10-1-0-1")]), any::<bool>()).prop_map(
        |(i, hostname, ready)| {
            json!({"addresses": [format!("10.1.0.{i}")], "hostname": hostname, "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": format!("pod-{i}")}})
        },
    );
    let ips = vec!["10.0.0.1", "10.1.0.1", "10.96.0.10", "fd00::1"];
    prop_oneof![
        3 => (key(), subsequence(ips, 0..3), port()).prop_map(|(key, ips, ports)| service(&key, &ips, ports)),
        3 => (key(), port()).prop_map(|(key, ports)| service(&key, &["None"], ports)),
        4 => (key(), port(), prop::collection::vec(endpoint, 0..4))
            .prop_map(|(key, ports, endpoints)| slice(&key, "IPv4", ports, json!(endpoints))),
        1 => (key(), select(vec!["s.a.svc.cluster.local", "x.example", "10.0.0.1"])).prop_map(|(key, target)| alias(&key, target)),
        2 => (select(vec!["a", "default"]), 1..4u8, 1..5u8, select(vec!["Running", "Failed"])).prop_map(
            |(namespace, name, i, phase)| {
                let mut pod = pod(&format!("{namespace}/pod-{name}"), &format!("10.1.0.{i}"), json!({}));
                pod["status"]["phase"] = json!(phase);
                pod
            }
        ),
        1 => select(vec!["new", "a"]).prop_map(|name| json!({"kind": "Namespace", "metadata": {"name": name}})),
        1 => select(vec!["new", "b"]).prop_map(|namespace| json!({"kind": "Secret", "metadata": {"name": "x", "namespace": namespace}})),
        1 => select(vec![json!(["10.96.0.10"]), json!(["10.0.0.1", "169.254.20.10"])])
            .prop_map(|dns| json!({"kind": "KubeletConfiguration", "clusterDNS": dns})),
    ]
    .prop_map(object)
}

/// Changes of both sorts, and removals of what there is.
fn changes() -> impl Strategy<Value = Vec<Edit>> {
    let apply = |object| Edit::Apply(Box::new(object));
    let change = prop_oneof![6 => dns_object().prop_map(apply), 1 => config().prop_map(apply)];
    let removal = dns_object().prop_map(|object| Edit::Remove(object.reference()));
    (prop::collection::vec(prop_oneof![3 => change, 2 => removal], 0..12), edits()).prop_map(|(mut changes, more)| {
        for (i, edit) in more.into_iter().enumerate() {
            changes.insert((2 * i).min(changes.len()), edit);
        }
        changes
    })
}

fn world() -> impl Strategy<Value = Cluster> {
    (objects(), prop::collection::vec(dns_object(), 0..8), config()).prop_map(|(objects, more, config)| {
        let mut cluster: Cluster = objects.into_iter().collect();
        cluster.extend(more);
        cluster.extend([config]);
        cluster
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_zone_that_follows_is_the_zone_made_anew(world in world(), changes in changes()) {
        let mut cluster = world;
        let mut zone = Zone::of(&cluster);
        for change in &changes {
            let touched = touch(&mut cluster, change);
            let before = zone.clone();
            let differs = zone.update(&cluster, &touched);
            let anew = Zone::of(&cluster);
            prop_assert_eq!(zone.findings(), anew.findings());
            let names = names([&before, &anew]);
            prop_assert_eq!(difference(&zone, &anew, &names), None, "after {:?}", change);
            prop_assert!(zone == anew);
            let said = differs || have_the_same_records(&before, &zone, &names);
            prop_assert!(said, "{:?} changed answers and was not said to", change);
        }
    }

    #[test]
    fn clones_keep_their_answers(world in world(), changes in changes()) {
        let mut cluster = world;
        let mut zone = Zone::of(&cluster);
        let mut clones = Vec::new();
        for change in &changes {
            let made_then = Zone::of(&cluster);
            let touched = touch(&mut cluster, change);
            let clone = zone.clone();
            zone.update(&cluster, &touched);
            let names = names([&made_then, &zone]);
            clones.push((clone, made_then, names));
        }
        for (clone, made_then, names) in clones {
            prop_assert_eq!(difference(&clone, &made_then, &names), None);
        }
    }

    #[test]
    fn several_changes_may_be_followed_at_once(world in world(), changes in changes()) {
        let mut cluster = world;
        let mut zone = Zone::of(&cluster);
        let mut touched = Touched::default();
        for change in &changes {
            touched.extend(touch(&mut cluster, change));
        }
        zone.update(&cluster, &touched);
        prop_assert!(zone == Zone::of(&cluster));
    }

    #[test]
    fn adding_and_removing_an_object_restores_every_answer(world in world(), object in dns_object()) {
        let mut cluster = world;
        let reference = object.reference();
        cluster.remove(&reference);
        let before = Zone::of(&cluster);
        let mut zone = before.clone();
        let added = cluster.apply(object).touched;
        let differs = zone.update(&cluster, &added);
        let with = zone.clone();
        let removed = cluster.remove(&reference).touched;
        prop_assert_eq!(zone.update(&cluster, &removed), differs);
        let names = names([&before, &with]);
        prop_assert_eq!(difference(&zone, &before, &names), None);
        prop_assert!(zone == before);
    }
}

#[test]
fn a_pod_update_that_alters_no_record_says_so() {
    let verified = kubernetes("pods verified");
    let mut cluster =
        cluster([verified, service("shop/s", &["None"], json!([])), pod("shop/p", "10.1.0.9", json!({}))]);
    let mut zone = Zone::of(&cluster);
    let mut labelled = pod("shop/p", "10.1.0.9", json!({}));
    labelled["metadata"]["labels"] = json!({"app": "x"});
    labelled["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
    let change = cluster.apply(object(labelled));
    assert!(!change.touched.is_empty() && !zone.update(&cluster, &change.touched));
    let change = cluster.apply(object(pod("shop/p", "10.1.0.8", json!({}))));
    assert!(zone.update(&cluster, &change.touched));
    assert_eq!(short(&zone, "10-1-0-9.shop.pod.cluster.local", "A"), "NXDOMAIN:");
    assert_eq!(
        ask(&zone, "10-1-0-8.shop.pod.cluster.local", "A"),
        "NOERROR: 10-1-0-8.shop.pod.cluster.local. 5 IN A 10.1.0.8 | | ; Pod/shop/p has that address"
    );
}

#[test]
fn a_slice_written_in_another_order_or_again_alters_nothing() {
    let endpoints = json!([{"addresses": ["10.1.0.1"], "hostname": "a"}]);
    let with = |zone: &str| {
        let mut slice = slice("shop/s", "IPv4", json!([{"name": "p", "port": 1}]), endpoints.clone());
        slice["endpoints"][0]["zone"] = json!(zone);
        slice
    };
    let mut cluster = cluster([service("shop/s", &["None"], json!([])), with("one")]);
    let mut zone = Zone::of(&cluster);
    let change = cluster.apply(object(with("two")));
    assert!(change.touched.services.len() == 1 && !zone.update(&cluster, &change.touched));
}

#[test]
fn settings_follow_the_cluster_unless_they_were_given() {
    let mut cluster = cluster([service("shop/s", &["10.0.0.1"], json!([])), kubernetes("ttl 7")]);
    let mut following = Zone::seeded(&cluster, 7);
    let mut fixed = Zone::new(&cluster, ZoneSettings::of(&cluster));
    following.set_serial(99);
    let change = cluster.apply(object(kubernetes("ttl 8\nnamespaces other")));
    assert!(following.update(&cluster, &change.touched));
    assert!(!fixed.update(&cluster, &change.touched));
    assert_eq!((following.settings().ttl, following.settings().serial, following.settings().hash_seed), (8, 99, 7));
    assert_eq!(fixed.settings().ttl, 7);
    assert_eq!(short(&following, "s.shop.svc.cluster.local", "A"), "NXDOMAIN:");
    assert_eq!(short(&fixed, "s.shop.svc.cluster.local", "A"), "NOERROR: s.shop.svc.cluster.local. 7 IN A 10.0.0.1");
    let change = cluster.apply(object(json!({"kind": "KubeletConfiguration", "clusterDNS": ["169.254.20.10"]})));
    assert!(following.update(&cluster, &change.touched));
    assert!(short(&following, "ns.dns.cluster.local", "A").ends_with("169.254.20.10"));
    assert_eq!(following.settings().serial, 99);
}

#[test]
fn of_two_services_that_differ_in_case_the_first_has_the_name_while_it_is_there() {
    let (upper, lower) = (service("a/S", &["10.0.0.1"], json!([])), service("a/s", &["10.0.0.2"], json!([])));
    let mut cluster = cluster([lower, upper.clone()]);
    let mut zone = Zone::of(&cluster);
    let state = |zone: &Zone| {
        let answer = short(zone, "s.a.svc.cluster.local", "A");
        let reverse = ["1", "2"].map(|i| short(zone, &format!("{i}.0.0.10.in-addr.arpa"), "PTR") != "NXDOMAIN:");
        (answer.ends_with("10.0.0.1"), reverse, zone.findings().len())
    };
    assert_eq!(state(&zone), (true, [true, false], 1));
    assert!(zone.findings()[0].message.contains("another name differs from it in case only"));
    let change = cluster.remove(&ObjectRef::new(Kind::Service, "a", "S"));
    assert!(zone.update(&cluster, &change.touched));
    assert_eq!(state(&zone), (false, [false, true], 0));
    let change = cluster.apply(object(upper));
    assert!(zone.update(&cluster, &change.touched));
    assert_eq!(state(&zone), (true, [true, false], 1));
}

#[test]
fn before_the_first_load_the_server_fails_in_its_zones_and_then_loads_whole() {
    let cluster = cluster([service("shop/s", &["10.0.0.1"], json!([]))]);
    let mut settings = ZoneSettings::of(&cluster);
    settings.transfer = true;
    let mut zone = Zone::loading(settings);
    for (name, kind) in
        [("s.shop.svc.cluster.local", "A"), ("nobody.shop.svc.cluster.local", "A"), ("cluster.local", "AXFR")]
    {
        assert_eq!(ask(&zone, name, kind), "SERVFAIL: | | ; the objects of the cluster have not been read yet");
    }
    assert_eq!(short(&zone, "x.example", "A"), "REFUSED:");
    assert!(zone.update(&cluster, &Touched::default()));
    assert_eq!(short(&zone, "s.shop.svc.cluster.local", "A"), "NOERROR: s.shop.svc.cluster.local. 5 IN A 10.0.0.1");
    let name: Name = "nobody.shop.svc.cluster.local".parse().unwrap();
    assert_eq!(zone.answer(Question::new(&name, RecordType::A)).rcode, Rcode::NxDomain);
}
