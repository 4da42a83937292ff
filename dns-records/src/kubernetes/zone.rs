//! Which names are there? The objects of a cluster compiled into a table of nodes, one for every name.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use foldhash::fast::FixedState;
use svc_model::check::Finding;
use svc_model::{Cluster, ObjectRef};

use super::build::Builder;
use super::reason::ServiceKind;
use super::settings::ZoneSettings;
use crate::joined::JoinedName;
use crate::name::{Name, NameRef};

/// The name of the name server left of the zone, in wire form.
pub(super) const NS_DNS: &[u8] = b"\x02ns\x03dns";

/// The DNS of a cluster: immutable, made from the objects at one moment.
///
/// Building costs the number of Services and endpoints (and of Pods, where the settings need them); a question costs one or
/// two hash look-ups whatever the size of the cluster, and a name that does not exist costs no more.
#[derive(Clone, Debug)]
pub struct Zone {
    pub(super) settings: ZoneSettings,
    /// Longest first, so that the first that fits is the one.
    pub(super) origins: Vec<Origin>,
    /// Names in one zone that are only there because another zone is below.
    pub(super) above_zones: Vec<Name>,
    /// Where PTR records lead.
    pub(super) forward: Name,
    /// Labels left of the zone, in wire form and lower case, to the node.
    pub(super) names: HashMap<Box<[u8]>, NodeId, FixedState>,
    /// A Service's node stands before those of its endpoints and ports.
    pub(super) nodes: Vec<Node>,
    /// The Services, by (namespace, name).
    pub(super) services: Vec<ServiceEntry>,
    /// Addresses that have a PTR record, to the names it gives.
    pub(super) reverse: HashMap<IpAddr, Box<[NodeId]>, FixedState>,
    /// The keys of `reverse` in order, for the names between an address and the top of its tree.
    pub(super) addresses: Vec<IpAddr>,
    /// The Services that own addresses of the DNS service.
    pub(super) name_servers: Box<[NodeId]>,
    /// Addresses of the DNS service that no Service owns.
    pub(super) bare_name_servers: Addresses,
    /// Namespaces of live Pods by address, for autopath.
    pub(super) live_pods: HashMap<IpAddr, Box<str>, FixedState>,
    pub(super) findings: Vec<Finding>,
}

/// A zone answered for.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// In lower case.
    pub(super) name: Name,
    pub(super) labels: usize,
    pub(super) kind: OriginKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OriginKind {
    Forward,
    /// Within `in-addr.arpa.` or `ip6.arpa.`
    Reverse,
    /// Above them: the root, or `arpa.`
    Both,
}

pub(super) type NodeId = u32;
pub(super) type ServiceId = u32;

#[derive(Clone, Debug)]
pub(super) struct ServiceEntry {
    pub(super) object: ObjectRef,
    pub(super) kind: ServiceKind,
}

/// What stands at one name.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The name left of the zone, spelled as in the objects; whole labels in wire form.
    pub(super) head: Box<[u8]>,
    pub(super) addresses: Addresses,
    pub(super) srv: Srv,
    pub(super) content: Content,
}

/// Distinct addresses, in the order of the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) v4: Vec<Ipv4Addr>,
    pub(super) v6: Vec<Ipv6Addr>,
}

/// The SRV records of a node; all have one weight.
#[derive(Clone, Debug, Default)]
pub(super) struct Srv {
    pub(super) weight: u16,
    /// Targets and ports without repeats; those of one target stand together.
    pub(super) targets: Box<[(NodeId, u16)]>,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// `svc`, `pod`, `dns`: only there because something is below.
    Inner,
    Namespace,
    Service(ServiceId),
    Endpoint(ServiceId),
    Port(ServiceId),
    /// `_tcp` of a Service with named TCP ports.
    Protocol(ServiceId),
    Alias(ServiceId, Name),
    /// A Service that is there, and whose name by the rules does not exist.
    Withheld(ServiceId, Withheld),
    Pod(ObjectRef),
    Version,
    NameServer,
}

/// Why the name of a Service does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withheld {
    /// Headless, without a ready endpoint.
    NoEndpoints,
    /// With a cluster IP, without a ready endpoint, and the settings hide such.
    Empty,
    /// An alias of what is an address.
    AliasOfAddress,
    /// An alias of what is no name.
    AliasOfNothing,
}

impl Addresses {
    pub(super) fn of(addrs: impl IntoIterator<Item = IpAddr>) -> Self {
        let (mut all, mut seen) = (Self::default(), HashSet::new());
        for addr in addrs {
            if seen.insert(addr) {
                match addr {
                    IpAddr::V4(addr) => all.v4.push(addr),
                    IpAddr::V6(addr) => all.v6.push(addr),
                }
            }
        }
        all
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> + Clone {
        self.v4.iter().map(|addr| IpAddr::V4(*addr)).chain(self.v6.iter().map(|addr| IpAddr::V6(*addr)))
    }
}

impl Zone {
    /// Compiles the names of a cluster.
    pub fn new(cluster: &Cluster, settings: ZoneSettings) -> Self {
        Builder::new(cluster, settings).build()
    }

    /// With the settings that the cluster holds itself ([`ZoneSettings::of`]).
    pub fn of(cluster: &Cluster) -> Self {
        Self::new(cluster, ZoneSettings::of(cluster))
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &ZoneSettings {
        &self.settings
    }

    /// Names that are not served, and why: most are too long.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The node at labels left of the zone, given in lower case.
    pub(super) fn node_id(&self, relative: &[u8]) -> Option<NodeId> {
        self.names.get(relative).copied()
    }

    pub(super) fn node(&self, relative: &[u8]) -> Option<&Node> {
        self.node_id(relative).map(|id| &self.nodes[id as usize])
    }

    pub(super) fn pointers(&self, addr: IpAddr) -> Option<&[NodeId]> {
        self.reverse.get(&addr).map(|targets| &**targets)
    }

    /// Whether an address of this range has a name.
    pub(super) fn has_address_in(&self, range: &RangeInclusive<IpAddr>) -> bool {
        let at = self.addresses.partition_point(|addr| addr < range.start());
        self.addresses.get(at).is_some_and(|addr| range.contains(addr))
    }

    pub(super) fn service(&self, id: ServiceId) -> &ServiceEntry {
        &self.services[id as usize]
    }
}

impl Node {
    /// The name of the node in a zone, `None` where that would be too long.
    pub(super) fn name_in<'a>(&'a self, zone: NameRef<'a>) -> Option<JoinedName<'a>> {
        JoinedName::from_head(&self.head, zone)
    }
}
