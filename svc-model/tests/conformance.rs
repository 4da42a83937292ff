//! The laws hold for the reference back end, and each of a row of broken ones is caught.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use svc_model::addr::IpFamily;
use svc_model::backend::{
    ApplyError, Backend, Capabilities, Generation, Observed, Plan, PlanMode, Progress, Reconciler, ReferenceArtifact,
    ReferenceBackend, ReferenceError, Report, Schedule,
};
use svc_model::testkit::{Conformance, Distribution, Fault, Outcome, ReferenceSubject, Subject};
use svc_model::{Delta, Flow, Packet, PortChange, Protocol, ServicePort, TrafficPolicy};

/// More with the environment variable `PROPTEST_CASES`, which proptest reads.
fn sequences() -> u32 {
    proptest::test_runner::Config::default().cases.max(1_024)
}

#[test]
fn the_laws_hold_for_the_reference_backend() {
    let coverage = match Conformance::default().sequences(sequences()).check(ReferenceSubject::default) {
        Ok(coverage) => coverage,
        Err(broken) => panic!("{broken}"),
    };
    assert_eq!(coverage.sequences, u64::from(sequences()));
    // None of it for nothing.
    assert!(coverage.edits > 2 * coverage.sequences, "{coverage:?}");
    assert!(coverage.packets > 100 * coverage.sequences, "{coverage:?}");
    assert!(coverage.translated > coverage.packets / 10, "{coverage:?}");
    assert!(coverage.faults > coverage.sequences / 2, "{coverage:?}");
    assert!(coverage.kept_clients > coverage.sequences, "{coverage:?}");
    assert!(coverage.flows > coverage.sequences, "{coverage:?}");
}

#[test]
fn the_same_seed_makes_the_same_sequences_and_another_one_others() {
    let coverage = |seed| Conformance::default().sequences(8).seed(seed).check(ReferenceSubject::default).unwrap();
    assert_eq!(coverage(1), coverage(1));
    assert_ne!(coverage(1), coverage(2));
}

/// What is wrong with a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    ForgetsDeletes,
    IgnoresNewEndpoints,
    IgnoresInternalLocal,
    IgnoresExternalLocal,
    IgnoresSourceRanges,
    IgnoresAffinity,
    ServesTcpOnly,
    ServesIpv4Only,
    LosesAffinityOfWhatChanges,
    KeepsClientsForEver,
    KeepsStaleFlows,
    SharesUnevenly,
    NeverMasqueradesHairpin,
    AppliesAnyDelta,
    TakesAPartForAll,
    NeverRecovers,
    WritesWithoutNeed,
    ShowsItsPast,
    TouchesOthers,
    GoesAstrayAfterFailure,
}

use Defect::*;

/// A reference back end with a defect.
struct Defective {
    subject: ReferenceSubject,
    backend: DefectiveBackend,
    foreign: String,
}

struct DefectiveBackend {
    inner: ReferenceBackend,
    defect: Defect,
    deltas: u64,
    failed: bool,
    plans: u64,
}

impl Defective {
    fn new(defect: Defect) -> Defective {
        let inner = ReferenceBackend::default();
        let backend = DefectiveBackend { inner, defect, deltas: 0, failed: false, plans: 0 };
        Defective { subject: ReferenceSubject::default(), backend, foreign: String::new() }
    }

    /// Does something with the reference subject around the back end.
    fn with<T>(&mut self, act: impl FnOnce(&mut ReferenceSubject) -> T) -> T {
        std::mem::swap(self.subject.backend(), &mut self.backend.inner);
        let result = act(&mut self.subject);
        std::mem::swap(self.subject.backend(), &mut self.backend.inner);
        result
    }
}

impl Subject for Defective {
    type Backend = DefectiveBackend;

    fn backend(&mut self) -> &mut DefectiveBackend {
        &mut self.backend
    }

