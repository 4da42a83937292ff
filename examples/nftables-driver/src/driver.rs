//! The driver: it does what plans say to our tables of a kernel, however those are reached.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;

use driver_kit::{FlowTable, concerned, forget_stale};
use svc_model::addr::IpFamily;
use svc_model::backend::{ApplyError, Backend, Capabilities, Generation, Observed, Plan, PlanMode, Report};
use svc_model::{ServicePort, ServicePortId, ServicePortKey};

use crate::diff::{self, Transaction};
use crate::fragment::{Fragment, Shared, include};
use crate::names::service_of;
use crate::parse::{ListError, Listed, parse};
use crate::print::family_word;
use crate::render::{Frame, Layout};
use crate::table::{TABLE, Table};

/// Our tables of a kernel.
pub trait Tables: FlowTable<Error: Error> {
    /// What `nft list table` prints of our table in a family; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn list(&mut self, family: IpFamily) -> Result<Option<String>, Self::Error>;

    /// Does what `nft -f` does: all of it or nothing.
    ///
    /// # Errors
    /// When it was not done, or nobody knows: see [`may_have_happened`](Self::may_have_happened).
    fn run(&mut self, commands: &str) -> Result<(), Self::Error>;

    /// The line of the commands, from 1, that was refused; `None` if nobody says.
    fn refused_line(error: &Self::Error) -> Option<usize> {
        let _ = error;
        None
    }

    /// Whether our canary is in a family's table.
    ///
    /// # Errors
    /// When that cannot be known.
    fn has_canary(&mut self, family: IpFamily) -> Result<bool, Self::Error>;

    /// Whether what failed so may have been done nevertheless.
    fn may_have_happened(error: &Self::Error) -> bool;
}

/// How the driver failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError<E: Error> {
    /// The kernel's tables could not be read or written.
    #[error(transparent)]
    Tables(E),
}

/// A driver of the kernel's nftables.
///
/// Every plan is one transaction of the differences between what is there and what is wanted, both families together; a table that is not
/// there yet is made by several. What is there is known from the plan before; it is listed at the start and after trouble, since
/// that takes long. A difference costs what it changes, however much is there.
#[derive(Clone, Debug)]
pub struct NftablesDriver<T> {
    tables: T,
    layout: Layout,
    families: Vec<IpFamily>,
    piece: usize,
    installed: Option<Installed>,
}

#[derive(Clone, Debug)]
struct Installed {
    generation: Option<Generation>,
    /// One a family.
    tables: Vec<State>,
}

/// What is known of a family's table.
#[derive(Clone, Debug)]
enum State {
    /// It was listed.
    Listed(Option<Listed>),
    /// It was listed, and holds what this driver would not write and cannot compare.
    Strange(ListError),
    /// It was made of these.
    Made(Box<Made>),
}

/// What is to be done, and what is known of each family's table then.
type Planned = (Transaction, Vec<State>);

/// A table by what it is made of.
#[derive(Clone, Debug)]
struct Made {
    frame: Frame,
    fragments: BTreeMap<ServicePortKey, Fragment>,
    /// How many fragments use each.
    shared: BTreeMap<Shared, u32>,
}

impl State {
    fn listed(&self) -> Option<Cow<'_, Listed>> {
        match self {
            State::Listed(listed) => listed.as_ref().map(Cow::Borrowed),
            State::Strange(_) => None,
            State::Made(made) => Some(Cow::Owned(Listed { table: made.table(), altered: BTreeSet::new() })),
        }
    }
}

impl Made {
    fn new(plan: &Plan<'_>, frame: Frame) -> Made {
        let family = frame.family();
        let fragment = |port: &Arc<ServicePort>| (port.id().into(), frame.fragment(plan.view, port));
        let fragments: BTreeMap<_, _> = plan.ports().filter(|port| port.family == family).map(fragment).collect();
        let mut uses: Vec<Shared> = fragments.values().flat_map(|fragment| &fragment.shared).copied().collect();
        uses.sort_unstable();
        let shared = uses.chunk_by(|one, other| one == other).map(|uses| (uses[0], uses.len() as u32)).collect();
        Made { frame, fragments, shared }
    }

    fn table(&self) -> Table {
        let mut table = self.frame.table();
        include(&mut table, self.fragments.values());
        self.frame.share(&mut table, self.shared.keys());
        table
    }

