//! Which DestinationRule holds for a caller and a service, and which subsets does it define?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_model::api::{self, DestinationRule, DestinationSubset, MeshConfig, StringMap, selects};
use svc_model::{Cluster, ObjectRef, Resource};

use super::export::ExportTo;
use super::names::full_host;
use super::order::Age;

/// The DestinationRules of a cluster, merged and indexed.
///
/// The first level that has a rule for the host decides, and in it the most specific host (exact, then the longest wildcard):
///
/// 1. the caller's namespace; of the root namespace only what is private to it;
/// 2. the namespace of the service, what is exported to the caller;
/// 3. the root namespace, what is exported to the caller.
///
/// Rules of one namespace for one host with the same `exportTo` are one ([`MergedRule`]). The source of all this is `destinationRule` and
/// `mergeDestinationRule` in Istio's `pilot/pkg/model`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationRules {
    root: Box<str>,
    namespaces: BTreeMap<Box<str>, ByHost>,
}

/// The rules of a namespace by host, exact or a wildcard, the older first.
type ByHost = BTreeMap<Box<str>, Vec<Arc<MergedRule>>>;

/// DestinationRules that hold together: of one namespace, for one host and the same callers.
///
/// Subsets add up, of a repeated name the first counts; of the policies the first counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergedRule {
    /// The rules, the oldest first.
    pub rules: Vec<ObjectRef>,
    /// The host, in full.
    pub host: Box<str>,
    /// The policy of the whole service.
    pub policy: Option<api::TrafficPolicy>,
    /// The subsets.
    pub subsets: Vec<DestinationSubset>,
    /// The labels of the callers that it is for; `None` for all.
    selector: Option<StringMap>,
    export: ExportTo,
}

/// Who calls, as far as rules care.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The namespace.
    pub namespace: Box<str>,
    /// The labels of the Pod.
    pub labels: StringMap,
}

impl Caller {
    /// A workload of this namespace with these labels.
    pub fn new(namespace: impl Into<Box<str>>, labels: StringMap) -> Self {
        Self { namespace: namespace.into(), labels }
    }
}

impl MergedRule {
    /// The subset of this name.
    pub fn subset(&self, name: &str) -> Option<&DestinationSubset> {
        self.subsets.iter().find(|subset| subset.name == name)
    }

    /// The policy for a subset (`None`: for the whole service) on a port: what the port's settings of the subset say, else the subset, else the
    /// port's settings of the service, else the service. Settings of a port stand alone: what they leave out has its default.
    pub fn policy_for(&self, subset: Option<&str>, port: u16) -> api::TrafficPolicy {
        let mut policy = self.policy.as_ref().map(|policy| on_port(policy, port)).unwrap_or_default();
        let subset = subset.and_then(|name| self.subset(name)).and_then(|subset| subset.traffic_policy.as_ref());
        let Some(own) = subset else { return policy };
        if has_port(own, port) {
            let (tunnel, proxy_protocol) = (own.tunnel.clone(), own.proxy_protocol.clone());
            let merged = on_port(own, port);
            policy = api::TrafficPolicy {
                tunnel: tunnel.or(policy.tunnel),
                proxy_protocol: proxy_protocol.or(policy.proxy_protocol),
                retry_budget: own.retry_budget.clone().or(policy.retry_budget),
                ..merged
            };
        } else {
            let own = own.clone();
            policy = api::TrafficPolicy {
                load_balancer: own.load_balancer.or(policy.load_balancer),
                connection_pool: own.connection_pool.or(policy.connection_pool),
                outlier_detection: own.outlier_detection.or(policy.outlier_detection),
                tls: own.tls.or(policy.tls),
                tunnel: own.tunnel.or(policy.tunnel),
                proxy_protocol: own.proxy_protocol.or(policy.proxy_protocol),
                retry_budget: own.retry_budget.or(policy.retry_budget),
                port_level_settings: Vec::new(),
            };
        }
        policy
    }
}

fn has_port(policy: &api::TrafficPolicy, port: u16) -> bool {
    policy.port_level_settings.iter().any(|settings| is_for(settings, port))
}

