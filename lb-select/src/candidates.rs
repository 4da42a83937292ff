//! Which endpoints may a policy choose from, and which of them may it choose right now?

use crate::pool::Members;
use crate::{Endpoint, Health, Locality, Pick, Pool, Unavailable};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The endpoints that a policy is compiled from: a pool, or the part of one that a layer cut out.
///
/// Whatever the part, endpoints are numbered as in the pool, so that every policy answers with an index of the pool.
/// Endpoints of weight 0 are in the list, since some namesakes give them room; no policy chooses them for new traffic.
///
/// A [`Pool`] by itself stands for its healthy endpoints or, if none of those has weight, for the degraded ones.
///
/// ```
/// use lb_select::{Candidates, Member, Pool, RoundRobin};
///
/// let pool = Pool::builder()
///     .member(Member::new("a", ()).label("version", "v1"))
///     .member(Member::new("b", ()).label("version", "v2"))
///     .build()?;
/// let v2 = Candidates::of(&pool).filter(|endpoint| endpoint.label("version") == Some("v2"));
/// assert_eq!(RoundRobin::new(&v2).next_index(), Ok(1));
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Candidates {
    admission: Admission,
    scope: Scope,
    /// Whatever their health, so that a layer can ask for others than the one before it did.
    all: Vec<Candidate>,
    /// Those of `all` whose health is within the scope.
    list: Vec<Candidate>,
}

/// Which states of health are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The first of these states in which anyone has weight.
    FirstOf(&'static [Health]),
    Only(Health),
    Any,
}

/// One endpoint of a list of [`Candidates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) index: u32,
    pub(crate) weight: u32,
}

impl Candidates {
    /// The healthy endpoints of the pool or, if none of those has weight, the degraded ones.
    pub fn of<E>(pool: &Pool<E>) -> Self {
        let members = Arc::clone(pool.members());
        // A pool has fewer than 2^32 endpoints.
        let all = (0..pool.len()).map(|i| Candidate { index: i as u32, weight: members.traits(i).weight }).collect();
        let admission = Admission { members, in_any_health: false, empty: Unavailable::Empty };
        let scope = Scope::FirstOf(&[Health::Healthy, Health::Degraded]);
        Self { admission, scope, all, list: Vec::new() }.rescoped(scope)
    }

    /// The same, but the draining ones if there are neither healthy nor degraded ones: kube-proxy's use of endpoints that
    /// terminate but still serve.
    #[must_use]
    pub fn or_draining(self) -> Self {
        self.rescoped(Scope::FirstOf(&[Health::Healthy, Health::Degraded, Health::Draining]))
    }

    /// Those in this state.
    #[must_use]
    pub fn of_health(self, health: Health) -> Self {
        self.rescoped(Scope::Only(health))
    }

    /// Those in whatever state, [closed](crate::Load::close) ones included: what is left in panic.
    #[must_use]
    pub fn in_any_health(self) -> Self {
        self.rescoped(Scope::Any)
    }

    fn rescoped(mut self, scope: Scope) -> Self {
        self.scope = scope;
        let Self { admission, all, list, .. } = &mut self;
        let has = |c: &Candidate, health| admission.members.traits(c.index as usize).health == health;
        let states = match &scope {
            Scope::FirstOf(states) => *states,
            Scope::Only(state) => core::slice::from_ref(state),
            Scope::Any => &[],
        };
        let wanted = states.iter().copied().find(|&state| all.iter().any(|c| c.weight > 0 && has(c, state)));
        list.clear();
        list.extend(all.iter().copied().filter(|c| match scope {
            Scope::Any => true,
            // If nobody has weight, those of the first state are in the list.
            _ => states.first().is_some_and(|&first| has(c, wanted.unwrap_or(first))),
        }));
        admission.in_any_health = scope == Scope::Any;
        admission.empty = if all.is_empty() {
            Unavailable::Empty
        } else if list.iter().any(|c| c.weight > 0) || all.iter().all(|c| c.weight == 0) {
            Unavailable::AllDrained
        } else {
            Unavailable::NoneHealthy
        };
        self
    }

