//! Which rules does nothing reach? Those of one VirtualService whose requests earlier ones take.
//!
//! Rules go from top to bottom, so a match is dead when an earlier one asks for no more than it does: each of its conditions is one
//! of the later's, and its path is the later's or a prefix of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use svc_model::api::{IstioHttpMatch, IstioStringMatch, IstioTcpMatch, IstioTlsMatch, StringMap, VirtualServiceSpec};

use crate::report::Report;

/// Of a match with more conditions than this, only the whole set of them, each alone and none are compared with earlier ones.
const MAX_CONDITIONS: usize = 6;

/// Where a match stands: its rule, and its index there if the rule has any.
#[derive(Clone, Copy)]
struct Place {
    rule: usize,
    index: Option<usize>,
}

impl Place {
    fn words(self, list: &str) -> String {
        match self.index {
            None => format!("{list}[{}]", self.rule),
            Some(index) => format!("{list}[{}].match[{index}]", self.rule),
        }
    }
}

pub(super) fn check(report: &mut Report, spec: &VirtualServiceSpec) {
    let mut http = HttpTaken::default();
    let rules = spec.http.iter().map(|rule| rule.match_.as_slice());
    unreached(report, "http", rules, |found, place| {
        // A delegate may have no rule for a request that is handed over to it.
        http.take(found, place, spec.http[place.rule].delegate.is_none())
    });

    let mut tls: BTreeMap<String, Place> = BTreeMap::new();
    let rules = spec.tls.iter().map(|rule| rule.match_.as_slice());
    unreached(report, "tls", rules, |found, place| {
        // The most specific server name counts first, whatever the order, so that only equal ones are in each other's way.
        let found: &IstioTlsMatch = found?;
        let others = IstioTlsMatch { sni_hosts: Vec::new(), ..found.clone() };
        let mut earlier = None;
        let mut all = !found.sni_hosts.is_empty();
        for name in &found.sni_hosts {
            let taken = *tls.entry(format!("{name} {others:?}")).or_insert(place);
            all &= taken.rule != place.rule || taken.index != place.index;
            earlier = earlier.or(Some(taken));
        }
        earlier.filter(|_| all)
    });

    let mut tcp: BTreeMap<String, Place> = BTreeMap::new();
    let rules = spec.tcp.iter().map(|rule| rule.match_.as_slice());
    let everything = format!("{:?}", IstioTcpMatch::default());
    unreached(report, "tcp", rules, |found, place| {
        let text = found.map_or_else(|| everything.clone(), |found| format!("{found:?}"));
        let taken = tcp.get(&everything).or_else(|| tcp.get(&text)).copied();
        tcp.entry(text).or_insert(place);
        taken
    });
}

