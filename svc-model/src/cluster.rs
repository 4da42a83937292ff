//! Which objects are there? The objects as they are, indexed; each change says what it touched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use crate::api::{EndpointSlice, Endpoints, Pod, SERVICE_NAME_LABEL, Service, StringMap, selects};
use crate::endpoints::subset_addresses;
use crate::kind::{Kind, NamespacedName, Object, ObjectRef, Resource};
use crate::label_index::LabelIndex;
use crate::touched::{Change, ChangeKind, Touched, is_for_others};

/// The objects of a cluster, by kind, namespace and name, with the label look-ups that endpoints need.
///
/// Holds the objects as they were given (shared, so a clone is cheap in memory), valid or not. Everything that lists
/// does so by (namespace, name), whatever the order of the changes was.
///
/// Adding or removing an object costs O(log n) and the number of its labels. [`Cluster::apply`] and [`Cluster::remove`]
/// also work out whose answers a change touches, which for a Pod costs what [`Cluster::services_selecting`] does; to fill a
/// cluster, `extend` or `collect`, which do not. Finding the Pods of a selector costs the number of Pods that carry its
/// rarest label.
///
/// ```
/// use svc_model::api::Service;
/// use svc_model::{ChangeKind, Cluster};
///
/// let mut cluster = Cluster::new();
/// let mut service = Service::default();
/// service.metadata.name = "web".into();
/// let change = cluster.apply(service);
/// assert_eq!(change.kind, ChangeKind::Added);
/// assert_eq!(change.object.to_string(), "Service/default/web");
/// assert!(cluster.get::<Service>("default", "web").is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    objects: BTreeMap<Kind, BTreeMap<Box<str>, ByName>>,
    pods_by_label: LabelIndex,
    /// A Service stands under one pair of its selector; the labels of a Pod that it selects lead to it.
    services_by_selector: LabelIndex,
    /// Namespace, then Service, to the names of its slices.
    slices_by_service: HashMap<Box<str>, SlicesByService>,
    /// The Pods and Endpoints objects that name a node, and under the empty name the Pods that name none.
    by_node: HashMap<Box<str>, BTreeSet<(Kind, NamespacedName)>>,
    assumed: Assumed,
}

/// The objects of one kind in one namespace.
type ByName = BTreeMap<Box<str>, Arc<Object>>;

/// The names of the slices of each Service of one namespace.
type SlicesByService = HashMap<Box<str>, BTreeSet<Box<str>>>;

/// What is in the world only because something had to be assumed (see [`crate::complete`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Assumed {
    pods: BTreeSet<NamespacedName>,
    cluster_ips: BTreeMap<NamespacedName, BTreeSet<IpAddr>>,
    /// Health check node ports are among them.
    node_ports: BTreeMap<NamespacedName, BTreeSet<u16>>,
}

/// What putting an object in its place did.
enum Put {
    Unchanged,
    Added(Arc<Object>),
    Replaced { old: Arc<Object>, new: Arc<Object> },
}

impl Cluster {
    /// An empty cluster.
    pub fn new() -> Cluster {
        Cluster::default()
    }

    /// Adds an object, or replaces the one of its kind, namespace and name.
    pub fn apply(&mut self, object: impl Into<Object>) -> Change {
        let object = object.into();
        let reference = object.reference();
        let mut touched = Touched::default();
        let kind = match self.put(&reference, object) {
            Put::Unchanged => ChangeKind::Unchanged,
            Put::Added(new) => {
                self.touch(&new, &mut touched);
                ChangeKind::Added
            }
            Put::Replaced { old, new } => {
                // One that stands where it stood touches whom it touched.
                if !indexed_alike(&old, &new) {
                    self.touch(&old, &mut touched);
                }
                self.touch(&new, &mut touched);
                ChangeKind::Replaced
            }
        };
        Change { object: reference, kind, touched }
    }

    /// The same, for those who do not ask whose answers it touches.
    pub(crate) fn insert(&mut self, object: impl Into<Object>) {
        let object = object.into();
        let reference = object.reference();
        self.put(&reference, object);
    }

    /// Removes an object, if it is there.
    pub fn remove(&mut self, reference: &ObjectRef) -> Change {
        let mut touched = Touched::default();
        let kind = match self.take(reference) {
            Some(old) => {
                self.touch(&old, &mut touched);
                ChangeKind::Removed
            }
            None => ChangeKind::Unchanged,
        };
        Change { object: reference.clone(), kind, touched }
    }

    /// The object of a type, namespace and name; give an empty namespace for a kind that lives in none, and an empty
    /// name too for a configuration.
    pub fn get<T: Resource>(&self, namespace: &str, name: &str) -> Option<&T> {
        T::of(self.shared(T::KIND, namespace, name)?)
    }

