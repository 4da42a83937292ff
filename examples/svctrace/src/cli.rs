//! The command line: what people type, and where its output goes.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use svc_model::Resource;
use svc_model::api::Node;

use crate::ask::{self, Ask};
use crate::cases;
use crate::curl::Curl;
use crate::print::{Format, Printer};
use crate::read::{self, Input, Purpose};
use crate::report::{FailOn, Report};
use crate::suggest::{did_you_mean, nearest};
use crate::world::{Unusable, World, unusable};

/// Nothing to complain about.
const OK: u8 = 0;
/// `check` found errors, or a test failed.
const FOUND: u8 = 1;
/// The command line or an input could not be used.
const UNUSABLE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  svctrace -f manifests/ curl http://cart.shop/items --from shop/web
  svctrace -f manifests/ curl https://shop.example.com/ --resolve shop.example.com:443:203.0.113.10
  svctrace -f manifests/ connect shop/web 10.96.1.0:80
  svctrace -f manifests/ lookup redis.data --from shop/web
  kubectl get svc,endpointslices,pods,nodes -A -o yaml | svctrace connect 10.244.1.5 10.96.0.10:53 --protocol UDP
  svctrace -f manifests/ check

Exit status:
  0  answered, or nothing found
  1  check found errors, or a test failed
  2  the command line or an input could not be used; what could be read is still answered

Limits of an input: 256 MiB a file, 64 MiB and 5,000,000 nodes a document, 64 levels.";

/// Where does this connection go, and why? Answered offline, from Kubernetes manifests.
#[derive(Debug, Parser)]
#[command(name = "svctrace", version, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Manifests: a file, a directory with all below it, or - for standard input (the default when that is a pipe)
    #[arg(short, long = "filename", value_name = "FILE|DIR|-", global = true)]
    filename: Vec<Input>,
    /// The node whose view is taken [default: the KubeProxyConfiguration's hostnameOverride, the asking Pod's, or the only one]
    #[arg(long, value_name = "NAME", global = true)]
    node: Option<String>,
    /// Namespace of names that are given without one
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default", global = true)]
    namespace: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
    /// When to colour
    #[arg(long, value_enum, default_value_t, global = true)]
    color: Color,
    /// The verdict only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Directories are always read with all below them; accepted because kubectl has it
    #[arg(short = 'R', long, hide = true, global = true)]
    recursive: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Walk the whole way of a request: search list, DNS, Service, TLS, route, endpoint
    Curl(CurlArgs),
    /// Where does a packet go?
    Connect {
        /// An address, or a Pod
        src: String,
        /// ADDRESS:PORT, or a Service: svc/NAME[.NAMESPACE]:PORT, the port by number or name
        dst: String,
        /// TCP, UDP, SCTP or ICMP
        #[arg(long, default_value = "TCP", ignore_case = true)]
        protocol: String,
    },
    /// What does the cluster's DNS answer?
    Dns {
        /// The name, absolute with or without its final dot
        name: String,
        /// The record type
        #[arg(default_value = "A")]
        r#type: String,
    },
    /// What stands in a Pod's resolv.conf?
    Resolv {
        /// The Pod, or a workload: then its first Pod
        pod: String,
    },
    /// Which names does a Pod's resolver ask, and what does that cost?
    Lookup {
        /// The name, as the program gives it to its resolver
        name: String,
        /// The Pod, or a workload: then its first Pod
        #[arg(long, value_name = "POD")]
        from: String,
    },
    /// Which variables tell a Pod of Services?
    Env {
        /// The Pod, or a workload: then its first Pod
        pod: String,
    },
    /// Which rule takes a request, and where to?
    Http(HttpArgs),
    /// Which certificate does a server name get, or is it passed through?
    Tls(TlsArgs),
    /// Where does a TCP or UDP connection to a proxy go?
    Tcp(TcpArgs),
    /// Which Pod and port would kubectl port-forward connect to?
    PortForward {
        /// svc/NAME or pod/NAME
        target: String,
        /// [LOCAL:]PORT, by number or name
        port: String,
    },
    /// What is wrong with the manifests?
    Check {
        /// From which level on the exit status is 1
        #[arg(long, value_enum, default_value_t)]
        fail_on: FailOn,
        /// List the objects of unknown kinds too
        #[arg(long)]
        strict: bool,
    },
    /// Answer one JSON question a line from standard input
    Batch,
    /// Run case files: worlds, questions and the answers expected
    Test {
        /// Case files
        #[arg(required = true, value_name = "CASES.yaml")]
        files: Vec<std::path::PathBuf>,
    },
    /// Print the completions of a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct CurlArgs {
    /// http://, https:// or tcp://HOST:PORT
    url: String,
    /// The Pod or workload that asks, or an address; without it the client is outside the cluster
    #[arg(long, value_name = "POD|ADDRESS")]
    from: Option<String>,
    /// Take this address for a host and port, as curl does
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<String>,
    /// Method of the request
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

