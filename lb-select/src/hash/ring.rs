//! Envoy's ring: a key belongs to the first point at or after its hash.

use super::function::{MURMUR2_SEED, murmur2, xxh64};
use super::points::{self, Point as _, Point64, Points};
use super::shares::Shares;
use super::{Decimal, HashTable, policy_by_hash, ranks};
use crate::candidates::{Candidates, Eligible};
use crate::{Locality, ToCandidates};
use alloc::vec::Vec;
use core::fmt;

/// How keys of endpoints become points of a [`RingHash`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub enum RingFunction {
    /// xxHash64, Envoy's default.
    #[default]
    XxHash,
    /// MurmurHash64A, compatible with `std::hash` of libstdc++.
    MurmurHash2,
}

/// How large a [`RingHash`] is and how it hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct RingSettings {
    /// The least number of points. The default is 1024, as in Envoy and Istio. More points are more even and cost
    /// memory: 16 bytes each.
    pub min_ring_size: u32,
    /// The greatest number of points, at most [`MAX_RING_SIZE`](Self::MAX_RING_SIZE), which is the default. If it is below
    /// the number of endpoints, some get no point.
    pub max_ring_size: u32,
    /// The hash function of the points.
    pub hash_function: RingFunction,
}

impl RingSettings {
    /// The greatest ring there is: 8,388,608 points.
    pub const MAX_RING_SIZE: u32 = 1 << 23;

    /// The same settings with this [`min_ring_size`](Self#structfield.min_ring_size).
    #[must_use]
    pub fn min_ring_size(self, min_ring_size: u32) -> Self {
        Self { min_ring_size, ..self }
    }

    /// The same settings with this [`max_ring_size`](Self#structfield.max_ring_size).
    #[must_use]
    pub fn max_ring_size(self, max_ring_size: u32) -> Self {
        Self { max_ring_size, ..self }
    }

    /// The same settings with this [`hash_function`](Self#structfield.hash_function).
    #[must_use]
    pub fn hash_function(self, hash_function: RingFunction) -> Self {
        Self { hash_function, ..self }
    }
}

impl Default for RingSettings {
    fn default() -> Self {
        Self { min_ring_size: 1024, max_ring_size: Self::MAX_RING_SIZE, hash_function: RingFunction::XxHash }
    }
}

/// Envoy's `RING_HASH`: each endpoint has points in proportion to its weight, at the hashes of `key_0`, `key_1` and so
/// on; a request belongs to the endpoint of the first point at or after its hash.
///
/// When an endpoint leaves, only its keys move, as long as the others keep their number of points (they get more of
/// them where the minimum size asks for it). Built in O(points × log points); a look-up is O(1) expected.
///
/// ```
/// use lb_select::{Pool, hash::{RingHash, RingSettings, xxh64}};
/// use std::net::SocketAddr;
///
/// let pool: Pool<SocketAddr> = Pool::of(["10.0.0.1:80".parse()?, "10.0.0.2:80".parse()?])?;
/// let ring = RingHash::new(&pool, &RingSettings::default())?;
/// let hash = xxh64(b"session 17", 0);
/// let index = ring.lookup(hash).unwrap();
/// assert_eq!(ring.lookup(hash), Some(index)); // the same for as long as the endpoint is there
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RingHash {
    points: Points<Point64>,
    eligible: Eligible,
}

policy_by_hash!(RingHash);

impl HashTable for RingHash {
    #[inline]
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        RingHash::attempt(self, hash, attempt)
    }

    fn attempts_around(&self) -> u32 {
        self.len() as u32 // rings have fewer than 2^32 points
    }
}

impl RingHash {
    /// The ring of a pool, in which endpoints have points by weight; those of weight 0 have none.
    ///
    /// # Errors
    /// Fails if the least size is above the greatest, or that above [`RingSettings::MAX_RING_SIZE`].
    pub fn new(candidates: &impl ToCandidates, settings: &RingSettings) -> Result<Self, RingError> {
        let candidates = candidates.to_candidates();
        Self::build(&candidates, &Shares::of(&candidates), settings)
    }

