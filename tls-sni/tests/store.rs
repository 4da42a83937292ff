//! The certificate store against a naive evaluator, its policies, and its updates.

use proptest::prelude::*;
use std::collections::BTreeMap;
use tls_sni::{
    AcceptedKeys, Alert, Alpn, CertName, CertStore, CertificateFacts, CommonName, KeyKind, NameMap, NameMatch, Policy,
    Query, Rank, Reason, ServerName, Sni, Unmatched, UnusableNames,
};

fn facts(names: &[&str]) -> CertificateFacts {
    CertificateFacts::for_names(names.iter().copied())
}

fn sni(name: &str) -> Sni {
    Sni::new(Some(name.as_bytes()))
}

fn chosen<C: Copy>(store: &CertStore<C>, query: &Query<'_>) -> Result<C, Alert> {
    store.choose(query, 0).outcome.map(|chosen| *chosen.certificate())
}

const LABELS: [&str; 4] = ["a", "b", "*", "c-d"];
const KEYS: [KeyKind; 4] = [KeyKind::EcdsaP256, KeyKind::Rsa, KeyKind::Ed25519, KeyKind::Other];

fn a_name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(LABELS.as_slice()), 1..4).prop_map(|labels| labels.join("."))
}

fn a_certificate() -> impl Strategy<Value = (CertificateFacts, bool)> {
    let names = prop::collection::vec(a_name(), 0..3);
    let dates = (-2i64..2, -2i64..2);
    (names, dates, prop::sample::select(KEYS.as_slice()), prop::option::of(a_name()), prop::bool::weighted(0.2))
        .prop_map(|(names, (not_before, not_after), key, common_name, default)| {
            let names = names.iter().map(|name| CertName::new(name.as_bytes())).collect();
            let common_name = common_name.map(|name| CertName::new(name.as_bytes()));
            (CertificateFacts { names, common_name, not_before, not_after, key }, default)
        })
}

