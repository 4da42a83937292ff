//! What are the records at a name, of a type?

use std::borrow::Cow;
use std::net::IpAddr;

use svc_model::ObjectRef;

use super::out::Out;
use super::place::{Place, Spot, Starts};
use super::pointers::{AddressLabel, Pointer};
use super::reason::{Owner, Reason};
use super::service::{Content, Head, Service, protocol_label};
use super::srv::{NamesBelow, Srv};
use super::zone::{OriginKind, Zone};
use crate::answer::{Answer, NoUpstream, Question, Rcode, Section, Sink, Upstream, Verdict};
use crate::joined::JoinedName;
use crate::name::{Name, NameRef};
use crate::record::{Record, RecordData, RecordRef, RecordType};

/// `ns.dns` in wire form: the name server left of the zone.
const NS_DNS: &[u8] = b"\x02ns\x03dns";
/// How many ExternalName Services are followed.
const MAX_ALIASES: usize = 11;
/// The version of the Kubernetes DNS specification that is followed, and the TTL of that record in seconds.
const VERSION: (&str, u32) = ("1.1.0", 28800);
/// Longest TTL of an SOA record, in seconds.
const MAX_SOA_TTL: u32 = 300;
/// `hostmaster` in wire form.
const HOSTMASTER: &[u8] = b"\x0ahostmaster";

impl Zone {
    /// Answers a question; aliases that leave the zones stand alone. Allocates for the records.
    ///
    /// ```
    /// use dns_records::kubernetes::Zone;
    /// use dns_records::{Name, Question, Rcode, RecordType};
    /// let zone = Zone::of(&svc_model::Cluster::new());
    /// let name: Name = "nobody.default.svc.cluster.local".parse()?;
    /// let answer = zone.answer(Question::new(&name, RecordType::A));
    /// assert_eq!(answer.rcode, Rcode::NxDomain);
    /// assert_eq!(answer.reason.to_string(), "no Service nobody in namespace default");
    /// # Ok::<(), dns_records::NameError>(())
    /// ```
    pub fn answer<'a>(&'a self, question: Question<'a>) -> Answer<Reason<'a>> {
        Answer::collect(|sink| self.answer_into(question, &mut NoUpstream, sink))
    }

    /// Answers a question into a sink, without allocation (but for transfers). `upstream` says what follows an alias that
    /// leaves the zones.
    pub fn answer_into<'a>(
        &'a self,
        question: Question<'a>,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> Verdict<Reason<'a>> {
        self.answer_rotated(question, 0, upstream, sink)
    }

