//! Tables in memory: `iptables-restore --noflush` and `iptables-save`, as far as rules of the driver need them. Everything else is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use driver_kit::FlowTable;
use iptables_driver::{ChainName, RecentAction, Rule, Style, Table, Tables, Target};
use svc_model::Flow;
use svc_model::addr::IpFamily;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KernelError {
    #[error("refused")]
    Refused,
    #[error("the reply was lost")]
    ReplyLost,
    #[error("iptables-restore: {0}")]
    Invalid(String),
}

/// A rule that is understood, or words of somebody else's.
#[allow(clippy::large_enum_variant)] // Almost all are rules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    Rule(Rule),
    Words(String),
}

pub(crate) type KernelTable = BTreeMap<String, Vec<Line>>;

#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// By whether the family is IPv4, and the name.
    tables: BTreeMap<(bool, &'static str), KernelTable>,
    /// When each source was seen, by list.
    recent: BTreeMap<(bool, String), BTreeMap<IpAddr, Duration>>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) fails_after: Option<(u64, KernelError)>,
}

const BUILT_IN: [(&str, &[&str]); 3] = [
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
];

impl Default for Kernel {
    fn default() -> Kernel {
        let mut tables = BTreeMap::new();
        for is_v4 in [true, false] {
            for (name, chains) in BUILT_IN {
                tables.insert((is_v4, name), chains.iter().map(|chain| ((*chain).to_owned(), Vec::new())).collect());
            }
        }
        Kernel { tables, recent: BTreeMap::new(), flows: Vec::new(), fails_after: None }
    }
}

fn is_built_in(table: &str, chain: &str) -> bool {
    BUILT_IN.iter().any(|(name, chains)| *name == table && chains.contains(&chain))
}

fn is_ours(chain: &str) -> bool {
    ChainName::new(chain).is_some_and(|name| name.is_owned())
}

fn invalid(what: impl Into<String>) -> KernelError {
    KernelError::Invalid(what.into())
}

fn line(chain: &str, words: &str) -> Result<Line, KernelError> {
    match words.parse() {
        Ok(rule) => Ok(Line::Rule(rule)),
        Err(error) if is_ours(chain) => Err(invalid(error.to_string())),
        Err(_) => Ok(Line::Words(words.to_owned())),
    }
}

fn target(line: &Line) -> Option<&str> {
    match line {
        Line::Rule(Rule { target: Some(Target::Jump(chain)), .. }) => Some(chain.as_str()),
        _ => None,
    }
}

impl Kernel {
    pub(crate) fn chain(&self, is_v4: bool, table: &'static str, chain: &str) -> &[Line] {
        self.tables[&(is_v4, table)].get(chain).unwrap_or_else(|| panic!("{table} has no chain {chain}"))
    }

    pub(crate) fn see(&mut self, is_v4: bool, list: &str, source: IpAddr, now: Duration) {
        self.recent.entry((is_v4, list.to_owned())).or_default().insert(source, now);
    }

    /// Less than `seconds` ago.
    pub(crate) fn has_seen(&self, is_v4: bool, list: &str, source: IpAddr, now: Duration, seconds: u32) -> bool {
        let seen = self.recent.get(&(is_v4, list.to_owned())).and_then(|list| list.get(&source));
        seen.is_some_and(|seen| now - *seen < Duration::from_secs(seconds.into()))
    }

    /// All of one table or nothing.
    fn commit(&mut self, is_v4: bool, input: &str) -> Result<(), KernelError> {
        let mut lines = input.lines();
        let name = lines.next().and_then(|line| line.strip_prefix('*')).ok_or_else(|| invalid("no table"))?;
        let name =
            BUILT_IN.iter().map(|(table, _)| *table).find(|table| *table == name).ok_or_else(|| invalid(name))?;
        let mut table = self.tables[&(is_v4, name)].clone();
        let mut committed = false;
        for text in lines {
            if committed {
                return Err(invalid("more than one table"));
            }
            let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
            let (chain, words) = rest.split_once(' ').unwrap_or((rest, ""));
            match command {
                "COMMIT" => committed = true,
                "-A" => {
                    let line = line(chain, words)?;
                    table.get_mut(chain).ok_or_else(|| invalid(text))?.push(line);
                }
                "-I" => {
                    let (at, words) = words.split_once(' ').ok_or_else(|| invalid(text))?;
                    let at: usize = at.parse().map_err(|_| invalid(text))?;
                    let rules = table.get_mut(chain).ok_or_else(|| invalid(text))?;
                    if at == 0 || at > rules.len() + 1 {
                        return Err(invalid(format!("index of insertion too big: {text}")));
                    }
                    rules.insert(at - 1, line(chain, words)?);
                }
                "-D" => {
                    let gone = line(chain, words)?;
                    let rules = table.get_mut(chain).ok_or_else(|| invalid(text))?;
                    let at = rules
                        .iter()
                        .position(|line| *line == gone)
                        .ok_or_else(|| invalid(format!("no rule {text}")))?;
                    rules.remove(at);
                }
                "-X" => {
                    if is_built_in(name, chain) || table.get(chain).is_none_or(|rules| !rules.is_empty()) {
                        return Err(invalid(format!("not empty: {text}")));
                    }
                    if table.values().flatten().any(|line| target(line) == Some(chain)) {
                        return Err(invalid(format!("still led to: {text}")));
                    }
                    table.remove(chain);
                }
                _ => {
                    let chain = command.strip_prefix(':').filter(|_| rest == "- [0:0]").ok_or_else(|| invalid(text))?;
                    if is_built_in(name, chain) || chain.len() > 28 {
                        return Err(invalid(text));
                    }
                    table.insert(chain.to_owned(), Vec::new());
                }
            }
        }
        if !committed {
            return Err(invalid("no COMMIT"));
        }
        if let Some(nowhere) = table.values().flatten().filter_map(target).find(|to| !table.contains_key(*to)) {
            return Err(invalid(format!("no chain {nowhere}")));
        }
        self.tables.insert((is_v4, name), table);
        self.forget_lists(is_v4);
        Ok(())
    }

