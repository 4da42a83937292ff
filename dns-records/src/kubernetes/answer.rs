//! What are the records at a name, of a type?

use std::borrow::Cow;
use std::net::IpAddr;

use super::place::{Place, Spot};
use super::reason::{Owner, Reason};
use super::zone::{Addresses, Content, NS_DNS, Node, NodeId, OriginKind, Zone};
use crate::answer::{Answer, NoUpstream, Question, Rcode, Section, Sink, Upstream, Verdict};
use crate::joined::JoinedName;
use crate::name::NameRef;
use crate::record::{Record, RecordData, RecordType};

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

    /// Answers a question into a sink, without allocation. `upstream` says what follows an alias that leaves the zones.
    pub fn answer_into<'a>(
        &'a self,
        question: Question<'a>,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> Verdict<Reason<'a>> {
        if question.record_type.is_transfer() {
            return self.transfer(question, sink);
        }
        let mut name = question.name;
        let mut followed: [NodeId; MAX_ALIASES] = [0; MAX_ALIASES];
        let mut links = 0;
        let mut last_alias = None;
        loop {
            let here = Question { name, ..question };
            let Some(spot) = self.locate(name) else {
                return elsewhere(here, last_alias, Reason::NotOurs, upstream, sink);
            };
            match spot.place {
                Place::Node(id, Node { content: Content::Alias(service, target), .. })
                    if !matches!(question.record_type, RecordType::SRV | RecordType::PTR) =>
                {
                    let service = &self.service(*service).object;
                    let alias = Owner::Alias { service, target: target.as_ref() };
                    if followed[..links].contains(&id) {
                        return no_error(Reason::AliasLoop { service });
                    }
                    if links == MAX_ALIASES {
                        return no_error(Reason::TooManyAliases { service });
                    }
                    let data = RecordData::Cname(target.into());
                    sink.record(Section::Answer, &Record { owner: name.into(), ttl: self.settings.ttl, data });
                    if question.record_type == RecordType::CNAME {
                        return no_error(Reason::Has(alias));
                    }
                    (followed[links], links, last_alias) = (id, links + 1, Some(alias));
                    name = target.as_ref();
                }
                Place::Missing(missing) if self.falls_through(name) => {
                    return elsewhere(here, last_alias, Reason::FallsThrough(missing), upstream, sink);
                }
                Place::Missing(missing) => {
                    self.negative(spot.zone, sink);
                    return Verdict { rcode: Rcode::NxDomain, authoritative: true, reason: Reason::Missing(missing) };
                }
                place => {
                    let owner = self.owner(place);
                    if self.records(&spot, name, question.record_type, sink) {
                        return no_error(Reason::Has(owner));
                    }
                    self.negative(spot.zone, sink);
                    return no_error(Reason::NoData(owner, question.record_type));
                }
            }
        }
    }

    /// Puts the records of a type at a place into the sink; whether there was one.
    fn records(&self, spot: &Spot<'_>, owner: NameRef<'_>, record_type: RecordType, sink: &mut dyn Sink) -> bool {
        let mut out = Out { sink, section: Section::Answer, ttl: self.settings.ttl, any: false };
        match (spot.place, record_type) {
            (Place::Apex, RecordType::SOA) => self.soa(spot.zone, &mut out),
            (Place::Apex, RecordType::NS) => self.name_server_records(spot, &mut out),
            (Place::PodAddress(addr), _) => out.addresses(owner.into(), &[addr], record_type),
            (Place::Reverse(_, nodes), RecordType::PTR) => {
                for node in nodes {
                    if let Some(target) = self.nodes[*node as usize].name_in(self.forward.as_ref()) {
                        out.record(owner.into(), RecordData::Ptr(target));
                    }
                }
            }
            (Place::Node(_, node), RecordType::A | RecordType::AAAA) => {
                out.node_addresses(owner.into(), &node.addresses, record_type);
            }
            (Place::Node(_, node), RecordType::SRV) => {
                self.srv_records(node, owner.into(), spot.zone, &mut out);
                out.section = Section::Additional;
                let targets = node.srv.targets.chunk_by(|a, b| a.0 == b.0);
                for records in targets {
                    if out.sink.is_full() {
                        break;
                    }
                    self.both_families(&self.nodes[records[0].0 as usize], spot.zone, &mut out);
                }
            }
            (Place::Node(_, Node { content: Content::Version, .. }), RecordType::TXT) => {
                out.ttl = VERSION.1;
                out.record(owner.into(), RecordData::Txt(Cow::Borrowed(VERSION.0.as_bytes())));
            }
            _ => {}
        }
        out.any
    }

    fn srv_records(&self, node: &Node, owner: JoinedName<'_>, zone: NameRef<'_>, out: &mut Out<'_>) {
        let weight = node.srv.weight;
        for &(target, port) in &node.srv.targets {
            if let Some(target) = self.nodes[target as usize].name_in(zone) {
                out.record(owner, RecordData::Srv { priority: 0, weight, port, target });
            }
            if out.sink.is_full() {
                break;
            }
        }
    }

    /// The addresses of a node under its own name.
    fn both_families(&self, node: &Node, zone: NameRef<'_>, out: &mut Out<'_>) {
        if let Some(name) = node.name_in(zone) {
            out.node_addresses(name, &node.addresses, RecordType::A);
            out.node_addresses(name, &node.addresses, RecordType::AAAA);
        }
    }

    /// NS records and the addresses of their targets. The targets of a reverse zone lie in the first forward one.
    fn name_server_records(&self, spot: &Spot<'_>, out: &mut Out<'_>) {
        let zone = if spot.origin.kind == OriginKind::Reverse { self.forward.as_ref() } else { spot.zone };
        let servers = || self.name_servers.iter().map(|id| &self.nodes[*id as usize]);
        for target in servers().filter_map(|node| node.name_in(zone)) {
            out.record(spot.zone.into(), RecordData::Ns(target));
        }
        let bare =
            (self.bare_name_servers != Addresses::default()).then(|| JoinedName::from_head(NS_DNS, zone)).flatten();
        if let Some(target) = bare {
            out.record(spot.zone.into(), RecordData::Ns(target));
        }
        let section = std::mem::replace(&mut out.section, Section::Additional);
        servers().for_each(|node| self.both_families(node, zone, out));
        if let Some(target) = bare {
            out.node_addresses(target, &self.bare_name_servers, RecordType::A);
            out.node_addresses(target, &self.bare_name_servers, RecordType::AAAA);
        }
        out.section = section;
    }

    fn soa(&self, zone: NameRef<'_>, out: &mut Out<'_>) {
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

    fn negative(&self, zone: NameRef<'_>, sink: &mut dyn Sink) {
        self.soa(zone, &mut Out { sink, section: Section::Authority, ttl: self.settings.ttl, any: false });
    }

    /// The whole zone (RFC 5936): SOA, name servers, every exposed Service, SOA.
    fn transfer<'a>(&'a self, question: Question<'a>, sink: &mut dyn Sink) -> Verdict<Reason<'a>> {
        let Some(spot) = self.locate(question.name) else {
            return refused(Reason::NotOurs);
        };
        if !self.settings.transfer || !matches!(spot.place, Place::Apex) {
            return refused(Reason::NoTransfer);
        }
        let mut flat = |section: Section, record: &Record<JoinedName<'_>>| {
            // The addresses of a reverse zone's servers lie elsewhere.
            if section == Section::Answer || spot.origin.kind != OriginKind::Reverse {
                sink.record(Section::Answer, record);
            }
        };
        let mut out = Out { sink: &mut flat, section: Section::Answer, ttl: self.settings.ttl, any: false };
        self.soa(spot.zone, &mut out);
        self.name_server_records(&spot, &mut out);
        if spot.origin.kind != OriginKind::Reverse {
            for (id, node) in self.nodes.iter().enumerate() {
                self.transfer_node(id as NodeId, node, spot.zone, &mut out);
            }
        }
        self.soa(spot.zone, &mut out);
        no_error(Reason::Transfer)
    }

    /// Headless Services list SRV under their ports only, and only they list endpoints by name.
    fn transfer_node(&self, id: NodeId, node: &Node, zone: NameRef<'_>, out: &mut Out<'_>) {
        let Some(owner) = node.name_in(zone) else { return };
        match &node.content {
            Content::Service(service) => {
                // The addresses of the name servers stand at the top already.
                if !self.name_servers.contains(&id) {
                    self.both_families(node, zone, out);
                }
                if !self.service(*service).kind.is_headless() {
                    self.srv_records(node, owner, zone, out);
                }
            }
            Content::Endpoint(service) if self.service(*service).kind.is_headless() => {
                self.both_families(node, zone, out)
            }
            Content::Port(_) => self.srv_records(node, owner, zone, out),
            Content::Alias(_, target) => out.record(owner, RecordData::Cname(target.into())),
            _ => {}
        }
    }
}