#[derive(Debug, Args)]
struct HttpArgs {
    /// The URL
    url: String,
    /// Who is asked: IngressClass/NAME
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// Method of the request
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

#[derive(Debug, Args)]
struct TlsArgs {
    /// The server name
    sni: String,
    /// Who is asked: IngressClass/NAME
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// The port connected to
    #[arg(long, default_value_t = 443)]
    port: u16,
    /// A protocol the client offers, in order of preference
    #[arg(long)]
    alpn: Vec<String>,
    /// Instant for the dates of certificates [default: now]
    #[arg(long, value_name = "RFC3339")]
    now: Option<String>,
}

#[derive(Debug, Args)]
struct TcpArgs {
    /// HOST:PORT, or the port alone
    dst: String,
    /// Who is asked: IngressClass/NAME
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// TCP or UDP
    #[arg(long, default_value = "TCP", ignore_case = true)]
    protocol: String,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
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
    let printer = Printer {
        format: cli.common.output,
        quiet: cli.common.quiet,
    };
    match &cli.command {
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "svctrace", &mut io::stdout());
            Ok(OK)
        }
        Command::Test { files } => {
            let passed = cases::run(files, &mut anstream::stdout().lock())?;
            Ok(if passed { OK } else { FOUND })
        }
        Command::Check { fail_on, strict } => {
            let world = read::read(&inputs(cli)?, Purpose::Check);
            let unreadable = complain_of_inputs(&world);
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
                    unusable("batch reads its questions from standard input, so name the manifests with -f").into(),
                );
            }
            let (world, unreadable) = world(cli)?;
            let mut out = io::BufWriter::new(io::stdout().lock());
            for line in io::stdin().lock().lines() {
                let line = line.map_err(|error| unusable(format!("standard input: {error}")))?;
                if !line.trim().is_empty() {
                    writeln!(out, "{}", ask::answer_line(&line, &world))?;
                }
            }
            out.flush()?;
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
            let answer = self::question(question, &cli.common, &world)?.answer(&world)?;
            printer.answer(&answer, &mut anstream::stdout().lock())?;
            Ok(if unreadable { UNUSABLE } else { OK })
        }
    }
}

/// The question that a command asks.
fn question(command: &Command, common: &Common, world: &World) -> Result<Ask, Unusable> {
    let pod = |name: &str| qualified(name, &common.namespace);
    Ok(match command {
        Command::Connect { src, dst, protocol } => Ask::Connect(ask::Connect {
            src: if src.parse::<std::net::IpAddr>().is_ok() {
                src.clone()
            } else {
                pod(src)
            },
            dst: destination(dst, &common.namespace, world)?,
            protocol: Some(protocol.to_uppercase()),
            node: None,
        }),
        Command::Dns { name, r#type } => Ask::Dns(ask::DnsQuestion {
            name: name.clone(),
            type_: Some(r#type.to_uppercase()),
        }),
        Command::Resolv { pod: name } => Ask::Resolv(ask::Resolv { pod: pod(name) }),
        Command::Lookup { name, from } => Ask::Lookup(ask::Lookup {
            pod: pod(from),
            name: name.clone(),
        }),
        Command::Env { pod: name } => Ask::Env(ask::Env { pod: pod(name) }),
        Command::Http(args) => Ask::Http(ask::Http {
            url: args.url.clone(),
            method: Some(args.method.clone()),
            headers: headers(&args.headers)?,
            to: args.to.clone(),
            ..ask::Http::default()
        }),
        Command::Tls(args) => Ask::Tls(ask::Tls {
            sni: Some(args.sni.clone()),
            port: Some(args.port),
            alpn: args.alpn.clone(),
            now: args.now.clone(),
            to: args.to.clone(),
            ..ask::Tls::default()
        }),
        Command::Tcp(args) => {
            let (host, port) = args.dst.rsplit_once(':').unwrap_or(("", &args.dst));
            let port = port
                .parse()
                .map_err(|_| unusable(format!("{:?} is not of the form [HOST:]PORT", args.dst)))?;
            Ask::Tcp(ask::Tcp {
                dst: Some(host.to_owned()).filter(|host| !host.is_empty()),
                port,
                protocol: Some(args.protocol.to_uppercase()),
                to: args.to.clone(),
            })
        }
        Command::PortForward { target, port } => {
            let port = port.rsplit_once(':').map_or(port.as_str(), |(_, port)| port);
            Ask::PortForward(ask::PortForward {
                to: forward_target(target, &common.namespace),
                port: ask::Port::Name(port.to_owned()),
            })
        }
        _ => return Err(unusable("not a question")),
    })
}

