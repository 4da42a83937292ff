//! Which VirtualServices speak for a host?

use std::collections::{BTreeMap, BTreeSet};

use svc_model::NamespacedName;

use crate::istio::export::Precedence;
use crate::istio::names::overlaps;

/// The VirtualServices of the mesh by their hosts, each list in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    by_host: BTreeMap<Box<str>, BTreeMap<Precedence, NamespacedName>>,
}

impl Listing {
    pub(super) fn insert(&mut self, hosts: &[Box<str>], precedence: &Precedence, key: &NamespacedName) {
        for host in hosts {
            self.by_host.entry(host.clone()).or_default().insert(precedence.clone(), key.clone());
        }
    }

    pub(super) fn remove(&mut self, hosts: &[Box<str>], precedence: &Precedence) {
        for host in hosts {
            if let Some(there) = self.by_host.get_mut(host) {
                there.remove(precedence);
                if there.is_empty() {
                    self.by_host.remove(host);
                }
            }
        }
    }

    /// Those who speak for a service, in order, of those that `counts`: with its very name, else with the longest wildcard above it; and
    /// that name.
    pub(super) fn speakers<'l>(
        &'l self,
        host: &str,
        counts: impl Fn(&NamespacedName) -> bool,
    ) -> Option<(&'l str, Vec<&'l NamespacedName>)> {
        let find = |name: &str| {
            let (name, there) = self.by_host.get_key_value(name)?;
            let keys: Vec<&NamespacedName> = there.values().filter(|key| counts(key)).collect();
            (!keys.is_empty()).then_some((&**name, keys))
        };
        find(host).or_else(|| wildcards_above(host).find_map(|name| find(&name)))
    }

    /// Those who have a host that overlaps this one, in order.
    pub(super) fn overlapping(&self, host: &str) -> Vec<&NamespacedName> {
        let mut found: BTreeMap<&Precedence, &NamespacedName> = BTreeMap::new();
        if host.starts_with('*') {
            let overlapping = self.by_host.iter().filter(|(name, _)| overlaps(name, host));
            overlapping.for_each(|(_, there)| found.extend(there));
        } else {
            let names = [host.to_owned()].into_iter().chain(wildcards_above(host));
            names.filter_map(|name| self.by_host.get(&*name)).for_each(|there| found.extend(there));
        }
        let mut known = BTreeSet::new();
        found.into_values().filter(|key| known.insert(*key)).collect()
    }
}

/// The wildcards that cover a name, the longest first; of a wildcard, the wider ones.
fn wildcards_above(host: &str) -> impl Iterator<Item = String> + '_ {
    let body = host.strip_prefix('*').map_or(host, |rest| rest.get(1..).unwrap_or_default());
    let dots = body.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at);
    dots.map(move |at| format!("*{}", &body[at..])).chain(["*".to_owned()])
}