    /// Those that `keep` accepts.
    #[must_use]
    pub fn filter(mut self, mut keep: impl FnMut(Endpoint<'_, ()>) -> bool) -> Self {
        let Self { admission, all, .. } = &mut self;
        all.retain(|&c| keep(admission.members.endpoint(c.index as usize, c.weight, &())));
        let scope = self.scope;
        self.rescoped(scope)
    }

    /// Those at these indices of the pool.
    pub(crate) fn numbered_among(mut self, indices: &BTreeSet<usize>) -> Self {
        self.all.retain(|c| indices.contains(&(c.index as usize)));
        let scope = self.scope;
        self.rescoped(scope)
    }

    /// All localities of the pool, in the order in which it names them first.
    pub(crate) fn localities_of_pool(&self) -> Vec<Locality> {
        let members = &self.admission.members;
        let mut seen = BTreeSet::new();
        let localities = (0..members.len()).map(|index| &members.traits(index).locality);
        localities.filter(|&locality| seen.insert(locality)).cloned().collect()
    }

    /// The same with the weights that `weight` says.
    #[must_use]
    pub fn weighted_by(mut self, mut weight: impl FnMut(Endpoint<'_, ()>) -> u32) -> Self {
        let Self { admission, all, .. } = &mut self;
        for c in all {
            c.weight = weight(admission.members.endpoint(c.index as usize, c.weight, &()));
        }
        let scope = self.scope;
        self.rescoped(scope)
    }

    /// How many there are, those of weight 0 included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The endpoints in the order of the pool, with their index there and the weights valid here.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, Endpoint<'_, ()>)> + DoubleEndedIterator {
        self.list.iter().map(|&c| self.numbered(c))
    }

    /// The same for endpoints of whatever health.
    pub fn iter_in_any_health(
        &self,
    ) -> impl ExactSizeIterator<Item = (usize, Endpoint<'_, ()>)> + DoubleEndedIterator + Clone {
        self.all.iter().map(|&c| self.numbered(c))
    }

    fn numbered(&self, Candidate { index, weight }: Candidate) -> (usize, Endpoint<'_, ()>) {
        (index as usize, self.admission.members.endpoint(index as usize, weight, &()))
    }

    /// Whether endpoints of any health are candidates, as in panic.
    pub fn are_in_any_health(&self) -> bool {
        self.scope == Scope::Any
    }

    /// Why there is nobody, if there is nobody.
    pub(crate) fn refusal(&self) -> Unavailable {
        self.admission.empty
    }

    /// Those with a weight above 0, in order.
    pub(crate) fn eligible(&self) -> impl Iterator<Item = Candidate> + Clone + '_ {
        self.list.iter().copied().filter(|c| c.weight > 0)
    }

    /// What decides at the moment of a pick.
    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }
}

/// What a policy can be compiled from: a [`Pool`], or [`Candidates`] cut out of one.
pub trait ToCandidates {
    /// The endpoints to choose from.
    fn to_candidates(&self) -> Candidates;
}

impl<E> ToCandidates for Pool<E> {
    fn to_candidates(&self) -> Candidates {
        Candidates::of(self)
    }
}

impl ToCandidates for Candidates {
    fn to_candidates(&self) -> Candidates {
        self.clone()
    }
}

impl<C: ToCandidates + ?Sized> ToCandidates for &C {
    fn to_candidates(&self) -> Candidates {
        (**self).to_candidates()
    }
}

/// May this endpoint be chosen at this moment? What a compiled table cannot know: what the pick excludes, which
/// endpoints are closed, which are at their limit.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    members: Arc<Members>,
    in_any_health: bool,
    /// Why nothing can be chosen when there is no candidate at all.
    empty: Unavailable,
}

impl Admission {
    /// Whether every candidate is admitted: the usual case, found out without looking at any.
    #[inline]
    pub(crate) fn admits_all(&self, pick: &Pick<'_>) -> bool {
        pick.excluded().is_empty() && self.members.is_open()
    }

    /// Whether the endpoint at this index of the pool is admitted.
    pub(crate) fn admits(&self, pick: &Pick<'_>, index: usize) -> bool {
        (self.in_any_health || !self.members.is_closed(index))
            && (!self.members.is_limited() || self.load(index).active() < self.members.traits(index).max_active)
            && !pick.excluded().contains(&index)
    }

    /// Whether the endpoint is admitted by what can be seen at once; if not, it may still be. Always in place: a call costs
    /// more than the look.
    #[inline(always)]
    pub(crate) fn admits_at_once(&self, pick: &Pick<'_>, index: usize) -> bool {
        pick.excluded().is_empty() && !self.members.is_limited() && !self.members.is_closed(index)
    }

    /// Why none of these endpoints is admitted: the cause nearest to being lifted.
    #[cold]
    pub(crate) fn refusal(&self, pick: &Pick<'_>, eligible: impl Iterator<Item = usize>) -> Unavailable {
        eligible
            .map(|index| {
                if pick.excluded().contains(&index) {
                    (0, Unavailable::AllExcluded)
                } else if self.members.is_closed(index) && !self.in_any_health {
                    (1, Unavailable::NoneHealthy)
                } else {
                    (2, Unavailable::Overloaded)
                }
            })
            .max_by_key(|&(nearness, _)| nearness)
            .map_or(self.empty, |(_, why)| why)
    }

    /// What is known about the endpoint from moment to moment.
    #[inline]
    pub(crate) fn load(&self, index: usize) -> &crate::Load {
        self.members.load(index)
    }

    /// The same for an index that may be anything.
    #[cfg(feature = "std")]
    pub(crate) fn known_load(&self, index: usize) -> Option<&crate::Load> {
        self.members.key(index).map(|_| self.members.load(index))
    }

    pub(crate) fn members(&self) -> &Arc<Members> {
        &self.members
    }
}

