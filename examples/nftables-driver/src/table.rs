//! What does a table of nftables hold? Typed, so that what was written and what nft lists can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use svc_model::Protocol;
use svc_model::addr::IpFamily;

use crate::names::Name;

/// The name of our table, in the families ip and ip6.
pub const TABLE: &str = "kube-proxy";

/// The table of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// The family.
    pub family: IpFamily,
    /// Its sets.
    pub sets: BTreeMap<Name, Set>,
    /// Its verdict maps.
    pub maps: BTreeMap<Name, Map>,
    /// Its maps to endpoints.
    pub slots: BTreeMap<Name, Slots>,
    /// Its sets of addresses that speak to themselves.
    pub loops: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// Its chains.
    pub chains: BTreeMap<Name, Chain>,
}

impl Table {
    /// An empty table.
    pub fn new(family: IpFamily) -> Table {
        Table {
            family,
            sets: BTreeMap::new(),
            maps: BTreeMap::new(),
            slots: BTreeMap::new(),
            loops: BTreeMap::new(),
            chains: BTreeMap::new(),
        }
    }
}

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Seconds after which an address that rules have put in is forgotten; `None` for a set that is written.
    pub timeout: Option<u32>,
    /// What people read.
    pub comment: Option<Comment>,
    /// The addresses that were written.
    pub elements: BTreeSet<IpAddr>,
}

/// A map to verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// What is looked up.
    pub kind: MapKind,
    /// What people read.
    pub comment: Option<Comment>,
    /// The verdicts.
    pub elements: BTreeMap<Key, Element>,
}

/// What is looked up in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapKind {
    /// Address, protocol and port.
    Address,
    /// Protocol and port.
    Port,
}

/// A key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The address, where the map has one.
    pub addr: Option<IpAddr>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// What a map says for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// What happens.
    pub verdict: Verdict,
    /// What people read.
    pub comment: Option<Comment>,
}

/// A map to endpoints, of one protocol: each destination has as many as a rule chooses among, numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The protocol. nft 1.0.6 cannot use a map of several in a rule that comes later than the map.
    pub protocol: Protocol,
    /// What is looked up beside the number.
    pub kind: MapKind,
    /// The endpoints.
    pub elements: BTreeMap<Slot, SocketAddr>,
}

/// A key of a map to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The address, where the map has one.
    pub addr: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The number.
    pub number: u32,
}

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where the kernel enters it; nowhere without.
    pub hook: Option<Hook>,
    /// What people read.
    pub comment: Option<Comment>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hook {
    /// `nat`, or else `filter`.
    pub is_nat: bool,
    /// The hook.
    pub point: HookPoint,
    /// Less is earlier.
    pub priority: i32,
}

/// A place that packets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookPoint {
    /// Those that come in.
    Prerouting,
    /// Those for the node.
    Input,
    /// Those for others.
    Forward,
    /// Those from the node.
    Output,
    /// Those that go out.
    Postrouting,
}

impl HookPoint {
    pub(crate) const WORDS: [(&'static str, HookPoint); 5] = [
        ("prerouting", HookPoint::Prerouting),
        ("input", HookPoint::Input),
        ("forward", HookPoint::Forward),
        ("output", HookPoint::Output),
        ("postrouting", HookPoint::Postrouting),
    ];
}

/// A rule: statements from left to right, until one does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The statements.
    pub statements: Vec<Statement>,
    /// What people read.
    pub comment: Option<Comment>,
}

