//! Which application protocols does a client offer?

use alloc::format;
use core::fmt;

/// The protocols a client offers, in its order (RFC 7301). Names are bytes: GREASE and private names are no text.
#[derive(Clone, Copy)]
pub struct Alpn<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// Names with a length byte each, as checked on the wire.
    Wire(&'a [u8]),
    Names(&'a [&'a [u8]]),
}

/// The protocol of the TLS-ALPN-01 challenge (RFC 8737).
pub const ACME_TLS_1: &[u8] = b"acme-tls/1";

impl<'a> Alpn<'a> {
    /// No protocol: a client without the extension.
    pub const NONE: Alpn<'static> = Alpn(Source::Names(&[]));

    /// The protocols of a list.
    ///
    /// ```
    /// use tls_sni::Alpn;
    ///
    /// let offered = Alpn::new(&[b"http/1.1", b"h2"]);
    /// assert!(offered.offers(b"h2"));
    /// assert_eq!(offered.pick(&["h2", "http/1.1"]), Some("h2"));
    /// ```
    pub fn new(names: &'a [&'a [u8]]) -> Alpn<'a> {
        Alpn(Source::Names(names))
    }

    pub(crate) fn from_wire(list: &'a [u8]) -> Alpn<'a> {
        Alpn(Source::Wire(list))
    }

    /// Whether this protocol is offered.
    pub fn offers(self, protocol: &[u8]) -> bool {
        self.into_iter().any(|name| name == protocol)
    }

    /// The first protocol of the server's own list that is offered.
    pub fn pick(self, preferred: &[&'static str]) -> Option<&'static str> {
        preferred.iter().copied().find(|name| self.offers(name.as_bytes()))
    }

    /// Whether the connection is for an ACME challenge: the protocol is offered, and nothing else (RFC 8737 3).
    #[inline]
    pub fn is_acme_challenge(self) -> bool {
        self.into_iter().eq([ACME_TLS_1])
    }

    /// Whether nothing is offered.
    pub fn is_empty(self) -> bool {
        self.into_iter().next().is_none()
    }
}

impl<'a> IntoIterator for Alpn<'a> {
    type Item = &'a [u8];
    type IntoIter = AlpnNames<'a>;

    #[inline]
    fn into_iter(self) -> AlpnNames<'a> {
        AlpnNames(self.0)
    }
}

/// The names of an [`Alpn`] in the client's order.
#[derive(Clone)]
pub struct AlpnNames<'a>(Source<'a>);

impl<'a> Iterator for AlpnNames<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Source::Names(names) => {
                let (first, rest) = names.split_first()?;
                *names = rest;
                Some(first)
            }
            Source::Wire(list) => {
                let (len, rest) = list.split_first()?;
                let (name, rest) = rest.split_at_checked(usize::from(*len))?;
                *list = rest;
                Some(name)
            }
        }
    }
}

impl Default for Alpn<'_> {
    fn default() -> Self {
        Alpn::NONE
    }
}

/// Equal when the same names stand in the same order, wherever they come from.
impl PartialEq for Alpn<'_> {
    fn eq(&self, other: &Alpn<'_>) -> bool {
        self.into_iter().eq(*other)
    }
}

impl Eq for Alpn<'_> {}

impl fmt::Debug for Alpn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.into_iter().fmt(f)
    }
}

impl fmt::Debug for AlpnNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone().map(|name| format!("{}", name.escape_ascii()))).finish()
    }
}
