//! How does a dataplane follow a view? The trait that drivers implement, the plans they are given, and who decides when.
//!
//! | part | who writes it | what it does |
//! | --- | --- | --- |
//! | [`Backend`] | you | makes a kernel or a proxy do what a [`Plan`] says, and reads back what is there |
//! | [`Plan`] | the reconciler | the whole view, or what differs from the plan before; what to forget; what you cannot do |
//! | [`Reconciler`] | this crate | says what is due: read back, all, a difference, a check; after a failure, too |
//! | [`ReferenceBackend`] | this crate | a backend in memory that answers packets: how one is written, and something to test with |
//!
//! Nothing here runs by itself, waits or logs: batches are data, time is an argument, and what went wrong is returned.
//!
//! ```
//! use std::time::Duration;
//! use svc_model::backend::{Backend, Progress, Reconciler, ReferenceBackend, Schedule};
//! use svc_model::{Cluster, NodeSettings, NodeView};
//!
//! let mut cluster = Cluster::new(); // fed by a watch
//! let mut view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some("node-1"))?);
//! let mut backend = ReferenceBackend::default(); // yours
//! let mut reconciler = Reconciler::new(Schedule::default());
//! reconciler.lists_complete(); // nothing is written before the first full lists of Services and slices are in
//!
//! // At every change of the cluster: what it touched brings the view up to date, and the difference goes to the reconciler.
//! # let service = svc_model::api::Service::default();
//! let change = cluster.apply(service);
//! reconciler.changed(view.update(&cluster, &change.touched));
//!
//! // Whenever something changed or the time has come: one step after another, until there is nothing to do.
//! let now = Duration::ZERO; // your monotonic clock
//! loop {
//!     match reconciler.run(now, &view, &mut backend) {
//!         Progress::Idle { until } => break drop(until), // sleep until then, or until the next change
//!         Progress::Failed(error) => eprintln!("{error}"), // it will be tried again; go on
//!         progress => println!("{progress:?}"),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capabilities;
mod plan;
mod reconciler;
mod reference;

use std::error::Error;
use std::fmt;

pub use capabilities::{Capabilities, Unsupported};
pub use plan::{Generation, Plan, PlanMode};
pub use reconciler::{Failure, Progress, Reconciler, Schedule, Step};
pub use reference::{Met, ReferenceArtifact, ReferenceBackend, ReferenceError};

use crate::kind::ObjectRef;

/// A dataplane that can be made to do what a view says: iptables, nftables, IPVS, eBPF, a proxy.
///
/// A driver is easiest to write and to test in four parts, of which only the last touches anything: `render` (view to
/// artifact), `diff` (artifact and artifact to batches), `parse` (what was read back to artifact), and an executor of batches.
///
/// A backend derives no policy from objects: which endpoints count, and which facts, stands in each
/// [`ServicePort`](crate::ServicePort) of the plan. How they combine for a packet is this table, top to bottom (`cluster` and `local` are
/// the two lists; masquerade also whatever goes to its own source); [`ReferenceBackend`] has it in code:
///
/// | frontend | when | what |
/// | --- | --- | --- |
/// | load balancer address | the source is in no `source_ranges` (none: all), nor one of the port's load balancer addresses while a range holds the node's | drop; before the next line in nftables mode, after it otherwise |
/// | any | not `has_any_endpoints` | reject |
/// | cluster IP | internal policy `Cluster` / `Local` | `cluster` / `local`; masquerade if all is, or if Pods can be told and the source is none |
/// | others | external policy `Cluster` | `cluster`, masquerade |
/// | | `Local`, source a Pod (not in IPVS mode) | `cluster` |
/// | | `Local`, source the node itself (not in IPVS mode) | `cluster`, masquerade |
/// | | `Local` | `local` |
/// | any | that list is empty | drop; in IPVS mode `cluster`, and reject if that is empty too |
///
/// Several ports may claim one destination; [`NodeView::owner_of`](crate::NodeView::owner_of) and [`Plan::frontends`] say who has it.
/// What it must do beside that:
///
/// 1. *Full is the contract, a difference an optimisation.* [`Plan::view`] is always the whole; a backend may apply every plan
///    as a full one, comparing it with what it has.
/// 2. *A difference of the wrong base is refused* with [`ApplyError::NeedFull`], and changes nothing.
/// 3. *What belongs to others survives*, byte for byte. Own things are told by table, chain prefix, device or directory.
/// 4. *On the way from plan to plan no packet goes to a wrong endpoint*: at worst to an old one, or it is refused.
/// 5. *Flows are forgotten after the rules are in place* ([`Plan::stale_flows`]).
pub trait Backend {
    /// What is installed, as the backend reads it back: equal when it has the same effect.
    type Artifact: PartialEq + fmt::Debug;
    /// Why something could not be done.
    type Error: Error;

