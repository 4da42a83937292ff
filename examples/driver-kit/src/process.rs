//! How is a program run that may hang? With its input, within a time limit, and what it said if it failed.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program with its first arguments, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: String,
    args: Vec<String>,
    limit: Duration,
}

/// How running a program failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It could not be started; nothing happened.
    #[error("{program} cannot be started: {cause}")]
    NotStarted {
        /// Which.
        program: String,
        /// Why.
        cause: std::io::Error,
    },
    /// It said no.
    #[error("{program} failed ({status}): {message}")]
    Failed {
        /// Which.
        program: String,
        /// Its exit status.
        status: ExitStatus,
        /// The end of what it printed to standard error.
        message: String,
    },
    /// It took too long and was ended.
    #[error("{program} was ended after {limit:?}")]
    TimedOut {
        /// Which.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// What it printed is not what it prints.
    #[error("{program} printed what cannot be read: {message}")]
    Unreadable {
        /// Which.
        program: String,
        /// What and why.
        message: String,
    },
}

impl ProgramError {
    /// The line of its input that it complained about, from 1, as far as it says: `/dev/stdin:3:27-32` in nft's words, `line 5 failed`
    /// and `at line: 3` in those of iptables-restore.
    pub fn line(&self) -> Option<usize> {
        let ProgramError::Failed { message, .. } = self else { return None };
        ["stdin:", "line: ", "line "].iter().find_map(|before| {
            let (_, after) = message.split_once(before)?;
            after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        })
    }
}

impl Program {
    /// A program that may take ten minutes: a kernel may need that for a large ruleset.
    pub fn new(name: impl Into<String>) -> Program {
        Program { name: name.into(), args: Vec::new(), limit: Duration::from_secs(600) }
    }

    /// With these arguments before others.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Program {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With this time limit.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Program {
        Program { limit, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs it with more arguments and this input; what it printed.
    ///
    /// # Errors
    /// When it cannot be started, fails, or takes too long.
    pub fn run(&self, args: &[&str], input: &str) -> Result<String, ProgramError> {
        let mut command = Command::new(&self.name);
        command.args(&self.args).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = self.name.clone();
        let mut child = command.spawn().map_err(|cause| ProgramError::NotStarted { program, cause })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Nobody waits for anybody here: a program that prints before it has read all would wait for ever.
        let (status, printed, complaint) = thread::scope(|scope| {
            scope.spawn(move || {
                // One that stops reading says why by its status.
                stdin.map(|mut stdin| stdin.write_all(input.as_bytes()))
            });
            let printed = scope.spawn(move || read_all(stdout));
            let complaint = scope.spawn(move || read_all(stderr));
            let status = wait(&mut child, self.limit);
            (status, printed.join().unwrap_or_default(), complaint.join().unwrap_or_default())
        });
        match status {
            Some(status) if status.success() => Ok(printed),
            Some(status) => {
                let complaint = complaint.trim();
                let from = complaint.char_indices().rev().nth(1_000).map_or(0, |(at, _)| at);
                Err(ProgramError::Failed { program: self.name.clone(), status, message: complaint[from..].to_owned() })
            }
            None => Err(ProgramError::TimedOut { program: self.name.clone(), limit: self.limit }),
        }
    }
}

fn read_all(from: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is still worth showing.
    from.map(|mut from| from.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Its status; `None` if it had to be ended.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if start.elapsed() < limit => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
            _ => {
                // It may have ended by itself meanwhile; then there is nobody to end.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}
