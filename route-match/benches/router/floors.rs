//! What to compare with: a floor that does less than the job needs, and what one would write first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::workloads::{PathKind, Request, Route};

/// The floor: the hash of the winning host and that of the winning path, both known beforehand, in two flat tables of
/// fingerprints. It compares no text.
pub(crate) struct Fingerprints {
    hosts: Box<[(u64, u32)]>,
    paths: Box<[(u64, u32)]>,
    hash: FixedState,
}

impl Fingerprints {
    pub(crate) fn new(table: &[Route]) -> Self {
        let size = (table.len() * 2).next_power_of_two();
        let mut hosts = vec![(0, 0); size.min(4096)].into_boxed_slice();
        let mut paths = vec![(0, 0); size].into_boxed_slice();
        let hash = FixedState::with_seed(1);
        let mut next = 1;
        for route in table {
            let host = route.host.strip_prefix('*').unwrap_or(&route.host);
            let id = Self::put(&mut hosts, Self::hash(&hash, 0, host), next);
            next = next.max(id + 1);
            Self::put(&mut paths, Self::hash(&hash, id, &route.path), route.id);
        }
        Self { hosts, paths, hash }
    }

    pub(crate) fn find(&self, request: &Request) -> Option<u32> {
        let host = if request.by_wildcard { &request.host[request.host.find('.')?..] } else { &request.host };
        let id = Self::get(&self.hosts, Self::hash(&self.hash, 0, host))?;
        Self::get(&self.paths, Self::hash(&self.hash, id, &request.path[..request.matched_len]))
    }

    fn hash(state: &FixedState, salt: u32, text: &str) -> u64 {
        (state.hash_one(text.as_bytes()) ^ u64::from(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1)
    }

    fn put(table: &mut [(u64, u32)], hash: u64, value: u32) -> u32 {
        let mut at = hash as usize & (table.len() - 1);
        while table[at].0 != 0 && table[at].0 != hash {
            at = (at + 1) & (table.len() - 1);
        }
        if table[at].0 == 0 {
            table[at] = (hash, value);
        }
        table[at].1
    }

    fn get(table: &[(u64, u32)], hash: u64) -> Option<u32> {
        let mut at = hash as usize & (table.len() - 1);
        loop {
            match table[at] {
                (0, _) => return None,
                (found, value) if found == hash => return Some(value),
                _ => at = (at + 1) & (table.len() - 1),
            }
        }
    }
}

/// What one writes first: a map of hosts, each with its rules, exact ones first, then by falling length.
#[derive(Default)]
pub(crate) struct MapAndScan {
    exact: HashMap<String, Vec<(String, PathKind, u32)>>,
    wild: HashMap<String, Vec<(String, PathKind, u32)>>,
}

impl MapAndScan {
    pub(crate) fn new(table: &[Route]) -> Self {
        let mut maps = Self::default();
        for route in table {
            let rules = match route.host.strip_prefix("*.") {
                Some(suffix) => maps.wild.entry(suffix.to_owned()).or_default(),
                None => maps.exact.entry(route.host.clone()).or_default(),
            };
            rules.push((route.path.clone(), route.kind, route.id));
        }
        for rules in maps.exact.values_mut().chain(maps.wild.values_mut()) {
            rules.sort_by_key(|(path, kind, _)| (*kind == PathKind::Prefix, Reverse(path.len())));
        }
        maps
    }

    pub(crate) fn find(&self, host: &str, path: &str) -> Option<u32> {
        let rules = self.exact.get(host).or_else(|| self.wild.get(host.split_once('.')?.1))?;
        let found = rules.iter().find(|(rule, kind, _)| match kind {
            PathKind::Exact => rule == path,
            PathKind::Prefix => {
                path.starts_with(rule.as_str()) && matches!(path.as_bytes().get(rule.len()), None | Some(b'/'))
            }
        });
        found.map(|(_, _, id)| *id)
    }
}
