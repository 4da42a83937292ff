//! What do our tables hold? Chains by name, each a list of rules.

use std::collections::BTreeMap;
use std::fmt;

use svc_model::addr::IpFamily;

use crate::names::{self, ChainName};
use crate::print::{Style, Words};
use crate::rule::{Comment, Not, Rule, States, Target};

/// A table of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Where packets are refused and lost.
    Filter,
    /// Where addresses are replaced.
    Nat,
    /// Where marks are set; here it holds a canary and the generation.
    Mangle,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 3] = [Table::Filter, Table::Nat, Table::Mangle];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Filter => "filter",
            Table::Nat => "nat",
            Table::Mangle => "mangle",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.as_str() == name)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Chains with their rules.
pub type Chains = BTreeMap<ChainName, Vec<Rule>>;

/// The chains of one family, and which built-in chains lead to them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ruleset {
    /// The family.
    pub family: IpFamily,
    /// How rules are written.
    pub style: Style,
    /// The filter table.
    pub filter: Chains,
    /// The nat table.
    pub nat: Chains,
}

impl Ruleset {
    pub(crate) fn new(family: IpFamily, style: Style) -> Ruleset {
        Ruleset { family, style, filter: Chains::new(), nat: Chains::new() }
    }

    /// Puts the chains in that Service ports share.
    pub(crate) fn share(&mut self, shared: Shared) {
        for (Place { table, chain, .. }, mut rules) in shared {
            let chains = if table == Table::Nat { &mut self.nat } else { &mut self.filter };
            // The parts of a chain come one after another.
            chains.entry(ChainName::fixed(chain)).or_default().append(&mut rules);
        }
    }

    /// Without the chain by whose absence the driver sees that a table was flushed: what is left are kube-proxy's rules.
    #[must_use]
    pub fn without_canary(mut self) -> Ruleset {
        for chains in [&mut self.filter, &mut self.nat] {
            chains.remove(names::CANARY);
        }
        self
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.filter.values().chain(self.nat.values()).map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a rule stands among those of other Service ports: in a chain, and in which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) table: Table,
    pub(crate) chain: &'static str,
    pub(crate) part: Part,
}

/// A part of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What comes before all else.
    Head,
    /// The Service ports, in order.
    Body,
    /// What must come last.
    Tail,
}

/// The chains that Service ports share, in parts. One that holds nothing is there, too.
pub(crate) type Shared = BTreeMap<Place, Vec<Rule>>;

/// The rules of one Service port, or those that are there whatever Service ports there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragment {
    /// Those in chains that it shares, in order for each place.
    pub(crate) shared: Vec<(Place, Rule)>,
    /// Its own chains, all of nat.
    pub(crate) chains: Vec<(ChainName, Vec<Rule>)>,
}

impl Fragment {
    /// A rule that comes where Service ports have theirs.
    pub(crate) fn add(&mut self, table: Table, chain: &'static str, rule: Rule) {
        self.place(table, chain, Part::Body, rule);
    }

    pub(crate) fn place(&mut self, table: Table, chain: &'static str, part: Part, rule: Rule) {
        self.shared.push((Place { table, chain, part }, rule));
    }
}

/// The whole as input of `iptables-restore`, jumps from built-in chains included: for people, and for a machine without any rules.
impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, chains) in [(Table::Filter, &self.filter), (Table::Nat, &self.nat)] {
            writeln!(f, "*{table}")?;
            let jumps = jumps(table);
            let mut built_in: Vec<&str> = jumps.iter().map(|(chain, _)| *chain).collect();
            built_in.dedup();
            built_in.iter().try_for_each(|chain| writeln!(f, ":{chain} ACCEPT [0:0]"))?;
            chains.keys().try_for_each(|chain| writeln!(f, ":{chain} - [0:0]"))?;
            let words = |rule| Words { rule, style: self.style, family: self.family };
            jumps.iter().try_for_each(|(chain, rule)| words(rule).line(f, chain))?;
            for (chain, rules) in chains {
                rules.iter().try_for_each(|rule| words(rule).line(f, chain.as_str()))?;
            }
            f.write_str("COMMIT\n")?;
        }
        Ok(())
    }
}

/// The rules in built-in chains that lead to ours; they come first there, in this order (CVE-2019-9946).
pub(crate) fn jumps(table: Table) -> Vec<(&'static str, Rule)> {
    let jump = |to: &'static str, comment: &str, is_new: bool| Rule {
        comment: (!comment.is_empty()).then(|| Comment::new(comment)),
        states: is_new.then_some(Not::Is(States::NEW)),
        target: Some(Target::Jump(ChainName::fixed(to))),
        ..Rule::default()
    };
    const PORTALS: &str = "kubernetes service portals";
    const EXTERNAL: &str = "kubernetes externally-visible service portals";
    const BALANCERS: &str = "kubernetes load balancer firewall";
    let health = jump(names::NODE_PORTS, "kubernetes health check service ports", false);
    let external = jump(names::EXTERNAL_SERVICES, EXTERNAL, true);
    let services = jump(names::SERVICES, PORTALS, true);
    let balancers = jump(names::PROXY_FIREWALL, BALANCERS, true);
    let firewall = jump(names::FIREWALL, "", false);
    match table {
        Table::Nat => vec![
            ("PREROUTING", jump(names::SERVICES, PORTALS, false)),
            ("OUTPUT", jump(names::SERVICES, PORTALS, false)),
            ("POSTROUTING", jump(names::POSTROUTING, "kubernetes postrouting rules", false)),
        ],
        Table::Filter => vec![
            ("INPUT", balancers.clone()),
            ("INPUT", health),
            ("INPUT", external.clone()),
            ("INPUT", firewall.clone()),
            ("FORWARD", balancers.clone()),
            ("FORWARD", jump(names::FORWARD, "kubernetes forwarding rules", false)),
            ("FORWARD", services.clone()),
            ("FORWARD", external.clone()),
            ("OUTPUT", balancers),
            ("OUTPUT", services),
            // Not kube-proxy's: without it a process of the node is left waiting at an external address that nobody serves.
            ("OUTPUT", external),
            ("OUTPUT", firewall),
        ],
        Table::Mangle => Vec::new(),
    }
}
