//! What do manifests leave open? Pods, addresses and node ports that a cluster would have filled in.
//!
//! A repository holds what people wrote, not what the API server and the controllers add. [`complete`] adds it, the same
//! way every time, and the [`Cluster`] remembers what was assumed, so that an answer can say so:
//! [`Cluster::is_assumed_pod`], [`Cluster::is_assumed_cluster_ip`], [`Cluster::is_assumed_node_port`].

mod addresses;
mod allocate;
mod pods;

use crate::check::Finding;
use crate::cluster::Cluster;

/// Adds the Pods of workloads, the addresses of Pods that nobody has run, and cluster IPs and node ports. What could not
/// be added is reported: a range that is exhausted, a family without a range.
///
/// A derived Pod carries the labels of its template and names its workload in `ownerReferences` (kind and name), which is
/// how to find the Pods of a workload: the template of a Job seldom has labels.
///
/// Whatever `replicas` says, at most [`MAX_ASSUMED_PODS`] Pods are added, shared out fairly: each workload has one at
/// least, then they get more by turns, up to 1,000 each (a DaemonSet: one a Node). A warning names a workload that stands for
/// fewer Pods than it wants. The cost is O(objects + added Pods) and, for each workload, the number of Pods that carry the
/// rarest label of its selector; each added Pod is a copy of its template.
///
/// ```
/// use svc_model::api::{Deployment, Pod};
/// use svc_model::{Cluster, Resource, complete};
///
/// let mut web = Deployment::default();
/// web.metadata.name = "web".into();
/// web.spec.replicas = Some(2);
/// web.spec.template.metadata.labels.insert("app".into(), "web".into());
/// let mut cluster = Cluster::from_iter([web]);
/// assert_eq!(complete(&mut cluster), []);
///
/// let pods: Vec<&Pod> = cluster.list::<Pod>().collect();
/// assert_eq!(pods[0].status.pod_ip, "10.244.0.1");
/// assert!(cluster.is_assumed_pod(&pods[1].key()));
/// ```
pub fn complete(cluster: &mut Cluster) -> Vec<Finding> {
    let mut findings = pods::complete(cluster);
    findings.extend(allocate::complete(cluster));
    findings
}

pub use pods::MAX_ASSUMED_PODS;
