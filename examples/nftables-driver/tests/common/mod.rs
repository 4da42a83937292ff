//! A kernel in memory that takes what `nft -f` takes, and an interpreter of its rules.

pub(crate) mod interpreter;
pub(crate) mod kernel;

use std::net::SocketAddr;
use std::time::Duration;

use nftables_driver::{DriverError, Layout, NftablesDriver};
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
    driver: NftablesDriver<Kernel>,
    settings: Option<NodeSettings>,
    layout: Layout,
}

/// Pieces as small as these are cut everywhere.
fn driver(kernel: Kernel, layout: Layout) -> NftablesDriver<Kernel> {
    NftablesDriver::new(kernel, layout).piece(16)
}

impl Rules {
    pub(crate) fn new(layout: Layout) -> Rules {
        let backend = Watched { driver: driver(Kernel::default(), layout), settings: None, layout };
        Rules { backend, now: Duration::ZERO }
    }

    fn walk(&mut self, packet: &Packet) -> Vec<Walk> {
        let now = self.now;
        match self.backend.settings.clone() {
            Some(settings) => interpreter::walk(self.backend.driver.tables(), &settings, packet, now),
            None => vec![Walk { outcome: Outcome::Accept, share: 1.0, lists: Vec::new() }],
        }
    }
}

impl Backend for Watched {
    type Artifact = <NftablesDriver<Kernel> as Backend>::Artifact;
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
        self.walk(packet).into_iter().for_each(|walk| met.add(walk.outcome, walk.share));
        met
    }

    fn connect(&mut self, packet: &Packet, word: u64) -> Option<SocketAddr> {
        let walks = self.walk(packet);
        // Each way has some share; the word picks one of them.
        let chosen = &walks[(word as usize) % walks.len()];
        let now = self.now;
        let kernel = self.backend.driver.tables();
        chosen.lists.iter().for_each(|list| kernel.see(list, packet.src, now));
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
            Fault::Refuse => kernel.fails = Some((0, KernelError::Refused)),
            Fault::Interrupt(batches) => kernel.fails = Some((batches, KernelError::Refused)),
            Fault::LoseReply => kernel.fails = Some((0, KernelError::ReplyLost)),
            Fault::Restart => {
                let kernel = std::mem::take(kernel);
                self.backend.driver = driver(kernel, self.backend.layout);
            }
            Fault::Flush => kernel.flush(),
            _ => return false,
        }
        true
    }

    fn plant(&mut self) -> bool {
        self.backend.driver.tables().foreign = "table inet filter { chain input { tcp dport 22 accept } }".to_owned();
        true
    }

    fn foreign(&mut self) -> String {
        self.backend.driver.tables().foreign.clone()
    }
}
