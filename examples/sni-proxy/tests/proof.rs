//! Do nginx, HAProxy and Envoy serve the certificate that the store chooses?
//!
//! Each program gets the same generated certificates, world by world, and the same ClientHellos, with every kind of server
//! name and of key the client verifies. Where it serves another certificate than the store, the reason must be on its list
//! here, and every reason of the list must have been met. Says `skipped:` where a program is missing.

mod common;
mod peers;

use std::collections::BTreeMap;

use peers::{Peer, Served, envoy, haproxy, nginx};
use tls_sni::{CertStore, NameMatch, Query, Sni, peek};

/// What a client verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verifies {
    Both,
    Ecdsa,
    Rsa,
}

/// A certificate of a world.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) names: Vec<&'static str>,
    pub(crate) key: common::Key,
    pub(crate) expired: bool,
    pub(crate) made: common::Made,
}

/// Certificates in the order in which a configuration lists them; the first is the default.
#[derive(Clone, Debug)]
pub(crate) struct World(pub(crate) Vec<Certificate>);

/// A difference and what it comes from.
pub(crate) struct Difference<'a> {
    world: &'a World,
    sni: &'a Sni,
    raw: Option<&'a [u8]>,
    verifies: Verifies,
    ours: Served,
    theirs: Served,
}

pub(crate) type Reason = (&'static str, fn(&Difference<'_>) -> bool);

const ZONES: [&str; 8] =
    ["a.x.test", "b.x.test", "*.x.test", "x.test", "*.a.x.test", "c.a.x.test", "*.y.test", "a.y.test"];

