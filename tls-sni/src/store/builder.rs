//! Many certificates at once: what is filed together is sorted once.

use super::{CertId, CertStore, Details, Policy, Stored, Under, by_merit, keys_of, ways_of};
use crate::cert_name::CertName;
use crate::facts::{CertificateFacts, CommonName};
use crate::server_name::ServerName;
use crate::table::{Key, NameTable, Pages};
use alloc::vec::Vec;
use core::fmt;

/// Collects certificates for a [`CertStore`], which files many at once faster than one after another.
#[derive(Clone)]
pub struct CertStoreBuilder<C> {
    policy: Policy,
    seed: u64,
    pending: Vec<Pending<C>>,
}

#[derive(Clone)]
struct Pending<C> {
    facts: CertificateFacts,
    certificate: C,
    place: Place,
    default: bool,
}

#[derive(Clone)]
pub(super) enum Place {
    /// Under the certificate's own names.
    Own,
    Under(Vec<CertName>),
    Challenge(CertName),
}

impl Place {
    pub(super) fn keys(&self, facts: &CertificateFacts, common_name: CommonName) -> Vec<Key> {
        match self {
            Place::Own => keys_of(facts.effective_names(common_name)),
            Place::Under(names) => keys_of(names.iter()),
            Place::Challenge(name) => keys_of(core::iter::once(name)),
        }
    }

    pub(super) fn kind(&self) -> Under {
        match self {
            Place::Own => Under::Own,
            Place::Under(_) => Under::Given,
            Place::Challenge(_) => Under::Challenge,
        }
    }
}

impl<C> CertStoreBuilder<C> {
    pub(super) fn new() -> CertStoreBuilder<C> {
        CertStoreBuilder { policy: Policy::default(), seed: 0, pending: Vec::new() }
    }

    /// As [`CertStore::add`].
    pub fn add(&mut self, facts: CertificateFacts, certificate: C) -> CertId {
        self.push(facts, certificate, Place::Own)
    }

    /// As [`CertStore::add_under`].
    pub fn add_under(
        &mut self,
        names: impl IntoIterator<Item = CertName>,
        facts: CertificateFacts,
        certificate: C,
    ) -> CertId {
        self.push(facts, certificate, Place::Under(names.into_iter().collect()))
    }

    /// As [`CertStore::add_challenge`].
    pub fn add_challenge(&mut self, name: &ServerName, facts: CertificateFacts, certificate: C) -> CertId {
        self.push(facts, certificate, Place::Challenge(name.into()))
    }

    /// As [`CertStore::serve_by_default`].
    pub fn serve_by_default(&mut self, id: CertId) -> &mut Self {
        if let Some(pending) = self.pending.get_mut(id.index()) {
            pending.default = true;
        }
        self
    }

    /// Sets the policy, which stays that of the store; see [`Policy`] for the defaults.
    pub fn policy(&mut self, policy: Policy) -> &mut Self {
        self.policy = policy;
        self
    }

    /// Seeds the hash of names, as [`NameMap::new`](crate::NameMap::new) explains.
    pub fn seed(&mut self, seed: u64) -> &mut Self {
        self.seed = seed;
        self
    }

    /// Compiles the store: n log n in the number of names.
    pub fn build(self) -> CertStore<C>
    where
        C: Clone,
    {
        let CertStoreBuilder { policy, seed, pending } = self;
        let (empty, mut defaults, len) = (NameTable::new(seed, []), Vec::new(), pending.len());
        let (mut certificates, mut keys) = (Pages::new(), Vec::with_capacity(len));
        for (i, Pending { facts, certificate, place, default }) in pending.into_iter().enumerate() {
            let own = place.keys(&facts, policy.common_name);
            let ways = ways_of(&empty, own.iter().map(|key| &**key));
            let under = place.kind();
            certificates.push(Stored { certificate, details: Details::of(&facts), under, default, ways });
            keys.push(own);
            if default {
                defaults.push(CertId(i as u32)); // fewer than 2^32 certificates fit a machine
            }
        }
        let ranked = by_merit(&certificates, (0..len as u32).map(CertId).collect());
        let entries = |challenge: bool| {
            let of = |id: CertId| certificates.get(id.index()).map(|stored| matches!(stored.under, Under::Challenge));
            let chosen = ranked.iter().filter(move |candidate| of(candidate.id()) == Some(challenge));
            chosen.flat_map(|candidate| keys[candidate.id().index()].iter().map(|key| (&**key, candidate.0)))
        };
        let (names, challenges) = (NameTable::new(seed, entries(false)), NameTable::new(seed, entries(true)));
        let defaults = by_merit(&certificates, defaults);
        CertStore { policy, certificates, len, names, challenges, defaults }
    }

    fn push(&mut self, facts: CertificateFacts, certificate: C, place: Place) -> CertId {
        let id = CertId(self.pending.len() as u32); // fewer than 2^32 certificates fit a machine
        self.pending.push(Pending { facts, certificate, place, default: false });
        id
    }
}

impl<C> fmt::Debug for CertStoreBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStoreBuilder").field("certificates", &self.pending.len()).finish_non_exhaustive()
    }
}
