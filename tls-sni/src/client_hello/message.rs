//! Is this handshake message a well-formed ClientHello, and where are its parts? (RFC 8446 4.1.2)

use super::{Ech, MAX_HELLO, MalformedKind};

pub(super) const CLIENT_HELLO: u8 = 1;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// A part of a message body. The body it was found in is at most [`MAX_HELLO`] long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn new(start: usize, len: usize) -> Span {
        // Both are at most MAX_HELLO.
        Span { start: start as u32, len: len as u32 }
    }

    pub(super) fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..][..self.len as usize]
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) legacy_version: u16,
    pub(super) random: Span,
    pub(super) session_id: Span,
    pub(super) cipher_suites: Span,
    pub(super) extensions: Span,
    pub(super) server_name: Option<Span>,
    /// The list without its length.
    pub(super) alpn: Option<Span>,
    pub(super) versions: Option<Span>,
    pub(super) signature_algorithms: Option<Span>,
    pub(super) supported_groups: Option<Span>,
    pub(super) ech: Option<Ech>,
}

/// What is wrong, and where in the body.
pub(super) struct Fault {
    pub(super) kind: MalformedKind,
    pub(super) at: usize,
}

/// The length of the body after this message header.
pub(super) fn body_len(header: [u8; 4], limit: usize) -> Result<usize, MalformedKind> {
    let [kind, len @ ..] = header;
    if kind != CLIENT_HELLO {
        return Err(MalformedKind::NotClientHello);
    }
    let len = u32::from_be_bytes([0, len[0], len[1], len[2]]) as usize;
    if len > limit.min(MAX_HELLO) { Err(MalformedKind::TooLarge) } else { Ok(len) }
}

/// Finds the parts of a body, into `fields`.
pub(super) fn parse(body: &[u8], fields: &mut Fields) -> Result<(), Fault> {
    use MalformedKind::*;
    let mut rest = Cursor { bytes: body, at: 0 };
    fields.legacy_version = rest.u16().ok_or(rest.fault(TruncatedBody))?;
    fields.random = rest.take(32).ok_or(rest.fault(TruncatedBody))?;

    let len = rest.u8().ok_or(rest.fault(TruncatedBody))?;
    fields.session_id =
        Some(len).filter(|len| *len <= 32).and_then(|len| rest.take(len)).ok_or(rest.fault(SessionId))?;

    let len: usize = rest.u16().ok_or(rest.fault(TruncatedBody))?.into();
    let even = Some(len).filter(|len| *len > 0 && len.is_multiple_of(2));
    fields.cipher_suites = even.and_then(|len| rest.take(len)).ok_or(rest.fault(CipherSuites))?;

    let len = rest.u8().ok_or(rest.fault(TruncatedBody))?;
    Some(len).filter(|len| *len > 0).and_then(|len| rest.take(len)).ok_or(rest.fault(CompressionMethods))?;

    if rest.left() > 0 {
        let len = rest.u16().ok_or(rest.fault(ExtensionsLength))?.into();
        if len != rest.left() {
            return Err(rest.fault(ExtensionsLength));
        }
        fields.extensions = Span::new(rest.at, len);
        parse_extensions(rest, fields)?;
    }
    Ok(())
}

