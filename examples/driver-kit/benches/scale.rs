//! What do the drivers cost, and what their kernels? A cold start, ten changed Services of many, and no change, in network namespaces of
//! this process. Prints a table: `cargo bench -p driver-kit --bench scale -- [LAYOUT...] [SERVICES...]`. Without the right to make
//! namespaces it says so and measures nothing. Memory is the most that a plan took beside the world that was there before the first.

mod world;

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use driver_kit::{FlowTable, ProgramError};
use iptables_driver::{IptablesDriver, Options, Table, Variant};
use nftables_driver::{Layout, NftablesDriver};
use nix::sched::{CloneFlags, unshare};
use svc_model::addr::IpFamily;
use svc_model::backend::{Backend, Generation, Plan, Report};
use svc_model::{Cluster, Delta, Flow, NodeSettings, NodeView, Touched};
use world::service;

/// What went to the kernel, and how long it took to take it.
#[derive(Clone, Copy, Default)]
struct Kernel {
    time: Duration,
    bytes: usize,
}

struct Measured<T> {
    tables: T,
    kernel: Kernel,
}

impl<T> Measured<T> {
    fn new(tables: T) -> Measured<T> {
        Measured { tables, kernel: Kernel::default() }
    }

    fn measure<R>(&mut self, bytes: usize, act: impl FnOnce(&mut T) -> R) -> R {
        let start = Instant::now();
        let result = act(&mut self.tables);
        self.kernel.time += start.elapsed();
        self.kernel.bytes += bytes;
        result
    }
}

impl<T: FlowTable> FlowTable for Measured<T> {
    type Error = T::Error;

    fn flows(&mut self) -> Result<Vec<Flow>, T::Error> {
        self.measure(0, T::flows)
    }

    fn forget(&mut self, flow: &Flow) -> Result<(), T::Error> {
        self.measure(0, |tables| tables.forget(flow))
    }
}

impl iptables_driver::Tables for Measured<iptables_driver::Programs> {
    fn save(&mut self, family: IpFamily) -> Result<String, ProgramError> {
        self.measure(0, |tables| tables.save(family))
    }

    fn restore(&mut self, family: IpFamily, input: &str) -> Result<(), ProgramError> {
        self.measure(input.len(), |tables| tables.restore(family, input))
    }

    fn has_canary(&mut self, family: IpFamily, table: Table) -> Result<bool, ProgramError> {
        self.measure(0, |tables| tables.has_canary(family, table))
    }

    fn may_have_happened(error: &ProgramError) -> bool {
        iptables_driver::Programs::may_have_happened(error)
    }
}

impl nftables_driver::Tables for Measured<nftables_driver::Programs> {
    fn list(&mut self, family: IpFamily) -> Result<Option<String>, ProgramError> {
        self.measure(0, |tables| tables.list(family))
    }

    fn run(&mut self, commands: &str) -> Result<(), ProgramError> {
        self.measure(commands.len(), |tables| nftables_driver::Tables::run(tables, commands))
    }

    fn has_canary(&mut self, family: IpFamily) -> Result<bool, ProgramError> {
        self.measure(0, |tables| tables.has_canary(family))
    }

    fn may_have_happened(error: &ProgramError) -> bool {
        nftables_driver::Programs::may_have_happened(error)
    }
}

/// What one plan took: all of it, the kernel's part, and the most memory that this process held meanwhile, in kB.
struct Line {
    whole: Duration,
    kernel: Kernel,
    report: Report,
    peak: u64,
}

/// A line of what the kernel knows of this process, in kB.
fn memory(line: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|other| other.strip_prefix(line)).ok_or("no such line")?;
    Ok(found.trim_matches(|c: char| !c.is_ascii_digit()).parse()?)
}

fn apply<B: Backend>(
    backend: &mut B,
    kernel: impl Fn(&mut B) -> &mut Kernel,
    plan: &Plan<'_>,
) -> Result<Line, Box<dyn Error>>
where
    B::Error: 'static,
{
    *kernel(backend) = Kernel::default();
    // The most that was held begins anew (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5")?;
    let start = Instant::now();
    let report = backend.apply(plan)?;
    let whole = start.elapsed();
    Ok(Line { whole, kernel: *kernel(backend), report, peak: memory("VmHWM:")? })
}

