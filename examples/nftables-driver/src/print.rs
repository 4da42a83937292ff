//! How is an object written? One command a line, as `nft -f` takes them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use driver_kit::{write_addr, write_all, write_number, write_socket_addr};
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
    // Generic, so that nothing stands between the words and the text they are appended to.
    pub(crate) fn write(self, f: &mut impl fmt::Write, family: IpFamily) -> fmt::Result {
        match self {
            Command::AddTable => {
                object(f, "add table", family, None)?;
                f.write_str(" { comment \"rules for kube-proxy\" ; }")
            }
            Command::DeleteTable => object(f, "delete table", family, None),
            Command::AddSet(name, set) => {
                object(f, "add set", family, Some(name))?;
                write_all(f, &[" { type ", address_type(family), " ;"])?;
                if let Some(seconds) = set.timeout {
                    write!(f, " flags dynamic,timeout ; timeout {seconds}s ;")?;
                }
                comment_clause(f, &set.comment)?;
                f.write_str(" }")
            }
            Command::AddMap(name, map) => {
                object(f, "add map", family, Some(name))?;
                f.write_str(" { type ")?;
                if map.kind == MapKind::Address {
                    write_all(f, &[address_type(family), " . "])?;
                }
                f.write_str("inet_proto . inet_service : verdict ;")?;
                comment_clause(f, &map.comment)?;
                f.write_str(" }")
            }
            Command::AddChain(name, chain) => {
                object(f, "add chain", family, Some(name))?;
                if let Some(hook) = chain.hook {
                    let kind = if hook.is_nat { "nat" } else { "filter" };
                    let point = hook_word(hook.point);
                    return write!(f, " {{ type {kind} hook {point} priority {} ; }}", hook.priority);
                }
                if chain.comment.is_some() {
                    f.write_str(" {")?;
                    comment_clause(f, &chain.comment)?;
                    f.write_str(" }")?;
                }
                Ok(())
            }
            Command::Flush(name) => object(f, "flush chain", family, Some(name)),
            Command::AddRule(chain, rule) => {
                object(f, "add rule", family, Some(chain))?;
                rule.statements.iter().try_for_each(|statement| statement.write(f, family))?;
                comment(f, &rule.comment)
            }
            Command::AddAddress(name, addr) => element(f, "add", family, name, |f| write_addr(f, addr)),
            Command::DeleteAddress(name, addr) => element(f, "delete", family, name, |f| write_addr(f, addr)),
            Command::AddElement(name, key, to) => element(f, "add", family, name, |f| {
                key.write(f)?;
                comment(f, &to.comment)?;
                f.write_str(" : ")?;
                to.verdict.write(f)
            }),
            Command::DeleteElement(name, key) => element(f, "delete", family, name, |f| key.write(f)),
            Command::DeleteSet(name) => object(f, "delete set", family, Some(name)),
            Command::DeleteMap(name) => object(f, "delete map", family, Some(name)),
            Command::DeleteChain(name) => object(f, "delete chain", family, Some(name)),
            Command::AddSlots(name, slots) => {
                object(f, "add map", family, Some(name))?;
                f.write_str(" { typeof ")?;
                // What the number may be is the width of its type; it is chosen among fewer.
                slot_key(f, family, slots.kind, slots.protocol, 65_536)?;
                write_all(f, &[" : ", family_word(family), " daddr . ", protocol_word(slots.protocol), " dport ; }"])
            }
            Command::AddSlot(name, slot, to) => element(f, "add", family, name, |f| {
                slot.write(f)?;
                f.write_str(" : ")?;
                write_addr(f, to.ip())?;
                f.write_str(" . ")?;
                write_number(f, to.port())
            }),
            Command::DeleteSlot(name, slot) => element(f, "delete", family, name, |f| slot.write(f)),
            Command::AddLoops(name) => {
                object(f, "add set", family, Some(name))?;
                let addr = address_type(family);
                write_all(f, &[" { type ", addr, " . ", addr, " ; }"])
            }
            Command::AddLoop(name, addr) => element(f, "add", family, name, |f| write_twice(f, addr)),
            Command::DeleteLoop(name, addr) => element(f, "delete", family, name, |f| write_twice(f, addr)),
        }
    }
}

/// `WHAT ip kube-proxy NAME`, or the table itself.
fn object(f: &mut impl fmt::Write, what: &str, family: IpFamily, name: Option<&Name>) -> fmt::Result {
    write_all(f, &[what, " ", family_word(family), " ", TABLE])?;
    name.map_or(Ok(()), |name| write_all(f, &[" ", name.as_str()]))
}

/// `VERB element ip kube-proxy NAME { ELEMENT }`
fn element<W: fmt::Write>(
    f: &mut W,
    verb: &str,
    family: IpFamily,
    name: &Name,
    write: impl Fn(&mut W) -> fmt::Result,
) -> fmt::Result {
    write_all(f, &[verb, " element ", family_word(family), " ", TABLE, " ", name.as_str(), " { "])?;
    write(f)?;
    f.write_str(" }")
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
        Some(comment) => write_all(f, &[" comment \"", comment.as_str(), "\""]),
        None => Ok(()),
    }
}

