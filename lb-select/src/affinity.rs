//! Has this client been here before, and where did it go?

use crate::pool::Members;
use crate::recency::Recency;
use crate::{Choice, Key, Pick, Policy, Pool, Reason, Unavailable, address};
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::IpAddr;
use core::time::Duration;
use core::{error, fmt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A layer that sends a client back to the endpoint of its last connection, known by its source address: the meaning
/// of `sessionAffinity: ClientIP` in a Kubernetes Service.
///
/// A client is sent back if that endpoint is still a candidate and the client's last connection is *less than* the
/// timeout ago; every new connection, sticky or not, counts as the last one from then on. Anyone else, and a pick
/// without a client address, goes where the inner policy says. A candidate is an endpoint of the pool with a weight
/// above 0, or with any weight under [`keep_sessions`](ClientIpSettings::keep_sessions).
///
/// ```
/// use lb_select::{ClientIpAffinity, ClientIpSettings, Pick, Policy, Pool, Reason, RoundRobin};
/// use std::{hash::RandomState, net::IpAddr, time::Duration};
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).build()?;
/// let settings = ClientIpSettings::default().timeout_seconds(60);
/// let policy = ClientIpAffinity::new(&pool, RoundRobin::new(&pool), settings, RandomState::new())?;
///
/// let client: IpAddr = "192.0.2.1".parse()?;
/// let mut words = || 0;
/// let mut at = |seconds| policy.pick(&mut Pick::new(Duration::from_secs(seconds), &mut words).for_client(client));
/// assert_eq!(at(0)?.reason, Reason::RoundRobin);
/// assert_eq!(at(59)?.reason, Reason::Sticky); // and from here the minute starts again
/// assert_eq!(at(118)?.reason, Reason::Sticky);
/// assert_eq!(at(178)?.reason, Reason::RoundRobin);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Memory
///
/// At most [`capacity`](ClientIpSettings::capacity) clients are remembered. When another one comes, the client whose
/// last connection is longest ago is forgotten, expired or not. Room for all of them is reserved at construction
/// (about 90 bytes each, which most systems hand out only when first used), and no pick allocates.
/// The address alone makes a client, without its port; `::ffff:192.0.2.1` and `192.0.2.1` are one client.
///
/// Clients choose their own addresses, so the `hasher` must be keyed: `std::hash::RandomState` is. No answer depends on it.
///
/// # Several pools, one memory
///
/// The memory belongs to a Service port, not to a pool. [`over`](Self::over) puts the same memory in front of another
/// pool: the next version of this one, or a sibling such as the node-local endpoints of the same Service port. There an
/// endpoint is recognised by its key. A client whose last endpoint is not in the pool in use is a new client there; where
/// it goes then is its last endpoint for all pools. (iptables remembers a client once an endpoint, and takes the first
/// endpoint that remembers it.)
///
/// # Concurrency
///
/// Picks share one lock, held while the inner policy chooses, so that connections of one client that come at the same
/// moment go to one endpoint. Neither the inner policy nor the source of random words may ask this layer.
pub struct ClientIpAffinity<P, S> {
    members: Arc<Members>,
    inner: P,
    settings: ClientIpSettings,
    memory: Arc<Mutex<Memory<S>>>,
}

/// The settings of [`ClientIpAffinity`], made from their [`Default`].
///
/// ```
/// use lb_select::ClientIpSettings;
///
/// let settings = ClientIpSettings::default().timeout_seconds(60).capacity(1_000);
/// assert_eq!((settings.timeout_seconds, settings.keep_sessions), (60, false));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct ClientIpSettings {
    /// How long after its last connection a client is sent back, in seconds. The default is 10800, three hours, as in
    /// a Service; 0 never sends anyone back.
    pub timeout_seconds: u32,
    /// How many clients are remembered, at most [`MAX_CAPACITY`](Self::MAX_CAPACITY). The default is 65 536; 0 remembers none.
    pub capacity: u32,
    /// Whether a client may go back to an endpoint that has had its weight set to 0 since. By default it is sent
    /// elsewhere.
    pub keep_sessions: bool,
    /// How many first bits of an IPv4 address make the client: the netmask of IPVS's persistence. The default is 32.
    pub ipv4_prefix: u8,
    /// How many first bits of an IPv6 address make the client. The default is 128.
    pub ipv6_prefix: u8,
}

impl ClientIpSettings {
    /// The most clients one memory can hold: 16 777 216.
    pub const MAX_CAPACITY: u32 = 1 << 24;

