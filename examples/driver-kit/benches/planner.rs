//! What does a plan cost beside the kernel? The drivers over tables that take everything at once, next to the floors of the same run:
//! the same text written with `write!`, and copied.

mod world;

use std::convert::Infallible;
use std::fmt::Write;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use driver_kit::FlowTable;
use iptables_driver::{IptablesDriver, Options, Style, Table};
use nftables_driver::{Layout, NftablesDriver};
use svc_model::addr::IpFamily;
use svc_model::backend::{Backend, Generation, Plan};
use svc_model::{Cluster, Delta, Flow, NodeSettings, NodeView, Touched};
use world::service;

/// Tables that hold what they are said to hold, and take everything.
#[derive(Clone, Default)]
struct Taken {
    saved: String,
    written: usize,
}

impl FlowTable for Taken {
    type Error = Infallible;

    fn flows(&mut self) -> Result<Vec<Flow>, Infallible> {
        Ok(Vec::new())
    }

    fn forget(&mut self, _: &Flow) -> Result<(), Infallible> {
        Ok(())
    }
}

impl iptables_driver::Tables for Taken {
    fn save(&mut self, _: IpFamily) -> Result<String, Infallible> {
        Ok(self.saved.clone())
    }

    fn restore(&mut self, _: IpFamily, input: &str) -> Result<(), Infallible> {
        self.written += input.len();
        Ok(())
    }

    fn has_canary(&mut self, _: IpFamily, _: Table) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn may_have_happened(_: &Infallible) -> bool {
        false
    }
}

impl nftables_driver::Tables for Taken {
    fn list(&mut self, _: IpFamily) -> Result<Option<String>, Infallible> {
        Ok(None)
    }

    fn run(&mut self, commands: &str) -> Result<(), Infallible> {
        self.written += commands.len();
        Ok(())
    }

    fn has_canary(&mut self, _: IpFamily) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn may_have_happened(_: &Infallible) -> bool {
        false
    }
}

struct World {
    services: u32,
    step: u32,
    cluster: Cluster,
    view: NodeView,
}

impl World {
    fn new(services: u32) -> World {
        let cluster: Cluster = (0..services).flat_map(|i| service(i, 0)).collect();
        let settings = NodeSettings::of(&cluster, None).expect("no node is no ambiguous one");
        World { services, step: 0, view: NodeView::new(&cluster, settings), cluster }
    }

    /// Both endpoints of ten Services are replaced.
    fn change(&mut self) -> Delta {
        self.step += 1;
        let step = self.step % 997;
        let mut touched = Touched::default();
        let changed = (0..10).map(|i| (i * self.services / 10 + step) % self.services);
        changed.flat_map(|i| service(i, step)).for_each(|object| touched.extend(self.cluster.apply(object).touched));
        self.view.update(&self.cluster, &touched)
    }
}

fn full<B: Backend>(driver: &mut B, world: &World, generation: u64) {
    let capabilities = driver.capabilities();
    let plan = Plan::full(Generation(generation), &world.view, Delta::EMPTY, &capabilities);
    black_box(driver.apply(&plan)).expect("tables that take everything");
}

fn changes<B: Backend>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, world: &mut World, new: impl Fn() -> B) {
    let id = |what: &str| BenchmarkId::new(format!("{name}, {what}"), world.services);
    let (cold, ten) = (id("cold start"), id("ten changed"));
    group.bench_function(cold, |b| b.iter_batched_ref(&new, |driver| full(driver, world, 1), BatchSize::PerIteration));
    group.bench_function(ten, |b| {
        let mut driver = new();
        full(&mut driver, world, 1);
        let mut generation = 1;
        b.iter_custom(|times| {
            let mut whole = Duration::ZERO;
            for _ in 0..times {
                let delta = world.change();
                let capabilities = driver.capabilities();
                let (number, base) = (Generation(generation + 1), Generation(generation));
                let plan = Plan::delta(number, base, &world.view, &delta, &capabilities);
                let start = Instant::now();
                black_box(driver.apply(&plan)).expect("tables that take everything");
                whole += start.elapsed();
                generation += 1;
            }
            whole
        });
    });
}

/// The whole again, where all of it is there.
fn no_change<B: Backend>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, world: &World, mut driver: B) {
    let mut generation = 1;
    group.bench_function(BenchmarkId::new(format!("{name}, no change"), world.services), |b| {
        full(&mut driver, world, 1);
        b.iter(|| {
            generation += 1;
            full(&mut driver, world, generation);
        });
    });
}

/// The text of `iptables-restore` for these Services, written with nothing in between: names are numbers, not hashes.
fn floor(out: &mut String, services: u32) -> std::fmt::Result {
    out.push_str("*nat\n:KUBE-SERVICES - [0:0]\n");
    for i in 0..services {
        writeln!(out, ":KUBE-SVC-{i:016} - [0:0]")?;
        (0..2).try_for_each(|e| writeln!(out, ":KUBE-SEP-{i:015}{e} - [0:0]"))?;
    }
    let addr = |base: u32, i: u32| Ipv4Addr::from(base + i);
    for i in 0..services {
        let (ns, ip) = (i % 50, addr(0x0a60_0001, i));
        writeln!(
            out,
            "-A KUBE-SERVICES -m comment --comment \"ns-{ns}/svc-{i} cluster IP\" -m tcp -p tcp -d {ip} --dport 80 -j KUBE-SVC-{i:016}"
        )?;
    }
    for i in 0..services {
        for (e, chance) in [(0, " -m statistic --mode random --probability 0.5000000000"), (1, "")] {
            let ip = addr(0x0af4_0001, 2 * i + e);
            writeln!(out, "-A KUBE-SVC-{i:016}{chance} -j KUBE-SEP-{i:015}{e}")?;
            writeln!(out, "-A KUBE-SEP-{i:015}{e} -s {ip} -j KUBE-MARK-MASQ")?;
            writeln!(out, "-A KUBE-SEP-{i:015}{e} -m tcp -p tcp -j DNAT --to-destination {ip}:8080")?;
        }
    }
    out.push_str("COMMIT\n");
    Ok(())
}

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10);
    for services in [1_000, 10_000] {
        let mut world = World::new(services);
        let mut text = String::new();
        group.bench_function(BenchmarkId::new("floor: write! the text of iptables", services), |b| {
            b.iter(|| {
                text.clear();
                floor(&mut text, services).expect("memory takes everything");
                black_box(text.len())
            });
        });
        group.bench_function(BenchmarkId::new("floor: copy it", services), |b| b.iter(|| black_box(text.clone())));

        let mut options = Options::default();
        options.counters = false;
        let iptables = |saved: &str| {
            let tables = Taken { saved: saved.to_owned(), written: 0 };
            IptablesDriver::new(tables, options.clone()).families(vec![IpFamily::V4])
        };
        // A full plan of iptables reads back. What is there is what it wrote, in the words of `iptables-save`.
        let ports: Vec<_> = world.view.service_ports().map(|port| &**port).collect();
        let mut rules = iptables_driver::render(&world.view, &ports, IpFamily::V4, &options);
        rules.style = Style::Saved;
        no_change(&mut group, "iptables", &world, iptables(&rules.to_string()));
        changes(&mut group, "iptables", &mut world, || iptables(""));
        for (name, layout) in [("nftables modern", Layout::Modern), ("nftables fast", Layout::Fast)] {
            let new = || NftablesDriver::new(Taken::default(), layout).families(vec![IpFamily::V4]);
            no_change(&mut group, name, &world, new());
            changes(&mut group, name, &mut World::new(services), new);
        }
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
