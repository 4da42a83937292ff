//! What does a message ask?

use super::envelope::{DO, Envelope, HEADER, OPCODE, QR};
use super::fault::{Fault, NameFault, Refusal};
use super::{Settings, Transport};
use crate::answer::Question;
use crate::name::{MAX_WIRE, NameRef};
use crate::record::RecordType;

const CLASS_IN: u16 = 1;
/// The record of EDNS (RFC 6891).
const OPT: RecordType = RecordType(41);
/// How many pointers a name may hang on: with more it would have more than 127 labels, or lead nowhere.
const MAX_POINTERS: usize = 126;

/// What a client says about itself in an OPT record (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Longest datagram it can take, in octets, as it says; less than 512 counts as 512.
    pub size: u16,
    /// Whether it wants DNSSEC records (the DO bit). There are none here.
    pub dnssec_ok: bool,
}

/// A query that was read: one question of class IN. Borrows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    pub(super) envelope: Envelope<'a>,
    pub(super) name: NameRef<'a>,
    record_type: RecordType,
}

impl<'a> Query<'a> {
    /// Reads a message, in time that its length bounds. Records are stepped over, save the OPT record; what follows the last is
    /// ignored.
    ///
    /// ```
    /// use dns_records::wire::{Fault, Query, Transport};
    /// let message = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
    /// let query = Query::read(message, Transport::Udp).unwrap();
    /// assert_eq!(query.question().to_string(), "a.example. A");
    /// let short = Query::read(&message[..20], Transport::Udp).unwrap_err();
    /// assert_eq!(short.to_string(), "in the question, the message ends too early");
    /// ```
    ///
    /// # Errors
    /// A [`Refusal`], which knows what to send instead of an answer: see [`Fault`].
    #[inline]
    pub fn read(message: &'a [u8], transport: Transport) -> Result<Self, Refusal<'a>> {
        let Some((header, rest)) = message.split_first_chunk::<HEADER>() else {
            return Err(Refusal { fault: Fault::TooShort { length: message.len() }, envelope: None });
        };
        let mut envelope = Envelope { header, question: &[], edns: None, transport };
        let refuse = |fault, envelope| Err(Refusal { fault, envelope: Some(envelope) });
        let flags = envelope.flags();
        if flags & QR != 0 {
            return refuse(Fault::IsReply, envelope);
        }
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let question = match count(4) {
            1 => RawQuestion::read(rest).map_err(Fault::Question),
            count => Err(Fault::QuestionCount(count)),
        };
        if let Ok(question) = &question {
            envelope.question = question.octets;
        }
        if flags & OPCODE != 0 {
            return refuse(Fault::Opcode((flags >> 11 & 0x0f) as u8), envelope);
        }
        let RawQuestion { octets, name, record_type, class } = match question {
            Ok(question) => question,
            Err(fault) => return refuse(fault, envelope),
        };
        let counts = [count(6), count(8), count(10)];
        if counts != [0; 3] {
            let [answer, authority, additional] = counts;
            if answer > 1 || authority > 1 || additional > 2 {
                return refuse(Fault::RecordCounts { answer, authority, additional }, envelope);
            }
            let mut opt = None;
            let read = read_records(message, HEADER + octets.len(), counts, &mut opt);
            envelope.edns = opt.map(|(edns, _)| edns);
            match (read, opt) {
                (Err(fault), _) => return refuse(fault, envelope),
                (Ok(()), Some((_, version @ 1..))) => return refuse(Fault::EdnsVersion(version), envelope),
                _ => {}
            }
        }
        match record_type {
            OPT => refuse(Fault::OptQuestion, envelope),
            _ if class != CLASS_IN => refuse(Fault::Class(class), envelope),
            _ if record_type.is_transfer() && transport == Transport::Udp => refuse(Fault::TransferOverUdp, envelope),
            _ => Ok(Self { envelope, name, record_type }),
        }
    }

    /// What is asked; the name lies in the message and is spelled as there.
    pub fn question(&self) -> Question<'a> {
        Question { name: self.name, record_type: self.record_type }
    }

    /// The number by which the client knows the reply.
    pub fn id(&self) -> u16 {
        self.envelope.id()
    }

