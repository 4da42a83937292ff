//! Which software says this hello? JA3 and JA4, the fingerprints by which logs and filters group clients.
//!
//! Both are computed from what the client offers, GREASE left out (RFC 8701), and hold nothing of the connection's
//! secrets. They are for statistics, not for trust: a client can send any hello it likes.
//!
//! ```
//! use tls_sni::fingerprint::{Transport, ja3, ja3_text, ja4, ja4_text};
//! use tls_sni::{ClientHello, MAX_HELLO};
//!
//! // TLS 1.2, two cipher suites, no extensions.
//! let body = [&[3, 3][..], &[7; 32], &[0, 0, 4, 0xc0, 0x2f, 0xc0, 0x2b, 1, 0]].concat();
//! let message = [&[1, 0, 0, body.len() as u8], &body[..]].concat();
//! let hello = ClientHello::from_handshake(&message, MAX_HELLO)?;
//! assert_eq!(ja3_text(&hello), "771,49199-49195,,,");
//! assert_eq!(ja3(&hello).len(), 32);
//! assert_eq!(ja4_text(&hello, Transport::Tcp), "t12i020000_c02b,c02f_");
//! assert_eq!(ja4(&hello, Transport::Tcp), "t12i020000_b6f57f3be927_000000000000");
//! # Ok::<(), tls_sni::PeekError>(())
//! ```

use crate::client_hello::ClientHello;
use crate::offer::{ProtocolVersion, is_grease};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Display, Write};
use md5::Md5;
use sha2::{Digest, Sha256};

const SERVER_NAME: u16 = 0;
const EC_POINT_FORMATS: u16 = 11;
const ALPN: u16 = 16;

/// What carries the hello: the first letter of a JA4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS.
    Dtls,
}

/// The text that [`ja3`] hashes: version, cipher suites, extensions, groups and point formats in the client's order, as
/// decimal numbers (<https://github.com/salesforce/ja3>).
pub fn ja3_text(hello: &ClientHello<'_>) -> String {
    let formats = hello.extensions().find(|(kind, _)| *kind == EC_POINT_FORMATS).map_or(&[][..], |(_, list)| list);
    let formats = formats.split_first().map_or(&[][..], |(len, list)| &list[..list.len().min(usize::from(*len))]);
    let formats = formats.iter().copied().map(u16::from);
    format!(
        "{},{},{},{},{}",
        hello.legacy_version().0,
        joined(plain(hello.cipher_suites()), "-"),
        joined(plain(hello.extensions().map(|(kind, _)| kind)), "-"),
        joined(plain(hello.supported_groups()), "-"),
        joined(formats, "-"),
    )
}

/// JA3: the MD5 of [`ja3_text`], 32 hexadecimal digits. Browsers that shuffle their extensions have a new one each time.
pub fn ja3(hello: &ClientHello<'_>) -> String {
    hex(&Md5::digest(ja3_text(hello)))
}

/// The text behind [`ja4`], known as JA4_r: as JA4 itself, with the sorted cipher suites in place of their hash, and the
/// sorted extensions and the signature schemes in place of theirs (<https://github.com/FoxIO-LLC/ja4>).
pub fn ja4_text(hello: &ClientHello<'_>, transport: Transport) -> String {
    format!("{}_{}_{}", ja4_counts(hello, transport), sorted_suites(hello), sorted_extensions(hello))
}

/// JA4: protocol, version, whether there is a server name, how many cipher suites and extensions, the ends of the first
/// protocol; then 12 digits each of the SHA-256 of what [`ja4_text`] spells out. The order of cipher suites and
/// extensions does not matter.
pub fn ja4(hello: &ClientHello<'_>, transport: Transport) -> String {
    let (suites, extensions) = (sorted_suites(hello), sorted_extensions(hello));
    format!("{}_{}_{}", ja4_counts(hello, transport), short_hash(&suites), short_hash(&extensions))
}

fn ja4_counts(hello: &ClientHello<'_>, transport: Transport) -> String {
    let transport = match transport {
        Transport::Tcp => 't',
        Transport::Quic => 'q',
        Transport::Dtls => 'd',
    };
    let version = match hello.versions().max().unwrap_or(hello.legacy_version()) {
        ProtocolVersion::TLS13 => "13",
        ProtocolVersion::TLS12 => "12",
        ProtocolVersion::TLS11 => "11",
        ProtocolVersion::TLS10 => "10",
        ProtocolVersion(0x0300) => "s3",
        ProtocolVersion(0x0200) => "s2",
        ProtocolVersion(0xfeff) => "d1",
        ProtocolVersion(0xfefd) => "d2",
        ProtocolVersion(0xfefc) => "d3",
        _ => "00",
    };
    let kinds = || plain(hello.extensions().map(|(kind, _)| kind));
    let name = if kinds().any(|kind| kind == SERVER_NAME) { 'd' } else { 'i' };
    let suites = plain(hello.cipher_suites()).count().min(99);
    let extensions = kinds().count().min(99);
    let (first, last) = protocol_ends(hello);
    format!("{transport}{version}{name}{suites:02}{extensions:02}{first}{last}")
}

/// The first and the last character of the first protocol; of one with other ends than letters and digits, those of its
/// hexadecimal form.
fn protocol_ends(hello: &ClientHello<'_>) -> (char, char) {
    match hello.alpn().into_iter().next() {
        Some(name @ &[first, ..]) => {
            let last = *name.last().unwrap_or(&first);
            if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                (first.into(), last.into())
            } else {
                let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
                (digit(first >> 4), digit(last & 15))
            }
        }
        _ => ('0', '0'),
    }
}

fn sorted_suites(hello: &ClientHello<'_>) -> String {
    let mut suites: Vec<u16> = plain(hello.cipher_suites()).collect();
    suites.sort_unstable();
    joined_hex(suites)
}

/// Extensions without server_name and ALPN, which are told by the counts, then the schemes in their own order.
fn sorted_extensions(hello: &ClientHello<'_>) -> String {
    let kinds = plain(hello.extensions().map(|(kind, _)| kind));
    let mut kinds: Vec<u16> = kinds.filter(|kind| !matches!(*kind, SERVER_NAME | ALPN)).collect();
    kinds.sort_unstable();
    let mut text = joined_hex(kinds);
    if let Some(schemes) = hello.signature_schemes() {
        let schemes = joined_hex(schemes.map(|scheme| scheme.0));
        if !schemes.is_empty() {
            text.push('_');
            text.push_str(&schemes);
        }
    }
    text
}

fn plain(codes: impl Iterator<Item = u16>) -> impl Iterator<Item = u16> {
    codes.filter(|code| !is_grease(*code))
}

fn joined_hex(codes: impl IntoIterator<Item = u16>) -> String {
    joined(codes.into_iter().map(|code| format!("{code:04x}")), ",")
}

fn joined(items: impl Iterator<Item = impl Display>, by: &str) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push_str(by);
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{item}");
    }
    text
}

fn short_hash(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".into();
    }
    hex(&Sha256::digest(text)[..6])
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
