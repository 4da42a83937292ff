//! What did `iptables-save` print? Our chains as rules, everything else left as it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use svc_model::Protocol;

use crate::names::ChainName;
use crate::rule::{Comment, Counter, Interface, Mark, Not, Probability, Recent, RecentAction, Rule, States, Target};
use crate::ruleset::{Chains, Table};

/// A rule that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} in the rule {rule:?}")]
pub struct RuleError {
    /// What is wrong or unknown.
    pub what: String,
    /// The words of the rule.
    pub rule: String,
}

/// A line that is not one of `iptables-save`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not of iptables-save: {text:?}")]
pub struct SaveError {
    /// Its number, from 1.
    pub line: usize,
    /// Its beginning.
    pub text: String,
}

/// What one family's tables hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    tables: BTreeMap<Table, SavedTable>,
}

/// What one table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedTable {
    /// Our chains.
    pub chains: Chains,
    /// Those of them that hold what this driver would not write; their rules are left out above.
    pub altered: BTreeSet<ChainName>,
    /// The rules of built-in chains, as they were printed, without `-A CHAIN`.
    pub built_in: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Our chains that rules of other chains than these lead to.
    pub wanted_by_others: BTreeSet<ChainName>,
}

impl Saved {
    /// One table; an empty one if nothing was printed of it.
    pub fn table(&self, table: Table) -> &SavedTable {
        static EMPTY: SavedTable = SavedTable {
            chains: Chains::new(),
            altered: BTreeSet::new(),
            built_in: BTreeMap::new(),
            wanted_by_others: BTreeSet::new(),
        };
        self.tables.get(&table).unwrap_or(&EMPTY)
    }
}

/// Reads what `iptables-save` or `ip6tables-save` printed. O(length).
///
/// # Errors
/// Names the first line that is none of it. A rule of our chains that is not understood is no error, but marks its chain as altered.
pub fn parse(text: &str) -> Result<Saved, SaveError> {
    let mut saved = Saved::default();
    // The name of a table of others is not ours to know.
    let mut table: Option<Option<Table>> = None;
    for (i, line) in text.lines().enumerate() {
        let error = || SaveError { line: i + 1, text: line.chars().take(200).collect() };
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('*') {
            table = Some(Table::named(name));
            continue;
        }
        let current = table.ok_or_else(error)?;
        if line == "COMMIT" {
            table = None;
            continue;
        }
        let Some(current) = current else { continue };
        let current = saved.tables.entry(current).or_default();
        // Counters, with `-c`.
        let line = if line.starts_with('[') { line.split_once(' ').ok_or_else(error)?.1 } else { line };
        if let Some(declared) = line.strip_prefix(':') {
            let mut words = declared.split_whitespace();
            let (name, policy) = (words.next().ok_or_else(error)?, words.next().ok_or_else(error)?);
            match ChainName::new(name).filter(ChainName::is_owned) {
                Some(name) => drop(current.chains.entry(name).or_default()),
                None if policy != "-" => drop(current.built_in.entry(name.into()).or_default()),
                None => {}
            }
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (chain, words) = rule.split_once(' ').unwrap_or((rule, ""));
            current.add(chain, words);
        } else {
            return Err(error());
        }
    }
    Ok(saved)
}

impl SavedTable {
    fn add(&mut self, chain: &str, words: &str) {
        if let Some(rules) = self.built_in.get_mut(chain) {
            rules.push(words.into());
            return;
        }
        match ChainName::new(chain).filter(ChainName::is_owned) {
            Some(name) => match words.parse() {
                Ok(rule) => self.chains.entry(name).or_default().push(rule),
                Err(RuleError { .. }) => drop(self.altered.insert(name)),
            },
            None => {
                let target = jump_of(words).and_then(|name| ChainName::new(&name)).filter(ChainName::is_owned);
                self.wanted_by_others.extend(target);
            }
        }
    }
}

/// Where a rule leads, whatever else it says.
pub(crate) fn jump_of(words: &str) -> Option<String> {
    let mut tokens = Tokens(words).map_while(Result::ok);
    tokens.by_ref().find(|token| matches!(&**token, "-j" | "-g" | "--jump" | "--goto"))?;
    tokens.next().map(Cow::into_owned)
}

