//! Which rules stand in a VirtualService once its delegates' are put in their place?

use std::borrow::Cow;
use std::collections::BTreeMap;

use svc_model::api::{IstioDestination, IstioHttpMatch, IstioHttpRoute, IstioStringMatch, VirtualService};
use svc_model::{Cluster, NamespacedName, Resource};

use super::export::ExportTo;
use super::names::{GatewayName, full_host};

/// Matches that the delegates of one VirtualService may come to: every match of a delegate is paired with every match of the rule
/// that hands over, which would let two small objects grow without bound.
const MAX_MATCHES: usize = 1 << 16;

/// A rule of a VirtualService, its own or a delegate's. Names in a delegate's rule are in full.
#[derive(Clone, Debug)]
pub(crate) struct Spliced<'c> {
    pub(crate) rule: Cow<'c, IstioHttpRoute>,
    /// The index of the rule, or of the rule that hands over to the delegate.
    pub(crate) index: usize,
    /// The delegate, and the index of its rule.
    pub(crate) delegate: Option<(NamespacedName, usize)>,
}

/// The VirtualServices that the rules of this one hand over to, there or not.
pub(crate) fn delegates(virtual_service: &VirtualService) -> impl Iterator<Item = NamespacedName> {
    virtual_service.spec.http.iter().filter_map(|rule| delegate_of(virtual_service, rule))
}

pub(crate) fn delegate_of(root: &VirtualService, rule: &IstioHttpRoute) -> Option<NamespacedName> {
    let delegate = rule.delegate.as_ref()?;
    let namespace = if delegate.namespace.is_empty() { root.namespace() } else { &delegate.namespace };
    Some(NamespacedName::new(namespace, delegate.name.as_str()))
}

/// The `http` rules of a VirtualService, those of its delegates in the places of the rules that hand over. A rule whose delegate is
/// missing, has hosts, or is not exported to the VirtualService's namespace disappears alone. Delegates do not nest.
///
/// O(size), and for a delegate its matches times those of the rule that hands over, 65,536 at most.
pub(crate) fn splice<'c>(cluster: &'c Cluster, root: &'c VirtualService) -> Vec<Spliced<'c>> {
    let mut out = Vec::new();
    let mut budget = MAX_MATCHES;
    for (index, rule) in root.spec.http.iter().enumerate() {
        let Some(name) = delegate_of(root, rule) else {
            out.push(Spliced { rule: Cow::Borrowed(rule), index, delegate: None });
            continue;
        };
        let Some(delegate) = cluster.get::<VirtualService>(&name.namespace, &name.name) else { continue };
        let export = ExportTo::read(&delegate.spec.export_to, delegate.namespace());
        if !delegate.spec.hosts.is_empty() || !export.reaches(root.namespace()) {
            continue;
        }
        let outer = in_full(rule, root.namespace());
        for (at, inner) in delegate.spec.http.iter().enumerate() {
            let merged = merge(&outer, inner, delegate.namespace(), &mut budget);
            out.extend(merged.map(|rule| Spliced {
                rule: Cow::Owned(rule),
                index,
                delegate: Some((name.clone(), at)),
            }));
        }
    }
    out
}

/// A copy in which names of hosts and gateways are in full.
fn in_full(rule: &IstioHttpRoute, namespace: &str) -> IstioHttpRoute {
    let mut rule = rule.clone();
    let complete = |destination: &mut IstioDestination| {
        destination.host = full_host(&destination.host, namespace).into_owned();
    };
    rule.route.iter_mut().filter_map(|to| to.destination.as_mut()).for_each(complete);
    rule.mirror.iter_mut().for_each(complete);
    rule.mirrors.iter_mut().filter_map(|to| to.destination.as_mut()).for_each(complete);
    for found in &mut rule.match_ {
        for gateway in &mut found.gateways {
            *gateway = GatewayName::read(gateway, namespace).to_string();
        }
    }
    rule
}

