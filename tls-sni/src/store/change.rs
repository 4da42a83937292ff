//! How does one certificate come, go, or give way to its renewal, at the price of its own names?

use super::builder::Place;
use super::{Candidate, CertId, CertStore, Details, Stored, Under, Ways, by_merit, keys_of, ways_of};
use crate::cert_name::CertName;
use crate::facts::CertificateFacts;
use crate::server_name::ServerName;
use crate::table::Key;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Changes. Each takes time for the names of the one certificate, times the certificates that share them, and copies of
/// each page it touches: some thirty `C` and as many branches of a tree, whatever the size of the store. Only a store
/// that has come to hold twice the names it was made for files all of them anew.
impl<C: Clone> CertStore<C> {
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

    /// Puts another certificate in the place of one, for instance its renewal, and returns the one that was there; `None`
    /// if there is none with this id.
    ///
    /// It is filed under its own names, or stays under those that were given for its predecessor. It is a default, and is
    /// listed, as its predecessor was.
    pub fn replace(&mut self, id: CertId, facts: CertificateFacts, certificate: C) -> Option<C> {
        let stored = self.certificates.get(id.index())?;
        let (under, default) = (stored.under, stored.default);
        let given = self.unfile(id)?;
        let keys = match under {
            Under::Own => keys_of(facts.effective_names(self.policy.common_name)),
            Under::Given | Under::Challenge => given,
        };
        let new = Stored { certificate, details: Details::of(&facts), under, default, ways: Ways::Any(Box::new([])) };
        let old = self.certificates.slot(id.index())?.replace(new)?;
        self.file(id, keys);
        self.sort_defaults(default.then_some(id));
        Some(old.certificate)
    }

    /// Removes a certificate, and returns it. Its id is not given again. To keep its names answerable throughout, add
    /// what follows it first.
    pub fn remove(&mut self, id: CertId) -> Option<C> {
        self.unfile(id)?;
        let old = self.certificates.slot(id.index())?.take()?;
        self.len -= 1;
        self.sort_defaults(None);
        Some(old.certificate)
    }

    /// Makes a certificate a default. There may be several, for different kinds of key. An id of another store has no
    /// effect.
    pub fn serve_by_default(&mut self, id: CertId) {
        if let Some(Some(stored)) = self.certificates.slot(id.index()) {
            stored.default = true;
            self.sort_defaults(Some(id));
        }
    }

    fn push(&mut self, facts: CertificateFacts, certificate: C, place: Place) -> CertId {
        let id = CertId(self.certificates.len() as u32); // fewer than 2^32 certificates fit a machine
        let keys = place.keys(&facts, self.policy.common_name);
        self.certificates.push(Stored {
            certificate,
            details: Details::of(&facts),
            under: place.kind(),
            default: false,
            ways: Ways::Any(Box::new([])),
        });
        self.len += 1;
        self.file(id, keys);
        id
    }

    /// Files a stored certificate under names.
    fn file(&mut self, id: CertId, keys: Vec<Key>) {
        let CertStore { certificates, names, challenges, .. } = self;
        let Some(stored) = certificates.get(id.index()) else { return };
        let table = match stored.under {
            Under::Challenge => challenges,
            Under::Own | Under::Given => names,
        };
        let candidate = Candidate::new(id, stored.details.key);
        let merit = Self::merit(certificates, id);
        for key in &keys {
            table.insert(key, candidate.0, |other| merit < Self::merit(certificates, Candidate(other).id()));
        }
        let ways = ways_of(table, keys.iter().map(|key| &**key));
        if let Some(Some(stored)) = certificates.slot(id.index()) {
            stored.ways = ways;
        }
    }

    /// Takes a certificate from under its names, and says which they were.
    fn unfile(&mut self, id: CertId) -> Option<Vec<Key>> {
        let stored = self.certificates.get(id.index())?;
        let table = match stored.under {
            Under::Challenge => &mut self.challenges,
            Under::Own | Under::Given => &mut self.names,
        };
        let candidate = Candidate::new(id, stored.details.key);
        Some(stored.ways.as_slice().iter().flat_map(|way| table.remove(*way, candidate.0)).collect())
    }

    /// The defaults that are left, and this one.
    fn sort_defaults(&mut self, also: Option<CertId>) {
        let left = self.defaults.iter().map(|candidate| candidate.id()).filter(|id| Some(*id) != also);
        let ids = left.chain(also).filter(|id| self.certificates.get(id.index()).is_some()).collect();
        self.defaults = by_merit(&self.certificates, ids);
    }
}
