//! Which of several rules of one path can take this request? Many are filed by the value that a condition asks for.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;

use crate::condition::{Condition, Subject};
use crate::filed::{Extent, Filed, Rank};
use crate::request::Request;
use crate::slots::Slots;

/// The rules that are filed under one text.
///
/// Few are asked in turn. Of many, such as the matches of a VirtualService that differ in a header alone, a rule that
/// asks some part of the request for an exact value is filed by that value; of several such conditions it is the one that it
/// shares with the fewest. A look-up reads each part once, and asks only rules whose value is there; the others, which ask
/// for patterns, are asked in turn.
#[derive(Clone, Debug)]
pub(crate) enum Several {
    /// By extent, then rank.
    Few(Box<[(Extent, Rank)]>),
    Many(Box<[Group]>),
}

/// The rules of one extent that are filed alike.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    extent: Extent,
    /// The part of the request by whose value they are filed; `None`: none, and there is one list.
    subject: Option<Subject<Box<str>>>,
    /// Over the lists, by the hash of the value.
    slots: Slots,
    /// The hash of a value, and the rules that ask for it. Values of equal hashes share a list; the rules tell them apart.
    lists: Box<[(u64, Box<[Rank]>)]>,
    least: u32,
}

/// So few rules are asked in turn.
const FEW: usize = 16;

impl Several {
    /// Files the rules of a text, given by rank.
    pub(crate) fn new(hash: &FixedState, mut rules: Vec<Filed<'_>>) -> Self {
        rules.sort_by_key(|rule| rule.extent);
        if rules.len() <= FEW {
            return Self::Few(rules.iter().map(|rule| (rule.extent, rule.rank)).collect());
        }
        let all_keys: Vec<_> = rules.iter().map(|rule| keys(hash, rule)).collect();
        let mut sharers: BTreeMap<_, usize> = BTreeMap::new();
        for key in all_keys.iter().flatten() {
            *sharers.entry(*key).or_default() += 1;
        }
        let mut groups: BTreeMap<_, BTreeMap<u64, Vec<Rank>>> = BTreeMap::new();
        for (rule, keys) in rules.iter().zip(&all_keys) {
            let key = keys.iter().min_by_key(|key| sharers[key]);
            let (subject, value) = key.map_or((None, 0), |(_, subject, value)| (Some(*subject), *value));
            groups.entry((rule.extent, subject)).or_default().entry(value).or_default().push(rule.rank);
        }
        let groups = groups.into_iter().map(|((extent, subject), lists)| Group {
            extent,
            subject: subject.map(Subject::into_owned),
            slots: Slots::new(lists.keys().copied().zip(0u32..).collect::<Vec<_>>().into_iter()),
            least: lists.values().flatten().map(|rank| rank.rank()).min().unwrap_or_default(),
            lists: lists.into_iter().map(|(value, ranks)| (value, ranks.into())).collect(),
        });
        Self::Many(groups.collect())
    }

    /// The smallest rank below `best` whose rule takes the request, of those whose extent `covers` the path, or `best`.
    pub(crate) fn best(
        &self,
        hash: &FixedState,
        request: &Request<'_>,
        mut best: u32,
        covers: impl Fn(Extent) -> bool,
        accepts: &mut impl FnMut(Rank) -> bool,
    ) -> u32 {
        match self {
            Self::Few(rules) => {
                for of_extent in rules.chunk_by(|(a, _), (b, _)| a == b).filter(|rules| covers(rules[0].0)) {
                    best = Rank::first(of_extent.iter().map(|(_, rank)| *rank), best, accepts);
                }
            }
            Self::Many(groups) => {
                for group in groups.iter().filter(|group| covers(group.extent)) {
                    if group.least < best
                        && let Some(ranks) = group.ranks(hash, request)
                    {
                        best = Rank::first(ranks.iter().copied(), best, accepts);
                    }
                }
            }
        }
        best
    }
}

impl Group {
    /// The rules whose value the request has.
    fn ranks(&self, hash: &FixedState, request: &Request<'_>) -> Option<&[Rank]> {
        let list = match &self.subject {
            None => 0,
            Some(subject) => {
                let value = subject.value_hash(hash, request)?;
                self.slots.find(value, |list| self.lists[list as usize].0 == value)?
            }
        };
        Some(&self.lists[list as usize].1)
    }
}

/// By what the rule can be filed: each part of a request that it asks for an exact value, and the value's hash.
fn keys<'p>(hash: &FixedState, rule: &Filed<'p>) -> Vec<(Extent, Subject<&'p str>, u64)> {
    let conditions: &'p [Condition] = rule.conditions;
    let exact = conditions.iter().filter_map(Condition::exact);
    exact.map(|(subject, value)| (rule.extent, subject, value.hash(hash))).collect()
}