    /// The Service ports that a plan may concern, as they are then; `None` for one that is gone.
    fn concerned(&self, plan: &Plan<'_>) -> Vec<(ServicePortKey, Option<Arc<ServicePort>>)> {
        let family = self.frame.family();
        if matches!(plan.mode, PlanMode::Delta { .. }) {
            return concerned(plan, family).into_iter().collect();
        }
        let wanted = || plan.ports().filter(|port| port.family == family);
        let ids: BTreeSet<ServicePortId<'_>> = wanted().map(|port| port.id()).collect();
        let gone = self.fragments.keys().filter(|key| !ids.contains(&key.id())).map(|key| (key.clone(), None));
        gone.chain(wanted().map(|port| (port.id().into(), Some(port.clone())))).collect()
    }

    /// Follows a plan that leaves the frame as it is; appends what brings the kernel along. O(changed), times a logarithm, for a
    /// difference; for a full plan the fragments of all are made and compared.
    fn follow(&mut self, plan: &Plan<'_>, transaction: &mut Transaction) {
        let mut before = Listed { table: self.frame.headers(), altered: BTreeSet::new() };
        let mut after = self.frame.headers();
        let (mut old, mut new) = (Vec::new(), Vec::new());
        let mut used: BTreeMap<Shared, u32> = BTreeMap::new();
        for (key, port) in self.concerned(plan) {
            let fragment = port.map(|port| self.frame.fragment(plan.view, &port));
            if self.fragments.get(&key) == fragment.as_ref() {
                continue;
            }
            if let Some(fragment) = self.fragments.remove(&key) {
                for shared in &fragment.shared {
                    let count = self.shared.entry(*shared).or_default();
                    used.entry(*shared).or_insert(*count);
                    *count = count.saturating_sub(1);
                }
                old.push(fragment);
            }
            if let Some(fragment) = fragment {
                for shared in &fragment.shared {
                    let count = self.shared.entry(*shared).or_default();
                    used.entry(*shared).or_insert(*count);
                    *count += 1;
                }
                new.push((key, fragment));
            }
        }
        include(&mut before.table, &old);
        include(&mut after, new.iter().map(|(_, fragment)| fragment));
        self.fragments.extend(new);
        let differs = |shared: &Shared| (used[shared] > 0) != (self.shared.get(shared).is_some_and(|count| *count > 0));
        let (then, now): (Vec<Shared>, Vec<Shared>) =
            used.keys().copied().filter(differs).partition(|shared| used[shared] > 0);
        self.frame.share(&mut before.table, &then);
        self.frame.share(&mut after, &now);
        self.shared.retain(|_, count| *count > 0);
        diff::append(transaction, Some(&before), &after);
    }
}

impl<T: Tables> NftablesDriver<T> {
    /// A driver of these tables, in both families.
    pub fn new(tables: T, layout: Layout) -> NftablesDriver<T> {
        let families = vec![IpFamily::V4, IpFamily::V6];
        NftablesDriver { tables, layout, families, piece: 4_096, installed: None }
    }

    /// With these families only.
    #[must_use]
    pub fn families(self, families: Vec<IpFamily>) -> Self {
        NftablesDriver { families, ..self }
    }

    /// With so many commands at most in one transaction, where a table is new: 4,096 if not said.
    #[must_use]
    pub fn piece(self, piece: usize) -> Self {
        NftablesDriver { piece, ..self }
    }

    /// The tables.
    pub fn tables(&mut self) -> &mut T {
        &mut self.tables
    }

