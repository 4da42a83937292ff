//! What does a client say before anything is encrypted? A borrowed view of its ClientHello.

mod message;
mod record;

use crate::alpn::Alpn;
use crate::offer::{AcceptedKeys, ProtocolVersion, SignatureScheme, is_grease};
use crate::server_name::Sni;
use alloc::borrow::Cow;
use core::fmt;
use message::Span;

pub use record::{HelloReader, peek, peek_within};

/// The longest ClientHello that [`peek`] reads, in bytes without its 4-byte header.
pub const MAX_HELLO: usize = 65_535;

/// A ClientHello whose structure was checked: the accessors cannot fail.
///
/// It borrows from the input of [`peek`] unless the message was cut across records, in which case it owns the joined
/// message. Only what routing needs is looked into: key shares, session tickets, early data and padding are stepped
/// over.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The message without its 4-byte header.
    body: Cow<'a, [u8]>,
    fields: message::Fields,
    end: usize,
}

impl<'a> ClientHello<'a> {
    /// Reads a ClientHello as a handshake message, without record framing: 1 byte type, 3 bytes length, body.
    ///
    /// This is the entry for QUIC stacks, which carry the message in CRYPTO frames, and for TLS libraries whose
    /// callbacks hand it over whole. What follows the message is left alone; an offset in an error counts from the
    /// start of `handshake`. `limit` bounds the body, at most [`MAX_HELLO`].
    ///
    /// # Errors
    /// As [`peek`], without the record layer's.
    pub fn from_handshake(handshake: &'a [u8], limit: usize) -> Result<ClientHello<'a>, PeekError> {
        let have = handshake.len();
        if let Some(&kind) = handshake.first()
            && kind != message::CLIENT_HELLO
        {
            return Err(PeekError::malformed(MalformedKind::NotClientHello, 0));
        }
        let header = *handshake.first_chunk().ok_or(PeekError::NeedMore(4_usize.saturating_sub(have)))?;
        let len = message::body_len(header, limit).map_err(|kind| PeekError::malformed(kind, 0))?;
        let end = 4 + len;
        let body = handshake.get(4..end).ok_or(PeekError::NeedMore(end.saturating_sub(have)))?;
        let mut hello = ClientHello { body: Cow::Borrowed(body), fields: message::Fields::default(), end };
        message::parse(body, &mut hello.fields).map_err(|fault| PeekError::malformed(fault.kind, 4 + fault.at))?;
        Ok(hello)
    }

    /// Where the message ends: the offset just past it in the input, record headers included.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The host_name bytes of server_name as sent. [`sni`](Self::sni) is their canonical form.
    pub fn server_name_bytes(&self) -> Option<&[u8]> {
        Some(self.part(self.fields.server_name?))
    }

    /// The server name, canonical and classified (tens of nanoseconds, no allocation).
    ///
    /// Of an [`Ech::Outer`] hello this is the provider's public name.
    pub fn sni(&self) -> Sni {
        Sni::new(self.server_name_bytes())
    }

    /// The application protocols, in the client's order; empty without the extension. Names are bytes, not text.
    pub fn alpn(&self) -> Alpn<'_> {
        self.fields.alpn.map_or(Alpn::NONE, |span| Alpn::from_wire(self.part(span)))
    }

    /// The versions of supported_versions in the client's order and without GREASE; without the extension the legacy
    /// version alone.
    pub fn versions(&self) -> impl Iterator<Item = ProtocolVersion> + '_ {
        let legacy = self.fields.versions.is_none().then_some(self.legacy_version());
        self.codes(self.fields.versions).filter(|code| !is_grease(*code)).map(ProtocolVersion).chain(legacy)
    }

    /// The schemes of signature_algorithms in the client's order and without GREASE; `None` without the extension.
    pub fn signature_schemes(&self) -> Option<impl Iterator<Item = SignatureScheme> + '_> {
        let span = self.fields.signature_algorithms?;
        Some(self.codes(Some(span)).filter(|code| !is_grease(*code)).map(SignatureScheme))
    }

    /// The keys whose signatures the client verifies, by its schemes and versions.
    pub fn accepted_keys(&self) -> AcceptedKeys {
        match self.signature_schemes() {
            Some(schemes) => AcceptedKeys::new(schemes, self.versions()),
            None => AcceptedKeys::ANY,
        }
    }

    /// The cipher suites in the client's order, GREASE and signalling values included.
    pub fn cipher_suites(&self) -> impl ExactSizeIterator<Item = u16> + '_ {
        codes(self.part(self.fields.cipher_suites))
    }

    /// The groups of supported_groups in the client's order, GREASE included; empty without the extension.
    pub fn supported_groups(&self) -> impl ExactSizeIterator<Item = u16> + '_ {
        self.codes(self.fields.supported_groups)
    }

    /// Every extension in order, GREASE included: type and contents.
    pub fn extensions(&self) -> impl Iterator<Item = (u16, &[u8])> + '_ {
        message::extensions(self.part(self.fields.extensions))
    }

    /// The version field before the random, which stands still at TLS 1.2 in every newer hello.
    pub fn legacy_version(&self) -> ProtocolVersion {
        ProtocolVersion(self.fields.legacy_version)
    }

    /// The client's random.
    pub fn random(&self) -> &[u8] {
        self.part(self.fields.random)
    }

    /// The legacy session id, 0 to 32 bytes.
    pub fn session_id(&self) -> &[u8] {
        self.part(self.fields.session_id)
    }

    /// Whether the hello carries an encrypted one (RFC 9849). An [`Ech::Outer`] hello may hold but GREASE: that cannot
    /// be told from outside.
    pub fn ech(&self) -> Option<Ech> {
        self.fields.ech
    }

    fn part(&self, span: Span) -> &[u8] {
        span.of(&self.body)
    }

    fn codes(&self, span: Option<Span>) -> impl ExactSizeIterator<Item = u16> + '_ {
        codes(span.map_or(&[], |span| self.part(span)))
    }
}

