//! Where in a TCP stream does the ClientHello lie? The TLS record layer before encryption (RFC 8446 5.1).

use super::message::{self, Fault};
use super::{ClientHello, MAX_HELLO, MalformedKind, NotTlsKind, PeekError};
use alloc::borrow::Cow;
use alloc::vec::Vec;

const RECORD_HEADER: usize = 5;
const MAX_RECORD: usize = 16_384;
const HANDSHAKE: u8 = 22;
const MESSAGE_HEADER: usize = 4;

/// Reads the ClientHello at the start of a TCP stream without consuming it.
///
/// The message may be cut anywhere across records, even inside its header; what follows it is left alone. Time is
/// linear in the input. Nothing allocates unless the message is cut: then it is joined once, when it is complete.
///
/// ```
/// use tls_sni::{NotTlsKind, PeekError, peek};
///
/// assert_eq!(peek(b"GET / HTTP/1.1\r\n"), Err(PeekError::NotTls(NotTlsKind::ContentType)));
/// assert_eq!(peek(&[22, 3, 1]), Err(PeekError::NeedMore(2)));
/// ```
///
/// # Errors
/// [`PeekError::NeedMore`] while the hello is incomplete, else what is wrong with it. A caller that waits for as many
/// bytes as are asked for calls this a few times for a whole hello and some sixty times, not thousands, for one of
/// 64 kB that comes in records of one byte.
pub fn peek(input: &[u8]) -> Result<ClientHello<'_>, PeekError> {
    peek_within(input, MAX_HELLO)
}

/// As [`peek`], with a lower limit for the length of the message without its header. Above [`MAX_HELLO`] it has no
/// effect.
///
/// # Errors
/// As [`peek`].
pub fn peek_within(input: &[u8], limit: usize) -> Result<ClientHello<'_>, PeekError> {
    let found = locate(input, limit)?;
    let body = match found.end.checked_sub(RECORD_HEADER + found.len) {
        // One record holds all of the message, so nothing lies between its start and its end.
        Some(0) => Cow::Borrowed(&input[RECORD_HEADER + MESSAGE_HEADER..found.end]),
        _ => Cow::Owned(join(input, &found)),
    };
    match message::parse(&body) {
        Ok(fields) => Ok(ClientHello { body, fields, end: found.end }),
        // What follows the message has no part in where its fault lies.
        Err(Fault { kind, at }) => {
            Err(PeekError::malformed(kind, stream_offset(&input[..found.end], MESSAGE_HEADER + at)))
        }
    }
}

/// A complete message in a stream.
struct Located {
    /// Its bytes, with the header.
    len: usize,
    /// The offset in the stream just past it.
    end: usize,
}

fn locate(input: &[u8], limit: usize) -> Result<Located, PeekError> {
    let mut at = 0; // where the current record starts
    let mut got = 0; // bytes of the message in the records before
    let mut header = [0; MESSAGE_HEADER];
    let mut len = MESSAGE_HEADER; // of the message, as far as it is known
    loop {
        let Some(record) = record_len(&input[at..], at)? else {
            let lacking = if at == 0 { 0 } else { with_headers(len - got, MAX_RECORD) };
            return Err(PeekError::NeedMore(RECORD_HEADER - (input.len() - at) + lacking));
        };
        let start = at + RECORD_HEADER;
        let here = &input[start..input.len().min(start + record)];
        if got < MESSAGE_HEADER {
            for (slot, byte) in header[got..].iter_mut().zip(here) {
                *slot = *byte;
            }
            let have = got + here.len();
            if have > 0 && header[0] != message::CLIENT_HELLO {
                return Err(PeekError::malformed(MalformedKind::NotClientHello, start));
            }
            if have >= MESSAGE_HEADER {
                let body = message::body_len(header, limit)
                    .map_err(|kind| PeekError::malformed(kind, stream_offset(input, 0)))?;
                len = MESSAGE_HEADER + body;
            }
        }
        if got + here.len() >= len {
            return Ok(Located { len, end: start + len - got });
        }
        got += here.len();
        if here.len() < record {
            return Err(PeekError::NeedMore(with_headers(len - got, record - here.len())));
        }
        at = start + record;
    }
}

/// The length of the record at `at`, or `None` if its header is incomplete and right so far.
fn record_len(rest: &[u8], at: usize) -> Result<Option<usize>, PeekError> {
    let first = at == 0;
    match rest.first() {
        None | Some(&HANDSHAKE) => {}
        Some(_) if !first => return Err(PeekError::malformed(MalformedKind::InterleavedRecord, at)),
        // An SSL 2.0 record has a 2-byte header with the high bit set; its third byte is the message type.
        Some(kind) if kind & 0x80 != 0 => match rest.get(2) {
            None => return Err(PeekError::NeedMore(3 - rest.len())),
            Some(1) => return Err(PeekError::NotTls(NotTlsKind::SslV2)),
            Some(_) => return Err(PeekError::NotTls(NotTlsKind::ContentType)),
        },
        Some(_) => return Err(PeekError::NotTls(NotTlsKind::ContentType)),
    }
    match rest.get(1) {
        None | Some(3) => {}
        Some(_) if first => return Err(PeekError::NotTls(NotTlsKind::RecordVersion)),
        Some(_) => return Err(PeekError::malformed(MalformedKind::RecordVersion, at + 1)),
    }
    let Some(header) = rest.first_chunk::<RECORD_HEADER>() else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([header[3], header[4]])) {
        0 => Err(PeekError::malformed(MalformedKind::EmptyRecord, at + 3)),
        len if len > MAX_RECORD => Err(PeekError::malformed(MalformedKind::RecordOverflow, at + 3)),
        len => Ok(Some(len)),
    }
}

/// The least number of stream bytes that bring `missing` bytes of the message, of which at most `room` fit the
/// current record.
fn with_headers(missing: usize, room: usize) -> usize {
    missing + RECORD_HEADER * missing.saturating_sub(room).div_ceil(MAX_RECORD)
}

/// The payloads of the records that were walked, each with where it starts in the stream.
fn payloads(input: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let len = record_len(input.get(at..)?, at).ok()??;
        let start = at + RECORD_HEADER;
        at = start + len;
        Some((start, &input[start..input.len().min(at)]))
    })
}

fn join(input: &[u8], found: &Located) -> Vec<u8> {
    let mut message = Vec::with_capacity(found.len - MESSAGE_HEADER);
    let mut skip = MESSAGE_HEADER;
    let mut left = found.len - MESSAGE_HEADER;
    for (_, payload) in payloads(input) {
        let part = payload.get(skip..).unwrap_or(&[]);
        skip = skip.saturating_sub(payload.len());
        let part = &part[..part.len().min(left)];
        message.extend_from_slice(part);
        left -= part.len();
        if left == 0 {
            break;
        }
    }
    message
}

/// Where byte `at` of the message lies in the stream; the end of the stream if it lies beyond.
fn stream_offset(input: &[u8], mut at: usize) -> usize {
    for (start, payload) in payloads(input) {
        if at < payload.len() {
            return start + at;
        }
        at -= payload.len();
    }
    input.len()
}
