//! What do the objects of a world say of each other?

mod allocation;
mod frontends;
mod owners;
mod references;
mod selectors;
mod variables;

use std::fmt::Display;

use super::Finding;
use crate::api::{CronJob, DaemonSet, Deployment, Job, ReplicaSet, StatefulSet, WorkloadSpec};
use crate::cluster::Cluster;
use crate::kind::{ObjectRef, Resource};
use owners::Owners;

pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    allocation::check(cluster, &mut findings);
    selectors::check(cluster, &mut findings);
    let owners = Owners::of(cluster);
    references::check(cluster, &owners, &mut findings);
    frontends::check(cluster, &owners, &mut findings);
    variables::check(cluster, &mut findings);
    findings.0
}

/// What was found so far.
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, object: &impl Resource, field: impl Display, message: impl Display) {
        self.0.push(Finding::error(subject(object), field.to_string(), message.to_string()));
    }

    fn warning(&mut self, object: &impl Resource, field: impl Display, message: impl Display) {
        self.0.push(Finding::warning(subject(object), field.to_string(), message.to_string()));
    }
}

fn subject(object: &impl Resource) -> ObjectRef {
    super::named(object.reference(), object.metadata())
}

/// A workload of any kind.
struct Workload<'a> {
    object: ObjectRef,
    namespace: &'a str,
    /// Where its specification stands.
    at: &'static str,
    spec: &'a WorkloadSpec,
}

fn workloads(cluster: &Cluster) -> impl Iterator<Item = Workload<'_>> {
    fn of<'a, T: Resource>(object: &'a T, at: &'static str, spec: &'a WorkloadSpec) -> Workload<'a> {
        Workload { object: subject(object), namespace: object.namespace(), at, spec }
    }
    let jobs = cluster.list::<Job>().map(|object| of(object, "spec", &object.spec));
    let cron_jobs =
        cluster.list::<CronJob>().map(|object| of(object, "spec.jobTemplate.spec", &object.spec.job_template.spec));
    (cluster.list::<Deployment>().map(|object| of(object, "spec", &object.spec)))
        .chain(cluster.list::<ReplicaSet>().map(|object| of(object, "spec", &object.spec)))
        .chain(cluster.list::<StatefulSet>().map(|object| of(object, "spec", &object.spec)))
        .chain(cluster.list::<DaemonSet>().map(|object| of(object, "spec", &object.spec)))
        .chain(jobs)
        .chain(cron_jobs)
}