/// What others have to answer: the end of an alias is asked for upstream, the question itself is refused.
fn elsewhere<'a>(
    question: Question<'_>,
    alias: Option<Owner<'a>>,
    reason: Reason<'a>,
    upstream: &mut dyn Upstream,
    sink: &mut dyn Sink,
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

/// Puts records into a section with one TTL, and knows whether there was any.
struct Out<'s> {
    sink: &'s mut dyn Sink,
    section: Section,
    ttl: u32,
    any: bool,
}

impl Out<'_> {
    fn record(&mut self, owner: JoinedName<'_>, data: RecordData<JoinedName<'_>>) {
        self.any = true;
        self.sink.record(self.section, &Record { owner, ttl: self.ttl, data });
    }

    fn addresses(&mut self, owner: JoinedName<'_>, addrs: &[IpAddr], record_type: RecordType) {
        for addr in addrs {
            match (addr, record_type) {
                (IpAddr::V4(addr), RecordType::A) => self.record(owner, RecordData::A(*addr)),
                (IpAddr::V6(addr), RecordType::AAAA) => self.record(owner, RecordData::Aaaa(*addr)),
                _ => {}
            }
        }
    }

    fn node_addresses(&mut self, owner: JoinedName<'_>, addrs: &Addresses, record_type: RecordType) {
        match record_type {
            RecordType::A => self.all(owner, addrs.v4.iter().map(|addr| RecordData::A(*addr))),
            RecordType::AAAA => self.all(owner, addrs.v6.iter().map(|addr| RecordData::Aaaa(*addr))),
            _ => {}
        }
    }

    /// As many as the sink takes, which may be a small part.
    fn all<'n>(&mut self, owner: JoinedName<'_>, data: impl Iterator<Item = RecordData<JoinedName<'n>>>) {
        for data in data {
            self.record(owner, data);
            if self.sink.is_full() {
                break;
            }
        }
    }
}
