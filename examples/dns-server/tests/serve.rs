//! The server from outside: what comes back over UDP and TCP, from a client of plain sockets.

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use domain::base::iana::{Rcode, Rtype};

fn shop() -> String {
    [
        corefile("pods insecure", TRANSFER),
        service("shop", "cart", "10.96.1.3"),
        service("shop", "six", "fd00::6"),
        headless("data", "many", 100),
        external("shop", "alias", "cart.shop.svc.cluster.local"),
    ]
    .concat()
}

#[test]
fn udp_and_tcp_answer_alike() {
    let server = Running::start(&Folder::with(&shop()), &[]);
    let (mut udp, mut tcp) = (server.udp(), server.tcp());
    for (name, rtype, code, expected) in [
        ("cart.shop.svc.cluster.local.", Rtype::A, Rcode::NOERROR, vec!["10.96.1.3"]),
        ("cart.shop.svc.cluster.local.", Rtype::AAAA, Rcode::NOERROR, vec![]),
        ("six.shop.svc.cluster.local.", Rtype::AAAA, Rcode::NOERROR, vec!["fd00::6"]),
        (
            "_http._tcp.cart.shop.svc.cluster.local.",
            Rtype::SRV,
            Rcode::NOERROR,
            vec!["0 100 80 cart.shop.svc.cluster.local"],
        ),
        ("3.1.96.10.in-addr.arpa.", Rtype::PTR, Rcode::NOERROR, vec!["cart.shop.svc.cluster.local"]),
        ("alias.shop.svc.cluster.local.", Rtype::A, Rcode::NOERROR, vec!["cart.shop.svc.cluster.local", "10.96.1.3"]),
        ("10-2-3-4.shop.pod.cluster.local.", Rtype::A, Rcode::NOERROR, vec!["10.2.3.4"]),
        ("dns-version.cluster.local.", Rtype::TXT, Rcode::NOERROR, vec!["\"1.1.0\""]),
        ("nobody.shop.svc.cluster.local.", Rtype::A, Rcode::NXDOMAIN, vec![]),
        ("www.example.org.", Rtype::A, Rcode::REFUSED, vec![]),
    ] {
        for reply in [udp.ask(name, rtype), ask_over(&mut tcp, name, rtype)] {
            assert_eq!(rcode(&reply), code, "{name} {rtype}");
            assert_eq!(answers(&reply), expected, "{name} {rtype}");
            let header = reply.header();
            assert_eq!((header.qr(), header.rd(), header.ra(), header.tc()), (true, true, false, false));
            assert_eq!(header.aa(), code != Rcode::REFUSED, "{name}: glibc takes no data without AA for a lame server");
            let negative = expected.is_empty() && code != Rcode::REFUSED;
            assert_eq!(reply.header_counts().nscount(), u16::from(negative), "{name} {rtype}: a SOA with each no");
        }
    }
}

#[test]
fn a_question_comes_back_as_it_was_spelled() {
    let server = Running::start(&Folder::with(&shop()), &[]);
    let sent = query(3, "cArT.ShOp.sVc.ClUsTeR.lOcAl.", Rtype::A, None);
    let client = server.udp();
    client.send(&sent);
    let reply = client.receive();
    assert_eq!(reply.as_slice()[12..sent.len()], sent[12..]);
    let owner = reply.answer().unwrap().next().unwrap().unwrap().owner().to_string();
    assert_eq!(owner, "cArT.ShOp.sVc.ClUsTeR.lOcAl");
}

#[test]
fn a_hundred_endpoints_are_cut_over_udp_and_whole_over_tcp() {
    let server = Running::start(&Folder::with(&shop()), &[]);
    let name = "many.data.svc.cluster.local.";
    // Header and question take 45 octets, a record 16, OPT 11.
    for (edns, limit, records) in [(None, 512, 29), (Some(100), 512, 28), (Some(900), 900, 52), (Some(4096), 1232, 73)]
    {
        let reply = server.udp().ask_with(name, Rtype::A, edns);
        assert!(reply.header().tc() && reply.as_slice().len() <= limit);
        assert_eq!(answers(&reply).len(), records, "{edns:?}");
        assert_eq!(reply.opt().is_some(), edns.is_some());
    }
    let reply = ask_over(&mut server.tcp(), name, Rtype::A);
    assert!(!reply.header().tc());
    let all: BTreeSet<String> = (0..100).map(|i| format!("10.1.0.{i}")).collect();
    assert_eq!(BTreeSet::from_iter(answers(&reply)), all);
}

