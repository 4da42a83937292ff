//! A table of slots filled by preference: what Maglev, katran's and IPVS's tables have in common.

use alloc::boxed::Box;
use alloc::vec;

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

fn fill<S: Slot, P: Preference>(preferences: &mut [P], size: u32, order: impl Iterator<Item = usize>) -> Box<[S]> {
    if preferences.is_empty() {
        return Box::default();
    }
    let mut slots = vec![S::FREE; size as usize].into_boxed_slice();
    let mut free = size;
    for turn in order {
        let walk = &mut preferences[turn];
        let slot = loop {
            let slot = walk.next(size);
            if slots[slot as usize] == S::FREE {
                break slot;
            }
        };
        slots[slot as usize] = S::of(walk.owner());
        free -= 1;
        if free == 0 {
            break;
        }
    }
    slots
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
