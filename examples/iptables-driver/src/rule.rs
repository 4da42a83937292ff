//! What does a rule say? Typed, so that what was written and what the kernel prints can be compared.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

use ipnet::IpNet;
use svc_model::Protocol;

use crate::names::ChainName;

/// A rule: what it matches, all of it, and what then happens. Equal when the kernel would do the same, whatever the words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rule {
    /// What people read.
    pub comment: Option<Comment>,
    /// Where the packet comes from.
    pub source: Option<Not<IpNet>>,
    /// Where it goes.
    pub destination: Option<Not<IpNet>>,
    /// The device it came in by.
    pub in_interface: Option<Not<Interface>>,
    /// Its protocol.
    pub protocol: Option<Protocol>,
    /// The port it goes to.
    pub destination_port: Option<u16>,
    /// It comes from the node itself.
    pub source_is_local: bool,
    /// It goes to the node itself.
    pub destination_is_local: bool,
    /// Its mark.
    pub mark: Option<Not<Mark>>,
    /// The state of its connection is one of these.
    pub states: Option<Not<States>>,
    /// Its source is, or is put, on a list of sources.
    pub recent: Option<Recent>,
    /// Chance.
    pub probability: Option<Probability>,
    /// It is counted under this name.
    pub counter: Option<Counter>,
    /// What happens; nothing but counting without.
    pub target: Option<Target>,
}

/// Something that shall hold, or shall not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Not<T> {
    /// It shall.
    Is(T),
    /// It shall not.
    Not(T),
}

impl<T> Not<T> {
    pub(crate) fn new(negated: bool, value: T) -> Not<T> {
        if negated { Not::Not(value) } else { Not::Is(value) }
    }
}

/// What happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// Goes on in this chain, and comes back if nothing there is final.
    Jump(ChainName),
    /// Passes.
    Accept,
    /// Is lost.
    Drop,
    /// Is refused, and its sender told that the port cannot be reached.
    Reject,
    /// Goes back to where the chain was entered.
    Return,
    /// Gets the address of the device it leaves by as its source.
    Masquerade {
        /// With a source port that cannot be guessed.
        random_fully: bool,
    },
    /// Goes to this endpoint.
    Dnat(SocketAddr),
    /// Its mark becomes `(mark & !mask) ^ value`, the kernel's way to say it.
    SetMark {
        /// These bits are turned,
        value: u32,
        /// after these were cleared.
        mask: u32,
    },
}

impl Target {
    /// Sets bits of the mark.
    pub fn or_mark(bits: u32) -> Target {
        Target::SetMark { value: bits, mask: bits }
    }

    /// Turns bits of the mark.
    pub fn xor_mark(bits: u32) -> Target {
        Target::SetMark { value: bits, mask: 0 }
    }
}

/// Bits of a packet's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// What they are,
    pub value: u32,
    /// looked at through this.
    pub mask: u32,
}

/// States of a connection, a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct States(u8);

impl States {
    /// Belongs to none, and begins none that could be.
    pub const INVALID: States = States(1);
    /// Begins one.
    pub const NEW: States = States(2);
    /// Belongs to another one, such as an error.
    pub const RELATED: States = States(4);
    /// Belongs to one.
    pub const ESTABLISHED: States = States(8);
    /// Belongs to one whose destination was translated.
    pub const DNAT: States = States(64);

    /// The words, in the order in which the kernel's tools print them.
    pub(crate) const WORDS: [(&'static str, u8); 7] =
        [("INVALID", 1), ("NEW", 2), ("RELATED", 4), ("ESTABLISHED", 8), ("UNTRACKED", 16), ("SNAT", 32), ("DNAT", 64)];

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u8) -> States {
        States(bits)
    }

    /// Whether one of these is among them.
    pub fn meets(self, other: States) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for States {
    type Output = States;

    fn bitor(self, other: States) -> States {
        States(self.0 | other.0)
    }
}

/// A list of sources that were seen, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recent {
    /// The list; here that of an endpoint has the name of its chain.
    pub list: ChainName,
    /// What is asked of it.
    pub action: RecentAction,
}

/// What is asked of a list of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecentAction {
    /// The source is put on it, as seen now.
    Set,
    /// The source is on it, seen within so many seconds; older ones are taken off.
    Check {
        /// So many.
        seconds: u32,
    },
}