/// The words of a line, as the tools take it apart: quotes hold words together, a backslash within them takes the next
/// character as it is. An error if a quote is not closed.
struct Tokens<'a>(&'a str);

struct UnclosedQuote;

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Cow<'a, str>, UnclosedQuote>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_ascii_start();
        let ends = |b: u8| b.is_ascii_whitespace() || b == b'"';
        let plain = rest.bytes().position(ends).unwrap_or(rest.len());
        // Almost all words are as they stand there, or within one pair of quotes.
        let (token, rest) = match rest[plain..].strip_prefix('"') {
            None if rest.is_empty() => return None,
            None => (Ok(Cow::Borrowed(&rest[..plain])), &rest[plain..]),
            Some(quoted) => match quoted.find(['"', '\\']).map(|end| quoted.split_at(end)) {
                Some((token, after)) if plain == 0 && is_end_of_quotes(after) => {
                    (Ok(Cow::Borrowed(token)), &after[1..])
                }
                _ => unquote(rest),
            },
        };
        self.0 = rest;
        Some(token)
    }
}

/// A quote, and nothing that belongs to the same word.
fn is_end_of_quotes(text: &str) -> bool {
    text.strip_prefix('"').is_some_and(|after| after.bytes().next().is_none_or(|b| b.is_ascii_whitespace()))
}

/// The first word, and what comes after it.
fn unquote(text: &str) -> (Result<Cow<'_, str>, UnclosedQuote>, &str) {
    let (mut token, mut is_quoted) = (String::new(), false);
    let mut chars = text.chars();
    loop {
        let rest = chars.as_str();
        match chars.next() {
            Some(c) if !is_quoted && c.is_ascii_whitespace() => return (Ok(token.into()), rest),
            None if !is_quoted => return (Ok(token.into()), rest),
            None => return (Err(UnclosedQuote), rest),
            Some('"') => is_quoted = !is_quoted,
            Some('\\') if is_quoted => token.extend(chars.next()),
            Some(c) => token.push(c),
        }
    }
}

/// The words after `-A CHAIN`, in either style. What is not understood is an error.
impl std::str::FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        let error = |what: String| RuleError { what, rule: text.chars().take(500).collect() };
        let mut words = Words { tokens: Tokens(text), negated: false };
        let mut rule = Rule::default();
        while let Some(option) = words.next().transpose().map_err(error)? {
            words.option(&option, &mut rule).map_err(error)?;
        }
        if let Some(recent) = &rule.recent
            && recent.list.as_str() == UNNAMED
        {
            return Err(error("a list without a name".to_owned()));
        }
        Ok(rule)
    }
}

const UNNAMED: &str = "-";
const MATCHES: [&str; 9] = ["comment", "tcp", "udp", "sctp", "addrtype", "recent", "statistic", "mark", "conntrack"];

