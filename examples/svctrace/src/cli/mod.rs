//! The command line: what people type, and where its output goes.

mod args;
mod question;
mod render;

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use svc_model::Resource;
use svc_model::api::Node;

use self::args::{Cli, Color, Command};
use self::question::headers;
use crate::ask;
use crate::cases;
use crate::curl::Curl;
use crate::print::{Format, Printer};
use crate::read::{self, Input, Purpose};
use crate::report::Report;
use crate::suggest::did_you_mean;
use crate::world::{Unusable, World, unusable};

/// Nothing to complain about.
const OK: u8 = 0;
/// `check` found errors, or a test failed.
const FOUND: u8 = 1;
/// The command line or an input could not be used.
const UNUSABLE: u8 = 2;

/// Longest line of a batch, in bytes.
const LONGEST_QUESTION: u64 = 1 << 20;
/// Remarks about assumptions that could not be made which are printed before an answer.
const MOST_REMARKS: usize = 3;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(manifests_first(std::env::args_os()));
    match cli.common.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    match run(&cli) {
        Ok(status) => ExitCode::from(status),
        Err(Failure::Unusable(error)) => {
            complain(&error.0);
            ExitCode::from(UNUSABLE)
        }
        // The reader of our output went away; that is its right.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(OK),
        Err(Failure::Output(error)) => {
            complain(&format!("cannot write: {error}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Puts every `-f` before the command: of a flag that stands on both sides of it, clap keeps only the values behind.
fn manifests_first(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args = args.peekable();
    let mut first: Vec<OsString> = args.next().into_iter().collect();
    let mut rest = Vec::new();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--") => {
                rest.push(arg);
                rest.extend(args.by_ref());
            }
            Some("-f" | "--filename") => {
                first.push(arg);
                first.extend(args.next());
            }
            Some(text) if text.starts_with("--filename=") || (text.starts_with("-f") && text.len() > 2) => {
                first.push(arg);
            }
            _ => rest.push(arg),
        }
    }
    first.extend(rest);
    first
}

enum Failure {
    Unusable(Unusable),
    Output(io::Error),
}

impl From<Unusable> for Failure {
    fn from(error: Unusable) -> Failure {
        Failure::Unusable(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

fn run(cli: &Cli) -> Result<u8, Failure> {
    let printer = Printer { format: cli.common.output, quiet: cli.common.quiet, verbose: cli.common.verbose };
    if matches!(cli.common.output, Format::Github | Format::Sarif) && !matches!(cli.command, Command::Check { .. }) {
        return Err(unusable("--output github and --output sarif are for check").into());
    }
    match &cli.command {
        Command::Completion { shell } => {
            // The generator panics on a closed pipe, memory never is one.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "svctrace", &mut script);
            io::stdout().write_all(&script)?;
            Ok(OK)
        }
        Command::Test { files } => {
            if !cli.common.filename.is_empty() {
                return Err(unusable("a case file brings its own manifests, so test takes no -f").into());
            }
            let passed = cases::run(files, &mut anstream::stdout().lock())?;
            Ok(if passed { OK } else { FOUND })
        }
        Command::Render(args) => {
            let (world, unreadable) = world(cli)?;
            let rendered = render::render(&world, args)?;
            rendered.complaints.iter().for_each(|complaint| complain(complaint));
            io::stdout().write_all(rendered.text.as_bytes())?;
            Ok(if unreadable { UNUSABLE } else { OK })
        }
        Command::Check { fail_on, strict } => {
            let world = read::read(&inputs(cli)?, Purpose::Check);
            let mut unreadable = complain_of_inputs(&world);
            if world.objects.is_empty() && world.findings.is_empty() && world.ignored.is_empty() {
                complain("no object in any input");
                unreadable = true;
            }
            if !*strict {
                count_ignored(cli, &world);
            }
            let report = Report::new(world, *strict);
            printer.report(&report, &mut anstream::stdout().lock())?;
            Ok(if unreadable {
                UNUSABLE
            } else if report.fails(*fail_on) {
                FOUND
            } else {
                OK
            })
        }
        Command::Batch => {
            if cli.common.filename.is_empty() {
                return Err(
                    unusable("batch reads its questions from standard input, so name the manifests with -f").into()
                );
            }
            let (world, unreadable) = world(cli)?;
            batch(&world, &mut io::stdin().lock(), &mut io::BufWriter::new(io::stdout().lock()))?;
            Ok(if unreadable { UNUSABLE } else { OK })
        }
        Command::Curl(args) => {
            let (world, unreadable) = world(cli)?;
            let curl = Curl {
                url: args.url.clone(),
                from: args.from.clone(),
                namespace: cli.common.namespace.clone(),
                resolve: args.resolve.clone(),
                method: args.method.clone(),
                headers: headers(&args.headers)?,
            };
            printer.answer(&curl.answer(&world)?, &mut anstream::stdout().lock())?;
            Ok(if unreadable { UNUSABLE } else { OK })
        }
        question => {
            let (world, unreadable) = world(cli)?;
            let answer = question::question(question, &cli.common, &world)?.answer(&world)?;
            printer.answer(&answer, &mut anstream::stdout().lock())?;
            Ok(if unreadable { UNUSABLE } else { OK })
        }
    }
}

/// The manifests that the command line names, or standard input if that is a pipe.
fn inputs(cli: &Cli) -> Result<Vec<Input>, Unusable> {
    if !cli.common.filename.is_empty() {
        return Ok(cli.common.filename.clone());
    }
    if io::stdin().is_terminal() {
        return Err(unusable("no manifests: name them with -f FILE, -f DIR or -f -"));
    }
    Ok(vec![Input::Stdin])
}

fn world(cli: &Cli) -> Result<(World, bool), Unusable> {
    let read = read::read(&inputs(cli)?, Purpose::Answer);
    let unreadable = complain_of_inputs(&read);
    count_ignored(cli, &read);
    let world = World::new(read, cli.common.node.clone());
    for finding in world.completion.iter().take(MOST_REMARKS) {
        complain(&format!("{}: {} {}", finding.object, finding.field, finding.message));
    }
    if world.completion.len() > MOST_REMARKS {
        complain(&format!("and {} more of that kind; check lists them", world.completion.len() - MOST_REMARKS));
    }
    if let Some(node) = &cli.common.node {
        let known: Vec<&str> = world.cluster.list::<Node>().map(|node| node.name()).collect();
        if !known.is_empty() && !known.contains(&node.as_str()) {
            return Err(unusable(format!("no Node {node}{}", did_you_mean(node, known.iter().copied()))));
        }
    }
    Ok((world, unreadable))
}

/// Says how many objects of which unknown kinds were passed over.
fn count_ignored(cli: &Cli, world: &read::World) {
    let ignored = world.ignored_kinds();
    if !ignored.is_empty() && !cli.common.quiet {
        let kinds: Vec<String> = ignored.into_iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        anstream::eprintln!("ignored: {} (kinds this version does not know)", kinds.join(", "));
    }
}

/// Says which inputs could not be read; whether there were any.
fn complain_of_inputs(world: &read::World) -> bool {
    for failure in &world.failures {
        complain(&failure.to_string());
    }
    for finding in world.findings.iter().filter(|finding| finding.field.is_empty()) {
        let place = world.place(finding).map(|place| format!("{place}: ")).unwrap_or_default();
        complain(&format!("{place}{}: {}", finding.object, finding.message));
    }
    world.unreadable
}

fn complain(message: &str) {
    let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
    anstream::eprintln!("{style}svctrace:{style:#} {message}");
}

/// Answers a question a line. A line that is too long or no JSON is answered by an error, and the run goes on.
fn batch(world: &World, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), Failure> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = io::Read::take(&mut *input, LONGEST_QUESTION);
        let read = limited.read_until(b'\n', &mut line).map_err(|e| unusable(format!("standard input: {e}")))?;
        if read == 0 {
            break;
        }
        if read as u64 == LONGEST_QUESTION && !line.ends_with(b"\n") {
            input.skip_until(b'\n').map_err(|e| unusable(format!("standard input: {e}")))?;
            let error = format!("a question of more than {LONGEST_QUESTION} bytes");
            writeln!(out, "{}", serde_json::json!({ "error": error }))?;
        } else if !line.trim_ascii().is_empty() {
            writeln!(out, "{}", ask::answer_line(&line, world))?;
        }
    }
    Ok(out.flush()?)
}
