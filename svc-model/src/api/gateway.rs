//! The Gateway API: classes, gateways and their listeners, grants, backend TLS. Routes are in [`route`](super::HttpRoute).

use super::{LabelSelector, ObjectMeta, StringMap, mirrors};

mirrors! {
    /// A class of Gateways, and the controller that serves it.
    pub struct GatewayClass {
        /// Name, labels.
        pub metadata: ObjectMeta,
        /// The controller.
        pub spec: GatewayClassSpec,
    }

    /// The controller of a class.
    pub struct GatewayClassSpec {
        /// `domain/path`.
        pub controller_name: String,
        /// Words for people.
        pub description: Option<String>,
        /// Its settings.
        pub parameters_ref: Option<ParametersReference>,
    }

    /// An object with settings.
    pub struct ParametersReference {
        /// Its group.
        pub group: String,
        /// Its kind.
        pub kind: String,
        /// Its name.
        pub name: String,
        /// Its namespace; `None` for a cluster-scoped one.
        pub namespace: Option<String>,
    }

    /// A proxy, or several, with listeners that routes attach to.
    pub struct Gateway {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// What is asked for.
        pub spec: GatewaySpec,
        /// What the controller made of it.
        pub status: GatewayStatus,
    }

    /// What a Gateway asks for.
    pub struct GatewaySpec {
        /// Its class.
        pub gateway_class_name: String,
        /// Where it listens.
        pub listeners: Vec<Listener>,
        /// The addresses it should have.
        pub addresses: Vec<GatewayAddress>,
        /// Whose ListenerSets may add listeners; absent means nobody's.
        pub allowed_listeners: Option<AllowedListeners>,
        /// Settings of TLS for all listeners.
        pub tls: Option<GatewayTls>,
        /// What the controller makes for it.
        pub infrastructure: Option<GatewayInfrastructure>,
    }

    /// What a controller makes for a Gateway: its Services, Deployments and the like.
    pub struct GatewayInfrastructure {
        /// Labels for them.
        pub labels: StringMap,
        /// Annotations for them.
        pub annotations: StringMap,
        /// Settings of the implementation.
        pub parameters_ref: Option<ParametersReference>,
    }

    /// What a controller made of a Gateway.
    pub struct GatewayStatus {
        /// The addresses it has.
        pub addresses: Vec<GatewayAddress>,
    }

    /// An address of a Gateway.
    pub struct GatewayAddress {
        /// `IPAddress` (also when absent), `Hostname`, or a domain-prefixed word.
        #[serde(rename = "type")]
        pub type_: Option<String>,
        /// The address.
        pub value: String,
    }

    /// Where a Gateway listens, and who may attach there.
    pub struct Listener {
        /// Its name, which a parent reference calls `sectionName`.
        pub name: String,
        /// The host it is for: exact, `*.` and a suffix of any depth, or absent for all.
        pub hostname: Option<String>,
        /// The port.
        pub port: i64,
        /// `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`, or a domain-prefixed word.
        pub protocol: String,
        /// Its certificates, for `HTTPS` and `TLS`.
        pub tls: Option<ListenerTls>,
        /// Who may attach; absent means routes of the same namespace, of the kinds of the protocol.
        pub allowed_routes: Option<AllowedRoutes>,
    }

    /// How a listener handles TLS.
    pub struct ListenerTls {
        /// `Terminate` (also when absent) or `Passthrough`.
        pub mode: Option<String>,
        /// The certificates.
        pub certificate_refs: Vec<SecretObjectReference>,
        /// Settings of the implementation.
        pub options: StringMap,
    }

    /// A Secret, or something like it.
    pub struct SecretObjectReference {
        /// Its group; absent means the core group.
        pub group: Option<String>,
        /// Its kind; absent means `Secret`.
        pub kind: Option<String>,
        /// Its name.
        pub name: String,
        /// Its namespace; absent means that of the object which refers to it.
        pub namespace: Option<String>,
    }

    /// Who may attach to a listener.
    pub struct AllowedRoutes {
        /// Of which namespaces.
        pub namespaces: Option<AllowedNamespaces>,
        /// Of which kinds; empty means those of the listener's protocol.
        pub kinds: Vec<RouteGroupKind>,
    }

    /// Whose ListenerSets may add listeners.
    pub struct AllowedListeners {
        /// Of which namespaces; absent means none.
        pub namespaces: Option<AllowedNamespaces>,
    }

    /// Namespaces that may do something.
    pub struct AllowedNamespaces {
        /// `All`, `Selector`, `Same` or `None`.
        pub from: Option<String>,
        /// By their labels, for `Selector`.
        pub selector: Option<LabelSelector>,
    }

    /// A kind of route.
    pub struct RouteGroupKind {
        /// Its group; absent means `gateway.networking.k8s.io`.
        pub group: Option<String>,
        /// Its kind.
        pub kind: String,
    }

    /// Settings of TLS for a whole Gateway.
    pub struct GatewayTls {
        /// How clients are validated.
        pub frontend: Option<FrontendTls>,
        /// What the Gateway shows to backends.
        pub backend: Option<GatewayBackendTls>,
    }

    /// How clients are validated, by port.
    pub struct FrontendTls {
        /// On every port that has nothing else.
        pub default: ClientTls,
        /// On single ports.
        pub per_port: Vec<PortTls>,
    }

    /// How the clients of one port are validated.
    pub struct PortTls {
        /// The port.
        pub port: i64,
        /// How.
        pub tls: ClientTls,
    }

    /// How clients are validated.
    pub struct ClientTls {
        /// Absent means not at all.
        pub validation: Option<FrontendValidation>,
    }

    /// Which client certificates are accepted.
    pub struct FrontendValidation {
        /// Who must have signed them.
        pub ca_certificate_refs: Vec<SecretObjectReference>,
        /// `AllowValidOnly` (also when absent) or `AllowInsecureFallback`.
        pub mode: Option<String>,
    }

    /// What a Gateway shows to backends.
    pub struct GatewayBackendTls {
        /// Its client certificate.
        pub client_certificate_ref: Option<SecretObjectReference>,
    }

    /// More listeners for a Gateway, by another owner.
    pub struct ListenerSet {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// The listeners.
        pub spec: ListenerSetSpec,
    }

    /// More listeners for a Gateway.
    pub struct ListenerSetSpec {
        /// The Gateway.
        pub parent_ref: ParentReference,
        /// The listeners.
        pub listeners: Vec<Listener>,
    }

    /// What a route, or a ListenerSet, attaches to.
    pub struct ParentReference {
        /// Its group; absent means `gateway.networking.k8s.io`.
        pub group: Option<String>,
        /// Its kind; absent means `Gateway`.
        pub kind: Option<String>,
        /// Its namespace; absent means that of the object which refers to it.
        pub namespace: Option<String>,
        /// Its name.
        pub name: String,
        /// The name of one listener; absent means all.
        pub section_name: Option<String>,
        /// The port of listeners; absent means all.
        pub port: Option<i64>,
    }

    /// Leave of a namespace to refer to its objects from another.
    pub struct ReferenceGrant {
        /// Name, and the namespace that gives it.
        pub metadata: ObjectMeta,
        /// Who may refer to what.
        pub spec: ReferenceGrantSpec,
    }

    /// Who may refer to what: each of `from` to each of `to`.
    pub struct ReferenceGrantSpec {
        /// Who.
        pub from: Vec<ReferenceGrantFrom>,
        /// To what.
        pub to: Vec<ReferenceGrantTo>,
    }

    /// Objects that may refer.
    pub struct ReferenceGrantFrom {
        /// Their group.
        pub group: String,
        /// Their kind.
        pub kind: String,
        /// Their namespace.
        pub namespace: String,
    }

    /// Objects that may be referred to.
    pub struct ReferenceGrantTo {
        /// Their group; empty for the core group.
        pub group: String,
        /// Their kind.
        pub kind: String,
        /// The name of one; absent means all.
        pub name: Option<String>,
    }

    /// How gateways dial a Service.
    pub struct BackendTlsPolicy {
        /// Name, namespace, labels.
        pub metadata: ObjectMeta,
        /// The policy.
        pub spec: BackendTlsPolicySpec,
    }

    /// How gateways dial a Service.
    pub struct BackendTlsPolicySpec {
        /// The Services, in the policy's namespace.
        pub target_refs: Vec<PolicyTargetReference>,
        /// Whose certificate they must show.
        pub validation: BackendTlsValidation,
        /// Settings of the implementation.
        pub options: StringMap,
    }

    /// An object that a policy is about, in its own namespace.
    pub struct PolicyTargetReference {
        /// Its group.
        pub group: String,
        /// Its kind.
        pub kind: String,
        /// Its name.
        pub name: String,
        /// The name of one part, such as a port of a Service.
        pub section_name: Option<String>,
    }

    /// Which certificates of a backend are accepted.
    pub struct BackendTlsValidation {
        /// Who must have signed them.
        pub ca_certificate_refs: Vec<ParametersReference>,
        /// `System`, in place of references.
        #[serde(rename = "wellKnownCACertificates")]
        pub well_known_ca_certificates: Option<String>,
        /// The server name, which the certificate must have unless alternatives are given.
        pub hostname: String,
        /// Names of which the certificate must have one.
        pub subject_alt_names: Vec<SubjectAltName>,
    }

    /// A name in a certificate.
    pub struct SubjectAltName {
        /// `Hostname` or `URI`.
        #[serde(rename = "type")]
        pub type_: String,
        /// The host.
        pub hostname: Option<String>,
        /// The URI.
        pub uri: Option<String>,
    }
}
