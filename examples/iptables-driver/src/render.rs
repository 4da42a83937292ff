//! What rules make a node do what its view says? The facts that both layouts share.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use svc_model::addr::IpFamily;
use svc_model::{Candidate, Destination, FrontendKind, NodeSettings, NodeView, PodDevice, ServicePort, TrafficPolicy};

use crate::names::{self, ChainName, PortNames};
use crate::print::{Style, host};
use crate::rule::{Comment, Counter, Interface, Not, Rule, States, Target};
use crate::ruleset::{Fragment, Part, Place, Ruleset, Shared, Table};
use crate::{classic, modern};

/// How rules are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// As kube-proxy does today.
    #[default]
    Modern,
    /// As it did until 1.17, in the words of `iptables-save`.
    Classic,
}

impl Profile {
    pub(crate) fn style(self) -> Style {
        match self {
            Profile::Modern => Style::Short,
            Profile::Classic => Style::Saved,
        }
    }
}

/// What is known of the kernel, and how its rules shall look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The layout.
    pub profile: Profile,
    /// The kernel has the counters `ct_state_invalid_dropped_pkts` and `localhost_nps_accepted_pkts` (nfacct).
    pub counters: bool,
    /// `MASQUERADE` knows `--random-fully` (iptables 1.6.2).
    pub random_fully: bool,
    /// Connection tracking takes packets outside the window, so that none is invalid for that (`nf_conntrack_tcp_be_liberal`).
    pub tcp_be_liberal: bool,
    /// The cluster is large from so many endpoints: then rules of endpoints have no comments, and what is stale waits for the next
    /// full plan.
    pub large_cluster_endpoints: usize,
}

impl Default for Options {
    /// The modern layout on a kernel that has everything.
    fn default() -> Options {
        Options {
            profile: Profile::Modern,
            counters: true,
            random_fully: false,
            tcp_be_liberal: false,
            large_cluster_endpoints: 1_000,
        }
    }
}

/// The rules of a family for these Service ports of a view. O(ports + endpoints), times a logarithm.
///
/// Ports of the other family are left out. Where several ports claim a destination, its [owner](NodeView::owner_of) has it.
pub fn render(view: &NodeView, ports: &[&ServicePort], family: IpFamily, options: &Options) -> Ruleset {
    let mut rules = Ruleset::new(family, options.profile.style());
    let mut renderer = Renderer::new(view, family, options, is_large(ports.iter().copied(), options));
    let mut shared = renderer.shared_chains();
    let of_ports = ports.iter().filter(|port| port.family == family);
    let mut include = |fragment: Fragment| {
        fragment.shared.into_iter().for_each(|(place, rule)| shared.entry(place).or_default().push(rule));
        rules.nat.extend(fragment.chains);
    };
    include(renderer.frame());
    of_ports.for_each(|port| include(renderer.port(port)));
    rules.share(shared);
    rules
}

/// Whether a cluster is large by these options. O(endpoints), of which no more are counted than it takes.
pub(crate) fn is_large<'p>(mut ports: impl Iterator<Item = &'p ServicePort>, options: &Options) -> bool {
    let mut endpoints = 0;
    ports.any(|port| {
        endpoints += reachable(port).count();
        endpoints > options.large_cluster_endpoints
    })
}

/// A rule that does nothing; when it is gone, somebody has flushed the table.
fn canary() -> Rule {
    Rule { comment: Some(Comment::new("kube-proxy canary")), ..Rule::default() }
}

/// The names of all chains that a Service port may have.
pub(crate) fn chain_names(port: &ServicePort, options: &Options) -> Vec<ChainName> {
    let names = PortNames::of(port, options.profile == Profile::Classic);
    let of_port = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-"].map(|prefix| names.chain(prefix));
    of_port.into_iter().chain(reachable(port).map(|endpoint| names.endpoint(endpoint.addr))).collect()
}