    /// The object a reference names.
    pub fn object(&self, reference: &ObjectRef) -> Option<&Object> {
        self.shared(reference.kind, &reference.namespace, &reference.name).map(Arc::as_ref)
    }

    /// The objects of a type by (namespace, name).
    pub fn list<T: Resource>(&self) -> impl Iterator<Item = &T> {
        self.objects
            .get(&T::KIND)
            .into_iter()
            .flat_map(|by_namespace| by_namespace.values().flat_map(|names| typed(names)))
    }

    /// The objects of a type in one namespace, by name.
    pub fn list_in<T: Resource>(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.objects.get(&T::KIND).and_then(|by_namespace| by_namespace.get(namespace)).into_iter().flat_map(typed)
    }

    /// Every object, by (kind, namespace, name).
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    /// The namespaces that exist: those of [`Namespace`](crate::api::Namespace) objects, those that any object lives in,
    /// and the four that every cluster has; in order of name.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        let named = self.list::<crate::api::Namespace>().map(|namespace| namespace.name());
        let lived_in =
            self.objects.values().flat_map(BTreeMap::keys).map(|name| &**name).filter(|name| !name.is_empty());
        named.chain(lived_in).chain(BUILT_IN_NAMESPACES).collect()
    }

    /// The Pods of a namespace that carry every pair of a selector, by name. The empty selector selects none, as in a
    /// Service.
    pub fn pods_selected_by(&self, namespace: &str, selector: &StringMap) -> impl Iterator<Item = &Pod> {
        let rarest = self.pods_by_label.rarest(namespace, selector);
        rarest
            .into_iter()
            .flatten()
            .filter_map(move |name| self.get::<Pod>(namespace, name))
            .filter(move |pod| selects(selector, &pod.metadata.labels))
    }

    /// The Services of a namespace whose selector these labels meet, by name.
    ///
    /// Each Service stands under one pair of its selector, the rarest when it came; this costs the number of those that
    /// stand under one of the labels.
    pub fn services_selecting(&self, namespace: &str, labels: &StringMap) -> impl Iterator<Item = &Service> {
        let mut names: Vec<&str> = labels
            .iter()
            .flat_map(|(key, value)| self.services_by_selector.with(namespace, key, value))
            .map(|name| &**name)
            .collect();
        names.sort_unstable();
        names
            .into_iter()
            .filter_map(move |name| self.get::<Service>(namespace, name))
            .filter(move |service| selects(&service.spec.selector, labels))
    }

    /// The EndpointSlices of a Service, by name.
    pub fn slices_of(&self, namespace: &str, service: &str) -> impl Iterator<Item = &EndpointSlice> {
        let names = self.slices_by_service.get(namespace).and_then(|by_service| by_service.get(service));
        names.into_iter().flatten().filter_map(move |name| self.get::<EndpointSlice>(namespace, name))
    }

    /// The Pods bound to a node, by (namespace, name); the empty name stands for those bound to none.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &Pod> {
        self.on_node(node)
    }

    /// The objects of a type that name a node, by (namespace, name): Pods and Endpoints do.
    pub(crate) fn on_node<T: Resource>(&self, node: &str) -> impl Iterator<Item = &T> {
        let there = self.by_node.get(node).into_iter().flatten().filter(|(kind, _)| *kind == T::KIND);
        there.filter_map(|(_, key)| self.get::<T>(&key.namespace, &key.name))
    }

    /// An object as others may hold on to it.
    pub(crate) fn shared(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&kind)?.get(namespace)?.get(name)
    }

    /// Whether this Pod had to be assumed: derived from a workload's template, or written without any status and taken to
    /// run.
    pub fn is_assumed_pod(&self, pod: &NamespacedName) -> bool {
        self.assumed.pods.contains(pod)
    }

    /// Whether some of this Service's cluster IPs were allocated here rather than written.
    pub fn has_assumed_cluster_ips(&self, service: &NamespacedName) -> bool {
        self.assumed.cluster_ips.contains_key(service)
    }

    /// Whether this cluster IP of a Service was allocated here rather than written.
    pub fn is_assumed_cluster_ip(&self, service: &NamespacedName, ip: IpAddr) -> bool {
        self.assumed.cluster_ips.get(service).is_some_and(|ips| ips.contains(&ip))
    }

    /// Whether some of this Service's node ports, that of the health check among them, were allocated here rather than
    /// written.
    pub fn has_assumed_node_ports(&self, service: &NamespacedName) -> bool {
        self.assumed.node_ports.contains_key(service)
    }

    /// Whether this node port of a Service, or its health check's, was allocated here rather than written.
    pub fn is_assumed_node_port(&self, service: &NamespacedName, number: u16) -> bool {
        let numbers = self.assumed.node_ports.get(service);
        numbers.is_some_and(|numbers| numbers.contains(&number))
    }

    /// Puts a Pod as it is assumed to run.
    pub(crate) fn insert_assumed_pod(&mut self, pod: Pod) {
        let key = pod.key();
        self.insert(pod);
        self.assumed.pods.insert(key);
    }

    /// Puts a completed Service in the place of the one it was. What had been assumed of that one stays so.
    pub(crate) fn insert_completed_service(&mut self, service: Service, ips: Vec<IpAddr>, node_ports: Vec<u16>) {
        let key = service.key();
        let mut assumed_ips = self.assumed.cluster_ips.remove(&key).unwrap_or_default();
        let mut assumed_ports = self.assumed.node_ports.remove(&key).unwrap_or_default();
        assumed_ips.extend(ips);
        assumed_ports.extend(node_ports);
        self.insert(service);
        if !assumed_ips.is_empty() {
            self.assumed.cluster_ips.insert(key.clone(), assumed_ips);
        }
        if !assumed_ports.is_empty() {
            self.assumed.node_ports.insert(key, assumed_ports);
        }
    }

    /// Puts an object in its place.
    fn put(&mut self, reference: &ObjectRef, object: Object) -> Put {
        let by_namespace = self.objects.entry(reference.kind).or_default();
        let there = by_namespace.get_mut(&reference.namespace).and_then(|names| names.get_mut(&reference.name));
        if let Some(there) = there {
            if **there == object {
                return Put::Unchanged;
            }
            let new = Arc::new(object);
            let old = mem::replace(there, new.clone());
            self.forget_assumptions(&old);
            if !indexed_alike(&old, &new) {
                self.unindex(&old);
                self.index(&new);
            }
            return Put::Replaced { old, new };
        }
        let new = Arc::new(object);
        let names = by_namespace.entry(reference.namespace.clone()).or_default();
        names.insert(reference.name.clone(), new.clone());
        self.index(&new);
        Put::Added(new)
    }

    fn take(&mut self, reference: &ObjectRef) -> Option<Arc<Object>> {
        let by_namespace = self.objects.get_mut(&reference.kind)?;
        let names = by_namespace.get_mut(&reference.namespace)?;
        let old = names.remove(&reference.name)?;
        if names.is_empty() {
            by_namespace.remove(&reference.namespace);
        }
        self.forget_assumptions(&old);
        self.unindex(&old);
        Some(old)
    }

    fn index(&mut self, object: &Object) {
        match object {
            Object::Pod(pod) => {
                self.pods_by_label.insert(pod.namespace(), &pod.metadata.labels, pod.name());
                self.put_on_node(&pod.spec.node_name, Kind::Pod, pod.key());
            }
            Object::Endpoints(endpoints) => {
                for node in nodes_of(endpoints) {
                    self.put_on_node(node, Kind::Endpoints, endpoints.key());
                }
            }
            Object::Service(service) => {
                self.services_by_selector.insert_under_rarest(
                    service.namespace(),
                    &service.spec.selector,
                    service.name(),
                );
            }
            Object::EndpointSlice(slice) => {
                if let Some(service) = service_of(slice) {
                    let by_service = self.slices_by_service.entry(slice.namespace().into()).or_default();
                    by_service.entry(service.into()).or_default().insert(slice.name().into());
                }
            }
            _ => {}
        }
    }

    fn unindex(&mut self, object: &Object) {
        match object {
            Object::Pod(pod) => {
                self.pods_by_label.remove(pod.namespace(), &pod.metadata.labels, pod.name());
                self.take_off_node(&pod.spec.node_name, Kind::Pod, pod.key());
            }
            Object::Endpoints(endpoints) => {
                for node in nodes_of(endpoints) {
                    self.take_off_node(node, Kind::Endpoints, endpoints.key());
                }
            }
            Object::Service(service) => {
                self.services_by_selector.remove(service.namespace(), &service.spec.selector, service.name());
            }
            Object::EndpointSlice(slice) => {
                if let Some(service) = service_of(slice)
                    && let Some(by_service) = self.slices_by_service.get_mut(slice.namespace())
                    && let Some(names) = by_service.get_mut(service)
                {
                    names.remove(slice.name());
                    if names.is_empty() {
                        by_service.remove(service);
                    }
                    if by_service.is_empty() {
                        self.slices_by_service.remove(slice.namespace());
                    }
                }
            }
            _ => {}
        }
    }

    /// What was assumed of an object holds no longer when another takes its place.
    fn forget_assumptions(&mut self, object: &Object) {
        match object {
            Object::Pod(pod) if !self.assumed.pods.is_empty() => drop(self.assumed.pods.remove(&pod.key())),
            Object::Service(service) => {
                let key = service.key();
                self.assumed.cluster_ips.remove(&key);
                self.assumed.node_ports.remove(&key);
            }
            _ => {}
        }
    }

    fn put_on_node(&mut self, node: &str, kind: Kind, key: NamespacedName) {
        self.by_node.entry(node.into()).or_default().insert((kind, key));
    }

    fn take_off_node(&mut self, node: &str, kind: Kind, key: NamespacedName) {
        if let Some(there) = self.by_node.get_mut(node) {
            there.remove(&(kind, key));
            if there.is_empty() {
                self.by_node.remove(node);
            }
        }
    }

    /// Adds whose answers hang on `object`.
    fn touch(&self, object: &Object, touched: &mut Touched) {
        match object {
            Object::Service(service) => touched.service(service.key()),
            Object::EndpointSlice(slice) => {
                if let Some(service) = service_of(slice) {
                    touched.service(NamespacedName::new(slice.namespace(), service));
                }
            }
            Object::Endpoints(endpoints) => touched.service(endpoints.key()),
            Object::Pod(pod) => touched.pod(self, pod),
            Object::Node(node) => touched.node(self, node),
            Object::ServiceCidr(_) => {
                touched.all_services = true;
                touched.configuration = true;
            }
            Object::KubeProxyConfiguration(_) => touched.configuration = true,
            object if is_for_others(object) => drop(touched.objects.insert(object.reference())),
            _ => {}
        }
    }
}

