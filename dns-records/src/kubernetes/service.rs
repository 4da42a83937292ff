//! What stands at and below the name of one Service?
//!
//! All of it is one value, compiled from the Service and its endpoints alone, so that a change to a Service replaces one
//! value and leaves the rest of the zone as it is.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;

use svc_model::{ObjectRef, Protocol};

use super::fold::{cmp_ignoring_case, digest};
use super::pointers::Pointer;
use super::reason::ServiceKind;
use super::table::Named;
use super::trie::Ranked;
use crate::joined::JoinedName;
use crate::name::{MAX_WIRE, Name, NameRef};

/// `svc` in wire form.
const SVC: &[u8] = b"\x03svc";

/// A Service and its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) object: Arc<ObjectRef>,
    pub(super) head: Head,
    pub(super) kind: ServiceKind,
    pub(super) content: Content,
}

/// `SERVICE.NAMESPACE.svc` in wire form, spelled as in the object. Kept within the Service, beside what it answers with,
/// because each look-up reads it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Head {
    Short { length: u8, octets: [u8; SHORT] },
    Long(Box<[u8]>),
}

/// Most names are no longer.
const SHORT: usize = 46;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Records(Records),
    Alias(Name),
    Withheld(Withheld),
    /// A Service with cluster IPs and without a ready endpoint, where the settings hide the names of such; the addresses still
    /// lead to it, as they do in CoreDNS.
    Empty(Addresses),
    /// Another Service comes before, whose name differs in case only.
    Shadowed,
}

/// Why the name of a Service does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withheld {
    /// Headless, without a ready endpoint.
    NoEndpoints,
    /// An alias of what is an address.
    AliasOfAddress,
    /// An alias of what is no name.
    AliasOfNothing,
}

/// What a Service with or without a cluster IP answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Records {
    /// The cluster IPs, or those of the ready endpoints.
    pub(super) addresses: Addresses,
    /// The ports at the cluster IPs; none for a headless Service, whose endpoints have them.
    pub(super) numbers: Numbers,
    /// Of the SRV records at the Service's own name.
    pub(super) weight: u16,
    /// The ports that have names, in the order of label in lower case and protocol.
    pub(super) ports: Box<[Port]>,
    /// The protocols of these ports, a bit each.
    pub(super) protocols: u8,
    /// The ready endpoints, if there are any with a name.
    pub(super) endpoints: Option<Box<Endpoints>>,
}

/// A list that is mostly of one, which then lies in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Few<T> {
    One(T),
    Many(Box<[T]>),
}

/// Distinct addresses, in the order of the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) v4: Few<Ipv4Addr>,
    pub(super) v6: Few<Ipv6Addr>,
}

/// The named ports of one name and protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// `_NAME` in wire form.
    pub(super) label: Box<[u8]>,
    pub(super) protocol: Protocol,
    pub(super) weight: u16,
    /// Whose addresses have the port; `None` for all.
    pub(super) part: Option<Box<Part>>,
}

/// Some of the endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) addresses: Addresses,
    pub(super) hosts: Box<[HostId]>,
}

/// Port numbers at one target, each with the named port it belongs to; ascending, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Numbers(pub(super) Box<[(u16, Option<PortId>)]>);

pub(super) type PortId = u32;
pub(super) type HostId = u32;

/// The names of the ready endpoints, and what each of them has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Endpoints {
    /// In the order of the objects.
    pub(super) hosts: Box<[Host]>,
    /// By the digest of the label, and then by the label in lower case: whoever asks for a label that is not there
    /// reads no labels.
    pub(super) by_label: Box<[(u32, HostId)]>,
    /// The labels of the hosts in wire form, one after the other; likewise their addresses.
    pub(super) labels: Box<[u8]>,
    pub(super) addresses: Addresses,
    /// The ports that hosts have; mostly all have the same.
    pub(super) profiles: Box<[Profile]>,
}

/// One endpoint name: where its label and addresses start, which end where those of the next one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) label: u32,
    pub(super) v4: u32,
    pub(super) v6: u32,
    pub(super) profile: u32,
}

