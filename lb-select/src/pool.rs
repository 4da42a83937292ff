//! Which endpoints are there, in which order, under which names and with which weights?

use crate::Key;
use crate::gate::{GateMaker, Gates};
use crate::load::{InFlight, Load};
use crate::member::{Health, Locality, Member, Traits};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::{fmt, ops};

/// An immutable list of endpoints of the caller's type `E`, in the caller's order.
///
/// Policies are compiled from a pool and answer with an index into it. Cloning shares the keys and clones the values.
///
/// ```
/// use lb_select::{Key, Pool};
///
/// let pool = Pool::builder()
///     .endpoint("blue", 8080)
///     .weighted("green", 3, 8081)
///     .build()?;
/// assert_eq!(pool[1], 8081);
/// assert_eq!(pool.position(&Key::from("green")), Some(1));
/// # Ok::<(), lb_select::PoolError>(())
/// ```
///
/// An update is a new pool. What is known about an endpoint from moment to moment, its [`Load`], belongs to its key and
/// goes on in the new pool:
///
/// ```
/// # use lb_select::Pool;
/// let old = Pool::of(["a", "b"])?;
/// let in_flight = old.start(1);
/// let new = Pool::builder().carry_over(&old).endpoint("b", "b").endpoint("c", "c").build()?;
/// assert_eq!(new.load(0).active(), 1);
/// drop(in_flight);
/// assert_eq!(new.load(0).active(), 0);
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool<E> {
    values: Vec<E>,
    members: Arc<Members>,
}

impl<E> Pool<E> {
    /// Starts an empty pool.
    pub fn builder() -> PoolBuilder<E> {
        PoolBuilder { values: Vec::new(), keys: Vec::new(), traits: Vec::new(), before: None }
    }

    /// A pool of endpoints that are their own key, each of weight 1, such as socket addresses.
    ///
    /// # Errors
    /// Fails if two endpoints have the same key.
    pub fn of(endpoints: impl IntoIterator<Item = E>) -> Result<Self, PoolError>
    where
        E: Clone + Into<Key>,
    {
        endpoints.into_iter().fold(Self::builder(), |pool, value| pool.endpoint(value.clone(), value)).build()
    }

    /// The same pool with the states that `health` says, going on with the loads. O(n).
    #[must_use]
    pub fn with_health(&self, mut health: impl FnMut(Endpoint<'_, E>) -> Health) -> Self
    where
        E: Clone,
    {
        self.changed(|endpoint, traits| traits.health = health(endpoint))
    }

    /// The same pool with the weights that `weight` says, going on with the loads. O(n).
    #[must_use]
    pub fn with_weights(&self, mut weight: impl FnMut(Endpoint<'_, E>) -> u32) -> Self
    where
        E: Clone,
    {
        self.changed(|endpoint, traits| traits.weight = weight(endpoint))
    }

    fn changed(&self, mut change: impl FnMut(Endpoint<'_, E>, &mut Traits)) -> Self
    where
        E: Clone,
    {
        let mut traits = self.members.traits.clone();
        for (endpoint, traits) in self.iter().zip(&mut traits) {
            change(endpoint, traits);
        }
        let Members { keys, by_key, loads, gates, limited, .. } = &*self.members;
        let (keys, by_key, loads, gates) = (Arc::clone(keys), Arc::clone(by_key), loads.clone(), gates.clone());
        let members = Members { keys, traits, by_key, loads, gates, limited: *limited };
        Self { values: self.values.clone(), members: Arc::new(members) }
    }

    /// The number of endpoints, those of weight 0 included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no endpoint at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The endpoint at `index`, or `None` if there are not so many.
    pub fn get(&self, index: usize) -> Option<Endpoint<'_, E>> {
        let value = self.values.get(index)?;
        Some(self.members.endpoint(index, self.members.weight(index), value))
    }

    /// The index of the endpoint with this key. O(log n).
    pub fn position(&self, key: &Key) -> Option<usize> {
        self.members.position(key)
    }

    /// The endpoints in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Endpoint<'_, E>> + DoubleEndedIterator {
        let values = self.values.iter().enumerate();
        values.map(|(index, value)| self.members.endpoint(index, self.members.weight(index), value))
    }

    /// What is known about the endpoint at `index` from moment to moment.
    ///
    /// # Panics
    /// Like a slice, if there is no such index.
    #[inline]
    pub fn load(&self, index: usize) -> &Arc<Load> {
        &self.members.loads[index]
    }

    /// Counts a request to the endpoint at `index` as in flight until the guard is dropped.
    ///
    /// # Panics
    /// Like a slice, if there is no such index.
    #[inline]
    pub fn start(&self, index: usize) -> InFlight {
        self.load(index).start()
    }

    pub(crate) fn members(&self) -> &Arc<Members> {
        &self.members
    }
}

/// The value at an index that a policy of this pool returned.
///
/// # Panics
/// Like a slice, if there is no such index. [`Pool::get`] does not panic.
impl<E> ops::Index<usize> for Pool<E> {
    type Output = E;

    #[inline]
    fn index(&self, index: usize) -> &E {
        &self.values[index]
    }
}

/// One endpoint of a [`Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint<'a, E> {
    /// Its name, unique in the pool.
    pub key: &'a Key,
    /// Its share of new traffic relative to the others, for policies that look at weights. 0 for all policies means:
    /// no new traffic.
    pub weight: u32,
    /// Its state as far as the pool was told.
    pub health: Health,
    /// Its priority; 0 goes first.
    pub priority: u32,
    /// Where it is.
    pub locality: &'a Locality,
    /// What the caller put in.
    pub value: &'a E,
    traits: &'a Traits,
}

impl<'a, E> Endpoint<'a, E> {
    /// What the pool was told under this name.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.traits.labels.as_ref()?.get(name).map(|value| &**value)
    }

    pub(crate) fn all_labels(&self) -> Option<&'a BTreeMap<String, String>> {
        self.traits.labels.as_deref()
    }

    /// All labels, in the order of their names.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a, E> {
        self.traits.labels.iter().flat_map(|labels| &**labels).map(|(name, value)| (&**name, &**value))
    }

