//! Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob: who makes Pods, and from what.

use std::borrow::Cow;

use super::{LabelSelector, ObjectMeta, PodSpec, mirrors};

mirrors! {
    /// Interchangeable Pods, kept at a number and up to date.
    pub struct Deployment {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// Which Pods, and how many.
        pub spec: WorkloadSpec,
    }

    /// Interchangeable Pods, kept at a number.
    pub struct ReplicaSet {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// Which Pods, and how many.
        pub spec: WorkloadSpec,
    }

    /// Pods with a number and a lasting name.
    pub struct StatefulSet {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// Which Pods, and how many.
        pub spec: WorkloadSpec,
    }

    /// A Pod on every node.
    pub struct DaemonSet {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// Which Pods.
        pub spec: WorkloadSpec,
    }

    /// Pods that run to their end.
    pub struct Job {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// Which Pods, and how many at once.
        pub spec: WorkloadSpec,
    }

    /// A Job made by the clock.
    pub struct CronJob {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// The Job.
        pub spec: CronJobSpec,
    }

    /// The Job of a CronJob.
    pub struct CronJobSpec {
        /// The Job.
        pub job_template: JobTemplateSpec,
    }

    /// The Job of a CronJob.
    pub struct JobTemplateSpec {
        /// Labels of the Job.
        pub metadata: ObjectMeta,
        /// Which Pods, and how many at once.
        pub spec: WorkloadSpec,
    }

    /// What all workloads share; each kind uses the fields it has.
    pub struct WorkloadSpec {
        /// How many Pods; 1 when absent.
        pub replicas: Option<i64>,
        /// How many Pods of a Job at once; 1 when absent.
        pub parallelism: Option<i64>,
        /// Which Pods belong; the old API groups let it be absent for the template's labels.
        pub selector: Option<LabelSelector>,
        /// What the Pods are made from.
        pub template: PodTemplateSpec,
        /// The headless Service that a StatefulSet's Pods stand under.
        pub service_name: String,
    }

    /// What Pods are made from.
    pub struct PodTemplateSpec {
        /// Labels and annotations of the Pods.
        pub metadata: ObjectMeta,
        /// The Pods.
        pub spec: PodSpec,
    }
}

impl WorkloadSpec {
    /// Which Pods belong: the selector, or the template's labels where none is written (as `extensions/v1beta1` allows and a
    /// Job has it). Empty, and so selecting nothing of its own, if the template has no labels either.
    pub fn effective_selector(&self) -> Cow<'_, LabelSelector> {
        match &self.selector {
            Some(selector) if !selector.is_empty() => Cow::Borrowed(selector),
            _ => {
                Cow::Owned(LabelSelector { match_labels: self.template.metadata.labels.clone(), ..Default::default() })
            }
        }
    }
}
