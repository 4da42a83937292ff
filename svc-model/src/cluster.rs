//! Which objects are there? The objects as they are, indexed; each change says what it touched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::{EndpointSlice, Pod, SERVICE_NAME_LABEL, Service, StringMap, selects};
use crate::kind::{Kind, NamespacedName, Object, ObjectRef, Resource};

/// The objects of a cluster, by kind, namespace and name, with the label look-ups that endpoints need.
///
/// Holds the objects as they were given (shared, so a clone is cheap in memory), valid or not. Everything that lists
/// does so by (namespace, name), whatever the order of the changes was.
///
/// A change costs O(log n) for the object plus the number of its labels; finding the Pods of a selector costs the
/// number of Pods that carry its rarest label.
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
    /// A Service stands under each pair of its selector, a Pod's labels lead to it.
    services_by_selector: LabelIndex,
    /// Namespace and Service to the names of its slices.
    slices_by_service: HashMap<NamespacedName, BTreeSet<Box<str>>>,
    assumed: Assumed,
}

/// The objects of one kind in one namespace.
type ByName = BTreeMap<Box<str>, Arc<Object>>;

/// What is in the world only because something had to be assumed (see [`crate::complete`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assumed {
    pub(crate) pods: BTreeSet<NamespacedName>,
    pub(crate) cluster_ips: BTreeSet<NamespacedName>,
    pub(crate) node_ports: BTreeSet<NamespacedName>,
}

