//! The hash schedulers of IPVS: source hashing and its Maglev.

use super::function::siphash13;
use super::slots::{PrimeSize, Slots, Stride};
use super::{TableSizeError, ip};
use crate::candidates::Eligible;
use crate::{Choice, Pick, Policy, Reason, ToCandidates, Unavailable};
use alloc::vec::Vec;
use core::iter;
use core::net::{IpAddr, SocketAddr};

/// Knuth's multiplier, 2^32 divided by the golden ratio and prime.
const KNUTH: u32 = 2_654_435_761;

/// The buckets of [`IpvsSh`].
const BUCKETS: u32 = 256;

/// How [`IpvsSh`] looks up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct IpvsShSettings {
    /// Whether a client whose endpoint may not be used goes to another one (`sh-fallback`). The default is no: it is
    /// refused.
    pub fallback: bool,
}

impl IpvsShSettings {
    /// The same settings with this [`fallback`](Self#structfield.fallback).
    #[must_use]
    pub fn fallback(self, fallback: bool) -> Self {
        Self { fallback }
    }
}

/// IPVS `sh`: 256 buckets filled in order, each endpoint `weight` in a row, and around; the client's address picks one.
///
/// An endpoint of weight 0 has a bucket at a time as well, and clients that land on it are refused unless
/// [`fallback`](IpvsShSettings#structfield.fallback) is on: the namesake's way to drain. When an endpoint comes or goes, nearly all
/// clients move. Built in O(256), 512 bytes.
///
/// As a policy it goes by the client's address and without port; it draws no words. A client that is not known has the
/// address 0.
#[derive(Debug, Clone)]
pub struct IpvsSh {
    buckets: Slots,
    eligible: Eligible,
    settings: IpvsShSettings,
}

impl IpvsSh {
    /// The buckets of a pool.
    pub fn new(candidates: &impl ToCandidates, settings: IpvsShSettings) -> Self {
        let candidates = candidates.to_candidates();
        let runs = || candidates.iter().flat_map(|(index, e)| iter::repeat_n(index, e.weight.max(1) as usize));
        let order = iter::repeat_with(runs).flatten();
        let owners = candidates.iter().last().map_or(0, |(index, _)| index + 1);
        let size = if candidates.is_empty() { 0 } else { BUCKETS as usize };
        Self { buckets: Slots::in_order(owners, size, order), eligible: Eligible::of(candidates), settings }
    }

    /// The index of the endpoint for a client; with a port other than 0 for this connection of it (`sh-port`). `None` if
    /// there is none, or one that `usable` refuses and no fallback.
    ///
    /// `usable` must refuse endpoints of weight 0 as it does those that are overloaded.
    pub fn lookup(&self, client: IpAddr, port: u16, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let address = ip::fold(client).wrapping_add(port.into());
        let bucket = |offset: u32| offset.wrapping_add(address).wrapping_mul(KNUTH) & (BUCKETS - 1);
        let first = bucket(0);
        // The fallback starts with the first bucket once more, at a place of its own.
        let others = (0..if self.settings.fallback { BUCKETS } else { 0 }).map(|o| bucket((o + first) % BUCKETS));
        let owners = iter::once(first).chain(others).map_while(|bucket| self.buckets.get(bucket as usize));
        owners.into_iter().find(|&index| usable(index))
    }

    /// The index of the endpoint of each bucket.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = usize> {
        self.buckets.iter()
    }
}

impl Policy for IpvsSh {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let client = pick.client().unwrap_or(UNKNOWN);
        choose(&self.eligible, pick, |usable| self.lookup(client, 0, usable))
    }
}

/// How [`IpvsMh`] is built and looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct IpvsMhSettings {
    /// The number of slots: a prime number. A kernel is built with one of 251 to 131,071; the default is 4093, as there.
    pub table_size: u32,
    /// Whether a client whose endpoint may not be used goes to another one (`mh-fallback`). The default is no: it is
    /// refused.
    pub fallback: bool,
}

impl IpvsMhSettings {
    /// The same settings with this [`table_size`](Self#structfield.table_size).
    #[must_use]
    pub fn table_size(self, table_size: u32) -> Self {
        Self { table_size, ..self }
    }

    /// The same settings with this [`fallback`](Self#structfield.fallback).
    #[must_use]
    pub fn fallback(self, fallback: bool) -> Self {
        Self { fallback, ..self }
    }
}

impl Default for IpvsMhSettings {
    fn default() -> Self {
        Self { table_size: 4093, fallback: false }
    }
}

