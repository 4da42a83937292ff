//! A name of few letters for a name of many.

use sha2::{Digest, Sha256};

/// The first `LETTERS` characters of the base32 (RFC 4648) of the SHA-256 of a text, as kube-proxy names its chains; at most 51.
///
/// ```
/// assert_eq!(driver_kit::short_hash::<16>("ns1/svc1:p80tcp"), *b"XPGD46QRK7WJZT7O");
/// ```
pub fn short_hash<const LETTERS: usize>(text: &str) -> [u8; LETTERS] {
    const { assert!(LETTERS <= 51) };
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(text.as_bytes());
    let mut letters = [0; LETTERS];
    for (i, letter) in letters.iter_mut().enumerate() {
        let bit = i * 5;
        // Two bytes hold any five bits; 51 letters are 255 bits of 256.
        let pair = u16::from_be_bytes([digest[bit / 8], digest.get(bit / 8 + 1).copied().unwrap_or_default()]);
        *letter = ALPHABET[usize::from(pair >> (11 - bit % 8)) & 31];
    }
    letters
}
