//! The manifests as a cluster: read, completed, and compiled into the tables that answer, each when first needed.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use route_match::istio::MeshTable;
use svc_model::api::{
    CronJob, DaemonSet, Deployment, Job, Node, OwnerReference, Pod, ReplicaSet, Service, StatefulSet, StringMap,
    WorkloadSpec,
};
use svc_model::check::Finding;
use svc_model::{Cluster, Kind, NamespacedName, NodeSettings, NodeView, Object, ObjectRef, Resource, endpoints};
use tls_sni::gateway::GatewayTls;

use crate::read;
use crate::suggest::{did_you_mean, shorten};

/// Views that are kept ready.
const MAX_VIEWS: usize = 32;

/// The mesh as callers see it, by their namespaces and labels.
type MeshTables = BTreeMap<(Box<str>, StringMap), Rc<MeshTable>>;

/// Everything a question may be asked about.
#[derive(Debug)]
pub struct World {
    /// The objects, completed.
    pub cluster: Cluster,
    /// What completing them met with.
    pub completion: Vec<Finding>,
    origins: HashMap<ObjectRef, read::Origin>,
    node: Option<String>,
    views: RefCell<HashMap<String, Rc<NodeView>>>,
    pods_by_ip: OnceCell<HashMap<IpAddr, NamespacedName>>,
    pod_names: OnceCell<Vec<String>>,
    pub(crate) dns: OnceCell<crate::ask::Dns>,
    pub(crate) controllers: RefCell<HashMap<String, crate::ask::Controller>>,
    pub(crate) gateways: RefCell<HashMap<NamespacedName, Rc<GatewayTls>>>,
    pub(crate) istio_gateways: RefCell<HashMap<NamespacedName, Rc<crate::ask::istio::IstioProxy>>>,
    pub(crate) mesh_tables: RefCell<MeshTables>,
}

/// A question that cannot be answered, in words for the asker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// An [`Unusable`] from anything that can be said.
pub(crate) fn unusable(message: impl fmt::Display) -> Unusable {
    Unusable(message.to_string())
}

impl World {
    /// Completes what was read. `node` is the node whose view is taken when a question names none.
    pub fn new(read: read::World, node: Option<String>) -> World {
        let origins = read.objects.iter().map(|(object, origin)| (object.reference(), origin.clone())).collect();
        let mut world = World::from_objects(read.objects.into_iter().map(|(object, _)| object), node);
        world.origins = origins;
        world
    }

    /// Completes objects that come from no file.
    pub fn from_objects(objects: impl IntoIterator<Item = Object>, node: Option<String>) -> World {
        let mut cluster: Cluster = objects.into_iter().collect();
        let completion = svc_model::complete(&mut cluster);
        World {
            cluster,
            completion,
            origins: HashMap::new(),
            node,
            views: RefCell::default(),
            pods_by_ip: OnceCell::new(),
            pod_names: OnceCell::new(),
            dns: OnceCell::new(),
            controllers: RefCell::default(),
            gateways: RefCell::default(),
            istio_gateways: RefCell::default(),
            mesh_tables: RefCell::default(),
        }
    }

    /// Where an object stands in the manifests, for the end of a line: ` (file:line)`, or nothing.
    pub(crate) fn place_words(&self, object: &ObjectRef, field: &str) -> String {
        self.place(object, field).map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default()
    }

