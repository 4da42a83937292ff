//! Which certificate is served? A store of certificates, chosen by name, key and date, whose copies are snapshots.

mod builder;
mod change;

use crate::cert_name::CertName;
use crate::choice::{Alert, Choice, Chosen, Reason, Unmatched};
use crate::facts::{CertificateFacts, CommonName, KeyKind};
use crate::query::Query;
use crate::rank::Merit;
use crate::server_name::{ServerName, Sni};
use crate::table::{Key, NameTable, Pages, Value, Values, Way, key_of};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

pub use builder::CertStoreBuilder;

/// Certificates `C`, which are never looked into: an index, a path, an `Arc<CertifiedKey>`, whatever the embedder serves.
///
/// Look-up goes from the exact name to the one-label wildcard to the default; among several certificates of one step
/// validity, key and dates decide as in [`Rank`](crate::Rank). A look-up takes constant time in the number of names and
/// linear time in the number of certificates for the one name; it allocates nothing.
///
/// A clone is a snapshot: it costs a few reference counts, shares all memory, and stays as it is whatever becomes of the
/// other. [`add`](Self::add), [`replace`](Self::replace) and [`remove`](Self::remove) cost time for the names of the one
/// certificate, not for the others. So an embedder hands clones to whoever answers handshakes, changes its own, and
/// swaps; handshakes in flight keep the old one.
///
/// ```
/// use tls_sni::{CertStore, CertificateFacts, Query, Reason, Sni};
///
/// let mut builder = CertStore::builder();
/// let site = builder.add(CertificateFacts::for_names(["site.example", "*.site.example"]), "site.pem");
/// let house = builder.add(CertificateFacts::for_names(["house.example"]), "house.pem");
/// builder.serve_by_default(house);
/// let mut store = builder.build();
///
/// let sni = Sni::new(Some(b"www.Site.example"));
/// let choice = store.choose(&Query::new(&sni), 0);
/// assert_eq!(choice.outcome.map(|chosen| *chosen.certificate()), Ok("site.pem"));
/// assert_eq!(choice.reason, Reason::Wildcard);
///
/// let choice = store.choose(&Query::new(&Sni::Absent), 0);
/// assert_eq!(choice.outcome.map(|chosen| *chosen.certificate()), Ok("house.pem"));
/// assert_eq!(choice.reason.to_string(), "no server name was sent; default certificate");
///
/// let before = store.clone();
/// store.replace(site, CertificateFacts::for_names(["site.example"]), "renewed.pem");
/// let sni = Sni::new(Some(b"site.example"));
/// assert_eq!(store.choose(&Query::new(&sni), 0).outcome.map(|chosen| *chosen.certificate()), Ok("renewed.pem"));
/// assert_eq!(before.choose(&Query::new(&sni), 0).outcome.map(|chosen| *chosen.certificate()), Ok("site.pem"));
/// ```
#[derive(Clone)]
pub struct CertStore<C> {
    policy: Policy,
    certificates: Pages<Stored<C>>,
    /// How many certificates there are.
    len: usize,
    names: NameTable,
    challenges: NameTable,
    /// In the order of merit.
    defaults: Arc<[Candidate]>,
}

#[derive(Clone)]
pub(crate) struct Stored<C> {
    pub(crate) certificate: C,
    pub(crate) details: Details,
    under: Under,
    default: bool,
    ways: Ways,
}

/// What is kept of a certificate's facts; its names lie in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) key: KeyKind,
}

/// Whose names a certificate is filed under.
#[derive(Clone, Copy)]
enum Under {
    Own,
    Given,
    Challenge,
}

/// Where the names of a certificate are filed.
#[derive(Clone)]
enum Ways {
    One(Way),
    Any(Box<[Way]>),
}

impl Ways {
    fn as_slice(&self) -> &[Way] {
        match self {
            Ways::One(way) => core::slice::from_ref(way),
            Ways::Any(ways) => ways,
        }
    }
}

/// A certificate as the table of names holds it: its id, and what is read of it before all else, its kind of key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Candidate(Value);

impl Candidate {
    fn new(id: CertId, key: KeyKind) -> Candidate {
        let [a, b, c, d] = id.0.to_le_bytes();
        Candidate(Value([a, b, c, d, key as u8]))
    }