/// Warns of rules that are never reached, or of single matches of theirs. `take` is told of each match, or of none for a rule without
/// any, and says which earlier one takes all that it would.
fn unreached<'a, M: 'a>(
    report: &mut Report,
    list: &str,
    rules: impl Iterator<Item = &'a [M]>,
    mut take: impl FnMut(Option<&'a M>, Place) -> Option<Place>,
) {
    for (rule, matches) in rules.enumerate() {
        let mut dead: Vec<(Option<usize>, Place)> = Vec::new();
        if matches.is_empty() {
            dead.extend(take(None, Place { rule, index: None }).map(|by| (None, by)));
        }
        for (index, found) in matches.iter().enumerate() {
            let index = Some(index);
            dead.extend(take(Some(found), Place { rule, index }).map(|by| (index, by)));
        }
        let message = |by: Place| format!("is never reached: {} takes the same and goes before", by.words(list));
        if dead.len() == matches.len().max(1) && dead.iter().all(|(_, by)| by.rule < rule) {
            report.warning(format_args!("spec.{list}[{rule}]"), message(dead[0].1));
        } else {
            for (index, by) in dead {
                report.warning(format_args!("spec.{}", Place { rule, index }.words(list)), message(by));
            }
        }
    }
}

/// The requests that the matches so far take.
#[derive(Default)]
struct HttpTaken {
    by_conditions: BTreeMap<Vec<String>, Paths>,
}

/// Paths that are taken under one set of conditions.
#[derive(Default)]
struct Paths {
    all: Option<Place>,
    exact: BTreeMap<(bool, String), Place>,
    prefix: BTreeMap<(bool, String), Place>,
    /// The lengths of the prefixes.
    lengths: BTreeSet<usize>,
    regex: BTreeMap<String, Place>,
}

/// A condition on the path; letters of an ignored case are small.
enum Path {
    All,
    Exact(String),
    Prefix(String),
    Regex(String),
}

impl HttpTaken {
    /// The earlier match that takes all that this one would. `keeps`: whether what it matches is taken for good.
    fn take(&mut self, found: Option<&IstioHttpMatch>, place: Place, keeps: bool) -> Option<Place> {
        let conditions: Vec<String> = found.map(conditions).unwrap_or_default().into_iter().collect();
        let fold = found.is_some_and(|found| found.ignore_uri_case);
        let path = path(found.and_then(|found| found.uri.as_ref()), fold);
        let earlier = subsets(&conditions).into_iter().find_map(|set| self.by_conditions.get(&set)?.find(&path, fold));
        if earlier.is_none() && keeps {
            self.by_conditions.entry(conditions).or_default().insert(path, fold, place);
        }
        earlier
    }
}

impl Paths {
    fn find(&self, path: &Path, fold: bool) -> Option<Place> {
        // One that ignores the case takes both; one that does not takes nothing that the later one would of another case.
        let folds: &[bool] = if fold { &[true] } else { &[false, true] };
        let forms = |text: &str| -> Vec<(bool, String)> {
            folds.iter().map(|fold| (*fold, if *fold { text.to_ascii_lowercase() } else { text.to_owned() })).collect()
        };
        let same = |text: &str| forms(text).into_iter().find_map(|form| self.exact.get(&form));
        let below = |text: &str| {
            forms(text).into_iter().find_map(|(fold, text)| {
                let mut starts = self.lengths.range(..=text.len()).filter_map(|length| text.get(..*length));
                starts.find_map(|start| self.prefix.get(&(fold, start.to_owned())))
            })
        };
        let found = match path {
            Path::All => None,
            Path::Exact(text) => same(text).or_else(|| below(text)),
            Path::Prefix(text) => below(text),
            Path::Regex(pattern) => self.regex.get(pattern),
        };
        self.all.or(found.copied())
    }

    fn insert(&mut self, path: Path, fold: bool, place: Place) {
        match path {
            Path::All => self.all = Some(place),
            Path::Exact(text) => drop(self.exact.insert((fold, text), place)),
            Path::Prefix(text) => {
                self.lengths.insert(text.len());
                self.prefix.insert((fold, text), place);
            }
            Path::Regex(pattern) => drop(self.regex.insert(pattern, place)),
        }
    }
}

fn path(uri: Option<&IstioStringMatch>, fold: bool) -> Path {
    let folded = |text: &str| if fold { text.to_ascii_lowercase() } else { text.to_owned() };
    match uri {
        Some(IstioStringMatch { exact: Some(text), .. }) => Path::Exact(folded(text)),
        // Every path begins so.
        Some(IstioStringMatch { prefix: Some(text), .. }) if matches!(text.as_str(), "" | "/") => Path::All,
        Some(IstioStringMatch { prefix: Some(text), .. }) => Path::Prefix(folded(text)),
        Some(IstioStringMatch { regex: Some(text), .. }) if text == ".*" => Path::All,
        Some(IstioStringMatch { regex: Some(text), .. }) => Path::Regex(text.clone()),
        _ => Path::All,
    }
}

/// Everything but the path that a match asks for, each condition as a text that is equal for equal ones.
fn conditions(found: &IstioHttpMatch) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for (name, text) in [("scheme", &found.scheme), ("method", &found.method), ("authority", &found.authority)] {
        texts.extend(text.as_ref().map(|text| format!("{name} {text:?}")));
    }
    texts.extend(found.headers.iter().map(|(name, text)| format!("header {} {text:?}", name.to_ascii_lowercase())));
    texts.extend(found.without_headers.iter().map(|(name, text)| format!("no {} {text:?}", name.to_ascii_lowercase())));
    texts.extend(found.query_params.iter().map(|(name, text)| format!("query {name} {text:?}")));
    scope(&mut texts, found.port, &found.gateways, &found.source_labels, &found.source_namespace);
    texts
}

/// Conditions on where a rule holds. Where gateways are named, the caller does not count.
fn scope(texts: &mut BTreeSet<String>, port: i64, gateways: &[String], labels: &StringMap, namespace: &str) {
    if port != 0 {
        texts.insert(format!("port {port}"));
    }
    if !gateways.is_empty() {
        let mut text = "gateways".to_owned();
        for name in gateways.iter().collect::<BTreeSet<_>>() {
            let _ = write!(text, " {name}");
        }
        texts.insert(text);
        return;
    }
    texts.extend(labels.iter().map(|(key, value)| format!("label {key}={value}")));
    if !namespace.is_empty() {
        texts.insert(format!("namespace {namespace}"));
    }
}

