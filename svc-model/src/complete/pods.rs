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

/// The most Pods that workloads stand for in one world, save that each of them stands for one at least; `replicas` is a
/// stranger's number.
pub const MAX_ASSUMED_PODS: usize = 10_000;

/// The most Pods that one workload stands for. A DaemonSet's are not counted: their number is that of the Nodes, and each
/// node looks for its own.
const MAX_OF_A_WORKLOAD: u64 = 1_000;

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
            cluster.get::<Node>("", &pod.spec.node_name).map(|node| internal_ips(node).collect()).unwrap_or_default()
        } else {
            addresses.take(&pod)
        };
        run(&mut pod, &addrs);
        cluster.insert_assumed_pod(pod);
    }
    findings.extend(addresses.exhausted());
    findings
}

/// Whether a Pod is as people write it: nothing has ever reported on it.
fn is_unrun(pod: &Pod) -> bool {
    pod.status == Default::default() && pod.metadata.deletion_timestamp.is_none()
}

fn run(pod: &mut Pod, addrs: &[IpAddr]) {
    pod.status.phase = "Running".into();
    pod.status.conditions = vec![Condition { type_: "Ready".into(), status: "True".into() }];
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

impl Workload<'_> {
    /// How many Pods it asks for, and the field that says so.
    fn wanted(&self, nodes: usize) -> (u64, &'static str) {
        // A negative number is none.
        let count = |number: Option<i64>| u64::try_from(number.unwrap_or(1)).unwrap_or(0);
        match self.kind {
            Kind::DaemonSet => (nodes as u64, "spec"),
            Kind::Job => (count(self.spec.parallelism), "spec.parallelism"),
            Kind::CronJob => (count(self.spec.parallelism), "spec.jobTemplate.spec.parallelism"),
            _ => (count(self.spec.replicas), "spec.replicas"),
        }
    }

    /// How many of these it may have, were it alone.
    fn bounded(&self, wanted: u64) -> usize {
        let bounded = match self.kind {
            Kind::DaemonSet => wanted,
            _ => wanted.min(MAX_OF_A_WORKLOAD),
        };
        bounded as usize // the number of Nodes, or below a small constant
    }
}

/// The workloads by (namespace, name, kind), without those that another workload of the world owns.
fn workloads(cluster: &Cluster) -> Vec<Workload<'_>> {
    fn of<'a, T: Resource>(object: &'a T, spec: &'a WorkloadSpec) -> Workload<'a> {
        Workload { kind: T::KIND, metadata: object.metadata(), namespace: object.namespace(), spec }
    }
    let mut all: Vec<Workload<'_>> = Vec::new();
    all.extend(cluster.list::<Deployment>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<ReplicaSet>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<StatefulSet>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<DaemonSet>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<Job>().map(|object| of(object, &object.spec)));
    all.extend(cluster.list::<CronJob>().map(|object| of(object, &object.spec.job_template.spec)));
    all.retain(|workload| {
        !workload.metadata.owner_references.iter().any(|owner| {
            let kind: Option<Kind> = owner.kind.parse().ok();
            kind.filter(|kind| matches!(kind, Kind::Deployment | Kind::CronJob))
                .map(|kind| ObjectRef::new(kind, workload.namespace, owner.name.as_str()))
                .is_some_and(|owner| cluster.object(&owner).is_some())
        })
    });
    all.sort_by_key(|workload| (workload.namespace, &workload.metadata.name, workload.kind));
    all
}

fn derive(cluster: &Cluster, findings: &mut Vec<Finding>) -> Vec<Pod> {
    let nodes: Vec<&str> = cluster.list::<Node>().map(|node| node.name()).collect();
    let mut names: HashSet<NamespacedName> = cluster.list::<Pod>().map(Resource::key).collect();
    let mut workloads = workloads(cluster);
    workloads.retain(|workload| !has_pods(cluster, workload.namespace, &workload.spec.effective_selector()));
    let most: Vec<usize> = workloads.iter().map(|workload| workload.bounded(workload.wanted(nodes.len()).0)).collect();
    let mut derived: Vec<Pod> = Vec::new();
    for ((workload, most), given) in workloads.iter().zip(&most).zip(shares(&most)) {
        let (wanted, field) = workload.wanted(nodes.len());
        if (given as u64) < wanted {
            let reference = ObjectRef::new(workload.kind, workload.namespace, workload.metadata.name.as_str());
            let are = if given == 1 { "is" } else { "are" };
            let bound = if given < *most {
                format!("{MAX_ASSUMED_PODS} is the most for all workloads")
            } else {
                format!("{MAX_OF_A_WORKLOAD} is the most for one workload")
            };
            let message = format!("of {wanted} Pods {given} {are} assumed: {bound}");
            findings.push(Finding::warning(reference, field, message));
        }
        for i in 0..given {
            let node = match workload.spec.template.spec.node_name.as_str() {
                "" if nodes.is_empty() => "",
                "" => nodes[i % nodes.len()],
                node => node,
            };
            derived.push(pod(workload, i, node, &mut names));
        }
    }
    derived
}

/// Shares [`MAX_ASSUMED_PODS`] out: one to each who wants any, whatever comes of it, then round by round.
fn shares(wanted: &[usize]) -> Vec<usize> {
    let mut shares: Vec<usize> = wanted.iter().map(|wanted| *wanted.min(&1)).collect();
    let mut room = MAX_ASSUMED_PODS.saturating_sub(shares.iter().sum());
    let mut open: Vec<usize> = (0..wanted.len()).filter(|i| shares[*i] < wanted[*i]).collect();
    while room > 0 && !open.is_empty() {
        // As many whole rounds as there is room for; the last, incomplete one goes by order.
        let rounds = (room / open.len()).max(1);
        for &i in &open {
            let more = rounds.min(wanted[i] - shares[i]).min(room);
            shares[i] += more;
            room -= more;
        }
        open.retain(|i| shares[*i] < wanted[*i]);
    }
    shares
}

