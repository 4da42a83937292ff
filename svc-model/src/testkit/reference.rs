//! How is a subject written? The reference backend as one, with every fault, affinity, flows, and things of others beside it.

use std::net::SocketAddr;
use std::time::Duration;

use super::distribution::{Distribution, Outcome};
use super::laws::{Fault, Subject};
use crate::backend::{Capabilities, ReferenceBackend};
use crate::view::{Flow, Packet};

/// The [`ReferenceBackend`] under test.
#[derive(Debug, Default)]
pub struct ReferenceSubject {
    backend: ReferenceBackend,
    now: Duration,
    foreign: Vec<String>,
}

impl ReferenceSubject {
    /// One whose back end can do less than everything.
    pub fn new(capabilities: Capabilities) -> ReferenceSubject {
        ReferenceSubject { backend: ReferenceBackend::new(capabilities), ..ReferenceSubject::default() }
    }
}

impl Subject for ReferenceSubject {
    type Backend = ReferenceBackend;

    fn backend(&mut self) -> &mut ReferenceBackend {
        &mut self.backend
    }

    fn ask(&mut self, packet: &Packet) -> Distribution {
        let met = self.backend.ask(packet);
        let even = met.endpoints.iter().map(|(candidate, masquerade)| (candidate.addr, *masquerade));
        match self.backend.remembered(&met, packet, self.now) {
            Some(addr) => {
                let masquerade = even.clone().any(|(other, masquerade)| other == addr && masquerade);
                Distribution::always(Outcome::Endpoint { addr, masquerade })
            }
            None => Distribution::even(met.verdict, even),
        }
    }

    fn connect(&mut self, packet: &Packet, word: u64) -> Option<SocketAddr> {
        self.backend.connect(packet, self.now, word)
    }

    fn advance(&mut self, by: Duration) -> bool {
        self.now += by;
        true
    }

    fn flows(&mut self) -> Vec<Flow> {
        self.backend.flows().copied().collect()
    }

    fn inject(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Refuse => self.backend.interrupt_after(0),
            Fault::Interrupt(batches) => self.backend.interrupt_after(batches),
            Fault::LoseReply => self.backend.lose_reply(),
            Fault::Restart => self.backend.restart(),
            Fault::Flush => self.backend.flush(),
        }
        true
    }

    fn plant(&mut self) -> bool {
        self.foreign.push("somebody else's".to_owned());
        true
    }

    fn foreign(&mut self) -> String {
        self.foreign.join("\n")
    }
}
