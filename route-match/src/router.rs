//! Which rule? The compiled table and its look-up.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::condition::Condition;
use crate::filed::Rank;
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::host_table::HostTable;
use crate::index::RuleIndex;
use crate::path_pattern::PathPattern;
use crate::regex::Captures;
use crate::request::Request;
use crate::rule::Rule;

/// An immutable table that selects a `T` for a request: the matching rule of lowest rank of the most specific host.
///
/// Built by a [`RouterBuilder`]. A look-up allocates nothing; its cost is that of the host table, plus one hash probe for
/// each beginning of the path that may be that of a rule, longest first, until one is; plus the rules whose pattern or
/// conditions must be asked. Clones share everything, so that [`replace_host`](Self::replace_host) on a clone costs what that
/// host costs and the square root of the number of hosts.
pub struct Router<T> {
    hosts: HostTable<RuleList<T>>,
    hash: FixedState,
    search: HostSearch,
}

/// What a [`Router`] does when none of the rules of the most specific host matches: stop or go on, there is no third way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum HostSearch {
    /// The first host that exists decides, even if none of its rules matches: Kubernetes Ingress, nginx, Istio.
    #[default]
    Final,
    /// The next less specific host is tried: Gateway API.
    Widen,
}

/// What becomes of a host pattern; see [`Router::update`].
#[derive(Clone, Debug)]
pub enum HostChange<K, T> {
    /// It has these rules, and exists even without any.
    Rules(Vec<Rule<K, T>>),
    /// It shares those that this one has afterwards.
    SameAs(HostPattern),
    /// It does not exist.
    Gone,
}

/// The rules of one host, by rank, and what finds them. It lies in the table of hosts; its parts are shared with aliases and with
/// clones of the table. What every look-up reads comes first.
#[repr(C)]
struct RuleList<T> {
    index: RuleIndex,
    values: Arc<[T]>,
    patterns: Arc<Patterns>,
}

/// What a look-up rarely touches.
struct Patterns {
    paths: Box<[PathPattern]>,
    /// Empty when no rule has any.
    conditions: Box<[Box<[Condition]>]>,
}

/// A rule that takes a request.
pub struct Match<'r, T> {
    host: &'r HostPattern,
    list: &'r RuleList<T>,
    rank: u32,
}

impl<T> Router<T> {
    /// The rule for this request.
    #[inline]
    pub fn find(&self, request: &Request<'_>) -> Option<Match<'_, T>> {
        // The usual case, apart from the rest.
        if let Some((host, list)) = request.host.and_then(|host| self.hosts.exact(host)) {
            let found = list.best(&self.hash, request).map(|rank| Match { host, list, rank });
            if found.is_some() || self.search == HostSearch::Final {
                return found;
            }
        }
        for (host, list) in self.hosts.matches_beyond_exact(request.host) {
            let found = list.best(&self.hash, request).map(|rank| Match { host, list, rank });
            if found.is_some() || self.search == HostSearch::Final {
                return found;
            }
        }
        None
    }

    /// Every rule that takes the request, the best first, found by asking each rule of each host in turn. The first is
    /// what [`find`](Self::find) answers; the others are what it was preferred to. Linear in the number of hosts and of the
    /// rules of those concerned: for explanations and tests.
    pub fn candidates(&self, request: &Request<'_>) -> impl Iterator<Item = Match<'_, T>> {
        let takes_host = |pattern: &HostPattern| match request.host {
            Some(host) => pattern.matches(host),
            None => *pattern == HostPattern::Any,
        };
        let mut hosts: Vec<_> = self.hosts.entries().filter(|(pattern, _)| takes_host(pattern)).collect();
        hosts.sort_unstable_by_key(|(pattern, _)| *pattern);
        if self.search == HostSearch::Final {
            hosts.truncate(1);
        }
        hosts
            .into_iter()
            .flat_map(move |(host, list)| list.matches(host).filter(move |found| list.takes(found.rank, request)))
    }

    /// The host pattern whose rules are asked first for this host, whether or not one of them matches.
    pub fn host(&self, host: Option<&Host>) -> Option<&HostPattern> {
        self.hosts.matches(host).next().map(|(pattern, _)| pattern)
    }

    /// All host patterns, from most to least specific.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &HostPattern> {
        self.hosts.iter().map(|(pattern, _)| pattern)
    }

    /// All rules of exactly this pattern, by rank.
    pub fn rules(&self, pattern: &HostPattern) -> impl Iterator<Item = Match<'_, T>> {
        self.hosts.get_entry(pattern).into_iter().flat_map(|(host, list)| list.matches(host))
    }

