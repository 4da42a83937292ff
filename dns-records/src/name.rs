//! What is a DNS name, and when are two of them the same?
//!
//! A name is kept in wire form (length octet, label, …, zero octet), so that labels may hold any octet (RFC 2181
//! section 11) and a run of labels is a plain slice. Names compare without regard to ASCII case and keep their
//! spelling (RFC 4343).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

/// Longest label in octets (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// Longest name in octets on the wire, the zero octet included (RFC 1035 section 2.3.4): 253 characters of text.
pub const MAX_WIRE: usize = 255;

/// Why a text or a sequence of octets is not a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty; the root is written `.`.
    #[error("an empty text is no name (the root is `.`)")]
    Empty,
    /// Two dots follow each other, or a dot stands first.
    #[error("empty label at octet {at} of `{name}`")]
    EmptyLabel {
        /// The text as given, cut to 300 characters.
        name: String,
        /// Offset of the missing label in the text.
        at: usize,
    },
    /// A label is longer than 63 octets.
    #[error("label `{label}` has {length} octets, at most 63 are allowed")]
    LabelTooLong {
        /// The label, cut to 80 characters.
        label: String,
        /// Its length in octets.
        length: usize,
    },
    /// The name is longer than 253 characters of text (255 octets on the wire).
    #[error("a name of {length} octets on the wire, at most 255 are allowed")]
    TooLong {
        /// Its length on the wire, as far as it was read.
        length: usize,
    },
    /// A character that has to be written as `\DDD`, or that is not ASCII.
    #[error("character {character:?} at octet {at} has to be written as \\DDD")]
    Character {
        /// The character.
        character: char,
        /// Its offset in the text.
        at: usize,
    },
    /// A backslash that is not followed by a printable character or by three digits up to 255.
    #[error("broken escape at octet {at}")]
    Escape {
        /// Offset of the backslash.
        at: usize,
    },
    /// Octets that are no uncompressed name: no final zero octet, a compression pointer, or octets after the end.
    #[error("octets that are no uncompressed name")]
    Wire,
}

/// An absolute DNS name.
///
/// `FromStr` reads the text form of RFC 1035 section 5.1 (a final dot may be left out, the name is absolute all the
/// same) and `Display` writes it, always with the final dot.
///
/// ```
/// use dns_records::Name;
/// let name: Name = "CaRt.shop.svc.cluster.local".parse()?;
/// assert_eq!(name.to_string(), "CaRt.shop.svc.cluster.local.");
/// assert_eq!(name, "cart.SHOP.svc.cluster.local.".parse()?);
/// # Ok::<(), dns_records::NameError>(())
/// ```
#[derive(Clone)]
pub struct Name {
    /// Valid wire form: labels of 1 to 63 octets, then a zero octet; at most 255 octets in all.
    wire: Box<[u8]>,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self { wire: Box::new([0]) }
    }

    /// Joins labels to a name.
    ///
    /// # Errors
    /// A label is empty or longer than 63 octets, or the name longer than 255.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            push_label(&mut wire, label)?;
        }
        wire.push(0);
        Self::bounded(wire)
    }

    /// The name under which an address has its PTR record (RFC 1035 section 3.5, RFC 3596 section 2.5).
    ///
    /// ```
    /// # use dns_records::Name;
    /// assert_eq!(Name::reverse([10, 96, 0, 10].into()).to_string(), "10.0.96.10.in-addr.arpa.");
    /// ```
    pub fn reverse(addr: IpAddr) -> Self {
        let mut wire = Vec::with_capacity(74);
        let mut label = |label: &[u8]| {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        };
        match addr {
            IpAddr::V4(addr) => {
                addr.octets().iter().rev().for_each(|octet| label(octet.to_string().as_bytes()));
                label(b"in-addr");
            }
            IpAddr::V6(addr) => {
                let nibbles = addr.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
                nibbles.for_each(|nibble| label(&[b"0123456789abcdef"[usize::from(nibble)]]));
                label(b"ip6");
            }
        }
        label(b"arpa");
        wire.push(0);
        Self { wire: wire.into_boxed_slice() }
    }

    /// The borrowed form.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef { wire: &self.wire }
    }

    /// The name `self` stands below `suffix`: `a.b` and `c.` give `a.b.c.`.
    ///
    /// # Errors
    /// [`NameError::TooLong`] if the result would be.
    pub fn below(&self, suffix: NameRef<'_>) -> Result<Self, NameError> {
        Self::bounded([self.as_ref().labels_wire(), suffix.wire].concat())
    }

    /// Whole labels in front of a name; the caller vouches that both fit.
    pub(crate) fn joined(head: &[u8], tail: NameRef<'_>) -> Self {
        Self { wire: [head, tail.wire].concat().into_boxed_slice() }
    }

    fn bounded(wire: Vec<u8>) -> Result<Self, NameError> {
        match wire.len() {
            length if length > MAX_WIRE => Err(NameError::TooLong { length }),
            _ => Ok(Self { wire: wire.into_boxed_slice() }),
        }
    }
}

