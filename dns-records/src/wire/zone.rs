//! What does the DNS of a cluster say to a message?

use super::fault::Refusal;
use super::query::Query;
use super::reply::{Reply, reply};
use super::{BufferTooSmall, Settings, Transport};
use crate::answer::NoUpstream;
use crate::kubernetes::{Reason, Zone};

/// What to do about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// Send the first octets of the buffer, as many as [`Reply::length`] says.
    Reply(Query<'a>, Reply<Reason<'a>>),
    /// Send the first `length` octets of the buffer: an error.
    Error {
        /// How many.
        length: usize,
        /// Why.
        refusal: Refusal<'a>,
    },
    /// Ask others: the name is not in the zones, or left to others there.
    Forward(Query<'a>),
    /// Over TCP a whole zone is asked for: see whether this client may have it, and go on with [`transfer`](super::transfer).
    Transfer(Query<'a>),
    /// Send nothing.
    Nothing(Refusal<'a>),
}

impl Zone {
    /// Answers a message: octets in, octets out, without allocation.
    ///
    /// Names outside the zones give [`Response::Forward`] if [`Settings::recursion_available`] says that somebody can be asked, and
    /// are refused otherwise. Aliases that leave the zones stand alone. `rotation`, a number that is another for each query, says
    /// with which address each name begins ([`Zone::answer_rotated`]): those that do not fit are others each time.
    ///
    /// ```
    /// use dns_records::kubernetes::Zone;
    /// use dns_records::wire::{Response, Settings, Transport};
    /// let zone = Zone::of(&svc_model::Cluster::new());
    /// let message = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x0bdns-version\x07cluster\x05LOCAL\0\0\x10\0\x01";
    /// let mut out = [0; 1232];
    /// let Response::Reply(query, reply) = zone.respond(message, Transport::Udp, 0, &Settings::default(), &mut out)? else {
    ///     unreachable!()
    /// };
    /// assert_eq!(query.question().to_string(), "dns-version.cluster.LOCAL. TXT");
    /// assert!(out[..reply.length].ends_with(b"\x051.1.0"));
    /// # Ok::<(), dns_records::wire::BufferTooSmall>(())
    /// ```
    ///
    /// # Errors
    /// `out` is shorter than [`MIN_MESSAGE`](super::MIN_MESSAGE).
    pub fn respond<'a>(
        &'a self,
        message: &'a [u8],
        transport: Transport,
        rotation: u32,
        settings: &Settings,
        out: &mut [u8],
    ) -> Result<Response<'a>, BufferTooSmall> {
        let query = match Query::read(message, transport) {
            Ok(query) => query,
            Err(refusal) => return refuse(refusal, settings, out),
        };
        if query.question().record_type.is_transfer() {
            return Ok(Response::Transfer(query));
        }
        let reply = reply(&query, settings, out, |question, writer| {
            self.answer_through(question, rotation, &mut NoUpstream, writer)
        })?;
        let is_elsewhere = matches!(reply.verdict.reason, Reason::NotOurs | Reason::FallsThrough(_));
        Ok(if is_elsewhere && settings.recursion_available {
            Response::Forward(query)
        } else {
            Response::Reply(query, reply)
        })
    }
}

#[cold]
fn refuse<'a>(refusal: Refusal<'a>, settings: &Settings, out: &mut [u8]) -> Result<Response<'a>, BufferTooSmall> {
    Ok(match refusal.reply(settings, out)? {
        Some(length) => Response::Error { length, refusal },
        None => Response::Nothing(refusal),
    })
}
