//! Fields that every object carries.

use super::Shape::{Bool, Int, List, Map, Opaque, String, Struct};
use super::{Shape, tables};

pub(super) static META: Shape = Struct(&OBJECT_META);
pub(super) static STRINGS: Shape = List(&String);
pub(super) static LABELS: Shape = Map(&String);

tables! {
    OBJECT_META complete {
        "name": String,
        "generateName": String,
        "namespace": String,
        "selfLink": String,
        "uid": String,
        "resourceVersion": String,
        "generation": Int,
        "creationTimestamp": String,
        "deletionTimestamp": String,
        "deletionGracePeriodSeconds": Int,
        "labels": Map(&String),
        "annotations": Map(&String),
        "ownerReferences": List(&Struct(&OWNER_REFERENCE)),
        "finalizers": List(&String),
        "clusterName": String,
        "managedFields": Opaque,
    }

    OWNER_REFERENCE complete {
        "apiVersion": String,
        "kind": String,
        "name": String,
        "uid": String,
        "controller": Bool,
        "blockOwnerDeletion": Bool,
    }

    LABEL_SELECTOR complete {
        "matchLabels": Map(&String),
        "matchExpressions": List(&Struct(&LABEL_SELECTOR_REQUIREMENT)),
    }

    LABEL_SELECTOR_REQUIREMENT complete {
        "key": String,
        "operator": String,
        "values": List(&String),
    }

    OBJECT_REFERENCE complete {
        "apiVersion": String,
        "kind": String,
        "namespace": String,
        "name": String,
        "uid": String,
        "resourceVersion": String,
        "fieldPath": String,
    }

    CONDITION complete {
        "type": String,
        "status": String,
        "observedGeneration": Int,
        "lastTransitionTime": String,
        "reason": String,
        "message": String,
    }
}