/// What comments call a Service port.
pub(crate) fn name_in_comments(port: &ServicePort, options: &Options) -> String {
    PortNames::of(port, options.profile == Profile::Classic).text
}

/// The endpoints that a port uses, each once.
pub(crate) fn reachable(port: &ServicePort) -> impl Iterator<Item = &Candidate> {
    let cluster = &port.cluster.endpoints;
    // Both lists are short or one holds the other; a set would cost more than it saves.
    let only_local = port.local.endpoints.iter().filter(|local| {
        cluster.len() <= 64 && !cluster.iter().any(|other| other.addr == local.addr)
            || cluster.len() > 64 && cluster.binary_search_by_key(&text(local), text).is_err()
    });
    cluster.iter().chain(only_local)
}

/// What candidates are sorted by.
fn text(candidate: &Candidate) -> String {
    candidate.addr.to_string()
}

/// How the packets of Pods are told.
#[derive(Debug)]
pub(crate) enum Pods {
    /// Not at all.
    Unknown,
    /// All are from Pods.
    All,
    /// By the device they come in by.
    Device(Interface),
    /// By their source.
    Ranges(Vec<IpNet>),
}

impl Pods {
    fn of(settings: &NodeSettings, family: IpFamily) -> Pods {
        let named = |name: &str| Interface::new(name).map_or(Pods::Unknown, Pods::Device);
        match settings.pod_device() {
            Some(PodDevice::Bridge(name)) => return named(name),
            Some(PodDevice::Prefix(prefix)) => return named(&format!("{prefix}+")),
            _ => {}
        }
        let ranges: Vec<IpNet> =
            settings.pod_ranges().iter().filter(|range| IpFamily::of_net(range) == family).copied().collect();
        if ranges.is_empty() {
            Pods::Unknown
        } else if ranges.iter().any(|range| range.prefix_len() == 0) {
            Pods::All
        } else {
            Pods::Ranges(ranges)
        }
    }
}

/// A Service port with what leads to it in the end.
pub(crate) struct Served<'a> {
    pub(crate) port: &'a ServicePort,
    pub(crate) names: PortNames,
    pub(crate) has_cluster_ip: bool,
    pub(crate) external_ips: Vec<IpAddr>,
    pub(crate) load_balancer_ips: Vec<IpAddr>,
    pub(crate) node_port: Option<u16>,
}

/// Why packets are turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoEndpoints,
    NoLocalEndpoints,
}

impl Refusal {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Refusal::NoEndpoints => "has no endpoints",
            Refusal::NoLocalEndpoints => "has no local endpoints",
        }
    }

    pub(crate) fn target(self) -> Target {
        match self {
            Refusal::NoEndpoints => Target::Reject,
            Refusal::NoLocalEndpoints => Target::Drop,
        }
    }
}