    /// How many requests it may have in flight; `u32::MAX` stands for no limit.
    pub fn max_active(&self) -> u32 {
        self.traits.max_active
    }
}

/// Collects the endpoints of a [`Pool`]; made by [`Pool::builder`].
#[derive(Debug, Clone)]
pub struct PoolBuilder<E> {
    values: Vec<E>,
    keys: Vec<Key>,
    traits: Vec<Traits>,
    before: Option<Arc<Members>>,
}

impl<E> PoolBuilder<E> {
    /// Adds an endpoint of weight 1 after those already there.
    pub fn endpoint(self, key: impl Into<Key>, value: E) -> Self {
        self.member(Member::new(key, value))
    }

    /// Adds an endpoint with a weight after those already there.
    pub fn weighted(self, key: impl Into<Key>, weight: u32, value: E) -> Self {
        self.member(Member::new(key, value).weight(weight))
    }

    /// Adds an endpoint with all that is to be said about it after those already there.
    pub fn member(mut self, member: Member<E>) -> Self {
        self.keys.push(member.key);
        self.traits.push(member.traits);
        self.values.push(member.value);
        self
    }

    /// Goes on with the [`Load`] that endpoints of the same key have in `before`, the pool that this one is to replace.
    pub fn carry_over<F>(mut self, before: &Pool<F>) -> Self {
        self.before = Some(Arc::clone(&before.members));
        self
    }

    /// Finishes the pool. O(n log n).
    ///
    /// # Errors
    /// Fails if two endpoints have the same key, or if there are 2^32 or more. A pool without endpoints is no error: its
    /// policies answer [`Unavailable`](crate::Unavailable).
    pub fn build(self) -> Result<Pool<E>, PoolError> {
        let members = Members::new(self.keys.into(), self.traits.into(), self.before.as_deref())?;
        Ok(Pool { values: self.values, members: Arc::new(members) })
    }
}

/// Why a [`Pool`] could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// Two endpoints have this key. Of several such keys it is the least.
    DuplicateKey(Key),
    /// There are so many endpoints, and that is more than 2^32 − 1.
    TooMany(usize),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateKey(key) => write!(f, "two endpoints of one pool have the key {key:?}"),
            Self::TooMany(count) => write!(f, "a pool of {count} endpoints is above the limit of 2^32 - 1"),
        }
    }
}

impl core::error::Error for PoolError {}

/// What a policy may know of the endpoints: all but the caller's values.
#[derive(Debug)]
pub(crate) struct Members {
    keys: Arc<[Key]>,
    traits: Box<[Traits]>,
    /// The indices in the order of their keys.
    by_key: Arc<[u32]>,
    loads: Box<[Arc<Load>]>,
    gates: Gates,
    /// Whether any endpoint has a limit of requests in flight.
    limited: bool,
}

