//! The index finds what a scan of all rules finds, for every router and request.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use route_match::{
    Anchor, Condition, Host, HostPattern, HostSearch, PathPattern, Regex, Request, RouterBuilder, Rule, ValuePattern,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    rules: Vec<(u8, &'a str, Path<'a>, Option<When<'a>>)>,
    requests: Vec<(Option<&'a str>, &'a [u8], &'a str, Vec<(&'a str, &'a str)>)>,
    widen: bool,
    seed: u64,
}

#[derive(Arbitrary, Debug)]
enum Path<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    TextPrefix(&'a str),
    Folded(&'a str),
    Regex(&'a str),
}

#[derive(Arbitrary, Debug)]
enum When<'a> {
    Method(&'a str),
    Header(&'a str, &'a str),
    Query(&'a str, &'a str),
}

fuzz_target!(|input: Input<'_>| {
    let mut builder = RouterBuilder::new();
    builder.host_search(if input.widen { HostSearch::Widen } else { HostSearch::Final }).hash_seed(input.seed);
    for (i, (key, host, path, when)) in input.rules.iter().enumerate() {
        let Ok(host) = host.parse::<HostPattern>() else { continue };
        let path = match path {
            Path::Exact(text) => PathPattern::exact(text),
            Path::Prefix(text) => PathPattern::prefix(text),
            Path::TextPrefix(text) => PathPattern::text_prefix(text),
            Path::Folded(text) => PathPattern::prefix(text).ignoring_case(),
            Path::Regex(text) => match Regex::new(text, Anchor::Start) {
                Ok(regex) => PathPattern::regex(regex),
                Err(_) => continue,
            },
        };
        let rule = Rule::new(key, path, i);
        let rule = match when {
            None => rule,
            Some(When::Method(method)) => rule.when(Condition::method(method)),
            Some(When::Header(name, value)) => rule.when(Condition::header(name, ValuePattern::exact(value))),
            Some(When::Query(name, value)) => rule.when(Condition::query(name, ValuePattern::prefix(value))),
        };
        builder.rule(host, rule);
    }
    let router = builder.build();
    for (host, path, query, headers) in &input.requests {
        let host: Option<Host> = host.and_then(|host| host.parse().ok());
        let request = Request::new(host.as_ref(), *path).query(query).headers(headers);
        assert_eq!(router.find(&request), router.candidates(&request).next());
    }
});
