//! What a zone costs, counted: allocations and octets, which are the same on every machine.

mod world;

use allocation_counter::{AllocationInfo, measure};
use dns_records::kubernetes::{Zone, ZoneSettings};
use dns_records::{Name, NoUpstream, Question, Rcode, RecordRef, RecordType, Section};
use serde::de::DeserializeSeed as _;
use serde_json::{Value, json};
use svc_model::{Change, Cluster, Kind, Object, ObjectRef};
use world::{kubernetes, pod, service, slice};

fn object(value: Value) -> Object {
    let kind: Kind = value["kind"].as_str().unwrap().parse().unwrap();
    kind.deserialize(value).unwrap()
}

fn key(i: usize) -> String {
    format!("ns{}/svc{i}", i / 100)
}

/// `n` Services of one cluster IP and one named port, with as many endpoints each as asked for.
fn many(n: usize, endpoints: usize) -> Cluster {
    let services = (0..n).map(|i| {
        let ip = format!("172.{}.{}.{}", 16 + i / 62_500, i / 250 % 250, i % 250);
        object(service(&key(i), &[&ip], json!([{"name": "http", "port": 80}])))
    });
    let slices = (0..n).filter(|_| endpoints > 0).map(|i| object(endpoints_of(i, endpoints, 0)));
    services.chain(slices).collect()
}

/// The slice of a Service, whose last address is another one if `last` is.
fn endpoints_of(i: usize, count: usize, last: usize) -> Value {
    let endpoint = |e: usize| {
        let number = i * count + e + if e + 1 == count { last } else { 0 };
        let [_, b, c, d] = (number as u32).to_be_bytes();
        json!({"addresses": [format!("10.{b}.{c}.{d}")]})
    };
    let endpoints: Vec<Value> = (0..count).map(endpoint).collect();
    slice(&key(i), "IPv4", json!([{"name": "http", "port": 8080}]), json!(endpoints))
}

/// Octets that a zone of this cluster holds.
fn held(cluster: &Cluster) -> u64 {
    let mut zone = None;
    let held = measure(|| zone = Some(Zone::of(cluster))).bytes_current;
    assert!(zone.is_some());
    u64::try_from(held).unwrap()
}

#[test]
fn ten_thousand_services_take_four_hundred_octets_each_at_most() {
    let [bare, with_endpoints] = [0, 10].map(|endpoints| held(&many(10_000, endpoints)));
    assert!(bare <= 400 * 10_000, "{} each", bare / 10_000);
    let endpoint = (with_endpoints - bare) / 100_000;
    assert!(endpoint <= 90, "{endpoint} an endpoint");
}

/// What it costs to follow each of some changes, with a reader who keeps the zone as it was. Of `n` Services the first
/// thousand have ten endpoints each.
fn updates(n: usize) -> Vec<(&'static str, AllocationInfo)> {
    let mut cluster = many(n, 0);
    cluster.extend((0..1_000).map(|i| object(endpoints_of(i, 10, 0))));
    let mut zone = Zone::of(&cluster);
    let mut measured = Vec::new();
    let mut follow = |what, change: &dyn Fn(&mut Cluster) -> Change| {
        let change = change(&mut cluster);
        let cost = measure(|| {
            let reader = zone.clone();
            assert!(zone.update(&cluster, &change.touched));
            zone.set_serial(zone.settings().serial + 1);
            drop(reader);
        });
        measured.push((what, cost));
    };
    follow("one endpoint of ten", &|cluster| cluster.apply(object(endpoints_of(500, 10, 7_000_000))));
    follow("a new Service", &|cluster| cluster.apply(object(service("ns1/new", &["10.96.0.9"], json!([])))));
    follow("a Service less", &|cluster| cluster.remove(&ObjectRef::new(Kind::Service, "ns5", "svc500")));
    follow("a new namespace", &|cluster| cluster.apply(object(service("new/new", &["10.96.0.9"], json!([])))));
    measured
}

#[test]
fn an_update_costs_the_same_in_a_large_zone_and_a_clone_nothing() {
    for ((what, small), (_, large)) in updates(1_000).into_iter().zip(updates(30_000)) {
        // Some levels of the tables are copied; of these a zone of thirty times the size has one more.
        assert!(large.count_total <= small.count_total + 12, "{what}: {small:?} {large:?}");
        assert!(large.bytes_total <= 2 * small.bytes_total, "{what}: {small:?} {large:?}");
        assert!(large.count_total <= 150, "{what}: {large:?}");
    }
    let zone = Zone::of(&many(1_000, 1));
    assert_eq!(measure(|| drop(std::hint::black_box(zone.clone()))).count_total, 0);
}

#[test]
fn what_is_touched_and_the_same_copies_nothing() {
    let mut cluster = many(1_000, 10);
    let mut zone = Zone::of(&cluster);
    let mut again = endpoints_of(500, 10, 0);
    again["metadata"]["annotations"] = json!({"a": "b"});
    again["endpoints"][3]["zone"] = json!("elsewhere");
    let change = cluster.apply(object(again));
    assert_eq!(change.touched.services.len(), 1);
    let reader = zone.clone();
    assert!(!zone.update(&cluster, &change.touched));
    assert_eq!(measure(|| assert!(zone == reader)).count_total, 0);
}

#[test]
fn pods_are_indexed_only_where_the_settings_need_them() {
    let pods = |words: &str| {
        let pods =
            (0..1_000).map(|i| object(pod(&format!("a/p{i}"), &format!("10.1.{}.{}", i / 250, i % 250), json!({}))));
        held(&pods.chain([object(kubernetes(words))]).collect())
    };
    assert!(pods("pods insecure") < 10_000);
    assert!(pods("pods verified") < 300 * 1_000);
}

