//! Which rule? The compiled table and its look-up.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::condition::Condition;
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::host_table::HostTable;
use crate::index::PathIndex;
use crate::path_pattern::PathPattern;
use crate::request::Request;
use crate::rule::Rule;

/// An immutable table that selects a `T` for a request: the matching rule of lowest rank of the most specific host.
///
/// Built by a [`RouterBuilder`]. A look-up allocates nothing; its cost is that of the host table, plus one hash probe for
/// each element of the path that any rule of the host reaches, plus the rules whose pattern or conditions must be asked.
/// Cloning is cheap and shares the rules, so that [`replace_host`](Self::replace_host) on a clone costs what that host costs,
/// plus, for a pattern that is new, rebuilding the table of hosts.
#[derive(Clone)]
pub struct Router<T> {
    hosts: HostTable<u32>,
    lists: Vec<Arc<RuleList<T>>>,
    search: HostSearch,
    seed: u64,
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

/// The rules of one host, by rank.
pub(crate) struct RuleList<T> {
    rules: Box<[Ranked<T>]>,
    index: PathIndex,
}

/// A rule whose key has become its position.
struct Ranked<T> {
    path: PathPattern,
    conditions: Box<[Condition]>,
    value: T,
}

/// A rule that takes a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'r, T> {
    host: &'r HostPattern,
    path: &'r PathPattern,
    conditions: &'r [Condition],
    rank: usize,
    value: &'r T,
}

impl<T> Router<T> {
    /// The rule for this request.
    #[inline]
    pub fn find(&self, request: &Request<'_>) -> Option<Match<'_, T>> {
        let mut hosts = self.hosts.matches(request.host);
        loop {
            let (host, list) = hosts.next()?;
            let list = &self.lists[*list as usize];
            if let Some(rank) = list.best(request) {
                return Some(list.found(host, rank as usize));
            }
            if self.search == HostSearch::Final {
                return None;
            }
        }
    }

    /// Every rule that takes the request, the best first, found by asking each rule of each host in turn. The first is
    /// what [`find`](Self::find) answers; the others are what it was preferred to. Linear in the number of rules of
    /// the hosts concerned: for explanations and tests.
    pub fn candidates(&self, request: &Request<'_>) -> impl Iterator<Item = Match<'_, T>> {
        let takes_host = |pattern: &HostPattern| match request.host {
            Some(host) => pattern.matches(host),
            None => *pattern == HostPattern::Any,
        };
        let depth = match self.search {
            HostSearch::Final => 1,
            HostSearch::Widen => usize::MAX,
        };
        let hosts = self.hosts.iter().filter(move |(pattern, _)| takes_host(pattern)).take(depth);
        hosts.flat_map(move |(host, list)| {
            let list = &self.lists[*list as usize];
            let takes = |rule: &Ranked<T>| rule.path.matches(request.path) && rule.accepts(request);
            (0..list.rules.len()).filter(move |rank| takes(&list.rules[*rank])).map(|rank| list.found(host, rank))
        })
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
        let entry = self.hosts.get_entry(pattern);
        entry.into_iter().flat_map(|(host, list)| {
            let list = &self.lists[*list as usize];
            (0..list.rules.len()).map(move |rank| list.found(host, rank))
        })
    }

    /// Changes many patterns at once: costs their rules, and, if a pattern begins or ceases to exist or to share its rules,
    /// rebuilding the table of hosts, once. Of several changes of a pattern the last counts; a pattern that is to share with one
    /// that does not exist ceases to.
    pub fn update<K: Ord>(&mut self, changes: impl IntoIterator<Item = (HostPattern, HostChange<K, T>)>) {
        let hash = FixedState::with_seed(self.seed);
        let changes: BTreeMap<HostPattern, HostChange<K, T>> = changes.into_iter().collect();
        let mut replaced: BTreeMap<HostPattern, Option<Arc<RuleList<T>>>> = BTreeMap::new();
        let mut shared = Vec::new();
        for (pattern, change) in changes {
            match change {
                HostChange::Rules(rules) => drop(replaced.insert(pattern, Some(Arc::new(RuleList::new(&hash, rules))))),
                HostChange::Gone => drop(replaced.insert(pattern, None)),
                HostChange::SameAs(other) => shared.push((pattern, other)),
            }
        }
        let known = |pattern: &HostPattern| self.hosts.get(pattern).map(|at| &self.lists[*at as usize]);
        for (pattern, other) in shared {
            let list = replaced.get(&other).cloned().unwrap_or_else(|| known(&other).cloned());
            replaced.insert(pattern, list);
        }

        let mut sharers = vec![0u32; self.lists.len()];
        self.hosts.iter().for_each(|(_, at)| sharers[*at as usize] += 1);
        let in_place = |(pattern, list): (&HostPattern, &Option<Arc<RuleList<T>>>)| {
            let alone = self.hosts.get(pattern).is_some_and(|at| sharers[*at as usize] == 1);
            // A list that is somebody else's too is shared from now on.
            list.as_ref().is_some_and(|list| alone && Arc::strong_count(list) == 1)
        };
        if replaced.iter().all(in_place) {
            for (pattern, list) in replaced {
                if let (Some(at), Some(list)) = (self.hosts.get(&pattern), list) {
                    self.lists[*at as usize] = list;
                }
            }
            return;
        }
        let kept = self.hosts.iter().filter(|(pattern, _)| !replaced.contains_key(pattern));
        let kept = kept.map(|(pattern, at)| (pattern.clone(), self.lists[*at as usize].clone()));
        let all: Vec<_> =
            kept.chain(replaced.iter().filter_map(|(p, list)| Some((p.clone(), list.clone()?)))).collect();
        let mut lists: Vec<Arc<RuleList<T>>> = Vec::new();
        let mut places = BTreeMap::new();
        let hosts = all.into_iter().map(|(pattern, list)| {
            let at = *places.entry(Arc::as_ptr(&list)).or_insert_with(|| {
                lists.push(list.clone());
                lists.len() as u32 - 1
            });
            (pattern, at)
        });
        self.hosts = HostTable::with_seed(self.seed, hosts);
        self.lists = lists;
    }

    /// Replaces the rules of one pattern, which begins to exist if it did not. Patterns that shared its rules keep the old
    /// ones.
    pub fn replace_host<K: Ord>(&mut self, pattern: HostPattern, rules: Vec<Rule<K, T>>) {
        let list = Arc::new(RuleList::new(&FixedState::with_seed(self.seed), rules));
        let shared = |at: u32, hosts: &HostTable<u32>| hosts.iter().filter(|(_, list)| **list == at).count() > 1;
        match self.hosts.get(&pattern).copied() {
            Some(at) if !shared(at, &self.hosts) => self.lists[at as usize] = list,
            _ => {
                let at = self.lists.len() as u32;
                self.lists.push(list);
                let others = self.hosts.iter().map(|(pattern, list)| (pattern.clone(), *list));
                self.hosts = HostTable::with_seed(self.seed, std::iter::once((pattern, at)).chain(others));
            }
        }
    }
}

impl<T> RuleList<T> {
    fn new<K: Ord>(hash: &FixedState, mut rules: Vec<Rule<K, T>>) -> Self {
        // Stable: equal keys keep the order in which they were added.
        rules.sort_by(|a, b| a.key.cmp(&b.key));
        let rules: Box<[_]> = rules
            .into_iter()
            .map(|Rule { path, conditions, value, .. }| Ranked { path, conditions: conditions.into(), value })
            .collect();
        let index = PathIndex::new(hash, rules.iter().map(|rule| (rule.path.filing(), !rule.conditions.is_empty())));
        Self { rules, index }
    }

    #[inline]
    fn best(&self, request: &Request<'_>) -> Option<u32> {
        self.index.best(request.path, |rank, path_known| {
            let rule = &self.rules[rank as usize];
            (path_known || rule.path.matches(request.path)) && rule.accepts(request)
        })
    }

    fn found<'r>(&'r self, host: &'r HostPattern, rank: usize) -> Match<'r, T> {
        let Ranked { path, conditions, value } = &self.rules[rank];
        Match { host, path, conditions, rank, value }
    }
}

impl<T> Ranked<T> {
    fn accepts(&self, request: &Request<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(request))
    }
}

impl<'r, T> Match<'r, T> {
    /// What the rule selects.
    pub fn value(&self) -> &'r T {
        self.value
    }