/// The indices of the candidates with a weight above 0, in order, for policies that go by nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Eligible {
    pub(crate) admission: Admission,
    list: List,
}

#[derive(Debug, Clone)]
enum List {
    /// The first so many of the pool: the usual case, which needs no list.
    First(usize),
    Some(Box<[u32]>),
}

/// How many more words are tried before the admitted ones of `n` endpoints are counted. With half of them closed, one pick in
/// 256 comes to that for a few endpoints; the more there are, the fewer picks, so that on average they cost the same.
pub(crate) fn redraws(n: usize) -> usize {
    7 + n / 64
}

impl Eligible {
    pub(crate) fn new(candidates: &impl ToCandidates) -> Self {
        Self::of(candidates.to_candidates())
    }

    pub(crate) fn of(candidates: Candidates) -> Self {
        let in_order = candidates.eligible().enumerate().all(|(rank, c)| rank == c.index as usize);
        let list = match in_order {
            true => List::First(candidates.eligible().count()),
            false => List::Some(candidates.eligible().map(|c| c.index).collect()),
        };
        Self { admission: candidates.admission, list }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match &self.list {
            List::First(n) => *n,
            List::Some(list) => list.len(),
        }
    }

    /// The eligible endpoint number `rank`, which must be below the length.
    #[inline]
    pub(crate) fn at(&self, rank: usize) -> usize {
        match &self.list {
            List::First(_) => rank,
            List::Some(list) => list[rank] as usize,
        }
    }

    /// The eligible endpoint number `word mod n`.
    ///
    /// # Errors
    /// Fails if there is none.
    #[inline]
    pub(crate) fn number(&self, word: u64) -> Result<usize, Unavailable> {
        let rank = word.checked_rem(self.len() as u64).ok_or_else(|| self.empty())?;
        Ok(self.at(rank as usize))
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.len()).map(|rank| self.at(rank))
    }

    /// Whether the endpoint at this index of the pool is eligible.
    #[cfg(feature = "std")]
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.rank(index).is_some()
    }

    /// The number of the eligible endpoint at this index of the pool.
    #[cfg(feature = "std")]
    pub(crate) fn rank(&self, index: usize) -> Option<usize> {
        match &self.list {
            List::First(n) => (index < *n).then_some(index),
            List::Some(list) => list.binary_search_by_key(&index, |&index| index as usize).ok(),
        }
    }

    /// Why there is no eligible endpoint, whatever the pick.
    #[cold]
    pub(crate) fn empty(&self) -> Unavailable {
        self.admission.empty
    }

    /// Why there is nothing to choose.
    #[cold]
    pub(crate) fn refusal(&self, pick: &Pick<'_>) -> Unavailable {
        self.admission.refusal(pick, self.iter())
    }

    /// One of the admitted endpoints with equal chance, where not all are: words are drawn until one falls on such an
    /// endpoint or, after some, the admitted ones are counted.
    #[inline(always)] // for the sake of the look
    pub(crate) fn draw(&self, pick: &mut Pick<'_>) -> Result<usize, Unavailable> {
        let word = if self.len() > 1 { pick.word() } else { 0 };
        let index = self.number(word)?;
        if self.admission.admits_at_once(pick, index) { Ok(index) } else { self.redraw(pick, index) }
    }

    #[inline(never)]
    fn redraw(&self, pick: &mut Pick<'_>, first: usize) -> Result<usize, Unavailable> {
        let n = self.len();
        let (mut index, mut word) = (first, 0);
        for _ in 0..=redraws(n) {
            if self.admission.admits_at_once(pick, index) || self.admission.admits(pick, index) {
                return Ok(index);
            }
            if n == 1 {
                return Err(self.refusal(pick));
            }
            word = pick.word();
            index = self.number(word)?;
        }
        // The last word is for those that are counted.
        let admitted = || self.iter().filter(|&index| self.admission.admits(pick, index));
        let rank = word.checked_rem(admitted().count() as u64).ok_or_else(|| self.refusal(pick))?;
        // The count holds unless another thread has opened or closed an endpoint in between.
        admitted().nth(rank as usize).or_else(|| admitted().next()).ok_or_else(|| self.refusal(pick))
    }

    /// The turn at which a rotation goes on in `next`, the following version of this list, if it has had `turns` turns here:
    /// that of the endpoint after the last one, counted from 1 unless nothing was chosen yet.
    pub(crate) fn follow(&self, next: &Self, turns: u64) -> u64 {
        let Some(last) = turns.checked_sub(1).and_then(|last| last.checked_rem(self.len() as u64)) else { return 0 };
        let last = last as usize;
        let (old, new) = (&self.admission.members, &next.admission.members);
        // The last one that is still there.
        let mut backwards = (0..=last).rev().chain((last..self.len()).rev());
        let stayed = backwards.find_map(|rank| new.position(old.key(self.at(rank))?));
        stayed.map_or(0, |index| match next.iter().take_while(|&eligible| eligible <= index).count() {
            0 => next.len(),
            rank => rank,
        }) as u64
    }
}