    #[inline]
    fn id(self) -> CertId {
        let Value([a, b, c, d, _]) = self.0;
        CertId(u32::from_le_bytes([a, b, c, d]))
    }

    #[inline]
    fn is_usable(self, query: &Query<'_>) -> bool {
        let Value([.., key]) = self.0;
        query.accepted_keys.contains_bit(key.into())
    }
}

/// What is found among candidates.
#[derive(Clone, Copy)]
enum Best {
    Certificate(CertId),
    /// There are candidates, but the client verifies the key of none.
    Unverifiable,
    Nothing,
}

/// A certificate of one store, by the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertId(u32);

impl CertId {
    /// The number of certificates that were added before.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How strict a store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Policy {
    /// Refuse with `unrecognized_name` whatever no certificate covers, instead of serving the default.
    pub strict: bool,
    /// What to do with server names that are no host names.
    pub unusable_names: UnusableNames,
    /// Whether common names count as names of a certificate.
    pub common_name: CommonName,
}

/// What to do with a server name that is no host name. A hello without a server name is [`Policy::strict`]'s affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnusableNames {
    /// As if none had been sent.
    #[default]
    Ignore,
    /// Refuse invalid names, ignore IP literals, as rustls does.
    RejectInvalid,
    /// Refuse invalid names and IP literals.
    RejectAll,
}

impl<C> CertStore<C> {
    /// An empty builder.
    pub fn builder() -> CertStoreBuilder<C> {
        CertStoreBuilder::new()
    }

