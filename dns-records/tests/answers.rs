//! What the zone of a cluster answers: one small world, asked in every way.

mod world;

use dns_records::kubernetes::Zone;
use dns_records::{
    Answer, Name, NoUpstream, Question, Record, RecordData, RecordRef, RecordType, Section, Sink, Upstream,
};
use serde_json::json;
use world::{alias, ask, cluster, kubernetes, service, short, slice};

const SOA: &str = "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5";

fn shop() -> Zone {
    let http = json!([{"name": "http", "port": 80}]);
    Zone::of(&cluster([
        service(
            "shop/cart",
            &["10.0.0.1", "fd00::1"],
            json!([{"name": "http", "port": 80}, {"port": 9, "protocol": "UDP"}]),
        ),
        service("shop/fleet", &["None"], http.clone()),
        slice(
            "shop/fleet",
            "IPv4",
            json!([{"name": "http", "port": 8080}]),
            json!([{"addresses": ["10.1.0.1"], "hostname": "First"}, {"addresses": ["10.1.0.2"]},
                {"addresses": ["10.1.0.3"], "conditions": {"ready": false}}]),
        ),
        service("shop/idle", &["None"], http.clone()),
        service("shop/waiting", &[], http),
        alias("shop/web", "www.example.com."),
        alias("shop/to-cart", "Cart.shop.svc.CLUSTER.local"),
        alias("shop/to-nothing", "nobody.shop.svc.cluster.local"),
        alias("shop/number", "192.0.2.1"),
        alias("shop/root", "."),
        service("kube-system/kube-dns", &["10.96.0.10"], json!([{"name": "dns", "port": 53, "protocol": "UDP"}])),
    ]))
}

#[test]
fn a_service_with_a_cluster_ip_answers_with_it_and_its_service_ports() {
    let zone = shop();
    assert_eq!(
        ask(&zone, "cart.shop.svc.cluster.local", "A"),
        "NOERROR: cart.shop.svc.cluster.local. 5 IN A 10.0.0.1 | | ; Service/shop/cart has a cluster IP"
    );
    assert_eq!(
        short(&zone, "cart.shop.svc.cluster.local", "AAAA"),
        "NOERROR: cart.shop.svc.cluster.local. 5 IN AAAA fd00::1"
    );
    assert_eq!(
        ask(&zone, "_http._tcp.cart.shop.svc.cluster.local", "SRV"),
        "NOERROR: _http._tcp.cart.shop.svc.cluster.local. 5 IN SRV 0 50 80 cart.shop.svc.cluster.local. | | \
         cart.shop.svc.cluster.local. 5 IN A 10.0.0.1, cart.shop.svc.cluster.local. 5 IN AAAA fd00::1 ; port of Service/shop/cart"
    );
    assert_eq!(
        short(&zone, "cart.shop.svc.cluster.local", "SRV"),
        "NOERROR: cart.shop.svc.cluster.local. 5 IN SRV 0 25 9 cart.shop.svc.cluster.local., \
         cart.shop.svc.cluster.local. 5 IN SRV 0 25 80 cart.shop.svc.cluster.local."
    );
    assert_eq!(
        short(&zone, "_HTTP._TCP.cart.shop.svc.cluster.local", "A"),
        "NOERROR: _HTTP._TCP.cart.shop.svc.cluster.local. 5 IN A 10.0.0.1"
    );
}

#[test]
fn a_headless_service_answers_with_ready_endpoints_and_their_ports() {
    let zone = shop();
    assert_eq!(
        ask(&zone, "fleet.shop.svc.cluster.local", "A"),
        "NOERROR: fleet.shop.svc.cluster.local. 5 IN A 10.1.0.1, fleet.shop.svc.cluster.local. 5 IN A 10.1.0.2 | | ; \
         Service/shop/fleet is headless: its 2 ready endpoints"
    );
    assert_eq!(
        short(&zone, "_http._tcp.fleet.shop.svc.cluster.local", "SRV"),
        "NOERROR: _http._tcp.fleet.shop.svc.cluster.local. 5 IN SRV 0 50 8080 First.fleet.shop.svc.cluster.local., \
         _http._tcp.fleet.shop.svc.cluster.local. 5 IN SRV 0 50 8080 10-1-0-2.fleet.shop.svc.cluster.local."
    );
    assert_eq!(
        ask(&zone, "first.fleet.shop.svc.cluster.local", "A"),
        "NOERROR: first.fleet.shop.svc.cluster.local. 5 IN A 10.1.0.1 | | ; ready endpoint of Service/shop/fleet"
    );
    assert_eq!(
        ask(&zone, "10-1-0-3.fleet.shop.svc.cluster.local", "A"),
        format!("NXDOMAIN: | {SOA} | ; Service/shop/fleet has no ready endpoint named 10-1-0-3")
    );
}

