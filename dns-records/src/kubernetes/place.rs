//! What stands at a name: a node of the table, an address, or nothing, and why nothing?

use std::net::IpAddr;

use super::fold::same_name;
use super::pods::LivePod;
use super::pointers::Pointer;
use super::reason::{Missing, Namespaces, Owner};
use super::reverse::{self, Reverse};
use super::service::{Content, Endpoints, HostId, Port, PortId, Records, Service, Withheld, protocol_of};
use super::settings::PodMode;
use super::zone::{Origin, OriginKind, Zone};
use crate::name::{Label, Name, NameRef};

/// What was found at a name.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Apex,
    Service(&'a Service, &'a Records),
    Alias(&'a Service, &'a Name),
    Endpoint(&'a Service, &'a Endpoints, HostId),
    Port(&'a Service, &'a Records, PortId, &'a Port),
    /// `_tcp` of a Service with named TCP ports.
    Protocol(&'a Service),
    Namespace,
    Pod(&'a LivePod),
    /// An address within the name.
    PodAddress(IpAddr),
    /// The reverse name of an address, and where it leads.
    Reverse(IpAddr, &'a [Pointer]),
    NameServer,
    Version,
    /// Only there because something is below: an address in a reverse tree, or another zone.
    Inner,
    Missing(Missing<'a>),
}

/// The zone that a name is in, and what stands left of it.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a, 'b> {
    pub(super) origin: &'a Origin,
    /// The zone's part of the name, spelled as asked.
    pub(super) zone: NameRef<'a>,
    relative: Relative<'a, 'b>,
}

/// Room for where each label of a name starts, of which there are at most 127, and then its zone.
pub(super) type Starts = [u8; 128];

impl Zone {
    /// Whether the name lies in a zone that is answered for.
    pub fn is_ours(&self, name: NameRef<'_>) -> bool {
        self.origins.iter().any(|origin| name.is_within(origin.name.as_ref()))
    }

    pub(super) fn falls_through(&self, name: NameRef<'_>) -> bool {
        self.settings.fallthrough.iter().any(|zone| name.is_within(zone.as_ref()))
    }

    /// Finds the zone that a name is in; `None` outside the zones.
    #[inline(always)]
    pub(super) fn locate<'a, 'b>(&'a self, name: NameRef<'a>, starts: &'b mut Starts) -> Option<Spot<'a, 'b>> {
        let wire = name.as_wire();
        let (origin, cut, count) = self.origins.iter().find_map(|origin| {
            let zone = origin.name.as_ref().as_wire();
            let cut = wire.len().checked_sub(zone.len())?;
            let count = if same_name(&wire[cut..], zone) { label_starts(wire, cut, starts) } else { None };
            Some((origin, cut, count?))
        })?;
        Some(Spot { origin, zone: name.tail(cut), relative: Relative { wire, starts: &starts[..=count] } })
    }

    /// What a name is in its zone.
    #[inline(always)]
    pub(super) fn place<'a>(&'a self, name: NameRef<'a>, spot: &Spot<'a, '_>) -> Place<'a> {
        let relative = &spot.relative;
        // The tree of Services hangs in the forward zones only.
        let is_reverse = match spot.origin.kind {
            OriginKind::Forward => false,
            OriginKind::Reverse => true,
            OriginKind::Both => reverse::read(name).is_some(),
        };
        let mut place = match relative.count() {
            0 => Place::Apex,
            _ if is_reverse => fixed(relative).unwrap_or_else(|| self.reverse_place(name)),
            _ => self.forward_place(relative),
        };
        if matches!(place, Place::Missing(_)) && self.is_above_others(name) {
            place = Place::Inner;
        }
        place
    }

    /// Whether another zone, or in a zone above the reverse trees an address, hangs on this name.
    fn is_above_others(&self, name: NameRef<'_>) -> bool {
        let is_arpa = || name.labels().next().is_some_and(|label| label.is("arpa")) && name.labels().count() == 1;
        self.above_zones.iter().any(|above| above.as_ref() == name) || (!self.pointers.is_empty() && is_arpa())
    }

    #[inline(always)]
    fn forward_place<'a>(&'a self, relative: &Relative<'a, '_>) -> Place<'a> {
        match relative.label(relative.count() - 1).0 {
            label if label == b"svc" || label.eq_ignore_ascii_case(b"svc") => self.service_place(relative),
            label if label.eq_ignore_ascii_case(b"pod") => self.pod_place(relative),
            _ => fixed(relative).unwrap_or(Place::Missing(Missing::Form)),
        }
    }

    /// What is at a name in the tree of Services. One look-up finds the Service; why there is none is found when somebody reads it.
    #[inline(always)]
    fn service_place<'a>(&'a self, relative: &Relative<'a, '_>) -> Place<'a> {
        let label = |i| relative.label(i);
        let has_namespace = |i| self.namespaces.get(label(i).0).is_some();
        let count = relative.count();
        let service = match count {
            1 => return Place::Inner,
            2 if has_namespace(0) => return Place::Namespace,
            2 => return Place::Missing(Missing::Namespace { namespace: label(0) }),
            3..=5 => self.services.get(relative.part(count - 3, count - 1)),
            _ => return Place::Missing(Missing::Form),
        };
        let Some(service) = service else {
            let (service, namespace) = (label(count - 3), label(count - 2));
            return Place::Missing(Missing::Service { service, namespace, namespaces: Namespaces(&self.namespaces) });
        };
        let object = &service.object;
        let no_endpoint = || Place::Missing(Missing::Endpoint { endpoint: label(0), service: object });
        let no_port = || Place::Missing(Missing::Port { port: label(0), protocol: label(1), service: object });
        match (&service.content, count) {
            (Content::Withheld(why), _) => Place::Missing(withheld(service, *why)),
            (Content::Empty(_), _) => Place::Missing(Missing::EmptyService { service: object }),
            (Content::Records(records), 3) => Place::Service(service, records),
            (Content::Records(records), 4) => {
                let host = |endpoints: &'a Endpoints| Some((endpoints, endpoints.find(label(0).0)?));
                match records.endpoints.as_deref().and_then(host) {
                    Some((endpoints, host)) => Place::Endpoint(service, endpoints, host),
                    None if protocol_of(label(0).0).is_some_and(|protocol| records.has_protocol(protocol)) => {
                        Place::Protocol(service)
                    }
                    None => no_endpoint(),
                }
            }
            (Content::Records(records), _) => {
                let port = protocol_of(label(1).0).and_then(|protocol| records.port(label(0).0, protocol));
                port.map_or_else(no_port, |(id, port)| Place::Port(service, records, id, port))
            }
            (Content::Alias(target), 3) => Place::Alias(service, target),
            (Content::Alias(_), 4) => no_endpoint(),
            (Content::Alias(_), _) => no_port(),
            // The Service that has the name comes first.
            (Content::Shadowed, _) => Place::Missing(Missing::Form),
        }
    }

    /// What is at a name in the tree of Pods.
    #[inline(never)]
    fn pod_place<'a>(&'a self, relative: &Relative<'a, '_>) -> Place<'a> {
        let label = |i| relative.label(i);
        let has_namespace = |i| self.namespaces.get(label(i).0).is_some();
        Place::Missing(match (self.settings.pods, relative.count()) {
            (_, 1) => return Place::Inner,
            (PodMode::Disabled, _) => Missing::PodsDisabled,
            (_, 2) if has_namespace(0) => return Place::Namespace,
            (_, 2) => Missing::Namespace { namespace: label(0) },
            (_, 3) if !has_namespace(1) => Missing::Namespace { namespace: label(1) },
            (mode, 3) => match (mode, address_of(label(0))) {
                (_, None) => Missing::NotAnAddress { label: label(0) },
                (PodMode::Insecure, Some(addr)) => return Place::PodAddress(addr),
                (_, Some(addr)) => match self.pods.of_name(addr, label(0), label(1)) {
                    Some(pod) => return Place::Pod(pod),
                    None => Missing::Pod { address: label(0), namespace: label(1) },
                },
            },
            _ => Missing::Form,
        })
    }

    #[inline(never)]
    fn reverse_place<'a>(&'a self, name: NameRef<'a>) -> Place<'a> {
        match reverse::read(name) {
            Some(Reverse::Address(addr)) => match self.pointers(addr) {
                [] => Place::Missing(Missing::Address { addr }),
                pointers => Place::Reverse(addr, pointers),
            },
            Some(Reverse::Range(range)) if self.pointers.any_within(&range) => Place::Inner,
            _ => Place::Missing(Missing::Form),
        }
    }
}