impl<'a> Served<'a> {
    fn of(view: &NodeView, port: &'a ServicePort, keeps_colon: bool) -> Served<'a> {
        let mut served = Served {
            port,
            names: PortNames::of(port, keeps_colon),
            has_cluster_ip: false,
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            node_port: None,
        };
        let owns = |to: &Destination| view.owner_of(to).is_some_and(|owner| owner.id() == port.id());
        for (kind, to) in port.frontends().filter(|(_, to)| owns(to)) {
            // A port that claims one address as several things has it as the first.
            let is_known = served.has_cluster_ip && to.addr == port.cluster_ip
                || served.external_ips.contains(&to.addr)
                || served.load_balancer_ips.contains(&to.addr);
            match kind {
                FrontendKind::NodePort => served.node_port = Some(to.port),
                _ if is_known => {}
                FrontendKind::ClusterIp => served.has_cluster_ip = true,
                FrontendKind::ExternalIp => served.external_ips.push(to.addr),
                _ => served.load_balancer_ips.push(to.addr),
            }
        }
        served
    }

    /// Why nobody gets through by the cluster IP.
    pub(crate) fn internal_refusal(&self) -> Option<Refusal> {
        self.refusal(self.port.internal_policy)
    }

    /// Why nobody from outside gets through by the other addresses.
    pub(crate) fn external_refusal(&self) -> Option<Refusal> {
        self.refusal(self.port.external_policy)
    }

    fn refusal(&self, policy: TrafficPolicy) -> Option<Refusal> {
        if !self.port.has_any_endpoints {
            return Some(Refusal::NoEndpoints);
        }
        let list = match policy {
            TrafficPolicy::Cluster => &self.port.cluster,
            TrafficPolicy::Local => &self.port.local,
        };
        list.endpoints.is_empty().then_some(Refusal::NoLocalEndpoints)
    }

    pub(crate) fn comment(&self, what: &str) -> Option<Comment> {
        let name = &self.names.text;
        let mut text = String::with_capacity(name.len() + 1 + what.len());
        text.push_str(name);
        if !what.is_empty() {
            text.push(' ');
            text.push_str(what);
        }
        Some(Comment::new(text))
    }

    /// What matches packets to an address of the Service.
    pub(crate) fn to(&self, addr: IpAddr, what: &str) -> Rule {
        Rule { destination: Some(Not::Is(host(addr))), ..self.to_port(self.port.port, what) }
    }

    /// What matches packets to a port, wherever.
    pub(crate) fn to_port(&self, port: u16, what: &str) -> Rule {
        Rule {
            comment: self.comment(what),
            protocol: Some(self.port.protocol),
            destination_port: Some(port),
            ..Rule::default()
        }
    }

    /// Endpoints with their chains.
    pub(crate) fn named<'e>(
        &self,
        endpoints: impl IntoIterator<Item = &'e Candidate>,
    ) -> Vec<(&'e Candidate, ChainName)> {
        endpoints.into_iter().map(|endpoint| (endpoint, self.names.endpoint(endpoint.addr))).collect()
    }

    /// The chain of a policy's list.
    pub(crate) fn chain_of(&self, policy: TrafficPolicy) -> ChainName {
        self.names.chain(match policy {
            TrafficPolicy::Cluster => "KUBE-SVC-",
            TrafficPolicy::Local => "KUBE-SVL-",
        })
    }
}

/// What all fragments are rendered with.
pub(crate) struct Renderer<'a> {
    /// The one that is being made.
    pub(crate) rules: Fragment,
    pub(crate) view: &'a NodeView,
    pub(crate) pods: Pods,
    pub(crate) family: IpFamily,
    pub(crate) options: &'a Options,
    pub(crate) is_large: bool,
}

pub(crate) fn jump(chain: &'static str) -> Option<Target> {
    Some(Target::Jump(ChainName::fixed(chain)))
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(view: &'a NodeView, family: IpFamily, options: &'a Options, is_large: bool) -> Renderer<'a> {
        let pods = Pods::of(view.settings(), family);
        Renderer { rules: Fragment::default(), view, pods, family, options, is_large }
    }

    /// The rules of one Service port.
    pub(crate) fn port(&mut self, port: &ServicePort) -> Fragment {
        let served = Served::of(self.view, port, self.options.profile == Profile::Classic);
        match self.options.profile {
            Profile::Modern => modern::port(self, &served),
            Profile::Classic => classic::port(self, &served),
        }
        std::mem::take(&mut self.rules)
    }

    /// The rules that are there whatever Services there are.
    pub(crate) fn frame(&mut self) -> Fragment {
        self.fixed_rules();
        self.node_port_jumps();
        std::mem::take(&mut self.rules)
    }

    /// The chains that are there even if they hold nothing.
    pub(crate) fn shared_chains(&self) -> Shared {
        use names::{EXTERNAL_SERVICES, FIREWALL, FORWARD, NODE_PORTS, PROXY_FIREWALL, SERVICES};
        let filter = [NODE_PORTS, SERVICES, EXTERNAL_SERVICES, FIREWALL, FORWARD, PROXY_FIREWALL];
        let filter = filter.map(|chain| Place { table: Table::Filter, chain, part: Part::Body });
        let nat = [NODE_PORTS, SERVICES].map(|chain| Place { table: Table::Nat, chain, part: Part::Body });
        filter.into_iter().chain(nat).map(|place| (place, Vec::new())).collect()
    }
}

