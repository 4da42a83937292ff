//! Istio's gateways on small worlds.
#![cfg(feature = "kubernetes")]

mod actions;
mod delegates;
mod generated;
mod oracle;
mod security;
mod servers;
mod updates;
mod world;
