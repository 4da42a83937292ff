//! How did the questions fare? What was asked, what was left out and why, and what differs.

use std::collections::BTreeMap;

/// The differences that a failure shows.
const SHOWN: usize = 12;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    asked: usize,
    left_out: BTreeMap<&'static str, usize>,
    outcomes: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl Tally {
    /// Notes why a question is not asked; whether there is a reason.
    pub(crate) fn leaves_out(&mut self, why: Option<&'static str>) -> bool {
        if let Some(why) = why {
            *self.left_out.entry(why).or_default() += 1;
        }
        why.is_some()
    }

    /// Notes a question, and how the answers differ.
    pub(crate) fn asked(&mut self, wrong: Option<String>) {
        self.asked += 1;
        self.wrong.extend(wrong);
    }

    /// Notes of which kind a decision is.
    pub(crate) fn decided(&mut self, kind: &'static str) {
        *self.outcomes.entry(kind).or_default() += 1;
    }

    /// Fails if answers differ, if fewer questions were asked than `least`, or fewer that were decided in one way than `of_a_kind`.
    pub(crate) fn end(&self, least: usize, of_a_kind: usize) {
        let Self { asked, left_out, outcomes, wrong } = self;
        println!("{asked} asked: {outcomes:?}; left out: {left_out:#?}");
        assert!(wrong.is_empty(), "{} of {asked} differ\n{}", wrong.len(), wrong[..wrong.len().min(SHOWN)].join("\n"));
        assert!(*asked >= least, "only {asked} could be asked");
        assert!(outcomes.values().all(|count| *count > of_a_kind), "too few of a kind: {outcomes:?}");
    }
}
