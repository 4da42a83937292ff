//! What is filed under a name? A hash table of names whose copies share what did not change.

mod leaf;
mod pages;
mod tree;

use crate::cert_name::CertName;
use crate::server_name::ServerName;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use leaf::{Record, records};
use tree::Tree;

pub(crate) use leaf::{Value, Values};
pub(crate) use pages::Pages;

/// Names a leaf is made for; it may come to hold twice as many before the table grows.
const LOAD: usize = 4;

/// Values filed under exact names and one-label wildcards, several a name in the order of preference.
///
/// A name's hash leads down a tree of fixed depth to a leaf of a few names, each in a slice of its own. A copy costs a
/// reference count; a change copies the way to one leaf.
#[derive(Clone, Debug)]
pub(crate) struct NameTable {
    seed: u64,
    root: Tree<u8>,
    /// The tree has two to the power of this many leaves.
    bits: u32,
    /// Values that are filed.
    len: usize,
    /// How many of them are filed under wildcards.
    wildcards: usize,
}

/// A name as the table holds it: an exact name as it is, a wildcard `*.x` as `.x`.
pub(crate) type Key = Box<[u8]>;

/// The key of a name; `None` if it is inert.
pub(crate) fn key_of(name: &CertName) -> Option<Key> {
    let zone = || Some([b".", name.wildcard_zone()?.as_bytes()].concat().into());
    name.exact().map(|text| text.as_bytes().into()).or_else(zone)
}

/// Where a key is filed, whatever the size of the table: the bits of its hash that lead to its leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way(u32);

