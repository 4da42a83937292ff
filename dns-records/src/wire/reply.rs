//! How does an answer become a message?

use super::query::Query;
use super::writer::Writer;
use super::{BufferTooSmall, Settings};
use crate::answer::{Question, Verdict};

/// A reply that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<R> {
    /// How many octets of the buffer it takes.
    pub length: usize,
    /// Whether it was cut and says so (the TC bit).
    pub truncated: bool,
    /// What the closure gave.
    pub verdict: Verdict<R>,
}

/// Writes the reply to a query into the front of `out`: `answer` puts the records into the writer, in the order of the
/// sections, and gives the rest of the reply.
///
/// Allocates nothing, and costs what the records that fit cost; the [module page](self::super) has the rules and an example. A
/// transfer over TCP goes to [`transfer`](super::transfer) instead.
///
/// # Errors
/// `out` is shorter than [`MIN_MESSAGE`](super::MIN_MESSAGE). A buffer shorter than the limit makes the limit shorter.
#[inline]
pub fn reply<'q, R>(
    query: &Query<'q>,
    settings: &Settings,
    out: &mut [u8],
    answer: impl FnOnce(Question<'q>, &mut Writer<'_>) -> Verdict<R>,
) -> Result<Reply<R>, BufferTooSmall> {
    let room = query.envelope.open(settings, out)?;
    let mut writer = Writer::within(query, out, room);
    let verdict = answer(query.question(), &mut writer);
    let length = writer.close(query, settings, verdict.rcode, verdict.authoritative);
    Ok(Reply { length, truncated: writer.is_truncated(), verdict })
}