fn parse_extensions(mut rest: Cursor<'_>, fields: &mut Fields) -> Result<(), Fault> {
    use MalformedKind::*;
    let mut seen = Seen::new(rest);
    let mut psk = false;
    while rest.left() > 0 {
        let header = rest;
        if psk {
            return Err(header.fault(PskNotLast));
        }
        let Some([kind, len]) = rest.pair() else {
            return Err(header.fault(ExtensionHeader));
        };
        let at = rest.at;
        let Some(span) = rest.take(len.into()) else {
            return Err(header.fault(ExtensionLength));
        };
        if seen.again(kind, header.at) {
            return Err(header.fault(DuplicateExtension));
        }
        let fault = |kind| Fault { kind, at };
        let contents = || Cursor { bytes: &rest.bytes[..rest.at], at };
        match kind {
            SERVER_NAME => fields.server_name = host_name(contents())?,
            ALPN => fields.alpn = Some(alpn(contents()).ok_or(fault(Alpn))?),
            SUPPORTED_VERSIONS => fields.versions = Some(codes8(contents()).ok_or(fault(SupportedVersions))?),
            SIGNATURE_ALGORITHMS => {
                fields.signature_algorithms = Some(codes16(contents()).ok_or(fault(SignatureAlgorithms))?);
            }
            SUPPORTED_GROUPS => fields.supported_groups = Some(codes16(contents()).ok_or(fault(SupportedGroups))?),
            PRE_SHARED_KEY => psk = true,
            ENCRYPTED_CLIENT_HELLO => {
                fields.ech = match span.of(rest.bytes).first() {
                    Some(0) => Some(Ech::Outer),
                    Some(1) => Some(Ech::Inner),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    Ok(())
}

/// The host_name of a server_name list (RFC 6066 3). An entry of unknown type ends the list, as its length is unknown.
fn host_name(mut list: Cursor<'_>) -> Result<Option<Span>, Fault> {
    let fault = list.fault(MalformedKind::ServerName);
    let len = list.u16().map(usize::from);
    if len != Some(list.left()) || len == Some(0) {
        return Err(fault);
    }
    let mut name = None;
    while let Some(0) = list.u8() {
        let entry = list.u16().filter(|len| *len > 0).and_then(|len| list.take(len.into()));
        let Some(entry) = entry else { return Err(fault) };
        if name.replace(entry).is_some() {
            return Err(Fault { kind: MalformedKind::DuplicateServerName, at: fault.at });
        }
    }
    Ok(name)
}

/// A protocol list (RFC 7301 3.1).
fn alpn(mut list: Cursor<'_>) -> Option<Span> {
    let len = usize::from(list.u16()?);
    if len == 0 || len != list.left() {
        return None;
    }
    let all = Span::new(list.at, len);
    while list.left() > 0 {
        let len = list.u8().filter(|len| *len > 0)?;
        list.take(len)?;
    }
    Some(all)
}

fn codes8(mut list: Cursor<'_>) -> Option<Span> {
    let len = list.u8()?;
    list.codes(len)
}

fn codes16(mut list: Cursor<'_>) -> Option<Span> {
    let len = list.u16()?.into();
    list.codes(len)
}

/// The extensions of a block that was checked.
pub(super) fn extensions(block: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = Cursor { bytes: block, at: 0 };
    core::iter::from_fn(move || {
        let [kind, len] = rest.pair()?;
        Some((kind, rest.take(len.into())?.of(block)))
    })
}

/// Which extension types occurred. Real hellos have a few dozen extensions, most with a type below 64; hostile ones
/// have 16 thousand. A word and a short list serve the former, one pass with a bit a type the latter: linear always.
struct Seen<'a> {
    low: u64,
    others: [u16; 24],
    count: usize,
    block: Cursor<'a>,
    /// Where the first extension lies whose type occurred before, once the list was too short.
    duplicate: Option<Option<usize>>,
}

impl<'a> Seen<'a> {
    fn new(block: Cursor<'a>) -> Seen<'a> {
        Seen { low: 0, others: [0; 24], count: 0, block, duplicate: None }
    }

    /// Notes the type of the extension at `at`; whether it occurred before.
    fn again(&mut self, kind: u16, at: usize) -> bool {
        if let Some(duplicate) = self.duplicate {
            return duplicate == Some(at);
        }
        if kind < 64 {
            let bit = 1 << kind;
            let again = self.low & bit != 0;
            self.low |= bit;
            return again;
        }
        if self.others[..self.count].contains(&kind) {
            return true;
        }
        match self.others.get_mut(self.count) {
            Some(slot) => {
                *slot = kind;
                self.count += 1;
                false
            }
            None => *self.duplicate.insert(first_duplicate(self.block)) == Some(at),
        }
    }
}

#[cold]
fn first_duplicate(mut block: Cursor<'_>) -> Option<usize> {
    let mut seen = [0u64; 1024];
    loop {
        let at = block.at;
        let [kind, len] = block.pair()?;
        block.take(len.into())?;
        let (word, bit) = (&mut seen[usize::from(kind >> 6)], 1 << (kind & 63));
        if *word & bit != 0 {
            return Some(at);
        }
        *word |= bit;
    }
}

/// A place in a body. `bytes` may end before the body does; positions always count from its start.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn fault(&self, kind: MalformedKind) -> Fault {
        Fault { kind, at: self.at }
    }

    fn u8(&mut self) -> Option<usize> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte.into())
    }

    fn u16(&mut self) -> Option<u16> {
        let pair = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += 2;
        Some(u16::from_be_bytes(*pair))
    }

    /// Two numbers, by one look at the length.
    fn pair(&mut self) -> Option<[u16; 2]> {
        let [a, b, c, d] = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += 4;
        Some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
    }

    fn take(&mut self, len: usize) -> Option<Span> {
        if len > self.left() {
            return None;
        }
        let span = Span::new(self.at, len);
        self.at += len;
        Some(span)
    }

    /// A list of 16-bit codes that fills the rest.
    fn codes(&mut self, len: usize) -> Option<Span> {
        if len == 0 || !len.is_multiple_of(2) || len != self.left() {
            return None;
        }
        self.take(len)
    }
}
