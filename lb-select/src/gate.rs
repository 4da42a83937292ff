//! Which endpoints are closed? A bit for each, close together, so that a pick learns it without a look at the endpoint.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::array;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What opens and closes one endpoint, for all pools that share its [`Load`](crate::Load). Open again when dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    block: Arc<Block>,
    bit: u16,
}

impl Gate {
    pub(crate) fn close(&self) {
        let (word, mask) = self.block.bit(self.bit);
        if word.fetch_or(mask, Ordering::Relaxed) & mask == 0 {
            self.block.line.closed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn open(&self) {
        let (word, mask) = self.block.bit(self.bit);
        if word.fetch_and(!mask, Ordering::Relaxed) & mask != 0 {
            self.block.line.closed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.block.is_set(self.bit)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

/// The gates of the endpoints of one pool, by their index there.
#[derive(Debug, Clone)]
pub(crate) struct Gates {
    line: Arc<Line>,
    blocks: Box<[Arc<Block>]>,
    /// Where each endpoint's bit is; nothing if bits are in the order of endpoints, as they are until the first update.
    places: Box<[Place]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The number of the block in `Gates::blocks`.
    block: u32,
    bit: u16,
}

impl Gates {
    /// The gates of these endpoints, all of the line of `maker`.
    pub(crate) fn of<'a>(maker: GateMaker, gates: impl Iterator<Item = &'a Gate>) -> Self {
        let (mut numbers, mut blocks) = (BTreeMap::new(), Vec::new());
        let place = |gate: &Gate| {
            let block = *numbers.entry(gate.block.number).or_insert_with(|| {
                blocks.push(Arc::clone(&gate.block));
                // Not more blocks than endpoints, of which a pool has fewer than 2^32.
                blocks.len() as u32 - 1
            });
            Place { block, bit: gate.bit }
        };
        let mut places: Box<[Place]> = gates.map(place).collect();
        if places.iter().enumerate().all(|(index, &place)| place == Place::in_order(index)) {
            places = Box::default();
        }
        Self { line: maker.line, blocks: blocks.into(), places }
    }

    /// Whether no endpoint of the line of pools is closed: one word that spares the usual pick a look at each.
    #[inline]
    pub(crate) fn are_open(&self) -> bool {
        self.line.closed.load(Ordering::Relaxed) == 0
    }

    /// Whether the endpoint at this index is closed.
    #[inline]
    pub(crate) fn is_closed(&self, index: usize) -> bool {
        let place = if self.places.is_empty() { Place::in_order(index) } else { self.places[index] };
        self.blocks[place.block as usize].is_set(place.bit)
    }
}

impl Place {
    #[inline]
    fn in_order(index: usize) -> Self {
        Self { block: (index / usize::from(BITS)) as u32, bit: (index % usize::from(BITS)) as u16 }
    }
}

/// Makes gates for the endpoints that a pool adds to its line.
#[derive(Debug)]
pub(crate) struct GateMaker {
    line: Arc<Line>,
    /// The block from which bits were taken last.
    block: Option<Arc<Block>>,
}

impl GateMaker {
    /// For the next pool of the line of these gates, or the first of a new line.
    pub(crate) fn after(before: Option<&Gates>) -> Self {
        match before {
            Some(gates) => Self { line: Arc::clone(&gates.line), block: gates.blocks.last().cloned() },
            None => Self { line: Arc::default(), block: None },
        }
    }

    pub(crate) fn gate(&mut self) -> Gate {
        let free = |block: &Arc<Block>| Some(Gate { block: Arc::clone(block), bit: block.take()? });
        if let Some(gate) = self.block.as_ref().and_then(free) {
            return gate;
        }
        let block = Arc::new(Block::first_taken(Arc::clone(&self.line)));
        self.block = Some(Arc::clone(&block));
        Gate { block, bit: 0 }
    }
}

/// What the pools of a line, each made to replace the one before, have in common.
#[derive(Debug, Default)]
struct Line {
    /// How many endpoints are closed.
    closed: AtomicU32,
    /// How many blocks there have been.
    blocks: AtomicU64,
}

/// The bits of up to 512 endpoints: a cache line. A bit is given to one endpoint only, and its block goes with the last of
/// its endpoints, so that memory does not grow with the number of updates.
#[derive(Debug)]
struct Block {
    line: Arc<Line>,
    /// Different for all blocks of a line.
    number: u64,
    taken: AtomicU32,
    words: [AtomicU64; WORDS],
}

const WORDS: usize = 8;
const BITS: u16 = 64 * WORDS as u16;

impl Block {
    /// A block of which bit 0 is taken.
    fn first_taken(line: Arc<Line>) -> Self {
        let number = line.blocks.fetch_add(1, Ordering::Relaxed);
        Self { line, number, taken: AtomicU32::new(1), words: array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Takes a bit, if there is one left. Two pools may be made at once from the one before.
    fn take(&self) -> Option<u16> {
        let next = |taken| (taken < u32::from(BITS)).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.ok().map(|bit| bit as u16) // below BITS
    }

    #[inline]
    fn bit(&self, bit: u16) -> (&AtomicU64, u64) {
        (&self.words[usize::from(bit) / 64 % WORDS], 1 << (bit % 64))
    }

    #[inline]
    fn is_set(&self, bit: u16) -> bool {
        let (word, mask) = self.bit(bit);
        word.load(Ordering::Relaxed) & mask != 0
    }
}

#[cfg(test)]
mod tests {
    use crate::Pool;
    use alloc::{format, vec};
    use proptest::prelude::*;

    proptest! {
        /// Pools of more endpoints than a block has bits, each made from an earlier one, so that bits are anywhere.
        #[test]
        fn a_pool_knows_which_of_its_endpoints_are_closed(
            updates in proptest::collection::vec((0..700_u32, 1..600_u32, 1..4_u32, 0..3_usize), 1..6),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..60),
        ) {
            let mut pools = vec![Pool::of((0..600).map(|i| format!("{i}"))).unwrap()];
            for (first, count, step, back) in updates {
                let before = &pools[pools.len() - 1 - back % pools.len()];
                let keys = (0..count).map(|i| format!("{}", first + i * step));
                let next = keys.fold(Pool::builder(), |pool, key| pool.endpoint(key.as_str(), key.clone()));
                let next = next.carry_over(before).build().unwrap();
                pools.push(next);
            }
            for (index, (place, close)) in changes.iter().enumerate() {
                let pool = &pools[index % pools.len()];
                let load = pool.load(place.index(pool.len()));
                if *close { load.close() } else { load.open() }
            }
            let mut all = alloc::collections::BTreeMap::new();
            for pool in &pools {
                for index in 0..pool.len() {
                    let load = pool.load(index);
                    prop_assert_eq!(pool.members().is_closed(index), load.is_closed());
                    all.insert(alloc::sync::Arc::as_ptr(load), load.is_closed());
                }
                let after = pool.with_weights(|_| 2);
                prop_assert!((0..pool.len()).all(|i| after.members().is_closed(i) == pool.load(i).is_closed()));
            }
            prop_assert_eq!(pools[0].members().is_open(), !all.values().any(|&closed| closed));
        }
    }

    #[test]
    fn an_endpoint_that_left_while_closed_does_not_keep_picks_looking() {
        let old = Pool::of(["a", "b"]).unwrap();
        old.load(0).close();
        let new = Pool::builder().carry_over(&old).endpoint("b", "b").endpoint("c", "c").build().unwrap();
        assert!(!new.members().is_open());
        drop(old);
        assert!(new.members().is_open());
    }

    #[test]
    fn bits_are_shared_by_endpoints_that_join_one_by_one() {
        let mut pool = Pool::of(["0"]).unwrap();
        for joins in 1..2000 {
            let keys = (joins - 1..=joins).map(|key| format!("{key}"));
            let next = keys.fold(Pool::builder(), |pool, key| pool.endpoint(key, "0"));
            pool = next.carry_over(&pool).build().unwrap();
        }
        assert!(pool.members().gates().blocks.len() <= 2);
    }
}
