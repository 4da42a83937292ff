//! Which subset? A layer that narrows endpoints to those with the labels a request asks for.

use crate::candidates::ToCandidates;
use crate::{Candidates, Choice, Pick, Policy, SubsetError, SubsetSettings, Subsets, Unavailable};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// A layer that finds the subset of endpoints for the [criteria](Pick::for_subset) of a request, or what to fall back to
/// ([`Subsets`]), and asks the policy of that subset. Priorities, localities and the like are layers inside it.
///
/// There is one policy for each subset that occurs, one for all endpoints and one for the default subset. O(selectors),
/// beside the policy; no allocation.
///
/// ```
/// use lb_select::{BySubset, Member, Pick, Policy, Pool, RoundRobin, SubsetSelector, SubsetSettings, Unavailable};
/// use std::time::Duration;
///
/// let pool = Pool::builder()
///     .member(Member::new("a", ()).label("version", "v1"))
///     .member(Member::new("b", ()).label("version", "v2"))
///     .build()?;
/// let settings = SubsetSettings::default().selector(SubsetSelector::new(["version"]));
/// let policy = BySubset::new(&pool, settings, |candidates| RoundRobin::new(candidates))?;
///
/// let mut words = || 0;
/// let mut ask = |version| policy.pick(&mut Pick::new(Duration::ZERO, &mut words).for_subset(&[("version", version)]));
/// assert_eq!(ask("v2")?.index, 1);
/// assert_eq!(ask("v3"), Err(Unavailable::NoSubset));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BySubset<P> {
    subsets: Subsets,
    policies: Box<[P]>,
}

impl<P> BySubset<P> {
    /// Divides endpoints by their labels; `build` makes the policy of each subset. O(n · subsets).
    ///
    /// # Errors
    /// Those of the settings, as [`Subsets::new`].
    pub fn new(
        candidates: &impl ToCandidates,
        settings: SubsetSettings,
        mut build: impl FnMut(&Candidates) -> P,
    ) -> Result<Self, SubsetError> {
        Self::try_new(candidates, settings, |part| Ok(build(part)))
    }

    /// The same with a `build` that may fail.
    ///
    /// # Errors
    /// Those of the settings and the first error of `build`.
    pub fn try_new<E: From<SubsetError>>(
        candidates: &impl ToCandidates,
        settings: SubsetSettings,
        mut build: impl FnMut(&Candidates) -> Result<P, E>,
    ) -> Result<Self, E> {
        let candidates = candidates.to_candidates();
        let none = BTreeMap::new();
        let labelled: Vec<_> = candidates.iter_in_any_health().map(|(index, e)| (index, e.all_labels())).collect();
        let subsets = Subsets::new(labelled.iter().map(|(_, labels)| labels.unwrap_or(&none)), settings)?;
        let mut policies = Vec::with_capacity(subsets.parts().len());
        for part in subsets.parts() {
            let indices: BTreeSet<usize> = part.iter().map(|&at| labelled[at].0).collect();
            policies.push(build(&candidates.clone().numbered_among(&indices))?);
        }
        Ok(Self { subsets, policies: policies.into() })
    }
}

impl<P: Policy> Policy for BySubset<P> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let part = self.subsets.part(pick.criteria()).ok_or(Unavailable::NoSubset)?;
        self.policies[part].pick(pick)
    }
}
