//! What becomes of a request or a connection that a workload sends, and why?

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::streams::ServiceStreams;
use super::{MeshTable, PortTable};
use crate::action::Backends;
use crate::authority::Authority;
use crate::host::{Host, HostKind};
use crate::host_pattern::HostPattern;
use crate::istio::destination::Destination;
use crate::istio::registry::MeshService;
use crate::istio::route_table::HttpDecision;
use crate::istio::rule::{HttpRule, Origin};
use crate::istio::sidecar::OutboundPolicy;
use crate::istio::stream::StreamRule;
use crate::question::{HttpQuestion, Scheme};
use crate::router::Match;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum MeshDecision<'t> {
    /// The proxy reads it, and its rules decide.
    Http(HttpDecision<'t>),
    /// The proxy does not read it: its connection decides.
    Stream(StreamDecision<'t>),
}

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StreamDecision<'t> {
    /// Where it goes; `None` for nowhere, or where the client meant.
    pub rule: Option<&'t StreamRule>,
    /// Why.
    pub reason: StreamReason<'t>,
}

/// Why a connection goes where it goes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StreamReason<'t> {
    /// The rule for this service, by its name or address.
    Service(&'t Arc<MeshService>),
    /// A rule for the address, which no service has to itself.
    Range(IpAddr),
    /// A rule for the server name.
    ServerName,
    /// Requests to the destination are read on this port, so that `http` rules decide.
    Http,
    /// Nobody knows the destination, and all such are let through.
    AllowAny,
    /// Nobody knows the destination, and all such are refused.
    RegistryOnly,
}

/// Where a client connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamTarget<'a> {
    /// To an address.
    Address(IpAddr),
    /// To an address of this name.
    Name(&'a Host),
}

impl<'a> StreamTarget<'a> {
    /// A host is a name or an address.
    pub fn of(host: &'a Host) -> Self {
        match host.kind() {
            HostKind::Ipv4(addr) => Self::Address(addr.into()),
            HostKind::Ipv6(addr) => Self::Address(addr.into()),
            _ => Self::Name(host),
        }
    }
}

impl<'t> StreamDecision<'t> {
    /// Whether the connection goes where the client meant (`PassthroughCluster`).
    pub fn is_passthrough(&self) -> bool {
        self.rule.is_none() && self.reason == StreamReason::AllowAny
    }

    /// Who says so.
    pub fn origin(&self) -> Option<&'t Origin> {
        self.rule.map(|rule| &rule.origin)
    }
}

impl<'t> MeshDecision<'t> {
    /// Who says so, if anybody does.
    pub fn origin(&self) -> Option<&'t Origin> {
        match self {
            Self::Http(decision) => decision.rule.map(|rule| &rule.origin),
            Self::Stream(decision) => decision.origin(),
        }
    }

    /// Where it goes, if it is forwarded by a rule.
    pub fn backends(&self) -> Option<&'t Backends<Destination>> {
        match self {
            Self::Http(decision) => decision.rule.and_then(|rule| rule.action.backends()),
            Self::Stream(decision) => decision.rule.map(|rule| &rule.backends),
        }
    }
}

