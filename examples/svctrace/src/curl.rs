//! Where does a whole request go? Name, address, node, proxy, TLS, route, Service, endpoint: one line a step.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dns_records::search::Outcome as LookupOutcome;
use lb_select::{Pick, Policy, Pool, Random, RoundRobin};
use route_match::ingress::{ControllerFlags, Dialect, Outcome, Scheme, ServiceBackend};
use route_match::{Authority, Host};
use serde_json::{Map, Value};
use svc_model::addr::parse_ip;
use svc_model::api::{IngressClass, Node, Pod, Service};
use svc_model::{Frontend, Kind, NodeView, ObjectRef, Packet, Protocol, Resource, Verdict, endpoints};
use tls_sni::{CertificateRef, Mode, Sni, TlsQuestion};

use crate::answer::Answer;
use crate::ask::{self, ParsedRequest, percent};
use crate::world::{Unusable, World, unusable};

/// Stands for any client on the Internet; from the range for documentation (RFC 5737).
const SOMEONE_OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
/// The same in IPv6 (RFC 3849).
const SOMEONE_OUTSIDE_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

/// A request and who sends it.
#[derive(Clone, Debug, Default)]
pub struct Curl {
    /// `http://`, `https://` or `tcp://HOST:PORT`.
    pub url: String,
    /// A Pod, a workload or an address; outside of the cluster when absent.
    pub from: Option<String>,
    /// Namespace of a Pod that is named without one.
    pub namespace: String,
    /// `HOST:PORT:ADDRESS` for names that the cluster does not know.
    pub resolve: Vec<String>,
    /// The method.
    pub method: String,
    /// Headers.
    pub headers: Map<String, Value>,
}

/// Who sends the request.
enum Client<'w> {
    Pod(&'w Pod),
    Address(IpAddr),
    Outside,
}

/// How far the walk came.
enum End {
    /// A Pod, or an address beyond the manifests, takes the connection.
    Reached(String),
    /// It ends before.
    Stopped(String),
}

impl Curl {
    /// Walks it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let mut answer = Answer::default();
        let end = Walk {
            world,
            curl: self,
            steps: &mut answer.steps,
        }
        .run()?;
        let (reached, words) = match end {
            End::Reached(words) => (true, words),
            End::Stopped(words) => (false, words),
        };
        answer.headline = format!("{}: {words}", self.url);
        answer.set("url", self.url.clone());
        answer.set("reached", reached);
        answer.set("steps", answer.steps.clone());
        answer.set("reason", words);
        Ok(answer)
    }
}

struct Walk<'w, 'a> {
    world: &'w World,
    curl: &'a Curl,
    steps: &'a mut Vec<String>,
}

