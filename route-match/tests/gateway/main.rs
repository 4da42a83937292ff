//! What a Gateway does: precedence, attachment, actions, conditions, and that updates end where compiling anew does.
#![cfg(feature = "kubernetes")]

mod actions;
mod faults;
mod generated;
mod matching;
mod security;
mod status;
mod world;
