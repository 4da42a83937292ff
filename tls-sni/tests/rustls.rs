//! Handshakes of a rustls server that takes its certificates from a store, with a rustls client, in memory.
#![cfg(feature = "rustls")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair as Generated, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, InconsistentKeys, ServerConfig,
    ServerConnection, SignatureScheme, SupportedProtocolVersion, version,
};
use tls_sni::resolver::{CertifiedKeys, Resolver, load, load_all};
use tls_sni::{ACME_TLS_1, CertId, CertStore, CertStoreBuilder, CertificateFacts, KeyPair, Policy};

/// The key of a certificate that rcgen cannot generate, without worth.
const RSA_KEY: &str = include_str!("rustls/rsa.key");

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

#[derive(Clone, Copy)]
enum Key {
    P256,
    P384,
    Ed25519,
    Rsa,
}

/// A self-signed pair, valid from and until these years, known by its common name.
fn pair_of(label: &str, names: &[&str], key: Key, years: (i32, i32)) -> (String, String) {
    let key = match key {
        Key::P256 => Generated::generate_for(&PKCS_ECDSA_P256_SHA256),
        Key::P384 => Generated::generate_for(&PKCS_ECDSA_P384_SHA384),
        Key::Ed25519 => Generated::generate_for(&PKCS_ED25519),
        Key::Rsa => Generated::from_pem(RSA_KEY),
    }
    .unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, label);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn loaded(
    label: &str,
    names: &[&str],
    key: Key,
    years: (i32, i32),
) -> (CertificateFacts, Arc<rustls::sign::CertifiedKey>) {
    let (cert, key) = pair_of(label, names, key, years);
    let pair = KeyPair::from_pem(cert.as_bytes(), key.as_bytes()).unwrap();
    (pair.facts.clone(), load(&pair, &PROVIDER).unwrap())
}

fn add(store: &mut CertStoreBuilder<Arc<rustls::sign::CertifiedKey>>, label: &str, names: &[&str], key: Key) -> CertId {
    let (facts, key) = loaded(label, names, key, (2020, 2040));
    store.add(facts, key)
}

const IN_2030: i64 = 1_893_456_000;

fn server(store: CertifiedKeys) -> (Arc<Resolver>, Arc<ServerConfig>) {
    server_at(store, || IN_2030)
}

fn server_at(store: CertifiedKeys, clock: fn() -> i64) -> (Arc<Resolver>, Arc<ServerConfig>) {
    let resolver = Arc::new(Resolver::new(store, clock));
    let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver.clone());
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into(), ACME_TLS_1.into()];
    (resolver, Arc::new(config))
}

/// Accepts every certificate and keeps the last: what was served is the question, not whether to trust it.
#[derive(Debug)]
struct Witness {
    schemes: Vec<SignatureScheme>,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.lock().unwrap() = Some(end_entity.clone().into_owned());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

struct Client<'a> {
    name: Option<&'a str>,
    schemes: Vec<SignatureScheme>,
    alpn: &'a [&'a [u8]],
    versions: &'static [&'static SupportedProtocolVersion],
}

