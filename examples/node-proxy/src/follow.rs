//! How does a kernel follow manifests? The reconciler's loop, once or for as long as the process runs.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use svc_model::backend::{Backend, Progress, Reconciler, Schedule};
use svc_model::{NodeSettings, NodeView};

use crate::manifests::{cluster, make_equal};

/// Failures in a row after which `apply` gives up.
const ATTEMPTS: u32 = 5;

/// Brings the backend in step once.
pub(crate) fn apply<B: Backend>(
    paths: &[PathBuf],
    node: Option<&str>,
    backend: &mut B,
) -> Result<NodeView, Box<dyn Error>>
where
    B::Error: 'static,
{
    let cluster = cluster(paths)?;
    let view = NodeView::new(&cluster, NodeSettings::of(&cluster, node)?);
    let mut reconciler = Reconciler::new(Schedule::default());
    reconciler.lists_complete();
    let start = Instant::now();
    let mut failures = 0;
    while !reconciler.is_settled() {
        match reconciler.run(start.elapsed(), &view, backend) {
            Progress::Failed(failure) => {
                eprintln!("{failure}");
                failures += 1;
                if failures == ATTEMPTS {
                    return Err(format!("given up after {ATTEMPTS} failures").into());
                }
            }
            Progress::Idle { until } => pause(until, start.elapsed()),
            progress => report(&progress),
        }
    }
    Ok(view)
}

/// Keeps the backend in step until the process is told to end.
pub(crate) fn watch<B: Backend>(paths: &[PathBuf], node: Option<&str>, backend: &mut B) -> Result<(), Box<dyn Error>> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, ended.clone())?;
    }
    let mut current = cluster(paths)?;
    let mut view = NodeView::new(&current, NodeSettings::of(&current, node)?);
    let mut reconciler = Reconciler::new(Schedule::default());
    reconciler.lists_complete();
    let start = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        match cluster(paths) {
            Ok(wanted) => {
                let touched = make_equal(&mut current, &wanted);
                reconciler.changed(view.update(&current, &touched));
            }
            // What was there before holds.
            Err(error) => eprintln!("{error}"),
        }
        loop {
            match reconciler.run(start.elapsed(), &view, backend) {
                Progress::Idle { until } => {
                    pause(until, start.elapsed());
                    break;
                }
                Progress::Failed(failure) => eprintln!("{failure}"),
                progress => report(&progress),
            }
        }
    }
    Ok(())
}

fn report<E: Error>(progress: &Progress<E>) {
    match progress {
        Progress::Applied { generation, report } => eprintln!(
            "generation {generation} is in place: {} operations in {} batches",
            report.operations, report.batches
        ),
        Progress::ReadBack { collisions } => {
            collisions.iter().for_each(|collision| eprintln!("in the way: {collision}"))
        }
        Progress::Checked { intact: false } => eprintln!("somebody has removed what was installed"),
        _ => {}
    }
}

/// Until something may be due, but not so long that changed manifests wait.
fn pause(until: Option<Duration>, now: Duration) {
    const LOOK: Duration = Duration::from_millis(500);
    let due = until.map_or(LOOK, |until| until.saturating_sub(now)).clamp(Duration::from_millis(5), LOOK);
    thread::sleep(due);
}
