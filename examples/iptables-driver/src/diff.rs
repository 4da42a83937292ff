//! What must be written so that the kernel holds what is wanted? Batches, each of one table, each atomic.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::{self, Write};
use std::hash::Hash;

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
    operations: u64,
    /// Chains that are emptied, and made if they are not there.
    declared: Vec<ChainName>,
    /// Lines: what is done to built-in chains, where the rest is not ours.
    edits: String,
    /// Lines: what is in chains that are declared.
    rules: String,
    /// Lines: what goes.
    deleted: String,
}

/// What is done to a built-in chain.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Edit {
    /// The rule of these words goes.
    Remove { chain: Box<str>, words: Box<str> },
    /// A rule comes, at this place from 1.
    Insert { chain: &'static str, at: usize, rule: Box<Rule> },
}

// Text in memory takes everything, so that writing to it does not fail.
impl Batch {
    pub(crate) fn new(family: IpFamily, style: Style, table: Table) -> Batch {
        let [edits, rules, deleted] = [const { String::new() }; 3];
        Batch { family, style, table, operations: 0, declared: Vec::new(), edits, rules, deleted }
    }

    /// The family.
    pub fn family(&self) -> IpFamily {
        self.family
    }

    /// How many chains and jumps are written or removed. A generation is written down beside the rules and does not count.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    fn is_empty(&self) -> bool {
        self.declared.is_empty() && self.edits.is_empty()
    }

    /// A chain shall hold these rules and no others.
    pub(crate) fn fill<'r>(&mut self, chain: &ChainName, rules: impl IntoIterator<Item = &'r Rule>) {
        self.fill_lines(*chain, "");
        let Batch { style, family, .. } = *self;
        for rule in rules {
            let _ = Words { rule, style, family }.line(&mut self.rules, chain.as_str());
        }
    }

    /// The same with rules that are lines already.
    pub(crate) fn fill_lines(&mut self, chain: ChainName, lines: &str) {
        self.declared.push(chain);
        self.rules.push_str(lines);
        self.operations += u64::from(self.table != Table::Mangle);
    }

    /// A chain goes.
    pub(crate) fn delete(&mut self, chain: &ChainName) {
        self.declared.push(*chain);
        let _ = writeln!(self.deleted, "-X {chain}");
        self.operations += 1;
    }

    fn edit(&mut self, edit: &Edit) {
        let Batch { style, family, .. } = *self;
        let _ = match edit {
            Edit::Remove { chain, words } => writeln!(self.edits, "-D {chain} {words}"),
            Edit::Insert { chain, at, rule } => {
                writeln!(self.edits, "-I {chain} {at}{}", Words { rule, style, family })
            }
        };
        self.operations += 1;
    }

    /// The input of `iptables-restore --noflush`.
    pub fn text(&self) -> String {
        let Batch { edits, rules, deleted, .. } = self;
        let mut text =
            String::with_capacity(DECLARATION * (self.declared.len() + 1) + edits.len() + rules.len() + deleted.len());
        let _ = writeln!(text, "*{}", self.table);
        // iptables-nft keeps chains in order and looks for the place of each from the front: by measurement, it takes half as long as if the
        // first came first, and a seventh of what it takes in no order.
        let mut declared = self.declared.clone();
        declared.sort_unstable_by(|a, b| b.cmp(a));
        for chain in declared {
            [":", chain.as_str(), " - [0:0]\n"].iter().for_each(|part| text.push_str(part));
        }
        [edits, rules, deleted, "COMMIT\n"].iter().for_each(|part| text.push_str(part));
        text
    }
}

/// No line that declares a chain is longer.
const DECLARATION: usize = 40;

/// As input of `iptables-restore --noflush`.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// From what was read back to what is wanted. O(n log n).
pub fn diff(found: &Saved, wanted: &Ruleset) -> Patch {
    let mut comparison = Comparison::new(found, wanted.family, wanted.style);
    wanted.nat.iter().for_each(|(name, rules)| comparison.nat(name, rules));
    comparison.finish(&wanted.filter)
}