/// What [`Cluster::apply`] or [`Cluster::remove`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Which Services a change touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// These: the Service itself, and those whose endpoints may differ.
    Services(BTreeSet<NamespacedName>),
    /// Perhaps all: a Node or a configuration changed.
    Everything,
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
        if self.object(&reference).is_some_and(|old| *old == object) {
            return Change {
                object: reference,
                kind: ChangeKind::Unchanged,
                touched: Touched::none(),
            };
        }
        let mut touched = Touched::none();
        let old = self.take(&reference, &mut touched);
        self.index(&object);
        self.touch(&object, &mut touched);
        let kind = if old.is_some() {
            ChangeKind::Replaced
        } else {
            ChangeKind::Added
        };
        let names = self
            .objects
            .entry(reference.kind)
            .or_default()
            .entry(reference.namespace.clone())
            .or_default();
        names.insert(reference.name.clone(), Arc::new(object));
        Change {
            object: reference,
            kind,
            touched,
        }
    }

    /// Removes an object, if it is there.
    pub fn remove(&mut self, reference: &ObjectRef) -> Change {
        let mut touched = Touched::none();
        let kind = match self.take(reference, &mut touched) {
            Some(_) => ChangeKind::Removed,
            None => ChangeKind::Unchanged,
        };
        Change {
            object: reference.clone(),
            kind,
            touched,
        }
    }

    /// The object of a type, namespace and name; give an empty namespace for a kind that lives in none, and an empty
    /// name too for a configuration.
    pub fn get<T: Resource>(&self, namespace: &str, name: &str) -> Option<&T> {
        T::of(self.objects.get(&T::KIND)?.get(namespace)?.get(name)?)
    }

    /// The object a reference names.
    pub fn object(&self, reference: &ObjectRef) -> Option<&Object> {
        Some(
            self.objects
                .get(&reference.kind)?
                .get(&reference.namespace)?
                .get(&reference.name)?,
        )
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
        self.objects
            .get(&T::KIND)
            .and_then(|by_namespace| by_namespace.get(namespace))
            .into_iter()
            .flat_map(typed)
    }

    /// Every object, by (kind, namespace, name).
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(BTreeMap::values)
            .map(Arc::as_ref)
    }

    /// The namespaces that exist: those of [`Namespace`](crate::api::Namespace) objects, those that any object lives in,
    /// and the four that every cluster has; in order of name.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        let named = self.list::<crate::api::Namespace>().map(|namespace| namespace.name());
        let lived_in = self
            .objects
            .values()
            .flat_map(BTreeMap::keys)
            .map(|name| &**name)
            .filter(|name| !name.is_empty());
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
    pub fn services_selecting(&self, namespace: &str, labels: &StringMap) -> impl Iterator<Item = &Service> {
        let names: BTreeSet<&str> = labels
            .iter()
            .flat_map(|(key, value)| self.services_by_selector.with(namespace, key, value))
            .map(|name| &**name)
            .collect();
        names
            .into_iter()
            .filter_map(move |name| self.get::<Service>(namespace, name))
            .filter(move |service| selects(&service.spec.selector, labels))
    }

    /// The EndpointSlices of a Service, by name.
    pub fn slices_of(&self, namespace: &str, service: &str) -> impl Iterator<Item = &EndpointSlice> {
        let names = self.slices_by_service.get(&NamespacedName::new(namespace, service));
        names
            .into_iter()
            .flatten()
            .filter_map(move |name| self.get::<EndpointSlice>(namespace, name))
    }

    /// Whether this Pod was derived from a workload's template.
    pub fn is_assumed_pod(&self, pod: &NamespacedName) -> bool {
        self.assumed.pods.contains(pod)
    }

    /// Whether this Service's cluster IPs were allocated here rather than written.
    pub fn has_assumed_cluster_ips(&self, service: &NamespacedName) -> bool {
        self.assumed.cluster_ips.contains(service)
    }

    /// Whether some of this Service's node ports were allocated here rather than written.
    pub fn has_assumed_node_ports(&self, service: &NamespacedName) -> bool {
        self.assumed.node_ports.contains(service)
    }

    pub(crate) fn assumed_mut(&mut self) -> &mut Assumed {
        &mut self.assumed
    }

    fn take(&mut self, reference: &ObjectRef, touched: &mut Touched) -> Option<Arc<Object>> {
        let by_namespace = self.objects.get_mut(&reference.kind)?;
        let names = by_namespace.get_mut(&reference.namespace)?;
        let old = names.remove(&reference.name)?;
        if names.is_empty() {
            by_namespace.remove(&reference.namespace);
        }
        self.touch(&old, touched);
        self.unindex(&old);
        Some(old)
    }

    fn index(&mut self, object: &Object) {
        match object {
            Object::Pod(pod) => self
                .pods_by_label
                .insert(pod.namespace(), &pod.metadata.labels, pod.name()),
            Object::Service(service) => {
                self.services_by_selector
                    .insert(service.namespace(), &service.spec.selector, service.name());
            }
            Object::EndpointSlice(slice) => {
                if let Some(service) = service_of(slice) {
                    self.slices_by_service
                        .entry(service)
                        .or_default()
                        .insert(slice.name().into());
                }
            }
            _ => {}
        }
    }

    fn unindex(&mut self, object: &Object) {
        match object {
            Object::Pod(pod) => {
                self.pods_by_label
                    .remove(pod.namespace(), &pod.metadata.labels, pod.name());
                self.assumed.pods.remove(&pod.key());
            }
            Object::Service(service) => {
                self.services_by_selector
                    .remove(service.namespace(), &service.spec.selector, service.name());
                self.assumed.cluster_ips.remove(&service.key());
                self.assumed.node_ports.remove(&service.key());
            }
            Object::EndpointSlice(slice) => {
                if let Some(service) = service_of(slice)
                    && let Some(names) = self.slices_by_service.get_mut(&service)
                {
                    names.remove(slice.name());
                    if names.is_empty() {
                        self.slices_by_service.remove(&service);
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds the Services whose answers hang on `object`.
    fn touch(&self, object: &Object, touched: &mut Touched) {
        match object {
            Object::Service(service) => touched.add(service.key()),
            Object::EndpointSlice(slice) => service_of(slice).into_iter().for_each(|service| touched.add(service)),
            Object::Endpoints(endpoints) => touched.add(endpoints.key()),
            Object::Pod(pod) => {
                let services: Vec<_> = self
                    .services_selecting(pod.namespace(), &pod.metadata.labels)
                    .map(Resource::key)
                    .collect();
                services.into_iter().for_each(|service| touched.add(service));
            }
            Object::Node(_) | Object::KubeProxyConfiguration(_) | Object::ServiceCidr(_) => {
                *touched = Touched::Everything
            }
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

impl<O: Into<Object>> Extend<O> for Cluster {
    fn extend<I: IntoIterator<Item = O>>(&mut self, objects: I) {
        objects.into_iter().for_each(|object| drop(self.apply(object)));
    }
}

impl<O: Into<Object>> FromIterator<O> for Cluster {
    fn from_iter<I: IntoIterator<Item = O>>(objects: I) -> Cluster {
        let mut cluster = Cluster::new();
        cluster.extend(objects);
        cluster
    }
}

impl Touched {
    fn none() -> Touched {
        Touched::Services(BTreeSet::new())
    }

    fn add(&mut self, service: NamespacedName) {
        if let Touched::Services(services) = self {
            services.insert(service);
        }
    }
}

fn typed<T: Resource>(names: &ByName) -> impl Iterator<Item = &T> {
    names.values().filter_map(|object| T::of(object))
}

fn service_of(slice: &EndpointSlice) -> Option<NamespacedName> {
    let service = slice
        .metadata
        .labels
        .get(SERVICE_NAME_LABEL)
        .filter(|name| !name.is_empty())?;
    Some(NamespacedName::new(slice.namespace(), service.as_str()))
}

/// Names by namespace, then label key, then label value.
#[derive(Clone, Debug, Default)]
struct LabelIndex(HashMap<Box<str>, HashMap<Box<str>, ByValue>>);

/// The names that carry each value of one label.
type ByValue = HashMap<Box<str>, BTreeSet<Box<str>>>;

impl LabelIndex {
    fn insert(&mut self, namespace: &str, labels: &StringMap, name: &str) {
        for (key, value) in labels {
            let values = self
                .0
                .entry(namespace.into())
                .or_default()
                .entry(key.as_str().into())
                .or_default();
            values.entry(value.as_str().into()).or_default().insert(name.into());
        }
    }

    fn remove(&mut self, namespace: &str, labels: &StringMap, name: &str) {
        let Some(keys) = self.0.get_mut(namespace) else { return };
        for (key, value) in labels {
            if let Some(values) = keys.get_mut(key.as_str())
                && let Some(names) = values.get_mut(value.as_str())
            {
                names.remove(name);
                if names.is_empty() {
                    values.remove(value.as_str());
                    if values.is_empty() {
                        keys.remove(key.as_str());
                    }
                }
            }
        }
        if keys.is_empty() {
            self.0.remove(namespace);
        }
    }

    fn with(&self, namespace: &str, key: &str, value: &str) -> impl Iterator<Item = &Box<str>> {
        self.0
            .get(namespace)
            .and_then(|keys| keys.get(key)?.get(value))
            .into_iter()
            .flatten()
    }

    /// The names under the pair of the selector that fewest carry; `None` when some pair is carried by none.
    fn rarest(&self, namespace: &str, selector: &StringMap) -> Option<&BTreeSet<Box<str>>> {
        let keys = self.0.get(namespace)?;
        let mut rarest: Option<&BTreeSet<Box<str>>> = None;
        for (key, value) in selector {
            let names = keys.get(key.as_str())?.get(value.as_str())?;
            if rarest.is_none_or(|rarest| names.len() < rarest.len()) {
                rarest = Some(names);
            }
        }
        rarest
    }
}