#[test]
fn the_longest_datagram_is_a_setting() {
    let server = Running::start(&Folder::with(&shop()), &["--max-udp", "4096"]);
    let reply = server.udp().ask_with("many.data.svc.cluster.local.", Rtype::A, Some(4096));
    assert_eq!((reply.header().tc(), answers(&reply).len()), (false, 100));
    assert_eq!(reply.opt().unwrap().udp_payload_size(), 4096);
}

#[test]
fn resolvers_that_never_use_tcp_still_see_every_endpoint() {
    let server = Running::start(&Folder::with(&shop()), &[]);
    let mut client = server.udp();
    let mut ask = || answers(&client.ask_with("many.data.svc.cluster.local.", Rtype::A, None));
    let seen: BTreeSet<String> = (0..400).flat_map(|_| ask()).collect();
    assert_eq!(seen.len(), 100);
    let firsts: BTreeSet<String> = (0..400).map(|_| ask()[0].clone()).collect();
    assert!(firsts.len() > 50, "clients that take the first address spread: {} firsts", firsts.len());

    let server = Running::start(&Folder::with(&shop()), &["--no-rotation"]);
    let mut client = server.udp();
    let mut ask = || answers(&client.ask("many.data.svc.cluster.local.", Rtype::A));
    assert_eq!(ask(), ask());
}

#[test]
fn messages_that_are_no_queries_are_refused_or_met_with_silence() {
    let server = Running::start(&Folder::with(&shop()), &[]);
    let mut client = server.udp();
    let good = query(9, "cart.shop.svc.cluster.local.", Rtype::A, None);
    let changed = |at: usize, octet: u8| {
        let mut message = good.clone();
        message[at] = octet;
        message
    };
    for silent in [vec![], vec![0; 11], changed(2, 0x80)] {
        client.send(&silent);
        assert!(client.is_silent(), "{silent:?}");
    }
    for (message, code) in [
        (changed(2, 5 << 3), Rcode::NOTIMP),
        (changed(5, 2), Rcode::FORMERR),
        (changed(12, 0xc0), Rcode::FORMERR),
        (good[..20].to_vec(), Rcode::FORMERR),
        (changed(good.len() - 1, 3), Rcode::REFUSED),
        (query(9, "cluster.local.", Rtype::AXFR, None), Rcode::REFUSED),
        (vec![0; 4096], Rcode::FORMERR),
    ] {
        client.send(&message);
        assert_eq!(rcode(&client.receive()), code, "{message:?}");
    }
    assert_eq!(rcode(&client.ask("cart.shop.svc.cluster.local.", Rtype::A)), Rcode::NOERROR);
}

#[test]
fn queries_can_be_sent_ahead_on_one_connection() {
    let server = Running::start(&Folder::with(&shop()), &[]);
    let mut stream = server.tcp();
    let many: Vec<u8> =
        (0..500).flat_map(|id| framed(&query(id, "many.data.svc.cluster.local.", Rtype::A, None))).collect();
    let mut sender = stream.try_clone().unwrap();
    // In pieces that keep no message whole.
    let sending = thread::spawn(move || many.chunks(101).for_each(|piece| sender.write_all(piece).unwrap()));
    for id in 0..500 {
        let reply = next_message(&mut stream).expect("a reply for each query");
        assert_eq!((reply.header().id(), answers(&reply).len()), (id, 100));
    }
    sending.join().unwrap();
    // A client that has said all it wants to say still gets its answer.
    stream.write_all(&framed(&query(1, "cart.shop.svc.cluster.local.", Rtype::A, None))).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answers(&next_message(&mut stream).unwrap()), ["10.96.1.3"]);
    assert!(next_message(&mut stream).is_none());
}