const ASKED: [Option<&[u8]>; 15] = [
    None,
    Some(b"a.x.test"),
    Some(b"b.x.test"),
    Some(b"c.x.test"),
    Some(b"x.test"),
    Some(b"c.a.x.test"),
    Some(b"d.a.x.test"),
    Some(b"e.d.a.x.test"),
    Some(b"a.y.test"),
    Some(b"B.Y.Test"),
    Some(b"y.test"),
    Some(b"a.x.test."),
    Some(b"*.x.test"),
    Some(b"127.0.0.1"),
    Some(b"a_b.y.test"),
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

fn worlds(count: usize) -> Vec<World> {
    let mut random = Random(8);
    (0..count)
        .map(|world| {
            let certificates = 1 + random.below(6);
            let one = |at: usize, random: &mut Random| {
                let mut names: Vec<&'static str> = (0..1 + random.below(2)).map(|_| ZONES[random.below(8)]).collect();
                names.sort_unstable();
                names.dedup();
                let key = if random.below(2) == 0 { common::Key::Ecdsa } else { common::Key::Rsa };
                let expired = random.below(4) == 0;
                let years =
                    if expired { (2000, 2010 + random.below(5) as i32) } else { (2020, 2060 + random.below(9) as i32) };
                let made = common::certificate(&format!("w{world}c{at}"), &names, key, years);
                Certificate { names, key, expired, made }
            };
            World((0..certificates).map(|at| one(at, &mut random)).collect())
        })
        .collect()
}

fn store(world: &World) -> CertStore<usize> {
    let mut builder = CertStore::builder();
    for (at, certificate) in world.0.iter().enumerate() {
        let facts = tls_sni::CertificateFacts::from_der(&certificate.made.der).unwrap();
        let id = builder.add(facts, at);
        if at == 0 {
            builder.serve_by_default(id);
        }
    }
    builder.build()
}

/// 2030-01-01.
const NOW: i64 = 1_893_456_000;

fn prove(peer: &Peer, worlds: &[World], reasons: &[Reason]) {
    let running = peer.start(worlds);
    let (mut agreed, mut met, mut unexplained) = (0, BTreeMap::<&str, usize>::new(), Vec::new());
    for (at, world) in worlds.iter().enumerate() {
        let store = store(world);
        for raw in ASKED {
            for verifies in [Verifies::Both, Verifies::Ecdsa, Verifies::Rsa] {
                let bytes = peers::hello(raw, verifies);
                let hello = peek(&bytes).unwrap();
                let sni = hello.sni();
                let choice = store.choose(&Query::of(&hello, &sni), NOW);
                let ours = choice.outcome.map_or(Served::Refused, |chosen| Served::Certificate(*chosen.certificate()));
                let theirs = running.ask(at, &bytes, world);
                if ours == theirs {
                    agreed += 1;
                    continue;
                }
                let difference = Difference { world, sni: &sni, raw, verifies, ours, theirs };
                match reasons.iter().find(|(_, is)| is(&difference)) {
                    Some((reason, _)) => *met.entry(reason).or_default() += 1,
                    None => unexplained.push(format!(
                        "world {at}: {:?} of {}, verifies {verifies:?}: the store says {ours:?} ({}), it {theirs:?}",
                        raw.map(|raw| raw.escape_ascii().to_string()),
                        difference.described(),
                        choice.reason,
                    )),
                }
            }
        }
    }
    let differed: usize = met.values().sum();
    println!("{}: {agreed} of {} combinations agree", peer.name, agreed + differed);
    for (reason, count) in &met {
        println!("  {count:4}  {reason}");
    }
    unexplained.truncate(20);
    assert!(unexplained.is_empty(), "{}: {}", peer.name, unexplained.join("\n"));
    assert!(agreed + differed >= 500 && agreed > 2 * differed, "{agreed} agree, {differed} differ");
    for (reason, _) in reasons {
        assert!(met.contains_key(reason), "{}: no longer met: {reason}", peer.name);
    }
}

impl Difference<'_> {
    fn described(&self) -> String {
        let one = |c: &Certificate| format!("{:?} {:?}{}", c.names, c.key, if c.expired { " expired" } else { "" });
        self.world.0.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn at(&self, served: Served) -> Option<&Certificate> {
        match served {
            Served::Certificate(at) => self.world.0.get(at),
            Served::Refused => None,
        }
    }

    fn covers(&self, certificate: &Certificate) -> Option<NameMatch> {
        let name = self.sni.name()?;
        certificate.names.iter().filter_map(|own| tls_sni::CertName::new(own.as_bytes()).covers(name)).min()
    }

    fn is_verified(&self, certificate: &Certificate) -> bool {
        match self.verifies {
            Verifies::Both => true,
            Verifies::Ecdsa => certificate.key == common::Key::Ecdsa,
            Verifies::Rsa => certificate.key == common::Key::Rsa,
        }
    }

    fn ends_in_a_dot(&self) -> bool {
        self.raw.is_some_and(|raw| raw.ends_with(b"."))
    }

    /// Whether the client asks for a name such as a certificate has, and no host.
    fn is_a_wildcard(&self) -> bool {
        self.raw.is_some_and(|raw| raw.starts_with(b"*."))
    }

    /// Whether another certificate is served that names the client's name as well, with a key of the same kind.
    fn serves_an_equal(&self) -> bool {
        let both = self.at(self.ours).zip(self.at(self.theirs));
        self.named().len() > 1 && both.is_some_and(|(a, b)| a.key == b.key && self.covers(a) == self.covers(b))
    }

    /// Whether an ECDSA certificate for the name is served in place of an RSA one.
    fn prefers_ecdsa(&self) -> bool {
        let both = self.at(self.ours).zip(self.at(self.theirs));
        both.is_some_and(|(a, b)| a.key == common::Key::Rsa && b.key == common::Key::Ecdsa && self.covers(b).is_some())
    }

    /// Those with the best match for the name, in their order.
    fn named(&self) -> Vec<&Certificate> {
        let best = self.world.0.iter().filter_map(|certificate| self.covers(certificate)).min();
        self.world.0.iter().filter(|certificate| best.is_some() && self.covers(certificate) == best).collect()
    }
}

#[test]
fn nginx_serves_what_the_store_chooses() {
    prove_with(
        nginx(),
        &[
            ("a wildcard of nginx covers any number of labels", |d| {
                let name = d.sni.name().map(ToString::to_string).unwrap_or_default();
                let deep = |c: &Certificate| {
                    c.names.iter().any(|own| own.strip_prefix('*').is_some_and(|zone| name.ends_with(zone)))
                };
                d.named().is_empty() && d.world.0.iter().any(deep)
            }),
            ("nginx chooses the server first, and refuses a client that verifies no key of its certificates", |d| {
                d.theirs == Served::Refused
            }),
            ("of two servers of one name nginx knows the first", |d| d.named().len() > 1),
            ("nginx looks up a name that is none, such as *.x.test, as it is", |d| d.is_a_wildcard()),
        ],
    );
}

#[test]
fn haproxy_serves_what_the_store_chooses() {
    prove_with(
        haproxy(),
        &[
            ("HAProxy refuses a client that verifies no key for the name, where the store goes on", |d| {
                d.theirs == Served::Refused && d.named().iter().all(|c| !d.is_verified(c)) && !d.ends_in_a_dot()
            }),
            ("of equal certificates HAProxy serves the one listed first, the store the valid and the longest", |d| {
                d.serves_an_equal()
            }),
            (
                "HAProxy serves an ECDSA certificate before an RSA one, whatever its date and though only a wildcard",
                |d| d.prefers_ecdsa(),
            ),
            ("HAProxy knows no name with a dot at its end", |d| d.ends_in_a_dot()),
            ("HAProxy looks up a name that is none, such as *.x.test, as it is", |d| d.is_a_wildcard()),
        ],
    );
}

#[test]
fn envoy_serves_what_the_store_chooses() {
    prove_with(
        envoy(),
        &[
            ("Envoy compares names as they were sent, upper case included", |d| {
                d.raw.is_some_and(|raw| raw.iter().any(u8::is_ascii_uppercase))
            }),
            ("Envoy knows no name with a dot at its end", |d| d.ends_in_a_dot()),
            ("Envoy looks up a name that is none, such as *.x.test, as it is", |d| d.is_a_wildcard()),
            ("Envoy serves a client without server name by its keys, not the first certificate", |d| {
                *d.sni == Sni::Absent
            }),
            ("Envoy refuses a client that does not verify an RSA key of the name, where the store goes on", |d| {
                d.theirs == Served::Refused && d.named().iter().any(|c| !d.is_verified(c))
            }),
            ("of equal certificates Envoy serves the one listed first, the store the valid and the longest", |d| {
                d.serves_an_equal()
            }),
            ("Envoy serves an ECDSA certificate before an RSA one, whatever its date", |d| d.prefers_ecdsa()),
        ],
    );
}

fn prove_with(peer: Result<Peer, String>, reasons: &[Reason]) {
    match peer {
        Ok(peer) => prove(&peer, &worlds(30), reasons),
        Err(missing) => println!("skipped: {missing}"),
    }
}
