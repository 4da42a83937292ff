//! How is an object written? One command a line, as `nft -f` takes them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use svc_model::Protocol;
use svc_model::addr::IpFamily;

use crate::names::{Name, protocol_word};
use crate::table::{
    Among, Chain, Comment, Element, HookPoint, Interface, Key, Map, MapKind, Rule, Set, Side, Slot, Slots, Statement,
    TABLE, Table, Verdict,
};

/// `ip` or `ip6`, as tables and addresses have it.
pub(crate) fn family_word(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "ip",
        IpFamily::V6 => "ip6",
    }
}

/// A command, or several, for the objects of a family.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command<'a> {
    AddTable,
    DeleteTable,
    AddSet(&'a Name, &'a Set),
    AddMap(&'a Name, &'a Map),
    AddChain(&'a Name, &'a Chain),
    Flush(&'a Name),
    AddRule(&'a Name, &'a Rule),
    /// To a set or map, or from it.
    AddAddress(&'a Name, IpAddr),
    DeleteAddress(&'a Name, IpAddr),
    AddElement(&'a Name, &'a Key, &'a Element),
    DeleteElement(&'a Name, &'a Key),
    DeleteSet(&'a Name),
    DeleteMap(&'a Name),
    DeleteChain(&'a Name),
    AddSlots(&'a Name, &'a Slots),
    AddSlot(&'a Name, &'a Slot, SocketAddr),
    DeleteSlot(&'a Name, &'a Slot),
    AddLoops(&'a Name),
    AddLoop(&'a Name, IpAddr),
    DeleteLoop(&'a Name, IpAddr),
}

impl Command<'_> {
    pub(crate) fn write(self, f: &mut impl fmt::Write, family: IpFamily) -> fmt::Result {
        let table = Qualified(family);
        match self {
            Command::AddTable => write!(f, "add table {table} {{ comment \"rules for kube-proxy\" ; }}"),
            Command::DeleteTable => write!(f, "delete table {table}"),
            Command::AddSet(name, set) => {
                let addr = address_type(family);
                write!(f, "add set {table} {name} {{ type {addr} ;")?;
                if let Some(seconds) = set.timeout {
                    write!(f, " flags dynamic,timeout ; timeout {seconds}s ;")?;
                }
                f.write_str(&comment_clause(&set.comment))?;
                f.write_str(" }")
            }
            Command::AddMap(name, map) => {
                let addr = match map.kind {
                    MapKind::Address => format!("{} . ", address_type(family)),
                    MapKind::Port => String::new(),
                };
                let comment = comment_clause(&map.comment);
                write!(f, "add map {table} {name} {{ type {addr}inet_proto . inet_service : verdict ;{comment} }}")
            }
            Command::AddChain(name, chain) => {
                write!(f, "add chain {table} {name}")?;
                if let Some(hook) = chain.hook {
                    let kind = if hook.is_nat { "nat" } else { "filter" };
                    let point = hook_word(hook.point);
                    return write!(f, " {{ type {kind} hook {point} priority {} ; }}", hook.priority);
                }
                if chain.comment.is_some() {
                    write!(f, " {{{} }}", comment_clause(&chain.comment))?;
                }
                Ok(())
            }
            Command::Flush(name) => write!(f, "flush chain {table} {name}"),
            Command::AddRule(chain, rule) => {
                write!(f, "add rule {table} {chain}")?;
                rule.statements.iter().try_for_each(|statement| statement.write(f, family))?;
                comment(f, &rule.comment)
            }
            Command::AddAddress(name, addr) => write!(f, "add element {table} {name} {{ {addr} }}"),
            Command::DeleteAddress(name, addr) => write!(f, "delete element {table} {name} {{ {addr} }}"),
            Command::AddElement(name, key, element) => {
                write!(f, "add element {table} {name} {{ {key}")?;
                comment(f, &element.comment)?;
                write!(f, " : {} }}", element.verdict)
            }
            Command::DeleteElement(name, key) => write!(f, "delete element {table} {name} {{ {key} }}"),
            Command::DeleteSet(name) => write!(f, "delete set {table} {name}"),
            Command::DeleteMap(name) => write!(f, "delete map {table} {name}"),
            Command::DeleteChain(name) => write!(f, "delete chain {table} {name}"),
            Command::AddSlots(name, slots) => {
                let (ip, protocol) = (family_word(family), protocol_word(slots.protocol));
                // What the number may be is the width of its type; it is chosen among fewer.
                let key = slot_key(family, slots.kind, slots.protocol, 65_536);
                write!(f, "add map {table} {name} {{ typeof {key} : {ip} daddr . {protocol} dport ; }}")
            }
            Command::AddSlot(name, slot, to) => {
                write!(f, "add element {table} {name} {{ {slot} : {} . {} }}", to.ip(), to.port())
            }
            Command::DeleteSlot(name, slot) => write!(f, "delete element {table} {name} {{ {slot} }}"),
            Command::AddLoops(name) => {
                let addr = address_type(family);
                write!(f, "add set {table} {name} {{ type {addr} . {addr} ; }}")
            }
            Command::AddLoop(name, addr) => write!(f, "add element {table} {name} {{ {addr} . {addr} }}"),
            Command::DeleteLoop(name, addr) => write!(f, "delete element {table} {name} {{ {addr} . {addr} }}"),
        }
    }
}

struct Qualified(IpFamily);

impl fmt::Display for Qualified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {TABLE}", family_word(self.0))
    }
}

/// The whole as commands for a kernel without it.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::diff::diff(None, self).fmt(f)
    }
}

pub(crate) fn address_type(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "ipv4_addr",
        IpFamily::V6 => "ipv6_addr",
    }
}

pub(crate) fn hook_word(point: HookPoint) -> &'static str {
    HookPoint::WORDS.iter().find(|(_, other)| *other == point).map(|(word, _)| *word).unwrap_or_default()
}

fn comment(f: &mut impl fmt::Write, comment: &Option<Comment>) -> fmt::Result {
    match comment {
        Some(comment) => write!(f, " comment \"{}\"", comment.as_str()),
        None => Ok(()),
    }
}

fn comment_clause(comment: &Option<Comment>) -> String {
    comment.as_ref().map(|comment| format!(" comment \"{}\" ;", comment.as_str())).unwrap_or_default()
}

/// What is looked up in a map to endpoints.
fn slot_key(family: IpFamily, kind: MapKind, protocol: Protocol, among: u32) -> String {
    let addr = match kind {
        MapKind::Address => format!("{} daddr . ", family_word(family)),
        MapKind::Port => String::new(),
    };
    format!("{addr}{} dport . numgen random mod {among}", protocol_word(protocol))
}

/// `A . PORT . NUMBER`, or without the address.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(addr) = self.addr {
            write!(f, "{addr} . ")?;
        }
        write!(f, "{} . {}", self.port, self.number)
    }
}