/// Appends one label in wire form; the caller adds the zero octet and checks the length of the whole.
pub(crate) fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), NameError> {
    match label.len() {
        0 => Err(NameError::EmptyLabel { name: String::new(), at: wire.len() }),
        length @ 1..=MAX_LABEL => {
            wire.push(length as u8);
            wire.extend_from_slice(label);
            Ok(())
        }
        length => Err(NameError::LabelTooLong { label: cut(&Label(label).to_string(), 80), length }),
    }
}

/// The first `limit` characters: an error message must not be as long as what somebody sent.
fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "" => return Err(NameError::Empty),
            "." => return Ok(Self::root()),
            _ => {}
        }
        let bytes = text.as_bytes();
        let mut wire = Vec::with_capacity(text.len().min(MAX_WIRE) + 2);
        let mut label = Vec::with_capacity(MAX_LABEL);
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'.' if label.is_empty() => {
                    return Err(NameError::EmptyLabel { name: cut(text, 300), at });
                }
                b'.' => {
                    push_label(&mut wire, &label)?;
                    label.clear();
                    at += 1;
                }
                b'\\' => {
                    let (octet, length) = unescape(&bytes[at + 1..]).ok_or(NameError::Escape { at })?;
                    label.push(octet);
                    at += 1 + length;
                }
                octet @ 0x21..=0x7e => {
                    label.push(octet);
                    at += 1;
                }
                _ => {
                    // `at` only ever moves over ASCII, so it is a character boundary.
                    let character = text[at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
                    return Err(NameError::Character { character, at });
                }
            }
            if wire.len() + label.len() > 2 * MAX_WIRE {
                return Err(NameError::TooLong { length: wire.len() + label.len() });
            }
        }
        if !label.is_empty() {
            push_label(&mut wire, &label)?;
        }
        wire.push(0);
        Self::bounded(wire)
    }
}

/// The octet an escape stands for, and how many octets follow the backslash.
fn unescape(rest: &[u8]) -> Option<(u8, usize)> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            Some((u8::try_from(value).ok()?, 3))
        }
        [octet @ (0x21..=0x2f | 0x3a..=0x7e), ..] => Some((*octet, 1)),
        _ => None,
    }
}

impl<'a> From<&'a Name> for NameRef<'a> {
    fn from(name: &'a Name) -> Self {
        name.as_ref()
    }
}

/// A borrowed absolute name: what [`Name`] lends, or a name that lies in a message.
#[derive(Clone, Copy)]
pub struct NameRef<'a> {
    /// As in [`Name`].
    wire: &'a [u8],
}

impl<'a> NameRef<'a> {
    /// The root, `.`.
    pub const ROOT: NameRef<'static> = NameRef { wire: &[0] };

