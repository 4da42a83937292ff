//! Which entries have this name? A hash table of names without regard to case, of which copies share what did not change.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::fold::{caseless, same_name};
use super::trie::{Ranked, Trie};

/// What stands in a [`Table`]. Names that differ in case only are one; of several entries with it the first by rank counts.
pub(super) trait Named: Ranked {
    fn name(&self) -> &[u8];
}

/// The tables hold the names that owners of objects chose; questions only look them up.
#[derive(Clone)]
pub(super) struct Table<V> {
    entries: Trie<u32, V>,
    hash: FixedState,
}

impl<V: Named> Table<V> {
    pub(super) fn new(seed: u64) -> Self {
        Self { entries: Trie::new(), hash: FixedState::with_seed(seed) }
    }

    /// Puts all entries into a table that is empty.
    pub(super) fn fill(&mut self, entries: impl IntoIterator<Item = V>) {
        let keyed = entries.into_iter().map(|entry| (self.key(entry.name()), entry)).collect();
        self.entries = Trie::build(keyed);
    }

    /// The first entry with a name.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<&V> {
        let mut same_hash = self.entries.get(self.key(name)).iter();
        same_hash.find(|entry| same_name(entry.name(), name))
    }

    /// Every entry with a name, by rank.
    pub(super) fn all(&self, name: &[u8]) -> impl Iterator<Item = &V> {
        let same_hash = self.entries.get(self.key(name)).iter();
        same_hash.filter(move |entry| same_name(entry.name(), name))
    }

    /// Adds an entry, in the place of the one with its name and rank if there is one.
    pub(super) fn insert(&mut self, entry: V) {
        self.entries.insert(self.key(entry.name()), entry);
    }

    /// Removes the entry with the name and rank of this one.
    pub(super) fn remove(&mut self, entry: &V) {
        self.entries.remove(self.key(entry.name()), entry);
    }

    #[inline]
    fn key(&self, name: &[u8]) -> u32 {
        let mut hasher = self.hash.build_hasher();
        // Each piece costs the hasher one multiplication.
        caseless(name, |octets| hasher.write_u128(octets));
        hasher.finish() as u32
    }
}

impl<V> Table<V> {
    /// Every entry, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, entry)| entry)
    }
}

/// By name.
impl Ranked for Arc<str> {
    fn rank(&self) -> impl Ord + '_ {
        &**self
    }
}

impl Named for Arc<str> {
    fn name(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<V: PartialEq> PartialEq for Table<V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<V: Eq> Eq for Table<V> {}

impl<V: fmt::Debug> fmt::Debug for Table<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_found_without_regard_to_case() {
        let mut table: Table<Arc<str>> = Table::new(7);
        let names: Vec<String> = (0..300).map(|length| "aB3-".chars().cycle().take(length).collect()).collect();
        table.fill(names.iter().map(|name| name.as_str().into()));
        for name in &names {
            assert_eq!(table.get(name.to_uppercase().as_bytes()).map(|found| &**found), Some(name.as_str()));
        }
        assert_eq!(table.get(b"x"), None);
    }
}