#[test]
fn a_zone_of_ten_thousand_services_is_transferred_in_several_messages() {
    let services = (0..10_000).map(|i| service("shop", &format!("s{i}"), &format!("10.100.{}.{}", i / 256, i % 256)));
    let world = services.collect::<String>() + &corefile("", TRANSFER);
    let server = Running::start(&Folder::with(&world), &[]);
    let mut stream = server.tcp();
    stream.write_all(&framed(&query(1, "cluster.local.", Rtype::AXFR, None))).unwrap();
    let (mut messages, mut types) = (0, Vec::new());
    while types.len() < 2 || types.last() != Some(&Rtype::SOA) {
        let message = next_message(&mut stream).expect("SOA at the end");
        assert_eq!((rcode(&message), message.header().aa()), (Rcode::NOERROR, true));
        types.extend(message.answer().unwrap().map(|record| record.unwrap().rtype()));
        messages += 1;
    }
    let count = |rtype| types.iter().filter(|found| **found == rtype).count();
    assert_eq!(types[0], Rtype::SOA);
    // An address and two SRV records of each; the name server and its address.
    assert_eq!((count(Rtype::SOA), count(Rtype::A), count(Rtype::SRV)), (2, 10_001, 20_000));
    assert!(messages > 10, "{messages} messages");
    // The connection goes on.
    assert_eq!(answers(&ask_over(&mut stream, "s9.shop.svc.cluster.local.", Rtype::A)), ["10.100.0.9"]);
}

#[test]
fn zones_are_handed_out_only_where_the_corefile_says_so() {
    let server = Running::start(&Folder::with(&service("shop", "cart", "10.96.1.3")), &[]);
    let reply = ask_over(&mut server.tcp(), "cluster.local.", Rtype::AXFR);
    assert_eq!(rcode(&reply), Rcode::REFUSED);
}

#[test]
fn slow_silent_and_senseless_connections_hold_up_nobody() {
    let server = Running::start(&Folder::with(&shop()), &["--idle-timeout", "1"]);
    let message = framed(&query(1, "cart.shop.svc.cluster.local.", Rtype::A, None));
    let mut silent: Vec<_> = (0..20).map(|_| server.tcp()).collect();
    let mut halves: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = server.tcp();
            stream.write_all(&message[..message.len() / 2]).unwrap();
            stream
        })
        .collect();
    let mut senseless: Vec<_> = (0..20u8)
        .map(|i| {
            let mut stream = server.tcp();
            stream.write_all(&[framed(&[i; 8]), vec![i; 5000]].concat()).unwrap();
            stream
        })
        .collect();
    // Many queries for large answers, none of which is ever read.
    let mut deaf = server.tcp();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let large = framed(&query(1, "many.data.svc.cluster.local.", Rtype::A, None));
    while deaf.write_all(&large.repeat(100)).is_ok() {}

    let since = Instant::now();
    for _ in 0..20 {
        assert_eq!(answers(&ask_over(&mut server.tcp(), "cart.shop.svc.cluster.local.", Rtype::A)), ["10.96.1.3"]);
        assert_eq!(answers(&server.udp().ask("cart.shop.svc.cluster.local.", Rtype::A)), ["10.96.1.3"]);
    }
    // An octet now and then does not make a connection live longer.
    let mut dripping = server.tcp();
    for octet in &message {
        if dripping.write_all(&[*octet]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    for stream in silent.iter_mut().chain(&mut halves).chain(&mut senseless).chain([&mut dripping]) {
        assert!(!matches!(stream.read(&mut [0; 512]), Ok(1..)), "nothing to be said to these");
    }
    assert!(since.elapsed() < PATIENCE);
}

#[test]
fn the_connection_that_was_silent_for_longest_makes_room() {
    let server = Running::start(&Folder::with(&shop()), &["--max-connections", "3", "--idle-timeout", "60"]);
    let ask = |stream: &mut _| answers(&ask_over(stream, "cart.shop.svc.cluster.local.", Rtype::A));
    let mut streams: Vec<_> = (0..3).map(|_| server.tcp()).collect();
    for at in [0, 1, 2, 0] {
        assert_eq!(ask(&mut streams[at]), ["10.96.1.3"]);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ask(&mut server.tcp()), ["10.96.1.3"]);
    assert_eq!(ask(&mut streams[0]), ["10.96.1.3"]);
    assert!(next_message(&mut streams[1]).is_none(), "the second was silent for longest");
}

#[test]
fn several_addresses_of_both_families_are_served() {
    let folder = Folder::with(&shop());
    let server = Running::launch(&folder.0, &["--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--threads", "3"]);
    server.notes.wait(0, "serial");
    let addresses = server.addresses();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        // Each from a port of its own, so that every thread has its turn.
        for _ in 0..20 {
            let mut client = Client::new(address);
            assert_eq!(answers(&client.ask("cart.shop.svc.cluster.local.", Rtype::A)), ["10.96.1.3"]);
        }
        assert_eq!(answers(&ask_over(&mut connect(address), "cart.shop.svc.cluster.local.", Rtype::A)), ["10.96.1.3"]);
    }
}