    /// The certificate for a client at `now`, in seconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn choose(&self, query: &Query<'_>, now: i64) -> Choice<'_, C> {
        let Sni::Name(name) = query.sni else {
            return self.without_name(query, now);
        };
        if query.alpn.is_acme_challenge() {
            return self.challenge(name, query, now);
        }
        let exact = self.best(filed(self.names.exact(name)), query, now);
        if let Best::Certificate(id) = exact {
            return self.serve(id, Reason::Exact);
        }
        let wildcard = self.best(filed(self.names.wildcard(name)), query, now);
        if let Best::Certificate(id) = wildcard {
            return self.serve(id, Reason::Wildcard);
        }
        let unmatched = match (exact, wildcard) {
            (Best::Unverifiable, _) | (_, Best::Unverifiable) => Unmatched::Unverifiable,
            _ => Unmatched::UnknownName,
        };
        self.otherwise(query, now, unmatched)
    }

    #[cold]
    #[inline(never)]
    fn challenge(&self, name: &ServerName, query: &Query<'_>, now: i64) -> Choice<'_, C> {
        match self.best(filed(self.challenges.exact(name)), query, now) {
            Best::Certificate(id) => self.serve(id, Reason::Challenge),
            Best::Unverifiable => refuse(Unmatched::Unverifiable),
            Best::Nothing => refuse(Unmatched::UnknownName),
        }
    }

    #[cold]
    #[inline(never)]
    fn without_name(&self, query: &Query<'_>, now: i64) -> Choice<'_, C> {
        let unusable = self.policy.unusable_names;
        let (unmatched, rejected) = match query.sni {
            Sni::Absent => (Unmatched::NoName, false),
            Sni::Ip(_) => (Unmatched::IpLiteral, unusable == UnusableNames::RejectAll),
            Sni::Invalid(error) => (Unmatched::InvalidName(*error), unusable != UnusableNames::Ignore),
            Sni::Name(_) => (Unmatched::UnknownName, false),
        };
        if rejected || query.alpn.is_acme_challenge() {
            return refuse(unmatched);
        }
        self.otherwise(query, now, unmatched)
    }

    /// The default, unless the policy is strict.
    #[cold]
    #[inline(never)]
    fn otherwise(&self, query: &Query<'_>, now: i64, unmatched: Unmatched) -> Choice<'_, C> {
        if self.policy.strict {
            return refuse(unmatched);
        }
        match self.best(self.defaults.iter().copied(), query, now) {
            Best::Certificate(id) => self.serve(id, Reason::Default(unmatched)),
            Best::Unverifiable => refuse(Unmatched::Unverifiable),
            Best::Nothing => refuse(unmatched),
        }
    }

    /// Of candidates in the order of merit, the first that is valid, else the first, of those the client can verify: the
    /// one of least rank.
    #[inline(always)]
    fn best(&self, mut candidates: impl Iterator<Item = Candidate>, query: &Query<'_>, now: i64) -> Best {
        let Some(first) = candidates.next() else {
            return Best::Nothing;
        };
        match candidates.next() {
            // Dates decide only between several.
            None if first.is_usable(query) => Best::Certificate(first.id()),
            None => Best::Unverifiable,
            Some(second) => self.best_of_several([first, second].into_iter().chain(candidates), query, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn best_of_several(&self, candidates: impl Iterator<Item = Candidate>, query: &Query<'_>, now: i64) -> Best {
        let is_valid = |candidate: &Candidate| {
            let stored = self.certificates.get(candidate.id().index());
            stored.is_some_and(|stored| stored.details.not_before <= now && now <= stored.details.not_after)
        };
        let mut usable = candidates.filter(|candidate| candidate.is_usable(query));
        let Some(first) = usable.next() else {
            return Best::Unverifiable;
        };
        if is_valid(&first) {
            return Best::Certificate(first.id());
        }
        Best::Certificate(usable.find(is_valid).unwrap_or(first).id())
    }

    #[inline]
    fn serve(&self, id: CertId, reason: Reason) -> Choice<'_, C> {
        match self.certificates.place(id.index()) {
            Some(place) => Choice { outcome: Ok(Chosen { id, place }), reason },
            // Not reached: what is filed under a name is there.
            None => refuse(Unmatched::UnknownName),
        }
    }

    /// A certificate by its id, unless it was removed or is of another store.
    pub fn get(&self, id: CertId) -> Option<Chosen<'_, C>> {
        let place = self.certificates.place(id.index()).filter(|place| place.is_some())?;
        Some(Chosen { id, place })
    }

    /// The certificates in the order of adding.
    pub fn iter(&self) -> impl Iterator<Item = Chosen<'_, C>> {
        // Ids were counted when they were given.
        let all = self.certificates.places().enumerate().map(|(i, place)| Chosen { id: CertId(i as u32), place });
        all.filter(|chosen| chosen.place.is_some())
    }

    /// The number of certificates.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no certificate.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part of a certificate's rank that no query changes.
    fn merit(certificates: &Pages<Stored<C>>, id: CertId) -> Option<Merit> {
        Some(Merit::of(&certificates.get(id.index())?.details, id.index()))
    }
}

fn by_merit<C>(certificates: &Pages<Stored<C>>, mut ids: Vec<CertId>) -> Arc<[Candidate]> {
    ids.sort_by_key(|id| CertStore::merit(certificates, *id));
    let stored = ids.iter().filter_map(|id| Some((*id, certificates.get(id.index())?)));
    stored.map(|(id, stored)| Candidate::new(id, stored.details.key)).collect()
}

#[inline]
fn filed(numbers: Values<'_>) -> impl Iterator<Item = Candidate> {
    numbers.map(Candidate)
}

/// The keys of names, each once.
fn keys_of<'a>(names: impl Iterator<Item = &'a CertName>) -> Vec<Key> {
    let mut keys: Vec<Key> = names.filter_map(key_of).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn ways_of<'k>(table: &NameTable, keys: impl ExactSizeIterator<Item = &'k [u8]>) -> Ways {
    let mut ways = keys.map(|key| table.way(key));
    match (ways.len(), ways.next()) {
        (1, Some(way)) => Ways::One(way),
        (_, first) => Ways::Any(first.into_iter().chain(ways).collect()),
    }
}

fn refuse<'a, C>(why: Unmatched) -> Choice<'a, C> {
    let alert = match why {
        Unmatched::Unverifiable => Alert::HandshakeFailure,
        _ => Alert::UnrecognizedName,
    };
    Choice { outcome: Err(alert), reason: Reason::Refused(why) }
}

impl Details {
    pub(crate) fn of(facts: &CertificateFacts) -> Details {
        Details { not_before: facts.not_before, not_after: facts.not_after, key: facts.key }
    }
}

impl<C> fmt::Debug for CertStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore")
            .field("certificates", &self.len)
            .field("names", &self.names.len())
            .finish_non_exhaustive()
    }
}
