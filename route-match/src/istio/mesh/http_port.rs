//! Which virtual hosts does one port of the mesh have? The claims of services and VirtualServices to its domains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_model::NamespacedName;

use super::claims::{Claim, Claims, Made, Matches, Order};
use super::domains::domains;
use super::port::Port;
use crate::action::{Action, Backends, WeightedBackend};
use crate::host_pattern::HostPattern;
use crate::istio::action;
use crate::istio::destination::Destination;
use crate::istio::registry::MeshService;
use crate::istio::route_table::RouteTable;
use crate::istio::rule::{CompiledMatch, HttpRule, Origin};
use crate::istio::sidecar::OutboundPolicy;
use crate::istio::stream::pattern;

/// The port on which hosts that are no service of the mesh have rules as well.
const PORT_OF_STRANGERS: u16 = 80;

/// The virtual hosts of a port, and who claims their domains.
///
/// A VirtualService speaks for services, whose domains it takes over, and for hosts that are none, which are strangers here. The source is
/// `BuildSidecarVirtualHostWrapper` in Istio's `pilot/pkg/networking/core/route`.
#[derive(Clone, Debug)]
pub(super) struct HttpPort {
    claims: Claims,
    services: BTreeMap<Box<str>, Made>,
    strangers: BTreeMap<NamespacedName, Made>,
}

impl HttpPort {
    /// A port on which nothing is known, of which everything is let through or refused.
    pub(super) fn new(number: u16, outbound: OutboundPolicy, seed: u64) -> Self {
        let mut claims = Claims::new(seed);
        let claim = Claim { is_other: true, order: Order::Unknown, service: None };
        claims.insert(HostPattern::Any, claim, unknown(number, outbound));
        Self { claims, services: BTreeMap::new(), strangers: BTreeMap::new() }
    }

    /// The virtual hosts.
    pub(super) fn table(&self) -> &RouteTable {
        self.claims.table()
    }

    /// Makes the claims of these services and VirtualServices anew.
    pub(super) fn refresh<'h>(
        &mut self,
        port: &Port<'_>,
        hosts: impl IntoIterator<Item = &'h Box<str>>,
        users: impl IntoIterator<Item = &'h NamespacedName>,
    ) {
        for host in hosts {
            if let Some(made) = self.services.remove(host) {
                made.iter().for_each(|(domain, claim)| self.claims.remove(domain, claim));
            }
            let service = port.services.get(host).filter(|service| port.serves_http(service));
            if let Some(service) = service {
                let made = self.claim_service(port, service);
                self.services.insert(host.clone(), made);
            }
        }
        for key in users {
            if let Some(made) = self.strangers.remove(key) {
                made.iter().for_each(|(domain, claim)| self.claims.remove(domain, claim));
            }
            let made = self.claim_strangers(port, key);
            if !made.is_empty() {
                self.strangers.insert(key.clone(), made);
            }
        }
        self.claims.settle();
    }

    /// The claims of a service, in the name of the VirtualService that speaks for it: the first that has a rule here.
    fn claim_service(&mut self, port: &Port<'_>, service: &MeshService) -> Made {
        let speakers = port.speakers(&service.host).map(|(_, keys)| keys).unwrap_or_default();
        let spoken_for = speakers.into_iter().find_map(|key| {
            let matches = port.matches(key);
            (!matches.is_empty()).then(|| Some((Order::Rules(port.precedence(key)?.clone()), matches)))?
        });
        let (order, matches) = spoken_for.unwrap_or_else(|| {
            let to = Destination::new(&service.host, Some(service.source.clone()), None, port.number);
            (Order::Service(service.host.clone()), everything(Origin::Service, to))
        });
        let full = pattern(&service.host);
        let mut made = Made::new();
        for domain in domains(service, port.registry(), port.namespace()) {
            let is_other = full.as_ref() != Some(&domain);
            let claim = Claim { is_other, order: order.clone(), service: Some(service.host.clone()) };
            self.claims.insert(domain.clone(), claim.clone(), matches.clone());
            made.insert((domain, claim));
        }
        made
    }

    /// The claims of a VirtualService to hosts that are no service of the port: on one port, and beside services that it speaks for.
    fn claim_strangers(&mut self, port: &Port<'_>, key: &NamespacedName) -> Made {
        let mut made = Made::new();
        let Some(hosts) = port.hosts_of(key) else { return made };
        let own: BTreeSet<HostPattern> =
            hosts.iter().filter(|host| !is_service(port, host)).filter_map(|host| pattern(host)).collect();
        if own.is_empty() || port.number != PORT_OF_STRANGERS && !hosts.iter().any(|host| speaks(port, host)) {
            return made;
        }
        let matches = port.matches(key);
        let Some(precedence) = port.precedence(key).filter(|_| !matches.is_empty()) else { return made };
        for domain in own {
            let claim = Claim { is_other: true, order: Order::Rules(precedence.clone()), service: None };
            self.claims.insert(domain.clone(), claim.clone(), matches.clone());
            made.insert((domain, claim));
        }
        made
    }
}

/// Whether a host of a VirtualService is that of a service on the port, or covers one.
fn is_service(port: &Port<'_>, host: &str) -> bool {
    match host.strip_prefix('*') {
        None => port.services.contains_key(host),
        Some(_) => port.registry().covered_by(host).any(|covered| port.services.contains_key(covered)),
    }
}

/// Whether a host of a VirtualService makes it speak for a service that takes requests: no other has a more specific one.
fn speaks(port: &Port<'_>, host: &str) -> bool {
    let serves = |name: &str| port.services.get(name).is_some_and(|service| port.serves_http(service));
    match host.strip_prefix('*') {
        None => serves(host),
        Some(_) => port
            .registry()
            .covered_by(host)
            .filter(|covered| serves(covered))
            .any(|covered| port.speakers(covered).is_some_and(|(name, _)| name == host)),
    }
}

/// What becomes of requests to hosts that nobody knows.
fn unknown(number: u16, outbound: OutboundPolicy) -> Matches {
    match outbound {
        OutboundPolicy::AllowAny => {
            everything(Origin::AllowAny, Destination::new(super::PASSTHROUGH, None, None, number))
        }
        OutboundPolicy::RegistryOnly => {
            [CompiledMatch::everything(HttpRule::new(Origin::BlockAll, Action::respond(502)))].into()
        }
    }
}

fn everything(origin: Origin, destination: Destination) -> Matches {
    let mut forward = Action::forward(Backends::new([WeightedBackend::new(1, destination)]));
    if origin == Origin::Service {
        forward.retry = action::retry(None);
    }
    Arc::new([CompiledMatch::everything(HttpRule::new(origin, forward))])
}

/// Equal when every domain is claimed alike.
impl PartialEq for HttpPort {
    fn eq(&self, other: &Self) -> bool {
        self.claims.all() == other.claims.all() && self.services == other.services && self.strangers == other.strangers
    }
}