fn is_for(settings: &api::PortTrafficPolicy, port: u16) -> bool {
    settings.port.as_ref().is_some_and(|selector| selector.number == i64::from(port))
}

/// A policy on a port: its settings for the port, where it has some, in place of its own.
fn on_port(policy: &api::TrafficPolicy, port: u16) -> api::TrafficPolicy {
    let own = api::TrafficPolicy { port_level_settings: Vec::new(), ..policy.clone() };
    match policy.port_level_settings.iter().find(|settings| is_for(settings, port)).cloned() {
        None => own,
        Some(settings) => api::TrafficPolicy {
            load_balancer: settings.load_balancer,
            connection_pool: settings.connection_pool,
            outlier_detection: settings.outlier_detection,
            tls: settings.tls,
            ..own
        },
    }
}

impl DestinationRules {
    /// Merges and indexes the rules of a cluster. O(n log n).
    pub fn new(cluster: &Cluster, mesh: &MeshConfig) -> Self {
        let mut rules: Vec<&DestinationRule> = cluster.list::<DestinationRule>().collect();
        rules.sort_by_cached_key(|rule| Age::of(*rule));
        let mut merged: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<MergedRule>>> = BTreeMap::new();
        for rule in rules {
            let read = read(rule, mesh);
            if read.host.is_empty() {
                continue;
            }
            let hosts = merged.entry(rule.namespace().into()).or_default();
            add(hosts.entry(read.host.clone()).or_default(), read);
        }
        let shared = |rules: Vec<MergedRule>| rules.into_iter().map(Arc::new).collect();
        let namespaces = merged
            .into_iter()
            .map(|(namespace, hosts)| {
                (namespace, hosts.into_iter().map(|(host, rules)| (host, shared(rules))).collect::<ByHost>())
            })
            .collect();
        Self { root: super::root_namespace(mesh).into(), namespaces }
    }

    /// The rule that holds for this caller when it calls a service of this host and namespace, if any does. Costs a look-up for each label of
    /// the host, three times at most.
    pub fn find(&self, caller: &Caller, host: &str, service_namespace: &str) -> Option<&Arc<MergedRule>> {
        let own = &*caller.namespace;
        let levels = [(own, Level::Own), (service_namespace, Level::Exported), (&*self.root, Level::Exported)];
        levels.into_iter().find_map(|(namespace, level)| {
            let counts = |rule: &MergedRule| match level {
                // What is meant for the whole mesh is no rule of the root namespace's own callers alone.
                Level::Own if *own == *self.root => rule.is_private_to(namespace),
                Level::Own => rule.export.reaches(namespace),
                Level::Exported => !rule.is_private_to(namespace),
            };
            let here = self.most_specific(namespace, host, counts)?;
            let exported = |rule: &&Arc<MergedRule>| counts(rule) && rule.export.reaches(own);
            let here: Vec<&Arc<MergedRule>> = here.iter().filter(exported).collect();
            // A selector looks only at workloads of its own namespace.
            let selected = |rule: &&&Arc<MergedRule>| {
                rule.selector.as_ref().is_some_and(|labels| *namespace == *own && selects(labels, &caller.labels))
            };
            let for_all = || here.iter().rfind(|rule| rule.selector.is_none());
            if here.is_empty() { None } else { Some(here.iter().find(selected).or_else(for_all).copied()) }
        })?
    }

    /// The rules of a namespace for the most specific host that has one which counts.
    fn most_specific(
        &self,
        namespace: &str,
        host: &str,
        counts: impl Fn(&MergedRule) -> bool,
    ) -> Option<&[Arc<MergedRule>]> {
        let hosts = self.namespaces.get(namespace)?;
        let find =
            |name: &str| hosts.get(name).map(Vec::as_slice).filter(|rules| rules.iter().any(|rule| counts(rule)));
        let body = host.strip_prefix('*').unwrap_or(host);
        let dots = body.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at);
        let wildcards = dots.map(|at| format!("*{}", &body[at..])).chain(["*".to_owned()]);
        find(host).or_else(|| wildcards.into_iter().find_map(|name| find(&name)))
    }

    /// Every rule, by namespace and host.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<MergedRule>> {
        self.namespaces.values().flat_map(BTreeMap::values).flatten()
    }
}

