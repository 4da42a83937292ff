//! Where does a Gateway listen? Its listeners and those of its ListenerSets, valid and distinct.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use svc_model::api::{self, AllowedNamespaces, LabelSelector, ListenerSet, Namespace, Secret};
use svc_model::{Cluster, Kind, ObjectRef, Resource};

use super::grant::may_refer;
use super::read::{GROUP, listener_hostname};
use crate::host_pattern::HostPattern;

/// A listener that is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listener {
    /// Whose it is: the Gateway's or a ListenerSet's.
    pub owner: ObjectRef,
    /// The index in the owner's `spec.listeners`.
    pub index: usize,
    /// Its name, unique within the owner.
    pub name: Box<str>,
    /// The port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: ListenerProtocol,
    /// The hosts it is for.
    pub hosts: HostPattern,
    /// How TLS is handled; `None` where it is not spoken, and for an HTTPS listener that says nothing.
    pub tls: Option<ListenerTls>,
    /// The kinds of route that may attach.
    pub kinds: Vec<Kind>,
    /// Whether `allowedRoutes.kinds` names a kind that the protocol cannot carry.
    pub has_invalid_kinds: bool,
    pub(super) namespaces: NamespacePolicy,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ListenerProtocol {
    /// Plain HTTP.
    Http,
    /// HTTP in TLS that ends here.
    Https,
    /// TLS that ends here or is passed through.
    Tls,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl ListenerProtocol {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Http, Self::Https, Self::Tls, Self::Tcp, Self::Udp];

    /// As it stands in `protocol`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }

    /// The kinds of route that it can carry.
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Http | Self::Https => &[Kind::HttpRoute, Kind::GrpcRoute],
            Self::Tls => &[Kind::TlsRoute],
            Self::Tcp => &[Kind::TcpRoute],
            Self::Udp => &[Kind::UdpRoute],
        }
    }
}

impl fmt::Display for ListenerProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no protocol of listeners.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of HTTP, HTTPS, TLS, TCP, UDP")]
pub struct UnknownListenerProtocol(pub String);

impl FromStr for ListenerProtocol {
    type Err = UnknownListenerProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownListenerProtocol> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.as_str() == text);
        found.ok_or_else(|| UnknownListenerProtocol(text.chars().take(64).collect()))
    }
}

/// How a listener handles TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerTls {
    /// Whether the bytes go on undecrypted.
    pub passthrough: bool,
    /// The certificates, in order.
    pub certificates: Vec<ListenerCertificate>,
}

/// A certificate reference of a listener. Whether the Secret holds a usable pair is for those to say who can read one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerCertificate {
    /// The index in `tls.certificateRefs`.
    pub index: usize,
    /// The Secret, or what is wrong.
    pub secret: Result<ObjectRef, CertificateFault>,
}

/// What is wrong with a certificate reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is no Secret.
    #[error("{0} is no kind of certificate")]
    Kind(Box<str>),
    /// The Secret is of another namespace, which does not allow it; nothing is said about whether it exists.
    #[error("no ReferenceGrant in namespace {} allows {secret}", .secret.namespace)]
    NotGranted {
        /// The Secret.
        secret: ObjectRef,
    },
    /// There is no such Secret.
    #[error("{0} does not exist")]
    Missing(ObjectRef),
}

impl CertificateFault {
    /// The namespace that would have to change, if one is known.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Kind(_) => None,
            Self::NotGranted { secret } | Self::Missing(secret) => Some(&secret.namespace),
        }
    }

    /// The reason that a listener's condition `ResolvedRefs` gives.
    pub fn condition_reason(&self) -> &'static str {
        match self {
            Self::NotGranted { .. } => "RefNotPermitted",
            Self::Kind(_) | Self::Missing(_) => "InvalidCertificateRef",
        }
    }
}

/// A listener that does not take part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedListener {
    /// Whose it is.
    pub owner: ObjectRef,
    /// The index in the owner's `spec.listeners`.
    pub index: usize,
    /// Its name.
    pub name: Box<str>,
    /// Why.
    pub fault: ListenerFault,
}

