//! Ingress, IngressClass, ServiceCIDR.

use super::Shape::{Int, IntOrString, List, String, Struct};
use super::meta::{CONDITION, META, STRINGS};
use super::{Shape, tables};

static STATUS: Shape = Struct(&INGRESS_STATUS);
static TLS: Shape = List(&Struct(&INGRESS_TLS));

tables! {
    INGRESS complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&INGRESS_SPEC),
        "status": STATUS,
    }

    INGRESS_SPEC complete {
        "ingressClassName": String,
        "defaultBackend": Struct(&BACKEND),
        "tls": TLS,
        "rules": List(&Struct(&RULE)),
    }

    INGRESS_TLS complete {
        "hosts": STRINGS,
        "secretName": String,
    }

    RULE complete {
        "host": String,
        "http": Struct(&HTTP),
    }

    HTTP complete {
        "paths": List(&Struct(&PATH)),
    }

    PATH complete {
        "path": String,
        "pathType": String,
        "backend": Struct(&BACKEND),
    }

    BACKEND complete {
        "service": Struct(&SERVICE_BACKEND),
        "resource": Struct(&TYPED_LOCAL_REFERENCE),
    }

    SERVICE_BACKEND complete {
        "name": String,
        "port": Struct(&SERVICE_BACKEND_PORT),
    }

    SERVICE_BACKEND_PORT complete {
        "name": String,
        "number": Int,
    }

    TYPED_LOCAL_REFERENCE complete {
        "apiGroup": String,
        "kind": String,
        "name": String,
    }

    INGRESS_STATUS complete {
        "loadBalancer": Struct(&LOAD_BALANCER_STATUS),
    }

    LOAD_BALANCER_STATUS complete {
        "ingress": List(&Struct(&LOAD_BALANCER_INGRESS)),
    }

    LOAD_BALANCER_INGRESS complete {
        "ip": String,
        "hostname": String,
        "ports": List(&Struct(&PORT_STATUS)),
    }

    PORT_STATUS complete {
        "port": Int,
        "protocol": String,
        "error": String,
    }

    /// `networking.k8s.io/v1beta1` and `extensions/v1beta1`: a backend had other names.
    INGRESS_V1BETA1 complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&INGRESS_SPEC_V1BETA1),
        "status": STATUS,
    }

    INGRESS_SPEC_V1BETA1 complete {
        "ingressClassName": String,
        "backend": Struct(&BACKEND_V1BETA1),
        "tls": TLS,
        "rules": List(&Struct(&RULE_V1BETA1)),
    }

    RULE_V1BETA1 complete {
        "host": String,
        "http": Struct(&HTTP_V1BETA1),
    }

    HTTP_V1BETA1 complete {
        "paths": List(&Struct(&PATH_V1BETA1)),
    }

    PATH_V1BETA1 complete {
        "path": String,
        "pathType": String,
        "backend": Struct(&BACKEND_V1BETA1),
    }

    BACKEND_V1BETA1 complete {
        "serviceName": String,
        "servicePort": IntOrString,
        "resource": Struct(&TYPED_LOCAL_REFERENCE),
    }

    INGRESS_CLASS complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&INGRESS_CLASS_SPEC),
    }

    INGRESS_CLASS_SPEC complete {
        "controller": String,
        "parameters": Struct(&INGRESS_CLASS_PARAMETERS),
    }

    INGRESS_CLASS_PARAMETERS complete {
        "apiGroup": String,
        "kind": String,
        "name": String,
        "scope": String,
        "namespace": String,
    }

    SERVICE_CIDR complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&SERVICE_CIDR_SPEC),
        "status": Struct(&SERVICE_CIDR_STATUS),
    }

    SERVICE_CIDR_SPEC complete {
        "cidrs": STRINGS,
    }

    SERVICE_CIDR_STATUS complete {
        "conditions": List(&Struct(&CONDITION)),
    }
}
