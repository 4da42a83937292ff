//! Where do connections go that no proxy looks into? The `tcp` and `tls` rules of VirtualServices, compiled.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use svc_model::Resource;
use svc_model::addr::{parse_cidr, parse_ip};
use svc_model::api::{IstioRouteDestination, StringMap, VirtualService, selects};

use super::destination::{self, Destination, Hosts, ImpliedPort};
use super::matching::Listener;
use super::names::{NameSet, full_host};
use super::rule::Origin;
use crate::action::{Backends, WeightedBackend};
use crate::host_pattern::{HostPattern, WildcardDepth};

/// What becomes of the connections that a rule takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRule {
    /// Who says so; the index is that in `spec.tcp` or `spec.tls`.
    pub origin: Origin,
    /// Where they go, by weight.
    pub backends: Backends<Destination>,
}

impl StreamRule {
    /// To a service, without any rule.
    pub(crate) fn to_service(destination: Destination) -> Self {
        Self { origin: Origin::Service, backends: Backends::new([WeightedBackend::new(1, destination)]) }
    }

    /// A rule of a VirtualService; `None` if it leads nowhere, which admission refuses.
    fn of(
        virtual_service: &VirtualService,
        index: usize,
        route: &[IstioRouteDestination],
        port: u16,
        hosts: &dyn Hosts,
    ) -> Option<Arc<Self>> {
        let namespace = virtual_service.namespace();
        let entry = |entry: &IstioRouteDestination| {
            // A single destination takes everything, whatever its weight.
            let weight = if route.len() == 1 { 1 } else { u32::try_from(entry.weight).ok()? };
            let to = destination::read(entry.destination.as_ref()?, namespace, hosts, ImpliedPort::OfService(port))?;
            (weight > 0).then(|| WeightedBackend::new(weight, to))
        };
        let backends = Backends::new(route.iter().filter_map(entry));
        let origin = Origin::VirtualService { route: virtual_service.reference(), rule: index, delegate: None };
        (backends.total() > 0).then(|| Arc::new(Self { origin, backends }))
    }
}

/// What a match of a `tcp` or `tls` rule asks of the proxy and its listener: all of it counts, unlike in `http` rules.
fn admits(
    listener: Listener<'_>,
    namespace: &str,
    (port, gateways): (i64, &[String]),
    (labels, source_namespace): (&StringMap, &str),
) -> bool {
    (port == 0 || port == i64::from(listener.port))
        && (gateways.is_empty() || listener.gateway.is_in(gateways, namespace))
        && selects(labels, listener.labels)
        && (source_namespace.is_empty() || source_namespace == listener.namespace)
}

/// What the `tcp` rules of VirtualServices make of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TcpChains {
    /// Ranges of destinations with a rule of their own.
    pub(crate) subnets: Vec<(IpNet, Arc<StreamRule>)>,
    /// The rule for all others.
    pub(crate) rest: Option<Arc<StreamRule>>,
}

impl TcpChains {
    /// The chains of these VirtualServices, in order: the first rule or match that asks for no range ends the search.
    pub(crate) fn of<'v>(
        virtual_services: impl IntoIterator<Item = &'v VirtualService>,
        listener: Listener<'_>,
        hosts: &dyn Hosts,
    ) -> Self {
        let mut chains = Self::default();
        for virtual_service in virtual_services {
            let namespace = virtual_service.namespace();
            for (index, written) in virtual_service.spec.tcp.iter().enumerate() {
                let here: Vec<_> = written
                    .match_
                    .iter()
                    .filter(|found| {
                        let source = (&found.source_labels, &*found.source_namespace);
                        admits(listener, namespace, (found.port, &found.gateways), source)
                    })
                    .collect();
                if here.is_empty() && !written.match_.is_empty() {
                    continue;
                }
                let Some(rule) = StreamRule::of(virtual_service, index, &written.route, listener.port, hosts) else {
                    continue;
                };
                if here.is_empty() || here.iter().any(|found| found.destination_subnets.is_empty()) {
                    chains.rest = Some(rule);
                    return chains;
                }
                let nets = here.iter().flat_map(|found| &found.destination_subnets).filter_map(|text| net(text));
                chains.subnets.extend(nets.map(|net| (net, rule.clone())));
            }
        }
        chains
    }

    /// The first rule of a VirtualService that fits a server of a gateway, where neither callers nor ranges are looked at.
    pub(crate) fn at_gateway(
        virtual_service: &VirtualService,
        listener: Listener<'_>,
        hosts: &dyn Hosts,
    ) -> Option<Arc<StreamRule>> {
        let namespace = virtual_service.namespace();
        let none = StringMap::new();
        let fits = |found: &svc_model::api::IstioTcpMatch| {
            admits(listener, namespace, (found.port, &found.gateways), (&none, ""))
        };
        let rules = virtual_service.spec.tcp.iter().enumerate();
        let mut fitting = rules.filter(|(_, rule)| rule.match_.is_empty() || rule.match_.iter().any(fits));
        fitting.find_map(|(index, rule)| StreamRule::of(virtual_service, index, &rule.route, listener.port, hosts))
    }
}