    /// Takes octets that are exactly one uncompressed name.
    ///
    /// # Errors
    /// [`NameError::Wire`] or [`NameError::TooLong`].
    pub fn from_wire(wire: &'a [u8]) -> Result<Self, NameError> {
        if wire.len() > MAX_WIRE {
            return Err(NameError::TooLong { length: wire.len() });
        }
        let mut at = 0;
        loop {
            match wire.get(at) {
                Some(0) if at + 1 == wire.len() => return Ok(Self { wire }),
                Some(&length @ 1..=63) => at += 1 + usize::from(length),
                _ => return Err(NameError::Wire),
            }
        }
    }

    /// Takes octets that the caller vouches for: exactly one uncompressed name.
    #[cfg(feature = "wire")]
    pub(crate) fn vouched(wire: &'a [u8]) -> Self {
        Self { wire }
    }

    /// The wire form, final zero octet included.
    pub fn as_wire(self) -> &'a [u8] {
        self.wire
    }

    /// The wire form without the final zero octet.
    pub(crate) fn labels_wire(self) -> &'a [u8] {
        &self.wire[..self.wire.len() - 1]
    }

    /// The labels from left to right, without the empty one of the root.
    pub fn labels(self) -> Labels<'a> {
        Labels { rest: self.labels_wire() }
    }

    /// Whether this is the root.
    pub fn is_root(self) -> bool {
        self.wire.len() == 1
    }

    /// What is left without the first `count` labels; the root if there are no more.
    pub fn skip(self, count: usize) -> Self {
        let mut labels = self.labels();
        labels.by_ref().take(count).for_each(drop);
        Self { wire: &self.wire[self.wire.len() - 1 - labels.rest.len()..] }
    }

    /// What is left from an octet on, at which the caller vouches that a label starts.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn tail(self, at: usize) -> Self {
        Self { wire: &self.wire[at..] }
    }

    /// Whether this is `other` or a name below it.
    pub fn is_within(self, other: NameRef<'_>) -> bool {
        let (own, of) = (self.labels().count(), other.labels().count());
        own >= of && self.skip(own - of) == other
    }

    /// An owned copy.
    pub fn to_name(self) -> Name {
        Name { wire: self.wire.into() }
    }
}

/// The labels of a name, left to right.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Labels<'a> {
    /// Over labels in wire form without a final zero octet. The caller vouches that they are whole labels.
    pub(crate) fn over(rest: &'a [u8]) -> Self {
        Self { rest }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = Label<'a>;

    fn next(&mut self) -> Option<Label<'a>> {
        let (&length, rest) = self.rest.split_first()?;
        let (label, rest) = rest.split_at(usize::from(length));
        self.rest = rest;
        Some(Label(label))
    }
}

/// One label; displays as text, with the escapes of RFC 1035 section 5.1 where needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label<'a>(pub &'a [u8]);

