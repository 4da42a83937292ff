//! What part of all keys is each endpoint to get? Weights that add up to 1, as Envoy's hash policies take them.

use crate::Locality;
use crate::candidates::{Candidate, Candidates};
use alloc::vec;
use alloc::vec::Vec;

/// The endpoints with a part, and their parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shares {
    parts: Parts,
    len: usize,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Parts {
    /// By index in the pool the weights; 0 for those that get nothing.
    Weights { weights: Vec<u32>, sum: f64 },
    /// The same for localities, and the order of indices: grouped by locality.
    Localities { order: Vec<u32>, parts: Vec<f64> },
}

impl Shares {
    /// By weight alone.
    pub(crate) fn of(candidates: &Candidates) -> Self {
        let sum: u64 = candidates.eligible().map(|c| u64::from(c.weight)).sum();
        let mut weights = vec![0; candidates.admission().members().by_key().len()];
        for Candidate { index, weight } in candidates.eligible() {
            weights[index as usize] = weight;
        }
        Self::from(Parts::Weights { weights, sum: sum as f64 })
    }

    /// By the weight of the locality, divided among its endpoints by theirs. Localities come in the order in which the
    /// candidates first name them; one without endpoints to choose takes no part.
    pub(crate) fn by_locality(candidates: &Candidates, mut weight: impl FnMut(&Locality) -> u32) -> Self {
        let members = candidates.admission().members();
        let mut localities: Vec<(&Locality, Vec<Candidate>)> = Vec::new();
        for candidate in candidates.eligible() {
            let place = &members.traits(candidate.index as usize).locality;
            match localities.iter_mut().find(|(known, _)| *known == place) {
                Some((_, members)) => members.push(candidate),
                None => localities.push((place, [candidate].into())),
            }
        }
        let localities: Vec<_> = localities.into_iter().map(|(place, members)| (weight(place), members)).collect();
        let all: u64 = localities.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let (mut order, mut parts) = (Vec::new(), vec![0.0; members.by_key().len()]);
        for (weight, members) in localities.into_iter().filter(|(weight, _)| *weight > 0) {
            let sum: u64 = members.iter().map(|c| u64::from(c.weight)).sum();
            for c in members {
                order.push(c.index);
                parts[c.index as usize] = part(c.weight, f64::from(weight) / all as f64, sum as f64);
            }
        }
        Self::from(Parts::Localities { order, parts })
    }

    fn from(parts: Parts) -> Self {
        let mut shares = Self { parts, len: 0, min: 1.0, max: 0.0 };
        // A greater weight never has a smaller part, so that two divisions will do.
        let (len, min, max) = match &shares.parts {
            Parts::Weights { weights, sum } => {
                let some = weights.iter().copied().filter(|&weight| weight > 0);
                let (len, min, max) = some.fold((0, u32::MAX, 0), |(n, min, max), w| (n + 1, w.min(min), w.max(max)));
                if len == 0 { (0, 1.0, 0.0) } else { (len, part(min, 1.0, *sum), part(max, 1.0, *sum)) }
            }
            Parts::Localities { order, parts } => order.iter().fold((0, 1.0_f64, 0.0_f64), |(n, min, max), &index| {
                let part = parts[index as usize];
                (n + 1, min.min(part), max.max(part))
            }),
        };
        (shares.len, shares.min, shares.max) = (len, min.min(1.0), max);
        shares
    }

    /// The number of endpoints with a part.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The endpoints with a part, and their parts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, f64)> {
        let (all, order) = match &self.parts {
            Parts::Weights { weights, .. } => (weights.len() as u32, &[][..]),
            Parts::Localities { order, .. } => (0, &order[..]),
        };
        let indices = (0..all).chain(order.iter().copied());
        indices.map(|index| (index, self.part(index as usize))).filter(|&(_, part)| part > 0.0)
    }

    /// Those of the indices that have a part.
    pub(crate) fn among(&self, indices: &[u32]) -> impl Iterator<Item = u32> + Clone {
        indices.iter().copied().filter(|&index| match &self.parts {
            Parts::Weights { weights, .. } => weights[index as usize] > 0,
            Parts::Localities { parts, .. } => parts[index as usize] > 0.0,
        })
    }

    /// The part of the endpoint at this index; 0 if it gets nothing.
    pub(crate) fn part(&self, index: usize) -> f64 {
        match &self.parts {
            Parts::Weights { weights, sum } => weights.get(index).map_or(0.0, |&weight| part(weight, 1.0, *sum)),
            Parts::Localities { parts, .. } => parts.get(index).copied().unwrap_or(0.0),
        }
    }
}

/// A weight's part of `whole`. Float operations in Envoy's order, for they decide who gets the odd slot.
fn part(weight: u32, whole: f64, sum: f64) -> f64 {
    if weight == 0 { 0.0 } else { f64::from(weight) * whole / sum }
}
