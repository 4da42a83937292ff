//! What objects make a node do what its view says? The layout of kube-proxy.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use svc_model::addr::IpFamily;
use svc_model::{Candidate, Destination, FrontendKind, NodeSettings, NodeView, PodDevice, ServicePort, TrafficPolicy};

use crate::fragment::{Fragment, Shared, SharedChain, SlotMap, include};
use crate::names::{Name, PortNames};
use crate::table::{
    Among, Chain, Comment, Hook, HookPoint, Interface, Key, Map, MapKind, Rule, Set, Side, Slots, Statement, Table,
    Verdict, disjoint,
};

const CLUSTER_IPS: &str = "cluster-ips";
const NODE_PORT_IPS: &str = "nodeport-ips";
const SERVICE_IPS: &str = "service-ips";
const SERVICE_NODE_PORTS: &str = "service-nodeports";
const NO_ENDPOINT_SERVICES: &str = "no-endpoint-services";
const NO_ENDPOINT_NODE_PORTS: &str = "no-endpoint-nodeports";
const FIREWALL_IPS: &str = "firewall-ips";
const MARK: &str = "mark-for-masquerade";
const REJECT: &str = "reject-chain";
const CLUSTER_IPS_CHECK: &str = "cluster-ips-check";
const HAIRPINS: &str = "hairpins";

/// How objects are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// As kube-proxy does: chains for each Service port and endpoint.
    #[default]
    Modern,
    /// Elements of a few maps instead, where nothing needs to be remembered of clients. The kernel takes them in much faster.
    Fast,
}

/// The objects of a family for these Service ports of a view. O(ports + endpoints), times a logarithm.
///
/// Ports of the other family are left out. Where several ports claim a destination, its [owner](NodeView::owner_of) has it.
pub fn render(view: &NodeView, ports: &[&ServicePort], family: IpFamily, layout: Layout) -> Table {
    let frame = Frame::new(view.settings(), family, layout);
    let fragments = ports.iter().filter(|port| port.family == family).map(|port| frame.fragment(view, port));
    let fragments: Vec<Fragment> = fragments.collect();
    let mut table = frame.table();
    include(&mut table, &fragments);
    let shared: BTreeSet<Shared> = fragments.into_iter().flat_map(|fragment| fragment.shared).collect();
    frame.share(&mut table, &shared);
    table
}

/// How the packets of Pods are told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pods {
    Unknown,
    All,
    Device(Interface),
    Ranges(Vec<IpNet>),
}

impl Pods {
    fn of(settings: &NodeSettings, family: IpFamily) -> Pods {
        let named = |name: &str| Interface::new(name).map_or(Pods::Unknown, Pods::Device);
        match settings.pod_device() {
            Some(PodDevice::Bridge(name)) => return named(name),
            Some(PodDevice::Prefix(prefix)) => return named(&format!("{prefix}*")),
            _ => {}
        }
        let ranges: Vec<IpNet> =
            settings.pod_ranges().iter().filter(|range| IpFamily::of_net(range) == family).copied().collect();
        match disjoint(&ranges).as_slice() {
            [] => Pods::Unknown,
            [range] if range.prefix_len() == 0 => Pods::All,
            ranges => Pods::Ranges(ranges.to_vec()),
        }
    }
}

/// A chain by its name, where the kernel enters it (whether for nat, the hook, the priority), and its rules.
type FrameChain = (&'static str, Option<(bool, HookPoint, i32)>, Vec<Rule>);

/// What is the same for all Service ports of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    family: IpFamily,
    layout: Layout,
    pods: Pods,
    settings: NodeSettings,
    ranges: Vec<IpNet>,
}

/// Why packets are turned away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NoEndpoints,
    NoLocalEndpoints,
}

fn refusal(port: &ServicePort, policy: TrafficPolicy) -> Option<Refusal> {
    if !port.has_any_endpoints {
        return Some(Refusal::NoEndpoints);
    }
    list(port, policy).is_empty().then_some(Refusal::NoLocalEndpoints)
}

fn list(port: &ServicePort, policy: TrafficPolicy) -> &[Candidate] {
    match policy {
        TrafficPolicy::Cluster => &port.cluster.endpoints,
        TrafficPolicy::Local => &port.local.endpoints,
    }
}

fn list_chain(names: &PortNames, policy: TrafficPolicy) -> Name {
    names.chain(match policy {
        TrafficPolicy::Cluster => "service-",
        TrafficPolicy::Local => "local-",
    })
}

fn rule(statements: impl IntoIterator<Item = Statement>) -> Rule {
    Rule { statements: statements.into_iter().collect(), comment: None }
}

