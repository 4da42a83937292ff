//! What does a policy get to see, and how is it asked?

use crate::{Choice, Unavailable};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::RefCell;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

/// A way to choose an endpoint, compiled from a [`Pool`](crate::Pool) and settings.
///
/// Answers through `&self`, so that one policy serves all threads. What a policy remembers lies behind atomics or
/// a lock of its own. Usable as a type parameter (the whole pick is then inlined) and as `dyn Policy`.
///
/// An implementation returns only indices below the length of its pool, none that the pick excludes, takes random words
/// only when there is something to choose, and documents how many.
pub trait Policy {
    /// Chooses an endpoint for a new connection or request.
    ///
    /// # Errors
    /// Says why no endpoint can be chosen.
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable>;
}

macro_rules! forward_to_the_policy_behind {
    ($($pointer:ty),*) => {$(
        impl<P: Policy + ?Sized> Policy for $pointer {
            #[inline]
            fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
                (**self).pick(pick)
            }
        }
    )*};
}
forward_to_the_policy_behind!(&P, Box<P>, Arc<P>);

/// A way to choose an endpoint whose next answer depends on its last ones: a policy for one worker.
///
/// `Mutex<S>` is a [`Policy`] that all threads share, [`RefCell<S>`] one that a worker keeps to itself, without
/// a lock or a shared cache line.
///
/// ```
/// use lb_select::{Pick, Policy, Pool, Rotation, Sequence};
/// use std::{cell::RefCell, time::Duration};
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).build()?;
/// let mut alone = Rotation::new(&pool);
/// let of_a_worker = RefCell::new(alone.clone());
///
/// let mut words = || 0;
/// let mut pick = Pick::new(Duration::ZERO, &mut words);
/// assert_eq!(alone.next(&mut pick), of_a_worker.pick(&mut pick));
/// assert_eq!(alone.next(&mut pick)?.index, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sequence {
    /// Chooses an endpoint for a new connection or request.
    ///
    /// # Errors
    /// Says why no endpoint can be chosen.
    fn next(&mut self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable>;
}

impl<S: Sequence> Policy for RefCell<S> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        self.borrow_mut().next(pick)
    }
}

#[cfg(feature = "std")]
impl<S: Sequence> Policy for std::sync::Mutex<S> {
    #[inline]
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        // Whatever panicked under the lock, such as a source of words, has left the sequence whole: no step is torn.
        self.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next(pick)
    }
}

/// What a policy may look at for one pick: plain values from the caller, and a source of random words.
pub struct Pick<'a> {
    now: Duration,
    client: Option<IpAddr>,
    destination: Option<IpAddr>,
    hash: Option<u64>,
    excluded: &'a [usize],
    attempt: u32,
    criteria: &'a [(&'a str, &'a str)],
    words: &'a mut dyn FnMut() -> u64,
}

impl<'a> Pick<'a> {
    /// A pick at the time `now` that may draw from `words`.
    ///
    /// `now` counts from any start the caller likes, but the same one for all picks. It should not decrease; where it
    /// does, a policy takes the latest time it has seen. Policies that look at no clock and draw no word may be given
    /// anything here.
    #[inline]
    pub fn new(now: Duration, words: &'a mut dyn FnMut() -> u64) -> Self {
        Self { now, client: None, destination: None, hash: None, excluded: &[], attempt: 0, criteria: &[], words }
    }

    /// The same pick on behalf of the client with this source address, as it was before any translation.
    #[must_use]
    pub fn for_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
        self
    }

    /// The same pick for a connection to this destination, for the policies of a cache cluster that go by destination.
    #[must_use]
    pub fn for_destination(mut self, destination: IpAddr) -> Self {
        self.destination = Some(destination);
        self
    }

    /// The same pick for a request with this hash, which consistent hashing goes by.
    #[must_use]
    #[inline]
    pub fn for_hash(mut self, hash: u64) -> Self {
        self.hash = Some(hash);
        self
    }

    /// The same pick without these endpoints of the pool: those already tried, or holding the first copy of a hedged
    /// request. Every policy chooses among the rest.
    ///
    /// The list is searched from the front for each candidate, so it should be as short as attempts are few.
    #[must_use]
    pub fn excluding(mut self, indices: &'a [usize]) -> Self {
        self.excluded = indices;
        self
    }

    /// The same pick for a request that asks for endpoints with these labels, each name once, in any order.
    #[must_use]
    pub fn for_subset(mut self, criteria: &'a [(&'a str, &'a str)]) -> Self {
        self.criteria = criteria;
        self
    }

    /// The same pick as attempt number `attempt`, 0 being the first: hash policies go that far on from the hash's own
    /// endpoint. [`retry`](crate::retry) counts for the caller.
    #[must_use]
    pub fn attempt_number(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The time since the caller's start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The client's address, if the caller knows one.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// The address the connection is for, if the caller gave one.
    pub fn destination(&self) -> Option<IpAddr> {
        self.destination
    }

    /// The hash of the request, if the caller gave one.
    #[inline]
    pub fn hash(&self) -> Option<u64> {
        self.hash
    }

    /// The hash of the request, or a random word for one without.
    #[inline]
    pub fn hash_or_word(&mut self) -> u64 {
        match self.hash {
            Some(hash) => hash,
            None => self.word(),
        }
    }

    /// The endpoints that must not be chosen.
    #[inline]
    pub fn excluded(&self) -> &'a [usize] {
        self.excluded
    }

    /// The labels that the request asks for.
    pub fn criteria(&self) -> &'a [(&'a str, &'a str)] {
        self.criteria
    }

    /// How many attempts went before this one.
    #[inline]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    #[cfg(feature = "hash")]
    pub(crate) fn set_hash(&mut self, hash: Option<u64>) {
        self.hash = hash;
    }

    pub(crate) fn set_attempt(&mut self, attempt: u32) {
        self.attempt = attempt;
    }

    /// Draws the next random word.
    #[inline]
    pub fn word(&mut self) -> u64 {
        (self.words)()
    }
}

impl fmt::Debug for Pick<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("now", &self.now)
            .field("client", &self.client)
            .field("destination", &self.destination)
            .field("hash", &self.hash)
            .field("excluded", &self.excluded)
            .field("attempt", &self.attempt)
            .field("criteria", &self.criteria)
            .finish_non_exhaustive()
    }
}
