//! What must be written so that the kernel holds what is wanted? Batches, each of one table, each atomic.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use svc_model::addr::IpFamily;
use svc_model::backend::Generation;

use crate::names::{self, ChainName};
use crate::parse::{Saved, SavedTable, jump_of};
use crate::print::{Style, Words};
use crate::rule::{Comment, Rule};
use crate::ruleset::{Chains, Ruleset, Table, jumps};

/// What is to be done to one family's tables, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The batches; none if all is in place.
    pub batches: Vec<Batch>,
}

/// What is to be done to one table, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    family: IpFamily,
    style: Style,
    table: Table,
    /// Chains that are emptied, and filled with these rules.
    chains: Chains,
    edits: Vec<Edit>,
    deleted: Vec<ChainName>,
}

/// What is done to a built-in chain, where the rest is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Edit {
    /// The rule of these words goes.
    Remove { chain: Box<str>, words: Box<str> },
    /// A rule comes, at this place from 1.
    Insert { chain: &'static str, at: usize, rule: Rule },
}

impl Batch {
    fn new(rules: &Ruleset, table: Table) -> Batch {
        let Ruleset { family, style, .. } = *rules;
        Batch { family, style, table, chains: Chains::new(), edits: Vec::new(), deleted: Vec::new() }
    }

    /// The family.
    pub fn family(&self) -> IpFamily {
        self.family
    }

    /// How many chains and jumps are written or removed. A generation is written down beside the rules and does not count.
    pub fn operations(&self) -> u64 {
        let chains = if self.table == Table::Mangle { 0 } else { self.chains.len() };
        (chains + self.edits.len() + self.deleted.len()) as u64
    }

    fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.edits.is_empty() && self.deleted.is_empty()
    }
}

/// As input of `iptables-restore --noflush`.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |rule| Words { rule, style: self.style, family: self.family };
        writeln!(f, "*{}", self.table)?;
        self.chains.keys().chain(&self.deleted).try_for_each(|chain| writeln!(f, ":{chain} - [0:0]"))?;
        for edit in &self.edits {
            match edit {
                Edit::Remove { chain, words } => writeln!(f, "-D {chain} {words}")?,
                Edit::Insert { chain, at, rule } => writeln!(f, "-I {chain} {at}{}", words(rule))?,
            }
        }
        for (chain, rules) in &self.chains {
            rules.iter().try_for_each(|rule| writeln!(f, "-A {chain}{}", words(rule)))?;
        }
        self.deleted.iter().try_for_each(|chain| writeln!(f, "-X {chain}"))?;
        f.write_str("COMMIT\n")
    }
}

/// From what was read back to what is wanted. O(n log n).
pub fn diff(found: &Saved, wanted: &Ruleset) -> Patch {
    let (filter, nat) = (found.table(Table::Filter), found.table(Table::Nat));
    let stale = |found: &SavedTable, wanted: &Chains| -> Vec<ChainName> {
        let is_stale = |name: &&ChainName| !wanted.contains_key(*name) && !found.wanted_by_others.contains(*name);
        found.chains.keys().filter(is_stale).cloned().collect()
    };
    // Others may lead to a chain that nobody needs; it must not keep those alive that it leads to.
    let emptied = |found: &SavedTable, wanted: &Chains| -> Chains {
        let is_kept = |name: &ChainName| !wanted.contains_key(name) && found.wanted_by_others.contains(name);
        let is_full = |name: &ChainName| !found.chains[name].is_empty() || found.altered.contains(name);
        let names = found.chains.keys().filter(|name| is_kept(name) && is_full(name));
        names.map(|name| (name.clone(), Vec::new())).collect()
    };
    let mut nat_batch = Batch::new(wanted, Table::Nat);
    nat_batch.chains = differing(nat, &wanted.nat);
    nat_batch.chains.extend(emptied(nat, &wanted.nat));
    nat_batch.deleted = stale(nat, &wanted.nat);
    nat_batch.edits = jump_edits(nat, Table::Nat);
    let (first, mut last) = filter_batches(filter, wanted);
    last.chains.extend(emptied(filter, &wanted.filter));
    last.deleted = stale(filter, &wanted.filter);
    last.edits = jump_edits(filter, Table::Filter);
    in_order([first, nat_batch, last])
}

/// From what is known to be there to what is wanted, where the chains of some Service ports have changed: all other chains of `wanted`
/// are written whether they differ or not, and of the named ones those that are not wanted any more go.
pub(crate) fn partial(installed: &Ruleset, wanted: &Ruleset, named: impl Iterator<Item = ChainName>) -> Patch {
    let mut nat = Batch::new(wanted, Table::Nat);
    nat.chains = wanted.nat.clone();
    nat.deleted = stale(installed, wanted, named).into_iter().collect();
    let known = SavedTable { chains: installed.filter.clone(), ..SavedTable::default() };
    let (first, last) = filter_batches(&known, wanted);
    in_order([first, nat, last])
}

/// Of these chains, those that are there and not wanted.
fn stale(installed: &Ruleset, wanted: &Ruleset, named: impl Iterator<Item = ChainName>) -> BTreeSet<ChainName> {
    named.filter(|name| installed.nat.contains_key(name) && !wanted.nat.contains_key(name)).collect()
}

/// What removes all that is ours. Chains that others lead to are emptied and stay.
pub fn cleanup(found: &Saved, family: IpFamily) -> Patch {
    let nothing = Ruleset::new(family, Style::Short);
    let batches = Table::ALL.map(|table| {
        let found = found.table(table);
        let mut batch = Batch::new(&nothing, table);
        let (kept, gone) = found.chains.keys().cloned().partition(|name| found.wanted_by_others.contains(name));
        let kept: Vec<ChainName> = kept;
        batch.chains = kept.into_iter().map(|name| (name, Vec::new())).collect();
        batch.deleted = gone;
        batch.edits = our_jumps(found).collect();
        batch
    });
    in_order(batches)
}

