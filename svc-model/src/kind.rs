//! Which kinds of object are known, in which API versions, and where do they live?

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, DeserializeSeed, Deserializer};

use crate::api::{self, ObjectMeta};

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In a namespace; `default` when none is written.
    Namespaced,
    /// Once for the whole cluster.
    Cluster,
    /// A program's configuration file: it has neither name nor namespace.
    Configuration,
}

/// A group and version of a kind, such as `apps/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ApiVersion {
    /// As written in `apiVersion`.
    pub name: &'static str,
    /// The Kubernetes release that stopped serving it, or that deprecated it; `None` for a current version.
    pub retired: Option<Retired>,
}

/// Since when a version should not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retired {
    /// Still served, but deprecated since this release.
    Deprecated(&'static str),
    /// No longer served since this release.
    Removed(&'static str),
}

impl ApiVersion {
    /// The part before the slash; empty for the core group.
    pub fn group(&self) -> &'static str {
        self.name.split_once('/').map_or("", |(group, _)| group)
    }
}

/// A typed mirror that [`Cluster`](crate::Cluster) holds.
pub trait Resource: Sized + 'static {
    /// Its kind.
    const KIND: Kind;

    /// Name, namespace, labels.
    fn metadata(&self) -> &ObjectMeta;

    /// The object as this type, if it is of this kind.
    fn of(object: &Object) -> Option<&Self>;

    /// The namespace it lives in: `default` for a namespaced object that names none, empty for the other scopes.
    fn namespace(&self) -> &str {
        match Self::KIND.scope() {
            Scope::Namespaced if self.metadata().namespace.is_empty() => "default",
            Scope::Namespaced => &self.metadata().namespace,
            Scope::Cluster | Scope::Configuration => "",
        }
    }

    /// Its name; empty for a configuration.
    fn name(&self) -> &str {
        match Self::KIND.scope() {
            Scope::Configuration => "",
            _ => &self.metadata().name,
        }
    }

    /// Kind, namespace and name.
    fn reference(&self) -> ObjectRef {
        ObjectRef { kind: Self::KIND, namespace: self.namespace().into(), name: self.name().into() }
    }

    /// Namespace and name.
    fn key(&self) -> NamespacedName {
        NamespacedName { namespace: self.namespace().into(), name: self.name().into() }
    }
}

macro_rules! kinds {
    ($($Kind:ident $text:literal $(= $in_manifest:literal)? $scope:ident [$($version:literal $($retired:ident $since:literal)?),*];)*) => {
        /// The kinds of object that are known.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = concat!("`", $text, "`")] $Kind,)*
        }

        /// An object of any known kind.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Object {
            $(#[doc = concat!("A `", $text, "`")] $Kind(api::$Kind),)*
        }

        impl Kind {
            /// Every known kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$Kind),*];

            /// The name: what manifests call it, save that no two kinds share one (see [`in_manifest`](Self::in_manifest)).
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$Kind => $text,)* }
            }

            /// The name as written in `kind`, which two kinds of different groups may share: Istio's Gateway is
            /// [`Kind::IstioGateway`] here and `Gateway` there.
            pub fn in_manifest(self) -> &'static str {
                match self { $(Kind::$Kind => kinds!(@in_manifest $text $($in_manifest)?),)* }
            }

            /// Whether its objects live in a namespace.
            pub fn scope(self) -> Scope {
                match self { $(Kind::$Kind => Scope::$scope,)* }
            }

            /// The versions that are read, the current one first. All of them end in the same mirror.
            pub fn versions(self) -> &'static [ApiVersion] {
                match self {
                    $(Kind::$Kind => &[$(ApiVersion { name: $version, retired: kinds!(@retired $($retired $since)?) }),*],)*
                }
            }
        }

        /// Writes a manifest: `apiVersion`, `kind` and the fields that differ from their defaults.
        impl serde::Serialize for Object {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[derive(serde::Serialize)]
                #[serde(rename_all = "camelCase")]
                struct Manifest<'a, T> {
                    api_version: &'static str,
                    kind: &'static str,
                    #[serde(flatten)]
                    object: &'a T,
                }
                let kind = self.kind();
                let api_version = kind.versions().first().map_or("", |version| version.name);
                match self {
                    $(Object::$Kind(object) => Manifest { api_version, kind: kind.in_manifest(), object }.serialize(serializer),)*
                }
            }
        }

        /// Reads an object of this kind from its document (`apiVersion` and `kind` in it are not looked at).
        impl<'de> DeserializeSeed<'de> for Kind {
            type Value = Object;
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
                match self { $(Kind::$Kind => api::$Kind::deserialize(deserializer).map(Object::$Kind),)* }
            }
        }

        impl Object {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Object::$Kind(_) => Kind::$Kind,)* }
            }

            /// Name, namespace, labels.
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Object::$Kind(object) => &object.metadata,)* }
            }

            /// Kind, namespace and name.
            pub fn reference(&self) -> ObjectRef {
                match self { $(Object::$Kind(object) => object.reference(),)* }
            }
        }

        $(
            impl Resource for api::$Kind {
                const KIND: Kind = Kind::$Kind;
                fn metadata(&self) -> &ObjectMeta {
                    &self.metadata
                }
                fn of(object: &Object) -> Option<&Self> {
                    match object {
                        Object::$Kind(object) => Some(object),
                        _ => None,
                    }
                }
            }

            impl From<api::$Kind> for Object {
                fn from(object: api::$Kind) -> Object {
                    Object::$Kind(object)
                }
            }
        )*
    };
    (@in_manifest $text:literal) => { $text };
    (@in_manifest $text:literal $in_manifest:literal) => { $in_manifest };
    (@retired) => { None };
    (@retired $retired:ident $since:literal) => { Some(Retired::$retired($since)) };
}