impl Renderer<'_> {
    pub(crate) fn settings(&self) -> &NodeSettings {
        self.view.settings()
    }

    fn fixed_rules(&mut self) {
        use names::{FIREWALL, FORWARD, MARK_MASQ, POSTROUTING};
        let mark = self.settings().masquerade_mark();
        let marked = crate::rule::Mark { value: mark, mask: mark };
        let comment = |text: &str| Some(Comment::new(text));
        let counter = |name| self.options.counters.then(|| Counter::fixed(name));
        let invalid_counter = counter("ct_state_invalid_dropped_pkts");
        let related = States::RELATED | States::ESTABLISHED;
        self.rules.add(Table::Filter, names::CANARY, canary());
        self.rules.add(Table::Nat, names::CANARY, canary());
        if self.options.profile == Profile::Classic {
            classic::frame(self);
        }
        // CVE-2020-8558: with route_localnet neighbours could reach what listens on 127.0.0.1.
        if self.family == IpFamily::V4 && self.settings().takes_node_ports_at(Ipv4Addr::LOCALHOST.into()) {
            let loopback = Some(loopback());
            self.rules.add(
                Table::Filter,
                FIREWALL,
                Rule {
                    comment: comment("block incoming localnet connections"),
                    destination: loopback.map(Not::Is),
                    source: loopback.map(Not::Not),
                    states: Some(Not::Not(related | States::DNAT)),
                    target: Some(Target::Drop),
                    ..Rule::default()
                },
            );
        }
        if !self.options.tcp_be_liberal {
            self.rules.add(
                Table::Filter,
                FORWARD,
                Rule {
                    states: Some(Not::Is(States::INVALID)),
                    counter: invalid_counter,
                    target: Some(Target::Drop),
                    ..Rule::default()
                },
            );
        }
        self.rules.add(
            Table::Filter,
            FORWARD,
            Rule {
                comment: comment("kubernetes forwarding rules"),
                mark: Some(Not::Is(marked)),
                target: Some(Target::Accept),
                ..Rule::default()
            },
        );
        self.rules.add(
            Table::Filter,
            FORWARD,
            Rule {
                comment: comment("kubernetes forwarding conntrack rule"),
                states: Some(Not::Is(related)),
                target: Some(Target::Accept),
                ..Rule::default()
            },
        );
        let target = |target| Rule { target: Some(target), ..Rule::default() };
        self.rules.add(Table::Nat, MARK_MASQ, target(Target::or_mark(mark)));
        let unmarked = Rule { mark: Some(Not::Not(marked)), ..target(Target::Return) };
        self.rules.add(Table::Nat, POSTROUTING, unmarked);
        self.rules.add(Table::Nat, POSTROUTING, target(Target::xor_mark(mark)));
        let random_fully = self.options.random_fully;
        self.rules.add(
            Table::Nat,
            POSTROUTING,
            Rule {
                comment: comment("kubernetes service traffic requiring SNAT"),
                ..target(Target::Masquerade { random_fully })
            },
        );
        if let Pods::Ranges(ranges) = &self.pods
            && ranges.len() > 1
        {
            let from = |range: &IpNet| Rule { source: Some(Not::Is(*range)), ..target(Target::Return) };
            let inside: Vec<Rule> = ranges.iter().map(from).collect();
            inside.into_iter().for_each(|rule| self.rules.add(Table::Nat, names::MARK_OUTSIDE, rule));
            self.rules.add(Table::Nat, names::MARK_OUTSIDE, Rule { target: jump(MARK_MASQ), ..Rule::default() });
        }
    }

    /// The rule that marks for masquerading what does not come from Pods, of the packets that a rule matches; none where nothing is
    /// to be marked.
    pub(crate) fn mark_outside(&self, rule: Rule) -> Option<Rule> {
        let marks = |rule| Some(Rule { target: jump(names::MARK_MASQ), ..rule });
        if self.settings().masquerade_all() {
            return marks(rule);
        }
        match &self.pods {
            Pods::Unknown | Pods::All => None,
            Pods::Device(device) => marks(Rule { in_interface: Some(Not::Not(device.clone())), ..rule }),
            Pods::Ranges(ranges) => match ranges.as_slice() {
                [range] => marks(Rule { source: Some(Not::Not(*range)), ..rule }),
                _ => Some(Rule { target: jump(names::MARK_OUTSIDE), ..rule }),
            },
        }
    }

    /// A rule for what comes from Pods, of the packets that it matches: one for each range.
    pub(crate) fn rules_for_pods(&self, rule: &Rule) -> Vec<Rule> {
        match &self.pods {
            Pods::Unknown => Vec::new(),
            Pods::All => vec![rule.clone()],
            Pods::Device(device) => vec![Rule { in_interface: Some(Not::Is(device.clone())), ..rule.clone() }],
            Pods::Ranges(ranges) => {
                ranges.iter().map(|range| Rule { source: Some(Not::Is(*range)), ..rule.clone() }).collect()
            }
        }
    }

    /// A rule for what goes to node ports, of the packets that it matches: one for all addresses, or one for each that takes them.
    pub(crate) fn at_node_addresses(&self, rule: &Rule) -> Vec<Rule> {
        let settings = self.settings();
        if settings.takes_node_ports_everywhere(self.family) {
            // IPv6 has no node ports on loopback: its address cannot be routed off the device.
            let without_loopback = match self.family {
                IpFamily::V4 if settings.takes_node_ports_at(Ipv4Addr::LOCALHOST.into()) => None,
                IpFamily::V4 => Some(Not::Not(loopback())),
                IpFamily::V6 => Some(Not::Not(host(std::net::Ipv6Addr::LOCALHOST.into()))),
            };
            return vec![Rule { destination: without_loopback, destination_is_local: true, ..rule.clone() }];
        }
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        let addresses = settings.addresses().chain([localhost]);
        let taken = addresses
            .filter(|addr| IpFamily::of(*addr) == self.family && settings.takes_node_ports_at(*addr))
            .map(|addr| Rule { destination: Some(Not::Is(host(addr))), ..rule.clone() });
        taken.collect()
    }

    /// The last rules of KUBE-SERVICES, and those that keep from node ports what a Service's own address has been asked for.
    fn node_port_jumps(&mut self) {
        let comment = "kubernetes service nodeports; NOTE: this must be the last rule in this chain";
        let rule = Rule { comment: Some(Comment::new(comment)), target: jump(names::NODE_PORTS), ..Rule::default() };
        for rule in self.at_node_addresses(&rule) {
            self.rules.place(Table::Nat, names::SERVICES, Part::Tail, rule);
        }
    }

    /// Keeps a packet to an address of the node that is a Service's, too, from another Service's node port of the same number.
    pub(crate) fn guard(&mut self, served: &Served<'_>, addr: IpAddr) {
        let port = served.port;
        let anywhere = Destination { addr: self.family.unspecified(), protocol: port.protocol, port: port.port };
        if self.settings().takes_node_ports_at(addr) && self.view.owner_of(&anywhere).is_some() {
            let rule = Rule { target: Some(Target::Return), ..served.to(addr, "is not a node port here") };
            // In front of all node ports.
            self.rules.place(Table::Nat, names::NODE_PORTS, Part::Head, rule);
        }
    }
}

/// 127.0.0.0/8
pub(crate) fn loopback() -> IpNet {
    IpNet::from(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8))
}
