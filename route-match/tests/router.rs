//! The router's promises: the matching rule of lowest rank, found the same way by the index and by a scan.

use proptest::prelude::*;

use route_match::{
    Anchor, Condition, Host, HostPattern, HostSearch, PathPattern, Regex, Request, Router, RouterBuilder, Rule,
    ValuePattern,
};

fn pattern(text: &str) -> HostPattern {
    text.parse().unwrap()
}

fn find<'r, T>(router: &'r Router<T>, host: &str, path: &str) -> Option<&'r T> {
    let host: Host = host.parse().unwrap();
    router.find(&Request::new(Some(&host), path)).map(|found| found.value())
}

#[test]
fn a_final_router_stops_at_the_first_host_and_a_widening_one_goes_on() {
    let build = |search| {
        let mut builder = RouterBuilder::new();
        builder.host_search(search);
        builder.rule(pattern("*.example"), Rule::new((), PathPattern::prefix("/b"), "wide"));
        builder.rule(pattern("a.example"), Rule::new((), PathPattern::prefix("/a"), "narrow"));
        builder.build()
    };
    for (search, expected) in [(HostSearch::Final, None), (HostSearch::Widen, Some(&"wide"))] {
        let router = build(search);
        assert_eq!(find(&router, "a.example", "/b"), expected);
        assert_eq!(find(&router, "A.Example.", "/a"), Some(&"narrow"));
    }
}

#[test]
fn a_host_without_rules_takes_its_requests_away() {
    let mut builder = RouterBuilder::<(), _>::new();
    builder.rule(HostPattern::Any, Rule::new((), PathPattern::any(), "any"));
    builder.host(pattern("a.example"));
    let router = builder.build();
    assert_eq!(find(&router, "a.example", "/"), None);
    assert_eq!(find(&router, "b.example", "/"), Some(&"any"));
    assert_eq!(router.host(Some(&"a.example".parse().unwrap())), Some(&pattern("a.example")));
}

#[test]
fn aliases_share_rules_and_never_displace_a_host() {
    let mut builder = RouterBuilder::new();
    builder.rule(pattern("a.example"), Rule::new((), PathPattern::any(), "a"));
    builder.rule(pattern("b.example"), Rule::new((), PathPattern::any(), "b"));
    assert!(builder.alias(pattern("alias.example"), pattern("a.example")));
    assert!(!builder.alias(pattern("b.example"), pattern("a.example")));
    builder.rule(pattern("a.example"), Rule::new((), PathPattern::exact("/late"), "late"));
    let router = builder.build();
    assert_eq!(find(&router, "alias.example", "/x"), Some(&"a"));
    assert_eq!(find(&router, "b.example", "/x"), Some(&"b"));
    assert_eq!(router.rules(&pattern("alias.example")).count(), 2);
}

/// Keys decide, not the order of insertion; the key says what the specification says, method before headers.
#[test]
fn cve_2024_42487_precedence_is_the_order_of_keys() {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    struct Key {
        without_method: bool,
        headers: std::cmp::Reverse<usize>,
    }
    let key = |method: bool, headers| Key { without_method: !method, headers: std::cmp::Reverse(headers) };
    let mut builder = RouterBuilder::new();
    let by_header = Rule::new(key(false, 1), PathPattern::prefix("/a"), "header");
    builder.rule(HostPattern::Any, by_header.when(Condition::header("x", ValuePattern::exact("1"))));
    let by_method = Rule::new(key(true, 0), PathPattern::prefix("/a"), "method");
    builder.rule(HostPattern::Any, by_method.when(Condition::method("POST")));
    let router = builder.build();
    let headers = [("x", "1")];
    let request = Request::new(None, "/a").method("POST").headers(&headers);
    let found: Vec<_> = router.candidates(&request).map(|found| *found.value()).collect();
    assert_eq!(found, ["method", "header"]);
    assert_eq!(router.find(&request).map(|found| *found.value()), Some("method"));
}

#[test]
fn a_longer_prefix_may_rank_below_a_shorter_one() {
    let mut builder = RouterBuilder::new();
    builder.rule(HostPattern::Any, Rule::new((), PathPattern::prefix("/a"), "first"));
    builder.rule(HostPattern::Any, Rule::new((), PathPattern::exact("/a/b"), "second"));
    let router = builder.build();
    assert_eq!(find(&router, "h", "/a/b"), Some(&"first"));
}

