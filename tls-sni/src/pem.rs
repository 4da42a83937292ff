//! What blocks does a PEM file hold? Certificates and private keys, told apart by their labels (RFC 7468).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

/// The DER of the certificates of a bundle, the server's own first, as they stand.
///
/// The first block must be a certificate; later blocks of other kinds, and text between blocks, are ignored. Line
/// ends may be LF or CRLF.
///
/// # Errors
/// [`PemError`], for the first block or for a later `CERTIFICATE` block.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let mut chain = Vec::new();
    for block in Blocks(pem) {
        let block = block?;
        if block.label == b"CERTIFICATE" {
            let der = CertificateDer::from_pem_slice(block.text).map_err(|_| block.not_base64())?;
            chain.push(der.to_vec());
        } else if chain.is_empty() {
            return Err(PemError::UnexpectedBlock { label: block.printable_label(), wanted: "CERTIFICATE" });
        }
    }
    if chain.is_empty() { Err(PemError::NoBlock) } else { Ok(chain) }
}

/// The first private key: PKCS#8 (`PRIVATE KEY`), SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
///
/// # Errors
/// [`PemError::Encrypted`] for an encrypted key, [`PemError::UnexpectedBlock`] if all blocks are of other kinds. No
/// error holds bytes of a key.
pub fn private_key(pem: &[u8]) -> Result<PrivateKey, PemError> {
    let mut other = None;
    for block in Blocks(pem) {
        let block = block?;
        let key = match block.label {
            b"ENCRYPTED PRIVATE KEY" => return Err(PemError::Encrypted),
            // The header of the encryption before PKCS#8 (RFC 1421 4.6.1.1).
            b"PRIVATE KEY" | b"EC PRIVATE KEY" | b"RSA PRIVATE KEY"
                if block.has_line_with(b"Proc-Type:", b"ENCRYPTED") =>
            {
                return Err(PemError::Encrypted);
            }
            b"PRIVATE KEY" => PrivatePkcs8KeyDer::from_pem_slice(block.text).map(PrivateKeyDer::Pkcs8),
            b"EC PRIVATE KEY" => PrivateSec1KeyDer::from_pem_slice(block.text).map(PrivateKeyDer::Sec1),
            b"RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from_pem_slice(block.text).map(PrivateKeyDer::Pkcs1),
            _ => {
                other.get_or_insert_with(|| block.printable_label());
                continue;
            }
        };
        return key.map(PrivateKey).map_err(|_| block.not_base64());
    }
    Err(other.map_or(PemError::NoBlock, |label| PemError::UnexpectedBlock { label, wanted: "PRIVATE KEY" }))
}

/// A private key. It is never printed.
pub struct PrivateKey(PrivateKeyDer<'static>);

/// How a private key is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyEncoding {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
    /// `RSA PRIVATE KEY` (RFC 8017).
    Pkcs1,
}

impl PrivateKey {
    /// How it is encoded.
    pub fn encoding(&self) -> KeyEncoding {
        match self.0 {
            PrivateKeyDer::Sec1(_) => KeyEncoding::Sec1,
            PrivateKeyDer::Pkcs1(_) => KeyEncoding::Pkcs1,
            // Not exhaustive upstream; only these three are ever constructed above.
            _ => KeyEncoding::Pkcs8,
        }
    }

    /// The key itself, in DER.
    pub fn secret_der(&self) -> &[u8] {
        self.0.secret_der()
    }

    #[cfg(feature = "rustls")]
    pub(crate) fn to_der(&self) -> PrivateKeyDer<'static> {
        self.0.clone_key()
    }
}

impl Clone for PrivateKey {
    fn clone(&self) -> PrivateKey {
        PrivateKey(self.0.clone_key())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.encoding())
    }
}

/// Why a PEM file cannot be used. Never holds the contents of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemError {
    /// There is no block at all.
    NoBlock,
    /// The block is of another kind.
    UnexpectedBlock {
        /// Its label.
        label: String,
        /// The label that was wanted.
        wanted: &'static str,
    },
    /// A block without its END line.
    Unterminated {
        /// Its label.
        label: String,
    },
    /// A block that is not base64.
    NotBase64 {
        /// Its label.
        label: String,
    },
    /// An encrypted private key.
    Encrypted,
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PemError::NoBlock => write!(f, "not PEM: no BEGIN line"),
            PemError::UnexpectedBlock { label, wanted } => write!(f, "PEM block is {label}, not {wanted}"),
            PemError::Unterminated { label } => write!(f, "PEM block {label} has no END line"),
            PemError::NotBase64 { label } => write!(f, "PEM block {label} is not base64"),
            PemError::Encrypted => write!(f, "the private key is encrypted"),
        }
    }
}