#[test]
fn negative_answers_tell_no_data_from_no_name_and_why() {
    let zone = shop();
    let no_data = |name, record_type, why: &str| {
        assert_eq!(ask(&zone, name, record_type), format!("NOERROR: | {SOA} | ; {why}; no {record_type} record there"));
    };
    let missing = |name, why: &str| {
        for record_type in ["A", "SRV", "TXT", "SOA"] {
            assert_eq!(ask(&zone, name, record_type), format!("NXDOMAIN: | {SOA} | ; {why}"));
        }
    };
    no_data("fleet.shop.svc.cluster.local", "AAAA", "Service/shop/fleet is headless: its 2 ready endpoints");
    no_data("waiting.shop.svc.cluster.local", "A", "Service/shop/waiting has no cluster IP yet");
    no_data("shop.svc.cluster.local", "A", "a namespace");
    no_data("pod.cluster.local", "A", "names exist below it");
    no_data("cluster.local", "MX", "the zone itself");
    missing("cart.nowhere.svc.cluster.local", "no namespace nowhere");
    missing("*.Shop.svc.cluster.local", "no Service * in namespace Shop");
    missing("x.nobody.shop.svc.cluster.local", "no Service nobody in namespace shop");
    missing("idle.shop.svc.cluster.local", "Service/shop/idle is headless and has no ready endpoint");
    missing("x.idle.shop.svc.cluster.local", "Service/shop/idle is headless and has no ready endpoint");
    missing("_http._udp.cart.shop.svc.cluster.local", "Service/shop/cart has no port _http of protocol _udp");
    missing("number.shop.svc.cluster.local", "the externalName of Service/shop/number is an address, no name");
    missing("root.shop.svc.cluster.local", "the externalName of Service/shop/root is no DNS name");
    missing("1-2-3-4.shop.pod.cluster.local", "names of Pod addresses are switched off (pods disabled)");
    missing("a.b.c.cart.shop.svc.cluster.local", "no name of a cluster has this form");
    assert_eq!(ask(&zone, "example.org", "A"), "REFUSED: | | ; in no zone of this cluster");
    assert_eq!(ask(&zone, "mycluster.local", "A"), "REFUSED: | | ; in no zone of this cluster");
}

#[test]
fn spelling_is_that_of_the_question_and_targets_that_of_the_objects() {
    let zone = shop();
    assert_eq!(
        short(&zone, "_hTTp._tcp.FLEET.shop.svc.Cluster.Local", "SRV"),
        "NOERROR: _hTTp._tcp.FLEET.shop.svc.Cluster.Local. 5 IN SRV 0 50 8080 First.fleet.shop.svc.Cluster.Local., \
         _hTTp._tcp.FLEET.shop.svc.Cluster.Local. 5 IN SRV 0 50 8080 10-1-0-2.fleet.shop.svc.Cluster.Local."
    );
    assert_eq!(
        ask(&zone, "X.shop.svc.Cluster.Local", "A"),
        "NXDOMAIN: | Cluster.Local. 5 IN SOA ns.dns.Cluster.Local. hostmaster.Cluster.Local. 1 7200 1800 86400 5 | ; \
         no Service X in namespace shop"
    );
}

