//! Names that are not the cluster's: other servers are asked, and not believed too readily.

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, Ttl};
use domain::rdata::{A, Cname, Mx};

const OUTSIDE: &str = "www.example.org.";

/// What another server heard: over what, from which port, with which id, the type and the name.
type Heard = Arc<Mutex<Vec<(&'static str, SocketAddr, Reply)>>>;

/// What another server does about a query.
type Behaviour = fn(&Reply, &'static str) -> Vec<Vec<u8>>;

/// Another server on a free port, for as long as the test runs.
struct Other {
    address: SocketAddr,
    heard: Heard,
}

impl Other {
    fn start(behaviour: Behaviour) -> Other {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        let heard = Heard::default();
        let list = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = udp.recv_from(&mut buffer) {
                let query = Message::from_octets(buffer[..length].to_vec()).unwrap();
                let replies = behaviour(&query, "udp");
                list.lock().unwrap().push(("udp", client, query));
                replies.iter().for_each(|reply| drop(udp.send_to(reply, client)));
            }
        });
        let list = Arc::clone(&heard);
        thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let client = stream.peer_addr().unwrap();
                while let Some(query) = next_message(&mut stream) {
                    let replies = behaviour(&query, "tcp");
                    list.lock().unwrap().push(("tcp", client, query));
                    replies.iter().for_each(|reply| drop(stream.write_all(&framed(reply))));
                }
            }
        });
        Other { address, heard }
    }

    fn argument(&self) -> String {
        self.address.to_string()
    }

    fn heard(&self) -> Vec<(&'static str, SocketAddr, Reply)> {
        self.heard.lock().unwrap().clone()
    }
}

/// A reply with so many addresses, cut over UDP where they do not fit.
fn addresses(query: &Reply, transport: &str, count: u8) -> Vec<u8> {
    let question = query.sole_question().unwrap();
    let cut = transport == "udp" && count > 20;
    let mut reply = MessageBuilder::new_vec().start_answer(query, Rcode::NOERROR).unwrap();
    for i in 0..if cut { 20 } else { count } {
        reply.push((question.qname(), Class::IN, Ttl::from_secs(60), A::from_octets(192, 0, 2, i))).unwrap();
    }
    reply.header_mut().set_ra(true);
    reply.header_mut().set_tc(cut);
    let mut reply = reply.additional();
    reply
        .opt(|opt| {
            opt.set_udp_payload_size(4000);
            Ok(())
        })
        .unwrap();
    reply.finish()
}

fn willing(query: &Reply, transport: &'static str) -> Vec<Vec<u8>> {
    vec![addresses(query, transport, 1)]
}

fn silent(_: &Reply, _: &'static str) -> Vec<Vec<u8>> {
    vec![]
}

fn world() -> Folder {
    let cluster = [
        corefile("fallthrough in-addr.arpa", ""),
        service("shop", "cart", "10.96.1.3"),
        external("shop", "out", "www.example.org"),
    ];
    Folder::with(&cluster.concat())
}

fn start(others: &[&Other], arguments: &[&str]) -> Running {
    let others: Vec<String> = others.iter().map(|other| other.argument()).collect();
    let mut all: Vec<&str> = others.iter().flat_map(|other| ["--forward", other]).collect();
    all.extend(arguments);
    Running::start(&world(), &all)
}

#[test]
fn names_outside_the_cluster_are_asked_of_others() {
    let other = Other::start(willing);
    let server = start(&[&other], &["--log"]);
    let mut tcp = server.tcp();
    let over_udp = server.udp().ask_with("wWw.eXample.org.", Rtype::A, Some(1232));
    assert_eq!(over_udp.sole_question().unwrap().qname().to_string(), "wWw.eXample.org");
    for reply in [over_udp, ask_over(&mut tcp, OUTSIDE, Rtype::A)] {
        assert_eq!((rcode(&reply), answers(&reply)), (Rcode::NOERROR, vec!["192.0.2.0".to_owned()]));
        let header = reply.header();
        assert_eq!((header.qr(), header.aa(), header.rd(), header.ra()), (true, false, true, true));
    }
    server.log.wait(0, &format!("udp wWw.eXample.org. A: NOERROR, 60 octets: forwarded to {}", other.address));
    // Reverse names that fall through go there too; those of the cluster do not.
    assert_eq!(answers(&server.udp().ask("1.2.0.192.in-addr.arpa.", Rtype::A)), ["192.0.2.0"]);
    assert_eq!(rcode(&server.udp().ask("nobody.shop.svc.cluster.local.", Rtype::A)), Rcode::NXDOMAIN);
    assert_eq!(answers(&server.udp().ask("3.1.96.10.in-addr.arpa.", Rtype::PTR)), ["cart.shop.svc.cluster.local"]);
    assert_eq!(other.heard().len(), 3);
    assert!(server.udp().ask("cart.shop.svc.cluster.local.", Rtype::A).header().ra());
}