impl Label<'_> {
    /// Whether the label is `text`, without regard to ASCII case.
    pub fn is(self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text.as_bytes())
    }
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for &octet in self.0 {
            match octet {
                b'.' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                0x21..=0x7e => f.write_char(char::from(octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Labels as text, each with a dot behind it; the root is a dot alone.
pub(crate) fn display<'a>(labels: impl Iterator<Item = Label<'a>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut empty = true;
    for label in labels {
        write!(f, "{label}.")?;
        empty = false;
    }
    if empty { f.write_str(".") } else { Ok(()) }
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.labels(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl PartialEq for NameRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Length octets are below 64, so that ignoring the case of letters leaves them alone.
        self.wire.eq_ignore_ascii_case(other.wire)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut lower = [0; MAX_WIRE];
        let lower = &mut lower[..self.wire.len()];
        lower.copy_from_slice(self.wire);
        lower.make_ascii_lowercase();
        state.write(lower);
    }
}

/// The canonical order of RFC 4034 section 6.1: by labels from the right, without regard to case.
impl Ord for NameRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let from_the_right = |name: Self| {
            let mut labels: Vec<_> = name.labels().map(|label| label.0.to_ascii_lowercase()).collect();
            labels.reverse();
            labels
        };
        from_the_right(*self).cmp(&from_the_right(*other))
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_keeps_its_spelling_and_compares_without_case() {
        assert_eq!(name("WwW.Example"), name("www.eXAMPLE."));
        assert_eq!(name("WwW.Example").to_string(), "WwW.Example.");
        assert_eq!(name(".").to_string(), ".");
    }

    #[test]
    fn escapes_are_read_and_written_back() {
        let dotted = name(r"a\.b.c\032d.\\");
        assert_eq!(dotted.as_ref().labels().map(|l| l.0.to_vec()).collect::<Vec<_>>(), [&b"a.b"[..], b"c d", b"\\"]);
        assert_eq!(dotted.to_string(), r"a\.b.c\032d.\\.");
    }

    #[test]
    fn the_limits_are_63_and_255_octets() {
        let label = "a".repeat(63);
        assert!(label.parse::<Name>().is_ok());
        assert!(matches!("a".repeat(64).parse::<Name>(), Err(NameError::LabelTooLong { length: 64, .. })));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), 253);
        assert_eq!(name(&longest).as_ref().as_wire().len(), 255);
        assert_eq!(format!("{longest}a").parse::<Name>(), Err(NameError::TooLong { length: 256 }));
    }

    #[test]
    fn errors_name_what_is_wrong_and_where() {
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!("a..b".parse::<Name>(), Err(NameError::EmptyLabel { name: "a..b".into(), at: 2 }));
        assert_eq!(".a".parse::<Name>(), Err(NameError::EmptyLabel { name: ".a".into(), at: 0 }));
        assert_eq!("a.é".parse::<Name>(), Err(NameError::Character { character: 'é', at: 2 }));
        assert_eq!("a b".parse::<Name>(), Err(NameError::Character { character: ' ', at: 1 }));
        for broken in ["a\\", "\\256", "\\12", "\\1é"] {
            assert!(matches!(broken.parse::<Name>(), Err(NameError::Escape { .. })), "{broken}");
        }
        assert_eq!("a..b".parse::<Name>().unwrap_err().to_string(), "empty label at octet 2 of `a..b`");
    }

    #[test]
    fn reverse_names_have_the_last_digit_first() {
        let reverse = |addr: &str| Name::reverse(addr.parse().unwrap()).to_string();
        assert_eq!(reverse("192.0.2.255"), "255.2.0.192.in-addr.arpa.");
        assert_eq!(reverse("2001:db8::7f"), format!("f.7.{}8.b.d.0.1.0.0.2.ip6.arpa.", "0.".repeat(22)));
    }

    #[test]
    fn wire_names_must_end_exactly_at_their_zero_octet() {
        assert!(NameRef::from_wire(b"\x01a\0").is_ok());
        for wire in [&b""[..], b"\x01a", b"\x01a\0\0", b"\xc0\x00", b"\x40a\0", b"\x05a\0"] {
            assert_eq!(NameRef::from_wire(wire), Err(NameError::Wire), "{wire:?}");
        }
    }

    #[test]
    fn a_suffix_counts_on_label_boundaries_only() {
        let (zone, inside, beside) = (name("cluster.local"), name("a.CLUSTER.local"), name("mycluster.local"));
        assert!(inside.as_ref().is_within(zone.as_ref()) && zone.as_ref().is_within(zone.as_ref()));
        assert!(!beside.as_ref().is_within(zone.as_ref()));
        assert!(beside.as_ref().is_within(NameRef::ROOT));
    }

    #[test]
    fn names_sort_by_labels_from_the_right() {
        let mut names = ["z.example", "example", "a.z.example", "Yljkjljk.a.example", "a.example"].map(name);
        names.sort();
        assert_eq!(
            names.map(|n| n.to_string()),
            ["example.", "a.example.", "Yljkjljk.a.example.", "z.example.", "a.z.example."]
        );
    }
}
