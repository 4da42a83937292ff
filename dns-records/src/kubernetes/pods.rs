//! Which Pods have an address? For names of Pods (`pods verified`) and for `autopath`.

use std::net::IpAddr;
use std::sync::Arc;

use svc_model::api::Pod;
use svc_model::{ObjectRef, Resource};

use super::pointers::ByAddress;
use super::table::{Named, Table};
use super::trie::Ranked;
use crate::name::Label;

/// A Pod that has an address and is not on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LivePod {
    pub(super) object: ObjectRef,
    pub(super) addr: IpAddr,
    /// The address as its status has it.
    text: Box<str>,
    /// `NAMESPACE/NAME`
    key: Box<[u8]>,
}

/// The live Pods of the exposed namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LivePods {
    by_address: ByAddress<Arc<LivePod>>,
    /// To find what a Pod was before it changed.
    by_name: Table<Arc<LivePod>>,
}

impl LivePods {
    pub(super) fn new(seed: u64) -> Self {
        Self { by_address: ByAddress::new(), by_name: Table::new(seed) }
    }

    /// Puts Pods into a table that is empty.
    pub(super) fn fill<'p>(&mut self, pods: impl Iterator<Item = &'p Pod>) {
        let pods: Vec<Arc<LivePod>> = pods.filter_map(LivePod::of).map(Arc::new).collect();
        self.by_address = ByAddress::build(pods.iter().map(|pod| (pod.addr, pod.clone())));
        self.by_name.fill(pods);
    }

    /// The Pods with an address, by (namespace, name).
    pub(super) fn at(&self, addr: IpAddr) -> &[Arc<LivePod>] {
        self.by_address.get(addr)
    }

    /// The Pod that a name of two labels, of which the first says this address, stands for.
    pub(super) fn of_name(&self, addr: IpAddr, label: Label<'_>, namespace: Label<'_>) -> Option<&LivePod> {
        let mut pods = self.at(addr).iter().map(|pod| &**pod);
        pods.find(|pod| namespace.is(&pod.object.namespace) && pod.is(label.0))
    }

    /// Takes what a Pod is now; whether that differs.
    pub(super) fn update(&mut self, object: &ObjectRef, pod: Option<&Pod>) -> bool {
        let before = self.by_name.all(&key(object)).find(|before| before.object == *object).cloned();
        let after = pod.and_then(LivePod::of).map(Arc::new);
        if before == after {
            return false;
        }
        if let Some(before) = before {
            self.by_address.remove(before.addr, &before);
            self.by_name.remove(&before);
        }
        if let Some(after) = after {
            self.by_address.insert(after.addr, after.clone());
            self.by_name.insert(after);
        }
        true
    }
}

impl LivePod {
    fn of(pod: &Pod) -> Option<Self> {
        // Readiness does not matter.
        let is_gone = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed" | "Unknown")
            || pod.metadata.deletion_timestamp.is_some();
        let text = pod.status.pod_ip.as_str();
        let addr = text.parse().ok().filter(|_| !is_gone)?;
        let object = pod.reference();
        Some(Self { addr, text: text.into(), key: key(&object), object })
    }

    /// Whether the Pod is the one that a label means: its address as text, with dashes.
    fn is(&self, label: &[u8]) -> bool {
        let dashed = self.text.bytes().map(|octet| if matches!(octet, b'.' | b':') { b'-' } else { octet });
        dashed.map(|octet| octet.to_ascii_lowercase()).eq(label.iter().map(u8::to_ascii_lowercase))
    }
}

fn key(object: &ObjectRef) -> Box<[u8]> {
    [object.namespace.as_bytes(), b"/", object.name.as_bytes()].concat().into()
}

/// By (namespace, name).
impl Ranked for Arc<LivePod> {
    fn rank(&self) -> impl Ord + '_ {
        &self.object
    }
}

impl Named for Arc<LivePod> {
    fn name(&self) -> &[u8] {
        &self.key
    }
}
