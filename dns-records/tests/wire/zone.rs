//! Whole exchanges with the zone of a cluster.

use dns_records::kubernetes::{Reason, Zone};
use dns_records::wire::{Query, Response, Settings, Transport, transfer};
use dns_records::{NoUpstream, Question, Rcode, Record, RecordRef, RecordType, Section, Sink};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use svc_model::Cluster;

use super::decode::{AA, QR, RD, TC, decode};
use super::encode::{Message, as_read, name, query};
use super::world;

/// The reply of a zone to a message over TCP, as lines.
fn ask(zone: &Zone, message: &Message) -> super::decode::Decoded {
    let octets = message.octets();
    let mut out = vec![0; 65_535];
    let response = zone.respond(&octets, Transport::Tcp, 0, &Settings::default(), &mut out).unwrap();
    let Response::Reply(query, reply) = response else { panic!("{response:?}") };
    assert_eq!(query.id(), message.id);
    decode(&out[..reply.length])
}

fn shop() -> Zone {
    let ports = json!([{"name": "http", "port": 80}]);
    Zone::of(&world::cluster([
        world::service("shop/cart", &["10.0.0.1", "fd00::1"], ports.clone()),
        world::service("shop/db", &["None"], ports.clone()),
        world::slice(
            "shop/db",
            "IPv4",
            ports,
            json!([{"addresses": ["10.1.0.1"], "hostname": "db-0"}, {"addresses": ["10.1.0.2"], "hostname": "db-1"}]),
        ),
        world::alias("shop/old", "cart.shop.svc.cluster.local"),
        world::alias("shop/web", "www.example.com"),
    ]))
}

#[test]
fn each_kind_of_answer_of_a_cluster() {
    let zone = shop();
    let soa = "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5";
    let show = |name: &str, record_type| {
        let read = ask(&zone, &query(name, record_type));
        assert_eq!(read.flags, QR | AA | RD);
        (read.rcode, read.sections.map(|lines| lines.join("; ")))
    };
    let of = |rcode, sections: [&str; 3]| (rcode, sections.map(str::to_owned));
    let cart = "cart.shop.svc.cluster.local";
    assert_eq!(show(cart, RecordType::A), of(0, [&format!("{cart}. 5 IN A 10.0.0.1"), "", ""]));
    assert_eq!(show(cart, RecordType::AAAA), of(0, [&format!("{cart}. 5 IN AAAA fd00::1"), "", ""]));
    assert_eq!(show(cart, RecordType::TXT), of(0, ["", soa, ""]));
    assert_eq!(show("nobody.shop.svc.cluster.local", RecordType::A), of(3, ["", soa, ""]));
    assert_eq!(
        show("old.shop.svc.cluster.local", RecordType::A),
        of(0, [&format!("old.shop.svc.cluster.local. 5 IN CNAME {cart}.; {cart}. 5 IN A 10.0.0.1"), "", ""])
    );
    assert_eq!(
        show("web.shop.svc.cluster.local", RecordType::A),
        of(0, ["web.shop.svc.cluster.local. 5 IN CNAME www.example.com.", "", ""])
    );
    let db = "db.shop.svc.cluster.local";
    let (owner, line) = (format!("_http._tcp.{db}"), |i| format!("_http._tcp.{db}. 5 IN SRV 0 50 80 db-{i}.{db}."));
    assert_eq!(
        show(&owner, RecordType::SRV),
        of(
            0,
            [
                &format!("{}; {}", line(0), line(1)),
                "",
                &format!("db-0.{db}. 5 IN A 10.1.0.1; db-1.{db}. 5 IN A 10.1.0.2")
            ]
        )
    );
    assert_eq!(
        show("1.0.1.10.in-addr.arpa", RecordType::PTR),
        of(0, [&format!("1.0.1.10.in-addr.arpa. 5 IN PTR db-0.{db}."), "", ""])
    );
}

/// glibc 2.36 left its search list at such a reply with AA 0, and never asked the path that would have answered.
#[test]
fn no_data_of_a_zone_is_authoritative_with_and_without_edns() {
    let zone = shop();
    for name in ["cart.shop.svc.cluster.local", "shop.svc.cluster.local", "cluster.local"] {
        for message in [query(name, RecordType::MX), query(name, RecordType::MX).edns(1232, false)] {
            let read = ask(&zone, &message);
            assert_eq!(
                (read.rcode, read.flags, read.sections[0].len(), read.sections[1].len()),
                (0, QR | AA | RD, 0, 1)
            );
        }
    }
}

