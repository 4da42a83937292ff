//! Which patterns stand for this host, the most specific first?

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::host::Host;
use crate::host_pattern::{HostPattern, WildcardDepth};
use crate::slots::Slots;

/// An immutable map from [`HostPattern`]s to values, asked with a [`Host`].
///
/// Exact hosts, wildcards and the any-host pattern may overlap; a look-up yields every pattern that stands for the host
/// from most to least specific. It costs one hash probe for the exact host and one for each suffix of the name that a
/// wildcard might have (only the first, if no wildcard is deep), and never allocates.
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
#[derive(Clone)]
pub struct HostTable<V> {
    /// By falling specificity.
    entries: Box<[(HostPattern, V)]>,
    /// Over the text of exact hosts and the suffixes of wildcards.
    slots: Slots,
    hash: FixedState,
    /// Most labels in the suffix of a deep wildcard; longer suffixes of a name need no probe.
    deepest: usize,
}

impl<V> HostTable<V> {
    /// Builds the table; a pattern given twice keeps its first value. Use [`with_seed`](Self::with_seed) when names come
    /// from people who may choose them to collide.
    pub fn new(entries: impl IntoIterator<Item = (HostPattern, V)>) -> Self {
        Self::with_seed(0, entries)
    }

    /// As [`new`](Self::new), with the seed of the hash function. No answer depends on it.
    pub fn with_seed(seed: u64, entries: impl IntoIterator<Item = (HostPattern, V)>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(later, _), (first, _)| later == first);
        let hash = FixedState::with_seed(seed);
        let hashes = entries.iter().map(|(pattern, _)| hash_text(&hash, key(pattern)));
        let slots = Slots::new(&hashes.zip(0u32..).collect::<Vec<_>>());
        let deepest = entries
            .iter()
            .filter_map(|(pattern, _)| match pattern {
                HostPattern::Wildcard(wildcard) if wildcard.depth() == WildcardDepth::Any => {
                    Some(labels(wildcard.suffix().as_str()))
                }
                _ => None,
            })
            .max()
            .unwrap_or(0);
        Self { entries: entries.into(), slots, hash, deepest }
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
        let at = self.entries.binary_search_by(|(entry, _)| entry.cmp(pattern)).ok()?;
        let (pattern, value) = &self.entries[at];
        Some((pattern, value))
    }

    /// All patterns with their values, from most to least specific.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&HostPattern, &V)> {
        self.entries.iter().map(|(pattern, value)| (pattern, value))
    }

    /// How many patterns the table holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table holds no pattern.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    fn find(&self, text: &str, is: impl Fn(&HostPattern) -> bool) -> Option<usize> {
        let found = self.slots.find(hash_text(&self.hash, text), |at| {
            let pattern = &self.entries[at as usize].0;
            is(pattern) && key(pattern) == text
        });
        found.map(|at| at as usize)
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
                    self.host.and_then(|host| table.find(host.as_str(), |p| matches!(p, HostPattern::Exact(_))))
                }
                Step::OneLabel => {
                    let parent = self.host.and_then(Host::parent);
                    self.step = Step::Deep(parent);
                    parent.and_then(|suffix| table.find(suffix, |p| is_wildcard(p, WildcardDepth::One)))
                }
                Step::Deep(Some(suffix)) => {
                    self.step = Step::Deep(suffix.split_once('.').map(|(_, shorter)| shorter));
                    if table.deepest == 0 {
                        self.step = Step::Any;
                        None
                    } else {
                        (labels(suffix) <= table.deepest)
                            .then(|| table.find(suffix, |p| is_wildcard(p, WildcardDepth::Any)))
                            .flatten()
                    }
                }
                Step::Deep(None) => {
                    self.step = Step::Any;
                    None
                }
                Step::Any => {
                    self.step = Step::Done;
                    // The least specific pattern of all comes last.
                    table.entries.len().checked_sub(1).filter(|last| table.entries[*last].0 == HostPattern::Any)
                }
                Step::Done => return None,
            };
            if let Some(at) = found {
                let (pattern, value) = &table.entries[at];
                return Some((pattern, value));
            }
        }
    }
}

fn is_wildcard(pattern: &HostPattern, depth: WildcardDepth) -> bool {
    matches!(pattern, HostPattern::Wildcard(wildcard) if wildcard.depth() == depth)
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

#[inline]
fn hash_text(state: &FixedState, text: &str) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
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

    fn host() -> impl Strategy<Value = Host> {
        "[ab](\\.[ab]){0,4}|10\\.0\\.0\\.1|\\[::1\\]".prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_scan_finds(
            patterns in proptest::collection::vec(("(\\*\\.|\\*\\*\\.)?[ab](\\.[ab]){0,3}|\\*", any::<u8>()), 0..24),
            host in proptest::option::of(host()),
            seed in any::<u64>(),
        ) {
            let table = HostTable::with_seed(seed, patterns.iter().map(|(p, v)| (p.parse().unwrap(), *v)));
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