impl<'a> Place<'a> {
    pub(super) fn owner(&self) -> Owner<'a> {
        match *self {
            Self::Apex => Owner::Apex,
            // What is missing has no owner; it was answered before.
            Self::Inner | Self::Missing(_) => Owner::Inner,
            Self::Service(service, _) => Owner::Service { service: &service.object, kind: service.kind },
            Self::Alias(service, target) => Owner::Alias { service: &service.object, target: target.as_ref() },
            Self::Endpoint(service, ..) => Owner::Endpoint { service: &service.object },
            Self::Port(service, ..) => Owner::Port { service: &service.object },
            Self::Protocol(service) => Owner::Protocol { service: &service.object },
            Self::Namespace => Owner::Namespace,
            Self::Pod(pod) => Owner::Pod { pod: &pod.object },
            Self::PodAddress(addr) => Owner::PodAddress { addr },
            Self::Reverse(addr, pointers) => match pointers.first() {
                Some(first) => Owner::Address { addr, service: first.service(), names: pointers.len() },
                None => Owner::Inner,
            },
            Self::NameServer => Owner::NameServer,
            Self::Version => Owner::Version,
        }
    }
}

fn withheld(service: &Service, why: Withheld) -> Missing<'_> {
    let service = &service.object;
    match why {
        Withheld::NoEndpoints => Missing::NoEndpoints { service },
        Withheld::AliasOfAddress => Missing::AliasOfAddress { service },
        Withheld::AliasOfNothing => Missing::AliasOfNothing { service },
    }
}

