//! How does tls-sni fare beside maps, sozu's trie, tls-parser and rustls? The same names and hellos for all, in turns, in one
//! run:
//!
//! `cargo run --release --manifest-path examples/sni-peers/Cargo.toml [--features sozu]`
//!
//! Prints nanoseconds a look-up or a hello, the median of rounds in which all candidates take turns, and the ratio to the
//! first line of the group. Before anything is measured, every candidate gives every answer that the workload expects; an
//! "exact only" one may miss wildcards.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros, reason = "a program")]

#[path = "../../route-peers/src/group.rs"]
mod group;
mod hellos;
mod names;
#[path = "../../../tls-sni/benches/sni/walk.rs"]
mod walk;
#[path = "../../../tls-sni/benches/sni/workloads.rs"]
mod workloads;

fn main() {
    for n in [1_000, 100_000] {
        println!("{n} names, ns a look-up");
        names::run(n);
    }
    println!("ClientHello to raw name, ns a hello");
    hellos::run();
}