    /// Changes many patterns at once, each at the cost of [`replace_host`](Self::replace_host). Of several changes of a pattern the
    /// last counts; a pattern that is to share with one that does not exist ceases to.
    pub fn update<K: Ord>(&mut self, changes: impl IntoIterator<Item = (HostPattern, HostChange<K, T>)>) {
        let changes: BTreeMap<HostPattern, HostChange<K, T>> = changes.into_iter().collect();
        let mut shared = Vec::new();
        for (pattern, change) in changes {
            match change {
                HostChange::Rules(rules) => self.replace_host(pattern, rules),
                HostChange::Gone => drop(self.hosts.remove(&pattern)),
                HostChange::SameAs(other) => shared.push((pattern, other)),
            }
        }
        for (pattern, other) in shared {
            match self.hosts.get(&other).cloned() {
                Some(list) => drop(self.hosts.insert(pattern, list)),
                None => drop(self.hosts.remove(&pattern)),
            }
        }
    }

    /// Replaces the rules of one pattern, which begins to exist if it did not. Patterns that shared its rules keep the old
    /// ones, and so do clones. O(n log n) in the number of its rules, plus the square root of the number of hosts.
    pub fn replace_host<K: Ord>(&mut self, pattern: HostPattern, rules: Vec<Rule<K, T>>) {
        let list = RuleList::new(&self.hash, rules);
        self.hosts.insert(pattern, list);
    }

    /// Removes a pattern with its rules, so that its requests go to less specific hosts. Whether it existed. Costs the
    /// square root of the number of hosts.
    pub fn remove_host(&mut self, pattern: &HostPattern) -> bool {
        self.hosts.remove(pattern).is_some()
    }
}

impl<T> RuleList<T> {
    fn new<K: Ord>(hash: &FixedState, mut rules: Vec<Rule<K, T>>) -> Self {
        // Stable: equal keys keep the order in which they were added.
        rules.sort_by(|a, b| a.key.cmp(&b.key));
        let conditional = rules.iter().any(|rule| !rule.conditions.is_empty());
        let conditions_of = |rule: &mut Rule<K, T>| std::mem::take(&mut rule.conditions).into();
        let conditions: Box<[Box<[_]>]> =
            if conditional { rules.iter_mut().map(conditions_of).collect() } else { Box::default() };
        let (paths, values): (Vec<_>, Vec<_>) = rules.into_iter().map(|rule| (rule.path, rule.value)).unzip();
        let conditions_at = |rank: usize| conditions.get(rank).map_or(&[] as &[_], |conditions| conditions);
        let index = RuleIndex::new(hash, paths.iter().enumerate().map(|(rank, path)| (path, conditions_at(rank))));
        Self { index, values: values.into(), patterns: Arc::new(Patterns { paths: paths.into(), conditions }) }
    }

    #[inline]
    fn best(&self, hash: &FixedState, request: &Request<'_>) -> Option<u32> {
        self.index.best(hash, request, |rank: Rank| {
            let at = rank.rank() as usize;
            (!rank.asks_conditions() || self.accepts(at, request))
                && (!rank.asks_pattern() || self.paths()[at].matches(request.path))
        })
    }

    fn takes(&self, rank: u32, request: &Request<'_>) -> bool {
        self.paths()[rank as usize].matches(request.path) && self.accepts(rank as usize, request)
    }

    fn accepts(&self, rank: usize, request: &Request<'_>) -> bool {
        self.conditions(rank).iter().all(|condition| condition.holds(request))
    }

    fn conditions(&self, rank: usize) -> &[Condition] {
        self.patterns.conditions.get(rank).map_or(&[], |conditions| conditions)
    }

    fn paths(&self) -> &[PathPattern] {
        &self.patterns.paths
    }

    /// All rules, by rank.
    fn matches<'r>(&'r self, host: &'r HostPattern) -> impl Iterator<Item = Match<'r, T>> {
        // There are fewer than 2^30.
        (0..self.paths().len() as u32).map(move |rank| Match { host, list: self, rank })
    }
}

impl<T> Clone for RuleList<T> {
    fn clone(&self) -> Self {
        Self { index: self.index.clone(), values: self.values.clone(), patterns: self.patterns.clone() }
    }
}

impl<'r, T> Match<'r, T> {
    /// What the rule selects.
    pub fn value(&self) -> &'r T {
        &self.list.values[self.rank()]
    }

    /// The host pattern the rule belongs to.
    pub fn host(&self) -> &'r HostPattern {
        self.host
    }

    /// The rule's path pattern.
    pub fn path(&self) -> &'r PathPattern {
        &self.list.paths()[self.rank()]
    }

    /// What the groups of the rule's expression took of the path that it was found for; `None` for a rule without
    /// expression. Nothing is captured before this is asked: a look-up only tells whether expressions match.
    pub fn captures<'p>(&self, path: &'p [u8]) -> Option<Captures<'p>> {
        self.path().as_regex()?.captures(path)
    }

    /// The rule's conditions.
    pub fn conditions(&self) -> &'r [Condition] {
        self.list.conditions(self.rank())
    }

    /// The rule's position among those of its host, counted from 0; the lower goes first.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }
}

