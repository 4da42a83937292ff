//! Which patterns stand for this host, the most specific first?

use std::fmt;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::hash::{equal, hash_bytes};
use crate::host::Host;
use crate::host_pattern::{HostPattern, Wildcard, WildcardDepth};
use crate::slots::Slots;

/// A map from [`HostPattern`]s to values, asked with a [`Host`].
///
/// Exact hosts, wildcards and the any-host pattern may overlap; a look-up yields every pattern that stands for the host
/// from most to least specific. It costs one hash probe for the exact host and one for each suffix of the name that a
/// wildcard might have (only the first, if no wildcard is deep), and never allocates.
///
/// A clone shares everything with its original; [`insert`](Self::insert) and [`remove`](Self::remove) then cost the square
/// root of the number of patterns, so that a changed table can be published while the old one is still being read.
///
/// ```
/// use route_match::{HostPattern, HostTable};
///
/// let table = HostTable::new([
///     ("*".parse::<HostPattern>()?, "catch-all"),
///     ("*.example".parse()?, "wildcard"),
///     ("shop.example".parse()?, "shop"),
/// ]);
/// let found: Vec<_> = table.matches(Some(&"shop.example".parse()?)).map(|(_, value)| *value).collect();
/// assert_eq!(found, ["shop", "wildcard", "catch-all"]);
/// # Ok::<(), route_match::HostError>(())
/// ```
pub struct HostTable<V> {
    /// Patterns by the hash of their text; a power of two of them, each shared with clones until it changes.
    shards: Box<[Arc<Shard<V>>]>,
    hash: FixedState,
    len: usize,
    /// Whether there may be a wildcard of one label.
    shallow: bool,
    /// Most labels in the suffix of a deep wildcard, now or earlier; longer suffixes of a name need no probe.
    deepest: usize,
}

/// The part of a table in which patterns of some hashes lie.
#[derive(Clone)]
struct Shard<V> {
    /// By falling specificity.
    patterns: Box<[HostPattern]>,
    /// In the same order. They lie apart, since what a look-up reads of them is needed sooner than the text of the pattern, which
    /// only confirms it.
    values: Box<[V]>,
    /// Over the text of exact hosts and the suffixes of wildcards.
    slots: Slots,
}

impl<V> HostTable<V> {
    /// Builds the table; a pattern given twice keeps its first value. Use [`with_seed`](Self::with_seed) when names come
    /// from people who may choose them to collide.
    pub fn new(entries: impl IntoIterator<Item = (HostPattern, V)>) -> Self {
        Self::with_seed(0, entries)
    }

    /// As [`new`](Self::new), with the seed of the hash function. No answer depends on it.
    pub fn with_seed(seed: u64, entries: impl IntoIterator<Item = (HostPattern, V)>) -> Self {
        Self::sharded(FixedState::with_seed(seed), entries.into_iter().collect())
    }

    fn sharded(hash: FixedState, entries: Vec<(HostPattern, V)>) -> Self {
        let count = shards_for(entries.len());
        let mut parts: Vec<Vec<_>> = (0..count).map(|_| Vec::with_capacity(entries.len() / count)).collect();
        let mut table = Self { shards: Box::default(), hash, len: 0, shallow: false, deepest: 0 };
        for (pattern, value) in entries {
            table.note(&pattern);
            parts[hash_bytes(&table.hash, key(&pattern).as_bytes()) as usize & (count - 1)].push((pattern, value));
        }
        for part in &mut parts {
            part.sort_by(|(a, _), (b, _)| a.cmp(b));
            part.dedup_by(|(later, _), (first, _)| later == first);
            table.len += part.len();
        }
        let shard = |part: Vec<(HostPattern, V)>| {
            let (patterns, values) = part.into_iter().unzip();
            Arc::new(Shard::new(&table.hash, patterns, values))
        };
        table.shards = parts.into_iter().map(shard).collect();
        table
    }

    /// Keeps in mind which probes the pattern makes necessary.
    fn note(&mut self, pattern: &HostPattern) {
        if let HostPattern::Wildcard(wildcard) = pattern {
            match wildcard.depth() {
                WildcardDepth::One => self.shallow = true,
                WildcardDepth::Any => self.deepest = self.deepest.max(labels(wildcard.suffix().as_str())),
            }
        }
    }

    /// The patterns that stand for this host (`None`: a request without one, which only [`HostPattern::Any`] takes),
    /// from most to least specific.
    #[inline]
    pub fn matches<'t, 'h>(&'t self, host: Option<&'h Host>) -> HostMatches<'t, 'h, V> {
        HostMatches { table: self, host, step: Step::Exact }
    }

    /// The value of exactly this pattern.
    pub fn get(&self, pattern: &HostPattern) -> Option<&V> {
        self.get_entry(pattern).map(|(_, value)| value)
    }

    pub(crate) fn get_entry(&self, pattern: &HostPattern) -> Option<(&HostPattern, &V)> {
        self.find(key(pattern), |entry| entry == pattern)
    }

