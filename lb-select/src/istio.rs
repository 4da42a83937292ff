//! What do Istio's locality settings make of endpoint groups? Priorities and weights.

use crate::Locality;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// `localityLbSetting.failover[]`: to which region traffic of a region goes first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Failover {
    /// The region of the proxy.
    pub from: String,
    /// The region that goes before other foreign ones.
    pub to: String,
}

/// The priorities of endpoint groups by locality, as Istio assigns them (`applyLocalityFailover`).
///
/// 0 for the proxy's own region, zone and sub-zone; 1 for region and zone; 2 for the region; 3 for other regions, and for
/// groups without locality; 4 for those of them that are not the one the first rule of the proxy's region names. Then gaps
/// are closed. Applies only where outlier detection does, or nothing would ever be failed over. O(groups × rules).
///
/// ```
/// use lb_select::{Failover, Locality, failover_priorities};
///
/// let groups = ["r1/z1/s1", "r3", "r2"].map(Locality::from);
/// let failover = [Failover { from: "r1".into(), to: "r2".into() }];
/// assert_eq!(failover_priorities(&"r1/z1/s1".into(), &groups, &failover), [0, 2, 1]);
/// ```
pub fn failover_priorities(proxy: &Locality, groups: &[Locality], failover: &[Failover]) -> Vec<u32> {
    let to = failover.iter().find(|rule| rule.from == proxy.region()).map(|rule| rule.to.as_str());
    let priority = |group: &Locality| match shared_levels(proxy, group) {
        0 if to.is_some_and(|to| group.is_unknown() || group.region() != to) => 4,
        shared => 3 - shared,
    };
    compact(groups.iter().map(priority).collect())
}

/// How many of region, zone and sub-zone agree, counted from the region on. Unknown places agree with nothing.
fn shared_levels(a: &Locality, b: &Locality) -> u32 {
    if a.is_unknown() || b.is_unknown() || a.region() != b.region() {
        0
    } else if a.zone() != b.zone() {
        1
    } else if a.sub_zone() != b.sub_zone() {
        2
    } else {
        3
    }
}

/// The same order in the numbers 0, 1, 2 and so on.
fn compact(priorities: Vec<u32>) -> Vec<u32> {
    let mut distinct = priorities.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // Every priority is among the distinct ones, of which there are fewer than 2^32.
    priorities.iter().map(|priority| distinct.partition_point(|known| known < priority) as u32).collect()
}

/// A label of `localityLbSetting.failoverPriority[]`: a name, compared with the proxy's own value, or `name=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FailoverLabel {
    /// The name of the label.
    pub name: String,
    /// The value it is compared with in place of the proxy's.
    pub value: Option<String>,
}

impl FromStr for FailoverLabel {
    type Err = core::convert::Infallible;

    /// Whatever follows the first `=` is the value.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('=') {
            Some((name, value)) => Self { name: name.into(), value: Some(value.into()) },
            None => Self { name: text.into(), value: None },
        })
    }
}

impl fmt::Display for FailoverLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.value.iter().try_for_each(|value| write!(f, "={value}"))
    }
}

/// The label of an endpoint's network, which counts apart when it is the first of the list.
const NETWORK: &str = "topology.istio.io/network";

/// The priorities of endpoints by labels, as Istio assigns them for `failoverPriority`.
///
/// With `k` labels, an endpoint that first differs in label number `j` (from 0) has priority `k − j`, one that differs in
/// none 0. If the first label is the network's and differs, that adds `k`, and the rest is still compared. Then gaps are
/// closed. A label that is missing on both sides agrees. Labels are given by functions from name to value.
///
/// O(endpoints × labels).
pub fn failover_label_priorities<'a, L>(
    labels: &[FailoverLabel],
    proxy: impl Fn(&str) -> Option<&'a str>,
    endpoints: impl IntoIterator<Item = L>,
) -> Vec<u32>
where
    L: Fn(&str) -> Option<&'a str>,
{
    let k = labels.len() as u32; // a list that fits memory twice over has fewer than 2^32
    let priority = |endpoint: L| {
        let differs = |label: &FailoverLabel| {
            let wanted = label.value.as_deref().or_else(|| proxy(&label.name)).unwrap_or_default();
            endpoint(&label.name).unwrap_or_default() != wanted
        };
        let (network, rest) = match labels.split_first() {
            Some((first, rest)) if first.name == NETWORK => (differs(first), rest),
            _ => (false, labels),
        };
        let left = rest.iter().position(differs).map_or(0, |at| (rest.len() - at) as u32);
        left + if network { k } else { 0 }
    };
    compact(endpoints.into_iter().map(priority).collect())
}

