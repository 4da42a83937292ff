//! The index finds what a scan of all rules finds, for every router and request, before and after hosts are replaced.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use route_match::{
    Anchor, Condition, Host, HostPattern, HostSearch, PathPattern, Regex, Request, Router, RouterBuilder, Rule,
    ValuePattern,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    rules: Vec<(&'a str, Draft<'a>)>,
    changes: Vec<(&'a str, Option<Vec<Draft<'a>>>)>,
    requests: Vec<Question<'a>>,
    widen: bool,
    seed: u64,
}

#[derive(Arbitrary, Debug)]
struct Draft<'a> {
    key: u8,
    path: Path<'a>,
    conditions: Vec<(Part<'a>, Value<'a>)>,
}

#[derive(Arbitrary, Debug)]
enum Path<'a> {
    Exact(&'a str, bool),
    Prefix(&'a str, bool),
    TextPrefix(&'a str, bool),
    Regex(&'a str, bool, u8),
}

#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Method,
    Scheme,
    Authority,
    Header(&'a str),
    Query(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Present,
    Absent,
    Exact(&'a str),
    Prefix(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Question<'a> {
    host: Option<&'a str>,
    path: &'a [u8],
    method: &'a str,
    authority: Option<&'a str>,
    query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl Draft<'_> {
    fn rule(&self, value: usize) -> Option<Rule<u8, usize>> {
        let (pattern, fold) = match &self.path {
            Path::Exact(text, fold) => (PathPattern::exact(text), *fold),
            Path::Prefix(text, fold) => (PathPattern::prefix(text), *fold),
            Path::TextPrefix(text, fold) => (PathPattern::text_prefix(text), *fold),
            Path::Regex(text, fold, anchor) => {
                let anchor = [Anchor::None, Anchor::Start, Anchor::Caret, Anchor::Whole][usize::from(*anchor) % 4];
                let compile = if *fold { Regex::ignoring_case } else { Regex::new };
                (PathPattern::regex(compile(text, anchor).ok()?), false)
            }
        };
        let rule = Rule::new(self.key, if fold { pattern.ignoring_case() } else { pattern }, value);
        Some(self.conditions.iter().fold(rule, |rule, (part, value)| {
            let value = match value {
                Value::Present => ValuePattern::Present,
                Value::Absent => ValuePattern::Absent,
                Value::Exact(text) => ValuePattern::exact(text),
                Value::Prefix(text) => ValuePattern::prefix(text),
            };
            rule.when(match part {
                Part::Method => Condition::method_like(value),
                Part::Scheme => Condition::scheme(value),
                Part::Authority => Condition::authority(value),
                Part::Header(name) => Condition::header(name, value),
                Part::Query(name) => Condition::query(name, value),
            })
        }))
    }
}

fn ask(router: &Router<usize>, questions: &[Question<'_>]) {
    for question in questions {
        let host: Option<Host> = question.host.and_then(|host| host.parse().ok());
        let mut request = Request::new(host.as_ref(), question.path)
            .method(question.method)
            .query(question.query)
            .headers(&question.headers);
        request.authority = question.authority;
        assert_eq!(router.find(&request), router.candidates(&request).next());
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut builder = RouterBuilder::new();
    builder.host_search(if input.widen { HostSearch::Widen } else { HostSearch::Final }).hash_seed(input.seed);
    for (i, (host, draft)) in input.rules.iter().enumerate() {
        if let (Ok(host), Some(rule)) = (host.parse::<HostPattern>(), draft.rule(i)) {
            builder.rule(host, rule);
        }
    }
    let mut router = builder.build();
    ask(&router, &input.requests);
    let before = router.clone();
    for (host, rules) in &input.changes {
        let Ok(host) = host.parse::<HostPattern>() else { continue };
        match rules {
            Some(rules) => router.replace_host(host, rules.iter().filter_map(|draft| draft.rule(0)).collect()),
            None => _ = router.remove_host(&host),
        }
    }
    ask(&router, &input.requests);
    ask(&before, &input.requests);
});
