//! Service, Namespace, ConfigMap, Secret.

use super::Shape::{Base64, Bool, Int, IntOrString, List, Map, String, Struct};
use super::meta::{CONDITION, LABELS, META, STRINGS};
use super::tables;

tables! {
    SERVICE complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&SERVICE_SPEC),
        "status": Struct(&SERVICE_STATUS),
    }

    SERVICE_SPEC complete {
        "type": String,
        "selector": LABELS,
        "ports": List(&Struct(&SERVICE_PORT)),
        "clusterIP": String,
        "clusterIPs": STRINGS,
        "externalIPs": STRINGS,
        "sessionAffinity": String,
        "sessionAffinityConfig": Struct(&SESSION_AFFINITY_CONFIG),
        "loadBalancerIP": String,
        "loadBalancerSourceRanges": STRINGS,
        "loadBalancerClass": String,
        "externalName": String,
        "externalTrafficPolicy": String,
        "internalTrafficPolicy": String,
        "healthCheckNodePort": Int,
        "publishNotReadyAddresses": Bool,
        "ipFamilies": STRINGS,
        "ipFamilyPolicy": String,
        "allocateLoadBalancerNodePorts": Bool,
        "trafficDistribution": String,
    }

    SERVICE_PORT complete {
        "name": String,
        "protocol": String,
        "appProtocol": String,
        "port": Int,
        "targetPort": IntOrString,
        "nodePort": Int,
    }

    SESSION_AFFINITY_CONFIG complete {
        "clientIP": Struct(&CLIENT_IP_CONFIG),
    }

    CLIENT_IP_CONFIG complete {
        "timeoutSeconds": Int,
    }

    SERVICE_STATUS complete {
        "loadBalancer": Struct(&LOAD_BALANCER_STATUS),
        "conditions": List(&Struct(&CONDITION)),
    }

    LOAD_BALANCER_STATUS complete {
        "ingress": List(&Struct(&LOAD_BALANCER_INGRESS)),
    }

    LOAD_BALANCER_INGRESS complete {
        "ip": String,
        "hostname": String,
        "ipMode": String,
        "ports": List(&Struct(&PORT_STATUS)),
    }

    PORT_STATUS complete {
        "port": Int,
        "protocol": String,
        "error": String,
    }

    NAMESPACE complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&NAMESPACE_SPEC),
        "status": Struct(&NAMESPACE_STATUS),
    }

    NAMESPACE_SPEC complete {
        "finalizers": STRINGS,
    }

    NAMESPACE_STATUS complete {
        "phase": String,
        "conditions": List(&Struct(&CONDITION)),
    }

    CONFIG_MAP partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "data": LABELS,
        "binaryData": Map(&Base64),
        "immutable": Bool,
    }

    SECRET partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "data": Map(&Base64),
        "stringData": LABELS,
        "type": String,
        "immutable": Bool,
    }
}
