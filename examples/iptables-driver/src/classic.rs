//! The layout of kube-proxy until 1.17, which books and blogs show.

use svc_model::{Candidate, TrafficPolicy};

use crate::modern::{allowed_sources, balance, endpoint_chain, health_check, short_circuit};
use crate::names;
use crate::render::{Renderer, Served, jump, loopback, reachable};
use crate::rule::{Comment, Mark, Not, Probability, Rule, Target};
use crate::ruleset::Table;

/// The mark of what shall be dropped; the kubelet's bit 15.
const DROP: Mark = Mark { value: 0x8000, mask: 0x8000 };

/// The rules of one Service port.
pub(crate) fn port(out: &mut Renderer<'_>, served: &Served<'_>) {
    frontends(out, served);
    if served.port.has_any_endpoints {
        chains(out, served);
    }
}

fn frontends(out: &mut Renderer<'_>, served: &Served<'_>) {
    let port = served.port;
    // The classic layout has the colon before the words: "default/redis: cluster IP".
    if served.has_cluster_ip {
        let rule = served.to(port.cluster_ip, "cluster IP");
        match served.internal_refusal() {
            None => {
                let marks = out.mark_outside(rule.clone());
                marks.into_iter().for_each(|rule| out.rules.add(Table::Nat, names::SERVICES, rule));
                let target = Some(Target::Jump(served.chain_of(port.internal_policy)));
                out.rules.add(Table::Nat, names::SERVICES, Rule { target, ..rule });
            }
            Some(refusal) => {
                let rule = Rule { target: Some(refusal.target()), ..served.to(port.cluster_ip, refusal.words()) };
                out.rules.add(Table::Filter, names::SERVICES, rule);
            }
        }
    }
    let addresses = served.external_ips.iter().map(|addr| (*addr, "external IP", false));
    let balancers = served.load_balancer_ips.iter().map(|addr| (*addr, "loadbalancer IP", true));
    for (addr, what, is_balancer) in addresses.chain(balancers) {
        out.guard(served, addr);
        if !port.has_any_endpoints {
            let rule = Rule { target: Some(Target::Reject), ..served.to(addr, "has no endpoints") };
            out.rules.add(Table::Filter, names::EXTERNAL_SERVICES, rule);
        } else if is_balancer {
            let target = Some(Target::Jump(served.names.chain("KUBE-FW-")));
            out.rules.add(Table::Nat, names::SERVICES, Rule { target, ..served.to(addr, what) });
        } else {
            for rule in external(served, &served.to(addr, what)) {
                out.rules.add(Table::Nat, names::SERVICES, rule);
            }
        }
    }
    if let Some(number) = served.node_port {
        let rule = served.to_port(number, "");
        if !port.has_any_endpoints {
            let rule = Rule { target: Some(Target::Reject), ..served.to_port(number, "has no endpoints") };
            for rule in out.at_node_addresses(&rule) {
                out.rules.add(Table::Filter, names::EXTERNAL_SERVICES, rule);
            }
        } else {
            if port.external_policy == TrafficPolicy::Local && out.family == svc_model::addr::IpFamily::V4 {
                let source = Some(Not::Is(loopback()));
                let rule = Rule { source, target: jump(names::MARK_MASQ), ..rule.clone() };
                out.rules.add(Table::Nat, names::NODE_PORTS, rule);
            }
            for rule in external(served, &rule) {
                out.rules.add(Table::Nat, names::NODE_PORTS, rule);
            }
        }
    }
    health_check(out, served);
}

/// Where packets to an external address go, of those that a rule matches.
fn external(served: &Served<'_>, rule: &Rule) -> Vec<Rule> {
    let to = |target| Rule { target, ..rule.clone() };
    match served.port.external_policy {
        TrafficPolicy::Cluster => {
            let cluster = Some(Target::Jump(served.chain_of(TrafficPolicy::Cluster)));
            vec![to(jump(names::MARK_MASQ)), to(cluster)]
        }
        TrafficPolicy::Local => vec![to(Some(Target::Jump(served.names.chain("KUBE-XLB-"))))],
    }
}

fn chains(out: &mut Renderer<'_>, served: &Served<'_>) {
    let port = served.port;
    let unlabelled = |_: &Candidate| None;
    let local_chain = (port.internal_policy == TrafficPolicy::Local).then_some((TrafficPolicy::Local, &port.local));
    for (policy, list) in [(TrafficPolicy::Cluster, &port.cluster)].into_iter().chain(local_chain) {
        if !list.endpoints.is_empty() {
            let mut rules = Vec::with_capacity(list.endpoints.len());
            balance(served, &served.named(&*list.endpoints), unlabelled, Probability::one_in_coarse, &mut rules);
            out.rules.chains.push((served.chain_of(policy), rules));
        }
    }
    if port.external_policy == TrafficPolicy::Local && port.is_externally_accessible() {
        let rules = external_local(out, served);
        out.rules.chains.push((served.names.chain("KUBE-XLB-"), rules));
    }
    if !port.load_balancer_ips.is_empty() {
        let rules = firewall(out, served);
        out.rules.chains.push((served.names.chain("KUBE-FW-"), rules));
    }
    for endpoint in served.named(reachable(port)) {
        out.rules.chains.push(endpoint_chain(served, endpoint, None));
    }
}

fn external_local(out: &Renderer<'_>, served: &Served<'_>) -> Vec<Rule> {
    let name = &served.names.text;
    let comment = |before: &str| Some(Comment::new(format!("{before} {name} external destinations")));
    let cluster = || Some(Target::Jump(served.chain_of(TrafficPolicy::Cluster)));
    let mut rules = short_circuit(out, comment, cluster);
    let endpoints = &served.port.local.endpoints;
    if endpoints.is_empty() {
        let comment = served.comment("has no local endpoints");
        rules.push(Rule { comment, target: jump(names::MARK_DROP), ..Rule::default() });
    }
    let numbered = |candidate: &Candidate| {
        let i = endpoints.iter().position(|endpoint| endpoint == candidate).unwrap_or_default();
        Some(Comment::new(format!("Balancing rule {i} for {name}")))
    };
    balance(served, &served.named(&**endpoints), numbered, Probability::one_in_coarse, &mut rules);
    rules
}

/// Every address of a load balancer has a firewall, if only one that lets everybody through.
fn firewall(out: &Renderer<'_>, served: &Served<'_>) -> Vec<Rule> {
    let base = Rule { comment: served.comment("loadbalancer IP"), ..Rule::default() };
    if served.port.source_ranges.is_empty() {
        return external(served, &base);
    }
    let sources = allowed_sources(out, served);
    let mut rules: Vec<Rule> =
        sources.into_iter().flat_map(|source| external(served, &Rule { source, ..base.clone() })).collect();
    rules.push(Rule { target: jump(names::MARK_DROP), ..base });
    rules
}

/// The chain that marks what the filter table shall drop, and the rules that do. Filtering cannot happen in nat.
pub(crate) fn frame(out: &mut Renderer<'_>) {
    let target = Some(Target::or_mark(DROP.value));
    out.rules.add(Table::Nat, names::MARK_DROP, Rule { target, ..Rule::default() });
    let comment = Some(Comment::new("kubernetes firewall for dropping marked packets"));
    let rule = Rule { comment, mark: Some(Not::Is(DROP)), target: Some(Target::Drop), ..Rule::default() };
    out.rules.add(Table::Filter, names::FIREWALL, rule.clone());
    // What is not for the node passes there only.
    out.rules.add(Table::Filter, names::FORWARD, rule);
}