/// Why a listener does not take part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenerFault {
    /// Another listener of the owner has the name.
    #[error("another listener has the name {0:?}")]
    Name(Box<str>),
    /// The port is none.
    #[error("{0} is no port: 1 to 65535")]
    Port(i64),
    /// The protocol is not known.
    #[error(transparent)]
    Protocol(#[from] UnknownListenerProtocol),
    /// The hostname is none.
    #[error("{0}")]
    Hostname(String),
    /// A hostname where none can be heard.
    #[error("a {0} listener hears no hostname")]
    HostnameUnheard(ListenerProtocol),
    /// TLS settings where TLS is not spoken.
    #[error("a {0} listener has no tls")]
    TlsUnspoken(ListenerProtocol),
    /// An HTTPS listener that does not terminate, or a TLS listener that does not say whether it does.
    #[error("{0}")]
    TlsMode(&'static str),
    /// Port, protocol and hostname are those of a listener that goes before.
    #[error("listener {0} of {1} has this port, protocol and hostname")]
    SameHostname(Box<str>, ObjectRef),
    /// The port is that of a listener which goes before and speaks what cannot share it.
    #[error("listener {0} of {1} has this port with another protocol")]
    OtherProtocol(Box<str>, ObjectRef),
}

impl ListenerFault {
    /// The reason that the condition `Conflicted` gives; `None` for faults that are no conflicts.
    pub fn conflict_reason(&self) -> Option<&'static str> {
        match self {
            Self::SameHostname(..) => Some("HostnameConflict"),
            Self::OtherProtocol(..) => Some("ProtocolConflict"),
            _ => None,
        }
    }
}

/// The routes of which namespaces may attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamespacePolicy {
    All,
    None,
    Only(Box<str>),
    Selector(LabelSelector),
}

impl NamespacePolicy {
    fn read(namespaces: Option<&AllowedNamespaces>, default: &str, own: &str) -> Self {
        let from = namespaces.and_then(|namespaces| namespaces.from.as_deref()).unwrap_or(default);
        match (from, namespaces.and_then(|namespaces| namespaces.selector.as_ref())) {
            ("All", _) => Self::All,
            ("Same", _) => Self::Only(own.into()),
            ("Selector", Some(selector)) => Self::Selector(selector.clone()),
            _ => Self::None,
        }
    }

    /// Whether a namespace is one of them. Every namespace carries its name as the label `kubernetes.io/metadata.name`.
    pub(super) fn admits(&self, cluster: &Cluster, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(only) => **only == *namespace,
            Self::Selector(selector) => {
                let object = cluster.get::<Namespace>("", namespace);
                let mut labels = object.map(|object| object.metadata.labels.clone()).unwrap_or_default();
                labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
                selector.matches(&labels)
            }
        }
    }

    pub(super) fn is_by_label(&self) -> bool {
        matches!(self, Self::Selector(_))
    }
}

impl Listener {
    /// Whether routes of this kind, from this namespace, may attach; labels of the namespace count as they are in `cluster`.
    pub fn admits(&self, cluster: &Cluster, kind: Kind, namespace: &str) -> bool {
        self.kinds.contains(&kind) && self.namespaces.admits(cluster, namespace)
    }

    /// Whether TLS connections are passed through undecrypted.
    pub fn is_passthrough(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.passthrough)
    }

    /// The Secrets that exist and may be used.
    pub fn secrets(&self) -> impl Iterator<Item = &ObjectRef> {
        self.tls.iter().flat_map(|tls| &tls.certificates).filter_map(|certificate| certificate.secret.as_ref().ok())
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listener {}", self.name)?;
        if self.owner.kind == Kind::ListenerSet {
            write!(f, " of {}", self.owner)?;
        }
        Ok(())
    }
}

/// The listeners of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listeners {
    pub(super) accepted: Vec<Listener>,
    pub(super) refused: Vec<RefusedListener>,
    /// The ListenerSets that name the Gateway, and whether it lets them in.
    pub(super) sets: Vec<(ObjectRef, bool)>,
    /// Whether labels of namespaces decide who may add listeners.
    pub(super) sets_by_label: bool,
    /// The Gateway and the ListenerSets that name it, each with where its accepted listeners lie.
    pub(super) owners: BTreeMap<ObjectRef, Range<usize>>,
    /// The accepted ones by port, protocol and hosts.
    taken: BTreeMap<(u16, ListenerProtocol), BTreeMap<HostPattern, usize>>,
}