    /// What of a Service's answer had to be assumed, for the end of a reason; with its cluster IP, or only its Pods.
    pub(crate) fn assumed_words(&self, service: &Service, with_address: bool) -> &'static str {
        let address = with_address && self.cluster.has_assumed_cluster_ips(&service.key());
        let uses_pods = !with_address || service.spec.is_headless();
        let pods = uses_pods
            && endpoints::of(&self.cluster, service)
                .sets
                .iter()
                .any(|set| set.endpoints.iter().any(|endpoint| endpoint.assumed));
        match (address, pods) {
            (true, true) => " (assumed cluster IP and Pods)",
            (true, false) => " (assumed cluster IP)",
            (false, true) => " (assumed Pods)",
            (false, false) => "",
        }
    }

    /// Where an object stands in the manifests, if it does.
    pub fn place(&self, object: &ObjectRef, field: &str) -> Option<read::Place> {
        Some(self.origins.get(object)?.place(field))
    }

    /// The view of a node: the one named, else the one the program was started for, else the cluster's own choice.
    pub fn view(&self, node: Option<&str>) -> Result<Rc<NodeView>, Unusable> {
        let settings = NodeSettings::of(&self.cluster, node.or(self.node.as_deref())).map_err(|ambiguous| {
            unusable(format!("{ambiguous}; name one with --node, or with \"node\" in the question"))
        })?;
        let name = settings.node().to_owned();
        let known = self.views.borrow().get(&name).cloned();
        Ok(known.unwrap_or_else(|| {
            let view = Rc::new(NodeView::new(&self.cluster, settings));
            let mut views = self.views.borrow_mut();
            // Questions may name any node, so what is kept is bounded.
            if views.len() >= MAX_VIEWS {
                views.clear();
            }
            views.insert(name, view.clone());
            view
        }))
    }

    /// How many views are kept ready; bounded, whatever nodes are asked for.
    pub fn views_kept(&self) -> usize {
        self.views.borrow().len()
    }

    /// The node the program was started for.
    pub fn chosen_node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// The Pod that has an address of its own.
    pub fn pod_with_ip(&self, ip: IpAddr) -> Option<&Pod> {
        let index = self.pods_by_ip.get_or_init(|| {
            let on_pod_network = self.cluster.list::<Pod>().filter(|pod| !pod.spec.host_network && !pod.is_finished());
            let addrs = on_pod_network
                .flat_map(|pod| endpoints::pod_addrs(&self.cluster, pod).into_iter().map(|addr| (addr, pod.key())));
            addrs.collect()
        });
        let key = index.get(&ip)?;
        self.cluster.get(&key.namespace, &key.name)
    }

    /// The Node that has an address.
    pub fn node_with_ip(&self, ip: IpAddr) -> Option<&Node> {
        let has = |node: &&Node| node.status.addresses.iter().any(|a| svc_model::addr::parse_ip(&a.address) == Ok(ip));
        self.cluster.list::<Node>().find(has)
    }

    /// The Pod of a name, or the first Pod of the workload of that name. Written `NAME`, `NAMESPACE/NAME`,
    /// `KIND/NAME` or `KIND/NAMESPACE/NAME`, with kubectl's short words for the kind.
    pub fn pod(&self, text: &str, default_namespace: &str) -> Result<&Pod, Unusable> {
        let name = PodName::parse(text, default_namespace)?;
        let wants_pod = matches!(name.kind, None | Some("Pod"));
        if wants_pod && let Some(pod) = self.cluster.get::<Pod>(name.namespace, name.name) {
            return Ok(pod);
        }
        if let Some(pod) = self.workload_pods(&name).into_iter().next() {
            return Ok(pod);
        }
        let asked = NamespacedName::new(name.namespace, name.name).to_string();
        let known = self.pod_names.get_or_init(|| {
            let names: BTreeSet<String> = self.cluster.list::<Pod>().flat_map(pod_names).collect();
            names.into_iter().collect()
        });
        let others = known.iter().map(String::as_str).filter(|name| *name != asked);
        Err(unusable(format!("no Pod or workload {}{}", shorten(&asked), did_you_mean(&asked, others))))
    }

    /// The Service of a name: `NAME`, `NAME.NAMESPACE` or `NAMESPACE/NAME`.
    pub fn service(&self, text: &str, default_namespace: &str) -> Result<&Service, Unusable> {
        let (namespace, name) = match (text.split_once('/'), text.split_once('.')) {
            (Some(parts), _) => parts,
            // `cart.shop`, or more of the DNS name: `cart.shop.svc.cluster.local`.
            (None, Some((name, rest))) => (rest.split_once('.').map_or(rest, |(namespace, _)| namespace), name),
            (None, None) => (default_namespace, text),
        };
        self.cluster.get::<Service>(namespace, name).ok_or_else(|| {
            let asked = NamespacedName::new(namespace, name).to_string();
            let known: Vec<String> = self.cluster.list::<Service>().map(|service| service.key().to_string()).collect();
            unusable(format!("no Service {asked}{}", did_you_mean(&asked, known.iter().map(String::as_str))))
        })
    }

    /// The Pods of the workload of a name, the first first: those it owns, directly or through a ReplicaSet or Job; else, where
    /// Pods name no owner, those that its selector selects.
    fn workload_pods(&self, name: &PodName<'_>) -> Vec<&Pod> {
        let owned = |pod: &&Pod| pod.metadata.owner_references.iter().any(|owner| self.owns(name, owner));
        let mut pods: Vec<&Pod> = self.cluster.list_in::<Pod>(name.namespace).filter(owned).collect();
        if pods.is_empty()
            && let Some(spec) = self.workload_spec(name)
        {
            let selector = spec.effective_selector();
            let selected = |pod: &&Pod| {
                pod.metadata.owner_references.is_empty()
                    && !selector.is_empty()
                    && selector.matches(&pod.metadata.labels)
            };
            pods.extend(self.cluster.list_in::<Pod>(name.namespace).filter(selected));
        }
        // `db-2` before `db-10`.
        pods.sort_by_key(|pod| (pod.name().len(), pod.name()));
        pods
    }

    fn workload_spec(&self, name: &PodName<'_>) -> Option<&WorkloadSpec> {
        fn spec<'a, T: Resource>(
            cluster: &'a Cluster,
            name: &PodName<'_>,
            spec: fn(&T) -> &WorkloadSpec,
        ) -> Option<&'a WorkloadSpec> {
            let wanted = name.kind.is_none_or(|kind| kind == T::KIND.as_str());
            cluster.get::<T>(name.namespace, name.name).filter(|_| wanted).map(spec)
        }
        spec::<Deployment>(&self.cluster, name, |object| &object.spec)
            .or_else(|| spec::<StatefulSet>(&self.cluster, name, |object| &object.spec))
            .or_else(|| spec::<DaemonSet>(&self.cluster, name, |object| &object.spec))
            .or_else(|| spec::<ReplicaSet>(&self.cluster, name, |object| &object.spec))
            .or_else(|| spec::<Job>(&self.cluster, name, |object| &object.spec))
            .or_else(|| spec::<CronJob>(&self.cluster, name, |object| &object.spec.job_template.spec))
    }

    /// Whether a Pod's owner is the workload of this name, or a ReplicaSet or Job that it made. Those are often not among the
    /// manifests; their names are the maker's, a dash, and a suffix without one.
    fn owns(&self, name: &PodName<'_>, owner: &OwnerReference) -> bool {
        if owner.name == name.name && name.kind.is_none_or(|kind| kind == owner.kind) {
            return true;
        }
        let maker = match owner.kind.as_str() {
            "ReplicaSet" => Kind::Deployment,
            "Job" => Kind::CronJob,
            _ => return false,
        };
        if name.kind.is_some_and(|kind| kind != maker.as_str())
            || self.cluster.object(&ObjectRef::new(maker, name.namespace, name.name)).is_none()
        {
            return false;
        }
        let middle = match maker {
            Kind::Deployment => self.cluster.get::<ReplicaSet>(name.namespace, &owner.name).map(|set| &set.metadata),
            _ => self.cluster.get::<Job>(name.namespace, &owner.name).map(|job| &job.metadata),
        };
        match middle {
            Some(middle) => middle.owner_references.iter().any(|o| o.kind == maker.as_str() && o.name == name.name),
            None => {
                let suffix = owner.name.strip_prefix(name.name).and_then(|rest| rest.strip_prefix('-'));
                suffix.is_some_and(|suffix| !suffix.is_empty() && !suffix.contains('-'))
            }
        }
    }
}

