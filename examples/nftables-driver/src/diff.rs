//! What must be done so that the kernel holds what is wanted? One transaction.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use svc_model::addr::IpFamily;
use svc_model::backend::Generation;

use crate::names::Name;
use crate::parse::Listed;
use crate::print::{Command, family_word};
use crate::table::{Chain, Comment, Element, Key, Rule, Slot, Statement, TABLE, Table, Verdict};

/// Commands for `nft -f`, which does all of them or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    text: String,
    operations: u64,
    /// Where the text may be cut: after each command of a table that was not there, whose objects come before what leads to them.
    seams: Vec<usize>,
    /// Whether a table that serves goes first, so that packets must not see what is in between.
    starts_over: bool,
}

impl Transaction {
    /// How many commands there are. A generation is written down beside the objects and does not count.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The same in pieces of so many commands at most, where it may be cut; elsewhere in one piece. What takes a kernel long grows
    /// faster than its length.
    pub fn pieces(&self, commands: usize) -> Vec<&str> {
        let mut pieces = Vec::new();
        let mut start = 0;
        let seams = if self.starts_over { &[][..] } else { &self.seams };
        for seam in seams.chunks_exact(commands.max(1)).filter_map(<[usize]>::last) {
            pieces.push(&self.text[start..*seam]);
            start = *seam;
        }
        pieces.push(&self.text[start..]);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    fn add(&mut self, family: IpFamily, command: Command<'_>) {
        self.operations += 1;
        self.write(family, command);
    }

    fn write(&mut self, family: IpFamily, command: Command<'_>) {
        // Text in memory takes everything.
        let _ = command.write(&mut self.text, family);
        self.text.push('\n');
    }

    /// Removes a family's table, which is made anew in the same transaction.
    pub(crate) fn start_over(&mut self, family: IpFamily) {
        self.starts_over = true;
        self.add(family, Command::DeleteTable);
    }

    /// Writes a generation down.
    pub(crate) fn tag(&mut self, family: IpFamily, generation: Generation) {
        let name = Name::fixed(CANARY);
        let comment = Some(Comment::new(format!("{GENERATION}{generation}")));
        let rule = Rule { statements: vec![Statement::Verdict(Verdict::Continue)], comment };
        self.write(family, Command::AddChain(&name, &Chain::default()));
        self.write(family, Command::Flush(&name));
        self.write(family, Command::AddRule(&name, &rule));
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The chain that holds the generation; when it is gone, so is the rest.
pub(crate) const CANARY: &str = "generation";
const GENERATION: &str = "generation ";

/// The generation that was written down, taken out of what was listed.
pub(crate) fn take_generation(listed: &mut Listed) -> Option<Generation> {
    let chain = listed.table.chains.remove(CANARY)?;
    listed.altered.remove(CANARY);
    let comment = chain.rules.first()?.comment.as_ref()?.as_str();
    comment.strip_prefix(GENERATION)?.parse().ok().map(Generation)
}

/// From what is there to what is wanted, nothing if that is there. Affinity sets that stay keep what they hold. O(n log n), and O(1) for
/// each object that is the same in both.
pub fn diff(found: Option<&Listed>, wanted: &Table) -> Transaction {
    let mut transaction = Transaction::default();
    append(&mut transaction, found, wanted);
    transaction
}

pub(crate) fn append(transaction: &mut Transaction, found: Option<&Listed>, wanted: &Table) {
    let nothing = Listed { table: Table::new(wanted.family), altered: BTreeSet::new() };
    let family = wanted.family;
    let is_new = found.is_none();
    let mut add = |command: Command<'_>| {
        transaction.add(family, command);
        if is_new {
            transaction.seams.push(transaction.text.len());
        }
    };
    if is_new {
        add(Command::AddTable);
    }
    let Listed { table: found, altered } = found.unwrap_or(&nothing);
    // A set of another kind is another set; whoever looks into it comes back before the transaction ends.
    let is_other_set = |name: &Name| wanted.sets.get(name).is_some_and(|set| found.sets[name].timeout != set.timeout);
    let is_other_map = |name: &Name| wanted.maps.get(name).is_some_and(|map| found.maps[name].kind != map.kind);
    let others: BTreeSet<&Name> = found
        .sets
        .keys()
        .filter(|name| is_other_set(name))
        .chain(found.maps.keys().filter(|name| is_other_map(name)))
        .collect();
    // A chain that is entered elsewhere cannot be changed into that.
    let moved = |name: &Name| wanted.chains.get(name).is_some_and(|chain| found.chains[name].hook != chain.hook);
    let moved: BTreeSet<&Name> = found.chains.keys().filter(|name| moved(name)).collect();
    let uses_other = |chain: &Chain| {
        chain.rules.iter().flat_map(|rule| &rule.statements).any(|statement| match statement {
            Statement::Remember(name) | Statement::LookUp(name) | Statement::LookUpPort(name) => others.contains(name),
            Statement::Address { among: crate::table::Among::Set(name), .. } => others.contains(name),
            _ => false,
        })
    };
    let is_same = |name: &Name, chain: &Chain| {
        found.chains.get(name).is_some_and(|found| found.rules == chain.rules)
            && !altered.contains(name)
            && !moved.contains(name)
            && (others.is_empty() || !uses_other(chain))
    };

    // Nothing may lead to what goes: first elements and rules, then chains, sets and maps.
    for (name, map) in &found.maps {
        let wanted = wanted.maps.get(name).filter(|_| !others.contains(name));
        let stays = |key: &Key| wanted.is_some_and(|wanted| wanted.elements.get(key) == map.elements.get(key));
        map.elements.keys().filter(|key| !stays(key)).for_each(|key| add(Command::DeleteElement(name, key)));
    }
    for (name, slots) in &found.slots {
        let wanted = wanted.slots.get(name);
        let stays = |slot: &Slot| wanted.is_some_and(|wanted| wanted.elements.get(slot) == slots.elements.get(slot));
        slots.elements.keys().filter(|slot| !stays(slot)).for_each(|slot| add(Command::DeleteSlot(name, slot)));
    }
    for (name, addrs) in &found.loops {
        let gone = wanted.loops.get(name).into_iter().flat_map(|wanted| addrs.difference(wanted));
        gone.for_each(|addr| add(Command::DeleteLoop(name, *addr)));
    }
    for (name, set) in found.sets.iter().filter(|(name, _)| !others.contains(name)) {
        let gone = wanted.sets.get(name).into_iter().flat_map(|wanted| set.elements.difference(&wanted.elements));
        gone.for_each(|addr| add(Command::DeleteAddress(name, *addr)));
    }
    for (name, chain) in &found.chains {
        let differs = wanted.chains.get(name).is_none_or(|wanted| !is_same(name, wanted));
        if differs && (!chain.rules.is_empty() || altered.contains(name)) {
            add(Command::Flush(name));
        }
    }
    let gone = |name: &&Name| moved.contains(*name) || !wanted.chains.contains_key(*name);
    found.chains.keys().filter(gone).for_each(|name| add(Command::DeleteChain(name)));
    let gone = |name: &&Name| others.contains(*name) || !wanted.sets.contains_key(*name);
    found.sets.keys().filter(gone).for_each(|name| add(Command::DeleteSet(name)));
    let gone = |name: &&Name| others.contains(*name) || !wanted.maps.contains_key(*name);
    found.maps.keys().filter(gone).for_each(|name| add(Command::DeleteMap(name)));

    found.slots.keys().filter(|name| !wanted.slots.contains_key(*name)).for_each(|name| add(Command::DeleteMap(name)));
    found.loops.keys().filter(|name| !wanted.loops.contains_key(*name)).for_each(|name| add(Command::DeleteSet(name)));

    // Nothing may lead to what is not there: the other way round.
    for (name, slots) in &wanted.slots {
        let before = found.slots.get(name);
        if before.is_none() {
            add(Command::AddSlots(name, slots));
        }
        let known = |slot: &Slot, to: &SocketAddr| before.is_some_and(|before| before.elements.get(slot) == Some(to));
        let new = slots.elements.iter().filter(|(slot, to)| !known(slot, to));
        new.for_each(|(slot, to)| add(Command::AddSlot(name, slot, *to)));
    }
    for (name, addrs) in &wanted.loops {
        let before = found.loops.get(name);
        if before.is_none() {
            add(Command::AddLoops(name));
        }
        let known = |addr: &&IpAddr| before.is_some_and(|before| before.contains(*addr));
        addrs.iter().filter(|addr| !known(addr)).for_each(|addr| add(Command::AddLoop(name, *addr)));
    }
    for (name, set) in &wanted.sets {
        let before = found.sets.get(name).filter(|_| !others.contains(name));
        if before.is_none() {
            add(Command::AddSet(name, set));
        }
        let known = |addr: &&IpAddr| before.is_some_and(|before| before.elements.contains(*addr));
        set.elements.iter().filter(|addr| !known(addr)).for_each(|addr| add(Command::AddAddress(name, *addr)));
    }
    for (name, map) in &wanted.maps {
        if !found.maps.contains_key(name) || others.contains(name) {
            add(Command::AddMap(name, map));
        }
    }
    for (name, chain) in &wanted.chains {
        if !found.chains.contains_key(name) || moved.contains(name) {
            add(Command::AddChain(name, chain));
        }
    }
    for (name, chain) in wanted.chains.iter().filter(|(name, chain)| !is_same(name, chain)) {
        chain.rules.iter().for_each(|rule| add(Command::AddRule(name, rule)));
    }
    for (name, map) in &wanted.maps {
        let before = found.maps.get(name).filter(|_| !others.contains(name));
        let known =
            |key: &Key, element: &Element| before.is_some_and(|before| before.elements.get(key) == Some(element));
        let new = map.elements.iter().filter(|(key, element)| !known(key, element));
        new.for_each(|(key, element)| add(Command::AddElement(name, key, element)));
    }
}

/// What removes all that is ours in a family, whether it is there or not.
pub fn cleanup(family: IpFamily) -> Transaction {
    // It fails to delete what is not there.
    let text = format!("add table {} {TABLE}\n", family_word(family));
    let mut transaction = Transaction { text, ..Transaction::default() };
    transaction.add(family, Command::DeleteTable);
    transaction
}
