//! The driver: it does what plans say to the tables of a kernel, however those are reached.

use std::error::Error;

use driver_kit::{FlowTable, forget_stale};
use svc_model::addr::IpFamily;
use svc_model::backend::{ApplyError, Backend, Capabilities, Generation, Observed, Plan, PlanMode, Report};
use svc_model::{Kind, ObjectRef, ServicePort};

use crate::diff::{self, Batch};
use crate::made::Made;
use crate::parse::{SaveError, Saved, parse};
use crate::render::{self, Options};
use crate::ruleset::{Ruleset, Table};

/// The tables of a kernel.
pub trait Tables: FlowTable<Error: Error> {
    /// What `iptables-save` prints of a family.
    ///
    /// # Errors
    /// When it cannot be read.
    fn save(&mut self, family: IpFamily) -> Result<String, Self::Error>;

    /// Does what `iptables-restore --noflush` does with one table's input: all of it or nothing.
    ///
    /// # Errors
    /// When it was not done, or nobody knows: see [`may_have_happened`](Self::may_have_happened).
    fn restore(&mut self, family: IpFamily, input: &str) -> Result<(), Self::Error>;

    /// The line of the input, from 1, that was refused; `None` if nobody says.
    fn refused_line(error: &Self::Error) -> Option<usize> {
        let _ = error;
        None
    }

    /// Whether our canary is in a table.
    ///
    /// # Errors
    /// When that cannot be known.
    fn has_canary(&mut self, family: IpFamily, table: Table) -> Result<bool, Self::Error>;

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
    /// What was read is not what `iptables-save` prints.
    #[error(transparent)]
    Save(SaveError),
}

/// A driver of the kernel's iptables.
///
/// A full plan reads the tables, compares, and writes the chains that differ. A difference rewrites the chains that all Services share, and
/// of the others those of the Service ports that changed, from what is known to be there, as kube-proxy does.
#[derive(Clone, Debug)]
pub struct IptablesDriver<T> {
    tables: T,
    options: Options,
    families: Vec<IpFamily>,
    installed: Option<Installed>,
}

#[derive(Clone, Debug)]
struct Installed {
    generation: Generation,
    /// One a family.
    tables: Vec<Made>,
}

impl<T: Tables> IptablesDriver<T> {
    /// A driver of these tables, in both families.
    pub fn new(tables: T, options: Options) -> IptablesDriver<T> {
        let families = vec![IpFamily::V4, IpFamily::V6];
        IptablesDriver { tables, options, families, installed: None }
    }

    /// With these families only.
    #[must_use]
    pub fn families(self, families: Vec<IpFamily>) -> Self {
        IptablesDriver { families, ..self }
    }

    /// The tables.
    pub fn tables(&mut self) -> &mut T {
        &mut self.tables
    }

    /// Removes all that is this driver's, and nothing else.
    ///
    /// # Errors
    /// When the tables cannot be read or written.
    pub fn cleanup(&mut self) -> Result<(), DriverError<T::Error>> {
        self.installed = None;
        for family in self.families.clone() {
            for batch in diff::cleanup(&self.saved(family)?, family).batches {
                self.tables.restore(family, &batch.text()).map_err(DriverError::Tables)?;
            }
        }
        Ok(())
    }

    fn saved(&mut self, family: IpFamily) -> Result<Saved, DriverError<T::Error>> {
        let text = self.tables.save(family).map_err(DriverError::Tables)?;
        parse(&text).map_err(DriverError::Save)
    }

    fn batch(
        &mut self,
        plan: &Plan<'_>,
        batch: &Batch,
        report: &mut Report,
    ) -> Result<(), ApplyError<DriverError<T::Error>>> {
        let input = batch.text();
        self.tables.restore(batch.family(), &input).map_err(|cause| {
            let is_unknown = T::may_have_happened(&cause);
            let line = T::refused_line(&cause).and_then(|line| input.lines().nth(line.checked_sub(1)?));
            let object = line.and_then(|line| service_of(plan, line, &self.options));
            let cause = DriverError::Tables(cause);
            match report.batches {
                _ if is_unknown => ApplyError::Unknown { cause },
                0 => ApplyError::Rejected { object, cause },
                applied => ApplyError::Partial { applied, cause },
            }
        })?;
        report.batches += 1;
        report.operations += batch.operations();
        Ok(())
    }

