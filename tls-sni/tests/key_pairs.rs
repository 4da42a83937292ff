//! Which private key belongs to which certificate: the pairs of the Ingress worlds, in every encoding.
#![cfg(feature = "kubernetes")]

use proptest::prelude::*;
use serde::de::DeserializeSeed;
use serde_json::Value;
use std::sync::LazyLock;
use svc_model::api::Secret;
use svc_model::{Kind, Object};
use tls_sni::pem::{self, KeyEncoding};
use tls_sni::secret::{self, SecretError};
use tls_sni::{KeyKind, KeyPair, KeyPairError};

static SECRETS: LazyLock<Vec<Secret>> = LazyLock::new(|| {
    let cases: Vec<Value> = serde_json::from_str(include_str!("ingress/decide.json")).unwrap();
    let worlds = cases.iter().flat_map(|case| case["world"].as_array().unwrap());
    let secrets =
        worlds.filter(|object| object["kind"] == "Secret").map(|object| Kind::Secret.deserialize(object).unwrap());
    secrets.filter_map(|object| if let Object::Secret(secret) = object { Some(secret) } else { None }).collect()
});

fn secret(name: &str) -> &'static Secret {
    SECRETS.iter().find(|secret| secret.metadata.name == name).unwrap()
}

fn part(name: &str, key: &str) -> &'static [u8] {
    secret(name).value(key).unwrap()
}

#[test]
fn every_key_encoding_is_read_and_verified() {
    for (name, encoding, kind) in [
        ("wild-cert", KeyEncoding::Pkcs8, KeyKind::EcdsaP256),
        ("sec1", KeyEncoding::Sec1, KeyKind::EcdsaP256),
        ("pkcs1", KeyEncoding::Pkcs1, KeyKind::Rsa),
    ] {
        let pair = secret::load(secret(name)).unwrap();
        assert_eq!((pair.key.encoding(), pair.facts.key, pair.key_verified), (encoding, kind, true), "{name}");
    }
}

#[test]
fn a_key_of_another_certificate_is_told_from_a_bundle_in_the_wrong_order() {
    let load = |name| secret::load(secret(name)).unwrap_err();
    assert_eq!(load("mixed-pair"), SecretError::Pair(KeyPairError::Mismatch));
    assert_eq!(load("chain-backwards"), SecretError::Pair(KeyPairError::Order { position: 1 }));
    assert_eq!(secret::load(secret("chain-good")).unwrap().chain.len(), 2);
    // Keys of another kind.
    let swapped = |cert, key| KeyPair::from_pem(part(cert, "tls.crt"), part(key, "tls.key")).unwrap_err();
    assert_eq!(swapped("pkcs1", "sec1"), KeyPairError::Mismatch);
    assert_eq!(swapped("sec1", "pkcs1"), KeyPairError::Mismatch);
}

#[test]
fn a_key_without_its_public_half_is_taken_unverified() {
    // RFC 5915 3 with the optional public key cut off.
    let whole = pem::private_key(part("sec1", "tls.key")).unwrap();
    let der = whole.secret_der();
    // SEQUENCE { INTEGER 1, OCTET STRING of 32 bytes, [0] curve OID }
    let inner = &der[2..2 + 3 + 34 + 12];
    let short = [&[0x30, inner.len() as u8], inner].concat();
    let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", base64(&short));
    let pair = KeyPair::from_pem(part("sec1", "tls.crt"), pem.as_bytes()).unwrap();
    assert!(!pair.key_verified);
    assert_eq!(
        KeyPair::from_pem(part("pkcs1", "tls.crt"), pem.as_bytes()).unwrap_err(),
        KeyPairError::Mismatch,
        "the algorithm tells"
    );
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63] as char;
            text.push(if i > chunk.len() { '=' } else { digit });
        }
    }
    text
}

#[test]
fn each_fault_of_a_secret_has_its_field() {
    let field = |secret: &Secret| secret::load(secret).unwrap_err().field(secret);
    assert_eq!(field(secret("no-key")), "data[tls.key]");
    assert_eq!(field(secret("not-pem")), "data[tls.crt]");
    assert_eq!(secret::load(secret("only-ca")).unwrap_err(), SecretError::OnlyCa);
    let mut written = secret("wild-cert").clone();
    written.string_data.0.insert("tls.key".into(), "nonsense".into());
    assert_eq!(field(&written), "stringData[tls.key]", "stringData wins over data");
}

#[test]
fn no_error_and_no_debug_form_holds_a_key() {
    let pair = secret::load(secret("pkcs1")).unwrap();
    let shown = format!("{:?}", pair.key);
    assert_eq!(shown, "PrivateKey(Pkcs1)");
    let key = part("pkcs1", "tls.key");
    let error = KeyPair::from_pem(key, key).unwrap_err();
    let secret_line = str::from_utf8(key).unwrap().lines().nth(3).unwrap();
    assert!(!format!("{error} {error:?}").contains(secret_line));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_pairs_never_panic(at in 0usize..4000, byte: u8, name in prop::sample::select(vec!["sec1", "pkcs1", "chain-good"])) {
        let (mut bundle, mut key) = (part(name, "tls.crt").to_vec(), part(name, "tls.key").to_vec());
        let (i, j) = (at % bundle.len(), at % key.len());
        bundle[i] = byte;
        key[j] = byte;
        let _ = KeyPair::from_pem(&bundle, part(name, "tls.key"));
        let _ = KeyPair::from_pem(part(name, "tls.crt"), &key);
    }

    #[test]
    fn any_bytes_as_pem_never_panic(text in "(-----(BEGIN|END) (CERTIFICATE|PRIVATE KEY)?-----|[A-Za-z0-9+/=]{0,9}|\n){0,12}") {
        let _ = pem::certificates(text.as_bytes());
        let _ = pem::private_key(text.as_bytes());
    }
}