/// IPVS `mh`: a Maglev table over addresses, hashed by SipHash-1-3 with fixed keys.
///
/// Endpoints take turns in the order of the pool, as many in a row as their weight says after division by the greatest
/// common divisor and a shift down to 6 bits. Built in O(M log M) for M slots.
///
/// As a policy it goes by the client's address and without port; it draws no words. A client that is not known has the
/// address 0.
///
/// ```
/// use lb_select::{Pool, hash::{IpvsMh, IpvsMhSettings}};
/// use std::net::SocketAddr;
///
/// let addrs: [SocketAddr; 3] = ["10.1.0.1:80".parse()?, "10.1.0.2:80".parse()?, "10.1.0.3:80".parse()?];
/// let pool: Pool<SocketAddr> = Pool::of(addrs)?;
/// let table = IpvsMh::new(&pool, IpvsMhSettings::default(), |index| pool[index])?;
/// assert_eq!(table.lookup("10.0.0.2".parse()?, 0, |_| true), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct IpvsMh {
    slots: Slots,
    eligible: Eligible,
    fallback: bool,
}

impl IpvsMh {
    /// Both words of the key of the first hash, and of the second.
    const KEYS: [u64; 2] = [KNUTH as u64, 2_654_446_892];
    /// The bits of the greatest weight that are kept with a table of the default size (`IP_VS_MH_TAB_BITS`).
    const WEIGHT_BITS: u32 = 6;

    /// The table of a pool, in which `addr` says the address of the endpoint at an index. Endpoints of weight 0 get no slot.
    ///
    /// # Errors
    /// Fails if the size is not a prime number, or above [`MAX_TABLE_SIZE`](super::MAX_TABLE_SIZE).
    pub fn new(
        candidates: &impl ToCandidates,
        settings: IpvsMhSettings,
        mut addr: impl FnMut(usize) -> SocketAddr,
    ) -> Result<Self, TableSizeError> {
        let (candidates, size) = (candidates.to_candidates(), PrimeSize::new(settings.table_size)?.get());
        let mut stride = |owner: u32| {
            let addr = addr(owner as usize);
            let [offset, skip] = [0, 1].map(|key| sip(addr.ip(), addr.port(), 0, Self::KEYS[key]));
            Stride::new(owner, offset.into(), skip.into(), size)
        };
        let mut strides: Vec<Stride> = candidates.eligible().map(|c| stride(c.index)).collect();
        let divisor = candidates.eligible().fold(0, |divisor, c| gcd(divisor, c.weight));
        let greatest = candidates.eligible().map(|c| c.weight / divisor.max(1)).max().unwrap_or(0);
        let shift = (u32::BITS - greatest.leading_zeros()).saturating_sub(Self::WEIGHT_BITS);
        let turns = |weight: u32| ((weight / divisor) >> shift).max(1) as usize;
        let round = || candidates.eligible().enumerate().flat_map(|(at, c)| iter::repeat_n(at, turns(c.weight)));
        let owners = candidates.eligible().last().map_or(0, |c| c.index as usize + 1);
        let slots = Slots::fill(&mut strides, owners, size, iter::repeat_with(round).flatten());
        Ok(Self { slots, eligible: Eligible::of(candidates), fallback: settings.fallback })
    }

    /// The hash of a client's address and port (0 without `mh-port`).
    pub fn hash(client: IpAddr, port: u16) -> u32 {
        sip(client, port, 0, Self::KEYS[0])
    }

    /// The index of the endpoint for a client; with a port other than 0 for this connection of it (`mh-port`). `None` if
    /// there is none, or one that `usable` refuses and no fallback.
    pub fn lookup(&self, client: IpAddr, port: u16, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let size = self.slots.len() as u32; // from a u32
        let slot = |offset| sip(client, port, offset, Self::KEYS[0]).checked_rem(size);
        let first = slot(0)?;
        let others = (0..if self.fallback { size } else { 0 }).map_while(|o| slot((o + first) % size));
        let owners = iter::once(first).chain(others).map_while(|slot| self.slots.get(slot as usize));
        owners.into_iter().find(|&index| usable(index))
    }

    /// The index of the endpoint of each slot.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = usize> {
        self.slots.iter()
    }
}

impl Policy for IpvsMh {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let client = pick.client().unwrap_or(UNKNOWN);
        choose(&self.eligible, pick, |usable| self.lookup(client, 0, usable))
    }
}

const UNKNOWN: IpAddr = IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);

/// The choice of a look-up that may use admitted endpoints of weight above 0.
fn choose(
    eligible: &Eligible,
    pick: &Pick<'_>,
    lookup: impl Fn(&dyn Fn(usize) -> bool) -> Option<usize>,
) -> Result<Choice, Unavailable> {
    let usable = |index| eligible.admission.admits(pick, index) && eligible.contains(index);
    let chosen = lookup(&usable).ok_or_else(|| eligible.refusal(pick))?;
    let reason = if lookup(&|_| true) == Some(chosen) { Reason::Hash } else { Reason::HashFallback };
    Ok(Choice::new(chosen, reason))
}

/// The lower half of SipHash-1-3 over address, port and offset added up, as the kernel's `hsiphash` on 64 bits.
fn sip(address: IpAddr, port: u16, offset: u32, key: u64) -> u32 {
    let value = ip::fold(address).wrapping_add(port.into()).wrapping_add(offset);
    siphash13(&value.to_le_bytes(), [key; 2]) as u32
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
