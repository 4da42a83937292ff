//! Facts read from certificates, and keys held against them.
#![cfg(feature = "x509")]

use proptest::prelude::*;
use tls_sni::{CertificateFacts, CommonName, KeyKind, ServerName, X509Error};

/// A certificate that nobody signed, with this common name and these GeneralNames (tag and contents).
fn certificate(common_name: &str, general_names: &[(u8, &[u8])]) -> Vec<u8> {
    let algorithm = tlv(0x30, &tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])); // ecdsa-with-SHA256
    let attribute = [tlv(0x06, &[0x55, 4, 3]), tlv(0x0c, common_name.as_bytes())].concat();
    let name = tlv(0x30, &tlv(0x31, &tlv(0x30, &attribute)));
    let validity = tlv(0x30, &[tlv(0x17, b"200101000000Z"), tlv(0x18, b"20500101000000Z")].concat());
    let curve = [tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7])];
    let mut point = vec![0, 4];
    point.resize(66, 9);
    let key = tlv(0x30, &[tlv(0x30, &curve.concat()), tlv(0x03, &point)].concat());
    let names: Vec<u8> = general_names.iter().flat_map(|(tag, contents)| tlv(*tag, contents)).collect();
    let san = [tlv(0x06, &[0x55, 0x1d, 0x11]), tlv(0x04, &tlv(0x30, &names))].concat();
    let extensions = if general_names.is_empty() { vec![] } else { tlv(0xa3, &tlv(0x30, &tlv(0x30, &san))) };
    let version = tlv(0xa0, &tlv(0x02, &[2]));
    let tbs = [version, tlv(0x02, &[1]), algorithm.clone(), name.clone(), validity, name, key, extensions].concat();
    tlv(0x30, &[tlv(0x30, &tbs), algorithm, tlv(0x03, &[0, 1])].concat())
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = contents.len();
    let header = match len {
        0..0x80 => vec![tag, len as u8],
        0x80..0x100 => vec![tag, 0x81, len as u8],
        _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
    };
    [header, contents.to_vec()].concat()
}

const DNS_NAME: u8 = 0x82;
const RFC822_NAME: u8 = 0x81;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
const OTHER_NAME: u8 = 0xa0;

fn covers(facts: &CertificateFacts, name: &str) -> bool {
    facts.covers(&name.parse::<ServerName>().unwrap(), CommonName::Never).is_some()
}

#[test]
fn facts_are_read() {
    let facts = CertificateFacts::from_der(&certificate("cn.example", &[(DNS_NAME, b"A.example"), (DNS_NAME, b"*.b")]))
        .unwrap();
    assert_eq!(facts.names.iter().map(|name| name.to_string()).collect::<Vec<_>>(), ["a.example", "*.b"]);
    assert_eq!(facts.common_name, Some("cn.example".parse().unwrap()));
    assert_eq!((facts.not_before, facts.not_after), (1_577_836_800, 2_524_608_000));
    assert_eq!(facts.key, KeyKind::EcdsaP256);
}

#[test]
fn cve_2022_21656_names_of_other_types_are_no_host_names() {
    let host = b"a.example";
    let other = [tlv(0x06, &[0x2a, 3]), tlv(0xa0, &tlv(0x0c, host))].concat();
    let der = certificate(
        "",
        &[(RFC822_NAME, host), (URI, b"https://a.example"), (IP_ADDRESS, &[192, 0, 2, 1]), (OTHER_NAME, &other)],
    );
    let facts = CertificateFacts::from_der(&der).unwrap();
    assert!(facts.names.is_empty() && !covers(&facts, "a.example"));
}

#[test]
fn cve_2026_47778_a_nul_does_not_end_a_name() {
    let facts = CertificateFacts::from_der(&certificate("", &[(DNS_NAME, b"a.example\0.evil.example")])).unwrap();
    assert!(facts.names[0].is_inert());
    assert!(!covers(&facts, "a.example") && !covers(&facts, "evil.example"));
}

#[test]
fn names_with_bytes_outside_host_names_never_match() {
    for raw in [&b"b\xc3\xbccher.example"[..], b"a .example", b"a.example:443", b"*", b"*.", b"", b"a..example"] {
        let facts =
            CertificateFacts::from_der(&certificate("", &[(DNS_NAME, raw), (DNS_NAME, b"ok.example")])).unwrap();
        assert!(facts.names[0].is_inert(), "{}", raw.escape_ascii());
        assert!(covers(&facts, "ok.example"));
    }
}

#[test]
fn the_common_name_counts_by_policy_only() {
    let without = CertificateFacts::from_der(&certificate("cn.example", &[])).unwrap();
    let with = CertificateFacts::from_der(&certificate("cn.example", &[(DNS_NAME, b"f*.example")])).unwrap();
    let name: ServerName = "cn.example".parse().unwrap();
    let counts = |facts: &CertificateFacts| {
        [CommonName::Never, CommonName::WithoutSan, CommonName::Always]
            .map(|policy| facts.covers(&name, policy).is_some())
    };
    assert_eq!(counts(&without), [false, true, true]);
    assert_eq!(counts(&with), [false, false, true], "an inert dNSName is a dNSName");
}

#[test]
fn what_is_no_certificate_is_told() {
    assert!(matches!(CertificateFacts::from_der(b""), Err(X509Error::Certificate { .. })));
    let mut der = certificate("", &[(DNS_NAME, b"a.example")]);
    der.push(0);
    assert!(matches!(CertificateFacts::from_der(&der), Err(X509Error::Certificate { .. })));
    let broken = certificate("", &[(DNS_NAME, b"a.example")]).windows(9).position(|part| part == b"a.example").unwrap();
    let mut der = certificate("", &[(DNS_NAME, b"a.example")]);
    der[broken - 1] = 0x7f;
    assert_eq!(CertificateFacts::from_der(&der), Err(X509Error::SubjectAltName));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_as_names_are_classified(names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8)) {
        let names: Vec<(u8, &[u8])> = names.iter().map(|name| (DNS_NAME, name.as_slice())).collect();
        let facts = CertificateFacts::from_der(&certificate("", &names)).unwrap();
        prop_assert_eq!(facts.names.len(), names.len());
    }

    #[test]
    fn a_mutated_certificate_never_panics(at in 0usize..400, byte: u8, cut in 0usize..400) {
        let mut der = certificate("cn.example", &[(DNS_NAME, b"a.example"), (OTHER_NAME, &[6, 1, 42])]);
        let len = der.len();
        der[at % len] = byte;
        der.truncate(cut.max(1));
        let _ = CertificateFacts::from_der(&der);
    }
}
