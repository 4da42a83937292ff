//! What belongs to a server name? A table of exact names and one-label wildcards, made once and then only read.

use crate::cert_name::{CertName, NameMatch};
use crate::server_name::ServerName;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// An immutable table from names and one-label wildcards to values.
///
/// A look-up costs a hash and a probe for the exact name and as much again for the wildcard, whatever the size, and
/// allocates nothing. No answer depends on the seed, only the places in memory do.
///
/// ```
/// use tls_sni::{CertName, NameMap, NameMatch, ServerName};
///
/// let map = NameMap::new(0, [("a.example", 1), ("*.example", 2)].map(|(n, v)| (CertName::new(n.as_bytes()), v)));
/// let get = |name: &str| map.get(&name.parse().unwrap());
/// assert_eq!(get("a.example"), Some((NameMatch::Exact, &1)));
/// assert_eq!(get("b.example"), Some((NameMatch::Wildcard, &2)));
/// assert_eq!(get("c.b.example"), None);
/// ```
#[derive(Clone)]
pub struct NameMap<T> {
    seed: u64,
    exact: Index,
    wildcard: Index,
    entries: Vec<Entry<T>>,
    texts: Box<[u8]>,
}

#[derive(Clone)]
struct Entry<T> {
    start: usize,
    len: u8,
    value: T,
}

impl<T> NameMap<T> {
    /// Builds the table in linear time; inert names are left out, and of equal names the first stays.
    ///
    /// Who lets strangers choose the names (tenants of a cluster, say) gives a random `seed`, so that they cannot
    /// choose names whose look-ups collide. Names that are only looked up need no such care.
    pub fn new(seed: u64, names: impl IntoIterator<Item = (CertName, T)>) -> NameMap<T> {
        let mut texts = Vec::new();
        let mut entries = Vec::new();
        let (mut exact, mut wildcard) = (Vec::new(), Vec::new());
        for (name, value) in names {
            let (places, text) = match (name.exact(), name.wildcard_zone()) {
                (Some(text), _) => (&mut exact, text),
                (None, Some(zone)) => (&mut wildcard, zone),
                (None, None) => continue,
            };
            places.push(entries.len() as u32); // entries take 24 bytes each: 2^32 of them do not fit a machine
            // A server name has at most 253 bytes.
            entries.push(Entry { start: texts.len(), len: text.len() as u8, value });
            texts.extend_from_slice(text.as_bytes());
        }
        let texts = texts.into_boxed_slice();
        let text_of = |entry: u32| text(&texts, &entries[entry as usize]);
        let exact = Index::new(seed, &exact, text_of);
        let wildcard = Index::new(seed, &wildcard, text_of);
        NameMap { seed, exact, wildcard, entries, texts }
    }

    /// The value of the exact name, else of the wildcard in place of its first label.
    pub fn get(&self, name: &ServerName) -> Option<(NameMatch, &T)> {
        let exact = self.exact(name).map(|value| (NameMatch::Exact, value));
        exact.or_else(|| Some((NameMatch::Wildcard, self.wildcard(name)?)))
    }

    /// The value of the exact name.
    pub fn exact(&self, name: &ServerName) -> Option<&T> {
        self.find(&self.exact, name.as_bytes())
    }

    /// The value of the wildcard in place of the first label.
    pub fn wildcard(&self, name: &ServerName) -> Option<&T> {
        if self.wildcard.slots.is_empty() {
            return None;
        }
        self.find(&self.wildcard, name.parent_bytes()?)
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.exact.len + self.wildcard.len
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(&self, index: &Index, key: &[u8]) -> Option<&T> {
        let hash = hash(self.seed, key);
        let mut at = hash as usize & index.mask;
        loop {
            let slot = index.slots.get(at)?;
            if slot.entry == EMPTY {
                return None;
            }
            if slot.tag == tag(hash) {
                let entry = &self.entries[slot.entry as usize];
                if text(&self.texts, entry) == key {
                    return Some(&entry.value);
                }
            }
            at = (at + 1) & index.mask;
        }
    }
}

fn text<'a, T>(texts: &'a [u8], entry: &Entry<T>) -> &'a [u8] {
    &texts[entry.start..][..usize::from(entry.len)]
}

