//! Do the laws hold for this back end? The harness.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::distribution::{Distribution, Outcome};
use super::laws::{Broken, Coverage, Fault, Law, Subject};
use super::packets::packets;
use super::scenario::{Edit, Scenario};
use super::strategies::{NODE, scenarios};
use crate::addr::IpFamily;
use crate::backend::{Backend, Capabilities, Failure, Generation, Plan, Progress, Reconciler, Schedule};
use crate::cluster::Cluster;
use crate::view::{
    Delta, Destination, Frontend, FrontendKind, Mode, NodeSettings, NodeView, Packet, ServicePort, Verdict,
};

/// How much to check, made from its [`Default`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conformance {
    sequences: u32,
    packets: usize,
    seed: u64,
    schedule: Schedule,
    mode: Option<Mode>,
}

impl Default for Conformance {
    fn default() -> Self {
        Conformance { sequences: 256, packets: 64, seed: 0, schedule: Schedule::default(), mode: None }
    }
}

impl Conformance {
    /// Checks so many sequences of changes: 256 if not said.
    #[must_use]
    pub fn sequences(self, sequences: u32) -> Self {
        Conformance { sequences, ..self }
    }

    /// Asks about so many packets after each change, taken evenly from all on boundaries: 64 if not said.
    #[must_use]
    pub fn packets(self, packets: usize) -> Self {
        Conformance { packets, ..self }
    }

    /// Another seed makes other sequences; the same one always the same.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Conformance { seed, ..self }
    }

    /// Drives the back end by this schedule, kube-proxy's times if not said; only the subject's own time is real.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Conformance { schedule, ..self }
    }

    /// In worlds of this mode only, for a back end that does not know the others; all of them if not said.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Conformance { mode: Some(mode), ..self }
    }

    /// Checks subjects that `make` makes, one for each sequence.
    ///
    /// # Errors
    /// Says which law does not hold, and what shows it.
    pub fn check<S: Subject>(&self, make: impl Fn() -> S) -> Result<Coverage, Box<Broken>> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config =
            Config { cases: self.sequences, max_shrink_iters: 4_096, failure_persistence: None, ..Config::default() };
        let coverage = std::cell::Cell::new(Coverage::default());
        let outcome = TestRunner::new_with_rng(config, rng).run(&scenarios(), |scenario| {
            let mut seen = coverage.get();
            let scenario = match self.mode {
                Some(mode) => scenario.in_mode(mode),
                None => scenario,
            };
            let result = self.play(&scenario, &make, &mut seen);
            coverage.set(seen);
            result.map_err(TestCaseError::fail)
        });
        match outcome {
            Ok(()) => Ok(coverage.get()),
            Err(TestError::Fail(what, scenario)) => {
                Err(Box::new(Broken { what: what.message().to_owned(), scenario: Some(scenario) }))
            }
            Err(TestError::Abort(what)) => Err(Box::new(Broken { what: what.message().to_owned(), scenario: None })),
        }
    }

    /// Checks one sequence, of your own making perhaps.
    ///
    /// # Errors
    /// Says which law does not hold.
    pub fn play<S: Subject>(
        &self,
        scenario: &Scenario,
        make: impl Fn() -> S,
        coverage: &mut Coverage,
    ) -> Result<(), String> {
        coverage.sequences += 1;
        let mut play = Play::new(self, &make, scenario)?;
        play.settle(Law::Verdicts)?;
        play.look(coverage)?;
        for (edit, fault) in &scenario.edits {
            coverage.edits += 1;
            play.edit(edit, *fault, coverage)?;
            play.look(coverage)?;
        }
        play.clients_expire()?;
        play.compare(&make, Law::OneState)?;
        play.remove_all()?;
        play.compare(&make, Law::NothingLeft)
    }
}

/// A client that went to an endpoint.
struct Bond {
    packet: Packet,
    endpoint: SocketAddr,
    seconds: u32,
}

