//! Which endpoints, weights and keys? The same on every machine.

use std::net::{Ipv4Addr, SocketAddr};

/// Keys of a measured round: 64 KiB, two L1 caches of them.
pub(crate) const KEYS: usize = 4096;
/// The slots of the usual Maglev table.
pub(crate) const MAGLEV_M: u32 = 65_537;

const SEED: u64 = 0x5eed_0001;

/// SplitMix64: passes BigCrush and costs a nanosecond.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(salt: u64) -> Self {
        Self(SEED ^ salt)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// `n` distinct backends of 10.0.0.0/8, port 8080.
pub(crate) fn backends(n: u32) -> Vec<SocketAddr> {
    (1..=n).map(|i| SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + i), 8080))).collect()
}

/// Weights of 1 to 100, uniform.
pub(crate) fn weights(n: u32) -> Vec<u32> {
    let mut rng = Rng::new(1);
    (0..n).map(|_| 1 + ((u128::from(rng.next()) * 100) >> 64) as u32).collect()
}

/// Random keys of 16 bytes.
pub(crate) fn flow_keys() -> Vec<[u8; 16]> {
    let mut rng = Rng::new(2);
    let mut key = || (u128::from(rng.next()) | u128::from(rng.next()) << 64).to_le_bytes();
    (0..KEYS).map(|_| key()).collect()
}
