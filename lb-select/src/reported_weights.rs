//! Whose turn comes next, if endpoints say themselves what they can take? Client-side weighted round robin.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::edf::{EdfQueue, next_admitted};
use crate::share::Share;
use crate::{Choice, LoadReport, Pick, Reason, Sequence, Unavailable, default_weight};
use alloc::boxed::Box;
use core::time::Duration;

/// Weighted round robin by earliest deadline with weights from what endpoints report: Envoy's and gRPC's client-side weighted
/// round robin. Weights of the pool are ignored except 0.
///
/// A weight is `qps / (utilization + penalty · eps / qps)` ([`LoadReport::weight`]). Endpoints without a valid one get the
/// median of the valid ones. The caller calls [`update`](Self::update) every
/// [`UPDATE_INTERVAL`](ReportedWeightsSettings::UPDATE_INTERVAL); only then weights change. Takes no random word. O(log n) a
/// pick, O(n) an update.
#[derive(Debug, Clone)]
pub struct ReportedWeights {
    admission: Admission,
    members: Box<[Candidate]>,
    reported: Box<[Reported]>,
    queue: EdfQueue,
    settings: ReportedWeightsSettings,
}

/// The settings of [`ReportedWeights`], made from their [`Default`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct ReportedWeightsSettings {
    /// How much errors count against an endpoint: 1.0.
    pub error_penalty: f64,
    /// How long after the first report with content an endpoint's reports are not believed yet: 10 s.
    pub blackout: Duration,
    /// How long after the last report an endpoint's weight is valid: 180 s.
    pub expiry: Duration,
}

impl ReportedWeightsSettings {
    /// How often weights are to be updated: every second.
    pub const UPDATE_INTERVAL: Duration = Duration::from_secs(1);
}

impl Default for ReportedWeightsSettings {
    fn default() -> Self {
        Self { error_penalty: 1.0, blackout: Duration::from_secs(10), expiry: Duration::from_secs(180) }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Reported {
    weight: u32,
    /// The times of the first and the last report with content since the endpoint came or its weight expired.
    times: Option<(Duration, Duration)>,
}

impl ReportedWeights {
    /// Starts without reports, which is a plain round robin.
    pub fn new(candidates: &impl ToCandidates, settings: ReportedWeightsSettings) -> Self {
        let candidates = candidates.to_candidates();
        let members: Box<[Candidate]> = candidates.eligible().map(|member| Candidate { weight: 1, ..member }).collect();
        let queue = EdfQueue::new(members.iter().map(|member| Share::from(member.weight)));
        let reported = members.iter().map(|_| Reported::default()).collect();
        Self { admission: candidates.admission().clone(), members, reported, queue, settings }
    }

    /// The same over the next version of the pool: endpoints that stay keep their reports and weights.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        let mut new = Self::new(candidates, self.settings);
        let (before, after) = (self.admission.members(), new.admission.members());
        for (member, reported) in new.members.iter_mut().zip(&mut new.reported) {
            let old = after.key(member.index as usize).and_then(|key| before.position(key));
            if let Some(rank) = old.and_then(|old| rank(&self.members, old)) {
                (member.weight, *reported) = (self.members[rank].weight, self.reported[rank]);
            }
        }
        new.queue = EdfQueue::new(new.members.iter().map(|member| Share::from(member.weight)));
        new
    }

    /// Takes a report of the endpoint at `index`. One that gives no weight is not kept; nor is one of an endpoint that is
    /// not in the pool.
    pub fn report(&mut self, index: usize, report: &LoadReport, now: Duration) {
        let Some(rank) = rank(&self.members, index) else { return };
        if let Some(weight) = report.weight(self.settings.error_penalty) {
            let first = self.reported[rank].times.map_or(now, |(first, _)| first);
            self.reported[rank] = Reported { weight, times: Some((first, now)) };
        }
    }

    /// Makes the weights of the reports believed at this time the ones in use.
    pub fn update(&mut self, now: Duration) {
        let ReportedWeightsSettings { blackout, expiry, .. } = self.settings;
        for reported in &mut self.reported {
            reported.times = reported.times.filter(|&(_, last)| now.saturating_sub(last) <= expiry);
        }
        let valid = |reported: &Reported| {
            let (first, _) = reported.times?;
            (now.saturating_sub(first) >= blackout).then_some(reported.weight)
        };
        let default = default_weight(self.reported.iter().filter_map(valid));
        for (member, reported) in self.members.iter_mut().zip(&self.reported) {
            // A weight that was rounded down to 0 still is one.
            member.weight = valid(reported).unwrap_or(default).max(1);
        }
    }
}

fn rank(members: &[Candidate], index: usize) -> Option<usize> {
    members.binary_search_by_key(&index, |member| member.index as usize).ok()
}

impl Sequence for ReportedWeights {
    #[inline]
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let Self { admission, members, queue, .. } = self;
        let index = next_admitted(admission, members, queue, pick, |member| Share::from(member.weight))?;
        Ok(Choice::new(index, Reason::WeightedRoundRobin))
    }
}
