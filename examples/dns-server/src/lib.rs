//! The parts of `dns-server`: a DNS server for the Services of a Kubernetes cluster, over UDP and TCP, from manifests.
//!
//! What is answered is decided in [`dns_records`]; here is what a server adds: sockets, threads, files and other servers.
//!
//! * Threads of UDP sockets and of TCP connections read messages and write replies.
//! * They hold an immutable snapshot of the zone. The thread that follows the manifests applies what changed to its own copy,
//!   then swaps the snapshot, so that no query waits for a reload, and each is answered from one state.
//! * Nothing that serves a datagram waits: a question for others goes on in a thread of its own, and there is a limit to these.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use clap::Parser;
//! use dns_server::{Server, Settings};
//! let settings = Settings::parse_from(["dns-server", "-f", "../manifests/shop", "--listen", "127.0.0.1:0"]);
//! let server = Server::start(settings)?;
//! println!("listening on {}", server.addresses()[0]);
//! println!("{}", server.stop());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod answer;
mod batch;
mod counters;
mod forward;
mod log;
mod manifests;
mod server;
mod settings;
mod tcp;
mod udp;

pub use counters::Counts;
pub use server::Server;
pub use settings::Settings;