impl NameTable {
    /// A table of these values. Of one name, the earlier are preferred.
    pub(crate) fn new<'k>(seed: u64, entries: impl IntoIterator<Item = (&'k [u8], Value)>) -> NameTable {
        let mut records: Vec<(Way, Record<'k>)> = entries
            .into_iter()
            .map(|(text, value)| {
                let hash = hash(seed, text);
                (way(hash), Record { tag: tag(hash), value, text })
            })
            .collect();
        let (len, wildcards) = (records.len(), records.iter().filter(|(_, record)| is_wildcard(record.text)).count());
        let bits = bits_for(len);
        let place = |way: Way| place(way, bits);
        records.sort_by(|(a, x), (b, y)| place(*a).cmp(&place(*b)).then_with(|| x.text.cmp(y.text)));
        let records: (Vec<Way>, Vec<Record<'k>>) = records.into_iter().unzip();
        let (ways, mut rest) = (records.0, records.1.as_slice());
        let mut ways = ways.into_iter().peekable();
        let none: Arc<[u8]> = Arc::new([]);
        let leaves = (0..1 << bits).map(|at| {
            let count = core::iter::from_fn(|| ways.next_if(|way| place(*way) == at)).count();
            let (here, later) = rest.split_at(count);
            rest = later;
            if here.is_empty() { none.clone() } else { leaf::encode(here) }
        });
        NameTable { seed, root: Tree::of(leaves.collect()), bits, len, wildcards }
    }

    /// The values of the very name.
    #[inline(always)]
    pub(crate) fn exact(&self, name: &ServerName) -> Values<'_> {
        self.find(name.as_bytes())
    }

    /// The values of the wildcard in place of the first label.
    #[inline(always)]
    pub(crate) fn wildcard(&self, name: &ServerName) -> Values<'_> {
        match name.suffix_bytes() {
            Some(suffix) if self.wildcards > 0 => self.find(suffix),
            _ => Values::none(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where a key is filed.
    pub(crate) fn way(&self, key: &[u8]) -> Way {
        way(hash(self.seed, key))
    }

    #[inline(always)]
    fn find(&self, key: &[u8]) -> Values<'_> {
        let hash = hash(self.seed, key);
        Values::of(tag(hash), key, self.root.leaf(place(way(hash), self.bits)))
    }

    /// Files a value under a name, before the first that `before` is true of.
    pub(crate) fn insert(&mut self, key: &[u8], value: Value, before: impl Fn(Value) -> bool) {
        if self.len >= (2 * LOAD) << self.bits {
            self.grow();
        }
        let hash = hash(self.seed, key);
        let Some(leaf) = self.root.leaf_mut(place(way(hash), self.bits)) else {
            return; // not reached: there is a leaf for every hash
        };
        let mut all: Vec<Record<'_>> = records(leaf).collect();
        let same = |record: &Record<'_>| record.text == key;
        let start = all.iter().position(same).unwrap_or(all.len());
        let after = all[start..].iter().take_while(|record| same(record) && !before(record.value)).count();
        all.insert(start + after, Record { tag: tag(hash), value, text: key });
        let changed = leaf::encode(&all);
        *leaf = changed;
        self.len += 1;
        self.wildcards += usize::from(is_wildcard(key));
    }

    /// Takes a value from the leaf at the end of a way, and says under which names it was.
    pub(crate) fn remove(&mut self, way: Way, value: Value) -> Vec<Key> {
        let Some(leaf) = self.root.leaf_mut(place(way, self.bits)) else {
            return Vec::new(); // not reached: there is a leaf for every hash
        };
        let (gone, kept): (Vec<Record<'_>>, Vec<Record<'_>>) = records(leaf).partition(|record| record.value == value);
        let keys: Vec<Key> = gone.iter().map(|record| record.text.into()).collect();
        let changed = leaf::encode(&kept);
        *leaf = changed;
        self.len -= keys.len();
        self.wildcards -= keys.iter().filter(|key| is_wildcard(key)).count();
        keys
    }

    #[cold]
    fn grow(&mut self) {
        let old = core::mem::replace(&mut self.root, Tree::empty());
        let all = old.leaves().flat_map(|leaf| records(leaf)).map(|record| (record.text, record.value));
        *self = NameTable::new(self.seed, all);
    }
}

fn is_wildcard(key: &[u8]) -> bool {
    key.first() == Some(&b'.')
}

fn bits_for(len: usize) -> u32 {
    // 2^32 leaves of the hash's way are more than fit a machine.
    len.div_ceil(LOAD).max(1).next_power_of_two().trailing_zeros().min(u32::BITS)
}

#[inline]
fn way(hash: u64) -> Way {
    Way((hash >> 32) as u32)
}

#[inline]
fn place(way: Way, bits: u32) -> usize {
    way.0 as usize & ((1 << bits) - 1)
}

#[inline]
fn tag(hash: u64) -> u8 {
    hash as u8
}

/// Folded multiplication over 16 bytes at a time. Tables are read-only once built, so speed counts here; whoever could
/// choose the names in a table meets the seed.
#[inline]
fn hash(seed: u64, key: &[u8]) -> u64 {
    const K: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];
    #[inline]
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }
    #[inline]
    fn word(bytes: &[u8]) -> u64 {
        // Called with chunks of eight bytes.
        bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
    }
    let half = |bytes: &[u8]| bytes.first_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)));
    let mut state = seed ^ K[0] ^ key.len() as u64;
    let (low, high) = match key.len() {
        len @ 16.. => {
            for chunk in key[..len - 1].as_chunks::<16>().0 {
                state = fold(state ^ word(&chunk[..8]), K[1] ^ word(&chunk[8..]));
            }
            // The last sixteen, some of them again: a branch for each length would cost more.
            (word(&key[len - 16..]), word(&key[len - 8..]))
        }
        len @ 8.. => (word(key), word(&key[len - 8..])),
        len @ 4.. => (half(key), half(&key[len - 4..])),
        0 => (0, 0),
        len => (u64::from(key[0]) << 8 | u64::from(key[len - 1]), u64::from(key[len / 2])),
    };
    fold(fold(state ^ low, seed ^ K[2] ^ high), K[1])
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
    fn a_table_grows_and_its_copies_stay() {
        let value = |i: u64| Value([i as u8, (i >> 8) as u8, 0, 0, 0]);
        let key = |i: u64| format!("h{i}.example").into_bytes();
        let mut table = NameTable::new(1, []);
        let mut copies = Vec::new();
        for i in 0..3000 {
            if i % 500 == 0 {
                copies.push((i, table.clone()));
            }
            table.insert(&key(i), value(i), |_| false);
        }
        copies.push((3000, table));
        for (len, table) in &copies {
            assert_eq!(table.len() as u64, *len);
            for i in 0..3000 {
                assert_eq!(table.find(&key(i)).next(), (i < *len).then(|| value(i)));
            }
        }
    }
}