/// The names that every zone has, whatever the objects are.
fn fixed<'a>(relative: &Relative<'_, '_>) -> Option<Place<'a>> {
    let is = |i, text| relative.label(i).is(text);
    match relative.count() {
        1 if is(0, "dns") => Some(Place::Inner),
        1 if is(0, "dns-version") => Some(Place::Version),
        2 if is(0, "ns") && is(1, "dns") => Some(Place::NameServer),
        _ => None,
    }
}

/// Writes down where each label starts that stands before `cut`, and `cut` itself. How many labels that are; `None` if `cut` lies
/// within one.
#[inline]
fn label_starts(wire: &[u8], cut: usize, starts: &mut Starts) -> Option<usize> {
    let (mut count, mut at) = (0, 0);
    while at < cut {
        starts[count] = at as u8;
        at += 1 + usize::from(wire[at]);
        count += 1;
    }
    starts[count] = at as u8;
    (at == cut).then_some(count)
}

/// The labels of a name left of its zone.
#[derive(Clone, Copy)]
struct Relative<'a, 'b> {
    /// The whole name in wire form, as asked.
    wire: &'a [u8],
    /// Where each label starts, and then the zone.
    starts: &'b [u8],
}

impl<'a> Relative<'a, '_> {
    #[inline]
    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The labels from one on up to another, in wire form.
    #[inline(always)]
    fn part(&self, from: usize, to: usize) -> &'a [u8] {
        &self.wire[usize::from(self.starts[from])..usize::from(self.starts[to])]
    }

    /// One label.
    #[inline]
    fn label(&self, label: usize) -> Label<'a> {
        Label(&self.part(label, label + 1)[1..])
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
