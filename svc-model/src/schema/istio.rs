//! Gateway, ServiceEntry, WorkloadEntry, WorkloadGroup, Sidecar, VirtualService, DestinationRule of Istio, as of 1.31. All
//! versions have the same fields.

use super::Shape::{Bool, Int, List, Map, Number, Opaque, String, Struct};
use super::meta::{LABELS, META, OBJECT_META, STRINGS};
use super::tables;

tables! {
    PORT complete {
        "name": String,
        "number": Int,
        "protocol": String,
        "targetPort": Int,
    }

    TLS_CERTIFICATE complete {
        "caCertificates": String,
        "privateKey": String,
        "serverCertificate": String,
    }

    SERVER_TLS complete {
        "caCertCredentialName": String,
        "caCertificates": String,
        "caCrl": String,
        "cipherSuites": STRINGS,
        "credentialName": String,
        "credentialNames": STRINGS,
        "httpsRedirect": Bool,
        "insecureSkipVerify": Bool,
        "maxProtocolVersion": String,
        "minProtocolVersion": String,
        "mode": String,
        "privateKey": String,
        "serverCertificate": String,
        "subjectAltNames": STRINGS,
        "tlsCertificates": List(&Struct(&TLS_CERTIFICATE)),
        "verifyCertificateHash": STRINGS,
        "verifyCertificateSpki": STRINGS,
    }

    SERVER complete {
        "bind": String,
        "defaultEndpoint": String,
        "hosts": STRINGS,
        "name": String,
        "port": Struct(&PORT),
        "tls": Struct(&SERVER_TLS),
    }

    GATEWAY_SPEC complete {
        "selector": LABELS,
        "servers": List(&Struct(&SERVER)),
    }

    GATEWAY complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&GATEWAY_SPEC),
        "status": Opaque,
    }

    WORKLOAD_ENTRY_SPEC complete {
        "address": String,
        "labels": LABELS,
        "locality": String,
        "network": String,
        "ports": Map(&Int),
        "serviceAccount": String,
        "weight": Int,
    }

    WORKLOAD_ENTRY complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&WORKLOAD_ENTRY_SPEC),
        "status": Opaque,
    }

    HEALTH_CHECK_HEADER complete {
        "name": String,
        "value": String,
    }

    HTTP_HEALTH_CHECK complete {
        "host": String,
        "httpHeaders": List(&Struct(&HEALTH_CHECK_HEADER)),
        "path": String,
        "port": Int,
        "scheme": String,
    }

    TCP_HEALTH_CHECK complete {
        "host": String,
        "port": Int,
    }

    EXEC_HEALTH_CHECK complete {
        "command": STRINGS,
    }

    GRPC_HEALTH_CHECK complete {
        "port": Int,
        "service": String,
    }

    READINESS_PROBE complete {
        "exec": Struct(&EXEC_HEALTH_CHECK),
        "failureThreshold": Int,
        "grpc": Struct(&GRPC_HEALTH_CHECK),
        "httpGet": Struct(&HTTP_HEALTH_CHECK),
        "initialDelaySeconds": Int,
        "periodSeconds": Int,
        "successThreshold": Int,
        "tcpSocket": Struct(&TCP_HEALTH_CHECK),
        "timeoutSeconds": Int,
    }

    WORKLOAD_GROUP_SPEC complete {
        "metadata": Struct(&OBJECT_META),
        "probe": Struct(&READINESS_PROBE),
        "template": Struct(&WORKLOAD_ENTRY_SPEC),
    }

    WORKLOAD_GROUP complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&WORKLOAD_GROUP_SPEC),
        "status": Opaque,
    }

    WORKLOAD_SELECTOR complete {
        "labels": LABELS,
    }

    SERVICE_ENTRY_SPEC complete {
        "addresses": STRINGS,
        "endpoints": List(&Struct(&WORKLOAD_ENTRY_SPEC)),
        "exportTo": STRINGS,
        "hosts": STRINGS,
        "location": String,
        "ports": List(&Struct(&PORT)),
        "resolution": String,
        "subjectAltNames": STRINGS,
        "workloadSelector": Struct(&WORKLOAD_SELECTOR),
    }

    SERVICE_ENTRY complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&SERVICE_ENTRY_SPEC),
        "status": Opaque,
    }

    TCP_KEEPALIVE complete {
        "interval": String,
        "probes": Int,
        "time": String,
    }

    POOL_TCP complete {
        "connectTimeout": String,
        "idleTimeout": String,
        "maxConnectionDuration": String,
        "maxConnections": Int,
        "tcpKeepalive": Struct(&TCP_KEEPALIVE),
    }

    HTTP2_KEEP_ALIVE complete {
        "interval": String,
        "timeout": String,
    }

    POOL_HTTP complete {
        "h2UpgradePolicy": String,
        "http1MaxPendingRequests": Int,
        "http2KeepAlive": Struct(&HTTP2_KEEP_ALIVE),
        "http2MaxRequests": Int,
        "idleTimeout": String,
        "maxConcurrentStreams": Int,
        "maxRequestsPerConnection": Int,
        "maxRetries": Int,
        "useClientProtocol": Bool,
    }

    CONNECTION_POOL complete {
        "http": Struct(&POOL_HTTP),
        "tcp": Struct(&POOL_TCP),
    }

    SIDECAR_INGRESS complete {
        "bind": String,
        "captureMode": String,
        "connectionPool": Struct(&CONNECTION_POOL),
        "defaultEndpoint": String,
        "port": Struct(&PORT),
        "tls": Struct(&SERVER_TLS),
    }

    SIDECAR_EGRESS complete {
        "bind": String,
        "captureMode": String,
        "hosts": STRINGS,
        "port": Struct(&PORT),
    }

    PORT_SELECTOR complete {
        "number": Int,
    }

    DESTINATION complete {
        "host": String,
        "port": Struct(&PORT_SELECTOR),
        "subset": String,
    }

    OUTBOUND_TRAFFIC_POLICY complete {
        "egressProxy": Struct(&DESTINATION),
        "mode": String,
    }

    SIDECAR_SPEC complete {
        "egress": List(&Struct(&SIDECAR_EGRESS)),
        "inboundConnectionPool": Struct(&CONNECTION_POOL),
        "ingress": List(&Struct(&SIDECAR_INGRESS)),
        "outboundTrafficPolicy": Struct(&OUTBOUND_TRAFFIC_POLICY),
        "workloadSelector": Struct(&WORKLOAD_SELECTOR),
    }

    SIDECAR complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&SIDECAR_SPEC),
        "status": Opaque,
    }

    STRING_MATCH complete {
        "exact": String,
        "prefix": String,
        "regex": String,
    }

    HTTP_MATCH complete {
        "authority": Struct(&STRING_MATCH),
        "gateways": STRINGS,
        "headers": Map(&Struct(&STRING_MATCH)),
        "ignoreUriCase": Bool,
        "method": Struct(&STRING_MATCH),
        "name": String,
        "port": Int,
        "queryParams": Map(&Struct(&STRING_MATCH)),
        "scheme": Struct(&STRING_MATCH),
        "sourceLabels": LABELS,
        "sourceNamespace": String,
        "statPrefix": String,
        "uri": Struct(&STRING_MATCH),
        "withoutHeaders": Map(&Struct(&STRING_MATCH)),
    }

    HEADER_EDITS complete {
        "add": LABELS,
        "remove": STRINGS,
        "set": LABELS,
    }

    HEADERS complete {
        "request": Struct(&HEADER_EDITS),
        "response": Struct(&HEADER_EDITS),
    }

    HTTP_DESTINATION complete {
        "destination": Struct(&DESTINATION),
        "headers": Struct(&HEADERS),
        "weight": Int,
    }

    REDIRECT complete {
        "authority": String,
        "derivePort": String,
        "port": Int,
        "prefixRewrite": String,
        "redirectCode": Int,
        "scheme": String,
        "uri": String,
    }

    BODY complete {
        "bytes": String,
        "string": String,
    }

    DIRECT_RESPONSE complete {
        "body": Struct(&BODY),
        "status": Int,
    }

    DELEGATE complete {
        "name": String,
        "namespace": String,
    }

    REGEX_REWRITE complete {
        "match": String,
        "rewrite": String,
    }

    REWRITE complete {
        "authority": String,
        "uri": String,
        "uriRegexRewrite": Struct(&REGEX_REWRITE),
    }

    RETRIES complete {
        "attempts": Int,
        "backoff": String,
        "perTryTimeout": String,
        "retryIgnorePreviousHosts": Bool,
        "retryOn": String,
        "retryRemoteLocalities": Bool,
    }

    PERCENT complete {
        "value": Number,
    }

    FAULT_DELAY complete {
        "exponentialDelay": String,
        "fixedDelay": String,
        "percent": Int,
        "percentage": Struct(&PERCENT),
    }

    FAULT_ABORT complete {
        "grpcStatus": String,
        "http2Error": String,
        "httpStatus": Int,
        "percentage": Struct(&PERCENT),
    }

    FAULT complete {
        "abort": Struct(&FAULT_ABORT),
        "delay": Struct(&FAULT_DELAY),
    }

    MIRROR complete {
        "destination": Struct(&DESTINATION),
        "percentage": Struct(&PERCENT),
    }

    CORS complete {
        "allowCredentials": Bool,
        "allowHeaders": STRINGS,
        "allowMethods": STRINGS,
        "allowOrigin": STRINGS,
        "allowOrigins": List(&Struct(&STRING_MATCH)),
        "exposeHeaders": STRINGS,
        "maxAge": String,
        "unmatchedPreflights": String,
    }

    HTTP_ROUTE complete {
        "corsPolicy": Struct(&CORS),
        "delegate": Struct(&DELEGATE),
        "directResponse": Struct(&DIRECT_RESPONSE),
        "fault": Struct(&FAULT),
        "headers": Struct(&HEADERS),
        "match": List(&Struct(&HTTP_MATCH)),
        "mirror": Struct(&DESTINATION),
        "mirrorPercent": Int,
        "mirrorPercentage": Struct(&PERCENT),
        "mirrors": List(&Struct(&MIRROR)),
        "name": String,
        "redirect": Struct(&REDIRECT),
        "retries": Struct(&RETRIES),
        "rewrite": Struct(&REWRITE),
        "route": List(&Struct(&HTTP_DESTINATION)),
        "timeout": String,
    }

    ROUTE_DESTINATION complete {
        "destination": Struct(&DESTINATION),
        "weight": Int,
    }

    TLS_MATCH complete {
        "destinationSubnets": STRINGS,
        "gateways": STRINGS,
        "port": Int,
        "sniHosts": STRINGS,
        "sourceLabels": LABELS,
        "sourceNamespace": String,
    }

    TLS_ROUTE complete {
        "match": List(&Struct(&TLS_MATCH)),
        "route": List(&Struct(&ROUTE_DESTINATION)),
    }

    TCP_MATCH complete {
        "destinationSubnets": STRINGS,
        "gateways": STRINGS,
        "port": Int,
        "sourceLabels": LABELS,
        "sourceNamespace": String,
        "sourceSubnet": String,
    }

    TCP_ROUTE complete {
        "match": List(&Struct(&TCP_MATCH)),
        "route": List(&Struct(&ROUTE_DESTINATION)),
    }

    VIRTUAL_SERVICE_SPEC complete {
        "exportTo": STRINGS,
        "gateways": STRINGS,
        "hosts": STRINGS,
        "http": List(&Struct(&HTTP_ROUTE)),
        "tcp": List(&Struct(&TCP_ROUTE)),
        "tls": List(&Struct(&TLS_ROUTE)),
    }

    VIRTUAL_SERVICE complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&VIRTUAL_SERVICE_SPEC),
        "status": Opaque,
    }

    COOKIE_ATTRIBUTE complete {
        "name": String,
        "value": String,
    }

    COOKIE complete {
        "attributes": List(&Struct(&COOKIE_ATTRIBUTE)),
        "name": String,
        "path": String,
        "ttl": String,
    }

    MAGLEV complete {
        "tableSize": Int,
    }

    RING_HASH complete {
        "minimumRingSize": Int,
    }

    CONSISTENT_HASH complete {
        "httpCookie": Struct(&COOKIE),
        "httpHeaderName": String,
        "httpQueryParameterName": String,
        "maglev": Struct(&MAGLEV),
        "minimumRingSize": Int,
        "ringHash": Struct(&RING_HASH),
        "useSourceIp": Bool,
    }

    DISTRIBUTE complete {
        "from": String,
        "to": Map(&Int),
    }

    FAILOVER complete {
        "from": String,
        "to": String,
    }

    LOCALITY_LB complete {
        "distribute": List(&Struct(&DISTRIBUTE)),
        "enabled": Bool,
        "failover": List(&Struct(&FAILOVER)),
        "failoverPriority": STRINGS,
    }

    ZONE_AWARE_LB complete {
        "enabled": Bool,
        "failover": List(&Struct(&FAILOVER)),
        "failoverPriority": STRINGS,
    }

    WARMUP complete {
        "aggression": Number,
        "duration": String,
        "minimumPercent": Number,
    }

    LOAD_BALANCER complete {
        "consistentHash": Struct(&CONSISTENT_HASH),
        "localityLbSetting": Struct(&LOCALITY_LB),
        "simple": String,
        "warmup": Struct(&WARMUP),
        "warmupDurationSecs": String,
        "zoneAwareLbSetting": Struct(&ZONE_AWARE_LB),
    }

    OUTLIER_DETECTION complete {
        "baseEjectionTime": String,
        "consecutive5xxErrors": Int,
        "consecutiveErrors": Int,
        "consecutiveGatewayErrors": Int,
        "consecutiveLocalOriginFailures": Int,
        "interval": String,
        "maxEjectionPercent": Int,
        "minHealthPercent": Int,
        "outlierDetectionHttpErrorCodes": List(&Int),
        "splitExternalLocalOriginErrors": Bool,
    }

    CLIENT_TLS complete {
        "caCertificates": String,
        "caCrl": String,
        "clientCertificate": String,
        "credentialName": String,
        "insecureSkipVerify": Bool,
        "mode": String,
        "privateKey": String,
        "sni": String,
        "subjectAltNames": STRINGS,
    }

    PORT_POLICY complete {
        "connectionPool": Struct(&CONNECTION_POOL),
        "loadBalancer": Struct(&LOAD_BALANCER),
        "outlierDetection": Struct(&OUTLIER_DETECTION),
        "port": Struct(&PORT_SELECTOR),
        "tls": Struct(&CLIENT_TLS),
    }

    PROXY_PROTOCOL complete {
        "version": String,
    }

    RETRY_BUDGET complete {
        "budgetInterval": String,
        "minRetryConcurrency": Int,
        "percent": Number,
    }

    TUNNEL complete {
        "protocol": String,
        "targetHost": String,
        "targetPort": Int,
    }

    TRAFFIC_POLICY complete {
        "connectionPool": Struct(&CONNECTION_POOL),
        "loadBalancer": Struct(&LOAD_BALANCER),
        "outlierDetection": Struct(&OUTLIER_DETECTION),
        "portLevelSettings": List(&Struct(&PORT_POLICY)),
        "proxyProtocol": Struct(&PROXY_PROTOCOL),
        "retryBudget": Struct(&RETRY_BUDGET),
        "tls": Struct(&CLIENT_TLS),
        "tunnel": Struct(&TUNNEL),
    }

    SUBSET complete {
        "labels": LABELS,
        "name": String,
        "trafficPolicy": Struct(&TRAFFIC_POLICY),
    }

    POLICY_SELECTOR complete {
        "matchLabels": LABELS,
    }

    DESTINATION_RULE_SPEC complete {
        "exportTo": STRINGS,
        "host": String,
        "subsets": List(&Struct(&SUBSET)),
        "trafficPolicy": Struct(&TRAFFIC_POLICY),
        "workloadSelector": Struct(&POLICY_SELECTOR),
    }

    DESTINATION_RULE complete {
        "apiVersion": String,
        "kind": String,
        "metadata": META,
        "spec": Struct(&DESTINATION_RULE_SPEC),
        "status": Opaque,
    }
}
