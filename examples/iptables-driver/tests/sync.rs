//! What is written when something changes, and what in a large cluster?

mod common;
#[path = "../../driver-kit/tests/small_world/mod.rs"]
mod small_world;

use common::kernel::{Kernel, KernelError};
use driver_kit::FlowTable;
use iptables_driver::{IptablesDriver, Options, Table, Tables};
use small_world::{edited, service, view};
use svc_model::addr::IpFamily;
use svc_model::backend::{ApplyError, Backend, Generation, Plan};
use svc_model::{Cluster, Delta, Flow, NodeView, Object};

/// A kernel that remembers what it was told.
#[derive(Debug, Default)]
struct Recorder {
    kernel: Kernel,
    inputs: Vec<String>,
}

impl Tables for Recorder {
    fn save(&mut self, family: IpFamily) -> Result<String, KernelError> {
        self.kernel.save(family)
    }

    fn restore(&mut self, family: IpFamily, input: &str) -> Result<(), KernelError> {
        self.inputs.push(input.to_owned());
        self.kernel.restore(family, input)
    }

    fn has_canary(&mut self, family: IpFamily, table: Table) -> Result<bool, KernelError> {
        self.kernel.has_canary(family, table)
    }

    fn may_have_happened(error: &KernelError) -> bool {
        Kernel::may_have_happened(error)
    }
}

impl FlowTable for Recorder {
    type Error = KernelError;

    fn flows(&mut self) -> Result<Vec<Flow>, KernelError> {
        self.kernel.flows()
    }

    fn forget(&mut self, flow: &Flow) -> Result<(), KernelError> {
        self.kernel.forget(flow)
    }
}

struct Play {
    cluster: Cluster,
    view: NodeView,
    driver: IptablesDriver<Recorder>,
    generation: u64,
}

impl Play {
    fn new(options: Options) -> Play {
        let cluster = small_world::cluster();
        let view = view(&cluster);
        let driver = IptablesDriver::new(Recorder::default(), options);
        let mut play = Play { cluster, view, driver, generation: 0 };
        play.full();
        play
    }

    fn full(&mut self) -> String {
        self.generation += 1;
        let capabilities = self.driver.capabilities();
        let plan = Plan::full(Generation(self.generation), &self.view, Delta::EMPTY, &capabilities);
        self.driver.apply(&plan).unwrap();
        self.written()
    }

    /// What an edit makes the driver write.
    fn delta(&mut self, objects: impl IntoIterator<Item = Object>) -> String {
        let mut touched = svc_model::Touched::default();
        objects.into_iter().for_each(|object| touched.extend(self.cluster.apply(object).touched));
        let delta = self.view.update(&self.cluster, &touched);
        self.generation += 1;
        let capabilities = self.driver.capabilities();
        let (generation, base) = (Generation(self.generation), Generation(self.generation - 1));
        self.driver.apply(&Plan::delta(generation, base, &self.view, &delta, &capabilities)).unwrap();
        self.written()
    }

    fn written(&mut self) -> String {
        self.driver.tables().inputs.drain(..).collect()
    }
}

fn count(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.starts_with(start)).count()
}

#[test]
fn a_difference_writes_what_all_share_and_the_chains_of_what_changed() {
    let mut play = Play::new(Options::default());
    let written = play.delta(service("s3", 3, &[2, 9]));
    for chain in ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"] {
        assert_eq!(count(&written, &format!(":{chain} - [0:0]")), 1, "{chain}\n{written}");
    }
    assert_eq!(count(&written, "-A KUBE-SERVICES -m comment --comment \"default/s"), 20);
    // Its own chain, that of two endpoints, and the one that went.
    assert_eq!(
        (count(&written, ":KUBE-SVC-"), count(&written, ":KUBE-SEP-"), count(&written, "-X KUBE-SEP-")),
        (1, 3, 1),
        "{written}"
    );
    assert!(!written.contains("-j KUBE-SERVICES"), "jumps are no part of it: {written}");
}

#[test]
fn a_service_that_loses_its_endpoints_is_refused_before_it_is_not_served() {
    let mut play = Play::new(Options::default());
    let lost = play.delta(service("s3", 3, &[]));
    assert!(lost.find("has no endpoints") < lost.find("*nat"), "{lost}");
    // And served before it is not refused.
    let gained = play.delta(service("s3", 3, &[1]));
    assert!(gained.find("*nat") < gained.find("*filter"), "{gained}");
    // Both at once: refused by one commit, served by the next, not refused by a third.
    play.delta(service("s4", 4, &[]));
    let both = play.delta(service("s4", 4, &[1]).into_iter().chain(service("s3", 3, &[])));
    let tables: Vec<&str> = both.lines().filter(|line| line.starts_with('*')).collect();
    assert_eq!(tables, ["*filter", "*nat", "*filter", "*mangle"], "{both}");
    assert!(both[..both.find("*nat").unwrap()].contains("default/s3 has no endpoints"), "{both}");
    assert!(both[..both.find("*nat").unwrap()].contains("default/s4 has no endpoints"), "{both}");
}

