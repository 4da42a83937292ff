//! Deterministic workloads of expressions on one host, and paths of which each matches one.

use route_match::{Anchor, HostPattern, PathPattern, Regex, Router, RouterBuilder, Rule};

/// How many expressions a host has.
pub(crate) const EXPRESSION_SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// How many paths are asked.
const PATHS: usize = 4096;

/// What the expressions have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expressions {
    /// As ingress-nginx makes of a path and its rewrite target: each begins with a text of its own.
    Prefixes,
    /// Each begins with a text of its own, and asks for more.
    Versions,
    /// All begin with the same text, and differ after a class.
    Inner,
    /// None begins with a text.
    Suffixes,
}

impl Expressions {
    pub(crate) const ALL: [Self; 4] = [Self::Prefixes, Self::Versions, Self::Inner, Self::Suffixes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prefixes => "prefix-heavy",
            Self::Versions => "versions",
            Self::Inner => "inner",
            Self::Suffixes => "regex-heavy",
        }
    }

    /// Expression `i`; it ignores case.
    pub(crate) fn expression(self, i: usize) -> String {
        match self {
            Self::Prefixes => format!("^/team{}/svc{i}(/|$)(.*)", i % 7),
            Self::Versions => format!("^/team{}/svc{i}/v[0-9]+(/|$)(.*)", i % 7),
            Self::Inner => format!("^/api/v[0-9]+/svc{i}(/|$)(.*)"),
            Self::Suffixes => format!("^/([a-z]+)/[0-9]+/svc{i}$"),
        }
    }

    /// The expression that path `k` of `n` expressions matches.
    pub(crate) fn winner(self, k: usize, n: usize) -> usize {
        k.wrapping_mul(2_654_435_761) % n
    }

    pub(crate) fn paths(self, n: usize) -> Vec<String> {
        let path = |k: usize| {
            let i = self.winner(k, n);
            match self {
                Self::Prefixes => format!("/team{}/svc{i}/new/{k}", i % 7),
                Self::Versions => format!("/team{}/svc{i}/v{}/new/{k}", i % 7, k % 5),
                Self::Inner => format!("/api/v{}/svc{i}/new/{k}", k % 5),
                Self::Suffixes => format!("/orders/{k}/svc{i}"),
            }
        };
        (0..PATHS).map(path).collect()
    }

    /// The expressions in their order, compiled.
    pub(crate) fn compiled(self, n: usize) -> impl Iterator<Item = Regex> {
        (0..n).map(move |i| Regex::ignoring_case(&self.expression(i), Anchor::Caret).expect("an expression"))
    }

    /// The expressions in their order, for any host.
    pub(crate) fn router(self, n: usize) -> Router<usize> {
        router_of(self.compiled(n))
    }
}

/// These expressions in their order, for any host.
pub(crate) fn router_of(expressions: impl Iterator<Item = Regex>) -> Router<usize> {
    let mut builder = RouterBuilder::new();
    for (i, regex) in expressions.enumerate() {
        builder.rule(HostPattern::Any, Rule::new((), PathPattern::regex(regex), i));
    }
    builder.build()
}
