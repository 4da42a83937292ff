//! Istio's gateways on small worlds.
#![cfg(feature = "kubernetes")]

mod actions;
mod delegates;
mod generated;
mod security;
mod servers;
mod updates;
mod world;