/// How near a namespace is to a call.
#[derive(Clone, Copy)]
enum Level {
    Own,
    Exported,
}

impl MergedRule {
    /// Whether only callers of its own namespace, which is this one, may have it.
    fn is_private_to(&self, namespace: &str) -> bool {
        match &self.export {
            ExportTo::Everyone => false,
            ExportTo::Nobody => true,
            ExportTo::Namespaces(names) => names.len() == 1 && names.contains(namespace),
        }
    }
}

fn read(rule: &DestinationRule, mesh: &MeshConfig) -> MergedRule {
    let spec = &rule.spec;
    let selector = spec.workload_selector.as_ref().map(|selector| selector.match_labels.clone());
    let own = [".".to_owned()];
    let list = match (&selector, spec.export_to.as_slice()) {
        // Rules for some workloads of a namespace are never exported.
        (Some(_), _) => &own,
        (None, []) => mesh.default_destination_rule_export_to.as_slice(),
        (None, list) => list,
    };
    let mut names = BTreeSet::new();
    MergedRule {
        rules: vec![rule.reference()],
        host: full_host(&spec.host, rule.namespace()).to_ascii_lowercase().into(),
        policy: spec.traffic_policy.clone(),
        subsets: spec.subsets.iter().filter(|subset| names.insert(&*subset.name)).cloned().collect(),
        selector,
        export: ExportTo::read(list, rule.namespace()),
    }
}

