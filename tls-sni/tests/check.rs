//! What a check says of certificates and of what is served in spite of, or in place of, them.
#![cfg(feature = "kubernetes")]

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::check::{Finding, Level};
use svc_model::{Cluster, Kind};
use tls_sni::check::check;

/// 2030-01-01T00:00:00Z
const NOW: i64 = 1_893_456_000;

/// A self-signed pair for these names.
fn pair(names: &[&str], until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn secret(name: &str, (certificate, key): &(String, String)) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "default" },
        "type": "Opaque", "stringData": { "tls.crt": certificate, "tls.key": key },
    })
}

fn ingress(host: &str, secret: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{ "hosts": [host], "secretName": secret }],
            "rules": [{ "host": host }],
        },
    })
}

/// A Gateway with a listener on port 443 for each hostname and its Secret.
fn gateway(listeners: &[(&str, Option<&str>, &str)]) -> Value {
    let listener = |(name, hostname, secret): &(&str, Option<&str>, &str)| {
        json!({
            "name": name, "hostname": hostname, "port": 443, "protocol": "HTTPS",
            "tls": { "certificateRefs": [{ "name": secret }] },
        })
    };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "edge", "namespace": "default" },
        "spec": { "gatewayClassName": "any", "listeners": listeners.iter().map(listener).collect::<Vec<_>>() },
    })
}

fn findings(objects: &[Value]) -> Vec<Finding> {
    let mut cluster = Cluster::new();
    for object in objects {
        let kind: Kind = object["kind"].as_str().unwrap().parse().unwrap();
        cluster.apply(kind.deserialize(object).unwrap());
    }
    check(&cluster, NOW)
}

/// The messages at a field of an object.
fn said(findings: &[Finding], level: Level, object: &str, field: &str) -> Vec<String> {
    let here = |finding: &&Finding| finding.level == level && finding.object == object && finding.field == field;
    findings.iter().filter(here).map(|finding| finding.message.to_string()).collect()
}

#[test]
fn a_weak_key_is_told() {
    let weak = (include_str!("check/weak.crt").to_owned(), include_str!("check/weak.key").to_owned());
    let findings = findings(&[secret("weak", &weak), ingress("weak.example", "weak")]);
    let said = said(&findings, Level::Warning, "Secret/default/weak", "stringData[tls.crt]");
    assert_eq!(said, ["an RSA key of 1024 bits; nginx and others with OpenSSL's defaults refuse less than 2048"]);
}