    /// The same settings with this [`timeout_seconds`](Self#structfield.timeout_seconds).
    #[must_use]
    pub fn timeout_seconds(self, timeout_seconds: u32) -> Self {
        Self { timeout_seconds, ..self }
    }

    /// The same settings with this [`capacity`](Self#structfield.capacity).
    #[must_use]
    pub fn capacity(self, capacity: u32) -> Self {
        Self { capacity, ..self }
    }

    /// The same settings with this [`keep_sessions`](Self#structfield.keep_sessions).
    #[must_use]
    pub fn keep_sessions(self, keep_sessions: bool) -> Self {
        Self { keep_sessions, ..self }
    }

    /// The same settings with these prefixes, [`ipv4_prefix`](Self#structfield.ipv4_prefix) and
    /// [`ipv6_prefix`](Self#structfield.ipv6_prefix). A longer prefix than an address has stands for the whole address.
    #[must_use]
    pub fn prefixes(self, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        Self { ipv4_prefix, ipv6_prefix, ..self }
    }
}

impl Default for ClientIpSettings {
    fn default() -> Self {
        Self { timeout_seconds: 10_800, capacity: 65_536, keep_sessions: false, ipv4_prefix: 32, ipv6_prefix: 128 }
    }
}

#[derive(Debug)]
struct Memory<S> {
    clients: Recency<Binding, S>,
    /// The latest time seen, so that the order of use is an order of time.
    latest: Duration,
}

#[derive(Debug)]
struct Binding {
    /// `None` once the endpoint is gone for good.
    endpoint: Option<Key>,
    /// Where the endpoint was last found; a hint only.
    index: usize,
    seen: Duration,
}

impl<P, S: BuildHasher> ClientIpAffinity<P, S> {
    /// A layer with an empty memory in front of `inner`, which was built from the same pool.
    ///
    /// # Errors
    /// Fails if the capacity is above [`ClientIpSettings::MAX_CAPACITY`] or the memory cannot be had.
    pub fn new<E>(pool: &Pool<E>, inner: P, settings: ClientIpSettings, hasher: S) -> Result<Self, CapacityError> {
        let capacity = settings.capacity;
        if capacity > ClientIpSettings::MAX_CAPACITY {
            return Err(CapacityError { capacity });
        }
        let clients = Recency::with_capacity(capacity, hasher).map_err(|_| CapacityError { capacity })?;
        let memory = Arc::new(Mutex::new(Memory { clients, latest: Duration::ZERO }));
        Ok(Self { members: Arc::clone(pool.members()), inner, settings, memory })
    }

    /// A layer with the same settings and the *same* memory in front of another policy and its pool.
    pub fn over<E, Q>(&self, pool: &Pool<E>, inner: Q) -> ClientIpAffinity<Q, S> {
        ClientIpAffinity {
            members: Arc::clone(pool.members()),
            inner,
            settings: self.settings.clone(),
            memory: Arc::clone(&self.memory),
        }
    }

    /// Forgets the endpoints whose key `keep` refuses: those that have left the Service port. Without this call, an
    /// endpoint that leaves and comes back within the timeout has its clients again.
    ///
    /// O(clients); `keep` must not ask this layer.
    pub fn retain(&self, mut keep: impl FnMut(&Key) -> bool) {
        for binding in self.lock().clients.values_mut() {
            binding.endpoint = binding.endpoint.take().filter(&mut keep);
        }
    }

    /// Whose clients are too many: for each endpoint with more than its share by weight and `excess_percent` beyond, that many of its
    /// clients, the ones longest without a new connection first.
    ///
    /// Long-lived bindings do not even out by themselves when endpoints join. What to do about the clients named here is the
    /// caller's decision: [`forget`](Self::forget) has the next connection placed anew, and closing the running ones brings that
    /// about. Bindings that have run out, or whose endpoint has left, do not count. O(clients), and allocates.
    pub fn rebalance_candidates(&self, now: Duration, excess_percent: u32) -> Vec<Rebalance> {
        let memory = self.lock();
        let now = now.max(memory.latest);
        let bindings = || memory.clients.oldest_first().filter_map(|(key, b)| Some((key, self.sticky(b, now)?)));
        let mut counts = alloc::vec![0_u64; self.members.len()];
        bindings().for_each(|(_, index)| counts[index] += 1);
        let clients = u128::from(counts.iter().sum::<u64>());
        let weights = || (0..self.members.len()).map(|index| u128::from(self.members.weight(index)));
        let sum = weights().sum::<u128>().max(1);
        let bound = |weight: u128| (clients * weight * (100 + u128::from(excess_percent))).div_ceil(sum * 100);
        let mut excess: Vec<u64> = weights()
            .zip(&counts)
            // Both are below 2^64: no endpoint has more clients than there are.
            .map(|(weight, &count)| u128::from(count).saturating_sub(bound(weight)) as u64)
            .collect();
        let mut candidates = Vec::new();
        for (client, index) in bindings() {
            if let Some(left) = excess[index].checked_sub(1) {
                excess[index] = left;
                candidates.push(Rebalance { client: address::from_bits(client), endpoint: index });
            }
        }
        candidates
    }