    /// Removes all that is this driver's, and nothing else.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn cleanup(&mut self) -> Result<(), DriverError<T::Error>> {
        self.installed = None;
        for family in &self.families {
            self.tables.run(&diff::cleanup(*family).to_string()).map_err(DriverError::Tables)?;
        }
        Ok(())
    }

    fn look(&mut self) -> Result<Installed, DriverError<T::Error>> {
        let (mut generation, mut tables) = (None, Vec::new());
        for family in self.families.clone() {
            let text = self.tables.list(family).map_err(DriverError::Tables)?;
            tables.push(match text.map(|text| parse(&text, family)).transpose() {
                Ok(listed) => State::Listed(listed.map(|mut listed| {
                    generation = diff::take_generation(&mut listed).or(generation);
                    listed
                })),
                Err(error) => State::Strange(error),
            });
        }
        if tables.iter().any(|state| matches!(state, State::Strange(_))) {
            // It is made anew, and the generation with it.
            generation = None;
        }
        Ok(Installed { generation, tables })
    }

    /// What brings the kernel from what is there to what a plan says, and what is there then.
    fn transaction(&mut self, plan: &Plan<'_>) -> Result<Planned, ApplyError<DriverError<T::Error>>> {
        let mut transaction = Transaction::default();
        // Whatever fails later, what is there is not known then.
        let installed = match (plan.mode, self.installed.take()) {
            (PlanMode::Delta { base }, installed) => {
                installed.filter(|installed| installed.generation == Some(base)).ok_or(ApplyError::NeedFull)?
            }
            (_, Some(installed)) => installed,
            (_, None) => self.look().map_err(|cause| ApplyError::Rejected { object: None, cause })?,
        };
        let generation = installed.generation;
        let mut states = Vec::with_capacity(installed.tables.len());
        for (state, family) in installed.tables.into_iter().zip(&self.families) {
            let frame = Frame::new(plan.view.settings(), *family, self.layout);
            let made = match state {
                State::Made(mut made) if made.frame == frame => {
                    made.follow(plan, &mut transaction);
                    made
                }
                state => {
                    if let State::Strange(_) = state {
                        transaction.start_over(*family);
                    }
                    let made = Box::new(Made::new(plan, frame));
                    diff::append(&mut transaction, state.listed().as_deref(), &made.table());
                    made
                }
            };
            states.push(State::Made(made));
        }
        if generation != Some(plan.generation) {
            self.families.iter().for_each(|family| transaction.tag(*family, plan.generation));
        }
        Ok((transaction, states))
    }
}

impl<T: Tables> Backend for NftablesDriver<T> {
    /// What each family's table holds, the generation apart; what clients have left in affinity sets, too.
    type Artifact = Vec<Option<Listed>>;
    type Error = DriverError<T::Error>;

    /// Host ports are a CNI plugin's.
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::default().without_host_ports().affinity_seconds(1..=86_400);
        let missing = [IpFamily::V4, IpFamily::V6].into_iter().filter(|family| !self.families.contains(family));
        missing.fold(all, Capabilities::without_family)
    }

    fn read_back(&mut self) -> Result<Observed<Self::Artifact>, Self::Error> {
        let installed = self.look()?;
        let generation = installed.generation;
        let tables: Vec<Option<Listed>> =
            installed.tables.iter().map(|state| state.listed().map(Cow::into_owned)).collect();
        self.installed = Some(installed);
        let is_whole = |table: &Option<Listed>| table.as_ref().is_some_and(|table| table.altered.is_empty());
        let intact = tables.iter().all(is_whole) && generation.is_some();
        let strange = self.installed.iter().flat_map(|installed| installed.tables.iter().zip(&self.families));
        let collisions = strange.filter_map(|(state, family)| match state {
            State::Strange(error) => {
                Some(format!("what is not ours in table {} {TABLE}: {error}", family_word(*family)))
            }
            _ => None,
        });
        let collisions = collisions.collect();
        Ok(Observed::new(tables).generation(generation).intact(intact).collisions(collisions))
    }

    fn is_intact(&mut self) -> Result<bool, Self::Error> {
        for family in self.families.clone() {
            if !self.tables.has_canary(family).map_err(DriverError::Tables)? {
                // Whoever took that may have taken more.
                self.installed = None;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn apply(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<Self::Error>> {
        let (transaction, tables) = self.transaction(plan)?;
        let mut applied = 0;
        for piece in transaction.pieces(self.piece) {
            self.tables.run(piece).map_err(|cause| {
                let is_unknown = T::may_have_happened(&cause);
                let line = T::refused_line(&cause).and_then(|line| piece.lines().nth(line.checked_sub(1)?));
                let object = line.and_then(service_of);
                let cause = DriverError::Tables(cause);
                match applied {
                    _ if is_unknown => ApplyError::Unknown { cause },
                    0 => ApplyError::Rejected { object, cause },
                    applied => ApplyError::Partial { applied, cause },
                }
            })?;
            applied += 1;
        }
        self.installed = Some(Installed { generation: Some(plan.generation), tables });
        // The rules are in place; only flows are left.
        let forgotten = forget_stale(&mut self.tables, plan);
        forgotten.map_err(|cause| ApplyError::Partial { applied, cause: DriverError::Tables(cause) })?;
        Ok(Report::new(transaction.operations(), applied))
    }
}