fn has_pods(cluster: &Cluster, namespace: &str, selector: &LabelSelector) -> bool {
    let matches = |pod: &Pod| selector.matches(&pod.metadata.labels);
    match (selector.match_labels.is_empty(), selector.match_expressions.is_empty()) {
        (true, true) => false,
        (true, false) => cluster.list_in::<Pod>(namespace).any(matches),
        (false, _) => cluster.pods_selected_by(namespace, &selector.match_labels).any(matches),
    }
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
    /// One for each distinct net: Nodes that name the same one take turns in it.
    ranges: Vec<PodRange>,
    /// Node to its places in `ranges`.
    by_node: HashMap<String, Vec<usize>>,
    elsewhere: Vec<usize>,
    taken: HashSet<IpAddr>,
}

struct PodRange {
    net: IpNet,
    free: Range,
    /// The first Pod that got no address of it, and how many they are.
    without: Option<(ObjectRef, usize)>,
}

impl PodAddresses {
    fn new(cluster: &Cluster) -> PodAddresses {
        let mut ranges = Vec::new();
        let mut by_net: HashMap<IpNet, usize> = HashMap::new();
        let mut place = |net: IpNet| {
            *by_net.entry(net).or_insert_with(|| {
                ranges.push(PodRange { net, free: Range::new(net), without: None });
                ranges.len() - 1
            })
        };
        let mut by_node = HashMap::new();
        let mut taken: HashSet<IpAddr> =
            cluster.list::<Pod>().flat_map(|pod| pod.written_ips()).filter_map(|ip| parse_ip(ip).ok()).collect();
        for node in cluster.list::<Node>() {
            taken.extend(node.status.addresses.iter().filter_map(|address| parse_ip(&address.address).ok()));
            let places: Vec<usize> = one_a_family(node.written_pod_cidrs()).map(&mut place).collect();
            if !places.is_empty() {
                by_node.insert(node.name().to_owned(), places);
            }
        }
        let configured = cluster.get::<KubeProxyConfiguration>("", "").map(|config| config.cluster_cidr.as_str());
        let mut elsewhere: Vec<usize> =
            one_a_family(configured.unwrap_or_default().split(',')).map(&mut place).collect();
        if elsewhere.is_empty() {
            elsewhere = one_a_family([DEFAULT_POD_RANGE].into_iter()).map(&mut place).collect();
        }
        PodAddresses { ranges, by_node, elsewhere, taken }
    }

    /// The addresses of a Pod, one of each family that has one left.
    fn take(&mut self, pod: &Pod) -> Vec<IpAddr> {
        let places = self.by_node.get(&pod.spec.node_name).unwrap_or(&self.elsewhere);
        let mut addrs = Vec::with_capacity(places.len());
        for &place in places {
            let range = &mut self.ranges[place];
            match range.free.take(&mut self.taken) {
                Some(addr) => addrs.push(addr),
                None => range.without.get_or_insert_with(|| (pod.reference(), 0)).1 += 1,
            }
        }
        addrs
    }

    /// One warning for each range that did not suffice, at the first Pod that it left without an address.
    fn exhausted(self) -> impl Iterator<Item = Finding> {
        self.ranges.into_iter().filter_map(|range| {
            let (pod, n) = range.without?;
            let all = match n {
                1 => "this Pod gets none of its addresses".to_owned(),
                _ => format!("this and {} more Pods get none of its addresses", n - 1),
            };
            let message = format!("the range of Pod addresses {} is exhausted: {all}", range.net);
            Some(Finding::warning(pod, "status.podIP", message))
        })
    }
}

fn one_a_family<'a>(cidrs: impl Iterator<Item = &'a str>) -> impl Iterator<Item = IpNet> {
    let mut nets: Vec<IpNet> = Vec::with_capacity(2);
    for net in cidrs.filter_map(|cidr| parse_cidr(cidr).ok()) {
        if nets.iter().all(|known| IpFamily::of_net(known) != IpFamily::of_net(&net)) {
            nets.push(net.trunc());
        }
    }
    nets.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_name_one_range_share_its_cursor() {
        let nodes = ["10.244.0.0/16", "10.244.7.0/16", "10.244.0.0/16", "10.245.0.0/16"];
        let nodes = nodes.into_iter().enumerate().map(|(i, cidr)| {
            let mut node = Node::default();
            node.metadata.name = format!("n{i}");
            node.spec.pod_cidr = cidr.into();
            node
        });
        // The default range is the first of them again.
        assert_eq!(PodAddresses::new(&nodes.collect()).ranges.len(), 2);
    }

    #[test]
    fn shares_are_those_of_dealing_one_by_one() {
        let dealt = |wanted: &[usize]| {
            let mut shares = vec![0; wanted.len()];
            let mut dealt = 0;
            loop {
                let before = dealt;
                for (share, wanted) in shares.iter_mut().zip(wanted) {
                    if *share < *wanted && (dealt < MAX_ASSUMED_PODS || *share == 0) {
                        *share += 1;
                        dealt += 1;
                    }
                }
                if dealt == before {
                    return shares;
                }
            }
        };
        for wanted in [
            vec![],
            vec![0, 3],
            vec![1_000; 3],
            vec![1_000; 13],
            (0..4_000).map(|i| i % 7).collect(),
            vec![2; MAX_ASSUMED_PODS - 3],
            vec![2; MAX_ASSUMED_PODS + 3],
        ] {
            assert_eq!(shares(&wanted), dealt(&wanted));
        }
    }
}
