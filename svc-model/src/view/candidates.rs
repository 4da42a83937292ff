//! Which endpoints does a node use for a Service port, in which order, and how were they chosen?

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use super::settings::NodeSettings;
use crate::addr::IpFamily;
use crate::api;
use crate::cluster::Cluster;
use crate::endpoints::{Endpoint, EndpointSet, ServiceEndpoints, Source, pod_of, slice_node, subset_addresses};
use crate::kind::{Kind, NamespacedName, Object, ObjectRef, Resource};

/// Endpoints that a node uses, sorted by the text of their addresses, and how they were chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidates {
    /// The endpoints; ports of one Service that lead to the same ones share them.
    pub endpoints: Arc<[Candidate]>,
    /// How they were chosen among all.
    pub choice: Choice,
}

/// How candidates were chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Choice {
    /// This list is not used by the Service's policies.
    #[default]
    Unused,
    /// All ready endpoints.
    Ready,
    /// The ready endpoints whose hints name this node.
    NodeHints,
    /// The ready endpoints whose hints name this node's zone.
    ZoneHints,
    /// No endpoint is ready; these are terminating and still serve.
    Terminating,
}

/// An endpoint as a packet's new destination.
///
/// What else is known of it stands in the object that supplied it, which is shared and not copied.
#[derive(Clone)]
pub struct Candidate {
    /// Address and target port.
    pub addr: SocketAddr,
    origin: Arc<Object>,
    /// Where in the object it stands.
    place: u32,
    assumed: bool,
}

impl Candidate {
    /// A Pod as a destination.
    pub(super) fn of_pod(addr: SocketAddr, pod: Arc<Object>, assumed: bool) -> Candidate {
        Candidate { addr, origin: pod, place: 0, assumed }
    }

    /// Whether its Pod had to be assumed.
    pub fn is_assumed(&self) -> bool {
        self.assumed
    }

    /// The object that supplied the address: an EndpointSlice, an Endpoints object or a Pod.
    pub fn supplied_by(&self) -> ObjectRef {
        self.origin.reference()
    }

    /// The node it is on.
    pub fn node(&self) -> Option<&str> {
        let node = match &*self.origin {
            Object::EndpointSlice(slice) => slice_node(slice.endpoints.get(self.place())?),
            Object::Endpoints(endpoints) => self.address(endpoints)?.node_name.as_deref(),
            Object::Pod(pod) => Some(pod.spec.node_name.as_str()),
            _ => None,
        };
        node.filter(|node| !node.is_empty())
    }

    /// The Pod behind it.
    pub fn pod(&self) -> Option<NamespacedName> {
        let (namespace, name) = self.pod_parts()?;
        Some(NamespacedName::new(namespace, name))
    }

    /// Its namespace and name.
    fn pod_parts(&self) -> Option<(&str, &str)> {
        let (target, namespace) = match &*self.origin {
            Object::EndpointSlice(slice) => {
                (slice.endpoints.get(self.place())?.target_ref.as_ref()?, slice.namespace())
            }
            Object::Endpoints(endpoints) => (self.address(endpoints)?.target_ref.as_ref()?, endpoints.namespace()),
            Object::Pod(pod) => return Some((pod.namespace(), pod.name())),
            _ => return None,
        };
        pod_of(target, namespace)
    }

    fn address<'a>(&self, endpoints: &'a api::Endpoints) -> Option<&'a api::EndpointAddress> {
        let mut addresses = endpoints.subsets.iter().flat_map(subset_addresses);
        addresses.nth(self.place()).map(|(address, _)| address)
    }

    fn place(&self) -> usize {
        self.place as usize
    }
}

/// Two are equal that lead to the same address, Pod and node, whichever object says so.
impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.addr == other.addr
            && self.assumed == other.assumed
            && ((Arc::ptr_eq(&self.origin, &other.origin) && self.place == other.place)
                || (self.node() == other.node() && self.pod_parts() == other.pod_parts()))
    }
}

impl Eq for Candidate {}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("addr", &self.addr)
            .field("supplied_by", &self.supplied_by().to_string())
            .field("assumed", &self.assumed)
            .finish()
    }
}

/// What of a Service port decides its endpoints on a node; ports that agree in it share them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Demand {
    pub(super) family: IpFamily,
    /// Sets of endpoints, with the port's number there.
    pub(super) sets: Vec<(usize, u16)>,
    pub(super) uses_cluster: bool,
    pub(super) uses_local: bool,
    /// Whether flows outlive the rules, so that it must be known who serves.
    pub(super) has_flows: bool,
}

/// The endpoints that a node uses for it.
#[derive(Clone, Default)]
pub(super) struct Chosen {
    pub(super) cluster: Candidates,
    pub(super) local: Candidates,
    /// Whether anybody at all could serve.
    pub(super) has_any: bool,
    /// All that serve or are ready, anywhere, in order of address.
    pub(super) serving: Arc<[SocketAddr]>,
}

type Numbered<'a> = (&'a EndpointSet, &'a Endpoint, u16);

