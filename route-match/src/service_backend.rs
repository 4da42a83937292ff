//! Which Service port takes requests, and has it an endpoint that can?

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use svc_model::api::Service;
use svc_model::{Cluster, ObjectRef, Resource, endpoints};

/// A port of a Service. Proxies mostly send to the ready ones of its endpoints, not to the cluster IP: they are
/// [`svc_model::endpoints::of`] the Service, [`for_port`](svc_model::endpoints::ServiceEndpoints::for_port) that port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceBackend {
    /// The Service.
    pub service: ObjectRef,
    /// The number of its port (not the target port).
    pub port: u16,
}

impl fmt::Display for ServiceBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.service, self.port)
    }
}

/// Which Service ports have a ready endpoint. Many rules lead to one Service, whose endpoints are costly to find, so that
/// each is looked at once.
#[derive(Debug)]
pub(crate) struct ReadyPorts<'c> {
    cluster: &'c Cluster,
    known: RefCell<Known<'c>>,
}

/// By the namespace and name of a Service: the answer for each of its ports.
type Known<'c> = BTreeMap<(&'c str, &'c str), Box<[bool]>>;

impl<'c> ReadyPorts<'c> {
    pub(crate) fn new(cluster: &'c Cluster) -> Self {
        Self { cluster, known: RefCell::default() }
    }

    /// Whether the port of this index has a ready endpoint.
    pub(crate) fn is_ready(&self, service: &'c Service, port: usize) -> bool {
        let mut known = self.known.borrow_mut();
        let ports = known.entry((service.namespace(), service.name())).or_insert_with(|| {
            let found = endpoints::of(self.cluster, service);
            let ready = |port| found.for_port(port).any(|(endpoint, _)| endpoint.ready);
            service.spec.ports.iter().map(ready).collect()
        });
        ports[port]
    }
}
