//! What is a backend to do? The whole view, or what differs from the plan before.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::capabilities::{Capabilities, Unsupported};
use crate::view::{Delta, Destination, HostPort, NodeView, PortChange, ServicePort, StaleFlow};

/// The number of a plan. Greater is later; a backend stores it where it can, so that a restarted process can tell what is
/// installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a plan is the whole or a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlanMode {
    /// Everything, whatever is there.
    Full,
    /// What differs from this generation. The node's settings do not.
    Delta {
        /// The generation that must be installed.
        base: Generation,
    },
}

/// What a backend is to do, made by a [`Reconciler`](super::Reconciler).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Plan<'a> {
    /// The number of this plan, greater than that of any before.
    pub generation: Generation,
    /// The whole or a difference.
    pub mode: PlanMode,
    /// The view as it shall be, also for a difference; its [`settings`](NodeView::settings) say what the ports do not.
    pub view: &'a NodeView,
    pub(super) capabilities: &'a Capabilities,
    pub(super) delta: &'a Delta,
}

impl<'a> Plan<'a> {
    /// A plan for the whole view. The delta tells which flows are known to be stale; without a past it is [`Delta::EMPTY`].
    pub fn full(
        generation: Generation,
        view: &'a NodeView,
        delta: &'a Delta,
        capabilities: &'a Capabilities,
    ) -> Plan<'a> {
        Plan { generation, mode: PlanMode::Full, view, capabilities, delta }
    }

    /// A plan for what differs from `base`. Needs a backend with [room](Capabilities::has_room_for) for the whole view.
    pub fn delta(
        generation: Generation,
        base: Generation,
        view: &'a NodeView,
        delta: &'a Delta,
        capabilities: &'a Capabilities,
    ) -> Plan<'a> {
        Plan { generation, mode: PlanMode::Delta { base }, view, capabilities, delta }
    }

    /// Who has each destination that the changes may concern, for [`PlanMode::Delta`]: the frontends of every changed port, before and
    /// after. Frontends are claims: where several ports have one, its owner alone counts, and when that goes, another takes over that did
    /// not change. A backend with one entry for each destination writes these and no others; `None` is one to remove.
    pub fn frontends(&self) -> BTreeMap<Destination, Option<&'a Arc<ServicePort>>> {
        let changed = self.delta.ports.iter().flat_map(|change| change.before().into_iter().chain(change.after()));
        let owner = |destination: &Destination| {
            let owner = self.view.owner_of(destination)?;
            Some(owner).filter(|owner| self.capabilities.unsupported(owner).is_none())
        };
        changed.flat_map(|port| port.frontends()).map(|(_, to)| (to, owner(&to))).collect()
    }

    /// All Service ports that the backend shall serve in the end, in order. Where two claim one destination, the view knows the
    /// [owner](NodeView::owner_of).
    pub fn ports(&self) -> impl Iterator<Item = &'a Arc<ServicePort>> {
        self.capabilities.judge(self.view).filter(|(_, why)| why.is_none()).map(|(port, _)| port)
    }

    /// The Service ports that the backend cannot serve, and why; they are in nothing else of the plan. O(Service ports).
    pub fn unsupported(&self) -> impl Iterator<Item = (&'a Arc<ServicePort>, Unsupported)> {
        self.capabilities.judge(self.view).filter_map(|(port, why)| Some((port, why?)))
    }

    /// What differs, for [`PlanMode::Delta`]. A port that the backend can serve no longer looks as if it were gone.
    pub fn changes(&self) -> impl Iterator<Item = PortChange> + use<'a> {
        let capabilities = self.capabilities;
        let supported = move |port: &&Arc<ServicePort>| capabilities.unsupported(port).is_none();
        self.delta.ports.iter().filter_map(move |change| {
            PortChange::between(change.before().filter(supported).cloned(), change.after().filter(supported).cloned())
        })
    }

    /// The ports that Pods open on the node, by Pod; none for a backend that leaves them to others.
    pub fn host_ports(&self) -> impl Iterator<Item = &'a Arc<HostPort>> {
        self.view.host_ports().filter(|_| self.capabilities.has_host_ports())
    }

    /// Whether host ports differ, for [`PlanMode::Delta`].
    pub fn changes_host_ports(&self) -> bool {
        !self.delta.host_ports.is_empty() && self.capabilities.has_host_ports()
    }

    /// The flows to forget once the rules are in place. The past of a full plan is not known, so ask
    /// [`NodeView::is_stale`] about each flow that is there, too.
    pub fn stale_flows(&self) -> impl Iterator<Item = StaleFlow> + use<'a> {
        let has_flows = self.capabilities.has_flows();
        self.delta.stale_flows().filter(move |_| has_flows)
    }
}
