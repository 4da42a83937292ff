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

/// Whether two texts are equal. Names and paths are short: eight bytes at a time, without a call.
#[inline]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // The last words overlap those before them.
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last_a), Some(last_b)) => {
            last_a == last_b && a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).all(|(a, b)| a == b)
        }
        _ => match (a.first_chunk::<4>(), b.first_chunk::<4>()) {
            (Some(first_a), Some(first_b)) => first_a == first_b && a.last_chunk::<4>() == b.last_chunk::<4>(),
            _ => a.iter().zip(b).all(|(a, b)| a == b),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_equal_when_all_bytes_are(text in proptest::collection::vec(any::<u8>(), 0..40), at in any::<usize>()) {
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
