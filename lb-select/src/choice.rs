//! Which endpoint was chosen and why, or why none?

use core::fmt;

/// The endpoint a policy chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Its index in the pool from which the policy was built.
    pub index: usize,
    /// Why this one.
    pub reason: Reason,
    /// Out of which part of the pool it was chosen. Policies without layers leave the default.
    pub tier: Tier,
}

impl Choice {
    /// The answer of a policy: the endpoint at `index`, for this reason.
    #[inline]
    pub fn new(index: usize, reason: Reason) -> Self {
        Self { index, reason, tier: Tier::default() }
    }
}

/// The endpoint and the reasons, as in `2 (random, priority 1, panic)`.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.index, self.reason)?;
        let Tier { priority, locality, state } = self.tier;
        if let Some(priority) = priority {
            write!(f, ", priority {priority}")?;
        }
        if let Some(locality) = locality {
            write!(f, ", locality {locality}")?;
        }
        match state {
            TierState::Healthy => f.write_str(")"),
            TierState::Degraded => f.write_str(", degraded)"),
            TierState::Panic => f.write_str(", panic)"),
        }
    }
}

/// The part of a pool that layers narrowed a choice to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Tier {
    /// The priority, if a layer chose one.
    pub priority: Option<u32>,
    /// The locality, numbered in the order in which the pool names them first, if a layer chose one.
    pub locality: Option<u32>,
    /// Which endpoints of it were considered.
    pub state: TierState,
}

/// Which endpoints of a priority are considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum TierState {
    /// The healthy ones.
    #[default]
    Healthy,
    /// Those that work but are to be used last.
    Degraded,
    /// All of them, because too few are known to work.
    Panic,
}

/// Why an endpoint was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It was its turn.
    RoundRobin,
    /// It was its turn, and turns are as frequent as weights say.
    WeightedRoundRobin,
    /// A random word fell on it.
    Random,
    /// It has the least load of those compared.
    LeastLoad,
    /// It is the first with room for more.
    FirstWithRoom,
    /// It is expected to answer soonest of those compared.
    LeastLatency,
    /// The hash of the request names it.
    Hash,
    /// The endpoint that the hash names is at its bound, and this one is next.
    HashSpilled,
    /// The endpoint that the hash names may not be used, and this one is next.
    HashFallback,
    /// The destination of the connection was served from there before.
    Destination,
    /// The client's last connection went there, not long ago.
    Sticky,
    /// The request names it: a cookie or a header.
    Named,
    /// Every attempt found an endpoint that was tried before, and the last one stands.
    TriedBefore,
    /// What a policy outside this crate says.
    Other(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "round robin",
            Self::WeightedRoundRobin => "weighted round robin",
            Self::Random => "random",
            Self::LeastLoad => "least load",
            Self::FirstWithRoom => "first with room",
            Self::LeastLatency => "least latency",
            Self::Hash => "hash",
            Self::HashSpilled => "next to the hash's, which is at its bound",
            Self::HashFallback => "next to the hash's, which may not be used",
            Self::Destination => "known destination",
            Self::Sticky => "sticky client",
            Self::Named => "named by the request",
            Self::TriedBefore => "tried before, as all others",
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
    /// Endpoints have weight, but none is in a state to get new traffic.
    NoneHealthy,
    /// Too few endpoints are known to work, and the settings say to refuse rather than to use them all.
    Panic,
    /// Every endpoint that could be chosen is at its limit; one may have room soon, so the caller may queue.
    Overloaded,
    /// Every endpoint that could be chosen is among those the pick excludes.
    AllExcluded,
    /// No endpoint belongs to the subset the request asks for.
    NoSubset,
    /// The endpoint that the request names may not be used, and no other will do.
    NamedUnavailable,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the pool has no endpoints",
            Self::AllDrained => "every endpoint of the pool has weight 0",
            Self::NoneHealthy => "no endpoint is healthy",
            Self::Panic => "too few endpoints are healthy",
            Self::Overloaded => "every endpoint is at its limit",
            Self::AllExcluded => "every endpoint was tried before",
            Self::NoSubset => "no endpoint belongs to the requested subset",
            Self::NamedUnavailable => "the endpoint that the request names cannot be used",
        })
    }
}

impl core::error::Error for Unavailable {}
