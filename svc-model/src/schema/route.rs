//! HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, UDPRoute of the Gateway API. Partial: it grows with every release.

use super::Shape::{Bool, Int, List, Opaque, String, Struct};
use super::meta::{META, STRINGS};
use super::tables;

tables! {
    PARENT partial {
        "group": String,
        "kind": String,
        "name": String,
        "namespace": String,
        "port": Int,
        "sectionName": String,
    }

    CORS partial {
        "allowCredentials": Bool,
        "allowHeaders": STRINGS,
        "allowMethods": STRINGS,
        "allowOrigins": STRINGS,
        "exposeHeaders": STRINGS,
        "maxAge": Int,
    }

    LOCAL_REFERENCE partial {
        "group": String,
        "kind": String,
        "name": String,
    }

    MIRROR_BACKEND partial {
        "group": String,
        "kind": String,
        "name": String,
        "namespace": String,
        "port": Int,
    }

    FORWARD_BODY partial {
        "maxSize": Int,
    }

    EXTERNAL_GRPC partial {
        "allowedHeaders": STRINGS,
    }

    EXTERNAL_HTTP partial {
        "allowedHeaders": STRINGS,
        "allowedResponseHeaders": STRINGS,
        "path": String,
    }

    EXTERNAL_AUTH partial {
        "backendRef": Struct(&MIRROR_BACKEND),
        "forwardBody": Struct(&FORWARD_BODY),
        "grpc": Struct(&EXTERNAL_GRPC),
        "http": Struct(&EXTERNAL_HTTP),
        "protocol": String,
    }

    HEADER partial {
        "name": String,
        "value": String,
    }

    HEADER_MODIFIER partial {
        "add": List(&Struct(&HEADER)),
        "remove": STRINGS,
        "set": List(&Struct(&HEADER)),
    }

    FRACTION partial {
        "denominator": Int,
        "numerator": Int,
    }

    REQUEST_MIRROR partial {
        "backendRef": Struct(&MIRROR_BACKEND),
        "fraction": Struct(&FRACTION),
        "percent": Int,
    }

    PATH_MODIFIER partial {
        "replaceFullPath": String,
        "replacePrefixMatch": String,
        "type": String,
    }

    REQUEST_REDIRECT partial {
        "hostname": String,
        "path": Struct(&PATH_MODIFIER),
        "port": Int,
        "scheme": String,
        "statusCode": Int,
    }

    URL_REWRITE partial {
        "hostname": String,
        "path": Struct(&PATH_MODIFIER),
    }

    HTTP_FILTER partial {
        "cors": Struct(&CORS),
        "extensionRef": Struct(&LOCAL_REFERENCE),
        "externalAuth": Struct(&EXTERNAL_AUTH),
        "requestHeaderModifier": Struct(&HEADER_MODIFIER),
        "requestMirror": Struct(&REQUEST_MIRROR),
        "requestRedirect": Struct(&REQUEST_REDIRECT),
        "responseHeaderModifier": Struct(&HEADER_MODIFIER),
        "type": String,
        "urlRewrite": Struct(&URL_REWRITE),
    }

    HTTP_BACKEND partial {
        "filters": List(&Struct(&HTTP_FILTER)),
        "group": String,
        "kind": String,
        "name": String,
        "namespace": String,
        "port": Int,
        "weight": Int,
    }

    NAMED_MATCH partial {
        "name": String,
        "type": String,
        "value": String,
    }

    TYPED_VALUE partial {
        "type": String,
        "value": String,
    }

    HTTP_MATCH partial {
        "headers": List(&Struct(&NAMED_MATCH)),
        "method": String,
        "path": Struct(&TYPED_VALUE),
        "queryParams": List(&Struct(&NAMED_MATCH)),
    }

    RETRY partial {
        "attempts": Int,
        "backoff": String,
        "codes": List(&Int),
    }

    COOKIE partial {
        "lifetimeType": String,
        "name": String,
        "path": String,
    }

    SESSION_HEADER partial {
        "name": String,
    }

    SESSION_PERSISTENCE partial {
        "absoluteTimeout": String,
        "cookie": Struct(&COOKIE),
        "header": Struct(&SESSION_HEADER),
        "type": String,
        "cookieConfig": Struct(&COOKIE),
        "idleTimeout": String,
        "sessionName": String,
    }

    TIMEOUTS partial {
        "backendRequest": String,
        "request": String,
    }

    HTTP_RULE partial {
        "backendRefs": List(&Struct(&HTTP_BACKEND)),
        "filters": List(&Struct(&HTTP_FILTER)),
        "matches": List(&Struct(&HTTP_MATCH)),
        "name": String,
        "retry": Struct(&RETRY),
        "sessionPersistence": Struct(&SESSION_PERSISTENCE),
        "timeouts": Struct(&TIMEOUTS),
    }

    HTTP_ROUTE_SPEC partial {
        "hostnames": STRINGS,
        "parentRefs": List(&Struct(&PARENT)),
        "rules": List(&Struct(&HTTP_RULE)),
        "useDefaultGateways": String,
    }

    HTTP_ROUTE partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&HTTP_ROUTE_SPEC),
        "status": Opaque,
    }

    GRPC_FILTER partial {
        "extensionRef": Struct(&LOCAL_REFERENCE),
        "requestHeaderModifier": Struct(&HEADER_MODIFIER),
        "requestMirror": Struct(&REQUEST_MIRROR),
        "responseHeaderModifier": Struct(&HEADER_MODIFIER),
        "type": String,
    }

    GRPC_BACKEND partial {
        "filters": List(&Struct(&GRPC_FILTER)),
        "group": String,
        "kind": String,
        "name": String,
        "namespace": String,
        "port": Int,
        "weight": Int,
    }

    METHOD partial {
        "method": String,
        "service": String,
        "type": String,
    }

    GRPC_MATCH partial {
        "headers": List(&Struct(&NAMED_MATCH)),
        "method": Struct(&METHOD),
    }

    GRPC_RULE partial {
        "backendRefs": List(&Struct(&GRPC_BACKEND)),
        "filters": List(&Struct(&GRPC_FILTER)),
        "matches": List(&Struct(&GRPC_MATCH)),
        "name": String,
        "sessionPersistence": Struct(&SESSION_PERSISTENCE),
    }

    GRPC_ROUTE_SPEC partial {
        "hostnames": STRINGS,
        "parentRefs": List(&Struct(&PARENT)),
        "rules": List(&Struct(&GRPC_RULE)),
        "useDefaultGateways": String,
    }

    GRPC_ROUTE partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&GRPC_ROUTE_SPEC),
        "status": Opaque,
    }

    STREAM_BACKEND partial {
        "group": String,
        "kind": String,
        "name": String,
        "namespace": String,
        "port": Int,
        "weight": Int,
    }

    STREAM_RULE partial {
        "backendRefs": List(&Struct(&STREAM_BACKEND)),
        "name": String,
    }

    TLS_ROUTE_SPEC partial {
        "hostnames": STRINGS,
        "parentRefs": List(&Struct(&PARENT)),
        "rules": List(&Struct(&STREAM_RULE)),
        "useDefaultGateways": String,
    }

    TLS_ROUTE partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&TLS_ROUTE_SPEC),
        "status": Opaque,
    }

    STREAM_ROUTE_SPEC partial {
        "parentRefs": List(&Struct(&PARENT)),
        "rules": List(&Struct(&STREAM_RULE)),
        "useDefaultGateways": String,
    }

    TCP_ROUTE partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&STREAM_ROUTE_SPEC),
        "status": Opaque,
    }

    UDP_ROUTE partial {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&STREAM_ROUTE_SPEC),
        "status": Opaque,
    }
}