/// The zone part of targets and of the SOA too is spelled as asked.
#[test]
fn draft_vixie_0x20_the_spelling_of_the_question_comes_back() {
    let zone = shop();
    for (name, record_type) in [
        ("cArT.ShOp.SvC.cLuStEr.LoCaL", RecordType::A),
        ("nObOdY.ShOp.SvC.cLuStEr.LoCaL", RecordType::A),
        ("_HtTp._TcP.dB.ShOp.SvC.cLuStEr.LoCaL", RecordType::SRV),
    ] {
        let message = query(name, record_type);
        let read = ask(&zone, &message);
        assert_eq!(read.question, message.body);
        let [answer, authority, additional] = &read.sections;
        assert!(answer.iter().all(|line| line.starts_with(&format!("{name}. "))), "{answer:?}");
        assert!(authority.iter().all(|line| line.starts_with("cLuStEr.LoCaL. ")), "{authority:?}");
        assert!(additional.iter().all(|line| line.contains(".cLuStEr.LoCaL. ")), "{additional:?}");
        assert!(!answer.is_empty() || !authority.is_empty());
    }
}

#[test]
fn any_and_unknown_types_are_types_that_nothing_has() {
    let zone = shop();
    for number in [255, 249, 250, 128, 253, 65_280] {
        for (name, rcode) in [("cart.shop.svc.cluster.local", 0), ("nobody.shop.svc.cluster.local", 3)] {
            let read = ask(&zone, &query(name, RecordType(number)));
            assert_eq!((read.rcode, read.sections[0].len(), read.sections[1].len()), (rcode, 0, 1), "{number}");
        }
    }
}

#[test]
fn every_outcome_of_respond() {
    let mut out = [0; 512];
    let zone = shop();
    let message = |name: &str, record_type| query(name, record_type).octets();
    let mut respond = |octets: &[u8], transport, recursion_available| {
        let settings = Settings { recursion_available, ..Settings::default() };
        format!("{:?}", zone.respond(octets, transport, 0, &settings, &mut out).unwrap())
    };
    let udp = Transport::Udp;
    let (ours, elsewhere) =
        (message("cart.shop.svc.cluster.local", RecordType::A), message("example.com", RecordType::A));
    assert!(respond(&ours, udp, true).starts_with("Reply("));
    assert!(respond(&elsewhere, udp, false).starts_with("Reply("));
    assert!(respond(&elsewhere, udp, true).starts_with("Forward("));
    assert!(respond(&ours[..20], udp, true).starts_with("Error {"));
    assert!(respond(&ours[..2], udp, true).starts_with("Nothing("));
    let axfr = message("cluster.local", RecordType::AXFR);
    assert!(respond(&axfr, udp, true).starts_with("Error {"));
    assert!(respond(&axfr, Transport::Tcp, true).starts_with("Transfer("));
}

#[test]
fn a_name_that_falls_through_is_forwarded() {
    let zone = Zone::of(&world::cluster([world::kubernetes("fallthrough in-addr.arpa")]));
    let octets = query("9.9.9.10.in-addr.arpa", RecordType::PTR).octets();
    let settings = Settings { recursion_available: true, ..Settings::default() };
    let mut out = [0; 512];
    let response = zone.respond(&octets, Transport::Udp, 0, &settings, &mut out).unwrap();
    assert!(matches!(response, Response::Forward(_)), "{response:?}");
    let response = zone.respond(&octets, Transport::Udp, 0, &Settings::default(), &mut out).unwrap();
    let Response::Reply(_, reply) = response else { panic!("{response:?}") };
    assert!(matches!(reply.verdict.reason, Reason::FallsThrough(_)));
    assert_eq!(reply.verdict.rcode, Rcode::Refused);
}