impl<T> fmt::Display for Match<'_, T> {
    /// For people: the host pattern, the path pattern, the conditions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}, {}", self.host, self.path())?;
        self.conditions().iter().try_for_each(|condition| write!(f, ", {condition}"))
    }
}

impl<T> Clone for Match<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Match<'_, T> {}

impl<T: PartialEq> PartialEq for Match<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        let facts = |found: &Self| (found.host, found.path(), found.conditions(), found.rank, found.value());
        facts(self) == facts(other)
    }
}

impl<T: Eq> Eq for Match<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for Match<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("host", self.host)
            .field("path", self.path())
            .field("conditions", &self.conditions())
            .field("rank", &self.rank)
            .field("value", self.value())
            .finish()
    }
}

impl<T> Clone for Router<T> {
    fn clone(&self) -> Self {
        Self { hosts: self.hosts.clone(), hash: self.hash.clone(), search: self.search }
    }
}

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts().collect();
        f.debug_struct("Router").field("search", &self.search).field("hosts", &hosts).finish_non_exhaustive()
    }
}

/// Collects rules and compiles them into a [`Router`].
///
/// A builder's `K` is the precedence key of the rules: one that derives `Ord` for an order by criteria, `()` for the order
/// of insertion.
#[derive(Clone, Debug)]
pub struct RouterBuilder<K, T> {
    lists: Vec<Vec<Rule<K, T>>>,
    hosts: HashMap<HostPattern, u32, FixedState>,
    search: HostSearch,
    seed: u64,
}

impl<K: Ord, T> RouterBuilder<K, T> {
    /// A builder without rules, for a router that stops at the first host.
    pub fn new() -> Self {
        Self { lists: Vec::new(), hosts: HashMap::default(), search: HostSearch::Final, seed: 0 }
    }

    /// What the router does when none of the rules of the most specific host matches.
    pub fn host_search(&mut self, search: HostSearch) -> &mut Self {
        self.search = search;
        self
    }

    /// The seed of the hash functions. Set it to a random number where hosts and paths of rules come from people who might
    /// choose them to collide; no answer depends on it.
    pub fn hash_seed(&mut self, seed: u64) -> &mut Self {
        self.seed = seed;
        self
    }

    /// Adds a rule to a host, which begins to exist.
    pub fn rule(&mut self, host: HostPattern, rule: Rule<K, T>) -> &mut Self {
        let at = self.list(host);
        self.lists[at as usize].push(rule);
        self
    }

    /// Adds rules to a host, which begins to exist even without any.
    pub fn rules(&mut self, host: HostPattern, rules: impl IntoIterator<Item = Rule<K, T>>) -> &mut Self {
        let at = self.list(host);
        self.lists[at as usize].extend(rules);
        self
    }

    /// Lets a host exist, if need be without rules: with [`HostSearch::Final`] it then takes its requests away from less
    /// specific hosts.
    pub fn host(&mut self, host: HostPattern) -> &mut Self {
        self.list(host);
        self
    }

    /// Lets `alias` share the rules of `host`, those yet to come included. A pattern that already exists stays what it is;
    /// the answer tells whether the alias was taken.
    pub fn alias(&mut self, alias: HostPattern, host: HostPattern) -> bool {
        let at = self.list(host);
        match self.hosts.entry(alias) {
            Entry::Occupied(entry) => *entry.get() == at,
            Entry::Vacant(entry) => {
                entry.insert(at);
                true
            }
        }
    }

    /// Whether a host exists so far.
    pub fn contains(&self, host: &HostPattern) -> bool {
        self.hosts.contains_key(host)
    }

    /// Compiles the rules. O(n log n) in the number of rules.
    pub fn build(self) -> Router<T> {
        let hash = FixedState::with_seed(self.seed);
        let lists: Vec<_> = self.lists.into_iter().map(|rules| RuleList::new(&hash, rules)).collect();
        let hosts = self.hosts.into_iter().map(|(host, list)| (host, lists[list as usize].clone()));
        Router { hosts: HostTable::with_seed(self.seed, hosts), hash, search: self.search }
    }

    fn list(&mut self, host: HostPattern) -> u32 {
        let next = self.lists.len() as u32;
        let at = *self.hosts.entry(host).or_insert(next);
        if at == next {
            self.lists.push(Vec::new());
        }
        at
    }
}

impl<K: Ord, T> Default for RouterBuilder<K, T> {
    fn default() -> Self {
        Self::new()
    }
}