impl Members {
    fn new(keys: Arc<[Key]>, traits: Box<[Traits]>, before: Option<&Self>) -> Result<Self, PoolError> {
        let count = u32::try_from(keys.len()).ok().filter(|&n| n < u32::MAX).ok_or(PoolError::TooMany(keys.len()))?;
        let mut by_key: Arc<[u32]> = (0..count).collect();
        let key = |index: u32| &keys[index as usize];
        // Not shared with anyone yet, so nothing is cloned.
        Arc::make_mut(&mut by_key).sort_unstable_by_key(|&index| key(index));
        if let Some(pair) = by_key.windows(2).find(|pair| key(pair[0]) == key(pair[1])) {
            return Err(PoolError::DuplicateKey(key(pair[0]).clone()));
        }
        let mut maker = GateMaker::after(before.map(|before| &before.gates));
        let load = |key| match before.and_then(|before| Some(&before.loads[before.position(key)?])) {
            Some(load) => Arc::clone(load),
            None => Arc::new(Load::new(maker.gate())),
        };
        let loads: Box<[Arc<Load>]> = keys.iter().map(load).collect();
        let gates = Gates::of(maker, loads.iter().map(|load| load.gate()));
        let limited = traits.iter().any(|traits| traits.max_active < u32::MAX);
        Ok(Self { keys, traits, by_key, loads, gates, limited })
    }

    pub(crate) fn position(&self, key: &Key) -> Option<usize> {
        let rank = self.by_key.binary_search_by_key(&key, |&index| &self.keys[index as usize]).ok()?;
        Some(self.by_key[rank] as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn key(&self, index: usize) -> Option<&Key> {
        self.keys.get(index)
    }

    /// The indices in the order of their keys.
    #[cfg(feature = "hash")]
    pub(crate) fn by_key(&self) -> &[u32] {
        &self.by_key
    }

    pub(crate) fn traits(&self, index: usize) -> &Traits {
        &self.traits[index]
    }

    pub(crate) fn weight(&self, index: usize) -> u32 {
        self.traits[index].weight
    }

    #[inline]
    pub(crate) fn load(&self, index: usize) -> &Load {
        &self.loads[index]
    }

    /// Whether no endpoint is closed, and none can be at a limit.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.limited && self.gates.are_open()
    }

    #[cfg(test)]
    pub(crate) fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Whether the endpoint at this index is closed.
    #[inline]
    pub(crate) fn is_closed(&self, index: usize) -> bool {
        self.gates.is_closed(index)
    }

    /// Whether any endpoint has a limit.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limited
    }

    pub(crate) fn endpoint<'a, E>(&'a self, index: usize, weight: u32, value: &'a E) -> Endpoint<'a, E> {
        let traits = &self.traits[index];
        let Traits { health, priority, ref locality, .. } = *traits;
        Endpoint { key: &self.keys[index], weight, health, priority, locality, value, traits }
    }
}

#[cfg(feature = "std")]
impl Members {
    /// The index of `key`, found at once if it is `hint`.
    pub(crate) fn position_near(&self, hint: usize, key: &Key) -> Option<usize> {
        if self.keys.get(hint) == Some(key) { Some(hint) } else { self.position(key) }
    }
}

/// Loads are not compared: they belong to the moment.
impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys && self.traits == other.traits
    }
}

impl Eq for Members {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_callers_order_is_kept_whatever_the_keys() {
        let pool = Pool::builder().endpoint("b", 'x').weighted("a", 0, 'y').endpoint("c", 'z').build().unwrap();
        assert_eq!(pool.iter().map(|e| (e.weight, *e.value)).collect::<Vec<_>>(), [(1, 'x'), (0, 'y'), (1, 'z')]);
        for (index, endpoint) in pool.iter().enumerate() {
            assert_eq!(pool.position(endpoint.key), Some(index));
            assert_eq!(pool.get(index), Some(endpoint));
        }
        assert_eq!(pool.position(&"d".into()), None);
        assert_eq!(pool.get(3), None);
    }

    #[test]
    fn a_key_given_twice_is_refused_by_name() {
        let error = Pool::builder().endpoint("a", 1).endpoint("b", 2).endpoint("a", 3).build().unwrap_err();
        assert_eq!(error, PoolError::DuplicateKey("a".into()));
        assert_eq!(error.to_string(), "two endpoints of one pool have the key \"a\"");
    }
}
