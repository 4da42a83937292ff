//! A driver of one's own in a hundred lines: it keeps the cluster IPs of Services in a file like `/etc/hosts`, between two marks, and leaves the
//! rest of the file to its owner. Written from the page of `svc_model::backend` alone. `cargo run -p driver-kit --example hosts -- FILE`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use svc_model::api::{Service, ServicePort};
use svc_model::backend::{
    ApplyError, Backend, Capabilities, Generation, Observed, Plan, PlanMode, Progress, Reconciler, Report, Schedule,
};
use svc_model::{Cluster, NodeSettings, NodeView};

const BEGIN: &str = "# begin Services, generation ";
const END: &str = "# end Services";

struct Hosts {
    file: PathBuf,
    installed: Option<Generation>,
}

/// A file in three parts: what is before ours, ours, and what is after.
struct Parts {
    before: String,
    generation: Option<Generation>,
    ours: BTreeSet<String>,
    after: String,
}

/// What `read_back` makes of the file.
fn parse(text: &str) -> Parts {
    let ours = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (head, rest) = rest.split_once('\n')?;
        let (ours, after) = rest.split_once(END)?;
        let generation = head.parse().ok().map(Generation);
        let ours = ours.lines().map(str::to_owned).collect();
        Some(Parts { before: before.to_owned(), generation, ours, after: after.trim_start_matches('\n').to_owned() })
    });
    let foreign = Parts { before: text.to_owned(), generation: None, ours: BTreeSet::new(), after: String::new() };
    ours.unwrap_or(foreign)
}

/// What a plan makes of it: one line an address, by name. A Service with several ports has the same line for each.
fn render(plan: &Plan<'_>) -> BTreeSet<String> {
    let line = |port: &svc_model::ServicePort| {
        format!("{} {}.{}.svc.cluster.local", port.cluster_ip, port.service.name, port.service.namespace)
    };
    let named = plan.ports().map(|port| line(port));
    // A name is somebody's choice; it must not become a line of its own.
    named.filter(|line| line.chars().all(|c| c.is_ascii_graphic() || c == ' ')).collect()
}

impl Backend for Hosts {
    type Artifact = BTreeSet<String>;
    type Error = std::io::Error;

    /// Names have neither ports nor clients; whoever connects gets the cluster IP.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().without_host_ports().without_flows()
    }

    fn read_back(&mut self) -> Result<Observed<Self::Artifact>, Self::Error> {
        let Parts { generation, ours, .. } = parse(&std::fs::read_to_string(&self.file)?);
        self.installed = generation;
        Ok(Observed::new(ours).generation(generation).intact(generation.is_some()))
    }

    fn apply(&mut self, plan: &Plan<'_>) -> Result<Report, ApplyError<Self::Error>> {
        if let PlanMode::Delta { base } = plan.mode
            && self.installed != Some(base)
        {
            return Err(ApplyError::NeedFull);
        }
        let rejected = |cause| ApplyError::Rejected { object: None, cause };
        let Parts { before, generation, ours, after } = parse(&std::fs::read_to_string(&self.file).map_err(rejected)?);
        let wanted = render(plan);
        let operations = wanted.symmetric_difference(&ours).count() as u64;
        if operations > 0 || generation != Some(plan.generation) {
            let lines: String = wanted.iter().map(|line| format!("{line}\n")).collect();
            let text = format!("{before}{BEGIN}{}\n{lines}{END}\n{after}", plan.generation);
            // A new file that takes the old one's place: readers see the one or the other.
            let new = self.file.with_extension("new");
            std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &self.file)).map_err(rejected)?;
        }
        self.installed = Some(plan.generation);
        Ok(Report::new(operations, 1))
    }
}

fn service(name: &str, ip: &str) -> Service {
    let mut service = Service::default();
    service.metadata.name = name.into();
    service.spec.cluster_ip = ip.into();
    service.spec.ports.push(ServicePort { port: 80, ..ServicePort::default() });
    service
}

/// Drives the backend until nothing is due.
fn settle(reconciler: &mut Reconciler, now: Duration, view: &NodeView, hosts: &mut Hosts) {
    loop {
        match reconciler.run(now, view, hosts) {
            Progress::Idle { .. } => break,
            Progress::Failed(failure) => eprintln!("{failure}"),
            progress => println!("{progress:?}"),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: hosts FILE")?.into();
    let mut hosts = Hosts { file, installed: None };
    let mut cluster = Cluster::from_iter([service("cart", "10.96.0.41"), service("shop", "10.96.0.42")]);
    let mut view = NodeView::new(&cluster, NodeSettings::of(&cluster, None)?);
    let mut reconciler = Reconciler::new(Schedule::default());
    reconciler.lists_complete();
    settle(&mut reconciler, Duration::ZERO, &view, &mut hosts);
    // Somebody changes a Service: a difference, written a second later at the earliest.
    let change = cluster.apply(service("cart", "10.96.0.43"));
    reconciler.changed(view.update(&cluster, &change.touched));
    settle(&mut reconciler, Duration::from_secs(2), &view, &mut hosts);
    print!("{}", std::fs::read_to_string(&hosts.file)?);
    Ok(())
}