struct Play<'c, S: Subject> {
    conformance: &'c Conformance,
    subject: S,
    capabilities: Capabilities,
    cluster: Cluster,
    view: NodeView,
    reconciler: Reconciler,
    now: Duration,
    foreign: Option<String>,
    bonds: Vec<Bond>,
    looks: usize,
}

/// A stranger that makes connections; nobody asks about packets of theirs otherwise. One for each way to a Service, since those
/// may lead to other endpoints, and then the first of them in order counts.
fn stranger(kind: FrontendKind, to: IpAddr) -> IpAddr {
    match to {
        IpAddr::V4(_) => Ipv4Addr::new(198, 18, 7, kind as u8).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 7, kind as u16).into(),
    }
}

/// So many of them at most, evenly picked, others in each turn.
fn evenly(packets: &[Packet], most: usize, turn: usize) -> Vec<Packet> {
    let n = packets.len();
    if n <= most {
        return packets.to_vec();
    }
    (0..most).map(|i| packets[(turn * 7919 + i * n / most) % n]).collect()
}

fn broken(law: Law, how: impl fmt::Display) -> String {
    format!("{law}: {how}")
}

fn describe(packet: &Packet) -> String {
    match packet.port {
        Some((protocol, port)) => format!("{} -> {} {protocol}", packet.src, SocketAddr::new(packet.dst, port)),
        None => format!("{} -> {} ICMP", packet.src, packet.dst),
    }
}

/// Every endpoint that a packet to this destination may ever go to: those of whoever has it, by whichever policy.
fn reachable(view: &NodeView, packet: &Packet) -> Vec<SocketAddr> {
    let decided = Distribution::from(&view.decide(packet)).endpoints().collect::<Vec<_>>();
    let Some((protocol, port)) = packet.port else { return decided };
    let at = |addr| view.owner_of(&Destination { addr, protocol, port });
    let owners = at(packet.dst).into_iter().chain(at(IpFamily::of(packet.dst).unspecified()));
    let endpoints = owners.flat_map(|port| port.cluster.endpoints.iter().chain(&*port.local.endpoints));
    decided.into_iter().chain(endpoints.map(|candidate| candidate.addr)).collect()
}

fn view_of(cluster: &Cluster) -> NodeView {
    // A node that is named cannot be ambiguous.
    NodeView::new(cluster, NodeSettings::of(cluster, Some(NODE)).unwrap_or_default())
}

impl<'c, S: Subject> Play<'c, S> {
    fn new(conformance: &'c Conformance, make: &impl Fn() -> S, scenario: &Scenario) -> Result<Self, String> {
        let mut subject = make();
        let foreign = subject.plant().then(|| subject.foreign());
        let cluster: Cluster = scenario.objects.iter().cloned().collect();
        let mut reconciler = Reconciler::new(conformance.schedule.clone());
        let view = view_of(&cluster);
        let capabilities = subject.backend().capabilities();
        if !matches!(reconciler.run(Duration::ZERO, &view, subject.backend()), Progress::Idle { until: None }) {
            return Err("the reconciler did not wait for the first lists".to_owned());
        }
        reconciler.lists_complete();
        let (now, bonds) = (Duration::ZERO, Vec::new());
        Ok(Play { conformance, subject, capabilities, cluster, view, reconciler, now, foreign, bonds, looks: 0 })
    }

