//! What does a gateway proxy do with requests? Its servers with their virtual hosts, compiled and kept up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_model::api::{IstioGateway, VirtualService};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource, Touched};

use super::delegate::delegates;
use super::destination::{ClusterHosts, EntryHosts, Hosts, KnownHost};
use super::export::{ExportTo, Precedence};
use super::matching::Listener;
use super::names::{GatewayName, NameSet, Names, covers, full_host, service_host};
use super::order::Age;
use super::route_table::{HttpDecision, Outcome, Reason, RouteTable};
use super::rule::{CompiledMatch, HttpRule, HttpRules};
use super::server::{GatewayProxy, Server, ServerKind, Servers};
use crate::host::Host;
use crate::host_pattern::{HostPattern, WildcardDepth};
use crate::host_table::HostTable;
use crate::question::{HttpQuestion, Scheme};
use crate::report::listed;
use crate::router::Match;

/// The decisions of the proxy of one Gateway, compiled from a cluster.
///
/// Questions are answered by `&self`; [`update`](Self::update) follows the changes of the cluster at the cost of what they touch.
/// A clone shares the rules, so that readers can keep one while the next is made.
#[derive(Clone, Debug)]
pub struct IstioGatewayTable {
    gateway: ObjectRef,
    proxy: GatewayProxy,
    servers: Servers,
    listeners: Vec<HttpListener>,
    /// For each port that speaks plain HTTP, its listener.
    plain: BTreeMap<u16, usize>,
    /// For each port on which TLS is ended, the servers by server name.
    names: BTreeMap<u16, HostTable<usize>>,
    /// For each server that speaks HTTP, its listener.
    by_server: BTreeMap<usize, usize>,
    /// For each Gateway, its servers that speak HTTP.
    by_gateway: BTreeMap<NamespacedName, Vec<HttpServer>>,
    /// The VirtualServices that are bound to one of the proxy's Gateways.
    bound: BTreeMap<NamespacedName, Bound>,
    /// From a VirtualService without hosts, there or not, to those whose rules hand over to it.
    by_delegate: BTreeMap<NamespacedName, BTreeSet<NamespacedName>>,
    /// From the host of a destination to the VirtualServices that name it.
    by_destination: BTreeMap<Box<str>, BTreeSet<NamespacedName>>,
    entries: EntryHosts,
    seed: u64,
}

/// A server that speaks HTTP: its index, and its hosts by the namespace that they are for, if they are for one.
#[derive(Clone, Debug)]
struct HttpServer {
    at: usize,
    hosts: BTreeMap<Option<Box<str>>, Names<Box<str>>>,
}

/// The virtual hosts of one port, or of one HTTPS server.
#[derive(Clone, Debug)]
struct HttpListener {
    table: RouteTable,
    /// Whether the table has been made once: all of it in one go costs less than domain by domain.
    is_made: bool,
    /// From a domain to those who have rules for it.
    parts: BTreeMap<HostPattern, BTreeSet<Part>>,
    /// The domains that servers with `httpsRedirect` list themselves, and the Gateway of each.
    redirects: BTreeMap<HostPattern, NamespacedName>,
}

/// A VirtualService at a server, in the order in which their rules follow one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    server: usize,
    precedence: Precedence,
}

/// A VirtualService that is bound to a Gateway of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    precedence: Precedence,
    /// The servers where it has rules and hosts.
    servers: BTreeMap<usize, AtServer>,
    delegates: BTreeSet<NamespacedName>,
    destinations: BTreeMap<Box<str>, Option<KnownHost>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AtServer {
    matches: Arc<[CompiledMatch]>,
    domains: BTreeSet<HostPattern>,
}

/// The cluster has no Gateway of Istio of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Istio Gateway {name}; there is {}", listed(.known))]
pub struct UnknownIstioGateway {
    /// The name that was asked for.
    pub name: NamespacedName,
    /// The Gateways there are; the first 16.
    pub known: Vec<NamespacedName>,
}

impl IstioGatewayTable {
    /// Compiles the proxy of a Gateway: all Gateways that select it, see [`GatewayProxy`]. O(n log n) in the VirtualServices of the cluster.
    ///
    /// # Errors
    /// [`UnknownIstioGateway`] when there is no Gateway of this name.
    pub fn compile(cluster: &Cluster, gateway: &NamespacedName) -> Result<Self, UnknownIstioGateway> {
        Self::compile_with_seed(cluster, gateway, 0)
    }

