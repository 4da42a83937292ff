//! How is a rule written? In the order of today's kube-proxy, and in that of `iptables-save`, which is the classic one.

use std::fmt;
use std::net::IpAddr;

use driver_kit::{write_addr, write_all, write_number, write_socket_addr};
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
        self.write(f)
    }
}

// Generic, so that nothing stands between the words and the text they are appended to.
impl Words<'_> {
    /// `-A CHAIN` and the words, as a line.
    pub(crate) fn line(&self, f: &mut impl fmt::Write, chain: &str) -> fmt::Result {
        f.write_str("-A ")?;
        f.write_str(chain)?;
        self.write(f)?;
        f.write_char('\n')
    }

    fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self.style {
            Style::Short => self.short(f),
            Style::Saved => self.saved(f),
        }
    }

    fn short(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let rule = self.rule;
        self.comment(f)?;
        self.address_types(f)?;
        self.recent(f)?;
        if let Some(protocol) = rule.protocol {
            write_all(f, &[" -m ", protocol_word(protocol), " -p ", protocol_word(protocol)])?;
        }
        option(f, "-d", &rule.destination, short_range)?;
        self.port(f)?;
        option(f, "-s", &rule.source, short_range)?;
        option(f, "-i", &rule.in_interface, |f, name| f.write_str(name.as_str()))?;
        self.state_and_chance(f)?;
        self.target(f)
    }

    fn saved(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let rule = self.rule;
        option(f, "-s", &rule.source, |f, net| write!(f, "{net}"))?;
        option(f, "-d", &rule.destination, |f, net| write!(f, "{net}"))?;
        option(f, "-i", &rule.in_interface, |f, name| f.write_str(name.as_str()))?;
        if let Some(protocol) = rule.protocol {
            write_all(f, &[" -p ", protocol_word(protocol)])?;
        }
        self.comment(f)?;
        self.address_types(f)?;
        self.recent(f)?;
        if let Some(protocol) = rule.protocol.filter(|_| rule.destination_port.is_some() || self.is_dnat()) {
            write_all(f, &[" -m ", protocol_word(protocol)])?;
        }
        self.port(f)?;
        self.state_and_chance(f)?;
        self.target(f)
    }

    /// The tools load the protocol's match for a translation to a port, too.
    fn is_dnat(&self) -> bool {
        matches!(self.rule.target, Some(Target::Dnat(_)))
    }

    fn comment(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Some(comment) = &self.rule.comment else { return Ok(()) };
        let comment = comment.as_str();
        let is_bare = match self.style {
            Style::Short => !comment.is_empty() && !comment.contains(' '),
            Style::Saved => comment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
        };
        let quote = if is_bare { "" } else { "\"" };
        write_all(f, &[" -m comment --comment ", quote, comment, quote])
    }

    fn address_types(&self, f: &mut impl fmt::Write) -> fmt::Result {
        for (is_local, option) in
            [(self.rule.source_is_local, "--src-type"), (self.rule.destination_is_local, "--dst-type")]
        {
            if is_local {
                write_all(f, &[" -m addrtype ", option, " LOCAL"])?;
            }
        }
        Ok(())
    }

    fn recent(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Some(Recent { list, action }) = &self.rule.recent else { return Ok(()) };
        f.write_str(" -m recent")?;
        let is_short = self.style == Style::Short;
        if is_short {
            write_all(f, &[" --name ", list.as_str()])?;
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
        write_all(f, &[" --name ", list.as_str(), " --mask ", mask, " --rsource"])
    }

    fn port(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self.rule.destination_port {
            Some(port) => {
                f.write_str(" --dport ")?;
                write_number(f, port)
            }
            None => Ok(()),
        }
    }

    fn state_and_chance(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let rule = self.rule;
        if rule.mark.is_some() {
            f.write_str(" -m mark")?;
            option(f, "--mark", &rule.mark, |f, mark| write!(f, "{:#x}/{:#x}", mark.value, mark.mask))?;
        }
        if rule.states.is_some() {
            f.write_str(" -m conntrack")?;
            option(f, "--ctstate", &rule.states, |f, states| f.write_str(&words(*states)))?;
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
            Some(counter) => write_all(f, &[" -m nfacct --nfacct-name ", counter.as_str()]),
            None => Ok(()),
        }
    }

    fn target(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Some(target) = &self.rule.target else { return Ok(()) };
        match target {
            Target::Jump(chain) => write_all(f, &[" -j ", chain.as_str()]),
            Target::Accept => f.write_str(" -j ACCEPT"),
            Target::Drop => f.write_str(" -j DROP"),
            Target::Return => f.write_str(" -j RETURN"),
            Target::Reject if self.style == Style::Short => f.write_str(" -j REJECT"),
            Target::Reject => {
                let how = match self.family {
                    IpFamily::V4 => "icmp-port-unreachable",
                    IpFamily::V6 => "icmp6-port-unreachable",
                };
                write_all(f, &[" -j REJECT --reject-with ", how])
            }
            Target::Masquerade { random_fully } => {
                f.write_str(if *random_fully { " -j MASQUERADE --random-fully" } else { " -j MASQUERADE" })
            }
            Target::Dnat(to) => {
                f.write_str(" -j DNAT --to-destination ")?;
                write_socket_addr(f, *to)
            }
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
fn short_range<W: fmt::Write>(f: &mut W, net: &IpNet) -> fmt::Result {
    if net.prefix_len() == net.max_prefix_len() { write_addr(f, net.addr()) } else { write!(f, "{net}") }
}

/// ` OPTION VALUE`, or ` ! OPTION VALUE`.
fn option<W: fmt::Write, T>(
    f: &mut W,
    name: &str,
    value: &Option<Not<T>>,
    write: impl Fn(&mut W, &T) -> fmt::Result,
) -> fmt::Result {
    let (not, value) = match value {
        Some(Not::Is(value)) => (" ", value),
        Some(Not::Not(value)) => (" ! ", value),
        None => return Ok(()),
    };
    write_all(f, &[not, name, " "])?;
    write(f, value)
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
