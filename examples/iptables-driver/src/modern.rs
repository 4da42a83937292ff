//! The layout of kube-proxy today.

use std::net::Ipv4Addr;

use svc_model::addr::IpFamily;
use svc_model::{Candidate, TrafficPolicy};

use crate::names::{self, ChainName};
use crate::print::host;
use crate::render::{Renderer, Served, jump, loopback, reachable};
use crate::rule::{Comment, Counter, Not, Probability, Recent, RecentAction, Rule, Target};
use crate::ruleset::Table;

/// The rules of one Service port.
pub(crate) fn port(out: &mut Renderer<'_>, served: &Served<'_>) {
    frontends(out, served);
    if served.port.has_any_endpoints {
        chains(out, served);
    }
}

fn has_firewall(served: &Served<'_>) -> bool {
    let port = served.port;
    !port.source_ranges.is_empty() && !port.load_balancer_ips.is_empty() && port.has_any_endpoints
}

fn frontends(out: &mut Renderer<'_>, served: &Served<'_>) {
    let port = served.port;
    if served.has_cluster_ip {
        match served.internal_refusal() {
            None => {
                let target = Target::Jump(served.chain_of(port.internal_policy));
                let rule = Rule { target: Some(target), ..served.to(port.cluster_ip, "cluster IP") };
                out.rules.add(Table::Nat, names::SERVICES, rule);
            }
            Some(refusal) => {
                let rule = Rule { target: Some(refusal.target()), ..served.to(port.cluster_ip, refusal.words()) };
                out.rules.add(Table::Filter, names::SERVICES, rule);
            }
        }
    }
    let external = Target::Jump(served.names.chain("KUBE-EXT-"));
    let refusal = served.external_refusal();
    let refuse = |rule: Rule| refusal.map(|refusal| Rule { target: Some(refusal.target()), ..rule });
    let why = refusal.map(|refusal| refusal.words()).unwrap_or_default();
    for addr in &served.external_ips {
        if port.has_any_endpoints {
            let rule = Rule { target: Some(external.clone()), ..served.to(*addr, "external IP") };
            out.rules.add(Table::Nat, names::SERVICES, rule);
        }
        out.guard(served, *addr);
        if let Some(rule) = refuse(served.to(*addr, why)) {
            out.rules.add(Table::Filter, names::EXTERNAL_SERVICES, rule);
        }
    }
    let firewall = has_firewall(served).then(|| served.names.chain("KUBE-FW-"));
    for addr in &served.load_balancer_ips {
        if port.has_any_endpoints {
            let target = firewall.map_or(external.clone(), Target::Jump);
            let rule = Rule { target: Some(target), ..served.to(*addr, "loadbalancer IP") };
            out.rules.add(Table::Nat, names::SERVICES, rule);
        }
        out.guard(served, *addr);
        if let Some(firewall) = &firewall {
            let why = format!("traffic not accepted by {firewall}");
            let rule = Rule { target: Some(Target::Drop), ..served.to(*addr, &why) };
            out.rules.add(Table::Filter, names::PROXY_FIREWALL, rule);
        }
        if let Some(rule) = refuse(served.to(*addr, why)) {
            out.rules.add(Table::Filter, names::EXTERNAL_SERVICES, rule);
        }
    }
    if let Some(number) = served.node_port {
        if port.has_any_endpoints {
            let rule = Rule { target: Some(external), ..served.to_port(number, "") };
            let counts_localhost = out.options.counters
                && out.family == IpFamily::V4
                && out.settings().takes_node_ports_at(Ipv4Addr::LOCALHOST.into());
            if counts_localhost {
                let counter = Some(Counter::fixed("localhost_nps_accepted_pkts"));
                let rule = Rule { destination: Some(Not::Is(loopback())), counter, ..rule.clone() };
                out.rules.add(Table::Nat, names::NODE_PORTS, rule);
            }
            out.rules.add(Table::Nat, names::NODE_PORTS, rule);
        }
        if let Some(rule) = refuse(served.to_port(number, why)) {
            for rule in out.at_node_addresses(&rule) {
                out.rules.add(Table::Filter, names::EXTERNAL_SERVICES, rule);
            }
        }
    }
    health_check(out, served);
}

/// The kubelet's door to the proxy stays open, whatever others filter.
pub(crate) fn health_check(out: &mut Renderer<'_>, served: &Served<'_>) {
    if let Some(number) = served.port.health_check_node_port {
        let rule = Rule {
            protocol: Some(svc_model::Protocol::Tcp),
            target: Some(Target::Accept),
            ..served.to_port(number, "health check node port")
        };
        out.rules.add(Table::Filter, names::NODE_PORTS, rule);
    }
}

fn chains(out: &mut Renderer<'_>, served: &Served<'_>) {
    let port = served.port;
    let endpoints = served.named(reachable(port));
    let local = served.named(&*port.local.endpoints);
    // Those of the cluster come first.
    let cluster = &endpoints[..port.cluster.endpoints.len()];
    for (policy, list) in [(TrafficPolicy::Cluster, cluster), (TrafficPolicy::Local, &local)] {
        if list.is_empty() {
            continue;
        }
        let mut rules = Vec::with_capacity(list.len() + 1);
        if port.internal_policy == policy {
            rules.extend(out.mark_outside(served.to(port.cluster_ip, "cluster IP")));
        }
        let label = |candidate: &Candidate| {
            if out.is_large { None } else { served.comment(&format!("-> {}", candidate.addr)) }
        };
        balance(served, list, label, Probability::one_in, &mut rules);
        out.rules.chains.push((served.chain_of(policy), rules));
    }
    if port.is_externally_accessible() {
        let rules = external(out, served);
        out.rules.chains.push((served.names.chain("KUBE-EXT-"), rules));
    }
    if has_firewall(served) {
        let rules = firewall(out, served);
        out.rules.chains.push((served.names.chain("KUBE-FW-"), rules));
    }
    for endpoint in endpoints {
        let comment = if out.is_large { None } else { served.comment("") };
        out.rules.chains.push(endpoint_chain(served, endpoint, comment));
    }
}