kinds! {
    BackendTlsPolicy "BackendTLSPolicy" Namespaced
        ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha3"];
    ConfigMap "ConfigMap" Namespaced ["v1"];
    CronJob "CronJob" Namespaced ["batch/v1", "batch/v1beta1" Removed "1.25"];
    DaemonSet "DaemonSet" Namespaced ["apps/v1", "apps/v1beta2" Removed "1.16", "extensions/v1beta1" Removed "1.16"];
    Deployment "Deployment" Namespaced
        ["apps/v1", "apps/v1beta2" Removed "1.16", "apps/v1beta1" Removed "1.16", "extensions/v1beta1" Removed "1.16"];
    DestinationRule "DestinationRule" Namespaced
        ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
    EndpointSlice "EndpointSlice" Namespaced ["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1" Removed "1.25"];
    Endpoints "Endpoints" Namespaced ["v1" Deprecated "1.33"];
    Gateway "Gateway" Namespaced
        ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1alpha2"];
    GatewayClass "GatewayClass" Cluster
        ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1alpha2"];
    GrpcRoute "GRPCRoute" Namespaced ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];
    HttpRoute "HTTPRoute" Namespaced
        ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1alpha2"];
    Ingress "Ingress" Namespaced
        ["networking.k8s.io/v1", "networking.k8s.io/v1beta1" Removed "1.22", "extensions/v1beta1" Removed "1.22"];
    IngressClass "IngressClass" Cluster ["networking.k8s.io/v1", "networking.k8s.io/v1beta1" Removed "1.22"];
    IstioGateway "IstioGateway" = "Gateway" Namespaced
        ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
    Job "Job" Namespaced ["batch/v1"];
    KubeProxyConfiguration "KubeProxyConfiguration" Configuration ["kubeproxy.config.k8s.io/v1alpha1"];
    KubeletConfiguration "KubeletConfiguration" Configuration ["kubelet.config.k8s.io/v1beta1"];
    ListenerSet "ListenerSet" Namespaced ["gateway.networking.k8s.io/v1"];
    Namespace "Namespace" Cluster ["v1"];
    Node "Node" Cluster ["v1"];
    Pod "Pod" Namespaced ["v1"];
    ReferenceGrant "ReferenceGrant" Namespaced
        ["gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];
    ReplicaSet "ReplicaSet" Namespaced ["apps/v1", "apps/v1beta2" Removed "1.16", "extensions/v1beta1" Removed "1.16"];
    Secret "Secret" Namespaced ["v1"];
    Service "Service" Namespaced ["v1"];
    ServiceCidr "ServiceCIDR" Cluster ["networking.k8s.io/v1", "networking.k8s.io/v1beta1"];
    ServiceEntry "ServiceEntry" Namespaced
        ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
    Sidecar "Sidecar" Namespaced
        ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
    StatefulSet "StatefulSet" Namespaced ["apps/v1", "apps/v1beta2" Removed "1.16", "apps/v1beta1" Removed "1.16"];
    TcpRoute "TCPRoute" Namespaced ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];
    TlsRoute "TLSRoute" Namespaced
        ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha3", "gateway.networking.k8s.io/v1alpha2"];
    UdpRoute "UDPRoute" Namespaced ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];
    VirtualService "VirtualService" Namespaced
        ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
    WorkloadEntry "WorkloadEntry" Namespaced
        ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
    WorkloadGroup "WorkloadGroup" Namespaced
        ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no known kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind {0:?}")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Kind, UnknownKind> {
        let found = Kind::ALL.iter().find(|kind| kind.as_str() == text);
        found.copied().ok_or_else(|| UnknownKind(text.chars().take(64).collect()))
    }
}

