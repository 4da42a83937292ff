//! Which names does a stub resolver ask for, one after the other, when a program looks up a name?

use std::fmt;
use std::str::FromStr;

use crate::name::{Name, NameError};
use crate::resolv::ResolvConf;

/// Whose rules the search follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResolverKind {
    /// The GNU C library (checked against 2.36).
    #[default]
    Glibc,
    /// musl (checked against 1.2.3): never uses the list for a name of `ndots` dots, stops where a name exists without
    /// an address, fails at a search path `.`, and passes over a `search` line of more than 254 characters.
    Musl,
    /// Go's own resolver: glibc's rules, but names ending in `.onion` are never asked for (RFC 7686), and a search path `.`
    /// counts for nothing.
    Go,
}

/// A text that names no resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of glibc, musl, go")]
pub struct UnknownResolver(pub String);

impl FromStr for ResolverKind {
    type Err = UnknownResolver;

    fn from_str(text: &str) -> Result<Self, UnknownResolver> {
        let kinds = [Self::Glibc, Self::Musl, Self::Go];
        let kind = kinds.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text));
        kind.ok_or_else(|| UnknownResolver(text.chars().take(80).collect()))
    }
}

impl ResolverKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
            Self::Go => "go",
        }
    }
}

impl fmt::Display for ResolverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Longest line of a resolv.conf that musl reads, without its end.
const MUSL_LINE: usize = 254;

/// What the caller learned about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heard {
    /// At least one record (an alias counts): the search ends.
    Records,
    /// The name exists, but has no address.
    NoData,
    /// The name does not exist.
    NoName,
    /// Nobody can say here: the name lies outside the zones at hand. The search goes on.
    Unknown,
    /// The server takes the rest of the list on itself and answers elsewhere (CoreDNS's autopath): the search ends.
    Settled,
}

/// The candidates of one look-up, in order. Tell it with [`hear`](Search::hear) what came of each before taking the next.
///
/// ```
/// use dns_records::search::{Heard, ResolverKind, Search};
/// let conf = "search shop.svc.cluster.local svc.cluster.local\noptions ndots:5".parse()?;
/// let mut search = Search::new("redis.default", &conf, ResolverKind::Glibc)?;
/// assert_eq!(search.next().unwrap().to_string(), "redis.default.shop.svc.cluster.local.");
/// search.hear(Heard::NoName);
/// assert_eq!(search.next().unwrap().to_string(), "redis.default.svc.cluster.local.");
/// search.hear(Heard::Records);
/// assert_eq!(search.next(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Search<'a> {
    name: Name,
    kind: ResolverKind,
    /// What is still to be tried.
    plan: std::vec::IntoIter<Step<'a>>,
    done: bool,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    AsIs,
    Below(&'a str),
}

impl<'a> Search<'a> {
    /// Plans the look-up of `name`, as a program hands it over.
    ///
    /// # Errors
    /// `name` is no DNS name. (A candidate that is none, or too long, is left out.)
    pub fn new(name: &str, conf: &'a ResolvConf, kind: ResolverKind) -> Result<Self, NameError> {
        let absolute = name.ends_with('.');
        let enough_dots = name.bytes().filter(|&octet| octet == b'.').count() >= usize::from(conf.ndots());
        let musl = kind == ResolverKind::Musl;
        let mut plan = Vec::with_capacity(conf.searches.len() + 2);
        if absolute || enough_dots {
            plan.push(Step::AsIs);
        }
        if !absolute && !(musl && (enough_dots || search_line(conf) > MUSL_LINE)) {
            plan.extend(conf.searches.iter().filter_map(|path| match (path.as_str(), kind) {
                // A root in the list stands for the name as it is.
                (".", ResolverKind::Glibc) => Some(Step::AsIs),
                (".", ResolverKind::Go) => None,
                (path, _) => Some(Step::Below(path)),
            }));
        }
        plan.push(Step::AsIs);
        // The name as it is is tried where it stands first, and no second time.
        let mut as_is = false;
        plan.retain(|step| !matches!(step, Step::AsIs) || !std::mem::replace(&mut as_is, true));
        Ok(Self { name: name.parse()?, kind, plan: plan.into_iter(), done: false, failed: false })
    }

