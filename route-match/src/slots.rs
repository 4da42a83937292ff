//! Where in a table does the entry with this hash lie? Open addressing over slots of two or four bytes.

/// An immutable hash index: it keeps entry numbers, the caller keeps the entries and compares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    slots: Box<[u8]>,
    layout: Layout,
}

/// How slots of two or four bytes are laid out.
///
/// Keys come from the wire only as questions; what is stored is the operator's, so no one can grow a chain at run time.
/// A slot is 0 if it is empty, as half of all are; else the entry's number, counted from 1, and, in the bits that no number
/// needs, a tag out of the hash, so that a question without an answer rarely touches an entry. The slots of a small table are
/// narrow, since lines of memory are what a look-up costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    /// How many slots there are.
    len: u32,
    /// The bits of a slot that hold a number.
    number: u32,
}

impl Slots {
    /// Indexes entries by their hashes; entry numbers are below `u32::MAX`.
    pub(crate) fn new(entries: impl ExactSizeIterator<Item = (u64, u32)> + Clone) -> Self {
        let greatest = entries.clone().map(|(_, entry)| entry).max().unwrap_or_default();
        let layout = Layout::new(entries.len(), greatest);
        let mut slots = vec![0; layout.size()];
        for (hash, entry) in entries {
            layout.insert(&mut slots, hash, entry);
        }
        Self { slots: slots.into(), layout }
    }

    /// The first entry of this hash for which `same` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, same: impl FnMut(u32) -> bool) -> Option<u32> {
        self.layout.find(&self.slots, hash, same)
    }
}

impl Layout {
    /// The layout for so many entries, below 2^31, of numbers up to `greatest`, which is below `u32::MAX`.
    pub(crate) fn new(entries: usize, greatest: u32) -> Self {
        let number = u32::MAX.checked_shr((greatest + 1).leading_zeros()).unwrap_or_default();
        Self { len: entries as u32 * 2, number }
    }

    /// How many bytes the slots take. They begin as 0.
    pub(crate) fn size(self) -> usize {
        self.len as usize * if self.is_wide() { 4 } else { 2 }
    }

    /// Adds an entry; there are no more of them than the layout was made for.
    pub(crate) fn insert(self, slots: &mut [u8], hash: u64, entry: u32) {
        if self.is_wide() { self.insert_in::<4>(slots, hash, entry) } else { self.insert_in::<2>(slots, hash, entry) }
    }

    /// The first entry of this hash for which `same` holds.
    #[inline]
    pub(crate) fn find(self, slots: &[u8], hash: u64, same: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.is_wide() { self.find_in::<4>(slots, hash, same) } else { self.find_in::<2>(slots, hash, same) }
    }

    fn insert_in<const WIDTH: usize>(self, slots: &mut [u8], hash: u64, entry: u32) {
        let slots = slots.as_chunks_mut::<WIDTH>().0;
        let mut at = self.home(hash);
        // Ends: the table is never full.
        while word(slots[at]) != 0 {
            at = self.after(at);
        }
        let slot = (self.tag::<WIDTH>(hash) | (entry + 1)).to_le_bytes();
        slots[at].copy_from_slice(&slot[..WIDTH]);
    }

    #[inline]
    fn find_in<const WIDTH: usize>(self, slots: &[u8], hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let slots = slots.as_chunks::<WIDTH>().0;
        let tag = self.tag::<WIDTH>(hash);
        let mut at = self.home(hash);
        loop {
            let slot = word(*slots.get(at)?);
            if slot == 0 {
                return None;
            }
            // A slot that is not empty holds at least 1.
            let entry = (slot & self.number).wrapping_sub(1);
            if slot & !self.number == tag && same(entry) {
                return Some(entry);
            }
            at = self.after(at);
        }
    }

    /// Whether two bytes would leave less than eight bits for a tag.
    #[inline]
    fn is_wide(self) -> bool {
        self.number > 0xff
    }

    /// The bits of the hash that a slot of this width keeps.
    #[inline]
    fn tag<const WIDTH: usize>(self, hash: u64) -> u32 {
        hash as u32 & u32::MAX >> (32 - 8 * WIDTH) & !self.number
    }

    /// Where the search for a hash begins: its upper half, scaled to the table, which need not be a power of two.
    #[inline]
    fn home(self, hash: u64) -> usize {
        (((hash >> 32) * u64::from(self.len)) >> 32) as usize
    }

    #[inline]
    fn after(self, at: usize) -> usize {
        if at + 1 == self.len as usize { 0 } else { at + 1 }
    }
}

/// The bytes of a slot, the lowest first.
#[inline]
fn word<const WIDTH: usize>(slot: [u8; WIDTH]) -> u32 {
    slot.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_hash_are_told_apart_by_comparing() {
        let keys = ["a", "b", "c"];
        let slots = Slots::new((0..3).map(|entry| (7 << 32, entry)));
        for (entry, key) in (0..).zip(keys) {
            assert_eq!(slots.find(7 << 32, |entry| keys[entry as usize] == key), Some(entry));
        }
        assert_eq!(slots.find(7 << 32, |_| false), None);
        assert_eq!(slots.find(7 << 32 | 1 << 15, |_| true), None, "another tag");
    }

    #[test]
    fn a_chain_goes_on_at_the_beginning() {
        let last = u64::MAX;
        for numbers in [[10, 20], [1_000, 70_000]] {
            let slots = Slots::new(numbers.map(|entry| (last, entry)).into_iter());
            assert_eq!(slots.find(last, |entry| entry == numbers[1]), Some(numbers[1]));
            assert_eq!(slots.find(last, |entry| entry == 30), None);
        }
    }

    #[test]
    fn numbers_of_any_size_are_found() {
        for greatest in [0, 1, 127, 128, 254, 255, 256, 65_535, 65_536, 1 << 24, u32::MAX - 1] {
            let entries = [(1, greatest), (u64::MAX, 0), (3 << 40, greatest / 2)];
            let slots = Slots::new(entries.into_iter());
            for (hash, entry) in entries {
                assert_eq!(slots.find(hash, |found| found == entry), Some(entry), "{greatest}");
            }
        }
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(Slots::default().find(0, |_| true), None);
        assert_eq!(Slots::new([].into_iter()).find(0, |_| true), None);
    }
}
