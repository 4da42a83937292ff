//! Which certificates can a client verify? TLS versions, signature schemes, and the keys they allow.

use crate::facts::KeyKind;
use core::fmt;
use core::str::FromStr;

/// A TLS version by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion(pub u16);

impl ProtocolVersion {
    /// TLS 1.0.
    pub const TLS10: ProtocolVersion = ProtocolVersion(0x0301);
    /// TLS 1.1.
    pub const TLS11: ProtocolVersion = ProtocolVersion(0x0302);
    /// TLS 1.2.
    pub const TLS12: ProtocolVersion = ProtocolVersion(0x0303);
    /// TLS 1.3.
    pub const TLS13: ProtocolVersion = ProtocolVersion(0x0304);
}

/// A signature scheme by its number in IANA's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureScheme(pub u16);

const VERSIONS: [(&str, u16); 4] = [("TLS1.0", 0x0301), ("TLS1.1", 0x0302), ("TLS1.2", 0x0303), ("TLS1.3", 0x0304)];

const SCHEMES: [(&str, u16); 18] = [
    ("rsa_pkcs1_sha1", 0x0201),
    ("ecdsa_sha1", 0x0203),
    ("rsa_pkcs1_sha224", 0x0301),
    ("ecdsa_sha224", 0x0303),
    ("rsa_pkcs1_sha256", 0x0401),
    ("ecdsa_secp256r1_sha256", 0x0403),
    ("rsa_pkcs1_sha384", 0x0501),
    ("ecdsa_secp384r1_sha384", 0x0503),
    ("rsa_pkcs1_sha512", 0x0601),
    ("ecdsa_secp521r1_sha512", 0x0603),
    ("rsa_pss_rsae_sha256", 0x0804),
    ("rsa_pss_rsae_sha384", 0x0805),
    ("rsa_pss_rsae_sha512", 0x0806),
    ("ed25519", 0x0807),
    ("ed448", 0x0808),
    ("rsa_pss_pss_sha256", 0x0809),
    ("rsa_pss_pss_sha384", 0x080a),
    ("rsa_pss_pss_sha512", 0x080b),
];

/// A text that names no version or signature scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a registered name nor a number such as 0x0403")
    }
}

impl core::error::Error for UnknownCode {}

fn parse(text: &str, names: &[(&str, u16)]) -> Result<u16, UnknownCode> {
    if let Some((_, code)) = names.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
        return Ok(*code);
    }
    match text.strip_prefix("0x") {
        Some(hex) if hex.len() == 4 && !hex.starts_with('+') => u16::from_str_radix(hex, 16).map_err(|_| UnknownCode),
        _ => Err(UnknownCode),
    }
}

fn show(code: u16, names: &[(&str, u16)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match names.iter().find(|(_, known)| *known == code) {
        Some((name, _)) => f.pad(name),
        None => write!(f, "0x{code:04x}"),
    }
}

/// `TLS1.2`, or `0x0303`.
impl FromStr for ProtocolVersion {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<ProtocolVersion, UnknownCode> {
        parse(text, &VERSIONS).map(ProtocolVersion)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &VERSIONS, f)
    }
}

/// A name of IANA's registry such as `ecdsa_secp256r1_sha256`, or `0x0403`.
impl FromStr for SignatureScheme {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<SignatureScheme, UnknownCode> {
        parse(text, &SCHEMES).map(SignatureScheme)
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &SCHEMES, f)
    }
}

/// Whether a 16-bit code is one of those that clients send to keep servers tolerant (RFC 8701).
pub fn is_grease(code: u16) -> bool {
    code & 0x0f0f == 0x0a0a && code >> 8 == code & 0xff
}

/// The kinds of key whose signatures a client verifies: a set of a few bits, computed once a connection.
///
/// An RSA key needs an `rsa_pss_rsae_*` scheme or, when TLS 1.2 or older is offered, an `rsa_pkcs1_*` one. An ECDSA
/// key needs the scheme of its own curve or, when TLS 1.3 is not offered, any `ecdsa_*` scheme (the curve belongs to
/// the scheme only since RFC 8446 4.2.3). Ed25519, Ed448 and RSA-PSS keys need their own schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcceptedKeys(u16);

impl AcceptedKeys {
    /// Every kind: a client that sent no signature_algorithms.
    pub const ANY: AcceptedKeys = AcceptedKeys(u16::MAX);