    /// What this backend can do. It must not change while a [`Reconciler`] uses it.
    fn capabilities(&self) -> Capabilities;

    /// Looks at what is there.
    ///
    /// # Errors
    /// Says why it cannot be known.
    fn read_back(&mut self) -> Result<Observed<Self::Artifact>, Self::Error>;

    /// Whether what was installed is still there, told as cheaply as may be: by a canary chain or table, say, which is gone when
    /// somebody has flushed everything.
    ///
    /// # Errors
    /// Says why it cannot be known.
    fn is_intact(&mut self) -> Result<bool, Self::Error> {
        Ok(self.read_back()?.intact)
    }

    /// Makes the dataplane do what the plan says. A plan that is in place already changes nothing.
    ///
    /// # Errors
    /// Says how much was done.
    fn apply(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<Self::Error>>;
}

/// What a backend found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed<A> {
    /// The generation that is installed, if the backend can store it and one is.
    pub generation: Option<Generation>,
    /// Whether all that keeps the rest alive is there: jumps into own chains, base chains, devices.
    pub intact: bool,
    /// What the backend owns.
    pub artifact: A,
    /// Things of others under names that the backend would use, in words.
    pub collisions: Vec<String>,
}

impl<A> Observed<A> {
    /// What was found, with nothing amiss and no generation stored.
    pub fn new(artifact: A) -> Observed<A> {
        Observed { generation: None, intact: true, artifact, collisions: Vec::new() }
    }

    /// With this generation.
    #[must_use]
    pub fn generation(self, generation: Option<Generation>) -> Self {
        Observed { generation, ..self }
    }

    /// With something of its own missing, or not.
    #[must_use]
    pub fn intact(self, intact: bool) -> Self {
        Observed { intact, ..self }
    }

    /// With these collisions.
    #[must_use]
    pub fn collisions(self, collisions: Vec<String>) -> Self {
        Observed { collisions, ..self }
    }
}

/// What applying a plan took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Report {
    /// Objects written or removed; 0 if all was in place.
    pub operations: u64,
    /// Transactions.
    pub batches: u64,
}

impl Report {
    /// So many operations in so many batches.
    pub fn new(operations: u64, batches: u64) -> Report {
        Report { operations, batches }
    }
}

/// How a plan failed, which is how much of it may be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError<E: Error> {
    /// The difference does not start from what is installed; nothing changed.
    #[error("the plan does not start from what is installed; a full one is needed")]
    NeedFull,
    /// Nothing changed.
    #[error("refused{}, nothing changed: {cause}", object.as_ref().map(|object| format!(" for {object}")).unwrap_or_default())]
    Rejected {
        /// The object that was refused, if the dataplane tells.
        object: Option<ObjectRef>,
        /// Why.
        cause: E,
    },
    /// A part is in place.
    #[error("failed after {applied} batches: {cause}")]
    Partial {
        /// How many batches were applied.
        applied: u64,
        /// Why it did not go on.
        cause: E,
    },
    /// Nobody knows: a time-out, a kill, a lost reply.
    #[error("unknown how much was done: {cause}")]
    Unknown {
        /// What happened.
        cause: E,
    },
}
