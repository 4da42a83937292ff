//! What is asked, and what is a reply made of?

use std::fmt;

use crate::name::NameRef;
use crate::record::{Record, RecordData, RecordRef, RecordType};

/// A question of class IN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name, as the asker spelled it.
    pub name: NameRef<'a>,
    /// The type asked for.
    pub record_type: RecordType,
}

impl<'a> Question<'a> {
    /// Asks `name` for records of a type.
    pub fn new(name: impl Into<NameRef<'a>>, record_type: RecordType) -> Self {
        Self { name: name.into(), record_type }
    }
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)
    }
}

/// The outcome of a question (RFC 1035 section 4.1.1, RFC 6891 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Rcode {
    /// The name exists; whether it has records of the type asked is another matter.
    NoError = 0,
    /// The question could not be read.
    FormErr = 1,
    /// The server cannot say now.
    ServFail = 2,
    /// The name does not exist, nor does anything below it (RFC 8020).
    NxDomain = 3,
    /// The server does not do that kind of question.
    NotImp = 4,
    /// The question is not for this server.
    Refused = 5,
    /// The server does not know that version of EDNS.
    BadVers = 16,
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::BadVers => "BADVERS",
        })
    }
}

/// The part of a reply a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who may say so: the SOA of a negative answer.
    Authority,
    /// What the asker would ask for next.
    Additional,
}

/// Takes the records of a reply, one after the other, in the order in which they belong on the wire.
///
/// A closure `FnMut(Section, &RecordRef)` is one.
pub trait Sink {
    /// Takes one record.
    fn record(&mut self, section: Section, record: &RecordRef<'_>);

    /// Whether all further records are lost on it, so that whoever has many can stop.
    fn is_full(&self) -> bool {
        false
    }
}

impl<F: FnMut(Section, &RecordRef<'_>)> Sink for F {
    fn record(&mut self, section: Section, record: &RecordRef<'_>) {
        self(section, record);
    }
}

/// A reply without its records: what remains to be said when they went into a [`Sink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<R> {
    /// The outcome.
    pub rcode: Rcode,
    /// Whether the name lies in a zone that is answered for (the AA bit).
    pub authoritative: bool,
    /// Why.
    pub reason: R,
}

impl<R> Verdict<R> {
    /// The same with another reason.
    pub fn map<S>(self, to: impl FnOnce(R) -> S) -> Verdict<S> {
        Verdict { rcode: self.rcode, authoritative: self.authoritative, reason: to(self.reason) }
    }
}

/// A whole reply with owned records. `R` tells why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<R> {
    /// The outcome.
    pub rcode: Rcode,
    /// Whether the name lies in a zone that is answered for (the AA bit).
    pub authoritative: bool,
    /// What was asked for: aliases first, in the order of the chain.
    pub answer: Vec<Record>,
    /// The SOA of a negative answer.
    pub authority: Vec<Record>,
    /// Addresses of the targets in the answer.
    pub additional: Vec<Record>,
    /// Why.
    pub reason: R,
}

impl<R> Answer<R> {
    /// Collects what `ask` puts into its sink.
    pub fn collect(ask: impl FnOnce(&mut dyn Sink) -> Verdict<R>) -> Self {
        let (mut answer, mut authority, mut additional) = (Vec::new(), Vec::new(), Vec::new());
        let mut sink = |section: Section, record: &RecordRef<'_>| {
            match section {
                Section::Answer => &mut answer,
                Section::Authority => &mut authority,
                Section::Additional => &mut additional,
            }
            .push(record.to_record());
        };
        let Verdict { rcode, authoritative, reason } = ask(&mut sink);
        Self { rcode, authoritative, answer, authority, additional, reason }
    }
}

impl<R> Answer<R> {
    /// Puts the address records of each section into a random order, so that clients which take the first one spread;
    /// aliases and all others stay where they are. Transfers and all but `NOERROR` are left alone (CoreDNS's `loadbalance`).
    ///
    /// ```
    /// # use dns_records::{Answer, Name, Rcode, Record, RecordData};
    /// let owner: Name = "a.example".parse()?;
    /// let record = |i| Record { owner: owner.clone(), ttl: 5, data: RecordData::A([192, 0, 2, i].into()) };
    /// let mut answer = Answer {
    ///     rcode: Rcode::NoError, authoritative: true, reason: (),
    ///     answer: vec![record(1), record(2)], authority: vec![], additional: vec![],
    /// };
    /// answer.shuffle(|| 0);
    /// assert_eq!(answer.answer, [record(2), record(1)]);
    /// # Ok::<(), dns_records::NameError>(())
    /// ```
    pub fn shuffle(&mut self, mut random: impl FnMut() -> u64) {
        let is_transfer = self.answer.len() > 1 && self.answer[0].data.record_type() == RecordType::SOA;
        if self.rcode != Rcode::NoError || is_transfer {
            return;
        }
        for section in [&mut self.answer, &mut self.authority, &mut self.additional] {
            let is_address = |at: &usize| matches!(section[*at].data, RecordData::A(_) | RecordData::Aaaa(_));
            let places: Vec<usize> = (0..section.len()).filter(is_address).collect();
            for last in (1..places.len()).rev() {
                let other = (random() % (last as u64 + 1)) as usize;
                section.swap(places[last], places[other]);
            }
        }
    }
}

/// Says what follows an alias that leaves the zones (the recursive part of a server).
pub trait Upstream {
    /// Puts what `question` answers elsewhere into the sink; nothing if that is not known.
    fn resolve(&mut self, question: Question<'_>, sink: &mut dyn Sink);
}

/// No upstream: the alias stands alone, and the asker follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoUpstream;

impl Upstream for NoUpstream {
    fn resolve(&mut self, _: Question<'_>, _: &mut dyn Sink) {}
}