    /// The keys that these schemes allow under the offered versions.
    ///
    /// ```
    /// use tls_sni::{AcceptedKeys, KeyKind, ProtocolVersion, SignatureScheme};
    ///
    /// let rsa: SignatureScheme = "rsa_pkcs1_sha256".parse()?;
    /// assert!(AcceptedKeys::new([rsa], [ProtocolVersion::TLS12]).contains(KeyKind::Rsa));
    /// assert!(!AcceptedKeys::new([rsa], [ProtocolVersion::TLS13]).contains(KeyKind::Rsa));
    /// # Ok::<(), tls_sni::UnknownCode>(())
    /// ```
    pub fn new(
        schemes: impl IntoIterator<Item = SignatureScheme>,
        versions: impl IntoIterator<Item = ProtocolVersion>,
    ) -> AcceptedKeys {
        let (mut older, mut tls13) = (false, false);
        for version in versions {
            if version == ProtocolVersion::TLS13 { tls13 = true } else { older = true }
        }
        let mut keys = AcceptedKeys(0);
        for SignatureScheme(code) in schemes {
            let [hash, signature] = code.to_be_bytes();
            if (1..=6).contains(&hash) && signature == 1 && older {
                keys.insert(KeyKind::Rsa);
            }
            if (1..=6).contains(&hash) && signature == 3 && !tls13 {
                keys.insert(KeyKind::EcdsaP256);
                keys.insert(KeyKind::EcdsaP384);
                keys.insert(KeyKind::EcdsaP521);
                keys.insert(KeyKind::EcdsaOther);
            }
            match code {
                0x0403 => keys.insert(KeyKind::EcdsaP256),
                0x0503 => keys.insert(KeyKind::EcdsaP384),
                0x0603 => keys.insert(KeyKind::EcdsaP521),
                0x0804..=0x0806 => keys.insert(KeyKind::Rsa),
                0x0807 => keys.insert(KeyKind::Ed25519),
                0x0808 => keys.insert(KeyKind::Ed448),
                0x0809..=0x080b => keys.insert(KeyKind::RsaPss),
                _ => {}
            }
        }
        keys
    }

    /// Whether the client verifies signatures of such a key.
    pub fn contains(self, key: KeyKind) -> bool {
        self.contains_bit(key as u32)
    }

    /// As [`contains`](Self::contains), of a kind by its number.
    #[inline]
    pub(crate) fn contains_bit(self, key: u32) -> bool {
        self.0 & (1 << key) != 0
    }

    fn insert(&mut self, key: KeyKind) {
        self.0 |= 1 << key as u16;
    }
}

impl Default for AcceptedKeys {
    fn default() -> AcceptedKeys {
        AcceptedKeys::ANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyKind::*;
    use alloc::string::ToString;

    const BOTH: [ProtocolVersion; 2] = [ProtocolVersion::TLS13, ProtocolVersion::TLS12];

    fn accepted(schemes: &[u16], versions: &[ProtocolVersion]) -> AcceptedKeys {
        AcceptedKeys::new(schemes.iter().copied().map(SignatureScheme), versions.iter().copied())
    }

    #[test]
    fn an_rsa_key_needs_pss_or_pkcs1_under_an_older_version() {
        assert!(accepted(&[0x0804], &[ProtocolVersion::TLS13]).contains(Rsa));
        assert!(accepted(&[0x0401], &BOTH).contains(Rsa));
        assert!(!accepted(&[0x0401], &[ProtocolVersion::TLS13]).contains(Rsa));
        assert!(!accepted(&[0x0809], &BOTH).contains(Rsa));
    }

    #[test]
    fn the_curve_is_bound_to_the_scheme_unless_only_older_versions_are_offered() {
        assert!(!accepted(&[0x0503], &BOTH).contains(EcdsaP256));
        assert!(accepted(&[0x0503], &BOTH).contains(EcdsaP384));
        assert!(accepted(&[0x0503], &[ProtocolVersion::TLS12]).contains(EcdsaP256));
        assert!(accepted(&[0x0203], &[ProtocolVersion::TLS12]).contains(EcdsaP521));
        assert!(!accepted(&[0x0203], &BOTH).contains(EcdsaP521));
    }

    #[test]
    fn codes_parse_and_print() {
        for text in ["ecdsa_secp256r1_sha256", "0x0a0b", "ed25519"] {
            assert_eq!(text.parse::<SignatureScheme>().unwrap().to_string(), text);
        }
        assert_eq!("0x0403".parse::<SignatureScheme>().unwrap().to_string(), "ecdsa_secp256r1_sha256");
        assert_eq!("TLS1.3".parse(), Ok(ProtocolVersion::TLS13));
        for bad in ["0x+123", "0x403", "", "rsa"] {
            assert_eq!(bad.parse::<SignatureScheme>(), Err(UnknownCode), "{bad}");
        }
    }

    #[test]
    fn grease_is_two_equal_bytes_that_end_in_a() {
        assert!(is_grease(0x0a0a) && is_grease(0xfafa));
        assert!(!is_grease(0x0a1a) && !is_grease(0x0304) && !is_grease(0x0b0b));
    }
}
