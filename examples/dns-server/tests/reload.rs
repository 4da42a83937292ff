//! The manifests change while the server runs.

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::*;
use domain::base::iana::{Rcode, Rtype};

const CART: &str = "cart.shop.svc.cluster.local.";

#[test]
fn a_reload_under_load_loses_no_query() {
    let folder = Folder::with(&service("shop", "cart", "10.0.0.0"));
    let server = Running::start(&folder, &[]);
    let stop = AtomicBool::new(false);
    let last = thread::scope(|scope| {
        let (server, stop) = (&server, &stop);
        let clients: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let (mut udp, mut tcp) = (server.udp(), server.tcp());
                    let (mut asked, mut newest) = (0, 0);
                    while !stop.load(Ordering::Relaxed) {
                        // `udp` and `tcp` panic where no reply comes.
                        let reply =
                            if number % 2 == 0 { udp.ask(CART, Rtype::A) } else { ask_over(&mut tcp, CART, Rtype::A) };
                        let address = answers(&reply).pop().expect("in every state there is one address");
                        let state: u32 = address.strip_prefix("10.0.0.").unwrap().parse().unwrap();
                        assert!(state >= newest, "from {newest} back to {state}");
                        (asked, newest) = (asked + 1, state);
                    }
                    (asked, newest)
                })
            })
            .collect();
        let mut notes = 0;
        for state in 1..=10 {
            let filler: String =
                (0..500).map(|i| service("other", &format!("s{i}"), &format!("10.9.{state}.{}", i % 250))).collect();
            folder.write("world.yaml", &(filler + &service("shop", "cart", &format!("10.0.0.{state}"))));
            server.notes.wait(notes + 2, "serial");
            notes = server.notes.all().len() - 2;
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    for (asked, newest) in last {
        assert!(asked > 100, "{asked} queries");
        assert!(newest >= 9, "the states were seen as they came, up to {newest}");
    }
    let (status, _, notes) = server.stop();
    let counts = notes.last().unwrap();
    assert!(status.success() && counts.contains("NOERROR"), "{counts}");
    for lost in ["SERVFAIL", "NXDOMAIN", "without reply"] {
        assert!(!counts.contains(lost), "{counts}");
    }
}

#[test]
fn names_come_and_go_with_their_files() {
    let folder = Folder::with(&service("shop", "cart", "10.0.0.1"));
    let server = Running::start(&folder, &[]);
    let mut client = server.udp();
    let mut code = |name| rcode(&client.ask(name, Rtype::A));
    assert_eq!(code("more.shop.svc.cluster.local."), Rcode::NXDOMAIN);
    let notes = server.notes.all().len();
    let more = folder.write("more.yaml", &service("shop", "more", "10.0.0.2"));
    server.notes.wait(notes, "2 objects, 1 changes, serial");
    assert_eq!(code("more.shop.svc.cluster.local."), Rcode::NOERROR);
    let notes = server.notes.all().len();
    fs::remove_file(more).unwrap();
    server.notes.wait(notes, "1 objects, 1 changes, serial");
    assert_eq!(code("more.shop.svc.cluster.local."), Rcode::NXDOMAIN);
    assert_eq!(code(CART), Rcode::NOERROR);
}

#[test]
fn a_broken_manifest_changes_nothing_and_is_named() {
    let folder = Folder::with(&service("shop", "cart", "10.0.0.1"));
    let server = Running::start(&folder, &[]);
    let mut client = server.udp();
    for (broken, words) in [
        ("kind: [", "broken.yaml:1"),
        ("{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: http}}", "Service/default/b spec.ports"),
    ] {
        let notes = server.notes.all().len();
        let path = folder.write("broken.yaml", broken);
        folder.write("world.yaml", &service("shop", "cart", "10.0.0.2"));
        server.notes.wait(notes, words);
        server.notes.wait(notes, "answers stay as they were");
        assert_eq!(answers(&client.ask(CART, Rtype::A)), ["10.0.0.1"]);
        let notes = server.notes.all().len();
        fs::remove_file(path).unwrap();
        server.notes.wait(notes, "serial");
        assert_eq!(answers(&client.ask(CART, Rtype::A)), ["10.0.0.2"]);
        let notes = server.notes.all().len();
        folder.write("world.yaml", &service("shop", "cart", "10.0.0.1"));
        server.notes.wait(notes, "serial");
    }
    let notes = server.notes.all().len();
    fs::remove_file(folder.0.join("world.yaml")).unwrap();
    server.notes.wait(notes, "answers stay as they were");
    assert_eq!(answers(&client.ask(CART, Rtype::A)), ["10.0.0.1"]);
}

#[test]
fn before_the_first_load_the_server_says_that_it_cannot_tell() {
    let folder = Folder::with("kind: [");
    let server = Running::launch(&folder.0, &["--listen", "127.0.0.1:0"]);
    server.notes.wait(0, "there are no answers yet");
    let mut client = server.udp();
    for name in [CART, "www.example.org."] {
        let reply = client.ask(name, Rtype::A);
        assert_eq!((rcode(&reply), reply.header().aa()), (Rcode::SERVFAIL, false));
    }
    assert_eq!(rcode(&ask_over(&mut server.tcp(), "cluster.local.", Rtype::AXFR)), Rcode::SERVFAIL);
    folder.write("world.yaml", &service("shop", "cart", "10.0.0.1"));
    server.notes.wait(0, "serial");
    assert_eq!(answers(&client.ask(CART, Rtype::A)), ["10.0.0.1"]);
}

#[test]
fn the_serial_moves_when_an_answer_can_differ() {
    let pod = |label: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: tool, namespace: shop, labels: {{a: {label}}}}}, \
             status: {{phase: Running, podIP: 10.1.0.1}}}}\n"
        )
    };
    let folder = Folder::with(&(service("shop", "cart", "10.0.0.1") + &pod("x")));
    let server = Running::start(&folder, &[]);
    let mut client = server.udp();
    let first = serial(&mut client);
    let notes = server.notes.all().len();
    folder.write("world.yaml", &(service("shop", "cart", "10.0.0.1") + &pod("y")));
    server.notes.wait(notes, "1 changes, no answer differs");
    assert_eq!(serial(&mut client), first);
    folder.write("world.yaml", &(service("shop", "cart", "10.0.0.2") + &pod("y")));
    server.notes.wait(notes, "1 changes, serial");
    assert!(serial(&mut client) > first);
    assert_eq!(answers(&client.ask(CART, Rtype::A)), ["10.0.0.2"]);
}