    /// As [`answer_into`](Zone::answer_into), with the addresses of each name starting at another one, so that clients which
    /// take the first spread, as do those whose answer has to be cut. `rotation` is any number, a counter or a random one:
    /// of `n` addresses the one at `rotation % n` comes first, the others follow in their order, and likewise the targets
    /// of SRV records in the additional section. Nothing else moves, in transfers nothing at all.
    ///
    /// ```
    /// use dns_records::kubernetes::Zone;
    /// use dns_records::{Name, NoUpstream, Question, RecordRef, RecordType, Section};
    /// use svc_model::{Cluster, api};
    ///
    /// let mut crew = api::Service::default();
    /// crew.metadata.name = "crew".into();
    /// crew.spec.cluster_ip = "None".into();
    /// let mut endpoints = api::Endpoints::default();
    /// endpoints.metadata.name = "crew".into();
    /// endpoints.subsets.push(api::EndpointSubset {
    ///     addresses: ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
    ///         .map(|ip| api::EndpointAddress { ip: ip.into(), ..Default::default() })
    ///         .into(),
    ///     ..Default::default()
    /// });
    /// let mut cluster = Cluster::new();
    /// cluster.apply(crew);
    /// cluster.apply(endpoints);
    /// let zone = Zone::of(&cluster);
    ///
    /// let name: Name = "crew.default.svc.cluster.local".parse()?;
    /// let mut addresses = Vec::new();
    /// let mut sink = |_: Section, record: &RecordRef<'_>| addresses.push(record.data.to_string());
    /// zone.answer_rotated(Question::new(&name, RecordType::A), 7, &mut NoUpstream, &mut sink);
    /// assert_eq!(addresses, ["10.1.0.2", "10.1.0.3", "10.1.0.1"]);
    /// # Ok::<(), dns_records::NameError>(())
    /// ```
    pub fn answer_rotated<'a>(
        &'a self,
        question: Question<'a>,
        rotation: u32,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> Verdict<Reason<'a>> {
        self.answer_through(question, rotation, upstream, &mut Through(sink))
    }

    /// As [`answer_rotated`](Zone::answer_rotated), for a sink whose type is known: its records go there without detour.
    #[inline]
    pub(crate) fn answer_through<'a>(
        &'a self,
        question: Question<'a>,
        rotation: u32,
        upstream: &mut dyn Upstream,
        sink: &mut impl Sink,
    ) -> Verdict<Reason<'a>> {
        if question.record_type.is_transfer() {
            return self.transfer(question, sink);
        }
        let mut name = question.name;
        let mut followed: [Option<&ObjectRef>; MAX_ALIASES] = [None; MAX_ALIASES];
        let mut links = 0;
        let mut last_alias = None;
        loop {
            let here = Question { name, ..question };
            let mut starts: Starts = [0; 128];
            let Some(spot) = self.locate(name, &mut starts) else {
                return elsewhere(here, last_alias, Reason::NotOurs, upstream, sink);
            };
            if !self.is_loaded {
                return Verdict { rcode: Rcode::ServFail, authoritative: false, reason: Reason::NotLoaded };
            }
            let place = self.place(name, &spot);
            match place {
                Place::Alias(service, target) if !matches!(question.record_type, RecordType::SRV | RecordType::PTR) => {
                    let service: &ObjectRef = &service.object;
                    if followed[..links].contains(&Some(service)) {
                        return no_error(Reason::AliasLoop { service });
                    }
                    if links == MAX_ALIASES {
                        return no_error(Reason::TooManyAliases { service });
                    }
                    let data = RecordData::Cname(target.into());
                    sink.record(Section::Answer, &Record { owner: name.into(), ttl: self.settings.ttl, data });
                    let alias = place.owner();
                    if question.record_type == RecordType::CNAME {
                        return no_error(Reason::Has(alias));
                    }
                    (followed[links], links, last_alias) = (Some(service), links + 1, Some(alias));
                    name = target.as_ref();
                }
                Place::Missing(missing) if self.falls_through(name) => {
                    return elsewhere(here, last_alias, Reason::FallsThrough(missing), upstream, sink);
                }
                Place::Missing(missing) => {
                    self.negative(spot.zone, sink);
                    return Verdict { rcode: Rcode::NxDomain, authoritative: true, reason: Reason::Missing(missing) };
                }
                _ => {
                    let out = Out::new(sink, self.settings.ttl, rotation);
                    if self.records(spot, place, name, question.record_type, out) {
                        return no_error(Reason::Has(place.owner()));
                    }
                    self.negative(spot.zone, sink);
                    return no_error(Reason::NoData(place.owner(), question.record_type));
                }
            }
        }
    }

    /// Puts the records of a type at a place into the sink, and says whether there are any.
    #[inline(always)]
    fn records(
        &self,
        spot: Spot<'_, '_>,
        place: Place<'_>,
        owner: NameRef<'_>,
        record_type: RecordType,
        mut out: Out<'_, impl Sink>,
    ) -> bool {
        match (place, record_type) {
            // What most ask. Apart from the rest, so that the way there is short.
            (Place::Service(_, records), RecordType::A | RecordType::AAAA) => {
                out.addresses(owner.into(), &records.addresses, record_type);
            }
            _ => self.other_records(&spot, &place, owner, record_type, &mut out),
        }
        out.any
    }

    #[inline(never)]
    fn other_records(
        &self,
        spot: &Spot<'_, '_>,
        place: &Place<'_>,
        owner: NameRef<'_>,
        record_type: RecordType,
        out: &mut Out<'_, impl Sink>,
    ) {
        let owner = JoinedName::from(owner);
        match (place, record_type) {
            (Place::Apex, RecordType::SOA) => self.soa(spot.zone, out),
            (Place::Apex, RecordType::NS) => self.name_server_records(spot, out),
            (Place::PodAddress(addr), _) => out.address(owner, *addr, record_type),
            (Place::Pod(pod), _) => out.address(owner, pod.addr, record_type),
            (Place::NameServer, RecordType::A | RecordType::AAAA) => {
                out.addresses(owner, &self.name_servers.all, record_type);
            }
            (Place::Version, RecordType::TXT) => {
                out.ttl = VERSION.1;
                out.record(owner, RecordData::Txt(Cow::Borrowed(VERSION.0.as_bytes())));
            }
            (Place::Reverse(addr, pointers), RecordType::PTR) => self.ptr_records(*addr, pointers, owner, out),
            (Place::Port(_, records, _, port), RecordType::A | RecordType::AAAA) => {
                let addresses = port.part.as_ref().map_or(&records.addresses, |part| &part.addresses);
                out.addresses(owner, addresses, record_type);
            }
            (Place::Endpoint(_, endpoints, host), RecordType::A | RecordType::AAAA) => {
                let (v4, v6) = endpoints.addresses(*host);
                if record_type == RecordType::A { out.v4(owner, v4) } else { out.v6(owner, v6) }
            }
            (Place::Service(service, records), RecordType::SRV) => {
                let srv = Srv { port: None, weight: records.weight };
                srv.records(service, records, owner, spot.zone, out);
                srv.target_addresses(service, records, spot.zone, out);
            }
            (Place::Port(service, records, id, port), RecordType::SRV) => {
                let srv = Srv { port: Some(*id), weight: port.weight };
                srv.records(service, records, owner, spot.zone, out);
                srv.target_addresses(service, records, spot.zone, out);
            }
            (Place::Endpoint(service, endpoints, host), RecordType::SRV) => {
                let profile = endpoints.profile(*host);
                let mut names = NamesBelow::new(service.head.as_wire());
                let Some(target) = names.name(&[endpoints.label(*host)], spot.zone) else { return };
                for port in profile.numbers.select(None) {
                    out.srv(owner, profile.weight, port, target);
                }
                if out.any {
                    out.section = Section::Additional;
                    let (v4, v6) = endpoints.addresses(*host);
                    out.v4(target, v4);
                    out.v6(target, v6);
                }
            }
            _ => {}
        }
    }

    fn ptr_records(&self, addr: IpAddr, pointers: &[Pointer], owner: JoinedName<'_>, out: &mut Out<'_, impl Sink>) {
        let (zone, label) = (Name::as_ref(&self.forward), AddressLabel::of(addr));
        for pointer in pointers {
            let head = Head::of(pointer.service());
            let mut names = NamesBelow::new(head.as_wire());
            let target = match pointer {
                Pointer::Service(_) => names.name(&[], zone),
                Pointer::Endpoint(_) => names.name(&[label.as_wire()], zone),
                Pointer::Named(named) => names.name(&[&named.1], zone),
            };
            if let Some(target) = target {
                out.record(owner, RecordData::Ptr(target));
            }
            if out.sink.is_full() {
                break;
            }
        }
    }

    /// NS records and the addresses of their targets. The targets of a reverse zone lie in the first forward one.
    fn name_server_records(&self, spot: &Spot<'_, '_>, out: &mut Out<'_, impl Sink>) {
        let is_reverse = spot.origin.kind == OriginKind::Reverse;
        let zone = if is_reverse { Name::as_ref(&self.forward) } else { spot.zone };
        let servers = self.name_servers.owners.iter().filter_map(|owner| Some((owner, owner.head.within(zone)?)));
        for (_, target) in servers.clone() {
            out.record(spot.zone.into(), RecordData::Ns(target));
        }
        let bare = &*self.name_servers.bare;
        let bare_name = (!bare.is_empty()).then(|| JoinedName::from_head(NS_DNS, zone)).flatten();
        if let Some(target) = bare_name {
            out.record(spot.zone.into(), RecordData::Ns(target));
        }
        let section = std::mem::replace(&mut out.section, Section::Additional);
        for (owner, target) in servers {
            if let Content::Records(records) = &owner.content {
                out.both_families(target, &records.addresses);
            }
        }
        if let Some(target) = bare_name {
            out.both_families(target, bare);
        }
        out.section = section;
    }

    fn soa(&self, zone: NameRef<'_>, out: &mut Out<'_, impl Sink>) {
        let below = |head| JoinedName::from_head(head, zone).unwrap_or(zone.into());
        out.ttl = self.settings.ttl.min(MAX_SOA_TTL);
        out.record(
            zone.into(),
            RecordData::Soa {
                primary: below(NS_DNS),
                mailbox: below(HOSTMASTER),
                serial: self.settings.serial,
                refresh: 7200,
                retry: 1800,
                expire: 86400,
                minimum: self.settings.ttl,
            },
        );
        out.ttl = self.settings.ttl;
    }

    fn negative(&self, zone: NameRef<'_>, sink: &mut impl Sink) {
        let mut out = Out::new(sink, self.settings.ttl, 0);
        out.section = Section::Authority;
        self.soa(zone, &mut out);
    }

    /// The whole zone (RFC 5936): SOA, name servers, every exposed Service by (namespace, name), SOA. Allocates to put the
    /// Services in order.
    fn transfer<'a>(&'a self, question: Question<'a>, sink: &mut impl Sink) -> Verdict<Reason<'a>> {
        let mut starts: Starts = [0; 128];
        let Some(spot) = self.locate(question.name, &mut starts) else {
            return refused(Reason::NotOurs);
        };
        if !self.settings.transfer || !matches!(self.place(question.name, &spot), Place::Apex) {
            return refused(Reason::NoTransfer);
        }
        if !self.is_loaded {
            return Verdict { rcode: Rcode::ServFail, authoritative: false, reason: Reason::NotLoaded };
        }
        let is_reverse = spot.origin.kind == OriginKind::Reverse;
        let mut flat = |section: Section, record: &Record<JoinedName<'_>>| {
            // The addresses of a reverse zone's servers lie elsewhere.
            if section == Section::Answer || !is_reverse {
                sink.record(Section::Answer, record);
            }
        };
        let mut out = Out::new(&mut flat, self.settings.ttl, 0);
        self.soa(spot.zone, &mut out);
        self.name_server_records(&spot, &mut out);
        if !is_reverse {
            let mut services: Vec<&Service> = self.services.iter().map(|service| &**service).collect();
            services.sort_unstable_by_key(|service| &service.object);
            services.iter().for_each(|service| self.transfer_service(service, spot.zone, &mut out));
        }
        self.soa(spot.zone, &mut out);
        no_error(Reason::Transfer)
    }

    /// Headless Services list SRV under their ports only, and only they list endpoints by name.
    fn transfer_service(&self, service: &Service, zone: NameRef<'_>, out: &mut Out<'_, impl Sink>) {
        let Some(name) = service.head.within(zone) else { return };
        let records = match &service.content {
            Content::Records(records) => records,
            Content::Alias(target) => return out.record(name, RecordData::Cname(target.into())),
            Content::Withheld(_) | Content::Empty(_) | Content::Shadowed => return,
        };
        // The addresses of the name servers stand at the top already.
        if !self.name_servers.owners.iter().any(|owner| owner.object == service.object) {
            out.both_families(name, &records.addresses);
        }
        let mut names = NamesBelow::new(service.head.as_wire());
        if !service.kind.is_headless() {
            Srv { port: None, weight: records.weight }.records(service, records, name, zone, out);
        } else if let Some(endpoints) = records.endpoints.as_deref() {
            for host in endpoints.ids() {
                if let Some(name) = names.name(&[endpoints.label(host)], zone) {
                    let (v4, v6) = endpoints.addresses(host);
                    out.v4(name, v4);
                    out.v6(name, v6);
                }
            }
        }
        for (id, port) in (0..).zip(&*records.ports) {
            if let Some(name) = names.name(&[&port.label, protocol_label(port.protocol)], zone) {
                Srv { port: Some(id), weight: port.weight }.records(service, records, name, zone, out);
            }
        }
    }
}

/// What others have to answer: the end of an alias is asked for upstream, the question itself is refused.
fn elsewhere<'a>(
    question: Question<'_>,
    alias: Option<Owner<'a>>,
    reason: Reason<'a>,
    upstream: &mut dyn Upstream,
    sink: &mut impl Sink,
) -> Verdict<Reason<'a>> {
    let Some(alias) = alias else { return refused(reason) };
    upstream.resolve(question, sink);
    no_error(Reason::Has(alias))
}

fn no_error(reason: Reason<'_>) -> Verdict<Reason<'_>> {
    Verdict { rcode: Rcode::NoError, authoritative: true, reason }
}

fn refused(reason: Reason<'_>) -> Verdict<Reason<'_>> {
    Verdict { rcode: Rcode::Refused, authoritative: false, reason }
}

/// A sink of any type.
struct Through<'s>(&'s mut dyn Sink);

impl Sink for Through<'_> {
    fn record(&mut self, section: Section, record: &RecordRef<'_>) {
        self.0.record(section, record);
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }
}
