//! Where in a table does the entry with this hash lie? Open addressing over 32-bit slots.

/// An immutable hash index: it keeps entry numbers, the caller keeps the entries and compares them.
///
/// Keys come from the wire only as questions; what is stored is the operator's, so no one can grow a chain at run time.
/// A slot is one word: the entry's number and, in the bits that no number needs, a tag out of the hash, so that a
/// question without an answer rarely touches an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    /// 0 is an empty slot; half of all are.
    slots: Box<[u32]>,
    /// The bits of a slot that hold the entry's number, counted from 1.
    number: u32,
}

impl Slots {
    /// Indexes entries by their hashes; entry numbers are below `u32::MAX`.
    pub(crate) fn new(entries: impl ExactSizeIterator<Item = (u64, u32)> + Clone) -> Self {
        let greatest = entries.clone().map(|(_, entry)| entry + 1).max().unwrap_or(1);
        let mut table = Self {
            slots: vec![0; entries.len() * 2].into(),
            number: u32::MAX.checked_shr(greatest.leading_zeros()).unwrap_or_default(),
        };
        for (hash, entry) in entries {
            let mut at = table.home(hash);
            // Ends: the table is never full.
            while table.slots[at] != 0 {
                at = table.after(at);
            }
            table.slots[at] = hash as u32 & !table.number | (entry + 1);
        }
        table
    }

    /// The first entry of this hash for which `same` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = hash as u32 & !self.number;
        let mut at = self.home(hash);
        loop {
            let slot = *self.slots.get(at)?;
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
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
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