/// Adds a rule to those of its host: to the one that it is one with, or as one more.
fn add(rules: &mut Vec<MergedRule>, rule: MergedRule) {
    let one = rules.iter_mut().find(|other| other.export == rule.export && other.selector == rule.selector);
    let Some(one) = one else { return rules.push(rule) };
    let known: BTreeSet<String> = one.subsets.iter().map(|subset| subset.name.clone()).collect();
    one.subsets.extend(rule.subsets.into_iter().filter(|subset| !known.contains(&subset.name)));
    one.policy = one.policy.take().or(rule.policy);
    one.rules.extend(rule.rules);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(namespace: &str, name: &str, host: &str, export_to: &[&str]) -> DestinationRule {
        let mut rule = DestinationRule::default();
        rule.metadata.namespace = namespace.into();
        rule.metadata.name = name.into();
        rule.spec.host = host.into();
        rule.spec.export_to = export_to.iter().map(ToString::to_string).collect();
        rule
    }

    fn found(rules: impl IntoIterator<Item = DestinationRule>, caller: &str, host: &str, service: &str) -> String {
        let cluster: Cluster = rules.into_iter().collect();
        let rules = DestinationRules::new(&cluster, &MeshConfig::default());
        let found = rules.find(&Caller::new(caller, StringMap::new()), host, service);
        let names = found.into_iter().flat_map(|rule| &rule.rules).map(|rule| rule.name.to_string());
        names.collect::<Vec<_>>().join("+")
    }

    #[test]
    fn the_nearest_namespace_decides_before_the_more_specific_host() {
        let rules = || {
            [
                rule("web", "wide", "*.shop.svc.cluster.local", &[]),
                rule("shop", "own", "cart", &[]),
                rule("istio-system", "root", "*.cluster.local", &[]),
            ]
        };
        let host = "cart.shop.svc.cluster.local";
        assert_eq!(found(rules(), "web", host, "shop"), "wide");
        assert_eq!(found(rules(), "other", host, "shop"), "own");
        assert_eq!(found(rules(), "other", "cart.else.svc.cluster.local", "else"), "root");
        // The root namespace's own callers take what the service's namespace says before what is for the whole mesh.
        assert_eq!(found(rules(), "istio-system", host, "shop"), "own");
    }

    #[test]
    fn the_longest_wildcard_is_the_most_specific() {
        let rules = ["*", "*.local", "*.shop.svc.cluster.local"].map(|host| rule("web", host, host, &[]));
        assert_eq!(found(rules.clone(), "web", "a.shop.svc.cluster.local", "shop"), "*.shop.svc.cluster.local");
        assert_eq!(found(rules.clone(), "web", "a.other.svc.cluster.local", "other"), "*.local");
        assert_eq!(found(rules, "web", "example.org", "other"), "*");
    }

    #[test]
    fn what_is_not_exported_to_the_caller_hides_no_other_level() {
        let rules = [rule("shop", "lent", "cart", &["friend"]), rule("istio-system", "root", "*.local", &[])];
        let host = "cart.shop.svc.cluster.local";
        assert_eq!(found(rules.clone(), "friend", host, "shop"), "lent");
        assert_eq!(found(rules, "stranger", host, "shop"), "root");
    }

    #[test]
    fn only_rules_of_equal_export_are_one() {
        let rules = [rule("web", "a", "x.example", &["."]), rule("web", "b", "x.example", &["web"]), {
            rule("web", "c", "x.example", &[])
        }];
        assert_eq!(found(rules[..2].to_vec(), "web", "x.example", "web"), "a+b");
        assert_eq!(found(rules, "web", "x.example", "web"), "c");
    }

    #[test]
    fn a_selector_is_for_those_callers_alone() {
        let mut special = rule("web", "special", "x.example", &[]);
        let labels = StringMap::from([("app".to_owned(), "web".to_owned())]);
        special.spec.workload_selector = Some(api::PolicyWorkloadSelector { match_labels: labels.clone() });
        let cluster: Cluster = [special, rule("web", "usual", "x.example", &[])].into_iter().collect();
        let rules = DestinationRules::new(&cluster, &MeshConfig::default());
        let name = |labels: StringMap| {
            let found = rules.find(&Caller::new("web", labels), "x.example", "web");
            found.map(|rule| rule.rules[0].name.to_string())
        };
        assert_eq!(name(labels).as_deref(), Some("special"));
        assert_eq!(name(StringMap::new()).as_deref(), Some("usual"));
    }

    #[test]
    fn a_policy_of_a_port_takes_the_place_of_its_whole_level() {
        let policy = |attempts: i64| api::ConnectionPoolSettings {
            tcp: Some(api::ConnectionPoolTcp { max_connections: attempts, ..Default::default() }),
            http: None,
        };
        let on_port = |number: i64, limit: i64| api::PortTrafficPolicy {
            port: Some(api::IstioPortSelector { number }),
            connection_pool: Some(policy(limit)),
            ..Default::default()
        };
        let outlier = Some(api::OutlierDetection::default());
        let top = api::TrafficPolicy {
            connection_pool: Some(policy(1)),
            outlier_detection: outlier.clone(),
            port_level_settings: vec![on_port(80, 2)],
            ..Default::default()
        };
        let own = api::TrafficPolicy {
            connection_pool: Some(policy(3)),
            port_level_settings: vec![on_port(81, 4)],
            ..Default::default()
        };
        let mut rule = rule("web", "a", "x.example", &[]);
        rule.spec.traffic_policy = Some(top);
        rule.spec.subsets =
            vec![DestinationSubset { name: "v1".into(), traffic_policy: Some(own), ..Default::default() }];
        let merged = read(&rule, &MeshConfig::default());
        let limit = |subset, port| {
            let policy = merged.policy_for(subset, port);
            let limit = policy.connection_pool.unwrap().tcp.unwrap().max_connections;
            (limit, policy.outlier_detection.is_some())
        };
        assert_eq!(limit(None, 79), (1, true));
        assert_eq!(limit(None, 80), (2, false));
        assert_eq!(limit(Some("v1"), 79), (3, true));
        assert_eq!(limit(Some("v1"), 80), (3, false));
        assert_eq!(limit(Some("v1"), 81), (4, false));
        assert_eq!(limit(Some("absent"), 79), (1, true));
    }
}