impl Listeners {
    /// The Gateway's own first, then those of the ListenerSets it admits, older first, then by name.
    pub(super) fn of(cluster: &Cluster, gateway: &api::Gateway) -> Self {
        let mut listeners = Self::default();
        let spec = &gateway.spec;
        listeners.add(cluster, gateway.reference(), &spec.listeners);
        let allowed = spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
        let policy = NamespacePolicy::read(allowed, "None", gateway.namespace());
        listeners.sets_by_label = policy.is_by_label();
        let mut sets: Vec<&ListenerSet> = cluster.list::<ListenerSet>().filter(|set| is_for(set, gateway)).collect();
        sets.sort_by(|a, b| older(*a, *b));
        for set in sets {
            let admitted = policy.admits(cluster, set.namespace());
            listeners.sets.push((set.reference(), admitted));
            let added = if admitted { set.spec.listeners.as_slice() } else { &[] };
            listeners.add(cluster, set.reference(), added);
        }
        listeners
    }

    fn add(&mut self, cluster: &Cluster, owner: ObjectRef, listeners: &[api::Listener]) {
        let start = self.accepted.len();
        let mut names = BTreeSet::new();
        for (index, listener) in listeners.iter().enumerate() {
            let name: Box<str> = listener.name.as_str().into();
            let accepted = read(cluster, &owner, index, listener).and_then(|listener| {
                if !names.insert(name.clone()) {
                    return Err(ListenerFault::Name(name.clone()));
                }
                self.distinct(&listener)?;
                Ok(listener)
            });
            match accepted {
                Ok(listener) => {
                    let at = self.accepted.len();
                    let taken = self.taken.entry((listener.port, listener.protocol)).or_default();
                    taken.insert(listener.hosts.clone(), at);
                    self.accepted.push(listener);
                }
                Err(fault) => self.refused.push(RefusedListener { owner: owner.clone(), index, name, fault }),
            }
        }
        self.owners.insert(owner, start..self.accepted.len());
    }

    /// Whether no listener before this one is in its way.
    fn distinct(&self, listener: &Listener) -> Result<(), ListenerFault> {
        let named = |at: usize| (self.accepted[at].name.clone(), self.accepted[at].owner.clone());
        let taken = |protocol| self.taken.get(&(listener.port, protocol));
        if let Some(at) = taken(listener.protocol).and_then(|hosts| hosts.get(&listener.hosts)) {
            let (name, owner) = named(*at);
            return Err(ListenerFault::SameHostname(name, owner));
        }
        let others = ListenerProtocol::ALL.into_iter().filter(|other| !can_share(*other, listener.protocol));
        match others.filter_map(taken).filter_map(|hosts| hosts.values().min()).next() {
            Some(at) => {
                let (name, owner) = named(*at);
                Err(ListenerFault::OtherProtocol(name, owner))
            }
            None => Ok(()),
        }
    }
}

/// Whether two protocols can be told apart on one port: what hears hostnames can, and UDP is a world of its own.
fn can_share(one: ListenerProtocol, other: ListenerProtocol) -> bool {
    use ListenerProtocol::{Tcp, Udp};
    one == other || (one == Udp) != (other == Udp) || (one != Tcp && other != Tcp)
}

/// Whether a ListenerSet names this Gateway.
fn is_for(set: &ListenerSet, gateway: &api::Gateway) -> bool {
    let parent = &set.spec.parent_ref;
    parent.group.as_deref().unwrap_or(GROUP) == GROUP
        && parent.kind.as_deref().unwrap_or("Gateway") == "Gateway"
        && parent.namespace.as_deref().unwrap_or(set.namespace()) == gateway.namespace()
        && parent.name == gateway.name()
}

/// The order of age, then of `namespace/name` as one text, which settles most conflicts of the Gateway API.
pub(super) fn older<T: Resource>(a: &T, b: &T) -> Ordering {
    let age = |object: &T| object.metadata().creation_timestamp;
    age(a).cmp(&age(b)).then_with(|| qualified(a).cmp(&qualified(b)))
}

/// `namespace/name`.
pub(super) fn qualified<T: Resource>(object: &T) -> String {
    format!("{}/{}", object.namespace(), object.name())
}

