//! Where in the message does a name, or its end, stand already?
//!
//! Few places are looked at, so that the work for a name is bounded: the question, of which every ending serves; the owner
//! before; the tail before; and the last names of targets, which come back as the owners of additional records in the order in
//! which they were written.

use super::envelope::HEADER;
use crate::joined::JoinedName;
use crate::name::NameRef;

/// The first octet that a pointer cannot reach (RFC 1035 section 4.1.4).
const REACH: usize = 0x4000;
/// How many names are remembered. 128 targets make a message of about 8 KiB.
const REMEMBERED: usize = 128;
/// How many of them are looked at for one name.
const TRIED: usize = 4;

/// The names of a message so far. All places are offsets in it; names are equal only if they are spelled alike, save an
/// owner that is the question.
#[derive(Debug)]
pub(super) struct Names<'q> {
    question: NameRef<'q>,
    /// Where the owner of the last record stands.
    owner: usize,
    /// Where the tail of the last name stands that was written out.
    tail: Option<u16>,
    targets: Option<Targets>,
}

/// Where names of targets stand, the oldest overwritten by the newest.
#[derive(Debug)]
struct Targets {
    places: [u16; REMEMBERED],
    /// How many were remembered in all.
    written: usize,
    /// The one that was found or written last.
    last: usize,
}

/// How a name is written: its first octets, then a pointer if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelling {
    pub(super) octets: usize,
    pub(super) pointer: Option<u16>,
}

impl Spelling {
    /// Where the name stands when it is written at `at`; no pointer leads to a pointer.
    fn place(self, at: usize) -> usize {
        self.pointer.filter(|_| self.octets == 0).map_or(at, usize::from)
    }
}

impl<'q> Names<'q> {
    #[inline]
    pub(super) fn new(question: NameRef<'q>) -> Self {
        Self { question, owner: HEADER, tail: None, targets: None }
    }

    /// Where the owner of the last record stands: equal for records of one set.
    pub(super) fn last_owner(&self) -> usize {
        self.owner
    }

    /// Whether this is the name of the question, handed back; quick, and `false` for an equal one from elsewhere.
    #[inline]
    pub(super) fn is_asked(&self, name: JoinedName<'_>) -> bool {
        let (head, tail) = name.as_wire();
        head.is_empty() && std::ptr::eq(tail, self.question.as_wire())
    }

    /// Where a name stands that was cut from the question itself; quick, and `None` for an equal one from elsewhere.
    #[inline]
    fn cut_from_question(&self, name: JoinedName<'_>) -> Option<usize> {
        let ((head, tail), question) = (name.as_wire(), self.question.as_wire());
        let is_its_end = head.is_empty() && std::ptr::eq(question.as_ptr_range().end, tail.as_ptr_range().end);
        // The root alone is shorter than a pointer to it.
        let before =
            question.len().checked_sub(tail.len()).filter(|before| is_its_end && (*before == 0 || tail.len() > 1));
        before.map(|before| HEADER + before)
    }

    /// How an owner is written at `at`.
    #[inline]
    pub(super) fn owner(&mut self, message: &[u8], at: usize, name: JoinedName<'_>) -> Spelling {
        if let Some(place) = self.cut_from_question(name) {
            self.owner = place;
            return Spelling { octets: 0, pointer: Some(place as u16) };
        }
        self.other_owner(message, at, name)
    }

    /// How an owner is written that is not cut from the question.
    fn other_owner(&mut self, message: &[u8], at: usize, name: JoinedName<'_>) -> Spelling {
        let place = if self.is_question(name) {
            Some(HEADER)
        } else if self.owner != HEADER && stands_at(message, self.owner, name) {
            Some(self.owner)
        } else {
            self.targets.as_mut().and_then(|targets| targets.find(message, name))
        };
        let spelling = match place.and_then(reachable) {
            Some(pointer) => Spelling { octets: 0, pointer: Some(pointer) },
            None => self.ending(message, at, name),
        };
        self.owner = place.unwrap_or(spelling.place(at));
        spelling
    }

