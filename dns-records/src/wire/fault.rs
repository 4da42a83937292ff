//! Why is a message not answered, and what is sent instead?

use super::envelope::{Envelope, Outcome};
use super::{BufferTooSmall, Settings};
use crate::answer::Rcode;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No whole header. Nothing is sent.
    #[error("{length} octets are no DNS message")]
    TooShort {
        /// Its length in octets.
        length: usize,
    },
    /// A reply; answering it could go on for ever. Nothing is sent.
    #[error("a reply, not a query")]
    IsReply,
    /// NOTIFY, UPDATE and the like: NOTIMP.
    #[error("opcode {0} is not QUERY")]
    Opcode(u8),
    /// None or several (RFC 9619): FORMERR.
    #[error("{0} questions instead of one")]
    QuestionCount(u16),
    /// A question that cannot be read: FORMERR, and the question is not repeated.
    #[error("in the question, {0}")]
    Question(NameFault),
    /// More records than a query can have: FORMERR.
    #[error("a query with {answer} answer, {authority} authority and {additional} additional records")]
    RecordCounts {
        /// In the answer section; at most one.
        answer: u16,
        /// In the authority section; at most one (IXFR has it).
        authority: u16,
        /// In the additional section; at most two (OPT and TSIG).
        additional: u16,
    },
    /// A record that cannot be read: FORMERR.
    #[error("the record at octet {at} cannot be read")]
    Record {
        /// Where it begins.
        at: usize,
    },
    /// A second OPT record, or one outside the additional section, or below a name (RFC 6891 section 6.1.1): FORMERR.
    #[error("a misplaced OPT record at octet {at}")]
    Opt {
        /// Where it begins.
        at: usize,
    },
    /// An EDNS version above 0: BADVERS.
    #[error("EDNS version {0} is not known")]
    EdnsVersion(u8),
    /// A question for type OPT, which no name can have: FORMERR.
    #[error("a question for type OPT")]
    OptQuestion,
    /// A class that is not IN: REFUSED.
    #[error("class {0} is not IN")]
    Class(u16),
    /// A transfer asked for over UDP: REFUSED.
    #[error("a zone transfer over UDP")]
    TransferOverUdp,
}

/// What is wrong with a name in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// The message ends first.
    #[error("the message ends too early")]
    CutShort,
    /// A length octet of more than 63, or another use of its upper bits (RFC 6891 section 5).
    #[error("{0:#04x} does not begin a label")]
    LabelType(u8),
    /// A pointer, where there is nothing before to point to.
    #[error("a compressed name")]
    Pointer,
    /// More than 255 octets.
    #[error("a name of more than 255 octets")]
    TooLong,
}

impl Fault {
    /// What a reply would say; `None` if there must not be one.
    pub const fn rcode(self) -> Option<Rcode> {
        match self {
            Self::TooShort { .. } | Self::IsReply => None,
            Self::Opcode(_) => Some(Rcode::NotImp),
            Self::QuestionCount(_)
            | Self::Question(_)
            | Self::RecordCounts { .. }
            | Self::Record { .. }
            | Self::Opt { .. }
            | Self::OptQuestion => Some(Rcode::FormErr),
            Self::EdnsVersion(_) => Some(Rcode::BadVers),
            Self::Class(_) | Self::TransferOverUdp => Some(Rcode::Refused),
        }
    }
}

/// A message that is not answered, with what its reply repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Refusal<'a> {
    pub(super) fault: Fault,
    /// `None` without a whole header.
    pub(super) envelope: Option<Envelope<'a>>,
}

impl Refusal<'_> {
    /// Why.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Writes the error reply to the front of `out` and gives its length in octets; `None` if nothing is to be sent.
    ///
    /// The question is repeated if it could be read, and there is an OPT record if one was read before the fault.
    ///
    /// # Errors
    /// `out` is shorter than [`MIN_MESSAGE`](super::MIN_MESSAGE).
    pub fn reply(&self, settings: &Settings, out: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let (Some(rcode), Some(envelope)) = (self.fault.rcode(), self.envelope) else { return Ok(None) };
        let (at, _) = envelope.open(settings, out)?;
        let outcome = Outcome { rcode, authoritative: false, truncated: false, counts: &[0; 3] };
        Ok(Some(envelope.close(settings, out, at, &outcome)))
    }
}