impl MeshTable {
    /// What becomes of this request. Over HTTPS the client's TLS hides it, so that its connection decides by the server name, which is the
    /// host; the same holds for ports on which no requests are read.
    ///
    /// Costs what [`RouteTable::decide`](crate::istio::RouteTable::decide) does, or [`decide_tls`](Self::decide_tls).
    pub fn decide(&self, question: &HttpQuestion<'_>) -> MeshDecision<'_> {
        let http = self.ports.get(&question.port).and_then(|port| port.http.as_ref());
        match (question.scheme, http) {
            (Scheme::Http, Some(http)) => {
                // Bytes to the address of a service that takes no requests are not read.
                let hidden = self.hidden(question);
                hidden.map_or_else(|| MeshDecision::Http(http.table().decide(question)), MeshDecision::Stream)
            }
            (Scheme::Http, None) => match Authority::parse(question.host) {
                Ok(authority) => {
                    MeshDecision::Stream(self.decide_tcp(question.port, StreamTarget::of(authority.host())))
                }
                Err(_) => MeshDecision::Stream(self.unknown()),
            },
            (Scheme::Https, _) => {
                let host = Authority::parse(question.host).ok();
                let name = host.as_ref().map(Authority::host).filter(|host| host.is_name());
                MeshDecision::Stream(self.decide_tls(question.port, name))
            }
        }
    }

    /// The decision about the connection of a request to a service that takes none on this port, though others do.
    fn hidden(&self, question: &HttpQuestion<'_>) -> Option<StreamDecision<'_>> {
        let authority = Authority::parse(question.host).ok()?;
        let port = self.ports.get(&question.port)?;
        let target = StreamTarget::of(authority.host());
        let streams = port.streams(target)?;
        if streams.protocol.takes_http() { None } else { Some(self.decide_tcp(question.port, target)) }
    }

    /// Everything that takes this request, the best first, by a plain scan; empty where no requests are read.
    pub fn candidates(&self, question: &HttpQuestion<'_>) -> Vec<Match<'_, Arc<HttpRule>>> {
        match self.decide(question) {
            MeshDecision::Http(_) => {
                let table = self.virtual_hosts(question.port);
                table.map(|table| table.candidates(question)).unwrap_or_default()
            }
            MeshDecision::Stream(_) => Vec::new(),
        }
    }

    /// What becomes of a TCP connection that is not read as requests. Allocates nothing, save for an address that nobody has.
    pub fn decide_tcp(&self, port: u16, target: StreamTarget<'_>) -> StreamDecision<'_> {
        let Some(port) = self.ports.get(&port) else { return self.unknown() };
        let unread = || match target {
            StreamTarget::Name(name) => self.unread(port, name),
            StreamTarget::Address(IpAddr::V4(addr)) => self.unread(port, &addr.into()),
            StreamTarget::Address(IpAddr::V6(addr)) => self.unread(port, &addr.into()),
        };
        match (port.streams(target), target) {
            (Some(streams), target) => self.of_service(streams, || {
                streams.tcp(match target {
                    StreamTarget::Address(addr) => Some(addr),
                    StreamTarget::Name(_) => streams.service.single_addresses().next(),
                })
            }),
            (None, StreamTarget::Address(addr)) => match port.streams.elsewhere(addr) {
                Some(rule) => StreamDecision { rule: Some(rule), reason: StreamReason::Range(addr) },
                None => unread(),
            },
            (None, StreamTarget::Name(_)) => unread(),
        }
    }

    /// What becomes of a TLS connection with this server name (`None`: without a usable one), to an address of that name. Allocates
    /// nothing.
    pub fn decide_tls(&self, port: u16, server_name: Option<&Host>) -> StreamDecision<'_> {
        let Some(port) = self.ports.get(&port) else { return self.unknown() };
        let named = server_name.and_then(|name| port.streams.named(name));
        // A service that has no address shares its listener with all that have none.
        let shared = |streams: &&ServiceStreams| streams.protocol.takes_tls() && !streams.is_addressed();
        match named.filter(|streams| !shared(streams)) {
            Some(streams) => self.of_service(streams, || {
                if streams.protocol.takes_tls() { streams.tls(server_name) } else { streams.tcp(None) }
            }),
            None => match port.streams.server_name(server_name) {
                Some(rule) => StreamDecision { rule: Some(rule), reason: StreamReason::ServerName },
                None => server_name.map_or_else(|| self.unknown(), |name| self.unread(port, name)),
            },
        }
    }

    fn of_service<'t>(
        &'t self,
        streams: &'t ServiceStreams,
        find: impl FnOnce() -> Option<&'t Arc<StreamRule>>,
    ) -> StreamDecision<'t> {
        match find() {
            Some(rule) => StreamDecision { rule: Some(rule), reason: StreamReason::Service(&streams.service) },
            None => self.unknown(),
        }
    }

    /// The decision about a connection to a host for which there is no rule: requests to it may be read, or nobody knows it.
    fn unread(&self, port: &PortTable, host: &Host) -> StreamDecision<'_> {
        match port.http.as_ref().and_then(|http| http.table().domain(host)) {
            Some(domain) if *domain != HostPattern::Any => StreamDecision { rule: None, reason: StreamReason::Http },
            _ => self.unknown(),
        }
    }

    fn unknown(&self) -> StreamDecision<'_> {
        let reason = match self.outbound {
            OutboundPolicy::AllowAny => StreamReason::AllowAny,
            OutboundPolicy::RegistryOnly => StreamReason::RegistryOnly,
        };
        StreamDecision { rule: None, reason }
    }
}

impl PortTable {
    /// What becomes of connections to the service of this address or name.
    fn streams(&self, target: StreamTarget<'_>) -> Option<&ServiceStreams> {
        match target {
            StreamTarget::Address(addr) => self.streams.at(addr),
            StreamTarget::Name(name) => self.streams.named(name),
        }
    }
}

impl fmt::Display for MeshDecision<'_> {
    /// One line: the rule, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(decision) => decision.fmt(f),
            Self::Stream(decision) => decision.fmt(f),
        }
    }
}

impl fmt::Display for StreamDecision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = self.rule {
            write!(f, "{}, ", rule.origin)?;
        }
        self.reason.fmt(f)
    }
}

impl fmt::Display for StreamReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => write!(f, "for connections to {}", service.host),
            Self::Range(addr) => write!(f, "for connections to {addr}, which no service has to itself"),
            Self::ServerName => f.write_str("for connections with this server name"),
            Self::Http => f.write_str("requests to the destination are read on this port, so that http rules decide"),
            Self::AllowAny => {
                f.write_str("nobody in the mesh has this destination, and outboundTrafficPolicy lets it through")
            }
            Self::RegistryOnly => {
                f.write_str("nobody in the mesh has this destination, and outboundTrafficPolicy refuses it")
            }
        }
    }
}
