//! Which endpoints match what a request asks of their metadata?

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// What to do if no subset fits a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub enum SubsetFallback {
    /// No endpoint.
    None,
    /// Every endpoint.
    Any,
    /// The endpoints that match [`SubsetSettings::default_subset`].
    Default,
    /// Ask again with these of the criteria only: some, but not all, of the selector's keys.
    Keys(BTreeSet<String>),
}

/// A set of metadata keys by whose values endpoints are divided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub struct SubsetSelector {
    /// The keys; at least one.
    pub keys: BTreeSet<String>,
    /// What to do if no endpoint has the values asked for, in place of [`SubsetSettings::fallback`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub fallback: Option<SubsetFallback>,
}

impl SubsetSelector {
    /// A selector of these keys without a fallback of its own.
    pub fn new<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self { keys: keys.into_iter().map(Into::into).collect(), fallback: None }
    }

    /// The same selector with its own fallback.
    #[must_use]
    pub fn fallback(self, fallback: SubsetFallback) -> Self {
        Self { fallback: Some(fallback), ..self }
    }
}

/// How endpoints are divided into subsets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct SubsetSettings {
    /// The divisions there are.
    pub selectors: Vec<SubsetSelector>,
    /// What to do if no selector has exactly the keys of the request's criteria, or if no endpoint has the values and
    /// the selector says nothing itself. The default is [`SubsetFallback::None`].
    pub fallback: SubsetFallback,
    /// The metadata that endpoints of the default subset have.
    pub default_subset: BTreeMap<String, String>,
}

impl SubsetSettings {
    /// The same settings with one more selector.
    #[must_use]
    pub fn selector(mut self, selector: SubsetSelector) -> Self {
        self.selectors.push(selector);
        self
    }

    /// The same settings with this [`fallback`](Self#structfield.fallback).
    #[must_use]
    pub fn fallback(self, fallback: SubsetFallback) -> Self {
        Self { fallback, ..self }
    }

    /// The same settings with this [`default_subset`](Self#structfield.default_subset).
    #[must_use]
    pub fn default_subset(self, default_subset: BTreeMap<String, String>) -> Self {
        Self { default_subset, ..self }
    }
}

impl Default for SubsetSettings {
    fn default() -> Self {
        Self { selectors: Vec::new(), fallback: SubsetFallback::None, default_subset: BTreeMap::new() }
    }
}

/// Endpoints divided by their metadata, as Envoy's subset load balancer and Istio's subsets do it.
///
/// ```
/// use lb_select::{SubsetSelector, SubsetSettings, Subsets};
/// use std::collections::BTreeMap;
///
/// let version = |v: &str| BTreeMap::from([("version".to_string(), v.to_string())]);
/// let endpoints = [version("v1"), version("v2"), version("v1")];
/// let settings = SubsetSettings::default().selector(SubsetSelector::new(["version"]));
/// let subsets = Subsets::new(&endpoints, settings)?;
/// assert_eq!(subsets.lookup(&[("version", "v1")]), [0, 2]);
/// assert!(subsets.lookup(&[("version", "v3")]).is_empty()); // the fallback: nobody
/// # Ok::<(), lb_select::SubsetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subsets {
    divisions: Box<[Division]>,
    fallback: Fallback,
    /// All endpoints, those of the default subset, and then the subsets of each division.
    parts: Box<[Box<[usize]>]>,
}

/// The numbers of the first two parts.
const ALL: usize = 0;
const DEFAULT: usize = 1;

