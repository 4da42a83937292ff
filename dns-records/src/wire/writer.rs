//! How does a record lie in a message, and what if it does not fit?

use super::compress::{Names, Spelling};
use super::envelope::{HEADER, Outcome};
use super::query::Query;
use super::{BufferTooSmall, Settings};
use crate::answer::{Rcode, Section, Sink};
use crate::joined::JoinedName;
use crate::record::{RecordData, RecordRef, RecordType};

const CLASS_IN: u64 = 1;
/// An A record of class IN that is owned by the question, without TTL (32 bits from bit 48) and address (the last 32).
const A_OF_QUESTION: u128 = 0xc00c_0001_0001_0000_0000_0004_0000_0000;
/// Longest TTL in seconds (RFC 2181 section 8).
const MAX_TTL: u32 = i32::MAX as u32;
/// Longest string of a TXT record in octets.
const MAX_STRING: usize = 255;

/// Writes records into the buffer of a reply: the [`Sink`] that [`reply`](super::reply) hands out.
///
/// Once a record does not fit, that one and all that follow are left out: of the additional section in whole sets, silently;
/// of the others one by one, with the TC bit. So is a record of a section before that of the last record.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    /// Where records have to end.
    end: usize,
    names: Names<'a>,
    section: Section,
    counts: [u16; 3],
    /// The set of the last additional record.
    set: Set,
    is_full: bool,
    truncated: bool,
}

/// Records of one owner and type.
#[derive(Clone, Copy, Debug)]
struct Set {
    owner: usize,
    record_type: RecordType,
    /// Where it begins.
    start: usize,
    count: u16,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn open(query: &Query<'a>, settings: &Settings, out: &'a mut [u8]) -> Result<Self, BufferTooSmall> {
        let room = query.envelope.open(settings, out)?;
        Ok(Self::within(query, out, room))
    }

    /// Writes between two places, where the question was repeated already.
    #[inline]
    pub(super) fn within(query: &Query<'a>, out: &'a mut [u8], (at, end): (usize, usize)) -> Self {
        Self {
            out,
            at,
            end,
            names: Names::new(query.name),
            section: Section::Answer,
            counts: [0; 3],
            set: Set { owner: 0, record_type: RecordType(0), start: at, count: 0 },
            is_full: false,
            truncated: false,
        }
    }

    /// Whether a record was left out of the answer or authority section.
    pub(super) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether there is no record yet.
    pub(super) fn is_empty(&self) -> bool {
        self.counts == [0; 3]
    }

    /// Adds the OPT record and the header; gives the length of the message.
    #[inline]
    pub(super) fn close(&mut self, query: &Query<'_>, settings: &Settings, rcode: Rcode, authoritative: bool) -> usize {
        let outcome = Outcome { rcode, authoritative, truncated: self.truncated, counts: &self.counts };
        query.envelope.close(settings, self.out, self.at, &outcome)
    }

    /// The first octets of the buffer.
    pub(super) fn written(&self, length: usize) -> &[u8] {
        &self.out[..length]
    }

    /// Goes back to the end of the question, for the next message of a transfer.
    pub(super) fn start_over(&mut self, query: &Query<'a>) {
        self.at = HEADER + query.envelope.question.len();
        self.names = Names::new(query.name);
        self.section = Section::Answer;
        self.counts = [0; 3];
    }

    /// Writes a record; `None` if it does not fit, and then the names are of no use any more.
    pub(super) fn push(&mut self, section: Section, record: &RecordRef<'_>) -> Option<()> {
        if section < self.section {
            return None;
        }
        let start = self.at;
        let mut room = Room { octets: &mut self.out[..self.end], at: start };
        let record_type = record.data.record_type();
        let owner = self.names.owner(room.octets, start, record.owner);
        room.name(record.owner, owner)?;
        let ttl = record.ttl.min(MAX_TTL);
        room.put((u64::from(record_type.0) << 48 | CLASS_IN << 32 | u64::from(ttl)).to_be_bytes())?;
        let length_at = room.at;
        room.put([0, 0])?;
        room.data(&mut self.names, &record.data, Owner { name: record.owner, spelling: owner })?;
        let length = u16::try_from(room.at - length_at - 2).ok()?;
        room.octets[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.at = room.at;
        self.section = section;
        self.counts[section as usize] += 1;
        if section == Section::Additional {
            self.set.follow(self.names.last_owner(), record_type, start);
        }
        Some(())
    }

    /// Writes an IPv4 address of the name asked for into the answer section: what nearly all replies are made of, in one
    /// piece. `None` for all else, and where it does not fit.
    #[inline]
    fn push_address(&mut self, section: Section, record: &RecordRef<'_>) -> Option<()> {
        match record.data {
            RecordData::A(addr) if section == Section::Answer && self.section == section && !self.is_full => {
                self.names.is_asked(record.owner).then_some(())?;
                let ttl = u128::from(record.ttl.min(MAX_TTL));
                let octets = (A_OF_QUESTION | ttl << 48 | u128::from(addr.to_bits())).to_be_bytes();
                *self.out[..self.end].get_mut(self.at..)?.first_chunk_mut()? = octets;
                self.at += octets.len();
                self.counts[section as usize] += 1;
                Some(())
            }
            _ => None,
        }
    }

    /// Writes a record of any kind, or leaves it out.
    #[inline(never)]
    fn push_or_cut(&mut self, section: Section, record: &RecordRef<'_>) {
        if !self.is_full && self.push(section, record).is_none() {
            self.cut(section, record.data.record_type());
        }
    }

    /// Leaves out a record that did not fit, and with an additional one what was written of its set.
    fn cut(&mut self, section: Section, record_type: RecordType) {
        self.is_full = true;
        if section != Section::Additional {
            self.truncated = true;
        } else if self.set.is_of(self.names.last_owner(), record_type) {
            self.at = self.set.start;
            self.counts[section as usize] -= self.set.count;
        }
    }
}

impl Sink for Writer<'_> {
    /// One function with its caller, who mostly knows the kind of record.
    #[inline(always)]
    fn record(&mut self, section: Section, record: &RecordRef<'_>) {
        if self.push_address(section, record).is_none() {
            self.push_or_cut(section, record);
        }
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.is_full
    }
}

