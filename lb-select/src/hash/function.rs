//! Which number does a key give? The hash functions of the peers, so that tables agree with them key for key.

use core::hash::Hasher as _;

/// xxHash64 (the XXH64 of Yann Collet), the function of Envoy and of this crate unless something else is said.
///
/// Our own for the sake of short keys, which take half the time they take in a general library.
#[inline]
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let start = if blocks.is_empty() { seed.wrapping_add(XXH_PRIMES[4]) } else { xxh64_blocks(blocks, seed) };
    let mut hash = start.wrapping_add(bytes.len() as u64);
    let [p1, p2, p3, p4, p5] = XXH_PRIMES;
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        hash ^= xxh64_round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        hash ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(p1);
        hash = hash.rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
    }
    for &byte in rest {
        hash ^= u64::from(byte).wrapping_mul(p5);
        hash = hash.rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(p2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(p3);
    hash ^ (hash >> 32)
}

const XXH_PRIMES: [u64; 5] =
    [0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63, 0x27d4_eb2f_1656_67c5];

/// Four lanes over blocks of four words, joined.
fn xxh64_blocks(blocks: &[[u8; 32]], seed: u64) -> u64 {
    let [p1, p2, _, p4, _] = XXH_PRIMES;
    let seeds = [p1.wrapping_add(p2), p2, 0, p1.wrapping_neg()];
    let mut lanes = seeds.map(|lane| seed.wrapping_add(lane));
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = xxh64_round(*lane, u64::from_le_bytes(*word));
        }
    }
    let sum = lanes.iter().zip([1, 7, 12, 18]).fold(0, |sum: u64, (lane, n)| sum.wrapping_add(lane.rotate_left(n)));
    lanes.iter().fold(sum, |hash, lane| (hash ^ xxh64_round(0, *lane)).wrapping_mul(p1).wrapping_add(p4))
}

#[inline]
fn xxh64_round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(XXH_PRIMES[1])).rotate_left(31).wrapping_mul(XXH_PRIMES[0])
}

/// MurmurHash64A (Austin Appleby), Envoy's `MURMUR_HASH_2` with the seed of `std::hash`, [`MURMUR2_SEED`].
pub fn murmur2(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let shift_mix = |v: u64| v ^ (v >> 47);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    for word in words {
        let mixed = shift_mix(u64::from_le_bytes(*word).wrapping_mul(M)).wrapping_mul(M);
        hash = (hash ^ mixed).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    shift_mix(shift_mix(hash).wrapping_mul(M))
}

/// The seed with which libstdc++ and Envoy use [`murmur2`].
pub const MURMUR2_SEED: u64 = 0xc70f_6907;

/// The first half of MurmurHash3 (x64, 128 bits; Austin Appleby) of two words, as katran's tables use it.
pub fn murmur3(words: [u64; 2], seed: u32) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let finish = |mut h: u64| {
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        h ^ (h >> 33)
    };
    let (mut h1, mut h2) = (u64::from(seed), u64::from(seed));
    h1 ^= words[0].wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
    h2 ^= words[1].wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    (h1, h2) = (h1 ^ 16, h2 ^ 16); // the length of two words
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

/// SipHash-1-3 (Aumasson and Bernstein) with a key of two words.
pub fn siphash13(bytes: &[u8], key: [u64; 2]) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(key[0], key[1]);
    hasher.write(bytes);
    hasher.finish()
}

/// FNV-1a with 64 bits (Fowler, Noll, Vo): Traefik's and pingora's function.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_update(FNV_OFFSET, bytes)
}

/// Takes more bytes into an [`fnv1a`] hash.
pub(crate) fn fnv1a_update(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

/// FNV-1 with 64 bits (Fowler, Noll, Vo): multiplied first; in Traefik's older cookies.
pub fn fnv1(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_OFFSET, |hash, &byte| hash.wrapping_mul(FNV_PRIME) ^ u64::from(byte))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// CRC-32 (ISO-HDLC, the one of zlib): nginx's function.
pub fn crc32(bytes: &[u8]) -> u32 {
    !crc32_update(!0, bytes)
}

/// Takes `bytes` into the running value of a CRC-32, which starts as all ones and is inverted in the end. Eight bytes
/// at a time, by one table for the distance of each to the end.
pub(crate) fn crc32_update(mut running: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word) ^ u64::from(running);
        let entry = |n: usize| CRC_TABLES[7 - n][(word >> (8 * n)) as usize & 0xff];
        running = entry(0) ^ entry(1) ^ entry(2) ^ entry(3) ^ entry(4) ^ entry(5) ^ entry(6) ^ entry(7);
    }
    rest.iter().fold(running, |running, &byte| CRC_TABLES[0][(running as u8 ^ byte) as usize] ^ (running >> 8))
}

