//! How is a rule written? In the order of today's kube-proxy, and in that of `iptables-save`, which is the classic one.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use svc_model::addr::IpFamily;

use crate::names::protocol_word;
use crate::rule::{Not, Recent, RecentAction, Rule, States, Target};

/// In which order and with which details rules are written. The tools read both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Short: no `/32`, the protocol after the comment.
    #[default]
    Short,
    /// As `iptables-save` prints it.
    Saved,
}

impl Rule {
    /// Its words after `-A CHAIN`, with a space before each.
    pub fn words(&self, style: Style, family: IpFamily) -> impl fmt::Display + '_ {
        Words { rule: self, style, family }
    }
}

/// A rule's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) style: Style,
    pub(crate) family: IpFamily,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Style::Short => self.short(f),
            Style::Saved => self.saved(f),
        }
    }
}

impl Words<'_> {
    fn short(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule;
        self.comment(f)?;
        self.address_types(f)?;
        self.recent(f)?;
        if let Some(protocol) = rule.protocol {
            let word = protocol_word(protocol);
            write!(f, " -m {word} -p {word}")?;
        }
        option(f, "-d", rule.destination.as_ref().map(|net| map(net, Short)))?;
        self.port(f)?;
        option(f, "-s", rule.source.as_ref().map(|net| map(net, Short)))?;
        option(f, "-i", rule.in_interface.as_ref().map(|name| map(name, |name| name.as_str().to_owned())))?;
        self.state_and_chance(f)?;
        self.target(f)
    }

    fn saved(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule;
        option(f, "-s", rule.source)?;
        option(f, "-d", rule.destination)?;
        option(f, "-i", rule.in_interface.as_ref().map(|name| map(name, |name| name.as_str().to_owned())))?;
        if let Some(protocol) = rule.protocol {
            write!(f, " -p {}", protocol_word(protocol))?;
        }
        self.comment(f)?;
        self.address_types(f)?;
        self.recent(f)?;
        if let Some(protocol) = rule.protocol.filter(|_| rule.destination_port.is_some() || self.is_dnat()) {
            write!(f, " -m {}", protocol_word(protocol))?;
        }
        self.port(f)?;
        self.state_and_chance(f)?;
        self.target(f)
    }

    /// The tools load the protocol's match for a translation to a port, too.
    fn is_dnat(&self) -> bool {
        matches!(self.rule.target, Some(Target::Dnat(_)))
    }

    fn comment(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(comment) = &self.rule.comment else { return Ok(()) };
        let text = comment.as_str();
        let is_bare = match self.style {
            Style::Short => !text.is_empty() && !text.contains(' '),
            Style::Saved => text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
        };
        if is_bare { write!(f, " -m comment --comment {text}") } else { write!(f, " -m comment --comment \"{text}\"") }
    }

    fn address_types(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is_local, option) in
            [(self.rule.source_is_local, "--src-type"), (self.rule.destination_is_local, "--dst-type")]
        {
            if is_local {
                write!(f, " -m addrtype {option} LOCAL")?;
            }
        }
        Ok(())
    }

    fn recent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Recent { list, action }) = &self.rule.recent else { return Ok(()) };
        f.write_str(" -m recent")?;
        let is_short = self.style == Style::Short;
        if is_short {
            write!(f, " --name {list}")?;
        }
        match action {
            RecentAction::Set => f.write_str(" --set")?,
            RecentAction::Check { seconds } => write!(f, " --rcheck --seconds {seconds} --reap")?,
        }
        if is_short {
            return Ok(());
        }
        let mask = match self.family {
            IpFamily::V4 => "255.255.255.255",
            IpFamily::V6 => "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        };
        write!(f, " --name {list} --mask {mask} --rsource")
    }

    fn port(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule.destination_port {
            Some(port) => write!(f, " --dport {port}"),
            None => Ok(()),
        }
    }

    fn state_and_chance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule;
        if let Some(mark) = &rule.mark {
            f.write_str(" -m mark")?;
            option(f, "--mark", Some(map(mark, |mark| format!("{:#x}/{:#x}", mark.value, mark.mask))))?;
        }
        if let Some(states) = &rule.states {
            f.write_str(" -m conntrack")?;
            option(f, "--ctstate", Some(map(states, words)))?;
        }
        if let Some(probability) = rule.probability {
            f.write_str(" -m statistic --mode random --probability ")?;
            match self.style {
                Style::Short => {
                    let (whole, rest) = probability.ten_digits();
                    write!(f, "{whole}.{rest:010}")?;
                }
                Style::Saved => write!(f, "{:.11}", probability.share())?,
            }
        }
        match &rule.counter {
            Some(counter) => write!(f, " -m nfacct --nfacct-name {}", counter.as_str()),
            None => Ok(()),
        }
    }

    fn target(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(target) = &self.rule.target else { return Ok(()) };
        match target {
            Target::Jump(chain) => write!(f, " -j {chain}"),
            Target::Accept => f.write_str(" -j ACCEPT"),
            Target::Drop => f.write_str(" -j DROP"),
            Target::Return => f.write_str(" -j RETURN"),
            Target::Reject if self.style == Style::Short => f.write_str(" -j REJECT"),
            Target::Reject => {
                let how = match self.family {
                    IpFamily::V4 => "icmp-port-unreachable",
                    IpFamily::V6 => "icmp6-port-unreachable",
                };
                write!(f, " -j REJECT --reject-with {how}")
            }
            Target::Masquerade { random_fully } => {
                f.write_str(if *random_fully { " -j MASQUERADE --random-fully" } else { " -j MASQUERADE" })
            }
            Target::Dnat(to) => write!(f, " -j DNAT --to-destination {to}"),
            Target::SetMark { value, mask } if self.style == Style::Short && value == mask => {
                write!(f, " -j MARK --or-mark {value:#x}")
            }
            Target::SetMark { value, mask: 0 } if self.style == Style::Short => {
                write!(f, " -j MARK --xor-mark {value:#x}")
            }
            Target::SetMark { value, mask } => write!(f, " -j MARK --set-xmark {value:#x}/{mask:#x}"),
        }
    }
}

/// `A` for a host, `A/N` for a range.
struct Short(IpNet);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let net = self.0;
        if net.prefix_len() == net.max_prefix_len() { net.addr().fmt(f) } else { net.fmt(f) }
    }
}

fn map<T: Clone, U>(value: &Not<T>, with: impl Fn(T) -> U) -> Not<U> {
    match value {
        Not::Is(value) => Not::Is(with(value.clone())),
        Not::Not(value) => Not::Not(with(value.clone())),
    }
}

/// ` OPTION VALUE`, or ` ! OPTION VALUE`.
fn option<T: fmt::Display>(f: &mut fmt::Formatter<'_>, name: &str, value: Option<Not<T>>) -> fmt::Result {
    match value {
        Some(Not::Is(value)) => write!(f, " {name} {value}"),
        Some(Not::Not(value)) => write!(f, " ! {name} {value}"),
        None => Ok(()),
    }
}

fn words(states: States) -> String {
    let named: Vec<&str> =
        States::WORDS.iter().filter(|(_, bit)| states.bits() & bit != 0).map(|(word, _)| *word).collect();
    named.join(",")
}

/// A host as a range.
pub(crate) fn host(addr: IpAddr) -> IpNet {
    IpNet::from(addr)
}