    fn ask(&mut self, packet: &Packet) -> Distribution {
        let asked = self.with(|subject| subject.ask(packet));
        let n = asked.iter().count();
        let mut wrong = Distribution::new();
        for (i, (outcome, share)) in asked.iter().enumerate() {
            match (self.backend.defect, outcome) {
                // 1/n at each step of a cascade, so that the last gets what is left.
                (SharesUnevenly, _) if n > 1 => {
                    let passed = (1.0 - share).powi(i as i32);
                    wrong.add(outcome, if i + 1 == n { passed } else { passed * share });
                }
                (NeverMasqueradesHairpin, Outcome::Endpoint { addr, .. }) if addr.ip() == packet.src => {
                    wrong = Distribution::even(
                        svc_model::Verdict::Dnat,
                        asked.iter().filter_map(|(o, _)| endpoint(o)).collect::<Vec<_>>().into_iter(),
                    );
                    break;
                }
                (GoesAstrayAfterFailure, Outcome::Endpoint { masquerade, .. }) if self.backend.failed => {
                    let addr: SocketAddr = "10.9.9.9:9".parse().unwrap();
                    return Distribution::even(svc_model::Verdict::Dnat, [(addr, masquerade)].into_iter());
                }
                _ => wrong.add(outcome, share),
            }
        }
        wrong
    }

    fn connect(&mut self, packet: &Packet, word: u64) -> Option<SocketAddr> {
        self.with(|subject| subject.connect(packet, word))
    }

    fn advance(&mut self, by: Duration) -> bool {
        let by = if self.backend.defect == KeepsClientsForEver { Duration::ZERO } else { by };
        self.with(|subject| subject.advance(by))
    }

    fn flows(&mut self) -> Vec<Flow> {
        self.with(|subject| subject.flows())
    }

    fn inject(&mut self, fault: Fault) -> bool {
        self.with(|subject| subject.inject(fault))
    }

    fn plant(&mut self) -> bool {
        self.foreign = "theirs".into();
        true
    }

    fn foreign(&mut self) -> String {
        if self.backend.defect == TouchesOthers && self.backend.plans > 2 {
            String::new()
        } else {
            self.foreign.clone()
        }
    }
}

/// An endpoint that is taken for no hairpin.
fn endpoint(outcome: Outcome) -> Option<(SocketAddr, bool)> {
    match outcome {
        Outcome::Endpoint { addr, .. } => Some((addr, false)),
        _ => None,
    }
}

impl DefectiveBackend {
    fn spoil(&self, port: &mut ServicePort) {
        match self.defect {
            IgnoresInternalLocal => port.internal_policy = TrafficPolicy::Cluster,
            IgnoresExternalLocal => port.external_policy = TrafficPolicy::Cluster,
            IgnoresSourceRanges => port.source_ranges.clear(),
            IgnoresAffinity => port.affinity_seconds = None,
            _ => {}
        }
    }

    /// The difference as this back end understands it.
    fn misread(&self, plan: &Plan<'_>) -> Delta {
        let mut delta = Delta::default();
        let changes: Vec<PortChange> = match plan.mode {
            PlanMode::Delta { .. } => plan.changes().collect(),
            _ => plan.ports().filter_map(|port| PortChange::between(None, Some(port.clone()))).collect(),
        };
        for change in changes {
            let endpoints_only = change.aspects().cluster_endpoints && !change.aspects().frontends;
            let skipped = match self.defect {
                ForgetsDeletes => change.is_removed(),
                IgnoresNewEndpoints => endpoints_only,
                ServesTcpOnly => change.id().protocol != Protocol::Tcp,
                ServesIpv4Only => change.id().family != IpFamily::V4,
                _ => false,
            };
            let mut after = change.after().cloned();
            if let Some(after) = after.as_mut() {
                self.spoil(Arc::make_mut(after));
            }
            if !skipped {
                delta.ports.extend(PortChange::between(change.before().cloned(), after));
            }
        }
        delta
    }
}

impl Backend for DefectiveBackend {
    type Artifact = (ReferenceArtifact, u64);
    type Error = ReferenceError;

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn read_back(&mut self) -> Result<Observed<Self::Artifact>, ReferenceError> {
        let observed = self.inner.read_back()?;
        let past = if self.defect == ShowsItsPast { self.deltas } else { 0 };
        let intact = observed.intact;
        Ok(Observed::new((observed.artifact, past)).generation(observed.generation).intact(intact))
    }

