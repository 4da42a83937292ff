//! Whose answers may differ now? What a change to the objects touches.

use std::collections::BTreeSet;

use crate::api::{Endpoints, Node, Pod, Service};
use crate::cluster::Cluster;
use crate::endpoints;
use crate::kind::{Kind, NamespacedName, Object, ObjectRef, Resource};

/// What [`Cluster::apply`] or [`Cluster::remove`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Whose answers may differ now.
    pub touched: Touched,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It was there, and differed.
    Replaced,
    /// It is gone.
    Removed,
    /// Nothing: it was there and equal, or was to be removed and not there.
    Unchanged,
}

/// Whose answers changes may have altered: a bound from above, never too small.
///
/// Collect it over as many changes as you like with [`extend`](Self::extend), then hand it to
/// [`NodeView::update`](crate::NodeView::update), which costs what is in here.
///
/// ```
/// use svc_model::api::Service;
/// use svc_model::{Cluster, Touched};
///
/// let mut cluster = Cluster::new();
/// let mut touched = Touched::default();
/// for name in ["cart", "search"] {
///     let mut service = Service::default();
///     service.metadata.name = name.into();
///     touched.extend(cluster.apply(service).touched);
/// }
/// assert_eq!(touched.services.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Touched {
    /// Services that may differ themselves, or whose endpoints may.
    pub services: BTreeSet<NamespacedName>,
    /// Every Service may differ: the ServiceCIDRs, which tell a cluster's IP families, changed.
    pub all_services: bool,
    /// Pods that may differ; what they open on their node is theirs alone.
    pub pods: BTreeSet<NamespacedName>,
    /// Nodes that may differ.
    pub nodes: BTreeSet<Box<str>>,
    /// The configuration of all nodes may differ: kube-proxy's, the kubelet's, or what the ranges of the cluster are.
    pub configuration: bool,
    /// Namespaces that may have come to exist or ceased to: the first object of a kind came to live there, or the last left.
    pub namespaces: BTreeSet<Box<str>>,
    /// Objects that no view looks at, and others do: what routes and certificates are made of, the workloads whose arguments are
    /// a controller's flags, and Namespaces.
    pub objects: BTreeSet<ObjectRef>,
}

impl Touched {
    /// All that is in a cluster: what a view that knows nothing has to look at.
    pub fn everything(cluster: &Cluster) -> Touched {
        Touched {
            services: cluster.list::<Service>().map(Resource::key).collect(),
            all_services: true,
            pods: cluster.list::<Pod>().map(Resource::key).collect(),
            nodes: cluster.list::<Node>().map(|node| node.name().into()).collect(),
            configuration: true,
            namespaces: cluster.namespaces().into_iter().map(Into::into).collect(),
            objects: cluster.objects().filter(|object| is_for_others(object)).map(Object::reference).collect(),
        }
    }

    /// Whether nothing is touched.
    pub fn is_empty(&self) -> bool {
        let Touched { services, all_services, pods, nodes, configuration, namespaces, objects } = self;
        let nothing_else = nodes.is_empty() && namespaces.is_empty() && objects.is_empty();
        services.is_empty() && !all_services && pods.is_empty() && !configuration && nothing_else
    }

    /// Adds what another change touched.
    pub fn extend(&mut self, other: Touched) {
        self.services.extend(other.services);
        self.all_services |= other.all_services;
        self.pods.extend(other.pods);
        self.nodes.extend(other.nodes);
        self.configuration |= other.configuration;
        self.namespaces.extend(other.namespaces);
        self.objects.extend(other.objects);
    }

    pub(crate) fn namespace(&mut self, name: &str) {
        if !name.is_empty() {
            self.namespaces.insert(name.into());
        }
    }

    pub(crate) fn service(&mut self, service: NamespacedName) {
        self.services.insert(service);
    }

    /// A Pod, and the Services that select it.
    pub(crate) fn pod(&mut self, cluster: &Cluster, pod: &Pod) {
        self.selecting(cluster, pod);
        self.pods.insert(pod.key());
    }

    /// A Node, and the Services with an endpoint on it, whose zone or address may be the Node's.
    pub(crate) fn node(&mut self, cluster: &Cluster, node: &Node) {
        for pod in cluster.on_node::<Pod>(node.name()) {
            self.selecting(cluster, pod);
        }
        self.services.extend(cluster.on_node::<Endpoints>(node.name()).map(Resource::key));
        self.nodes.insert(node.name().into());
    }

    fn selecting(&mut self, cluster: &Cluster, pod: &Pod) {
        let selecting = cluster.services_selecting(pod.namespace(), &pod.metadata.labels);
        // Where somebody has made endpoints of the Pods already, those count and not the Pods.
        let by_pods = selecting.filter(|service| endpoints::source(cluster, service) == endpoints::Source::Pods);
        self.services.extend(by_pods.map(Resource::key));
    }
}

/// Whether routes or certificates may be made of an object, or depend on the arguments of a program that it runs.
pub(crate) fn is_for_others(object: &Object) -> bool {
    match object.kind() {
        Kind::BackendTlsPolicy
        | Kind::ConfigMap
        | Kind::DaemonSet
        | Kind::Deployment
        | Kind::DestinationRule
        | Kind::Gateway
        | Kind::GatewayClass
        | Kind::GrpcRoute
        | Kind::HttpRoute
        | Kind::Ingress
        | Kind::IngressClass
        | Kind::IstioGateway
        | Kind::ListenerSet
        | Kind::Namespace
        | Kind::ReferenceGrant
        | Kind::ReplicaSet
        | Kind::Secret
        | Kind::ServiceEntry
        | Kind::Sidecar
        | Kind::StatefulSet
        | Kind::TcpRoute
        | Kind::TlsRoute
        | Kind::UdpRoute
        | Kind::VirtualService
        | Kind::WorkloadEntry
        | Kind::WorkloadGroup => true,
        Kind::CronJob
        | Kind::EndpointSlice
        | Kind::Endpoints
        | Kind::Job
        | Kind::KubeProxyConfiguration
        | Kind::KubeletConfiguration
        | Kind::Node
        | Kind::Pod
        | Kind::Service
        | Kind::ServiceCidr => false,
    }
}