/// Namespace and name; the namespace is empty for what lives in none.
///
/// Written `namespace/name`, or the bare name without a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: Box<str>,
    /// The name.
    pub name: Box<str>,
}

impl NamespacedName {
    /// Puts the two together.
    pub fn new(namespace: impl Into<Box<str>>, name: impl Into<Box<str>>) -> NamespacedName {
        NamespacedName { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// A text that is not `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form NAMESPACE/NAME")]
pub struct NamespacedNameError(pub String);

impl FromStr for NamespacedName {
    type Err = NamespacedNameError;

    fn from_str(text: &str) -> Result<NamespacedName, NamespacedNameError> {
        let error = || NamespacedNameError(text.chars().take(64).collect());
        let (namespace, name) = match text.split_once('/') {
            Some(("", _)) => return Err(error()),
            Some(parts) => parts,
            None => ("", text),
        };
        if name.is_empty() || name.contains('/') {
            return Err(error());
        }
        Ok(NamespacedName::new(namespace, name))
    }
}

/// Which object: kind, namespace and name.
///
/// Written `KIND/NAMESPACE/NAME`, `KIND/NAME` for a cluster-scoped kind, `KIND` alone for a configuration; ordered by
/// kind, namespace, name.
///
/// ```
/// use svc_model::{Kind, ObjectRef};
/// let reference: ObjectRef = "Service/shop/cart".parse()?;
/// assert_eq!(reference.kind, Kind::Service);
/// assert_eq!(reference.to_string(), "Service/shop/cart");
/// assert_eq!("Node/n1".parse::<ObjectRef>()?.namespace, "".into());
/// assert!("Service/cart".parse::<ObjectRef>().is_err());
/// let gateway: ObjectRef = "IstioGateway/shop/edge".parse()?;
/// assert_eq!(gateway.in_manifest(), "Gateway/shop/edge");
/// # Ok::<(), svc_model::ObjectRefError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for a kind that lives in none.
    pub namespace: Box<str>,
    /// Its name; empty for a configuration.
    pub name: Box<str>,
}

impl ObjectRef {
    /// A reference to an object of this kind; give an empty namespace for a kind that lives in none.
    pub fn new(kind: Kind, namespace: impl Into<Box<str>>, name: impl Into<Box<str>>) -> ObjectRef {
        ObjectRef { kind, namespace: namespace.into(), name: name.into() }
    }

    /// Namespace and name.
    pub fn key(&self) -> NamespacedName {
        NamespacedName { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The same text with the kind as manifests call it, for those who look at the manifest: `Gateway/NAMESPACE/NAME` for
    /// Istio's Gateway too.
    pub fn in_manifest(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text, self.kind.in_manifest());
        text
    }

    fn write(&self, to: &mut impl fmt::Write, kind: &str) -> fmt::Result {
        match self.kind.scope() {
            Scope::Namespaced => write!(to, "{kind}/{}/{}", self.namespace, self.name),
            Scope::Cluster => write!(to, "{kind}/{}", self.name),
            Scope::Configuration => to.write_str(kind),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.kind.as_str())
    }
}

/// Why a text is no [`ObjectRef`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectRefError {
    /// The kind is unknown.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
    /// The kind does not live where the text says.
    #[error("{text:?} is not of the form {form}")]
    Form {
        /// The text.
        text: String,
        /// The form it should have.
        form: &'static str,
    },
}

impl FromStr for ObjectRef {
    type Err = ObjectRefError;

    fn from_str(text: &str) -> Result<ObjectRef, ObjectRefError> {
        let mut parts = text.split('/');
        let kind: Kind = parts.next().unwrap_or_default().parse()?;
        let rest: Vec<&str> = parts.take(3).collect();
        match (kind.scope(), rest.as_slice()) {
            (Scope::Namespaced, &[namespace, name]) if !namespace.is_empty() && !name.is_empty() => {
                Ok(ObjectRef::new(kind, namespace, name))
            }
            (Scope::Cluster, &[name]) if !name.is_empty() => Ok(ObjectRef::new(kind, "", name)),
            (Scope::Configuration, []) => Ok(ObjectRef::new(kind, "", "")),
            (scope, _) => Err(ObjectRefError::Form {
                text: text.chars().take(128).collect(),
                form: match scope {
                    Scope::Namespaced => "KIND/NAMESPACE/NAME",
                    Scope::Cluster => "KIND/NAME",
                    Scope::Configuration => "KIND",
                },
            }),
        }
    }
}