    /// Forgets a client, so that its next connection is placed anew. Returns whether it was known.
    pub fn forget(&self, client: IpAddr) -> bool {
        let client = address::masked(client, self.settings.ipv4_prefix, self.settings.ipv6_prefix);
        let mut memory = self.lock();
        let found = memory.clients.find(client);
        let binding = found.and_then(|at| memory.clients[at].endpoint.take());
        binding.is_some()
    }

    /// The policy that new clients are given to.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// The settings given at construction.
    pub fn settings(&self) -> &ClientIpSettings {
        &self.settings
    }

    fn lock(&self) -> MutexGuard<'_, Memory<S>> {
        // An inner policy or a `keep` that panicked under the lock has left the memory whole: no change spans such a call.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a client with this binding is to be sent back, if at all.
    fn sticky(&self, binding: &Binding, now: Duration) -> Option<usize> {
        let timeout = Duration::from_secs(self.settings.timeout_seconds.into());
        let fresh = now.saturating_sub(binding.seen) < timeout;
        let endpoint = binding.endpoint.as_ref().filter(|_| fresh)?;
        let index = self.members.position_near(binding.index, endpoint)?;
        (self.settings.keep_sessions || self.members.weight(index) > 0).then_some(index)
    }
}

/// A client of [`rebalance_candidates`](ClientIpAffinity::rebalance_candidates).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebalance {
    /// The client, by the first bits that make it one.
    pub client: IpAddr,
    /// The index of the endpoint it is bound to.
    pub endpoint: usize,
}

impl<P: Policy, S: BuildHasher> Policy for ClientIpAffinity<P, S> {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let Some(client) = pick.client() else {
            return self.inner.pick(pick);
        };
        let client = address::masked(client, self.settings.ipv4_prefix, self.settings.ipv6_prefix);
        let mut memory = self.lock();
        let Memory { clients, latest } = &mut *memory;
        let now = pick.now().max(*latest);
        *latest = now;
        if let Some(at) = clients.find(client)
            && let Some(index) = self.sticky(&clients[at], now)
        {
            let binding = &mut clients[at];
            (binding.index, binding.seen) = (index, now);
            clients.touch(at);
            return Ok(Choice::new(index, Reason::Sticky));
        }
        let choice = self.inner.pick(pick)?;
        if let Some(key) = self.members.key(choice.index) {
            let endpoint = Some(key.clone());
            clients.insert(client, Binding { endpoint, index: choice.index, seen: now });
        }
        Ok(choice)
    }
}

impl<P: fmt::Debug, S> fmt::Debug for ClientIpAffinity<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, settings, .. } = self;
        f.debug_struct("ClientIpAffinity").field("inner", inner).field("settings", settings).finish_non_exhaustive()
    }
}

/// A [`ClientIpAffinity`] was to remember more clients than it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacityError {
    capacity: u32,
}

impl CapacityError {
    /// The capacity that was asked for.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capacity } = self;
        if *capacity > ClientIpSettings::MAX_CAPACITY {
            write!(f, "a capacity of {capacity} clients is above the limit of {}", ClientIpSettings::MAX_CAPACITY)
        } else {
            write!(f, "no memory for a capacity of {capacity} clients")
        }
    }
}

impl error::Error for CapacityError {}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde::de::value::{Error, MapDeserializer};

    #[test]
    fn settings_are_read_by_their_camel_case_names_and_default_when_absent() {
        let read = |pairs: &[(&'static str, u32)]| {
            ClientIpSettings::deserialize(MapDeserializer::<_, Error>::new(pairs.iter().copied()))
        };
        assert_eq!(read(&[]), Ok(ClientIpSettings::default()));
        let expected = ClientIpSettings::default().timeout_seconds(60);
        assert_eq!(read(&[("timeoutSeconds", 60), ("unknown", 1)]), Ok(expected));
    }
}
