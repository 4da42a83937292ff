//! Which values belong to a number? A map that shares with its copies all that did not change since.
//!
//! A hash array mapped trie: five bits of the key choose among up to 32 slots, the next five bits among those of the slot
//! chosen, until one key is left. Slots lie side by side without gaps, a bitmap tells which are there. A change copies the
//! slots on the way to its key, and those only if a copy of the trie has them too. The most significant bits
//! choose first, so that keys come in order and the keys of a range hang together.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Bits of the key that one level looks at.
const STEP: u32 = 5;

/// A number that leads through the trie.
pub(super) trait Key: Copy + Ord + fmt::Debug {
    /// The bits of one level, counted from the most significant ones.
    fn digit(self, level: u32) -> u32;
}

impl Key for u32 {
    fn digit(self, level: u32) -> u32 {
        (self << (level * STEP)) >> (u32::BITS - STEP)
    }
}

impl Key for u128 {
    fn digit(self, level: u32) -> u32 {
        ((self << (level * STEP)) >> (u128::BITS - STEP)) as u32
    }
}

/// Values of one key stand in the order of their ranks; of two with the same rank the later replaces the earlier.
pub(super) trait Ranked: Clone {
    fn rank(&self) -> impl Ord + '_;
}

fn by_rank<'a, V: Ranked>(one: &'a V, other: &'a V) -> Ordering {
    one.rank().cmp(&other.rank())
}

/// A map from keys to one or several values each.
///
/// Looking up, adding and removing cost the number of levels, O(log keys) at worst the bits of the key, plus O(log values) of the key.
/// Two tries with the same content are equal in form as well.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Trie<K, V> {
    root: Option<Slot<K, V>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Slot<K, V> {
    Leaf(K, Few<V>),
    /// Never a single leaf: that stands in the place of the branch.
    Branch {
        map: u32,
        slots: Arc<[Slot<K, V>]>,
    },
}

/// Mostly one.
#[derive(Clone, PartialEq, Eq)]
enum Few<V> {
    One(V),
    Many(Arc<Vec<V>>),
}

impl<K: Key, V: Ranked> Trie<K, V> {
    pub(super) fn new() -> Self {
        Self { root: None }
    }

    /// Of these entries, each rank of a key but once. Costs sorting them.
    pub(super) fn build(mut entries: Vec<(K, V)>) -> Self {
        entries.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| by_rank(&a.1, &b.1)));
        Self { root: (!entries.is_empty()).then(|| Slot::build(&entries, 0)) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The values of a key, in the order of their ranks.
    #[inline]
    pub(super) fn get(&self, key: K) -> &[V] {
        let Some(mut slot) = self.root.as_ref() else { return &[] };
        let mut level = 0;
        loop {
            match slot {
                Slot::Leaf(leaf, values) if *leaf == key => return values.as_slice(),
                Slot::Leaf(..) => return &[],
                Slot::Branch { map, slots } => {
                    let bit = 1 << key.digit(level);
                    if map & bit == 0 {
                        return &[];
                    }
                    slot = &slots[place(*map, bit)];
                    level += 1;
                }
            }
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match &mut self.root {
            Some(root) => root.insert(key, value, 0),
            root => *root = Some(Slot::Leaf(key, Few::One(value))),
        }
    }

    /// Removes the value with the rank of this one, if it is there.
    pub(super) fn remove(&mut self, key: K, value: &V) {
        let is_there = self.get(key).binary_search_by(|other| by_rank(other, value)).is_ok();
        if is_there
            && let Some(root) = &mut self.root
            && root.remove(key, value, 0)
        {
            self.root = None;
        }
    }

    /// Whether a key lies in a range, both ends included, that holds every key with some leading bits.
    pub(super) fn any_within(&self, first: K, last: K) -> bool {
        let Some(mut slot) = self.root.as_ref() else { return false };
        let mut level = 0;
        loop {
            match slot {
                Slot::Leaf(key, _) => return (first..=last).contains(key),
                Slot::Branch { map, slots } => {
                    let (low, high) = (first.digit(level), last.digit(level));
                    let bits = (u32::MAX >> (31 - high)) & (u32::MAX << low) & map;
                    if low != high || bits == 0 {
                        return bits != 0;
                    }
                    slot = &slots[place(*map, 1 << low)];
                    level += 1;
                }
            }
        }
    }
}

impl<K: Copy, V> Trie<K, V> {
    /// Every value, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let mut open = vec![self.root.as_slice().iter()];
        let leaves = std::iter::from_fn(move || {
            loop {
                match open.last_mut()?.next() {
                    None => drop(open.pop()),
                    Some(Slot::Leaf(key, values)) => return Some((*key, values.as_slice())),
                    Some(Slot::Branch { slots, .. }) => open.push(slots.iter()),
                }
            }
        });
        leaves.flat_map(|(key, values)| values.iter().map(move |value| (key, value)))
    }
}

