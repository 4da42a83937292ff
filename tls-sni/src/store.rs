//! Which certificate is served? An immutable store of certificates, chosen by name, key and date.

use crate::cert_name::CertName;
use crate::choice::{Alert, Choice, Chosen, Reason, Unmatched};
use crate::facts::{CertificateFacts, CommonName, KeyKind};
use crate::name_map::NameMap;
use crate::query::Query;
use crate::rank::Merit;
use crate::server_name::{ServerName, Sni};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// An immutable snapshot of certificates `C`, which are never looked into: an index, a path, an
/// `Arc<CertifiedKey>`, whatever the embedder serves.
///
/// Look-up goes from the exact name to the one-label wildcard to the default; among several certificates of one step
/// validity, key and dates decide as in [`Rank`](crate::Rank). A look-up takes constant time in the number of names and
/// linear time in the number of certificates for the one name; it allocates nothing.
///
/// An update is a new snapshot: [`to_builder`](Self::to_builder) or [`replace`](Self::replace), in time linear in all
/// names. Handshakes in flight keep the old one; swap the pointer with whatever the embedder swaps pointers.
///
/// ```
/// use tls_sni::{CertStore, CertificateFacts, Query, Reason, Sni};
///
/// let mut builder = CertStore::builder();
/// let site = builder.add(CertificateFacts::for_names(["site.example", "*.site.example"]), "site.pem");
/// let house = builder.add(CertificateFacts::for_names(["house.example"]), "house.pem");
/// builder.serve_by_default(house);
/// let store = builder.build();
///
/// let sni = Sni::new(Some(b"www.Site.example"));
/// let choice = store.choose(&Query::new(&sni), 0);
/// assert_eq!(choice.outcome.map(|chosen| *chosen.certificate), Ok("site.pem"));
/// assert_eq!(choice.reason, Reason::Wildcard);
///
/// let choice = store.choose(&Query::new(&Sni::Absent), 0);
/// assert_eq!(choice.outcome.map(|chosen| *chosen.certificate), Ok("house.pem"));
/// assert_eq!(choice.reason.to_string(), "no server name was sent; default certificate");
/// # let _ = site;
/// ```
#[derive(Clone)]
pub struct CertStore<C> {
    settings: Settings,
    certificates: Vec<Stored<C>>,
    names: NameMap<Candidates>,
    challenges: NameMap<Candidates>,
    candidates: Vec<Candidate>,
    defaults: Candidates,
}

#[derive(Clone, Copy, Default)]
struct Settings {
    policy: Policy,
    seed: u64,
}

#[derive(Clone)]
struct Stored<C> {
    facts: CertificateFacts,
    certificate: C,
    place: Place,
    default: bool,
}

#[derive(Clone)]
enum Place {
    /// Under the certificate's own names.
    Own,
    Under(Vec<CertName>),
    Challenge(CertName),
}

/// The certificates for one name. Most names have one, which is looked at without a further step.
#[derive(Clone, Copy)]
enum Candidates {
    One {
        id: CertId,
        key: KeyKind,
    },
    /// A range of [`CertStore::candidates`], the one of the best merit first; perhaps none.
    Several {
        start: u32,
        len: u32,
    },
}