    /// Runs the reconciler until nothing is due that is not merely periodic.
    fn settle(&mut self, law: Law) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..64 {
            match self.reconciler.run(self.now, &self.view, self.subject.backend()) {
                Progress::Idle { .. } if self.reconciler.is_settled() => return self.foreign_survives(),
                // A moment later; long before anything periodic.
                Progress::Idle { .. } => self.now += Duration::from_millis(100),
                Progress::Failed(failure) => {
                    last = failure.to_string();
                    self.now += self.conformance.schedule.retry;
                }
                _ => {}
            }
        }
        Err(broken(law, format!("the back end does not get in step; the last failure: {last:?}")))
    }

    fn edit(&mut self, edit: &Edit, fault: Option<Fault>, coverage: &mut Coverage) -> Result<(), String> {
        let before = self.view.clone();
        let change = match edit {
            Edit::Apply(object) => self.cluster.apply((**object).clone()),
            Edit::Remove(object) => self.cluster.remove(object),
        };
        let delta = self.view.update(&self.cluster, &change.touched);
        if delta.settings {
            // Another mode may remember clients otherwise.
            self.bonds.clear();
        }
        self.reconciler.changed(delta);
        if self.view != view_of(&self.cluster) {
            return Err("the view is not what it would be if it were made anew".to_owned());
        }
        // What strikes a plan needs one.
        let strikes = |fault: &Fault| !self.reconciler.is_settled() || matches!(fault, Fault::Restart | Fault::Flush);
        if let Some(fault) = fault.filter(strikes).filter(|fault| self.subject.inject(*fault)) {
            coverage.faults += 1;
            if fault == Fault::Flush {
                self.bonds.clear();
            }
            if fault == Fault::Restart {
                // The whole process: what was pending is in the cluster still.
                self.reconciler = Reconciler::new(self.conformance.schedule.clone());
                self.reconciler.lists_complete();
            }
            // Nobody is told of a flush; it is noticed by the next check.
            let schedule = &self.conformance.schedule;
            self.now += if fault == Fault::Flush { schedule.check } else { schedule.gather };
            while !matches!(
                self.reconciler.run(self.now, &self.view, self.subject.backend()),
                Progress::Idle { .. } | Progress::Failed(Failure::Apply { .. }) | Progress::Applied { .. }
            ) {}
            self.nothing_wrong(&before, fault)?;
        }
        self.settle(if fault.is_some() { Law::Heals } else { Law::Verdicts })
    }

    /// The packets to ask about: those on boundaries that the back end can be asked about, evenly picked.
    fn packets(&mut self) -> Vec<Packet> {
        self.looks += 1;
        // Of a port that the back end cannot serve it knows nothing, so its addresses and node ports may be anybody's.
        let plan = Plan::full(Generation::default(), &self.view, Delta::EMPTY, &self.capabilities);
        let unsupported: Vec<&ServicePort> = plan.unsupported().map(|(port, _)| &**port).collect();
        let concerns = |port: &ServicePort, packet: &Packet| {
            port.frontends().any(|(kind, to)| match kind {
                FrontendKind::NodePort => packet.port == Some((to.protocol, to.port)),
                _ => packet.dst == to.addr,
            })
        };
        let supported = |packet: &Packet| match self.view.decide(packet).frontend {
            Some(Frontend::HostPort(_)) if !self.capabilities.has_host_ports() => false,
            _ => !unsupported.iter().any(|port| concerns(port, packet)),
        };
        let all = packets(&self.view).into_iter().filter(supported);
        let is_served = |packet: &Packet| self.view.decide(packet).verdict == Verdict::Dnat;
        let (served, others): (Vec<Packet>, Vec<Packet>) = all.partition(is_served);
        // Half of them lead somewhere, though most boundaries lead nowhere.
        let half = self.conformance.packets / 2;
        let mut picked = evenly(&served, half, self.looks);
        picked.extend(evenly(&others, self.conformance.packets - half, self.looks));
        picked
    }

    fn look(&mut self, coverage: &mut Coverage) -> Result<(), String> {
        for packet in self.packets() {
            let decision = self.view.decide(&packet);
            let expected = Distribution::from(&decision);
            let got = self.subject.ask(&packet);
            coverage.packets += 1;
            coverage.translated += u64::from(decision.verdict == Verdict::Dnat);
            if !got.agrees_with(&expected) {
                let why = self.view.explain(&decision);
                let how = format!("{}: {got}, but it should be {expected} ({why})", describe(&packet));
                return Err(broken(Law::Verdicts, how));
            }
        }
        self.clients_are_kept(coverage)?;
        self.flows_lead_somewhere(coverage)?;
        self.in_place_changes_nothing()
    }

    /// Law 4.
    fn in_place_changes_nothing(&mut self) -> Result<(), String> {
        let Some(generation) = self.reconciler.installed() else { return Ok(()) };
        let read = |backend: &mut S::Backend| backend.read_back().map_err(|e| broken(Law::Idempotence, e));
        let before = read(self.subject.backend())?;
        let plan = Plan::full(generation, &self.view, Delta::EMPTY, &self.capabilities);
        let report = self.subject.backend().apply(&plan).map_err(|error| broken(Law::Idempotence, error))?;
        if report.operations != 0 {
            return Err(broken(Law::Idempotence, format!("it took {} operations", report.operations)));
        }
        let after = read(self.subject.backend())?;
        if before.artifact != after.artifact {
            let how = format!("it was\n{:?}\nand is\n{:?}", before.artifact, after.artifact);
            return Err(broken(Law::Idempotence, how));
        }
        Ok(())
    }

    fn foreign_survives(&mut self) -> Result<(), String> {
        match &self.foreign {
            Some(planted) if *planted != self.subject.foreign() => {
                Err(broken(Law::Foreign, format!("it was {planted:?} and is {:?}", self.subject.foreign())))
            }
            _ => Ok(()),
        }
    }

    /// Law 6: what packets meet now is an endpoint that they might have met before or may meet then, or none.
    fn nothing_wrong(&mut self, before: &NodeView, fault: Fault) -> Result<(), String> {
        for packet in self.packets() {
            let allowed: Vec<SocketAddr> =
                [before, &self.view].into_iter().flat_map(|view| reachable(view, &packet)).collect();
            let got = self.subject.ask(&packet);
            if let Some(wrong) = got.endpoints().find(|addr| !allowed.contains(addr)) {
                let how =
                    format!("{} while {fault}: it goes to {wrong}, which is none of {allowed:?}", describe(&packet));
                return Err(broken(Law::Intermediate, how));
            }
        }
        self.foreign_survives()
    }

    /// Law 8: clients that came are at their endpoints still; then others come.
    fn clients_are_kept(&mut self, coverage: &mut Coverage) -> Result<(), String> {
        let capabilities = &self.capabilities;
        let endpoint_of = |view: &NodeView, bond: &Bond| {
            let decision = view.decide(&bond.packet);
            let served = match decision.frontend {
                Some(Frontend::Service(_, port)) => capabilities.unsupported(port).is_none(),
                _ => true,
            };
            let same = decision.affinity_seconds() == Some(bond.seconds) && served && capabilities.has_room_for(view);
            let candidate = decision.endpoints.candidates().iter().find(|c| c.addr == bond.endpoint && same)?;
            Some(Outcome::Endpoint { addr: bond.endpoint, masquerade: decision.endpoints.masquerades(candidate) })
        };
        let view = &self.view;
        self.bonds.retain(|bond| endpoint_of(view, bond).is_some());
        for bond in &self.bonds {
            let Some(outcome) = endpoint_of(&self.view, bond) else { continue };
            let got = self.subject.ask(&bond.packet);
            if !got.agrees_with(&Distribution::always(outcome)) {
                let how = format!("{} went to {} and now meets {got}", describe(&bond.packet), bond.endpoint);
                return Err(broken(Law::Affinity, how));
            }
            coverage.kept_clients += 1;
        }
        self.clients_come();
        Ok(())
    }

    /// Law 8, its end: after the timeout, they are strangers again.
    fn clients_expire(&mut self) -> Result<(), String> {
        let longest = self.bonds.iter().map(|bond| bond.seconds).max().unwrap_or_default();
        if !self.subject.advance(Duration::from_secs(longest.into())) {
            return Ok(());
        }
        for bond in &self.bonds {
            let expected = Distribution::from(&self.view.decide(&bond.packet));
            let got = self.subject.ask(&bond.packet);
            if !got.agrees_with(&expected) {
                let how = format!("{} is not forgotten after {longest} s: {got}", describe(&bond.packet));
                return Err(broken(Law::Affinity, how));
            }
        }
        Ok(())
    }

    /// A stranger connects to each frontend. With affinity it shall be there next time.
    fn clients_come(&mut self) {
        let frontends: Vec<_> =
            self.view.service_ports().flat_map(|port| port.frontends().collect::<Vec<_>>()).collect();
        for (i, (kind, frontend)) in frontends.into_iter().enumerate() {
            let addr = match frontend.addr {
                IpAddr::V4(addr) if addr.is_unspecified() => {
                    self.view.settings().primary_addresses().iter().find(|a| a.is_ipv4())
                }
                IpAddr::V6(addr) if addr.is_unspecified() => {
                    self.view.settings().primary_addresses().iter().find(|a| a.is_ipv6())
                }
                _ => Some(&frontend.addr),
            };
            let Some(addr) = addr else { continue };
            let packet = Packet::new(stranger(kind, *addr), SocketAddr::new(*addr, frontend.port), frontend.protocol);
            let decision = self.view.decide(&packet);
            let Some(Frontend::Service(_, port)) = decision.frontend else { continue };
            if self.capabilities.unsupported(port).is_some() || !self.capabilities.has_room_for(&self.view) {
                continue;
            }
            let seconds = decision.affinity_seconds();
            let endpoint = self.subject.connect(&packet, (self.looks * 31 + i) as u64);
            self.bonds.retain(|bond| bond.packet != packet);
            if let (Some(endpoint), Some(seconds)) = (endpoint, seconds) {
                self.bonds.push(Bond { packet, endpoint, seconds });
            }
        }
    }

    /// Law 9.
    fn flows_lead_somewhere(&mut self, coverage: &mut Coverage) -> Result<(), String> {
        let flows = if self.capabilities.has_flows() { self.subject.flows() } else { Vec::new() };
        for flow in flows {
            coverage.flows += 1;
            if self.view.is_stale(&flow) {
                let how = format!("{} is answered by {}", flow.destination, flow.reply_source);
                return Err(broken(Law::Flows, how));
            }
        }
        Ok(())
    }

    /// Laws 2, 3 and 10: what is there is what another back end has that was given the same in one plan, in another order.
    fn compare(&mut self, make: &impl Fn() -> S, law: Law) -> Result<(), String> {
        let mut objects: Vec<_> = self.cluster.objects().cloned().collect();
        objects.reverse();
        let cluster: Cluster = objects.into_iter().collect();
        let view = view_of(&cluster);
        let mut other = make();
        let generation = self.reconciler.installed().unwrap_or_default();
        let plan = Plan::full(generation, &view, Delta::EMPTY, &self.capabilities);
        other.backend().apply(&plan).map_err(|error| broken(law, error))?;
        let ours = self.subject.backend().read_back().map_err(|error| broken(law, error))?;
        let theirs = other.backend().read_back().map_err(|error| broken(law, error))?;
        if ours.artifact != theirs.artifact {
            let how = format!("there is\n{:?}\nbut there should be\n{:?}", ours.artifact, theirs.artifact);
            return Err(broken(law, how));
        }
        Ok(())
    }

    fn remove_all(&mut self) -> Result<(), String> {
        let objects: Vec<_> = self.cluster.objects().map(|object| object.reference()).collect();
        for object in objects {
            let change = self.cluster.remove(&object);
            let delta = self.view.update(&self.cluster, &change.touched);
            self.reconciler.changed(delta);
        }
        self.settle(Law::NothingLeft)
    }
}
