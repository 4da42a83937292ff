//! Whose turn comes next, if turns are spread as evenly as weights allow? nginx's smooth weighted round robin.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::currents::Currents;
use crate::tournament::Tournament;
use crate::{Choice, Pick, Reason, Sequence, Unavailable};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Smooth weighted round robin, in nginx's order to the letter: every endpoint's *current* grows by its weight, the
/// greatest (the first of equal ones) is chosen, and its current falls by the sum of weights.
///
/// Weights {5, 1, 1} give a a b a c a a. Each period has exactly `weight / gcd` turns of each, and no stretch of any length
/// is off by more than 2. Takes no random word.
///
/// nginx goes through all endpoints a pick. Here that is done for few endpoints and where one is closed, excluded or
/// recovering; otherwise a tournament among the *distinct weights* names the same endpoint.
///
/// # Cost
///
/// O(n) a pick for up to 128 endpoints. Beyond, endpoints of one weight wait in a queue, since all their currents grow
/// alike, and only the heads of queues compete; a pick is O(log² k + log n) amortised for k distinct weights, in about 50
/// bytes an endpoint. [`WeightedEdf`](crate::WeightedEdf) is the alternative with another, almost as smooth order.
///
/// # Failures
///
/// [`lower`](Self::lower) does what nginx does to a peer that failed: it gets less for a while and recovers by one a pick.
#[derive(Debug, Clone)]
pub struct SmoothWeighted {
    admission: Admission,
    members: Box<[Candidate]>,
    /// Valid while the tournament does not run.
    currents: Currents,
    /// Weights after failures; empty while all are whole.
    effective: Vec<u32>,
    tournament: Option<Tournament>,
    /// Whether the tournament holds the currents.
    runs: bool,
    /// Currents other than 0 of endpoints that take no part now, but may again: without weight, or not healthy.
    parked: Box<[(u32, f64)]>,
}

/// Up to here a scan is as fast.
const FEW: usize = 128;

/// Up to this sum of weights currents are exact, which takes a million endpoints of the greatest weight to exceed.
const GREATEST_SUM: u64 = 1 << 52;

impl SmoothWeighted {
    /// Starts at the beginning of the period.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        let members: Box<[Candidate]> = candidates.eligible().collect();
        let sum: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
        let weights = || members.iter().map(|member| member.weight);
        let large = members.len() > FEW && sum <= GREATEST_SUM;
        Self {
            admission: candidates.admission().clone(),
            currents: Currents::new(weights()),
            effective: Vec::new(),
            tournament: large.then(|| Tournament::new(weights())),
            runs: false,
            parked: Box::default(),
            members,
        }
    }

    /// The same sequence over the next version of the pool: endpoints that stay keep their current, whatever their weight
    /// and health are now, and those that join start with 0.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        let mut new = Self::new(&candidates);
        let (before, after) = (self.admission.members(), candidates.admission().members());
        let currents = self.currents();
        let current = |index: usize| {
            let before = before.position(after.key(index)?)?;
            let parked =
                || self.parked.iter().find(|&&(index, _)| index as usize == before).map(|&(_, current)| current);
            self.rank(before).map(|rank| currents[rank]).or_else(parked)
        };
        let mut parked = Vec::new();
        for (index, _) in candidates.iter_in_any_health() {
            match (current(index), new.rank(index)) {
                (Some(current), Some(rank)) => new.currents.values_mut()[rank] = current,
                // A pool has fewer than 2^32 endpoints.
                (Some(current), None) if current != 0.0 => parked.push((index as u32, current)),
                _ => {}
            }
        }
        new.parked = parked.into();
        new
    }

    /// Lowers what the endpoint at `index` gets, after a failure, by `weight / max_fails`, rounded down, but not below 0;
    /// a `max_fails` of 0 stands for never. From the next pick on it recovers by one a pick. Picks are O(n) until it has.
    ///
    /// An index that is not in the sequence is ignored.
    pub fn lower(&mut self, index: usize, max_fails: u32) {
        let Some(rank) = self.rank(index) else { return };
        if self.effective.is_empty() {
            self.effective.extend(self.members.iter().map(|member| member.weight));
        }
        let by = self.members[rank].weight.checked_div(max_fails).unwrap_or(0);
        self.effective[rank] = self.effective[rank].saturating_sub(by);
    }

    fn rank(&self, index: usize) -> Option<usize> {
        self.members.binary_search_by_key(&index, |member| member.index as usize).ok()
    }

    fn currents(&self) -> Box<[f64]> {
        let mut currents: Box<[f64]> = self.currents.values().into();
        if let Some(tournament) = self.tournament.as_ref().filter(|_| self.runs) {
            tournament.write_currents(&mut currents);
        }
        currents
    }
}

impl Sequence for SmoothWeighted {
    #[inline]
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let admits_all = self.admission.admits_all(pick);
        let Self { admission, members, currents, effective, tournament, runs, .. } = self;
        let usual = admits_all && effective.is_empty();
        let chosen = match tournament {
            Some(tournament) if usual => {
                if !*runs {
                    tournament.restart(currents.values());
                    *runs = true;
                }
                Some(tournament.next())
            }
            _ => {
                if let Some(tournament) = tournament.as_ref().filter(|_| *runs) {
                    tournament.write_currents(currents.values_mut());
                    *runs = false;
                }
                if usual {
                    currents.next()
                } else {
                    scan(members, currents, effective, |index| admits_all || admission.admits(pick, index))
                }
            }
        };
        match chosen {
            Some(rank) => Ok(Choice::new(members[rank].index as usize, Reason::WeightedRoundRobin)),
            None => Err(admission.refusal(pick, members.iter().map(|member| member.index as usize))),
        }
    }
}

/// A pick among those admitted, with weights that recover from failures.
fn scan(
    members: &[Candidate],
    currents: &mut Currents,
    effective: &mut Vec<u32>,
    admits: impl Fn(usize) -> bool,
) -> Option<usize> {
    let chosen = currents.next_among(|rank| {
        let member = members[rank];
        admits(member.index as usize).then(|| match effective.get_mut(rank) {
            Some(effective) => {
                let weight = *effective;
                *effective += u32::from(weight < member.weight);
                weight
            }
            None => member.weight,
        })
    });
    if effective.iter().zip(members).all(|(effective, member)| *effective == member.weight) {
        effective.clear();
    }
    chosen
}