impl<T> Default for NameMap<T> {
    fn default() -> NameMap<T> {
        NameMap::new(0, [])
    }
}

impl<T: fmt::Debug> fmt::Debug for NameMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameMap").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Open addressing with linear probing: at most half of the slots are taken, so that a probe ends, and soon even for a
/// name that is not there: every look-up of a wildcard is preceded by such a miss.
#[derive(Clone)]
struct Index {
    slots: Box<[Slot]>,
    mask: usize,
    len: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    entry: u32,
}

const EMPTY: u32 = u32::MAX;

impl Index {
    fn new<'a>(seed: u64, entries: &[u32], text_of: impl Fn(u32) -> &'a [u8]) -> Index {
        if entries.is_empty() {
            return Index { slots: Box::new([]), mask: 0, len: 0 };
        }
        let capacity = (entries.len() * 2).next_power_of_two();
        let mut index = Index {
            slots: vec![Slot { tag: 0, entry: EMPTY }; capacity].into_boxed_slice(),
            mask: capacity - 1,
            len: 0,
        };
        for &entry in entries {
            let key = text_of(entry);
            let hash = hash(seed, key);
            let mut at = hash as usize & index.mask;
            loop {
                let slot = &mut index.slots[at];
                if slot.entry == EMPTY {
                    *slot = Slot { tag: tag(hash), entry };
                    index.len += 1;
                    break;
                }
                if slot.tag == tag(hash) && text_of(slot.entry) == key {
                    break;
                }
                at = (at + 1) & index.mask;
            }
        }
        index
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Folded multiplication over 16 bytes at a time. Tables are read-only once built, so speed counts here; whoever could
/// choose the names in a table meets the seed.
fn hash(seed: u64, key: &[u8]) -> u64 {
    const K: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }
    fn word(bytes: &[u8]) -> u64 {
        // Called with chunks of eight bytes.
        bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
    }
    let seed = seed ^ K[0];
    let mut state = fold(seed, key.len() as u64 ^ K[1]);
    let (chunks, tail) = key.as_chunks::<16>();
    for chunk in chunks {
        state = fold(state ^ word(&chunk[..8]), seed ^ word(&chunk[8..]));
    }
    let (low, high) = match tail.len() {
        0 => (0, 0),
        len @ 8.. => (word(tail), word(&tail[len - 8..])),
        len @ 4.. => {
            let half = |bytes: &[u8]| bytes.first_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)));
            (half(tail), half(&tail[len - 4..]))
        }
        len => (u64::from(tail[0]) << 8 | u64::from(tail[len - 1]), u64::from(tail[len / 2])),
    };
    fold(fold(state ^ low, seed ^ high ^ K[2]), K[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;

    #[test]
    fn every_length_is_hashed_whole() {
        let text: Vec<u8> = (0..64).collect();
        for len in 1..=text.len() {
            let base = hash(7, &text[..len]);
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 1;
                assert_ne!(hash(7, &other), base, "byte {at} of {len} is not hashed");
            }
            assert_ne!(hash(8, &text[..len]), base);
        }
    }

    #[test]
    fn hashes_of_like_names_spread() {
        let names = 50_000;
        let low: BTreeSet<u64> =
            (0..names).map(|i| hash(0, format!("h{i}.z{}.example.com", i % 97).as_bytes()) & 0xffff).collect();
        // Of 65536 places, 50000 random draws hit about 34,900.
        assert!((34_000..36_000).contains(&low.len()), "{} of 65536 places", low.len());
    }

    #[test]
    fn of_equal_names_the_first_stays() {
        let map = NameMap::new(
            0,
            [("a.b", 1), ("A.b.", 2), ("*.b", 3), ("f*.b", 4)].map(|(n, v)| (CertName::new(n.as_bytes()), v)),
        );
        assert_eq!(map.len(), 2);
        assert_eq!(map.get(&"a.b".parse().unwrap()), Some((NameMatch::Exact, &1)));
        assert_eq!(map.get(&"b".parse().unwrap()), None);
    }
}