/// The same where semicolons end clauses.
fn comment_clause(f: &mut impl fmt::Write, clause: &Option<Comment>) -> fmt::Result {
    comment(f, clause)?;
    if clause.is_some() { f.write_str(" ;") } else { Ok(()) }
}

/// What is looked up in a map to endpoints.
fn slot_key(f: &mut impl fmt::Write, family: IpFamily, kind: MapKind, protocol: Protocol, among: u32) -> fmt::Result {
    if kind == MapKind::Address {
        write_all(f, &[family_word(family), " daddr . "])?;
    }
    write!(f, "{} dport . numgen random mod {among}", protocol_word(protocol))
}

fn write_twice(f: &mut impl fmt::Write, addr: IpAddr) -> fmt::Result {
    write_addr(f, addr)?;
    f.write_str(" . ")?;
    write_addr(f, addr)
}

/// `A . `, if there is an address.
fn first(f: &mut impl fmt::Write, addr: Option<IpAddr>) -> fmt::Result {
    let Some(addr) = addr else { return Ok(()) };
    write_addr(f, addr)?;
    f.write_str(" . ")
}

impl Slot {
    /// `A . PORT . NUMBER`, or without the address.
    fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        first(f, self.addr)?;
        write_number(f, self.port)?;
        f.write_str(" . ")?;
        write_number(f, self.number)
    }
}

impl Key {
    /// `A . PROTOCOL . PORT`, or without the address.
    fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        first(f, self.addr)?;
        write_all(f, &[protocol_word(self.protocol), " . "])?;
        write_number(f, self.port)
    }
}

impl Verdict {
    fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Verdict::Drop => f.write_str("drop"),
            Verdict::Reject => f.write_str("reject"),
            Verdict::Return => f.write_str("return"),
            Verdict::Continue => f.write_str("continue"),
            Verdict::Jump(chain) => write_all(f, &["jump ", chain.as_str()]),
            Verdict::Goto(chain) => write_all(f, &["goto ", chain.as_str()]),
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
                write_all(f, &[" ", ip, " ", side, " ", not])?;
                match among {
                    Among::One(range) => write_range(f, *range),
                    Among::Set(name) => write_all(f, &["@", name.as_str()]),
                    Among::Some(ranges) => {
                        f.write_str("{")?;
                        for (i, range) in ranges.iter().enumerate() {
                            f.write_str(if i == 0 { " " } else { ", " })?;
                            write_range(f, *range)?;
                        }
                        f.write_str(" }")
                    }
                }
            }
            Statement::Local { side } => write_all(f, &[" fib ", addr_word(*side), " type local"]),
            Statement::InterfaceIs { negated, name } => {
                write!(f, " iifname {}\"{}\"", if *negated { "!= " } else { "" }, Interface::as_str(name))
            }
            Statement::Protocol(protocol) => write_all(f, &[" meta l4proto ", protocol_word(*protocol)]),
            Statement::New => f.write_str(" ct state new"),
            Statement::Unmarked(bits) => write!(f, " mark and {bits:#x} == 0"),
            Statement::SetMark(bits) => write!(f, " mark set mark or {bits:#x}"),
            Statement::TurnMark(bits) => write!(f, " mark set mark xor {bits:#x}"),
            Statement::Remember(set) => write_all(f, &[" update @", set.as_str(), " { ", ip, " saddr }"]),
            Statement::LookUp(map) => write!(f, " {ip} daddr . meta l4proto . th dport vmap @{map}"),
            Statement::LookUpPort(map) => write!(f, " meta l4proto . th dport vmap @{map}"),
            Statement::Choose(chains) => {
                write!(f, " numgen random mod {} vmap {{", chains.len())?;
                for (i, chain) in chains.iter().enumerate() {
                    write!(f, "{} {i}", if i == 0 { "" } else { " ," })?;
                    write_all(f, &[" : goto ", chain.as_str()])?;
                }
                f.write_str(" }")
            }
            Statement::Dnat(to) => {
                f.write_str(" dnat to ")?;
                write_socket_addr(f, *to)
            }
            Statement::DnatTo { map, protocol, kind, among } => {
                write_all(f, &[" dnat ", ip, " to "])?;
                slot_key(f, family, *kind, *protocol, *among)?;
                write_all(f, &[" map @", map.as_str()])
            }
            Statement::Loops(set) => write!(f, " ct status dnat {ip} saddr . {ip} daddr @{set}"),
            Statement::Masquerade => f.write_str(" masquerade fully-random"),
            Statement::Verdict(verdict) => {
                f.write_char(' ')?;
                verdict.write(f)
            }
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
fn write_range(f: &mut impl fmt::Write, net: IpNet) -> fmt::Result {
    if net.prefix_len() == net.max_prefix_len() { write_addr(f, net.addr()) } else { write!(f, "{net}") }
}
