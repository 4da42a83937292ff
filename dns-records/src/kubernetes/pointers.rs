//! Which names does an address have? What PTR records lead to, by address.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use svc_model::ObjectRef;

use super::trie::{Ranked, Trie};

/// A map from addresses to one or several values each, of which copies share what did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ByAddress<V> {
    v4: Trie<u32, V>,
    v6: Trie<u128, V>,
}

impl<V: Ranked> ByAddress<V> {
    pub(super) fn new() -> Self {
        Self { v4: Trie::new(), v6: Trie::new() }
    }

    pub(super) fn build(entries: impl IntoIterator<Item = (IpAddr, V)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (addr, value) in entries {
            match addr {
                IpAddr::V4(addr) => v4.push((addr.to_bits(), value)),
                IpAddr::V6(addr) => v6.push((addr.to_bits(), value)),
            }
        }
        Self { v4: Trie::build(v4), v6: Trie::build(v6) }
    }

    pub(super) fn get(&self, addr: IpAddr) -> &[V] {
        match addr {
            IpAddr::V4(addr) => self.v4.get(addr.to_bits()),
            IpAddr::V6(addr) => self.v6.get(addr.to_bits()),
        }
    }

    pub(super) fn insert(&mut self, addr: IpAddr, value: V) {
        match addr {
            IpAddr::V4(addr) => self.v4.insert(addr.to_bits(), value),
            IpAddr::V6(addr) => self.v6.insert(addr.to_bits(), value),
        }
    }

    pub(super) fn remove(&mut self, addr: IpAddr, value: &V) {
        match addr {
            IpAddr::V4(addr) => self.v4.remove(addr.to_bits(), value),
            IpAddr::V6(addr) => self.v6.remove(addr.to_bits(), value),
        }
    }

    /// Whether an address of this range is there, which holds all addresses with some leading bits.
    pub(super) fn any_within(&self, range: &RangeInclusive<IpAddr>) -> bool {
        match (range.start(), range.end()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => self.v4.any_within(first.to_bits(), last.to_bits()),
            (IpAddr::V6(first), IpAddr::V6(last)) => self.v6.any_within(first.to_bits(), last.to_bits()),
            _ => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// What an address leads to on the account of one Service. The names of a Service go before those of endpoints; ranks
/// follow the order of the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pointer {
    /// The address is a cluster IP.
    Service(Arc<ObjectRef>),
    /// It is that of an endpoint which is named after it.
    Endpoint(Arc<ObjectRef>),
    /// It is that of an endpoint with a name of its own.
    Named(Arc<(Arc<ObjectRef>, Box<[u8]>)>),
}

impl Pointer {
    /// To the endpoint of this label (in wire form) and address.
    pub(super) fn endpoint(service: &Arc<ObjectRef>, label: &[u8], addr: IpAddr) -> Self {
        match label == AddressLabel::of(addr).as_wire() {
            true => Self::Endpoint(service.clone()),
            false => Self::Named(Arc::new((service.clone(), label.into()))),
        }
    }

    pub(super) fn service(&self) -> &ObjectRef {
        match self {
            Self::Service(service) | Self::Endpoint(service) => service,
            Self::Named(named) => &named.0,
        }
    }
}

impl Ranked for Pointer {
    fn rank(&self) -> impl Ord + '_ {
        let of = |is_endpoint: bool, label| (is_endpoint, self.service(), label);
        match self {
            Self::Service(_) => of(false, &[][..]),
            Self::Endpoint(_) => of(true, &[][..]),
            Self::Named(named) => of(true, &named.1),
        }
    }
}

/// Those pointers of an address that count: a Service's cluster IP is that Service's alone.
pub(super) fn winners(pointers: &[Pointer]) -> &[Pointer] {
    match pointers {
        [Pointer::Service(_), ..] => &pointers[..1],
        _ => pointers,
    }
}

/// The label that an endpoint without a name has for its address: `10-1-0-1`, `2001-db8--1`.
pub(super) struct AddressLabel {
    octets: [u8; 1 + 40],
    length: usize,
}

impl AddressLabel {
    pub(super) fn of(addr: IpAddr) -> Self {
        use std::fmt::Write as _;
        let mut label = Self { octets: [0; 41], length: 1 };
        match addr {
            IpAddr::V4(addr) => {
                for (i, octet) in addr.octets().into_iter().enumerate() {
                    if i > 0 {
                        label.push(b'-');
                    }
                    if octet >= 100 {
                        label.push(b'0' + octet / 100);
                    }
                    if octet >= 10 {
                        label.push(b'0' + octet / 10 % 10);
                    }
                    label.push(b'0' + octet % 10);
                }
            }
            // No address is longer than the buffer, so that writing cannot fail.
            IpAddr::V6(addr) => drop(write!(label, "{addr}")),
        }
        // A label must not end in a dash.
        if label.octets[label.length - 1] == b'-' {
            label.push(b'0');
        }
        label.octets[0] = label.length as u8 - 1;
        label
    }

    /// In wire form.
    pub(super) fn as_wire(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn push(&mut self, octet: u8) {
        if let Some(place) = self.octets.get_mut(self.length) {
            *place = octet;
            self.length += 1;
        }
    }
}

impl std::fmt::Write for AddressLabel {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        text.bytes().for_each(|octet| self.push(if matches!(octet, b'.' | b':') { b'-' } else { octet }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_label_with_dashes_that_none_ends() {
        for (addr, label) in [
            ("10.1.0.1", "10-1-0-1"),
            ("255.20.103.0", "255-20-103-0"),
            ("2001:db8::", "2001-db8--0"),
            ("5678:abcd::1", "5678-abcd--1"),
            ("::1", "--1"),
            ("::ffff:1.2.3.4", "--ffff-1-2-3-4"),
            ("1111:2222:3333:4444:5555:6666:7777:8888", "1111-2222-3333-4444-5555-6666-7777-8888"),
        ] {
            let made = AddressLabel::of(addr.parse().unwrap());
            assert_eq!(&made.as_wire()[1..], label.as_bytes());
            assert_eq!(usize::from(made.as_wire()[0]), label.len());
        }
    }
}
