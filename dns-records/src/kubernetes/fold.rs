//! How do names compare without regard to ASCII case? Eight octets at a time.

use std::cmp::Ordering;

/// Whether two names are one. Most are asked for as they are spelled, and then nothing is folded.
#[inline]
pub(super) fn same_name(one: &[u8], other: &[u8]) -> bool {
    let same = |one: u64, other: u64| one == other || lower(one) == lower(other);
    let mut whole = one.as_chunks().0.iter().zip(other.as_chunks().0);
    one.len() == other.len()
        && whole.all(|(one, other)| same(u64::from_be_bytes(*one), u64::from_be_bytes(*other)))
        && same(last(one), last(other))
}

/// Hands over a name in pieces that names share which differ in case only: without the bit by which capitals differ from small
/// letters. Octets may come twice, and others than letters lose the bit as well; fit for hashing, not for comparing.
#[inline]
pub(super) fn caseless(name: &[u8], mut each: impl FnMut(u128)) {
    const CASE: u128 = u128::from_be_bytes([0x20; 16]);
    let (whole, rest) = name.as_chunks();
    for octets in whole {
        each(u128::from_be_bytes(*octets) | CASE);
    }
    let first = rest.first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets));
    // With the length, since names of one letter repeated have the same ends.
    each((u128::from(first) << 64 | u128::from(last(name)) | CASE) ^ name.len() as u128);
}

/// The last eight octets of a name, or all of a shorter one.
#[inline]
fn last(name: &[u8]) -> u64 {
    match name.last_chunk() {
        Some(octets) => u64::from_be_bytes(*octets),
        None => octets(name, 0),
    }
}

/// How two names in lower case compare, octet by octet.
pub(super) fn cmp_ignoring_case(one: &[u8], other: &[u8]) -> Ordering {
    for i in 0..word_count(one).min(word_count(other)) {
        match word(one, i).cmp(&word(other, i)) {
            Ordering::Equal => {}
            order => return order,
        }
    }
    one.len().cmp(&other.len())
}

/// A number that names without regard to case share, and others seldom. Fit for sorting by, not for hash tables: it has no seed.
pub(super) fn digest(name: &[u8]) -> u32 {
    let mix = |digest: u64, i| (digest.rotate_left(29) ^ word(name, i)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((0..word_count(name)).fold(0, mix) >> 32) as u32
}

/// How many words a name has: one at least, the last of them not full.
fn word_count(name: &[u8]) -> usize {
    name.len() / 8 + 1
}

/// Eight octets of a name in lower case, the first of them in front, filled up with zeros.
fn word(name: &[u8], i: usize) -> u64 {
    lower(octets(name, i))
}

/// Eight octets of a name as they are, the first of them in front, filled up with zeros.
#[inline]
fn octets(name: &[u8], i: usize) -> u64 {
    let rest = name.get(8 * i..).unwrap_or_default();
    match (rest.first_chunk(), name.last_chunk()) {
        (Some(octets), _) => u64::from_be_bytes(*octets),
        // The last eight of the name, without those that belong to the word before.
        (None, Some(last)) => u64::from_be_bytes(*last).unbounded_shl(64 - 8 * rest.len() as u32),
        (None, None) => match (rest.first_chunk(), rest.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_be_bytes(*first)) << 32
                    | u64::from(u32::from_be_bytes(*last)) << (64 - 8 * rest.len())
            }
            _ => rest.iter().rev().fold(0, |word, octet| word >> 8 | u64::from(*octet) << 56),
        },
    }
}

/// Eight octets at once, with the ASCII letters among them in lower case.
#[inline]
fn lower(octets: u64) -> u64 {
    let each = |octet: u8| u64::from_be_bytes([octet; 8]);
    // The high bit of an octet says whether its other seven are at least `A`, or beyond `Z`.
    let low_bits = octets & each(0x7f);
    let (from_a, beyond_z) = (low_bits + each(0x80 - b'A'), low_bits + each(0x80 - (b'Z' + 1)));
    let capitals = from_a & !beyond_z & !octets & each(0x80);
    octets | capitals >> 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn eight_octets_become_lower_case_as_one_does() {
        for octet in 0..=u8::MAX {
            let word = [octet, b'A', octet, b'z', 0, octet, 0x80, octet];
            assert_eq!(lower(u64::from_be_bytes(word)).to_be_bytes(), word.map(|octet| octet.to_ascii_lowercase()));
        }
    }

    proptest! {
        #[test]
        fn names_compare_as_their_octets_in_lower_case(one in "[aAzZ0\\[\\x00-]{0,20}", other in "[aAzZ0\\[\\x00-]{0,20}") {
            let wanted = one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase());
            prop_assert_eq!(cmp_ignoring_case(one.as_bytes(), other.as_bytes()), wanted);
            prop_assert!(wanted.is_ne() || digest(one.as_bytes()) == digest(other.as_bytes()));
            prop_assert_eq!(same_name(one.as_bytes(), other.as_bytes()), wanted.is_eq());
        }
    }
}