    /// Takes what came of the candidate given last.
    pub fn hear(&mut self, heard: Heard) {
        self.done |= match heard {
            Heard::Records | Heard::Settled => true,
            Heard::NoData => self.kind == ResolverKind::Musl,
            Heard::NoName | Heard::Unknown => false,
        };
    }

    /// Whether the resolver gives up with an error: musl makes a malformed question of a search path `.`.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    fn candidate(&self, step: Step<'_>) -> Option<Name> {
        match step {
            Step::AsIs => Some(self.name.clone()),
            Step::Below(path) => self.name.below(path.parse::<Name>().ok()?.as_ref()).ok(),
        }
    }
}

impl Iterator for Search<'_> {
    type Item = Name;

    fn next(&mut self) -> Option<Name> {
        while !self.done {
            let step = self.plan.next()?;
            if matches!(step, Step::Below(".")) {
                // Only musl's plan still has one.
                (self.done, self.failed) = (true, true);
                break;
            }
            match self.candidate(step) {
                Some(name) if self.kind == ResolverKind::Go && is_onion(&name) => {}
                Some(name) => return Some(name),
                None => {}
            }
        }
        None
    }
}

/// Characters of the line with the search list.
fn search_line(conf: &ResolvConf) -> usize {
    "search".len() + conf.searches.iter().map(|path| 1 + path.len()).sum::<usize>()
}

fn is_onion(name: &Name) -> bool {
    name.as_ref().labels().last().is_some_and(|label| label.is("onion"))
}

/// What a whole look-up came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tries {
    /// The names asked for, in order, each for A and for AAAA.
    pub names: Vec<Name>,
    /// How the last of them ended.
    pub outcome: Outcome,
}

/// How a look-up ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The last name asked for has records.
    Found,
    /// No candidate has records.
    NotFound,
    /// No candidate at hand has records; whether the last name asked for has, is for others to say.
    Unknown,
    /// The resolver gave up before: it cannot ask what its settings demand.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Found => "found",
            Self::NotFound => "not found",
            Self::Unknown => "left to servers elsewhere",
            Self::Failed => "the resolver fails",
        })
    }
}