    /// The same with the seed of the hash functions: a random number where hosts and paths come from people who might choose them to
    /// collide. No answer depends on it.
    ///
    /// # Errors
    /// [`UnknownIstioGateway`] when there is no Gateway of this name.
    pub fn compile_with_seed(
        cluster: &Cluster,
        gateway: &NamespacedName,
        seed: u64,
    ) -> Result<Self, UnknownIstioGateway> {
        let Some(object) = cluster.get::<IstioGateway>(&gateway.namespace, &gateway.name) else {
            let known = cluster.list::<IstioGateway>().take(16).map(Resource::key).collect();
            return Err(UnknownIstioGateway { name: gateway.clone(), known });
        };
        let proxy = GatewayProxy::of(cluster, object);
        let servers = Servers::of(cluster, &proxy);
        let mut table = Self {
            gateway: object.reference(),
            proxy,
            servers,
            listeners: Vec::new(),
            plain: BTreeMap::new(),
            names: BTreeMap::new(),
            by_server: BTreeMap::new(),
            by_gateway: BTreeMap::new(),
            bound: BTreeMap::new(),
            by_delegate: BTreeMap::new(),
            by_destination: BTreeMap::new(),
            entries: EntryHosts::of(cluster),
            seed,
        };
        let redirecting = table.open();
        let all: BTreeSet<NamespacedName> = cluster.list::<VirtualService>().map(Resource::key).collect();
        table.refresh(cluster, all, redirecting);
        Ok(table)
    }

    /// Makes the listeners of the servers, yet without rules; the domains that have redirects.
    fn open(&mut self) -> BTreeSet<(usize, HostPattern)> {
        let mut plain: BTreeMap<(u16, &str), usize> = BTreeMap::new();
        let mut names: BTreeMap<u16, Vec<(HostPattern, usize)>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (at, server) in self.servers.accepted.iter().enumerate() {
            let next = self.listeners.len();
            let listener = match server.kind {
                ServerKind::Http => Some(*plain.entry((server.port, &server.bind)).or_insert(next)),
                ServerKind::Https => Some(next),
                _ => None,
            };
            if listener == Some(next) {
                self.listeners.push(HttpListener {
                    table: RouteTable::new(self.seed, []),
                    is_made: false,
                    parts: BTreeMap::new(),
                    redirects: BTreeMap::new(),
                });
            }
            if let Some(listener) = listener {
                self.by_server.insert(at, listener);
                let mut hosts: BTreeMap<_, Names<_>> = BTreeMap::new();
                for host in &server.hosts {
                    hosts.entry(host.namespace.clone()).or_default().extend([&*host.host]);
                }
                self.by_gateway.entry(server.gateway.clone()).or_default().push(HttpServer { at, hosts });
            }
            let domains = || server.hosts.iter().filter_map(|host| domain(&host.host));
            if let Some(listener) = listener.filter(|_| server.redirects_to_https()) {
                for domain in domains() {
                    self.listeners[listener].redirects.entry(domain).or_insert_with(|| server.gateway.clone());
                }
            }
            if matches!(server.kind, ServerKind::Https | ServerKind::Tls) {
                let first = domains().filter(|domain| taken.insert((server.port, domain.clone())));
                names.entry(server.port).or_default().extend(first.map(|domain| (domain, at)));
            }
        }
        // A question names no address: what listens on all of them answers it, else what comes first.
        let mut ranked: BTreeMap<u16, (bool, usize)> = BTreeMap::new();
        for ((port, bind), listener) in plain {
            let rank = (!bind.is_empty(), listener);
            let known = ranked.entry(port).or_insert(rank);
            *known = rank.min(*known);
        }
        self.plain = ranked.into_iter().map(|(port, (_, listener))| (port, listener)).collect();
        self.names = names.into_iter().map(|(port, hosts)| (port, HostTable::with_seed(self.seed, hosts))).collect();
        let listeners = self.listeners.iter().enumerate();
        listeners.flat_map(|(at, listener)| listener.redirects.keys().map(move |domain| (at, domain.clone()))).collect()
    }

