//! Which Pods would there be? Those of workloads without Pods, and addresses for Pods that nobody has run.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::Range;
use crate::addr::{IpFamily, parse_cidr, parse_ip};
use crate::api::{
    Condition, CronJob, DaemonSet, Deployment, Job, KubeProxyConfiguration, LabelSelector, Node, ObjectMeta,
    OwnerReference, Pod, PodIp, ReplicaSet, StatefulSet, WorkloadSpec,
};
use crate::check::Finding;
use crate::cluster::Cluster;
use crate::endpoints::internal_ips;
use crate::kind::{Kind, NamespacedName, ObjectRef, Resource};

/// The most Pods that are assumed for one world; `replicas` is a stranger's number.
pub const MAX_ASSUMED_PODS: usize = 20_000;

/// The range of Pod addresses when neither a Node nor a KubeProxyConfiguration names one.
const DEFAULT_POD_RANGE: &str = "10.244.0.0/16";

pub(super) fn complete(cluster: &mut Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut derived = derive(cluster, &mut findings);
    let unrun: Vec<Pod> = cluster.list::<Pod>().filter(|pod| is_unrun(pod)).cloned().collect();
    derived.extend(unrun);
    let mut addresses = PodAddresses::new(cluster);
    for mut pod in derived {
        let addrs = if pod.spec.host_network {
            cluster
                .get::<Node>("", &pod.spec.node_name)
                .map(|node| internal_ips(node).collect())
                .unwrap_or_default()
        } else {
            addresses.take(&pod.spec.node_name)
        };
        if addrs.is_empty() && !pod.spec.host_network {
            findings.push(Finding::warning(
                pod.reference(),
                "status.podIP",
                "the range of Pod addresses is exhausted, so none is assumed",
            ));
        }
        run(&mut pod, &addrs);
        let key = pod.key();
        cluster.apply(pod);
        cluster.assumed_mut().pods.insert(key);
    }
    findings
}

/// Whether a Pod is as people write it: nothing has ever reported on it.
fn is_unrun(pod: &Pod) -> bool {
    pod.status == Default::default() && pod.metadata.deletion_timestamp.is_none()
}

fn run(pod: &mut Pod, addrs: &[IpAddr]) {
    pod.status.phase = "Running".into();
    pod.status.conditions = vec![Condition {
        type_: "Ready".into(),
        status: "True".into(),
    }];
    pod.status.pod_ips = addrs.iter().map(|addr| PodIp { ip: addr.to_string() }).collect();
    pod.status.pod_ip = addrs.first().map(ToString::to_string).unwrap_or_default();
}

/// A workload of any kind.
struct Workload<'a> {
    kind: Kind,
    metadata: &'a ObjectMeta,
    namespace: &'a str,
    spec: &'a WorkloadSpec,
}

/// The workloads by (namespace, name, kind), without those that another workload of the world owns.
fn workloads(cluster: &Cluster) -> Vec<Workload<'_>> {
    fn of<'a, T: Resource>(object: &'a T, spec: &'a WorkloadSpec) -> Workload<'a> {
        Workload {
            kind: T::KIND,
            metadata: object.metadata(),
            namespace: object.namespace(),
            spec,
        }
    }
    let mut all: Vec<Workload<'_>> = Vec::new();
    all.extend(cluster.list::<Deployment>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<ReplicaSet>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<StatefulSet>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<DaemonSet>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<Job>().map(|object| of(object, &object.spec)));
    all.extend(
        cluster
            .list::<CronJob>()
            .map(|object| of(object, &object.spec.job_template.spec)),
    );
    all.retain(|workload| {
        !workload.metadata.owner_references.iter().any(|owner| {
            let owner_kind = owner.kind.parse().unwrap_or(Kind::Service);
            matches!(owner_kind, Kind::Deployment | Kind::CronJob)
                && cluster
                    .object(&ObjectRef::new(owner_kind, workload.namespace, owner.name.as_str()))
                    .is_some()
        })
    });
    all.sort_by_key(|workload| (workload.namespace, &workload.metadata.name, workload.kind));
    all
}

fn derive(cluster: &Cluster, findings: &mut Vec<Finding>) -> Vec<Pod> {
    let nodes: Vec<&str> = cluster.list::<Node>().map(|node| node.name()).collect();
    let mut names: HashSet<NamespacedName> = cluster.list::<Pod>().map(Resource::key).collect();
    let mut derived: Vec<Pod> = Vec::new();
    for workload in workloads(cluster) {
        let template_labels = &workload.spec.template.metadata.labels;
        let by_template = LabelSelector {
            match_labels: template_labels.clone(),
            ..Default::default()
        };
        let selector = workload
            .spec
            .selector
            .as_ref()
            .filter(|selector| !selector.is_empty())
            .unwrap_or(&by_template);
        if has_pods(cluster, workload.namespace, selector) {
            continue;
        }
        let wanted = match workload.kind {
            Kind::DaemonSet => nodes.len(),
            Kind::Job | Kind::CronJob => count(workload.spec.parallelism),
            _ => count(workload.spec.replicas),
        };
        let room = MAX_ASSUMED_PODS - derived.len();
        if wanted > room {
            let reference = ObjectRef::new(workload.kind, workload.namespace, workload.metadata.name.as_str());
            let message = format!("{wanted} Pods are more than are assumed ({MAX_ASSUMED_PODS} in all): {room} are");
            findings.push(Finding::warning(reference, "spec.replicas", message));
        }
        for i in 0..wanted.min(room) {
            let node = match workload.spec.template.spec.node_name.as_str() {
                "" if nodes.is_empty() => "",
                "" => nodes[i % nodes.len()],
                node => node,
            };
            let pod = pod(&workload, i, node, &mut names);
            derived.push(pod);
        }
    }
    derived
}