impl<'a> Client<'a> {
    fn of(name: &'a str) -> Client<'a> {
        let schemes = PROVIDER.signature_verification_algorithms.supported_schemes();
        Client { name: Some(name), schemes, alpn: &[], versions: rustls::ALL_VERSIONS }
    }
}

/// The common name that was served and the protocol that was agreed on, after a whole handshake.
fn shake(server: &Arc<ServerConfig>, client: Client<'_>) -> Result<(String, Option<Vec<u8>>), Error> {
    let witness = Arc::new(Witness { schemes: client.schemes, seen: Mutex::new(None) });
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(client.versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    config.enable_sni = client.name.is_some();
    config.alpn_protocols = client.alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(client.name.unwrap_or("unsent.example").to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        feed(&mut wire.as_slice(), |wire| server.read_tls(wire).map(drop));
        let refused = server.process_new_packets().err();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        feed(&mut wire.as_slice(), |wire| client.read_tls(wire).map(drop));
        client.process_new_packets()?;
        if let Some(error) = refused {
            return Err(error);
        }
    }
    let seen = witness.seen.lock().unwrap().take().unwrap();
    let facts = CertificateFacts::from_der(&seen).unwrap();
    Ok((facts.common_name.unwrap().to_string(), client.alpn_protocol().map(<[u8]>::to_vec)))
}

fn feed(wire: &mut &[u8], mut read: impl FnMut(&mut &[u8]) -> std::io::Result<()>) {
    while !wire.is_empty() {
        read(wire).unwrap();
    }
}

fn served(server: &Arc<ServerConfig>, name: &str) -> Result<String, Error> {
    shake(server, Client::of(name)).map(|(label, _)| label)
}

fn refused(result: Result<String, Error>) -> bool {
    matches!(result, Err(Error::AlertReceived(AlertDescription::AccessDenied | AlertDescription::HandshakeFailure)))
}

#[test]
fn exact_names_wildcards_and_the_default() {
    let mut store = CertStore::builder();
    add(&mut store, "exact", &["a.example"], Key::P256);
    add(&mut store, "wildcard", &["*.example"], Key::P256);
    let default = add(&mut store, "default", &["elsewhere.test"], Key::P256);
    store.serve_by_default(default);
    let (_, server) = server(store.build());
    for (name, label) in [
        ("a.example", "exact"),
        ("A.Example", "exact"),
        ("b.example", "wildcard"),
        ("c.b.example", "default"),
        ("192.0.2.1", "default"), // rustls clients send no server name for an address
    ] {
        assert_eq!(served(&server, name).as_deref(), Ok(label), "{name}");
    }
    assert_eq!(shake(&server, Client { name: None, ..Client::of("") }).unwrap().0, "default");
}

#[test]
fn a_trailing_dot_changes_nothing() {
    let mut store = CertStore::builder();
    add(&mut store, "exact", &["a.example"], Key::P256);
    let (_, server) = server(store.build());
    assert_eq!(served(&server, "a.example.").as_deref(), Ok("exact"));
}

#[test]
fn the_client_decides_between_keys() {
    use SignatureScheme::*;
    let mut store = CertStore::builder();
    add(&mut store, "rsa", &["a.example"], Key::Rsa);
    add(&mut store, "ed25519", &["a.example"], Key::Ed25519);
    add(&mut store, "p384", &["a.example"], Key::P384);
    let (_, server) = server(store.build());
    const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
    const TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];
    let ask = |schemes: &[SignatureScheme], versions| {
        shake(&server, Client { schemes: schemes.to_vec(), versions, ..Client::of("a.example") })
            .map(|(label, _)| label)
    };
    for versions in [rustls::ALL_VERSIONS, TLS12, TLS13] {
        assert_eq!(ask(&[RSA_PSS_SHA256, ED25519, ECDSA_NISTP384_SHA384], versions).as_deref(), Ok("p384"));
        assert_eq!(ask(&[RSA_PSS_SHA256, ED25519], versions).as_deref(), Ok("ed25519"));
        assert_eq!(ask(&[RSA_PSS_SHA256, ECDSA_NISTP256_SHA256], versions).as_deref(), Ok("rsa"));
        assert!(refused(ask(&[ECDSA_NISTP256_SHA256], versions)), "no key that the client verifies");
    }
    assert_eq!(ask(&[RSA_PKCS1_SHA256], TLS12).as_deref(), Ok("rsa"));
}

#[test]
fn an_expired_certificate_gives_way_to_its_renewal() {
    static NOW: AtomicI64 = AtomicI64::new(IN_2030);
    let mut store = CertStore::builder();
    for (label, years) in [("old", (2020, 2030)), ("new", (2029, 2040))] {
        let (facts, key) = loaded(label, &["a.example"], Key::P256, years);
        store.add(facts, key);
    }
    let (resolver, server) = server_at(store.build(), || NOW.load(Ordering::Relaxed));
    assert_eq!(served(&server, "a.example").as_deref(), Ok("new"));
    // Before the new one is valid, the old one serves; with the new one gone, though expired, too.
    NOW.store(IN_2030 - 3 * 366 * 86_400, Ordering::Relaxed);
    assert_eq!(served(&server, "a.example").as_deref(), Ok("old"));
    NOW.store(IN_2030 + 86_400, Ordering::Relaxed);
    let new = resolver.snapshot().iter().last().unwrap().id;
    resolver.update(|store| {
        store.remove(new);
    });
    assert_eq!(served(&server, "a.example").as_deref(), Ok("old"));
}

#[test]
fn certificates_change_while_the_server_runs() {
    let mut store = CertStore::builder();
    let id = add(&mut store, "first", &["a.example"], Key::P256);
    let (resolver, server) = server(store.build());
    assert_eq!(served(&server, "a.example").as_deref(), Ok("first"));
    let before = resolver.snapshot();
    resolver.update(|store| {
        let (facts, key) = loaded("second", &["a.example", "b.example"], Key::P384, (2020, 2040));
        store.replace(id, facts, key);
    });
    assert_eq!(served(&server, "a.example").as_deref(), Ok("second"));
    assert_eq!(served(&server, "b.example").as_deref(), Ok("second"));
    resolver.replace(before);
    assert_eq!(served(&server, "a.example").as_deref(), Ok("first"));
    assert!(refused(served(&server, "b.example")));
}

#[test]
fn protocols_are_agreed_on_and_challenges_answered() {
    let mut store = CertStore::builder();
    let site = add(&mut store, "site", &["a.example", "*.example"], Key::P256);
    store.serve_by_default(site);
    let (facts, key) = loaded("challenge", &["a.example"], Key::P256, (2020, 2040));
    store.add_challenge(&"a.example".parse().unwrap(), facts, key);
    let (_, server) = server(store.build());
    let ask = |name, alpn: &[&[u8]]| shake(&server, Client { alpn, ..Client::of(name) });
    let protocol = |name: &[u8]| Some(name.to_vec());
    assert_eq!(ask("a.example", &[b"http/1.1", b"h2"]), Ok(("site".into(), protocol(b"h2"))));
    assert_eq!(ask("a.example", &[ACME_TLS_1]), Ok(("challenge".into(), protocol(ACME_TLS_1))));
    assert_eq!(ask("a.example", &[ACME_TLS_1, b"h2"]), Ok(("site".into(), protocol(b"h2"))));
    assert!(ask("b.example", &[ACME_TLS_1]).is_err(), "neither the wildcard nor the default answers a challenge");
}

#[test]
fn a_strict_store_serves_no_default() {
    let mut store = CertStore::builder();
    let id = add(&mut store, "only", &["a.example"], Key::P256);
    store.serve_by_default(id);
    let mut policy = Policy::default();
    policy.strict = true;
    store.policy(policy);
    let (_, server) = server(store.build());
    assert_eq!(served(&server, "a.example").as_deref(), Ok("only"));
    assert!(refused(served(&server, "b.example")));
    assert!(shake(&server, Client { name: None, ..Client::of("") }).is_err());
}

#[test]
fn a_key_of_another_certificate_is_found_when_it_is_loaded_and_the_rest_serves() {
    for key in [Key::P256, Key::Ed25519] {
        let read = |label, names: &[&str]| {
            let (cert, key) = pair_of(label, names, key, (2020, 2040));
            KeyPair::from_pem(cert.as_bytes(), key.as_bytes()).unwrap()
        };
        let (good, mut bad) = (read("good", &["good.example"]), read("bad", &["bad.example"]));
        bad.key = good.key.clone();
        let (store, failed) = load_all([bad, good], &PROVIDER);
        assert_eq!(failed, [(0, Error::InconsistentKeys(InconsistentKeys::KeyMismatch))]);
        let (_, server) = server(store.build());
        assert_eq!(served(&server, "good.example").as_deref(), Ok("good"));
        assert!(refused(served(&server, "bad.example")));
    }
}

#[test]
fn nothing_of_a_key_is_printed() {
    let mut store = CertStore::builder();
    add(&mut store, "only", &["a.example"], Key::P256);
    let (resolver, _) = server(store.build());
    assert_eq!(format!("{resolver:?}"), "Resolver { store: CertStore { certificates: 1, names: 1, .. }, .. }");
}
