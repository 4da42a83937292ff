//! Which endpoints are there, in which order, under which names and with which weights?

use crate::Key;
use alloc::boxed::Box;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool<E> {
    values: Vec<E>,
    members: Arc<Members>,
}

impl<E> Pool<E> {
    /// Starts an empty pool.
    pub fn builder() -> PoolBuilder<E> {
        PoolBuilder { values: Vec::new(), keys: Vec::new(), weights: Vec::new() }
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
        Some(Endpoint {
            key: self.members.keys.get(index)?,
            weight: self.members.weights[index],
            value: &self.values[index],
        })
    }

    /// The index of the endpoint with this key. O(log n).
    pub fn position(&self, key: &Key) -> Option<usize> {
        self.members.position(key)
    }

    /// The endpoints in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Endpoint<'_, E>> + DoubleEndedIterator {
        let names = self.members.keys.iter().zip(&self.members.weights);
        names.zip(&self.values).map(|((key, &weight), value)| Endpoint { key, weight, value })
    }

    #[cfg(feature = "std")]
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

    fn index(&self, index: usize) -> &E {
        &self.values[index]
    }
}

/// One endpoint of a [`Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint<'a, E> {
    /// Its name, unique in the pool.
    pub key: &'a Key,
    /// Its share of new traffic relative to the others, for policies that look at weights. 0 for all policies means:
    /// no new traffic.
    pub weight: u32,
    /// What the caller put in.
    pub value: &'a E,
}

/// Collects the endpoints of a [`Pool`]; made by [`Pool::builder`].
#[derive(Debug, Clone)]
pub struct PoolBuilder<E> {
    values: Vec<E>,
    keys: Vec<Key>,
    weights: Vec<u32>,
}

impl<E> PoolBuilder<E> {
    /// Adds an endpoint of weight 1 after those already there.
    pub fn endpoint(self, key: impl Into<Key>, value: E) -> Self {
        self.weighted(key, 1, value)
    }

    /// Adds an endpoint with a weight after those already there.
    pub fn weighted(mut self, key: impl Into<Key>, weight: u32, value: E) -> Self {
        self.keys.push(key.into());
        self.weights.push(weight);
        self.values.push(value);
        self
    }

    /// Finishes the pool. O(n log n).
    ///
    /// # Errors
    /// Fails if two endpoints have the same key. A pool without endpoints is no error: its policies answer
    /// [`Unavailable`](crate::Unavailable).
    pub fn build(self) -> Result<Pool<E>, PoolError> {
        let members = Members::new(self.keys.into(), self.weights.into())?;
        Ok(Pool { values: self.values, members: Arc::new(members) })
    }
}

/// Why a [`Pool`] could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// Two endpoints have this key. Of several such keys it is the least.
    DuplicateKey(Key),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateKey(key) => write!(f, "two endpoints of one pool have the key {key:?}"),
        }
    }
}

impl core::error::Error for PoolError {}

/// What a policy may know of the endpoints: all but the caller's values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Members {
    keys: Box<[Key]>,
    weights: Box<[u32]>,
    /// The indices in the order of their keys.
    by_key: Box<[usize]>,
}

impl Members {
    fn new(keys: Box<[Key]>, weights: Box<[u32]>) -> Result<Self, PoolError> {
        let mut by_key: Box<[usize]> = (0..keys.len()).collect();
        by_key.sort_unstable_by_key(|&index| &keys[index]);
        match by_key.windows(2).find(|pair| keys[pair[0]] == keys[pair[1]]) {
            Some(pair) => Err(PoolError::DuplicateKey(keys[pair[0]].clone())),
            None => Ok(Self { keys, weights, by_key }),
        }
    }

    fn position(&self, key: &Key) -> Option<usize> {
        self.by_key.binary_search_by_key(&key, |&index| &self.keys[index]).ok().map(|rank| self.by_key[rank])
    }
}

#[cfg(feature = "std")]
impl Members {
    pub(crate) fn key(&self, index: usize) -> Option<&Key> {
        self.keys.get(index)
    }

    pub(crate) fn weight(&self, index: usize) -> u32 {
        self.weights[index]
    }

    /// The index of `key`, found at once if it is `hint`.
    pub(crate) fn position_near(&self, hint: usize, key: &Key) -> Option<usize> {
        if self.keys.get(hint) == Some(key) { Some(hint) } else { self.position(key) }
    }
}

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
