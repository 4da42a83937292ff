//! Manifests with texts that might become something else on their way.

use serde_json::{Value, json};

/// Texts that mean something in JSON, in Envoy's variables, or in expressions.
pub(crate) const TEXTS: [&str; 14] = [
    "\"}],\"cluster\":\"else",
    "a\\\",\"b\":\"",
    "%REQ(:authority)%",
    "%",
    "%%x%",
    "\\u0022,\\n",
    "\\1\\0\\9",
    "/x?y#z",
    "[::1]:80",
    "a:80:90",
    "{}[]()*+?.^$|",
    "~!@#$%^&*()_+",
    "..",
    "envoy.filters.http.router",
];

pub(crate) fn gateway(listeners: Value) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "edge"},
        "spec": {"gatewayClassName": "c", "listeners": listeners}})
}

pub(crate) fn route(name: &str, hostnames: Value, rules: Value) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": "edge"}], "hostnames": hostnames, "rules": rules}})
}

/// A Gateway in which everything that is taken as it is written is this text.
pub(crate) fn filled_with(text: &str) -> Vec<Value> {
    let match_ = json!({"path": {"type": "Exact", "value": "/x"}, "headers": [{"name": "x-a", "value": text}],
        "queryParams": [{"name": "q", "value": text}]});
    let edit = json!([{"name": "x-b", "value": text}]);
    vec![
        gateway(json!([{"name": text, "port": 80, "protocol": "HTTP"}])),
        route(
            text,
            json!(["a.example"]),
            json!([
                {"matches": [match_], "backendRefs": [{"name": text, "port": 80}, {"name": "other", "port": 80}], "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": edit}},
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": edit}},
                    {"type": "URLRewrite", "urlRewrite": {"hostname": text, "path": {"type": "ReplaceFullPath", "replaceFullPath": text}}}]},
                {"matches": [{"path": {"type": "Exact", "value": "/y"}}], "filters": [{"type": "RequestRedirect", "requestRedirect":
                    {"hostname": text, "path": {"type": "ReplaceFullPath", "replaceFullPath": text}}}]},
            ]),
        ),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": text}, "spec": {"ports": [{"port": 80}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": text}},
            "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "", "port": 80}]}),
    ]
}
