//! What is known on one port while it is made? Its services, and the VirtualServices that the caller sees there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use svc_model::api::VirtualService;
use svc_model::{Cluster, NamespacedName};

use super::claims::Matches;
use super::{Bound, MeshTable};
use crate::host_table::HostTable;
use crate::istio::export::Precedence;
use crate::istio::matching::Listener;
use crate::istio::registry::{MeshService, Registry};
use crate::istio::rule::HttpRules;
use crate::istio::sidecar::SidecarScope;
use crate::istio::stream::StreamRule;

/// What is read of a cluster while ports are made.
pub(super) struct View<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) scope: &'c SidecarScope<'c>,
    /// The `http` rules that had to be compiled, by VirtualService and port.
    pub(super) compiled: RefCell<BTreeMap<(NamespacedName, u16), Matches>>,
    /// What the `tls` rules of these VirtualServices make of a port. Many services may have the same, by one wildcard.
    pub(super) server_names: RefCell<BTreeMap<(u16, Vec<NamespacedName>), ServerNames>>,
}

/// Rules by server name.
pub(super) type ServerNames = Arc<HostTable<Arc<StreamRule>>>;

/// Whether the service takes requests on this port.
pub(super) fn serves_http(service: &MeshService, number: u16) -> bool {
    service.port(number).is_some_and(|port| port.protocol.takes_http())
}

/// One port, while it is made.
#[derive(Clone, Copy)]
pub(super) struct Port<'p> {
    pub(super) number: u16,
    /// The services that the caller sees on it, by host.
    pub(super) services: &'p BTreeMap<Box<str>, Arc<MeshService>>,
    pub(super) table: &'p MeshTable,
    pub(super) view: &'p View<'p>,
    pub(super) listener: Listener<'p>,
}

impl<'p> Port<'p> {
    pub(super) fn registry(&self) -> &'p Registry {
        self.table.destinations.registry()
    }

    /// The namespace of the caller.
    pub(super) fn namespace(&self) -> &'p str {
        &self.table.destinations.caller().namespace
    }

    pub(super) fn serves_http(&self, service: &MeshService) -> bool {
        serves_http(service, self.number)
    }

    /// A VirtualService, if the caller's Sidecar lets it count on this port.
    fn bound(&self, key: &NamespacedName) -> Option<&'p Bound> {
        self.table.bound.get(key).filter(|bound| self.view.scope.counts(self.number, &bound.imported))
    }

    pub(super) fn precedence(&self, key: &NamespacedName) -> Option<&'p Precedence> {
        self.bound(key).map(|bound| &bound.precedence)
    }

    /// The hosts of a VirtualService that counts.
    pub(super) fn hosts_of(&self, key: &NamespacedName) -> Option<&'p [Box<str>]> {
        self.bound(key).map(|bound| &*bound.hosts)
    }

    /// Those who speak for a service; see [`Listing::speakers`](super::listing::Listing::speakers).
    pub(super) fn speakers(&self, host: &str) -> Option<(&'p str, Vec<&'p NamespacedName>)> {
        self.table.listing.speakers(host, |key| self.bound(key).is_some())
    }

    /// The VirtualServices with a host that overlaps this one, in order.
    pub(super) fn overlapping(&self, host: &str) -> Vec<&'p NamespacedName> {
        let mut found = self.table.listing.overlapping(host);
        found.retain(|key| self.bound(key).is_some());
        found
    }

    /// The VirtualService of this name.
    pub(super) fn object(&self, key: &NamespacedName) -> Option<&'p VirtualService> {
        self.view.cluster.get::<VirtualService>(&key.namespace, &key.name)
    }

    /// The `http` rules of a VirtualService on this port; empty where none is left.
    pub(super) fn matches(&self, key: &NamespacedName) -> Matches {
        let known = self.table.bound.get(key).and_then(|bound| bound.compiled.get(&self.number));
        if let Some(known) = known {
            return known.clone();
        }
        let mut compiled = self.view.compiled.borrow_mut();
        let slot = compiled.entry((key.clone(), self.number)).or_insert_with(|| {
            let object = self.object(key);
            let seen = self.table.destinations.seen();
            let compile = |object| HttpRules::of(self.view.cluster, object).compile(self.listener, &seen);
            object.map(compile).unwrap_or_default().into()
        });
        slot.clone()
    }
}