/// The ports of an endpoint name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Profile {
    pub(super) numbers: Numbers,
    /// Of the SRV records at the endpoint's own name.
    pub(super) weight: u16,
}

impl Service {
    /// The addresses of the Service's own name.
    pub(super) fn own_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let records = match &self.content {
            Content::Records(records) => Some(records),
            _ => None,
        };
        records.into_iter().flat_map(|records| records.addresses.iter())
    }

    /// Every address with a PTR record on the Service's account, and what that leads to.
    pub(super) fn pointers(&self) -> Vec<(IpAddr, Pointer)> {
        let to_service = |addr| (addr, Pointer::Service(self.object.clone()));
        let records = match &self.content {
            Content::Records(records) => records,
            Content::Empty(addresses) => return addresses.iter().map(to_service).collect(),
            _ => return Vec::new(),
        };
        let mut pointers = Vec::new();
        if !self.kind.is_headless() {
            pointers.extend(records.addresses.iter().map(to_service));
        }
        if let Some(endpoints) = &records.endpoints {
            for host in endpoints.ids() {
                let label = endpoints.label(host);
                let (v4, v6) = endpoints.addresses(host);
                let addrs = v4.iter().copied().map(IpAddr::V4).chain(v6.iter().copied().map(IpAddr::V6));
                pointers.extend(addrs.map(|addr| (addr, Pointer::endpoint(&self.object, label, addr))));
            }
        }
        pointers
    }
}

impl Head {
    /// The name of a Service; the caller vouches that its labels are no longer than labels may be.
    pub(super) fn of(object: &ObjectRef) -> Self {
        let labels = [&*object.name, &*object.namespace, "svc"];
        let length = labels.map(|label| 1 + label.len()).iter().sum();
        let mut octets = [0; MAX_WIRE];
        let mut at = 0;
        for label in labels {
            octets[at] = label.len() as u8;
            octets[at + 1..][..label.len()].copy_from_slice(label.as_bytes());
            at += 1 + label.len();
        }
        match <[u8; SHORT]>::try_from(&octets[..SHORT]) {
            Ok(octets) if length <= SHORT => Self::Short { length: length as u8, octets },
            _ => Self::Long(octets[..length].into()),
        }
    }

    pub(super) fn as_wire(&self) -> &[u8] {
        match self {
            Self::Short { length, octets } => &octets[..usize::from(*length)],
            Self::Long(octets) => octets,
        }
    }

    /// The labels `SERVICE.NAMESPACE`, by which the Service is looked up.
    pub(super) fn key(&self) -> &[u8] {
        let head = self.as_wire();
        &head[..head.len() - SVC.len()]
    }

    /// The name in a zone, `None` where that would be too long.
    pub(super) fn within<'a>(&'a self, zone: NameRef<'a>) -> Option<JoinedName<'a>> {
        JoinedName::from_head(self.as_wire(), zone)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_wire().escape_ascii())
    }
}

impl Named for Arc<Service> {
    fn name(&self) -> &[u8] {
        self.head.key()
    }
}

/// By (namespace, name), as the objects are listed.
impl Ranked for Arc<Service> {
    fn rank(&self) -> impl Ord + '_ {
        &*self.object
    }
}

impl Records {
    pub(super) fn has_protocol(&self, protocol: Protocol) -> bool {
        self.protocols & bit(protocol) != 0
    }

    /// The port of a label (`_NAME`), without regard to case, and protocol.
    pub(super) fn port(&self, label: &[u8], protocol: Protocol) -> Option<(PortId, &Port)> {
        let order = |port: &Port| cmp_ignoring_case(&port.label[1..], label).then_with(|| port.protocol.cmp(&protocol));
        let at = self.ports.binary_search_by(order).ok()?;
        Some((at as PortId, &self.ports[at]))
    }
}

/// The set of one protocol, for [`Records::protocols`].
pub(super) fn bit(protocol: Protocol) -> u8 {
    1 << protocol as u8
}

/// `_PROTOCOL` in wire form.
pub(super) fn protocol_label(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tcp => b"\x04_tcp",
        Protocol::Udp => b"\x04_udp",
        Protocol::Sctp => b"\x05_sctp",
    }
}

