//! What the reference drivers have in common: whom a difference concerns, short hashes for names, text that is written fast, programs that are run within a
//! time limit, and the connection tracking that outlives rules.
#![forbid(unsafe_code)]

mod concerned;
mod conntrack;
mod hash;
mod process;
mod text;

pub use concerned::concerned;
pub use conntrack::{ConntrackProgram, FlowTable, forget_stale, parse_flows};
pub use hash::short_hash;
pub use process::{Program, ProgramError};
pub use text::{write_addr, write_all, write_number, write_socket_addr};