/// `CRC_TABLES[d][b]`: what the byte `b` does to the running value when `d` bytes of zero follow.
static CRC_TABLES: [[u32; 256]; 8] = crc_tables();

const fn crc_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut distance = 1;
    while distance < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[distance - 1][byte];
            tables[distance][byte] = tables[0][before as usize & 0xff] ^ (before >> 8);
            byte += 1;
        }
        distance += 1;
    }
    tables
}

/// A number below `n` for a hash, by multiplying instead of dividing: the top bits decide, so it needs a hash that is
/// good in those. 0 if `n` is 0.
///
/// Faster than `hash % n` and as even, but not the same number: peers that divide must be matched by dividing.
#[inline]
pub fn scale(hash: u64, n: usize) -> usize {
    ((u128::from(hash) * n as u128) >> 64) as usize
}

/// Remainders by one divisor, by multiplying (Lemire, Kaser and Kurz, 2019): `hash mod n` without dividing. Exact, because
/// the reciprocal has more bits than hash and divisor together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modulo {
    n: u32,
    /// 2^128 divided by `n`, rounded up.
    reciprocal: u128,
}

impl Modulo {
    /// For a divisor of 0 or 1 every remainder is 0.
    pub(crate) fn new(n: u32) -> Self {
        Self { n, reciprocal: (u128::MAX / u128::from(n.max(1))).wrapping_add(1) }
    }

    #[inline]
    pub(crate) fn of(self, hash: u64) -> usize {
        let fraction = self.reciprocal.wrapping_mul(hash.into());
        let (upper, lower, n) = (fraction >> 64, fraction & u128::from(u64::MAX), u128::from(self.n));
        ((upper * n + ((lower * n) >> 64)) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_vectors_hold() {
        assert_eq!(xxh64(b"", 0), 0xef46_db37_51d8_e999); // xxHash, sanity test
        assert_eq!(xxh64(b"foo", 0), 0x33bf_00a8_59c4_ba3f); // Envoy, hash_test.cc
        assert_eq!(murmur2(b"", MURMUR2_SEED), 6_142_509_188_972_423_790); // Envoy, hash_test.cc
        assert_eq!(murmur2(b"foo", MURMUR2_SEED), 9_631_199_822_919_835_226);
        assert_eq!(murmur2(b"lyft", MURMUR2_SEED), 12_847_078_931_730_529_320);
        // The name of a point of the ring in Envoy's ring_hash_lb_test.cc: more than one word.
        assert_eq!(
            murmur2(b"127.0.0.1:85_0", MURMUR2_SEED).min(murmur2(b"127.0.0.1:85_1", MURMUR2_SEED)),
            1_358_027_074_129_602_068
        );
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325); // draft-eastlake-fnv
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(fnv1(b"foobar"), 0x340d_8765_a4dd_a9c2);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926); // the check value of CRC-32/ISO-HDLC
        assert_eq!(siphash13(&[], [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]), 0xabac_0158_050f_c4dc); // siphasher
    }

    #[test]
    fn a_scaled_hash_is_below_the_number() {
        assert_eq!([0, u64::MAX / 2, u64::MAX].map(|hash| scale(hash, 10)), [0, 4, 9]);
        assert_eq!(scale(u64::MAX, 0), 0);
    }

    proptest! {
        #[test]
        fn xxh64_is_that_of_a_general_library(bytes in proptest::collection::vec(any::<u8>(), 0..200), seed in any::<u64>()) {
            prop_assert_eq!(xxh64(&bytes, seed), twox_hash::XxHash64::oneshot(seed, &bytes));
        }

        #[test]
        fn a_remainder_is_that_of_dividing(hash in any::<u64>(), n in prop_oneof![1..100_u32, any::<u32>(), Just(65_537)], near in 0..3_u64) {
            let n = n.max(1);
            let multiple = (hash / u64::from(n) * u64::from(n)).wrapping_sub(near); // where rounding would show
            for hash in [hash, multiple, u64::MAX - near] {
                prop_assert_eq!(Modulo::new(n).of(hash) as u64, hash % u64::from(n));
            }
        }

        #[test]
        fn crc_by_eight_bytes_is_crc_by_one(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            let bit_by_bit = bytes.iter().fold(!0_u32, |running, &byte| {
                (0..8).fold(running ^ u32::from(byte), |v, _| if v & 1 == 1 { 0xedb8_8320 ^ (v >> 1) } else { v >> 1 })
            });
            prop_assert_eq!(crc32(&bytes), !bit_by_bit);
        }
    }
}
