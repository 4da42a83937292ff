//! lua-resty-balancer's ring, which ingress-nginx uses for `upstream-hash-by`.

use super::function::crc32;
use super::ketama::{POINTS_PER_WEIGHT, TooManyPoints, chains};
use super::points::{self, Point as _, Point32, Points};
use super::{HashTable, policy_by_hash, ranks};
use crate::ToCandidates;
use crate::candidates::Eligible;

/// The ring of `resty.chash`: like [`Ketama`](super::Ketama) at first sight, but its points are others, and a key
/// belongs to the greatest point at or *below* its CRC-32 (to the first one if there is none).
///
/// When an endpoint leaves, only its keys move. Built in O(points × log points); a look-up is O(1) expected.
///
/// ```
/// use lb_select::{Pool, hash::RestyChash};
///
/// let pool = Pool::builder().weighted("server1", 10, ()).weighted("server2", 2, ()).build()?;
/// let ring = RestyChash::new(&pool)?;
/// assert!(ring.lookup_key(b"/cart").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RestyChash {
    points: Points<Point32>,
    eligible: Eligible,
}

policy_by_hash!(RestyChash);

/// The lower 32 bits of the hash count, as [`crc32`] gives them.
impl HashTable for RestyChash {
    #[inline]
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        RestyChash::attempt(self, hash as u32, attempt)
    }

    fn attempts_around(&self) -> u32 {
        self.len() as u32 // rings have fewer than 2^32 points
    }
}

impl RestyChash {
    /// The ring of a pool: 160 points for each unit of weight.
    ///
    /// # Errors
    /// Fails if the weights ask for more than [`MAX_POINTS`](super::MAX_POINTS) points.
    pub fn new(candidates: &impl ToCandidates) -> Result<Self, TooManyPoints> {
        let candidates = candidates.to_candidates();
        // The peer takes the finished checksum for a running value. That is its ring now.
        let mut points = chains(&candidates, POINTS_PER_WEIGHT, crc32)?;
        points::sort(&mut points, &ranks(&candidates));
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
        self.points.owner(self.points.after(hash.into()).saturating_sub(1))
    }

    /// The endpoint for a further attempt, after the choice of attempt 0 was refused: so many points further on.
    #[inline]
    pub fn attempt(&self, hash: u32, attempt: u32) -> Option<usize> {
        self.points.owner(self.points.after(hash.into()).saturating_sub(1) + attempt as usize)
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
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u32, usize)> {
        self.points.iter().map(|point| (point.hash() as u32, point.owner() as usize))
    }
}

/// Endpoints in groups of one size, as ingress-nginx cuts them for `upstream-hash-by-subset`: the last group is filled up
/// from the front. A key belongs to a group, by a [`RestyChash`] over `set1`, `set2` and so on, and any endpoint of it
/// will do.
///
/// ```
/// use lb_select::hash::SubsetGroups;
///
/// let groups = SubsetGroups::new(4, SubsetGroups::SIZE);
/// assert_eq!(groups.endpoints(1).collect::<Vec<_>>(), [3, 0, 1]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubsetGroups {
    endpoints: usize,
    size: usize,
}

impl SubsetGroups {
    /// The usual size of a group: 3.
    pub const SIZE: usize = 3;

    /// The groups of so many endpoints, each of `size`. There are none if either is 0. With fewer endpoints than `size`
    /// the one group has some of them more than once.
    pub fn new(endpoints: usize, size: usize) -> Self {
        Self { endpoints, size }
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        if self.size == 0 { 0 } else { self.endpoints.div_ceil(self.size) }
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The endpoint of group number `group` for a random word. `None` if there is no such group.
    pub fn endpoint(&self, group: usize, word: u64) -> Option<usize> {
        let chosen = (word % self.size.max(1) as u64) as usize; // below the size
        (group < self.len()).then(|| (group * self.size + chosen) % self.endpoints)
    }

    /// The endpoints of group number `group`, in order; none if there is no such group.
    pub fn endpoints(&self, group: usize) -> impl ExactSizeIterator<Item = usize> {
        let Self { endpoints, size } = *self;
        let size = if group < self.len() { size } else { 0 };
        (0..size).map(move |n| (group * size + n % endpoints) % endpoints)
    }
}
