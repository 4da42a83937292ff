//! What of a ClientHello bears on the choice of a certificate?

use crate::alpn::Alpn;
use crate::client_hello::ClientHello;
use crate::offer::AcceptedKeys;
use crate::server_name::Sni;

/// The client's side of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query<'a> {
    /// The server name.
    pub sni: &'a Sni,
    /// The keys whose signatures the client verifies.
    pub accepted_keys: AcceptedKeys,
    /// The application protocols the client offers. They matter only for ACME challenges.
    pub alpn: Alpn<'a>,
}

impl<'a> Query<'a> {
    /// A client that verifies every key and offers no protocol.
    #[inline]
    pub fn new(sni: &'a Sni) -> Query<'a> {
        Query { sni, accepted_keys: AcceptedKeys::ANY, alpn: Alpn::NONE }
    }

    /// The client behind a hello; `sni` is [`hello.sni()`](ClientHello::sni), kept by the caller.
    pub fn of(hello: &'a ClientHello<'_>, sni: &'a Sni) -> Query<'a> {
        Query { sni, accepted_keys: hello.accepted_keys(), alpn: hello.alpn() }
    }
}