fn accepted() -> impl Strategy<Value = AcceptedKeys> {
    use tls_sni::{ProtocolVersion, SignatureScheme};
    let schemes = prop::collection::vec(prop::sample::select(vec![0x0403, 0x0804, 0x0807]), 0..3);
    prop::option::of(schemes).prop_map(|schemes| {
        schemes.map_or(AcceptedKeys::ANY, |schemes| {
            AcceptedKeys::new(schemes.into_iter().map(SignatureScheme), [ProtocolVersion::TLS13])
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// The certificate of least rank among those that cover the name; else among the defaults.
    #[test]
    fn a_store_chooses_what_a_scan_by_rank_chooses(
        certificates in prop::collection::vec(a_certificate(), 0..8),
        name in a_name(),
        keys in accepted(),
        now in -3i64..3,
        strict: bool,
        seed: u64,
        common_name in prop::sample::select(vec![CommonName::Never, CommonName::WithoutSan, CommonName::Always]),
    ) {
        let mut builder = CertStore::builder();
        for (i, (facts, default)) in certificates.iter().enumerate() {
            let id = builder.add(facts.clone(), i);
            if *default {
                builder.serve_by_default(id);
            }
        }
        let mut policy = Policy::default();
        policy.strict = strict;
        policy.common_name = common_name;
        builder.policy(policy).seed(seed);
        let store = builder.build();
        let sni = sni(&name);
        let mut query = Query::new(&sni);
        query.accepted_keys = keys;

        let ranked = |wanted: &dyn Fn(&CertificateFacts, bool) -> bool| {
            let of = |(i, (facts, default)): (usize, &(CertificateFacts, bool))| {
                wanted(facts, *default).then(|| Rank::of(facts, i, &query, common_name, now))?
            };
            certificates.iter().enumerate().filter_map(of).min()
        };
        let covers = |facts: &CertificateFacts| sni.name().is_some_and(|name| facts.covers(name, common_name).is_some());
        let by_name = ranked(&|facts, _| covers(facts));
        let default = if strict { None } else { ranked(&|facts, default| default && !covers(facts)) };
        let expected = by_name.or(default).map(|rank| rank.position());

        let choice = store.choose(&query, now);
        prop_assert_eq!(choice.outcome.as_ref().ok().map(|chosen| *chosen.certificate()), expected);
        match choice.reason {
            Reason::Exact | Reason::Wildcard => prop_assert!(by_name.is_some()),
            Reason::Default(_) => prop_assert!(by_name.is_none()),
            Reason::Refused(_) => prop_assert!(choice.outcome.is_err()),
            other => prop_assert!(false, "{other}"),
        }
        if let Err(alert) = choice.outcome {
            let covered = certificates.iter().any(|(facts, _)| covers(facts));
            let defaults = !strict && certificates.iter().any(|(_, default)| *default);
            let expected = if covered || defaults { Alert::HandshakeFailure } else { Alert::UnrecognizedName };
            prop_assert_eq!(alert, expected);
        }
    }

    #[test]
    fn a_name_map_finds_what_a_scan_finds(names in prop::collection::vec(a_name(), 0..40), asked in a_name(), seed: u64) {
        let map = NameMap::new(seed, names.iter().enumerate().map(|(i, name)| (CertName::new(name.as_bytes()), i)));
        let Ok(asked) = asked.parse::<ServerName>() else { return Ok(()) };
        let of = |kind| names.iter().position(|name| CertName::new(name.as_bytes()).covers(&asked) == Some(kind));
        let exact = of(NameMatch::Exact).map(|i| (NameMatch::Exact, i));
        let expected = exact.or_else(|| Some((NameMatch::Wildcard, of(NameMatch::Wildcard)?)));
        prop_assert_eq!(map.get(&asked).map(|(kind, i)| (kind, *i)), expected);
    }

    /// After any changes, a store answers as one built from what is left, and its older clones as before.
    #[test]
    fn changing_is_building_anew(
        start in prop::collection::vec(a_certificate(), 0..6),
        changes in prop::collection::vec((0..4, a_certificate(), any::<prop::sample::Index>(), a_name()), 0..12),
        names in prop::collection::vec(a_name(), 8),
        now in -3i64..3,
        keys in accepted(),
    ) {
        let mut kept: Vec<Option<Kept>> = Vec::new();
        let mut builder = CertStore::builder();
        for (i, (facts, default)) in start.into_iter().enumerate() {
            let id = builder.add(facts.clone(), i);
            if default {
                builder.serve_by_default(id);
            }
            kept.push(Some(Kept { facts, under: None, default, value: i }));
        }
        let mut store = builder.build();
        let mut snapshots = vec![(store.clone(), kept.clone())];
        for (step, (what, (facts, default), at, name)) in changes.into_iter().enumerate() {
            let value = 100 + step;
            let at = at.index(kept.len().max(1));
            let id = |store: &CertStore<usize>| store.iter().map(|chosen| chosen.id).find(|id| id.index() == at);
            match (what, id(&store)) {
                (0, Some(id)) => {
                    let old = kept[at].take().unwrap();
                    prop_assert_eq!(store.remove(id), Some(old.value));
                    prop_assert!(store.get(id).is_none() && store.remove(id).is_none());
                }
                (1, Some(id)) => {
                    let old = kept[at].as_mut().unwrap();
                    prop_assert_eq!(store.replace(id, facts.clone(), value), Some(old.value));
                    (old.facts, old.value) = (facts, value);
                }
                (2, _) => {
                    let under = vec![CertName::new(name.as_bytes())];
                    store.add_under(under.clone(), facts.clone(), value);
                    kept.push(Some(Kept { facts, under: Some(under), default: false, value }));
                }
                _ => {
                    let id = store.add(facts.clone(), value);
                    if default {
                        store.serve_by_default(id);
                    }
                    kept.push(Some(Kept { facts, under: None, default, value }));
                }
            }
            snapshots.push((store.clone(), kept.clone()));
        }
        for (store, kept) in snapshots {
            let anew = built(&kept);
            prop_assert_eq!(store.len(), anew.len());
            for name in &names {
                let sni = sni(name);
                let mut query = Query::new(&sni);
                query.accepted_keys = keys;
                let (a, b) = (store.choose(&query, now), anew.choose(&query, now));
                prop_assert_eq!(&a.reason, &b.reason);
                prop_assert_eq!(a.outcome.map(|c| *c.certificate()), b.outcome.map(|c| *c.certificate()));
            }
        }
    }
}

#[derive(Clone)]
struct Kept {
    facts: CertificateFacts,
    under: Option<Vec<CertName>>,
    default: bool,
    value: usize,
}

fn built(kept: &[Option<Kept>]) -> CertStore<usize> {
    let mut builder = CertStore::builder();
    for Kept { facts, under, default, value } in kept.iter().flatten() {
        let id = match under {
            Some(names) => builder.add_under(names.clone(), facts.clone(), *value),
            None => builder.add(facts.clone(), *value),
        };
        if *default {
            builder.serve_by_default(id);
        }
    }
    builder.build()
}

/// A store of `n` certificates of one name each, as wide as an ingress controller's.
fn wide(n: usize) -> CertStore<u32> {
    let mut builder = CertStore::builder();
    for i in 0..n {
        let name = if i % 20 == 19 { format!("*.w{i}.example.org") } else { format!("h{i}.z{}.example.com", i % 97) };
        builder.add(facts(&[&name]), i as u32);
    }
    builder.build()
}

#[test]
fn a_change_costs_what_its_names_cost_and_not_what_the_store_holds() {
    let cost = |n: usize| {
        let mut store = wide(n);
        let snapshot = store.clone(); // so that nothing can be changed in place
        let id = store.iter().nth(n / 2).unwrap().id;
        let renewed = facts(&["renewed.example", "*.renewed.example"]);
        let cost = allocation_counter::measure(|| {
            store.replace(id, renewed, 7).unwrap();
        });
        assert_eq!(chosen(&store, &Query::new(&sni("a.renewed.example"))), Ok(7));
        assert_eq!(chosen(&snapshot, &Query::new(&sni("a.renewed.example"))), Err(Alert::UnrecognizedName));
        cost
    };
    // The way to each of three names and to the certificate; a copy of everything would be 8 MB.
    let (small, large) = (cost(20_000), cost(100_000));
    assert!(large.count_total <= small.count_total + 4, "{} and {}", small.count_total, large.count_total);
    assert!(large.bytes_total < 40 * 1024, "{}", large.bytes_total);
    assert!(large.bytes_total < small.bytes_total + 8 * 1024, "{} and {}", small.bytes_total, large.bytes_total);
    let store = wide(10);
    assert_eq!(allocation_counter::measure(|| drop(store.clone())).count_total, 0, "a snapshot shares all");
}

#[test]
fn a_name_takes_less_than_a_hundred_bytes() {
    let n = 100_000;
    let mut store = None;
    let held = allocation_counter::measure(|| store = Some(wide(n)));
    let a_name = held.bytes_current / n as i64;
    assert!(a_name <= 100, "{a_name} bytes a name, of which 4 are the caller's");
    assert_eq!(store.unwrap().len(), n);
}

#[test]
fn ten_thousand_certificates_for_one_name_are_filed_in_one_go() {
    let mut builder = CertStore::builder();
    for i in 0..10_000i64 {
        builder.add(CertificateFacts { not_after: i, ..facts(&["a.example"]) }, i);
    }
    let mut store = builder.build();
    assert_eq!(chosen(&store, &Query::new(&sni("a.example"))), Ok(9_999));
    let last = store.iter().last().unwrap().id;
    assert_eq!(store.remove(last), Some(9_999));
    assert_eq!(chosen(&store, &Query::new(&sni("a.example"))), Ok(9_998));
}

#[test]
fn strict_refuses_what_no_certificate_covers() {
    let mut builder = CertStore::builder();
    let id = builder.add(facts(&["a.example"]), 1);
    builder.serve_by_default(id);
    assert_eq!(chosen(&builder.clone().build(), &Query::new(&Sni::Absent)), Ok(1));
    let mut policy = Policy::default();
    policy.strict = true;
    builder.policy(policy);
    let store = builder.build();
    for name in ["b.example", "192.0.2.1", "a..b", ""] {
        assert_eq!(chosen(&store, &Query::new(&sni(name))), Err(Alert::UnrecognizedName), "{name:?}");
    }
    assert_eq!(chosen(&store, &Query::new(&sni("A.example."))), Ok(1));
}

#[test]
fn unusable_names_reach_the_default_unless_they_are_rejected() {
    let answers = |unusable_names| {
        let mut builder = CertStore::builder();
        let id = builder.add(facts(&["*.example"]), 1);
        builder.serve_by_default(id);
        let mut policy = Policy::default();
        policy.unusable_names = unusable_names;
        builder.policy(policy);
        let store = builder.build();
        ["", "192.0.2.1", "*.example"].map(|name| chosen(&store, &Query::new(&sni(name))).is_ok())
    };
    assert_eq!(answers(UnusableNames::Ignore), [true, true, true]);
    assert_eq!(answers(UnusableNames::RejectInvalid), [true, true, false]);
    assert_eq!(answers(UnusableNames::RejectAll), [true, false, false]);
}

#[test]
fn a_challenge_is_answered_for_its_very_name_and_for_nothing_else() {
    let mut builder = CertStore::builder();
    let site = builder.add(facts(&["a.example", "*.example"]), "site");
    builder.serve_by_default(site);
    builder.add_challenge(&"a.example".parse().unwrap(), facts(&["a.example"]), "challenge");
    let store = builder.build();
    let ask = |name: &str, alpn: &[&[u8]]| {
        let sni = sni(name);
        let mut query = Query::new(&sni);
        query.alpn = Alpn::new(alpn);
        chosen(&store, &query)
    };
    assert_eq!(ask("a.example", &[b"acme-tls/1"]), Ok("challenge"));
    assert_eq!(ask("b.example", &[b"acme-tls/1"]), Err(Alert::UnrecognizedName), "neither wildcard nor default");
    assert_eq!(ask("a.example", &[b"h2"]), Ok("site"));
    assert_eq!(ask("a.example", &[b"h2", b"acme-tls/1"]), Ok("site"), "a challenge offers nothing else");
}

#[test]
fn a_certificate_may_stand_under_other_names_than_its_own() {
    let mut builder = CertStore::builder();
    builder.add_under(["b.example".parse().unwrap()], facts(&["a.example"]), 1);
    let store = builder.build();
    assert_eq!(chosen(&store, &Query::new(&sni("b.example"))), Ok(1));
    assert_eq!(chosen(&store, &Query::new(&sni("a.example"))), Err(Alert::UnrecognizedName));
}

#[test]
fn an_expired_certificate_serves_when_nothing_better_exists() {
    let mut builder = CertStore::builder();
    let expired = CertificateFacts { not_after: -1, ..facts(&["a.example"]) };
    builder.add(expired.clone(), "expired");
    assert_eq!(chosen(&builder.clone().build(), &Query::new(&sni("a.example"))), Ok("expired"));
    builder.add(CertificateFacts { key: KeyKind::Rsa, ..facts(&["a.example"]) }, "valid");
    assert_eq!(chosen(&builder.build(), &Query::new(&sni("a.example"))), Ok("valid"));
}

#[test]
fn a_client_that_verifies_no_key_of_the_name_is_told_so() {
    let mut builder = CertStore::builder();
    builder.add(facts(&["a.example"]), 1);
    let store = builder.build();
    let sni = sni("a.example");
    let mut query = Query::new(&sni);
    query.accepted_keys = AcceptedKeys::new([], []);
    let choice = store.choose(&query, 0);
    assert_eq!(choice.outcome.unwrap_err(), Alert::HandshakeFailure);
    assert_eq!(choice.reason, Reason::Refused(Unmatched::Unverifiable));
}

#[test]
fn choosing_allocates_nothing() {
    let mut builder = CertStore::builder();
    let names: BTreeMap<usize, String> = (0..1000).map(|i| (i, format!("h{i}.z{}.example", i % 7))).collect();
    for (i, name) in &names {
        builder.add(facts(&[name, "*.w.example"]), *i);
    }
    let store = builder.build();
    for name in ["h7.z0.example", "H7.Z0.EXAMPLE.", "x.w.example", "nobody.example", "192.0.2.1"] {
        let count = allocation_counter::measure(|| {
            let sni = Sni::new(Some(name.as_bytes()));
            std::hint::black_box(store.choose(&Query::new(&sni), 0).outcome.is_ok());
        });
        assert_eq!(count.count_total, 0, "{name}");
    }
}

#[test]
fn a_choice_can_be_kept_and_compared() {
    let mut builder = CertStore::builder();
    builder.add(CertificateFacts::for_names(["a.example"]), "a.pem");
    let store = builder.build();
    let (a, b) = (Sni::new(Some(b"a.example")), Sni::new(Some(b"b.example")));
    let kept = store.choose(&Query::new(&a), 0).clone();
    assert_eq!(store.choose(&Query::new(&a), 0), kept);
    assert_ne!(store.choose(&Query::new(&b), 0), kept);
}