/// One statement of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statement {
    /// An address of the packet is, or is not, one of these.
    Address {
        /// Which.
        side: Side,
        /// Whether it shall not be.
        negated: bool,
        /// One of these.
        among: Among,
    },
    /// An address of the packet is, or is not, the node's own.
    Local {
        /// Which.
        side: Side,
    },
    /// The device that the packet came in by is, or is not, this one; `*` at the end stands for anything.
    InterfaceIs {
        /// Whether it shall not be.
        negated: bool,
        /// Its name.
        name: Interface,
    },
    /// The protocol.
    Protocol(Protocol),
    /// The packet begins a connection.
    New,
    /// None of these bits of its mark is set.
    Unmarked(u32),
    /// These bits of its mark are set,
    SetMark(u32),
    /// or turned.
    TurnMark(u32),
    /// Its source is put into a set, or is put there anew.
    Remember(Name),
    /// What a map says for its destination, protocol and port.
    LookUp(Name),
    /// What a map says for its protocol and port.
    LookUpPort(Name),
    /// One of these chains, each with the same share.
    Choose(Vec<Name>),
    /// Its destination is replaced.
    Dnat(SocketAddr),
    /// Its destination is replaced by one of so many that a map has for its destination and port, or for its port; each has the
    /// same share. Packets of other protocols go on.
    DnatTo {
        /// The map.
        map: Name,
        /// The protocol.
        protocol: Protocol,
        /// What is looked up beside the number.
        kind: MapKind,
        /// So many.
        among: u32,
    },
    /// Its destination has been replaced, and it goes where it comes from, to an address of this set.
    Loops(Name),
    /// Its source is replaced by the node's address, with a port that cannot be guessed.
    Masquerade,
    /// What happens to it.
    Verdict(Verdict),
}

/// Which of a packet's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// Addresses to be among. A set of one range is that range: nft lists it so.
#[derive(Clone, Debug, Eq)]
pub enum Among {
    /// One range, or host.
    One(IpNet),
    /// Several that do not overlap, in order; written as a set even if it is but one.
    Some(Vec<IpNet>),
    /// A named set.
    Set(Name),
}

impl Among {
    /// The ranges, however they are written; `None` for a named set.
    pub fn ranges(&self) -> Option<&[IpNet]> {
        match self {
            Among::One(range) => Some(std::slice::from_ref(range)),
            Among::Some(ranges) => Some(ranges),
            Among::Set(_) => None,
        }
    }
}

impl PartialEq for Among {
    fn eq(&self, other: &Among) -> bool {
        match (self, other) {
            (Among::Set(name), Among::Set(other)) => name == other,
            _ => self.ranges() == other.ranges(),
        }
    }
}

/// What happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Is lost.
    Drop,
    /// Is refused.
    Reject,
    /// Goes back to where the chain was entered.
    Return,
    /// Goes on to the next rule.
    Continue,
    /// Goes on in a chain, and comes back.
    Jump(Name),
    /// Goes on in a chain, and comes back to where this one was entered.
    Goto(Name),
}

/// The name of a device, or the beginning of several, which ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface(Box<str>);

impl Interface {
    /// A name of at most 15 characters (IFNAMSIZ).
    pub fn new(name: &str) -> Option<Interface> {
        let stem = name.strip_suffix('*').unwrap_or(name);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b);
        (!stem.is_empty() && name.len() <= 15 && stem.bytes().all(plain)).then(|| Interface(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a device is meant.
    pub fn means(&self, device: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => device.starts_with(prefix),
            None => device == &*self.0,
        }
    }
}

/// A text for people, of one line. It is written between quotes and ends nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comment(Box<str>);

impl Comment {
    /// The kernel's library takes no more (NFTNL_UDATA_COMMENT_MAXLEN).
    const LONGEST: usize = 128;

    /// This text. Nothing depends on it, so quotes, backslashes, control characters and anything beyond ASCII are written as `?`, and
    /// what is too long is cut.
    pub fn new(text: impl Into<String>) -> Comment {
        let plain = |c: &char| (' '..='~').contains(c) && !matches!(c, '"' | '\\');
        let mut text: String = text.into().chars().map(|c| if plain(&c) { c } else { '?' }).collect();
        text.truncate(Self::LONGEST);
        Comment(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ranges that do not overlap, in order.
pub(crate) fn disjoint(ranges: &[IpNet]) -> Vec<IpNet> {
    let mut ranges = IpNet::aggregate(&ranges.to_vec());
    ranges.sort();
    ranges
}
