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

    /// The leaf's further groups.
    #[inline]
    fn rest(self) -> &'a [u8] {
        self.bodies.get(self.end(GROUP - 1)..).unwrap_or(&[])
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
    let groups = core::iter::successors(Group::first(leaf), |group| Group::first(group.rest()));
    groups.flat_map(|group| {
        (0..GROUP).filter_map(move |at| {
            let (value, text) = group.record(at)?;
            Some(Record { tag: group.tags[at], value, text })
        })
    })
}

/// The values of one name, the preferred first.
#[derive(Clone)]
pub(crate) struct Values<'a> {
    /// From the group of the next value on; empty when there is none.
    leaf: &'a [u8],
    /// The place of the next value in that group.
    at: usize,
}

impl<'a> Values<'a> {
    #[inline]
    pub(super) fn none() -> Values<'a> {
        Values { leaf: &[], at: 0 }
    }

    #[inline(always)]
    pub(super) fn of(tag: u8, key: &[u8], mut leaf: &'a [u8]) -> Values<'a> {
        while let Some(group) = Group::first(leaf) {
            let mut tagged = group.tagged(tag);
            while tagged != 0 {
                let at = tagged.trailing_zeros() as usize / GROUP;
                if group.record(at).is_some_and(|(_, text)| text == key) {
                    return Values { leaf, at };
                }
                tagged &= tagged - 1;
            }
            leaf = group.rest();
        }
        Values::none()
    }

    /// What follows a value of a name whose neighbour has the same tag, or lies in another group.
    #[cold]
    fn following(leaf: &'a [u8], at: usize) -> Option<Values<'a>> {
        let group = Group::first(leaf)?;
        let (_, own) = group.record(at)?;
        let (leaf, at) = if at + 1 < GROUP { (leaf, at + 1) } else { (group.rest(), 0) };
        let (_, text) = Group::first(leaf)?.record(at)?;
        (text == own).then_some(Values { leaf, at })
    }
}

impl Iterator for Values<'_> {
    type Item = Value;

    #[inline]
    fn next(&mut self) -> Option<Value> {
        let Values { leaf, at } = *self;
        let group = Group::first(leaf)?;
        let (value, _) = group.record(at)?;
        // Of one name there is mostly one value, and its neighbour has another tag.
        let is_last = group.tags.get(at + 1).is_some_and(|next| *next != group.tags[at]);
        let following = if is_last { None } else { Values::following(leaf, at) };
        *self = following.unwrap_or(Values::none());
        Some(value)
    }
}
