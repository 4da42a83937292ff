//! Who answers for which hosts on one port of the mesh? The virtual hosts of a listener, before they are compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_model::NamespacedName;
use svc_model::api::VirtualService;

use super::domains::domains;
use crate::action::{Action, Backends, WeightedBackend};
use crate::host_pattern::HostPattern;
use crate::istio::action;
use crate::istio::destination::Destination;
use crate::istio::export::Precedence;
use crate::istio::names::overlaps;
use crate::istio::registry::{MeshService, Registry};
use crate::istio::rule::{CompiledMatch, HttpRule, Origin};
use crate::istio::sidecar::OutboundPolicy;
use crate::istio::stream::pattern;

/// The port on which hosts that are no service of the mesh have rules as well.
const PORT_OF_STRANGERS: u16 = 80;

/// A VirtualService of the mesh that the caller sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed<'c> {
    pub(super) object: &'c VirtualService,
    pub(super) key: &'c NamespacedName,
    pub(super) precedence: &'c Precedence,
    /// Its hosts in full, in lower case.
    pub(super) hosts: &'c [Box<str>],
}

/// The VirtualServices that a caller sees on a port, in their order, and an index of their hosts.
#[derive(Debug)]
pub(super) struct Listing<'c> {
    pub(super) all: Vec<Listed<'c>>,
    /// From a host to the places of those who have it, in order.
    by_host: BTreeMap<&'c str, Vec<usize>>,
}

impl<'c> Listing<'c> {
    pub(super) fn new(mut all: Vec<Listed<'c>>) -> Self {
        all.sort_by_key(|listed| listed.precedence);
        let mut by_host: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, listed) in all.iter().enumerate() {
            for host in listed.hosts {
                let places = by_host.entry(host).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        Self { all, by_host }
    }

    /// Those who speak for a service: with its very name, else with the longest wildcard above it.
    fn speakers(&self, host: &str) -> &[usize] {
        let find = |name: &str| self.by_host.get(name).map(Vec::as_slice);
        find(host).or_else(|| wildcards_above(host).find_map(|name| find(&name))).unwrap_or_default()
    }

    /// Those who have a host that overlaps this one, in order.
    pub(super) fn overlapping(&self, host: &str) -> Vec<Listed<'c>> {
        let find = |name: &str| self.by_host.get(name).into_iter().flatten().copied();
        let places: BTreeSet<usize> = if host.starts_with('*') {
            let overlapping = self.by_host.iter().filter(|(name, _)| overlaps(name, host));
            overlapping.flat_map(|(_, places)| places).copied().collect()
        } else {
            let above: Vec<String> = wildcards_above(host).collect();
            find(host).chain(above.iter().flat_map(|name| find(name))).collect()
        };
        places.into_iter().map(|place| self.all[place]).collect()
    }
}

/// The wildcards that cover a name, the longest first; of a wildcard, the wider ones.
fn wildcards_above(host: &str) -> impl Iterator<Item = String> + '_ {
    let body = host.strip_prefix('*').map_or(host, |rest| rest.get(1..).unwrap_or_default());
    let dots = body.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at);
    dots.map(move |at| format!("*{}", &body[at..])).chain(["*".to_owned()])
}

/// Hosts that share their rules.
#[derive(Clone, Debug)]
pub(super) struct VirtualHost {
    pub(super) domains: Vec<HostPattern>,
    pub(super) matches: Arc<[CompiledMatch]>,
}

/// What the plan of a port is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port<'p, 'c> {
    pub(super) number: u16,
    /// The services that the caller sees on the port, by host.
    pub(super) services: &'p BTreeMap<&'c str, &'c Arc<MeshService>>,
    pub(super) listing: &'p Listing<'c>,
    pub(super) registry: &'c Registry,
    pub(super) namespace: &'p str,
    pub(super) outbound: OutboundPolicy,
}

