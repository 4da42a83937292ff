//! Who answers for a domain of a port? Whoever claims it first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::host_pattern::HostPattern;
use crate::istio::export::Precedence;
use crate::istio::route_table::RouteTable;
use crate::istio::rule::CompiledMatch;

/// The rules of a virtual host; shared by its domains.
pub(super) type Matches = Arc<[CompiledMatch]>;

/// One claim to a domain. The least goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    /// Not the full name of a service, which goes before all other claims to it.
    pub(super) is_other: bool,
    pub(super) order: Order,
    /// The service whose domain it is; `None` for a host that is none.
    pub(super) service: Option<Box<str>>,
}

/// The order of virtual hosts: those of VirtualServices, of services without one, of what nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Rules(Precedence),
    Service(Box<str>),
    Unknown,
}

/// All claims to the domains of a port, and the table that they make.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    table: RouteTable,
    by_domain: BTreeMap<HostPattern, BTreeMap<Claim, Matches>>,
    /// Domains whose first claim may have changed since the table was made.
    open: BTreeMap<HostPattern, Option<Matches>>,
    /// Whether the table has been made once.
    is_made: bool,
    seed: u64,
}

impl Claims {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            table: RouteTable::new(seed, []),
            by_domain: BTreeMap::new(),
            open: BTreeMap::new(),
            is_made: false,
            seed,
        }
    }

    /// The virtual hosts, as of the last [`settle`](Self::settle).
    pub(super) fn table(&self) -> &RouteTable {
        &self.table
    }

    pub(super) fn insert(&mut self, domain: HostPattern, claim: Claim, matches: Matches) {
        self.remember(&domain);
        self.by_domain.entry(domain).or_default().insert(claim, matches);
    }

    pub(super) fn remove(&mut self, domain: &HostPattern, claim: &Claim) {
        self.remember(domain);
        if let Some(claims) = self.by_domain.get_mut(domain) {
            claims.remove(claim);
            if claims.is_empty() {
                self.by_domain.remove(domain);
            }
        }
    }

    /// Keeps the rules that a domain has in the table.
    fn remember(&mut self, domain: &HostPattern) {
        if !self.open.contains_key(domain) {
            self.open.insert(domain.clone(), self.first(domain).map(|(_, matches)| matches.clone()));
        }
    }

    fn first(&self, domain: &HostPattern) -> Option<(&Claim, &Matches)> {
        self.by_domain.get(domain)?.first_key_value()
    }

    /// Gives the domains that changed hands, or whose rules differ, their rules.
    pub(super) fn settle(&mut self) {
        let mut gone = Vec::new();
        let mut by_order: BTreeMap<&Order, (Vec<HostPattern>, &Matches)> = BTreeMap::new();
        for (domain, before) in &self.open {
            match self.by_domain.get(domain).and_then(BTreeMap::first_key_value) {
                None if before.is_none() => {}
                None => gone.push(domain.clone()),
                Some((_, matches)) if before.as_ref() == Some(matches) => {}
                Some((claim, matches)) => {
                    by_order.entry(&claim.order).or_insert_with(|| (Vec::new(), matches)).0.push(domain.clone());
                }
            }
        }
        let changed = by_order.into_values().map(|(domains, matches)| (domains, matches.to_vec()));
        if !self.is_made {
            self.table = RouteTable::new(self.seed, changed);
            self.is_made = true;
        } else {
            let gone = (!gone.is_empty()).then_some((gone, None));
            let changed = changed.map(|(domains, matches)| (domains, Some(matches)));
            let changes: Vec<_> = gone.into_iter().chain(changed).collect();
            self.table.update(changes);
        }
        self.open.clear();
    }

    /// Every claim, for tests of equality.
    pub(super) fn all(&self) -> &BTreeMap<HostPattern, BTreeMap<Claim, Matches>> {
        &self.by_domain
    }
}

/// The claims of one claimant, so that they can be withdrawn.
pub(super) type Made = BTreeSet<(HostPattern, Claim)>;
