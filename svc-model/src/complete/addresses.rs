//! Which address is free? Deterministic allocation from a range.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::addr::IpFamily;

/// Addresses of a range, or of a band of it, lowest free first.
///
/// Nothing is ever given back, so a place once passed stays passed: all calls of one `Range` together pass each taken address
/// at most once. Keep one for each distinct net; an address lies in few of those (33 of IPv4, 129 of IPv6).
#[derive(Clone, Debug)]
pub(super) struct Range {
    net: IpNet,
    next: u128,
    end: u128,
}

impl Range {
    /// The whole range save its first and last address.
    pub(super) fn new(net: IpNet) -> Range {
        Range::band(net, 1, u128::MAX)
    }

    /// The addresses `from..to` places behind the first of the range, save its last.
    pub(super) fn band(net: IpNet, from: u128, to: u128) -> Range {
        Range { net, next: from.max(1), end: to.min(size(&net) - 1) }
    }

    pub(super) fn family(&self) -> IpFamily {
        IpFamily::of_net(&self.net)
    }

    /// The lowest address that is not taken, which it then is; `None` when there is none left.
    pub(super) fn take(&mut self, taken: &mut HashSet<IpAddr>) -> Option<IpAddr> {
        while self.next < self.end {
            let addr = nth(&self.net, self.next);
            self.next += 1;
            if taken.insert(addr) {
                return Some(addr);
            }
        }
        None
    }
}

/// The number of addresses of a range, `u128::MAX` for the whole of IPv6.
pub(super) fn size(net: &IpNet) -> u128 {
    let bits = u32::from(net.max_prefix_len() - net.prefix_len());
    1u128.checked_shl(bits).unwrap_or(u128::MAX)
}

/// The address `place` places behind the first of the range; `place` is below its size.
pub(super) fn nth(net: &IpNet, place: u128) -> IpAddr {
    match net.network() {
        // A place in an IPv4 range is below 2^32, so nothing is cut off.
        IpAddr::V4(first) => IpAddr::V4((u32::from(first) + place as u32).into()),
        IpAddr::V6(first) => IpAddr::V6((u128::from(first) + place).into()),
    }
}