#[test]
fn nothing_is_written_where_nothing_differs() {
    let mut play = Play::new(Options::default());
    let again = play.full();
    assert_eq!(
        again.lines().filter(|line| line.starts_with('*')).collect::<Vec<_>>(),
        ["*mangle"],
        "the generation alone: {again}"
    );
}

#[test]
fn in_a_large_cluster_endpoints_have_no_comments_and_what_is_stale_waits() {
    let mut options = Options::default();
    options.large_cluster_endpoints = 39;
    let mut play = Play::new(options);
    let written = play.delta(service("s3", 3, &[2, 9]));
    let of_endpoints = |line: &&str| {
        line.starts_with("-A KUBE-SEP-") || (line.starts_with("-A KUBE-SVC-") && line.contains("-j KUBE-SEP-"))
    };
    assert!(written.lines().filter(of_endpoints).count() > 4);
    assert!(written.lines().filter(of_endpoints).all(|line| !line.contains("--comment")), "{written}");
    assert!(written.contains("--comment \"default/s3 cluster IP\""), "{written}");
    assert_eq!(count(&written, "-X "), 0, "{written}");
    assert_eq!(count(&play.full(), "-X KUBE-SEP-"), 1);
    // One endpoint less, and it is not large.
    let smaller = play.delta(service("s4", 4, &[1]));
    assert!(smaller.contains("--comment \"default/s4 -> 10.244.4.1:8080\""), "{smaller}");
}

#[test]
fn a_node_port_concerns_who_is_asked_on_its_number() {
    let mut play = Play::new(Options::default());
    // At an address of the node.
    play.delta(edited("s3", 3, &[1], |service| {
        service.spec.external_ips = vec!["192.0.2.7".into()];
        service.spec.ports[0].port = 30_080;
    }));
    let with_node_port = edited("s4", 4, &[1], |service| {
        service.spec.type_ = "NodePort".into();
        service.spec.ports[0].node_port = 30_080;
    });
    let guard = "-A KUBE-NODEPORTS -m comment --comment \"default/s3 is not a node port here\"";
    let comes = play.delta(with_node_port);
    assert_eq!(count(&comes, guard), 1, "{comes}");
    assert_eq!(count(&play.full(), ":"), 1, "the generation alone");
    let goes = play.delta(service("s4", 4, &[1]));
    assert_eq!(count(&goes, guard), 0, "{goes}");
    assert_eq!(count(&play.full(), ":"), 1, "the generation alone");
}

#[test]
fn jumps_come_first_again_when_somebody_puts_a_rule_before_them() {
    let mut play = Play::new(Options::default());
    let kernel = &mut play.driver.tables().kernel;
    kernel.restore(IpFamily::V4, "*nat\n-I PREROUTING 1 -s 203.0.113.9/32 -j ACCEPT\nCOMMIT\n").unwrap();
    let written = play.full();
    assert_eq!((count(&written, "-D PREROUTING "), count(&written, "-I PREROUTING 1 ")), (1, 1), "{written}");
    let saved = play.driver.tables().save(IpFamily::V4).unwrap();
    let of_nat = &saved[saved.find("*nat").unwrap()..];
    let first = of_nat.lines().find(|line| line.starts_with("-A PREROUTING")).unwrap();
    assert!(first.ends_with("-j KUBE-SERVICES"), "{first}");
    assert!(of_nat.contains("-A PREROUTING -s 203.0.113.9/32 -j ACCEPT"));
}

#[test]
fn a_cleanup_leaves_what_others_lead_to_and_nothing_else() {
    let mut play = Play::new(Options::default());
    let input = "*nat\n:OTHERS - [0:0]\n-A OTHERS -j KUBE-MARK-MASQ\nCOMMIT\n";
    play.driver.tables().kernel.restore(IpFamily::V4, input).unwrap();
    play.driver.cleanup().unwrap();
    let saved = play.driver.tables().save(IpFamily::V4).unwrap();
    let ours: Vec<&str> = saved.lines().filter(|line| line.contains("KUBE-")).collect();
    assert_eq!(ours, [":KUBE-MARK-MASQ - [12:3456]", "-A OTHERS -j KUBE-MARK-MASQ"]);
}

#[test]
fn a_difference_from_another_generation_is_refused() {
    let mut play = Play::new(Options::default());
    let capabilities = play.driver.capabilities();
    let plan = Plan::delta(Generation(9), Generation(7), &play.view, Delta::EMPTY, &capabilities);
    assert_eq!(play.driver.apply(&plan), Err(ApplyError::NeedFull));
    assert_eq!(play.written(), "");
}
