//! nginx's ring (`hash ... consistent`), which pingora has too.

use super::function::{crc32, crc32_update};
use super::points::{Point as _, Point32, Points};
use super::{HashTable, policy_by_hash};
use crate::ToCandidates;
use crate::candidates::{Candidates, Eligible};
use alloc::vec::Vec;
use core::fmt;

/// Points an endpoint has for each unit of weight, in nginx and pingora.
pub const POINTS_PER_WEIGHT: u32 = 160;

/// The most points a [`Ketama`] or [`RestyChash`](super::RestyChash) ring may have: 33,554,432. Their points grow with
/// the sum of weights, so weights need a bound.
pub const MAX_POINTS: u64 = 1 << 25;

/// nginx's `hash KEY consistent`, key for key; pingora's `Consistent` is the same for IPv4.
///
/// An endpoint has [`POINTS_PER_WEIGHT`] points for each unit of weight; a key belongs to the endpoint of the first point
/// at or after its CRC-32. The key of an endpoint is read as nginx reads a `server`: digits after the last colon are a
/// port. When an endpoint leaves, only its keys move. Built in O(points × log points); a look-up is O(1) expected.
///
/// ```
/// use lb_select::{Pool, hash::Ketama};
/// use std::net::SocketAddr;
///
/// let pool: Pool<SocketAddr> = Pool::of(["127.0.0.1:7777".parse()?, "127.0.0.1:7778".parse()?])?;
/// let ring = Ketama::new(&pool)?;
/// assert_eq!(ring.lookup_key(b"/some/path"), Some(1)); // as nginx has it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ketama {
    points: Points<Point32>,
    eligible: Eligible,
}

policy_by_hash!(Ketama);

/// The lower 32 bits of the hash count, as [`crc32`] gives them.
impl HashTable for Ketama {
    #[inline]
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        Ketama::attempt(self, hash as u32, attempt)
    }

    fn attempts_around(&self) -> u32 {
        self.len() as u32 // rings have fewer than 2^32 points
    }
}

impl Ketama {
    /// The ring of a pool. Endpoints of weight 0 have no points.
    ///
    /// # Errors
    /// Fails if the weights ask for more than [`MAX_POINTS`] points.
    pub fn new(candidates: &impl ToCandidates) -> Result<Self, TooManyPoints> {
        Self::with_points(candidates, POINTS_PER_WEIGHT)
    }

    /// The same ring with another number of points for each unit of weight.
    ///
    /// # Errors
    /// Fails if the weights ask for more than [`MAX_POINTS`] points.
    pub fn with_points(candidates: &impl ToCandidates, points_per_weight: u32) -> Result<Self, TooManyPoints> {
        let candidates = candidates.to_candidates();
        let mut points = chains(&candidates, points_per_weight, |key| {
            let (host, port) = host_and_port(key);
            crc32_update(crc32_update(crc32_update(!0, host), b"\0"), port)
        })?;
        // Both in one number, which compares faster than a pair.
        points.sort_unstable_by_key(|point| point.hash() << 32 | u64::from(point.owner()));
        points.dedup_by_key(|point| point.hash());
        Ok(Self { points: Points::new(points), eligible: Eligible::of(candidates) })
    }

    /// The index of the endpoint for a key. `None` if no endpoint has a weight. O(1) expected in the size of the ring, no
    /// allocation.
    pub fn lookup_key(&self, key: &[u8]) -> Option<usize> {
        self.lookup(crc32(key))
    }

    /// The index of the endpoint for the CRC-32 of a key.
    #[inline]
    pub fn lookup(&self, hash: u32) -> Option<usize> {
        self.points.lookup(hash.into())
    }

    /// The endpoint for a further attempt, after the choice of attempt 0 was refused: so many points further on. It may
    /// be the same endpoint again.
    #[inline]
    pub fn attempt(&self, hash: u32, attempt: u32) -> Option<usize> {
        match attempt {
            0 => self.lookup(hash),
            _ => self.points.owner(self.points.at_or_after(hash.into()) + attempt as usize),
        }
    }

    /// The owners of the points from the one for this hash on, once around: the order of failover, with repetitions.
    pub fn walk(&self, hash: u32) -> impl Iterator<Item = usize> {
        let from = self.points.at_or_after(hash.into());
        (0..self.points.len()).filter_map(move |step| self.points.owner(from + step))
    }

    /// The number of points, each hash counted once.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are no points, because no endpoint has a weight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The points in order: hash, and index of the endpoint.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u32, usize)> {
        self.points.iter().map(|point| (point.hash() as u32, point.owner() as usize))
    }
}

/// So many points for each unit of weight of each endpoint: each is the CRC-32 of the one before, on top of the running value
/// that `base` gives for a key.
pub(crate) fn chains(
    candidates: &Candidates,
    points_per_weight: u32,
    base: impl Fn(&[u8]) -> u32,
) -> Result<Vec<Point32>, TooManyPoints> {
    let sum: u128 = candidates.eligible().map(|c| u128::from(c.weight)).sum();
    let count = sum * u128::from(points_per_weight);
    if count > u128::from(MAX_POINTS) {
        return Err(TooManyPoints { points: count });
    }
    let mut points = Vec::with_capacity(count as usize);
    for (owner, endpoint) in candidates.iter() {
        let (base, mut last) = (base(endpoint.key.as_bytes()), 0_u32);
        for _ in 0..u64::from(endpoint.weight) * u64::from(points_per_weight) {
            last = !crc32_update(base, &last.to_le_bytes());
            points.push(Point32::new(last.into(), owner as u32));
        }
    }
    Ok(points)
}

/// `unix:` goes, and digits after the last colon are a port (`ngx_http_upstream_init_chash`).
fn host_and_port(key: &[u8]) -> (&[u8], &[u8]) {
    if let Some((scheme, path)) = key.split_at_checked(5)
        && scheme.eq_ignore_ascii_case(b"unix:")
    {
        return (path, b"");
    }
    let digits = key.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, port) = key.split_at(key.len() - digits);
    match before.strip_suffix(b":") {
        Some(host) => (host, port),
        None => (key, b""),
    }
}

/// The weights of a pool ask for more points than a ring may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyPoints {
    points: u128,
}

impl TooManyPoints {
    /// The number of points asked for.
    pub fn points(&self) -> u128 {
        self.points
    }
}

impl fmt::Display for TooManyPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the weights ask for {} points of a ring, more than the limit of {MAX_POINTS}", self.points)
    }
}

impl core::error::Error for TooManyPoints {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;

    #[test]
    fn a_key_is_read_as_nginx_reads_a_server() {
        let parts = |key: &'static str| {
            let (host, port) = host_and_port(key.as_bytes());
            (core::str::from_utf8(host).unwrap(), core::str::from_utf8(port).unwrap())
        };
        assert_eq!(parts("10.0.0.1:80"), ("10.0.0.1", "80"));
        assert_eq!(parts("[fd00::1]:80"), ("[fd00::1]", "80"));
        assert_eq!(parts("name"), ("name", ""));
        assert_eq!(parts("name:"), ("name", ""));
        assert_eq!(parts("name1"), ("name1", ""));
        assert_eq!(parts("UNIX:/run/a:1"), ("/run/a:1", ""));
    }

    #[test]
    fn weights_that_would_take_all_memory_are_refused() {
        let pool = Pool::builder().weighted("a", u32::MAX, ()).weighted("b", u32::MAX, ()).build().unwrap();
        let points = 2 * u128::from(u32::MAX) * 160;
        assert_eq!(Ketama::new(&pool).unwrap_err(), TooManyPoints { points });
    }
}
