//! Which backends does pingora try for a request, and in which order?

use crate::{Rebuild, Upstreams, upstreams::Version};
use lb_select::Pick;
use pingora_load_balancing::Backend;
use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// A selection of pingora's by the policy `P`.
///
/// Built with a configuration, it goes on from the selection before it; without one, every set of backends starts afresh,
/// which will do for a set that never changes.
pub struct Selection<P> {
    /// None only if a policy could not be built over the first set.
    version: Option<Arc<Version<P>>>,
    start: Instant,
}

impl<P: Rebuild> BackendSelection for Selection<P> {
    type Iter = Attempts<P>;
    type Config = Upstreams<P>;

    fn build(backends: &BTreeSet<Backend>) -> Self {
        Self::build_with_config(backends, &Upstreams::default())
    }

    fn build_with_config(backends: &BTreeSet<Backend>, upstreams: &Upstreams<P>) -> Self {
        Self { version: upstreams.advance(backends), start: upstreams.start() }
    }

    fn iter(self: &Arc<Self>, key: &[u8]) -> Attempts<P> {
        let policy = self.version.as_ref().map(|version| &version.policy);
        let hash = policy.map_or(0, |policy| policy.hash(key));
        let client = policy.and_then(|policy| policy.client(key));
        Attempts { selection: Arc::clone(self), hash, client, last: None, refused: Vec::new() }
    }
}

impl<P> fmt::Debug for Selection<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backends = self.version.as_ref().map_or(&[][..], |version| &version.backends);
        f.debug_struct("Selection").field("backends", &backends).finish_non_exhaustive()
    }
}

/// The backends for one request: the policy's choice, and after each that pingora refuses, its choice among the rest.
#[derive(Debug)]
pub struct Attempts<P> {
    selection: Arc<Selection<P>>,
    hash: u64,
    client: Option<IpAddr>,
    last: Option<usize>,
    /// Those before the last one. Empty, and without allocation, as long as nobody asks twice.
    refused: Vec<usize>,
}

impl<P: Rebuild> BackendIter for Attempts<P> {
    fn next(&mut self) -> Option<&Backend> {
        self.refused.extend(self.last.take());
        let Selection { version, start } = &*self.selection;
        let Version { policy, backends, .. } = &**version.as_ref()?;
        let mut random = rand::rng();
        let mut words = lb_select::words(&mut random);
        let mut pick = Pick::new(start.elapsed(), &mut words).for_hash(self.hash).excluding(&self.refused);
        if let Some(client) = self.client {
            pick = pick.for_client(client);
        }
        match policy.pick(&mut pick) {
            // A policy that offers one again has no other, and pingora would ask for ever.
            Ok(choice) if self.refused.contains(&choice.index) => None,
            Ok(choice) => {
                log::trace!("backend {choice} of {}", backends.len());
                self.last = Some(choice.index);
                backends.get(choice.index)
            }
            Err(why) => {
                log::debug!("no backend after {} attempts: {why}", self.refused.len());
                None
            }
        }
    }
}