/// The sets of conditions under which an earlier match takes at least what one with these does; the widest first.
fn subsets(conditions: &[String]) -> Vec<Vec<String>> {
    let count = conditions.len();
    if count > MAX_CONDITIONS {
        let single = conditions.iter().map(|condition| vec![condition.clone()]);
        return std::iter::once(Vec::new()).chain(single).chain([conditions.to_vec()]).collect();
    }
    let member = |set: usize| (0..count).filter(move |i| set >> i & 1 == 1).map(|i| conditions[i].clone());
    let mut sets: Vec<Vec<String>> = (0..1usize << count).map(|set| member(set).collect()).collect();
    sets.sort_by_key(Vec::len);
    sets
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_model::Object;
    use svc_model::api::VirtualService;

    fn fields(spec: &str) -> Vec<String> {
        let json = format!(r#"{{"metadata": {{"name": "a"}}, "spec": {spec}}}"#);
        let object: VirtualService = serde_json::from_str(&json).unwrap();
        let mut report = Report::new(&Object::VirtualService(object.clone()));
        check(&mut report, &object.spec);
        report.findings.into_iter().map(|finding| finding.field).collect()
    }

    fn http(matches: &[&str]) -> Vec<String> {
        let rules: Vec<String> = matches.iter().map(|found| format!(r#"{{"match": {found}}}"#)).collect();
        fields(&format!(r#"{{"http": [{}]}}"#, rules.join(", ")))
    }

    #[test]
    fn what_asks_for_less_shadows() {
        let all = "[]";
        let a = r#"[{"uri": {"prefix": "/a"}}]"#;
        let ab = r#"[{"uri": {"exact": "/ab"}}]"#;
        let post = r#"[{"uri": {"prefix": "/a"}, "method": {"exact": "POST"}}]"#;
        assert_eq!(http(&[all, a, all]), ["spec.http[1]", "spec.http[2]"]);
        assert_eq!(http(&[a, ab, all]), ["spec.http[1]"]);
        assert_eq!(http(&[ab, a, all]), [""; 0]);
        assert_eq!(http(&[post, a]), [""; 0]);
        assert_eq!(http(&[a, post]), ["spec.http[1]"]);
        assert_eq!(http(&[r#"[{"uri": {"prefix": "/"}}]"#, a]), ["spec.http[1]"]);
        assert_eq!(http(&[r#"[{"uri": {"regex": "/a.*"}}]"#, a]), [""; 0]);
    }

    #[test]
    fn a_delegate_may_let_requests_pass() {
        let rules = r#"{"http": [{"delegate": {"name": "d"}}, {"match": [{"port": 80}]}]}"#;
        assert_eq!(fields(rules), [""; 0]);
    }

    #[test]
    fn a_part_of_a_rule_is_named_by_itself() {
        let both = r#"[{"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/c"}}]"#;
        assert_eq!(http(&[r#"[{"uri": {"prefix": "/a"}}]"#, both]), ["spec.http[1].match[0]"]);
        let same = r#"[{"uri": {"exact": "/a"}}, {"uri": {"exact": "/a"}}]"#;
        assert_eq!(http(&[same]), ["spec.http[0].match[1]"]);
    }

    #[test]
    fn conditions_that_hold_elsewhere_shadow_nothing() {
        let port = r#"[{"port": 80}]"#;
        let gateway = r#"[{"gateways": ["edge"]}]"#;
        assert_eq!(http(&[port, gateway, "[]"]), [""; 0]);
        assert_eq!(http(&[port, r#"[{"port": 80, "uri": {"exact": "/"}}]"#]), ["spec.http[1]"]);
    }

    #[test]
    fn a_path_of_ignored_case_takes_more() {
        let folded = r#"[{"uri": {"prefix": "/A"}, "ignoreUriCase": true}]"#;
        let exact = r#"[{"uri": {"exact": "/a/B"}}]"#;
        assert_eq!(http(&[folded, exact]), ["spec.http[1]"]);
        assert_eq!(http(&[r#"[{"uri": {"prefix": "/A"}}]"#, exact]), [""; 0]);
        assert_eq!(http(&[r#"[{"uri": {"prefix": "/a"}}]"#, folded]), [""; 0]);
    }

    #[test]
    fn of_connections_equal_ones_are_in_each_others_way() {
        let tls = |names: &[&str]| {
            let rules: Vec<String> =
                names.iter().map(|names| format!(r#"{{"match": [{{"sniHosts": {names}}}]}}"#)).collect();
            fields(&format!(r#"{{"tls": [{}]}}"#, rules.join(", ")))
        };
        assert_eq!(tls(&[r#"["a", "b"]"#, r#"["b", "a"]"#, r#"["a", "c"]"#]), ["spec.tls[1]"]);
        assert_eq!(tls(&[r#"["*.a"]"#, r#"["b.a"]"#]), [""; 0]);
        assert_eq!(fields(r#"{"tcp": [{}, {"match": [{"port": 1}]}]}"#), ["spec.tcp[1]"]);
        assert_eq!(fields(r#"{"tcp": [{"match": [{"port": 1}]}, {"match": [{"port": 1}]}, {}]}"#), ["spec.tcp[1]"]);
    }
}