/// A chain of TLS connections: the server names, the ranges of destinations (none: all), and the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsChain {
    pub(crate) names: Vec<HostPattern>,
    pub(crate) subnets: Vec<IpNet>,
    pub(crate) rule: Arc<StreamRule>,
}

impl TlsChain {
    /// The chains of a VirtualService's `tls` rules, in order. Server names outside its hosts are left out, since admission refuses them.
    /// At gateways (`only_listener`) neither callers nor ranges are looked at.
    pub(crate) fn of(
        virtual_service: &VirtualService,
        listener: Listener<'_>,
        only_listener: bool,
        hosts: &dyn Hosts,
    ) -> Vec<Self> {
        let namespace = virtual_service.namespace();
        let full: Vec<String> =
            virtual_service.spec.hosts.iter().map(|host| full_host(host, namespace).to_ascii_lowercase()).collect();
        let own: NameSet<'_> = full.iter().map(String::as_str).collect();
        let none = StringMap::new();
        let mut chains = Vec::new();
        for (index, written) in virtual_service.spec.tls.iter().enumerate() {
            let mut made: Option<Option<Arc<StreamRule>>> = None;
            for found in &written.match_ {
                let source = if only_listener { (&none, "") } else { (&found.source_labels, &*found.source_namespace) };
                if !admits(listener, namespace, (found.port, &found.gateways), source) {
                    continue;
                }
                let names = found.sni_hosts.iter().map(|name| name.to_ascii_lowercase());
                let names: Vec<HostPattern> =
                    names.filter(|name| own.covers(name)).filter_map(|name| pattern(&name)).collect();
                let make = || StreamRule::of(virtual_service, index, &written.route, listener.port, hosts);
                let Some(rule) = made.get_or_insert_with(make).clone().filter(|_| !names.is_empty()) else { continue };
                let subnets = found.destination_subnets.iter().filter(|_| !only_listener);
                chains.push(Self { names, subnets: subnets.filter_map(|text| net(text)).collect(), rule });
            }
        }
        chains
    }
}

/// Takes chains until a server name is repeated: a chain that repeats one of an earlier chain is dropped whole, as Envoy takes no two
/// chains for the same connections (`CheckDuplicates`).
pub(crate) fn without_repetitions(chains: impl IntoIterator<Item = TlsChain>) -> Vec<TlsChain> {
    let mut known = BTreeSet::new();
    let mut kept = Vec::new();
    for chain in chains {
        let fresh = chain.names.iter().filter(|name| known.insert((*name).clone())).count();
        if fresh == chain.names.len() {
            kept.push(chain);
        }
    }
    kept
}

/// The pattern for a name as Istio writes it, where `*.` stands for any depth.
pub(crate) fn pattern(name: &str) -> Option<HostPattern> {
    HostPattern::parse(name, WildcardDepth::Any).ok().filter(|_| !name.is_empty())
}

fn net(text: &str) -> Option<IpNet> {
    parse_cidr(text).or_else(|_| parse_ip(text).map(IpNet::from)).ok().map(|net| net.trunc())
}
