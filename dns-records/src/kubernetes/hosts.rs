//! Which names do the endpoints of a Service have, and which of them share one?

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use svc_model::endpoints::{Endpoint, EndpointPort, EndpointSet};

use super::build::Unserved;
use super::fold::digest;
use super::pointers::AddressLabel;
use super::service::{Addresses, Endpoints, Host, HostId, Numbers, PortId, Profile, weight};

/// The ready endpoints of a Service, in the order of the objects.
pub(super) struct Found<'a> {
    pub(super) ready: Vec<Ready>,
    /// The ports of each set with a ready endpoint.
    pub(super) sets: Vec<&'a [EndpointPort]>,
    /// The labels of the endpoints, one after the other.
    labels: Vec<u8>,
}

/// A ready endpoint.
pub(super) struct Ready {
    pub(super) addr: IpAddr,
    /// Which of the sets it is in.
    pub(super) set: usize,
    label: Range<usize>,
}

impl<'a> Found<'a> {
    pub(super) fn new(sets: &'a [EndpointSet], by_pod: bool) -> Self {
        let mut found = Self { ready: Vec::new(), sets: Vec::new(), labels: Vec::new() };
        for set in sets {
            let before = found.ready.len();
            for endpoint in set.endpoints.iter().filter(|endpoint| endpoint.ready) {
                let start = found.labels.len();
                found.push_label(endpoint, by_pod);
                let label = start..found.labels.len();
                found.ready.push(Ready { addr: endpoint.addr, set: found.sets.len(), label });
            }
            if found.ready.len() > before {
                found.sets.push(&set.ports);
            }
        }
        found
    }

    /// The hostname, else (if asked for) the Pod's name where it fits a label, else the address with dashes.
    fn push_label(&mut self, endpoint: &Endpoint, by_pod: bool) {
        let pod = || endpoint.pod.as_ref().filter(|pod| by_pod && pod.name.len() < 64).map(|pod| &*pod.name);
        match endpoint.hostname.as_deref().or_else(pod) {
            Some(name) => self.labels.extend_from_slice(name.as_bytes()),
            None => self.labels.extend_from_slice(&AddressLabel::of(endpoint.addr).as_wire()[1..]),
        }
    }
}

/// One host for each label that differs in more than case, in the order of the objects; labels that cannot be served are
/// complained about. `numbers` are the ports of each set, with the named port that each belongs to.
pub(super) fn hosts(
    found: &Found<'_>,
    numbers: &[Vec<(u16, Option<PortId>)>],
    room: usize,
    mut complain: impl FnMut(&[u8], Unserved),
) -> Endpoints {
    let lower = found.labels.to_ascii_lowercase();
    let label = |endpoint: &usize| &lower[found.ready[*endpoint].label.clone()];
    let mut sorted: Vec<usize> = (0..found.ready.len()).collect();
    sorted.sort_by(|a, b| label(a).cmp(label(b)));
    let mut groups: Vec<&[usize]> = sorted.chunk_by(|a, b| label(a) == label(b)).collect();
    groups.retain(|group| {
        let label = &found.labels[found.ready[group[0]].label.clone()];
        Unserved::check([label.len()], room).map_err(|unserved| complain(label, unserved)).is_ok()
    });
    let mut in_order: Vec<usize> = (0..groups.len()).collect();
    in_order.sort_unstable_by_key(|group| groups[*group][0]);
    let mut by_label: Vec<(u32, HostId)> = groups.iter().map(|group| (digest(label(&group[0])), 0)).collect();

    let mut profiles = Profiles { numbers, list: Vec::new(), known: HashMap::new(), of_set: vec![None; numbers.len()] };
    let mut hosts = Vec::with_capacity(groups.len());
    let (mut labels, mut v4, mut v6) = (Vec::with_capacity(found.labels.len() + groups.len()), Vec::new(), Vec::new());
    for group in in_order {
        by_label[group].1 = hosts.len() as HostId;
        let members = || groups[group].iter().map(|endpoint| &found.ready[*endpoint]);
        hosts.push(Host {
            label: labels.len() as u32,
            v4: v4.len() as u32,
            v6: v6.len() as u32,
            profile: profiles.of(members().map(|endpoint| endpoint.set)),
        });
        let label = &found.labels[found.ready[groups[group][0]].label.clone()];
        labels.push(label.len() as u8);
        labels.extend_from_slice(label);
        match groups[group] {
            // The usual case, without the tables that repeats need.
            [endpoint] => match found.ready[*endpoint].addr {
                IpAddr::V4(addr) => v4.push(addr),
                IpAddr::V6(addr) => v6.push(addr),
            },
            _ => {
                let addresses = Addresses::of(members().map(|endpoint| endpoint.addr));
                v4.extend_from_slice(addresses.v4.as_slice());
                v6.extend_from_slice(addresses.v6.as_slice());
            }
        }
    }
    // The groups stand in the order of the labels, which those with one digest keep.
    by_label.sort_by_key(|(digest, _)| *digest);
    Endpoints {
        hosts: hosts.into(),
        by_label: by_label.into(),
        labels: labels.into(),
        addresses: Addresses { v4: v4.into(), v6: v6.into() },
        profiles: profiles.list.into(),
    }
}

/// The profiles met so far, each once.
struct Profiles<'a> {
    numbers: &'a [Vec<(u16, Option<PortId>)>],
    list: Vec<Profile>,
    known: HashMap<Profile, u32>,
    /// The profile of a host with one endpoint in the set.
    of_set: Vec<Option<u32>>,
}

impl Profiles<'_> {
    /// The profile of a host with endpoints in these sets.
    fn of(&mut self, sets: impl Iterator<Item = usize> + Clone) -> u32 {
        let mut first_two = sets.clone().take(2);
        let single = first_two.next().filter(|_| first_two.next().is_none());
        if let Some(known) = single.and_then(|set| self.of_set[set]) {
            return known;
        }
        let numbers: Vec<_> = sets.flat_map(|set| self.numbers[set].iter().copied()).collect();
        let profile = Profile { weight: weight(numbers.len()), numbers: Numbers::of(numbers) };
        let id = *self.known.entry(profile).or_insert_with_key(|profile| {
            self.list.push(profile.clone());
            self.list.len() as u32 - 1
        });
        if let Some(set) = single {
            self.of_set[set] = Some(id);
        }
        id
    }
}
