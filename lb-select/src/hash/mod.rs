//! Consistent hashing: the same key goes to the same endpoint, and few keys move when endpoints come and go.
//!
//! Every table here is built once from a pool, never changes, and answers `lookup(hash)` with an index of the pool,
//! without allocation. As a [`Policy`](crate::Policy) it goes by the pick's [hash](crate::Pick::for_hash) (a random word, if
//! it has none), passes over endpoints that may not be used at the moment, and does what its namesake does on
//! [further attempts](crate::Pick::attempt_number).
//!
//! A key must be hashed with the namesake's function to find the namesake's endpoint:
//!
//! | table | namesake | hash of a key | a look-up | when one of `n` leaves, keys of others that move |
//! | --- | --- | --- | --- | --- |
//! | [`RingHash`] | Envoy `RING_HASH` | [`xxh64`] | O(1) expected | none, while the others keep their points |
//! | [`Ketama`] | nginx `hash ... consistent`, pingora | [`crc32`] | O(1) expected | none |
//! | [`RestyChash`] | lua-resty-balancer, ingress-nginx | [`crc32`] | O(1) expected | none |
//! | [`Maglev`] | Envoy `MAGLEV` | [`xxh64`] | O(1) | about 1 % at a hundred slots an endpoint |
//! | [`ScaledMaglev`] | none | any good in its top bits | O(1), no division | as above |
//! | [`Katran`] | katran V1, V2 | any | O(1) | as above |
//! | [`IpvsMh`] | IPVS `mh` | [`IpvsMh::hash`] | O(1) | as above |
//! | [`IpvsSh`] | IPVS `sh` | the client's address | O(1) | nearly all |
//! | [`NginxHash`] | nginx `hash` | [`NginxHash::hash`] | O(log n) | nearly all |
//! | [`IpHash`] | nginx `ip_hash` | the client's address | O(log n) | nearly all |
//! | [`Jump`] | Lamping and Veach | any | O(log n) | none if the last leaves, else many |
//! | [`Rendezvous`] | none | any | O(n) | none |
//! | [`TraefikHrw`] | Traefik `hrw` | [`fnv1a`] of the client's address | O(n) | none |
//! | [`BoundedRing`] | HAProxy's bounded loads on [`Ketama`] | [`crc32`] | O(1) expected | those of full endpoints |
//! | [`BoundedHash`] | Envoy's bounded loads on any of these | the inner one's | the inner one's | those of full endpoints |
//!
//! Envoy's `choose priority` and its tables use the same hash; so do layers here.

mod bounded;
mod bounded_hash;
mod function;
pub(crate) mod ip;
mod ipvs;
mod jump;
mod katran;
mod ketama;
mod maglev;
mod mersenne;
mod nginx;
mod points;
mod rendezvous;
mod resty;
mod ring;
mod shares;
mod slots;
mod source;

pub use bounded::{BoundedRing, FactorError, capacity, total_slots};
pub use bounded_hash::{BoundedHash, least_overloaded};
pub use function::{MURMUR2_SEED, crc32, fnv1, fnv1a, murmur2, murmur3, scale, siphash13, xxh64};
pub use ipvs::{IpvsMh, IpvsMhSettings, IpvsSh, IpvsShSettings};
pub use jump::{Jump, jump};
pub use katran::{Katran, KatranVersion};
pub use ketama::{Ketama, MAX_POINTS, POINTS_PER_WEIGHT, TooManyPoints};
pub use maglev::{Maglev, ScaledMaglev, TableSizeError};
pub use nginx::{IpHash, NginxHash};
pub use rendezvous::{Rendezvous, TraefikHrw};
pub use resty::{RestyChash, SubsetGroups};
pub use ring::{RingError, RingFunction, RingHash, RingSettings};
pub use slots::MAX_TABLE_SIZE;
pub use source::{SourceHash, SourcePrefix};