struct Words<'a> {
    tokens: Tokens<'a>,
    negated: bool,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<Result<Cow<'a, str>, String>> {
        let token = self.tokens.next()?;
        Some(token.map_err(|UnclosedQuote| "a quote that is not closed".to_owned()))
    }

    fn value(&mut self, option: &str) -> Result<Cow<'a, str>, String> {
        self.next().unwrap_or_else(|| Err(format!("{option} without a value")))
    }

    /// A value that is read.
    fn read<T>(&mut self, option: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let value = self.value(option)?;
        read(&value).ok_or_else(|| format!("{option} {value}"))
    }

    fn network(&mut self, option: &str, negated: bool) -> Result<Option<Not<IpNet>>, String> {
        match self.read(option, network)? {
            Some(net) => Ok(Some(Not::new(negated, net))),
            None if negated => Err(format!("! {option} of everything")),
            None => Ok(None),
        }
    }

    fn option(&mut self, option: &str, rule: &mut Rule) -> Result<(), String> {
        if option == "!" {
            self.negated = true;
            return Ok(());
        }
        let negated = std::mem::take(&mut self.negated);
        if negated && !matches!(option, "-s" | "-d" | "-i" | "--mark" | "--ctstate") {
            return Err(format!("! {option}"));
        }
        match option {
            "-s" => rule.source = self.network(option, negated)?,
            "-d" => rule.destination = self.network(option, negated)?,
            "-i" => rule.in_interface = Some(Not::new(negated, self.read(option, Interface::new)?)),
            "-p" => rule.protocol = Some(self.read(option, protocol)?),
            "-m" => {
                self.read(option, |name| (MATCHES.contains(&name) || name == "nfacct").then_some(()))?;
            }
            "--comment" => rule.comment = Some(Comment::new(self.value(option)?.into_owned())),
            "--dport" => rule.destination_port = Some(self.read(option, |port| port.parse().ok())?),
            "--src-type" => rule.source_is_local = self.read(option, |kind| (kind == "LOCAL").then_some(true))?,
            "--dst-type" => rule.destination_is_local = self.read(option, |kind| (kind == "LOCAL").then_some(true))?,
            "--mark" => rule.mark = Some(Not::new(negated, self.read(option, mark)?)),
            "--ctstate" => rule.states = Some(Not::new(negated, self.read(option, states)?)),
            "--set" => recent(rule).action = RecentAction::Set,
            "--rcheck" => recent(rule).action = RecentAction::Check { seconds: 0 },
            "--seconds" => {
                let seconds = self.read(option, |seconds| seconds.parse().ok())?;
                recent(rule).action = RecentAction::Check { seconds };
            }
            "--reap" | "--rsource" => {}
            "--name" => recent(rule).list = self.read(option, ChainName::new)?,
            "--mask" => {
                self.read(option, |mask| {
                    let all = ["255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"];
                    all.contains(&mask).then_some(())
                })?;
            }
            "--mode" => self.read(option, |mode| (mode == "random").then_some(()))?,
            "--probability" => rule.probability = Some(self.read(option, Probability::parse)?),
            "--nfacct-name" => rule.counter = Some(self.read(option, Counter::new)?),
            "-j" => rule.target = Some(self.target()?),
            "--reject-with" => {
                let how = ["icmp-port-unreachable", "icmp6-port-unreachable"];
                self.read(option, |with| how.contains(&with).then_some(()))?;
            }
            "--random-fully" => match &mut rule.target {
                Some(Target::Masquerade { random_fully }) => *random_fully = true,
                _ => return Err(option.to_owned()),
            },
            _ => return Err(option.to_owned()),
        }
        Ok(())
    }

    fn target(&mut self) -> Result<Target, String> {
        Ok(match &*self.value("-j")? {
            "ACCEPT" => Target::Accept,
            "DROP" => Target::Drop,
            "RETURN" => Target::Return,
            "REJECT" => Target::Reject,
            "MASQUERADE" => Target::Masquerade { random_fully: false },
            "DNAT" => {
                let option = self.value("DNAT")?;
                if option != "--to-destination" {
                    return Err(format!("DNAT {option}"));
                }
                Target::Dnat(self.read(&option, |to| to.parse().ok())?)
            }
            "MARK" => match &*self.value("MARK")? {
                option @ "--or-mark" => Target::or_mark(self.read(option, number)?),
                option @ "--xor-mark" => Target::xor_mark(self.read(option, number)?),
                option @ "--set-xmark" => {
                    let Mark { value, mask } = self.read(option, mark)?;
                    Target::SetMark { value, mask }
                }
                option => return Err(format!("MARK {option}")),
            },
            chain => Target::Jump(ChainName::new(chain).ok_or_else(|| format!("-j {chain}"))?),
        })
    }
}

fn recent(rule: &mut Rule) -> &mut Recent {
    let unnamed = || Recent { list: ChainName::fixed(UNNAMED), action: RecentAction::Set };
    rule.recent.get_or_insert_with(unnamed)
}

/// `None` inside stands for any address.
fn network(text: &str) -> Option<Option<IpNet>> {
    let net = match text.parse::<IpAddr>() {
        Ok(addr) => IpNet::from(addr),
        Err(_) => text.parse().ok()?,
    };
    Some(Some(net.trunc()).filter(|net| net.prefix_len() > 0))
}

fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "tcp" | "6" => Some(Protocol::Tcp),
        "udp" | "17" => Some(Protocol::Udp),
        "sctp" | "132" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn mark(text: &str) -> Option<Mark> {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    Some(Mark { value: number(value)?, mask: number(mask)? })
}

fn states(text: &str) -> Option<States> {
    let mut bits = 0;
    for word in text.split(',') {
        bits |= States::WORDS.iter().find(|(name, _)| *name == word)?.1;
    }
    Some(States::from_bits(bits))
}
