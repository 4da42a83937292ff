//! Which of several certificates serves a client best? The order of preference as data.

use crate::cert_name::NameMatch;
use crate::facts::{CertificateFacts, CommonName, KeyFamily};
use crate::query::Query;
use crate::store::Details;
use core::cmp::Reverse;

/// How well a certificate serves a query; the lesser the better. The first difference decides, in the order of the
/// fields: an exact name before a wildcard before none, valid before not valid, ECDSA before EdDSA before RSA, the
/// later end, the later start, the earlier position.
///
/// A certificate that is not valid by date still has a rank: it serves when nothing better exists, and the client
/// decides. One whose key the client cannot verify has none.
///
/// [`CertStore`](crate::CertStore) chooses by this order. Use it alone for a fixed set of certificates, such as a
/// listener's:
///
/// ```
/// use tls_sni::{CertificateFacts, CommonName, Query, Rank, Sni};
///
/// let listener = [CertificateFacts::for_names(["*.a.example"]), CertificateFacts::for_names(["b.a.example"])];
/// let sni = Sni::new(Some(b"b.a.example"));
/// let query = Query::new(&sni);
/// let best = (0..listener.len())
///     .filter_map(|i| Rank::of(&listener[i], i, &query, CommonName::Never, 0))
///     .min();
/// assert_eq!(best.unwrap().position(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    name: Coverage,
    invalid_now: bool,
    merit: Merit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coverage {
    Exact,
    Wildcard,
    None,
}

/// The part of a rank that no query changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Merit {
    key: KeyFamily,
    not_after: Reverse<i64>,
    not_before: Reverse<i64>,
    position: usize,
}

impl Merit {
    pub(crate) fn of(details: &Details, position: usize) -> Merit {
        Merit {
            key: details.key.family(),
            not_after: Reverse(details.not_after),
            not_before: Reverse(details.not_before),
            position,
        }
    }
}

impl Rank {
    /// The rank of the certificate listed at `position`, or `None` if the client cannot verify its key. `now` counts
    /// seconds since 1970-01-01T00:00:00Z.
    pub fn of(
        facts: &CertificateFacts,
        position: usize,
        query: &Query<'_>,
        common_name: CommonName,
        now: i64,
    ) -> Option<Rank> {
        query.accepted_keys.contains(facts.key).then(|| Rank {
            name: match query.sni.name().and_then(|name| facts.covers(name, common_name)) {
                Some(NameMatch::Exact) => Coverage::Exact,
                Some(NameMatch::Wildcard) => Coverage::Wildcard,
                None => Coverage::None,
            },
            invalid_now: !facts.valid_at(now),
            merit: Merit::of(&Details::of(facts), position),
        })
    }

    /// Where the certificate was listed.
    pub fn position(&self) -> usize {
        self.merit.position
    }

    /// Whether the certificate covers the name that was asked for.
    pub fn covers_name(&self) -> bool {
        self.name != Coverage::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AcceptedKeys, KeyKind, Sni};

    fn best(query: &Query<'_>, candidates: &[CertificateFacts]) -> Option<usize> {
        let ranks = candidates.iter().enumerate().filter_map(|(i, f)| Rank::of(f, i, query, CommonName::Never, 100));
        ranks.min().map(|rank| rank.position())
    }

    #[test]
    fn the_first_difference_in_the_documented_order_decides() {
        let sni = Sni::new(Some(b"a.example"));
        let query = Query::new(&sni);
        let base = CertificateFacts { not_before: 0, not_after: 1000, ..CertificateFacts::for_names(["a.example"]) };
        // Each next one is better than all before it.
        let mut candidates = alloc::vec![
            CertificateFacts { names: alloc::vec![], ..base.clone() },
            CertificateFacts { names: alloc::vec!["*.example".parse().unwrap()], ..base.clone() },
            CertificateFacts { not_after: 99, ..base.clone() },
            CertificateFacts { key: KeyKind::Rsa, not_after: 2000, ..base.clone() },
            CertificateFacts { key: KeyKind::Ed25519, not_after: 2000, ..base.clone() },
            CertificateFacts { key: KeyKind::EcdsaP521, not_after: 500, ..base.clone() },
            CertificateFacts { not_before: -5, ..base.clone() },
            base.clone(),
        ];
        while candidates.len() > 1 {
            assert_eq!(best(&query, &candidates), Some(candidates.len() - 1));
            candidates.pop();
        }
        assert_eq!(best(&query, &[base.clone(), base]), Some(0), "of equals the first listed");
    }

    #[test]
    fn a_key_the_client_cannot_verify_has_no_rank() {
        let sni = Sni::Absent;
        let query = Query { accepted_keys: AcceptedKeys::new([], []), ..Query::new(&sni) };
        assert_eq!(best(&query, &[CertificateFacts::for_names(["a.example"])]), None);
    }
}