impl Set {
    fn is_of(&self, owner: usize, record_type: RecordType) -> bool {
        (self.owner, self.record_type) == (owner, record_type)
    }

    /// Counts a record that was written at `start`.
    fn follow(&mut self, owner: usize, record_type: RecordType, start: usize) {
        if self.is_of(owner, record_type) {
            self.count += 1;
        } else {
            *self = Self { owner, record_type, start, count: 1 };
        }
    }
}

/// The owner of an SOA record, and how it was written.
#[derive(Clone, Copy)]
struct Owner<'a> {
    name: JoinedName<'a>,
    spelling: Spelling,
}

impl Owner<'_> {
    /// How a name below the owner is written, if it was made with this very owner: nothing has to be looked for then.
    #[inline]
    fn below(self, name: JoinedName<'_>) -> Option<Spelling> {
        let ((front, own), (head, tail)) = (self.name.as_wire(), name.as_wire());
        let is_below = self.spelling.octets == 0 && front.is_empty() && std::ptr::eq(own, tail);
        is_below.then_some(Spelling { octets: head.len(), ..self.spelling })
    }
}

fn in_name(pointer: u16) -> [u8; 2] {
    (0xc000 | pointer).to_be_bytes()
}

/// The part of a buffer that records may fill. All that writes gives `None` where it ends.
struct Room<'a> {
    octets: &'a mut [u8],
    at: usize,
}

impl Room<'_> {
    /// The next octets, to be filled.
    #[inline]
    fn next<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        let next = self.octets.get_mut(self.at..)?.first_chunk_mut()?;
        self.at += N;
        Some(next)
    }

    #[inline]
    fn put<const N: usize>(&mut self, octets: [u8; N]) -> Option<()> {
        *self.next()? = octets;
        Some(())
    }

    #[inline]
    fn slice(&mut self, octets: &[u8]) -> Option<()> {
        if octets.is_empty() {
            return Some(());
        }
        self.octets.get_mut(self.at..self.at + octets.len())?.copy_from_slice(octets);
        self.at += octets.len();
        Some(())
    }

    #[inline]
    fn name(&mut self, name: JoinedName<'_>, spelling: Spelling) -> Option<()> {
        let (head, tail) = name.as_wire();
        self.slice(&head[..spelling.octets.min(head.len())])?;
        self.slice(&tail[..spelling.octets.saturating_sub(head.len())])?;
        spelling.pointer.map_or(Some(()), |pointer| self.put(in_name(pointer)))
    }

    fn data(&mut self, names: &mut Names<'_>, data: &RecordData<JoinedName<'_>>, owner: Owner<'_>) -> Option<()> {
        match data {
            RecordData::A(addr) => self.put(addr.octets()),
            RecordData::Aaaa(addr) => self.put(addr.octets()),
            RecordData::Srv { priority, weight, port, target } => {
                let numbers = self.next::<6>()?.as_chunks_mut().0;
                for (octets, number) in numbers.iter_mut().zip([priority, weight, port]) {
                    *octets = number.to_be_bytes();
                }
                let spelling = names.target(self.octets, self.at, *target, false);
                self.name(*target, spelling)
            }
            RecordData::Cname(target) | RecordData::Ptr(target) | RecordData::Ns(target) => {
                let spelling = names.target(self.octets, self.at, *target, true);
                self.name(*target, spelling)
            }
            RecordData::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => {
                for name in [primary, mailbox] {
                    let spelling = owner.below(*name).unwrap_or_else(|| names.ending(self.octets, self.at, *name));
                    self.name(*name, spelling)?;
                }
                let numbers = self.next::<20>()?.as_chunks_mut().0;
                for (octets, number) in numbers.iter_mut().zip([serial, refresh, retry, expire, minimum]) {
                    *octets = number.to_be_bytes();
                }
                Some(())
            }
            RecordData::Txt(text) if text.is_empty() => self.put([0]),
            RecordData::Txt(text) => {
                for string in text.chunks(MAX_STRING) {
                    self.put([string.len() as u8])?;
                    self.slice(string)?;
                }
                Some(())
            }
        }
    }
}
