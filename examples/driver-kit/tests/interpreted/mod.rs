//! A driver over tables in memory as a subject of the test kit: packets are asked of an interpreter of its rules.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use svc_model::backend::{ApplyError, Backend, Capabilities, Observed, Plan, Report};
use svc_model::testkit::{Conformance, Distribution, Fault, Outcome, Subject};
use svc_model::{Destination, Flow, Mode, NodeSettings, Packet, Protocol};

/// Tables in memory, with the driver that writes them and an interpreter of their rules.
pub(crate) trait InMemory: Debug + Default {
    type Options: Clone + Debug;
    type Driver: Backend + Debug;

    fn driver(self, options: &Self::Options) -> Self::Driver;
    fn of(driver: &mut Self::Driver) -> &mut Self;

    /// All ways that a packet may go.
    fn walk(&self, options: &Self::Options, settings: &NodeSettings, packet: &Packet, now: Duration) -> Vec<Walk>;

    /// A source is put on a list.
    fn see(&mut self, list: &str, source: IpAddr, now: Duration);
    fn flows(&mut self) -> &mut Vec<Flow>;

    /// What is written after so many batches more fails; it is done nevertheless if only the reply is lost.
    fn fail_after(&mut self, batches: u64, loses_reply: bool);
    fn flush(&mut self);

    /// Rules of somebody else, and what has become of them.
    fn plant(&mut self);
    fn foreign(&self) -> String;
}

/// One way that a packet may go.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) outcome: Outcome,
    pub(crate) share: f64,
    /// The lists that its source is put on.
    pub(crate) lists: Vec<String>,
    /// Whether it was lost for being a packet of others to loopback.
    pub(crate) is_martian: bool,
}

/// The driver under test.
#[derive(Debug)]
pub(crate) struct Interpreted<T: InMemory> {
    backend: Watched<T>,
    options: T::Options,
    now: Duration,
}

/// The driver, and what node its last plan was for: interfaces and addresses are the machine's, not the rules'.
#[derive(Debug)]
pub(crate) struct Watched<T: InMemory> {
    driver: T::Driver,
    settings: Option<NodeSettings>,
}

impl<T: InMemory> Interpreted<T> {
    pub(crate) fn new(options: T::Options) -> Interpreted<T> {
        let backend = Watched { driver: T::default().driver(&options), settings: None };
        Interpreted { backend, options, now: Duration::ZERO }
    }

    fn tables(&mut self) -> &mut T {
        T::of(&mut self.backend.driver)
    }

    fn walk(&mut self, packet: &Packet) -> Vec<Walk> {
        let Watched { driver, settings } = &mut self.backend;
        match settings {
            Some(settings) => T::of(driver).walk(&self.options, settings, packet, self.now),
            None => vec![Walk { outcome: Outcome::Accept, share: 1.0, lists: Vec::new(), is_martian: false }],
        }
    }
}

impl<T: InMemory> Backend for Watched<T> {
    type Artifact = <T::Driver as Backend>::Artifact;
    type Error = <T::Driver as Backend>::Error;

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

impl<T: InMemory> Subject for Interpreted<T> {
    type Backend = Watched<T>;

    fn backend(&mut self) -> &mut Watched<T> {
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
        // Each way has some share; the word picks one of them.
        let chosen = &walks[(word as usize) % walks.len()];
        let now = self.now;
        let tables = self.tables();
        chosen.lists.iter().for_each(|list| tables.see(list, packet.src, now));
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
            tables.flows().extend(flow);
        }
        endpoint
    }

    fn advance(&mut self, by: Duration) -> bool {
        self.now += by;
        true
    }

    fn flows(&mut self) -> Vec<Flow> {
        self.tables().flows().clone()
    }

    fn inject(&mut self, fault: Fault) -> bool {
        let tables = T::of(&mut self.backend.driver);
        match fault {
            Fault::Refuse => tables.fail_after(0, false),
            Fault::Interrupt(batches) => tables.fail_after(batches, false),
            Fault::LoseReply => tables.fail_after(0, true),
            Fault::Restart => self.backend.driver = std::mem::take(tables).driver(&self.options),
            Fault::Flush => tables.flush(),
            _ => return false,
        }
        true
    }

    fn plant(&mut self) -> bool {
        self.tables().plant();
        true
    }

    fn foreign(&mut self) -> String {
        self.tables().foreign()
    }
}

/// More with the environment variable `PROPTEST_CASES`, which proptest reads.
fn sequences() -> u32 {
    proptest::test_runner::Config::default().cases.max(512)
}

/// The laws hold, and not for nothing.
pub(crate) fn assert_lawful<T: InMemory>(mode: Mode, options: &T::Options) {
    let conformance = Conformance::default().mode(mode).sequences(sequences());
    let coverage = match conformance.check(|| Interpreted::<T>::new(options.clone())) {
        Ok(coverage) => coverage,
        Err(broken) => panic!("{broken}"),
    };
    assert_eq!(coverage.sequences, u64::from(sequences()));
    assert!(coverage.edits > 2 * coverage.sequences, "{coverage:?}");
    assert!(coverage.packets > 100 * coverage.sequences, "{coverage:?}");
    assert!(coverage.translated > coverage.packets / 10, "{coverage:?}");
    assert!(coverage.faults > coverage.sequences / 2, "{coverage:?}");
    assert!(coverage.kept_clients > coverage.sequences / 2, "{coverage:?}");
    assert!(coverage.flows > coverage.sequences, "{coverage:?}");
}
