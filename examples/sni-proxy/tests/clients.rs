//! What do openssl and curl get from the proxy? Certificates by name, key and date, and other servers behind it.
//!
//! Says `skipped:` where a program is missing.

mod common;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use common::{Key, Made, certificate, program};
use sni_proxy::Proxy;
use tls_sni::resolver::{Resolver, load};
use tls_sni::{CertId, CertName, CertStore, CertStoreBuilder, KeyPair, NameMap, Policy};

type Certificates = CertStoreBuilder<Arc<rustls::sign::CertifiedKey>>;

const VALID: (i32, i32) = (2020, 2090);
const EXPIRED: (i32, i32) = (2000, 2010);

fn loaded(made: &Made) -> (tls_sni::CertificateFacts, Arc<rustls::sign::CertifiedKey>) {
    let pair = KeyPair::from_pem(made.cert.as_bytes(), made.key.as_bytes()).unwrap();
    (pair.facts.clone(), load(&pair, &rustls::crypto::ring::default_provider()).unwrap())
}

fn add(store: &mut Certificates, label: &str, names: &[&str], key: Key, years: (i32, i32)) -> CertId {
    let (facts, key) = loaded(&certificate(label, names, key, years));
    store.add(facts, key)
}

/// 2030-01-01.
fn now() -> i64 {
    1_893_456_000
}

fn start(store: Certificates, targets: &[(&str, SocketAddr)]) -> (SocketAddr, Arc<Resolver>) {
    let resolver = Arc::new(Resolver::new(store.build(), now));
    let targets = targets.iter().map(|(name, target)| (CertName::new(name.as_bytes()), *target));
    let proxy = Arc::new(Proxy::new(NameMap::new(0, targets), resolver.clone()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || proxy.run(&listener));
    (addr, resolver)
}

fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A client that was refused may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

struct Openssl(std::path::PathBuf);

impl Openssl {
    /// What `openssl s_client` prints of a handshake, or `None` if it is refused.
    fn shake(&self, addr: SocketAddr, arguments: &[&str]) -> Option<String> {
        let to = addr.to_string();
        let arguments = [&["s_client", "-connect", &to], arguments].concat();
        let output = run(&self.0, &arguments, "GET / HTTP/1.1\r\n\r\n");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text.contains("Server certificate")).then_some(text)
    }

    /// The common name of the certificate that is served.
    fn served(&self, addr: SocketAddr, arguments: &[&str]) -> Option<String> {
        let text = self.shake(addr, arguments)?;
        let subject = text.lines().find_map(|line| line.strip_prefix("subject="))?;
        Some(subject.split('=').next_back()?.trim().to_owned())
    }
}

macro_rules! client {
    ($name:literal) => {
        match program(&$name.to_uppercase(), $name) {
            Some(program) => program,
            None => return println!("skipped: there is no {}", $name),
        }
    };
}

fn certificates() -> Certificates {
    let mut store = CertStore::builder();
    add(&mut store, "exact", &["a.example"], Key::Ecdsa, VALID);
    add(&mut store, "wildcard", &["*.example"], Key::Ecdsa, VALID);
    add(&mut store, "both-rsa", &["both.example"], Key::Rsa, VALID);
    add(&mut store, "both-ecdsa", &["both.example"], Key::Ecdsa, VALID);
    add(&mut store, "old", &["renewed.example"], Key::Ecdsa, EXPIRED);
    let default = add(&mut store, "default", &["elsewhere.test"], Key::Rsa, VALID);
    store.serve_by_default(default);
    store
}

#[test]
fn openssl_is_served_by_name_and_key() {
    let openssl = Openssl(client!("openssl"));
    let (addr, resolver) = start(certificates(), &[]);
    let served = |arguments: &[&str]| openssl.served(addr, arguments);
    let is = |label: &str| Some(label.to_owned());
    assert_eq!(served(&["-servername", "a.example"]), is("exact"));
    assert_eq!(served(&["-servername", "A.EXAMPLE."]), is("exact"));
    assert_eq!(served(&["-servername", "b.example"]), is("wildcard"));
    assert_eq!(served(&["-servername", "c.b.example"]), is("default"));
    assert_eq!(served(&["-noservername"]), is("default"));
    for version in ["-tls1_2", "-tls1_3"] {
        let by = |schemes: &str| served(&["-servername", "both.example", version, "-sigalgs", schemes]);
        assert_eq!(by("ECDSA+SHA256:RSA-PSS+SHA256"), is("both-ecdsa"), "{version}");
        assert_eq!(by("RSA-PSS+SHA256"), is("both-rsa"), "{version}");
    }

    assert_eq!(served(&["-servername", "renewed.example"]), is("old"), "nothing better exists");
    resolver.update(|store| {
        let (facts, key) = loaded(&certificate("new", &["renewed.example"], Key::Ecdsa, VALID));
        store.add(facts, key);
    });
    assert_eq!(served(&["-servername", "renewed.example"]), is("new"));
}

#[test]
fn openssl_agrees_on_a_protocol() {
    let openssl = Openssl(client!("openssl"));
    let (addr, _) = start(certificates(), &[]);
    let text = openssl.shake(addr, &["-servername", "a.example", "-alpn", "h2,http/1.1"]).unwrap();
    assert!(text.contains("ALPN protocol: http/1.1"), "{text}");
    assert!(openssl.shake(addr, &["-servername", "a.example", "-alpn", "h2"]).is_none(), "rustls refuses");
}

#[test]
fn openssl_is_refused_by_a_strict_store() {
    let openssl = Openssl(client!("openssl"));
    let mut store = certificates();
    let mut policy = Policy::default();
    policy.strict = true;
    store.policy(policy);
    let (addr, _) = start(store, &[]);
    assert_eq!(openssl.served(addr, &["-servername", "a.example"]).as_deref(), Some("exact"));
    assert_eq!(openssl.served(addr, &["-servername", "nobody.test"]), None);
    assert_eq!(openssl.served(addr, &["-noservername"]), None);
}

#[test]
fn curl_trusts_the_certificate_it_gets_or_passes_through() {
    let curl = client!("curl");
    let ended = certificate("ended", &["ended.test"], Key::Ecdsa, VALID);
    let behind = certificate("behind", &["*.behind.test"], Key::Rsa, VALID);
    let one = |made: &Made| {
        let mut store = CertStore::builder();
        let (facts, key) = loaded(made);
        store.add(facts, key);
        store
    };
    let (other, _) = start(one(&behind), &[]);
    let (addr, _) = start(one(&ended), &[("*.behind.test", other)]);

    let trusted = std::env::temp_dir().join(format!("sni-proxy-{}.pem", std::process::id()));
    let ask = |host: &str, made: &Made| {
        std::fs::write(&trusted, &made.cert).unwrap();
        let resolve = format!("{host}:{}:127.0.0.1", addr.port());
        let url = format!("https://{host}:{}/", addr.port());
        let trusted = trusted.display().to_string();
        let output = run(&curl, &["-sS", "--max-time", "10", "--cacert", &trusted, "--resolve", &resolve, &url], "");
        String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned()
    };
    assert_eq!(ask("ended.test", &ended), "ended here: ended.test\n");
    assert_eq!(ask("db.behind.test", &behind), "ended here: db.behind.test\n", "by the server behind");
    assert!(ask("ended.test", &behind).contains("certificate"), "curl does verify");
    std::fs::remove_file(&trusted).unwrap();
}