#[test]
fn aliases_are_followed_in_the_zone_and_left_to_others_outside() {
    let zone = shop();
    assert_eq!(
        ask(&zone, "web.shop.svc.cluster.local", "A"),
        "NOERROR: web.shop.svc.cluster.local. 5 IN CNAME www.example.com. | | ; \
         Service/shop/web is an ExternalName for www.example.com."
    );
    assert_eq!(
        short(&zone, "to-cart.shop.svc.cluster.local", "A"),
        "NOERROR: to-cart.shop.svc.cluster.local. 5 IN CNAME Cart.shop.svc.CLUSTER.local., \
         Cart.shop.svc.CLUSTER.local. 5 IN A 10.0.0.1"
    );
    assert_eq!(
        ask(&zone, "to-nothing.shop.svc.cluster.local", "A"),
        format!(
            "NXDOMAIN: to-nothing.shop.svc.cluster.local. 5 IN CNAME nobody.shop.svc.cluster.local. | {SOA} | ; \
             no Service nobody in namespace shop"
        )
    );
    // SRV at an alias is no data; any other type is answered with the alias.
    assert_eq!(short(&zone, "web.shop.svc.cluster.local", "SRV"), "NOERROR:");
    assert_eq!(
        short(&zone, "web.shop.svc.cluster.local", "MX"),
        "NOERROR: web.shop.svc.cluster.local. 5 IN CNAME www.example.com."
    );
    assert_eq!(short(&zone, "_http._tcp.web.shop.svc.cluster.local", "SRV"), "NXDOMAIN:");
}

#[test]
fn an_upstream_appends_what_follows_an_alias() {
    struct Elsewhere;
    impl Upstream for Elsewhere {
        fn resolve(&mut self, question: Question<'_>, sink: &mut dyn Sink) {
            let data = RecordData::A([192, 0, 2, 80].into());
            sink.record(Section::Answer, &Record { owner: question.name.into(), ttl: 60, data });
        }
    }
    let zone = shop();
    let name: Name = "web.shop.svc.cluster.local".parse().unwrap();
    let mut lines = Vec::new();
    let mut sink = |_: Section, record: &RecordRef<'_>| lines.push(record.to_string());
    zone.answer_into(Question::new(&name, RecordType::A), &mut Elsewhere, &mut sink);
    assert_eq!(
        lines,
        ["web.shop.svc.cluster.local. 5 IN CNAME www.example.com.", "www.example.com. 60 IN A 192.0.2.80"]
    );
}

#[test]
fn a_shuffle_moves_addresses_only() {
    let zone = shop();
    let shuffled = |mut answer: Answer<_>| {
        let mut random = 7u64;
        answer.shuffle(|| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            random >> 33
        });
        answer
    };
    let name: Name = "_http._tcp.fleet.shop.svc.cluster.local".parse().unwrap();
    let before = zone.answer(Question::new(&name, RecordType::SRV));
    let mut after = shuffled(before.clone());
    assert_eq!(before.answer, after.answer);
    after.additional.sort_by_key(|record| before.additional.iter().position(|other| other == record));
    assert_eq!(before, after);
    let name: Name = "to-cart.shop.svc.cluster.local".parse().unwrap();
    let before = zone.answer(Question::new(&name, RecordType::A));
    assert_eq!(shuffled(before.clone()), before);
}

#[test]
fn rustsec_2020_0001_the_additional_section_is_one_level_of_addresses() {
    let zone = shop();
    for name in ["cart", "fleet", "_http._tcp.fleet", "first.fleet", "web", "to-cart", "number", "root"] {
        let name: Name = format!("{name}.shop.svc.cluster.local").parse().unwrap();
        let answer = zone.answer(Question::new(&name, RecordType::SRV));
        assert!(answer.additional.len() <= 2 * answer.answer.len());
        for record in answer.additional {
            assert!(matches!(record.data, RecordData::A(_) | RecordData::Aaaa(_)), "{record}");
        }
    }
}

#[test]
fn self_referencing_and_looping_aliases_end() {
    let chain = (0..20).map(|i| alias(&format!("x/c{i}"), &format!("c{}.x.svc.cluster.local", i + 1)));
    let loops = [
        alias("x/me", "me.x.svc.cluster.local"),
        alias("x/ping", "pong.x.svc.cluster.local"),
        alias("x/pong", "ping.x.svc.cluster.local"),
    ];
    let zone = Zone::of(&cluster(chain.chain(loops)));
    assert_eq!(
        ask(&zone, "me.x.svc.cluster.local", "A"),
        "NOERROR: me.x.svc.cluster.local. 5 IN CNAME me.x.svc.cluster.local. | | ; the aliases lead back to Service/x/me"
    );
    assert_eq!(short(&zone, "ping.x.svc.cluster.local", "A").matches(" CNAME ").count(), 2);
    let long = ask(&zone, "c0.x.svc.cluster.local", "A");
    assert_eq!(long.matches(" CNAME ").count(), 11);
    assert!(long.ends_with("too many aliases, the last followed is Service/x/c11"), "{long}");
}

