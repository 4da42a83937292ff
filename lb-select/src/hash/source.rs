//! Clients by where they come from: the source address, cut to a prefix, as the hash.

use super::function::xxh64;
use crate::{Choice, Pick, Policy, Unavailable};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much of a client's address counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct SourcePrefix {
    /// Bits of an IPv4 address, 32 by default; more are 32.
    pub v4: u8,
    /// Bits of an IPv6 address, 128 by default; more are 128. Networks hand out prefixes of 64 to one household, so that
    /// 64 keeps one together.
    pub v6: u8,
}

impl SourcePrefix {
    /// Whole addresses.
    pub fn whole() -> Self {
        Self { v4: 32, v6: 128 }
    }

    /// The same with so many bits of IPv4 addresses.
    #[must_use]
    pub fn v4(self, v4: u8) -> Self {
        Self { v4, ..self }
    }

    /// The same with so many bits of IPv6 addresses.
    #[must_use]
    pub fn v6(self, v6: u8) -> Self {
        Self { v6, ..self }
    }

    /// The address with all bits cleared that do not count. An IPv4 address in IPv6 form, which a dual-stack socket
    /// reports, becomes IPv4.
    pub fn mask(&self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let cut = 32_u32.saturating_sub(self.v4.into());
                Ipv4Addr::from_bits((v4.to_bits().checked_shr(cut).unwrap_or(0)).checked_shl(cut).unwrap_or(0)).into()
            }
            IpAddr::V6(v6) => {
                let cut = 128_u32.saturating_sub(self.v6.into());
                Ipv6Addr::from_bits((v6.to_bits().checked_shr(cut).unwrap_or(0)).checked_shl(cut).unwrap_or(0)).into()
            }
        }
    }

    /// xxHash64 of the octets that [`mask`](Self::mask) leaves.
    pub fn hash(&self, address: IpAddr) -> u64 {
        match self.mask(address) {
            IpAddr::V4(v4) => xxh64(&v4.octets(), 0),
            IpAddr::V6(v6) => xxh64(&v6.octets(), 0),
        }
    }
}

impl Default for SourcePrefix {
    fn default() -> Self {
        Self::whole()
    }
}

/// A layer that gives a pick the hash of its client's network, for any hash policy inside.
///
/// A pick without client goes on without hash.
///
/// ```
/// use lb_select::{Pick, Policy, Pool, hash::{Maglev, SourceHash, SourcePrefix}};
/// use std::time::Duration;
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).endpoint("c", ()).build()?;
/// let policy = SourceHash::new(SourcePrefix::whole().v4(24), Maglev::new(&pool, 251)?);
/// let mut words = || 0;
/// let mut from = |client: &str| {
///     policy.pick(&mut Pick::new(Duration::ZERO, &mut words).for_client(client.parse().unwrap()))
/// };
/// assert_eq!(from("192.0.2.1"), from("192.0.2.200"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SourceHash<P> {
    prefix: SourcePrefix,
    inner: P,
}

impl<P> SourceHash<P> {
    /// The layer before `inner`.
    pub fn new(prefix: SourcePrefix, inner: P) -> Self {
        Self { prefix, inner }
    }

    /// The policy inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }
}

impl<P: Policy> Policy for SourceHash<P> {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let before = pick.hash();
        pick.set_hash(pick.client().map(|client| self.prefix.hash(client)));
        let answer = self.inner.pick(pick);
        pick.set_hash(before);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_the_prefix_do_not_count() {
        let mask = |prefix: SourcePrefix, text: &str| prefix.mask(text.parse().unwrap()).to_string();
        assert_eq!(mask(SourcePrefix::whole().v4(24), "10.1.2.3"), "10.1.2.0");
        assert_eq!(mask(SourcePrefix::whole().v4(0).v6(0), "10.1.2.3"), "0.0.0.0");
        assert_eq!(mask(SourcePrefix::whole().v6(64), "2001:db8:1:2:3::4"), "2001:db8:1:2::");
        assert_eq!(mask(SourcePrefix::whole().v6(0), "2001:db8:1:2:3::4"), "::");
        assert_eq!(mask(SourcePrefix::whole(), "::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(mask(SourcePrefix { v4: 255, v6: 255 }, "10.1.2.3"), "10.1.2.3");
    }

    use alloc::string::ToString;
}