fn play<B: Backend>(
    name: &str,
    services: u32,
    backend: &mut B,
    kernel: impl Fn(&mut B) -> &mut Kernel + Copy,
) -> Result<(), Box<dyn Error>>
where
    B::Error: 'static,
{
    let mut cluster: Cluster = (0..services).flat_map(|i| service(i, 0)).collect();
    let mut view = NodeView::new(&cluster, NodeSettings::of(&cluster, None)?);
    let capabilities = backend.capabilities();
    let world = memory("VmRSS:")?;
    let full = |generation, view: &NodeView, backend: &mut B| {
        apply(backend, kernel, &Plan::full(Generation(generation), view, Delta::EMPTY, &capabilities))
    };
    let cold = full(1, &view, backend)?;
    let mut lines = vec![("cold start", cold)];
    for round in 0..3u32 {
        let mut touched = Touched::default();
        let changed = (0..10).map(|i| (i * services / 10 + round) % services);
        changed.flat_map(|i| service(i, round + 1)).for_each(|object| touched.extend(cluster.apply(object).touched));
        let delta = view.update(&cluster, &touched);
        let (generation, base) = (Generation(2 + u64::from(round)), Generation(1 + u64::from(round)));
        let plan = Plan::delta(generation, base, &view, &delta, &capabilities);
        lines.push(("ten changed", apply(backend, kernel, &plan)?));
    }
    lines.push(("none", full(4, &view, backend)?));
    for (what, Line { whole, kernel, report, peak }) in lines {
        let planner = whole.saturating_sub(kernel.time);
        println!(
            "| {services} | {name} | {what} | {:.1} | {:.2} | {:.1} % | {} | {} | {} | {:.1} |",
            kernel.time.as_secs_f64() * 1e3,
            planner.as_secs_f64() * 1e3,
            planner.as_secs_f64() / kernel.time.as_secs_f64().max(1e-9) * 100.0,
            kernel.bytes,
            report.operations,
            report.batches,
            peak.saturating_sub(world) as f64 / 1e3,
        );
    }
    Ok(())
}

const LAYOUTS: [&str; 4] = ["iptables-legacy", "iptables-nft", "nftables-modern", "nftables-fast"];

fn measure(layout: &str, services: u32) -> Result<(), Box<dyn Error>> {
    let iptables = |variant| {
        let mut options = Options::default();
        options.counters = false;
        let tables = Measured::new(iptables_driver::Programs::new(variant));
        let mut driver = IptablesDriver::new(tables, options).families(vec![IpFamily::V4]);
        play(layout, services, &mut driver, |driver| &mut driver.tables().kernel)
    };
    let nftables = |layout_of| {
        let tables = Measured::new(nftables_driver::Programs::default());
        let mut driver = NftablesDriver::new(tables, layout_of).families(vec![IpFamily::V4]);
        play(layout, services, &mut driver, |driver| &mut driver.tables().kernel)
    };
    match layout {
        "iptables-legacy" => iptables(Variant::Legacy),
        "iptables-nft" => iptables(Variant::Nft),
        "nftables-modern" => nftables(Layout::Modern),
        _ => nftables(Layout::Fast),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        println!("skipped: no network namespace can be made: {error}");
        return Ok(());
    }
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let sizes: Vec<u32> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let layouts: Vec<&str> = LAYOUTS.into_iter().filter(|layout| args.iter().any(|arg| arg == layout)).collect();
    if let ([layout], [services]) = (&*layouts, &*sizes) {
        return measure(layout, *services);
    }
    let sizes = if sizes.is_empty() { vec![1_000, 5_000, 10_000] } else { sizes };
    let layouts = if layouts.is_empty() { LAYOUTS.to_vec() } else { layouts };
    println!(
        "| Services | layout | plan | kernel, ms | planner, ms | of the kernel's | bytes | operations | batches | memory, MB |"
    );
    println!("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    // Each in a process of its own, so that none uses the memory of another again, and in a namespace where nothing is.
    for services in sizes {
        for layout in &layouts {
            let status = Command::new(std::env::current_exe()?).args([layout, &*services.to_string()]).status()?;
            if !status.success() {
                return Err(format!("{layout} with {services} Services: {status}").into());
            }
        }
    }
    Ok(())
}