const BUILT_IN_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Two clusters are equal when they hold equal objects; how they came by them does not matter.
impl PartialEq for Cluster {
    fn eq(&self, other: &Cluster) -> bool {
        self.assumed == other.assumed && self.objects().eq(other.objects())
    }
}

impl Eq for Cluster {}

/// Adds or replaces many objects without working out whose answers that touches.
impl<O: Into<Object>> Extend<O> for Cluster {
    fn extend<I: IntoIterator<Item = O>>(&mut self, objects: I) {
        objects.into_iter().for_each(|object| self.insert(object));
    }
}

impl<O: Into<Object>> FromIterator<O> for Cluster {
    fn from_iter<I: IntoIterator<Item = O>>(objects: I) -> Cluster {
        let mut cluster = Cluster::new();
        cluster.extend(objects);
        cluster
    }
}

fn typed<T: Resource>(names: &ByName) -> impl Iterator<Item = &T> {
    names.values().filter_map(|object| T::of(object))
}

/// The nodes that an Endpoints object names, each perhaps several times.
fn nodes_of(endpoints: &Endpoints) -> impl Iterator<Item = &str> {
    let addresses = endpoints.subsets.iter().flat_map(subset_addresses);
    addresses.filter_map(|(address, _)| address.node_name.as_deref())
}