    /// All patterns with their values, from most to least specific. Sorts them: O(n log n).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&HostPattern, &V)> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_unstable_by_key(|(pattern, _)| *pattern);
        entries.into_iter()
    }

    /// All patterns with their values, in no particular order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&HostPattern, &V)> {
        self.shards.iter().flat_map(|shard| shard.patterns.iter().zip(&shard.values))
    }

    /// How many patterns the table holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the table holds no pattern.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pattern that is exactly this host.
    #[inline]
    pub(crate) fn exact(&self, host: &Host) -> Option<(&HostPattern, &V)> {
        let text = host.as_str();
        self.find(text, |p| matches!(p, HostPattern::Exact(exact) if equal(exact.as_str().as_bytes(), text.as_bytes())))
    }

    /// What [`matches`](Self::matches) yields after the exact pattern.
    #[inline]
    pub(crate) fn matches_beyond_exact<'t, 'h>(&'t self, host: Option<&'h Host>) -> HostMatches<'t, 'h, V> {
        HostMatches { table: self, host, step: Step::OneLabel }
    }

    #[inline]
    fn wildcard(&self, suffix: &str, depth: WildcardDepth) -> Option<(&HostPattern, &V)> {
        let is_suffix = |host: &Host| equal(host.as_str().as_bytes(), suffix.as_bytes());
        let is = |wildcard: &Wildcard| wildcard.depth() == depth && is_suffix(wildcard.suffix());
        self.find(suffix, |p| matches!(p, HostPattern::Wildcard(wildcard) if is(wildcard)))
    }

    /// The pattern with this key that `is` the one.
    #[inline]
    fn find(&self, key: &str, is: impl Fn(&HostPattern) -> bool) -> Option<(&HostPattern, &V)> {
        let hash = hash_bytes(&self.hash, key.as_bytes());
        let shard = &self.shards[hash as usize & (self.shards.len() - 1)];
        let at = shard.slots.find(hash, |at| is(&shard.patterns[at as usize]))? as usize;
        Some((&shard.patterns[at], &shard.values[at]))
    }
}

impl<V: Clone> HostTable<V> {
    /// Sets the value of a pattern and returns what it had. Costs the square root of the number of patterns; clones
    /// made before keep what they have.
    pub fn insert(&mut self, pattern: HostPattern, value: V) -> Option<V> {
        let shard = self.shard(&pattern);
        match shard.position(&pattern) {
            Ok(at) => Some(std::mem::replace(&mut Arc::make_mut(shard).values[at], value)),
            Err(at) => {
                let (mut patterns, mut values) = (shard.patterns.to_vec(), shard.values.to_vec());
                patterns.insert(at, pattern.clone());
                values.insert(at, value);
                self.replace_shard(&pattern, patterns, values);
                self.note(&pattern);
                self.len += 1;
                // Grown far beyond what its shards were made for: a linear step, once in as many insertions.
                if shards_for(self.len) > self.shards.len() * 2 {
                    let entries = self.entries().map(|(pattern, value)| (pattern.clone(), value.clone())).collect();
                    *self = Self::sharded(self.hash.clone(), entries);
                }
                None
            }
        }
    }

    /// Removes a pattern and returns its value. Costs as much as [`insert`](Self::insert).
    pub fn remove(&mut self, pattern: &HostPattern) -> Option<V> {
        let shard = self.shard(pattern);
        let at = shard.position(pattern).ok()?;
        let (mut patterns, mut values) = (shard.patterns.to_vec(), shard.values.to_vec());
        patterns.remove(at);
        let value = values.remove(at);
        self.replace_shard(pattern, patterns, values);
        self.len -= 1;
        Some(value)
    }

    fn shard(&mut self, pattern: &HostPattern) -> &mut Arc<Shard<V>> {
        let hash = hash_bytes(&self.hash, key(pattern).as_bytes());
        let count = self.shards.len();
        &mut self.shards[hash as usize & (count - 1)]
    }

    fn replace_shard(&mut self, pattern: &HostPattern, patterns: Vec<HostPattern>, values: Vec<V>) {
        let shard = Arc::new(Shard::new(&self.hash, patterns, values));
        *self.shard(pattern) = shard;
    }
}

/// How many shards a table of `n` patterns is parted into: few enough to clone, many enough to rebuild one.
fn shards_for(n: usize) -> usize {
    (n / 16).isqrt().next_power_of_two()
}

impl<V> Shard<V> {
    fn new(hash: &FixedState, patterns: Vec<HostPattern>, values: Vec<V>) -> Self {
        let hashes = patterns.iter().map(|pattern| hash_bytes(hash, key(pattern).as_bytes()));
        let slots = Slots::new(hashes.zip(0u32..).collect::<Vec<_>>().into_iter());
        Self { patterns: patterns.into(), values: values.into(), slots }
    }