fn read(
    cluster: &Cluster,
    owner: &ObjectRef,
    index: usize,
    listener: &api::Listener,
) -> Result<Listener, ListenerFault> {
    let protocol: ListenerProtocol = listener.protocol.parse()?;
    let port = u16::try_from(listener.port).ok().filter(|port| *port != 0);
    let port = port.ok_or(ListenerFault::Port(listener.port))?;
    let hosts = listener_hostname(listener).map_err(ListenerFault::Hostname)?;
    let speaks_tls = matches!(protocol, ListenerProtocol::Https | ListenerProtocol::Tls);
    let mode = listener.tls.as_ref().map(|tls| tls.mode.as_deref().unwrap_or_default());
    match (protocol, mode) {
        (ListenerProtocol::Tcp | ListenerProtocol::Udp, _) if hosts != HostPattern::Any => {
            return Err(ListenerFault::HostnameUnheard(protocol));
        }
        (_, Some(_)) if !speaks_tls => return Err(ListenerFault::TlsUnspoken(protocol)),
        (ListenerProtocol::Https, Some("" | "Terminate") | None) => {}
        (ListenerProtocol::Https, Some(_)) => {
            return Err(ListenerFault::TlsMode("an HTTPS listener has tls.mode Terminate"));
        }
        (ListenerProtocol::Tls, Some("Terminate" | "Passthrough")) => {}
        (ListenerProtocol::Tls, _) => {
            return Err(ListenerFault::TlsMode("a TLS listener has tls.mode Terminate or Passthrough"));
        }
        _ => {}
    }
    let tls = listener.tls.as_ref().map(|tls| ListenerTls {
        passthrough: tls.mode.as_deref() == Some("Passthrough"),
        certificates: certificates(cluster, owner, tls),
    });
    let allowed = listener.allowed_routes.as_ref();
    let named = allowed.map(|allowed| allowed.kinds.as_slice()).unwrap_or_default();
    let (kinds, has_invalid_kinds) = match named {
        [] => (protocol.kinds().to_vec(), false),
        named => {
            let known = |kind: &Kind| {
                named.iter().any(|name| name.group.as_deref().unwrap_or(GROUP) == GROUP && name.kind == kind.as_str())
            };
            let kinds: Vec<Kind> = protocol.kinds().iter().copied().filter(known).collect();
            let fits = |name: &api::RouteGroupKind| {
                let of_ours = name.group.as_deref().unwrap_or(GROUP) == GROUP;
                of_ours && protocol.kinds().iter().any(|kind| kind.as_str() == name.kind)
            };
            (kinds, !named.iter().all(fits))
        }
    };
    let namespaces = allowed.and_then(|allowed| allowed.namespaces.as_ref());
    Ok(Listener {
        owner: owner.clone(),
        index,
        name: listener.name.as_str().into(),
        port,
        protocol,
        hosts,
        tls,
        kinds,
        has_invalid_kinds,
        namespaces: NamespacePolicy::read(namespaces, "Same", &owner.namespace),
    })
}

/// The certificates of a listener of `owner`.
pub(super) fn certificates(cluster: &Cluster, owner: &ObjectRef, tls: &api::ListenerTls) -> Vec<ListenerCertificate> {
    let read = |reference: &api::SecretObjectReference| {
        let kind = reference.kind.as_deref().unwrap_or("Secret");
        match reference.group.as_deref().unwrap_or_default() {
            "" if kind == "Secret" => {}
            "" => return Err(CertificateFault::Kind(kind.into())),
            group => return Err(CertificateFault::Kind(format!("{kind}.{group}").into())),
        }
        let namespace = reference.namespace.as_deref().unwrap_or(&owner.namespace);
        let secret = ObjectRef::new(Kind::Secret, namespace, reference.name.as_str());
        if !may_refer(cluster, owner.kind, &owner.namespace, "", &secret) {
            return Err(CertificateFault::NotGranted { secret });
        }
        match cluster.get::<Secret>(&secret.namespace, &secret.name) {
            Some(_) => Ok(secret),
            None => Err(CertificateFault::Missing(secret)),
        }
    };
    let all = tls.certificate_refs.iter().enumerate();
    all.map(|(index, reference)| ListenerCertificate { index, secret: read(reference) }).collect()
}
