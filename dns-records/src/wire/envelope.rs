//! What does every reply take from its request? Header, question and EDNS.

use super::query::Edns;
use super::{BufferTooSmall, MAX_MESSAGE, MIN_MESSAGE, Settings, Transport};
use crate::answer::Rcode;

/// Length of a header in octets (RFC 1035 section 4.1.1).
pub(super) const HEADER: usize = 12;
/// Length of an OPT record without options.
const OPT: usize = 11;

pub(super) const QR: u16 = 0x8000;
pub(super) const OPCODE: u16 = 0x7800;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const CD: u16 = 0x0010;
/// The DO bit in the upper octet of EDNS flags.
pub(super) const DO: u8 = 0x80;

/// The parts of a request that its reply repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) header: &'a [u8; HEADER],
    /// The question section, empty if it cannot be repeated.
    pub(super) question: &'a [u8],
    pub(super) edns: Option<Edns>,
    pub(super) transport: Transport,
}

/// What a reply says apart from its records.
pub(super) struct Outcome<'a> {
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    /// Records in answer, authority and additional, OPT not counted.
    pub(super) counts: &'a [u16; 3],
}

impl Envelope<'_> {
    pub(super) fn id(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    /// The second word of the header.
    pub(super) fn flags(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    pub(super) fn recursion_desired(&self) -> bool {
        self.flags() & RD != 0
    }

    pub(super) fn checking_disabled(&self) -> bool {
        self.flags() & CD != 0
    }

    /// How long the reply may be.
    pub(super) fn limit(&self, settings: &Settings) -> usize {
        match (self.transport, self.edns) {
            (Transport::Tcp, _) => MAX_MESSAGE,
            (Transport::Udp, None) => MIN_MESSAGE,
            (Transport::Udp, Some(edns)) => usize::from(edns.size.min(settings.max_udp)).max(MIN_MESSAGE),
        }
    }

    /// Repeats the question, and says where records begin and where they have to end.
    #[inline]
    pub(super) fn open(&self, settings: &Settings, out: &mut [u8]) -> Result<(usize, usize), BufferTooSmall> {
        if out.len() < MIN_MESSAGE {
            return Err(BufferTooSmall { length: out.len() });
        }
        // A name has at most 255 octets: header, question and OPT always fit.
        let start = HEADER + self.question.len();
        out[HEADER..start].copy_from_slice(self.question);
        let end = self.limit(settings).min(out.len());
        Ok((start, if self.edns.is_some() { end - OPT } else { end }))
    }

    /// Writes the OPT record at `at` and the header, and says how long the message is.
    #[inline]
    pub(super) fn close(&self, settings: &Settings, out: &mut [u8], mut at: usize, outcome: &Outcome<'_>) -> usize {
        let &[answer, authority, mut additional] = outcome.counts;
        let rcode = outcome.rcode as u8;
        if let Some(edns) = self.edns {
            let [high, low] = settings.max_udp.max(MIN_MESSAGE as u16).to_be_bytes();
            let flags = if edns.dnssec_ok { DO } else { 0 };
            out[at..at + OPT].copy_from_slice(&[0, 0, 41, high, low, rcode >> 4, 0, flags, 0, 0, 0]);
            at += OPT;
            additional += 1;
        }
        let bit = |on: bool, bit: u16| if on { bit } else { 0 };
        let flags = QR
            | (self.flags() & (OPCODE | RD | CD))
            | bit(outcome.authoritative, AA)
            | bit(outcome.truncated, TC)
            | bit(settings.recursion_available, RA)
            | u16::from(rcode & 0x0f);
        let questions = u16::from(!self.question.is_empty());
        let pair = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
        let words = [pair(self.id(), flags), pair(questions, answer), pair(authority, additional)];
        for (octets, word) in out.as_chunks_mut().0.iter_mut().zip(words) {
            *octets = word.to_be_bytes();
        }
        at
    }
}
