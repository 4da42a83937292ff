//! What does a policy get to see, and what does it answer?

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

/// A way to choose an endpoint, compiled from a [`Pool`](crate::Pool) and settings.
///
/// Answers through `&self`, so that one policy serves all threads. What a policy remembers lies behind atomics or
/// a lock of its own. Usable as a type parameter (the whole pick is then inlined) and as `dyn Policy`.
///
/// An implementation returns only indices below the length of its pool, takes random words only when there is
/// something to choose, and documents how many.
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
            fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
                (**self).pick(pick)
            }
        }
    )*};
}
forward_to_the_policy_behind!(&P, Box<P>, Arc<P>);

/// What a policy may look at for one pick: plain values from the caller, and a source of random words.
pub struct Pick<'a> {
    now: Duration,
    client: Option<IpAddr>,
    words: &'a mut dyn FnMut() -> u64,
}

impl<'a> Pick<'a> {
    /// A pick at the time `now` that may draw from `words`.
    ///
    /// `now` counts from any start the caller likes, but the same one for all picks. It should not decrease; where it
    /// does, a policy takes the latest time it has seen. Policies that look at no clock and draw no word may be given
    /// anything here.
    pub fn new(now: Duration, words: &'a mut dyn FnMut() -> u64) -> Self {
        Self { now, client: None, words }
    }

    /// The same pick on behalf of the client with this source address, as it was before any translation.
    pub fn for_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
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

    /// Draws the next random word.
    pub fn word(&mut self) -> u64 {
        (self.words)()
    }
}

impl fmt::Debug for Pick<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick").field("now", &self.now).field("client", &self.client).finish_non_exhaustive()
    }
}

/// The endpoint a policy chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Its index in the pool from which the policy was built.
    pub index: usize,
    /// Why this one.
    pub reason: Reason,
}

impl Choice {
    /// The answer of a policy: the endpoint at `index`, for this reason.
    pub fn new(index: usize, reason: Reason) -> Self {
        Self { index, reason }
    }
}

/// Why an endpoint was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It was its turn.
    RoundRobin,
    /// A random word fell on it.
    Random,
    /// The client's last connection went there, not long ago.
    Sticky,
    /// What a policy outside this crate says.
    Other(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "round robin",
            Self::Random => "random",
            Self::Sticky => "sticky client",
            Self::Other(why) => why,
        })
    }
}

/// Why no endpoint was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unavailable {
    /// The pool has no endpoints.
    Empty,
    /// The pool has endpoints, but every one has weight 0.
    AllDrained,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the pool has no endpoints",
            Self::AllDrained => "every endpoint of the pool has weight 0",
        })
    }
}

impl core::error::Error for Unavailable {}
