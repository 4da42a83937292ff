//! What is known to be there? What each Service port has in the chains that all share, as lines, and what its own chains are called.
//!
//! The kernel takes those shared chains whole or not at all. So a difference writes the lines that were kept, one after another, with new ones
//! for the Service ports that it concerns; of nobody else anything is rendered.

use std::collections::BTreeMap;

use driver_kit::concerned;
use svc_model::ServicePortKey;
use svc_model::addr::IpFamily;
use svc_model::backend::Plan;

use crate::diff::{Batch, Comparison, FilterChain, Patch, filter_batches, in_order, turnover};
use crate::names::ChainName;
use crate::parse::Saved;
use crate::print::{Style, Words};
use crate::render::{Options, Renderer, is_large};
use crate::rule::Rule;
use crate::ruleset::{Fragment, Place, Ruleset, Table};

/// A family's tables by what they are made of.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) family: IpFamily,
    pub(crate) style: Style,
    /// The chains that are there even if they hold nothing.
    fixed: Vec<Place>,
    frame: Kept,
    /// In the order of their rules.
    ports: BTreeMap<ServicePortKey, Kept>,
}

/// What is kept of a fragment.
#[derive(Clone, Debug, Default)]
struct Kept {
    lines: Vec<(Place, Box<str>)>,
    chains: Vec<ChainName>,
}

impl Made {
    /// What a full plan wants, and what brings the tables there from what was read back. O(n log n).
    pub(crate) fn new(plan: &Plan<'_>, family: IpFamily, options: &Options, found: &Saved) -> (Made, Patch) {
        let style = options.profile.style();
        let mut renderer = Renderer::new(plan.view, family, options, plan_is_large(plan, options));
        let mut shared = renderer.shared_chains();
        let fixed = shared.keys().copied().collect();
        let mut comparison = Comparison::new(found, family, style);
        let mut keep = |fragment: Fragment| {
            let kept = Kept::of(&fragment, family, style);
            fragment.chains.iter().for_each(|(name, rules)| comparison.nat(name, rules));
            fragment.shared.into_iter().for_each(|(place, rule)| shared.entry(place).or_default().push(rule));
            kept
        };
        let frame = keep(renderer.frame());
        let of_family = plan.ports().filter(|port| port.family == family);
        let ports = of_family.map(|port| (ServicePortKey::from(port.id()), keep(renderer.port(port)))).collect();
        let mut rules = Ruleset::new(family, style);
        rules.share(shared);
        rules.nat.iter().for_each(|(name, rules)| comparison.nat(name, rules));
        let patch = comparison.finish(&rules.filter);
        (Made { family, style, fixed, frame, ports }, patch)
    }

    /// Follows a difference; what brings the tables along. It renders what it concerns, and copies what all share.
    pub(crate) fn follow(&mut self, plan: &Plan<'_>, options: &Options) -> Patch {
        let Made { family, style, .. } = *self;
        let concerned = concerned(plan, family);
        if concerned.is_empty() {
            return Patch { batches: Vec::new() };
        }
        let is_large = plan_is_large(plan, options);
        let mut renderer = Renderer::new(plan.view, family, options, is_large);
        let mut nat = Batch::new(family, style, Table::Nat);
        // By chain of filter, the lines that the ports had and have there.
        let mut filter: BTreeMap<&'static str, [Vec<Box<str>>; 2]> = BTreeMap::new();
        for (key, port) in concerned {
            let old = self.ports.remove(&key).unwrap_or_default();
            let new = port.map(|port| {
                let fragment = renderer.port(&port);
                fragment.chains.iter().for_each(|(name, rules)| nat.fill(name, rules));
                Kept::of(&fragment, family, style)
            });
            for (i, kept) in [Some(&old), new.as_ref()].into_iter().enumerate() {
                let lines = kept.into_iter().flat_map(|kept| &kept.lines);
                for (place, line) in lines.filter(|(place, _)| place.table == Table::Filter) {
                    filter.entry(place.chain).or_default()[i].push(line.clone());
                }
            }
            let names = new.as_ref().map(|new| new.chains.as_slice()).unwrap_or_default();
            // What is stale in a large cluster waits for the next full plan.
            if !is_large {
                turnover(&old.chains, names).0.into_iter().for_each(|name| nat.delete(name));
            }
            self.ports.extend(new.map(|new| (key, new)));
        }
        let mut shared = self.shared();
        let in_nat = shared.iter().filter(|((table, _), _)| *table == Table::Nat);
        in_nat.for_each(|((_, chain), lines)| nat.fill_lines(ChainName::fixed(chain), lines));
        let differing = filter.iter().filter(|(_, [before, after])| before != after);
        let differing = differing.map(|(name, [before, after])| {
            let (gone, gains) = turnover(before, after);
            let gone = gone.into_iter().map(|line| &**line).collect();
            let lines = shared.remove(&(Table::Filter, *name)).unwrap_or_default();
            FilterChain { name: ChainName::fixed(name), lines, gone, gains }
        });
        let [first, last] = filter_batches(family, style, &differing.collect::<Vec<_>>());
        in_order([first, nat, last])
    }

    /// The lines of the chains that all share.
    fn shared(&self) -> BTreeMap<(Table, &'static str), String> {
        let mut parts: BTreeMap<Place, String> = self.fixed.iter().map(|place| (*place, String::new())).collect();
        for (place, line) in [&self.frame].into_iter().chain(self.ports.values()).flat_map(|kept| &kept.lines) {
            parts.entry(*place).or_default().push_str(line);
        }
        let mut chains = BTreeMap::<_, String>::new();
        for (Place { table, chain, .. }, lines) in parts {
            chains.entry((table, chain)).or_default().push_str(&lines);
        }
        chains
    }
}

impl Kept {
    fn of(fragment: &Fragment, family: IpFamily, style: Style) -> Kept {
        let line = |(place, rule): &(Place, Rule)| {
            let mut line = String::with_capacity(LINE);
            // Text in memory takes everything.
            let _ = Words { rule, style, family }.line(&mut line, place.chain);
            (*place, line.into_boxed_str())
        };
        Kept {
            lines: fragment.shared.iter().map(line).collect(),
            chains: fragment.chains.iter().map(|(name, _)| *name).collect(),
        }
    }
}

/// Few lines are longer.
const LINE: usize = 256;

fn plan_is_large(plan: &Plan<'_>, options: &Options) -> bool {
    is_large(plan.ports().map(|port| &**port), options)
}
