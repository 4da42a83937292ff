//! The parts of `svctrace`, the program that answers where a connection goes, offline, from Kubernetes manifests.
#![forbid(unsafe_code)]

pub mod answer;
pub mod ask;
pub mod cases;
pub mod cli;
pub mod curl;
pub mod mesh;
pub mod print;
pub mod read;
pub mod report;
pub mod suggest;
pub mod world;