/// `A . PROTOCOL . PORT`, or without the address.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(addr) = self.addr {
            write!(f, "{addr} . ")?;
        }
        write!(f, "{} . {}", protocol_word(self.protocol), self.port)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Drop => f.write_str("drop"),
            Verdict::Reject => f.write_str("reject"),
            Verdict::Return => f.write_str("return"),
            Verdict::Continue => f.write_str("continue"),
            Verdict::Jump(chain) => write!(f, "jump {chain}"),
            Verdict::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl Statement {
    /// With a space before it.
    fn write(&self, f: &mut impl fmt::Write, family: IpFamily) -> fmt::Result {
        let ip = family_word(family);
        match self {
            Statement::Address { side, negated, among } => {
                let (side, not) = (addr_word(*side), if *negated { "!= " } else { "" });
                write!(f, " {ip} {side} {not}")?;
                match among {
                    Among::One(range) => write!(f, "{}", Range(*range)),
                    Among::Set(name) => write!(f, "@{name}"),
                    Among::Some(ranges) => {
                        f.write_str("{")?;
                        for (i, range) in ranges.iter().enumerate() {
                            write!(f, "{} {}", if i == 0 { "" } else { "," }, Range(*range))?;
                        }
                        f.write_str(" }")
                    }
                }
            }
            Statement::Local { side } => write!(f, " fib {} type local", addr_word(*side)),
            Statement::InterfaceIs { negated, name } => {
                write!(f, " iifname {}\"{}\"", if *negated { "!= " } else { "" }, Interface::as_str(name))
            }
            Statement::Protocol(protocol) => write!(f, " meta l4proto {}", protocol_word(*protocol)),
            Statement::New => f.write_str(" ct state new"),
            Statement::Unmarked(bits) => write!(f, " mark and {bits:#x} == 0"),
            Statement::SetMark(bits) => write!(f, " mark set mark or {bits:#x}"),
            Statement::TurnMark(bits) => write!(f, " mark set mark xor {bits:#x}"),
            Statement::Remember(set) => write!(f, " update @{set} {{ {ip} saddr }}"),
            Statement::LookUp(map) => write!(f, " {ip} daddr . meta l4proto . th dport vmap @{map}"),
            Statement::LookUpPort(map) => write!(f, " meta l4proto . th dport vmap @{map}"),
            Statement::Choose(chains) => {
                write!(f, " numgen random mod {} vmap {{", chains.len())?;
                for (i, chain) in chains.iter().enumerate() {
                    write!(f, "{} {i} : goto {chain}", if i == 0 { "" } else { " ," })?;
                }
                f.write_str(" }")
            }
            Statement::Dnat(to) => write!(f, " dnat to {to}"),
            Statement::DnatTo { map, protocol, kind, among } => {
                write!(f, " dnat {ip} to {} map @{map}", slot_key(family, *kind, *protocol, *among))
            }
            Statement::Loops(set) => write!(f, " ct status dnat {ip} saddr . {ip} daddr @{set}"),
            Statement::Masquerade => f.write_str(" masquerade fully-random"),
            Statement::Verdict(verdict) => write!(f, " {verdict}"),
        }
    }
}

fn addr_word(side: Side) -> &'static str {
    match side {
        Side::Source => "saddr",
        Side::Destination => "daddr",
    }
}

/// `A` for a host, `A/N` for a range.
struct Range(IpNet);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let net = self.0;
        if net.prefix_len() == net.max_prefix_len() { net.addr().fmt(f) } else { net.fmt(f) }
    }
}
