//! Ingress, IngressClass, ServiceCIDR.

use super::{IntOrString, ObjectMeta, mirrors};

mirrors! {
    /// HTTP rules for a controller; `v1`, and `v1beta1` with its own names for a backend.
    pub struct Ingress {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// The rules.
        pub spec: IngressSpec,
    }

    /// The rules of an Ingress.
    pub struct IngressSpec {
        /// Who serves it.
        pub ingress_class_name: Option<String>,
        /// Where requests go that no rule takes (`v1`).
        pub default_backend: Option<IngressBackend>,
        /// The same in `v1beta1`.
        pub backend: Option<IngressBackend>,
        /// Certificates.
        pub tls: Vec<IngressTls>,
        /// Hosts and paths.
        pub rules: Vec<IngressRule>,
    }

    /// Which Secret holds the certificate of which hosts.
    pub struct IngressTls {
        /// The hosts.
        pub hosts: Vec<String>,
        /// The Secret, in the Ingress's namespace.
        pub secret_name: String,
    }

    /// One host and its paths.
    pub struct IngressRule {
        /// The host: exact, `*.` and a suffix, or empty for all.
        pub host: String,
        /// The paths.
        pub http: Option<HttpIngressRuleValue>,
    }

    /// The paths of a rule.
    pub struct HttpIngressRuleValue {
        /// The paths.
        pub paths: Vec<HttpIngressPath>,
    }

    /// One path and its backend.
    pub struct HttpIngressPath {
        /// The path; empty is `/`.
        pub path: String,
        /// `Exact`, `Prefix` or `ImplementationSpecific`.
        pub path_type: Option<String>,
        /// Where it leads.
        pub backend: IngressBackend,
    }

    /// Where requests go: `service` or `resource` in `v1`, `service_name` and `service_port` before.
    pub struct IngressBackend {
        /// A Service (`v1`).
        pub service: Option<IngressServiceBackend>,
        /// Something else.
        pub resource: Option<TypedLocalObjectReference>,
        /// A Service (`v1beta1`).
        pub service_name: String,
        /// Its port (`v1beta1`).
        pub service_port: Option<IntOrString>,
    }

    /// A Service and one of its ports.
    pub struct IngressServiceBackend {
        /// The Service, in the Ingress's namespace.
        pub name: String,
        /// The port.
        pub port: ServiceBackendPort,
    }

    /// A port by name or number.
    pub struct ServiceBackendPort {
        /// The name, or empty.
        pub name: String,
        /// The number, or 0.
        pub number: i64,
    }

    /// An object in the same namespace.
    pub struct TypedLocalObjectReference {
        /// Its group; empty for the core group.
        pub api_group: Option<String>,
        /// Its kind.
        pub kind: String,
        /// Its name.
        pub name: String,
    }

    /// A class of Ingresses, and the controller that serves it.
    pub struct IngressClass {
        /// Name, labels, and the annotation that makes it the default.
        pub metadata: ObjectMeta,
        /// The controller.
        pub spec: IngressClassSpec,
    }

    /// The controller of a class.
    pub struct IngressClassSpec {
        /// `domain/path`.
        pub controller: String,
        /// Its settings.
        pub parameters: Option<IngressClassParameters>,
    }

    /// Settings of a class.
    pub struct IngressClassParameters {
        /// Group of the object.
        pub api_group: Option<String>,
        /// Kind of the object.
        pub kind: String,
        /// Name of the object.
        pub name: String,
        /// Namespace of the object.
        pub namespace: Option<String>,
        /// `Cluster` or `Namespace`.
        pub scope: Option<String>,
    }

    /// Ranges that cluster IPs are given from.
    pub struct ServiceCidr {
        /// Name.
        pub metadata: ObjectMeta,
        /// The ranges.
        pub spec: ServiceCidrSpec,
    }

    /// Ranges that cluster IPs are given from.
    pub struct ServiceCidrSpec {
        /// The ranges, at most one of each family.
        pub cidrs: Vec<String>,
    }
}