#[test]
fn the_apex_names_the_owner_of_the_dns_address() {
    let zone = shop();
    assert_eq!(
        ask(&zone, "cluster.local", "NS"),
        "NOERROR: cluster.local. 5 IN NS kube-dns.kube-system.svc.cluster.local. | | \
         kube-dns.kube-system.svc.cluster.local. 5 IN A 10.96.0.10 ; the zone itself"
    );
    assert_eq!(short(&zone, "cluster.local", "SOA"), format!("NOERROR: {SOA}"));
    assert_eq!(short(&zone, "ns.dns.cluster.local", "A"), "NOERROR: ns.dns.cluster.local. 5 IN A 10.96.0.10");
    assert_eq!(
        short(&zone, "dns-version.cluster.local", "TXT"),
        "NOERROR: dns-version.cluster.local. 28800 IN TXT \"1.1.0\""
    );
    let kubelet =
        json!({"kind": "KubeletConfiguration", "clusterDNS": ["169.254.20.10"], "clusterDomain": "corp.example."});
    let zone = Zone::of(&cluster([kubelet]));
    assert_eq!(
        ask(&zone, "corp.example", "NS"),
        "NOERROR: corp.example. 5 IN NS ns.dns.corp.example. | | ns.dns.corp.example. 5 IN A 169.254.20.10 ; the zone itself"
    );
}

#[test]
fn names_that_others_hang_on_exist_as_the_rfcs_say() {
    let zone = shop();
    for name in [
        "_tcp.cart.shop.svc.cluster.local",
        "dns.cluster.local",
        "1.10.in-addr.arpa",
        "0.1.10.in-addr.arpa",
        "0.0.d.f.ip6.arpa",
    ] {
        for record_type in ["A", "PTR", "TXT"] {
            assert_eq!(short(&zone, name, record_type), "NOERROR:", "{name} {record_type}");
        }
    }
    for (name, record_type) in
        [("dns-version.cluster.local", "A"), ("ns.dns.cluster.local", "SRV"), ("1.0.1.10.in-addr.arpa", "A")]
    {
        assert_eq!(short(&zone, name, record_type), "NOERROR:", "{name}");
    }
    for name in [
        "_udp.fleet.shop.svc.cluster.local",
        "http.tcp.cart.shop.svc.cluster.local",
        "9.10.in-addr.arpa",
        "svc.in-addr.arpa",
    ] {
        assert_eq!(short(&zone, name, "A"), "NXDOMAIN:", "{name}");
    }
}

#[test]
fn a_reverse_name_lists_each_name_of_a_shared_endpoint_once() {
    let endpoint = json!([{"addresses": ["10.1.0.1"]}, {"addresses": ["10.1.0.1"]}]);
    let names = ["a", "b", "c"];
    let services = names.map(|name| service(&format!("n/{name}"), &["None"], json!([])));
    let slices = names.map(|name| slice(&format!("n/{name}"), "IPv4", json!([]), endpoint.clone()));
    let zone = Zone::of(&cluster(services.into_iter().chain(slices)));
    let records = names.map(|name| format!(" 1.0.1.10.in-addr.arpa. 5 IN PTR 10-1-0-1.{name}.n.svc.cluster.local."));
    assert_eq!(short(&zone, "1.0.1.10.in-addr.arpa", "PTR"), format!("NOERROR:{}", records.join(",")));
}