fn commented(statements: impl IntoIterator<Item = Statement>, comment: &str) -> Rule {
    Rule { comment: Some(Comment::new(comment)), ..rule(statements) }
}

fn jump(chain: &'static str) -> Statement {
    Statement::Verdict(Verdict::Jump(Name::fixed(chain)))
}

fn goto(chain: Name) -> Statement {
    Statement::Verdict(Verdict::Goto(chain))
}

fn from_local() -> Statement {
    Statement::Local { side: Side::Source }
}

fn address(side: Side, negated: bool, among: Among) -> Statement {
    Statement::Address { side, negated, among }
}

fn one(addr: IpAddr) -> Among {
    Among::One(IpNet::from(addr))
}

impl Frame {
    pub(crate) fn new(settings: &NodeSettings, family: IpFamily, layout: Layout) -> Frame {
        let ranges: Vec<IpNet> =
            settings.service_ranges().iter().filter(|range| IpFamily::of_net(range) == family).copied().collect();
        let pods = Pods::of(settings, family);
        Frame { family, layout, pods, settings: settings.clone(), ranges: disjoint(&ranges) }
    }

    /// The objects that are there whatever Services there are.
    pub(crate) fn table(&self) -> Table {
        let mut table = self.headers();
        let at_node = self.at_node(&mut table);
        for (name, hook, rules) in self.chains(&at_node) {
            let hook = hook.map(|(is_nat, point, priority)| Hook { is_nat, point, priority });
            table.chains.insert(Name::fixed(name), Chain { hook, comment: None, rules });
        }
        if let Some(chain) = table.chains.get_mut(REJECT) {
            chain.comment = Some(Comment::new("helper for @no-endpoint-services / @no-endpoint-nodeports"));
        }
        table
    }

    /// The sets and maps that Service ports have elements in.
    pub(crate) fn headers(&self) -> Table {
        let mut table = Table::new(self.family);
        let comment = |text: &str| Some(Comment::new(text));
        let cluster_ips = Set { comment: comment("Active ClusterIPs"), ..Set::default() };
        table.sets.insert(Name::fixed(CLUSTER_IPS), cluster_ips);
        let no_node_ports = "vmap to drop or reject packets to service nodeports with no endpoints";
        let maps = [
            (FIREWALL_IPS, MapKind::Address, "destinations that are subject to LoadBalancerSourceRanges"),
            (NO_ENDPOINT_NODE_PORTS, MapKind::Port, no_node_ports),
            (NO_ENDPOINT_SERVICES, MapKind::Address, "vmap to drop or reject packets to services with no endpoints"),
            (SERVICE_IPS, MapKind::Address, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
            (SERVICE_NODE_PORTS, MapKind::Port, "NodePort traffic"),
        ];
        for (name, kind, text) in maps {
            table.maps.insert(Name::fixed(name), Map { kind, comment: comment(text), elements: BTreeMap::new() });
        }
        if self.layout == Layout::Fast {
            for slots in SlotMap::all() {
                let header = Slots { protocol: slots.protocol, kind: slots.kind(), elements: BTreeMap::new() };
                table.slots.insert(Name::fixed(slots.name()), header);
            }
            table.loops.insert(Name::fixed(HAIRPINS), BTreeSet::new());
        }
        table
    }

    fn chains(&self, at_node: &[Statement]) -> Vec<FrameChain> {
        use HookPoint::{Forward, Input, Output, Postrouting, Prerouting};
        let look_up_port =
            |map: &'static str| rule(at_node.iter().cloned().chain([Statement::LookUpPort(Name::fixed(map))]));
        let look_up = |map: &'static str| rule([Statement::LookUp(Name::fixed(map))]);
        let of_new = |chain: &'static str| rule([Statement::New, jump(chain)]);
        let mark = self.settings.masquerade_mark();
        let hairpins = || rule([Statement::Loops(Name::fixed(HAIRPINS)), Statement::Masquerade]);
        let masquerading = (self.layout == Layout::Fast).then(hairpins).into_iter().chain([
            rule([Statement::Unmarked(mark), Statement::Verdict(Verdict::Return)]),
            rule([Statement::TurnMark(mark)]),
            rule([Statement::Masquerade]),
        ]);
        let forwarded = || ["service-endpoints-check", "cluster-ips-check"].map(of_new).to_vec();
        let arriving = ["nodeport-endpoints-check", "service-endpoints-check"].map(of_new).to_vec();
        vec![
            (CLUSTER_IPS_CHECK, None, self.cluster_ips_check()),
            ("filter-prerouting-pre-dnat", Some((false, Prerouting, -110)), vec![of_new("firewall-check")]),
            ("filter-output-pre-dnat", Some((false, Output, -110)), vec![of_new("firewall-check")]),
            ("filter-forward", Some((false, Forward, 0)), forwarded()),
            ("filter-input", Some((false, Input, 0)), arriving),
            ("filter-output", Some((false, Output, 0)), forwarded()),
            ("firewall-check", None, vec![look_up(FIREWALL_IPS)]),
            (MARK, None, vec![rule([Statement::SetMark(mark)])]),
            ("masquerading", None, masquerading.collect()),
            ("nat-output", Some((true, Output, -100)), vec![rule([jump("services")])]),
            ("nat-postrouting", Some((true, Postrouting, 100)), vec![rule([jump("masquerading")])]),
            ("nat-prerouting", Some((true, Prerouting, -100)), vec![rule([jump("services")])]),
            ("nodeport-endpoints-check", None, vec![look_up_port(NO_ENDPOINT_NODE_PORTS)]),
            (REJECT, None, vec![rule([Statement::Verdict(Verdict::Reject)])]),
            ("services", None, vec![look_up(SERVICE_IPS), look_up_port(SERVICE_NODE_PORTS)]),
            ("service-endpoints-check", None, vec![look_up(NO_ENDPOINT_SERVICES)]),
        ]
    }

    /// What matches packets to the node's addresses that take node ports; with a set, where they are chosen.
    fn at_node(&self, table: &mut Table) -> Vec<Statement> {
        let settings = &self.settings;
        if settings.takes_node_ports_everywhere(self.family) {
            // Node ports are never on loopback here.
            let loopback: IpNet = match self.family {
                IpFamily::V4 => ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8).into(),
                IpFamily::V6 => IpAddr::from(std::net::Ipv6Addr::LOCALHOST).into(),
            };
            let local = Statement::Local { side: Side::Destination };
            return vec![local, address(Side::Destination, true, Among::One(loopback))];
        }
        let takes = |addr: &IpAddr| IpFamily::of(*addr) == self.family && settings.takes_node_ports_at(*addr);
        let elements = settings.addresses().filter(takes).collect();
        let comment = Some(Comment::new("IPs that accept NodePort traffic"));
        table.sets.insert(Name::fixed(NODE_PORT_IPS), Set { comment, elements, timeout: None });
        vec![address(Side::Destination, false, Among::Set(Name::fixed(NODE_PORT_IPS)))]
    }

