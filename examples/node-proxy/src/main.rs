//! `node-proxy`: see `node-proxy --help`.
#![forbid(unsafe_code)]

mod follow;
mod manifests;

use std::error::Error;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use iptables_driver::{IptablesDriver, Options, Profile, Variant};
use nftables_driver::{Layout, NftablesDriver};
use nix::sched::{CloneFlags, setns};

use follow::{apply, watch};

/// Makes the kernel of a node serve the Services of manifests
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// What of the kernel
    #[arg(long, value_enum, default_value_t, global = true)]
    driver: Driver,
    /// Of iptables, which programs
    #[arg(long, value_enum, default_value_t, global = true)]
    variant: VariantName,
    /// Of iptables, the layout of kube-proxy until 1.17
    #[arg(long, global = true)]
    classic: bool,
    /// Of nftables, the layout that a kernel takes in fastest
    #[arg(long, global = true)]
    fast: bool,
    /// The file of another network namespace, such as /proc/PID/ns/net
    #[arg(long, value_name = "FILE", global = true)]
    netns: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Driver {
    #[default]
    Iptables,
    Nftables,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum VariantName {
    /// Those the machine is set up for
    #[default]
    Default,
    Legacy,
    Nft,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the kernel in step with the manifests, once
    Apply(World),
    /// Stay in step with the manifests until the end (SIGINT, SIGTERM), which leaves the rules where they are
    Watch(World),
    /// Remove all that is ours
    Cleanup,
}

#[derive(Args)]
struct World {
    /// Manifests: files or directories
    #[arg(short, long = "filename", required = true, value_name = "FILE|DIR")]
    filename: Vec<PathBuf>,
    /// The node whose kernel this is
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    if let Some(path) = &cli.netns {
        // Before there is another thread; programs that are started inherit it.
        setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
    }
    match cli.driver {
        Driver::Iptables => {
            let variant = match cli.variant {
                VariantName::Default => Variant::Default,
                VariantName::Legacy => Variant::Legacy,
                VariantName::Nft => Variant::Nft,
            };
            let mut options = Options::default();
            // Counters are made by a program of their own, and few kernels have them.
            options.counters = false;
            options.random_fully = true;
            options.profile = if cli.classic { Profile::Classic } else { Profile::Modern };
            let mut driver = IptablesDriver::new(iptables_driver::Programs::new(variant), options);
            match &cli.command {
                Command::Apply(world) => {
                    let view = apply(&world.filename, world.node.as_deref(), &mut driver)?;
                    // After the rules, which keep neighbours from what listens on loopback (CVE-2020-8558).
                    if view.settings().takes_node_ports_at(Ipv4Addr::LOCALHOST.into()) {
                        std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1")?;
                    }
                }
                Command::Watch(world) => watch(&world.filename, world.node.as_deref(), &mut driver)?,
                Command::Cleanup => driver.cleanup()?,
            }
        }
        Driver::Nftables => {
            let layout = if cli.fast { Layout::Fast } else { Layout::Modern };
            let mut driver = NftablesDriver::new(nftables_driver::Programs::default(), layout);
            match &cli.command {
                Command::Apply(world) => drop(apply(&world.filename, world.node.as_deref(), &mut driver)?),
                Command::Watch(world) => watch(&world.filename, world.node.as_deref(), &mut driver)?,
                Command::Cleanup => driver.cleanup()?,
            }
        }
    }
    Ok(())
}