/// Octets, allocations and records of an answer.
fn ask(zone: &Zone, name: &str, record_type: RecordType) -> (u64, Rcode, usize) {
    let name: Name = name.parse().unwrap();
    let (mut records, mut rcode) = (0, Rcode::NoError);
    let allocations = measure(|| {
        let mut sink = |_: Section, _: &RecordRef<'_>| records += 1;
        rcode = zone.answer_rotated(Question::new(&name, record_type), 3, &mut NoUpstream, &mut sink).rcode;
    });
    (allocations.count_total, rcode, records)
}

#[test]
fn no_question_but_a_transfer_allocates() {
    let mut cluster = many(1_000, 10);
    cluster.extend([object(service("ns1/crew", &["None"], json!([])))]);
    let endpoints: Vec<Value> = (0..100).map(|i| json!({"addresses": [format!("10.200.0.{i}")]})).collect();
    cluster.extend([object(slice("ns1/crew", "IPv4", json!([{"name": "http", "port": 80}]), json!(endpoints)))]);
    cluster.extend([object(world::alias("ns1/web", "svc101.ns1.svc.cluster.local"))]);
    cluster.extend([object(world::alias("ns1/out", "www.example.com"))]);
    cluster.extend([object(pod("ns1/p", "10.201.0.1", json!({}))), object(kubernetes("pods verified"))]);
    let zone = Zone::of(&cluster);
    use RecordType as T;
    for (name, record_type, rcode, records) in [
        ("svc101.ns1.svc.cluster.local", T::A, Rcode::NoError, 1),
        ("SVC101.NS1.SVC.CLUSTER.LOCAL", T::A, Rcode::NoError, 1),
        ("svc101.ns1.svc.cluster.local", T::AAAA, Rcode::NoError, 1),
        ("svc101.ns1.svc.cluster.local", T::SRV, Rcode::NoError, 2),
        ("svc101.ns2.svc.cluster.local", T::A, Rcode::NxDomain, 1),
        ("svc101.nowhere.svc.cluster.local", T::A, Rcode::NxDomain, 1),
        ("www.example.com.ns1.svc.cluster.local", T::A, Rcode::NxDomain, 1),
        ("x.svc101.ns1.svc.cluster.local", T::A, Rcode::NxDomain, 1),
        ("_http._tcp.svc101.ns1.svc.cluster.local", T::SRV, Rcode::NoError, 2),
        ("_tcp.svc101.ns1.svc.cluster.local", T::SRV, Rcode::NoError, 1),
        ("10-0-3-242.svc101.ns1.svc.cluster.local", T::A, Rcode::NoError, 1),
        ("10-0-3-242.svc101.ns1.svc.cluster.local", T::SRV, Rcode::NoError, 2),
        ("crew.ns1.svc.cluster.local", T::A, Rcode::NoError, 100),
        ("_http._tcp.crew.ns1.svc.cluster.local", T::SRV, Rcode::NoError, 200),
        ("web.ns1.svc.cluster.local", T::A, Rcode::NoError, 2),
        ("out.ns1.svc.cluster.local", T::A, Rcode::NoError, 1),
        ("10-201-0-1.ns1.pod.cluster.local", T::A, Rcode::NoError, 1),
        ("10-201-0-2.ns1.pod.cluster.local", T::A, Rcode::NxDomain, 1),
        ("101.0.16.172.in-addr.arpa", T::PTR, Rcode::NoError, 1),
        ("1.0.200.10.in-addr.arpa", T::PTR, Rcode::NoError, 1),
        ("9.9.9.9.in-addr.arpa", T::PTR, Rcode::NxDomain, 1),
        ("0.200.10.in-addr.arpa", T::PTR, Rcode::NoError, 1),
        ("cluster.local", T::NS, Rcode::NoError, 2),
        ("cluster.local", T::SOA, Rcode::NoError, 1),
        ("dns-version.cluster.local", T::TXT, Rcode::NoError, 1),
        ("example.com", T::A, Rcode::Refused, 0),
        ("cluster.local", T::AXFR, Rcode::Refused, 0),
    ] {
        assert_eq!(ask(&zone, name, record_type), (0, rcode, records), "{name} {record_type}");
    }
}

/// security.md, amplification: what goes into a reply is bounded by what the names have, each record once; what of it goes out is for
/// the writer to cut, which it can do after any record.
#[test]
fn amplification_five_thousand_endpoints_cost_one_record_and_one_address_each_and_no_allocation() {
    let endpoints: Vec<Value> =
        (0..5_000).map(|i| json!({"addresses": [format!("10.1.{}.{}", i / 250, i % 250)]})).collect();
    let cluster: Cluster = [
        object(service("a/s", &["None"], json!([]))),
        object(slice("a/s", "IPv4", json!([{"name": "p", "port": 1}]), json!(endpoints))),
    ]
    .into_iter()
    .collect();
    let zone = Zone::new(&cluster, ZoneSettings::default());
    assert_eq!(ask(&zone, "s.a.svc.cluster.local", RecordType::A), (0, Rcode::NoError, 5_000));
    assert_eq!(ask(&zone, "s.a.svc.cluster.local", RecordType::ANY), (0, Rcode::NoError, 1));
    assert_eq!(ask(&zone, "_p._tcp.s.a.svc.cluster.local", RecordType::SRV), (0, Rcode::NoError, 10_000));
    assert_eq!(ask(&zone, "7.0.1.10.in-addr.arpa", RecordType::PTR), (0, Rcode::NoError, 1));
}