/// The rule of a delegate in the place of one that hands over to it; `None` if one of its matches contradicts all of those.
fn merge(
    outer: &IstioHttpRoute,
    inner: &IstioHttpRoute,
    namespace: &str,
    budget: &mut usize,
) -> Option<IstioHttpRoute> {
    if inner.delegate.is_some() {
        return None;
    }
    let pairs = outer.match_.len().max(1).saturating_mul(inner.match_.len().max(1));
    *budget = budget.checked_sub(pairs)?;
    let mut rule = in_full(inner, namespace);
    rule.match_ = merged_matches(&outer.match_, std::mem::take(&mut rule.match_))?;
    fill(&mut rule.rewrite, &outer.rewrite);
    fill(&mut rule.direct_response, &outer.direct_response);
    fill(&mut rule.timeout, &outer.timeout);
    fill(&mut rule.retries, &outer.retries);
    fill(&mut rule.fault, &outer.fault);
    fill(&mut rule.mirror, &outer.mirror);
    fill(&mut rule.mirror_percent, &outer.mirror_percent);
    fill(&mut rule.mirror_percentage, &outer.mirror_percentage);
    fill(&mut rule.cors_policy, &outer.cors_policy);
    fill(&mut rule.headers, &outer.headers);
    if rule.mirrors.is_empty() {
        rule.mirrors.clone_from(&outer.mirrors);
    }
    Some(rule)
}

fn fill<T: Clone>(inner: &mut Option<T>, outer: &Option<T>) {
    if inner.is_none() {
        inner.clone_from(outer);
    }
}

