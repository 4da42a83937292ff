//! What is wrong with a Secret's certificate and key?

use crate::secret::{self, SecretError, TLS_CRT, TLS_KEY};
use crate::x509::KeyPair;
use core::fmt;
use std::format;
use std::string::ToString;
use std::vec::Vec;
use svc_model::Resource;
use svc_model::api::Secret;
use svc_model::check::{Finding, names};

/// The type of a Secret that must hold a certificate and a key.
const TLS_TYPE: &str = "kubernetes.io/tls";

/// What OpenSSL takes at the security level that distributions set (2: 112 bits).
const LEAST_RSA_BITS: usize = 2048;

pub(super) fn check(secret: &Secret, referenced: bool, now: i64, findings: &mut Vec<Finding>) {
    let object = secret.reference();
    let before = findings.len();
    let tls = secret.type_ == TLS_TYPE;
    for key in secret.data.keys().chain(secret.string_data.0.keys()) {
        if let Err(fault) = names::config_key(key) {
            findings.push(Finding::error(&object, secret::field(secret, key), fault.to_string()));
        }
    }
    for (key, value) in &secret.data {
        if value.bytes().is_none() && !secret.string_data.0.contains_key(key) {
            findings.push(Finding::error(&object, secret::field(secret, key), "not base64"));
        }
    }
    for key in [TLS_CRT, TLS_KEY] {
        let fault = match secret::value(secret, key) {
            Err(error @ SecretError::Absent { .. }) if tls => error,
            Err(error @ (SecretError::Absent { .. } | SecretError::Empty { .. })) if referenced => error,
            _ => continue,
        };
        findings.push(Finding::error(&object, fault.field(secret), format!("{fault}")));
    }
    if findings.len() > before || !(tls || referenced) {
        return;
    }
    match secret::load(secret) {
        // Here it can only be one that nobody uses, a placeholder to be filled later.
        Err(SecretError::Empty { .. }) => {}
        Err(error) => findings.push(Finding::error(&object, error.field(secret), format!("{error}"))),
        Ok(pair) => {
            for doubt in doubts(&pair, now) {
                findings.push(Finding::warning(&object, secret::field(secret, TLS_CRT), doubt.to_string()));
            }
        }
    }
}

/// What a certificate is served in spite of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    NotYetValid,
    Expired,
    NoDnsName,
    WeakRsa { bits: usize },
    RareCurve,
    Misplaced { position: usize },
}

fn doubts(pair: &KeyPair, now: i64) -> impl Iterator<Item = Doubt> {
    use crate::facts::KeyKind::EcdsaOther;
    let facts = &pair.facts;
    [
        (now < facts.not_before).then_some(Doubt::NotYetValid),
        (now > facts.not_after).then_some(Doubt::Expired),
        facts.names.is_empty().then_some(Doubt::NoDnsName),
        pair.rsa_bits.filter(|bits| *bits < LEAST_RSA_BITS).map(|bits| Doubt::WeakRsa { bits }),
        (facts.key == EcdsaOther).then_some(Doubt::RareCurve),
        pair.misplaced().map(|position| Doubt::Misplaced { position }),
    ]
    .into_iter()
    .flatten()
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::NotYetValid => f.write_str("the certificate is not yet valid; it is served all the same"),
            Doubt::Expired => f.write_str("the certificate has expired; it is served all the same"),
            Doubt::NoDnsName => f.write_str("the certificate has no dNSName; most clients ignore its common name"),
            Doubt::WeakRsa { bits } => {
                write!(
                    f,
                    "an RSA key of {bits} bits; nginx and others with OpenSSL's defaults refuse less than {LEAST_RSA_BITS}"
                )
            }
            Doubt::RareCurve => f.write_str("a key on a curve other than P-256, P-384 and P-521; browsers refuse it"),
            Doubt::Misplaced { position } => {
                let (own, before) = (position + 1, position);
                write!(
                    f,
                    "certificate {own} of the bundle did not issue certificate {before}; it is sent in this order"
                )
            }
        }
    }
}
