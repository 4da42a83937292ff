//! What stands at a name: a node of the table, an address, or nothing, and why nothing?

use std::net::IpAddr;

use super::reason::{Missing, Owner};
use super::reverse::{self, Reverse};
use super::settings::PodMode;
use super::zone::{Content, NS_DNS, Node, NodeId, Origin, OriginKind, ServiceId, Withheld, Zone};
use crate::name::{Label, MAX_WIRE, NameRef};

/// What was found at a name.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Apex,
    Node(NodeId, &'a Node),
    /// An address within the name.
    PodAddress(IpAddr),
    /// The reverse name of an address, and the nodes it leads to.
    Reverse(IpAddr, &'a [NodeId]),
    /// Only there because something is below: an address in a reverse tree, or another zone.
    Inner,
    Missing(Missing<'a>),
}

/// A name, the zone it is in, and what it is there.
pub(super) struct Spot<'a> {
    pub(super) origin: &'a Origin,
    /// The zone's part of the name, spelled as asked.
    pub(super) zone: NameRef<'a>,
    pub(super) place: Place<'a>,
}

impl Zone {
    /// Whether the name lies in a zone that is answered for.
    pub fn is_ours(&self, name: NameRef<'_>) -> bool {
        self.origins.iter().any(|origin| name.is_within(origin.name.as_ref()))
    }

    pub(super) fn falls_through(&self, name: NameRef<'_>) -> bool {
        self.settings.fallthrough.iter().any(|zone| name.is_within(zone.as_ref()))
    }

    /// Finds the zone and what the name is in it; `None` outside the zones.
    pub(super) fn locate<'a>(&'a self, name: NameRef<'a>) -> Option<Spot<'a>> {
        let wire = name.as_wire();
        let mut lower = [0; MAX_WIRE];
        let lower = &mut lower[..wire.len()];
        lower.copy_from_slice(wire);
        lower.make_ascii_lowercase();
        // A name has at most 127 labels.
        let mut starts = [0u8; 128];
        let (mut count, mut at) = (0, 0);
        while wire[at] != 0 {
            starts[count] = at as u8;
            at += 1 + usize::from(wire[at]);
            count += 1;
        }
        starts[count] = at as u8;
        let cut = |origin: &Origin| {
            let cut = usize::from(starts[count.checked_sub(origin.labels)?]);
            (lower[cut..] == *origin.name.as_ref().as_wire()).then_some(cut)
        };
        let (origin, cut) = self.origins.iter().find_map(|origin| Some((origin, cut(origin)?)))?;
        let below = count - origin.labels;
        let relative = Relative { name, lower: &lower[..cut], starts: &starts[..below] };
        let mut place = match origin.kind {
            _ if below == 0 => Place::Apex,
            OriginKind::Forward => self.forward_place(&relative),
            // The tree of Services hangs in the forward zones only.
            OriginKind::Reverse if is_fixed(relative.lower) => self.forward_place(&relative),
            OriginKind::Reverse => self.reverse_place(name),
            OriginKind::Both => match reverse::read(name) {
                Some(_) => self.reverse_place(name),
                None => self.forward_place(&relative),
            },
        };
        if matches!(place, Place::Missing(_)) && self.is_above_others(name) {
            place = Place::Inner;
        }
        Some(Spot { origin, zone: name.skip(below), place })
    }

    /// Whether another zone, or in a zone above the reverse trees an address, hangs on this name.
    fn is_above_others(&self, name: NameRef<'_>) -> bool {
        let is_arpa = || name.labels().next().is_some_and(|label| label.is("arpa")) && name.labels().count() == 1;
        self.above_zones.iter().any(|above| above.as_ref() == name) || (!self.addresses.is_empty() && is_arpa())
    }

    fn forward_place<'a>(&'a self, relative: &Relative<'a, '_>) -> Place<'a> {
        match self.node_id(relative.lower) {
            Some(id) => match &self.nodes[id as usize] {
                Node { content: Content::Withheld(service, why), .. } => Place::Missing(self.withheld(*service, *why)),
                node => Place::Node(id, node),
            },
            None if relative.is_below("svc") => Place::Missing(self.missing_service(relative)),
            None if relative.is_below("pod") => self.pod_place(relative),
            None => Place::Missing(Missing::Form),
        }
    }

    fn withheld(&self, service: ServiceId, why: Withheld) -> Missing<'_> {
        let service = &self.service(service).object;
        match why {
            Withheld::NoEndpoints => Missing::NoEndpoints { service },
            Withheld::Empty => Missing::EmptyService { service },
            Withheld::AliasOfAddress => Missing::AliasOfAddress { service },
            Withheld::AliasOfNothing => Missing::AliasOfNothing { service },
        }
    }

    /// Why there is nothing at a name below `svc`: one more look-up finds what it would hang on.
    fn missing_service<'a>(&'a self, relative: &Relative<'a, '_>) -> Missing<'a> {
        let label = |i| relative.label(i);
        match relative.starts.len() {
            2 => Missing::Namespace { namespace: label(0) },
            3 if self.node(relative.from(1)).is_none() => Missing::Namespace { namespace: label(1) },
            3 => Missing::Service { service: label(0), namespace: label(1) },
            count @ (4 | 5) => match self.node(relative.from(count - 3)).map(|node| &node.content) {
                Some(Content::Withheld(service, why)) => self.withheld(*service, *why),
                Some(Content::Service(service) | Content::Alias(service, _)) => {
                    let service = &self.service(*service).object;
                    match count {
                        4 => Missing::Endpoint { endpoint: label(0), service },
                        _ => Missing::Port { port: label(0), protocol: label(1), service },
                    }
                }
                _ => Missing::Service { service: label(count - 3), namespace: label(count - 2) },
            },
            _ => Missing::Form,
        }
    }

    /// What a name below `pod` that has no node of its own is.
    fn pod_place<'a>(&'a self, relative: &Relative<'a, '_>) -> Place<'a> {
        let label = |i| relative.label(i);
        Place::Missing(match (self.settings.pods, relative.starts.len()) {
            (PodMode::Disabled, _) => Missing::PodsDisabled,
            (_, 2) => Missing::Namespace { namespace: label(0) },
            (_, 3) if self.node(relative.from(1)).is_none() => Missing::Namespace { namespace: label(1) },
            (mode, 3) => match (mode, address_of(label(0))) {
                (_, None) => Missing::NotAnAddress { label: label(0) },
                (PodMode::Insecure, Some(addr)) => return Place::PodAddress(addr),
                _ => Missing::Pod { address: label(0), namespace: label(1) },
            },
            _ => Missing::Form,
        })
    }

    fn reverse_place<'a>(&'a self, name: NameRef<'a>) -> Place<'a> {
        match reverse::read(name) {
            Some(Reverse::Address(addr)) => match self.pointers(addr) {
                Some(nodes) => Place::Reverse(addr, nodes),
                None => Place::Missing(Missing::Address { addr }),
            },
            Some(Reverse::Range(range)) if self.has_address_in(&range) => Place::Inner,
            _ => Place::Missing(Missing::Form),
        }
    }

    pub(super) fn owner<'a>(&'a self, place: Place<'a>) -> Owner<'a> {
        let object = |id: ServiceId| &self.service(id).object;
        match place {
            Place::Apex => Owner::Apex,
            // What is missing has no owner; it was answered before.
            Place::Inner | Place::Missing(_) => Owner::Inner,
            Place::PodAddress(addr) => Owner::PodAddress { addr },
            Place::Reverse(addr, nodes) => {
                let service = nodes.first().and_then(|id| match self.nodes[*id as usize].content {
                    Content::Service(service) | Content::Endpoint(service) => Some(object(service)),
                    _ => None,
                });
                service.map_or(Owner::Inner, |service| Owner::Address { addr, service, names: nodes.len() })
            }
            Place::Node(_, node) => match &node.content {
                Content::Inner | Content::Withheld(..) => Owner::Inner,
                Content::Namespace => Owner::Namespace,
                Content::Service(id) => Owner::Service { service: object(*id), kind: self.service(*id).kind },
                Content::Endpoint(id) => Owner::Endpoint { service: object(*id) },
                Content::Port(id) => Owner::Port { service: object(*id) },
                Content::Protocol(id) => Owner::Protocol { service: object(*id) },
                Content::Alias(id, target) => Owner::Alias { service: object(*id), target: target.as_ref() },
                Content::Pod(pod) => Owner::Pod { pod },
                Content::Version => Owner::Version,
                Content::NameServer => Owner::NameServer,
            },
        }
    }
}