#[test]
fn reverse_names_prefer_services_and_list_every_endpoint_name() {
    let endpoint = json!([{"addresses": ["10.1.0.1"]}, {"addresses": ["10.0.0.1"]}]);
    let zone = Zone::of(&cluster([
        service("a/one", &["10.0.0.1"], json!([])),
        service("a/two", &["None"], json!([])),
        slice("a/one", "IPv4", json!([]), endpoint.clone()),
        slice("a/two", "IPv4", json!([]), endpoint),
    ]));
    assert_eq!(
        ask(&zone, "1.0.0.10.in-addr.arpa", "PTR"),
        "NOERROR: 1.0.0.10.in-addr.arpa. 5 IN PTR one.a.svc.cluster.local. | | ; 10.0.0.1 belongs to Service/a/one"
    );
    assert_eq!(
        short(&zone, "1.0.1.10.in-addr.arpa", "PTR"),
        "NOERROR: 1.0.1.10.in-addr.arpa. 5 IN PTR 10-1-0-1.one.a.svc.cluster.local., \
         1.0.1.10.in-addr.arpa. 5 IN PTR 10-1-0-1.two.a.svc.cluster.local."
    );
    assert_eq!(
        ask(&zone, "2.0.1.10.in-addr.arpa", "PTR"),
        "NXDOMAIN: | in-addr.arpa. 5 IN SOA ns.dns.in-addr.arpa. hostmaster.in-addr.arpa. 1 7200 1800 86400 5 | ; \
         no Service and no ready endpoint has the address 10.1.0.2"
    );
}

#[test]
fn weights_count_pairs_before_repeats_are_dropped() {
    let endpoints =
        |count: usize| (0..count).map(|i| json!({"addresses": [format!("10.1.{}.{}", i / 250, i % 250 + 1)]}));
    let weight = |count: usize| {
        let endpoints: Vec<_> = endpoints(count).collect();
        let zone = Zone::of(&cluster([
            service("a/s", &["None"], json!([])),
            slice("a/s", "IPv4", json!([{"name": "p", "port": 1}]), json!(endpoints)),
        ]));
        let answer = short(&zone, "_p._tcp.s.a.svc.cluster.local", "SRV");
        assert_eq!(answer.matches(" SRV ").count(), count);
        answer.split_whitespace().nth(6).unwrap().to_owned()
    };
    assert_eq!([1, 3, 6, 100, 103].map(weight), ["100", "33", "16", "1", "1"]);
}

#[test]
fn names_too_long_to_be_served_are_left_out_and_reported() {
    let long = "n".repeat(63);
    let zone = Zone::of(&cluster([
        json!({"kind": "KubeletConfiguration", "clusterDomain": format!("{}.{}", "d".repeat(63), "e".repeat(60))}),
        service(&format!("{long}/s"), &["None"], json!([])),
        slice(
            &format!("{long}/s"),
            "IPv4",
            json!([{"name": "p", "port": 1}]),
            json!([{"addresses": ["10.1.0.1"], "hostname": "h".repeat(63)}, {"addresses": ["10.1.0.2"], "hostname": "ok"}]),
        ),
    ]));
    let name = format!("s.{long}.svc.{}.{}", "d".repeat(63), "e".repeat(60));
    let answer = ask(&zone, &name, "SRV");
    assert_eq!((answer.matches(" SRV ").count(), answer.matches(" 50 1 ok.").count()), (1, 1), "{answer}");
    assert_eq!(short(&zone, &name, "A").matches(" A ").count(), 2);
    assert_eq!(zone.findings().len(), 1, "{:?}", zone.findings());
    assert!(zone.findings()[0].message.contains("too long"));
}

