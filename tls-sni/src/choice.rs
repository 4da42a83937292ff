//! Which certificate was chosen, and why that one or none?

use crate::facts::KeyKind;
use crate::server_name::ServerNameError;
use crate::store::{CertId, Stored};
use core::fmt;

/// The certificate that is served, or the alert that is sent, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a, C> {
    /// The certificate, or the alert to close the connection with.
    pub outcome: Result<Chosen<'a, C>, Alert>,
    /// Why.
    pub reason: Reason,
}

/// A certificate of a store. To have found it touches nothing of it: what it holds is read when it is asked for.
#[derive(Clone, Copy)]
pub struct Chosen<'a, C> {
    /// Its number in the store.
    pub id: CertId,
    /// Where it lies; never empty, as choices are made among certificates that are there.
    pub(crate) place: &'a Option<Stored<C>>,
}

impl<'a, C> Chosen<'a, C> {
    /// What the embedder put into the store.
    pub fn certificate(&self) -> &'a C {
        &self.stored().certificate
    }

    /// The kind of its public key.
    pub fn key(&self) -> KeyKind {
        self.stored().details.key
    }

    /// First second of its validity, in seconds since 1970-01-01T00:00:00Z.
    pub fn not_before(&self) -> i64 {
        self.stored().details.not_before
    }

    /// Last second of its validity, in seconds since 1970-01-01T00:00:00Z: when to have renewed it.
    pub fn not_after(&self) -> i64 {
        self.stored().details.not_after
    }

    #[inline]
    fn stored(&self) -> &'a Stored<C> {
        self.place.as_ref().expect("what is filed under a name is stored, and what is listed too")
    }
}

impl<C: fmt::Debug> fmt::Debug for Chosen<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chosen").field("id", &self.id).field("certificate", self.certificate()).finish_non_exhaustive()
    }
}

impl<C: PartialEq> PartialEq for Chosen<'_, C> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.certificate() == other.certificate()
            && self.stored().details == other.stored().details
    }
}

impl<C: Eq> Eq for Chosen<'_, C> {}

/// A TLS alert that refuses a connection (RFC 8446 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Alert {
    /// No certificate for this name.
    UnrecognizedName,
    /// No certificate that the client could verify.
    HandshakeFailure,
}

impl Alert {
    /// The AlertDescription on the wire.
    pub fn code(self) -> u8 {
        match self {
            Alert::UnrecognizedName => 112,
            Alert::HandshakeFailure => 40,
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Alert::UnrecognizedName => "unrecognized_name",
            Alert::HandshakeFailure => "handshake_failure",
        })
    }
}

/// Why a certificate was chosen, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The certificate names the server name.
    Exact,
    /// A wildcard of the certificate covers the server name.
    Wildcard,
    /// An ACME challenge is being answered.
    Challenge,
    /// The default certificate, for want of another.
    Default(Unmatched),
    /// No certificate.
    Refused(Unmatched),
}

/// Why no certificate was found by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmatched {
    /// The client sent no server name.
    NoName,
    /// It sent an IP literal.
    IpLiteral,
    /// It sent something that is no host name.
    InvalidName(ServerNameError),
    /// No certificate is stored for the name.
    UnknownName,
    /// The client verifies the keys of none of the name's certificates.
    Unverifiable,
}

impl Reason {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Exact => "exact",
            Reason::Wildcard => "wildcard",
            Reason::Challenge => "challenge",
            Reason::Default(why) | Reason::Refused(why) => match why {
                Unmatched::NoName => "no-name",
                Unmatched::IpLiteral => "ip-literal",
                Unmatched::InvalidName(_) => "invalid-name",
                Unmatched::UnknownName => "unknown-name",
                Unmatched::Unverifiable => "unverifiable",
            },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Exact => f.write_str("a certificate names the server name"),
            Reason::Wildcard => f.write_str("a wildcard of a certificate covers the server name"),
            Reason::Challenge => f.write_str("ACME challenge certificate of the server name"),
            Reason::Default(why) => write!(f, "{why}; default certificate"),
            Reason::Refused(why) => write!(f, "{why}; refused"),
        }
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmatched::NoName => f.write_str("no server name was sent"),
            Unmatched::IpLiteral => f.write_str("an IP literal was sent as server name"),
            Unmatched::InvalidName(error) => write!(f, "the server name is no host name: {error}"),
            Unmatched::UnknownName => f.write_str("no certificate covers the server name"),
            Unmatched::Unverifiable => f.write_str("the client verifies the key of no certificate for the server name"),
        }
    }
}