    /// A list lives as long as a rule has it.
    fn forget_lists(&mut self, is_v4: bool) {
        let rules = self.tables[&(is_v4, "nat")].values().flatten();
        let lists: BTreeSet<&str> = rules
            .filter_map(|line| match line {
                Line::Rule(Rule { recent: Some(recent), .. }) => Some(recent.list.as_str()),
                _ => None,
            })
            .collect();
        self.recent.retain(|(family, list), _| *family != is_v4 || lists.contains(list.as_str()));
    }

    /// As somebody might who wants a clean machine.
    pub(crate) fn flush(&mut self) {
        for table in self.tables.values_mut() {
            table.retain(|chain, _| !is_ours(chain));
            table.values_mut().for_each(|rules| rules.retain(|line| !target(line).is_some_and(is_ours)));
        }
        [true, false].into_iter().for_each(|is_v4| self.forget_lists(is_v4));
    }

    /// Rules of others: one before ours, one after them, a chain, and words that nobody here understands.
    pub(crate) fn plant(&mut self) {
        for is_v4 in [true, false] {
            let source = if is_v4 { "203.0.113.250/32" } else { "2001:db8:ffff::250/128" };
            for (name, chain) in
                [("nat", "POSTROUTING"), ("nat", "PREROUTING"), ("filter", "INPUT"), ("filter", "FORWARD")]
            {
                let table = self.tables.get_mut(&(is_v4, name)).unwrap();
                let words = format!("-s {source} -m comment --comment \"somebody \\\"else\\\"\" -j CNI-HOSTPORT");
                table.get_mut(chain).unwrap().push(line(chain, &words).unwrap());
                table.insert(
                    "CNI-HOSTPORT".to_owned(),
                    vec![
                        Line::Words("-m set --match-set those src -j DROP".to_owned()),
                        line("CNI-HOSTPORT", "-m comment --comment \"uses what is ours\" -j RETURN").unwrap(),
                    ],
                );
            }
        }
    }

    pub(crate) fn foreign(&self) -> String {
        let mut text = String::new();
        for ((is_v4, name), table) in &self.tables {
            for (chain, rules) in table.iter().filter(|(chain, _)| !is_ours(chain)) {
                let foreign = rules.iter().filter(|line| !target(line).is_some_and(is_ours));
                foreign.for_each(|line| writeln!(text, "{is_v4} {name} {chain} {line:?}").unwrap());
            }
        }
        text
    }
}

impl Tables for Kernel {
    fn save(&mut self, family: IpFamily) -> Result<String, KernelError> {
        let mut text = "# Generated by a kernel in memory\n".to_owned();
        for ((_, name), table) in self.tables.iter().filter(|((is_v4, _), _)| *is_v4 == (family == IpFamily::V4)) {
            writeln!(text, "*{name}").unwrap();
            for chain in table.keys() {
                let policy = if is_built_in(name, chain) { "ACCEPT" } else { "-" };
                writeln!(text, ":{chain} {policy} [12:3456]").unwrap();
            }
            for (chain, rules) in table {
                for line in rules {
                    match line {
                        Line::Rule(rule) => writeln!(text, "-A {chain}{}", rule.words(Style::Saved, family)).unwrap(),
                        Line::Words(words) => writeln!(text, "-A {chain} {words}").unwrap(),
                    }
                }
            }
            text.push_str("COMMIT\n# Completed\n");
        }
        Ok(text)
    }

    fn restore(&mut self, family: IpFamily, input: &str) -> Result<(), KernelError> {
        let fails = match &mut self.fails_after {
            Some((0, _)) => self.fails_after.take().map(|(_, error)| error),
            Some((batches, _)) => {
                *batches -= 1;
                None
            }
            None => None,
        };
        if fails == Some(KernelError::Refused) {
            return Err(KernelError::Refused);
        }
        self.commit(family == IpFamily::V4, input)?;
        fails.map_or(Ok(()), Err)
    }

    fn has_canary(&mut self, family: IpFamily, table: Table) -> Result<bool, KernelError> {
        let table = &self.tables[&(family == IpFamily::V4, table.as_str())];
        Ok(table.get("KUBE-PROXY-CANARY").is_some_and(|rules| !rules.is_empty()))
    }

    fn may_have_happened(error: &KernelError) -> bool {
        *error == KernelError::ReplyLost
    }
}

impl FlowTable for Kernel {
    type Error = KernelError;

    fn flows(&mut self) -> Result<Vec<Flow>, KernelError> {
        Ok(self.flows.clone())
    }

    fn forget(&mut self, flow: &Flow) -> Result<(), KernelError> {
        self.flows.retain(|other| other != flow);
        Ok(())
    }
}

/// What a check of a list means.
pub(crate) fn seconds(action: RecentAction) -> Option<u32> {
    match action {
        RecentAction::Check { seconds } => Some(seconds),
        RecentAction::Set => None,
    }
}