#[test]
fn a_transfer_lists_the_zone_once_and_needs_leave() {
    let objects = || {
        [
            service("shop/cart", &["10.0.0.1"], json!([{"name": "http", "port": 80}, {"port": 81}])),
            service("shop/duo", &["None"], json!([{"name": "http", "port": 80}])),
            slice(
                "shop/duo",
                "IPv4",
                json!([{"name": "http", "port": 80}]),
                json!([{"addresses": ["10.1.0.1"], "hostname": "a"}]),
            ),
            alias("shop/web", "www.example.com"),
            service("kube-system/kube-dns", &["10.96.0.10"], json!([])),
        ]
    };
    let closed = Zone::of(&cluster(objects()));
    assert_eq!(ask(&closed, "cluster.local", "AXFR"), "REFUSED: | | ; zone transfer is not allowed");
    let config = world::corefile(". {\n transfer {\n to *\n }\n kubernetes cluster.local in-addr.arpa\n}");
    let open = Zone::of(&cluster(objects().into_iter().chain([config])));
    let soa = SOA;
    assert_eq!(
        short(&open, "cluster.local", "AXFR").trim_start_matches("NOERROR: ").split(", ").collect::<Vec<_>>(),
        [
            soa,
            "cluster.local. 5 IN NS kube-dns.kube-system.svc.cluster.local.",
            "kube-dns.kube-system.svc.cluster.local. 5 IN A 10.96.0.10",
            "cart.shop.svc.cluster.local. 5 IN A 10.0.0.1",
            "cart.shop.svc.cluster.local. 5 IN SRV 0 50 80 cart.shop.svc.cluster.local.",
            "cart.shop.svc.cluster.local. 5 IN SRV 0 50 81 cart.shop.svc.cluster.local.",
            "_http._tcp.cart.shop.svc.cluster.local. 5 IN SRV 0 100 80 cart.shop.svc.cluster.local.",
            "duo.shop.svc.cluster.local. 5 IN A 10.1.0.1",
            "a.duo.shop.svc.cluster.local. 5 IN A 10.1.0.1",
            "_http._tcp.duo.shop.svc.cluster.local. 5 IN SRV 0 100 80 a.duo.shop.svc.cluster.local.",
            "web.shop.svc.cluster.local. 5 IN CNAME www.example.com.",
            soa,
        ]
    );
    assert_eq!(short(&open, "in-addr.arpa", "IXFR").matches(" IN ").count(), 3);
    assert_eq!(short(&open, "shop.svc.cluster.local", "AXFR"), "REFUSED:");
}

#[test]
fn rows_of_the_corefile_change_the_answers() {
    let world = |words: &str| {
        let mut zone = cluster([
            service("shop/idle", &["10.0.0.1"], json!([{"name": "http", "port": 80}])),
            service("hidden/s", &["10.0.0.2"], json!([])),
            service("shop/crew", &["None"], json!([])),
            slice(
                "shop/crew",
                "IPv4",
                json!([]),
                json!([{"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": "crew-1", "namespace": "shop"}}]),
            ),
            world::pod("shop/p", "10.1.0.9", json!({})),
        ]);
        zone.extend(cluster([kubernetes(words)]).objects().cloned().collect::<Vec<_>>());
        Zone::of(&zone)
    };
    let idle = "idle.shop.svc.cluster.local";
    assert_eq!(short(&world("ttl 0"), idle, "A"), "NOERROR: idle.shop.svc.cluster.local. 0 IN A 10.0.0.1");
    assert!(ask(&world("ttl 3600"), "cluster.local", "SOA").contains("cluster.local. 300 IN SOA ns.dns"));
    assert_eq!(short(&world("ignore empty_service"), idle, "A"), "NXDOMAIN:");
    // The address keeps its name: CoreDNS looks for no endpoints there.
    assert_eq!(
        short(&world("ignore empty_service"), "1.0.0.10.in-addr.arpa", "PTR"),
        format!("NOERROR: 1.0.0.10.in-addr.arpa. 5 IN PTR {idle}.")
    );
    assert_eq!(short(&world("namespaces shop"), "s.hidden.svc.cluster.local", "A"), "NXDOMAIN:");
    assert_eq!(short(&world("namespaces shop"), "2.0.0.10.in-addr.arpa", "PTR"), "NXDOMAIN:");
    assert_eq!(short(&world("noendpoints"), "crew.shop.svc.cluster.local", "A"), "NXDOMAIN:");
    assert!(short(&world("endpoint_pod_names"), "crew-1.crew.shop.svc.cluster.local", "A").ends_with("10.1.0.1"));
    let falls = world("fallthrough in-addr.arpa");
    assert_eq!(
        ask(&falls, "9.9.9.9.in-addr.arpa", "PTR"),
        "REFUSED: | | ; no Service and no ready endpoint has the address 9.9.9.9; left to others by fallthrough"
    );
    assert_eq!(short(&falls, "x.shop.svc.cluster.local", "A"), "NXDOMAIN:");
    assert_eq!(short(&world("fallthrough"), "x.shop.svc.cluster.local", "A"), "REFUSED:");
    for (mode, name, expected) in [
        ("insecure", "1-2-3-4.shop", "NOERROR: 1-2-3-4.shop.pod.cluster.local. 5 IN A 1.2.3.4"),
        ("insecure", "1-2-3-04.shop", "NXDOMAIN:"),
        ("insecure", "1-2-3-4.nowhere", "NXDOMAIN:"),
        ("insecure", "x.1-2-3-4.shop", "NXDOMAIN:"),
        ("insecure", "shop", "NOERROR:"),
        ("verified", "10-1-0-9.shop", "NOERROR: 10-1-0-9.shop.pod.cluster.local. 5 IN A 10.1.0.9"),
        ("verified", "1-2-3-4.shop", "NXDOMAIN:"),
        ("verified", "10-1-0-9.hidden", "NXDOMAIN:"),
        ("disabled", "shop", "NXDOMAIN:"),
    ] {
        let zone = world(&format!("pods {mode}"));
        assert_eq!(short(&zone, &format!("{name}.pod.cluster.local"), "A"), expected, "{mode} {name}");
    }
    assert_eq!(
        short(&world("pods insecure"), "2001-db8--7.shop.pod.cluster.local", "AAAA"),
        "NOERROR: 2001-db8--7.shop.pod.cluster.local. 5 IN AAAA 2001:db8::7"
    );
}