#[test]
fn an_address_is_served_by_one_server() {
    let folder = Folder::with(&shop());
    let server = Running::start(&folder, &[]);
    let mut second = Command::new(env!("CARGO_BIN_EXE_dns-server"));
    second.arg("-f").arg(&folder.0).args(["--listen", &server.address.to_string()]);
    let output = second.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&server.address.to_string()), "{error}");
}

#[test]
fn queries_are_logged_and_counted() {
    let server = Running::start(&Folder::with(&shop()), &["--log"]);
    server.udp().ask("cart.shop.svc.cluster.local.", Rtype::A);
    ask_over(&mut server.tcp(), "nobody.shop.svc.cluster.local.", Rtype::AAAA);
    server.udp().send(b"short");
    let line = server.log.wait(0, "udp cart.shop.svc.cluster.local. A: ");
    assert!(line.ends_with("NOERROR, 72 octets: Service/shop/cart has a cluster IP"), "{line}");
    let line = server.log.wait(0, "tcp nobody.shop.svc.cluster.local. AAAA: ");
    assert!(line.contains("NXDOMAIN, ") && line.ends_with("no Service nobody in namespace shop"), "{line}");
    server.log.wait(0, "udp no query: no reply: 5 octets are no DNS message");
    server.signal("USR1");
    let counts = "3 queries: 2 udp, 1 tcp, 1 NOERROR, 1 NXDOMAIN, 1 without reply";
    server.notes.wait(0, counts);
    let (status, _, notes) = server.stop();
    assert_eq!((status.code(), notes.last().map(String::as_str)), (Some(0), Some(counts)));
}

#[test]
fn counters_are_printed_every_so_often() {
    let server = Running::start(&Folder::with(&shop()), &["--stats", "0.1"]);
    server.notes.wait(0, "0 queries");
    server.udp().ask("cart.shop.svc.cluster.local.", Rtype::A);
    server.notes.wait(0, "1 queries: 1 udp, 1 NOERROR");
}

#[test]
fn the_server_ends_when_told_with_all_that_came_answered() {
    for signal in ["INT", "TERM"] {
        let server = Running::start(&Folder::with(&shop()), &[]);
        let mut idle = server.tcp();
        let mut busy = server.tcp();
        let client = server.udp();
        for id in 0..100 {
            client.send(&query(id, "cart.shop.svc.cluster.local.", Rtype::A, None));
        }
        busy.write_all(&framed(&query(5, "cart.shop.svc.cluster.local.", Rtype::A, None)).repeat(100)).unwrap();
        // Accepted: its first answer is here.
        assert_eq!(answers(&next_message(&mut busy).unwrap()), ["10.96.1.3"]);
        server.signal(signal);
        for _ in 0..100 {
            assert_eq!(answers(&client.receive()), ["10.96.1.3"]);
        }
        for _ in 1..100 {
            assert_eq!(answers(&next_message(&mut busy).unwrap()), ["10.96.1.3"]);
        }
        assert!(next_message(&mut idle).is_none() && next_message(&mut busy).is_none());
        let mut server = server;
        let (status, ..) = server.end();
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}