/// What one selector makes of the endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Division {
    /// Sorted and distinct.
    keys: Box<[Box<str>]>,
    fallback: Option<Fallback>,
    /// The values of `keys` and who has them, sorted by the values.
    subsets: Box<[Subset]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Subset {
    values: Box<[Box<str>]>,
    part: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fallback {
    None,
    Any,
    Default,
    /// The division of the reduced keys, if there is one.
    Division(Option<usize>),
}

impl Subsets {
    /// Divides endpoints, given by their metadata in the order of the pool. O(selectors × endpoints × log endpoints).
    ///
    /// # Errors
    /// Fails if a selector has no keys, has the keys of another one, or falls back to keys that are not a part of its
    /// own.
    pub fn new<'a>(
        endpoints: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
        settings: SubsetSettings,
    ) -> Result<Self, SubsetError> {
        let endpoints: Vec<&BTreeMap<String, String>> = endpoints.into_iter().collect();
        let SubsetSettings { selectors, fallback, default_subset } = settings;
        let find = |keys: &BTreeSet<String>| selectors.iter().position(|selector| selector.keys == *keys);
        let compile = |fallback: &SubsetFallback, of: Option<&BTreeSet<String>>| match fallback {
            SubsetFallback::None => Ok(Fallback::None),
            SubsetFallback::Any => Ok(Fallback::Any),
            SubsetFallback::Default => Ok(Fallback::Default),
            // Each step down has fewer keys, so following them comes to an end.
            SubsetFallback::Keys(keys) => match of {
                Some(own) if keys.is_subset(own) && keys.len() < own.len() => Ok(Fallback::Division(find(keys))),
                _ => Err(SubsetError::FallbackKeys(keys.iter().cloned().collect())),
            },
        };
        let is_default = |metadata: &BTreeMap<String, String>| {
            default_subset.iter().all(|(key, value)| metadata.get(key) == Some(value))
        };
        let default = (0..endpoints.len()).filter(|&index| is_default(endpoints[index])).collect();
        let mut parts: Vec<Box<[usize]>> = [(0..endpoints.len()).collect(), default].into();
        let mut divisions = Vec::with_capacity(selectors.len());
        for (index, selector) in selectors.iter().enumerate() {
            if selector.keys.is_empty() {
                return Err(SubsetError::NoKeys);
            }
            if find(&selector.keys) != Some(index) {
                return Err(SubsetError::RepeatedKeys(selector.keys.iter().cloned().collect()));
            }
            let fallback = selector.fallback.as_ref().map(|own| compile(own, Some(&selector.keys))).transpose()?;
            divisions.push(Division {
                keys: selector.keys.iter().map(|key| key.as_str().into()).collect(),
                fallback,
                subsets: divide(&selector.keys, &endpoints, &mut parts),
            });
        }
        Ok(Self { divisions: divisions.into(), fallback: compile(&fallback, None)?, parts: parts.into() })
    }

    /// The indices of the endpoints for a request with these criteria (each key once, in any order), in the order of
    /// the pool. Empty means: nobody.
    ///
    /// The criteria select a subset only if their keys are exactly those of a selector. O(selectors × keys²), plus
    /// O(log subsets); no allocation.
    pub fn lookup(&self, criteria: &[(&str, &str)]) -> &[usize] {
        self.part(criteria).map_or(&[], |part| &self.parts[part])
    }

    /// The number of the part for a request with these criteria; `None` for nobody.
    pub(crate) fn part(&self, criteria: &[(&str, &str)]) -> Option<usize> {
        let exact = |division: &&Division| {
            division.keys.len() == criteria.len() && division.keys.iter().all(|key| value(criteria, key).is_some())
        };
        let mut division = self.divisions.iter().find(exact);
        while let Some(current) = division {
            if let Some(subset) = current.find(criteria) {
                return Some(subset.part);
            }
            match &current.fallback {
                Some(Fallback::Division(next)) => division = next.map(|next| &self.divisions[next]),
                Some(fallback) => return fallback.part(),
                None => break,
            }
        }
        self.fallback.part()
    }

    /// The endpoints of each part.
    pub(crate) fn parts(&self) -> &[Box<[usize]>] {
        &self.parts
    }
}

impl Fallback {
    fn part(&self) -> Option<usize> {
        match self {
            Self::Any => Some(ALL),
            Self::Default => Some(DEFAULT),
            Self::None | Self::Division(_) => None,
        }
    }
}

impl Division {
    fn find(&self, criteria: &[(&str, &str)]) -> Option<&Subset> {
        let order = |subset: &Subset| {
            let pairs = self.keys.iter().zip(&subset.values);
            let unequal = pairs.map(|(key, have)| Some(&**have).cmp(&value(criteria, key)));
            unequal.fold(Ordering::Equal, Ordering::then)
        };
        self.subsets.binary_search_by(order).ok().map(|at| &self.subsets[at])
    }
}

fn value<'a>(criteria: &[(&str, &'a str)], key: &str) -> Option<&'a str> {
    criteria.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}