#[test]
fn zones_come_from_the_block_else_from_its_server_and_the_longest_wins() {
    let objects = |config: &str| [world::corefile(config), service("a/s", &["10.0.0.1"], json!([]))];
    let zone = Zone::of(&cluster(objects("corp.example:53 10.0.0.0/16 {\n kubernetes\n}")));
    assert_eq!(
        short(&zone, "1.0.0.10.in-addr.arpa", "PTR"),
        "NOERROR: 1.0.0.10.in-addr.arpa. 5 IN PTR s.a.svc.corp.example."
    );
    assert_eq!(short(&zone, "1.1.0.10.in-addr.arpa", "PTR"), "NXDOMAIN:");
    assert_eq!(short(&zone, "1.0.1.10.in-addr.arpa", "PTR"), "REFUSED:");
    assert_eq!(short(&zone, "1.0.0.11.in-addr.arpa", "PTR"), "REFUSED:");
    let zone = Zone::of(&cluster(objects(". {\n kubernetes local a.local\n}")));
    assert_eq!(short(&zone, "s.a.svc.a.local", "A"), "NOERROR: s.a.svc.a.local. 5 IN A 10.0.0.1");
    assert_eq!(short(&zone, "s.a.svc.local", "A"), "NOERROR: s.a.svc.local. 5 IN A 10.0.0.1");
    let zone = Zone::of(&cluster(objects(". {\n kubernetes local c.b.a.local\n}")));
    assert_eq!(
        ["a.local", "b.a.local", "x.a.local"].map(|name| short(&zone, name, "A")),
        ["NOERROR:", "NOERROR:", "NXDOMAIN:"]
    );
    let zone = Zone::of(&cluster(objects(". {\n kubernetes\n}")));
    assert_eq!(
        ["arpa", "in-addr.arpa", "ip6.arpa"].map(|name| short(&zone, name, "A")),
        ["NOERROR:", "NOERROR:", "NXDOMAIN:"]
    );
    assert_eq!(short(&zone, "s.a.svc", "A"), "NOERROR: s.a.svc. 5 IN A 10.0.0.1");
    assert_eq!(short(&zone, "1.0.0.10.in-addr.arpa", "PTR"), "NOERROR: 1.0.0.10.in-addr.arpa. 5 IN PTR s.a.svc.");
}

#[test]
fn a_positive_answer_into_a_sink_allocates_nothing() {
    let zone = shop();
    for (name, record_type, records) in [
        ("cart.shop.svc.cluster.local", RecordType::A, 1),
        ("fleet.shop.svc.cluster.local", RecordType::A, 2),
        ("_http._tcp.fleet.shop.svc.cluster.local", RecordType::SRV, 4),
        ("1.0.0.10.in-addr.arpa", RecordType::PTR, 1),
        ("nobody.shop.svc.cluster.local", RecordType::A, 1),
    ] {
        let name: Name = name.parse().unwrap();
        let mut count = 0;
        let mut sink = |_: Section, _: &RecordRef<'_>| count += 1;
        let allocations = allocation_counter::measure(|| {
            std::hint::black_box(zone.answer_into(Question::new(&name, record_type), &mut NoUpstream, &mut sink).rcode);
        });
        assert_eq!((allocations.count_total, count), (0, records), "{name}");
    }
}
