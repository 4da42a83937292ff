//! Pod and Node.

use super::Shape::{Bool, Int, List, Opaque, String, Struct};
use super::meta::{LABELS, META, STRINGS};
use super::{Shape, tables};

static CONTAINERS: Shape = List(&Struct(&CONTAINER));

tables! {
    POD complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&POD_SPEC),
        "status": Struct(&POD_STATUS),
    }

    POD_SPEC complete {
        "activeDeadlineSeconds": Int,
        "affinity": Opaque,
        "automountServiceAccountToken": Bool,
        "containers": CONTAINERS,
        "dnsConfig": Struct(&DNS_CONFIG),
        "dnsPolicy": String,
        "enableServiceLinks": Bool,
        "ephemeralContainers": List(&Struct(&EPHEMERAL_CONTAINER)),
        "hostAliases": List(&Struct(&HOST_ALIAS)),
        "hostIPC": Bool,
        "hostNetwork": Bool,
        "hostPID": Bool,
        "hostUsers": Bool,
        "hostname": String,
        "hostnameOverride": String,
        "imagePullSecrets": Opaque,
        "initContainers": CONTAINERS,
        "nodeName": String,
        "nodeSelector": LABELS,
        "os": Opaque,
        "overhead": Opaque,
        "preemptionPolicy": String,
        "priority": Int,
        "priorityClassName": String,
        "readinessGates": Opaque,
        "resourceClaims": Opaque,
        "resources": Opaque,
        "restartPolicy": String,
        "runtimeClassName": String,
        "schedulerName": String,
        "schedulingGates": Opaque,
        "schedulingGroup": Opaque,
        "securityContext": Opaque,
        "serviceAccount": String,
        "serviceAccountName": String,
        "setHostnameAsFQDN": Bool,
        "shareProcessNamespace": Bool,
        "subdomain": String,
        "terminationGracePeriodSeconds": Int,
        "tolerations": Opaque,
        "topologySpreadConstraints": Opaque,
        "volumes": Opaque,
        "workloadRef": Opaque,
    }

    CONTAINER complete {
        "args": STRINGS,
        "command": STRINGS,
        "env": List(&Struct(&ENV_VAR)),
        "envFrom": Opaque,
        "image": String,
        "imagePullPolicy": String,
        "lifecycle": Opaque,
        "livenessProbe": Opaque,
        "name": String,
        "ports": List(&Struct(&CONTAINER_PORT)),
        "readinessProbe": Opaque,
        "resizePolicy": Opaque,
        "resources": Opaque,
        "restartPolicy": String,
        "restartPolicyRules": Opaque,
        "securityContext": Opaque,
        "startupProbe": Opaque,
        "stdin": Bool,
        "stdinOnce": Bool,
        "terminationMessagePath": String,
        "terminationMessagePolicy": String,
        "tty": Bool,
        "volumeDevices": Opaque,
        "volumeMounts": Opaque,
        "workingDir": String,
    }

    EPHEMERAL_CONTAINER partial {
        "name": String,
        "image": String,
        "targetContainerName": String,
    }

    ENV_VAR partial {
        "name": String,
        "value": String,
        "valueFrom": Struct(&ENV_VAR_SOURCE),
    }

    ENV_VAR_SOURCE partial {
        "fieldRef": Struct(&FIELD_SELECTOR),
        "resourceFieldRef": Opaque,
        "configMapKeyRef": Opaque,
        "secretKeyRef": Opaque,
        "fileKeyRef": Opaque,
    }

    FIELD_SELECTOR partial {
        "apiVersion": String,
        "fieldPath": String,
    }

    CONTAINER_PORT complete {
        "name": String,
        "containerPort": Int,
        "hostPort": Int,
        "hostIP": String,
        "protocol": String,
    }

    DNS_CONFIG complete {
        "nameservers": STRINGS,
        "searches": STRINGS,
        "options": List(&Struct(&DNS_CONFIG_OPTION)),
    }

    DNS_CONFIG_OPTION complete {
        "name": String,
        "value": String,
    }

    HOST_ALIAS complete {
        "ip": String,
        "hostnames": STRINGS,
    }

    POD_STATUS partial {
        "phase": String,
        "conditions": List(&Struct(&CONDITION)),
        "podIP": String,
        "podIPs": List(&Struct(&IP)),
        "hostIP": String,
        "hostIPs": List(&Struct(&IP)),
        "message": String,
        "reason": String,
        "startTime": String,
        "qosClass": String,
        "containerStatuses": Opaque,
        "initContainerStatuses": Opaque,
        "ephemeralContainerStatuses": Opaque,
        "nominatedNodeName": String,
        "observedGeneration": Int,
        "resize": String,
    }

    IP partial {
        "ip": String,
    }

    CONDITION partial {
        "type": String,
        "status": String,
        "observedGeneration": Int,
        "lastProbeTime": String,
        "lastHeartbeatTime": String,
        "lastTransitionTime": String,
        "reason": String,
        "message": String,
    }

    NODE complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&NODE_SPEC),
        "status": Struct(&NODE_STATUS),
    }

    NODE_SPEC complete {
        "podCIDR": String,
        "podCIDRs": STRINGS,
        "providerID": String,
        "unschedulable": Bool,
        "taints": Opaque,
        "configSource": Opaque,
        "externalID": String,
    }

    NODE_STATUS partial {
        "addresses": List(&Struct(&NODE_ADDRESS)),
        "conditions": List(&Struct(&CONDITION)),
        "allocatable": Opaque,
        "capacity": Opaque,
        "config": Opaque,
        "daemonEndpoints": Opaque,
        "declaredFeatures": Opaque,
        "features": Opaque,
        "images": Opaque,
        "nodeInfo": Opaque,
        "phase": String,
        "runtimeHandlers": Opaque,
        "volumesAttached": Opaque,
        "volumesInUse": Opaque,
    }

    NODE_ADDRESS complete {
        "type": String,
        "address": String,
    }
}