/// `localityLbSetting.distribute[]`: how traffic from a place is divided among places.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Distribute {
    /// The place of the proxy: `region/zone/sub-zone`, where `*` stands for any and what is missing for all.
    pub from: String,
    /// Places in the same form and their percentages, in order: a group belongs to the first that fits.
    pub to: Vec<(String, u32)>,
}

/// The weights of endpoint groups by locality and own weight, as Istio computes them from the first rule for the
/// proxy's place (`applyLocalityWeights`). `None` if no rule is for it: weights stay.
///
/// Each percentage is divided among its groups by their weights, each part rounded up; groups of no percentage get 0.
/// O(groups × places).
pub fn distribute_weights(proxy: &Locality, groups: &[(Locality, u32)], rules: &[Distribute]) -> Option<Vec<u32>> {
    let rule = rules.iter().find(|rule| matches(proxy, &rule.from))?;
    let place = |group: &Locality| rule.to.iter().position(|(to, _)| matches(group, to));
    let places: Vec<Option<usize>> = groups.iter().map(|(group, _)| place(group)).collect();
    let mut sums: Vec<u64> = rule.to.iter().map(|_| 0).collect();
    for (place, (_, weight)) in places.iter().zip(groups) {
        if let Some(place) = place {
            sums[*place] += u64::from(*weight);
        }
    }
    let weight = |(place, (_, weight)): (&Option<usize>, &(Locality, u32))| {
        let Some(place) = *place else { return 0 };
        let part = (u64::from(*weight) * u64::from(rule.to[place].1)).div_ceil(sums[place].max(1));
        u32::try_from(part).unwrap_or(u32::MAX)
    };
    Some(places.iter().zip(groups).map(weight).collect())
}

/// Whether a place fits a pattern (`util.LocalityMatch`), level by level: `*` fits any, and so does a missing zone or
/// sub-zone.
fn matches(place: &Locality, pattern: &str) -> bool {
    let mut levels = pattern.splitn(3, '/');
    let mut fits = |part: &str, may_be_missing: bool| match levels.next().unwrap_or_default() {
        "*" => true,
        "" => may_be_missing || part.is_empty(),
        level => level == part,
    };
    fits(place.region(), false) & fits(place.zone(), true) & fits(place.sub_zone(), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn groups(texts: &[&str]) -> Vec<Locality> {
        texts.iter().map(|&text| text.into()).collect()
    }

    #[test]
    fn a_group_without_locality_is_foreign() {
        let proxy = "r1/z1".into();
        assert_eq!(failover_priorities(&proxy, &groups(&["r1/z2", "", "r2"]), &[]), [0, 1, 1]);
        let failover =
            [Failover { from: "r1".into(), to: "r2".into() }, Failover { from: "r1".into(), to: "r3".into() }];
        assert_eq!(failover_priorities(&proxy, &groups(&["r1/z2", "", "r2", "r3"]), &failover), [0, 2, 1, 2]);
    }

    #[test]
    fn labels_can_name_the_value_they_want() {
        let labels: Vec<FailoverLabel> = ["a=1", "b"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(labels[0].to_string(), "a=1");
        let of = |a: &'static str, b: &'static str| {
            move |name: &str| match name {
                "a" => Some(a),
                "b" => Some(b),
                _ => None,
            }
        };
        let endpoints = [of("9", "y"), of("1", "y"), of("1", "x")];
        assert_eq!(failover_label_priorities(&labels, of("9", "x"), endpoints), [2, 1, 0]);
    }

    #[test]
    fn wildcards_divide_by_weight_and_an_earlier_place_takes_its_groups() {
        let rule = Distribute { from: "r1/*".into(), to: vec![("r1/z1/*".into(), 70), ("r1/*".into(), 30)] };
        let rules = &[rule];
        let groups: Vec<(Locality, u32)> = [("r1/z1/a", 1), ("r1/z1/b", 2), ("r1/z2", 1), ("r2", 5)]
            .into_iter()
            .map(|(text, weight)| (text.into(), weight))
            .collect();
        assert_eq!(distribute_weights(&"r1/z9".into(), &groups, rules), Some(vec![24, 47, 30, 0]));
        assert_eq!(distribute_weights(&"r2".into(), &groups, rules), None);
        assert!(matches(&"r1/z1".into(), "*/z1") && !matches(&"r1/z2".into(), "*/z1"));
    }
}
