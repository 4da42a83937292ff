//! Hosts with many expressions, and paths with many rules: what is filed by other things than the path answers as a scan does,
//! and neither allocates nor weighs more than it should.

use proptest::prelude::*;

use route_match::{
    Anchor, Condition, Host, HostPattern, PathPattern, Regex, Request, Router, RouterBuilder, Rule, ValuePattern,
};

fn router<T>(rules: impl IntoIterator<Item = Rule<u8, T>>) -> Router<T> {
    let mut builder = RouterBuilder::new();
    builder.rules(HostPattern::Any, rules);
    builder.build()
}

/// An expression of one of the shapes that are filed differently: own beginning, shared beginning, none.
fn expression() -> impl Strategy<Value = (String, Anchor, bool)> {
    let text = "[ab]{1,4}";
    let anchor = prop_oneof![Just(Anchor::Caret), Just(Anchor::Start), Just(Anchor::Whole), Just(Anchor::None)];
    let shape = prop_oneof![
        text.prop_map(|text| format!("/{text}(/|$)(.*)")),
        (text, "(\\(/\\|\\$\\))?(\\$|b|b\\*)?").prop_map(|(text, end)| format!("/{text}{end}")),
        text.prop_map(|text| format!("/(?-i:{text})")),
        text.prop_map(|text| format!("/a[a-z]*/{text}")),
        (text, text).prop_map(|(one, other)| format!("/a[a-z]*/(?:{one}|{other}b)?{other}a")),
        text.prop_map(|text| format!(".*{text}/?$")),
        text.prop_map(|text| format!("/a|/{text}")),
        (text, 0..3u8).prop_map(|(text, min)| format!("/({text}/){{{min},}}x?")),
        Just("/[ab]+".to_owned()),
    ];
    (shape, anchor, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn many_expressions_are_found_as_a_scan_finds_them(
        expressions in proptest::collection::vec((expression(), 0..4u8, any::<bool>()), 1..64),
        prefixes in proptest::collection::vec(("(/[abAB]{1,4}){0,2}", 0..4u8), 0..4),
        paths in proptest::collection::vec("(/[abAB]{0,5}){1,4}/?", 1..12),
    ) {
        let rules = (0..).zip(&expressions).map(|(i, ((pattern, anchor, fold), key, conditional))| {
            let compile = if *fold { Regex::ignoring_case } else { Regex::new };
            let rule = Rule::new(*key, PathPattern::regex(compile(pattern, *anchor).unwrap()), i);
            if *conditional { rule.when(Condition::method("POST")) } else { rule }
        });
        let literals = (100..).zip(&prefixes).map(|(i, (path, key))| Rule::new(*key, PathPattern::prefix(path), i));
        let router = router(rules.chain(literals));
        for path in &paths {
            for method in ["GET", "POST"] {
                let request = Request::new(None, path).method(method);
                prop_assert_eq!(router.find(&request), router.candidates(&request).next(), "{}", path);
            }
        }
    }

    #[test]
    fn many_rules_of_one_path_are_found_as_a_scan_finds_them(
        rules in proptest::collection::vec((condition(), condition(), 0..3u8, 0..4u8), 1..80),
        requests in proptest::collection::vec(
            ("GET|POST", "[ab]", proptest::collection::vec(("[xX]|y", "[ab](,[ab])?"), 0..3), "(q=[ab](&q=a)?)?", "/a(/b)?"), 1..12),
    ) {
        let rules = (0..).zip(&rules).map(|(i, (one, other, extent, key))| {
            let path = match extent {
                0 => PathPattern::exact("/a"),
                1 => PathPattern::prefix("/a"),
                _ => PathPattern::text_prefix("/a"),
            };
            let conditions = one.iter().chain(other).cloned();
            conditions.fold(Rule::new(*key, path, i), Rule::when)
        });
        let router = router(rules);
        for (method, authority, headers, query, path) in &requests {
            let request = Request::new(None, path).method(method).authority(authority).headers(headers).query(query);
            prop_assert_eq!(router.find(&request), router.candidates(&request).next(), "{:?}", request);
        }
    }
}

fn condition() -> impl Strategy<Value = Option<Condition>> {
    let value = prop_oneof![
        4 => "[ab](,[ab])?".prop_map(|text| ValuePattern::exact(&text)),
        1 => "[ab]".prop_map(|text| ValuePattern::prefix(&text)),
        1 => prop_oneof![Just(ValuePattern::Present), Just(ValuePattern::Absent)],
    ];
    proptest::option::of((value, 0..5u8).prop_map(|(value, part)| match part {
        0 => Condition::method_like(value),
        1 => Condition::authority(value),
        2 => Condition::query("q", value),
        _ => Condition::header(if part == 3 { "x" } else { "y" }, value),
    }))
}

/// Each answer names the one rule that could give it, so a look-up that asked the rest would be wrong about time alone:
/// `benches/router` shows that it does not.
#[test]
fn look_ups_among_many_do_not_allocate() {
    let expressions = (0..1000).map(|i| {
        let regex = Regex::ignoring_case(&format!("/api/v[0-9]+/svc{i}(/|$)(.*)"), Anchor::Caret).unwrap();
        Rule::new(1, PathPattern::regex(regex), i)
    });
    let shared = (1000..2000).map(|i| {
        let user = ValuePattern::exact(&format!("user{i}"));
        Rule::new(0, PathPattern::prefix("/users"), i).when(Condition::header("x-user", user))
    });
    let router = router(expressions.chain(shared));
    let headers = [("x-user", "user1500")];
    for (path, expected) in [("/API/v2/svc777/x", Some(777)), ("/users/a", Some(1500)), ("/api/v2/nothing", None)] {
        let request = Request::new(None, path).headers(&headers);
        // The first use of an expression sets up its working memory, kept for the next.
        assert_eq!(router.find(&request).map(|found| *found.value()), expected);
        let mut found = None;
        let used = allocation_counter::measure(|| found = router.find(&request).map(|found| *found.value()));
        assert_eq!((found, used.count_total), (expected, 0), "{path}");
    }
}

/// The table of the benches at its greatest: 1,000 hosts of 100 paths of 14 bytes.
#[test]
fn a_route_takes_at_most_80_bytes() {
    let build = || {
        let mut builder = RouterBuilder::new();
        for host in 0..1000 {
            let name: Host = format!("svc{host}.team{}.example.com", host % 50).parse().unwrap();
            builder.rules(
                name.into(),
                (0..100u32).map(|path| {
                    let word = format!("items{}", path / 4);
                    let pattern = match path % 4 {
                        0 => PathPattern::prefix(&format!("/api/v{}/{word}", path % 3)),
                        1 => PathPattern::prefix(&format!("/api/v{}/{word}/users{path}", path % 3)),
                        2 => PathPattern::exact(&format!("/{word}/health")),
                        _ => PathPattern::prefix(&format!("/{word}")),
                    };
                    Rule::new(path, pattern, path)
                }),
            );
        }
        builder.build()
    };
    let mut router = None;
    let used = allocation_counter::measure(|| router = Some(build()));
    assert!(router.is_some());
    assert!(used.bytes_current / 100_000 <= 80, "{} bytes a route", used.bytes_current / 100_000);
}

#[test]
fn replacing_a_host_touches_neither_clones_nor_most_of_the_memory() {
    let name = |i: usize| HostPattern::from(format!("h{i}.example").parse::<Host>().unwrap());
    let mut builder = RouterBuilder::new();
    for i in 0..100_000 {
        builder.rules(name(i), [Rule::new(0, PathPattern::any(), i)]);
    }
    let router = builder.build();
    for (i, existed) in [(7, true), (100_000, false)] {
        let mut next = router.clone();
        let used = allocation_counter::measure(|| {
            next = router.clone();
            next.replace_host(name(i), vec![Rule::new(0, PathPattern::any(), usize::MAX)]);
        });
        assert_eq!(next.hosts().len(), 100_000 + usize::from(!existed));
        let find = |router: &Router<usize>, i: usize| {
            let host: Host = format!("h{i}.example").parse().unwrap();
            router.find(&Request::new(Some(&host), "/")).map(|found| *found.value())
        };
        assert_eq!(find(&next, i), Some(usize::MAX));
        assert_eq!(find(&router, i), existed.then_some(i));
        // About the square root of 100,000 hosts, a few allocations each.
        assert!(used.count_total < 5_000, "{} allocations", used.count_total);
        assert!(next.remove_host(&name(i)) && !next.remove_host(&name(i)));
        assert_eq!(find(&next, i), None);
    }
}