/// Every inner match with every outer one that it does not contradict; each must fit one at least.
fn merged_matches(outer: &[IstioHttpMatch], inner: Vec<IstioHttpMatch>) -> Option<Vec<IstioHttpMatch>> {
    if outer.is_empty() {
        return Some(inner);
    }
    if inner.is_empty() {
        return Some(outer.to_vec());
    }
    let mut merged = Vec::new();
    for narrow in &inner {
        let before = merged.len();
        merged.extend(outer.iter().filter(|wide| !contradict(wide, narrow)).map(|wide| merged_match(wide, narrow)));
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

fn merged_match(outer: &IstioHttpMatch, inner: &IstioHttpMatch) -> IstioHttpMatch {
    fn both<V: Clone>(outer: &BTreeMap<String, V>, inner: &mut BTreeMap<String, V>) {
        for (key, value) in outer {
            inner.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    let mut merged = inner.clone();
    fill(&mut merged.uri, &outer.uri);
    fill(&mut merged.scheme, &outer.scheme);
    fill(&mut merged.method, &outer.method);
    fill(&mut merged.authority, &outer.authority);
    both(&outer.headers, &mut merged.headers);
    both(&outer.without_headers, &mut merged.without_headers);
    both(&outer.query_params, &mut merged.query_params);
    both(&outer.source_labels, &mut merged.source_labels);
    if merged.port == 0 {
        merged.port = outer.port;
    }
    if merged.source_namespace.is_empty() {
        merged.source_namespace.clone_from(&outer.source_namespace);
    }
    if merged.gateways.is_empty() {
        merged.gateways.clone_from(&outer.gateways);
    }
    merged
}

/// Whether an inner match lies, in part, outside an outer one (`hasConflict` in Istio's `pilot/pkg/model/virtualservice.go`).
fn contradict(outer: &IstioHttpMatch, inner: &IstioHttpMatch) -> bool {
    let texts = [
        (&outer.uri, &inner.uri),
        (&outer.scheme, &inner.scheme),
        (&outer.method, &inner.method),
        (&outer.authority, &inner.authority),
    ];
    let maps = [
        (&outer.headers, &inner.headers),
        (&outer.without_headers, &inner.without_headers),
        (&outer.query_params, &inner.query_params),
    ];
    texts.iter().any(|(outer, inner)| texts_contradict(outer.as_ref(), inner.as_ref()))
        || maps
            .iter()
            .any(|(outer, inner)| inner.iter().any(|(name, value)| texts_contradict(outer.get(name), Some(value))))
        || outer.ignore_uri_case != inner.ignore_uri_case
        || (outer.port > 0 && inner.port > 0 && outer.port != inner.port)
        || inner.source_labels.iter().any(|(name, value)| outer.source_labels.get(name).is_some_and(|own| own != value))
        || (!outer.source_namespace.is_empty() && outer.source_namespace != inner.source_namespace)
        || (!outer.gateways.is_empty() && !inner.gateways.iter().all(|gateway| outer.gateways.contains(gateway)))
}

fn texts_contradict(outer: Option<&IstioStringMatch>, inner: Option<&IstioStringMatch>) -> bool {
    let (Some(outer), Some(inner)) = (outer, inner) else { return false };
    fn written(text: &Option<String>) -> Option<&str> {
        text.as_deref().filter(|text| !text.is_empty())
    }
    let (exact, prefix) = (written(&inner.exact), written(&inner.prefix));
    let any = |pattern: &IstioStringMatch| {
        [&pattern.exact, &pattern.prefix, &pattern.regex].into_iter().any(|text| written(text).is_some())
    };
    // Whether one expression lies within another is not decided.
    if written(&outer.regex).is_some() || written(&inner.regex).is_some() {
        return any(outer) && any(inner);
    }
    match (written(&outer.exact), written(&outer.prefix)) {
        (Some(own), _) => prefix.is_some() || exact != Some(own),
        (None, Some(own)) => exact.or(prefix).is_some_and(|text| !text.starts_with(own)),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> IstioStringMatch {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_narrower_text_is_none_that_contradicts() {
        for (outer, inner, expected) in [
            (r#"{"prefix": "/a"}"#, r#"{"prefix": "/a/b"}"#, false),
            (r#"{"prefix": "/a"}"#, r#"{"exact": "/ab"}"#, false),
            (r#"{"prefix": "/a"}"#, r#"{"exact": "/b"}"#, true),
            (r#"{"prefix": "/a/b"}"#, r#"{"prefix": "/a"}"#, true),
            (r#"{"exact": "/a"}"#, r#"{"exact": "/a"}"#, false),
            (r#"{"exact": "/a"}"#, r#"{"prefix": "/a"}"#, true),
            (r#"{"exact": "/a"}"#, r#"{}"#, true),
            (r#"{"regex": ".*"}"#, r#"{"regex": ".*"}"#, true),
            (r#"{"regex": ".*"}"#, r#"{}"#, false),
            (r#"{"prefix": "/a"}"#, r#"{"regex": "/a.*"}"#, true),
            (r#"{}"#, r#"{"exact": "x"}"#, false),
        ] {
            assert_eq!(texts_contradict(Some(&text(outer)), Some(&text(inner))), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn gateways_of_a_delegate_are_among_those_of_the_rule() {
        let of = |gateways: &[&str]| IstioHttpMatch {
            gateways: gateways.iter().map(ToString::to_string).collect(),
            ..IstioHttpMatch::default()
        };
        assert!(!contradict(&of(&["a/x", "a/y"]), &of(&["a/x"])));
        assert!(!contradict(&of(&["a/x"]), &of(&[])) && !contradict(&of(&[]), &of(&["a/x"])));
        assert!(contradict(&of(&["a/x"]), &of(&["a/x", "a/y"])));
    }

    #[test]
    fn what_delegates_come_to_is_bounded() {
        let matches = |count: usize| vec![IstioHttpMatch::default(); count];
        let outer = IstioHttpRoute { match_: matches(1 << 10), ..IstioHttpRoute::default() };
        let inner = IstioHttpRoute { match_: matches(1 << 10), ..IstioHttpRoute::default() };
        assert!(merge(&outer, &inner, "ns", &mut MAX_MATCHES.clone()).is_none());
        let mut budget = MAX_MATCHES;
        let small = IstioHttpRoute { match_: matches(1 << 5), ..IstioHttpRoute::default() };
        assert!(merge(&outer, &small, "ns", &mut budget).is_some());
        assert_eq!(budget, MAX_MATCHES / 2);
    }
}
