//! Where in a table does the entry with this hash lie? Open addressing over 32-bit indices.

/// An immutable hash index: it keeps a tag and an entry number, the caller keeps the entries and compares them.
///
/// Keys come from the wire only as questions; what is stored is the operator's, so no one can grow a chain at run time.
/// Tags lie apart from entries, so that questions without an answer touch one byte of a small array.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    /// 0 is an empty slot.
    tags: Box<[u8]>,
    entries: Box<[u32]>,
}

impl Slots {
    /// Indexes entries by their hashes. At most half full, so that a miss ends soon.
    pub(crate) fn new(entries: &[(u64, u32)]) -> Self {
        let size = (entries.len() * 2).next_power_of_two();
        let mut slots = Self { tags: vec![0; size].into(), entries: vec![0; size].into() };
        for (hash, entry) in entries {
            let mut at = *hash as usize & (size - 1);
            while slots.tags[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            slots.tags[at] = tag(*hash);
            slots.entries[at] = *entry;
        }
        slots
    }

    /// The first entry of this hash for which `same` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.tags.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        // Ends: the table is never full.
        loop {
            match self.tags[at] {
                0 => return None,
                found if found == tag(hash) && same(self.entries[at]) => return Some(self.entries[at]),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

/// A part of the hash that does not choose the slot, never 0.
fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_hash_are_told_apart_by_comparing() {
        let keys = ["a", "b", "c"];
        let slots = Slots::new(&[(7, 0), (7, 1), (7, 2)]);
        for (entry, key) in (0..).zip(keys) {
            assert_eq!(slots.find(7, |entry| keys[entry as usize] == key), Some(entry));
        }
        assert_eq!(slots.find(7, |_| false), None);
        assert_eq!(slots.find(7 << 56 | 7, |_| true), None);
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(Slots::default().find(0, |_| true), None);
        assert_eq!(Slots::new(&[]).find(0, |_| true), None);
    }
}