/// Writes a generation down beside the rules.
pub(crate) fn generation_batch(rules: &Ruleset, generation: Generation) -> Batch {
    let mut batch = Batch::new(rules, Table::Mangle);
    let comment = Some(Comment::new(format!("{GENERATION}{generation}")));
    batch.chains.insert(ChainName::fixed(names::CANARY), vec![Rule { comment, ..Rule::default() }]);
    batch
}

const GENERATION: &str = "generation ";

/// The generation that was written down.
pub(crate) fn generation_of(found: &Saved) -> Option<Generation> {
    let rules = found.table(Table::Mangle).chains.get(names::CANARY)?;
    let comment = rules.first()?.comment.as_ref()?.as_str();
    comment.strip_prefix(GENERATION)?.parse().ok().map(Generation)
}

/// Whether packets come to our chains.
pub(crate) fn has_jumps(found: &Saved, table: Table) -> bool {
    jump_edits(found.table(table), table).is_empty()
}

/// Whether packets come to our chains, and our canaries live.
pub(crate) fn is_intact(found: &Saved) -> bool {
    let has_canary = |table| found.table(table).chains.get(names::CANARY).is_some_and(|rules| !rules.is_empty());
    [Table::Filter, Table::Nat].into_iter().all(|table| has_canary(table) && has_jumps(found, table))
}

fn in_order(batches: [Batch; 3]) -> Patch {
    Patch { batches: batches.into_iter().filter(|batch| !batch.is_empty()).collect() }
}

fn differing(found: &SavedTable, wanted: &Chains) -> Chains {
    let differs = |(name, rules): &(&ChainName, &Vec<Rule>)| {
        found.chains.get(*name) != Some(*rules) || found.altered.contains(*name)
    };
    wanted.iter().filter(differs).map(|(name, rules)| (name.clone(), rules.clone())).collect()
}

/// What refuses packets comes before nat changes and goes after it: each table changes at once, but not both together. So a
/// Service that loses its endpoints is refused at once, and one that gains them is so until it is served. A refusal
/// meets no packet that has been translated, so both may be there.
fn filter_batches(found: &SavedTable, wanted: &Ruleset) -> (Batch, Batch) {
    let (mut first, mut last) = (Batch::new(wanted, Table::Filter), Batch::new(wanted, Table::Filter));
    let differing = differing(found, &wanted.filter);
    let mut removed: BTreeMap<&ChainName, Vec<Rule>> = BTreeMap::new();
    let mut has_new = false;
    for (name, rules) in &differing {
        let before = found.chains.get(name).map(Vec::as_slice).unwrap_or_default();
        let after: HashSet<&Rule> = rules.iter().collect();
        let gone: Vec<Rule> = before.iter().filter(|rule| !after.contains(rule)).cloned().collect();
        has_new |= before.len() - gone.len() < rules.len() || found.altered.contains(name);
        if !gone.is_empty() {
            removed.insert(name, gone);
        }
    }
    if removed.is_empty() {
        first.chains = differing;
    } else if has_new {
        for (name, rules) in &differing {
            let old = removed.get(name).into_iter().flatten();
            first.chains.insert(name.clone(), rules.iter().chain(old).cloned().collect());
        }
        last.chains = differing
            .iter()
            .filter(|(name, _)| removed.contains_key(name))
            .map(|(n, r)| (n.clone(), r.clone()))
            .collect();
    } else {
        last.chains = differing;
    }
    (first, last)
}

/// The rules of built-in chains that lead to the chains that only we are led to.
fn our_jumps(found: &SavedTable) -> impl Iterator<Item = Edit> + '_ {
    let is_ours = |words: &str| {
        jump_of(words).is_some_and(|to| {
            Table::ALL.iter().flat_map(|table| jumps(*table)).any(|(_, rule)| match rule.target {
                Some(crate::rule::Target::Jump(ours)) => ours.as_str() == to,
                _ => false,
            })
        })
    };
    found.built_in.iter().flat_map(move |(chain, rules)| {
        let ours = rules.iter().filter(move |words| is_ours(words));
        ours.map(|words| Edit::Remove { chain: chain.clone(), words: words.clone() })
    })
}

/// What brings our jumps to the head of the built-in chains, each once; nothing if they are there.
fn jump_edits(found: &SavedTable, table: Table) -> Vec<Edit> {
    let wanted = jumps(table);
    let present: Vec<Edit> = our_jumps(found).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut inserts = Vec::new();
    let mut in_place = present.len() == wanted.len();
    for (chain, rule) in wanted {
        let at = counts.entry(chain).or_default();
        let there = found.built_in.get(chain).and_then(|rules| rules.get(*at));
        in_place &= there.is_some_and(|words| words.parse::<Rule>().is_ok_and(|there| there == rule));
        *at += 1;
        inserts.push(Edit::Insert { chain, at: *at, rule });
    }
    if in_place { Vec::new() } else { present.into_iter().chain(inserts).collect() }
}

/// What is there after a patch from a known state.
pub(crate) fn follow(installed: &mut Ruleset, patch: Patch) {
    for batch in patch.batches {
        let chains = match batch.table {
            Table::Nat => &mut installed.nat,
            Table::Filter => &mut installed.filter,
            Table::Mangle => continue,
        };
        chains.extend(batch.chains);
        batch.deleted.iter().for_each(|name| drop(chains.remove(name)));
    }
}