    /// The ring of a pool, in which localities share the points by the weights that `weight` says, and the endpoints of a
    /// locality its part. A locality of weight 0 gets nothing.
    ///
    /// # Errors
    /// As [`RingHash::new`].
    pub fn with_locality_weights(
        candidates: &impl ToCandidates,
        weight: impl FnMut(&Locality) -> u32,
        settings: &RingSettings,
    ) -> Result<Self, RingError> {
        let candidates = candidates.to_candidates();
        Self::build(&candidates, &Shares::by_locality(&candidates, weight), settings)
    }

    fn build(candidates: &Candidates, shares: &Shares, settings: &RingSettings) -> Result<Self, RingError> {
        let RingSettings { min_ring_size, max_ring_size, hash_function } = *settings;
        if min_ring_size > max_ring_size {
            return Err(RingError::MinAboveMax { min: min_ring_size, max: max_ring_size });
        }
        if max_ring_size > RingSettings::MAX_RING_SIZE {
            return Err(RingError::TooLarge { max: max_ring_size });
        }
        let eligible = Eligible::new(candidates);
        if shares.len() == 0 {
            return Ok(Self { points: Points::new(Vec::new()), eligible });
        }
        // So that the least endpoint has a whole number of points; Envoy's float operations in Envoy's order.
        let whole = libm::ceil(shares.min * f64::from(min_ring_size));
        let scale = (whole / shares.min).min(f64::from(max_ring_size));
        let mut points = Vec::with_capacity(libm::ceil(scale) as usize + 1);
        let members = candidates.admission().members();
        let (mut count, mut target, mut name) = (0.0, 0.0, Vec::new());
        for (owner, share) in shares.iter() {
            target += scale * share;
            name.clear();
            name.extend_from_slice(members.key(owner as usize).map_or(&[], |key| key.as_bytes()));
            name.push(b'_');
            let key_len = name.len();
            let mut number = 0_u32;
            while count < target {
                name.truncate(key_len);
                name.extend_from_slice(Decimal::new(number).as_bytes());
                let hash = match hash_function {
                    RingFunction::XxHash => xxh64(&name, 0),
                    RingFunction::MurmurHash2 => murmur2(&name, MURMUR2_SEED),
                };
                points.push(Point64::new(hash, owner));
                (count, number) = (count + 1.0, number + 1);
            }
        }
        points::sort(&mut points, &ranks(candidates));
        Ok(Self { points: Points::new(points), eligible })
    }

    /// The index of the endpoint for this hash. `None` if no endpoint has a weight. O(1) expected, no allocation.
    #[inline]
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        self.points.lookup(hash)
    }

    /// The endpoint for a further attempt, after the choice of attempt 0 was refused: so many points further on. It may
    /// be the same endpoint again.
    #[inline]
    pub fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        match attempt {
            0 => self.points.lookup(hash),
            _ => self.points.owner(self.points.at_or_after(hash) + attempt as usize),
        }
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are no points, because no endpoint has a weight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The points in order: hash, and index of the endpoint.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u64, usize)> {
        self.points.iter().map(|point| (point.hash(), point.owner() as usize))
    }
}

/// Why a [`RingHash`] could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingError {
    /// The least size is above the greatest.
    MinAboveMax {
        /// The least size asked for.
        min: u32,
        /// The greatest size asked for.
        max: u32,
    },
    /// The greatest size is above [`RingSettings::MAX_RING_SIZE`].
    TooLarge {
        /// The greatest size asked for.
        max: u32,
    },
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinAboveMax { min, max } => {
                write!(f, "the least ring size of {min} is above the greatest ring size of {max}")
            }
            Self::TooLarge { max } => {
                let limit = RingSettings::MAX_RING_SIZE;
                write!(f, "the greatest ring size of {max} is above the limit of {limit}")
            }
        }
    }
}

impl core::error::Error for RingError {}