impl core::error::Error for PemError {}

struct Block<'a> {
    label: &'a [u8],
    /// From the BEGIN line to the end of the END line.
    text: &'a [u8],
}

impl Block<'_> {
    /// The label, unless it looks like anything but a label: a file without line ends has its contents there.
    fn printable_label(&self) -> String {
        let plain = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' ');
        match core::str::from_utf8(self.label) {
            Ok(label) if label.len() <= 32 && self.label.iter().all(plain) => label.into(),
            _ => "with an unreadable label".into(),
        }
    }

    fn not_base64(&self) -> PemError {
        PemError::NotBase64 { label: self.printable_label() }
    }

    fn has_line_with(&self, start: &[u8], rest: &[u8]) -> bool {
        let mut lines = self.text.split(|byte| is_line_end(*byte)).filter_map(|line| line.strip_prefix(start));
        lines.any(|line| line.windows(rest.len()).any(|part| part == rest))
    }
}

/// The blocks of a file, in order, in one pass.
struct Blocks<'a>(&'a [u8]);

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, PemError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (label, text) = loop {
            let text = self.0;
            if let Some(label) = marker(self.line()?, b"-----BEGIN ") {
                break (label, text);
            }
        };
        while let Some(line) = self.line() {
            if marker(line, b"-----END ") == Some(label) {
                let len = text.len() - self.0.len();
                return Some(Ok(Block { label, text: &text[..len] }));
            }
        }
        let label = Block { label, text }.printable_label();
        Some(Err(PemError::Unterminated { label }))
    }
}

impl<'a> Blocks<'a> {
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().position(|byte| is_line_end(*byte)).unwrap_or(self.0.len());
        let line = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or(&[]);
        Some(line)
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn marker<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.trim_ascii_end().strip_prefix(start)?.strip_suffix(b"-----")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

    #[test]
    fn line_ends_and_text_around_blocks_do_not_matter() {
        let file = "note\r\n-----BEGIN CERTIFICATE-----\r\nAAEC\r\n-----END CERTIFICATE-----\r\nmore\n\
                    -----BEGIN CERTIFICATE-----\nAwQF\n-----END CERTIFICATE-----";
        assert_eq!(certificates(file.as_bytes()), Ok([[0, 1, 2].into(), [3, 4, 5].into()].into()));
    }

    #[test]
    fn every_fault_is_named() {
        let label = || "CERTIFICATE".into();
        assert_eq!(certificates(b"Hello world\n"), Err(PemError::NoBlock));
        assert_eq!(
            certificates(KEY.as_bytes()),
            Err(PemError::UnexpectedBlock { label: "PRIVATE KEY".into(), wanted: "CERTIFICATE" })
        );
        assert_eq!(
            certificates(b"-----BEGIN CERTIFICATE-----\nAAEC\n"),
            Err(PemError::Unterminated { label: label() })
        );
        assert_eq!(
            certificates(b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
            Err(PemError::NotBase64 { label: label() })
        );
        let encrypted = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert_eq!(private_key(encrypted.as_bytes()).unwrap_err(), PemError::Encrypted);
        let legacy = KEY
            .replace("PRIVATE", "RSA PRIVATE")
            .replace("c2V", "Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,00\n\nc2V");
        assert_eq!(private_key(legacy.as_bytes()).unwrap_err(), PemError::Encrypted);
    }

    #[test]
    fn ec_parameters_before_the_key_are_skipped() {
        let file = format!(
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
            KEY.replace("PRIVATE", "EC PRIVATE")
        );
        assert_eq!(private_key(file.as_bytes()).unwrap().encoding(), KeyEncoding::Sec1);
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", private_key(KEY.as_bytes()).unwrap()), "PrivateKey(Pkcs8)");
        let one_line = KEY.replace('\n', "");
        let error = private_key(one_line.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("c2Vj"), "{error}");
        let error = certificates(one_line.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("c2Vj"), "{error}");
    }
}
