//! What does a workload's proxy see of the mesh? The Sidecar that applies to it.

use std::collections::BTreeMap;

use svc_model::api::{MeshConfig, OutboundTrafficPolicy, Sidecar, VirtualService, selects};
use svc_model::{Cluster, Resource};

use super::destination_rule::Caller;
use super::names::{NameSet, full_host};
use super::order::Age;
use super::registry::MeshService;

/// What becomes of destinations that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutboundPolicy {
    /// They are let through (`ALLOW_ANY`).
    AllowAny,
    /// They are refused (`REGISTRY_ONLY`).
    RegistryOnly,
}

impl OutboundPolicy {
    /// Reads a policy; where none is written, all is let through.
    fn read(policy: Option<&OutboundTrafficPolicy>) -> Self {
        match policy.map(|policy| policy.mode.as_str()) {
            None | Some("ALLOW_ANY") => Self::AllowAny,
            Some(_) => Self::RegistryOnly,
        }
    }
}

/// What a caller's proxy sees.
#[derive(Clone, Debug)]
pub(crate) struct SidecarScope<'c> {
    /// The Sidecar that applies; without one, everything that is exported is seen.
    pub(crate) sidecar: Option<&'c Sidecar>,
    pub(crate) outbound: OutboundPolicy,
    egress: Vec<Egress<'c>>,
}

/// One entry of `egress`: the hosts by the namespace of what they are imported from, `*` for all.
#[derive(Clone, Debug)]
struct Egress<'c> {
    port: Option<u16>,
    hosts: BTreeMap<&'c str, NameSet<'c>>,
}

/// What is seen on one port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Imports<'s, 'c> {
    /// Everything.
    All,
    /// Nothing.
    None,
    /// What is imported.
    Some(&'s BTreeMap<&'c str, NameSet<'c>>),
}

impl<'c> SidecarScope<'c> {
    /// The Sidecar of a caller: the oldest that selects it, else the oldest without selector of its namespace, else that of the root
    /// namespace.
    pub(crate) fn of(cluster: &'c Cluster, mesh: &'c MeshConfig, caller: &'c Caller) -> Self {
        let oldest = |namespace: &'c str, fits: &dyn Fn(&Sidecar) -> bool| {
            cluster
                .list_in::<Sidecar>(namespace)
                .filter(|sidecar| fits(sidecar))
                .min_by_key(|sidecar| Age::of(*sidecar))
        };
        let selector = |sidecar: &'_ Sidecar| sidecar.spec.workload_selector.clone().map(|selector| selector.labels);
        let selected = |sidecar: &Sidecar| {
            selector(sidecar).is_some_and(|labels| !labels.is_empty() && selects(&labels, &caller.labels))
        };
        let for_all = |sidecar: &Sidecar| selector(sidecar).is_none_or(|labels| labels.is_empty());
        let sidecar = oldest(&caller.namespace, &selected)
            .or_else(|| oldest(&caller.namespace, &for_all))
            .or_else(|| oldest(super::root_namespace(mesh), &for_all));
        let own = sidecar.and_then(|sidecar| sidecar.spec.outbound_traffic_policy.as_ref());
        Self {
            outbound: OutboundPolicy::read(own.or(mesh.outbound_traffic_policy.as_ref())),
            egress: sidecar.map(|sidecar| egress(sidecar, &caller.namespace)).unwrap_or_default(),
            sidecar,
        }
    }

    /// The entry for a port: its own, else the one for all ports.
    fn entry(&self, port: u16) -> Option<usize> {
        let of = |port: Option<u16>| self.egress.iter().position(|entry| entry.port == port);
        of(Some(port)).or_else(|| of(None))
    }

    /// What is seen on a port.
    pub(crate) fn on_port(&self, port: u16) -> Imports<'_, 'c> {
        match self.entry(port) {
            Some(at) => Imports::Some(&self.egress[at].hosts),
            None if self.egress.is_empty() => Imports::All,
            None => Imports::None,
        }
    }

    /// Which entries import the rules of a VirtualService.
    pub(crate) fn importing(&self, virtual_service: &VirtualService) -> Box<[bool]> {
        self.egress.iter().map(|entry| Imports::Some(&entry.hosts).rules(virtual_service)).collect()
    }

    /// Whether rules that these entries import count on a port.
    pub(crate) fn counts(&self, port: u16, imported: &[bool]) -> bool {
        self.egress.is_empty() || self.entry(port).is_some_and(|at| imported.get(at) == Some(&true))
    }
}

fn egress<'c>(sidecar: &'c Sidecar, own: &'c str) -> Vec<Egress<'c>> {
    let read = |entry: &'c svc_model::api::SidecarEgress| {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for text in &entry.hosts {
            match text.split_once('/') {
                Some(("~", _)) | None => {}
                Some((".", host)) => names.entry(own).or_default().push(host),
                Some((namespace, host)) => names.entry(namespace).or_default().push(host),
            }
        }
        let port = entry.port.as_ref().map(|port| u16::try_from(port.number).unwrap_or(0)).filter(|port| *port != 0);
        Egress {
            port,
            hosts: names.into_iter().map(|(namespace, hosts)| (namespace, hosts.into_iter().collect())).collect(),
        }
    };
    sidecar.spec.egress.iter().map(read).collect()
}

impl Imports<'_, '_> {
    /// Whether a service is among them: its host lies below one that is imported from its namespace.
    pub(crate) fn service(&self, service: &MeshService) -> bool {
        self.any(service.namespace(), |hosts| hosts.covers(&service.host))
    }

    /// Whether the rules of a VirtualService are: one of its hosts overlaps one that is imported from its namespace. It then counts with
    /// all its hosts.
    fn rules(&self, virtual_service: &VirtualService) -> bool {
        let namespace = virtual_service.namespace();
        let full: Vec<_> = virtual_service.spec.hosts.iter().map(|host| full_host(host, namespace)).collect();
        let own: NameSet<'_> = full.iter().map(|host| &**host).collect();
        let overlap = |hosts: &NameSet<'_>| {
            own.iter().any(|name| hosts.covers(&name)) || hosts.iter().any(|name| own.covers(&name))
        };
        self.any(namespace, overlap)
    }

    fn any(&self, namespace: &str, is: impl Fn(&NameSet<'_>) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(hosts) => [namespace, "*"].iter().filter_map(|from| hosts.get(from)).any(is),
        }
    }
}