/// The protocol that a label stands for, without regard to case.
pub(super) fn protocol_of(label: &[u8]) -> Option<Protocol> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    all.into_iter().find(|protocol| protocol_label(*protocol)[1..].eq_ignore_ascii_case(label))
}

impl Numbers {
    pub(super) fn of(mut numbers: Vec<(u16, Option<PortId>)>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into())
    }

    /// The distinct numbers, of a named port or of all.
    pub(super) fn select(&self, port: Option<PortId>) -> impl Iterator<Item = u16> + '_ {
        let selected = self.0.iter().filter(move |(_, of)| port.is_none() || *of == port);
        let mut last = None;
        selected.map(|(number, _)| *number).filter(move |number| last.replace(*number) != Some(*number))
    }
}

/// 100 parts among so many pairs of address and port, of which each counts for one at least.
pub(super) fn weight(pairs: usize) -> u16 {
    (100 / pairs.max(1)).max(1) as u16
}

impl<T> Few<T> {
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Many(Box::default())
    }
}

impl<T: Copy> From<Vec<T>> for Few<T> {
    fn from(items: Vec<T>) -> Self {
        match *items {
            [item] => Self::One(item),
            _ => Self::Many(items.into()),
        }
    }
}

impl Addresses {
    pub(super) fn of(addrs: impl IntoIterator<Item = IpAddr>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for addr in addrs {
            match addr {
                IpAddr::V4(addr) => v4.push(addr),
                IpAddr::V6(addr) => v6.push(addr),
            }
        }
        Self { v4: distinct(v4).into(), v6: distinct(v6).into() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> + Clone {
        let (v4, v6) = (self.v4.as_slice().iter(), self.v6.as_slice().iter());
        v4.map(|addr| IpAddr::V4(*addr)).chain(v6.map(|addr| IpAddr::V6(*addr)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.as_slice().is_empty() && self.v6.as_slice().is_empty()
    }
}

/// Without repeats, the first of each.
fn distinct<A: Copy + Eq + std::hash::Hash>(mut addrs: Vec<A>) -> Vec<A> {
    if addrs.len() > 1 {
        let mut seen = HashSet::with_capacity(addrs.len());
        addrs.retain(|addr| seen.insert(*addr));
    }
    addrs
}

impl Endpoints {
    /// The host of a label, without regard to case.
    pub(super) fn find(&self, label: &[u8]) -> Option<HostId> {
        let digest = digest(label);
        let order = |&(other, host): &(u32, HostId)| {
            other.cmp(&digest).then_with(|| cmp_ignoring_case(&self.label(host)[1..], label))
        };
        self.by_label.binary_search_by(order).ok().map(|at| self.by_label[at].1)
    }

    pub(super) fn ids(&self) -> Range<HostId> {
        0..self.hosts.len() as HostId
    }

    /// The label of a host in wire form.
    pub(super) fn label(&self, host: HostId) -> &[u8] {
        let at = self.hosts[host as usize].label as usize;
        &self.labels[at..=at + usize::from(self.labels[at])]
    }

    pub(super) fn addresses(&self, host: HostId) -> (&[Ipv4Addr], &[Ipv6Addr]) {
        let Host { v4, v6, .. } = self.hosts[host as usize];
        let next = self.hosts.get(host as usize + 1);
        let (all_v4, all_v6) = (self.addresses.v4.as_slice(), self.addresses.v6.as_slice());
        let ends = next.map_or((all_v4.len(), all_v6.len()), |next| (next.v4 as usize, next.v6 as usize));
        (&all_v4[v4 as usize..ends.0], &all_v6[v6 as usize..ends.1])
    }

    pub(super) fn profile(&self, host: HostId) -> &Profile {
        &self.profiles[self.hosts[host as usize].profile as usize]
    }

    /// The hosts that have a named port.
    pub(super) fn with_port(&self, port: PortId) -> impl Iterator<Item = HostId> + '_ {
        self.ids().filter(move |host| self.profile(*host).numbers.select(Some(port)).next().is_some())
    }
}
