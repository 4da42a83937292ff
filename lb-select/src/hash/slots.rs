//! A table of slots filled by preference: what Maglev, katran's and IPVS's tables have in common.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Indices of endpoints, as narrow as they allow. Empty if there is no endpoint to fill it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slots {
    /// Up to 65,535 endpoints.
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

impl Slots {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Narrow(slots) => slots.len(),
            Self::Wide(slots) => slots.len(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, slot: usize) -> Option<usize> {
        match self {
            Self::Narrow(slots) => slots.get(slot).map(|&owner| owner.into()),
            Self::Wide(slots) => slots.get(slot).map(|&owner| owner as usize),
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = usize> {
        (0..self.len()).map(|slot| self.get(slot).unwrap_or_default()) // every slot below the length is there
    }

    /// Fills `size` slots: `order` says whose turn it is, as a position in `preferences`, until no slot is free. Each
    /// turn takes the first free slot of the endpoint's preferences.
    ///
    /// `owners` is the number of endpoints of the pool, so the owners in `preferences` are below it.
    pub(crate) fn fill<P: Preference>(
        preferences: &mut [P],
        owners: usize,
        size: u32,
        order: impl Iterator<Item = usize>,
    ) -> Self {
        match owners {
            0..=0xffff => Self::Narrow(fill(preferences, size, order)),
            _ => Self::Wide(fill(preferences, size, order)),
        }
    }

    /// Fills `size` slots with the owners that `order` names, one after the other.
    pub(crate) fn in_order(owners: usize, size: usize, order: impl Iterator<Item = usize>) -> Self {
        match owners {
            0..=0xffff => Self::Narrow(order.take(size).map(|owner| owner as u16).collect()),
            _ => Self::Wide(order.take(size).map(|owner| owner as u32).collect()),
        }
    }
}

/// An endpoint's walk over all slots, the most preferred first.
pub(crate) trait Preference {
    fn owner(&self) -> u32;
    /// The next slot of the walk.
    fn next(&mut self, size: u32) -> u32;
    /// Walks on to the first of these slots and says which it is; nothing if there is no shorter way than to walk.
    fn first_of(&mut self, _slots: &[u32], _size: u32) -> Option<usize> {
        None
    }
}

/// A walk of equal strides. With a prime number of slots it visits each of them once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stride {
    pub(crate) owner: u32,
    pub(crate) at: u32,
    /// Between 1 and the number of slots − 1.
    pub(crate) skip: u32,
}

impl Stride {
    /// The walk that these two hashes give on a table of `size` slots, at least 2.
    pub(crate) fn new(owner: u32, offset: u64, skip: u64, size: u32) -> Self {
        let m = u64::from(size);
        // Remainders by a u32 fit one.
        Self { owner, at: (offset % m) as u32, skip: (skip % (m - 1) + 1) as u32 }
    }
}

impl Preference for Stride {
    #[inline]
    fn owner(&self) -> u32 {
        self.owner
    }

    #[inline]
    fn next(&mut self, size: u32) -> u32 {
        let at = self.at;
        let next = at + self.skip; // below twice the size, which is below 2^23
        self.at = if next >= size { next - size } else { next };
        at
    }

    /// The number of steps from here to a slot is the distance divided by the stride, modulo the prime number of slots.
    fn first_of(&mut self, slots: &[u32], size: u32) -> Option<usize> {
        let inverse = inverse(self.skip, size);
        let steps = |slot: u32| u64::from(slot + size - self.at) * inverse % u64::from(size);
        let (position, &slot) = slots.iter().enumerate().min_by_key(|&(_, &slot)| steps(slot))?;
        self.at = slot;
        self.next(size);
        Some(position)
    }
}

/// What `number`, from 1 to `prime` − 1, is to be multiplied by to give 1 modulo `prime`: Euclid's algorithm.
fn inverse(number: u32, prime: u32) -> u64 {
    let (mut rest, mut next) = (i64::from(prime), i64::from(number));
    let (mut factor, mut next_factor) = (0, 1);
    while next > 0 {
        let quotient = rest / next;
        (rest, next) = (next, rest - quotient * next);
        (factor, next_factor) = (next_factor, factor - quotient * next_factor);
    }
    factor.rem_euclid(i64::from(prime)) as u64 // below the prime
}

fn fill<S: Slot, P: Preference>(preferences: &mut [P], size: u32, mut order: impl Iterator<Item = usize>) -> Box<[S]> {
    if preferences.is_empty() {
        return Box::default();
    }
    let mut slots = vec![S::FREE; size as usize].into_boxed_slice();
    // While many are free, walking finds one soon. To the last ones it is half of all steps, and shorter by arithmetic.
    let few = size.isqrt();
    for turn in order.by_ref().take((size - few) as usize) {
        let walk = &mut preferences[turn];
        let slot = first_free(walk, &slots, size);
        slots[slot as usize] = S::of(walk.owner());
    }
    let mut free: Vec<u32> = (0..size).filter(|&slot| slots[slot as usize] == S::FREE).collect();
    for turn in order.take(free.len()) {
        let walk = &mut preferences[turn];
        let slot = match walk.first_of(&free, size) {
            Some(position) => free.swap_remove(position),
            None => first_free(walk, &slots, size),
        };
        slots[slot as usize] = S::of(walk.owner());
    }
    slots
}

#[inline]
fn first_free<S: Slot>(walk: &mut impl Preference, slots: &[S], size: u32) -> u32 {
    loop {
        let slot = walk.next(size);
        if slots[slot as usize] == S::FREE {
            return slot;
        }
    }
}

trait Slot: Copy + PartialEq {
    const FREE: Self;
    fn of(owner: u32) -> Self;
}

impl Slot for u16 {
    const FREE: Self = Self::MAX;

    fn of(owner: u32) -> Self {
        owner as Self
    }
}

impl Slot for u32 {
    const FREE: Self = Self::MAX;

    fn of(owner: u32) -> Self {
        owner
    }
}

/// A size that is a prime number not above [`MAX_TABLE_SIZE`], so that every walk of equal strides visits every slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PrimeSize(u32);

/// The greatest table: 5,000,011 slots, Envoy's limit.
pub const MAX_TABLE_SIZE: u32 = 5_000_011;

impl PrimeSize {
    pub(crate) fn new(size: u32) -> Result<Self, super::TableSizeError> {
        let factor = |divisor: &u32| size.is_multiple_of(*divisor);
        let up_to_root = (2..).take_while(|divisor| divisor * divisor <= size);
        match size {
            2..=MAX_TABLE_SIZE if !up_to_root.into_iter().any(|divisor: u32| factor(&divisor)) => Ok(Self(size)),
            _ => Err(super::TableSizeError { size }),
        }
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_free_slots_are_those_that_walking_finds(
            size in prop::sample::select(vec![2_u32, 3, 251, 65_537, MAX_TABLE_SIZE]),
            (at, skip) in any::<(u64, u64)>(),
            slots in proptest::collection::btree_set(any::<u32>(), 1..20),
        ) {
            let mut slots: Vec<u32> = slots.into_iter().map(|slot| slot % size).collect();
            slots.sort_unstable();
            slots.dedup();
            let mut walked = Stride::new(0, at, skip, size);
            let mut jumped = walked;
            let first = (0..size).find_map(|_| slots.binary_search(&walked.next(size)).ok());
            prop_assert_eq!(jumped.first_of(&slots, size), first);
            prop_assert_eq!((jumped.at, jumped.skip), (walked.at, walked.skip));
        }
    }
}