fn has_pods(cluster: &Cluster, namespace: &str, selector: &LabelSelector) -> bool {
    let matches = |pod: &Pod| selector.matches(&pod.metadata.labels);
    match (selector.match_labels.is_empty(), selector.match_expressions.is_empty()) {
        (true, true) => false,
        (true, false) => cluster.list_in::<Pod>(namespace).any(matches),
        (false, _) => cluster.pods_selected_by(namespace, &selector.match_labels).any(matches),
    }
}

fn count(replicas: Option<i64>) -> usize {
    usize::try_from(replicas.unwrap_or(1)).unwrap_or(0)
}

fn pod(workload: &Workload<'_>, i: usize, node: &str, names: &mut HashSet<NamespacedName>) -> Pod {
    let owner = &workload.metadata.name;
    let kind = workload.kind.as_str().to_ascii_lowercase();
    let mut name = match workload.kind {
        Kind::StatefulSet => format!("{owner}-{i}"),
        Kind::DaemonSet => format!("{owner}-{kind}-{node}"),
        _ => format!("{owner}-{kind}-{i}"),
    };
    while !names.insert(NamespacedName::new(workload.namespace, name.as_str())) {
        name.push_str("-x");
    }
    let template = &workload.spec.template;
    let mut spec = template.spec.clone();
    spec.node_name = node.to_owned();
    if workload.kind == Kind::StatefulSet {
        spec.hostname = name.clone();
        spec.subdomain = workload.spec.service_name.clone();
    }
    Pod {
        metadata: ObjectMeta {
            name,
            namespace: workload.namespace.to_owned(),
            labels: template.metadata.labels.clone(),
            annotations: template.metadata.annotations.clone(),
            owner_references: vec![OwnerReference {
                kind: workload.kind.to_string(),
                name: owner.clone(),
                ..Default::default()
            }],
            ..Default::default()
        },
        spec,
        ..Default::default()
    }
}

/// Hands out Pod addresses: from the Node's ranges, else the cluster's, else the default one.
struct PodAddresses {
    by_node: HashMap<String, Vec<Range>>,
    elsewhere: Vec<Range>,
    taken: HashSet<IpAddr>,
}

impl PodAddresses {
    fn new(cluster: &Cluster) -> PodAddresses {
        let mut by_node = HashMap::new();
        let mut taken: HashSet<IpAddr> = cluster
            .list::<Pod>()
            .flat_map(|pod| pod.written_ips())
            .filter_map(|ip| parse_ip(ip).ok())
            .collect();
        for node in cluster.list::<Node>() {
            taken.extend(
                node.status
                    .addresses
                    .iter()
                    .filter_map(|address| parse_ip(&address.address).ok()),
            );
            let ranges = one_a_family(node.written_pod_cidrs());
            if !ranges.is_empty() {
                by_node.insert(node.name().to_owned(), ranges);
            }
        }
        let configured = cluster
            .get::<KubeProxyConfiguration>("", "")
            .map(|config| config.cluster_cidr.as_str());
        let mut elsewhere = one_a_family(configured.unwrap_or_default().split(','));
        if elsewhere.is_empty() {
            elsewhere = one_a_family([DEFAULT_POD_RANGE].into_iter());
        }
        PodAddresses {
            by_node,
            elsewhere,
            taken,
        }
    }

    fn take(&mut self, node: &str) -> Vec<IpAddr> {
        let ranges = self.by_node.get_mut(node).unwrap_or(&mut self.elsewhere);
        ranges
            .iter_mut()
            .filter_map(|range| range.take(&mut self.taken))
            .collect()
    }
}

fn one_a_family<'a>(cidrs: impl Iterator<Item = &'a str>) -> Vec<Range> {
    let mut nets: Vec<IpNet> = Vec::with_capacity(2);
    for net in cidrs.filter_map(|cidr| parse_cidr(cidr).ok()) {
        if nets
            .iter()
            .all(|known| IpFamily::of_net(known) != IpFamily::of_net(&net))
        {
            nets.push(net);
        }
    }
    nets.into_iter().map(Range::new).collect()
}
