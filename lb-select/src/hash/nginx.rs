//! nginx's hashes without a ring: `hash` and `ip_hash`.

use super::function::crc32_update;
use super::{Decimal, HashTable, policy_by_hash};
use crate::candidates::Eligible;
use crate::{Choice, Pick, Policy, Reason, ToCandidates, Unavailable};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;
use core::net::IpAddr;

/// The tries after the first before nginx goes on with round robin.
const REHASHES: u32 = 20;

/// Endpoints along a line, each as long as its weight.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// Where each ends, and its index in the pool.
    ends: Box<[(u64, u32)]>,
}

impl Line {
    fn new(candidates: &impl ToCandidates) -> Self {
        let mut end = 0_u64;
        let ends = candidates.to_candidates();
        let ends = ends.eligible().map(|c| {
            end += u64::from(c.weight);
            (end, c.index)
        });
        Self { ends: ends.collect::<Vec<_>>().into() }
    }

    /// Who is at this place, around the end.
    fn at(&self, place: u64) -> Option<usize> {
        let place = place % self.ends.last()?.0;
        let entry = self.ends.partition_point(|&(end, _)| end <= place);
        Some(self.ends[entry].1 as usize)
    }
}

/// nginx's `hash KEY` without `consistent`: 15 bits of the key's CRC-32 modulo the sum of weights.
///
/// When an endpoint comes, goes or changes weight, nearly all keys move. O(log n), and 16 bytes an endpoint.
///
/// ```
/// use lb_select::{Pool, hash::NginxHash};
///
/// let pool = Pool::builder().endpoint("127.0.0.1:9101", ()).weighted("127.0.0.1:9102", 2, ()).build()?;
/// let table = NginxHash::new(&pool);
/// assert!(table.lookup(NginxHash::hash(b"alpha")).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NginxHash {
    line: Line,
    eligible: Eligible,
}

policy_by_hash!(NginxHash);

impl NginxHash {
    /// The table of a pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self { line: Line::new(candidates), eligible: Eligible::new(candidates) }
    }

    /// The hash of a key: its CRC-32 below, and above it its length, which further attempts need. Of lengths above 65,535
    /// so much is kept, and further attempts are then not nginx's.
    pub fn hash(key: &[u8]) -> u64 {
        let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
        u64::from(length) << 32 | u64::from(!crc32_update(!0, key))
    }

    /// The index of the endpoint for the [hash](Self::hash) of a key. `None` if no endpoint has a weight.
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        self.line.at(reduced(hash as u32))
    }

    /// The index of the endpoint for a key, as nginx tries: up to 20 more hashes of the key, with the number of the try
    /// before it, as long as `usable` refuses the endpoint. `None` if nothing was usable; nginx then goes on with weighted
    /// round robin.
    pub fn lookup_key(&self, key: &[u8], usable: impl Fn(usize) -> bool) -> Option<usize> {
        places(Self::hash(key)).map_while(|place| self.line.at(place)).find(|&index| usable(index))
    }
}

/// Attempts beyond nginx's 20 begin again.
impl HashTable for NginxHash {
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        let place = places(hash).nth((attempt % (REHASHES + 1)) as usize)?;
        self.line.at(place)
    }
}

/// The places of a key: the sum of the hashes of `key`, `1key`, `2key` and so on.
fn places(hash: u64) -> impl Iterator<Item = u64> {
    (0..=REHASHES).scan(0, move |sum, number| {
        *sum += reduced(if number == 0 { hash as u32 } else { with_prefix(hash, Decimal::new(number).as_bytes()) });
        Some(*sum)
    })
}

fn reduced(crc: u32) -> u64 {
    u64::from(crc >> 16 & 0x7fff)
}

/// The CRC-32 of a prefix and a key of which only checksum and length are known. What a running value does to a checksum
/// does not depend on the bytes in between: it is moved along as if they were zero.
fn with_prefix(hash: u64, prefix: &[u8]) -> u32 {
    let difference = crc32_update(!0, prefix) ^ !0;
    let length = (hash >> 32) as u16;
    let moved = iter::repeat_n(&[0; 256][..], usize::from(length >> 8)).fold(difference, crc32_update);
    hash as u32 ^ crc32_update(moved, &[0; 256][..usize::from(length & 0xff)])
}

/// nginx's `ip_hash`: clients of one /24 (of one address, for IPv6) go together.
///
/// When an endpoint comes, goes or changes weight, nearly all clients move. As a policy it goes by the client's address; a
/// pick without one takes a random word. O(log n), and 16 bytes an endpoint.
#[derive(Debug, Clone)]
pub struct IpHash {
    line: Line,
    eligible: Eligible,
}

impl IpHash {
    /// The table of a pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        Self { line: Line::new(candidates), eligible: Eligible::new(candidates) }
    }

    /// The index of the endpoint for a client, hashing on up to 20 times as long as `usable` refuses it. `None` if nothing
    /// was usable; nginx then goes on with weighted round robin.
    pub fn lookup(&self, client: IpAddr, usable: impl Fn(usize) -> bool) -> Option<usize> {
        hashes(client).map_while(|hash| self.line.at(hash)).find(|&index| usable(index))
    }
}

fn hashes(client: IpAddr) -> impl Iterator<Item = u64> {
    let bytes = match client {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let range = if client.is_ipv4() { 12..15 } else { 0..16 };
    (0..=REHASHES).scan(89_u64, move |hash, _| {
        *hash = bytes[range.clone()].iter().fold(*hash, |hash, &octet| (hash * 113 + u64::from(octet)) % 6271);
        Some(*hash)
    })
}

impl Policy for IpHash {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let Some(client) = pick.client() else {
            let word = pick.word();
            return super::choose(&self.eligible, pick, word, &Placed(&self.line));
        };
        let (first, admission) = (pick.attempt() as usize, &self.eligible.admission);
        let mut tried = hashes(client).skip(first).map_while(|hash| self.line.at(hash));
        let go_on = || super::choose(&self.eligible, pick, hashes(client).last().unwrap_or(0), &Placed(&self.line));
        let Some(index) = tried.next() else { return go_on() };
        if admission.admits(pick, index) {
            return Ok(Choice::new(index, Reason::Hash));
        }
        match tried.find(|&index| admission.admits(pick, index)) {
            Some(index) => Ok(Choice::new(index, Reason::HashFallback)),
            None => go_on(),
        }
    }
}

/// A line entered directly, whose next attempts are the next places.
struct Placed<'a>(&'a Line);

impl HashTable for Placed<'_> {
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        self.0.at(hash.wrapping_add(attempt.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::crc32;
    use alloc::format;
    use proptest::prelude::*;

    #[test]
    fn clients_of_one_24_go_together() {
        let first = |text: &str| hashes(text.parse().unwrap()).next();
        assert_eq!(first("10.1.2.3"), first("10.1.2.200"));
        assert_ne!(first("10.1.2.3"), first("10.1.3.3"));
        assert_ne!(first("fd00::1"), first("fd00::2"));
    }

    proptest! {
        #[test]
        fn a_prefix_can_be_put_before_a_key_of_which_only_the_checksum_is_known(key in ".{0,400}", number in 1..21_u32) {
            let whole = crc32(format!("{number}{key}").as_bytes());
            prop_assert_eq!(with_prefix(NginxHash::hash(key.as_bytes()), Decimal::new(number).as_bytes()), whole);
        }
    }
}