/// The Service of a slice, which is in its namespace.
fn service_of(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.get(SERVICE_NAME_LABEL).map(String::as_str).filter(|name| !name.is_empty())
}

/// Whether an object and the one in its place stand at the same places of every index.
fn indexed_alike(old: &Object, new: &Object) -> bool {
    match (old, new) {
        (Object::Pod(old), Object::Pod(new)) => {
            old.metadata.labels == new.metadata.labels && old.spec.node_name == new.spec.node_name
        }
        (Object::Service(old), Object::Service(new)) => old.spec.selector == new.spec.selector,
        (Object::EndpointSlice(old), Object::EndpointSlice(new)) => service_of(old) == service_of(new),
        (Object::Endpoints(old), Object::Endpoints(new)) => nodes_of(old).eq(nodes_of(new)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_stands_under_the_rarest_pair_of_its_selector_only() {
        let mut cluster = Cluster::new();
        for i in 0..100 {
            let mut service = Service::default();
            service.metadata.name = format!("s{i}");
            service.spec.selector = [("app", "shared".to_owned()), ("part", i.to_string())]
                .map(|(key, value)| (key.to_owned(), value))
                .into();
            cluster.insert(service);
        }
        let index = &cluster.services_by_selector;
        // The first to come found both pairs unused.
        assert_eq!(index.with("default", "app", "shared").count(), 1);
        assert_eq!(index.with("default", "part", "7").count(), 1);
        for i in 0..100 {
            cluster.remove(&ObjectRef::new(Kind::Service, "default", format!("s{i}")));
        }
        assert!(cluster.services_by_selector.is_empty());
    }
}