impl<'w> Walk<'w, '_> {
    fn run(mut self) -> Result<End, Unusable> {
        let client = self.client()?;
        if let Some(rest) = self.curl.url.strip_prefix("tcp://") {
            let authority = Authority::parse(rest.trim_end_matches('/'))
                .map_err(|error| unusable(format!("url: {:?} has no usable host: {error}", self.curl.url)))?;
            let port = authority
                .port()
                .ok_or_else(|| unusable("url: tcp:// needs a port: tcp://HOST:PORT"))?;
            return self.connect(&client, &authority, port, None);
        }
        let (url, method, headers) = (&self.curl.url, &self.curl.method, &self.curl.headers);
        let request = ParsedRequest::new(url, Some(method.as_str()).filter(|m| !m.is_empty()), headers, None)?;
        self.connect(&client, &request.authority, request.port, Some(&request))
    }

    fn client(&mut self) -> Result<Client<'w>, Unusable> {
        let Some(from) = &self.curl.from else {
            self.step("client", "outside of the cluster", "no --from");
            return Ok(Client::Outside);
        };
        if let Ok(addr) = parse_ip(from) {
            return Ok(match self.world.pod_with_ip(addr) {
                Some(pod) => Client::Pod(pod),
                None => Client::Address(addr),
            });
        }
        let pod = self.world.pod(from, &self.curl.namespace)?;
        let node = if pod.spec.node_name.is_empty() {
            "no node"
        } else {
            &pod.spec.node_name
        };
        let addrs: Vec<String> = endpoints::pod_addrs(&self.world.cluster, pod)
            .iter()
            .map(ToString::to_string)
            .collect();
        let assumed = if self.world.cluster.is_assumed_pod(&pod.key()) {
            " (assumed)"
        } else {
            ""
        };
        self.step(
            "client",
            &format!("{} at {} on {node}", pod.reference(), addrs.join(" and ")),
            &format!("--from {from}{assumed}"),
        );
        Ok(Client::Pod(pod))
    }

    /// From a host and port to whoever takes the connection.
    fn connect(
        &mut self,
        client: &Client<'w>,
        authority: &Authority,
        port: u16,
        request: Option<&ParsedRequest<'_>>,
    ) -> Result<End, Unusable> {
        let dst = match self.address(client, authority, port)? {
            Ok(addr) => SocketAddr::new(addr, port),
            Err(end) => return Ok(end),
        };
        let (view, src) = self.viewpoint(client, dst.ip())?;
        let packet = Packet::new(src, dst, Protocol::Tcp);
        let decision = view.decide(&packet);
        let (summary, verdict, candidates) = ask::packet_answer(self.world, &view, &packet);
        let node = view.settings().node();
        let at = if node.is_empty() {
            String::new()
        } else {
            format!(" (seen from node {node})")
        };
        let (result, why) = (format!("{}{at}", summary.headline), summary.reason().to_owned());
        match decision.frontend {
            Some(Frontend::Service(_, port)) => {
                let service = ObjectRef::new(Kind::Service, port.service.namespace.clone(), port.service.name.clone());
                self.step_by("packet", &result, &why, &service, "spec");
            }
            Some(Frontend::HostPort(pod)) => self.step_by("packet", &result, &why, pod, "spec"),
            _ => self.step("packet", &result, &why),
        }
        match verdict {
            Verdict::Reject => Ok(End::Stopped("connection refused".to_owned())),
            Verdict::Drop => Ok(End::Stopped(
                "the packet is dropped, so the client waits until it gives up".to_owned(),
            )),
            Verdict::Accept => self.arrive_directly(dst, request),
            Verdict::Dnat => {
                let chosen = choose(&Random::new, &candidates)?;
                let why = match candidates.len() {
                    1 => "the only one".to_owned(),
                    n => format!(
                        "each of {n} gets {} of new connections; this one for example",
                        percent(decision.endpoints.share())
                    ),
                };
                self.step("endpoint", &chosen.to_string(), &why);
                self.arrive(chosen, request)
            }
        }
    }

    /// The address of a host: written, from the hosts file, from the cluster's DNS, or given.
    fn address(
        &mut self,
        client: &Client<'w>,
        authority: &Authority,
        port: u16,
    ) -> Result<Result<IpAddr, End>, Unusable> {
        let host = authority.host();
        if let Some(addr) = host_ip(host) {
            return Ok(Ok(addr));
        }
        let given = self.given(host, port)?;
        let Client::Pod(pod) = client else {
            return Ok(match given {
                Some(addr) => {
                    self.step("name", &format!("{host} is {addr}"), "--resolve");
                    Ok(addr)
                }
                None => {
                    let hint = format!(
                        "a client outside of the cluster does not ask its DNS; give the address with --resolve {host}:{port}:ADDRESS"
                    );
                    Err(End::Stopped(hint))
                }
            });
        };
        let walk = ask::walk(self.world, pod, host.as_ref())?;
        for (i, name) in walk.tries.iter().enumerate() {
            let found = walk.outcome == LookupOutcome::Found && i + 1 == walk.tries.len();
            self.step("lookup", &name.to_string(), &ask::heard(self.world, name, found));
        }
        let cost = ask::cost(self.world, pod, host.as_ref(), &walk);
        if let Some(addr) = walk.hosts.first() {
            self.step("name", &format!("{host} is {addr}"), "the Pod's hosts file");
            return Ok(Ok(*addr));
        }
        if walk.outcome == LookupOutcome::Found {
            let addr = walk.tries.last().and_then(|name| self.resolved(name));
            return Ok(match addr {
                Some(addr) => {
                    self.step("name", &format!("{host} is {addr}"), &cost);
                    Ok(addr)
                }
                None => match given {
                    Some(addr) => {
                        self.step(
                            "name",
                            &format!("{host} is {addr}"),
                            "the alias leads out of the cluster; --resolve",
                        );
                        Ok(addr)
                    }
                    None => {
                        let hint = format!(
                            "the name is an alias that leads out of the cluster; give its address with --resolve {host}:{port}:ADDRESS"
                        );
                        Err(End::Stopped(hint))
                    }
                },
            });
        }
        Ok(match given {
            Some(addr) => {
                self.step(
                    "name",
                    &format!("{host} is {addr}"),
                    &format!("--resolve, in place of the servers outside; {cost}"),
                );
                Ok(addr)
            }
            None => {
                let similar = self.similar_service(host.as_ref());
                Err(End::Stopped(match walk.outcome {
                    LookupOutcome::Unknown if similar.is_empty() => {
                        format!(
                            "the name is for servers outside of the cluster; give its address with --resolve {host}:{port}:ADDRESS"
                        )
                    }
                    _ => format!("the cluster's DNS has no such name{similar}"),
                }))
            }
        })
    }

    /// What `--resolve` says of a host and port.
    fn given(&self, host: &Host, port: u16) -> Result<Option<IpAddr>, Unusable> {
        for entry in &self.curl.resolve {
            let form = || unusable(format!("--resolve: {entry:?} is not of the form HOST:PORT:ADDRESS"));
            let mut parts = entry.splitn(3, ':');
            let (Some(name), Some(number), Some(addr)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(form());
            };
            let name: Host = name.parse().map_err(|_| form())?;
            let number: u16 = number.parse().map_err(|_| form())?;
            let addr = addr
                .strip_prefix('[')
                .and_then(|addr| addr.strip_suffix(']'))
                .unwrap_or(addr);
            let addr = parse_ip(addr).map_err(|_| form())?;
            if name == *host && number == port {
                return Ok(Some(addr));
            }
        }
        Ok(None)
    }

    /// The first address that the cluster's DNS has for a name, IPv4 before IPv6.
    fn resolved(&self, name: &dns_records::Name) -> Option<IpAddr> {
        let zone = self.world.zone();
        let ask = |record_type| zone.answer(dns_records::Question::new(name, record_type));
        let answers = [ask(dns_records::RecordType::A), ask(dns_records::RecordType::AAAA)];
        answers
            .iter()
            .flat_map(|answer| &answer.answer)
            .find_map(|record| match record.data {
                dns_records::RecordData::A(addr) => Some(IpAddr::V4(addr)),
                dns_records::RecordData::Aaaa(addr) => Some(IpAddr::V6(addr)),
                _ => None,
            })
    }

    fn similar_service(&self, host: &str) -> String {
        let services: Vec<String> = self
            .world
            .cluster
            .list::<Service>()
            .flat_map(|s| [s.name().to_owned(), format!("{}.{}", s.name(), s.namespace())])
            .collect();
        let near = crate::suggest::nearest(host, services.iter().map(String::as_str));
        if near.is_empty() {
            String::new()
        } else {
            format!("; did you mean {}?", near.join(" or "))
        }
    }

    /// The node that decides the packet, and the source address it sees.
    fn viewpoint(&mut self, client: &Client<'w>, dst: IpAddr) -> Result<(std::rc::Rc<NodeView>, IpAddr), Unusable> {
        let outside = if dst.is_ipv6() {
            SOMEONE_OUTSIDE_V6
        } else {
            SOMEONE_OUTSIDE
        };
        match client {
            Client::Pod(pod) => {
                let addrs = endpoints::pod_addrs(&self.world.cluster, pod);
                let src = addrs
                    .iter()
                    .find(|addr| addr.is_ipv6() == dst.is_ipv6())
                    .or(addrs.first());
                let src = *src.ok_or_else(|| unusable(format!("{} has no address", pod.reference())))?;
                let node = Some(pod.spec.node_name.as_str()).filter(|node| !node.is_empty());
                Ok((self.world.view(self.world.chosen_node().or(node))?, src))
            }
            Client::Address(src) => {
                let home = self.world.node_with_ip(*src).or_else(|| self.world.node_with_ip(dst));
                Ok((self.some_view(home)?, *src))
            }
            Client::Outside => {
                let home = self.world.node_with_ip(dst);
                Ok((self.some_view(home)?, outside))
            }
        }
    }

    /// The view of a node; where any node may get the packet, of the first by name.
    fn some_view(&mut self, home: Option<&Node>) -> Result<std::rc::Rc<NodeView>, Unusable> {
        let chosen = self.world.chosen_node().or(home.map(Resource::name)).map(str::to_owned);
        if let Ok(view) = self.world.view(chosen.as_deref()) {
            return Ok(view);
        }
        let first = self
            .world
            .cluster
            .list::<Node>()
            .next()
            .map(|node| node.name().to_owned());
        if let Some(first) = &first {
            self.step(
                "node",
                first,
                "any node may get the packet; this one for example, --node chooses another",
            );
        }
        self.world.view(first.as_deref())
    }

    /// A packet that goes on unchanged: to a Pod's own address, to a node, or out of the manifests' reach.
    fn arrive_directly(&mut self, dst: SocketAddr, request: Option<&ParsedRequest<'_>>) -> Result<End, Unusable> {
        if self.world.pod_with_ip(dst.ip()).is_some() {
            return self.arrive(dst, request);
        }
        let on_host = self.world.cluster.list::<Pod>().find(|pod| {
            pod.spec.host_network
                && endpoints::pod_addrs(&self.world.cluster, pod).contains(&dst.ip())
                && pod
                    .spec
                    .container_ports()
                    .any(|port| port.container_port == i64::from(dst.port()))
        });
        if on_host.is_some() {
            return self.arrive(dst, request);
        }
        Ok(match self.world.node_with_ip(dst.ip()) {
            Some(node) => End::Stopped(format!(
                "{dst} is an address of Node/{}, where nothing known listens",
                node.name()
            )),
            None => End::Reached(format!("{dst}, which the manifests do not describe")),
        })
    }

    /// A connection that reaches an address: of an ingress controller, which goes on, or of the Pod that was meant.
    fn arrive(&mut self, addr: SocketAddr, request: Option<&ParsedRequest<'_>>) -> Result<End, Unusable> {
        let pod = self
            .world
            .pod_with_ip(addr.ip())
            .or_else(|| self.host_network_pod(addr));
        let Some(pod) = pod else {
            return Ok(End::Reached(format!(
                "{addr}, an endpoint that is no Pod of the manifests"
            )));
        };
        let reached = format!("{} port {}", pod.reference(), addr.port());
        let flags = ControllerFlags::of_pod(pod);
        let (Some(flags), Some(request)) = (flags, request) else {
            let tls = request.is_some_and(|request| request.scheme == Scheme::Https);
            if tls {
                self.step(
                    "TLS",
                    "between the client and the Pod",
                    "nothing on the way terminates it",
                );
            }
            return Ok(End::Reached(reached));
        };
        let class = self.class_of(&flags);
        self.step(
            "proxy",
            &format!("{reached} runs ingress-nginx for IngressClass/{class}"),
            "its container's arguments",
        );
        self.proxy(&class, request)
    }

    fn host_network_pod(&self, addr: SocketAddr) -> Option<&'w Pod> {
        self.world.cluster.list::<Pod>().find(|pod| {
            pod.spec.host_network
                && endpoints::pod_addrs(&self.world.cluster, pod).contains(&addr.ip())
                && pod
                    .spec
                    .container_ports()
                    .any(|port| port.container_port == i64::from(addr.port()))
        })
    }

    /// The class by which to ask a controller: the first that names it, else its own word for one.
    fn class_of(&self, flags: &ControllerFlags) -> String {
        let mut classes = self.world.cluster.list::<IngressClass>();
        let named = classes.find(|class| class.spec.controller == *flags.controller_class);
        named.map_or(flags.ingress_class.to_string(), |class| class.name().to_owned())
    }

    /// Through an ingress controller: TLS, route, Service, endpoint.
    fn proxy(&mut self, class: &str, request: &ParsedRequest<'_>) -> Result<End, Unusable> {
        let controller = self.world.controller(class)?;
        if request.scheme == Scheme::Https {
            let name = request.authority.host().to_string();
            let sni = Sni::new(Some(name.as_bytes()));
            let question = TlsQuestion::new(sni);
            let decision = controller.certificates.decide(&question, ask::now());
            let (result, why) = (
                format!("server name {name}: {}", ask::outcome(&decision)),
                decision.reason.to_string(),
            );
            match decision.certificate {
                Some(CertificateRef::Secret(secret)) => self.step_by("TLS", &result, &why, secret, "data"),
                _ => self.step("TLS", &result, &why),
            }
            match decision.mode {
                Mode::Terminate => {}
                Mode::Reject => return Ok(End::Stopped("the handshake is refused".to_owned())),
                Mode::Passthrough => {
                    let Some(backend) = decision.backends.first() else {
                        return Ok(End::Stopped(
                            "the connection is passed on, but to no backend".to_owned(),
                        ));
                    };
                    let backend = ServiceBackend {
                        service: backend.service.clone(),
                        port: backend.port,
                    };
                    return self.backend(&backend);
                }
            }
        }
        let decision = controller.routes.decide(&request.question());
        let why = decision.to_string();
        match &decision.outcome {
            Outcome::Forward { backends, rewrite, .. } => {
                let shares = ask::shares(backends);
                let Some((backend, share)) = shares.first() else {
                    return Ok(End::Stopped("no backend has a share of the requests".to_owned()));
                };
                let share = if shares.len() > 1 {
                    format!(" ({} of the requests)", percent(*share))
                } else {
                    String::new()
                };
                let path = rewrite
                    .as_ref()
                    .map(|path| format!(", path rewritten to {path}"))
                    .unwrap_or_default();
                match decision.route {
                    Some(route) => self.step_by("route", &format!("{backend}{share}{path}"), &why, route, "spec.rules"),
                    None => self.step("route", &format!("{backend}{share}{path}"), &why),
                }
                if controller.routes.dialect() == Dialect::Plain {
                    self.step(
                        "proxy",
                        "sends to the Service's endpoints",
                        "assumed; a controller may use the cluster IP",
                    );
                }
                self.backend(backend)
            }
            Outcome::Redirect { code, location } => {
                self.step("route", &format!("redirect {code} to {location}"), &why);
                Ok(End::Stopped(format!("redirected ({code}) to {location}")))
            }
            Outcome::Respond { status } => {
                self.step("route", &format!("status {status}"), &why);
                Ok(End::Stopped(format!("the controller answers {status}")))
            }
            Outcome::Unmodelled { annotation } => Err(unusable(format!(
                "the answer depends on the annotation {annotation}, which is not modelled yet"
            ))),
            _ => Err(unusable("the answer is of a kind that is not modelled yet")),
        }
    }

    /// The endpoint that a proxy picks for a Service port: one that is ready, by turns.
    fn backend(&mut self, backend: &ServiceBackend) -> Result<End, Unusable> {
        let name = &backend.service;
        let Some(service) = self.world.cluster.get::<Service>(&name.namespace, &name.name) else {
            return Ok(End::Stopped(format!("{name} does not exist")));
        };
        if service.spec.is_external_name() {
            return Ok(End::Reached(format!(
                "{}:{}, which {name} stands for",
                service.spec.external_name, backend.port
            )));
        }
        let found = endpoints::of(&self.world.cluster, service);
        let port = service
            .spec
            .ports
            .iter()
            .find(|port| port.port == i64::from(backend.port));
        let ready = port
            .into_iter()
            .flat_map(|port| found.for_port(port))
            .filter(|(endpoint, _)| endpoint.ready);
        let mut addrs: Vec<SocketAddr> = ready
            .map(|(endpoint, port)| SocketAddr::new(endpoint.addr, port))
            .collect();
        addrs.sort_unstable();
        addrs.dedup();
        if addrs.is_empty() {
            return Ok(End::Stopped(format!("{backend} has no ready endpoint")));
        }
        let chosen = choose(&RoundRobin::new, &addrs)?;
        let why = match addrs.len() {
            1 => "the only ready endpoint".to_owned(),
            n => format!("{n} ready endpoints by turns; this one for example"),
        };
        self.step_by("endpoint", &format!("{name} -> {chosen}"), &why, name, "spec.selector");
        Ok(match self.world.pod_with_ip(chosen.ip()) {
            Some(pod) => End::Reached(format!("{} port {}", pod.reference(), chosen.port())),
            None => End::Reached(format!("{chosen}, an endpoint that is no Pod of the manifests")),
        })
    }

    fn step(&mut self, what: &str, result: &str, why: &str) {
        self.steps.push(format!("{what}: {result} — {why}"));
    }

    /// A step that rests on a field of an object, with its place in the manifests.
    fn step_by(&mut self, what: &str, result: &str, why: &str, object: &ObjectRef, field: &str) {
        let place = self
            .world
            .place(object, field)
            .map(|place| format!(" ({}:{})", place.file, place.line));
        self.step(what, result, &format!("{why}{}", place.unwrap_or_default()));
    }
}

/// The endpoint that a policy picks first. The walk shows one way of several, the same every time.
fn choose<P: Policy>(policy: &dyn Fn(&Pool<SocketAddr>) -> P, addrs: &[SocketAddr]) -> Result<SocketAddr, Unusable> {
    let pool = Pool::of(addrs.iter().copied()).map_err(unusable)?;
    let mut words = || 0;
    let choice = policy(&pool)
        .pick(&mut Pick::new(Duration::ZERO, &mut words))
        .map_err(unusable)?;
    Ok(pool[choice.index])
}

fn host_ip(host: &Host) -> Option<IpAddr> {
    parse_ip(host.to_string().trim_start_matches('[').trim_end_matches(']')).ok()
}