/// Where the slot of a bit stands among those of a map.
fn place(map: u32, bit: u32) -> usize {
    match map {
        // Most branches at the top have every slot, and counting takes a dozen instructions on the plainest machines.
        u32::MAX => bit.trailing_zeros() as usize,
        _ => (map & (bit - 1)).count_ones() as usize,
    }
}

impl<K: Key, V: Ranked> Slot<K, V> {
    /// From at least one entry, in order; all agree in the bits of the levels above.
    fn build(entries: &[(K, V)], level: u32) -> Self {
        let (first, last) = (entries[0].0, entries[entries.len() - 1].0);
        if first == last {
            return Self::Leaf(first, Few::of(entries.iter().map(|(_, value)| value.clone())));
        }
        let mut map = 0;
        let mut slots = Vec::with_capacity(32);
        for part in entries.chunk_by(|a, b| a.0.digit(level) == b.0.digit(level)) {
            map |= 1 << part[0].0.digit(level);
            slots.push(Self::build(part, level + 1));
        }
        Self::Branch { map, slots: slots.into() }
    }

    fn insert(&mut self, key: K, value: V, level: u32) {
        match self {
            Self::Leaf(leaf, values) if *leaf == key => values.insert(value),
            Self::Leaf(..) => *self = Self::pair(self.clone(), Self::Leaf(key, Few::One(value)), key, level),
            Self::Branch { map, slots } => {
                let bit = 1 << key.digit(level);
                let at = place(*map, bit);
                if *map & bit != 0 {
                    return Arc::make_mut(slots)[at].insert(key, value, level + 1);
                }
                let (before, after) = slots.split_at(at);
                let new = [Self::Leaf(key, Few::One(value))];
                *slots = [before, &new, after].concat().into();
                *map |= bit;
            }
        }
    }

    /// A branch over a leaf and one of another key.
    fn pair(old: Self, new: Self, new_key: K, level: u32) -> Self {
        let Self::Leaf(old_key, _) = &old else { return old };
        let (old_digit, new_digit) = (old_key.digit(level), new_key.digit(level));
        let slots = match old_digit.cmp(&new_digit) {
            Ordering::Less => Arc::from([old, new]),
            Ordering::Greater => Arc::from([new, old]),
            Ordering::Equal => Arc::from([Self::pair(old, new, new_key, level + 1)]),
        };
        Self::Branch { map: 1 << old_digit | 1 << new_digit, slots }
    }

    /// Removes a value that is there; whether that leaves nothing.
    fn remove(&mut self, key: K, value: &V, level: u32) -> bool {
        match self {
            Self::Leaf(_, values) => values.remove(value),
            Self::Branch { map, slots } => {
                let bit = 1 << key.digit(level);
                let at = place(*map, bit);
                if Arc::make_mut(slots)[at].remove(key, value, level + 1) {
                    let (before, after) = slots.split_at(at);
                    *slots = [before, &after[1..]].concat().into();
                    *map &= !bit;
                }
                if let [Self::Leaf(..)] = &**slots {
                    let leaf = slots[0].clone();
                    *self = leaf;
                }
                false
            }
        }
    }
}

