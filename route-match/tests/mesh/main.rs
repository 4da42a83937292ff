//! What the sidecars of a mesh do, as one caller sees it.
#![cfg(feature = "kubernetes")]

mod generated;
mod hosts;
mod streams;
mod world;
