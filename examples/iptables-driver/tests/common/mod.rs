//! A kernel in memory that takes what `iptables-restore` takes, and an interpreter of its rules.

// Each test takes a part of it.
#![allow(dead_code)]

pub(crate) mod interpreter;
pub(crate) mod kernel;

use std::net::SocketAddr;
use std::time::Duration;

use iptables_driver::{DriverError, IptablesDriver, Options, Profile};
use svc_model::backend::{ApplyError, Backend, Capabilities, Observed, Plan, Report};
use svc_model::testkit::{Distribution, Fault, Outcome, Subject};
use svc_model::{Destination, Flow, NodeSettings, Packet, Protocol};

use interpreter::Walk;
use kernel::{Kernel, KernelError};

/// The driver over a kernel in memory, under test.
#[derive(Debug)]
pub(crate) struct Rules {
    backend: Watched,
    now: Duration,
}

/// The driver, and what node its last plan was for: interfaces and addresses are the machine's, not the rules'.
#[derive(Debug)]
pub(crate) struct Watched {
    driver: IptablesDriver<Kernel>,
    settings: Option<NodeSettings>,
    options: Options,
}

impl Rules {
    pub(crate) fn new(options: Options) -> Rules {
        let driver = IptablesDriver::new(Kernel::default(), options.clone());
        Rules { backend: Watched { driver, settings: None, options }, now: Duration::ZERO }
    }

    fn walk(&mut self, packet: &Packet) -> Vec<Walk> {
        let now = self.now;
        let is_coarse = self.backend.options.profile == Profile::Classic;
        match self.backend.settings.clone() {
            Some(settings) => interpreter::walk(self.backend.driver.tables(), &settings, packet, now, is_coarse),
            None => vec![Walk { outcome: Outcome::Accept, share: 1.0, lists: Vec::new(), is_martian: false }],
        }
    }
}

impl Backend for Watched {
    type Artifact = <IptablesDriver<Kernel> as Backend>::Artifact;
    type Error = DriverError<KernelError>;

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn read_back(&mut self) -> Result<Observed<Self::Artifact>, Self::Error> {
        self.driver.read_back()
    }

    fn is_intact(&mut self) -> Result<bool, Self::Error> {
        self.driver.is_intact()
    }

    fn apply(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<Self::Error>> {
        self.settings = Some(plan.view.settings().clone());
        self.driver.apply(plan)
    }
}

impl Subject for Rules {
    type Backend = Watched;

    fn backend(&mut self) -> &mut Watched {
        &mut self.backend
    }

    fn ask(&mut self, packet: &Packet) -> Distribution {
        let mut met = Distribution::new();
        for Walk { outcome, share, is_martian, .. } in self.walk(packet) {
            // What the driver protects beside its Services is not of the decision: no packet of others to loopback is on any wire.
            met.add(if is_martian { Outcome::Accept } else { outcome }, share);
        }
        met
    }

    fn connect(&mut self, packet: &Packet, word: u64) -> Option<SocketAddr> {
        let walks = self.walk(packet);
        let at = (word as usize) % walks.len();
        // Each way has some share; the word picks one of them.
        let chosen = &walks[at];
        let (now, family) = (self.now, packet.src.is_ipv4());
        let kernel = self.backend.driver.tables();
        chosen.lists.iter().for_each(|list| kernel.see(family, list, packet.src, now));
        let endpoint = match chosen.outcome {
            Outcome::Endpoint { addr, .. } => Some(addr),
            _ => None,
        };
        if let Some((protocol, number)) = packet.port
            && protocol != Protocol::Tcp
        {
            let destination = Destination { addr: packet.dst, protocol, port: number };
            let untranslated = (chosen.outcome == Outcome::Accept).then_some(destination.socket_addr());
            let flow = endpoint.or(untranslated).map(|reply_source| Flow { destination, reply_source });
            kernel.flows.extend(flow);
        }
        endpoint
    }

    fn advance(&mut self, by: Duration) -> bool {
        self.now += by;
        true
    }

    fn flows(&mut self) -> Vec<Flow> {
        self.backend.driver.tables().flows.clone()
    }

    fn inject(&mut self, fault: Fault) -> bool {
        let kernel = self.backend.driver.tables();
        match fault {
            Fault::Refuse => kernel.fails_after = Some((0, KernelError::Refused)),
            Fault::Interrupt(batches) => kernel.fails_after = Some((batches, KernelError::Refused)),
            Fault::LoseReply => kernel.fails_after = Some((0, KernelError::ReplyLost)),
            Fault::Restart => {
                let kernel = std::mem::take(kernel);
                self.backend.driver = IptablesDriver::new(kernel, self.backend.options.clone());
            }
            Fault::Flush => kernel.flush(),
            _ => return false,
        }
        true
    }

    fn plant(&mut self) -> bool {
        self.backend.driver.tables().plant();
        true
    }

    fn foreign(&mut self) -> String {
        self.backend.driver.tables().foreign()
    }
}
