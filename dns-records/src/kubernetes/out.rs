//! How do records get into a section of a reply?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::service::Addresses;
use crate::answer::{Section, Sink};
use crate::joined::JoinedName;
use crate::record::{Record, RecordData, RecordType};

/// Puts records into a section with one TTL, and knows whether there was any.
pub(super) struct Out<'s, S> {
    pub(super) sink: &'s mut S,
    pub(super) section: Section,
    pub(super) ttl: u32,
    /// Which of several addresses comes first.
    pub(super) rotation: u32,
    pub(super) any: bool,
}

impl<'s, S: Sink> Out<'s, S> {
    pub(super) fn new(sink: &'s mut S, ttl: u32, rotation: u32) -> Self {
        Self { sink, section: Section::Answer, ttl, rotation, any: false }
    }

    /// One function with its caller, as is [`all`](Out::all): names handed over in memory are read back in other pieces, which waits.
    #[inline(always)]
    pub(super) fn record(&mut self, owner: JoinedName<'_>, data: RecordData<JoinedName<'_>>) {
        self.any = true;
        self.sink.record(self.section, &Record { owner, ttl: self.ttl, data });
    }

    pub(super) fn srv(&mut self, owner: JoinedName<'_>, weight: u16, port: u16, target: JoinedName<'_>) {
        self.record(owner, RecordData::Srv { priority: 0, weight, port, target });
    }

    pub(super) fn address(&mut self, owner: JoinedName<'_>, addr: IpAddr, record_type: RecordType) {
        match (addr, record_type) {
            (IpAddr::V4(addr), RecordType::A) => self.v4(owner, &[addr]),
            (IpAddr::V6(addr), RecordType::AAAA) => self.v6(owner, &[addr]),
            _ => {}
        }
    }

    #[inline(always)]
    pub(super) fn addresses(&mut self, owner: JoinedName<'_>, addrs: &Addresses, record_type: RecordType) {
        match record_type {
            RecordType::A => self.v4(owner, addrs.v4.as_slice()),
            _ => self.v6(owner, addrs.v6.as_slice()),
        }
    }

    pub(super) fn both_families(&mut self, owner: JoinedName<'_>, addrs: &Addresses) {
        self.v4(owner, addrs.v4.as_slice());
        self.v6(owner, addrs.v6.as_slice());
    }

    #[inline(always)]
    pub(super) fn v4(&mut self, owner: JoinedName<'_>, addrs: &[Ipv4Addr]) {
        self.all(owner, addrs, RecordData::A);
    }

    pub(super) fn v6(&mut self, owner: JoinedName<'_>, addrs: &[Ipv6Addr]) {
        self.all(owner, addrs, RecordData::Aaaa);
    }

    /// As many as the sink takes, which may be a small part.
    #[inline(always)]
    fn all<T: Copy>(
        &mut self,
        owner: JoinedName<'_>,
        addrs: &[T],
        data: impl Fn(T) -> RecordData<JoinedName<'static>>,
    ) {
        let (first, last) = rotated(addrs, self.rotation);
        for part in [first, last] {
            for addr in part {
                self.record(owner, data(*addr));
                if self.sink.is_full() {
                    return;
                }
            }
        }
    }
}

/// What comes first, and what after that.
#[inline]
fn rotated<T>(all: &[T], rotation: u32) -> (&[T], &[T]) {
    let start = start(rotation, all.len());
    (&all[start..], &all[..start])
}

/// Which of so many comes first.
#[inline]
pub(super) fn start(rotation: u32, count: usize) -> usize {
    // Mostly there is one, and a division takes longer than all else about it.
    if count > 1 { rotation as usize % count } else { 0 }
}