fn codes(list: &[u8]) -> impl ExactSizeIterator<Item = u16> + '_ {
    list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

impl fmt::Debug for ClientHello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHello")
            .field("sni", &self.sni())
            .field("alpn", &self.alpn())
            .field("ech", &self.ech())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// The form of encrypted_client_hello in a hello (RFC 9849 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ech {
    /// The visible hello; its server name is the provider's public name.
    Outer,
    /// The hello that was encrypted, as a backend behind the provider sees it.
    Inner,
}

/// Why no ClientHello could be read.
///
/// Over the prefixes of one stream errors are monotonic: after any number of [`NeedMore`](PeekError::NeedMore) comes
/// the hello or one error, and more bytes change neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeekError {
    /// The input is a prefix of a hello that lacks at least this many bytes, never zero. Keep reading: hellos with
    /// post-quantum key shares exceed a TCP segment, and some clients send one byte at a time. At most the record
    /// header is asked for until the first bytes look like TLS.
    NeedMore(usize),
    /// The first bytes are none of a TLS record.
    NotTls(NotTlsKind),
    /// TLS, but no well-formed ClientHello.
    Malformed {
        /// What is wrong.
        kind: MalformedKind,
        /// Where, in bytes from the start of the input.
        offset: usize,
    },
}

impl PeekError {
    fn malformed(kind: MalformedKind, offset: usize) -> PeekError {
        PeekError::Malformed { kind, offset }
    }
}

impl fmt::Display for PeekError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeekError::NeedMore(n) => write!(f, "incomplete hello, at least {n} more bytes are needed"),
            PeekError::NotTls(kind) => write!(f, "not TLS: {kind}"),
            PeekError::Malformed { kind, offset } => write!(f, "malformed hello at byte {offset}: {kind}"),
        }
    }
}

impl core::error::Error for PeekError {}

macro_rules! kinds {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// A stable name for logs and metrics.
            pub fn code(self) -> &'static str {
                match self { $($name::$variant => $code,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.code())
            }
        }
    };
}

kinds! {
    /// How the first bytes differ from a TLS handshake record.
    NotTlsKind {
        /// The first byte is not 22 (handshake).
        ContentType = "content-type",
        /// The major version of the first record is not 3.
        RecordVersion = "record-version",
        /// An SSL 2.0 hello, which SSL 3.0 clients of old sent.
        SslV2 = "sslv2",
    }
}

kinds! {
    /// What is wrong with a hello.
    MalformedKind {
        /// A record of length 0.
        EmptyRecord = "empty-record",
        /// A record of more than 16384 bytes.
        RecordOverflow = "record-overflow",
        /// A record of another content type before the hello ends.
        InterleavedRecord = "interleaved-record",
        /// The major version of a later record is not 3.
        RecordVersion = "record-version",
        /// The first handshake message is another one.
        NotClientHello = "not-client-hello",
        /// The message is longer than the limit.
        TooLarge = "too-large",
        /// A fixed field does not fit the message.
        TruncatedBody = "truncated-body",
        /// A session id of more than 32 bytes, or one that overruns the message.
        SessionId = "session-id",
        /// No cipher suite, an odd length, or an overrun.
        CipherSuites = "cipher-suites",
        /// No compression method, or an overrun.
        CompressionMethods = "compression-methods",
        /// The length of the extension block is not what is left of the message.
        ExtensionsLength = "extensions-length",
        /// The extension block ends within the header of an extension.
        ExtensionHeader = "extension-header",
        /// An extension overruns the block.
        ExtensionLength = "extension-length",
        /// An extension type, known or not, occurs twice.
        DuplicateExtension = "duplicate-extension",
        /// pre_shared_key is not the last extension.
        PskNotLast = "psk-not-last",
        /// server_name is empty, has a wrong length, or holds an empty host_name.
        ServerName = "server-name",
        /// server_name holds two host_name entries, equal or not.
        DuplicateServerName = "duplicate-server-name",
        /// The protocol list is empty, has a wrong length, or holds an empty name.
        Alpn = "alpn",
        /// The version list is empty, odd, or has a wrong length.
        SupportedVersions = "supported-versions",
        /// The scheme list is empty, odd, or has a wrong length.
        SignatureAlgorithms = "signature-algorithms",
        /// The group list is empty, odd, or has a wrong length.
        SupportedGroups = "supported-groups",
    }
}