impl<V> Few<V> {
    fn as_slice(&self) -> &[V] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl<V: Ranked> Few<V> {
    fn of(values: impl ExactSizeIterator<Item = V>) -> Self {
        Self::shared(values.collect())
    }

    fn shared(mut values: Vec<V>) -> Self {
        match values.pop() {
            Some(only) if values.is_empty() => Self::One(only),
            last => {
                values.extend(last);
                Self::Many(Arc::new(values))
            }
        }
    }

    fn insert(&mut self, value: V) {
        match (self.as_slice().binary_search_by(|other| by_rank(other, &value)), self) {
            (Ok(_), Self::One(old)) => *old = value,
            (Ok(at), Self::Many(values)) => Arc::make_mut(values)[at] = value,
            (Err(at), Self::Many(values)) => Arc::make_mut(values).insert(at, value),
            (Err(at), few @ Self::One(_)) => {
                let mut values = few.as_slice().to_vec();
                values.insert(at, value);
                *few = Self::shared(values);
            }
        }
    }

    /// Removes a value that is there; whether that leaves nothing.
    fn remove(&mut self, value: &V) -> bool {
        match self {
            Self::One(_) => true,
            Self::Many(values) => {
                let left = values.iter().filter(|other| by_rank(*other, value).is_ne()).cloned().collect();
                *self = Self::shared(left);
                false
            }
        }
    }
}

impl<K: Copy + fmt::Debug, V: fmt::Debug> fmt::Debug for Trie<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Ranked for (u8, u8) {
        fn rank(&self) -> impl Ord + '_ {
            self.0
        }
    }

    type Model = BTreeMap<(u32, u8), u8>;

    fn content<K: Key>(trie: &Trie<K, (u8, u8)>) -> Vec<(K, (u8, u8))> {
        trie.iter().map(|(key, value)| (key, *value)).collect()
    }

    /// Keys that share leading bits, trailing bits, or all.
    fn key() -> impl Strategy<Value = u32> {
        prop_oneof![
            0..4u32,
            (0..4u32).prop_map(|key| key << 30),
            Just(u32::MAX),
            any::<u32>(),
            0x0a80_0000..0x0a80_0040u32
        ]
    }

    proptest! {
        #[test]
        fn a_trie_is_a_map_and_its_copies_keep_what_they_had(
            steps in prop::collection::vec((key(), 0..3u8, any::<u8>(), prop::bool::weighted(0.6), prop::bool::weighted(0.2)), 0..200),
        ) {
            let (mut trie, mut model) = (Trie::new(), Model::new());
            let mut copies = Vec::new();
            for (key, rank, value, is_new, copied) in steps {
                if is_new {
                    trie.insert(key, (rank, value));
                    model.insert((key, rank), value);
                } else {
                    trie.remove(key, &(rank, value));
                    model.remove(&(key, rank));
                }
                if copied {
                    copies.push((trie.clone(), content(&trie)));
                }
                let wanted: Vec<_> = model.iter().map(|((key, rank), value)| (*key, (*rank, *value))).collect();
                prop_assert_eq!(&content(&trie), &wanted);
                let values: Vec<_> = model.range((key, 0)..=(key, 9)).map(|((_, rank), value)| (*rank, *value)).collect();
                prop_assert_eq!(trie.get(key), &values);
                prop_assert_eq!(trie.get(!key).len(), model.range((!key, 0)..=(!key, 9)).count());
                // Whatever the way, the form is that of one built at once.
                prop_assert!(trie == Trie::build(wanted));
            }
            for (copy, kept) in copies {
                prop_assert_eq!(content(&copy), kept);
            }
        }

        #[test]
        fn ranges_of_leading_bits_are_found(keys in prop::collection::vec(key(), 0..20), probe in key(), bits in 0..=32u32) {
            let trie = Trie::build(keys.iter().map(|key| (*key, (0, 0))).collect::<BTreeMap<_, _>>().into_iter().collect());
            let open = u32::MAX.checked_shr(bits).unwrap_or(0);
            let (first, last) = (probe & !open, probe | open);
            prop_assert_eq!(trie.any_within(first, last), keys.iter().any(|key| (first..=last).contains(key)));
            let wide = Trie::build(keys.iter().map(|key| (u128::from(*key) << 64, (0, 0))).collect::<BTreeMap<_, _>>().into_iter().collect());
            let end = (u128::from(last) << 64) | u128::from(u64::MAX);
            prop_assert_eq!(wide.any_within(u128::from(first) << 64, end), trie.any_within(first, last));
        }
    }
}
