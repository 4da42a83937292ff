//! Who has the least to do? Every endpoint is looked at.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::{Choice, Load, Pick, Policy, Reason, Unavailable};
use alloc::boxed::Box;

/// The endpoint with the least load by one of the field's rules, found by looking at all: exact, and O(n).
///
/// Of equals the first in the order of the pool wins, except under [`LoadRule::LeastRequest`], which draws. Loads are those of
/// the endpoints' [`Load`]: of [guards](crate::InFlight) and what is [reported](Load::report).
///
/// ```
/// use lb_select::{LeastLoad, LoadRule, Pick, Policy, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::builder().weighted("a", 2, ()).weighted("b", 1, ()).build()?;
/// let policy = LeastLoad::new(&pool, LoadRule::ShortestExpectedDelay);
/// let mut words = || 0;
/// let mut pick = Pick::new(Duration::ZERO, &mut words);
///
/// let in_flight: Vec<_> = (0..3).map(|_| pool.start(policy.pick(&mut pick).unwrap().index)).collect();
/// assert_eq!((pool.load(0).active(), pool.load(1).active()), (2, 1));
/// drop(in_flight);
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LeastLoad {
    admission: Admission,
    members: Box<[Candidate]>,
    rule: LoadRule,
}

/// What [`LeastLoad`] takes for the least load. All but the first and the last are those of Linux IPVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub enum LoadRule {
    /// The fewest in flight, weights ignored except 0: Envoy's full scan. Of k equals each has the same chance, for one
    /// word an equal after the first.
    LeastRequest,
    /// `lc`: the least overhead, which is 256 for a connection in flight and 1 for one that closes; weights ignored except 0.
    LeastConnection,
    /// `wlc`: the least overhead by weight. Without any load the first wins, whatever its weight.
    WeightedLeastConnection,
    /// `sed`: the least of (in flight + 1) by weight: who would be done first if work took the same time everywhere.
    ShortestExpectedDelay,
    /// `nq`: the first that is idle; else as `sed`. Being idle beats a greater weight.
    NeverQueue,
    /// `fo`: the greatest weight, and the next only where that is closed, full or excluded.
    Failover,
    /// `ovf`: the greatest weight that has at most its weight in flight, so that weight w takes w + 1. If none has, the
    /// answer is [`Unavailable::Overloaded`].
    Overflow,
    /// HAProxy's `first`: the first below its [limit](crate::Member::max_active), so that the last ones stay free.
    First,
}

impl LeastLoad {
    /// Chooses among the endpoints of the pool.
    pub fn new(candidates: &impl ToCandidates, rule: LoadRule) -> Self {
        let candidates = candidates.to_candidates();
        Self { admission: candidates.admission().clone(), members: candidates.eligible().collect(), rule }
    }

    /// The first of those for which nobody is better.
    #[inline]
    fn first_best<M>(
        &self,
        pick: &Pick<'_>,
        measure: impl Fn(&Load, Candidate) -> M,
        better: impl Fn(&M, &M) -> bool,
    ) -> Option<usize> {
        let admits_all = self.admission.admits_all(pick);
        let mut best: Option<(usize, M)> = None;
        for &member in &self.members {
            let index = member.index as usize;
            if !admits_all && !self.admission.admits(pick, index) {
                continue;
            }
            let measured = measure(self.admission.load(index), member);
            if best.as_ref().is_none_or(|(_, best)| better(&measured, best)) {
                best = Some((index, measured));
            }
        }
        best.map(|(index, _)| index)
    }

    /// The first with the least load for its weight.
    #[inline]
    fn least_by_weight(&self, pick: &Pick<'_>, load: impl Fn(&Load) -> u64) -> Option<usize> {
        // Compared crosswise: no division, no rounding, and no overflow in 128 bits.
        let less =
            |a: &(u64, u32), b: &(u64, u32)| u128::from(a.0) * u128::from(b.1) < u128::from(b.0) * u128::from(a.1);
        self.first_best(pick, |l, member| (load(l), member.weight), less)
    }

    fn shortest_expected_delay(&self, pick: &Pick<'_>) -> Option<usize> {
        self.least_by_weight(pick, |load| u64::from(load.active()) + 1)
    }

    fn greatest_weight(&self, pick: &Pick<'_>, takes_more: impl Fn(&Load, u32) -> bool) -> Option<usize> {
        // Weights are above 0, so 0 stands for one that takes no more.
        let weight = |load: &Load, member: Candidate| if takes_more(load, member.weight) { member.weight } else { 0 };
        let index = self.first_best(pick, weight, |a, b| a > b)?;
        let rank = self.members.binary_search_by_key(&index, |member| member.index as usize).ok()?;
        takes_more(self.admission.load(index), self.members[rank].weight).then_some(index)
    }

    /// The least of all; the k-th equal one replaces the one before if `word mod k = 0`.
    fn least_request(&self, pick: &mut Pick<'_>) -> Option<usize> {
        let admits_all = self.admission.admits_all(pick);
        let mut best: Option<(usize, u32)> = None;
        let mut equals = 1_u64;
        for &Candidate { index, .. } in &self.members {
            let index = index as usize;
            if !admits_all && !self.admission.admits(pick, index) {
                continue;
            }
            let active = self.admission.load(index).active();
            match best {
                Some((_, least)) if active > least => {}
                Some((_, least)) if active == least => {
                    equals += 1;
                    if pick.word().is_multiple_of(equals) {
                        best = Some((index, active));
                    }
                }
                _ => (best, equals) = (Some((index, active)), 1),
            }
        }
        best.map(|(index, _)| index)
    }
}

/// What IPVS counts a server's connections as.
#[inline]
pub(crate) fn overhead(load: &Load) -> u64 {
    u64::from(load.active()) * 256 + u64::from(load.inactive())
}

impl Policy for LeastLoad {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let (index, reason) = match self.rule {
            LoadRule::LeastRequest => (self.least_request(pick), Reason::LeastLoad),
            LoadRule::LeastConnection => {
                (self.first_best(pick, |load, _| overhead(load), |a, b| a < b), Reason::LeastLoad)
            }
            LoadRule::WeightedLeastConnection => (self.least_by_weight(pick, overhead), Reason::LeastLoad),
            LoadRule::ShortestExpectedDelay => (self.shortest_expected_delay(pick), Reason::LeastLoad),
            LoadRule::NeverQueue => {
                let least = self.first_best(pick, |load, _| load.active() > 0, |a, b| a < b);
                let idle = least.filter(|&index| self.admission.load(index).active() == 0);
                (idle.or_else(|| self.shortest_expected_delay(pick)), Reason::LeastLoad)
            }
            LoadRule::Failover => (self.greatest_weight(pick, |_, _| true), Reason::FirstWithRoom),
            LoadRule::Overflow => {
                (self.greatest_weight(pick, |load, weight| load.active() <= weight), Reason::FirstWithRoom)
            }
            LoadRule::First => (self.first_best(pick, |_, _| (), |(), ()| false), Reason::FirstWithRoom),
        };
        match index {
            Some(index) => Ok(Choice::new(index, reason)),
            None => Err(self.admission.refusal(pick, self.members.iter().map(|member| member.index as usize))),
        }
    }
}
