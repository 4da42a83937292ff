//! When are two texts the same? Their hash, for all tables, and their comparison.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

/// Bytes of a text that are hashed at a time.
pub(crate) const BLOCK: usize = 64;

/// The hash of a text: that of its blocks, one after the other.
#[inline]
pub(crate) fn hash_bytes(state: &FixedState, text: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    if text.len() <= BLOCK {
        hasher.write(text);
    } else {
        text.chunks(BLOCK).for_each(|block| hasher.write(block));
    }
    hasher.finish()
}

/// Whether two texts are equal. Names and paths are short: their first and last bytes, which may overlap, are all of them, and
/// there is no loop whose end a processor would guess wrongly.
#[inline]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        33.. => a == b,
        16.. => a.first_chunk::<16>() == b.first_chunk() && a.last_chunk::<16>() == b.last_chunk(),
        8.. => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        4.. => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_equal_when_all_bytes_are(text in proptest::collection::vec(any::<u8>(), 0..70), at in any::<usize>()) {
            prop_assert!(equal(&text, &text.clone()));
            if !text.is_empty() {
                let mut other = text.clone();
                let length = other.len();
                other[at % length] ^= 1;
                prop_assert!(!equal(&text, &other));
                prop_assert!(!equal(&text, &text[1..]));
            }
        }
    }
}