impl Chosen {
    /// Chooses the endpoints of both lists.
    pub(super) fn new(cluster: &Cluster, demand: &Demand, endpoints: &ServiceEndpoints, node: &NodeSettings) -> Chosen {
        let numbered = demand.sets.iter().flat_map(|&(i, number)| {
            let set = &endpoints.sets[i];
            set.endpoints.iter().map(move |endpoint| (set, endpoint, number))
        });
        let mut all: Vec<Numbered<'_>> =
            numbered.filter(|(_, endpoint, _)| IpFamily::of(endpoint.addr) == demand.family).collect();
        let is_local = |endpoint: &Endpoint| !node.node.is_empty() && endpoint.node.as_deref() == Some(&*node.node);
        // The same address and port in several slices is one endpoint; a local copy wins.
        all.sort_by_key(|numbered| (addr(numbered), !is_local(numbered.1)));
        all.dedup_by_key(|numbered| addr(numbered));

        let candidates = |chosen: &[Numbered<'_>], choice| Candidates {
            endpoints: candidates(cluster, endpoints.source, chosen),
            choice,
        };
        let is_ready = |(_, endpoint, _): &Numbered<'_>| endpoint.ready;
        let is_terminating = |(_, endpoint, _): &Numbered<'_>| endpoint.serving && endpoint.terminating;
        let mut chosen = Chosen::default();
        if demand.uses_cluster {
            let ready: Vec<_> = all.iter().copied().filter(is_ready).collect();
            chosen.cluster = match narrow(ready, node) {
                (ready, choice) if !ready.is_empty() => candidates(&ready, choice),
                _ => {
                    let terminating: Vec<_> = all.iter().copied().filter(is_terminating).collect();
                    candidates(&terminating, Choice::Terminating)
                }
            };
        }
        if demand.uses_local {
            let here = || all.iter().copied().filter(|(_, endpoint, _)| is_local(endpoint));
            let ready: Vec<_> = here().filter(is_ready).collect();
            chosen.local = if ready.is_empty() {
                let terminating: Vec<_> = here().filter(is_terminating).collect();
                candidates(&terminating, Choice::Terminating)
            } else {
                candidates(&ready, Choice::Ready)
            };
        }
        let any_serves = || all.iter().any(|e| is_ready(e) || is_terminating(e));
        chosen.has_any = !chosen.cluster.endpoints.is_empty() || (demand.uses_local && any_serves());
        if demand.has_flows {
            // One that is ready by decree (`publishNotReadyAddresses`) gets new flows, so it must keep those it has.
            let serves = |endpoint: &Endpoint| endpoint.serving || endpoint.ready;
            chosen.serving = all.iter().filter(|(_, endpoint, _)| serves(endpoint)).map(addr).collect();
        }
        chosen
    }
}

fn addr(&(_, endpoint, number): &Numbered<'_>) -> SocketAddr {
    SocketAddr::new(endpoint.addr, number)
}

/// Narrows ready endpoints by their hints. One endpoint without a hint disables that kind of hint.
fn narrow<'a>(ready: Vec<Numbered<'a>>, node: &NodeSettings) -> (Vec<Numbered<'a>>, Choice) {
    let hinted_for = |hints: fn(&Endpoint) -> &[Arc<str>], name: &str| -> Option<Vec<Numbered<'a>>> {
        if name.is_empty() || ready.iter().any(|(_, endpoint, _)| hints(endpoint).is_empty()) {
            return None;
        }
        let names = |endpoint: &Endpoint| hints(endpoint).iter().any(|hint| **hint == *name);
        let chosen: Vec<_> = ready.iter().copied().filter(|(_, endpoint, _)| names(endpoint)).collect();
        (!chosen.is_empty()).then_some(chosen)
    };
    if let Some(chosen) = hinted_for(|endpoint| &endpoint.node_hints, &node.node) {
        return (chosen, Choice::NodeHints);
    }
    if let Some(chosen) = hinted_for(|endpoint| &endpoint.zone_hints, node.zone.as_deref().unwrap_or_default()) {
        return (chosen, Choice::ZoneHints);
    }
    (ready, Choice::Ready)
}

/// The chosen in kube-proxy's order: by the text, so that `10.1.1.11:11` comes before `10.1.1.1:11`.
fn candidates(cluster: &Cluster, source: Source, chosen: &[Numbered<'_>]) -> Arc<[Candidate]> {
    let mut origin: Option<(&EndpointSet, &Arc<Object>)> = None;
    let mut candidates: Vec<Candidate> = Vec::with_capacity(chosen.len());
    for numbered @ (set, endpoint, _) in chosen {
        let object = match source {
            Source::Pods => {
                endpoint.pod.as_deref().and_then(|pod| cluster.shared(Kind::Pod, &pod.namespace, &pod.name))
            }
            // One object supplies many endpoints in a row.
            _ => match origin {
                Some((known, object)) if std::ptr::eq(known, *set) => Some(object),
                _ => cluster.shared(set.object.kind, &set.object.namespace, &set.object.name),
            },
        };
        // The endpoints were read from this cluster, so the object is there.
        let Some(object) = object else { continue };
        origin = Some((set, object));
        candidates.push(Candidate {
            addr: addr(numbered),
            origin: object.clone(),
            place: endpoint.place,
            assumed: endpoint.assumed,
        });
    }
    if candidates.len() > 1 {
        candidates.sort_by_cached_key(|candidate| address_text(candidate.addr));
    }
    candidates.into()
}

/// Longer than the text of any address and port.
type AddressText = [u8; 64];

/// The text of an address, padded with zeros, so that it compares as text does.
fn address_text(addr: SocketAddr) -> AddressText {
    let mut text = [0; 64];
    // The longest, `[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535`, has 47 bytes, so this cannot fail; addresses of objects have
    // no zone.
    let _ = write!(text.as_mut_slice(), "{addr}");
    text
}