/// Resolvers that never ask over TCP live on the part that fits (musl before 1.2.4).
#[test]
fn addresses_are_rotated_before_they_are_cut() {
    let addr = |i: u8| json!({"addresses": [format!("10.1.0.{i}")]});
    let zone = Zone::of(&world::cluster([
        world::service("a/db", &["None"], json!([])),
        world::slice("a/db", "IPv4", json!([]), json!((0..100).map(addr).collect::<Vec<_>>())),
    ]));
    let octets = query("db.a.svc.cluster.local", RecordType::A).octets();
    let mut out = [0; 512];
    let mut first = |rotation| {
        let response = zone.respond(&octets, Transport::Udp, rotation, &Settings::default(), &mut out).unwrap();
        let Response::Reply(_, reply) = response else { panic!("{response:?}") };
        let read = decode(&out[..reply.length]);
        assert_eq!((read.flags & TC, read.sections[0].len()), (TC, 29));
        read.sections[0][0].rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!([0, 50, 99, 100].map(&mut first), ["10.1.0.0", "10.1.0.50", "10.1.0.99", "10.1.0.0"]);
    let seen: std::collections::BTreeSet<_> = (0..100).map(first).collect();
    assert_eq!(seen.len(), 100);
}

/// Ten thousand Services, of which every tenth is headless with ten endpoints.
fn large() -> Cluster {
    let ports = json!([{"name": "http", "port": 80}]);
    world::cluster((0..10_000u32).flat_map(|i| {
        let key = format!("ns{}/svc{i}", i / 100);
        let endpoint = |j: u32| json!({"addresses": [std::net::Ipv4Addr::from(0x0a80_0000 + i * 16 + j).to_string()]});
        match i % 10 {
            0 => vec![
                world::service(&key, &["None"], ports.clone()),
                world::slice(&key, "IPv4", ports.clone(), json!((0..10).map(endpoint).collect::<Vec<_>>())),
            ],
            _ => vec![world::service(&key, &[&std::net::Ipv4Addr::from(0xac1e_000a + i).to_string()], ports.clone())],
        }
    }))
}

/// A Corefile that hands out the zone.
const TRANSFER: &str = ".:53 {\n kubernetes cluster.local\n transfer {\n to *\n }\n}\n";

#[test]
fn axfr_of_ten_thousand_services() {
    let mut cluster = large();
    world::apply(&mut cluster, world::corefile(TRANSFER));
    let zone = Zone::of(&cluster);
    let octets = query("Cluster.local", RecordType::AXFR).edns(1232, false).octets();
    let query = Query::read(&octets, Transport::Tcp).unwrap();
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let answer = |question, sink: &mut dyn dns_records::Sink| zone.answer_into(question, &mut NoUpstream, sink);
    let send = |message: &[u8]| sent.push(message.to_vec());
    let done = transfer(&query, &Settings::default(), &mut vec![0; 65_535], answer, send).unwrap();
    assert_eq!((done.verdict.rcode, done.left_out), (Rcode::NoError, 0));

    let name = name("Cluster.local");
    let whole = zone.answer(Question::new(&name, RecordType::AXFR)).answer;
    let expected: Vec<_> = whole.iter().map(ToString::to_string).collect();
    let read: Vec<_> = sent.iter().map(|message| decode(message)).collect();
    assert!(read.iter().all(|message| (message.flags, message.rcode) == (QR | AA | RD, 0)));
    let lines: Vec<_> = read.into_iter().flat_map(|message| message.sections[0].clone()).collect();
    assert!(lines.len() > 40_000, "{}", lines.len());
    assert!(lines == expected);
    assert!(lines[0].contains(" IN SOA ") && lines[0] == lines[lines.len() - 1]);
    assert!(sent.len() > 10 && sent.iter().all(|message| message.len() <= 65_535));
}

#[test]
fn no_query_allocates() {
    let zone = shop();
    let mut out = [0; 1232];
    let kept = Settings::default();
    for (name, record_type) in [
        ("cart.shop.svc.cluster.local", RecordType::A),
        ("cart.shop.svc.cluster.local", RecordType::MX),
        ("nobody.shop.svc.cluster.local", RecordType::A),
        ("_http._tcp.db.shop.svc.cluster.local", RecordType::SRV),
        ("old.shop.svc.cluster.local", RecordType::A),
        ("2.0.1.10.in-addr.arpa", RecordType::PTR),
        ("cluster.local", RecordType::NS),
        ("dns-version.cluster.local", RecordType::TXT),
        ("www.example.com", RecordType::A),
    ] {
        let octets = query(name, record_type).edns(1232, false).octets();
        let mut length = 0;
        let counted = allocation_counter::measure(|| {
            if let Ok(Response::Reply(_, reply)) = zone.respond(&octets, Transport::Udp, 0, &kept, &mut out) {
                length = reply.length;
            }
        });
        assert_eq!(counted.count_total, 0, "{name} {record_type}");
        assert!(length >= octets.len(), "{name} {record_type}");
        let broken = allocation_counter::measure(|| {
            for length in 0..octets.len() {
                let _ = zone.respond(&octets[..length], Transport::Udp, 0, &kept, &mut out);
            }
        });
        assert_eq!(broken.count_total, 0, "{name} {record_type}, cut short");
    }
}

#[test]
fn a_transfer_allocates_no_more_than_the_zone_does_to_put_services_in_order() {
    let zone = Zone::of(&world::cluster([
        world::corefile(TRANSFER),
        world::service("shop/cart", &["10.0.0.1"], json!([{"name": "http", "port": 80}])),
    ]));
    let octets = query("cluster.local", RecordType::AXFR).octets();
    let mut out = [0; 512];
    let mut messages = 0;
    let answer = |question, sink: &mut dyn Sink| zone.answer_into(question, &mut NoUpstream, sink);
    let name = name("cluster.local");
    let in_order = allocation_counter::measure(|| {
        answer(Question::new(&name, RecordType::AXFR), &mut |_: Section, _: &RecordRef<'_>| ());
    });
    let counted = allocation_counter::measure(|| {
        let query = Query::read(&octets, Transport::Tcp).unwrap();
        messages = transfer(&query, &Settings::default(), &mut out, answer, |_| ()).unwrap().messages;
    });
    assert!(messages > 0);
    assert_eq!(counted.count_total, in_order.count_total);
}

fn worlds() -> impl Strategy<Value = Cluster> {
    let key = || (select(vec!["a", "b"]), select(vec!["s", "t", "u"])).prop_map(|(ns, name)| format!("{ns}/{name}"));
    let ports = json!([{"name": "p", "port": 1}, {"name": "q", "port": 2, "protocol": "UDP"}]);
    let (one, two) = (ports.clone(), ports.clone());
    let endpoint = (1..9u8, select(vec![None, Some("h"), Some("I")]))
        .prop_map(|(i, hostname)| json!({"addresses": [format!("10.1.0.{i}")], "hostname": hostname}));
    let object = prop_oneof![
        (key(), 1..4u8).prop_map(move |(key, i)| world::service(
            &key,
            &[&format!("10.0.0.{i}"), "fd00::1"],
            one.clone()
        )),
        (key(), Just(two)).prop_map(|(key, ports)| world::service(&key, &["None"], ports)),
        (key(), vec(endpoint, 1..40)).prop_map(move |(key, endpoints)| world::slice(
            &key,
            "IPv4",
            ports.clone(),
            json!(endpoints)
        )),
        (key(), select(vec!["s.a.svc.cluster.local", "T.b.svc.CLUSTER.local", "x.example"]))
            .prop_map(|(key, target)| world::alias(&key, target)),
    ];
    vec(object, 0..10).prop_map(world::cluster)
}

fn questions() -> impl Strategy<Value = String> {
    let label = select(vec![
        "s", "T", "u", "a", "B", "svc", "SVC", "h", "i", "_p", "_tcp", "_q", "_udp", "10-1-0-1", "dns", "ns",
    ]);
    let forward = vec(label, 0..4).prop_flat_map(|labels| {
        let head: String = labels.iter().map(|label| format!("{label}.")).collect();
        select(vec!["a.svc.cluster.local", "B.svc.Cluster.local", "svc.cluster.local", "cluster.local"])
            .prop_map(move |tail| format!("{head}{tail}"))
    });
    let reverse = (0..2u8, 1..9u8).prop_map(|(net, i)| format!("{i}.0.{net}.10.IN-addr.arpa"));
    prop_oneof![4 => forward, 1 => reverse]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_peers_read_what_the_zone_answers(
        cluster in worlds(),
        names in vec((questions(), select(vec![
            RecordType::A, RecordType::AAAA, RecordType::SRV, RecordType::CNAME, RecordType::PTR, RecordType::NS, RecordType::SOA, RecordType::ANY,
        ])), 1..12),
        udp: bool,
    ) {
        let zone = Zone::of(&cluster);
        let settings = Settings::default();
        let mut out = vec![0; 65_535];
        for (asked, record_type) in names {
            let octets = query(&asked, record_type).octets();
            let transport = if udp { Transport::Udp } else { Transport::Tcp };
            let response = zone.respond(&octets, transport, 0, &settings, &mut out).unwrap();
            let Response::Reply(query, reply) = response else { panic!("{response:?}") };
            let read = decode(&out[..reply.length]);
            let whole = zone.answer(query.question());
            prop_assert_eq!(read.rcode, whole.rcode as u16);
            prop_assert_eq!(read.flags & AA != 0, whole.authoritative);
            prop_assert_eq!(reply.verdict.reason, whole.reason);
            let asked = query.question().name.to_name();
            let lines = |records: &[Record]| records.iter().map(|record| as_read(&asked, record)).collect::<Vec<_>>();
            let [answer, authority, additional] = &read.sections;
            let expected = [lines(&whole.answer), lines(&whole.authority), lines(&whole.additional)];
            let read_all = (answer, authority) == (&expected[0], &expected[1]);
            prop_assert_eq!(read.flags & TC != 0, !read_all);
            prop_assert!(udp || read_all && *additional == expected[2], "{:?} is not {:?}", read.sections, expected);
            for (read, expected) in read.sections.iter().zip(&expected) {
                prop_assert!(expected.starts_with(read), "{:?} of {:?}", read, expected);
            }
        }
    }
}
