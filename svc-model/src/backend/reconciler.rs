//! What is due now? A state machine between a view and a backend, driven by the embedder's clock.

use std::error::Error;
use std::time::Duration;

use super::capabilities::Capabilities;
use super::plan::{Generation, Plan};
use super::{ApplyError, Backend, Observed, Report};
use crate::view::{Delta, NodeView};

/// How often what is done, made from its [`Default`]: kube-proxy's times.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// The longest time between full plans, since others change rules, too: 30 s.
    pub full: Duration,
    /// The time between checks whether all is still there ([`Backend::is_intact`]): 10 s.
    pub check: Duration,
    /// The shortest time between plans, so that changes gather: 1 s.
    pub gather: Duration,
    /// The time before the first further attempt after a failure; it doubles with each, up to [`full`](Self::full): 1 s.
    pub retry: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        let [full, check, gather, retry] = [30, 10, 1, 1].map(Duration::from_secs);
        Schedule { full, check, gather, retry }
    }
}

impl Schedule {
    /// With this [`full`](Self#structfield.full).
    #[must_use]
    pub fn full(self, full: Duration) -> Self {
        Schedule { full, ..self }
    }

    /// With this [`check`](Self#structfield.check).
    #[must_use]
    pub fn check(self, check: Duration) -> Self {
        Schedule { check, ..self }
    }

    /// With this [`gather`](Self#structfield.gather).
    #[must_use]
    pub fn gather(self, gather: Duration) -> Self {
        Schedule { gather, ..self }
    }

    /// With this [`retry`](Self#structfield.retry).
    #[must_use]
    pub fn retry(self, retry: Duration) -> Self {
        Schedule { retry, ..self }
    }
}

/// Decides what a backend is to do next.
///
/// | state | next |
/// | --- | --- |
/// | the first lists are not complete | nothing |
/// | what is installed is not known (at first; after [`Partial`](ApplyError::Partial) or [`Unknown`](ApplyError::Unknown)) | read back, then a full plan |
/// | refused, of another base, no longer intact, or the node's settings changed | a full plan |
/// | in step | differences as they come, a check and a full plan now and then |
///
/// After a failure it waits, longer each time. Changes gather while it waits, and are lost in no case: until a plan has
/// succeeded, what differs is counted from the last that has.
///
/// [`run`](Self::run) does all of it; who drives a backend that is no [`Backend`] of this crate (asynchronous, say) asks
/// [`step`](Self::step), does it with [`plan`](Self::plan), and tells the outcome.
#[derive(Clone, Debug)]
pub struct Reconciler {
    schedule: Schedule,
    state: State,
    /// What differs from what is installed.
    pending: Delta,
    /// The last generation handed out or seen.
    generation: Generation,
    latest: Duration,
    not_before: Duration,
    full_at: Duration,
    check_at: Duration,
    failures: u32,
    /// Whether the last plan left ports out for want of room. Then one that goes makes room for one that did not change.
    lacked_room: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Listing,
    Lost,
    Behind,
    InStep(Generation),
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing before this time, unless something changes; `None` if nothing at all.
    Idle {
        /// When to ask again.
        until: Option<Duration>,
    },
    /// [`Backend::read_back`], then [`Reconciler::observed`].
    ReadBack,
    /// [`Backend::is_intact`], then [`Reconciler::checked`].
    Check,
    /// [`Reconciler::plan`] and [`Backend::apply`], then [`Reconciler::applied`]: a full plan.
    Full,
    /// The same with a difference.
    Delta,
}

