//! The Ingress dialects: questions and answers, and the faults of manifests.
#![cfg(feature = "kubernetes")]

mod annotations;
mod answers;
mod faults;
mod harness;
mod nginx;
mod plain;
mod stream;
mod updates;