    fn apply(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<ReferenceError>> {
        self.plans += 1;
        if self.defect == NeverRecovers && self.failed {
            return Err(ApplyError::Rejected { object: None, cause: ReferenceError::Interrupted });
        }
        let everything = Capabilities::default();
        let outcome = match (self.defect, plan.mode) {
            (AppliesAnyDelta, PlanMode::Delta { .. }) => {
                // Whatever is there is taken for the base.
                let base = self.inner.read_back().ok().and_then(|observed| observed.generation).unwrap_or_default();
                let delta = self.misread(plan);
                self.inner.apply(&Plan::delta(plan.generation, base, plan.view, &delta, &everything))
            }
            (KeepsStaleFlows, PlanMode::Delta { base }) => {
                let without = Capabilities::default().without_flows();
                let delta = self.misread(plan);
                self.inner.apply(&Plan::delta(plan.generation, base, plan.view, &delta, &without))
            }
            (LosesAffinityOfWhatChanges, PlanMode::Delta { base }) => {
                let mut removal = self.misread(plan);
                removal.ports = removal
                    .ports
                    .iter()
                    .filter_map(|change| PortChange::between(change.before().cloned(), None))
                    .collect();
                let gone = self.inner.apply(&Plan::delta(base, base, plan.view, &removal, &everything));
                gone.and_then(|_| self.inner.apply(plan))
            }
            (
                ForgetsDeletes | IgnoresNewEndpoints | ServesTcpOnly | ServesIpv4Only | IgnoresInternalLocal
                | IgnoresExternalLocal | IgnoresSourceRanges | IgnoresAffinity,
                PlanMode::Delta { base },
            ) => {
                let delta = self.misread(plan);
                self.inner.apply(&Plan::delta(plan.generation, base, plan.view, &delta, &everything))
            }
            _ => self.inner.apply(plan),
        };
        self.deltas += u64::from(plan.mode != PlanMode::Full);
        self.failed = outcome.is_err();
        match outcome {
            Err(ApplyError::Partial { .. }) if self.defect == TakesAPartForAll => Ok(Report::new(1, 1)),
            Ok(report) if self.defect == WritesWithoutNeed => Ok(Report::new(report.operations + 1, 1)),
            outcome => outcome,
        }
    }
}

/// The law that a back end with this defect breaks, as the harness tells it.
fn caught(defect: Defect) -> String {
    let outcome = Conformance::default().sequences(sequences()).check(|| Defective::new(defect));
    let broken = outcome.expect_err("a defect that is not caught");
    let scenario = broken.scenario.expect("a scenario that shows it");
    // Small enough to be read.
    let lines = scenario.to_string().lines().count();
    assert!(lines <= 12, "{defect:?} is shown by {lines} lines:\n{scenario}");
    broken.what.split(':').next().unwrap_or_default().split(',').next().unwrap_or_default().to_owned()
}

macro_rules! caught {
    ($($name:ident $defect:ident $($law:literal)|+;)*) => {$(
        #[test]
        fn $name() {
            let law = caught($defect);
            assert!([$($law),+].contains(&law.as_str()), "{law}");
        }
    )*};
}

caught! {
    a_backend_that_forgets_deletes ForgetsDeletes "law 1";
    a_backend_that_ignores_new_endpoints IgnoresNewEndpoints "law 1";
    a_backend_that_ignores_internal_local IgnoresInternalLocal "law 1" | "law 4" | "law 8";
    a_backend_that_ignores_external_local IgnoresExternalLocal "law 1" | "law 4" | "law 8";
    a_backend_that_ignores_source_ranges IgnoresSourceRanges "law 1" | "law 4";
    a_backend_that_ignores_affinity IgnoresAffinity "law 4" | "law 8";
    a_backend_that_serves_tcp_only ServesTcpOnly "law 1";
    a_backend_that_serves_ipv4_only ServesIpv4Only "law 1";
    a_backend_that_loses_affinity LosesAffinityOfWhatChanges "law 8";
    a_backend_that_keeps_clients_for_ever KeepsClientsForEver "law 8";
    a_backend_that_keeps_stale_flows KeepsStaleFlows "law 9";
    a_backend_that_shares_unevenly SharesUnevenly "law 1";
    a_backend_that_never_masquerades_hairpin NeverMasqueradesHairpin "law 1";
    a_backend_that_applies_any_delta AppliesAnyDelta "law 1" | "law 4" | "law 7" | "law 9";
    a_backend_that_takes_a_part_for_all TakesAPartForAll "law 1" | "law 4" | "law 7";
    a_backend_that_never_recovers NeverRecovers "law 7";
    a_backend_that_writes_without_need WritesWithoutNeed "law 4";
    a_backend_that_shows_its_past ShowsItsPast "laws 2 and 3";
    a_backend_that_touches_others TouchesOthers "law 5";
    a_backend_that_goes_astray_after_failure GoesAstrayAfterFailure "law 6";
}

#[test]
fn a_backend_that_can_do_less_is_held_to_what_it_can() {
    let all = Capabilities::default;
    let narrowed = [
        all().without_protocol(Protocol::Sctp),
        all().without_protocol(Protocol::Udp).without_flows(),
        all().without_family(IpFamily::V6),
        all().without_local_policies(),
        all().without_affinity(),
        all().without_source_ranges(),
        all().without_host_ports(),
        all().max_endpoints(1),
        all().max_ports(3),
    ];
    for capabilities in narrowed {
        let subject = || ReferenceSubject::new(capabilities.clone());
        if let Err(broken) = Conformance::default().check(subject) {
            panic!("{capabilities:?}: {broken}");
        }
    }
}

#[test]
fn a_port_that_finds_room_at_last_is_served_at_once() {
    let service = |name: &str, ip: u8| {
        let mut service = svc_model::api::Service::default();
        service.metadata.name = name.into();
        service.spec.cluster_ip = format!("172.30.0.{ip}");
        service.spec.ports = vec![svc_model::api::ServicePort { port: 80, ..Default::default() }];
        service
    };
    let mut cluster = svc_model::Cluster::from_iter([service("a", 1), service("b", 2), service("c", 3)]);
    let mut view = svc_model::NodeView::new(&cluster, Default::default());
    let mut backend = ReferenceBackend::new(Capabilities::default().max_ports(2));
    let mut reconciler = Reconciler::new(Schedule::default());
    reconciler.lists_complete();
    let mut settle = |reconciler: &mut Reconciler, view: &svc_model::NodeView, seconds| -> Vec<String> {
        let now = Duration::from_secs(seconds);
        while !matches!(reconciler.run(now, view, &mut backend), Progress::Idle { .. }) {}
        let ports = backend.read_back().unwrap().artifact.ports;
        ports.iter().map(|port| port.service.name.to_string()).collect()
    };
    assert_eq!(settle(&mut reconciler, &view, 0), ["a", "b"]);
    let change = cluster.remove(&"Service/default/a".parse().unwrap());
    reconciler.changed(view.update(&cluster, &change.touched));
    assert_eq!(settle(&mut reconciler, &view, 2), ["b", "c"]);
}

#[test]
fn a_schedule_of_zeros_comes_to_rest() {
    let zero = Duration::ZERO;
    let schedule = Schedule::default().full(zero).check(zero).gather(zero).retry(zero);
    let view = svc_model::NodeView::new(&svc_model::Cluster::new(), Default::default());
    let (mut reconciler, mut backend) = (Reconciler::new(schedule), ReferenceBackend::default());
    reconciler.lists_complete();
    let rests = (0..100).any(|_| matches!(reconciler.run(zero, &view, &mut backend), Progress::Idle { .. }));
    assert!(rests);
}

#[test]
fn a_plan_names_who_has_each_destination_that_changes() {
    let service = |name: &str, ip: u8| {
        let mut service = svc_model::api::Service::default();
        service.metadata.name = name.into();
        service.spec.cluster_ip = format!("172.30.0.{ip}");
        service.spec.external_ips = vec!["203.0.113.7".into()];
        service.spec.ports = vec![svc_model::api::ServicePort { port: 80, ..Default::default() }];
        service
    };
    let mut cluster = svc_model::Cluster::from_iter([service("a", 1), service("b", 2)]);
    let mut view = svc_model::NodeView::new(&cluster, Default::default());
    let change = cluster.remove(&"Service/default/a".parse().unwrap());
    let delta = view.update(&cluster, &change.touched);
    let everything = Capabilities::default();
    let plan = Plan::delta(Generation(2), Generation(1), &view, &delta, &everything);
    let owners: Vec<_> = plan
        .frontends()
        .iter()
        .map(|(to, owner)| (to.to_string(), owner.map(|port| port.service.name.to_string())))
        .collect();
    assert_eq!(owners, [("172.30.0.1:80 TCP".into(), None), ("203.0.113.7:80 TCP".into(), Some("b".into()))]);
}

#[test]
fn a_delta_of_another_base_is_refused_and_changes_nothing() {
    let cluster = svc_model::Cluster::new();
    let view = svc_model::NodeView::new(&cluster, Default::default());
    let capabilities = Capabilities::default();
    let mut backend = ReferenceBackend::default();
    let full = Plan::full(Generation(7), &view, Delta::EMPTY, &capabilities);
    backend.apply(&full).unwrap();
    let before = backend.read_back().unwrap();
    let stale = Plan::delta(Generation(9), Generation(6), &view, Delta::EMPTY, &capabilities);
    assert_eq!(backend.apply(&stale), Err(ApplyError::NeedFull));
    assert_eq!(backend.read_back().unwrap(), before);
}
