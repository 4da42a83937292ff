//! What can a backend do, and which Service ports can it not serve?

use std::fmt;
use std::ops::RangeInclusive;

use crate::addr::IpFamily;
use crate::protocol::Protocol;
use crate::view::{NodeView, ServicePort, TrafficPolicy};

/// What a backend can do; starts from everything, and is narrowed.
///
/// What a backend cannot do is known before anything is applied: [`Capabilities::unsupported`] tells it for a Service port,
/// and plans leave such ports out and list them.
///
/// ```
/// use svc_model::Protocol;
/// use svc_model::backend::Capabilities;
///
/// let caps = Capabilities::default().without_protocol(Protocol::Sctp).affinity_seconds(1..=86_400);
/// assert!(!caps.has_protocol(Protocol::Sctp));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    ipv4: bool,
    ipv6: bool,
    without: Vec<Protocol>,
    affinity_seconds: Option<RangeInclusive<u32>>,
    source_ranges: bool,
    local_policies: bool,
    host_ports: bool,
    flows: bool,
    max_ports: usize,
    max_endpoints: usize,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities {
            ipv4: true,
            ipv6: true,
            without: Vec::new(),
            affinity_seconds: Some(0..=u32::MAX),
            source_ranges: true,
            local_policies: true,
            host_ports: true,
            flows: true,
            max_ports: usize::MAX,
            max_endpoints: usize::MAX,
        }
    }
}

/// Why a backend does not serve a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// It does not know this family.
    Family(IpFamily),
    /// It does not know this protocol.
    Protocol(Protocol),
    /// It has no session affinity of this many seconds.
    Affinity(u32),
    /// It has no source ranges.
    SourceRanges,
    /// It has no traffic policy `Local`.
    LocalPolicy,
    /// The port has more endpoints than it can hold.
    Endpoints {
        /// So many.
        count: usize,
        /// It can hold so many.
        max: usize,
    },
    /// There are more Service ports than it can hold, and this one comes after them.
    Ports {
        /// It can hold so many.
        max: usize,
    },
    /// The Service has another port of the same name and protocol, which no API server lets pass.
    Duplicate,
}

impl Capabilities {
    /// Without an IP family.
    #[must_use]
    pub fn without_family(self, family: IpFamily) -> Self {
        match family {
            IpFamily::V4 => Capabilities { ipv4: false, ..self },
            IpFamily::V6 => Capabilities { ipv6: false, ..self },
        }
    }

    /// Without a protocol.
    #[must_use]
    pub fn without_protocol(mut self, protocol: Protocol) -> Self {
        self.without.push(protocol);
        self
    }

    /// With session affinity of so many seconds only.
    #[must_use]
    pub fn affinity_seconds(self, seconds: RangeInclusive<u32>) -> Self {
        Capabilities { affinity_seconds: Some(seconds), ..self }
    }

    /// Without session affinity.
    #[must_use]
    pub fn without_affinity(self) -> Self {
        Capabilities { affinity_seconds: None, ..self }
    }

    /// Without `loadBalancerSourceRanges`.
    #[must_use]
    pub fn without_source_ranges(self) -> Self {
        Capabilities { source_ranges: false, ..self }
    }

    /// Without traffic policies `Local`.
    #[must_use]
    pub fn without_local_policies(self) -> Self {
        Capabilities { local_policies: false, ..self }
    }

    /// Without the host ports of Pods, which are a CNI plugin's affair where kube-proxy serves.
    #[must_use]
    pub fn without_host_ports(self) -> Self {
        Capabilities { host_ports: false, ..self }
    }

    /// Without connection tracking that outlives the rules, so that no flow needs to be forgotten.
    #[must_use]
    pub fn without_flows(self) -> Self {
        Capabilities { flows: false, ..self }
    }

    /// With room for so many Service ports; the first in order are served.
    #[must_use]
    pub fn max_ports(self, max_ports: usize) -> Self {
        Capabilities { max_ports, ..self }
    }

    /// With room for so many endpoints in each of the two lists of a Service port.
    #[must_use]
    pub fn max_endpoints(self, max_endpoints: usize) -> Self {
        Capabilities { max_endpoints, ..self }
    }

    /// Whether it knows a family.
    pub fn has_family(&self, family: IpFamily) -> bool {
        match family {
            IpFamily::V4 => self.ipv4,
            IpFamily::V6 => self.ipv6,
        }
    }

    /// Whether it knows a protocol.
    pub fn has_protocol(&self, protocol: Protocol) -> bool {
        !self.without.contains(&protocol)
    }

    /// Whether it opens the host ports of Pods.
    pub fn has_host_ports(&self) -> bool {
        self.host_ports
    }

    /// Whether stale flows must be forgotten.
    pub fn has_flows(&self) -> bool {
        self.flows
    }

    /// Whether it has room for all Service ports of a view.
    pub fn has_room_for(&self, view: &NodeView) -> bool {
        view.len() <= self.max_ports
    }

    /// The first reason why it does not serve a Service port, were that the only one.
    pub fn unsupported(&self, port: &ServicePort) -> Option<Unsupported> {
        let uses_local = [port.internal_policy, port.external_policy].contains(&TrafficPolicy::Local);
        let endpoints = port.cluster.endpoints.len().max(port.local.endpoints.len());
        let affinity = port.affinity_seconds.filter(|seconds| {
            let supported = self.affinity_seconds.as_ref();
            !supported.is_some_and(|range| range.contains(seconds))
        });
        if !self.has_family(port.family) {
            Some(Unsupported::Family(port.family))
        } else if !self.has_protocol(port.protocol) {
            Some(Unsupported::Protocol(port.protocol))
        } else if port.duplicate > 0 {
            Some(Unsupported::Duplicate)
        } else if let Some(seconds) = affinity {
            Some(Unsupported::Affinity(seconds))
        } else if !self.source_ranges && !port.source_ranges.is_empty() {
            Some(Unsupported::SourceRanges)
        } else if !self.local_policies && uses_local {
            Some(Unsupported::LocalPolicy)
        } else if endpoints > self.max_endpoints {
            Some(Unsupported::Endpoints { count: endpoints, max: self.max_endpoints })
        } else {
            None
        }
    }

    /// The Service ports of a view that it serves, and those that it does not with the reason, in order.
    pub(super) fn judge<'v>(
        &self,
        view: &'v NodeView,
    ) -> impl Iterator<Item = (&'v std::sync::Arc<ServicePort>, Option<Unsupported>)> {
        let mut room = self.max_ports;
        view.service_ports().map(move |port| {
            let why = self.unsupported(port).or_else(|| match room.checked_sub(1) {
                Some(rest) => {
                    room = rest;
                    None
                }
                None => Some(Unsupported::Ports { max: self.max_ports }),
            });
            (port, why)
        })
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsupported::Family(family) => write!(f, "{family} is not supported"),
            Unsupported::Protocol(protocol) => write!(f, "{protocol} is not supported"),
            Unsupported::Affinity(seconds) => write!(f, "session affinity of {seconds} s is not supported"),
            Unsupported::SourceRanges => f.write_str("loadBalancerSourceRanges are not supported"),
            Unsupported::LocalPolicy => f.write_str("traffic policy Local is not supported"),
            Unsupported::Endpoints { count, max } => write!(f, "{count} endpoints are more than the {max} supported"),
            Unsupported::Ports { max } => write!(f, "there are more Service ports than the {max} supported"),
            Unsupported::Duplicate => f.write_str("the Service has another port of this name and protocol"),
        }
    }
}