/// Names that every zone has, whatever the objects are.
fn is_fixed(relative: &[u8]) -> bool {
    [&b"\x03dns"[..], NS_DNS, b"\x0bdns-version"].contains(&relative)
}

/// The labels of a name left of its zone.
struct Relative<'a, 'b> {
    /// The whole name, as asked.
    name: NameRef<'a>,
    /// The labels in wire form and lower case.
    lower: &'b [u8],
    /// Where each label starts.
    starts: &'b [u8],
}

impl<'a> Relative<'a, '_> {
    /// The labels from the given one on, in lower case.
    fn from(&self, label: usize) -> &[u8] {
        &self.lower[usize::from(self.starts[label])..]
    }

    /// One label as asked.
    fn label(&self, label: usize) -> Label<'a> {
        let wire = &self.name.as_wire()[usize::from(self.starts[label])..];
        Label(&wire[1..=usize::from(wire[0])])
    }

    fn is_below(&self, text: &str) -> bool {
        self.starts.last().is_some_and(|start| self.lower[usize::from(*start) + 1..] == *text.as_bytes())
    }
}

/// The address that a label with dashes stands for: exactly three dashes, none beside another, is IPv4, all else IPv6.
fn address_of(label: Label<'_>) -> Option<IpAddr> {
    // The longest text of an address without a dot.
    let mut text = [0; 39];
    let text = text.get_mut(..label.0.len())?;
    let dashes = label.0.iter().filter(|octet| **octet == b'-').count();
    let is_v4 = dashes == 3 && !label.0.windows(2).any(|pair| pair == b"--");
    for (to, octet) in text.iter_mut().zip(label.0) {
        *to = match octet {
            b'-' if is_v4 => b'.',
            b'-' => b':',
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => *octet,
            _ => return None,
        };
    }
    let text = std::str::from_utf8(text).ok()?;
    if is_v4 { text.parse().ok().map(IpAddr::V4) } else { text.parse().ok().map(IpAddr::V6) }
}
