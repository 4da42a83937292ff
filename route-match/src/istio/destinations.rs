//! What is at the end of a destination? The service, how it is called, and its endpoints, as one caller finds them.

use std::sync::Arc;

use svc_model::Cluster;
use svc_model::api::{MeshConfig, StringMap};

use super::destination::Destination;
use super::destination_rule::{Caller, DestinationRules, MergedRule};
use super::endpoints::{MeshEndpoint, mesh_endpoints};
use super::registry::{MeshService, Registry, SeenFrom};
use super::traffic_policy::{PolicyFault, TrafficPolicy};

/// The services of a mesh and the DestinationRules, as one caller finds them: a workload, or a gateway's proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destinations {
    pub(super) caller: Caller,
    pub(super) mesh: MeshConfig,
    pub(super) registry: Registry,
    pub(super) rules: DestinationRules,
}

impl Destinations {
    /// Reads the services and rules of a cluster. O(n log n).
    pub fn new(cluster: &Cluster, mesh: &MeshConfig, caller: &Caller) -> Self {
        Self {
            caller: caller.clone(),
            mesh: mesh.clone(),
            registry: Registry::new(cluster, mesh),
            rules: DestinationRules::new(cluster, mesh),
        }
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The services of the mesh, whoever sees them.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The DestinationRules of the mesh, whoever they are for.
    pub fn rules(&self) -> &DestinationRules {
        &self.rules
    }

    /// The services as the caller sees them.
    pub fn seen(&self) -> SeenFrom<'_> {
        SeenFrom { registry: &self.registry, namespace: &self.caller.namespace }
    }

    /// The service that a destination stands for.
    pub fn service(&self, destination: &Destination) -> Option<&Arc<MeshService>> {
        let source = destination.service.as_ref()?;
        let host = self.registry.resolved(&destination.host);
        let own = self.registry.services(host).iter().find(|service| service.source == *source);
        own.or_else(|| self.seen().service(host, &source.namespace))
    }

    /// The DestinationRule that holds for a destination, if any does.
    pub fn rule(&self, destination: &Destination) -> Option<&Arc<MergedRule>> {
        let service = self.service(destination)?;
        self.rules.find(&self.caller, &service.host, service.namespace())
    }

    /// How a destination is called.
    ///
    /// # Errors
    /// The first setting of its DestinationRule that cannot be meant.
    pub fn policy(&self, destination: &Destination) -> Result<TrafficPolicy, PolicyFault> {
        let rule = self.rule(destination);
        let written = rule.map(|rule| rule.policy_for(destination.subset.as_deref(), destination.port));
        TrafficPolicy::read(&written.unwrap_or_default(), &self.mesh)
    }

    /// The endpoints of a destination, those of its subset alone. A subset that no DestinationRule defines has none: Envoy answers 503.
    ///
    /// `cluster` is the one that this was made of; see [`mesh_endpoints`] for the costs.
    pub fn endpoints(&self, cluster: &Cluster, destination: &Destination) -> Vec<MeshEndpoint> {
        let none = StringMap::new();
        let labels = match &destination.subset {
            None => &none,
            Some(name) => match self.rule(destination).and_then(|rule| rule.subset(name)) {
                Some(subset) => &subset.labels,
                None => return Vec::new(),
            },
        };
        let service = self.service(destination);
        service.map(|service| mesh_endpoints(cluster, service, destination.port, labels)).unwrap_or_default()
    }
}
