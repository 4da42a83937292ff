//! Why is that the answer?

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use svc_model::ObjectRef;

use super::table::Table;
use crate::name::{Label, NameRef};
use crate::record::RecordType;

/// Why a question is answered as it is. Borrows from the zone and from the question, so that it costs nothing unread;
/// displays as a line for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// The name has such records.
    Has(Owner<'a>),
    /// The name exists, but has no records of that type.
    NoData(Owner<'a>, RecordType),
    /// The name does not exist.
    Missing(Missing<'a>),
    /// The name does not exist, and the Corefile leaves such names to others (`fallthrough`).
    FallsThrough(Missing<'a>),
    /// ExternalName Services lead back to one another; the Service named is the first that came up twice.
    AliasLoop {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// More ExternalName Services lead to one another than are followed.
    TooManyAliases {
        /// The last that was followed.
        service: &'a ObjectRef,
    },
    /// The name lies in no zone that is answered for.
    NotOurs,
    /// The whole zone, as asked.
    Transfer,
    /// Whole zones are not handed out, or the name is not that of a zone.
    NoTransfer,
    /// The objects have not been read yet.
    NotLoaded,
}

/// What a name that exists stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner<'a> {
    /// A Service.
    Service {
        /// The Service.
        service: &'a ObjectRef,
        /// Which addresses it answers with.
        kind: ServiceKind,
    },
    /// An endpoint of a Service.
    Endpoint {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// A named port of a Service.
    Port {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// The protocol of named ports of a Service.
    Protocol {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// An ExternalName Service.
    Alias {
        /// The Service.
        service: &'a ObjectRef,
        /// What it stands for.
        target: NameRef<'a>,
    },
    /// A Pod, verified.
    Pod {
        /// The Pod.
        pod: &'a ObjectRef,
    },
    /// An address within the name itself; no Pod was looked for.
    PodAddress {
        /// The address.
        addr: IpAddr,
    },
    /// The reverse name of an address of Services or their endpoints.
    Address {
        /// The address.
        addr: IpAddr,
        /// The first such Service.
        service: &'a ObjectRef,
        /// How many names the address has.
        names: usize,
    },
    /// A namespace.
    Namespace,
    /// A name that is there because names below it are.
    Inner,
    /// The zone itself.
    Apex,
    /// The name server.
    NameServer,
    /// The version of the DNS specification.
    Version,
}

/// Which addresses the name of a Service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceKind {
    /// Its cluster IPs.
    ClusterIp,
    /// None yet: it waits for a cluster IP.
    NoClusterIp,
    /// Those of its ready endpoints.
    Headless {
        /// How many there are.
        ready: usize,
    },
    /// Those of another name.
    ExternalName,
}

impl ServiceKind {
    pub(super) fn is_headless(self) -> bool {
        matches!(self, Self::Headless { .. })
    }
}

/// Why a name does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing<'a> {
    /// No such namespace, or it is not exposed.
    Namespace {
        /// As asked.
        namespace: Label<'a>,
    },
    /// No such Service, and perhaps no such namespace either.
    Service {
        /// As asked.
        service: Label<'a>,
        /// As asked.
        namespace: Label<'a>,
        /// Asked by those who want to know more: few read on, and most questions of a cluster end here.
        namespaces: Namespaces<'a>,
    },
    /// The Service has no ready endpoint of that name.
    Endpoint {
        /// As asked.
        endpoint: Label<'a>,
        /// The Service.
        service: &'a ObjectRef,
    },
    /// The Service has no port of that name and protocol.
    Port {
        /// As asked.
        port: Label<'a>,
        /// As asked.
        protocol: Label<'a>,
        /// The Service.
        service: &'a ObjectRef,
    },
    /// The Service is headless and has no ready endpoint.
    NoEndpoints {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// The Service has no ready endpoint, and the Corefile hides such (`ignore empty_service`).
    EmptyService {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// The ExternalName of the Service is an address, which no name can be an alias of.
    AliasOfAddress {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// The ExternalName of the Service is no DNS name.
    AliasOfNothing {
        /// The Service.
        service: &'a ObjectRef,
    },
    /// Names of Pod addresses are not answered (`pods disabled`).
    PodsDisabled,
    /// No live Pod of the namespace has the address.
    Pod {
        /// As asked.
        address: Label<'a>,
        /// As asked.
        namespace: Label<'a>,
    },
    /// The label is no address.
    NotAnAddress {
        /// As asked.
        label: Label<'a>,
    },
    /// No Service and no endpoint has the address.
    Address {
        /// The address.
        addr: IpAddr,
    },
    /// No name of a cluster has this form.
    Form,
}

impl<'a> Reason<'a> {
    /// The object that decided, if one did.
    pub fn object(&self) -> Option<&'a ObjectRef> {
        match *self {
            Self::Has(owner) | Self::NoData(owner, _) => owner.object(),
            Self::Missing(missing) | Self::FallsThrough(missing) => missing.object(),
            Self::AliasLoop { service } | Self::TooManyAliases { service } => Some(service),
            Self::NotOurs | Self::Transfer | Self::NoTransfer | Self::NotLoaded => None,
        }
    }
}

impl<'a> Owner<'a> {
    fn object(&self) -> Option<&'a ObjectRef> {
        match *self {
            Self::Service { service, .. }
            | Self::Endpoint { service }
            | Self::Port { service }
            | Self::Protocol { service }
            | Self::Alias { service, .. }
            | Self::Address { service, .. } => Some(service),
            Self::Pod { pod } => Some(pod),
            Self::PodAddress { .. } | Self::Namespace | Self::Inner | Self::Apex | Self::NameServer | Self::Version => {
                None
            }
        }
    }
}

/// The namespaces of a zone that exist and are exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces<'a>(pub(super) &'a Table<Arc<str>>);

impl Namespaces<'_> {
    /// Whether one has this name, without regard to case. One hash look-up.
    pub fn contains(&self, name: Label<'_>) -> bool {
        self.0.get(name.0).is_some()
    }
}

impl<'a> Missing<'a> {
    fn object(&self) -> Option<&'a ObjectRef> {
        match *self {
            Self::Endpoint { service, .. }
            | Self::Port { service, .. }
            | Self::NoEndpoints { service }
            | Self::EmptyService { service }
            | Self::AliasOfAddress { service }
            | Self::AliasOfNothing { service } => Some(service),
            _ => None,
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Has(owner) => owner.fmt(f),
            Self::NoData(owner, record_type) => write!(f, "{owner}; no {record_type} record there"),
            Self::Missing(missing) => missing.fmt(f),
            Self::FallsThrough(missing) => write!(f, "{missing}; left to others by fallthrough"),
            Self::AliasLoop { service } => write!(f, "the aliases lead back to {service}"),
            Self::TooManyAliases { service } => write!(f, "too many aliases, the last followed is {service}"),
            Self::NotOurs => f.write_str("in no zone of this cluster"),
            Self::Transfer => f.write_str("transfer of the whole zone"),
            Self::NoTransfer => f.write_str("zone transfer is not allowed"),
            Self::NotLoaded => f.write_str("the objects of the cluster have not been read yet"),
        }
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { service, kind } => match kind {
                ServiceKind::ClusterIp => write!(f, "{service} has a cluster IP"),
                ServiceKind::NoClusterIp => write!(f, "{service} has no cluster IP yet"),
                ServiceKind::Headless { ready: 1 } => write!(f, "{service} is headless: its ready endpoint"),
                ServiceKind::Headless { ready } => write!(f, "{service} is headless: its {ready} ready endpoints"),
                ServiceKind::ExternalName => write!(f, "{service} is an ExternalName"),
            },
            Self::Endpoint { service } => write!(f, "ready endpoint of {service}"),
            Self::Port { service } => write!(f, "port of {service}"),
            Self::Protocol { service } => write!(f, "protocol of named ports of {service}"),
            Self::Alias { service, target } => write!(f, "{service} is an ExternalName for {target}"),
            Self::Pod { pod } => write!(f, "{pod} has that address"),
            Self::PodAddress { addr } => write!(f, "{addr} is in the name itself (pods insecure)"),
            Self::Address { addr, service, names: 1 } => write!(f, "{addr} belongs to {service}"),
            Self::Address { addr, service, names } => write!(f, "{addr} has {names} names, the first in {service}"),
            Self::Namespace => f.write_str("a namespace"),
            Self::Inner => f.write_str("names exist below it"),
            Self::Apex => f.write_str("the zone itself"),
            Self::NameServer => f.write_str("the DNS service"),
            Self::Version => f.write_str("the version of the DNS specification"),
        }
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace { namespace } => write!(f, "no namespace {namespace}"),
            Self::Service { namespace, namespaces, .. } if !namespaces.contains(*namespace) => {
                Missing::Namespace { namespace: *namespace }.fmt(f)
            }
            Self::Service { service, namespace, .. } => write!(f, "no Service {service} in namespace {namespace}"),
            Self::Endpoint { endpoint, service } => write!(f, "{service} has no ready endpoint named {endpoint}"),
            Self::Port { port, protocol, service } => write!(f, "{service} has no port {port} of protocol {protocol}"),
            Self::NoEndpoints { service } => write!(f, "{service} is headless and has no ready endpoint"),
            Self::EmptyService { service } => write!(f, "{service} has no ready endpoint (ignore empty_service)"),
            Self::AliasOfAddress { service } => write!(f, "the externalName of {service} is an address, no name"),
            Self::AliasOfNothing { service } => write!(f, "the externalName of {service} is no DNS name"),
            Self::PodsDisabled => f.write_str("names of Pod addresses are switched off (pods disabled)"),
            Self::Pod { address, namespace } => {
                write!(f, "no live Pod of namespace {namespace} has the address {address}")
            }
            Self::NotAnAddress { label } => write!(f, "{label} is no address"),
            Self::Address { addr } => write!(f, "no Service and no ready endpoint has the address {addr}"),
            Self::Form => f.write_str("no name of a cluster has this form"),
        }
    }
}
