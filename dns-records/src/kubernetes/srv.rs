//! What are the SRV records of a Service, and the addresses of their targets?

use super::out::{Out, start};
use super::service::{Endpoints, HostId, PortId, Records, Service};
use crate::answer::{Section, Sink};
use crate::joined::JoinedName;
use crate::name::{MAX_WIRE, NameRef};

/// The SRV records of a Service, or of one of its named ports.
pub(super) struct Srv {
    pub(super) port: Option<PortId>,
    pub(super) weight: u16,
}

impl Srv {
    pub(super) fn records(
        &self,
        service: &Service,
        records: &Records,
        owner: JoinedName<'_>,
        zone: NameRef<'_>,
        out: &mut Out<'_, impl Sink>,
    ) {
        if let Some(target) = service.head.within(zone) {
            for port in records.numbers.select(self.port) {
                out.srv(owner, self.weight, port, target);
            }
        }
        if let Some(endpoints) = self.endpoints(service, records) {
            let mut names = NamesBelow::new(service.head.as_wire());
            for host in self.hosts(records, endpoints, 0) {
                if out.sink.is_full() {
                    break;
                }
                if let Some(target) = names.name(&[endpoints.label(host)], zone) {
                    for port in endpoints.profile(host).numbers.select(self.port) {
                        out.srv(owner, self.weight, port, target);
                    }
                }
            }
        }
    }

    /// The addresses of every target, once.
    pub(super) fn target_addresses(
        &self,
        service: &Service,
        records: &Records,
        zone: NameRef<'_>,
        out: &mut Out<'_, impl Sink>,
    ) {
        out.section = Section::Additional;
        if let Some(target) = service.head.within(zone)
            && records.numbers.select(self.port).next().is_some()
        {
            out.both_families(target, &records.addresses);
        }
        if let Some(endpoints) = self.endpoints(service, records) {
            let mut names = NamesBelow::new(service.head.as_wire());
            for host in self.hosts(records, endpoints, out.rotation) {
                if out.sink.is_full() {
                    break;
                }
                if let Some(target) = names.name(&[endpoints.label(host)], zone)
                    && endpoints.profile(host).numbers.select(self.port).next().is_some()
                {
                    let (v4, v6) = endpoints.addresses(host);
                    out.v4(target, v4);
                    out.v6(target, v6);
                }
            }
        }
    }

    /// The endpoints that are targets: those of a headless Service.
    fn endpoints<'a>(&self, service: &Service, records: &'a Records) -> Option<&'a Endpoints> {
        records.endpoints.as_deref().filter(|_| service.kind.is_headless())
    }

    /// The hosts that have the port, where not all have.
    fn part<'a>(&self, records: &'a Records) -> Option<&'a [HostId]> {
        records.ports[self.port? as usize].part.as_ref().map(|part| &*part.hosts)
    }

    /// The targets among the endpoints, from the one at `rotation` on.
    fn hosts(&self, records: &Records, endpoints: &Endpoints, rotation: u32) -> impl Iterator<Item = HostId> {
        let part = self.part(records);
        let count = part.map_or(endpoints.hosts.len(), <[HostId]>::len);
        let start = start(rotation, count);
        (start..count).chain(0..start).map(move |i| part.map_or(i as HostId, |part| part[i]))
    }
}

/// Names that differ in their first labels only, one after the other in the same place.
pub(super) struct NamesBelow {
    octets: [u8; MAX_WIRE],
    /// Where the labels start that all have.
    base: usize,
}

impl NamesBelow {
    pub(super) fn new(base: &[u8]) -> Self {
        let mut octets = [0; MAX_WIRE];
        let start = MAX_WIRE - base.len();
        octets[start..].copy_from_slice(base);
        Self { octets, base: start }
    }

    /// The name of labels, in wire form, in front of the common ones, in a zone; `None` where that would be too long.
    pub(super) fn name<'a>(&'a mut self, labels: &[&[u8]], zone: NameRef<'a>) -> Option<JoinedName<'a>> {
        let mut start = self.base;
        for label in labels.iter().rev() {
            let end = start;
            start = start.checked_sub(label.len())?;
            self.octets[start..end].copy_from_slice(label);
        }
        JoinedName::from_head(&self.octets[start..], zone)
    }
}