#[test]
fn a_look_up_does_not_allocate() {
    let mut builder = RouterBuilder::new();
    builder.host_search(HostSearch::Widen);
    for host in ["a.example", "*.example", "**.example", "*"] {
        let method = Condition::method("PUT");
        builder.rule(pattern(host), Rule::new((), PathPattern::prefix("/api"), 0).when(method));
        let header = Condition::header("x-a", ValuePattern::exact("1,2"));
        builder.rule(pattern(host), Rule::new((), PathPattern::text_prefix("/ap"), 1).when(header));
        let query = Condition::query("q", ValuePattern::prefix("no"));
        builder.rule(pattern(host), Rule::new((), PathPattern::exact("/api/v1"), 2).when(query));
    }
    let regex = Regex::new("/ap[i]/v[0-9]+", Anchor::Start).unwrap();
    builder.rule(HostPattern::Any, Rule::new((), PathPattern::regex(regex), 3));
    let router = builder.build();
    let host: Host = "a.example".parse().unwrap();
    let headers = [("X-A", "1"), ("x-b", "2")];
    let request = Request::new(Some(&host), "/api/v1").query("q=yes").headers(&headers);
    // The first use of an expression sets up its working memory, kept for the next.
    assert_eq!(router.find(&request).map(|found| *found.value()), Some(3));
    let mut found = None;
    let allocations = allocation_counter::measure(|| found = router.find(&request).map(|found| *found.value()));
    assert_eq!((found, allocations.count_total), (Some(3), 0));
}

#[test]
fn the_winning_rule_captures_when_asked() {
    let mut builder = RouterBuilder::new();
    let regex = Regex::ignoring_case("/api(/|$)(.*)", Anchor::Caret).unwrap();
    builder.rule(HostPattern::Any, Rule::new((), PathPattern::regex(regex), "api"));
    builder.rule(HostPattern::Any, Rule::new((), PathPattern::any(), "any"));
    let router = builder.build();
    let found = router.find(&Request::new(None, "/API/v1/orders")).unwrap();
    assert_eq!(found.captures(b"/API/v1/orders").unwrap().group(2), Some(&b"v1/orders"[..]));
    let found = router.find(&Request::new(None, "/orders")).unwrap();
    assert!(found.captures(b"/orders").is_none());
}

#[test]
fn long_hostile_paths_cost_no_more_than_their_length() {
    let mut builder = RouterBuilder::new();
    builder.rule(HostPattern::Any, Rule::new((), PathPattern::exact(&"/a".repeat(50_000)), "deep"));
    let router = builder.build();
    assert_eq!(find(&router, "h", &"/a".repeat(50_000)), Some(&"deep"));
    assert_eq!(find(&router, "h", &"/".repeat(100_000)), None);
}

/// A rule as data, for building the same rule twice.
#[derive(Clone, Debug)]
struct Draft {
    host: String,
    kind: u8,
    path: String,
    key: u8,
    condition: u8,
}

impl Draft {
    fn rule(&self, value: usize) -> Rule<u8, usize> {
        let path = match self.kind % 8 {
            0 => PathPattern::exact(&self.path),
            1 => PathPattern::prefix(&self.path),
            2 => PathPattern::text_prefix(&self.path),
            3 => PathPattern::exact(&self.path).ignoring_case(),
            4 => PathPattern::prefix(&self.path).ignoring_case(),
            5 => PathPattern::text_prefix(&self.path).ignoring_case(),
            kind => {
                match Regex::new(&self.path.replace("/b", "/[bB]?"), [Anchor::Start, Anchor::None][kind as usize % 2]) {
                    Ok(regex) => PathPattern::regex(regex),
                    Err(_) => PathPattern::any(),
                }
            }
        };
        let rule = Rule::new(self.key, path, value);
        match self.condition {
            0 => rule.when(Condition::method("POST")),
            1 => rule.when(Condition::header("x", ValuePattern::exact("1"))),
            2 => rule.when(Condition::query("q", ValuePattern::Present)).when(Condition::method("GET")),
            _ => rule,
        }
    }
}

