//! `dns-server`: see `dns-server --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dns_server::{Server, Settings};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    match run(Settings::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings) -> std::io::Result<()> {
    // Before there is a server, so that no signal finds the process without a handler.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    let server = Server::start(settings)?;
    for address in server.addresses() {
        eprintln!("listening on {address}");
    }
    for signal in signals.forever() {
        if signal != SIGUSR1 {
            break;
        }
        eprintln!("{}", server.counts());
    }
    eprintln!("{}", server.stop());
    Ok(())
}