    fn position(&self, pattern: &HostPattern) -> Result<usize, usize> {
        self.patterns.binary_search(pattern)
    }
}

impl<V> Clone for HostTable<V> {
    fn clone(&self) -> Self {
        Self { shards: self.shards.clone(), hash: self.hash.clone(), ..*self }
    }
}

impl<V: fmt::Debug> fmt::Debug for HostTable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The patterns that stand for one host; see [`HostTable::matches`].
#[derive(Debug)]
pub struct HostMatches<'t, 'h, V> {
    table: &'t HostTable<V>,
    host: Option<&'h Host>,
    step: Step<'h>,
}

/// Where the walk from the host to the any-host pattern stands.
#[derive(Clone, Copy, Debug)]
enum Step<'h> {
    Exact,
    OneLabel,
    Deep(Option<&'h str>),
    Any,
    Done,
}

impl<'t, V> Iterator for HostMatches<'t, '_, V> {
    type Item = (&'t HostPattern, &'t V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let table = self.table;
        loop {
            let found = match self.step {
                Step::Exact => {
                    self.step = Step::OneLabel;
                    self.host.and_then(|host| table.exact(host))
                }
                Step::OneLabel => {
                    let parent = self.host.and_then(Host::parent);
                    self.step = if table.deepest == 0 { Step::Any } else { Step::Deep(parent) };
                    parent.filter(|_| table.shallow).and_then(|suffix| table.wildcard(suffix, WildcardDepth::One))
                }
                Step::Deep(Some(suffix)) => {
                    self.step = Step::Deep(suffix.split_once('.').map(|(_, shorter)| shorter));
                    if labels(suffix) <= table.deepest { table.wildcard(suffix, WildcardDepth::Any) } else { None }
                }
                Step::Deep(None) => {
                    self.step = Step::Any;
                    None
                }
                Step::Any => {
                    self.step = Step::Done;
                    table.find("", |p| *p == HostPattern::Any)
                }
                Step::Done => return None,
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

fn key(pattern: &HostPattern) -> &str {
    match pattern {
        HostPattern::Exact(host) => host.as_str(),
        HostPattern::Wildcard(wildcard) => wildcard.suffix().as_str(),
        HostPattern::Any => "",
    }
}

fn labels(name: &str) -> usize {
    name.bytes().filter(|b| *b == b'.').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_without_host_meets_only_the_any_pattern() {
        let table = HostTable::new([("a.example".parse().unwrap(), 1), (HostPattern::Any, 2)]);
        assert_eq!(table.matches(None).map(|(_, v)| *v).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn the_first_value_of_a_pattern_stays() {
        let table = HostTable::new([("a".parse().unwrap(), 1), ("A.".parse().unwrap(), 2)]);
        assert_eq!((table.len(), table.get(&"a".parse().unwrap())), (1, Some(&1)));
    }

    #[test]
    fn a_table_that_grows_one_by_one_keeps_all_and_its_clones_keep_what_they_had() {
        let name = |i: usize| HostPattern::from(format!("h{i}.example").parse::<Host>().unwrap());
        let mut table = HostTable::new([]);
        let empty = table.clone();
        for i in 0..2000 {
            assert_eq!(table.insert(name(i), i), None);
        }
        let full = table.clone();
        for i in 0..2000 {
            assert_eq!(table.insert(name(i), i + 1), Some(i));
            assert_eq!(table.remove(&name(i)), Some(i + 1));
            assert_eq!(table.remove(&name(i)), None);
        }
        assert!(table.is_empty() && empty.is_empty());
        assert_eq!((full.len(), full.iter().len()), (2000, 2000));
        assert!((0..2000).all(|i| full.get(&name(i)) == Some(&i)));
    }

    fn host() -> impl Strategy<Value = Host> {
        "[ab](\\.[ab]){0,4}|10\\.0\\.0\\.1|\\[::1\\]".prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_scan_finds(
            patterns in proptest::collection::vec(("(\\*\\.|\\*\\*\\.)?[ab](\\.[ab]){0,3}|\\*", any::<u8>()), 0..24),
            host in proptest::option::of(host()),
            inserted in 0..24usize,
            seed in any::<u64>(),
        ) {
            let patterns: Vec<(HostPattern, u8)> = patterns.iter().map(|(p, v)| (p.parse().unwrap(), *v)).collect();
            let (built, inserted) = patterns.split_at(inserted.min(patterns.len()));
            let mut table = HostTable::with_seed(seed, built.iter().cloned());
            for (pattern, value) in inserted {
                table.insert(pattern.clone(), *value);
            }
            let scan: Vec<_> = table
                .iter()
                .filter(|(pattern, _)| match &host {
                    Some(host) => pattern.matches(host),
                    None => **pattern == HostPattern::Any,
                })
                .collect();
            prop_assert_eq!(table.matches(host.as_ref()).collect::<Vec<_>>(), scan);
        }
    }
}