    fn apply_full(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<DriverError<T::Error>>> {
        let mut written = None;
        let mut planned = Vec::with_capacity(self.families.len());
        for (i, family) in self.families.clone().into_iter().enumerate() {
            let saved = self.saved(family).map_err(|cause| ApplyError::Rejected { object: None, cause })?;
            // It is written down once.
            written = written.or_else(|| diff::generation_of(&saved).filter(|_| i == 0));
            planned.push(Made::new(plan, family, &self.options, &saved));
        }
        let mut report = Report::default();
        let mut tables = Vec::with_capacity(planned.len());
        for (made, patch) in planned {
            patch.batches.iter().try_for_each(|batch| self.batch(plan, batch, &mut report))?;
            tables.push(made);
        }
        if written != Some(plan.generation) {
            self.write_generation(plan, &tables, &mut report)?;
        }
        self.installed = Some(Installed { generation: plan.generation, tables });
        Ok(report)
    }

    fn apply_delta(
        &mut self,
        plan: &Plan<'_>,
        mut installed: Installed,
    ) -> Result<Report, ApplyError<DriverError<T::Error>>> {
        let mut report = Report::default();
        for made in &mut installed.tables {
            let patch = made.follow(plan, &self.options);
            patch.batches.iter().try_for_each(|batch| self.batch(plan, batch, &mut report))?;
        }
        self.write_generation(plan, &installed.tables, &mut report)?;
        installed.generation = plan.generation;
        self.installed = Some(installed);
        Ok(report)
    }

    fn write_generation(
        &mut self,
        plan: &Plan<'_>,
        tables: &[Made],
        report: &mut Report,
    ) -> Result<(), ApplyError<DriverError<T::Error>>> {
        match tables.first() {
            Some(Made { family, style, .. }) => {
                self.batch(plan, &diff::generation_batch(*family, *style, plan.generation), report)
            }
            None => Ok(()),
        }
    }
}

impl<T: Tables> Backend for IptablesDriver<T> {
    /// What is ours, and whether it is whole, of each family; the generation apart.
    type Artifact = Vec<OwnedTables>;
    type Error = DriverError<T::Error>;

    /// Host ports are a CNI plugin's. Of affinity, the kernel remembers the last 100 clients of each endpoint only, if its
    /// module `xt_recent` is not told otherwise (`ip_list_tot`).
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::default().without_host_ports().affinity_seconds(1..=86_400);
        let missing = [IpFamily::V4, IpFamily::V6].into_iter().filter(|family| !self.families.contains(family));
        missing.fold(all, Capabilities::without_family)
    }

    fn read_back(&mut self) -> Result<Observed<Self::Artifact>, Self::Error> {
        let mut owned = Vec::new();
        let (mut generation, mut intact) = (None, true);
        for family in self.families.clone() {
            let saved = self.saved(family)?;
            generation = generation.or_else(|| diff::generation_of(&saved));
            intact &= diff::is_intact(&saved);
            owned.push(OwnedTables::of(family, saved));
        }
        // What was written before is known again only when the next full plan has compared it.
        self.installed = None;
        Ok(Observed::new(owned).generation(generation).intact(intact))
    }

    fn is_intact(&mut self) -> Result<bool, Self::Error> {
        for family in self.families.clone() {
            // The mangle table holds the generation, once.
            for table in [Table::Nat, Table::Filter] {
                if !self.tables.has_canary(family, table).map_err(DriverError::Tables)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn apply(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<Self::Error>> {
        // Whatever fails below, what is there is not known then.
        let installed = self.installed.take();
        let report = match (plan.mode, installed) {
            (PlanMode::Delta { base }, Some(installed)) if installed.generation == base => {
                self.apply_delta(plan, installed)?
            }
            (PlanMode::Delta { .. }, _) => return Err(ApplyError::NeedFull),
            _ => self.apply_full(plan)?,
        };
        // The rules are in place; only flows are left.
        let forgotten = forget_stale(&mut self.tables, plan);
        forgotten
            .map_err(|cause| ApplyError::Partial { applied: report.batches, cause: DriverError::Tables(cause) })?;
        Ok(report)
    }
}

/// The Service that a line is for, by the chains it names or what it says to people. O(Service ports and endpoints).
fn service_of(plan: &Plan<'_>, line: &str, options: &Options) -> Option<ObjectRef> {
    let words: Vec<&str> = line.split([' ', ':']).collect();
    let changes: Vec<_> = plan.changes().collect();
    let before = changes.iter().filter_map(|change| change.before());
    let is_meant = |port: &&ServicePort| {
        let is_chain = render::chain_names(port, options).iter().any(|name| words.contains(&name.as_str()));
        is_chain || line.contains(&format!("\"{} ", render::name_in_comments(port, options)))
    };
    let mut ports = before.chain(plan.ports()).map(|port| &**port);
    ports.find(is_meant).map(|port| ObjectRef::new(Kind::Service, &*port.service.namespace, &*port.service.name))
}

/// What a family's tables hold of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedTables {
    /// The family.
    pub family: IpFamily,
    /// The chains.
    pub rules: Ruleset,
    /// Whether all jumps lead to them and no rule is strange.
    pub intact: bool,
}

impl OwnedTables {
    fn of(family: IpFamily, saved: Saved) -> OwnedTables {
        let mut rules = Ruleset::new(family, crate::print::Style::default());
        let (filter, nat) = (saved.table(Table::Filter), saved.table(Table::Nat));
        let is_whole = |table: Table| saved.table(table).altered.is_empty() && diff::has_jumps(&saved, table);
        let intact = is_whole(Table::Filter) && is_whole(Table::Nat);
        rules.filter.clone_from(&filter.chains);
        rules.nat.clone_from(&nat.chains);
        OwnedTables { family, rules, intact }
    }
}