/// What [`Reconciler::run`] has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<E: Error> {
    /// Nothing is due before this time, unless something changes; `None` if nothing at all.
    Idle {
        /// When to run again.
        until: Option<Duration>,
    },
    /// What is installed is known again; these belong to others and are in the way.
    ReadBack {
        /// See [`Observed::collisions`].
        collisions: Vec<String>,
    },
    /// Whether all is still there; if not, a full plan is next.
    Checked {
        /// As the backend says.
        intact: bool,
    },
    /// A plan is in place.
    Applied {
        /// Its number.
        generation: Generation,
        /// What it took.
        report: Report,
    },
    /// Something failed; it will be tried again.
    Failed(Failure<E>),
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure<E: Error> {
    /// What is installed could not be read.
    #[error("reading back: {0}")]
    ReadBack(#[source] E),
    /// A plan was not applied, or not whole.
    #[error("applying generation {generation}: {error}")]
    Apply {
        /// Its number.
        generation: Generation,
        /// How.
        error: ApplyError<E>,
    },
}

impl Reconciler {
    /// One that waits for the first lists. Times of the schedule below a millisecond count as one, so that it always comes
    /// to rest.
    pub fn new(schedule: Schedule) -> Reconciler {
        let Schedule { full, check, gather, retry } = schedule;
        let [full, check, retry] = [full, check, retry].map(|time| time.max(Duration::from_millis(1)));
        let schedule = Schedule { full, check, gather, retry };
        Reconciler {
            schedule,
            state: State::Listing,
            pending: Delta::default(),
            generation: Generation(0),
            latest: Duration::ZERO,
            not_before: Duration::ZERO,
            full_at: Duration::ZERO,
            check_at: Duration::ZERO,
            failures: 0,
            lacked_room: false,
        }
    }

    /// The first full lists of Services and of their endpoints are in the view. Until then nothing is written: half a list would
    /// remove what is served.
    pub fn lists_complete(&mut self) {
        if self.state == State::Listing {
            self.state = State::Lost;
        }
    }

    /// The view has changed by this.
    pub fn changed(&mut self, delta: Delta) {
        self.pending.extend(delta);
    }

    /// The generation that is known to be installed.
    pub fn installed(&self) -> Option<Generation> {
        match self.state {
            State::InStep(generation) => Some(generation),
            _ => None,
        }
    }

    /// Whether the backend is in step with the view, as far as is known, and nothing but what comes now and then is due.
    pub fn is_settled(&self) -> bool {
        self.installed().is_some() && self.pending.is_empty()
    }

    /// What is due at this time. Time counts from any start, and where it goes back it stands still.
    pub fn step(&mut self, now: Duration) -> Step {
        let now = self.at(now);
        if self.state == State::Listing {
            return Step::Idle { until: None };
        }
        let waits = now < self.not_before;
        match self.state {
            _ if waits && !matches!(self.state, State::InStep(_)) => Step::Idle { until: Some(self.not_before) },
            State::Listing | State::Lost => Step::ReadBack,
            State::Behind => Step::Full,
            // Settings of the node concern what all ports share.
            State::InStep(_) if (now >= self.full_at || self.pending.settings) && !waits => Step::Full,
            // Before a difference, which is worth nothing if what it starts from is gone.
            State::InStep(_) if now >= self.check_at => Step::Check,
            State::InStep(_) if !self.pending.is_empty() && !waits => Step::Delta,
            State::InStep(_) => {
                let plan_at = if self.pending.is_empty() { self.full_at } else { self.full_at.min(self.not_before) };
                Step::Idle { until: Some(plan_at.max(self.not_before).min(self.check_at)) }
            }
        }
    }

    /// The plan for [`Step::Full`] or [`Step::Delta`], with a new generation.
    pub fn plan<'a>(&'a mut self, step: Step, view: &'a NodeView, capabilities: &'a Capabilities) -> Plan<'a> {
        self.generation.0 = self.generation.0.saturating_add(1);
        // With too many ports, which ones are served is a matter of all of them.
        let has_room = capabilities.has_room_for(view);
        let had_room = !std::mem::replace(&mut self.lacked_room, !has_room);
        match (step, self.state) {
            (Step::Delta, State::InStep(base)) if had_room && has_room => {
                Plan::delta(self.generation, base, view, &self.pending, capabilities)
            }
            _ => Plan::full(self.generation, view, &self.pending, capabilities),
        }
    }

    /// The last plan had this outcome.
    pub fn applied<E: Error>(&mut self, now: Duration, step: Step, outcome: &Result<Report, ApplyError<E>>) {
        let now = self.at(now);
        match outcome {
            Ok(_) => {
                self.pending = Delta::default();
                self.state = State::InStep(self.generation);
                self.failures = 0;
                self.not_before = now.saturating_add(self.schedule.gather);
                if step == Step::Full {
                    self.check_at = now.saturating_add(self.schedule.check);
                    self.full_at = now.saturating_add(self.schedule.full);
                }
            }
            // Nothing changed, and what helps is known: no need to wait.
            Err(ApplyError::NeedFull) if step == Step::Delta => self.state = State::Behind,
            Err(ApplyError::NeedFull | ApplyError::Rejected { .. }) => {
                self.state = State::Behind;
                self.back_off(now);
            }
            Err(ApplyError::Partial { .. } | ApplyError::Unknown { .. }) => {
                self.state = State::Lost;
                self.back_off(now);
            }
        }
    }

    /// What is installed was read back, or could not be.
    pub fn observed<A, E: Error>(&mut self, now: Duration, outcome: &Result<Observed<A>, E>) {
        let now = self.at(now);
        match outcome {
            Ok(observed) => {
                // Numbers go on from where a process before this one left off.
                self.generation = self.generation.max(observed.generation.unwrap_or_default());
                self.state = State::Behind;
            }
            Err(_) => self.back_off(now),
        }
    }

    /// All is still there, or not, or nobody knows.
    pub fn checked<E: Error>(&mut self, now: Duration, outcome: &Result<bool, E>) {
        let now = self.at(now);
        self.check_at = now.saturating_add(self.schedule.check);
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                self.state = State::Behind;
                self.not_before = now;
            }
            Err(_) => {
                self.state = State::Lost;
                self.back_off(now);
            }
        }
    }

    /// Does what is due at this time, one step of it; call again until it is idle.
    pub fn run<B: Backend>(&mut self, now: Duration, view: &NodeView, backend: &mut B) -> Progress<B::Error> {
        let step = self.step(now);
        match step {
            Step::Idle { until } => Progress::Idle { until },
            Step::ReadBack => {
                let outcome = backend.read_back();
                self.observed(now, &outcome);
                match outcome {
                    Ok(Observed { collisions, .. }) => Progress::ReadBack { collisions },
                    Err(error) => Progress::Failed(Failure::ReadBack(error)),
                }
            }
            Step::Check => {
                let outcome = backend.is_intact();
                self.checked(now, &outcome);
                match outcome {
                    Ok(intact) => Progress::Checked { intact },
                    Err(error) => Progress::Failed(Failure::ReadBack(error)),
                }
            }
            Step::Full | Step::Delta => {
                let capabilities = backend.capabilities();
                let outcome = backend.apply(&self.plan(step, view, &capabilities));
                self.applied(now, step, &outcome);
                let generation = self.generation;
                match outcome {
                    Ok(report) => Progress::Applied { generation, report },
                    Err(error) => Progress::Failed(Failure::Apply { generation, error }),
                }
            }
        }
    }

    fn at(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn back_off(&mut self, now: Duration) {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(self.schedule.retry.saturating_mul(factor).min(self.schedule.full));
    }
}
