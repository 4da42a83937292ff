//! Which backend takes the request, by weight?

use super::Filters;

/// A backend, its weight, and what it does to the requests that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeightedBackend<B> {
    /// Its weight; its part of the requests is this over the sum of all.
    pub weight: u32,
    /// The backend.
    pub backend: B,
    /// The status that its part of the requests is answered with, if it cannot be served. That part is never given to the
    /// others.
    pub failure: Option<u16>,
    /// What happens to the requests that it takes.
    pub filters: Option<Box<Filters<B>>>,
}

impl<B> WeightedBackend<B> {
    /// A backend that works, without filters.
    pub fn new(weight: u32, backend: B) -> Self {
        Self { weight, backend, failure: None, filters: None }
    }

    /// One whose part of the requests is answered with this status.
    pub fn failing(weight: u32, backend: B, status: u16) -> Self {
        Self { failure: Some(status), ..Self::new(weight, backend) }
    }
}

/// Backends that share requests by weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backends<B> {
    entries: Box<[WeightedBackend<B>]>,
    /// For each entry, the sum of the weights up to and with it.
    sums: Box<[u64]>,
}

impl<B> Backends<B> {
    /// Puts backends together, in their order.
    pub fn new(entries: impl IntoIterator<Item = WeightedBackend<B>>) -> Self {
        let entries: Box<[_]> = entries.into_iter().collect();
        let mut sum = 0;
        let sums = entries
            .iter()
            .map(|entry| {
                // Sums of u32: no list is long enough to overflow.
                sum += u64::from(entry.weight);
                sum
            })
            .collect();
        Self { entries, sums }
    }

    /// All of them, weight 0 included.
    pub fn entries(&self) -> &[WeightedBackend<B>] {
        &self.entries
    }

    /// The sum of the weights.
    pub fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// The backend for a random word, in proportion to the weights; `None` if all of them are 0. O(log n).
    pub fn pick(&self, word: u64) -> Option<&WeightedBackend<B>> {
        let at = ((u128::from(word) * u128::from(self.total())) >> 64) as u64;
        self.entries.get(self.sums.partition_point(|sum| *sum <= at))
    }

    /// Those with a part of the requests, and that part; the parts add up to 1.
    pub fn shares(&self) -> impl Iterator<Item = (&WeightedBackend<B>, f64)> {
        let total = self.total() as f64;
        let parts = self.entries.iter().filter(|entry| entry.weight > 0);
        parts.map(move |entry| (entry, f64::from(entry.weight) / total))
    }

    /// The status of every request, if no backend can take any: that of the entries with a part, where they agree; 500 where
    /// they do not, and where there is none.
    pub fn only_failure(&self) -> Option<u16> {
        let mut statuses = self.shares().map(|(entry, _)| entry.failure);
        let first = match statuses.next() {
            None => return Some(500),
            Some(first) => first?,
        };
        statuses.try_fold(first, |status, next| Some(if next? == status { status } else { 500 }))
    }

    /// The backend that takes every request that any takes, if there is only one with a part.
    pub fn only(&self) -> Option<&WeightedBackend<B>> {
        let mut shares = self.shares();
        let (only, _) = shares.next()?;
        shares.next().is_none().then_some(only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn backends(weights: &[u32]) -> Backends<usize> {
        Backends::new(weights.iter().enumerate().map(|(i, weight)| WeightedBackend::new(*weight, i)))
    }

    #[test]
    fn weight_zero_is_never_picked_and_a_sum_of_zero_picks_nothing() {
        for word in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(backends(&[0, 3, 0]).pick(word).map(|entry| entry.backend), Some(1));
            assert_eq!(backends(&[0, 0]).pick(word), None);
            assert_eq!(backends(&[]).pick(word), None);
        }
    }

    #[test]
    fn all_failing_is_one_status() {
        let of = |failures: &[Option<u16>]| {
            let entry = |failure: &Option<u16>| WeightedBackend { failure: *failure, ..WeightedBackend::new(1, ()) };
            Backends::new(failures.iter().map(entry)).only_failure()
        };
        assert_eq!(of(&[]), Some(500));
        assert_eq!(of(&[Some(503), Some(503)]), Some(503));
        assert_eq!(of(&[Some(503), Some(500)]), Some(500));
        assert_eq!(of(&[Some(500), None]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn picks_are_in_proportion(weights in proptest::collection::vec(0u32..5, 1..6)) {
            let backends = backends(&weights);
            let total = backends.total();
            let mut counts = vec![0u32; weights.len()];
            for i in 0..total {
                // The middle of each of `total` equal parts of the words.
                let word = ((u128::from(2 * i + 1) << 63) / u128::from(total)) as u64;
                counts[backends.pick(word).unwrap().backend] += 1;
            }
            prop_assert_eq!(&counts, &weights);
            let sum: f64 = backends.shares().map(|(_, p)| p).sum();
            prop_assert!(total == 0 || (sum - 1.0).abs() < 1e-9);
        }
    }
}