    /// The host pattern the rule belongs to.
    pub fn host(&self) -> &'r HostPattern {
        self.host
    }

    /// The rule's path pattern.
    pub fn path(&self) -> &'r PathPattern {
        self.path
    }

    /// The rule's conditions.
    pub fn conditions(&self) -> &'r [Condition] {
        self.conditions
    }

    /// The rule's position among those of its host, counted from 0; the lower goes first.
    pub fn rank(&self) -> usize {
        self.rank
    }
}

impl<T> fmt::Display for Match<'_, T> {
    /// For people: the host pattern, the path pattern, the conditions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}, {}", self.host, self.path)?;
        self.conditions.iter().try_for_each(|condition| write!(f, ", {condition}"))
    }
}

impl<T> Clone for Match<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Match<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("search", &self.search).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// Collects rules and compiles them into a [`Router`].
///
/// A builder's `K` is the precedence key of the rules: one that derives `Ord` for an order by criteria, `()` for the order
/// of insertion.
#[derive(Clone, Debug)]
pub struct RouterBuilder<K, T> {
    lists: Vec<Vec<Rule<K, T>>>,
    hosts: BTreeMap<HostPattern, u32>,
    search: HostSearch,
    seed: u64,
}

impl<K: Ord, T> RouterBuilder<K, T> {
    /// A builder without rules, for a router that stops at the first host.
    pub fn new() -> Self {
        Self { lists: Vec::new(), hosts: BTreeMap::new(), search: HostSearch::Final, seed: 0 }
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
        Router {
            hosts: HostTable::with_seed(self.seed, self.hosts),
            lists: self.lists.into_iter().map(|rules| Arc::new(RuleList::new(&hash, rules))).collect(),
            search: self.search,
            seed: self.seed,
        }
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
