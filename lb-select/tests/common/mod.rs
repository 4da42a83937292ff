//! What do the behaviour tests share? A generator of random words and a way to ask a policy.
#![allow(dead_code, reason = "each test file uses its part")]

use lb_select::{Choice, Pick, Policy, Pool, Unavailable};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Duration;

/// The same in every run; a proxy would give a `RandomState`.
pub(crate) type FixedHasher = BuildHasherDefault<DefaultHasher>;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn splitmix(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A pool whose endpoints are called `0`, `1`, ... and have these weights.
pub(crate) fn pool(weights: &[u32]) -> Pool<usize> {
    let endpoints = weights.iter().enumerate();
    endpoints.fold(Pool::builder(), |pool, (i, &weight)| pool.weighted(i.to_string(), weight, i)).build().unwrap()
}

/// A pick at the start of time by nobody in particular.
pub(crate) fn ask(policy: &(impl Policy + ?Sized), mut words: impl FnMut() -> u64) -> Result<Choice, Unavailable> {
    policy.pick(&mut Pick::new(Duration::ZERO, &mut words))
}

/// The words of a test in which none may be drawn.
pub(crate) fn no_words() -> u64 {
    panic!("a word was drawn although there was nothing to choose")
}