    /// Follows the changes that `touched` tells of; `cluster` is as it is after them. Afterwards the table is what
    /// [`compile`](Self::compile) would make of the cluster.
    ///
    /// Costs what is touched: a VirtualService, its own hosts and those of the VirtualServices that hand over to it; a Service or
    /// ServiceEntry that becomes another, the VirtualServices that name it. Where Gateways or the proxy's Pod change, all of it.
    ///
    /// # Errors
    /// [`UnknownIstioGateway`] when the Gateway is gone; the table then is as it was.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> Result<(), UnknownIstioGateway> {
        let key = self.gateway.key();
        let concerns_servers =
            !touched.pods.is_empty() || touched.objects.iter().any(|object| object.kind == Kind::IstioGateway);
        if concerns_servers {
            let same = cluster.get::<IstioGateway>(&key.namespace, &key.name).is_some_and(|object| {
                let proxy = GatewayProxy::of(cluster, object);
                proxy == self.proxy && Servers::of(cluster, &proxy) == self.servers
            });
            if !same {
                *self = Self::compile_with_seed(cluster, &key, self.seed)?;
                return Ok(());
            }
        }
        let mut stale = BTreeSet::new();
        let mut hosts: BTreeSet<Box<str>> = BTreeSet::new();
        for object in &touched.objects {
            match object.kind {
                Kind::VirtualService => {
                    let key = object.key();
                    stale.extend(self.by_delegate.get(&key).into_iter().flatten().cloned());
                    stale.insert(key);
                }
                Kind::ServiceEntry => self.entries.update(cluster, &object.key(), &mut hosts),
                _ => {}
            }
        }
        hosts.extend(touched.services.iter().map(|key| service_host(&key.namespace, &key.name).into()));
        self.find_changed(cluster, &hosts, touched.all_services, &mut stale);
        self.refresh(cluster, stale, BTreeSet::new());
        Ok(())
    }

    /// The VirtualServices for which one of these hosts of destinations has become something else.
    fn find_changed(
        &self,
        cluster: &Cluster,
        hosts: &BTreeSet<Box<str>>,
        all: bool,
        stale: &mut BTreeSet<NamespacedName>,
    ) {
        let known = ClusterHosts { cluster, entries: &self.entries };
        let mut look = |host: &str, users: &BTreeSet<NamespacedName>| {
            let differs = |key: &&NamespacedName| {
                let bound = self.bound.get(*key).and_then(|bound| bound.destinations.get(host));
                bound.is_some_and(|before| *before != known.find(host, &key.namespace))
            };
            stale.extend(users.iter().filter(differs).cloned());
        };
        if all || hosts.iter().any(|host| host.starts_with('*')) {
            let concerned = |host: &str| all || hosts.iter().any(|changed| covers(changed, host));
            self.by_destination.iter().filter(|(host, _)| concerned(host)).for_each(|(host, users)| look(host, users));
        } else {
            for host in hosts {
                if let Some(users) = self.by_destination.get(host) {
                    look(host, users);
                }
            }
        }
    }

    /// Makes VirtualServices anew, and the rules of the domains that they had or have a part in and of these others.
    fn refresh(
        &mut self,
        cluster: &Cluster,
        stale: BTreeSet<NamespacedName>,
        mut domains: BTreeSet<(usize, HostPattern)>,
    ) {
        for key in stale {
            let object = cluster.get::<VirtualService>(&key.namespace, &key.name);
            let new = object.and_then(|object| self.bind(cluster, object));
            if new.as_ref() == self.bound.get(&key) {
                continue;
            }
            if let Some(old) = self.bound.remove(&key) {
                forget(&mut self.by_delegate, old.delegates.iter(), &key);
                forget(&mut self.by_destination, old.destinations.keys(), &key);
                for (server, at) in &old.servers {
                    let part = Part { server: *server, precedence: old.precedence.clone() };
                    let listener = self.by_server[server];
                    let parts = &mut self.listeners[listener].parts;
                    forget(parts, at.domains.iter(), &part);
                    domains.extend(at.domains.iter().map(|domain| (listener, domain.clone())));
                }
            }
            let Some(new) = new else { continue };
            for delegate in &new.delegates {
                self.by_delegate.entry(delegate.clone()).or_default().insert(key.clone());
            }
            for host in new.destinations.keys() {
                self.by_destination.entry(host.clone()).or_default().insert(key.clone());
            }
            for (server, at) in &new.servers {
                let listener = self.by_server[server];
                for domain in &at.domains {
                    let part = Part { server: *server, precedence: new.precedence.clone() };
                    self.listeners[listener].parts.entry(domain.clone()).or_default().insert(part);
                    domains.insert((listener, domain.clone()));
                }
            }
            self.bound.insert(key, new);
        }
        self.rebuild(domains);
    }

    /// How a VirtualService stands to the proxy; `None` for one that is not bound to it.
    fn bind(&self, cluster: &Cluster, object: &VirtualService) -> Option<Bound> {
        let namespace = object.namespace();
        if object.spec.hosts.is_empty() {
            return None;
        }
        let named: BTreeSet<NamespacedName> = object
            .spec
            .gateways
            .iter()
            .filter_map(|text| match GatewayName::read(text, namespace) {
                GatewayName::Named(name) => Some(name),
                GatewayName::Mesh => None,
            })
            .collect();
        if !named.iter().any(|gateway| self.proxy.gateways.contains(gateway)) {
            return None;
        }
        let exposure = ExportTo::read(&object.spec.export_to, namespace).exposure(namespace, &self.proxy.namespace)?;
        let precedence = Precedence { exposure, age: Age::of(object) };
        let known = ClusterHosts { cluster, entries: &self.entries };
        let full: Vec<_> = object.spec.hosts.iter().map(|host| full_host(host, namespace)).collect();
        let own: NameSet<'_> = full.iter().map(AsRef::as_ref).collect();
        let rules = HttpRules::of(cluster, object);
        let mut compiled: BTreeMap<(&NamespacedName, u16, ServerKind), Arc<[CompiledMatch]>> = BTreeMap::new();
        let mut servers = BTreeMap::new();
        for HttpServer { at, hosts } in named.iter().filter_map(|gateway| self.by_gateway.get(gateway)).flatten() {
            let server = &self.servers.accepted[*at];
            let admitted = [None, Some(Box::from(namespace))];
            let names = admitted.iter().filter_map(|namespace| hosts.get(namespace));
            let domains: BTreeSet<HostPattern> =
                names.flat_map(|names| names.intersection(&own)).filter_map(|host| domain(&host)).collect();
            if domains.is_empty() {
                continue;
            }
            let matches = compiled.entry((&server.gateway, server.port, server.kind)).or_insert_with(|| {
                let gateway = GatewayName::Named(server.gateway.clone());
                let listener = Listener {
                    gateway: &gateway,
                    port: server.port,
                    scheme: scheme_of(server),
                    namespace: &self.proxy.namespace,
                    labels: &self.proxy.labels,
                };
                rules.compile(listener, &known).into()
            });
            if !matches.is_empty() {
                servers.insert(*at, AtServer { matches: matches.clone(), domains });
            }
        }
        let found = |host: Box<str>| {
            let known = known.find(&host, namespace);
            (host, known)
        };
        Some(Bound {
            precedence,
            servers,
            delegates: delegates(object).collect(),
            destinations: rules.destination_hosts().into_iter().map(found).collect(),
        })
    }

    /// Gives these domains of listeners the rules of those who have a part in them. Domains with the same parts share them.
    fn rebuild(&mut self, domains: BTreeSet<(usize, HostPattern)>) {
        // By listener; then by where plain requests are sent to HTTPS from, and by parts.
        type Same<'t> = BTreeMap<(Option<&'t NamespacedName>, Option<&'t BTreeSet<Part>>), Vec<HostPattern>>;
        let mut by_listener: BTreeMap<usize, Vec<HostPattern>> = BTreeMap::new();
        for (listener, domain) in domains {
            by_listener.entry(listener).or_default().push(domain);
        }
        for (at, domains) in by_listener {
            let listener = &self.listeners[at];
            let mut same: Same<'_> = BTreeMap::new();
            for domain in domains {
                let parts = listener.parts.get(&domain);
                let redirect = listener.redirects.get(&domain).or_else(|| self.redirecting(parts?));
                // A redirect makes rules of no account.
                let parts = parts.filter(|_| redirect.is_none());
                same.entry((redirect, parts)).or_default().push(domain);
            }
            let changes: Vec<_> = same
                .into_iter()
                .map(|((redirect, parts), domains)| {
                    let redirect = redirect.map(|gateway| {
                        let reference =
                            ObjectRef::new(Kind::IstioGateway, gateway.namespace.clone(), gateway.name.clone());
                        vec![CompiledMatch::everything(HttpRule::https_redirect(reference))]
                    });
                    (domains, redirect.or_else(|| parts.map(|parts| self.matches_of(parts))))
                })
                .collect();
            let listener = &mut self.listeners[at];
            if listener.is_made {
                listener.table.update(changes);
            } else {
                let there = changes.into_iter().filter_map(|(domains, matches)| Some((domains, matches?)));
                listener.table = RouteTable::new(self.seed, there);
                listener.is_made = true;
            }
        }
    }

    /// The Gateway of the first server among these that sends plain requests to HTTPS.
    fn redirecting(&self, parts: &BTreeSet<Part>) -> Option<&NamespacedName> {
        let mut servers = parts.iter().map(|part| &self.servers.accepted[part.server]);
        servers.find(|server| server.redirects_to_https()).map(|server| &server.gateway)
    }

    /// The matches of these, one after the other, catch-alls last.
    fn matches_of(&self, parts: &BTreeSet<Part>) -> Vec<CompiledMatch> {
        let mut lists: Vec<&Arc<[CompiledMatch]>> = Vec::new();
        for part in parts {
            // Every part is of a VirtualService that is bound, and has rules at that server.
            let bound = self.bound.get(&part.precedence.age.key());
            let Some(at) = bound.and_then(|bound| bound.servers.get(&part.server)) else { continue };
            // What has been said at one server of a Gateway is not said again at the next.
            if !lists.iter().any(|list| Arc::ptr_eq(list, &at.matches)) {
                lists.push(&at.matches);
            }
        }
        let all = || lists.iter().flat_map(|list| list.iter());
        let others = all().filter(|found| !found.is_catch_all());
        others.chain(all().filter(|found| found.is_catch_all())).cloned().collect()
    }

    /// What happens to this request. Over HTTPS, `server_name` is that of the connection's handshake, which chooses the server; it is
    /// not looked at over HTTP. Whether the handshake itself succeeds is not judged here.
    ///
    /// Costs a look-up of the server and one in its router; see [`RouteTable::decide`].
    pub fn decide(&self, question: &HttpQuestion<'_>, server_name: Option<&Host>) -> HttpDecision<'_> {
        match self.listener(question, server_name) {
            Ok(listener) => listener.table.decide(question),
            // Nobody speaks HTTP there.
            Err(reason @ Reason::NoServer(_, Scheme::Http)) => HttpDecision::status(404, reason),
            Err(reason) => HttpDecision::without_rule(Outcome::NoHttp, reason),
        }
    }

    /// Everything of the virtual host that takes this request; see [`RouteTable::candidates`].
    pub fn candidates(&self, question: &HttpQuestion<'_>, server_name: Option<&Host>) -> Vec<Match<'_, Arc<HttpRule>>> {
        self.listener(question, server_name).map(|listener| listener.table.candidates(question)).unwrap_or_default()
    }

    fn listener(&self, question: &HttpQuestion<'_>, server_name: Option<&Host>) -> Result<&HttpListener, Reason<'_>> {
        let port = question.port;
        let at = match question.scheme {
            Scheme::Http => self.plain.get(&port).copied(),
            Scheme::Https => match self.names.get(&port) {
                None => None,
                Some(names) => {
                    let (_, at) = names.matches(server_name).next().ok_or(Reason::NoServerName(port))?;
                    let server = &self.servers.accepted[*at];
                    Some(*self.by_server.get(at).ok_or(Reason::NotHttp(server))?)
                }
            },
        };
        at.map(|at| &self.listeners[at]).ok_or(Reason::NoServer(port, question.scheme))
    }

    /// The Gateway that was asked for.
    pub fn gateway(&self) -> &ObjectRef {
        &self.gateway
    }

    /// The proxy that opens its servers.
    pub fn proxy(&self) -> &GatewayProxy {
        &self.proxy
    }

    /// The servers of the proxy.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The virtual hosts of a server that speaks HTTP, an index into [`Servers::accepted`]. The plain servers of one port share them.
    pub fn virtual_hosts(&self, server: usize) -> Option<&RouteTable> {
        self.by_server.get(&server).map(|at| &self.listeners[*at].table)
    }
}

/// The virtual host's domain for a name of a server or VirtualService; `None` for what is no name.
fn domain(host: &str) -> Option<HostPattern> {
    HostPattern::parse(host, WildcardDepth::Any).ok().filter(|_| !host.is_empty())
}

fn scheme_of(server: &Server) -> Scheme {
    if server.kind.is_tls() { Scheme::Https } else { Scheme::Http }
}

/// Takes a value from under these keys, and keys away that lead nowhere.
pub(super) fn forget<'k, K: Ord + 'k, V: Ord>(
    map: &mut BTreeMap<K, BTreeSet<V>>,
    keys: impl Iterator<Item = &'k K>,
    value: &V,
) {
    for key in keys {
        if let Some(values) = map.get_mut(key) {
            values.remove(value);
            if values.is_empty() {
                map.remove(key);
            }
        }
    }
}
