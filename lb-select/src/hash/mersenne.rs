//! The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), which Envoy shuffles with.

const N: usize = 624;
const M: usize = 397;

/// The generator of 32-bit words that C++ calls `std::mt19937`.
#[derive(Debug, Clone)]
pub(crate) struct Mersenne {
    state: [u32; N],
    next: usize,
}

impl Mersenne {
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        for i in 1..N {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, next: 0 }
    }

    pub(crate) fn word(&mut self) -> u32 {
        // One step of the recurrence at a time, in place.
        let (i, s) = (self.next, &mut self.state);
        let joined = (s[i] & 0x8000_0000) | (s[(i + 1) % N] & 0x7fff_ffff);
        s[i] = s[(i + M) % N] ^ (joined >> 1) ^ if joined & 1 == 1 { 0x9908_b0df } else { 0 };
        self.next = (i + 1) % N;
        let mut y = s[i];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number below `n` as Envoy draws one; `n` must not be 0.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let width = (1_u64 << 32) / u64::from(n);
        loop {
            let x = u64::from(self.word()) / width;
            if x < u64::from(n) {
                return x as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C++ standard, [rand.predef]: the 10000th word of a generator with the default seed.
    #[test]
    fn the_ten_thousandth_word_is_that_of_the_standard() {
        let mut generator = Mersenne::new(5489);
        assert_eq!((0..10_000).map(|_| generator.word()).last(), Some(4_123_659_995));
    }
}
