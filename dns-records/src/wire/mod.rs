//! How do questions and records lie in a message? One message in, one message out, without a socket.
//!
//! [`Query::read`] takes the octets of one message and gives the question, or a [`Refusal`] that knows what to send back, if
//! anything. [`reply`] hands the question to a closure, which puts records into a [`Sink`](crate::Sink); they go straight
//! into the buffer of the caller, and the limits, the EDNS record and the TC bit are seen to. [`transfer`] does the same for
//! a whole zone, in as many messages as it takes. Nothing here allocates, and the work is bounded by the size of the message
//! that is read or written.
//!
//! A whole exchange over UDP, on octets:
//!
//! ```
//! use dns_records::wire::{Query, Settings, Transport, reply};
//! use dns_records::{Question, Rcode, Record, RecordData, RecordType, Section, Sink, Verdict};
//!
//! // What recvfrom() gave: id 0x2a2a, RD, one question for `wWw.example. IN A`.
//! let datagram = b"\x2a\x2a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03wWw\x07example\x00\x00\x01\x00\x01";
//!
//! let settings = Settings::default();
//! let mut out = [0; 1232];
//! let length = match Query::read(datagram, Transport::Udp) {
//!     Err(refusal) => refusal.reply(&settings, &mut out)?, // None: say nothing
//!     Ok(query) => {
//!         let answer = |question: Question<'_>, sink: &mut dyn Sink| {
//!             let data = RecordData::A([192, 0, 2, 1].into());
//!             sink.record(Section::Answer, &Record { owner: question.name.into(), ttl: 5, data });
//!             Verdict { rcode: Rcode::NoError, authoritative: true, reason: () }
//!         };
//!         Some(reply(&query, &settings, &mut out, |question, writer| answer(question, writer))?.length)
//!     }
//! };
//! // What sendto() takes: the question as it was spelled, and the address behind a pointer to it.
//! let sent = &out[..length.unwrap()];
//! assert_eq!(sent[..12], *b"\x2a\x2a\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00");
//! assert_eq!(sent[12..29], datagram[12..]);
//! assert_eq!(sent[29..], *b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\xc0\x00\x02\x01");
//! # Ok::<(), dns_records::wire::BufferTooSmall>(())
//! ```
//!
//! With the feature `kubernetes`, `Zone::respond` does all of it in one call.
//!
//! # Rules
//!
//! * **What is answered.** One question of class IN (RFC 9619), with at most one OPT record of EDNS version 0 (RFC 6891). What
//!   else comes gets an error reply, or none: [`Fault`] lists the cases. Replies are never answered.
//! * **What comes back.** Id, RD, CD and the question octet for octet; an OPT record if there was one, with the DO bit as it
//!   was. RA only if the program forwards ([`Settings::recursion_available`]).
//! * **Limits.** UDP: 512 octets, with EDNS the smaller of what the client and [`Settings::max_udp`] allow. TCP: 65535. The two
//!   octets of length before a message on TCP are the caller's.
//! * **What does not fit.** Sets of additional records are left out without a word (RFC 2181 section 9); the answer is cut at
//!   its end, by whole records, and TC is set. An alias thus never stays away while its target is there.
//! * **Compression.** Owners, and the names in NS, CNAME, PTR and SOA; never the target of SRV (RFC 2782).
//!
//! What a server does beside: it asks for the addresses in another order for each query (`Zone::answer_rotated`), since some
//! resolvers live on the part that fits, and looks at who may have a transfer. A TSIG record is stepped over, and the reply is not signed.

mod compress;
mod envelope;
mod fault;
mod query;
mod reply;
mod transfer;
mod writer;
#[cfg(feature = "kubernetes")]
mod zone;

pub use fault::{Fault, NameFault, Refusal};
pub use query::{Edns, Query};
pub use reply::{Reply, reply};
pub use transfer::{Transfer, transfer};
pub use writer::Writer;
#[cfg(feature = "kubernetes")]
pub use zone::Response;

/// Longest message that every receiver takes over UDP, in octets (RFC 1035 section 4.2.1), and the smallest buffer for a reply.
pub const MIN_MESSAGE: usize = 512;
/// Longest message over TCP, in octets.
pub const MAX_MESSAGE: usize = 65_535;

/// How a message came, and how the reply will go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram a message, of the size the client can take.
    Udp,
    /// A stream, with two octets of length before each message; TLS and HTTPS count as such.
    Tcp,
}

/// What holds for every reply of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest message sent over UDP, and the size told to clients, in octets; less than 512 counts as 512. 1232 by
    /// default: what passes everywhere without fragments.
    pub max_udp: u16,
    /// Whether the program asks others about names that are not its own (the RA bit).
    pub recursion_available: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_udp: 1232, recursion_available: false }
    }
}

/// The buffer for a reply holds less than [`MIN_MESSAGE`] octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a buffer of {length} octets, a reply needs {MIN_MESSAGE}")]
pub struct BufferTooSmall {
    /// What it holds, in octets.
    pub length: usize,
}