    /// What the client says about itself; `None` without an OPT record.
    pub fn edns(&self) -> Option<Edns> {
        self.envelope.edns
    }

    /// Whether the client wants others to be asked (the RD bit).
    pub fn recursion_desired(&self) -> bool {
        self.envelope.recursion_desired()
    }

    /// Whether the client does without validation (the CD bit).
    pub fn checking_disabled(&self) -> bool {
        self.envelope.checking_disabled()
    }

    /// How the query came.
    pub fn transport(&self) -> Transport {
        self.envelope.transport
    }

    /// How long a reply may be, in octets.
    pub fn limit(&self, settings: &Settings) -> usize {
        self.envelope.limit(settings)
    }
}

/// A question section of one question.
struct RawQuestion<'a> {
    octets: &'a [u8],
    name: NameRef<'a>,
    record_type: RecordType,
    class: u16,
}

impl<'a> RawQuestion<'a> {
    /// Reads the question that `rest` begins with. Nothing stands before it that a pointer could lead to.
    fn read(rest: &'a [u8]) -> Result<Self, NameFault> {
        let mut at = 0;
        loop {
            match *rest.get(at).ok_or(NameFault::CutShort)? {
                0 => break,
                length @ 1..=63 => {
                    at += 1 + usize::from(length);
                    if at >= MAX_WIRE {
                        return Err(NameFault::TooLong);
                    }
                }
                0xc0.. => return Err(NameFault::Pointer),
                other => return Err(NameFault::LabelType(other)),
            }
        }
        let (name, rest_of) = rest.split_at(at + 1);
        let &[t1, t0, c1, c0] = rest_of.first_chunk().ok_or(NameFault::CutShort)?;
        Ok(Self {
            octets: &rest[..name.len() + 4],
            name: NameRef::vouched(name),
            record_type: RecordType(u16::from_be_bytes([t1, t0])),
            class: u16::from_be_bytes([c1, c0]),
        })
    }
}

/// Steps over the records behind the question, and notes what the OPT record says and its version.
fn read_records(message: &[u8], mut at: usize, counts: [u16; 3], opt: &mut Option<(Edns, u8)>) -> Result<(), Fault> {
    for (section, count) in counts.into_iter().enumerate() {
        for _ in 0..count {
            let unreadable = Fault::Record { at };
            let fixed = skip_name(message, at).ok_or(unreadable)?;
            let &[t1, t0, c1, c0, _extended, version, flags, _, l1, l0] =
                message.get(fixed..).and_then(<[u8]>::first_chunk).ok_or(unreadable)?;
            let end = fixed + 10 + usize::from(u16::from_be_bytes([l1, l0]));
            if end > message.len() {
                return Err(unreadable);
            }
            if RecordType(u16::from_be_bytes([t1, t0])) == OPT {
                // A root owner is the one octet 0.
                if opt.is_some() || section != 2 || message[at] != 0 {
                    return Err(Fault::Opt { at });
                }
                let edns = Edns { size: u16::from_be_bytes([c1, c0]), dnssec_ok: flags & DO != 0 };
                *opt = Some((edns, version));
            }
            at = end;
        }
    }
    Ok(())
}

/// The octet behind the name at `at`; `None` if it is no name. Pointers lead strictly backwards, before all that was read of the name
/// (RFC 1035 section 4.1.4), so that there is no loop.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    let (mut start, mut behind, mut length, mut pointers) = (at, None, 1, 0);
    loop {
        match *message.get(at)? {
            0 => return behind.or(Some(at + 1)),
            label @ 1..=63 => {
                at += 1 + usize::from(label);
                length += 1 + usize::from(label);
                if length > MAX_WIRE {
                    return None;
                }
            }
            high @ 0xc0.. => {
                let target = usize::from(u16::from_be_bytes([high & 0x3f, *message.get(at + 1)?]));
                behind = behind.or(Some(at + 2));
                pointers += 1;
                if target >= start || target < HEADER || pointers > MAX_POINTERS {
                    return None;
                }
                (start, at) = (target, target);
            }
            _ => return None,
        }
    }
}
