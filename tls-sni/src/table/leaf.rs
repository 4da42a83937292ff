//! What does a leaf of a name table hold? A few names and their values, in one slice.
//!
//! Records lie in groups of eight: eight tags, eight ends of records as 16-bit numbers, then the records, each a value and
//! a text. All tags of a group are compared at once, so that a look-up has no branch that depends on how full a leaf is.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// A name with one of its values. Records of one name lie side by side.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// A byte of the name's hash that does not lead to the leaf.
    pub(super) tag: u8,
    pub(super) value: Value,
    /// At most 254 bytes: a server name, perhaps with a dot before it.
    pub(super) text: &'a [u8],
}

/// A number as a leaf holds it, of forty bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value(pub(crate) [u8; VALUE]);

const VALUE: usize = 5;
const GROUP: usize = 8;
const HEAD: usize = GROUP + 2 * GROUP;

/// Lays records down as [`records`] reads them.
pub(super) fn encode(records: &[Record<'_>]) -> Arc<[u8]> {
    let bodies: usize = records.iter().map(|record| VALUE + record.text.len()).sum();
    let mut bytes = Vec::with_capacity(records.len().div_ceil(GROUP) * HEAD + bodies);
    for group in records.chunks(GROUP) {
        let (mut tags, mut ends, mut end) = ([0; GROUP], [[0; 2]; GROUP], 0u16);
        for (i, own) in ends.iter_mut().enumerate() {
            if let Some(record) = group.get(i) {
                tags[i] = record.tag;
                end += (VALUE + record.text.len()) as u16; // eight times 259 at most
            }
            *own = end.to_le_bytes();
        }
        bytes.extend_from_slice(&tags);
        bytes.extend_from_slice(ends.as_flattened());
        for record in group {
            bytes.extend_from_slice(&record.value.0);
            bytes.extend_from_slice(record.text);
        }
    }
    bytes.into()
}

#[derive(Clone, Copy)]
struct Group<'a> {
    tags: &'a [u8; GROUP],
    ends: &'a [[u8; 2]],
    bodies: &'a [u8],
}

impl<'a> Group<'a> {
    /// The first group of a leaf. What follows it in the leaf stays in `bodies`.
    #[inline]
    fn first(leaf: &'a [u8]) -> Option<Group<'a>> {
        let (tags, rest) = leaf.split_first_chunk()?;
        let (ends, bodies) = rest.split_at_checked(2 * GROUP)?;
        Some(Group { tags, ends: ends.as_chunks().0, bodies })
    }

    #[inline]
    fn end(self, at: usize) -> usize {
        usize::from(u16::from_le_bytes(self.ends[at % GROUP]))
    }

    /// The record at a place; one without text where there is none.
    #[inline]
    fn record(self, at: usize) -> Option<(Value, &'a [u8])> {
        let start = if at == 0 { 0 } else { self.end(at - 1) };
        let (value, text) = self.bodies.get(start..self.end(at))?.split_first_chunk()?;
        Some((Value(*value), text))
    }

    /// The leaf's next group.
    #[inline]
    fn next(self) -> Option<Group<'a>> {
        Group::first(self.bodies.get(self.end(GROUP - 1)..)?)
    }

    /// A bit for each record that may have this tag, in the highest of its eight: all that have it, and some that do not.
    #[inline]
    fn tagged(self, tag: u8) -> u64 {
        const LOW: u64 = u64::from_ne_bytes([1; GROUP]);
        let differ = u64::from_le_bytes(*self.tags) ^ (LOW * u64::from(tag));
        differ.wrapping_sub(LOW) & !differ & (LOW << 7)
    }
}

/// The records of a leaf.
pub(super) fn records(leaf: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let groups = core::iter::successors(Group::first(leaf), |group| group.next());
    groups.flat_map(|group| {
        (0..GROUP).filter_map(move |at| {
            let (value, text) = group.record(at)?;
            Some(Record { tag: group.tags[at], value, text })
        })
    })
}

/// The values of one name, the preferred first.
#[derive(Clone)]
pub(crate) struct Values<'a>(Option<Found<'a>>);

#[derive(Clone, Copy)]
struct Found<'a> {
    group: Group<'a>,
    at: usize,
    value: Value,
    text: &'a [u8],
}

impl<'a> Values<'a> {
    #[inline]
    pub(super) fn none() -> Values<'a> {
        Values(None)
    }

    #[inline(always)]
    pub(super) fn of(tag: u8, key: &[u8], leaf: &'a [u8]) -> Values<'a> {
        let mut next = Group::first(leaf);
        while let Some(group) = next {
            let mut tagged = group.tagged(tag);
            while tagged != 0 {
                let at = tagged.trailing_zeros() as usize / GROUP;
                if let Some((value, text)) = group.record(at)
                    && text == key
                {
                    return Values(Some(Found { group, at, value, text }));
                }
                tagged &= tagged - 1;
            }
            next = group.next();
        }
        Values(None)
    }
}

impl Iterator for Values<'_> {
    type Item = Value;

    #[inline]
    fn next(&mut self) -> Option<Value> {
        let found = self.0?;
        // Of one name there is mostly one value, and its neighbour has another tag.
        let has_more = match found.group.tags.get(found.at + 1) {
            Some(next) => *next == found.group.tags[found.at],
            None => true,
        };
        self.0 = if has_more { found.following() } else { None };
        Some(found.value)
    }
}

impl<'a> Found<'a> {
    #[cold]
    fn following(self) -> Option<Found<'a>> {
        let (group, at) = match self.at + 1 {
            GROUP => (self.group.next()?, 0),
            at => (self.group, at),
        };
        let (value, text) = group.record(at)?;
        (text == self.text).then_some(Found { group, at, value, text })
    }
}
