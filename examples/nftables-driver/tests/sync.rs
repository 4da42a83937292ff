//! What is written when something changes, and what when nothing does?

mod common;
#[path = "../../driver-kit/tests/small_world/mod.rs"]
mod small_world;

use common::kernel::{Kernel, KernelError};
use driver_kit::FlowTable;
use nftables_driver::{Layout, NftablesDriver, Tables};
use small_world::{edited, service, view};
use svc_model::addr::IpFamily;
use svc_model::backend::{Backend, Generation, Plan};
use svc_model::{Cluster, Delta, Flow, NodeView, Object, Touched};

/// A kernel that remembers what it was told.
#[derive(Debug, Default)]
struct Recorder {
    kernel: Kernel,
    commands: String,
}

impl Tables for Recorder {
    fn list(&mut self, family: IpFamily) -> Result<Option<String>, KernelError> {
        self.kernel.list(family)
    }

    fn run(&mut self, commands: &str) -> Result<(), KernelError> {
        self.commands.push_str(commands);
        self.kernel.run(commands)
    }

    fn has_canary(&mut self, family: IpFamily) -> Result<bool, KernelError> {
        self.kernel.has_canary(family)
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
    driver: NftablesDriver<Recorder>,
    generation: u64,
}

impl Play {
    fn new(layout: Layout) -> Play {
        let cluster = small_world::cluster();
        let view = view(&cluster);
        let driver = NftablesDriver::new(Recorder::default(), layout);
        let mut play = Play { cluster, view, driver, generation: 0 };
        play.full();
        play
    }

    /// What the whole makes the driver write, the generation apart.
    fn full(&mut self) -> String {
        self.apply(Delta::EMPTY, false)
    }

    /// What an edit makes it write.
    fn delta(&mut self, objects: impl IntoIterator<Item = Object>) -> String {
        let mut touched = Touched::default();
        objects.into_iter().for_each(|object| touched.extend(self.cluster.apply(object).touched));
        let delta = self.view.update(&self.cluster, &touched);
        self.apply(&delta, true)
    }

    fn apply(&mut self, delta: &Delta, is_delta: bool) -> String {
        let capabilities = self.driver.capabilities();
        let (generation, base) = (Generation(self.generation + 1), Generation(self.generation));
        let plan = match is_delta {
            true => Plan::delta(generation, base, &self.view, delta, &capabilities),
            false => Plan::full(generation, &self.view, delta, &capabilities),
        };
        self.driver.apply(&plan).unwrap();
        self.generation += 1;
        let commands = std::mem::take(&mut self.driver.tables().commands);
        let is_generation = |line: &&str| line.contains(" kube-proxy generation");
        commands.lines().filter(|line| !is_generation(line)).map(|line| format!("{line}\n")).collect()
    }
}

#[test]
fn a_whole_that_differs_writes_the_difference() {
    for layout in [Layout::Modern, Layout::Fast] {
        let mut play = Play::new(layout);
        assert_eq!(play.full(), "");
        let mut other = Play::new(layout);
        // Two that come or change, one that goes, told as a difference and as a whole.
        let objects = || {
            let changed = service("s3", 3, &[2, 9]);
            let new = service("s21", 21, &[1]);
            changed.into_iter().chain(new).chain(service("s5", 5, &[]))
        };
        let told = play.delta(objects());
        objects().for_each(|object| drop(other.cluster.apply(object)));
        other.view = view(&other.cluster);
        assert_eq!(other.full(), told, "{layout:?}");
        assert!(told.lines().count() > 10, "{told}");
        assert_eq!((play.full(), other.full()), (String::new(), String::new()));
        // And as if it were new.
        let read = other.driver.read_back().unwrap().artifact;
        assert_eq!(read, play.driver.read_back().unwrap().artifact);
        assert_eq!(other.full(), "", "what was listed is what was made");
    }
}

#[test]
fn a_node_port_concerns_who_is_asked_on_its_number() {
    for layout in [Layout::Modern, Layout::Fast] {
        let mut play = Play::new(layout);
        // Refused at an address of the node.
        play.delta(edited("s3", 3, &[], |service| {
            service.spec.external_ips = vec!["192.0.2.7".into()];
            service.spec.ports[0].port = 30_080;
        }));
        let back = "service-ips { 192.0.2.7 . tcp . 30080 : return }";
        let comes = play.delta(edited("s4", 4, &[1], |service| {
            service.spec.type_ = "NodePort".into();
            service.spec.ports[0].node_port = 30_080;
        }));
        assert!(comes.contains(back), "{comes}");
        assert_eq!(play.full(), "");
        let goes = play.delta(service("s4", 4, &[1]));
        assert!(goes.contains("delete element ip kube-proxy service-ips { 192.0.2.7 . tcp . 30080 }"), "{goes}");
        assert_eq!(play.full(), "");
    }
}
