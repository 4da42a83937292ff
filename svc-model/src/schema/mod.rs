//! Which fields does a kind have, and of what JSON type are they?
//!
//! Static tables for readers that must say more about a manifest than "does not fit": an unknown field and where its
//! name is known, a value of the wrong type and where it stands. The mirrors of [`crate::api`] hold the part of these
//! fields that the data plane looks at; the tables know the others by name, so that they raise no alarm.
//!
//! Written from the [Kubernetes API reference] of v1.36 and the definitions of the Gateway API and of Istio.
//!
//! ```
//! use svc_model::Kind;
//! use svc_model::schema::{self, Shape};
//!
//! let service = schema::of(Kind::Service, "v1");
//! let Some(Shape::Struct(spec)) = service.field("spec").map(|field| field.shape) else { unreachable!() };
//! assert_eq!(spec.field("publishNotReadyAddresses").unwrap().shape, &Shape::Bool);
//! assert!(spec.field("selectors").is_none() && spec.complete);
//! assert_eq!(schema::place_of(service, "targetPort").unwrap(), "spec.ports[].targetPort");
//! ```
//!
//! [Kubernetes API reference]: https://kubernetes.io/docs/reference/kubernetes-api/

mod configuration;
mod discovery;
mod gateway;
mod istio;
mod meta;
mod networking;
mod pod;
mod route;
mod service;
mod workload;

use std::collections::VecDeque;

