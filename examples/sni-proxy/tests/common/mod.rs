//! Certificates of one's own, and a port that is free.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

/// rcgen does not generate RSA keys; this one guards nothing.
const RSA_KEY: &str = include_str!("../../../../tls-sni/tests/rustls/rsa.key");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Ecdsa,
    Rsa,
}

/// A self-signed certificate and its key in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) cert: String,
    pub(crate) key: String,
    pub(crate) der: Vec<u8>,
}

/// Valid from and until the start of these years.
pub(crate) fn certificate(label: &str, names: &[&str], key: Key, years: (i32, i32)) -> Made {
    static RSA: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::from_pem(RSA_KEY).unwrap());
    let generated = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, label);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let own;
    let key = match key {
        Key::Rsa => &*RSA,
        Key::Ecdsa => {
            own = generated();
            &own
        }
    };
    let cert = params.self_signed(key).unwrap();
    Made { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().to_vec() }
}

/// Ports that were free a moment ago, none handed out twice. They lie below those that the kernel hands out by itself, so that no
/// connection takes one before the program that is to listen there has started.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = std::iter::repeat_with(|| std::process::id().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)));
    let ports = ports.map(|n| 20_000 + (n % 12_000) as u16);
    ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect()
}

/// A program by the variable that names it, else on the path.
pub(crate) fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        return path.is_file().then_some(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories.map(|directory| directory.join(name)).find(|program| program.is_file())
}