use crate::candidates::{Candidates, Eligible};
use crate::{Choice, Pick, Reason, Unavailable};
use alloc::vec;
use alloc::vec::Vec;

/// A table that maps hashes to endpoints.
pub trait HashTable {
    /// The index of the endpoint for this hash, or for attempt number `attempt` after that one was refused. `None` if
    /// no endpoint has a weight.
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize>;

    /// How many attempts in a row come to every endpoint of the table: the points of a ring, once around. 0, the default,
    /// if attempts may miss some.
    fn attempts_around(&self) -> u32 {
        0
    }

    /// The index of the endpoint for this hash. `None` if no endpoint has a weight.
    #[inline]
    fn lookup(&self, hash: u64) -> Option<usize> {
        self.attempt(hash, 0)
    }
}

/// How many attempts are made to find an endpoint that may be used, before it is asked whether there is one. With half of
/// them closed, one pick in four billion comes to that.
const ATTEMPTS: u32 = 32;

/// The choice of a pick by a table: its endpoint or, where that may not be used, that of the next attempts. Rings go on
/// until they are around, as nginx and pingora do; what attempts do not come to is found in the order of the pool, from a
/// place that depends on the hash.
#[inline]
fn choose(eligible: &Eligible, pick: &Pick<'_>, hash: u64, table: &impl HashTable) -> Result<Choice, Unavailable> {
    let Some(index) = table.attempt(hash, pick.attempt()) else { return Err(eligible.refusal(pick)) };
    if eligible.admission.admits_all(pick) || eligible.admission.admits(pick, index) {
        return Ok(Choice::new(index, Reason::Hash));
    }
    fall_back(eligible, pick, hash, table)
}

#[cold]
fn fall_back(eligible: &Eligible, pick: &Pick<'_>, hash: u64, table: &impl HashTable) -> Result<Choice, Unavailable> {
    let admitted = |&index: &usize| eligible.admission.admits(pick, index);
    let further = |step: u32| table.attempt(hash, pick.attempt().wrapping_add(step));
    (1..=ATTEMPTS)
        .filter_map(further)
        .find(admitted)
        .or_else(|| {
            // Before a long way around, so that with none to be used a pick is O(n), not O(points). Hashes of 32 bits
            // are spread over 64 first.
            let start = scale(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15), eligible.len());
            let any = (start..eligible.len()).chain(0..start).map(|rank| eligible.at(rank)).find(admitted)?;
            (ATTEMPTS + 1..table.attempts_around()).filter_map(further).find(admitted).or(Some(any))
        })
        .map(|index| Choice::new(index, Reason::HashFallback))
        .ok_or_else(|| eligible.refusal(pick))
}

/// Makes a policy of tables with a field `eligible`: by the pick's hash or a random word.
macro_rules! policy_by_hash {
    ($($table:ty),*) => {$(
        /// One random word for a pick without hash, else none.
        impl crate::Policy for $table {
            #[inline]
            fn pick(&self, pick: &mut crate::Pick<'_>) -> Result<crate::Choice, crate::Unavailable> {
                let hash = pick.hash_or_word();
                super::choose(&self.eligible, pick, hash, self)
            }
        }
    )*};
}
use policy_by_hash;

/// The rank of each endpoint of the pool in the order of keys, by its index.
fn ranks(candidates: &Candidates) -> Vec<u32> {
    let by_key = candidates.admission().members().by_key();
    let mut ranks = vec![0; by_key.len()];
    for (rank, &index) in by_key.iter().enumerate() {
        ranks[index as usize] = rank as u32;
    }
    ranks
}

/// A number as decimal text, without allocation.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: [u8; 10],
    start: usize,
}

impl Decimal {
    fn new(mut number: u32) -> Self {
        let (mut digits, mut start) = ([b'0'; 10], 10);
        while start == 10 || number > 0 {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        Self { digits, start }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_number_is_written_as_people_do() {
        for number in [0, 7, 10, 160, 65_536, u32::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