/// The endpoints that have all of `keys`, by their values; who they are becomes another of the `parts`.
fn divide(
    keys: &BTreeSet<String>,
    endpoints: &[&BTreeMap<String, String>],
    parts: &mut Vec<Box<[usize]>>,
) -> Box<[Subset]> {
    let mut subsets: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
    for (index, metadata) in endpoints.iter().enumerate() {
        let values: Option<Vec<&str>> = keys.iter().map(|key| metadata.get(key).map(String::as_str)).collect();
        if let Some(values) = values {
            subsets.entry(values).or_default().push(index);
        }
    }
    let owned = |values: Vec<&str>| values.into_iter().map(Box::from).collect();
    let subset = |(values, endpoints): (_, Vec<usize>)| {
        parts.push(endpoints.into());
        Subset { values: owned(values), part: parts.len() - 1 }
    };
    subsets.into_iter().map(subset).collect()
}

/// Why [`SubsetSettings`] are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubsetError {
    /// A selector has no keys.
    NoKeys,
    /// Two selectors have these keys.
    RepeatedKeys(Vec<String>),
    /// These fallback keys are not some, but not all, of their selector's keys; or they stand outside a selector.
    FallbackKeys(Vec<String>),
}

impl fmt::Display for SubsetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys => f.write_str("a subset selector has no keys"),
            Self::RepeatedKeys(keys) => write!(f, "two subset selectors have the keys {keys:?}"),
            Self::FallbackKeys(keys) => write!(f, "the fallback keys {keys:?} are not a part of their selector's keys"),
        }
    }
}

impl core::error::Error for SubsetError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn keys(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fallback_keys_lead_from_subset_to_subset() {
        let endpoints = [metadata(&[("v", "1"), ("zone", "a")]), metadata(&[("v", "1"), ("zone", "b")])];
        let settings = SubsetSettings::default()
            .selector(SubsetSelector::new(["v", "zone"]).fallback(SubsetFallback::Keys(keys(&["v"]))))
            .selector(SubsetSelector::new(["v"]).fallback(SubsetFallback::Any));
        let subsets = Subsets::new(&endpoints, settings).unwrap();
        assert_eq!(subsets.lookup(&[("zone", "b"), ("v", "1")]), [1]);
        assert_eq!(subsets.lookup(&[("zone", "c"), ("v", "1")]), [0, 1]);
        assert_eq!(subsets.lookup(&[("zone", "c"), ("v", "2")]), [0, 1], "the fallback of the selector of v");
        assert!(subsets.lookup(&[("zone", "b")]).is_empty(), "no selector has exactly these keys");
    }

    #[test]
    fn selectors_that_cannot_be_meant_are_refused() {
        let refused = |selector: SubsetSelector| {
            let settings = SubsetSettings::default().selector(SubsetSelector::new(["a"])).selector(selector);
            Subsets::new([], settings).unwrap_err()
        };
        assert_eq!(refused(SubsetSelector::new::<&str>([])), SubsetError::NoKeys);
        assert_eq!(refused(SubsetSelector::new(["a"])), SubsetError::RepeatedKeys(vec!["a".into()]));
        let fallback = SubsetSelector::new(["b"]).fallback(SubsetFallback::Keys(keys(&["b"])));
        assert_eq!(refused(fallback), SubsetError::FallbackKeys(vec!["b".into()]));
        let global = SubsetSettings::default().fallback(SubsetFallback::Keys(keys(&["b"])));
        assert_eq!(Subsets::new([], global), Err(SubsetError::FallbackKeys(vec!["b".into()])));
    }

    proptest! {
        /// Against the rule read as a filter over all endpoints.
        #[test]
        fn a_subset_holds_exactly_the_endpoints_with_the_values(
            endpoints in proptest::collection::vec(proptest::collection::btree_map("[ab]", "[xy]", 0..3), 0..12),
            a in "[xyz]", b in "[xyz]",
        ) {
            let settings = SubsetSettings::default()
                .selector(SubsetSelector::new(["a", "b"]))
                .selector(SubsetSelector::new(["b"]));
            let subsets = Subsets::new(&endpoints, settings).unwrap();
            for criteria in [&[("b", b.as_str()), ("a", a.as_str())][..], &[("b", b.as_str())]] {
                let expected: Vec<usize> = (0..endpoints.len())
                    .filter(|&i| criteria.iter().all(|(key, value)| endpoints[i].get(*key).is_some_and(|v| v == value)))
                    .collect();
                prop_assert_eq!(subsets.lookup(criteria), expected);
            }
        }
    }
}
