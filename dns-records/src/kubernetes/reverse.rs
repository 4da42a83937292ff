//! Which address does a reverse name stand for, and which zones hold the addresses of a range?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use crate::name::{Label, Name, NameError, NameRef};

/// Whether a zone is one of the reverse trees or lies in one.
pub(super) fn is_reverse(zone: NameRef<'_>) -> bool {
    within_tree(zone).is_some()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    V4,
    V6,
}

/// The tree a name is in, and how many labels it has below the tree's top.
fn within_tree(name: NameRef<'_>) -> Option<(Tree, usize)> {
    let below = name.labels().count().checked_sub(2)?;
    let mut top = name.skip(below).labels();
    let (tree, arpa) = (top.next()?, top.next()?);
    match () {
        () if !arpa.is("arpa") => None,
        () if tree.is("in-addr") => Some((Tree::V4, below)),
        () if tree.is("ip6") => Some((Tree::V6, below)),
        () => None,
    }
}

/// What a name in a reverse tree stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reverse {
    /// One address (RFC 1035 section 3.5, RFC 3596 section 2.5).
    Address(IpAddr),
    /// A part of an address: it exists if an address of the range has a name.
    Range(RangeInclusive<IpAddr>),
    /// Nothing.
    Nothing,
}

/// Reads a name in a reverse tree; `None` for a name in neither.
pub(super) fn read(name: NameRef<'_>) -> Option<Reverse> {
    let (tree, below) = within_tree(name)?;
    let (digits, bits, read): (usize, u32, fn(Label<'_>) -> Option<u8>) = match tree {
        Tree::V4 => (4, 8, octet),
        Tree::V6 => (32, 4, nibble),
    };
    if below > digits {
        return Some(Reverse::Nothing);
    }
    let mut low = 0u128;
    for (i, label) in name.labels().take(below).enumerate() {
        let Some(digit) = read(label) else {
            return Some(Reverse::Nothing);
        };
        // The first label is the least significant of those given.
        low |= u128::from(digit) << (bits as usize * (digits - below + i));
    }
    let address = |value: u128| match tree {
        Tree::V4 => IpAddr::V4(Ipv4Addr::from(value as u32)),
        Tree::V6 => IpAddr::V6(Ipv6Addr::from(value)),
    };
    Some(match below == digits {
        true => Reverse::Address(address(low)),
        false => {
            let open = bits * (digits - below) as u32;
            let high = low | u128::MAX.checked_shr(128 - open).unwrap_or(0);
            Reverse::Range(address(low)..=address(high))
        }
    })
}

/// A decimal octet without leading zeros.
fn octet(label: Label<'_>) -> Option<u8> {
    let text = std::str::from_utf8(label.0).ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn nibble(label: Label<'_>) -> Option<u8> {
    match label.0 {
        [digit] => char::from(*digit).to_digit(16).map(|digit| digit as u8),
        _ => None,
    }
}

/// The zones that a word of a Corefile names: `cluster.local`, `dns://.:53`, or a range of addresses, which gives the
/// reverse zones that hold it (several if it ends between two labels). Names are in lower case.
pub(super) fn origins(word: &str) -> Result<Vec<Name>, NameError> {
    let word = ["dns://", "tls://", "quic://", "https://", "https3://", "grpc://"]
        .iter()
        .find_map(|scheme| word.strip_prefix(scheme))
        .unwrap_or(word);
    let host = match word.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => word,
    };
    match range(host) {
        Some(zones) => zones.iter().map(|zone| zone.parse()).collect(),
        None => Ok(vec![host.to_ascii_lowercase().parse()?]),
    }
}

fn range(text: &str) -> Option<Vec<String>> {
    let (addr, len) = text.split_once('/')?;
    let len = len.parse::<u32>().ok()?;
    let (value, width, bits, tree) = match addr.parse().ok()? {
        IpAddr::V4(addr) => (u128::from(u32::from(addr)), 32, 8, "in-addr.arpa"),
        IpAddr::V6(addr) => (u128::from(addr), 128, 4, "ip6.arpa"),
    };
    if len > width {
        return None;
    }
    // Up to the next boundary between labels: at most 2^(bits - 1) zones.
    let digits = len.div_ceil(bits);
    let first = if len == 0 { 0 } else { (value >> (width - len)) << (digits * bits - len) };
    let zone = |number: u128| {
        let digits = (0..digits).map(|i| (number >> (i * bits)) & ((1 << bits) - 1));
        let labels: String = match bits {
            8 => digits.map(|digit| format!("{digit}.")).collect(),
            _ => digits.map(|digit| format!("{digit:x}.")).collect(),
        };
        labels + tree
    };
    Some((0..1u128 << (digits * bits - len)).map(|i| zone(first + i)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Option<Reverse> {
        read(text.parse::<Name>().unwrap().as_ref())
    }

    fn zones(word: &str) -> Vec<String> {
        origins(word).unwrap().iter().map(Name::to_string).collect()
    }

    #[test]
    fn whole_names_are_addresses_and_parts_are_ranges() {
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(read_text("4.3.2.1.In-Addr.arpa"), Some(Reverse::Address(addr("1.2.3.4"))));
        assert_eq!(read_text("2.1.in-addr.arpa"), Some(Reverse::Range(addr("1.2.0.0")..=addr("1.2.255.255"))));
        assert_eq!(read_text("in-addr.arpa"), Some(Reverse::Range(addr("0.0.0.0")..=addr("255.255.255.255"))));
        assert_eq!(
            read_text("F.2.ip6.arpa"),
            Some(Reverse::Range(addr("2f00::")..=addr("2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")))
        );
        assert_eq!(
            read_text("ip6.arpa"),
            Some(Reverse::Range(addr("::")..=addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")))
        );
        let full = format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23));
        assert_eq!(read_text(&full), Some(Reverse::Address(addr("2001:db8::1"))));
    }

    #[test]
    fn labels_that_are_no_digits_are_nothing() {
        for name in [
            "256.3.2.1.in-addr.arpa",
            "04.3.2.1.in-addr.arpa",
            "5.4.3.2.1.in-addr.arpa",
            "x.in-addr.arpa",
            "g.ip6.arpa",
            "+1.in-addr.arpa",
        ] {
            assert_eq!(read_text(name), Some(Reverse::Nothing), "{name}");
        }
        assert_eq!(read_text("4.3.2.1.cluster.local"), None);
    }

    #[test]
    fn ranges_become_the_zones_that_hold_them() {
        assert_eq!(zones("10.0.0.0/8"), ["10.in-addr.arpa."]);
        assert_eq!(zones("10.96.0.0/15"), ["96.10.in-addr.arpa.", "97.10.in-addr.arpa."]);
        assert_eq!(zones("10.1.2.3/24:53"), ["2.1.10.in-addr.arpa."]);
        assert_eq!(zones("10.0.0.0/25").len(), 128);
        assert_eq!(zones("0.0.0.0/0"), ["in-addr.arpa."]);
        assert_eq!(zones("2001:db8::/31"), ["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]);
        assert_eq!(zones("::/0"), ["ip6.arpa."]);
        assert_eq!(zones("dns://Cluster.Local.:1053"), ["cluster.local."]);
        assert_eq!(zones("10.0.0.0/33"), ["10.0.0.0/33."]);
    }
}