impl Search<'_> {
    /// Walks the list: `ask` says what comes of each name.
    ///
    /// A name nobody can judge here counts as not answering, unless no other answers: then the list ends at the name as
    /// it is, if that is such a name, else at the last candidate.
    pub fn walk(mut self, mut ask: impl FnMut(&Name) -> Heard) -> Tries {
        let (mut names, mut unknown) = (Vec::new(), Vec::new());
        while let Some(name) = self.next() {
            let heard = ask(&name);
            self.hear(heard);
            names.push(name);
            unknown.push(heard == Heard::Unknown);
            match heard {
                Heard::Records => {
                    return Tries { names, outcome: Outcome::Found };
                }
                Heard::Settled => {
                    return Tries { names, outcome: Outcome::Unknown };
                }
                Heard::NoData | Heard::NoName | Heard::Unknown => {}
            }
        }
        if self.failed {
            return Tries { names, outcome: Outcome::Failed };
        }
        if let Some(as_is) = names.iter().position(|name| *name == self.name)
            && unknown[as_is]
        {
            names.truncate(as_is + 1);
        }
        let last_is_unknown = names.last().is_some() && unknown[names.len() - 1];
        Tries { names, outcome: if last_is_unknown { Outcome::Unknown } else { Outcome::NotFound } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> ResolvConf {
        text.parse().unwrap()
    }

    fn all(name: &str, conf: &ResolvConf, kind: ResolverKind) -> Vec<String> {
        Search::new(name, conf, kind).unwrap().map(|name| name.to_string()).collect()
    }

    #[test]
    fn ndots_decides_whether_the_name_as_it_is_comes_first_or_last() {
        let conf = conf("search a b\noptions ndots:2");
        for kind in [ResolverKind::Glibc, ResolverKind::Go] {
            assert_eq!(all("x.y", &conf, kind), ["x.y.a.", "x.y.b.", "x.y."]);
            assert_eq!(all("x.y.z", &conf, kind), ["x.y.z.", "x.y.z.a.", "x.y.z.b."]);
            assert_eq!(all("x.", &conf, kind), ["x."]);
        }
        assert_eq!(all("x.y", &conf, ResolverKind::Musl), ["x.y.a.", "x.y.b.", "x.y."]);
        assert_eq!(all("x.y.z", &conf, ResolverKind::Musl), ["x.y.z."]);
    }

    #[test]
    fn a_root_in_the_list_is_the_name_as_it_is_once() {
        let conf = conf("search a . b");
        assert_eq!(all("x", &conf, ResolverKind::Glibc), ["x.a.", "x.", "x.b."]);
        assert_eq!(all("x.y", &conf, ResolverKind::Glibc), ["x.y.", "x.y.a.", "x.y.b."]);
        assert_eq!(all("x", &conf, ResolverKind::Go), ["x.a.", "x.b.", "x."]);
    }

    #[test]
    fn musl_passes_over_a_line_that_it_cannot_hold() {
        let paths = |length: usize| conf(&format!("search a {}", "b".repeat(length)));
        // `search a ` is nine characters.
        let (fits, too_long) = (paths(245), paths(246));
        assert_eq!(Search::new("x", &fits, ResolverKind::Musl).unwrap().count(), 2);
        assert_eq!(all("x", &too_long, ResolverKind::Musl), ["x."]);
        assert_eq!(all("x", &too_long, ResolverKind::Glibc), ["x.a.", "x."], "a path that makes no name is left out");
    }

    #[test]
    fn resolvers_read_and_print_by_name() {
        for kind in [ResolverKind::Glibc, ResolverKind::Musl, ResolverKind::Go] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("x".parse::<ResolverKind>().unwrap_err().to_string(), "`x` is none of glibc, musl, go");
    }

    #[test]
    fn musl_fails_at_a_root_in_the_list_and_stops_at_no_data() {
        let root = conf("search .");
        let tries = Search::new("x", &root, ResolverKind::Musl).unwrap().walk(|_| Heard::Unknown);
        assert_eq!(tries, Tries { names: vec![], outcome: Outcome::Failed });
        let two = conf("search a b");
        let tries = |kind| Search::new("x", &two, kind).unwrap().walk(|_| Heard::NoData).names.len();
        assert_eq!((tries(ResolverKind::Musl), tries(ResolverKind::Glibc)), (1, 3));
    }

    #[test]
    fn go_never_asks_for_onion_names() {
        let conf = conf("search a");
        assert_eq!(all("x.Onion", &conf, ResolverKind::Go), ["x.Onion.a."]);
        assert_eq!(all("x.onion.", &conf, ResolverKind::Go), [""; 0]);
        assert_eq!(all("x.onion.", &conf, ResolverKind::Glibc), ["x.onion."]);
    }

    #[test]
    fn candidates_that_are_no_names_are_left_out() {
        let conf = conf(&format!("search {} b..c ok", "l.".repeat(125)));
        assert_eq!(all("abcdefgh", &conf, ResolverKind::Glibc), ["abcdefgh.ok.", "abcdefgh."]);
        assert!(Search::new("a..b", &conf, ResolverKind::Glibc).is_err());
    }

    #[test]
    fn names_nobody_can_judge_end_the_list_only_if_none_else_answers() {
        let conf = conf("search ours");
        let walk = |known: bool| {
            Search::new("a.b", &conf, ResolverKind::Glibc).unwrap().walk(|name| match name.to_string().as_str() {
                "a.b.ours." if known => Heard::Records,
                "a.b.ours." => Heard::NoName,
                _ => Heard::Unknown,
            })
        };
        assert_eq!(walk(true).names.len(), 2);
        assert_eq!(walk(true).outcome, Outcome::Found);
        assert_eq!(walk(false).names, ["a.b".parse().unwrap()]);
        assert_eq!(walk(false).outcome, Outcome::Unknown);
    }
}