#[test]
fn a_chain_in_the_wrong_order_is_told() {
    let named = |name: &str| {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let root = CertifiedIssuer::self_signed(named("root"), KeyPair::generate().unwrap()).unwrap();
    let middle = CertifiedIssuer::signed_by(named("middle"), KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().signed_by(&key, &middle).unwrap();
    let check = |chain: &[String]| {
        let findings =
            findings(&[secret("chain", &(chain.concat(), key.serialize_pem())), ingress("a.example", "chain")]);
        said(&findings, Level::Warning, "Secret/default/chain", "stringData[tls.crt]")
    };
    let (leaf, middle, root) = (leaf.pem(), middle.pem(), root.pem());
    assert!(check(&[leaf.clone(), middle.clone(), root.clone()]).is_empty());
    let wrong = check(&[leaf.clone(), root.clone(), middle.clone()]);
    assert_eq!(wrong, ["certificate 2 of the bundle did not issue certificate 1; it is sent in this order"]);
}

#[test]
fn dates_are_judged_at_the_given_time() {
    let findings = findings(&[secret("old", &pair(&["a.example"], 2029)), ingress("a.example", "old")]);
    let said = said(&findings, Level::Warning, "Secret/default/old", "stringData[tls.crt]");
    assert_eq!(said, ["the certificate has expired; it is served all the same"]);
}

#[test]
fn what_an_ingress_controller_serves_instead_is_told() {
    let missing = findings(&[ingress("a.example", "gone")]);
    let at = "spec.tls[0].secretName";
    assert_eq!(
        said(&missing, Level::Warning, "Ingress/default/web", at),
        ["there is no Secret \"gone\" in namespace \"default\"; clients of a.example are served default"]
    );
    let (certificate, _) = pair(&["a.example"], 2040);
    let (_, other) = pair(&["a.example"], 2040);
    let mixed = findings(&[secret("mixed", &(certificate, other)), ingress("a.example", "mixed")]);
    assert_eq!(
        said(&mixed, Level::Warning, "Ingress/default/web", at),
        [
            "Secret \"mixed\" cannot be used: the private key does not belong to the certificate; clients of a.example are served default"
        ]
    );
    assert_eq!(said(&mixed, Level::Error, "Secret/default/mixed", "stringData[tls.key]").len(), 1);
    let other = findings(&[secret("other", &pair(&["b.example"], 2040)), ingress("*.example", "other")]);
    assert_eq!(
        said(&other, Level::Warning, "Ingress/default/web", "spec.tls[0].hosts[0]"),
        ["the certificate of Secret other does not cover \"*.example\"; clients of *.example are served default"]
    );
}

#[test]
fn a_listener_whose_secret_cannot_be_used_refuses() {
    let (certificate, _) = pair(&["a.example"], 2040);
    let bad = (certificate, "nonsense".to_owned());
    let findings = findings(&[secret("bad", &bad), gateway(&[("web", None, "bad")])]);
    assert_eq!(
        said(&findings, Level::Error, "Gateway/default/edge", "spec.listeners[0].tls.certificateRefs[0]"),
        ["Secret/default/bad cannot be used: not PEM: no BEGIN line; every connection of the listener is refused"]
    );
    assert_eq!(said(&findings, Level::Error, "Secret/default/bad", "stringData[tls.key]"), ["not PEM: no BEGIN line"]);
}

#[test]
fn certificates_that_cover_hosts_of_another_listener_are_told() {
    let overlapping = |findings: &[Finding]| {
        let all = findings.iter().filter(|finding| finding.message.starts_with("overlapping-tls"));
        all.map(|finding| (finding.field.to_string(), finding.message.to_string())).collect::<Vec<_>>()
    };
    let shared = findings(&[
        secret("shared", &pair(&["*.example"], 2040)),
        secret("own", &pair(&["own.example"], 2040)),
        gateway(&[("all", Some("*.example"), "shared"), ("one", Some("own.example"), "own")]),
    ]);
    assert_eq!(overlapping(&shared), [(
        "spec.listeners[0].tls.certificateRefs[0]".to_owned(),
        "overlapping-tls: the certificate also covers own.example, which is for listener one; a client that reuses a \
         connection for it is answered 421"
            .to_owned()
    )]);
    let apart = findings(&[
        secret("a", &pair(&["a.example"], 2040)),
        secret("b", &pair(&["b.example", "*.b.example"], 2040)),
        gateway(&[("a", Some("a.example"), "a"), ("b", Some("*.b.example"), "b")]),
    ]);
    assert!(overlapping(&apart).is_empty(), "{apart:?}");
    let catch_all = findings(&[
        secret("a", &pair(&["a.example", "b.example"], 2040)),
        secret("b", &pair(&["b.example"], 2040)),
        gateway(&[("a", Some("a.example"), "a"), ("rest", None, "b")]),
    ]);
    assert_eq!(overlapping(&catch_all).len(), 1, "b.example is for the listener without hostname");
}

#[test]
fn a_key_of_a_secret_could_be_the_name_of_a_file() {
    let secret = json!({
        "kind": "Secret", "metadata": { "name": "s", "namespace": "default" },
        "data": { "bad key": "", "../up": "", "good_key.1": "" }, "stringData": { "a/b": "" },
    });
    let found = findings(&[secret]);
    let fields: Vec<&str> = found.iter().filter(|f| f.level == Level::Error).map(|f| &*f.field).collect();
    assert_eq!(fields, ["data[../up]", "data[bad key]", "stringData[a/b]"]);
}
