//! EndpointSlice and its ancestor, Endpoints.

use super::{ObjectMeta, ObjectReference, StringMap, mirrors};

/// The label by which an EndpointSlice names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

mirrors! {
    /// Some of the endpoints of the Service that its label [`SERVICE_NAME_LABEL`] names.
    pub struct EndpointSlice {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// `IPv4`, `IPv6` or `FQDN`.
        pub address_type: String,
        /// The endpoints; every one has every port.
        pub endpoints: Vec<SliceEndpoint>,
        /// The ports.
        pub ports: Vec<SlicePort>,
    }

    /// One endpoint of a slice.
    pub struct SliceEndpoint {
        /// Its addresses; only the first is used.
        pub addresses: Vec<String>,
        /// Its state.
        pub conditions: EndpointConditions,
        /// Its name under a headless Service.
        pub hostname: Option<String>,
        /// The node it is on.
        pub node_name: Option<String>,
        /// The zone it is in.
        pub zone: Option<String>,
        /// The Pod behind it.
        pub target_ref: Option<ObjectReference>,
        /// Who should use it.
        pub hints: Option<EndpointHints>,
        /// Topology of the `v1beta1` slices, where the node's name stood.
        pub topology: StringMap,
    }

    /// The state of an endpoint; what is absent is unknown.
    pub struct EndpointConditions {
        /// Takes new connections; unknown counts as yes.
        pub ready: Option<bool>,
        /// Answers, though it may be terminating; unknown counts as yes.
        pub serving: Option<bool>,
        /// On its way out; unknown counts as no.
        pub terminating: Option<bool>,
    }

    /// Who should use an endpoint.
    pub struct EndpointHints {
        /// Zones.
        pub for_zones: Vec<ForName>,
        /// Nodes.
        pub for_nodes: Vec<ForName>,
    }

    /// The name of a zone or node in a hint.
    pub struct ForName {
        /// The name.
        pub name: String,
    }

    /// One port of a slice.
    pub struct SlicePort {
        /// Pairs with the Service port of the same name and protocol; absent differs from empty.
        pub name: Option<String>,
        /// `TCP` (also when empty), `UDP` or `SCTP`.
        pub protocol: String,
        /// The number on the endpoint.
        pub port: Option<i64>,
        /// What is spoken on it.
        pub app_protocol: Option<String>,
    }

    /// All endpoints of the Service of the same name, in the old form.
    pub struct Endpoints {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// Sets of addresses with their ports.
        pub subsets: Vec<EndpointSubset>,
    }

    /// Addresses that share their ports.
    pub struct EndpointSubset {
        /// Ready addresses.
        pub addresses: Vec<EndpointAddress>,
        /// Addresses that take no new connections.
        pub not_ready_addresses: Vec<EndpointAddress>,
        /// The ports.
        pub ports: Vec<EndpointPort>,
    }

    /// One address of an [`EndpointSubset`].
    pub struct EndpointAddress {
        /// The address.
        pub ip: String,
        /// Its name under a headless Service.
        pub hostname: String,
        /// The node it is on.
        pub node_name: Option<String>,
        /// The Pod behind it.
        pub target_ref: Option<ObjectReference>,
    }

    /// One port of an [`EndpointSubset`].
    pub struct EndpointPort {
        /// Pairs with the Service port of the same name and protocol.
        pub name: String,
        /// `TCP` (also when empty), `UDP` or `SCTP`.
        pub protocol: String,
        /// The number on the endpoint.
        pub port: i64,
        /// What is spoken on it.
        pub app_protocol: Option<String>,
    }
}