#[test]
fn the_edns_of_each_neighbour_is_its_own() {
    let other = Other::start(willing);
    let server = start(&[&other], &[]);
    let size = |reply: &Reply| reply.opt().map(|opt| opt.udp_payload_size());
    assert_eq!(size(&server.udp().ask_with(OUTSIDE, Rtype::A, None)), None);
    assert_eq!(size(&server.udp().ask_with(OUTSIDE, Rtype::A, Some(4096))), Some(1232));
    let asked: Vec<_> = other.heard().iter().map(|(.., query)| size(query)).collect();
    assert_eq!(asked, [Some(1232), Some(1232)]);
}

#[test]
fn ids_and_ports_are_drawn_anew_for_each_question() {
    let other = Other::start(willing);
    let server = start(&[&other], &[]);
    let mut client = server.udp();
    (0..50).for_each(|_| drop(client.ask(OUTSIDE, Rtype::A)));
    let heard = other.heard();
    let ids: BTreeSet<u16> = heard.iter().map(|(.., query)| query.header().id()).collect();
    let ports: BTreeSet<u16> = heard.iter().map(|(_, client, _)| client.port()).collect();
    // Drawn from 65,536 and some 28,000: a few may meet.
    assert!(ids.len() > 45 && ports.len() > 45, "{} ids, {} ports", ids.len(), ports.len());
    assert!(ids.iter().zip(ids.iter().skip(1)).any(|(a, b)| b - a > 100), "counted, not drawn");
}

#[test]
fn a_reply_to_another_question_is_not_believed() {
    let other = Other::start(|query, transport| {
        let right = addresses(query, transport, 1);
        let forged = |change: fn(&mut Vec<u8>)| {
            let mut reply = addresses(query, transport, 9);
            change(&mut reply);
            reply
        };
        vec![
            forged(|reply| reply[1] ^= 1),
            forged(|reply| reply[2] &= 0x7f),
            forged(|reply| reply[13] = b'x'),
            forged(|reply| reply[12 + 17 + 1] = 28),
            forged(|reply| reply.truncate(11)),
            right,
        ]
    });
    let server = start(&[&other], &[]);
    assert_eq!(answers(&server.udp().ask(OUTSIDE, Rtype::A)), ["192.0.2.0"]);
}

#[test]
fn what_is_cut_over_udp_is_fetched_over_tcp_for_those_who_can_take_it() {
    let other = Other::start(|query, transport| vec![addresses(query, transport, 100)]);
    let server = start(&[&other], &[]);
    let reply = server.udp().ask(OUTSIDE, Rtype::A);
    assert_eq!((reply.header().tc(), answers(&reply).len()), (true, 20));
    let reply = ask_over(&mut server.tcp(), OUTSIDE, Rtype::A);
    assert_eq!((reply.header().tc(), answers(&reply).len()), (false, 100));
    // The target of an alias is fetched whole, and cut like any answer.
    let reply = server.udp().ask("out.shop.svc.cluster.local.", Rtype::A);
    assert_eq!((reply.header().tc(), answers(&reply).len()), (true, 72));
    let over: Vec<_> = other.heard().iter().map(|(transport, ..)| *transport).collect();
    assert_eq!(over, ["udp", "udp", "tcp", "udp", "tcp"]);
}

#[test]
fn a_client_without_edns_gets_what_fits() {
    let other = Other::start(|query, _| vec![addresses(query, "tcp", 60)]);
    let server = start(&[&other], &[]);
    let reply = server.udp().ask_with(OUTSIDE, Rtype::A, None);
    assert!(reply.header().tc() && reply.as_slice().len() <= 512);
    assert_eq!(answers(&reply).len(), (512 - 12 - 21) / 16);
}

#[test]
fn an_alias_that_leaves_the_zones_is_followed() {
    let other = Other::start(|query, _| {
        let question = query.sole_question().unwrap();
        let mut reply = MessageBuilder::new_vec().start_answer(query, Rcode::NOERROR).unwrap();
        let target: Name<Vec<u8>> = "host.example.net.".parse().unwrap();
        let ttl = Ttl::from_secs(60);
        reply.push((question.qname(), Class::IN, ttl, Cname::new(&target))).unwrap();
        match question.qtype() {
            Rtype::MX => reply.push((&target, Class::IN, ttl, Mx::new(1, &target))).unwrap(),
            _ => reply.push((&target, Class::IN, ttl, A::from_octets(192, 0, 2, 7))).unwrap(),
        }
        vec![reply.finish()]
    });
    let server = start(&[&other], &[]);
    for reply in [
        server.udp().ask("out.shop.svc.cluster.local.", Rtype::A),
        ask_over(&mut server.tcp(), "out.shop.svc.cluster.local.", Rtype::A),
    ] {
        assert_eq!(answers(&reply), ["www.example.org", "host.example.net", "192.0.2.7"]);
        assert!(reply.header().aa());
    }
    assert_eq!(answers(&server.udp().ask("out.shop.svc.cluster.local.", Rtype::CNAME)), ["www.example.org"]);
    assert_eq!(other.heard().len(), 2, "who asks for the alias gets it without delay");

    let alone = Running::start(&world(), &[]);
    let reply = alone.udp().ask("out.shop.svc.cluster.local.", Rtype::A);
    assert_eq!((rcode(&reply), answers(&reply)), (Rcode::NOERROR, vec!["www.example.org".to_owned()]));
    assert_eq!(rcode(&alone.udp().ask(OUTSIDE, Rtype::A)), Rcode::REFUSED);
}

