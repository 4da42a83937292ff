//! What is picked from, and with which words? The same on every machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Picks a measured round, and clients that come by: two L1 caches of them.
pub(crate) const KEYS: usize = 4096;

/// SplitMix64: passes BigCrush and costs a nanosecond.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new() -> Self {
        Self(0x5eed_0001)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform below `n` by multiply and shift.
    #[inline]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// `n` distinct backends of 10.0.0.0/8, port 8080.
pub(crate) fn backends(n: u32) -> Vec<SocketAddr> {
    (1..=n).map(|i| SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + i), 8080))).collect()
}

/// Weights 1 to 100, uniform.
pub(crate) fn weights(n: usize) -> Vec<u32> {
    let mut rng = Rng(0x5eed_0001 ^ 1);
    (0..n).map(|_| 1 + rng.below(100) as u32).collect()
}

/// `n` random client addresses.
pub(crate) fn clients(n: usize) -> Vec<IpAddr> {
    let mut rng = Rng::new();
    (0..n).map(|_| Ipv4Addr::from_bits(rng.next() as u32).into()).collect()
}
