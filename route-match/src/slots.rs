//! Where in a table does the entry with this hash lie? Open addressing over 32-bit slots.

/// An immutable hash index: it keeps entry numbers, the caller keeps the entries and compares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    slots: Box<[Slot]>,
    layout: Layout,
}

/// A slot, as bytes, so that a table may lie among other things.
pub(crate) type Slot = [u8; 4];

/// How slots are laid out.
///
/// Keys come from the wire only as questions; what is stored is the operator's, so no one can grow a chain at run time.
/// A slot is one word: 0 if it is empty, as half of all are; else the entry's number, counted from 1, and, in the bits that no
/// number needs, a tag out of the hash, so that a question without an answer rarely touches an entry.
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
        let mut slots = vec![Slot::default(); layout.len()].into_boxed_slice();
        for (hash, entry) in entries {
            layout.insert(&mut slots, hash, entry);
        }
        Self { slots, layout }
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

    /// How many slots there are.
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }

    /// Adds an entry; there are no more of them than the layout was made for.
    pub(crate) fn insert(self, slots: &mut [Slot], hash: u64, entry: u32) {
        let mut at = self.home(hash);
        // Ends: the table is never full.
        while slots[at] != [0; 4] {
            at = self.after(at);
        }
        slots[at] = (hash as u32 & !self.number | (entry + 1)).to_ne_bytes();
    }

    /// The first entry of this hash for which `same` holds.
    #[inline]
    pub(crate) fn find(self, slots: &[Slot], hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = hash as u32 & !self.number;
        let mut at = self.home(hash);
        loop {
            let slot = u32::from_ne_bytes(*slots.get(at)?);
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

    /// Where the search for a hash begins: its upper half, scaled to the table, which need not be a power of two.
    #[inline]
    fn home(self, hash: u64) -> usize {
        (((hash >> 32) * u64::from(self.len)) >> 32) as usize
    }

    #[inline]
    fn after(self, at: usize) -> usize {
        if at + 1 == self.len() { 0 } else { at + 1 }
    }
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
        assert_eq!(slots.find(7 << 32 | 1 << 31, |_| true), None, "another tag");
    }

    #[test]
    fn a_chain_goes_on_at_the_beginning() {
        let last = u64::MAX;
        let slots = Slots::new([(last, 10), (last, 20)].into_iter());
        assert_eq!(slots.find(last, |entry| entry == 20), Some(20));
        assert_eq!(slots.find(last, |entry| entry == 30), None);
    }

    #[test]
    fn great_numbers_leave_no_room_for_tags_and_are_found_all_the_same() {
        let slots = Slots::new([(1, u32::MAX - 1), (2, 0)].into_iter());
        assert_eq!(slots.find(1, |entry| entry != 0), Some(u32::MAX - 1));
        assert_eq!(slots.find(2, |entry| entry == 0), Some(0));
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(Slots::default().find(0, |_| true), None);
        assert_eq!(Slots::new([].into_iter()).find(0, |_| true), None);
    }
}
