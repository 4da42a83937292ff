//! What may happen to a packet, and how likely is each?

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use crate::view::{Decision, Verdict};

/// One thing that may happen to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It goes to an endpoint.
    Endpoint {
        /// Which.
        addr: SocketAddr,
        /// Whether its source is replaced.
        masquerade: bool,
    },
    /// It goes on unchanged.
    Accept,
    /// It is refused.
    Reject,
    /// It is lost.
    Drop,
}

/// What may happen to a packet, with the share of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution(BTreeMap<Outcome, f64>);

impl Distribution {
    /// How far two shares may differ.
    pub const TOLERANCE: f64 = 1e-6;

    /// Nothing yet; add what may happen with [`add`](Self::add).
    pub fn new() -> Distribution {
        Distribution::default()
    }

    /// Always the same.
    pub fn always(outcome: Outcome) -> Distribution {
        Distribution(BTreeMap::from([(outcome, 1.0)]))
    }

    /// Each of these endpoints with the same share; without any, what the verdict says.
    pub fn even(verdict: Verdict, endpoints: impl ExactSizeIterator<Item = (SocketAddr, bool)>) -> Distribution {
        let mut even = Distribution::new();
        let share = 1.0 / endpoints.len() as f64;
        match verdict {
            Verdict::Dnat => {
                endpoints.for_each(|(addr, masquerade)| even.add(Outcome::Endpoint { addr, masquerade }, share));
            }
            Verdict::Accept => even.add(Outcome::Accept, 1.0),
            Verdict::Reject => even.add(Outcome::Reject, 1.0),
            Verdict::Drop => even.add(Outcome::Drop, 1.0),
        }
        even
    }

    /// Adds a share to what may happen.
    pub fn add(&mut self, outcome: Outcome, share: f64) {
        *self.0.entry(outcome).or_default() += share;
    }

    /// What may happen, in order, with shares.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, f64)> + '_ {
        self.0.iter().map(|(outcome, share)| (*outcome, *share))
    }

    /// Whether both say the same, shares to within [`TOLERANCE`](Self::TOLERANCE).
    pub fn agrees_with(&self, other: &Distribution) -> bool {
        let within = |one: &Distribution, other: &Distribution| {
            one.iter().all(|(outcome, share)| (share - other.share(outcome)).abs() <= Self::TOLERANCE)
        };
        within(self, other) && within(other, self)
    }

    /// The share of an outcome.
    pub fn share(&self, outcome: Outcome) -> f64 {
        self.0.get(&outcome).copied().unwrap_or_default()
    }

    /// The endpoints it may go to.
    pub fn endpoints(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.iter().filter(|(_, share)| *share > Self::TOLERANCE).filter_map(|(outcome, _)| match outcome {
            Outcome::Endpoint { addr, .. } => Some(addr),
            _ => None,
        })
    }
}

impl From<&Decision<'_>> for Distribution {
    fn from(decision: &Decision<'_>) -> Distribution {
        let endpoints = decision.endpoints;
        let candidates = endpoints.candidates().iter();
        Distribution::even(decision.verdict, candidates.map(|c| (c.addr, endpoints.masquerades(c))))
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (i, (outcome, share)) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match outcome {
                Outcome::Endpoint { addr, masquerade } => {
                    write!(f, "{addr}{}", if masquerade { " masqueraded" } else { "" })?
                }
                Outcome::Accept => f.write_str("accept")?,
                Outcome::Reject => f.write_str("reject")?,
                Outcome::Drop => f.write_str("drop")?,
            }
            if share < 1.0 - Self::TOLERANCE {
                write!(f, " {share:.4}")?;
            }
        }
        Ok(())
    }
}