/// What a choice among several certificates reads of each.
#[derive(Clone, Copy)]
struct Candidate {
    id: CertId,
    key: KeyKind,
    not_before: i64,
    not_after: i64,
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
        CertStoreBuilder { settings: Settings::default(), certificates: Vec::new() }
    }

    /// The certificate for a client at `now`, in seconds since 1970-01-01T00:00:00Z.
    pub fn choose(&self, query: &Query<'_>, now: i64) -> Choice<'_, C> {
        let unmatched = match self.by_name(query, now) {
            Ok((id, reason)) => return self.serve(id, reason),
            Err(unmatched) => unmatched,
        };
        let policy = self.settings.policy;
        let rejected = match policy.unusable_names {
            UnusableNames::Ignore => false,
            UnusableNames::RejectInvalid => matches!(query.sni, Sni::Invalid(_)),
            UnusableNames::RejectAll => matches!(query.sni, Sni::Invalid(_) | Sni::Ip(_)),
        };
        if policy.strict
            || rejected
            || query.alpn.is_acme_challenge()
            || matches!(self.defaults, Candidates::Several { len: 0, .. })
        {
            return refuse(unmatched);
        }
        match self.best(self.defaults, query, now) {
            Some(id) => self.serve(id, Reason::Default(unmatched)),
            None => refuse(Unmatched::Unverifiable),
        }
    }

    fn by_name(&self, query: &Query<'_>, now: i64) -> Result<(CertId, Reason), Unmatched> {
        let name = match query.sni {
            Sni::Name(name) => name,
            Sni::Absent => return Err(Unmatched::NoName),
            Sni::Ip(_) => return Err(Unmatched::IpLiteral),
            Sni::Invalid(error) => return Err(Unmatched::InvalidName(*error)),
        };
        let mut unmatched = Unmatched::UnknownName;
        let mut best = |candidates: Option<&Candidates>| {
            let id = self.best(*candidates?, query, now);
            if id.is_none() {
                unmatched = Unmatched::Unverifiable;
            }
            id
        };
        if query.alpn.is_acme_challenge() {
            if let Some(id) = best(self.challenges.exact(name)) {
                return Ok((id, Reason::Challenge));
            }
        } else if let Some(id) = best(self.names.exact(name)) {
            return Ok((id, Reason::Exact));
        } else if let Some(id) = best(self.names.wildcard(name)) {
            return Ok((id, Reason::Wildcard));
        }
        Err(unmatched)
    }

    /// A snapshot in which one certificate is another, for instance renewed; `None` if `id` is not of this store.
    ///
    /// Costs time linear in all names, and a clone of every `C`.
    #[must_use]
    pub fn replace(&self, id: CertId, facts: CertificateFacts, certificate: C) -> Option<CertStore<C>>
    where
        C: Clone,
    {
        let mut builder = self.to_builder();
        let stored = builder.certificates.get_mut(id.index())?;
        stored.facts = facts;
        stored.certificate = certificate;
        Some(builder.build())
    }

    /// A builder that holds all of this store.
    pub fn to_builder(&self) -> CertStoreBuilder<C>
    where
        C: Clone,
    {
        CertStoreBuilder { settings: self.settings, certificates: self.certificates.clone() }
    }

    /// The certificates in the order of adding.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Chosen<'_, C>> {
        self.certificates.iter().enumerate().map(|(i, stored)| Chosen {
            id: CertId(i as u32), // counted by the builder
            facts: &stored.facts,
            certificate: &stored.certificate,
        })
    }

    /// The number of certificates.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Whether there is no certificate.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    fn serve(&self, id: CertId, reason: Reason) -> Choice<'_, C> {
        let Stored { facts, certificate, .. } = &self.certificates[id.index()];
        Choice { outcome: Ok(Chosen { id, facts, certificate }), reason }
    }

    /// The first that is valid, else the first, of those the client can verify. As they lie in the order of merit,
    /// this is the one of least rank.
    fn best(&self, candidates: Candidates, query: &Query<'_>, now: i64) -> Option<CertId> {
        let (start, len) = match candidates {
            Candidates::One { id, key } => return query.accepted_keys.contains(key).then_some(id),
            Candidates::Several { start, len } => (start as usize, len as usize),
        };
        let candidates = &self.candidates[start..][..len];
        let mut usable = candidates.iter().filter(|candidate| query.accepted_keys.contains(candidate.key));
        let first = usable.next()?;
        let valid = |candidate: &&Candidate| candidate.not_before <= now && now <= candidate.not_after;
        if valid(&first) {
            return Some(first.id);
        }
        Some(usable.find(valid).unwrap_or(first).id)
    }
}

fn refuse<'a, C>(why: Unmatched) -> Choice<'a, C> {
    let alert = match why {
        Unmatched::Unverifiable => Alert::HandshakeFailure,
        _ => Alert::UnrecognizedName,
    };
    Choice { outcome: Err(alert), reason: Reason::Refused(why) }
}

impl<C> fmt::Debug for CertStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore")
            .field("certificates", &self.certificates.len())
            .field("names", &self.names.len())
            .finish_non_exhaustive()
    }
}

/// Collects certificates for a [`CertStore`].
#[derive(Clone)]
pub struct CertStoreBuilder<C> {
    settings: Settings,
    certificates: Vec<Stored<C>>,
}

