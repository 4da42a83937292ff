//! Which cache has this destination? IPVS's locality-based policies.

use crate::candidates::{Admission, Candidate, ToCandidates};
use crate::least_load::overhead;
use crate::recency::Recency;
use crate::{Choice, Key, Pick, Policy, Reason, Unavailable, address};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::hash::BuildHasher;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

/// Weighted least connection that sends a destination where it went before: IPVS's `lblc` and `lblcr`, for clusters of
/// caches.
///
/// `lblc` keeps one endpoint a destination, until that is *overloaded*: it has more in flight than its weight while another
/// has less than half of its own. `lblcr` keeps a set of them, takes the least loaded, adds the least loaded of all when that
/// one is overloaded, and drops the most loaded of a set that has not changed for a day.
///
/// A destination that was not asked for in 24 hours is forgotten, and when 16 384 are known, the one asked for longest ago
/// makes room (IPVS lets the number grow for some minutes). A set holds at most [`MAX_SET`](Self::MAX_SET). A pick without a
/// [destination](Pick::for_destination) is plain `wlc`. Takes no random word. O(1) for a known destination and O(n) for a
/// new one, under a lock. Only a new destination and the growth of a set allocate.
pub struct ByDestination<S> {
    admission: Admission,
    members: Box<[Candidate]>,
    replicated: bool,
    memory: Arc<Mutex<Memory<S>>>,
}

#[derive(Debug)]
struct Memory<S> {
    destinations: Recency<Servers, S>,
    latest: Duration,
}

#[derive(Debug)]
struct Servers {
    keys: Vec<Key>,
    used: Duration,
    changed: Duration,
}

/// Destinations remembered: 16 for each of 1024 hash buckets.
const DESTINATIONS: u32 = 16 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl<S: BuildHasher> ByDestination<S> {
    /// The most endpoints of one destination.
    pub const MAX_SET: usize = 16;

    /// `lblc`: one endpoint a destination. The hasher must be keyed if destinations are chosen by clients; no answer depends
    /// on it.
    pub fn new(candidates: &impl ToCandidates, hasher: S) -> Self {
        Self::start(candidates, false, hasher)
    }

    /// `lblcr`: a set of endpoints a destination.
    pub fn replicated(candidates: &impl ToCandidates, hasher: S) -> Self {
        Self::start(candidates, true, hasher)
    }

    fn start(candidates: &impl ToCandidates, replicated: bool, hasher: S) -> Self {
        let memory = Memory { destinations: Recency::growing(DESTINATIONS, hasher), latest: Duration::ZERO };
        Self::with_memory(candidates, replicated, Arc::new(Mutex::new(memory)))
    }

    /// The same policy with the *same* memory over the next version of the pool.
    #[must_use]
    pub fn over(&self, candidates: &impl ToCandidates) -> Self {
        Self::with_memory(candidates, self.replicated, Arc::clone(&self.memory))
    }

    fn with_memory(candidates: &impl ToCandidates, replicated: bool, memory: Arc<Mutex<Memory<S>>>) -> Self {
        let candidates = candidates.to_candidates();
        let (admission, members) = (candidates.admission().clone(), candidates.eligible().collect());
        Self { admission, members, replicated, memory }
    }

    fn member(&self, pick: &Pick<'_>, key: &Key) -> Option<Candidate> {
        let index = self.admission.members().position(key)?;
        let rank = self.members.binary_search_by_key(&index, |member| member.index as usize).ok()?;
        Some(self.members[rank]).filter(|_| self.admission.admits(pick, index))
    }

    fn active(&self, member: Candidate) -> u32 {
        self.admission.load(member.index as usize).active()
    }

    /// The overhead of `a` for its weight is less than that of `b`.
    fn less(&self, a: Candidate, b: Candidate) -> bool {
        let overhead = |member: Candidate| u128::from(overhead(self.admission.load(member.index as usize)));
        overhead(a) * u128::from(b.weight) < overhead(b) * u128::from(a.weight)
    }

    /// The first of the least loaded.
    fn least(&self, members: impl Iterator<Item = Candidate>) -> Option<Candidate> {
        members.reduce(|best, member| if self.less(member, best) { member } else { best })
    }

    fn least_of_all(&self, pick: &Pick<'_>) -> Option<Candidate> {
        self.least(self.members.iter().copied().filter(|member| self.admission.admits(pick, member.index as usize)))
    }

    fn is_overloaded(&self, member: Candidate) -> bool {
        let has_room = |other: &Candidate| u64::from(self.active(*other)) * 2 < u64::from(other.weight);
        self.active(member) > member.weight && self.members.iter().any(has_room)
    }

    fn key(&self, member: Candidate) -> Option<Key> {
        self.admission.members().key(member.index as usize).cloned()
    }
}

impl<S: BuildHasher> Policy for ByDestination<S> {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let refusal = |pick: &Pick<'_>| self.admission.refusal(pick, self.members.iter().map(|m| m.index as usize));
        let Some(destination) = pick.destination().map(address::bits) else {
            let least = self.least_of_all(pick).ok_or_else(|| refusal(pick))?;
            return Ok(Choice::new(least.index as usize, Reason::LeastLoad));
        };
        // Nothing here panics, so a poisoned memory is whole.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { destinations, latest } = &mut *memory;
        let now = pick.now().max(*latest);
        *latest = now;
        let known = destinations.find(destination).filter(|&at| now - destinations[at].used < DAY);
        if let Some(at) = known {
            destinations.touch(at);
            let servers = &mut destinations[at];
            servers.used = now;
            let least = self.least(servers.keys.iter().filter_map(|key| self.member(pick, key)));
            if servers.keys.len() > 1 && now - servers.changed > DAY {
                let members = servers.keys.iter().filter_map(|key| self.member(pick, key));
                let most = members.reduce(|most, member| if self.less(most, member) { member } else { most });
                let most = most.and_then(|most| self.key(most));
                servers.keys.retain(|key| Some(key) != most.as_ref());
                servers.changed = now;
            }
            if let Some(least) = least.filter(|&least| !self.is_overloaded(least)) {
                return Ok(Choice::new(least.index as usize, Reason::Destination));
            }
        }
        let least = self.least_of_all(pick).ok_or_else(|| refusal(pick))?;
        if let Some(key) = self.key(least) {
            match known {
                Some(at) if self.replicated => {
                    let servers = &mut destinations[at];
                    if !servers.keys.contains(&key) {
                        if servers.keys.len() == Self::MAX_SET {
                            servers.keys.remove(0);
                        }
                        servers.keys.push(key);
                        servers.changed = now;
                    }
                }
                Some(at) => {
                    destinations[at].keys.clear();
                    destinations[at].keys.push(key);
                }
                None => destinations.insert(destination, Servers { keys: [key].into(), used: now, changed: now }),
            }
        }
        Ok(Choice::new(least.index as usize, Reason::LeastLoad))
    }
}

impl<S> fmt::Debug for ByDestination<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByDestination")
            .field("members", &self.members)
            .field("replicated", &self.replicated)
            .finish_non_exhaustive()
    }
}