/// The address behind `svc/NAME[.NAMESPACE]:PORT`; anything else is one already.
fn destination(dst: &str, namespace: &str, world: &World) -> Result<String, Unusable> {
    let Some(name) = dst.strip_prefix("svc/").or_else(|| dst.strip_prefix("service/")) else {
        return Ok(dst.to_owned());
    };
    let (name, port) = name
        .rsplit_once(':')
        .ok_or_else(|| unusable(format!("{dst:?} has no port")))?;
    let service = world.service(name, namespace)?;
    let found = service
        .spec
        .ports
        .iter()
        .find(|known| known.name == port || known.port.to_string() == port);
    let no_port = || {
        let names = service
            .spec
            .ports
            .iter()
            .map(|known| known.name.as_str())
            .filter(|name| !name.is_empty());
        let near = nearest(port, names);
        let near = if near.is_empty() {
            String::new()
        } else {
            format!("; did you mean {}?", near.join(" or "))
        };
        unusable(format!(
            "{} has no port {port}: it has {}{near}",
            service.reference(),
            ask::port_list(service)
        ))
    };
    let number = found.ok_or_else(no_port)?.port;
    let no_address = || {
        unusable(format!(
            "{} has no cluster IP; connect to one of its endpoints",
            service.reference()
        ))
    };
    let ip = service.spec.written_cluster_ips().next().ok_or_else(no_address)?;
    Ok(if ip.contains(':') {
        format!("[{ip}]:{number}")
    } else {
        format!("{ip}:{number}")
    })
}

/// A name of a Pod or workload with its namespace written out.
fn qualified(name: &str, namespace: &str) -> String {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [name] => format!("{namespace}/{name}"),
        [kind, name] if crate::world::kind_word(kind).is_some() => format!("{kind}/{namespace}/{name}"),
        _ => name.to_owned(),
    }
}

fn forward_target(target: &str, namespace: &str) -> String {
    match target.split('/').collect::<Vec<_>>().as_slice() {
        [name] => format!("pod/{namespace}/{name}"),
        [kind, name] => format!("{kind}/{namespace}/{name}"),
        _ => target.to_owned(),
    }
}

fn headers(written: &[String]) -> Result<serde_json::Map<String, serde_json::Value>, Unusable> {
    let mut headers = serde_json::Map::new();
    for header in written {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| unusable(format!("{header:?} is not of the form NAME: VALUE")))?;
        headers.insert(name.trim().to_owned(), value.trim().into());
    }
    Ok(headers)
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
    let ignored = read.ignored_kinds();
    if !ignored.is_empty() && !cli.common.quiet {
        let kinds: Vec<String> = ignored.into_iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        anstream::eprintln!("ignored: {} (kinds this version does not know)", kinds.join(", "));
    }
    let world = World::new(read, cli.common.node.clone());
    if let Some(node) = &cli.common.node {
        let known: Vec<&str> = world.cluster.list::<Node>().map(|node| node.name()).collect();
        if !known.is_empty() && !known.contains(&node.as_str()) {
            complain(&format!("no Node {node}{}", did_you_mean(node, known.iter().copied())));
        }
    }
    Ok((world, unreadable))
}

/// Says which inputs could not be read; whether there were any.
fn complain_of_inputs(world: &read::World) -> bool {
    for failure in &world.failures {
        complain(&failure.to_string());
    }
    for finding in world.findings.iter().filter(|finding| finding.field.is_empty()) {
        let place = world
            .place(finding)
            .map(|place| format!("{place}: "))
            .unwrap_or_default();
        complain(&format!("{place}{}: {}", finding.object, finding.message));
    }
    world.unreadable
}

fn complain(message: &str) {
    let style = anstyle::Style::new()
        .bold()
        .fg_color(Some(anstyle::AnsiColor::Red.into()));
    anstream::eprintln!("{style}svctrace:{style:#} {message}");
}