    /// Packets to other ports of cluster IPs, and to whatever else lies in Service ranges.
    fn cluster_ips_check(&self) -> Vec<Rule> {
        let of_cluster_ips = address(Side::Destination, false, Among::Set(Name::fixed(CLUSTER_IPS)));
        let reject = commented(
            [of_cluster_ips, Statement::Verdict(Verdict::Reject)],
            "Reject traffic to invalid ports of ClusterIPs",
        );
        if self.ranges.is_empty() {
            return vec![reject];
        }
        let unallocated = address(Side::Destination, false, Among::Some(self.ranges.clone()));
        let drop =
            commented([unallocated, Statement::Verdict(Verdict::Drop)], "Drop traffic to unallocated ClusterIPs");
        vec![reject, drop]
    }

    /// Puts what several Service ports use into a table, once.
    pub(crate) fn share<'s>(&self, table: &mut Table, shared: impl IntoIterator<Item = &'s Shared>) {
        let (mut cluster_ips, mut hairpins) = (Vec::new(), Vec::new());
        for shared in shared {
            match shared {
                Shared::ClusterIp(addr) => cluster_ips.push(*addr),
                Shared::Hairpin(addr) => hairpins.push(*addr),
                Shared::Chain(chain) => {
                    let rules = self.shared_chain(*chain);
                    table.chains.insert(chain.name(), Chain { rules, ..Chain::default() });
                }
            }
        }
        if !cluster_ips.is_empty() {
            let set = table.sets.entry(Name::fixed(CLUSTER_IPS)).or_default();
            set.elements.append(&mut cluster_ips.into_iter().collect());
        }
        if !hairpins.is_empty() {
            let addrs = table.loops.entry(Name::fixed(HAIRPINS)).or_default();
            addrs.append(&mut hairpins.into_iter().collect());
        }
    }

    pub(crate) fn family(&self) -> IpFamily {
        self.family
    }

    fn shared_chain(&self, chain: SharedChain) -> Vec<Rule> {
        let goto_pick = |slots, among| goto(SharedChain::Pick(slots, among).name());
        match chain {
            SharedChain::Pick(slots, among) => {
                let SlotMap { protocol, .. } = slots;
                vec![rule([Statement::DnatTo { map: Name::fixed(slots.name()), protocol, kind: slots.kind(), among }])]
            }
            SharedChain::Internal(slots, n) => {
                let marks = self.mark_outside(Vec::new());
                marks.into_iter().chain([rule([goto_pick(slots, n)])]).collect()
            }
            SharedChain::External(slots, n) => vec![rule([jump(MARK)]), rule([goto_pick(slots, n)])],
            SharedChain::ShortCircuit(slots, cluster, local) => {
                let mut rules = self.short_circuit(|| goto_pick(slots, cluster));
                let of_node = SlotMap { local: true, ..slots };
                rules.extend((local > 0).then(|| rule([goto_pick(of_node, local)])));
                rules
            }
        }
    }

    /// The objects of one Service port.
    pub(crate) fn fragment(&self, view: &NodeView, port: &ServicePort) -> Fragment {
        // Most Service ports of the fast layout have no object of their own to name.
        let names = LazyCell::new(|| PortNames::of(port));
        let mut fragment = Fragment::default();
        // The node's own address is an address like any other.
        if !self.settings.is_local(port.cluster_ip) {
            fragment.shared.insert(Shared::ClusterIp(port.cluster_ip));
        }
        let firewall = self.allowed_sources(port).map(|allowed| {
            let name = names.chain("firewall-");
            let others = address(Side::Source, true, Among::Some(allowed));
            let rules = vec![rule([others, Statement::Verdict(Verdict::Drop)])];
            fragment.chains.insert(name.clone(), Chain { rules, ..Chain::default() });
            name
        });
        // Who remembers clients has sets, which the chains of endpoints fill.
        let is_flat = self.layout == Layout::Fast && port.affinity_seconds.is_none();
        let mut seen = BTreeSet::new();
        for (kind, to) in port.frontends() {
            let owns = view.owner_of(&to).is_some_and(|owner| owner.id() == port.id());
            // A port that claims one address as several things has it as the first.
            if !owns || !seen.insert(to) {
                continue;
            }
            let is_internal = kind == FrontendKind::ClusterIp;
            let at_node = kind == FrontendKind::NodePort;
            let policy = if is_internal { port.internal_policy } else { port.external_policy };
            let (served, refused) = match at_node {
                true => (SERVICE_NODE_PORTS, NO_ENDPOINT_NODE_PORTS),
                false => (SERVICE_IPS, NO_ENDPOINT_SERVICES),
            };
            let key = Key { addr: (!at_node).then_some(to.addr), protocol: to.protocol, port: to.port };
            let refusal = refusal(port, policy);
            // From outside nobody may get through where from inside all do.
            if refusal.is_none() || (!is_internal && port.has_any_endpoints) {
                let chain = match (is_flat, is_internal) {
                    (true, _) => fragment.slots_of(port, key, is_internal),
                    (false, true) => list_chain(&names, policy),
                    (false, false) => names.chain("external-"),
                };
                fragment.add(served, key, Verdict::Goto(chain), None);
            } else if !at_node && self.is_node_port_too(view, &to) {
                fragment.add(served, key, Verdict::Return, None);
            }
            if let Some(refusal) = refusal {
                let verdict = match refusal {
                    Refusal::NoEndpoints => Verdict::Goto(Name::fixed(REJECT)),
                    Refusal::NoLocalEndpoints => Verdict::Drop,
                };
                fragment.add(refused, key, verdict, Some(Comment::new(names.text.as_str())));
            }
            if let Some(firewall) = firewall.as_ref().filter(|_| kind == FrontendKind::LoadBalancer) {
                fragment.add(FIREWALL_IPS, key, Verdict::Goto(firewall.clone()), None);
            }
        }
        if port.has_any_endpoints && !is_flat {
            self.port_chains(port, &names, &mut fragment);
        }
        fragment
    }

    /// Whether an address of a Service is the node's, too, and another Service has the same number as its node port.
    fn is_node_port_too(&self, view: &NodeView, to: &Destination) -> bool {
        let anywhere = Destination { addr: self.family.unspecified(), ..*to };
        self.settings.takes_node_ports_at(to.addr) && view.owner_of(&anywhere).is_some()
    }

    fn port_chains(&self, port: &ServicePort, names: &PortNames, fragment: &mut Fragment) {
        for policy in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
            let candidates = list(port, policy);
            if candidates.is_empty() {
                continue;
            }
            let mut rules = Vec::new();
            if port.internal_policy == policy {
                rules.extend(self.mark_outside(vec![address(Side::Destination, false, one(port.cluster_ip))]));
            }
            let mut choices = Vec::with_capacity(candidates.len());
            for candidate in candidates {
                let [chain, set] = names.endpoint(candidate.addr);
                if let Some(seconds) = port.affinity_seconds {
                    let seen = address(Side::Source, false, Among::Set(set.clone()));
                    rules.push(rule([seen, goto(chain.clone())]));
                    fragment.sets.insert(set.clone(), Set { timeout: Some(seconds), ..Set::default() });
                }
                fragment.chains.insert(chain.clone(), endpoint_chain(port, candidate, set));
                choices.push(chain);
            }
            rules.push(rule([Statement::Choose(choices)]));
            fragment.chains.insert(list_chain(names, policy), Chain { rules, ..Chain::default() });
        }
        if port.is_externally_accessible() {
            let rules = self.external(port, names);
            fragment.chains.insert(names.chain("external-"), Chain { rules, ..Chain::default() });
        }
    }

    /// The rule that marks for masquerading what does not come from Pods, of the packets that statements match.
    fn mark_outside(&self, to: Vec<Statement>) -> Option<Rule> {
        if self.settings.masquerade_all() {
            return Some(rule(to.into_iter().chain([jump(MARK)])));
        }
        let outside = match &self.pods {
            Pods::Unknown | Pods::All => return None,
            Pods::Device(device) => Statement::InterfaceIs { negated: true, name: device.clone() },
            Pods::Ranges(ranges) => address(Side::Source, true, among(ranges)),
        };
        Some(rule(to.into_iter().chain([outside, jump(MARK)])))
    }

    fn external(&self, port: &ServicePort, names: &PortNames) -> Vec<Rule> {
        let mut rules = match port.external_policy {
            TrafficPolicy::Cluster => vec![rule([jump(MARK)])],
            TrafficPolicy::Local => self.short_circuit(|| goto(list_chain(names, TrafficPolicy::Cluster))),
        };
        if refusal(port, port.external_policy).is_none() {
            rules.push(rule([goto(list_chain(names, port.external_policy))]));
        }
        rules
    }

    /// What comes from inside goes to any endpoint, as if it had gone out to the balancer and come back at any node.
    fn short_circuit(&self, cluster: impl Fn() -> Statement) -> Vec<Rule> {
        let from_pods = match &self.pods {
            Pods::Unknown => None,
            Pods::All => Some(vec![cluster()]),
            Pods::Device(device) => {
                Some(vec![Statement::InterfaceIs { negated: false, name: device.clone() }, cluster()])
            }
            Pods::Ranges(ranges) => Some(vec![address(Side::Source, false, among(ranges)), cluster()]),
        };
        let from_pods = from_pods.map(|statements| commented(statements, "short-circuit pod traffic"));
        from_pods
            .into_iter()
            .chain([
                commented([from_local(), jump(MARK)], "masquerade local traffic"),
                commented([from_local(), cluster()], "short-circuit local traffic"),
            ])
            .collect()
    }

    /// Who may use the load balancer's addresses, if anybody is to be kept from them.
    fn allowed_sources(&self, port: &ServicePort) -> Option<Vec<IpNet>> {
        if port.source_ranges.is_empty() || port.load_balancer_ips.is_empty() {
            return None;
        }
        let mut allowed = port.source_ranges.clone();
        // A node that talks to such an address bound to itself has that as its source.
        let has_node = |range: &IpNet| self.settings.primary_addresses().iter().any(|addr| range.contains(addr));
        if port.source_ranges.iter().any(has_node) {
            allowed.extend(port.load_balancer_ips.iter().map(|addr| IpNet::from(*addr)));
        }
        let allowed = disjoint(&allowed);
        let all = allowed.iter().any(|range| range.prefix_len() == 0);
        (!all).then_some(allowed)
    }
}

fn among(ranges: &[IpNet]) -> Among {
    match ranges {
        [range] => Among::One(*range),
        ranges => Among::Some(ranges.to_vec()),
    }
}

/// What comes from an endpoint goes back to it only through the node (hairpin), and all go to it.
fn endpoint_chain(port: &ServicePort, candidate: &Candidate, set: Name) -> Chain {
    let hairpin = rule([address(Side::Source, false, one(candidate.addr.ip())), jump(MARK)]);
    let remember = port.affinity_seconds.map(|_| rule([Statement::Remember(set)]));
    let translate = rule([Statement::Protocol(port.protocol), Statement::Dnat(candidate.addr)]);
    Chain { rules: [hairpin].into_iter().chain(remember).chain([translate]).collect(), ..Chain::default() }
}