fn draft() -> impl Strategy<Value = Draft> {
    let host = "(\\*\\.|\\*\\*\\.)?[ab](\\.[ab]){0,2}|\\*";
    (host, any::<u8>(), path(), 0..4u8, 0..8u8).prop_map(|(host, kind, path, key, condition)| Draft {
        host,
        kind,
        path,
        key,
        condition,
    })
}

fn path() -> impl Strategy<Value = String> {
    "(/?[abB]{0,2}){0,4}/?"
}

fn build(drafts: &[Draft], search: HostSearch, seed: u64) -> Router<usize> {
    let mut builder = RouterBuilder::new();
    builder.host_search(search).hash_seed(seed);
    for (i, draft) in drafts.iter().enumerate() {
        builder.rule(pattern(&draft.host), draft.rule(i));
    }
    builder.build()
}

/// What a router must answer, straight from the definition: hosts by specificity, then keys, then insertion.
fn by_definition(drafts: &[Draft], search: HostSearch, request: &Request<'_>) -> Option<usize> {
    let host = request.host.unwrap();
    let mut hosts: Vec<HostPattern> =
        drafts.iter().map(|draft| pattern(&draft.host)).filter(|pattern| pattern.matches(host)).collect();
    hosts.sort();
    hosts.dedup();
    if search == HostSearch::Final {
        hosts.truncate(1);
    }
    hosts.iter().find_map(|host| {
        let mut rules: Vec<_> = drafts.iter().enumerate().filter(|(_, draft)| pattern(&draft.host) == *host).collect();
        rules.sort_by_key(|(_, draft)| draft.key);
        // A router of this rule alone says whether it matches.
        let takes = |draft: &Draft| {
            let mut alone = RouterBuilder::new();
            alone.rule(HostPattern::Any, draft.rule(0));
            alone.build().candidates(request).next().is_some()
        };
        rules.into_iter().find(|(_, draft)| takes(draft)).map(|(i, _)| i)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_index_the_scan_and_the_definition_agree(
        drafts in proptest::collection::vec(draft(), 0..24),
        requests in proptest::collection::vec(("[ab](\\.[ab]){0,3}", path(), any::<bool>(), any::<bool>(), "(q=1)?"), 1..6),
        widen in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let search = if widen { HostSearch::Widen } else { HostSearch::Final };
        let router = build(&drafts, search, seed);
        for (host, path, post, header, query) in &requests {
            let host: Host = host.parse().unwrap();
            let headers: &[(&str, &str)] = if *header { &[("X", "1")] } else { &[] };
            let method = if *post { "POST" } else { "GET" };
            let request = Request::new(Some(&host), path).method(method).query(query).headers(&headers);
            let found = router.find(&request);
            prop_assert_eq!(found, router.candidates(&request).next());
            prop_assert_eq!(found.map(|found| *found.value()), by_definition(&drafts, search, &request));
        }
    }

    #[test]
    fn replacing_a_host_is_building_anew(
        drafts in proptest::collection::vec(draft(), 1..16),
        replacement in proptest::collection::vec(draft(), 0..4),
        host in "(\\*\\.)?[ab](\\.[ab]){0,2}",
        request in ("[ab](\\.[ab]){0,3}", path()),
    ) {
        let mut replaced = build(&drafts, HostSearch::Widen, 0);
        let rules = replacement.iter().enumerate().map(|(i, draft)| draft.rule(100 + i)).collect();
        replaced.replace_host(pattern(&host), rules);

        let mut builder = RouterBuilder::new();
        builder.host_search(HostSearch::Widen).host(pattern(&host));
        for (i, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.host != host) {
            builder.rule(pattern(&draft.host), draft.rule(i));
        }
        for (i, draft) in replacement.iter().enumerate() {
            builder.rule(pattern(&host), draft.rule(100 + i));
        }
        let anew = builder.build();
        let (name, path) = &request;
        let name: Host = name.parse().unwrap();
        let request = Request::new(Some(&name), path);
        prop_assert_eq!(replaced.find(&request), anew.find(&request));
        prop_assert!(replaced.hosts().eq(anew.hosts()));

        prop_assert!(replaced.remove_host(&pattern(&host)));
        let without: Vec<_> = drafts.iter().filter(|draft| draft.host != host).cloned().collect();
        let without = build(&without, HostSearch::Widen, 0);
        prop_assert!(replaced.hosts().eq(without.hosts()));
        let (path_of, host_of) = (|m: route_match::Match<'_, usize>| m.path().clone(), |m: route_match::Match<'_, usize>| m.host().clone());
        prop_assert_eq!(replaced.find(&request).map(path_of), without.find(&request).map(path_of));
        prop_assert_eq!(replaced.find(&request).map(host_of), without.find(&request).map(host_of));
    }
}

mod updates {
    use proptest::prelude::*;
    use route_match::{Host, HostChange, HostPattern, PathPattern, Request, Router, RouterBuilder, Rule};
    use std::collections::BTreeMap;

    /// The key and path of each rule, and the value of the first.
    type Rules = (u32, Vec<(u8, &'static str)>);

    #[derive(Clone, Debug)]
    enum Change {
        Rules(Vec<(u8, &'static str)>),
        SameAs(&'static str),
        Gone,
    }

    const HOSTS: [&str; 5] = ["a.example", "b.example", "*.example", "c.b.example", "*"];

    fn change() -> impl Strategy<Value = (&'static str, Change)> {
        let host = || proptest::sample::select(&HOSTS[..]);
        let rule = (0u8..3, proptest::sample::select(&["/", "/x", "/x/y"][..]));
        let change = prop_oneof![
            proptest::collection::vec(rule, 0..3).prop_map(Change::Rules),
            host().prop_map(Change::SameAs),
            Just(Change::Gone),
        ];
        (host(), change)
    }

    fn answers(router: &Router<u32>) -> Vec<String> {
        let hosts = router.hosts().map(ToString::to_string);
        let requests = HOSTS.iter().flat_map(|host| ["/", "/x", "/x/y", "/z"].map(|path| (*host, path)));
        let found = requests.map(|(host, path)| {
            let host: Host = host.replace('*', "q").parse().unwrap();
            let found = router.find(&Request::new(Some(&host), path)).map(|found| (found.to_string(), *found.value()));
            format!("{host}{path}: {found:?}")
        });
        hosts.chain(found).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_router_that_is_updated_is_the_one_made_of_what_the_hosts_have_in_the_end(
            batches in proptest::collection::vec(proptest::collection::vec(change(), 0..4), 0..5),
        ) {
            let pattern = |host: &str| -> HostPattern { host.parse().unwrap() };
            let rules = |rules: &[(u8, &str)], seed: u32| -> Vec<Rule<u8, u32>> {
                rules.iter().enumerate().map(|(i, (key, path))| Rule::new(*key, PathPattern::prefix(path), seed + i as u32)).collect()
            };
            let mut router: Router<u32> = RouterBuilder::<u8, u32>::new().build();
            let mut model: BTreeMap<&str, Rules> = BTreeMap::new();
            for (n, batch) in batches.iter().enumerate() {
                // Of several changes of a pattern the last counts.
                let last: BTreeMap<&str, &Change> = batch.iter().map(|(host, change)| (*host, change)).collect();
                let seed = |host: &str| 100 * n as u32 + 10 * HOSTS.iter().position(|known| *known == host).unwrap() as u32;
                // What shares with a host that shares in the same batch depends on the order, which nobody should count on.
                prop_assume!(last.iter().all(|(_, change)| match change {
                    Change::SameAs(other) => !matches!(last.get(other), Some(Change::SameAs(_))),
                    _ => true,
                }));
                router.update(batch.iter().map(|(host, change)| (pattern(host), match change {
                    Change::Rules(list) => HostChange::Rules(rules(list, seed(host))),
                    Change::SameAs(other) => HostChange::SameAs(pattern(other)),
                    Change::Gone => HostChange::Gone,
                })));
                for (host, change) in &last {
                    match change {
                        Change::Rules(list) => drop(model.insert(host, (seed(host), list.clone()))),
                        Change::Gone => drop(model.remove(host)),
                        Change::SameAs(_) => {}
                    }
                }
                for (host, change) in &last {
                    if let Change::SameAs(other) = change {
                        match model.get(other).cloned() {
                            Some(list) => drop(model.insert(host, list)),
                            None => drop(model.remove(host)),
                        }
                    }
                }
                let mut anew = RouterBuilder::new();
                for (host, (seed, list)) in &model {
                    anew.host(pattern(host));
                    for rule in rules(list, *seed) {
                        anew.rule(pattern(host), rule);
                    }
                }
                prop_assert_eq!(answers(&router), answers(&anew.build()));
            }
        }
    }
}
