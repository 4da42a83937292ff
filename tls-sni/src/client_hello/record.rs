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
    HelloReader::within(limit).read(input)
}

/// Reads the ClientHello of one connection while its bytes arrive, in time linear in the bytes however they are cut.
///
/// [`peek`] walks the records from the start each time it is called. A reader remembers the records that are complete,
/// so that a caller who looks at the stream after every single byte pays for each record once. It holds no bytes: the
/// caller keeps them in one buffer that grows, and hands on all of it when the hello is read.
///
/// ```
/// use tls_sni::{HelloReader, PeekError};
///
/// # let stream = {
/// #     let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
/// #     let message = [&[1, 0, 0, body.len() as u8], &body[..]].concat();
/// #     [&[22, 3, 1, 0, message.len() as u8], &message[..]].concat()
/// # };
/// # let mut socket = stream.iter().copied();
/// let mut reader = HelloReader::new();
/// let mut buffer = Vec::new();
/// let end = loop {
///     match reader.read(&buffer) {
///         Ok(hello) => break hello.end(),
///         Err(PeekError::NeedMore(n)) => buffer.extend(socket.by_ref().take(n)), // at least; more does no harm
///         Err(error) => return Err(error),
///     }
/// };
/// assert_eq!(end, buffer.len());
/// # Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct HelloReader {
    limit: usize,
    walked: Walked,
}

impl HelloReader {
    /// A reader of messages of up to [`MAX_HELLO`] bytes.
    pub fn new() -> HelloReader {
        HelloReader::within(MAX_HELLO)
    }

    /// A reader with a lower limit for the length of the message without its header.
    pub fn within(limit: usize) -> HelloReader {
        HelloReader { limit, walked: Walked::default() }
    }

    /// The hello at the start of `stream`: all bytes of the connection so far, those of earlier calls included.
    ///
    /// # Errors
    /// As [`peek`]. Once there was a hello or an error other than [`PeekError::NeedMore`], the answer stays.
    pub fn read<'a>(&mut self, stream: &'a [u8]) -> Result<ClientHello<'a>, PeekError> {
        if self.walked.at > stream.len() {
            self.walked = Walked::default(); // another stream
        }
        let found = locate(stream, self.limit, &mut self.walked)?;
        let body = match found.end.checked_sub(RECORD_HEADER + found.len) {
            // One record holds all of the message, so nothing lies between its start and its end.
            Some(0) => Cow::Borrowed(&stream[RECORD_HEADER + MESSAGE_HEADER..found.end]),
            _ => Cow::Owned(join(stream, &found)),
        };
        let mut hello = ClientHello { body, fields: message::Fields::default(), end: found.end };
        match message::parse(&hello.body, &mut hello.fields) {
            Ok(()) => Ok(hello),
            // What follows the message has no part in where its fault lies.
            Err(Fault { kind, at }) => {
                Err(PeekError::malformed(kind, stream_offset(&stream[..found.end], MESSAGE_HEADER + at)))
            }
        }
    }
}

impl Default for HelloReader {
    fn default() -> HelloReader {
        HelloReader::new()
    }
}

/// How far a stream was walked: always to the start of a record.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    /// Where that record starts.
    at: usize,
    /// Bytes of the message in the records before.
    got: usize,
    /// The header of the message, as far as `got` goes.
    header: [u8; MESSAGE_HEADER],
}

/// A complete message in a stream.
struct Located {
    /// Its bytes, with the header.
    len: usize,
    /// The offset in the stream just past it.
    end: usize,
}

fn locate(input: &[u8], limit: usize, walked: &mut Walked) -> Result<Located, PeekError> {
    let Walked { mut at, mut got, mut header } = *walked;
    loop {
        let Some(record) = record_len(&input[at..], at)? else {
            let lacking = if at == 0 { 0 } else { with_headers(message_len(header, got) - got, MAX_RECORD) };
            return Err(PeekError::NeedMore(RECORD_HEADER - (input.len() - at) + lacking));
        };
        let start = at + RECORD_HEADER;
        let here = &input[start..input.len().min(start + record)];
        let have = got + here.len();
        if got < MESSAGE_HEADER {
            for (slot, byte) in header[got..].iter_mut().zip(here) {
                *slot = *byte;
            }
            if have > 0 && header[0] != message::CLIENT_HELLO {
                return Err(PeekError::malformed(MalformedKind::NotClientHello, start));
            }
            if have >= MESSAGE_HEADER {
                message::body_len(header, limit).map_err(|kind| PeekError::malformed(kind, stream_offset(input, 0)))?;
            }
        }
        let len = message_len(header, have);
        if have >= len {
            return Ok(Located { len, end: start + len - got });
        }
        if here.len() < record {
            return Err(PeekError::NeedMore(with_headers(len - have, record - here.len())));
        }
        (at, got) = (start + record, have);
        *walked = Walked { at, got, header };
    }
}

/// The length of the message with its header, as far as it is known from `got` bytes of it.
fn message_len(header: [u8; MESSAGE_HEADER], got: usize) -> usize {
    match header {
        [_, len @ ..] if got >= MESSAGE_HEADER => {
            MESSAGE_HEADER + u32::from_be_bytes([0, len[0], len[1], len[2]]) as usize
        }
        _ => MESSAGE_HEADER,
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
