//! Which point of a ring comes next? Sorted points, entered by the top bits of a hash.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// A place on a ring and whose it is.
pub(crate) trait Point: Copy {
    /// Bits of a hash on this ring.
    const BITS: u32;
    fn new(hash: u64, owner: u32) -> Self;
    fn hash(self) -> u64;
    fn owner(self) -> u32;
}

/// A point of a ring with 32-bit hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point32 {
    hash: u32,
    owner: u32,
}

impl Point for Point32 {
    const BITS: u32 = 32;

    fn new(hash: u64, owner: u32) -> Self {
        Self { hash: hash as u32, owner }
    }

    #[inline]
    fn hash(self) -> u64 {
        self.hash.into()
    }

    #[inline]
    fn owner(self) -> u32 {
        self.owner
    }
}

/// A point of a ring with 64-bit hashes, in 12 bytes instead of 16 with padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point64 {
    upper: u32,
    lower: u32,
    owner: u32,
}

impl Point for Point64 {
    const BITS: u32 = 64;

    fn new(hash: u64, owner: u32) -> Self {
        Self { upper: (hash >> 32) as u32, lower: hash as u32, owner }
    }

    #[inline]
    fn hash(self) -> u64 {
        u64::from(self.upper) << 32 | u64::from(self.lower)
    }

    #[inline]
    fn owner(self) -> u32 {
        self.owner
    }
}

/// Points sorted by hash. A search is O(1) expected for hashes that spread, O(log points) for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Points<P> {
    points: Box<[P]>,
    /// For each value of a hash's top bits the first point with that value or a greater one, and in the end the number
    /// of points. About one point a value.
    first: Box<[u32]>,
    shift: u32,
}

impl<P: Point> Points<P> {
    /// Takes points sorted by hash, fewer than 2³².
    pub(crate) fn new(points: Vec<P>) -> Self {
        debug_assert!(points.is_sorted_by_key(|point| point.hash()));
        let bits = points.len().next_power_of_two().trailing_zeros().clamp(1, 24);
        let shift = P::BITS - bits;
        let mut first = vec![points.len() as u32; (1 << bits) + 1];
        for (at, point) in points.iter().enumerate().rev() {
            first[(point.hash() >> shift) as usize] = at as u32;
        }
        for value in (0..1 << bits).rev() {
            first[value] = first[value].min(first[value + 1]);
        }
        Self { points: points.into(), first: first.into(), shift }
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = P> {
        self.points.iter().copied()
    }

    /// The owner of a point; past the end they begin again. `None` on an empty ring.
    pub(crate) fn owner(&self, at: usize) -> Option<usize> {
        let at = at.checked_rem(self.points.len())?;
        Some(self.points[at].owner() as usize)
    }

    /// The first point whose hash is at least this one; the number of points if all are below.
    #[inline]
    pub(crate) fn at_or_after(&self, hash: u64) -> usize {
        self.search(hash, |point| point < hash)
    }

    /// The first point whose hash is above this one; the number of points if none is.
    #[inline]
    pub(crate) fn after(&self, hash: u64) -> usize {
        self.search(hash, |point| point <= hash)
    }

    #[inline]
    fn search(&self, hash: u64, before: impl Fn(u64) -> bool) -> usize {
        let value = (hash >> self.shift) as usize;
        let (mut at, end) = (self.first[value] as usize, self.first[value + 1] as usize);
        if end - at > 16 {
            // Only hashes that do not spread come here: keys chosen to crowd must not make a search long.
            return at + self.points[at..end].partition_point(|point| before(point.hash()));
        }
        while at < end && before(self.points[at].hash()) {
            at += 1;
        }
        at
    }

    /// The owner of the first point at or after a hash, around the end.
    #[inline]
    pub(crate) fn lookup(&self, hash: u64) -> Option<usize> {
        let at = self.at_or_after(hash);
        let point = self.points.get(at).or(self.points.first())?;
        Some(point.owner() as usize)
    }
}

/// Sorts points by hash, those of equal hash by the order of their owners in `rank`.
pub(crate) fn sort<P: Point>(points: &mut [P], rank: &[u32]) {
    points.sort_unstable_by_key(|point| point.hash());
    // Equal ones are rare, so ranks are looked up for them alone.
    for equal in points.chunk_by_mut(|a, b| a.hash() == b.hash()).filter(|equal| equal.len() > 1) {
        equal.sort_unstable_by_key(|point| rank[point.owner() as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agrees_with_a_scan<P: Point>(mut hashes: Vec<u64>, asked: &[u64]) {
        hashes.sort_unstable();
        let points: Vec<P> = hashes.iter().enumerate().map(|(i, &hash)| P::new(hash, i as u32)).collect();
        let ring = Points::new(points);
        for &hash in asked.iter().chain(&hashes) {
            assert_eq!(ring.at_or_after(hash), hashes.iter().filter(|&&point| point < hash).count());
            assert_eq!(ring.after(hash), hashes.iter().filter(|&&point| point <= hash).count());
            assert_eq!(ring.lookup(hash), ring.owner(ring.at_or_after(hash)));
        }
    }

    proptest! {
        #[test]
        fn a_search_agrees_with_a_scan_however_points_crowd(
            spread in proptest::collection::vec(any::<u64>(), 0..40),
            crowd in proptest::collection::vec(0..100_u64, 0..60),
            asked in proptest::collection::vec(any::<u64>(), 1..20),
        ) {
            let hashes: Vec<u64> = spread.into_iter().chain(crowd).chain([u64::MAX]).collect();
            agrees_with_a_scan::<Point64>(hashes.clone(), &asked);
            let short = |hashes: &[u64]| hashes.iter().map(|hash| hash >> 32).collect::<Vec<_>>();
            agrees_with_a_scan::<Point32>(short(&hashes), &short(&asked));
            agrees_with_a_scan::<Point64>(Vec::new(), &asked);
        }
    }
}