impl<C> CertStoreBuilder<C> {
    /// Adds a certificate under its own names.
    pub fn add(&mut self, facts: CertificateFacts, certificate: C) -> CertId {
        self.push(facts, certificate, Place::Own)
    }

    /// Adds a certificate under these names, whatever names it has itself.
    pub fn add_under(
        &mut self,
        names: impl IntoIterator<Item = CertName>,
        facts: CertificateFacts,
        certificate: C,
    ) -> CertId {
        self.push(facts, certificate, Place::Under(names.into_iter().collect()))
    }

    /// Adds the answer to a TLS-ALPN-01 challenge (RFC 8737). It serves exactly this name, and only clients that offer
    /// `acme-tls/1` alone; those are served nothing else.
    pub fn add_challenge(&mut self, name: &ServerName, facts: CertificateFacts, certificate: C) -> CertId {
        self.push(facts, certificate, Place::Challenge(name.into()))
    }

    /// Makes a certificate a default. There may be several, for different kinds of key. An id of another store has no
    /// effect.
    pub fn serve_by_default(&mut self, id: CertId) -> &mut Self {
        if let Some(stored) = self.certificates.get_mut(id.index()) {
            stored.default = true;
        }
        self
    }

    /// Sets the policy; see [`Policy`] for the defaults.
    pub fn policy(&mut self, policy: Policy) -> &mut Self {
        self.settings.policy = policy;
        self
    }

    /// Seeds the hash of names, as [`NameMap::new`] explains.
    pub fn seed(&mut self, seed: u64) -> &mut Self {
        self.settings.seed = seed;
        self
    }

    /// Compiles the store: n log n in the number of names.
    pub fn build(self) -> CertStore<C> {
        let CertStoreBuilder { settings, certificates } = self;
        let mut named: BTreeMap<CertName, Vec<usize>> = BTreeMap::new();
        let mut challenged: BTreeMap<CertName, Vec<usize>> = BTreeMap::new();
        let mut default = Vec::new();
        for (i, stored) in certificates.iter().enumerate() {
            if stored.default {
                default.push(i);
            }
            match &stored.place {
                Place::Own => {
                    for name in stored.facts.effective_names(settings.policy.common_name) {
                        note(&mut named, name, i);
                    }
                }
                Place::Under(names) => {
                    for name in names {
                        note(&mut named, name, i);
                    }
                }
                Place::Challenge(name) => note(&mut challenged, name, i),
            }
        }
        let mut candidates = Vec::new();
        let mut lay = |mut ids: Vec<usize>| {
            ids.sort_by_key(|&i| Merit::of(&certificates[i].facts, i));
            if let [i] = ids[..] {
                return Candidates::One { id: CertId(i as u32), key: certificates[i].facts.key };
            }
            let start = candidates.len() as u32; // of 24 bytes each: 2^32 of them do not fit a machine
            candidates.extend(ids.iter().map(|&i| Candidate {
                id: CertId(i as u32), // fewer than 2^32 certificates fit a machine
                key: certificates[i].facts.key,
                not_before: certificates[i].facts.not_before,
                not_after: certificates[i].facts.not_after,
            }));
            Candidates::Several { start, len: ids.len() as u32 }
        };
        let names = NameMap::new(settings.seed, named.into_iter().map(|(name, ids)| (name, lay(ids))));
        let challenges = NameMap::new(settings.seed, challenged.into_iter().map(|(name, ids)| (name, lay(ids))));
        let defaults = lay(default);
        CertStore { settings, certificates, names, challenges, candidates, defaults }
    }

    fn push(&mut self, facts: CertificateFacts, certificate: C, place: Place) -> CertId {
        let id = CertId(self.certificates.len() as u32); // fewer than 2^32 certificates fit a machine
        self.certificates.push(Stored { facts, certificate, place, default: false });
        id
    }
}

/// Notes a certificate under a name, once even if it bears the name twice.
fn note(names: &mut BTreeMap<CertName, Vec<usize>>, name: &CertName, certificate: usize) {
    if name.is_inert() {
        return;
    }
    let ids = match names.get_mut(name) {
        Some(ids) => ids,
        None => names.entry(name.clone()).or_default(),
    };
    if ids.last() != Some(&certificate) {
        ids.push(certificate);
    }
}

impl<C> fmt::Debug for CertStoreBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStoreBuilder").field("certificates", &self.certificates.len()).finish_non_exhaustive()
    }
}
