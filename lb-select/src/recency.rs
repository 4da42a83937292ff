//! What was used last? A map of bounded size that forgets whatever was touched longest ago.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::ops::{Index, IndexMut};

/// No slot: the end of a chain or of the order.
const NONE: u32 = u32::MAX;

/// A hash map with chains and an order of use, all in slots that are reserved at construction.
///
/// Neither answers nor order depend on the hasher, only the time does: O(1) expected with a keyed one.
#[derive(Debug)]
pub(crate) struct Recency<V, S> {
    hasher: S,
    /// The first slot of each chain; a power of two of them.
    chains: Vec<u32>,
    slots: Vec<Slot<V>>,
    capacity: usize,
    newest: u32,
    oldest: u32,
}

#[derive(Debug)]
struct Slot<V> {
    key: u128,
    value: V,
    /// The next slot of the same chain.
    chained: u32,
    newer: u32,
    older: u32,
}

impl<V, S: BuildHasher> Recency<V, S> {
    pub(crate) fn with_capacity(capacity: u32, hasher: S) -> Result<Self, TryReserveError> {
        let capacity = capacity as usize;
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity)?;
        let mut chains = Vec::new();
        let count = capacity.next_power_of_two();
        chains.try_reserve_exact(count)?;
        chains.resize(count, NONE);
        Ok(Self { hasher, chains, slots, capacity, newest: NONE, oldest: NONE })
    }

    /// A map whose slots are taken as they are needed.
    pub(crate) fn growing(capacity: u32, hasher: S) -> Self {
        let (slots, capacity) = (Vec::new(), capacity as usize);
        let chains = alloc::vec![NONE; capacity.next_power_of_two()];
        Self { hasher, chains, slots, capacity, newest: NONE, oldest: NONE }
    }

    /// The slot of `key`, without touching it.
    pub(crate) fn find(&self, key: u128) -> Option<u32> {
        let mut at = self.chains[self.chain(key)];
        while at != NONE {
            let slot = self.slot(at);
            if slot.key == key {
                return Some(at);
            }
            at = slot.chained;
        }
        None
    }

    /// Makes a slot the newest.
    pub(crate) fn touch(&mut self, at: u32) {
        if at != self.newest {
            self.leave_order(at);
            self.become_newest(at);
        }
    }

    /// Sets the value of `key` and makes it the newest; the oldest goes if there is no room.
    pub(crate) fn insert(&mut self, key: u128, value: V) {
        if let Some(at) = self.find(key) {
            self[at] = value;
            return self.touch(at);
        }
        let at = if self.slots.len() < self.capacity {
            // Below `NONE`, because `capacity` came from a u32.
            let at = self.slots.len() as u32;
            self.slots.push(Slot { key, value, chained: NONE, newer: NONE, older: NONE });
            at
        } else if self.oldest != NONE {
            let at = self.oldest;
            self.leave_order(at);
            self.leave_chain(at);
            let slot = self.slot_mut(at);
            (slot.key, slot.value) = (key, value);
            at
        } else {
            return; // a capacity of 0 remembers nothing
        };
        self.become_newest(at);
        let chain = self.chain(key);
        self.slot_mut(at).chained = core::mem::replace(&mut self.chains[chain], at);
    }

    /// All entries, those touched longest ago first.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = (u128, &V)> {
        let slot = |at: u32| (at != NONE).then(|| self.slot(at));
        core::iter::successors(slot(self.oldest), move |last| slot(last.newer)).map(|slot| (slot.key, &slot.value))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slots.iter_mut().map(|slot| &mut slot.value)
    }

    fn chain(&self, key: u128) -> usize {
        self.hasher.hash_one(key) as usize & (self.chains.len() - 1)
    }

    fn leave_chain(&mut self, at: u32) {
        let (key, next) = (self.slot(at).key, self.slot(at).chained);
        let chain = self.chain(key);
        if self.chains[chain] == at {
            self.chains[chain] = next;
            return;
        }
        let mut before = self.chains[chain];
        while self.slot(before).chained != at {
            before = self.slot(before).chained;
        }
        self.slot_mut(before).chained = next;
    }

    fn leave_order(&mut self, at: u32) {
        let (newer, older) = (self.slot(at).newer, self.slot(at).older);
        match newer {
            NONE => self.newest = older,
            _ => self.slot_mut(newer).older = older,
        }
        match older {
            NONE => self.oldest = newer,
            _ => self.slot_mut(older).newer = newer,
        }
    }

    fn become_newest(&mut self, at: u32) {
        let second = core::mem::replace(&mut self.newest, at);
        match second {
            NONE => self.oldest = at,
            _ => self.slot_mut(second).newer = at,
        }
        let slot = self.slot_mut(at);
        (slot.newer, slot.older) = (NONE, second);
    }
}

impl<V, S> Recency<V, S> {
    fn slot(&self, at: u32) -> &Slot<V> {
        &self.slots[at as usize]
    }

    fn slot_mut(&mut self, at: u32) -> &mut Slot<V> {
        &mut self.slots[at as usize]
    }
}

impl<V, S> Index<u32> for Recency<V, S> {
    type Output = V;

    fn index(&self, at: u32) -> &V {
        &self.slot(at).value
    }
}

impl<V, S> IndexMut<u32> for Recency<V, S> {
    fn index_mut(&mut self, at: u32) -> &mut V {
        &mut self.slot_mut(at).value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::{BuildHasherDefault, Hasher};
    use proptest::prelude::*;
    use std::hash::DefaultHasher;

    /// The worst a hash can do: everything collides.
    #[derive(Debug, Default)]
    struct Colliding;
    impl Hasher for Colliding {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, _: &[u8]) {}
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u128, u8),
        Touch(u128),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..12u128, any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            (0..12u128).prop_map(Step::Touch),
        ];
        proptest::collection::vec(step, 0..80)
    }

    /// Runs the steps against a plain list, newest last.
    fn agrees_with_a_list<H: Hasher + Default>(capacity: u32, steps: &[Step]) {
        let mut map = Recency::with_capacity(capacity, BuildHasherDefault::<H>::default()).unwrap();
        let mut list: Vec<(u128, u8)> = Vec::new();
        for step in steps {
            match *step {
                Step::Insert(key, value) => {
                    map.insert(key, value);
                    list.retain(|(k, _)| *k != key);
                    list.push((key, value));
                    if list.len() > capacity as usize {
                        list.remove(0);
                    }
                }
                Step::Touch(key) => {
                    if let Some(at) = map.find(key) {
                        map.touch(at);
                    }
                    if let Some(at) = list.iter().position(|(k, _)| *k == key) {
                        let entry = list.remove(at);
                        list.push(entry);
                    }
                }
            }
            assert_eq!(map.slots.len(), list.len());
            for key in 0..12 {
                let expected = list.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
                assert_eq!(map.find(key).map(|at| map[at]), expected, "key {key}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_plain_list_of_the_newest_agrees(capacity in 0..9u32, steps in steps()) {
            agrees_with_a_list::<DefaultHasher>(capacity, &steps);
        }

        #[test]
        fn a_hash_without_a_spread_changes_no_answer(capacity in 0..9u32, steps in steps()) {
            agrees_with_a_list::<Colliding>(capacity, &steps);
        }
    }
}