    /// How the target of a record is written at `at`; `compress` is whether its type allows pointers.
    pub(super) fn target(&mut self, message: &[u8], at: usize, name: JoinedName<'_>, compress: bool) -> Spelling {
        let known = self.targets.get_or_insert_with(Targets::default).find(message, name);
        let spelling = match known.and_then(reachable) {
            Some(pointer) if compress => Spelling { octets: 0, pointer: Some(pointer) },
            _ if compress => self.ending(message, at, name),
            _ => Spelling { octets: length(name), pointer: None },
        };
        if known.is_none()
            && let (Some(place), Some(targets)) = (reachable(spelling.place(at)), &mut self.targets)
        {
            targets.remember(place);
        }
        spelling
    }

    /// Without regard to case: the reply then has the spelling of the question.
    fn is_question(&self, name: JoinedName<'_>) -> bool {
        let (head, tail) = name.as_wire();
        let question = self.question.as_wire();
        question.len() == length(name) && {
            let (front, back) = question.split_at(head.len());
            front.eq_ignore_ascii_case(head) && back.eq_ignore_ascii_case(tail)
        }
    }

    /// How a name is written of which only the ending can stand somewhere: that of the question, or the tail that was written
    /// last.
    pub(super) fn ending(&mut self, message: &[u8], at: usize, name: JoinedName<'_>) -> Spelling {
        let (head, tail) = name.as_wire();
        let question = self.question.as_wire();
        let common = match question.strip_suffix(tail) {
            Some(front) => tail.len() + common_end(front, head),
            None => common_end(question, tail),
        };
        let (mut octets, total) = (0, length(name));
        while total - octets > common {
            octets += 1 + usize::from(*head.get(octets).unwrap_or_else(|| &tail[octets - head.len()]));
        }
        // The root alone is shorter than a pointer to it.
        if total - octets > 1 {
            return Spelling { octets, pointer: Some((HEADER + question.len() - (total - octets)) as u16) };
        }
        if tail.len() > 1 {
            if let Some(place) = self.tail
                && stands_at(message, usize::from(place), NameRef::vouched(tail).into())
            {
                return Spelling { octets: head.len(), pointer: Some(place) };
            }
            self.tail = reachable(at + head.len()).or(self.tail);
        }
        Spelling { octets: total, pointer: None }
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self { places: [0; REMEMBERED], written: 0, last: 0 }
    }
}

impl Targets {
    fn remember(&mut self, place: u16) {
        self.last = self.written % REMEMBERED;
        self.places[self.last] = place;
        self.written += 1;
    }

    /// Looks at the place that was used last, and at the next few.
    fn find(&mut self, message: &[u8], name: JoinedName<'_>) -> Option<usize> {
        let count = self.written.min(REMEMBERED);
        for step in 0..TRIED.min(count) {
            let at = (self.last + step) % count;
            let place = usize::from(self.places[at]);
            if stands_at(message, place, name) {
                self.last = at;
                return Some(place);
            }
        }
        None
    }
}

/// How many octets at the end are the same.
fn common_end(one: &[u8], other: &[u8]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}

fn length(name: JoinedName<'_>) -> usize {
    let (head, tail) = name.as_wire();
    head.len() + tail.len()
}

fn reachable(place: usize) -> Option<u16> {
    (place < REACH).then_some(place as u16)
}

/// Whether this name stands at a place of the message, spelled alike. The message is our own: its pointers lead backwards.
fn stands_at(message: &[u8], mut at: usize, name: JoinedName<'_>) -> bool {
    for label in name.labels() {
        at = landed(message, at);
        let found = message.get(at).zip(message.get(at + 1..at + 1 + label.0.len()));
        if found.is_none_or(|(length, octets)| usize::from(*length) != label.0.len() || octets != label.0) {
            return false;
        }
        at += 1 + label.0.len();
    }
    message.get(landed(message, at)) == Some(&0)
}

/// Where the name goes on if there is a pointer at `at`.
fn landed(message: &[u8], at: usize) -> usize {
    match (message.get(at), message.get(at + 1)) {
        (Some(high @ 0xc0..), Some(low)) => usize::from(u16::from_be_bytes([high & 0x3f, *low])),
        _ => at,
    }
}