use crate::Kind;

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A number, whole or not.
    Number,
    /// `true` or `false`.
    Bool,
    /// A whole number or text.
    IntOrString,
    /// Text that is base64.
    Base64,
    /// A mapping with fields of its own.
    Struct(&'static Struct),
    /// A list of values of one type.
    List(&'static Shape),
    /// A mapping with free keys, and values of one type.
    Map(&'static Shape),
    /// Anything: its inside is not looked at.
    Opaque,
}

/// The fields of a mapping.
#[derive(Debug, PartialEq, Eq)]
pub struct Struct {
    /// The known fields.
    pub fields: &'static [Field],
    /// Whether these are all the fields there are.
    pub complete: bool,
}

/// One field.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the manifest.
    pub name: &'static str,
    /// The type of its value; every field may also be `null`, which means absence.
    pub shape: &'static Shape,
}

impl Struct {
    /// The field of this name. O(fields).
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The fields of a kind in one of its versions (any other text means the current one).
pub fn of(kind: Kind, api_version: &str) -> &'static Struct {
    match kind {
        Kind::BackendTlsPolicy => &gateway::BACKEND_TLS_POLICY,
        Kind::ConfigMap => &service::CONFIG_MAP,
        Kind::CronJob => &workload::CRON_JOB,
        Kind::DaemonSet => &workload::DAEMON_SET,
        Kind::Deployment => &workload::DEPLOYMENT,
        Kind::DestinationRule => &istio::DESTINATION_RULE,
        Kind::EndpointSlice if api_version.ends_with("/v1beta1") => &discovery::ENDPOINT_SLICE_V1BETA1,
        Kind::EndpointSlice => &discovery::ENDPOINT_SLICE,
        Kind::Endpoints => &discovery::ENDPOINTS,
        Kind::Gateway => &gateway::GATEWAY,
        Kind::GatewayClass => &gateway::GATEWAY_CLASS,
        Kind::GrpcRoute => &route::GRPC_ROUTE,
        Kind::HttpRoute => &route::HTTP_ROUTE,
        Kind::Ingress if api_version.ends_with("/v1beta1") => &networking::INGRESS_V1BETA1,
        Kind::Ingress => &networking::INGRESS,
        Kind::IngressClass => &networking::INGRESS_CLASS,
        Kind::IstioGateway => &istio::GATEWAY,
        Kind::Job => &workload::JOB,
        Kind::KubeProxyConfiguration => &configuration::KUBE_PROXY,
        Kind::KubeletConfiguration => &configuration::KUBELET,
        Kind::ListenerSet => &gateway::LISTENER_SET,
        Kind::Namespace => &service::NAMESPACE,
        Kind::Node => &pod::NODE,
        Kind::Pod => &pod::POD,
        Kind::ReferenceGrant => &gateway::REFERENCE_GRANT,
        Kind::ReplicaSet => &workload::REPLICA_SET,
        Kind::Secret => &service::SECRET,
        Kind::Service => &service::SERVICE,
        Kind::ServiceCidr => &networking::SERVICE_CIDR,
        Kind::ServiceEntry => &istio::SERVICE_ENTRY,
        Kind::Sidecar => &istio::SIDECAR,
        Kind::StatefulSet => &workload::STATEFUL_SET,
        Kind::TcpRoute => &route::TCP_ROUTE,
        Kind::TlsRoute => &route::TLS_ROUTE,
        Kind::UdpRoute => &route::UDP_ROUTE,
        Kind::VirtualService => &istio::VIRTUAL_SERVICE,
        Kind::WorkloadEntry => &istio::WORKLOAD_ENTRY,
        Kind::WorkloadGroup => &istio::WORKLOAD_GROUP,
    }
}

/// Where a name is a field: the path of the shallowest such place, list elements written `[]`. O(fields of the kind).
pub fn place_of(root: &'static Struct, name: &str) -> Option<String> {
    let mut queue = VecDeque::from([(String::new(), root)]);
    while let Some((path, at)) = queue.pop_front() {
        let dot = if path.is_empty() { "" } else { "." };
        for field in at.fields {
            let path = format!("{path}{dot}{}", field.name);
            if field.name == name {
                return Some(path);
            }
            let (mut path, mut shape) = (path, field.shape);
            while let Shape::List(element) = shape {
                path.push_str("[]");
                shape = element;
            }
            if let Shape::Struct(inner) = shape {
                queue.push_back((path, inner));
            }
        }
    }
    None
}

/// Declares tables: `NAME complete { field: Shape, ... }`, where `partial` stands for fields that are not all there are.
macro_rules! tables {
    ($($(#[$attr:meta])* $NAME:ident $extent:ident { $($field:literal: $shape:expr),* $(,)? })*) => {$(
        $(#[$attr])*
        pub(super) static $NAME: crate::schema::Struct = crate::schema::Struct {
            fields: &[$(crate::schema::Field { name: $field, shape: &$shape }),*],
            complete: crate::schema::tables!(@$extent),
        };
    )*};
    (@complete) => { true };
    (@partial) => { false };
}
use tables;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every struct that can be reached from a kind.
    fn structs(root: &'static Struct) -> Vec<&'static Struct> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            next += 1;
            for field in at.fields {
                let mut shape = field.shape;
                while let Shape::List(inner) | Shape::Map(inner) = shape {
                    shape = inner;
                }
                if let Shape::Struct(inner) = shape
                    && !found.iter().any(|known| std::ptr::eq(*known, *inner))
                {
                    found.push(inner);
                }
            }
        }
        found
    }

    fn every_version() -> impl Iterator<Item = (Kind, &'static str)> {
        Kind::ALL.iter().flat_map(|kind| kind.versions().iter().map(|version| (*kind, version.name)))
    }

    #[test]
    fn no_table_names_a_field_twice() {
        for (kind, version) in every_version() {
            for table in structs(of(kind, version)) {
                let names: BTreeSet<_> = table.fields.iter().map(|field| field.name).collect();
                assert_eq!(names.len(), table.fields.len(), "{kind} {version}: {names:?}");
            }
        }
    }

    #[test]
    fn every_kind_has_its_head() {
        for (kind, version) in every_version() {
            for name in ["apiVersion", "kind", "metadata"] {
                assert!(of(kind, version).field(name).is_some(), "{kind} {version}: {name}");
            }
        }
    }

    /// A value of a shape that differs from every default, all fields present.
    fn sample(shape: &Shape, name: &str) -> serde_json::Value {
        match shape {
            Shape::String if name.ends_with("Timestamp") => "2026-11-20T10:00:00Z".into(),
            Shape::String => "x".into(),
            Shape::Int => 7.into(),
            Shape::Number => 0.5.into(),
            Shape::IntOrString => 8.into(),
            Shape::Bool => true.into(),
            Shape::Base64 => "eA==".into(),
            Shape::Opaque => serde_json::Value::Null,
            Shape::List(element) => vec![sample(element, name)].into(),
            Shape::Map(value) => serde_json::json!({ "k": sample(value, name) }),
            Shape::Struct(table) => {
                table.fields.iter().map(|field| (field.name.to_owned(), sample(field.shape, field.name))).collect()
            }
        }
    }

    #[test]
    fn a_mirror_reads_whatever_its_table_allows() {
        use serde::de::DeserializeSeed as _;
        for (kind, version) in every_version() {
            let full = sample(&Shape::Struct(of(kind, version)), "");
            let object = kind.deserialize(full).unwrap_or_else(|error| panic!("{kind} {version}: {error}"));
            assert_eq!(object.metadata().name, "x");
        }
    }

    /// The paths of `full` that `kept` lacks; metadata aside, which every kind has.
    fn lost(full: &serde_json::Value, kept: Option<&serde_json::Value>, path: &str, found: &mut BTreeSet<String>) {
        use serde_json::Value;
        match full {
            Value::Null => {}
            Value::Object(map) => {
                for (name, value) in map.iter().filter(|(name, _)| *name != "metadata") {
                    lost(value, kept.and_then(|kept| kept.get(name)), &format!("{path}.{name}"), found);
                }
            }
            Value::Array(list) => lost(&list[0], kept.and_then(|kept| kept.get(0)), path, found),
            _ if kept.is_none() => drop(found.insert(path.to_owned())),
            _ => {}
        }
    }

    #[test]
    fn an_istio_mirror_keeps_what_its_table_has() {
        use serde::de::DeserializeSeed as _;
        let istio = Kind::ALL.iter().filter(|kind| kind.versions()[0].name == "networking.istio.io/v1");
        let mut found = BTreeSet::new();
        for kind in istio {
            let full = sample(&Shape::Struct(of(*kind, "")), "");
            let object = kind.deserialize(full.clone()).unwrap();
            lost(&full["spec"], serde_json::to_value(object).unwrap().get("spec"), "", &mut found);
        }
        let last = |path: String| path.rsplit('.').next().map(str::to_owned);
        let known = ["insecureSkipVerify", "outlierDetectionHttpErrorCodes"].map(str::to_owned);
        assert_eq!(found.into_iter().filter_map(last).collect::<BTreeSet<_>>(), known.into());
    }

    #[test]
    fn old_ingress_fields_are_known_only_to_old_versions() {
        let old = of(Kind::Ingress, "extensions/v1beta1");
        let new = of(Kind::Ingress, "networking.k8s.io/v1");
        assert_eq!(place_of(old, "servicePort").as_deref(), Some("spec.backend.servicePort"));
        assert_eq!(place_of(new, "servicePort"), None);
        assert_eq!(place_of(new, "defaultBackend").as_deref(), Some("spec.defaultBackend"));
        assert_eq!(place_of(old, "defaultBackend"), None);
    }
}
