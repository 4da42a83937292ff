//! What is tested, what can go wrong, and which laws must hold?

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::distribution::Distribution;
use super::scenario::Scenario;
use crate::backend::Backend;
use crate::view::{Flow, Packet};

/// A back end, and ways to look at and to disturb what it made. The two that must be written are enough for the laws 1 to 4 and 10;
/// each of the others adds one, and [`Coverage`] counts 0 of what it needs until it is there.
pub trait Subject {
    /// The back end.
    type Backend: Backend;

    /// The back end itself.
    fn backend(&mut self) -> &mut Self::Backend;

    /// What happens to a packet that begins a connection, with shares. Asking leaves no trace.
    ///
    /// A subject that can only try says so with the shares it counted, if within
    /// [`Distribution::TOLERANCE`]; otherwise ask an interpreter of the rules.
    fn ask(&mut self, packet: &Packet) -> Distribution;

    /// Makes a connection, by a word that chooses among its endpoints; `None` if it goes to no endpoint, and always for a subject that
    /// cannot.
    fn connect(&mut self, packet: &Packet, word: u64) -> Option<SocketAddr> {
        let _ = (packet, word);
        None
    }

    /// Lets time pass for session affinity; whether it can.
    fn advance(&mut self, by: Duration) -> bool {
        let _ = by;
        false
    }

    /// The flows of datagrams that outlive rules.
    fn flows(&mut self) -> Vec<Flow> {
        Vec::new()
    }

    /// Makes something go wrong with the next plan, or right now; whether it can.
    fn inject(&mut self, fault: Fault) -> bool {
        let _ = fault;
        false
    }

    /// Puts something there that belongs to somebody else; whether it can.
    fn plant(&mut self) -> bool {
        false
    }

    /// What belongs to others, byte for byte.
    fn foreign(&mut self) -> String {
        String::new()
    }
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The next plan is refused as a whole.
    Refuse,
    /// The next plan stops after this many batches, if it has more.
    Interrupt(u64),
    /// The next plan succeeds, but nobody hears of it.
    LoseReply,
    /// The process ends and starts again; what is installed stays.
    Restart,
    /// Somebody removes what is installed.
    Flush,
}

/// A law that every back end must keep; see the [module](crate::testkit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Law {
    /// 1: every packet meets the verdict.
    Verdicts,
    /// 2 and 3: neither the way to a state nor the order of objects shows in it.
    OneState,
    /// 4: a plan that is in place changes nothing.
    Idempotence,
    /// 5: what belongs to others survives.
    Foreign,
    /// 6: on the way no packet goes to a wrong endpoint.
    Intermediate,
    /// 7: after any fault, the next plans heal.
    Heals,
    /// 8: a client keeps its endpoint.
    Affinity,
    /// 9: no flow leads to an endpoint that does not serve.
    Flows,
    /// 10: what is removed leaves nothing behind.
    NothingLeft,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Law::Verdicts => "law 1, every packet meets the verdict",
            Law::OneState => "laws 2 and 3, neither the way nor the order shows",
            Law::Idempotence => "law 4, a plan that is in place changes nothing",
            Law::Foreign => "law 5, what belongs to others survives",
            Law::Intermediate => "law 6, on the way no packet goes to a wrong endpoint",
            Law::Heals => "law 7, after a fault the next plans heal",
            Law::Affinity => "law 8, a client keeps its endpoint",
            Law::Flows => "law 9, no flow leads to an endpoint that does not serve",
            Law::NothingLeft => "law 10, what is removed leaves nothing behind",
        })
    }
}

/// A law that does not hold, with the smallest scenario found that shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Broken {
    /// Which one, where and how.
    pub what: String,
    /// What shows it.
    pub scenario: Option<Scenario>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.scenario.iter().try_for_each(|scenario| write!(f, "\n{scenario}"))
    }
}

impl std::error::Error for Broken {}

/// What a check went through, so that one that went through nothing does not look like a success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Sequences of changes.
    pub sequences: u64,
    /// Changes.
    pub edits: u64,
    /// Packets asked about.
    pub packets: u64,
    /// Of these, packets that went to an endpoint.
    pub translated: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Clients that were found at their endpoint again.
    pub kept_clients: u64,
    /// Flows seen.
    pub flows: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refuse => f.write_str("the plan is refused"),
            Fault::Interrupt(batches) => write!(f, "the plan stops after {batches} batches"),
            Fault::LoseReply => f.write_str("the reply is lost"),
            Fault::Restart => f.write_str("the process restarts"),
            Fault::Flush => f.write_str("somebody removes what is installed"),
        }
    }
}