/// A share of packets, as the kernel keeps it: in 2^31ths. Equal when those are; the digits that were written do not count.
#[derive(Clone, Copy, Debug)]
pub struct Probability {
    fixed: u32,
    /// In 10^-10.
    written: u64,
}

impl Probability {
    const UNIT: u64 = 10_000_000_000;

    /// One packet in `n`, in ten decimals.
    pub fn one_in(n: usize) -> Probability {
        Probability::written(((Self::UNIT as f64) / n.max(1) as f64).round() as u64)
    }

    /// The same in five decimals, as older layouts wrote it.
    pub fn one_in_coarse(n: usize) -> Probability {
        Probability::written((1e5 / n.max(1) as f64).round() as u64 * 100_000)
    }

    fn written(written: u64) -> Probability {
        Probability { fixed: (written as f64 / Self::UNIT as f64 * f64::from(1u32 << 31)).round() as u32, written }
    }

    /// What was printed, if it is a share.
    pub(crate) fn parse(text: &str) -> Option<Probability> {
        let value: f64 = text.parse().ok().filter(|value| (0.0..=1.0).contains(value))?;
        let fixed = (value * f64::from(1u32 << 31)).round() as u32;
        Some(Probability { fixed, written: (value * Self::UNIT as f64).round() as u64 })
    }

    /// The share the kernel gives.
    pub fn share(self) -> f64 {
        f64::from(self.fixed) / f64::from(1u32 << 31)
    }

    /// As it was written, in 10^-10.
    pub(crate) fn ten_digits(self) -> (u64, u64) {
        (self.written / Self::UNIT, self.written % Self::UNIT)
    }
}

impl PartialEq for Probability {
    fn eq(&self, other: &Probability) -> bool {
        self.fixed == other.fixed
    }
}

impl Eq for Probability {}

impl Hash for Probability {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fixed.hash(state);
    }
}

/// A text for people, of one line. It is written between quotes and ends nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comment(Box<str>);

impl Comment {
    /// XT_MAX_COMMENT_LEN, with its end.
    const LONGEST: usize = 255;

    /// This text. Nothing depends on it, so what the tools could read otherwise (quotes, backslashes, control characters, anything beyond
    /// ASCII) is written as `?`, and what is too long is cut.
    pub fn new(text: impl Into<String>) -> Comment {
        let mut text = text.into();
        let plain = |b: u8| (b' '..=b'~').contains(&b) && !matches!(b, b'"' | b'\\' | b'\'');
        if !text.bytes().all(plain) {
            text = text.chars().map(|c| if c.is_ascii() && plain(c as u8) { c } else { '?' }).collect();
        }
        text.truncate(Self::LONGEST);
        Comment(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A word that the kernel has for a device or a counter: 1 to 31 printable characters without space, quote or slash.
fn is_word(text: &str, longest: usize) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b);
    !text.is_empty() && text.len() <= longest && text.bytes().all(plain) && !text.starts_with('-')
}

/// The name of a device, or the beginning of several, which ends in `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface(Box<str>);

impl Interface {
    /// A name of at most 15 characters (IFNAMSIZ), `+` among them.
    pub fn new(name: &str) -> Option<Interface> {
        let stem = name.strip_suffix('+').unwrap_or(name);
        (name.len() <= 15 && is_word(stem, 15)).then(|| Interface(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a device is meant.
    pub fn means(&self, device: &str) -> bool {
        match self.0.strip_suffix('+') {
            Some(prefix) => device.starts_with(prefix),
            None => device == &*self.0,
        }
    }
}

/// The name of a counter (nfacct).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter(Box<str>);

impl Counter {
    /// A name of at most 31 characters (NFACCT_NAME_MAX).
    pub fn new(name: &str) -> Option<Counter> {
        is_word(name, 31).then(|| Counter(name.into()))
    }

    pub(crate) fn fixed(name: &'static str) -> Counter {
        Counter(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
