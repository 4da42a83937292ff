//! GatewayClass, Gateway, ListenerSet, ReferenceGrant, BackendTLSPolicy of the Gateway API. Partial: it grows with every release.

use super::Shape::{Int, List, Opaque, String, Struct};
use super::meta::{CONDITION, LABEL_SELECTOR, LABELS, META};
use super::route::{LOCAL_REFERENCE, TYPED_VALUE};
use super::tables;

tables! {
    REFERENCE partial {
        "group": String,
        "kind": String,
        "name": String,
        "namespace": String,
    }

    GATEWAY_CLASS_SPEC partial {
        "controllerName": String,
        "description": String,
        "parametersRef": Struct(&REFERENCE),
    }

    GATEWAY_CLASS partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&GATEWAY_CLASS_SPEC),
        "status": Opaque,
    }

    NAMESPACES partial {
        "from": String,
        "selector": Struct(&LABEL_SELECTOR),
    }

    ALLOWED_LISTENERS partial {
        "namespaces": Struct(&NAMESPACES),
    }

    INFRASTRUCTURE partial {
        "annotations": LABELS,
        "labels": LABELS,
        "parametersRef": Struct(&LOCAL_REFERENCE),
    }

    ROUTE_KIND partial {
        "group": String,
        "kind": String,
    }

    ALLOWED_ROUTES partial {
        "kinds": List(&Struct(&ROUTE_KIND)),
        "namespaces": Struct(&NAMESPACES),
    }

    LISTENER_TLS partial {
        "certificateRefs": List(&Struct(&REFERENCE)),
        "mode": String,
        "options": LABELS,
    }

    LISTENER partial {
        "allowedRoutes": Struct(&ALLOWED_ROUTES),
        "hostname": String,
        "name": String,
        "port": Int,
        "protocol": String,
        "tls": Struct(&LISTENER_TLS),
    }

    GATEWAY_BACKEND partial {
        "clientCertificateRef": Struct(&REFERENCE),
    }

    CLIENT_VALIDATION partial {
        "caCertificateRefs": List(&Struct(&REFERENCE)),
        "mode": String,
    }

    CLIENT_TLS partial {
        "validation": Struct(&CLIENT_VALIDATION),
    }

    PORT_TLS partial {
        "port": Int,
        "tls": Struct(&CLIENT_TLS),
    }

    FRONTEND partial {
        "default": Struct(&CLIENT_TLS),
        "perPort": List(&Struct(&PORT_TLS)),
    }

    GATEWAY_TLS partial {
        "backend": Struct(&GATEWAY_BACKEND),
        "frontend": Struct(&FRONTEND),
    }

    GATEWAY_SPEC partial {
        "addresses": List(&Struct(&TYPED_VALUE)),
        "allowedListeners": Struct(&ALLOWED_LISTENERS),
        "defaultScope": String,
        "gatewayClassName": String,
        "infrastructure": Struct(&INFRASTRUCTURE),
        "listeners": List(&Struct(&LISTENER)),
        "tls": Struct(&GATEWAY_TLS),
    }

    GATEWAY_STATUS partial {
        "addresses": List(&Struct(&TYPED_VALUE)),
        "listeners": Opaque,
        "conditions": List(&Struct(&CONDITION)),
        "attachedListenerSets": Int,
    }

    GATEWAY partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&GATEWAY_SPEC),
        "status": Struct(&GATEWAY_STATUS),
    }

    LISTENER_SET_SPEC partial {
        "listeners": List(&Struct(&LISTENER)),
        "parentRef": Struct(&REFERENCE),
    }

    LISTENER_SET partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&LISTENER_SET_SPEC),
        "status": Opaque,
    }

    GRANT_FROM partial {
        "group": String,
        "kind": String,
        "namespace": String,
    }

    REFERENCE_GRANT_SPEC partial {
        "from": List(&Struct(&GRANT_FROM)),
        "to": List(&Struct(&LOCAL_REFERENCE)),
    }

    REFERENCE_GRANT partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&REFERENCE_GRANT_SPEC),
    }

    TARGET partial {
        "group": String,
        "kind": String,
        "name": String,
        "sectionName": String,
    }

    SUBJECT_ALT_NAME partial {
        "hostname": String,
        "type": String,
        "uri": String,
    }

    POLICY_VALIDATION partial {
        "caCertificateRefs": List(&Struct(&LOCAL_REFERENCE)),
        "hostname": String,
        "subjectAltNames": List(&Struct(&SUBJECT_ALT_NAME)),
        "wellKnownCACertificates": String,
    }

    BACKEND_TLS_POLICY_SPEC partial {
        "options": LABELS,
        "targetRefs": List(&Struct(&TARGET)),
        "validation": Struct(&POLICY_VALIDATION),
    }

    BACKEND_TLS_POLICY partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&BACKEND_TLS_POLICY_SPEC),
        "status": Opaque,
    }
}
