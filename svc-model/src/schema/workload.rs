//! Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob.

use super::Shape::{Bool, Int, Opaque, String, Struct};
use super::meta::{LABEL_SELECTOR, META};
use super::pod::POD_SPEC;
use super::{Shape, tables};

static SELECTOR: Shape = Struct(&LABEL_SELECTOR);
static TEMPLATE: Shape = Struct(&POD_TEMPLATE);

tables! {
    POD_TEMPLATE complete {
        "metadata": META,
        "spec": Struct(&POD_SPEC),
    }

    DEPLOYMENT complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&DEPLOYMENT_SPEC),
        "status": Opaque,
    }

    DEPLOYMENT_SPEC complete {
        "minReadySeconds": Int,
        "paused": Bool,
        "podReplacementPolicy": String,
        "progressDeadlineSeconds": Int,
        "replicas": Int,
        "revisionHistoryLimit": Int,
        "rollbackTo": Opaque,
        "selector": SELECTOR,
        "strategy": Opaque,
        "template": TEMPLATE,
    }

    REPLICA_SET complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&REPLICA_SET_SPEC),
        "status": Opaque,
    }

    REPLICA_SET_SPEC complete {
        "minReadySeconds": Int,
        "replicas": Int,
        "selector": SELECTOR,
        "template": TEMPLATE,
    }

    STATEFUL_SET complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&STATEFUL_SET_SPEC),
        "status": Opaque,
    }

    STATEFUL_SET_SPEC complete {
        "minReadySeconds": Int,
        "ordinals": Opaque,
        "persistentVolumeClaimRetentionPolicy": Opaque,
        "podManagementPolicy": String,
        "replicas": Int,
        "revisionHistoryLimit": Int,
        "selector": SELECTOR,
        "serviceName": String,
        "template": TEMPLATE,
        "updateStrategy": Opaque,
        "volumeClaimTemplates": Opaque,
    }

    DAEMON_SET complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&DAEMON_SET_SPEC),
        "status": Opaque,
    }

    DAEMON_SET_SPEC complete {
        "minReadySeconds": Int,
        "revisionHistoryLimit": Int,
        "selector": SELECTOR,
        "template": TEMPLATE,
        "templateGeneration": Int,
        "updateStrategy": Opaque,
    }

    JOB complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&JOB_SPEC),
        "status": Opaque,
    }

    JOB_SPEC complete {
        "activeDeadlineSeconds": Int,
        "backoffLimit": Int,
        "backoffLimitPerIndex": Int,
        "completionMode": String,
        "completions": Int,
        "managedBy": String,
        "manualSelector": Bool,
        "maxFailedIndexes": Int,
        "parallelism": Int,
        "podFailurePolicy": Opaque,
        "podReplacementPolicy": String,
        "selector": SELECTOR,
        "successPolicy": Opaque,
        "suspend": Bool,
        "template": TEMPLATE,
        "ttlSecondsAfterFinished": Int,
    }

    CRON_JOB complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&CRON_JOB_SPEC),
        "status": Opaque,
    }

    CRON_JOB_SPEC complete {
        "concurrencyPolicy": String,
        "failedJobsHistoryLimit": Int,
        "jobTemplate": Struct(&JOB_TEMPLATE),
        "schedule": String,
        "startingDeadlineSeconds": Int,
        "successfulJobsHistoryLimit": Int,
        "suspend": Bool,
        "timeZone": String,
    }

    JOB_TEMPLATE complete {
        "metadata": META,
        "spec": Struct(&JOB_SPEC),
    }
}