/// The rules that choose among endpoints: where the source went before, else each with the same share.
pub(crate) fn balance(
    served: &Served<'_>,
    endpoints: &[(&Candidate, ChainName)],
    label: impl Fn(&Candidate) -> Option<Comment>,
    one_in: fn(usize) -> Probability,
    rules: &mut Vec<Rule>,
) {
    let n = endpoints.len();
    if let Some(seconds) = served.port.affinity_seconds {
        rules.extend(endpoints.iter().map(|(endpoint, chain)| Rule {
            comment: label(endpoint),
            recent: Some(Recent { list: *chain, action: RecentAction::Check { seconds } }),
            target: Some(Target::Jump(*chain)),
            ..Rule::default()
        }));
    }
    rules.extend(endpoints.iter().enumerate().map(|(i, (endpoint, chain))| Rule {
        comment: label(endpoint),
        // The last takes what is left.
        probability: (i + 1 < n).then(|| one_in(n - i)),
        target: Some(Target::Jump(*chain)),
        ..Rule::default()
    }));
}

/// The chain of an endpoint: what comes from it goes back to it only through the node (hairpin), and all go to it.
pub(crate) fn endpoint_chain(
    served: &Served<'_>,
    (endpoint, name): (&Candidate, ChainName),
    comment: Option<Comment>,
) -> (ChainName, Vec<Rule>) {
    let list = served.port.affinity_seconds.map(|_| Recent { list: name, action: RecentAction::Set });
    let hairpin = Rule {
        comment: comment.clone(),
        source: Some(Not::Is(host(endpoint.addr.ip()))),
        target: jump(names::MARK_MASQ),
        ..Rule::default()
    };
    let translate = Rule {
        comment,
        recent: list,
        protocol: Some(served.port.protocol),
        target: Some(Target::Dnat(endpoint.addr)),
        ..Rule::default()
    };
    (name, vec![hairpin, translate])
}

fn external(out: &Renderer<'_>, served: &Served<'_>) -> Vec<Rule> {
    let (port, name) = (served.port, &served.names.text);
    let comment = |before: &str| Some(Comment::new(format!("{before} {name} external destinations")));
    let mut rules = Vec::new();
    let cluster = || Some(Target::Jump(served.chain_of(TrafficPolicy::Cluster)));
    match port.external_policy {
        TrafficPolicy::Cluster => rules.push(Rule {
            comment: comment("masquerade traffic for"),
            target: jump(names::MARK_MASQ),
            ..Rule::default()
        }),
        TrafficPolicy::Local => rules.extend(short_circuit(out, comment, cluster)),
    }
    if served.external_refusal().is_none() {
        let target = Some(Target::Jump(served.chain_of(port.external_policy)));
        rules.push(Rule { target, ..Rule::default() });
    }
    rules
}

/// What comes from inside goes to any endpoint, as if it had gone out to the balancer and come back at any node.
pub(crate) fn short_circuit(
    out: &Renderer<'_>,
    comment: impl Fn(&str) -> Option<Comment>,
    cluster: impl Fn() -> Option<Target>,
) -> Vec<Rule> {
    let pods = Rule { comment: comment("pod traffic for"), target: cluster(), ..Rule::default() };
    let mut rules = out.rules_for_pods(&pods);
    rules.push(Rule {
        comment: comment("masquerade LOCAL traffic for"),
        source_is_local: true,
        target: jump(names::MARK_MASQ),
        ..Rule::default()
    });
    rules.push(Rule {
        comment: comment("route LOCAL traffic for"),
        source_is_local: true,
        target: cluster(),
        ..Rule::default()
    });
    rules
}

fn firewall(out: &Renderer<'_>, served: &Served<'_>) -> Vec<Rule> {
    let comment = || served.comment("loadbalancer IP");
    let external = Target::Jump(served.names.chain("KUBE-EXT-"));
    let mut rules: Vec<Rule> = allowed_sources(out, served)
        .into_iter()
        .map(|source| Rule { comment: comment(), source, target: Some(external.clone()), ..Rule::default() })
        .collect();
    let rest = format!("other traffic to {} will be dropped by KUBE-PROXY-FIREWALL", served.names.text);
    rules.push(Rule { comment: Some(Comment::new(rest)), ..Rule::default() });
    rules
}

/// The sources that may use the load balancer's addresses. A node that talks to such an address bound to itself has that as its
/// source, so where the node may, the addresses may.
pub(crate) fn allowed_sources(out: &Renderer<'_>, served: &Served<'_>) -> Vec<Option<Not<ipnet::IpNet>>> {
    let port = served.port;
    let any = |range: &ipnet::IpNet| range.prefix_len() == 0;
    let mut sources: Vec<Option<Not<ipnet::IpNet>>> =
        port.source_ranges.iter().map(|range| (!any(range)).then_some(Not::Is(range.trunc()))).collect();
    let has_node = |range: &ipnet::IpNet| out.settings().primary_addresses().iter().any(|addr| range.contains(addr));
    if port.source_ranges.iter().any(has_node) {
        sources.extend(port.load_balancer_ips.iter().map(|addr| Some(Not::Is(host(*addr)))));
    }
    sources
}