/// How people may call a Pod: by its own name, or by its workload's.
fn pod_names(pod: &Pod) -> Vec<String> {
    let of = |name: &str| NamespacedName::new(pod.namespace(), name).to_string();
    let owners = pod.metadata.owner_references.iter().map(|owner| of(&owner.name));
    [of(pod.name())].into_iter().chain(owners).collect()
}

struct PodName<'a> {
    kind: Option<&'static str>,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> PodName<'a> {
    fn parse(text: &'a str, default_namespace: &'a str) -> Result<PodName<'a>, Unusable> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match *parts.as_slice() {
            [name] => (None, default_namespace, name),
            [first, name] => match kind_word(first) {
                Some(kind) => (Some(kind), default_namespace, name),
                None => (None, first, name),
            },
            [kind, namespace, name] if kind_word(kind).is_some() => (kind_word(kind), namespace, name),
            _ => return Err(unusable(format!("{text:?} is not of the form [KIND/][NAMESPACE/]NAME"))),
        };
        if name.is_empty() || namespace.is_empty() {
            return Err(unusable(format!("{text:?} is not of the form [KIND/][NAMESPACE/]NAME")));
        }
        Ok(PodName { kind, namespace, name })
    }
}

/// kubectl's words for the kinds that stand for Pods.
pub(crate) fn kind_word(word: &str) -> Option<&'static str> {
    // `deployment.apps`, as kubectl prints it.
    Some(match word.split('.').next().unwrap_or_default() {
        "po" | "pod" | "pods" | "Pod" => "Pod",
        "deploy" | "deployment" | "deployments" | "Deployment" => "Deployment",
        "sts" | "statefulset" | "statefulsets" | "StatefulSet" => "StatefulSet",
        "ds" | "daemonset" | "daemonsets" | "DaemonSet" => "DaemonSet",
        "rs" | "replicaset" | "replicasets" | "ReplicaSet" => "ReplicaSet",
        "job" | "jobs" | "Job" => "Job",
        "cj" | "cronjob" | "cronjobs" | "CronJob" => "CronJob",
        _ => return None,
    })
}