/// What was read back, and how it differs from what is wanted so far: chains of nat come one by one, so that they need not be there all
/// at once.
pub(crate) struct Comparison<'a> {
    found: &'a Saved,
    nat: Batch,
    /// The chains of nat that are not wanted so far.
    unwanted: BTreeSet<&'a ChainName>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(found: &'a Saved, family: IpFamily, style: Style) -> Comparison<'a> {
        let unwanted = found.table(Table::Nat).chains.keys().collect();
        Comparison { found, nat: Batch::new(family, style, Table::Nat), unwanted }
    }

    /// A chain of nat shall hold these rules.
    pub(crate) fn nat(&mut self, name: &ChainName, rules: &[Rule]) {
        self.unwanted.remove(name);
        if self.found.table(Table::Nat).differs(name, rules) {
            self.nat.fill(name, rules);
        }
    }

    /// The whole, with all chains of filter.
    pub(crate) fn finish(self, filter: &Chains) -> Patch {
        let Comparison { found, mut nat, unwanted } = self;
        let Batch { family, style, .. } = nat;
        let delete = |batch: &mut Batch, found: &SavedTable, name: &ChainName| {
            if !found.wanted_by_others.contains(name) {
                batch.delete(name);
            } else if found.differs(name, &[]) {
                // Others may lead to a chain that nobody needs; it must not keep those alive that it leads to.
                batch.fill(name, []);
            }
        };
        let (found_filter, found_nat) = (found.table(Table::Filter), found.table(Table::Nat));
        unwanted.into_iter().for_each(|name| delete(&mut nat, found_nat, name));
        jump_edits(found_nat, Table::Nat).iter().for_each(|edit| nat.edit(edit));
        let differing = filter.iter().filter(|(name, rules)| found_filter.differs(name, rules));
        let lines = |name: &ChainName, rules: &mut dyn Iterator<Item = &Rule>| {
            let mut lines = String::new();
            for rule in rules {
                let _ = Words { rule, style, family }.line(&mut lines, name.as_str());
            }
            lines
        };
        let differing = differing.map(|(name, rules)| {
            let before = found_filter.chains.get(name).map(Vec::as_slice).unwrap_or_default();
            let (gone, gains) = turnover(before, rules);
            FilterChain {
                name: *name,
                lines: lines(name, &mut rules.iter()),
                gone: lines(name, &mut gone.into_iter()),
                gains: gains || found_filter.altered.contains(name),
            }
        });
        let [first, mut last] = filter_batches(family, style, &differing.collect::<Vec<_>>());
        let unwanted = found_filter.chains.keys().filter(|name| !filter.contains_key(*name));
        unwanted.for_each(|name| delete(&mut last, found_filter, name));
        jump_edits(found_filter, Table::Filter).iter().for_each(|edit| last.edit(edit));
        in_order([first, nat, last])
    }
}

impl SavedTable {
    /// Whether a chain holds anything else than these rules.
    fn differs(&self, name: &ChainName, rules: &[Rule]) -> bool {
        self.chains.get(name).is_none_or(|found| found != rules) || self.altered.contains(name)
    }
}

/// What removes all that is ours. Chains that others lead to are emptied and stay.
pub fn cleanup(found: &Saved, family: IpFamily) -> Patch {
    in_order(Table::ALL.map(|table| {
        let found = found.table(table);
        let mut batch = Batch::new(family, Style::Short, table);
        for name in found.chains.keys() {
            match found.wanted_by_others.contains(name) {
                true => batch.fill(name, []),
                false => batch.delete(name),
            }
        }
        our_jumps(found).for_each(|edit| batch.edit(&edit));
        batch
    }))
}

/// Writes a generation down beside the rules.
pub(crate) fn generation_batch(family: IpFamily, style: Style, generation: Generation) -> Batch {
    let mut batch = Batch::new(family, style, Table::Mangle);
    let comment = Some(Comment::new(format!("{GENERATION}{generation}")));
    batch.fill(&ChainName::fixed(names::CANARY), [&Rule { comment, ..Rule::default() }]);
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

pub(crate) fn in_order(batches: [Batch; 3]) -> Patch {
    Patch { batches: batches.into_iter().filter(|batch| !batch.is_empty()).collect() }
}

/// A chain of the filter table that is to change.
pub(crate) struct FilterChain {
    pub(crate) name: ChainName,
    /// The rules that it shall hold.
    pub(crate) lines: String,
    /// Those that it held and shall not.
    pub(crate) gone: String,
    /// Whether there are some that it did not hold.
    pub(crate) gains: bool,
}

/// Which of some rules go, and whether others come.
pub(crate) fn turnover<'r, T: Eq + Hash>(before: &'r [T], after: &[T]) -> (Vec<&'r T>, bool) {
    let wanted: HashSet<&T> = after.iter().collect();
    let gone: Vec<&T> = before.iter().filter(|rule| !wanted.contains(rule)).collect();
    let gains = before.len() - gone.len() < after.len();
    (gone, gains)
}

/// What refuses packets comes before nat changes and goes after it: each table changes at once, but not both together. So a
/// Service that loses its endpoints is refused at once, and one that gains them is so until it is served. A refusal
/// meets no packet that has been translated, so both may be there.
pub(crate) fn filter_batches(family: IpFamily, style: Style, differing: &[FilterChain]) -> [Batch; 2] {
    let [mut first, mut last] = [(); 2].map(|()| Batch::new(family, style, Table::Filter));
    let loses = |chain: &&FilterChain| !chain.gone.is_empty();
    if !differing.iter().any(|chain| loses(&chain)) {
        differing.iter().for_each(|chain| first.fill_lines(chain.name, &chain.lines));
    } else if differing.iter().any(|chain| chain.gains) {
        differing.iter().for_each(|chain| first.fill_lines(chain.name, &[&*chain.lines, &chain.gone].concat()));
        differing.iter().filter(loses).for_each(|chain| last.fill_lines(chain.name, &chain.lines));
    } else {
        differing.iter().for_each(|chain| last.fill_lines(chain.name, &chain.lines));
    }
    [first, last]
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
        inserts.push(Edit::Insert { chain, at: *at, rule: Box::new(rule) });
    }
    if in_place { Vec::new() } else { present.into_iter().chain(inserts).collect() }
}
