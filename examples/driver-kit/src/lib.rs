//! What the reference drivers have in common: short hashes for names, programs that are run within a time limit, and the
//! connection tracking that outlives rules.
#![forbid(unsafe_code)]

mod conntrack;
mod hash;
mod process;

pub use conntrack::{ConntrackProgram, FlowTable, forget_stale, parse_flows};
pub use hash::short_hash;
pub use process::{Program, ProgramError};
