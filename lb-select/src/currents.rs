//! Who stands highest once all have risen? The scan of smooth weighted round robin.

use alloc::boxed::Box;
use core::array;

/// What the endpoints of a sequence stand at, and by how much each rises a pick.
///
/// Whole numbers in `f64`, which are exact up to 2^53 and never overflow. Of two pairs of those any 64-bit processor finds
/// both greater ones at once; of 64-bit integers SSE2, all that x86-64 promises, cannot.
#[derive(Debug, Clone)]
pub(crate) struct Currents {
    weights: Box<[f64]>,
    values: Box<[f64]>,
    sum: f64,
}

/// How many are compared side by side.
const LANES: usize = 8;

impl Currents {
    /// All at 0.
    pub(crate) fn new(weights: impl Iterator<Item = u32>) -> Self {
        let weights: Box<[f64]> = weights.map(f64::from).collect();
        Self { values: weights.iter().map(|_| 0.0).collect(), sum: weights.iter().sum(), weights }
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// All rise by their weight, and the highest, the first of equal ones, falls by the sum of weights. Nobody if there is
    /// nobody. O(n).
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        let (blocks, rest) = self.values.as_chunks_mut::<LANES>();
        let (weights, weights_of_rest) = self.weights.as_chunks::<LANES>();
        let mut lanes = [f64::NEG_INFINITY; LANES];
        for (block, weights) in blocks.iter_mut().zip(weights) {
            *block = array::from_fn(|lane| block[lane] + weights[lane]);
            lanes = array::from_fn(|lane| greater(block[lane], lanes[lane]));
        }
        let mut highest = lanes.into_iter().fold(f64::NEG_INFINITY, greater);
        for (value, weight) in rest.iter_mut().zip(weights_of_rest) {
            *value += weight;
            highest = greater(*value, highest);
        }
        // Nothing stands above the highest. The block is found without a branch for each of its endpoints.
        let is_highest = |value: &f64| *value >= highest;
        let has_highest = |block: &[f64; LANES]| block.iter().fold(false, |found, value| found | is_highest(value));
        let start = LANES * blocks.iter().position(has_highest).unwrap_or(blocks.len());
        let rank = start + self.values[start..].iter().position(is_highest)?;
        self.values[rank] -= self.sum;
        Some(rank)
    }

    /// The same among those that `rise` gives a weight at this moment.
    pub(crate) fn next_among(&mut self, mut rise: impl FnMut(usize) -> Option<u32>) -> Option<usize> {
        let mut sum = 0.0;
        let mut highest: Option<usize> = None;
        for rank in 0..self.values.len() {
            let Some(weight) = rise(rank) else { continue };
            self.values[rank] += f64::from(weight);
            sum += f64::from(weight);
            if highest.is_none_or(|highest| self.values[rank] > self.values[highest]) {
                highest = Some(rank);
            }
        }
        self.values[highest?] -= sum;
        highest
    }
}

/// One instruction, where `f64::max` takes care of NaN.
#[inline]
fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}
