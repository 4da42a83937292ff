//! Whose rules may a difference change? The Service ports that changed are not all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_model::addr::IpFamily;
use svc_model::backend::Plan;
use svc_model::{Protocol, ServicePort, ServicePortKey};

/// The Service ports of a family whose rules may differ after a difference, as they are then; `None` for one that is gone.
///
/// Beside those that changed: who takes over a destination that another had, and who is asked on a port that has become, or is no longer,
/// a node port, since the two meet where a Service has an address of the node. O(changed), and O(Service ports) where node ports change.
pub fn concerned(plan: &Plan<'_>, family: IpFamily) -> BTreeMap<ServicePortKey, Option<Arc<ServicePort>>> {
    let mut concerned: BTreeMap<ServicePortKey, Option<Arc<ServicePort>>> = BTreeMap::new();
    let mut node_ports: BTreeSet<(Protocol, u16)> = BTreeSet::new();
    for (destination, owner) in plan.frontends() {
        if destination.addr.is_unspecified() && IpFamily::of(destination.addr) == family {
            node_ports.insert((destination.protocol, destination.port));
        }
        concerned.extend(owner.map(|owner| (owner.id().into(), Some(owner.clone()))));
    }
    if !node_ports.is_empty() {
        let asked = plan.ports().filter(|port| node_ports.contains(&(port.protocol, port.port)));
        concerned.extend(asked.map(|port| (port.id().into(), Some(port.clone()))));
    }
    concerned.extend(plan.changes().map(|change| (change.id().into(), change.after().cloned())));
    concerned.retain(|key, _| key.id().family == family);
    concerned
}
