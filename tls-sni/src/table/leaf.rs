//! What does a leaf of a name table hold? A few names and their numbers, in one slice.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// A name with one of its numbers.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// A byte of the name's hash that does not lead to the leaf.
    pub(super) tag: u8,
    pub(super) value: u64,
    pub(super) text: &'a [u8],
}

/// The number and the end of the text of a record.
type Fixed = [u8; 12];

/// A view of a leaf: how many records, their tags, their numbers with the ends of their texts, their texts. Records of
/// one name lie side by side.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a> {
    tags: &'a [u8],
    fixed: &'a [Fixed],
    texts: &'a [u8],
}

/// Lays records down as [`Leaf::of`] reads them.
pub(super) fn encode(records: &[Record<'_>]) -> Arc<[u8]> {
    let texts: usize = records.iter().map(|record| record.text.len()).sum();
    let mut bytes = Vec::with_capacity(4 + records.len() * 13 + texts);
    // Neither so many records nor so long texts fit a machine: each record is a certificate's name.
    bytes.extend_from_slice(&(records.len() as u32).to_le_bytes());
    bytes.extend(records.iter().map(|record| record.tag));
    let mut end = 0;
    for record in records {
        end += record.text.len() as u32;
        bytes.extend_from_slice(&record.value.to_le_bytes());
        bytes.extend_from_slice(&end.to_le_bytes());
    }
    for record in records {
        bytes.extend_from_slice(record.text);
    }
    bytes.into()
}

impl<'a> Leaf<'a> {
    /// Reads what [`encode`] wrote, or an empty slice.
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Leaf<'a> {
        let Some((count, rest)) = bytes.split_first_chunk() else {
            return Leaf { tags: &[], fixed: &[], texts: &[] };
        };
        let count = u32::from_le_bytes(*count) as usize;
        let (tags, rest) = rest.split_at(count);
        let (fixed, texts) = rest.split_at(count * size_of::<Fixed>());
        Leaf { tags, fixed: fixed.as_chunks().0, texts }
    }

    /// The numbers of a name.
    #[inline]
    pub(super) fn find(self, tag: u8, key: &[u8]) -> Values<'a> {
        let mut tagged = self.tags.iter().enumerate().filter(|(_, own)| **own == tag);
        let next = tagged.find(|(at, _)| self.text(*at) == key).map(|(at, _)| at);
        Values { leaf: self, next }
    }

    pub(super) fn records(self) -> impl Iterator<Item = Record<'a>> {
        (0..self.tags.len()).map(move |at| Record { tag: self.tags[at], value: self.value(at), text: self.text(at) })
    }

    fn value(self, at: usize) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.fixed[at];
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    fn end(self, at: usize) -> usize {
        let [.., a, b, c, d] = self.fixed[at];
        u32::from_le_bytes([a, b, c, d]) as usize
    }

    fn text(self, at: usize) -> &'a [u8] {
        let start = if at == 0 { 0 } else { self.end(at - 1) };
        &self.texts[start..self.end(at)]
    }
}

/// The numbers of one name, the preferred first.
#[derive(Clone)]
pub(crate) struct Values<'a> {
    leaf: Leaf<'a>,
    next: Option<usize>,
}

impl Values<'_> {
    pub(super) fn none() -> Values<'static> {
        Values { leaf: Leaf { tags: &[], fixed: &[], texts: &[] }, next: None }
    }
}

impl Iterator for Values<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let at = self.next?;
        let (leaf, next) = (self.leaf, at + 1);
        let same = leaf.tags.get(next) == Some(&leaf.tags[at]) && leaf.text(next) == leaf.text(at);
        self.next = same.then_some(next);
        Some(leaf.value(at))
    }
}
