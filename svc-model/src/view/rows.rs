//! Where does a decision find a Service port? In a row of one cache line, at a number that claims name.

use std::ops::Index;
use std::sync::Arc;

use super::candidates::Candidate;
use super::claims::Claim;
use super::decide::FrontendKind;
use super::service_port::{ServicePort, ServicePortId, TrafficPolicy};
use crate::addr::IpFamily;

/// What a decision reads of a Service port; the rest is behind [`Row::port`] and left alone.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Row {
    pub(super) port: Arc<ServicePort>,
    pub(super) cluster: Arc<[Candidate]>,
    pub(super) local: Arc<[Candidate]>,
    pub(super) family: IpFamily,
    pub(super) internal_policy: TrafficPolicy,
    pub(super) external_policy: TrafficPolicy,
    pub(super) has_any_endpoints: bool,
    pub(super) has_source_ranges: bool,
}

impl Row {
    pub(super) fn new(port: Arc<ServicePort>) -> Row {
        Row {
            cluster: port.cluster.endpoints.clone(),
            local: port.local.endpoints.clone(),
            family: port.family,
            internal_policy: port.internal_policy,
            external_policy: port.external_policy,
            has_any_endpoints: port.has_any_endpoints,
            has_source_ranges: !port.source_ranges.is_empty(),
            port,
        }
    }
}

/// The rows, and which of them are free.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
}

impl Rows {
    pub(super) fn insert(&mut self, port: Arc<ServicePort>) -> u32 {
        let row = Some(Row::new(port));
        match self.free.pop() {
            Some(at) => {
                self.rows[at as usize] = row;
                at
            }
            None => {
                // Memory ends long before 2^32 rows of 64 bytes and their ports.
                let at = self.rows.len() as u32;
                self.rows.push(row);
                at
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    pub(super) fn replace(&mut self, at: u32, port: Arc<ServicePort>) {
        self.rows[at as usize] = Some(Row::new(port));
    }

    pub(super) fn remove(&mut self, at: u32) {
        self.rows[at as usize] = None;
        self.free.push(at);
    }

    /// What decides between two claims to one key: a cluster IP before an external IP, and so on; then names.
    pub(super) fn rank(&self, claim: Claim) -> (FrontendKind, ServicePortId<'_>) {
        (claim.kind, self[claim.row].port.id())
    }
}

/// The row of a claim, or of a Service. Rows are removed only after everything that names them.
impl Index<u32> for Rows {
    type Output = Row;

    #[inline]
    fn index(&self, at: u32) -> &Row {
        self.rows[at as usize].as_ref().expect("the row of a claim that stands")
    }
}
