//! katran's two ways to fill a Maglev table.

use super::function::{Modulo, murmur3};
use super::slots::{Preference, PrimeSize, Slots};
use super::{HashTable, TableSizeError, policy_by_hash};
use crate::ToCandidates;
use crate::candidates::{Candidates, Eligible};
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// What a weight means in a [`Katran`] table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KatranVersion {
    /// A head start: an endpoint takes as many slots in the first round, and one in each round after. Exact only if the
    /// weights add up to about the size of the table.
    V1,
    /// A proportion: an endpoint takes a turn whenever its weights of all rounds so far reach the greatest weight.
    V2,
}

/// katran's Maglev table, slot for slot: preferences by MurmurHash3 of a number that names the endpoint.
///
/// Endpoints take turns in the order of the pool. Built in O(M log M) for M slots, O(M log n) more for weights of
/// [`KatranVersion::V2`]; 2 bytes a slot up to 65,535 endpoints, else 4.
///
/// ```
/// use lb_select::{Pool, hash::{Katran, KatranVersion}};
///
/// let pool = Pool::builder().weighted("a", 2, 1000_u64).weighted("b", 1, 2000).build()?;
/// let table = Katran::new(&pool, KatranVersion::V1, 7, |index| pool[index])?;
/// assert_eq!(table.slots().collect::<Vec<_>>(), [1, 1, 0, 1, 0, 0, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Katran {
    slots: Slots,
    modulo: Modulo,
    eligible: Eligible,
}

policy_by_hash!(Katran);

impl HashTable for Katran {
    /// Attempts go on as those of [`Maglev`](super::Maglev); katran itself makes one.
    #[inline]
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        self.lookup(if attempt == 0 { hash } else { hash ^ u64::from(attempt).wrapping_neg() })
    }
}

impl Katran {
    /// The table of a pool, in which `hash` says what number names the endpoint at an index. Endpoints of weight 0 get no
    /// slot.
    ///
    /// # Errors
    /// Fails if the size is not a prime number, or above [`MAX_TABLE_SIZE`](super::MAX_TABLE_SIZE). katran's own is
    /// [`Maglev::TABLE_SIZE`](super::Maglev::TABLE_SIZE).
    pub fn new(
        candidates: &impl ToCandidates,
        version: KatranVersion,
        table_size: u32,
        mut hash: impl FnMut(usize) -> u64,
    ) -> Result<Self, TableSizeError> {
        let (candidates, size) = (candidates.to_candidates(), PrimeSize::new(table_size)?.get());
        let mut walk = |owner| Walk::new(owner, hash(owner as usize), size);
        let mut walks: Vec<Walk> = candidates.eligible().map(|c| walk(c.index)).collect();
        let owners = candidates.eligible().last().map_or(0, |c| c.index as usize + 1);
        let slots = match version {
            KatranVersion::V1 => Slots::fill(&mut walks, owners, size, head_start(&candidates)),
            KatranVersion::V2 => Slots::fill(&mut walks, owners, size, Proportion::new(&candidates)),
        };
        Ok(Self { modulo: Modulo::new(slots.len() as u32), slots, eligible: Eligible::of(candidates) })
    }

    /// The index of the endpoint for this hash: that of the slot `hash mod M`. `None` if no endpoint has a weight. O(1), no
    /// allocation.
    #[inline]
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        self.slots.get(self.modulo.of(hash))
    }

    /// The index of the endpoint of each slot.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = usize> {
        self.slots.iter()
    }
}

/// A walk whose products wrap at 32 bits, so that on large tables it may come back to a slot before it has seen all.
struct Walk {
    owner: u32,
    offset: u32,
    skip: u32,
    next: u32,
}

impl Walk {
    fn new(owner: u32, hash: u64, size: u32) -> Self {
        let m = u64::from(size);
        let (offset, skip) = (murmur3([hash, 42], 0) % m, murmur3([hash, 2_718_281_828], 2307) % (m - 1) + 1);
        // Remainders by a u32 fit one.
        Self { owner, offset: offset as u32, skip: skip as u32, next: 0 }
    }
}

impl Preference for Walk {
    fn owner(&self) -> u32 {
        self.owner
    }

    fn next(&mut self, size: u32) -> u32 {
        let at = self.offset.wrapping_add(self.next.wrapping_mul(self.skip)) % size;
        self.next = self.next.wrapping_add(1);
        at
    }
}

/// Every entry as often as its weight, and from then on once a round.
fn head_start(candidates: &Candidates) -> impl Iterator<Item = usize> {
    let first = candidates.eligible().enumerate().flat_map(|(entry, c)| (0..c.weight).map(move |_| entry));
    first.chain((0..candidates.eligible().count()).cycle())
}

/// The next round of each entry: its k-th turn is in the first round r with `r · weight ≥ k · greatest`.
struct Proportion {
    queue: BinaryHeap<Reverse<(u64, u32)>>,
    /// Weight, and turns taken.
    entries: Vec<(u32, u64)>,
    greatest: u32,
}

impl Proportion {
    fn new(candidates: &Candidates) -> Self {
        let entries: Vec<(u32, u64)> = candidates.eligible().map(|c| (c.weight, 0)).collect();
        let greatest = entries.iter().map(|(weight, _)| *weight).max().unwrap_or(0);
        let first =
            |(entry, &(weight, _)): (usize, &(u32, u64))| Reverse((greatest.div_ceil(weight).into(), entry as u32));
        Self { queue: entries.iter().enumerate().map(first).collect(), entries, greatest }
    }
}

impl Iterator for Proportion {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let mut next = self.queue.peek_mut()?;
        let Reverse((_, entry)) = *next;
        let (weight, turns) = &mut self.entries[entry as usize];
        *turns += 1;
        // At most 5,000,011 turns of 2^32 each.
        *next = Reverse((((*turns + 1) * u64::from(self.greatest)).div_ceil((*weight).into()), entry));
        Some(entry as usize)
    }
}