impl<'c> Port<'_, 'c> {
    /// Whether anybody on the port takes requests; only then is there a listener that reads them.
    pub(super) fn takes_http(&self) -> bool {
        self.services.values().any(|service| self.serves_http(service))
    }

    fn serves_http(&self, service: &MeshService) -> bool {
        service.port(self.number).is_some_and(|port| port.protocol.takes_http())
    }

    /// The virtual hosts, those that go first before others: of VirtualServices in their order, of services without one, and of what nobody
    /// knows. `compile` makes the rules of a VirtualService on this port; one without any does not count.
    ///
    /// The source is `BuildSidecarVirtualHostWrapper` in Istio's `pilot/pkg/networking/core/route`.
    pub(super) fn virtual_hosts(
        &self,
        mut compile: impl FnMut(Listed<'c>) -> Arc<[CompiledMatch]>,
    ) -> Vec<VirtualHost> {
        let all = &self.listing.all;
        let mut rules: BTreeMap<usize, Arc<[CompiledMatch]>> = BTreeMap::new();
        let mut counts = |place: usize| {
            let rules = rules.entry(place).or_insert_with(|| compile(all[place]));
            (!rules.is_empty()).then(|| rules.clone())
        };
        // Who speaks for each service, and for which services each VirtualService does.
        let mut spoken_for: BTreeMap<usize, Vec<&Arc<MeshService>>> = BTreeMap::new();
        let mut left: Vec<&Arc<MeshService>> = Vec::new();
        for (host, service) in self.services.iter().filter(|(_, service)| self.serves_http(service)) {
            match self.listing.speakers(host).iter().find(|place| counts(**place).is_some()) {
                Some(place) => spoken_for.entry(*place).or_default().push(service),
                None => left.push(service),
            }
        }
        // Hosts that are no service of the port stand beside such services, and on one port alone.
        let strangers = if self.number == PORT_OF_STRANGERS { (0..all.len()).collect() } else { self.speaking() };
        let mut hosts: Vec<VirtualHost> = Vec::new();
        let places: BTreeSet<usize> = spoken_for.keys().copied().chain(strangers).collect();
        for place in places {
            let Some(matches) = counts(place) else { continue };
            let own = all[place].hosts.iter().filter(|host| !self.is_service(host)).filter_map(|host| pattern(host));
            let services = spoken_for.get(&place).into_iter().flatten();
            let domains: Vec<HostPattern> = own.chain(services.flat_map(|service| self.domains(service))).collect();
            hosts.push(VirtualHost { domains, matches });
        }
        hosts.extend(left.into_iter().map(|service| self.without_rules(service)));
        hosts.push(VirtualHost { domains: vec![HostPattern::Any], matches: self.unknown() });
        hosts
    }

    /// The VirtualServices with a host that stands for a service of the port which takes requests.
    fn speaking(&self) -> Vec<usize> {
        let served = self.services.iter().filter(|(_, service)| self.serves_http(service));
        served.flat_map(|(host, _)| self.listing.speakers(host)).copied().collect()
    }

    /// Whether a host of a VirtualService is that of a service on the port, or covers one.
    fn is_service(&self, host: &str) -> bool {
        match host.strip_prefix('*') {
            None => self.services.contains_key(host),
            Some(_) => self.registry.covered_by(host).any(|covered| self.services.contains_key(covered)),
        }
    }

    pub(super) fn domains(&self, service: &MeshService) -> Vec<HostPattern> {
        let is_known = |name: &str| self.services.contains_key(name);
        domains(service, self.registry, self.namespace, is_known)
    }

    /// A service that no VirtualService speaks for.
    fn without_rules(&self, service: &MeshService) -> VirtualHost {
        let destination = Destination::new(&service.host, Some(service.source.clone()), None, self.number);
        VirtualHost { domains: self.domains(service), matches: everything(Origin::Service, destination) }
    }

    /// What becomes of requests to hosts that nobody knows.
    fn unknown(&self) -> Arc<[CompiledMatch]> {
        match self.outbound {
            OutboundPolicy::AllowAny => {
                everything(Origin::AllowAny, Destination::new(super::PASSTHROUGH, None, None, self.number))
            }
            OutboundPolicy::RegistryOnly => {
                [CompiledMatch::everything(HttpRule::new(Origin::BlockAll, Action::respond(502)))].into()
            }
        }
    }
}

fn everything(origin: Origin, destination: Destination) -> Arc<[CompiledMatch]> {
    let mut forward = Action::forward(Backends::new([WeightedBackend::new(1, destination)]));
    if origin == Origin::Service {
        forward.retry = action::retry(None);
    }
    [CompiledMatch::everything(HttpRule::new(origin, forward))].into()
}
