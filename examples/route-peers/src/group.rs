//! Candidates for one job, measured in turns.

use std::time::{Duration, Instant};

/// Candidates that do the same; the others are compared with the first.
pub(crate) struct Group<'a> {
    name: String,
    /// Calls in one run.
    calls: usize,
    candidates: Vec<(&'static str, Box<dyn FnMut() + 'a>)>,
}

impl<'a> Group<'a> {
    pub(crate) fn new(name: impl Into<String>, calls: usize) -> Self {
        Self { name: name.into(), calls, candidates: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &'static str, run: impl FnMut() + 'a) {
        self.candidates.push((name, Box::new(run)));
    }

    /// Eleven rounds in turns, so that a slow spell of the machine falls on all; prints medians.
    pub(crate) fn print(mut self) {
        const ROUNDS: usize = 11;
        let mut times: Vec<Vec<f64>> = self.candidates.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for ((_, run), times) in self.candidates.iter_mut().zip(&mut times) {
                let (start, mut runs) = (Instant::now(), 0);
                while runs == 0 || start.elapsed() < Duration::from_millis(15) {
                    run();
                    runs += 1;
                }
                times.push(start.elapsed().as_nanos() as f64 / (runs * self.calls) as f64);
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        };
        let times: Vec<f64> = times.iter_mut().map(median).collect();
        for ((name, _), time) in self.candidates.iter().zip(&times) {
            println!("  {:14} {name:36} {time:12.1} {:8.2}x", self.name, time / times[0]);
        }
    }
}