#[test]
fn the_next_server_is_asked_where_one_is_silent_or_gone() {
    let (mute, other) = (Other::start(silent), Other::start(willing));
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = start(&[&mute, &other], &["--forward-timeout", "0.2"]);
    assert_eq!(answers(&server.udp().ask(OUTSIDE, Rtype::A)), ["192.0.2.0"]);
    let server = Running::start(&world(), &["--forward", &gone, "--forward", &other.argument()]);
    assert_eq!(answers(&server.udp().ask(OUTSIDE, Rtype::A)), ["192.0.2.0"]);

    let server = start(&[&mute], &["--forward-timeout", "0.2"]);
    for name in [OUTSIDE, "out.shop.svc.cluster.local."] {
        for reply in [server.udp().ask(name, Rtype::A), ask_over(&mut server.tcp(), name, Rtype::A)] {
            assert_eq!((rcode(&reply), answers(&reply).len()), (Rcode::SERVFAIL, 0), "{name}");
        }
    }
}

#[test]
fn queries_that_wait_are_bounded_and_hold_up_nobody() {
    let mute = Other::start(silent);
    let server = start(&[&mute], &["--max-forwards", "3", "--forward-timeout", "5", "--threads", "1"]);
    let since = Instant::now();
    let waiting: Vec<_> = (0..3)
        .map(|id| {
            let client = server.udp();
            client.send(&query(id, OUTSIDE, Rtype::A, None));
            client
        })
        .collect();
    while mute.heard().len() < 3 {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(rcode(&server.udp().ask(OUTSIDE, Rtype::A)), Rcode::SERVFAIL);
    assert_eq!(rcode(&ask_over(&mut server.tcp(), OUTSIDE, Rtype::A)), Rcode::SERVFAIL);
    assert_eq!(answers(&server.udp().ask("cart.shop.svc.cluster.local.", Rtype::A)), ["10.96.1.3"]);
    assert!(since.elapsed() < Duration::from_secs(5), "none of these waited");
    for client in waiting {
        assert_eq!(rcode(&client.receive()), Rcode::SERVFAIL);
    }
    // The slots are free again.
    let notes = mute.heard().len();
    server.udp().send(&query(1, OUTSIDE, Rtype::A, None));
    let since = Instant::now();
    while mute.heard().len() == notes {
        assert!(since.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_server_waits_for_others_before_it_ends() {
    let slow = Other::start(|query, transport| {
        thread::sleep(Duration::from_millis(500));
        willing(query, transport)
    });
    let server = start(&[&slow], &[]);
    let client = server.udp();
    client.send(&query(1, OUTSIDE, Rtype::A, None));
    let mut stream = server.tcp();
    assert_eq!(answers(&ask_over(&mut stream, "cart.shop.svc.cluster.local.", Rtype::A)), ["10.96.1.3"]);
    stream.write_all(&framed(&query(2, OUTSIDE, Rtype::A, None))).unwrap();
    thread::sleep(Duration::from_millis(200));
    let (status, _, notes) = server.stop();
    assert!(status.success());
    assert_eq!(answers(&client.receive()), ["192.0.2.0"]);
    assert_eq!(answers(&next_message(&mut stream).unwrap()), ["192.0.2.0"]);
    assert_eq!(notes.last().unwrap(), "3 queries: 1 udp, 2 tcp, 3 NOERROR, 2 forwarded");
}

#[test]
fn rubbish_from_another_server_is_not_passed_on() {
    let other = Other::start(|query, transport| {
        let mut reply = addresses(query, transport, 3);
        // The length of the first address: behind header, question, and a name of 17 octets with ten more.
        let at = 12 + 21 + 21 - 6;
        reply[at + 1] = 200;
        vec![reply]
    });
    let server = start(&[&other], &[]);
    for name in [OUTSIDE, "out.shop.svc.cluster.local."] {
        assert_eq!(rcode(&server.udp().ask(name, Rtype::A)), Rcode::SERVFAIL, "{name}");
    }
}
